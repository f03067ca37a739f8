/*
 * Forward and backward of each layer in float64, with the errors that an honest backend may make.
 *
 * Model. Probabilistic rounding error analysis: single roundings have independent relative errors
 * of at most u with mean zero (Higham and Mary, "A new approach to probabilistic rounding error
 * analysis", SIAM J. Sci. Comput. 41(5), 2019, A2815-A2835). The classical bound K u sum|x||w|,
 * carried through |W|, would be vacuous after three layers, and carried standard deviations are so
 * below a few batch norms: what all images share is mostly taken away again by the next norm, which
 * a calculation with absolute values cannot see. So the errors are sampled: stochastic arithmetic
 * (Vignes, "A stochastic arithmetic for reliable scientific computation", Math. Comput. Simul. 35,
 * 1993; Parker, "Monte Carlo arithmetic", 1997). The network is run exactly, and then
 * BM_REFERENCE_RUNS times with every operation's result moved by the standard deviation of its
 * rounding, with a random sign. Correlations, cancellations and masks then are those of the network
 * itself. Random signs rather than normal numbers, because of all distributions they estimate a
 * variance with the least variance (Hutchinson, Commun. Stat. Simul. 19, 1990).
 *
 * Estimate. An element's error e is nearly normal, a sum of very many; its variance is estimated by
 * v, the mean square of R runs. If nothing else is known e / sqrt(v) has Student's t distribution
 * with R degrees of freedom. The multiplier is the quantile of t that lets one of all output units
 * fail with a probability of 1e-6. The elements of one row of a weight (one output unit) may be
 * one and the same random number, so they count as one; where they are not, and for the same reason
 * among the rows, v is pooled: an element gets at least (its row's mean) (its column's mean) /
 * (the tensor's mean), an element of a vector at least the vector's mean. The mean square of
 * numbers that are not all the same is less likely to be far too small than that of one. Single
 * elements whose luck is worse than that have the room that the generous variances below leave.
 *
 * Inner product of K terms. Each addition rounds a partial sum s_k: the variance is u^2 sum_k
 * s_k^2. The 2019 paper bounds |s_k| by sum|x||w|. Where the order of the sum does not depend on
 * the values (it never does in a backend), the partial sums are a random walk about the straight
 * line to the result (Higham and Mary, "Sharper probabilistic backward error analysis for basic
 * linear algebra kernels with random data", SIAM J. Sci. Comput. 42(5), 2020, A3427-A3446), s_k^2
 * <= s^2 + sum x^2 w^2, which blocked, pairwise and fused sums only make smaller:
 *
 *     sigma_y^2 = K u^2 (sum_k w_k^2 x_k^2 + y^2)
 *
 * In the mean over all orders it is K u^2 / 6 and / 3, and a rounding's variance u^2 / 3 rather
 * than u^2: the model is generous by a factor of 9 to 18. K counts terms that are not zero: adding
 * a zero is exact. In sums over images and positions the values of an image go together: the walk
 * is one over images with the steps g_n (the image's own sum), and within an image one over
 * positions, about the straight line to g_n:
 *
 *     sigma^2 = K u^2 (sum^2 + sum_n (2 g_n^2 + sum_p t_np^2))
 *
 * Sums of terms of one sign (variance, loss) keep the bound of 2019. A precision that rounds
 * operands to um > u adds um^2 x^2 w^2 for x; the weights are rounded once for a run, since all
 * images see the same. Images that the slice repeats repeat their errors.
 *
 * Branches. In the runs relu and pooling keep the exact run's branches. A backend may take the
 * other one where z, or the gap to the maximum, is inside BM_BRANCH_LAMBDA sigma: then the gradient
 * is off by d = dy at that place. Values near 0 are uniformly distributed, so with J of them in a
 * sigma J 2 int_lambda^inf Q(k) dk are missed: 3e-10 J for lambda = 6, and J is some thousands in
 * the largest models; and the sigma is generous. At k sigma the probability of the other branch is
 * p <= exp(-k^2 / 2) / 2. A run adds to dy plus or minus d times (max(lambda^2 p (1 - p), 2^2))^1/2
 * / multiplier, so that the bound holds lambda = 8 standard deviations of such events, and twice
 * any single one: the runs' random signs may hide one behind another, which takes all of them to
 * be the same by chance. What it does to all else, through the sums of a batch norm as well, the
 * run carries. For pooling the same, with the gradient that one element loses and another gets.
 *
 * Sigma of a value, for the branches alone, is carried forward from layer to layer: sigma_y^2 =
 * sum_k w_k^2 sigma_x,k^2 + that of the inner product, units in quadrature, since the signs of the
 * weights do not depend on their errors. The derivative of a batch norm takes from the errors of a
 * channel their part along 1 and along the normalized values, and multiplies by gain / deviation: a
 * projection, which does not increase their mean square. So sigma_x^2 becomes the larger one of
 * itself and its mean, times that factor squared. (One run of each agrees: behind the batch norms
 * of f1 and of c1's convolutions the errors are 0.8 to 1.0 of this sigma in the mean.)
 *
 * Two images. A batch norm of two values is all but the sign of their difference: where that is
 * near 0 it multiplies errors by 1 / sqrt(epsilon) = 316, a few layers of them by as much each,
 * until the values behind them are not determined by float32 at all, and with them the gradient: no
 * small error is left that could be carried or sampled. That is so where sigma is as large as
 * the deviation of a batch norm's channels (in f1 with two images 71 times it at the last one, with
 * three a thousandth, with eight a fifty-thousandth). Then an element need only be of its tensor's
 * order of magnitude: see finish_tensor.
 *
 * What the sum over the slice adds at its end is K u^2 sum^2 again, at lambda = 8: see
 * finish_tensor.
 */
#include "error.h"
#include "random.h"
#include "reference_parts.h"

#include <math.h>
#include <string.h>

#define DENSE_ROWS ((size_t)128)

/* Outputs of a convolution whose weights a thread has, in float32. */
#define OUTPUTS_AT_ONCE 16u

/* exp, log: relative error of a common float32 library, in roundings (2 ulp). */
#define LIBRARY_ROUNDINGS 4.0

/* How many times the effect of one branch the bound is at least. */
#define BRANCH_MARGIN 2.0

/* ---- Facts ---- */

