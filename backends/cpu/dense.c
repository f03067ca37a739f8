/* Dense layers: y[image][output] = bias[output] + sum_k x[image][k] weight[k][output]. */
#include "cpu.h"

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

/* Of one product over all images. */
static uint64_t multiplications(const struct bm_cpu_work *work) {
    return work->session->pass.count * work->stage->depth *
           bm_cpu_panel_columns(work->stage->out.channels);
}

void bm_cpu_dense_forward(struct bm_cpu_work *work) {
    bm_cpu_run(work->session, forward, work, multiplications(work));
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
        bm_cpu_run(session, transpose, work, multiplications(work) / session->pass.count);
    }
    bm_cpu_run(session, transposed_product, work, multiplications(work));
}

/* ---- Gradient of the parameters ---- */

/* Floats of the sums of one group of tiles. */
#define GROUP_FLOATS (BM_CPU_GROUP * BM_CPU_ROWS * BM_CPU_PANEL)

/* Inputs of one group, from whole vectors to whole vectors. */
#define PACKED_INPUTS ((BM_CPU_GROUP * BM_CPU_ROWS / BM_CPU_WIDTH + 2) * BM_CPU_WIDTH)

/* A piece of the gradient of the weights: inputs by panels, all of it neighbours. */
struct group {
    uint64_t input_begin; /* at most BM_CPU_GROUP tiles */
    uint64_t input_end;
    uint64_t panel_begin; /* at most BM_CPU_GROUP_PANELS */
    uint64_t panel_end;
};

/* to[image][0 .. columns) = from[image step ..]; whole vectors. */
static void pack(const float *from,
                 uint64_t step,
                 uint64_t images,
                 uint64_t columns,
                 float *to,
                 uint64_t to_step) {
    for (uint64_t b = 0; b < images; b++) {
        for (uint64_t c = 0; c < columns; c += BM_CPU_WIDTH) {
            bm_store(to + b * to_step + c, bm_load(from + b * step + c));
        }
    }
}

/* The tiles of one panel, over the images `image` .. `end`. `sums` is [inputs][width]. */
static void group_tiles(const struct bm_cpu_work *work,
                        uint64_t image,
                        uint64_t end,
                        const struct group *group,
                        uint64_t panel,
                        const float *packed,
                        float *sums) {
    const struct bm_cpu_stage *stage = work->stage;
    const struct bm_session *session = work->session;
    const struct bm_cpu_steps steps = {
        .runs = 1, .length = end - image, .a_step = PACKED_INPUTS, .b_step = stage->out.ld};
    uint64_t width = bm_cpu_panel_width(stage->out.channels, panel);
    uint64_t offset =
        stage->weight + panel * BM_CPU_PANEL * stage->depth + group->input_begin * width;
    uint64_t inputs = group->input_end - group->input_begin;
    uint64_t tiles = tiles_of(inputs);
    int32_t last = end == session->pass.count;
    const float *params = last ? session->params + offset : NULL;
    const float *state = last && session->core.slot_count > 0 ? session->state[0] + offset : NULL;
    for (uint64_t t = 0; t < tiles; t++) {
        uint64_t row = bm_cpu_tile_begin(inputs, tiles, t);
        uint64_t rows = bm_cpu_tile_begin(inputs, tiles, t + 1) - row;
        bm_cpu_tile_outer(packed + row, work->dy + image * stage->out.ld + panel * BM_CPU_PANEL,
                          &steps, rows, width, image > 0,
                          params == NULL ? NULL : params + row * width,
                          state == NULL ? NULL : state + row * width, sums + row * width);
    }
}

/* For some images after the other: their inputs stay in the first cache from tile to tile and from
 * panel to panel. What is made of one panel is contiguous in the packed layout, so that it can be
 * stepped as it is. */
