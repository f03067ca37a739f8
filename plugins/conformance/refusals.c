/* What a session does not take, and that refusing leaves it as it was. */
#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGES 128u
#define ORDER 256u
#define BATCH_MAX 64u

static char no_session;

static struct bm_conform_session *open_session(struct bm_conform *conform, uint32_t optimizer) {
    const struct bm_conform_spec spec = {.layers = "dense 33, relu, dense 4",
                                         .input = {2, 7, 7},
                                         .optimizer = optimizer,
                                         .thread_count = 2,
                                         .batch_max = BATCH_MAX,
                                         .image_count = IMAGES,
                                         .order_count = ORDER};
    return bm_conform_open(conform, &spec);
}

static struct bm_hyper hyper_of(uint64_t update) {
    return (struct bm_hyper){
        .size = sizeof(struct bm_hyper), .update = update, .rate = 0.1, .momentum = 0.9};
}

/* A case of one group of refusals on a session of its own. */
static void run_group(struct bm_conform *conform, void (*refuse)(struct bm_conform_session *test)) {
    struct bm_conform_session *test = open_session(conform, BM_OPTIMIZER_SGD);
    if (test != NULL) {
        refuse(test);
        bm_conform_close(test);
    }
}

/* ---- Slices ---- */

/* To every call that takes a slice. */
static void
refuse_slice(struct bm_conform_session *test, const struct bm_slice *slice, const char *given) {
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_hyper hyper = hyper_of(1);
    bm_conform_invalid(test->conform, plugin->gradient(test->session, slice, &test->error),
                       "gradient", given);
    if (plugin->update != NULL) {
        bm_conform_invalid(test->conform,
                           plugin->update(test->session, slice, &hyper, &test->error), "update",
                           given);
    }
    if (plugin->updates != NULL) {
        bm_conform_invalid(
            test->conform,
            plugin->updates(test->session, slice, 1, &hyper, sizeof hyper, &test->error), "updates",
            given);
    }
}

static void refuse_updates(struct bm_conform_session *test) {
    const struct bm_slice slice = bm_conform_slice(0, 8, 0, 1);
    struct bm_hyper hypers[ORDER / 8 + 1];
    for (uint32_t k = 0; k < ORDER / 8 + 1; k++) {
        hypers[k] = hyper_of(k + 1);
    }
    bm_conform_invalid(test->conform,
                       test->plugin->updates(test->session, &slice, ORDER / 8 + 1, hypers,
                                             sizeof hypers[0], &test->error),
                       "updates", "33 slices of 8 in an order of 256");
    bm_conform_invalid(test->conform,
                       test->plugin->updates(test->session, &slice, 2, hypers, 8, &test->error),
                       "updates", "a hyper_stride of 8");
    hypers[1].update = 0;
    bm_conform_invalid(
        test->conform,
        test->plugin->updates(test->session, &slice, 2, hypers, sizeof hypers[0], &test->error),
        "updates", "update 0 in the second hyper");
}

/* A flag that plugin.h does not have. */
static void refuse_flag(struct bm_conform_session *test, uint32_t flag) {
    const struct bm_slice slice = bm_conform_slice(0, 8, flag, 1);
    const struct bm_hyper hyper = hyper_of(1);
    char given[32];
    (void)snprintf(given, sizeof given, "slice flag 0x%x", flag);
    bm_conform_refused(test->conform, test->plugin->gradient(test->session, &slice, &test->error),
                       "gradient", given);
    if (test->plugin->update != NULL) {
        bm_conform_refused(test->conform,
                           test->plugin->update(test->session, &slice, &hyper, &test->error),
                           "update", given);
    }
}

