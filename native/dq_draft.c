/*
** dq_draft.c - from a transaction's pages to a draft, and what becomes of it:
**
**   commit point ──> draft (d+1, queued) ──poll──> proposed ──commit──> c
**                         └──────────fence───────────┘ dropped
*/
#include "dq_internal.h"

/* The database checksum after the change set: XOR of the page checksums. The
** lock page counts as absent (it never has a checksum: 0). */
uint64_t dq_changes_checksum(const dq_db *db, const dq_changes *changes, uint32_t page_count) {
  uint64_t sum = db->checksum_d;
  for (uint32_t page = page_count + 1; page <= db->page_count_d && !DQ_MUTANT(54); page++) sum ^= dq_store_newest_sum(db->gen, page);
  for (uint32_t i = 0; i < changes->count; i++) {
    const dq_change *change = &changes->items[i];
    if (change->page <= db->page_count_d) sum ^= dq_store_newest_sum(db->gen, change->page);
    sum ^= change->sum;
  }
  return sum;
}

/* Inserts a prepared change set as state d+1. Cannot fail. */
uint64_t dq_advance(dq_db *db, dq_changes *changes, uint32_t page_count, uint64_t checksum) {
  uint64_t lsn = ++db->last_lsn;
  for (uint32_t i = 0; i < changes->count; i++) {
    if (changes->items[i].page == 1) db->cookie_d = dq_get4(changes->items[i].image->data + 40);
    dq_store_insert(db->gen, &changes->items[i], lsn);
    if (DQ_MUTANT(26)) dq_store_supersede(db->gen, changes->items[i].page, lsn);
  }
  db->d = lsn;
  db->page_count_d = page_count;
  db->checksum_d = checksum;
  return lsn;
}

void dq_draft_free(dq_draft *draft) {
  dq_changes_clear(&draft->changes);
  dq_free(draft);
}

/* ---- the commit point --------------------------------------------------------------- */

static void queue_draft(dq_db *db, dq_draft *draft) {
  draft->prev = db->drafts_last;
  if (draft->prev) draft->prev->next = draft;
  else db->drafts_first = draft;
  db->drafts_last = draft;
  if (!db->unpolled) {
    db->unpolled = draft;
    db->draft_event = 1;
  }
  db->queued++;
  db->drafts++;
  db->undecided_bytes += draft->bytes;
}

/* Lock held; why this handle may not draft now, or 0. */
static int refuse(dq_handle *h) {
  dq_db *db = h->db;
  int rc = dq_handle_usable(h);
  if (rc) return rc;
  if (!db->term) return DQ_NOT_LEADER;
  if (DQ_MUTANT(52)) return SQLITE_OK;
  if (!dq_handle_holds_slot(h)) return h->slot_rc ? h->slot_rc : DQ_SLOT_REVOKED;
  if (!h->in_write || !h->reader.snap || (h->reader.lsn != db->d && !DQ_MUTANT(29))) return dq_poison(db);
  return SQLITE_OK;
}

/* Waits for Raft with the slot already free. The draft's fate is unknown after
** a timeout, and after a close or a poisoning once it was polled. */
static int wait_for_raft(dq_handle *h, dq_commit_waiter *w) {
  dq_db *db = h->db;
  int64_t deadline = dq_add_ns(dq_now_ns(), db->config.commit_timeout_ns);
  while (!w->decided) {
    if (dq_now_ns() >= deadline) {
      w->rc = DQ_MUTANT(41) ? DQ_NOT_LEADER : DQ_OUTCOME_UNKNOWN;
      break;
    }
    dq_sys.wait(dq_sys.ctx, &w->cond, &db->lock, deadline);
  }
  if (w->prev) w->prev->next = w->next;
  else db->commit_waiters = w->next;
  if (w->next) w->next->prev = w->prev;
  return w->rc;
}

static void start_waiting(dq_db *db, dq_commit_waiter *w) {
  dq_cond_init(&w->cond);
  w->next = db->commit_waiters;
  if (w->next) w->next->prev = w;
  db->commit_waiters = w;
}

