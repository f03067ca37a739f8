/* What scalar promises of a session beyond plugin.h: equal bits where the contract asks for equal
 * results, and the words of each refusal, most of which are the kit's. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <math.h>
#include <pthread.h>

static const char plain[] = "conv 6 3x3, relu, maxpool 2, dense 33, relu, dense 4";
static const char rich[] = "dense 21, batchnorm, relu, dropout 0.5, dense 4";

static struct bm_test_session *open_test(const char *layers, uint32_t thread_count) {
    const struct bm_test_session_spec spec = {.plugin = "scalar",
                                              .layers = layers,
                                              .input = {2, 7, 7},
                                              .optimizer = BM_OPTIMIZER_MOMENTUM,
                                              .thread_count = thread_count,
                                              .batch_max = 64,
                                              .image_count = 100};
    return bm_test_session_create(&spec);
}

static float *
read_gradient(struct bm_test_session *test, const struct bm_slice *slice, double *loss) {
    float *values = calloc(test->param_count, sizeof *values);
    TEST_CHECK(values != NULL);
    TEST_CHECK_MSG(test->plugin->gradient(test->session, slice, &test->error) == 0, "%s",
                   test->error.text);
    TEST_CHECK(test->plugin->wait(test->session, loss, &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->read_gradient(test->session, values, test->param_count,
                                           &test->error) == BM_STATUS_OK);
    return values;
}

/* Slices of 20 + 1 + 39 with one divisor add up to the 60 of the whole. */
static void test_accumulate(void) {
    static const uint64_t parts[] = {20, 1, 39};
    struct bm_test_session *test = open_test(plain, 2);
    struct bm_slice slice = bm_test_slice(5, 60, 0, 1);
    double whole_loss = -1;
    double sum_loss = -2;
    float *whole = read_gradient(test, &slice, &whole_loss);
    float *sum = NULL;
    for (size_t i = 0; i < 3; i++) {
        slice.count = parts[i];
        slice.flags = i > 0 ? BM_SLICE_ACCUMULATE : 0;
        free(sum);
        sum = read_gradient(test, &slice, &sum_loss);
        slice.first += parts[i];
    }
    for (uint64_t i = 0; i < test->param_count; i++) {
        double error = fabs((double)sum[i] - (double)whole[i]);
        TEST_CHECK_MSG(error <= 1e-6 + 1e-5 * fabs((double)whole[i]), "[%llu] %g, expected %g",
                       (unsigned long long)i, (double)sum[i], (double)whole[i]);
    }
    TEST_CHECK_MSG(fabs(sum_loss - whole_loss) <= 1e-12 * whole_loss, "%.17g, expected %.17g",
                   sum_loss, whole_loss);
    free(whole);
    free(sum);
    bm_test_session_destroy(test);
}

/* An accumulating update ends where the two calls end. */
static void test_accumulate_update(void) {
    struct bm_test_session *one = open_test(plain, 2);
    struct bm_test_session *other = open_test(plain, 1);
    const struct bm_slice first = bm_test_slice(0, 30, 0, 1);
    const struct bm_slice second = bm_test_slice(30, 30, BM_SLICE_ACCUMULATE, 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.1, 1);
    TEST_CHECK(one->plugin->gradient(one->session, &first, &one->error) == BM_STATUS_OK);
    TEST_CHECK(one->plugin->update(one->session, &second, &hyper, &one->error) == BM_STATUS_OK);
    TEST_CHECK(other->plugin->gradient(other->session, &first, &other->error) == BM_STATUS_OK);
    TEST_CHECK(other->plugin->gradient(other->session, &second, &other->error) == BM_STATUS_OK);
    TEST_CHECK(other->plugin->apply(other->session, &hyper, &other->error) == BM_STATUS_OK);
    one->plugin->read_params(one->session, one->found, one->param_count, &one->error);
    other->plugin->read_params(other->session, other->found, other->param_count, &other->error);
    TEST_CHECK(memcmp(one->found, other->found, one->param_count * sizeof(float)) == 0);
    TEST_CHECK(memcmp(one->found, one->params, one->param_count * sizeof(float)) != 0);
    bm_test_session_destroy(one);
    bm_test_session_destroy(other);
}

