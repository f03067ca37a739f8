/* What scalar promises beyond plugin.h: the same bits for any number of threads, and from the fused
 * update, from its two halves and from several updates in one call. */
#include "reference.h"
#include "session.h"
#include "test.h"

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
        test_routes(optimizer);
    }
    return 0;
}
