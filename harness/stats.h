/*
 * What a series of times says: medians, quartiles, and intervals that assume no distribution. Pure
 * functions of arrays; everything is recomputed from the samples alone. A time that is not a
 * number, not finite or not positive is a fault of the caller and stops at BM_ASSERT.
 *
 * The rounds are the sample, not the values in them: values of one round share the machine's mood
 * and the memory layout, so each round counts once, by its median.
 */
#ifndef BM_STATS_H
#define BM_STATS_H

#include <stdint.h>

/* Fewer rounds than this give no interval worth the name: with 5 the smallest and the largest hold
 * the median with probability 1 - 2^(1-5) = 94 %, with 4 only with 88 %. */
#define BM_STATS_ROUNDS_MIN 5u

/* How often low .. high holds the true median, at least. */
#define BM_STATS_COVERAGE 0.90

/* At most so many samples of a series are stored. */
#define BM_STATS_SAMPLES_MAX 400u

struct bm_series_stats {
    double median_ns; /* median of the round medians */
    double q1_ns;     /* of all samples, as are q3 and min */
    double q3_ns;
    double min_ns;
    double spread;  /* (q3 - q1 of the round medians) / (2 median_ns): half of the rounds lie within
                       median +- spread, whatever single rounds the machine disturbed */
    double low_ns;  /* interval of the median, see bm_stats_interval */
    double high_ns; /* likewise */
    uint64_t count; /* samples */
    uint32_t rounds;
};

/* Puts values[0 .. count), numbers of any kind, in order. */
void bm_stats_sort(double *values, uint64_t count);

/* Puts them in order; the median of at least one. */
double bm_stats_median(double *values, uint64_t count);

/* The q-quantile, 0 <= q <= 1, of values[0 .. count), count > 0, interpolated linearly between
 * order statistics: definition 7 of Hyndman and Fan, "Sample quantiles in statistical packages",
 * The American Statistician 50 (1996). `scratch` is [count]. */
double bm_stats_quantile(const double *values, uint64_t count, double q, double *scratch);

/* Distribution-free interval of the median of values[0 .. count), count > 0: the k-th smallest and
 * the k-th largest, k as large as a coverage 1 - 2 P(Binomial(count, 1/2) < k) of at least
 * BM_STATS_COVERAGE allows; the smallest and the largest below BM_STATS_ROUNDS_MIN values.
 * `scratch` is [count]. */
void bm_stats_interval(
    const double *values, uint64_t count, double *low, double *high, double *scratch);

/* Median of each round that has samples, in order. `samples` holds the rounds one after the other,
 * round r has round_counts[r] of them (0: the round was lost, and does not count). Returns the
 * number of medians written, at most `rounds`. `scratch` is [largest round count]. */
uint32_t bm_stats_round_medians(const double *samples,
                                const uint64_t *round_counts,
                                uint32_t rounds,
                                double *round_medians,
                                double *scratch);

/* Everything a table prints of one series, laid out as above, with at least one sample. `scratch`
 * is [all samples + rounds]. */
void bm_stats_series(const double *samples,
                     const uint64_t *round_counts,
                     uint32_t rounds,
                     struct bm_series_stats *stats,
                     double *scratch);

/* The stop rule: 1 when there are at least BM_STATS_ROUNDS_MIN rounds and half the width of the
 * median's interval is at most `tolerance` (0.01 for 1 %) of the median; otherwise 0. `scratch` is
 * [rounds]. */
int32_t
bm_stats_known(const double *round_medians, uint32_t rounds, double tolerance, double *scratch);

/* Keeps at most `keep` > 0 of samples[0 .. count) in place and in order: the middle one of each of
 * `keep` equal stretches. Returns how many are left. */
uint64_t bm_stats_thin(double *samples, uint64_t count, uint64_t keep);

/* The ratio a / b of two series that took turns: median over rounds of a[r] / b[r], with its
 * interval. Returns 1 when the two are told apart: at least BM_STATS_ROUNDS_MIN rounds, and the
 * interval does not hold 1. 0 is a tie. `scratch` is [2 rounds]. */
int32_t bm_stats_ratio(const double *a_round_medians,
                       const double *b_round_medians,
                       uint32_t rounds,
                       double *ratio,
                       double *low,
                       double *high,
                       double *scratch);

#endif
