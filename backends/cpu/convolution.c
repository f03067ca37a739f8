/*
 * Convolutions without a matrix of patches. In an image [row][column][channel] without gaps between
 * pixels the patch of an output position is kernel_height runs of kernel_width channels contiguous
 * floats, which the products walk as they lie. Taps that fall on the padding are left out: rows of
 * taps by shorter patches, columns by walking the columns of taps in groups that meet the same
 * output positions. Where pixels fill no vector, or in the gradient of the input have gaps between
 * them (a stride), the image is painted into scratch first, with its padding.
 */
#include "cpu.h"

#include <string.h>

/* What a kernel slides over. `padding` rows and columns of zeros around it are not there. */
struct canvas {
    const float *values;
    int64_t height;
    int64_t width;
    int64_t channels; /* floats of a pixel */
    int64_t row_padding;
    int64_t column_padding;
};

static uint64_t canvas_size(const struct canvas *canvas) {
    return (uint64_t)canvas->height * (uint64_t)canvas->width * (uint64_t)canvas->channels;
}

/* ---- Canvases ---- */

/* The input painted with its padding. */
static struct canvas painted_input(const struct bm_cpu_stage *stage) {
    const struct bm_kit_layer *facts = &stage->facts;
    return (struct canvas){.height = (int64_t)facts->input.height + 2 * (int64_t)facts->padding,
                           .width = (int64_t)facts->input.width + 2 * (int64_t)facts->padding,
                           .channels = (int64_t)stage->in.channels};
}

/* The output's gradient, spread by the stride and padded so that its product with the turned kernel
 * is the input's gradient. */
static struct canvas painted_gradient(const struct bm_cpu_stage *stage) {
    const struct bm_kit_layer *facts = &stage->facts;
    return (struct canvas){.height = (int64_t)facts->input.height + facts->kernel_height - 1,
                           .width = (int64_t)facts->input.width + facts->kernel_width - 1,
                           .channels = (int64_t)stage->out.channels};
}

static int32_t paints_input(const struct bm_cpu_stage *stage) {
    return stage->in.channels % BM_CPU_WIDTH != 0;
}

static int32_t paints_gradient(const struct bm_cpu_stage *stage) {
    return stage->out.ld != stage->out.channels || stage->facts.stride > 1;
}

uint64_t bm_cpu_convolution_scratch(const struct bm_cpu_stage *stage) {
    const struct canvas input = painted_input(stage);
    const struct canvas gradient = painted_gradient(stage);
    uint64_t of_input = paints_input(stage) ? canvas_size(&input) : 0;
    uint64_t of_gradient = paints_gradient(stage) ? canvas_size(&gradient) : 0;
    return of_input > of_gradient ? of_input : of_gradient;
}

/* Pixels of a row, `step` apart from column_begin on, as far as they are inside. */
static void paint_row(const float *values,
                      const struct bm_cpu_shape *shape,
                      const struct canvas *canvas,
                      int64_t step,
                      int64_t column_begin,
                      float *scratch) {
    uint64_t channels = (uint64_t)canvas->channels;
    int64_t width = shape->width;
    if (step == 1 && shape->ld == channels && column_begin >= 0 &&
        column_begin + width <= canvas->width) {
        memcpy(scratch + column_begin * canvas->channels, values,
               shape->width * channels * sizeof *scratch);
        return;
    }
    for (int64_t c = 0; c < width; c++) {
        int64_t column = c * step + column_begin;
        if (column >= 0 && column < canvas->width) {
            memcpy(scratch + column * canvas->channels, values + c * (int64_t)shape->ld,
                   channels * sizeof *scratch);
        }
    }
}

/* Puts pixel (row, column) of `values` at (row step + row_begin, column step + column_begin), where
 * that is inside. */
static void paint(const float *values,
                  const struct bm_cpu_shape *shape,
                  const struct canvas *canvas,
                  int64_t step,
                  int64_t row_begin,
                  int64_t column_begin,
                  float *scratch) {
    memset(scratch, 0, canvas_size(canvas) * sizeof *scratch);
    for (int64_t r = 0; r < (int64_t)shape->height; r++) {
        int64_t row = r * step + row_begin;
        if (row < 0 || row >= canvas->height) {
            continue;
        }
        paint_row(values + (uint64_t)r * shape->width * shape->ld, shape, canvas, step,
                  column_begin, scratch + row * canvas->width * canvas->channels);
    }
}

