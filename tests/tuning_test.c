/* Trials of the learning rate: their sequence, what they have in common, the best, and the edges.
 */
#include "error.h"
#include "reference.h"
#include "test.h"
#include "tuning.h"

#include <math.h>

static void check_close(double found, double expected) {
    TEST_CHECK_MSG(fabs(found - expected) <= 1e-13 * fabs(expected), "found %.17g, expected %.17g",
                   found, expected);
}

/* Where a rate lies in its range of three decades, of which the first trial is the middle: 0 at the
 * low end, 1 at the high one. */
static double place_of(uint32_t optimizer, double rate) {
    return 0.5 + log(rate / bm_tuning_rate(optimizer, 0, 1)) / log(1000.0);
}

static void test_usual_rates_lie_inside(void) {
    for (uint32_t rule = 0; rule < BM_OPTIMIZER_COUNT; rule++) {
        TEST_CHECK(bm_tuning_rate(rule, 0, 1) > 0);
        double place = place_of(rule, bm_tuning_default_rate(rule));
        TEST_CHECK_MSG(place > 0.3 && place < 0.8, "%s: %g", bm_optimizer_names[rule], place);
    }
}

/* Each rule has its own range; sgd's, from .001 to 1, is written out here. */
static void test_rates_of_sgd(void) {
    check_close(bm_tuning_rate(BM_OPTIMIZER_SGD, 0, 3), pow(10.0, -1.5));
    check_close(bm_tuning_rate(BM_OPTIMIZER_SGD, 1, 3), pow(10.0, -2.25));
    check_close(bm_tuning_rate(BM_OPTIMIZER_SGD, 2, 3), pow(10.0, -0.75));
}

/* Niederreiter's first elements, without the 0 at the beginning; every range is as wide. */
static void test_van_der_corput(void) {
    const double expected[] = {1 / 2.0, 1 / 4.0, 3 / 4.0,  1 / 8.0, 5 / 8.0,
                               3 / 8.0, 7 / 8.0, 1 / 16.0, 9 / 16.0};
    for (uint32_t rule = 0; rule < BM_OPTIMIZER_COUNT; rule++) {
        for (uint32_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
            double place = place_of(rule, bm_tuning_rate(rule, i, 9));
            TEST_CHECK_MSG(fabs(place - expected[i]) < 1e-12, "%s, trial %u: %g",
                           bm_optimizer_names[rule], i, place);
        }
    }
}

static void test_trials_are_nested(void) {
    for (uint32_t count = 1; count <= 64; count++) {
        for (uint32_t trial = 0; trial < count; trial++) {
            TEST_CHECK(bm_tuning_rate(BM_OPTIMIZER_ADAM, trial, count) ==
                       bm_tuning_rate(BM_OPTIMIZER_ADAM, trial, 2 * count));
        }
    }
}

/* 2^k - 1 trials are at every multiple of 2^-k of the range, each once. */
static void test_trials_divide_evenly(void) {
    uint32_t seen[64] = {0};
    for (uint32_t trial = 0; trial < 63; trial++) {
        double place =
            64.0 * place_of(BM_OPTIMIZER_LARS, bm_tuning_rate(BM_OPTIMIZER_LARS, trial, 63));
        TEST_CHECK(fabs(place - round(place)) < 1e-10 && place > 0.5 && place < 63.5);
        seen[(uint32_t)round(place)]++;
    }
    for (uint32_t i = 1; i < 64; i++) {
        TEST_CHECK(seen[i] == 1);
    }
}

/* The last trial that can be asked for. */
static void test_the_last_trial(void) {
    double place =
        place_of(BM_OPTIMIZER_SGD, bm_tuning_rate(BM_OPTIMIZER_SGD, UINT32_MAX - 1, UINT32_MAX));
    TEST_CHECK(place > 0.999 && place <= 1.0);
}

static void test_best(void) {
    const double scores[] = {0.91, 0.97, 0.95, 0.97, 0.97};
    const double rates[] = {0.1, 0.3, 1.0, 0.03, 0.2};
    const uint32_t failed[] = {0, 0, 0, 1, 0};
    const uint32_t none[] = {0, 0, 0, 0, 0};
    const uint32_t all[] = {1, 1, 1, 1, 1};
    TEST_CHECK(bm_tuning_best(scores, rates, none, 5) == 3);
    TEST_CHECK(bm_tuning_best(scores, rates, NULL, 5) == 3);
    TEST_CHECK(bm_tuning_best(scores, rates, failed, 5) == 4);
    TEST_CHECK(bm_tuning_best(scores, rates, NULL, 3) == 1);
    TEST_CHECK(bm_tuning_best(scores, rates, all, 5) == -1);
    TEST_CHECK(bm_tuning_best(NULL, NULL, NULL, 0) == -1);
}

/* A diverged trial has no accuracy, and one that learns nothing is still better than it. */
static void test_failed_scores_are_not_read(void) {
    const double scores[] = {(double)NAN, 0.0, (double)INFINITY};
    const double rates[] = {1, 2, 3};
    const uint32_t failed[] = {1, 0, 7};
    TEST_CHECK(bm_tuning_best(scores, rates, failed, 3) == 1);
}

static void test_edges(void) {
    const double rates[] = {0.1, 0.03, 1.0, 0.3};
    TEST_CHECK(bm_tuning_at_edge(rates, 4, 0) == 0);
    TEST_CHECK(bm_tuning_at_edge(rates, 4, 1) == BM_TUNING_EDGE_LOW);
    TEST_CHECK(bm_tuning_at_edge(rates, 4, 2) == BM_TUNING_EDGE_HIGH);
    TEST_CHECK(bm_tuning_at_edge(rates, 4, 3) == 0);
    TEST_CHECK(bm_tuning_at_edge(rates, 1, 0) == (BM_TUNING_EDGE_LOW | BM_TUNING_EDGE_HIGH));
    TEST_CHECK(bm_tuning_at_edge(rates, 2, 0) == BM_TUNING_EDGE_HIGH);
}

int main(void) {
    test_usual_rates_lie_inside();
    test_rates_of_sgd();
    test_van_der_corput();
    test_trials_are_nested();
    test_trials_divide_evenly();
    test_the_last_trial();
    test_best();
    test_failed_scores_are_not_read();
    test_edges();
    return 0;
}
