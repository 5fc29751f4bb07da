/*
** dq_spill.c - the temporary file that page images of large transactions live
** in. It lies beside the database and has no name from the moment when it is
** open, so that a crash leaves nothing behind. Its slots have the size of a
** page; slots that are free again are given out first, and the file goes when
** none is in use any more. No mmap: on a failing disk that is a SIGBUS.
**
** The lock is a leaf, held for a few instructions and never over a system call.
*/
#include <errno.h>
#include <stdlib.h>

#include "dq_internal.h"

#define OPEN_TRIES 8

int dq_spill_init(dq_spill *s, const char *database_path, uint32_t page_size, uint64_t limit) {
  size_t n = strlen(database_path);
  pthread_mutex_init(&s->lock, NULL);
  s->fd = -1;
  s->page_size = page_size;
  s->limit = limit;
  if (!limit) return SQLITE_OK;
  s->path = dq_alloc(n + sizeof DQ_SPILL_SUFFIX);
  if (!s->path) return SQLITE_NOMEM;
  memcpy(s->path, database_path, n);
  memcpy(s->path + n, DQ_SPILL_SUFFIX, sizeof DQ_SPILL_SUFFIX);
  dq_file_unlink(s->path); /* of a crash that came between the calls of open_file */
  return SQLITE_OK;
}

void dq_spill_destroy(dq_spill *s) {
  if (s->fd >= 0) dq_file_close(s->fd);
  dq_free(s->path);
  dq_free(s->free_slots);
  pthread_mutex_destroy(&s->lock);
}

/* Nobody waits for anybody here: two threads that both find no file make one
** each, and the second goes again. */
static int open_file(dq_spill *s) {
  int fd = -EEXIST;
  for (int i = 0; fd == -EEXIST && i < OPEN_TRIES; i++) {
    dq_file_unlink(s->path); /* of another thread that is between the next two calls */
    fd = dq_file_open(s->path, DQ_OPEN_READ | DQ_OPEN_WRITE | DQ_OPEN_CREATE | DQ_OPEN_EXCLUSIVE, 0600);
  }
  if (fd < 0) return fd;
  dq_file_unlink(s->path);
  pthread_mutex_lock(&s->lock);
  int had = s->fd >= 0;
  if (!had) s->fd = fd;
  pthread_mutex_unlock(&s->lock);
  if (had) dq_file_close(fd);
  return 0;
}

/* Lock held. Giving a slot back must not fail, so the list always has room for all. */
static int reserve(dq_spill *s) {
  if (s->end < s->capacity) return SQLITE_OK;
  uint32_t capacity = s->capacity ? s->capacity * 2 : 1024;
  uint32_t *slots = dq_grow(s->free_slots, capacity * sizeof *slots);
  if (!slots) return SQLITE_NOMEM;
  s->free_slots = slots;
  s->capacity = capacity;
  return SQLITE_OK;
}

/* SQLITE_OK; SQLITE_NOMEM; SQLITE_BUSY: there is no file. */
static int take(dq_spill *s, int *fd, uint32_t *slot) {
  pthread_mutex_lock(&s->lock);
  int rc = s->fd < 0 ? SQLITE_BUSY : s->free_count ? SQLITE_OK : reserve(s);
  if (rc == SQLITE_OK) {
    *fd = s->fd;
    *slot = s->free_count ? s->free_slots[--s->free_count] : s->end++;
    s->used++;
  }
  pthread_mutex_unlock(&s->lock);
  return rc;
}

void dq_spill_give(dq_spill *s, uint32_t slot) {
  pthread_mutex_lock(&s->lock);
  if (!DQ_MUTANT(95)) s->free_slots[s->free_count++] = slot;
  s->used--;
  pthread_mutex_unlock(&s->lock);
}

int dq_spill_write(dq_spill *s, const void *page, uint32_t *slot) {
  int fd = -1, rc;
  while ((rc = take(s, &fd, slot)) == SQLITE_BUSY) {
    int opened = open_file(s);
    if (opened < 0) return opened == -ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  }
  if (rc) return rc;
  int64_t put = dq_file_write(fd, page, s->page_size, (int64_t)*slot * s->page_size);
  if (put == s->page_size || DQ_MUTANT(94)) return SQLITE_OK;
  dq_spill_give(s, *slot);
  return put == -ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

/* The slot is in use, so the file stays. */
int dq_spill_read(dq_spill *s, uint32_t slot, void *page) {
  pthread_mutex_lock(&s->lock);
  int fd = s->fd;
  pthread_mutex_unlock(&s->lock);
  return dq_file_read(fd, page, s->page_size, (int64_t)slot * s->page_size) == s->page_size ? SQLITE_OK : SQLITE_IOERR_READ;
}

void dq_spill_trim(dq_spill *s) {
  int fd = -1;
  if (!s->limit) return;
  pthread_mutex_lock(&s->lock);
  if (s->used == 0) {
    fd = s->fd;
    s->fd = -1;
    s->end = s->free_count = s->capacity = 0;
    dq_free(s->free_slots);
    s->free_slots = NULL;
  }
  pthread_mutex_unlock(&s->lock);
  if (fd >= 0) dq_file_close(fd); /* its space is free */
}
