#include "train_equal.h"

#include "field.h"
#include "options.h"
#include "record.h"
#include "seeds.h"
#include "train_resume.h"

#include <math.h>
#include <string.h>

#define ALPHA 0.05

double bm_train_margin(const char *dataset) {
    if (strcmp(dataset, "mnist") == 0) {
        return 0.003;
    }
    return strcmp(dataset, "fashion-mnist") == 0 ? 0.006 : 0.015;
}

/* Accuracy of one seed; NaN if that training did not get there. A training that went wrong by its
 * own verdict has no accuracy to compare. */
static double accuracy_of(const json_t *objects, json_t *key, json_int_t seed) {
    json_t *whole = json_copy(key);
    (void)json_object_set_new(whole, "seed", json_integer(seed));
    const json_t *found = bm_train_find(objects, whole);
    json_decref(whole);
    const char *status = json_string_value(json_object_get(found, "status"));
    const json_t *accuracy = json_object_get(json_object_get(found, "test"), "accuracy");
    return status != NULL && strcmp(status, "ok") == 0 && json_is_number(accuracy)
               ? json_number_value(accuracy)
               : (double)NAN;
}

static json_t *key_with(json_t *key, json_t *backend) {
    json_t *whole = json_copy(key);
    (void)json_object_update(whole, backend);
    return whole;
}

struct pairs {
    double a[BM_LIST_MAX];
    double b[BM_LIST_MAX];
    uint64_t count;
};

/* Seeds are those of the first backend's trainings. */
static void collect(const json_t *objects, json_t *a_key, json_t *b_key, struct pairs *pairs) {
    size_t index;
    const json_t *object;
    pairs->count = 0;
    json_array_foreach(objects, index, object) {
        if (!bm_train_is_finished(object) || !bm_train_matches(object, a_key) ||
            pairs->count == BM_LIST_MAX) {
            continue;
        }
        json_int_t seed = json_integer_value(json_object_get(object, "seed"));
        double a = accuracy_of(objects, a_key, seed);
        double b = accuracy_of(objects, b_key, seed);
        if (isfinite(a) && isfinite(b)) {
            pairs->a[pairs->count] = a;
            pairs->b[pairs->count++] = b;
        }
    }
}

json_t *bm_train_equivalence(
    const json_t *objects, json_t *key, json_t *backend, json_t *baseline, double margin) {
    struct pairs pairs;
    json_t *a_key = key_with(key, backend);
    json_t *b_key = key_with(key, baseline);
    collect(objects, a_key, b_key, &pairs);
    json_decref(a_key);
    json_decref(b_key);
    struct bm_seeds_equivalence found =
        bm_seeds_equivalent(pairs.a, pairs.b, pairs.count, margin, ALPHA);
    json_t *object = json_pack("{s:s, s:i}", "kind", "equivalence", "schema", BM_RECORD_SCHEMA);
    (void)json_object_update(object, key);
    (void)json_object_update(object, backend);
    (void)json_object_set(object, "baseline", json_object_get(baseline, "backend"));
    (void)json_object_set_new(object, "margin", json_real(margin));
    (void)json_object_set_new(object, "seeds", json_integer((json_int_t)pairs.count));
    (void)json_object_set_new(object, "difference", bm_field_finite(found.difference.mean));
    (void)json_object_set_new(object, "low", bm_field_finite(found.difference.low));
    (void)json_object_set_new(object, "high", bm_field_finite(found.difference.high));
    (void)json_object_set_new(object, "p", bm_field_finite(found.p));
    (void)json_object_set_new(object, "verdict", json_string(bm_seeds_verdict_name(found.verdict)));
    (void)json_object_set_new(object, "reason", json_string(found.reason));
    return object;
}
