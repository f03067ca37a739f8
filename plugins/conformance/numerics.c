/* Gradients, losses, running statistics and evaluations against the float64 reference, element by
 * element inside its bound. The reference of a slice is computed once, for sessions of several
 * thread budgets and for the same slice taken in parts. A case of layers opens one session for each
 * network, kind of images and thread budget: a driver may compile each shape anew. */
#include "cases.h"
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct network {
    const char *layers;
    struct bm_shape input;
    uint32_t class_count;
};

/* Every layer kind, first and later, with and without padding, strides and windows that do not
 * divide the image, and widths around those of vector registers. */
static const struct network dense_networks[] = {
    {"dense 4", {1, 5, 7}, 4},
    {"dense 13, relu, dense 4", {1, 1, 17}, 4},
    {"dense 13, relu, dense 10", {1, 1, 17}, 10},
    {"dense 784, relu, dense 10", {1, 1, 17}, 10},
    {"dense 1, relu, dense 10", {1, 28, 28}, 10},
    {"dense 7, relu, dense 10", {1, 28, 28}, 10},
    {"dense 17, relu, dense 10, relu, dense 10", {1, 28, 28}, 10},
    {"dense 10, dense 17, dense 7", {1, 1, 7}, 7},
    {"dense 37, relu, dense 21, relu, dense 4", {1, 9, 8}, 4},
    {"relu, dense 17, relu, dense 10", {3, 3, 5}, 10},
};

static const struct network convolution_networks[] = {
    {"conv 7 3x3 stride 2 pad 1, relu, conv 17 2x2, relu, dense 10, relu, dense 10", {3, 8, 8}, 10},
    {"conv 7 3x5 pad 3, relu, conv 10 5x1 stride 3 pad 2, dense 10", {3, 8, 8}, 10},
    {"conv 3 8x8, dense 10", {3, 8, 8}, 10},
    {"conv 256 3x3, conv 7 3x3 pad 1, relu, dense 4", {1, 3, 3}, 4},
};

static const struct network batchnorm_networks[] = {
    {"dense 33, batchnorm, relu, dense 18, batchnorm, relu, dense 4", {1, 6, 6}, 4},
    {"batchnorm, dense 17, relu, dense 10", {3, 3, 5}, 10},
    {"conv 10 3x3 pad 1, batchnorm, relu, maxpool 2, conv 7 3x3, relu, dense 10", {3, 8, 8}, 10},
    {"maxpool 2, batchnorm, conv 70 3x3 pad 1, dropout 0.1, batchnorm, dense 4", {3, 7, 6}, 4},
};

static const struct network dropout_networks[] = {
    {"dense 19, relu, dropout 0.5, dense 13, dropout 0.25, relu, dense 4", {2, 5, 5}, 4},
    {"dropout 0.3, dense 17, batchnorm, dense 10", {1, 1, 17}, 10},
    {"conv 7 3x3, maxpool 2, dropout 0.5, conv 9 2x2, maxpool 2 stride 1, relu, dense 4",
     {3, 9, 9},
     4},
};

static const struct network pooling_networks[] = {
    {"maxpool 2, dense 17, relu, dense 10", {3, 8, 7}, 10},
    {"conv 1 1x1, relu, conv 17 1x3 pad 1, relu, maxpool 3 stride 2, dense 10", {3, 8, 8}, 10},
    {"relu, conv 7 3x3 pad 1, relu, maxpool 3 stride 2, dense 4", {3, 9, 11}, 4},
    {"conv 5 5x3 stride 2 pad 2, batchnorm, relu, maxpool 2 pad 1, conv 6 2x2, relu, dense 4",
     {2, 11, 10},
     4},
    /* From one position to several: what a dense layer makes may lie in longer rows. */
    {"dense 256, relu, maxpool 2 stride 1 pad 1, dense 4", {1, 3, 3}, 4},
};

static const struct {
    const struct network *networks;
    size_t count;
} families[] = {
    {dense_networks, BM_CONFORM_COUNT(dense_networks)},
    {convolution_networks, BM_CONFORM_COUNT(convolution_networks)},
    {batchnorm_networks, BM_CONFORM_COUNT(batchnorm_networks)},
    {dropout_networks, BM_CONFORM_COUNT(dropout_networks)},
    {pooling_networks, BM_CONFORM_COUNT(pooling_networks)},
};

/* Plain, and with all layers that a slice's other images or the update's number reach; for what
 * needs no more networks than that. The plain one is for backends that lack the others' layers. */
