/* The worker's side of counting instructions: the updates that are counted, and nothing else. */
#ifndef BM_COUNTED_H
#define BM_COUNTED_H

#include "bench.h"

/* `count` updates, each waited for. Its name is known to whoever counts from outside: what is
 * executed between its call and its return is what an update costs. */
int32_t bm_counted_updates(struct bm_bench *bench, uint64_t count, struct bm_error *error);

/* From the seed's start: unrecorded updates as before a timed block, then `count` counted ones, on
 * the calling thread, bound to one processor meanwhile. With `by_hardware` their instructions go to
 * *instructions; otherwise who counts from outside does, and *instructions is 0. UNSUPPORTED and
 * why where the hardware counts none. */
int32_t bm_counted_run(struct bm_bench *bench,
                       uint64_t count,
                       uint32_t by_hardware,
                       uint64_t *instructions,
                       struct bm_error *error);

#endif
