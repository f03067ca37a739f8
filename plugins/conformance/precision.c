/*
 * Exact probes of float32, which random data cannot give. Values are chosen so that two products
 * nearly cancel, and what is left is exact in float32 whatever the order of the sum, but gone where
 * an operand was rounded to fewer bits, or a sum was kept in fewer. The backend must find what is
 * left to within a half of it.
 */
#include "cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Lost by tf32, f16, bf16, and by two bf16 for one float32. Convolutions may add inputs before they
 * multiply (Winograd), which costs a few bits. */
#define STEP 0x1p-20f
#define CONVOLUTION_STEP 0x1p-16f

/* ---- Precision by name ---- */

void bm_conform_precision_declared(struct bm_conform *conform) {
    static const struct bm_precision known[] = {
        {BM_PRECISION_FLOAT32, BM_ROUNDOFF_FLOAT32, BM_ROUNDOFF_FLOAT32},
        {BM_PRECISION_TF32, BM_ROUNDOFF_TF32, BM_ROUNDOFF_FLOAT32},
        {BM_PRECISION_BF16_F32, BM_ROUNDOFF_BF16, BM_ROUNDOFF_FLOAT32},
        {BM_PRECISION_F16_F32, BM_ROUNDOFF_F16, BM_ROUNDOFF_FLOAT32},
    };
    EXPECT(conform,
           conform->info.precision_count >= 1 &&
               conform->info.precision_count <= BM_PRECISION_COUNT_MAX,
           "device_info: expected a precision_count of 1 to %u, found %u", BM_PRECISION_COUNT_MAX,
           conform->info.precision_count);
    for (uint32_t i = 0; i < conform->info.precision_count; i++) {
        const struct bm_precision *found = &conform->info.precisions[i];
        size_t k = 0;
        while (k < COUNT(known) && strncmp(found->name, known[k].name, sizeof found->name) != 0) {
            k++;
        }
        EXPECT(conform, k < COUNT(known),
               "device_info: precisions[%u]: expected a name of plugin.h, found \"%.15s\"", i,
               found->name);
        EXPECT(conform,
               found->multiply_roundoff == known[k].multiply_roundoff &&
                   found->accumulate_roundoff == known[k].accumulate_roundoff,
               "device_info: precision %s: expected roundoffs %a and %a, found %a and %a",
               known[k].name, known[k].multiply_roundoff, known[k].accumulate_roundoff,
               found->multiply_roundoff, found->accumulate_roundoff);
    }
}

/* Sessions are asked for the first precision of the list. */
static void ask_for_float32(struct bm_conform *conform) {
    struct bm_precision *precisions = conform->info.precisions;
    for (uint32_t i = 0; i < conform->info.precision_count; i++) {
        if (strcmp(precisions[i].name, BM_PRECISION_FLOAT32) == 0) {
            const struct bm_precision first = precisions[0];
            precisions[0] = precisions[i];
            precisions[i] = first;
            return;
        }
    }
    bm_conform_leave(conform, "the device does not offer %s", BM_PRECISION_FLOAT32);
}

/* ---- A probe ---- */

/* A network with parameters and images that a case writes, all 0 at first. */
struct probe {
    struct bm_conform *conform;
    struct bm_conform_session *test;
    struct bm_conform_guard images_guard;
    struct bm_conform_guard labels_guard;
    float *images; /* [image_count][image_size] */
    int32_t *labels;
    uint64_t image_size;
    uint64_t image_count;
    uint32_t layer; /* the one under test */
    const char *layers;
    const char *what;
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t tensor_count;
};

/* A network to probe, and the layer of it. */
struct site {
    const char *layers;
    struct bm_shape input;
    uint32_t layer;
};

