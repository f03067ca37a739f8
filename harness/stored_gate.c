#include "stored_gate.h"

#include "comparison_words.h"
#include "stats.h"
#include "stored_record.h"
#include "yuen.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Of the bound that makes a regression or an improvement, and of the smallest change that would be
 * found: with one look at one run there is no second stage. */
#define LEVEL 0.995
#define POWER 0.9
/* The printed interval, whose upper end also makes a PASS. */
#define INTERVAL_LOW 0.025
#define INTERVAL_HIGH 0.975
/* Rounds more alike than this say little, however many there are. */
#define CORRELATION_MAX 0.9
/* Runs may always differ by so much before they are called incomparable. */
#define DRIFT_MIN 0.002

/* ---- How much rounds tell ---- */

/* Sums over neighbours and over single values of one sample, the outer fifths moved in so that a
 * wild round does not hide how alike the others are. */
static void
add_products(const double *values, uint32_t count, double *neighbours, double *squares) {
    double sorted[BM_STORED_SAMPLES_MAX];
    double moved[BM_STORED_SAMPLES_MAX];
    double mean = 0;
    memcpy(sorted, values, count * sizeof *values);
    bm_stats_sort(sorted, count);
    for (uint32_t i = 0; i < count; i++) {
        moved[i] = fmin(fmax(values[i], sorted[count / 5]), sorted[count - 1 - count / 5]);
        mean += moved[i] / count;
    }
    for (uint32_t i = 0; i < count; i++) {
        *squares += (moved[i] - mean) * (moved[i] - mean);
        *neighbours += i == 0 ? 0 : (moved[i] - mean) * (moved[i - 1] - mean);
    }
}

/* By how much the mean of such rounds is less certain than that of independent ones: for a first
 * order process, sqrt((1 + r) / (1 - r)). */
static double
inflation_of(const double *base, uint32_t base_count, const double *head, uint32_t head_count) {
    double neighbours = 0;
    double squares = 0;
    add_products(base, base_count, &neighbours, &squares);
    add_products(head, head_count, &neighbours, &squares);
    double r = squares > 0 ? fmin(neighbours / squares, CORRELATION_MAX) : 0;
    return r > 0 ? sqrt((1 + r) / (1 - r)) : 1;
}

/* ---- How much runs differ ---- */

static double median_of(const double *values, uint32_t count) {
    double sorted[BM_STORED_CONTROLS_MAX];
    memcpy(sorted, values, count * sizeof *values);
    return bm_stats_median(sorted, count);
}

/* 1.4826 times the median distance from the median: of normal values their standard deviation, and
 * nothing of it comes from the few cells that changed for a reason of their own. */
static double robust_spread_of(const double *values, uint32_t count) {
    double distances[BM_STORED_CONTROLS_MAX] = {0};
    double median = median_of(values, count);
    for (uint32_t i = 0; i < count; i++) {
        distances[i] = fabs(values[i] - median);
    }
    return 1.4826 * median_of(distances, count);
}

static double spread_of(const double *values, uint32_t count) {
    double mean = 0;
    double squares = 0;
    for (uint32_t i = 0; i < count; i++) {
        mean += values[i] / count;
    }
    for (uint32_t i = 0; i < count; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
    }
    return sqrt(squares / (count - 1));
}

/* A second error beside the rounds' own, of `freedom` degrees: squares add up, and the degrees are
 * those of Welch and Satterthwaite. */
static void add_error(struct bm_yuen *result, double error, double freedom) {
    double squares = pow(result->error, 2) + pow(error, 2);
    double terms = pow(result->error, 4) / result->freedom + pow(error, 4) / freedom;
    result->freedom = terms > 0 ? squares * squares / terms : result->freedom;
    result->error = sqrt(squares);
}

/* Whether unchanged plugins changed together, which no plugin is the cause of. */
static int has_drifted(const struct bm_stored_rule *rule, const struct bm_yuen *drift) {
    double limit = fmax(log1p(rule->threshold) / 2, DRIFT_MIN);
    return bm_yuen_bound(drift, INTERVAL_LOW) > limit ||
           bm_yuen_bound(drift, INTERVAL_HIGH) < -limit;
}

/* What unchanged plugins say: their common change is no change of head, so it is an error. */
static void add_unchanged(const struct bm_stored_rule *rule,
                          const struct bm_yuen *drift,
                          struct bm_yuen *result,
                          struct bm_comparison_cell *cell) {
    cell->aa_ratio = exp(drift->estimate);
    cell->aa_spread = spread_of(rule->controls, rule->control_count);
    add_error(result, hypot(cell->aa_spread, drift->estimate), rule->control_count - 1);
}

/* ---- The verdict ---- */

