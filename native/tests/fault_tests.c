/* Checkpoints and reads under faults of the table, stalls and crashes. */
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "redo.h"

static void start(node *n, conn *w, uint32_t page_size, uint32_t auto_vacuum) {
  node_start(n, "ckpt", page_size, auto_vacuum);
  node_lead(n);
  conn_open(w, n, 1);
  OK(write_own(w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
  OK(write_own(w, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 200) INSERT INTO t SELECT x, randomblob(600) FROM c"));
  replicate_all(n, NULL);
}

static void write_committed(conn *w, const char *sql) {
  OK(write_own(w, sql));
  replicate_all(w->n, NULL);
}

#define SUM "SELECT sum(length(b) * a) + count(*) FROM t"
#define HASH "SELECT sum((a * 7919 + unicode(hex(b)) + length(b)) % 1000003) FROM t"

/* ---- faults through the table ----------------------------------------------------------- */

static struct {
  atomic_int calls, fail_at; /* the n-th of pwrite, ftruncate, fdatasync, fsync, pread */
  int error, short_write;
  int snap_at;         /* copy the files before the n-th call: a crash image */
  const node *snapped; /* of this node */
  node *copy;
} fault;

static int faulty(void) {
  int call = atomic_fetch_add(&fault.calls, 1) + 1;
  if (call == fault.snap_at) {
    int keep = fault.snap_at;
    fault.snap_at = 0;
    node_copy_files(fault.snapped, fault.copy, "crash");
    fault.snap_at = keep;
  }
  return call == atomic_load(&fault.fail_at);
}

static dq_os real;
static int64_t faulty_pwrite(void *ctx, int fd, const void *buf, int64_t n, int64_t offset) {
  if (faulty()) {
    if (!fault.short_write) return -fault.error;
    n = n / 2 + 1; /* the caller must go on with the rest */
  }
  return real.pwrite(ctx, fd, buf, n, offset);
}
static int64_t faulty_pread(void *ctx, int fd, void *buf, int64_t n, int64_t offset) {
  if (faulty()) {
    if (!fault.short_write) return -fault.error;
    n = n / 2 + 1;
  }
  return real.pread(ctx, fd, buf, n, offset);
}
static int faulty_ftruncate(void *ctx, int fd, int64_t size) { return faulty() && !fault.short_write ? -fault.error : real.ftruncate(ctx, fd, size); }
static int faulty_fdatasync(void *ctx, int fd) { return faulty() && !fault.short_write ? -fault.error : real.fdatasync(ctx, fd); }
static int faulty_fsync(void *ctx, int fd) { return faulty() && !fault.short_write ? -fault.error : real.fsync(ctx, fd); }
static int faulty_fstat(void *ctx, int fd, dq_stat *out) { return faulty() && !fault.short_write ? -fault.error : real.fstat(ctx, fd, out); }
static int faulty_open(void *ctx, const char *path, int flags, int mode) { return faulty() && !fault.short_write ? -fault.error : real.open(ctx, path, flags, mode); }

static void faults_on(void) {
  OK(dq_os_set(NULL));
  real = *dq_os_get();
  dq_os os = real;
  os.pwrite = faulty_pwrite;
  os.pread = faulty_pread;
  os.ftruncate = faulty_ftruncate;
  os.fdatasync = faulty_fdatasync;
  os.fsync = faulty_fsync;
  os.fstat = faulty_fstat;
  os.open = faulty_open;
  memset(&fault, 0, sizeof fault);
  OK(dq_os_set(&os));
}

static void faults_off(void) { OK(dq_os_set(NULL)); }

TEST(Replacing_the_table_is_refused_while_a_database_is_open) {
  node n;
  dq_os wrong = *dq_os_get();
  node_start(&n, "os", 4096, 0);
  EQ(-EBUSY, dq_os_set(NULL));
  node_stop(&n);
  wrong.struct_size--;
  EQ(-EINVAL, dq_os_set(&wrong));
}

/* Every call of a checkpoint fails once; reads stay right and the next
** checkpoint succeeds. */
TEST(Every_failing_call_of_a_checkpoint_leaves_reads_right) {
  spill_bytes = 0;
  static const struct {
    int error, short_write;
  } kinds[] = {{EIO, 0}, {ENOSPC, 0}, {0, 1}};
  faults_on();
  for (int kind = 0; kind < 3; kind++) {
    for (int at = 1;; at++) {
      node n, again;
      conn w, old;
      start(&n, &w, 1024, 0);
      OK(node_checkpoint(&n));
      conn_open(&old, &n, 0);
      OK(run(&old, "PRAGMA cache_size=2; BEGIN"));
      int64_t before = value(&old, HASH);
      write_committed(&w, "UPDATE t SET b = randomblob(700) WHERE a % 40 = 0");
      write_committed(&w, "DELETE FROM t WHERE a > 150");
      int64_t after = value(&w, HASH);
      fault.error = kinds[kind].error;
      fault.short_write = kinds[kind].short_write;
      atomic_store(&fault.calls, 0);
      atomic_store(&fault.fail_at, at);
      int rc = node_checkpoint(&n);
      atomic_store(&fault.fail_at, 0);
      int calls = atomic_load(&fault.calls);
      if (kinds[kind].short_write) OK(rc);
      else if (at <= calls) CHECK((rc & 0xff) == SQLITE_IOERR);
      else OK(rc);
      EQ(before, value(&old, HASH));
      EQ(after, value(&w, HASH));
      OK(node_checkpoint(&n));
      EQ(before, value(&old, HASH));
      EQ(after, value(&w, HASH));
      conn_close(&old);
      CHECK(strcmp(text(&w, "PRAGMA integrity_check"), "ok") == 0);
      OK(node_checkpoint(&n));
      EQ(0, node_state(&n).version_bytes);
      node_copy_files(&n, &again, "again");
      node_open(&again);
      same_image(&n, &again);
      conn_close(&w);
      node_stop(&n), node_stop(&again);
      if (at > calls) break;
    }
  }
  faults_off();
}

TEST(Every_failing_call_of_a_page_read_open_and_build_is_reported) {
  spill_bytes = 0;
  faults_on();
  for (int at = 1;; at++) {
    node n;
    conn w, r;
    start(&n, &w, 4096, 0);
    OK(node_checkpoint(&n));
    conn_open(&r, &n, 0);
    fault.error = EIO;
    atomic_store(&fault.calls, 0);
    atomic_store(&fault.fail_at, at);
    int64_t sum = value(&r, SUM);
    int calls = atomic_load(&fault.calls);
    atomic_store(&fault.fail_at, 0);
    if (at <= calls) EQ(-1000 - SQLITE_IOERR_READ, sum);
    conn u; /* a write over a cold cache: no draft comes of it */
    conn_open(&u, &n, 1);
    atomic_store(&fault.calls, 0);
    atomic_store(&fault.fail_at, at);
    int rc = write_own(&u, "UPDATE t SET b = 'x' WHERE a % 20 = 0");
    atomic_store(&fault.fail_at, 0);
    if (rc) EQ(SQLITE_IOERR_READ, rc);
    EQ(rc == SQLITE_OK, node_state(&n).queued_drafts);
    replicate_all(&n, NULL);
    conn_close(&u);
    EQ(value(&w, SUM), value(&r, SUM));
    conn_close(&r), conn_close(&w);
    dq_db_close(n.db);
    if (at > calls) break;
  }
  for (int at = 1;; at++) {
    node n;
    atomic_store(&fault.calls, 0);
    atomic_store(&fault.fail_at, at);
    memset(&n, 0, sizeof n);
    snprintf(n.path, sizeof n.path, "%s", scratch("built.db"));
    snprintf(n.sums, sizeof n.sums, "%s", scratch("built.sums"));
    uint64_t checksum;
    int rc = dq_db_create_files(n.path, n.sums, 4096, 0, &checksum);
    int calls = atomic_load(&fault.calls);
    if (at <= calls) CHECK(rc != SQLITE_OK);
    else OK(rc);
    if (at > calls) break;
  }
  atomic_store(&fault.fail_at, 0);
  for (int at = 1;; at++) {
    node n;
    node_prepare(&n, "opened", 4096, 0);
    atomic_store(&fault.calls, 0);
    atomic_store(&fault.fail_at, at);
    int rc = dq_db_open(&n.config, &n.db);
    int calls = atomic_load(&fault.calls);
    atomic_store(&fault.fail_at, 0);
    if (at <= calls) CHECK(rc != SQLITE_OK);
    else OK(rc);
    if (rc == SQLITE_OK) node_stop(&n);
    if (at > calls) break;
  }
  faults_off();
}

/* ---- grace period --------------------------------------------------------------------------- */

static struct {
  atomic_int armed, inside, release, writes;
} grace;

static int64_t stalled_pread(void *ctx, int fd, void *buf, int64_t n, int64_t offset) {
  if (atomic_exchange(&grace.armed, 0)) {
    atomic_store(&grace.inside, 1);
    while (!atomic_load(&grace.release)) sched_yield();
  }
  return real.pread(ctx, fd, buf, n, offset);
}

static int64_t counted_pwrite(void *ctx, int fd, const void *buf, int64_t n, int64_t offset) {
  atomic_fetch_add(&grace.writes, 1);
  return real.pwrite(ctx, fd, buf, n, offset);
}

static void *checkpoint_thread(void *n) {
  OK(node_checkpoint(n));
  return NULL;
}

static void *sum_thread(void *c) { return (void *)(intptr_t)value(c, SUM); }

TEST(A_checkpoint_waits_for_a_page_read_but_not_for_its_transaction) {
  spill_bytes = 0;
  node n;
  conn w, r;
  pthread_t reader, checkpoint;
  void *sum;
  OK(dq_os_set(NULL));
  real = *dq_os_get();
  dq_os os = real;
  os.pread = stalled_pread;
  os.pwrite = counted_pwrite;
  OK(dq_os_set(&os));
  start(&n, &w, 1024, 0);
  OK(node_checkpoint(&n));
  conn_open(&r, &n, 0);
  OK(run(&r, "PRAGMA cache_size=2; BEGIN"));
  int64_t expected = value(&r, SUM);
  write_committed(&w, "UPDATE t SET b = randomblob(300)");
  memset(&grace, 0, sizeof grace);
  atomic_store(&grace.armed, 1);
  pthread_create(&reader, NULL, sum_thread, &r);
  while (!atomic_load(&grace.inside)) sched_yield();
  pthread_create(&checkpoint, NULL, checkpoint_thread, &n);
  usleep(30000);
  EQ(0, atomic_load(&grace.writes));
  atomic_store(&grace.release, 1);
  pthread_join(checkpoint, NULL);
  pthread_join(reader, &sum);
  EQ(expected, (intptr_t)sum);
  EQ(expected, value(&r, SUM)); /* its transaction is open still */
  conn_close(&r), conn_close(&w);
  node_stop(&n);
  faults_off();
}

/* ---- crashes ------------------------------------------------------------------------------ */

typedef struct entry { /* what the log would hold */
  uint32_t pages, page_count, *numbers;
  uint64_t checksum;
  uint8_t *images;
} entry;

static entry take_entry(node *n) {
  dq_batch *b;
  entry e = {0};
  OK(dq_db_poll(n->db, 1 << 30, &b));
  e.pages = b->pages;
  e.page_count = b->page_count;
  e.checksum = b->checksum;
  e.numbers = malloc(b->pages * 4);
  e.images = malloc((size_t)b->pages * b->page_size);
  memcpy(e.numbers, b->page_numbers, b->pages * 4);
  OK(dq_batch_read(b, 0, b->pages, e.images));
  OK(dq_db_commit(n->db, b->lsn_last));
  dq_batch_free(b);
  return e;
}

/* n's four entries; the snapshot is that of the state after `target` of them. */
static void write_entries(node *n, conn *c, entry *log, int target, dq_snapshot **view, redo *copies) {
  static const char *const sql[4] = {
      "UPDATE t SET b = randomblob(700) WHERE a % 20 = 0",
      "INSERT INTO t(b) VALUES(randomblob(20000))", /* the database grows */
      "DELETE FROM t WHERE a > 100",                /* and shrinks */
      "CREATE TABLE u AS SELECT * FROM t",
  };
  for (int i = 0; i < 4; i++) {
    OK(write_own(c, sql[i]));
    if (i == 2) OK(write_own(c, "VACUUM"));
    log[i] = take_entry(n);
    if (i + 1 == target) OK(dq_snapshot_open(n->db, view, &copies->lsn, &copies->page_count, &copies->checksum));
  }
}

/* A crash before the at-th call of a checkpoint; 0 when it has fewer calls. */
static int crash_in_checkpoint(int target, int extends, int at) {
  node n, crashed = {0};
  conn w;
  entry log[4];
  dq_snapshot *view;
  redo copies = {0};
  start(&n, &w, 1024, 0);
  OK(node_checkpoint(&n)); /* config: the last finished one */
  write_entries(&n, &w, log, target, &view, &copies);
  OK(redo_take(&copies, &n, view, extends));
  fault.snapped = &n;
  fault.copy = &crashed;
  fault.snap_at = at;
  atomic_store(&fault.calls, 0);
  redo_extend(&copies, n.db->gen->fd);
  int added = atomic_load(&fault.calls); /* now the target is durable */
  OK(dq_db_checkpoint(n.db, copies.lsn, copies.filed_from, NULL, NULL));
  int calls = atomic_load(&fault.calls);
  fault.snap_at = 0;
  if (at > calls) node_copy_files(&n, &crashed, "crash"); /* written, but "done" was lost */
  if (at > added) redo_restore(&copies, &crashed);
  node_open(&crashed);
  for (int i = 0; i < 4; i++) {
    if (i >= (at > added ? target : 0)) OK(dq_db_apply(crashed.db, log[i].pages, log[i].numbers, log[i].images, log[i].page_count, log[i].checksum, NULL));
    free(log[i].numbers);
    free(log[i].images);
  }
  same_image(&n, &crashed);
  OK(node_checkpoint(&crashed));
  same_image(&n, &crashed);
  dq_snapshot_close(view);
  redo_free(&copies);
  conn_close(&w);
  node_stop(&n), node_stop(&crashed);
  return at <= calls;
}

TEST(A_crash_at_any_call_of_a_checkpoint_is_repaired_from_copies) {
  faults_on();
  for (int target = 1; target <= 4; target++)
    for (int extends = 0; extends < 2; extends++)
      for (int at = 1; crash_in_checkpoint(target, extends, at); at++) {
      }
  faults_off();
}
