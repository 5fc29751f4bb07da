/*
** dqlite_shim.h - the contract between the C shim and managed code.
**
** The shim is a SQLite VFS over a page version store. It knows pages, LSNs,
** drafts and files; it knows nothing of Raft. See docs/ARCHITECTURE.md.
**
**   handle     one open main-database file of one sqlite3 connection; it has a
**              private in-memory WAL and wal-index (its running transaction)
**   store      per database: page number -> versions by LSN, else the file
**   c          last committed LSN (what readers see)
**   d          last draft LSN (what a draft writer sees); c <= d
**   draft      the pages of one committed SQLite transaction, LSN d+1, made at
**              the commit point (the xWrite of the commit frame's last byte)
**   slot       the right to write, one per database, fair with barging
**   generation one incarnation of the database file; dq_db_reopen starts a new
**              one, open readers keep the old file until they end
**
** LSNs are local to the process, per database, start at 1 (the state of the
** file when it was opened) and are never reused, not even after a fence.
**
** Results: SQLITE_OK or an SQLite (extended) result code, unless a function
** says "-errno". Every function may be called from any thread unless it says
** otherwise; dq_db_* functions never wait for SQLite code of another thread
** (callbacks are made with no lock held). A failed allocation or a broken
** invariant poisons the database object: every later call on it returns
** DQ_POISONED; the process is never aborted.
*/
#ifndef DQLITE_SHIM_H
#define DQLITE_SHIM_H

#include <stddef.h>
#include <stdint.h>

#define DQ_ABI_VERSION 5
#define DQ_EXPORT __attribute__((visibility("default")))

/* Extended result codes of the IOERR class: SQLite rolls the transaction back
** by itself on each of them. The first two are those that dqlite uses. */
#define DQ_NOT_LEADER (10 | (40 << 8))       /* 10250 no effect; also: node stopped, handle outlived it */
#define DQ_LEADERSHIP_LOST (10 | (41 << 8))  /* 10506 a draft this handle saw was dropped */
#define DQ_SNAPSHOT_GONE (10 | (42 << 8))    /* 10762 an old reader was revoked to bound memory */
#define DQ_OUTCOME_UNKNOWN (10 | (43 << 8))  /* 11018 a blocking commit timed out after its commit point */
#define DQ_TOO_LARGE (10 | (44 << 8))        /* 11274 transaction over max_transaction_bytes; no effect */
#define DQ_SLOT_REVOKED (10 | (45 << 8))     /* 11530 an open write transaction held the slot for too long */
#define DQ_SPANS_DATABASES (10 | (46 << 8))  /* 11786 one transaction writes two replicated databases */
#define DQ_POISONED (10 | (47 << 8))         /* 12042 internal failure: the database object is unusable */
#define DQ_PAGE_ROT (10 | (33 << 8))         /* 8458 SQLITE_IOERR_CORRUPTFS: page checksum mismatch; SQL gets SQLITE_CORRUPT for it, last_error keeps it */
#define DQ_SLOT_TIMEOUT 773                  /* SQLITE_BUSY_TIMEOUT: a blocking handle waited in vain for the slot */
#define DQ_UPGRADE_CONFLICT 517              /* SQLITE_BUSY_SNAPSHOT */

/* ------------------------------------------------------------------------
** 1. System calls and waits. Everything the shim asks of the outside goes
** through this table, so that tests and the simulator can inject faults.
** I/O members return >= 0 or -errno.
*/
typedef struct dq_stat {
  int64_t size;
  uint64_t inode;
  int64_t mtime_ns;
} dq_stat;

