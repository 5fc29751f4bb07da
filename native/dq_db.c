/*
** dq_db.c - the database object: registry, open and close, lock and callbacks,
** state, readers and their page reads.
*/
#include <limits.h>
#include <stdlib.h>

#include "dq_internal.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static dq_db *registry;

/* ---- lock, references, callbacks --------------------------------------------------- */

void dq_lock(dq_db *db) { pthread_mutex_lock(&db->lock); }

static void make_callbacks(dq_db *db, int draft, dq_slot_waiter *decided) {
  if (draft && db->config.on_draft) db->config.on_draft(db->config.ctx);
  for (dq_slot_waiter *w = decided; w; w = w->next)
    if (db->config.on_slot) db->config.on_slot(db->config.ctx, w->ticket, w->rc);
}

/* Unlocks and then does what must not be done under the lock: the callbacks
** that the critical section decided on, and freeing whole generations. */
void dq_unlock(dq_db *db) {
  dq_slot_waiter *decided = db->decided, *next;
  dq_gen *dead = db->dead_gens, *next_gen;
  int draft = db->draft_event;
  int calls = (draft || decided) && !db->silent;
  db->decided = NULL;
  db->dead_gens = NULL;
  db->draft_event = 0;
  if (calls) db->callbacks++;
  pthread_mutex_unlock(&db->lock);
  if (calls) {
    make_callbacks(db, draft, decided);
    pthread_mutex_lock(&db->lock);
    if (--db->callbacks == 0 && db->silent) dq_sys.wake_all(dq_sys.ctx, &db->callbacks_done);
    pthread_mutex_unlock(&db->lock);
  }
  for (; decided; decided = next) {
    next = decided->next;
    dq_free(decided);
  }
  for (; dead; dead = next_gen) {
    next_gen = dead->next_dead;
    dq_gen_free(dead);
  }
}

void dq_report_rot(dq_db *db, uint32_t page) {
  pthread_mutex_lock(&db->lock);
  int call = !db->silent && db->config.on_rot && !DQ_MUTANT(70);
  if (call) db->callbacks++;
  pthread_mutex_unlock(&db->lock);
  if (!call) return;
  db->config.on_rot(db->config.ctx, page);
  pthread_mutex_lock(&db->lock);
  if (--db->callbacks == 0 && db->silent) dq_sys.wake_all(dq_sys.ctx, &db->callbacks_done);
  pthread_mutex_unlock(&db->lock);
}

void dq_gen_ref(dq_gen *gen) { gen->refs++; }

void dq_gen_unref(dq_db *db, dq_gen *gen) {
  if (--gen->refs) return;
  gen->next_dead = db->dead_gens;
  db->dead_gens = gen;
}

void dq_db_ref(dq_db *db) { atomic_fetch_add(&db->refs, 1); }

static void db_free(dq_db *db) {
  dq_checkpoint_forget(db);
  if (db->gen) dq_gen_free(db->gen);
  dq_spill_destroy(&db->spill);
  dq_cond_destroy(&db->moved);
  dq_cond_destroy(&db->callbacks_done);
  pthread_mutex_destroy(&db->lock);
  dq_free(db->path);
  dq_free(db->sums_path);
  free(db->real_path); /* from realpath() */
  dq_free(db);
  atomic_fetch_sub(&dq_open_databases, 1);
}

void dq_db_unref(dq_db *db) {
  if (atomic_fetch_sub(&db->refs, 1) == 1) db_free(db);
}

/* Everyone who waits is woken: nothing will decide anything any more. */
int dq_poison(dq_db *db) {
  if (db->poisoned) return DQ_POISONED;
  db->poisoned = 1;
  dq_slot_close(db, DQ_POISONED);
  dq_fail_commit_waiters(db);
  dq_sys.wake_all(dq_sys.ctx, &db->moved);
  return DQ_POISONED;
}

/* ---- registry --------------------------------------------------------------------------- */

dq_db *dq_db_find(const char *path) {
  pthread_mutex_lock(&registry_lock);
  dq_db *db = registry;
  while (db && strcmp(db->path, path) != 0) db = db->next;
  if (db) dq_db_ref(db);
  pthread_mutex_unlock(&registry_lock);
  return db;
}