struct bm_shape bm_reference_input_shape(const struct bm_model *model, uint32_t layer) {
    return layer == 0 ? model->input : model->output[layer - 1];
}

size_t bm_reference_units(struct bm_shape shape) {
    return (size_t)shape.channels * shape.height * shape.width;
}

uint32_t bm_reference_in_place(const struct bm_layer *layer) {
    return layer->kind == BM_LAYER_RELU || layer->kind == BM_LAYER_DROPOUT;
}

static size_t positions_of(struct bm_shape shape) {
    return (size_t)shape.height * shape.width;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static double square(double x) {
    return x * x;
}

size_t bm_reference_block(const struct bm_model *model, uint64_t image_count) {
    size_t block = 1;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        const struct bm_layer *layer = &model->layers[i];
        struct bm_shape in = bm_reference_input_shape(model, i);
        size_t inputs = bm_reference_units(in);
        size_t outputs = bm_reference_units(model->output[i]);
        block = larger(block, larger(inputs, outputs));
        if (layer->kind == BM_LAYER_DENSE) {
            block = larger(block, DENSE_ROWS * larger(larger(inputs, outputs), image_count));
        } else if (layer->kind == BM_LAYER_CONV2D) {
            size_t fan_in = (size_t)in.channels * layer->kernel_height * layer->kernel_width;
            block = larger(block, fan_in * positions_of(model->output[i]));
        }
    }
    return block;
}

static struct bm_signal input_of(const struct bm_pass *pass, uint32_t layer) {
    return layer == 0 ? pass->input : pass->output[layer - 1];
}

static double *product_scratch(const struct bm_pass *pass, uint32_t thread) {
    return pass->scratch + thread * pass->scratch_step;
}

static double *block_of(const struct bm_pass *pass, uint32_t thread, uint32_t block) {
    return product_scratch(pass, thread) + BM_MULTIPLY_SCRATCH + block * pass->block;
}

static double accumulate_u(const struct bm_pass *pass) {
    return pass->request->accumulate_roundoff;
}

/* um^2 where operands are rounded before they are multiplied, otherwise 0. */
static double operand_variance(const struct bm_pass *pass) {
    const struct bm_reference_request *request = pass->request;
    return request->multiply_roundoff > request->accumulate_roundoff
               ? square(request->multiply_roundoff)
               : 0;
}

/* Factor of x^2 w^2 in the own variance of an inner product of `terms` terms. */
static double product_variance(const struct bm_pass *pass, double terms) {
    return terms * square(accumulate_u(pass)) + operand_variance(pass);
}

static struct bm_operand wide(const double *values, size_t row_step, size_t column_step) {
    return (struct bm_operand){values, row_step, column_step, BM_OPERAND_VALUE};
}

static struct bm_operand form(struct bm_operand operand, uint32_t how) {
    operand.form = how;
    return operand;
}

/* One layer's call and its shapes, handed to the tasks. */
struct call {
    struct bm_pass *pass;
    const struct bm_layer *layer;
    uint32_t index;
    uint32_t below;
    struct bm_shape in;
    struct bm_shape out;
    size_t inputs;
    size_t outputs;
    size_t fan_in;
    struct bm_signal x;  /* input of the layer */
    struct bm_signal y;  /* output */
    struct bm_signal dy; /* gradient of the output */
    struct bm_signal dx;
    const double *weight; /* or gain */
    const double *bias;   /* or shift */
    size_t weight_offset;
    size_t bias_offset;
};

static struct call make_call(struct bm_pass *pass, uint32_t index) {
    struct call call = {.pass = pass, .index = index};
    call.layer = &pass->model->layers[index];
    call.in = bm_reference_input_shape(pass->model, index);
    call.out = pass->model->output[index];
    call.inputs = bm_reference_units(call.in);
    call.outputs = bm_reference_units(call.out);
    call.x = input_of(pass, index);
    call.y = pass->output[index];
    call.dy = pass->gradient;
    call.dx = pass->gradient_below;
    call.weight_offset = pass->param_offset[index];
    size_t weights = 0;
    if (call.layer->kind == BM_LAYER_DENSE) {
        call.fan_in = call.inputs;
        weights = call.inputs * call.outputs;
    } else if (call.layer->kind == BM_LAYER_CONV2D) {
        call.fan_in =
            (size_t)call.in.channels * call.layer->kernel_height * call.layer->kernel_width;
        weights = call.fan_in * call.layer->outputs;
    } else if (call.layer->kind == BM_LAYER_BATCHNORM) {
        weights = call.in.channels;
    }
    call.bias_offset = call.weight_offset + weights;
    call.weight = pass->params + call.weight_offset;
    call.bias = pass->params + call.bias_offset;
    return call;
}

/* Standard deviations are computed: in the exact run of a bound. */
static uint32_t is_estimated(const struct bm_pass *pass) {
    return pass->bounded && pass->run == 0;
}

/* ---- Float32 ---- */

/* What a random order belongs to, in a layer; the last two may be in use beside one of the others.
 */
#define ORDER_FORWARD 0u
#define ORDER_BELOW 1u
#define ORDER_POSITIONS 2u
#define ORDER_IMAGES 3u
#define ORDER_COLUMNS 4u
#define ORDER_KINDS 5u

/* Terms in a chain, by the seed modulo their number: those of vector lanes, of the blocks of a
 * matrix product, and all. */
#define LONGEST_CHAIN 256
static const size_t chain_lengths[] = {0, 16, 64, LONGEST_CHAIN};

/* How a float32 sum of `count` terms is added up; its order is in the thread's scratch until it
 * asks for the next. No order for float64. */
static struct bm_chains
chains_of(const struct call *call, uint32_t thread, uint32_t kind, size_t count) {
    const struct bm_pass *pass = call->pass;
    struct bm_chains chains = {NULL, 0};
    if (pass->rounding != 0) {
        uint32_t *orders = (uint32_t *)(void *)block_of(pass, thread, BM_REFERENCE_BLOCKS);
        uint32_t *order = orders + (kind >= ORDER_IMAGES ? pass->block : 0);
        uint32_t stream = call->index * ORDER_KINDS + kind;
        BM_ASSERT(count <= pass->block);
        bm_random_permutation(pass->rounding + 0x9e3779b97f4a7c15u * pass->request->update, stream,
                              order, (uint32_t)count);
        chains.order = order;
        chains.length = chain_lengths[pass->rounding % 4];
    }
    return chains;
}

