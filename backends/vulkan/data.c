/* Data, order, parameters and state, to the device and back. */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

/* ---- Data and order ---- */

/* A buffer with these values; what was there goes. */
static int32_t replace(struct bm_session *session,
                       struct bm_vulkan_buffer *buffer,
                       const char *what,
                       const void *values,
                       uint64_t bytes,
                       struct bm_error *error) {
    const uint64_t word = sizeof(uint32_t);
    bm_vulkan_destroy_buffer(&session->device, buffer);
    /* Bytes are read as words. */
    int32_t status = bm_vulkan_create_buffer(&session->device, BM_VULKAN_ON_DEVICE,
                                             (bytes + word - 1) / word * word, what, buffer, error);
    return status == BM_STATUS_OK ? bm_vulkan_write(&session->queue, buffer, values, bytes, error)
                                  : status;
}

static int32_t check_bytes(const struct bm_session *session,
                           const struct bm_data *data,
                           uint64_t *values,
                           struct bm_error *error) {
    if (__builtin_mul_overflow(data->count, session->core.network.input_size, values) ||
        *values > UINT32_MAX) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "data: expected at most 2^32 values, found %llu images of %llu",
                           (unsigned long long)data->count,
                           (unsigned long long)session->core.network.input_size);
    }
    return BM_STATUS_OK;
}

static int32_t upload(struct bm_session *session,
                      struct bm_vulkan_split *split,
                      const struct bm_data *data,
                      uint64_t values,
                      struct bm_error *error) {
    int32_t has_bytes = data->type == BM_DATA_UINT8;
    int32_t status = replace(session, &split->images, "images", data->images,
                             values * (has_bytes ? 1 : sizeof(float)), error);
    if (status == BM_STATUS_OK) {
        status = replace(session, &split->labels, "labels", data->labels,
                         data->count * sizeof *data->labels, error);
    }
    if (status == BM_STATUS_OK && has_bytes) {
        /* The kit's copy: scale, then shift. */
        status = replace(session, &split->scales, "scales", data->scale,
                         2 * sizeof(float) * session->core.network.input.channels, error);
    }
    return status;
}

static int32_t give_order(struct bm_session *session, uint64_t count, struct bm_error *error) {
    bm_vulkan_destroy_buffer(&session->device, &session->order);
    return bm_vulkan_create_buffer(&session->device, BM_VULKAN_ON_DEVICE, count * sizeof(uint32_t),
                                   "order", &session->order, error);
}

int32_t bm_vulkan_bind_data(struct bm_session *session,
                            uint32_t split,
                            const struct bm_data *data,
                            struct bm_error *error) {
    uint64_t values = 0;
    int32_t status = bm_vulkan_check_queue(&session->queue, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_session_bind(&session->core, split, data, error);
    }
    if (status != BM_STATUS_OK) {
        return status; /* what was bound still is */
    }
    status = check_bytes(session, &session->core.data[split], &values, error);
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_wait_all(&session->queue, error);
    }
    if (status == BM_STATUS_OK) {
        bm_vulkan_forget_programs(session);
        status =
            upload(session, &session->splits[split], &session->core.data[split], values, error);
    }
    if (status == BM_STATUS_OK && split == BM_SPLIT_TRAIN) {
        status = give_order(session, data->count, error);
    }
    if (status != BM_STATUS_OK) {
        session->core.data[split].size = 0;
    }
    return status;
}

int32_t bm_vulkan_set_order(struct bm_session *session,
                            const uint32_t *order,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = bm_vulkan_check_queue(&session->queue, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_session_order(&session->core, order, count, error);
    }
    if (status != BM_STATUS_OK) {
        return status; /* the order before stays */
    }
    if (count > UINT32_MAX) {
        status = bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                             "order: expected at most 2^32 images, found %llu",
                             (unsigned long long)count);
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_wait_all(&session->queue, error);
    }
    if (status == BM_STATUS_OK && count * sizeof *order > session->order.bytes) {
        bm_vulkan_forget_programs(session);
        status = give_order(session, count, error);
    }
    if (status == BM_STATUS_OK) {
        status =
            bm_vulkan_write(&session->queue, &session->order, order, count * sizeof *order, error);
    }
    if (status != BM_STATUS_OK) {
        session->core.order_count = 0;
    }
    return status;
}

/* ---- Parameters, gradient, state ---- */

static float *take_packed(const struct bm_session *session, struct bm_error *error) {
    float *packed = malloc(session->vector_count * 4 * sizeof *packed + 1);
    if (packed == NULL) {
        (void)bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a copy of the parameters");
    }
    return packed;
}

static int32_t write_packed(struct bm_session *session,
                            const struct bm_vulkan_buffer *to,
                            const float *values,
                            struct bm_error *error) {
    float *packed = take_packed(session, error);
    if (packed == NULL) {
        return BM_STATUS_NO_MEMORY;
    }
    bm_vulkan_pack(session, values, packed);
    int32_t status = bm_vulkan_write(&session->queue, to, packed,
                                     session->vector_count * 4 * sizeof *packed, error);
    free(packed);
    return status;
}

static int32_t read_packed(struct bm_session *session,
                           const struct bm_vulkan_buffer *from,
                           float *values,
                           struct bm_error *error) {
    float *packed = take_packed(session, error);
    if (packed == NULL) {
        return BM_STATUS_NO_MEMORY;
    }
    int32_t status = bm_vulkan_read(&session->queue, from, packed,
                                    session->vector_count * 4 * sizeof *packed, error);
    if (status == BM_STATUS_OK) {
        bm_vulkan_unpack(session, packed, values);
    }
    free(packed);
    return status;
}

int32_t bm_vulkan_write_params(struct bm_session *session,
                               const float *values,
                               uint64_t count,
                               struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    return status == BM_STATUS_OK ? write_packed(session, session->params, values, error) : status;
}

int32_t bm_vulkan_read_params(struct bm_session *session,
                              float *values,
                              uint64_t count,
                              struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    return status == BM_STATUS_OK ? read_packed(session, session->params, values, error) : status;
}

int32_t bm_vulkan_read_gradient(struct bm_session *session,
                                float *values,
                                uint64_t count,
                                struct bm_error *error) {
    int32_t status = bm_vulkan_check_queue(&session->queue, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "read_gradient", error);
    }
    return status == BM_STATUS_OK ? read_packed(session, session->gradient, values, error) : status;
}

int32_t bm_vulkan_write_gradient(struct bm_session *session,
                                 const float *values,
                                 uint64_t count,
                                 struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = write_packed(session, session->gradient, values, error);
    }
    if (status == BM_STATUS_OK) {
        session->core.has_gradient = 1;
    }
    return status;
}

int32_t bm_vulkan_read_state(struct bm_session *session,
                             uint32_t slot,
                             float *values,
                             uint64_t count,
                             struct bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (slot == BM_STATE_STATISTICS) {
        return bm_vulkan_read(&session->queue, session->statistics, values, count * sizeof *values,
                              error);
    }
    return read_packed(session, session->state[slot], values, error);
}

int32_t bm_vulkan_write_state(struct bm_session *session,
                              uint32_t slot,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (slot == BM_STATE_STATISTICS) {
        return bm_vulkan_write(&session->queue, session->statistics, values, count * sizeof *values,
                               error);
    }
    return write_packed(session, session->state[slot], values, error);
}
