/* Random statements whose answers depend on the database alone, and dumps. */
#include "model.h"

#define TABLES 4
#define KEYS 48
#define SCHEMA_CHANGED 17

static const char *const tables[] = {
    "CREATE TABLE t%u(a INTEGER PRIMARY KEY, b, c)",
    "CREATE TABLE t%u(a INTEGER PRIMARY KEY, b UNIQUE, c)",
    "CREATE TABLE t%u(a, b, c, PRIMARY KEY(a)) WITHOUT ROWID",
    "CREATE TABLE t%u(c, b, a INTEGER PRIMARY KEY, CHECK(b <> 'k7'))", /* other columns under the same name */
};

void model_table(char *sql, uint32_t number, uint32_t kind) { snprintf(sql, MAX_SQL, tables[kind], number); }

static void schema_statement(char *sql, uint64_t *seed, uint32_t t, uint32_t n) {
  switch (rnd(seed) % 9) {
    case 0: snprintf(sql, MAX_SQL, "DROP TABLE t%u", t); break;
    case 1: snprintf(sql, MAX_SQL, "CREATE INDEX i%u ON t%u(%s)", n % 3, t, n % 2 ? "b" : "c, b"); break;
    case 2: snprintf(sql, MAX_SQL, "DROP INDEX IF EXISTS i%u", n % 3); break;
    case 3: snprintf(sql, MAX_SQL, "CREATE TRIGGER g%u AFTER INSERT ON t%u BEGIN UPDATE t%u SET c = c || 'g' WHERE a = new.a - 1; END", n % 2, t, n % TABLES); break;
    case 4: snprintf(sql, MAX_SQL, "DROP TRIGGER IF EXISTS g%u", n % 2); break;
    case 5: snprintf(sql, MAX_SQL, "ALTER TABLE t%u ADD COLUMN d%u DEFAULT %u", t, n % 2, n); break;
    case 6: snprintf(sql, MAX_SQL, "PRAGMA user_version=%u", n); break;
    default: model_table(sql, t, n % 4); break;
  }
}

static void small_write(char *sql, uint64_t *seed, uint32_t t, uint32_t a, uint32_t n) {
  switch (rnd(seed) % 6) {
    case 0: snprintf(sql, MAX_SQL, "INSERT INTO t%u(a, b, c) VALUES(%u, 'k%u', %u)", t, a, n % KEYS, n); break;
    case 1: snprintf(sql, MAX_SQL, "INSERT INTO t%u(a, b, c) VALUES(%u, 'k%u', %u) ON CONFLICT(a) DO UPDATE SET c = excluded.c || 'u' || t%u.a", t, a, a, n, t); break;
    case 2: snprintf(sql, MAX_SQL, "UPDATE t%u SET c = printf('%%0*d', %u, a) WHERE a = %u", t, n % 900, a); break;
    case 3: snprintf(sql, MAX_SQL, "DELETE FROM t%u WHERE a = %u", t, a); break;
    case 4: snprintf(sql, MAX_SQL, "INSERT INTO t%u(a, b, c) VALUES(%u, 'r%u', %u) RETURNING a, (SELECT count(*) FROM t%u)", t, a, a, n, n % TABLES); break;
    default: snprintf(sql, MAX_SQL, "DELETE FROM t%u WHERE a %% %u = 1 RETURNING a, b", t, 3 + n % 20); break;
  }
}

static void large_write(char *sql, uint64_t *seed, uint32_t t, uint32_t a, uint32_t n) {
  switch (rnd(seed) % 4) {
    case 0: snprintf(sql, MAX_SQL, "UPDATE t%u SET c = printf('%%0*d', %u, a) WHERE a %% %u = 0", t, n % 700, 1 + n % 4); break;
    case 1: snprintf(sql, MAX_SQL, "DELETE FROM t%u WHERE a > %u", t, a); break;
    default:
      snprintf(sql, MAX_SQL,
               "WITH RECURSIVE x(i) AS (SELECT %u UNION ALL SELECT i + 1 FROM x WHERE i < %u) INSERT OR REPLACE INTO t%u(a, b, c) SELECT i, 'k' || i, printf('%%0*d', %u, i * %u) FROM x",
               a, a + n % 24, t, n % 600, n % 9);
      break;
  }
}

