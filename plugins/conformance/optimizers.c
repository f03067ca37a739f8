/* The nine rules against the float64 reference: gradient and apply, the fused update, several steps
 * in a row and many; and which calls must end at the same bits. */
#include "cases.h"
#include "compare.h"

#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPDATES 4u
#define BATCH 31u

/* 2^33 + 1: a rule that keeps 32 bits of t takes it for the first update. */
#define LATE_UPDATE UINT64_C(0x200000001)

struct network {
    const char *layers;
    struct bm_shape input;
    uint32_t class_count;
};

/* All layers that have parameters; the others are for backends that lack some of them. */
static const struct network networks[] = {
    {"conv 6 3x3 pad 1, batchnorm, relu, maxpool 2, dense 65, relu, dropout 0.3, dense 4",
     {2, 8, 8},
     4},
    {"dense 65, batchnorm, relu, dense 10", {1, 5, 7}, 10},
    {"dense 13, relu, dense 10", {1, 1, 17}, 10},
};

static struct bm_conform_session *open_rule(struct bm_conform *conform,
                                            const struct network *network,
                                            uint32_t optimizer,
                                            uint32_t thread_count) {
    const struct bm_conform_spec spec = {.layers = network->layers,
                                         .input = network->input,
                                         .class_count = network->class_count,
                                         .optimizer = optimizer,
                                         .thread_count = thread_count,
                                         .batch_max = 33,
                                         .image_count = 128};
    return bm_conform_open(conform, &spec);
}

/* One more session of what is supported. */
static struct bm_conform_session *open_again(struct bm_conform *conform,
                                             const struct network *network,
                                             uint32_t optimizer,
                                             uint32_t thread_count) {
    struct bm_conform_session *test = open_rule(conform, network, optimizer, thread_count);
    EXPECT(conform, test != NULL,
           "supports and create: expected OK for \"%s\", %s, %u threads as for the session before, "
           "found UNSUPPORTED",
           network->layers, bm_optimizer_names[optimizer], thread_count);
    return test;
}

/* Another one in each update, and in every second one all values other than the usual. */
static struct bm_hyper hyper_of(uint32_t optimizer, uint64_t update) {
    struct bm_hyper hyper =
        bm_optimizer_defaults(optimizer, 0.01 + 0.002 * (double)(update % 3), update);
    hyper.decay = 0.02;
    if (update % 2 == 0) {
        hyper.momentum = 0.8;
        hyper.beta1 = 0.85;
        hyper.beta2 = 0.98;
        hyper.epsilon *= 8;
        hyper.trust = 0.002;
    }
    return hyper;
}

static void read_slot(struct bm_conform_session *test, uint32_t slot) {
    CALL(test, test->plugin->read_state(test->session, slot, test->found, test->param_count,
                                        &test->error));
}

