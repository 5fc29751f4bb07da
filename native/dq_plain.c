/*
** dq_plain.c - blocking handles: unmodified SQLite connections. There is no
** output gate behind them, so they must not see drafts, and what they wait for
** they wait for inside SQLite's read lock.
*/
#include <strings.h>

#include "dq_internal.h"

/* Statements that look like autocommit writes without result columns: the
** transaction of BEGIN IMMEDIATE returns rows, and PRAGMA incremental_vacuum
** steps through rows that have no columns. */
static int is_begin_or_pragma(const char *sql) {
  while (sql && *sql) {
    if (strchr(" \t\r\n\f;", *sql)) {
      sql++;
    } else if (sql[0] == '-' && sql[1] == '-') {
      sql = strchr(sql, '\n');
    } else if (sql[0] == '/' && sql[1] == '*') {
      sql = strstr(sql + 2, "*/");
      if (sql) sql += 2;
    } else {
      return strncasecmp(sql, "begin", 5) == 0 || (strncasecmp(sql, "pragma", 6) == 0 && !DQ_MUTANT(86));
    }
  }
  return 0;
}

/* What is SQLite about to do? It asks for the read lock from inside a running
** statement. Only an autocommit statement without result columns may read
** drafts: nothing of what it read leaves it before its own commit is decided. */
enum dq_kind dq_plain_kind(const dq_handle *h) {
  int busy = 0, writes = 0, rows = 0;
  if (!h->conn) return DQ_READS;
  sqlite3 *sqlite = h->conn->sqlite;
  for (sqlite3_stmt *s = dq_sqlite.next_stmt(sqlite, NULL); s; s = dq_sqlite.next_stmt(sqlite, s)) {
    if (!dq_sqlite.stmt_busy(s)) continue;
    busy++;
    if (dq_sqlite.stmt_readonly(s)) continue;
    writes++;
    if ((dq_sqlite.column_count(s) != 0 && !DQ_MUTANT(35)) || (is_begin_or_pragma(dq_sqlite.sql(s)) && !DQ_MUTANT(36))) rows++;
  }
  if (!writes) return DQ_READS;
  return busy == 1 && !rows && dq_sqlite.get_autocommit(sqlite) ? DQ_WRITES_AUTOCOMMIT : DQ_WRITES;
}

/* 0 when c >= lsn; DQ_NOT_LEADER when drafting closed meanwhile; else
** DQ_SLOT_TIMEOUT. */
int dq_plain_wait(dq_handle *h, uint64_t lsn, int64_t deadline_ns) {
  dq_db *db = h->db;
  uint64_t fences = db->fences;
  while (db->c < lsn) {
    if (db->poisoned) return DQ_POISONED;
    if (db->closed || db->fences != fences) return DQ_NOT_LEADER;
    if (dq_now_ns() >= deadline_ns) return DQ_SLOT_TIMEOUT;
    db->moved_waiters++;
    dq_sys.wait(dq_sys.ctx, &db->moved, &db->lock, deadline_ns);
    db->moved_waiters--;
  }
  return SQLITE_OK;
}

/* Makes c fresh enough for the handle's level. By default a handle is
** linearizable on the node that leads and local elsewhere. */
static int barrier(dq_handle *h) {
  dq_db *db = h->db;
  if (h->level == DQ_LEVEL_LOCAL || (h->level == DQ_LEVEL_DEFAULT && !db->term)) return SQLITE_OK;
  if (db->term && (dq_now_ns() < db->lease || DQ_MUTANT(43))) return SQLITE_OK;
  if (!db->config.read_barrier) return SQLITE_OK;
  dq_unlock(db);
  int rc = db->config.read_barrier(db->config.ctx);
  dq_lock(db);
  return rc && !DQ_MUTANT(87) ? rc : dq_handle_usable(h);
}

/* With the slot: d does not move any more, except by a fence, which takes the
** slot away. */
static int begin_write(dq_handle *h, enum dq_kind kind, int64_t deadline_ns, uint64_t *target) {
  dq_db *db = h->db;
  /* A changed cookie above c would put an undecided schema into SQLite's cache. */
  uint64_t covered = kind == DQ_WRITES && !DQ_MUTANT(34) ? db->d : db->cookie_lsn;
  int rc = dq_plain_wait(h, DQ_MUTANT(37) && kind != DQ_WRITES ? 0 : covered, deadline_ns);
  if (rc == SQLITE_OK) rc = barrier(h);
  if (rc == SQLITE_OK && !dq_handle_holds_slot(h)) rc = h->slot_rc ? h->slot_rc : DQ_NOT_LEADER;
  *target = db->d;
  return rc;
}

int dq_plain_begin(dq_handle *h, enum dq_kind kind, uint64_t *target) {
  dq_db *db = h->db;
  int rc;
  /* The statement may as well only read this database: when another one is
  ** written already, a write here would be refused. Where drafting is closed the
  ** write lock will say so; the statement may want TEMP tables alone. */
  int elsewhere = h->conn && h->conn->writer && h->conn->writer != h;
  h->at_draft = 0;
  if (kind == DQ_READS || !db->term || elsewhere) {
    uint64_t c = db->c;
    rc = barrier(h);
    *target = DQ_MUTANT(83) ? c : DQ_MUTANT(33) ? db->d : db->c;
    return rc;
  }
  int64_t deadline = dq_add_ns(dq_now_ns(), db->config.slot_timeout_ns);
  h->slot_rc = 0;
  rc = dq_slot_acquire(h, deadline);
  if (rc) return rc;
  rc = begin_write(h, kind, deadline, target);
  if (rc && dq_handle_holds_slot(h)) dq_slot_free(db);
  h->at_draft = rc == SQLITE_OK && kind == DQ_WRITES_AUTOCOMMIT;
  return rc;
}
