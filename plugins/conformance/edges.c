/* What a rule says of a single value, or of two calls that differ in one thing only: small networks
 * whose right answer can be seen, for mistakes that random numbers do not show. */
#include "cases.h"
#include "compare.h"
#include "loader.h"
#include "measure.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IMAGES 128u
#define INPUTS UINT64_C(98) /* of one image */
#define UNITS UINT64_C(9)   /* of the first dense layer */

static struct bm_conform_session *open_session(struct bm_conform *conform,
                                               const char *layers,
                                               uint32_t optimizer,
                                               enum bm_conform_images images) {
    const struct bm_conform_spec spec = {.layers = layers,
                                         .input = {2, 7, 7},
                                         .optimizer = optimizer,
                                         .thread_count = 2,
                                         .batch_max = 64,
                                         .image_count = IMAGES,
                                         .images = images};
    return bm_conform_open(conform, &spec);
}

static struct bm_conform_place place_of(const struct bm_conform_session *test,
                                        const struct bm_slice *slice,
                                        const char *what,
                                        const char *how) {
    return (struct bm_conform_place){.test = test, .slice = *slice, .what = what, .how = how};
}

static void write_params(struct bm_conform_session *test) {
    CALL(test,
         test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
}

/* Into test->found. */
static void read_gradient(struct bm_conform_session *test, const struct bm_slice *slice) {
    CALL(test, test->plugin->gradient(test->session, slice, &test->error));
    CALL(test,
         test->plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
}

static double wait_for(struct bm_conform_session *test) {
    double loss = -1;
    CALL(test, test->plugin->wait(test->session, &loss, &test->error));
    return loss;
}

/* The gradient is that of the reference, with these running statistics. */
static void compare_gradient(struct bm_conform_session *test,
                             const struct bm_slice *slice,
                             const double *statistics,
                             const char *how) {
    const struct bm_conform_place of_gradient = place_of(test, slice, "gradient", how);
    const struct bm_conform_place of_loss = place_of(test, slice, "loss", how);
    struct bm_reference reference;
    bm_conform_reference(test, slice, NULL, statistics, &reference);
    read_gradient(test, slice);
    bm_conform_expect_near(&of_gradient, BM_CONFORM_PARAMS, test->found, reference.gradient,
                           reference.bound);
    bm_conform_expect_number(&of_loss, wait_for(test), reference.loss, reference.loss_bound);
    bm_reference_free(&reference);
}

/* ---- Layers ---- */

/* Units 0, 2, ... of the first layer have weights and a bias of 0: what relu is given is 0, without
 * an error, for every image. */
void bm_conform_edges_relu_at_zero(struct bm_conform *conform) {
    struct bm_conform_session *test =
        open_session(conform, "dense 9, relu, dense 4", BM_OPTIMIZER_SGD, BM_CONFORM_BYTES);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_conform_slice(0, 33, 0, 1);
    for (uint64_t unit = 0; unit < UNITS; unit += 2) {
        memset(test->params + unit * INPUTS, 0, INPUTS * sizeof(float));
        test->params[UNITS * INPUTS + unit] = 0;
    }
    write_params(test);
    read_gradient(test, &slice);
    for (uint64_t unit = 0; unit < UNITS; unit += 2) {
        float bias = test->found[UNITS * INPUTS + unit];
        EXPECT(
            conform, bias == 0,
            "gradient of the bias of unit %llu, whose relu is given 0 by every image: expected 0 "
            "(relu'(0) = 0), found %a",
            (unsigned long long)unit, (double)bias);
    }
    compare_gradient(test, &slice, NULL, ", where half of the relus are given 0");
    bm_conform_close(test);
}

/* Half of the images' values are negative, and a window in a corner holds one of them alone. */
void bm_conform_edges_pooling_padding(struct bm_conform *conform) {
    static const char *const networks[] = {
        "maxpool 2 pad 1, dense 9, relu, dense 4",
        "conv 3 1x1, maxpool 3 stride 2 pad 1, dense 4",
    };
    for (size_t i = 0; i < BM_CONFORM_COUNT(networks); i++) {
        struct bm_conform_session *test =
            open_session(conform, networks[i], BM_OPTIMIZER_SGD, BM_CONFORM_FLOATS);
        if (test != NULL) {
            const struct bm_slice slice = bm_conform_slice(3, 13, 0, 1);
            compare_gradient(test, &slice, NULL, ", of floats of both signs");
            bm_conform_close(test);
        }
    }
}

/* ---- Data and order ---- */

static void compare_evaluate(struct bm_conform_session *test,
                             uint32_t split,
                             const struct bm_data *data,
                             const double *statistics,
                             const char *how) {
    const struct bm_slice all = bm_conform_slice(0, IMAGES, 0, 1);
    const struct bm_conform_place place = place_of(test, &all, "summed loss of evaluate", how);
    double loss = -1;
    double expected = 0;
    uint64_t correct = 0;
    CALL(test,
         test->plugin->evaluate(test->session, split, 0, IMAGES, 0, &loss, &correct, &test->error));
    CALL(test, bm_reference_evaluate(&test->model, data, 0, IMAGES, test->params, statistics, 1,
                                     &expected, &correct, &test->error));
    bm_conform_expect_number(&place, loss, expected, 1e-3 * fabs(expected));
}

/* The test split's bytes have another scale and shift than those of training. */
void bm_conform_edges_split_scales(struct bm_conform *conform) {
    const float scale[] = {1 / 64.0f, 1 / 300.0f};
    const float shift[] = {-2, 0.75f};
    struct bm_conform_session *test =
        open_session(conform, "dense 9, relu, dense 4", BM_OPTIMIZER_SGD, BM_CONFORM_BYTES);
    if (test == NULL) {
        return;
    }
    struct bm_data other = test->data;
    other.scale = scale;
    other.shift = shift;
    CALL(test, test->plugin->bind_data(test->session, BM_SPLIT_TEST, &other, &test->error));
    compare_evaluate(test, BM_SPLIT_TEST, &other, NULL, ", of a split with a scale of its own");
    compare_evaluate(test, BM_SPLIT_VALIDATION, &test->data, NULL, ", beside a split of another");
    bm_conform_close(test);
}

/* The same slice of another order, then of other images: nothing of the slice has changed. */
static void check_other_images(struct bm_conform_session *test) {
    const struct bm_slice slice = bm_conform_slice(0, 33, 0, 1);
    const struct bm_data data = test->data;
    uint32_t *const order = test->order;
    uint32_t *other = bm_conform_allocate(test->conform, test->order_count, sizeof *other);
    for (uint64_t i = 0; i < test->order_count; i++) {
        other[i] = (order[i] + 1) % IMAGES;
    }
    compare_gradient(test, &slice, NULL, "");
    CALL(test, test->plugin->set_order(test->session, other, test->order_count, &test->error));
    test->order = other;
    compare_gradient(test, &slice, NULL, ", the slice before another set_order");
    test->data.images = (const uint8_t *)data.images + INPUTS * IMAGES / 2;
    test->data.labels = data.labels + IMAGES / 2;
    test->data.count = IMAGES / 2;
    for (uint64_t i = 0; i < test->order_count; i++) {
        other[i] %= IMAGES / 2;
    }
    CALL(test, test->plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error));
    CALL(test, test->plugin->set_order(test->session, other, test->order_count, &test->error));
    compare_gradient(test, &slice, NULL, ", the slice before another bind_data");
    test->data = data;
    test->order = order;
    free(other);
}

void bm_conform_edges_stale_images(struct bm_conform *conform) {
    struct bm_conform_session *test =
        open_session(conform, "dense 9, relu, dense 4", BM_OPTIMIZER_SGD, BM_CONFORM_BYTES);
    if (test != NULL) {
        check_other_images(test);
        bm_conform_close(test);
    }
}

static void write_statistics(struct bm_conform_session *test, double mean, double variance) {
    double *statistics = bm_conform_allocate(test->conform, test->statistics_count, sizeof(double));
    float *written = bm_conform_allocate(test->conform, test->statistics_count, sizeof(float));
    const struct bm_slice slice = bm_conform_slice(5, 21, BM_SLICE_USE_RUNNING, 1);
    for (uint64_t i = 0; i < test->statistics_count; i++) {
        statistics[i] = i < test->statistics_count / 2 ? mean : variance;
        written[i] = (float)statistics[i];
    }
    CALL(test, test->plugin->write_state(test->session, BM_STATE_STATISTICS, written,
                                         test->statistics_count, &test->error));
    compare_evaluate(test, BM_SPLIT_TEST, &test->data, statistics, ", after write_state");
    compare_gradient(test, &slice, statistics, ", after write_state of the statistics");
    free(statistics);
    free(written);
}

/* Evaluation and USE_RUNNING follow the statistics, however often they were used before. */
void bm_conform_edges_stale_statistics(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, "dense 9, batchnorm, relu, dense 4",
                                                   BM_OPTIMIZER_SGD, BM_CONFORM_BYTES);
    if (test != NULL && bm_conform_has_state(test)) {
        write_statistics(test, 0, 1);
        write_statistics(test, 0.25, 4);
        write_statistics(test, -0.5, 0.25);
    } else if (test != NULL) {
        bm_conform_leave(conform, "the plugin has neither read_state nor write_state");
    }
    if (test != NULL) {
        bm_conform_close(test);
    }
}

