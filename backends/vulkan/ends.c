/* Both ends of a pass: the images, and the losses. */
#include "session.h"

#define INVOCATIONS 64u

void bm_vulkan_input(struct bm_vulkan_recorder *recorder) {
    struct bm_session *session = recorder->session;
    const struct bm_vulkan_split *split = &session->splits[recorder->mode.split];
    const struct bm_vulkan_side *side = &session->stages[0].in;
    const struct bm_kit_shape *input = &session->core.network.input;
    const struct bm_vulkan_kernel kernel = {
        .shader = BM_VULKAN_INPUT,
        .constants = {[0] = INVOCATIONS,
                      [1] = side->channels,
                      [2] = (uint32_t)side->positions,
                      [3] = session->core.data[recorder->mode.split].type == BM_DATA_UINT8,
                      [4] = recorder->mode.kind != BM_VULKAN_EVALUATE,
                      [5] = input->height * input->width}};

    const struct {
        VkDeviceAddress images;
        VkDeviceAddress order;
        VkDeviceAddress scales;
        VkDeviceAddress x;
        VkDeviceAddress ring;
        VkDeviceAddress control;
        uint32_t count;
    } push = {split->images.address,         session->order.address, split->scales.address,
              session->input->address,       session->ring->address, session->control->address,
              (uint32_t)recorder->mode.count};

    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push,
                       recorder->mode.count * side->positions * side->vectors);
}

void bm_vulkan_softmax(struct bm_vulkan_recorder *recorder, const struct bm_vulkan_stage *stage) {
    struct bm_session *session = recorder->session;
    int32_t training = recorder->mode.kind != BM_VULKAN_EVALUATE;
    const struct bm_vulkan_kernel kernel = {
        .shader = BM_VULKAN_SOFTMAX,
        .constants = {[0] = INVOCATIONS,
                      [1] = session->core.network.class_count,
                      [2] = (uint32_t)training,
                      [3] = (uint32_t)training && stage->delta != NULL,
                      [4] = stage > session->stages && stage[-1].relu}};

    const struct {
        VkDeviceAddress logits;
        VkDeviceAddress gradient;
        VkDeviceAddress labels;
        VkDeviceAddress order;
        VkDeviceAddress losses;
        VkDeviceAddress right;
        VkDeviceAddress control;
        uint32_t count;
    } push = {stage->input->address,
              stage->delta != NULL ? stage->delta->address : 0,
              session->splits[recorder->mode.split].labels.address,
              session->order.address,
              session->losses->address,
              session->right->address,
              session->control->address,
              (uint32_t)recorder->mode.count};

    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, recorder->mode.count);
}
