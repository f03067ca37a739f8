/* What the table offers on a session: checks of arguments and state, then the work. Everything is
 * finished when a call returns. */
#include "scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Images that evaluate sends through the layers at once, if batch_max allows. */
#define EVALUATE_COUNT 1000u

#define SLICE_FLAGS                                                                                \
    (BM_SLICE_ACCUMULATE | BM_SLICE_KEEP_STATISTICS | BM_SLICE_USE_RUNNING | BM_SLICE_NO_DROPOUT)

/* ---- Data ---- */

static int32_t check_labels(const struct bm_data *data, uint32_t classes, struct bm_error *error) {
    for (uint64_t i = 0; i < data->count; i++) {
        if (data->labels[i] < 0 || (uint32_t)data->labels[i] >= classes) {
            return bm_kit_fail(error, BM_STATUS_INVALID,
                               "label of image %llu: expected 0 .. %u, found %d",
                               (unsigned long long)i, classes - 1, data->labels[i]);
        }
    }
    return BM_STATUS_OK;
}

static int32_t check_data(const struct bm_session *session,
                          uint32_t split,
                          const struct bm_data *data,
                          struct bm_error *error) {
    if (split >= BM_SPLIT_COUNT) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "split: expected 0 .. %u, found %u",
                           BM_SPLIT_COUNT - 1, split);
    }
    int32_t status = bm_kit_struct(data, sizeof *data, "data", error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (data->type != BM_DATA_UINT8 && data->type != BM_DATA_FLOAT32) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED, "data.type: expected 0 or 1, found %u",
                           data->type);
    }
    /* Image numbers are 32 bits in an order. */
    if (data->count == 0 || data->count > UINT32_MAX) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "data.count: expected 1 .. %u, found %llu",
                           UINT32_MAX, (unsigned long long)data->count);
    }
    if (data->images == NULL || data->labels == NULL ||
        (data->type == BM_DATA_UINT8 && (data->scale == NULL || data->shift == NULL))) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "data: expected images and labels, and scale and shift of bytes, found "
                           "NULL");
    }
    return check_labels(data, session->network.class_count, error);
}

int32_t bm_scalar_bind_data(struct bm_session *session,
                            uint32_t split,
                            const struct bm_data *data,
                            struct bm_error *error) {
    int32_t status = check_data(session, split, data, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->data[split] = *data;
    session->data[split].size = sizeof *data;
    if (data->type == BM_DATA_UINT8) {
        size_t bytes = session->network.input.channels * sizeof(float);
        memcpy(session->scale[split], data->scale, bytes);
        memcpy(session->shift[split], data->shift, bytes);
    }
    if (split == BM_SPLIT_TRAIN) {
        session->order_count = 0;
    }
    return BM_STATUS_OK;
}

static int32_t check_order(const struct bm_session *session,
                           const uint32_t *order,
                           uint64_t count,
                           struct bm_error *error) {
    const struct bm_data *data = &session->data[BM_SPLIT_TRAIN];
    if (data->size == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "set_order: expected training data bound before, found none");
    }
    if (order == NULL || count == 0 || count > SIZE_MAX / sizeof *order) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "order: expected at least one image number, found %llu",
                           (unsigned long long)(order == NULL ? 0 : count));
    }
    for (uint64_t i = 0; i < count; i++) {
        if (order[i] >= data->count) {
            return bm_kit_fail(
                error, BM_STATUS_INVALID, "order[%llu]: expected an image 0 .. %llu, found %u",
                (unsigned long long)i, (unsigned long long)data->count - 1, order[i]);
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_scalar_set_order(struct bm_session *session,
                            const uint32_t *order,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = check_order(session, order, count, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (count > session->order_capacity) {
        uint32_t *grown = realloc(session->order, count * sizeof *grown);
        if (grown == NULL) {
            return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for an order of %llu images",
                               (unsigned long long)count);
        }
        session->order = grown;
        session->order_capacity = count;
    }
    memcpy(session->order, order, count * sizeof *order);
    session->order_count = count;
    return BM_STATUS_OK;
}

/* ---- Parameters, gradient, state ---- */

static int32_t check_values(const char *name,
                            const float *values,
                            uint64_t count,
                            uint64_t expected,
                            struct bm_error *error) {
    if (count != expected) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "%s: expected %llu values, found %llu", name,
                           (unsigned long long)expected, (unsigned long long)count);
    }
    if (values == NULL && count > 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "%s: expected an array, found NULL", name);
    }
    return BM_STATUS_OK;
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
    int32_t status = check_values("params", values, count, session->network.param_count, error);
    if (status == BM_STATUS_OK) {
        copy(session->params, values, count);
    }
    return status;
}

