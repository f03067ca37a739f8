/*
 * The float64 reference: gradient and optimizer step of a network in double precision, with a bound
 * on how far an honest backend's float32 result may be from it, element by element. It can also
 * play such a backend itself, in float32. Shares no code with the kit or a backend.
 */
#ifndef BM_REFERENCE_H
#define BM_REFERENCE_H

#include "model.h"

struct bm_reference_branches;

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
    const float *params;       /* [bm_model_param_count] */
    const double *statistics;  /* running statistics before the call, [bm_model_statistics_count];
                                  may be NULL: means 0, variances 1 */
    const double *wide_params; /* instead of `params` where it is not NULL */
    uint32_t no_bound; /* the gradient, the loss and the statistics only, at a tenth of the cost;
                          `bound` and the like stay 0 */
    uint64_t rounding; /* 0: float64. Otherwise what an honest float32 backend computes, without a
                          bound: every value is a float32, every sum is added up in float32, in a
                          random order that this seed, the layer and `update` choose and in chains
                          of 16, 64, 256 or all terms (the seed mod 4; in sums over positions and
                          images all those of an image at most). Repeated images are computed
                          again. The same bits for any number of threads. Parameters and statistics
                          must be float32 values. */
    struct bm_reference_branches *branches; /* NULL: nobody asks */
};

/*
 * Where float32 may take the other branch of a relu or a pooling. Found from runs over the same
 * images at the same parameters: first EXACT (float64), then any number of MEASURE (float32). A
 * CONTRARY run, at these parameters or near them, takes the other branch wherever it is within
 * BM_REFERENCE_BRANCH_LAMBDA times the root mean square deviation of the measured runs from the
 * exact one, over the values of the same unit or, of a convolution, channel.
 */
#define BM_BRANCHES_EXACT 0u
#define BM_BRANCHES_MEASURE 1u
#define BM_BRANCHES_CONTRARY 2u

#define BM_REFERENCE_BRANCH_LAMBDA 6.0

struct bm_reference_branches {
    uint32_t mode;                      /* of the next run */
    uint64_t images;                    /* that are measured: the first ones */
    double *exact[BM_MODEL_LAYER_MAX];  /* [images][inputs], by layer; NULL: it has no branches */
    double *square[BM_MODEL_LAYER_MAX]; /* [channels], sums of squares of deviations */
    uint64_t measured[BM_MODEL_LAYER_MAX]; /* values that are in each of these sums */
};

/* Memory for slices of up to `images` images; NO_MEMORY leaves nothing. */
int32_t bm_reference_branches_open(struct bm_reference_branches *branches,
                                   const struct bm_model *model,
                                   uint64_t images,
                                   struct bm_error *error);
void bm_reference_branches_close(struct bm_reference_branches *branches);

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