static const struct bm_chains exact_sum = {NULL, 0};

/* A float32 sum in chains. Where an image has many terms, its last ends a chain, however long: one
 * chain through 10 000 terms and more, as at the positions of all images, is nobody's sum, and its
 * error would hide those that matter. */
struct accumulator {
    float total;
    float chain;
    size_t length; /* 0: as long as it may be */
    size_t used;   /* terms in the chain */
};

static struct accumulator accumulator_of(const struct call *call, float start) {
    return (struct accumulator){.total = start, .length = chain_lengths[call->pass->rounding % 4]};
}

static void end_chain(struct accumulator *sum) {
    sum->total += sum->chain;
    sum->chain = 0;
    sum->used = 0;
}

static void accumulate(struct accumulator *sum, float term) {
    sum->chain += term;
    if (++sum->used == sum->length) {
        end_chain(sum);
    }
}

static void end_image(struct accumulator *sum, size_t positions) {
    if (positions > 1) {
        end_chain(sum);
    }
}

static float sum_of(const struct accumulator *sum) {
    return sum->total + sum->chain;
}

static double round_to_float32(double x) {
    return (double)(float)x;
}

/* c[i][j] += sum_k a(i, k) b(k, j), in float64 or, with an order of the terms, in float32. */
static void multiply(const struct call *call,
                     uint32_t thread,
                     size_t rows,
                     size_t columns,
                     size_t depth,
                     struct bm_operand a,
                     struct bm_operand b,
                     struct bm_chains chains,
                     double *c,
                     size_t c_step) {
    double *scratch = product_scratch(call->pass, thread);
    if (chains.order == NULL) {
        bm_reference_multiply(rows, columns, depth, a, b, c, c_step, scratch);
    } else {
        bm_reference_multiply_float32(rows, columns, depth, a, b, chains, c, c_step, scratch);
    }
}

/* Terms of an inner product over values that are zero, or exactly zero in every backend. */
static double count_terms(const double *value, const float *sigma, size_t count, size_t step) {
    size_t terms = 0;
    for (size_t i = 0; i < count; i++) {
        terms += value[i * step] != 0 || (sigma != NULL && sigma[i * step] > 0);
    }
    return (double)terms;
}

/* variance += terms u^2 value^2: the part of the partial sums that grows towards the result. */
static void add_drift(
    const struct bm_pass *pass, double *variance, const double *value, size_t count, double terms) {
    double c = terms * square(accumulate_u(pass));
    for (size_t i = 0; i < count; i++) {
        variance[i] += c * square(value[i]);
    }
}

static void store_roots(float *to, const double *variance, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to[i] = (float)sqrt(variance[i]);
    }
}

static void fill_squares(double *to, const float *sigma, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to[i] = square((double)sigma[i]);
    }
}

/* Before the errors of x are added: rounded weights are as bad as rounded inputs. */
static void count_weights(const struct bm_pass *pass, double *variance, size_t count) {
    for (size_t i = 0; i < count && operand_variance(pass) > 0; i++) {
        variance[i] *= 2;
    }
}

/* ---- Signs of a perturbed run ---- */

/* What a sign belongs to, in a layer. */
#define SIGNS_INPUT 0u
#define SIGNS_FORWARD 1u
#define SIGNS_BACKWARD 2u
#define SIGNS_BRANCH 3u
#define SIGNS_MEAN 4u
#define SIGNS_INVERSE 5u
#define SIGNS_SHIFT 6u
#define SIGNS_SHIFT_SUM 7u
#define SIGNS_GAIN_SUM 8u
#define SIGNS_SCALE 9u
#define SIGNS_PARAM 10u
#define SIGNS_SUM 11u
#define SIGNS_KINDS 12u

/* Independent random signs, one for each index: the same for any number of threads. */
struct signs {
    uint64_t key;
    uint64_t block; /* the 64 indices that `bits` holds, plus 1; 0: none */
    uint64_t bits;
};

/* The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t scramble(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static struct signs signs_of(const struct bm_pass *pass, uint32_t layer, uint32_t kind) {
    uint64_t what = (pass->part * BM_REFERENCE_RUNS + pass->run) * BM_MODEL_LAYER_MAX + layer;
    return (struct signs){.key = scramble((what * SIGNS_KINDS + kind + 1) * 0x9e3779b97f4a7c15u)};
}

/* value, or minus value. */
static double signed_at(struct signs *signs, uint64_t index, double value) {
    if (signs->block != index / 64 + 1) {
        signs->block = index / 64 + 1;
        signs->bits = scramble(signs->key + signs->block * 0x9e3779b97f4a7c15u);
    }
    return signs->bits >> index % 64 & 1 ? value : -value;
}

/* A perturbed run's errors of an array that begins at `first` of the layer's. */
static void perturb(const struct bm_pass *pass,
                    uint32_t layer,
                    uint32_t kind,
                    size_t first,
                    size_t count,
                    const float *sigma,
                    double *value) {
    struct signs signs = signs_of(pass, layer, kind);
    for (size_t i = 0; i < count; i++) {
        value[i] += signed_at(&signs, first + i, (double)sigma[i]);
    }
}

/* Weights that a backend rounds before it multiplies: alike for all images, and in both
 * directions. */
void bm_reference_round_weights(const struct bm_pass *pass, const double *exact, double *params) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(pass->model, tensors, 2 * BM_MODEL_LAYER_MAX);
    double roundoff = sqrt(operand_variance(pass));
    for (uint32_t t = 0; t < count; t++) {
        uint32_t kind = pass->model->layers[tensors[t].layer].kind;
        struct signs signs = signs_of(pass, tensors[t].layer, SIGNS_PARAM);
        uint32_t multiplied = tensors[t].kind == BM_TENSOR_WEIGHT && kind != BM_LAYER_BATCHNORM;
        for (uint64_t i = 0; i < tensors[t].count; i++) {
            double w = exact[tensors[t].offset + i];
            params[tensors[t].offset + i] = multiplied ? w + signed_at(&signs, i, roundoff * w) : w;
        }
    }
}

