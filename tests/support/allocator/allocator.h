/* The allocator of a test program and of the plugins it loads: counts, and fails when it is told
 * to. Only programs that are linked with allocator.c have it. */
#ifndef BM_TEST_ALLOCATOR_H
#define BM_TEST_ALLOCATOR_H

#include <stdatomic.h>
#include <stdint.h>

/* Sanitizers bring their own allocator: nothing is counted there. */
#ifdef BM_SANITIZED
#define BM_TEST_COUNTS_ALLOCATIONS 0
#else
#define BM_TEST_COUNTS_ALLOCATIONS 1
#endif

struct bm_test_allocator {
    _Atomic int64_t asked;
    _Atomic int64_t live;    /* asked for and not given back */
    _Atomic int64_t failing; /* the number of the first one that fails, with all after it */
    _Atomic uint64_t bytes;  /* asked for */
};

extern struct bm_test_allocator bm_test_allocator;

#endif
