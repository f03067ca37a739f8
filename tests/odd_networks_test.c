/* Networks that only a host other than ours can make: classes with more than one position are right
 * or refused, and a network without parameters is walked through like any other. */
#include "session.h"
#include "test.h"

#include <math.h>
#include <unistd.h>

#define IMAGES 4u

/* A backend that was built and has a device here, or NULL. */
static const struct bm_plugin *plugin_here(const char *name) {
    char path[4096];
    struct bm_error error;
    uint32_t count = 0;
    (void)snprintf(path, sizeof path, "%s/bm_%s.so", bm_test_env("BM_TEST_PLUGIN_DIR"), name);
    if (access(path, R_OK) != 0) {
        return NULL;
    }
    const struct bm_plugin *plugin = bm_test_plugin(name);
    TEST_CHECK_MSG(plugin->device_count(&count, &error) == BM_STATUS_OK, "%s", error.text);
    return count > 0 ? plugin : NULL;
}

static struct bm_problem problem_of(const struct bm_layer *layers, uint32_t height) {
    return (struct bm_problem){.size = sizeof(struct bm_problem),
                               .layer_count = 2,
                               .layer_stride = sizeof *layers,
                               .input_channels = 3,
                               .input_height = height,
                               .input_width = 1,
                               .optimizer = BM_OPTIMIZER_SGD,
                               .thread_count = 1,
                               .batch_max = IMAGES,
                               .seed = 1,
                               .layers = layers,
                               .precision = BM_PRECISION_FLOAT32};
}

/* Classes that are the channels of four positions. */
static void test_positions(const char *name) {
    const struct bm_layer layers[] = {
        {.size = sizeof layers[0],
         .kind = BM_LAYER_CONV2D,
         .outputs = 2,
         .kernel_height = 1,
         .kernel_width = 1,
         .stride = 1},
        {.size = sizeof layers[0], .kind = BM_LAYER_SOFTMAX_CROSS_ENTROPY},
    };
    const struct bm_problem problem = problem_of(layers, 4);
    struct bm_error error = {.text = ""};
    uint64_t bytes = 0;
    const struct bm_plugin *plugin = plugin_here(name);
    if (plugin == NULL) {
        return;
    }
    TEST_CHECK(plugin->supports(0, &problem, &bytes, &error) == BM_STATUS_UNSUPPORTED);
    TEST_CONTAINS(error.text,
                  "layer 1: expected softmax_cross_entropy of one position, found 4 x 1");
}

/* Gradient, apply, gradient: the loss of the images as they are, each time. */
static void test_no_parameters(const char *name) {
    const struct bm_layer layers[] = {
        {.size = sizeof layers[0], .kind = BM_LAYER_RELU},
        {.size = sizeof layers[0], .kind = BM_LAYER_SOFTMAX_CROSS_ENTROPY},
    };
    const struct bm_problem problem = problem_of(layers, 1);
    static const float images[IMAGES][3] = {{1, 2, 3}, {-1, 0, 1}, {0, 0, 0}, {4, -4, 2}};
    static const int32_t labels[IMAGES] = {0, 1, 2, 0};
    static const uint32_t order[IMAGES] = {0, 1, 2, 3};
    const struct bm_data data = {.size = sizeof data,
                                 .type = BM_DATA_FLOAT32,
                                 .count = IMAGES,
                                 .images = images,
                                 .labels = labels};
    const struct bm_slice slice = bm_test_slice(0, IMAGES, 0, 1);
    const struct bm_hyper hyper = {.size = sizeof hyper, .rate = 0.1, .update = 1};
    const struct bm_plugin *plugin = plugin_here(name);
    struct bm_session *session = NULL;
    struct bm_error error = {.text = ""};
    double expected = 0;
    if (plugin == NULL) {
        return;
    }
    for (uint32_t i = 0; i < IMAGES; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < 3; j++) {
            sum += exp(fmax((double)images[i][j], 0));
        }
        expected += (log(sum) - fmax((double)images[i][labels[i]], 0)) / IMAGES;
    }

#define CALL(call) TEST_CHECK_MSG((call) == BM_STATUS_OK, "%s: %s", name, error.text)
    CALL(plugin->create(0, &problem, &session, &error));
    CALL(plugin->bind_data(session, BM_SPLIT_TRAIN, &data, &error));
    CALL(plugin->set_order(session, order, IMAGES, &error));
    for (int step = 0; step < 3; step++) {
        double loss = -1;
        CALL(plugin->gradient(session, &slice, &error));
        CALL(plugin->apply(session, &hyper, &error));
        CALL(plugin->gradient(session, &slice, &error));
        CALL(plugin->wait(session, &loss, &error));
        TEST_CHECK_MSG(fabs(loss - expected) < 1e-5, "%s: step %d: loss %g, expected %g", name,
                       step, loss, expected);
    }
    plugin->destroy(session);
#undef CALL
}

int main(void) {
    static const char *const ours[] = {"scalar", "avx2", "avx512", "vulkan"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(ours[i], "scalar") != 0) { /* it takes classes at any position */
            test_positions(ours[i]);
        }
        test_no_parameters(ours[i]);
    }
    return 0;
}
