/* Blocking handles: unmodified connections, which must never see a draft. */
#include <sched.h>
#include <unistd.h>

#include "harness.h"

static void start(node *n, conn *own) {
  node_start(n, "plain", 4096, 0);
  node_lead(n);
  conn_open(own, n, 1);
  OK(write_own(own, "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)"));
  OK(write_own(own, "INSERT INTO t VALUES(1, 'one')"));
  replicate_all(n, NULL);
}

/* Long enough for a statement that does not wait to have ended. */
static void settle(void) { usleep(20000); }

TEST(Plain_commit_blocks_until_raft_has_committed) {
  node n;
  conn own, plain, reader;
  background b;
  start(&n, &own);
  conn_open(&plain, &n, 0);
  conn_open(&reader, &n, 0);
  background_start(&b, &plain, "INSERT INTO t VALUES(2, 'two')");
  wait_drafts(&n, 1);
  settle();
  EQ(0, atomic_load(&b.done));
  EQ(1, value(&reader, "SELECT count(*) FROM t"));
  OK(write_own(&own, "INSERT INTO t VALUES(3, 'three')")); /* the slot is free while it waits */
  replicate_all(&n, NULL);
  OK(background_join(&b));
  EQ(3, value(&reader, "SELECT count(*) FROM t"));
  EQ(3, value(&plain, "SELECT count(*) FROM t"));
  conn_close(&plain), conn_close(&reader), conn_close(&own);
  node_stop(&n);
}

TEST(Plain_commit_that_was_never_proposed_is_refused_by_a_fence) {
  node n;
  conn own, plain;
  background b;
  start(&n, &own);
  conn_open(&plain, &n, 0);
  background_start(&b, &plain, "CREATE TABLE dropped(x)");
  wait_drafts(&n, 1);
  OK(dq_db_fence(n.db, 0));
  EQ(DQ_NOT_LEADER, background_join(&b));
  EQ(DQ_NOT_LEADER, run(&plain, "INSERT INTO t VALUES(2, 'two')"));
  EQ(1, value(&plain, "SELECT count(*) FROM t"));
  EQ(0, state(&plain).dead);
  node_lead(&n);
  EQ(-1001, value(&plain, "SELECT count(*) FROM dropped")); /* no such table */
  background_start(&b, &plain, "INSERT INTO t VALUES(2, 'two')");
  wait_drafts(&n, 1);
  replicate_all(&n, NULL);
  OK(background_join(&b));
  EQ(2, value(&plain, "SELECT count(*) FROM t"));
  conn_close(&plain), conn_close(&own);
  node_stop(&n);
}

TEST(Plain_commit_that_was_proposed_waits_for_the_log_after_a_fence) {
  for (int committed = 0; committed < 2; committed++) {
    node n;
    conn own, plain;
    background b;
    dq_batch *batch;
    start(&n, &own);
    conn_open(&plain, &n, 0);
    background_start(&b, &plain, "INSERT INTO t VALUES(2, 'two')");
    wait_drafts(&n, 1);
    OK(dq_db_poll(n.db, 1 << 20, &batch));
    OK(dq_db_fence(n.db, batch->lsn_last));
    settle();
    EQ(0, atomic_load(&b.done));
    if (committed) { /* the next leader committed it: the entry is applied first */
      uint8_t *images = malloc((size_t)batch->pages * 4096);
      OK(dq_batch_read(batch, 0, batch->pages, images));
      OK(dq_db_apply(n.db, batch->pages, batch->page_numbers, images, batch->page_count, batch->checksum, NULL));
      free(images);
    }
    OK(dq_db_resolve(n.db, batch->lsn_first, batch->lsn_last, committed));
    EQ(committed ? SQLITE_OK : DQ_NOT_LEADER, background_join(&b));
    EQ(1 + committed, value(&plain, "SELECT count(*) FROM t"));
    dq_batch_free(batch);
    conn_close(&plain), conn_close(&own);
    node_stop(&n);
  }
}