typedef struct dq_os {
  uint32_t struct_size;
  uint32_t reserved;
  void *ctx;
  int (*open)(void *ctx, const char *path, int flags, int mode);
  int (*close)(void *ctx, int fd);
  int64_t (*pread)(void *ctx, int fd, void *buf, int64_t n, int64_t offset);
  int64_t (*pwrite)(void *ctx, int fd, const void *buf, int64_t n, int64_t offset);
  int (*ftruncate)(void *ctx, int fd, int64_t size);
  int (*fallocate)(void *ctx, int fd, int64_t offset, int64_t size);
  int (*fdatasync)(void *ctx, int fd);
  int (*fsync)(void *ctx, int fd);
  int (*fstat)(void *ctx, int fd, dq_stat *out);
  int (*rename)(void *ctx, const char *from, const char *to);
  int (*unlink)(void *ctx, const char *path);
  int (*lock)(void *ctx, int fd);             /* exclusive, non-blocking; -EWOULDBLOCK when another process has it */
  int64_t (*now_ns)(void *ctx);               /* CLOCK_BOOTTIME: goes on while the process is stopped */
  /* Waits. `mutex` is held on entry and on return. 0, or -ETIMEDOUT once
  ** now_ns() >= deadline_ns (INT64_MAX: none). Spurious returns are allowed. */
  int (*wait)(void *ctx, void *cond, void *mutex, int64_t deadline_ns);
  void (*wake_all)(void *ctx, void *cond);
  void (*yield)(void *ctx);                   /* a pause inside a short spin (grace periods) */
} dq_os;

/* Replaces the table (a copy is taken); NULL restores the default. Only while
** no database is open. Returns 0, or -EBUSY, or -EINVAL for a wrong size. */
DQ_EXPORT int dq_os_set(const dq_os *os);
DQ_EXPORT const dq_os *dq_os_get(void);

/* Durable file operations for managed code; through the table. -errno or >= 0.
** .NET's own flush swallows the error of fsync; these return it. */
DQ_EXPORT int dq_file_open(const char *path, int flags, int mode); /* flags: O_* of this platform, see dq_file_flags */
DQ_EXPORT int dq_file_close(int fd);
DQ_EXPORT int64_t dq_file_read(int fd, void *buf, int64_t n, int64_t offset);   /* whole or to end of file */
DQ_EXPORT int64_t dq_file_write(int fd, const void *buf, int64_t n, int64_t offset); /* whole, or -errno */
/* Vectored: n buffers written one after the other from offset; whole, or -errno. */
DQ_EXPORT int64_t dq_file_writev(int fd, const void *const *bufs, const int64_t *sizes, int n, int64_t offset);
DQ_EXPORT int dq_file_truncate(int fd, int64_t size);
DQ_EXPORT int dq_file_allocate(int fd, int64_t offset, int64_t size);
DQ_EXPORT int dq_file_datasync(int fd);
DQ_EXPORT int dq_file_sync(int fd);
DQ_EXPORT int dq_file_stat(int fd, dq_stat *out);
DQ_EXPORT int dq_file_rename(const char *from, const char *to);
DQ_EXPORT int dq_file_unlink(const char *path);
DQ_EXPORT int dq_file_lock(int fd);
DQ_EXPORT int dq_dir_sync(const char *directory);
DQ_EXPORT int64_t dq_now_ns(void);
/* Portable flag bits for dq_file_open. */
#define DQ_OPEN_READ 1
#define DQ_OPEN_WRITE 2
#define DQ_OPEN_CREATE 4
#define DQ_OPEN_EXCLUSIVE 8
#define DQ_OPEN_TRUNCATE 16
/* O_DIRECT and O_DSYNC: addresses, offsets and sizes of writes are multiples of
** 4096, and a write that returns is durable. -EINVAL where it cannot be had. */
#define DQ_OPEN_DIRECT 32

/* ------------------------------------------------------------------------
** 2. Start. SQLite's own API comes as function pointers, taken by managed code
** from the copy of SQLite that SQLitePCLRaw loaded (one SQLite per process).
*/
struct sqlite3;
struct sqlite3_stmt;
struct sqlite3_vfs;
typedef struct dq_sqlite_api {
  uint32_t struct_size;
  uint32_t reserved;
  int (*libversion_number)(void);
  struct sqlite3_vfs *(*vfs_find)(const char *);
  int (*vfs_register)(struct sqlite3_vfs *, int make_default);
  char *(*mprintf)(const char *, ...);
  void (*log)(int code, const char *fmt, ...);
  const char *(*uri_parameter)(const char *filename, const char *name);
  int (*uri_boolean)(const char *filename, const char *name, int dflt);
  struct sqlite3_stmt *(*next_stmt)(struct sqlite3 *, struct sqlite3_stmt *);
  int (*stmt_busy)(struct sqlite3_stmt *);
  int (*stmt_readonly)(struct sqlite3_stmt *);
  int (*column_count)(struct sqlite3_stmt *);
  int (*get_autocommit)(struct sqlite3 *);
  const char *(*sql)(struct sqlite3_stmt *); /* tells BEGIN IMMEDIATE from an autocommit write */
  const char *(*filename_database)(const char *filename); /* whose WAL a file is */
} dq_sqlite_api;

