#include "train_resume.h"

#include "field.h"

#include <math.h>
#include <string.h>

/* Records hold nine digits of a real, and all of an integer. */
#define PRECISION 1e-8

static int same_value(const json_t *a, const json_t *b) {
    if (json_is_integer(a) && json_is_integer(b)) {
        return json_integer_value(a) == json_integer_value(b);
    }
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a);
        double y = json_number_value(b);
        return fabs(x - y) <= PRECISION * fmax(fabs(x), fabs(y));
    }
    return json_equal(a, b);
}

int bm_train_matches(const json_t *object, json_t *key) {
    const char *name;
    json_t *value;
    json_object_foreach(key, name, value) {
        const json_t *found = json_object_get(object, name);
        if (found == NULL || !same_value(found, value)) {
            return 0;
        }
    }
    return 1;
}

static int has_verdict(const json_t *object) {
    const char *status = json_string_value(json_object_get(object, "status"));
    return status != NULL && strcmp(status, "skipped") != 0 && strcmp(status, "cut") != 0;
}

int bm_train_is_finished(const json_t *object) {
    return bm_field_is_kind(object, "training") && has_verdict(object);
}

json_t *bm_train_find(const json_t *objects, json_t *key) {
    size_t index;
    json_t *object;
    json_array_foreach(objects, index, object) {
        if (bm_train_is_finished(object) && bm_train_matches(object, key)) {
            return object;
        }
    }
    return NULL;
}

json_t *bm_train_known(const json_t *objects, json_t *key) {
    size_t index;
    json_t *object;
    json_array_foreach(objects, index, object) {
        if (bm_train_matches(object, key)) {
            return object;
        }
    }
    return NULL;
}

/* As a point of a curve has them: the fields of bm_training_key but for those that follow from
 * others (label, device_name, software) and the batch size as it was asked for. */
static json_t *key_of(const json_t *point) {
    static const char *const names[] = {
        "backend",        "device",        "model",  "layers",        "dataset",
        "optimizer",      "schedule",      "batch",  "threads",       "precision",
        "seed",           "micro_batch",   "role",   "rate",          "momentum",
        "weight_decay",   "momentum_form", "images", "budget_epochs", "budget_updates",
        "budget_seconds", "from"};
    json_t *key = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *value = json_object_get(point, names[i]);
        (void)json_object_set_new(key, names[i], value == NULL ? json_null() : json_incref(value));
    }
    return key;
}

static int has_all(const json_t *object, const char *const *names, size_t count, json_type type) {
    for (size_t i = 0; i < count; i++) {
        const json_t *member = json_object_get(object, names[i]);
        if (member == NULL || json_typeof(member) != type) {
            return 0;
        }
    }
    return 1;
}

static int is_count(const json_t *object, const char *name, uint64_t value) {
    const json_t *member = json_object_get(object, name);
    return json_is_integer(member) && (uint64_t)json_integer_value(member) == value;
}

/* Points are written in their order: with the last one there are all. */
static int has_points(const json_t *earlier, const json_t *details) {
    json_t *wanted = json_copy(json_object_get(details, "key"));
    (void)json_object_set_new(wanted, "kind", json_string("epoch"));
    (void)json_object_set(wanted, "updates",
                          json_object_get(json_object_get(details, "last"), "updates"));
    size_t index;
    const json_t *object;
    int found = 0;
    json_array_foreach(earlier, index, object) {
        found |= bm_train_matches(object, wanted);
    }
    json_decref(wanted);
    return found;
}

/* Types and numbers; what they mean is the training's matter. */
static int is_whole(const struct bm_checkpoint *checkpoint) {
    static const char *const reals[] = {"start_loss", "best_loss", "seconds", "update_s",
                                        "fraction"};
    static const char *const integers[] = {"best_update", "above_since", "epoch", "updates"};
    static const char *const arrays[] = {"budgets", "targets"};
    static const char *const objects[] = {"last", "key"};
    const json_t *details = checkpoint->details;
    const json_t *key = json_object_get(details, "key");
    return has_all(details, reals, sizeof reals / sizeof reals[0], JSON_REAL) &&
           has_all(details, integers, sizeof integers / sizeof integers[0], JSON_INTEGER) &&
           has_all(details, arrays, sizeof arrays / sizeof arrays[0], JSON_ARRAY) &&
           has_all(details, objects, sizeof objects / sizeof objects[0], JSON_OBJECT) &&
           is_count(details, "updates", checkpoint->update - 1) &&
           is_count(details, "epoch", checkpoint->epoch) &&
           is_count(key, "images", checkpoint->train_count) &&
           is_count(key, "batch", checkpoint->batch) && is_count(key, "seed", checkpoint->seed);
}

int bm_train_can_go_on(const json_t *earlier, const struct bm_checkpoint *checkpoint) {
    return is_whole(checkpoint) && has_points(earlier, checkpoint->details);
}

static int is_before(const json_t *point, const struct bm_checkpoint *checkpoint) {
    const json_t *details = checkpoint->details;
    return bm_train_matches(point, json_object_get(details, "key")) &&
           json_integer_value(json_object_get(point, "updates")) <=
               json_integer_value(json_object_get(details, "updates"));
}

int bm_train_keeps(const json_t *earlier,
                   const struct bm_checkpoint *checkpoint,
                   const json_t *object) {
    if (bm_field_is_kind(object, "training")) {
        return bm_train_is_finished(object);
    }
    if (bm_field_is_kind(object, "epoch")) {
        json_t *key = key_of(object);
        int keeps = bm_train_find(earlier, key) != NULL ||
                    (checkpoint != NULL && is_before(object, checkpoint));
        json_decref(key);
        return keeps;
    }
    if (bm_field_is_kind(object, "swap")) {
        return has_verdict(object);
    }
    return bm_field_is_kind(object, "noise") || bm_field_is_kind(object, "cell");
}