/* 0 if the backend does not support the network. */
static int open_probe(struct bm_conform *conform,
                      const struct site *site,
                      uint32_t image_count,
                      uint32_t threads,
                      const char *what,
                      struct probe *probe) {
    const struct bm_conform_spec spec = {.layers = site->layers,
                                         .input = site->input,
                                         .class_count = 2,
                                         .optimizer = BM_OPTIMIZER_SGD,
                                         .thread_count = threads,
                                         .batch_max = image_count,
                                         .image_count = image_count,
                                         .images = BM_CONFORM_FLOATS};
    memset(probe, 0, sizeof *probe);
    probe->test = bm_conform_open(conform, &spec);
    if (probe->test == NULL) {
        return 0;
    }
    probe->conform = conform;
    probe->layers = site->layers;
    probe->layer = site->layer;
    probe->what = what;
    probe->image_size = (uint64_t)site->input.channels * site->input.height * site->input.width;
    probe->image_count = image_count;
    probe->images_guard =
        bm_conform_guard_make(conform, (size_t)(probe->image_size * image_count * sizeof(float)));
    probe->labels_guard = bm_conform_guard_make(conform, image_count * sizeof(int32_t));
    probe->images = probe->images_guard.bytes;
    probe->labels = probe->labels_guard.bytes;
    memset(probe->images, 0, probe->image_size * image_count * sizeof(float));
    memset(probe->labels, 0, image_count * sizeof(int32_t));
    memset(probe->test->params, 0, probe->test->param_count * sizeof(float));
    probe->tensor_count =
        bm_model_tensors(&probe->test->model, probe->tensors, (uint32_t)COUNT(probe->tensors));
    return 1;
}

static void close_probe(struct probe *probe) {
    bm_conform_close(probe->test);
    bm_conform_guard_free(&probe->images_guard);
    bm_conform_guard_free(&probe->labels_guard);
}

static const struct bm_tensor *tensor_of(const struct probe *probe, uint32_t layer, uint32_t kind) {
    for (uint32_t t = 0; t < probe->tensor_count; t++) {
        if (probe->tensors[t].layer == layer && probe->tensors[t].kind == kind) {
            return &probe->tensors[t];
        }
    }
    bm_conform_fail(probe->conform, "a case looks for a tensor that \"%s\" has not", probe->layers);
}

static float *weights_of(const struct probe *probe, uint32_t layer) {
    return probe->test->params + tensor_of(probe, layer, BM_TENSOR_WEIGHT)->offset;
}

static float *bias_of(const struct probe *probe, uint32_t layer) {
    return probe->test->params + tensor_of(probe, layer, BM_TENSOR_BIAS)->offset;
}

static uint32_t last_layer(const struct probe *probe) {
    return probe->test->model.layer_count - 2; /* before the softmax */
}

/* Outputs of a layer, and inputs of one of them. */
static uint32_t outputs_of(const struct probe *probe, uint32_t layer) {
    return probe->test->model.layers[layer].outputs;
}

static uint32_t inputs_of(const struct probe *probe, uint32_t layer) {
    return (uint32_t)tensor_of(probe, layer, BM_TENSOR_WEIGHT)->fan_in;
}

static float *image_of(const struct probe *probe, uint64_t image) {
    return probe->images + image * probe->image_size;
}

/* ---- What the backend finds ---- */

struct answer {
    double loss;
    double *gradient;
};

