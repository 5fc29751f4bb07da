/*
** sqlite_abi.h - SQLite's public VFS interface, declared by us.
**
** A user's machine has a compiler but not libsqlite3-dev, so the few public
** structs and constants that a VFS needs are written down here from SQLite's
** documentation ("The OS Interface or VFS", "sqlite3_io_methods"). They are
** part of SQLite's stable ABI. Everything else of SQLite is reached through
** dq_sqlite_api.
*/
#ifndef DQLITE_SQLITE_ABI_H
#define DQLITE_SQLITE_ABI_H

#include <stdint.h>

#define SQLITE_OK 0
#define SQLITE_ERROR 1
#define SQLITE_BUSY 5
#define SQLITE_NOMEM 7
#define SQLITE_READONLY 8
#define SQLITE_IOERR 10
#define SQLITE_CORRUPT 11
#define SQLITE_NOTFOUND 12
#define SQLITE_FULL 13
#define SQLITE_CANTOPEN 14
#define SQLITE_MISUSE 21
#define SQLITE_NOTADB 26

#define SQLITE_IOERR_READ (10 | (1 << 8))
#define SQLITE_IOERR_SHORT_READ (10 | (2 << 8))
#define SQLITE_IOERR_WRITE (10 | (3 << 8))
#define SQLITE_IOERR_FSYNC (10 | (4 << 8))
#define SQLITE_IOERR_TRUNCATE (10 | (6 << 8))
#define SQLITE_IOERR_FSTAT (10 | (7 << 8))
#define SQLITE_IOERR_DELETE (10 | (10 << 8))
#define SQLITE_IOERR_NOMEM (10 | (12 << 8))

#define SQLITE_OPEN_READONLY 0x00000001
#define SQLITE_OPEN_READWRITE 0x00000002
#define SQLITE_OPEN_MAIN_DB 0x00000100
#define SQLITE_OPEN_TEMP_DB 0x00000200
#define SQLITE_OPEN_TRANSIENT_DB 0x00000400
#define SQLITE_OPEN_MAIN_JOURNAL 0x00000800
#define SQLITE_OPEN_TEMP_JOURNAL 0x00001000
#define SQLITE_OPEN_SUBJOURNAL 0x00002000
#define SQLITE_OPEN_SUPER_JOURNAL 0x00004000
#define SQLITE_OPEN_WAL 0x00080000

#define SQLITE_IOCAP_SAFE_APPEND 0x00000200
#define SQLITE_IOCAP_SEQUENTIAL 0x00000400
#define SQLITE_IOCAP_POWERSAFE_OVERWRITE 0x00001000

#define SQLITE_LOCK_NONE 0
#define SQLITE_LOCK_SHARED 1

#define SQLITE_SHM_UNLOCK 1
#define SQLITE_SHM_LOCK 2
#define SQLITE_SHM_SHARED 4
#define SQLITE_SHM_EXCLUSIVE 8

#define SQLITE_FCNTL_VFSNAME 12
#define SQLITE_FCNTL_PRAGMA 14
#define SQLITE_FCNTL_PDB 30

typedef int64_t sqlite3_int64;
typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef struct sqlite3_file sqlite3_file;
typedef struct sqlite3_vfs sqlite3_vfs;

typedef struct sqlite3_io_methods {
  int iVersion;
  int (*xClose)(sqlite3_file *);
  int (*xRead)(sqlite3_file *, void *, int amount, sqlite3_int64 offset);
  int (*xWrite)(sqlite3_file *, const void *, int amount, sqlite3_int64 offset);
  int (*xTruncate)(sqlite3_file *, sqlite3_int64 size);
  int (*xSync)(sqlite3_file *, int flags);
  int (*xFileSize)(sqlite3_file *, sqlite3_int64 *size);
  int (*xLock)(sqlite3_file *, int);
  int (*xUnlock)(sqlite3_file *, int);
  int (*xCheckReservedLock)(sqlite3_file *, int *out);
  int (*xFileControl)(sqlite3_file *, int op, void *arg);
  int (*xSectorSize)(sqlite3_file *);
  int (*xDeviceCharacteristics)(sqlite3_file *);
  /* iVersion 2 */
  int (*xShmMap)(sqlite3_file *, int region, int size, int extend, void volatile **);
  int (*xShmLock)(sqlite3_file *, int offset, int n, int flags);
  void (*xShmBarrier)(sqlite3_file *);
  int (*xShmUnmap)(sqlite3_file *, int delete_flag);
} sqlite3_io_methods;

struct sqlite3_file {
  const sqlite3_io_methods *pMethods;
};

struct sqlite3_vfs {
  int iVersion;
  int szOsFile;
  int mxPathname;
  sqlite3_vfs *pNext;
  const char *zName;
  void *pAppData;
  int (*xOpen)(sqlite3_vfs *, const char *name, sqlite3_file *, int flags, int *out_flags);
  int (*xDelete)(sqlite3_vfs *, const char *name, int sync_dir);
  int (*xAccess)(sqlite3_vfs *, const char *name, int flags, int *out);
  int (*xFullPathname)(sqlite3_vfs *, const char *name, int n, char *out);
  void *(*xDlOpen)(sqlite3_vfs *, const char *);
  void (*xDlError)(sqlite3_vfs *, int n, char *message);
  void (*(*xDlSym)(sqlite3_vfs *, void *, const char *))(void);
  void (*xDlClose)(sqlite3_vfs *, void *);
  int (*xRandomness)(sqlite3_vfs *, int n, char *out);
  int (*xSleep)(sqlite3_vfs *, int microseconds);
  int (*xCurrentTime)(sqlite3_vfs *, double *);
  int (*xGetLastError)(sqlite3_vfs *, int, char *);
  /* iVersion 2 */
  int (*xCurrentTimeInt64)(sqlite3_vfs *, sqlite3_int64 *);
  /* iVersion 3 */
  int (*xSetSystemCall)(sqlite3_vfs *, const char *name, void (*)(void));
  void (*(*xGetSystemCall)(sqlite3_vfs *, const char *name))(void);
  const char *(*xNextSystemCall)(sqlite3_vfs *, const char *name);
};

_Static_assert(sizeof(sqlite3_file) == sizeof(void *), "sqlite3_file is one pointer");
_Static_assert(sizeof(sqlite3_io_methods) == 17 * sizeof(void *), "io methods up to iVersion 2");
_Static_assert(sizeof(sqlite3_vfs) == 2 * 8 + 19 * sizeof(void *), "vfs up to iVersion 3");

#endif