/* Which flags change the running statistics, and that dropout follows the update's number. */
static void test_flags(void) {
    struct bm_test_session *test = open_test(rich, 2);
    float start[42];
    float found[42];
    double loss = 0;
    TEST_CHECK(test->statistics_count == 42);
    for (uint32_t i = 0; i < 42; i++) {
        start[i] = i < 21 ? 0 : 1;
    }
    test->plugin->read_state(test->session, BM_STATE_STATISTICS, found, 42, &test->error);
    TEST_CHECK(memcmp(found, start, sizeof start) == 0);
    struct bm_slice slice = bm_test_slice(0, 50, BM_SLICE_KEEP_STATISTICS, 1);
    float *kept = read_gradient(test, &slice, &loss);
    slice.flags = BM_SLICE_USE_RUNNING;
    float *running = read_gradient(test, &slice, &loss);
    test->plugin->read_state(test->session, BM_STATE_STATISTICS, found, 42, &test->error);
    TEST_CHECK(memcmp(found, start, sizeof start) == 0);
    slice.flags = 0;
    float *changed = read_gradient(test, &slice, &loss);
    test->plugin->read_state(test->session, BM_STATE_STATISTICS, found, 42, &test->error);
    TEST_CHECK(memcmp(found, start, sizeof start) != 0);
    size_t bytes = test->param_count * sizeof(float);
    TEST_CHECK(memcmp(kept, changed, bytes) == 0);
    TEST_CHECK(memcmp(kept, running, bytes) != 0);
    slice.update = 2;
    float *redrawn = read_gradient(test, &slice, &loss);
    TEST_CHECK(memcmp(redrawn, changed, bytes) != 0);
    slice.flags = BM_SLICE_NO_DROPOUT;
    float *whole = read_gradient(test, &slice, &loss);
    slice.update = 1;
    float *again = read_gradient(test, &slice, &loss);
    TEST_CHECK(memcmp(whole, again, bytes) == 0 && memcmp(whole, redrawn, bytes) != 0);
    free(kept);
    free(running);
    free(changed);
    free(redrawn);
    free(whole);
    free(again);
    bm_test_session_destroy(test);
}

#define REFUSED(call, status_expected, part)                                                       \
    do {                                                                                           \
        test->error.text[0] = '\0';                                                                \
        TEST_CHECK_MSG((call) == (status_expected), "\"%s\"", test->error.text);                   \
        TEST_CONTAINS(test->error.text, part);                                                     \
        TEST_CHECK(test->error.code == (status_expected));                                         \
    } while (0)

static void test_refused_slices(void) {
    struct bm_test_session *test = open_test(plain, 1);
    const struct bm_plugin *plugin = test->plugin;
    struct bm_slice good = bm_test_slice(0, 8, 0, 1);
    struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.1, 1);
    struct bm_slice slice = good;
    REFUSED(plugin->read_gradient(test->session, test->found, test->param_count, &test->error),
            BM_STATUS_INVALID, "read_gradient: expected a gradient");
    REFUSED(plugin->apply(test->session, &hyper, &test->error), BM_STATUS_INVALID, "apply");
    slice.flags = BM_SLICE_ACCUMULATE;
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_INVALID, "ACCUMULATE");
    slice.flags = 16;
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_UNSUPPORTED, "0x10");
    slice = bm_test_slice(0, 65, 0, 1);
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_INVALID,
            "expected 1 .. 64 (batch_max), found 65");
    slice = bm_test_slice(0, 0, 0, 1);
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_INVALID, "found 0");
    slice = bm_test_slice(193, 8, 0, 1);
    REFUSED(plugin->update(test->session, &slice, &hyper, &test->error), BM_STATUS_INVALID,
            "at most 200 (length of the order)");
    slice = bm_test_slice(UINT64_MAX - 3, 8, 0, 1);
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_INVALID, "order");
    REFUSED(plugin->updates(test->session, &good, 26, &hyper, 0, &test->error), BM_STATUS_INVALID,
            "26 slices");
    REFUSED(plugin->updates(test->session, &good, 2, &hyper, 8, &test->error), BM_STATUS_INVALID,
            "stride of hyper");
    slice = good;
    slice.divisor = 0;
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_INVALID, "divisor");
    slice = good;
    slice.size = 4;
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_INVALID, "slice.size");
    hyper.update = 0;
    REFUSED(plugin->update(test->session, &good, &hyper, &test->error), BM_STATUS_INVALID,
            "hyper.update");
    hyper.update = 1;
    TEST_CHECK(plugin->gradient(test->session, &good, &test->error) == BM_STATUS_OK);
    TEST_CHECK(plugin->update(test->session, &good, &hyper, &test->error) == BM_STATUS_OK);
    REFUSED(plugin->apply(test->session, &hyper, &test->error), BM_STATUS_INVALID, "last update");
    bm_test_session_destroy(test);
}

