/* The CIFAR binary format: https://www.cs.toronto.edu/~kriz/cifar.html */
#include "data_source.h"
#include "error.h"

#include <inttypes.h>

#define COARSE_COUNT 20u

static int32_t read_label(struct bm_data_file *file,
                          uint32_t class_count,
                          int32_t *label,
                          struct bm_error *error) {
    uint8_t found = 0;
    uint64_t offset = file->offset;
    int32_t status = bm_data_file_read(file, &found, 1, "a label", error);
    if (status == BM_STATUS_OK && found >= class_count) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: offset %" PRIu64 ": expected a label below %u, found %u", file->path,
                       offset, class_count, found);
    }
    *label = found;
    return status;
}

int32_t bm_cifar_read(struct bm_data_file *file,
                      uint64_t count,
                      uint32_t class_count,
                      uint8_t *images,
                      int32_t *labels,
                      struct bm_error *error) {
    uint32_t label_bytes = class_count == 100 ? 2 : 1;
    int32_t status = bm_data_file_expect(file, count * (label_bytes + BM_CIFAR_PIXELS), error);
    for (uint64_t i = 0; status == BM_STATUS_OK && i < count; i++) {
        int32_t coarse = 0;
        if (label_bytes == 2) {
            status = read_label(file, COARSE_COUNT, &coarse, error);
        }
        if (status == BM_STATUS_OK) {
            status = read_label(file, class_count, &labels[i], error);
        }
        if (status == BM_STATUS_OK) {
            status = bm_data_file_read(file, images + i * BM_CIFAR_PIXELS, BM_CIFAR_PIXELS,
                                       "an image", error);
        }
    }
    return status;
}
