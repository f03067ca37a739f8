#include "check.h"

#include "error.h"
#include "now.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Large enough that a parameter's change is far above its rounding; the timed rate would hide a
 * wrong update in the last bits. */
#define CHECK_RATE 0.1

/* Above this, what the replay after the timing covers anyway (pipelined and joined updates) is not
 * checked twice. */
#define SLOW_UPDATE_NS 1e9

#define CHECK_UPDATES 2u

/* One check and the arrays that it needs, all [param_count] unless said otherwise. */
struct check {
    struct bm_bench *bench;
    const struct bm_expected_entry *expected;
    struct bm_check_result *result;
    double *call_ratio; /* of the call that is being checked */
    struct bm_error *error;
    float *found; /* [all_count], as other: parameters, then state and statistics if readable */
    float *other;
    uint64_t all_count;
    double *params;
    double *gradient;
    double *param_bound;
    double *state[BM_STATE_SLOT_MAX];
    double *state_bound[BM_STATE_SLOT_MAX];
    uint32_t *order; /* [3 batch]: other images, the check's, other images */
};

/* ---- Comparing ---- */

/* "layer 2 weight [17]" for an index of the canonical layout; without a model "[17]". */
static void
name_element(const struct bm_model *model, uint64_t index, char *text, size_t capacity) {
    static const char *const kinds[] = {"weight", "bias", "gain", "shift"};
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = model == NULL ? 0 : bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (index >= tensors[i].offset && index < tensors[i].offset + tensors[i].count) {
            (void)snprintf(text, capacity, "layer %u %s [%llu]", tensors[i].layer,
                           kinds[tensors[i].kind], (unsigned long long)(index - tensors[i].offset));
            return;
        }
    }
    (void)snprintf(text, capacity, "[%llu]", (unsigned long long)index);
}

/* Notes the worst element; a value that is no number is infinitely wrong. 1 if it is outside its
 * bound. */
static int compare_one(struct check *check, double found, double expected, double bound) {
    double error = fabs(found - expected);
    double ratio = error == 0 ? 0 : error / bound;
    if (!isfinite(found)) {
        error = ratio = INFINITY;
    }
    if (ratio > *check->call_ratio) {
        *check->call_ratio = ratio;
    }
    if (ratio > check->result->ratio) {
        check->result->ratio = ratio;
        check->result->error = error;
        check->result->bound = bound;
    }
    return !(ratio <= 1);
}

static void compare(struct check *check,
                    const char *what,
                    const float *found,
                    const double *expected,
                    const double *bound,
                    uint64_t count,
                    int is_canonical) {
    uint64_t wrong_count = 0;
    uint64_t first = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (compare_one(check, (double)found[i], expected[i], bound[i])) {
            first = wrong_count == 0 ? i : first;
            wrong_count++;
        }
    }
    if (wrong_count > 0 && !check->result->wrong) {
        char element[64];
        name_element(is_canonical ? &check->bench->model : NULL, first, element, sizeof element);
        check->result->wrong = 1;
        (void)snprintf(check->result->reason, sizeof check->result->reason,
                       "%s: %llu of %llu values outside their bounds; the first is %s: expected "
                       "%.9g +- %.2g, found %.9g",
                       what, (unsigned long long)wrong_count, (unsigned long long)count, element,
                       expected[first], bound[first], (double)found[first]);
    }
}

static void compare_loss(struct check *check, const char *what, double found) {
    if (compare_one(check, found, check->expected->loss, check->expected->loss_bound) &&
        !check->result->wrong) {
        check->result->wrong = 1;
        (void)snprintf(check->result->reason, sizeof check->result->reason,
                       "%s: loss: expected %.9g +- %.2g, found %.9g", what, check->expected->loss,
                       check->expected->loss_bound, found);
    }
}

