/*
** Connections that write, read in transactions and step through SELECTs; a few
** calls each time, so that everything overlaps. Own handles are driven as the
** library's sessions do, plain ones as any SQLite connection.
*/
#include "model.h"

/* ---- open and close ------------------------------------------------------------------ */

static int in_transaction(const actor *a) { return !dq_sqlite.get_autocommit(a->c.sql); }

void actor_open(actor *a) {
  char sql[64];
  w.off++;
  if (a->own || chance(2)) conn_open(&a->c, &w.a, a->own);
  else conn_open_uri(&a->c, &w.a, "&level=linearizable");
  snprintf(sql, sizeof sql, "PRAGMA cache_size=%u", w.cache_size);
  run(&a->c, sql); /* needs the schema, which is refused now and then */
  io_watch(&a->c);
  w.off--;
}

void actor_close(actor *a) {
  sq.finalize(a->select);
  io_forget(&a->c);
  conn_close(&a->c);
  if (a->ticket && !dq_slot_cancel(w.a.db, a->c.ticket)) dq_slot_release(w.a.db, a->c.ticket);
  *a = (actor){.own = a->own, .busy = a->busy};
}

static void reopen_if_dead(actor *a) {
  if (!state(&a->c).dead) return;
  actor_close(a);
  actor_open(a);
  w.did.dead++;
}

/* on_slot */
void model_slot(void *ctx, uint64_t ticket, int rc) {
  (void)ctx;
  for (int i = 0; i < w.actor_count; i++)
    if (w.actors[i].ticket && w.actors[i].c.ticket == ticket) w.actors[i].ticket = rc == SQLITE_OK ? 2 : 0;
}

int refusal(int rc) {
  switch (rc) {
    case DQ_NOT_LEADER:
    case DQ_LEADERSHIP_LOST:
    case DQ_SNAPSHOT_GONE:
    case DQ_OUTCOME_UNKNOWN:
    case DQ_SLOT_REVOKED:
    case DQ_SLOT_TIMEOUT:
    case DQ_UPGRADE_CONFLICT: return 1;
    case SQLITE_BUSY: return w.current && !w.current->own; /* SQLite's word for 517 at the start of a transaction */
    default: return 0;
  }
}

/* ---- one statement --------------------------------------------------------------------- */

/* Nothing that stems from a draft leaves a plain handle. */
static void row_leaves(void *ctx) {
  actor *a = ctx;
  if (!a->own) CHECK(state(&a->c).snapshot_lsn <= node_state(&w.a).c);
}

static answer execute(actor *a, const char *sql) {
  SAY("%s %d: %s", a->own ? "own" : "plain", (int)(a - w.actors), sql);
  a->barrier_c = 0;
  int rc = dq_handle_arm(a->c.h, a->ticket == 2 ? a->c.ticket : 0);
  if (rc) return (answer){.rc = rc == SQLITE_BUSY ? DQ_NOT_LEADER : rc};
  answer got = model_execute(a->c.sql, sql, row_leaves, a);
  note_drafts();
  if (refusal(got.rc)) w.did.refused++;
  return got;
}