static void explain_drift(const struct bm_yuen *drift, uint32_t count, char *text, size_t size) {
    char share[32];
    bm_comparison_percent(expm1(drift->estimate), 1, share, sizeof share);
    (void)snprintf(text, size,
                   "the %u cells of unchanged plugins on this device changed by %s: it is the "
                   "machine that differs",
                   count, share);
}

static void explain_open(const struct bm_comparison_cell *cell, char *text, size_t size) {
    char shares[2][32];
    bm_comparison_percent(cell->low - 1, 1, shares[0], sizeof shares[0]);
    bm_comparison_percent(cell->high - 1, 1, shares[1], sizeof shares[1]);
    (void)snprintf(text, size, "the rounds allow for anything from %s to %s", shares[0], shares[1]);
}

static void judge(const struct bm_yuen *result,
                  const struct bm_stored_rule *rule,
                  struct bm_comparison_cell *cell) {
    static const char alone[] = "one run each, and no unchanged plugins that tell how runs differ: "
                                "the plugins measured in pairs would confirm it";
    double limit = log1p(rule->threshold);
    int is_told = rule->are_unchanged && rule->control_count >= BM_STORED_CONTROLS_MIN;
    const char *reason = is_told ? "" : alone;
    if (bm_yuen_bound(result, 1 - LEVEL) > limit) {
        cell->verdict = BM_COMPARISON_REGRESSION;
    } else if (bm_yuen_bound(result, LEVEL) < -limit) {
        cell->verdict = BM_COMPARISON_IMPROVEMENT;
    } else if (bm_yuen_bound(result, INTERVAL_HIGH) < limit) {
        cell->verdict = BM_COMPARISON_PASS;
        reason = "";
    } else {
        cell->verdict = BM_COMPARISON_INCONCLUSIVE;
        explain_open(cell, cell->reason, sizeof cell->reason);
        return;
    }
    (void)snprintf(cell->reason, sizeof cell->reason, "%s", reason);
}

static void fill_figures(const struct bm_yuen *result,
                         const struct bm_stored_rule *rule,
                         struct bm_comparison_cell *cell) {
    double limit = log1p(rule->threshold);
    cell->ratio = exp(result->estimate);
    cell->low = exp(bm_yuen_bound(result, INTERVAL_LOW));
    cell->high = exp(bm_yuen_bound(result, INTERVAL_HIGH));
    cell->p = bm_yuen_p_above(result, limit);
    cell->sensitivity = expm1(limit + bm_yuen_sensitivity(result, LEVEL, POWER));
}

void bm_stored_gate(const double *base,
                    uint32_t base_count,
                    const double *head,
                    uint32_t head_count,
                    const struct bm_stored_rule *rule,
                    struct bm_comparison_cell *cell) {
    double scratch[BM_STORED_SAMPLES_MAX];
    struct bm_yuen result;
    struct bm_yuen drift = {0, 0, 1};
    int is_void = 0;
    BM_ASSERT(base_count <= BM_STORED_SAMPLES_MAX && head_count <= BM_STORED_SAMPLES_MAX);
    BM_ASSERT(rule->control_count <= BM_STORED_CONTROLS_MAX);
    cell->sets = base_count < head_count ? base_count : head_count;
    if (cell->sets < BM_YUEN_COUNT_MIN) {
        cell->verdict = BM_COMPARISON_INCONCLUSIVE;
        (void)snprintf(cell->reason, sizeof cell->reason,
                       "expected at least %u rounds, found %u in base and %u in head",
                       BM_YUEN_COUNT_MIN, base_count, head_count);
        return;
    }
    bm_yuen_two(base, base_count, head, head_count, &result, scratch);
    result.error *= inflation_of(base, base_count, head, head_count);
    if (rule->control_count >= BM_STORED_CONTROLS_MIN && rule->are_unchanged) {
        bm_yuen_one(rule->controls, rule->control_count, &drift, scratch);
        is_void = has_drifted(rule, &drift);
        add_unchanged(rule, &drift, &result, cell);
    } else if (rule->control_count >= BM_STORED_CONTROLS_MIN) {
        add_error(&result, robust_spread_of(rule->controls, rule->control_count),
                  rule->control_count - 1);
    }
    fill_figures(&result, rule, cell);
    judge(&result, rule, cell);
    if (is_void) {
        cell->verdict = BM_COMPARISON_INCONCLUSIVE;
        explain_drift(&drift, rule->control_count, cell->reason, sizeof cell->reason);
    }
}

double bm_stored_log_ratio(const double *base,
                           uint32_t base_count,
                           const double *head,
                           uint32_t head_count) {
    double scratch[BM_STORED_SAMPLES_MAX];
    struct bm_yuen result;
    bm_yuen_two(base, base_count, head, head_count, &result, scratch);
    return result.estimate;
}
