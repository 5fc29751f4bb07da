/*
** model.h - a random-operation test of the shim against plain SQLite.
**
** One thread, one seed. Replica A is under test; replica B follows it, and is
** the other leader. The twin is plain SQLite in memory: it runs exactly the
** transactions that were committed, when they are, and must give the same
** answers; what a reader at c sees must equal it.
**
**   actor ──statements──> A ──draft──> pending ──poll──> pipe ──commit──> log, twin, B
**                                         │                │ fence
**                                       dropped          limbo ──decided──> the same, or dropped
**
** Between any two calls of SQLite and of the disk something else may happen
** (hooks.h): op_inside().
*/
#ifndef DQ_TEST_MODEL_H
#define DQ_TEST_MODEL_H

#include "hooks.h"

#define MAX_ACTORS 6
#define MAX_STATEMENTS 10
#define MAX_SQL 400
#define MAX_PIPE 4
#define MAX_ENTRIES 2048
#define MAX_STATES 4096
#define MAX_UNRESOLVED 64
#define MAX_SNAPSHOTS 3

/* --- model_sql.c: statements and what they answer ---------------------------------- */
typedef struct answer {
  int rc;
  uint64_t rows; /* hash of all rows and of the number of rows changed */
} answer;

void model_table(char *sql, uint32_t number, uint32_t kind);
int model_statement(char *sql, uint64_t *seed, int in_transaction); /* 1: it may not run inside a transaction */
typedef void (*row_fn)(void *ctx);                                    /* a row is about to leave */
answer model_execute(sqlite3 *db, const char *sql, row_fn at_row, void *ctx);
uint64_t model_mix_row(uint64_t hash, sqlite3_stmt *);
int model_dump(sqlite3 *db, uint64_t *hash); /* everything in it, inside the caller's transaction */

/* --- transactions ---------------------------------------------------------------------- */
enum fate { FATE_OPEN, FATE_COMMITTED, FATE_DROPPED };

/* What a connection did between two states. With a draft it is part of the log
** once that is committed; as a probe it only read (or changed nothing, or was
** rolled back), and its answers must be those of the state `lsn`. */
typedef struct tx {
  struct tx *next_made, *next_pending; /* all of the round; undecided ones by LSN */
  uint64_t lsn;                        /* 0: no draft yet */
  int probe, explicit, alone;
  enum fate fate;
  int count, answered, ran; /* statements; their answers of A are known; the twin has run them */
  char sql[MAX_STATEMENTS][MAX_SQL];
  answer answers[MAX_STATEMENTS], twin[MAX_STATEMENTS];
} tx;

typedef struct actor {
  conn c;
  int own, busy;
  int ticket; /* 0 none, 1 queued, 2 granted */
  tx *tx;     /* it writes */
  int left;    /* statements until its end */
  int touched; /* it has asked for a snapshot */
  int reading;
  uint64_t expected;    /* dump of the snapshot that it reads */
  sqlite3_stmt *select; /* open */
  uint64_t rows, rows_expected;
  uint64_t barrier_c; /* c when the barrier of its statement ended */
} actor;

typedef struct entry { /* of the log */
  uint32_t pages, page_count, *numbers;
  uint64_t checksum;
  uint8_t *images;
} entry;

typedef struct lost { /* proposed, then fenced */
  dq_batch *batch;
  int committed;
} lost;

/* --- the world ------------------------------------------------------------------------------ */
typedef struct world {
  uint64_t seed;
  node a, b;
  conn twin, b_conn;
  actor actors[MAX_ACTORS];
  int actor_count;
  uint32_t cache_size;
  int ddl, stormy;    /* many schema changes; many fences */
  int spilling;       /* images go to the temporary file */
  uint32_t hook_rate; /* of a thousand calls so many are interrupted */

  int leading;
  uint64_t term;
  dq_batch *pipe[MAX_PIPE];
  lost limbo[MAX_PIPE], unresolved[MAX_UNRESOLVED]; /* the log has not decided; it has, and nobody was told */
  int pipe_count, limbo_count, unresolved_count;
  tx *made, *pending;

  entry log[MAX_ENTRIES];
  int head, done; /* entries; what the last finished checkpoint holds */
  struct state {
    uint64_t lsn, hash;
    int head;
  } states[MAX_STATES]; /* of A that were committed */
  int state_count;

  struct {
    dq_snapshot *s;
    uint64_t lsn, sum;
    uint32_t pages;
  } snapshots[MAX_SNAPSHOTS];

  int checkpointing;
  struct { /* a checkpoint that is written, or partly: `head` > done */
    int head;
    uint64_t lsn; /* 0: it can no longer be done */
  } target;
  int timeouts;
  int crash_in; /* calls of A's files until a crash is tried; 0: none */

  int trace, off, depth, reading_file; /* hooks off; how deep; inside page reads */
  actor *current;
  char last[MAX_SQL + 100]; /* for a failure */
  struct {
    int drafts, commits, probes, reads, fences, survivors, foreign, installs, checkpoints, crashes, restarts, inside, refused, unknown, dead;
  } did;
} world;

extern world w;
static inline uint32_t chance(uint32_t of) { return rnd(&w.seed) % of; }
#define SAY(...) (snprintf(w.last, sizeof w.last, __VA_ARGS__), w.trace ? (void)printf("  %*s%s\n", 2 * w.depth, "", w.last) : (void)0) /* DQ_TRACE=1 prints it */
int refusal(int rc); /* an answer of the shim or of SQLite's locks, not of the data */

/* --- model_tests.c ------------------------------------------------------------------------- */
void op_inside(void); /* something else, in the middle of a call */

/* --- model_log.c: drafts, entries, leadership -------------------------------------------------- */
tx *tx_new(void);
void tx_pend(tx *, uint64_t lsn);
void tx_compare(const tx *);
void decide_pending(uint64_t lsn, enum fate); /* everything up to it */
void note_drafts(void);   /* also of statements that are still running */
void note_state(void);    /* A's c is a new state, and the twin holds it */
const struct state *find_state(uint64_t lsn); /* NULL: not a committed one */
void op_poll(void);
void op_commit(void);
void op_fence(void);
void op_decide(int apply);
void op_resolve(int all);
void op_lead(void);
void op_other_leader(int install);
void make_tables(void); /* the first entry */
void settle_everything(void); /* everything that was drafted is decided, and A leads */
void forget_entries(int below);

/* --- model_disk.c: A's files, checkpoints and crashes ---------------------------------------------- */
void disk_call(const disk_event *);
void disk_forget(void);
void op_checkpoint(void);
void op_checkpoint_done(void);
void op_snapshot(void);
void close_snapshots(void);
void check_crash(int power_cut); /* a copy of A's files, mended and with the log replayed, is A */
void op_restart(void);

/* --- model_actor.c: connections ---------------------------------------------------------------------- */
void actor_open(actor *);
void actor_close(actor *);
void note_touch(const conn *);
void op_actor(void);
void check_readers(void);
void model_slot(void *ctx, uint64_t ticket, int rc);

#endif