static void refuse_slices(struct bm_conform_session *test) {
    const struct {
        struct bm_slice slice;
        const char *given;
    } bad[] = {
        {bm_conform_slice(0, BATCH_MAX + 1, 0, 1), "65 images of batch_max 64"},
        {bm_conform_slice(0, 0, 0, 1), "0 images"},
        {bm_conform_slice(ORDER - 7, 8, 0, 1), "8 images from 249 in an order of 256"},
        {bm_conform_slice(ORDER, 1, 0, 1), "1 image from 256 in an order of 256"},
        {bm_conform_slice(UINT64_MAX - 3, 8, 0, 1), "8 images from 2^64 - 4, which overflows"},
        {bm_conform_slice(1, UINT64_MAX, 0, 1), "2^64 - 1 images from 1, which overflows"},
        {bm_conform_slice(UINT64_C(1) << 32, 8, 0, 1), "8 images from 2^32, which 32 bits lose"},
        {bm_conform_slice(0, (UINT64_C(1) << 32) + 8, 0, 1), "2^32 + 8 images"},
        {{.size = 4, .count = 8, .update = 1, .divisor = 8}, "a slice of size 4"},
        {{.size = sizeof(struct bm_slice), .count = 8, .update = 1, .divisor = 0}, "divisor 0"},
        {{.size = sizeof(struct bm_slice), .count = 8, .update = 1, .divisor = (double)NAN},
         "divisor NaN"},
        {{.size = sizeof(struct bm_slice), .count = 8, .update = 1, .divisor = HUGE_VAL},
         "divisor infinity"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refuse_slice(test, &bad[i].slice, bad[i].given);
    }
    refuse_flag(test, 16);
    refuse_flag(test, 1u << 30);
    if (test->plugin->updates != NULL) {
        refuse_updates(test);
    }
}

/* A refused update leaves the gradient that was there. */
void bm_conform_refusals_slices(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_conform_slice(0, 8, 0, 1);
    refuse_slices(test);
    CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
    refuse_slices(test);
    CALL(test,
         test->plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    bm_conform_close(test);
}

/* ---- The gradient that is kept ---- */

static void expect_no_gradient(struct bm_conform_session *test, const char *when) {
    const struct bm_slice slice = bm_conform_slice(0, 8, BM_SLICE_ACCUMULATE, 1);
    const struct bm_hyper hyper = hyper_of(1);
    bm_conform_invalid(
        test->conform,
        test->plugin->read_gradient(test->session, test->found, test->param_count, &test->error),
        "read_gradient", when);
    bm_conform_invalid(test->conform, test->plugin->apply(test->session, &hyper, &test->error),
                       "apply", when);
    bm_conform_invalid(test->conform, test->plugin->gradient(test->session, &slice, &test->error),
                       "gradient with ACCUMULATE", when);
    if (test->plugin->update != NULL) {
        bm_conform_invalid(test->conform,
                           test->plugin->update(test->session, &slice, &hyper, &test->error),
                           "update with ACCUMULATE", when);
    }
}

/* The first update is number 1. */
static void refuse_hyper(struct bm_conform_session *test) {
    const struct bm_slice slice = bm_conform_slice(0, 8, 0, 1);
    const struct bm_hyper hyper = hyper_of(0);
    bm_conform_invalid(test->conform, test->plugin->apply(test->session, &hyper, &test->error),
                       "apply", "hyper.update 0");
    if (test->plugin->update != NULL) {
        bm_conform_invalid(test->conform,
                           test->plugin->update(test->session, &slice, &hyper, &test->error),
                           "update", "hyper.update 0");
    }
}

/* A gradient is there after gradient and gone after update and updates. */
void bm_conform_refusals_gradient(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_conform_slice(0, 8, 0, 1);
    const struct bm_hyper hyper = hyper_of(1);
    expect_no_gradient(test, "no gradient since create");
    CALL(test, plugin->gradient(test->session, &slice, &test->error));
    refuse_hyper(test);
    CALL(test, plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    if (plugin->update != NULL) {
        CALL(test, plugin->update(test->session, &slice, &hyper, &test->error));
        expect_no_gradient(test, "no gradient since update");
    }
    if (plugin->updates != NULL) {
        CALL(test, plugin->gradient(test->session, &slice, &test->error));
        CALL(test, plugin->updates(test->session, &slice, 1, &hyper, sizeof hyper, &test->error));
        expect_no_gradient(test, "no gradient since updates");
    }
    bm_conform_close(test);
}

/* ---- Arrays ---- */

/* `found` ends where nobody may write: a plugin that takes a count beyond it is killed. */
static void refuse_count(struct bm_conform_session *test, uint64_t count) {
    const struct bm_plugin *plugin = test->plugin;
    struct bm_conform *conform = test->conform;
    struct bm_session *session = test->session;
    struct bm_error *error = &test->error;
    char given[64];
    (void)snprintf(given, sizeof given, "%llu values of %llu", (unsigned long long)count,
                   (unsigned long long)test->param_count);
    bm_conform_invalid(conform, plugin->write_params(session, test->params, count, error),
                       "write_params", given);
    bm_conform_invalid(conform, plugin->read_params(session, test->found, count, error),
                       "read_params", given);
    bm_conform_invalid(conform, plugin->read_gradient(session, test->found, count, error),
                       "read_gradient", given);
    if (plugin->write_gradient != NULL) {
        bm_conform_invalid(conform, plugin->write_gradient(session, test->params, count, error),
                           "write_gradient", given);
    }
    if (plugin->read_state != NULL && test->problem.optimizer != BM_OPTIMIZER_SGD) {
        bm_conform_invalid(conform, plugin->read_state(session, 0, test->found, count, error),
                           "read_state of slot 0", given);
        bm_conform_invalid(conform, plugin->write_state(session, 0, test->params, count, error),
                           "write_state of slot 0", given);
    }
}

/* A slot that the rule has not got. */
static void refuse_slot(struct bm_conform_session *test, uint32_t slot, uint64_t count) {
    char given[64];
    (void)snprintf(given, sizeof given, "slot 0x%x and %llu values", slot,
                   (unsigned long long)count);
    bm_conform_invalid(
        test->conform,
        test->plugin->read_state(test->session, slot, test->found, count, &test->error),
        "read_state", given);
    bm_conform_invalid(
        test->conform,
        test->plugin->write_state(test->session, slot, test->params, count, &test->error),
        "write_state", given);
}

/* With a gradient kept, so that it is the count that is refused. */
static void refuse_arrays(struct bm_conform_session *test) {
    const uint64_t count = test->param_count;
    const uint64_t counts[] = {0, 1, count - 1, count + 1, 2 * count, UINT64_MAX};
    uint32_t slots = test->problem.optimizer == BM_OPTIMIZER_SGD ? 0 : 1;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        refuse_count(test, counts[i]);
    }
    if (test->plugin->read_state != NULL) {
        refuse_slot(test, slots, count);
        refuse_slot(test, BM_STATE_STATISTICS - 1, count);
        refuse_slot(test, BM_STATE_STATISTICS, 1); /* the network has none */
    }
}

void bm_conform_refusals_arrays(struct bm_conform *conform) {
    static const uint32_t optimizers[] = {BM_OPTIMIZER_SGD, BM_OPTIMIZER_MOMENTUM};
    const struct bm_slice slice = bm_conform_slice(0, 8, 0, 1);
    for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++) {
        struct bm_conform_session *test = open_session(conform, optimizers[i]);
        if (test != NULL) {
            CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
            refuse_arrays(test);
            bm_conform_close(test);
        }
    }
}

/* ---- Data and order ---- */

static void refuse_bind(struct bm_conform_session *test,
                        uint32_t split,
                        const struct bm_data *data,
                        const char *given) {
    bm_conform_invalid(test->conform,
                       test->plugin->bind_data(test->session, split, data, &test->error),
                       "bind_data", given);
}

static void refuse_label(struct bm_conform_session *test, uint32_t image, int32_t label) {
    struct bm_data data = test->data;
    int32_t labels[IMAGES];
    char given[64];
    memcpy(labels, test->data.labels, sizeof labels);
    labels[image] = label;
    data.labels = labels;
    (void)snprintf(given, sizeof given, "label %d of image %u, with %u classes", label, image,
                   test->model.class_count);
    refuse_bind(test, BM_SPLIT_TRAIN, &data, given);
}

static void refuse_order(struct bm_conform_session *test, uint32_t place, uint32_t image) {
    uint32_t order[ORDER];
    char given[64];
    memcpy(order, test->order, sizeof order);
    order[place] = image;
    (void)snprintf(given, sizeof given, "order[%u] = %u of %u images", place, image, IMAGES);
    bm_conform_invalid(test->conform,
                       test->plugin->set_order(test->session, order, ORDER, &test->error),
                       "set_order", given);
}

static void refuse_data(struct bm_conform_session *test) {
    static const int32_t labels[] = {BM_CONFORM_CLASSES, -1, INT32_MAX, INT32_MIN};
    struct bm_data data = test->data;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        refuse_label(test, 71, labels[i]);
        refuse_label(test, i % 2 == 0 ? 0 : IMAGES - 1, labels[i]);
    }
    data.scale = NULL;
    refuse_bind(test, BM_SPLIT_TRAIN, &data, "bytes without a scale");
    data = test->data;
    data.shift = NULL;
    refuse_bind(test, BM_SPLIT_TRAIN, &data, "bytes without a shift");
    data = test->data;
    data.type = 2;
    bm_conform_refused(test->conform,
                       test->plugin->bind_data(test->session, BM_SPLIT_TRAIN, &data, &test->error),
                       "bind_data", "data of type 2");
    refuse_bind(test, BM_SPLIT_COUNT, &test->data, "split 3");
    refuse_bind(test, UINT32_MAX, &test->data, "split 2^32 - 1");
    refuse_order(test, 1, IMAGES);
    refuse_order(test, ORDER - 1, IMAGES);
    refuse_order(test, 0, UINT32_MAX);
}

