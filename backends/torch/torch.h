/*
 * The torch backend: a network of torch::nn, its autograd and a rule of torch::optim, as a user of
 * libtorch would write them. This header is read by C and C++: the files in C hold the table and
 * check arguments, the files in C++ call torch. No exception of torch leaves a function named here.
 */
#ifndef BM_TORCH_H
#define BM_TORCH_H

#include <batchmark/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What torch holds of a session: modules, optimizer, tensors over the bound data. */
struct bm_torch_engine;

struct bm_session {
    struct bm_kit_session core;
    struct bm_torch_engine *engine;
};

/* ---- engine.cc; arguments are checked before ---- */

/* On failure session->engine is NULL. */
int32_t bm_torch_engine_create(struct bm_session *session, struct bm_error *error);
void bm_torch_engine_destroy(struct bm_torch_engine *engine);

/* session->core.data[split] and session->core.order as tensors. */
int32_t bm_torch_bind(struct bm_session *session, uint32_t split, struct bm_error *error);
int32_t bm_torch_order(struct bm_session *session, struct bm_error *error);

int32_t
bm_torch_put_params(struct bm_session *session, const float *values, struct bm_error *error);
int32_t bm_torch_get_params(struct bm_session *session, float *values, struct bm_error *error);
int32_t
bm_torch_put_gradient(struct bm_session *session, const float *values, struct bm_error *error);
int32_t bm_torch_get_gradient(struct bm_session *session, float *values, struct bm_error *error);
int32_t bm_torch_put_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           struct bm_error *error);
int32_t bm_torch_get_state(struct bm_session *session,
                           uint32_t slot,
                           float *values,
                           struct bm_error *error);

/* Keeps the loss in session->core.loss. */
int32_t
bm_torch_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error);
int32_t
bm_torch_step(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error);

/* At most `count` images of the split from `first`, in one pass; adds to *loss and *correct. */
int32_t bm_torch_evaluate(struct bm_session *session,
                          uint32_t split,
                          uint64_t first,
                          uint64_t count,
                          double *loss,
                          uint64_t *correct,
                          struct bm_error *error);

/* ---- describe.cc ---- */

int32_t bm_torch_describe(struct bm_session *session,
                          char *text,
                          uint32_t capacity,
                          struct bm_error *error);

/* ---- blas.c ---- */

#define BM_TORCH_BLAS_NAME_SIZE 256

/* The file whose sgemm is called, with its folder's name: "blis-openmp/libblas.so.3". */
void bm_torch_blas_name(char name[BM_TORCH_BLAS_NAME_SIZE]);

/* OpenBLAS has threads that torch does not know of: sets their number. Other libraries follow
 * OpenMP or the environment. */
void bm_torch_blas_set_threads(uint32_t count);

/* The number in force; 0 if the library does not say. */
uint32_t bm_torch_blas_threads(void);

/* ---- calls.c: what the table offers on a session ---- */

int32_t bm_torch_bind_data(struct bm_session *session,
                           uint32_t split,
                           const struct bm_data *data,
                           struct bm_error *error);
int32_t bm_torch_set_order(struct bm_session *session,
                           const uint32_t *order,
                           uint64_t count,
                           struct bm_error *error);
int32_t bm_torch_write_params(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error);
int32_t bm_torch_read_params(struct bm_session *session,
                             float *values,
                             uint64_t count,
                             struct bm_error *error);
int32_t bm_torch_read_gradient(struct bm_session *session,
                               float *values,
                               uint64_t count,
                               struct bm_error *error);
int32_t bm_torch_write_gradient(struct bm_session *session,
                                const float *values,
                                uint64_t count,
                                struct bm_error *error);
int32_t bm_torch_read_state(struct bm_session *session,
                            uint32_t slot,
                            float *values,
                            uint64_t count,
                            struct bm_error *error);
int32_t bm_torch_write_state(struct bm_session *session,
                             uint32_t slot,
                             const float *values,
                             uint64_t count,
                             struct bm_error *error);
int32_t bm_torch_gradient_call(struct bm_session *session,
                               const struct bm_slice *slice,
                               struct bm_error *error);
int32_t bm_torch_apply_call(struct bm_session *session,
                            const struct bm_hyper *hyper,
                            struct bm_error *error);
int32_t bm_torch_evaluate_call(struct bm_session *session,
                               uint32_t split,
                               uint64_t first,
                               uint64_t count,
                               uint32_t flags,
                               double *loss,
                               uint64_t *correct,
                               struct bm_error *error);
int32_t bm_torch_wait(struct bm_session *session, double *loss, struct bm_error *error);

#ifdef __cplusplus
}
#endif

#endif
