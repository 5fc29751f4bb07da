/* Images of large transactions in the temporary file, and entries in parts. */
#include <errno.h>
#include <unistd.h>

#include "harness.h"

#define LIMIT (64 * 1024)
#define MANY "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 400) INSERT INTO t SELECT x, randomblob(900) FROM c"
#define HASH "SELECT sum((a * 7919 + unicode(hex(b)) + length(b)) % 1000003) FROM t"

static void start(node *n, conn *w, uint64_t limit) {
  spill_bytes = limit;
  node_start(n, "spill", 1024, 0);
  node_lead(n);
  conn_open(w, n, 1);
  OK(run(w, "PRAGMA cache_size=5"));
  OK(write_own(w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
  replicate_all(n, NULL);
  OK(node_checkpoint(n));
}

static void start_follower(const node *leader, node *follower) {
  node_copy_files(leader, follower, "spill_f");
  node_open(follower);
  OK(dq_db_set_serving(follower->db, 0));
}

static void end(node *n, conn *w) {
  CHECK(strcmp(text(w, "PRAGMA integrity_check"), "ok") == 0);
  conn_close(w);
  node_stop(n);
}

/* ---- where images lie ------------------------------------------------------------------- */

TEST(Images_of_a_large_transaction_lie_in_a_file_that_goes_with_them) {
  node n, follower;
  conn w;
  char path[300];
  start(&n, &w, LIMIT);
  start_follower(&n, &follower);
  OK(write_own(&w, MANY));
  CHECK(n.db->spill.used > 200);
  CHECK(n.db->spill.resident <= LIMIT + 2 * 1024);
  snprintf(path, sizeof path, "%s%s", n.path, DQ_SPILL_SUFFIX);
  EQ(-1, access(path, F_OK));
  replicate_all(&n, &follower);
  int64_t hash = value(&w, HASH);
  conn r;
  conn_open(&r, &n, 0);
  EQ(hash, value(&r, HASH));
  conn_close(&r);
  OK(node_checkpoint(&n));
  EQ(0, n.db->spill.used);
  EQ(-1, n.db->spill.fd);
  EQ(hash, value(&w, HASH));
  end(&n, &w);
  node_stop(&follower);
}

TEST(Images_of_small_transactions_stay_in_memory_whatever_there_is) {
  node n;
  conn w;
  start(&n, &w, LIMIT);
  OK(write_own(&w, MANY));
  uint32_t used = n.db->spill.used;
  for (int i = 0; i < 20; i++) OK(write_own(&w, "UPDATE t SET b = 'x' WHERE a = 7"));
  EQ(used, n.db->spill.used);
  replicate_all(&n, NULL);
  end(&n, &w);
}

TEST(The_first_page_stays_in_memory) {
  node n;
  conn w;
  start(&n, &w, 1);
  OK(write_own(&w, "CREATE TABLE u(a)"));
  dq_change *first = &n.db->drafts_last->changes.items[0];
  EQ(1, first->page);
  EQ(DQ_IN_MEMORY, first->image->slot);
  CHECK(n.db->drafts_last->cookie_changed);
  replicate_all(&n, NULL);
  end(&n, &w);
}

TEST(Slots_of_images_that_are_gone_are_used_again) {
  node n;
  conn w;
  start(&n, &w, 1);
  OK(write_own(&w, MANY));
  replicate_all(&n, NULL);
  conn r;
  conn_open(&r, &n, 0);
  OK(run(&r, "BEGIN"));
  value(&r, HASH); /* keeps the file from going when it is empty */
  for (int i = 0; i < 10; i++) {
    OK(write_own(&w, "UPDATE t SET b = randomblob(900)"));
    replicate_all(&n, NULL);
  }
  CHECK(n.db->spill.end < 4 * 600);
  conn_close(&r);
  end(&n, &w);
}

TEST(A_transaction_that_is_rolled_back_leaves_nothing_in_the_file) {
  node n;
  conn w;
  start(&n, &w, LIMIT);
  OK(arm(&w));
  OK(run(&w, "BEGIN; " MANY "; UPDATE t SET b = randomblob(901); UPDATE t SET b = randomblob(902); UPDATE t SET b = randomblob(903)"));
  CHECK(n.db->spill.used > 200);
  OK(run(&w, "ROLLBACK"));
  dq_slot_release(n.db, w.ticket);
  EQ(0, n.db->spill.used);
  EQ(0, value(&w, "SELECT count(*) FROM t"));
  end(&n, &w);
}

/* ---- faults --------------------------------------------------------------------------------- */

static dq_os real;
static int spill_fd, calls, fail_at, error;

static int fails(void) { return ++calls == fail_at || fail_at < 0; }

static int spill_open(void *ctx, const char *path, int flags, int mode) {
  int is_spill = strstr(path, DQ_SPILL_SUFFIX) != NULL;
  if (is_spill && fails()) return -error;
  int fd = real.open(ctx, path, flags, mode);
  if (is_spill) spill_fd = fd;
  return fd;
}

static int64_t spill_pwrite(void *ctx, int fd, const void *buf, int64_t n, int64_t offset) {
  if (fd == spill_fd && fails()) return -error;
  return real.pwrite(ctx, fd, buf, n, offset);
}

static int64_t spill_pread(void *ctx, int fd, void *buf, int64_t n, int64_t offset) {
  if (fd == spill_fd && fails()) return -error;
  return real.pread(ctx, fd, buf, n, offset);
}

static void faults_on(int code) {
  OK(dq_os_set(NULL));
  real = *dq_os_get();
  dq_os os = real;
  os.open = spill_open;
  os.pwrite = spill_pwrite;
  os.pread = spill_pread;
  spill_fd = -1;
  error = code;
  calls = fail_at = 0;
  OK(dq_os_set(&os));
}

static void one_failing_call(int at, int code, int *reached) {
  node n;
  conn w;
  start(&n, &w, 1);
  OK(write_own(&w, "INSERT INTO t SELECT 1000, 'before'"));
  replicate_all(&n, NULL);
  OK(node_checkpoint(&n));
  calls = 0;
  fail_at = at;
  int rc = write_own(&w, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 40) INSERT INTO t SELECT x, randomblob(900) FROM c");
  *reached = calls >= at;
  fail_at = 0;
  if (*reached) CHECK(code == ENOSPC ? (rc & 0xff) == SQLITE_FULL || rc == SQLITE_IOERR_READ : (rc & 0xff) == SQLITE_IOERR);
  EQ(rc == SQLITE_OK, node_state(&n).queued_drafts);
  replicate_all(&n, NULL);
  EQ(rc == SQLITE_OK ? 41 : 1, value(&w, "SELECT count(*) FROM t"));
  OK(write_own(&w, "UPDATE t SET b = 'after' WHERE a = 1000"));
  replicate_all(&n, NULL);
  EQ(1, value(&w, "SELECT count(*) FROM t WHERE b = 'after'"));
  OK(node_checkpoint(&n));
  end(&n, &w);
}

TEST(A_disk_that_is_full_under_a_large_transaction_rolls_it_back_and_no_more) {
  static const int codes[] = {ENOSPC, EIO};
  for (int k = 0; k < 2; k++) {
    faults_on(codes[k]);
    for (int at = 1, reached = 1; reached && !test_failures(); at++) one_failing_call(at, codes[k], &reached);
  }
  OK(dq_os_set(NULL));
}

TEST(Rot_in_the_temporary_file_is_an_error_and_reported) {
  node n;
  conn w, r;
  dq_batch *b;
  uint8_t page[1024];
  start(&n, &w, 1);
  OK(write_own(&w, MANY));
  OK(dq_db_poll(n.db, 1 << 20, &b));
  OK(dq_db_commit(n.db, b->lsn_last));
  uint32_t at = b->pages / 2;
  dq_image *image = dq_batch_image(b, at);
  OK(dq_spill_read(&n.db->spill, image->slot, page));
  page[100] ^= 1;
  EQ(1024, pwrite(n.db->spill.fd, page, 1024, (int64_t)image->slot * 1024));
  EQ(DQ_PAGE_ROT, dq_batch_read(b, at, 1, page));
  conn_open(&r, &n, 0);
  CHECK(value(&r, HASH) < -1000);
  CHECK(atomic_load(&n.rots) > 0);
  EQ(DQ_PAGE_ROT, node_checkpoint(&n));
  OK(dq_spill_read(&n.db->spill, image->slot, page));
  page[100] ^= 1;
  EQ(1024, pwrite(n.db->spill.fd, page, 1024, (int64_t)image->slot * 1024));
  OK(dq_batch_read(b, at, 1, page));
  OK(node_checkpoint(&n));
  dq_batch_free(b);
  conn_close(&r);
  end(&n, &w);
}

TEST(What_is_committed_needs_no_temporary_file) {
  faults_on(ENOSPC);
  node n, follower;
  conn w, r;
  start(&n, &w, 0);
  spill_bytes = 1;
  start_follower(&n, &follower);
  OK(write_own(&w, MANY));
  fail_at = -1;
  replicate_all(&n, &follower);
  EQ(0, follower.db->spill.used);
  OK(node_checkpoint(&follower));
  conn_open(&r, &follower, 0); /* before-images for it stay in memory, too */
  OK(run(&r, "PRAGMA cache_size=2; BEGIN"));
  int64_t hash = value(&r, HASH);
  OK(write_own(&w, "UPDATE t SET b = randomblob(800)"));
  replicate_all(&n, &follower);
  OK(node_checkpoint(&follower));
  EQ(hash, value(&r, HASH));
  OK(run(&r, "COMMIT"));
  same_image(&n, &follower);
  conn_close(&r);
  end(&n, &w);
  node_stop(&follower);
  OK(dq_os_set(NULL));
}

/* ---- parts ------------------------------------------------------------------------------------ */

typedef struct parts {
  node leader, follower;
  conn w;
  dq_batch *batch;
  uint8_t *images;
} parts;

static void start_parts(parts *p, uint64_t limit) {
  start(&p->leader, &p->w, limit);
  start_follower(&p->leader, &p->follower);
  OK(write_own(&p->w, MANY));
  OK(dq_db_poll(p->leader.db, 1 << 20, &p->batch));
  p->images = malloc((size_t)p->batch->pages * 1024);
  OK(dq_batch_read(p->batch, 0, p->batch->pages, p->images));
}

static void end_parts(parts *p) {
  free(p->images);
  dq_batch_free(p->batch);
  end(&p->leader, &p->w);
  node_stop(&p->follower);
}

static int add(parts *p, dq_stage *stage, uint32_t first, uint32_t n) {
  return dq_stage_add(stage, n, p->batch->page_numbers + first, p->images + (size_t)first * 1024);
}

TEST(Parts_take_effect_together_with_the_last) {
  for (int spilled = 0; spilled < 2; spilled++) {
    parts p;
    dq_stage *stage;
    uint64_t lsn;
    start_parts(&p, (uint64_t)spilled);
    uint64_t before = node_state(&p.follower).c;
    OK(dq_stage_open(p.follower.db, &stage));
    for (uint32_t first = 0, n; first < p.batch->pages; first += n) {
      n = p.batch->pages - first < 50 ? p.batch->pages - first : 50;
      OK(add(&p, stage, first, n));
      EQ(before, node_state(&p.follower).c);
      EQ(0, node_state(&p.follower).version_bytes);
    }
    if (spilled) CHECK(p.follower.db->spill.used > 200);
    EQ(SQLITE_CORRUPT, dq_stage_apply(stage, p.batch->page_count, p.batch->checksum ^ 1, &lsn));
    EQ(SQLITE_CORRUPT, dq_stage_apply(stage, p.batch->page_count - 1, p.batch->checksum, &lsn));
    EQ(before, node_state(&p.follower).c);
    OK(dq_stage_apply(stage, p.batch->page_count, p.batch->checksum, &lsn));
    EQ(lsn, node_state(&p.follower).c);
    dq_stage_free(stage);
    OK(dq_db_commit(p.leader.db, p.batch->lsn_last));
    same_image(&p.leader, &p.follower);
    OK(node_checkpoint(&p.follower));
    same_image(&p.leader, &p.follower);
    end_parts(&p);
  }
}

TEST(Parts_without_the_last_leave_nothing_behind) {
  parts p;
  dq_stage *stage;
  start_parts(&p, 1);
  dq_db_state before = node_state(&p.follower);
  OK(dq_stage_open(p.follower.db, &stage));
  OK(add(&p, stage, 0, 100));
  EQ(SQLITE_CORRUPT, add(&p, stage, 99, 10));
  EQ(100, p.follower.db->spill.used + p.follower.db->spill.resident / 1024);
  dq_stage_free(stage);
  EQ(0, p.follower.db->spill.used);
  EQ(0, p.follower.db->spill.resident);
  EQ(before.c, node_state(&p.follower).c);
  end_parts(&p);
}

TEST(Parts_of_ones_own_draft_are_staged_without_a_copy) {
  parts p;
  dq_stage *stage;
  uint64_t lsn;
  start_parts(&p, LIMIT);
  uint32_t used = p.leader.db->spill.used;
  OK(dq_stage_open(p.leader.db, &stage));
  OK(dq_stage_add_batch(stage, p.batch, 0, 120));
  EQ(used, p.leader.db->spill.used);
  EQ(SQLITE_MISUSE, dq_stage_add_batch(stage, p.batch, 120, p.batch->pages));
  OK(dq_db_fence(p.leader.db, 0));
  OK(add(&p, stage, 120, p.batch->pages - 120));
  OK(dq_stage_apply(stage, p.batch->page_count, p.batch->checksum, &lsn));
  dq_stage_free(stage);
  EQ(400, value(&p.w, "SELECT count(*) FROM t"));
  end_parts(&p);
}

TEST(A_stage_outlives_its_database_without_harm) {
  parts p;
  dq_stage *stage;
  uint64_t lsn;
  start_parts(&p, 1);
  OK(dq_stage_open(p.follower.db, &stage));
  OK(add(&p, stage, 0, 100));
  node_stop(&p.follower);
  EQ(DQ_NOT_LEADER, dq_stage_apply(stage, p.batch->page_count, 0, &lsn));
  dq_stage_free(stage);
  free(p.images);
  dq_batch_free(p.batch);
  end(&p.leader, &p.w);
}