static void read_gradient(struct bm_conform_session *test) {
    CALL(test,
         test->plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
}

static void widen(const float *values, uint64_t count, double *wide) {
    for (uint64_t i = 0; i < count; i++) {
        wide[i] = (double)values[i];
    }
}

/* ---- One step against the reference ---- */

/* What a step starts from, then what the reference makes of it; arrays of [param_count]. */
struct step {
    struct bm_conform_session *test;
    uint32_t optimizer;
    uint32_t slot_count;
    const char *how;
    struct bm_hyper hyper;
    struct bm_slice slice;
    double *gradient;
    double *params;
    double *param_bound;
    double *state[BM_STATE_SLOT_MAX];
    double *state_bound[BM_STATE_SLOT_MAX];
};

static void init_step(struct step *step, struct bm_conform_session *test, uint64_t update) {
    uint32_t optimizer = test->problem.optimizer;
    uint64_t count = test->param_count;
    *step = (struct step){.test = test,
                          .optimizer = optimizer,
                          .slot_count = bm_optimizer_slot_count(optimizer),
                          .how = "",
                          .hyper = hyper_of(optimizer, update),
                          .slice = bm_conform_slice(update % 100, 33, 0, update)};
    double *all =
        bm_conform_allocate(test->conform, count, (3 + 2 * BM_STATE_SLOT_MAX) * sizeof *all);
    step->params = all;
    step->gradient = all + count;
    step->param_bound = all + 2 * count;
    for (uint32_t i = 0; i < step->slot_count; i++) {
        step->state[i] = all + (3 + i) * count;
        step->state_bound[i] = all + (3 + BM_STATE_SLOT_MAX + i) * count;
    }
}

static void deinit_step(struct step *step) {
    free(step->params);
}

/* State that cannot be read is that of the first step: 0. */
static void read_start(struct step *step) {
    struct bm_conform_session *test = step->test;
    bm_conform_read_params(test);
    widen(test->found, test->param_count, step->params);
    for (uint32_t i = 0; i < step->slot_count && bm_conform_has_state(test); i++) {
        read_slot(test, i);
        widen(test->found, test->param_count, step->state[i]);
    }
}

/* From the start of the step and its gradient to its end. */
static void make_expected(struct step *step, const double *gradient_bound) {
    const struct bm_model *model = &step->test->model;
    bm_reference_apply_bound(model, step->optimizer, &step->hyper, step->gradient, gradient_bound,
                             step->params, (const double *const *)step->state, step->param_bound,
                             step->state_bound);
    bm_reference_apply(model, step->optimizer, &step->hyper, step->gradient, step->params,
                       step->state);
}

static struct bm_conform_place place_of(const struct step *step, const char *what) {
    return (struct bm_conform_place){
        .test = step->test, .slice = step->slice, .what = what, .how = step->how};
}

static void compare_end(const struct step *step) {
    struct bm_conform_session *test = step->test;
    char what[64];
    (void)snprintf(what, sizeof what, "parameters after step %llu",
                   (unsigned long long)step->hyper.update);
    struct bm_conform_place place = place_of(step, what);
    bm_conform_read_params(test);
    bm_conform_expect_near(&place, BM_CONFORM_PARAMS, test->found, step->params, step->param_bound);
    for (uint32_t i = 0; i < step->slot_count && bm_conform_has_state(test); i++) {
        (void)snprintf(what, sizeof what, "state %u after step %llu", i,
                       (unsigned long long)step->hyper.update);
        read_slot(test, i);
        bm_conform_expect_near(&place, BM_CONFORM_PARAMS, test->found, step->state[i],
                               step->state_bound[i]);
    }
}

/* The gradient of some images, or of 0. */
static void make_gradient(struct step *step, int zero) {
    struct bm_conform_session *test = step->test;
    CALL(test, test->plugin->gradient(test->session, &step->slice, &test->error));
    if (zero) {
        memset(test->found, 0, test->param_count * sizeof(float));
        CALL(test, test->plugin->write_gradient(test->session, test->found, test->param_count,
                                                &test->error));
    } else {
        read_gradient(test);
    }
    widen(test->found, test->param_count, step->gradient);
}

/* Gradient and apply from wherever the session is, with the gradient that it has made itself. */
static void check_apply(struct bm_conform_session *test, uint64_t update) {
    struct step step;
    init_step(&step, test, update);
    step.how = ", gradient and apply";
    make_gradient(&step, 0);
    read_start(&step);
    make_expected(&step, NULL);
    CALL(test, test->plugin->apply(test->session, &step.hyper, &test->error));
    compare_end(&step);
    deinit_step(&step);
}

/* Running statistics; without a way to read them those of the start. NULL if there are none. */
static double *read_statistics(struct bm_conform_session *test, float *found) {
    double *wide = NULL;
    if (test->statistics_count > 0 && bm_conform_has_state(test)) {
        wide = bm_conform_allocate(test->conform, test->statistics_count, sizeof *wide);
        CALL(test, test->plugin->read_state(test->session, BM_STATE_STATISTICS, found,
                                            test->statistics_count, &test->error));
        widen(found, test->statistics_count, wide);
    }
    return wide;
}

/* The loss and the running statistics that a fused update leaves are those of its gradient. */
static void compare_pass(const struct step *step, const struct bm_reference *reference) {
    struct bm_conform_session *test = step->test;
    const struct bm_conform_place of_loss = place_of(step, "loss");
    const struct bm_conform_place of_statistics = place_of(step, "running statistics");
    float *found = bm_conform_allocate(test->conform, test->statistics_count, sizeof *found);
    double loss = -1;
    CALL(test, test->plugin->wait(test->session, &loss, &test->error));
    bm_conform_expect_number(&of_loss, loss, reference->loss, reference->loss_bound);
    double *statistics = read_statistics(test, found);
    if (statistics != NULL) {
        bm_conform_expect_near(&of_statistics, BM_CONFORM_STATISTICS, found, reference->statistics,
                               reference->statistics_bound);
    }
    free(statistics);
    free(found);
}

/* The gradient of a fused update is not seen: it is the reference's, give or take its bound. */
static void check_update(struct bm_conform_session *test, uint64_t update) {
    struct bm_reference reference;
    struct step step;
    float *found = bm_conform_allocate(test->conform, test->statistics_count, sizeof *found);
    init_step(&step, test, update);
    step.how = ", fused update";
    double *statistics = read_statistics(test, found);
    read_start(&step);
    bm_conform_read_params(test); /* `found` may hold state */
    bm_conform_reference(test, &step.slice, test->found, statistics, &reference);
    memcpy(step.gradient, reference.gradient, test->param_count * sizeof *step.gradient);
    make_expected(&step, reference.bound);
    CALL(test, test->plugin->update(test->session, &step.slice, &step.hyper, &test->error));
    compare_pass(&step, &reference);
    compare_end(&step);
    bm_reference_free(&reference);
    free(statistics);
    free(found);
    deinit_step(&step);
}

typedef void check_step(struct bm_conform_session *test, uint64_t update);

/* From state that cannot be read only the first step can be foreseen. */
static int is_foreseen(const struct bm_conform_session *test) {
    return bm_conform_has_state(test) || bm_optimizer_slot_count(test->problem.optimizer) == 0;
}

static void check_steps(struct bm_conform_session *test, check_step *check) {
    check(test, 1);
    for (uint64_t update = 2; update <= UPDATES && is_foreseen(test); update++) {
        check(test, update);
    }
    if (is_foreseen(test)) {
        check(test, LATE_UPDATE);
    }
}

static void zero_last_weights(struct bm_conform_session *test) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(&test->model, tensors, 2 * BM_MODEL_LAYER_MAX);
    const struct bm_tensor *weight = &tensors[count - 2];
    memset(test->params + weight->offset, 0, weight->count * sizeof(float));
    CALL(test,
         test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
}

/* A zero norm gives ratio 1. Weights of 0 in the last layer have a gradient, and let none through
 * to those below; then, where it can be written, all of the gradient is 0. */
static void check_zero_norm(struct bm_conform *conform,
                            const struct network *network,
                            uint32_t optimizer,
                            int zero_gradient) {
    struct bm_conform_session *test = open_again(conform, network, optimizer, 1);
    struct step step;
    init_step(&step, test, 1);
    step.how = zero_gradient ? ", a gradient of 0" : ", weights of 0 in the last layer";
    if (!zero_gradient) {
        zero_last_weights(test);
    }
    make_gradient(&step, zero_gradient);
    read_start(&step);
    make_expected(&step, NULL);
    CALL(test, test->plugin->apply(test->session, &step.hyper, &test->error));
    compare_end(&step);
    deinit_step(&step);
    bm_conform_close(test);
}

static void
check_network(struct bm_conform *conform, const struct network *network, uint32_t optimizer) {
    struct bm_conform_session *stepped = open_rule(conform, network, optimizer, 2);
    if (stepped == NULL) {
        return;
    }
    check_steps(stepped, check_apply);
    bm_conform_close(stepped);
    if (conform->plugin->update != NULL) {
        struct bm_conform_session *fused = open_again(conform, network, optimizer, 3);
        check_steps(fused, check_update);
        bm_conform_close(fused);
    }
    check_zero_norm(conform, network, optimizer, 0);
    if (conform->plugin->write_gradient != NULL) {
        check_zero_norm(conform, network, optimizer, 1);
    }
}

static void check_rule(struct bm_conform *conform, uint32_t optimizer) {
    for (size_t i = 0; i < BM_CONFORM_COUNT(networks); i++) {
        check_network(conform, &networks[i], optimizer);
    }
}

void bm_conform_optimizers_sgd(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_SGD);
}

