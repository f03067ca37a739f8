#include "escape.h"

#include <math.h>
#include <string.h>

/* ---- Which parts ---- */

static int is_asked_for(const struct bm_landscape *landscape, const char *part) {
    const struct bm_name_list *parts = &landscape->campaign->options->landscape.part;
    for (uint32_t i = 0; i < parts->count; i++) {
        if (strcmp(parts->names[i], part) == 0) {
            return 1;
        }
    }
    return parts->count == 0;
}

int32_t bm_landscape_escape(struct bm_landscape *landscape) {
    static const struct {
        const char *name;
        int32_t (*run)(struct bm_landscape *landscape);
    } parts[] = {
        {"examples", bm_escape_examples},
        {"surfaces", bm_escape_surfaces},
        {"weights", bm_escape_weights},
        {"saddle", bm_escape_saddle},
    };

    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == BM_STATUS_OK; i++) {
        if (is_asked_for(landscape, parts[i].name) && !bm_landscape_stopped(landscape)) {
            status = parts[i].run(landscape);
        }
    }
    return status;
}

/* ---- Runs over seeds ---- */

uint32_t bm_escape_seeds(const struct bm_landscape *landscape, uint64_t seeds[BM_COUNTS_MAX]) {
    const struct bm_number_list *given = &landscape->campaign->options->seed;
    uint32_t count = given->count > 1 ? given->count : BM_ESCAPE_RUNS;
    count = count < BM_COUNTS_MAX ? count : BM_COUNTS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        seeds[i] = given->count > 1 ? given->values[i] : given->values[0] + i;
    }
    return count;
}

void bm_escape_set_rule(json_t *object, const struct bm_escape_rule *rule) {
    (void)json_object_set_new(object, "optimizer", json_string(rule->optimizer));
    (void)json_object_set_new(object, "rate", bm_field_finite(rule->rate));
    (void)json_object_set_new(object, "momentum", bm_field_finite(rule->momentum));
    (void)json_object_set_new(
        object, "batch", rule->batch > 0 ? json_integer((json_int_t)rule->batch) : json_null());
    (void)json_object_set_new(object, "noise", bm_field_finite(rule->noise));
}

static json_t *with_interval(const char *name, struct bm_counted_value value) {
    return json_pack("{s:o, s:o, s:o}", name, bm_field_finite(value.value), "low",
                     bm_field_finite(value.low), "high", bm_field_finite(value.high));
}

json_t *bm_escape_count(const char *surface,
                        const char *question,
                        const struct bm_escape_rule *rule,
                        uint64_t runs,
                        const uint64_t *updates,
                        uint64_t yes,
                        uint64_t limit) {
    json_t *object = bm_landscape_object("escape", "count");
    (void)json_object_set_new(object, "surface", json_string(surface));
    (void)json_object_set_new(object, "question", json_string(question));
    bm_escape_set_rule(object, rule);
    (void)json_object_set_new(object, "runs", json_integer((json_int_t)runs));
    (void)json_object_set_new(object, "yes", json_integer((json_int_t)yes));
    (void)json_object_set_new(object, "share", with_interval("value", bm_counts_share(yes, runs)));
    (void)json_object_set_new(object, "updates",
                              yes > 0 ? with_interval("median", bm_counts_median(updates, yes))
                                      : json_null());
    (void)json_object_set_new(object, "limit", json_integer((json_int_t)limit));
    return object;
}

/* ---- Pictures ---- */

static json_t *axis(const struct bm_surface *surface, uint32_t i, uint32_t count) {
    return json_pack("{s:f, s:f, s:i}", "low", surface->low[i], "high", surface->high[i], "count",
                     (int)count);
}

static json_t *critical_points(const struct bm_surface *surface) {
    json_t *array = json_array();
    for (uint32_t i = 0; i < surface->critical_count; i++) {
        struct bm_surface_values values;
        double point[2];
        bm_surface_critical(surface, i, point);
        surface->at(point, &values);
        (void)json_array_append_new(
            array,
            json_pack("{s:f, s:f, s:f, s:s}", "x", point[0], "y", point[1], "value", values.value,
                      "kind", bm_point_kind_name(bm_surface_kind(surface, &values))));
    }
    return array;
}