static void ask_backend(struct probe *probe, uint64_t count, struct answer *answer) {
    struct bm_conform_session *test = probe->test;
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_conform_slice(0, count, 0, 1);
    CALL(test, plugin->gradient(test->session, &slice, &test->error));
    CALL(test, plugin->wait(test->session, &answer->loss, &test->error));
    CALL(test, plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
    for (uint64_t i = 0; i < test->param_count; i++) {
        answer->gradient[i] = (double)test->found[i];
    }
}

static void ask_reference(struct probe *probe,
                          const uint32_t *order,
                          uint64_t count,
                          struct bm_reference *reference) {
    struct bm_conform_session *test = probe->test;
    const struct bm_reference_request request = {.model = &test->model,
                                                 .data = &test->data,
                                                 .order = order,
                                                 .count = count,
                                                 .divisor = (double)count,
                                                 .update = 1,
                                                 .seed = test->problem.seed,
                                                 .thread_count = 1,
                                                 .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .params = test->params};
    CALL(test, bm_reference_gradient(&request, reference, &test->error));
}

/* A tensor's gradient to within a half of its largest element, all that is looked for being as
 * large as that. */
static void expect_tensor(const struct probe *probe,
                          uint32_t layer,
                          uint32_t kind,
                          uint64_t count,
                          const struct bm_reference *expected,
                          const struct answer *found) {
    const struct bm_tensor *tensor = tensor_of(probe, layer, kind);
    double most = 0;
    for (uint64_t i = 0; i < tensor->count; i++) {
        most = fmax(most, fabs(expected->gradient[tensor->offset + i]));
    }
    EXPECT(probe->conform, most > 0, "a case looks for a gradient that is 0 (\"%s\", %s)",
           probe->layers, probe->what);
    for (uint64_t i = 0; i < tensor->count; i++) {
        double one = expected->gradient[tensor->offset + i];
        double other = found->gradient[tensor->offset + i];
        EXPECT(probe->conform, fabs(one - other) <= most / 2,
               "%s, \"%s\", batch %llu, %u threads: gradient of layer %u's %s: [%llu]: expected %g "
               "(within %.1g), as in float32, found %g",
               probe->what, probe->layers, (unsigned long long)count,
               probe->test->problem.thread_count, layer,
               kind == BM_TENSOR_WEIGHT ? "weight" : "bias", (unsigned long long)i, one, most / 2,
               other);
    }
}

static void expect_loss(const struct probe *probe,
                        uint64_t count,
                        const struct bm_reference *expected,
                        const struct answer *found) {
    EXPECT(probe->conform, fabs(expected->loss - found->loss) <= expected->loss / 2,
           "%s, \"%s\", batch %llu, %u threads: loss: expected %g (within %.1g), as in float32, "
           "found %g",
           probe->what, probe->layers, (unsigned long long)count, probe->test->problem.thread_count,
           expected->loss, expected->loss / 2, found->loss);
}

/* Images, labels and parameters to the backend. */
static uint32_t *load_probe(struct probe *probe) {
    struct bm_conform_session *test = probe->test;
    const struct bm_plugin *plugin = test->plugin;
    uint32_t *order = bm_conform_allocate(probe->conform, probe->image_count, sizeof *order);
    for (uint32_t i = 0; i < probe->image_count; i++) {
        order[i] = i;
    }
    test->data.images = probe->images;
    test->data.labels = probe->labels;
    CALL(test, plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error));
    CALL(test, plugin->set_order(test->session, order, probe->image_count, &test->error));
    CALL(test, plugin->write_params(test->session, test->params, test->param_count, &test->error));
    return order;
}

enum seen { SEEN_LOSS, SEEN_WEIGHT, SEEN_FIRST };

/* Small and large batches: other kernels. Even, as images are pairs. */
static void run_probe(struct probe *probe, enum seen seen) {
    static const uint64_t counts[] = {2, 6, 16, 64, 128, 256};
    struct answer found = {
        0, bm_conform_allocate(probe->conform, probe->test->param_count, sizeof(double))};
    uint32_t *order = load_probe(probe);
    for (size_t i = 0; i < COUNT(counts) && counts[i] <= probe->image_count; i++) {
        struct bm_reference expected;
        ask_reference(probe, order, counts[i], &expected);
        ask_backend(probe, counts[i], &found);
        if (seen == SEEN_LOSS) {
            expect_loss(probe, counts[i], &expected, &found);
            expect_tensor(probe, last_layer(probe), BM_TENSOR_BIAS, counts[i], &expected, &found);
        } else if (seen == SEEN_WEIGHT) {
            expect_tensor(probe, probe->layer, BM_TENSOR_WEIGHT, counts[i], &expected, &found);
        } else {
            expect_tensor(probe, 0, BM_TENSOR_BIAS, counts[i], &expected, &found);
            expect_tensor(probe, 0, BM_TENSOR_WEIGHT, counts[i], &expected, &found);
        }
        bm_reference_free(&expected);
    }
    free(order);
    free(found.gradient);
}

/* ---- Dense: forward ---- */

/* Layers before the one under test hand their input on. */
static void pass_on(struct probe *probe) {
    for (uint32_t layer = 0; layer < probe->layer; layer++) {
        if (probe->test->model.layers[layer].kind == BM_LAYER_DENSE) {
            uint32_t inputs = inputs_of(probe, layer);
            for (uint32_t o = 0; o < outputs_of(probe, layer); o++) {
                weights_of(probe, layer)[(uint64_t)o * inputs + o % inputs] = 1;
            }
        }
    }
}

