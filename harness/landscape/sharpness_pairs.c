#include "sharpness_pairs.h"

#include "error.h"
#include "seeds.h"

#include <math.h>
#include <string.h>

#define PAIRS_MAX 64u

static const struct bm_sharpness_paper table[] = {
    {"f1", "mnist", 0, 1e-3, 1.23, 205.14},    {"f1", "mnist", 0, 5e-4, 0.61, 42.90},
    {"f1", "mnist", 1, 1e-3, 0.11, 9.22},      {"f1", "mnist", 1, 5e-4, 0.05, 9.17},
    {"c1", "cifar10", 0, 1e-3, 28.58, 707.23}, {"c1", "cifar10", 0, 5e-4, 7.08, 227.31},
    {"c1", "cifar10", 1, 1e-3, 2.18, 137.25},  {"c1", "cifar10", 1, 5e-4, 0.71, 29.50},
    {"c2", "cifar10", 0, 1e-3, 8.68, 925.32},  {"c2", "cifar10", 0, 5e-4, 2.07, 175.31},
    {"c2", "cifar10", 1, 1e-3, 0.95, 25.09},   {"c2", "cifar10", 1, 5e-4, 0.31, 5.82},
};

const struct bm_sharpness_paper *
bm_sharpness_paper(const char *model, const char *dataset, uint32_t subspace, double epsilon) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].model, model) == 0 && strcmp(table[i].dataset, dataset) == 0 &&
            table[i].subspace == subspace && fabs(table[i].epsilon - epsilon) < 1e-9) {
            return &table[i];
        }
    }
    return NULL;
}

struct bm_sharpness_ratio
bm_sharpness_compare(const double *small, const double *large, uint32_t count) {
    struct bm_sharpness_ratio ratio = {.agrees = BM_SHARPNESS_UNDECIDED};
    double logs[PAIRS_MAX];
    BM_ASSERT(count <= PAIRS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (small[i] > 0 && large[i] > 0) {
            logs[ratio.pairs++] = log(large[i] / small[i]);
        }
    }
    const struct bm_seeds_mean mean = bm_seeds_mean(logs, ratio.pairs, BM_SEEDS_COVERAGE);
    ratio.value = exp(mean.mean);
    ratio.low = mean.has_interval ? exp(mean.low) : (double)NAN;
    ratio.high = mean.has_interval ? exp(mean.high) : (double)NAN;
    if (mean.has_interval && (mean.low > 0 || mean.high < 0)) {
        ratio.agrees = mean.low > 0 ? BM_SHARPNESS_AGREES : BM_SHARPNESS_CONTRADICTS;
    }
    return ratio;
}
