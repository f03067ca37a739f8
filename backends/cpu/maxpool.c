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

static bm_vector
maximum(const struct bm_cpu_stage *stage, const float *x, const struct window *window) {
    int64_t ld = (int64_t)stage->in.ld;
    bm_vector best = bm_load(x + (window->row_begin * stage->in.width + window->column_begin) * ld);
    for (int64_t r = window->row_begin; r < window->row_end; r++) {
        for (int64_t c = window->column_begin; c < window->column_end; c++) {
            best = bm_maximum(bm_load(x + (r * stage->in.width + c) * ld), best);
        }
    }
    return best;
}

/* dx[place] += dy at the first maximum in row-major order, lane by lane */
static void give_back(const struct bm_cpu_stage *stage,
                      const float *x,
                      const struct window *window,
                      bm_vector dy,
                      float *dx) {
    bm_vector best = maximum(stage, x, window);
    uint32_t open = (1u << BM_CPU_WIDTH) - 1;
    for (int64_t r = window->row_begin; r < window->row_end && open != 0; r++) {
        for (int64_t c = window->column_begin; c < window->column_end && open != 0; c++) {
            int64_t at = (r * stage->in.width + c) * (int64_t)stage->in.ld;
            bm_vector part = bm_take_equal(bm_load(x + at), best, dy, &open);
            bm_store(dx + at, bm_add(bm_load(dx + at), part));
        }
    }
}

/* An item is an image and a vector of its channels. */
static void split_items(const struct bm_cpu_work *work,
                        uint32_t thread,
                        uint32_t thread_count,
                        uint64_t *begin,
                        uint64_t *end) {
    bm_kit_split(work->session->pass.count * (work->stage->in.ld / BM_CPU_WIDTH), 1, thread,
                 thread_count, begin, end);
}

static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    uint64_t vectors = stage->in.ld / BM_CPU_WIDTH;
    uint64_t begin = 0;
    uint64_t end = 0;
    split_items(work, thread, thread_count, &begin, &end);
    for (uint64_t item = begin; item < end; item++) {
        uint64_t channel = item % vectors * BM_CPU_WIDTH;
        const float *x = work->x + item / vectors * stage->in.size + channel;
        float *y = work->y + item / vectors * stage->out.size + channel;
        for (uint64_t p = 0; p < stage->out.positions; p++) {
            struct window window = window_at(&stage->facts, (int64_t)(p / stage->out.width),
                                             (int64_t)(p % stage->out.width));
            bm_vector best = maximum(stage, x, &window);
            bm_store(y + p * stage->out.ld, stage->relu ? bm_maximum(best, bm_nothing()) : best);
        }
    }
}

static void backward_item(const struct bm_cpu_work *work, uint64_t image, uint64_t channel) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *x = work->x + image * stage->in.size + channel;
    const float *dy = work->dy + image * stage->out.size + channel;
    float *dx = work->dx + image * stage->in.size + channel;
    for (uint64_t p = 0; p < stage->in.positions; p++) {
        bm_store(dx + p * stage->in.ld, bm_nothing());
    }
    for (uint64_t p = 0; p < stage->out.positions; p++) {
        struct window window = window_at(&stage->facts, (int64_t)(p / stage->out.width),
                                         (int64_t)(p % stage->out.width));
        give_back(stage, x, &window, bm_load(dy + p * stage->out.ld), dx);
    }
    for (uint64_t p = 0; work->mask != NULL && p < stage->in.positions; p++) {
        float *place = dx + p * stage->in.ld;
        bm_store(place, bm_where_positive(bm_load(x + p * stage->in.ld), bm_load(place)));
    }
}

static void backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t vectors = work->stage->in.ld / BM_CPU_WIDTH;
    uint64_t begin = 0;
    uint64_t end = 0;
    split_items(work, thread, thread_count, &begin, &end);
    for (uint64_t item = begin; item < end; item++) {
        backward_item(work, item / vectors, item % vectors * BM_CPU_WIDTH);
    }
}

void bm_cpu_maxpool_forward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, forward, work);
}

void bm_cpu_maxpool_backward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, backward, work);
}
