/* The file: checkpoints beside readers, rot, generations, the lock page. */
#include <fcntl.h>
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

static void damage(const char *path, off_t offset) {
  int fd = open(path, O_RDWR);
  uint8_t byte;
  CHECK(pread(fd, &byte, 1, offset) == 1);
  byte ^= 1;
  CHECK(pwrite(fd, &byte, 1, offset) == 1);
  close(fd);
}

#define SUM "SELECT sum(length(b) * a) + count(*) FROM t"

TEST(Old_readers_keep_their_snapshot_across_checkpoints) {
  node n;
  conn w, r[4];
  int64_t expected[4];
  start(&n, &w, 1024, 0);
  OK(node_checkpoint(&n));
  for (int i = 0; i < 4; i++) {
    conn_open(&r[i], &n, 0);
    OK(run(&r[i], "PRAGMA cache_size=2; BEGIN")); /* so that pages are read again */
    expected[i] = value(&r[i], SUM);
    write_committed(&w, "UPDATE t SET b = randomblob(length(b) + 50) WHERE a % 3 = 0");
    write_committed(&w, "DELETE FROM t WHERE a % 17 = 0");
    if (i != 1) OK(node_checkpoint(&n));
    write_committed(&w, "INSERT INTO t(b) VALUES(randomblob(5000))");
    if (i == 2) OK(node_checkpoint(&n));
    for (int k = 0; k <= i; k++) EQ(expected[k], value(&r[k], SUM));
  }
  OK(node_checkpoint(&n));
  for (int i = 3; i >= 0; i--) {
    EQ(expected[i], value(&r[i], SUM));
    CHECK(strcmp(text(&r[i], "PRAGMA integrity_check"), "ok") == 0);
    OK(run(&r[i], "COMMIT"));
  }
  EQ(0, node_state(&n).dirty_pages);
  OK(node_checkpoint(&n));
  EQ(0, node_state(&n).version_bytes); /* nothing is kept for readers that ended */
  EQ(value(&w, SUM), value(&r[0], SUM));
  for (int i = 0; i < 4; i++) conn_close(&r[i]);
  conn_close(&w);
  node_stop(&n);
}

TEST(One_slow_reader_costs_at_most_one_version_per_page) {
  node n;
  conn w, slow, fast;
  start(&n, &w, 4096, 0);
  OK(node_checkpoint(&n));
  conn_open(&slow, &n, 0);
  conn_open(&fast, &n, 0);
  OK(run(&slow, "BEGIN"));
  int64_t expected = value(&slow, SUM);
  for (int i = 0; i < 50; i++) {
    write_committed(&w, "UPDATE t SET b = randomblob(600)");
    CHECK(value(&fast, "SELECT count(*) FROM t") == 200);
    if (i % 10 == 9) OK(node_checkpoint(&n));
  }
  CHECK(node_state(&n).version_bytes <= 2ull * node_state(&n).page_count * 4096);
  EQ(expected, value(&slow, SUM));
  conn_close(&slow), conn_close(&fast), conn_close(&w);
  node_stop(&n);
}

TEST(A_checkpoint_never_moves_a_draft) {
  node n, again;
  conn w, r;
  start(&n, &w, 4096, 0);
  OK(write_own(&w, "INSERT INTO t(b) VALUES('draft')"));
  OK(node_checkpoint(&n));
  node_copy_files(&n, &again, "ckpt2");
  node_open(&again); /* verifies the checksum of the committed state */
  OK(dq_db_set_serving(again.db, 0));
  conn_open(&r, &again, 0);
  EQ(200, value(&r, "SELECT count(*) FROM t"));
  conn_close(&r);
  node_stop(&again);
  EQ(SQLITE_MISUSE, dq_db_checkpoint(n.db, node_state(&n).d, 0, NULL, NULL));
  conn_close(&w);
  node_stop(&n);
}

