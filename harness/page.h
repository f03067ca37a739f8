/*
 * A page of memory that a worker shares with its parent: what the worker is doing right now and, if
 * a signal kills it, which. It costs the worker a store, and the parent can read it after
 * the worker is gone.
 */
#ifndef BM_PAGE_H
#define BM_PAGE_H

#include <stdint.h>

enum bm_phase {
    BM_PHASE_START,
    BM_PHASE_LOAD,
    BM_PHASE_DEVICE_COUNT,
    BM_PHASE_DEVICE_INFO,
    BM_PHASE_SUPPORTS,
    BM_PHASE_CREATE,
    BM_PHASE_BIND_DATA,
    BM_PHASE_SET_ORDER,
    BM_PHASE_WRITE_PARAMS,
    BM_PHASE_READ_PARAMS,
    BM_PHASE_READ_GRADIENT,
    BM_PHASE_WRITE_GRADIENT,
    BM_PHASE_READ_STATE,
    BM_PHASE_WRITE_STATE,
    BM_PHASE_GRADIENT,
    BM_PHASE_APPLY,
    BM_PHASE_UPDATE,
    BM_PHASE_UPDATES,
    BM_PHASE_WAIT,
    BM_PHASE_EVALUATE,
    BM_PHASE_DEVICE_TIME,
    BM_PHASE_DESCRIBE,
    BM_PHASE_DESTROY,
    BM_PHASE_HOST, /* the harness's own code */
    BM_PHASE_COUNT
};

struct bm_page {
    volatile uint32_t phase;  /* enum bm_phase */
    volatile uint32_t signal; /* that killed the worker, 0 if none was caught */
    volatile uint32_t stack_overflow;
};

/* "gradient", "create", ...; "an unknown phase" for a number that a broken worker left there. */
const char *bm_phase_name(uint32_t phase);

/* Makes SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT of the calling thread note themselves in the
 * page, on a stack of their own, before they kill the process. Not under a sanitizer, which has its
 * own handlers. Returns 0, or -1 with errno. */
int bm_page_catch_signals(struct bm_page *page);

#endif
