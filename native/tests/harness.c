#include "harness.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

lib sq;
char last_log[512];
__thread char last_error[512];
uint64_t spill_bytes;
static char scratch_dir[128];

/* ---- tests ------------------------------------------------------------------------- */

static struct {
  const char *name;
  test_fn fn;
} tests[256];
static int test_count, failures_here;
static const char *running;
#define HANGS_AFTER_S 90 /* waiting */
#define SPINS_AFTER_S 20 /* of processor time */
static int first_failure_ends; /* $DQ_MUTANT: the run of a mutant ends with the test that kills it */

void test_register(const char *name, test_fn fn) {
  tests[test_count].name = name;
  tests[test_count++].fn = fn;
}

void test_fail(const char *file, int line, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (failures_here++ < 10) {
    printf("  %s:%d: %s: ", file, line, running);
    vprintf(format, args);
    printf("\n");
  }
  va_end(args);
  if (first_failure_ends) {
    printf("FAIL %s\n", running);
    _exit(1);
  }
}

/* A mutant may also crash a test, or hang it. */
static void on_signal(int number) {
  char line[256];
  int n = snprintf(line, sizeof line, "FAIL %s (%s)\n", running, number == SIGALRM || number == SIGPROF ? "hangs" : "crashes");
  if (write(1, line, (size_t)n) != n) _exit(2);
  _exit(1);
}

#ifdef DQ_MUTANTS
static void start_mutant(void) {
  const char *number = getenv("DQ_MUTANT");
  if (!number) return;
  dq_mutant_set(atoi(number));
  first_failure_ends = 1;
  const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGALRM, SIGPROF};
  for (int i = 0; i < 6; i++) signal(signals[i], on_signal);
}
#else
static void start_mutant(void) { (void)on_signal; }
#endif

static void limit_time(void) {
  const struct itimerval spins = {.it_value.tv_sec = SPINS_AFTER_S};
  alarm(HANGS_AFTER_S);
  setitimer(ITIMER_PROF, &spins, NULL);
}

/* ---- SQLite -------------------------------------------------------------------------- */

static void on_log(void *ctx, int code, const char *message) {
  (void)ctx;
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  snprintf(last_log, sizeof last_log, "%d: %s", code, message);
  pthread_mutex_unlock(&lock);
  if (getenv("DQ_LOG")) fprintf(stderr, "    sqlite %d: %s\n", code, message);
}

static void *library;
static void *symbol(const char *name) {
  char full[64];
  snprintf(full, sizeof full, "sqlite3_%s", name);
  void *p = dlsym(library, full);
  if (!p) {
    printf("no symbol %s\n", full);
    exit(2);
  }
  return p;
}

static void load_sqlite(void) {
  glob_t found = {0};
  char pattern[512];
  const char *path = getenv("DQ_SQLITE");
  snprintf(pattern, sizeof pattern, "%s/.nuget/packages/sourcegear.sqlite3/*/runtimes/linux-x64/native/libe_sqlite3.so", getenv("HOME"));
  if (!path && glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc) path = found.gl_pathv[found.gl_pathc - 1];
  dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL); /* libe_sqlite3 has no DT_NEEDED on it */
  library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  if (!library) {
    printf("cannot load SQLite (%s): set DQ_SQLITE\n", path ? dlerror() : "not found");
    exit(2);
  }
  globfree(&found);
