/* Where the arrays of a session lie: one block, so that what `supports` says is what create takes.
 */
#include "scalar.h"

#include <string.h>

#define CHUNK_COUNT 8192u /* parameters that are shared out together */

static void lay_out_layer(struct bm_session *session,
                          struct bm_scalar_layer *layer,
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
        layer->mean = bm_kit_take_floats(cursor, facts->output.channels, 1);
        layer->inverse = bm_kit_take_floats(cursor, facts->output.channels, 1);
    }
}

static uint64_t layer_scratch(const struct bm_kit_layer *facts) {
    switch (facts->kind) {
    case BM_LAYER_DENSE:
        return bm_scalar_dense_scratch(facts);
    case BM_LAYER_CONV2D:
        return bm_scalar_convolution_scratch(facts);
    case BM_LAYER_BATCHNORM:
        return 2 * (uint64_t)facts->output.channels;
    default:
        return 0;
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
    session->scratch_count = 0;
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        uint64_t scratch = layer_scratch(&session->layers[i].facts);
        lay_out_layer(session, &session->layers[i], cursor);
        session->scratch_count =
            scratch > session->scratch_count ? scratch : session->scratch_count;
    }
    /* Whole lines, and one more between two threads. */
    session->scratch_count =
        (session->scratch_count / BM_SCALAR_LINE + 2) * (uint64_t)BM_SCALAR_LINE;
    session->delta[0] = bm_kit_take_floats(cursor, widest, session->core.batch_max);
    session->delta[1] = bm_kit_take_floats(cursor, widest, session->core.batch_max);
    session->losses = bm_kit_take(cursor, session->core.batch_max, 1, sizeof(double));
    session->right = bm_kit_take(cursor, session->core.batch_max, 1, 1);
    session->scratch =
        bm_kit_take_floats(cursor, session->scratch_count, session->core.thread_count);
}

/* Cuts one tensor into chunks; without an array it only counts them. */
static void
cut_tensor(struct bm_session *session, uint64_t offset, uint64_t count, uint32_t is_weight) {
    if (count == 0) {
        return;
    }
    for (uint64_t i = 0; i < count; i += CHUNK_COUNT) {
        if (session->chunks != NULL) {
            session->chunks[session->chunk_count] = (struct bm_scalar_chunk){
                .offset = offset + i,
                .count = count - i < CHUNK_COUNT ? count - i : CHUNK_COUNT,
                .tensor = session->tensor_count,
                .is_weight = is_weight,
            };
        }
        session->chunk_count++;
    }
    session->tensor_count++;
}

static void cut_tensors(struct bm_session *session) {
    session->chunk_count = 0;
    session->tensor_count = 0;
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        const struct bm_kit_layer *facts = &session->layers[i].facts;
        cut_tensor(session, facts->weight_offset, facts->weight_count,
                   facts->kind != BM_LAYER_BATCHNORM);
        cut_tensor(session, facts->bias_offset, facts->bias_count, 0);
    }
}

static void lay_out_params(struct bm_session *session, struct bm_kit_cursor *cursor) {
    uint64_t count = session->core.network.param_count;
    session->params = bm_kit_take_floats(cursor, count, 1);
    for (uint32_t i = 0; i < session->core.slot_count; i++) {
        session->state[i] = bm_kit_take_floats(cursor, count, 1);
    }
    session->statistics = bm_kit_take_floats(cursor, session->core.network.statistics_count, 1);
    session->gradient = bm_kit_take_floats(cursor, count, 1);
    session->chunks = NULL;
    cut_tensors(session);
    session->chunks = bm_kit_take(cursor, session->chunk_count, 1, sizeof *session->chunks);
    session->norms = bm_kit_take(cursor, session->chunk_count, 2, sizeof *session->norms);
    session->ratios = bm_kit_take_floats(cursor, session->tensor_count, 1);
    if (session->chunks != NULL) {
        cut_tensors(session);
    }
}

int32_t bm_scalar_lay_out(struct bm_session *session, void *memory, struct bm_error *error) {
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
