/*
 * The float64 reference: gradient and optimizer step of a network in double precision, with a bound
 * on how far an honest backend's float32 result may be from it, element by element. Shares no code
 * with the kit or a backend.
 */
#ifndef BM_REFERENCE_H
#define BM_REFERENCE_H

#include "model.h"

/* What to compute: the slice order[0 .. count) of `data`, as one gradient call. */
struct bm_reference_request {
    const struct bm_model *model;
    const struct bm_data *data;
    const uint32_t
        *order; /* repetition is counted, not recomputed: the cost is that of the distinct images */
    uint64_t count;
    double divisor;
    uint64_t update;
    uint64_t seed;
    uint32_t flags; /* BM_SLICE_*, without ACCUMULATE */
    uint32_t thread_count;
    double multiply_roundoff; /* of the backend's precision; the reference itself is float64 */
    double accumulate_roundoff;
    const float *params;      /* [bm_model_param_count] */
    const double *statistics; /* running statistics before the call, [bm_model_statistics_count];
                                 may be NULL: means 0, variances 1 */
};

/* Arrays belong to the caller of bm_reference_gradient: give them back with bm_reference_free. */
struct bm_reference {
    uint64_t param_count;
    uint64_t statistics_count;
    uint32_t is_undetermined; /* float32 gives no more than the order of magnitude */
    double *gradient;         /* canonical layout */
    double *bound;            /* |backend - gradient| <= bound for each element */
    double loss;
    double loss_bound;
    double *statistics; /* running statistics after the call, and their bound */
    double *statistics_bound;
};

/* Computes the gradient and its bound. NO_MEMORY on failure of an allocation, INVALID for a bad
 * label or order. */
int32_t bm_reference_gradient(const struct bm_reference_request *request,
                              struct bm_reference *reference,
                              struct bm_error *error);

void bm_reference_free(struct bm_reference *reference);

/* Summed loss and number of right answers over images first .. first + count in their own order,
 * running statistics, no dropout. */
int32_t bm_reference_evaluate(const struct bm_model *model,
                              const struct bm_data *data,
                              uint64_t first,
                              uint64_t count,
                              const float *params,
                              const double *statistics,
                              uint32_t thread_count,
                              double *loss,
                              uint64_t *correct,
                              struct bm_error *error);

/* ---- Optimizer ---- */

#define BM_OPTIMIZER_COUNT 9u
#define BM_STATE_SLOT_MAX 2u

extern const char
    *const bm_optimizer_names[BM_OPTIMIZER_COUNT + 1]; /* by BM_OPTIMIZER_*, then NULL */

/* -1 for an unknown name. */
int32_t bm_optimizer_find(const char *name);

/* Number of state arrays of a rule: 0, 1 or 2. */
uint32_t bm_optimizer_slot_count(uint32_t optimizer);

/* The rule's usual hyper-parameters (momentum .9, betas .9 and .999 (rmsprop beta2 .99), the
 * epsilons of plugin.h's rules, trust .001, decay 0 except adamw and lamb .01), with the given rate
 * and update. */
struct bm_hyper bm_optimizer_defaults(uint32_t optimizer, double rate, uint64_t update);

/* One step of the rule in float64: params and each state slot are [param_count], changed in place;
 * gradient is read. */
void bm_reference_apply(const struct bm_model *model,
                        uint32_t optimizer,
                        const struct bm_hyper *hyper,
                        const double *gradient,
                        double *params,
                        double *const state[BM_STATE_SLOT_MAX]);

/* How far an honest float32 backend may be from bm_reference_apply after one step, element by
 * element. Inputs are what the step starts from (float32 values, exact) and `gradient` with
 * `gradient_bound` (NULL: the gradient is exact, the bound is a few ulp of the terms of the rule).
 * Writes param_bound [param_count] and one state_bound for each slot of the rule; NULL entries are
 * not written. */
void bm_reference_apply_bound(const struct bm_model *model,
                              uint32_t optimizer,
                              const struct bm_hyper *hyper,
                              const double *gradient,
                              const double *gradient_bound,
                              const double *params,
                              const double *const state[BM_STATE_SLOT_MAX],
                              double *param_bound,
                              double *const state_bound[BM_STATE_SLOT_MAX]);

#endif
