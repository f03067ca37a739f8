/* The branches of relu and of pooling that lie inside the bound, and with what deviation they
 * are judged. */
#include "error.h"
#include "reference_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Images whose values are kept, of every update: enough for a root mean square. */
#define IMAGES_MAX 128u

static uint32_t has_branches(const struct bm_layer *layer) {
    return layer->kind == BM_LAYER_RELU || layer->kind == BM_LAYER_MAXPOOL;
}

int32_t bm_reference_branches_open(struct bm_reference_branches *branches,
                                   const struct bm_model *model,
                                   uint64_t images,
                                   struct bm_error *error) {
    memset(branches, 0, sizeof *branches);
    branches->images = images < IMAGES_MAX ? images : IMAGES_MAX;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        struct bm_shape in = bm_reference_input_shape(model, i);
        if (!has_branches(&model->layers[i])) {
            continue;
        }
        branches->exact[i] = malloc(branches->images * bm_reference_units(in) * sizeof(double));
        branches->square[i] = calloc(in.channels, sizeof(double));
        if (branches->exact[i] == NULL || branches->square[i] == NULL) {
            bm_reference_branches_close(branches);
            return bm_fail(error, BM_STATUS_NO_MEMORY,
                           "reference: no memory for the branches of %llu images",
                           (unsigned long long)images);
        }
    }
    return BM_STATUS_OK;
}

void bm_reference_branches_close(struct bm_reference_branches *branches) {
    for (uint32_t i = 0; i < BM_MODEL_LAYER_MAX; i++) {
        free(branches->exact[i]);
        free(branches->square[i]);
    }
    memset(branches, 0, sizeof *branches);
}

void bm_reference_measure_branches(const struct bm_pass *pass,
                                   uint32_t layer,
                                   const double *values) {
    struct bm_reference_branches *branches = pass->request->branches;
    struct bm_shape in = bm_reference_input_shape(pass->model, layer);
    size_t units = bm_reference_units(in);
    size_t positions = units / in.channels;
    uint64_t images = branches->images < pass->image_count ? branches->images : pass->image_count;
    double *exact = branches->exact[layer];
    if (exact == NULL || pass->part > 0) {
        return;
    }
    if (branches->mode == BM_BRANCHES_EXACT) {
        memcpy(exact, values, images * units * sizeof(double));
        memset(branches->square[layer], 0, in.channels * sizeof(double));
        branches->measured[layer] = 0;
    } else if (branches->mode == BM_BRANCHES_MEASURE) {
        for (size_t i = 0; i < images * units; i++) {
            double deviation = values[i] - exact[i];
            branches->square[layer][i % units / positions] += deviation * deviation;
        }
        branches->measured[layer] += images * positions;
    }
}

double bm_reference_branch_reach(const struct bm_pass *pass, uint32_t layer, size_t channel) {
    const struct bm_reference_branches *branches = pass->request->branches;
    if (branches->mode != BM_BRANCHES_CONTRARY) {
        return -1;
    }
    double square = branches->square[layer][channel] / (double)branches->measured[layer];
    return BM_REFERENCE_BRANCH_LAMBDA * sqrt(square);
}