/* ---- Steps ---- */

/* Dropout follows the number in the slice, a rule the one in the hyper-parameters: the parameters
 * after an SGD step, fused if the plugin offers that. */
void bm_conform_edges_update_numbers(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, "dense 21, relu, dropout 0.5, dense 4",
                                                   BM_OPTIMIZER_SGD, BM_CONFORM_BYTES);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_conform_slice(0, 50, 0, 7);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.5, 3);
    const struct bm_conform_place place =
        place_of(test, &slice, "parameters", ", an update of slice 7 and step 3");
    double *expected = bm_conform_allocate(conform, test->param_count, 2 * sizeof *expected);
    double *bound = expected + test->param_count;
    struct bm_reference reference;
    bm_conform_reference(test, &slice, NULL, NULL, &reference);
    for (uint64_t i = 0; i < test->param_count; i++) {
        double w = (double)test->params[i];
        expected[i] = w - hyper.rate * reference.gradient[i];
        bound[i] = hyper.rate * reference.bound[i] + 0x1p-22 * (fabs(w) + fabs(expected[i]));
    }
    CALL(test, bm_conform_update(test, &slice, &hyper));
    bm_conform_read_params(test);
    bm_conform_expect_near(&place, BM_CONFORM_PARAMS, test->found, expected, bound);
    bm_reference_free(&reference);
    free(expected);
    bm_conform_close(test);
}