int model_statement(char *sql, uint64_t *seed, int in_transaction) {
  static const char *const savepoints[] = {"SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"};
  uint32_t t = rnd(seed) % TABLES, a = rnd(seed) % KEYS, n = rnd(seed) % 1000, kind = rnd(seed) % 20;
  if (kind < 3 || (w.ddl && kind % 2)) schema_statement(sql, seed, t, n);
  else if (kind < 9) small_write(sql, seed, t, a, n);
  else if (kind < 13) large_write(sql, seed, t, a, n);
  else if (kind < 16 && in_transaction) snprintf(sql, MAX_SQL, "%s", savepoints[n % 3]);
  else if (kind == 16 && !in_transaction) snprintf(sql, MAX_SQL, "%s", n % 2 ? "VACUUM" : "PRAGMA incremental_vacuum(5)");
  else if (n % 2) snprintf(sql, MAX_SQL, "SELECT count(*), sum(length(c)), max(b) FROM t%u", t);
  else snprintf(sql, MAX_SQL, "SELECT a, b, c FROM t%u WHERE b > 'k' ORDER BY b, a LIMIT 9", t);
  return kind == 16 && !in_transaction;
}

/* ---- running ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, const void *data, size_t n) { return dq_xxh64(data, n, hash); }

uint64_t model_mix_row(uint64_t hash, sqlite3_stmt *s) {
  for (int i = 0; i < sq.column_count(s); i++) {
    int type = sq.column_type(s, i); /* before the conversion */
    const unsigned char *value = sq.column_text(s, i);
    hash = mix(hash, &type, sizeof type);
    if (value) hash = mix(hash, value, (size_t)sq.column_bytes(s, i));
  }
  return hash;
}

static int run_once(sqlite3 *db, const char *sql, row_fn at_row, void *ctx, uint64_t *rows, int *count) {
  sqlite3_stmt *s;
  if (sq.prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) return sq.extended_errcode(db);
  while (sq.step(s) == SQLITE_ROW) {
    if (at_row) at_row(ctx);
    *rows = model_mix_row(*rows, s);
    ++*count;
  }
  return sq.finalize(s);
}

/* A changed schema is answered with 17 now and then: again, as long as no row has left. */
answer model_execute(sqlite3 *db, const char *sql, row_fn at_row, void *ctx) {
  answer a = {.rc = SCHEMA_CHANGED};
  int before = sq.total_changes(db), rows = 0;
  for (int i = 0; i < 10 && (a.rc & 0xff) == SCHEMA_CHANGED && rows == 0; i++) a.rc = run_once(db, sql, at_row, ctx, &a.rows, &rows);
  int changes = sq.total_changes(db) - before;
  a.rows = mix(a.rows, &changes, sizeof changes);
  return a;
}

int model_dump(sqlite3 *db, uint64_t *hash) {
  char selects[TABLES][64];
  sqlite3_stmt *s;
  int count = 0, rows = 0;
  *hash = 0;
  int rc = run_once(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name", NULL, NULL, hash, &rows);
  if (rc == SQLITE_OK) rc = run_once(db, "PRAGMA user_version", NULL, NULL, hash, &rows);
  if (rc) return rc;
  const char *sql = "SELECT 'SELECT * FROM ' || name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
  if (sq.prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) return sq.extended_errcode(db);
  while (sq.step(s) == SQLITE_ROW && count < TABLES) snprintf(selects[count++], sizeof *selects, "%.63s", (const char *)sq.column_text(s, 0));
  rc = sq.finalize(s);
  for (int i = 0; i < count && rc == SQLITE_OK; i++) {
    *hash = mix(*hash, selects[i], strlen(selects[i]));
    rc = run_once(db, selects[i], NULL, NULL, hash, &rows);
  }
  return rc;
}