TEST(Plain_commit_that_times_out_is_unknown_and_both_fates_are_consistent) {
  for (int committed = 0; committed < 2; committed++) {
    node n;
    conn own, plain;
    node_prepare(&n, "timeout", 4096, 0);
    n.config.commit_timeout_ns = 20000000;
    node_open(&n);
    OK(dq_db_set_serving(n.db, 0));
    node_lead(&n);
    conn_open(&own, &n, 1);
    OK(write_own(&own, "CREATE TABLE t(a)"));
    replicate_all(&n, NULL);
    conn_open(&plain, &n, 0);
    EQ(DQ_OUTCOME_UNKNOWN, run(&plain, "INSERT INTO t VALUES(1)"));
    EQ(DQ_OUTCOME_UNKNOWN, state(&plain).last_error);
    EQ(0, value(&plain, "SELECT count(*) FROM t"));
    if (committed) replicate_all(&n, NULL);
    else OK(dq_db_fence(n.db, 0));
    EQ(committed, value(&plain, "SELECT count(*) FROM t"));
    CHECK(strcmp(text(&plain, "PRAGMA integrity_check"), "ok") == 0);
    conn_close(&plain), conn_close(&own);
    node_stop(&n);
  }
}

TEST(A_select_that_is_open_across_a_commit_that_survived_a_fence_is_revoked) {
  node n;
  conn own, plain;
  background b;
  dq_batch *batch;
  sqlite3_stmt *s;
  start(&n, &own);
  OK(write_own(&own, "WITH RECURSIVE c(x) AS (SELECT 2 UNION ALL SELECT x+1 FROM c WHERE x < 100) INSERT INTO t SELECT x, hex(randomblob(500)) FROM c"));
  replicate_all(&n, NULL);
  conn_open(&plain, &n, 0);
  OK(run(&plain, "PRAGMA cache_size=2"));
  OK(sq.prepare_v2(plain.sql, "SELECT a, b FROM t", -1, &s, NULL));
  EQ(SQLITE_ROW, sq.step(s));
  background_start(&b, &plain, "UPDATE t SET b = b || 'x' WHERE a > 50");
  wait_drafts(&n, 1);
  OK(dq_db_poll(n.db, 1 << 20, &batch));
  OK(dq_db_fence(n.db, batch->lsn_last));
  uint8_t *images = malloc((size_t)batch->pages * 4096);
  OK(dq_batch_read(batch, 0, batch->pages, images));
  OK(dq_db_apply(n.db, batch->pages, batch->page_numbers, images, batch->page_count, batch->checksum, NULL));
  OK(dq_db_resolve(n.db, batch->lsn_first, batch->lsn_last, 1));
  OK(background_join(&b));
  int rc = SQLITE_ROW;
  while (rc == SQLITE_ROW) rc = sq.step(s);
  EQ(DQ_LEADERSHIP_LOST, rc);
  sq.finalize(s);
  EQ(50, value(&plain, "SELECT count(*) FROM t WHERE b LIKE '%x'"));
  CHECK(strcmp(text(&plain, "PRAGMA integrity_check"), "ok") == 0);
  free(images);
  dq_batch_free(batch);
  conn_close(&plain), conn_close(&own);
  node_stop(&n);
}

/* `sql` must not return before the draft that would change its answer is committed. */
static int waits_for_the_draft(const char *draft, const char *sql, int fence) {
  node n;
  conn own, plain;
  background b;
  int rc;
  start(&n, &own);
  conn_open(&plain, &n, 0);
  EQ(1, value(&plain, "SELECT count(*) FROM t"));
  OK(write_own(&own, draft));
  background_start(&b, &plain, sql);
  settle();
  EQ(0, atomic_load(&b.done));
  if (fence) {
    OK(dq_db_fence(n.db, 0));
  } else {
    while (!atomic_load(&b.done)) {
      replicate_all(&n, NULL);
      sched_yield();
    }
  }
  rc = background_join(&b);
  if (rc == SQLITE_OK) run(&plain, "ROLLBACK");
  conn_close(&plain), conn_close(&own);
  node_stop(&n);
  return rc;
}

