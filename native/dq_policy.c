/*
** dq_policy.c - what SQLite is not allowed to do over this VFS, with the reason
** in words: pragmas through FCNTL_PRAGMA, URI parameters at open.
*/
#include <stdlib.h>
#include <strings.h>

#include "dq_internal.h"

enum rule { DENY_ALWAYS, DENY_VALUE, DENY_VALUE_UNLESS, SAME_PAGE_SIZE, SAME_AUTO_VACUUM, SAME_ENCODING };

typedef struct pragma_rule {
  const char *name;
  enum rule rule;
  const char *allowed; /* of DENY_VALUE_UNLESS */
  const char *text;
} pragma_rule;

static const pragma_rule rules[] = {
    {"journal_mode", DENY_VALUE_UNLESS, "wal", "a replicated database is always in WAL mode: journal_mode cannot be changed"},
    {"locking_mode", DENY_VALUE_UNLESS, "normal", "a replicated database cannot be locked exclusively: locking_mode must stay NORMAL"},
    {"wal_checkpoint", DENY_ALWAYS, NULL, "a replicated database is checkpointed by its node: wal_checkpoint is not available"},
    {"wal_autocheckpoint", DENY_VALUE_UNLESS, "0", "a replicated database is checkpointed by its node: wal_autocheckpoint cannot be set"},
    {"schema_version", DENY_VALUE, NULL, "schema_version of a replicated database cannot be set: a repeated version lets connections write into the wrong table"},
    {"page_size", SAME_PAGE_SIZE, NULL, "the page size of a replicated database is fixed when it is created"},
    {"auto_vacuum", SAME_AUTO_VACUUM, NULL, "auto_vacuum of a replicated database is fixed when it is created"},
    {"encoding", SAME_ENCODING, NULL, "the encoding of a replicated database is fixed when it is created"},
};

static int auto_vacuum_value(const char *s) {
  if (strcasecmp(s, "none") == 0 || strcasecmp(s, "0") == 0) return 0;
  if (strcasecmp(s, "full") == 0 || strcasecmp(s, "1") == 0) return 1;
  if (strcasecmp(s, "incremental") == 0 || strcasecmp(s, "2") == 0) return 2;
  return -1;
}

static uint32_t encoding_value(const char *s) {
  if (strcasecmp(s, "utf-8") == 0 || strcasecmp(s, "utf8") == 0) return 1;
  if (strcasecmp(s, "utf-16") == 0 || strcasecmp(s, "utf16") == 0) return 2;
  if (strcasecmp(s, "utf-16le") == 0 || strcasecmp(s, "utf16le") == 0) return 2;
  if (strcasecmp(s, "utf-16be") == 0 || strcasecmp(s, "utf16be") == 0) return 3;
  return 0;
}

/* 1: the value is what the database has. An unreadable page 1 denies. */
static int same_as_database(dq_handle *h, enum rule rule, const char *value) {
  uint8_t head[100];
  if (rule == SAME_PAGE_SIZE) return strtoul(value, NULL, 10) == h->db->page_size;
  if (dq_reader_page(h->db, &h->reader, 1, 0, sizeof head, head) != SQLITE_OK) return 0;
  if (rule == SAME_AUTO_VACUUM) return auto_vacuum_value(value) == (dq_get4(head + 52) == 0 ? 0 : dq_get4(head + 64) ? 2 : 1);
  uint32_t encoding = dq_get4(head + 56); /* 0: nothing stored yet, UTF-8 */
  return encoding_value(value) == (encoding ? encoding : 1);
}

static int denied(dq_handle *h, const pragma_rule *rule, const char *value) {
  switch (rule->rule) {
    case DENY_ALWAYS: return 1;
    case DENY_VALUE: return value != NULL && !DQ_MUTANT(80);
    case DENY_VALUE_UNLESS: return value && strcasecmp(value, rule->allowed) != 0;
    default: return value && !same_as_database(h, rule->rule, value);
  }
}

/* args: [0] message out, [1] name, [2] value or NULL. NOTFOUND: SQLite goes on.
** OK: done; setting what the database has already must not become a write. */
int dq_policy_pragma(dq_handle *h, char **args) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    if (strcasecmp(args[1], rules[i].name) != 0) continue;
    if (!denied(h, &rules[i], args[2])) return args[2] && rules[i].rule >= SAME_PAGE_SIZE ? SQLITE_OK : SQLITE_NOTFOUND;
    args[0] = dq_sqlite.mprintf("%s", rules[i].text);
    return SQLITE_ERROR;
  }
  return SQLITE_NOTFOUND;
}

static int refuse(const char *name, const char *why) {
  dq_sqlite.log(SQLITE_CANTOPEN, "dqlite: cannot open %s: %s", name, why);
  return SQLITE_CANTOPEN;
}

static const char no_shared_cache[] = "cache=shared is not supported, connections share the page store instead";

/* SQLITE_OPEN_SHAREDCACHE and sqlite3_enable_shared_cache() do not show at open:
** SQLite tells a VFS of neither. */
void dq_policy_shared(const char *name) { refuse(name, no_shared_cache); }

/* `name` is SQLite's own pointer: URI parameters lie behind it. */
int dq_policy_open(const char *name, int *level) {
  const char *cache = dq_sqlite.uri_parameter(name, "cache"), *wanted = dq_sqlite.uri_parameter(name, "level");
  *level = DQ_LEVEL_DEFAULT;
  if (dq_sqlite.uri_boolean(name, "immutable", 0) && !DQ_MUTANT(81)) return refuse(name, "immutable=1 would read the file without its log");
  if (dq_sqlite.uri_boolean(name, "nolock", 0)) return refuse(name, "nolock=1 would read the file without its log");
  if (cache && strcasecmp(cache, "shared") == 0) return refuse(name, no_shared_cache);
  if (!wanted) return SQLITE_OK;
  if (strcasecmp(wanted, "local") == 0) *level = DQ_LEVEL_LOCAL;
  else if (strcasecmp(wanted, "linearizable") == 0) *level = DQ_LEVEL_LINEARIZABLE;
  else return refuse(name, "level must be local or linearizable");
  return SQLITE_OK;
}
