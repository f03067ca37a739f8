#include "filter_line.h"

#include "curvature.h"
#include "error.h"
#include "normal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- The direction ---- */

static void draw_row(struct bm_normal *normal, const float *row, uint64_t count, float *direction) {
    for (uint64_t i = 0; i < count; i++) {
        direction[i] = (float)bm_normal_next(normal);
    }
    const double drawn = bm_curvature_norm_float(direction, count);
    const double scale = drawn > 0 ? bm_curvature_norm_float(row, count) / drawn : 0;
    for (uint64_t i = 0; i < count; i++) {
        direction[i] = (float)((double)direction[i] * scale);
    }
}

void bm_filter_direction(const struct bm_model *model,
                         const float *params,
                         uint64_t seed,
                         float *direction) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    const uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    struct bm_normal normal;
    bm_normal_init(&normal, seed, BM_RANDOM_SHARPNESS, 1);
    memset(direction, 0, bm_model_param_count(model) * sizeof *direction);
    for (uint32_t t = 0; t < count; t++) {
        const uint64_t row = tensors[t].fan_in;
        const uint64_t end = tensors[t].offset + tensors[t].count;
        if (tensors[t].kind != BM_TENSOR_WEIGHT) {
            continue;
        }
        for (uint64_t first = tensors[t].offset; first < end; first += row) {
            draw_row(&normal, &params[first], row, &direction[first]);
        }
    }
}

/* ---- The line ---- */

/* Where the loss passes `limit` on the way from the middle in direction `step`; the end of the line
 * if nowhere. */
static double
find_end(const struct bm_filter_line *line, double limit, int step, uint32_t *at_least) {
    const int last = (int)line->count - 1;
    int i = last / 2;
    while (i + step >= 0 && i + step <= last) {
        const double here = line->losses[i];
        const double next = line->losses[i + step];
        if (!(next < limit)) {
            const double part = isfinite(next) ? (limit - here) / (next - here) : 0;
            return line->t[i] + part * (line->t[i + step] - line->t[i]);
        }
        i += step;
    }
    *at_least = 1;
    return line->t[i];
}

static void find_width(struct bm_filter_line *line) {
    const double limit = 2 * line->losses[line->count / 2] + .1;
    if (isfinite(limit)) {
        line->width = find_end(line, limit, 1, &line->at_least);
        line->width -= find_end(line, limit, -1, &line->at_least);
    }
}

int32_t bm_filter_line_measure(struct bm_objective *objective,
                               const float *params,
                               const float *direction,
                               struct bm_filter_line *line,
                               struct bm_error *error) {
    float *moved = malloc(objective->count * sizeof *moved);
    int32_t status = BM_STATUS_OK;
    *line = (struct bm_filter_line){.width = NAN};
    if (moved == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "filter line: expected memory, found none");
    }
    while (status == BM_STATUS_OK && line->count < BM_FILTER_LINE_POINTS) {
        const double t = 2.0 * line->count / (BM_FILTER_LINE_POINTS - 1) - 1;
        for (uint64_t i = 0; i < objective->count; i++) {
            moved[i] = (float)((double)params[i] + t * (double)direction[i]);
        }
        line->t[line->count] = t;
        status = bm_objective_at(objective, moved, &line->losses[line->count], NULL, error);
        line->count += status == BM_STATUS_OK;
    }
    free(moved);
    if (status == BM_STATUS_OK) {
        find_width(line);
    }
    return status;
}
