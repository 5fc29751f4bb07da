/* The writer slot: fairness, hand-off, revocation, cancellation. */
#include <sched.h>
#include <unistd.h>

#include "harness.h"

static void start(node *n, int64_t hold_ns) {
  node_prepare(n, "slot", 4096, 0);
  n->config.slot_hold_ns = hold_ns;
  node_open(n);
  OK(dq_db_set_serving(n->db, 0));
  conn c;
  node_lead(n);
  conn_open(&c, n, 1);
  OK(write_own(&c, "CREATE TABLE t(a)"));
  replicate_all(n, NULL);
  conn_close(&c);
}

TEST(Tickets_are_granted_in_order_and_may_be_cancelled) {
  node n;
  start(&n, 0);
  EQ(SQLITE_MISUSE, dq_slot_request(n.db, 0));
  EQ(SQLITE_OK, dq_slot_request(n.db, 1));
  EQ(SQLITE_BUSY, dq_slot_request(n.db, 2));
  EQ(SQLITE_BUSY, dq_slot_request(n.db, 3));
  EQ(SQLITE_BUSY, dq_slot_request(n.db, 4));
  EQ(1, dq_slot_cancel(n.db, 3));
  EQ(0, dq_slot_cancel(n.db, 3));
  EQ(0, dq_slot_cancel(n.db, 1));
  dq_slot_release(n.db, 99); /* not the holder: nothing */
  EQ(0, atomic_load(&n.slots_decided));
  dq_slot_release(n.db, 1);
  EQ(2, atomic_load(&n.slot_ticket));
  dq_slot_release(n.db, 1);
  EQ(1, atomic_load(&n.slots_decided));
  dq_slot_release(n.db, 2);
  EQ(4, atomic_load(&n.slot_ticket));
  EQ(SQLITE_BUSY, dq_slot_request(n.db, 5));
  OK(dq_db_fence(n.db, 0));
  EQ(DQ_NOT_LEADER, atomic_load(&n.slot_rc));
  EQ(5, atomic_load(&n.slot_ticket));
  EQ(DQ_NOT_LEADER, dq_slot_request(n.db, 6));
  node_stop(&n);
}

