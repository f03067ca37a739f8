/* Numbers of the standard normal distribution from a stream of random.h (Box and Muller, "A note on
 * the generation of random normal deviates", Annals of Mathematical Statistics 29, 1958). */
#ifndef BM_LANDSCAPE_NORMAL_H
#define BM_LANDSCAPE_NORMAL_H

#include "random.h"

struct bm_normal {
    struct bm_random random;
    uint32_t has_other;
    double other; /* the second of a pair */
};

void bm_normal_init(struct bm_normal *normal, uint64_t seed, uint32_t purpose, uint32_t index);
double bm_normal_next(struct bm_normal *normal);

#endif
