/*
** dq_handle.c - the locks of one connection: its snapshot and its right to write.
**
**                  read lock                    write lock
**   idle ────────────────────────────> reading ───────────> writing ─ commit point ─> drafted
**    │ header differs: publish,          ^  ^                  │                         │
**    └──> reading ─unlock─> relock ─lock─┘  └───write unlock───┴─────────────────────────┘
**
** SQLite notices the new header by itself, unlocks and locks again; the second
** lock accepts the same snapshot, whatever has been committed meanwhile: else
** it would never end under load.
*/
#include "dq_internal.h"

static pthread_mutex_t conn_lock = PTHREAD_MUTEX_INITIALIZER;
static dq_conn *conns;

/* ---- open and close --------------------------------------------------------------- */

int dq_handle_open(dq_db *db, const char *name, int level, dq_handle **out) {
  void volatile *region;
  dq_handle *h = dq_zalloc(sizeof *h);
  if (!h) return SQLITE_NOMEM;
  h->db = db;
  h->name = name;
  h->level = level;
  h->reader.handle = h;
  if (dq_index_map(h, 0, 1, &region) != SQLITE_OK) {
    dq_index_free(h);
    dq_free(h);
    return SQLITE_NOMEM;
  }
  dq_lock(db);
  dq_index_publish(h, db->page_count_c);
  if (db->closed) h->dead = DQ_NOT_LEADER;
  dq_db_ref(db);
  dq_reader_link(db, &h->reader);
  db->handles++;
  dq_unlock(db);
  *out = h;
  return SQLITE_OK;
}

static void leave_conn(dq_handle *h) {
  dq_conn *conn = h->conn;
  if (!conn) return;
  h->conn = NULL;
  pthread_mutex_lock(&conn_lock);
  if (conn->writer == h) conn->writer = NULL;
  if (--conn->refs == 0) {
    dq_conn **at = &conns;
    while (*at != conn) at = &(*at)->next;
    *at = conn->next;
    dq_free(conn);
  }
  pthread_mutex_unlock(&conn_lock);
}

/* SQLite names the connection once, when the file is open. Twice: a connection
** with a shared cache joins. The one that was named may close before the file
** does, so nobody may ask it anything any more. */
int dq_handle_connect(dq_handle *h, sqlite3 *sqlite) {
  if (h->conn) {
    atomic_store(&h->shared, 1);
    dq_policy_shared(h->name);
    return SQLITE_OK;
  }
  dq_conn *spare = dq_zalloc(sizeof *spare);
  if (!spare) return SQLITE_NOMEM;
  pthread_mutex_lock(&conn_lock);
  dq_conn *conn = conns;
  while (conn && conn->sqlite != sqlite) conn = conn->next;
  if (!conn) {
    conn = spare;
    spare = NULL;
    conn->sqlite = sqlite;
    conn->next = conns;
    conns = conn;
  }
  conn->refs++;
  h->conn = conn;
  pthread_mutex_unlock(&conn_lock);
  dq_free(spare);
  return SQLITE_OK;
}

void dq_handle_drop_draft_snap(dq_handle *h) {
  if (!h->draft_snap) return;
  if (DQ_MUTANT(23)) dq_free(h->draft_snap);
  else dq_snap_release(h->draft_gen, h->draft_snap);
  dq_gen_unref(h->db, h->draft_gen);
  h->draft_snap = NULL;
  h->draft_gen = NULL;
}

void dq_handle_close(dq_handle *h) {
  dq_db *db = h->db;
  dq_wal_clear(h);
  dq_lock(db);
  dq_handle_drop_draft_snap(h);
  dq_reader_end(db, &h->reader);
  dq_reader_unlink(db, &h->reader);
  if (dq_handle_holds_slot(h)) {
    if (DQ_MUTANT(31)) db->slot.handle = NULL;
    else dq_slot_free(db);
  }
  db->handles--;
  dq_unlock(db);
  leave_conn(h);
  dq_free(h->frames);
  dq_index_free(h);
  dq_free(h);
  dq_db_unref(db);
}

/* ---- what a handle may do ------------------------------------------------------------- */

int dq_handle_holds_slot(const dq_handle *h) { return h->db->slot.held && h->db->slot.handle == h; }

int dq_handle_usable(dq_handle *h) {
  if (h->dead) return h->dead;
  if (atomic_load(&h->shared)) return SQLITE_CANTOPEN;
  if (h->db->poisoned) return DQ_POISONED;
  if (h->db->closed && !DQ_MUTANT(32)) return DQ_NOT_LEADER;
  return h->reader.revoked;
}

int dq_handle_note(dq_handle *h, int rc) {
  if (rc) h->last_error = rc;
  return rc;
}

/* ---- read lock ---------------------------------------------------------------------------- */

