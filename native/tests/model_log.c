/* What becomes of drafts: entries of the log, fences, another leader, installs. */
#include "model.h"

/* ---- transactions --------------------------------------------------------------------- */

tx *tx_new(void) {
  tx *t = calloc(1, sizeof *t);
  t->next_made = w.made;
  w.made = t;
  return t;
}

void tx_pend(tx *t, uint64_t lsn) {
  t->lsn = lsn;
  tx **at = &w.pending;
  while (*at && ((*at)->lsn < lsn || ((*at)->lsn == lsn && (!(*at)->probe || t->probe)))) at = &(*at)->next_pending;
  t->next_pending = *at;
  *at = t;
}

void tx_compare(const tx *t) {
  for (int i = 0; i < t->ran && i < t->answered; i++)
    if (t->answers[i].rc != t->twin[i].rc || t->answers[i].rows != t->twin[i].rows)
      test_fail(__FILE__, __LINE__, "%s%s (statement %d of %d) answered %d %016llx and the twin %d %016llx", t->probe ? "without a draft, " : "", t->sql[i], i + 1, t->count,
                t->answers[i].rc, (unsigned long long)t->answers[i].rows, t->twin[i].rc, (unsigned long long)t->twin[i].rows);
}

static void run_on_twin(tx *t) {
  int transaction = t->explicit || t->probe;
  if (t->probe && t->alone) return;
  if (transaction) OK(run(&w.twin, "BEGIN"));
  for (int i = 0; i < t->count; i++) t->twin[i] = model_execute(w.twin.sql, t->sql[i], NULL, NULL);
  if (transaction) OK(run(&w.twin, t->probe ? "ROLLBACK" : "COMMIT"));
  t->ran = t->count;
  tx_compare(t);
}

/* Everything pending up to lsn is decided. */
void decide_pending(uint64_t lsn, enum fate fate) {
  while (w.pending && w.pending->lsn <= lsn) {
    tx *t = w.pending;
    w.pending = t->next_pending;
    t->fate = fate;
    if (fate == FATE_COMMITTED) run_on_twin(t);
    if (t->probe) w.did.probes++;
    else if (fate == FATE_COMMITTED) w.did.commits++;
  }
}

void note_drafts(void) {
  for (int i = 0; i < w.actor_count; i++) {
    actor *a = &w.actors[i];
    if (!a->tx || a->tx->lsn || !a->c.h) continue;
    dq_handle_state s = state(&a->c);
    if (!s.draft_lsn) continue;
    tx_pend(a->tx, s.draft_lsn);
    w.did.drafts++;
    if (!a->own) EQ(0, s.holds_slot); /* it waits for Raft with the slot free */
  }
}

/* ---- states of A ------------------------------------------------------------------------------ */

void note_state(void) {
  struct state *s = &w.states[w.state_count++];
  *s = (struct state){.lsn = node_state(&w.a).c, .head = w.head};
  OK(run(&w.twin, "BEGIN"));
  OK(model_dump(w.twin.sql, &s->hash));
  OK(run(&w.twin, "COMMIT"));
  if (w.state_count > 1) CHECK(s[0].lsn > s[-1].lsn);
}

const struct state *find_state(uint64_t lsn) {
  for (int i = w.state_count - 1; i >= 0; i--)
    if (w.states[i].lsn == lsn) return &w.states[i];
  return NULL;
}

/* ---- entries ------------------------------------------------------------------------------------- */

static entry entry_of(const dq_batch *b) {
  entry e = {.pages = b->pages, .page_count = b->page_count, .checksum = b->checksum};
  e.numbers = malloc((b->pages + 1) * sizeof *e.numbers);
  e.images = malloc((size_t)b->pages * b->page_size + 1);
  memcpy(e.numbers, b->page_numbers, b->pages * sizeof *e.numbers);
  w.off++;
  OK(dq_batch_read(b, 0, b->pages, e.images));
  w.off--;
  return e;
}

