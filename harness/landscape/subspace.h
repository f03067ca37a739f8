/*
 * A random subspace of the space of all parameters: the range of A, [count][dimensions], whose
 * elements are drawn from the standard normal distribution. Keskar et al. (arXiv 1609.04836,
 * section 2.2.2) only say that the columns are "randomly generated".
 */
#ifndef BM_LANDSCAPE_SUBSPACE_H
#define BM_LANDSCAPE_SUBSPACE_H

#include <batchmark/plugin.h>

struct bm_subspace {
    uint64_t count;
    uint32_t dimensions;
    uint64_t seed;
    float *columns; /* [count][dimensions]: a row a parameter */
    double *factor; /* [dimensions][dimensions]: L of A'A = L L', lower triangle */
};

/* The same A for the same seed and shape. INVALID if its columns are not independent, as where they
 * are more than the parameters. On failure nothing is left. */
int32_t bm_subspace_open(uint64_t count,
                         uint32_t dimensions,
                         uint64_t seed,
                         struct bm_subspace *subspace,
                         struct bm_error *error);

/* NULL and zeroed memory are fine. */
void bm_subspace_close(struct bm_subspace *subspace);

/* z = A^+ x = (A'A)^-1 A'x, [dimensions]: A z is the point of the subspace nearest to x. */
void bm_subspace_coordinates(const struct bm_subspace *subspace, const float *x, double *z);

/* moved = x + A z, rounded. */
void bm_subspace_move(const struct bm_subspace *subspace,
                      const float *x,
                      const double *z,
                      float *moved);

/* A' g, [dimensions]: the gradient with respect to z of a function of x + A z whose gradient is g.
 */
void bm_subspace_gradient(const struct bm_subspace *subspace, const float *g, double *gradient);

#endif
