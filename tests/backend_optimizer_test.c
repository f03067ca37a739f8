/* The nine rules on a backend against the float64 reference: gradient and apply, the fused update,
 * several steps in a row. Several updates in one call have the bits of as many calls, and so has a
 * replay that is waited for. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <math.h>

#define UPDATES 4u
#define BATCH 31u

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

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct bm_test_session *open_rule(const char *plugin,
                                         const struct network *network,
                                         uint32_t optimizer,
                                         uint32_t thread_count) {
    const struct bm_test_session_spec spec = {.plugin = plugin,
                                              .layers = network->layers,
                                              .input = network->input,
                                              .class_count = network->class_count,
                                              .optimizer = optimizer,
                                              .thread_count = thread_count,
                                              .batch_max = 33,
                                              .image_count = 100};
    return bm_test_session_try(&spec);
}

static struct bm_hyper hyper_of(uint32_t optimizer, uint64_t update) {
    struct bm_hyper hyper = bm_optimizer_defaults(optimizer, 0.01, update);
    hyper.decay = 0.02;
    return hyper;
}

/* A call must succeed; what it says otherwise is shown. */
#define CALL(test, call) TEST_CHECK_MSG((call) == BM_STATUS_OK, "%s", (test)->error.text)

static void read_params(struct bm_test_session *test) {
    CALL(test,
         test->plugin->read_params(test->session, test->found, test->param_count, &test->error));
}

static void read_slot(struct bm_test_session *test, uint32_t slot) {
    CALL(test, test->plugin->read_state(test->session, slot, test->found, test->param_count,
                                        &test->error));
}

/* ---- One step against the reference ---- */

/* What a step starts from, then what the reference makes of it; arrays of [param_count]. */
struct step {
    uint32_t optimizer;
    uint32_t slot_count;
    struct bm_hyper hyper;
    struct bm_slice slice;
    double *gradient;
    double *params;
    double *param_bound;
    double *state[BM_STATE_SLOT_MAX];
    double *state_bound[BM_STATE_SLOT_MAX];
};