typedef struct canvas canvas_maker(const struct bm_cpu_work *work, uint64_t image, float *scratch);

static struct canvas input_canvas(const struct bm_cpu_work *work, uint64_t image, float *scratch) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *x = work->x + image * stage->in.size;
    int64_t padding = stage->facts.padding;
    if (!paints_input(stage)) {
        return (struct canvas){x,       stage->in.height, stage->in.width, (int64_t)stage->in.ld,
                               padding, padding};
    }
    struct canvas canvas = painted_input(stage);
    canvas.values = scratch;
    paint(x, &stage->in, &canvas, 1, padding, padding, scratch);
    return canvas;
}

static struct canvas
gradient_canvas(const struct bm_cpu_work *work, uint64_t image, float *scratch) {
    const struct bm_cpu_stage *stage = work->stage;
    const struct bm_kit_layer *facts = &stage->facts;
    const float *dy = work->dy + image * stage->out.size;
    int64_t rows = (int64_t)facts->kernel_height - 1 - facts->padding;
    int64_t columns = (int64_t)facts->kernel_width - 1 - facts->padding;
    if (!paints_gradient(stage)) {
        return (struct canvas){
            dy, stage->out.height, stage->out.width, (int64_t)stage->out.ld, rows, columns};
    }
    struct canvas canvas = painted_gradient(stage);
    canvas.values = scratch;
    paint(dy, &stage->out, &canvas, facts->stride, rows, columns, scratch);
    return canvas;
}

/* ---- What is inside ---- */

/* Positions begin .. end, of 0 .. count, from which a tap meets the canvas: 0 <= position step +
 * offset < extent. */
static void
inside(int64_t step, int64_t offset, int64_t extent, int64_t count, int64_t *begin, int64_t *end) {
    int64_t first = offset >= 0 ? 0 : (-offset + step - 1) / step;
    int64_t last = offset >= extent ? 0 : (extent - 1 - offset) / step + 1;
    *begin = first < count ? first : count;
    *end = last < count ? last : count;
    *end = *end > *begin ? *end : *begin;
}

/* ---- A kernel that slides over a canvas ---- */

struct slide {
    int64_t kernel_height;
    int64_t kernel_width;
    int64_t stride;
    const float *panels;
    const struct bm_cpu_shape *result;
};

/* A tile of the result: some neighbouring columns of a row, a panel's width. */
struct place {
    const struct slide *slide;
    const struct canvas *canvas;
    int64_t row;
    int64_t column_begin;
    int64_t column_end;
    const float *panel;
    uint64_t width;
    float *c; /* of column_begin */
};

/* Adds taps b_begin .. b_end of all rows of taps that are inside, for columns begin .. end, which
 * meet them all. */
static void add_taps(const struct place *place,
                     int64_t b_begin,
                     int64_t b_end,
                     int64_t begin,
                     int64_t end,
                     const struct bm_cpu_finish *finish) {
    const struct slide *slide = place->slide;
    const struct canvas *canvas = place->canvas;
    int64_t top = place->row * slide->stride - canvas->row_padding;
    int64_t left = begin * slide->stride + b_begin - canvas->column_padding;
    int64_t a_begin = 0;
    int64_t a_end = 0;
    inside(1, top, canvas->height, slide->kernel_height, &a_begin, &a_end);
    const struct bm_cpu_rows rows = {
        .values = canvas->values + ((top + a_begin) * canvas->width + left) * canvas->channels,
        .step = (uint64_t)(slide->stride * canvas->channels),
        .runs = (uint64_t)(a_end - a_begin),
        .run_step = (uint64_t)(canvas->width * canvas->channels),
        .length = (uint64_t)((b_end - b_begin) * canvas->channels),
        .skip = (uint64_t)((slide->kernel_width - (b_end - b_begin)) * canvas->channels)};
    int64_t depth = (a_begin * slide->kernel_width + b_begin) * canvas->channels;
    uint64_t ld = slide->result->ld;
    bm_cpu_tile_rows(&rows, (uint64_t)(end - begin), place->panel + (uint64_t)depth * place->width,
                     place->width, finish, place->c + (uint64_t)(begin - place->column_begin) * ld,
                     ld);
}

