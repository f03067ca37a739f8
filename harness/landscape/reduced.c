#include "reduced.h"

#include "data_source.h"
#include "error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint32_t block_side(struct bm_shape shape) {
    uint32_t least = shape.height < shape.width ? shape.height : shape.width;
    for (uint32_t side = 1; side <= least; side++) {
        if (shape.height % side == 0 && shape.width % side == 0 &&
            shape.height / side <= BM_REDUCED_SIDE && shape.width / side <= BM_REDUCED_SIDE) {
            return side;
        }
    }
    return 1;
}

/* image: [height side][width side] of one channel, small: [height][width] */
static void
reduce_plane(const uint8_t *image, uint32_t side, struct bm_shape small_shape, uint8_t *small) {
    uint32_t row = small_shape.width * side;
    for (uint32_t y = 0; y < small_shape.height; y++) {
        for (uint32_t x = 0; x < small_shape.width; x++) {
            uint32_t sum = 0;
            for (uint32_t i = 0; i < side * side; i++) {
                sum += image[(y * side + i / side) * row + x * side + i % side];
            }
            small[y * small_shape.width + x] = (uint8_t)((sum + side * side / 2) / (side * side));
        }
    }
}

static void fill_split(struct bm_data_build *build,
                       uint32_t split,
                       const struct bm_data *source,
                       uint64_t count,
                       uint32_t side) {
    struct bm_shape shape = build->summary.shape;
    uint64_t small = (uint64_t)shape.height * shape.width;
    uint64_t planes = count * shape.channels;
    for (uint64_t i = 0; i < planes; i++) {
        reduce_plane((const uint8_t *)source->images + i * small * side * side, side, shape,
                     bm_data_build_images(build, split) + i * small);
    }
    memcpy(bm_data_build_labels(build, split), source->labels, count * sizeof(int32_t));
}

/* Of pixel / 255 over the training images, by channel. */
static void normalize(struct bm_data_build *build) {
    struct bm_shape shape = build->summary.shape;
    const uint8_t *images = bm_data_build_images(build, BM_SPLIT_TRAIN);
    uint64_t plane = (uint64_t)shape.height * shape.width;
    double mean[BM_DATA_CHANNEL_MAX];
    double deviation[BM_DATA_CHANNEL_MAX];
    for (uint32_t c = 0; c < shape.channels; c++) {
        uint64_t sum = 0;
        uint64_t squares = 0;
        for (uint64_t i = 0; i < build->summary.train_count * plane; i++) {
            uint64_t value = images[((i / plane) * shape.channels + c) * plane + i % plane];
            sum += value;
            squares += value * value;
        }
        double count = (double)(build->summary.train_count * plane);
        double variance = (double)squares / count - (double)sum / count * ((double)sum / count);
        mean[c] = (double)sum / count / 255;
        deviation[c] = variance > 0 ? sqrt(variance) / 255 : 1;
    }
    bm_data_build_normalize(build, mean, deviation);
}

int32_t bm_reduced_open(const struct bm_dataset *source,
                        uint64_t images,
                        struct bm_dataset *dataset,
                        struct bm_error *error) {
    const struct bm_data *train = &source->split[BM_SPLIT_TRAIN];
    const struct bm_data *test = &source->split[BM_SPLIT_TEST];
    uint32_t side = block_side(source->shape);
    struct bm_data_build build;
    char name[BM_DATA_NAME_SIZE];
    uint64_t count = images < train->count ? images : train->count;
    const struct bm_data_summary summary = {
        .shape = {source->shape.channels, source->shape.height / side, source->shape.width / side},
        .class_count = source->class_count,
        .train_count = count,
        .test_count = test->count < count ? test->count : count};
    if (train->type != BM_DATA_UINT8 || (test->count > 0 && test->type != BM_DATA_UINT8)) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected images of bytes, found others",
                       source->name);
    }
    (void)snprintf(name, sizeof name, "%.20s %ux%u", source->name, summary.shape.height,
                   summary.shape.width);
    int32_t status = bm_data_build_begin(&build, name, &summary, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    fill_split(&build, BM_SPLIT_TRAIN, train, count, side);
    fill_split(&build, BM_SPLIT_TEST, test, summary.test_count, side);
    normalize(&build);
    return bm_data_build_finish(&build, dataset, error);
}