/* Compared by managed code before anything else is called. */
typedef struct dq_abi {
  uint32_t abi_version;
  uint32_t sizeof_os, sizeof_api, sizeof_config, sizeof_batch, sizeof_handle_state, sizeof_db_state, sizeof_stat;
} dq_abi;
DQ_EXPORT void dq_abi_get(dq_abi *out);

/* Registers the VFS "dqlite" (never as the default). Idempotent. SQLITE_OK;
** SQLITE_MISUSE for a wrong struct size; SQLITE_ERROR for an SQLite older than
** 3.37 or when the VFS name is taken. */
#define DQ_VFS_NAME "dqlite"
DQ_EXPORT int dq_init(const dq_sqlite_api *api);

/* ------------------------------------------------------------------------
** 3. Building database files that are not open: creation, install, import.
** The page checksum is XXH64(page image, seed = page number); the database
** checksum is the XOR of the page checksums of pages 1..page_count (the lock
** page, if within, counts as absent). Both are stored in `sums_path`, see
** docs/formats/database.md.
*/
DQ_EXPORT uint64_t dq_page_checksum(uint32_t page_number, const void *page, uint32_t page_size);
/* Writes the canonical page 1 of an empty WAL-mode database into `page`. */
DQ_EXPORT int dq_canonical_page1(void *page, uint32_t page_size, uint32_t auto_vacuum /* 0 none, 1 full, 2 incremental */);

typedef struct dq_builder dq_builder;
/* Creates (truncates) both files. One thread at a time. */
DQ_EXPORT int dq_builder_open(const char *db_path, const char *sums_path, uint32_t page_size, dq_builder **out);
DQ_EXPORT int dq_builder_page(dq_builder *, uint32_t page_number, const void *page);
/* Every page 1..page_count except the lock page must have been given: else
** SQLITE_CORRUPT. Truncates to page_count, fsyncs both files, reports the
** database checksum. The caller renames and fsyncs the directory. */
DQ_EXPORT int dq_builder_finish(dq_builder *, uint32_t page_count, uint64_t *checksum);
DQ_EXPORT void dq_builder_close(dq_builder *);

/* ------------------------------------------------------------------------
** 4. Databases.
*/
typedef struct dq_db dq_db;

typedef struct dq_db_config {
  uint32_t struct_size;
  uint32_t page_size;          /* 512..65536, power of two; must match the file */
  const char *path;            /* absolute; what connections open with vfs=dqlite */
  const char *sums_path;
  uint32_t page_count;         /* of the last finished checkpoint; the file may be longer */
  uint32_t reserved;
  uint64_t checksum;           /* of the database at the last finished checkpoint; verified against sums */
  uint64_t max_transaction_bytes; /* pages of one transaction: DQ_TOO_LARGE beyond */
  uint64_t max_undecided_bytes;   /* drafts above c: beyond, the slot is granted to nobody */
  uint64_t max_version_bytes;     /* versions held for readers alone: beyond, the oldest are revoked */
  uint64_t spill_bytes;           /* page images in memory: beyond, those of large transactions (an eighth of it)
                                  ** live in path + ".spill", a file without a name. 0: never */
  int64_t slot_timeout_ns;        /* blocking (plain) handles: wait for the slot, then 773 */
  int64_t commit_timeout_ns;      /* blocking (plain) handles: wait at the commit point, then 11018 */
  int64_t slot_hold_ns;           /* an open write transaction holds the slot at most this long while others wait */
  void *ctx;
  /* Callbacks: made on the thread that caused them, with no lock held; must
  ** not block (except read_barrier) and must not call SQLite. */
  void (*on_draft)(void *ctx);                              /* the draft queue became non-empty */
  void (*on_slot)(void *ctx, uint64_t ticket, int rc);      /* a queued dq_slot_request was decided */
  int (*read_barrier)(void *ctx);                           /* may block: makes c linearizable; SQLITE_OK or DQ_NOT_LEADER. NULL: none */
  void (*on_rot)(void *ctx, uint32_t page_number);          /* a page of the file failed its checksum */
} dq_db_config;