/* A step of LARS or LAMB in which a norm of the first layer's weights is 0. */
struct zero_norm {
    uint32_t optimizer;
    const char *what;
    float weight; /* of all its weights */
    float bias;   /* of its units: at -1000 relu passes nothing on */
};

static void fill_first_layer(struct bm_conform_session *test, const struct zero_norm *of) {
    for (uint64_t i = 0; i < UNITS * INPUTS + UNITS; i++) {
        test->params[i] = i < UNITS * INPUTS ? of->weight : of->bias;
    }
    write_params(test);
}

/* The first step of ratio 1 from a gradient g, where Adam's direction is g / (|g| + e). */
static double ratio_one(const struct zero_norm *of, const struct bm_hyper *hyper, double g) {
    double w = (double)of->weight;
    double direction = g == 0 ? 0 : g / (fabs(g) + hyper->epsilon);
    return w -
           hyper->rate * ((of->optimizer == BM_OPTIMIZER_LARS ? g : direction) + hyper->decay * w);
}

static void expect_ratio_one(struct bm_conform_session *test,
                             const struct zero_norm *of,
                             const struct bm_hyper *hyper,
                             const float *gradient) {
    for (uint64_t i = 0; i < UNITS * INPUTS; i++) {
        double expected = ratio_one(of, hyper, (double)gradient[i]);
        double found = (double)test->found[i];
        EXPECT(test->conform, fabs(found - expected) <= 1e-5 * fabs(expected) + 1e-9,
               "%s step of weights in which %s is 0: [%llu]: expected ratio 1, which gives %.9g, "
               "found %.9g",
               bm_optimizer_names[of->optimizer], of->what, (unsigned long long)i, expected, found);
    }
}

