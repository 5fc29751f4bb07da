/*
** dq_wal.c - one connection's private WAL and wal-index, in memory. They hold
** the running transaction only: after a commit the log counts as checkpointed
** (nBackfill = mxFrame), so that SQLite reads through the database file and
** restarts the log at its next write. Formats: SQLite's "WAL-mode File Format".
** Everything here belongs to the connection's thread.
*/
#include "dq_internal.h"

#define WAL_HEADER 32
#define FRAME_HEADER 24
#define REGION_BYTES 32768

/* ---- wal-index ------------------------------------------------------------------- */

typedef struct index_header { /* WalIndexHdr */
  uint32_t version, unused, change;
  uint8_t is_init, big_end_checksum;
  uint16_t page_size;
  uint32_t max_frame, page_count;
  uint32_t frame_checksum[2], salt[2], checksum[2];
} index_header;

typedef struct index_info { /* WalCkptInfo */
  uint32_t backfill;
  uint32_t read_mark[5];
  uint8_t lock[8];
  uint32_t backfill_attempted, unused;
} index_info;

_Static_assert(sizeof(index_header) == 48 && sizeof(index_info) == 40, "layout of the wal-index");

static index_header *header(const dq_handle *h, int copy) { return (index_header *)(void *)h->regions[0] + copy; }
static index_info *info(const dq_handle *h) { return (index_info *)(void *)(h->regions[0] + 2 * sizeof(index_header)); }

uint32_t dq_index_change(const dq_handle *h) { return header(h, 0)->change; }
uint32_t dq_index_last_frame(const dq_handle *h) { return header(h, 0)->max_frame; }

/* The log counts as checkpointed: SQLite takes READ0 and ignores it. */
void dq_index_backfilled(dq_handle *h) { info(h)->backfill = header(h, 0)->max_frame; }

/* A changed header makes SQLite flush its page cache: it compares all 48 bytes. */
void dq_index_publish(dq_handle *h, uint32_t page_count) {
  uint32_t size = h->db->page_size, s1 = 0, s2 = 0;
  index_header next = {.version = 3007000, .is_init = 1, .max_frame = 0, .page_count = page_count, .frame_checksum = {1, 1}, .salt = {1, 1}};
  next.change = DQ_MUTANT(19) ? 1 : header(h, 0)->change + 1;
  next.page_size = (uint16_t)((size & 0xff00) | (size >> 16));
  for (int i = 0; i < 10; i += 2) {
    uint32_t words[2];
    memcpy(words, (uint8_t *)&next + i * 4, 8);
    s1 += words[0] + s2;
    s2 += words[1] + s1;
  }
  next.checksum[0] = s1;
  next.checksum[1] = s2;
  *header(h, 1) = next;
  *header(h, 0) = next;
  *info(h) = (index_info){.read_mark = {0, 0, 0xffffffff, 0xffffffff, 0xffffffff}};
}

int dq_index_map(dq_handle *h, int region, int extend, void volatile **out) {
  *out = NULL;
  if (region >= h->region_count) {
    if (!extend) return SQLITE_OK;
    uint8_t **regions = dq_grow(h->regions, (size_t)(region + 1) * sizeof *regions);
    if (!regions) return SQLITE_IOERR_NOMEM;
    h->regions = regions;
    for (; h->region_count <= region; h->region_count++)
      if (!(regions[h->region_count] = dq_zalloc(REGION_BYTES))) return SQLITE_IOERR_NOMEM;
  }
  *out = h->regions[region];
  return SQLITE_OK;
}

void dq_index_free(dq_handle *h) {
  for (int i = 0; i < h->region_count; i++) dq_free(h->regions[i]);
  dq_free(h->regions);
  h->regions = NULL;
  h->region_count = 0;
}

/* ---- WAL ----------------------------------------------------------------------------- */

void dq_wal_clear(dq_handle *h) {
  for (uint32_t i = 0; i < h->frame_count; i++) dq_image_unref(h->frames[i].image);
  h->frame_count = 0;
  if (h->frame_capacity > 1024) { /* a large transaction must not pin its array */
    dq_free(h->frames);
    h->frames = NULL;
    h->frame_capacity = 0;
    dq_spill_trim(&h->db->spill);
  }
}

static uint32_t frame_page(const dq_frame *f) { return dq_get4(f->header); }
static uint32_t frame_truncate(const dq_frame *f) { return dq_get4(f->header + 4); }
static int64_t frame_bytes(const dq_handle *h) { return FRAME_HEADER + (int64_t)h->db->page_size; }

