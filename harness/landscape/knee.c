#include "knee.h"

#include "error.h"
#include "landscape.h"
#include "stats.h"
#include "student.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINT_MAX 64u
#define SEED_MAX 64u

/* ---- The fit ---- */

/* Sum of squares at log B_crit = k, with the best log S_min for it. */
static double squares(
    const double *batches, const double *updates, uint32_t count, double k, double *log_updates) {
    double mean = 0;
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        mean += (log(updates[i]) - log1p(exp(k) / batches[i])) / count;
    }
    for (uint32_t i = 0; i < count; i++) {
        double rest = log(updates[i]) - log1p(exp(k) / batches[i]) - mean;
        sum += rest * rest;
    }
    *log_updates = mean;
    return sum;
}

/* Beyond these times the extreme batch sizes the data cannot tell a knee from none. */
#define BEYOND 100.0
#define STEPS 400

/* The best k: on a grid, then between its neighbours by golden section. 0 if it is at an end. */
static int find_critical(
    const double *batches, const double *updates, uint32_t count, double *k, double *log_updates) {
    const double golden = 0.6180339887498949;
    double low = log(batches[0]);
    double high = low;
    for (uint32_t i = 1; i < count; i++) {
        low = fmin(low, log(batches[i]));
        high = fmax(high, log(batches[i]));
    }
    low -= log(BEYOND);
    high += log(BEYOND);
    const double step = (high - low) / STEPS;
    uint32_t best = 0;
    double least = INFINITY;
    for (uint32_t i = 0; i <= STEPS; i++) {
        double found = squares(batches, updates, count, low + step * i, log_updates);
        best = found < least ? i : best;
        least = fmin(least, found);
    }
    double a = low + step * ((double)best - 1);
    double b = low + step * ((double)best + 1);
    while (b - a > 1e-9) {
        double left = b - golden * (b - a);
        double right = a + golden * (b - a);
        int goes_left = squares(batches, updates, count, left, log_updates) <
                        squares(batches, updates, count, right, log_updates);
        b = goes_left ? right : b;
        a = goes_left ? a : left;
    }
    *k = (a + b) / 2;
    (void)squares(batches, updates, count, *k, log_updates);
    return best > 0 && best < STEPS;
}

/* Of log B_crit, each batch size left out once (Efron and Stein 1981). NAN where one of these fits
 * has no knee. */
static double half_width(const double *batches, const double *updates, uint32_t count) {
    double others_b[POINT_MAX] = {0};
    double others_u[POINT_MAX] = {0};
    double found[POINT_MAX];
    double mean = 0;
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        double unused;
        uint32_t kept = 0;
        for (uint32_t j = 0; j < count; j++) {
            others_b[kept] = batches[j];
            others_u[kept] = updates[j];
            kept += j != i;
        }
        if (!find_critical(others_b, others_u, kept, &found[i], &unused)) {
            return (double)NAN;
        }
        mean += found[i] / count;
    }
    for (uint32_t i = 0; i < count; i++) {
        sum += (found[i] - mean) * (found[i] - mean);
    }
    return bm_student_quantile(.975, count - 1) * sqrt(sum * (count - 1) / count);
}

