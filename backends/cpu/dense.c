/* Dense layers: y[image][output] = bias[output] + sum_k x[image][k] weight[k][output]. */
#include "dense.h"

/* Images whose inputs stay in the second cache while all panels are walked. */
#define BLOCK_IMAGES 112u

/* Panels that lie in the first cache together. */
#define NEAR_BYTES (UINT64_C(24) << 10)

/* Blocks of images that a product walks. Where the panels are so few or shallow that they stay near
 * anyway, a block is a tile: its rows of results are made, and of the mask read, from end to end.
 */
static uint64_t blocks_of(uint64_t count, uint64_t depth, uint64_t columns) {
    uint64_t images =
        depth * columns * sizeof(float) <= NEAR_BYTES ? BM_CPU_ROWS : (uint64_t)BLOCK_IMAGES;
    return (count + images - 1) / images;
}

/* Images begin .. end times one panel, a part of its depth after the other. */
static void rows_times_panel(const struct bm_cpu_rows *whole,
                             uint64_t begin,
                             uint64_t end,
                             const float *panel,
                             uint64_t width,
                             const struct bm_cpu_finish *finish,
                             float *c,
                             uint64_t ldc) {
    uint64_t tiles = bm_cpu_tiles(end - begin);
    uint64_t parts = (whole->length + BM_CPU_DEPTH - 1) / BM_CPU_DEPTH;
    for (uint64_t part = 0; part < parts; part++) {
        uint64_t k = bm_cpu_tile_begin(whole->length, parts, part);
        struct bm_cpu_rows a = *whole;
        struct bm_cpu_finish own = {.continues = part > 0};
        a.length = bm_cpu_tile_begin(whole->length, parts, part + 1) - k;
        if (part == parts - 1) {
            own = *finish;
            own.continues = part > 0;
        }
        for (uint64_t t = 0; t < tiles; t++) {
            uint64_t first = begin + bm_cpu_tile_begin(end - begin, tiles, t);
            uint64_t last = begin + bm_cpu_tile_begin(end - begin, tiles, t + 1);
            a.values = whole->values + first * a.step + k;
            own.mask = part < parts - 1 || finish->mask == NULL ? NULL : finish->mask + first * ldc;
            bm_cpu_tile_rows(&a, last - first, panel + k * width, width, &own, c + first * ldc,
                             ldc);
        }
    }
}

/* Blocks of images times panels. A thread has neighbouring panels and all images, so that in
 * forward it reads the weights that it steps in backward; it walks them a block of images after the
 * other. */
static void product(const struct bm_cpu_work *work,
                    const float *values,
                    uint64_t step,
                    uint64_t depth,
                    const float *panels,
                    uint64_t columns,
                    const struct bm_cpu_finish *finish,
                    float *c,
                    uint64_t ldc,
                    uint32_t thread,
                    uint32_t thread_count) {
    const struct bm_cpu_rows a = {.values = values, .step = step, .runs = 1, .length = depth};
    uint64_t count = work->session->pass.count;
    uint64_t blocks = blocks_of(count, depth, columns);
    uint64_t panel_count = bm_cpu_panel_count(columns);
    uint64_t begin = 0;
    uint64_t end = 0;
    if (blocks * panel_count < 4 * (uint64_t)thread_count && count > 2 * (uint64_t)thread_count) {
        blocks = thread_count;
    }
    bm_kit_split(blocks * panel_count, 1, thread, thread_count, &begin, &end);
    for (uint64_t block = 0; block < blocks; block++) {
        for (uint64_t p = begin / blocks; p < panel_count && p * blocks + block < end; p++) {
            struct bm_cpu_finish own = *finish;
            if (p * blocks + block < begin) {
                continue;
            }
            own.bias = finish->bias == NULL ? NULL : finish->bias + p * BM_CPU_PANEL;
            own.mask = finish->mask == NULL ? NULL : finish->mask + p * BM_CPU_PANEL;
            rows_times_panel(&a, bm_cpu_tile_begin(count, blocks, block),
                             bm_cpu_tile_begin(count, blocks, block + 1),
                             panels + p * BM_CPU_PANEL * depth, bm_cpu_panel_width(columns, p),
                             &own, c + p * BM_CPU_PANEL, ldc);
        }
    }
}

static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    const float *params = work->session->params;
    struct bm_cpu_finish finish = {.bias = params + stage->bias, .relu = stage->relu};
    product(work, work->x, stage->in.size, stage->depth, params + stage->weight,
            stage->out.channels, &finish, work->y, stage->out.ld, thread, thread_count);
}

void bm_cpu_dense_forward(struct bm_cpu_work *work) {
    bm_cpu_run(work->session, forward, work, bm_cpu_dense_multiplications(work));
}

/* ---- Gradient of the input ---- */

/* Panels over inputs, [output][input]; of each the outputs of one panel over outputs. */
static void transpose_panel(const struct bm_cpu_stage *stage,
                            const float *weights,
                            uint64_t panel,
                            float *transposed) {
    uint64_t own_width = bm_cpu_panel_width(stage->out.channels, panel);
    uint64_t first = panel * BM_CPU_PANEL;
    uint64_t left = stage->out.channels - first;
    const float *from = weights + first * stage->depth;
    for (uint64_t p = 0; p < bm_cpu_panel_count(stage->depth); p++) {
        uint64_t width = bm_cpu_panel_width(stage->depth, p);
        uint64_t input = p * BM_CPU_PANEL;
        bm_cpu_transpose(from + input * own_width, own_width, width,
                         left < own_width ? left : own_width,
                         transposed + input * stage->out.channels + first * width, width);
    }
}

/* A thread has the panels whose weights it steps. */
static void transpose(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_cpu_panel_count(stage->out.channels), 1, thread, thread_count, &begin, &end);
    for (uint64_t p = begin; p < end; p++) {
        transpose_panel(stage, work->session->params + stage->weight, p, stage->transposed);
    }
}

static void transposed_product(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    struct bm_cpu_finish finish = {.mask = work->mask};
    product(work, work->dy, stage->out.ld, stage->out.channels, stage->transposed, stage->depth,
            &finish, work->dx, stage->in.size, thread, thread_count);
}

static void input_gradient(struct bm_cpu_work *work) {
    struct bm_session *session = work->session;
    if (session->pass.begins) {
        bm_cpu_run(session, transpose, work,
                   bm_cpu_dense_multiplications(work) / session->pass.count);
    }
    bm_cpu_run(session, transposed_product, work, bm_cpu_dense_multiplications(work));
}

void bm_cpu_dense_backward(struct bm_cpu_work *work) {
    if (work->session->pass.count <= BM_CPU_DOT_COUNT_MAX) {
        bm_cpu_dense_backward_few(work);
        return;
    }
    /* The weights may change with their gradient, so their last reader goes first. */
    if (work->dx != NULL) {
        input_gradient(work);
    }
    bm_cpu_dense_param_gradients(work);
}