/* Compares [count] values from `offset` of what single updates left with what was found. */
static void compare_part(
    struct check *check, const char *what, uint64_t offset, uint64_t count, int is_canonical) {
    const float *found = check->found + offset;
    const float *expected = check->other + offset;
    for (uint64_t i = 0; i < count && !check->result->wrong; i++) {
        if (memcmp(&found[i], &expected[i], sizeof(float)) != 0) {
            char element[64];
            name_element(is_canonical ? &check->bench->model : NULL, i, element, sizeof element);
            check->result->wrong = 1;
            (void)snprintf(check->result->reason, sizeof check->result->reason,
                           "%s: %s: expected the bits of %u single updates, %.9g, found %.9g", what,
                           element, CHECK_UPDATES, (double)expected[i], (double)found[i]);
        }
    }
}

static void compare_bits(struct check *check, const char *what) {
    uint64_t params = check->bench->param_count;
    char part[64];
    compare_part(check, what, 0, params, 1);
    if (check->bench->plugin->read_state == NULL) {
        return;
    }
    for (uint32_t slot = 0; slot < check->bench->slot_count; slot++) {
        (void)snprintf(part, sizeof part, "%s: state %u", what, slot);
        compare_part(check, part, (slot + 1) * params, params, 1);
    }
    (void)snprintf(part, sizeof part, "%s: running statistics", what);
    compare_part(check, part, (check->bench->slot_count + 1) * params,
                 check->bench->statistics_count, 0);
}

static void to_double(const float *values, double *wide, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        wide[i] = (double)values[i];
    }
}

/* ---- The calls ---- */

static int32_t check_statistics(struct check *check, const char *what) {
    uint64_t count = check->bench->statistics_count;
    if (count == 0 || check->bench->plugin->read_state == NULL) {
        return BM_STATUS_OK;
    }
    float *statistics = malloc(count * sizeof *statistics);
    if (statistics == NULL) {
        return bm_fail(check->error, BM_STATUS_NO_MEMORY, "check: no memory");
    }
    int32_t status =
        bm_bench_read_state(check->bench, BM_STATE_STATISTICS, statistics, count, check->error);
    if (status == BM_STATUS_OK) {
        compare(check, what, statistics, check->expected->statistics,
                check->expected->statistics_bound, count, 0);
    }
    free(statistics);
    return status;
}

/* The start, with the walk at the check's images: not at the beginning of the order, so that a
 * slice's `first` counts. */
static int32_t go_to_start(struct check *check) {
    int32_t status = bm_bench_reset(check->bench, check->error);
    check->bench->first = check->bench->batch;
    return status;
}

/* A gradient of other images, which the gradients after it must replace. Two for each session: a
 * library may refuse to normalize a single value, and only a cell of as small a batch asks for
 * that. */
static int32_t leave_gradient(struct check *check) {
    uint64_t wanted = 2 * (uint64_t)check->bench->data_parallel;
    uint64_t count = check->bench->batch < wanted ? check->bench->batch : wanted;
    int32_t status = bm_bench_gradient(check->bench, count, check->error);
    return status == BM_STATUS_OK ? bm_bench_wait(check->bench, NULL, check->error) : status;
}

