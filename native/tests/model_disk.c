/*
** A's files: what a power cut would leave of them, checkpoints, exports,
** crashes and restarts.
*/
#include <fcntl.h>
#include <unistd.h>

#include "model.h"
#include "redo.h"

/* ---- writes that are not flushed yet ----------------------------------------------------- */

typedef struct unflushed {
  struct unflushed *prev; /* newest first */
  int64_t offset, n, old_n; /* old_n: as much of the old bytes was there */
  int64_t size;           /* of the file before */
  int truncates;
  uint8_t *old, *new;
} unflushed;

static struct file {
  int fd;
  unflushed *newest;
} files[2] = {{.fd = -1}, {.fd = -1}}; /* database, sums */
static int spill_fd = -1;

static void forget(struct file *f) {
  for (unflushed *u = f->newest, *prev; u; u = prev) {
    prev = u->prev;
    free(u->old);
    free(u->new);
    free(u);
  }
  f->newest = NULL;
}

static redo copies; /* of the checkpoint to w.target.head */

void disk_forget(void) {
  for (int i = 0; i < 2; i++) forget(&files[i]);
  redo_free(&copies);
}

static void note_write(struct file *f, const disk_event *e) {
  unflushed *u = calloc(1, sizeof *u);
  u->prev = f->newest;
  f->newest = u;
  u->size = lseek(f->fd, 0, SEEK_END);
  u->truncates = e->call == DISK_TRUNCATE;
  u->offset = u->truncates ? e->n : e->offset;
  u->n = u->truncates ? u->size - e->n : e->n;
  if (u->n < 0) u->n = 0;
  u->old = malloc((size_t)u->n + 1);
  u->old_n = pread(f->fd, u->old, (size_t)u->n, u->offset);
  if (u->truncates) return;
  u->new = malloc((size_t)u->n + 1);
  memcpy(u->new, e->data, (size_t)u->n);
}

/* A random part of the unflushed writes, torn at 512 bytes, reached the disk. */
static void again(int fd, const unflushed *u) {
  if (!u) return;
  again(fd, u->prev);
  if (chance(2)) return;
  if (u->truncates) {
    CHECK(ftruncate(fd, u->offset) == 0);
    return;
  }
  int64_t from = chance(3) ? 0 : chance((uint32_t)(u->n / 512 + 1)) * 512, to = chance(3) ? u->n : from + chance((uint32_t)((u->n - from) / 512 + 1)) * 512;
  CHECK(pwrite(fd, u->new + from, (size_t)(to - from), u->offset + from) == to - from);
}

static void cut_power(const struct file *f, const char *path) {
  int fd = open(path, O_RDWR);
  for (unflushed *u = f->newest; u; u = u->prev) {
    CHECK(pwrite(fd, u->old, (size_t)u->old_n, u->offset) == u->old_n);
    CHECK(ftruncate(fd, u->size) == 0);
  }
  again(fd, f->newest);
  close(fd);
}

/* ---- calls ------------------------------------------------------------------------------------- */

static void follow_descriptor(const disk_event *e) {
  const char *const paths[] = {w.a.path, w.a.sums};
  for (int i = 0; i < 2; i++) {
    if (e->call == DISK_OPEN && strcmp(e->path, paths[i]) == 0) files[i].fd = e->fd;
    if (e->call == DISK_CLOSE && files[i].fd == e->fd) files[i].fd = -1;
  }
  if (e->call == DISK_OPEN && strncmp(e->path, w.a.path, strlen(w.a.path)) == 0 && strstr(e->path, DQ_SPILL_SUFFIX)) spill_fd = e->fd;
  if (e->call == DISK_CLOSE && spill_fd == e->fd) spill_fd = -1;
}

