/*
 * What the files of the reference's layers share: one layer's call, how a float32 sum is added up,
 * the signs of a perturbed run, and the two directions of each kind of layer. The model of the
 * errors stands at the top of reference_layers.c. Nothing outside reference_*.c includes this.
 */
#ifndef BM_REFERENCE_CALL_H
#define BM_REFERENCE_CALL_H

#include "error.h"
#include "random.h"
#include "reference_parts.h"

#include <math.h>

/* Images, or outputs of a dense layer, that a thread takes at once. */
#define DENSE_ROWS ((size_t)128)

/* How many times the effect of one branch the bound is at least. */
#define BRANCH_MARGIN 2.0

/* ---- A call ---- */

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

static inline size_t positions_of(struct bm_shape shape) {
    return (size_t)shape.height * shape.width;
}

static inline double square(double x) {
    return x * x;
}

static inline double *product_scratch(const struct bm_pass *pass, uint32_t thread) {
    return pass->scratch + thread * pass->scratch_step;
}

static inline double *block_of(const struct bm_pass *pass, uint32_t thread, uint32_t block) {
    return product_scratch(pass, thread) + BM_MULTIPLY_SCRATCH + block * pass->block;
}

static inline double accumulate_u(const struct bm_pass *pass) {
    return pass->request->accumulate_roundoff;
}

/* um^2 where operands are rounded before they are multiplied, otherwise 0. */
static inline double operand_variance(const struct bm_pass *pass) {
    const struct bm_reference_request *request = pass->request;
    return request->multiply_roundoff > request->accumulate_roundoff
               ? square(request->multiply_roundoff)
               : 0;
}

/* Factor of x^2 w^2 in the own variance of an inner product of `terms` terms. */
static inline double product_variance(const struct bm_pass *pass, double terms) {
    return terms * square(accumulate_u(pass)) + operand_variance(pass);
}

static inline struct bm_operand wide(const double *values, size_t row_step, size_t column_step) {
    return (struct bm_operand){values, row_step, column_step, BM_OPERAND_VALUE};
}

static inline struct bm_operand form(struct bm_operand operand, uint32_t how) {
    operand.form = how;
    return operand;
}

/* Standard deviations are computed: in the exact run of a bound. */
static inline uint32_t is_estimated(const struct bm_pass *pass) {
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
static inline struct bm_chains
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

/* A float32 sum in chains. Where an image has many terms, its last ends a chain, however long: one
 * chain through 10 000 terms and more, as at the positions of all images, is nobody's sum, and its
 * error would hide those that matter. */
struct accumulator {
    float total;
    float chain;
    size_t length; /* 0: as long as it may be */
    size_t used;   /* terms in the chain */
};

static inline struct accumulator accumulator_of(const struct call *call, float start) {
    return (struct accumulator){.total = start, .length = chain_lengths[call->pass->rounding % 4]};
}

static inline void end_chain(struct accumulator *sum) {
    sum->total += sum->chain;
    sum->chain = 0;
    sum->used = 0;
}

static inline void accumulate(struct accumulator *sum, float term) {
    sum->chain += term;
    if (++sum->used == sum->length) {
        end_chain(sum);
    }
}

static inline void end_image(struct accumulator *sum, size_t positions) {
    if (positions > 1) {
        end_chain(sum);
    }
}

static inline float sum_of(const struct accumulator *sum) {
    return sum->total + sum->chain;
}

static inline double round_to_float32(double x) {
    return (double)(float)x;
}

/* c[i][j] += sum_k a(i, k) b(k, j), in float64 or, with an order of the terms, in float32. */
static inline void multiply(const struct call *call,
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

/* Terms of an inner product, without those that are exactly zero in every backend. */
static inline double
count_terms(const double *value, const float *sigma, size_t count, size_t step) {
    size_t terms = 0;
    for (size_t i = 0; i < count; i++) {
        terms += value[i * step] != 0 || (sigma != NULL && sigma[i * step] > 0);
    }
    return (double)terms;
}

/* variance += terms u^2 value^2: the part of the partial sums that grows towards the result. */
static inline void add_drift(
    const struct bm_pass *pass, double *variance, const double *value, size_t count, double terms) {
    double c = terms * square(accumulate_u(pass));
    for (size_t i = 0; i < count; i++) {
        variance[i] += c * square(value[i]);
    }
}

static inline void store_roots(float *to, const double *variance, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to[i] = (float)sqrt(variance[i]);
    }
}

static inline void fill_squares(double *to, const float *sigma, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to[i] = square((double)sigma[i]);
    }
}

