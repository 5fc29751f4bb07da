/*
** harness.h - what the tests share: SQLite by dlopen, a registry of tests,
** databases in a scratch directory and connections over them.
*/
#ifndef DQ_TEST_HARNESS_H
#define DQ_TEST_HARNESS_H

#include <stdio.h>
#include <stdlib.h>

#include "../dq_internal.h"

#define SQLITE_ROW 100
#define SQLITE_DONE 101
#define SQLITE_CONSTRAINT 19

/* --- SQLite ------------------------------------------------------------------ */
typedef struct lib {
  int (*open_v2)(const char *, sqlite3 **, int, const char *);
  int (*close_v2)(sqlite3 *);
  int (*exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
  int (*prepare_v2)(sqlite3 *, const char *, int, sqlite3_stmt **, const char **);
  int (*step)(sqlite3_stmt *);
  int (*reset)(sqlite3_stmt *);
  int (*finalize)(sqlite3_stmt *);
  int (*column_count)(sqlite3_stmt *);
  int (*column_type)(sqlite3_stmt *, int);
  int (*column_bytes)(sqlite3_stmt *, int);
  int64_t (*column_int64)(sqlite3_stmt *, int);
  const unsigned char *(*column_text)(sqlite3_stmt *, int);
  int (*bind_int64)(sqlite3_stmt *, int, int64_t);
  int (*total_changes)(sqlite3 *);
  int64_t (*last_insert_rowid)(sqlite3 *);
  int (*extended_errcode)(sqlite3 *);
  const char *(*errmsg)(sqlite3 *);
  int (*file_control)(sqlite3 *, const char *, int, void *);
  int (*extended_result_codes)(sqlite3 *, int);
  int (*wal_autocheckpoint)(sqlite3 *, int);
  int (*wal_checkpoint_v2)(sqlite3 *, const char *, int, int *, int *);
  void (*free)(void *);
  int (*config)(int, ...);
  int (*soft_heap_limit)(int64_t);
} lib;
extern lib sq;
extern char last_log[512]; /* the last message of sqlite3_log */
extern __thread char last_error[512]; /* of run() */

/* --- tests --------------------------------------------------------------------- */
typedef void (*test_fn)(void);
void test_register(const char *name, test_fn fn);
#define TEST(name)                                                             \
  static void name(void);                                                      \
  __attribute__((constructor)) static void register_##name(void) { test_register(#name, name); } \
  static void name(void)

void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define CHECK(x)                                                   \
  do {                                                             \
    if (!(x)) test_fail(__FILE__, __LINE__, "%s", #x);             \
  } while (0)
#define EQ(expected, actual)                                                                                       \
  do {                                                                                                             \
    long long e_ = (long long)(expected), a_ = (long long)(actual);                                                \
    if (e_ != a_) test_fail(__FILE__, __LINE__, "%s: expected %lld, was %lld", #actual, e_, a_);                     \
  } while (0)
#define OK(x) EQ(0, x)

/* --- databases --------------------------------------------------------------------- */
typedef struct node { /* one replica: a database with its files */
  dq_db *db;
  char path[256], sums[256];
  dq_db_config config;
  atomic_int drafts_seen, slots_decided, slot_rc, barriers, rots;
  atomic_ullong slot_ticket;
  int barrier_rc;
  int (*on_barrier)(struct node *); /* instead of barrier_rc */
} node;

/* What nodes are prepared with; before each test it is $DQ_SPILL, or 0. A test that
** counts calls of the disk, or makes them fail, sets it. */
extern uint64_t spill_bytes;
void node_prepare(node *, const char *name, uint32_t page_size, uint32_t auto_vacuum); /* creates files, fills config */
void node_open(node *);
void node_start(node *, const char *name, uint32_t page_size, uint32_t auto_vacuum); /* prepare, open, serve */
void node_lead(node *);
void node_stop(node *);
dq_db_state node_state(node *);
void node_copy_files(const node *from, node *to, const char *name);
int node_checkpoint(node *); /* checkpoint to c and done */

/* Proposes and commits everything queued; 1 when something was. With a follower
** the batch is applied there too. */
int replicate(node *leader, node *follower);
void replicate_all(node *leader, node *follower);
void same_image(node *a, node *b);       /* every page at c is equal */
void same_as_file(node *a, const char *path); /* pages at c against a plain SQLite file */

/* --- connections ---------------------------------------------------------------------- */
typedef struct conn {
  sqlite3 *sql;
  dq_handle *h;
  node *n;
  uint64_t ticket;
} conn;

void conn_open(conn *, node *, int own);
void conn_open_uri(conn *, node *, const char *parameters); /* plain, "?..." appended by the caller */
void conn_open_shared(conn *, node *); /* plain, with a shared cache */
void conn_close(conn *);
int arm(conn *); /* takes the slot, for which it waits up to 5 s, and arms the handle; SQLITE_OK or why not */
int run(conn *, const char *sql); /* extended result code */
int write_own(conn *, const char *sql); /* arm, run, and give the slot back if it is still held */
int64_t value(conn *, const char *sql); /* first column of the first row; -1: none, -1000-rc: an error */
const char *text(conn *, const char *sql);
dq_handle_state state(conn *);
int open_rc(const char *uri); /* result of opening and reading the schema */

const char *scratch(const char *name); /* path in the scratch directory (static buffer) */
uint32_t rnd(uint64_t *seed);
uint64_t test_seed(void); /* printed; $DQ_SEED replays */
int test_rounds(int otherwise); /* $DQ_ROUNDS */
int test_failures(void);        /* of the running test */

/* A thread that runs one statement. */
typedef struct background {
  pthread_t thread;
  conn *c;
  const char *sql;
  atomic_int done;
  int rc;
} background;
void background_start(background *, conn *, const char *sql);
int background_join(background *);
void wait_drafts(node *, uint32_t queued); /* until so many drafts are queued */

#endif
