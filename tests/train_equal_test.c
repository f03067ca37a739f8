/* Trainings are told apart by every digit of a seed, and two backends paired by it; rates are those
 * that a record has rounded. */
#include "test.h"
#include "train_equal.h"
#include "train_resume.h"

#include <math.h>

#define SEED ((json_int_t)1764300000) /* a time; the next is nearer to it than rounding is */
#define SEEDS 5

static void add(json_t *objects, const char *backend, json_int_t seed, double accuracy) {
    json_t *training =
        json_pack("{s:s, s:s, s:s, s:i, s:s, s:I, s:s, s:f, s:{s:f}}", "kind", "training", "model",
                  "m", "backend", backend, "device", 0, "role", "final", "seed", seed, "status",
                  "ok", "rate", 0.123456789, "test", "accuracy", accuracy);
    TEST_CHECK(training != NULL && json_array_append_new(objects, training) == 0);
}

/* `a` is right every time, `b` in 1, .99, .98, .97 and .96: .02 in the mean. */
static json_t *make_record(void) {
    json_t *objects = json_array();
    for (int i = 0; i < SEEDS; i++) {
        add(objects, "a", SEED + i, 1);
        add(objects, "b", SEED + i, 1 - 0.01 * i);
    }
    return objects;
}

static void test_pairs(void) {
    json_t *objects = make_record();
    json_t *key = json_pack("{s:s, s:s}", "model", "m", "role", "final");
    json_t *a = json_pack("{s:s, s:i}", "backend", "a", "device", 0);
    json_t *b = json_pack("{s:s, s:i}", "backend", "b", "device", 0);
    json_t *found = bm_train_equivalence(objects, key, a, b, 0.5);
    double difference = json_number_value(json_object_get(found, "difference"));
    TEST_CHECK(json_integer_value(json_object_get(found, "seeds")) == SEEDS);
    TEST_CHECK_MSG(fabs(difference - 0.02) < 1e-12, "found %.17g", difference);
    json_decref(found);
    json_decref(a);
    json_decref(b);
    json_decref(key);
    json_decref(objects);
}

static void check_found(const json_t *objects, json_t *key, json_int_t index) {
    TEST_CHECK(key != NULL);
    TEST_CHECK(bm_train_find(objects, key) ==
               (index < 0 ? NULL : json_array_get(objects, (size_t)index)));
    json_decref(key);
}

/* What --resume looks for, each with its index in the record. */
static void test_find(void) {
    json_t *objects = make_record();
    for (int i = 0; i < SEEDS; i++) {
        check_found(objects, json_pack("{s:s, s:I}", "backend", "b", "seed", SEED + i), 2 * i + 1);
    }
    check_found(objects, json_pack("{s:I}", "seed", SEED - 1), -1);
    check_found(objects, json_pack("{s:I}", "seed", SEED + SEEDS), -1);
    check_found(objects, json_pack("{s:f}", "rate", 0.12345678912345), 0);
    check_found(objects, json_pack("{s:f}", "rate", 0.1234568), -1);
    json_decref(objects);
}

int main(void) {
    test_pairs();
    test_find();
    return 0;
}
