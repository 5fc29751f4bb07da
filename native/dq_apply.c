/*
** dq_apply.c - what Raft has committed: drafts of this node, entries of another
** one, and entries that come in parts.
**
**   part ──dq_stage_add──> stage ──dq_stage_apply──> c
**                            └──dq_stage_free──> nothing has happened
*/
#include "dq_internal.h"

/* ---- drafts of this node --------------------------------------------------------------- */

static void moved(dq_db *db) {
  dq_decide_commit_waiters(db);
  if (db->moved_waiters) dq_sys.wake_all(dq_sys.ctx, &db->moved);
  dq_bound_readers(db);
  if (!DQ_MUTANT(58)) dq_slot_pump(db);
}

int dq_db_commit(dq_db *db, uint64_t lsn) {
  dq_draft *done = NULL, *draft;
  int rc = SQLITE_OK;
  dq_lock(db);
  dq_draft *last = db->drafts_first;
  while (last && last->lsn < lsn) last = last->next;
  if (db->poisoned) rc = DQ_POISONED;
  else if (db->closed) rc = DQ_NOT_LEADER;
  else if (lsn > db->c && (!last || last->lsn != lsn || (db->unpolled && db->unpolled->lsn <= lsn))) rc = SQLITE_MISUSE;
  if (rc == SQLITE_OK && lsn > db->c) {
    db->c = lsn;
    db->page_count_c = last->page_count;
    db->checksum_c = last->checksum;
    db->cookie_c = last->cookie;
    db->commits++;
    done = db->drafts_first;
    db->drafts_first = last->next;
    if (last->next) last->next->prev = NULL;
    else db->drafts_last = NULL;
    last->next = NULL;
    for (draft = done; draft; draft = draft->next) {
      db->undecided_bytes -= draft->bytes;
      for (uint32_t i = 0; i < draft->changes.count; i++) dq_store_supersede(db->gen, draft->changes.items[i].page, lsn);
    }
    moved(db);
  }
  dq_unlock(db);
  while ((draft = done)) {
    done = draft->next;
    dq_draft_free(draft);
  }
  return rc;
}

/* ---- entries of another node ------------------------------------------------------------ */

static int copy_pages(dq_spill *spill, dq_changes *changes, uint32_t pages, const uint32_t *numbers, const uint8_t *images, uint32_t page_count) {
  uint32_t page_size = spill->page_size;
  int rc = SQLITE_OK;
  for (uint32_t i = 0; i < pages && rc == SQLITE_OK; i++) {
    if (numbers[i] == 0 || numbers[i] == dq_lock_page(page_size)) return SQLITE_MISUSE;
    if (numbers[i] > page_count) continue;
    dq_image *image;
    rc = dq_image_keep(spill, numbers[i], images + (size_t)i * page_size, (uint64_t)pages * page_size, &image);
    if (rc == SQLITE_OK) rc = dq_changes_add(changes, numbers[i], image);
  }
  if (rc) return rc;
  dq_changes_sort(changes, page_count);
  return dq_changes_prepare(changes, 0);
}

/* An entry carries every page that it adds: so what it makes us reserve is
** bounded by its own size. */
static int carries_new_pages(const dq_db *db, const dq_changes *changes, uint32_t page_count) {
  uint32_t old_count = db->page_count_d, lock_page = dq_lock_page(db->page_size), carried = 0;
  if (page_count <= old_count) return 1;
  for (uint32_t i = 0; i < changes->count; i++) carried += changes->items[i].page > old_count;
  return carried == page_count - old_count - (lock_page > old_count && lock_page <= page_count);
}

/* Lock held; the change set is ready. */
static int apply(dq_db *db, dq_changes *changes, uint32_t page_count, uint64_t checksum, uint64_t *lsn) {
  if (db->poisoned) return DQ_POISONED;
  if (db->closed) return DQ_NOT_LEADER;
  if (db->term || db->c != db->d) return SQLITE_MISUSE;
  if (!carries_new_pages(db, changes, page_count) && !DQ_MUTANT(85)) return SQLITE_CORRUPT;
  uint64_t sum = dq_changes_checksum(db, changes, page_count);
  if (checksum && sum != checksum && !DQ_MUTANT(13)) return SQLITE_CORRUPT;
  int rc = dq_store_reserve(db->gen, changes);
  if (rc) return rc;
  db->c = dq_advance(db, changes, page_count, sum);
  db->page_count_c = page_count;
  db->checksum_c = sum;
  db->cookie_c = db->cookie_d;
  db->commits++;
  for (uint32_t i = 0; i < changes->count; i++) dq_store_supersede(db->gen, changes->items[i].page, db->c);
  moved(db);
  if (lsn) *lsn = db->c;
  return SQLITE_OK;
}

