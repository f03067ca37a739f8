/* Where the arrays of a session lie: one block, so that what `supports` says is what create takes.
 */
#include "cpu.h"

#include <string.h>

#define CHUNK_COUNT 8192u /* parameters that are shared out together */

/* Without batch norm a batch goes through the layers in parts whose activations stay in the last
 * cache; parts of fewer images would read and write the gradient too often. */
#define PART_BYTES (UINT64_C(8) << 20)
#define PART_IMAGES_MIN 256u
#define PART_IMAGES_MAX 1024u

/* ---- Parameters ---- */

static int32_t is_product(const struct bm_cpu_stage *stage) {
    return stage->kind == BM_LAYER_DENSE || stage->kind == BM_LAYER_CONV2D;
}

static uint64_t weight_floats(const struct bm_cpu_stage *stage) {
    return is_product(stage) ? stage->depth * bm_cpu_panel_columns(stage->out.channels)
                             : bm_padded(stage->out.channels);
}

/* Biases are as long as the panels over them. */
static uint64_t bias_floats(const struct bm_cpu_stage *stage) {
    return is_product(stage) ? bm_cpu_panel_columns(stage->out.channels)
                             : bm_padded(stage->out.channels);
}

/* Cuts one tensor into chunks; without an array it only counts them. */
static void cut_tensor(struct bm_session *session,
                       const struct bm_cpu_stage *stage,
                       uint64_t offset,
                       uint64_t count,
                       uint32_t is_weight) {
    for (uint64_t i = 0; i < count; i += CHUNK_COUNT) {
        if (session->chunks != NULL) {
            session->chunks[session->chunk_count] = (struct bm_cpu_chunk){
                .offset = offset + i,
                .count = count - i < CHUNK_COUNT ? count - i : CHUNK_COUNT,
                .tensor = session->tensor_count,
                .is_weight = is_weight,
                .stepped = stage->kind != BM_LAYER_CONV2D,
            };
        }
        session->chunk_count++;
        session->rest_count += stage->kind == BM_LAYER_CONV2D;
    }
    session->tensor_count++;
}

/* Offsets of all tensors, one after the other, and their chunks. */
static void cut_tensors(struct bm_session *session) {
    session->packed_count = 0;
    session->chunk_count = 0;
    session->rest_count = 0;
    session->tensor_count = 0;
    for (uint32_t i = 0; i < session->stage_count; i++) {
        struct bm_cpu_stage *stage = &session->stages[i];
        if (stage->facts.bias_count == 0) {
            continue;
        }
        stage->weight = session->packed_count;
        stage->bias = stage->weight + weight_floats(stage);
        session->packed_count = stage->bias + bias_floats(stage);
        cut_tensor(session, stage, stage->weight, weight_floats(stage), is_product(stage) != 0);
        cut_tensor(session, stage, stage->bias, bias_floats(stage), 0);
    }
}

static void lay_out_params(struct bm_session *session, struct bm_kit_cursor *cursor) {
    session->chunks = NULL;
    cut_tensors(session);
    session->params = bm_kit_take_floats(cursor, session->packed_count, 1);
    /* What a rule has not got lies at the parameters, so that a piece of it has an address. */
    for (uint32_t i = 0; i < 2; i++) {
        session->state[i] = i < session->core.slot_count
                                ? bm_kit_take_floats(cursor, session->packed_count, 1)
                                : session->params;
    }
    session->statistics = bm_kit_take_floats(cursor, session->core.network.statistics_count, 1);
    session->gradient = bm_kit_take_floats(cursor, session->packed_count, 1);
    session->chunks = bm_kit_take(cursor, session->chunk_count, 1, sizeof *session->chunks);
    session->norms = bm_kit_take(cursor, session->chunk_count, 2, sizeof *session->norms);
    session->ratios = bm_kit_take_floats(cursor, session->tensor_count, 1);
    if (session->chunks != NULL) {
        cut_tensors(session);
    }
}

/* ---- Activations ---- */

/* Widest gradient that travels back: outputs of the stages from the lowest trainable one on. */
static uint64_t widest_delta(const struct bm_session *session) {
    uint64_t widest = session->stages[session->stage_count - 1].in.size;
    for (uint32_t i = session->first_trainable; i < session->stage_count; i++) {
        uint64_t in = i > session->first_trainable ? session->stages[i].in.size : 0;
        uint64_t out = session->stages[i].out.size;
        uint64_t size = in > out ? in : out;
        widest = size > widest ? size : widest;
    }
    return widest;
}

static uint64_t part_images(const struct bm_session *session) {
    uint64_t floats = session->in.size + 2 * widest_delta(session);
    for (uint32_t i = 0; i < session->stage_count; i++) {
        if (session->stages[i].kind == BM_LAYER_BATCHNORM) {
            return session->core.batch_max;
        }
        floats += session->stages[i].out.size;
    }
    uint64_t images = PART_BYTES / (floats * sizeof(float));
    images = images < PART_IMAGES_MIN ? PART_IMAGES_MIN : images;
    images = images > PART_IMAGES_MAX ? PART_IMAGES_MAX : images;
    return images < session->core.batch_max ? images : session->core.batch_max;
}

