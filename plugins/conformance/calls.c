/* What the calls of a session keep, change and give back. */
#include "cases.h"
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char simple[] = "dense 33, relu, dense 4";
static const char plain[] = "conv 6 3x3, relu, maxpool 2, dense 33, relu, dense 4";
static const char dropped[] = "dense 21, relu, dropout 0.5, dense 4";
static const char normed[] = "dense 21, batchnorm, relu, dense 4";
static const char narrow[] = "dense 21, batchnorm, dense 4";

/* Of the inputs and of the first layer of `normed` and `narrow`. */
#define INPUTS 98u
#define UNITS 21u
#define STATISTICS 42u /* their means and variances */

static struct bm_conform_session *
open_session(struct bm_conform *conform, const char *layers, uint32_t optimizer) {
    const struct bm_conform_spec spec = {.layers = layers,
                                         .input = {2, 7, 7},
                                         .optimizer = optimizer,
                                         .thread_count = 2,
                                         .batch_max = 64,
                                         .image_count = 128};
    return bm_conform_open(conform, &spec);
}

/* The plain network is for backends that lack the first one's layer. */
static struct bm_conform_session *open_normed(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, normed, BM_OPTIMIZER_MOMENTUM);
    return test != NULL ? test : open_session(conform, simple, BM_OPTIMIZER_MOMENTUM);
}

static struct bm_conform_place place_of(const struct bm_conform_session *test,
                                        const struct bm_slice *slice,
                                        const char *what,
                                        const char *how) {
    return (struct bm_conform_place){.test = test, .slice = *slice, .what = what, .how = how};
}

/* ---- Parameters and state ---- */

static void expect_params(struct bm_conform_session *test, const float *expected, const char *how) {
    const struct bm_slice slice = bm_conform_slice(0, 9, 0, 1);
    const struct bm_conform_place place = place_of(test, &slice, "read_params", how);
    bm_conform_read_params(test);
    bm_conform_expect_bits(&place, BM_CONFORM_PARAMS, test->found, expected);
}