static void test_refused_arrays(void) {
    struct bm_test_session *test = open_test(rich, 1);
    const struct bm_plugin *plugin = test->plugin;
    uint64_t count = test->param_count;
    REFUSED(plugin->write_params(test->session, test->found, count - 1, &test->error),
            BM_STATUS_INVALID, "params: expected");
    REFUSED(plugin->read_params(test->session, test->found, count + 1, &test->error),
            BM_STATUS_INVALID, "params: expected");
    REFUSED(plugin->read_params(test->session, NULL, count, &test->error), BM_STATUS_INVALID,
            "NULL");
    REFUSED(plugin->read_state(test->session, 1, test->found, count, &test->error),
            BM_STATUS_INVALID, "has 1, found slot 1");
    REFUSED(plugin->write_state(test->session, BM_STATE_STATISTICS, test->found, 41, &test->error),
            BM_STATUS_INVALID, "statistics: expected 42 values, found 41");
    bm_test_session_destroy(test);
}

static void test_refused_data(void) {
    struct bm_test_session *test = open_test(rich, 1);
    const struct bm_plugin *plugin = test->plugin;
    struct bm_data data = test->data;
    int32_t labels[100];
    uint32_t order[2] = {0, 100};
    double loss = 0;
    uint64_t correct = 0;
    memcpy(labels, data.labels, sizeof labels);
    labels[71] = 4;
    data.labels = labels;
    REFUSED(plugin->bind_data(test->session, 0, &data, &test->error), BM_STATUS_INVALID,
            "label of image 71: expected 0 .. 3, found 4");
    labels[71] = -1;
    REFUSED(plugin->bind_data(test->session, 0, &data, &test->error), BM_STATUS_INVALID,
            "found -1");
    data = test->data;
    data.scale = NULL;
    REFUSED(plugin->bind_data(test->session, 0, &data, &test->error), BM_STATUS_INVALID, "scale");
    data = test->data;
    data.type = 2;
    REFUSED(plugin->bind_data(test->session, 0, &data, &test->error), BM_STATUS_UNSUPPORTED,
            "type");
    REFUSED(plugin->bind_data(test->session, 3, &test->data, &test->error), BM_STATUS_INVALID,
            "split: expected 0 .. 2, found 3");
    REFUSED(plugin->set_order(test->session, order, 2, &test->error), BM_STATUS_INVALID,
            "order[1]: expected an image 0 .. 99, found 100");
    REFUSED(plugin->evaluate(test->session, 0, 50, 51, 0, &loss, &correct, &test->error),
            BM_STATUS_INVALID, "found 51 from 50");
    REFUSED(plugin->evaluate(test->session, 0, 0, 1, 1, &loss, &correct, &test->error),
            BM_STATUS_INVALID, "flags");
    bm_test_session_destroy(test);
}

/* Calls before the state that they need, and what a new binding resets. */
static void test_states(void) {
    struct bm_test_session *test = open_test(rich, 1);
    const struct bm_plugin *plugin = test->plugin;
    struct bm_session *bound = test->session;
    struct bm_slice slice = bm_test_slice(0, 1, 0, 1);
    uint64_t correct = 0;
    double loss = 0;
    TEST_CHECK(plugin->create(0, &test->problem, &test->session, &test->error) == BM_STATUS_OK);
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_INVALID, "no data");
    REFUSED(plugin->set_order(test->session, test->order, 5, &test->error), BM_STATUS_INVALID,
            "training data bound before");
    REFUSED(plugin->evaluate(test->session, BM_SPLIT_TEST, 0, 1, 0, &loss, &correct, &test->error),
            BM_STATUS_INVALID, "split 2");
    TEST_CHECK(plugin->read_params(test->session, test->found, test->param_count, &test->error) ==
               0);
    for (uint64_t i = 0; i < test->param_count; i++) {
        TEST_CHECK(test->found[i] == 0);
    }
    plugin->destroy(test->session);
    test->session = bound;
    TEST_CHECK(plugin->gradient(test->session, &slice, &test->error) == BM_STATUS_OK);
    TEST_CHECK(plugin->bind_data(test->session, 0, &test->data, &test->error) == BM_STATUS_OK);
    REFUSED(plugin->gradient(test->session, &slice, &test->error), BM_STATUS_INVALID, "no order");
    bm_test_session_destroy(test);
}

