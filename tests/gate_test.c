/* The rule of the gate: single decisions, and how often it is right on simulated sets. No clock;
 * the seeds are fixed, so a count is the same in every run. */
#include "gate.h"
#include "random.h"
#include "test.h"

#include <math.h>

#define GATES 400u

static const struct bm_gate_rule two_percent = {.threshold = 0.02, .sets_max = BM_GATE_SETS_MAX};

/* ---- Single decisions ---- */

/* Sets that alternate around a middle; judged after each, until a verdict. */
static enum bm_gate_verdict
feed(struct bm_gate *gate, const struct bm_gate_rule *rule, double middle, double width) {
    enum bm_gate_verdict verdict = BM_GATE_OPEN;
    while (verdict == BM_GATE_OPEN) {
        double sign = gate->count % 2 == 0 ? 1 : -1;
        bm_gate_add(gate, middle + sign * width, sign * width / 2);
        verdict = bm_gate_judge(gate, rule);
    }
    return verdict;
}

static void test_equal(void) {
    struct bm_gate gate = {.count = 0};
    TEST_CHECK(feed(&gate, &two_percent, 0, 0.001) == BM_GATE_PASS);
    TEST_CHECK_MSG(gate.count == BM_GATE_LOOK && !gate.is_confirming, "%u sets", gate.count);
}

/* One look convicts what is far beyond the threshold, but never the first stage alone. */
static void test_slow(void) {
    struct bm_gate gate = {.count = 0};
    TEST_CHECK(feed(&gate, &two_percent, log(3.0), 0.01) == BM_GATE_REGRESSION);
    TEST_CHECK(gate.is_confirming && gate.screened == BM_GATE_LOOK &&
               gate.count == 2 * BM_GATE_LOOK);
}

static void test_fast(void) {
    struct bm_gate gate = {.count = 0};
    TEST_CHECK(feed(&gate, &two_percent, -log(1.5), 0.01) == BM_GATE_IMPROVEMENT);
    TEST_CHECK(gate.is_confirming);
}

/* What looked slow and then does not is acquitted. */
static void test_acquitted(void) {
    struct bm_gate gate = {.count = 0};
    while (!gate.is_confirming) {
        bm_gate_add(&gate, 0.05 + 0.001 * (gate.count % 3), 0);
        TEST_CHECK(bm_gate_judge(&gate, &two_percent) == BM_GATE_OPEN);
    }
    /* By the sets of the second stage alone, which the first ones would outweigh for long. */
    TEST_CHECK(feed(&gate, &two_percent, 0, 0.001) == BM_GATE_PASS);
    TEST_CHECK_MSG(gate.count == 2 * BM_GATE_LOOK, "%u sets", gate.count);
    /* Nor does one that looked slow and then is fast become an improvement. */
    gate = (struct bm_gate){.count = 0};
    while (!gate.is_confirming) {
        bm_gate_add(&gate, 0.05 + 0.001 * (gate.count % 3), 0);
        (void)bm_gate_judge(&gate, &two_percent);
    }
    TEST_CHECK(feed(&gate, &two_percent, -0.05, 0.001) == BM_GATE_PASS);
}

/* A slow-down of the accepted size is no regression, however well it is known. */
static void test_threshold(void) {
    struct bm_gate gate = {.count = 0};
    TEST_CHECK(feed(&gate, &two_percent, log(1.019), 0.0001) == BM_GATE_PASS);
    gate = (struct bm_gate){.count = 0};
    TEST_CHECK(feed(&gate, &two_percent, log(1.021), 0.0001) == BM_GATE_REGRESSION);
    /* Below the resolution nothing keeps a cell from passing. */
    const struct bm_gate_rule fine = {.threshold = 0.002, .sets_max = BM_GATE_SETS_MAX};
    gate = (struct bm_gate){.count = 0};
    TEST_CHECK(feed(&gate, &fine, 0, 0.004) == BM_GATE_PASS);
}

/* The two arms of base differ by 2 %, head by `middle`. */
static enum bm_gate_verdict judge_apart(double middle) {
    struct bm_gate gate = {.count = 0};
    enum bm_gate_verdict verdict = BM_GATE_OPEN;
    while (verdict == BM_GATE_OPEN) {
        double wobble = gate.count % 2 == 0 ? 0.001 : -0.001;
        bm_gate_add(&gate, middle + wobble, 0.02 + wobble);
        verdict = bm_gate_judge(&gate, &two_percent);
    }
    return verdict;
}

