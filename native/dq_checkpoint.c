/*
** dq_checkpoint.c - writing versions into the file. It never waits for a
** reader's transaction, only for page reads that are under way:
**
**   1. pin `lsn`, collect the pages whose newest version <= lsn is not filed
**   2. before-images: what old snapshots still read from the file is copied
**      into the store
**   3. grace period: file reads that began before step 2 end
**   4. write pages and sums, flush
**   5. (done) the versions are in the file: their images go
**
** A failure leaves the versions where they are: reads stay right.
*/
#include <stdlib.h>

#include "dq_internal.h"

#define RUN_BYTES (256 * 1024)
#define PACED_PAGES 32   /* random writes that are on their way to the disk together: the log's flushes wait behind them */
#define LOCKED_PAGES 512 /* pages looked at in one critical section */

void dq_checkpoint_forget(dq_db *db) {
  for (uint32_t i = 0; i < db->ckpt_count; i++) dq_image_unref(db->ckpt[i].image);
  dq_free(db->ckpt);
  db->ckpt = NULL;
  db->ckpt_count = 0;
}

/* ---- step 1 ---------------------------------------------------------------------------- */

static int add_page(dq_db *db, uint32_t page, uint64_t lsn, uint32_t *capacity) {
  dq_version *v = dq_store_find(db->gen, page, DQ_MUTANT(59) ? UINT64_MAX : lsn);
  if (!v || !v->image) return SQLITE_OK;
  if (db->ckpt_count == *capacity) {
    uint32_t grown = *capacity ? *capacity * 2 : 256;
    dq_checkpointed *list = dq_grow(db->ckpt, grown * sizeof *list);
    if (!list) return SQLITE_NOMEM;
    db->ckpt = list;
    *capacity = grown;
  }
  dq_image_ref(v->image);
  db->ckpt[db->ckpt_count++] = (dq_checkpointed){.page = page, .lsn = v->lsn, .sum = v->sum, .image = v->image};
  return SQLITE_OK;
}

/* The snapshot pinned at lsn keeps every version that belongs to it, so the
** lock may be dropped in between. */
static int collect(dq_db *db, uint64_t lsn) {
  uint32_t capacity = 0;
  int rc = SQLITE_OK;
  dq_lock(db);
  for (uint32_t i = 0; i < db->ckpt_gen->chunk_count && rc == SQLITE_OK; i++) {
    dq_chunk *chunk = db->ckpt_gen->chunks[i];
    for (uint32_t k = 0; chunk && k < DQ_CHUNK && rc == SQLITE_OK; k++)
      if (chunk->dirty[k]) rc = add_page(db, i * DQ_CHUNK + k + 1, lsn, &capacity);
    if (i % 16 == 15) {
      dq_unlock(db);
      dq_lock(db);
    }
  }
  dq_unlock(db);
  return rc;
}

/* ---- step 2 ------------------------------------------------------------------------------ */

static int read_before_image(dq_db *db, uint32_t page, dq_version **out) {
  dq_gen *gen = db->ckpt_gen;
  dq_version *v = dq_zalloc(sizeof *v);
  uint8_t *data = dq_alloc(gen->page_size);
  int rc = v && data ? SQLITE_OK : SQLITE_NOMEM;
  if (rc == SQLITE_OK) {
    int64_t got = dq_file_read(gen->fd, data, gen->page_size, (int64_t)(page - 1) * gen->page_size);
    v->sum = dq_page_checksum(page, data, gen->page_size);
    if (got < 0) rc = SQLITE_IOERR_READ;
    else if ((got != gen->page_size || v->sum != gen->sums[page - 1]) && !DQ_MUTANT(67)) rc = DQ_PAGE_ROT;
    if (rc == SQLITE_OK) rc = dq_image_keep(&db->spill, page, data, UINT64_MAX, &v->image); /* of no transaction: as of a large one */
  }
  dq_free(data);
  if (rc) {
    dq_free(v);
    return rc;
  }
  *out = v;
  return SQLITE_OK;
}

static int keep_before_image(dq_db *db, uint32_t page) {
  dq_gen *gen = db->ckpt_gen;
  dq_version *v = NULL;
  dq_lock(db);
  int needed = page <= gen->file_pages && page <= gen->sums_count && dq_store_needs_before_image(gen, page) && !DQ_MUTANT(61);
  dq_unlock(db);
  if (needed) {
    int rc = read_before_image(db, page, &v);
    if (rc == DQ_PAGE_ROT) dq_report_rot(db, page);
    if (rc) return rc;
  }
  dq_lock(db);
  if (v) dq_store_before_image(gen, page, v);
  else dq_store_drop_marker(gen, page);
  dq_unlock(db);
  return SQLITE_OK;
}

/* ---- step 3 -------------------------------------------------------------------------------- */