/* What was bound before is still there. */
void bm_conform_refusals_data(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_conform_slice(ORDER - 8, 8, 0, 1);
    refuse_data(test);
    int32_t status = test->plugin->gradient(test->session, &slice, &test->error);
    EXPECT(conform, status == BM_STATUS_OK,
           "gradient after refused data and orders: expected OK, with those bound before, found "
           "%d: %s",
           status, test->error.text);
    CALL(test, test->plugin->wait(test->session, NULL, &test->error));
    bm_conform_close(test);
}

/* ---- Evaluation ---- */

static void refuse_evaluate(struct bm_conform_session *test) {
    static const struct {
        uint32_t split;
        uint64_t first;
        uint64_t count;
        const char *given;
    } bad[] = {
        {BM_SPLIT_TRAIN, 64, 65, "65 images from 64 of 128"},
        {BM_SPLIT_TEST, 0, IMAGES + 1, "129 images of 128"},
        {BM_SPLIT_VALIDATION, IMAGES + 1, 0, "images from 129 of 128"},
        {BM_SPLIT_TRAIN, UINT64_MAX, 2, "2 images from 2^64 - 1, which overflows"},
        {BM_SPLIT_TRAIN, 1, UINT64_MAX, "2^64 - 1 images from 1, which overflows"},
        {BM_SPLIT_TRAIN, UINT64_C(1) << 32, 1, "1 image from 2^32, which 32 bits lose"},
        {BM_SPLIT_COUNT, 0, 1, "split 3"},
        {UINT32_MAX, 0, 1, "split 2^32 - 1"},
    };

    double loss = 0;
    uint64_t correct = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bm_conform_invalid(test->conform,
                           test->plugin->evaluate(test->session, bad[i].split, bad[i].first,
                                                  bad[i].count, 0, &loss, &correct, &test->error),
                           "evaluate", bad[i].given);
    }
    bm_conform_refused(
        test->conform,
        test->plugin->evaluate(test->session, 0, 0, 1, 1, &loss, &correct, &test->error),
        "evaluate", "flags 1");
}

