/* Where the arrays of a session lie: one block, so that what `supports` says is what create takes.
 */
#include "blas.h"

#define ALIGNMENT 64u

/* Takes places from a block one after the other; without a block it only counts. */
struct cursor {
    unsigned char *memory;
    uint64_t used;
    int32_t overflow;
};

static void *take(struct cursor *cursor, uint64_t count, uint64_t rows, uint64_t size) {
    uint64_t bytes = 0;
    uint64_t begin = cursor->used;
    if (__builtin_mul_overflow(count, rows, &bytes) ||
        __builtin_mul_overflow(bytes, size, &bytes) || bytes > INT64_MAX - ALIGNMENT ||
        __builtin_add_overflow(begin, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT,
                               &cursor->used) ||
        cursor->used > INT64_MAX) {
        cursor->overflow = 1;
        cursor->used = begin;
        return NULL;
    }
    return cursor->memory != NULL ? cursor->memory + begin : NULL;
}

static float *take_floats(struct cursor *cursor, uint64_t count, uint64_t rows) {
    return take(cursor, count, rows, sizeof(float));
}

static void
lay_out_layer(struct bm_session *session, struct bm_blas_layer *layer, struct cursor *cursor) {
    const struct bm_kit_layer *facts = &layer->facts;
    switch (facts->kind) {
    case BM_LAYER_DROPOUT:
        layer->kept = take(cursor, facts->output_size, session->core.batch_max, 1);
        layer->output = layer->index > 0 ? layer[-1].output : session->input;
        break;
    case BM_LAYER_RELU:
        layer->output = layer->index > 0 ? layer[-1].output : session->input;
        break;
    case BM_LAYER_SOFTMAX_CROSS_ENTROPY:
        break;
    default:
        layer->output = take_floats(cursor, facts->output_size, session->core.batch_max);
        break;
    }
    if (facts->kind == BM_LAYER_BATCHNORM) {
        layer->mean = take_floats(cursor, facts->output_size, 1);
        layer->inverse = take_floats(cursor, facts->output_size, 1);
    }
}

/* Widest gradient that travels back: outputs of the layers from the lowest trainable one on. */
static uint64_t widest_delta(const struct bm_session *session) {
    uint64_t widest = session->core.network.class_count;
    for (uint32_t i = session->first_trainable; i < session->core.network.layer_count; i++) {
        uint64_t size = session->layers[i].facts.output_size;
        widest = size > widest ? size : widest;
    }
    return widest;
}

static void lay_out_activations(struct bm_session *session, struct cursor *cursor) {
    uint64_t widest = widest_delta(session);
    session->input = take_floats(cursor, session->core.network.input_size, session->core.batch_max);
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        lay_out_layer(session, &session->layers[i], cursor);
    }
    for (uint32_t i = 0; i < 2; i++) {
        session->delta[i] = take_floats(cursor, widest, session->core.batch_max);
        session->sums[i] = take(cursor, widest, 1, sizeof *session->sums[i]);
    }
    for (uint32_t i = 0; i < 3; i++) {
        session->units[i] = take_floats(cursor, widest, 1);
    }
}

static uint64_t largest_tensor(const struct bm_session *session) {
    uint64_t largest = 0;
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        const struct bm_kit_layer *facts = &session->layers[i].facts;
        largest = facts->weight_count > largest ? facts->weight_count : largest;
        largest = facts->bias_count > largest ? facts->bias_count : largest;
    }
    return largest;
}

static void lay_out_params(struct bm_session *session, struct cursor *cursor) {
    uint64_t count = session->core.network.param_count;
    session->params = take_floats(cursor, count, 1);
    for (uint32_t i = 0; i < session->core.slot_count; i++) {
        session->state[i] = take_floats(cursor, count, 1);
    }
    session->statistics = take_floats(cursor, session->core.network.statistics_count, 1);
    session->gradient = take_floats(cursor, count, 1);
    if (session->core.optimizer == BM_OPTIMIZER_LAMB) {
        session->direction = take_floats(cursor, largest_tensor(session), 1);
    }
}

int32_t bm_blas_lay_out(struct bm_session *session, void *memory, struct bm_error *error) {
    struct cursor cursor = {.memory = memory};
    lay_out_params(session, &cursor);
    lay_out_activations(session, &cursor);
    if (cursor.overflow) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "problem.batch_max: expected arrays that can be addressed, found %llu "
                           "images of %llu layers",
                           (unsigned long long)session->core.batch_max,
                           (unsigned long long)session->core.network.layer_count);
    }
    session->memory_bytes = cursor.used;
    return BM_STATUS_OK;
}