typedef struct dq_db_state {
  uint64_t c, d;
  uint64_t term;                /* of dq_db_lead, 0 when not leading */
  uint64_t checkpoint_lsn;      /* state that the file holds */
  uint64_t undecided_bytes;
  uint64_t version_bytes;       /* images of the version store, wherever they lie */
  uint64_t checksum;            /* of the database at c */
  uint32_t page_count;          /* at c */
  uint32_t page_size;
  uint32_t handles;
  uint32_t generation;
  uint32_t poisoned;
  uint32_t queued_drafts;
  uint64_t pages_read_file, pages_read_store, drafts, commits, fences; /* counters since open */
  uint64_t dirty_pages;         /* pages whose newest version <= c is not in the file */
  uint64_t last_lsn;            /* highest LSN given out; a fence leaves it */
} dq_db_state;

/* Creates NAME.db (canonical page 1) and its sums and fsyncs both; not the directory. */
DQ_EXPORT int dq_db_create_files(const char *path, const char *sums_path, uint32_t page_size, uint32_t auto_vacuum, uint64_t *checksum);

/* Opens the files and registers the path. c = d = 1, not leading, not serving.
** The files hold one state: a checkpoint that a crash interrupted is finished
** first, from the copies that the caller kept (dq_db_checkpoint).
** SQLITE_CANTOPEN, SQLITE_NOTADB (magic, page size), SQLITE_CORRUPT (sums or
** page 1 do not match, file shorter than page_count), SQLITE_MISUSE (path is
** open already), SQLITE_NOMEM. */
DQ_EXPORT int dq_db_open(const dq_db_config *config, dq_db **out);
/* Unregisters. Handles that are open answer DQ_NOT_LEADER for good, waiters
** return; the object is freed with its last handle, batch, stage and snapshot. No
** callback runs or begins after it has returned, except a read_barrier that was
** running (it may block). Never from a callback. */
DQ_EXPORT void dq_db_close(dq_db *);
DQ_EXPORT int dq_db_get_state(dq_db *, dq_db_state *out);

/* While rc != 0 every read lock answers rc (a node that replays, or stopped). */
DQ_EXPORT int dq_db_set_serving(dq_db *, int rc);
/* While rc != 0 nobody gets the slot: requests and blocking handles answer rc
** (SQLITE_FULL: the log has no room). Who has it may still draft; waiters wait. */
DQ_EXPORT int dq_db_set_drafting(dq_db *, int rc);

/* Plain handles at level Linearizable take their snapshot without asking until
** this moment of now_ns(); after it they call read_barrier. 0: always ask.
** Without effect while not leading; a fence ends it. */
DQ_EXPORT void dq_db_set_lease(dq_db *, int64_t deadline_ns);

/* Leadership. lead: opens drafting; drafts carry `term`. d must equal c.
** fence: drafting closes; every version above c goes; queued slot waiters get
** DQ_NOT_LEADER; blocking commits of drafts above `proposed_lsn` fail with
** DQ_NOT_LEADER, those at or below it wait for dq_db_resolve. Handles that saw
** a dropped draft: dead for good (DQ_LEADERSHIP_LOST) when a dropped draft
** changed the schema cookie - blocking handles instead flush and reset - else
** flushed and their transaction revoked. An open write transaction loses the
** slot and gets DQ_NOT_LEADER. d falls back to c, which stays; lead opens no
** lease. Never waits for SQLite. */
DQ_EXPORT int dq_db_lead(dq_db *, uint64_t term);
DQ_EXPORT int dq_db_fence(dq_db *, uint64_t proposed_lsn);
/* The log decided the proposed drafts lsn_first..lsn_last of an earlier term.
** committed != 0: their pages have been applied under newer LSNs already. */
DQ_EXPORT int dq_db_resolve(dq_db *, uint64_t lsn_first, uint64_t lsn_last, int committed);