static int32_t value_at(const struct bm_surface *surface,
                        bm_escape_value *value,
                        void *context,
                        const double point[2],
                        double *found,
                        struct bm_error *error) {
    struct bm_surface_values values;
    if (value != NULL) {
        return value(context, point, found, error);
    }
    surface->at(point, &values);
    *found = values.value;
    return BM_STATUS_OK;
}

static double
on_axis(const struct bm_surface *surface, uint32_t i, uint32_t index, uint32_t count) {
    double t = count > 1 ? (double)index / (count - 1) : 0;
    return surface->low[i] + t * (surface->high[i] - surface->low[i]);
}

static json_t *contour_object(const struct bm_surface *surface, uint32_t columns, uint32_t rows) {
    json_t *object = bm_landscape_object("escape", "contour");
    (void)json_object_set_new(object, "surface", json_string(surface->name));
    (void)json_object_set_new(object, "about", json_string(surface->about));
    (void)json_object_set_new(object, "formula", json_string(surface->formula));
    (void)json_object_set_new(object, "dimensions", json_integer(surface->dimensions));
    (void)json_object_set_new(object, "log", json_boolean(surface->is_log));
    (void)json_object_set_new(object, "x", axis(surface, 0, columns));
    if (surface->dimensions > 1) {
        (void)json_object_set_new(object, "y", axis(surface, 1, rows));
    }
    (void)json_object_set_new(object, "critical", critical_points(surface));
    return object;
}

json_t *bm_escape_contour(const struct bm_surface *surface,
                          bm_escape_value *value,
                          void *context,
                          struct bm_error *error) {
    uint32_t columns = surface->dimensions > 1 ? BM_ESCAPE_GRID : BM_ESCAPE_LINE;
    uint32_t rows = surface->dimensions > 1 ? BM_ESCAPE_GRID : 1;
    json_t *values = json_array();
    for (uint32_t i = 0; i < rows * columns; i++) {
        double point[2] = {on_axis(surface, 0, i % columns, columns),
                           on_axis(surface, 1, i / columns, rows)};
        double found = 0;
        if (value_at(surface, value, context, point, &found, error) != BM_STATUS_OK) {
            json_decref(values);
            return NULL;
        }
        (void)json_array_append_new(values, bm_field_finite(found));
    }
    json_t *object = contour_object(surface, columns, rows);
    (void)json_object_set_new(object, "values", values);
    return object;
}

/* Number j of K is (count - 1) (j / (K - 1))^2, but at least one after the one before. */
uint32_t bm_escape_thin(uint64_t count, uint64_t kept[BM_ESCAPE_POINTS]) {
    uint32_t most = count < BM_ESCAPE_POINTS ? (uint32_t)count : BM_ESCAPE_POINTS;
    for (uint32_t j = 0; j < most; j++) {
        double t = most > 1 ? (double)j / (most - 1) : 0;
        uint64_t number = (uint64_t)(t * t * (double)(count - 1) + 0.5);
        kept[j] = j > 0 && number <= kept[j - 1] ? kept[j - 1] + 1 : number;
    }
    return most;
}

json_t *bm_escape_end(const struct bm_surface *surface, const double point[2]) {
    struct bm_surface_values values;
    double eigenvalues[2];
    surface->at(point, &values);
    bm_surface_eigenvalues(surface, &values, eigenvalues);
    return json_pack("{s:o, s:o, s:o, s:o, s:s}", "point",
                     bm_landscape_numbers(point, surface->dimensions), "loss",
                     bm_field_finite(values.value), "gradient_norm",
                     bm_field_finite(bm_surface_gradient_norm(surface, &values)), "eigenvalues",
                     bm_landscape_numbers(eigenvalues, surface->dimensions), "kind",
                     bm_point_kind_name(bm_surface_kind(surface, &values)));
}
