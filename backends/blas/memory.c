/* Where the arrays of a session lie: one block, so that what `supports` says is what create takes.
 */
#include "blas.h"

static void lay_out_layer(struct bm_session *session,
                          struct bm_blas_layer *layer,
                          struct bm_kit_cursor *cursor) {
    const struct bm_kit_layer *facts = &layer->facts;
    switch (facts->kind) {
    case BM_LAYER_DROPOUT:
        layer->kept = bm_kit_take(cursor, facts->output_size, session->core.batch_max, 1);
        layer->output = layer->index > 0 ? layer[-1].output : session->input;
        break;
    case BM_LAYER_RELU:
        layer->output = layer->index > 0 ? layer[-1].output : session->input;
        break;
    case BM_LAYER_SOFTMAX_CROSS_ENTROPY:
        break;
    default:
        layer->output = bm_kit_take_floats(cursor, facts->output_size, session->core.batch_max);
        break;
    }
    if (facts->kind == BM_LAYER_BATCHNORM) {
        layer->mean = bm_kit_take_floats(cursor, facts->output_size, 1);
        layer->inverse = bm_kit_take_floats(cursor, facts->output_size, 1);
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

static void lay_out_activations(struct bm_session *session, struct bm_kit_cursor *cursor) {
    uint64_t widest = widest_delta(session);
    session->input =
        bm_kit_take_floats(cursor, session->core.network.input_size, session->core.batch_max);
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        lay_out_layer(session, &session->layers[i], cursor);
    }
    for (uint32_t i = 0; i < 2; i++) {
        session->delta[i] = bm_kit_take_floats(cursor, widest, session->core.batch_max);
        session->sums[i] = bm_kit_take(cursor, widest, 1, sizeof *session->sums[i]);
    }
    for (uint32_t i = 0; i < 3; i++) {
        session->units[i] = bm_kit_take_floats(cursor, widest, 1);
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

static void lay_out_params(struct bm_session *session, struct bm_kit_cursor *cursor) {
    uint64_t count = session->core.network.param_count;
    session->params = bm_kit_take_floats(cursor, count, 1);
    for (uint32_t i = 0; i < session->core.slot_count; i++) {
        session->state[i] = bm_kit_take_floats(cursor, count, 1);
    }
    session->statistics = bm_kit_take_floats(cursor, session->core.network.statistics_count, 1);
    session->gradient = bm_kit_take_floats(cursor, count, 1);
    if (session->core.optimizer == BM_OPTIMIZER_LAMB) {
        session->direction = bm_kit_take_floats(cursor, largest_tensor(session), 1);
    }
}

int32_t bm_blas_lay_out(struct bm_session *session, void *memory, struct bm_error *error) {
    struct bm_kit_cursor cursor = {.memory = memory};
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