static void check_zero_norm(struct bm_conform *conform, const struct zero_norm *of) {
    struct bm_conform_session *test =
        open_session(conform, "dense 9, relu, dense 4", of->optimizer, BM_CONFORM_BYTES);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_conform_slice(0, 33, 0, 1);
    struct bm_hyper hyper = bm_optimizer_defaults(of->optimizer, 0.25, 1);
    float *gradient = bm_conform_allocate(conform, test->param_count, sizeof *gradient);
    hyper.decay = 0.5;
    fill_first_layer(test, of);
    read_gradient(test, &slice);
    memcpy(gradient, test->found, test->param_count * sizeof *gradient);
    CALL(test, test->plugin->apply(test->session, &hyper, &test->error));
    bm_conform_read_params(test);
    expect_ratio_one(test, of, &hyper, gradient);
    free(gradient);
    bm_conform_close(test);
}

void bm_conform_edges_zero_norms(struct bm_conform *conform) {
    static const struct zero_norm norms[] = {
        {BM_OPTIMIZER_LARS, "the weights' norm", 0, 0.5f},
        {BM_OPTIMIZER_LARS, "the gradient's norm", 0.125f, -1000},
        {BM_OPTIMIZER_LAMB, "the weights' norm", 0, 0.5f},
    };
    for (size_t i = 0; i < BM_CONFORM_COUNT(norms); i++) {
        check_zero_norm(conform, &norms[i]);
    }
}

/* ---- What is refused, said and started ---- */

/* The end of a slice is that of the order set last, also where an earlier one was longer. */
void bm_conform_edges_shorter_order(struct bm_conform *conform) {
    struct bm_conform_session *test =
        open_session(conform, "dense 9, relu, dense 4", BM_OPTIMIZER_SGD, BM_CONFORM_BYTES);
    if (test == NULL) {
        return;
    }
    const struct bm_slice last = bm_conform_slice(60, 4, 0, 1);
    const struct bm_slice beyond = bm_conform_slice(61, 4, 0, 1);
    CALL(test, test->plugin->set_order(test->session, test->order, 64, &test->error));
    CALL(test, test->plugin->gradient(test->session, &last, &test->error));
    bm_conform_invalid(conform, test->plugin->gradient(test->session, &beyond, &test->error),
                       "gradient", "images 61 .. 64 of an order of 64, after one of 256");
    bm_conform_close(test);
}

/* Whatever a session keeps besides, it keeps its parameters. */
void bm_conform_edges_supports_bytes(struct bm_conform *conform) {
    struct bm_conform_session *test =
        open_session(conform, "dense 900, relu, dense 4", BM_OPTIMIZER_ADAM, BM_CONFORM_BYTES);
    if (test == NULL) {
        return;
    }
    uint64_t bytes = 0;
    uint64_t least = 3 * test->param_count * sizeof(float); /* with the two slots of Adam */
    CALL(test, test->plugin->supports(conform->device, &test->problem, &bytes, &test->error));
    EXPECT(conform, bytes >= least,
           "supports: expected at least the %llu bytes of parameters and state, found %llu",
           (unsigned long long)least, (unsigned long long)bytes);
    bm_conform_close(test);
}

