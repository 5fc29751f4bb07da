/*
** dq_store.c - the page version store of one generation.
**
** page number -> chain of versions, newest first; below the oldest lies the
** file. A snapshot at LSN s sees the newest version <= s, else the file. All
** functions want the database's lock (the generation has no other user before
** it is published).
**
** A version leaves its chain as soon as nothing can ask for it:
**   lsn > c                      a draft: stays until commit or fence
**   newest at or below c         stays until the file holds it
**   superseded                   stays while a snapshot in [lsn, newer.lsn)
**                                lives; it is on that snapshot's list, so that
**                                a slow reader costs one version a page at most
*/
#include <stdlib.h>

#include "dq_internal.h"

/* ---- change sets ----------------------------------------------------------------- */

/* Takes over the caller's reference to `image`, also when it fails. */
int dq_changes_add(dq_changes *changes, uint32_t page, dq_image *image) {
  if (changes->count == changes->capacity) {
    uint32_t capacity = changes->capacity ? changes->capacity * 2 : 16;
    dq_change *items = dq_grow(changes->items, capacity * sizeof *items);
    if (!items) {
      dq_image_unref(image);
      return SQLITE_NOMEM;
    }
    changes->items = items;
    changes->capacity = capacity;
  }
  changes->items[changes->count++] = (dq_change){.page = page, .image = image};
  return SQLITE_OK;
}

/* By page, and within a page in the order of addition, which `version` carries
** while the sort runs (no version exists yet). */
static int compare_changes(const void *a, const void *b) {
  const dq_change *x = a, *y = b;
  if (x->page != y->page) return x->page < y->page ? -1 : 1;
  return (x->sum < y->sum) == !DQ_MUTANT(48) ? -1 : 1;
}

/* Sorts, keeps the last image of each page, drops pages above page_count. */
void dq_changes_sort(dq_changes *changes, uint32_t page_count) {
  dq_change *items = changes->items;
  uint32_t kept = 0;
  int sorted = 1;
  for (uint32_t i = 0; i < changes->count; i++) {
    items[i].sum = i;
    if (i && items[i].page <= items[i - 1].page) sorted = 0;
  }
  if (!sorted) qsort(items, changes->count, sizeof *items, compare_changes);
  for (uint32_t i = 0; i < changes->count; i++) {
    int last = i + 1 == changes->count || items[i + 1].page != items[i].page;
    if (last && (items[i].page <= page_count || DQ_MUTANT(49)))
      items[kept++] = items[i];
    else
      dq_image_unref(items[i].image);
  }
  changes->count = kept;
}

/* Checksums, and the memory that dq_store_insert will need, from a position on. */
int dq_changes_prepare(dq_changes *changes, uint32_t from) {
  for (uint32_t i = from; i < changes->count; i++) {
    dq_change *change = &changes->items[i];
    int rc = dq_image_sum(change->image, change->page, &change->sum);
    if (rc) return rc;
    if (!change->version && !(change->version = dq_zalloc(sizeof *change->version))) return SQLITE_NOMEM;
  }
  return SQLITE_OK;
}

void dq_changes_clear(dq_changes *changes) {
  for (uint32_t i = 0; i < changes->count; i++) {
    dq_image_unref(changes->items[i].image);
    dq_free(changes->items[i].version);
  }
  dq_free(changes->items);
  *changes = (dq_changes){0};
}

/* ---- chains ------------------------------------------------------------------------ */

static dq_chunk *chunk_of(const dq_gen *gen, uint32_t page) {
  uint32_t i = (page - 1) / DQ_CHUNK;
  return i < gen->chunk_count ? gen->chunks[i] : NULL;
}

static dq_version **head_slot(const dq_gen *gen, uint32_t page) {
  return &chunk_of(gen, page)->head[(page - 1) % DQ_CHUNK];
}

dq_version *dq_store_head(const dq_gen *gen, uint32_t page) {
  dq_chunk *chunk = chunk_of(gen, page);
  return chunk ? chunk->head[(page - 1) % DQ_CHUNK] : NULL;
}

dq_version *dq_store_find(const dq_gen *gen, uint32_t page, uint64_t lsn) {
  dq_version *v = dq_store_head(gen, page);
  while (v && v->lsn > lsn) v = v->older;
  return v;
}

uint64_t dq_store_newest_sum(const dq_gen *gen, uint32_t page) {
  dq_version *v = dq_store_head(gen, page);
  if (v) return v->sum;
  return page <= gen->sums_count ? gen->sums[page - 1] : 0;
}

