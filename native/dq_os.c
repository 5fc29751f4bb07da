/*
** dq_os.c - the table of system calls and waits, memory, and the durable file
** operations that managed code uses. Every I/O error comes back as -errno.
*/
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dq_internal.h"

/* ---- default table ---------------------------------------------------------- */

static int64_t result(int64_t rc) { return rc < 0 ? -errno : rc; }

static int sys_open(void *ctx, const char *path, int flags, int mode) {
  (void)ctx;
  int fd;
  do fd = open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return (int)result(fd);
}

/* No retry on EINTR: on Linux the descriptor is gone either way. */
static int sys_close(void *ctx, int fd) {
  (void)ctx;
  return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static int64_t sys_pread(void *ctx, int fd, void *buf, int64_t n, int64_t offset) {
  (void)ctx;
  ssize_t got;
  do got = pread(fd, buf, (size_t)n, offset);
  while (got < 0 && errno == EINTR);
  return result(got);
}

static int64_t sys_pwrite(void *ctx, int fd, const void *buf, int64_t n, int64_t offset) {
  (void)ctx;
  ssize_t put;
  do put = pwrite(fd, buf, (size_t)n, offset);
  while (put < 0 && errno == EINTR);
  return result(put);
}

static int sys_ftruncate(void *ctx, int fd, int64_t size) {
  (void)ctx;
  return (int)result(ftruncate(fd, size));
}

static int sys_fallocate(void *ctx, int fd, int64_t offset, int64_t size) {
  (void)ctx;
  return -posix_fallocate(fd, offset, size);
}

static int sys_fdatasync(void *ctx, int fd) {
  (void)ctx;
  return (int)result(fdatasync(fd));
}

static int sys_fsync(void *ctx, int fd) {
  (void)ctx;
  return (int)result(fsync(fd));
}

static int sys_fstat(void *ctx, int fd, dq_stat *out) {
  (void)ctx;
  struct stat st;
  if (fstat(fd, &st) < 0) return -errno;
  out->size = st.st_size;
  out->inode = st.st_ino;
  out->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
  return 0;
}

static int sys_rename(void *ctx, const char *from, const char *to) {
  (void)ctx;
  return (int)result(rename(from, to));
}

static int sys_unlink(void *ctx, const char *path) {
  (void)ctx;
  return (int)result(unlink(path));
}

static int sys_lock(void *ctx, int fd) {
  (void)ctx;
  return (int)result(flock(fd, LOCK_EX | LOCK_NB));
}

static int64_t sys_now(void *ctx) {
  (void)ctx;
  struct timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Condition variables cannot wait on CLOCK_BOOTTIME, so the rest of the wait is
** measured on CLOCK_MONOTONIC and the deadline is looked at again afterwards. */
static int sys_wait(void *ctx, void *cond, void *mutex, int64_t deadline_ns) {
  dq_cond *w = cond;
  if (deadline_ns == INT64_MAX) {
    pthread_cond_wait(&w->cond, mutex);
    return 0;
  }
  int64_t left = deadline_ns - dq_sys.now_ns(ctx);
  if (left > 0) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + left % 1000000000;
    t.tv_sec += (time_t)(left / 1000000000 + ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&w->cond, mutex, &t);
  }
  return dq_sys.now_ns(ctx) >= deadline_ns ? -ETIMEDOUT : 0;
}

static void sys_wake_all(void *ctx, void *cond) {
  (void)ctx;
  pthread_cond_broadcast(&((dq_cond *)cond)->cond);
}

static void sys_yield(void *ctx) {
  (void)ctx;
  sched_yield();
}

#define DEFAULT_TABLE \
  { \
      .struct_size = sizeof(dq_os), \
      .open = sys_open, \
      .close = sys_close, \
      .pread = sys_pread, \
      .pwrite = sys_pwrite, \
      .ftruncate = sys_ftruncate, \
      .fallocate = sys_fallocate, \
      .fdatasync = sys_fdatasync, \
      .fsync = sys_fsync, \
      .fstat = sys_fstat, \
      .rename = sys_rename, \
      .unlink = sys_unlink, \
      .lock = sys_lock, \
      .now_ns = sys_now, \
      .wait = sys_wait, \
      .wake_all = sys_wake_all, \
      .yield = sys_yield, \
  }

static const dq_os dq_sys_default = DEFAULT_TABLE;
dq_os dq_sys = DEFAULT_TABLE;
atomic_int dq_open_databases;

int dq_os_set(const dq_os *os) {
  if (os && os->struct_size != sizeof(dq_os)) return -EINVAL;
  if (atomic_load(&dq_open_databases) != 0) return -EBUSY;
  dq_sys = os ? *os : dq_sys_default;
  return 0;
}

const dq_os *dq_os_get(void) { return &dq_sys; }

int64_t dq_now_ns(void) { return dq_sys.now_ns(dq_sys.ctx); }

/* Spans of INT64_MAX mean "for ever" and must not overflow. */
int64_t dq_add_ns(int64_t now, int64_t span) { return span >= INT64_MAX - now ? INT64_MAX : now + span; }

void dq_cond_init(dq_cond *c) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&c->cond, &attr);
  pthread_condattr_destroy(&attr);
}

