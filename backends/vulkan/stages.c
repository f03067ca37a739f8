/* The stages of a network and the arrays that they need. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#define VECTOR_BYTES (4 * sizeof(float))

/* Shaders count vectors, and the words of images, in 32 bits. */
#define INDEX_MAX UINT32_MAX

/* Arrays beside three for each stage. */
#define FIXED_ARRAYS 16u

/* shaders/norm.glsl */
#define CHANNEL_FACTS 5u

/* ---- Stages ---- */

static void
set_side(struct bm_vulkan_side *side, uint32_t channels, uint32_t height, uint32_t width) {
    *side = (struct bm_vulkan_side){.channels = channels,
                                    .vectors = channels / 4 + (channels % 4 != 0),
                                    .height = height,
                                    .width = width,
                                    .positions = (uint64_t)height * width};
}

static void set_shape(struct bm_vulkan_side *side, const struct bm_kit_shape *shape) {
    set_side(side, shape->channels, shape->height, shape->width);
}

/* A dense layer looks at whole images: one that is the first reads them as one row each. */
static void input_side(const struct bm_session *session, struct bm_vulkan_side *side) {
    const struct bm_kit_network *network = &session->core.network;
    if (network->layers[0].kind == BM_LAYER_DENSE) {
        set_side(side, (uint32_t)network->input_size, 1, 1);
    } else {
        set_shape(side, &network->input);
    }
}

static int32_t is_product(uint32_t kind) {
    return kind == BM_LAYER_DENSE || kind == BM_LAYER_CONV2D;
}

/* These write their output themselves, so that a relu behind them costs nothing. */
static int32_t takes_relu(const struct bm_session *session) {
    if (session->stage_count == 0) {
        return 0;
    }
    const struct bm_vulkan_stage *last = &session->stages[session->stage_count - 1];
    return !last->relu && (is_product(last->kind) || last->kind == BM_LAYER_BATCHNORM);
}

static void add_stage(struct bm_session *session, uint32_t index) {
    const struct bm_kit_layer *facts = &session->core.network.layers[index];
    struct bm_vulkan_stage *stage = &session->stages[session->stage_count];
    *stage = (struct bm_vulkan_stage){.facts = *facts, .kind = facts->kind, .index = index};
    if (session->stage_count > 0) {
        stage->in = stage[-1].out;
    } else {
        input_side(session, &stage->in);
    }
    stage->out = stage->in;
    if (facts->kind == BM_LAYER_DENSE) {
        set_side(&stage->out, facts->output.channels, 1, 1);
        stage->depth = stage->in.positions * stage->in.vectors;
    } else if (facts->kind == BM_LAYER_CONV2D) {
        set_shape(&stage->out, &facts->output);
        stage->depth = (uint64_t)facts->kernel_height * facts->kernel_width * stage->in.vectors;
    } else if (facts->kind == BM_LAYER_MAXPOOL) {
        set_shape(&stage->out, &facts->output);
    }
    if (facts->bias_count > 0) {
        stage->weight = session->vector_count;
        session->vector_count +=
            (is_product(facts->kind) ? 4 * stage->depth + 1 : 2) * stage->out.vectors;
    }
    session->stage_count++;
}

static int32_t make_stages(struct bm_session *session, struct bm_error *error) {
    const struct bm_kit_network *network = &session->core.network;
    session->stages = calloc(network->layer_count, sizeof *session->stages);
    if (session->stages == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %u stages",
                           network->layer_count);
    }
    for (uint32_t i = 0; i < network->layer_count; i++) {
        if (network->layers[i].kind == BM_LAYER_RELU && takes_relu(session)) {
            session->stages[session->stage_count - 1].relu = 1;
        } else {
            add_stage(session, i);
        }
    }
    session->first_trainable = session->stage_count;
    for (uint32_t i = session->stage_count; i-- > 0;) {
        if (session->stages[i].facts.bias_count > 0) {
            session->first_trainable = i;
        }
    }
    return BM_STATUS_OK;
}

/* A winner of a window is numbered in a byte, and the classes lie side by side. */
static int32_t check_stages(const struct bm_session *session, struct bm_error *error) {
    for (uint32_t i = 0; i < session->stage_count; i++) {
        const struct bm_kit_layer *facts = &session->stages[i].facts;
        const struct bm_vulkan_side *in = &session->stages[i].in;
        if (facts->kind == BM_LAYER_SOFTMAX_CROSS_ENTROPY && in->positions > 1) {
            return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                               "layer %u: expected softmax_cross_entropy of one position, found "
                               "%u x %u",
                               session->stages[i].index, in->height, in->width);
        }
        if (facts->kind == BM_LAYER_MAXPOOL &&
            (uint64_t)facts->kernel_height * facts->kernel_width > 256) {
            return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                               "layer %u: expected a window of at most 256 values, found %u x %u",
                               session->stages[i].index, facts->kernel_height, facts->kernel_width);
        }
    }
    return BM_STATUS_OK;
}

/* ---- Arrays ---- */