/* Every bit comes back, and a gradient in between changes nothing of it. */
void bm_conform_calls_params(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, simple, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_conform_slice(0, 9, 0, 1);
    test->params[3] = -0.0f;
    test->params[5] = 0x1.fffffep-3f;
    CALL(test,
         test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
    expect_params(test, test->params, ", after write_params");
    CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
    expect_params(test, test->params, ", after a gradient");
    bm_conform_close(test);
}

/* As written, bit by bit; `expected` NULL: 0 of either sign, which is what a rule of another sign
 * starts with. */
static void expect_slot(struct bm_conform_session *test,
                        uint32_t slot,
                        const float *expected,
                        const char *how) {
    const struct bm_slice slice = bm_conform_slice(0, 9, 0, 1);
    char what[32];
    (void)snprintf(what, sizeof what, "read_state of slot %u", slot);
    const struct bm_conform_place place = place_of(test, &slice, what, how);
    CALL(test, test->plugin->read_state(test->session, slot, test->found, test->param_count,
                                        &test->error));
    if (expected != NULL) {
        bm_conform_expect_bits(&place, BM_CONFORM_PARAMS, test->found, expected);
        return;
    }
    double *zeros = bm_conform_allocate(test->conform, test->param_count, sizeof *zeros);
    bm_conform_expect_near(&place, BM_CONFORM_PARAMS, test->found, zeros, zeros);
    free(zeros);
}

static void check_slots(struct bm_conform_session *test) {
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_conform_slice(0, 9, 0, 1);
    float *zeros = bm_conform_allocate(test->conform, test->param_count, sizeof *zeros);
    expect_slot(test, 0, NULL, ", after create");
    expect_slot(test, 1, NULL, ", after create");
    test->params[3] = -0.0f;
    CALL(test,
         plugin->write_state(test->session, 1, test->params, test->param_count, &test->error));
    expect_slot(test, 1, test->params, ", after write_state of slot 1");
    expect_slot(test, 0, NULL, ", after write_state of slot 1");
    CALL(test,
         plugin->write_state(test->session, 0, test->params, test->param_count, &test->error));
    CALL(test, plugin->write_state(test->session, 1, zeros, test->param_count, &test->error));
    CALL(test, plugin->gradient(test->session, &slice, &test->error));
    expect_slot(test, 0, test->params, ", after a gradient");
    expect_slot(test, 1, zeros, ", after a gradient");
    free(zeros);
}

/* Slots start at 0, are kept apart, and no gradient changes them. */
void bm_conform_calls_state(struct bm_conform *conform) {
    const struct bm_plugin *plugin = conform->plugin;
    EXPECT(conform, (plugin->read_state == NULL) == (plugin->write_state == NULL),
           "the table: expected both read_state and write_state or neither, found %s alone",
           plugin->read_state == NULL ? "write_state" : "read_state");
    if (plugin->read_state == NULL) {
        bm_conform_leave(conform, "the plugin has neither read_state nor write_state");
    }
    struct bm_conform_session *test = open_session(conform, simple, BM_OPTIMIZER_ADAM);
    if (test != NULL) {
        check_slots(test);
        bm_conform_close(test);
    }
}

/* Parameters before anything is written. */
void bm_conform_calls_fresh(struct bm_conform *conform) {
    struct bm_conform_session *test = open_normed(conform);
    if (test == NULL) {
        return;
    }
    struct bm_session *filled = test->session;
    float *zeros = bm_conform_allocate(conform, test->param_count, sizeof *zeros);
    CALL(test, test->plugin->create(conform->device, &test->problem, &test->session, &test->error));
    expect_params(test, zeros, ", after create");
    if (bm_conform_has_state(test)) {
        expect_slot(test, 0, NULL, ", after create");
    }
    test->plugin->destroy(test->session);
    test->session = filled;
    expect_params(test, test->params, ", after another session's create and destroy");
    free(zeros);
    bm_conform_close(test);
}

/* ---- Gradients ---- */

/* The step is made with what was written: here w - 0.5 w, which is exact. */
static void check_write_gradient(struct bm_conform_session *test, const char *how) {
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.5, 1);
    float *half = bm_conform_allocate(test->conform, test->param_count, sizeof *half);
    CALL(test,
         plugin->write_gradient(test->session, test->params, test->param_count, &test->error));
    CALL(test, plugin->apply(test->session, &hyper, &test->error));
    for (uint64_t i = 0; i < test->param_count; i++) {
        half[i] = 0.5f * test->params[i];
    }
    expect_params(test, half, how);
    free(half);
}