static const struct network plain_network = {"dense 13, relu, dense 10", {1, 1, 17}, 10};
static const struct network normed_network = {
    "dense 13, batchnorm, relu, dense 10", {1, 1, 17}, 10};
static const struct network dropped_network = {
    "dense 13, batchnorm, relu, dropout 0.5, dense 10", {1, 1, 17}, 10};
static const struct network image_network = {
    "conv 6 3x3 pad 1, relu, maxpool 2, dense 10", {2, 7, 7}, 10};

/* Batch norms in all places beside dense layers, for what a backend does only from a few thousand
 * rows on. */
static const struct network rows_networks[] = {
    {"batchnorm, dense 13, batchnorm, relu, dense 18, relu, batchnorm, dense 10", {1, 1, 17}, 10},
    /* For backends that normalize what a dense layer makes, and no images. */
    {"dense 13, batchnorm, dense 18, batchnorm, relu, dense 7, relu, batchnorm, dense 10",
     {1, 1, 17},
     10},
};

/* So many batch norms of two images each that float32 does not determine the gradient. */
#define NORM "dense 128, batchnorm, relu, "
static const struct network sign_network = {
    NORM NORM NORM NORM NORM NORM NORM "dense 10", {1, 28, 28}, 10};

/* The order of the largest repeats few images: the reference costs what they cost. */
static const uint64_t batches[] = {1, 2, 3, 5, 7, 8, 9, 13, 31, 33, 63, 65, 127, 129, 1000};

#define IMAGES 64u

/* ---- A trial: sessions of one network on the same data ---- */

struct trial {
    struct bm_conform *conform;
    struct bm_conform_session *tests[BM_CONFORM_BUDGETS]; /* each with its thread budget */
    uint32_t test_count;
    const char *how;    /* of a place */
    double *statistics; /* before each gradient */
    float *start;       /* the same */
    float *found;       /* after it */
    struct bm_slice slice;
    struct bm_reference reference;
};

static struct bm_conform_place
place_of(const struct trial *trial, const struct bm_conform_session *test, const char *what) {
    return (struct bm_conform_place){
        .test = test, .slice = trial->slice, .what = what, .how = trial->how};
}

static int can_write_statistics(const struct bm_conform_session *test) {
    return bm_conform_has_state(test) && test->statistics_count > 0;
}

/* Means and variances that a slice's own are not. A plugin that lets nobody write them starts with
 * means 0 and variances 1. */
static void make_statistics(struct trial *trial) {
    const struct bm_conform_session *test = trial->tests[0];
    int writes = can_write_statistics(test);
    uint64_t at = 0;
    trial->statistics = bm_conform_allocate(trial->conform, test->statistics_count, sizeof(double));
    trial->start = bm_conform_allocate(trial->conform, test->statistics_count, sizeof(float));
    trial->found = bm_conform_allocate(trial->conform, test->statistics_count, sizeof(float));
    for (uint32_t l = 0; l < test->model.layer_count; l++) {
        uint32_t channels = test->model.output[l].channels;
        for (uint32_t c = 0; test->model.layers[l].kind == BM_LAYER_BATCHNORM && c < channels;
             c++) {
            trial->statistics[at + c] = writes ? 0.125 * (c % 5) - 0.25 : 0;
            trial->statistics[at + channels + c] = writes ? 0.5 + 0.25 * (c % 7) : 1;
        }
        at += test->model.layers[l].kind == BM_LAYER_BATCHNORM ? 2 * (uint64_t)channels : 0;
    }
    for (uint64_t i = 0; i < test->statistics_count; i++) {
        trial->start[i] = (float)trial->statistics[i];
    }
}

static void write_statistics(const struct trial *trial, struct bm_conform_session *test) {
    if (can_write_statistics(test)) {
        CALL(test, test->plugin->write_state(test->session, BM_STATE_STATISTICS, trial->start,
                                             test->statistics_count, &test->error));
    }
}

static struct bm_conform_spec spec_of(const struct network *network, uint64_t batch_max) {
    return (struct bm_conform_spec){.layers = network->layers,
                                    .input = network->input,
                                    .class_count = network->class_count,
                                    .batch_max = batch_max,
                                    .image_count = IMAGES,
                                    .order_count = batch_max + 150};
}