int32_t bm_scalar_read_params(struct bm_session *session,
                              float *values,
                              uint64_t count,
                              struct bm_error *error) {
    int32_t status = check_values("params", values, count, session->network.param_count, error);
    if (status == BM_STATUS_OK) {
        copy(values, session->params, count);
    }
    return status;
}

static int32_t
check_gradient(const struct bm_session *session, const char *call, struct bm_error *error) {
    if (!session->has_gradient) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "%s: expected a gradient, found none since create or the last update",
                           call);
    }
    return BM_STATUS_OK;
}

int32_t bm_scalar_read_gradient(struct bm_session *session,
                                float *values,
                                uint64_t count,
                                struct bm_error *error) {
    int32_t status = check_values("gradient", values, count, session->network.param_count, error);
    if (status == BM_STATUS_OK) {
        status = check_gradient(session, "read_gradient", error);
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
    int32_t status = check_values("gradient", values, count, session->network.param_count, error);
    if (status == BM_STATUS_OK) {
        copy(session->gradient, values, count);
        session->has_gradient = 1;
    }
    return status;
}

static int32_t check_slot(const struct bm_session *session,
                          uint32_t slot,
                          const float *values,
                          uint64_t count,
                          struct bm_error *error) {
    if (slot == BM_STATE_STATISTICS) {
        return check_values("statistics", values, count, session->network.statistics_count, error);
    }
    if (slot >= session->slot_count) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "slot: optimizer %u has %u, found slot %u",
                           session->optimizer, session->slot_count, slot);
    }
    return check_values("state", values, count, session->network.param_count, error);
}

static float *slot_values(struct bm_session *session, uint32_t slot) {
    return slot == BM_STATE_STATISTICS ? session->statistics : session->state[slot];
}

int32_t bm_scalar_read_state(struct bm_session *session,
                             uint32_t slot,
                             float *values,
                             uint64_t count,
                             struct bm_error *error) {
    int32_t status = check_slot(session, slot, values, count, error);
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
    int32_t status = check_slot(session, slot, values, count, error);
    if (status == BM_STATUS_OK) {
        copy(slot_values(session, slot), values, count);
    }
    return status;
}

/* ---- Gradient, apply, update ---- */

static int32_t check_range(const struct bm_session *session,
                           const struct bm_slice *slice,
                           uint64_t slice_count,
                           struct bm_error *error) {
    uint64_t images = 0;
    uint64_t end = 0;
    if (slice->count == 0 || slice->count > session->batch_max) {
        return bm_kit_fail(
            error, BM_STATUS_INVALID, "slice.count: expected 1 .. %llu (batch_max), found %llu",
            (unsigned long long)session->batch_max, (unsigned long long)slice->count);
    }
    if (__builtin_mul_overflow(slice->count, slice_count, &images) ||
        __builtin_add_overflow(slice->first, images, &end) || end > session->order_count) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "slice: expected an end of at most %llu (length of the order), found "
                           "%llu slices of %llu from %llu",
                           (unsigned long long)session->order_count,
                           (unsigned long long)slice_count, (unsigned long long)slice->count,
                           (unsigned long long)slice->first);
    }
    return BM_STATUS_OK;
}

static int32_t check_slice(const struct bm_session *session,
                           const struct bm_slice *slice,
                           uint64_t slice_count,
                           struct bm_error *error) {
    int32_t status = bm_kit_struct(slice, sizeof *slice, "slice", error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (session->order_count == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "slice: expected training data and an order, found %s",
                           session->data[BM_SPLIT_TRAIN].size == 0 ? "no data" : "no order");
    }
    if ((slice->flags & ~SLICE_FLAGS) != 0) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "slice.flags: expected bits of 0x%x, found 0x%x", SLICE_FLAGS,
                           slice->flags);
    }
    if (!isfinite(slice->divisor) || slice->divisor == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "slice.divisor: expected a finite number other than 0, found %g",
                           slice->divisor);
    }
    if ((slice->flags & BM_SLICE_ACCUMULATE) != 0) {
        status = check_gradient(session, "ACCUMULATE", error);
    }
    return status == BM_STATUS_OK ? check_range(session, slice, slice_count, error) : status;
}

/* Forward and backward over a checked slice; rule NULL: the gradient is stored. */
static void run_slice(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_scalar_rule *rule) {
    struct bm_scalar_pass *pass = &session->pass;
    *pass = (struct bm_scalar_pass){
        .data = &session->data[BM_SPLIT_TRAIN],
        .images = session->order + slice->first,
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
    session->loss = (slice->flags & BM_SLICE_ACCUMULATE) != 0 ? session->loss + loss : loss;
}

int32_t bm_scalar_gradient(struct bm_session *session,
                           const struct bm_slice *slice,
                           struct bm_error *error) {
    int32_t status = check_slice(session, slice, 1, error);
    if (status == BM_STATUS_OK) {
        run_slice(session, slice, NULL);
        session->has_gradient = 1;
    }
    return status;
}

static int32_t check_hyper(const struct bm_hyper *hyper, struct bm_error *error) {
    int32_t status = bm_kit_struct(hyper, sizeof *hyper, "hyper", error);
    if (status == BM_STATUS_OK && hyper->update == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "hyper.update: expected at least 1, found 0");
    }
    return status;
}