void note_touch(const conn *c) {
  for (int i = 0; i < w.actor_count; i++)
    if (&w.actors[i].c == c) w.actors[i].touched = 1;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void let_go(actor *a) {
  if (in_transaction(a)) run(&a->c, "ROLLBACK");
  if (a->ticket) dq_slot_release(w.a.db, a->c.ticket);
  a->ticket = 0;
  a->tx = NULL;
  reopen_if_dead(a);
}

/* What a plain commit was told is what the log says. */
static void check_fate(const actor *a, int rc) {
  if (a->own) return;
  if (rc == SQLITE_OK && a->tx->fate != FATE_COMMITTED) test_fail(__FILE__, __LINE__, "acknowledged and %s", a->tx->fate == FATE_OPEN ? "not decided" : "dropped");
  if (rc == DQ_OUTCOME_UNKNOWN) w.did.unknown++;
  else if (rc != SQLITE_OK && a->tx->fate != FATE_DROPPED) test_fail(__FILE__, __LINE__, "refused with %d and %s", rc, a->tx->fate == FATE_OPEN ? "not decided" : "committed");
}

struct before {
  uint64_t fences;
  int timeouts;
};

static struct before before_statement(void) { return (struct before){node_state(&w.a).fences, w.timeouts}; }

/* Its answers stem from the state `lsn`, and were let out if it is plain. */
static void probe(actor *a, uint64_t lsn, struct before before) {
  tx *t = a->tx;
  dq_db_state s = node_state(&w.a);
  if (!t->count || !a->touched) return; /* nothing was read */
  if (!a->own && s.fences == before.fences && w.timeouts == before.timeouts) CHECK(lsn <= s.c); /* a wait that times out cannot be told to SQLite either */
  t->probe = 1;
  t->answered = t->count;
  if (lsn < s.c) return;                              /* the twin is past it */
  if (lsn > s.c && s.fences != before.fences) return; /* it was dropped, or lives under another LSN */
  tx_pend(t, lsn);
  if (lsn == s.c) decide_pending(lsn, FATE_COMMITTED);
}

/* The transaction has ended, in SQLite's eyes. */
static void ended(actor *a, int rc, struct before before) {
  tx *t = a->tx;
  uint64_t lsn = state(&a->c).snapshot_lsn;
  if (t->lsn) {
    if (!refusal(rc)) t->answered = t->count;
    tx_compare(t);
    check_fate(a, rc);
    if (a->own) a->ticket = 0; /* given up at the commit point */
  } else if (!refusal(rc)) {
    probe(a, lsn, before);
  }
  let_go(a);
}

static void start_writing(actor *a) {
  if (a->own && a->ticket == 0) {
    a->ticket = 1;
    int rc = dq_slot_request(w.a.db, a->c.ticket);
    if (rc == SQLITE_OK) a->ticket = 2;
    else if (rc != SQLITE_BUSY) a->ticket = 0;
  }
  if (a->own && a->ticket == 1 && chance(8) == 0 && dq_slot_cancel(w.a.db, a->c.ticket)) a->ticket = 0;
  if (a->own && a->ticket != 2) return;
  dq_handle_arm(a->c.h, 0); /* forgets the draft of the transaction before */
  a->tx = tx_new();
  a->touched = 0;
  a->tx->explicit = (int)chance(2);
  a->left = a->tx->explicit ? (int)chance(MAX_STATEMENTS) + 1 : 1;
  if (!a->tx->explicit) return;
  int rc = execute(a, chance(2) ? "BEGIN IMMEDIATE" : "BEGIN").rc;
  if (rc) {
    CHECK(refusal(rc));
    let_go(a);
  }
}

static void finish_writing(actor *a) {
  struct before before = before_statement();
  int commits = chance(5) != 0;
  int rc = execute(a, commits ? "COMMIT" : "ROLLBACK").rc;
  if (rc) CHECK(refusal(rc));
  if (!commits) CHECK(a->tx->lsn == 0);
  ended(a, rc, before);
}

static void go_on_writing(actor *a) {
  tx *t = a->tx;
  if (a->left == 0) {
    finish_writing(a);
    return;
  }
  a->left--;
  struct before before = before_statement();
  t->alone |= model_statement(t->sql[t->count], &w.seed, t->explicit);
  int i = t->count++; /* the twin may run it before it has returned here */
  answer got = t->answers[i] = execute(a, t->sql[i]);
  /* SQLite finds such errors in the schema that it has cached, some without a
  ** look at the database, and before the transaction has its snapshot. */
  if (got.rc == SQLITE_ERROR) t->count--;
  if (!t->explicit || refusal(got.rc)) ended(a, got.rc, before);
  else if (!in_transaction(a)) let_go(a); /* a refusal behind SQLite's retry for a changed schema: it rolled back */
}

/* ---- reading --------------------------------------------------------------------------------- */

static void stop_reading(actor *a) {
  if (in_transaction(a)) run(&a->c, "ROLLBACK");
  a->reading = 0;
  reopen_if_dead(a);
}

static void go_on_reading(actor *a) {
  uint64_t hash;
  SAY("%s %d reads on", a->own ? "own" : "plain", (int)(a - w.actors));
  dq_handle_arm(a->c.h, 0);
  int rc = model_dump(a->c.sql, &hash);
  w.did.reads++;
  if (rc == SQLITE_OK) {
    CHECK(hash == a->expected);
    if (chance(3)) return;
  } else if (!refusal(rc)) {
    test_fail(__FILE__, __LINE__, "a read answered %d", rc);
  }
  stop_reading(a);
}

static void start_reading(actor *a) {
  answer got = execute(a, "BEGIN");
  a->reading = 1;
  if (got.rc == SQLITE_OK) got = execute(a, "SELECT count(*) FROM sqlite_schema");
  if (got.rc) {
    CHECK(refusal(got.rc));
    stop_reading(a);
    return;
  }
  uint64_t lsn = state(&a->c).snapshot_lsn;
  const struct state *s = find_state(lsn);
  if (!s) test_fail(__FILE__, __LINE__, "reads at %llu, which was never committed", (unsigned long long)lsn);
  CHECK(lsn >= a->barrier_c); /* not chosen before the barrier made c fresh */
  a->expected = s ? s->hash : 0;
  go_on_reading(a);
}

/* ---- a SELECT that stays open --------------------------------------------------------------------- */

static void go_on_selecting(actor *a) {
  int rc = SQLITE_ROW;
  SAY("%s %d steps on", a->own ? "own" : "plain", (int)(a - w.actors));
  for (uint32_t n = 1 + chance(12); n > 0 && (rc = sq.step(a->select)) == SQLITE_ROW; n--) a->rows = model_mix_row(a->rows, a->select);
  if (rc == SQLITE_ROW) return;
  rc = sq.finalize(a->select);
  a->select = NULL;
  if (rc == SQLITE_OK) CHECK(a->rows == a->rows_expected);
  else CHECK(refusal(rc));
  w.did.reads++;
  reopen_if_dead(a);
}

static void start_selecting(actor *a) {
  char sql[64];
  snprintf(sql, sizeof sql, "SELECT a, b, c FROM t%u ORDER BY a", chance(4));
  SAY("%s %d: %s", a->own ? "own" : "plain", (int)(a - w.actors), sql);
  dq_handle_arm(a->c.h, 0);
  if (sq.prepare_v2(a->c.sql, sql, -1, &a->select, NULL) != SQLITE_OK) return;
  a->rows = 0;
  int rc = sq.step(a->select);
  if (rc == SQLITE_ROW && state(&a->c).snapshot_lsn == node_state(&w.a).c) {
    sqlite3_stmt *s;
    a->rows = model_mix_row(0, a->select);
    a->rows_expected = 0;
    OK(sq.prepare_v2(w.twin.sql, sql, -1, &s, NULL));
    while (sq.step(s) == SQLITE_ROW) a->rows_expected = model_mix_row(a->rows_expected, s);
    OK(sq.finalize(s));
    return;
  }
  sq.finalize(a->select);
  a->select = NULL;
  reopen_if_dead(a);
}

/* ---- entry points ------------------------------------------------------------------------------------- */

static void step(actor *a) {
  reopen_if_dead(a);
  if (chance(60) == 0) { /* whatever it does */
    actor_close(a);
    actor_open(a);
  } else if (a->tx) go_on_writing(a);
  else if (a->ticket) start_writing(a);
  else if (a->select) go_on_selecting(a);
  else if (a->reading) go_on_reading(a);
  else {
    uint32_t kind = chance(20);
    if (kind < 15) start_writing(a);
    else if (kind < 18) start_reading(a);
    else start_selecting(a);
  }
}

void op_actor(void) {
  actor *a = &w.actors[chance((uint32_t)w.actor_count)];
  if (a->busy) return;
  actor *outer = w.current;
  w.current = a;
  a->busy = 1;
  step(a);
  a->busy = 0;
  w.current = outer;
}

/* Everyone who is not in the middle of a transaction sees what the twin holds. */
void check_readers(void) {
  for (int i = 0; i < w.actor_count; i++) {
    actor *a = &w.actors[i];
    if (a->busy || a->ticket || a->tx || a->select) continue;
    w.current = a;
    a->busy = 1;
    reopen_if_dead(a);
    if (a->reading) go_on_reading(a);
    else start_reading(a);
    a->busy = 0;
    w.current = NULL;
  }
}