void forget_entries(int below) {
  for (int i = below - 1; i >= 0 && w.log[i].images; i--) {
    free(w.log[i].numbers);
    free(w.log[i].images);
    w.log[i].images = NULL;
  }
}

/* One thread applies, leads and commits: none of them happens inside another. */
static void apply_entry(node *n, const entry *e) {
  w.off++;
  OK(dq_db_apply(n->db, e->pages, e->numbers, e->images, e->page_count, e->checksum, NULL));
  w.off--;
}

void op_poll(void) {
  SAY("poll");
  if (w.pipe_count == MAX_PIPE) return;
  dq_batch *b;
  OK(dq_db_poll(w.a.db, chance(3) ? 1 << 20 : 1, &b));
  if (!b) return;
  EQ(w.term, b->term);
  w.pipe[w.pipe_count++] = b;
}

void op_commit(void) {
  SAY("commit");
  note_drafts();
  if (!w.pipe_count || w.head >= MAX_ENTRIES - 8) return;
  dq_batch *b = w.pipe[0];
  memmove(w.pipe, w.pipe + 1, (size_t)--w.pipe_count * sizeof *w.pipe);
  entry *e = &w.log[w.head++];
  *e = entry_of(b);
  apply_entry(&w.b, e); /* the follower may well be first */
  OK(dq_db_commit(w.a.db, b->lsn_last));
  decide_pending(b->lsn_last, FATE_COMMITTED);
  note_state();
  dq_batch_free(b);
}

/* ---- leadership -------------------------------------------------------------------------------------- */

void op_fence(void) {
  if (!w.leading) return;
  while (chance(3) && w.pipe_count < MAX_PIPE && node_state(&w.a).queued_drafts) op_poll();
  SAY("fence");
  note_drafts();
  uint64_t proposed = w.pipe_count ? w.pipe[w.pipe_count - 1]->lsn_last : 0;
  int survivors = (int)chance((uint32_t)w.pipe_count + 1);
  tx **at = &w.pending;
  while (*at && (*at)->lsn <= proposed) at = &(*at)->next_pending;
  for (tx *t = *at; t; t = t->next_pending) t->fate = FATE_DROPPED;
  *at = NULL;
  for (int i = 0; i < w.pipe_count; i++) w.limbo[i] = (lost){.batch = w.pipe[i], .committed = i < survivors};
  w.limbo_count = w.pipe_count;
  w.pipe_count = 0;
  w.leading = 0;
  w.did.fences++;
  OK(dq_db_fence(w.a.db, proposed));
  dq_db_state s = node_state(&w.a);
  CHECK(s.c == s.d && s.queued_drafts == 0 && s.undecided_bytes == 0);
  for (int i = 0; i < w.actor_count; i++) CHECK(w.actors[i].ticket != 1); /* nobody is left behind in the queue */
}

/* The log decides what was proposed: the next leader has it or has not. */
void op_decide(int apply) {
  SAY("decide");
  if (w.leading || !w.limbo_count || w.unresolved_count + MAX_PIPE > MAX_UNRESOLVED || w.head >= MAX_ENTRIES - 8) return;
  note_drafts();
  for (int i = 0; i < w.limbo_count; i++) {
    lost *l = &w.limbo[i];
    if (l->committed) {
      entry *e = &w.log[w.head++];
      *e = entry_of(l->batch);
      apply_entry(&w.b, e);
      if (apply) apply_entry(&w.a, e);
      w.did.survivors++;
    }
    decide_pending(l->batch->lsn_last, l->committed ? FATE_COMMITTED : FATE_DROPPED);
    if (l->committed && apply) note_state();
    w.unresolved[w.unresolved_count++] = *l;
  }
  w.limbo_count = 0;
}

void op_resolve(int all) {
  while (w.unresolved_count) {
    SAY("resolve");
    lost l = w.unresolved[0];
    memmove(w.unresolved, w.unresolved + 1, (size_t)--w.unresolved_count * sizeof l);
    OK(dq_db_resolve(w.a.db, l.batch->lsn_first, l.batch->lsn_last, l.committed));
    dq_batch_free(l.batch);
    if (!all) return;
  }
}

