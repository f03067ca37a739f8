/* Statistics over seeds against published quantiles, examples worked by hand, and simulations whose
 * seeds are fixed. */
#include "random.h"
#include "seeds.h"
#include "student.h"
#include "test.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_near(double found, double expected, double tolerance) {
    TEST_CHECK_MSG(fabs(found - expected) <= tolerance, "found %.17g, expected %.17g", found,
                   expected);
}

static void check_close(double found, double expected) {
    check_near(found, expected, 1e-12 * fabs(expected));
}

/* Table of critical values of Student's t, NIST/SEMATECH e-Handbook of Statistical Methods,
 * 1.3.6.7.2. */
static void test_published_quantiles(void) {
    const struct {
        double freedom;
        double probability;
        double t;
    } expected[] = {{1, 0.95, 6.314},  {1, 0.975, 12.706}, {2, 0.975, 4.303}, {3, 0.90, 1.638},
                    {4, 0.95, 2.132},  {4, 0.975, 2.776},  {5, 0.99, 3.365},  {9, 0.975, 2.262},
                    {10, 0.95, 1.812}, {29, 0.975, 2.045}, {60, 0.95, 1.671}, {100, 0.99, 2.364}};

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        double t = bm_student_quantile(expected[i].probability, expected[i].freedom);
        check_near(t, expected[i].t, 0.0005);
        check_near(bm_student_quantile(1.0 - expected[i].probability, expected[i].freedom), -t,
                   1e-12 * t);
        check_close(bm_student_two_sided(t, expected[i].freedom),
                    2.0 * (1.0 - expected[i].probability));
    }
}

/* Closed forms: 1 degree of freedom is Cauchy's, P(|T| >= 1) = 1/2; with 2, P(T <= t) = 1/2 +
 * t / (2 sqrt(2 + t^2)). */
static void test_closed_forms(void) {
    check_close(bm_student_two_sided(1.0, 1.0), 0.5);
    check_close(bm_student_two_sided(-1.0, 1.0), 0.5);
    check_close(bm_student_two_sided(2.0, 2.0), 1.0 - 2.0 / sqrt(6.0));
    check_close(bm_student_two_sided(0.0, 7.0), 1.0);
    TEST_CHECK(bm_student_two_sided((double)INFINITY, 4.0) == 0.0);
    TEST_CHECK(bm_student_two_sided(1e300, 4.0) < 1e-300);
    check_near(bm_student_quantile(0.5, 3.0), 0.0, 1e-15);
}

/* 97, 98, 98, 99, 98: mean 98, squares 2 of 4, deviation sqrt(1/2); t(.975, 4) = 2.776445. */
static void test_mean_by_hand(void) {
    const double values[] = {97, 98, 98, 99, 98};
    struct bm_seeds_mean mean = bm_seeds_mean(values, 5, 0.95);
    TEST_CHECK(mean.count == 5 && mean.has_interval);
    check_close(mean.mean, 98.0);
    check_close(mean.deviation, sqrt(0.5));
    check_near(mean.high - 98.0, 2.776445 * sqrt(0.5 / 5.0), 1e-6);
    check_near(98.0 - mean.low, mean.high - 98.0, 1e-12);
    struct bm_seeds_mean narrow = bm_seeds_mean(values, 5, 0.90);
    check_near(narrow.high - 98.0, 2.131847 * sqrt(0.5 / 5.0), 1e-6);
}

static void check_no_interval(const struct bm_seeds_mean *mean) {
    TEST_CHECK(!mean->has_interval && isnan(mean->low) && isnan(mean->high));
}

