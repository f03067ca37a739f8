/* Pooling: the first maximum of each window. */
#include "reference_call.h"

#include <string.h>

/* A window, clipped to the image. */
struct window {
    size_t row;
    size_t row_end;
    size_t column;
    size_t column_end;
};

static struct window window_at(const struct call *call, size_t r, size_t c) {
    const struct bm_layer *layer = call->layer;
    size_t row = r * layer->stride;
    size_t column = c * layer->stride;
    size_t pad = layer->padding;
    struct window window = {row > pad ? row - pad : 0, row + layer->kernel_height - pad,
                            column > pad ? column - pad : 0, column + layer->kernel_width - pad};
    window.row_end = window.row_end < call->in.height ? window.row_end : call->in.height;
    window.column_end = window.column_end < call->in.width ? window.column_end : call->in.width;
    return window;
}

/* Index in the plane of the first maximum. */
static size_t window_maximum(const double *plane, size_t width, struct window window) {
    size_t best = window.row * width + window.column;
    for (size_t r = window.row; r < window.row_end; r++) {
        for (size_t c = window.column; c < window.column_end; c++) {
            best = plane[r * width + c] > plane[best] ? r * width + c : best;
        }
    }
    return best;
}

/* Distance in standard deviations at which a backend finds the maximum at `at` rather than at
 * `best`; negative: it cannot. */
static double rival_distance(const struct call *call, size_t at, size_t best) {
    double sigma = (double)call->x.sigma[at] + (double)call->x.sigma[best];
    double gap = fmax(0, call->x.value[best] - call->x.value[at]);
    return at != best && sigma > 0 && gap <= BM_BRANCH_LAMBDA * sigma ? gap / sigma : -1;
}

/* The error of a maximum is at most the largest of those that may be it. */
static void
pool_errors(const struct call *call, struct window window, size_t plane, size_t best, size_t to) {
    float sigma = call->x.sigma[best];
    for (size_t r = window.row; r < window.row_end; r++) {
        for (size_t c = window.column; c < window.column_end; c++) {
            size_t at = plane + r * call->in.width + c;
            if (rival_distance(call, at, best) >= 0) {
                sigma = fmaxf(sigma, call->x.sigma[at]);
            }
        }
    }
    call->y.sigma[to] = sigma;
}

/* The largest of the values below the maximum, if float32 may take it for the maximum; otherwise
 * `best`. */
static size_t
contrary_maximum(const struct call *call, size_t plane, struct window window, size_t best) {
    const double *x = call->x.value + plane;
    size_t channel = plane / positions_of(call->in) % call->in.channels;
    double reach = sqrt(2) * bm_reference_branch_reach(call->pass, call->index, channel);
    double lowest = x[best] - reach;
    size_t rival = best;
    for (size_t r = window.row; r < window.row_end; r++) {
        for (size_t c = window.column; c < window.column_end; c++) {
            size_t at = r * call->in.width + c;
            if (x[at] < x[best] && x[at] >= lowest && (rival == best || x[at] > x[rival])) {
                rival = at;
            }
        }
    }
    return rival;
}

static void pool_forward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    size_t positions = positions_of(call->out);
    (void)thread;
    for (size_t to = first * call->outputs; to < last * call->outputs; to++) {
        size_t plane = to / positions * positions_of(call->in);
        size_t at = to % positions;
        struct window window = window_at(call, at / call->out.width, at % call->out.width);
        if (call->pass->run > 0) {
            call->y.value[to] = call->x.value[plane + call->pass->winner[call->index][to]];
            continue;
        }
        size_t best = window_maximum(call->x.value + plane, call->in.width, window);
        if (call->pass->request->branches != NULL) {
            best = contrary_maximum(call, plane, window, best);
        }
        call->y.value[to] = call->x.value[plane + best];
        if (call->pass->trains) {
            call->pass->winner[call->index][to] = (uint32_t)best;
        }
        if (call->pass->bounded) {
            pool_errors(call, window, plane, plane + best, to);
        }
    }
}

/* A run's uncertain branches: the gradient may go to a rival. */
static void pool_rivals(const struct call *call, struct signs *signs, size_t from, size_t best) {
    size_t positions = positions_of(call->out);
    size_t plane = best / positions_of(call->in) * positions_of(call->in);
    size_t to = from % positions;
    struct window window = window_at(call, to / call->out.width, to % call->out.width);
    for (size_t r = window.row; r < window.row_end; r++) {
        for (size_t c = window.column; c < window.column_end; c++) {
            size_t at = plane + r * call->in.width + c;
            double k = rival_distance(call, at, best);
            if (k >= 0) {
                uint64_t index = from * positions_of(call->in) + at - plane;
                double moved =
                    signed_at(signs, index, branch_part(call->pass, k) * call->dy.value[from]);
                call->dx.value[at] += moved;
                call->dx.value[best] -= moved;
            }
        }
    }
}

static void pool_below(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    size_t count = (last - first) * call->inputs;
    size_t positions = positions_of(call->out);
    struct signs branches = signs_of(pass, call->index, SIGNS_BRANCH);
    struct signs roundings = signs_of(pass, call->index, SIGNS_BACKWARD);
    (void)thread;
    memset(call->dx.value + first * call->inputs, 0, count * sizeof(double));
    for (size_t from = first * call->outputs; from < last * call->outputs; from++) {
        size_t plane = from / positions * positions_of(call->in);
        size_t best = plane + pass->winner[call->index][from];
        call->dx.value[best] += call->dy.value[from];
        if (pass->rounding != 0) { /* overlapping windows, in their own order */
            call->dx.value[best] = round_to_float32(call->dx.value[best]);
        }
        if (pass->run > 0 && call->dy.value[from] != 0) {
            /* Overlapping windows: one rounding for each addition. */
            call->dx.value[best] +=
                signed_at(&roundings, from, accumulate_u(pass) * call->dx.value[best]);
            pool_rivals(call, &branches, from, best);
        }
    }
}

void bm_reference_maxpool_forward(struct call *call) {
    bm_reference_parallel(call->pass->thread_count, call->pass->image_count, 1, pool_forward, call);
}

void bm_reference_maxpool_backward(struct call *call) {
    bm_reference_parallel(call->pass->thread_count, call->pass->image_count, 1, pool_below, call);
}
