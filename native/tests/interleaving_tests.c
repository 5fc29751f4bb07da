/* Single traps that random load rarely springs: each test is one interleaving. */
#include <fcntl.h>
#include <unistd.h>

#include "hooks.h"

#define SUM "SELECT sum(length(b) * a) + count(*) FROM t"
#define FILL "WITH RECURSIVE c(x) AS (SELECT 2 UNION ALL SELECT x+1 FROM c WHERE x <= 100) INSERT INTO t SELECT x, hex(zeroblob(300)) FROM c"

static void start(node *n, conn *a, conn *b, uint32_t page_size) {
  node_start(n, "trap", page_size, 0);
  node_lead(n);
  conn_open(a, n, 1);
  conn_open(b, n, 1);
  OK(write_own(a, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
  OK(write_own(a, "INSERT INTO t VALUES(1, 'one')"));
  OK(write_own(a, FILL));
  replicate_all(n, NULL);
  OK(node_checkpoint(n));
}

static void stop(node *n, conn *a, conn *b) {
  conn_close(a);
  conn_close(b);
  node_stop(n);
}

static void commit_sql(conn *c, const char *sql) {
  OK(write_own(c, sql));
  replicate_all(c->n, NULL);
}

static uint8_t *images_of(const dq_batch *b) {
  uint8_t *images = malloc((size_t)b->pages * b->page_size + 1);
  OK(dq_batch_read(b, 0, b->pages, images));
  return images;
}

/* ---- between the two READ locks ------------------------------------------------------------ */

static struct {
  conn *reader, *writer;
  const char *sql;
  int read_locks, commits_left, busy;
} gap;

/* After the unlock that follows a changed header and before the second lock. */
static void in_the_gap(const io_event *e) {
  if (e->c != gap.reader || e->call != IO_LOCK || !e->after || e->offset < DQ_TEST_READ_LOCK || (e->flags & SQLITE_SHM_EXCLUSIVE) || gap.busy) return;
  if (e->flags & SQLITE_SHM_LOCK) gap.read_locks++;
  else if (state(gap.reader).in_read && gap.commits_left-- > 0) {
    gap.busy = 1;
    commit_sql(gap.writer, gap.sql);
    OK(node_checkpoint(gap.writer->n));
    gap.busy = 0;
  }
}

static void commit_between_the_read_locks(const char *sql, int own) {
  node n;
  conn a, w, r;
  start(&n, &a, &w, 1024);
  conn_open(&r, &n, own);
  io_watch(&r);
  OK(run(&r, "PRAGMA cache_size=2"));
  value(&r, SUM);
  commit_sql(&a, "UPDATE t SET b = b || 'x'"); /* so that the next read finds another header */
  int64_t expected = value(&a, SUM);
  memset(&gap, 0, sizeof gap);
  gap.reader = &r;
  gap.writer = &w;
  gap.sql = sql;
  gap.commits_left = 30;
  io_hook = in_the_gap;
  EQ(expected, value(&r, SUM));
  EQ(2, gap.read_locks);
  EQ(29, gap.commits_left);
  gap.commits_left = 0;
  CHECK(value(&r, SUM) != expected);
  CHECK(strcmp(text(&r, "PRAGMA integrity_check"), "ok") == 0);
  io_hook = NULL;
  io_forget(&r);
  conn_close(&r);
  stop(&n, &a, &w);
}

TEST(The_second_read_lock_accepts_the_snapshot_of_the_first_and_keeps_its_pages) {
  for (int own = 0; own < 2; own++) {
    commit_between_the_read_locks("UPDATE t SET b = b || 'y'", own);
    commit_between_the_read_locks("INSERT INTO t(b) VALUES(hex(zeroblob(9000)))", own); /* another page count */
    commit_between_the_read_locks("DELETE FROM t WHERE a > 5", own);
  }
}

/* ---- a SELECT that stays open across commits of its own connection ----------------------------- */

static struct {
  conn *writer, *other;
  int done;
} behind;

/* Behind the commit point and before SQLite gives WRITE back. */
static void behind_the_commit_point(const io_event *e) {
  if (e->c != behind.writer || e->call != IO_LOCK || e->after || e->offset != DQ_TEST_WRITE_LOCK || !(e->flags & SQLITE_SHM_UNLOCK) || behind.done) return;
  behind.done = 1;
  commit_sql(behind.other, "UPDATE t SET b = 'other'");
  OK(node_checkpoint(behind.other->n));
}

TEST(A_handle_past_its_commit_point_keeps_the_pages_of_its_own_state) {
  node n;
  conn a, w;
  sqlite3_stmt *s;
  start(&n, &a, &w, 1024);
  io_watch(&a);
  OK(run(&a, "PRAGMA cache_size=2"));
  OK(sq.prepare_v2(a.sql, "SELECT a, b FROM t", -1, &s, NULL));
  EQ(SQLITE_ROW, sq.step(s));
  behind.writer = &a;
  behind.other = &w;
  behind.done = 0;
  io_hook = behind_the_commit_point;
  OK(arm(&a));
  OK(run(&a, "UPDATE t SET b = 'mine' WHERE a % 10 = 0")); /* few: they leave the cache before they are read */
  io_hook = NULL;
  EQ(1, behind.done);
  int rows = 1, mine = 0, other = 0;
  while (sq.step(s) == SQLITE_ROW) {
    rows++;
    if (strcmp((const char *)sq.column_text(s, 1), "mine") == 0) mine++;
    if (strcmp((const char *)sq.column_text(s, 1), "other") == 0) other++;
  }
  OK(sq.finalize(s));
  EQ(101, rows);
  EQ(0, other);
  EQ(10, mine);
  EQ(101, value(&a, "SELECT count(*) FROM t WHERE b = 'other'"));
  io_forget(&a);
  stop(&n, &a, &w);
}

TEST(An_open_select_sees_every_commit_of_its_own_connection) {
  node n;
  conn a, w;
  sqlite3_stmt *s;
  start(&n, &a, &w, 1024);
  OK(run(&a, "PRAGMA cache_size=2"));
  OK(sq.prepare_v2(a.sql, "SELECT a, b FROM t", -1, &s, NULL));
  EQ(SQLITE_ROW, sq.step(s));
  for (int i = 0; i < 4; i++) { /* transactions of the same number of frames */
    OK(arm(&a));
    OK(run(&a, i % 2 ? "UPDATE t SET b = 'even' WHERE a = 90" : "UPDATE t SET b = 'odd' WHERE a = 90"));
    EQ(state(&a).draft_lsn, state(&a).snapshot_lsn);
  }
  int seen = 0;
  while (sq.step(s) == SQLITE_ROW) seen |= strcmp((const char *)sq.column_text(s, 1), "even") == 0;
  OK(sq.finalize(s));
  EQ(1, seen);
  stop(&n, &a, &w);
}

/* ---- what a transaction drafts -------------------------------------------------------------------- */

TEST(Frames_that_rollback_to_cut_off_are_not_drafted) {
  node n, f;
  conn a, w;
  node_start(&f, "trap_f", 1024, 0);
  node_start(&n, "trap", 1024, 0);
  node_lead(&n);
  conn_open(&a, &n, 1);
  conn_open(&w, &f, 0);
  OK(write_own(&a, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
  OK(write_own(&a, FILL));
  OK(arm(&a));
  OK(run(&a, "PRAGMA cache_size=4; BEGIN IMMEDIATE; INSERT INTO t(b) SELECT 'spilled' || b FROM t"));
  OK(run(&a, "SAVEPOINT s; INSERT INTO t(b) SELECT 'cut off' || b FROM t; UPDATE t SET b = 'cut off' || b WHERE a < 50; ROLLBACK TO s"));
  OK(run(&a, "UPDATE t SET b = 'kept' WHERE a = 2; COMMIT")); /* fewer frames than there were */
  replicate_all(&n, &f);
  EQ(1, value(&w, "SELECT count(*) FROM t WHERE b = 'kept'"));
  EQ(0, value(&w, "SELECT count(*) FROM t WHERE b LIKE 'cut off%'"));
  EQ(0, value(&a, "SELECT count(*) FROM t WHERE b LIKE 'cut off%'"));
  CHECK(strcmp(text(&w, "PRAGMA integrity_check"), "ok") == 0);
  same_image(&n, &f);
  conn_close(&a), conn_close(&w);
  node_stop(&n), node_stop(&f);
}

/* SQLite writes every page that it adds, as far as is known; so the log is written by hand. */
static int draft_of_page_1(conn *a, uint32_t page_count) {
  uint8_t wal_header[32] = {0}, frame[24] = {0}, page[1024];
  dq_snapshot *s;
  OK(dq_snapshot_open(a->n->db, &s, NULL, NULL, NULL));
  OK(dq_snapshot_page(s, 1, page));
  dq_snapshot_close(s);
  for (int i = 0; i < 4; i++) page[28 + i] = frame[4 + i] = (uint8_t)(page_count >> (24 - 8 * i));
  frame[3] = 1;
  OK(arm(a));
  OK(dq_handle_read_lock(a->h));
  dq_handle_read_unlock(a->h); /* its header had changed */
  OK(dq_handle_read_lock(a->h));
  OK(dq_handle_write_lock(a->h));
  OK(dq_wal_write(a->h, wal_header, 32, 0));
  OK(dq_wal_write(a->h, frame, 24, 32));
  int rc = dq_wal_write(a->h, page, 1024, 32 + 24);
  dq_handle_write_unlock(a->h);
  dq_handle_read_unlock(a->h);
  dq_slot_release(a->n->db, a->ticket);
  return rc;
}

TEST(Pages_that_a_transaction_added_and_never_wrote_are_zero_on_every_node) {
  node n, f, again;
  conn a;
  node_start(&f, "holes_f", 1024, 0);
  node_start(&n, "holes", 1024, 0);
  node_lead(&n);
  conn_open(&a, &n, 1);
  OK(draft_of_page_1(&a, 5));
  EQ(1, node_state(&n).queued_drafts);
  replicate_all(&n, &f);
  EQ(5, node_state(&n).page_count);
  same_image(&n, &f);
  OK(node_checkpoint(&n));
  same_image(&n, &f);
  node_copy_files(&n, &again, "holes_again");
  node_open(&again);
  same_image(&n, &again);
  conn_close(&a);
  node_stop(&n), node_stop(&f), node_stop(&again);
}

TEST(A_commit_that_adds_more_pages_than_a_transaction_may_have_is_refused) {
  node n;
  conn a;
  node_prepare(&n, "holes", 1024, 0);
  n.config.max_transaction_bytes = 50 * 1024;
  node_open(&n);
  OK(dq_db_set_serving(n.db, 0));
  node_lead(&n);
  conn_open(&a, &n, 1);
  EQ(DQ_TOO_LARGE, draft_of_page_1(&a, 0xfffffff0));
  EQ(DQ_TOO_LARGE, state(&a).last_error);
  EQ(DQ_TOO_LARGE, draft_of_page_1(&a, 52));
  EQ(0, node_state(&n).queued_drafts);
  OK(draft_of_page_1(&a, 51));
  conn_close(&a);
  node_stop(&n);
}

/* ---- batches and fences ------------------------------------------------------------------------------ */

TEST(A_batch_keeps_its_images_whatever_becomes_of_the_drafts) {
  node n;
  conn a, w;
  dq_batch *batch;
  start(&n, &a, &w, 1024);
  OK(write_own(&a, "UPDATE t SET b = 'polled' || b WHERE a < 50"));
  OK(dq_db_poll(n.db, 1 << 20, &batch));
  uint8_t *images = images_of(batch);
  OK(dq_db_fence(n.db, batch->lsn_last));
  node_lead(&n);
  OK(write_own(&w, "UPDATE t SET b = b || 'others'"));
  replicate_all(&n, NULL);
  OK(node_checkpoint(&n));
  uint8_t *later = images_of(batch);
  CHECK(memcmp(images, later, (size_t)batch->pages * batch->page_size) == 0);
  free(later);
  free(images);
  dq_batch_free(batch);
  stop(&n, &a, &w);
}

TEST(A_handle_that_saw_the_first_of_two_dropped_schema_changes_is_dead) {
  node n;
  conn a, w;
  start(&n, &a, &w, 4096);
  OK(write_own(&w, "CREATE TABLE mine(x)"));
  OK(arm(&a));
  EQ(0, value(&a, "SELECT count(*) FROM mine"));
  dq_slot_release(n.db, a.ticket);
  OK(write_own(&w, "CREATE TABLE later(x)"));
  OK(dq_db_fence(n.db, 0));
  EQ(DQ_LEADERSHIP_LOST, state(&a).dead);
  EQ(DQ_LEADERSHIP_LOST, state(&w).dead);
  stop(&n, &a, &w);
}

TEST(A_handle_that_made_a_dropped_schema_change_and_read_nothing_since_is_dead) {
  node n;
  conn a, w;
  start(&n, &a, &w, 4096);
  OK(write_own(&a, "CREATE TABLE mine(x)"));
  OK(dq_db_fence(n.db, 0));
  EQ(DQ_LEADERSHIP_LOST, state(&a).dead);
  EQ(0, state(&w).dead); /* it was there before, and saw nothing */
  stop(&n, &a, &w);
}

TEST(A_lease_ends_with_the_lead) {
  node n;
  conn a, w, r;
  start(&n, &a, &w, 4096);
  conn_open(&r, &n, 0);
  EQ(101, value(&r, "SELECT count(*) FROM t"));
  EQ(0, atomic_load(&n.barriers));
  OK(dq_db_fence(n.db, 0));
  OK(dq_db_lead(n.db, 2)); /* and no lease yet */
  EQ(101, value(&r, "SELECT count(*) FROM t"));
  EQ(1, atomic_load(&n.barriers));
  conn_close(&r);
  stop(&n, &a, &w);
}

/* ---- blocking handles: what happens while they wait ----------------------------------------------------- */

static struct {
  node *n;
  dq_batch *batch;
  int waits;
} lost;

/* Another leader's entries pass the LSN of a proposed draft that was lost. */
static void lose_the_draft(int64_t deadline) {
  (void)deadline;
  if (lost.waits++ == 0) {
    OK(dq_db_poll(lost.n->db, 1 << 20, &lost.batch));
    OK(dq_db_fence(lost.n->db, lost.batch->lsn_last));
    dq_batch *b = lost.batch;
    uint8_t page[1024];
    uint64_t lsn;
    dq_snapshot *s;
    uint32_t count, number = 2;
    OK(dq_snapshot_open(lost.n->db, &s, NULL, &count, NULL));
    OK(dq_snapshot_page(s, number, page));
    dq_snapshot_close(s);
    for (int i = 0; i < 3; i++) OK(dq_db_apply(lost.n->db, 1, &number, page, count, 0, &lsn));
    CHECK(lsn > b->lsn_last);
  } else {
    OK(dq_db_resolve(lost.n->db, lost.batch->lsn_first, lost.batch->lsn_last, 0));
  }
}

TEST(A_lost_draft_is_not_committed_by_later_entries) {
  node n;
  conn a, w, plain;
  hooks_on();
  start(&n, &a, &w, 1024);
  conn_open(&plain, &n, 0);
  memset(&lost, 0, sizeof lost);
  lost.n = &n;
  wait_hook = lose_the_draft;
  EQ(DQ_NOT_LEADER, run(&plain, "INSERT INTO t(b) VALUES('lost')"));
  EQ(2, lost.waits);
  EQ(0, value(&plain, "SELECT count(*) FROM t WHERE b = 'lost'"));
  dq_batch_free(lost.batch);
  conn_close(&plain);
  stop(&n, &a, &w);
  hooks_off();
}

static node *waiting;
static int waits;

static void commit_everything(int64_t deadline) {
  (void)deadline;
  waits++;
  replicate_all(waiting, NULL);
}

TEST(A_row_of_returning_leaves_a_plain_handle_only_when_no_draft_is_undecided) {
  node n;
  conn a, w, plain;
  sqlite3_stmt *s;
  hooks_on();
  start(&n, &a, &w, 4096);
  conn_open(&plain, &n, 0);
  EQ(101, value(&plain, "SELECT count(*) FROM t"));
  waiting = &n;
  waits = 0;
  wait_hook = commit_everything;
  OK(write_own(&a, "INSERT INTO t(b) VALUES('draft')"));
  OK(sq.prepare_v2(plain.sql, "INSERT INTO t(b) VALUES('plain') RETURNING (SELECT count(*) FROM t)", -1, &s, NULL));
  EQ(SQLITE_ROW, sq.step(s)); /* before its own commit point */
  EQ(1, waits);
  EQ(node_state(&n).d, node_state(&n).c);
  EQ(SQLITE_DONE, sq.step(s));
  EQ(2, waits);
  OK(sq.finalize(s));
  conn_close(&plain);
  stop(&n, &a, &w);
  hooks_off();
}

TEST(A_row_of_incremental_vacuum_leaves_a_plain_handle_only_when_no_draft_is_undecided) {
  node n;
  conn own, plain;
  sqlite3_stmt *s;
  hooks_on();
  node_start(&n, "trap", 1024, 2);
  node_lead(&n);
  conn_open(&own, &n, 1);
  OK(write_own(&own, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
  OK(write_own(&own, FILL));
  replicate_all(&n, NULL);
  conn_open(&plain, &n, 0);
  waiting = &n;
  waits = 0;
  wait_hook = commit_everything;
  OK(write_own(&own, "DELETE FROM t WHERE a > 50"));
  OK(sq.prepare_v2(plain.sql, "PRAGMA incremental_vacuum(5)", -1, &s, NULL));
  EQ(SQLITE_ROW, sq.step(s));
  EQ(1, waits);
  while (sq.step(s) == SQLITE_ROW) {
  }
  OK(sq.finalize(s));
  EQ(2, waits);
  conn_close(&plain), conn_close(&own);
  node_stop(&n);
  hooks_off();
}

static uint64_t schema_lsn;

static void no_undecided_schema(const io_event *e) {
  if (e->call != IO_LOCK || !e->after || e->rc || e->offset < DQ_TEST_READ_LOCK || !(e->flags & SQLITE_SHM_LOCK) || (e->flags & SQLITE_SHM_EXCLUSIVE)) return;
  CHECK(state(e->c).snapshot_lsn < schema_lsn || node_state(e->c->n).c >= schema_lsn);
}

/* (SQLite would notice the cookie, and read the committed schema, in vain.) */
TEST(A_plain_handle_is_never_given_a_snapshot_with_an_undecided_schema) {
  node n;
  conn a, w, plain;
  hooks_on();
  start(&n, &a, &w, 4096);
  conn_open(&plain, &n, 0);
  io_watch(&plain);
  waiting = &n;
  waits = 0;
  wait_hook = commit_everything;
  OK(write_own(&a, "ALTER TABLE t ADD COLUMN c DEFAULT 5"));
  schema_lsn = node_state(&n).d;
  io_hook = no_undecided_schema;
  OK(run(&plain, "UPDATE t SET b = 'plain' WHERE a = 1"));
  EQ(2, waits); /* for the schema, and for its own commit */
  EQ(5, value(&plain, "SELECT c FROM t WHERE b = 'plain'"));
  io_hook = NULL;
  io_forget(&plain);
  conn_close(&plain);
  stop(&n, &a, &w);
  hooks_off();
}

static int apply_in_barrier(node *n) {
  uint8_t page[4096];
  OK(dq_canonical_page1(page, 4096, 0));
  page[60 + 3] = 7; /* user_version */
  uint32_t number = 1;
  OK(dq_db_apply(n->db, 1, &number, page, 1, 0, NULL));
  return SQLITE_OK;
}

TEST(A_snapshot_is_taken_after_the_barrier_and_not_before_it) {
  node n;
  conn strict;
  node_start(&n, "trap", 4096, 0);
  conn_open_uri(&strict, &n, "&level=linearizable");
  EQ(0, value(&strict, "PRAGMA user_version"));
  n.on_barrier = apply_in_barrier;
  EQ(7, value(&strict, "PRAGMA user_version"));
  conn_close(&strict);
  node_stop(&n);
}

TEST(A_plain_statement_that_wrote_only_temporary_tables_gives_the_slot_back) {
  node n;
  conn a, w, plain;
  start(&n, &a, &w, 4096);
  conn_open(&plain, &n, 0);
  OK(run(&plain, "CREATE TEMP TABLE x(a)"));
  OK(run(&plain, "INSERT INTO x SELECT count(*) FROM t"));
  EQ(0, state(&plain).holds_slot);
  OK(run(&plain, "BEGIN; INSERT INTO x SELECT count(*) FROM t; COMMIT"));
  OK(dq_slot_request(n.db, 5));
  dq_slot_release(n.db, 5);
  EQ(2, value(&plain, "SELECT count(*) FROM x WHERE a = 101"));
  conn_close(&plain);
  stop(&n, &a, &w);
}

TEST(Sqlite_never_checkpoints_a_private_log) {
  node n;
  conn a, w;
  start(&n, &a, &w, 4096);
  for (int mode = 0; mode <= 3; mode++) EQ(SQLITE_BUSY, sq.wal_checkpoint_v2(a.sql, NULL, mode, NULL, NULL)); /* PASSIVE to TRUNCATE */
  stop(&n, &a, &w);
}
