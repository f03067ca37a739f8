/* Change points of made-up series whose steps, spikes and noise are known. */
#include "change_points.h"
#include "random.h"
#include "test.h"

#include <math.h>

#define COUNT_MAX 20000u
#define LEVEL_NS 1e6

static double values[COUNT_MAX];
static struct bm_change_point points[COUNT_MAX / BM_CHANGE_SIDE_MIN];

static uint32_t find(uint32_t count, double threshold) {
    struct bm_error error = {.text = ""};
    uint32_t found = UINT32_MAX;
    TEST_CHECK(bm_change_points_find(values, count, threshold, points, &found, &error) ==
               BM_STATUS_OK);
    return found;
}

/* Box and Muller. */
static double normal(struct bm_random *random) {
    double radius = sqrt(-2 * log(1 - bm_random_double(random)));
    return radius * cos(2 * acos(-1.0) * bm_random_double(random));
}

/* Normal logarithms of deviation `noise`, each taking `memory` of the one before. */
static void fill(uint32_t count, uint32_t seed, double noise, double memory) {
    struct bm_random random;
    bm_random_init(&random, seed, BM_RANDOM_DATA, 0);
    double state = normal(&random);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = LEVEL_NS * exp(noise * state);
        state = memory * state + sqrt(1 - memory * memory) * normal(&random);
    }
}

static void scale(uint32_t begin, uint32_t end, double factor) {
    for (uint32_t i = begin; i < end; i++) {
        values[i] *= factor;
    }
}

static void check_index(uint32_t point, uint32_t expected) {
    TEST_CHECK_MSG(points[point].index == expected, "point %u: index %u, expected %u", point,
                   points[point].index, expected);
}

static void check_ratio(uint32_t point, double expected, double tolerance) {
    TEST_CHECK_MSG(fabs(points[point].ratio / expected - 1) <= tolerance,
                   "point %u: ratio %.9g, expected %.9g", point, points[point].ratio, expected);
}

static void test_nothing_to_find(void) {
    TEST_CHECK(find(0, 0.02) == 0);
    fill(2 * BM_CHANGE_SIDE_MIN - 1, 1, 0, 0);
    scale(BM_CHANGE_SIDE_MIN, 2 * BM_CHANGE_SIDE_MIN - 1, 2);
    TEST_CHECK(find(2 * BM_CHANGE_SIDE_MIN - 1, 0.02) == 0);
    fill(100, 1, 0, 0);
    TEST_CHECK(find(100, 0) == 0);
}

static void test_step_without_noise(void) {
    fill(40, 1, 0, 0);
    scale(17, 40, 1.1);
    TEST_CHECK(find(40, 0.02) == 1);
    check_index(0, 17);
    check_ratio(0, 1.1, 1e-9);
    TEST_CHECK(points[0].first == 17 && points[0].last == 17);
    TEST_CHECK(points[0].p == 0);
}

/* The first four values against the last four: the shortest series that has a change. */
static void test_shortest_levels(void) {
    fill(8, 1, 0, 0);
    scale(4, 8, 0.8);
    TEST_CHECK(find(8, 0.02) == 1);
    check_index(0, 4);
    check_ratio(0, 0.8, 1e-9);
    fill(100, 2, 0.01, 0);
    scale(97, 100, 1.5);
    TEST_CHECK(find(100, 0.02) == 0);
    fill(100, 2, 0.01, 0);
    scale(96, 100, 1.1);
    TEST_CHECK(find(100, 0.02) == 1);
    check_index(0, 96);
}

static void test_step_in_noise(void) {
    fill(60, 3, 0.01, 0);
    scale(35, 60, 1.05);
    TEST_CHECK(find(60, 0.02) == 1);
    check_index(0, 35);
    check_ratio(0, 1.05, 0.01);
    TEST_CHECK(points[0].low < 1.05 && points[0].high > 1.05);
    TEST_CHECK(points[0].low > 1.035 && points[0].high < 1.065);
    TEST_CHECK(points[0].p > 0 && points[0].p < BM_CHANGE_P_MAX);
    TEST_CHECK(points[0].first <= 35 && points[0].last >= 35);
}

static void test_several_steps(void) {
    fill(120, 4, 0.01, 0);
    scale(30, 45, 1.1); /* slower for a while */
    scale(90, 120, 0.7);
    TEST_CHECK(find(120, 0.02) == 3);
    check_index(0, 30);
    check_index(1, 45);
    check_index(2, 90);
    check_ratio(0, 1.1, 0.02);
    check_ratio(1, 1 / 1.1, 0.02);
    check_ratio(2, 0.7, 0.02);
}

static void test_spikes_are_no_change(void) {
    for (uint32_t at = 0; at < 40; at++) {
        for (uint32_t length = 1; length <= 2; length++) {
            fill(40, 5, 0.01, 0);
            scale(at, at + length < 40 ? at + length : 40, 3);
            TEST_CHECK_MSG(find(40, 0.02) == 0, "%u values from %u on, %u found", length, at,
                           find(40, 0.02));
        }
    }
}

/* A tenth of the runs is half as slow again: the step between them is found all the same. */
static void test_step_among_spikes(void) {
    fill(60, 6, 0.01, 0);
    scale(30, 60, 1.06);
    for (uint32_t i = 5; i < 60; i += 10) {
        values[i] *= 1.5;
    }
    TEST_CHECK(find(60, 0.02) == 1);
    check_index(0, 30);
    check_ratio(0, 1.06, 0.01);
}

