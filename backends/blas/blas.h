/*
 * The blas backend: matrix products from a CBLAS library, everything else in plain loops on the
 * calling thread. This header holds the session and what the files of the backend offer each
 * other.
 */
#ifndef BM_BLAS_H
#define BM_BLAS_H

#include <batchmark/kit.h>

/* ---- The library ---- */

/* The numbers of the option `library`. */
#define BM_BLAS_OPENBLAS 0u
#define BM_BLAS_BLIS 1u
#define BM_BLAS_KIND_COUNT 2u

#define BM_BLAS_PATH_SIZE 1024u

/* Constants of the CBLAS interface. */
#define BM_BLAS_ROW_MAJOR 101
#define BM_BLAS_NO_TRANS 111
#define BM_BLAS_TRANS 112

typedef void bm_blas_sgemm(int order,
                           int trans_a,
                           int trans_b,
                           int rows,
                           int columns,
                           int depth,
                           float alpha,
                           const float *a,
                           int lda,
                           const float *b,
                           int ldb,
                           float beta,
                           float *c,
                           int ldc);

typedef void bm_blas_sgemv(int order,
                           int trans,
                           int rows,
                           int columns,
                           float alpha,
                           const float *a,
                           int lda,
                           const float *x,
                           int x_step,
                           float beta,
                           float *y,
                           int y_step);

/* Never closed: a library's threads outlive its last user, and closing BLIS takes the code away
 * from under them. */
struct bm_blas_library {
    uint32_t kind; /* BM_BLAS_* */
    bm_blas_sgemm *sgemm;
    bm_blas_sgemv *sgemv;
    void (*set_openblas_threads)(int count); /* one of these two is set */
    void (*set_blis_threads)(int64_t count);
    void *handle;
};

/* What the options ask for. */
struct bm_blas_choice {
    int64_t kind;     /* BM_BLAS_*; -1: not given */
    const char *path; /* the problem's; NULL: not given */
};

extern const char *const bm_blas_kinds[BM_BLAS_KIND_COUNT + 1]; /* NULL-terminated */

/* Reads the problem's options and checks all of it; fills `core`. Belongs to the caller as with
 * bm_kit_session_init. */
int32_t bm_blas_options(struct bm_kit_session *core,
                        const struct bm_problem *problem,
                        struct bm_blas_choice *choice,
                        struct bm_error *error);

/* The file that the choice means, without loading it. UNSUPPORTED if that library is not installed,
 * INVALID for a path that is no file. */
int32_t bm_blas_find(const struct bm_blas_choice *choice,
                     char path[BM_BLAS_PATH_SIZE],
                     struct bm_error *error);

/* Finds and loads the library. */
int32_t bm_blas_open(const struct bm_blas_choice *choice,
                     struct bm_blas_library *library,
                     struct bm_error *error);

/* A library has one number of threads for the whole process: between enter and leave it is this
 * session's, and other sessions wait. */
void bm_blas_enter(const struct bm_blas_library *library, uint32_t thread_count);
void bm_blas_leave(void);

/* Writes what the library says of itself as lines key=value. */
void bm_blas_describe(const struct bm_blas_library *library, char *text, size_t capacity);

/* ---- The session ---- */

struct bm_blas_layer {
    struct bm_kit_layer facts;
    uint32_t index;
    float *output; /* [batch_max][output_size]; relu and dropout work in their input's place */
    uint8_t *kept; /* dropout: [batch_max][output_size] */

    /* Batch norm: [output_size], of the last forward pass, each channel's value repeated for its
     * positions. */
    float *mean;
    float *inverse; /* 1 / sqrt(variance + epsilon) */
};

/* The forward and backward pass being computed. */
struct bm_blas_pass {
    const struct bm_data *data;
    const uint32_t *images; /* [count] image numbers; NULL: first, first + 1, ... */
    uint64_t first;
    uint64_t count;
    uint32_t flags;
    uint32_t training; /* 0 in evaluate */
    uint64_t update;
    double divisor;
    double loss;    /* result: summed */
    uint64_t right; /* result: right answers */
};

struct bm_session {
    struct bm_kit_session core;
    struct bm_blas_library library;
    struct bm_blas_layer *layers; /* [core.network.layer_count] */
    void *memory;                 /* holds every array below */
    uint64_t memory_bytes;
    uint32_t first_trainable; /* the lowest layer that has parameters */

