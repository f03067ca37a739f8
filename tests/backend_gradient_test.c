/* Gradients, losses, statistics and evaluations of a backend against the float64 reference, element
 * by element inside its bound. The reference of a slice is computed once, for sessions of 1, 2 and
 * 3 threads and for the same slice taken in parts. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <math.h>

struct network {
    const char *layers;
    struct bm_shape input;
    uint32_t class_count;
};

/* Every layer kind, first and later, with and without padding, strides and windows that do not
 * divide the image, and widths around those of vector registers. */
static const struct network networks[] = {
    {"dense 4", {1, 5, 7}, 4},
    {"dense 13, relu, dense 4", {1, 1, 17}, 4},
    {"dense 13, relu, dense 10", {1, 1, 17}, 10},
    {"dense 784, relu, dense 10", {1, 1, 17}, 10},
    {"dense 1, relu, dense 10", {1, 28, 28}, 10},
    {"dense 7, relu, dense 10", {1, 28, 28}, 10},
    {"dense 17, relu, dense 10, relu, dense 10", {1, 28, 28}, 10},
    {"dense 10, dense 17, dense 7", {1, 1, 7}, 7},
    {"dense 37, relu, dense 21, relu, dense 4", {1, 9, 8}, 4},
    {"dense 33, batchnorm, relu, dense 18, batchnorm, relu, dense 4", {1, 6, 6}, 4},
    {"dense 19, relu, dropout 0.5, dense 13, dropout 0.25, relu, dense 4", {2, 5, 5}, 4},
    {"relu, dense 17, relu, dense 10", {3, 3, 5}, 10},
    {"maxpool 2, dense 17, relu, dense 10", {3, 8, 7}, 10},
    {"batchnorm, dense 17, relu, dense 10", {3, 3, 5}, 10},
    {"dropout 0.3, dense 17, batchnorm, dense 10", {1, 1, 17}, 10},
    {"conv 10 3x3 pad 1, batchnorm, relu, maxpool 2, conv 7 3x3, relu, dense 10", {3, 8, 8}, 10},
    {"conv 7 3x3 stride 2 pad 1, relu, conv 17 2x2, relu, dense 10, relu, dense 10", {3, 8, 8}, 10},
    {"conv 1 1x1, relu, conv 17 1x3 pad 1, relu, maxpool 3 stride 2, dense 10", {3, 8, 8}, 10},
    {"conv 7 3x5 pad 3, relu, conv 10 5x1 stride 3 pad 2, dense 10", {3, 8, 8}, 10},
    {"conv 3 8x8, dense 10", {3, 8, 8}, 10},
    {"relu, conv 7 3x3 pad 1, relu, maxpool 3 stride 2, dense 4", {3, 9, 11}, 4},
    {"conv 7 3x3, maxpool 2, dropout 0.5, conv 9 2x2, maxpool 2 stride 1, relu, dense 4",
     {3, 9, 9},
     4},
    {"conv 256 3x3, conv 7 3x3 pad 1, relu, dense 4", {1, 3, 3}, 4},
    {"conv 5 5x3 stride 2 pad 2, batchnorm, relu, maxpool 2 pad 1, conv 6 2x2, relu, dense 4",
     {2, 11, 10},
     4},
    {"maxpool 2, batchnorm, conv 70 3x3 pad 1, dropout 0.1, batchnorm, dense 4", {3, 7, 6}, 4},
};

/* The order of the largest repeats few images: the reference costs what they cost. */
static const uint64_t batches[] = {1, 2, 3, 5, 7, 8, 9, 13, 31, 33, 63, 65, 127, 129, 1000};

static const struct network small_networks[] = {
    {"dense 13, relu, dense 10", {1, 1, 17}, 10},
    {"dense 13, batchnorm, relu, dense 10", {1, 1, 17}, 10},
};

/* Batch norms in all places beside dense layers, for what a backend does only from a few thousand
 * rows on. */
static const struct network normed_network = {
    "batchnorm, dense 13, batchnorm, relu, dense 18, relu, batchnorm, dense 10", {1, 1, 17}, 10};

/* So many batch norms of two images each that float32 does not determine the gradient. */
#define NORM "dense 128, batchnorm, relu, "
static const struct network sign_network = {
    NORM NORM NORM NORM NORM NORM NORM "dense 10", {1, 28, 28}, 10};

static const uint64_t huge_batches[] = {59999, 60000};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define THREADS_MAX 3u
#define STATISTICS_MAX 2048u

