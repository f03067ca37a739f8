/*
 * A plugin's own use of the allocator, counted, and failed on demand. The counter is a shared
 * object that a worker is started with (LD_PRELOAD), as nothing else sees the calls of a plugin
 * that was linked elsewhere; a case finds it with dlsym.
 *
 * An allocation is the plugin's own if the call lies in the plugin's file: the return address says
 * so, also on threads that the plugin started. What a library or a driver allocates below it is
 * neither counted nor failed: a plugin does not choose how they work.
 */
#ifndef BM_ALLOCATIONS_H
#define BM_ALLOCATIONS_H

#include <stdatomic.h>
#include <stdint.h>

#define BM_ALLOCATIONS_SYMBOL "bm_allocations"

struct bm_allocations {
    _Atomic uintptr_t first; /* of the plugin's file in memory; 0: nothing is counted */
    _Atomic uintptr_t end;
    _Atomic int64_t asked;   /* the plugin's own, also those that failed */
    _Atomic int64_t live;    /* of them, not given back, whoever gives back */
    _Atomic int64_t failing; /* the number of the first that fails, with all after it; INT64_MAX */
    _Atomic int64_t lost;    /* more live ones than are remembered: `live` is not known */
};

#endif
