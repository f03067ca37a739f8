/*
 * The harness's random numbers: counter-based Philox4x32-10 (Salmon et al., "Parallel random
 * numbers: as easy as 1, 2, 3", SC11), so that the same seed gives the same bits on every machine,
 * thread count and backend.
 */
#ifndef BM_RANDOM_H
#define BM_RANDOM_H

#include <stdint.h>

/* The ten-round block function. `key` and `counter` as in the paper's Random123 vectors. */
void bm_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/* A stream: the words of bm_philox over counters 0, 1, 2, ... for (seed, purpose, index). */
struct bm_random {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t words[4];
    uint32_t used;
};

/* What a stream is for, so that two uses of one seed never share numbers. */
#define BM_RANDOM_START 1u   /* index: layer */
#define BM_RANDOM_SHUFFLE 2u /* index: epoch */
#define BM_RANDOM_DATA 3u    /* synthetic data */
#define BM_RANDOM_CHECK 4u   /* the check's order; index: batch */
#define BM_RANDOM_ROUND 5u   /* the order of cells in a round; index: round */
#define BM_RANDOM_SET 6u     /* where a comparison's processes lie in memory; index: set and arm */
#define BM_RANDOM_GATE 7u    /* sets drawn again, for a gate's sensitivity */
#define BM_RANDOM_ARMS 8u    /* the order of a comparison's arms; index: set and six rounds */
#define BM_RANDOM_SHARPNESS 10u /* subspaces and directions; index: which */
#define BM_RANDOM_ESCAPE 9u     /* starts, noise and perturbations; index: which */
#define BM_RANDOM_CURVATURE 11u /* vectors that the Hessian is multiplied by; index: which */

void bm_random_init(struct bm_random *random, uint64_t seed, uint32_t purpose, uint32_t index);
uint32_t bm_random_u32(struct bm_random *random);

/* Uniform in [0, bound), without bias (rejection). bound > 0. */
uint32_t bm_random_below(struct bm_random *random, uint32_t bound);

/* Uniform in [0, 1), 53 bits. */
double bm_random_double(struct bm_random *random);

/* Fisher-Yates over 0 .. count-1 from Philox(seed, epoch): the order of one epoch. */
void bm_random_permutation(uint64_t seed, uint32_t epoch, uint32_t *order, uint32_t count);

#endif
