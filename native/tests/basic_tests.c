/* Hash, formats, and the happy path on every page size. */
#include "harness.h"

TEST(Xxh64_matches_the_published_vectors) {
  CHECK(dq_xxh64("", 0, 0) == 0xEF46DB3751D8E999ull);
  CHECK(dq_xxh64("a", 1, 0) == 0xD24EC4F1A98C6E5Bull);
  CHECK(dq_xxh64("abc", 3, 0) == 0x44BC2CF5AD770999ull);
  CHECK(dq_xxh64("Nobody inspects the spammish repetition", 39, 0) == 0xFBCEA83C8A378BF1ull);
  CHECK(dq_xxh64("abc", 3, 1) != dq_xxh64("abc", 3, 0));
}

TEST(Own_handle_drafts_and_readers_see_only_what_is_committed) {
  for (uint32_t size = 512; size <= 65536; size *= 2) {
    node n;
    conn w, r;
    node_start(&n, "basic", size, 0);
    node_lead(&n);
    conn_open(&w, &n, 1);
    conn_open(&r, &n, 0);
    OK(write_own(&w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
    OK(write_own(&w, "INSERT INTO t(b) VALUES(randomblob(3000)),(randomblob(10))"));
    EQ(0, value(&r, "SELECT count(*) FROM sqlite_master"));
    EQ(1, atomic_load(&n.drafts_seen));
    EQ(2, node_state(&n).queued_drafts);
    CHECK(replicate(&n, NULL));
    EQ(2, value(&r, "SELECT count(*) FROM t"));
    OK(write_own(&w, "UPDATE t SET b = 'x' WHERE a = 1"));
    EQ(0, value(&r, "SELECT count(*) FROM t WHERE b = 'x'"));
    CHECK(replicate(&n, NULL));
    EQ(1, value(&r, "SELECT count(*) FROM t WHERE b = 'x'"));
    CHECK(strcmp(text(&r, "PRAGMA integrity_check"), "ok") == 0);
    conn_close(&w);
    conn_close(&r);
    node_stop(&n);
  }
}

TEST(Follower_applies_what_the_leader_drafted) {
  node a, b;
  conn w, r;
  node_start(&a, "lead", 4096, 0);
  node_start(&b, "follow", 4096, 0);
  node_lead(&a);
  conn_open(&w, &a, 1);
  conn_open(&r, &b, 0);
  OK(write_own(&w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
  for (int i = 0; i < 50; i++) OK(write_own(&w, "INSERT INTO t(b) VALUES(randomblob(2000))"));
  replicate_all(&a, &b);
  EQ(50, value(&r, "SELECT count(*) FROM t"));
  CHECK(strcmp(text(&r, "PRAGMA integrity_check"), "ok") == 0);
  same_image(&a, &b);
  EQ(0, node_checkpoint(&a));
  EQ(0, node_checkpoint(&b));
  EQ(0, node_state(&a).version_bytes);
  EQ(50, value(&r, "SELECT count(*) FROM t"));
  same_image(&a, &b);
  conn_close(&w);
  conn_close(&r);
  node_stop(&a);
  node_stop(&b);
}
