/* Relu, dropout and max pooling. */
#include "session.h"

#include <math.h>
#include <string.h>

#define INVOCATIONS 64u

/* ---- Relu and dropout, in place ---- */

static void in_place(struct bm_vulkan_recorder *recorder,
                     const struct bm_vulkan_stage *stage,
                     uint32_t is_backward,
                     uint32_t has_mask) {
    struct bm_session *session = recorder->session;
    uint32_t is_dropout = stage->kind == BM_LAYER_DROPOUT;
    uint64_t rows = recorder->mode.count * stage->out.positions;
    struct bm_vulkan_kernel kernel = {.shader = BM_VULKAN_ELEMENTS,
                                      .constants = {[0] = INVOCATIONS,
                                                    [1] = is_dropout,
                                                    [2] = is_backward,
                                                    [3] = has_mask,
                                                    [4] = stage->out.vectors,
                                                    [5] = (uint32_t)stage->out.positions,
                                                    [6] = stage->index,
                                                    [8] = (uint32_t)session->core.seed,
                                                    [9] = (uint32_t)(session->core.seed >> 32)}};
    const float kept_share = (float)(1 - stage->facts.rate);

    const struct {
        VkDeviceAddress values;
        VkDeviceAddress gradient;
        VkDeviceAddress order;
        VkDeviceAddress control;
        uint32_t rows;
    } push = {stage->output->address, is_backward ? stage->delta->address : 0,
              session->order.address, session->control->address, (uint32_t)rows};

    if (is_dropout) {
        kernel.constants[7] = (uint32_t)floor(stage->facts.rate * 0x1p32);
    }
    memcpy(&kernel.constants[10], &kept_share, sizeof kept_share);
    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, rows * stage->out.vectors);
}

static int32_t is_identity(const struct bm_vulkan_recorder *recorder,
                           const struct bm_vulkan_stage *stage) {
    return stage->kind == BM_LAYER_DROPOUT &&
           (recorder->mode.kind == BM_VULKAN_EVALUATE || stage->facts.rate == 0 ||
            (recorder->mode.flags & BM_SLICE_NO_DROPOUT) != 0);
}

void bm_vulkan_elements_forward(struct bm_vulkan_recorder *recorder,
                                const struct bm_vulkan_stage *stage) {
    if (!is_identity(recorder, stage)) {
        in_place(recorder, stage, 0, 0);
    }
}

/* Where the stage below has passed a relu, the values, which this stage has left there, still say
 * so. */
void bm_vulkan_elements_backward(struct bm_vulkan_recorder *recorder,
                                 const struct bm_vulkan_stage *stage) {
    uint32_t has_mask = stage->kind == BM_LAYER_RELU || stage[-1].relu;
    if (!is_identity(recorder, stage)) {
        in_place(recorder, stage, 1, has_mask);
    } else if (has_mask) {
        struct bm_vulkan_stage mask = *stage;
        mask.kind = BM_LAYER_RELU;
        in_place(recorder, &mask, 1, 1);
    }
}

/* ---- Max pooling ---- */

static void pool(struct bm_vulkan_recorder *recorder,
                 const struct bm_vulkan_stage *stage,
                 uint32_t is_backward) {
    const struct bm_vulkan_kernel kernel = {.shader = BM_VULKAN_MAXPOOL,
                                            .constants = {[0] = INVOCATIONS,
                                                          [1] = is_backward,
                                                          [2] = stage->out.vectors,
                                                          [3] = stage->in.height,
                                                          [4] = stage->in.width,
                                                          [5] = stage->out.height,
                                                          [6] = stage->out.width,
                                                          [7] = stage->facts.kernel_height,
                                                          [8] = stage->facts.kernel_width,
                                                          [9] = stage->facts.stride,
                                                          [10] = stage->facts.padding,
                                                          [11] = is_backward && stage[-1].relu}};

    const struct {
        VkDeviceAddress x;
        VkDeviceAddress y;
        VkDeviceAddress dx;
        VkDeviceAddress winners;
        uint32_t count;
    } push = {stage->input->address, is_backward ? stage->delta->address : stage->output->address,
              is_backward ? stage[-1].delta->address : 0, stage->winners->address,
              (uint32_t)recorder->mode.count};

    const struct bm_vulkan_side *side = is_backward ? &stage->in : &stage->out;
    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push,
                       recorder->mode.count * side->positions * side->vectors);
}

void bm_vulkan_maxpool_forward(struct bm_vulkan_recorder *recorder,
                               const struct bm_vulkan_stage *stage) {
    pool(recorder, stage, 0);
}

void bm_vulkan_maxpool_backward(struct bm_vulkan_recorder *recorder,
                                const struct bm_vulkan_stage *stage) {
    pool(recorder, stage, 1);
}
