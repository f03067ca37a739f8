/* Softmax cross entropy: the loss, and the gradient of the logits. */
#include "reference_call.h"

/* exp, log: relative error of a common float32 library, in roundings (2 ulp). */
#define LIBRARY_ROUNDINGS 4.0

static size_t first_maximum(const double *z, size_t count) {
    size_t best = 0;
    for (size_t j = 1; j < count; j++) {
        best = z[j] > z[best] ? j : best;
    }
    return best;
}

/* exp(z - max) has the relative error u |z - max| of its argument and that of the library; their
 * sum one rounding a term, the quotient one. */
static double softmax_rounding(const struct call *call, double distance) {
    return accumulate_u(call->pass) *
           (fabs(distance) + 2 * LIBRARY_ROUNDINGS + 2 + sqrt((double)call->outputs));
}

/* Deviation of the roundings of log(sum) + distance. */
static double loss_rounding(const struct call *call, double logarithm, double distance) {
    return softmax_rounding(call, distance) +
           accumulate_u(call->pass) * ((LIBRARY_ROUNDINGS + 2) * fabs(logarithm) + 2 * distance);
}

/* p[j] - [j is the label], over the divisor, with a run's roundings. */
static void
softmax_gradient(const struct call *call, size_t n, size_t label, double highest, const double *p) {
    const struct bm_pass *pass = call->pass;
    const double *z = call->x.value + n * call->outputs;
    struct signs signs = signs_of(pass, call->index, SIGNS_BACKWARD);
    for (size_t j = 0; j < call->outputs; j++) {
        size_t at = n * call->outputs + j;
        double dy = p[j] - (j == label ? 1 : 0);
        if (pass->run > 0) {
            double variance = square(p[j] * softmax_rounding(call, highest - z[j])) +
                              2 * square(2 * accumulate_u(pass) * dy);
            dy += signed_at(&signs, at, sqrt(variance));
        }
        call->dy.value[at] = dy / pass->request->divisor;
    }
}

/* The gradient of the logits with every result a float32; exp and log are rounded correctly. */
static void
softmax_float32(const struct call *call, uint32_t thread, size_t n, size_t label, double highest) {
    const struct bm_pass *pass = call->pass;
    const double *z = call->x.value + n * call->outputs;
    double *dy = call->dy.value + n * call->outputs;
    const uint32_t *order = chains_of(call, thread, ORDER_FORWARD, call->outputs).order;
    struct accumulator terms = accumulator_of(call, 0);
    for (size_t i = 0; i < call->outputs; i++) {
        size_t j = order[i];
        dy[j] = round_to_float32(exp(round_to_float32(z[j] - highest)));
        accumulate(&terms, (float)dy[j]);
    }
    float sum = sum_of(&terms);
    for (size_t j = 0; j < call->outputs; j++) {
        float p = (float)dy[j] / sum;
        dy[j] = (double)((p - (j == label ? 1.0f : 0.0f)) / (float)pass->request->divisor);
    }
    double logarithm = round_to_float32(log((double)sum));
    pass->loss[n] = round_to_float32(logarithm - round_to_float32(z[label] - highest));
}

static void softmax_task(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    struct bm_pass *pass = call->pass;
    double *p = block_of(pass, thread, 0);
    struct signs signs = signs_of(pass, call->index, SIGNS_FORWARD);
    for (size_t n = first; n < last; n++) {
        const double *z = call->x.value + n * call->outputs;
        size_t label = (size_t)pass->request->data->labels[pass->images[n]];
        size_t best = first_maximum(z, call->outputs);
        double sum = 0;
        for (size_t j = 0; j < call->outputs; j++) {
            p[j] = exp(z[j] - z[best]);
            sum += p[j];
        }
        /* cppcheck-suppress invalidFunctionArg ; the largest logit alone adds exp(0) */
        pass->loss[n] = log(sum) - (z[label] - z[best]);
        pass->correct[n] = best == label;
        if (pass->rounding != 0) {
            softmax_float32(call, thread, n, label, z[best]);
        } else if (pass->trains) {
            for (size_t j = 0; j < call->outputs; j++) {
                p[j] /= sum;
            }
            softmax_gradient(call, n, label, z[best], p);
        }
        if (pass->run > 0) {
            double distance = z[best] - z[label];
            pass->loss[n] += signed_at(&signs, n, loss_rounding(call, log(sum), distance));
        }
    }
}

void bm_reference_softmax_forward(struct call *call) {
    bm_reference_parallel(call->pass->thread_count, call->pass->image_count, 16, softmax_task,
                          call);
}
