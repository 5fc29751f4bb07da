/*
** glue.c - the VFS "suite", the default one of SQLite's testfixture: every named
** main database becomes a replicated database of a cluster of one.
**
**   first open of a path   files are created (blank path) or taken over (a database
**                          that somebody copied there), dq_db_open, dq_db_lead
**   draft                  committed at once, as Raft does in a cluster of one;
**                          every SUITE_CHECKPOINT commits the file is brought up to date
**                          when the read transaction ends, as the tests look into it
**   last close             checkpoint, dq_db_close: the file is the whole state
**
** What is not a database (or has a journal beside it) stays with the base VFS.
*/
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../native/dqlite_shim.h"

#define DEFAULT_PAGE_SIZE 1024 /* of testfixture */
#define LOCK_READ0 3           /* the wal-index's first reader lock */

typedef struct entry { /* one path */
  struct entry *next;
  char *path, sums[256];
  dq_db *db;             /* NULL: nobody has it open */
  int orphan;            /* its file was deleted while it was open */
  int handles, wals;
  int blank;             /* created by us and never read or written */
  uint64_t pending;      /* commits since the last checkpoint */
  uint64_t term;
  uint32_t page_size, page_count;
  uint64_t checksum;
  struct stat seen;      /* the file after the last checkpoint */
  pthread_mutex_t checkpointing;
} entry;

typedef struct suite_file { /* behind the shim's part of the sqlite3_file */
  entry *e;
  const char *name;
  int flags;
  sqlite3 *connection;
} suite_file;

static struct {
  uint64_t databases, created, taken_over, foreign, connections;
  uint64_t main_reads, wal_writes, drafts, commits, pages_read_file, pages_read_store, checkpoints, poisoned, rot;
} count;
#define COUNT(what) __atomic_add_fetch(&count.what, 1, __ATOMIC_RELAXED)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* entries; recursive is not needed: callbacks do not take it */
static entry *entries;
static sqlite3_vfs *base, *shim, suite;
static sqlite3_io_methods shim_main, shim_wal, main_methods, wal_methods;
static uint64_t checkpoint_every;
static int file_part; /* bytes of the shim's part of a sqlite3_file */

static suite_file *of(sqlite3_file *f) { return (suite_file *)((char *)f + file_part); }

/* ---- the cluster of one -------------------------------------------------------------- */

static int checkpoint(entry *e) {
  dq_db_state s;
  e->pending = 0;
  dq_db_get_state(e->db, &s);
  int rc = s.c == s.checkpoint_lsn ? SQLITE_OK : dq_db_checkpoint(e->db, s.c, 0, &e->page_count, &e->checksum);
  if (rc == SQLITE_OK && s.c != s.checkpoint_lsn) {
    rc = dq_db_checkpoint_done(e->db, s.c);
    COUNT(checkpoints);
  }
  return rc;
}

/* "Raft" commits what it was given. On the thread of the writer, which waits for it next. */
static void on_draft(void *ctx) {
  entry *e = ctx;
  dq_batch *batch;
  e->blank = 0;
  while (dq_db_poll(e->db, 1 << 20, &batch) == SQLITE_OK && batch) {
    uint64_t lsn = batch->lsn_last;
    dq_batch_free(batch);
    dq_db_commit(e->db, lsn);
    e->pending++;
  }
}

static void on_rot(void *ctx, uint32_t page) {
  COUNT(rot);
  fprintf(stderr, "suite: page %u of %s does not match its checksum\n", page, ((entry *)ctx)->path);
}

static int start(entry *e) {
  dq_db_config config = {
      .struct_size = sizeof config,
      .page_size = e->page_size,
      .path = e->path,
      .sums_path = e->sums,
      .page_count = e->page_count,
      .checksum = e->checksum,
      .max_transaction_bytes = (uint64_t)1 << 40,
      .max_undecided_bytes = (uint64_t)1 << 40,
      .max_version_bytes = (uint64_t)1 << 40,
      .slot_timeout_ns = 0, /* SQLITE_BUSY at once: the tests' busy handlers decide */
      .commit_timeout_ns = INT64_MAX,
      .slot_hold_ns = INT64_MAX,
      .ctx = e,
      .on_draft = on_draft,
      .on_rot = on_rot,
  };
  int rc = dq_db_open(&config, &e->db);
  if (rc == SQLITE_OK) rc = dq_db_lead(e->db, e->term = 1);
  if (rc == SQLITE_OK) rc = dq_db_set_serving(e->db, SQLITE_OK);
  if (rc == SQLITE_OK) COUNT(databases);
  return rc;
}

