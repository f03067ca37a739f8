/* The verdict on stored rounds: samples made from known shifts, and how often many of them are
 * called something else than they are. */
#include "random.h"
#include "stored_gate.h"
#include "test.h"

#include <math.h>

enum { ROUNDS = 20 };

/* Standard deviation 1: a sum of twelve; with `wild`, one value in ten is four times as far out. */
static double noise(struct bm_random *random, int wild) {
    double sum = -6;
    double scale = wild && bm_random_double(random) < .1 ? 4 : 1;
    for (int i = 0; i < 12; i++) {
        sum += bm_random_double(random);
    }
    return scale * sum;
}

/* Rounds whose neighbours are correlated by `r`, around log(`ns`), with standard deviation
 * `spread`. */
static void make_rounds(
    struct bm_random *random, double ns, double spread, double r, int wild, double *rounds) {
    double value = noise(random, 0);
    for (int i = 0; i < ROUNDS; i++) {
        value = r * value + sqrt(1 - r * r) * noise(random, wild);
        rounds[i] = log(ns) + spread * value;
    }
}

static enum bm_comparison_verdict judge(const double *base,
                                        const double *head,
                                        const struct bm_stored_rule *rule,
                                        struct bm_comparison_cell *cell) {
    memset(cell, 0, sizeof *cell);
    cell->aa_spread = (double)NAN;
    cell->aa_ratio = (double)NAN;
    bm_stored_gate(base, ROUNDS, head, ROUNDS, rule, cell);
    return cell->verdict;
}

/* ---- One at a time ---- */

static void check_shift(double shift, double spread, enum bm_comparison_verdict expected) {
    struct bm_random random;
    struct bm_comparison_cell cell;
    struct bm_stored_rule rule = {.threshold = .02};
    double base[ROUNDS];
    double head[ROUNDS];
    bm_random_init(&random, 1, BM_RANDOM_DATA, 0);
    make_rounds(&random, 1e6, spread, 0, 0, base);
    make_rounds(&random, 1e6 * (1 + shift), spread, 0, 0, head);
    TEST_CHECK_MSG(judge(base, head, &rule, &cell) == expected, "%g: found %s, expected %s", shift,
                   bm_comparison_verdict_name(cell.verdict), bm_comparison_verdict_name(expected));
    TEST_CHECK(cell.low < cell.ratio && cell.ratio < cell.high);
    TEST_CHECK_MSG(cell.low < 1 + shift && 1 + shift < cell.high, "%g: %g to %g", shift, cell.low,
                   cell.high);
    TEST_CHECK(cell.sensitivity > .02 && cell.sets == ROUNDS);
    TEST_CHECK_MSG(expected == BM_COMPARISON_REGRESSION ? cell.p < .005 : cell.p > .005, "%g",
                   cell.p);
}

static void test_verdicts(void) {
    check_shift(0, .005, BM_COMPARISON_PASS);
    check_shift(.01, .005, BM_COMPARISON_PASS);
    check_shift(.05, .005, BM_COMPARISON_REGRESSION);
    check_shift(-.05, .005, BM_COMPARISON_IMPROVEMENT);
    check_shift(.02, .005, BM_COMPARISON_INCONCLUSIVE);
    check_shift(0, .1, BM_COMPARISON_INCONCLUSIVE);
    /* An improvement within the threshold passes. */
    check_shift(-.01, .005, BM_COMPARISON_PASS);
}

/* Rounds that differ by nothing: the answer is exact. */
static void test_exact(void) {
    struct bm_stored_rule rule = {.threshold = .02};
    struct bm_comparison_cell cell;
    double base[ROUNDS];
    double head[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        base[i] = 10;
        head[i] = 10 + log(1.03);
    }
    TEST_CHECK(judge(base, head, &rule, &cell) == BM_COMPARISON_REGRESSION);
    TEST_CHECK(fabs(cell.ratio - 1.03) < 1e-12 && fabs(cell.sensitivity - .02) < 1e-12);
    rule.threshold = .04;
    TEST_CHECK(judge(base, head, &rule, &cell) == BM_COMPARISON_PASS);
    TEST_CHECK_STR(cell.reason, "");
}

static void test_too_few(void) {
    struct bm_stored_rule rule = {.threshold = .02};
    struct bm_comparison_cell cell = {.verdict = BM_COMPARISON_ERROR};
    const double base[] = {1, 1.1};
    const double head[] = {9};
    bm_stored_gate(base, 2, head, 1, &rule, &cell);
    TEST_CHECK(cell.verdict == BM_COMPARISON_INCONCLUSIVE && cell.ratio == 0);
    TEST_CHECK_STR(cell.reason, "expected at least 2 rounds, found 2 in base and 1 in head");
}

/* ---- Controls ---- */

static void fill_calm(double shift, double *base, double *head) {
    struct bm_random random;
    bm_random_init(&random, 2, BM_RANDOM_DATA, 0);
    make_rounds(&random, 1e6, .003, 0, 0, base);
    make_rounds(&random, 1e6 * (1 + shift), .003, 0, 0, head);
}