int32_t bm_scalar_apply_call(struct bm_session *session,
                             const struct bm_hyper *hyper,
                             struct bm_error *error) {
    struct bm_scalar_rule rule;
    int32_t status = check_hyper(hyper, error);
    if (status == BM_STATUS_OK) {
        status = check_gradient(session, "apply", error);
    }
    if (status == BM_STATUS_OK) {
        bm_scalar_rule_init(&rule, session->optimizer, hyper);
        bm_scalar_apply(session, &rule);
    }
    return status;
}

/* One update of a checked slice. Rules that need the norm of a whole gradient cannot be fused. */
static void
run_update(struct bm_session *session, const struct bm_slice *slice, const struct bm_hyper *hyper) {
    struct bm_scalar_rule rule;
    bm_scalar_rule_init(&rule, session->optimizer, hyper);
    if (bm_scalar_rule_is_local(session->optimizer)) {
        run_slice(session, slice, &rule);
    } else {
        run_slice(session, slice, NULL);
        bm_scalar_apply(session, &rule);
    }
    session->has_gradient = 0;
}

int32_t bm_scalar_update(struct bm_session *session,
                         const struct bm_slice *slice,
                         const struct bm_hyper *hyper,
                         struct bm_error *error) {
    int32_t status = check_slice(session, slice, 1, error);
    if (status == BM_STATUS_OK) {
        status = check_hyper(hyper, error);
    }
    if (status == BM_STATUS_OK) {
        run_update(session, slice, hyper);
    }
    return status;
}

static int32_t check_updates(const struct bm_session *session,
                             const struct bm_slice *slice,
                             uint32_t count,
                             const struct bm_hyper *hyper,
                             uint32_t hyper_stride,
                             struct bm_error *error) {
    int32_t status = check_slice(session, slice, count, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (count > 1 && (slice->flags & BM_SLICE_ACCUMULATE) != 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "updates: expected no ACCUMULATE beyond the first update, found %u "
                           "updates",
                           count);
    }
    return bm_kit_struct_array(hyper, count, hyper_stride, sizeof *hyper, "hyper", error);
}

int32_t bm_scalar_updates(struct bm_session *session,
                          const struct bm_slice *slice,
                          uint32_t count,
                          const struct bm_hyper *hyper,
                          uint32_t hyper_stride,
                          struct bm_error *error) {
    int32_t status = check_updates(session, slice, count, hyper, hyper_stride, error);
    const unsigned char *bytes = (const unsigned char *)hyper;
    for (uint32_t k = 0; status == BM_STATUS_OK && k < count; k++) {
        struct bm_slice own = *slice;
        struct bm_hyper step;
        memcpy(&step, bytes + (size_t)k * hyper_stride, sizeof step);
        own.first += k * slice->count;
        own.update += k;
        status = check_hyper(&step, error);
        if (status == BM_STATUS_OK) {
            run_update(session, &own, &step);
        }
    }
    return status;
}

/* ---- Evaluation and wait ---- */

static int32_t check_evaluate(const struct bm_session *session,
                              uint32_t split,
                              uint64_t first,
                              uint64_t count,
                              uint32_t flags,
                              struct bm_error *error) {
    if (split >= BM_SPLIT_COUNT || session->data[split].size == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "evaluate: expected a split with data, found split %u", split);
    }
    if (flags != 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "evaluate: flags: expected 0, found 0x%x",
                           flags);
    }
    uint64_t images = session->data[split].count;
    if (first > images || count > images - first) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "evaluate: expected images within 0 .. %llu, found %llu from %llu",
                           (unsigned long long)images, (unsigned long long)count,
                           (unsigned long long)first);
    }
    return BM_STATUS_OK;
}

int32_t bm_scalar_evaluate(struct bm_session *session,
                           uint32_t split,
                           uint64_t first,
                           uint64_t count,
                           uint32_t flags,
                           double *loss,
                           uint64_t *correct,
                           struct bm_error *error) {
    int32_t status = check_evaluate(session, split, first, count, flags, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    uint64_t most = session->batch_max < EVALUATE_COUNT ? session->batch_max : EVALUATE_COUNT;
    double sum = 0;
    uint64_t right = 0;
    for (uint64_t done = 0; done < count; done += session->pass.count) {
        session->pass = (struct bm_scalar_pass){
            .data = &session->data[split],
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
        *loss = session->loss;
    }
    return BM_STATUS_OK;
}
