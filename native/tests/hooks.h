/*
** hooks.h - for tests of one thread that want to do something in the middle of
** a call: between SQLite and the shim, and where the shim asks the table of
** system calls. The shim holds no lock at any of these places.
*/
#ifndef DQ_TEST_HOOKS_H
#define DQ_TEST_HOOKS_H

#include "harness.h"

/* --- SQLite's calls of one connection's files ------------------------------------ */
enum io_call { IO_READ, IO_WRITE, IO_LOCK, IO_BARRIER };

typedef struct io_event {
  conn *c;
  enum io_call call;
  int after;         /* 0: before the shim is asked, 1: it has answered */
  int offset, flags; /* of a lock: DQ_TEST_WRITE_LOCK or one of the READ locks; SQLITE_SHM_* */
  int rc;            /* what it answered */
} io_event;

#define DQ_TEST_WRITE_LOCK 0
#define DQ_TEST_READ_LOCK 3 /* and above */

extern void (*io_hook)(const io_event *);
/* From now on the calls of this connection pass io_hook. It reads the schema. */
void io_watch(conn *);
void io_forget(conn *); /* before it is closed */

/* --- the table of system calls ------------------------------------------------------ */
enum disk_call { DISK_OPEN, DISK_CLOSE, DISK_READ, DISK_WRITE, DISK_TRUNCATE, DISK_SYNC };

typedef struct disk_event {
  enum disk_call call;
  int fd;           /* of DISK_OPEN: the new one */
  const char *path; /* of DISK_OPEN */
  const void *data; /* of DISK_WRITE */
  int64_t n, offset; /* of DISK_TRUNCATE: n is the size */
} disk_event;

/* Time stands still but for what the hooks add; a wait calls wait_hook and
** looks again; every disk call passes disk_hook first (DISK_OPEN: last). */
void hooks_on(void);
void hooks_off(void);
extern int64_t hook_now_ns;
extern void (*wait_hook)(int64_t deadline_ns);
extern void (*disk_hook)(const disk_event *);

#endif
