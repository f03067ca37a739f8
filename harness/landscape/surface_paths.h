/* What is tried on the surfaces: starts, questions, rates, and the optimizers that are compared. */
#ifndef BM_SURFACE_PATHS_H
#define BM_SURFACE_PATHS_H

#include "descent.h"

/* One start on one surface, with what is asked of the runs from there. */
struct bm_surface_case {
    const char *surface;
    const char *from;     /* where the start is, in words */
    const char *question; /* "crosses the hill" */
    double start[2];
    double spread[2]; /* half the width of what a seed moves the start by, so that twenty runs
                         without noise are twenty runs */
    double rate;      /* of plain descent, momentum and nesterov */
    double adam_rate;
    double noise;     /* deviation of one example's gradient, where there is noise */
    uint64_t updates; /* most of a run */
    struct bm_descent_goal goal;
};

extern const struct bm_surface_case bm_surface_cases[];
extern const uint32_t bm_surface_case_count;

/* A rule as it is compared. Momentum is a larger step as well: along a constant gradient a step of
 * plain descent with rate / (1 - momentum) is as long. So plain descent is tried with that too, and
 * momentum with a rate whose long step is that of plain descent. */
struct bm_surface_rule {
    uint32_t optimizer;
    double factor; /* of the case's rate */
    double momentum;
};

extern const struct bm_surface_rule bm_surface_rules[];
extern const uint32_t bm_surface_rule_count;

/* A run of that seed; batch 0: without noise. */
struct bm_descent_setup bm_surface_setup(const struct bm_surface_case *of,
                                         const struct bm_surface_rule *rule,
                                         uint64_t batch,
                                         uint64_t seed);

#endif
