/*
 * Tuning of the learning rate with the same number of trials for every rule: each has a range of
 * three decades, and trials go through it in the same quasi-random order. Tuning every batch size
 * anew, by equal budgets, is what Shallue et al., "Measuring the effects of data parallelism on
 * neural network training" (arXiv 1811.03600), section 4, ask of a comparison.
 */
#ifndef BM_TUNING_H
#define BM_TUNING_H

#include <stdint.h>

/* Rate of a rule (BM_OPTIMIZER_*) where nothing is tuned: a good one for the 784-512-512-10 network
 * on MNIST-like data at batch BM_RATE_BASE_BATCH (100). */
double bm_tuning_default_rate(uint32_t optimizer);

/* Rate of trial 0 .. trial_count - 1: low 1000^x, low being the rule's and x the van der Corput
 * sequence of base 2 from its element 1 on: 1/2, 1/4, 3/4, 1/8, 5/8, ... (van der Corput 1935;
 * Niederreiter, "Random number generation and quasi-Monte Carlo methods", SIAM 1992,
 * definition 3.2). More trials only add: the first n of any number are the same n, and 2^k - 1 of
 * them divide the range evenly. */
double bm_tuning_rate(uint32_t optimizer, uint32_t trial, uint32_t trial_count);

/* Index of the best of scores[0 .. count), usually validation accuracies: the highest; of equals
 * the one with the smallest rate. A trial that failed (failed[i] not 0: diverged, crashed) is left
 * out and its score not read; other scores are finite. `failed` NULL: none has. -1 if all have, or
 * there are none. */
int32_t
bm_tuning_best(const double *scores, const double *rates, const uint32_t *failed, uint32_t count);

#define BM_TUNING_EDGE_LOW 1u  /* the smallest rate tried */
#define BM_TUNING_EDGE_HIGH 2u /* the largest */

/* Whether rates[best] is at an end of all that were tried, failed ones included (a rate that
 * diverges bounds the best from above): a better one may lie outside, and a report must say so. 0
 * inside; of a single trial both. */
uint32_t bm_tuning_at_edge(const double *rates, uint32_t count, uint32_t best);

#endif