void bm_conform_optimizers_momentum(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_MOMENTUM);
}

void bm_conform_optimizers_nesterov(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_NESTEROV);
}

void bm_conform_optimizers_adagrad(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_ADAGRAD);
}

void bm_conform_optimizers_rmsprop(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_RMSPROP);
}

void bm_conform_optimizers_adam(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_ADAM);
}

void bm_conform_optimizers_adamw(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_ADAMW);
}

void bm_conform_optimizers_lars(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_LARS);
}

void bm_conform_optimizers_lamb(struct bm_conform *conform) {
    check_rule(conform, BM_OPTIMIZER_LAMB);
}

/* ---- The same calls, the same bits ---- */

enum route { ROUTE_TWO_CALLS, ROUTE_UPDATE, ROUTE_UPDATES, ROUTE_COUNT };

static const char *const route_names[ROUTE_COUNT] = {"gradient and apply", "update", "updates"};

static int has_route(const struct bm_plugin *plugin, enum route route) {
    return route == ROUTE_TWO_CALLS || (route == ROUTE_UPDATE && plugin->update != NULL) ||
           (route == ROUTE_UPDATES && plugin->updates != NULL);
}

/* Arguments are copied before a call returns: what becomes of them then must not matter. Volatile,
 * or the compiler leaves out what nobody here reads. */