TEST(Plain_begin_immediate_waits_until_no_draft_is_undecided) {
  OK(waits_for_the_draft("INSERT INTO t VALUES(2, 'two')", "BEGIN IMMEDIATE; SELECT * FROM t", 0));
  EQ(DQ_NOT_LEADER, waits_for_the_draft("INSERT INTO t VALUES(2, 'two')", "BEGIN IMMEDIATE; SELECT * FROM t", 1));
}

TEST(Plain_begin_immediate_is_recognised_behind_comments) {
  OK(waits_for_the_draft("INSERT INTO t VALUES(2, 'two')", " /* a */ -- b\n ; begin exclusive; SELECT * FROM t", 0));
}

TEST(Plain_returning_waits_until_no_draft_is_undecided) {
  OK(waits_for_the_draft("INSERT INTO t VALUES(2, 'two')", "INSERT INTO t VALUES(3, 'x') RETURNING (SELECT count(*) FROM t)", 0));
}

TEST(Plain_constraint_error_that_stems_from_a_draft_waits_for_it) {
  EQ(SQLITE_CONSTRAINT | 8 << 8, waits_for_the_draft("INSERT INTO t VALUES(2, 'two')", "INSERT INTO t VALUES(3, 'two')", 0));
}

TEST(Plain_statement_that_changes_no_row_waits_for_the_draft_it_read) {
  OK(waits_for_the_draft("DELETE FROM t", "UPDATE t SET b = 'x' WHERE a = 1", 0));
}

TEST(Plain_write_waits_for_a_draft_that_changes_the_schema) {
  OK(waits_for_the_draft("ALTER TABLE t ADD COLUMN c DEFAULT 5", "INSERT INTO t(a) VALUES(7)", 0));
}

TEST(Plain_write_does_not_even_draft_over_an_undecided_schema) {
  node n;
  conn own, plain;
  background b;
  start(&n, &own);
  conn_open(&plain, &n, 0);
  OK(write_own(&own, "ALTER TABLE t ADD COLUMN c DEFAULT 5"));
  background_start(&b, &plain, "INSERT INTO t(a) VALUES(7)");
  settle();
  EQ(1, node_state(&n).queued_drafts);
  OK(dq_db_fence(n.db, 0));
  EQ(DQ_NOT_LEADER, background_join(&b));
  node_lead(&n);
  OK(write_own(&own, "SELECT 1") == DQ_LEADERSHIP_LOST ? 0 : 1); /* the library's handle saw the DDL */
  EQ(-1001, value(&plain, "SELECT c FROM t")); /* no such column */
  conn_close(&own), conn_close(&plain);
  node_stop(&n);
}

TEST(Plain_reads_never_see_a_draft) {
  node n;
  conn own, plain;
  start(&n, &own);
  conn_open(&plain, &n, 0);
  OK(run(&plain, "BEGIN"));
  EQ(1, value(&plain, "SELECT count(*) FROM t"));
  OK(write_own(&own, "INSERT INTO t VALUES(2, 'two')"));
  EQ(1, value(&plain, "SELECT count(*) FROM t"));
  replicate_all(&n, NULL);
  EQ(1, value(&plain, "SELECT count(*) FROM t")); /* its snapshot */
  EQ(DQ_UPGRADE_CONFLICT, run(&plain, "INSERT INTO t VALUES(3, 'three')"));
  OK(run(&plain, "COMMIT"));
  EQ(2, value(&plain, "SELECT count(*) FROM t"));
  conn_close(&plain), conn_close(&own);
  node_stop(&n);
}

