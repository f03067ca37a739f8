/* Parameters, gradient and state between the canonical layout and the packed one. */
#include "cpu.h"

#include <string.h>

/* Row of the weight matrix for input `i` of the canonical layout. */
static uint64_t depth_index(const struct bm_cpu_stage *stage, uint64_t i) {
    if (stage->kind == BM_LAYER_CONV2D) {
        uint64_t taps = (uint64_t)stage->facts.kernel_height * stage->facts.kernel_width;
        return i % taps * stage->in.channels + i / taps;
    }
    return i % stage->in.positions * stage->in.ld + i / stage->in.positions;
}

/* Place of weight[output][i] in the packed array. */
static uint64_t weight_index(const struct bm_cpu_stage *stage, uint64_t output, uint64_t i) {
    uint64_t panel = output / BM_CPU_PANEL;
    return stage->weight + panel * BM_CPU_PANEL * stage->depth +
           depth_index(stage, i) * bm_cpu_panel_width(stage->out.channels, panel) +
           output % BM_CPU_PANEL;
}

/* One stage, in the direction that is not NULL-ended: canonical to packed, or back. */
static void
copy_weights(const struct bm_cpu_stage *stage, const float *from, float *packed, float *canonical) {
    uint64_t inputs = stage->facts.weight_count / stage->out.channels;
    for (uint64_t o = 0; o < stage->out.channels; o++) {
        for (uint64_t i = 0; i < inputs; i++) {
            uint64_t at = weight_index(stage, o, i);
            uint64_t canonical_at = stage->facts.weight_offset + o * inputs + i;
            if (packed != NULL) {
                packed[at] = from[canonical_at];
            } else {
                canonical[canonical_at] = from[at];
            }
        }
    }
}

static int32_t is_product(const struct bm_cpu_stage *stage) {
    return stage->kind == BM_LAYER_DENSE || stage->kind == BM_LAYER_CONV2D;
}

void bm_cpu_pack(const struct bm_session *session, const float *canonical, float *packed) {
    memset(packed, 0, session->packed_count * sizeof *packed);
    for (uint32_t i = 0; i < session->stage_count; i++) {
        const struct bm_cpu_stage *stage = &session->stages[i];
        const struct bm_kit_layer *facts = &stage->facts;
        if (facts->bias_count == 0) {
            continue;
        }
        if (is_product(stage)) {
            copy_weights(stage, canonical, packed, NULL);
        } else {
            memcpy(packed + stage->weight, canonical + facts->weight_offset,
                   facts->weight_count * sizeof *packed);
        }
        memcpy(packed + stage->bias, canonical + facts->bias_offset,
               facts->bias_count * sizeof *packed);
    }
}

void bm_cpu_unpack(const struct bm_session *session, const float *packed, float *canonical) {
    for (uint32_t i = 0; i < session->stage_count; i++) {
        const struct bm_cpu_stage *stage = &session->stages[i];
        const struct bm_kit_layer *facts = &stage->facts;
        if (facts->bias_count == 0) {
            continue;
        }
        if (is_product(stage)) {
            copy_weights(stage, packed, NULL, canonical);
        } else {
            memcpy(canonical + facts->weight_offset, packed + stage->weight,
                   facts->weight_count * sizeof *packed);
        }
        memcpy(canonical + facts->bias_offset, packed + stage->bias,
               facts->bias_count * sizeof *packed);
    }
}