static int choose(dq_handle *h, enum dq_kind kind, uint64_t *target) {
  dq_db *db = h->db;
  h->reader.revoked = 0;
  int rc = dq_handle_usable(h);
  if (rc == SQLITE_OK && !DQ_MUTANT(75)) rc = db->serving_rc;
  if (rc) return rc;
  if (!h->own) return dq_plain_begin(h, kind, target);
  *target = (dq_handle_holds_slot(h) || DQ_MUTANT(22)) && db->term ? db->d : db->c;
  return SQLITE_OK;
}

static void begin_read(dq_handle *h, dq_snap *spare, uint64_t target) {
  dq_reader_begin(h->db, &h->reader, spare, target);
  h->in_read = 1;
  if (h->seen_lsn < target) h->seen_lsn = target;
  if (h->header_lsn == target || (DQ_MUTANT(18) && h->header_lsn)) return;
  dq_index_publish(h, h->reader.page_count);
  h->header_lsn = target;
  h->relock_expected = 1;
}

int dq_handle_read_lock(dq_handle *h) {
  dq_db *db = h->db;
  uint64_t target = 0;
  int rc = SQLITE_OK;
  enum dq_kind kind = h->own || h->in_write || h->relock || atomic_load(&h->shared) ? DQ_READS : dq_plain_kind(h);
  dq_snap *spare = dq_alloc(sizeof *spare);
  if (!spare) return SQLITE_IOERR_NOMEM;
  dq_lock(db);
  if (DQ_MUTANT(17) && h->relock && h->reader.lsn < db->c) {
    h->relock = 0;
    dq_reader_end(db, &h->reader);
  }
  if (h->in_write || h->in_read) {
    /* walRestartLog: the transaction goes on with its snapshot. */
  } else if (h->relock) {
    h->relock = 0;
    h->in_read = 1;
    rc = dq_handle_usable(h);
    if (DQ_MUTANT(16) && h->reader.lsn < db->c) dq_reader_end(db, &h->reader);
    if ((DQ_MUTANT(15) || DQ_MUTANT(16)) && !h->reader.snap) {
      dq_reader_begin(db, &h->reader, spare, DQ_MUTANT(15) ? h->reader.lsn : db->c);
      spare = NULL;
    }
  } else {
    rc = choose(h, kind, &target);
    if (rc == SQLITE_OK) {
      begin_read(h, spare, target);
      spare = NULL;
    }
  }
  dq_handle_note(h, rc);
  dq_unlock(db);
  dq_free(spare);
  if (rc && h->in_read) dq_handle_read_unlock(h);
  return rc;
}

/* A blocking autocommit statement that read drafts and made none of its own (a
** constraint, no row changed): its answer stems from them, so it waits for
** them. When they are dropped the answer cannot be recalled; README says so. */
static void wait_for_what_it_read(dq_handle *h, uint64_t lsn) {
  dq_db *db = h->db;
  dq_unlock(db); /* first the callbacks of the slot that was freed */
  dq_lock(db);
  if (db->term) dq_plain_wait(h, lsn, dq_add_ns(dq_now_ns(), db->config.commit_timeout_ns));
}

void dq_handle_read_unlock(dq_handle *h) {
  dq_db *db = h->db;
  dq_lock(db);
  if (h->in_write) { /* walRestartLog */
    dq_unlock(db);
    return;
  }
  h->in_read = 0;
  if (h->relock_expected) {
    h->relock_expected = 0;
    h->relock = 1;
    if (DQ_MUTANT(15)) dq_reader_end(db, &h->reader);
    dq_unlock(db);
    return;
  }
  uint64_t lsn = h->reader.lsn;
  int wait = h->at_draft && lsn > db->c && !DQ_MUTANT(40);
  dq_handle_note(h, h->reader.revoked);
  dq_handle_drop_draft_snap(h);
  dq_reader_end(db, &h->reader);
  h->at_draft = 0;
  if (DQ_MUTANT(3)) h->seen_lsn = 0;
  if (!h->own && dq_handle_holds_slot(h) && !DQ_MUTANT(30)) dq_slot_free(db); /* it never wrote */
  if (wait) wait_for_what_it_read(h, lsn);
  dq_unlock(db);
  dq_wal_clear(h);
}

/* ---- write lock ------------------------------------------------------------------------------ */

/* Lock held. An upgrade from a read: only at the newest state, since the
** transaction keeps its snapshot. */
static int get_slot(dq_handle *h) {
  dq_db *db = h->db;
  int newest = h->reader.lsn == db->d || DQ_MUTANT(29);
  if (dq_handle_holds_slot(h)) return newest ? SQLITE_OK : DQ_UPGRADE_CONFLICT;
  if (h->own) return h->slot_rc ? h->slot_rc : SQLITE_BUSY;
  if (!newest) return DQ_UPGRADE_CONFLICT;
  h->slot_rc = 0;
  int rc = dq_slot_acquire(h, dq_add_ns(dq_now_ns(), db->config.slot_timeout_ns));
  if (rc == SQLITE_OK) rc = dq_handle_usable(h);
  if (rc == SQLITE_OK && h->reader.lsn != db->d && !DQ_MUTANT(29)) rc = DQ_UPGRADE_CONFLICT;
  if (rc && dq_handle_holds_slot(h)) dq_slot_free(db);
  return rc;
}