static struct bm_vulkan_buffer *
add_array(struct bm_session *session, const char *what, uint64_t rows, uint64_t bytes) {
    struct bm_vulkan_array *array = &session->arrays[session->array_count++];
    *array = (struct bm_vulkan_array){.what = what, .place = BM_VULKAN_ON_DEVICE};
    if (__builtin_mul_overflow(rows, bytes, &array->bytes)) {
        array->bytes = UINT64_MAX;
    }
    array->bytes = array->bytes > 0 ? array->bytes : VECTOR_BYTES;
    if (__builtin_add_overflow(session->memory_bytes, array->bytes, &session->memory_bytes)) {
        session->memory_bytes = UINT64_MAX;
    }
    return &array->buffer;
}

static uint64_t row_bytes(const struct bm_vulkan_side *side) {
    return side->positions * side->vectors * VECTOR_BYTES;
}

static void add_activations(struct bm_session *session) {
    uint64_t count = session->core.batch_max;
    session->input = add_array(session, "input", count, row_bytes(&session->stages[0].in));
    for (uint32_t i = 0; i < session->stage_count; i++) {
        struct bm_vulkan_stage *stage = &session->stages[i];
        stage->input = i > 0 ? stage[-1].output : session->input;
        stage->output = stage->input;
        if (is_product(stage->kind) || stage->kind == BM_LAYER_BATCHNORM ||
            stage->kind == BM_LAYER_MAXPOOL) {
            uint64_t bytes = row_bytes(&stage->out);
            stage->output = add_array(session, "output", count, bytes);
            stage->delta = add_array(session, "gradient of the output", count, bytes);
        } else if (i > 0) {
            stage->delta = stage[-1].delta;
        }
        if (stage->kind == BM_LAYER_MAXPOOL) {
            stage->winners = add_array(session, "winners", count, row_bytes(&stage->out) / 4);
        }
        if (stage->kind == BM_LAYER_BATCHNORM) {
            stage->channel_facts = add_array(session, "facts of channels", CHANNEL_FACTS,
                                             stage->out.vectors * VECTOR_BYTES);
        }
    }
}

static uint64_t widest_norm(const struct bm_session *session) {
    uint64_t widest = 0;
    for (uint32_t i = 0; i < session->stage_count; i++) {
        const struct bm_vulkan_stage *stage = &session->stages[i];
        if (stage->kind == BM_LAYER_BATCHNORM && stage->out.vectors > widest) {
            widest = stage->out.vectors;
        }
    }
    return widest;
}

static void add_fixed(struct bm_session *session) {
    uint64_t vectors = session->vector_count;
    session->params = add_array(session, "parameters", vectors, VECTOR_BYTES);
    session->gradient = add_array(session, "gradient", vectors, VECTOR_BYTES);
    for (uint32_t i = 0; i < session->core.slot_count; i++) {
        session->state[i] = add_array(session, "optimizer state", vectors, VECTOR_BYTES);
    }
    session->statistics =
        add_array(session, "statistics", session->core.network.statistics_count, sizeof(float));
    session->losses = add_array(session, "losses", session->core.batch_max, sizeof(float));
    session->right = add_array(session, "right answers", session->core.batch_max, sizeof(uint32_t));
    if (session->is_tiled) {
        session->partial =
            add_array(session, "parts of the gradient", BM_VULKAN_PART_MAX * vectors, VECTOR_BYTES);
    }
    for (uint32_t i = 0; i < session->stage_count; i++) {
        session->dense_count += session->stages[i].kind == BM_LAYER_DENSE;
    }
    session->dense = add_array(session, "list of dense layers", session->dense_count,
                               sizeof(struct bm_vulkan_dense));
    session->norm_partial =
        add_array(session, "sums of batch norm", UINT64_C(2) * BM_VULKAN_NORM_BLOCK_MAX,
                  widest_norm(session) * VECTOR_BYTES);
    if (!bm_kit_rule_is_local(session->core.optimizer)) {
        session->trust = add_array(session, "sums of norms", session->stage_count,
                                   (BM_VULKAN_TRUST_PARTIAL_MAX + 1) * VECTOR_BYTES);
    }
    session->control = add_array(session, "control", 1, sizeof(struct bm_vulkan_control));
    session->ring =
        add_array(session, "ring", BM_VULKAN_RING_SIZE, sizeof(struct bm_vulkan_update));
    session->arrays[session->array_count - 1].place = BM_VULKAN_UPLOAD;
}

static int32_t check_sizes(const struct bm_session *session, struct bm_error *error) {
    for (uint32_t i = 0; i < session->array_count; i++) {
        const struct bm_vulkan_array *array = &session->arrays[i];
        if (array->bytes / VECTOR_BYTES > INDEX_MAX) {
            return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                               "%s: expected at most 2^32 vectors of 16 bytes, found %llu for "
                               "batch_max %llu",
                               array->what, (unsigned long long)(array->bytes / VECTOR_BYTES),
                               (unsigned long long)session->core.batch_max);
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_vulkan_plan(struct bm_session *session, struct bm_error *error) {
    int32_t status = make_stages(session, error);
    if (status == BM_STATUS_OK) {
        status = check_stages(session, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->arrays =
        calloc(FIXED_ARRAYS + 3 * (size_t)session->stage_count, sizeof *session->arrays);
    if (session->arrays == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a list of arrays");
    }
    add_fixed(session);
    add_activations(session);
    return check_sizes(session, error);
}