static void init_step(struct step *step, uint32_t optimizer, uint64_t update, uint64_t count) {
    *step = (struct step){.optimizer = optimizer,
                          .slot_count = bm_optimizer_slot_count(optimizer),
                          .hyper = hyper_of(optimizer, update),
                          .slice = bm_test_slice(update, 33, 0, update)};
    double *all = calloc(count, (3 + 2 * BM_STATE_SLOT_MAX) * sizeof *all);
    TEST_CHECK(all != NULL);
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

static void widen(const struct bm_test_session *test, double *wide) {
    for (uint64_t i = 0; i < test->param_count; i++) {
        wide[i] = (double)test->found[i];
    }
}

/* State that cannot be read is that of the first step: 0. */
static void read_start(struct bm_test_session *test, struct step *step) {
    read_params(test);
    widen(test, step->params);
    for (uint32_t i = 0; i < step->slot_count && test->plugin->read_state != NULL; i++) {
        read_slot(test, i);
        widen(test, step->state[i]);
    }
}

/* From the start of the step and its gradient to its end. */
static void make_expected(struct bm_test_session *test, struct step *step, const double *bound) {
    bm_reference_apply_bound(&test->model, step->optimizer, &step->hyper, step->gradient, bound,
                             step->params, (const double *const *)step->state, step->param_bound,
                             step->state_bound);
    bm_reference_apply(&test->model, step->optimizer, &step->hyper, step->gradient, step->params,
                       step->state);
}

static void compare(const struct bm_test_session *test,
                    const struct step *step,
                    const char *what,
                    const double *expected,
                    const double *bound) {
    for (uint64_t i = 0; i < test->param_count; i++) {
        TEST_CHECK_MSG(fabs((double)test->found[i] - expected[i]) <= bound[i],
                       "%s after %s %llu [%llu]: %.9g, expected %.9g +- %g", what,
                       bm_optimizer_names[step->optimizer], (unsigned long long)step->hyper.update,
                       (unsigned long long)i, (double)test->found[i], expected[i], bound[i]);
    }
}

static void compare_end(struct bm_test_session *test, const struct step *step) {
    read_params(test);
    compare(test, step, "params", step->params, step->param_bound);
    for (uint32_t i = 0; i < step->slot_count && test->plugin->read_state != NULL; i++) {
        read_slot(test, i);
        compare(test, step, "state", step->state[i], step->state_bound[i]);
    }
}

/* Gradient and apply from wherever the session is, with the gradient that it has made itself. */
static void check_apply(struct bm_test_session *test, uint32_t optimizer, uint64_t update) {
    struct step step;
    init_step(&step, optimizer, update, test->param_count);
    CALL(test, test->plugin->gradient(test->session, &step.slice, &test->error));
    CALL(test,
         test->plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    widen(test, step.gradient);
    read_start(test, &step);
    make_expected(test, &step, NULL);
    CALL(test, test->plugin->apply(test->session, &step.hyper, &test->error));
    compare_end(test, &step);
    deinit_step(&step);
}

/* The gradient of a fused update is not seen: it is the reference's, give or take its bound. */
static void check_update(struct bm_test_session *test, uint32_t optimizer, uint64_t update) {
    struct bm_reference reference;
    struct step step;
    init_step(&step, optimizer, update, test->param_count);
    read_start(test, &step);
    read_params(test); /* `found` may hold state */
    const struct bm_reference_request request = {.model = &test->model,
                                                 .data = &test->data,
                                                 .order = test->order + step.slice.first,
                                                 .count = step.slice.count,
                                                 .divisor = step.slice.divisor,
                                                 .update = update,
                                                 .seed = test->problem.seed,
                                                 .thread_count = 2,
                                                 .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .params = test->found};
    CALL(test, bm_reference_gradient(&request, &reference, &test->error));
    memcpy(step.gradient, reference.gradient, test->param_count * sizeof *step.gradient);
    make_expected(test, &step, reference.bound);
    CALL(test, test->plugin->update(test->session, &step.slice, &step.hyper, &test->error));
    compare_end(test, &step);
    bm_reference_free(&reference);
    deinit_step(&step);
}

typedef void check_step(struct bm_test_session *test, uint32_t optimizer, uint64_t update);

/* From state that cannot be read only the first step can be foreseen. */
static uint64_t steps_of(const struct bm_test_session *test, uint32_t optimizer) {
    return test->plugin->read_state != NULL || bm_optimizer_slot_count(optimizer) == 0 ? UPDATES
                                                                                       : 1;
}

static void test_steps(struct bm_test_session *test, uint32_t optimizer, check_step *check) {
    for (uint64_t update = 1; update <= steps_of(test, optimizer); update++) {
        check(test, optimizer, update);
    }
}

/* A zero norm gives ratio 1: all weights 0. */
static void test_zero_norm(struct bm_test_session *test, uint32_t optimizer) {
    float *zeros = calloc(test->param_count, sizeof *zeros);
    TEST_CHECK(zeros != NULL);
    CALL(test, test->plugin->write_params(test->session, zeros, test->param_count, &test->error));
    free(zeros);
    check_apply(test, optimizer, 1);
}

/* ---- The same calls, the same bits ---- */

enum route { ROUTE_TWO_CALLS, ROUTE_UPDATE, ROUTE_UPDATES };

static int has_route(const struct bm_plugin *plugin, enum route route) {
    return route == ROUTE_TWO_CALLS || (route == ROUTE_UPDATE && plugin->update != NULL) ||
           (route == ROUTE_UPDATES && plugin->updates != NULL);
}

static void walk(struct bm_test_session *test, enum route route, uint32_t optimizer, int waits) {
    const struct bm_plugin *plugin = test->plugin;
    struct bm_hyper hyper[UPDATES];
    struct bm_slice slice = bm_test_slice(3, BATCH, 0, 1);
    for (uint32_t k = 0; k < UPDATES; k++) {
        hyper[k] = hyper_of(optimizer, k + 1);
    }
    for (uint32_t k = 0; k < UPDATES && route != ROUTE_UPDATES; k++) {
        struct bm_slice own = bm_test_slice(3 + BATCH * (uint64_t)k, BATCH, 0, 1 + (uint64_t)k);
        if (route == ROUTE_UPDATE) {
            CALL(test, plugin->update(test->session, &own, &hyper[k], &test->error));
        } else {
            CALL(test, plugin->gradient(test->session, &own, &test->error));
            CALL(test, plugin->apply(test->session, &hyper[k], &test->error));
        }
        if (waits) {
            CALL(test, plugin->wait(test->session, NULL, &test->error));
        }
    }
    if (route == ROUTE_UPDATES) {
        CALL(test,
             plugin->updates(test->session, &slice, UPDATES, hyper, sizeof hyper[0], &test->error));
    }
}

static void compare_bits(struct bm_test_session *first,
                         struct bm_test_session *other,
                         const char *what,
                         uint32_t optimizer) {
    TEST_CHECK_MSG(memcmp(first->found, other->found, first->param_count * sizeof(float)) == 0,
                   "%s of %s, %u parameters, %u threads", what, bm_optimizer_names[optimizer],
                   (unsigned)first->param_count, first->problem.thread_count);
}

/* Two ways to the same place end at the same loss, parameters and state. */
static void
compare_sessions(struct bm_test_session *first, struct bm_test_session *other, uint32_t optimizer) {
    double losses[2] = {-1, -2};
    CALL(first, first->plugin->wait(first->session, &losses[0], &first->error));
    CALL(other, other->plugin->wait(other->session, &losses[1], &other->error));
    TEST_CHECK_MSG(losses[0] == losses[1], "%.17g, expected %.17g", losses[1], losses[0]);
    read_params(first);
    read_params(other);
    compare_bits(first, other, "params", optimizer);
    TEST_CHECK(memcmp(first->found, first->params, first->param_count * sizeof(float)) != 0);
    for (uint32_t slot = 0; slot < bm_optimizer_slot_count(optimizer); slot++) {
        if (first->plugin->read_state != NULL) {
            read_slot(first, slot);
            read_slot(other, slot);
            compare_bits(first, other, "state", optimizer);
        }
    }
}

static void test_pair(const char *plugin,
                      const struct network *network,
                      uint32_t optimizer,
                      uint32_t thread_count,
                      enum route first_route,
                      enum route other_route) {
    struct bm_test_session *first = open_rule(plugin, network, optimizer, thread_count);
    struct bm_test_session *other = open_rule(plugin, network, optimizer, thread_count);
    TEST_CHECK(first != NULL && other != NULL);
    if (has_route(first->plugin, first_route) && has_route(first->plugin, other_route)) {
        walk(first, first_route, optimizer, 0);
        walk(other, other_route, optimizer, 1);
        compare_sessions(first, other, optimizer);
    }
    bm_test_session_destroy(first);
    bm_test_session_destroy(other);
}

/* Each route against itself with waits between, and many updates in one call against as many. */
static void
test_bits(const char *plugin, const struct network *network, uint32_t optimizer, uint32_t threads) {
    for (enum route route = ROUTE_TWO_CALLS; route <= ROUTE_UPDATES; route++) {
        test_pair(plugin, network, optimizer, threads, route, route);
    }
    test_pair(plugin, network, optimizer, threads, ROUTE_UPDATES, ROUTE_UPDATE);
}

/* ---- All of it ---- */

static void test_rule(const char *plugin, const struct network *network, uint32_t optimizer) {
    struct bm_test_session *stepped = open_rule(plugin, network, optimizer, 2);
    if (stepped == NULL) {
        return;
    }
    test_steps(stepped, optimizer, check_apply);
    bm_test_session_destroy(stepped);
    if (bm_test_plugin(plugin)->update != NULL) {
        struct bm_test_session *fused = open_rule(plugin, network, optimizer, 3);
        TEST_CHECK(fused != NULL);
        test_steps(fused, optimizer, check_update);
        bm_test_session_destroy(fused);
    }
    struct bm_test_session *zeroed = open_rule(plugin, network, optimizer, 1);
    TEST_CHECK(zeroed != NULL);
    test_zero_norm(zeroed, optimizer);
    bm_test_session_destroy(zeroed);
    for (uint32_t threads = 1; threads <= bm_test_thread_counts(plugin, 3); threads++) {
        test_bits(plugin, network, optimizer, threads);
    }
}

int main(int argc, char **argv) {
    const char *plugin = bm_test_backend(argc, argv)->name;
    for (uint32_t optimizer = 0; optimizer < BM_OPTIMIZER_COUNT; optimizer++) {
        for (size_t i = 0; i < COUNT(networks); i++) {
            test_rule(plugin, &networks[i], optimizer);
        }
    }
    return bm_test_backend_end();
}
