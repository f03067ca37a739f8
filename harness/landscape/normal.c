#include "normal.h"

#include <math.h>

void bm_normal_init(struct bm_normal *normal, uint64_t seed, uint32_t purpose, uint32_t index) {
    *normal = (struct bm_normal){0};
    bm_random_init(&normal->random, seed, purpose, index);
}

double bm_normal_next(struct bm_normal *normal) {
    const double turn = 6.28318530717958647693;
    if (normal->has_other) {
        normal->has_other = 0;
        return normal->other;
    }
    const double radius = sqrt(-2 * log1p(-bm_random_double(&normal->random)));
    const double angle = turn * bm_random_double(&normal->random);
    normal->other = radius * sin(angle);
    normal->has_other = 1;
    return radius * cos(angle);
}