static uint64_t transposed_floats(const struct bm_session *session, uint32_t index) {
    const struct bm_cpu_stage *stage = &session->stages[index];
    if (!is_product(stage) || index == session->first_trainable) {
        return 0;
    }
    if (stage->kind == BM_LAYER_CONV2D) {
        return (uint64_t)stage->facts.kernel_height * stage->facts.kernel_width *
               stage->out.channels * bm_cpu_panel_columns(stage->in.channels);
    }
    return session->image_max <= BM_CPU_DOT_COUNT_MAX
               ? 0
               : stage->out.channels * bm_cpu_panel_columns(stage->depth);
}

static void
lay_out_stage(struct bm_session *session, uint32_t index, struct bm_kit_cursor *cursor) {
    struct bm_cpu_stage *stage = &session->stages[index];
    uint64_t images = session->image_max;
    switch (stage->kind) {
    case BM_LAYER_DROPOUT:
        stage->kept = bm_kit_take(cursor, stage->out.size, images, 1);
        stage->output = index > 0 ? stage[-1].output : session->input;
        break;
    case BM_LAYER_RELU:
        stage->output = index > 0 ? stage[-1].output : session->input;
        break;
    case BM_LAYER_SOFTMAX_CROSS_ENTROPY:
        break;
    default:
        stage->output = bm_kit_take_floats(cursor, stage->out.size, images);
        break;
    }
    if (stage->facts.bias_count > 0) {
        stage->sums = bm_kit_take(cursor, stage->out.ld, 2, sizeof *stage->sums);
    }
    if (stage->kind == BM_LAYER_BATCHNORM) {
        stage->mean = bm_kit_take_floats(cursor, stage->out.ld, 1);
        stage->inverse = bm_kit_take_floats(cursor, stage->out.ld, 1);
        stage->factors = bm_kit_take_floats(cursor, stage->out.ld, 3);
    }
    stage->transposed = bm_kit_take_floats(cursor, transposed_floats(session, index), 1);
}

static uint64_t stage_scratch(const struct bm_cpu_stage *stage) {
    switch (stage->kind) {
    case BM_LAYER_CONV2D:
        return bm_cpu_convolution_scratch(stage);
    case BM_LAYER_DROPOUT:
        return stage->facts.output_size / sizeof(float) + 1;
    default:
        return 0;
    }
}

/* Where the threads but the first leave their part of an input's gradient. */
static void lay_out_partial(struct bm_session *session, struct bm_kit_cursor *cursor) {
    uint64_t images =
        session->image_max < BM_CPU_DOT_COUNT_MAX ? session->image_max : BM_CPU_DOT_COUNT_MAX;
    session->partial_size = 0;
    for (uint32_t i = session->first_trainable + 1; i < session->stage_count; i++) {
        const struct bm_cpu_stage *stage = &session->stages[i];
        if (stage->kind == BM_LAYER_DENSE && stage->in.size > session->partial_size) {
            session->partial_size = stage->in.size;
        }
    }
    session->partial =
        bm_kit_take_floats(cursor, session->partial_size * images, session->core.thread_count - 1);
}

static void lay_out_norms(struct bm_session *session, struct bm_kit_cursor *cursor) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < session->stage_count; i++) {
        const struct bm_cpu_stage *stage = &session->stages[i];
        uint64_t blocks = session->image_max * stage->out.positions / BM_CPU_NORM_ROWS + 1;
        if (stage->kind == BM_LAYER_BATCHNORM && blocks * stage->out.ld > most) {
            most = blocks * stage->out.ld;
        }
    }
    session->norm_partial = bm_kit_take_floats(cursor, most, 2);
}

static void lay_out_activations(struct bm_session *session, struct bm_kit_cursor *cursor) {
    uint64_t widest = widest_delta(session);
    session->image_max = part_images(session);
    session->input = bm_kit_take_floats(cursor, session->in.size, session->image_max);
    session->scratch_count = 0;
    for (uint32_t i = 0; i < session->stage_count; i++) {
        uint64_t scratch = stage_scratch(&session->stages[i]);
        lay_out_stage(session, i, cursor);
        session->scratch_count =
            scratch > session->scratch_count ? scratch : session->scratch_count;
    }
    /* Whole lines, and one more between two threads. */
    session->scratch_count = (session->scratch_count / 16 + 2) * 16;
    session->delta[0] = bm_kit_take_floats(cursor, widest, session->image_max);
    session->delta[1] = bm_kit_take_floats(cursor, widest, session->image_max);
    lay_out_partial(session, cursor);
    lay_out_norms(session, cursor);
    session->losses = bm_kit_take(cursor, session->image_max, 1, sizeof(double));
    session->right = bm_kit_take(cursor, session->image_max, 1, 1);
    session->scratch =
        bm_kit_take_floats(cursor, session->scratch_count, session->core.thread_count);
}

int32_t bm_cpu_lay_out(struct bm_session *session, void *memory, struct bm_error *error) {
    struct bm_kit_cursor cursor = {.memory = memory};
    lay_out_params(session, &cursor);
    lay_out_activations(session, &cursor);
    if (cursor.overflow) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "problem.batch_max: expected arrays that can be addressed, found %llu "
                           "images of %u layers",
                           (unsigned long long)session->core.batch_max,
                           session->core.network.layer_count);
    }
    session->memory_bytes = cursor.used;
    return BM_STATUS_OK;
}
