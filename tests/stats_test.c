/* Statistics against samples whose answers are known by hand or from a table. */
#include "stats.h"
#include "test.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_close(double found, double expected) {
    TEST_CHECK_MSG(fabs(found - expected) <= 1e-12 * fabs(expected), "found %.17g, expected %.17g",
                   found, expected);
}

/* R: quantile(c(7, 1, 3, 9, 12), c(0, .1, .25, .5, .75, 1), type = 7) */
static void test_quantile_of_five(void) {
    const double values[] = {7, 1, 3, 9, 12};
    double scratch[5];
    check_close(bm_stats_quantile(values, 5, 0.0, scratch), 1.0);
    check_close(bm_stats_quantile(values, 5, 0.1, scratch), 1.8);
    check_close(bm_stats_quantile(values, 5, 0.25, scratch), 3.0);
    check_close(bm_stats_quantile(values, 5, 0.5, scratch), 7.0);
    check_close(bm_stats_quantile(values, 5, 0.75, scratch), 9.0);
    check_close(bm_stats_quantile(values, 5, 1.0, scratch), 12.0);
    TEST_CHECK(values[0] == 7.0 && values[4] == 12.0);
}

/* Four values, as R and numpy.percentile have them. */
static void test_quantile_interpolates(void) {
    const double values[] = {4, 2, 1, 3};
    double scratch[4];
    check_close(bm_stats_quantile(values, 4, 0.25, scratch), 1.75);
    check_close(bm_stats_quantile(values, 4, 0.5, scratch), 2.5);
    check_close(bm_stats_quantile(values, 4, 0.75, scratch), 3.25);
}

static void test_quantile_of_one_and_of_equals(void) {
    const double one[] = {5};
    const double equal[] = {2, 2, 2, 2};
    double scratch[4];
    check_close(bm_stats_quantile(one, 1, 0.25, scratch), 5.0);
    check_close(bm_stats_quantile(one, 1, 1.0, scratch), 5.0);
    check_close(bm_stats_quantile(equal, 4, 0.3, scratch), 2.0);
}

/* Ranks k of the two-sided 90 % interval of a median: the sign test's critical values (Dixon and
 * Mood 1946, table 1, 10 %) plus 1. For large n, from the exact sum in rational arithmetic. */
static void test_interval_ranks(void) {
    const struct {
        uint64_t count;
        uint64_t rank;
    } expected[] = {{1, 1},      {2, 1},    {3, 1},      {4, 1},      {5, 1},      {6, 1},
                    {7, 1},      {8, 2},    {9, 2},      {10, 2},     {11, 3},     {12, 3},
                    {13, 4},     {14, 4},   {15, 4},     {16, 5},     {17, 5},     {18, 6},
                    {19, 6},     {20, 6},   {25, 8},     {30, 11},    {40, 15},    {50, 19},
                    {90, 37},    {100, 42}, {1000, 474}, {1075, 511}, {1100, 523}, {2000, 963},
                    {6000, 2936}};

    static double values[6000];
    static double scratch[6000];
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        uint64_t count = expected[i].count;
        for (uint64_t j = 0; j < count; j++) {
            values[j] = (double)(count - j);
        }
        double low = 0;
        double high = 0;
        bm_stats_interval(values, count, &low, &high, scratch);
        TEST_CHECK_MSG(low == (double)expected[i].rank, "n = %lu: rank %g, expected %lu",
                       (unsigned long)count, low, (unsigned long)expected[i].rank);
        TEST_CHECK(high == (double)(count + 1 - expected[i].rank));
    }
}

/* Rounds {10, 20, 60}, {12}, {40, 30}: medians 20, 12, 35. */
static void test_series_of_unequal_rounds(void) {
    const double samples[] = {60, 10, 20, 12, 40, 30};
    const uint64_t counts[] = {3, 1, 2};
    double scratch[6 + 3];
    struct bm_series_stats stats;
    bm_stats_series(samples, counts, 3, &stats, scratch);
    TEST_CHECK(stats.count == 6 && stats.rounds == 3);
    check_close(stats.median_ns, 20.0);
    check_close(stats.min_ns, 10.0);
    check_close(stats.q1_ns, 14.0);
    check_close(stats.q3_ns, 37.5);
    check_close(stats.spread, (27.5 - 16.0) / (2.0 * 20.0));
    check_close(stats.low_ns, 12.0);
    check_close(stats.high_ns, 35.0);
}

