/*
** dq_internal.h - what the shim's files share. The contract is dqlite_shim.h.
**
** Locks: g_lock (registry, connections) before dq_db.lock; never the other way
** round. Nothing calls SQLite, the callbacks or a slow system call with a lock
** held; dq_unlock() makes the callbacks that the critical section decided on.
*/
#ifndef DQ_INTERNAL_H
#define DQ_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "dq_mutant.h"
#include "dqlite_shim.h"
#include "sqlite_abi.h"

#define DQ_HIDDEN __attribute__((visibility("hidden")))

/* --- memory: one gate, so that tests can make any allocation fail ---------- */
DQ_HIDDEN extern int (*dq_alloc_fault)(void); /* nonzero: this allocation fails */
DQ_HIDDEN void *dq_alloc(size_t n);
DQ_HIDDEN void *dq_zalloc(size_t n);
DQ_HIDDEN void *dq_grow(void *p, size_t n);
DQ_HIDDEN void dq_free(void *p);

/* --- dq_os.c --------------------------------------------------------------- */
DQ_HIDDEN extern dq_os dq_sys;
DQ_HIDDEN extern atomic_int dq_open_databases; /* dq_os_set is refused while > 0 */
DQ_HIDDEN int64_t dq_add_ns(int64_t now, int64_t span);

typedef struct dq_cond { /* what wait and wake_all of the table are given */
  pthread_cond_t cond;
} dq_cond;
DQ_HIDDEN void dq_cond_init(dq_cond *);
DQ_HIDDEN void dq_cond_destroy(dq_cond *);

/* Waits until what was written to the file is on its way, and no longer queued in
** front of others. Not durability: dq_file_sync is. */
DQ_HIDDEN void dq_file_pace(int fd);

/* --- dq_hash.c ------------------------------------------------------------- */
DQ_HIDDEN uint64_t dq_xxh64(const void *data, size_t n, uint64_t seed);

/* --- dq_format.c: NAME.db and NAME.sums ------------------------------------ */
#define DQ_SUMS_HEADER 32
#define DQ_LOCK_BYTE 0x40000000u
static inline uint32_t dq_lock_page(uint32_t page_size) { return DQ_LOCK_BYTE / page_size + 1; }
static inline int64_t dq_sums_offset(uint32_t page) { return DQ_SUMS_HEADER + (int64_t)(page - 1) * 8; }
DQ_HIDDEN int dq_valid_page_size(uint32_t page_size);
DQ_HIDDEN void dq_sums_header(uint8_t *out, uint32_t page_size);
DQ_HIDDEN int dq_sums_check(const uint8_t *header, uint32_t page_size); /* SQLITE_OK or SQLITE_CORRUPT */
DQ_HIDDEN uint32_t dq_get4(const uint8_t *p);                            /* big-endian, as in SQLite's files */
DQ_HIDDEN uint32_t dq_page1_page_size(const uint8_t *page1);             /* 0: no SQLite database */

/* --- dq_spill.c: a database's temporary file for page images ----------------- */
#define DQ_SPILL_SUFFIX ".spill"
typedef struct dq_spill {
  uint64_t limit; /* bytes of images in memory from which on large transactions use the file; 0: never */
  uint32_t page_size;
  char *path;
  atomic_ullong resident; /* bytes of images in memory */
  pthread_mutex_t lock;   /* a leaf; guards all below */
  int fd;                 /* -1: none */
  uint32_t end, used;     /* slots that were ever given out; that are in use */
  uint32_t *free_slots, free_count, capacity;
} dq_spill;

DQ_HIDDEN int dq_spill_init(dq_spill *, const char *database_path, uint32_t page_size, uint64_t limit);
DQ_HIDDEN void dq_spill_destroy(dq_spill *);
DQ_HIDDEN int dq_spill_write(dq_spill *, const void *page, uint32_t *slot); /* SQLITE_FULL: the disk is */
DQ_HIDDEN int dq_spill_read(dq_spill *, uint32_t slot, void *page);
DQ_HIDDEN void dq_spill_give(dq_spill *, uint32_t slot);
DQ_HIDDEN void dq_spill_trim(dq_spill *); /* drops a file that nobody uses: it may take long, never on the node's loop */

/* --- dq_image.c: page images; dq_store.c: versions and snapshots ------------ */
typedef struct dq_image { /* immutable once it is shared */
  atomic_uint refs;
  uint32_t page; /* of a spilled one: what `sum` was computed for */
  dq_spill *spill;
  uint64_t sum;
  uint32_t slot; /* DQ_IN_MEMORY, or where it lies in the temporary file */
  _Alignas(16) uint8_t data[]; /* only in memory: dq_image_read() reads both kinds */
} dq_image;
#define DQ_IN_MEMORY UINT32_MAX