static void stop(entry *e) {
  dq_db_state s;
  dq_db_get_state(e->db, &s);
  count.drafts += s.drafts;
  count.commits += s.commits;
  count.pages_read_file += s.pages_read_file;
  count.pages_read_store += s.pages_read_store;
  count.poisoned += s.poisoned != 0;
  if (s.poisoned) fprintf(stderr, "suite: %s is poisoned\n", e->path);
  dq_db_close(e->db);
  e->db = NULL;
}

/* ---- files ------------------------------------------------------------------------------ */

static int create(entry *e, uint32_t page_size, uint32_t auto_vacuum) {
  e->page_size = page_size;
  e->page_count = 1;
  e->blank = 1;
  COUNT(created);
  return dq_db_create_files(e->path, e->sums, page_size, auto_vacuum, &e->checksum);
}

static int not_empty(const char *path, const char *suffix) {
  char name[4200];
  struct stat st;
  snprintf(name, sizeof name, "%s%s", path, suffix);
  return stat(name, &st) == 0 && st.st_size > 0;
}

static uint32_t get4(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* 0: not a whole database file. */
static uint32_t page_size_of(const unsigned char *head, int64_t size) {
  uint32_t n = (uint32_t)head[16] << 8 | head[17];
  if (n == 1) n = 65536;
  if (memcmp(head, "SQLite format 3", 16) != 0 || n < 512 || n > 65536 || (n & (n - 1)) || size % n) return 0;
  return head[18] >= 1 && head[18] <= 2 && head[19] >= 1 && head[19] <= 2 ? n : 0;
}

/* Makes a database file that is not ours one of ours, as an import does. */
static int take_over(entry *e, int64_t size) {
  unsigned char *image = malloc((size_t)size);
  FILE *in = fopen(e->path, "rb");
  int rc = SQLITE_NOTFOUND;
  if (in && image && size >= 512 && fread(image, 1, (size_t)size, in) == (size_t)size && (e->page_size = page_size_of(image, size))) {
    uint32_t told = get4(image + 28);
    dq_builder *b;
    e->page_count = (uint32_t)(size / e->page_size);
    if (told && told < e->page_count && get4(image + 24) == get4(image + 92)) e->page_count = told;
    image[18] = image[19] = 2;
    rc = dq_builder_open(e->path, e->sums, e->page_size, &b);
    for (uint32_t i = 0; i < e->page_count && rc == SQLITE_OK; i++) rc = dq_builder_page(b, i + 1, image + (size_t)i * e->page_size);
    if (rc == SQLITE_OK) rc = dq_builder_finish(b, e->page_count, &e->checksum);
    dq_builder_close(b);
    COUNT(taken_over);
  }
  if (in) fclose(in);
  free(image);
  return rc;
}

static int unchanged(const entry *e, const struct stat *st) {
  return e->seen.st_ino == st->st_ino && e->seen.st_size == st->st_size && e->seen.st_mtim.tv_sec == st->st_mtim.tv_sec &&
         e->seen.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

/* SQLITE_NOTFOUND: a matter of the base VFS. */
static int prepare(entry *e, int flags) {
  struct stat st;
  int exists = stat(e->path, &st) == 0;
  if (!(flags & SQLITE_OPEN_READWRITE) || (exists && (!S_ISREG(st.st_mode) || access(e->path, W_OK) != 0))) return SQLITE_NOTFOUND;
  if (not_empty(e->path, "-journal") || not_empty(e->path, "-wal")) return SQLITE_NOTFOUND;
  e->blank = 0;
  if (!exists && !(flags & SQLITE_OPEN_CREATE)) return SQLITE_NOTFOUND;
  if (exists && st.st_size > 0) return unchanged(e, &st) ? SQLITE_OK : take_over(e, st.st_size);
  return create(e, DEFAULT_PAGE_SIZE, 0) == SQLITE_OK ? SQLITE_OK : SQLITE_NOTFOUND;
}

/* ---- entries ------------------------------------------------------------------------------- */

static entry *find(const char *path, size_t length) {
  entry *e = entries;
  while (e && (e->orphan || strlen(e->path) != length || memcmp(e->path, path, length) != 0)) e = e->next;
  return e;
}

static entry *add(const char *path) {
  static int number;
  const char *directory = getenv("SUITE_STATE");
  entry *e = calloc(1, sizeof *e);
  e->path = strdup(path);
  snprintf(e->sums, sizeof e->sums, "%s/%d-%d.sums", directory ? directory : "/tmp", (int)getpid(), ++number);
  pthread_mutex_init(&e->checkpointing, NULL);
  e->next = entries;
  entries = e;
  return e;
}

/* An entry is kept for its record of the file, unless the path is another's now. */
static void release(entry *e) {
  if (--e->handles || !e->db) return;
  checkpoint(e);
  stop(e);
  if (stat(e->path, &e->seen) != 0) memset(&e->seen, 0, sizeof e->seen);
}

/* The file of an open database was deleted or replaced: whoever has it keeps the old one. */
static int replaced(const entry *e) {
  struct stat st;
  return stat(e->path, &st) != 0 || st.st_ino != e->seen.st_ino;
}

static int acquire(const char *path, int flags, entry **out) {
  entry *e = find(path, strlen(path));
  if (e && e->db && replaced(e)) {
    e->orphan = 1;
    stop(e);
    e = NULL;
  }
  if (!e) e = add(path);
  int rc = e->db ? SQLITE_OK : prepare(e, flags);
  if (rc == SQLITE_OK && !e->db) {
    rc = start(e);
    stat(e->path, &e->seen);
  }
  *out = e;
  return rc;
}

/* ---- main database ---------------------------------------------------------------------------- */

static int main_close(sqlite3_file *f) {
  entry *e = of(f)->e;
  int rc = shim_main.xClose(f);
  pthread_mutex_lock(&lock);
  release(e);
  pthread_mutex_unlock(&lock);
  return rc;
}

/* A connection whose database was made anew with smaller pages (set_page_size) reads
** page 1 at the size that it knows, once, and then learns better. */
static int main_read(sqlite3_file *f, void *buf, int amount, sqlite3_int64 offset) {
  int size = (int)of(f)->e->page_size, rc = SQLITE_OK;
  COUNT(main_reads);
  if (offset || amount <= size) return shim_main.xRead(f, buf, amount, offset);
  memset(buf, 0, (size_t)amount);
  for (int at = 0; at < amount && rc == SQLITE_OK; at += size) rc = shim_main.xRead(f, (char *)buf + at, size, at);
  return rc;
}

/* The end of a read transaction: nobody else may keep the old state from being cut off. */
static int main_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
  entry *e = of(f)->e;
  int rc = shim_main.xShmLock(f, offset, n, flags);
  if (offset >= LOCK_READ0 && flags == (SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED) && e->db && e->pending >= checkpoint_every &&
      pthread_mutex_trylock(&e->checkpointing) == 0) {
    if (checkpoint(e) != SQLITE_OK) fprintf(stderr, "suite: checkpoint of %s failed\n", e->path);
    pthread_mutex_unlock(&e->checkpointing);
  }
  return rc;
}

static int open_shim_main(sqlite3_file *f, const char *name, int flags, int *out_flags) {
  int rc = shim->xOpen(shim, name, f, flags, out_flags);
  if (rc) return rc;
  if (!shim_main.xClose) {
    shim_main = main_methods = *f->pMethods;
    main_methods.xClose = main_close;
    main_methods.xRead = main_read;
    main_methods.xShmLock = main_shm_lock;
    extern int suite_main_control(sqlite3_file *, int, void *);
    main_methods.xFileControl = suite_main_control;
  }
  f->pMethods = &main_methods;
  return SQLITE_OK;
}

/* The page size is a property of a database's creation. A test sets it by a pragma
** before the first access: the blank database is made anew. */
static int set_page_size(sqlite3_file *f, uint32_t page_size, uint32_t auto_vacuum) {
  suite_file *s = of(f);
  entry *e = s->e;
  shim_main.xClose(f);
  stop(e);
  int rc = create(e, page_size, auto_vacuum);
  if (rc == SQLITE_OK) rc = start(e);
  stat(e->path, &e->seen);
  if (rc == SQLITE_OK) rc = open_shim_main(f, s->name, s->flags, NULL);
  if (rc == SQLITE_OK && s->connection) rc = shim_main.xFileControl(f, SQLITE_FCNTL_PDB, &s->connection);
  if (rc) abort(); /* the file would have no methods */
  return SQLITE_NOTFOUND; /* SQLite goes on with the pragma */
}

/* So is auto_vacuum: another page 1 comes as an entry of somebody else's log. The
** connection has to read it before the pragma goes on, which looks at its cache alone. */
static int set_auto_vacuum(sqlite3_file *f, uint32_t auto_vacuum) {
  entry *e = of(f)->e;
  unsigned char page[65536];
  uint32_t number = 1;
  int rc = dq_canonical_page1(page, e->page_size, auto_vacuum);
  if (rc == SQLITE_OK) rc = dq_db_fence(e->db, UINT64_MAX);
  if (rc == SQLITE_OK) rc = dq_db_apply(e->db, 1, &number, page, 1, 0, NULL);
  if (rc == SQLITE_OK) rc = dq_db_lead(e->db, ++e->term);
  e->pending++;
  if (rc == SQLITE_OK) rc = sqlite3_exec(of(f)->connection, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
  return rc ? rc : SQLITE_NOTFOUND;
}

static int auto_vacuum_of(const char *value) {
  if (strcasecmp(value, "full") == 0 || strcmp(value, "1") == 0) return 1;
  if (strcasecmp(value, "incremental") == 0 || strcmp(value, "2") == 0) return 2;
  return 0;
}

static uint32_t stored_auto_vacuum(sqlite3_file *f) {
  unsigned char head[100];
  if (shim_main.xRead(f, head, sizeof head, 0) != SQLITE_OK || get4(head + 52) == 0) return 0;
  return get4(head + 64) ? 2 : 1;
}

static int pragma(sqlite3_file *f, char **args) {
  entry *e = of(f)->e;
  const char *value = args[2];
  if (!value || !e->db || !e->blank) return shim_main.xFileControl(f, SQLITE_FCNTL_PRAGMA, args);
  if (strcasecmp(args[1], "encoding") == 0) return SQLITE_NOTFOUND;
  if (e->wals == 0 && e->handles == 1 && strcasecmp(args[1], "page_size") == 0) {
    uint32_t n = (uint32_t)atoi(value);
    if (n >= 512 && n <= 65536 && !(n & (n - 1))) return set_page_size(f, n, stored_auto_vacuum(f));
  }
  if (strcasecmp(args[1], "auto_vacuum") == 0) return set_auto_vacuum(f, (uint32_t)auto_vacuum_of(value));
  return shim_main.xFileControl(f, SQLITE_FCNTL_PRAGMA, args);
}

int suite_main_control(sqlite3_file *f, int op, void *arg) {
  if (op == SQLITE_FCNTL_PDB) of(f)->connection = *(sqlite3 **)arg;
  return op == SQLITE_FCNTL_PRAGMA ? pragma(f, arg) : shim_main.xFileControl(f, op, arg);
}

static int open_main(sqlite3_file *f, const char *name, int flags, int *out_flags) {
  entry *e;
  int rc = acquire(name, flags, &e);
  if (rc == SQLITE_NOTFOUND) {
    COUNT(foreign);
    return base->xOpen(base, name, f, flags, out_flags);
  }
  if (rc == SQLITE_OK) rc = open_shim_main(f, name, flags, out_flags);
  e->handles++;
  if (rc) release(e);
  else *of(f) = (suite_file){.e = e, .name = name, .flags = flags};
  if (rc == SQLITE_OK) COUNT(connections);
  return rc;
}

/* ---- WAL ------------------------------------------------------------------------------------------ */

static int wal_close(sqlite3_file *f) {
  of(f)->e->wals--;
  return shim_wal.xClose(f);
}

static int wal_write(sqlite3_file *f, const void *buf, int amount, sqlite3_int64 offset) {
  COUNT(wal_writes);
  return shim_wal.xWrite(f, buf, amount, offset);
}

static int open_wal(entry *e, sqlite3_file *f, const char *name, int flags, int *out_flags) {
  int rc = shim->xOpen(shim, name, f, flags, out_flags);
  if (rc) return rc;
  if (!shim_wal.xClose) {
    shim_wal = wal_methods = *f->pMethods;
    wal_methods.xClose = wal_close;
    wal_methods.xWrite = wal_write;
  }
  f->pMethods = &wal_methods;
  of(f)->e = e;
  e->wals++;
  return SQLITE_OK;
}

/* ---- the VFS ---------------------------------------------------------------------------------------- */

static int suite_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags) {
  (void)v;
  int rc;
  size_t n = name ? strlen(name) : 0;
  pthread_mutex_lock(&lock);
  entry *e = (flags & SQLITE_OPEN_WAL) && n > 4 ? find(name, n - 4) : NULL;
  if (e && e->db) rc = open_wal(e, f, name, flags, out_flags);
  else if (name && (flags & SQLITE_OPEN_MAIN_DB)) rc = open_main(f, name, flags, out_flags);
  else rc = base->xOpen(base, name, f, flags, out_flags);
  pthread_mutex_unlock(&lock);
  return rc;
}

/* The suite's shims copy a sqlite3_vfs and pass the copy: only the base knows its own. */
static int set_system_call(sqlite3_vfs *v, const char *name, sqlite3_syscall_ptr call) {
  (void)v;
  return base->xSetSystemCall(base, name, call);
}

static sqlite3_syscall_ptr get_system_call(sqlite3_vfs *v, const char *name) {
  (void)v;
  return base->xGetSystemCall(base, name);
}

static const char *next_system_call(sqlite3_vfs *v, const char *name) {
  (void)v;
  return base->xNextSystemCall(base, name);
}

static void report(void) {
  const char *path = getenv("SUITE_COUNTERS");
  FILE *out = path ? fopen(path, "a") : NULL;
  for (entry *e = entries; e; e = e->next) {
    if (e->db) stop(e);
    unlink(e->sums);
  }
  if (!out) return;
  fprintf(out, "databases %llu\ncreated %llu\ntaken-over %llu\nleft-to-base %llu\nconnections %llu\n", (unsigned long long)count.databases,
          (unsigned long long)count.created, (unsigned long long)count.taken_over, (unsigned long long)count.foreign,
          (unsigned long long)count.connections);
  fprintf(out, "main-xRead %llu\nwal-xWrite %llu\ndrafts %llu\ncommits %llu\n", (unsigned long long)count.main_reads,
          (unsigned long long)count.wal_writes, (unsigned long long)count.drafts, (unsigned long long)count.commits);
  fprintf(out, "pages-from-file %llu\npages-from-store %llu\ncheckpoints %llu\npoisoned %llu\nrotten-pages %llu\n",
          (unsigned long long)count.pages_read_file, (unsigned long long)count.pages_read_store, (unsigned long long)count.checkpoints,
          (unsigned long long)count.poisoned, (unsigned long long)count.rot);
  fclose(out);
}

static int start_shim(void) {
  dq_sqlite_api api = {
      .struct_size = sizeof api,
      .libversion_number = sqlite3_libversion_number,
      .vfs_find = sqlite3_vfs_find,
      .vfs_register = sqlite3_vfs_register,
      .mprintf = sqlite3_mprintf,
      .log = sqlite3_log,
      .uri_parameter = sqlite3_uri_parameter,
      .uri_boolean = sqlite3_uri_boolean,
      .next_stmt = sqlite3_next_stmt,
      .stmt_busy = sqlite3_stmt_busy,
      .stmt_readonly = sqlite3_stmt_readonly,
      .column_count = sqlite3_column_count,
      .get_autocommit = sqlite3_get_autocommit,
      .sql = sqlite3_sql,
      .filename_database = sqlite3_filename_database,
  };
  base = sqlite3_vfs_find("unix");
  int rc = dq_init(&api);
  if (rc) return rc;
  const char *every = getenv("SUITE_CHECKPOINT");
  checkpoint_every = every && atoi(every) > 0 ? (uint64_t)atoi(every) : 1;
  shim = sqlite3_vfs_find(DQ_VFS_NAME);
  suite = *shim;
  suite.pNext = NULL;
  suite.zName = "suite";
  file_part = (shim->szOsFile + 7) & ~7;
  suite.szOsFile = file_part + (int)sizeof(suite_file);
  suite.xOpen = suite_open;
  suite.iVersion = 3;
  suite.xSetSystemCall = set_system_call;
  suite.xGetSystemCall = get_system_call;
  suite.xNextSystemCall = next_system_call;
  return atexit(report) ? SQLITE_ERROR : SQLITE_OK;
}

/* SQLITE_EXTRA_INIT: at every sqlite3_initialize(), which makes "unix" the default again. */
int dq_suite_init(const char *unused) {
  (void)unused;
  if (getenv("SUITE_OFF")) return SQLITE_OK; /* SQLite's own VFS, for comparison */
  int rc = base ? SQLITE_OK : start_shim();
  return rc ? rc : sqlite3_vfs_register(&suite, 1);
}