static void scribble(void *argument, size_t size) {
    volatile unsigned char *bytes = argument;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = 0xff;
    }
}

/* Where the contract lets the host's hyper-parameters be further apart than their size. */
struct apart {
    struct bm_hyper hyper;
    double between[3];
};

/* The updates `from` .. `to` (the first is 0) in one call. */
static void call_updates(struct bm_conform_session *test, uint32_t from, uint32_t to) {
    struct apart hypers[UPDATES];
    const struct bm_slice slice =
        bm_conform_slice(3 + BATCH * (uint64_t)from, BATCH, 0, 1 + (uint64_t)from);
    for (uint32_t k = from; k < to; k++) {
        hypers[k - from] = (struct apart){.hyper = hyper_of(test->problem.optimizer, k + 1),
                                          .between = {NAN, NAN, NAN}};
    }
    CALL(test, test->plugin->updates(test->session, &slice, to - from, &hypers[0].hyper,
                                     sizeof hypers[0], &test->error));
    scribble(hypers, sizeof hypers);
}

static void call_update(struct bm_conform_session *test, enum route route, uint32_t k) {
    const struct bm_plugin *plugin = test->plugin;
    struct bm_slice slice = bm_conform_slice(3 + BATCH * (uint64_t)k, BATCH, 0, 1 + (uint64_t)k);
    struct bm_hyper hyper = hyper_of(test->problem.optimizer, k + 1);
    if (route == ROUTE_UPDATES) {
        call_updates(test, k, k + 1);
    } else if (route == ROUTE_UPDATE) {
        CALL(test, plugin->update(test->session, &slice, &hyper, &test->error));
    } else {
        CALL(test, plugin->gradient(test->session, &slice, &test->error));
        scribble(&slice, sizeof slice);
        CALL(test, plugin->apply(test->session, &hyper, &test->error));
    }
    scribble(&slice, sizeof slice);
    scribble(&hyper, sizeof hyper);
}

