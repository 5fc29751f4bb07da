/*
** Everything at once: library and plain writers, readers with an invariant,
** a stand-in for Raft that commits, fences, drops and lets entries survive,
** a follower, checkpoints on both; and a twin on a plain SQLite file.
*/
#include <sched.h>
#include <unistd.h>

#include "harness.h"

#define RUN_SECONDS 3 /* $DQ_STRESS_SECONDS for a longer hunt */
#define ACCOUNTS 20
#define WRITERS 4 /* half library handles, half plain */
#define READERS 3
#define MAX_SEQ 200000

static struct world {
  node leader, follower;
  uint64_t seed;
  atomic_int stop_writers, stop_readers, stop_raft;
  atomic_int dead_handles, fences, snapshots_gone, refused, unknown, reads, checkpoints;
  atomic_ullong oks;
} w;

typedef struct actor {
  pthread_t thread;
  int id, own;
  node *n;
  uint64_t seed;
  int seq;
  uint8_t *fate; /* by seq: 1 acknowledged, 2 refused, 3 unknown */
} actor;

static int known_refusal(int rc) {
  return rc == DQ_NOT_LEADER || rc == DQ_LEADERSHIP_LOST || rc == DQ_SLOT_REVOKED || rc == DQ_SLOT_TIMEOUT || rc == DQ_UPGRADE_CONFLICT ||
         rc == SQLITE_BUSY || rc == DQ_SNAPSHOT_GONE;
}

/* One transaction that keeps the sum of all accounts and marks its sequence number. */
static int transfer(conn *c, actor *a, int seq) {
  char sql[512];
  uint32_t from = rnd(&a->seed) % ACCOUNTS, to = rnd(&a->seed) % ACCOUNTS, amount = rnd(&a->seed) % 100;
  snprintf(sql, sizeof sql,
           "BEGIN IMMEDIATE; UPDATE acc SET v = v - %u WHERE id = %u; UPDATE acc SET v = v + %u WHERE id = %u;"
           "INSERT INTO log(writer, seq, pad) VALUES(%d, %d, randomblob(%u)); DELETE FROM pad WHERE a < (SELECT max(a) - 200 FROM pad); COMMIT",
           amount, from, amount, to, a->id, seq, rnd(&a->seed) % 300);
  return run(c, sql);
}

static int one_write(conn *c, actor *a, int seq) {
  char sql[256];
  uint32_t kind = rnd(&a->seed) % 14;
  if (kind < 10) return transfer(c, a, seq);
  if (kind == 10 && a->own) { /* DDL in drafts: the cookie trap's hunting ground */
    snprintf(sql, sizeof sql, "BEGIN IMMEDIATE; DROP TABLE IF EXISTS d%d; CREATE TABLE d%d(x%u); INSERT INTO log(writer, seq) VALUES(%d, %d); INSERT INTO d%d VALUES(%d); COMMIT",
             a->id, a->id, rnd(&a->seed) % 9, a->id, seq, a->id, a->id);
    return run(c, sql);
  }
  if (kind == 11) { /* a constraint violation: must never be acknowledged */
    int rc = run(c, "INSERT INTO acc(id, v) VALUES(0, 0)");
    if (rc == SQLITE_OK) test_fail(__FILE__, __LINE__, "a duplicate key was accepted");
    return rc == (SQLITE_CONSTRAINT | 6 << 8) || (rc & 0xff) == SQLITE_CONSTRAINT ? -1 : rc;
  }
  if (kind == 12) {
    int rc = run(c, "BEGIN IMMEDIATE; INSERT INTO pad(b) VALUES(randomblob(20000)); ROLLBACK");
    return rc ? rc : -1;
  }
  snprintf(sql, sizeof sql, "INSERT INTO log(writer, seq, pad) VALUES(%d, %d, randomblob(%u))", a->id, seq, rnd(&a->seed) % 2000);
  return run(c, sql);
}

