/* Meaning of the calls of a backend's session: what is kept, flags, refusals, states, several
 * sessions at once. Of a refusal the contract promises the status and one line of text, not its
 * words. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <math.h>
#include <pthread.h>

static const char simple[] = "dense 33, relu, dense 4";
static const char plain[] = "conv 6 3x3, relu, maxpool 2, dense 33, relu, dense 4";
static const char rich[] = "dense 21, batchnorm, relu, dropout 0.5, dense 4";

#define RICH_STATISTICS 42u

static const char *plugin_name;

static struct bm_test_session *
open_test(const char *layers, uint32_t optimizer, uint32_t thread_count) {
    const struct bm_test_session_spec spec = {.plugin = plugin_name,
                                              .layers = layers,
                                              .input = {2, 7, 7},
                                              .optimizer = optimizer,
                                              .thread_count = thread_count,
                                              .batch_max = 64,
                                              .image_count = 100};
    return bm_test_session_try(&spec);
}

#define CALL(call) TEST_CHECK_MSG((call) == BM_STATUS_OK, "%s", test->error.text)

static float *read_gradient(struct bm_test_session *test, const struct bm_slice *slice) {
    float *values = calloc(test->param_count, sizeof *values);
    TEST_CHECK(values != NULL);
    CALL(test->plugin->gradient(test->session, slice, &test->error));
    CALL(test->plugin->read_gradient(test->session, values, test->param_count, &test->error));
    return values;
}

/* ---- What is kept ---- */

