/* Which units dropout keeps: Philox4x32-10 keyed by seed, update, layer, image and unit. */
#include <batchmark/kit.h>

#include <math.h>

/* Ten rounds; constants of Salmon et al. 2011, section 4.3: two multipliers and, per round, the
 * additions of the golden ratio and of sqrt(3) - 1 to the key. */
void bm_kit_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t words[4]) {
    uint32_t k0 = key[0];
    uint32_t k1 = key[1];
    uint32_t c0 = counter[0];
    uint32_t c1 = counter[1];
    uint32_t c2 = counter[2];
    uint32_t c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t product0 = (uint64_t)0xD2511F53u * c0;
        uint64_t product1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

void bm_kit_dropout_mask(const struct bm_kit_dropout *dropout,
                         uint32_t image,
                         uint64_t count,
                         uint8_t *kept) {
    uint32_t threshold = (uint32_t)floor(dropout->rate * 0x1p32);
    const uint32_t key[2] = {(uint32_t)dropout->seed, (uint32_t)(dropout->seed >> 32)};
    for (uint64_t unit = 0; unit < count; unit += 4) {
        const uint32_t counter[4] = {(uint32_t)(unit / 4), image, (uint32_t)dropout->update,
                                     dropout->layer};
        uint32_t words[4];
        uint64_t left = count - unit < 4 ? count - unit : 4;
        bm_kit_philox(key, counter, words);
        for (uint64_t i = 0; i < left; i++) {
            kept[unit + i] = words[i] >= threshold;
        }
    }
}