/* The first logit is the mean of the last layer's inputs. */
static void take_mean(struct probe *probe) {
    uint32_t last = last_layer(probe);
    uint32_t inputs = inputs_of(probe, last);
    for (uint32_t i = 0; i < inputs; i++) {
        weights_of(probe, last)[i] = 1 / (float)inputs;
    }
}

/* y = (1 + step) / step - 1 / step = 1; what is written to the images, and to the weights. */
static void fill_forward(struct probe *probe, float of_images, float of_weights) {
    uint32_t inputs = inputs_of(probe, probe->layer);
    uint32_t outputs = probe->layer == last_layer(probe) ? 1 : outputs_of(probe, probe->layer);
    pass_on(probe);
    if (probe->layer != last_layer(probe)) {
        take_mean(probe);
    }
    for (uint32_t o = 0; o < outputs; o++) {
        float *row = weights_of(probe, probe->layer) + (uint64_t)o * inputs;
        for (uint32_t i = 0; i < inputs; i++) {
            row[i] = i % 2 == 0 ? of_weights / STEP : -1 / STEP;
        }
    }
    for (uint64_t image = 0; image < probe->image_count; image++) {
        uint64_t pair = image % (probe->image_size / 2);
        image_of(probe, image)[2 * pair] = of_images;
        image_of(probe, image)[2 * pair + 1] = 1;
    }
}

static const struct site dense_sites[] = {
    {"dense 2", {1, 1, 128}, 0},
    {"dense 64, relu, dense 2", {1, 1, 128}, 0},
    {"dense 128, relu, dense 96, relu, dense 2", {1, 1, 128}, 2},
};

void bm_conform_precision_multiply_forward(struct bm_conform *conform) {
    struct probe probe;
    ask_for_float32(conform);
    for (size_t i = 0; i < COUNT(dense_sites); i++) {
        for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
            if (open_probe(conform, &dense_sites[i], 256, threads, "1 + 2^-20 as an input",
                           &probe)) {
                fill_forward(&probe, 1 + STEP, 1);
                run_probe(&probe, SEEN_LOSS);
                fill_forward(&probe, 1, 1 + STEP);
                probe.what = "1 + 2^-20 as a weight";
                run_probe(&probe, SEEN_LOSS);
                close_probe(&probe);
            }
        }
    }
}

/* ---- Dense: gradient of the weights ---- */

/* The last layer turns p - label into +1 or -1 for each of its inputs, all logits being equal. */
static void take_difference(struct probe *probe) {
    uint32_t last = last_layer(probe);
    uint32_t inputs = inputs_of(probe, last);
    uint32_t channels = outputs_of(probe, probe->layer); /* of the layer under test */
    for (uint32_t i = 0; i < inputs; i++) {
        float sign = i / (inputs / channels) % 2 == 0 ? 1 : -1;
        weights_of(probe, last)[i] = sign;
        weights_of(probe, last)[inputs + i] = -sign;
    }
}

/* Images come in pairs of unlike labels: what the first adds the second takes away, but for a step
 * of the input, or of p. */
static void fill_weight_gradient(struct probe *probe, float input_step, float logit) {
    pass_on(probe);
    if (probe->layer != last_layer(probe)) {
        take_difference(probe);
        for (uint32_t o = 0; o < outputs_of(probe, probe->layer); o++) {
            bias_of(probe, probe->layer)[o] = 1; /* relu lets it through */
        }
    }
    bias_of(probe, last_layer(probe))[0] = logit;
    for (uint64_t image = 0; image < probe->image_count; image++) {
        uint64_t column = image / 2 % probe->image_size;
        image_of(probe, image)[column] = image % 2 == 0 ? 1 + input_step : 1;
        probe->labels[image] = (int32_t)(image % 2);
    }
}

void bm_conform_precision_multiply_weight_gradient(struct bm_conform *conform) {
    struct probe probe;
    ask_for_float32(conform);
    for (size_t i = 0; i < COUNT(dense_sites); i++) {
        for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
            if (open_probe(conform, &dense_sites[i], 256, threads, "1 + 2^-20 as an input",
                           &probe)) {
                fill_weight_gradient(&probe, STEP, 0);
                run_probe(&probe, SEEN_WEIGHT);
                fill_weight_gradient(&probe, 0, 0x1p-16f);
                probe.what = "1/2 + 2^-18 as the gradient of an output";
                run_probe(&probe, SEEN_WEIGHT);
                close_probe(&probe);
            }
        }
    }
}