/* Afterwards the change set can be inserted without allocating. */
int dq_store_reserve(dq_gen *gen, const dq_changes *changes) {
  if (changes->count == 0) return SQLITE_OK;
  uint32_t need = (changes->items[changes->count - 1].page - 1) / DQ_CHUNK + 1;
  if (need > gen->chunk_count) {
    uint32_t count = gen->chunk_count * 2 > need ? gen->chunk_count * 2 : need;
    dq_chunk **chunks = dq_grow(gen->chunks, count * sizeof *chunks);
    if (!chunks) return SQLITE_NOMEM;
    memset(chunks + gen->chunk_count, 0, (count - gen->chunk_count) * sizeof *chunks);
    gen->chunks = chunks;
    gen->chunk_count = count;
  }
  for (uint32_t i = 0; i < changes->count; i++) {
    dq_chunk **chunk = &gen->chunks[(changes->items[i].page - 1) / DQ_CHUNK];
    if (!*chunk && !(*chunk = dq_zalloc(sizeof **chunk))) return SQLITE_NOMEM;
  }
  return SQLITE_OK;
}

/* On top of the chain. The version of the change is used up, its image shared. */
void dq_store_insert(dq_gen *gen, dq_change *change, uint64_t lsn) {
  dq_version **head = head_slot(gen, change->page), *v = change->version;
  change->version = NULL;
  dq_image_ref(change->image);
  *v = (dq_version){.older = *head, .image = change->image, .lsn = lsn, .sum = change->sum, .page = change->page};
  if (*head) (*head)->newer = v;
  *head = v;
  gen->version_bytes += gen->page_size;
}

static void disown(dq_gen *gen, dq_version *v) {
  if (!v->owner) return;
  if (v->owned_prev) v->owned_prev->owned_next = v->owned_next;
  else v->owner->owned = v->owned_next;
  if (v->owned_next) v->owned_next->owned_prev = v->owned_prev;
  v->owner = NULL;
  v->owned_prev = v->owned_next = NULL;
  if (v->image) gen->reader_bytes -= gen->page_size;
}

static void own(dq_gen *gen, dq_version *v, dq_snap *snap) {
  v->owner = snap;
  v->owned_prev = NULL;
  v->owned_next = snap->owned;
  if (snap->owned) snap->owned->owned_prev = v;
  snap->owned = v;
  if (v->image) gen->reader_bytes += gen->page_size;
}

static void drop_image(dq_gen *gen, dq_version *v) {
  if (!v->image) return;
  dq_image_unref(v->image);
  v->image = NULL;
  gen->version_bytes -= gen->page_size;
}

void dq_store_remove(dq_gen *gen, dq_version *v) {
  dq_version *newer = v->newer, *older = v->older;
  disown(gen, v);
  drop_image(gen, v);
  if (newer) newer->older = older;
  else *head_slot(gen, v->page) = older;
  if (older) older->newer = newer;
  dq_free(v);
  if (newer && !older && !newer->image) dq_store_remove(gen, newer); /* a marker needs older versions */
}

/* A snapshot in [low, high), or NULL. */
static dq_snap *snap_in(const dq_gen *gen, uint64_t low, uint64_t high) {
  dq_snap *s = gen->newest;
  while (s && s->lsn >= high) s = s->prev;
  return s && s->lsn >= low ? s : NULL;
}

static uint64_t upper(const dq_version *v) { return v->newer ? v->newer->lsn : UINT64_MAX; }

/* c moved to a state where this page has a new version: what lies below it goes
** to the snapshots that need it, or goes. */
void dq_store_supersede(dq_gen *gen, uint32_t page, uint64_t c) {
  dq_version *v = dq_store_find(gen, page, c), *older;
  if (!v) return;
  dq_chunk *chunk = chunk_of(gen, page);
  if (v->image && !v->owner && !chunk->dirty[(page - 1) % DQ_CHUNK]) {
    chunk->dirty[(page - 1) % DQ_CHUNK] = 1;
    gen->dirty_pages++;
  }
  for (v = v->older; v && v->image && !v->owner; v = older) {
    older = v->older;
    dq_snap *snap = DQ_MUTANT(24) ? NULL : snap_in(gen, v->lsn, upper(v));
    if (snap) own(gen, v, snap);
    else dq_store_remove(gen, v);
  }
}

static void clean(dq_gen *gen, uint32_t page) {
  dq_chunk *chunk = chunk_of(gen, page);
  if (chunk->dirty[(page - 1) % DQ_CHUNK]) {
    chunk->dirty[(page - 1) % DQ_CHUNK] = 0;
    gen->dirty_pages--;
  }
}

