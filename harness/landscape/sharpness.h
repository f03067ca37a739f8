/*
 * The sharpness of a point by Keskar et al. (arXiv 1609.04836, metric 2.1):
 *
 *     phi = 100 (max_{z in C} f(x + A z) - f(x)) / (1 + f(x)),
 *     C = {z : |z[i]| <= epsilon (|(A^+ x)[i]| + 1)},
 *
 * A the identity (full space) or random columns (subspace.h). The paper seeks the maximum by ten
 * iterations of L-BFGS-B from x itself, and so does this; beside it by NLopt's LD_LBFGS and by
 * corners of the box (ascent.h). All three give lower limits of the maximum, which may lie apart by
 * orders of magnitude: at a point whose gradient is nearly zero the first iterations go along
 * whatever gradient there is, and ten may not be enough to come to the box's border.
 */
#ifndef BM_LANDSCAPE_SHARPNESS_H
#define BM_LANDSCAPE_SHARPNESS_H

#include "ascent.h"
#include "objective.h"
#include "subspace.h"

#define BM_SHARPNESS_STEPS 10u       /* iterations, as in the paper */
#define BM_SHARPNESS_EVALUATIONS 40u /* at most */
#define BM_SHARPNESS_CORNERS 8u      /* evaluations of the corners, the one at x included */
#define BM_SHARPNESS_METHODS 3u

struct bm_sharpness {
    /* Given. */
    double epsilon;
    const struct bm_subspace *subspace; /* NULL: the full space */
    /* Found: values are losses, by BM_ASCENT_*. One whose library is missing, or that was not come
     * to, has no evaluations. */
    struct bm_ascent ascent[BM_SHARPNESS_METHODS];
    struct bm_error missing[BM_SHARPNESS_METHODS]; /* why a method is UNSUPPORTED; else OK */
    uint32_t method; /* whose value is the sharpness: L-BFGS-B, or NLopt's without it */
};

/* Nothing found yet. */
struct bm_sharpness bm_sharpness_init(double epsilon, const struct bm_subspace *subspace);

/* phi of a value, in percent. NaN where it is not known. */
double bm_sharpness_phi(const struct bm_ascent *ascent, double value);

/* Fills what is to be found, at `params`: the first method with all the steps that the paper has.
 * On failure it holds what is known. UNSUPPORTED without either library. */
int32_t bm_sharpness_measure(struct bm_objective *objective,
                             const float *params,
                             struct bm_sharpness *sharpness,
                             struct bm_error *error);

#endif
