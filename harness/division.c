#include "division.h"

#include "error.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64u /* of images and labels, as plugin.h promises */

static uint64_t image_bytes(const struct bm_dataset *dataset) {
    const struct bm_shape *shape = &dataset->shape;
    uint64_t value = dataset->split[BM_SPLIT_TRAIN].type == BM_DATA_UINT8 ? 1 : sizeof(float);
    return (uint64_t)shape->channels * shape->height * shape->width * value;
}

static uint64_t rounded(uint64_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* A copy of images first .. first + count: inside the file they begin anywhere. */
static int32_t
copy_held_out(struct bm_dataset *dataset, uint64_t first, uint64_t count, struct bm_error *error) {
    const struct bm_data *train = &dataset->split[BM_SPLIT_TRAIN];
    struct bm_data *validation = &dataset->split[BM_SPLIT_VALIDATION];
    uint64_t size = image_bytes(dataset);
    uint64_t labels_at = rounded(count * size);
    uint8_t *memory = aligned_alloc(ALIGNMENT, labels_at + rounded(count * sizeof(int32_t)));
    if (memory == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory for %llu validation images",
                       dataset->name, (unsigned long long)count);
    }
    memcpy(memory, (const uint8_t *)train->images + first * size, count * size);
    memcpy(memory + labels_at, train->labels + first, count * sizeof(int32_t));
    *validation = *train;
    validation->count = count;
    validation->images = memory;
    validation->labels = (const int32_t *)(const void *)(memory + labels_at);
    free(dataset->held_out);
    dataset->held_out = memory;
    return BM_STATUS_OK;
}

static void hold_out_none(struct bm_dataset *dataset) {
    dataset->split[BM_SPLIT_VALIDATION] = (struct bm_data){.size = sizeof(struct bm_data)};
    free(dataset->held_out);
    dataset->held_out = NULL;
}

int32_t bm_dataset_divide(struct bm_dataset *dataset,
                          uint64_t image_count,
                          uint64_t held_out_count,
                          struct bm_error *error) {
    uint64_t total = dataset->train_total;
    uint64_t used = image_count == 0 ? total : image_count;
    uint64_t usual = used / 10 < BM_DIVISION_HELD_OUT ? used / 10 : BM_DIVISION_HELD_OUT;
    uint64_t held_out = held_out_count == BM_DIVISION_DEFAULT ? usual : held_out_count;
    if (used > total) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: expected at most its %llu training images, found %llu", dataset->name,
                       (unsigned long long)total, (unsigned long long)used);
    }
    if (held_out >= used) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: expected fewer validation images than its %llu training images, found "
                       "%llu",
                       dataset->name, (unsigned long long)used, (unsigned long long)held_out);
    }
    if (held_out == 0) {
        hold_out_none(dataset);
    } else {
        int32_t status = copy_held_out(dataset, used - held_out, held_out, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    dataset->split[BM_SPLIT_TRAIN].count = used - held_out;
    return BM_STATUS_OK;
}
