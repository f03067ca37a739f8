/*
 * What results over several seeds say: mean with Student's t interval, paired differences of two
 * settings that were trained with the same seeds, equivalence within a margin, and Holm's
 * correction where many are tested at once. Pure functions of arrays.
 *
 * Values are accuracies or other finite numbers; one that is not finite is a fault of the caller
 * and stops at BM_ASSERT. A run that failed has no value: the caller leaves its seed out, of a pair
 * on both sides. Any count is allowed, also 0.
 *
 * Values that agree to their last bits have no deviation to estimate, and a t interval of width 0
 * would claim certainty. There is no interval then, and tests count signs instead, which assumes no
 * distribution: `count` differences of one sign have probability 2^-count.
 */
#ifndef BM_SEEDS_H
#define BM_SEEDS_H

#include <stdint.h>

/* Usual coverage of intervals. */
#define BM_SEEDS_COVERAGE 0.95

/* With fewer pairs nothing is called equivalent or different: 5 that agree have probability 2^-5 by
 * chance, the first below alpha = .05. */
#define BM_SEEDS_PAIRS_MIN 5u

struct bm_seeds_mean {
    uint64_t count;
    double mean;           /* NaN if count is 0 */
    double deviation;      /* of the sample, over count - 1; NaN below 2 values; 0 if all agree */
    uint32_t has_interval; /* 0 below 2 values and where all agree: low and high are NaN */
    double low;            /* mean -+ t(1/2 + coverage/2, count - 1) deviation / sqrt(count) */
    double high;
};

/* Mean of values[0 .. count) and its interval of `coverage`, 0 < coverage < 1. */
struct bm_seeds_mean bm_seeds_mean(const double *values, uint64_t count, double coverage);

struct bm_seeds_paired {
    struct bm_seeds_mean difference; /* of a[i] - b[i] */
    double p;                        /* two-sided, of no difference: the paired t test; without an
                                        interval the sign test, 1 if all differences are 0 */
    uint32_t distinguishable;        /* the interval excludes 0; without one: p <= 1 - coverage */
};

/* Paired comparison: a[i] and b[i], [count] each, are of the same seed. */
struct bm_seeds_paired
bm_seeds_paired(const double *a, const double *b, uint64_t count, double coverage);

/* ---- Equivalence ---- */

#define BM_SEEDS_EQUIVALENT 0u
#define BM_SEEDS_DIFFERENT 1u
#define BM_SEEDS_UNDECIDED 2u

struct bm_seeds_equivalence {
    uint32_t verdict;                /* BM_SEEDS_* */
    struct bm_seeds_mean difference; /* of a[i] - b[i], with the interval of 1 - 2 alpha */
    double p;           /* of "not equivalent": the larger of the two one-sided p-values; without an
                           interval 2^-count if all differences lie inside the margin, else 1 */
    const char *reason; /* of the verdict, in words; static */
};

/*
 * Two one-sided tests (Schuirmann, "A comparison of the two one-sided tests procedure and the power
 * approach for assessing the equivalence of average bioavailability", Journal of Pharmacokinetics
 * and Biopharmaceutics 15 (1987)): EQUIVALENT if the 1 - 2 alpha interval of the paired difference
 * lies inside +-margin, which is p < alpha; DIFFERENT if it lies wholly outside; else, and below
 * BM_SEEDS_PAIRS_MIN pairs, UNDECIDED. Where all differences agree, the sign test decides if
 * 2^-count <= alpha. 0 < margin, 0 < alpha < 1/2; usual is .05.
 */
struct bm_seeds_equivalence
bm_seeds_equivalent(const double *a, const double *b, uint64_t count, double margin, double alpha);

/* "equivalent", "different", "undecided". */
const char *bm_seeds_verdict_name(uint32_t verdict);

/* ---- Many tests ---- */

/* adjusted[i]: the smallest level at which Holm's step-down procedure ("A simple sequentially
 * rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979)) rejects test i
 * of the family p[0 .. count), so that the chance of any false rejection is at most that level.
 * Each p in [0, 1], in any order; `adjusted` is [count] and not `p`. */
void bm_seeds_holm(const double *p, uint64_t count, double *adjusted);

#endif