void op_lead(void) {
  SAY("lead");
  if (w.leading || w.limbo_count) return;
  OK(dq_db_lead(w.a.db, ++w.term));
  dq_db_set_lease(w.a.db, chance(2) ? INT64_MAX : 0);
  w.leading = 1;
}

/* ---- the other leader ------------------------------------------------------------------------------------ */

static void write_at_b(int statements, int first) {
  tx *t = tx_new();
  t->explicit = statements > 1;
  OK(dq_slot_request(w.b.db, w.b_conn.ticket));
  OK(dq_handle_arm(w.b_conn.h, w.b_conn.ticket));
  if (t->explicit) OK(run(&w.b_conn, "BEGIN IMMEDIATE"));
  for (int i = 0; i < statements; i++) {
    char *sql = t->sql[t->count];
    if (first) model_table(sql, (uint32_t)i, chance(4));
    else t->alone |= model_statement(sql, &w.seed, t->explicit);
    t->answers[t->count] = model_execute(w.b_conn.sql, sql, NULL, NULL);
    if (t->answers[t->count].rc != SQLITE_ERROR) t->count++; /* as in model_actor.c */
  }
  t->answered = t->count;
  if (t->explicit) OK(run(&w.b_conn, "COMMIT"));
  dq_slot_release(w.b.db, w.b_conn.ticket);
  t->fate = FATE_COMMITTED;
  run_on_twin(t);
}

/* B's drafts become one entry. */
static void entry_at_b(int apply) {
  dq_batch *b;
  OK(dq_db_poll(w.b.db, 1ull << 40, &b));
  if (!b) return;
  entry *e = &w.log[w.head++];
  *e = entry_of(b);
  OK(dq_db_commit(w.b.db, b->lsn_last));
  if (apply) {
    apply_entry(&w.a, e);
    note_state();
  }
  dq_batch_free(b);
  w.did.foreign++;
}

void make_tables(void) {
  OK(dq_db_lead(w.b.db, ++w.term));
  write_at_b(4, 1);
  entry_at_b(1);
  OK(dq_db_fence(w.b.db, 0));
}

static void install(void) {
  node files;
  OK(node_checkpoint(&w.b));
  node_copy_files(&w.b, &files, "model_install");
  OK(dq_file_rename(files.path, w.a.path));
  OK(dq_file_rename(files.sums, w.a.sums));
  disk_forget();
  OK(dq_db_reopen(w.a.db, w.b.config.page_count, w.b.config.checksum));
  w.a.config.page_count = w.b.config.page_count;
  w.a.config.checksum = w.b.config.checksum;
  w.done = w.target.head = w.head;
  w.target.lsn = 0;
  forget_entries(w.head);
  note_state();
  w.did.installs++;
}

void op_other_leader(int by_install) {
  SAY(by_install ? "install" : "another leader");
  if (w.leading || w.limbo_count || w.head >= MAX_ENTRIES - 8 || (by_install && w.checkpointing)) return;
  w.off++;
  OK(dq_db_lead(w.b.db, ++w.term));
  for (uint32_t entries = 1 + chance(2); entries > 0; entries--) {
    for (uint32_t k = 1 + chance(3); k > 0; k--) write_at_b(1 + (int)chance(4), 0);
    entry_at_b(!by_install);
  }
  OK(dq_db_fence(w.b.db, 0));
  if (by_install) install();
  w.off--;
}

void settle_everything(void) {
  op_decide(1);
  op_resolve(1);
  op_lead();
  do {
    while (w.pipe_count) op_commit();
    op_poll();
  } while (w.pipe_count);
  dq_db_state s = node_state(&w.a);
  CHECK(s.c == s.d && s.queued_drafts == 0 && s.undecided_bytes == 0 && s.poisoned == 0);
  CHECK(!w.pending);
}
