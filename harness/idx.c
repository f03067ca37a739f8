/* The idx format of MNIST: http://yann.lecun.com/exdb/mnist */
#include "data_source.h"
#include "error.h"

#include <inttypes.h>
#include <string.h>

#define MAGIC_IMAGES 0x00000803u /* unsigned bytes, 3 dimensions */
#define MAGIC_LABELS 0x00000801u /* unsigned bytes, 1 dimension */
#define SIDE_MAX 1024u

static int32_t read_u32(struct bm_data_file *file,
                        const char *what,
                        uint32_t low,
                        uint64_t high,
                        uint32_t *number,
                        struct bm_error *error) {
    uint8_t b[4];
    uint64_t offset = file->offset;
    int32_t status = bm_data_file_read(file, b, sizeof b, what, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    *number = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    if (*number < low || *number > high) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: offset %" PRIu64 ": %s: expected %u to %" PRIu64 ", found %u",
                       file->path, offset, what, low, high, *number);
    }
    return BM_STATUS_OK;
}

static int32_t read_magic(struct bm_data_file *file, uint32_t expected, struct bm_error *error) {
    uint32_t magic = 0;
    int32_t status = read_u32(file, "the magic number", 0, UINT32_MAX, &magic, error);
    if (status == BM_STATUS_OK && magic != expected) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: offset 0: expected the magic number 0x%08x (idx, unsigned bytes, %u "
                       "dimension%s), found 0x%08x",
                       file->path, expected, expected & 0xff, (expected & 0xff) == 1 ? "" : "s",
                       magic);
    }
    return status;
}

int32_t bm_idx_images(struct bm_data_file *file,
                      uint64_t *count,
                      struct bm_shape *shape,
                      struct bm_error *error) {
    uint32_t n = 0;
    *shape = (struct bm_shape){.channels = 1};
    int32_t status = read_magic(file, MAGIC_IMAGES, error);
    if (status == BM_STATUS_OK) {
        status = read_u32(file, "number of images", 1, BM_DATA_COUNT_MAX, &n, error);
    }
    if (status == BM_STATUS_OK) {
        status = read_u32(file, "rows", 1, SIDE_MAX, &shape->height, error);
    }
    if (status == BM_STATUS_OK) {
        status = read_u32(file, "columns", 1, SIDE_MAX, &shape->width, error);
    }
    *count = n;
    /* n <= 2^31 and both sides <= 2^10: the product fits. */
    return status != BM_STATUS_OK
               ? status
               : bm_data_file_expect(file, 16 + *count * shape->height * shape->width, error);
}

int32_t bm_idx_labels(struct bm_data_file *file, uint64_t *count, struct bm_error *error) {
    uint32_t n = 0;
    int32_t status = read_magic(file, MAGIC_LABELS, error);
    if (status == BM_STATUS_OK) {
        status = read_u32(file, "number of labels", 1, BM_DATA_COUNT_MAX, &n, error);
    }
    *count = n;
    return status != BM_STATUS_OK ? status : bm_data_file_expect(file, 8 + *count, error);
}

int32_t bm_idx_read_labels(struct bm_data_file *file,
                           uint64_t count,
                           uint32_t class_count,
                           int32_t *labels,
                           struct bm_error *error) {
    uint8_t piece[4096];
    for (uint64_t done = 0; done < count;) {
        uint64_t offset = file->offset;
        uint64_t left = count - done;
        uint64_t size = sizeof piece;
        if (left < size) {
            size = left;
        }
        int32_t status = bm_data_file_read(file, piece, size, "labels", error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        for (uint64_t i = 0; i < size; i++) {
            if (piece[i] >= class_count) {
                return bm_fail(error, BM_STATUS_INVALID,
                               "%s: offset %" PRIu64 ": expected a label below %u, found %u",
                               file->path, offset + i, class_count, piece[i]);
            }
            labels[done + i] = piece[i];
        }
        done += size;
    }
    return BM_STATUS_OK;
}