void bm_conform_calls_write_gradient(struct bm_conform *conform) {
    const struct bm_slice slice = bm_conform_slice(0, 9, 0, 1);
    if (conform->plugin->write_gradient == NULL) {
        bm_conform_leave(conform, "the plugin has no write_gradient");
    }
    struct bm_conform_session *test = open_session(conform, simple, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
    check_write_gradient(test, ", after w - 0.5 w with a written gradient");
    bm_conform_close(test);
}

/* How far a momentum step may be from that of the whole slice's gradient. */
static void compare_step(struct bm_conform_session *test,
                         const struct bm_slice *slice,
                         const struct bm_reference *reference,
                         const struct bm_hyper *hyper) {
    const struct bm_conform_place place =
        place_of(test, slice, "parameters", ", gradient, then update with ACCUMULATE");
    double *all = bm_conform_allocate(test->conform, test->param_count, 3 * sizeof *all);
    double *bound = all + test->param_count;
    double *const state[BM_STATE_SLOT_MAX] = {all + 2 * test->param_count, NULL};
    double *const no_bound[BM_STATE_SLOT_MAX] = {NULL, NULL};
    for (uint64_t i = 0; i < test->param_count; i++) {
        all[i] = (double)test->params[i];
    }
    bm_reference_apply_bound(&test->model, BM_OPTIMIZER_MOMENTUM, hyper, reference->gradient,
                             reference->bound, all, (const double *const *)state, bound, no_bound);
    bm_reference_apply(&test->model, BM_OPTIMIZER_MOMENTUM, hyper, reference->gradient, all, state);
    bm_conform_read_params(test);
    bm_conform_expect_near(&place, BM_CONFORM_PARAMS, test->found, all, bound);
    free(all);
}

static double wait_for(struct bm_conform_session *test) {
    double loss = -1;
    CALL(test, test->plugin->wait(test->session, &loss, &test->error));
    return loss;
}

/* The loss too is that of both. */
static void compare_loss(struct bm_conform_session *test,
                         const struct bm_slice *slice,
                         const struct bm_reference *reference) {
    const struct bm_conform_place place =
        place_of(test, slice, "loss", ", gradient, then update with ACCUMULATE");
    bm_conform_expect_number(&place, wait_for(test), reference->loss, reference->loss_bound);
}

/* An accumulating update ends where the two calls end: at a step with the gradient of both slices,
 * each divided by the count of both. */
static void check_accumulate_update(struct bm_conform *conform, const char *layers) {
    struct bm_conform_session *test = open_session(conform, layers, BM_OPTIMIZER_MOMENTUM);
    if (test == NULL) {
        return;
    }
    struct bm_slice whole = bm_conform_slice(0, 60, 0, 1);
    struct bm_slice first = bm_conform_slice(0, 30, 0, 1);
    struct bm_slice second = bm_conform_slice(30, 30, BM_SLICE_ACCUMULATE, 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.1, 1);
    struct bm_reference reference;
    first.divisor = 60;
    second.divisor = 60;
    bm_conform_reference(test, &whole, NULL, NULL, &reference);
    CALL(test, test->plugin->gradient(test->session, &first, &test->error));
    CALL(test, bm_conform_update(test, &second, &hyper));
    compare_loss(test, &whole, &reference);
    compare_step(test, &whole, &reference, &hyper);
    bm_reference_free(&reference);
    bm_conform_close(test);
}

void bm_conform_calls_accumulate_update(struct bm_conform *conform) {
    check_accumulate_update(conform, plain);
    check_accumulate_update(conform, simple);
}

static float *make_gradient(struct bm_conform_session *test, const struct bm_slice *slice) {
    float *values = bm_conform_allocate(test->conform, test->param_count, sizeof *values);
    CALL(test, test->plugin->gradient(test->session, slice, &test->error));
    CALL(test, test->plugin->read_gradient(test->session, values, test->param_count, &test->error));
    return values;
}

/* Dropout follows the update's number, and NO_DROPOUT does not. */
void bm_conform_calls_dropout(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, dropped, BM_OPTIMIZER_MOMENTUM);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_conform_slice(0, 50, 0, 1);
    const struct bm_slice next = bm_conform_slice(0, 50, 0, 2);
    const struct bm_slice without = bm_conform_slice(0, 50, BM_SLICE_NO_DROPOUT, 1);
    const struct bm_slice next_without = bm_conform_slice(0, 50, BM_SLICE_NO_DROPOUT, 2);
    const struct bm_conform_place again =
        place_of(test, &slice, "gradient", ", a second time as against the first");
    const struct bm_conform_place undropped =
        place_of(test, &next_without, "gradient", ", as against update 1");
    size_t bytes = test->param_count * sizeof(float);
    float *first = make_gradient(test, &slice);
    float *redrawn = make_gradient(test, &next);
    EXPECT(conform, memcmp(first, redrawn, bytes) != 0,
           "gradient of \"%s\", batch 50: expected update 2 to drop other units than update 1, "
           "found the same gradient",
           dropped);
    float *repeated = make_gradient(test, &slice);
    bm_conform_expect_bits(&again, BM_CONFORM_PARAMS, repeated, first);
    float *whole = make_gradient(test, &without);
    float *next_whole = make_gradient(test, &next_without);
    bm_conform_expect_bits(&undropped, BM_CONFORM_PARAMS, next_whole, whole);
    free(first);
    free(redrawn);
    free(repeated);
    free(whole);
    free(next_whole);
    bm_conform_close(test);
}

/* [statistics_count]; NULL if there are none, or they cannot be read. */
static float *read_statistics(struct bm_conform_session *test) {
    uint64_t count = test->statistics_count;
    if (count == 0 || !bm_conform_has_state(test)) {
        return NULL;
    }
    float *found = bm_conform_allocate(test->conform, count, sizeof *found);
    CALL(test,
         test->plugin->read_state(test->session, BM_STATE_STATISTICS, found, count, &test->error));
    return found;
}