/* The two arms of the same file differ by more than noise explains. */
static void test_void(void) {
    TEST_CHECK(judge_apart(log(1.5)) == BM_GATE_VOID);
    TEST_CHECK(judge_apart(-log(1.5)) == BM_GATE_VOID);
    TEST_CHECK(judge_apart(0.0) == BM_GATE_VOID);
}

/* But a head of twice the time, or half, is not slower, or faster, for the 2 %. */
static void test_dwarfed(void) {
    TEST_CHECK(judge_apart(log(2.0)) == BM_GATE_REGRESSION);
    TEST_CHECK(judge_apart(-log(2.0)) == BM_GATE_IMPROVEMENT);
}

/* Sets so wild that nothing can be said, and sets so few. */
static void test_inconclusive(void) {
    struct bm_gate gate = {.count = 0};
    TEST_CHECK(feed(&gate, &two_percent, 0, 0.3) == BM_GATE_INCONCLUSIVE);
    TEST_CHECK(gate.count == BM_GATE_SETS_MAX);
    const struct bm_gate_rule few = {.threshold = 0.02, .sets_max = 3};
    gate = (struct bm_gate){.count = 0};
    TEST_CHECK(feed(&gate, &few, log(3.0), 0.001) == BM_GATE_INCONCLUSIVE);
    TEST_CHECK(gate.count == 3);
    TEST_CHECK(isnan(bm_gate_sensitivity(&gate, &few)));
    /* No second stage fits: a suspect stays one. */
    const struct bm_gate_rule no_second = {.threshold = 0.02, .sets_max = 11};
    gate = (struct bm_gate){.count = 0};
    TEST_CHECK(feed(&gate, &no_second, log(3.0), 0.001) == BM_GATE_INCONCLUSIVE);
    TEST_CHECK(gate.count == 11 && !gate.is_confirming);
    /* One look of it is enough for what is plain. */
    const struct bm_gate_rule one_look = {.threshold = 0.02, .sets_max = 12};
    gate = (struct bm_gate){.count = 0};
    TEST_CHECK(feed(&gate, &one_look, log(3.0), 0.001) == BM_GATE_REGRESSION);
}

static void test_figures(void) {
    struct bm_gate gate = {.count = 0};
    struct bm_gate_figures figures;
    bm_gate_figures(&gate, &two_percent, &figures);
    TEST_CHECK(figures.sets == 0 && isnan(figures.estimate) && isnan(figures.aa_spread));
    TEST_CHECK(feed(&gate, &two_percent, log(1.1), 0.01) == BM_GATE_REGRESSION);
    bm_gate_figures(&gate, &two_percent, &figures);
    TEST_CHECK(figures.sets == gate.count - gate.screened);
    TEST_CHECK(fabs(figures.estimate - log(1.1)) < 1e-12);
    TEST_CHECK(figures.low < figures.estimate && figures.estimate < figures.high);
    TEST_CHECK_MSG(figures.p < 0.005, "p %g", figures.p);
    /* Half of the sets at +.005, half at -.005. */
    double spread = 0.005 * sqrt(gate.count / (gate.count - 1.0));
    TEST_CHECK_MSG(fabs(figures.aa_spread - spread) < 1e-12, "%g, %g", figures.aa_spread, spread);
    TEST_CHECK(fabs(figures.aa_estimate) < 1e-12);
}

/* ---- Rates ---- */

/* A machine: sets scatter normally, and one in ten is wild. */
static double draw(struct bm_random *random, double deviation) {
    double radius = sqrt(-2 * log(1 - bm_random_double(random)));
    double normal = radius * cos(2 * 3.14159265358979323846 * bm_random_double(random));
    return normal * deviation * (bm_random_below(random, 10) == 0 ? 4 : 1);
}

struct rates {
    uint32_t counts[BM_GATE_VOID + 1];
    uint32_t sets; /* of all gates */
};

static struct rates
simulate(double shift, double deviation, const struct bm_gate_rule *rule, uint64_t seed) {
    struct rates rates = {.sets = 0};
    struct bm_random random;
    bm_random_init(&random, seed, BM_RANDOM_DATA, 0);
    for (uint32_t i = 0; i < GATES; i++) {
        struct bm_gate gate = {.count = 0};
        enum bm_gate_verdict verdict = BM_GATE_OPEN;
        while (verdict == BM_GATE_OPEN) {
            double aa = draw(&random, 1.15 * deviation); /* drawn first, whatever the compiler */
            bm_gate_add(&gate, shift + draw(&random, deviation), aa);
            verdict = bm_gate_judge(&gate, rule);
        }
        rates.counts[verdict]++;
        rates.sets += gate.count;
    }
    (void)printf("%+.1f %%, sets scatter by %.1f %%, threshold %.1f %%: pass %u, regression %u, "
                 "improvement %u, inconclusive %u, void %u of %u; %.1f sets\n",
                 100 * shift, 100 * deviation, 100 * rule->threshold, rates.counts[BM_GATE_PASS],
                 rates.counts[BM_GATE_REGRESSION], rates.counts[BM_GATE_IMPROVEMENT],
                 rates.counts[BM_GATE_INCONCLUSIVE], rates.counts[BM_GATE_VOID], GATES,
                 (double)rates.sets / GATES);
    return rates;
}