/* The errors of the sums over images, whose variance the exact run has found. */
void bm_reference_round_sums(const struct bm_pass *pass, uint64_t count) {
    struct signs signs = signs_of(pass, 0, SIGNS_SUM);
    for (uint64_t i = 0; i < count; i++) {
        pass->sums.gradient[i] += signed_at(&signs, i, sqrt(pass->sums.variance[i]));
    }
}

/* ---- Input ---- */

static void load_task(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    struct bm_pass *pass = context;
    const struct bm_data *data = pass->request->data;
    size_t positions = positions_of(pass->model->input);
    size_t units = bm_reference_units(pass->model->input);
    double u = accumulate_u(pass);
    struct signs signs = signs_of(pass, 0, SIGNS_INPUT);
    (void)thread;
    for (uint64_t n = first; n < last; n++) {
        size_t from = (size_t)pass->images[n] * units;
        for (size_t i = 0; i < units; i++) {
            size_t to = (size_t)n * units + i;
            double rounding = 0;
            if (data->type == BM_DATA_UINT8 && pass->rounding != 0) {
                float scaled =
                    data->scale[i / positions] * (float)((const uint8_t *)data->images)[from + i];
                pass->input.value[to] = (double)(scaled + data->shift[i / positions]);
            } else if (data->type == BM_DATA_UINT8) {
                /* x = scale v + shift in float32: a rounding of the product, one of the sum. */
                double scaled = (double)data->scale[i / positions] *
                                (double)((const uint8_t *)data->images)[from + i];
                double shift = (double)data->shift[i / positions];
                pass->input.value[to] = scaled + shift;
                rounding =
                    u * ((scaled != 0 && shift != 0 ? fabs(scaled + shift) : 0) + fabs(scaled));
            } else {
                pass->input.value[to] = (double)((const float *)data->images)[from + i];
            }
            if (is_estimated(pass)) {
                pass->input.sigma[to] = (float)rounding;
            } else if (pass->bounded) {
                pass->input.value[to] += signed_at(&signs, to, rounding);
            }
        }
    }
}

void bm_reference_load(struct bm_pass *pass) {
    bm_reference_parallel(pass->thread_count, pass->image_count, 16, load_task, pass);
}

/* ---- Dense: y[n][o] = b[o] + sum_i w[o][i] x[n][i] ---- */

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

/* Factor of x^2 dy^2 in the variance of a sum of K terms over images, `weight` of which are this
 * one. */
static double sum_variance(const struct bm_pass *pass, double weight, double terms) {
    return weight * terms * square(accumulate_u(pass)) +
           2 * square(weight) * operand_variance(pass);
}

/* Images of the slice in which the unit's dy is not zero; without all images at hand, all. */
static double slice_terms(const struct call *call, size_t unit, size_t count, size_t step) {
    const struct bm_pass *pass = call->pass;
    if (!pass->complete) {
        return (double)pass->slice_count * (double)count;
    }
    double terms = 0;
    for (size_t n = 0; n < pass->image_count; n++) {
        size_t at = n * call->outputs + unit;
        terms += pass->weight[n] * count_terms(call->dy.value + at, NULL, count, step);
    }
    return terms;
}

static const uint32_t first_position = 0;

/* The sum of a unit's or channel's dy over images and positions, which begin at `first` of an
 * image, is added to the gradient's element `at`. */
static void add_float32(const struct call *call,
                        size_t first,
                        size_t positions,
                        const uint32_t *images,
                        const uint32_t *order,
                        size_t at) {
    const struct bm_pass *pass = call->pass;
    struct accumulator sum = accumulator_of(call, (float)pass->sums.gradient[at]);
    for (size_t n = 0; n < pass->image_count; n++) {
        const double *dy = call->dy.value + images[n] * call->outputs + first;
        for (size_t p = 0; p < positions; p++) {
            accumulate(&sum, (float)dy[order[p]]);
        }
        end_image(&sum, positions);
    }
    pass->sums.gradient[at] = (double)sum_of(&sum);
}

