#include "stats.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

void bm_stats_sort(double *values, uint64_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
}

double bm_stats_median(double *values, uint64_t count) {
    BM_ASSERT(count > 0);
    bm_stats_sort(values, count);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static void sort_copy(const double *values, uint64_t count, double *sorted) {
    BM_ASSERT(count > 0);
    for (uint64_t i = 0; i < count; i++) {
        BM_ASSERT(isfinite(values[i]) && values[i] > 0.0);
        sorted[i] = values[i];
    }
    bm_stats_sort(sorted, count);
}

/* h = (count - 1) q; x[floor h] + (h - floor h) (x[floor h + 1] - x[floor h]) */
static double sorted_quantile(const double *sorted, uint64_t count, double q) {
    BM_ASSERT(q >= 0.0 && q <= 1.0);
    double h = (double)(count - 1) * q;
    uint64_t below = (uint64_t)h;
    if (below + 1 >= count) {
        return sorted[count - 1];
    }
    return sorted[below] + (h - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* The largest k with 2 P(Binomial(count, 1/2) < k) <= 1 - BM_STATS_COVERAGE, at least 1. The terms
 * C(count, i) 2^-count are carried as logarithms, because 2^-count underflows at 1075. */
static uint64_t interval_rank(uint64_t count) {
    double log_term = -(double)count * log(2.0);
    double tail = exp(log_term);
    uint64_t k = 1;
    for (uint64_t i = 1; i <= count / 2; i++) {
        log_term += log((double)(count - i + 1) / (double)i);
        tail += exp(log_term);
        if (2.0 * tail > 1.0 - BM_STATS_COVERAGE) {
            break;
        }
        k = i + 1;
    }
    return k;
}

static void sorted_interval(const double *sorted, uint64_t count, double *low, double *high) {
    uint64_t k = interval_rank(count);
    *low = sorted[k - 1];
    *high = sorted[count - k];
}

double bm_stats_quantile(const double *values, uint64_t count, double q, double *scratch) {
    sort_copy(values, count, scratch);
    return sorted_quantile(scratch, count, q);
}

void bm_stats_interval(
    const double *values, uint64_t count, double *low, double *high, double *scratch) {
    sort_copy(values, count, scratch);
    sorted_interval(scratch, count, low, high);
}

uint32_t bm_stats_round_medians(const double *samples,
                                const uint64_t *round_counts,
                                uint32_t rounds,
                                double *round_medians,
                                double *scratch) {
    uint32_t written = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        if (round_counts[round] > 0) {
            round_medians[written++] =
                bm_stats_quantile(samples, round_counts[round], 0.5, scratch);
        }
        samples += round_counts[round];
    }
    return written;
}

static uint64_t total_count(const uint64_t *round_counts, uint32_t rounds) {
    uint64_t total = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        total += round_counts[round];
    }
    return total;
}

void bm_stats_series(const double *samples,
                     const uint64_t *round_counts,
                     uint32_t rounds,
                     struct bm_series_stats *stats,
                     double *scratch) {
    uint64_t count = total_count(round_counts, rounds);
    double *medians = scratch + count;
    stats->count = count;
    stats->rounds = bm_stats_round_medians(samples, round_counts, rounds, medians, scratch);

    sort_copy(samples, count, scratch);
    stats->q1_ns = sorted_quantile(scratch, count, 0.25);
    stats->q3_ns = sorted_quantile(scratch, count, 0.75);
    stats->min_ns = scratch[0];

    sort_copy(medians, stats->rounds, scratch);
    stats->median_ns = sorted_quantile(scratch, stats->rounds, 0.5);
    stats->spread = (sorted_quantile(scratch, stats->rounds, 0.75) -
                     sorted_quantile(scratch, stats->rounds, 0.25)) /
                    (2.0 * stats->median_ns);
    sorted_interval(scratch, stats->rounds, &stats->low_ns, &stats->high_ns);
}

int32_t
bm_stats_known(const double *round_medians, uint32_t rounds, double tolerance, double *scratch) {
    if (rounds < BM_STATS_ROUNDS_MIN) {
        return 0;
    }
    double low = 0.0;
    double high = 0.0;
    bm_stats_interval(round_medians, rounds, &low, &high, scratch);
    return (high - low) / 2.0 <= tolerance * sorted_quantile(scratch, rounds, 0.5);
}

/* Place of the middle of stretch k of `keep` equal ones of `count`: (k + 1/2) count / keep, rounded
 * down. Places are distinct where keep <= count. */
static uint64_t stretch_middle(uint64_t k, uint64_t count, uint64_t keep) {
    return (2 * k + 1) * count / (2 * keep);
}

uint64_t bm_stats_thin(double *samples, uint64_t count, uint64_t keep) {
    BM_ASSERT(keep > 0);
    if (count <= keep) {
        return count;
    }
    for (uint64_t k = 0; k < keep; k++) {
        samples[k] = samples[stretch_middle(k, count, keep)];
    }
    return keep;
}

int32_t bm_stats_ratio(const double *a_round_medians,
                       const double *b_round_medians,
                       uint32_t rounds,
                       double *ratio,
                       double *low,
                       double *high,
                       double *scratch) {
    double *ratios = scratch + rounds;
    for (uint32_t round = 0; round < rounds; round++) {
        ratios[round] = a_round_medians[round] / b_round_medians[round];
    }
    bm_stats_interval(ratios, rounds, low, high, scratch);
    *ratio = sorted_quantile(scratch, rounds, 0.5);
    return rounds >= BM_STATS_ROUNDS_MIN && (*low > 1.0 || *high < 1.0);
}
