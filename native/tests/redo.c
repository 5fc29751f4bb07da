/* Copies of what a checkpoint overwrites, as the node keeps them. */
#include "redo.h"

#include <fcntl.h>
#include <unistd.h>

static uint8_t *image_of(const redo *r, uint32_t i) { return r->images + (size_t)i * r->page_size; }

int redo_take(redo *r, node *n, dq_snapshot *view, int extends) {
  int fd = open(n->path, O_RDONLY);
  r->page_size = n->config.page_size;
  r->filed_from = extends ? (uint32_t)(lseek(fd, 0, SEEK_END) / r->page_size) + 1 : 0;
  close(fd);
  OK(dq_db_checkpoint_pages(n->db, r->lsn, NULL, 0, &r->listed));
  r->pages = malloc((r->listed + 1) * sizeof *r->pages);
  OK(dq_db_checkpoint_pages(n->db, r->lsn, r->pages, r->listed, &r->listed));
  uint8_t *page = malloc(r->page_size);
  int gone = dq_snapshot_page(view, 1, page); /* of a view that was given up the list is too short, or empty */
  free(page);
  if (gone == DQ_SNAPSHOT_GONE) return gone;
  OK(gone);
  while (r->count < r->listed && r->pages[r->count] <= r->page_count) r->count++;
  r->images = malloc((size_t)r->count * r->page_size + 1);
  for (uint32_t i = 0; i < r->count; i++) {
    int rc = dq_snapshot_page(view, r->pages[i], image_of(r, i));
    if (rc == DQ_SNAPSHOT_GONE) return rc;
    OK(rc);
  }
  return SQLITE_OK;
}

static int is_filed(const redo *r, uint32_t i) { return r->filed_from && r->pages[i] >= r->filed_from; }

void redo_extend(const redo *r, int fd) {
  if (!r->count || !is_filed(r, r->count - 1)) return;
  for (uint32_t i = 0; i < r->count; i++)
    if (is_filed(r, i)) EQ(r->page_size, dq_file_write(fd, image_of(r, i), r->page_size, (int64_t)(r->pages[i] - 1) * r->page_size));
  CHECK(dq_file_sync(fd) == 0);
}

void redo_free(redo *r) {
  free(r->pages);
  free(r->images);
  *r = (redo){0};
}

static void cut(int fd, int64_t size) {
  CHECK(lseek(fd, 0, SEEK_END) >= size);
  CHECK(ftruncate(fd, size) == 0);
}

void redo_restore(const redo *r, node *n) {
  int db = open(n->path, O_RDWR), sums = open(n->sums, O_RDWR);
  for (uint32_t i = 0; i < r->count; i++) {
    uint64_t sum = dq_page_checksum(r->pages[i], image_of(r, i), r->page_size);
    CHECK(pwrite(sums, &sum, sizeof sum, dq_sums_offset(r->pages[i])) == sizeof sum);
    if (!is_filed(r, i)) CHECK(pwrite(db, image_of(r, i), r->page_size, (off_t)(r->pages[i] - 1) * r->page_size) == (ssize_t)r->page_size);
  }
  cut(db, (int64_t)r->page_count * r->page_size);
  close(db);
  close(sums);
  n->config.page_count = r->page_count;
  n->config.checksum = r->checksum;
}

void redo_cut(const node *n) {
  int fd = open(n->path, O_RDWR);
  cut(fd, (int64_t)n->config.page_count * n->config.page_size);
  close(fd);
}