/* ---- Dense: gradient of the input ---- */

/* The first layer's outputs are 1 whatever the input, and its bias sees their gradient. */
static void fill_first(struct probe *probe) {
    for (uint32_t o = 0; o < outputs_of(probe, 0); o++) {
        bias_of(probe, 0)[o] = 1;
    }
    for (uint64_t image = 0; image < probe->image_count; image++) {
        for (uint64_t i = 0; i < probe->image_size; i++) {
            image_of(probe, image)[i] = 1;
        }
    }
}

/* The two classes' weights differ by a step, and p - label is -1/2 and 1/2. */
static void fill_last_input(struct probe *probe) {
    uint32_t inputs = inputs_of(probe, probe->layer);
    float *weights = weights_of(probe, probe->layer);
    fill_first(probe);
    for (uint32_t i = 0; i < inputs; i++) {
        float sign = i % 2 == 0 ? 1 : -1;
        weights[i] = (1 + STEP) * sign;
        weights[inputs + i] = sign;
    }
}

/* Each input reaches two outputs, whose gradients all but cancel on their way back: the weights
 * differ by a step, or the outputs' gradients do. */
static void fill_middle_input(struct probe *probe, float weight_step, float output_step) {
    uint32_t last = last_layer(probe);
    uint32_t inputs = inputs_of(probe, probe->layer);
    uint32_t outputs = outputs_of(probe, probe->layer);
    float *weights = weights_of(probe, probe->layer);
    float *difference = weights_of(probe, last);
    fill_first(probe);
    memset(weights, 0, (size_t)inputs * outputs * sizeof *weights);
    for (uint32_t i = 0; i < inputs; i++) {
        uint32_t pair = i % (outputs / 2);
        weights[(uint64_t)(2 * pair) * inputs + i] = 1 + weight_step;
        weights[(uint64_t)(2 * pair + 1) * inputs + i] = -1;
    }
    for (uint32_t o = 0; o < outputs; o++) { /* the logits stay near 0 */
        float sign = o / 2 % 2 == 0 ? 1 : -1;
        bias_of(probe, probe->layer)[o] = 8; /* relu lets it through */
        difference[o] = o % 2 == 0 ? sign * (1 + output_step) : sign;
        difference[outputs + o] = -difference[o];
    }
}

void bm_conform_precision_multiply_input_gradient(struct bm_conform *conform) {
    static const struct site last = {"dense 64, relu, dense 2", {1, 1, 32}, 2};
    static const struct site middle = {"dense 96, relu, dense 64, relu, dense 2", {1, 1, 32}, 2};
    struct probe probe;
    ask_for_float32(conform);
    for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
        if (open_probe(conform, &last, 256, threads, "1 + 2^-20 as a weight", &probe)) {
            fill_last_input(&probe);
            run_probe(&probe, SEEN_FIRST);
            close_probe(&probe);
        }
        if (open_probe(conform, &middle, 256, threads, "1 + 2^-20 as a weight", &probe)) {
            fill_middle_input(&probe, STEP, 0);
            run_probe(&probe, SEEN_FIRST);
            fill_middle_input(&probe, 0, STEP);
            probe.what = "1 + 2^-20 as the gradient of an output";
            run_probe(&probe, SEEN_FIRST);
            close_probe(&probe);
        }
    }
}

/* ---- Convolution: the same three, with a pair of channels for a pair of inputs ---- */

static uint32_t taps_of(const struct probe *probe, uint32_t layer) {
    const struct bm_layer *made = &probe->test->model.layers[layer];
    return made->kernel_height * made->kernel_width;
}

/* [output][input][tap] of a convolution. */
static float *
tap_of(const struct probe *probe, uint32_t layer, uint32_t output, uint32_t input, uint32_t tap) {
    uint32_t taps = taps_of(probe, layer);
    return weights_of(probe, layer) + (uint64_t)output * inputs_of(probe, layer) +
           (uint64_t)input * taps + tap;
}

