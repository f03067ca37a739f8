/*
 * The Hessian's trace by Hutchinson's estimate ("A stochastic estimator of the trace of the
 * influence matrix", Communications in Statistics 18, 1989): the mean of z'Hz over vectors z of
 * random signs.
 */
#ifndef BM_TRACE_H
#define BM_TRACE_H

#include "curvature.h"

struct bm_trace {
    double value;          /* NaN with no vector */
    double standard_error; /* of the mean; NaN with fewer than two */
    double error;          /* by the differences: its change with half the step; NaN with none */
    uint64_t vectors;      /* so far */
    double sum;            /* own */
    double fine_sum;       /* own: with half the step */
    double square;         /* own: sum of squares of deviations from the mean */
};

/* Adds `vectors` more to `trace`, which begins zeroed; vector i of a seed is always the same. On
 * failure `trace` holds what is known. */
int32_t bm_trace_add(struct bm_curvature *curvature,
                     uint64_t seed,
                     uint64_t vectors,
                     struct bm_trace *trace,
                     struct bm_error *error);

#endif