/* A library handle's success means only "drafted". */
static void *writer_main(void *arg) {
  actor *a = arg;
  conn c;
  conn_open(&c, a->n, a->own);
  while (!atomic_load(&w.stop_writers) && a->seq < MAX_SEQ) {
    int rc = a->own ? arm(&c) : SQLITE_OK, seq = a->seq++;
    if (rc == SQLITE_OK) {
      rc = one_write(&c, a, seq);
      if (rc == SQLITE_BUSY && a->own) test_fail(__FILE__, __LINE__, "writer %d had the slot and was told BUSY", a->id);
    }
    if (a->own) dq_slot_release(a->n->db, c.ticket);
    dq_handle_state s = state(&c);
    if (rc > 0) run(&c, "ROLLBACK");
    if (rc == SQLITE_OK) {
      a->fate[seq] = a->own ? 3 : 1;
      atomic_fetch_add(&w.oks, 1);
    } else if (rc == -1) {
      a->fate[seq] = 2;
    } else if (rc == DQ_OUTCOME_UNKNOWN) {
      a->fate[seq] = 3;
      atomic_fetch_add(&w.unknown, 1);
    } else {
      a->fate[seq] = a->own && s.draft_lsn ? 3 : 2;
      atomic_fetch_add(&w.refused, 1);
      if (!known_refusal(rc) && rc != 17 && !(rc == 1 && a->own)) test_fail(__FILE__, __LINE__, "writer %d (own %d): %d %s", a->id, a->own, rc, last_error);
    }
    if (s.dead) {
      atomic_fetch_add(&w.dead_handles, 1);
      conn_close(&c);
      conn_open(&c, a->n, a->own);
    }
    if (rc == DQ_NOT_LEADER) sched_yield();
  }
  conn_close(&c);
  return NULL;
}

static void *reader_main(void *arg) {
  actor *a = arg;
  conn c;
  conn_open(&c, a->n, a->own);
  run(&c, "PRAGMA cache_size=10");
  while (!atomic_load(&w.stop_readers)) {
    int in_transaction = rnd(&a->seed) % 3 == 0;
    if (in_transaction) run(&c, "BEGIN");
    for (int i = 0; i < (in_transaction ? 5 : 1); i++) {
      int64_t sum = value(&c, "SELECT sum(v) FROM acc");
      if (sum == -1000 - DQ_SNAPSHOT_GONE) {
        atomic_fetch_add(&w.snapshots_gone, 1);
        break;
      }
      if (sum != ACCOUNTS * 1000) test_fail(__FILE__, __LINE__, "reader %d: sum %lld", a->id, (long long)sum);
      atomic_fetch_add(&w.reads, 1);
      if (in_transaction && rnd(&a->seed) % 20 == 0) usleep(50000); /* slow enough to be revoked */
    }
    if (in_transaction) run(&c, "ROLLBACK");
    usleep(rnd(&a->seed) % 300); /* a spinning reader would only starve the others of the processor */
    if (rnd(&a->seed) % 50 == 0) {
      const char *answer = text(&c, "PRAGMA quick_check");
      if (strcmp(answer, "ok") != 0 && !strstr(answer, "error") && state(&c).last_error != DQ_SNAPSHOT_GONE) test_fail(__FILE__, __LINE__, "quick_check: %s", answer);
    }
  }
  conn_close(&c);
  return NULL;
}

/* ---- a stand-in for Raft ------------------------------------------------------------------- */

static void apply_batch(node *n, dq_batch *b) {
  uint8_t *images = malloc((size_t)b->pages * b->page_size + 1);
  OK(dq_batch_read(b, 0, b->pages, images));
  OK(dq_db_apply(n->db, b->pages, b->page_numbers, images, b->page_count, b->checksum, NULL));
  free(images);
}

static void commit_batch(dq_batch *b) {
  apply_batch(&w.follower, b); /* the follower may well be first */
  OK(dq_db_commit(w.leader.db, b->lsn_last));
  dq_batch_free(b);
}

#define PIPELINE 4