int dq_handle_write_lock(dq_handle *h) {
  dq_db *db = h->db;
  int rc;
  dq_lock(db);
  rc = dq_handle_usable(h);
  if (rc == SQLITE_OK && !h->reader.snap) rc = SQLITE_BUSY; /* SQLite never writes outside a read transaction */
  if (rc == SQLITE_OK && h->conn && h->conn->writer && h->conn->writer != h && !DQ_MUTANT(44)) rc = DQ_SPANS_DATABASES;
  if (rc == SQLITE_OK && !db->term) rc = DQ_NOT_LEADER;
  if (rc == SQLITE_OK) rc = get_slot(h);
  if (rc == SQLITE_OK) {
    h->in_write = 1;
    h->drafted = h->refused = 0;
    h->write_change = DQ_MUTANT(46) ? dq_index_last_frame(h) : dq_index_change(h);
    db->slot.since = dq_now_ns(); /* slot_hold_ns counts from here */
    if (h->conn) h->conn->writer = h;
  }
  dq_handle_note(h, rc);
  dq_unlock(db);
  return rc;
}

/* The handle goes on at the state that its own transaction made. */
static void publish_draft(dq_handle *h) {
  dq_db *db = h->db;
  h->header_lsn = 0;
  if (!h->draft_snap) return; /* fenced since the commit point: flush */
  if (DQ_MUTANT(23)) h->draft_snap = dq_snap_acquire(h->draft_gen, h->draft_snap, h->new_lsn, h->new_page_count, 0);
  dq_reader_end(db, &h->reader);
  h->reader.gen = h->draft_gen;
  h->reader.snap = h->draft_snap;
  h->reader.lsn = h->new_lsn;
  h->reader.page_count = h->new_page_count;
  h->draft_snap = NULL;
  h->draft_gen = NULL;
  h->header_lsn = h->new_lsn;
}

void dq_handle_write_unlock(dq_handle *h) {
  dq_db *db = h->db;
  int published = DQ_MUTANT(46) ? dq_index_last_frame(h) > h->write_change : dq_index_change(h) != h->write_change;
  if (!DQ_MUTANT(28)) dq_index_backfilled(h);
  dq_lock(db);
  if (!h->in_write) {
    dq_unlock(db);
    return;
  }
  h->in_write = 0;
  if (h->conn) h->conn->writer = NULL;
  if (published && h->drafted) {
    publish_draft(h);
    h->at_draft = 0;
  } else if (published) {
    dq_poison(db); /* SQLite committed around the commit point */
  } else if (h->drafted || h->refused) {
    /* SQLite rolled back: its caches and the header go. A draft that was made
    ** all the same (out of memory after the commit point) lives on. */
    dq_handle_drop_draft_snap(h);
    h->header_lsn = 0;
  }
  h->drafted = h->refused = 0;
  /* A ticket keeps the slot: when the schema is stale SQLite ends the write,
  ** reads the schema and begins again, inside one call of sqlite3_step. */
  if ((!h->own || DQ_MUTANT(84)) && dq_handle_holds_slot(h)) dq_slot_free(db);
  dq_unlock(db);
}

/* ---- section 6 of the contract ------------------------------------------------------------------ */

void dq_handle_own(dq_handle *h) {
  dq_lock(h->db);
  h->own = 1;
  dq_unlock(h->db);
}

int dq_handle_arm(dq_handle *h, uint64_t ticket) {
  dq_db *db = h->db;
  int rc = SQLITE_OK;
  dq_lock(db);
  h->draft_lsn = h->draft_term = 0;
  h->last_error = 0;
  if (h->dead) rc = h->dead;
  else if (db->poisoned) rc = DQ_POISONED;
  else if (ticket && db->slot.held && db->slot.ticket == ticket) {
    db->slot.handle = h;
    h->ticket = ticket;
    h->slot_rc = 0;
  } else if (ticket) {
    rc = db->term ? SQLITE_BUSY : DQ_NOT_LEADER;
  } else if (!h->in_write && h->ticket && dq_handle_holds_slot(h)) {
    db->slot.handle = NULL; /* the ticket keeps the slot, this statement reads c */
    h->ticket = 0;
  }
  dq_unlock(db);
  return rc;
}

void dq_handle_get_state(dq_handle *h, dq_handle_state *out) {
  dq_lock(h->db);
  *out = (dq_handle_state){
      .snapshot_lsn = h->reader.lsn,
      .draft_lsn = h->draft_lsn,
      .draft_term = h->draft_term,
      .in_read = (uint32_t)(h->in_read || h->relock),
      .in_write = (uint32_t)h->in_write,
      .dead = h->dead,
      .revoked = h->reader.revoked,
      .last_error = h->last_error,
      .holds_slot = (uint32_t)dq_handle_holds_slot(h),
  };
  dq_unlock(h->db);
}
