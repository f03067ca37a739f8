/*
 * Convolutions without a matrix of patches. In an image [row][column][channel] without gaps between
 * pixels the patch of an output position is kernel_height runs of kernel_width channels contiguous
 * floats, which the products walk as they lie. Taps that fall on the padding are left out: rows of
 * taps by shorter patches, columns by walking the columns of taps in groups that meet the same
 * output positions. Where pixels fill no vector, or in the gradient of the input have gaps between
 * them (a stride), the image is painted into scratch first, with its padding.
 */
#include "canvas.h"

#include <string.h>

/* ---- A kernel that slides over a canvas ---- */

typedef struct bm_cpu_canvas
canvas_maker(const struct bm_cpu_work *work, uint64_t image, float *scratch);

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
    const struct bm_cpu_canvas *canvas;
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
    const struct bm_cpu_canvas *canvas = place->canvas;
    int64_t top = place->row * slide->stride - canvas->row_padding;
    int64_t left = begin * slide->stride + b_begin - canvas->column_padding;
    int64_t a_begin = 0;
    int64_t a_end = 0;
    bm_cpu_inside(1, top, canvas->height, slide->kernel_height, &a_begin, &a_end);
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
    bm_cpu_inside(place->slide->stride, b - place->canvas->column_padding, place->canvas->width,
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
                       const struct bm_cpu_canvas *canvas,
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
        const struct bm_cpu_canvas canvas = make_canvas(work, image, scratch);
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
    slide_images(work, &slide, bm_cpu_input_canvas, &finish, work->y, thread, thread_count);
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
    slide_images(work, &slide, bm_cpu_gradient_canvas, &finish, work->dx, thread, thread_count);
}

void bm_cpu_convolution_backward(struct bm_cpu_work *work) {
    struct bm_kit_pool *pool = work->session->pool;
    if (work->dx != NULL) {
        bm_kit_pool_run(pool, transpose, work);
        bm_kit_pool_run(pool, input_gradient, work);
    }
    bm_cpu_convolution_param_gradients(work);
}