static void pass_on_channels(struct probe *probe) {
    for (uint32_t layer = 0; layer < probe->layer; layer += 2) {
        for (uint32_t o = 0; o < outputs_of(probe, layer); o++) {
            *tap_of(probe, layer, o, o, taps_of(probe, layer) / 2) = 1;
        }
    }
}

static void fill_convolution_forward(struct probe *probe, float of_images, float of_weights) {
    uint64_t positions = probe->image_size / 2;
    pass_on_channels(probe);
    take_mean(probe);
    for (uint32_t o = 0; o < outputs_of(probe, probe->layer); o++) {
        uint32_t tap = o % taps_of(probe, probe->layer);
        *tap_of(probe, probe->layer, o, 0, tap) = of_weights / CONVOLUTION_STEP;
        *tap_of(probe, probe->layer, o, 1, tap) = -1 / CONVOLUTION_STEP;
    }
    for (uint64_t image = 0; image < probe->image_count; image++) {
        for (uint64_t i = 0; i < 2 * positions; i++) {
            image_of(probe, image)[i] = i < positions ? of_images : 1;
        }
    }
}

static void fill_convolution_weight_gradient(struct probe *probe) {
    uint64_t positions = probe->image_size / 2;
    pass_on_channels(probe);
    take_difference(probe);
    for (uint32_t o = 0; o < outputs_of(probe, probe->layer); o++) {
        bias_of(probe, probe->layer)[o] = 1; /* relu lets it through */
    }
    for (uint64_t image = 0; image < probe->image_count; image++) {
        uint64_t position = image / 2 * 7 % positions;
        image_of(probe, image)[position] = image % 2 == 0 ? 1 + CONVOLUTION_STEP : 1;
        probe->labels[image] = (int32_t)(image % 2);
    }
}

static void
fill_convolution_input_gradient(struct probe *probe, float weight_step, float output_step) {
    uint32_t last = last_layer(probe);
    uint32_t outputs = outputs_of(probe, probe->layer);
    uint32_t units = inputs_of(probe, last);
    float *difference = weights_of(probe, last);
    fill_first(probe);
    for (uint32_t i = 0; i < outputs_of(probe, 0); i++) {
        uint32_t pair = i % (outputs / 2);
        uint32_t tap = i % taps_of(probe, probe->layer);
        *tap_of(probe, probe->layer, 2 * pair, i, tap) = 1 + weight_step;
        *tap_of(probe, probe->layer, 2 * pair + 1, i, tap) = -1;
    }
    for (uint32_t unit = 0; unit < units; unit++) { /* the logits stay near 0 */
        uint32_t o = unit / (units / outputs);
        float sign = o / 2 % 2 == 0 ? 1 : -1;
        bias_of(probe, probe->layer)[o] = 8; /* relu lets it through */
        difference[unit] = o % 2 == 0 ? sign * (1 + output_step) : sign;
        difference[units + unit] = -difference[unit];
    }
}

#define CONVOLUTION_IMAGES 64u

/* What runs and what it fills, each in a session of its own. */
static void
probe_convolution(struct bm_conform *conform, const struct site *site, uint32_t threads) {
    struct probe probe;
    if (!open_probe(conform, site, CONVOLUTION_IMAGES, threads, "1 + 2^-16 as an input", &probe)) {
        return;
    }
    fill_convolution_forward(&probe, 1 + CONVOLUTION_STEP, 1);
    run_probe(&probe, SEEN_LOSS);
    fill_convolution_forward(&probe, 1, 1 + CONVOLUTION_STEP);
    probe.what = "1 + 2^-16 as a weight";
    run_probe(&probe, SEEN_LOSS);
    close_probe(&probe);
    if (open_probe(conform, site, CONVOLUTION_IMAGES, threads, "1 + 2^-16 as an input", &probe)) {
        fill_convolution_weight_gradient(&probe);
        run_probe(&probe, SEEN_WEIGHT);
        close_probe(&probe);
    }
}

static void probe_convolution_input(struct bm_conform *conform, uint32_t threads) {
    static const struct site site = {
        "conv 4 3x3 pad 1, relu, conv 8 3x3 pad 1, relu, dense 2", {2, 8, 8}, 2};
    struct probe probe;
    if (open_probe(conform, &site, CONVOLUTION_IMAGES, threads, "1 + 2^-16 as a weight", &probe)) {
        fill_convolution_input_gradient(&probe, CONVOLUTION_STEP, 0);
        run_probe(&probe, SEEN_FIRST);
        fill_convolution_input_gradient(&probe, 0, CONVOLUTION_STEP);
        probe.what = "1 + 2^-16 as the gradient of an output";
        run_probe(&probe, SEEN_FIRST);
        close_probe(&probe);
    }
}