/* Every bit comes back, and a gradient in between changes nothing of it. */
static void test_params(void) {
    struct bm_test_session *test = open_test(simple, BM_OPTIMIZER_SGD, 2);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_test_slice(0, 9, 0, 1);
    size_t bytes = test->param_count * sizeof(float);
    test->params[3] = -0.0f;
    test->params[5] = 0x1.fffffep-3f;
    CALL(test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
    CALL(test->plugin->read_params(test->session, test->found, test->param_count, &test->error));
    TEST_CHECK(memcmp(test->found, test->params, bytes) == 0);
    CALL(test->plugin->gradient(test->session, &slice, &test->error));
    CALL(test->plugin->read_params(test->session, test->found, test->param_count, &test->error));
    TEST_CHECK(memcmp(test->found, test->params, bytes) == 0);
    bm_test_session_destroy(test);
}

static void test_state(void) {
    struct bm_test_session *test = open_test(simple, BM_OPTIMIZER_ADAM, 1);
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    TEST_CHECK((plugin->read_state == NULL) == (plugin->write_state == NULL));
    for (uint32_t slot = 0; slot < 2 && plugin->read_state != NULL; slot++) {
        CALL(plugin->read_state(test->session, slot, test->found, test->param_count, &test->error));
        for (uint64_t i = 0; i < test->param_count; i++) {
            TEST_CHECK(test->found[i] == 0);
        }
    }
    if (plugin->read_state != NULL) {
        CALL(plugin->write_state(test->session, 1, test->params, test->param_count, &test->error));
        CALL(plugin->read_state(test->session, 1, test->found, test->param_count, &test->error));
        TEST_CHECK(memcmp(test->found, test->params, test->param_count * sizeof(float)) == 0);
        CALL(plugin->read_state(test->session, 0, test->found, test->param_count, &test->error));
        TEST_CHECK(test->found[0] == 0);
    }
    bm_test_session_destroy(test);
}

/* The step is made with what was written: here w - 0.5 w, which is exact. */
static void test_write_gradient(void) {
    struct bm_test_session *test = open_test(simple, BM_OPTIMIZER_SGD, 2);
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_test_slice(0, 9, 0, 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.5, 1);
    if (plugin->write_gradient != NULL) {
        CALL(plugin->gradient(test->session, &slice, &test->error));
        CALL(plugin->write_gradient(test->session, test->params, test->param_count, &test->error));
        CALL(plugin->apply(test->session, &hyper, &test->error));
        CALL(plugin->read_params(test->session, test->found, test->param_count, &test->error));
        for (uint64_t i = 0; i < test->param_count; i++) {
            TEST_CHECK(test->found[i] == 0.5f * test->params[i]);
        }
    }
    bm_test_session_destroy(test);
}

/* ---- Accumulation and flags ---- */

/* How far a momentum step may be from that of the whole slice's gradient. */
static void compare_step(struct bm_test_session *test,
                         const struct bm_reference *reference,
                         const struct bm_hyper *hyper) {
    double *all = calloc(test->param_count, 3 * sizeof *all);
    double *zeros = calloc(test->param_count, sizeof *zeros);
    TEST_CHECK(all != NULL && zeros != NULL);
    double *bound = all + test->param_count;
    double *const state[BM_STATE_SLOT_MAX] = {zeros, NULL};
    double *const no_bound[BM_STATE_SLOT_MAX] = {NULL, NULL};
    for (uint64_t i = 0; i < test->param_count; i++) {
        all[i] = (double)test->params[i];
    }
    bm_reference_apply_bound(&test->model, BM_OPTIMIZER_MOMENTUM, hyper, reference->gradient,
                             reference->bound, all, (const double *const *)state, bound, no_bound);
    bm_reference_apply(&test->model, BM_OPTIMIZER_MOMENTUM, hyper, reference->gradient, all, state);
    CALL(test->plugin->read_params(test->session, test->found, test->param_count, &test->error));
    for (uint64_t i = 0; i < test->param_count; i++) {
        TEST_CHECK_MSG(fabs((double)test->found[i] - all[i]) <= bound[i],
                       "[%llu] %.9g, expected %.9g +- %g", (unsigned long long)i,
                       (double)test->found[i], all[i], bound[i]);
    }
    free(all);
    free(zeros);
}

/* An accumulating update ends where the two calls end: at a step with the gradient of both slices,
 * each divided by the count of both. */
static void test_accumulate_update(const char *layers) {
    struct bm_test_session *test = open_test(layers, BM_OPTIMIZER_MOMENTUM, 2);
    if (test == NULL) {
        return;
    }
    struct bm_slice first = bm_test_slice(0, 30, 0, 1);
    struct bm_slice second = bm_test_slice(30, 30, BM_SLICE_ACCUMULATE, 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.1, 1);
    const struct bm_reference_request request = {.model = &test->model,
                                                 .data = &test->data,
                                                 .order = test->order,
                                                 .count = 60,
                                                 .divisor = 60,
                                                 .update = 1,
                                                 .seed = test->problem.seed,
                                                 .thread_count = 2,
                                                 .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .params = test->params};
    struct bm_reference reference;
    first.divisor = 60;
    second.divisor = 60;
    CALL(bm_reference_gradient(&request, &reference, &test->error));
    CALL(test->plugin->gradient(test->session, &first, &test->error));
    CALL(bm_test_update(test, &second, &hyper));
    compare_step(test, &reference, &hyper);
    bm_reference_free(&reference);
    bm_test_session_destroy(test);
}

static void read_statistics(struct bm_test_session *test, float *found) {
    CALL(test->plugin->read_state(test->session, BM_STATE_STATISTICS, found, RICH_STATISTICS,
                                  &test->error));
}

/* Which flags leave the running statistics, which start as means 0 and variances 1. */
static void check_statistics(struct bm_test_session *test) {
    static const uint32_t keeping[] = {BM_SLICE_KEEP_STATISTICS, BM_SLICE_USE_RUNNING};
    struct bm_slice slice = bm_test_slice(0, 50, 0, 1);
    float start[RICH_STATISTICS];
    float found[RICH_STATISTICS];
    TEST_CHECK(test->statistics_count == RICH_STATISTICS);
    for (uint32_t i = 0; i < RICH_STATISTICS; i++) {
        start[i] = i < RICH_STATISTICS / 2 ? 0 : 1;
    }
    read_statistics(test, found);
    TEST_CHECK(memcmp(found, start, sizeof start) == 0);
    for (uint32_t i = 0; i < 2; i++) {
        slice.flags = keeping[i];
        CALL(test->plugin->gradient(test->session, &slice, &test->error));
        read_statistics(test, found);
        TEST_CHECK_MSG(memcmp(found, start, sizeof start) == 0, "flags %u", keeping[i]);
    }
    slice.flags = 0;
    CALL(test->plugin->gradient(test->session, &slice, &test->error));
    read_statistics(test, found);
    for (uint32_t i = 0; i < RICH_STATISTICS; i++) {
        TEST_CHECK(found[i] != start[i]);
    }
}

/* Dropout follows the update's number; the statistics, the flags. */
static void test_flags(void) {
    struct bm_test_session *test = open_test(rich, BM_OPTIMIZER_MOMENTUM, 2);
    if (test == NULL) {
        return;
    }
    struct bm_slice slice = bm_test_slice(0, 50, BM_SLICE_KEEP_STATISTICS, 1);
    size_t bytes = test->param_count * sizeof(float);
    float *first = read_gradient(test, &slice);
    float *again = read_gradient(test, &slice);
    slice.update = 2;
    float *redrawn = read_gradient(test, &slice);
    TEST_CHECK(memcmp(first, again, bytes) == 0);
    TEST_CHECK(memcmp(first, redrawn, bytes) != 0);
    if (test->plugin->read_state != NULL) {
        check_statistics(test);
    }
    free(first);
    free(again);
    free(redrawn);
    bm_test_session_destroy(test);
}

/* One value a channel: no gradient passes, the variance stays, the mean moves. */
static void test_single_value(void) {
    struct bm_test_session *test =
        open_test("dense 21, batchnorm, dense 4", BM_OPTIMIZER_MOMENTUM, 1);
    if (test == NULL) {
        return;
    }
    struct bm_slice slice = bm_test_slice(0, 1, 0, 1);
    if (bm_test_refuses_single_value(test, &slice)) {
        bm_test_session_destroy(test);
        return;
    }
    float *gradient = read_gradient(test, &slice);
    for (uint32_t i = 0; i < 21 * 98 + 21 + 21; i++) {
        TEST_CHECK(gradient[i] == 0);
    }
    TEST_CHECK(gradient[21 * 98 + 21 + 21] != 0);
    if (test->plugin->read_state != NULL) {
        float found[RICH_STATISTICS];
        read_statistics(test, found);
        for (uint32_t i = 0; i < 21; i++) {
            TEST_CHECK(found[i] != 0 && found[21 + i] == 1);
        }
    }
    free(gradient);
    bm_test_session_destroy(test);
}

/* Equal values in a window: the first one gets the gradient. With weight 0 all four outputs of the
 * convolution are its bias, so dweight = dbias x[0]. */
static void test_first_maximum(void) {
    const struct bm_test_session_spec spec = {.plugin = plugin_name,
                                              .layers = "conv 1 1x1, maxpool 2, dense 4",
                                              .input = {1, 2, 2},
                                              .thread_count = 1,
                                              .batch_max = 1,
                                              .image_count = 9,
                                              .images = BM_TEST_FLOATS};
    struct bm_test_session *test = bm_test_session_try(&spec);
    if (test == NULL) {
        return;
    }
    struct bm_slice slice = bm_test_slice(0, 1, 0, 1);
    test->params[0] = 0;
    CALL(test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
    float *gradient = read_gradient(test, &slice);
    float first = ((const float *)test->data.images)[4 * (size_t)test->order[0]];
    TEST_CHECK(gradient[1] != 0);
    TEST_CHECK_MSG(fabs((double)gradient[0] - (double)(gradient[1] * first)) < 1e-7,
                   "%g, expected %g", (double)gradient[0], (double)(gradient[1] * first));
    free(gradient);
    bm_test_session_destroy(test);
}

/* ---- Refusals ---- */

static void check_text(const struct bm_error *error, int32_t status) {
    TEST_CHECK_MSG(error->code == status, "code %d, status %d", error->code, status);
    TEST_CHECK(memchr(error->text, '\0', sizeof error->text) != NULL);
    TEST_CHECK_MSG(error->text[0] != '\0' && strchr(error->text, '\n') == NULL, "\"%s\"",
                   error->text);
}

/* Two statuses where the contract leaves the choice. */
#define REFUSED_AS(call, one, other)                                                               \
    do {                                                                                           \
        test->error.text[0] = '\0';                                                                \
        int32_t refused_status = (call);                                                           \
        TEST_CHECK_MSG(refused_status == (one) || refused_status == (other), "%d \"%s\"",          \
                       refused_status, test->error.text);                                          \
        check_text(&test->error, refused_status);                                                  \
    } while (0)

#define INVALID(call) REFUSED_AS(call, BM_STATUS_INVALID, BM_STATUS_INVALID)
#define REFUSED(call) REFUSED_AS(call, BM_STATUS_INVALID, BM_STATUS_UNSUPPORTED)

static struct bm_test_session *open_simple(void) {
    return open_test(simple, BM_OPTIMIZER_SGD, 1);
}

static void test_refused_slices(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice bad[] = {
        bm_test_slice(0, 65, 0, 1), /* batch_max is 64 */
        bm_test_slice(0, 0, 0, 1),
        bm_test_slice(193, 8, 0, 1), /* the order has 200 */
        bm_test_slice(UINT64_MAX - 3, 8, 0, 1),
        {.size = 4, .count = 8, .update = 1, .divisor = 8},
    };
    struct bm_slice good = bm_test_slice(0, 8, 0, 1);
    struct bm_slice unknown = bm_test_slice(0, 8, 1u << 30, 1);
    struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.1, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        INVALID(plugin->gradient(test->session, &bad[i], &test->error));
        if (plugin->update != NULL) {
            INVALID(plugin->update(test->session, &bad[i], &hyper, &test->error));
        }
    }
    REFUSED(plugin->gradient(test->session, &unknown, &test->error));
    if (plugin->updates != NULL) {
        INVALID(plugin->updates(test->session, &good, 26, &hyper, 0, &test->error));
        INVALID(plugin->updates(test->session, &good, 2, &hyper, 8, &test->error));
    }
    CALL(plugin->gradient(test->session, &good, &test->error));
    if (plugin->update != NULL) {
        INVALID(plugin->update(test->session, &bad[0], &hyper, &test->error));
        CALL(plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    }
    hyper.update = 0;
    INVALID(plugin->apply(test->session, &hyper, &test->error));
    bm_test_session_destroy(test);
}

/* A gradient is there after gradient and gone after an update. */
static void test_refused_gradient(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_test_slice(0, 8, 0, 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.1, 1);
    INVALID(plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    INVALID(plugin->apply(test->session, &hyper, &test->error));
    CALL(plugin->gradient(test->session, &slice, &test->error));
    CALL(plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    INVALID(plugin->read_gradient(test->session, test->found, 1, &test->error));
    if (plugin->update != NULL) {
        CALL(plugin->update(test->session, &slice, &hyper, &test->error));
        INVALID(plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
        INVALID(plugin->apply(test->session, &hyper, &test->error));
    }
    bm_test_session_destroy(test);
}

/* A host with a longer struct: zeros are accepted, what is not known is not. */
static void test_longer_slice(void) {
    struct longer {
        struct bm_slice known;
        uint64_t tail;
    } slice = {.known = bm_test_slice(0, 8, 0, 1)};
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    slice.known.size = sizeof slice;
    CALL(test->plugin->gradient(test->session, &slice.known, &test->error));
    slice.tail = UINT64_C(1) << 63;
    REFUSED_AS(test->plugin->gradient(test->session, &slice.known, &test->error),
               BM_STATUS_UNSUPPORTED, BM_STATUS_UNSUPPORTED);
    bm_test_session_destroy(test);
}

static void test_refused_arrays(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    uint64_t count = test->param_count;
    INVALID(plugin->write_params(test->session, test->found, count - 1, &test->error));
    INVALID(plugin->write_params(test->session, test->found, count + 1, &test->error));
    INVALID(plugin->read_params(test->session, test->found, count + 1, &test->error));
    if (plugin->read_state != NULL) { /* sgd has no slot */
        INVALID(plugin->read_state(test->session, 0, test->found, count, &test->error));
        INVALID(plugin->write_state(test->session, 0, test->found, count, &test->error));
        INVALID(
            plugin->write_state(test->session, BM_STATE_STATISTICS, test->found, 1, &test->error));
    }
    if (plugin->write_gradient != NULL) {
        INVALID(plugin->write_gradient(test->session, test->found, count - 1, &test->error));
    }
    bm_test_session_destroy(test);
}

static void test_refused_data(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    struct bm_data data = test->data;
    static const int32_t no_labels[] = {4, -1};
    const uint32_t order[2] = {0, 100};
    for (size_t i = 0; i < sizeof no_labels / sizeof no_labels[0]; i++) {
        int32_t labels[100];
        memcpy(labels, test->data.labels, sizeof labels);
        labels[71] = no_labels[i];
        data.labels = labels;
        INVALID(plugin->bind_data(test->session, BM_SPLIT_TRAIN, &data, &test->error));
    }
    data = test->data;
    data.scale = NULL;
    INVALID(plugin->bind_data(test->session, BM_SPLIT_TRAIN, &data, &test->error));
    data = test->data;
    data.type = 2;
    REFUSED(plugin->bind_data(test->session, BM_SPLIT_TRAIN, &data, &test->error));
    INVALID(plugin->bind_data(test->session, BM_SPLIT_COUNT, &test->data, &test->error));
    INVALID(plugin->set_order(test->session, order, 2, &test->error));
    /* What was bound before is still there. */
    const struct bm_slice slice = bm_test_slice(0, 8, 0, 1);
    CALL(plugin->gradient(test->session, &slice, &test->error));
    CALL(plugin->wait(test->session, NULL, &test->error));
    bm_test_session_destroy(test);
}

static void test_refused_evaluate(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    double loss = 0;
    uint64_t correct = 0;
    INVALID(plugin->evaluate(test->session, 0, 50, 51, 0, &loss, &correct, &test->error));
    INVALID(plugin->evaluate(test->session, 0, UINT64_MAX, 2, 0, &loss, &correct, &test->error));
    REFUSED(plugin->evaluate(test->session, 0, 0, 1, 1, &loss, &correct, &test->error));
    bm_test_session_destroy(test);
}

/* Calls before the state that they need, and what a new binding resets. */
static void test_states(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    struct bm_session *bound = test->session;
    struct bm_slice slice = bm_test_slice(0, 1, 0, 1);
    uint64_t correct = 0;
    double loss = 0;
    CALL(plugin->create(0, &test->problem, &test->session, &test->error));
    INVALID(plugin->gradient(test->session, &slice, &test->error));
    INVALID(plugin->set_order(test->session, test->order, 5, &test->error));
    INVALID(plugin->evaluate(test->session, BM_SPLIT_TEST, 0, 1, 0, &loss, &correct, &test->error));
    CALL(plugin->read_params(test->session, test->found, test->param_count, &test->error));
    for (uint64_t i = 0; i < test->param_count; i++) {
        TEST_CHECK(test->found[i] == 0);
    }
    CALL(plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error));
    INVALID(plugin->gradient(test->session, &slice, &test->error));
    plugin->destroy(test->session);
    plugin->destroy(NULL);
    test->session = bound;
    CALL(plugin->gradient(test->session, &slice, &test->error));
    CALL(plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error));
    INVALID(plugin->gradient(test->session, &slice, &test->error));
    bm_test_session_destroy(test);
}

static void test_refused_problems(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_option option = {"no such key", "8"};
    struct bm_session *session = test->session;
    struct bm_problem problem = test->problem;
    uint32_t devices = 0;
    uint64_t bytes = 0;
    problem.precision = "float31";
    REFUSED(plugin->supports(0, &problem, &bytes, &test->error));
    REFUSED(plugin->create(0, &problem, &session, &test->error));
    TEST_CHECK(session == NULL);
    problem = test->problem;
    problem.options = &option;
    problem.option_count = 1;
    problem.option_stride = sizeof option;
    INVALID(plugin->create(0, &problem, &session, &test->error));
    problem = test->problem;
    problem.batch_max = UINT64_MAX / 64;
    REFUSED(plugin->supports(0, &problem, &bytes, &test->error));
    CALL(plugin->device_count(&devices, &test->error));
    session = test->session;
    INVALID(plugin->create(devices, &test->problem, &session, &test->error));
    TEST_CHECK(session == NULL);
    bm_test_session_destroy(test);
}

/* ---- Device, description, several sessions ---- */

static void test_device(void) {
    const struct bm_plugin *plugin = bm_test_plugin(plugin_name);
    struct bm_device_info info = {.size = sizeof info};
    struct bm_error error;
    uint32_t count = 0;
    TEST_CHECK(plugin->device_count(&count, &error) == BM_STATUS_OK && count > 0);
    for (uint32_t device = 0; device < count; device++) {
        TEST_CHECK(plugin->device_info(device, &info, &error) == BM_STATUS_OK);
        TEST_CHECK(info.size == sizeof info && info.kind <= BM_DEVICE_KIND_SOFTWARE);
        TEST_CHECK(info.name[0] != '\0' && memchr(info.name, '\0', sizeof info.name) != NULL);
        TEST_CHECK(info.precision_count >= 1 && info.precision_count <= BM_PRECISION_COUNT_MAX);
        for (uint32_t i = 0; i < info.precision_count; i++) {
            TEST_CHECK(info.precisions[i].name[0] != '\0');
            TEST_CHECK(info.precisions[i].multiply_roundoff > 0);
            TEST_CHECK(info.precisions[i].accumulate_roundoff > 0);
        }
    }
    TEST_CHECK(plugin->device_info(count, &info, &error) == BM_STATUS_INVALID);
}

/* key=value lines, cut at the capacity. */
static void test_describe(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    char text[4096];
    char cut[9];
    CALL(test->plugin->describe(test->session, text, sizeof text, &test->error));
    TEST_CHECK(text[0] != '\0' && text[strlen(text) - 1] == '\n');
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t key = strcspn(line, "=\n");
        TEST_CHECK_MSG(key > 0 && line[key] == '=', "\"%s\"", line);
    }
    memset(cut, '?', sizeof cut);
    CALL(test->plugin->describe(test->session, cut, 8, &test->error));
    TEST_CHECK(strlen(cut) == 7 && memcmp(cut, text, 7) == 0 && cut[8] == '?');
    bm_test_session_destroy(test);
}

/* Trains a session of its own and leaves its parameters in `found`. */
static void *train(void *argument) {
    struct bm_test_session *test = argument;
    for (uint64_t update = 1; update <= 12; update++) {
        struct bm_slice slice = bm_test_slice(7 * update, 31, 0, update);
        struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.05, update);
        CALL(bm_test_update(test, &slice, &hyper));
    }
    CALL(test->plugin->read_params(test->session, test->found, test->param_count, &test->error));
    return NULL;
}

static void test_two_sessions(const char *layers) {
    struct bm_test_session *tests[3];
    pthread_t threads[2];
    for (int i = 0; i < 3; i++) {
        tests[i] = open_test(layers, BM_OPTIMIZER_MOMENTUM, 2);
        if (tests[i] == NULL) {
            TEST_CHECK(i == 0);
            return;
        }
    }
    train(tests[2]);
    for (int i = 0; i < 2; i++) {
        TEST_CHECK(pthread_create(&threads[i], NULL, train, tests[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        TEST_CHECK(pthread_join(threads[i], NULL) == 0);
        TEST_CHECK(
            memcmp(tests[i]->found, tests[2]->found, tests[2]->param_count * sizeof(float)) == 0);
    }
    for (int i = 0; i < 3; i++) {
        bm_test_session_destroy(tests[i]);
    }
}

/* ---- More calls than anyone keeps ---- */

#define PENDING 3000u

/* Gradients and steps with rates of their own, each waited for or none. */
static void train_many(struct bm_test_session *test, int waits) {
    CALL(test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
    for (uint64_t k = 0; k < PENDING; k++) {
        const struct bm_slice slice = bm_test_slice(k % 200, 1, 0, k + 1);
        const struct bm_hyper hyper =
            bm_optimizer_defaults(BM_OPTIMIZER_SGD, 1e-4 * (double)(k % 7 + 1), k + 1);
        CALL(test->plugin->gradient(test->session, &slice, &test->error));
        CALL(test->plugin->apply(test->session, &hyper, &test->error));
        if (waits) {
            CALL(test->plugin->wait(test->session, NULL, &test->error));
        }
    }
    CALL(test->plugin->read_params(test->session, test->found, test->param_count, &test->error));
}

/* Waiting changes no bit, however much is pending. */
static void test_many_pending(void) {
    struct bm_test_session *test = open_simple();
    if (test == NULL) {
        return;
    }
    size_t bytes = test->param_count * sizeof(float);
    float *waited = malloc(bytes);
    TEST_CHECK(waited != NULL);
    train_many(test, 1);
    memcpy(waited, test->found, bytes);
    train_many(test, 0);
    TEST_CHECK(memcmp(waited, test->found, bytes) == 0);
    free(waited);
    bm_test_session_destroy(test);
}

int main(int argc, char **argv) {
    plugin_name = bm_test_backend(argc, argv)->name;
    test_params();
    test_state();
    test_write_gradient();
    test_accumulate_update(plain);
    test_accumulate_update(simple);
    test_flags();
    test_single_value();
    test_first_maximum();
    test_refused_slices();
    test_refused_gradient();
    test_longer_slice();
    test_refused_arrays();
    test_refused_data();
    test_refused_evaluate();
    test_states();
    test_refused_problems();
    test_device();
    test_describe();
    test_two_sessions(rich);
    test_two_sessions(simple);
    test_many_pending();
    return bm_test_backend_end();
}