int64_t dq_wal_size(const dq_handle *h) { return h->frame_count ? WAL_HEADER + h->frame_count * frame_bytes(h) : h->wal_header_bytes; }

static int short_read(uint8_t *out, int n, int got) {
  memset(out + got, 0, (size_t)(n - got));
  return SQLITE_IOERR_SHORT_READ;
}

int dq_wal_read(dq_handle *h, void *buf, int n, int64_t offset) {
  uint8_t *out = buf;
  if (offset < WAL_HEADER) {
    int64_t left = (int64_t)h->wal_header_bytes - offset;
    if (n > left) return short_read(out, n, 0);
    memcpy(out, h->wal_header + offset, (size_t)n);
    return SQLITE_OK;
  }
  int64_t i = (offset - WAL_HEADER) / frame_bytes(h), at = (offset - WAL_HEADER) % frame_bytes(h);
  if (i >= h->frame_count || at + n > frame_bytes(h)) return short_read(out, n, 0);
  const dq_frame *f = &h->frames[i];
  int copied = 0;
  if (at < FRAME_HEADER) {
    copied = at + n > FRAME_HEADER ? FRAME_HEADER - (int)at : n;
    memcpy(out, f->header + at, (size_t)copied);
    at = FRAME_HEADER;
  }
  if (copied == n) return SQLITE_OK;
  if (at - FRAME_HEADER + n - copied > f->written) return short_read(out, n, copied);
  return dq_image_read(f->image, (uint32_t)at - FRAME_HEADER, (uint32_t)(n - copied), out + copied);
}

int dq_wal_truncate(dq_handle *h, int64_t size) {
  int64_t keep = size <= WAL_HEADER ? 0 : (size - WAL_HEADER) / frame_bytes(h);
  while (h->frame_count > keep) dq_image_unref(h->frames[--h->frame_count].image);
  return SQLITE_OK;
}

/* A frame header. SQLite also rewrites headers alone (walRewriteChecksums after
** the commit frame), so a header never touches the page behind it. */
static int write_frame_header(dq_handle *h, uint32_t i, const uint8_t *data) {
  if (!h->drafted && ((uint64_t)i + 1 - dq_index_last_frame(h)) * h->db->page_size > h->db->config.max_transaction_bytes) return DQ_TOO_LARGE;
  if (i == h->frame_capacity) {
    uint32_t capacity = i ? i * 2 : 16;
    dq_frame *frames = dq_grow(h->frames, capacity * sizeof *frames);
    if (!frames) return SQLITE_IOERR_NOMEM;
    h->frames = frames;
    h->frame_capacity = capacity;
  }
  if (i == h->frame_count) h->frames[h->frame_count++] = (dq_frame){0};
  memcpy(h->frames[i].header, data, FRAME_HEADER);
  return SQLITE_OK;
}

/* A draft may share the image, or it lies in the temporary file: then a fresh one takes its place. */
static int is_writable(const dq_frame *f) { return f->image && f->image->slot == DQ_IN_MEMORY && atomic_load(&f->image->refs) == 1; }

static int put_whole_page(dq_handle *h, uint32_t i, const uint8_t *data) {
  dq_frame *f = &h->frames[i];
  dq_image *image;
  if (is_writable(f)) {
    memcpy(f->image->data, data, h->db->page_size);
    return SQLITE_OK;
  }
  uint64_t bytes = ((uint64_t)i + 1 - dq_index_last_frame(h)) * h->db->page_size;
  int rc = dq_image_make(&h->db->spill, frame_page(f), data, h->drafted ? 0 : bytes, &image);
  if (rc) return rc == SQLITE_NOMEM ? SQLITE_IOERR_NOMEM : rc;
  dq_image_unref(f->image);
  f->image = image;
  return SQLITE_OK;
}

static int put_part_of_page(dq_handle *h, dq_frame *f, const uint8_t *data, uint32_t n, uint32_t at) {
  if (!is_writable(f)) {
    dq_image *image = dq_image_new(&h->db->spill);
    if (!image) return SQLITE_IOERR_NOMEM;
    int rc = f->image ? dq_image_read(f->image, 0, f->written, image->data) : SQLITE_OK;
    if (rc) {
      dq_image_unref(image);
      return rc;
    }
    dq_image_unref(f->image);
    f->image = image;
  }
  memcpy(f->image->data + at, data, n);
  return SQLITE_OK;
}