/* In a process that has not loaded the file yet. What loading itself starts, as some libraries do,
 * is not the entry's. */
void bm_conform_edges_entry_threads(struct bm_conform *conform) {
    const struct bm_plugin *(*entry)(uint32_t, uint32_t, struct bm_error *);
    struct bm_error error = {0};
    void *handle = NULL;
    int32_t status =
        bm_loader_open(conform->request->path, conform->request->file, &handle, &error);
    EXPECT(conform, status == BM_STATUS_OK, "%s", error.text);
    void *symbol = dlsym(handle, "bm_plugin_entry");
    EXPECT(conform, symbol != NULL, "cannot load: %s", dlerror());
    memcpy(&entry, &symbol, sizeof entry);
    int64_t before = bm_conform_thread_count();
    (void)entry(BM_ABI_MAJOR, BM_ABI_MINOR, &error);
    int64_t more = bm_conform_thread_count() - before;
    EXPECT(conform, more <= 0, "bm_plugin_entry: expected it to start no thread, found %lld more",
           (long long)more);
}

/* ---- Two sessions in turns ---- */

#define TURNS 5u

/* A session that trains with a rate of its own; in turns with another, or alone. */
struct trainee {
    struct bm_conform_session *test;
    double rate;
    uint64_t first;
    double losses[TURNS];
};

static void take_turn(struct trainee *trainee, uint32_t turn) {
    struct bm_conform_session *test = trainee->test;
    const struct bm_slice slice = bm_conform_slice(trainee->first + turn, 17, 0, turn + 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_ADAM, trainee->rate, turn + 1);
    CALL(test, bm_conform_update(test, &slice, &hyper));
}

static void expect_same(const struct trainee *found, const struct trainee *alone) {
    struct bm_conform *conform = found->test->conform;
    const struct bm_slice slice = bm_conform_slice(found->first, 17, 0, 1);
    const struct bm_conform_place place =
        place_of(found->test, &slice, "parameters", ", in turns with another session");
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        EXPECT(conform, memcmp(&found->losses[turn], &alone->losses[turn], sizeof(double)) == 0,
               "loss of update %u in turns with another session: expected %.17g as alone, found "
               "%.17g",
               turn + 1, alone->losses[turn], found->losses[turn]);
    }
    bm_conform_read_params(alone->test);
    bm_conform_read_params(found->test);
    bm_conform_expect_bits(&place, BM_CONFORM_PARAMS, found->test->found, alone->test->found);
}

/* Both updates are asked for before the first one's loss. */
static void train_in_turns(struct trainee *one, struct trainee *other) {
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        take_turn(one, turn);
        take_turn(other, turn);
        one->losses[turn] = wait_for(one->test);
        other->losses[turn] = wait_for(other->test);
    }
}

static void train_alone(struct trainee *trainee) {
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        take_turn(trainee, turn);
        trainee->losses[turn] = wait_for(trainee->test);
    }
}

void bm_conform_edges_turns(struct bm_conform *conform) {
    struct trainee trainees[4] = {{.rate = 0.001, .first = 3},
                                  {.rate = 0.02, .first = 40},
                                  {.rate = 0.001, .first = 3},
                                  {.rate = 0.02, .first = 40}};
    for (size_t i = 0; i < BM_CONFORM_COUNT(trainees); i++) {
        trainees[i].test =
            open_session(conform, "dense 33, relu, dense 4", BM_OPTIMIZER_ADAM, BM_CONFORM_BYTES);
        if (trainees[i].test == NULL) {
            return;
        }
    }
    train_alone(&trainees[0]);
    train_alone(&trainees[1]);
    train_in_turns(&trainees[2], &trainees[3]);
    expect_same(&trainees[2], &trainees[0]);
    expect_same(&trainees[3], &trainees[1]);
    for (size_t i = 0; i < BM_CONFORM_COUNT(trainees); i++) {
        bm_conform_close(trainees[i].test);
    }
}
