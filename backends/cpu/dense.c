/* Dense layers: y[image][output] = bias[output] + sum_k x[image][k] weight[k][output]. */
#include "cpu.h"

/* Images whose inputs stay in the second cache while all panels are walked. */
#define BLOCK_IMAGES 98u

static uint64_t blocks_of(uint64_t count) {
    return (count + BLOCK_IMAGES - 1) / BLOCK_IMAGES;
}

static uint64_t tiles_of(uint64_t rows) {
    return (rows + BM_CPU_ROWS - 1) / BM_CPU_ROWS;
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
    uint64_t tiles = tiles_of(end - begin);
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

/* Blocks of images times panels: an item is a block and a panel, and a thread has neighbours. */
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
    uint64_t count = work->session->pass.count;
    uint64_t blocks = blocks_of(count);
    uint64_t panel_count = bm_cpu_panel_count(columns);
    uint64_t begin = 0;
    uint64_t end = 0;
    if (blocks * panel_count < 4 * (uint64_t)thread_count && count > 2 * (uint64_t)thread_count) {
        blocks = thread_count;
    }
    bm_kit_split(blocks * panel_count, 1, thread, thread_count, &begin, &end);
    for (uint64_t item = begin; item < end; item++) {
        uint64_t block = item / panel_count;
        uint64_t p = item % panel_count;
        const struct bm_cpu_rows a = {.values = values, .step = step, .runs = 1, .length = depth};
        struct bm_cpu_finish own = *finish;
        own.bias = finish->bias == NULL ? NULL : finish->bias + p * BM_CPU_PANEL;
        own.mask = finish->mask == NULL ? NULL : finish->mask + p * BM_CPU_PANEL;
        rows_times_panel(&a, bm_cpu_tile_begin(count, blocks, block),
                         bm_cpu_tile_begin(count, blocks, block + 1),
                         panels + p * BM_CPU_PANEL * depth, bm_cpu_panel_width(columns, p), &own,
                         c + p * BM_CPU_PANEL, ldc);
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

/* Of one product over all images. */
static uint64_t multiplications(const struct bm_cpu_work *work) {
    return work->session->pass.count * work->stage->depth *
           bm_cpu_panel_columns(work->stage->out.channels);
}

void bm_cpu_dense_forward(struct bm_cpu_work *work) {
    bm_cpu_run(work->session, forward, work, multiplications(work));
}

/* ---- Gradient of the input ---- */

/* Few images: dot products along the rows of the weights. A thread has inputs. */
static void dots(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    const float *weights = work->session->params + stage->weight;
    uint64_t count = work->session->pass.count;
    uint64_t tiles = (count + BM_CPU_DOT_IMAGES - 1) / BM_CPU_DOT_IMAGES;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(stage->depth, BM_CPU_WIDTH, thread, thread_count, &begin, &end);
    for (uint64_t k = begin; k < end; k += BM_CPU_DOT_INPUTS) {
        uint64_t inputs = end - k < BM_CPU_DOT_INPUTS ? end - k : BM_CPU_DOT_INPUTS;
        for (uint64_t t = 0; t < tiles; t++) {
            uint64_t first = bm_cpu_tile_begin(count, tiles, t);
            uint64_t last = bm_cpu_tile_begin(count, tiles, t + 1);
            bm_cpu_tile_dot(stage, weights, k, inputs, work->dy + first * stage->out.ld,
                            last - first, work->dx + first * stage->in.size,
                            work->mask == NULL ? NULL : work->mask + first * stage->in.size);
        }
    }
}

/* One panel over inputs, [output][input], from the panels over outputs. */
static void transpose_panel(const struct bm_cpu_stage *stage,
                            const float *weights,
                            uint64_t panel,
                            float *transposed) {
    uint64_t width = bm_cpu_panel_width(stage->depth, panel);
    uint64_t input = panel * BM_CPU_PANEL;
    float *to = transposed + input * stage->out.channels;
    for (uint64_t o = 0; o < stage->out.channels; o += BM_CPU_PANEL) {
        uint64_t own_width = bm_cpu_panel_width(stage->out.channels, o / BM_CPU_PANEL);
        uint64_t left = stage->out.channels - o;
        bm_cpu_transpose(weights + o * stage->depth + input * own_width, own_width, width,
                         left < own_width ? left : own_width, to + o * width, width);
    }
}

static void transpose(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_cpu_panel_count(stage->depth), 1, thread, thread_count, &begin, &end);
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
    if (session->pass.count <= BM_CPU_DOT_COUNT_MAX) {
        bm_cpu_run(session, dots, work, multiplications(work));
        return;
    }
    bm_cpu_run(session, transpose, work, multiplications(work) / session->pass.count);
    bm_cpu_run(session, transposed_product, work, multiplications(work));
}

/* ---- Gradient of the parameters ---- */

/* Rows first .. first + rows of one panel's gradient, tile after tile for some images, then for the
 * next: the operands of a group stay in the first cache. `sums` is [rows][width]. */
static void group_gradient(
    const struct bm_cpu_work *work, uint64_t first, uint64_t rows, uint64_t panel, float *sums) {
    const struct bm_cpu_stage *stage = work->stage;
    struct bm_session *session = work->session;
    uint64_t width = bm_cpu_panel_width(stage->out.channels, panel);
    uint64_t offset = stage->weight + panel * BM_CPU_PANEL * stage->depth + first * width;
    uint64_t tiles = tiles_of(rows);
    uint64_t parts = (session->pass.count + BM_CPU_GROUP_STEPS - 1) / BM_CPU_GROUP_STEPS;
    const float *state = session->core.slot_count > 0 ? session->state[0] + offset : NULL;
    for (uint64_t part = 0; part < parts; part++) {
        uint64_t b = bm_cpu_tile_begin(session->pass.count, parts, part);
        const struct bm_cpu_steps steps = {
            .runs = 1,
            .length = bm_cpu_tile_begin(session->pass.count, parts, part + 1) - b,
            .a_step = stage->in.size,
            .b_step = stage->out.ld};
        int32_t last = part == parts - 1;
        for (uint64_t t = 0; t < tiles; t++) {
            uint64_t row = bm_cpu_tile_begin(rows, tiles, t);
            uint64_t own = bm_cpu_tile_begin(rows, tiles, t + 1) - row;
            bm_cpu_tile_outer(work->x + b * stage->in.size + first + row,
                              work->dy + b * stage->out.ld + panel * BM_CPU_PANEL, &steps, own,
                              width, part > 0, last ? session->params + offset + row * width : NULL,
                              last && state != NULL ? state + row * width : NULL,
                              sums + row * width);
        }
    }
    bm_cpu_sink(session, offset, sums, rows * width);
}

/* A group of tiles is inputs x a panel of outputs: contiguous in the packed layout, so that it can
 * be stepped as it is. A thread has groups. */
static void weight_gradient(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    float sums[BM_CPU_GROUP * BM_CPU_ROWS * BM_CPU_PANEL] __attribute__((aligned(64)));
    uint64_t groups =
        (stage->depth + BM_CPU_GROUP * BM_CPU_ROWS - 1) / (BM_CPU_GROUP * BM_CPU_ROWS);
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_cpu_panel_count(stage->out.channels) * groups, 1, thread, thread_count, &begin,
                 &end);
    for (uint64_t item = begin; item < end; item++) {
        uint64_t first = bm_cpu_tile_begin(stage->depth, groups, item % groups);
        uint64_t last = bm_cpu_tile_begin(stage->depth, groups, item % groups + 1);
        group_gradient(work, first, last - first, item / groups, sums);
    }
}

/* dbias[output] = sum over images of dy */
static void bias_gradient(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_padded(stage->out.channels), BM_CPU_WIDTH, thread, thread_count, &begin, &end);
    bm_cpu_sum_rows(work->dy, stage->out.ld, work->session->pass.count, begin, end, stage->sums);
    for (uint64_t c = begin; c < end; c += BM_CPU_WIDTH) {
        float values[BM_CPU_WIDTH];
        for (uint64_t i = 0; i < BM_CPU_WIDTH; i++) {
            values[i] = (float)stage->sums[c + i];
        }
        bm_cpu_sink(work->session, stage->bias + c, values, BM_CPU_WIDTH);
    }
}

static void param_gradients(void *context, uint32_t thread, uint32_t thread_count) {
    weight_gradient(context, thread, thread_count);
    bias_gradient(context, thread, thread_count);
}

void bm_cpu_dense_backward(struct bm_cpu_work *work) {
    /* The sink may change the weights, so their last reader goes first. */
    if (work->dx != NULL) {
        input_gradient(work);
    }
    bm_cpu_run(work->session, param_gradients, work, multiplications(work));
}