/* Sessions of one network on the same data, number i with i + 1 threads, and what they are compared
 * with. */
struct trial {
    const struct network *network;
    struct bm_test_session *tests[THREADS_MAX];
    uint32_t test_count;
    double statistics[STATISTICS_MAX]; /* before each gradient */
    struct bm_slice slice;
    struct bm_reference reference;
};

static void compare(const struct trial *trial,
                    const char *what,
                    const struct bm_test_session *test,
                    const float *found,
                    const double *expected,
                    const double *bound,
                    uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        double error = fabs((double)found[i] - expected[i]);
        TEST_CHECK_MSG(error <= bound[i],
                       "%s of \"%s\" batch %llu flags %u threads %u [%llu]: %.9g, expected %.9g +- "
                       "%g",
                       what, trial->network->layers, (unsigned long long)trial->slice.count,
                       trial->slice.flags, test->problem.thread_count, (unsigned long long)i,
                       (double)found[i], expected[i], bound[i]);
    }
}

static int has_state(const struct bm_test_session *test) {
    return test->plugin->read_state != NULL && test->statistics_count > 0;
}

/* Means and variances that a slice's own are not. A plugin that lets nobody write them starts with
 * means 0 and variances 1. */
static void make_statistics(struct trial *trial) {
    const struct bm_test_session *test = trial->tests[0];
    uint64_t at = 0;
    for (uint32_t l = 0; l < test->model.layer_count; l++) {
        uint32_t channels = test->model.output[l].channels;
        if (test->model.layers[l].kind != BM_LAYER_BATCHNORM) {
            continue;
        }
        TEST_CHECK(at + 2 * (uint64_t)channels <= STATISTICS_MAX);
        for (uint32_t c = 0; c < channels; c++) {
            trial->statistics[at + c] = has_state(test) ? 0.125 * (c % 5) - 0.25 : 0;
            trial->statistics[at + channels + c] = has_state(test) ? 0.5 + 0.25 * (c % 7) : 1;
        }
        at += 2 * (uint64_t)channels;
    }
}

static void write_statistics(const struct trial *trial, struct bm_test_session *test) {
    float values[STATISTICS_MAX];
    for (uint64_t i = 0; i < test->statistics_count; i++) {
        values[i] = (float)trial->statistics[i];
    }
    if (has_state(test)) {
        TEST_CHECK_MSG(test->plugin->write_state(test->session, BM_STATE_STATISTICS, values,
                                                 test->statistics_count, &test->error) == 0,
                       "%s", test->error.text);
    }
}

static int open_trial(struct trial *trial, const struct bm_test_session_spec *spec) {
    struct bm_test_session_spec own = *spec;
    own.layers = trial->network->layers;
    own.input = trial->network->input;
    own.class_count = trial->network->class_count;
    TEST_CHECK(trial->test_count > 0);
    for (uint32_t i = 0; i < trial->test_count; i++) {
        own.thread_count = spec->thread_count + i;
        trial->tests[i] = bm_test_session_try(&own);
        TEST_CHECK(i == 0 || (trial->tests[i] == NULL) == (trial->tests[0] == NULL));
        if (trial->tests[i] == NULL) {
            trial->test_count = 0;
            return 0;
        }
    }
    make_statistics(trial);
    return 1;
}

static void close_trial(struct trial *trial) {
    for (uint32_t i = 0; i < trial->test_count; i++) {
        bm_test_session_destroy(trial->tests[i]);
    }
}

static void make_reference(struct trial *trial) {
    struct bm_test_session *test = trial->tests[0];
    const struct bm_reference_request request = {.model = &test->model,
                                                 .data = &test->data,
                                                 .order = test->order + trial->slice.first,
                                                 .count = trial->slice.count,
                                                 .divisor = trial->slice.divisor,
                                                 .update = trial->slice.update,
                                                 .seed = test->problem.seed,
                                                 .flags = trial->slice.flags,
                                                 .thread_count = 2,
                                                 .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .params = test->params,
                                                 .statistics = trial->statistics};
    TEST_CHECK_MSG(bm_reference_gradient(&request, &trial->reference, &test->error) == 0, "%s",
                   test->error.text);
}

static void run_gradient(struct bm_test_session *test, const struct bm_slice *slice) {
    TEST_CHECK_MSG(test->plugin->gradient(test->session, slice, &test->error) == 0, "%s",
                   test->error.text);
}

