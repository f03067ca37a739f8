/* Relu and dropout: element by element, in place of their input and of their output's gradient. */
#include "cpu.h"

/* Whole vectors of the activations of all images. */
static void share_elements(const struct bm_cpu_work *work,
                           uint32_t thread,
                           uint32_t thread_count,
                           uint64_t *begin,
                           uint64_t *end) {
    bm_kit_split(work->session->pass.count * work->stage->out.size, BM_CPU_WIDTH, thread,
                 thread_count, begin, end);
}

/* y = max(y, 0) */
static void relu_forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    share_elements(work, thread, thread_count, &begin, &end);
    for (uint64_t i = begin; i < end; i += BM_CPU_WIDTH) {
        bm_store(work->y + i, bm_maximum(bm_load(work->y + i), bm_nothing()));
    }
}

/* dx = dx where x > 0, which is where y > 0 */
static void relu_backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    share_elements(work, thread, thread_count, &begin, &end);
    for (uint64_t i = begin; i < end; i += BM_CPU_WIDTH) {
        bm_store(work->dx + i, bm_where_positive(bm_load(work->x + i), bm_load(work->dx + i)));
    }
}

void bm_cpu_relu_forward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, relu_forward, work);
}

void bm_cpu_relu_backward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, relu_backward, work);
}

/* values = kept values / (1 - rate) */
static void scale_kept(const struct bm_cpu_stage *stage, float *values, const uint8_t *kept) {
    float factor = (float)(1 / (1 - stage->facts.rate));
    for (uint64_t i = 0; i < stage->out.size; i++) {
        values[i] = kept[i] ? values[i] * factor : 0;
    }
}

/* The mask is numbered in canonical order, [channel][position]. `plain` is [channels positions]. */
static void spread_mask(const struct bm_cpu_shape *shape, const uint8_t *plain, uint8_t *kept) {
    for (uint64_t p = 0; p < shape->positions; p++) {
        for (uint64_t c = 0; c < shape->ld; c++) {
            kept[p * shape->ld + c] = c < shape->channels ? plain[c * shape->positions + p] : 0;
        }
    }
}

static void dropout_forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_pass *pass = &work->session->pass;
    const struct bm_cpu_stage *stage = work->stage;
    const struct bm_kit_dropout dropout = {work->session->core.seed, pass->update, stage->layer,
                                           stage->facts.rate};
    /* Floats of scratch hold the bytes of one image's mask. */
    uint8_t *plain = (uint8_t *)(work->session->scratch + thread * work->session->scratch_count);
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(pass->count, 1, thread, thread_count, &begin, &end);
    for (uint64_t b = begin; b < end; b++) {
        uint8_t *kept = stage->kept + b * stage->out.size;
        bm_kit_dropout_mask(&dropout, pass->images[b], stage->facts.output_size, plain);
        spread_mask(&stage->out, plain, kept);
        scale_kept(stage, work->y + b * stage->out.size, kept);
    }
}

static void dropout_backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(work->session->pass.count, 1, thread, thread_count, &begin, &end);
    for (uint64_t b = begin; b < end; b++) {
        scale_kept(stage, work->dx + b * stage->out.size, stage->kept + b * stage->out.size);
    }
}

static int32_t drops(const struct bm_cpu_pass *pass) {
    return pass->training && (pass->flags & BM_SLICE_NO_DROPOUT) == 0;
}

void bm_cpu_dropout_forward(struct bm_cpu_work *work) {
    if (drops(&work->session->pass)) {
        bm_kit_pool_run(work->session->pool, dropout_forward, work);
    }
}

void bm_cpu_dropout_backward(struct bm_cpu_work *work) {
    if (drops(&work->session->pass)) {
        bm_kit_pool_run(work->session->pool, dropout_backward, work);
    }
}
