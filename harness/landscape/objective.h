/*
 * A loss and its gradient as a function of all parameters: what the analyses of the landscape know
 * of a network. Behind it is a session of a backend (probe.h) or, in tests, a formula.
 */
#ifndef BM_LANDSCAPE_OBJECTIVE_H
#define BM_LANDSCAPE_OBJECTIVE_H

#include <batchmark/plugin.h>

struct bm_objective {
    uint64_t count; /* parameters */
    /* The loss at `params`, [count], and, where `gradient` is not NULL, its gradient, [count]. What
     * is not finite is no error. */
    int32_t (*at)(
        void *context, const float *params, double *loss, float *gradient, struct bm_error *error);
    void *context;
    uint64_t gradients; /* calls so far that asked for a gradient, and those that did not */
    uint64_t losses;
};

/* Calls `at` and counts. TIMEOUT: the time limit of the command has been reached, or a signal came;
 * what is known by then stays good. Other failures are the backend's. */
int32_t bm_objective_at(struct bm_objective *objective,
                        const float *params,
                        double *loss,
                        float *gradient,
                        struct bm_error *error);

#endif