/* db[o] = sum_n dy[n][o]; dy holds the divisor already. */
static void dense_bias(const struct call *call, size_t o, double terms, const uint32_t *images) {
    const struct bm_pass *pass = call->pass;
    double sum = 0;
    if (images != NULL) {
        add_float32(call, o, 1, images, &first_position, call->bias_offset + o);
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
        double terms = is_estimated(pass) ? slice_terms(call, first + r, 1, 1) : 0;
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

static void dense_backward(struct call *call) {
    struct bm_pass *pass = call->pass;
    bm_reference_parallel(pass->thread_count, call->outputs, DENSE_ROWS, dense_weight, call);
    if (call->below) {
        bm_reference_parallel(pass->thread_count, pass->image_count, DENSE_ROWS, dense_below, call);
    }
}

/* ---- Convolution: as a product with columns[i a b][position] of one image ---- */

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

/* sum += weight image; squares += terms of u^2 (2 weight image^2), see the top. */
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
        add_float32(call, o * positions, positions, images, chains.order, call->bias_offset + o);
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
        terms[o] = is_estimated(pass) ? slice_terms(call, o * positions, positions, 1) : 0;
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

static void conv_backward(struct call *call) {
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

/* ---- Pooling ---- */

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

/* Part of the gradient that a run adds where a branch is uncertain, at k standard deviations: see
 * the top. */
static double branch_part(const struct bm_pass *pass, double k) {
    double p = exp(-k * k / 2) / 2;
    double variance = fmax(square(BM_REFERENCE_LAMBDA) * p * (1 - p), square(BRANCH_MARGIN));
    return sqrt(variance) / pass->multiplier;
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

/* ---- Relu, in place ---- */

static size_t channel_at(const struct call *call, size_t index) {
    return index % call->outputs / positions_of(call->out);
}

static void relu_forward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    struct bm_pass *pass = call->pass;
    (void)thread;
    for (size_t i = first * call->outputs; i < last * call->outputs; i++) {
        double z = call->y.value[i];
        uint8_t branch = z > 0 ? BM_BRANCH_ON : BM_BRANCH_OFF;
        /* What is 0 is so in every run: a sum over nothing. */
        if (pass->request->branches != NULL && z != 0 &&
            fabs(z) <= bm_reference_branch_reach(pass, call->index, channel_at(call, i))) {
            branch ^= BM_BRANCH_ON;
        }
        if (pass->run > 0) {
            branch = pass->branch[call->index][i];
        } else if (pass->bounded) {
            double slack = BM_BRANCH_LAMBDA * (double)call->y.sigma[i];
            if (slack > 0 && fabs(z) <= slack) {
                /* k in steps of 1 / BM_BRANCH_STEPS, rounded down. */
                double k = fabs(z) / slack * BM_BRANCH_LAMBDA;
                branch |= (uint8_t)(BM_BRANCH_EITHER * (1 + (uint32_t)(k * BM_BRANCH_STEPS)));
            }
            if (branch == BM_BRANCH_OFF) {
                call->y.sigma[i] = 0;
            }
        }
        if (pass->trains) {
            pass->branch[call->index][i] = branch;
        }
        call->y.value[i] = branch & BM_BRANCH_ON ? z : 0;
    }
}

static void relu_backward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    const uint8_t *branches = pass->branch[call->index];
    struct signs signs = signs_of(pass, call->index, SIGNS_BRANCH);
    (void)thread;
    for (size_t i = first * call->outputs; i < last * call->outputs; i++) {
        double dy = call->dy.value[i];
        call->dy.value[i] = branches[i] & BM_BRANCH_ON ? dy : 0;
        uint32_t steps = branches[i] / BM_BRANCH_EITHER;
        if (pass->run > 0 && steps > 0) {
            double part = branch_part(pass, (steps - 1) / BM_BRANCH_STEPS);
            call->dy.value[i] += signed_at(&signs, i, part * dy);
        }
    }
}

/* ---- Dropout, in place, both directions ---- */

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

/* ---- Batch norm ---- */

/* Sums over one channel's values of all images. */
struct channel {
    const struct call *call;
    size_t first; /* of the channel in an image */
    size_t positions;
    double count;                 /* values in the slice, repetitions counted */
    const uint32_t *images_order; /* of float32 sums */
    const uint32_t *positions_order;
};

static struct channel channel_of(const struct call *call, size_t c) {
    size_t positions = positions_of(call->in);
    return (struct channel){.call = call,
                            .first = c * positions,
                            .positions = positions,
                            .count = (double)call->pass->slice_count * (double)positions};
}

/* Variance of the roundings of a channel's sum: a walk over images, each a walk over positions. */
struct walk {
    double images; /* sum over images of (sum over positions)^2 */
    double terms;  /* sum of squares */
    double sum;
};

static void walk_image(struct walk *walk, double weight, double sum, double squares) {
    walk->images += weight * square(sum);
    walk->terms += weight * squares;
    walk->sum += weight * sum;
}

static double walk_variance(const struct bm_pass *pass, const struct walk *walk, double terms) {
    return terms * square(accumulate_u(pass)) *
           (2 * walk->images + walk->terms + square(walk->sum));
}

/* Mean, and the deviation of the summation's roundings. */
static void channel_mean(const struct channel *of, struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    struct walk walk = {0};
    for (size_t n = 0; n < pass->image_count; n++) {
        const double *x = call->x.value + n * call->inputs + of->first;
        double sum = 0;
        double squares = 0;
        for (size_t p = 0; p < of->positions; p++) {
            sum += x[p];
            squares += square(x[p]);
        }
        walk_image(&walk, pass->weight[n], sum, squares);
    }
    norm->mean[c] = walk.sum / of->count;
    norm->mean_error[c] = sqrt(walk_variance(pass, &walk, of->count)) / of->count;
}

/*
 * Biased variance. Both ways of computing it are honest: two passes, or E x^2 - mean^2, whose
 * rounding errors are relative to E x^2 + mean^2; sums of one sign, see the top.
 */
static void channel_variance(const struct channel *of, struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    double sum = 0;
    double squares = 0;
    for (size_t n = 0; n < pass->image_count; n++) {
        const double *x = call->x.value + n * call->inputs + of->first;
        for (size_t p = 0; p < of->positions; p++) {
            sum += pass->weight[n] * square(x[p] - norm->mean[c]);
            squares += pass->weight[n] * square(x[p]);
        }
    }
    double scale = squares / of->count + square(norm->mean[c]);
    norm->variance[c] = of->count > 1 ? sum / of->count : 0;
    norm->variance_error[c] = of->count > 1 ? sqrt(of->count + 4) * accumulate_u(pass) * scale : 0;
}

/* 1 / sqrt(v + e) has the relative error d / (2 (v + e)) for an error d of v; where d is not small,
 * what is left of v + e in the worst case decides. */
static void channel_inverse(const struct channel *of, struct bm_norm *norm, size_t c) {
    double v = norm->variance[c] + BM_BATCHNORM_EPSILON;
    double bound = BM_REFERENCE_LAMBDA * norm->variance_error[c] / v;
    double left = fmax(1 - bound, BM_BATCHNORM_EPSILON / v);
    double relative = 1 / sqrt(left) - 1;
    norm->inverse[c] = 1 / sqrt(v);
    norm->inverse_error[c] = relative / BM_REFERENCE_LAMBDA + 4 * accumulate_u(of->call->pass);
}

/* A run's mean, and its variance and inverse, which have one error. */
static void channel_perturb(const struct channel *of, struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    struct signs means = signs_of(call->pass, call->index, SIGNS_MEAN);
    struct signs inverses = signs_of(call->pass, call->index, SIGNS_INVERSE);
    norm->mean[c] += signed_at(&means, c, norm->mean_error[c]);
    norm->variance[c] -= signed_at(&inverses, c, norm->variance_error[c]);
    norm->inverse[c] *= 1 + signed_at(&inverses, c, norm->inverse_error[c]);
}

/* running = decay running + (1 - decay) batch; a backend keeps it in float32. The bound's last
 * roundings only: the rest is estimated. */
static void channel_running(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    size_t at = pass->statistics_offset[call->index] + c;
    size_t channels = call->in.channels;
    double u = accumulate_u(pass);
    double rest = 1 - BM_BATCHNORM_DECAY;
    double unbiased = of->count > 1 ? of->count / (of->count - 1) : 1;
    double variance = unbiased * norm->variance[c];
    pass->statistics_after[at] = BM_BATCHNORM_DECAY * pass->statistics[at] + rest * norm->mean[c];
    pass->statistics_after[at + channels] =
        of->count > 1 ? BM_BATCHNORM_DECAY * pass->statistics[at + channels] + rest * variance
                      : pass->statistics[at + channels];
    if (is_estimated(pass)) {
        pass->statistics_bound[at] = 4 * u * (fabs(pass->statistics[at]) + fabs(norm->mean[c]));
        pass->statistics_bound[at + channels] =
            4 * u * (fabs(pass->statistics[at + channels]) + variance);
    }
}

static uint32_t uses_running(const struct bm_pass *pass) {
    return (pass->request->flags & BM_SLICE_USE_RUNNING) != 0;
}

static void channel_from_running(const struct call *call, struct bm_norm *norm, size_t c) {
    const struct bm_pass *pass = call->pass;
    size_t at = pass->statistics_offset[call->index] + c;
    double u = accumulate_u(pass);
    norm->mean[c] = pass->statistics[at];
    norm->variance[c] = pass->statistics[at + call->in.channels];
    norm->inverse[c] = 1 / sqrt(norm->variance[c] + BM_BATCHNORM_EPSILON);
    norm->mean_error[c] = u * fabs(norm->mean[c]);
    norm->variance_error[c] = 0;
    norm->inverse_error[c] = 5 * u;
}

/* The mean square of a channel's sigma. */
static double channel_spread(const struct channel *of) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    double sum = 0;
    for (size_t n = 0; n < pass->image_count; n++) {
        const float *sigma = call->x.sigma + n * call->inputs + of->first;
        for (size_t p = 0; p < of->positions; p++) {
            sum += pass->weight[n] * square((double)sigma[p]);
        }
    }
    return sum / of->count;
}

/* Whether sigma is as large as the deviations, in the mean square over the channels: then a
 * calculation with small errors says nothing. A single value is a constant. */
static void judge_norm(const struct call *call) {
    const struct bm_norm *norm = &call->pass->norm[call->index];
    double sum = 0;
    if (channel_of(call, 0).count <= 1) {
        return;
    }
    for (size_t c = 0; c < call->in.channels; c++) {
        struct channel of = channel_of(call, c);
        sum += channel_spread(&of) * square(norm->inverse[c]);
    }
    if (sum > call->in.channels) {
        call->pass->undetermined = 1;
    }
}

/* What a channel's values have in common. */
struct norm_channel {
    double gain;
    double bias;
    double mean;
    double inverse;
    double scale; /* gain inverse */
    double shift; /* rounding of bias - mean scale: its deviation, or a run's error */
    double mean_error;
    double inverse_error;
    double spread;
};

static struct norm_channel
norm_channel_of(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    struct signs signs = signs_of(pass, call->index, SIGNS_SHIFT);
    struct norm_channel channel = {.gain = call->weight[c],
                                   .bias = call->bias[c],
                                   .mean = norm->mean[c],
                                   .inverse = norm->inverse[c],
                                   .scale = call->weight[c] * norm->inverse[c],
                                   .mean_error = norm->mean_error[c],
                                   .inverse_error = norm->inverse_error[c]};
    channel.shift =
        2 * accumulate_u(pass) * (fabs(channel.scale * channel.mean) + fabs(channel.bias));
    if (pass->run > 0) {
        channel.shift = signed_at(&signs, c, channel.shift);
    } else if (pass->bounded) {
        channel.spread = uses_running(pass) ? 0 : channel_spread(of);
    }
    return channel;
}

/*
 * y = gain (x - mean) inverse + shift, also as x scale + (shift - mean scale); roundings of the
 * latter are relative to the sizes of its terms. The errors of x lose their part along 1 and along
 * `normal`: a projection, after which their mean square `spread` is not larger, see the top.
 */
static void norm_value(const struct channel *of,
                       const struct norm_channel *norm,
                       struct signs *signs,
                       size_t at) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    double u = accumulate_u(pass);
    double normal = (call->x.value[at] - norm->mean) * norm->inverse;
    double terms = fabs(norm->scale) * (fabs(call->x.value[at]) + fabs(norm->mean));
    double rounding = 2 * u * (terms + fabs(norm->bias));
    call->y.value[at] = norm->gain * normal + norm->bias;
    if (pass->run > 0) {
        call->y.value[at] += signed_at(signs, at, rounding) + norm->shift;
    } else if (pass->bounded) {
        double x = fmax(square((double)call->x.sigma[at]), norm->spread);
        call->y.sigma[at] = (float)sqrt(square(norm->scale) * (x + square(norm->mean_error)) +
                                        square(norm->gain * normal * norm->inverse_error) +
                                        square(rounding) + square(norm->shift));
    }
}

