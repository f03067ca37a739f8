/* The loss along an eigenvector, to both sides: where negative curvature leads. */
#ifndef BM_HESSIAN_WALK_H
#define BM_HESSIAN_WALK_H

#include "objective.h"

#define BM_WALK_SIDE 10u /* points to each side at first, */
#define BM_WALK_MORE 12u /* and further ones while the loss goes on falling */
#define BM_WALK_MAX (2 * (BM_WALK_SIDE + BM_WALK_MORE) + 1)

struct bm_walk {
    double loss;       /* given: at t = 0 */
    double eigenvalue; /* given */
    double slope;      /* g'v, not positive: the vector is turned so that t > 0 goes down */
    uint32_t count;
    double t[BM_WALK_MAX]; /* ascending */
    double losses[BM_WALK_MAX];
};

/* f(t) = loss + slope t + eigenvalue t^2 / 2. */
double bm_walk_foretold(const struct bm_walk *walk, double t);

/* Walks from `params` along the unit vector `v`, [count] both; `gradient` is that of the point. On
 * failure `walk` holds what is known. */
int32_t bm_walk_along(struct bm_objective *objective,
                      const float *params,
                      const double *gradient,
                      const double *v,
                      struct bm_walk *walk,
                      struct bm_error *error);

#endif