static void grace_period(dq_db *db) {
  dq_lock(db);
  uint64_t epoch = ++db->epoch;
  for (;;) {
    dq_reader *r = db->readers;
    while (r && (r->file_epoch == 0 || r->file_epoch >= epoch)) r = r->next;
    if (!r) break;
    dq_unlock(db);
    dq_sys.yield(dq_sys.ctx);
    dq_lock(db);
  }
  dq_unlock(db);
}

/* ---- step 4 -------------------------------------------------------------------------------- */

static int write_pages(dq_db *db, uint8_t *run, uint32_t pages, uint32_t filed_from) {
  uint32_t size = db->page_size, max = RUN_BYTES / size, unpaced = 0;
  while (filed_from && pages && db->ckpt[pages - 1].page >= filed_from) pages--;
  for (uint32_t i = 0, n; i < pages; i += n) {
    for (n = 0; i + n < pages && n < max && db->ckpt[i + n].page == db->ckpt[i].page + n; n++) {
      int rc = dq_image_read(db->ckpt[i + n].image, 0, size, run + (size_t)n * size);
      if (rc == DQ_PAGE_ROT) dq_report_rot(db, db->ckpt[i + n].page);
      if (rc) return rc;
    }
    if (dq_file_write(db->ckpt_gen->fd, run, (int64_t)n * size, (int64_t)(db->ckpt[i].page - 1) * size) < 0) return SQLITE_IOERR_WRITE;
    if ((unpaced += n) >= PACED_PAGES) {
      dq_file_pace(db->ckpt_gen->fd);
      unpaced = 0;
    }
  }
  return SQLITE_OK;
}

/* Runs of checksums with small gaps, which are filled with what is there. */
static int write_sums(dq_db *db, uint8_t *run, uint32_t pages) {
  const uint32_t gap = 64, max = RUN_BYTES / 8;
  for (uint32_t i = 0, n; i < pages; i += n) {
    uint32_t first = db->ckpt[i].page, last = first;
    for (n = 1; i + n < pages && db->ckpt[i + n].page - last <= gap && db->ckpt[i + n].page - first < max; n++) last = db->ckpt[i + n].page;
    memcpy(run, &db->ckpt_gen->sums[first - 1], (size_t)(last - first + 1) * 8);
    for (uint32_t k = i; k < i + n; k++) memcpy(run + (size_t)(db->ckpt[k].page - first) * 8, &db->ckpt[k].sum, 8);
    if (dq_file_write(db->ckpt_gen->sums_fd, run, (int64_t)(last - first + 1) * 8, dq_sums_offset(first)) < 0) return SQLITE_IOERR_WRITE;
  }
  return SQLITE_OK;
}

/* The tail is cut only when no snapshot reads it; else a later checkpoint does
** it (SQLite goes by the page count in page 1, not by the length). */
static int truncate_file(dq_db *db, uint32_t page_count) {
  dq_gen *gen = db->ckpt_gen;
  dq_lock(db);
  int needed = 0;
  for (dq_snap *s = gen->oldest; s; s = s->next)
    if (s->page_count > page_count && !DQ_MUTANT(65)) needed = 1;
  int cut = !needed && gen->file_pages > page_count;
  if (cut) gen->file_pages = page_count;
  dq_unlock(db);
  if (cut && dq_file_truncate(gen->fd, (int64_t)page_count * gen->page_size) < 0) return SQLITE_IOERR_TRUNCATE;
  return SQLITE_OK;
}

static int write_all(dq_db *db, uint32_t page_count, uint32_t filed_from) {
  uint32_t pages = db->ckpt_count;
  dq_gen *gen = db->ckpt_gen;
  while (pages && db->ckpt[pages - 1].page > page_count) pages--;
  uint8_t *run = dq_alloc(RUN_BYTES);
  if (!run) return SQLITE_NOMEM;
  int rc = write_pages(db, run, pages, filed_from);
  if (rc == SQLITE_OK) rc = write_sums(db, run, pages);
  dq_free(run);
  if (rc == SQLITE_OK) rc = truncate_file(db, page_count);
  if (rc == SQLITE_OK && ((!DQ_MUTANT(63) && dq_file_sync(gen->fd) < 0) || (!DQ_MUTANT(64) && dq_file_datasync(gen->sums_fd) < 0))) rc = SQLITE_IOERR_FSYNC;
  return rc;
}

/* ---- entry points --------------------------------------------------------------------------- */