/* A round of many values weighs as much as a round of one: the median of all samples would be 1. */
static void test_series_counts_rounds_not_values(void) {
    const double samples[] = {1, 1, 1, 1, 1, 1, 1, 5, 6};
    const uint64_t counts[] = {7, 1, 1};
    double scratch[9 + 3];
    struct bm_series_stats stats;
    bm_stats_series(samples, counts, 3, &stats, scratch);
    check_close(stats.median_ns, 5.0);
    check_close(stats.q1_ns, 1.0);
}

static void test_series_of_one(void) {
    const double samples[] = {8};
    const uint64_t counts[] = {1};
    double scratch[1 + 1];
    struct bm_series_stats stats;
    bm_stats_series(samples, counts, 1, &stats, scratch);
    check_close(stats.median_ns, 8.0);
    check_close(stats.low_ns, 8.0);
    check_close(stats.high_ns, 8.0);
    TEST_CHECK(stats.spread == 0.0 && stats.count == 1 && stats.rounds == 1);
}

static void test_lost_round_does_not_count(void) {
    const double samples[] = {3, 9};
    const uint64_t counts[] = {0, 1, 0, 1};
    double medians[4];
    double scratch[2 + 4];
    TEST_CHECK(bm_stats_round_medians(samples, counts, 4, medians, scratch) == 2);
    TEST_CHECK(medians[0] == 3.0 && medians[1] == 9.0);
    struct bm_series_stats stats;
    bm_stats_series(samples, counts, 4, &stats, scratch);
    TEST_CHECK(stats.rounds == 2);
    check_close(stats.median_ns, 6.0);
}

static void test_known(void) {
    const double steady[] = {99, 100, 101, 100, 100};
    const double wide[] = {98, 100, 101, 100, 100};
    double scratch[5];
    TEST_CHECK(bm_stats_known(steady, 5, 0.01, scratch) == 1);
    TEST_CHECK(bm_stats_known(steady, 5, 0.0099, scratch) == 0);
    TEST_CHECK(bm_stats_known(wide, 5, 0.01, scratch) == 0);
    TEST_CHECK(bm_stats_known(steady, 4, 0.5, scratch) == 0);
    TEST_CHECK(bm_stats_known(steady, 0, 0.5, scratch) == 0);
}

/* From 8 rounds on, one outlier on each side no longer keeps a series unknown. */
static void test_known_forgives_outliers(void) {
    const double medians[] = {100, 100, 500, 100, 10, 100, 100, 100};
    double scratch[8];
    TEST_CHECK(bm_stats_known(medians, 7, 0.01, scratch) == 0);
    TEST_CHECK(bm_stats_known(medians, 8, 0.01, scratch) == 1);
}

static void check_equal(const double *found, const double *expected, size_t count) {
    for (size_t i = 0; i < count; i++) {
        TEST_CHECK_MSG(found[i] == expected[i], "element %lu: found %g, expected %g",
                       (unsigned long)i, found[i], expected[i]);
    }
}