static void fence(dq_batch **pipe, int count, uint64_t *seed) {
  int survivors = count ? (int)(rnd(seed) % (uint32_t)(count + 1)) : 0;
  OK(dq_db_fence(w.leader.db, count ? pipe[count - 1]->lsn_last : 0));
  atomic_fetch_add(&w.fences, 1);
  for (int i = 0; i < count; i++) {
    if (i < survivors) {
      apply_batch(&w.leader, pipe[i]);
      apply_batch(&w.follower, pipe[i]);
    }
    OK(dq_db_resolve(w.leader.db, pipe[i]->lsn_first, pipe[i]->lsn_last, i < survivors));
    dq_batch_free(pipe[i]);
  }
  OK(dq_db_lead(w.leader.db, (uint64_t)atomic_load(&w.fences) + 1));
  dq_db_set_lease(w.leader.db, INT64_MAX);
}

static void *raft_main(void *arg) {
  (void)arg;
  uint64_t seed = w.seed ^ 77;
  dq_batch *pipe[PIPELINE];
  int count = 0;
  while (!atomic_load(&w.stop_raft) || node_state(&w.leader).queued_drafts || count) {
    dq_batch *b = NULL;
    if (count < PIPELINE) OK(dq_db_poll(w.leader.db, 256 * 1024, &b));
    if (b) pipe[count++] = b;
    if (rnd(&seed) % (count ? 20 : 200) == 0 && !atomic_load(&w.stop_raft)) {
      fence(pipe, count, &seed);
      count = 0;
    }
    if (count && (count == PIPELINE || !b || rnd(&seed) % 3 == 0)) {
      commit_batch(pipe[0]);
      memmove(pipe, pipe + 1, (size_t)--count * sizeof *pipe);
    }
    if (rnd(&seed) % 4 == 0) usleep(rnd(&seed) % 1000); /* latency, so that drafts pile up */
  }
  return NULL;
}

static void *checkpoint_main(void *arg) {
  actor *a = arg;
  while (!atomic_load(&w.stop_readers)) {
    dq_snapshot *s;
    uint64_t lsn;
    OK(dq_snapshot_open(a->n->db, &s, &lsn, NULL, NULL));
    int rc = dq_db_checkpoint(a->n->db, lsn, 0, &a->n->config.page_count, &a->n->config.checksum);
    if (rc != DQ_SNAPSHOT_GONE && rc != SQLITE_BUSY) OK(rc);
    dq_snapshot_close(s);
    if (rc == SQLITE_OK) {
      OK(dq_db_checkpoint_done(a->n->db, lsn));
      atomic_fetch_add(&w.checkpoints, 1);
    }
    usleep(rnd(&a->seed) % 20000);
  }
  return NULL;
}

/* ---- the test -------------------------------------------------------------------------------- */

static void start_node(node *n, const char *name) {
  node_prepare(n, name, 1024, 0);
  n->config.max_version_bytes = 24 << 10; /* little: readers do get revoked */
  n->config.max_undecided_bytes = 1 << 20;
  n->config.slot_hold_ns = 200000000;
  n->config.slot_timeout_ns = 2000000000;
  n->config.commit_timeout_ns = 2000000000;
  node_open(n);
  OK(dq_db_set_serving(n->db, 0));
}

static void start_world(void) {
  conn c;
  char sql[256];
  memset(&w, 0, sizeof w);
  w.seed = test_seed();
  start_node(&w.leader, "stress");
  start_node(&w.follower, "stress_f");
  node_lead(&w.leader);
  conn_open(&c, &w.leader, 1);
  OK(write_own(&c, "CREATE TABLE acc(id INTEGER PRIMARY KEY, v)"));
  snprintf(sql, sizeof sql, "WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x+1 FROM c WHERE x < %d) INSERT INTO acc SELECT x, 1000 FROM c", ACCOUNTS - 1);
  OK(write_own(&c, sql));
  OK(write_own(&c, "CREATE TABLE log(writer, seq, pad, PRIMARY KEY(writer, seq))"));
  OK(write_own(&c, "CREATE TABLE pad(a INTEGER PRIMARY KEY, b)"));
  replicate_all(&w.leader, &w.follower);
  conn_close(&c);
}

