/*
 * Eigenvectors of the largest eigenvalues made better by simultaneous iteration with Rayleigh-Ritz
 * (Saad, "Numerical methods for large eigenvalue problems", 2nd ed., chapter 5). Lanczos believes
 * that all its products are of one matrix; those of differences across kinks are so only roughly,
 * and each leaves its error in the vectors. Here every step looks at the vectors themselves, so
 * that what remains is the error of one product.
 */
#ifndef BM_REFINE_H
#define BM_REFINE_H

#include "curvature.h"

struct bm_refine_setup {
    uint32_t values;
    double tolerance; /* of all residuals in relation to their values: then it ends, */
    uint32_t steps;   /* or after so many, or when there is nothing more to be gained */
    /* After each step, with the largest residual and the products of the next one: 0 ends it. May
     * be NULL. */
    int32_t (*goes_on)(void *context, double residual, uint64_t products);
    void *context;
};

/* `vectors`, [values][count], orthonormal, become better ones, of the largest value first. On
 * failure they are those of the last step. UNSUPPORTED without LAPACK. */
int32_t bm_refine(struct bm_curvature *curvature,
                  const struct bm_refine_setup *setup,
                  double *vectors,
                  struct bm_error *error);

#endif