static const char *images_name(enum bm_conform_images images) {
    static const char *const names[] = {[BM_CONFORM_BYTES] = ", of bytes",
                                        [BM_CONFORM_SPARSE_BYTES] = ", of sparse bytes",
                                        [BM_CONFORM_FLOATS] = ", of floats"};
    return names[images];
}

/* One session, or one for each thread budget. 0 if the backend does not support the network. */
static int open_trial(struct bm_conform *conform,
                      struct trial *trial,
                      const struct bm_conform_spec *spec,
                      int all_budgets) {
    struct bm_conform_spec own = *spec;
    uint32_t budgets[BM_CONFORM_BUDGETS] = {spec->thread_count};
    uint32_t count = all_budgets ? bm_conform_budgets(conform, budgets) : 1;
    *trial = (struct trial){.conform = conform, .how = images_name(spec->images)};
    for (uint32_t i = 0; i < count; i++) {
        own.thread_count = budgets[i];
        trial->tests[i] = bm_conform_open(conform, &own);
        if (i == 0 && trial->tests[i] == NULL) {
            return 0;
        }
        EXPECT(conform, trial->tests[i] != NULL,
               "supports and create: expected OK for \"%s\" with a budget of %u threads as for %u, "
               "found UNSUPPORTED",
               spec->layers, budgets[i], budgets[0]);
        trial->test_count++;
    }
    make_statistics(trial);
    return 1;
}

static void close_trial(struct trial *trial) {
    for (uint32_t i = 0; i < trial->test_count; i++) {
        bm_conform_close(trial->tests[i]);
    }
    free(trial->statistics);
    free(trial->start);
    free(trial->found);
}

/* ---- A slice ---- */