/* One value per channel: y = shift exactly. */
static void constant_value(const struct call *call, size_t c, size_t at) {
    call->y.value[at] = call->bias[c];
    if (is_estimated(call->pass)) {
        call->y.sigma[at] = 0;
    }
}

static void norm_forward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    struct bm_norm norm = pass->norm[call->index];
    struct signs signs = signs_of(pass, call->index, SIGNS_FORWARD);
    (void)thread;
    for (size_t c = first; c < last; c++) {
        struct channel of = channel_of(call, c);
        if (uses_running(pass)) {
            channel_from_running(call, &norm, c);
        } else {
            channel_mean(&of, &norm, c);
            channel_variance(&of, &norm, c);
            channel_inverse(&of, &norm, c);
        }
        if (pass->run > 0) {
            channel_perturb(&of, &norm, c);
        }
        if (!uses_running(pass) && (pass->request->flags & BM_SLICE_KEEP_STATISTICS) == 0) {
            channel_running(&of, &norm, c);
        }
        struct norm_channel channel = norm_channel_of(&of, &norm, c);
        uint32_t constant = of.count <= 1 && !uses_running(pass);
        for (size_t n = 0; n < pass->image_count; n++) {
            for (size_t p = 0; p < of.positions; p++) {
                size_t at = n * call->inputs + of.first + p;
                if (constant) {
                    constant_value(call, c, at);
                } else {
                    norm_value(&of, &channel, &signs, at);
                }
            }
        }
    }
}

struct channel_sums {
    double shift;    /* sum dy */
    double gain;     /* sum dy (x - mean) inverse */
    double rounding; /* a run's relative error of gain inverse */
};