static void group_gradient(const struct bm_cpu_work *work, const struct group *group) {
    float sums[BM_CPU_GROUP_PANELS * GROUP_FLOATS] __attribute__((aligned(64)));
    float packed[BM_CPU_GROUP_STEPS * PACKED_INPUTS] __attribute__((aligned(64)));
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t count = work->session->pass.count;
    uint64_t parts = (count + BM_CPU_GROUP_STEPS - 1) / BM_CPU_GROUP_STEPS;
    uint64_t inputs = group->input_end - group->input_begin;
    uint64_t left = group->input_begin / BM_CPU_WIDTH * BM_CPU_WIDTH;
    for (uint64_t part = 0; part < parts; part++) {
        uint64_t image = bm_cpu_tile_begin(count, parts, part);
        uint64_t end = bm_cpu_tile_begin(count, parts, part + 1);
        pack(work->x + image * stage->in.size + left, stage->in.size, end - image,
             bm_padded(group->input_end) - left, packed, PACKED_INPUTS);
        for (uint64_t panel = group->panel_begin; panel < group->panel_end; panel++) {
            float *own = sums + (panel - group->panel_begin) * GROUP_FLOATS;
            uint64_t width = bm_cpu_panel_width(stage->out.channels, panel);
            uint64_t offset =
                stage->weight + panel * BM_CPU_PANEL * stage->depth + group->input_begin * width;
            group_tiles(work, image, end, group, panel, packed + (group->input_begin - left), own);
            if (part == parts - 1) {
                bm_cpu_sink(work->session, offset, own, inputs * width);
            }
        }
    }
}

/* Groups of tiles that some inputs are cut into. */
static uint64_t cuts_of(uint64_t inputs) {
    return (tiles_of(inputs) + BM_CPU_GROUP - 1) / BM_CPU_GROUP;
}

/* Cut number `cut` of the inputs `first` .. `last`. */
static void cut_gradient(const struct bm_cpu_work *work,
                         uint64_t first,
                         uint64_t last,
                         uint64_t cut,
                         uint64_t panel_begin,
                         uint64_t panel_end) {
    uint64_t tiles = tiles_of(last - first);
    uint64_t cuts = cuts_of(last - first);
    uint64_t begin = bm_cpu_tile_begin(tiles, cuts, cut);
    uint64_t end = bm_cpu_tile_begin(tiles, cuts, cut + 1);
    const struct group group = {
        .input_begin = first + bm_cpu_tile_begin(last - first, tiles, begin),
        .input_end = first + bm_cpu_tile_begin(last - first, tiles, end),
        .panel_begin = panel_begin,
        .panel_end = panel_end,
    };
    group_gradient(work, &group);
}

/* A thread has groups. */
static void
weight_gradient(const struct bm_cpu_work *work, uint32_t thread, uint32_t thread_count) {
    uint64_t depth = work->stage->depth;
    uint64_t panels = bm_cpu_panel_count(work->stage->out.channels);
    uint64_t sets = (panels + BM_CPU_GROUP_PANELS - 1) / BM_CPU_GROUP_PANELS;
    uint64_t cuts = cuts_of(depth);
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(sets * cuts, 1, thread, thread_count, &begin, &end);
    for (uint64_t item = begin; item < end; item++) {
        cut_gradient(work, 0, depth, item % cuts, bm_cpu_tile_begin(panels, sets, item / cuts),
                     bm_cpu_tile_begin(panels, sets, item / cuts + 1));
    }
}

#define BIAS_FLOATS UINT64_C(256)

/* dbias[output] = sum over images of dy */
static void bias_gradient(const struct bm_cpu_work *work, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_padded(stage->out.channels), BM_CPU_WIDTH, thread, thread_count, &begin, &end);
    for (uint64_t c = begin; c < end; c++) {
        stage->sums[c] = 0;
    }
    bm_cpu_add_rows(work->dy, stage->out.ld, work->session->pass.count, begin, end, stage->sums);
    for (uint64_t c = begin; c < end; c += BIAS_FLOATS) {
        float values[BIAS_FLOATS] __attribute__((aligned(64)));
        uint64_t count = end - c < BIAS_FLOATS ? end - c : BIAS_FLOATS;
        for (uint64_t i = 0; i < count; i++) {
            values[i] = (float)stage->sums[c + i];
        }
        bm_cpu_sink(work->session, stage->bias + c, values, count);
    }
}