static int32_t check_gradient(struct check *check) {
    struct bm_bench *bench = check->bench;
    double loss = 0;
    int32_t status = bm_bench_gradient(bench, bench->batch, check->error);
    if (status == BM_STATUS_OK) {
        status = bm_bench_wait(bench, &loss, check->error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_bench_read_gradient(bench, check->found, check->error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    compare_loss(check, "gradient", loss);
    compare(check, "gradient", check->found, check->expected->gradient,
            check->expected->gradient_bound, bench->param_count, 1);
    to_double(check->found, check->gradient, bench->param_count);
    return check_statistics(check, "gradient: running statistics");
}

/* Reads what a step starts from, as exact doubles. */
static int32_t read_before(struct check *check) {
    struct bm_bench *bench = check->bench;
    int32_t status = bm_bench_read_params(bench, check->found, check->error);
    to_double(check->found, check->params, bench->param_count);
    for (uint32_t slot = 0; slot < bench->slot_count && status == BM_STATUS_OK; slot++) {
        status = bm_bench_read_state(bench, slot, check->found, bench->param_count, check->error);
        to_double(check->found, check->state[slot], bench->param_count);
    }
    return status;
}

static void start_before(struct check *check) {
    struct bm_bench *bench = check->bench;
    to_double(bench->start, check->params, bench->param_count);
    for (uint32_t slot = 0; slot < bench->slot_count; slot++) {
        memset(check->state[slot], 0, bench->param_count * sizeof(double));
    }
}

/* Compares parameters and state with a float64 step from check->params and check->state. */
static int32_t compare_step(struct check *check,
                            const char *what,
                            const struct bm_hyper *hyper,
                            const double *gradient,
                            const double *gradient_bound) {
    struct bm_bench *bench = check->bench;
    uint32_t optimizer = bench->problem.optimizer;
    char state_what[64];
    bm_reference_apply_bound(&bench->model, optimizer, hyper, gradient, gradient_bound,
                             check->params, (const double *const *)check->state, check->param_bound,
                             check->state_bound);
    bm_reference_apply(&bench->model, optimizer, hyper, gradient, check->params, check->state);
    int32_t status = bm_bench_read_params(bench, check->found, check->error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    compare(check, what, check->found, check->params, check->param_bound, bench->param_count, 1);
    if (bench->plugin->read_state == NULL) {
        return BM_STATUS_OK;
    }
    for (uint32_t slot = 0; slot < bench->slot_count && status == BM_STATUS_OK; slot++) {
        (void)snprintf(state_what, sizeof state_what, "%s: state %u", what, slot);
        status = bm_bench_read_state(bench, slot, check->found, bench->param_count, check->error);
        if (status == BM_STATUS_OK) {
            compare(check, state_what, check->found, check->state[slot], check->state_bound[slot],
                    bench->param_count, 1);
        }
    }
    return status;
}

/* One apply from the start and one from what it left, both with the backend's own gradient. */
static int32_t check_apply(struct check *check) {
    struct bm_bench *bench = check->bench;
    int32_t status = BM_STATUS_OK;
    uint32_t rounds = bench->plugin->read_state == NULL && bench->slot_count > 0 ? 1 : 2;
    start_before(check);
    for (uint32_t i = 0; i < rounds && status == BM_STATUS_OK; i++) {
        struct bm_hyper hyper = bm_bench_hyper(bench, bench->update);
        status = i == 0 ? BM_STATUS_OK : read_before(check);
        if (status == BM_STATUS_OK) {
            status = bm_bench_apply(bench, check->error);
        }
        if (status == BM_STATUS_OK) {
            status = bm_bench_wait(bench, NULL, check->error);
        }
        if (status == BM_STATUS_OK) {
            status = compare_step(check, "apply", &hyper, check->gradient, NULL);
        }
        bench->update++;
    }
    return status;
}

static int32_t waited_update(struct check *check, double *loss) {
    double before_ns = (double)bm_now_ns();
    int32_t status = bm_bench_update(check->bench, check->error);
    if (status == BM_STATUS_OK) {
        status = bm_bench_wait(check->bench, loss, check->error);
    }
    check->result->update_ns = (double)bm_now_ns() - before_ns;
    return status;
}

/* Parameters, and what can be read of state and running statistics. */
static int32_t read_all(struct check *check, float *values) {
    struct bm_bench *bench = check->bench;
    uint64_t params = bench->param_count;
    int32_t status = bm_bench_read_params(bench, values, check->error);
    if (bench->plugin->read_state == NULL) {
        return status;
    }
    for (uint32_t slot = 0; slot < bench->slot_count && status == BM_STATUS_OK; slot++) {
        values += params;
        status = bm_bench_read_state(bench, slot, values, params, check->error);
    }
    if (status == BM_STATUS_OK && bench->statistics_count > 0) {
        status = bm_bench_read_state(bench, BM_STATE_STATISTICS, values + params,
                                     bench->statistics_count, check->error);
    }
    return status;
}

/* An update from the start's parameters, where the reference knows the gradient, and from the state
 * that the applies left: zeros would hide a rule that forgets its state. */
static int32_t check_later_update(struct check *check) {
    struct bm_bench *bench = check->bench;
    if (bench->plugin->read_state == NULL || bench->slot_count == 0) {
        return BM_STATUS_OK;
    }
    struct bm_hyper hyper = bm_bench_hyper(bench, bench->update);
    int32_t status = bm_bench_write_params(bench, bench->start, check->error);
    if (status == BM_STATUS_OK) {
        status = read_before(check);
    }
    if (status == BM_STATUS_OK) {
        status = waited_update(check, NULL);
    }
    return status == BM_STATUS_OK ? compare_step(check, "update", &hyper, check->expected->gradient,
                                                 check->expected->gradient_bound)
                                  : status;
}

/* The first update from the start is compared with the reference; what those after it leave is kept
 * in `other`. */
static int32_t check_update(struct check *check) {
    struct bm_bench *bench = check->bench;
    double loss = 0;
    int32_t status = go_to_start(check);
    struct bm_hyper hyper = bm_bench_hyper(bench, bench->update);
    if (status == BM_STATUS_OK) {
        status = waited_update(check, &loss);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    compare_loss(check, "update", loss);
    start_before(check);
    status = compare_step(check, "update", &hyper, check->expected->gradient,
                          check->expected->gradient_bound);
    if (status == BM_STATUS_OK) {
        status = check_statistics(check, "update: running statistics");
    }
    uint32_t more = check->result->update_ns < SLOW_UPDATE_NS ? CHECK_UPDATES - 1 : 0;
    for (uint32_t i = 0; i < more && status == BM_STATUS_OK; i++) {
        status = waited_update(check, NULL);
    }
    return status == BM_STATUS_OK ? read_all(check, check->other) : status;
}

static int32_t check_pipelined(struct check *check) {
    struct bm_bench *bench = check->bench;
    int32_t status = go_to_start(check);
    for (uint32_t i = 0; i < CHECK_UPDATES && status == BM_STATUS_OK; i++) {
        status = bm_bench_update(bench, check->error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_bench_wait(bench, NULL, check->error);
    }
    if (status == BM_STATUS_OK) {
        status = read_all(check, check->found);
    }
    if (status == BM_STATUS_OK) {
        compare_bits(check, "pipelined update");
    }
    return status;
}

static int32_t check_updates(struct check *check) {
    struct bm_bench *bench = check->bench;
    if (bm_bench_updates_max(bench) < CHECK_UPDATES) {
        return BM_STATUS_OK;
    }
    int32_t status = go_to_start(check);
    if (status == BM_STATUS_OK) {
        status = bm_bench_updates(bench, CHECK_UPDATES, check->error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_bench_wait(bench, NULL, check->error);
    }
    if (status == BM_STATUS_OK) {
        status = read_all(check, check->found);
    }
    if (status == BM_STATUS_OK) {
        compare_bits(check, "updates");
    }
    return status;
}

/* ---- All of it ---- */

/* A gradient, a later update, and one or two of each way to make them. */
uint32_t bm_check_updates(double update_ns) {
    return update_ns < SLOW_UPDATE_NS ? 2 + 3 * CHECK_UPDATES : 3;
}

/* The check's images lie between others: each of the last half batch of the training order, which
 * is still set, twice, so that no slice of them is the check's. */
static int32_t set_check_order(struct check *check) {
    struct bm_bench *bench = check->bench;
    uint64_t batch = bench->batch;
    uint64_t images = bench->dataset->split[BM_SPLIT_TRAIN].count;
    for (uint64_t i = 0; i < batch; i++) {
        check->order[i] = bench->order[images - 1 - i / 2];
    }
    memcpy(check->order + 2 * batch, check->order, batch * sizeof *check->order);
    int32_t status =
        bm_expected_order(bench->problem.seed, images, batch, check->order + batch, check->error);
    return status == BM_STATUS_OK ? bm_bench_set_order(bench, check->order, 3 * batch, check->error)
                                  : status;
}

static int32_t set_training_order(struct check *check) {
    struct bm_bench *bench = check->bench;
    uint64_t count = bench->dataset->split[BM_SPLIT_TRAIN].count;
    uint32_t *order = malloc(count * sizeof *order);
    if (order == NULL) {
        return bm_fail(check->error, BM_STATUS_NO_MEMORY, "check: no memory for the order");
    }
    bm_random_permutation(bench->problem.seed, 0, order, (uint32_t)count);
    int32_t status = bm_bench_set_order(bench, order, count, check->error);
    free(order);
    return status;
}

static int32_t run_calls(struct check *check) {
    int32_t status = set_check_order(check);
    if (status == BM_STATUS_OK) {
        status = leave_gradient(check);
    }
    if (status == BM_STATUS_OK) {
        status = go_to_start(check);
    }
    if (status == BM_STATUS_OK) {
        check->call_ratio = &check->result->gradient_ratio;
        status = check_gradient(check);
    }
    if (status == BM_STATUS_OK) {
        check->call_ratio = &check->result->apply_ratio;
        status = check_apply(check);
    }
    if (status == BM_STATUS_OK) {
        check->call_ratio = &check->result->update_ratio;
        status = check_later_update(check);
    }
    if (status == BM_STATUS_OK) {
        status = check_update(check);
    }
    if (status == BM_STATUS_OK && check->result->update_ns < SLOW_UPDATE_NS) {
        status = check_pipelined(check);
    }
    if (status == BM_STATUS_OK && check->result->update_ns < SLOW_UPDATE_NS) {
        status = check_updates(check);
    }
    return status;
}

/* 0 if there is not enough memory. */
static int allocate(struct check *check) {
    uint64_t count = check->bench->param_count;
    double *wide = calloc(count, (3 + 2 * BM_STATE_SLOT_MAX) * sizeof *wide);
    check->all_count = (1 + check->bench->slot_count) * count + check->bench->statistics_count;
    check->found = calloc(check->all_count, 2 * sizeof *check->found);
    check->order = calloc(check->bench->batch, 3 * sizeof *check->order);
    check->params = wide;
    if (wide == NULL || check->found == NULL || check->order == NULL) {
        return 0;
    }
    check->other = check->found + check->all_count;
    check->gradient = wide + count;
    check->param_bound = wide + 2 * count;
    for (uint32_t slot = 0; slot < BM_STATE_SLOT_MAX; slot++) {
        check->state[slot] = wide + (3 + slot) * count;
        check->state_bound[slot] = wide + (3 + BM_STATE_SLOT_MAX + slot) * count;
    }
    return 1;
}

/* At the check's own rate, and back to the start of the training order. */
static int32_t run_and_restore(struct check *check) {
    struct bm_bench *bench = check->bench;
    double timed_rate = bench->rate;
    bench->rate = CHECK_RATE;
    int32_t status = run_calls(check);
    bench->rate = timed_rate;
    if (status == BM_STATUS_OK) {
        status = set_training_order(check);
    }
    return status == BM_STATUS_OK ? bm_bench_reset(bench, check->error) : status;
}

int32_t bm_check_run(struct bm_bench *bench,
                     const struct bm_expected_entry *expected,
                     struct bm_check_result *result,
                     struct bm_error *error) {
    struct check check = {.bench = bench, .expected = expected, .result = result, .error = error};
    memset(result, 0, sizeof *result);
    BM_ASSERT(expected->batch == bench->batch);
    int32_t status = allocate(&check) ? run_and_restore(&check)
                                      : bm_fail(error, BM_STATUS_NO_MEMORY, "check: no memory");
    free(check.params);
    free(check.found);
    free(check.order);
    return status;
}