static void test_threshold(void) {
    fill(40, 7, 0.001, 0);
    scale(20, 40, 1.019);
    TEST_CHECK(find(40, 0.02) == 0);
    TEST_CHECK(find(40, 0.01) == 1);
    fill(40, 7, 0.001, 0);
    scale(20, 40, 1 / 1.021);
    TEST_CHECK(find(40, 0.02) == 1);
}

/* A step that is too small to be told is a step all the same: it moves neither the place nor the
 * size of the one before it. */
static void test_small_step_stays_apart(void) {
    fill(60, 8, 0.001, 0);
    scale(20, 60, 1.05);
    scale(35, 60, 1.015);
    TEST_CHECK(find(60, 0.01) == 2);
    TEST_CHECK(find(60, 0.02) == 1);
    check_index(0, 20);
    check_ratio(0, 1.05, 0.001);
}

static uint32_t count_false_alarms(uint32_t series, uint32_t count, double memory) {
    uint32_t alarms = 0;
    for (uint32_t seed = 0; seed < series; seed++) {
        fill(count, 100 + seed, 0.05, memory);
        alarms += find(count, 0) > 0;
    }
    return alarms;
}

/* At most one series in a thousand has a change by chance; 6 of 1000 would be one in 1600. */
static void test_false_alarms(void) {
    uint32_t alarms = count_false_alarms(1000, 30, 0);
    TEST_CHECK_MSG(alarms <= 5, "%u of 1000", alarms);
}

/* A machine's mood lasts: neighbours that are alike are not mistaken for a level. */
static void test_false_alarms_of_a_mood(void) {
    uint32_t alarms = count_false_alarms(300, 200, 0.6);
    TEST_CHECK_MSG(alarms <= 5, "%u of 300", alarms);
}

/* The place that is told holds the true one 95 times in 100; 180 of 200 leaves room for chance. */
static void test_place(void) {
    uint32_t found = 0;
    uint32_t held = 0;
    uint32_t exact = 0;
    for (uint32_t seed = 0; seed < 200; seed++) {
        fill(100, 5000 + seed, 0.01, 0);
        scale(50, 100, 1.02);
        if (find(100, 0.001) == 1) {
            found++;
            held += points[0].first <= 50 && points[0].last >= 50;
            exact += points[0].index == 50;
            TEST_CHECK(points[0].first <= points[0].index && points[0].index <= points[0].last);
            TEST_CHECK(points[0].last - points[0].first < 30);
        }
    }
    TEST_CHECK_MSG(found >= 190, "found %u of 200", found);
    TEST_CHECK_MSG(held >= found * 9 / 10, "%u of %u in place", held, found);
    TEST_CHECK_MSG(exact < found, "all %u exact: too little noise to say anything", exact);
}

/* Seconds instead of nanoseconds, or the newest first, is the same history. */
static void test_units_and_direction(void) {
    fill(60, 9, 0.02, 0);
    scale(25, 60, 1.2);
    TEST_CHECK(find(60, 0.02) == 1);
    struct bm_change_point forward = points[0];
    scale(0, 60, 1e-9);
    TEST_CHECK(find(60, 0.02) == 1);
    check_index(0, forward.index);
    check_ratio(0, forward.ratio, 1e-9);
    for (uint32_t i = 0; i < 30; i++) {
        double value = values[i];
        values[i] = values[59 - i];
        values[59 - i] = value;
    }
    TEST_CHECK(find(60, 0.02) == 1);
    check_index(0, 60 - forward.index);
    check_ratio(0, 1 / forward.ratio, 1e-9);
}

static void test_repeats(void) {
    fill(300, 10, 0.05, 0);
    scale(100, 300, 1.1);
    uint32_t found = find(300, 0.02);
    TEST_CHECK(found > 0);
    struct bm_change_point first = points[0];
    TEST_CHECK(find(300, 0.02) == found);
    TEST_CHECK(memcmp(&first, &points[0], sizeof first) == 0);
}

static void test_long_series(void) {
    fill(COUNT_MAX, 11, 0.05, 0);
    scale(COUNT_MAX / 2, COUNT_MAX, 1.1);
    scale(COUNT_MAX - 500, COUNT_MAX, 0.8);
    TEST_CHECK(find(COUNT_MAX, 0.02) == 2);
    TEST_CHECK(points[0].first <= COUNT_MAX / 2 && points[0].last >= COUNT_MAX / 2);
    TEST_CHECK(points[1].first <= COUNT_MAX - 500 && points[1].last >= COUNT_MAX - 500);
    check_ratio(0, 1.1, 0.01);
    check_ratio(1, 0.8, 0.02);
}

int main(void) {
    test_nothing_to_find();
    test_step_without_noise();
    test_shortest_levels();
    test_step_in_noise();
    test_several_steps();
    test_spikes_are_no_change();
    test_step_among_spikes();
    test_threshold();
    test_small_step_stays_apart();
    test_false_alarms();
    test_false_alarms_of_a_mood();
    test_place();
    test_units_and_direction();
    test_repeats();
    test_long_series();
    return 0;
}