static void walk(struct bm_conform_session *test, enum route route, int waits) {
    if (route == ROUTE_UPDATES) {
        uint32_t middle = waits ? UPDATES / 2 : UPDATES;
        call_updates(test, 0, middle);
        if (waits) {
            CALL(test, test->plugin->wait(test->session, NULL, &test->error));
            call_updates(test, middle, UPDATES);
        }
        return;
    }
    for (uint32_t k = 0; k < UPDATES; k++) {
        call_update(test, route, k);
        if (waits) {
            CALL(test, test->plugin->wait(test->session, NULL, &test->error));
        }
    }
}

static struct bm_conform_place
place_of_walk(const struct bm_conform_session *test, const char *what, const char *how) {
    return (struct bm_conform_place){
        .test = test, .slice = bm_conform_slice(3, BATCH, 0, 1), .what = what, .how = how};
}

static void compare_states(struct bm_conform_session *first,
                           struct bm_conform_session *other,
                           const char *how) {
    const struct bm_conform_place of_state = place_of_walk(other, "state", how);
    const struct bm_conform_place of_statistics = place_of_walk(other, "running statistics", how);
    uint64_t count = first->statistics_count;
    float *statistics = bm_conform_allocate(first->conform, 2 * count, sizeof *statistics);
    for (uint32_t slot = 0; slot < bm_optimizer_slot_count(first->problem.optimizer); slot++) {
        read_slot(first, slot);
        read_slot(other, slot);
        bm_conform_expect_bits(&of_state, BM_CONFORM_PARAMS, other->found, first->found);
    }
    free(read_statistics(first, statistics));
    free(read_statistics(other, statistics + count));
    bm_conform_expect_bits(&of_statistics, BM_CONFORM_STATISTICS, statistics + count, statistics);
    free(statistics);
}

/* Two ways to the same place end at the same loss, parameters, state and statistics. */
static void
compare_ends(struct bm_conform_session *first, struct bm_conform_session *other, const char *how) {
    const struct bm_conform_place of_loss = place_of_walk(other, "loss", how);
    const struct bm_conform_place of_params = place_of_walk(other, "parameters", how);
    double losses[2] = {-1, -2};
    CALL(first, first->plugin->wait(first->session, &losses[0], &first->error));
    CALL(other, other->plugin->wait(other->session, &losses[1], &other->error));
    bm_conform_expect_number(&of_loss, losses[1], losses[0], 0);
    bm_conform_read_params(first);
    bm_conform_read_params(other);
    bm_conform_expect_bits(&of_params, BM_CONFORM_PARAMS, other->found, first->found);
    EXPECT(first->conform,
           memcmp(first->found, first->params, first->param_count * sizeof(float)) != 0,
           "%s: expected other parameters after %u updates, found those of the start", how,
           UPDATES);
    if (bm_conform_has_state(first)) {
        compare_states(first, other, how);
    }
}

/* Every rule and every network meets every budget. */
static uint32_t budget_of(const struct bm_conform *conform, uint32_t turn) {
    uint32_t budgets[BM_CONFORM_BUDGETS];
    uint32_t count = bm_conform_budgets(conform, budgets);
    return budgets[turn % count];
}

/* Waited for after each call, or only at the end. */
static void check_route(struct bm_conform *conform,
                        const struct network *network,
                        uint32_t optimizer,
                        uint32_t thread_count,
                        enum route route) {
    struct bm_conform_session *first = open_rule(conform, network, optimizer, thread_count);
    char how[96];
    if (first == NULL) {
        return;
    }
    struct bm_conform_session *other = open_again(conform, network, optimizer, thread_count);
    (void)snprintf(how, sizeof how, ", %u x %s, waited for in between as against not", UPDATES,
                   route_names[route]);
    walk(first, route, 0);
    walk(other, route, 1);
    compare_ends(first, other, how);
    bm_conform_close(first);
    bm_conform_close(other);
}

