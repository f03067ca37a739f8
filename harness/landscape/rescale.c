#include "rescale.h"

#include <string.h>

#define NONE UINT32_MAX

static int is_homogeneous(const struct bm_layer *layer) {
    return layer->kind == BM_LAYER_RELU || layer->kind == BM_LAYER_MAXPOOL ||
           layer->kind == BM_LAYER_DROPOUT;
}

static int is_weighted(const struct bm_layer *layer) {
    return layer->kind == BM_LAYER_DENSE || layer->kind == BM_LAYER_CONV2D;
}

/* The layer whose two tensors feed the homogeneous layers that `relu` is among. */
static uint32_t find_before(const struct bm_model *model, uint32_t relu) {
    uint32_t layer = relu;
    while (layer > 0 && is_homogeneous(&model->layers[layer - 1])) {
        layer--;
    }
    if (layer == 0) {
        return NONE;
    }
    layer--;
    return is_weighted(&model->layers[layer]) || model->layers[layer].kind == BM_LAYER_BATCHNORM
               ? layer
               : NONE;
}

/* The dense or convolution layer that reads them. */
static uint32_t find_after(const struct bm_model *model, uint32_t relu) {
    uint32_t layer = relu + 1;
    while (layer < model->layer_count && is_homogeneous(&model->layers[layer])) {
        layer++;
    }
    return layer < model->layer_count && is_weighted(&model->layers[layer]) ? layer : NONE;
}

static void multiply(
    const struct bm_model *model, uint32_t layer, int with_bias, double factor, float *params) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    const uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t t = 0; t < count; t++) {
        const int is_bias = tensors[t].kind == BM_TENSOR_BIAS || tensors[t].kind == BM_TENSOR_SHIFT;
        if (tensors[t].layer != layer || (is_bias && !with_bias)) {
            continue;
        }
        for (uint64_t i = tensors[t].offset; i < tensors[t].offset + tensors[t].count; i++) {
            params[i] = (float)((double)params[i] * factor);
        }
    }
}

uint32_t
bm_rescale(const struct bm_model *model, const float *params, double factor, float *rescaled) {
    uint32_t scaled = 0;
    uint32_t first_free = 0; /* layers from here on are as they were */
    memcpy(rescaled, params, bm_model_param_count(model) * sizeof *rescaled);
    for (uint32_t layer = 0; layer < model->layer_count; layer++) {
        if (model->layers[layer].kind != BM_LAYER_RELU) {
            continue;
        }
        const uint32_t before = find_before(model, layer);
        const uint32_t after = find_after(model, layer);
        if (before == NONE || after == NONE || before < first_free) {
            continue;
        }
        multiply(model, before, 1, factor, rescaled);
        multiply(model, after, 0, 1 / factor, rescaled);
        first_free = after + 1;
        scaled++;
    }
    return scaled;
}
