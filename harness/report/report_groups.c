/* What cells of one run say together: the knees of its rows, and how fast these are against each
 * other. */
#include "report_parts.h"

#include "field.h"
#include "paired.h"

#include <math.h>
#include <stdlib.h>

/* ---- Groups of cells ---- */

/* With times, and computing something. */
static int is_timed(const json_t *cell) {
    return bm_field_has_status(cell, "ok") && json_is_object(json_object_get(cell, "update")) &&
           !json_is_true(json_object_get(cell, "computes_nothing"));
}

/* {key: [pairs]} of the timed cells; the caller's. */
static json_t *group_by(const json_t *pairs, const char *const *fields) {
    json_t *groups = json_object();
    size_t i;
    json_t *pair;
    json_array_foreach(pairs, i, pair) {
        char key[BM_REPORT_KEY_SIZE];
        const json_t *cell = json_array_get(pair, 0);
        if (!is_timed(cell)) {
            continue;
        }
        bm_report_key(cell, fields, key, sizeof key);
        json_t *group = json_object_get(groups, key);
        if (group == NULL) {
            group = json_array();
            (void)json_object_set_new_nocheck(groups, key, group);
        }
        (void)json_array_append(group, pair);
    }
    return groups;
}

/* ---- Knees ---- */

struct point {
    double batch;
    double ns;
};

static int compare_points(const void *a, const void *b) {
    const struct point *left = a;
    const struct point *right = b;
    return (left->batch > right->batch) - (left->batch < right->batch);
}

/* The smallest batch from which an update takes at least twice as long as at the smallest one, on
 * the line through two measured points in logarithms; NaN where none does. */
static double find_knee(const struct point *points, size_t count) {
    double level = count > 0 ? 2 * points[0].ns : 0;
    for (size_t i = 1; i < count; i++) {
        const struct point *a = &points[i - 1];
        const struct point *b = &points[i];
        if (b->ns >= level && a->ns < level) {
            double part = log(level / a->ns) / log(b->ns / a->ns);
            return a->batch * pow(b->batch / a->batch, part);
        }
    }
    return (double)NAN;
}

static json_t *knee_of(const json_t *group) {
    size_t count = json_array_size(group);
    struct point *points = calloc(count, sizeof *points);
    const json_t *first = json_array_get(json_array_get(group, 0), 0);
    if (points == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *cell = json_array_get(json_array_get(group, i), 1);
        points[i].batch = bm_field_number(cell, "batch");
        points[i].ns = bm_field_number(json_object_get(cell, "update"), "median_ns");
    }
    qsort(points, count, sizeof *points, compare_points);
    json_t *knee = json_pack("{s:O, s:O, s:O, s:o}", "run", json_object_get(first, "run"), "case",
                             json_object_get(first, "case"), "row", json_object_get(first, "row"),
                             "batch", bm_report_real(find_knee(points, count)));
    free(points);
    return knee;
}

json_t *bm_report_knees(const json_t *pairs) {
    static const char *const fields[] = {"run", "case", "row", NULL};
    json_t *knees = json_array();
    json_t *groups = group_by(pairs, fields);
    const char *key;
    json_t *group;
    json_object_foreach(groups, key, group) {
        (void)json_array_append_new(knees, knee_of(group));
    }
    json_decref(groups);
    return knees;
}

/* ---- Ratios ---- */

static void add_ratio(const json_t *base, const json_t *pair, json_t *ratios) {
    struct bm_paired_ratio ratio;
    const json_t *cell = json_array_get(pair, 0);
    if (!bm_paired_ratio(json_array_get(base, 1), json_array_get(pair, 1), &ratio)) {
        return;
    }
    double unknown = (double)NAN;
    (void)json_array_append_new(
        ratios,
        json_pack("{s:O, s:O, s:O, s:O, s:O, s:i, s:o, s:o, s:o, s:o}", "run",
                  json_object_get(cell, "run"), "case", json_object_get(cell, "case"), "batch",
                  json_object_get(cell, "batch"), "row", json_object_get(cell, "row"), "base",
                  json_object_get(json_array_get(base, 0), "row"), "rounds", (int)ratio.rounds,
                  "ratio", bm_report_real(ratio.ratio), "low",
                  bm_report_real(ratio.has_interval ? ratio.low : unknown), "high",
                  bm_report_real(ratio.has_interval ? ratio.high : unknown), "tie",
                  ratio.has_interval ? json_boolean(!ratio.apart) : json_null()));
}

/* Where a case has more rows than this, only those with as many threads are told in pairs: their
 * number grows with the square of the rows, and the page with it. */
#define PAIRED_ROWS_MAX 24u

static int is_told(const json_t *group, const json_t *base, const json_t *pair) {
    return json_array_size(group) <= PAIRED_ROWS_MAX ||
           json_equal(json_object_get(json_array_get(base, 0), "threads"),
                      json_object_get(json_array_get(pair, 0), "threads"));
}

/* Each pair once: the other way round is the inverse of what it says. */
json_t *bm_report_ratios(const json_t *pairs) {
    static const char *const fields[] = {"run", "case", "batch", NULL};
    json_t *ratios = json_array();
    json_t *groups = group_by(pairs, fields);
    const char *key;
    json_t *group;
    json_object_foreach(groups, key, group) {
        for (size_t k = 1; k < json_array_size(group); k++) {
            for (size_t i = 0; i < k; i++) {
                const json_t *base = json_array_get(group, i);
                const json_t *pair = json_array_get(group, k);
                if (is_told(group, base, pair)) {
                    add_ratio(base, pair, ratios);
                }
            }
        }
    }
    json_decref(groups);
    return ratios;
}