int dq_db_resolve_path(const char *full, char *out, int n) {
  int found = 0;
  pthread_mutex_lock(&registry_lock);
  for (dq_db *db = registry; db && !found; db = db->next) {
    if (strcmp(db->path, full) != 0 && (!db->real_path || strcmp(db->real_path, full) != 0)) continue;
    size_t length = strlen(db->path);
    if (length < (size_t)n) {
      memcpy(out, db->path, length + 1);
      found = 1;
    }
  }
  pthread_mutex_unlock(&registry_lock);
  return found;
}

static int register_db(dq_db *db) {
  int rc = SQLITE_OK;
  pthread_mutex_lock(&registry_lock);
  for (dq_db *o = registry; o; o = o->next) {
    int same = strcmp(o->path, db->path) == 0;
    if (o->real_path && db->real_path && strcmp(o->real_path, db->real_path) == 0) same = 1;
    if (same) rc = SQLITE_MISUSE;
  }
  if (rc == SQLITE_OK) {
    db->next = registry;
    registry = db;
  }
  pthread_mutex_unlock(&registry_lock);
  return rc;
}

static int unregister_db(dq_db *db) {
  int found = 0;
  pthread_mutex_lock(&registry_lock);
  for (dq_db **at = &registry; *at; at = &(*at)->next)
    if (*at == db) {
      *at = db->next;
      found = 1;
      break;
    }
  pthread_mutex_unlock(&registry_lock);
  return found;
}

/* ---- open and close ------------------------------------------------------------------------ */

static char *copy_string(const char *s) {
  size_t n = strlen(s) + 1;
  char *copy = dq_alloc(n);
  if (copy) memcpy(copy, s, n);
  return copy;
}

static int verify_file(dq_db *db, const dq_db_config *config) {
  uint8_t *page = dq_alloc(db->page_size);
  if (!page) return SQLITE_NOMEM;
  int rc = SQLITE_OK;
  int64_t got = dq_file_read(db->gen->fd, page, db->page_size, 0);
  if (got < 0) rc = SQLITE_IOERR_READ;
  else if (got != db->page_size || dq_page_checksum(1, page, db->page_size) != db->gen->sums[0]) rc = SQLITE_CORRUPT;
  else if (dq_gen_file_checksum(db->gen, config->page_count) != config->checksum) rc = SQLITE_CORRUPT;
  if (rc == SQLITE_OK) db->cookie_c = db->cookie_d = dq_get4(page + 40);
  dq_free(page);
  return rc;
}

static void set_start_state(dq_db *db, const dq_db_config *config) {
  db->c = db->d = db->last_lsn = db->checkpoint_lsn = 1;
  db->epoch = 1;
  db->page_count_c = db->page_count_d = db->checkpoint_page_count = config->page_count;
  db->checksum_c = db->checksum_d = config->checksum;
  db->serving_rc = DQ_NOT_LEADER;
}

int dq_db_open(const dq_db_config *config, dq_db **out) {
  *out = NULL;
  if (!config || config->struct_size != sizeof *config || !config->path || !config->sums_path) return SQLITE_MISUSE;
  if (config->path[0] != '/' || !dq_valid_page_size(config->page_size) || config->page_count == 0) return SQLITE_MISUSE;
  dq_db *db = dq_zalloc(sizeof *db);
  if (!db) return SQLITE_NOMEM;
  atomic_fetch_add(&dq_open_databases, 1);
  atomic_init(&db->refs, 1);
  pthread_mutex_init(&db->lock, NULL);
  dq_cond_init(&db->moved);
  dq_cond_init(&db->callbacks_done);
  db->config = *config;
  db->page_size = config->page_size;
  db->path = copy_string(config->path);
  db->sums_path = copy_string(config->sums_path);
  int rc = dq_spill_init(&db->spill, config->path, db->page_size, config->spill_bytes);
  if (rc == SQLITE_OK && (!db->path || !db->sums_path)) rc = SQLITE_NOMEM;
  if (rc == SQLITE_OK) rc = dq_gen_open(db->path, db->sums_path, db->page_size, config->page_count, &db->gen);
  if (rc == SQLITE_OK) rc = verify_file(db, config);
  if (rc == SQLITE_OK) {
    db->gen->number = 1;
    db->real_path = realpath(db->path, NULL); /* NULL: matched by the given path alone */
    db->config.path = db->path;
    db->config.sums_path = db->sums_path;
    set_start_state(db, config);
    rc = register_db(db);
  }
  if (rc) {
    db_free(db);
    return rc;
  }
  *out = db;
  return SQLITE_OK;
}

