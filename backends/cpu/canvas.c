#include "canvas.h"

#include <string.h>

static uint64_t canvas_size(const struct bm_cpu_canvas *canvas) {
    return (uint64_t)canvas->height * (uint64_t)canvas->width * (uint64_t)canvas->channels;
}

/* The input painted with its padding. */
static struct bm_cpu_canvas painted_input(const struct bm_cpu_stage *stage) {
    const struct bm_kit_layer *facts = &stage->facts;
    return (struct bm_cpu_canvas){
        .height = (int64_t)facts->input.height + 2 * (int64_t)facts->padding,
        .width = (int64_t)facts->input.width + 2 * (int64_t)facts->padding,
        .channels = (int64_t)stage->in.channels};
}

/* The output's gradient, spread by the stride and padded so that its product with the turned kernel
 * is the input's gradient. */
static struct bm_cpu_canvas painted_gradient(const struct bm_cpu_stage *stage) {
    const struct bm_kit_layer *facts = &stage->facts;
    return (struct bm_cpu_canvas){.height = (int64_t)facts->input.height + facts->kernel_height - 1,
                                  .width = (int64_t)facts->input.width + facts->kernel_width - 1,
                                  .channels = (int64_t)stage->out.channels};
}

int32_t bm_cpu_paints_input(const struct bm_cpu_stage *stage) {
    return stage->in.ld != stage->in.channels || stage->in.channels % BM_CPU_WIDTH != 0;
}

static int32_t paints_gradient(const struct bm_cpu_stage *stage) {
    return stage->out.ld != stage->out.channels || stage->facts.stride > 1;
}

uint64_t bm_cpu_convolution_scratch(const struct bm_cpu_stage *stage) {
    const struct bm_cpu_canvas input = painted_input(stage);
    const struct bm_cpu_canvas gradient = painted_gradient(stage);
    uint64_t of_input = bm_cpu_paints_input(stage) ? canvas_size(&input) : 0;
    uint64_t of_gradient = paints_gradient(stage) ? canvas_size(&gradient) : 0;
    return of_input > of_gradient ? of_input : of_gradient;
}

/* Pixels of a row, `step` apart from column_begin on, as far as they are inside. */
static void paint_row(const float *values,
                      const struct bm_cpu_shape *shape,
                      const struct bm_cpu_canvas *canvas,
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
                  const struct bm_cpu_canvas *canvas,
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

struct bm_cpu_canvas
bm_cpu_input_canvas(const struct bm_cpu_work *work, uint64_t image, float *scratch) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *x = work->x + image * stage->in.size;
    int64_t padding = stage->facts.padding;
    if (!bm_cpu_paints_input(stage)) {
        return (struct bm_cpu_canvas){
            x, stage->in.height, stage->in.width, (int64_t)stage->in.ld, padding, padding};
    }
    struct bm_cpu_canvas canvas = painted_input(stage);
    canvas.values = scratch;
    paint(x, &stage->in, &canvas, 1, padding, padding, scratch);
    return canvas;
}

struct bm_cpu_canvas
bm_cpu_gradient_canvas(const struct bm_cpu_work *work, uint64_t image, float *scratch) {
    const struct bm_cpu_stage *stage = work->stage;
    const struct bm_kit_layer *facts = &stage->facts;
    const float *dy = work->dy + image * stage->out.size;
    int64_t rows = (int64_t)facts->kernel_height - 1 - facts->padding;
    int64_t columns = (int64_t)facts->kernel_width - 1 - facts->padding;
    if (!paints_gradient(stage)) {
        return (struct bm_cpu_canvas){
            dy, stage->out.height, stage->out.width, (int64_t)stage->out.ld, rows, columns};
    }
    struct bm_cpu_canvas canvas = painted_gradient(stage);
    canvas.values = scratch;
    paint(dy, &stage->out, &canvas, facts->stride, rows, columns, scratch);
    return canvas;
}
