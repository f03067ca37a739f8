/* Relu and dropout: element by element, in place of their input and of their output's gradient. */
#include "blas.h"
#include "loop.h"

/* y = max(y, 0) */
BM_BLAS_LOOP static void rectify(float *y, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        y[i] = y[i] > 0 ? y[i] : 0;
    }
}

/* dx = dx where x > 0, which is where y > 0 */
BM_BLAS_LOOP static void pass_positive(const float *restrict x, float *restrict dx, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        dx[i] = x[i] > 0 ? dx[i] : 0;
    }
}

/* values = kept values factor, kept being 0 or 1 */
BM_BLAS_LOOP static void
scale_kept(float *restrict values, const uint8_t *restrict kept, uint64_t count, float factor) {
    for (uint64_t i = 0; i < count; i++) {
        values[i] = kept[i] != 0 ? values[i] * factor : 0;
    }
}

static uint64_t element_count(const struct bm_blas_work *work) {
    return work->session->pass.count * work->layer->facts.output_size;
}

void bm_blas_relu_forward(const struct bm_blas_work *work) {
    rectify(work->y, element_count(work));
}

void bm_blas_relu_backward(const struct bm_blas_work *work) {
    pass_positive(work->x, work->dx, element_count(work));
}

static int32_t drops(const struct bm_blas_pass *pass) {
    return pass->training && (pass->flags & BM_SLICE_NO_DROPOUT) == 0;
}

static float kept_factor(const struct bm_blas_work *work) {
    return (float)(1 / (1 - work->layer->facts.rate));
}

void bm_blas_dropout_forward(const struct bm_blas_work *work) {
    const struct bm_blas_pass *pass = &work->session->pass;
    const struct bm_kit_dropout dropout = {work->session->core.seed, pass->update,
                                           work->layer->index, work->layer->facts.rate};
    uint64_t size = work->layer->facts.output_size;
    if (!drops(pass)) {
        return;
    }
    for (uint64_t b = 0; b < pass->count; b++) {
        bm_kit_dropout_mask(&dropout, pass->images[b], size, work->layer->kept + b * size);
    }
    scale_kept(work->y, work->layer->kept, pass->count * size, kept_factor(work));
}

void bm_blas_dropout_backward(const struct bm_blas_work *work) {
    if (drops(&work->session->pass)) {
        scale_kept(work->dx, work->layer->kept, element_count(work), kept_factor(work));
    }
}
