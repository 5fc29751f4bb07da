/* The random-operation test of model.h: DQ_SEED and DQ_ROUNDS replay it. */
#include <unistd.h>

#include "model.h"

#define ROUNDS 50
#define STEPS 400
#define MAX_DEPTH 2

world w;

/* ---- inside calls --------------------------------------------------------------------------- */

static void something(void) {
  switch (chance(20)) {
    case 0: case 1: op_poll(); op_commit(); break;
    case 2: op_commit(); op_checkpoint(); op_checkpoint_done(); break;
    case 3: if (w.stormy || chance(4) == 0) op_fence(); break;
    case 4: case 5: op_decide(1); break;
    case 6: op_resolve(0); break;
    case 7: case 8: op_lead(); break;
    case 9: op_other_leader(0); break;
    case 10: op_checkpoint_done(); break;
    case 11: op_snapshot(); break;
    case 12: hook_now_ns += chance(3000000); break;
    default: op_actor(); break;
  }
}

void op_inside(void) {
  if (w.off || w.depth >= MAX_DEPTH || chance(1000) >= w.hook_rate) return;
  w.depth++;
  w.did.inside++;
  something();
  w.depth--;
}

static void io_call(const io_event *e) {
  if (e->call == IO_LOCK && e->offset >= DQ_TEST_READ_LOCK) note_touch(e->c);
  op_inside();
}

/* A plain connection waits: for the slot, for c, or for Raft. In the end time passes. */
static void in_wait(int64_t deadline) {
  note_drafts();
  if (w.off || chance(20) == 0) {
    hook_now_ns = deadline;
    w.timeouts++;
    return;
  }
  w.depth++;
  if (w.depth <= MAX_DEPTH) something();
  else if (chance(3)) op_commit();
  else if (chance(2)) op_poll();
  else op_decide(1), op_resolve(1), op_lead();
  hook_now_ns += 100000;
  w.depth--;
}

static int in_barrier(void *ctx) {
  (void)ctx;
  op_inside();
  if (w.current) w.current->barrier_c = node_state(&w.a).c;
  return w.leading || chance(4) ? SQLITE_OK : DQ_NOT_LEADER;
}

static void rotten(void *ctx, uint32_t page) {
  (void)ctx;
  test_fail(__FILE__, __LINE__, "page %u does not match its checksum", page);
}

/* ---- a round ---------------------------------------------------------------------------------- */

static void start_twin(uint32_t page_size, uint32_t auto_vacuum) {
  char sql[100];
  OK(sq.open_v2(":memory:", &w.twin.sql, 0x2 | 0x4, NULL));
  sq.extended_result_codes(w.twin.sql, 1);
  snprintf(sql, sizeof sql, "PRAGMA page_size=%u; PRAGMA auto_vacuum=%u", page_size, auto_vacuum);
  OK(run(&w.twin, sql));
}

static void start_world(uint64_t seed) {
  w = (world){.seed = seed, .off = 1, .trace = getenv("DQ_TRACE") != NULL};
  hook_now_ns = 1000000000;
  uint32_t page_size = chance(8) == 0 ? 65536 : 512u << chance(4), auto_vacuum = chance(3);
  w.cache_size = 1 + chance(20);
  w.hook_rate = chance(3) ? chance(chance(4) ? 60 : 400) : 0;
  w.ddl = chance(3) == 0;
  w.stormy = chance(3) == 0;
  w.spilling = chance(2) || getenv("DQ_SPILL");
  node_prepare(&w.a, "model_a", page_size, auto_vacuum);
  w.a.config.on_draft = NULL;
  w.a.config.on_slot = model_slot;
  w.a.config.read_barrier = in_barrier;
  w.a.config.on_rot = rotten;
  w.a.config.slot_hold_ns = chance(2) ? 50000000 : 0;
  w.a.config.max_version_bytes = chance(3) ? 1ull << 30 : 20ull * page_size;
  w.a.config.spill_bytes = w.spilling ? (chance(3) ? 1 : 40ull * page_size) : 0;
  w.a.config.max_undecided_bytes = chance(3) ? 1ull << 30 : 60ull * page_size;
  node_open(&w.a);
  OK(dq_db_set_serving(w.a.db, 0));
  node_start(&w.b, "model_b", page_size, auto_vacuum);
  start_twin(page_size, auto_vacuum);
  conn_open(&w.b_conn, &w.b, 1);
  note_state();
  make_tables();
  op_lead();
  w.actor_count = 2 + (int)chance(MAX_ACTORS - 1);
  for (int i = 0; i < w.actor_count; i++) {
    w.actors[i].own = (int)chance(2);
    actor_open(&w.actors[i]);
  }
  w.off = 0;
}

