/* Convolution: as a product with columns[i a b][position] of one image. */
#include "reference_call.h"

#include <string.h>

/* Outputs of a convolution whose weights a thread has, in float32. */
#define OUTPUTS_AT_ONCE 16u

static const struct bm_chains exact_sum = {NULL, 0};

/* What weight j = (i, a, b) meets at output (r, c): image[i][r stride + a - pad][c stride + b -
 * pad]; NULL outside. */
static double *pixel_at(const struct call *call, double *image, size_t j, size_t r, size_t c) {
    const struct bm_layer *layer = call->layer;
    size_t b = j % layer->kernel_width;
    size_t a = j / layer->kernel_width % layer->kernel_height;
    size_t i = j / layer->kernel_width / layer->kernel_height;
    size_t row = r * layer->stride + a - layer->padding; /* wraps round above the image */
    size_t column = c * layer->stride + b - layer->padding;
    if (row >= call->in.height || column >= call->in.width) {
        return NULL;
    }
    return image + i * positions_of(call->in) + row * call->in.width + column;
}

/* columns[j][r w + c] = the pixel of weight j at output (r, c), 0 outside. */
static void fill_columns(const struct call *call, double *image, double *columns) {
    for (size_t j = 0; j < call->fan_in; j++) {
        for (size_t r = 0; r < call->out.height; r++) {
            for (size_t c = 0; c < call->out.width; c++) {
                const double *pixel = pixel_at(call, image, j, r, c);
                *columns++ = pixel == NULL ? 0 : *pixel;
            }
        }
    }
}

/* The other way round: each pixel += its columns, in float32 if there is an order of the lines. */
static void
add_columns(const struct call *call, const double *columns, const uint32_t *order, double *image) {
    for (size_t i = 0; i < call->fan_in; i++) {
        size_t j = order == NULL ? i : order[i];
        const double *next = columns + j * positions_of(call->out);
        for (size_t r = 0; r < call->out.height; r++) {
            for (size_t c = 0; c < call->out.width; c++, next++) {
                double *pixel = pixel_at(call, image, j, r, c);
                if (pixel != NULL) {
                    *pixel = order == NULL ? *pixel + *next : round_to_float32(*pixel + *next);
                }
            }
        }
    }
}

/* y[o][p] += sum_j w[o][j] columns[j][p] for one image that lies in block 0. */
static void conv_product(
    const struct call *call, uint32_t thread, uint32_t how, struct bm_chains chains, double *y) {
    double *columns = block_of(call->pass, thread, 1);
    size_t positions = positions_of(call->out);
    fill_columns(call, block_of(call->pass, thread, 0), columns);
    multiply(call, thread, call->layer->outputs, positions, call->fan_in,
             form(wide(call->weight, call->fan_in, 1), how), wide(columns, positions, 1), chains, y,
             positions);
}

static double kernel_area(const struct call *call) {
    return (double)call->layer->kernel_height * (double)call->layer->kernel_width;
}

/* The roundings of the layer itself, then what it takes over from x. */
static void conv_sigma(const struct call *call, uint32_t thread, size_t image) {
    const struct bm_pass *pass = call->pass;
    double *mixed = block_of(pass, thread, 0);
    double *variance = block_of(pass, thread, 2);
    size_t positions = positions_of(call->out);
    size_t at = image * call->outputs;
    const double *x = call->x.value + image * call->inputs;
    double c = product_variance(pass, (double)call->fan_in + 1);
    for (size_t i = 0; i < call->inputs; i++) {
        mixed[i] = c * square(x[i]);
    }
    for (size_t i = 0; i < call->outputs; i++) {
        variance[i] = c * square(call->bias[i / positions]);
    }
    conv_product(call, thread, BM_OPERAND_SQUARE, exact_sum, variance);
    add_drift(pass, variance, call->y.value + at, call->outputs, (double)call->fan_in + 1);
    store_roots(pass->forward_rounding[call->index] + at, variance, call->outputs);
    count_weights(pass, variance, call->outputs);
    fill_squares(mixed, call->x.sigma + image * call->inputs, call->inputs);
    conv_product(call, thread, BM_OPERAND_SQUARE, exact_sum, variance);
    store_roots(call->y.sigma + at, variance, call->outputs);
}