#define LOAD(name) *(void **)&sq.name = symbol(#name)
  LOAD(open_v2), LOAD(close_v2), LOAD(exec), LOAD(prepare_v2), LOAD(step), LOAD(reset), LOAD(finalize), LOAD(column_int64), LOAD(column_text);
  LOAD(column_count), LOAD(column_type), LOAD(column_bytes), LOAD(total_changes), LOAD(last_insert_rowid);
  LOAD(bind_int64), LOAD(extended_errcode), LOAD(errmsg), LOAD(file_control), LOAD(extended_result_codes), LOAD(wal_autocheckpoint);
  LOAD(wal_checkpoint_v2), LOAD(free), LOAD(config);
  sq.config(16 /* SQLITE_CONFIG_LOG */, on_log, NULL);
  dq_sqlite_api api = {.struct_size = sizeof api};
  *(void **)&api.libversion_number = symbol("libversion_number");
  *(void **)&api.vfs_find = symbol("vfs_find");
  *(void **)&api.vfs_register = symbol("vfs_register");
  *(void **)&api.mprintf = symbol("mprintf");
  *(void **)&api.log = symbol("log");
  *(void **)&api.uri_parameter = symbol("uri_parameter");
  *(void **)&api.uri_boolean = symbol("uri_boolean");
  *(void **)&api.next_stmt = symbol("next_stmt");
  *(void **)&api.stmt_busy = symbol("stmt_busy");
  *(void **)&api.stmt_readonly = symbol("stmt_readonly");
  *(void **)&api.column_count = symbol("column_count");
  *(void **)&api.get_autocommit = symbol("get_autocommit");
  *(void **)&api.sql = symbol("sql");
  *(void **)&api.filename_database = symbol("filename_database");
  ((int (*)(void))(uintptr_t)symbol("initialize"))();
  if (dq_init(&api) != SQLITE_OK || dq_init(&api) != SQLITE_OK) {
    printf("dq_init failed\n");
    exit(2);
  }
}

/* ---- databases -------------------------------------------------------------------------- */

const char *scratch(const char *name) {
  static __thread char path[256];
  snprintf(path, sizeof path, "%s/%s", scratch_dir, name);
  return path;
}

static void on_draft(void *ctx) { atomic_fetch_add(&((node *)ctx)->drafts_seen, 1); }

static void on_slot(void *ctx, uint64_t ticket, int rc) {
  node *n = ctx;
  atomic_store(&n->slot_rc, rc);
  atomic_store(&n->slot_ticket, ticket);
  atomic_fetch_add(&n->slots_decided, 1);
}

static int read_barrier(void *ctx) {
  node *n = ctx;
  atomic_fetch_add(&n->barriers, 1);
  return n->on_barrier ? n->on_barrier(n) : n->barrier_rc;
}

static void on_rot(void *ctx, uint32_t page) {
  (void)page;
  atomic_fetch_add(&((node *)ctx)->rots, 1);
}

static void fill_config(node *n, const char *name, uint32_t page_size) {
  memset(n, 0, sizeof *n);
  snprintf(n->path, sizeof n->path, "%s/%s.db", scratch_dir, name);
  snprintf(n->sums, sizeof n->sums, "%s/%s.sums", scratch_dir, name);
  n->config = (dq_db_config){
      .struct_size = sizeof(dq_db_config),
      .page_size = page_size,
      .path = n->path,
      .sums_path = n->sums,
      .page_count = 1,
      .max_transaction_bytes = 1ull << 30,
      .max_undecided_bytes = 1ull << 30,
      .max_version_bytes = 1ull << 30,
      .spill_bytes = spill_bytes,
      .slot_timeout_ns = 5000000000,
      .commit_timeout_ns = 5000000000,
      .slot_hold_ns = 0,
      .ctx = n,
      .on_draft = on_draft,
      .on_slot = on_slot,
      .read_barrier = read_barrier,
      .on_rot = on_rot,
  };
}

void node_prepare(node *n, const char *name, uint32_t page_size, uint32_t auto_vacuum) {
  fill_config(n, name, page_size);
  OK(dq_db_create_files(n->path, n->sums, page_size, auto_vacuum, &n->config.checksum));
}

void node_open(node *n) {
  OK(dq_db_open(&n->config, &n->db));
  if (!n->db) {
    printf("cannot go on\n");
    exit(1);
  }
}

void node_start(node *n, const char *name, uint32_t page_size, uint32_t auto_vacuum) {
  node_prepare(n, name, page_size, auto_vacuum);
  node_open(n);
  OK(dq_db_set_serving(n->db, 0));
}

