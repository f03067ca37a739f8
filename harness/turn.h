/*
 * A turn: a few updates of an open session, timed one by one. Where builds are compared their turns
 * alternate, so that what the machine does in a moment meets all of them alike; short turns, and
 * many, tell more in the same time than long ones.
 */
#ifndef BM_TURN_H
#define BM_TURN_H

#include "bench.h"

#define BM_TURN_UPDATES_MAX 4096u

struct bm_turn_shape {
    uint32_t unrecorded; /* updates that fetch into the caches what others have driven out */
    uint32_t updates;    /* at most BM_TURN_UPDATES_MAX */
};

/* That of a turn of about 2.5 ms, at least one update, of a session whose update takes this long.
 */
struct bm_turn_shape bm_turn_shape(double update_ns);

/* One number for the times [count] of a turn, which are put in order: the first quartile, below
 * which little disturbs, or of four and fewer the mean. */
double bm_turn_value(double *times_ns, uint32_t count);

/* Makes the turn, each update with its wait, from where the session stands: *value_ns is its
 * bm_turn_value. `times_ns` is [shape->updates]. */
int32_t bm_turn_run(struct bm_bench *bench,
                    const struct bm_turn_shape *shape,
                    double *times_ns,
                    double *value_ns,
                    struct bm_error *error);

#endif
