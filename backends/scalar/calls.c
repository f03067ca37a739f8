/* What the table offers on a session: checks of arguments and state (the kit's), then the work.
 * Everything is finished when a call returns. */
#include "scalar.h"

#include <string.h>

/* Images that evaluate sends through the layers at once, if batch_max allows. */
#define EVALUATE_COUNT 1000u

/* ---- Data, parameters, state ---- */

int32_t bm_scalar_bind_data(struct bm_session *session,
                            uint32_t split,
                            const struct bm_data *data,
                            struct bm_error *error) {
    return bm_kit_session_bind(&session->core, split, data, error);
}

int32_t bm_scalar_set_order(struct bm_session *session,
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

int32_t bm_scalar_write_params(struct bm_session *session,
                               const float *values,
                               uint64_t count,
                               struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(session->params, values, count);
    }
    return status;
}

int32_t bm_scalar_read_params(struct bm_session *session,
                              float *values,
                              uint64_t count,
                              struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(values, session->params, count);
    }
    return status;
}

int32_t bm_scalar_read_gradient(struct bm_session *session,
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

int32_t bm_scalar_write_gradient(struct bm_session *session,
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

int32_t bm_scalar_read_state(struct bm_session *session,
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

int32_t bm_scalar_write_state(struct bm_session *session,
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

/* ---- Gradient, apply, update ---- */

/* Forward and backward over a checked slice; rule NULL: the gradient is stored. */
static void run_slice(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_kit_rule *rule) {
    struct bm_scalar_pass *pass = &session->pass;
    *pass = (struct bm_scalar_pass){
        .data = &session->core.data[BM_SPLIT_TRAIN],
        .images = session->core.order + slice->first,
        .count = slice->count,
        .flags = slice->flags,
        .training = 1,
        .update = slice->update,
        .divisor = slice->divisor,
        .sink = rule != NULL ? BM_SCALAR_SINK_APPLY : BM_SCALAR_SINK_STORE,
    };
    if (rule != NULL) {
        pass->rule = *rule;
    }
    double loss = bm_scalar_pass_run(session) / slice->divisor;
    session->core.loss =
        (slice->flags & BM_SLICE_ACCUMULATE) != 0 ? session->core.loss + loss : loss;
}

int32_t bm_scalar_gradient(struct bm_session *session,
                           const struct bm_slice *slice,
                           struct bm_error *error) {
    int32_t status = bm_kit_check_slice(&session->core, slice, 1, error);
    if (status == BM_STATUS_OK) {
        run_slice(session, slice, NULL);
        session->core.has_gradient = 1;
    }
    return status;
}

int32_t bm_scalar_apply_call(struct bm_session *session,
                             const struct bm_hyper *hyper,
                             struct bm_error *error) {
    struct bm_kit_rule rule;
    int32_t status = bm_kit_check_hyper(hyper, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "apply", error);
    }
    if (status == BM_STATUS_OK) {
        bm_kit_rule_init(&rule, session->core.optimizer, hyper);
        bm_scalar_apply(session, &rule);
    }
    return status;
}

static void
run_update(struct bm_session *session, const struct bm_slice *slice, const struct bm_hyper *hyper) {
    struct bm_kit_rule rule;
    bm_kit_rule_init(&rule, session->core.optimizer, hyper);
    if (bm_kit_rule_is_local(session->core.optimizer)) {
        run_slice(session, slice, &rule);
    } else {
        run_slice(session, slice, NULL);
        bm_scalar_apply(session, &rule);
    }
    session->core.has_gradient = 0;
}

int32_t bm_scalar_update(struct bm_session *session,
                         const struct bm_slice *slice,
                         const struct bm_hyper *hyper,
                         struct bm_error *error) {
    int32_t status = bm_kit_check_slice(&session->core, slice, 1, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_hyper(hyper, error);
    }
    if (status == BM_STATUS_OK) {
        run_update(session, slice, hyper);
    }
    return status;
}

int32_t bm_scalar_updates(struct bm_session *session,
                          const struct bm_slice *slice,
                          uint32_t count,
                          const struct bm_hyper *hyper,
                          uint32_t hyper_stride,
                          struct bm_error *error) {
    int32_t status = bm_kit_check_updates(&session->core, slice, count, hyper, hyper_stride, error);
    for (uint32_t k = 0; status == BM_STATUS_OK && k < count; k++) {
        struct bm_slice own;
        struct bm_hyper step;
        bm_kit_nth_update(slice, hyper, hyper_stride, k, &own, &step);
        run_update(session, &own, &step);
    }
    return status;
}

/* ---- Evaluation and wait ---- */

int32_t bm_scalar_evaluate(struct bm_session *session,
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
        session->pass = (struct bm_scalar_pass){
            .data = &session->core.data[split],
            .first = first + done,
            .count = count - done < most ? count - done : most,
        };
        sum += bm_scalar_pass_run(session);
        for (uint64_t b = 0; b < session->pass.count; b++) {
            right += session->right[b];
        }
    }
    *loss = sum;
    *correct = right;
    return BM_STATUS_OK;
}

int32_t bm_scalar_wait(struct bm_session *session, double *loss, struct bm_error *error) {
    (void)error;
    if (loss != NULL) {
        *loss = session->core.loss;
    }
    return BM_STATUS_OK;
}