TEST(A_full_log_refuses_the_slot_and_lets_its_holder_finish) {
  node n;
  conn a, b, plain;
  start(&n, 0);
  conn_open(&a, &n, 1);
  conn_open(&b, &n, 1);
  conn_open(&plain, &n, 0);
  OK(arm(&a));
  OK(run(&a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1)"));
  OK(dq_db_set_drafting(n.db, SQLITE_FULL));
  EQ(SQLITE_FULL, dq_slot_request(n.db, 77));
  EQ(SQLITE_FULL, run(&plain, "INSERT INTO t VALUES(2)"));
  OK(run(&a, "COMMIT"));
  EQ(1, node_state(&n).queued_drafts);
  replicate_all(&n, NULL);
  OK(dq_db_set_drafting(n.db, SQLITE_OK));
  OK(write_own(&b, "INSERT INTO t VALUES(3)"));
  replicate_all(&n, NULL);
  EQ(2, value(&plain, "SELECT count(*) FROM t"));
  conn_close(&a);
  conn_close(&b);
  conn_close(&plain);
  node_stop(&n);
}

TEST(A_slot_that_becomes_free_while_the_log_is_full_goes_to_nobody) {
  node n;
  start(&n, 0);
  OK(dq_slot_request(n.db, 1));
  EQ(SQLITE_BUSY, dq_slot_request(n.db, 2));
  OK(dq_db_set_drafting(n.db, SQLITE_FULL));
  dq_slot_release(n.db, 1);
  EQ(0, atomic_load(&n.slots_decided));
  OK(dq_db_set_drafting(n.db, SQLITE_OK));
  EQ(1, atomic_load(&n.slots_decided));
  EQ(2, atomic_load(&n.slot_ticket));
  node_stop(&n);
}

/* SQLite ends the write, reads the schema and begins again, all in one step. */
TEST(A_ticket_keeps_the_slot_while_sqlite_reads_a_changed_schema) {
  node n;
  conn a, b;
  start(&n, 0);
  conn_open(&a, &n, 1);
  conn_open(&b, &n, 1);
  OK(write_own(&b, "INSERT INTO t VALUES(1)"));
  OK(write_own(&a, "CREATE TABLE u(a)"));
  OK(write_own(&b, "INSERT INTO t VALUES(2)"));
  OK(write_own(&a, "ALTER TABLE t ADD COLUMN c DEFAULT 5"));
  OK(arm(&b));
  OK(run(&b, "BEGIN; INSERT INTO t(a) VALUES(3); COMMIT"));
  replicate_all(&n, NULL);
  EQ(3, value(&a, "SELECT count(*) FROM t WHERE c = 5"));
  conn_close(&a), conn_close(&b);
  node_stop(&n);
}

TEST(A_revoked_transaction_can_no_longer_draft) {
  node n;
  conn a, b;
  start(&n, 0);
  conn_open(&a, &n, 1);
  conn_open(&b, &n, 1);
  OK(arm(&a));
  OK(run(&a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1)"));
  EQ(1, dq_slot_revoke(n.db, a.ticket, DQ_SLOT_REVOKED));
  EQ(0, dq_slot_revoke(n.db, a.ticket, DQ_SLOT_REVOKED));
  OK(write_own(&b, "INSERT INTO t VALUES(2)"));
  EQ(DQ_SLOT_REVOKED, run(&a, "COMMIT"));
  EQ(DQ_SLOT_REVOKED, state(&a).last_error);
  EQ(1, node_state(&n).queued_drafts);
  replicate_all(&n, NULL);
  EQ(2, value(&a, "SELECT sum(a) FROM t"));
  /* Armed, but not in a transaction yet. */
  OK(arm(&a));
  EQ(1, dq_slot_revoke(n.db, a.ticket, DQ_SLOT_REVOKED));
  EQ(DQ_SLOT_REVOKED, run(&a, "INSERT INTO t VALUES(3)"));
  EQ(SQLITE_BUSY, dq_handle_arm(a.h, a.ticket));
  OK(write_own(&a, "INSERT INTO t VALUES(4)"));
  conn_close(&a), conn_close(&b);
  node_stop(&n);
}

TEST(A_write_transaction_that_holds_the_slot_too_long_is_revoked_by_a_waiter) {
  node n;
  conn a, plain;
  background b;
  start(&n, 20000000);
  conn_open(&a, &n, 1);
  conn_open(&plain, &n, 0);
  OK(arm(&a));
  OK(run(&a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1)"));
  background_start(&b, &plain, "INSERT INTO t VALUES(2)");
  wait_drafts(&n, 1);
  EQ(DQ_SLOT_REVOKED, run(&a, "COMMIT"));
  replicate_all(&n, NULL);
  OK(background_join(&b));
  EQ(2, value(&a, "SELECT sum(a) FROM t"));
  conn_close(&a), conn_close(&plain);
  node_stop(&n);
}

TEST(A_handle_that_is_closed_gives_the_slot_back) {
  node n;
  conn a;
  start(&n, 0);
  conn_open(&a, &n, 1);
  OK(arm(&a));
  conn_close(&a);
  EQ(SQLITE_OK, dq_slot_request(n.db, 5));
  dq_slot_release(n.db, 5);
  conn_open(&a, &n, 0);
  OK(run(&a, "BEGIN IMMEDIATE"));
  EQ(1, state(&a).holds_slot);
  EQ(SQLITE_BUSY, dq_slot_request(n.db, 6));
  conn_close(&a); /* in mid-transaction */
  EQ(6, atomic_load(&n.slot_ticket));
  node_stop(&n);
}

/* Fairness: no writer starves while the others hammer. */
#define WRITERS 6
static atomic_int stop_writing;

typedef struct hammer {
  conn c;
  pthread_t thread;
  int commits, errors;
  int64_t worst_ns;
} hammer;

static void *hammer_main(void *arg) {
  hammer *h = arg;
  while (!atomic_load(&stop_writing)) {
    int64_t begin = dq_now_ns();
    int rc = run(&h->c, "INSERT INTO t VALUES(1)");
    int64_t took = dq_now_ns() - begin;
    if (took > h->worst_ns) h->worst_ns = took;
    if (rc) h->errors++;
    else h->commits++;
  }
  return NULL;
}

TEST(Contending_plain_writers_all_get_their_turn) {
  node n;
  hammer h[WRITERS] = {0};
  int total = 0;
  start(&n, 1000000000);
  atomic_store(&stop_writing, 0);
  for (int i = 0; i < WRITERS; i++) {
    conn_open(&h[i].c, &n, 0);
    pthread_create(&h[i].thread, NULL, hammer_main, &h[i]);
  }
  for (int64_t end = dq_now_ns() + 500000000; dq_now_ns() < end;) {
    replicate_all(&n, NULL);
    sched_yield();
  }
  atomic_store(&stop_writing, 1);
  for (int i = 0; i < WRITERS; i++) {
    while (pthread_tryjoin_np(h[i].thread, NULL) != 0) {
      replicate_all(&n, NULL);
      sched_yield();
    }
    EQ(0, h[i].errors);
    CHECK(h[i].commits > 0);
    CHECK(h[i].worst_ns < 2000000000);
    total += h[i].commits;
  }
  EQ(total, value(&h[0].c, "SELECT count(*) FROM t"));
  for (int i = 0; i < WRITERS; i++) conn_close(&h[i].c);
  node_stop(&n);
}