static void test_thin(void) {
    double samples[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    TEST_CHECK(bm_stats_thin(samples, 10, 20) == 10);
    TEST_CHECK(bm_stats_thin(samples, 10, 10) == 10);
    TEST_CHECK(samples[9] == 9.0);
    TEST_CHECK(bm_stats_thin(samples, 10, 5) == 5);
    const double expected[] = {1, 3, 5, 7, 9};
    check_equal(samples, expected, 5);
    TEST_CHECK(bm_stats_thin(samples, 5, 1) == 1);
    TEST_CHECK(samples[0] == 5.0);
}

/* Every count and keep: in order, none twice, and stretches between neighbours differ by at most
 * one. */
static void test_thin_is_even(void) {
    for (uint64_t count = 1; count <= 60; count++) {
        for (uint64_t keep = 1; keep < count; keep++) {
            double samples[60];
            for (uint64_t i = 0; i < count; i++) {
                samples[i] = (double)i;
            }
            TEST_CHECK(bm_stats_thin(samples, count, keep) == keep);
            for (uint64_t k = 1; k < keep; k++) {
                uint64_t step = (uint64_t)(samples[k] - samples[k - 1]);
                TEST_CHECK(step == count / keep || step == count / keep + 1);
            }
        }
    }
}

/* Also of values that are no times. */
static void test_median(void) {
    double odd[] = {3, -2, 0.5};
    double even[] = {4, -1, 2, 1};
    double one[] = {-7};
    TEST_CHECK(bm_stats_median(odd, 3) == 0.5);
    TEST_CHECK(odd[0] == -2 && odd[1] == 0.5 && odd[2] == 3);
    TEST_CHECK(bm_stats_median(even, 4) == 1.5);
    TEST_CHECK(bm_stats_median(one, 1) == -7);
}

static void test_ratio_is_paired(void) {
    /* The machine is four times slower in some rounds; b takes twice as long in every one. */
    const double a[] = {10, 40, 10, 40, 20};
    const double b[] = {20, 80, 20, 80, 40};
    double scratch[2 * 5];
    double ratio = 0;
    double low = 0;
    double high = 0;
    TEST_CHECK(bm_stats_ratio(a, b, 5, &ratio, &low, &high, scratch) == 1);
    TEST_CHECK(ratio == 0.5 && low == 0.5 && high == 0.5);
    TEST_CHECK(bm_stats_ratio(b, a, 5, &ratio, &low, &high, scratch) == 1);
    TEST_CHECK(ratio == 2.0);
}

static void test_ratio_tie(void) {
    const double a[] = {10, 11, 12, 13, 9};
    const double b[] = {10, 10, 10, 10, 10};
    double scratch[2 * 5];
    double ratio = 0;
    double low = 0;
    double high = 0;
    TEST_CHECK(bm_stats_ratio(a, b, 5, &ratio, &low, &high, scratch) == 0);
    check_close(ratio, 1.1);
    check_close(low, 0.9);
    check_close(high, 1.3);
    TEST_CHECK(bm_stats_ratio(b, b, 5, &ratio, &low, &high, scratch) == 0);
    TEST_CHECK(ratio == 1.0 && low == 1.0 && high == 1.0);
}

/* Four rounds that all agree are still not enough to call one faster. */
static void test_ratio_of_few_rounds_is_a_tie(void) {
    const double a[] = {1, 1, 1, 1};
    const double b[] = {2, 2, 2, 2};
    double scratch[2 * 4];
    double ratio = 0;
    double low = 0;
    double high = 0;
    TEST_CHECK(bm_stats_ratio(a, b, 4, &ratio, &low, &high, scratch) == 0);
    TEST_CHECK(ratio == 0.5 && high == 0.5);
}

/* Whether the median of `values` stops at an assertion, in a process of its own. */
static int32_t stops(const double *values, uint64_t count) {
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        double scratch[3];
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO);
        (void)bm_stats_quantile(values, count, 0.5, scratch);
        _exit(0);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_bad_values_stop(void) {
    const double good[] = {1, 2, 3};
    const double not_a_number[] = {1, (double)NAN, 3};
    const double infinite[] = {1, 2, (double)INFINITY};
    const double zero[] = {0, 2, 3};
    const double negative[] = {1, -2, 3};
    TEST_CHECK(!stops(good, 3));
    TEST_CHECK(stops(good, 0));
    TEST_CHECK(stops(not_a_number, 3));
    TEST_CHECK(stops(infinite, 3));
    TEST_CHECK(stops(zero, 3));
    TEST_CHECK(stops(negative, 3));
}

int main(void) {
    test_quantile_of_five();
    test_quantile_interpolates();
    test_quantile_of_one_and_of_equals();
    test_interval_ranks();
    test_series_of_unequal_rounds();
    test_series_counts_rounds_not_values();
    test_series_of_one();
    test_lost_round_does_not_count();
    test_known();
    test_known_forgives_outliers();
    test_thin();
    test_thin_is_even();
    test_median();
    test_ratio_is_paired();
    test_ratio_tie();
    test_ratio_of_few_rounds_is_a_tie();
    test_bad_values_stop();
    return 0;
}
