#include "mapping.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_BYTES ((size_t)2 << 20)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; an older one answers EINVAL */
#endif

static size_t whole_pages(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

/* Addresses for `bytes`, whole pages, from a multiple of HUGE_BYTES on. */
static char *reserve(size_t bytes) {
    char *place = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) {
        return NULL;
    }
    size_t before = (HUGE_BYTES - (uintptr_t)place % HUGE_BYTES) % HUGE_BYTES;
    if (before > 0) {
        (void)munmap(place, before);
    }
    (void)munmap(place + before + bytes, HUGE_BYTES - before);
    return place + before;
}

void *bm_mapping_read(int fd, size_t bytes) {
    char *place = reserve(whole_pages(bytes));
    if (place == NULL) {
        return NULL;
    }
    void *mapped = mmap(place, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
    if (mapped == MAP_FAILED) {
        (void)munmap(place, whole_pages(bytes));
        return NULL;
    }
    /* Without huge pages it is slower, and the same. */
    (void)madvise(mapped, bytes, MADV_COLLAPSE);
    return mapped;
}
