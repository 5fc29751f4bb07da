/* Single traps around the file: flushes, before-images, installs. */
#include <fcntl.h>
#include <unistd.h>

#include "hooks.h"

#define SUM "SELECT sum(length(b) * a) + count(*) FROM t"
#define FILL "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x <= 100) INSERT INTO t(b) SELECT hex(zeroblob(300)) FROM c"

static void start(node *n, const char *name, conn *w) {
  node_start(n, name, 1024, 0);
  node_lead(n);
  conn_open(w, n, 1);
  OK(write_own(w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
}

static void commit_sql(conn *c, const char *sql) {
  OK(write_own(c, sql));
  replicate_all(c->n, NULL);
}

/* ---- flushes -------------------------------------------------------------------------- */

static int unflushed[1024], flushes;

static void note_flushes(const disk_event *e) {
  if (e->fd < 0 || e->fd >= 1024) return;
  if (e->call == DISK_WRITE || e->call == DISK_TRUNCATE) unflushed[e->fd] = 1;
  if (e->call != DISK_SYNC) return;
  unflushed[e->fd] = 0;
  flushes++;
}

TEST(A_checkpoint_that_returns_has_flushed_all_that_it_wrote) {
  spill_bytes = 0;
  static const char *const sql[] = {FILL, "UPDATE t SET b = 'x'", "DELETE FROM t", "VACUUM"};
  node n;
  conn w;
  hooks_on();
  start(&n, "flush", &w);
  flushes = 0;
  disk_hook = note_flushes;
  for (int i = 0; i < 4; i++) {
    commit_sql(&w, sql[i]);
    OK(node_checkpoint(&n));
    for (int fd = 0; fd < 1024; fd++) EQ(0, unflushed[fd]);
  }
  CHECK(flushes >= 8);
  conn_close(&w);
  node_stop(&n);
  hooks_off();
}

/* ---- before-images ------------------------------------------------------------------------- */

TEST(A_rotten_page_does_not_become_a_before_image) {
  node n;
  conn w, old;
  start(&n, "rotten", &w);
  commit_sql(&w, FILL);
  OK(node_checkpoint(&n));
  conn_open(&old, &n, 0);
  OK(run(&old, "PRAGMA cache_size=2; BEGIN"));
  EQ(1, value(&old, "SELECT 1 FROM sqlite_master"));
  commit_sql(&w, "UPDATE t SET b = 'new'"); /* of all pages: the old ones are in the file alone */
  int fd = open(n.path, O_RDWR);
  CHECK(pwrite(fd, "rot", 3, 1024 * 5 + 500) == 3);
  close(fd);
  EQ(DQ_PAGE_ROT, node_checkpoint(&n));
  EQ(1, atomic_load(&n.rots));
  EQ(-1000 - SQLITE_CORRUPT, value(&old, SUM));
  EQ(101, value(&w, "SELECT count(*) FROM t WHERE b = 'new'"));
  conn_close(&old), conn_close(&w);
  node_stop(&n);
}

TEST(An_old_reader_keeps_the_pages_of_a_tail_that_was_never_in_the_file) {
  node n;
  conn w, old;
  start(&n, "tail", &w);
  commit_sql(&w, FILL);
  conn_open(&old, &n, 0);
  OK(run(&old, "PRAGMA cache_size=2; BEGIN"));
  int64_t expected = value(&old, SUM);
  commit_sql(&w, "DELETE FROM t WHERE a > 1");
  commit_sql(&w, "VACUUM");
  OK(node_checkpoint(&n));
  EQ(expected, value(&old, SUM));
  CHECK(strcmp(text(&old, "PRAGMA integrity_check"), "ok") == 0);
  OK(run(&old, "COMMIT"));
  OK(node_checkpoint(&n));
  EQ(0, node_state(&n).version_bytes);
  conn_close(&old), conn_close(&w);
  node_stop(&n);
}

/* ---- a commit in the middle of a checkpoint ---------------------------------------------------- */

static struct {
  conn *w;
  int at, calls; /* commit before the at-th call, read after it */
  int64_t expected;
  conn *old;
} during;

static void commit_during(const disk_event *e) {
  if ((e->call != DISK_WRITE && e->call != DISK_SYNC) || ++during.calls != during.at) return;
  during.calls = 1 << 20;
  commit_sql(during.w, "UPDATE t SET b = b || 'during' WHERE a % 3 = 0");
  EQ(during.expected, value(during.old, SUM));
}

TEST(A_commit_during_a_checkpoint_reaches_the_file_with_the_next_one) {
  hooks_on();
  for (int at = 1; at < 8; at++) {
    node n, again;
    conn w, old, r;
    start(&n, "during", &w);
    commit_sql(&w, FILL);
    OK(node_checkpoint(&n));
    conn_open(&old, &n, 0);
    OK(run(&old, "PRAGMA cache_size=2; BEGIN"));
    during.expected = value(&old, SUM);
    commit_sql(&w, "UPDATE t SET b = b || 'before' WHERE a % 2 = 0");
    during.w = &w;
    during.old = &old;
    during.at = at;
    during.calls = 0;
    uint64_t lsn = node_state(&n).c;
    disk_hook = commit_during;
    OK(dq_db_checkpoint(n.db, lsn, 0, &n.config.page_count, &n.config.checksum));
    disk_hook = NULL;
    OK(dq_db_checkpoint_done(n.db, lsn));
    EQ(during.expected, value(&old, SUM));
    OK(run(&old, "COMMIT"));
    OK(node_checkpoint(&n));
    EQ(0, node_state(&n).version_bytes);
    node_copy_files(&n, &again, "during_again");
    node_open(&again);
    OK(dq_db_set_serving(again.db, 0));
    conn_open(&r, &again, 0);
    EQ(value(&w, SUM), value(&r, SUM));
    same_image(&n, &again);
    conn_close(&r), conn_close(&old), conn_close(&w);
    node_stop(&n), node_stop(&again);
  }
  hooks_off();
}

/* ---- installs ------------------------------------------------------------------------------------ */

/* b takes the files of a, which is at a later state. */
static void install(node *a, node *b) {
  node file;
  OK(node_checkpoint(a));
  node_copy_files(a, &file, "installed");
  OK(dq_file_rename(file.path, b->path));
  OK(dq_file_rename(file.sums, b->sums));
  OK(dq_db_reopen(b->db, a->config.page_count, a->config.checksum));
}

TEST(An_install_hides_pages_that_were_never_checkpointed) {
  node a, b;
  conn w, r;
  start(&a, "install_a", &w);
  node_start(&b, "install_b", 1024, 0);
  OK(write_own(&w, FILL));
  replicate_all(&a, &b); /* lives in b's store alone */
  commit_sql(&w, "UPDATE t SET b = 'later'");
  install(&a, &b);
  conn_open(&r, &b, 0);
  EQ(101, value(&r, "SELECT count(*) FROM t WHERE b = 'later'"));
  CHECK(strcmp(text(&r, "PRAGMA integrity_check"), "ok") == 0);
  same_image(&a, &b);
  EQ(0, node_state(&b).version_bytes);
  conn_close(&w), conn_close(&r);
  node_stop(&a), node_stop(&b);
}

TEST(After_an_install_schema_changes_are_told_by_the_new_cookie) {
  node a, b;
  conn w, own;
  start(&a, "install_a", &w);
  node_start(&b, "install_b", 1024, 0);
  commit_sql(&w, "CREATE TABLE u(x)");
  install(&a, &b);
  node_lead(&b);
  conn_open(&own, &b, 1);
  OK(write_own(&own, "PRAGMA user_version=5")); /* page 1, and not its cookie */
  OK(dq_db_fence(b.db, 0));
  EQ(0, state(&own).dead);
  conn_close(&w), conn_close(&own);
  node_stop(&a), node_stop(&b);
}