/* sum dy x - mean sum dy is honest too, and its terms are larger. */
static struct channel_sums
channel_gradients(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    struct walk shift = {0};
    struct walk product = {0}; /* sum dy x */
    double gain = 0;
    for (size_t n = 0; n < pass->image_count; n++) {
        double sums[4] = {0};
        for (size_t p = 0; p < of->positions; p++) {
            size_t at = n * call->inputs + of->first + p;
            double dy = call->dy.value[at];
            double x = call->x.value[at];
            sums[0] += dy;
            sums[1] += square(dy);
            sums[2] += dy * x;
            sums[3] += square(dy * x);
            gain += pass->weight[n] * dy * (x - norm->mean[c]);
        }
        walk_image(&shift, pass->weight[n], sums[0], sums[1]);
        walk_image(&product, pass->weight[n], sums[2], sums[3]);
    }
    struct channel_sums sums = {shift.sum, gain * norm->inverse[c], 0};
    if (pass->run > 0) {
        double terms = slice_terms(call, of->first, of->positions, 1);
        double shift_variance = walk_variance(pass, &shift, terms);
        double gain_variance =
            walk_variance(pass, &product, terms) + square(norm->mean[c]) * shift_variance;
        struct signs signs = signs_of(pass, call->index, SIGNS_SHIFT_SUM);
        sums.shift += signed_at(&signs, c, sqrt(shift_variance));
        signs = signs_of(pass, call->index, SIGNS_GAIN_SUM);
        sums.gain += signed_at(&signs, c, norm->inverse[c] * sqrt(gain_variance));
        signs = signs_of(pass, call->index, SIGNS_SCALE);
        sums.rounding = signed_at(&signs, c, 2 * accumulate_u(pass));
    }
    return sums;
}

/* dx = gain inverse (dy - (sum dy + normal sum dy normal) / count) */
static void norm_gradient(const struct channel *of,
                          const struct bm_norm *norm,
                          struct signs *signs,
                          size_t c,
                          const struct channel_sums *sums,
                          size_t at) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    double scale = call->weight[c] * norm->inverse[c];
    double normal = (call->x.value[at] - norm->mean[c]) * norm->inverse[c];
    double constant = uses_running(pass) ? 0 : 1 / of->count;
    double shift = constant * sums->shift;
    double gain = constant * sums->gain;
    double dy = call->dy.value[at];
    call->dx.value[at] = scale * (dy - shift - normal * gain);
    if (pass->run > 0) {
        double size = (fabs(call->x.value[at]) + fabs(norm->mean[c])) * norm->inverse[c];
        double roundings = 3 * accumulate_u(pass) * (fabs(dy) + fabs(shift) + size * fabs(gain));
        call->dx.value[at] +=
            signed_at(signs, at, fabs(scale) * roundings) + sums->rounding * call->dx.value[at];
    }
}

static void norm_backward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    const struct bm_norm *norm = &pass->norm[call->index];
    struct signs signs = signs_of(pass, call->index, SIGNS_BACKWARD);
    (void)thread;
    for (size_t c = first; c < last; c++) {
        struct channel of = channel_of(call, c);
        uint32_t constant = of.count <= 1 && !uses_running(pass);
        struct channel_sums sums = channel_gradients(&of, norm, c);
        pass->sums.gradient[call->bias_offset + c] += sums.shift;
        pass->sums.gradient[call->weight_offset + c] += constant ? 0 : sums.gain;
        for (size_t n = 0; n < pass->image_count && call->below; n++) {
            for (size_t p = 0; p < of.positions; p++) {
                size_t at = n * call->inputs + of.first + p;
                if (constant) {
                    call->dx.value[at] = 0;
                } else {
                    norm_gradient(&of, norm, &signs, c, &sums, at);
                }
            }
        }
    }
}

/* ---- Batch norm in float32: two passes over the values, each formula as it is written ---- */

static struct channel channel_float32(const struct call *call, uint32_t thread, size_t c) {
    struct channel of = channel_of(call, c);
    of.images_order = chains_of(call, thread, ORDER_IMAGES, call->pass->image_count).order;
    of.positions_order = chains_of(call, thread, ORDER_POSITIONS, of.positions).order;
    BM_ASSERT(of.images_order != NULL && of.positions_order != NULL);
    return of;
}

/* Where the channel's value of an image begins, in the order of a float32 sum. */
static size_t image_at(const struct channel *of, size_t n) {
    return of->images_order[n] * of->call->inputs + of->first;
}

static void channel_statistics_float32(const struct channel *of, struct bm_norm *norm, size_t c) {
    uint64_t images = of->call->pass->image_count;
    float count = (float)of->count;
    struct accumulator sum = accumulator_of(of->call, 0);
    struct accumulator squares = accumulator_of(of->call, 0);
    for (size_t n = 0; n < images; n++) {
        const double *x = of->call->x.value + image_at(of, n);
        for (size_t p = 0; p < of->positions; p++) {
            accumulate(&sum, (float)x[of->positions_order[p]]);
        }
        end_image(&sum, of->positions);
    }
    float mean = sum_of(&sum) / count;
    for (size_t n = 0; n < images; n++) {
        const double *x = of->call->x.value + image_at(of, n);
        for (size_t p = 0; p < of->positions; p++) {
            float distance = (float)x[of->positions_order[p]] - mean;
            accumulate(&squares, distance * distance);
        }
        end_image(&squares, of->positions);
    }
    norm->mean[c] = (double)mean;
    norm->variance[c] = of->count > 1 ? (double)(sum_of(&squares) / count) : 0;
}

static double inverse_float32(double variance) {
    return (double)(1 / sqrtf((float)variance + (float)BM_BATCHNORM_EPSILON));
}

static void running_float32(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct bm_pass *pass = of->call->pass;
    const float decay = (float)BM_BATCHNORM_DECAY;
    const float rest = (float)(1 - BM_BATCHNORM_DECAY);
    size_t mean = pass->statistics_offset[of->call->index] + c;
    size_t variance = mean + of->call->in.channels;
    float unbiased = of->count > 1 ? (float)(of->count / (of->count - 1)) : 1;
    float batch = rest * ((float)norm->variance[c] * unbiased);
    pass->statistics_after[mean] =
        (double)(decay * (float)pass->statistics[mean] + rest * (float)norm->mean[c]);
    pass->statistics_after[variance] =
        of->count > 1 ? (double)(decay * (float)pass->statistics[variance] + batch)
                      : pass->statistics[variance];
}