static void conv_forward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    size_t positions = positions_of(call->out);
    const struct bm_chains chains = chains_of(call, thread, ORDER_FORWARD, call->fan_in);
    for (size_t n = first; n < last; n++) {
        double *y = call->y.value + n * call->outputs;
        memcpy(block_of(call->pass, thread, 0), call->x.value + n * call->inputs,
               call->inputs * sizeof(double));
        for (size_t i = 0; i < call->outputs; i++) {
            y[i] = call->bias[i / positions];
        }
        conv_product(call, thread, BM_OPERAND_VALUE, chains, y);
        if (call->pass->run > 0) {
            perturb(call->pass, call->index, SIGNS_FORWARD, n * call->outputs, call->outputs,
                    call->pass->forward_rounding[call->index] + n * call->outputs, y);
            continue;
        }
        if (call->pass->bounded) {
            conv_sigma(call, thread, n);
        }
    }
}

/* dx = columns^T (w^T dy) of one image; `dy` and `dx` may not overlap. `outputs` and `lines`: of
 * the sums in these products. */
static void conv_below_product(const struct call *call,
                               uint32_t thread,
                               uint32_t how,
                               struct bm_chains outputs,
                               struct bm_chains lines,
                               const double *dy,
                               double *dx) {
    double *columns = block_of(call->pass, thread, 1);
    size_t positions = positions_of(call->out);
    memset(columns, 0, call->fan_in * positions * sizeof(double));
    memset(dx, 0, call->inputs * sizeof(double));
    multiply(call, thread, call->fan_in, positions, call->layer->outputs,
             form(wide(call->weight, 1, call->fan_in), how), wide(dy, positions, 1), outputs,
             columns, positions);
    add_columns(call, columns, lines.order, dx);
}

static void conv_below(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    double *mixed = block_of(pass, thread, 0);
    double *variance = block_of(pass, thread, 2);
    double terms = (double)call->layer->outputs * kernel_area(call);
    double c = product_variance(pass, terms);
    const struct bm_chains outputs = chains_of(call, thread, ORDER_BELOW, call->layer->outputs);
    const struct bm_chains lines = chains_of(call, thread, ORDER_COLUMNS, call->fan_in);
    for (size_t n = first; n < last; n++) {
        const double *dy = call->dy.value + n * call->outputs;
        double *dx = call->dx.value + n * call->inputs;
        conv_below_product(call, thread, BM_OPERAND_VALUE, outputs, lines, dy, dx);
        if (!pass->bounded) {
            continue;
        }
        float *rounding = pass->backward_rounding[call->index] + n * call->inputs;
        if (pass->run > 0) {
            perturb(pass, call->index, SIGNS_BACKWARD, n * call->inputs, call->inputs, rounding,
                    dx);
            continue;
        }
        for (size_t i = 0; i < call->outputs; i++) {
            mixed[i] = c * square(dy[i]);
        }
        conv_below_product(call, thread, BM_OPERAND_SQUARE, exact_sum, exact_sum, mixed, variance);
        add_drift(pass, variance, dx, call->inputs, terms);
        store_roots(rounding, variance, call->inputs);
    }
}

struct conv_weight_call {
    struct call *call;
    const double *terms; /* [outputs] */
    double *sums;        /* [threads][3][outputs][fan_in]: gradient, variance, one image */
};

/* sum[o][j] += sum_p left[o][p] form(columns[j][p]) */
static void conv_weight_product(const struct call *call,
                                uint32_t thread,
                                const double *left,
                                const double *columns,
                                uint32_t how,
                                double *sum) {
    size_t positions = positions_of(call->out);
    bm_reference_multiply(call->layer->outputs, call->fan_in, positions, wide(left, positions, 1),
                          form(wide(columns, 1, positions), how), sum, call->fan_in,
                          product_scratch(call->pass, thread));
}

/* sum += weight image; squares += terms of u^2 (2 weight image^2), see reference_layers.c. */
static void conv_add_image(const struct conv_weight_call *of, size_t n, double *sum) {
    const struct bm_pass *pass = of->call->pass;
    size_t fan_in = of->call->fan_in;
    size_t size = fan_in * of->call->layer->outputs;
    const double *image = sum + 2 * size;
    double weight = pass->weight[n];
    for (size_t i = 0; i < size; i++) {
        double c = 2 * weight * of->terms[i / fan_in] * square(accumulate_u(pass));
        sum[i] += weight * image[i];
        sum[size + i] += c * square(image[i]);
    }
}