/* Lock held. Everything is allocated: from here on nothing fails. */
static void draft(dq_handle *h, dq_draft *draft, dq_snap *spare) {
  dq_db *db = h->db;
  uint32_t cookie = db->cookie_d;
  draft->checksum = dq_changes_checksum(db, &draft->changes, draft->page_count);
  draft->lsn = dq_advance(db, &draft->changes, draft->page_count, draft->checksum);
  draft->term = db->term;
  draft->cookie = db->cookie_d;
  draft->cookie_changed = cookie != db->cookie_d && !DQ_MUTANT(89);
  if (draft->cookie_changed) db->cookie_lsn = draft->lsn;
  queue_draft(db, draft);
  h->drafted = 1;
  h->draft_lsn = h->new_lsn = draft->lsn;
  if (!DQ_MUTANT(4)) h->seen_lsn = draft->lsn;
  h->draft_term = draft->term;
  h->new_page_count = draft->page_count;
  h->draft_gen = db->gen;
  dq_gen_ref(db->gen);
  h->draft_snap = DQ_MUTANT(23) ? spare : dq_snap_acquire(db->gen, spare, draft->lsn, draft->page_count, draft->checksum);
  if (DQ_MUTANT(23)) dq_reader_end(db, &h->reader);
  h->ticket = 0;
  if (h->own || !DQ_MUTANT(39)) dq_slot_free(db);
}

/* Takes over the change set. Returns what the commit point answers SQLite. */
int dq_draft_make(dq_handle *h, uint32_t page_count, dq_changes *changes) {
  dq_db *db = h->db;
  dq_draft *made = dq_zalloc(sizeof *made);
  dq_snap *spare = dq_alloc(sizeof *spare);
  int rc = made && spare ? dq_changes_prepare(changes, 0) : SQLITE_NOMEM;
  dq_lock(db);
  if (rc == SQLITE_OK) rc = refuse(h);
  if (rc == SQLITE_OK) rc = dq_store_reserve(db->gen, changes);
  if (rc) {
    rc = dq_handle_note(h, rc == SQLITE_NOMEM ? SQLITE_IOERR_NOMEM : rc);
    dq_unlock(db);
    dq_free(made);
    dq_free(spare);
    dq_changes_clear(changes);
    return rc;
  }
  made->changes = *changes;
  made->page_count = page_count;
  made->bytes = (uint64_t)changes->count * db->page_size;
  *changes = (dq_changes){0};
  draft(h, made, spare);
  if (!h->own && !DQ_MUTANT(38)) {
    dq_commit_waiter w = {.lsn = h->new_lsn};
    start_waiting(db, &w);
    dq_unlock(db); /* on_draft and on_slot before the wait */
    dq_lock(db);
    rc = dq_handle_note(h, wait_for_raft(h, &w));
    dq_cond_destroy(&w.cond);
  }
  dq_unlock(db);
  return rc;
}

/* ---- waiters ----------------------------------------------------------------------------- */

static void decide(dq_commit_waiter *w, int rc) {
  w->decided = 1;
  w->rc = rc;
  dq_sys.wake_all(dq_sys.ctx, &w->cond);
}

void dq_decide_commit_waiters(dq_db *db) {
  for (dq_commit_waiter *w = db->commit_waiters; w; w = w->next)
    if (!w->decided && (!w->fenced || DQ_MUTANT(14)) && w->lsn <= db->c) decide(w, SQLITE_OK);
}

void dq_fail_commit_waiters(dq_db *db) {
  uint64_t first = db->unpolled ? db->unpolled->lsn : UINT64_MAX;
  for (dq_commit_waiter *w = db->commit_waiters; w; w = w->next)
    if (!w->decided) decide(w, (!w->fenced && w->lsn >= first) || DQ_MUTANT(42) ? DQ_NOT_LEADER : DQ_OUTCOME_UNKNOWN);
}

int dq_db_resolve(dq_db *db, uint64_t lsn_first, uint64_t lsn_last, int committed) {
  dq_lock(db);
  for (dq_commit_waiter *w = db->commit_waiters; w; w = w->next)
    if (!w->decided && w->fenced && w->lsn >= lsn_first && w->lsn <= lsn_last) decide(w, committed ? SQLITE_OK : DQ_NOT_LEADER);
  dq_unlock(db);
  return SQLITE_OK;
}

/* ---- poll ------------------------------------------------------------------------------------ */

typedef struct polled {
  dq_batch batch; /* first: what the caller sees */
  dq_db *db;
  dq_changes changes;
} polled;

