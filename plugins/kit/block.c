/* Arrays side by side in a session's block. */
#include <batchmark/kit.h>

void *bm_kit_take(struct bm_kit_cursor *cursor, uint64_t count, uint64_t rows, uint64_t size) {
    uint64_t bytes = 0;
    uint64_t begin = cursor->used;
    if (__builtin_mul_overflow(count, rows, &bytes) ||
        __builtin_mul_overflow(bytes, size, &bytes) || bytes > INT64_MAX - BM_KIT_ALIGNMENT ||
        __builtin_add_overflow(begin,
                               (bytes + BM_KIT_ALIGNMENT - 1) / BM_KIT_ALIGNMENT * BM_KIT_ALIGNMENT,
                               &cursor->used) ||
        cursor->used > INT64_MAX) {
        cursor->overflow = 1;
        cursor->used = begin;
        return NULL;
    }
    return cursor->memory != NULL ? cursor->memory + begin : NULL;
}

float *bm_kit_take_floats(struct bm_kit_cursor *cursor, uint64_t count, uint64_t rows) {
    return bm_kit_take(cursor, count, rows, sizeof(float));
}