static void one_step(void) {
  switch (chance(80)) {
    case 0: case 1: case 2: case 3: op_poll(); break;
    case 4: case 5: case 6: case 7: op_commit(); break;
    case 8: if (w.stormy || chance(2)) op_fence(); break;
    case 79: if (w.stormy) op_fence(); break;
    case 9: case 10: case 11: op_decide(1); break;
    case 12: op_resolve((int)chance(2)); break;
    case 13: case 14: case 15: case 16: op_lead(); break;
    case 17: op_other_leader(chance(3) == 0); break;
    case 18: op_checkpoint(); break;
    case 19: op_checkpoint_done(); break;
    case 20: op_snapshot(); break;
    case 21: hook_now_ns += chance(100000000); break;
    case 22: dq_slot_revoke(w.a.db, w.actors[chance((uint32_t)w.actor_count)].c.ticket, DQ_SLOT_REVOKED); break;
    case 23: if (chance(4) == 0) check_crash(1); break;
    case 24: if (chance(8) == 0) op_restart(); break;
    default: op_actor(); break;
  }
}

/* Nothing is undecided: a free slot goes to who waits for it. */
static void check_slot(void) {
  int held = 0, queued = 0;
  for (int i = 0; i < w.actor_count; i++) {
    held |= w.actors[i].ticket == 2 || state(&w.actors[i].c).holds_slot;
    queued |= w.actors[i].ticket == 1;
  }
  CHECK(held || !queued);
}

static void quiet_point(void) {
  settle_everything();
  check_slot();
  SAY("compare at a quiet point");
  check_readers();
  w.off++;
  same_image(&w.a, &w.b);
  const struct state *s = find_state(node_state(&w.a).c);
  CHECK(s && s->head == w.head);
  conn c;
  conn_open(&c, &w.a, 0);
  CHECK(strcmp(text(&c, "PRAGMA integrity_check"), "ok") == 0);
  conn_close(&c);
  w.off--;
}

/* The file of a cleanly stopped node is a plain SQLite database. */
static void check_plain_file(void) {
  conn c = {0};
  uint64_t hash;
  OK(sq.open_v2(w.a.path, &c.sql, 0x2, "unix"));
  OK(run(&c, "BEGIN"));
  OK(model_dump(c.sql, &hash));
  OK(run(&c, "COMMIT"));
  CHECK(hash == w.states[w.state_count - 1].hash);
  CHECK(strcmp(text(&c, "PRAGMA integrity_check"), "ok") == 0);
  OK(sq.close_v2(c.sql));
}

static void end_world(void) {
  w.off++;
  for (int i = 0; i < w.actor_count; i++) actor_close(&w.actors[i]);
  close_snapshots();
  settle_everything();
  uint64_t lsn = node_state(&w.a).c;
  SAY("the last checkpoint");
  OK(dq_db_checkpoint(w.a.db, lsn, 0, NULL, NULL));
  OK(dq_db_checkpoint_done(w.a.db, lsn));
  dq_db_state s = node_state(&w.a);
  EQ(0, s.version_bytes);
  EQ(0, s.dirty_pages);
  EQ(0, s.handles);
  EQ(0, w.a.db->spill.used);
  EQ(0, w.a.db->spill.resident);
  EQ(-1, w.a.db->spill.fd);
  node_stop(&w.a);
  check_plain_file();
  conn_close(&w.b_conn);
  node_stop(&w.b);
  OK(sq.close_v2(w.twin.sql));
  disk_forget();
  forget_entries(w.head);
  for (tx *t = w.made, *next; t; t = next) {
    next = t->next_made;
    free(t);
  }
}

static int one_round(uint64_t seed) {
  start_world(seed);
  int step = 0;
  for (; step < STEPS && !test_failures(); step++) {
    one_step();
    if (step % 40 == 39) quiet_point();
  }
  if (test_failures()) {
    printf("  seed %llu, step %d, at: %s\n", (unsigned long long)seed, step, w.last);
    return 0;
  }
  end_world();
  if (test_failures()) printf("  seed %llu, at the end: %s\n", (unsigned long long)seed, w.last);
  return !test_failures();
}

TEST(Model_random_operations_agree_with_a_plain_twin) {
  uint64_t seed = test_seed();
  int rounds = test_rounds(ROUNDS), total[sizeof w.did / sizeof(int)] = {0};
  hooks_on();
  wait_hook = in_wait;
  disk_hook = disk_call;
  io_hook = io_call;
  for (int i = 0; i < rounds; i++) {
    if (!one_round(seed + (uint64_t)i)) exit(1); /* what it leaves behind would only hide the failure */
    for (size_t k = 0; k < sizeof total / sizeof *total; k++) total[k] += ((int *)&w.did)[k];
  }
  hooks_off();
  printf("  %d rounds: %d drafts, %d committed, %d probes, %d reads, %d fences, %d survivors, %d foreign, %d installs, %d checkpoints, %d crashes, %d restarts, %d inside, %d refused, %d unknown, %d dead\n",
         rounds, total[0], total[1], total[2], total[3], total[4], total[5], total[6], total[7], total[8], total[9], total[10], total[11], total[12], total[13], total[14]);
}
