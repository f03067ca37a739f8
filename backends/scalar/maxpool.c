/* Maxima of windows. x: [count][channels][height][width], y: [count][channels][rows][columns]. */
#include "scalar.h"

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

/* Flat index of the first maximum in row-major order. */
static int64_t first_maximum(const float *x, int64_t width, const struct window *window) {
    int64_t best = window->row_begin * width + window->column_begin;
    for (int64_t r = window->row_begin; r < window->row_end; r++) {
        for (int64_t c = window->column_begin; c < window->column_end; c++) {
            if (x[r * width + c] > x[best]) {
                best = r * width + c;
            }
        }
    }
    return best;
}

/* y[r][c] = max of the window, or dx[the maximum's place] += dy[r][c], for one channel */
static void
walk(const struct bm_kit_layer *facts, const float *x, float *y, const float *dy, float *dx) {
    int64_t width = facts->input.width;
    int64_t columns = facts->output.width;
    struct window window;
    for (int64_t r = 0; r < (int64_t)facts->output.height; r++) {
        cut(r, facts->stride, facts->padding, facts->kernel_height, facts->input.height,
            &window.row_begin, &window.row_end);
        for (int64_t c = 0; c < columns; c++) {
            cut(c, facts->stride, facts->padding, facts->kernel_width, width, &window.column_begin,
                &window.column_end);
            int64_t best = first_maximum(x, width, &window);
            if (y != NULL) {
                y[r * columns + c] = x[best];
            } else {
                dx[best] += dy[r * columns + c];
            }
        }
    }
}

static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    const struct bm_kit_layer *facts = &work->layer->facts;
    uint64_t plane = (uint64_t)facts->input.height * facts->input.width;
    uint64_t positions = (uint64_t)facts->output.height * facts->output.width;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(work->session->pass.count * facts->input.channels, 1, thread, thread_count, &begin,
                 &end);
    for (uint64_t item = begin; item < end; item++) {
        walk(facts, work->x + item * plane, work->y + item * positions, NULL, NULL);
    }
}

static void backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    const struct bm_kit_layer *facts = &work->layer->facts;
    uint64_t plane = (uint64_t)facts->input.height * facts->input.width;
    uint64_t positions = (uint64_t)facts->output.height * facts->output.width;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(work->session->pass.count * facts->input.channels, 1, thread, thread_count, &begin,
                 &end);
    memset(work->dx + begin * plane, 0, (end - begin) * plane * sizeof(float));
    for (uint64_t item = begin; item < end; item++) {
        walk(facts, work->x + item * plane, NULL, work->dy + item * positions,
             work->dx + item * plane);
    }
}

void bm_scalar_maxpool_forward(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, forward, work);
}

void bm_scalar_maxpool_backward(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, backward, work);
}