/* Before the errors of x are added: rounded weights are as bad as rounded inputs. */
static inline void count_weights(const struct bm_pass *pass, double *variance, size_t count) {
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
static inline uint64_t scramble(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline struct signs signs_of(const struct bm_pass *pass, uint32_t layer, uint32_t kind) {
    uint64_t what = (pass->part * BM_REFERENCE_RUNS + pass->run) * BM_MODEL_LAYER_MAX + layer;
    return (struct signs){.key = scramble((what * SIGNS_KINDS + kind + 1) * 0x9e3779b97f4a7c15u)};
}

/* value, or minus value. */
static inline double signed_at(struct signs *signs, uint64_t index, double value) {
    if (signs->block != index / 64 + 1) {
        signs->block = index / 64 + 1;
        signs->bits = scramble(signs->key + signs->block * 0x9e3779b97f4a7c15u);
    }
    return signs->bits >> index % 64 & 1 ? value : -value;
}

/* A perturbed run's errors of an array that begins at `first` of the layer's. */
static inline void perturb(const struct bm_pass *pass,
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

/* ---- Branches ---- */

/* Part of the gradient that a run adds where a branch is uncertain, at k standard deviations: see
 * reference_layers.c. */
static inline double branch_part(const struct bm_pass *pass, double k) {
    double p = exp(-k * k / 2) / 2;
    double variance = fmax(square(BM_REFERENCE_LAMBDA) * p * (1 - p), square(BRANCH_MARGIN));
    return sqrt(variance) / pass->multiplier;
}

/* ---- Sums over images ---- */

/* Factor of x^2 dy^2 in the variance of a sum of K terms over images, `weight` of which are this
 * one. */
static inline double sum_variance(const struct bm_pass *pass, double weight, double terms) {
    return weight * terms * square(accumulate_u(pass)) +
           2 * square(weight) * operand_variance(pass);
}

/* Images of the slice in which the unit's dy is not zero, times `count` values `step` apart;
 * without all images at hand, all. */
double bm_reference_slice_terms(const struct call *call, size_t unit, size_t count, size_t step);

/* The sum of a unit's or channel's dy over images and positions, which begin at `first` of an
 * image, is added in float32 to the gradient's element `at`. `images` and `order`: the order of
 * the images and of the positions. */
void bm_reference_add_float32(const struct call *call,
                              size_t first,
                              size_t positions,
                              const uint32_t *images,
                              const uint32_t *order,
                              size_t at);

/* ---- Each kind of layer ----
 *
 * Forward: from call->x to call->y; relu and dropout in place. Backward: from call->dy to call->dx,
 * where call->below says that it is needed, and the layer's part of the pass's sums. */

void bm_reference_dense_forward(struct call *call);
void bm_reference_dense_backward(struct call *call);
void bm_reference_convolution_forward(struct call *call);
void bm_reference_convolution_backward(struct call *call);
void bm_reference_maxpool_forward(struct call *call);
void bm_reference_maxpool_backward(struct call *call);
void bm_reference_batchnorm_forward(struct call *call);
void bm_reference_batchnorm_backward(struct call *call);
void bm_reference_relu_forward(struct call *call);
void bm_reference_relu_backward(struct call *call);
void bm_reference_dropout_forward(struct call *call);
void bm_reference_dropout_backward(struct call *call);

/* The loss, and the gradient of the logits, which the pass keeps for the way back. */
void bm_reference_softmax_forward(struct call *call);

#endif