void bm_conform_optimizers_same_bits(struct bm_conform *conform) {
    for (uint32_t optimizer = 0; optimizer < BM_OPTIMIZER_COUNT; optimizer++) {
        for (uint32_t i = 0; i < BM_CONFORM_COUNT(networks); i++) {
            uint32_t threads = budget_of(conform, optimizer + i);
            for (enum route route = ROUTE_TWO_CALLS; route < ROUTE_COUNT; route++) {
                if (has_route(conform->plugin, route)) {
                    check_route(conform, &networks[i], optimizer, threads, route);
                }
            }
        }
    }
}

/* Many updates in one call against as many calls; without `update` calls of one update each. */
static void check_updates(struct bm_conform *conform,
                          const struct network *network,
                          uint32_t optimizer,
                          uint32_t thread_count) {
    enum route route = conform->plugin->update != NULL ? ROUTE_UPDATE : ROUTE_UPDATES;
    struct bm_conform_session *first = open_rule(conform, network, optimizer, thread_count);
    if (first == NULL) {
        return;
    }
    struct bm_conform_session *other = open_again(conform, network, optimizer, thread_count);
    for (uint32_t k = 0; k < UPDATES; k++) {
        call_update(first, route, k);
    }
    call_updates(other, 0, 1);
    call_updates(other, 1, UPDATES);
    compare_ends(first, other, ", updates of 1 and 3 as against 4 calls of one");
    bm_conform_close(first);
    bm_conform_close(other);
}

void bm_conform_optimizers_updates(struct bm_conform *conform) {
    if (conform->plugin->updates == NULL) {
        bm_conform_leave(conform, "the plugin has no updates: the host calls update after update");
    }
    for (uint32_t optimizer = 0; optimizer < BM_OPTIMIZER_COUNT; optimizer++) {
        for (uint32_t i = 0; i < BM_CONFORM_COUNT(networks); i++) {
            check_updates(conform, &networks[i], optimizer, budget_of(conform, optimizer + i));
        }
    }
}

/* ---- Fifty updates ---- */

/*
 * Two comparisons. Each update by itself: the gradient at the backend's own parameters is inside
 * the reference's bound, and the step from there with the backend's own gradient a few ulp from the
 * float64 step; so every update is what it should be, wherever the roundings of those before it
 * have led.
 *
 * And all of them together, in a session that nobody reads from: its loss curve and its last
 * parameters against those of the reference from the same start. There is no useful bound on how
 * far fifty honest updates lead apart, but the size of it can be sampled. The reference walks once
 * as it is, only stored in float32 after each update, and DRAWS times with errors as large as an
 * honest backend's or larger: the start off by one ulp, each gradient by a quarter of its bound
 * (which is made of about ten standard deviations of a model that is generous by a factor of 3: see
 * reference_layers.c), each step by all of its bound, everything with random signs. If the backend
 * is one more of these walks, its distance from the first over the root mean square of theirs has
 * Student's t distribution with DRAWS degrees of freedom; SPREADS are exceeded with a probability
 * of 1e-8, and the true errors are several times smaller than the sampled ones. Distances may
 * shrink again by chance: what counts is the largest root mean square up to an update.
 */
#define STEPS 50u
#define WALKED_BATCH 13u
#define DRAWS 8u
#define SPREADS 24.0
#define GRADIENT_SHARE 0.25

/* The second is for backends that lack the first one's layer. */
static const struct network walked_networks[] = {
    {"dense 13, batchnorm, relu, dense 10", {1, 1, 17}, 10},
    {"dense 13, relu, dense 10", {1, 1, 17}, 10},
};

/* Rates with which the loss falls well in so few updates. */
static struct bm_hyper walked_hyper(uint32_t optimizer, uint64_t update) {
    static const double factors[BM_OPTIMIZER_COUNT] = {10, 3, 3, 5, 0.5, 1, 1, 300, 2};
    struct bm_hyper hyper = hyper_of(optimizer, update);
    hyper.rate *= factors[optimizer];
    return hyper;
}

