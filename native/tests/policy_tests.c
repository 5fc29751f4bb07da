/* What SQL may not do over the VFS, and with which words it is told. */
#include <unistd.h>

#include "harness.h"

static void start(node *n, conn *c) {
  node_start(n, "policy", 4096, 1);
  node_lead(n);
  conn_open(c, n, 1);
  OK(write_own(c, "CREATE TABLE t(a)"));
  replicate_all(n, NULL);
}

TEST(Pragmas_that_would_break_replication_are_denied_with_a_reason) {
  static const struct {
    const char *sql, *text;
  } denied[] = {
      {"PRAGMA journal_mode=DELETE", "always in WAL mode"},
      {"PRAGMA main.journal_mode='memory'", "always in WAL mode"},
      {"PRAGMA locking_mode=EXCLUSIVE", "cannot be locked exclusively"},
      {"PRAGMA wal_checkpoint", "checkpointed by its node"},
      {"PRAGMA wal_checkpoint(TRUNCATE)", "checkpointed by its node"},
      {"PRAGMA wal_autocheckpoint=1000", "checkpointed by its node"},
      {"PRAGMA schema_version=7", "schema_version"},
      {"PRAGMA page_size=8192", "page size"},
      {"PRAGMA auto_vacuum=0", "auto_vacuum"},
      {"PRAGMA auto_vacuum=incremental", "auto_vacuum"},
      {"PRAGMA encoding='UTF-16'", "encoding"},
  };
  static const char *const allowed[] = {
      "PRAGMA journal_mode",  "PRAGMA journal_mode='wal'", "PRAGMA locking_mode",  "PRAGMA wal_autocheckpoint", "PRAGMA schema_version",
      "PRAGMA page_size",     "PRAGMA page_size=4096",     "PRAGMA auto_vacuum",   "PRAGMA auto_vacuum=full",   "PRAGMA encoding",
      "PRAGMA encoding='UTF-8'", "PRAGMA synchronous=OFF", "PRAGMA mmap_size=100000", "PRAGMA wal_autocheckpoint=0", "PRAGMA locking_mode=normal",
  };
  node n;
  conn c;
  start(&n, &c);
  for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
    EQ(SQLITE_ERROR, run(&c, denied[i].sql));
    if (!strstr(last_error, denied[i].text)) test_fail(__FILE__, __LINE__, "%s: '%s'", denied[i].sql, last_error);
  }
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
    if (run(&c, allowed[i]) != SQLITE_OK) test_fail(__FILE__, __LINE__, "%s: '%s'", allowed[i], last_error);
  CHECK(strcmp(text(&c, "PRAGMA journal_mode"), "wal") == 0);
  EQ(SQLITE_BUSY, sq.wal_checkpoint_v2(c.sql, NULL, 3, NULL, NULL));
  OK(write_own(&c, "PRAGMA user_version=9"));
  conn_close(&c);
  node_stop(&n);
}

TEST(Only_registered_databases_open_and_never_behind_the_log) {
  node n;
  conn c;
  char uri[400];
  start(&n, &c);
  static const struct {
    const char *parameters, *log;
  } refused[] = {{"&immutable=1", "immutable"}, {"&nolock=1", "nolock"}, {"&cache=shared", "cache=shared"}, {"&level=fast", "level must be"}};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    snprintf(uri, sizeof uri, "file:%s?vfs=dqlite%s", n.path, refused[i].parameters);
    EQ(SQLITE_CANTOPEN, open_rc(uri));
    CHECK(strstr(last_log, refused[i].log));
  }
  snprintf(uri, sizeof uri, "file:%s?vfs=dqlite", scratch("typo.db"));
  EQ(SQLITE_CANTOPEN, open_rc(uri));
  CHECK(access(scratch("typo.db"), F_OK) != 0); /* never a silent local file */
  snprintf(uri, sizeof uri, "file:%s?vfs=dqlite&mode=ro", n.path);
  OK(open_rc(uri));
  snprintf(uri, sizeof uri, "VACUUM INTO '%s'", scratch("into.db"));
  EQ(SQLITE_CANTOPEN, run(&c, uri));
  conn_close(&c);
  node_stop(&n);
}

