/* From the layers of a problem to the stages that are computed: shapes, depths, and each relu
 * joined to the layer before it. */
#include "cpu.h"

#include <stdlib.h>

static int32_t is_in_place(uint32_t kind) {
    return kind == BM_LAYER_RELU || kind == BM_LAYER_DROPOUT;
}

/* Lines of the cache that a row takes are made an odd number where images follow each other in
 * memory: rows that are a power of two apart share the same few sets. */
static uint64_t row_floats(uint64_t channels, uint64_t positions) {
    uint64_t lines = (channels + 15) / 16;
    return positions > 1 || lines < 16 ? bm_padded(channels) : (lines | 1) * 16;
}

static struct bm_cpu_shape make_shape(struct bm_kit_shape shape) {
    struct bm_cpu_shape made = {.height = shape.height,
                                .width = shape.width,
                                .channels = shape.channels,
                                .positions = (uint64_t)shape.height * shape.width};
    made.ld = row_floats(made.channels, made.positions);
    made.size = made.positions * made.ld;
    return made;
}

/* Images are one long row, in canonical order, if a dense layer is the first to look at them; a
 * convolution, which paints them anyway, wants no gaps between pixels. */
static struct bm_cpu_shape input_shape(const struct bm_kit_network *network) {
    struct bm_kit_shape shape = network->input;
    uint32_t i = 0;
    while (is_in_place(network->layers[i].kind)) {
        i++;
    }
    uint32_t kind = network->layers[i].kind;
    if (kind == BM_LAYER_DENSE || kind == BM_LAYER_SOFTMAX_CROSS_ENTROPY) {
        shape = (struct bm_kit_shape){(uint32_t)network->input_size, 1, 1};
    }
    struct bm_cpu_shape made = make_shape(shape);
    if (network->layers[0].kind == BM_LAYER_CONV2D) {
        made.ld = made.channels;
        made.size = made.positions * made.ld;
    }
    return made;
}

static uint64_t depth_of(const struct bm_cpu_stage *stage) {
    switch (stage->kind) {
    case BM_LAYER_DENSE:
        return stage->in.positions > 1 ? stage->in.size : bm_padded(stage->in.channels);
    case BM_LAYER_CONV2D:
        return (uint64_t)stage->facts.kernel_height * stage->facts.kernel_width *
               stage->in.channels;
    default:
        return 0;
    }
}

static void add_stage(struct bm_session *session, uint32_t layer, struct bm_cpu_shape in) {
    struct bm_cpu_stage *stage = &session->stages[session->stage_count];
    const struct bm_kit_layer *facts = &session->core.network.layers[layer];
    stage->kind = facts->kind;
    stage->layer = layer;
    stage->facts = *facts;
    stage->in = in;
    stage->out = is_in_place(facts->kind) || facts->kind == BM_LAYER_BATCHNORM
                     ? in
                     : make_shape(facts->output);
    stage->depth = depth_of(stage);
    if (facts->bias_count > 0 && session->first_trainable > session->stage_count) {
        session->first_trainable = session->stage_count;
    }
    session->stage_count++;
}

/* The classes lie side by side. */
static int32_t check_softmax(const struct bm_session *session, struct bm_error *error) {
    const struct bm_cpu_stage *last = &session->stages[session->stage_count - 1];
    if (last->in.positions > 1) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "layer %u: expected softmax_cross_entropy of one position, found "
                           "%u x %u",
                           last->layer, last->in.height, last->in.width);
    }
    return BM_STATUS_OK;
}

int32_t bm_cpu_plan(struct bm_session *session, struct bm_error *error) {
    const struct bm_kit_network *network = &session->core.network;
    session->stages = calloc(network->layer_count, sizeof *session->stages);
    if (session->stages == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %u stages",
                           network->layer_count);
    }
    session->in = input_shape(network);
    session->first_trainable = network->layer_count;
    for (uint32_t i = 0; i < network->layer_count; i++) {
        struct bm_cpu_stage *last =
            session->stage_count > 0 ? &session->stages[session->stage_count - 1] : NULL;
        if (network->layers[i].kind == BM_LAYER_RELU && last != NULL && !is_in_place(last->kind)) {
            last->relu = 1;
        } else {
            add_stage(session, i, last == NULL ? session->in : last->out);
        }
    }
    return check_softmax(session, error);
}