static struct bm_slice walked_slice(uint64_t update) {
    return bm_conform_slice(7 * update % 200, WALKED_BATCH, 0, update);
}

static void check_walked_step(struct bm_conform_session *test, uint64_t update) {
    struct bm_reference reference;
    struct step step;
    double loss = -1;
    init_step(&step, test, update);
    step.how = ", from the backend's own parameters";
    step.hyper = walked_hyper(step.optimizer, update);
    step.slice = walked_slice(update);
    const struct bm_conform_place of_gradient = place_of(&step, "gradient");
    const struct bm_conform_place of_loss = place_of(&step, "loss");
    read_start(&step);
    bm_conform_read_params(test);
    bm_conform_reference(test, &step.slice, test->found, NULL, &reference);
    CALL(test, test->plugin->gradient(test->session, &step.slice, &test->error));
    CALL(test, test->plugin->wait(test->session, &loss, &test->error));
    read_gradient(test);
    bm_conform_expect_number(&of_loss, loss, reference.loss, reference.loss_bound);
    bm_conform_expect_near(&of_gradient, BM_CONFORM_PARAMS, test->found, reference.gradient,
                           reference.bound);
    widen(test->found, test->param_count, step.gradient);
    make_expected(&step, NULL);
    CALL(test, test->plugin->apply(test->session, &step.hyper, &test->error));
    if (is_foreseen(test)) {
        compare_end(&step);
    }
    bm_reference_free(&reference);
    deinit_step(&step);
}

/* A walk of the reference; `random` is NULL for the one without errors. */
struct walker {
    struct step step; /* of float32 values, but for the gradient */
    float *params;    /* the same */
    struct bm_random *random;
    double losses[STEPS];
    double loss_bounds[STEPS];
};

static double sign_of(struct walker *walker) {
    return (bm_random_u32(walker->random) & 1) != 0 ? 1 : -1;
}

/* Errors, and the rounding of what is stored. */
static void store(struct walker *walker, double *values, const double *bound) {
    for (uint64_t i = 0; i < walker->step.test->param_count; i++) {
        double error = walker->random == NULL ? 0 : sign_of(walker) * bound[i];
        values[i] = (double)(float)(values[i] + error);
    }
}

static void init_walker(struct walker *walker,
                        struct bm_conform_session *test,
                        struct bm_random *random,
                        uint32_t draw) {
    init_step(&walker->step, test, 1);
    walker->params = bm_conform_allocate(test->conform, test->param_count, sizeof(float));
    walker->random = draw > 0 ? random : NULL;
    for (uint64_t i = 0; i < test->param_count; i++) {
        float to = draw > 0 ? (float)sign_of(walker) * INFINITY : test->params[i];
        walker->step.params[i] = (double)nextafterf(test->params[i], to);
    }
}

static void walk_reference(struct walker *walker, uint32_t k) {
    struct step *step = &walker->step;
    struct bm_conform_session *test = step->test;
    struct bm_reference reference;
    step->hyper = walked_hyper(step->optimizer, k + 1);
    step->slice = walked_slice(k + 1);
    for (uint64_t i = 0; i < test->param_count; i++) {
        walker->params[i] = (float)step->params[i];
    }
    bm_conform_reference(test, &step->slice, walker->params, NULL, &reference);
    walker->losses[k] = reference.loss;
    walker->loss_bounds[k] = reference.loss_bound;
    for (uint64_t i = 0; i < test->param_count; i++) {
        double error =
            walker->random == NULL ? 0 : sign_of(walker) * GRADIENT_SHARE * reference.bound[i];
        step->gradient[i] = reference.gradient[i] + error;
    }
    bm_reference_free(&reference);
    make_expected(step, NULL);
    store(walker, step->params, step->param_bound);
    for (uint32_t i = 0; i < step->slot_count; i++) {
        store(walker, step->state[i], step->state_bound[i]);
    }
}