/* Columns of the place that tap b meets. */
static void columns_of(const struct place *place, int64_t b, int64_t *begin, int64_t *end) {
    inside(place->slide->stride, b - place->canvas->column_padding, place->canvas->width,
           place->column_end, begin, end);
    *begin = *begin > place->column_begin ? *begin : place->column_begin;
    *end = *end > *begin ? *end : *begin;
}

/* At the border: from 0 on, the taps in groups that meet the same columns. */
static void slide_border(const struct place *place, const struct bm_cpu_finish *finish) {
    const struct bm_cpu_finish goes_on = {.continues = 1};
    uint64_t count = (uint64_t)(place->column_end - place->column_begin);
    uint64_t ld = place->slide->result->ld;
    int64_t b = 0;
    for (uint64_t i = 0; i < count; i++) {
        memset(place->c + i * ld, 0, place->width * sizeof(float));
    }
    while (b < place->slide->kernel_width) {
        int64_t begin = 0;
        int64_t end = 0;
        int64_t next_begin = 0;
        int64_t next_end = 0;
        int64_t next = b + 1;
        columns_of(place, b, &begin, &end);
        for (; next < place->slide->kernel_width; next++) {
            columns_of(place, next, &next_begin, &next_end);
            if (next_begin != begin || next_end != end) {
                break;
            }
        }
        if (begin < end) {
            add_taps(place, b, next, begin, end, &goes_on);
        }
        b = next;
    }
    bm_cpu_tile_finish(count, place->width, finish, place->c, ld);
}

static void slide_place(const struct place *place, const struct bm_cpu_finish *finish) {
    int64_t last_tap = place->slide->kernel_width - 1;
    int64_t begin = 0;
    int64_t end = 0;
    int64_t last_begin = 0;
    int64_t last_end = 0;
    columns_of(place, 0, &begin, &end);
    columns_of(place, last_tap, &last_begin, &last_end);
    if (begin == place->column_begin && last_begin == begin && end == place->column_end &&
        last_end == end) {
        add_taps(place, 0, last_tap + 1, begin, end, finish);
    } else {
        slide_border(place, finish);
    }
}

/* Rows begin .. end of the result of one image, for all panels. */
static void slide_rows(const struct slide *slide,
                       const struct canvas *canvas,
                       const struct bm_cpu_finish *finish,
                       uint64_t begin,
                       uint64_t end,
                       float *c) {
    const struct bm_cpu_shape *result = slide->result;
    uint64_t depth = (uint64_t)(slide->kernel_height * slide->kernel_width * canvas->channels);
    uint64_t tiles = (result->width + BM_CPU_ROWS - 1) / BM_CPU_ROWS;
    for (uint64_t p = 0; p < bm_cpu_panel_count(result->channels); p++) {
        struct bm_cpu_finish own = *finish;
        own.bias = finish->bias == NULL ? NULL : finish->bias + p * BM_CPU_PANEL;
        for (uint64_t item = begin * tiles; item < end * tiles; item++) {
            uint64_t row = item / tiles;
            uint64_t first = bm_cpu_tile_begin(result->width, tiles, item % tiles);
            uint64_t at = (row * result->width + first) * result->ld + p * BM_CPU_PANEL;
            float *to = c + at;
            const struct place place = {
                .slide = slide,
                .canvas = canvas,
                .row = (int64_t)row,
                .column_begin = (int64_t)first,
                .column_end = (int64_t)bm_cpu_tile_begin(result->width, tiles, item % tiles + 1),
                .panel = slide->panels + p * BM_CPU_PANEL * depth,
                .width = bm_cpu_panel_width(result->channels, p),
                .c = to};
            own.mask = finish->mask == NULL ? NULL : finish->mask + at;
            slide_place(&place, &own);
        }
    }
}

/* Parts into which an image's rows are cut so that every thread has something to do. */
static uint64_t parts_of(uint64_t count, uint64_t rows, uint32_t thread_count) {
    uint64_t wanted = count >= thread_count ? 1 : (thread_count + count - 1) / count;
    return wanted < rows ? wanted : rows;
}

