/*
 * How many of several runs did something, and after how many updates: a share with Wilson's
 * interval, and a median with an interval that assumes no distribution.
 */
#ifndef BM_ESCAPE_COUNTS_H
#define BM_ESCAPE_COUNTS_H

#include <stdint.h>

#define BM_COUNTS_COVERAGE 0.95
#define BM_COUNTS_MAX 64u /* runs */

/* A value with its interval; NaN: not known. */
struct bm_counted_value {
    double value;
    double low;
    double high;
};

/*
 * yes / runs, with the score interval of Wilson, "Probable inference, the law of succession, and
 * statistical inference", Journal of the American Statistical Association 22 (1927): where none or
 * all did it, it still has a width. runs > 0.
 */
struct bm_counted_value bm_counts_share(uint64_t yes, uint64_t runs);

/* The median of values[0 .. count), count at most BM_COUNTS_MAX, in any order, with the k-th
 * smallest and the k-th largest as its interval, k as large as BM_COUNTS_COVERAGE allows (as in
 * stats.h); no interval below 6 values, which cannot have that coverage. No value where there are
 * none. */
struct bm_counted_value bm_counts_median(const uint64_t *values, uint64_t count);

#endif
