/* The nine rules against the float64 reference, the fused update against its two halves, and
 * several updates in one call against as many calls, bit for bit. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <math.h>

#define UPDATES 4u

static struct bm_test_session *open_rule(uint32_t optimizer, uint32_t thread_count) {
    const struct bm_test_session_spec spec = {
        .plugin = "scalar",
        .layers =
            "conv 6 3x3 pad 1, batchnorm, relu, maxpool 2, dense 65, relu, dropout 0.3, dense 4",
        .input = {2, 8, 8},
        .optimizer = optimizer,
        .thread_count = thread_count,
        .batch_max = 33,
        .image_count = 100};
    return bm_test_session_create(&spec);
}

static struct bm_hyper hyper_of(uint32_t optimizer, uint64_t update) {
    struct bm_hyper hyper = bm_optimizer_defaults(optimizer, 0.01, update);
    hyper.decay = 0.02;
    return hyper;
}

static double *widen(const float *values, uint64_t count) {
    double *wide = calloc(count, sizeof *wide);
    TEST_CHECK(wide != NULL);
    for (uint64_t i = 0; i < count; i++) {
        wide[i] = (double)values[i];
    }
    return wide;
}

static double *read_slot(struct bm_test_session *test, uint32_t slot) {
    TEST_CHECK(test->plugin->read_state(test->session, slot, test->found, test->param_count,
                                        &test->error) == BM_STATUS_OK);
    return widen(test->found, test->param_count);
}

static void compare(const char *what,
                    uint32_t optimizer,
                    const float *found,
                    const double *expected,
                    const double *bound,
                    uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        TEST_CHECK_MSG(fabs((double)found[i] - expected[i]) <= bound[i],
                       "%s after %s [%llu]: %.9g, expected %.9g +- %g", what,
                       bm_optimizer_names[optimizer], (unsigned long long)i, (double)found[i],
                       expected[i], bound[i]);
    }
}

/* One step from wherever the session is. */
static void check_step(struct bm_test_session *test, uint32_t optimizer, uint64_t update) {
    struct bm_hyper hyper = hyper_of(optimizer, update);
    struct bm_slice slice = bm_test_slice(update, 33, 0, update);
    uint32_t slots = bm_optimizer_slot_count(optimizer);
    uint64_t count = test->param_count;
    double *state[BM_STATE_SLOT_MAX] = {NULL, NULL};
    double *state_bound[BM_STATE_SLOT_MAX] = {NULL, NULL};
    double *param_bound = calloc(count, sizeof *param_bound);
    TEST_CHECK(test->plugin->gradient(test->session, &slice, &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->read_gradient(test->session, test->found, count, &test->error) == 0);
    double *gradient = widen(test->found, count);
    TEST_CHECK(test->plugin->read_params(test->session, test->found, count, &test->error) == 0);
    double *params = widen(test->found, count);
    for (uint32_t i = 0; i < slots; i++) {
        state[i] = read_slot(test, i);
        state_bound[i] = calloc(count, sizeof(double));
    }
    bm_reference_apply_bound(&test->model, optimizer, &hyper, gradient, NULL, params,
                             (const double *const *)state, param_bound, state_bound);
    bm_reference_apply(&test->model, optimizer, &hyper, gradient, params, state);
    TEST_CHECK(test->plugin->apply(test->session, &hyper, &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->read_params(test->session, test->found, count, &test->error) == 0);
    compare("params", optimizer, test->found, params, param_bound, count);
    for (uint32_t i = 0; i < slots; i++) {
        TEST_CHECK(test->plugin->read_state(test->session, i, test->found, count, &test->error) ==
                   0);
        compare("state", optimizer, test->found, state[i], state_bound[i], count);
        free(state[i]);
        free(state_bound[i]);
    }
    free(params);
    free(gradient);
    free(param_bound);
}

static void test_rule(uint32_t optimizer) {
    struct bm_test_session *test = open_rule(optimizer, 2);
    for (uint64_t update = 1; update <= 3; update++) {
        check_step(test, optimizer, update);
    }
    bm_test_session_destroy(test);
}

/* A zero norm gives ratio 1: all weights 0. */
static void test_zero_norm(uint32_t optimizer) {
    struct bm_test_session *test = open_rule(optimizer, 1);
    memset(test->params, 0, test->param_count * sizeof *test->params);
    TEST_CHECK(test->plugin->write_params(test->session, test->params, test->param_count,
                                          &test->error) == BM_STATUS_OK);
    check_step(test, optimizer, 1);
    bm_test_session_destroy(test);
}

enum route { ROUTE_TWO_CALLS, ROUTE_UPDATE, ROUTE_UPDATES };

static void walk(struct bm_test_session *test, enum route route, uint32_t optimizer) {
    struct bm_hyper hyper[UPDATES];
    struct bm_slice slice = bm_test_slice(3, 31, 0, 1);
    for (uint32_t k = 0; k < UPDATES; k++) {
        hyper[k] = hyper_of(optimizer, k + 1);
    }
    if (route == ROUTE_UPDATES) {
        TEST_CHECK(test->plugin->updates(test->session, &slice, UPDATES, hyper, sizeof hyper[0],
                                         &test->error) == BM_STATUS_OK);
        return;
    }
    for (uint32_t k = 0; k < UPDATES; k++) {
        struct bm_slice own = bm_test_slice(3 + 31 * (uint64_t)k, 31, 0, 1 + (uint64_t)k);
        if (route == ROUTE_UPDATE) {
            TEST_CHECK(test->plugin->update(test->session, &own, &hyper[k], &test->error) == 0);
        } else {
            TEST_CHECK(test->plugin->gradient(test->session, &own, &test->error) == 0);
            TEST_CHECK(test->plugin->apply(test->session, &hyper[k], &test->error) == 0);
        }
    }
}

/* The three routes, and 1, 2 and 3 threads, end at the same parameters, state and loss. */
static void test_routes(uint32_t optimizer) {
    struct bm_test_session *first = open_rule(optimizer, 1);
    double first_loss = -1;
    walk(first, ROUTE_TWO_CALLS, optimizer);
    TEST_CHECK(first->plugin->wait(first->session, &first_loss, &first->error) == BM_STATUS_OK);
    for (uint32_t threads = 1; threads <= 3; threads++) {
        for (enum route route = ROUTE_TWO_CALLS; route <= ROUTE_UPDATES; route++) {
            struct bm_test_session *other = open_rule(optimizer, threads);
            size_t bytes = first->param_count * sizeof(float);
            double loss = -2;
            walk(other, route, optimizer);
            TEST_CHECK(other->plugin->wait(other->session, &loss, &other->error) == 0);
            TEST_CHECK_MSG(loss == first_loss, "%.17g, expected %.17g", loss, first_loss);
            first->plugin->read_params(first->session, first->found, first->param_count,
                                       &first->error);
            other->plugin->read_params(other->session, other->found, other->param_count,
                                       &other->error);
            TEST_CHECK_MSG(memcmp(first->found, other->found, bytes) == 0,
                           "params of %s, route %d, %u threads", bm_optimizer_names[optimizer],
                           (int)route, threads);
            TEST_CHECK(memcmp(first->found, first->params, bytes) != 0);
            for (uint32_t slot = 0; slot < bm_optimizer_slot_count(optimizer); slot++) {
                first->plugin->read_state(first->session, slot, first->found, first->param_count,
                                          &first->error);
                other->plugin->read_state(other->session, slot, other->found, other->param_count,
                                          &other->error);
                TEST_CHECK(memcmp(first->found, other->found, bytes) == 0);
            }
            bm_test_session_destroy(other);
        }
    }
    bm_test_session_destroy(first);
}

int main(void) {
    for (uint32_t optimizer = 0; optimizer < BM_OPTIMIZER_COUNT; optimizer++) {
        test_rule(optimizer);
        test_zero_norm(optimizer);
        test_routes(optimizer);
    }
    return 0;
}
