/* Backward through a dense layer with few images: a thread keeps its panels for both gradients. */
#include "dense.h"

/* Of the gradient of the input a thread makes what comes from its panels; the first thread's goes
 * to dx, the others' beside. */
static void dots(const struct bm_cpu_work *work,
                 const struct bm_cpu_share *share,
                 float *dx,
                 uint64_t dx_step) {
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t count = work->session->pass.count;
    uint64_t tiles = (count + BM_CPU_DOT_IMAGES - 1) / BM_CPU_DOT_IMAGES;
    uint64_t first = share->panel_begin * BM_CPU_PANEL;
    uint64_t last = share->panel_end * BM_CPU_PANEL;
    uint64_t columns = bm_cpu_panel_columns(stage->out.channels);
    struct bm_cpu_dot dot = {
        .panels = work->session->params + stage->weight + first * stage->depth,
        .depth = stage->depth,
        .columns = (last < columns ? last : columns) - first,
        .dy_step = stage->out.ld,
        .dx_step = dx_step,
    };
    for (uint64_t k = share->input_begin; k < share->input_end; k += BM_CPU_DOT_INPUTS) {
        for (uint64_t t = 0; t < tiles; t++) {
            uint64_t image = bm_cpu_tile_begin(count, tiles, t);
            bm_cpu_tile_dot(&dot, k, work->dy + image * stage->out.ld + first,
                            bm_cpu_tile_begin(count, tiles, t + 1) - image, dx + image * dx_step);
        }
    }
}

static float *partial_of(const struct bm_session *session, uint32_t thread) {
    return session->partial + (thread - 1) * session->pass.count * session->partial_size;
}

static void share_gradient(const struct bm_cpu_work *work, const struct bm_cpu_share *share) {
    const struct bm_cpu_span span = {.end = work->session->pass.count};
    uint64_t cuts = bm_cpu_dense_cuts(share->input_end - share->input_begin);
    for (uint64_t p = share->panel_begin; p < share->panel_end; p += BM_CPU_GROUP_PANELS) {
        uint64_t left = share->panel_end - p;
        uint64_t end = left < BM_CPU_GROUP_PANELS ? share->panel_end : p + BM_CPU_GROUP_PANELS;
        for (uint64_t cut = 0; cut < cuts; cut++) {
            bm_cpu_dense_cut(work, &span, share->input_begin, share->input_end, cut, p, end);
        }
    }
}

static void backward_share(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    struct bm_session *session = work->session;
    struct bm_cpu_share share;
    bm_cpu_dense_share(work, thread, thread_count, &share);
    if (work->dx != NULL) {
        int32_t beside = share.panel_begin > 0;
        dots(work, &share, beside ? partial_of(session, thread) : work->dx,
             beside ? session->partial_size : work->stage->in.size);
    }
    if (bm_cpu_is_skinny(session)) {
        bm_cpu_skinny_step(work, &share);
    } else {
        share_gradient(work, &share);
    }
    bm_cpu_dense_bias(work, thread, thread_count);
}

/* dx of one image: the sum of the `parts` parts, masked. */
static void finish_few_image(const struct bm_cpu_work *work, uint64_t image, uint32_t parts) {
    const struct bm_session *session = work->session;
    const struct bm_cpu_stage *stage = work->stage;
    float *dx = work->dx + image * stage->in.size;
    for (uint64_t k = 0; k < stage->depth; k += BM_CPU_WIDTH) {
        bm_vector x = bm_load(dx + k);
        for (uint32_t part = 1; part < parts; part++) {
            x = bm_add(x, bm_load(partial_of(session, part) + image * session->partial_size + k));
        }
        if (work->mask != NULL) {
            x = bm_where_positive(bm_load(work->mask + image * stage->in.size + k), x);
        }
        bm_store(dx + k, x);
    }
}

void bm_cpu_dense_backward_few(struct bm_cpu_work *work) {
    struct bm_session *session = work->session;
    uint64_t panels = bm_cpu_panel_count(work->stage->out.channels);
    uint64_t count = bm_cpu_dense_multiplications(work);
    uint32_t threads = count < BM_CPU_ALONE ? 1 : session->core.thread_count;
    bm_cpu_run(session, backward_share, work, count);
    for (uint64_t b = 0; work->dx != NULL && b < session->pass.count; b++) {
        finish_few_image(work, b, panels < threads ? 1 : threads);
    }
}
