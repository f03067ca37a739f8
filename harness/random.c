#include "random.h"

#include "error.h"

#define PHILOX_ROUNDS 10
#define PHILOX_MULTIPLIER_0 UINT64_C(0xd2511f53)
#define PHILOX_MULTIPLIER_1 UINT64_C(0xcd9e8d57)
#define PHILOX_WEYL_0 0x9e3779b9u
#define PHILOX_WEYL_1 0xbb67ae85u

/* Streams have this bit in counter[1], where dropout's counters hold an image number: a stream and
 * a dropout mask of one seed never share words as long as a split has less than 2^31 images. */
#define STREAM_BIT 0x80000000u

void bm_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = key[0];
    uint32_t k1 = key[1];
    uint32_t c0 = counter[0];
    uint32_t c1 = counter[1];
    uint32_t c2 = counter[2];
    uint32_t c3 = counter[3];
    for (uint32_t round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t product_0 = PHILOX_MULTIPLIER_0 * c0;
        uint64_t product_1 = PHILOX_MULTIPLIER_1 * c2;
        c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)product_1;
        c3 = (uint32_t)product_0;
        k0 += PHILOX_WEYL_0;
        k1 += PHILOX_WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void bm_random_init(struct bm_random *random, uint64_t seed, uint32_t purpose, uint32_t index) {
    BM_ASSERT(purpose < STREAM_BIT);
    *random = (struct bm_random){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        /* { position low, purpose, position high, index } */
        .counter = {0, STREAM_BIT | purpose, 0, index},
        .used = 4,
    };
}

uint32_t bm_random_u32(struct bm_random *random) {
    if (random->used == 4) {
        bm_philox(random->key, random->counter, random->words);
        random->used = 0;
        random->counter[0]++;
        random->counter[2] += random->counter[0] == 0;
    }
    return random->words[random->used++];
}

uint32_t bm_random_below(struct bm_random *random, uint32_t bound) {
    BM_ASSERT(bound > 0);
    /* The high word of a product is uniform once the 2^32 mod bound surplus low words are refused
     * (Lemire, "Fast random integer generation in an interval", 2019). */
    uint32_t surplus = (uint32_t)(-bound) % bound;
    uint64_t product = 0;
    do {
        product = (uint64_t)bm_random_u32(random) * bound;
    } while ((uint32_t)product < surplus);
    return (uint32_t)(product >> 32);
}

double bm_random_double(struct bm_random *random) {
    uint64_t high = bm_random_u32(random) >> 5;
    uint64_t low = bm_random_u32(random) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

void bm_random_permutation(uint64_t seed, uint32_t epoch, uint32_t *order, uint32_t count) {
    struct bm_random random;
    bm_random_init(&random, seed, BM_RANDOM_SHUFFLE, epoch);
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (uint32_t left = count; left > 1; left--) {
        uint32_t drawn = bm_random_below(&random, left);
        uint32_t moved = order[left - 1];
        order[left - 1] = order[drawn];
        order[drawn] = moved;
    }
}