TEST(A_checkpoint_of_an_older_state_needs_a_snapshot_that_holds_it) {
  node n, again;
  conn w, r;
  dq_snapshot *s;
  uint64_t lsn;
  start(&n, &w, 4096, 0);
  lsn = node_state(&n).c;
  write_committed(&w, "INSERT INTO t(b) VALUES('later')");
  EQ(SQLITE_BUSY, dq_db_checkpoint(n.db, lsn, 0, NULL, NULL));
  OK(dq_snapshot_open(n.db, &s, &lsn, NULL, NULL));
  write_committed(&w, "UPDATE t SET b = 'later still'");
  OK(dq_db_checkpoint(n.db, lsn, 0, &n.config.page_count, &n.config.checksum));
  dq_snapshot_close(s);
  OK(dq_db_checkpoint_done(n.db, lsn));
  EQ(SQLITE_MISUSE, dq_db_checkpoint_done(n.db, lsn));
  CHECK(node_state(&n).dirty_pages > 0);
  node_copy_files(&n, &again, "ckpt2");
  node_open(&again);
  OK(dq_db_set_serving(again.db, 0));
  conn_open(&r, &again, 0);
  EQ(0, value(&r, "SELECT count(*) FROM t WHERE b = 'later still'"));
  EQ(1, value(&r, "SELECT count(*) FROM t WHERE b = 'later'"));
  conn_close(&r), conn_close(&w);
  node_stop(&again), node_stop(&n);
}

TEST(A_checkpoint_of_an_older_state_may_have_more_pages_than_there_are_now) {
  node n, again;
  conn w;
  dq_snapshot *s;
  uint64_t lsn;
  start(&n, &w, 1024, 0); /* never checkpointed: the file has one page */
  OK(dq_snapshot_open(n.db, &s, &lsn, NULL, NULL));
  write_committed(&w, "DELETE FROM t");
  write_committed(&w, "VACUUM");
  OK(dq_db_checkpoint(n.db, lsn, 0, &n.config.page_count, &n.config.checksum));
  OK(dq_db_checkpoint_done(n.db, lsn));
  CHECK(n.config.page_count > 100);
  dq_snapshot_close(s);
  node_copy_files(&n, &again, "ckpt2");
  node_open(&again);
  EQ(n.config.page_count, node_state(&again).page_count);
  OK(node_checkpoint(&n));
  same_as_file(&n, n.path);
  conn_close(&w);
  node_stop(&again), node_stop(&n);
}

