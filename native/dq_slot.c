/*
** dq_slot.c - the writer slot: one per database.
**
**   free ──request, acquire──> held ──commit point, release, revoke──> free
**
** Barging: a released slot is free for whoever comes first, until the first
** waiter has waited 1 ms; then it is handed over. (Pure hand-off was four times
** slower: the slot lies idle while the waiter wakes up.) A ticket has no thread
** that could come for a free slot, so a ticket at the head is always handed to.
** Nobody gets the slot while more than max_undecided_bytes are undecided, or
** while dq_db_set_drafting says no.
*/
#include <errno.h>

#include "dq_internal.h"

#define HAND_OFF_AFTER_NS 1000000

static int may_grant(const dq_db *db) {
  return !db->slot.held && db->term && !db->drafting_rc && (db->undecided_bytes <= db->config.max_undecided_bytes || DQ_MUTANT(56));
}

static void unqueue(dq_db *db, dq_slot_waiter *w) {
  if (w->prev) w->prev->next = w->next;
  else db->slot.first = w->next;
  if (w->next) w->next->prev = w->prev;
  else db->slot.last = w->prev;
  w->prev = w->next = NULL;
}

static void enqueue(dq_db *db, dq_slot_waiter *w) {
  w->since = dq_now_ns();
  w->prev = db->slot.last;
  w->next = NULL;
  if (w->prev) w->prev->next = w;
  else db->slot.first = w;
  db->slot.last = w;
}

static void hold(dq_db *db, uint64_t ticket, dq_handle *handle) {
  db->slot.held = 1;
  db->slot.ticket = ticket;
  db->slot.handle = handle;
  db->slot.since = dq_now_ns();
}

/* Tickets are told through on_slot, after the lock; blocking waiters are woken. */
static void decide(dq_db *db, dq_slot_waiter *w, int rc) {
  unqueue(db, w);
  w->decided = 1;
  w->rc = rc;
  if (w->handle) {
    dq_sys.wake_all(dq_sys.ctx, &w->cond);
    return;
  }
  dq_slot_waiter **end = &db->decided;
  while (*end) end = &(*end)->next;
  *end = w;
}

void dq_slot_pump(dq_db *db) {
  dq_slot_waiter *w = db->slot.first;
  if (!w || !may_grant(db)) return;
  if (w->handle && dq_now_ns() - w->since < HAND_OFF_AFTER_NS) {
    dq_sys.wake_all(dq_sys.ctx, &w->cond);
    return;
  }
  hold(db, w->ticket, w->handle);
  decide(db, w, SQLITE_OK);
}

void dq_slot_free(dq_db *db) {
  db->slot.held = 0;
  db->slot.ticket = 0;
  db->slot.handle = NULL;
  dq_slot_pump(db);
}

/* Someone who has just come may take a free slot unless the head has waited long. */
static int may_barge(const dq_db *db) {
  const dq_slot_waiter *w = db->slot.first;
  return may_grant(db) && (!w || (w->handle && dq_now_ns() - w->since < HAND_OFF_AFTER_NS));
}

/* The holder's running transaction can no longer draft. A transaction that is
** past its commit point has given the slot up already. */
int dq_slot_take_from_holder(dq_db *db, int rc) {
  dq_handle *h = db->slot.handle;
  if (!db->slot.held) return 0;
  if (h) {
    h->slot_rc = rc;
    if (h->in_write && !h->drafted && !h->reader.revoked && !DQ_MUTANT(52)) h->reader.revoked = rc;
  }
  dq_slot_free(db);
  return 1;
}

void dq_slot_close(dq_db *db, int rc) {
  while (db->slot.first && !DQ_MUTANT(10)) decide(db, db->slot.first, rc);
  if (!DQ_MUTANT(11)) dq_slot_take_from_holder(db, rc);
}

/* ---- blocking handles ------------------------------------------------------------------ */

