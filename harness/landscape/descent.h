/*
 * An optimizer on an error surface: the rules of the float64 reference, update by update, without
 * or with noise in the gradient, and where they end. And the momentum as what it is, a weighted sum
 * of all gradients so far.
 */
#ifndef BM_DESCENT_H
#define BM_DESCENT_H

#include "surface.h"

#define BM_DESCENT_BEYOND 0u /* goal: x is above the limit */
#define BM_DESCENT_BELOW 1u  /* goal: the loss is below the limit */

/* What a run is to reach. */
struct bm_descent_goal {
    uint32_t kind; /* BM_DESCENT_* */
    double limit;
    uint32_t
        stays; /* the run must still be there at its end; 0: to have been there once is enough */
};

struct bm_descent_setup {
    const struct bm_surface *surface;
    uint32_t optimizer; /* BM_OPTIMIZER_*, of rules without norms of tensors */
    double rate;
    double momentum;
    double start[2];
    double noise;     /* deviation of each coordinate of one example's gradient; 0: none */
    uint64_t batch;   /* examples whose mean gradient is taken: noise / sqrt(batch) */
    uint64_t seed;    /* of the noise */
    uint64_t updates; /* most that are made */
    struct bm_descent_goal goal;
};

/* Why a run ended. */
#define BM_DESCENT_STOPPED                                                                         \
    0u                         /* gradient and step are 0 by BM_POINT_TOLERANCE; never with noise  \
                                */
#define BM_DESCENT_LIMIT 1u    /* all updates were made */
#define BM_DESCENT_DIVERGED 2u /* it left for beyond BM_DESCENT_FAR */

#define BM_DESCENT_FAR 1e6

struct bm_descent {
    uint64_t updates;    /* made */
    uint32_t ended;      /* BM_DESCENT_* */
    uint32_t reached;    /* the goal */
    uint64_t reached_at; /* the update after which it was first there */
    double end[2];
    struct bm_surface_values at_end;
};

/* Makes a run. points: [updates + 1][2], the start first, or NULL; gradients: [updates][2], as the
 * rule was given them, or NULL. */
void bm_descent_run(const struct bm_descent_setup *setup,
                    struct bm_descent *descent,
                    double *points,
                    double *gradients);

/* A start of that seed: each coordinate moved by a uniform number in +-spread. */
void bm_descent_start(const double middle[2],
                      const double spread[2],
                      uint64_t seed,
                      double start[2]);

/* ---- Momentum as a sum ---- */

/* The coefficients of the gradients g_1 .. g_t, oldest first, in the momentum after update t:
 * m_t = u m_(t-1) - r g_t with m_0 = 0 is the sum over i of -r u^(t-i) g_i. */
void bm_momentum_coefficients(double rate, double momentum, uint64_t updates, double *coefficients);

#endif
