/*
 * The largest and the smallest eigenvalues of a Hessian with their eigenvectors, by the implicitly
 * restarted Lanczos method of ARPACK (Lehoucq, Sorensen, Yang, "ARPACK users' guide", SIAM 1998),
 * which sees products only. One Krylov space serves both ends: the large eigenvalues of a network
 * lie apart from the rest and come first, and once they are in the space, the others come faster.
 *
 * The smallest eigenvalues of a trained network are crowded at 0, where a residual relative to the
 * value may never become small. So the method ends by a budget, and says of each value how far it
 * came. The smallest value found is never below the smallest of the Hessian (Rayleigh quotient): a
 * negative one proves a direction of negative curvature, whatever its residual.
 */
#ifndef BM_LANCZOS_H
#define BM_LANCZOS_H

#include "refine.h"

#define BM_LANCZOS_VALUES_MAX 64u /* at one end */

struct bm_eigenvalue {
    double value;    /* v'Hv of the unit eigenvector v, by a product apart from the method's; where
                        none was possible any more, the method's own */
    double residual; /* |Hv - value v| / |value|, likewise, or the method's estimate */
    double error;    /* of the value, by the differences: its change with half the step, where a
                        kink counts twice as much or no longer, and noise counts twice; NaN: not
                        known */
};

struct bm_lanczos {
    uint64_t count;                                       /* parameters */
    uint32_t values;                                      /* at each end that were found */
    struct bm_eigenvalue largest[BM_LANCZOS_VALUES_MAX];  /* from the largest downward */
    struct bm_eigenvalue smallest[BM_LANCZOS_VALUES_MAX]; /* from the smallest upward */
    double *vectors; /* [2 values][count], of length 1: the largest's, then the smallest's, in their
                        order; NULL: there was no time for them */
    uint32_t cycles;
    uint32_t converged; /* whether all reached the tolerance */
};

struct bm_lanczos_setup {
    uint32_t values;   /* at each end; fewer where there are fewer than 2 values + 1 parameters */
    uint64_t seed;     /* of the start vector */
    double tolerance;  /* a value is good when its residual is at most this part of it, */
    double floor;      /* or at most this: what the products are good for */
    uint64_t products; /* the budget; the first cycle is always made */
    struct bm_refine_setup
        refine; /* of the largest afterwards; its `values` are set. 0 steps: none */
    /* After each cycle, with what is known and the products that the next one needs: 0 ends it. May
     * be NULL. */
    int32_t (*goes_on)(void *context, const struct bm_lanczos *lanczos, uint64_t next);
    void *context;
};

/* On failure `lanczos` holds what is known of the cycles before, if there were any (values > 0),
 * with vectors only where the failure came after them, and is given back all the same. UNSUPPORTED
 * without ARPACK or LAPACK, or with fewer than 3 parameters. */
int32_t bm_lanczos_run(struct bm_curvature *curvature,
                       const struct bm_lanczos_setup *setup,
                       struct bm_lanczos *lanczos,
                       struct bm_error *error);

/* NULL and zeroed memory are fine. */
void bm_lanczos_free(struct bm_lanczos *lanczos);

#endif
