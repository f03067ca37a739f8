/* The gradient of a convolution's weights and biases. */
#include "canvas.h"

/* gradient[...] = or += a tile of one image, or of a part of it */
static void add_tile(const float *tile, uint64_t count, uint32_t adds, float *gradient) {
    for (uint64_t i = 0; i < count; i += BM_CPU_WIDTH) {
        bm_vector value = bm_load(tile + i);
        bm_store(gradient + i, adds ? bm_add(bm_load(gradient + i), value) : value);
    }
}

/* The weights' inputs in units that a tile does not leave: a tap, so that its columns on the
 * padding can be left out, or a row of taps of a painted canvas, whose pixels may be small. */
struct units {
    uint64_t taps;  /* of a unit */
    uint64_t rows;  /* inputs of a unit */
    uint64_t tiles; /* of a unit */
    uint64_t count; /* units of one panel */
};

static struct units units_of(const struct bm_cpu_stage *stage) {
    struct units units = {.taps = bm_cpu_paints_input(stage) ? stage->facts.kernel_width : 1};
    units.rows = units.taps * stage->in.channels;
    units.tiles = (units.rows + BM_CPU_ROWS - 1) / BM_CPU_ROWS;
    units.count = (uint64_t)stage->facts.kernel_height * (stage->facts.kernel_width / units.taps);
    return units;
}

/* Rows of an image's gradient that stay in the first cache while all tiles are walked. */
#define NEAR_BYTES (UINT64_C(32) << 10)

static uint64_t strips_of(const struct bm_cpu_stage *stage) {
    uint64_t bytes = stage->out.positions * BM_CPU_PANEL * sizeof(float);
    uint64_t strips = (bytes + NEAR_BYTES - 1) / NEAR_BYTES;
    return strips < stage->out.height ? strips : stage->out.height;
}

/* What tile number `index` of one panel gets from rows top_row .. end_row of one image's gradient;
 * returns its rows and sets its first. */
static uint64_t weight_tile(const struct bm_cpu_work *work,
                            const struct bm_cpu_canvas *canvas,
                            const struct units *units,
                            uint64_t index,
                            int64_t top_row,
                            int64_t end_row,
                            const float *dy,
                            uint64_t width,
                            uint64_t *first,
                            float *tile) {
    const struct bm_cpu_stage *stage = work->stage;
    int64_t stride = stage->facts.stride;
    uint64_t unit = index / units->tiles;
    uint64_t row = bm_cpu_tile_begin(units->rows, units->tiles, index % units->tiles);
    uint64_t rows = bm_cpu_tile_begin(units->rows, units->tiles, index % units->tiles + 1) - row;
    uint64_t tap = unit * units->taps;
    int64_t top = (int64_t)(tap / stage->facts.kernel_width) - canvas->row_padding;
    int64_t left = (int64_t)(tap % stage->facts.kernel_width) - canvas->column_padding;
    int64_t row_begin = 0;
    int64_t row_end = 0;
    int64_t column_begin = 0;
    int64_t column_end = 0;
    bm_cpu_inside(stride, top, canvas->height, stage->out.height, &row_begin, &row_end);
    bm_cpu_inside(stride, left, canvas->width, stage->out.width, &column_begin, &column_end);
    row_begin = row_begin > top_row ? row_begin : top_row;
    row_end = row_end < end_row ? row_end : end_row;
    const struct bm_cpu_steps steps = {
        .runs =
            column_begin < column_end && row_begin < row_end ? (uint64_t)(row_end - row_begin) : 0,
        .length = (uint64_t)(column_end - column_begin),
        .a_run = (uint64_t)(stride * canvas->width * canvas->channels),
        .b_run = stage->out.width * stage->out.ld,
        .a_step = (uint64_t)(stride * canvas->channels),
        .b_step = stage->out.ld};
    int64_t begin = ((row_begin * stride + top) * canvas->width + column_begin * stride + left) *
                    canvas->channels;
    uint64_t at = (uint64_t)row_begin * stage->out.width + (uint64_t)column_begin;
    *first = unit * units->rows + row;
    bm_cpu_tile_outer(steps.runs > 0 ? canvas->values + begin + row : canvas->values,
                      dy + at * stage->out.ld, &steps, rows, width, 0, NULL, NULL, tile);
    return rows;
}

