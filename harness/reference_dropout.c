/* Dropout, in place, both directions. */
#include "reference_call.h"

static void scale_signal(const struct call *call,
                         const struct bm_signal *signal,
                         struct signs *signs,
                         size_t at,
                         double scale) {
    double value = signal->value[at] * scale;
    if (call->pass->rounding != 0) {
        signal->value[at] = round_to_float32(signal->value[at] * round_to_float32(scale));
        return;
    }
    /* The rounding of 1 / (1 - rate) and that of the product. */
    double rounding = 2 * accumulate_u(call->pass) * fabs(value);
    signal->value[at] = value;
    if (call->pass->run > 0) {
        signal->value[at] += signed_at(signs, at, rounding);
        return;
    }
    if (signal->sigma != NULL) {
        double sigma = (double)signal->sigma[at] * scale;
        signal->sigma[at] = (float)sqrt(square(sigma) + square(rounding));
    }
}

static void drop(const struct call *call,
                 const struct bm_signal *signal,
                 uint32_t kind,
                 size_t first,
                 size_t last) {
    const struct bm_reference_request *request = call->pass->request;
    uint32_t limit = (uint32_t)floor(call->layer->rate * 0x1p32);
    double scale = 1 / (1 - call->layer->rate);
    struct signs signs = signs_of(call->pass, call->index, kind);
    const uint32_t key[2] = {(uint32_t)request->seed, (uint32_t)(request->seed >> 32)};
    for (size_t n = first; n < last; n++) {
        uint32_t words[4] = {0};
        for (size_t unit = 0; unit < call->outputs; unit++) {
            if (unit % 4 == 0) {
                const uint32_t counter[4] = {(uint32_t)(unit / 4), call->pass->images[n],
                                             (uint32_t)request->update, call->index};
                bm_philox(key, counter, words);
            }
            scale_signal(call, signal, &signs, n * call->outputs + unit,
                         words[unit % 4] < limit ? 0 : scale);
        }
    }
}

static void dropout_forward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    (void)thread;
    drop(call, &call->y, SIGNS_FORWARD, first, last);
}

static void dropout_backward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    (void)thread;
    drop(call, &call->dy, SIGNS_BACKWARD, first, last);
}

static uint32_t drops(const struct call *call) {
    return call->layer->rate > 0 && (call->pass->request->flags & BM_SLICE_NO_DROPOUT) == 0;
}

void bm_reference_dropout_forward(struct call *call) {
    if (drops(call)) {
        bm_reference_parallel(call->pass->thread_count, call->pass->image_count, 16,
                              dropout_forward, call);
    }
}

void bm_reference_dropout_backward(struct call *call) {
    if (drops(call)) {
        bm_reference_parallel(call->pass->thread_count, call->pass->image_count, 16,
                              dropout_backward, call);
    }
}
