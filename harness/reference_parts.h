/*
 * What the files of the float64 reference share: a parallel loop, a blocked matrix product, and the
 * state of one forward and backward pass. Nothing outside reference*.c includes this.
 */
#ifndef BM_REFERENCE_PARTS_H
#define BM_REFERENCE_PARTS_H

#include "reference.h"

#include <stddef.h>

/* ---- Parallel loop ---- */

#define BM_REFERENCE_THREAD_MAX 64u

/* Handles the items first .. last; `thread` is below the loop's thread count. */
typedef void bm_reference_task(void *context, uint32_t thread, uint64_t first, uint64_t last);

/* Runs `task` over 0 .. count in pieces of `grain`, on the calling thread and up to thread_count -
 * 1 others. A thread that cannot be started is done without. */
void bm_reference_parallel(
    uint32_t thread_count, uint64_t count, uint64_t grain, bm_reference_task *task, void *context);

/* ---- Matrix product ---- */

#define BM_OPERAND_VALUE 0u
#define BM_OPERAND_SQUARE 1u

/* A matrix as a product reads it: element (i, j) is `form` of values[i row_step + j column_step].
 */
struct bm_operand {
    const double *values;
    size_t row_step;
    size_t column_step;
    uint32_t form; /* BM_OPERAND_* */
};

/* Doubles of scratch that bm_reference_multiply needs. */
#define BM_MULTIPLY_SCRATCH ((size_t)(64 * 256 + 256 * 512))

/* c[i][j] += sum_k a(i, k) b(k, j); c: [rows][columns] with `c_step` from row to row. */
void bm_reference_multiply(size_t rows,
                           size_t columns,
                           size_t depth,
                           struct bm_operand a,
                           struct bm_operand b,
                           double *c,
                           size_t c_step,
                           double *scratch);

/* How float32 sums are added up. An order alone is not enough: while a partial sum stays between
 * two powers of 2, what the rounding adds to a term depends on the term alone, so that sums in one
 * chain have nearly half of their error in common, whatever their order. */
struct bm_chains {
    const uint32_t *order; /* [terms], a permutation; NULL: the sum is float64 */
    size_t length; /* terms that are added up before their sum is added to the rest; 0: all */
};

/* The same for values that are float32 numbers, with sums in float32 and fused multiply-adds where
 * the processor has them. Forms other than BM_OPERAND_VALUE are not for it. */
void bm_reference_multiply_float32(size_t rows,
                                   size_t columns,
                                   size_t depth,
                                   struct bm_operand a,
                                   struct bm_operand b,
                                   struct bm_chains chains,
                                   double *c,
                                   size_t c_step,
                                   double *scratch);

/* ---- A pass ---- */

/* Standard deviations in a bound, and those beyond which a branch is certain; see
 * reference_layers.c. */
#define BM_REFERENCE_LAMBDA 8.0
#define BM_BRANCH_LAMBDA 6.0

/* Perturbed runs of the network, from which the bound is estimated; even. */
#define BM_REFERENCE_RUNS 12u

/* Values of all images of a pass after a layer, [image][unit]; on the way forward with the standard
 * deviation of a backend's error, by which branches are judged. NULL where it is not asked for. */
struct bm_signal {
    double *value;
    float *sigma;
};

/* Per channel facts of a batch-norm layer, kept from forward to backward; each [channels]. */
struct bm_norm {
    double *mean;
    double *inverse;       /* 1 / sqrt(variance + epsilon) */
    double *mean_error;    /* standard deviations of the roundings */
    double *inverse_error; /* relative */
    double *variance;
    double *variance_error;
};

/* Sums over images, canonical layout; `variance` is that of the roundings of the sum itself. */
struct bm_sums {
    double *gradient;
    double *variance;
};