/* What the calls since the last gradient without ACCUMULATE have left. */
static void compare_gradient(const struct trial *trial, struct bm_conform_session *test) {
    const struct bm_conform_place gradient = place_of(trial, test, "gradient");
    const struct bm_conform_place of_loss = place_of(trial, test, "loss");
    double loss = -1;
    CALL(test, test->plugin->wait(test->session, &loss, &test->error));
    CALL(test,
         test->plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    bm_conform_expect_near(&gradient, BM_CONFORM_PARAMS, test->found, trial->reference.gradient,
                           trial->reference.bound);
    bm_conform_expect_number(&of_loss, loss, trial->reference.loss, trial->reference.loss_bound);
}

static void compare_statistics(const struct trial *trial, struct bm_conform_session *test) {
    const struct bm_conform_place place = place_of(trial, test, "running statistics");
    CALL(test, test->plugin->read_state(test->session, BM_STATE_STATISTICS, trial->found,
                                        test->statistics_count, &test->error));
    bm_conform_expect_near(&place, BM_CONFORM_STATISTICS, trial->found, trial->reference.statistics,
                           trial->reference.statistics_bound);
}

static void check_gradient(const struct trial *trial, struct bm_conform_session *test) {
    write_statistics(trial, test);
    CALL(test, test->plugin->gradient(test->session, &trial->slice, &test->error));
    compare_gradient(trial, test);
    if (can_write_statistics(test)) {
        compare_statistics(trial, test);
    }
}

/* Three parts with the divisor of the whole, the second one of a single image, add up to it. */
static void check_parts(const struct trial *trial, struct bm_conform_session *test) {
    struct trial parted = *trial;
    uint64_t first = trial->slice.count / 3;
    const uint64_t counts[] = {first, 1, trial->slice.count - first - 1};
    struct bm_slice part = trial->slice;
    for (size_t i = 0; i < BM_CONFORM_COUNT(counts); i++) {
        part.count = counts[i];
        CALL(test, test->plugin->gradient(test->session, &part, &test->error));
        part.first += part.count;
        part.flags |= BM_SLICE_ACCUMULATE;
    }
    parted.how = ", in three parts with ACCUMULATE";
    compare_gradient(&parted, test);
}

/* Batch norm makes parts and whole different things unless it uses the running statistics. */
static int has_parts(const struct trial *trial) {
    return trial->slice.count >= 3 && (!bm_model_has_batchnorm(&trial->tests[0]->model) ||
                                       (trial->slice.flags & BM_SLICE_USE_RUNNING) != 0);
}

static int refuses_single_value(struct trial *trial) {
    int refuses = bm_conform_refuses_single_value(trial->tests[0], &trial->slice);
    if (refuses) {
        bm_conform_note(trial->conform, "batch norm of a single value is not supported");
    }
    return refuses;
}

/* The slice on all sessions. `turn` says which of them takes it in parts as well. */
static void check_slice(struct trial *trial, uint32_t turn) {
    struct bm_conform_session *first = trial->tests[0];
    if (first->statistics_count > 0 && !can_write_statistics(first) &&
        (trial->slice.flags & BM_SLICE_USE_RUNNING) == 0) {
        trial->slice.flags |= BM_SLICE_KEEP_STATISTICS; /* what nobody can set back must stay */
    }
    if (refuses_single_value(trial)) {
        return;
    }
    bm_conform_reference(first, &trial->slice, NULL, trial->statistics, &trial->reference);
    for (uint32_t i = 0; i < trial->test_count; i++) {
        check_gradient(trial, trial->tests[i]);
        if (has_parts(trial) && i == turn % trial->test_count) {
            check_parts(trial, trial->tests[i]);
        }
    }
    bm_reference_free(&trial->reference);
}

/* ---- Evaluate ---- */

/* The reference's answers to one image, with the label's logit moved by `step`. */
static uint64_t is_right(struct bm_conform_session *test,
                         const struct bm_data *data,
                         const double *statistics,
                         uint64_t image,
                         float step) {
    uint64_t bias = test->param_count - test->model.class_count + (uint64_t)data->labels[image];
    float kept = test->params[bias];
    double loss = 0;
    uint64_t correct = 0;
    test->params[bias] = kept + step;
    int32_t status = bm_reference_evaluate(&test->model, data, image, 1, test->params, statistics,
                                           1, &loss, &correct, &test->error);
    test->params[bias] = kept;
    EXPECT(test->conform, status == BM_STATUS_OK, "%s", test->error.text);
    return correct;
}

/*
 * Images whose answer rounding may turn. A logit's error is at most `classes` times that of the
 * image's loss where it matters: the loss changes with the gap of two logits by the probability of
 * the larger one, which at a tie for the largest is at least 1 / classes. The loss's bound is that
 * of the mean of n images, whose errors are independent: for one image sqrt(n) times as much.
 */
static uint64_t count_close(struct bm_conform_session *test,
                            const struct bm_data *data,
                            const double *statistics,
                            uint64_t first,
                            uint64_t count,
                            double mean_bound) {
    double step = test->model.class_count * sqrt((double)count) * mean_bound;
    uint64_t close = 0;
    for (uint64_t image = first; image < first + count; image++) {
        close += is_right(test, data, statistics, image, (float)step) !=
                 is_right(test, data, statistics, image, -(float)step);
    }
    return close;
}

struct evaluation {
    uint32_t split;
    const struct bm_data *data; /* of the split */
    uint64_t first;
    uint64_t count;
};

/* Mean loss and its bound: evaluate is the forward pass of a slice that uses the running statistics
 * and has no dropout. */
static void reference_loss(struct trial *trial, const struct evaluation *of, double *bound) {
    struct bm_conform_session *test = trial->tests[0];
    struct bm_data train = test->data;
    uint32_t *order = test->order;
    trial->slice = bm_conform_slice(0, of->count, BM_SLICE_USE_RUNNING | BM_SLICE_NO_DROPOUT, 1);
    test->data = *of->data;
    test->order = bm_conform_allocate(trial->conform, of->count, sizeof *order);
    for (uint64_t i = 0; i < of->count; i++) {
        test->order[i] = (uint32_t)(of->first + i);
    }
    bm_conform_reference(test, &trial->slice, NULL, trial->statistics, &trial->reference);
    *bound = trial->reference.loss_bound;
    bm_reference_free(&trial->reference);
    free(test->order);
    test->order = order;
    test->data = train;
}

static void check_evaluate(struct trial *trial, const struct evaluation *of) {
    struct bm_conform_session *test = trial->tests[0];
    double loss = -1;
    double expected_loss = -2;
    double mean_bound = 0;
    uint64_t correct = UINT64_MAX;
    uint64_t expected = 0;
    char how[96];
    write_statistics(trial, test);
    int32_t status = bm_reference_evaluate(
        &test->model, of->data, of->first, of->count, test->params, trial->statistics,
        trial->conform->request->thread_count, &expected_loss, &expected, &test->error);
    EXPECT(trial->conform, status == BM_STATUS_OK, "%s", test->error.text);
    CALL(test, test->plugin->evaluate(test->session, of->split, of->first, of->count, 0, &loss,
                                      &correct, &test->error));
    reference_loss(trial, of, &mean_bound);
    (void)snprintf(how, sizeof how, ", evaluate of split %u from image %llu on", of->split,
                   (unsigned long long)of->first);
    trial->how = how;
    const struct bm_conform_place of_loss = place_of(trial, test, "summed loss");
    const struct bm_conform_place of_correct = place_of(trial, test, "right answers");
    bm_conform_expect_number(&of_loss, loss, expected_loss, (double)of->count * mean_bound);
    if (correct != expected) {
        uint64_t close =
            count_close(test, of->data, trial->statistics, of->first, of->count, mean_bound);
        bm_conform_expect_number(&of_correct, (double)correct, (double)expected, (double)close);
    }
    trial->how = "";
}

/* ---- Layers ---- */

static const uint32_t all_flags[] = {0, BM_SLICE_KEEP_STATISTICS, BM_SLICE_USE_RUNNING,
                                     BM_SLICE_NO_DROPOUT};

/* All batch sizes with bytes; of the other kinds of images each takes every second size, floats
 * from the largest down: what a larger batch has left must not show. Each kind meets other flags at
 * a size. */
static int takes_batch(enum bm_conform_images images, uint32_t index) {
    return images == BM_CONFORM_BYTES || index % 2 == (images == BM_CONFORM_FLOATS);
}

static int check_batches(struct bm_conform *conform,
                         const struct network *network,
                         enum bm_conform_images images) {
    struct bm_conform_spec spec = spec_of(network, 1000);
    uint32_t count = BM_CONFORM_COUNT(batches);
    struct trial trial;
    spec.images = images;
    if (!open_trial(conform, &trial, &spec, 1)) {
        return 0;
    }
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = images == BM_CONFORM_FLOATS ? count - 1 - k : k;
        if (takes_batch(images, i)) {
            uint32_t flags = all_flags[(i + images) % BM_CONFORM_COUNT(all_flags)];
            trial.slice = bm_conform_slice(i, batches[i], flags, UINT64_C(1) << (3 * i));
            check_slice(&trial, i / 2 + images);
        }
    }
    close_trial(&trial);
    return 1;
}