void node_lead(node *n) {
  OK(dq_db_lead(n->db, 1));
  dq_db_set_lease(n->db, INT64_MAX);
}

void node_stop(node *n) {
  dq_db_close(n->db);
  n->db = NULL;
}

dq_db_state node_state(node *n) {
  dq_db_state s;
  OK(dq_db_get_state(n->db, &s));
  return s;
}

static void copy_file(const char *from, const char *to) { /* holes stay holes */
  char buf[65536];
  int a = open(from, O_RDONLY), b = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  off_t at = 0, end = lseek(a, 0, SEEK_END);
  CHECK(ftruncate(b, end) == 0);
  while ((at = lseek(a, at, SEEK_DATA)) >= 0 && at < end) {
    ssize_t n = pread(a, buf, sizeof buf, at);
    if (n <= 0) break;
    CHECK(pwrite(b, buf, (size_t)n, at) == n);
    at += n;
  }
  close(a);
  close(b);
}

void node_copy_files(const node *from, node *to, const char *name) {
  fill_config(to, name, from->config.page_size);
  to->config.page_count = from->config.page_count;
  to->config.checksum = from->config.checksum;
  copy_file(from->path, to->path);
  copy_file(from->sums, to->sums);
}

int node_checkpoint(node *n) {
  uint64_t lsn = node_state(n).c;
  int rc = dq_db_checkpoint(n->db, lsn, 0, &n->config.page_count, &n->config.checksum);
  return rc ? rc : dq_db_checkpoint_done(n->db, lsn);
}

/* What the batch calls the old image of a page is what a follower of the entry before has. */
static void same_base(const dq_batch *b, node *follower) {
  static uint8_t base[65536], page[65536];
  for (uint32_t i = 0; i < b->pages; i++) {
    int rc = dq_batch_base(b, i, base);
    EQ(dq_db_page(follower->db, b->page_numbers[i], page), rc);
    if (rc == SQLITE_OK && memcmp(base, page, b->page_size) != 0) test_fail(__FILE__, __LINE__, "page %u has another base", b->page_numbers[i]);
  }
}

int replicate(node *leader, node *follower) {
  dq_batch *b;
  OK(dq_db_poll(leader->db, 1 << 20, &b));
  if (!b) return 0;
  if (follower) same_base(b, follower);
  OK(dq_db_commit(leader->db, b->lsn_last));
  if (follower) {
    uint8_t *images = malloc((size_t)b->pages * b->page_size + 1);
    OK(dq_batch_read(b, 0, b->pages, images));
    OK(dq_db_apply(follower->db, b->pages, b->page_numbers, images, b->page_count, b->checksum, NULL));
    free(images);
  }
  dq_batch_free(b);
  return 1;
}

void replicate_all(node *leader, node *follower) {
  while (replicate(leader, follower)) {
  }
}

void same_image(node *a, node *b) {
  dq_snapshot *x, *y;
  uint32_t px, py;
  uint64_t cx, cy, again = 0, lsn;
  static uint8_t page_x[65536], page_y[65536];
  OK(dq_snapshot_open(a->db, &x, &lsn, &px, &cx));
  OK(dq_snapshot_open(b->db, &y, &lsn, &py, &cy));
  EQ(px, py);
  CHECK(cx == cy);
  for (uint32_t i = 1; i <= px && i <= py; i++) {
    OK(dq_snapshot_page(x, i, page_x));
    OK(dq_snapshot_page(y, i, page_y));
    if (memcmp(page_x, page_y, a->config.page_size) != 0) test_fail(__FILE__, __LINE__, "page %u differs", i);
    if (i != dq_lock_page(a->config.page_size)) again ^= dq_page_checksum(i, page_x, a->config.page_size);
  }
  CHECK(again == cx);
  dq_snapshot_close(x);
  dq_snapshot_close(y);
}

