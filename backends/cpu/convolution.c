/*
 * Convolutions without a matrix of patches. An image is copied into scratch with its padding and
 * without gaps between pixels, [row][column][channel]; then the patch of an output position is
 * kernel_height runs of kernel_width channels contiguous floats, which the products walk as they
 * lie.
 */
#include "cpu.h"

#include <string.h>

/* Rows and columns of the image in scratch, and the floats of a pixel. */
struct canvas {
    uint64_t height;
    uint64_t width;
    uint64_t channels;
};

/* The input with its padding. */
static struct canvas input_canvas(const struct bm_cpu_stage *stage) {
    const struct bm_kit_layer *facts = &stage->facts;
    return (struct canvas){(uint64_t)facts->input.height + 2 * (uint64_t)facts->padding,
                           (uint64_t)facts->input.width + 2 * (uint64_t)facts->padding,
                           stage->in.channels};
}

/* The output's gradient, spread by the stride and padded so that its product with the turned kernel
 * is the input's gradient. */
static struct canvas gradient_canvas(const struct bm_cpu_stage *stage) {
    const struct bm_kit_layer *facts = &stage->facts;
    return (struct canvas){(uint64_t)facts->input.height + facts->kernel_height - 1,
                           (uint64_t)facts->input.width + facts->kernel_width - 1,
                           stage->out.channels};
}

static uint64_t canvas_size(struct canvas canvas) {
    return canvas.height * canvas.width * canvas.channels;
}

uint64_t bm_cpu_convolution_scratch(const struct bm_cpu_stage *stage) {
    uint64_t input = canvas_size(input_canvas(stage));
    uint64_t gradient = canvas_size(gradient_canvas(stage));
    return input > gradient ? input : gradient;
}

/* Puts pixel (row, column) of `values` at (row step + row_begin, column step + column_begin), where
 * that is inside. */
static void paint(const float *values,
                  const struct bm_cpu_shape *shape,
                  struct canvas canvas,
                  int64_t step,
                  int64_t row_begin,
                  int64_t column_begin,
                  float *scratch) {
    memset(scratch, 0, canvas_size(canvas) * sizeof *scratch);
    for (int64_t r = 0; r < (int64_t)shape->height; r++) {
        int64_t row = r * step + row_begin;
        if (row < 0 || row >= (int64_t)canvas.height) {
            continue;
        }
        for (int64_t c = 0; c < (int64_t)shape->width; c++) {
            int64_t column = c * step + column_begin;
            if (column >= 0 && column < (int64_t)canvas.width) {
                memcpy(scratch + (row * (int64_t)canvas.width + column) * (int64_t)canvas.channels,
                       values + (r * shape->width + c) * (int64_t)shape->ld,
                       canvas.channels * sizeof *scratch);
            }
        }
    }
}

static void paint_input(const struct bm_cpu_work *work, uint64_t image, float *scratch) {
    const struct bm_cpu_stage *stage = work->stage;
    int64_t padding = stage->facts.padding;
    paint(work->x + image * stage->in.size, &stage->in, input_canvas(stage), 1, padding, padding,
          scratch);
}

static void paint_gradient(const struct bm_cpu_work *work, uint64_t image, float *scratch) {
    const struct bm_cpu_stage *stage = work->stage;
    const struct bm_kit_layer *facts = &stage->facts;
    paint(work->dy + image * stage->out.size, &stage->out, gradient_canvas(stage), facts->stride,
          (int64_t)facts->kernel_height - 1 - facts->padding,
          (int64_t)facts->kernel_width - 1 - facts->padding, scratch);
}

/* A kernel that slides over a canvas: rows begin .. end of the result, for all panels. */
struct slide {
    struct canvas canvas;
    uint64_t kernel_height;
    uint64_t kernel_width;
    uint64_t stride;
    const float *panels;
    const struct bm_cpu_shape *result;
};

static void slide_rows(const struct slide *slide,
                       const float *scratch,
                       const struct bm_cpu_finish *finish,
                       uint64_t begin,
                       uint64_t end,
                       float *c) {
    const struct bm_cpu_shape *result = slide->result;
    uint64_t pixel = slide->canvas.channels;
    uint64_t line = slide->canvas.width * pixel;
    uint64_t depth = slide->kernel_height * slide->kernel_width * pixel;
    uint64_t tiles = (result->width + BM_CPU_ROWS - 1) / BM_CPU_ROWS;
    struct bm_cpu_rows a = {.step = slide->stride * pixel,
                            .runs = slide->kernel_height,
                            .run_step = line,
                            .length = slide->kernel_width * pixel};
    for (uint64_t p = 0; p < bm_cpu_panel_count(result->channels); p++) {
        struct bm_cpu_finish own = *finish;
        own.bias = finish->bias == NULL ? NULL : finish->bias + p * BM_CPU_PANEL;
        for (uint64_t item = begin * tiles; item < end * tiles; item++) {
            uint64_t row = item / tiles;
            uint64_t first = bm_cpu_tile_begin(result->width, tiles, item % tiles);
            uint64_t last = bm_cpu_tile_begin(result->width, tiles, item % tiles + 1);
            uint64_t at = (row * result->width + first) * result->ld + p * BM_CPU_PANEL;
            a.values = scratch + row * slide->stride * line + first * a.step;
            own.mask = finish->mask == NULL ? NULL : finish->mask + at;
            bm_cpu_tile_rows(&a, last - first, slide->panels + p * BM_CPU_PANEL * depth,
                             bm_cpu_panel_width(result->channels, p), &own, c + at, result->ld);
        }
    }
}