/* Drafts, oldest first, coalesced: the last image of a page wins, images above
** the final page count are dropped. Takes whole drafts up to about max_bytes,
** at least one. *out = NULL when none is queued. The images are references
** into the store: immutable, valid until dq_batch_free. One that lies in the
** temporary file has no address: images[i] is NULL, dq_batch_read reads it. */
typedef struct dq_batch {
  uint64_t lsn_first, lsn_last;
  uint64_t term;
  uint64_t checksum;            /* of the database after lsn_last */
  uint32_t page_count;          /* of the database after lsn_last */
  uint32_t pages;
  uint32_t drafts;
  uint32_t page_size;
  uint32_t base_page_count;     /* of the database before lsn_first */
  uint32_t reserved;
  const uint32_t *page_numbers; /* ascending */
  const void *const *images;
} dq_batch;
DQ_EXPORT int dq_db_poll(dq_db *, uint64_t max_bytes, dq_batch **out);
/* Copies n images from position `first` on, one after the other. SQLITE_IOERR_READ:
** the temporary file cannot be read; DQ_PAGE_ROT: it returned other bytes than were
** written. Any number of threads. */
DQ_EXPORT int dq_batch_read(const dq_batch *, uint32_t first, uint32_t n, void *out);
DQ_EXPORT void dq_batch_free(dq_batch *);
/* The image of the batch's i-th page before lsn_first, for whoever wants to say
** what changed; as long as no draft of the batch is committed. SQLITE_NOTFOUND:
** the database did not have the page then. */
DQ_EXPORT int dq_batch_base(const dq_batch *, uint32_t i, void *page);

/* Raft committed. own: everything up to lsn (a draft of ours): c = lsn.
** foreign: pages of one entry become LSN d+1 = c+1 (only with d == c, not
** leading); `images` is page_count_in x page_size bytes, in order. Returns
** SQLITE_CORRUPT, with c unmoved, when the result's checksum is not `checksum`
** (0: do not compare) or a page that the entry adds is missing in it. */
DQ_EXPORT int dq_db_commit(dq_db *, uint64_t lsn);
DQ_EXPORT int dq_db_apply(dq_db *, uint32_t pages, const uint32_t *page_numbers, const void *images,
                          uint32_t page_count, uint64_t checksum, uint64_t *lsn);

/* A page of the committed state. SQLITE_NOTFOUND: beyond its page count, or the
** lock page. DQ_PAGE_ROT. */
DQ_EXPORT int dq_db_page(dq_db *, uint32_t page_number, void *page);

/* An entry that comes in parts: a stage collects their pages, ascending over all
** parts (else SQLITE_CORRUPT), and dq_stage_apply makes them take effect together,
** as dq_db_apply does; the stage is empty afterwards. When it fails nothing has
** moved. Freed before: nothing has happened. _add_batch takes images of a batch of
** the same database without copying them. One thread at a time per stage. */
typedef struct dq_stage dq_stage;
DQ_EXPORT int dq_stage_open(dq_db *, dq_stage **out);
DQ_EXPORT int dq_stage_add(dq_stage *, uint32_t pages, const uint32_t *page_numbers, const void *images);
DQ_EXPORT int dq_stage_add_batch(dq_stage *, const dq_batch *, uint32_t first, uint32_t n);
DQ_EXPORT int dq_stage_apply(dq_stage *, uint32_t page_count, uint64_t checksum, uint64_t *lsn);
DQ_EXPORT void dq_stage_free(dq_stage *);

/* Checkpoint: writes the newest version <= lsn of every page to the file, with
** before-images kept for older snapshots, and fsyncs. `lsn` is c, or that of an
** open dq_snapshot (open one at the state to be checkpointed when c may move
** before this call): otherwise pages of that state may be gone, and the answer
** is SQLITE_BUSY. One at a time, own thread. The caller keeps a durable copy of
** what is overwritten (_pages says which: a torn page cannot be mended from
** itself), makes "target" durable before and "done" after, then calls _done,
** which drops the versions that nobody needs. Pages from `filed_from` on (0:
** none) are in the file already: the caller has written them behind its end. A
** failed write or flush returns SQLITE_IOERR_* and the file must be restored. */
DQ_EXPORT int dq_db_checkpoint(dq_db *, uint64_t lsn, uint32_t filed_from, uint32_t *page_count, uint64_t *checksum);
/* The pages, ascending, that a checkpoint to lsn would write now; `count` gets
** how many there are, also when that is more than `capacity`. Pages above the
** page count at lsn may be among them. */
DQ_EXPORT int dq_db_checkpoint_pages(dq_db *, uint64_t lsn, uint32_t *pages, uint32_t capacity, uint32_t *count);
DQ_EXPORT int dq_db_checkpoint_done(dq_db *, uint64_t lsn);