static void
check_family(struct bm_conform *conform, const struct network *networks, size_t network_count) {
    for (size_t i = 0; i < network_count; i++) {
        (void)(check_batches(conform, &networks[i], BM_CONFORM_BYTES) &&
               check_batches(conform, &networks[i], BM_CONFORM_SPARSE_BYTES) &&
               check_batches(conform, &networks[i], BM_CONFORM_FLOATS));
    }
}

void bm_conform_numerics_dense(struct bm_conform *conform) {
    check_family(conform, dense_networks, BM_CONFORM_COUNT(dense_networks));
}

void bm_conform_numerics_convolution(struct bm_conform *conform) {
    check_family(conform, convolution_networks, BM_CONFORM_COUNT(convolution_networks));
}

void bm_conform_numerics_batchnorm(struct bm_conform *conform) {
    check_family(conform, batchnorm_networks, BM_CONFORM_COUNT(batchnorm_networks));
}

void bm_conform_numerics_dropout(struct bm_conform *conform) {
    check_family(conform, dropout_networks, BM_CONFORM_COUNT(dropout_networks));
}

void bm_conform_numerics_pooling(struct bm_conform *conform) {
    check_family(conform, pooling_networks, BM_CONFORM_COUNT(pooling_networks));
}

/* ---- Room for exactly this batch ---- */

/* A session with room for exactly this batch, which evaluates more images than that. */
static void
check_exact_batch(struct bm_conform *conform, const struct network *network, uint64_t batch) {
    struct bm_conform_spec spec = spec_of(network, batch);
    struct trial trial;
    spec.thread_count = 2;
    if (!open_trial(conform, &trial, &spec, 0)) {
        return;
    }
    const struct evaluation evaluation = {.split = BM_SPLIT_TEST,
                                          .data = &trial.tests[0]->data,
                                          .first = 3,
                                          .count = trial.tests[0]->data.count - 3};
    trial.slice = bm_conform_slice(11, batch, 0, 1);
    check_slice(&trial, 0);
    check_evaluate(&trial, &evaluation);
    close_trial(&trial);
}