static int collect(dq_draft *first, dq_draft *end, dq_changes *changes) {
  for (dq_draft *draft = first; draft != end; draft = draft->next)
    for (uint32_t i = 0; i < draft->changes.count; i++) {
      dq_image_ref(draft->changes.items[i].image);
      int rc = dq_changes_add(changes, draft->changes.items[i].page, draft->changes.items[i].image);
      if (rc) return rc;
    }
  return SQLITE_OK;
}

static int make_arrays(polled *p) {
  uint32_t n = p->changes.count;
  uint32_t *pages = dq_alloc((n + 1) * sizeof *pages);
  const void **images = dq_alloc((n + 1) * sizeof *images);
  p->batch.page_numbers = pages;
  p->batch.images = images;
  if (!pages || !images) return SQLITE_NOMEM;
  for (uint32_t i = 0; i < n; i++) {
    pages[i] = p->changes.items[i].page;
    images[i] = p->changes.items[i].image->slot == DQ_IN_MEMORY ? p->changes.items[i].image->data : NULL;
  }
  p->batch.pages = n;
  return SQLITE_OK;
}

int dq_db_poll(dq_db *db, uint64_t max_bytes, dq_batch **out) {
  *out = NULL;
  polled *p = dq_zalloc(sizeof *p);
  if (!p) return SQLITE_NOMEM;
  int rc = SQLITE_OK;
  dq_lock(db);
  dq_draft *first = db->unpolled, *end = first, *last = NULL;
  uint64_t bytes = 0;
  uint32_t drafts = 0;
  if (db->poisoned) rc = DQ_POISONED;
  for (; end && (!last || bytes + end->bytes <= max_bytes); end = end->next) {
    bytes += end->bytes;
    last = end;
    drafts++;
  }
  if (rc == SQLITE_OK && last) rc = collect(first, end, &p->changes);
  if (rc == SQLITE_OK && last) {
    dq_changes_sort(&p->changes, last->page_count);
    rc = make_arrays(p);
  }
  if (rc == SQLITE_OK && last) {
    p->batch.lsn_first = first->lsn;
    p->batch.lsn_last = last->lsn;
    p->batch.term = last->term;
    p->batch.checksum = last->checksum;
    p->batch.page_count = last->page_count;
    p->batch.drafts = drafts;
    p->batch.page_size = db->page_size;
    p->batch.base_page_count = first->prev ? first->prev->page_count : db->page_count_c;
    if (DQ_MUTANT(92)) p->batch.base_page_count = UINT32_MAX;
    p->db = db;
    dq_db_ref(db);
    for (uint32_t i = 0; DQ_MUTANT(53) && i < p->changes.count; i++) {
      dq_image_unref(p->changes.items[i].image);
      p->changes.items[i].image = NULL;
    }
    db->unpolled = end;
    db->queued -= drafts;
    *out = &p->batch;
  }
  dq_unlock(db);
  if (!*out) {
    p->db = NULL;
    dq_batch_free(&p->batch);
  }
  return rc;
}

/* Between the poll and the commit of the batch: every version that is asked for
** here is c's, or that of a draft between c and the batch. */
int dq_batch_base(const dq_batch *batch, uint32_t i, void *page) {
  const polled *p = (const polled *)batch;
  if (i >= batch->pages) return SQLITE_MISUSE;
  if (batch->page_numbers[i] > batch->base_page_count) return SQLITE_NOTFOUND;
  return dq_page_at(p->db, DQ_MUTANT(93) ? batch->lsn_last : batch->lsn_first - 1, batch->page_numbers[i], page);
}

dq_image *dq_batch_image(const dq_batch *batch, uint32_t i) { return ((const polled *)batch)->changes.items[i].image; }

int dq_batch_read(const dq_batch *batch, uint32_t first, uint32_t n, void *out) {
  int rc = first + (uint64_t)n <= batch->pages ? SQLITE_OK : SQLITE_MISUSE;
  for (uint32_t i = 0; i < n && rc == SQLITE_OK; i++)
    rc = dq_image_read(dq_batch_image(batch, first + i), 0, batch->page_size, (uint8_t *)out + (size_t)i * batch->page_size);
  return rc;
}

void dq_batch_free(dq_batch *batch) {
  if (!batch) return;
  polled *p = (polled *)batch;
  dq_changes_clear(&p->changes);
  dq_free((void *)(uintptr_t)batch->page_numbers);
  dq_free((void *)(uintptr_t)batch->images);
  if (p->db) dq_db_unref(p->db);
  dq_free(p);
}