void bm_conform_refusals_evaluate(struct bm_conform *conform) {
    run_group(conform, refuse_evaluate);
}

/* ---- States ---- */

/* Every call that reads images or walks the order. */
static void refuse_unbound(struct bm_conform_session *test, const char *when) {
    const struct bm_slice slice = bm_conform_slice(0, 1, 0, 1);
    refuse_slice(test, &slice, when);
    expect_no_gradient(test, when);
}

/* Of no image too: the state is looked at before the numbers. */
static void refuse_evaluation(struct bm_conform_session *test, uint32_t split, const char *when) {
    uint64_t correct = 0;
    double loss = 0;
    for (uint64_t count = 0; count < 2; count++) {
        bm_conform_invalid(test->conform,
                           test->plugin->evaluate(test->session, split, 0, count, 0, &loss,
                                                  &correct, &test->error),
                           "evaluate", when);
    }
}

/* Of a session that has only been created, then got training data. */
static void check_created(struct bm_conform_session *test) {
    const struct bm_plugin *plugin = test->plugin;
    static const uint32_t order[] = {0, 1, 2, 3, 4};
    refuse_unbound(test, "nothing bound");
    bm_conform_invalid(test->conform, plugin->set_order(test->session, order, 5, &test->error),
                       "set_order", "nothing bound");
    for (uint32_t split = 0; split < BM_SPLIT_COUNT; split++) {
        refuse_evaluation(test, split, "nothing bound");
    }
    bm_conform_read_params(test);
    for (uint64_t i = 0; i < test->param_count; i++) {
        EXPECT(test->conform, test->found[i] == 0,
               "read_params after create: [%llu]: expected 0, found %a", (unsigned long long)i,
               (double)test->found[i]);
    }
    CALL(test, plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error));
    refuse_unbound(test, "training data but no order");
    refuse_evaluation(test, BM_SPLIT_TEST, "training data but no test data");
}