/* Pages that the transaction added without writing them become zero pages, so
** that every node has the same bytes there. */
static int fill_holes(dq_handle *h, dq_changes *changes, uint32_t old_count, uint32_t new_count) {
  uint32_t lock_page = dq_lock_page(h->db->page_size), n = changes->count, at = 0;
  /* A damaged page 1 may count more pages than there is memory for. */
  if (new_count > old_count && (uint64_t)(new_count - old_count) * h->db->page_size > h->db->config.max_transaction_bytes) return DQ_TOO_LARGE;
  for (uint32_t page = old_count + 1; page <= new_count; page++) {
    static const uint8_t zeros[65536];
    while (at < n && changes->items[at].page < page) at++;
    if ((page == lock_page && !DQ_MUTANT(55)) || (at < n && changes->items[at].page == page)) continue;
    dq_image *image;
    int rc = dq_image_make(&h->db->spill, page, zeros, (uint64_t)changes->count * h->db->page_size, &image);
    if (rc == SQLITE_OK) rc = dq_changes_add(changes, page, image);
    if (rc) return rc;
  }
  if (changes->count != n) dq_changes_sort(changes, new_count);
  return SQLITE_OK;
}

/* The commit point. All page data is final: SQLite writes the last page of a
** transaction last, and what follows are headers or padding. */
static int commit_point(dq_handle *h, uint32_t last) {
  dq_changes changes = {0};
  uint32_t page_count = frame_truncate(&h->frames[last]);
  int rc = SQLITE_OK;
  uint32_t first = dq_index_last_frame(h), end = DQ_MUTANT(50) ? h->frame_count : last + 1;
  for (uint32_t i = first; i < end && rc == SQLITE_OK; i++) {
    dq_frame *f = &h->frames[DQ_MUTANT(47) ? end - 1 - (i - first) : i];
    if (f->written != h->db->page_size) rc = SQLITE_IOERR_WRITE;
    else {
      dq_image_ref(f->image);
      rc = dq_changes_add(&changes, frame_page(f), f->image);
    }
  }
  if (rc == SQLITE_OK) {
    dq_changes_sort(&changes, page_count);
    if (!DQ_MUTANT(51)) rc = fill_holes(h, &changes, h->reader.page_count, page_count);
  }
  if (rc == SQLITE_OK) rc = dq_draft_make(h, page_count, &changes);
  else dq_changes_clear(&changes);
  if (rc) h->refused = 1;
  return rc == SQLITE_NOMEM ? SQLITE_IOERR_NOMEM : rc;
}

static int write_frame_page(dq_handle *h, uint32_t i, const uint8_t *data, uint32_t n, uint32_t at) {
  dq_frame *f = &h->frames[i];
  if (at > f->written) return SQLITE_IOERR_WRITE;
  int rc = n == h->db->page_size ? put_whole_page(h, i, data) : put_part_of_page(h, f, data, n, at);
  if (rc) return rc;
  if (at + n > f->written) f->written = at + n;
  int complete = at + n == h->db->page_size;
  return complete && frame_truncate(f) && !h->drafted ? commit_point(h, i) : SQLITE_OK;
}

int dq_wal_write(dq_handle *h, const void *data, int n, int64_t offset) {
  if (offset < WAL_HEADER) {
    if (offset + n > WAL_HEADER) return SQLITE_IOERR_WRITE;
    if (offset == 0) dq_wal_clear(h); /* the log restarts */
    memcpy(h->wal_header + offset, data, (size_t)n);
    h->wal_header_bytes = WAL_HEADER;
    return SQLITE_OK;
  }
  if (!h->drafted) {
    dq_lock(h->db);
    int rc = dq_handle_note(h, dq_handle_usable(h));
    dq_unlock(h->db);
    if (rc) return rc;
  }
  int64_t i = (offset - WAL_HEADER) / frame_bytes(h), at = (offset - WAL_HEADER) % frame_bytes(h);
  if (i > h->frame_count || at + n > frame_bytes(h)) return SQLITE_IOERR_WRITE;
  int rc;
  if (at == 0 && n == FRAME_HEADER) {
    static const uint8_t unwritten[65536];
    rc = write_frame_header(h, (uint32_t)i, data);
    if (DQ_MUTANT(45) && rc == SQLITE_OK && frame_truncate(&h->frames[i]) && !h->drafted) return write_frame_page(h, (uint32_t)i, unwritten, h->db->page_size, 0);
  } else if (at < FRAME_HEADER || i == h->frame_count) return SQLITE_IOERR_WRITE;
  else rc = write_frame_page(h, (uint32_t)i, data, (uint32_t)n, (uint32_t)at - FRAME_HEADER);
  if (rc == DQ_TOO_LARGE) {
    dq_lock(h->db);
    dq_handle_note(h, rc);
    dq_unlock(h->db);
  }
  return rc;
}