static double distance_of(const double *a, const double *b, uint64_t count) {
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sqrt(sum);
}

/* The first walk has no errors. */
static void walk_references(struct bm_conform_session *test, struct walker *walkers) {
    struct bm_random random;
    bm_random_init(&random, 8, BM_RANDOM_CHECK, test->problem.optimizer);
    for (uint32_t draw = 0; draw <= DRAWS; draw++) {
        init_walker(&walkers[draw], test, &random, draw);
        for (uint32_t k = 0; k < STEPS; k++) {
            walk_reference(&walkers[draw], k);
        }
    }
}

static void check_curve(struct bm_conform_session *test, const struct walker *walkers) {
    double spread = 0;
    for (uint32_t k = 0; k < STEPS; k++) {
        const struct bm_slice slice = walked_slice(k + 1);
        const struct bm_hyper hyper = walked_hyper(test->problem.optimizer, k + 1);
        const struct bm_conform_place place = {
            .test = test, .slice = slice, .what = "loss", .how = ", on the way of 50 updates"};
        double loss = -1;
        double squares = 0;
        for (uint32_t draw = 1; draw <= DRAWS; draw++) {
            double distance = walkers[draw].losses[k] - walkers[0].losses[k];
            squares += distance * distance / DRAWS;
        }
        spread = fmax(spread, sqrt(squares));
        CALL(test, bm_conform_update(test, &slice, &hyper));
        CALL(test, test->plugin->wait(test->session, &loss, &test->error));
        bm_conform_expect_number(&place, loss, walkers[0].losses[k],
                                 SPREADS * spread + walkers[0].loss_bounds[k]);
    }
}

/* The Euclidean distance of all parameters from the first walk's. */
static void check_last(struct bm_conform_session *test, const struct walker *walkers) {
    const struct bm_conform_place place = {.test = test,
                                           .slice = walked_slice(STEPS),
                                           .what = "distance of the parameters from the reference",
                                           .how = ", at the end of 50 updates"};
    double *found = bm_conform_allocate(test->conform, test->param_count, sizeof *found);
    double squares = 0;
    for (uint32_t draw = 1; draw <= DRAWS; draw++) {
        double distance =
            distance_of(walkers[draw].step.params, walkers[0].step.params, test->param_count);
        squares += distance * distance / DRAWS;
    }
    bm_conform_read_params(test);
    widen(test->found, test->param_count, found);
    bm_conform_expect_number(&place, distance_of(found, walkers[0].step.params, test->param_count),
                             0, SPREADS * sqrt(squares));
    free(found);
}

static int
check_trajectory(struct bm_conform *conform, const struct network *network, uint32_t optimizer) {
    struct bm_conform_session *stepped = open_rule(conform, network, optimizer, 2);
    if (stepped == NULL) {
        return 0;
    }
    for (uint64_t update = 1; update <= STEPS; update++) {
        check_walked_step(stepped, update);
    }
    bm_conform_close(stepped);
    struct bm_conform_session *walked = open_again(conform, network, optimizer, 2);
    struct walker *walkers = bm_conform_allocate(conform, DRAWS + 1, sizeof *walkers);
    walk_references(walked, walkers);
    check_curve(walked, walkers);
    check_last(walked, walkers);
    for (uint32_t draw = 0; draw <= DRAWS; draw++) {
        deinit_step(&walkers[draw].step);
        free(walkers[draw].params);
    }
    free(walkers);
    bm_conform_close(walked);
    return 1;
}

void bm_conform_optimizers_trajectory(struct bm_conform *conform) {
    for (uint32_t optimizer = 0; optimizer < BM_OPTIMIZER_COUNT; optimizer++) {
        size_t i = 0;
        while (i < BM_CONFORM_COUNT(walked_networks) &&
               !check_trajectory(conform, &walked_networks[i], optimizer)) {
            i++;
        }
    }
}
