/*
** dq_image.c - page images, and the pool that they come from.
**
** A writer's thread makes an image, the node's loop or the checkpoint drops it.
** glibc gives each thread an arena of its own, and an arena keeps what was freed
** in it: without the pool every thread's arena grows to the highest number of
** images that were ever made there, several times what the store holds.
**
** Thread-safe: the pool has a lock of its own, held for a few instructions and
** never while another one is taken.
*/
#include <pthread.h>
#include <stdlib.h>

#include "dq_internal.h"

#define POOL_BYTES (24u << 20) /* kept for reuse at most; the version store's checkpoint bound with some room */
#define MIN_SHIFT 9            /* 512, the smallest page */
#define CLASSES 8              /* up to 65536 */

#if defined(__SANITIZE_ADDRESS__)
#define POOLED 0 /* an image that is used after its end must be seen */
#else
#define POOLED 1
#endif

typedef struct free_image {
  struct free_image *next;
} free_image;

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static free_image *pool[CLASSES];
static uint32_t pool_bytes;

/* The class of a page size, or -1. */
static int class_of(uint32_t size) {
  if (!POOLED || size < (1u << MIN_SHIFT) || (size & (size - 1)) != 0) return -1;
  int class = __builtin_ctz(size) - MIN_SHIFT;
  return class < CLASSES ? class : -1;
}

static void *take(int class, uint32_t size) {
  if (class < 0) return NULL;
  pthread_mutex_lock(&pool_lock);
  free_image *image = pool[class];
  if (image) {
    pool[class] = image->next;
    pool_bytes -= size;
  }
  pthread_mutex_unlock(&pool_lock);
  return image;
}

static int give(int class, uint32_t size, void *memory) {
  if (class < 0) return 0;
  pthread_mutex_lock(&pool_lock);
  int kept = pool_bytes + size <= POOL_BYTES;
  if (kept) {
    free_image *image = memory;
    image->next = pool[class];
    pool[class] = image;
    pool_bytes += size;
  }
  pthread_mutex_unlock(&pool_lock);
  return kept;
}

dq_image *dq_image_new(uint32_t size) {
  if (dq_alloc_fault && dq_alloc_fault()) return NULL;
  dq_image *image = take(class_of(size), size);
  if (!image) image = malloc(sizeof *image + size);
  if (!image) return NULL;
  atomic_init(&image->refs, 1);
  image->size = size;
  return image;
}

void dq_image_ref(dq_image *image) { atomic_fetch_add_explicit(&image->refs, 1, memory_order_relaxed); }

void dq_image_unref(dq_image *image) {
  if (!image || atomic_fetch_sub_explicit(&image->refs, 1, memory_order_acq_rel) != 1) return;
  uint32_t size = image->size;
  if (!give(class_of(size), size, image)) dq_free(image);
}
