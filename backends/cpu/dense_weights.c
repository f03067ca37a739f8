/* The gradient of a dense layer's weights and biases, stored or stepped with, a group of tiles at a
 * time. */
#include "dense.h"

/* Floats of the sums of one group of tiles. */
#define GROUP_FLOATS (BM_CPU_GROUP * BM_CPU_ROWS * BM_CPU_PANEL)

/* Inputs of one group, from whole vectors to whole vectors. */
#define PACKED_INPUTS ((BM_CPU_GROUP * BM_CPU_ROWS / BM_CPU_WIDTH + 2) * BM_CPU_WIDTH)

/* Images whose gradient of the output stays in the second cache while all inputs are walked. */
#define SPAN_IMAGES UINT64_C(1024)

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
                        const struct bm_cpu_span *span,
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
    uint64_t tiles = bm_cpu_tiles(inputs);
    int32_t last = end == session->pass.count && session->pass.steps;
    const float *params = last ? session->params + offset : NULL;
    const float *state = last && session->core.slot_count > 0 ? session->state[0] + offset : NULL;
    for (uint64_t t = 0; t < tiles; t++) {
        uint64_t row = bm_cpu_tile_begin(inputs, tiles, t);
        uint64_t rows = bm_cpu_tile_begin(inputs, tiles, t + 1) - row;
        bm_cpu_tile_outer(packed + row, work->dy + image * stage->out.ld + panel * BM_CPU_PANEL,
                          &steps, rows, width, image > span->begin,
                          params == NULL ? NULL : params + row * width,
                          state == NULL ? NULL : state + row * width, sums + row * width);
    }
}

/* For some images after the other: their inputs stay in the first cache from tile to tile and from
 * panel to panel. What is made of one panel is contiguous in the packed layout, so that it can be
 * stepped as it is. */
static void group_gradient(const struct bm_cpu_work *work,
                           const struct bm_cpu_span *span,
                           const struct group *group) {
    float sums[BM_CPU_GROUP_PANELS * GROUP_FLOATS] __attribute__((aligned(64)));
    float packed[BM_CPU_GROUP_STEPS * PACKED_INPUTS] __attribute__((aligned(64)));
    const struct bm_cpu_stage *stage = work->stage;
    const struct bm_cpu_pass *pass = &work->session->pass;
    uint64_t count = span->end - span->begin;
    uint64_t parts = (count + BM_CPU_GROUP_STEPS - 1) / BM_CPU_GROUP_STEPS;
    uint64_t inputs = group->input_end - group->input_begin;
    uint64_t left = group->input_begin / BM_CPU_WIDTH * BM_CPU_WIDTH;
    for (uint64_t part = 0; part < parts; part++) {
        uint64_t image = span->begin + bm_cpu_tile_begin(count, parts, part);
        uint64_t end = span->begin + bm_cpu_tile_begin(count, parts, part + 1);
        pack(work->x + image * stage->in.size + left, stage->in.size, end - image,
             bm_padded(group->input_end) - left, packed, PACKED_INPUTS);
        for (uint64_t panel = group->panel_begin; panel < group->panel_end; panel++) {
            float *own = sums + (panel - group->panel_begin) * GROUP_FLOATS;
            uint64_t width = bm_cpu_panel_width(stage->out.channels, panel);
            uint64_t offset =
                stage->weight + panel * BM_CPU_PANEL * stage->depth + group->input_begin * width;
            group_tiles(work, span, image, end, group, panel, packed + (group->input_begin - left),
                        own);
            if (part == parts - 1) {
                bm_cpu_sink(work->session, pass->adds || span->begin > 0,
                            pass->steps && end == pass->count, offset, own, inputs * width);
            }
        }
    }
}

/* Groups of tiles that some inputs are cut into. */
uint64_t bm_cpu_dense_cuts(uint64_t inputs) {
    return (bm_cpu_tiles(inputs) + BM_CPU_GROUP - 1) / BM_CPU_GROUP;
}

