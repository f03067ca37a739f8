#include "escape_counts.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The normal distribution's quantile of 1/2 + coverage/2. */
#define NORMAL_QUANTILE 1.959963984540054

/* (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) */
struct bm_counted_value bm_counts_share(uint64_t yes, uint64_t runs) {
    BM_ASSERT(runs > 0 && yes <= runs);
    double n = (double)runs;
    double p = (double)yes / n;
    double z2 = NORMAL_QUANTILE * NORMAL_QUANTILE;
    double middle = p + z2 / (2 * n);
    double half = NORMAL_QUANTILE * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    double scale = 1 + z2 / n;
    return (struct bm_counted_value){.value = p,
                                     .low = yes == 0 ? 0 : (middle - half) / scale,
                                     .high = yes == runs ? 1 : (middle + half) / scale};
}

static int compare_counts(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The largest k with 2 P(Binomial(count, 1/2) < k) <= 1 - coverage; 0 if there is none. */
static uint64_t interval_rank(uint64_t count) {
    double term = exp2(-(double)count);
    double tail = term;
    uint64_t k = 0;
    while (k < count && 2 * tail <= 1 - BM_COUNTS_COVERAGE) {
        k++;
        term *= (double)(count - k + 1) / (double)k;
        tail += term;
    }
    return k;
}

struct bm_counted_value bm_counts_median(const uint64_t *values, uint64_t count) {
    struct bm_counted_value median = {NAN, NAN, NAN};
    uint64_t sorted[BM_COUNTS_MAX];
    BM_ASSERT(count <= BM_COUNTS_MAX);
    if (count == 0) {
        return median;
    }
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_counts);
    uint64_t k = interval_rank(count);
    uint64_t lower = (count - 1) / 2;
    uint64_t upper = count / 2;
    median.value = (double)(sorted[lower] + sorted[upper]) / 2;
    if (k > 0) {
        median.low = (double)sorted[k - 1];
        median.high = (double)sorted[count - k];
    }
    return median;
}
