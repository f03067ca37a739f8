#include "duplicate.h"

#include "error.h"

#include <string.h>

/* The next dense layer; 0 if something else than relu stands before it. */
static uint32_t next_dense(const struct bm_model *model, uint32_t layer) {
    for (uint32_t next = layer + 1; next < model->layer_count; next++) {
        if (model->layers[next].kind == BM_LAYER_DENSE) {
            return next;
        }
        if (model->layers[next].kind != BM_LAYER_RELU) {
            return 0;
        }
    }
    return 0;
}

static int32_t
check(const struct bm_model *narrow, const struct bm_duplicate *duplicate, struct bm_error *error) {
    uint32_t layer = duplicate->layer;
    if (layer >= narrow->layer_count || narrow->layers[layer].kind != BM_LAYER_DENSE ||
        next_dense(narrow, layer) == 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "duplicate: expected a dense layer with relu and dense behind it, found "
                       "layer %u of another kind",
                       layer);
    }
    if (duplicate->unit_count > BM_DUPLICATE_UNITS_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "duplicate: expected at most %u units, found %u",
                       BM_DUPLICATE_UNITS_MAX, duplicate->unit_count);
    }
    for (uint32_t i = 0; i < duplicate->unit_count; i++) {
        uint32_t unit = duplicate->units[i];
        if (unit >= narrow->layers[layer].outputs || (i > 0 && unit <= duplicate->units[i - 1])) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "duplicate: expected ascending units below %u, found %u",
                           narrow->layers[layer].outputs, unit);
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_duplicate_model(const struct bm_model *narrow,
                           const struct bm_duplicate *duplicate,
                           struct bm_model *wide,
                           struct bm_error *error) {
    int32_t status = check(narrow, duplicate, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    *wide = *narrow;
    uint32_t outputs = narrow->layers[duplicate->layer].outputs + duplicate->unit_count;
    wide->layers[duplicate->layer].outputs = outputs;
    for (uint32_t i = duplicate->layer; i < next_dense(narrow, duplicate->layer); i++) {
        wide->output[i].channels = outputs;
    }
    return BM_STATUS_OK;
}

/* ---- Parameters ---- */

/* The weight, and the bias right behind it, of a dense layer. */
struct dense {
    uint64_t weight; /* offset of [outputs][inputs] */
    uint64_t bias;
    uint64_t inputs;
    uint64_t outputs;
};

static struct dense dense_of(const struct bm_model *model, uint32_t layer) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    struct dense dense = {.outputs = model->layers[layer].outputs};
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (tensors[i].layer == layer && tensors[i].kind == BM_TENSOR_WEIGHT) {
            dense.weight = tensors[i].offset;
            dense.inputs = tensors[i].fan_in;
        } else if (tensors[i].layer == layer) {
            dense.bias = tensors[i].offset;
        }
    }
    return dense;
}

/* Layers other than the two have the same tensors in both networks, one after the other. */
static void copy_between(const struct bm_model *narrow,
                         const struct bm_model *wide,
                         uint32_t first,
                         uint32_t end,
                         const float *narrow_params,
                         float *wide_params) {
    struct bm_tensor from[2 * BM_MODEL_LAYER_MAX];
    struct bm_tensor to[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(narrow, from, 2 * BM_MODEL_LAYER_MAX);
    (void)bm_model_tensors(wide, to, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (from[i].layer >= first && from[i].layer < end) {
            memcpy(wide_params + to[i].offset, narrow_params + from[i].offset,
                   from[i].count * sizeof *wide_params);
        }
    }
}

/* Rows of copies behind all rows, and their biases. */
static void copy_incoming(const struct dense *from,
                          const struct dense *to,
                          const struct bm_duplicate *duplicate,
                          const float *narrow_params,
                          float *wide_params) {
    for (uint64_t row = 0; row < to->outputs; row++) {
        uint64_t unit = row < from->outputs ? row : duplicate->units[row - from->outputs];
        memcpy(wide_params + to->weight + row * to->inputs,
               narrow_params + from->weight + unit * from->inputs,
               from->inputs * sizeof *wide_params);
        wide_params[to->bias + row] = narrow_params[from->bias + unit];
    }
}

/* Columns of doubled units times a, those of their copies times 1 - a behind all columns. */
static void split_outgoing(const struct dense *from,
                           const struct dense *to,
                           const struct bm_duplicate *duplicate,
                           const float *narrow_params,
                           float *wide_params) {
    for (uint64_t row = 0; row < from->outputs; row++) {
        const float *old = narrow_params + from->weight + row * from->inputs;
        float *new = wide_params + to->weight + row * to->inputs;
        memcpy(new, old, from->inputs * sizeof *new);
        for (uint32_t i = 0; i < duplicate->unit_count; i++) {
            uint32_t unit = duplicate->units[i];
            new[unit] = (float)(duplicate->share * (double)old[unit]);
            new[from->inputs + i] = (float)((1 - duplicate->share) * (double)old[unit]);
        }
        wide_params[to->bias + row] = narrow_params[from->bias + row];
    }
}

void bm_duplicate_params(const struct bm_model *narrow,
                         const struct bm_duplicate *duplicate,
                         const struct bm_model *wide,
                         const float *narrow_params,
                         float *wide_params) {
    uint32_t next = next_dense(narrow, duplicate->layer);
    const struct dense from[2] = {dense_of(narrow, duplicate->layer), dense_of(narrow, next)};
    const struct dense to[2] = {dense_of(wide, duplicate->layer), dense_of(wide, next)};
    copy_between(narrow, wide, 0, duplicate->layer, narrow_params, wide_params);
    copy_incoming(&from[0], &to[0], duplicate, narrow_params, wide_params);
    split_outgoing(&from[1], &to[1], duplicate, narrow_params, wide_params);
    copy_between(narrow, wide, next + 1, narrow->layer_count, narrow_params, wide_params);
}
