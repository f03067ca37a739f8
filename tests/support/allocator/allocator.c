#include "allocator.h"

#include <errno.h>
#include <stddef.h>

struct bm_test_allocator bm_test_allocator = {.failing = INT64_MAX};

#if BM_TEST_COUNTS_ALLOCATIONS

/* glibc's allocator below the names that we take over. */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

#define EXPORTED __attribute__((visibility("default")))

/* Declared here, because the names of their parameters in the system's headers are reserved. */
/* NOLINTBEGIN(readability-identifier-naming) */
EXPORTED void *malloc(size_t size);
EXPORTED void *calloc(size_t number, size_t size);
EXPORTED void *realloc(void *memory, size_t size);
EXPORTED void *aligned_alloc(size_t alignment, size_t size);
EXPORTED void *memalign(size_t alignment, size_t size);
EXPORTED int posix_memalign(void **memory, size_t alignment, size_t size);
EXPORTED void free(void *memory);

/* NOLINTEND(readability-identifier-naming) */

static int refused(size_t size) {
    bm_test_allocator.bytes += size;
    return ++bm_test_allocator.asked >= bm_test_allocator.failing;
}

static void *count(void *memory) {
    bm_test_allocator.live += memory != NULL;
    return memory;
}

void *malloc(size_t size) {
    return refused(size) ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t number, size_t size) {
    return refused(number * size) ? NULL : count(__libc_calloc(number, size));
}

void *realloc(void *memory, size_t size) {
    if (refused(size)) {
        return NULL;
    }
    bm_test_allocator.live -= memory != NULL;
    return count(__libc_realloc(memory, size));
}

void *aligned_alloc(size_t alignment, size_t size) {
    return refused(size) ? NULL : count(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size) {
    return aligned_alloc(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    *memory = aligned_alloc(alignment, size);
    return *memory == NULL ? ENOMEM : 0;
}

void free(void *memory) {
    bm_test_allocator.live -= memory != NULL;
    __libc_free(memory);
}

#endif