/*
 * In the skinny regime a thread has panels, forward and back, and with them the weights that it
 * reads and steps: they stay in its caches, and no line of them goes from one processor to another.
 * Where there are fewer panels than threads, a thread has inputs instead.
 */
static void skinny_share(const struct bm_cpu_work *work,
                         uint32_t thread,
                         uint32_t thread_count,
                         struct bm_cpu_share *share) {
    uint64_t panels = bm_cpu_panel_count(work->stage->out.channels);
    *share = (struct bm_cpu_share){.input_end = work->stage->depth, .panel_end = panels};
    if (panels < thread_count) {
        bm_kit_split(work->stage->depth, BM_CPU_WIDTH, thread, thread_count, &share->input_begin,
                     &share->input_end);
    } else {
        bm_kit_split(panels, 1, thread, thread_count, &share->panel_begin, &share->panel_end);
    }
}

static int32_t is_skinny(const struct bm_session *session) {
    return session->pass.steps && !session->pass.adds && session->pass.count <= session->skinny_max;
}

static void param_gradients(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    if (is_skinny(work->session)) {
        struct bm_cpu_share share;
        skinny_share(work, thread, thread_count, &share);
        bm_cpu_skinny_step(work, &share);
    } else {
        weight_gradient(work, thread, thread_count);
    }
    bias_gradient(work, thread, thread_count);
}

void bm_cpu_dense_param_gradients(struct bm_cpu_work *work) {
    bm_cpu_run(work->session, param_gradients, work, multiplications(work));
}

/* ---- Few images ---- */

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
    uint64_t cuts = cuts_of(share->input_end - share->input_begin);
    for (uint64_t p = share->panel_begin; p < share->panel_end; p += BM_CPU_GROUP_PANELS) {
        uint64_t left = share->panel_end - p;
        uint64_t end = left < BM_CPU_GROUP_PANELS ? share->panel_end : p + BM_CPU_GROUP_PANELS;
        for (uint64_t cut = 0; cut < cuts; cut++) {
            cut_gradient(work, share->input_begin, share->input_end, cut, p, end);
        }
    }
}

static void backward_share(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    struct bm_session *session = work->session;
    struct bm_cpu_share share;
    skinny_share(work, thread, thread_count, &share);
    if (work->dx != NULL) {
        int32_t beside = share.panel_begin > 0;
        dots(work, &share, beside ? partial_of(session, thread) : work->dx,
             beside ? session->partial_size : work->stage->in.size);
    }
    if (is_skinny(session)) {
        bm_cpu_skinny_step(work, &share);
    } else {
        share_gradient(work, &share);
    }
    bias_gradient(work, thread, thread_count);
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

static void backward_few(struct bm_cpu_work *work) {
    struct bm_session *session = work->session;
    uint64_t panels = bm_cpu_panel_count(work->stage->out.channels);
    uint64_t count = multiplications(work);
    uint32_t threads = count < BM_CPU_ALONE ? 1 : session->core.thread_count;
    bm_cpu_run(session, backward_share, work, count);
    for (uint64_t b = 0; work->dx != NULL && b < session->pass.count; b++) {
        finish_few_image(work, b, panels < threads ? 1 : threads);
    }
}

void bm_cpu_dense_backward(struct bm_cpu_work *work) {
    if (work->session->pass.count <= BM_CPU_DOT_COUNT_MAX) {
        backward_few(work);
        return;
    }
    /* The weights may change with their gradient, so their last reader goes first. */
    if (work->dx != NULL) {
        input_gradient(work);
    }
    bm_cpu_dense_param_gradients(work);
}