    float *params; /* [core.network.param_count], as are gradient and state */
    float *gradient;
    float *state[2];
    float *statistics;
    float *input;     /* [batch_max][input_size] */
    float *delta[2];  /* gradient of a layer's output, and of its input */
    double *sums[2];  /* [widest] sums over the images */
    float *units[3];  /* [widest] coefficients of batch norm */
    float *direction; /* lamb: of the largest tensor */
    struct bm_blas_pass pass;
};

/* One layer's work. Which pointers are set depends on the layer. */
struct bm_blas_work {
    struct bm_session *session;
    const struct bm_blas_layer *layer;
    const float *x; /* input of the layer, [count][input_size] */
    float *y;
    const float *dy; /* gradient of the output */
    float *dx;       /* gradient of the input; NULL: not wanted */
};

/* ---- layers ---- */

void bm_blas_input(struct bm_session *session);

void bm_blas_dense_forward(const struct bm_blas_work *work);
void bm_blas_dense_backward(const struct bm_blas_work *work);

void bm_blas_batchnorm_forward(const struct bm_blas_work *work);
void bm_blas_batchnorm_backward(const struct bm_blas_work *work); /* dx is dy */

void bm_blas_relu_forward(const struct bm_blas_work *work); /* y = x in place */
void bm_blas_relu_backward(const struct bm_blas_work *work);
void bm_blas_dropout_forward(const struct bm_blas_work *work);
void bm_blas_dropout_backward(const struct bm_blas_work *work);

/* Losses, right answers and, in training, the gradient of the logits into dx. */
void bm_blas_softmax(const struct bm_blas_work *work);

/* sums[u] = sum_b x[b][u], in double; x: [count][size] */
void bm_blas_sum_images(const float *x, uint64_t count, uint64_t size, double *sums);

/* Stores sums as a piece of gradient, or adds them if the pass accumulates. */
void bm_blas_store_gradient(struct bm_session *session,
                            uint64_t offset,
                            const double *sums,
                            uint64_t count);

/* ---- optimizer.c, pass.c, memory.c ---- */

/* One step of all parameters with the stored gradient. */
void bm_blas_step(struct bm_session *session, const struct bm_hyper *hyper);

/* Forward and, in training, backward through all layers, as session->pass says. */
void bm_blas_pass_run(struct bm_session *session);

/* Gives every array its place in one block of memory and counts its bytes; without memory (NULL)
 * only counts. UNSUPPORTED if the sum cannot be addressed. */
int32_t bm_blas_lay_out(struct bm_session *session, void *memory, struct bm_error *error);

/* ---- calls.c: what the table offers on a session ---- */

int32_t bm_blas_bind_data(struct bm_session *session,
                          uint32_t split,
                          const struct bm_data *data,
                          struct bm_error *error);
int32_t bm_blas_set_order(struct bm_session *session,
                          const uint32_t *order,
                          uint64_t count,
                          struct bm_error *error);
int32_t bm_blas_write_params(struct bm_session *session,
                             const float *values,
                             uint64_t count,
                             struct bm_error *error);
int32_t bm_blas_read_params(struct bm_session *session,
                            float *values,
                            uint64_t count,
                            struct bm_error *error);
int32_t bm_blas_read_gradient(struct bm_session *session,
                              float *values,
                              uint64_t count,
                              struct bm_error *error);
int32_t bm_blas_write_gradient(struct bm_session *session,
                               const float *values,
                               uint64_t count,
                               struct bm_error *error);
int32_t bm_blas_read_state(struct bm_session *session,
                           uint32_t slot,
                           float *values,
                           uint64_t count,
                           struct bm_error *error);
int32_t bm_blas_write_state(struct bm_session *session,
                            uint32_t slot,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error);
int32_t
bm_blas_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error);
int32_t
bm_blas_apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error);
int32_t bm_blas_evaluate(struct bm_session *session,
                         uint32_t split,
                         uint64_t first,
                         uint64_t count,
                         uint32_t flags,
                         double *loss,
                         uint64_t *correct,
                         struct bm_error *error);
int32_t bm_blas_wait(struct bm_session *session, double *loss, struct bm_error *error);

#endif