/* All images. */
static void slide_images(const struct bm_cpu_work *work,
                         const struct slide *slide,
                         canvas_maker *make_canvas,
                         const struct bm_cpu_finish *finish,
                         float *c,
                         uint32_t thread,
                         uint32_t thread_count) {
    struct bm_session *session = work->session;
    float *scratch = session->scratch + thread * session->scratch_count;
    uint64_t parts = parts_of(session->pass.count, slide->result->height, thread_count);
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(session->pass.count * parts, 1, thread, thread_count, &begin, &end);
    for (uint64_t item = begin; item < end; item++) {
        uint64_t image = item / parts;
        const struct canvas canvas = make_canvas(work, image, scratch);
        struct bm_cpu_finish own = *finish;
        own.mask = finish->mask == NULL ? NULL : finish->mask + image * slide->result->size;
        slide_rows(slide, &canvas, &own,
                   bm_cpu_tile_begin(slide->result->height, parts, item % parts),
                   bm_cpu_tile_begin(slide->result->height, parts, item % parts + 1),
                   c + image * slide->result->size);
    }
}

/* y[o](r, c) = bias[o] + sum_{a,b,i} weight[(a, b, i)][o] x[i](r stride + a, c stride + b) */
static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    const float *params = work->session->params;
    const struct slide slide = {.kernel_height = stage->facts.kernel_height,
                                .kernel_width = stage->facts.kernel_width,
                                .stride = stage->facts.stride,
                                .panels = params + stage->weight,
                                .result = &stage->out};
    const struct bm_cpu_finish finish = {.bias = params + stage->bias, .relu = stage->relu};
    slide_images(work, &slide, input_canvas, &finish, work->y, thread, thread_count);
}

void bm_cpu_convolution_forward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, forward, work);
}

/* ---- Gradient of the input ---- */

/* Panels over input channels of the turned kernel, [(a, b, o)][i]. */
static void transpose(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t inputs = stage->in.channels;
    uint64_t outputs = stage->out.channels;
    uint64_t taps = (uint64_t)stage->facts.kernel_height * stage->facts.kernel_width;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(taps, 1, thread, thread_count, &begin, &end);
    for (uint64_t item = begin; item < end; item++) {
        const float *weights = work->session->params + stage->weight;
        for (uint64_t i = 0; i < inputs; i += BM_CPU_PANEL) {
            uint64_t width = bm_cpu_panel_width(inputs, i / BM_CPU_PANEL);
            uint64_t rows = inputs - i < width ? inputs - i : width;
            float *to = stage->transposed + i * taps * outputs + item * outputs * width;
            for (uint64_t o = 0; o < outputs; o += BM_CPU_PANEL) {
                uint64_t own_width = bm_cpu_panel_width(outputs, o / BM_CPU_PANEL);
                uint64_t columns = outputs - o < own_width ? outputs - o : own_width;
                bm_cpu_transpose(weights + o * stage->depth +
                                     ((taps - 1 - item) * inputs + i) * own_width,
                                 own_width, rows, columns, to + o * width, width);
            }
        }
    }
}

static void input_gradient(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    const struct slide slide = {.kernel_height = stage->facts.kernel_height,
                                .kernel_width = stage->facts.kernel_width,
                                .stride = 1,
                                .panels = stage->transposed,
                                .result = &stage->in};
    const struct bm_cpu_finish finish = {.mask = work->mask};
    slide_images(work, &slide, gradient_canvas, &finish, work->dx, thread, thread_count);
}

/* ---- Gradient of the parameters ---- */

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
    struct units units = {.taps = paints_input(stage) ? stage->facts.kernel_width : 1};
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
                            const struct canvas *canvas,
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
    inside(stride, top, canvas->height, stage->out.height, &row_begin, &row_end);
    inside(stride, left, canvas->width, stage->out.width, &column_begin, &column_end);
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
                           const struct canvas *canvas,
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
        const struct canvas canvas = input_canvas(work, image, scratch);
        for (uint64_t strip = 0; strip < strips_of(stage); strip++) {
            strip_gradient(work, &canvas, &units, &tiles, image, strip);
        }
    }
    for (uint64_t c = tiles.bias_begin; c < tiles.bias_end; c++) {
        float *gradient = session->gradient + stage->bias + c;
        *gradient = (session->pass.adds ? *gradient : 0) + (float)stage->sums[c];
    }
}

void bm_cpu_convolution_backward(struct bm_cpu_work *work) {
    struct bm_kit_pool *pool = work->session->pool;
    if (work->dx != NULL) {
        bm_kit_pool_run(pool, transpose, work);
        bm_kit_pool_run(pool, input_gradient, work);
    }
    bm_kit_pool_run(pool, param_gradients, work);
}