/* Of the timed waits of blocking handles one detects that the holder's write
** transaction has been open for too long. Returns when to look again. */
static int64_t check_hold_time(dq_db *db, int64_t now) {
  dq_handle *h = db->slot.handle;
  if (!db->slot.held || db->config.slot_hold_ns <= 0 || DQ_MUTANT(57)) return INT64_MAX;
  int64_t due = dq_add_ns(db->slot.since, db->config.slot_hold_ns);
  if (now < due) return due;
  if (h && h->in_write && !h->drafted) {
    dq_slot_take_from_holder(db, DQ_SLOT_REVOKED);
    return now;
  }
  return dq_add_ns(now, db->config.slot_hold_ns);
}

/* SQLITE_OK, DQ_SLOT_TIMEOUT, or why drafting is closed. */
int dq_slot_acquire(dq_handle *h, int64_t deadline_ns) {
  dq_db *db = h->db;
  if (!db->term) return DQ_NOT_LEADER;
  if (db->drafting_rc) return db->drafting_rc;
  if (may_barge(db)) {
    hold(db, 0, h);
    return SQLITE_OK;
  }
  dq_slot_waiter w = {.handle = h};
  dq_cond_init(&w.cond);
  enqueue(db, &w);
  while (!w.decided) {
    int64_t now = dq_now_ns(), look = check_hold_time(db, now);
    if (w.decided) break;
    if (may_grant(db) && db->slot.first == &w) {
      unqueue(db, &w);
      hold(db, 0, h);
      w.decided = 1;
    } else if (now >= deadline_ns) {
      unqueue(db, &w);
      w.decided = 1;
      w.rc = DQ_MUTANT(82) ? SQLITE_BUSY : DQ_SLOT_TIMEOUT;
      dq_slot_pump(db); /* the next may be a ticket that only a pump reaches */
    } else {
      if (db->decided) { /* a hold-time revoke granted a ticket: tell it before sleeping */
        dq_unlock(db);
        dq_lock(db);
        continue;
      }
      dq_sys.wait(dq_sys.ctx, &w.cond, &db->lock, look < deadline_ns ? look : deadline_ns);
    }
  }
  dq_cond_destroy(&w.cond);
  return w.rc;
}

/* ---- tickets ---------------------------------------------------------------------------------- */

int dq_slot_request(dq_db *db, uint64_t ticket) {
  if (ticket == 0) return SQLITE_MISUSE;
  dq_slot_waiter *w = dq_zalloc(sizeof *w);
  if (!w) return SQLITE_NOMEM;
  int rc = SQLITE_BUSY;
  dq_lock(db);
  if (db->poisoned) rc = DQ_POISONED;
  else if (!db->term) rc = DQ_NOT_LEADER;
  else if (db->drafting_rc) rc = db->drafting_rc;
  else if (may_barge(db)) {
    hold(db, ticket, NULL);
    rc = SQLITE_OK;
  } else {
    w->ticket = ticket;
    enqueue(db, w);
    w = NULL;
    dq_slot_pump(db);
  }
  dq_unlock(db);
  dq_free(w);
  return rc;
}

int dq_slot_cancel(dq_db *db, uint64_t ticket) {
  dq_lock(db);
  dq_slot_waiter *w = db->slot.first;
  while (w && (w->handle || w->ticket != ticket)) w = w->next;
  if (w) {
    unqueue(db, w);
    dq_slot_pump(db);
  }
  dq_unlock(db);
  dq_free(w);
  return w != NULL;
}

void dq_slot_release(dq_db *db, uint64_t ticket) { dq_slot_revoke(db, ticket, DQ_SLOT_REVOKED); }

int dq_slot_revoke(dq_db *db, uint64_t ticket, int rc) {
  int held;
  dq_lock(db);
  held = ticket != 0 && db->slot.held && db->slot.ticket == ticket;
  if (held) dq_slot_take_from_holder(db, rc);
  dq_unlock(db);
  return held;
}
