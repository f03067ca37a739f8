/*
 * The scalar backend: plain loops in float32, threads from the kit's pool. This header holds the
 * session and what the files of the backend offer each other.
 *
 * Every element of a result is computed by one thread in one order that does not depend on the
 * number of threads, so results have the same bits for any thread count.
 */
#ifndef BM_SCALAR_H
#define BM_SCALAR_H

#include <batchmark/kit.h>

/* Sums longer than this are made of partial sums of this length, which keeps rounding small. */
#define BM_SCALAR_SUM_BLOCK 256u

/* Threads share out arrays in whole cache lines of floats. */
#define BM_SCALAR_LINE 16u

struct bm_scalar_layer {
    struct bm_kit_layer facts;
    uint32_t index;
    float *output;  /* [batch_max][output_size]; relu and dropout work in their input's place */
    uint8_t *kept;  /* dropout: [batch_max][output_size] */
    float *mean;    /* batch norm: [channels], of the last forward pass */
    float *inverse; /* batch norm: [channels], 1 / sqrt(variance + epsilon) */
};

/* A piece of one parameter tensor, small enough to share out. */
struct bm_scalar_chunk {
    uint64_t offset;
    uint64_t count;
    uint32_t tensor;
    uint32_t is_weight; /* of a dense or convolution layer: lars and lamb scale it */
};

/* What happens to a piece of gradient when it is complete. */
#define BM_SCALAR_SINK_STORE 0u
#define BM_SCALAR_SINK_APPLY 1u /* step the parameters at once; the gradient is never stored */

/* The forward and backward pass being computed. */
struct bm_scalar_pass {
    const struct bm_data *data;
    const uint32_t *images; /* [count] image numbers; NULL: first, first + 1, ... */
    uint64_t first;
    uint64_t count;
    uint32_t flags;
    uint32_t training; /* 0 in evaluate */
    uint64_t update;
    double divisor;
    uint32_t sink;
    struct bm_kit_rule rule;
};

struct bm_session {
    struct bm_kit_session core;
    struct bm_scalar_layer *layers; /* [core.network.layer_count] */
    struct bm_kit_pool *pool;
    void *memory; /* holds every array below */
    uint64_t memory_bytes;
    uint32_t first_trainable; /* the lowest layer that has parameters */

    float *params; /* [core.network.param_count], as are gradient and state */
    float *gradient;
    float *state[2];
    float *statistics;
    float *input;    /* [batch_max][input_size] */
    float *delta[2]; /* gradient of a layer's output, and of its input */
    double *losses;  /* [batch_max] */
    uint8_t *right;  /* [batch_max] */
    float *scratch;  /* [thread_count][scratch_count] */
    uint64_t scratch_count;
    struct bm_scalar_chunk *chunks;
    double *norms; /* [chunk_count][2] partial sums of squares */
    float *ratios; /* [tensor_count] of lars and lamb */
    uint64_t chunk_count;
    uint32_t tensor_count;
    struct bm_scalar_pass pass;
};

/* One layer's work, shared out over the threads. Which pointers are set depends on the layer. */
struct bm_scalar_work {
    struct bm_session *session;
    const struct bm_scalar_layer *layer;
    const float *x; /* input of the layer, [count][input_size] */
    float *y;
    const float *dy; /* gradient of the output */
    float *dx;       /* gradient of the input; NULL: not wanted */
};

/* ---- matrix.c: row-major matrices; ld is the distance of rows ---- */

/* c[i][j] += sum_k a[i][k] b[j][k], rows x columns, k < depth */
void bm_scalar_dot(const float *a,
                   size_t lda,
                   const float *b,
                   size_t ldb,
                   float *c,
                   size_t ldc,
                   size_t rows,
                   size_t columns,
                   size_t depth);

/* c[i][j] += sum_k a[i row_step + k depth_step] b[k][j] */
void bm_scalar_axpy(const float *a,
                    size_t row_step,
                    size_t depth_step,
                    const float *b,
                    size_t ldb,
                    float *c,
                    size_t ldc,
                    size_t rows,
                    size_t columns,
                    size_t depth);

/* ---- layers ---- */

void bm_scalar_input(struct bm_session *session);

void bm_scalar_dense_forward(struct bm_scalar_work *work);
void bm_scalar_dense_backward(struct bm_scalar_work *work);
uint64_t bm_scalar_dense_scratch(const struct bm_kit_layer *facts);

void bm_scalar_convolution_forward(struct bm_scalar_work *work);
void bm_scalar_convolution_backward(struct bm_scalar_work *work);
uint64_t bm_scalar_convolution_scratch(const struct bm_kit_layer *facts);

