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

/* A product: rows of `a` times the panels over `columns`, finished. */
struct product {
    struct bm_cpu_rows a;
    const float *panels;
    uint64_t columns;
    struct bm_cpu_finish finish;
    float *c;
    uint64_t ldc;
};

/* Memory that will be needed next, which the tiles fetch by the way. */
struct ahead {
    struct {
        const float *begin;
        uint64_t count;
    } ranges[5];

    uint32_t range_count;
    uint32_t now; /* the range to go on with, and how much of it is done */
    uint64_t done;
};

static void add_range(struct ahead *ahead, const float *values, uint64_t step, uint64_t rows) {
    ahead->ranges[ahead->range_count].begin = values;
    ahead->ranges[ahead->range_count++].count = step * rows;
}

/* What the next tile, of so many steps, has to fetch; NULL: nothing. */
static const float *take_ahead(struct ahead *ahead, uint64_t steps) {
    const float *from = NULL;
    if (ahead->now < ahead->range_count) {
        from = ahead->ranges[ahead->now].begin + ahead->done;
        ahead->done += steps * BM_CPU_FETCH;
        if (ahead->done >= ahead->ranges[ahead->now].count) {
            ahead->now++;
            ahead->done = 0;
        }
    }
    return from;
}

/* Images begin .. end times panel number `p`, a part of its depth after the other. */
static void images_times_panel(
    const struct product *product, uint64_t begin, uint64_t end, uint64_t p, struct ahead *ahead) {
    uint64_t depth = product->a.length;
    uint64_t width = bm_cpu_panel_width(product->columns, p);
    const float *panel = product->panels + p * BM_CPU_PANEL * depth;
    float *c = product->c + p * BM_CPU_PANEL;
    uint64_t tiles = bm_cpu_tiles(end - begin);
    uint64_t parts = (depth + BM_CPU_DEPTH - 1) / BM_CPU_DEPTH;
    for (uint64_t part = 0; part < parts; part++) {
        uint64_t k = bm_cpu_tile_begin(depth, parts, part);
        uint32_t is_last = part == parts - 1;
        struct bm_cpu_rows a = product->a;
        struct bm_cpu_finish finish = {.continues = part > 0};
        a.length = bm_cpu_tile_begin(depth, parts, part + 1) - k;
        if (is_last && product->finish.bias != NULL) {
            finish.bias = product->finish.bias + p * BM_CPU_PANEL;
        }
        finish.relu = is_last && product->finish.relu;
        for (uint64_t t = 0; t < tiles; t++) {
            uint64_t first = begin + bm_cpu_tile_begin(end - begin, tiles, t);
            uint64_t last = begin + bm_cpu_tile_begin(end - begin, tiles, t + 1);
            a.values = product->a.values + first * a.step + k;
            a.fetch = take_ahead(ahead, a.length);
            if (is_last && product->finish.mask != NULL) {
                finish.mask = product->finish.mask + p * BM_CPU_PANEL + first * product->ldc;
            }
            bm_cpu_tile_rows(&a, last - first, panel + k * width, width, &finish,
                             c + first * product->ldc, product->ldc);
        }
    }
}

/* Blocks of images times panels. A thread has neighbouring panels and all images, so that in
 * forward it reads the weights that it steps in backward; it walks them a block of images after the
 * other. */