static void shrink_and_grow(uint32_t auto_vacuum) {
  node n, f, again;
  conn w, old, r;
  node_start(&n, "shrink", 1024, auto_vacuum);
  node_start(&f, "shrink_f", 1024, auto_vacuum);
  node_lead(&n);
  conn_open(&w, &n, 1);
  conn_open(&old, &n, 0);
  conn_open(&r, &f, 0);
  OK(write_own(&w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); "));
  OK(write_own(&w, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 300) INSERT INTO t SELECT x, randomblob(900) FROM c"));
  OK(write_own(&w, "CREATE INDEX i ON t(b)"));
  replicate_all(&n, &f);
  OK(node_checkpoint(&n));
  OK(run(&old, "PRAGMA cache_size=2; BEGIN"));
  int64_t expected = value(&old, SUM);
  uint32_t big = node_state(&n).page_count;
  OK(write_own(&w, "DROP INDEX i"));
  OK(write_own(&w, "DELETE FROM t WHERE a > 20"));
  replicate_all(&n, &f);
  OK(write_own(&w, auto_vacuum == 2 ? "PRAGMA incremental_vacuum" : "VACUUM"));
  CHECK(node_state(&n).queued_drafts >= 1);
  replicate_all(&n, &f);
  CHECK(node_state(&n).page_count < big / 4);
  EQ(expected, value(&old, SUM));
  OK(node_checkpoint(&n)); /* must not cut off what the old reader reads */
  EQ(expected, value(&old, SUM));
  OK(write_own(&w, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 200) INSERT INTO t(b) SELECT randomblob(900) FROM c"));
  replicate_all(&n, &f);
  EQ(expected, value(&old, SUM));
  OK(node_checkpoint(&n)); /* before-images of the old tail */
  EQ(expected, value(&old, SUM));
  CHECK(strcmp(text(&old, "PRAGMA integrity_check"), "ok") == 0);
  OK(run(&old, "COMMIT"));
  OK(node_checkpoint(&n));
  OK(node_checkpoint(&f));
  EQ(0, node_state(&n).version_bytes);
  EQ(0, node_state(&n).dirty_pages);
  EQ(220, value(&r, "SELECT count(*) FROM t"));
  CHECK(strcmp(text(&w, "PRAGMA integrity_check"), "ok") == 0);
  same_image(&n, &f);
  same_as_file(&n, n.path); /* a plain SQLite file, of the right length */
  node_copy_files(&n, &again, "shrink2");
  node_open(&again);
  same_image(&n, &again);
  conn_close(&w), conn_close(&old), conn_close(&r);
  node_stop(&n), node_stop(&f), node_stop(&again);
}

TEST(Vacuum_drop_and_growth_beside_an_old_reader) { shrink_and_grow(0); }
TEST(Full_auto_vacuum_shrinks_and_grows) { shrink_and_grow(1); }
TEST(Incremental_vacuum_shrinks_and_grows) { shrink_and_grow(2); }

TEST(A_pending_tail_shrunk_in_memory_is_forgotten) {
  node n;
  conn w;
  start(&n, &w, 1024, 1);
  write_committed(&w, "DELETE FROM t"); /* the file is still one page: all of it lived in memory alone */
  OK(node_checkpoint(&n));
  EQ(0, node_state(&n).version_bytes);
  EQ(0, node_state(&n).dirty_pages);
  CHECK(strcmp(text(&w, "PRAGMA integrity_check"), "ok") == 0);
  conn_close(&w);
  node_stop(&n);
}

/* ---- what the caller is told and does for a checkpoint ---------------------------------------- */

/* Polls and commits one batch; its pages. */
static uint32_t commit_batch(node *n, uint32_t *pages) {
  dq_batch *b;
  OK(dq_db_poll(n->db, 1 << 20, &b));
  uint32_t count = b->pages;
  memcpy(pages, b->page_numbers, count * sizeof *pages);
  OK(dq_db_commit(n->db, b->lsn_last));
  dq_batch_free(b);
  return count;
}

TEST(The_pages_of_a_checkpoint_are_listed_exactly) {
  node n;
  conn w;
  dq_snapshot *s;
  uint64_t lsn;
  uint32_t written[64], listed[64], count;
  start(&n, &w, 1024, 0);
  OK(node_checkpoint(&n));
  OK(dq_db_checkpoint_pages(n.db, node_state(&n).c, listed, 64, &count));
  EQ(0, count);
  OK(write_own(&w, "UPDATE t SET b = randomblob(600) WHERE a IN (5, 60, 150)"));
  OK(dq_db_checkpoint_pages(n.db, node_state(&n).c, listed, 64, &count));
  EQ(0, count); /* a draft is none of them */
  uint32_t pages = commit_batch(&n, written);
  CHECK(pages >= 3);
  OK(dq_snapshot_open(n.db, &s, &lsn, NULL, NULL));
  write_committed(&w, "UPDATE t SET b = randomblob(600) WHERE a IN (5, 6, 100)");
  OK(dq_db_checkpoint_pages(n.db, lsn, listed, 64, &count));
  EQ(pages, count);
  CHECK(memcmp(listed, written, pages * sizeof *listed) == 0);
  memset(listed, 0, sizeof listed);
  OK(dq_db_checkpoint_pages(n.db, lsn, listed, 2, &count));
  EQ(pages, count); /* how many there are, not how many fit */
  CHECK(memcmp(listed, written, 2 * sizeof *listed) == 0 && listed[2] == 0);
  OK(dq_db_checkpoint_pages(n.db, lsn, NULL, 0, &count));
  EQ(pages, count);
  OK(dq_db_checkpoint(n.db, lsn, 0, NULL, NULL));
  OK(dq_db_checkpoint_done(n.db, lsn));
  OK(dq_db_checkpoint_pages(n.db, lsn, listed, 64, &count));
  EQ(0, count);
  OK(dq_db_checkpoint_pages(n.db, node_state(&n).c, listed, 64, &count));
  CHECK(count > 0); /* what was committed behind it */
  dq_snapshot_close(s);
  conn_close(&w);
  node_stop(&n);
}

TEST(Pages_that_the_caller_filed_are_left_as_they_are) {
  static uint8_t page[1024];
  node n, again;
  conn w;
  dq_snapshot *view;
  redo copies = {0};
  start(&n, &w, 1024, 0);
  OK(node_checkpoint(&n));
  write_committed(&w, "INSERT INTO t(b) VALUES(randomblob(20000))");
  write_committed(&w, "UPDATE t SET b = randomblob(600)"); /* up to the last page of the file */
  OK(dq_snapshot_open(n.db, &view, &copies.lsn, &copies.page_count, &copies.checksum));
  OK(redo_take(&copies, &n, view, 1));
  dq_snapshot_close(view);
  CHECK(copies.pages[0] < copies.filed_from && copies.filed_from < copies.page_count);
  redo_extend(&copies, n.db->gen->fd);
  off_t first = (off_t)(copies.filed_from - 1) * 1024, last = (off_t)(copies.page_count - 1) * 1024;
  damage(n.path, first), damage(n.path, last);
  OK(dq_db_checkpoint(n.db, copies.lsn, copies.filed_from, &n.config.page_count, &n.config.checksum));
  OK(dq_db_checkpoint_done(n.db, copies.lsn));
  EQ(DQ_PAGE_ROT, dq_db_page(n.db, copies.filed_from, page));
  EQ(DQ_PAGE_ROT, dq_db_page(n.db, copies.page_count, page));
  damage(n.path, first), damage(n.path, last);
  same_as_file(&n, n.path);
  node_copy_files(&n, &again, "ckpt2");
  node_open(&again); /* their checksums are there */
  same_image(&n, &again);
  redo_free(&copies);
  conn_close(&w);
  node_stop(&n), node_stop(&again);
}

/* ---- damage ---------------------------------------------------------------------------------- */

TEST(Rot_in_a_page_is_an_error_and_reported) {
  node n;
  conn w, r;
  start(&n, &w, 4096, 0);
  OK(node_checkpoint(&n));
  damage(n.path, 4096 * 4 + 100);
  conn_open(&r, &n, 0);
  EQ(-1000 - SQLITE_CORRUPT, value(&r, SUM)); /* what SQLite makes of SQLITE_IOERR_CORRUPTFS */
  EQ(1, atomic_load(&n.rots));
  EQ(DQ_PAGE_ROT, state(&r).last_error);
  damage(n.path, 4096 * 4 + 100);
  EQ(value(&w, SUM), value(&r, SUM));
  conn_close(&r), conn_close(&w);
  node_stop(&n);
}

TEST(Open_refuses_what_does_not_fit) {
  node n, c;
  conn w;
  dq_db *db;
  start(&n, &w, 4096, 0);
  OK(node_checkpoint(&n));
  EQ(SQLITE_MISUSE, dq_db_open(&n.config, &db)); /* open already */
  conn_close(&w);
  node_copy_files(&n, &c, "copy");
  node_stop(&n);
  c.config.page_size = 8192;
  EQ(SQLITE_NOTADB, dq_db_open(&c.config, &db));
  c.config.page_size = 4096;
  c.config.checksum ^= 1;
  EQ(SQLITE_CORRUPT, dq_db_open(&c.config, &db));
  c.config.checksum ^= 1;
  c.config.page_count++;
  EQ(SQLITE_CORRUPT, dq_db_open(&c.config, &db));
  c.config.page_count--;
  damage(c.sums, DQ_SUMS_HEADER + 8);
  EQ(SQLITE_CORRUPT, dq_db_open(&c.config, &db));
  damage(c.sums, DQ_SUMS_HEADER + 8);
  damage(c.sums, 9);
  EQ(SQLITE_CORRUPT, dq_db_open(&c.config, &db));
  damage(c.sums, 9);
  damage(c.path, 200); /* page 1 */
  EQ(SQLITE_CORRUPT, dq_db_open(&c.config, &db));
  damage(c.path, 200);
  damage(c.path, 3);
  EQ(SQLITE_NOTADB, dq_db_open(&c.config, &db));
  damage(c.path, 3);
  c.config.path = scratch("missing.db");
  EQ(SQLITE_CANTOPEN, dq_db_open(&c.config, &db));
  c.config.path = "relative.db";
  EQ(SQLITE_MISUSE, dq_db_open(&c.config, &db));
  c.config.path = c.path;
  c.config.struct_size--;
  EQ(SQLITE_MISUSE, dq_db_open(&c.config, &db));
  c.config.struct_size++;
  OK(dq_db_open(&c.config, &db));
  dq_db_close(db);
}

/* ---- bounds and generations ----------------------------------------------------------------------- */

TEST(The_oldest_reader_is_revoked_when_memory_for_readers_runs_out) {
  node n;
  conn w, old, young;
  node_prepare(&n, "gone", 4096, 0);
  n.config.max_version_bytes = 64 * 4096;
  node_open(&n);
  OK(dq_db_set_serving(n.db, 0));
  node_lead(&n);
  conn_open(&w, &n, 1);
  conn_open(&old, &n, 0);
  conn_open(&young, &n, 0);
  write_committed(&w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
  write_committed(&w, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 100) INSERT INTO t SELECT x, randomblob(3500) FROM c");
  OK(run(&old, "PRAGMA cache_size=2; BEGIN"));
  CHECK(value(&old, SUM) > 0);
  write_committed(&w, "UPDATE t SET b = randomblob(3500) WHERE a <= 40");
  OK(run(&young, "BEGIN"));
  int64_t expected = value(&young, SUM);
  write_committed(&w, "UPDATE t SET b = randomblob(3500) WHERE a > 60");
  EQ(DQ_SNAPSHOT_GONE, state(&old).revoked);
  EQ(-1000 - DQ_SNAPSHOT_GONE, value(&old, SUM));
  EQ(expected, value(&young, SUM));
  run(&old, "ROLLBACK");
  CHECK(value(&old, SUM) > 0);
  conn_close(&old), conn_close(&young), conn_close(&w);
  node_stop(&n);
}

TEST(Reopen_starts_a_generation_and_open_readers_keep_the_old_one) {
  node a, b;
  conn w, old, idle;
  node_start(&a, "gen_a", 4096, 0);
  node_start(&b, "gen_b", 4096, 0);
  node_lead(&a);
  conn_open(&w, &a, 1);
  OK(write_own(&w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
  OK(write_own(&w, "INSERT INTO t VALUES(1, randomblob(9000))"));
  replicate_all(&a, &b);
  OK(node_checkpoint(&b));
  conn_open(&old, &b, 0);
  conn_open(&idle, &b, 0);
  OK(run(&old, "PRAGMA cache_size=1; BEGIN"));
  EQ(9001, value(&old, SUM));
  EQ(9001, value(&idle, SUM));
  OK(write_own(&w, "INSERT INTO t VALUES(2, randomblob(100))"));
  replicate_all(&a, NULL); /* b missed it and gets an install */
  OK(node_checkpoint(&a));
  node file;
  node_copy_files(&a, &file, "gen_new");
  OK(dq_file_rename(file.path, b.path));
  OK(dq_file_rename(file.sums, b.sums));
  EQ(SQLITE_CORRUPT, dq_db_reopen(b.db, a.config.page_count, a.config.checksum ^ 1));
  uint64_t before = node_state(&b).c;
  OK(dq_db_reopen(b.db, a.config.page_count, a.config.checksum));
  CHECK(node_state(&b).c > before);
  EQ(2, node_state(&b).generation);
  EQ(9001, value(&old, SUM));
  EQ(9001 + 201, value(&idle, SUM));
  same_image(&a, &b);
  OK(run(&old, "COMMIT"));
  EQ(9001 + 201, value(&old, SUM));
  OK(write_own(&w, "INSERT INTO t VALUES(3, 'x')"));
  replicate_all(&a, &b);
  same_image(&a, &b);
  OK(node_checkpoint(&b));
  same_image(&a, &b);
  EQ(SQLITE_MISUSE, dq_db_reopen(a.db, a.config.page_count, a.config.checksum));
  conn_close(&w), conn_close(&old), conn_close(&idle);
  node_stop(&a), node_stop(&b);
}

TEST(The_lock_page_of_a_database_over_1_GiB_is_never_written) {
  /* Page size 65536: the lock page is 16385. The pages below it are holes that
  ** nobody reads, so that their checksums may be anything: the file costs nothing. */
  node n, f, again;
  conn w, r;
  uint32_t lock = dq_lock_page(65536), count = lock - 2;
  static uint8_t zero[65536], page1[65536];
  EQ(16385, lock);
  node_prepare(&n, "lock", 65536, 0);
  OK(dq_canonical_page1(page1, 65536, 0));
  page1[28] = (uint8_t)(count >> 24), page1[29] = (uint8_t)(count >> 16), page1[30] = (uint8_t)(count >> 8), page1[31] = (uint8_t)count;
  uint64_t *sums = malloc(count * sizeof *sums);
  n.config.checksum = 0;
  for (uint32_t i = 0; i < count; i++) {
    sums[i] = i ? i : dq_page_checksum(1, page1, 65536);
    n.config.checksum ^= sums[i];
  }
  int fd = open(n.path, O_RDWR);
  CHECK(pwrite(fd, page1, 65536, 0) == 65536 && ftruncate(fd, (off_t)count * 65536) == 0);
  close(fd);
  fd = open(n.sums, O_RDWR);
  CHECK(pwrite(fd, sums, count * 8, DQ_SUMS_HEADER) == (ssize_t)count * 8);
  close(fd);
  free(sums);
  n.config.page_count = count;
  node_open(&n);
  OK(dq_db_set_serving(n.db, 0));
  node_copy_files(&n, &f, "lock_f");
  node_open(&f);
  OK(dq_db_set_serving(f.db, 0));
  node_lead(&n);
  conn_open(&w, &n, 1);
  conn_open(&r, &f, 0);
  OK(write_own(&w, "CREATE TABLE t(a, b)"));
  for (int i = 0; i < 6; i++) OK(write_own(&w, "INSERT INTO t VALUES(1, randomblob(60000))"));
  replicate_all(&n, &f);
  CHECK(node_state(&n).page_count > lock);
  EQ(6, value(&r, "SELECT count(*) FROM t WHERE length(b) = 60000"));
  EQ(value(&w, "SELECT count(DISTINCT b) FROM t"), value(&r, "SELECT count(DISTINCT b) FROM t"));
  OK(node_checkpoint(&n));
  OK(node_checkpoint(&f));
  CHECK(node_state(&n).checksum == node_state(&f).checksum);
  EQ(6, value(&r, "SELECT count(DISTINCT b) FROM t"));
  node_copy_files(&n, &again, "lock_g");
  conn_close(&w), conn_close(&r);
  node_stop(&n), node_stop(&f);
  node_open(&again); /* checksum over all pages but the lock page */
  OK(dq_db_set_serving(again.db, 0));
  conn_open(&r, &again, 0);
  EQ(6, value(&r, "SELECT count(DISTINCT b) FROM t"));
  dq_snapshot *s;
  OK(dq_snapshot_open(again.db, &s, NULL, NULL, NULL));
  memset(page1, 1, sizeof page1);
  OK(dq_snapshot_page(s, lock, page1));
  CHECK(memcmp(page1, zero, sizeof zero) == 0);
  dq_snapshot_close(s);
  conn_close(&r);
  node_stop(&again);
  unlink(n.path), unlink(f.path), unlink(again.path);
}