/* Equal arms, on a quiet machine and on a wild one. */
static void test_false_alarms(void) {
    static const double deviations[] = {0.004, 0.01, 0.02, 0.05};
    static const double thresholds[] = {0.002, 0.005, 0.02};
    for (size_t d = 0; d < sizeof deviations / sizeof deviations[0]; d++) {
        for (size_t t = 0; t < sizeof thresholds / sizeof thresholds[0]; t++) {
            const struct bm_gate_rule rule = {thresholds[t], BM_GATE_SETS_MAX};
            struct rates rates = simulate(0, deviations[d], &rule, 10 * d + t);
            TEST_CHECK(rates.counts[BM_GATE_REGRESSION] <= GATES / 50);
            TEST_CHECK(rates.counts[BM_GATE_IMPROVEMENT] <= GATES / 50);
            TEST_CHECK(thresholds[t] < 0.02 || rates.counts[BM_GATE_REGRESSION] == 0);
            TEST_CHECK(deviations[d] > 0.01 || rates.counts[BM_GATE_PASS] >= GATES * 9 / 10);
            TEST_CHECK(deviations[d] > 0.01 || rates.sets <= 24 * GATES);
        }
    }
}

/* Slow-downs that must be found, and none of them an improvement. */
static void test_detection(void) {
    static const struct {
        double slowdown;
        double threshold;
        double deviation;
    } cases[] = {{0.05, 0.02, 0.02}, {0.02, 0.005, 0.014}, {0.01, 0.002, 0.006}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct bm_gate_rule rule = {cases[i].threshold, BM_GATE_SETS_MAX};
        double shift = log1p(cases[i].slowdown);
        struct rates slow = simulate(shift, cases[i].deviation, &rule, 100 + i);
        struct rates fast = simulate(-shift, cases[i].deviation, &rule, 200 + i);
        TEST_CHECK(slow.counts[BM_GATE_REGRESSION] >= GATES * 9 / 10);
        TEST_CHECK(slow.counts[BM_GATE_IMPROVEMENT] == 0);
        TEST_CHECK(fast.counts[BM_GATE_IMPROVEMENT] >= GATES * 9 / 10);
        TEST_CHECK(fast.counts[BM_GATE_REGRESSION] == 0);
    }
}

/* What a gate says it would have found is found about as often as it says. */
static void test_sensitivity(void) {
    const struct bm_gate_rule rule = {0.005, BM_GATE_SETS_MAX};
    const double deviation = 0.014;
    struct bm_random random;
    double sum = 0;
    bm_random_init(&random, 7, BM_RANDOM_DATA, 0);
    for (uint32_t i = 0; i < 10; i++) {
        struct bm_gate gate = {.count = 0};
        while (gate.count < 18) {
            bm_gate_add(&gate, draw(&random, deviation), 0);
        }
        double sensitivity = bm_gate_sensitivity(&gate, &rule);
        TEST_CHECK_MSG(sensitivity > 0.007 && sensitivity < 0.04, "sensitivity %g", sensitivity);
        TEST_CHECK(sensitivity == bm_gate_sensitivity(&gate, &rule));
        sum += sensitivity;
    }
    struct rates rates = simulate(log1p(sum / 10), deviation, &rule, 300);
    (void)printf("mean sensitivity %.2f %%\n", 100 * sum / 10);
    TEST_CHECK(rates.counts[BM_GATE_REGRESSION] >= GATES * 80 / 100);
    TEST_CHECK(rates.counts[BM_GATE_REGRESSION] <= GATES * 98 / 100);
}

int main(void) {
    test_equal();
    test_slow();
    test_fast();
    test_acquitted();
    test_threshold();
    test_void();
    test_dwarfed();
    test_inconclusive();
    test_figures();
    test_false_alarms();
    test_detection();
    test_sensitivity();
    return 0;
}