static void product_by_panels(const struct product *product,
                              uint64_t count,
                              uint32_t thread,
                              uint32_t thread_count) {
    uint64_t blocks = blocks_of(count, product->a.length, product->columns);
    uint64_t panel_count = bm_cpu_panel_count(product->columns);
    uint64_t begin = 0;
    uint64_t end = 0;
    if (blocks * panel_count < 4 * (uint64_t)thread_count && count > 2 * (uint64_t)thread_count) {
        blocks = thread_count;
    }
    bm_kit_split(blocks * panel_count, 1, thread, thread_count, &begin, &end);
    for (uint64_t block = 0; block < blocks; block++) {
        uint64_t first = bm_cpu_tile_begin(count, blocks, block);
        uint64_t last = bm_cpu_tile_begin(count, blocks, block + 1);
        struct ahead ahead = {.range_count = 0};
        if (block + 1 < blocks) {
            add_range(&ahead, product->a.values + last * product->a.step, product->a.step,
                      bm_cpu_tile_begin(count, blocks, block + 2) - last);
        }
        for (uint64_t p = begin / blocks; p < panel_count && p * blocks + block < end; p++) {
            if (p * blocks + block >= begin) {
                images_times_panel(product, first, last, p, &ahead);
            }
        }
    }
}

/* What the work on the images from `first` on begins and ends with. */
static void look_ahead(const struct bm_cpu_work *work,
                       const struct product *product,
                       uint64_t first,
                       uint64_t images,
                       struct ahead *ahead) {
    uint64_t step = product->a.step;
    uint64_t ldc = product->ldc;
    add_range(ahead, product->a.values + first * step, step, images);
    if (work->before != NULL) {
        add_range(ahead, work->before->x + first * step, step, images);
    }
    add_range(ahead, product->c + first * ldc, ldc, images);
    if (product->finish.mask != NULL) {
        add_range(ahead, product->finish.mask + first * ldc, ldc, images);
    }
    if (work->after != NULL && work->after->x != product->c) {
        add_range(ahead, work->after->x + first * ldc, ldc, images);
    }
}

/* A thread has images and all panels, so that what batch norm does to a block of rows finds them
 * near: they come from far away once and not three times. */
static void product_by_images(const struct bm_cpu_work *work,
                              const struct product *product,
                              uint32_t thread,
                              uint32_t thread_count) {
    uint64_t count = work->session->pass.count;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split((count + BM_CPU_NORM_ROWS - 1) / BM_CPU_NORM_ROWS, 1, thread, thread_count, &begin,
                 &end);
    for (uint64_t block = begin; block < end; block++) {
        uint64_t first = block * BM_CPU_NORM_ROWS;
        uint64_t last = count - first < BM_CPU_NORM_ROWS ? count : first + BM_CPU_NORM_ROWS;
        struct ahead ahead = {.range_count = 0};
        if (block + 1 < end) {
            uint64_t left = count - last;
            look_ahead(work, product, last, left < BM_CPU_NORM_ROWS ? left : BM_CPU_NORM_ROWS,
                       &ahead);
        }
        if (work->before != NULL) {
            bm_cpu_batchnorm_make_block(work->before, block);
        }
        for (uint64_t p = 0; p < bm_cpu_panel_count(product->columns); p++) {
            images_times_panel(product, first, last, p, &ahead);
        }
        if (work->after != NULL) {
            bm_cpu_batchnorm_sum_block(work->after, block);
        }
    }
}

static void run_product(const struct bm_cpu_work *work,
                        const struct product *product,
                        uint32_t thread,
                        uint32_t thread_count) {
    if (work->before != NULL || work->after != NULL) {
        product_by_images(work, product, thread, thread_count);
    } else {
        product_by_panels(product, work->session->pass.count, thread, thread_count);
    }
}

static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    const float *params = work->session->params;
    const struct product product = {
        .a = {.values = work->x, .step = stage->in.size, .runs = 1, .length = stage->depth},
        .panels = params + stage->weight,
        .columns = stage->out.channels,
        .finish = {.bias = params + stage->bias, .relu = stage->relu},
        .c = work->y,
        .ldc = stage->out.ld,
    };
    run_product(work, &product, thread, thread_count);
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
    const struct product product = {
        .a = {.values = work->dy, .step = stage->out.ld, .runs = 1, .length = stage->out.channels},
        .panels = stage->transposed,
        .columns = stage->depth,
        .finish = {.mask = work->mask},
        .c = work->dx,
        .ldc = stage->in.size,
    };
    run_product(work, &product, thread, thread_count);
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