void disk_call(const disk_event *e) {
  if (e->call == DISK_OPEN || e->call == DISK_CLOSE) {
    follow_descriptor(e);
    return;
  }
  struct file *f = e->fd == files[0].fd ? &files[0] : e->fd == files[1].fd ? &files[1] : NULL;
  if (!f) {
    if (e->fd == spill_fd) op_inside();
    return;
  }
  if (e->call != DISK_READ && w.crash_in && --w.crash_in == 0) check_crash(1);
  int reader = e->call == DISK_READ && !w.checkpointing;
  w.reading_file += reader;
  op_inside();
  w.reading_file -= reader;
  if (e->call == DISK_WRITE || e->call == DISK_TRUNCATE) note_write(f, e);
  if (e->call == DISK_SYNC) forget(f);
}

/* ---- checkpoints --------------------------------------------------------------------------------- */

/* The state to be checkpointed, c or that of an export, and its copies. 0: none now. */
static int choose_state(redo *next, int *head) {
  dq_snapshot *c, *view;
  OK(dq_snapshot_open(w.a.db, &c, &next->lsn, &next->page_count, &next->checksum));
  view = c;
  for (int i = 0; i < MAX_SNAPSHOTS; i++)
    if (w.snapshots[i].s && chance(2)) {
      view = w.snapshots[i].s;
      next->lsn = w.snapshots[i].lsn;
      next->page_count = w.snapshots[i].pages;
      next->checksum = w.snapshots[i].sum;
    }
  const struct state *state = find_state(next->lsn);
  int fits = state && state->head >= w.target.head && next->lsn >= node_state(&w.a).checkpoint_lsn; /* never to an older state than the last target */
  w.off++;
  fits = fits && redo_take(next, &w.a, view, (int)chance(2)) == SQLITE_OK;
  w.off--;
  dq_snapshot_close(c);
  if (!fits) redo_free(next);
  else *head = state->head;
  return fits;
}

/* What it adds is written first; then copies and target are durable, then it overwrites.
** While it adds, c may move and the state's snapshots may end: SQLITE_BUSY, and nothing is overwritten. */
static int checkpoint_to(redo *next, int head) {
  uint32_t pages;
  uint64_t checksum;
  redo_extend(next, files[0].fd);
  redo_free(&copies);
  copies = *next;
  w.target.head = head;
  w.target.lsn = 0;
  int rc = dq_db_checkpoint(w.a.db, copies.lsn, copies.filed_from, &pages, &checksum);
  if (rc) return rc;
  EQ(copies.page_count, pages);
  CHECK(copies.checksum == checksum);
  EQ(copies.listed, w.a.db->ckpt_count);
  return SQLITE_OK;
}

void op_checkpoint(void) {
  redo next = {0};
  int head;
  if (w.checkpointing || w.reading_file || w.head == w.done || !choose_state(&next, &head)) return;
  SAY("checkpoint of %llu", (unsigned long long)next.lsn);
  w.checkpointing = 1;
  if (chance(4) == 0) w.crash_in = 1 + (int)chance(20);
  int rc = checkpoint_to(&next, head);
  w.checkpointing = 0;
  w.crash_in = 0;
  if (rc == SQLITE_BUSY || rc == DQ_SNAPSHOT_GONE) return;
  OK(rc);
  w.target.lsn = copies.lsn;
  w.did.checkpoints++;
}

void op_checkpoint_done(void) {
  SAY("checkpoint done");
  if (w.checkpointing || !w.target.lsn) return;
  w.a.config.page_count = copies.page_count;
  w.a.config.checksum = copies.checksum;
  w.done = w.target.head;
  OK(dq_db_checkpoint_done(w.a.db, w.target.lsn));
  w.target.lsn = 0;
  forget_entries(w.done);
  if (chance(4) == 0) check_crash((int)chance(2));
}

/* ---- exports ---------------------------------------------------------------------------------------- */