/* What the calls since the last gradient without ACCUMULATE have left. */
static void compare_gradient(const struct trial *trial, struct bm_test_session *test) {
    const struct bm_reference *reference = &trial->reference;
    double loss = -1;
    TEST_CHECK_MSG(test->plugin->wait(test->session, &loss, &test->error) == 0, "%s",
                   test->error.text);
    TEST_CHECK_MSG(test->plugin->read_gradient(test->session, test->found, test->param_count,
                                               &test->error) == 0,
                   "%s", test->error.text);
    compare(trial, "gradient", test, test->found, reference->gradient, reference->bound,
            test->param_count);
    TEST_CHECK_MSG(fabs(loss - reference->loss) <= reference->loss_bound,
                   "loss of \"%s\" batch %llu: %.9g, expected %.9g +- %g", trial->network->layers,
                   (unsigned long long)trial->slice.count, loss, reference->loss,
                   reference->loss_bound);
}

static void check_gradient(const struct trial *trial, struct bm_test_session *test) {
    write_statistics(trial, test);
    run_gradient(test, &trial->slice);
    compare_gradient(trial, test);
    if (has_state(test)) {
        float values[STATISTICS_MAX];
        TEST_CHECK(test->plugin->read_state(test->session, BM_STATE_STATISTICS, values,
                                            test->statistics_count, &test->error) == 0);
        compare(trial, "statistics", test, values, trial->reference.statistics,
                trial->reference.statistics_bound, test->statistics_count);
    }
}

/* Three parts with the divisor of the whole, the second one of a single image, add up to it. */
static void check_parts(const struct trial *trial, struct bm_test_session *test) {
    uint64_t first = trial->slice.count / 3;
    const uint64_t counts[] = {first, 1, trial->slice.count - first - 1};
    struct bm_slice part = trial->slice;
    for (size_t i = 0; i < COUNT(counts); i++) {
        part.count = counts[i];
        run_gradient(test, &part);
        part.first += part.count;
        part.flags |= BM_SLICE_ACCUMULATE;
    }
    compare_gradient(trial, test);
}

/* Batch norm makes parts and whole different things unless it uses the running statistics. */
static int has_parts(const struct trial *trial) {
    return trial->slice.count >= 3 && (!bm_model_has_batchnorm(&trial->tests[0]->model) ||
                                       (trial->slice.flags & BM_SLICE_USE_RUNNING) != 0);
}

/* The slice on all sessions. `turn` says which of them takes it in parts as well. */
static void check_slice(struct trial *trial, uint32_t turn) {
    if (!has_state(trial->tests[0]) && trial->slice.flags == 0) {
        trial->slice.flags = BM_SLICE_KEEP_STATISTICS; /* what nobody can set back must stay */
    }
    if (bm_test_refuses_single_value(trial->tests[0], &trial->slice)) {
        return;
    }
    make_reference(trial);
    for (uint32_t i = 0; i < trial->test_count; i++) {
        check_gradient(trial, trial->tests[i]);
        if (has_parts(trial) && i == turn % trial->test_count) {
            check_parts(trial, trial->tests[i]);
        }
    }
    bm_reference_free(&trial->reference);
}

static void check_evaluate(const struct trial *trial, struct bm_test_session *test) {
    double loss = -1;
    double expected_loss = -2;
    uint64_t correct = 0;
    uint64_t expected_correct = 1;
    uint64_t count = test->data.count - 3;
    write_statistics(trial, test);
    TEST_CHECK(bm_reference_evaluate(&test->model, &test->data, 3, count, test->params,
                                     trial->statistics, 2, &expected_loss, &expected_correct,
                                     &test->error) == BM_STATUS_OK);
    TEST_CHECK_MSG(test->plugin->evaluate(test->session, BM_SPLIT_TEST, 3, count, 0, &loss,
                                          &correct, &test->error) == 0,
                   "%s", test->error.text);
    TEST_CHECK_MSG(fabs(loss - expected_loss) <= 1e-4 * expected_loss,
                   "evaluate \"%s\": loss %.9g, expected %.9g", trial->network->layers, loss,
                   expected_loss);
    TEST_CHECK_MSG(correct == expected_correct, "evaluate \"%s\": %llu right, expected %llu",
                   trial->network->layers, (unsigned long long)correct,
                   (unsigned long long)expected_correct);
}

