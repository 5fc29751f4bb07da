/* The durable file operations that managed code uses. */
#include <errno.h>

#include "harness.h"

TEST(File_operations_write_whole_buffers_and_return_errno) {
  char path[256], moved[256], got[64];
  const void *bufs[3] = {"ab", "", "cdef"};
  const int64_t sizes[3] = {2, 0, 4};
  dq_stat st;
  snprintf(path, sizeof path, "%s", scratch("file"));
  snprintf(moved, sizeof moved, "%s", scratch("moved"));
  EQ(-ENOENT, dq_file_open(path, DQ_OPEN_READ, 0));
  int fd = dq_file_open(path, DQ_OPEN_READ | DQ_OPEN_WRITE | DQ_OPEN_CREATE | DQ_OPEN_EXCLUSIVE, 0644);
  CHECK(fd >= 0);
  EQ(-EEXIST, dq_file_open(path, DQ_OPEN_WRITE | DQ_OPEN_CREATE | DQ_OPEN_EXCLUSIVE, 0644));
  EQ(6, dq_file_writev(fd, bufs, sizes, 3, 10));
  EQ(3, dq_file_write(fd, "xyz", 3, 0));
  EQ(6, dq_file_read(fd, got, sizeof got, 10));
  CHECK(memcmp(got, "abcdef", 6) == 0);
  OK(dq_file_allocate(fd, 0, 4096));
  OK(dq_file_stat(fd, &st));
  EQ(4096, st.size);
  OK(dq_file_truncate(fd, 12));
  OK(dq_file_datasync(fd));
  OK(dq_file_sync(fd));
  EQ(2, dq_file_read(fd, got, sizeof got, 10));
  OK(dq_file_lock(fd));
  int second = dq_file_open(path, DQ_OPEN_READ | DQ_OPEN_WRITE, 0);
  EQ(-EWOULDBLOCK, dq_file_lock(second));
  OK(dq_file_close(second));
  OK(dq_file_rename(path, moved));
  OK(dq_dir_sync(scratch("")));
  EQ(-ENOENT, dq_dir_sync(scratch("none/")));
  EQ(-ENOENT, dq_file_unlink(path));
  OK(dq_file_unlink(moved));
  OK(dq_file_close(fd));
  EQ(-EBADF, dq_file_close(fd));
  int64_t a = dq_now_ns();
  CHECK(dq_now_ns() >= a);
}

TEST(Canonical_page_1_is_the_documented_one) {
  uint8_t page[65536];
  EQ(SQLITE_MISUSE, dq_canonical_page1(page, 1000, 0));
  EQ(SQLITE_MISUSE, dq_canonical_page1(page, 4096, 3));
  OK(dq_canonical_page1(page, 512, 2));
  EQ(0x0200, page[16] << 8 | page[17]);
  EQ(1, page[55]);
  EQ(1, page[67]);
  EQ(512, page[105] << 8 | page[106]);
  OK(dq_canonical_page1(page, 65536, 0));
  EQ(1, page[16] << 8 | page[17]);
  EQ(0, page[105] << 8 | page[106]);
  OK(dq_canonical_page1(page, 4096, 0));
  /* Golden: a change of these bytes is a change of format. */
  CHECK(dq_page_checksum(1, page, 4096) == 0xc3bf4134371b8e18ull);
}

TEST(Builder_wants_every_page) {
  dq_builder *b;
  uint8_t page[1024];
  char path[256];
  uint64_t sum;
  snprintf(path, sizeof path, "%s", scratch("build.db"));
  EQ(SQLITE_MISUSE, dq_builder_open(path, scratch("build.sums"), 1000, &b));
  OK(dq_builder_open(path, scratch("build.sums"), 1024, &b));
  OK(dq_canonical_page1(page, 1024, 0));
  EQ(SQLITE_MISUSE, dq_builder_page(b, 0, page));
  OK(dq_builder_page(b, 3, page));
  OK(dq_builder_page(b, 1, page));
  EQ(SQLITE_CORRUPT, dq_builder_finish(b, 3, &sum));
  OK(dq_builder_page(b, 2, page));
  EQ(SQLITE_CORRUPT, dq_builder_finish(b, 4, &sum));
  OK(dq_builder_finish(b, 3, &sum));
  CHECK(sum == (dq_page_checksum(1, page, 1024) ^ dq_page_checksum(2, page, 1024) ^ dq_page_checksum(3, page, 1024)));
  dq_builder_close(b);
}
