/*
 * Products of the Hessian with vectors, from central differences of gradients:
 *
 *     H v = |v| (g(x + h u) - g(x - h u)) / (2 h) + O(h^2),   u = v / |v|
 *
 * Parameters are float32, so that x +- h u is rounded: what the difference is divided by is not 2 h
 * but the way really taken, as far as it leads along u. Gradients are float32 too, which costs the
 * product about |noise of g| / h, while a large h costs the third derivative.
 *
 * A network with relu has a Hessian almost everywhere, but its gradient jumps where a unit of an
 * image begins or ceases to answer. With tiny steps there is often no such kink on the way; with
 * large ones there are thousands, whose sum is a rough average; in between few kinks do great harm,
 * each its jump over h. So steps are tried from large to tiny, and the two halves of a difference,
 * ahead of x and behind it, are looked at apart,
 *
 *     (g(x + t u) - g(x)) / t,   t = h, -h,
 *
 * where they disagree, a kink lies on one side. Then nearer points are looked at too, and the two
 * halves of all that agree best say what the product is: the difference between their two ends, or,
 * of the same side, between x and the farther one.
 */
#ifndef BM_CURVATURE_H
#define BM_CURVATURE_H

#include "objective.h"

#define BM_CURVATURE_TRIES 13u /* steps that are tried */
#define BM_CURVATURE_RATIO 4.0 /* of one to the next, downward */
#define BM_CURVATURE_ENDS 6u   /* gradients of a product, at most */

/* A gradient at x + way u. */
struct bm_curvature_end {
    float *gradient; /* [count] */
    double way;      /* as rounded */
};

struct bm_curvature {
    struct bm_objective *objective;
    const float *params; /* [count], borrowed, as is the gradient there */
    const float *gradient;
    uint64_t count;
    double step;  /* h; the caller may set it */
    double limit; /* halves of a unit vector that differ by no more agree; 0: the first two do */
    uint64_t products;                               /* so far */
    uint64_t repeated;                               /* of these, with more than one step, */
    uint64_t improved;                               /* and better for it */
    float *moved;                                    /* [count], own */
    struct bm_curvature_end ends[BM_CURVATURE_ENDS]; /* own */
};

/* How a step was chosen. */
struct bm_curvature_choice {
    double step;  /* the chosen one */
    double error; /* of a product of a unit vector with it, absolute: what its halves differ by */
    double norm;  /* of that product */
    uint32_t count;
    double tried[BM_CURVATURE_TRIES];
    double errors[BM_CURVATURE_TRIES]; /* not finite where gradients were not */
};

/* All three are borrowed until close. The step is not yet chosen. On failure nothing is left. */
int32_t bm_curvature_open(struct bm_objective *objective,
                          const float *params,
                          const float *gradient,
                          struct bm_curvature *curvature,
                          struct bm_error *error);

/* NULL and zeroed memory are fine. */
void bm_curvature_close(struct bm_curvature *curvature);

/* product = H v, both [count]; they may be the same array. The product of 0 is 0 and costs nothing.
 * INVALID if a gradient or `v` is not finite, or h so small that all of it is rounded away;
 * otherwise what the objective returned. */
int32_t bm_curvature_product(struct bm_curvature *curvature,
                             const double *v,
                             double *product,
                             struct bm_error *error);

/* *value = v'Hv with `scale` times the step; `product` is H v. Otherwise as above. */
int32_t bm_curvature_form(struct bm_curvature *curvature,
                          const double *v,
                          double scale,
                          double *product,
                          double *value,
                          struct bm_error *error);

/* Tries `largest`, a quarter of it, and so on, along `v`; of each step and the next one those two
 * halves that agree best are compared, in relation to the product. Sets curvature->step to the step
 * where they agree best of all, and the limit to twice what they differ by. INVALID if no gradient
 * is finite. */
int32_t bm_curvature_choose(struct bm_curvature *curvature,
                            const double *v,
                            double largest,
                            struct bm_curvature_choice *choice,
                            struct bm_error *error);

/* The largest step worth a try at these parameters: a quarter of their norm, or of 1. */
double bm_curvature_largest(const struct bm_curvature *curvature);

/* Sums in double. */
double bm_curvature_dot(const double *a, const double *b, uint64_t count);
double bm_curvature_norm(const double *a, uint64_t count);
double bm_curvature_norm_float(const float *a, uint64_t count);

/* v = +-1 / sqrt(count), signs by the seed and `index`. */
void bm_curvature_random(uint64_t seed, uint32_t index, double *v, uint64_t count);

#endif