/* `lsn` is c, or held by an open snapshot: otherwise versions that belong to it
** may be gone already. */
static int begin(dq_db *db, uint64_t lsn, dq_reader *pin, dq_snap *spare) {
  dq_snap *held = db->gen->newest;
  while (held && held->lsn > lsn) held = held->prev;
  if (held && held->lsn != lsn) held = NULL;
  int rc = SQLITE_OK;
  if (db->poisoned) rc = DQ_POISONED;
  else if (db->closed) rc = DQ_NOT_LEADER;
  else if (db->checkpointing || lsn > db->c || lsn < db->checkpoint_lsn) rc = SQLITE_MISUSE;
  else if (lsn != db->c && !held && !DQ_MUTANT(60)) rc = SQLITE_BUSY;
  if (rc == SQLITE_OK) rc = dq_gen_sums_reserve(db->gen, held ? held->page_count : db->page_count_c);
  if (rc) {
    dq_free(spare);
    return rc;
  }
  db->checkpointing = 1;
  dq_checkpoint_forget(db);
  db->ckpt_gen = db->gen;
  db->ckpt_lsn = 0;
  dq_gen_ref(db->gen);
  if (held) {
    dq_free(spare);
    held->refs++;
    dq_gen_ref(db->gen);
    *pin = (dq_reader){.gen = db->gen, .snap = held, .lsn = lsn, .page_count = held->page_count};
  } else {
    dq_reader_begin(db, pin, spare, lsn);
  }
  return SQLITE_OK;
}

int dq_db_checkpoint(dq_db *db, uint64_t lsn, uint32_t filed_from, uint32_t *page_count, uint64_t *checksum) {
  dq_reader pin = {0};
  dq_snap *spare = dq_alloc(sizeof *spare);
  if (!spare) return SQLITE_NOMEM;
  dq_lock(db);
  int rc = begin(db, lsn, &pin, spare);
  uint32_t count = rc ? 0 : pin.snap->page_count;
  uint64_t sum = rc ? 0 : pin.snap->checksum;
  dq_unlock(db);
  if (rc) return rc;
  rc = collect(db, lsn);
  for (uint32_t i = 0; i < db->ckpt_count && rc == SQLITE_OK && db->ckpt[i].page <= count; i++) rc = keep_before_image(db, db->ckpt[i].page);
  if (rc == SQLITE_OK) {
    if (!DQ_MUTANT(62)) grace_period(db);
    rc = write_all(db, count, filed_from);
  }
  dq_lock(db);
  dq_reader_end(db, &pin);
  for (uint32_t i = 0; i < db->ckpt_count; i++) {
    dq_image_unref(db->ckpt[i].image);
    db->ckpt[i].image = NULL;
  }
  if (rc == SQLITE_OK) {
    db->ckpt_lsn = lsn;
    db->ckpt_page_count = count;
    if (page_count) *page_count = count;
    if (checksum) *checksum = sum;
  } else {
    dq_checkpoint_forget(db);
  }
  dq_gen_unref(db, db->ckpt_gen);
  db->checkpointing = 0;
  dq_bound_readers(db);
  dq_unlock(db);
  return rc;
}

int dq_db_checkpoint_pages(dq_db *db, uint64_t lsn, uint32_t *pages, uint32_t capacity, uint32_t *count) {
  uint32_t found = 0;
  dq_lock(db);
  int rc = db->poisoned ? DQ_POISONED : db->closed ? DQ_NOT_LEADER : SQLITE_OK;
  for (uint32_t i = 0; i < db->gen->chunk_count && rc == SQLITE_OK; i++) {
    dq_chunk *chunk = db->gen->chunks[i];
    for (uint32_t k = 0; chunk && k < DQ_CHUNK; k++) {
      uint32_t page = i * DQ_CHUNK + k + 1;
      dq_version *v = chunk->dirty[k] ? dq_store_find(db->gen, page, lsn) : NULL;
      if (!v || !v->image) continue;
      if (found < capacity) pages[found] = page;
      found++;
    }
  }
  dq_unlock(db);
  *count = found;
  return rc;
}

/* The pages are in the file for good. */
int dq_db_checkpoint_done(dq_db *db, uint64_t lsn) {
  dq_lock(db);
  int rc = SQLITE_OK;
  if (db->poisoned) rc = DQ_POISONED;
  else if (db->checkpointing || lsn == 0 || db->ckpt_lsn != lsn || db->ckpt_gen != db->gen) rc = SQLITE_MISUSE;
  for (uint32_t i = 0; i < db->ckpt_count && rc == SQLITE_OK; i++) {
    dq_checkpointed *at = &db->ckpt[i];
    if (at->page > db->ckpt_page_count) {
      dq_store_gone(db->gen, at->page, lsn, db->c);
    } else {
      db->gen->sums[at->page - 1] = at->sum;
      if (at->page > db->gen->file_pages) db->gen->file_pages = at->page;
      dq_store_filed(db->gen, at->page, at->lsn, db->c);
    }
    if (i % LOCKED_PAGES == LOCKED_PAGES - 1) {
      dq_unlock(db);
      dq_lock(db);
    }
  }
  if (rc == SQLITE_OK) {
    db->checkpoint_lsn = lsn;
    db->checkpoint_page_count = db->ckpt_page_count;
    db->ckpt_lsn = 0;
    dq_checkpoint_forget(db);
  }
  dq_unlock(db);
  dq_spill_trim(&db->spill);
  return rc;
}
