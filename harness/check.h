/*
 * Correct, then timed: every call that is timed is checked against the float64 reference through
 * that same call.
 */
#ifndef BM_CHECK_H
#define BM_CHECK_H

#include "bench.h"
#include "expected.h"

/* What the checks found. `ratio` is the largest |found - expected| / bound over everything
 * compared; error and bound are that element's. */
struct bm_check_result {
    uint32_t wrong;
    double ratio;
    double error;
    double bound;
    double gradient_ratio; /* the same of each call alone */
    double apply_ratio;
    double update_ratio;
    double update_ns; /* how long the last update with its wait took, for planning */
    char reason[512]; /* of the first thing that was wrong: call, element, expected, bound, found */
};

/* Gradients and updates that a check makes when one takes `update_ns`, for planning. */
uint32_t bm_check_updates(double update_ns);

/* Checks gradient, apply, update, pipelined update and updates of an open session whose batch is
 * entry->batch; its order and position are those of training afterwards, at the start. A wrong
 * result is OK with result->wrong set; a status other than OK is an error of a call. */
int32_t bm_check_run(struct bm_bench *bench,
                     const struct bm_expected_entry *expected,
                     struct bm_check_result *result,
                     struct bm_error *error);

#endif
