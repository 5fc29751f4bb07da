/*
** dq_format.c - NAME.db and NAME.sums: canonical page 1, the sums header and
** the builder. The byte tables are in docs/formats/database.md.
*/
#include "dq_internal.h"

static const char sqlite_magic[16] = "SQLite format 3";
static const uint8_t sums_magic[8] = {'D', 'q', 'l', 'i', 't', 'e', 'S', 'm'};
#define SUMS_VERSION 1
#define SQLITE_VERSION_OF_PAGE1 3037000 /* a constant, so that all nodes write the same bytes */

int dq_valid_page_size(uint32_t page_size) {
  return page_size >= 512 && page_size <= 65536 && (page_size & (page_size - 1)) == 0;
}

uint32_t dq_get4(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put4(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 24);
  p[1] = (uint8_t)(v >> 16);
  p[2] = (uint8_t)(v >> 8);
  p[3] = (uint8_t)v;
}

static void put2(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

uint32_t dq_page1_page_size(const uint8_t *page1) {
  if (memcmp(page1, sqlite_magic, sizeof sqlite_magic) != 0) return 0;
  uint32_t size = (uint32_t)page1[16] << 8 | page1[17];
  if (size == 1) size = 65536;
  return dq_valid_page_size(size) ? size : 0;
}

int dq_canonical_page1(void *page, uint32_t page_size, uint32_t auto_vacuum) {
  if (!page || !dq_valid_page_size(page_size) || auto_vacuum > 2) return SQLITE_MISUSE;
  uint8_t *p = page;
  memset(p, 0, page_size);
  memcpy(p, sqlite_magic, sizeof sqlite_magic);
  put2(p + 16, page_size == 65536 ? 1 : page_size);
  p[18] = p[19] = 2; /* WAL, so that SQLite never asks for a rollback journal */
  p[21] = 64;
  p[22] = p[23] = 32;
  put4(p + 24, 1);
  put4(p + 28, 1);
  put4(p + 52, auto_vacuum != 0);
  put4(p + 64, auto_vacuum == 2);
  put4(p + 92, 1);
  put4(p + 96, SQLITE_VERSION_OF_PAGE1);
  p[100] = 0x0d;
  put2(p + 105, page_size & 0xffff);
  return SQLITE_OK;
}

void dq_sums_header(uint8_t *out, uint32_t page_size) {
  uint32_t version = SUMS_VERSION;
  memset(out, 0, DQ_SUMS_HEADER);
  memcpy(out, sums_magic, sizeof sums_magic);
  memcpy(out + 8, &version, 4);
  memcpy(out + 12, &page_size, 4);
  uint64_t check = dq_xxh64(out, 24, 0);
  memcpy(out + 24, &check, 8);
}

int dq_sums_check(const uint8_t *header, uint32_t page_size) {
  uint8_t expected[DQ_SUMS_HEADER];
  dq_sums_header(expected, page_size);
  return memcmp(header, expected, DQ_SUMS_HEADER) == 0 ? SQLITE_OK : SQLITE_CORRUPT;
}

/* ---- builder -------------------------------------------------------------------- */

struct dq_builder {
  int fd, sums_fd;
  uint32_t page_size, capacity;
  uint64_t *sums;
  uint8_t *given; /* one byte a page: a checksum may be 0 */
};

int dq_builder_open(const char *db_path, const char *sums_path, uint32_t page_size, dq_builder **out) {
  *out = NULL;
  if (!db_path || !sums_path || !dq_valid_page_size(page_size)) return SQLITE_MISUSE;
  dq_builder *b = dq_zalloc(sizeof *b);
  if (!b) return SQLITE_NOMEM;
  int flags = DQ_OPEN_READ | DQ_OPEN_WRITE | DQ_OPEN_CREATE | DQ_OPEN_TRUNCATE;
  b->page_size = page_size;
  b->sums_fd = -1;
  b->fd = dq_file_open(db_path, flags, 0644);
  if (b->fd >= 0) b->sums_fd = dq_file_open(sums_path, flags, 0644);
  if (b->sums_fd < 0) {
    dq_builder_close(b);
    return SQLITE_CANTOPEN;
  }
  *out = b;
  return SQLITE_OK;
}

static int builder_reserve(dq_builder *b, uint32_t pages) {
  if (pages <= b->capacity) return SQLITE_OK;
  uint64_t capacity = b->capacity ? (uint64_t)b->capacity * 2 : 1024;
  if (capacity < pages) capacity = pages;
  if (capacity > UINT32_MAX) capacity = UINT32_MAX;
  uint64_t *sums = dq_grow(b->sums, capacity * sizeof *sums);
  if (!sums) return SQLITE_NOMEM;
  b->sums = sums;
  uint8_t *given = dq_grow(b->given, capacity);
  if (!given) return SQLITE_NOMEM;
  b->given = given;
  memset(sums + b->capacity, 0, (capacity - b->capacity) * sizeof *sums);
  memset(given + b->capacity, 0, capacity - b->capacity);
  b->capacity = (uint32_t)capacity;
  return SQLITE_OK;
}

int dq_builder_page(dq_builder *b, uint32_t page_number, const void *page) {
  if (page_number == 0) return SQLITE_MISUSE;
  if (page_number == dq_lock_page(b->page_size)) return SQLITE_OK;
  int rc = builder_reserve(b, page_number);
  if (rc) return rc;
  int64_t offset = (int64_t)(page_number - 1) * b->page_size;
  if (dq_file_write(b->fd, page, b->page_size, offset) < 0) return SQLITE_IOERR_WRITE;
  b->sums[page_number - 1] = dq_page_checksum(page_number, page, b->page_size);
  b->given[page_number - 1] = 1;
  return SQLITE_OK;
}

int dq_builder_finish(dq_builder *b, uint32_t page_count, uint64_t *checksum) {
  uint64_t sum = 0;
  if (page_count == 0 || page_count > b->capacity) return SQLITE_CORRUPT;
  for (uint32_t i = 0; i < page_count; i++) {
    if (!b->given[i] && i + 1 != dq_lock_page(b->page_size)) return SQLITE_CORRUPT;
    sum ^= b->sums[i];
  }
  uint8_t header[DQ_SUMS_HEADER];
  dq_sums_header(header, b->page_size);
  if (dq_file_write(b->sums_fd, header, sizeof header, 0) < 0 ||
      dq_file_write(b->sums_fd, b->sums, (int64_t)page_count * 8, DQ_SUMS_HEADER) < 0)
    return SQLITE_IOERR_WRITE;
  if (dq_file_truncate(b->fd, (int64_t)page_count * b->page_size) < 0) return SQLITE_IOERR_TRUNCATE;
  if (dq_file_sync(b->fd) < 0 || dq_file_sync(b->sums_fd) < 0) return SQLITE_IOERR_FSYNC;
  if (checksum) *checksum = sum;
  return SQLITE_OK;
}

void dq_builder_close(dq_builder *b) {
  if (!b) return;
  if (b->fd >= 0) dq_file_close(b->fd);
  if (b->sums_fd >= 0) dq_file_close(b->sums_fd);
  dq_free(b->sums);
  dq_free(b->given);
  dq_free(b);
}

int dq_db_create_files(const char *path, const char *sums_path, uint32_t page_size, uint32_t auto_vacuum, uint64_t *checksum) {
  dq_builder *b;
  uint8_t *page = dq_alloc(65536);
  if (!page) return SQLITE_NOMEM;
  int rc = dq_canonical_page1(page, page_size, auto_vacuum);
  if (rc == SQLITE_OK) rc = dq_builder_open(path, sums_path, page_size, &b);
  if (rc == SQLITE_OK) {
    rc = dq_builder_page(b, 1, page);
    if (rc == SQLITE_OK) rc = dq_builder_finish(b, 1, checksum);
    dq_builder_close(b);
  }
  dq_free(page);
  return rc;
}
