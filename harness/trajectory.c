#include "trajectory.h"

#include "error.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>

/* One run of the network after its last update; the reference is the one without rounding. Running
 * statistics are not kept: slices either do not read them or leave them as they were at the start.
 */
struct path {
    uint64_t rounding; /* as in struct bm_reference_request */
    double *params;
    double *state[BM_STATE_SLOT_MAX];
};

struct bm_trajectory {
    struct bm_trajectory_request request;
    uint64_t param_count;
    uint32_t slot_count;
    double *start;
    double *wide; /* [param_count], scratch */
    uint32_t *order;
    uint64_t image_count;
    uint64_t update; /* the last that was made */
    double moved;    /* how far the reference is from the start */
    double farthest; /* a member was from the reference so far; not a number if one was not */
    double spread;   /* of the last update */
    uint64_t over;   /* the first update with a spread that is too large; 0: none */
    double factor;
    struct path reference;
    struct path member[BM_TRAJECTORY_MEMBER_MAX];
    struct path contrary; /* see trajectory.h */
    struct bm_reference_branches branches;
};

/* ---- Life ---- */

static int32_t check(const struct bm_trajectory_request *request, struct bm_error *error) {
    if (request->batch == 0 || request->dataset->split[BM_SPLIT_TRAIN].count == 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "trajectory: expected images and a batch above 0, found %llu and %llu",
                       (unsigned long long)request->dataset->split[BM_SPLIT_TRAIN].count,
                       (unsigned long long)request->batch);
    }
    if (request->member_count > BM_TRAJECTORY_MEMBER_MAX) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "trajectory: expected at most %u members, found %u",
                       BM_TRAJECTORY_MEMBER_MAX, request->member_count);
    }
    return BM_STATUS_OK;
}

/* 0 if there is no memory. */
static int start_path(const struct bm_trajectory *t, struct path *path) {
    path->params = malloc(t->param_count * sizeof *path->params);
    int is_whole = path->params != NULL;
    for (uint32_t slot = 0; slot < t->slot_count; slot++) {
        path->state[slot] = calloc(t->param_count, sizeof(double));
        is_whole = is_whole && path->state[slot] != NULL;
    }
    for (uint64_t i = 0; is_whole && i < t->param_count; i++) {
        path->params[i] = t->start[i];
    }
    return is_whole;
}

static void free_path(struct path *path) {
    free(path->params);
    for (uint32_t slot = 0; slot < BM_STATE_SLOT_MAX; slot++) {
        free(path->state[slot]);
    }
}

static int take_start(const struct bm_trajectory *t) {
    float *start = malloc(t->param_count * sizeof *start);
    if (start == NULL) {
        return 0;
    }
    bm_model_start(t->request.model, t->request.seed, start);
    for (uint64_t i = 0; i < t->param_count; i++) {
        t->start[i] = (double)start[i];
    }
    free(start);
    return 1;
}

/* 0 if there is no memory; what there is, is freed by close. */
static int take_memory(struct bm_trajectory *t) {
    t->start = malloc(t->param_count * sizeof *t->start);
    t->wide = malloc(t->param_count * sizeof *t->wide);
    t->order = malloc(t->image_count * sizeof *t->order);
    if (t->start == NULL || t->wide == NULL || t->order == NULL || !take_start(t)) {
        return 0;
    }
    bm_random_permutation(t->request.seed, 0, t->order, (uint32_t)t->image_count);
    int is_whole = start_path(t, &t->reference);
    for (uint32_t k = 0; k < t->request.member_count; k++) {
        t->member[k].rounding = k + 1;
        is_whole = start_path(t, &t->member[k]) && is_whole;
    }
    t->contrary.rounding = t->request.member_count + 1;
    return start_path(t, &t->contrary) && is_whole;
}

