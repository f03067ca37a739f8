/* Images that can be learnt, of any shape, from a seed: each class has a prototype, and an image is
 * half prototype, half noise. */
#include "data_source.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"

/* Streams of BM_RANDOM_DATA. */
#define STREAM_PROTOTYPES 0u
#define STREAM_TRAIN 1u
#define STREAM_TEST 2u

static void fill_bytes(struct bm_random *random, uint8_t *bytes, uint64_t count) {
    uint32_t word = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (i % 4 == 0) {
            word = bm_random_u32(random);
        }
        bytes[i] = (uint8_t)word;
        word >>= 8;
    }
}

/* image = (prototype[label] + noise) / 2, both uniform in 0 .. 255 */
static void make_split(struct bm_data_build *build,
                       uint32_t split,
                       uint64_t count,
                       const uint8_t *prototypes,
                       uint64_t values,
                       struct bm_random *random) {
    uint8_t *images = bm_data_build_images(build, split);
    int32_t *labels = bm_data_build_labels(build, split);
    for (uint64_t n = 0; n < count; n++) {
        uint8_t *image = images + n * values;
        uint32_t label = bm_random_below(random, build->summary.class_count);
        const uint8_t *prototype = prototypes + label * values;
        labels[n] = (int32_t)label;
        fill_bytes(random, image, values);
        for (uint64_t i = 0; i < values; i++) {
            image[i] = (uint8_t)((image[i] + prototype[i]) / 2);
        }
    }
}

/* Mean and deviation of pixel / 255 over the training images, by channel; sums of integers, so that
 * they are exact. */
static void normalize(struct bm_data_build *build) {
    const struct bm_data_summary *s = &build->summary;
    const uint8_t *images = bm_data_build_images(build, BM_SPLIT_TRAIN);
    uint64_t plane = (uint64_t)s->shape.height * s->shape.width;
    double mean[BM_DATA_CHANNEL_MAX];
    double deviation[BM_DATA_CHANNEL_MAX];
    for (uint32_t c = 0; c < s->shape.channels; c++) {
        uint64_t sum = 0;
        uint64_t squares = 0;
        for (uint64_t n = 0; n < s->train_count; n++) {
            const uint8_t *pixels = images + (n * s->shape.channels + c) * plane;
            for (uint64_t i = 0; i < plane; i++) {
                sum += pixels[i];
                squares += (uint64_t)pixels[i] * pixels[i];
            }
        }
        double pixels = (double)(s->train_count * plane);
        double average = (double)sum / pixels;
        double variance = (double)squares / pixels - average * average;
        mean[c] = average / 255;
        /* A single constant pixel has no deviation; anything finite will do for it. */
        deviation[c] = variance > 0 ? sqrt(variance) / 255 : 1;
    }
    bm_data_build_normalize(build, mean, deviation);
}

static int32_t fill_build(struct bm_data_build *build, uint64_t seed, struct bm_error *error) {
    const struct bm_data_summary *s = &build->summary;
    uint64_t values = (uint64_t)s->shape.channels * s->shape.height * s->shape.width;
    struct bm_random random;
    uint8_t *prototypes = calloc(s->class_count, values);
    if (prototypes == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "synthetic: no memory for %u prototypes",
                       s->class_count);
    }
    bm_random_init(&random, seed, BM_RANDOM_DATA, STREAM_PROTOTYPES);
    fill_bytes(&random, prototypes, s->class_count * values);
    bm_random_init(&random, seed, BM_RANDOM_DATA, STREAM_TRAIN);
    make_split(build, BM_SPLIT_TRAIN, s->train_count, prototypes, values, &random);
    bm_random_init(&random, seed, BM_RANDOM_DATA, STREAM_TEST);
    make_split(build, BM_SPLIT_TEST, s->test_count, prototypes, values, &random);
    free(prototypes);
    normalize(build);
    return BM_STATUS_OK;
}

int32_t bm_synthetic_open(const struct bm_data_synthetic *synthetic,
                          struct bm_dataset *dataset,
                          struct bm_error *error) {
    struct bm_data_synthetic asked = {.seed = 0};
    struct bm_data_summary summary = {{1, 28, 28}, 10, 60000, 10000};
    struct bm_data_build build;
    if (synthetic != NULL) {
        asked = *synthetic;
    }
    if (asked.shape.channels != 0) {
        summary.shape = asked.shape;
    }
    summary.class_count = asked.class_count != 0 ? asked.class_count : summary.class_count;
    summary.train_count = asked.train_count != 0 ? asked.train_count : summary.train_count;
    summary.test_count = asked.test_count != 0 ? asked.test_count : summary.test_count;
    int32_t status = bm_data_build_begin(&build, "synthetic", &summary, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = fill_build(&build, asked.seed, error);
    if (status != BM_STATUS_OK) {
        bm_data_build_abandon(&build);
        return status;
    }
    return bm_data_build_finish(&build, dataset, error);
}