typedef struct dq_version dq_version;
typedef struct dq_snap dq_snap;

/* One version of a page. Chains run from the newest to the oldest.
**   image == NULL   a marker: the file holds this version; it exists only while
**                   older versions do, to tell their readers from later ones
**   owner           superseded, and kept for that snapshot; NULL for drafts and
**                   for the newest version at or below c */
struct dq_version {
  dq_version *older, *newer;
  dq_image *image;
  uint64_t lsn, sum;
  uint32_t page;
  dq_snap *owner;
  dq_version *owned_prev, *owned_next;
};

/* The readers of one LSN. Sorted list, ascending. */
struct dq_snap {
  dq_snap *prev, *next;
  uint64_t lsn, checksum;
  uint32_t page_count, refs;
  dq_version *owned;
};

#define DQ_CHUNK 256
typedef struct dq_chunk {
  dq_version *head[DQ_CHUNK];
  uint8_t dirty[DQ_CHUNK]; /* the newest version <= c is not in the file */
} dq_chunk;

/* One incarnation of the database file and the versions over it. */
typedef struct dq_gen {
  struct dq_gen *next_dead;
  uint32_t refs, number, page_size;
  int fd, sums_fd;
  uint64_t *sums; /* of the file's pages */
  uint32_t sums_count;
  uint32_t file_pages; /* the file's length */
  dq_chunk **chunks;
  uint32_t chunk_count;
  dq_snap *oldest, *newest;
  uint64_t version_bytes; /* all images */
  uint64_t reader_bytes;  /* of them: images with an owner */
  uint64_t dirty_pages;
} dq_gen;

typedef struct dq_change {
  uint32_t page;
  dq_image *image;
  uint64_t sum;
  dq_version *version; /* allocated before the change set takes effect */
} dq_change;

/* The pages of one transaction or entry, ascending by page number. */
typedef struct dq_changes {
  dq_change *items;
  uint32_t count, capacity;
} dq_changes;

DQ_HIDDEN dq_image *dq_image_new(dq_spill *); /* in memory, its bytes are the caller's to fill in */
/* Of complete bytes. `transaction_bytes`: of the pages that belong together, this
** one included. SQLITE_NOMEM, SQLITE_FULL, SQLITE_IOERR_WRITE. Page 1 stays in
** memory: the schema cookie is read under the lock. */
DQ_HIDDEN int dq_image_make(dq_spill *, uint32_t page, const void *data, uint64_t transaction_bytes, dq_image **out);
/* The same, but in memory when the file fails: for what is committed already. */
DQ_HIDDEN int dq_image_keep(dq_spill *, uint32_t page, const void *data, uint64_t transaction_bytes, dq_image **out);
/* No lock held. SQLITE_IOERR_READ; DQ_PAGE_ROT: the file returned other bytes than were written. */
DQ_HIDDEN int dq_image_read(const dq_image *, uint32_t offset, uint32_t n, void *out);
DQ_HIDDEN int dq_image_sum(const dq_image *, uint32_t page, uint64_t *sum);
DQ_HIDDEN void dq_image_ref(dq_image *);
DQ_HIDDEN void dq_image_unref(dq_image *);

DQ_HIDDEN int dq_gen_open(const char *path, const char *sums_path, uint32_t page_size, uint32_t page_count, dq_gen **out);
DQ_HIDDEN void dq_gen_free(dq_gen *);
DQ_HIDDEN int dq_gen_sums_reserve(dq_gen *, uint32_t pages);
DQ_HIDDEN uint64_t dq_gen_file_checksum(const dq_gen *, uint32_t page_count);

DQ_HIDDEN dq_version *dq_store_head(const dq_gen *, uint32_t page);
DQ_HIDDEN dq_version *dq_store_find(const dq_gen *, uint32_t page, uint64_t lsn); /* NULL or a marker: the file */
DQ_HIDDEN uint64_t dq_store_newest_sum(const dq_gen *, uint32_t page);
DQ_HIDDEN int dq_store_reserve(dq_gen *, const dq_changes *);
DQ_HIDDEN void dq_store_insert(dq_gen *, dq_change *, uint64_t lsn);
DQ_HIDDEN void dq_store_supersede(dq_gen *, uint32_t page, uint64_t c);
DQ_HIDDEN void dq_store_remove(dq_gen *, dq_version *);
DQ_HIDDEN void dq_store_filed(dq_gen *, uint32_t page, uint64_t lsn, uint64_t c);
DQ_HIDDEN void dq_store_gone(dq_gen *, uint32_t page, uint64_t lsn, uint64_t c);
DQ_HIDDEN int dq_store_needs_before_image(const dq_gen *, uint32_t page);
DQ_HIDDEN void dq_store_before_image(dq_gen *, uint32_t page, dq_version *spare);
DQ_HIDDEN void dq_store_drop_marker(dq_gen *, uint32_t page);

