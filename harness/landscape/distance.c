/* How far points are from their start, and from each other, also layer by layer. */
#include "curvature.h"
#include "error.h"
#include "line.h"

#include <math.h>
#include <stdlib.h>

/* |a - b| over [first, first + count). */
static double distance(const float *a, const float *b, uint64_t first, uint64_t count) {
    double sum = 0;
    for (uint64_t i = first; i < first + count; i++) {
        double difference = (double)a[i] - (double)b[i];
        sum += difference * difference;
    }
    return sqrt(sum);
}

/* {layer, norm} of every layer that has parameters. */
static json_t *by_layer(const struct bm_model *model, const float *a, const float *b) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    json_t *list = json_array();
    for (uint32_t i = 0; i < count;) {
        uint32_t layer = tensors[i].layer;
        double sum = 0;
        for (; i < count && tensors[i].layer == layer; i++) {
            double part = distance(a, b, tensors[i].offset, tensors[i].count);
            sum += part * part;
        }
        (void)json_array_append_new(
            list, json_pack("{s:i, s:f}", "layer", (int)layer, "norm", sqrt(sum)));
    }
    return list;
}

static void write_distance(struct bm_landscape *landscape,
                           const struct bm_landscape_point *point,
                           const char *name,
                           const float *from) {
    const struct bm_model *model = &landscape->campaign->model;
    uint64_t count = point->state.param_count;
    double length = distance(point->state.params, from, 0, count);
    json_t *object = bm_landscape_object("line", "distance");
    bm_landscape_describe(point, object);
    json_t *fields = json_pack("{s:s, s:f, s:o, s:o}", "from", name, "norm", length, "relative",
                               bm_field_finite(length / bm_curvature_norm_float(from, count)),
                               "by_layer", by_layer(model, point->state.params, from));
    (void)json_object_update(object, fields);
    json_decref(fields);
    bm_landscape_write(landscape, object);
}

void bm_line_distances(struct bm_landscape *landscape) {
    uint64_t count = bm_model_param_count(&landscape->campaign->model);
    float *start = malloc(count * sizeof *start);
    for (uint32_t i = 0; i < landscape->point_count && start != NULL; i++) {
        const struct bm_landscape_point *point = &landscape->points[i];
        bm_model_start(&landscape->campaign->model, point->state.seed, start);
        write_distance(landscape, point, "start", start);
        if (i > 0) {
            write_distance(landscape, point, landscape->points[0].name,
                           landscape->points[0].state.params);
        }
    }
    free(start);
}
