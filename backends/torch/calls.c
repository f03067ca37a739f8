/* What the table offers on a session: checks of arguments and state (the kit's), then torch. Torch
 * has finished when a call returns. */
#include "torch.h"

/* Images that evaluate sends through the layers at once, if batch_max allows. */
#define EVALUATE_COUNT 1000u

/* ---- Data, parameters, state ---- */

int32_t bm_torch_bind_data(struct bm_session *session,
                           uint32_t split,
                           const struct bm_data *data,
                           struct bm_error *error) {
    int32_t status = bm_kit_session_bind(&session->core, split, data, error);
    return status == BM_STATUS_OK ? bm_torch_bind(session, split, error) : status;
}

int32_t bm_torch_set_order(struct bm_session *session,
                           const uint32_t *order,
                           uint64_t count,
                           struct bm_error *error) {
    int32_t status = bm_kit_session_order(&session->core, order, count, error);
    return status == BM_STATUS_OK ? bm_torch_order(session, error) : status;
}

int32_t bm_torch_write_params(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    return status == BM_STATUS_OK ? bm_torch_put_params(session, values, error) : status;
}

int32_t bm_torch_read_params(struct bm_session *session,
                             float *values,
                             uint64_t count,
                             struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    return status == BM_STATUS_OK ? bm_torch_get_params(session, values, error) : status;
}

int32_t bm_torch_read_gradient(struct bm_session *session,
                               float *values,
                               uint64_t count,
                               struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "read_gradient", error);
    }
    return status == BM_STATUS_OK ? bm_torch_get_gradient(session, values, error) : status;
}

int32_t bm_torch_write_gradient(struct bm_session *session,
                                const float *values,
                                uint64_t count,
                                struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = bm_torch_put_gradient(session, values, error);
    }
    if (status == BM_STATUS_OK) {
        session->core.has_gradient = 1;
    }
    return status;
}

int32_t bm_torch_read_state(struct bm_session *session,
                            uint32_t slot,
                            float *values,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    return status == BM_STATUS_OK ? bm_torch_get_state(session, slot, values, error) : status;
}

int32_t bm_torch_write_state(struct bm_session *session,
                             uint32_t slot,
                             const float *values,
                             uint64_t count,
                             struct bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    return status == BM_STATUS_OK ? bm_torch_put_state(session, slot, values, error) : status;
}

/* ---- Gradient, apply ---- */

/* Torch refuses one value a channel in training. It is asked for before the pass: layers above have
 * changed their running statistics when it says so itself. */
static int32_t check_single_values(const struct bm_session *session,
                                   const struct bm_slice *slice,
                                   struct bm_error *error) {
    const struct bm_kit_network *network = &session->core.network;
    if ((slice->flags & BM_SLICE_USE_RUNNING) != 0 || slice->count > 1) {
        return BM_STATUS_OK;
    }
    for (uint32_t i = 0; i < network->layer_count; i++) {
        const struct bm_kit_shape *shape = &network->layers[i].output;
        if (network->layers[i].kind == BM_LAYER_BATCHNORM && shape->height * shape->width == 1) {
            return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                               "layer %u, batchnorm: torch says \"Expected more than 1 value per "
                               "channel when training, got input size [1, %u]\"",
                               i, shape->channels);
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_torch_gradient_call(struct bm_session *session,
                               const struct bm_slice *slice,
                               struct bm_error *error) {
    int32_t status = bm_kit_check_slice(&session->core, slice, 1, error);
    if (status == BM_STATUS_OK) {
        status = check_single_values(session, slice, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->core.has_gradient = 0; /* should torch fail on its way */
    status = bm_torch_gradient(session, slice, error);
    session->core.has_gradient = status == BM_STATUS_OK;
    return status;
}

int32_t bm_torch_apply_call(struct bm_session *session,
                            const struct bm_hyper *hyper,
                            struct bm_error *error) {
    int32_t status = bm_kit_check_hyper(hyper, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "apply", error);
    }
    return status == BM_STATUS_OK ? bm_torch_step(session, hyper, error) : status;
}

/* ---- Evaluation and wait ---- */

int32_t bm_torch_evaluate_call(struct bm_session *session,
                               uint32_t split,
                               uint64_t first,
                               uint64_t count,
                               uint32_t flags,
                               double *loss,
                               uint64_t *correct,
                               struct bm_error *error) {
    int32_t status = bm_kit_check_evaluate(&session->core, split, first, count, flags, error);
    uint64_t most =
        session->core.batch_max < EVALUATE_COUNT ? session->core.batch_max : EVALUATE_COUNT;
    double sum = 0;
    uint64_t right = 0;
    for (uint64_t done = 0; status == BM_STATUS_OK && done < count; done += most) {
        uint64_t part = count - done < most ? count - done : most;
        status = bm_torch_evaluate(session, split, first + done, part, &sum, &right, error);
    }
    if (status == BM_STATUS_OK) {
        *loss = sum;
        *correct = right;
    }
    return status;
}

int32_t bm_torch_wait(struct bm_session *session, double *loss, struct bm_error *error) {
    (void)error;
    if (loss != NULL) {
        *loss = session->core.loss;
    }
    return BM_STATUS_OK;
}