static float
normal_float32(const struct call *call, const struct bm_norm *norm, size_t c, size_t at) {
    return ((float)call->x.value[at] - (float)norm->mean[c]) * (float)norm->inverse[c];
}

static void norm_forward_float32(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    struct bm_norm norm = pass->norm[call->index];
    for (size_t c = first; c < last; c++) {
        struct channel of = channel_float32(call, thread, c);
        uint32_t constant = of.count <= 1 && !uses_running(pass);
        if (uses_running(pass)) {
            channel_from_running(call, &norm, c);
        } else {
            channel_statistics_float32(&of, &norm, c);
        }
        norm.inverse[c] = inverse_float32(norm.variance[c]);
        if (!uses_running(pass) && (pass->request->flags & BM_SLICE_KEEP_STATISTICS) == 0) {
            running_float32(&of, &norm, c);
        }
        for (size_t i = 0; i < pass->image_count * of.positions; i++) {
            size_t at = i / of.positions * call->inputs + of.first + i % of.positions;
            float normal = constant ? 0 : normal_float32(call, &norm, c, at);
            call->y.value[at] = (double)((float)call->weight[c] * normal + (float)call->bias[c]);
        }
    }
}

static struct channel_sums
channel_gradients_float32(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    struct accumulator shift = accumulator_of(call, 0);
    struct accumulator gain = accumulator_of(call, 0);
    for (size_t n = 0; n < call->pass->image_count; n++) {
        for (size_t p = 0; p < of->positions; p++) {
            size_t at = image_at(of, n) + of->positions_order[p];
            float dy = (float)call->dy.value[at];
            accumulate(&shift, dy);
            accumulate(&gain, dy * normal_float32(call, norm, c, at));
        }
        end_image(&shift, of->positions);
        end_image(&gain, of->positions);
    }
    return (struct channel_sums){.shift = (double)sum_of(&shift), .gain = (double)sum_of(&gain)};
}

static void norm_backward_float32(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    const struct bm_norm *norm = &pass->norm[call->index];
    for (size_t c = first; c < last; c++) {
        struct channel of = channel_float32(call, thread, c);
        uint32_t constant = of.count <= 1 && !uses_running(pass);
        struct channel_sums sums = channel_gradients_float32(&of, norm, c);
        double *gradient = pass->sums.gradient;
        double *shift = gradient + call->bias_offset + c;
        double *gain = gradient + call->weight_offset + c;
        *shift = round_to_float32(*shift + sums.shift);
        *gain = constant ? *gain : round_to_float32(*gain + sums.gain);
        float scale = constant ? 0 : (float)call->weight[c] * (float)norm->inverse[c];
        float count = uses_running(pass) ? HUGE_VALF : (float)of.count;
        float mean_shift = (float)sums.shift / count;
        float mean_gain = (float)sums.gain / count;
        for (size_t i = 0; i < pass->image_count * of.positions && call->below; i++) {
            size_t at = i / of.positions * call->inputs + of.first + i % of.positions;
            float normal = normal_float32(call, norm, c, at);
            float rest = (float)call->dy.value[at] - mean_shift - normal * mean_gain;
            call->dx.value[at] = (double)(scale * rest);
        }
    }
}

/* ---- Softmax cross entropy ---- */

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

/* The loss, and the gradient of the logits, which the pass keeps for the way back. */
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

/* ---- The walk ---- */

void bm_reference_forward(struct bm_pass *pass, uint32_t layer) {
    struct call call = make_call(pass, layer);
    uint32_t threads = pass->thread_count;
    uint64_t images = pass->image_count;
    if (pass->request->branches != NULL) {
        bm_reference_measure_branches(pass, layer, call.x.value);
    }
    switch (call.layer->kind) {
    case BM_LAYER_DENSE:
        bm_reference_parallel(threads, images, DENSE_ROWS, dense_forward, &call);
        break;
    case BM_LAYER_CONV2D:
        bm_reference_parallel(threads, images, 1, conv_forward, &call);
        break;
    case BM_LAYER_MAXPOOL:
        bm_reference_parallel(threads, images, 1, pool_forward, &call);
        break;
    case BM_LAYER_BATCHNORM:
        bm_reference_parallel(threads, call.in.channels, 8,
                              pass->rounding != 0 ? norm_forward_float32 : norm_forward, &call);
        if (is_estimated(pass) && !uses_running(pass)) {
            judge_norm(&call);
        }
        break;
    case BM_LAYER_RELU:
        bm_reference_parallel(threads, images, 16, relu_forward, &call);
        break;
    case BM_LAYER_DROPOUT:
        if (drops(&call)) {
            bm_reference_parallel(threads, images, 16, dropout_forward, &call);
        }
        break;
    default:
        BM_ASSERT(call.layer->kind == BM_LAYER_SOFTMAX_CROSS_ENTROPY);
        bm_reference_parallel(threads, images, 16, softmax_task, &call);
    }
}

void bm_reference_backward(struct bm_pass *pass, uint32_t layer, uint32_t below) {
    struct call call = make_call(pass, layer);
    uint32_t threads = pass->thread_count;
    uint64_t images = pass->image_count;
    call.below = below;
    switch (call.layer->kind) {
    case BM_LAYER_DENSE:
        dense_backward(&call);
        break;
    case BM_LAYER_CONV2D:
        conv_backward(&call);
        break;
    case BM_LAYER_MAXPOOL:
        bm_reference_parallel(threads, images, 1, pool_below, &call);
        break;
    case BM_LAYER_BATCHNORM:
        bm_reference_parallel(threads, call.in.channels, 8,
                              pass->rounding != 0 ? norm_backward_float32 : norm_backward, &call);
        break;
    case BM_LAYER_RELU:
        bm_reference_parallel(threads, images, 16, relu_backward, &call);
        break;
    case BM_LAYER_DROPOUT:
        if (drops(&call)) {
            bm_reference_parallel(threads, images, 16, dropout_backward, &call);
        }
        break;
    default:
        BM_ASSERT(call.layer->kind == BM_LAYER_SOFTMAX_CROSS_ENTROPY);
    }
}