TEST(Plain_deferred_transaction_may_upgrade_when_nothing_has_changed) {
  node n;
  conn own, plain;
  background b;
  start(&n, &own);
  conn_open(&plain, &n, 0);
  OK(run(&plain, "BEGIN"));
  EQ(1, value(&plain, "SELECT count(*) FROM t"));
  OK(run(&plain, "INSERT INTO t VALUES(2, 'two')"));
  background_start(&b, &plain, "COMMIT");
  wait_drafts(&n, 1);
  replicate_all(&n, NULL);
  OK(background_join(&b));
  EQ(2, value(&plain, "SELECT count(*) FROM t"));
  conn_close(&plain), conn_close(&own);
  node_stop(&n);
}

TEST(Plain_waits_for_the_slot_and_times_out_with_773) {
  node n;
  conn own, plain;
  node_prepare(&n, "slot773", 4096, 0);
  n.config.slot_timeout_ns = 30000000;
  node_open(&n);
  OK(dq_db_set_serving(n.db, 0));
  node_lead(&n);
  conn_open(&own, &n, 1);
  conn_open(&plain, &n, 0);
  OK(write_own(&own, "CREATE TABLE t(a)"));
  replicate_all(&n, NULL);
  OK(arm(&own));
  OK(run(&own, "BEGIN IMMEDIATE"));
  EQ(DQ_SLOT_TIMEOUT, run(&plain, "INSERT INTO t VALUES(1)"));
  EQ(DQ_SLOT_TIMEOUT, run(&plain, "BEGIN IMMEDIATE"));
  OK(run(&plain, "BEGIN; SELECT * FROM t"));
  EQ(DQ_SLOT_TIMEOUT, run(&plain, "INSERT INTO t VALUES(1)"));
  OK(run(&plain, "ROLLBACK"));
  OK(run(&own, "ROLLBACK"));
  EQ(1, state(&own).holds_slot); /* nothing was drafted: the ticket keeps it */
  dq_slot_release(n.db, own.ticket);
  EQ(0, state(&own).holds_slot);
  conn_close(&own), conn_close(&plain);
  node_stop(&n);
}

TEST(Plain_reads_local_on_a_follower_and_writes_are_refused) {
  node n;
  conn plain, strict, relaxed;
  node_start(&n, "follower", 4096, 0);
  conn_open(&plain, &n, 0);
  conn_open_uri(&strict, &n, "&level=linearizable");
  conn_open_uri(&relaxed, &n, "&level=local");
  n.barrier_rc = DQ_NOT_LEADER;
  EQ(0, value(&plain, "SELECT count(*) FROM sqlite_master"));
  EQ(0, atomic_load(&n.barriers));
  EQ(-1000 - DQ_NOT_LEADER, value(&strict, "SELECT count(*) FROM sqlite_master"));
  EQ(1, atomic_load(&n.barriers));
  n.barrier_rc = 0;
  EQ(0, value(&strict, "SELECT count(*) FROM sqlite_master"));
  EQ(DQ_NOT_LEADER, run(&plain, "CREATE TABLE t(a)"));
  EQ(DQ_NOT_LEADER, run(&plain, "BEGIN IMMEDIATE"));
  /* With the lead: the lease answers until it ends, then the barrier. */
  node_lead(&n);
  int before = atomic_load(&n.barriers);
  EQ(0, value(&plain, "SELECT count(*) FROM sqlite_master"));
  EQ(0, value(&strict, "SELECT count(*) FROM sqlite_master"));
  EQ(before, atomic_load(&n.barriers));
  dq_db_set_lease(n.db, 1);
  EQ(0, value(&relaxed, "SELECT count(*) FROM sqlite_master"));
  EQ(before, atomic_load(&n.barriers));
  EQ(0, value(&plain, "SELECT count(*) FROM sqlite_master"));
  EQ(before + 1, atomic_load(&n.barriers));
  OK(run(&plain, "BEGIN IMMEDIATE"));
  EQ(before + 2, atomic_load(&n.barriers));
  OK(run(&plain, "ROLLBACK"));
  n.barrier_rc = DQ_NOT_LEADER;
  EQ(DQ_NOT_LEADER, run(&plain, "BEGIN IMMEDIATE"));
  EQ(0, state(&plain).holds_slot);
  conn_close(&plain), conn_close(&strict), conn_close(&relaxed);
  node_stop(&n);
}

