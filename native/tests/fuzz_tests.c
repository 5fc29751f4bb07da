/*
** Damaged files: whatever lies in NAME.db and NAME.sums, only result codes come
** out of an open, of reads, writes, applies and checkpoints. DQ_SEED and
** DQ_ROUNDS replay it; the sanitizers are the judges.
*/
#include <fcntl.h>
#include <unistd.h>

#include "harness.h"

#define ROUNDS 250
#define BASES 4
#define MAX_FILE (1 << 20)

typedef struct bytes {
  uint8_t data[MAX_FILE];
  uint32_t size;
} bytes;

static node bases[BASES];
static bytes db, sums;
static uint64_t seed;
static int opened, led; /* files that were not refused */

static uint32_t pick(uint32_t of) { return rnd(&seed) % of; }

static void load(const char *path, bytes *out) {
  int fd = open(path, O_RDONLY);
  out->size = (uint32_t)read(fd, out->data, MAX_FILE);
  close(fd);
}

static void store(const char *path, const bytes *b) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  CHECK(write(fd, b->data, b->size) == (ssize_t)b->size);
  close(fd);
}

/* ---- what is damaged ---------------------------------------------------------------------- */

static void make_bases(void) {
  static const uint32_t sizes[BASES] = {512, 1024, 4096, 32768};
  for (int i = 0; i < BASES; i++) {
    node *n = &bases[i];
    conn c;
    char name[32];
    snprintf(name, sizeof name, "fuzz_base_%d", i);
    node_start(n, name, sizes[i], (uint32_t)i % 3);
    node_lead(n);
    conn_open(&c, n, 1);
    OK(write_own(&c, "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c UNIQUE)"));
    OK(write_own(&c, "CREATE TABLE u(a, b, PRIMARY KEY(b, a)) WITHOUT ROWID"));
    OK(write_own(&c, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 60) INSERT INTO t SELECT x, hex(zeroblob(x * 9)), 'k' || x FROM c"));
    OK(write_own(&c, "INSERT INTO u SELECT a, b FROM t"));
    OK(write_own(&c, "DELETE FROM t WHERE a % 7 = 0"));
    replicate_all(n, NULL);
    OK(node_checkpoint(n));
    conn_close(&c);
    node_stop(n);
  }
}

static void damage(bytes *b, uint32_t page_size) {
  uint32_t pages = b->size / page_size + 1, at = pick(pages) * page_size, n = 1 + pick(16);
  switch (pick(7)) {
    case 0: b->size = pick(b->size + 1); break;
    case 1:
      n = pick(3 * page_size);
      for (uint32_t i = 0; i < n && b->size < MAX_FILE; i++) b->data[b->size++] = (uint8_t)pick(256);
      break;
    case 2: /* the header */
      for (; n > 0; n--) b->data[pick(100)] = (uint8_t)pick(256);
      break;
    case 3: /* the header of a page's b-tree */
      for (; n > 0; n--) b->data[(at + pick(24)) % MAX_FILE] = (uint8_t)pick(256);
      break;
    case 4: memset(b->data + at % (MAX_FILE - page_size), (int)pick(2) * 255, page_size); break;
    case 5: memmove(b->data + at % (MAX_FILE - page_size), b->data + pick(pages) * page_size % (MAX_FILE - page_size), page_size); break;
    default:
      for (; n > 0 && b->size; n--) b->data[pick(b->size)] ^= (uint8_t)(1u << pick(8));
      break;
  }
}

/* Checksums that fit: the shim believes the damage, and SQLite reads it. */
static void believe(node *n) {
  n->config.page_count = db.size / n->config.page_size;
  if (n->config.page_count == 0) n->config.page_count = 1;
  n->config.checksum = 0;
  dq_sums_header(sums.data, n->config.page_size);
  for (uint32_t page = 1; page <= n->config.page_count; page++) {
    uint64_t sum = dq_page_checksum(page, db.data + (size_t)(page - 1) * n->config.page_size, n->config.page_size);
    memcpy(sums.data + dq_sums_offset(page), &sum, 8);
    n->config.checksum ^= sum;
  }
  sums.size = (uint32_t)dq_sums_offset(n->config.page_count + 1);
}

static void choose_input(node *n) {
  const node *base = &bases[pick(BASES)];
  node_copy_files(base, n, "fuzz");
  load(n->path, &db);
  load(n->sums, &sums);
  for (uint32_t i = pick(3); i > 0; i--) damage(&db, n->config.page_size);
  if (pick(2)) believe(n);
  else {
    for (uint32_t i = pick(3); i > 0; i--) damage(&sums, 8);
    if (pick(3) == 0) n->config.page_count += pick(7) - 3;
    if (pick(8) == 0) n->config.page_count = pick(1 << 16);
    if (pick(8) == 0) n->config.checksum ^= 1;
  }
  if (pick(8) == 0) n->config.page_size = 256u << pick(10);
  n->config.max_transaction_bytes = 16 << 20;
  store(n->path, &db);
  store(n->sums, &sums);
}

/* ---- what is done with it --------------------------------------------------------------------- */

static void only_codes(int rc) { CHECK(rc >= 0 && (rc & 0xff) <= 101 && (rc & 0xff) != 2 /* INTERNAL */); }

static void apply_something(node *n) {
  static uint8_t images[3 * 65536];
  uint32_t numbers[3], count = pick(4), pages = node_state(n).page_count;
  uint64_t lsn;
  for (uint32_t i = 0; i < count; i++) {
    numbers[i] = pick(8) ? 1 + pick(pages + 2) : rnd(&seed);
    for (uint32_t k = 0; k < n->config.page_size; k++) images[(size_t)i * n->config.page_size + k] = db.data[(numbers[i] * 97 + k) % MAX_FILE];
  }
  only_codes(dq_db_apply(n->db, count, numbers, images, pick(8) ? pages + pick(3) : pick(2) ? pick(pages + 1) : rnd(&seed) * 2 + 1, pick(2) ? 0 : rnd(&seed), &lsn));
}

static void use(node *n) {
  static const char *const sql[] = {
      "SELECT count(*), max(b) FROM t", "SELECT * FROM u ORDER BY a DESC", "PRAGMA integrity_check(5)", "INSERT INTO t(b, c) VALUES(zeroblob(3000), 'new')", "UPDATE u SET a = a || 'x'",
      "DELETE FROM t WHERE a < 30",     "PRAGMA incremental_vacuum",      "VACUUM",                    "CREATE TABLE v AS SELECT * FROM t",                   "DROP TABLE t",
  };
  conn c = {.n = n, .ticket = 1};
  int rc = sq.open_v2(n->path, &c.sql, 0x2, DQ_VFS_NAME);
  only_codes(rc);
  if (rc == SQLITE_OK && sq.file_control(c.sql, "main", DQ_FCNTL_HANDLE, &c.h) == SQLITE_OK) {
    sq.extended_result_codes(c.sql, 1);
    dq_handle_own(c.h);
    for (uint32_t i = 2 + pick(6); i > 0; i--) {
      only_codes(write_own(&c, sql[pick(10)]));
      if (pick(3) == 0) only_codes(node_checkpoint(n));
      dq_batch *b = NULL;
      if (pick(2)) only_codes(dq_db_poll(n->db, 1 << 20, &b));
      if (b) only_codes(dq_db_commit(n->db, b->lsn_last));
      dq_batch_free(b);
    }
  }
  OK(sq.close_v2(c.sql));
}

static void one_input(void) {
  node n;
  choose_input(&n);
  int rc = dq_db_open(&n.config, &n.db);
  only_codes(rc);
  if (rc) return;
  opened++;
  for (uint32_t i = pick(3); i > 0; i--) apply_something(&n);
  OK(dq_db_set_serving(n.db, 0));
  if (dq_db_lead(n.db, 1) == SQLITE_OK) {
    led++;
    use(&n);
  }
  OK(dq_db_fence(n.db, 0));
  only_codes(node_checkpoint(&n));
  store(n.path, &db);
  store(n.sums, &sums);
  only_codes(dq_db_reopen(n.db, n.config.page_count, n.config.checksum));
  node_stop(&n);
}

TEST(Damaged_files_give_result_codes_and_nothing_else) {
  uint64_t first = test_seed();
  int rounds = test_rounds(ROUNDS);
  make_bases();
  for (int i = 0; i < rounds && !test_failures(); i++) {
    seed = first + (uint64_t)i;
    one_input();
    if (test_failures()) printf("  seed %llu\n", (unsigned long long)(first + (uint64_t)i));
  }
  printf("  %d inputs, %d opened, %d of them led\n", rounds, opened, led);
}