void same_as_file(node *a, const char *path) {
  dq_snapshot *x;
  uint32_t pages;
  uint64_t lsn, sum;
  static uint8_t page[65536], other[65536];
  FILE *f = fopen(path, "rb");
  OK(dq_snapshot_open(a->db, &x, &lsn, &pages, &sum));
  for (uint32_t i = 1; i <= pages; i++) {
    OK(dq_snapshot_page(x, i, page));
    if (fread(other, a->config.page_size, 1, f) != 1) test_fail(__FILE__, __LINE__, "file ends before page %u", i);
    /* Who wrote it and how often is not content: change counter, version. */
    if (i == 1) memset(page + 24, 0, 4), memset(other + 24, 0, 4), memset(page + 92, 0, 8), memset(other + 92, 0, 8), page[40] = other[40];
    if (memcmp(page, other, a->config.page_size) != 0) test_fail(__FILE__, __LINE__, "page %u differs from the file", i);
  }
  CHECK(fgetc(f) == EOF);
  fclose(f);
  dq_snapshot_close(x);
}

/* ---- connections ---------------------------------------------------------------------------- */

static void finish_open(conn *c, int rc) {
  if (rc) test_fail(__FILE__, __LINE__, "open: %d %s", rc, last_log);
  sq.extended_result_codes(c->sql, 1);
  sq.wal_autocheckpoint(c->sql, 0);
  OK(sq.file_control(c->sql, "main", DQ_FCNTL_HANDLE, &c->h));
}

void conn_open(conn *c, node *n, int own) {
  static atomic_ullong tickets = 1000;
  *c = (conn){.n = n, .ticket = atomic_fetch_add(&tickets, 1)};
  finish_open(c, sq.open_v2(n->path, &c->sql, 0x2 | 0x10000 /* NOFOLLOW is not: FULLMUTEX */, DQ_VFS_NAME));
  if (own) dq_handle_own(c->h);
}

void conn_open_uri(conn *c, node *n, const char *parameters) {
  char uri[512];
  *c = (conn){.n = n};
  snprintf(uri, sizeof uri, "file:%s?vfs=dqlite%s", n->path, parameters);
  finish_open(c, sq.open_v2(uri, &c->sql, 0x2 | 0x4 | 0x40, NULL));
}

void conn_open_shared(conn *c, node *n) {
  *c = (conn){.n = n};
  finish_open(c, sq.open_v2(n->path, &c->sql, 0x2 | 0x20000 /* SQLITE_OPEN_SHAREDCACHE */, DQ_VFS_NAME));
}

void conn_close(conn *c) { OK(sq.close_v2(c->sql)); }

/* The tests' stand-in for an await. A ticket that a fence decided against is no
** longer queued: ask again. */
int arm(conn *c) {
  int rc;
  int64_t end = dq_now_ns() + 5000000000;
  while ((rc = dq_slot_request(c->n->db, c->ticket)) == SQLITE_BUSY && dq_now_ns() < end) {
    for (int i = 0; i < 100; i++) {
      if (dq_handle_arm(c->h, c->ticket) == SQLITE_OK) return SQLITE_OK;
      usleep(20);
    }
    if (dq_slot_cancel(c->n->db, c->ticket) == 0 && dq_handle_arm(c->h, c->ticket) == SQLITE_OK) return SQLITE_OK;
  }
  return rc ? rc : dq_handle_arm(c->h, c->ticket);
}

int run(conn *c, const char *sql) {
  char *message = NULL;
  last_error[0] = 0;
  int rc = sq.exec(c->sql, sql, NULL, NULL, &message);
  if (rc) rc = sq.extended_errcode(c->sql);
  if (message) {
    snprintf(last_error, sizeof last_error, "%s", message);
    sq.free(message);
  }
  return rc;
}

int write_own(conn *c, const char *sql) {
  int rc = arm(c);
  if (rc == SQLITE_OK) rc = run(c, sql);
  dq_slot_release(c->n->db, c->ticket);
  return rc;
}

