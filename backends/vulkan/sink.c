/* Where the gradients of parameters go. */
#include "session.h"

static VkDeviceAddress address_of(const struct bm_vulkan_buffer *buffer,
                                  const struct bm_vulkan_stage *stage) {
    return buffer != NULL
               ? buffer->address + (stage != NULL ? stage->weight : 0) * 4 * sizeof(float)
               : 0;
}

struct bm_vulkan_sink bm_vulkan_sink_of(const struct bm_session *session,
                                        const struct bm_vulkan_stage *stage) {
    return (struct bm_vulkan_sink){
        .gradient = address_of(session->gradient, stage),
        .weights = address_of(session->params, stage),
        .state = {address_of(session->state[0], stage), address_of(session->state[1], stage)},
        .control = session->control->address};
}

void bm_vulkan_set_sink(const struct bm_vulkan_recorder *recorder,
                        struct bm_vulkan_kernel *kernel,
                        uint32_t first) {
    uint32_t rule = recorder->session->core.optimizer;
    kernel->constants[first] = (recorder->mode.flags & BM_SLICE_ACCUMULATE) != 0;
    kernel->constants[first + 1] =
        recorder->mode.kind == BM_VULKAN_UPDATE && bm_kit_rule_is_local(rule);
    kernel->constants[first + 2] = rule;
}
