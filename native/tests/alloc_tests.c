/* Any allocation may fail: an error comes back, nothing is half done. */
#include "harness.h"

static int allocations, fail_at;
static int fail_once(void) { return ++allocations == fail_at; }

typedef int (*step_fn)(void *);

static struct {
  node a, b;
  conn own, plain;
  dq_batch *batch;
  uint8_t *images;
} s;

static int open_connections(void *unused) {
  (void)unused;
  int rc = sq.open_v2(s.a.path, &s.plain.sql, 0x2, DQ_VFS_NAME);
  if (rc == SQLITE_OK) rc = sq.exec(s.plain.sql, "SELECT * FROM sqlite_master", NULL, NULL, NULL);
  sq.close_v2(s.plain.sql);
  return rc;
}

static int write_rows(void *unused) {
  (void)unused;
  uint64_t drafts = node_state(&s.a).drafts;
  int rc = write_own(&s.own, "INSERT INTO t(b) VALUES(randomblob(20000))");
  /* Published and drafted go together, except behind the commit point. */
  if (rc == SQLITE_OK) EQ(drafts + 1, node_state(&s.a).drafts);
  else EQ(drafts, node_state(&s.a).drafts);
  return rc;
}

static int request(void *unused) {
  (void)unused;
  int rc = dq_slot_request(s.a.db, 5);
  if (rc == SQLITE_OK) dq_slot_release(s.a.db, 5);
  return rc;
}

static int poll_drafts(void *unused) {
  (void)unused;
  int rc = dq_db_poll(s.a.db, 1 << 20, &s.batch);
  if (rc == SQLITE_OK) CHECK(s.batch != NULL);
  return rc;
}

static int apply(void *unused) {
  (void)unused;
  return dq_db_apply(s.b.db, s.batch->pages, s.batch->page_numbers, s.images, s.batch->page_count, s.batch->checksum, NULL);
}

static int checkpoint(void *n) { return node_checkpoint(n); }

static int snapshot(void *unused) {
  (void)unused;
  dq_snapshot *snap;
  int rc = dq_snapshot_open(s.a.db, &snap, NULL, NULL, NULL);
  if (rc == SQLITE_OK) dq_snapshot_close(snap);
  return rc;
}

static int build(void *unused) {
  (void)unused;
  uint64_t sum;
  char path[256];
  snprintf(path, sizeof path, "%s", scratch("alloc_built.db"));
  return dq_db_create_files(path, scratch("alloc_built.sums"), 4096, 0, &sum);
}

static int reopen(void *unused) {
  (void)unused;
  return dq_db_reopen(s.b.db, s.b.config.page_count, s.b.config.checksum);
}

/* Fails the n-th allocation of the step; then the step must succeed. 1: it got so far. */
static int with_failure(step_fn step, void *arg, int n) {
  allocations = 0;
  fail_at = n;
  dq_alloc_fault = fail_once;
  int rc = step(arg);
  dq_alloc_fault = NULL;
  if (allocations >= n && rc == SQLITE_OK && step != open_connections) return 1; /* a failure that it could do without */
  if (rc) OK(step(arg));
  return allocations >= n;
}

TEST(Any_failing_allocation_is_reported_and_changes_nothing) {
  for (int n = 1;; n++) {
    int reached = 0;
    memset(&s, 0, sizeof s);
    node_start(&s.a, "alloc", 1024, 0);
    node_start(&s.b, "alloc_b", 1024, 0);
    node_lead(&s.a);
    conn_open(&s.own, &s.a, 1);
    OK(write_own(&s.own, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
    reached |= with_failure(open_connections, NULL, n);
    reached |= with_failure(write_rows, NULL, n);
    reached |= with_failure(request, NULL, n);
    reached |= with_failure(poll_drafts, NULL, n);
    s.images = malloc((size_t)s.batch->pages * 1024);
    OK(dq_batch_read(s.batch, 0, s.batch->pages, s.images));
    reached |= with_failure(apply, NULL, n);
    OK(dq_db_commit(s.a.db, s.batch->lsn_last));
    same_image(&s.a, &s.b);
    reached |= with_failure(snapshot, NULL, n);
    reached |= with_failure(build, NULL, n);
    reached |= with_failure(checkpoint, &s.a, n);
    reached |= with_failure(checkpoint, &s.b, n);
    reached |= with_failure(reopen, NULL, n);
    same_image(&s.a, &s.b);
    CHECK(strcmp(text(&s.own, "PRAGMA integrity_check"), "ok") == 0);
    EQ(0, node_state(&s.a).poisoned);
    dq_batch_free(s.batch);
    free(s.images);
    conn_close(&s.own);
    node_stop(&s.a), node_stop(&s.b);
    if (!reached) break;
  }
}

TEST(A_poisoned_database_answers_its_code_to_everyone) {
  node n;
  conn own, plain;
  background b;
  dq_batch *batch;
  node_start(&n, "poison", 4096, 0);
  node_lead(&n);
  conn_open(&own, &n, 1);
  conn_open(&plain, &n, 0);
  OK(write_own(&own, "CREATE TABLE t(a)"));
  replicate_all(&n, NULL);
  OK(dq_slot_request(n.db, 1));
  EQ(SQLITE_BUSY, dq_slot_request(n.db, 2));
  dq_slot_release(n.db, 1);
  dq_slot_release(n.db, 2);
  background_start(&b, &plain, "INSERT INTO t VALUES(1)");
  wait_drafts(&n, 1);
  dq_lock(n.db);
  EQ(DQ_POISONED, dq_poison(n.db));
  dq_unlock(n.db);
  EQ(DQ_NOT_LEADER, background_join(&b)); /* never polled: definite */
  EQ(-1000 - DQ_POISONED, value(&plain, "SELECT count(*) FROM t"));
  EQ(DQ_POISONED, dq_db_poll(n.db, 1, &batch));
  EQ(DQ_POISONED, dq_db_commit(n.db, 9));
  EQ(DQ_POISONED, dq_slot_request(n.db, 3));
  EQ(DQ_POISONED, dq_db_checkpoint(n.db, 1, 0, NULL, NULL));
  EQ(DQ_POISONED, dq_db_lead(n.db, 5));
  EQ(1, node_state(&n).poisoned);
  conn_close(&own), conn_close(&plain);
  node_stop(&n);
}