static void read_snapshot(int i) {
  static uint8_t page[65536];
  uint64_t sum = 0;
  for (uint32_t p = 1; p <= w.snapshots[i].pages; p++) {
    int rc = dq_snapshot_page(w.snapshots[i].s, p, page);
    if (rc == DQ_SNAPSHOT_GONE) return;
    OK(rc);
    sum ^= dq_page_checksum(p, page, w.a.config.page_size);
  }
  CHECK(sum == w.snapshots[i].sum);
}

void op_snapshot(void) {
  SAY("snapshot");
  uint32_t i = chance(MAX_SNAPSHOTS);
  if (!w.snapshots[i].s) {
    OK(dq_snapshot_open(w.a.db, &w.snapshots[i].s, &w.snapshots[i].lsn, &w.snapshots[i].pages, &w.snapshots[i].sum));
    return;
  }
  w.off++;
  read_snapshot((int)i);
  w.off--;
  if (chance(2)) return;
  dq_snapshot_close(w.snapshots[i].s);
  w.snapshots[i].s = NULL;
}

void close_snapshots(void) {
  for (int i = 0; i < MAX_SNAPSHOTS; i++) {
    dq_snapshot_close(w.snapshots[i].s);
    w.snapshots[i].s = NULL;
  }
}

/* ---- crashes -------------------------------------------------------------------------------------------- */

/* What a node does before it opens its files; returns the entry that they hold then. */
static int mend(node *n) {
  if (w.target.head > w.done) {
    redo_restore(&copies, n);
    return w.target.head;
  }
  if (chance(2)) redo_cut(n); /* else the tail is ignored */
  return w.done;
}

/* The log, as far as it is known to be committed. */
static void replay(node *n, int from, int to) {
  for (int i = from; i < to; i++) OK(dq_db_apply(n->db, w.log[i].pages, w.log[i].numbers, w.log[i].images, w.log[i].page_count, w.log[i].checksum, NULL));
  OK(dq_db_set_serving(n->db, 0));
}

static void dump_is_the_twins(node *n) {
  conn c;
  uint64_t hash;
  conn_open(&c, n, 0);
  OK(run(&c, "BEGIN"));
  OK(model_dump(c.sql, &hash));
  OK(run(&c, "COMMIT"));
  CHECK(hash == w.states[w.state_count - 1].hash);
  CHECK(strcmp(text(&c, "PRAGMA integrity_check"), "ok") == 0);
  conn_close(&c);
}

void check_crash(int power_cut) {
  if (w.off || w.states[w.state_count - 1].head != w.head) return;
  SAY("crash in %s", w.checkpointing ? "a checkpoint" : "nothing");
  w.off++;
  node copy;
  node_copy_files(&w.a, &copy, "model_crash");
  if (power_cut) {
    cut_power(&files[0], copy.path);
    cut_power(&files[1], copy.sums);
  }
  int from = mend(&copy), to = w.head - (int)chance((uint32_t)(w.head - from + 1));
  node_open(&copy);
  replay(&copy, from, to);
  same_image(&copy, to == w.head ? &w.a : &copy); /* in any case every page has its checksum */
  if (to == w.head) dump_is_the_twins(&copy);
  node_stop(&copy);
  w.did.crashes++;
  w.off--;
}

/* The process dies and starts again on its own files. */
void op_restart(void) {
  SAY("restart");
  op_fence();
  op_decide(0); /* A's share comes from the log */
  op_resolve(1);
  w.off++;
  for (int i = 0; i < w.actor_count; i++) actor_close(&w.actors[i]);
  close_snapshots();
  node_stop(&w.a);
  cut_power(&files[0], w.a.path);
  cut_power(&files[1], w.a.sums);
  w.done = w.target.head = mend(&w.a);
  disk_forget();
  forget_entries(w.done);
  node_open(&w.a);
  replay(&w.a, w.done, w.head);
  w.target.lsn = 0;
  w.state_count = 0;
  note_state();
  same_image(&w.a, &w.b);
  for (int i = 0; i < w.actor_count; i++) actor_open(&w.actors[i]);
  w.did.restarts++;
  w.off--;
}
