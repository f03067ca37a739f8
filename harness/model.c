#include "model.h"

#include "error.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Named models ---- */

struct named_model {
    const char *name;
    const char *layers; /* `classes` stands for the number of classes */
};

#define CONV_BLOCK(outputs, kernel, padding)                                                       \
    "conv " outputs " " kernel " pad " padding ", batchnorm, relu, "
#define DENSE_BLOCK(outputs) "dense " outputs ", batchnorm, relu, "

/* f1, f2, c1 and c2 are those of Keskar et al., arXiv:1609.04836; c1 and c2 as in the authors' code
 * (network_zoo.py), with pooling that is not padded. Operations are multiplications and additions
 * of one image's gradient. */
static const struct named_model named_models[] = {
    /* On 1x28x28 with 10 classes: 669 706 parameters, 3.21 MFLOP. */
    {"mlp", "dense 512, relu, dense 512, relu, dense classes"},
    /* On 1x28x28 with 10 classes: 1 462 794 parameters, 7.93 MFLOP. */
    {"f1", DENSE_BLOCK("512") DENSE_BLOCK("512") DENSE_BLOCK("512") DENSE_BLOCK("512")
               DENSE_BLOCK("512") "dense classes"},
    /* On 3x32x32 with 10 classes: 1 389 194 parameters, 165.6 MFLOP. */
    {"c1",
     CONV_BLOCK("64", "5x5", "2") "maxpool 3 stride 2, " CONV_BLOCK(
         "64",
         "5x5",
         "2") "maxpool 3 stride 2, " DENSE_BLOCK("384") "dropout 0.5, " DENSE_BLOCK("192") "dropout"
                                                                                           " 0.5, "
                                                                                           "dense "
                                                                                           "classe"
                                                                                           "s"},
    /* On 3x32x32 with 10 classes: 14 991 946 parameters, 1.88 GFLOP. */
    {"c2",
     CONV_BLOCK("64", "3x3", "1") "dropout 0.3, " CONV_BLOCK(
         "64",
         "3x3",
         "1") "maxpool 2, " CONV_BLOCK("128", "3x3", "1") "dropout 0.4, " CONV_BLOCK("128",
                                                                                     "3x3",
                                                                                     "1") "maxpool "
                                                                                          "2,"
                                                                                          " " CONV_BLOCK("25"
                                                                                                         "6",
                                                                                                         "3x"
                                                                                                         "3",
                                                                                                         "1") "dropout 0.4, " CONV_BLOCK("256", "3x3", "1") "dropout 0.4, " CONV_BLOCK("256", "3x3", "1") "maxpool 2, " CONV_BLOCK("512", "3x3", "1") "dropout 0.4, " CONV_BLOCK("512", "3x3", "1") "dropout 0.4, " CONV_BLOCK("512",
                                                                                                                                                                                                                                                                                                                               "3x3",
                                                                                                                                                                                                                                                                                                                               "1") "maxpool 2, " CONV_BLOCK("512",
                                                                                                                                                                                                                                                                                                                                                             "3x3",
                                                                                                                                                                                                                                                                                                                                                             "1") "dropout 0.4, " CONV_BLOCK("512", "3x3", "1") "dropout 0.4, " CONV_BLOCK("512",
                                                                                                                                                                                                                                                                                                                                                                                                                                           "3x3",
                                                                                                                                                                                                                                                                                                                                                                                                                                           "1") "maxpool 2, dropout 0.5, " DENSE_BLOCK("512") "dropout 0.5, dense classes"},
    /* On 360 values with 1973 classes (TIMIT): 2 780 085 parameters, 16.2 MFLOP. */
    {"f2", DENSE_BLOCK("512") DENSE_BLOCK("512") DENSE_BLOCK("512") DENSE_BLOCK("512")
               DENSE_BLOCK("512") DENSE_BLOCK("512") DENSE_BLOCK("512") "dense classes"},
};

#define NAMED_COUNT (sizeof named_models / sizeof named_models[0])

const char *const bm_model_names[] = {"mlp", "f1", "c1", "c2", "f2", NULL};

int32_t bm_model_named(const char *name,
                       struct bm_shape input,
                       uint32_t class_count,
                       struct bm_model *model,
                       struct bm_error *error) {
    for (size_t i = 0; i < NAMED_COUNT; i++) {
        if (strcmp(name, named_models[i].name) == 0) {
            return bm_model_parse(name, named_models[i].layers, input, class_count, model, error);
        }
    }
    return bm_fail(error, BM_STATUS_INVALID,
                   "model: expected mlp, f1, c1, c2 or f2, found \"%.64s\"", name);
}

/* ---- Facts of a layer list ---- */

static struct bm_shape input_of(const struct bm_model *model, uint32_t layer) {
    return layer == 0 ? model->input : model->output[layer - 1];
}

static uint64_t shape_size(struct bm_shape shape) {
    return (uint64_t)shape.channels * shape.height * shape.width;
}

/* Inputs of one output; 0 for a layer without weights. */
static uint64_t fan_in_of(const struct bm_model *model, uint32_t layer) {
    const struct bm_layer *l = &model->layers[layer];
    struct bm_shape input = input_of(model, layer);
    if (l->kind == BM_LAYER_DENSE) {
        return shape_size(input);
    }
    if (l->kind == BM_LAYER_CONV2D) {
        return (uint64_t)input.channels * l->kernel_height * l->kernel_width;
    }
    return 0;
}

int32_t bm_model_has_batchnorm(const struct bm_model *model) {
    for (uint32_t i = 0; i < model->layer_count; i++) {
        if (model->layers[i].kind == BM_LAYER_BATCHNORM) {
            return 1;
        }
    }
    return 0;
}

