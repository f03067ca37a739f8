/* Parameters, gradient and state between the canonical layout and the device's. */
#include "session.h"

#include <string.h>

/* Row of the weight matrix for input `i` of the canonical layout, which has channels outermost. */
static uint64_t depth_index(const struct bm_vulkan_stage *stage, uint64_t i) {
    uint64_t step = 4 * (uint64_t)stage->in.vectors;
    if (stage->kind == BM_LAYER_CONV2D) {
        uint64_t taps = (uint64_t)stage->facts.kernel_height * stage->facts.kernel_width;
        return i % taps * step + i / taps;
    }
    return i % stage->in.positions * step + i / stage->in.positions;
}

/* Calls `move` with the place of each parameter in the canonical and in the packed array. */
#define FOR_PARAMS(session, move)                                                                  \
    for (uint32_t i = 0; i < (session)->stage_count; i++) {                                        \
        const struct bm_vulkan_stage *stage = &(session)->stages[i];                               \
        const struct bm_kit_layer *facts = &stage->facts;                                          \
        uint64_t step = 4 * (uint64_t)stage->out.vectors;                                          \
        uint64_t base = 4 * stage->weight;                                                         \
        uint64_t inputs = facts->bias_count > 0 ? facts->weight_count / facts->bias_count : 0;     \
        for (uint64_t o = 0; o < facts->bias_count; o++) {                                         \
            for (uint64_t k = 0; k < inputs; k++) {                                                \
                move(facts->weight_offset + o * inputs + k,                                        \
                     base + (stage->depth > 0 ? depth_index(stage, k) : 0) * step + o);            \
            }                                                                                      \
            move(facts->bias_offset + o,                                                           \
                 base + (stage->depth > 0 ? 4 * stage->depth : 1) * step + o);                     \
        }                                                                                          \
    }

void bm_vulkan_pack(const struct bm_session *session, const float *canonical, float *packed) {
    memset(packed, 0, session->vector_count * 4 * sizeof *packed);
#define MOVE(from, to) packed[to] = canonical[from]
    FOR_PARAMS(session, MOVE)
#undef MOVE
}

void bm_vulkan_unpack(const struct bm_session *session, const float *packed, float *canonical) {
#define MOVE(to, from) canonical[to] = packed[from]
    FOR_PARAMS(session, MOVE)
#undef MOVE
}