struct bm_pass {
    const struct bm_reference_request *request;
    const struct bm_model *model;
    uint32_t thread_count;
    uint32_t trains;          /* there is a way back */
    uint32_t bounded;         /* errors are computed */
    uint64_t rounding;        /* of the request */
    uint32_t run;             /* 0: the exact run; 1 .. BM_REFERENCE_RUNS: a perturbed one */
    uint32_t part;            /* number of the part of the slice that this pass holds */
    double multiplier;        /* of the runs' errors in the bound */
    uint32_t undetermined;    /* float32 does not determine what comes behind a batch norm */
    uint32_t complete;        /* this pass holds all images of the slice */
    uint64_t image_count;     /* distinct images of this pass */
    uint64_t slice_count;     /* images of the slice, repetitions counted, over all passes */
    const uint32_t *images;   /* [image_count] numbers in the data */
    const double *weight;     /* [image_count] how often each is in the slice */
    const double *params;     /* [param_count] */
    const double *statistics; /* running, before */
    double *statistics_after;
    double *statistics_bound;
    struct bm_sums sums;
    struct bm_signal input;
    struct bm_signal
        output[BM_MODEL_LAYER_MAX];       /* relu and dropout share that of the layer below */
    uint8_t *branch[BM_MODEL_LAYER_MAX];  /* relu: BM_BRANCH_* */
    uint32_t *winner[BM_MODEL_LAYER_MAX]; /* maxpool: the maximum's place in its plane */
    float *forward_rounding[BM_MODEL_LAYER_MAX];  /* dense, conv2d: deviations of the roundings */
    float *backward_rounding[BM_MODEL_LAYER_MAX]; /* of the layer itself, of output and of dx */
    struct bm_norm norm[BM_MODEL_LAYER_MAX];
    uint64_t param_offset[BM_MODEL_LAYER_MAX];
    uint64_t statistics_offset[BM_MODEL_LAYER_MAX];
    struct bm_signal gradient;       /* with respect to the current layer's output */
    struct bm_signal gradient_below; /* with respect to its input */
    double *loss;                    /* [image_count] */
    uint8_t *correct;
    double *scratch; /* [thread_count][scratch_step] */
    size_t scratch_step;
    size_t block; /* doubles in each of the blocks of a thread's scratch */
};

#define BM_REFERENCE_BLOCKS 3u /* blocks behind the product's own scratch */

#define BM_BRANCH_OFF 0u
#define BM_BRANCH_ON 1u
#define BM_BRANCH_EITHER                                                                           \
    2u /* times 1 + the distance in steps of 1 / BM_BRANCH_STEPS sigma, added to ON or OFF: inside \
          the bound, a backend may differ */
#define BM_BRANCH_STEPS 15.0

struct bm_shape bm_reference_input_shape(const struct bm_model *model, uint32_t layer);
size_t bm_reference_units(struct bm_shape shape);

/* Doubles per block of thread scratch that the model's layers need with this many images. */
size_t bm_reference_block(const struct bm_model *model, uint64_t image_count);

/* The network's input with its error. */
void bm_reference_load(struct bm_pass *pass);

/* From the layer's input to its output; the last layer fills loss and correct. */
void bm_reference_forward(struct bm_pass *pass, uint32_t layer);

/* From pass->gradient to pass->gradient_below, and the layer's part of pass->sums; the last layer
 * starts. Relu and dropout change pass->gradient in place. `below` 0: nobody needs the gradient of
 * the input. */
void bm_reference_backward(struct bm_pass *pass, uint32_t layer, uint32_t below);

/* For a perturbed run: the weights as a precision below float32 rounds them, and the roundings of
 * the sums over images. */
void bm_reference_round_weights(const struct bm_pass *pass, const double *exact, double *params);
void bm_reference_round_sums(const struct bm_pass *pass, uint64_t count);

/* Of a pass with branches: the layer's input values are compared with the exact run's. */
void bm_reference_measure_branches(const struct bm_pass *pass,
                                   uint32_t layer,
                                   const double *values);

/* Distance from the other branch within which a contrary pass takes it; negative: nowhere. */
double bm_reference_branch_reach(const struct bm_pass *pass, uint32_t layer, size_t channel);

/* 1 where a layer works in place on the signal of the layer below. */
uint32_t bm_reference_in_place(const struct bm_layer *layer);

#endif