void bm_conform_numerics_exact_batch(struct bm_conform *conform) {
    uint32_t number = 0;
    for (size_t f = 0; f < BM_CONFORM_COUNT(families); f++) {
        for (size_t i = 0; i < families[f].count; i++, number++) {
            check_exact_batch(conform, &families[f].networks[i], number % 2 == 0 ? 1 : 5);
            check_exact_batch(conform, &families[f].networks[i], 13 + number);
        }
    }
}

void bm_conform_numerics_normed_rows(struct bm_conform *conform) {
    for (size_t i = 0; i < BM_CONFORM_COUNT(rows_networks); i++) {
        check_exact_batch(conform, &rows_networks[i], 5000);
    }
}

/* The whole training set of the lecture as one batch, and one image less. */
static void check_full_set(struct bm_conform *conform,
                           const struct network *network,
                           enum bm_conform_images images) {
    static const uint64_t counts[] = {59999, 60000};
    struct bm_conform_spec spec = spec_of(network, 60000);
    struct trial trial;
    spec.image_count = 640;
    spec.order_count = 60000;
    spec.images = images;
    if (!open_trial(conform, &trial, &spec, 1)) {
        return;
    }
    for (uint32_t i = 0; i < BM_CONFORM_COUNT(counts); i++) {
        trial.slice = bm_conform_slice(60000 - counts[i], counts[i], 0, 1 + (uint64_t)i);
        check_slice(&trial, i);
    }
    close_trial(&trial);
}

void bm_conform_numerics_full_set(struct bm_conform *conform) {
    check_full_set(conform, &plain_network, BM_CONFORM_BYTES);
    check_full_set(conform, &plain_network, BM_CONFORM_SPARSE_BYTES);
    check_full_set(conform, &normed_network, BM_CONFORM_BYTES);
    check_full_set(conform, &normed_network, BM_CONFORM_SPARSE_BYTES);
}

/* No honest backend is wrong because of what rounding does there. */
void bm_conform_numerics_two_images(struct bm_conform *conform) {
    struct bm_conform_spec spec = spec_of(&sign_network, 2);
    struct trial trial;
    if (!open_trial(conform, &trial, &spec, 0)) {
        return;
    }
    for (uint64_t pair = 0; pair < 16; pair++) {
        trial.slice = bm_conform_slice(2 * pair, 2, BM_SLICE_KEEP_STATISTICS, 1);
        check_slice(&trial, 0);
    }
    close_trial(&trial);
}

/* ---- Splits ---- */

/* Part of a split's images as a split of its own. `first` is a multiple of 64 to keep alignment. */
static struct bm_data
cut_data(const struct bm_conform_session *test, uint64_t first, uint64_t count) {
    struct bm_data data = test->data;
    uint64_t units =
        (uint64_t)test->model.input.channels * test->model.input.height * test->model.input.width;
    data.count = count;
    data.labels = test->data.labels + first;
    if (data.type == BM_DATA_UINT8) {
        data.images = (const uint8_t *)test->data.images + first * units;
    } else {
        data.images = (const float *)test->data.images + first * units;
    }
    return data;
}

/* Splits of different images and lengths, from the first, in the middle and to the last image. */
static void check_splits(struct bm_conform *conform, const struct network *network) {
    struct bm_conform_spec spec = spec_of(network, 40);
    struct trial trial;
    spec.thread_count = 2;
    spec.image_count = 256;
    if (!open_trial(conform, &trial, &spec, 0)) {
        return;
    }
    struct bm_conform_session *test = trial.tests[0];
    const struct bm_data data[BM_SPLIT_COUNT] = {cut_data(test, 0, 256), cut_data(test, 64, 77),
                                                 cut_data(test, 128, 128)};
    for (uint32_t split = 0; split < BM_SPLIT_COUNT; split++) {
        CALL(test, test->plugin->bind_data(test->session, split, &data[split], &test->error));
    }
    for (uint32_t split = 0; split < BM_SPLIT_COUNT; split++) {
        const struct evaluation evaluations[] = {{split, &data[split], 0, data[split].count},
                                                 {split, &data[split], 7, 1},
                                                 {split, &data[split], data[split].count - 41, 41}};
        for (size_t i = 0; i < BM_CONFORM_COUNT(evaluations); i++) {
            check_evaluate(&trial, &evaluations[i]);
        }
    }
    close_trial(&trial);
}