/* A finished checkpoint put version `lsn` of the page into the file. */
void dq_store_filed(dq_gen *gen, uint32_t page, uint64_t lsn, uint64_t c) {
  dq_version *newest = dq_store_find(gen, page, c), *v = dq_store_find(gen, page, lsn);
  if (newest && (newest->lsn == lsn || DQ_MUTANT(66))) clean(gen, page);
  if (!v || v->lsn != lsn) return;
  disown(gen, v);
  drop_image(gen, v);
  if (!v->older || DQ_MUTANT(27)) dq_store_remove(gen, v);
}

/* The page is beyond the end of the database in the checkpointed state: its
** newest version <= lsn has no successor, and only old snapshots can ask. */
void dq_store_gone(dq_gen *gen, uint32_t page, uint64_t lsn, uint64_t c) {
  dq_version *newest = dq_store_find(gen, page, c), *v = dq_store_find(gen, page, lsn);
  if (!v || v != newest || v->owner || !v->image) return;
  clean(gen, page);
  dq_snap *snap = gen->newest;
  while (snap && snap->lsn >= v->lsn && snap->page_count < page) snap = snap->prev;
  if (snap && snap->lsn >= v->lsn && !DQ_MUTANT(68)) own(gen, v, snap);
  else dq_store_remove(gen, v);
}

/* ---- before-images: what the file holds, kept for snapshots that still read it ------ */

static dq_version *marker_of(const dq_gen *gen, uint32_t page) {
  dq_version *v = dq_store_head(gen, page);
  while (v && v->image) v = v->older;
  return v;
}

static dq_snap *snap_reading_file(const dq_gen *gen, uint32_t page) {
  dq_version *v = marker_of(gen, page);
  if (v) return snap_in(gen, v->lsn, upper(v));
  v = dq_store_head(gen, page);
  while (v && v->older) v = v->older;
  dq_snap *snap = snap_in(gen, 0, v ? v->lsn : UINT64_MAX);
  while (snap && snap->page_count < page) snap = snap->prev;
  return snap;
}

int dq_store_needs_before_image(const dq_gen *gen, uint32_t page) { return snap_reading_file(gen, page) != NULL; }

/* `spare` has image and sum; it is used up. LSN 0: older than every snapshot. */
void dq_store_before_image(dq_gen *gen, uint32_t page, dq_version *spare) {
  dq_snap *snap = snap_reading_file(gen, page);
  dq_version *v = marker_of(gen, page);
  if (!snap) {
    dq_image_unref(spare->image);
    dq_free(spare);
    return;
  }
  gen->version_bytes += gen->page_size;
  if (v) {
    v->image = spare->image;
    dq_free(spare);
    own(gen, v, snap);
    return;
  }
  v = dq_store_head(gen, page);
  while (v && v->older) v = v->older;
  spare->page = page;
  spare->newer = v;
  if (v) v->older = spare;
  else *head_slot(gen, page) = spare;
  own(gen, spare, snap);
}

/* The file is about to hold something newer than the marker says. */
void dq_store_drop_marker(dq_gen *gen, uint32_t page) {
  dq_version *v = marker_of(gen, page);
  if (v) dq_store_remove(gen, v);
}

/* ---- snapshots ----------------------------------------------------------------------- */

/* Consumes `spare`: it becomes the snapshot, or is freed. */
dq_snap *dq_snap_acquire(dq_gen *gen, dq_snap *spare, uint64_t lsn, uint32_t page_count, uint64_t checksum) {
  dq_snap *after = gen->newest;
  while (after && after->lsn > lsn) after = after->prev;
  if (after && after->lsn == lsn) {
    dq_free(spare);
    after->refs++;
    return after;
  }
  *spare = (dq_snap){.lsn = lsn, .page_count = page_count, .checksum = checksum, .refs = 1};
  spare->prev = after;
  spare->next = after ? after->next : gen->oldest;
  if (spare->prev) spare->prev->next = spare;
  else gen->oldest = spare;
  if (spare->next) spare->next->prev = spare;
  else gen->newest = spare;
  return spare;
}

/* A version that this snapshot kept goes to a neighbour that sees it too, or
** goes: the ranges are intervals, so that only the neighbours can. */
static void pass_on(dq_gen *gen, dq_snap *snap, dq_version *v) {
  dq_snap *heir = NULL;
  if (snap->prev && snap->prev->lsn >= v->lsn) heir = snap->prev;
  else if (snap->next && snap->next->lsn < upper(v)) heir = snap->next;
  if (heir && v->newer == NULL && heir->page_count < v->page) heir = NULL;
  if (DQ_MUTANT(25)) heir = NULL;
  disown(gen, v);
  if (heir) own(gen, v, heir);
  else dq_store_remove(gen, v);
}

void dq_snap_release(dq_gen *gen, dq_snap *snap) {
  if (--snap->refs) return;
  if (snap->prev) snap->prev->next = snap->next;
  else gen->oldest = snap->next;
  if (snap->next) snap->next->prev = snap->prev;
  else gen->newest = snap->prev;
  while (snap->owned) pass_on(gen, snap, snap->owned);
  dq_free(snap);
}

