/* Gradients, losses, statistics and evaluations of the scalar backend against the float64
 * reference, element by element inside its bound. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <math.h>

struct network {
    const char *layers;
    struct bm_shape input;
};

/* Every layer kind, with and without padding, strides and windows that do not divide the image. */
static const struct network networks[] = {
    {"dense 4", {1, 5, 7}},
    {"dense 37, relu, dense 21, relu, dense 4", {1, 9, 8}},
    {"dense 33, batchnorm, relu, dense 18, batchnorm, relu, dense 4", {1, 6, 6}},
    {"dense 19, relu, dropout 0.5, dense 13, dropout 0.25, relu, dense 4", {2, 5, 5}},
    {"relu, conv 7 3x3 pad 1, relu, maxpool 3 stride 2, dense 4", {3, 9, 11}},
    {"conv 5 5x3 stride 2 pad 2, batchnorm, relu, maxpool 2 pad 1, conv 6 2x2, relu, dense 4",
     {2, 11, 10}},
    {"maxpool 2, batchnorm, conv 70 3x3 pad 1, dropout 0.1, batchnorm, dense 4", {3, 8, 8}},
};

static const uint64_t batches[] = {1, 2, 3, 5, 7, 13, 31, 33, 64, 65, 127};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void compare(const char *what,
                    const struct network *network,
                    uint64_t batch,
                    const float *found,
                    const double *expected,
                    const double *bound,
                    uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        double error = fabs((double)found[i] - expected[i]);
        TEST_CHECK_MSG(error <= bound[i],
                       "%s of \"%s\" batch %llu [%llu]: %.9g, expected %.9g +- %g", what,
                       network->layers, (unsigned long long)batch, (unsigned long long)i,
                       (double)found[i], expected[i], bound[i]);
    }
}

static struct bm_reference_request request_of(const struct bm_test_session *test,
                                              const struct bm_slice *slice) {
    return (struct bm_reference_request){.model = &test->model,
                                         .data = &test->data,
                                         .order = test->order + slice->first,
                                         .count = slice->count,
                                         .divisor = slice->divisor,
                                         .update = slice->update,
                                         .seed = test->problem.seed,
                                         .flags = slice->flags,
                                         .thread_count = 1,
                                         .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                         .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                         .params = test->params};
}

static void check_gradient(struct bm_test_session *test,
                           const struct network *network,
                           const struct bm_slice *slice) {
    struct bm_reference_request request = request_of(test, slice);
    struct bm_reference reference;
    float statistics[512];
    double start[512];
    double loss = -1;
    TEST_CHECK(test->statistics_count <= COUNT(statistics));
    TEST_CHECK(test->plugin->read_state(test->session, BM_STATE_STATISTICS, statistics,
                                        test->statistics_count, &test->error) == BM_STATUS_OK);
    for (uint64_t i = 0; i < test->statistics_count; i++) {
        start[i] = (double)statistics[i];
    }
    request.statistics = start;
    TEST_CHECK_MSG(bm_reference_gradient(&request, &reference, &test->error) == BM_STATUS_OK, "%s",
                   test->error.text);
    TEST_CHECK_MSG(test->plugin->gradient(test->session, slice, &test->error) == BM_STATUS_OK, "%s",
                   test->error.text);
    TEST_CHECK(test->plugin->wait(test->session, &loss, &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->read_gradient(test->session, test->found, test->param_count,
                                           &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->read_state(test->session, BM_STATE_STATISTICS, statistics,
                                        test->statistics_count, &test->error) == BM_STATUS_OK);
    compare("gradient", network, slice->count, test->found, reference.gradient, reference.bound,
            test->param_count);
    compare("statistics", network, slice->count, statistics, reference.statistics,
            reference.statistics_bound, test->statistics_count);
    TEST_CHECK_MSG(fabs(loss - reference.loss) <= reference.loss_bound,
                   "loss of \"%s\": %.9g, expected %.9g +- %g", network->layers, loss,
                   reference.loss, reference.loss_bound);
    bm_reference_free(&reference);
}

/* The running statistics are those that the gradients before have left. */
static void check_evaluate(struct bm_test_session *test, const struct network *network) {
    float statistics[512];
    double start[512];
    double loss = -1;
    double expected_loss = -2;
    uint64_t correct = 0;
    uint64_t expected_correct = 1;
    uint64_t count = test->data.count - 3;
    TEST_CHECK(test->plugin->read_state(test->session, BM_STATE_STATISTICS, statistics,
                                        test->statistics_count, &test->error) == BM_STATUS_OK);
    for (uint64_t i = 0; i < test->statistics_count; i++) {
        start[i] = (double)statistics[i];
    }
    TEST_CHECK(bm_reference_evaluate(&test->model, &test->data, 3, count, test->params, start, 1,
                                     &expected_loss, &expected_correct,
                                     &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->evaluate(test->session, BM_SPLIT_TEST, 3, count, 0, &loss, &correct,
                                      &test->error) == BM_STATUS_OK);
    TEST_CHECK_MSG(fabs(loss - expected_loss) <= 1e-4 * expected_loss,
                   "evaluate \"%s\": loss %.9g, expected %.9g", network->layers, loss,
                   expected_loss);
    TEST_CHECK_MSG(correct == expected_correct, "evaluate \"%s\": %llu right, expected %llu",
                   network->layers, (unsigned long long)correct,
                   (unsigned long long)expected_correct);
}

static struct bm_test_session *
open_network(const struct network *network, uint32_t thread_count, uint32_t float_images) {
    const struct bm_test_session_spec spec = {.plugin = "scalar",
                                              .layers = network->layers,
                                              .input = network->input,
                                              .optimizer = BM_OPTIMIZER_SGD,
                                              .thread_count = thread_count,
                                              .batch_max = 127,
                                              .image_count = 150,
                                              .images =
                                                  float_images ? BM_TEST_FLOATS : BM_TEST_BYTES};
    return bm_test_session_create(&spec);
}

static void test_network(const struct network *network, uint32_t thread_count) {
    static const uint32_t flags[] = {0, BM_SLICE_KEEP_STATISTICS, BM_SLICE_USE_RUNNING,
                                     BM_SLICE_NO_DROPOUT};
    struct bm_test_session *test = open_network(network, thread_count, thread_count == 2);
    for (size_t i = 0; i < COUNT(batches); i++) {
        struct bm_slice slice =
            bm_test_slice(i, batches[i], flags[i % COUNT(flags)], UINT64_C(1) << (3 * i));
        check_gradient(test, network, &slice);
    }
    check_evaluate(test, network);
    bm_test_session_destroy(test);
}

/* More images than one block of a long sum holds. */
static void test_long_sums(void) {
    const struct network network = {"conv 5 3x3, batchnorm, relu, dense 7, relu, dense 4",
                                    {1, 6, 5}};
    const struct bm_test_session_spec spec = {.plugin = "scalar",
                                              .layers = network.layers,
                                              .input = network.input,
                                              .thread_count = 2,
                                              .batch_max = 1000,
                                              .image_count = 600};
    struct bm_test_session *test = bm_test_session_create(&spec);
    struct bm_slice slice = bm_test_slice(100, 1000, 0, 1);
    check_gradient(test, &network, &slice);
    bm_test_session_destroy(test);
}

int main(void) {
    for (size_t i = 0; i < COUNT(networks); i++) {
        for (uint32_t threads = 1; threads <= 3; threads++) {
            test_network(&networks[i], threads);
        }
    }
    test_long_sums();
    return 0;
}
