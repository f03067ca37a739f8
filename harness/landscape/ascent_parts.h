/* What the methods of ascent.h share; nothing else includes it. */
#ifndef BM_LANDSCAPE_ASCENT_PARTS_H
#define BM_LANDSCAPE_ASCENT_PARTS_H

#include "ascent.h"

/* Integers of both libraries hold three times the dimensions. */
#define BM_ASCENT_COUNT_MAX 500000000u

/* Pairs of differences that a method keeps: L-BFGS-B's usual number. */
#define BM_ASCENT_PAIRS 10u

/* What a value that is not finite is to a method. */
#define BM_ASCENT_TOO_LOW (-1e20)

/* One more evaluation, noted in `ascent`. */
int32_t bm_ascent_evaluate(const struct bm_ascent_function *function,
                           const double *z,
                           struct bm_ascent *ascent,
                           double *value,
                           double *gradient,
                           struct bm_error *error);

int32_t bm_ascent_lbfgsb(const struct bm_ascent_function *function,
                         uint32_t steps,
                         uint32_t evaluations,
                         struct bm_ascent *ascent,
                         struct bm_error *error);

int32_t bm_ascent_nlopt(const struct bm_ascent_function *function,
                        uint32_t steps,
                        uint32_t evaluations,
                        struct bm_ascent *ascent,
                        struct bm_error *error);

#endif