/* SQLite hides from a VFS that a connection asked for a shared cache. */
TEST(Connections_that_share_a_cache_are_refused_and_the_last_one_does_not_ask_the_first) {
  node n;
  conn c, first, second;
  start(&n, &c);
  conn_open_shared(&first, &n);
  OK(run(&first, "SELECT * FROM t"));
  conn_open_shared(&second, &n);
  CHECK(strstr(last_log, "cache=shared"));
  EQ(SQLITE_CANTOPEN, run(&first, "INSERT INTO t VALUES(1)"));
  EQ(SQLITE_CANTOPEN, run(&second, "SELECT * FROM t"));
  conn_close(&first);
  EQ(SQLITE_CANTOPEN, run(&second, "SELECT * FROM t"));
  conn_close(&second);
  EQ(0, value(&c, "SELECT count(*) FROM t"));
  conn_close(&c);
  node_stop(&n);
}

TEST(A_local_file_attaches_through_its_own_vfs) {
  node n;
  conn c;
  char sql[400];
  start(&n, &c);
  snprintf(sql, sizeof sql, "ATTACH 'file:%s?vfs=unix' AS local", scratch("local.db"));
  conn u;
  conn_open_uri(&u, &n, "");
  OK(run(&u, sql));
  OK(run(&u, "CREATE TABLE local.x(a); INSERT INTO local.x VALUES(1)"));
  EQ(1, value(&u, "SELECT count(*) FROM local.x"));
  conn_close(&u), conn_close(&c);
  node_stop(&n);
}

TEST(One_transaction_cannot_write_two_replicated_databases) {
  node n, m;
  conn c, u;
  background b;
  char sql[400];
  start(&n, &c);
  node_start(&m, "policy2", 4096, 0);
  node_lead(&m);
  conn d;
  conn_open(&d, &m, 1);
  OK(write_own(&d, "CREATE TABLE u(a)"));
  replicate_all(&m, NULL);
  conn_open_uri(&u, &n, "");
  snprintf(sql, sizeof sql, "ATTACH 'file:%s?vfs=dqlite' AS other", m.path);
  OK(run(&u, sql));
  OK(run(&u, "BEGIN; INSERT INTO main.t VALUES(1)"));
  EQ(DQ_SPANS_DATABASES, run(&u, "INSERT INTO other.u VALUES(1)"));
  run(&u, "ROLLBACK");
  EQ(0, value(&u, "SELECT count(*) FROM main.t"));
  /* Writing one while reading the other is fine, in either order. */
  background_start(&b, &u, "INSERT INTO other.u SELECT count(*) FROM main.t");
  wait_drafts(&m, 1);
  replicate_all(&m, NULL);
  OK(background_join(&b));
  background_start(&b, &u, "INSERT INTO main.t SELECT count(*) + 10 FROM other.u");
  wait_drafts(&n, 1);
  replicate_all(&n, NULL);
  OK(background_join(&b));
  EQ(11, value(&u, "SELECT sum(a) FROM main.t"));
  conn_close(&c), conn_close(&d), conn_close(&u);
  node_stop(&n), node_stop(&m);
}

TEST(A_database_is_found_through_a_symbolic_link_and_dots) {
  node n;
  conn c;
  char uri[400];
  start(&n, &c);
  CHECK(symlink(n.path, scratch("link.db")) == 0);
  snprintf(uri, sizeof uri, "file:%s?vfs=dqlite", scratch("link.db"));
  OK(open_rc(uri));
  snprintf(uri, sizeof uri, "file:%s?vfs=dqlite", scratch("./x/../policy.db"));
  OK(open_rc(uri));
  conn_close(&c);
  node_stop(&n);
}