static void test_refused_problems(void) {
    struct bm_test_session *test = open_test(rich, 1);
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_option option = {"tile", "8"};
    struct bm_session *session = test->session;
    struct bm_problem problem = test->problem;
    uint64_t bytes = 0;
    problem.precision = BM_PRECISION_TF32;
    REFUSED(plugin->supports(0, &problem, &bytes, &test->error), BM_STATUS_UNSUPPORTED,
            "precision: expected float32, found tf32");
    REFUSED(plugin->create(0, &problem, &session, &test->error), BM_STATUS_UNSUPPORTED, "tf32");
    TEST_CHECK(session == NULL);
    problem = test->problem;
    problem.options = &option;
    problem.option_count = 1;
    problem.option_stride = sizeof option;
    REFUSED(plugin->create(0, &problem, &session, &test->error), BM_STATUS_INVALID, "tile");
    problem = test->problem;
    problem.batch_max = UINT64_MAX / 64;
    REFUSED(plugin->supports(0, &problem, &bytes, &test->error), BM_STATUS_UNSUPPORTED,
            "batch_max");
#ifndef BM_SANITIZED /* with which it aborts instead */
    problem.batch_max = UINT64_C(1) << 46;
    REFUSED(plugin->create(0, &problem, &session, &test->error), BM_STATUS_NO_MEMORY, "no memory");
#endif
    REFUSED(plugin->create(1, &test->problem, &session, &test->error), BM_STATUS_INVALID,
            "device: expected 0, found 1");
    bm_test_session_destroy(test);
}

static void test_device(void) {
    const struct bm_plugin *plugin = bm_test_plugin("scalar");
    struct bm_device_info info = {.size = sizeof info};
    struct bm_error error;
    uint32_t count = 0;
    TEST_CHECK(plugin->device_count(&count, &error) == BM_STATUS_OK && count == 1);
    TEST_CHECK(plugin->device_info(0, &info, &error) == BM_STATUS_OK);
    TEST_CHECK(info.kind == BM_DEVICE_KIND_CPU && info.name[0] != '\0' && info.memory_bytes > 0);
    TEST_CHECK(info.precision_count == 1 && info.flags == 0);
    TEST_CHECK_STR(info.precisions[0].name, BM_PRECISION_FLOAT32);
    TEST_CHECK(plugin->device_info(1, &info, &error) == BM_STATUS_INVALID);
}

static void test_describe(void) {
    struct bm_test_session *test = open_test(rich, 3);
    char text[512];
    TEST_CHECK(test->plugin->describe(test->session, text, sizeof text, &test->error) == 0);
    TEST_CONTAINS(text, "threads=3\n");
    TEST_CONTAINS(text, "precision=float32\n");
    TEST_CHECK(text[strlen(text) - 1] == '\n');
    TEST_CHECK(test->plugin->describe(test->session, text, 8, &test->error) == 0);
    TEST_CHECK(strlen(text) == 7);
    bm_test_session_destroy(test);
}

/* Trains a session of its own and leaves its parameters in `found`. */
static void *train(void *argument) {
    struct bm_test_session *test = argument;
    for (uint64_t update = 1; update <= 12; update++) {
        struct bm_slice slice = bm_test_slice(7 * update, 31, 0, update);
        struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.05, update);
        TEST_CHECK(test->plugin->update(test->session, &slice, &hyper, &test->error) == 0);
    }
    TEST_CHECK(test->plugin->read_params(test->session, test->found, test->param_count,
                                         &test->error) == BM_STATUS_OK);
    return NULL;
}

static void test_two_sessions(void) {
    struct bm_test_session *alone = open_test(rich, 1);
    struct bm_test_session *both[2] = {open_test(rich, 2), open_test(rich, 2)};
    pthread_t threads[2];
    train(alone);
    for (int i = 0; i < 2; i++) {
        TEST_CHECK(pthread_create(&threads[i], NULL, train, both[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        TEST_CHECK(pthread_join(threads[i], NULL) == 0);
        TEST_CHECK(memcmp(both[i]->found, alone->found, alone->param_count * sizeof(float)) == 0);
        bm_test_session_destroy(both[i]);
    }
    bm_test_session_destroy(alone);
}

int main(void) {
    test_accumulate();
    test_accumulate_update();
    test_flags();
    test_refused_slices();
    test_refused_arrays();
    test_refused_data();
    test_states();
    test_refused_problems();
    test_device();
    test_describe();
    test_two_sessions();
    return 0;
}
