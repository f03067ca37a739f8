/* The knee of updates to a target (landscape/knee.h): known hyperbolas, noise, data without a knee,
 * and the trainings of a record. */
#include "knee.h"

#include "test.h"

#include <math.h>

#define COUNT 8u

static const double batches[COUNT] = {1, 4, 16, 64, 256, 1024, 4096, 16384};

static void check_known(double least_updates, double critical) {
    double updates[COUNT];
    struct bm_knee knee;
    for (uint32_t i = 0; i < COUNT; i++) {
        updates[i] = least_updates * (1 + critical / batches[i]);
    }
    TEST_CHECK(bm_knee_fit(batches, updates, COUNT, &knee) == 1);
    TEST_CHECK_MSG(fabs(knee.critical / critical - 1) < 1e-6, "critical batch %.9g, expected %g",
                   knee.critical, critical);
    TEST_CHECK(fabs(knee.updates / least_updates - 1) < 1e-6);
    TEST_CHECK(fabs(knee.examples / (critical * least_updates) - 1) < 1e-6);
    TEST_CHECK(knee.low <= knee.critical && knee.critical <= knee.high);
    TEST_CHECK(knee.high / knee.low < 1.001);
}

static void check_noisy(void) {
    static const double factors[COUNT] = {1.1, .9, 1.05, .95, 1.1, .9, 1.05, .95};
    double updates[COUNT];
    struct bm_knee knee;
    for (uint32_t i = 0; i < COUNT; i++) {
        updates[i] = 50 * (1 + 100 / batches[i]) * factors[i];
    }
    TEST_CHECK(bm_knee_fit(batches, updates, COUNT, &knee) == 1);
    TEST_CHECK_MSG(knee.low < 100 && 100 < knee.high, "%g (%g to %g)", knee.critical, knee.low,
                   knee.high);
    TEST_CHECK(knee.high / knee.low > 1.05 && knee.high / knee.low < 3);
}

static void check_none(void) {
    double updates[COUNT];
    struct bm_knee knee;
    for (uint32_t i = 0; i < COUNT; i++) {
        updates[i] = 1e6 / batches[i]; /* twice the batch, half the updates: all along */
    }
    TEST_CHECK(bm_knee_fit(batches, updates, COUNT, &knee) == 0 && isnan(knee.critical));
    for (uint32_t i = 0; i < COUNT; i++) {
        updates[i] = 1000; /* the batch does not matter */
    }
    TEST_CHECK(bm_knee_fit(batches, updates, COUNT, &knee) == 0 && isnan(knee.critical));
    TEST_CHECK(bm_knee_fit(batches, updates, 2, &knee) == 0);
}

static void
add(json_t *objects, const char *role, int batch, int seed, double updates, int reached) {
    json_t *target =
        json_pack("{s:f, s:b, s:f}", "accuracy", .97, "reached", reached, "updates", updates);
    (void)json_array_append_new(objects,
                                json_pack("{s:s, s:s, s:s, s:i, s:i, s:[o]}", "kind", "training",
                                          "role", role, "optimizer", "momentum", "batch", batch,
                                          "seed", seed, "targets", target));
}

static void check_record(void) {
    json_t *objects = json_array();
    for (int seed = 1; seed <= 3; seed++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            double updates = 50 * (1 + 100 / batches[i]);
            int lost = i == COUNT - 1 && seed == 2; /* one seed did not get there: not used */
            add(objects, "final", (int)batches[i], seed, updates * (seed == 3 ? 9 : 1), !lost);
            add(objects, "trial", (int)batches[i], seed, 1, 1);
        }
    }
    json_t *knees = bm_knee_objects(objects, "small.jsonl");
    TEST_CHECK(json_array_size(knees) == 1);
    const json_t *knee = json_array_get(knees, 0);
    TEST_CHECK_STR(json_string_value(json_object_get(knee, "record")), "small.jsonl");
    TEST_CHECK_STR(json_string_value(json_object_get(knee, "status")), "ok");
    TEST_CHECK(json_integer_value(json_object_get(knee, "points")) == COUNT - 1);
    double critical = json_number_value(json_object_get(knee, "critical_batch"));
    double least = json_number_value(json_object_get(knee, "smallest_updates"));
    TEST_CHECK_MSG(fabs(critical - 100) < 1e-3 && fabs(least - 50) < 1e-3,
                   "median over seeds: %g and %g", critical, least);
    json_decref(knees);
    (void)json_array_clear(objects);
    add(objects, "final", 10, 1, 100, 1);
    add(objects, "final", 100, 1, 50, 1);
    knees = bm_knee_objects(objects, "two.jsonl");
    TEST_CHECK_STR(json_string_value(json_object_get(json_array_get(knees, 0), "status")),
                   "skipped");
    json_decref(knees);
    json_decref(objects);
}

int main(void) {
    check_known(50, 100);
    check_known(1000, 3);
    check_known(7, 5000);
    check_noisy();
    check_none();
    check_record();
    return 0;
}
