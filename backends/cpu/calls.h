/* What entry.c puts into the plugin's table: everything that needs a session. Knows no vectors, so
 * that it can be read by code for the baseline processor. */
#ifndef BM_CPU_CALLS_H
#define BM_CPU_CALLS_H

#include <batchmark/kit.h>

/* ---- session.c ---- */

int32_t bm_cpu_supports(const struct bm_problem *problem, uint64_t *bytes, struct bm_error *error);
int32_t bm_cpu_create(const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error);
void bm_cpu_destroy(struct bm_session *session);
int32_t
bm_cpu_describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error);

/* ---- calls.c: what the table offers on a session ---- */

int32_t bm_cpu_bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error);
int32_t bm_cpu_set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error);
int32_t bm_cpu_write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error);
int32_t bm_cpu_read_params(struct bm_session *session,
                           float *values,
                           uint64_t count,
                           struct bm_error *error);
int32_t bm_cpu_read_gradient(struct bm_session *session,
                             float *values,
                             uint64_t count,
                             struct bm_error *error);
int32_t bm_cpu_write_gradient(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error);
int32_t bm_cpu_read_state(struct bm_session *session,
                          uint32_t slot,
                          float *values,
                          uint64_t count,
                          struct bm_error *error);
int32_t bm_cpu_write_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           uint64_t count,
                           struct bm_error *error);
int32_t
bm_cpu_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error);
int32_t
bm_cpu_apply_call(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error);
int32_t bm_cpu_update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error);
int32_t bm_cpu_updates(struct bm_session *session,
                       const struct bm_slice *slice,
                       uint32_t count,
                       const struct bm_hyper *hyper,
                       uint32_t hyper_stride,
                       struct bm_error *error);
int32_t bm_cpu_evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error);
int32_t bm_cpu_wait(struct bm_session *session, double *loss, struct bm_error *error);

#endif