/* Gradient, evaluate, and what the gradient has left. */
static void check_evaluate(struct bm_conform_session *test) {
    static const char how[] = ", read after an evaluate as against before it";
    const struct bm_slice slice = bm_conform_slice(0, 50, 0, 1);
    const struct bm_conform_place of_gradient = place_of(test, &slice, "gradient", how);
    const struct bm_conform_place of_loss = place_of(test, &slice, "loss", how);
    const struct bm_conform_place of_running = place_of(test, &slice, "running statistics", how);
    float *gradient = make_gradient(test, &slice);
    float *statistics = read_statistics(test);
    double loss = wait_for(test);
    double summed = 0;
    uint64_t correct = 0;
    CALL(test, test->plugin->evaluate(test->session, BM_SPLIT_TEST, 0, 100, 0, &summed, &correct,
                                      &test->error));
    CALL(test,
         test->plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    bm_conform_expect_bits(&of_gradient, BM_CONFORM_PARAMS, test->found, gradient);
    bm_conform_expect_number(&of_loss, wait_for(test), loss, 0);
    if (statistics != NULL) {
        float *found = read_statistics(test);
        bm_conform_expect_bits(&of_running, BM_CONFORM_STATISTICS, found, statistics);
        free(found);
    }
    expect_params(test, test->params, ", after an evaluate");
    free(gradient);
    free(statistics);
}

/* Evaluating between gradient and apply is none of their business. */
void bm_conform_calls_evaluate(struct bm_conform *conform) {
    struct bm_conform_session *test = open_normed(conform);
    if (test != NULL) {
        check_evaluate(test);
        bm_conform_close(test);
    }
}

/* ---- Running statistics ---- */

/* A session's statistics start as means 0 and variances 1. */
static void
expect_statistics(struct bm_conform_session *test, const struct bm_slice *slice, int changed) {
    const struct bm_conform_place place = place_of(
        test, slice, "running statistics", ", which this slice leaves as means 0, variances 1");
    float start[STATISTICS];
    float found[STATISTICS];
    for (uint32_t i = 0; i < STATISTICS; i++) {
        start[i] = i < UNITS ? 0 : 1;
    }
    CALL(test, test->plugin->read_state(test->session, BM_STATE_STATISTICS, found, STATISTICS,
                                        &test->error));
    if (!changed) {
        bm_conform_expect_bits(&place, BM_CONFORM_STATISTICS, found, start);
        return;
    }
    for (uint32_t i = 0; i < STATISTICS; i++) {
        EXPECT(test->conform, found[i] != start[i],
               "running statistics of \"%s\" after a gradient of %llu images, flags %u: expected "
               "[%u] to change, found %g",
               normed, (unsigned long long)slice->count, slice->flags, i, (double)found[i]);
    }
}

/* Which flags leave the running statistics. */
void bm_conform_calls_statistics(struct bm_conform *conform) {
    static const uint32_t keeping[] = {BM_SLICE_KEEP_STATISTICS, BM_SLICE_USE_RUNNING,
                                       BM_SLICE_KEEP_STATISTICS | BM_SLICE_USE_RUNNING};
    const struct bm_plugin *plugin = conform->plugin;
    struct bm_slice slice = bm_conform_slice(0, 50, 0, 1);
    uint64_t correct = 0;
    double loss = 0;
    if (plugin->read_state == NULL) {
        bm_conform_leave(conform, "the plugin has no read_state");
    }
    struct bm_conform_session *test = open_session(conform, normed, BM_OPTIMIZER_MOMENTUM);
    if (test == NULL) {
        return;
    }
    expect_statistics(test, &slice, 0);
    for (uint32_t i = 0; i < BM_CONFORM_COUNT(keeping); i++) {
        slice.flags = keeping[i];
        CALL(test, plugin->gradient(test->session, &slice, &test->error));
        expect_statistics(test, &slice, 0);
    }
    CALL(test,
         plugin->evaluate(test->session, BM_SPLIT_TRAIN, 0, 50, 0, &loss, &correct, &test->error));
    expect_statistics(test, &slice, 0);
    slice.flags = 0;
    CALL(test, plugin->gradient(test->session, &slice, &test->error));
    expect_statistics(test, &slice, 1);
    bm_conform_close(test);
}

/* One value a channel: no gradient passes, the variance stays, the mean moves. */
static void check_single_value(struct bm_conform_session *test, const struct bm_slice *slice) {
    const uint64_t below = UNITS * INPUTS + UNITS + UNITS; /* dense 21 and the gain */
    float *gradient = make_gradient(test, slice);
    float found[STATISTICS];
    for (uint64_t i = 0; i < below; i++) {
        EXPECT(test->conform, gradient[i] == 0,
               "gradient of \"%s\", batch 1: expected 0 below and in the gain of a batch norm of "
               "single values, found %g at [%llu]",
               narrow, (double)gradient[i], (unsigned long long)i);
    }
    EXPECT(test->conform, gradient[below] != 0,
           "gradient of \"%s\", batch 1: expected the shift of a batch norm of single values to "
           "have one, found 0 at [%llu]",
           narrow, (unsigned long long)below);
    free(gradient);
    if (!bm_conform_has_state(test)) {
        return;
    }
    CALL(test, test->plugin->read_state(test->session, BM_STATE_STATISTICS, found, STATISTICS,
                                        &test->error));
    for (uint32_t i = 0; i < UNITS; i++) {
        EXPECT(test->conform, found[i] != 0 && found[UNITS + i] == 1,
               "running statistics of \"%s\" after a batch of 1: expected another mean than 0 and "
               "the variance 1, found %g and %g in channel %u",
               narrow, (double)found[i], (double)found[UNITS + i], i);
    }
}

void bm_conform_calls_single_value(struct bm_conform *conform) {
    const struct bm_slice slice = bm_conform_slice(0, 1, 0, 1);
    struct bm_conform_session *test = open_session(conform, narrow, BM_OPTIMIZER_MOMENTUM);
    if (test == NULL) {
        return;
    }
    if (bm_conform_refuses_single_value(test, &slice)) {
        bm_conform_leave(conform, "batch norm of a single value: %s", test->error.text);
    }
    check_single_value(test, &slice);
    bm_conform_close(test);
}

/* ---- Ties ---- */

/* Equal values in a window: the first one gets the gradient. With weight 0 all four outputs of the
 * convolution are its bias, so dweight = dbias x[0], a product of two operands. */
static void check_first_maximum(struct bm_conform_session *test, uint64_t image) {
    const struct bm_precision *precision = bm_conform_precision(test);
    const struct bm_slice slice = bm_conform_slice(image, 1, 0, 1);
    float *gradient = make_gradient(test, &slice);
    const float *pixels = (const float *)test->data.images + 4 * (size_t)test->order[image];
    double expected = (double)gradient[1] * (double)pixels[0];
    double bound =
        4 * (precision->multiply_roundoff + precision->accumulate_roundoff) * fabs(expected);
    EXPECT(test->conform, gradient[1] != 0,
           "gradient of \"conv 1 1x1, maxpool 2, dense 4\": expected one of the bias, found 0");
    EXPECT(test->conform, fabs((double)gradient[0] - expected) <= bound,
           "gradient of \"conv 1 1x1, maxpool 2, dense 4\" where all four values of a window are "
           "equal, image %u: expected the weight's to be the bias's times the first pixel, %g "
           "+- %.2g (the others would give %g, %g, %g), found %g",
           test->order[image], expected, bound, (double)(gradient[1] * pixels[1]),
           (double)(gradient[1] * pixels[2]), (double)(gradient[1] * pixels[3]),
           (double)gradient[0]);
    free(gradient);
}

void bm_conform_calls_first_maximum(struct bm_conform *conform) {
    const struct bm_conform_spec spec = {.layers = "conv 1 1x1, maxpool 2, dense 4",
                                         .input = {1, 2, 2},
                                         .batch_max = 1,
                                         .image_count = 64,
                                         .images = BM_CONFORM_FLOATS};
    struct bm_conform_session *test = bm_conform_open(conform, &spec);
    if (test == NULL) {
        return;
    }
    test->params[0] = 0;
    CALL(test,
         test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
    for (uint64_t image = 0; image < 5; image++) {
        check_first_maximum(test, image);
    }
    bm_conform_close(test);
}

/* ---- Device and description ---- */

static int is_terminated(const char *text, size_t size) {
    return memchr(text, '\0', size) != NULL;
}

/* plugin.h gives the roundoffs of a name: the bounds of all other cases rest on them. */
static void check_precision(struct bm_conform *conform, const struct bm_precision *precision) {
    static const struct bm_precision known[] = {
        {BM_PRECISION_FLOAT32, BM_ROUNDOFF_FLOAT32, BM_ROUNDOFF_FLOAT32},
        {BM_PRECISION_TF32, BM_ROUNDOFF_TF32, BM_ROUNDOFF_FLOAT32},
        {BM_PRECISION_BF16_F32, BM_ROUNDOFF_BF16, BM_ROUNDOFF_FLOAT32},
        {BM_PRECISION_F16_F32, BM_ROUNDOFF_F16, BM_ROUNDOFF_FLOAT32}};
    EXPECT(conform, is_terminated(precision->name, sizeof precision->name),
           "device_info: expected a terminated name of a precision, found none");
    for (size_t i = 0; i < BM_CONFORM_COUNT(known); i++) {
        if (strcmp(known[i].name, precision->name) == 0) {
            EXPECT(conform,
                   precision->multiply_roundoff == known[i].multiply_roundoff &&
                       precision->accumulate_roundoff == known[i].accumulate_roundoff,
                   "device_info: expected the roundoffs %a and %a of %s, found %a and %a",
                   known[i].multiply_roundoff, known[i].accumulate_roundoff, known[i].name,
                   precision->multiply_roundoff, precision->accumulate_roundoff);
            return;
        }
    }
    bm_conform_fail(conform, "device_info: expected a precision of plugin.h, found \"%s\"",
                    precision->name);
}

static void check_device(struct bm_conform *conform, uint32_t device) {
    struct bm_device_info info = {.size = sizeof info};
    struct bm_error error = {0};
    int32_t status = conform->plugin->device_info(device, &info, &error);
    EXPECT(conform, status == BM_STATUS_OK, "device_info of device %u: expected OK, found %d: %s",
           device, status, error.text);
    EXPECT(conform, info.size == sizeof info,
           "device_info of device %u: expected the size %zu that the host has set, found %u",
           device, sizeof info, info.size);
    EXPECT(conform, info.kind <= BM_DEVICE_KIND_SOFTWARE,
           "device_info of device %u: expected a kind of at most %u, found %u", device,
           BM_DEVICE_KIND_SOFTWARE, info.kind);
    EXPECT(conform, (info.flags & ~BM_DEVICE_FLUSHES_SUBNORMALS) == 0,
           "device_info of device %u: expected flags of plugin.h, found 0x%x", device, info.flags);
    EXPECT(conform,
           is_terminated(info.name, sizeof info.name) &&
               is_terminated(info.vendor, sizeof info.vendor) &&
               is_terminated(info.driver, sizeof info.driver) &&
               is_terminated(info.uuid, sizeof info.uuid) &&
               is_terminated(info.pci, sizeof info.pci),
           "device_info of device %u: expected terminated strings, found one that is not", device);
    EXPECT(conform, info.name[0] != '\0', "device_info of device %u: expected a name, found none",
           device);
    EXPECT(conform, info.precision_count >= 1 && info.precision_count <= BM_PRECISION_COUNT_MAX,
           "device_info of device %u: expected 1 to %u precisions, found %u", device,
           BM_PRECISION_COUNT_MAX, info.precision_count);
    for (uint32_t i = 0; i < info.precision_count; i++) {
        check_precision(conform, &info.precisions[i]);
    }
}

void bm_conform_calls_device_info(struct bm_conform *conform) {
    struct bm_device_info info = {.size = sizeof info};
    struct bm_error error = {0};
    uint32_t count = 0;
    int32_t status = conform->plugin->device_count(&count, &error);
    EXPECT(conform, status == BM_STATUS_OK && count > 0,
           "device_count: expected OK and a device, found status %d and %u", status, count);
    for (uint32_t device = 0; device < count; device++) {
        check_device(conform, device);
    }
    status = conform->plugin->device_info(count, &info, &error);
    EXPECT(conform, status == BM_STATUS_INVALID,
           "device_info of device %u, the number of devices: expected status %d, found %d", count,
           BM_STATUS_INVALID, status);
}

/* key=value lines, cut at the capacity. */
static void check_lines(struct bm_conform *conform, const char *text) {
    EXPECT(conform, text[0] != '\0' && text[strlen(text) - 1] == '\n',
           "describe: expected lines that end in a newline, found \"%s\"", text);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t key = strcspn(line, "=\n");
        EXPECT(conform, key > 0 && line[key] == '=',
               "describe: expected key=value, found the line \"%.*s\"", (int)strcspn(line, "\n"),
               line);
    }
}

static void describe(struct bm_conform_session *test, char *text, uint32_t capacity) {
    CALL(test, test->plugin->describe(test->session, text, capacity, &test->error));
    EXPECT(test->conform, is_terminated(text, capacity),
           "describe into %u bytes: expected terminated text, found no end", capacity);
}

/* Into memory whose next byte is a crash. */
static void check_cut(struct bm_conform_session *test, const char *text, uint32_t capacity) {
    struct bm_conform_guard guard = bm_conform_guard_make(test->conform, capacity);
    char *cut = guard.bytes;
    describe(test, cut, capacity);
    EXPECT(test->conform,
           strlen(cut) == (strlen(text) < capacity ? strlen(text) : capacity - 1) &&
               strncmp(cut, text, strlen(cut)) == 0,
           "describe into %u bytes: expected the first %u of the whole text, \"%.*s\", found "
           "\"%s\"",
           capacity, capacity - 1, (int)capacity - 1, text, cut);
    bm_conform_guard_free(&guard);
}

void bm_conform_calls_describe(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, simple, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    char text[8192];
    describe(test, text, sizeof text);
    check_lines(conform, text);
    check_cut(test, text, 8);
    check_cut(test, text, 1);
    bm_conform_close(test);
}

static void expect_time(struct bm_conform *conform, const char *what, double found) {
    EXPECT(conform, isfinite(found) && found < 1e12,
           "device_time: expected the nanoseconds of a small %s, or a negative number, found %g",
           what, found);
}

void bm_conform_calls_device_time(struct bm_conform *conform) {
    const struct bm_slice slice = bm_conform_slice(0, 9, 0, 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.5, 1);
    struct bm_device_time time = {.size = sizeof time, .gradient_ns = NAN, .apply_ns = NAN};
    if (conform->plugin->device_time == NULL) {
        bm_conform_leave(conform, "the plugin has no device_time");
    }
    struct bm_conform_session *test = open_session(conform, simple, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
    CALL(test, test->plugin->apply(test->session, &hyper, &test->error));
    CALL(test, test->plugin->device_time(test->session, &time, &test->error));
    EXPECT(conform, time.size == sizeof time,
           "device_time: expected the size %zu that the host has set, found %u", sizeof time,
           time.size);
    expect_time(conform, "gradient", time.gradient_ns);
    expect_time(conform, "apply", time.apply_ns);
    bm_conform_close(test);
}

/* ---- More calls than anyone keeps ---- */

#define PENDING 3000u

/* Gradients and steps with rates of their own, each waited for or none. */
static void train_many(struct bm_conform_session *test, int waits) {
    CALL(test,
         test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
    for (uint64_t k = 0; k < PENDING; k++) {
        const struct bm_slice slice = bm_conform_slice(k % 200, 1, 0, k + 1);
        const struct bm_hyper hyper =
            bm_optimizer_defaults(BM_OPTIMIZER_SGD, 1e-4 * (double)(k % 7 + 1), k + 1);
        CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
        CALL(test, test->plugin->apply(test->session, &hyper, &test->error));
        if (waits) {
            CALL(test, test->plugin->wait(test->session, NULL, &test->error));
        }
    }
    bm_conform_read_params(test);
}

/* Waiting changes no bit, however much is pending. */
void bm_conform_calls_many_pending(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform, simple, BM_OPTIMIZER_SGD);
    if (test == NULL) {
        return;
    }
    const struct bm_slice slice = bm_conform_slice(0, 1, 0, 1);
    const struct bm_conform_place place =
        place_of(test, &slice, "parameters",
                 ", after 3000 gradients and applies, not waited for as against waited for");
    size_t bytes = test->param_count * sizeof(float);
    float *waited = bm_conform_allocate(conform, test->param_count, sizeof *waited);
    train_many(test, 1);
    memcpy(waited, test->found, bytes);
    EXPECT(conform, memcmp(waited, test->params, bytes) != 0,
           "3000 gradients and applies: expected other parameters, found those of the start");
    train_many(test, 0);
    bm_conform_expect_bits(&place, BM_CONFORM_PARAMS, test->found, waited);
    free(waited);
    bm_conform_close(test);
}
