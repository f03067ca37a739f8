/* Maxima of windows, a vector of channels at a time. */
#include "cpu.h"

#include <string.h>

/* A window cut to the image: padding never wins. */
struct window {
    int64_t row_begin;
    int64_t row_end;
    int64_t column_begin;
    int64_t column_end;
};

static void cut(int64_t output,
                int64_t stride,
                int64_t padding,
                int64_t kernel,
                int64_t extent,
                int64_t *begin,
                int64_t *end) {
    int64_t first = output * stride - padding;
    *begin = first > 0 ? first : 0;
    *end = first + kernel < extent ? first + kernel : extent;
}

static struct window window_at(const struct bm_kit_layer *facts, int64_t row, int64_t column) {
    struct window window;
    cut(row, facts->stride, facts->padding, facts->kernel_height, facts->input.height,
        &window.row_begin, &window.row_end);
    cut(column, facts->stride, facts->padding, facts->kernel_width, facts->input.width,
        &window.column_begin, &window.column_end);
    return window;
}

BM_INLINE bm_vector maximum(const struct bm_cpu_stage *stage,
                            const float *x,
                            const struct window *window) {
    int64_t ld = (int64_t)stage->in.ld;
    bm_vector best = bm_load(x + (window->row_begin * stage->in.width + window->column_begin) * ld);
    for (int64_t r = window->row_begin; r < window->row_end; r++) {
        for (int64_t c = window->column_begin; c < window->column_end; c++) {
            best = bm_maximum(bm_load(x + (r * stage->in.width + c) * ld), best);
        }
    }
    return best;
}

/* An item is a row of the output of one image. Every thread walks whole pixels, all channels of one
 * after the other, as they lie. */
static void forward_row(const struct bm_cpu_work *work, uint64_t image, int64_t row) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *x = work->x + image * stage->in.size;
    float *y = work->y + image * stage->out.size + (uint64_t)row * stage->out.width * stage->out.ld;
    uint64_t channels = bm_padded(stage->out.channels);
    for (int64_t column = 0; column < (int64_t)stage->out.width; column++, y += stage->out.ld) {
        const struct window window = window_at(&stage->facts, row, column);
        for (uint64_t c = 0; c < channels; c += BM_CPU_WIDTH) {
            bm_vector best = maximum(stage, x + c, &window);
            bm_store(y + c, stage->relu ? bm_maximum(best, bm_nothing()) : best);
        }
    }
}

static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t rows = work->stage->out.height;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(work->session->pass.count * rows, 1, thread, thread_count, &begin, &end);
    for (uint64_t item = begin; item < end; item++) {
        forward_row(work, item / rows, (int64_t)(item % rows));
    }
}

/* dx[place] += dy at the first maximum in row-major order, lane by lane */
BM_INLINE void give_back(const struct bm_cpu_stage *stage,
                         const float *x,
                         const struct window *window,
                         bm_vector dy,
                         float *dx) {
    bm_vector best = maximum(stage, x, window);
    bm_lanes open = bm_all_lanes();
    for (int64_t r = window->row_begin; r < window->row_end; r++) {
        for (int64_t c = window->column_begin; c < window->column_end; c++) {
            int64_t at = (r * stage->in.width + c) * (int64_t)stage->in.ld;
            bm_vector part = bm_take_equal(bm_load(x + at), best, dy, &open);
            bm_store(dx + at, bm_add(bm_load(dx + at), part));
        }
    }
}

static void give_back_row(
    const struct bm_cpu_work *work, uint64_t image, int64_t row, const float *x, float *dx) {
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t channels = bm_padded(stage->out.channels);
    uint64_t ld =
        stage->out.ld; /* one position may have a line more than several, and is in or out */
    uint64_t at = image * stage->out.size + (uint64_t)row * stage->out.width * ld;
    for (int64_t column = 0; column < (int64_t)stage->out.width; column++, at += ld) {
        const struct window window = window_at(&stage->facts, row, column);
        for (uint64_t c = 0; c < channels; c += BM_CPU_WIDTH) {
            give_back(stage, x + c, &window, bm_load(work->dy + at + c), dx + c);
        }
    }
}

/* 0 where the relu of the stage below was not passed */
static void mask(const float *x, uint64_t begin, uint64_t end, float *dx) {
    for (uint64_t i = begin; i < end; i += BM_CPU_WIDTH) {
        bm_store(dx + i, bm_where_positive(bm_load(x + i), bm_load(dx + i)));
    }
}

/* A row of dx is cleared when the first window enters it and masked when the last has left it, so
 * that it comes near once. */
static void backward_image(const struct bm_cpu_work *work, uint64_t image) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *x = work->x + image * stage->in.size;
    float *dx = work->dx + image * stage->in.size;
    uint64_t row_floats = stage->in.width * stage->in.ld;
    uint64_t cleared = 0;
    uint64_t masked = 0;
    for (int64_t row = 0; row <= (int64_t)stage->out.height; row++) {
        int32_t is_last = row == (int64_t)stage->out.height;
        const struct window window = window_at(&stage->facts, row, 0);
        uint64_t left = is_last ? stage->in.size : (uint64_t)window.row_begin * row_floats;
        uint64_t entered = is_last ? stage->in.size : (uint64_t)window.row_end * row_floats;
        memset(dx + cleared, 0, (entered - cleared) * sizeof *dx);
        cleared = entered;
        if (work->mask != NULL) {
            mask(x, masked, left, dx);
            masked = left;
        }
        if (!is_last) {
            give_back_row(work, image, row, x, dx);
        }
    }
}

/* Windows overlap, so a thread has whole images, and a single image has one thread. */
static void backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(work->session->pass.count, 1, thread, thread_count, &begin, &end);
    for (uint64_t image = begin; image < end; image++) {
        backward_image(work, image);
    }
}

void bm_cpu_maxpool_forward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, forward, work);
}

void bm_cpu_maxpool_backward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, backward, work);
}