/* Calls before the state that they need, and what a new binding resets. */
void bm_conform_refusals_states(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_conform_slice(0, 1, 0, 1);
    struct bm_session *bound = test->session;
    CALL(test, plugin->create(conform->device, &test->problem, &test->session, &test->error));
    check_created(test);
    plugin->destroy(test->session);
    plugin->destroy(NULL);
    test->session = bound;
    CALL(test, plugin->gradient(test->session, &slice, &test->error));
    CALL(test, plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error));
    refuse_slice(test, &slice, "new training data but no new order");
    bm_conform_close(test);
}

/* ---- Problems ---- */

/* `invalid`: plugin.h itself rules it out; otherwise it may be UNSUPPORTED as well. */
static void refuse_problem(struct bm_conform_session *test,
                           const struct bm_problem *problem,
                           const char *given,
                           int invalid) {
    void (*const expect)(struct bm_conform *, int32_t, const char *, const char *) =
        invalid ? bm_conform_invalid : bm_conform_refused;
    uint32_t device = test->conform->device;
    struct bm_session *session = (struct bm_session *)(void *)&no_session;
    uint64_t bytes = 0;
    expect(test->conform, test->plugin->supports(device, problem, &bytes, &test->error), "supports",
           given);
    expect(test->conform, test->plugin->create(device, problem, &session, &test->error), "create",
           given);
}

static void refuse_options_and_device(struct bm_conform_session *test) {
    const struct bm_option option = {"no such key", "8"};
    struct bm_session *session = (struct bm_session *)(void *)&no_session;
    struct bm_problem problem = test->problem;
    uint32_t devices = 0;
    problem.options = &option;
    problem.option_count = 1;
    problem.option_stride = sizeof option;
    refuse_problem(test, &problem, "option \"no such key\"", 1);
    CALL(test, test->plugin->device_count(&devices, &test->error));
    bm_conform_invalid(test->conform,
                       test->plugin->create(devices, &test->problem, &session, &test->error),
                       "create", "a device beyond the last");
}

static void refuse_problems(struct bm_conform_session *test) {
    struct bm_problem problem = test->problem;
    uint64_t bytes = 0;
    problem.precision = "float31";
    refuse_problem(test, &problem, "precision \"float31\"", 0);
    problem = test->problem;
    problem.thread_count = 0;
    refuse_problem(test, &problem, "thread_count 0", 1);
    problem = test->problem;
    problem.batch_max = 0;
    refuse_problem(test, &problem, "batch_max 0", 0);
    problem = test->problem;
    problem.layer_count = 0;
    refuse_problem(test, &problem, "no layers", 0);
    problem = test->problem;
    problem.input_width = 0;
    refuse_problem(test, &problem, "images of width 0", 0);
    problem = test->problem;
    problem.batch_max = UINT64_MAX / 64;
    bm_conform_refused(
        test->conform,
        test->plugin->supports(test->conform->device, &problem, &bytes, &test->error), "supports",
        "batch_max 2^58");
    refuse_options_and_device(test);
}

void bm_conform_refusals_problems(struct bm_conform *conform) {
    run_group(conform, refuse_problems);
}

/* ---- Layers ---- */

/* The network of the session with one more layer before the last dense one. */
static void refuse_layer(struct bm_conform_session *test,
                         uint32_t place,
                         const struct bm_layer *layer,
                         const char *given) {
    struct bm_layer layers[BM_MODEL_LAYER_MAX];
    struct bm_problem problem = test->problem;
    memcpy(layers, test->model.layers, place * sizeof layers[0]);
    layers[place] = *layer;
    memcpy(layers + place + 1, test->model.layers + place,
           (problem.layer_count - place) * sizeof layers[0]);
    problem.layer_count++;
    problem.layers = layers;
    refuse_problem(test, &problem, given, 0);
}

