/*
 * The plane through a start and two points: x along the way from the start to the first, y across
 * it (Gram and Schmidt), both in units of the first one's distance, so that the start is (0, 0) and
 * the first point (1, 0). Paths of trainings are projected, with what the projection leaves out (Li
 * et al., "Visualizing the loss landscape of neural nets", arXiv 1712.09913, section 7, warn of
 * it).
 */
#include "error.h"
#include "line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room around what is shown, as a part of its extent. */
#define MARGIN 0.25

struct plane {
    const struct bm_landscape_point *from;
    const struct bm_landscape_point *to;
    uint64_t count;
    float *origin;
    double *x_axis; /* [count], both of one length, in which coordinates are told */
    double *y_axis;
    double unit;
    float *params;
    double x_low, x_high, y_low, y_high;
};

static double dot(const double *a, const double *b, uint64_t count) {
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void subtract(const float *a, const float *b, uint64_t count, double *difference) {
    for (uint64_t i = 0; i < count; i++) {
        difference[i] = (double)a[i] - (double)b[i];
    }
}

static void scale(double *values, uint64_t count, double factor) {
    for (uint64_t i = 0; i < count; i++) {
        values[i] *= factor;
    }
}

/* 0: the three lie on a line. */
static int make_axes(struct plane *plane) {
    const uint64_t n = plane->count;
    subtract(plane->from->state.params, plane->origin, n, plane->x_axis);
    subtract(plane->to->state.params, plane->origin, n, plane->y_axis);
    double length2 = dot(plane->x_axis, plane->x_axis, n);
    double along = dot(plane->x_axis, plane->y_axis, n) / length2;
    for (uint64_t i = 0; i < n; i++) {
        plane->y_axis[i] -= along * plane->x_axis[i];
    }
    double across2 = dot(plane->y_axis, plane->y_axis, n);
    if (!(length2 > 0) || !(across2 > 1e-12 * length2)) {
        return 0;
    }
    plane->unit = sqrt(length2);
    scale(plane->y_axis, n, sqrt(length2 / across2));
    return 1;
}

struct place {
    double x;
    double y;
    double off; /* distance from the plane */
};

static struct place project(const struct plane *plane, const float *params, double *work) {
    struct place place;
    double unit2 = plane->unit * plane->unit;
    subtract(params, plane->origin, plane->count, work);
    place.x = dot(work, plane->x_axis, plane->count) / unit2;
    place.y = dot(work, plane->y_axis, plane->count) / unit2;
    double all2 = dot(work, work, plane->count);
    place.off = sqrt(fmax(0, all2 - unit2 * (place.x * place.x + place.y * place.y)));
    return place;
}

static void include(struct plane *plane, struct place place) {
    plane->x_low = fmin(plane->x_low, place.x);
    plane->x_high = fmax(plane->x_high, place.x);
    plane->y_low = fmin(plane->y_low, place.y);
    plane->y_high = fmax(plane->y_high, place.y);
}

static json_t *place_json(const char *name, struct place place) {
    return json_pack("{s:s, s:f, s:f, s:f}", "name", name, "x", place.x, "y", place.y, "off",
                     place.off);
}

static json_t *
path_json(struct plane *plane, const struct bm_landscape_point *point, double *work) {
    json_t *x = json_array();
    json_t *y = json_array();
    json_t *off = json_array();
    json_t *epochs = json_array();
    for (uint32_t i = 0; i < point->path_count; i++) {
        struct place place = project(plane, point->path[i].params, work);
        include(plane, place);
        (void)json_array_append_new(x, json_real(place.x));
        (void)json_array_append_new(y, json_real(place.y));
        (void)json_array_append_new(off, json_real(place.off));
        (void)json_array_append_new(epochs, json_real(point->path[i].epoch));
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", point->name, "x", x, "y", y, "off", off,
                     "epochs", epochs);
}

/* Points and paths, which also say how far the grid goes. */
static void add_places(struct plane *plane, json_t *object, double *work) {
    const struct bm_landscape_point *const points[] = {plane->from, plane->to};
    struct place start = {0, 0, 0};
    json_t *list = json_array();
    json_t *paths = json_array();
    json_t *names = json_array();
    (void)json_array_append_new(list, place_json("start", start));
    (void)json_array_append_new(names, json_string("start"));
    for (uint32_t i = 0; i < 2; i++) {
        struct place place = project(plane, points[i]->state.params, work);
        include(plane, place);
        (void)json_array_append_new(list, place_json(points[i]->name, place));
        (void)json_array_append_new(names, json_string(points[i]->name));
        if (points[i]->path_count > 0) {
            (void)json_array_append_new(paths, path_json(plane, points[i], work));
        }
    }
    (void)json_object_set_new(object, "names", names);
    (void)json_object_set_new(object, "points", list);
    (void)json_object_set_new(object, "paths", paths);
}

static void widen(double *low, double *high) {
    double room = MARGIN * (*high - *low);
    *low -= room;
    *high += room;
}

static json_t *axis_json(double low, double high, uint64_t count) {
    return json_pack("{s:f, s:f, s:I}", "low", low, "high", high, "count", (json_int_t)count);
}

static void place_params(const struct plane *plane, double x, double y, float *params) {
    for (uint64_t i = 0; i < plane->count; i++) {
        params[i] = (float)((double)plane->origin[i] + x * plane->x_axis[i] + y * plane->y_axis[i]);
    }
}

/* Row by row; what is not reached is null. */
static int32_t add_values(struct bm_probe *probe,
                          struct plane *plane,
                          uint64_t side,
                          json_t *object,
                          struct bm_error *error) {
    json_t *values = json_array();
    int32_t status = BM_STATUS_OK;
    (void)json_object_set_new(object, "values", values);
    const double step = side > 1 ? 1 / (double)(side - 1) : 0;
    const uint64_t count = side * side;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t row = i / side;
        double loss = NAN;
        double x = plane->x_low + (plane->x_high - plane->x_low) * step * (double)(i - row * side);
        double y = plane->y_low + (plane->y_high - plane->y_low) * step * (double)row;
        if (status == BM_STATUS_OK) {
            bm_landscape_show(probe->landscape, "plane, point %llu of %llu",
                              (unsigned long long)i + 1, (unsigned long long)count);
            place_params(plane, x, y, plane->params);
            status = bm_objective_at(&probe->objective, plane->params, &loss, NULL, error);
        }
        (void)json_array_append_new(values, bm_field_finite(loss));
    }
    return status;
}

