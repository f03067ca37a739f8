/* What the table offers on a session: checks of arguments and state (the kit's), then the work.
 * Everything is finished when a call returns. */
#include "cpu.h"

#include <string.h>

/* ---- Data, parameters, state ---- */

int32_t bm_cpu_bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error) {
    return bm_kit_session_bind(&session->core, split, data, error);
}

int32_t bm_cpu_set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    return bm_kit_session_order(&session->core, order, count, error);
}

int32_t bm_cpu_write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        bm_cpu_pack(session, values, session->params);
    }
    return status;
}

int32_t bm_cpu_read_params(struct bm_session *session,
                           float *values,
                           uint64_t count,
                           struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        bm_cpu_unpack(session, session->params, values);
    }
    return status;
}

int32_t bm_cpu_read_gradient(struct bm_session *session,
                             float *values,
                             uint64_t count,
                             struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "read_gradient", error);
    }
    if (status == BM_STATUS_OK) {
        bm_cpu_unpack(session, session->gradient, values);
    }
    return status;
}

int32_t bm_cpu_write_gradient(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        bm_cpu_pack(session, values, session->gradient);
        session->core.has_gradient = 1;
    }
    return status;
}

int32_t bm_cpu_read_state(struct bm_session *session,
                          uint32_t slot,
                          float *values,
                          uint64_t count,
                          struct bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status == BM_STATUS_OK && slot != BM_STATE_STATISTICS) {
        bm_cpu_unpack(session, session->state[slot], values);
    } else if (status == BM_STATUS_OK && count > 0) {
        memcpy(values, session->statistics, count * sizeof *values);
    }
    return status;
}

int32_t bm_cpu_write_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           uint64_t count,
                           struct bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status == BM_STATUS_OK && slot != BM_STATE_STATISTICS) {
        bm_cpu_pack(session, values, session->state[slot]);
    } else if (status == BM_STATUS_OK && count > 0) {
        memcpy(session->statistics, values, count * sizeof *values);
    }
    return status;
}

/* ---- Gradient, apply, update ---- */

/* Forward and backward over a checked slice; rule NULL: the gradient is stored. */
static void run_slice(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_kit_rule *rule) {
    const struct bm_cpu_pass whole = {
        .data = &session->core.data[BM_SPLIT_TRAIN],
        .images = session->core.order + slice->first,
        .count = slice->count,
        .flags = slice->flags,
        .training = 1,
        .update = slice->update,
        .divisor = slice->divisor,
    };
    uint64_t right = 0;
    double loss = bm_cpu_pass_run(session, &whole, rule, &right) / slice->divisor;
    session->core.loss =
        (slice->flags & BM_SLICE_ACCUMULATE) != 0 ? session->core.loss + loss : loss;
    session->core.has_gradient = rule == NULL;
}

int32_t
bm_cpu_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    int32_t status = bm_kit_check_slice(&session->core, slice, 1, error);
    if (status == BM_STATUS_OK) {
        run_slice(session, slice, NULL);
    }
    return status;
}

int32_t bm_cpu_apply_call(struct bm_session *session,
                          const struct bm_hyper *hyper,
                          struct bm_error *error) {
    struct bm_kit_rule rule;
    int32_t status = bm_kit_check_hyper(hyper, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "apply", error);
    }
    if (status == BM_STATUS_OK) {
        bm_kit_rule_init(&rule, session->core.optimizer, hyper);
        bm_cpu_apply(session, &rule, 0);
    }
    return status;
}

static void
run_update(struct bm_session *session, const struct bm_slice *slice, const struct bm_hyper *hyper) {
    struct bm_kit_rule rule;
    bm_kit_rule_init(&rule, session->core.optimizer, hyper);
    run_slice(session, slice, &rule);
}

int32_t bm_cpu_update(struct bm_session *session,
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

int32_t bm_cpu_updates(struct bm_session *session,
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

int32_t bm_cpu_evaluate(struct bm_session *session,
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
    const struct bm_cpu_pass whole = {
        .data = &session->core.data[split], .first = first, .count = count};
    *correct = 0;
    *loss = bm_cpu_pass_run(session, &whole, NULL, correct);
    return BM_STATUS_OK;
}

int32_t bm_cpu_wait(struct bm_session *session, double *loss, struct bm_error *error) {
    (void)error;
    if (loss != NULL) {
        *loss = session->core.loss;
    }
    return BM_STATUS_OK;
}
