/*
** redo.h - what a node keeps of a checkpoint, so that one that a crash
** interrupted can be finished: docs/formats/database.md, NAME.redo. Here it
** lies in memory, which the crashes of these tests leave alone.
*/
#ifndef DQ_TEST_REDO_H
#define DQ_TEST_REDO_H

#include "harness.h"

typedef struct redo {
  uint64_t lsn, checksum; /* of the state; these three are the caller's */
  uint32_t page_count;
  uint32_t listed, count; /* pages that the checkpoint writes; of them not above page_count */
  uint32_t *pages;
  uint8_t *images;     /* of the first `count` */
  uint32_t page_size;
  uint32_t filed_from; /* from this page on: written behind the end of the file, without a copy; 0: none */
} redo;

int redo_take(redo *, node *, dq_snapshot *view, int extends); /* SQLITE_OK, or DQ_SNAPSHOT_GONE */
void redo_extend(const redo *, int fd);                        /* writes the pages from filed_from on, and flushes */
void redo_free(redo *);

/* Before a node is opened: its files hold the state exactly. */
void redo_restore(const redo *, node *);
/* The same after a checkpoint that overwrote nothing yet: the state before it. */
void redo_cut(const node *);

#endif
