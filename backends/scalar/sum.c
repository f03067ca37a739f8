/* Sums of many values in float32, made of blocks, so that the rounding error grows with the block
 * and the number of blocks and not with their product. */
#include "scalar.h"

#define CHANNELS_AT_ONCE 16u

struct operands {
    const float *x; /* of one image and channel */
    const float *dy;
    float mean;
    float inverse;
};

typedef float term(const struct operands *operands, uint64_t position);

static inline float plain(const struct operands *operands, uint64_t position) {
    return operands->x[position];
}

static inline float square(const struct operands *operands, uint64_t position) {
    float distance = operands->x[position] - operands->mean;
    return distance * distance;
}

static inline float product(const struct operands *operands, uint64_t position) {
    float normal = (operands->x[position] - operands->mean) * operands->inverse;
    return operands->dy[position] * normal;
}

/* Four sums side by side: one chain of additions would wait for itself. */
static inline __attribute__((always_inline)) float
sum_positions(term *value, const struct operands *operands, uint64_t positions) {
    float sum[4] = {0};
    uint64_t p = 0;
    for (; p + 4 <= positions; p += 4) {
        sum[0] += value(operands, p);
        sum[1] += value(operands, p + 1);
        sum[2] += value(operands, p + 2);
        sum[3] += value(operands, p + 3);
    }
    for (; p < positions; p++) {
        sum[0] += value(operands, p);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* partial[c] += sum over positions, for images first .. last and channels begin .. end */
static inline __attribute__((always_inline)) void
sum_images(term *value,
           const struct bm_scalar_channels *shape,
           struct operands operands[CHANNELS_AT_ONCE],
           const float *x,
           const float *dy,
           uint64_t first,
           uint64_t last,
           float partial[CHANNELS_AT_ONCE]) {
    for (uint64_t image = first; image < last; image++) {
        for (uint64_t c = shape->begin; c < shape->end; c++) {
            uint64_t offset = (image * shape->channels + c) * shape->positions;
            struct operands *own = &operands[c - shape->begin];
            own->x = x + offset;
            own->dy = dy + offset;
            partial[c - shape->begin] += sum_positions(value, own, shape->positions);
        }
    }
}

static inline __attribute__((always_inline)) void sum_channels(term *value,
                                                               struct bm_scalar_channels shape,
                                                               const float *x,
                                                               const float *dy,
                                                               const float *mean,
                                                               const float *inverse,
                                                               float *sums) {
    uint64_t end = shape.end;
    for (; shape.begin < end; shape.begin = shape.end) {
        struct operands operands[CHANNELS_AT_ONCE] = {{0}};
        shape.end = end - shape.begin < CHANNELS_AT_ONCE ? end : shape.begin + CHANNELS_AT_ONCE;
        for (uint64_t c = shape.begin; c < shape.end; c++) {
            operands[c - shape.begin].mean = mean != NULL ? mean[c] : 0;
            operands[c - shape.begin].inverse = inverse != NULL ? inverse[c] : 0;
            sums[c] = 0;
        }
        for (uint64_t first = 0; first < shape.count; first += BM_SCALAR_SUM_BLOCK) {
            uint64_t left = shape.count - first;
            uint64_t last = first + (left < BM_SCALAR_SUM_BLOCK ? left : BM_SCALAR_SUM_BLOCK);
            float partial[CHANNELS_AT_ONCE] = {0};
            sum_images(value, &shape, operands, x, dy, first, last, partial);
            for (uint64_t c = shape.begin; c < shape.end; c++) {
                sums[c] += partial[c - shape.begin];
            }
        }
    }
}

void bm_scalar_sum(const struct bm_scalar_channels *shape, const float *x, float *sums) {
    sum_channels(plain, *shape, x, x, NULL, NULL, sums);
}

void bm_scalar_sum_square(const struct bm_scalar_channels *shape,
                          const float *x,
                          const float *mean,
                          float *sums) {
    sum_channels(square, *shape, x, x, mean, NULL, sums);
}

void bm_scalar_sum_product(const struct bm_scalar_channels *shape,
                           const float *dy,
                           const float *x,
                           const float *mean,
                           const float *inverse,
                           float *sums) {
    sum_channels(product, *shape, x, dy, mean, inverse, sums);
}
