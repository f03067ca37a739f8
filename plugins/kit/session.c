/* What a session knows of its host, and the checks of every call's arguments. */
#include <batchmark/kit.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_FLAGS                                                                                \
    (BM_SLICE_ACCUMULATE | BM_SLICE_KEEP_STATISTICS | BM_SLICE_USE_RUNNING | BM_SLICE_NO_DROPOUT)

int32_t bm_kit_session_init(struct bm_kit_session *session,
                            const struct bm_problem *problem,
                            const struct bm_kit_option *known,
                            uint32_t known_count,
                            int64_t *values,
                            struct bm_error *error) {
    static const char *const precisions[] = {BM_PRECISION_FLOAT32, NULL};
    memset(session, 0, sizeof *session);
    int32_t status = bm_kit_network_init(&session->network, problem, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_precision(problem, precisions, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_kit_options(problem, known, known_count, values, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->batch_max = problem->batch_max;
    session->seed = problem->seed;
    session->optimizer = problem->optimizer;
    session->slot_count = bm_kit_slot_count(problem->optimizer);
    session->thread_count = problem->thread_count;
    session->scales =
        calloc(session->network.input.channels, (size_t)2 * BM_SPLIT_COUNT * sizeof(float));
    return session->scales != NULL
               ? BM_STATUS_OK
               : bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for scale and shift");
}

void bm_kit_session_deinit(struct bm_kit_session *session) {
    bm_kit_network_deinit(&session->network);
    free(session->scales);
    free(session->order);
    memset(session, 0, sizeof *session);
}

/* ---- Data and order ---- */

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

static int32_t check_data(const struct bm_kit_session *session,
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

int32_t bm_kit_session_bind(struct bm_kit_session *session,
                            uint32_t split,
                            const struct bm_data *data,
                            struct bm_error *error) {
    int32_t status = check_data(session, split, data, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    struct bm_data *own = &session->data[split];
    *own = *data;
    own->size = sizeof *own;
    if (data->type == BM_DATA_UINT8) {
        size_t channels = session->network.input.channels;
        float *scale = session->scales + 2 * channels * split;
        memcpy(scale, data->scale, channels * sizeof *scale);
        memcpy(scale + channels, data->shift, channels * sizeof *scale);
        own->scale = scale;
        own->shift = scale + channels;
    }
    if (split == BM_SPLIT_TRAIN) {
        session->order_count = 0;
    }
    return BM_STATUS_OK;
}

static int32_t check_order(const struct bm_kit_session *session,
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

int32_t bm_kit_session_order(struct bm_kit_session *session,
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

static int32_t check_count(const char *name,
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

int32_t bm_kit_check_values(const struct bm_kit_session *session,
                            const char *name,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    return check_count(name, values, count, session->network.param_count, error);
}

int32_t bm_kit_check_gradient(const struct bm_kit_session *session,
                              const char *call,
                              struct bm_error *error) {
    if (!session->has_gradient) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "%s: expected a gradient, found none since create or the last update",
                           call);
    }
    return BM_STATUS_OK;
}

int32_t bm_kit_check_slot(const struct bm_kit_session *session,
                          uint32_t slot,
                          const float *values,
                          uint64_t count,
                          struct bm_error *error) {
    if (slot == BM_STATE_STATISTICS) {
        return check_count("statistics", values, count, session->network.statistics_count, error);
    }
    if (slot >= session->slot_count) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "slot: optimizer %u has %u, found slot %u",
                           session->optimizer, session->slot_count, slot);
    }
    return check_count("state", values, count, session->network.param_count, error);
}

/* ---- Slices and hyper-parameters ---- */

static int32_t check_range(const struct bm_kit_session *session,
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

int32_t bm_kit_check_slice(const struct bm_kit_session *session,
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
        status = bm_kit_check_gradient(session, "ACCUMULATE", error);
    }
    return status == BM_STATUS_OK ? check_range(session, slice, slice_count, error) : status;
}

int32_t bm_kit_check_hyper(const struct bm_hyper *hyper, struct bm_error *error) {
    int32_t status = bm_kit_struct(hyper, sizeof *hyper, "hyper", error);
    if (status == BM_STATUS_OK && hyper->update == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "hyper.update: expected at least 1, found 0");
    }
    return status;
}

void bm_kit_nth_update(const struct bm_slice *slice,
                       const struct bm_hyper *hyper,
                       uint32_t hyper_stride,
                       uint32_t k,
                       struct bm_slice *own,
                       struct bm_hyper *step) {
    const unsigned char *bytes = (const unsigned char *)hyper;
    *own = *slice;
    own->first += k * slice->count;
    own->update += k;
    memcpy(step, bytes + (size_t)k * hyper_stride, sizeof *step);
    step->size = sizeof *step;
}

int32_t bm_kit_check_updates(const struct bm_kit_session *session,
                             const struct bm_slice *slice,
                             uint32_t count,
                             const struct bm_hyper *hyper,
                             uint32_t hyper_stride,
                             struct bm_error *error) {
    int32_t status = bm_kit_check_slice(session, slice, count, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (count > 1 && (slice->flags & BM_SLICE_ACCUMULATE) != 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "updates: expected no ACCUMULATE beyond the first update, found %u "
                           "updates",
                           count);
    }
    status = bm_kit_struct_array(hyper, count, hyper_stride, sizeof *hyper, "hyper", error);
    for (uint32_t k = 0; k < count && status == BM_STATUS_OK; k++) {
        struct bm_slice own;
        struct bm_hyper step;
        bm_kit_nth_update(slice, hyper, hyper_stride, k, &own, &step);
        status = bm_kit_check_hyper(&step, error);
    }
    return status;
}

int32_t bm_kit_check_evaluate(const struct bm_kit_session *session,
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
