/* Drafts, fences and what they do to handles. */
#include "harness.h"

static void start(node *n, conn *a, conn *b) {
  node_start(n, "fence", 4096, 0);
  node_lead(n);
  conn_open(a, n, 1);
  conn_open(b, n, 1);
  OK(write_own(a, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
  OK(write_own(a, "INSERT INTO t VALUES(1, 'one')"));
  replicate_all(n, NULL);
}

static void stop(node *n, conn *a, conn *b) {
  conn_close(a);
  conn_close(b);
  node_stop(n);
}

TEST(Drafts_pile_up_and_one_poll_coalesces_them) {
  node n;
  conn a, b;
  dq_batch *batch;
  start(&n, &a, &b);
  for (int i = 0; i < 20; i++) OK(write_own(i % 2 ? &a : &b, "INSERT INTO t(b) VALUES('more')"));
  EQ(20, node_state(&n).queued_drafts);
  OK(dq_db_poll(n.db, 1, &batch)); /* at least one */
  EQ(1, batch->drafts);
  dq_batch *rest;
  OK(dq_db_poll(n.db, 1 << 20, &rest));
  EQ(19, rest->drafts);
  CHECK(rest->pages < 19);
  for (uint32_t i = 1; i < rest->pages; i++) CHECK(rest->page_numbers[i] > rest->page_numbers[i - 1]);
  EQ(SQLITE_MISUSE, dq_db_commit(n.db, rest->lsn_last + 1));
  OK(dq_db_commit(n.db, batch->lsn_last));
  EQ(2, value(&a, "SELECT count(*) FROM t"));
  OK(dq_db_commit(n.db, rest->lsn_last));
  CHECK(node_state(&n).checksum == rest->checksum);
  EQ(21, value(&a, "SELECT count(*) FROM t"));
  EQ(0, node_state(&n).undecided_bytes);
  dq_batch_free(batch);
  dq_batch_free(rest);
  stop(&n, &a, &b);
}

TEST(Only_drafts_that_were_polled_can_be_committed) {
  node n;
  conn a, b;
  dq_batch *batch;
  start(&n, &a, &b);
  for (int i = 0; i < 3; i++) OK(write_own(&a, "INSERT INTO t(b) VALUES('draft')"));
  dq_db_state s = node_state(&n);
  for (uint64_t lsn = s.c + 1; lsn <= s.d; lsn++) EQ(SQLITE_MISUSE, dq_db_commit(n.db, lsn));
  OK(dq_db_poll(n.db, 1, &batch));
  EQ(SQLITE_MISUSE, dq_db_commit(n.db, s.d));
  OK(dq_db_commit(n.db, batch->lsn_last));
  EQ(2, value(&b, "SELECT count(*) FROM t"));
  dq_batch_free(batch);
  replicate_all(&n, NULL);
  EQ(4, value(&b, "SELECT count(*) FROM t"));
  stop(&n, &a, &b);
}

TEST(Own_handle_without_the_slot_is_told_busy_and_stale_upgrade_517) {
  node n;
  conn a, b;
  start(&n, &a, &b);
  EQ(SQLITE_BUSY, run(&a, "INSERT INTO t(b) VALUES('x')"));
  OK(run(&a, "BEGIN; SELECT * FROM t"));
  OK(write_own(&b, "INSERT INTO t(b) VALUES('x')"));
  OK(arm(&a));
  EQ(DQ_UPGRADE_CONFLICT, run(&a, "INSERT INTO t(b) VALUES('y')"));
  OK(run(&a, "ROLLBACK"));
  dq_slot_release(n.db, a.ticket);
  stop(&n, &a, &b);
}

TEST(Rollback_savepoint_and_cache_spill_draft_only_what_was_committed) {
  node n, f;
  conn a, b;
  start(&n, &a, &b);
  node_copy_files(&n, &f, "fence2"); /* still the empty database: apply everything again */
  OK(arm(&a));
  OK(run(&a, "PRAGMA cache_size=5; BEGIN IMMEDIATE"));
  OK(run(&a, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 300) INSERT INTO t(b) SELECT randomblob(900) FROM c"));
  OK(run(&a, "SAVEPOINT s; UPDATE t SET b = randomblob(3000); ROLLBACK TO s; UPDATE t SET b = randomblob(20) WHERE a % 3 = 0; RELEASE s"));
  int64_t expected = value(&a, "SELECT sum(length(b)) FROM t");
  OK(run(&a, "COMMIT"));
  EQ(1, node_state(&n).queued_drafts);
  replicate_all(&n, NULL);
  EQ(expected, value(&b, "SELECT sum(length(b)) FROM t"));
  OK(arm(&a));
  OK(run(&a, "BEGIN IMMEDIATE; UPDATE t SET b = randomblob(3000)"));
  OK(run(&a, "ROLLBACK"));
  EQ(0, node_state(&n).queued_drafts);
  EQ(expected, value(&b, "SELECT sum(length(b)) FROM t"));
  CHECK(strcmp(text(&a, "PRAGMA integrity_check"), "ok") == 0);
  stop(&n, &a, &b);
}

TEST(Synchronous_full_and_an_open_select_do_not_disturb_the_commit_point) {
  node n;
  conn a, b;
  sqlite3_stmt *s;
  start(&n, &a, &b);
  OK(run(&a, "PRAGMA synchronous=FULL"));
  for (int i = 0; i < 300; i++) OK(write_own(&a, "INSERT INTO t(b) VALUES(randomblob(500))"));
  replicate_all(&n, NULL);
  OK(sq.prepare_v2(a.sql, "SELECT b FROM t", -1, &s, NULL));
  EQ(SQLITE_ROW, sq.step(s)); /* the read transaction stays open across three commits */
  for (int i = 0; i < 3; i++) {
    EQ(i ? SQLITE_BUSY : SQLITE_OK, i ? SQLITE_BUSY : arm(&a));
    if (i) OK(arm(&a));
    OK(run(&a, "UPDATE t SET b = randomblob(400) WHERE a % 2 = 0"));
  }
  EQ(3, node_state(&n).queued_drafts);
  int rows = 1;
  while (sq.step(s) == SQLITE_ROW) rows++;
  OK(sq.finalize(s));
  EQ(301, rows);
  replicate_all(&n, NULL);
  CHECK(strcmp(text(&b, "PRAGMA integrity_check"), "ok") == 0);
  EQ(301, value(&b, "SELECT count(*) FROM t"));
  stop(&n, &a, &b);
}

TEST(A_handle_that_saw_only_rows_dropped_goes_on) {
  node n;
  conn a, b;
  start(&n, &a, &b);
  OK(write_own(&a, "INSERT INTO t(b) VALUES('dropped')"));
  OK(dq_db_fence(n.db, 0));
  EQ(0, state(&a).dead);
  EQ(1, value(&a, "SELECT count(*) FROM t"));
  node_lead(&n);
  OK(write_own(&a, "INSERT INTO t VALUES(77, 'kept')"));
  replicate_all(&n, NULL);
  EQ(77, value(&b, "SELECT max(a) FROM t"));
  CHECK(strcmp(text(&a, "PRAGMA integrity_check"), "ok") == 0);
  stop(&n, &a, &b);
}

/* DDL in drafts that are dropped; then another connection makes another table
** under the same cookie. Returns what the first connection's INSERT answered. */
static int cookie_trap(int flush_only, int64_t *strangers, int writes) {
  node n;
  conn a, b;
  start(&n, &a, &b);
  OK(write_own(&a, "CREATE TABLE mine(x)"));
  if (!writes) { /* a second handle that only read the draft */
    conn_close(&a);
    conn_open(&a, &n, 1);
    OK(arm(&a));
    EQ(0, value(&a, "SELECT count(*) FROM mine"));
    dq_slot_release(n.db, a.ticket);
  } else {
    OK(write_own(&a, "INSERT INTO mine VALUES(1)"));
  }
  OK(arm(&a));
  int64_t cookie = value(&a, "PRAGMA schema_version"); /* the draft's */
  dq_slot_release(n.db, a.ticket);
  OK(dq_db_fence(n.db, 0));
  EQ(DQ_LEADERSHIP_LOST, state(&a).dead);
  if (flush_only) a.h->dead = 0; /* the mutant */
  node_lead(&n);
  OK(write_own(&b, "CREATE TABLE theirs(y)"));
  replicate_all(&n, NULL);
  EQ(cookie, value(&b, "PRAGMA schema_version"));
  int rc = write_own(&a, "INSERT INTO mine VALUES('a stranger')");
  replicate_all(&n, NULL);
  *strangers = value(&b, "SELECT count(*) FROM theirs");
  if (!flush_only) {
    EQ(-1000 - DQ_LEADERSHIP_LOST, value(&a, "SELECT 1 FROM t"));
    CHECK(strcmp(text(&b, "PRAGMA integrity_check"), "ok") == 0);
  }
  stop(&n, &a, &b);
  return rc;
}

TEST(Schema_cookie_trap_a_handle_that_saw_dropped_ddl_is_dead) {
  int64_t strangers;
  for (int writes = 0; writes < 2; writes++) {
    EQ(DQ_LEADERSHIP_LOST, cookie_trap(0, &strangers, writes));
    EQ(0, strangers);
    /* The proof that this test can fail: with a flush alone the row lands in the
    ** other table. */
    EQ(SQLITE_OK, cookie_trap(1, &strangers, writes));
    EQ(1, strangers);
  }
}

TEST(Fence_in_mid_transaction_revokes_it) {
  node n;
  conn a, b;
  start(&n, &a, &b);
  /* A write transaction over committed state: no effect, 10250. */
  OK(arm(&a));
  OK(run(&a, "BEGIN IMMEDIATE; INSERT INTO t(b) VALUES('x')"));
  OK(dq_db_fence(n.db, 0));
  EQ(DQ_NOT_LEADER, run(&a, "COMMIT"));
  node_lead(&n);
  /* A write transaction over a draft: 10506. */
  OK(write_own(&b, "INSERT INTO t(b) VALUES('draft')"));
  OK(arm(&a));
  OK(run(&a, "BEGIN IMMEDIATE; INSERT INTO t(b) VALUES('x')"));
  EQ(2, value(&a, "SELECT count(*) - 1 FROM t"));
  OK(dq_db_fence(n.db, 0));
  EQ(DQ_LEADERSHIP_LOST, state(&a).revoked);
  EQ(DQ_LEADERSHIP_LOST, run(&a, "COMMIT"));
  node_lead(&n);
  EQ(1, value(&a, "SELECT count(*) FROM t"));
  OK(write_own(&a, "INSERT INTO t(b) VALUES('fine')"));
  replicate_all(&n, NULL);
  EQ(2, value(&b, "SELECT count(*) FROM t"));
  stop(&n, &a, &b);
}

TEST(Fence_between_lease_terms_never_lets_a_stale_transaction_draft) {
  node n;
  conn a, b;
  start(&n, &a, &b);
  OK(arm(&a));
  OK(run(&a, "BEGIN IMMEDIATE; INSERT INTO t(b) VALUES('stale')"));
  OK(dq_db_fence(n.db, 0));
  node_lead(&n); /* leading again before the transaction has noticed anything */
  OK(write_own(&b, "INSERT INTO t(b) VALUES('new')"));
  EQ(DQ_NOT_LEADER, run(&a, "COMMIT"));
  replicate_all(&n, NULL);
  EQ(2, value(&b, "SELECT count(*) FROM t"));
  EQ(0, value(&b, "SELECT count(*) FROM t WHERE b = 'stale'"));
  stop(&n, &a, &b);
}

TEST(A_draft_that_survives_a_fence_is_read_under_its_new_lsn) {
  node n;
  conn a, b;
  dq_batch *batch;
  uint64_t lsn;
  start(&n, &a, &b);
  OK(write_own(&a, "INSERT INTO t VALUES(2, 'survives')"));
  uint64_t draft = state(&a).draft_lsn;
  OK(dq_db_poll(n.db, 1 << 20, &batch));
  OK(dq_db_fence(n.db, batch->lsn_last));
  EQ(1, value(&a, "SELECT count(*) FROM t"));
  uint8_t *images = malloc((size_t)batch->pages * 4096);
  OK(dq_batch_read(batch, 0, batch->pages, images));
  EQ(SQLITE_CORRUPT, dq_db_apply(n.db, batch->pages, batch->page_numbers, images, batch->page_count, batch->checksum ^ 1, &lsn));
  OK(dq_db_apply(n.db, batch->pages, batch->page_numbers, images, batch->page_count, batch->checksum, &lsn));
  CHECK(lsn > draft); /* never reused */
  EQ(2, value(&a, "SELECT count(*) FROM t"));
  free(images);
  dq_batch_free(batch);
  stop(&n, &a, &b);
}

TEST(An_entry_must_carry_every_page_that_it_adds) {
  node n;
  uint8_t pages[3 * 1024];
  const uint32_t numbers[] = {1, 2, 4};
  node_start(&n, "gaps", 1024, 0);
  OK(dq_canonical_page1(pages, 1024, 0));
  memset(pages + 1024, 0, 2048);
  const uint32_t refused[] = {2, 3, 4, 5, UINT32_MAX - 1, UINT32_MAX};
  for (int i = 0; i < 6; i++) EQ(SQLITE_CORRUPT, dq_db_apply(n.db, i == 0 ? 1 : 3, numbers, pages, refused[i], 0, NULL));
  EQ(1, node_state(&n).c);
  OK(dq_db_apply(n.db, 3, numbers, pages, 2, 0, NULL)); /* what is above the count is not part of it */
  EQ(2, node_state(&n).page_count);
  node_stop(&n);
}

TEST(A_transaction_over_the_limit_has_no_effect) {
  node n;
  conn a;
  node_prepare(&n, "large", 4096, 0);
  n.config.max_transaction_bytes = 50 * 4096;
  node_open(&n);
  OK(dq_db_set_serving(n.db, 0));
  node_lead(&n);
  conn_open(&a, &n, 1);
  OK(write_own(&a, "CREATE TABLE t(a, b)"));
  EQ(DQ_TOO_LARGE, write_own(&a, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 100) INSERT INTO t SELECT x, randomblob(3000) FROM c"));
  EQ(DQ_TOO_LARGE, state(&a).last_error);
  EQ(0, value(&a, "SELECT count(*) FROM sqlite_master WHERE name = 'x'"));
  OK(write_own(&a, "INSERT INTO t VALUES(1, 2)"));
  EQ(2, node_state(&n).queued_drafts);
  conn_close(&a);
  node_stop(&n);
}

TEST(Too_many_undecided_bytes_close_the_slot_until_they_fall) {
  node n;
  conn a;
  node_prepare(&n, "undecided", 4096, 0);
  n.config.max_undecided_bytes = 10 * 4096;
  node_open(&n);
  OK(dq_db_set_serving(n.db, 0));
  node_lead(&n);
  conn_open(&a, &n, 1);
  OK(write_own(&a, "CREATE TABLE t(a, b)"));
  OK(write_own(&a, "INSERT INTO t VALUES(1, randomblob(60000))"));
  EQ(SQLITE_BUSY, dq_slot_request(n.db, 7));
  EQ(0, atomic_load(&n.slots_decided));
  replicate_all(&n, NULL);
  EQ(1, atomic_load(&n.slots_decided));
  EQ(SQLITE_OK, atomic_load(&n.slot_rc));
  dq_slot_release(n.db, 7);
  conn_close(&a);
  node_stop(&n);
}