/* After an install replaced the files at path and sums_path by a later state of
** the same database (other content needs a new dq_db_open: connections keep their
** schema while its cookie stays the same): a new generation. c = d = a new LSN;
** open readers keep the old one. SQLITE_MISUSE while leading or checkpointing. */
DQ_EXPORT int dq_db_reopen(dq_db *, uint32_t page_count, uint64_t checksum);

/* A consistent view at c, for export and streams; pinned until closed (when the
** readers' memory bound cannot be kept otherwise: DQ_SNAPSHOT_GONE). One thread
** at a time per snapshot. */
typedef struct dq_snapshot dq_snapshot;
DQ_EXPORT int dq_snapshot_open(dq_db *, dq_snapshot **out, uint64_t *lsn, uint32_t *page_count, uint64_t *checksum);
DQ_EXPORT int dq_snapshot_page(dq_snapshot *, uint32_t page_number, void *page); /* lock page: zeros */
DQ_EXPORT void dq_snapshot_close(dq_snapshot *);

/* ------------------------------------------------------------------------
** 5. The writer slot, for the library's own handles. A ticket is any nonzero
** number that the caller keeps unique per database.
** request: SQLITE_OK granted now; SQLITE_BUSY queued, on_slot decides (perhaps
** before request has returned, from another thread or this one); DQ_NOT_LEADER
** when drafting is closed. A fence and dq_db_close decide every queued ticket. cancel: 1 when it was still queued,
** 0 when it was granted before (the caller then releases). release: idempotent.
*/
DQ_EXPORT int dq_slot_request(dq_db *, uint64_t ticket);
DQ_EXPORT int dq_slot_cancel(dq_db *, uint64_t ticket);
DQ_EXPORT void dq_slot_release(dq_db *, uint64_t ticket);
/* Takes the slot from its holder: its transaction can no longer draft and gets
** `rc` at its next call. 1 when the ticket held the slot. */
DQ_EXPORT int dq_slot_revoke(dq_db *, uint64_t ticket, int rc);

/* ------------------------------------------------------------------------
** 6. Handles. The pointer comes from sqlite3_file_control(db, "main",
** DQ_FCNTL_HANDLE, &ptr) and lives until the connection is closed. Used by the
** thread that uses the connection. SQLITE_NOTFOUND: not our VFS.
*/
#define DQ_FCNTL_HANDLE 0x44510001
typedef struct dq_handle dq_handle;

typedef struct dq_handle_state {
  uint64_t snapshot_lsn;   /* of the running or last read transaction */
  uint64_t draft_lsn;      /* last draft made by this handle since dq_handle_arm, else 0 */
  uint64_t draft_term;
  uint32_t in_read, in_write;
  int32_t dead;            /* 0, or the code that the handle answers for good */
  int32_t revoked;         /* 0, or the code that the running (or just ended) transaction gets */
  int32_t last_error;      /* last code returned to SQLite since dq_handle_arm; also of a transaction that was
                           ** revoked and ended without another call */
  uint32_t holds_slot;
} dq_handle_state;

/* Makes it the library's own: it never blocks inside SQLite. Without the slot
** it reads c, and a WRITE lock answers SQLITE_BUSY. */
DQ_EXPORT void dq_handle_own(dq_handle *);
/* Before a statement: forgets draft_lsn and last_error. With a ticket that has
** the slot the handle reads d and may write; it gives the slot up at its commit
** point. Without a draft the ticket keeps it until dq_slot_release (SQLite may
** begin the write of one statement twice). ticket 0: none (a running write
** transaction keeps its own). SQLITE_OK; the code of a dead handle;
** SQLITE_BUSY or DQ_NOT_LEADER when the ticket does not hold the slot. */
DQ_EXPORT int dq_handle_arm(dq_handle *, uint64_t ticket);
DQ_EXPORT void dq_handle_get_state(dq_handle *, dq_handle_state *out);

#endif
