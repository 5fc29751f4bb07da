/*
** dq_image.c - page images, and the slabs that they lie in.
**
** A writer's thread makes an image, the node's loop or the checkpoint drops it.
** glibc gives each thread an arena of its own, and an arena keeps what was freed
** in it: every thread's would grow to the highest number of images that were
** ever made there. A slab holds images of one size; it is mapped apart from the
** heap and goes back to the system when its last image goes. That happens soon:
** a new image goes to the slab that was the last to be full, and a checkpoint
** drops most of what is older than itself.
**
** Images of large transactions lie in the database's temporary file instead, once
** those in memory are more than its limit; whoever reads an image asks for bytes.
**
** Thread-safe: the slabs have a lock of their own, held for a few instructions
** (and for the mapping of a slab) and never while another one is taken.
*/
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dq_internal.h"

#define SLAB_BYTES ((size_t)1 << 20) /* and its alignment: an image's address leads to its slab */
#define SPARE_SLABS 2                /* empty ones that are kept: an image that comes and goes maps nothing */
#define MIN_SHIFT 9                  /* 512, the smallest page */
#define CLASSES 8                    /* up to 65536 */

#if defined(__SANITIZE_ADDRESS__)
#define SLABS 0 /* an image that is used after its end must be seen */
#else
#define SLABS 1
#endif

typedef struct free_image {
  struct free_image *next;
} free_image;

/* The head of SLAB_BYTES; the images follow. In the list of its class while it
** has room and an image; in the list of spares when it has none. */
typedef struct slab {
  struct slab *next, *prev;
  free_image *free;  /* images that were dropped */
  uint32_t fresh;    /* images that were never made: the last ones */
  uint32_t used;     /* images that live */
  uint32_t capacity; /* images that fit */
  size_t stride;
} slab;

#define SLAB_HEAD ((sizeof(slab) + 63) & ~(size_t)63)

static pthread_mutex_t slab_lock = PTHREAD_MUTEX_INITIALIZER;
static slab *with_room[CLASSES];
static slab *spares;
static int spare_count;

/* The class of a page size, or -1. */
static int class_of(uint32_t size) {
  if (!SLABS || size < (1u << MIN_SHIFT) || (size & (size - 1)) != 0) return -1;
  int class = __builtin_ctz(size) - MIN_SHIFT;
  return class < CLASSES ? class : -1;
}

static void put_first(slab **list, slab *s) {
  s->prev = NULL;
  s->next = *list;
  if (*list) (*list)->prev = s;
  *list = s;
}

static void take_out(slab **list, slab *s) {
  if (s->prev) s->prev->next = s->next;
  else *list = s->next;
  if (s->next) s->next->prev = s->prev;
}

/* Twice as much is mapped, and cut to what is aligned. */
static slab *map_slab(void) {
  uint8_t *base = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return NULL;
  size_t before = (SLAB_BYTES - ((uintptr_t)base & (SLAB_BYTES - 1))) & (SLAB_BYTES - 1);
  if (before) munmap(base, before);
  munmap(base + before + SLAB_BYTES, SLAB_BYTES - before);
  return (slab *)(base + before);
}

static slab *new_slab(uint32_t size) {
  slab *s = spares;
  if (s) {
    spares = s->next;
    spare_count--;
  } else {
    s = map_slab();
    if (!s) return NULL;
  }
  size_t stride = (sizeof(dq_image) + size + 15) & ~(size_t)15;
  uint32_t capacity = (uint32_t)((SLAB_BYTES - SLAB_HEAD) / stride);
  *s = (slab){.fresh = capacity, .capacity = capacity, .stride = stride};
  return s;
}

static dq_image *take(int class, uint32_t size) {
  pthread_mutex_lock(&slab_lock);
  slab *s = with_room[class];
  if (!s && (s = new_slab(size))) put_first(&with_room[class], s);
  void *image = NULL;
  if (s) {
    image = s->free;
    if (image) s->free = s->free->next;
    else image = (uint8_t *)s + SLAB_HEAD + (s->capacity - s->fresh--) * s->stride;
    if (++s->used == s->capacity) take_out(&with_room[class], s);
  }
  pthread_mutex_unlock(&slab_lock);
  return image;
}

static void give(int class, void *memory) {
  slab *s = (slab *)((uintptr_t)memory & ~(uintptr_t)(SLAB_BYTES - 1)), *unneeded = NULL;
  free_image *image = memory;
  pthread_mutex_lock(&slab_lock);
  image->next = s->free;
  s->free = image;
  if (s->used-- == s->capacity) put_first(&with_room[class], s);
  if (s->used == 0) {
    take_out(&with_room[class], s);
    if (spare_count < SPARE_SLABS) {
      put_first(&spares, s);
      spare_count++;
    } else {
      unneeded = s;
    }
  }
  pthread_mutex_unlock(&slab_lock);
  if (unneeded) munmap(unneeded, SLAB_BYTES);
}