int32_t bm_trajectory_open(const struct bm_trajectory_request *request,
                           struct bm_trajectory **trajectory,
                           struct bm_error *error) {
    *trajectory = NULL;
    int32_t status = check(request, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    struct bm_trajectory *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "trajectory: no memory");
    }
    t->request = *request;
    t->image_count = request->dataset->split[BM_SPLIT_TRAIN].count;
    t->request.batch = request->batch < t->image_count ? request->batch : t->image_count;
    t->request.member_count =
        request->member_count == 0 ? BM_TRAJECTORY_MEMBERS : request->member_count;
    t->param_count = bm_model_param_count(request->model);
    t->slot_count = bm_optimizer_slot_count(request->optimizer);
    t->factor = bm_trajectory_factor(t->request.member_count);
    status = bm_reference_branches_open(&t->branches, request->model, t->request.batch, error);
    if (status != BM_STATUS_OK) {
        bm_trajectory_close(t);
        return status;
    }
    if (!take_memory(t)) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY,
                         "trajectory: no memory for %u runs of %llu parameters",
                         t->request.member_count + 2, (unsigned long long)t->param_count);
        bm_trajectory_close(t);
        return status;
    }
    *trajectory = t;
    return BM_STATUS_OK;
}

void bm_trajectory_close(struct bm_trajectory *trajectory) {
    if (trajectory == NULL) {
        return;
    }
    free(trajectory->start);
    free(trajectory->wide);
    free(trajectory->order);
    bm_reference_branches_close(&trajectory->branches);
    free_path(&trajectory->reference);
    free_path(&trajectory->contrary);
    for (uint32_t k = 0; k < BM_TRAJECTORY_MEMBER_MAX; k++) {
        free_path(&trajectory->member[k]);
    }
    free(trajectory);
}

/* ---- An update ---- */

uint64_t bm_trajectory_update_max(const struct bm_trajectory *trajectory) {
    uint64_t batch = trajectory->request.batch;
    return (trajectory->image_count + batch - 1) / batch;
}

static void round_to_float32(double *values, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        values[i] = (double)(float)values[i];
    }
}

static int32_t step_path(const struct bm_trajectory *t,
                         struct path *path,
                         struct bm_reference_branches *branches,
                         struct bm_error *error) {
    const struct bm_trajectory_request *of = &t->request;
    uint64_t first = t->update * of->batch;
    uint64_t left = t->image_count - first;
    uint64_t count = left < of->batch ? left : of->batch;
    struct bm_reference gradient;
    struct bm_reference_request request = {.model = of->model,
                                           .data = &of->dataset->split[BM_SPLIT_TRAIN],
                                           .order = t->order + first,
                                           .count = count,
                                           .divisor = (double)count,
                                           .update = t->update + 1,
                                           .seed = of->seed,
                                           .flags = of->flags,
                                           .thread_count = of->thread_count,
                                           .wide_params = path->params,
                                           .no_bound = 1,
                                           .rounding = path->rounding,
                                           .branches = branches};
    int32_t status = bm_reference_gradient(&request, &gradient, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    struct bm_hyper hyper = of->hyper(of->context, t->update + 1);
    bm_reference_apply(of->model, of->optimizer, &hyper, gradient.gradient, path->params,
                       path->state);
    if (path->rounding != 0) {
        round_to_float32(path->params, t->param_count);
        for (uint32_t slot = 0; slot < t->slot_count; slot++) {
            round_to_float32(path->state[slot], t->param_count);
        }
    }
    bm_reference_free(&gradient);
    return BM_STATUS_OK;
}

/* Reach is measured at the start, where all runs have the same parameters, so that it is that of
 * rounding: later, members that have taken another branch are far away from one another. */
static int32_t step_all(struct bm_trajectory *t, struct bm_error *error) {
    struct bm_reference_branches *branches = t->update == 0 ? &t->branches : NULL;
    t->branches.mode = BM_BRANCHES_EXACT;
    int32_t status = step_path(t, &t->reference, branches, error);
    t->branches.mode = BM_BRANCHES_MEASURE;
    for (uint32_t k = 0; k < t->request.member_count && status == BM_STATUS_OK; k++) {
        status = step_path(t, &t->member[k], branches, error);
    }
    t->branches.mode = BM_BRANCHES_CONTRARY;
    return status == BM_STATUS_OK ? step_path(t, &t->contrary, &t->branches, error) : status;
}

/* Whether the loss depends on a tensor: it does not on a bias just below a batch norm of the batch,
 * which takes it away. */
static int has_effect(const struct bm_trajectory *t, const struct bm_tensor *tensor) {
    return tensor->kind != BM_TENSOR_BIAS || (t->request.flags & BM_SLICE_USE_RUNNING) != 0 ||
           t->request.model->layers[tensor->layer + 1].kind != BM_LAYER_BATCHNORM;
}

/* ||params - theta*|| */
static double distance_of(const struct bm_trajectory *t, const double *params) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(t->request.model, tensors, 2 * BM_MODEL_LAYER_MAX);
    double sum = 0;
    for (uint32_t k = 0; k < count; k++) {
        uint64_t end = tensors[k].offset + tensors[k].count;
        for (uint64_t i = tensors[k].offset; i < end && has_effect(t, &tensors[k]); i++) {
            double difference = params[i] - t->reference.params[i];
            sum += difference * difference;
        }
    }
    return sqrt(sum);
}

