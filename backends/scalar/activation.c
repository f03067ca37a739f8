/* Relu and dropout: element by element, in place of their input and of their output's gradient. */
#include "scalar.h"

static void share_elements(const struct bm_scalar_work *work,
                           uint32_t thread,
                           uint32_t thread_count,
                           uint64_t *begin,
                           uint64_t *end) {
    bm_kit_split(work->session->pass.count * work->layer->facts.output_size, BM_SCALAR_LINE, thread,
                 thread_count, begin, end);
}

/* y = max(y, 0) */
static void relu_forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    share_elements(work, thread, thread_count, &begin, &end);
    for (uint64_t i = begin; i < end; i++) {
        work->y[i] = work->y[i] > 0 ? work->y[i] : 0;
    }
}

/* dx = dx where x > 0, which is where y > 0 */
static void relu_backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    share_elements(work, thread, thread_count, &begin, &end);
    for (uint64_t i = begin; i < end; i++) {
        work->dx[i] = work->x[i] > 0 ? work->dx[i] : 0;
    }
}

void bm_scalar_relu_forward(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, relu_forward, work);
}

void bm_scalar_relu_backward(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, relu_backward, work);
}

/* values = kept values / (1 - rate) */
static void scale_kept(float *values, const uint8_t *kept, uint64_t count, double rate) {
    float factor = (float)(1 / (1 - rate));
    for (uint64_t i = 0; i < count; i++) {
        values[i] = kept[i] ? values[i] * factor : 0;
    }
}

static void dropout_forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    const struct bm_scalar_pass *pass = &work->session->pass;
    const struct bm_kit_layer *facts = &work->layer->facts;
    const struct bm_kit_dropout dropout = {work->session->core.seed, pass->update,
                                           work->layer->index, facts->rate};
    uint64_t size = facts->output_size;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(pass->count, 1, thread, thread_count, &begin, &end);
    for (uint64_t b = begin; b < end; b++) {
        uint8_t *kept = work->layer->kept + b * size;
        bm_kit_dropout_mask(&dropout, pass->images[b], size, kept);
        scale_kept(work->y + b * size, kept, size, facts->rate);
    }
}

static void dropout_backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    share_elements(work, thread, thread_count, &begin, &end);
    scale_kept(work->dx + begin, work->layer->kept + begin, end - begin, work->layer->facts.rate);
}

static int32_t drops(const struct bm_scalar_pass *pass) {
    return pass->training && (pass->flags & BM_SLICE_NO_DROPOUT) == 0;
}

void bm_scalar_dropout_forward(struct bm_scalar_work *work) {
    if (drops(&work->session->pass)) {
        bm_kit_pool_run(work->session->pool, dropout_forward, work);
    }
}

void bm_scalar_dropout_backward(struct bm_scalar_work *work) {
    if (drops(&work->session->pass)) {
        bm_kit_pool_run(work->session->pool, dropout_backward, work);
    }
}
