/*
 * Learning-rate schedules: the rate and the momentum of every update of a training run, as a pure
 * function of the plan and the update's number, so that parent and worker agree without a word.
 */
#ifndef BM_RATE_H
#define BM_RATE_H

#include "reference.h"

#include <jansson.h>

/* The batch that the rates of bm_tuning_default_rate are for. */
#define BM_RATE_BASE_BATCH 100u

/* Below: r = rate, B = batch, B0 = base_batch, t = update from 1, T = updates planned, E = updates
 * per epoch. */

/* r */
#define BM_RATE_CONSTANT 0u

/* r k with k = B / B0, after a warm-up of W = warmup_epochs E updates, at most T / 2 where T is
 * known: r + (r k - r) (t - 1) / W, from r on by equal steps, r k from update W + 1 on. Goyal et
 * al., "Accurate, large minibatch SGD" (arXiv 1706.02677), section 2.2. Where k < 1 there is no
 * warm-up, which would begin above the rate that it leads to. */
#define BM_RATE_LINEAR 1u

/* r sqrt(B / B0). Hoffer, Hubara and Soudry, "Train longer, generalize better" (arXiv 1705.08741),
 * section 4. */
#define BM_RATE_SQRT 2u

/* r, times step_factor after T / 3, again after 2 T / 3, again after 8 T / 9 updates: Goyal's
 * epochs 30, 60 and 80 of 90. */
#define BM_RATE_STEP 3u

/* e + (r - e) (1 - (t - 1) / T)^power, e = end_rate; e after T. You, Gitman and Ginsburg, "Large
 * batch training of convolutional networks" (LARS, arXiv 1708.03888), Algorithm 1, with power 2 and
 * e = 0. */
#define BM_RATE_POLYNOMIAL 4u

#define BM_RATE_SCHEDULE_COUNT 5u

/* "constant", "linear", "sqrt", "step", "polynomial", then NULL. */
extern const char *const bm_rate_schedule_names[BM_RATE_SCHEDULE_COUNT + 1];

/* m = u m - r g; w += m: the rate is inside the momentum (Goyal's equation 10), and the u that a
 * plugin is given is the rule's own. */
#define BM_RATE_LECTURE 0u

/* v = u v + g; w -= r v: the rate is outside (Goyal's equation 9, PyTorch). With m = -r v that is
 * the lecture's form with u_t = u r_t / r_(t-1) (Goyal, Remark 2), which is what a plugin is given.
 * The two differ only where the rate changes. */
#define BM_RATE_PYTORCH 1u

#define BM_RATE_FORM_COUNT 2u

/* "lecture", "pytorch", then NULL. */
extern const char *const bm_rate_form_names[BM_RATE_FORM_COUNT + 1];

/* -1 for an unknown name. */
int32_t bm_rate_schedule_find(const char *name);
int32_t bm_rate_form_find(const char *name);

/* A double holds every count up to here. */
#define BM_RATE_COUNT_MAX (UINT64_C(1) << 53)

struct bm_rate_plan {
    uint32_t schedule;          /* BM_RATE_CONSTANT .. */
    uint32_t momentum_form;     /* BM_RATE_LECTURE or _PYTORCH */
    double rate;                /* above 0 */
    uint64_t batch;             /* images of one update; counts are 1 .. BM_RATE_COUNT_MAX */
    uint64_t base_batch;        /* that `rate` is for */
    uint64_t updates_per_epoch; /* the short last one included */
    uint64_t updates;           /* planned; 0: unknown, as under a budget of seconds */
    double warmup_epochs;       /* 0 or more, may be fractional */
    double step_factor;         /* above 0, at most 1 */
    double power;               /* above 0 */
    double end_rate;            /* 0 .. rate */
};

/* A plan with the papers' usual numbers: lecture's form, base batch BM_RATE_BASE_BATCH, 5 epochs of
 * warm-up, factor .1, power 2, end rate 0. `updates` 0: unknown. */
struct bm_rate_plan bm_rate_plan_defaults(
    uint32_t schedule, double rate, uint64_t batch, uint64_t updates_per_epoch, uint64_t updates);

/* INVALID, naming the field, if one is outside its range, whether the schedule uses it or not; if
 * step or polynomial has no planned updates; if the scaled rate is 0 or not finite. The functions
 * below take plans that pass. */
int32_t bm_rate_plan_check(const struct bm_rate_plan *plan, struct bm_error *error);

/* Rate of that update, from 1. */
double bm_rate_at(const struct bm_rate_plan *plan, uint64_t update);

/* Momentum that a plugin is given for that update of the rule `momentum`: mu in the lecture's form
 * and at update 1, where there is none to carry on; else mu r_t / r_(t-1), and mu again once the
 * rate has come to 0. */
double bm_rate_momentum(const struct bm_rate_plan *plan, uint64_t update, double mu);

/* Whether the momentum's form makes a difference to the rule: to `momentum` only. Lars has the rate
 * inside by its paper. Of PyTorch's nesterov, w -= r (g + u (u v + g)), no rate and momentum of the
 * rule in plugin.h is the equal where the rate changes, so nesterov is the lecture's always. */
uint32_t bm_rate_has_form(uint32_t optimizer);

/* What replaces the usual hyper-parameters of a rule; NaN: the rule's own. */
struct bm_rate_overrides {
    double momentum; /* 0 or more, below 1 */
    double decay;    /* 0 or more */
};

/* What a plugin is given for that update: bm_optimizer_defaults with the plan's rate, the overrides
 * (NULL: none) and, where the rule has a form, its momentum. */
struct bm_hyper bm_rate_hyper(const struct bm_rate_plan *plan,
                              uint32_t optimizer,
                              uint64_t update,
                              const struct bm_rate_overrides *overrides);

/* As a JSON object, the caller's; NULL if there is no memory. Numbers come back with the same bits.
 */
json_t *bm_rate_plan_json(const struct bm_rate_plan *plan);

/* Back from JSON: every member is needed and has its type, and the result passes its check; members
 * that are not known are left alone. INVALID names the member. */
int32_t bm_rate_plan_read(const json_t *object, struct bm_rate_plan *plan, struct bm_error *error);

#endif