/* Nobody moves while the rate is 0; then who has not is at 0. */
static double relative(const struct bm_trajectory *t, double distance) {
    return distance == 0 ? 0 : distance / t->moved;
}

/* What is not a number stays. */
static double larger(double a, double b) {
    return b <= a || isnan(a) ? a : b;
}

/* In scratch of the trajectory. */
static const double *widened(const struct bm_trajectory *t, const float *params) {
    for (uint64_t i = 0; i < t->param_count; i++) {
        t->wide[i] = (double)params[i];
    }
    return t->wide;
}

double bm_trajectory_distance(const struct bm_trajectory *trajectory, const float *params) {
    return relative(trajectory, distance_of(trajectory, widened(trajectory, params)));
}

int32_t
bm_trajectory_step(struct bm_trajectory *trajectory, double *spread, struct bm_error *error) {
    struct bm_trajectory *t = trajectory;
    if (t->update == bm_trajectory_update_max(t)) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "trajectory: expected an update of epoch 0, which has %llu, found %llu",
                       (unsigned long long)t->update, (unsigned long long)t->update + 1);
    }
    int32_t status = step_all(t, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    t->update++;
    t->moved = distance_of(t, t->start);
    double farthest = distance_of(t, t->contrary.params);
    for (uint32_t k = 0; k < t->request.member_count; k++) {
        farthest = larger(farthest, distance_of(t, t->member[k].params));
    }
    t->farthest = larger(t->farthest, farthest);
    t->spread = relative(t, farthest);
    if (t->over == 0 && !(t->spread <= BM_TRAJECTORY_SPREAD_MAX)) {
        t->over = t->update;
    }
    *spread = t->spread;
    return BM_STATUS_OK;
}

/* ---- Judging ---- */

/* The probability that a backend with the members' own distribution is farther away than `factor`
 * times the farthest of `members`, if each distance is |z| of a standard normal number: Simpson's
 * rule over z of the backend, of 2 phi(z) erf(z / (factor sqrt(2)))^members. */
static double alarm_probability(double factor, uint32_t members) {
    const uint32_t steps = 4000;
    const double last = 40; /* beyond it there is nothing */
    double h = last / steps;
    double sum = 0;
    for (uint32_t i = 0; i <= steps; i++) {
        double z = h * i;
        double density = sqrt(2 / acos(-1)) * exp(-z * z / 2);
        double weight = i == 0 || i == steps ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * density * pow(erf(z / (factor * sqrt(2))), members);
    }
    return sum * h / 3;
}

double bm_trajectory_factor(uint32_t member_count) {
    double low = 1;
    double high = 1e6;
    while (high - low > 1e-9 * low) {
        double middle = sqrt(low * high);
        *(alarm_probability(middle, member_count) > BM_TRAJECTORY_RISK ? &low : &high) = middle;
    }
    return high;
}

void bm_trajectory_judge(const struct bm_trajectory *trajectory,
                         const float *params,
                         struct bm_trajectory_verdict *verdict) {
    const struct bm_trajectory *t = trajectory;
    BM_ASSERT(t->update > 0);
    if (verdict->left_at > 0 || verdict->ended_at > 0) {
        return;
    }
    if (t->over > 0) {
        verdict->ended_at = t->over;
        return;
    }
    double distance = distance_of(t, widened(t, params));
    double ratio = distance == 0 ? 0 : distance / t->farthest;
    verdict->compared++;
    verdict->ratio_limit = t->factor;
    verdict->ratio_max = ratio <= verdict->ratio_max ? verdict->ratio_max : ratio;
    if (!(ratio <= t->factor)) {
        verdict->left_at = t->update;
    }
}
