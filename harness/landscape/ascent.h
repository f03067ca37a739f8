/*
 * The highest value of a function in a box around 0, sought by iterations of one of three methods.
 * None finds the maximum for certain; all they find is inside the box, so that each gives a lower
 * limit of it.
 *
 *   L-BFGS-B  of Byrd, Lu, Nocedal and Zhu (version 3.0, the authors' library): what SciPy offers
 * by that name. Its path bends along all bounds that it meets. LD_LBFGS  of NLopt, which is
 * Luksan's PLIS: a step ends at the first bound that it meets. Where dimensions are many, ten steps
 * stay close to where they began. corners   conditional gradient (Frank and Wolfe, "An algorithm
 * for quadratic programming", Naval Research Logistics Quarterly 3, 1956): from 0 to the corner
 * where the linearized function is highest, z[i] = bound[i] sign(gradient[i]), from there to the
 * next, for a convex function ever higher, until it does not rise any more.
 */
#ifndef BM_LANDSCAPE_ASCENT_H
#define BM_LANDSCAPE_ASCENT_H

#include <batchmark/plugin.h>

#define BM_ASCENT_EVALUATIONS_MAX 64u

#define BM_ASCENT_LBFGSB 0u
#define BM_ASCENT_NLOPT 1u
#define BM_ASCENT_CORNERS 2u

extern const char *const bm_ascent_names[]; /* by BM_ASCENT_* */

/* A function on the box |z[i]| <= bound[i]. What is not finite counts as a value below all. */
struct bm_ascent_function {
    uint64_t count;
    const double *bound; /* [count], above 0 */
    /* Value and gradient, [count], at z. */
    int32_t (*at)(
        void *context, const double *z, double *value, double *gradient, struct bm_error *error);
    void *context;
};

struct bm_ascent {
    double start;   /* value at 0; NaN: not known */
    double highest; /* of all that were evaluated */
    uint32_t steps; /* iterations that led up */
    uint32_t evaluations;
    double values[BM_ASCENT_EVALUATIONS_MAX]; /* of each evaluation, the first one at 0 */
    const char *end;                          /* why it ended, in words; static */
};

/* Goes up from 0 until `steps` iterations are done or `evaluations` values known, at most
 * BM_ASCENT_EVALUATIONS_MAX. NLopt counts evaluations only: there an iteration is told from the
 * next by the direction of its line. UNSUPPORTED without the library. On failure `ascent` holds
 * what is known. */
int32_t bm_ascent_run(uint32_t method,
                      const struct bm_ascent_function *function,
                      uint32_t steps,
                      uint32_t evaluations,
                      struct bm_ascent *ascent,
                      struct bm_error *error);

#endif
