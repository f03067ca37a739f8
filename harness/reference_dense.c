/* Dense: y[n][o] = b[o] + sum_i w[o][i] x[n][i]. */
#include "reference_call.h"

#include <string.h>

/* variance[r][o] += sum_i w[o][i]^2 mixed[r][i] */
static void dense_squares(const struct call *call, uint32_t thread, size_t rows) {
    bm_reference_multiply(
        rows, call->outputs, call->inputs, wide(block_of(call->pass, thread, 0), call->inputs, 1),
        form(wide(call->weight, 1, call->inputs), BM_OPERAND_SQUARE),
        block_of(call->pass, thread, 1), call->outputs, product_scratch(call->pass, thread));
}

/* The roundings of the layer itself, then what it takes over from x. */
static void dense_sigma(const struct call *call, uint32_t thread, size_t first, size_t rows) {
    const struct bm_pass *pass = call->pass;
    double *mixed = block_of(pass, thread, 0);
    double *variance = block_of(pass, thread, 1);
    size_t at = first * call->outputs;
    for (size_t r = 0; r < rows; r++) {
        const double *x = call->x.value + (first + r) * call->inputs;
        const float *sigma = call->x.sigma + (first + r) * call->inputs;
        double c = product_variance(pass, 1 + count_terms(x, sigma, call->inputs, 1));
        for (size_t i = 0; i < call->inputs; i++) {
            mixed[r * call->inputs + i] = c * square(x[i]);
        }
        for (size_t o = 0; o < call->outputs; o++) {
            variance[r * call->outputs + o] = c * square(call->bias[o]);
        }
    }
    dense_squares(call, thread, rows);
    add_drift(pass, variance, call->y.value + at, rows * call->outputs, (double)call->inputs + 1);
    store_roots(pass->forward_rounding[call->index] + at, variance, rows * call->outputs);
    count_weights(pass, variance, rows * call->outputs);
    fill_squares(mixed, call->x.sigma + first * call->inputs, rows * call->inputs);
    dense_squares(call, thread, rows);
    store_roots(call->y.sigma + at, variance, rows * call->outputs);
}

static void dense_forward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    size_t rows = last - first;
    double *y = call->y.value + first * call->outputs;
    for (size_t r = 0; r < rows; r++) {
        memcpy(y + r * call->outputs, call->bias, call->outputs * sizeof(double));
    }
    multiply(call, thread, rows, call->outputs, call->inputs,
             wide(call->x.value + first * call->inputs, call->inputs, 1),
             wide(call->weight, 1, call->inputs),
             chains_of(call, thread, ORDER_FORWARD, call->inputs), y, call->outputs);
    if (call->pass->run > 0) {
        perturb(call->pass, call->index, SIGNS_FORWARD, first * call->outputs, rows * call->outputs,
                call->pass->forward_rounding[call->index] + first * call->outputs, y);
        return;
    }
    if (call->pass->bounded) {
        dense_sigma(call, thread, first, rows);
    }
}

/* dx[n][i] = sum_o w[o][i] dy[n][o] */
static void
dense_below_rounding(const struct call *call, uint32_t thread, size_t first, size_t rows) {
    const struct bm_pass *pass = call->pass;
    double *mixed = block_of(pass, thread, 0);
    double *variance = block_of(pass, thread, 1);
    size_t at = first * call->inputs;
    for (size_t r = 0; r < rows; r++) {
        const double *dy = call->dy.value + (first + r) * call->outputs;
        double c = product_variance(pass, count_terms(dy, NULL, call->outputs, 1));
        for (size_t o = 0; o < call->outputs; o++) {
            mixed[r * call->outputs + o] = c * square(dy[o]);
        }
    }
    memset(variance, 0, rows * call->inputs * sizeof(double));
    bm_reference_multiply(rows, call->inputs, call->outputs, wide(mixed, call->outputs, 1),
                          form(wide(call->weight, call->inputs, 1), BM_OPERAND_SQUARE), variance,
                          call->inputs, product_scratch(pass, thread));
    add_drift(pass, variance, call->dx.value + at, rows * call->inputs, (double)call->outputs);
    store_roots(pass->backward_rounding[call->index] + at, variance, rows * call->inputs);
}