void bm_conform_precision_convolution(struct bm_conform *conform) {
    static const struct site sites[] = {
        {"conv 8 3x3 pad 1, relu, dense 2", {2, 8, 8}, 0},
        {"conv 16 5x5 pad 2, relu, dense 2", {2, 8, 8}, 0},
        {"conv 2 3x3 pad 1, relu, conv 8 3x3 pad 1, relu, dense 2", {2, 8, 8}, 2},
    };
    ask_for_float32(conform);
    for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
        for (size_t i = 0; i < COUNT(sites); i++) {
            probe_convolution(conform, &sites[i], threads);
        }
        probe_convolution_input(conform, threads);
    }
}

/* ---- Sums ---- */

/* Operands that every precision but bf16 holds; one in seven has a small part, which a sum of many
 * loses unless it has more bits than they have. */
#define PART 0x1p-10f
#define PART_EVERY 7u

/* y = sum of 8 w, first 8 and 8 + 2^-7, then as many -8. */
static void fill_sum(struct probe *probe) {
    uint32_t inputs = inputs_of(probe, 0);
    uint32_t outputs = last_layer(probe) == 0 ? 1 : outputs_of(probe, 0);
    if (last_layer(probe) > 0) {
        take_mean(probe);
    }
    for (uint32_t o = 0; o < outputs; o++) {
        float *row = weights_of(probe, 0) + (uint64_t)o * inputs;
        for (uint32_t i = 0; i < inputs; i++) {
            float plus = i % PART_EVERY == 0 ? 1 + PART : 1;
            row[i] = i < inputs / 2 ? plus : -1;
        }
    }
    for (uint64_t i = 0; i < probe->image_count * probe->image_size; i++) {
        probe->images[i] = 8;
    }
}

/* The same over the images of a batch: blocks of one label, then of the other. */
static void fill_batch_sum(struct probe *probe) {
    if (last_layer(probe) > 0) {
        take_difference(probe);
        for (uint32_t o = 0; o < outputs_of(probe, 0); o++) {
            bias_of(probe, 0)[o] = 1;
        }
    }
    for (uint64_t image = 0; image < probe->image_count; image++) {
        int second = image / 64 % 2 != 0;
        float value = !second && image % PART_EVERY == 0 ? 1 + PART : 1;
        probe->labels[image] = second;
        for (uint64_t i = 0; i < probe->image_size; i++) {
            image_of(probe, image)[i] = value;
        }
    }
}

void bm_conform_precision_accumulate(struct bm_conform *conform) {
    static const char *const networks[] = {"dense 2", "dense 64, relu, dense 2"};
    struct probe probe;
    ask_for_float32(conform);
    for (size_t i = 0; i < COUNT(networks); i++) {
        const struct site wide = {networks[i], {1, 1, 2048}, 0};
        const struct site narrow = {networks[i], {1, 1, 64}, 0};
        for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
            if (open_probe(conform, &wide, 128, threads, "a sum of 2048 products", &probe)) {
                fill_sum(&probe);
                run_probe(&probe, SEEN_LOSS);
                close_probe(&probe);
            }
            if (open_probe(conform, &narrow, 256, threads, "a sum over a batch", &probe)) {
                fill_batch_sum(&probe);
                run_probe(&probe, SEEN_WEIGHT);
                close_probe(&probe);
            }
        }
    }
}

/* ---- Subnormals ---- */

#define SUBNORMAL 0x1p-130f
#define LARGE 0x1p126f
#define SUBNORMAL_COLUMNS 16u

/* A flush is a fault unless the device declares it. */
static void expect_kept(struct probe *probe, uint64_t count, double expected, double found) {
    struct bm_conform *conform = probe->conform;
    if (fabs(found - expected) <= fabs(expected) / 2) {
        return;
    }
    if ((conform->info.flags & BM_DEVICE_FLUSHES_SUBNORMALS) != 0) {
        bm_conform_note(conform, "as declared, flushed: %s", probe->what);
        return;
    }
    bm_conform_fail(conform,
                    "%s, batch %llu, %u threads: expected %g (the device does not declare that it "
                    "flushes subnormals), found %g",
                    probe->what, (unsigned long long)count, probe->test->problem.thread_count,
                    expected, found);
}

