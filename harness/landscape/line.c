/*
 * Lines between two points: the straight a x1 + (1 - a) x0 and the curved sin(a pi / 2) x1 +
 * cos(a pi / 2) x0 of Keskar et al. (arXiv 1609.04836, section 2.2.1 and appendix), a from -1 to 2,
 * x0 trained with the smaller batch. Running statistics do not interpolate: they are renewed at
 * each point.
 */
#include "line.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define T_LOW (-1.0)
#define T_HIGH 2.0

static const double half_pi = 1.57079632679489661923;

void bm_line_at(
    uint32_t shape, const float *from, const float *to, uint64_t count, double t, float *params) {
    double of_from = shape == BM_LINE_CURVED ? cos(t * half_pi) : 1 - t;
    double of_to = shape == BM_LINE_CURVED ? sin(t * half_pi) : t;
    for (uint64_t i = 0; i < count; i++) {
        params[i] = (float)(of_from * (double)from[i] + of_to * (double)to[i]);
    }
}

double bm_line_barrier(const double *t, const double *losses, uint64_t count) {
    double from = NAN;
    double to = NAN;
    double barrier = NAN;
    for (uint64_t i = 0; i < count; i++) {
        from = t[i] == 0 ? losses[i] : from;
        to = t[i] == 1 ? losses[i] : to;
    }
    for (uint64_t i = 0; i < count; i++) {
        double above = losses[i] - ((1 - t[i]) * from + t[i] * to);
        if (t[i] >= 0 && t[i] <= 1 && isfinite(above) && !(above <= barrier)) {
            barrier = above;
        }
    }
    return barrier;
}

/* ---- One line on the backend ---- */

struct line {
    uint32_t shape;
    const struct bm_landscape_point *from;
    const struct bm_landscape_point *to;
    uint64_t planned;
    uint64_t count; /* done */
    double *t;
    double *values[4]; /* train loss and accuracy, test loss and accuracy */
    float *params;
};

static void free_line(struct line *line) {
    free(line->t);
    free(line->params);
    for (uint32_t i = 0; i < 4; i++) {
        free(line->values[i]);
    }
}

/* Equal steps that hit 0 and 1. */
static int32_t
make_line(struct line *line, uint64_t points, uint64_t params, struct bm_error *error) {
    uint64_t each = points / 3 > 0 ? points / 3 : 1;
    line->planned = 3 * each + 1;
    line->t = calloc(line->planned, sizeof *line->t);
    line->params = calloc(params, sizeof *line->params);
    int missing = line->t == NULL || line->params == NULL;
    for (uint32_t i = 0; i < 4; i++) {
        line->values[i] = calloc(line->planned, sizeof *line->values[i]);
        missing |= line->values[i] == NULL;
    }
    for (uint64_t i = 0; !missing && i < line->planned; i++) {
        line->t[i] = T_LOW + (T_HIGH - T_LOW) * (double)i / (double)(line->planned - 1);
        double whole = round(line->t[i]);
        line->t[i] = fabs(line->t[i] - whole) < 1e-9 ? whole : line->t[i];
    }
    return missing ? bm_fail(error, BM_STATUS_NO_MEMORY, "line: no memory") : BM_STATUS_OK;
}

static int32_t measure_point(struct bm_probe *probe, struct line *line, struct bm_error *error) {
    uint64_t i = line->count;
    int has_test = probe->setup.dataset->split[BM_SPLIT_TEST].count > 0;
    bm_landscape_show(probe->landscape, "%s line, point %llu of %llu", bm_line_shapes[line->shape],
                      (unsigned long long)i + 1, (unsigned long long)line->planned);
    bm_line_at(line->shape, line->from->state.params, line->to->state.params, probe->param_count,
               line->t[i], line->params);
    int32_t status = bm_probe_renew(probe, line->params, error);
    status = status ? status
                    : bm_probe_evaluate(probe, line->params, BM_SPLIT_TRAIN, &line->values[0][i],
                                        &line->values[1][i], error);
    line->values[2][i] = line->values[3][i] = (double)NAN;
    if (status == BM_STATUS_OK && has_test) {
        status = bm_probe_evaluate(probe, line->params, BM_SPLIT_TEST, &line->values[2][i],
                                   &line->values[3][i], error);
    }
    line->count += status == BM_STATUS_OK;
    return status;
}

static json_t *pair_json(const double *losses, const double *accuracies, uint64_t count) {
    return json_pack("{s:o, s:o}", "loss", bm_landscape_numbers(losses, count), "accuracy",
                     bm_landscape_numbers(accuracies, count));
}