static void dense_below(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    size_t rows = last - first;
    double *dx = call->dx.value + first * call->inputs;
    memset(dx, 0, rows * call->inputs * sizeof(double));
    multiply(call, thread, rows, call->inputs, call->outputs,
             wide(call->dy.value + first * call->outputs, call->outputs, 1),
             wide(call->weight, call->inputs, 1),
             chains_of(call, thread, ORDER_BELOW, call->outputs), dx, call->inputs);
    if (is_estimated(call->pass)) {
        dense_below_rounding(call, thread, first, rows);
    } else if (call->pass->run > 0) {
        perturb(call->pass, call->index, SIGNS_BACKWARD, first * call->inputs, rows * call->inputs,
                call->pass->backward_rounding[call->index] + first * call->inputs, dx);
    }
}

static const uint32_t first_position = 0;

/* db[o] = sum_n dy[n][o]; dy holds the divisor already. */
static void dense_bias(const struct call *call, size_t o, double terms, const uint32_t *images) {
    const struct bm_pass *pass = call->pass;
    double sum = 0;
    if (images != NULL) {
        bm_reference_add_float32(call, o, 1, images, &first_position, call->bias_offset + o);
        return;
    }
    double variance = 0;
    for (size_t n = 0; n < pass->image_count; n++) {
        double dy = call->dy.value[n * call->outputs + o];
        sum += pass->weight[n] * dy;
        variance += pass->weight[n] * terms * square(accumulate_u(pass) * dy);
    }
    pass->sums.gradient[call->bias_offset + o] += sum;
    if (is_estimated(pass)) {
        pass->sums.variance[call->bias_offset + o] += variance;
    }
}

/* dw[o][i] = sum_n dy[n][o] x[n][i] for the outputs first .. last. */
static void dense_weight(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    size_t images = pass->image_count;
    size_t rows = last - first;
    size_t at = call->weight_offset + first * call->inputs;
    double *value = block_of(pass, thread, 0);
    double *squares = block_of(pass, thread, 1);
    const struct bm_chains chains = chains_of(call, thread, ORDER_IMAGES, images);
    for (size_t r = 0; r < rows; r++) {
        double terms = is_estimated(pass) ? bm_reference_slice_terms(call, first + r, 1, 1) : 0;
        dense_bias(call, first + r, terms, chains.order);
        for (size_t n = 0; n < images; n++) {
            double dy = call->dy.value[n * call->outputs + first + r];
            value[n * rows + r] = pass->weight[n] * dy;
            if (is_estimated(pass)) {
                squares[n * rows + r] = sum_variance(pass, pass->weight[n], terms) * square(dy);
            }
        }
    }
    struct bm_operand x = wide(call->x.value, call->inputs, 1);
    multiply(call, thread, rows, call->inputs, images, wide(value, 1, rows), x, chains,
             pass->sums.gradient + at, call->inputs);
    if (is_estimated(pass)) {
        bm_reference_multiply(rows, call->inputs, images, wide(squares, 1, rows),
                              form(x, BM_OPERAND_SQUARE), pass->sums.variance + at, call->inputs,
                              product_scratch(pass, thread));
    }
}

void bm_reference_dense_forward(struct call *call) {
    bm_reference_parallel(call->pass->thread_count, call->pass->image_count, DENSE_ROWS,
                          dense_forward, call);
}

void bm_reference_dense_backward(struct call *call) {
    struct bm_pass *pass = call->pass;
    bm_reference_parallel(pass->thread_count, call->outputs, DENSE_ROWS, dense_weight, call);
    if (call->below) {
        bm_reference_parallel(pass->thread_count, pass->image_count, DENSE_ROWS, dense_below, call);
    }
}