/* Cut number `cut` of the inputs `first` .. `last`. */
void bm_cpu_dense_cut(const struct bm_cpu_work *work,
                      const struct bm_cpu_span *span,
                      uint64_t first,
                      uint64_t last,
                      uint64_t cut,
                      uint64_t panel_begin,
                      uint64_t panel_end) {
    uint64_t tiles = bm_cpu_tiles(last - first);
    uint64_t cuts = bm_cpu_dense_cuts(last - first);
    uint64_t begin = bm_cpu_tile_begin(tiles, cuts, cut);
    uint64_t end = bm_cpu_tile_begin(tiles, cuts, cut + 1);
    const struct group group = {
        .input_begin = first + bm_cpu_tile_begin(last - first, tiles, begin),
        .input_end = first + bm_cpu_tile_begin(last - first, tiles, end),
        .panel_begin = panel_begin,
        .panel_end = panel_end,
    };
    group_gradient(work, span, &group);
}

/* A thread has groups. */
static void weight_gradient(const struct bm_cpu_work *work,
                            const struct bm_cpu_span *span,
                            uint32_t thread,
                            uint32_t thread_count) {
    uint64_t depth = work->stage->depth;
    uint64_t panels = bm_cpu_panel_count(work->stage->out.channels);
    uint64_t sets = (panels + BM_CPU_GROUP_PANELS - 1) / BM_CPU_GROUP_PANELS;
    uint64_t cuts = bm_cpu_dense_cuts(depth);
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(sets * cuts, 1, thread, thread_count, &begin, &end);
    for (uint64_t item = begin; item < end; item++) {
        bm_cpu_dense_cut(work, span, 0, depth, item % cuts,
                         bm_cpu_tile_begin(panels, sets, item / cuts),
                         bm_cpu_tile_begin(panels, sets, item / cuts + 1));
    }
}

/* ---- Biases: dbias[output] = sum over images of dy ---- */

#define BIAS_FLOATS UINT64_C(256)

/* A thread's columns. */
static void bias_columns(const struct bm_cpu_stage *stage,
                         uint32_t thread,
                         uint32_t thread_count,
                         uint64_t *begin,
                         uint64_t *end) {
    bm_kit_split(bm_padded(stage->out.channels), BM_CPU_WIDTH, thread, thread_count, begin, end);
}

static void add_bias(const struct bm_cpu_work *work,
                     const struct bm_cpu_span *span,
                     uint32_t thread,
                     uint32_t thread_count) {
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t begin = 0;
    uint64_t end = 0;
    bias_columns(stage, thread, thread_count, &begin, &end);
    for (uint64_t c = begin; span->begin == 0 && c < end; c++) {
        stage->sums[c] = 0;
    }
    bm_cpu_add_rows(work->dy + span->begin * stage->out.ld, stage->out.ld, span->end - span->begin,
                    begin, end, stage->sums);
}

static void sink_bias(const struct bm_cpu_work *work, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_stage *stage = work->stage;
    const struct bm_cpu_pass *pass = &work->session->pass;
    uint64_t begin = 0;
    uint64_t end = 0;
    bias_columns(stage, thread, thread_count, &begin, &end);
    for (uint64_t c = begin; c < end; c += BIAS_FLOATS) {
        float values[BIAS_FLOATS] __attribute__((aligned(64)));
        uint64_t count = end - c < BIAS_FLOATS ? end - c : BIAS_FLOATS;
        for (uint64_t i = 0; i < count; i++) {
            values[i] = (float)stage->sums[c + i];
        }
        bm_cpu_sink(work->session, pass->adds, pass->steps, stage->bias + c, values, count);
    }
}

void bm_cpu_dense_bias(const struct bm_cpu_work *work, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_span span = {.end = work->session->pass.count};
    add_bias(work, &span, thread, thread_count);
    sink_bias(work, thread, thread_count);
}

static void param_gradients(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t count = work->session->pass.count;
    uint64_t spans = (count + SPAN_IMAGES - 1) / SPAN_IMAGES;
    if (bm_cpu_is_skinny(work->session)) {
        struct bm_cpu_share share;
        bm_cpu_dense_share(work, thread, thread_count, &share);
        bm_cpu_skinny_step(work, &share);
        bm_cpu_dense_bias(work, thread, thread_count);
        return;
    }
    for (uint64_t i = 0; i < spans; i++) {
        const struct bm_cpu_span span = {.begin = bm_cpu_tile_begin(count, spans, i),
                                         .end = bm_cpu_tile_begin(count, spans, i + 1)};
        weight_gradient(work, &span, thread, thread_count);
        add_bias(work, &span, thread, thread_count);
    }
    sink_bias(work, thread, thread_count);
}

void bm_cpu_dense_param_gradients(struct bm_cpu_work *work) {
    bm_cpu_run(work->session, param_gradients, work, bm_cpu_dense_multiplications(work));
}