/* Running callbacks end before this returns (read_barrier excepted, which may
** block): the caller may then free their context. */
void dq_db_close(dq_db *db) {
  if (!db || !unregister_db(db)) return;
  dq_lock(db);
  db->closed = 1;
  dq_slot_close(db, DQ_NOT_LEADER);
  dq_fail_commit_waiters(db);
  dq_drop_drafts(db);
  db->term = 0;
  db->lease = 0;
  db->fences++;
  for (dq_reader *r = db->readers; r && !DQ_MUTANT(32); r = r->next)
    if (r->handle) {
      r->handle->dead = DQ_NOT_LEADER;
      if (r->lsn > db->c && r->snap) dq_reader_end(db, r);
      r->revoked = DQ_NOT_LEADER;
    }
  dq_sys.wake_all(dq_sys.ctx, &db->moved);
  dq_unlock(db); /* tells the tickets that waited */
  dq_lock(db);
  db->silent = 1;
  while (db->callbacks) dq_sys.wait(dq_sys.ctx, &db->callbacks_done, &db->lock, INT64_MAX);
  dq_unlock(db);
  dq_db_unref(db);
}

int dq_db_get_state(dq_db *db, dq_db_state *out) {
  dq_lock(db);
  *out = (dq_db_state){
      .c = db->c,
      .d = db->d,
      .term = db->term,
      .checkpoint_lsn = db->checkpoint_lsn,
      .undecided_bytes = db->undecided_bytes,
      .version_bytes = db->gen->version_bytes,
      .checksum = db->checksum_c,
      .page_count = db->page_count_c,
      .page_size = db->page_size,
      .handles = db->handles,
      .generation = db->gen->number,
      .poisoned = (uint32_t)db->poisoned,
      .queued_drafts = db->queued,
      .pages_read_file = db->pages_read_file,
      .pages_read_store = atomic_load_explicit(&db->pages_read_store, memory_order_relaxed),
      .drafts = db->drafts,
      .commits = db->commits,
      .fences = db->fences,
      .dirty_pages = db->gen->dirty_pages,
      .last_lsn = db->last_lsn,
  };
  dq_unlock(db);
  return SQLITE_OK;
}

int dq_db_set_serving(dq_db *db, int rc) {
  dq_lock(db);
  db->serving_rc = rc;
  int result = db->poisoned ? DQ_POISONED : SQLITE_OK;
  dq_unlock(db);
  return result;
}

int dq_db_set_drafting(dq_db *db, int rc) {
  dq_lock(db);
  db->drafting_rc = rc;
  dq_slot_pump(db);
  int result = db->poisoned ? DQ_POISONED : SQLITE_OK;
  dq_unlock(db);
  return result;
}

void dq_db_set_lease(dq_db *db, int64_t deadline_ns) {
  dq_lock(db);
  db->lease = db->term ? deadline_ns : 0; /* a late renewal must not outlive a fence */
  dq_unlock(db);
}

/* ---- readers ----------------------------------------------------------------------------------- */

void dq_reader_link(dq_db *db, dq_reader *r) {
  r->next = db->readers;
  r->prev = NULL;
  if (db->readers) db->readers->prev = r;
  db->readers = r;
}

void dq_reader_unlink(dq_db *db, dq_reader *r) {
  if (r->prev) r->prev->next = r->next;
  else db->readers = r->next;
  if (r->next) r->next->prev = r->prev;
}

/* Snapshots are taken of c or of d, nothing else has a page count. */
void dq_reader_begin(dq_db *db, dq_reader *r, dq_snap *spare, uint64_t lsn) {
  int draft = lsn != db->c;
  r->gen = db->gen;
  r->lsn = lsn;
  r->page_count = draft ? db->page_count_d : db->page_count_c;
  r->revoked = 0;
  dq_gen_ref(r->gen);
  r->snap = dq_snap_acquire(r->gen, spare, lsn, r->page_count, draft ? db->checksum_d : db->checksum_c);
}

