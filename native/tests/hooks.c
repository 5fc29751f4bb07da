#include "hooks.h"

#include <errno.h>

/* ---- SQLite's calls -------------------------------------------------------------------- */

#define FCNTL_FILE_POINTER 7
#define FCNTL_JOURNAL_POINTER 28
#define MAX_FILES 64

void (*io_hook)(const io_event *);

static struct {
  sqlite3_file *file;
  conn *c;
} watched[MAX_FILES];

static const sqlite3_io_methods *main_real, *wal_real;
static sqlite3_io_methods main_hooked, wal_hooked;

static conn *conn_of(const sqlite3_file *f) {
  for (int i = 0; i < MAX_FILES; i++)
    if (watched[i].file == f) return watched[i].c;
  return NULL;
}

static void tell(sqlite3_file *f, enum io_call call, int after, int offset, int flags, int rc) {
  io_event e = {.c = conn_of(f), .call = call, .after = after, .offset = offset, .flags = flags, .rc = rc};
  if (io_hook && e.c) io_hook(&e);
}

static int hooked_read(sqlite3_file *f, void *buf, int amount, sqlite3_int64 offset) {
  tell(f, IO_READ, 0, 0, 0, 0);
  int rc = main_real->xRead(f, buf, amount, offset);
  tell(f, IO_READ, 1, 0, 0, rc);
  return rc;
}

static int hooked_write(sqlite3_file *f, const void *buf, int amount, sqlite3_int64 offset) {
  tell(f, IO_WRITE, 0, 0, 0, 0);
  int rc = wal_real->xWrite(f, buf, amount, offset);
  tell(f, IO_WRITE, 1, 0, 0, rc);
  return rc;
}

static int hooked_lock(sqlite3_file *f, int offset, int n, int flags) {
  tell(f, IO_LOCK, 0, offset, flags, 0);
  int rc = main_real->xShmLock(f, offset, n, flags);
  tell(f, IO_LOCK, 1, offset, flags, rc);
  return rc;
}

static void hooked_barrier(sqlite3_file *f) {
  tell(f, IO_BARRIER, 0, 0, 0, 0);
  main_real->xShmBarrier(f);
}

static void watch(sqlite3_file *f, conn *c, sqlite3_io_methods *hooked) {
  for (int i = 0; i < MAX_FILES; i++) {
    if (watched[i].file) continue;
    watched[i].file = f;
    watched[i].c = c;
    f->pMethods = hooked;
    return;
  }
  test_fail(__FILE__, __LINE__, "too many watched files");
}

void io_watch(conn *c) {
  sqlite3_file *file = NULL, *wal = NULL;
  sq.exec(c->sql, "SELECT 1 FROM sqlite_master", NULL, NULL, NULL); /* opens the WAL */
  OK(sq.file_control(c->sql, "main", FCNTL_FILE_POINTER, &file));
  OK(sq.file_control(c->sql, "main", FCNTL_JOURNAL_POINTER, &wal));
  if (!file || !wal || !wal->pMethods) {
    test_fail(__FILE__, __LINE__, "no files to watch");
    return;
  }
  if (!main_real) {
    main_real = file->pMethods;
    wal_real = wal->pMethods;
    main_hooked = *main_real;
    wal_hooked = *wal_real;
    main_hooked.xRead = hooked_read;
    main_hooked.xShmLock = hooked_lock;
    main_hooked.xShmBarrier = hooked_barrier;
    wal_hooked.xWrite = hooked_write;
  }
  watch(file, c, &main_hooked);
  watch(wal, c, &wal_hooked);
}

void io_forget(conn *c) {
  for (int i = 0; i < MAX_FILES; i++)
    if (watched[i].c == c) watched[i].file = NULL, watched[i].c = NULL;
}

/* ---- the table of system calls ------------------------------------------------------------ */

int64_t hook_now_ns;
void (*wait_hook)(int64_t deadline_ns);
void (*disk_hook)(const disk_event *);
static dq_os real;

static void tell_disk(disk_event e) {
  if (disk_hook) disk_hook(&e);
}

static int hooked_open(void *ctx, const char *path, int flags, int mode) {
  int fd = real.open(ctx, path, flags, mode);
  if (fd >= 0) tell_disk((disk_event){.call = DISK_OPEN, .fd = fd, .path = path});
  return fd;
}

static int hooked_close(void *ctx, int fd) {
  tell_disk((disk_event){.call = DISK_CLOSE, .fd = fd});
  return real.close(ctx, fd);
}

static int64_t hooked_pread(void *ctx, int fd, void *buf, int64_t n, int64_t offset) {
  tell_disk((disk_event){.call = DISK_READ, .fd = fd, .n = n, .offset = offset});
  return real.pread(ctx, fd, buf, n, offset);
}

static int64_t hooked_pwrite(void *ctx, int fd, const void *buf, int64_t n, int64_t offset) {
  tell_disk((disk_event){.call = DISK_WRITE, .fd = fd, .data = buf, .n = n, .offset = offset});
  return real.pwrite(ctx, fd, buf, n, offset);
}

static int hooked_ftruncate(void *ctx, int fd, int64_t size) {
  tell_disk((disk_event){.call = DISK_TRUNCATE, .fd = fd, .n = size});
  return real.ftruncate(ctx, fd, size);
}

static int hooked_fsync(void *ctx, int fd) {
  tell_disk((disk_event){.call = DISK_SYNC, .fd = fd});
  return real.fsync(ctx, fd);
}

static int hooked_fdatasync(void *ctx, int fd) {
  tell_disk((disk_event){.call = DISK_SYNC, .fd = fd});
  return real.fdatasync(ctx, fd);
}

static int64_t hooked_now(void *ctx) {
  (void)ctx;
  return hook_now_ns++;
}

static int hooked_wait(void *ctx, void *cond, void *mutex, int64_t deadline_ns) {
  (void)ctx, (void)cond;
  pthread_mutex_unlock(mutex);
  if (wait_hook) wait_hook(deadline_ns);
  else hook_now_ns = deadline_ns;
  pthread_mutex_lock(mutex);
  return hook_now_ns >= deadline_ns ? -ETIMEDOUT : 0;
}

/* Someone in this very thread is inside the page read that is waited for. */
static void hooked_yield(void *ctx) {
  (void)ctx;
  test_fail(__FILE__, __LINE__, "a grace period that cannot end");
  exit(1);
}

void hooks_on(void) {
  OK(dq_os_set(NULL));
  real = *dq_os_get();
  dq_os os = real;
  os.open = hooked_open;
  os.close = hooked_close;
  os.pread = hooked_pread;
  os.pwrite = hooked_pwrite;
  os.ftruncate = hooked_ftruncate;
  os.fsync = hooked_fsync;
  os.fdatasync = hooked_fdatasync;
  os.now_ns = hooked_now;
  os.wait = hooked_wait;
  os.yield = hooked_yield;
  hook_now_ns = 1000000000;
  OK(dq_os_set(&os));
}

void hooks_off(void) {
  io_hook = NULL;
  wait_hook = NULL;
  disk_hook = NULL;
  OK(dq_os_set(NULL));
}
