/* What the table offers on a session: checks of arguments and state (the kit's), then the work.
 * Everything is finished when a call returns. */
#include "blas.h"

#include <string.h>

/* Images that evaluate sends through the layers at once, if batch_max allows. */
#define EVALUATE_COUNT 1000u

/* ---- Data, parameters, state ---- */

int32_t bm_blas_bind_data(struct bm_session *session,
                          uint32_t split,
                          const struct bm_data *data,
                          struct bm_error *error) {
    return bm_kit_session_bind(&session->core, split, data, error);
}

int32_t bm_blas_set_order(struct bm_session *session,
                          const uint32_t *order,
                          uint64_t count,
                          struct bm_error *error) {
    return bm_kit_session_order(&session->core, order, count, error);
}

/* memcpy of nothing may not be given NULL. */
static void copy(float *to, const float *from, uint64_t count) {
    if (count > 0) {
        memcpy(to, from, count * sizeof *to);
    }
}

int32_t bm_blas_write_params(struct bm_session *session,
                             const float *values,
                             uint64_t count,
                             struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(session->params, values, count);
    }
    return status;
}

int32_t bm_blas_read_params(struct bm_session *session,
                            float *values,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(values, session->params, count);
    }
    return status;
}

int32_t bm_blas_read_gradient(struct bm_session *session,
                              float *values,
                              uint64_t count,
                              struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "read_gradient", error);
    }
    if (status == BM_STATUS_OK) {
        copy(values, session->gradient, count);
    }
    return status;
}

int32_t bm_blas_write_gradient(struct bm_session *session,
                               const float *values,
                               uint64_t count,
                               struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(session->gradient, values, count);
        session->core.has_gradient = 1;
    }
    return status;
}

static float *slot_values(struct bm_session *session, uint32_t slot) {
    return slot == BM_STATE_STATISTICS ? session->statistics : session->state[slot];
}

int32_t bm_blas_read_state(struct bm_session *session,
                           uint32_t slot,
                           float *values,
                           uint64_t count,
                           struct bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status == BM_STATUS_OK) {
        copy(values, slot_values(session, slot), count);
    }
    return status;
}

int32_t bm_blas_write_state(struct bm_session *session,
                            uint32_t slot,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status == BM_STATUS_OK) {
        copy(slot_values(session, slot), values, count);
    }
    return status;
}

/* ---- Gradient and apply ---- */

int32_t
bm_blas_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    int32_t status = bm_kit_check_slice(&session->core, slice, 1, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->pass = (struct bm_blas_pass){
        .data = &session->core.data[BM_SPLIT_TRAIN],
        .images = session->core.order + slice->first,
        .count = slice->count,
        .flags = slice->flags,
        .training = 1,
        .update = slice->update,
        .divisor = slice->divisor,
    };
    bm_blas_pass_run(session);
    double loss = session->pass.loss / slice->divisor;
    session->core.loss =
        (slice->flags & BM_SLICE_ACCUMULATE) != 0 ? session->core.loss + loss : loss;
    session->core.has_gradient = 1;
    return BM_STATUS_OK;
}

int32_t
bm_blas_apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    int32_t status = bm_kit_check_hyper(hyper, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "apply", error);
    }
    if (status == BM_STATUS_OK) {
        bm_blas_step(session, hyper);
    }
    return status;
}

/* ---- Evaluation and wait ---- */

int32_t bm_blas_evaluate(struct bm_session *session,
                         uint32_t split,
                         uint64_t first,
                         uint64_t count,
                         uint32_t flags,
                         double *loss,
                         uint64_t *correct,
                         struct bm_error *error) {
    int32_t status = bm_kit_check_evaluate(&session->core, split, first, count, flags, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    uint64_t most =
        session->core.batch_max < EVALUATE_COUNT ? session->core.batch_max : EVALUATE_COUNT;
    double sum = 0;
    uint64_t right = 0;
    for (uint64_t done = 0; done < count; done += session->pass.count) {
        session->pass = (struct bm_blas_pass){
            .data = &session->core.data[split],
            .first = first + done,
            .count = count - done < most ? count - done : most,
        };
        bm_blas_pass_run(session);
        sum += session->pass.loss;
        right += session->pass.right;
    }
    *loss = sum;
    *correct = right;
    return BM_STATUS_OK;
}

int32_t bm_blas_wait(struct bm_session *session, double *loss, struct bm_error *error) {
    (void)error;
    if (loss != NULL) {
        *loss = session->core.loss;
    }
    return BM_STATUS_OK;
}