/* More images than any backend takes at once, and than the batch has room for. */
static void check_many_images(struct bm_conform *conform, const struct network *network) {
    struct bm_conform_spec spec = spec_of(network, 8);
    struct trial trial;
    spec.thread_count = 2;
    spec.image_count = 5120;
    if (!open_trial(conform, &trial, &spec, 0)) {
        return;
    }
    const struct evaluation evaluation = {
        .split = BM_SPLIT_VALIDATION, .data = &trial.tests[0]->data, .first = 1, .count = 5119};
    check_evaluate(&trial, &evaluation);
    close_trial(&trial);
}

/* All logits are equal: the answer is class 0. */
static void check_tie(struct bm_conform *conform, const struct network *network) {
    struct bm_conform_spec spec = spec_of(network, 8);
    struct trial trial;
    if (!open_trial(conform, &trial, &spec, 0)) {
        return;
    }
    struct bm_conform_session *test = trial.tests[0];
    uint64_t expected = 0;
    uint64_t correct = UINT64_MAX;
    double loss = -1;
    memset(test->params, 0, test->param_count * sizeof(float));
    for (uint64_t i = 0; i < test->data.count; i++) {
        expected += test->data.labels[i] == 0;
    }
    CALL(test,
         test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
    CALL(test, test->plugin->evaluate(test->session, BM_SPLIT_TEST, 0, test->data.count, 0, &loss,
                                      &correct, &test->error));
    EXPECT(conform, correct == expected,
           "evaluate of \"%s\" with all parameters 0, a tie of all logits: expected %llu right "
           "answers, those of label 0, found %llu",
           network->layers, (unsigned long long)expected, (unsigned long long)correct);
    close_trial(&trial);
}

void bm_conform_numerics_evaluate(struct bm_conform *conform) {
    check_splits(conform, &plain_network);
    check_splits(conform, &dropped_network);
    check_splits(conform, &image_network);
    check_many_images(conform, &plain_network);
    check_many_images(conform, &dropped_network);
    check_tie(conform, &plain_network);
}

/* ---- Orders ---- */

static void
set_order(struct trial *trial, uint32_t *order, uint64_t count, const char *description) {
    for (uint32_t i = 0; i < trial->test_count; i++) {
        struct bm_conform_session *test = trial->tests[i];
        test->order = order;
        test->order_count = count;
        CALL(test, test->plugin->set_order(test->session, order, count, &test->error));
    }
    trial->how = description;
}

/* One image over and over, two in turn, from the last image down, and each image three times. */
static uint32_t image_at(uint32_t kind, uint32_t i) {
    switch (kind) {
    case 0:
        return IMAGES - 1;
    case 1:
        return i % 2 == 0 ? 37 : 3;
    case 2:
        return IMAGES - 1 - i % IMAGES;
    default:
        return i / 3 % IMAGES;
    }
}

static void check_orders(struct bm_conform *conform, const struct network *network) {
    static const char *const descriptions[] = {
        ", order: one image over and over", ", order: two images in turn", ", order: last to first",
        ", order: each image three times"};
    uint32_t order[200];
    struct bm_conform_spec spec = spec_of(network, 129);
    struct trial trial;
    if (!open_trial(conform, &trial, &spec, 1)) {
        return;
    }
    for (uint32_t kind = 0; kind < BM_CONFORM_COUNT(descriptions); kind++) {
        uint64_t length = 200 - 7 * (uint64_t)kind;
        for (uint32_t i = 0; i < length; i++) {
            order[i] = image_at(kind, i);
        }
        set_order(&trial, order, length, descriptions[kind]);
        trial.slice = bm_conform_slice(length - 129, 129, 0, 1);
        check_slice(&trial, kind);
        trial.slice = bm_conform_slice(length - 5, 5, 0, 2);
        check_slice(&trial, kind);
    }
    close_trial(&trial);
}

void bm_conform_numerics_repeated(struct bm_conform *conform) {
    check_orders(conform, &plain_network);
    check_orders(conform, &normed_network);
    check_orders(conform, &image_network);
}

/* ---- Divisors ---- */

static void check_divisors(struct bm_conform *conform, const struct network *network) {
    static const double divisors[] = {1, 0.37, 66, 60000, 0x1p-20, 1e9};
    struct bm_conform_spec spec = spec_of(network, 33);
    struct trial trial;
    if (!open_trial(conform, &trial, &spec, 1)) {
        return;
    }
    for (uint32_t i = 0; i < BM_CONFORM_COUNT(divisors); i++) {
        trial.slice = bm_conform_slice(2, i % 2 == 0 ? 33 : 7, 0, 1);
        trial.slice.divisor = divisors[i];
        check_slice(&trial, i);
    }
    close_trial(&trial);
}

void bm_conform_numerics_divisor(struct bm_conform *conform) {
    check_divisors(conform, &plain_network);
    check_divisors(conform, &normed_network);
    check_divisors(conform, &image_network);
}

/* ---- Extremes ---- */

/* Images of one value each, in place of those of the session. */
struct flat_images {
    const char *how;
    uint32_t type;
    float value;
};

static const struct flat_images flat_images[] = {
    {", images of the byte 0", BM_DATA_UINT8, 0},
    {", images of the byte 255", BM_DATA_UINT8, 255},
    {", images of the float 0", BM_DATA_FLOAT32, 0},
    {", images of the float 0.7", BM_DATA_FLOAT32, 0.7f},
    {", images of the float 1e-30", BM_DATA_FLOAT32, 1e-30f},
    {", images of the float 1e4", BM_DATA_FLOAT32, 1e4f},
};

/* Guarded like a session's own; lost at the end of the process. */
static const void *
make_flat(const struct trial *trial, const struct flat_images *flat, uint64_t values) {
    size_t size = flat->type == BM_DATA_UINT8 ? 1 : sizeof(float);
    struct bm_conform_guard guard = bm_conform_guard_make(trial->conform, values * size);
    for (uint64_t i = 0; i < values; i++) {
        if (flat->type == BM_DATA_UINT8) {
            ((uint8_t *)guard.bytes)[i] = (uint8_t)flat->value;
        } else {
            ((float *)guard.bytes)[i] = flat->value;
        }
    }
    bm_conform_guard_protect(trial->conform, &guard);
    return guard.bytes;
}

static void
bind_flat(struct trial *trial, const struct bm_data *own, const struct flat_images *flat) {
    struct bm_conform_session *test = trial->tests[0];
    struct bm_shape shape = test->model.input;
    uint64_t units = (uint64_t)shape.channels * shape.height * shape.width;
    test->data = *own;
    test->data.images = make_flat(trial, flat, own->count * units);
    test->data.type = flat->type;
    if (flat->type == BM_DATA_FLOAT32) {
        test->data.scale = NULL;
        test->data.shift = NULL;
    }
    CALL(test, test->plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error));
    CALL(test,
         test->plugin->set_order(test->session, test->order, test->order_count, &test->error));
    trial->how = flat->how;
}

