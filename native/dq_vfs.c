/*
** dq_vfs.c - the VFS "dqlite": SQLite's calls, in the order of its tables, and
** dq_init. What is not a replicated database goes to the default VFS.
*/
#include <stdio.h>

#include "dq_internal.h"

/* Lock slots of the wal-index. */
#define LOCK_WRITE 0
#define LOCK_READ0 3

typedef struct vfs_file { /* main database and WAL files alike */
  sqlite3_file base;
  dq_handle *handle;
} vfs_file;

static dq_handle *handle_of(sqlite3_file *f) { return ((vfs_file *)f)->handle; }

dq_sqlite_api dq_sqlite;
static sqlite3_vfs *base_vfs;
static sqlite3_vfs vfs;

/* ---- main database file ---------------------------------------------------------- */

static int main_close(sqlite3_file *f) {
  dq_handle_close(handle_of(f));
  f->pMethods = NULL;
  return SQLITE_OK;
}

/* SQLite reads whole pages, and the header of page 1 before it has any lock. */
static int main_read(sqlite3_file *f, void *buf, int amount, sqlite3_int64 offset) {
  dq_handle *h = handle_of(f);
  uint32_t size = h->db->page_size, at = (uint32_t)(offset % size);
  if (at + (uint32_t)amount > size) return SQLITE_IOERR_READ;
  int rc = dq_reader_page(h->db, &h->reader, (uint32_t)(offset / size) + 1, at, (uint32_t)amount, buf);
  if (rc && rc != SQLITE_IOERR_SHORT_READ) {
    dq_lock(h->db);
    dq_handle_note(h, rc);
    dq_unlock(h->db);
  }
  return rc;
}

/* The file is written by the checkpoint alone. */
static int main_write(sqlite3_file *f, const void *buf, int amount, sqlite3_int64 offset) {
  (void)f, (void)buf, (void)amount, (void)offset;
  return SQLITE_IOERR_WRITE;
}

static int main_truncate(sqlite3_file *f, sqlite3_int64 size) {
  (void)f, (void)size;
  return SQLITE_IOERR_TRUNCATE;
}

static int no_sync(sqlite3_file *f, int flags) {
  (void)f, (void)flags;
  return SQLITE_OK;
}

static int main_size(sqlite3_file *f, sqlite3_int64 *size) {
  dq_handle *h = handle_of(f);
  dq_lock(h->db);
  *size = (sqlite3_int64)(h->reader.snap ? h->reader.page_count : h->db->page_count_c) * h->db->page_size;
  dq_unlock(h->db);
  return SQLITE_OK;
}

/* Nothing above SHARED: so the last connection to close neither checkpoints nor
** deletes the WAL, and WAL mode cannot be left. */
static int main_lock(sqlite3_file *f, int lock) {
  (void)f;
  return lock > SQLITE_LOCK_SHARED ? SQLITE_BUSY : SQLITE_OK;
}

static int main_unlock(sqlite3_file *f, int lock) {
  (void)f, (void)lock;
  return SQLITE_OK;
}

static int main_check_reserved(sqlite3_file *f, int *out) {
  (void)f;
  *out = 0;
  return SQLITE_OK;
}

static int main_control(sqlite3_file *f, int op, void *arg) {
  dq_handle *h = handle_of(f);
  switch (op) {
    case DQ_FCNTL_HANDLE: *(dq_handle **)arg = h; return SQLITE_OK;
    case SQLITE_FCNTL_PRAGMA: return dq_policy_pragma(h, arg);
    case SQLITE_FCNTL_PDB: return dq_handle_connect(h, *(sqlite3 **)arg);
    case SQLITE_FCNTL_VFSNAME: *(char **)arg = dq_sqlite.mprintf("%s", DQ_VFS_NAME); return SQLITE_OK;
    default: return SQLITE_NOTFOUND;
  }
}

static int main_sector_size(sqlite3_file *f) {
  (void)f;
  return 4096;
}

/* Without POWERSAFE_OVERWRITE synchronous=FULL pads the log with copies of the
** commit frame and splits page writes. */
static int characteristics(sqlite3_file *f) {
  (void)f;
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_SAFE_APPEND;
}

static int shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **out) {
  if (size != 32768) return SQLITE_IOERR;
  return dq_index_map(handle_of(f), region, extend, out);
}

/* The wal-index is private: READ stands for the snapshot and WRITE for the slot,
** exclusive READ locks only move marks, and CKPT and RECOVER are refused (no
** checkpoint by SQLite, no recovery, no snapshot_open). */
static int shm_lock(sqlite3_file *f, int offset, int n, int flags) {
  dq_handle *h = handle_of(f);
  int lock = flags & SQLITE_SHM_LOCK;
  if (offset == LOCK_WRITE && n == 1) {
    if (lock) return dq_handle_write_lock(h);
    dq_handle_write_unlock(h);
    return SQLITE_OK;
  }
  if (offset < LOCK_READ0 && !DQ_MUTANT(79)) return lock ? SQLITE_BUSY : SQLITE_OK;
  if (flags & SQLITE_SHM_EXCLUSIVE) return SQLITE_OK;
  if (lock) return dq_handle_read_lock(h);
  dq_handle_read_unlock(h);
  return SQLITE_OK;
}

