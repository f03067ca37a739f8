/* Sums over the images, which may be many: in double, and rounded once. */
#include "blas.h"
#include "loop.h"

#include <string.h>

BM_BLAS_LOOP static void add_row(const float *restrict x, uint64_t size, double *restrict sums) {
    for (uint64_t u = 0; u < size; u++) {
        sums[u] += (double)x[u];
    }
}

void bm_blas_sum_images(const float *x, uint64_t count, uint64_t size, double *sums) {
    memset(sums, 0, size * sizeof *sums);
    for (uint64_t b = 0; b < count; b++) {
        add_row(x + b * size, size, sums);
    }
}

void bm_blas_store_gradient(struct bm_session *session,
                            uint64_t offset,
                            const double *sums,
                            uint64_t count) {
    float *gradient = session->gradient + offset;
    uint32_t accumulate = session->pass.flags & BM_SLICE_ACCUMULATE;
    for (uint64_t i = 0; i < count; i++) {
        float value = (float)sums[i];
        gradient[i] = accumulate != 0 ? gradient[i] + value : value;
    }
}