static json_t *line_json(const struct bm_probe *probe, const struct line *line) {
    json_t *object = bm_probe_object(probe, "line", "line");
    json_t *fields = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o}", "shape", bm_line_shapes[line->shape], "from",
        line->from->name, "to", line->to->name, "t", bm_landscape_numbers(line->t, line->count),
        "train", pair_json(line->values[0], line->values[1], line->count), "test",
        pair_json(line->values[2], line->values[3], line->count), "statistics",
        probe->statistics_count > 0 ? "renewed" : "none", "barrier",
        bm_field_finite(bm_line_barrier(line->t, line->values[0], line->count)));
    (void)json_object_update(object, fields);
    json_decref(fields);
    /* Whole splits are evaluated here, by running statistics, whatever the loss elsewhere is. */
    if (probe->statistics_count > 0) {
        (void)json_object_set_new(object, "batch_norm", json_string("running"));
    }
    (void)json_object_set_new(
        object, "images",
        json_integer((json_int_t)probe->setup.dataset->split[BM_SPLIT_TRAIN].count));
    return object;
}

static int32_t measure_line(struct bm_probe *probe,
                            uint32_t shape,
                            const struct bm_landscape_point *from,
                            const struct bm_landscape_point *to,
                            struct bm_error *error) {
    struct line line = {.shape = shape, .from = from, .to = to};
    uint64_t points = probe->landscape->campaign->options->landscape.points;
    int32_t status = make_line(&line, points, probe->param_count, error);
    while (status == BM_STATUS_OK && line.count < line.planned) {
        status = measure_point(probe, &line, error);
    }
    if (line.t != NULL) {
        json_t *object = line_json(probe, &line);
        if (status != BM_STATUS_OK) {
            bm_probe_fail(probe, object, status, error);
        }
        bm_landscape_write(probe->landscape, object);
    }
    free_line(&line);
    return status;
}

/* ---- The analysis ---- */

/* Everything of a pair; a failure is told in its object, and what comes behind it is left out. */
static void measure_pair(struct bm_landscape *landscape,
                         const struct bm_landscape_point *from,
                         const struct bm_landscape_point *to) {
    struct bm_error error = {0};
    struct bm_probe probe;
    /* Statistics are renewed in batches of the session: the smaller ones cost less. */
    const struct bm_landscape_point *smaller = to->state.batch < from->state.batch ? to : from;
    int32_t status = bm_probe_open_point(landscape, smaller, &probe, &error);
    if (status != BM_STATUS_OK) {
        json_t *object = bm_landscape_object("line", "line");
        (void)json_object_set_new(object, "from", json_string(from->name));
        (void)json_object_set_new(object, "to", json_string(to->name));
        bm_probe_fail(&probe, object, status, &error);
        bm_landscape_write(landscape, object);
        return;
    }
    status = measure_line(&probe, BM_LINE_STRAIGHT, from, to, &error);
    status = status ? status : measure_line(&probe, BM_LINE_CURVED, from, to, &error);
    if (status == BM_STATUS_OK) {
        bm_line_plane(&probe, from, to);
    }
    bm_probe_close(&probe);
}

/* Of each seed the points of the smallest and the largest batch; of checkpoints the first two. */
int32_t bm_landscape_line(struct bm_landscape *landscape) {
    uint32_t each = landscape->campaign->batch_count;
    bm_line_distances(landscape);
    if (landscape->point_count < 2) {
        json_t *object = bm_landscape_object("line", "line");
        bm_landscape_fail(object, "skipped", "expected two points, found fewer");
        bm_landscape_write(landscape, object);
        return BM_STATUS_OK;
    }
    if (landscape->points[0].path_count == 0 || each < 2) {
        measure_pair(landscape, &landscape->points[0], &landscape->points[1]);
        return BM_STATUS_OK;
    }
    for (uint32_t i = 0; i + 1 < landscape->point_count; i++) {
        const struct bm_landscape_point *from = &landscape->points[i];
        const struct bm_landscape_point *to = from;
        for (uint32_t j = i + 1; j < landscape->point_count; j++) {
            to = landscape->points[j].state.seed == from->state.seed ? &landscape->points[j] : to;
        }
        int is_first = i == 0 || landscape->points[i - 1].state.seed != from->state.seed;
        if (is_first && to != from && !bm_landscape_stopped(landscape)) {
            measure_pair(landscape, from, to);
        }
    }
    return BM_STATUS_OK;
}

const char *const bm_line_shapes[] = {"straight", "curved"};