/* The two tensors of a layer, without offsets; returns 0 for a layer that has none. */
static uint32_t
tensors_of_layer(const struct bm_model *model, uint32_t layer, struct bm_tensor pair[2]) {
    const struct bm_layer *l = &model->layers[layer];
    uint64_t fan_in = fan_in_of(model, layer);
    if (fan_in > 0) {
        pair[0] = (struct bm_tensor){layer, BM_TENSOR_WEIGHT, 0, l->outputs * fan_in, fan_in};
        pair[1] = (struct bm_tensor){layer, BM_TENSOR_BIAS, 0, l->outputs, fan_in};
        return 2;
    }
    if (l->kind == BM_LAYER_BATCHNORM) {
        uint64_t channels = input_of(model, layer).channels;
        pair[0] = (struct bm_tensor){layer, BM_TENSOR_GAIN, 0, channels, 0};
        pair[1] = (struct bm_tensor){layer, BM_TENSOR_SHIFT, 0, channels, 0};
        return 2;
    }
    return 0;
}

uint32_t
bm_model_tensors(const struct bm_model *model, struct bm_tensor *tensors, uint32_t capacity) {
    uint32_t count = 0;
    uint64_t offset = 0;
    for (uint32_t layer = 0; layer < model->layer_count; layer++) {
        struct bm_tensor pair[2];
        uint32_t found = tensors_of_layer(model, layer, pair);
        for (uint32_t i = 0; i < found; i++) {
            pair[i].offset = offset;
            offset += pair[i].count;
            if (count < capacity) {
                tensors[count] = pair[i];
            }
            count++;
        }
    }
    return count;
}

uint64_t bm_model_param_count(const struct bm_model *model) {
    uint64_t count = 0;
    for (uint32_t layer = 0; layer < model->layer_count; layer++) {
        struct bm_tensor pair[2];
        uint32_t found = tensors_of_layer(model, layer, pair);
        for (uint32_t i = 0; i < found; i++) {
            count += pair[i].count;
        }
    }
    return count;
}

uint64_t bm_model_statistics_count(const struct bm_model *model) {
    uint64_t count = 0;
    for (uint32_t layer = 0; layer < model->layer_count; layer++) {
        if (model->layers[layer].kind == BM_LAYER_BATCHNORM) {
            count += 2 * (uint64_t)input_of(model, layer).channels;
        }
    }
    return count;
}

/* ---- Operations ---- */

static double forward_flops_of(const struct bm_model *model, uint32_t layer) {
    uint64_t fan_in = fan_in_of(model, layer);
    return 2 * (double)fan_in * (double)shape_size(model->output[layer]);
}

double bm_model_gradient_flops(const struct bm_model *model) {
    double flops = 0;
    int32_t parameters_below = 0;
    for (uint32_t layer = 0; layer < model->layer_count; layer++) {
        /* Forward and weight gradient; the input gradient only where somebody below needs it. */
        flops += forward_flops_of(model, layer) * (parameters_below ? 3 : 2);
        struct bm_tensor pair[2];
        parameters_below |= tensors_of_layer(model, layer, pair) > 0;
    }
    return flops;
}

/* ---- Bytes ---- */

double bm_model_update_bytes(const struct bm_model *model, uint32_t slot_count) {
    return sizeof(float) * (3.0 + 2.0 * slot_count) * (double)bm_model_param_count(model);
}

double bm_model_working_bytes(const struct bm_model *model, uint32_t slot_count) {
    return sizeof(float) * (1.0 + slot_count) * (double)bm_model_param_count(model);
}

double bm_model_memory_bytes(const struct bm_model *model, uint32_t slot_count, uint64_t images) {
    double size =
        (double)model->input.channels * (double)model->input.height * (double)model->input.width;
    double floats = size;
    double widest = 0;
    double bytes = 0;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        const struct bm_shape *shape = &model->output[i];
        size = (double)shape->channels * (double)shape->height * (double)shape->width;
        switch (model->layers[i].kind) {
        case BM_LAYER_RELU:
            break;
        case BM_LAYER_DROPOUT:
            bytes += size;
            break;
        default:
            floats += size;
            widest = size > widest ? size : widest;
            break;
        }
    }
    bytes += sizeof(float) * (floats + 2 * widest);
    return (double)images * bytes +
           sizeof(float) * ((2.0 + slot_count) * (double)bm_model_param_count(model) +
                            (double)bm_model_statistics_count(model));
}

/* ---- Start ---- */

static void
start_weights(uint64_t seed, uint32_t layer, uint64_t fan_in, float *values, uint64_t count) {
    struct bm_random random;
    bm_random_init(&random, seed, BM_RANDOM_START, layer);
    double limit = sqrt(6.0 / (double)fan_in);
    for (uint64_t i = 0; i < count; i++) {
        values[i] = (float)(limit * (2 * bm_random_double(&random) - 1));
    }
}

void bm_model_start(const struct bm_model *model, uint64_t seed, float *values) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t t = 0; t < count; t++) {
        float *first = values + tensors[t].offset;
        if (tensors[t].kind == BM_TENSOR_WEIGHT) {
            start_weights(seed, tensors[t].layer, tensors[t].fan_in, first, tensors[t].count);
            continue;
        }
        float fill = tensors[t].kind == BM_TENSOR_GAIN ? 1.0F : 0.0F;
        for (uint64_t i = 0; i < tensors[t].count; i++) {
            first[i] = fill;
        }
    }
}