int bm_knee_fit(const double *batches,
                const double *updates,
                uint32_t count,
                struct bm_knee *knee) {
    double k;
    double log_updates;
    BM_ASSERT(count <= POINT_MAX);
    *knee = (struct bm_knee){(double)NAN, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
    if (count < BM_KNEE_POINTS_MIN || !find_critical(batches, updates, count, &k, &log_updates)) {
        return 0;
    }
    knee->critical = exp(k);
    knee->updates = exp(log_updates);
    knee->examples = knee->critical * knee->updates;
    if (count > BM_KNEE_POINTS_MIN) {
        double half = half_width(batches, updates, count);
        knee->low = exp(k - half);
        knee->high = exp(k + half);
    }
    return 1;
}

/* ---- From a record ---- */

/* What a curve is of. */
struct curve {
    const char *optimizer;
    double target;
    uint32_t count;
    double batches[POINT_MAX];
    double seeds[POINT_MAX][SEED_MAX]; /* updates; NAN: not reached */
    uint32_t seed_count[POINT_MAX];
};

static int is_final(const json_t *object) {
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const char *role = json_string_value(json_object_get(object, "role"));
    return kind != NULL && role != NULL && strcmp(kind, "training") == 0 &&
           strcmp(role, "final") == 0;
}

static void add_training(struct curve *curve, double batch, double updates) {
    uint32_t i = 0;
    while (i < curve->count && curve->batches[i] != batch) {
        i++;
    }
    if (i == curve->count && i < POINT_MAX) {
        curve->batches[curve->count++] = batch;
        curve->seed_count[i] = 0;
    }
    if (i < curve->count && curve->seed_count[i] < SEED_MAX) {
        curve->seeds[i][curve->seed_count[i]++] = updates;
    }
}

static const json_t *target_of(const json_t *training, double accuracy) {
    size_t index;
    const json_t *target;
    json_array_foreach(json_object_get(training, "targets"), index, target) {
        if (json_number_value(json_object_get(target, "accuracy")) == accuracy) {
            return target;
        }
    }
    return NULL;
}

static void collect(const json_t *objects, struct curve *curve) {
    size_t index;
    const json_t *object;
    curve->count = 0;
    json_array_foreach(objects, index, object) {
        const char *optimizer = json_string_value(json_object_get(object, "optimizer"));
        double batch = json_number_value(json_object_get(object, "batch"));
        if (!is_final(object) || optimizer == NULL || strcmp(optimizer, curve->optimizer) != 0 ||
            !(batch >= 1)) {
            continue;
        }
        const json_t *target = target_of(object, curve->target);
        double updates = json_number_value(json_object_get(target, "updates"));
        int reached = json_is_true(json_object_get(target, "reached")) && updates > 0;
        add_training(curve, batch, reached ? updates : (double)NAN);
    }
}

/* NAN if a seed did not get there. */
static double median_updates(struct curve *curve, uint32_t i) {
    for (uint32_t s = 0; s < curve->seed_count[i]; s++) {
        if (isnan(curve->seeds[i][s])) {
            return (double)NAN;
        }
    }
    return bm_stats_median(curve->seeds[i], curve->seed_count[i]);
}

static json_t *curve_json(struct curve *curve, const char *name) {
    double batches[POINT_MAX];
    double updates[POINT_MAX];
    double examples[POINT_MAX];
    uint32_t count = 0;
    struct bm_knee knee;
    for (uint32_t i = 0; i < curve->count; i++) {
        batches[count] = curve->batches[i];
        updates[count] = median_updates(curve, i);
        examples[count] = batches[count] * updates[count];
        count += isnan(updates[count]) ? 0 : 1;
    }
    int found = bm_knee_fit(batches, updates, count, &knee);
    json_t *object = bm_landscape_object("noise", "knee");
    json_t *fields = json_pack(
        "{s:s, s:f, s:s, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "record", name, "target",
        curve->target, "optimizer", curve->optimizer, "batches",
        bm_landscape_numbers(batches, count), "updates", bm_landscape_numbers(updates, count),
        "examples", bm_landscape_numbers(examples, count), "points", (int)count, "smallest_updates",
        bm_field_finite(knee.updates), "smallest_examples", bm_field_finite(knee.examples),
        "critical_batch", bm_field_finite(knee.critical), "low", bm_field_finite(knee.low), "high",
        bm_field_finite(knee.high));
    (void)json_object_update(object, fields);
    json_decref(fields);
    if (!found) {
        bm_landscape_fail(object, "skipped",
                          count < BM_KNEE_POINTS_MIN
                              ? "fewer than 3 batch sizes reached the target with every seed"
                              : "no knee within the batch sizes");
    }
    return object;
}

static int is_known(const json_t *list, const char *optimizer, double target) {
    size_t index;
    const json_t *object;
    json_array_foreach(list, index, object) {
        if (strcmp(json_string_value(json_object_get(object, "optimizer")), optimizer) == 0 &&
            json_number_value(json_object_get(object, "target")) == target) {
            return 1;
        }
    }
    return 0;
}

static void add_targets(const json_t *objects,
                        const json_t *training,
                        const char *name,
                        struct curve *curve,
                        json_t *list) {
    size_t index;
    const json_t *target;
    const char *optimizer = json_string_value(json_object_get(training, "optimizer"));
    json_array_foreach(json_object_get(training, "targets"), index, target) {
        double accuracy = json_number_value(json_object_get(target, "accuracy"));
        if (optimizer != NULL && accuracy > 0 && !is_known(list, optimizer, accuracy)) {
            curve->optimizer = optimizer;
            curve->target = accuracy;
            collect(objects, curve);
            (void)json_array_append_new(list, curve_json(curve, name));
        }
    }
}

json_t *bm_knee_objects(const json_t *objects, const char *name) {
    size_t index;
    const json_t *object;
    json_t *list = json_array();
    struct curve *curve = malloc(sizeof *curve);
    json_array_foreach(objects, index, object) {
        if (curve != NULL && is_final(object)) {
            add_targets(objects, object, name, curve, list);
        }
    }
    free(curve);
    return list;
}