/* Some tiles, numbered from panel to panel, and the biases of the panels whose first is among them.
 */
struct tiles {
    uint64_t of_panel;
    uint64_t begin;
    uint64_t end;
    uint64_t bias_begin; /* columns */
    uint64_t bias_end;
};

static uint64_t first_column(const struct bm_cpu_stage *stage, uint64_t of_panel, uint64_t tile) {
    uint64_t column = (tile + of_panel - 1) / of_panel * BM_CPU_PANEL;
    uint64_t columns = bm_padded(stage->out.channels);
    return column < columns ? column : columns;
}

/* A strip of one image's gradient. */
static void strip_gradient(const struct bm_cpu_work *work,
                           const struct bm_cpu_canvas *canvas,
                           const struct units *units,
                           const struct tiles *tiles,
                           uint64_t image,
                           uint64_t strip) {
    const struct bm_cpu_stage *stage = work->stage;
    struct bm_session *session = work->session;
    float tile[BM_CPU_ROWS * BM_CPU_PANEL] __attribute__((aligned(64)));
    const float *dy = work->dy + image * stage->out.size;
    uint64_t strips = strips_of(stage);
    uint64_t top = bm_cpu_tile_begin(stage->out.height, strips, strip);
    uint64_t bottom = bm_cpu_tile_begin(stage->out.height, strips, strip + 1);
    for (uint64_t item = tiles->begin; item < tiles->end; item++) {
        uint64_t p = item / tiles->of_panel;
        uint64_t width = bm_cpu_panel_width(stage->out.channels, p);
        uint64_t first = 0;
        uint64_t rows = weight_tile(work, canvas, units, item % tiles->of_panel, (int64_t)top,
                                    (int64_t)bottom, dy + p * BM_CPU_PANEL, width, &first, tile);
        uint64_t offset = stage->weight + p * BM_CPU_PANEL * stage->depth + first * width;
        add_tile(tile, rows * width, session->pass.adds || image > 0 || strip > 0,
                 session->gradient + offset);
    }
    bm_cpu_add_rows(dy + top * stage->out.width * stage->out.ld, stage->out.ld,
                    (bottom - top) * stage->out.width, tiles->bias_begin, tiles->bias_end,
                    stage->sums);
}

/* A tile is some inputs x a panel of outputs. A thread owns tiles and adds up their images one
 * after the other, a strip at a time; dbias[o] = sum over images and positions of dy. */
static void param_gradients(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    struct bm_session *session = work->session;
    float *scratch = session->scratch + thread * session->scratch_count;
    const struct units units = units_of(stage);
    struct tiles tiles = {.of_panel = units.count * units.tiles};
    bm_kit_split(bm_cpu_panel_count(stage->out.channels) * tiles.of_panel, 1, thread, thread_count,
                 &tiles.begin, &tiles.end);
    tiles.bias_begin = first_column(stage, tiles.of_panel, tiles.begin);
    tiles.bias_end = first_column(stage, tiles.of_panel, tiles.end);
    for (uint64_t c = tiles.bias_begin; c < tiles.bias_end; c++) {
        stage->sums[c] = 0;
    }
    for (uint64_t image = 0; image < session->pass.count && tiles.begin < tiles.end; image++) {
        const struct bm_cpu_canvas canvas = bm_cpu_input_canvas(work, image, scratch);
        for (uint64_t strip = 0; strip < strips_of(stage); strip++) {
            strip_gradient(work, &canvas, &units, &tiles, image, strip);
        }
    }
    for (uint64_t c = tiles.bias_begin; c < tiles.bias_end; c++) {
        float *gradient = session->gradient + stage->bias + c;
        *gradient = (session->pass.adds ? *gradient : 0) + (float)stage->sums[c];
    }
}

void bm_cpu_convolution_param_gradients(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, param_gradients, work);
}