DQ_HIDDEN dq_snap *dq_snap_acquire(dq_gen *, dq_snap *spare, uint64_t lsn, uint32_t page_count, uint64_t checksum);
DQ_HIDDEN void dq_snap_release(dq_gen *, dq_snap *);

DQ_HIDDEN int dq_changes_add(dq_changes *, uint32_t page, dq_image *image);
DQ_HIDDEN int dq_changes_prepare(dq_changes *, uint32_t from);
DQ_HIDDEN void dq_changes_sort(dq_changes *, uint32_t page_count);
DQ_HIDDEN void dq_changes_clear(dq_changes *);

/* --- dq_db.c: the database object ------------------------------------------ */
typedef struct dq_draft {
  struct dq_draft *prev, *next; /* oldest first */
  uint64_t lsn, term, checksum, bytes;
  uint32_t page_count, cookie;
  uint8_t cookie_changed, polled;
  dq_changes changes;
} dq_draft;

/* A reader: a handle, or a dq_snapshot. */
typedef struct dq_reader {
  struct dq_reader *prev, *next; /* of dq_db.readers */
  struct dq_handle *handle;      /* NULL for a dq_snapshot */
  dq_gen *gen;                   /* referenced while snap is set */
  dq_snap *snap;
  uint64_t lsn;
  uint32_t page_count;
  uint64_t file_epoch; /* nonzero: inside a read of a file page that began at that epoch */
  int revoked;
} dq_reader;

/* Someone who waits for the slot: a ticket (heap) or a blocking handle (its stack). */
typedef struct dq_slot_waiter {
  struct dq_slot_waiter *prev, *next;
  uint64_t ticket;
  struct dq_handle *handle;
  dq_cond cond;
  int64_t since;
  int decided, rc;
} dq_slot_waiter;

/* A blocking handle that waits for Raft at its commit point. On its stack. */
typedef struct dq_commit_waiter {
  struct dq_commit_waiter *prev, *next;
  uint64_t lsn;
  dq_cond cond;
  int fenced; /* proposed before a fence: only dq_db_resolve decides it */
  int decided, rc;
} dq_commit_waiter;

typedef struct dq_checkpointed {
  uint32_t page;
  uint64_t lsn, sum;
  dq_image *image;
} dq_checkpointed;

struct dq_db {
  struct dq_db *next; /* registry */
  dq_db_config config;
  char *path, *real_path, *sums_path;
  uint32_t page_size;
  atomic_uint refs; /* registry, handles, batches, snapshots */
  dq_spill spill;

  pthread_mutex_t lock; /* guards all below */
  int closed, poisoned, serving_rc, drafting_rc;
  int silent; /* closed, and the last callbacks were made */
  dq_gen *gen;
  dq_gen *dead_gens; /* freed by dq_unlock */
  uint64_t c, d, last_lsn, term;
  uint32_t page_count_c, page_count_d;
  uint64_t checksum_c, checksum_d;
  uint32_t cookie_c, cookie_d;
  uint64_t cookie_lsn; /* last draft that changed the schema cookie */
  int64_t lease;
  uint64_t checkpoint_lsn;
  uint32_t checkpoint_page_count;
  dq_reader *readers;
  uint32_t handles;
  uint64_t epoch; /* of file reads, see dq_checkpoint.c */

  dq_draft *drafts_first, *drafts_last, *unpolled; /* above c */
  uint64_t undecided_bytes;
  uint32_t queued;
  dq_commit_waiter *commit_waiters;
  dq_cond moved; /* c moved, or drafting closed */
  uint32_t moved_waiters;

  struct {
    int held;
    uint64_t ticket;
    struct dq_handle *handle; /* armed with the ticket, or blocking */
    int64_t since;
    dq_slot_waiter *first, *last;
  } slot;

