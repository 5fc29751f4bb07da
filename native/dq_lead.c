/*
** dq_lead.c - leadership, the fence and new generations.
*/
#include "dq_internal.h"

int dq_db_lead(dq_db *db, uint64_t term) {
  int rc = SQLITE_OK;
  dq_lock(db);
  if (db->poisoned) rc = DQ_POISONED;
  else if (db->closed) rc = DQ_NOT_LEADER;
  else if (term == 0 || (db->c != db->d && !DQ_MUTANT(5))) rc = SQLITE_MISUSE;
  else db->term = term;
  dq_unlock(db);
  return rc;
}

/* Newest first, so that each version is on top of its chain when it goes. */
void dq_drop_drafts(dq_db *db) {
  dq_draft *draft;
  while ((draft = db->drafts_last)) {
    for (uint32_t i = 0; i < draft->changes.count; i++) {
      dq_version *v = dq_store_head(db->gen, draft->changes.items[i].page);
      if (v && v->lsn == draft->lsn && !DQ_MUTANT(6)) dq_store_remove(db->gen, v);
    }
    db->drafts_last = draft->prev;
    if (draft->prev) draft->prev->next = NULL;
    dq_changes_clear(&draft->changes);
    dq_free(draft);
  }
  db->drafts_first = db->unpolled = NULL;
  db->queued = 0;
  db->undecided_bytes = 0;
  db->d = db->c; /* but last_lsn stays: LSNs are never reused */
  if (DQ_MUTANT(8)) db->last_lsn = db->c;
  db->page_count_d = db->page_count_c;
  db->checksum_d = db->checksum_c;
  db->cookie_d = db->cookie_c;
  db->cookie_lsn = 0;
}

/* A handle whose caches may hold a dropped draft. Its schema cache is the trap:
** another draft can get the same cookie for another schema, and then SQLite
** writes rows into the wrong b-tree. So a library handle that may have seen such
** a draft is dead. A blocking handle cannot have: it waits until c covers a
** changed cookie, and its own refused DDL makes SQLite reset the schema. */
static void fence_handle(dq_db *db, dq_handle *h, uint64_t first_cookie_lsn) {
  if (h->seen_lsn <= db->c) return;
  if (h->own && first_cookie_lsn && h->seen_lsn >= first_cookie_lsn && !DQ_MUTANT(1)) h->dead = DQ_LEADERSHIP_LOST;
  if (!DQ_MUTANT(8)) h->header_lsn = 0;
  if (DQ_MUTANT(78)) dq_index_publish(h, db->page_count_c);
  h->seen_lsn = db->c;
  if (h->draft_snap) {
    dq_handle_drop_draft_snap(h);
    h->reader.revoked = DQ_LEADERSHIP_LOST;
  }
  if (h->reader.snap && h->reader.lsn > db->c && !DQ_MUTANT(7)) {
    dq_reader_end(db, &h->reader);
    h->reader.revoked = DQ_LEADERSHIP_LOST;
  }
}

int dq_db_fence(dq_db *db, uint64_t proposed_lsn) {
  uint64_t first_cookie_lsn = 0;
  dq_lock(db);
  if (!db->term) {
    dq_unlock(db);
    return SQLITE_OK;
  }
  db->term = 0;
  if (!DQ_MUTANT(12)) db->lease = 0;
  db->fences++;
  for (dq_draft *draft = db->drafts_first; draft && (!first_cookie_lsn || DQ_MUTANT(2)); draft = draft->next)
    if (draft->cookie_changed) first_cookie_lsn = draft->lsn;
  for (dq_reader *r = db->readers; r; r = r->next)
    if (r->handle) fence_handle(db, r->handle, first_cookie_lsn);
  if (!DQ_MUTANT(5)) dq_drop_drafts(db);
  for (dq_commit_waiter *w = db->commit_waiters; w; w = w->next) {
    if (w->decided || w->fenced) continue;
    w->fenced = 1;
    if ((w->lsn <= proposed_lsn && !DQ_MUTANT(9)) || DQ_MUTANT(91)) continue;
    w->decided = 1;
    w->rc = DQ_NOT_LEADER;
    dq_sys.wake_all(dq_sys.ctx, &w->cond);
  }
  dq_slot_close(db, DQ_NOT_LEADER);
  dq_sys.wake_all(dq_sys.ctx, &db->moved);
  dq_unlock(db);
  return SQLITE_OK;
}

/* ---- install ---------------------------------------------------------------------------- */

static int newest_cookie(dq_db *db, uint32_t *cookie) {
  uint8_t head[4];
  dq_version *v = dq_store_find(db->gen, 1, db->c);
  if (v && v->image) memcpy(head, v->image->data + 40, 4);
  else if (dq_file_read(db->gen->fd, head, 4, 40) != 4) return SQLITE_IOERR_READ;
  *cookie = dq_get4(head);
  return SQLITE_OK;
}

/* The new files hold a later state of the same database: a schema cookie means
** the same schema in both generations. */
int dq_db_reopen(dq_db *db, uint32_t page_count, uint64_t checksum) {
  dq_gen *gen = NULL;
  int rc = dq_gen_open(db->path, db->sums_path, db->page_size, page_count, &gen);
  if (rc) return rc;
  if (dq_gen_file_checksum(gen, page_count) != checksum) rc = SQLITE_CORRUPT;
  dq_lock(db);
  if (rc == SQLITE_OK && db->poisoned) rc = DQ_POISONED;
  if (rc == SQLITE_OK && (db->term || db->c != db->d || db->checkpointing)) rc = SQLITE_MISUSE;
  if (rc == SQLITE_OK) {
    gen->number = db->gen->number + 1;
    db->ckpt_lsn = 0;
    dq_checkpoint_forget(db);
    if (DQ_MUTANT(72)) {
      gen->chunks = db->gen->chunks, gen->chunk_count = db->gen->chunk_count;
      db->gen->chunks = NULL, db->gen->chunk_count = 0;
    }
    dq_gen_unref(db, db->gen);
    db->gen = gen;
    db->c = db->d = db->checkpoint_lsn = DQ_MUTANT(71) ? db->c : ++db->last_lsn;
    db->page_count_c = db->page_count_d = db->checkpoint_page_count = page_count;
    db->checksum_c = db->checksum_d = checksum;
    rc = DQ_MUTANT(74) ? SQLITE_OK : newest_cookie(db, &db->cookie_c);
    db->cookie_d = db->cookie_c;
    if (rc) dq_poison(db);
    gen = NULL;
    dq_sys.wake_all(dq_sys.ctx, &db->moved);
  }
  dq_unlock(db);
  if (gen) dq_gen_free(gen);
  return rc;
}