static void check_flat(struct bm_conform *conform, const struct network *network) {
    struct bm_conform_spec spec = spec_of(network, 33);
    struct trial trial;
    spec.thread_count = 2;
    if (!open_trial(conform, &trial, &spec, 0)) {
        return;
    }
    const struct bm_data own = trial.tests[0]->data;
    for (size_t i = 0; i < BM_CONFORM_COUNT(flat_images); i++) {
        bind_flat(&trial, &own, &flat_images[i]);
        trial.slice = bm_conform_slice(5, 33, 0, 1);
        check_slice(&trial, 0);
    }
    close_trial(&trial);
}

/* Logits of about +-`factor`, where the exponential of a difference is 0 or as large as it gets. */
static void scale_logits(struct bm_conform_session *test, float factor) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(&test->model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint64_t i = tensors[count - 2].offset; i < test->param_count; i++) {
        test->params[i] *= factor;
    }
    CALL(test,
         test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
}

static void check_logits(struct bm_conform *conform, const struct network *network) {
    static const struct {
        float factor; /* on those of the one before */
        const char *how;
    } scales[] = {{100, ", logits of about 100"},
                  {100, ", logits of about 10^4"},
                  {1e11f, ", logits of about 10^15"},
                  {0, ", logits all 0"}};
    struct bm_conform_spec spec = spec_of(network, 33);
    struct trial trial;
    spec.thread_count = 2;
    if (!open_trial(conform, &trial, &spec, 0)) {
        return;
    }
    for (size_t i = 0; i < BM_CONFORM_COUNT(scales); i++) {
        scale_logits(trial.tests[0], scales[i].factor);
        trial.how = scales[i].how;
        trial.slice = bm_conform_slice(5, 33, 0, 1);
        check_slice(&trial, 0);
    }
    close_trial(&trial);
}

void bm_conform_numerics_extreme(struct bm_conform *conform) {
    check_flat(conform, &plain_network);
    check_flat(conform, &normed_network);
    check_flat(conform, &image_network);
    check_logits(conform, &plain_network);
    check_logits(conform, &image_network);
}