static void test_mean_of_few_and_of_equals(void) {
    const double values[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    struct bm_seeds_mean none = bm_seeds_mean(values, 0, 0.95);
    struct bm_seeds_mean one = bm_seeds_mean(values, 1, 0.95);
    struct bm_seeds_mean equal = bm_seeds_mean(values, 6, 0.95);
    check_no_interval(&none);
    check_no_interval(&one);
    check_no_interval(&equal);
    TEST_CHECK(none.count == 0 && isnan(none.mean) && isnan(none.deviation));
    TEST_CHECK(one.count == 1 && one.mean == 0.1 && isnan(one.deviation));
    TEST_CHECK(equal.count == 6 && equal.mean == 0.1 && equal.deviation == 0.0);
    TEST_CHECK(bm_seeds_mean((const double[]){1, 2}, 2, 0.95).has_interval);
}

/* "The probable error of a mean" (Student 1908), the hours of sleep that two drugs gave the same
 * ten patients: t = 4.0621, p = .002833, 95 % interval .700 to 2.460, as R's t.test has them. */
static const double sleep_a[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
static const double sleep_b[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};

static void test_paired_sleep(void) {
    struct bm_seeds_paired paired = bm_seeds_paired(sleep_a, sleep_b, 10, 0.95);
    check_close(paired.difference.mean, 1.58);
    check_near(paired.difference.deviation, 1.229995, 1e-6);
    check_near(paired.difference.low, 0.7001142, 1e-7);
    check_near(paired.difference.high, 2.4598858, 1e-7);
    check_near(paired.p, 0.00283289, 1e-8);
    TEST_CHECK(paired.distinguishable);
    struct bm_seeds_paired back = bm_seeds_paired(sleep_b, sleep_a, 10, 0.95);
    check_close(back.difference.mean, -1.58);
    check_close(back.p, paired.p);
    TEST_CHECK(back.distinguishable);
    TEST_CHECK(!bm_seeds_paired(sleep_a, sleep_b, 10, 0.999).distinguishable);
}

/* The seeds differ far more than the settings do: only pairs show it. */
static void test_pairs_see_what_means_do_not(void) {
    const double a[] = {90.3, 95.2, 80.4, 85.3, 99.3};
    const double b[] = {90.0, 95.0, 80.0, 85.0, 99.0};
    TEST_CHECK(bm_seeds_paired(a, b, 5, 0.95).distinguishable);
    struct bm_seeds_mean mean_a = bm_seeds_mean(a, 5, 0.95);
    struct bm_seeds_mean mean_b = bm_seeds_mean(b, 5, 0.95);
    TEST_CHECK(mean_a.low < mean_b.high);
}

/* The interval that touches 0 is the p-value that touches 1 - coverage. */
static void test_interval_and_p_agree(void) {
    for (uint32_t coverage = 1; coverage < 1000; coverage++) {
        struct bm_seeds_paired paired =
            bm_seeds_paired(sleep_a, sleep_b, 10, (double)coverage / 1000.0);
        uint32_t expected = paired.p < 1.0 - (double)coverage / 1000.0;
        TEST_CHECK(paired.distinguishable == expected);
    }
}

static void test_paired_no_difference(void) {
    struct bm_seeds_paired same = bm_seeds_paired(sleep_a, sleep_a, 10, 0.95);
    check_no_interval(&same.difference);
    TEST_CHECK(same.difference.mean == 0.0 && same.difference.deviation == 0.0);
    TEST_CHECK(same.p == 1.0 && !same.distinguishable);
}

/* Differences of .01 that rounding makes unequal: no t of 1e15, but 2 x 2^-n. */
static void test_paired_identical_differences(void) {
    const double a[] = {0.98, 0.97, 0.96, 0.21, 0.35, 0.56};
    const double b[] = {0.97, 0.96, 0.95, 0.20, 0.34, 0.55};
    struct bm_seeds_paired five = bm_seeds_paired(a, b, 5, 0.95);
    struct bm_seeds_paired six = bm_seeds_paired(a, b, 6, 0.95);
    TEST_CHECK(a[0] - b[0] != a[3] - b[3]);
    check_no_interval(&six.difference);
    TEST_CHECK(six.difference.deviation == 0.0);
    check_near(six.difference.mean, 0.01, 1e-15);
    TEST_CHECK(five.p == 0.0625 && !five.distinguishable);
    TEST_CHECK(six.p == 0.03125 && six.distinguishable);
    TEST_CHECK(bm_seeds_paired(b, a, 6, 0.95).distinguishable);
    const double unlike[] = {0.1 + 0.2};
    const double like[] = {0.3};
    TEST_CHECK(bm_seeds_paired(unlike, like, 1, 0.95).difference.mean == 0.0);
}

static void test_paired_of_few(void) {
    const double a[] = {2, 3};
    const double b[] = {1, 1};
    struct bm_seeds_paired none = bm_seeds_paired(a, b, 0, 0.95);
    struct bm_seeds_paired one = bm_seeds_paired(a, b, 1, 0.95);
    TEST_CHECK(none.p == 1.0 && !none.distinguishable && isnan(none.difference.mean));
    TEST_CHECK(one.p == 1.0 && !one.distinguishable && one.difference.mean == 1.0);
    check_no_interval(&one.difference);
    /* Mean 1.5, error .5, t = 3 with 1 degree of freedom: p = 1 - 2 atan(3) / pi. */
    check_close(bm_seeds_paired(a, b, 2, 0.95).p, 1.0 - 2.0 * atan(3.0) / acos(-1.0));
}

/* ---- Equivalence ---- */

static struct bm_seeds_equivalence
compare(const double *differences, uint64_t count, double margin) {
    double zeros[16] = {0};
    return bm_seeds_equivalent(differences, zeros, count, margin, 0.05);
}

/* Differences -1, 0, 1, 0, 0 (in hundredths): mean 0, deviation sqrt(1/2), error .316228; the 90 %
 * interval is +-2.131847 error = +-.674149. */
static void test_equivalence_by_hand(void) {
    const double differences[] = {-1, 0, 1, 0, 0};
    struct bm_seeds_equivalence wide = compare(differences, 5, 0.675);
    struct bm_seeds_equivalence tight = compare(differences, 5, 0.674);
    check_near(wide.difference.high, 0.674149, 1e-6);
    check_near(wide.difference.low, -0.674149, 1e-6);
    TEST_CHECK(wide.verdict == BM_SEEDS_EQUIVALENT && wide.p < 0.05);
    TEST_CHECK(tight.verdict == BM_SEEDS_UNDECIDED && tight.p > 0.05);
    TEST_CONTAINS(tight.reason, "crosses the margin");
    check_near(wide.p, 0.05, 1e-3);
}

static void test_difference_on_either_side(void) {
    const double above[] = {3, 4, 5, 4, 4};
    const double below[] = {-3, -4, -5, -4, -4};
    const double across[] = {0.5, 1.5, 2.5, 1.5, 1.5};
    TEST_CHECK(compare(above, 5, 1.0).verdict == BM_SEEDS_DIFFERENT);
    TEST_CHECK(compare(below, 5, 1.0).verdict == BM_SEEDS_DIFFERENT);
    TEST_CHECK(compare(above, 5, 1.0).p > 0.99 && compare(below, 5, 1.0).p > 0.99);
    check_close(compare(above, 5, 6.0).p, compare(below, 5, 6.0).p);
    TEST_CHECK(compare(across, 5, 1.0).verdict == BM_SEEDS_UNDECIDED);
    TEST_CHECK(compare(across, 5, 2.2).verdict == BM_SEEDS_EQUIVALENT);
    TEST_CHECK(compare(across, 5, 0.8).verdict == BM_SEEDS_DIFFERENT);
}

static void test_equivalence_needs_five(void) {
    const double zeros[5] = {0};
    const double far[] = {100, 101, 102, 103, 104};
    for (uint64_t count = 0; count <= 4; count++) {
        struct bm_seeds_equivalence few = compare(count % 2 == 0 ? zeros : far, count, 1.0);
        TEST_CHECK(few.verdict == BM_SEEDS_UNDECIDED);
        TEST_CHECK_STR(few.reason, "needs at least 5 paired seeds");
    }
    TEST_CHECK(compare(zeros, 5, 1.0).verdict == BM_SEEDS_EQUIVALENT);
    TEST_CHECK(compare(far, 5, 1.0).verdict == BM_SEEDS_DIFFERENT);
}

/* Backends that leave the same bits leave the same accuracies: five seeds are enough at .05, not at
 * .01. */
static void test_equivalence_of_identical_runs(void) {
    const double zeros[7] = {0};
    struct bm_seeds_equivalence same = bm_seeds_equivalent(sleep_a, sleep_a, 5, 1e-9, 0.05);
    TEST_CHECK(same.verdict == BM_SEEDS_EQUIVALENT && same.p == 0.03125);
    struct bm_seeds_equivalence strict = bm_seeds_equivalent(sleep_a, sleep_a, 5, 1e-9, 0.01);
    TEST_CHECK(strict.verdict == BM_SEEDS_UNDECIDED);
    TEST_CONTAINS(strict.reason, "too few pairs for this alpha");
    TEST_CHECK(bm_seeds_equivalent(zeros, zeros, 7, 1.0, 0.01).verdict == BM_SEEDS_EQUIVALENT);
    const double twos[] = {2, 2, 2, 2, 2};
    TEST_CHECK(compare(twos, 5, 1.0).verdict == BM_SEEDS_DIFFERENT);
    TEST_CHECK(compare(twos, 5, 2.0).verdict == BM_SEEDS_UNDECIDED);
    TEST_CHECK(compare(twos, 5, 3.0).verdict == BM_SEEDS_EQUIVALENT);
    TEST_CHECK(compare(twos, 5, 1.0).p == 1.0);
}

static void test_verdict_names(void) {
    TEST_CHECK_STR(bm_seeds_verdict_name(BM_SEEDS_EQUIVALENT), "equivalent");
    TEST_CHECK_STR(bm_seeds_verdict_name(BM_SEEDS_DIFFERENT), "different");
    TEST_CHECK_STR(bm_seeds_verdict_name(BM_SEEDS_UNDECIDED), "undecided");
}

/* ---- Many tests ---- */

/* R: p.adjust(c(.01, .04, .03, .005), "holm") is .03 .06 .06 .02; ties and the end at 1 likewise.
 */
static void test_holm(void) {
    const double p[] = {0.01, 0.04, 0.03, 0.005};
    const double expected[] = {0.03, 0.06, 0.06, 0.02};
    const double tied[] = {0.6, 0.02, 0.02, 0.9, 0.02};
    const double tied_expected[] = {1.0, 0.1, 0.1, 1.0, 0.1};
    double adjusted[5];
    bm_seeds_holm(p, 4, adjusted);
    for (uint32_t i = 0; i < 4; i++) {
        check_close(adjusted[i], expected[i]);
    }
    bm_seeds_holm(tied, 5, adjusted);
    for (uint32_t i = 0; i < 5; i++) {
        check_close(adjusted[i], tied_expected[i]);
    }
    bm_seeds_holm(p, 1, adjusted);
    TEST_CHECK(adjusted[0] == 0.01);
    bm_seeds_holm(p, 0, NULL);
}

/* The test with the smallest p of those not rejected. */
static uint32_t next_of(const double *p, const uint32_t *rejected, uint32_t count) {
    uint32_t next = count;
    for (uint32_t i = 0; i < count; i++) {
        if (!rejected[i] && (next == count || p[i] < p[next])) {
            next = i;
        }
    }
    return next;
}

/* The procedure as Holm wrote it: step down while p_(k) <= level / (count - k). */
static void step_down(const double *p, uint32_t count, double level, uint32_t *rejected) {
    memset(rejected, 0, count * sizeof *rejected);
    for (uint32_t done = 0; done < count; done++) {
        uint32_t next = next_of(p, rejected, count);
        if (p[next] > level / (double)(count - done)) {
            return;
        }
        rejected[next] = 1;
    }
}

static void check_procedure(const double *p, uint32_t count, double level) {
    double adjusted[8];
    uint32_t rejected[8];
    bm_seeds_holm(p, count, adjusted);
    step_down(p, count, level, rejected);
    for (uint32_t i = 0; i < count; i++) {
        TEST_CHECK((adjusted[i] <= level) == rejected[i]);
    }
}

static void test_holm_is_the_procedure(void) {
    struct bm_random random;
    double p[8];
    bm_random_init(&random, 5, BM_RANDOM_CHECK, 0);
    for (uint32_t family = 0; family < 500; family++) {
        uint32_t count = 1 + bm_random_below(&random, 8);
        for (uint32_t i = 0; i < count; i++) {
            p[i] = (double)(1 + bm_random_below(&random, 40)) / 400.0;
        }
        for (uint32_t i = 0; i < 40; i++) { /* levels beside every multiple of a p */
            check_procedure(p, count, ((double)i + 0.5) / 200.0 + 1e-7);
        }
    }
}

/* ---- Simulations ---- */

/* Box and Muller. */
static double draw_normal(struct bm_random *random) {
    double radius = sqrt(-2.0 * log(1.0 - bm_random_double(random)));
    return radius * cos(2.0 * acos(-1.0) * bm_random_double(random));
}

#define SIMULATIONS 4000u

/* Share of 4000 samples of 5 whose interval holds the true mean. Its own deviation is .0034 at .95
 * and .0063 at .8; an interval of the normal distribution would hold it in .878 and .732. */
static void check_coverage(double coverage) {
    struct bm_random random;
    uint32_t held = 0;
    bm_random_init(&random, 11, BM_RANDOM_CHECK, 1);
    for (uint32_t i = 0; i < SIMULATIONS; i++) {
        double values[5];
        for (uint32_t k = 0; k < 5; k++) {
            values[k] = 98.0 + 0.2 * draw_normal(&random);
        }
        struct bm_seeds_mean mean = bm_seeds_mean(values, 5, coverage);
        held += mean.low < 98.0 && 98.0 < mean.high;
    }
    check_near((double)held / SIMULATIONS, coverage, 0.02);
}

static void test_coverage(void) {
    check_coverage(0.95);
    check_coverage(0.8);
}

/* How often 5 seeds give each verdict, where the true difference is `difference` and its deviation
 * 1. */
static void count_verdicts(double difference, double margin, double share[3]) {
    struct bm_random random;
    uint32_t counts[3] = {0};
    bm_random_init(&random, 12, BM_RANDOM_CHECK, 2);
    for (uint32_t i = 0; i < SIMULATIONS; i++) {
        double differences[5];
        for (uint32_t k = 0; k < 5; k++) {
            differences[k] = difference + draw_normal(&random);
        }
        counts[compare(differences, 5, margin).verdict]++;
    }
    for (uint32_t i = 0; i < 3; i++) {
        share[i] = (double)counts[i] / SIMULATIONS;
    }
}

/* At the margin itself each claim is wrong, and made in alpha = 5 % of the cases. */
static void test_equivalence_errs_as_told(void) {
    double share[3];
    count_verdicts(4.0, 4.0, share);
    check_near(share[BM_SEEDS_EQUIVALENT], 0.05, 0.015);
    check_near(share[BM_SEEDS_DIFFERENT], 0.05, 0.015);
    count_verdicts(0.0, 4.0, share);
    TEST_CHECK(share[BM_SEEDS_EQUIVALENT] > 0.98 && share[BM_SEEDS_DIFFERENT] == 0.0);
    count_verdicts(12.0, 4.0, share);
    TEST_CHECK(share[BM_SEEDS_DIFFERENT] > 0.98 && share[BM_SEEDS_EQUIVALENT] == 0.0);
}

static void test_paired_errs_as_told(void) {
    struct bm_random random;
    uint32_t claimed = 0;
    uint32_t small = 0;
    bm_random_init(&random, 13, BM_RANDOM_CHECK, 3);
    for (uint32_t i = 0; i < SIMULATIONS; i++) {
        double a[6];
        double b[6];
        for (uint32_t k = 0; k < 6; k++) {
            double seed = 5.0 * draw_normal(&random);
            a[k] = seed + draw_normal(&random);
            b[k] = seed + draw_normal(&random);
        }
        struct bm_seeds_paired paired = bm_seeds_paired(a, b, 6, 0.95);
        claimed += paired.distinguishable;
        small += paired.p < 0.5;
    }
    check_near((double)claimed / SIMULATIONS, 0.05, 0.015);
    check_near((double)small / SIMULATIONS, 0.5, 0.03);
}

/* ---- Misuse ---- */

static void call_mean(double value) {
    const double values[] = {1, value, 3};
    (void)bm_seeds_mean(values, 3, 0.95);
}

static void call_paired(double value) {
    const double good[] = {1, 2, 4};
    const double values[] = {1, 2, value};
    (void)bm_seeds_paired(good, values, 3, 0.95);
}

static void call_coverage(double coverage) {
    (void)bm_seeds_mean((const double[]){1, 2}, 2, coverage);
}

static void call_margin(double margin) {
    (void)compare((const double[]){1, 2, 3, 4, 5}, 5, margin);
}

static void call_alpha(double alpha) {
    (void)bm_seeds_equivalent(sleep_a, sleep_b, 10, 1.0, alpha);
}

static void call_holm(double p) {
    double adjusted[1];
    bm_seeds_holm(&p, 1, adjusted);
}

static void call_quantile(double probability) {
    (void)bm_student_quantile(probability, 3.0);
}

static void call_freedom(double freedom) {
    (void)bm_student_quantile(0.9, freedom);
}

static void call_statistic(double t) {
    (void)bm_student_two_sided(t, 3.0);
}

/* Whether the call stops at an assertion, in a process of its own. */
static int32_t stops(void (*call)(double), double argument) {
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO);
        call(argument);
        _exit(0);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_misuse_stops(void) {
    const double nan = (double)NAN;
    const double infinite = (double)INFINITY;

    const struct {
        void (*call)(double);
        double bad[3];
    } cases[] = {
        {call_mean, {nan, infinite, -infinite}}, {call_paired, {nan, infinite, -infinite}},
        {call_coverage, {nan, 0.0, 1.0}},        {call_margin, {nan, 0.0, infinite}},
        {call_alpha, {nan, 0.0, 0.5}},           {call_holm, {nan, -0.5, 1.5}},
        {call_quantile, {nan, 0.0, 1.0}},        {call_freedom, {nan, 0.0, infinite}},
        {call_statistic, {nan, nan, nan}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TEST_CHECK(!stops(cases[i].call, 0.25));
        for (size_t k = 0; k < 3; k++) {
            TEST_CHECK_MSG(stops(cases[i].call, cases[i].bad[k]), "case %lu of %g",
                           (unsigned long)i, cases[i].bad[k]);
        }
    }
}

int main(void) {
    test_published_quantiles();
    test_closed_forms();
    test_mean_by_hand();
    test_mean_of_few_and_of_equals();
    test_paired_sleep();
    test_pairs_see_what_means_do_not();
    test_interval_and_p_agree();
    test_paired_no_difference();
    test_paired_identical_differences();
    test_paired_of_few();
    test_equivalence_by_hand();
    test_difference_on_either_side();
    test_equivalence_needs_five();
    test_equivalence_of_identical_runs();
    test_verdict_names();
    test_holm();
    test_holm_is_the_procedure();
    test_coverage();
    test_equivalence_errs_as_told();
    test_paired_errs_as_told();
    test_misuse_stops();
    return 0;
}