/* Parts into which an image's rows are cut so that every thread has something to do. */
static uint64_t parts_of(uint64_t count, uint64_t rows, uint32_t thread_count) {
    uint64_t wanted = count >= thread_count ? 1 : (thread_count + count - 1) / count;
    return wanted < rows ? wanted : rows;
}

typedef void painter(const struct bm_cpu_work *work, uint64_t image, float *scratch);

/* All images, each painted and then slid over. */
static void slide_images(const struct bm_cpu_work *work,
                         const struct slide *slide,
                         painter *paint_image,
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
        struct bm_cpu_finish own = *finish;
        own.mask = finish->mask == NULL ? NULL : finish->mask + image * slide->result->size;
        paint_image(work, image, scratch);
        slide_rows(slide, scratch, &own,
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
    const struct slide slide = {.canvas = input_canvas(stage),
                                .kernel_height = stage->facts.kernel_height,
                                .kernel_width = stage->facts.kernel_width,
                                .stride = stage->facts.stride,
                                .panels = params + stage->weight,
                                .result = &stage->out};
    const struct bm_cpu_finish finish = {.bias = params + stage->bias, .relu = stage->relu};
    slide_images(work, &slide, paint_input, &finish, work->y, thread, thread_count);
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
    const struct slide slide = {.canvas = gradient_canvas(stage),
                                .kernel_height = stage->facts.kernel_height,
                                .kernel_width = stage->facts.kernel_width,
                                .stride = 1,
                                .panels = stage->transposed,
                                .result = &stage->in};
    const struct bm_cpu_finish finish = {.mask = work->mask};
    slide_images(work, &slide, paint_gradient, &finish, work->dx, thread, thread_count);
}

/* ---- Gradient of the parameters ---- */

/* gradient[...] = or += a tile of one image */
static void add_tile(const float *tile, uint64_t count, uint32_t adds, float *gradient) {
    for (uint64_t i = 0; i < count; i += BM_CPU_WIDTH) {
        bm_vector value = bm_load(tile + i);
        bm_store(gradient + i, adds ? bm_add(bm_load(gradient + i), value) : value);
    }
}

/* A tile is inputs of one row of taps, contiguous in the patch, x a panel of outputs. A thread owns
 * tiles and adds up their images one after the other. */
static void weight_gradient(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    struct bm_session *session = work->session;
    float *scratch = session->scratch + thread * session->scratch_count;
    float tile[BM_CPU_ROWS * BM_CPU_PANEL] __attribute__((aligned(64)));
    struct canvas canvas = input_canvas(stage);
    uint64_t pixel = canvas.channels;
    uint64_t line = canvas.width * pixel;
    uint64_t run = stage->facts.kernel_width * pixel;
    uint64_t tiles = (run + BM_CPU_ROWS - 1) / BM_CPU_ROWS;
    uint64_t row_tiles = stage->facts.kernel_height * tiles;
    struct bm_cpu_steps steps = {.runs = stage->out.height,
                                 .length = stage->out.width,
                                 .a_run = stage->facts.stride * line,
                                 .b_run = stage->out.width * stage->out.ld,
                                 .a_step = stage->facts.stride * pixel,
                                 .b_step = stage->out.ld};
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_cpu_panel_count(stage->out.channels) * row_tiles, 1, thread, thread_count,
                 &begin, &end);
    for (uint64_t image = 0; image < session->pass.count && begin < end; image++) {
        paint_input(work, image, scratch);
        for (uint64_t item = begin; item < end; item++) {
            uint64_t p = item / row_tiles;
            uint64_t tap_row = item % row_tiles / tiles;
            uint64_t width = bm_cpu_panel_width(stage->out.channels, p);
            uint64_t first = bm_cpu_tile_begin(run, tiles, item % tiles);
            uint64_t rows = bm_cpu_tile_begin(run, tiles, item % tiles + 1) - first;
            uint64_t offset =
                stage->weight + p * BM_CPU_PANEL * stage->depth + (tap_row * run + first) * width;
            bm_cpu_tile_outer(scratch + tap_row * line + first,
                              work->dy + image * stage->out.size + p * BM_CPU_PANEL, &steps, rows,
                              width, 0, NULL, NULL, tile);
            add_tile(tile, rows * width, session->pass.adds || image > 0,
                     session->gradient + offset);
        }
    }
}

/* dbias[o] = sum over images and positions of dy */
static void bias_gradient(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    struct bm_session *session = work->session;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_padded(stage->out.channels), BM_CPU_WIDTH, thread, thread_count, &begin, &end);
    bm_cpu_sum_rows(work->dy, stage->out.ld, session->pass.count * stage->out.positions, begin, end,
                    stage->sums);
    for (uint64_t c = begin; c < end; c++) {
        float *gradient = session->gradient + stage->bias + c;
        *gradient = (session->pass.adds ? *gradient : 0) + (float)stage->sums[c];
    }
}

static void param_gradients(void *context, uint32_t thread, uint32_t thread_count) {
    weight_gradient(context, thread, thread_count);
    bias_gradient(context, thread, thread_count);
}

void bm_cpu_convolution_backward(struct bm_cpu_work *work) {
    struct bm_kit_pool *pool = work->session->pool;
    if (work->dx != NULL) {
        bm_kit_pool_run(pool, transpose, work);
        bm_kit_pool_run(pool, input_gradient, work);
    }
    bm_kit_pool_run(pool, param_gradients, work);
}