void dq_reader_end(dq_db *db, dq_reader *r) {
  if (!r->snap) return;
  dq_snap_release(r->gen, r->snap);
  r->snap = NULL;
  dq_gen_unref(db, r->gen);
  r->gen = NULL;
}

static int revoke_snap(dq_db *db, dq_snap *snap, int snapshots_too) {
  int revoked = 0;
  snap->refs++; /* the loop must not free it */
  for (dq_reader *r = db->readers; r; r = r->next) {
    if (r->snap != snap || (!r->handle && !snapshots_too)) continue;
    dq_reader_end(db, r);
    r->revoked = DQ_SNAPSHOT_GONE;
    revoked = 1;
  }
  dq_snap_release(db->gen, snap);
  return revoked;
}

/* Memory held for readers alone is bounded: the oldest go first, and open
** dq_snapshots (exports, streams) only when handles were not enough. */
void dq_bound_readers(dq_db *db) {
  dq_gen *gen = db->gen;
  for (int snapshots_too = DQ_MUTANT(90) ? 2 : 0; snapshots_too < 2; snapshots_too++)
    for (dq_snap *snap = gen->oldest, *next; snap && gen->reader_bytes > db->config.max_version_bytes; snap = next) {
      next = snap->next;
      if (snap->owned) revoke_snap(db, snap, snapshots_too);
    }
}

/* ---- page reads ------------------------------------------------------------------------------------ */

typedef struct page_read {
  dq_gen *gen;
  dq_image *image;   /* from the store, referenced */
  uint64_t expected; /* else: checksum of the file's page */
  int zero;
} page_read;

/* Lock held. Finds where the version of the page is. */
static void find_version(dq_db *db, dq_reader *r, uint32_t page, uint64_t lsn, page_read *out) {
  dq_version *v = dq_store_find(out->gen, page, lsn);
  if (v && v->image) {
    dq_image_ref(v->image);
    out->image = v->image;
    return;
  }
  out->expected = page <= out->gen->sums_count ? out->gen->sums[page - 1] : 0;
  dq_gen_ref(out->gen);
  r->file_epoch = db->epoch;
  db->pages_read_file++;
}

/* Lock held. Finds what the reader sees of the page. */
static int locate(dq_db *db, dq_reader *r, uint32_t page, page_read *out) {
  uint32_t page_count = r->snap && !DQ_MUTANT(20) ? r->page_count : db->page_count_c;
  uint64_t lsn = r->snap && !DQ_MUTANT(21) ? r->lsn : db->c;
  *out = (page_read){.gen = r->snap && !DQ_MUTANT(73) ? r->gen : db->gen};
  if (db->poisoned) return DQ_POISONED;
  if (r->revoked && !DQ_MUTANT(77)) return r->revoked;
  if (page == dq_lock_page(db->page_size) || page > page_count) {
    out->zero = 1;
    return page > page_count ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
  }
  find_version(db, r, page, lsn, out);
  return SQLITE_OK;
}

/* No lock held, `page_read` holds the generation. */
static int read_file_page(dq_db *db, const page_read *at, uint32_t page, uint32_t offset, uint32_t amount, uint8_t *out) {
  uint32_t size = db->page_size;
  uint8_t *whole = amount == size ? out : dq_alloc(size);
  if (!whole) return SQLITE_IOERR_NOMEM;
  int64_t got = dq_file_read(at->gen->fd, whole, size, (int64_t)(page - 1) * size);
  int rc = SQLITE_OK;
  if (got < 0) rc = SQLITE_IOERR_READ;
  else if ((got < size || dq_page_checksum(page, whole, size) != at->expected) && !DQ_MUTANT(69)) rc = DQ_PAGE_ROT;
  if (whole != out) {
    if (rc == SQLITE_OK) memcpy(out, whole + offset, amount);
    dq_free(whole);
  }
  return rc;
}