/* y = 16 x w = 1 where both survive. */
static void probe_product(struct probe *probe, uint64_t count, float of_images, float of_weights) {
    struct answer found = {
        0, bm_conform_allocate(probe->conform, probe->test->param_count, sizeof(double))};
    for (uint32_t i = 0; i < SUBNORMAL_COLUMNS; i++) {
        weights_of(probe, 0)[i] = of_weights;
        for (uint64_t image = 0; image < probe->image_count; image++) {
            image_of(probe, image)[i] = of_images;
        }
    }
    free(load_probe(probe));
    ask_backend(probe, count, &found);
    /* The loss is log(1 + exp(-y)), which is log 2 where y is lost. */
    expect_kept(probe, count, log(2) - log1p(exp(-1)), log(2) - found.loss);
    free(found.gradient);
}

/* The gradient of a weight is -x / 2, and the step of rate 1 takes it away. */
static void probe_gradient(struct probe *probe, uint64_t count, int fused) {
    struct bm_conform_session *test = probe->test;
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_conform_slice(0, count, 0, 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 1, 1);
    memset(test->params, 0, test->param_count * sizeof(float));
    for (uint64_t i = 0; i < probe->image_count * probe->image_size; i++) {
        probe->images[i] = SUBNORMAL;
    }
    free(load_probe(probe));
    if (fused) {
        CALL(test, bm_conform_update(test, &slice, &hyper));
    } else {
        CALL(test, plugin->gradient(test->session, &slice, &test->error));
        CALL(test,
             plugin->read_gradient(test->session, test->found, test->param_count, &test->error));
        probe->what = "a subnormal gradient";
        expect_kept(probe, count, -(double)SUBNORMAL / 2, (double)test->found[0]);
        CALL(test, plugin->apply(test->session, &hyper, &test->error));
    }
    bm_conform_read_params(test);
    probe->what = fused ? "a parameter that an update makes subnormal"
                        : "a parameter that apply makes subnormal";
    expect_kept(probe, count, (double)SUBNORMAL / 2, (double)test->found[0]);
}

/* A subnormal parameter comes back, also after a step that adds nothing to it. */
static void probe_parameter(struct probe *probe) {
    struct bm_conform_session *test = probe->test;
    const struct bm_slice slice = bm_conform_slice(0, 2, 0, 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 1, 1);
    memset(test->params, 0, test->param_count * sizeof(float));
    memset(probe->images, 0, probe->image_count * probe->image_size * sizeof(float));
    weights_of(probe, 0)[5] = SUBNORMAL;
    free(load_probe(probe));
    bm_conform_read_params(test);
    probe->what = "a subnormal parameter that was written";
    expect_kept(probe, 0, (double)SUBNORMAL, (double)test->found[5]);
    CALL(test, bm_conform_update(test, &slice, &hyper));
    bm_conform_read_params(test);
    probe->what = "a subnormal parameter after a step with a gradient of 0";
    expect_kept(probe, 2, (double)SUBNORMAL, (double)test->found[5]);
}

void bm_conform_precision_subnormals(struct bm_conform *conform) {
    static const struct site site = {"dense 2", {1, 1, 64}, 0};
    static const uint64_t counts[] = {1, 2, 64};
    struct probe probe;
    ask_for_float32(conform);
    for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
        if (!open_probe(conform, &site, 64, threads, "", &probe)) {
            continue;
        }
        probe_parameter(&probe);
        for (size_t i = 0; i < COUNT(counts); i++) {
            probe.what = "a subnormal weight times 2^126";
            probe_product(&probe, counts[i], LARGE, SUBNORMAL);
            probe.what = "a subnormal input times 2^126";
            probe_product(&probe, counts[i], SUBNORMAL, LARGE);
            probe_gradient(&probe, counts[i], 0);
            probe_gradient(&probe, counts[i], 1);
        }
        close_probe(&probe);
    }
}