  int checkpointing;
  dq_gen *ckpt_gen;
  dq_checkpointed *ckpt;
  uint32_t ckpt_count, ckpt_page_count;
  uint64_t ckpt_lsn;

  /* Callbacks that dq_unlock makes. */
  int draft_event;
  dq_slot_waiter *decided;
  uint32_t callbacks;
  dq_cond callbacks_done;

  uint64_t pages_read_file, drafts, commits, fences;
  atomic_ullong pages_read_store;
};

DQ_HIDDEN void dq_lock(dq_db *);
DQ_HIDDEN void dq_unlock(dq_db *);
DQ_HIDDEN void dq_db_ref(dq_db *);
DQ_HIDDEN void dq_db_unref(dq_db *);
DQ_HIDDEN int dq_poison(dq_db *); /* lock held; returns DQ_POISONED */
DQ_HIDDEN void dq_gen_ref(dq_gen *);
DQ_HIDDEN void dq_gen_unref(dq_db *, dq_gen *); /* lock held */
DQ_HIDDEN dq_db *dq_db_find(const char *path);  /* referenced, or NULL */
DQ_HIDDEN int dq_db_resolve_path(const char *full, char *out, int n); /* 1: `full` names a registered file */
DQ_HIDDEN void dq_report_rot(dq_db *, uint32_t page);
DQ_HIDDEN void dq_reader_link(dq_db *, dq_reader *);
DQ_HIDDEN void dq_reader_unlink(dq_db *, dq_reader *);
/* Lock held. `spare` is consumed, or freed when it is not needed. */
DQ_HIDDEN void dq_reader_begin(dq_db *, dq_reader *, dq_snap *spare, uint64_t lsn);
DQ_HIDDEN void dq_reader_end(dq_db *, dq_reader *);
DQ_HIDDEN void dq_bound_readers(dq_db *);
/* A page at the reader's snapshot; NULL reader->snap reads the newest committed
** state. Never called with the lock held. */
DQ_HIDDEN int dq_reader_page(dq_db *, dq_reader *, uint32_t page, uint32_t offset, uint32_t amount, uint8_t *out);
/* A page at an LSN that nobody holds: only for states that cannot go meanwhile,
** c and what lies between it and the drafts. Never called with the lock held. */
DQ_HIDDEN int dq_page_at(dq_db *, uint64_t lsn, uint32_t page, uint8_t *out);

/* --- dq_draft.c ------------------------------------------------------------- */
DQ_HIDDEN int dq_draft_make(struct dq_handle *, uint32_t page_count, dq_changes *);
DQ_HIDDEN uint64_t dq_advance(dq_db *, dq_changes *, uint32_t page_count, uint64_t checksum); /* lock held */
DQ_HIDDEN void dq_draft_free(dq_draft *);
DQ_HIDDEN dq_image *dq_batch_image(const dq_batch *, uint32_t i);
DQ_HIDDEN uint64_t dq_changes_checksum(const dq_db *, const dq_changes *, uint32_t page_count);
DQ_HIDDEN void dq_decide_commit_waiters(dq_db *);
DQ_HIDDEN void dq_fail_commit_waiters(dq_db *);
DQ_HIDDEN void dq_drop_drafts(dq_db *);

/* --- dq_checkpoint.c ---------------------------------------------------------- */
DQ_HIDDEN void dq_checkpoint_forget(dq_db *); /* the list of a checkpoint that is not done */

/* --- dq_slot.c --------------------------------------------------------------- */
DQ_HIDDEN int dq_slot_acquire(struct dq_handle *, int64_t deadline_ns); /* blocking; lock held on entry and return */
DQ_HIDDEN void dq_slot_free(dq_db *);                                   /* lock held: the slot goes to the next */
DQ_HIDDEN void dq_slot_pump(dq_db *);
DQ_HIDDEN void dq_slot_close(dq_db *, int rc); /* every waiter gets rc, the holder loses it */
DQ_HIDDEN int dq_slot_take_from_holder(dq_db *, int rc);

/* --- dq_handle.c: one connection's private WAL and wal-index ----------------- */
typedef struct dq_frame {
  uint8_t header[24]; /* big-endian page number, page count of a commit frame, salts, checksums */
  uint32_t written;   /* bytes of the page, from its start */
  dq_image *image;
} dq_frame;

/* The handles of one sqlite3 connection (main and attached databases). They
** are used under the connection's mutex, so only the list needs g_lock. */
typedef struct dq_conn {
  struct dq_conn *next;
  sqlite3 *sqlite;
  uint32_t refs;
  struct dq_handle *writer; /* holds WRITE */
} dq_conn;