static const uint32_t all_flags[] = {0, BM_SLICE_KEEP_STATISTICS, BM_SLICE_USE_RUNNING,
                                     BM_SLICE_NO_DROPOUT};

/* All batch sizes with bytes; of the other kinds of images each takes every second size, down from
 * the largest or from the one before. Each kind meets other flags at a size. */
static int takes_batch(enum bm_test_images images, uint32_t index) {
    return images == BM_TEST_BYTES || index % 2 == (images == BM_TEST_FLOATS);
}

static void
test_network(const char *plugin, const struct network *network, enum bm_test_images images) {
    const struct bm_test_session_spec spec = {.plugin = plugin,
                                              .thread_count = 1,
                                              .batch_max = 1000,
                                              .image_count = 150,
                                              .images = images,
                                              .order_count = 1100};
    struct trial trial = {.network = network,
                          .test_count = bm_test_thread_counts(plugin, THREADS_MAX)};
    if (!open_trial(&trial, &spec)) {
        return;
    }
    for (uint32_t i = 0; i < COUNT(batches); i++) {
        if (!takes_batch(images, i)) {
            continue;
        }
        trial.slice = bm_test_slice(i, batches[i], all_flags[(i + images) % COUNT(all_flags)],
                                    UINT64_C(1) << (3 * i));
        check_slice(&trial, i / 2 + images);
    }
    close_trial(&trial);
}

/* A session with room for exactly this batch, which evaluates more images than that. */
static void test_exact_batch(const char *plugin, const struct network *network, uint64_t batch) {
    const struct bm_test_session_spec spec = {.plugin = plugin,
                                              .thread_count = 2,
                                              .batch_max = batch,
                                              .image_count = 150,
                                              .order_count = 150 + batch};
    struct trial trial = {.network = network, .test_count = 1};
    if (!open_trial(&trial, &spec)) {
        return;
    }
    trial.slice = bm_test_slice(11, batch, 0, 1);
    check_slice(&trial, 0);
    check_evaluate(&trial, trial.tests[0]);
    close_trial(&trial);
}

/* The whole training set of the lecture as one batch, and one image less. */
static void
test_huge_batches(const char *plugin, const struct network *network, enum bm_test_images images) {
    const struct bm_test_session_spec spec = {.plugin = plugin,
                                              .thread_count = 1,
                                              .batch_max = 60000,
                                              .image_count = 600,
                                              .images = images,
                                              .order_count = 60000};
    struct trial trial = {.network = network,
                          .test_count = bm_test_thread_counts(plugin, THREADS_MAX)};
    if (!open_trial(&trial, &spec)) {
        return;
    }
    for (uint32_t i = 0; i < COUNT(huge_batches); i++) {
        trial.slice = bm_test_slice(60000 - huge_batches[i], huge_batches[i], 0, 1 + (uint64_t)i);
        check_slice(&trial, i);
    }
    close_trial(&trial);
}

/* No honest backend is wrong because of what rounding does there. */
static void test_two_images(const char *plugin) {
    const struct bm_test_session_spec spec = {
        .plugin = plugin, .thread_count = 1, .batch_max = 2, .image_count = 500};
    struct trial trial = {.network = &sign_network, .test_count = 1};
    if (!open_trial(&trial, &spec)) {
        return;
    }
    for (uint64_t pair = 0; pair < 40; pair++) {
        trial.slice = bm_test_slice(2 * pair, 2, BM_SLICE_KEEP_STATISTICS, 1);
        check_slice(&trial, 0);
    }
    close_trial(&trial);
}

int main(int argc, char **argv) {
    const char *plugin = bm_test_backend(argc, argv)->name;
    for (size_t i = 0; i < COUNT(networks); i++) {
        for (enum bm_test_images images = BM_TEST_BYTES; images <= BM_TEST_FLOATS; images++) {
            test_network(plugin, &networks[i], images);
        }
        test_exact_batch(plugin, &networks[i], i % 2 == 0 ? 1 : 5);
        test_exact_batch(plugin, &networks[i], 13 + i);
    }
    test_exact_batch(plugin, &normed_network, 5000);
    test_two_images(plugin);
    for (size_t i = 0; i < COUNT(small_networks); i++) {
        test_huge_batches(plugin, &small_networks[i], BM_TEST_BYTES);
        test_huge_batches(plugin, &small_networks[i], BM_TEST_SPARSE_BYTES);
    }
    return bm_test_backend_end();
}
