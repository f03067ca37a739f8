/*
 * Equal training: whether the parameters of a backend, update for update, stay as near to a float64
 * trajectory as those of honest float32 backends do whose sums are in other orders.
 *
 * A trajectory steps the float64 reference and several members in lockstep, all from the same start
 * and over the same images. A member is the reference's float32 mode (bm_reference_request.rounding
 * with a seed of its own), and its parameters and optimizer state are rounded to float32 after each
 * step. Distances are relative to the way that the reference has come:
 *
 *     distance(theta) = ||theta - theta*||_2 / ||theta* - theta_0||_2
 *
 * Biases just below a batch norm are left out: it takes them away, their gradient is 0 but for
 * rounding, and a rule like adam makes whole steps of that.
 *
 * Branches. As long as all runs take the same branch at every relu and pooling, distances are those
 * of rounding, 1e-6. One pre-activation near 0 for which float32 goes the other way makes that 1e-4
 * at once, and nobody says that a member does so when the backend does. So there is one more
 * member, the contrary one: it takes the other branch wherever rounding could, that is within
 * BM_REFERENCE_BRANCH_LAMBDA standard deviations of the members' values in the first update. It
 * counts in the spread, which is the largest distance of a member.
 *
 * Limit. A backend is inside while ||theta - theta*|| is at most bm_trajectory_factor times the
 * largest that a member's has been so far. Were its distance one more draw from the members'
 * distribution, it would be the largest of all with probability 1 / (members + 1); how far above
 * depends on that distribution. It is widest where one direction dominates the error: then
 * distances are |z| of a normal number. The factor is that by which such a number exceeds the
 * largest of the members' with probability BM_TRAJECTORY_RISK: 4.2 for 8 members. For errors of
 * many directions, whose norm hardly varies, it is generous, which it may be: what is wrong by more
 * than rounding is so by powers of ten.
 */
#ifndef BM_TRAJECTORY_H
#define BM_TRAJECTORY_H

#include "data.h"
#include "reference.h"

#define BM_TRAJECTORY_MEMBERS 8u /* unless the request says otherwise */
#define BM_TRAJECTORY_MEMBER_MAX 64u

/* Probability of a false alarm at one update, in the worst case. */
#define BM_TRAJECTORY_RISK 1e-4

/* A spread beyond which float32 does not determine the path: the comparison ends there. What is
 * inside could be wrong by half of the way then. Below it the members' distances still are the
 * measure; adam has 1e-2 in its first update where gradients are 0 but for rounding, as behind a
 * relu that is always on and before a batch norm. */
#define BM_TRAJECTORY_SPREAD_MAX 1e-1

/* Hyper-parameters of an update, from 1. */
typedef struct bm_hyper bm_trajectory_hyper(void *context, uint64_t update);

/* Model and data are borrowed until close. */
struct bm_trajectory_request {
    const struct bm_model *model;
    const struct bm_dataset *dataset; /* its training split */
    uint32_t optimizer;
    uint64_t seed;         /* of the start, of dropout and, as epoch 0, of the order */
    uint64_t batch;        /* more than there are images means all of them */
    uint32_t flags;        /* BM_SLICE_NO_DROPOUT, BM_SLICE_USE_RUNNING or 0 */
    uint32_t member_count; /* 0: BM_TRAJECTORY_MEMBERS */
    uint32_t thread_count;
    bm_trajectory_hyper *hyper;
    void *context; /* of hyper */
};

struct bm_trajectory;

/* Takes the start. INVALID for no images, no batch or too many members; NO_MEMORY. On failure
 * *trajectory is NULL and nothing is left. */
int32_t bm_trajectory_open(const struct bm_trajectory_request *request,
                           struct bm_trajectory **trajectory,
                           struct bm_error *error);

/* NULL is fine. */
void bm_trajectory_close(struct bm_trajectory *trajectory);

/* Updates of epoch 0, the last of which may have a short batch. */
uint64_t bm_trajectory_update_max(const struct bm_trajectory *trajectory);

/* Makes one update of the reference and of the members. *spread: the largest distance of a member.
 * INVALID after the last update of the epoch; after any failure only close is useful. */
int32_t
bm_trajectory_step(struct bm_trajectory *trajectory, double *spread, struct bm_error *error);

/* Of a backend's parameters [bm_model_param_count], in canonical layout, after the same update. Not
 * finite if one of them is not. */
double bm_trajectory_distance(const struct bm_trajectory *trajectory, const float *params);

/* What was found of one backend; zeros at the start. */
struct bm_trajectory_verdict {
    uint64_t compared;  /* updates that were compared */
    uint64_t left_at;   /* the first update outside; 0: none */
    uint64_t ended_at;  /* the first update at which float32 did not determine the path; 0: none */
    double ratio_max;   /* of ||theta - theta*|| to the largest of a member so far; over updates */
    double ratio_limit; /* bm_trajectory_factor */
};

/* Compares after a step, with the parameters of the same update. Nothing is compared from the
 * update on whose spread is above BM_TRAJECTORY_SPREAD_MAX, or after the backend has left. */
void bm_trajectory_judge(const struct bm_trajectory *trajectory,
                         const float *params,
                         struct bm_trajectory_verdict *verdict);

/* See "Limit" at the top; of at least one member. */
double bm_trajectory_factor(uint32_t member_count);

#endif