static void test_unchanged_plugins(void) {
    const double calm[] = {.001, -.001, .002, 0};
    const double shifted[] = {.041, .039, .042, .040};
    const double unlike[] = {.06, -.05, .03, -.06};
    struct bm_stored_rule rule = {
        .threshold = .02, .controls = calm, .control_count = 4, .are_unchanged = 1};
    struct bm_comparison_cell cell;
    double base[ROUNDS];
    double head[ROUNDS];
    fill_calm(.06, base, head);
    TEST_CHECK(judge(base, head, &rule, &cell) == BM_COMPARISON_REGRESSION);
    TEST_CHECK_STR(cell.reason, "");
    TEST_CHECK(fabs(cell.aa_ratio - 1.0005) < 1e-4 && fabs(cell.aa_spread - .00129) < 1e-4);
    double sensitivity = cell.sensitivity;

    rule.controls = unlike;
    TEST_CHECK(judge(base, head, &rule, &cell) == BM_COMPARISON_INCONCLUSIVE);
    TEST_CHECK(cell.sensitivity > 3 * sensitivity);
    TEST_CONTAINS(cell.reason, "the rounds allow for anything from ");

    rule.controls = shifted;
    TEST_CHECK(judge(base, head, &rule, &cell) == BM_COMPARISON_INCONCLUSIVE);
    TEST_CHECK_STR(cell.reason, "the 4 cells of unchanged plugins on this device changed by +4.1 "
                                "%: it is the machine that differs");

    /* Two are too few to say anything. */
    rule.control_count = 2;
    TEST_CHECK(judge(base, head, &rule, &cell) == BM_COMPARISON_REGRESSION);
    TEST_CONTAINS(cell.reason, "no unchanged plugins");
    TEST_CHECK(isnan(cell.aa_spread));
}

/* Of five cells one is slower and the others are as they were: it is found, and were they all
 * unlike each other, it would not be. */
static void test_all_cells(void) {
    const double calm[] = {.058, .001, -.001, .002, 0};
    const double unlike[] = {.058, -.05, .03, -.06, .04};
    struct bm_stored_rule rule = {.threshold = .02, .controls = calm, .control_count = 5};
    struct bm_comparison_cell cell;
    double base[ROUNDS];
    double head[ROUNDS];
    fill_calm(.06, base, head);
    TEST_CHECK(judge(base, head, &rule, &cell) == BM_COMPARISON_REGRESSION);
    TEST_CONTAINS(cell.reason, "one run each, and no unchanged plugins");
    TEST_CHECK(isnan(cell.aa_spread) && isnan(cell.aa_ratio));
    rule.controls = unlike;
    TEST_CHECK(judge(base, head, &rule, &cell) == BM_COMPARISON_INCONCLUSIVE);
}

/* ---- Many ---- */

struct tally {
    uint32_t regressions;
    uint32_t improvements;
    double sensitivity; /* mean */
};

static struct tally repeat(double shift, double threshold, double r, int wild, uint32_t count) {
    struct tally tally = {0, 0, 0};
    struct bm_random random;
    bm_random_init(&random, 3, BM_RANDOM_DATA, 0);
    for (uint32_t i = 0; i < count; i++) {
        struct bm_stored_rule rule = {.threshold = threshold};
        struct bm_comparison_cell cell;
        double base[ROUNDS];
        double head[ROUNDS];
        make_rounds(&random, 1e6, .02, r, wild, base);
        make_rounds(&random, 1e6 * (1 + shift), .02, r, wild, head);
        enum bm_comparison_verdict verdict = judge(base, head, &rule, &cell);
        tally.regressions += verdict == BM_COMPARISON_REGRESSION;
        tally.improvements += verdict == BM_COMPARISON_IMPROVEMENT;
        tally.sensitivity += cell.sensitivity / count;
    }
    return tally;
}

#define REPEATS 4000u

/* At a threshold of 0 both bounds err in .5 %; correlated rounds, which look calmer than they are,
 * may not make it many more. At the usual threshold almost nothing is left. */
static void test_false_alarms(void) {
    struct tally plain = repeat(0, 0, 0, 0, REPEATS);
    TEST_CHECK_MSG(plain.regressions < REPEATS / 100 && plain.improvements < REPEATS / 100,
                   "%u and %u of %u", plain.regressions, plain.improvements, REPEATS);
    TEST_CHECK_MSG(plain.regressions > 0 && plain.improvements > 0, "bounds that never err");
    struct tally alike = repeat(0, 0, .5, 1, REPEATS);
    TEST_CHECK_MSG(alike.regressions < REPEATS / 40 && alike.improvements < REPEATS / 40,
                   "%u and %u of %u", alike.regressions, alike.improvements, REPEATS);
    struct tally usual = repeat(0, .02, .5, 1, REPEATS);
    TEST_CHECK_MSG(usual.regressions + usual.improvements < REPEATS / 500, "%u and %u of %u",
                   usual.regressions, usual.improvements, REPEATS);
}

/* A slow-down as large as the printed sensitivity is found about nine times of ten, and never
 * called an improvement. */
static void test_sensitivity(void) {
    double sensitivity = repeat(0, .02, 0, 1, REPEATS).sensitivity;
    struct tally found = repeat(sensitivity, .02, 0, 1, REPEATS);
    TEST_CHECK_MSG(found.regressions > .82 * REPEATS && found.regressions < .97 * REPEATS,
                   "%u of %u at %g", found.regressions, REPEATS, sensitivity);
    TEST_CHECK(found.improvements == 0);
}

int main(void) {
    test_verdicts();
    test_exact();
    test_too_few();
    test_unchanged_plugins();
    test_all_cells();
    test_false_alarms();
    test_sensitivity();
    return 0;
}
