/* What is particular to the oneDNN backend: layouts of its primitives behind the canonical border,
 * ties of pooling in blocked images, and the same bits from sessions that have met other counts. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <math.h>
#include <unistd.h>

static struct bm_test_session *
open_test(const char *plugin, const char *layers, struct bm_shape input, uint32_t thread_count) {
    const struct bm_test_session_spec spec = {.plugin = plugin,
                                              .layers = layers,
                                              .input = input,
                                              .optimizer = BM_OPTIMIZER_MOMENTUM,
                                              .thread_count = thread_count,
                                              .batch_max = 64,
                                              .image_count = 100,
                                              .images = BM_TEST_FLOATS};
    return bm_test_session_create(&spec);
}

static void take_gradient(struct bm_test_session *test, const struct bm_slice *slice) {
    TEST_CHECK_MSG(test->plugin->gradient(test->session, slice, &test->error) == BM_STATUS_OK, "%s",
                   test->error.text);
    TEST_CHECK(test->plugin->read_gradient(test->session, test->found, test->param_count,
                                           &test->error) == BM_STATUS_OK);
}

/* All outputs of the convolution are its bias, below 0: every window is a tie, the padding's 0
 * would win, and dweight tells by its input which place has won. */
static void test_ties(const char *layers) {
    struct bm_shape input = {2, 9, 8};
    struct bm_test_session *one = open_test("onednn", layers, input, 2);
    struct bm_test_session *other = open_test("scalar", layers, input, 2);
    const struct bm_slice slice = bm_test_slice(3, 7, 0, 1);
    uint32_t channels = one->model.layers[0].outputs;
    for (uint32_t i = 0; i < 3 * channels; i++) {
        one->params[i] = i < 2 * channels ? 0 : -1 - (float)i / 64;
    }
    one->plugin->write_params(one->session, one->params, one->param_count, &one->error);
    other->plugin->write_params(other->session, one->params, one->param_count, &other->error);
    take_gradient(one, &slice);
    take_gradient(other, &slice);
    for (uint64_t i = 0; i < one->param_count; i++) {
        TEST_CHECK_MSG(fabsf(one->found[i] - other->found[i]) <=
                           1e-6f + 1e-4f * fabsf(other->found[i]),
                       "\"%s\" [%llu]: %g, expected %g", layers, (unsigned long long)i,
                       (double)one->found[i], (double)other->found[i]);
    }
    bm_test_session_destroy(one);
    bm_test_session_destroy(other);
}

/* What is written comes back, whatever the layout in between and with sizes that fill no block. */
static void test_border(const char *layout) {
    const struct bm_option option = {"weights", layout};
    struct bm_test_session *test = open_test(
        "onednn", "conv 33 3x3, relu, maxpool 2, dense 128, relu, dense 65, relu, dense 4",
        (struct bm_shape){3, 8, 8}, 2);
    struct bm_session *bound = test->session;
    size_t bytes = test->param_count * sizeof(float);
    test->problem.options = &option;
    test->problem.option_count = 1;
    test->problem.option_stride = sizeof option;
    TEST_CHECK_MSG(test->plugin->create(0, &test->problem, &test->session, &test->error) == 0, "%s",
                   test->error.text);
    TEST_CHECK(test->plugin->write_params(test->session, test->params, test->param_count,
                                          &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->read_params(test->session, test->found, test->param_count,
                                         &test->error) == BM_STATUS_OK);
    TEST_CHECK(memcmp(test->found, test->params, bytes) == 0);
    TEST_CHECK(test->plugin->write_state(test->session, 0, test->params, test->param_count,
                                         &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->read_state(test->session, 0, test->found, test->param_count,
                                        &test->error) == BM_STATUS_OK);
    TEST_CHECK(memcmp(test->found, test->params, bytes) == 0);
    test->plugin->destroy(test->session);
    test->session = bound;
    bm_test_session_destroy(test);
}

static void test_replay(uint32_t thread_count) {
    const char *layers = "conv 16 3x3, batchnorm, relu, maxpool 2, dense 64, batchnorm, relu, "
                         "dropout 0.5, dense 4";
    struct bm_shape input = {3, 8, 8};
    struct bm_test_session *both[2] = {open_test("onednn", layers, input, thread_count),
                                       open_test("onednn", layers, input, thread_count)};
    const struct bm_slice elsewhere = bm_test_slice(0, 13, BM_SLICE_KEEP_STATISTICS, 1);
    take_gradient(both[1], &elsewhere);
    for (uint64_t update = 1; update <= 6; update++) {
        const struct bm_slice slice = bm_test_slice(update, update % 2 ? 64 : 5, 0, update);
        const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.05, update);
        for (int i = 0; i < 2; i++) {
            take_gradient(both[i], &slice);
            TEST_CHECK(both[i]->plugin->apply(both[i]->session, &hyper, &both[i]->error) == 0);
            both[i]->plugin->read_params(both[i]->session, both[i]->found, both[i]->param_count,
                                         &both[i]->error);
        }
        TEST_CHECK(memcmp(both[0]->found, both[1]->found, both[0]->param_count * sizeof(float)) ==
                   0);
    }
    bm_test_session_destroy(both[0]);
    bm_test_session_destroy(both[1]);
}

int main(void) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/bm_onednn.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    if (access(path, F_OK) != 0) {
        TEST_SKIP("this build has no oneDNN");
    }
    test_ties("conv 1 1x1, maxpool 2, dense 4");
    test_ties("conv 5 1x1, maxpool 3 stride 2 pad 1, dense 4");
    test_ties("conv 16 1x1, maxpool 3 stride 2 pad 1, dense 4");
    test_ties("conv 33 1x1, maxpool 2 stride 1 pad 1, dense 4");
    test_border("preferred");
    test_border("plain");
    test_replay(1);
    test_replay(2);
    return 0;
}