int dq_db_apply(dq_db *db, uint32_t pages, const uint32_t *page_numbers, const void *images, uint32_t page_count, uint64_t checksum, uint64_t *lsn) {
  dq_changes changes = {0};
  if (page_count == 0) return SQLITE_MISUSE;
  int rc = copy_pages(&db->spill, &changes, pages, page_numbers, images, page_count);
  if (rc == SQLITE_OK) {
    dq_lock(db);
    rc = apply(db, &changes, page_count, checksum, lsn);
    dq_unlock(db);
  }
  dq_changes_clear(&changes);
  return rc;
}

/* ---- entries in parts --------------------------------------------------------------------- */

struct dq_stage {
  dq_db *db;
  dq_changes changes; /* ascending, prepared */
};

int dq_stage_open(dq_db *db, dq_stage **out) {
  dq_stage *stage = dq_zalloc(sizeof *stage);
  *out = stage;
  if (!stage) return SQLITE_NOMEM;
  stage->db = db;
  dq_db_ref(db);
  return SQLITE_OK;
}

static void drop_from(dq_changes *changes, uint32_t count) {
  while (changes->count > count) {
    dq_change *last = &changes->items[--changes->count];
    dq_image_unref(last->image);
    dq_free(last->version);
  }
}

/* Takes over the image. The order makes the whole sorted. */
static int stage_image(dq_stage *stage, uint32_t page, dq_image *image) {
  dq_changes *changes = &stage->changes;
  if (changes->count && changes->items[changes->count - 1].page >= page) {
    dq_image_unref(image);
    return SQLITE_CORRUPT;
  }
  return dq_changes_add(changes, page, image);
}

int dq_stage_add(dq_stage *stage, uint32_t pages, const uint32_t *page_numbers, const void *images) {
  dq_changes *changes = &stage->changes;
  uint32_t size = stage->db->page_size, before = changes->count;
  int rc = SQLITE_OK;
  for (uint32_t i = 0; i < pages && rc == SQLITE_OK; i++) {
    dq_image *image;
    if (page_numbers[i] == 0 || page_numbers[i] == dq_lock_page(size)) rc = SQLITE_MISUSE;
    else rc = dq_image_keep(&stage->db->spill, page_numbers[i], (const uint8_t *)images + (size_t)i * size, (changes->count + 1ull) * size, &image);
    if (rc == SQLITE_OK) rc = stage_image(stage, page_numbers[i], image);
  }
  if (rc == SQLITE_OK) rc = dq_changes_prepare(changes, before);
  if (rc) drop_from(changes, before);
  return rc;
}

int dq_stage_add_batch(dq_stage *stage, const dq_batch *batch, uint32_t first, uint32_t n) {
  uint32_t before = stage->changes.count;
  int rc = first + (uint64_t)n <= batch->pages ? SQLITE_OK : SQLITE_MISUSE;
  for (uint32_t i = first; rc == SQLITE_OK && i < first + n; i++) {
    dq_image *image = dq_batch_image(batch, i);
    dq_image_ref(image);
    rc = stage_image(stage, batch->page_numbers[i], image);
  }
  if (rc == SQLITE_OK) rc = dq_changes_prepare(&stage->changes, before);
  if (rc) drop_from(&stage->changes, before);
  return rc;
}

int dq_stage_apply(dq_stage *stage, uint32_t page_count, uint64_t checksum, uint64_t *lsn) {
  dq_changes *changes = &stage->changes;
  dq_db *db = stage->db;
  if (page_count == 0) return SQLITE_MISUSE;
  if (changes->count && changes->items[changes->count - 1].page > page_count) return SQLITE_CORRUPT;
  dq_lock(db);
  int rc = apply(db, changes, page_count, checksum, lsn);
  dq_unlock(db);
  if (rc == SQLITE_OK) dq_changes_clear(changes);
  return rc;
}

void dq_stage_free(dq_stage *stage) {
  if (!stage) return;
  dq_changes_clear(&stage->changes);
  dq_db_unref(stage->db);
  dq_free(stage);
}