int64_t value(conn *c, const char *sql) {
  sqlite3_stmt *s;
  int64_t v = -1;
  int rc = sq.prepare_v2(c->sql, sql, -1, &s, NULL);
  if (rc) return -1000 - rc;
  rc = sq.step(s);
  if (rc == SQLITE_ROW) v = sq.column_int64(s, 0);
  else if (rc != SQLITE_DONE) v = -1000 - rc;
  rc = sq.finalize(s);
  return v;
}

const char *text(conn *c, const char *sql) {
  static __thread char out[512];
  sqlite3_stmt *s;
  snprintf(out, sizeof out, "(none)");
  int rc = sq.prepare_v2(c->sql, sql, -1, &s, NULL);
  if (rc == SQLITE_OK && (rc = sq.step(s)) == SQLITE_ROW) snprintf(out, sizeof out, "%s", (const char *)sq.column_text(s, 0));
  else snprintf(out, sizeof out, "(error %d)", rc);
  sq.finalize(s);
  return out;
}

dq_handle_state state(conn *c) {
  dq_handle_state s;
  dq_handle_get_state(c->h, &s);
  return s;
}

int open_rc(const char *uri) {
  sqlite3 *sql;
  int rc = sq.open_v2(uri, &sql, 0x2 | 0x4 | 0x40, NULL);
  if (rc == SQLITE_OK) rc = sq.exec(sql, "SELECT * FROM sqlite_master", NULL, NULL, NULL);
  sq.close_v2(sql);
  return rc;
}

/* ---- threads and randomness -------------------------------------------------------------------- */

static void *background_main(void *arg) {
  background *b = arg;
  b->rc = run(b->c, b->sql);
  atomic_store(&b->done, 1);
  return NULL;
}

void background_start(background *b, conn *c, const char *sql) {
  b->c = c;
  b->sql = sql;
  atomic_init(&b->done, 0);
  pthread_create(&b->thread, NULL, background_main, b);
}

int background_join(background *b) {
  pthread_join(b->thread, NULL);
  return b->rc;
}

void wait_drafts(node *n, uint32_t queued) {
  int64_t end = dq_now_ns() + 10000000000;
  while (node_state(n).queued_drafts < queued) {
    if (dq_now_ns() > end) {
      test_fail(__FILE__, __LINE__, "only %u drafts queued", node_state(n).queued_drafts);
      return;
    }
    sched_yield();
  }
}

uint32_t rnd(uint64_t *seed) {
  *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(*seed >> 33);
}

uint64_t test_seed(void) {
  const char *given = getenv("DQ_SEED");
  uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)dq_now_ns();
  printf("  %s: seed %llu\n", running, (unsigned long long)seed);
  return seed;
}

int test_failures(void) { return failures_here; }

int test_rounds(int otherwise) {
  const char *given = getenv("DQ_ROUNDS");
  return given ? atoi(given) : otherwise;
}

int main(int argc, char **argv) {
  int passed = 0, failed = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  snprintf(scratch_dir, sizeof scratch_dir, "%s/dq-shim-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  if (!mkdtemp(scratch_dir)) return 2;
  load_sqlite();
  start_mutant();
  for (int i = 0; i < test_count; i++) {
    if (argc > 1 && !strstr(tests[i].name, argv[1])) continue;
    int64_t start = dq_now_ns();
    failures_here = 0;
    running = tests[i].name;
    if (first_failure_ends) limit_time();
    spill_bytes = getenv("DQ_SPILL") ? strtoull(getenv("DQ_SPILL"), NULL, 10) : 0;
    tests[i].fn();
    if (atomic_load(&dq_open_databases) != 0) test_fail(__FILE__, __LINE__, "a database object was not freed");
    printf("%s %s (%lld ms)\n", failures_here ? "FAIL" : "ok  ", running, (long long)(dq_now_ns() - start) / 1000000);
    if (failures_here) failed++;
    else passed++;
  }
  char command[256];
  snprintf(command, sizeof command, "rm -rf '%s'", scratch_dir);
  if (system(command) != 0) printf("could not remove %s\n", scratch_dir);
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