void dq_cond_destroy(dq_cond *c) { pthread_cond_destroy(&c->cond); }

/* ---- memory ------------------------------------------------------------------ */

int (*dq_alloc_fault)(void);

void *dq_alloc(size_t n) { return dq_alloc_fault && dq_alloc_fault() ? NULL : malloc(n); }

void *dq_zalloc(size_t n) { return dq_alloc_fault && dq_alloc_fault() ? NULL : calloc(1, n); }

void *dq_grow(void *p, size_t n) { return dq_alloc_fault && dq_alloc_fault() ? NULL : realloc(p, n); }

void dq_free(void *p) { free(p); }

/* ---- durable file operations --------------------------------------------------- */

int dq_file_open(const char *path, int flags, int mode) {
  int native = (flags & DQ_OPEN_WRITE) ? ((flags & DQ_OPEN_READ) ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (flags & DQ_OPEN_CREATE) native |= O_CREAT;
  if (flags & DQ_OPEN_EXCLUSIVE) native |= O_EXCL;
  if (flags & DQ_OPEN_TRUNCATE) native |= O_TRUNC;
  if (flags & DQ_OPEN_DIRECT) native |= O_DIRECT | O_DSYNC;
  return dq_sys.open(dq_sys.ctx, path, native, mode);
}

int dq_file_close(int fd) { return dq_sys.close(dq_sys.ctx, fd); }

int64_t dq_file_read(int fd, void *buf, int64_t n, int64_t offset) {
  int64_t done = 0;
  while (done < n) {
    int64_t got = dq_sys.pread(dq_sys.ctx, fd, (char *)buf + done, n - done, offset + done);
    if (got < 0) return got;
    if (got == 0) break;
    done += got;
  }
  return done;
}

int64_t dq_file_write(int fd, const void *buf, int64_t n, int64_t offset) {
  int64_t done = 0;
  while (done < n) {
    int64_t put = dq_sys.pwrite(dq_sys.ctx, fd, (const char *)buf + done, n - done, offset + done);
    if (put < 0) return put;
    if (put == 0) return -EIO; /* no progress and no reason: never loop on it */
    done += put;
  }
  return done;
}

/* Up to this size the buffers are copied into one: a copy is cheaper than the
** system calls it saves. */
#define WRITEV_COPY_MAX (1 << 20)

void dq_file_pace(int fd) {
  if (dq_sys.pwrite == sys_pwrite) sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

int64_t dq_file_writev(int fd, const void *const *bufs, const int64_t *sizes, int n, int64_t offset) {
  int64_t total = 0, done = 0;
  for (int i = 0; i < n; i++) total += sizes[i];
  char *joined = n > 1 && total <= WRITEV_COPY_MAX ? dq_alloc((size_t)total + 1) : NULL;
  if (joined) {
    for (int i = 0; i < n; i++) {
      memcpy(joined + done, bufs[i], (size_t)sizes[i]);
      done += sizes[i];
    }
    done = dq_file_write(fd, joined, total, offset);
    dq_free(joined);
    return done;
  }
  for (int i = 0; i < n; i++) {
    int64_t put = dq_file_write(fd, bufs[i], sizes[i], offset + done);
    if (put < 0) return put;
    done += put;
  }
  return done;
}

int dq_file_truncate(int fd, int64_t size) { return dq_sys.ftruncate(dq_sys.ctx, fd, size); }

int dq_file_allocate(int fd, int64_t offset, int64_t size) { return dq_sys.fallocate(dq_sys.ctx, fd, offset, size); }

int dq_file_datasync(int fd) { return dq_sys.fdatasync(dq_sys.ctx, fd); }

int dq_file_sync(int fd) { return dq_sys.fsync(dq_sys.ctx, fd); }

int dq_file_stat(int fd, dq_stat *out) { return dq_sys.fstat(dq_sys.ctx, fd, out); }

int dq_file_rename(const char *from, const char *to) { return dq_sys.rename(dq_sys.ctx, from, to); }

int dq_file_unlink(const char *path) { return dq_sys.unlink(dq_sys.ctx, path); }

int dq_file_lock(int fd) { return dq_sys.lock(dq_sys.ctx, fd); }

int dq_dir_sync(const char *directory) {
  int fd = dq_sys.open(dq_sys.ctx, directory, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return fd;
  int rc = dq_sys.fsync(dq_sys.ctx, fd);
  int closed = dq_sys.close(dq_sys.ctx, fd);
  return rc < 0 ? rc : closed;
}