/* No other thread has this wal-index: keeping the compiler in order is enough. */
static void shm_barrier(sqlite3_file *f) {
  (void)f;
  atomic_signal_fence(memory_order_seq_cst);
}

static int shm_unmap(sqlite3_file *f, int delete_flag) {
  (void)f, (void)delete_flag;
  return SQLITE_OK;
}

static const sqlite3_io_methods main_methods = {
    .iVersion = 2,
    .xClose = main_close,
    .xRead = main_read,
    .xWrite = main_write,
    .xTruncate = main_truncate,
    .xSync = no_sync,
    .xFileSize = main_size,
    .xLock = main_lock,
    .xUnlock = main_unlock,
    .xCheckReservedLock = main_check_reserved,
    .xFileControl = main_control,
    .xSectorSize = main_sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- WAL file ------------------------------------------------------------------------ */

static int wal_close(sqlite3_file *f) {
  dq_handle *h = handle_of(f);
  dq_wal_clear(h);
  h->wal_open = 0;
  f->pMethods = NULL;
  return SQLITE_OK;
}

static int wal_read(sqlite3_file *f, void *buf, int amount, sqlite3_int64 offset) { return dq_wal_read(handle_of(f), buf, amount, offset); }

static int wal_write(sqlite3_file *f, const void *buf, int amount, sqlite3_int64 offset) { return dq_wal_write(handle_of(f), buf, amount, offset); }

static int wal_truncate(sqlite3_file *f, sqlite3_int64 size) { return dq_wal_truncate(handle_of(f), size); }

static int wal_size(sqlite3_file *f, sqlite3_int64 *size) {
  *size = dq_wal_size(handle_of(f));
  return SQLITE_OK;
}

static int wal_lock(sqlite3_file *f, int lock) {
  (void)f, (void)lock;
  return SQLITE_OK;
}

static int wal_control(sqlite3_file *f, int op, void *arg) {
  (void)f, (void)op, (void)arg;
  return SQLITE_NOTFOUND;
}

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = no_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_lock,
    .xCheckReservedLock = main_check_reserved,
    .xFileControl = wal_control,
    .xSectorSize = main_sector_size,
    .xDeviceCharacteristics = characteristics,
};

/* ---- VFS ------------------------------------------------------------------------------- */

/* Takes the database's reference over, also when it fails. */
static int open_main(dq_db *db, const char *name, vfs_file *f, int flags, int *out_flags) {
  int level, rc = dq_policy_open(name, &level);
  if (rc == SQLITE_OK) rc = dq_handle_open(db, name, level, &f->handle);
  dq_db_unref(db);
  if (rc) return rc;
  f->base.pMethods = &main_methods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

/* The handle whose file has this very name, which is SQLite's own copy. A path
** may be that of a later database than the one that a connection has opened:
** then it has none here, and must not get the log of another connection. */
static dq_handle *handle_of_name(dq_db *db, const char *name) {
  dq_handle *found = NULL;
  dq_lock(db);
  for (dq_reader *r = db->readers; r && !found; r = r->next)
    if (r->handle && r->handle->name == name) found = r->handle;
  dq_unlock(db);
  return found;
}

static dq_db *find_by_suffix(const char *name, const char *suffix) {
  char path[4096];
  size_t n = strlen(name), s = strlen(suffix);
  if (n <= s || n - s >= sizeof path || strcmp(name + n - s, suffix) != 0) return NULL;
  memcpy(path, name, n - s);
  path[n - s] = 0;
  return dq_db_find(path);
}

static int open_wal(const char *name, vfs_file *f, int flags, int *out_flags) {
  dq_db *db = find_by_suffix(name, "-wal");
  if (!db) return SQLITE_CANTOPEN;
  dq_handle *h = handle_of_name(db, dq_sqlite.filename_database(name));
  dq_db_unref(db);
  if (!h) return DQ_NOT_LEADER; /* it outlived its database */
  if (h->wal_open) return SQLITE_CANTOPEN;
  h->wal_open = 1;
  f->handle = h;
  f->base.pMethods = &wal_methods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags) {
  (void)v;
  const int passed = SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL;
  if (flags & passed) return base_vfs->xOpen(base_vfs, name, f, flags, out_flags);
  memset(f, 0, sizeof(vfs_file));
  if (name && (flags & SQLITE_OPEN_WAL)) return open_wal(name, (vfs_file *)f, flags, out_flags);
  dq_db *db = name && (flags & SQLITE_OPEN_MAIN_DB) ? dq_db_find(name) : NULL;
  if (db) return open_main(db, name, (vfs_file *)f, flags, out_flags);
  dq_sqlite.log(SQLITE_CANTOPEN, "dqlite: %s is not a replicated database that is open in this process", name ? name : "(unnamed)");
  return SQLITE_CANTOPEN;
}

static const char *const suffixes[] = {"", "-wal", "-journal", "-shm"};

/* Which file of a registered database: index into suffixes, or -1. */
static int our_file(const char *name) {
  for (int i = 0; i < 4; i++) {
    dq_db *db = i ? find_by_suffix(name, suffixes[i]) : dq_db_find(name);
    if (!db) continue;
    dq_db_unref(db);
    return i;
  }
  return -1;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync_dir) {
  (void)v;
  int file = our_file(name);
  if (file < 0) return base_vfs->xDelete(base_vfs, name, sync_dir);
  return file == 0 ? SQLITE_IOERR_DELETE : SQLITE_OK;
}

/* The WAL always exists, so that SQLite starts in WAL mode; journals never do. */
static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *out) {
  (void)v;
  int file = our_file(name);
  if (file < 0) return base_vfs->xAccess(base_vfs, name, flags, out);
  *out = file < 2;
  return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *v, const char *name, int n, char *out) {
  (void)v;
  if (dq_db_resolve_path(name, out, n)) return SQLITE_OK;
  int rc = base_vfs->xFullPathname(base_vfs, name, n, out);
  char full[4096];
  if ((rc & 0xff) == SQLITE_OK && strlen(out) < sizeof full) { /* SQLITE_OK_SYMLINK is fine too */
    strcpy(full, out);
    dq_db_resolve_path(full, out, n);
  }
  return rc;
}