static void conv_weight(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct conv_weight_call *of = context;
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    size_t positions = call->outputs / call->layer->outputs;
    size_t size = call->fan_in * call->layer->outputs;
    double *sum = of->sums + 3 * size * thread;
    double *columns = block_of(pass, thread, 1);
    double *left = block_of(pass, thread, 2);
    for (size_t n = first; n < last; n++) {
        const double *dy = call->dy.value + n * call->outputs;
        memcpy(block_of(pass, thread, 0), call->x.value + n * call->inputs,
               call->inputs * sizeof(double));
        fill_columns(call, block_of(pass, thread, 0), columns);
        memset(sum + 2 * size, 0, size * sizeof(double));
        conv_weight_product(call, thread, dy, columns, BM_OPERAND_VALUE, sum + 2 * size);
        conv_add_image(of, n, sum);
        for (size_t i = 0; i < call->outputs && is_estimated(pass); i++) {
            left[i] = sum_variance(pass, pass->weight[n], of->terms[i / positions]) * square(dy[i]);
        }
        if (is_estimated(pass)) {
            conv_weight_product(call, thread, left, columns, BM_OPERAND_SQUARE, sum + size);
        }
    }
}

static void conv_bias(const struct call *call, const double *terms) {
    const struct bm_pass *pass = call->pass;
    size_t positions = positions_of(call->out);
    for (size_t i = 0; i < pass->image_count * call->layer->outputs; i++) {
        size_t o = i % call->layer->outputs;
        const double *dy = call->dy.value + i * positions;
        double sum = 0;
        double squares = 0;
        for (size_t p = 0; p < positions; p++) {
            sum += dy[p];
            squares += square(dy[p]);
        }
        double weight = pass->weight[i / call->layer->outputs];
        pass->sums.gradient[call->bias_offset + o] += weight * sum;
        if (is_estimated(pass)) {
            pass->sums.variance[call->bias_offset + o] +=
                weight * terms[o] * square(accumulate_u(pass)) * (2 * square(sum) + squares);
        }
    }
}

/* The gradient of the outputs first .. last: a thread has all images, so that the order of the sum
 * is that of the seed. */
static void conv_weight_float32(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    size_t positions = positions_of(call->out);
    double *image = block_of(pass, thread, 0);
    double *columns = block_of(pass, thread, 1);
    const uint32_t *images = chains_of(call, thread, ORDER_IMAGES, pass->image_count).order;
    struct bm_chains chains = chains_of(call, thread, ORDER_POSITIONS, positions);
    BM_ASSERT(images != NULL);
    /* All would be those of all images, see struct accumulator. */
    chains.length = chains.length == 0 ? LONGEST_CHAIN : chains.length;
    for (size_t n = 0; n < pass->image_count; n++) {
        const double *dy = call->dy.value + images[n] * call->outputs + first * positions;
        memcpy(image, call->x.value + images[n] * call->inputs, call->inputs * sizeof(double));
        fill_columns(call, image, columns);
        multiply(call, thread, last - first, call->fan_in, positions, wide(dy, positions, 1),
                 wide(columns, 1, positions), chains,
                 pass->sums.gradient + call->weight_offset + first * call->fan_in, call->fan_in);
    }
    for (size_t o = first; o < last; o++) {
        bm_reference_add_float32(call, o * positions, positions, images, chains.order,
                                 call->bias_offset + o);
    }
}

static void add_to(double *to, const double *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

/* The threads' sums lie in a part of the scratch that grows with the number of threads. */
static void conv_weights(struct call *call) {
    struct bm_pass *pass = call->pass;
    size_t size = call->fan_in * call->layer->outputs;
    size_t positions = positions_of(call->out);
    double *sums = pass->scratch + pass->thread_count * pass->scratch_step;
    double *terms = sums + 3 * size * pass->thread_count;
    for (size_t o = 0; o < call->layer->outputs; o++) {
        terms[o] =
            is_estimated(pass) ? bm_reference_slice_terms(call, o * positions, positions, 1) : 0;
    }
    conv_bias(call, terms);
    memset(sums, 0, 3 * size * pass->thread_count * sizeof(double));
    struct conv_weight_call of = {call, terms, sums};
    bm_reference_parallel(pass->thread_count, pass->image_count, 1, conv_weight, &of);
    for (uint32_t t = 0; t < pass->thread_count; t++) {
        const double *sum = sums + 3 * size * t;
        add_to(pass->sums.gradient + call->weight_offset, sum, size);
        if (is_estimated(pass)) {
            add_to(pass->sums.variance + call->weight_offset, sum + size, size);
        }
    }
}

void bm_reference_convolution_forward(struct call *call) {
    bm_reference_parallel(call->pass->thread_count, call->pass->image_count, 1, conv_forward, call);
}

void bm_reference_convolution_backward(struct call *call) {
    const struct bm_pass *pass = call->pass;
    if (pass->rounding != 0) {
        bm_reference_parallel(pass->thread_count, call->layer->outputs, OUTPUTS_AT_ONCE,
                              conv_weight_float32, call);
    } else {
        conv_weights(call);
    }
    if (call->below) {
        bm_reference_parallel(pass->thread_count, pass->image_count, 1, conv_below, call);
    }
}