dq_image *dq_image_new(dq_spill *spill) {
  uint32_t size = spill->page_size;
  if (dq_alloc_fault && dq_alloc_fault()) return NULL;
  int class = class_of(size);
  dq_image *image = class < 0 ? malloc(sizeof *image + size) : take(class, size);
  if (!image) return NULL;
  atomic_init(&image->refs, 1);
  image->spill = spill;
  image->slot = DQ_IN_MEMORY;
  atomic_fetch_add_explicit(&spill->resident, size, memory_order_relaxed);
  return image;
}

static int make_resident(dq_spill *spill, const void *data, dq_image **out) {
  dq_image *image = dq_image_new(spill);
  if (!image) return SQLITE_NOMEM;
  memcpy(image->data, data, spill->page_size);
  *out = image;
  return SQLITE_OK;
}

/* A transaction is large from an eighth of the limit on: others stay as fast as
** without a file, whatever readers keep in memory. */
static int must_spill(const dq_spill *spill, uint32_t page, uint64_t transaction_bytes) {
  if (!spill->limit || transaction_bytes <= spill->limit / 8 || (page == 1 && !DQ_MUTANT(96))) return 0;
  return atomic_load_explicit(&spill->resident, memory_order_relaxed) + spill->page_size > spill->limit;
}

int dq_image_make(dq_spill *spill, uint32_t page, const void *data, uint64_t transaction_bytes, dq_image **out) {
  if (!must_spill(spill, page, transaction_bytes)) return make_resident(spill, data, out);
  dq_image *image = dq_alloc(sizeof *image);
  if (!image) return SQLITE_NOMEM;
  int rc = dq_spill_write(spill, data, &image->slot);
  if (rc) {
    dq_free(image);
    return rc;
  }
  atomic_init(&image->refs, 1);
  image->spill = spill;
  image->page = page;
  image->sum = dq_page_checksum(page, data, spill->page_size);
  *out = image;
  return SQLITE_OK;
}

int dq_image_keep(dq_spill *spill, uint32_t page, const void *data, uint64_t transaction_bytes, dq_image **out) {
  int rc = dq_image_make(spill, page, data, transaction_bytes, out);
  return rc == SQLITE_FULL || rc == SQLITE_IOERR_WRITE ? make_resident(spill, data, out) : rc;
}

static int read_spilled(const dq_image *image, void *page) {
  int rc = dq_spill_read(image->spill, image->slot, page);
  if (rc == SQLITE_OK && dq_page_checksum(image->page, page, image->spill->page_size) != image->sum && !DQ_MUTANT(97)) rc = DQ_PAGE_ROT;
  return rc;
}

int dq_image_read(const dq_image *image, uint32_t offset, uint32_t n, void *out) {
  uint32_t size = image->spill->page_size;
  if (image->slot == DQ_IN_MEMORY) {
    memcpy(out, image->data + offset, n);
    return SQLITE_OK;
  }
  if (n == size) return read_spilled(image, out);
  uint8_t *page = dq_alloc(size);
  int rc = page ? read_spilled(image, page) : SQLITE_IOERR_NOMEM;
  if (rc == SQLITE_OK) memcpy(out, page + offset, n);
  dq_free(page);
  return rc;
}

int dq_image_sum(const dq_image *image, uint32_t page, uint64_t *sum) {
  uint32_t size = image->spill->page_size;
  if (image->slot == DQ_IN_MEMORY) {
    *sum = dq_page_checksum(page, image->data, size);
    return SQLITE_OK;
  }
  *sum = image->sum;
  if (image->page == page) return SQLITE_OK;
  uint8_t *data = dq_alloc(size); /* the frame got another page number than it had when the page was written */
  int rc = data ? dq_image_read(image, 0, size, data) : SQLITE_NOMEM;
  if (rc == SQLITE_OK) *sum = dq_page_checksum(page, data, size);
  dq_free(data);
  return rc;
}

void dq_image_ref(dq_image *image) { atomic_fetch_add_explicit(&image->refs, 1, memory_order_relaxed); }

void dq_image_unref(dq_image *image) {
  if (!image || atomic_fetch_sub_explicit(&image->refs, 1, memory_order_acq_rel) != 1) return;
  uint32_t size = image->spill->page_size;
  if (image->slot != DQ_IN_MEMORY) {
    dq_spill_give(image->spill, image->slot);
    dq_free(image);
    return;
  }
  atomic_fetch_sub_explicit(&image->spill->resident, size, memory_order_relaxed);
  int class = class_of(size);
  if (class < 0) dq_free(image);
  else give(class, image);
}