static void *vfs_dl_open(sqlite3_vfs *v, const char *name) {
  (void)v;
  return base_vfs->xDlOpen(base_vfs, name);
}

static void vfs_dl_error(sqlite3_vfs *v, int n, char *message) {
  (void)v;
  base_vfs->xDlError(base_vfs, n, message);
}

static void (*vfs_dl_sym(sqlite3_vfs *v, void *library, const char *symbol))(void) {
  (void)v;
  return base_vfs->xDlSym(base_vfs, library, symbol);
}

static void vfs_dl_close(sqlite3_vfs *v, void *library) {
  (void)v;
  base_vfs->xDlClose(base_vfs, library);
}

static int vfs_randomness(sqlite3_vfs *v, int n, char *out) {
  (void)v;
  return base_vfs->xRandomness(base_vfs, n, out);
}

static int vfs_sleep(sqlite3_vfs *v, int microseconds) {
  (void)v;
  return base_vfs->xSleep(base_vfs, microseconds);
}

static int vfs_current_time(sqlite3_vfs *v, double *out) {
  (void)v;
  return base_vfs->xCurrentTime(base_vfs, out);
}

static int vfs_last_error(sqlite3_vfs *v, int n, char *out) {
  (void)v;
  return base_vfs->xGetLastError ? base_vfs->xGetLastError(base_vfs, n, out) : 0;
}

static int vfs_current_time64(sqlite3_vfs *v, sqlite3_int64 *out) {
  (void)v;
  return base_vfs->xCurrentTimeInt64(base_vfs, out);
}

static sqlite3_vfs vfs = {
    .iVersion = 1,
    .zName = DQ_VFS_NAME,
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_pathname,
    .xDlOpen = vfs_dl_open,
    .xDlError = vfs_dl_error,
    .xDlSym = vfs_dl_sym,
    .xDlClose = vfs_dl_close,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_current_time,
    .xGetLastError = vfs_last_error,
    .xCurrentTimeInt64 = vfs_current_time64,
};

/* ---- start --------------------------------------------------------------------------------- */

void dq_abi_get(dq_abi *out) {
  *out = (dq_abi){
      .abi_version = DQ_ABI_VERSION,
      .sizeof_os = sizeof(dq_os),
      .sizeof_api = sizeof(dq_sqlite_api),
      .sizeof_config = sizeof(dq_db_config),
      .sizeof_batch = sizeof(dq_batch),
      .sizeof_handle_state = sizeof(dq_handle_state),
      .sizeof_db_state = sizeof(dq_db_state),
      .sizeof_stat = sizeof(dq_stat),
  };
}

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;

static int init(const dq_sqlite_api *api) {
  if (api->struct_size != sizeof *api) return SQLITE_MISUSE;
  sqlite3_vfs *taken = api->vfs_find(DQ_VFS_NAME);
  if (taken == &vfs) return SQLITE_OK;
  if (taken || api->libversion_number() < 3037000) return SQLITE_ERROR;
  base_vfs = api->vfs_find(NULL);
  if (!base_vfs) return SQLITE_ERROR;
  dq_sqlite = *api;
  vfs.szOsFile = base_vfs->szOsFile > (int)sizeof(vfs_file) ? base_vfs->szOsFile : (int)sizeof(vfs_file);
  vfs.mxPathname = base_vfs->mxPathname;
  vfs.iVersion = base_vfs->iVersion >= 2 && base_vfs->xCurrentTimeInt64 ? 2 : 1;
  return api->vfs_register(&vfs, 0);
}

int dq_init(const dq_sqlite_api *api) {
  if (!api) return SQLITE_MISUSE;
  pthread_mutex_lock(&init_lock);
  int rc = init(api);
  pthread_mutex_unlock(&init_lock);
  return rc;
}