/* ---- generations ---------------------------------------------------------------------- */

int dq_gen_sums_reserve(dq_gen *gen, uint32_t pages) {
  if (pages <= gen->sums_count) return SQLITE_OK;
  uint64_t count = (uint64_t)gen->sums_count * 2 > pages ? (uint64_t)gen->sums_count * 2 : pages;
  if (count > UINT32_MAX) count = UINT32_MAX;
  uint64_t *sums = dq_grow(gen->sums, count * sizeof *sums);
  if (!sums) return SQLITE_NOMEM;
  memset(sums + gen->sums_count, 0, (count - gen->sums_count) * sizeof *sums);
  gen->sums = sums;
  gen->sums_count = (uint32_t)count;
  return SQLITE_OK;
}

uint64_t dq_gen_file_checksum(const dq_gen *gen, uint32_t page_count) {
  uint64_t sum = 0;
  for (uint32_t page = 1; page <= page_count; page++)
    if (page != dq_lock_page(gen->page_size)) sum ^= gen->sums[page - 1];
  return sum;
}

static int load_sums(dq_gen *gen, uint32_t page_count) {
  uint8_t header[DQ_SUMS_HEADER];
  dq_stat st;
  if (dq_file_read(gen->sums_fd, header, sizeof header, 0) != sizeof header) return SQLITE_CORRUPT;
  if (dq_sums_check(header, gen->page_size) != SQLITE_OK) return SQLITE_CORRUPT;
  if (dq_file_stat(gen->sums_fd, &st) < 0) return SQLITE_IOERR_FSTAT;
  int64_t stored = (st.size - DQ_SUMS_HEADER) / 8;
  if (stored < page_count) return SQLITE_CORRUPT;
  if (stored > gen->file_pages) stored = gen->file_pages;
  int rc = dq_gen_sums_reserve(gen, (uint32_t)stored > page_count ? (uint32_t)stored : page_count);
  if (rc) return rc;
  int64_t got = dq_file_read(gen->sums_fd, gen->sums, stored * 8, DQ_SUMS_HEADER);
  return got == stored * 8 ? SQLITE_OK : SQLITE_IOERR_READ;
}

static int load(dq_gen *gen, uint32_t page_count) {
  dq_stat st;
  uint8_t head[100];
  if (dq_file_stat(gen->fd, &st) < 0) return SQLITE_IOERR_FSTAT;
  int64_t pages = st.size / gen->page_size;
  if (pages > UINT32_MAX - 1) return SQLITE_CORRUPT;
  gen->file_pages = (uint32_t)pages;
  int64_t got = dq_file_read(gen->fd, head, sizeof head, 0);
  if (got < 0) return SQLITE_IOERR_READ;
  if (got != sizeof head || dq_page1_page_size(head) != gen->page_size) return SQLITE_NOTADB;
  if (gen->file_pages < page_count) return SQLITE_CORRUPT;
  return load_sums(gen, page_count);
}

int dq_gen_open(const char *path, const char *sums_path, uint32_t page_size, uint32_t page_count, dq_gen **out) {
  dq_gen *gen = dq_zalloc(sizeof *gen);
  if (!gen) return SQLITE_NOMEM;
  int rc = SQLITE_CANTOPEN;
  gen->refs = 1;
  gen->page_size = page_size;
  gen->sums_fd = -1;
  gen->fd = dq_file_open(path, DQ_OPEN_READ | DQ_OPEN_WRITE, 0);
  if (gen->fd >= 0) gen->sums_fd = dq_file_open(sums_path, DQ_OPEN_READ | DQ_OPEN_WRITE, 0);
  if (gen->sums_fd >= 0) rc = load(gen, page_count);
  if (rc) {
    dq_gen_free(gen);
    return rc;
  }
  *out = gen;
  return SQLITE_OK;
}

void dq_gen_free(dq_gen *gen) {
  for (uint32_t i = 0; i < gen->chunk_count; i++) {
    if (!gen->chunks[i]) continue;
    for (int k = 0; k < DQ_CHUNK; k++)
      for (dq_version *v = gen->chunks[i]->head[k], *older; v; v = older) {
        older = v->older;
        dq_image_unref(v->image);
        dq_free(v);
      }
    dq_free(gen->chunks[i]);
  }
  dq_free(gen->chunks);
  dq_free(gen->sums);
  if (gen->fd >= 0) dq_file_close(gen->fd);
  if (gen->sums_fd >= 0) dq_file_close(gen->sums_fd);
  dq_free(gen);
}