TEST(Plain_temp_tables_work_on_a_follower) {
  node n;
  conn plain;
  node_start(&n, "temp", 4096, 0);
  conn_open(&plain, &n, 0);
  OK(run(&plain, "PRAGMA temp_store=FILE; CREATE TEMP TABLE x(a); INSERT INTO x SELECT count(*) FROM sqlite_master"));
  EQ(0, value(&plain, "SELECT a FROM x"));
  conn_close(&plain);
  node_stop(&n);
}

TEST(A_database_that_does_not_serve_answers_its_code) {
  node n;
  conn plain;
  node_start(&n, "serving", 4096, 0);
  conn_open(&plain, &n, 0);
  OK(dq_db_set_serving(n.db, DQ_NOT_LEADER));
  EQ(-1000 - DQ_NOT_LEADER, value(&plain, "SELECT count(*) FROM sqlite_master"));
  OK(dq_db_set_serving(n.db, 0));
  EQ(0, value(&plain, "SELECT count(*) FROM sqlite_master"));
  conn_close(&plain);
  node_stop(&n);
}

TEST(Handles_that_outlive_the_database_answer_not_leader) {
  node n, again;
  conn plain, own;
  background b;
  dq_batch *batch;
  dq_snapshot *snapshot;
  uint8_t page[4096];
  start(&n, &own);
  conn_open(&plain, &n, 0);
  background_start(&b, &plain, "INSERT INTO t VALUES(2, 'two')");
  wait_drafts(&n, 1);
  OK(dq_db_poll(n.db, 1 << 20, &batch));
  OK(dq_snapshot_open(n.db, &snapshot, NULL, NULL, NULL));
  OK(run(&own, "BEGIN; SELECT * FROM t"));
  again = n;
  node_stop(&n);
  EQ(DQ_OUTCOME_UNKNOWN, background_join(&b)); /* it was polled: perhaps proposed */
  EQ(-1000 - DQ_NOT_LEADER, value(&plain, "SELECT count(*) FROM t"));
  EQ(DQ_NOT_LEADER, state(&own).dead);
  /* The path is free again while old handles live. */
  again.config.page_count = 1;
  OK(dq_db_open(&again.config, &again.db));
  conn_close(&own), conn_close(&plain);
  OK(dq_snapshot_page(snapshot, 1, page));
  dq_snapshot_close(snapshot);
  CHECK(batch->pages > 0);
  dq_batch_free(batch);
  node_stop(&again);
}

/* The log is opened at the first read. The connections lie across each other in memory. */
TEST(A_connection_that_outlives_its_database_takes_no_log_of_a_later_one) {
  node n, again;
  conn old[16], later[16];
  node_start(&n, "plain", 4096, 0);
  for (int i = 0; i < 16; i++) conn_open(&old[i], &n, 0);
  for (int i = 0; i < 16; i += 2) conn_close(&old[i]);
  again = n;
  node_stop(&n);
  node_open(&again);
  OK(dq_db_set_serving(again.db, 0));
  for (int i = 0; i < 16; i++) conn_open(&later[i], &again, 0);
  for (int i = 1; i < 16; i += 2) EQ(-1000 - DQ_NOT_LEADER, value(&old[i], "SELECT count(*) FROM sqlite_master"));
  for (int i = 0; i < 16; i++) EQ(0, value(&later[i], "SELECT count(*) FROM sqlite_master"));
  for (int i = 1; i < 16; i += 2) conn_close(&old[i]);
  for (int i = 0; i < 16; i++) conn_close(&later[i]);
  node_stop(&again);
}
