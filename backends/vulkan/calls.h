/* What the plugin's table offers on a session (plugin.h). */
#ifndef BM_VULKAN_CALLS_H
#define BM_VULKAN_CALLS_H

#include "session.h"

/* ---- data.c ---- */

int32_t bm_vulkan_bind_data(struct bm_session *session,
                            uint32_t split,
                            const struct bm_data *data,
                            struct bm_error *error);
int32_t bm_vulkan_set_order(struct bm_session *session,
                            const uint32_t *order,
                            uint64_t count,
                            struct bm_error *error);
int32_t bm_vulkan_write_params(struct bm_session *session,
                               const float *values,
                               uint64_t count,
                               struct bm_error *error);
int32_t bm_vulkan_read_params(struct bm_session *session,
                              float *values,
                              uint64_t count,
                              struct bm_error *error);
int32_t bm_vulkan_read_gradient(struct bm_session *session,
                                float *values,
                                uint64_t count,
                                struct bm_error *error);
int32_t bm_vulkan_write_gradient(struct bm_session *session,
                                 const float *values,
                                 uint64_t count,
                                 struct bm_error *error);
int32_t bm_vulkan_read_state(struct bm_session *session,
                             uint32_t slot,
                             float *values,
                             uint64_t count,
                             struct bm_error *error);
int32_t bm_vulkan_write_state(struct bm_session *session,
                              uint32_t slot,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error);

/* ---- calls.c ---- */

int32_t bm_vulkan_gradient(struct bm_session *session,
                           const struct bm_slice *slice,
                           struct bm_error *error);
int32_t
bm_vulkan_apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error);
int32_t bm_vulkan_update(struct bm_session *session,
                         const struct bm_slice *slice,
                         const struct bm_hyper *hyper,
                         struct bm_error *error);
int32_t bm_vulkan_updates(struct bm_session *session,
                          const struct bm_slice *slice,
                          uint32_t count,
                          const struct bm_hyper *hyper,
                          uint32_t hyper_stride,
                          struct bm_error *error);
int32_t bm_vulkan_evaluate(struct bm_session *session,
                           uint32_t split,
                           uint64_t first,
                           uint64_t count,
                           uint32_t flags,
                           double *loss,
                           uint64_t *correct,
                           struct bm_error *error);
int32_t bm_vulkan_wait(struct bm_session *session, double *loss, struct bm_error *error);

/* ---- timestamps.c ---- */

int32_t bm_vulkan_device_time(struct bm_session *session,
                              struct bm_device_time *time,
                              struct bm_error *error);

#endif