/* A backend without that kind of layer says UNSUPPORTED, whatever else is wrong. */
static void refuse_layers(struct bm_conform_session *test) {
    static const struct {
        const char *given;
        struct bm_layer layer;
    } bad[] = {
        {"dense without outputs", {.kind = BM_LAYER_DENSE}},
        {"conv2d with stride 0",
         {.kind = BM_LAYER_CONV2D, .outputs = 3, .kernel_height = 3, .kernel_width = 3}},
        {"conv2d without outputs",
         {.kind = BM_LAYER_CONV2D, .kernel_height = 3, .kernel_width = 3, .stride = 1}},
        {"conv2d with a kernel of height 0",
         {.kind = BM_LAYER_CONV2D, .outputs = 3, .kernel_width = 3, .stride = 1}},
        {"conv2d with a kernel wider than the image",
         {.kind = BM_LAYER_CONV2D,
          .outputs = 3,
          .kernel_height = 3,
          .kernel_width = 8,
          .stride = 1}},
        {"maxpool with stride 0",
         {.kind = BM_LAYER_MAXPOOL, .kernel_height = 2, .kernel_width = 2}},
        {"maxpool with a padding as large as its kernel",
         {.kind = BM_LAYER_MAXPOOL,
          .kernel_height = 2,
          .kernel_width = 2,
          .stride = 1,
          .padding = 2}},
        {"dropout of rate 1", {.kind = BM_LAYER_DROPOUT, .rate = 1}},
        {"dropout of rate -0.25", {.kind = BM_LAYER_DROPOUT, .rate = -0.25}},
        {"dropout of rate NaN", {.kind = BM_LAYER_DROPOUT, .rate = (double)NAN}},
        {"softmax cross entropy before the last layer", {.kind = BM_LAYER_SOFTMAX_CROSS_ENTROPY}},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bm_layer layer = bad[i].layer;
        layer.size = sizeof layer;
        refuse_layer(test, 0, &layer, bad[i].given);
    }
    struct bm_problem problem = test->problem;
    problem.layer_count--;
    refuse_problem(test, &problem, "no softmax cross entropy at the end", 0);
}

void bm_conform_refusals_layers(struct bm_conform *conform) {
    run_group(conform, refuse_layers);
}

/* ---- After a refusal ---- */

static const struct {
    const char *name;
    void (*refuse)(struct bm_conform_session *test);
} groups[] = {
    {"slices", refuse_slices},
    {"hyper-parameters of update 0", refuse_hyper},
    {"arrays of wrong length", refuse_arrays},
    {"data and orders", refuse_data},
    {"evaluations", refuse_evaluate},
    {"problems", refuse_problems},
    {"layers", refuse_layers},
};

/* One step. What is refused, if anything, is refused before and after the gradient: a wrong order
 * shows in the gradient, a wrong gradient in what comes after it. */
static void step(struct bm_conform_session *test,
                 uint64_t update,
                 void (*refuse)(struct bm_conform_session *test)) {
    const struct bm_slice slice = bm_conform_slice(29 * update, 23, 0, update);
    const struct bm_hyper hyper = hyper_of(update);
    if (refuse != NULL) {
        refuse(test);
    }
    CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
    if (refuse != NULL) {
        refuse(test);
    }
    CALL(test, test->plugin->apply(test->session, &hyper, &test->error));
    bm_conform_read_params(test);
}

static void check_loss(struct bm_conform_session *test[2], const char *group) {
    double loss[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        CALL(test[i], test[i]->plugin->wait(test[i]->session, &loss[i], &test[i]->error));
    }
    EXPECT(test[0]->conform, memcmp(&loss[0], &loss[1], sizeof loss[0]) == 0,
           "wait after a step in which %s were refused: expected the loss %a, as without, found %a",
           group, loss[0], loss[1]);
}

/* Two sessions make the same steps; what is refused is asked of the second one only. */
void bm_conform_refusals_after_refusal(struct bm_conform *conform) {
    struct bm_conform_session *test[2];
    for (int i = 0; i < 2; i++) {
        test[i] = open_session(conform, BM_OPTIMIZER_MOMENTUM);
        if (test[i] == NULL) {
            return;
        }
    }
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        step(test[0], g + 1, NULL);
        step(test[1], g + 1, groups[g].refuse);
        check_loss(test, groups[g].name);
        for (uint64_t p = 0; p < test[0]->param_count; p++) {
            EXPECT(conform, memcmp(&test[0]->found[p], &test[1]->found[p], sizeof(float)) == 0,
                   "parameter %llu after step %zu, in which %s were refused: expected %a, as "
                   "without, found %a",
                   (unsigned long long)p, g + 1, groups[g].name, (double)test[0]->found[p],
                   (double)test[1]->found[p]);
        }
    }
    bm_conform_close(test[0]);
    bm_conform_close(test[1]);
}
