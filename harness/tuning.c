#include "tuning.h"

#include "error.h"
#include "reference.h"

#include <math.h>
#include <stddef.h>

#define RANGE 1000.0 /* high / low, of every rule: n trials are as dense for one as for another */

struct rates {
    double low;
    double usual;
};

/*
 * Tried on real MNIST, 55 000 images for training and 5000 for validation, standardized, with the
 * 784-512-512-10 network from this harness's start, a rate every half decade. The numbers are
 * validation accuracies after two epochs at batch 100, one seed, whose standard error is .0024. The
 * ranges leave room downwards for small batches, whose best rates are lower, and upwards for batch
 * 10 000 (30 updates), where that is said.
 */
static const struct rates table[BM_OPTIMIZER_COUNT] = {
    /* .01 .938, .1 .968, .316 .965, 1 diverges; at batch 10 000 .316 .917, 1 diverges. */
    [BM_OPTIMIZER_SGD] = {1e-3, 1e-1},
    /* A tenth of sgd's, because momentum .9 adds up ten gradients: .001 .940, .01 .970, .0316 .972,
     * .1 .959, .316 diverges; at batch 10 000 .1 .936, better than .0316. */
    [BM_OPTIMIZER_MOMENTUM] = {3e-4, 2e-2},
    /* .001 .941, .01 .971, .0316 .969, .1 .962, .316 diverges. */
    [BM_OPTIMIZER_NESTEROV] = {3e-4, 2e-2},
    /* .001 .954, .00316 .970, .01 .972, .0316 .963, .1 .947, .316 .660. */
    [BM_OPTIMIZER_ADAGRAD] = {1e-4, 1e-2},
    /* 1e-5 .908, 1e-4 .960, 3.16e-4 .968, .001 .964, .01 .917, .0316 .231. */
    [BM_OPTIMIZER_RMSPROP] = {1e-5, 3e-4},
    /* The paper's rate: 1e-5 .894, 1e-4 .960, .001 .972, .00316 .968, .01 .926; at batch 10 000
     * .00316 .941, .01 .936. */
    [BM_OPTIMIZER_ADAM] = {1e-5, 1e-3},
    /* 1e-5 .894, 1e-4 .961, .001 .971, .00316 .967, .01 .944. */
    [BM_OPTIMIZER_ADAMW] = {1e-5, 1e-3},
    /* With trust .001 and momentum .9 gradients of one direction move a layer by rate / 100 of its
     * norm. The paper's rates of 2 to 40 are for ImageNet at batches of 256 to 32 768 and decay to
     * 0; 3 % an update are much here, 10 % undo what was learnt: .1 .955, .316 .967, 1 .970, 3.16
     * .957, 10 .113; at batch 10 000 3.16 .952, 10 .955, 31.6 .704. */
    [BM_OPTIMIZER_LARS] = {3e-2, 1.0},
    /* A layer moves by up to its rate's share of its norm: .001 .970, .00316 .973, .01 .939, .0316
     * .234; at batch 10 000 .01 .951, .0316 .960, .1 .364. */
    [BM_OPTIMIZER_LAMB] = {1e-4, 3e-3},
};

static const struct rates *rates_of(uint32_t optimizer) {
    BM_ASSERT(optimizer < BM_OPTIMIZER_COUNT);
    return &table[optimizer];
}

double bm_tuning_default_rate(uint32_t optimizer) {
    return rates_of(optimizer)->usual;
}

/* The digits of `n` in base 2, mirrored at the point. */
static double van_der_corput(uint32_t n) {
    double x = 0.0;
    double weight = 0.5;
    for (; n > 0; n >>= 1) {
        x += (n & 1u) ? weight : 0.0;
        weight /= 2.0;
    }
    return x;
}

double bm_tuning_rate(uint32_t optimizer, uint32_t trial, uint32_t trial_count) {
    BM_ASSERT(trial < trial_count);
    return rates_of(optimizer)->low * pow(RANGE, van_der_corput(trial + 1));
}

int32_t
bm_tuning_best(const double *scores, const double *rates, const uint32_t *failed, uint32_t count) {
    int32_t best = -1;
    BM_ASSERT(count <= INT32_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (failed != NULL && failed[i]) {
            continue;
        }
        BM_ASSERT(isfinite(scores[i]));
        if (best < 0 || scores[i] > scores[best] ||
            (scores[i] == scores[best] && rates[i] < rates[best])) {
            best = (int32_t)i;
        }
    }
    return best;
}

uint32_t bm_tuning_at_edge(const double *rates, uint32_t count, uint32_t best) {
    uint32_t edge = BM_TUNING_EDGE_LOW | BM_TUNING_EDGE_HIGH;
    BM_ASSERT(best < count);
    for (uint32_t i = 0; i < count; i++) {
        edge &= rates[i] < rates[best] ? ~BM_TUNING_EDGE_LOW : ~0u;
        edge &= rates[i] > rates[best] ? ~BM_TUNING_EDGE_HIGH : ~0u;
    }
    return edge;
}