static int32_t measure(struct bm_probe *probe,
                       struct plane *plane,
                       json_t *object,
                       double *work,
                       struct bm_error *error) {
    uint64_t side = probe->landscape->campaign->options->landscape.plane;
    if (!make_axes(plane)) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "expected three points that span a plane, found them on a line");
    }
    add_places(plane, object, work);
    widen(&plane->x_low, &plane->x_high);
    widen(&plane->y_low, &plane->y_high);
    (void)json_object_set_new(object, "x", axis_json(plane->x_low, plane->x_high, side));
    (void)json_object_set_new(object, "y", axis_json(plane->y_low, plane->y_high, side));
    return add_values(probe, plane, side, object, error);
}

void bm_line_plane(struct bm_probe *probe,
                   const struct bm_landscape_point *from,
                   const struct bm_landscape_point *to) {
    const uint64_t n = probe->param_count;
    struct bm_error error = {0};
    struct plane plane = {.from = from,
                          .to = to,
                          .count = n,
                          .origin = malloc(n * sizeof(float)),
                          .x_axis = malloc(n * sizeof(double)),
                          .y_axis = malloc(n * sizeof(double)),
                          .params = malloc(n * sizeof(float))};
    double *work = malloc(n * sizeof *work);
    if (probe->landscape->campaign->options->landscape.plane > 0) {
        json_t *object = bm_probe_object(probe, "line", "plane");
        int32_t status = BM_STATUS_NO_MEMORY;
        if (plane.origin == NULL || plane.x_axis == NULL || plane.y_axis == NULL ||
            plane.params == NULL || work == NULL) {
            (void)bm_fail(&error, status, "plane: no memory");
        } else {
            bm_model_start(probe->setup.model, from->state.seed, plane.origin);
            status = measure(probe, &plane, object, work, &error);
        }
        if (status != BM_STATUS_OK) {
            bm_probe_fail(probe, object, status, &error);
        }
        bm_landscape_write(probe->landscape, object);
    }
    free(plane.origin);
    free(plane.x_axis);
    free(plane.y_axis);
    free(plane.params);
    free(work);
}