/* No lock held. */
static int read_located(dq_db *db, dq_reader *r, page_read *at, uint32_t page, uint32_t offset, uint32_t amount, uint8_t *out) {
  if (at->image) {
    atomic_fetch_add_explicit(&db->pages_read_store, 1, memory_order_relaxed);
    int rc = dq_image_read(at->image, offset, amount, out);
    dq_image_unref(at->image);
    if (rc == DQ_PAGE_ROT) dq_report_rot(db, page);
    return rc;
  }
  int rc = read_file_page(db, at, page, offset, amount, out);
  dq_lock(db);
  r->file_epoch = 0;
  dq_gen_unref(db, at->gen);
  dq_unlock(db);
  if (rc == DQ_PAGE_ROT) dq_report_rot(db, page);
  return rc;
}

int dq_reader_page(dq_db *db, dq_reader *r, uint32_t page, uint32_t offset, uint32_t amount, uint8_t *out) {
  page_read at;
  dq_lock(db);
  int rc = locate(db, r, page, &at);
  dq_unlock(db);
  if (at.zero) memset(out, 0, amount);
  return at.zero || rc ? rc : read_located(db, r, &at, page, offset, amount, out);
}

int dq_page_at(dq_db *db, uint64_t lsn, uint32_t page, uint8_t *out) {
  dq_reader r = {0};
  page_read at = {0};
  dq_lock(db);
  int rc = db->poisoned ? DQ_POISONED : db->closed ? DQ_NOT_LEADER : SQLITE_OK;
  if (rc == SQLITE_OK) {
    at.gen = db->gen;
    dq_reader_link(db, &r);
    find_version(db, &r, page, lsn, &at);
  }
  dq_unlock(db);
  if (rc) return rc;
  rc = read_located(db, &r, &at, page, 0, db->page_size, out);
  dq_lock(db);
  dq_reader_unlink(db, &r);
  dq_unlock(db);
  return rc;
}

int dq_db_page(dq_db *db, uint32_t page_number, void *page) {
  dq_lock(db);
  uint64_t c = db->c;
  int beyond = page_number == 0 || page_number > db->page_count_c || page_number == dq_lock_page(db->page_size);
  dq_unlock(db);
  return beyond ? SQLITE_NOTFOUND : dq_page_at(db, c, page_number, page);
}

/* ---- snapshots for export and streams ----------------------------------------------------------------- */

struct dq_snapshot {
  dq_db *db;
  dq_reader reader;
};

int dq_snapshot_open(dq_db *db, dq_snapshot **out, uint64_t *lsn, uint32_t *page_count, uint64_t *checksum) {
  *out = NULL;
  dq_snapshot *s = dq_zalloc(sizeof *s);
  dq_snap *spare = dq_alloc(sizeof *spare);
  int rc = s && spare ? SQLITE_OK : SQLITE_NOMEM;
  if (rc == SQLITE_OK) {
    dq_lock(db);
    rc = db->poisoned ? DQ_POISONED : db->closed ? DQ_NOT_LEADER : SQLITE_OK;
    if (rc == SQLITE_OK) {
      s->db = db;
      dq_db_ref(db);
      dq_reader_link(db, &s->reader);
      dq_reader_begin(db, &s->reader, spare, DQ_MUTANT(88) ? db->d : db->c);
      spare = NULL;
      if (lsn) *lsn = db->c;
      if (page_count) *page_count = db->page_count_c;
      if (checksum) *checksum = db->checksum_c;
    }
    dq_unlock(db);
  }
  dq_free(spare);
  if (rc) dq_free(s);
  else *out = s;
  return rc;
}

/* One thread at a time per snapshot. */
int dq_snapshot_page(dq_snapshot *s, uint32_t page_number, void *page) {
  if (page_number == 0) return SQLITE_MISUSE;
  return dq_reader_page(s->db, &s->reader, page_number, 0, s->db->page_size, page);
}

void dq_snapshot_close(dq_snapshot *s) {
  if (!s) return;
  dq_db *db = s->db;
  dq_lock(db);
  dq_reader_end(db, &s->reader);
  dq_reader_unlink(db, &s->reader);
  dq_unlock(db);
  dq_free(s);
  dq_db_unref(db);
}