static void check_fates(actor *writers) {
  conn c;
  sqlite3_stmt *s;
  uint8_t *present[WRITERS];
  for (int i = 0; i < WRITERS; i++) present[i] = calloc(1, MAX_SEQ);
  conn_open(&c, &w.follower, 0);
  OK(sq.prepare_v2(c.sql, "SELECT writer, seq FROM log", -1, &s, NULL));
  while (sq.step(s) == SQLITE_ROW) present[sq.column_int64(s, 0)][sq.column_int64(s, 1)] = 1;
  OK(sq.finalize(s));
  conn_close(&c);
  for (int i = 0; i < WRITERS; i++) {
    for (int seq = 0; seq < writers[i].seq; seq++) {
      if (writers[i].fate[seq] == 1 && !present[i][seq]) test_fail(__FILE__, __LINE__, "writer %d lost acknowledged %d", i, seq);
      if (writers[i].fate[seq] == 2 && present[i][seq]) test_fail(__FILE__, __LINE__, "writer %d: refused %d is there", i, seq);
    }
    free(present[i]);
    free(writers[i].fate);
  }
}

static void check_plain_file(const char *path) {
  conn c = {0};
  OK(sq.open_v2(path, &c.sql, 0x2, "unix"));
  CHECK(strcmp(text(&c, "PRAGMA integrity_check"), "ok") == 0);
  EQ(ACCOUNTS * 1000, value(&c, "SELECT sum(v) FROM acc"));
  OK(sq.close_v2(c.sql));
}

TEST(Stress_writers_readers_fences_checkpoints_and_a_follower) {
  start_world();
  actor writers[WRITERS] = {0}, readers[READERS] = {0}, checkpoints[2] = {0};
  pthread_t raft;
  for (int i = 0; i < WRITERS; i++) {
    writers[i] = (actor){.id = i, .own = i % 2, .n = &w.leader, .seed = w.seed + (uint64_t)i * 101, .fate = calloc(1, MAX_SEQ)};
    pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]);
  }
  for (int i = 0; i < READERS; i++) {
    readers[i] = (actor){.id = i, .own = i == 1, .n = i == 2 ? &w.follower : &w.leader, .seed = w.seed + 7777 + (uint64_t)i};
    pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]);
  }
  for (int i = 0; i < 2; i++) {
    checkpoints[i] = (actor){.n = i ? &w.follower : &w.leader, .seed = w.seed + 999 + (uint64_t)i};
    pthread_create(&checkpoints[i].thread, NULL, checkpoint_main, &checkpoints[i]);
  }
  pthread_create(&raft, NULL, raft_main, NULL);
  const char *longer = getenv("DQ_STRESS_SECONDS");
  sleep(longer ? (unsigned)atoi(longer) : RUN_SECONDS);
  atomic_store(&w.stop_writers, 1);
  for (int i = 0; i < WRITERS; i++) pthread_join(writers[i].thread, NULL);
  atomic_store(&w.stop_raft, 1);
  pthread_join(raft, NULL);
  atomic_store(&w.stop_readers, 1);
  for (int i = 0; i < READERS; i++) pthread_join(readers[i].thread, NULL);
  for (int i = 0; i < 2; i++) pthread_join(checkpoints[i].thread, NULL);
  printf("  %llu ok, %d refused, %d unknown, %d fences, %d dead handles, %d reads, %d snapshots gone, %d checkpoints\n", (unsigned long long)atomic_load(&w.oks),
         atomic_load(&w.refused), atomic_load(&w.unknown), atomic_load(&w.fences), atomic_load(&w.dead_handles), atomic_load(&w.reads), atomic_load(&w.snapshots_gone),
         atomic_load(&w.checkpoints));
  CHECK(atomic_load(&w.oks) > 100);
  CHECK(atomic_load(&w.fences) > 0);
  check_fates(writers);
  same_image(&w.leader, &w.follower);
  OK(node_checkpoint(&w.leader));
  OK(node_checkpoint(&w.follower));
  same_image(&w.leader, &w.follower);
  EQ(0, node_state(&w.leader).version_bytes);
  EQ(0, node_state(&w.follower).version_bytes);
  same_as_file(&w.leader, w.leader.path);
  same_as_file(&w.follower, w.follower.path);
  node_stop(&w.leader);
  node_stop(&w.follower);
  check_plain_file(w.leader.path);
}

