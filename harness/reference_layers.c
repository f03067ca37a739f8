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
#include "reference_call.h"

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

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
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

/* ---- Sums over images ---- */

double bm_reference_slice_terms(const struct call *call, size_t unit, size_t count, size_t step) {
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

void bm_reference_add_float32(const struct call *call,
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

/* ---- The walk ---- */

/* By BM_LAYER_*; NULL: nothing to be done. */
static const struct kind {
    void (*forward)(struct call *call);
    void (*backward)(struct call *call);
} kinds[] = {
    [BM_LAYER_DENSE] = {bm_reference_dense_forward, bm_reference_dense_backward},
    [BM_LAYER_CONV2D] = {bm_reference_convolution_forward, bm_reference_convolution_backward},
    [BM_LAYER_MAXPOOL] = {bm_reference_maxpool_forward, bm_reference_maxpool_backward},
    [BM_LAYER_BATCHNORM] = {bm_reference_batchnorm_forward, bm_reference_batchnorm_backward},
    [BM_LAYER_RELU] = {bm_reference_relu_forward, bm_reference_relu_backward},
    [BM_LAYER_DROPOUT] = {bm_reference_dropout_forward, bm_reference_dropout_backward},
    [BM_LAYER_SOFTMAX_CROSS_ENTROPY] = {bm_reference_softmax_forward, NULL},
};

void bm_reference_forward(struct bm_pass *pass, uint32_t layer) {
    struct call call = make_call(pass, layer);
    BM_ASSERT(kinds[call.layer->kind].forward != NULL);
    if (pass->request->branches != NULL) {
        bm_reference_measure_branches(pass, layer, call.x.value);
    }
    kinds[call.layer->kind].forward(&call);
}

void bm_reference_backward(struct bm_pass *pass, uint32_t layer, uint32_t below) {
    struct call call = make_call(pass, layer);
    call.below = below;
    if (kinds[call.layer->kind].backward != NULL) {
        kinds[call.layer->kind].backward(&call);
    }
}