void bm_scalar_maxpool_forward(struct bm_scalar_work *work);
void bm_scalar_maxpool_backward(struct bm_scalar_work *work);

void bm_scalar_batchnorm_forward(struct bm_scalar_work *work);
void bm_scalar_batchnorm_backward(struct bm_scalar_work *work); /* dx may be dy */

void bm_scalar_relu_forward(struct bm_scalar_work *work); /* y = x in place */
void bm_scalar_relu_backward(struct bm_scalar_work *work);
void bm_scalar_dropout_forward(struct bm_scalar_work *work);
void bm_scalar_dropout_backward(struct bm_scalar_work *work);

/* Losses, right answers and, in training, the gradient of the logits into dx. */
void bm_scalar_softmax(struct bm_scalar_work *work);

/* ---- sum.c: sums over images and positions, channel by channel, for channels begin .. end ---- */

/* x, y: [count][channels][positions] */
struct bm_scalar_channels {
    uint64_t count;
    uint64_t channels;
    uint64_t positions;
    uint64_t begin;
    uint64_t end;
};

/* sums[c] = sum x */
void bm_scalar_sum(const struct bm_scalar_channels *shape, const float *x, float *sums);

/* sums[c] = sum (x - mean[c])^2 */
void bm_scalar_sum_square(const struct bm_scalar_channels *shape,
                          const float *x,
                          const float *mean,
                          float *sums);

/* sums[c] = sum dy (x - mean[c]) inverse[c] */
void bm_scalar_sum_product(const struct bm_scalar_channels *shape,
                           const float *dy,
                           const float *x,
                           const float *mean,
                           const float *inverse,
                           float *sums);

/* ---- optimizer.c ---- */

/* One step of all parameters with the stored gradient. */
void bm_scalar_apply(struct bm_session *session, const struct bm_kit_rule *rule);

/* Takes a complete piece of gradient, parameters offset .. offset + count; `values` is used up. */
void bm_scalar_sink(struct bm_session *session, uint64_t offset, float *values, uint64_t count);

/* ---- pass.c ---- */

/* Forward and, in training, backward through all layers, as session->pass says. Returns the summed
 * loss. */
double bm_scalar_pass_run(struct bm_session *session);

/* ---- memory.c ---- */

/* Gives every array its place in one block of memory and counts its bytes; without memory (NULL)
 * only counts. UNSUPPORTED if the sum cannot be addressed. */
int32_t bm_scalar_lay_out(struct bm_session *session, void *memory, struct bm_error *error);

/* ---- calls.c: what the table offers on a session ---- */

int32_t bm_scalar_bind_data(struct bm_session *session,
                            uint32_t split,
                            const struct bm_data *data,
                            struct bm_error *error);
int32_t bm_scalar_set_order(struct bm_session *session,
                            const uint32_t *order,
                            uint64_t count,
                            struct bm_error *error);
int32_t bm_scalar_write_params(struct bm_session *session,
                               const float *values,
                               uint64_t count,
                               struct bm_error *error);
int32_t bm_scalar_read_params(struct bm_session *session,
                              float *values,
                              uint64_t count,
                              struct bm_error *error);
int32_t bm_scalar_read_gradient(struct bm_session *session,
                                float *values,
                                uint64_t count,
                                struct bm_error *error);
int32_t bm_scalar_write_gradient(struct bm_session *session,
                                 const float *values,
                                 uint64_t count,
                                 struct bm_error *error);
int32_t bm_scalar_read_state(struct bm_session *session,
                             uint32_t slot,
                             float *values,
                             uint64_t count,
                             struct bm_error *error);
int32_t bm_scalar_write_state(struct bm_session *session,
                              uint32_t slot,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error);
int32_t bm_scalar_gradient(struct bm_session *session,
                           const struct bm_slice *slice,
                           struct bm_error *error);
int32_t bm_scalar_apply_call(struct bm_session *session,
                             const struct bm_hyper *hyper,
                             struct bm_error *error);
int32_t bm_scalar_update(struct bm_session *session,
                         const struct bm_slice *slice,
                         const struct bm_hyper *hyper,
                         struct bm_error *error);
int32_t bm_scalar_updates(struct bm_session *session,
                          const struct bm_slice *slice,
                          uint32_t count,
                          const struct bm_hyper *hyper,
                          uint32_t hyper_stride,
                          struct bm_error *error);
int32_t bm_scalar_evaluate(struct bm_session *session,
                           uint32_t split,
                           uint64_t first,
                           uint64_t count,
                           uint32_t flags,
                           double *loss,
                           uint64_t *correct,
                           struct bm_error *error);
int32_t bm_scalar_wait(struct bm_session *session, double *loss, struct bm_error *error);

#endif