enum { DQ_LEVEL_DEFAULT, DQ_LEVEL_LOCAL, DQ_LEVEL_LINEARIZABLE };

/* Fields of the first part belong to the connection's thread; those of the
** second are guarded by db->lock. */
struct dq_handle {
  dq_db *db;
  dq_conn *conn;
  const char *name; /* SQLite's own copy, valid as long as the file is open */
  int level;
  int wal_open;
  uint8_t wal_header[32];
  uint32_t wal_header_bytes;
  dq_frame *frames;
  uint32_t frame_count, frame_capacity;
  uint8_t **regions;
  int region_count;
  uint32_t write_change; /* iChange when WRITE was taken */
  int refused;           /* the commit point answered an error */

  dq_reader reader;
  int own;
  uint64_t ticket;
  uint64_t header_lsn; /* what the private header stands for; 0: flush at the next read lock */
  uint64_t seen_lsn;   /* highest LSN that the page or schema cache may hold */
  int in_read, in_write, relock_expected, relock;
  int at_draft; /* blocking handle, autocommit, reads d */
  int drafted;  /* past the commit point of the running transaction */
  dq_snap *draft_snap; /* the state that the draft made, until SQLite has published it */
  dq_gen *draft_gen;   /* referenced while draft_snap is set */
  uint64_t draft_lsn, draft_term, new_lsn;
  uint32_t new_page_count;
  int dead, slot_rc, last_error;
  atomic_int shared; /* a second connection came to the same file: refused for good */
};

DQ_HIDDEN int dq_handle_open(dq_db *, const char *name, int level, dq_handle **out);
DQ_HIDDEN void dq_handle_close(dq_handle *);
DQ_HIDDEN int dq_handle_connect(dq_handle *, sqlite3 *);
DQ_HIDDEN int dq_handle_usable(dq_handle *); /* lock held; 0 or the code to answer */
DQ_HIDDEN int dq_handle_note(dq_handle *, int rc); /* lock held; remembers DQ_* codes */
DQ_HIDDEN int dq_handle_read_lock(dq_handle *);
DQ_HIDDEN void dq_handle_read_unlock(dq_handle *);
DQ_HIDDEN int dq_handle_write_lock(dq_handle *);
DQ_HIDDEN void dq_handle_write_unlock(dq_handle *);
DQ_HIDDEN int dq_handle_holds_slot(const dq_handle *); /* lock held */
DQ_HIDDEN void dq_handle_drop_draft_snap(dq_handle *); /* lock held */

/* --- dq_plain.c: connections without an output gate -------------------------- */
enum dq_kind { DQ_READS, DQ_WRITES, DQ_WRITES_AUTOCOMMIT };
DQ_HIDDEN enum dq_kind dq_plain_kind(const dq_handle *); /* asks SQLite: no lock held */
DQ_HIDDEN int dq_plain_begin(dq_handle *, enum dq_kind, uint64_t *target); /* lock held; may drop it and wait */
DQ_HIDDEN int dq_plain_wait(dq_handle *, uint64_t lsn, int64_t deadline_ns); /* until c >= lsn; lock held */

/* --- dq_wal.c: the private WAL and wal-index --------------------------------- */
DQ_HIDDEN int dq_wal_read(dq_handle *, void *out, int n, int64_t offset);
DQ_HIDDEN int dq_wal_write(dq_handle *, const void *data, int n, int64_t offset);
DQ_HIDDEN int dq_wal_truncate(dq_handle *, int64_t size);
DQ_HIDDEN int64_t dq_wal_size(const dq_handle *);
DQ_HIDDEN void dq_wal_clear(dq_handle *);
DQ_HIDDEN int dq_index_map(dq_handle *, int region, int extend, void volatile **out);
DQ_HIDDEN void dq_index_free(dq_handle *);
DQ_HIDDEN void dq_index_publish(dq_handle *, uint32_t page_count);
DQ_HIDDEN uint32_t dq_index_change(const dq_handle *);
DQ_HIDDEN uint32_t dq_index_last_frame(const dq_handle *);
DQ_HIDDEN void dq_index_backfilled(dq_handle *);

/* --- dq_policy.c -------------------------------------------------------------- */
DQ_HIDDEN extern dq_sqlite_api dq_sqlite;
DQ_HIDDEN int dq_policy_pragma(dq_handle *, char **args);
DQ_HIDDEN int dq_policy_open(const char *name, int *level);
DQ_HIDDEN void dq_policy_shared(const char *name);

#endif