/* The same statements through the shim and on a plain WAL file: SQLite must
** produce the same bytes. */
static void random_statement(char *sql, size_t n, uint64_t *seed) {
  uint32_t a = rnd(seed) % 500, kind = rnd(seed) % 12;
  switch (kind) {
    case 0: snprintf(sql, n, "DELETE FROM t WHERE a %% 7 = %u", a % 7); break;
    case 1: snprintf(sql, n, "UPDATE t SET b = zeroblob(%u) WHERE a = %u", rnd(seed) % 9000, a); break;
    case 2: snprintf(sql, n, "BEGIN IMMEDIATE; INSERT INTO t(b) VALUES(zeroblob(%u)); SAVEPOINT s; DELETE FROM t WHERE a > %u; ROLLBACK TO s; UPDATE t SET b = 'x' WHERE a = %u; COMMIT", rnd(seed) % 3000, a, a); break;
    case 3: snprintf(sql, n, "BEGIN IMMEDIATE; DELETE FROM t; ROLLBACK"); break;
    case 4: snprintf(sql, n, "CREATE TABLE IF NOT EXISTS u%u(x, y)", a % 5); break;
    case 5: snprintf(sql, n, "DROP TABLE IF EXISTS u%u", a % 5); break;
    case 6: snprintf(sql, n, "CREATE INDEX IF NOT EXISTS i%u ON t(b)", a % 2); break;
    case 7: snprintf(sql, n, "DROP INDEX IF EXISTS i%u", a % 2); break;
    case 8: snprintf(sql, n, a % 10 ? "UPDATE t SET b = b WHERE a < 5" : "VACUUM"); break;
    default: snprintf(sql, n, "INSERT OR REPLACE INTO t VALUES(%u, zeroblob(%u))", a, rnd(seed) % 2000); break;
  }
}

TEST(A_twin_on_a_plain_file_has_the_same_bytes) {
  uint64_t seed = test_seed();
  for (uint32_t vacuum = 0; vacuum < 3; vacuum++) {
    node n, f, copy;
    conn c, twin = {0};
    char sql[512];
    uint32_t size = 512u << rnd(&seed) % 5;
    node_start(&n, "twin", size, vacuum);
    node_start(&f, "twin_f", size, vacuum);
    node_copy_files(&n, &copy, "twin_plain");
    node_lead(&n);
    conn_open(&c, &n, 1);
    OK(sq.open_v2(copy.path, &twin.sql, 0x2, "unix"));
    sq.extended_result_codes(twin.sql, 1);
    OK(run(&twin, "PRAGMA synchronous=OFF; PRAGMA cache_size=20"));
    OK(run(&c, "PRAGMA cache_size=20"));
    OK(write_own(&c, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
    OK(run(&twin, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
    for (int i = 0; i < 300; i++) {
      random_statement(sql, sizeof sql, &seed);
      int x = write_own(&c, sql), y = run(&twin, sql);
      if (x != y) test_fail(__FILE__, __LINE__, "%s: %d and %d", sql, x, y);
      if (rnd(&seed) % 4 == 0) replicate_all(&n, &f);
      if (rnd(&seed) % 30 == 0) OK(node_checkpoint(&n));
    }
    replicate_all(&n, &f);
    OK(run(&twin, "PRAGMA wal_checkpoint(TRUNCATE)"));
    OK(sq.close_v2(twin.sql));
    same_as_file(&n, copy.path);
    same_image(&n, &f);
    OK(node_checkpoint(&n));
    same_as_file(&n, n.path);
    same_as_file(&f, copy.path);
    conn_close(&c);
    node_stop(&n), node_stop(&f);
  }
}
