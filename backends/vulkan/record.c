/* The walk through the stages, forward and back, as commands. */
#include "session.h"

void bm_vulkan_dispatch(struct bm_vulkan_recorder *recorder,
                        const struct bm_vulkan_kernel *kernel,
                        const void *push,
                        uint32_t push_bytes,
                        uint64_t items) {
    struct bm_session *session = recorder->session;
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    VkPipeline pipeline = VK_NULL_HANDLE;
    if (recorder->status == BM_STATUS_OK) {
        recorder->status = bm_vulkan_get_pipeline(session, kernel, &pipeline, recorder->error);
    }
    if (recorder->status != BM_STATUS_OK) {
        return;
    }
    uint64_t groups = (items + kernel->constants[0] - 1) / kernel->constants[0];
    uint64_t most = session->device.facts.groups_max;
    uint64_t lines = (groups + most - 1) / most;
    vk->CmdBindPipeline(recorder->commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vk->CmdPushConstants(recorder->commands, session->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                         push_bytes, push);
    vk->CmdDispatch(recorder->commands, (uint32_t)(groups < most ? groups : most), (uint32_t)lines,
                    1);
    recorder->dispatch_count++;
}

void bm_vulkan_pass_barrier(struct bm_vulkan_recorder *recorder) {
    bm_vulkan_barrier(&recorder->session->queue, recorder->commands);
}

static void forward_stage(struct bm_vulkan_recorder *recorder,
                          const struct bm_vulkan_stage *stage) {
    switch (stage->kind) {
    case BM_LAYER_DENSE:
    case BM_LAYER_CONV2D:
        bm_vulkan_product_forward(recorder, stage);
        break;
    case BM_LAYER_BATCHNORM:
        bm_vulkan_norm_forward(recorder, stage);
        break;
    case BM_LAYER_RELU:
    case BM_LAYER_DROPOUT:
        bm_vulkan_elements_forward(recorder, stage);
        break;
    case BM_LAYER_MAXPOOL:
        bm_vulkan_maxpool_forward(recorder, stage);
        break;
    default:
        bm_vulkan_softmax(recorder, stage);
        break;
    }
}

/* The gradient of the stage's input from that of its output, if it is wanted; batch norm has its
 * parameters' on the way. */
static void backward_stage(struct bm_vulkan_recorder *recorder,
                           const struct bm_vulkan_stage *stage,
                           uint32_t wants_input_gradient) {
    if (stage->kind == BM_LAYER_BATCHNORM) {
        bm_vulkan_norm_backward(recorder, stage, wants_input_gradient);
    } else if (wants_input_gradient && stage->depth > 0) {
        bm_vulkan_product_input_gradient(recorder, stage);
    } else if (wants_input_gradient && stage->kind == BM_LAYER_MAXPOOL) {
        bm_vulkan_maxpool_backward(recorder, stage);
    } else if (wants_input_gradient) {
        bm_vulkan_elements_backward(recorder, stage);
    }
}

static void forward(struct bm_vulkan_recorder *recorder) {
    struct bm_session *session = recorder->session;
    bm_vulkan_input(recorder);
    for (uint32_t i = 0; i < session->stage_count; i++) {
        bm_vulkan_pass_barrier(recorder);
        forward_stage(recorder, &session->stages[i]);
    }
}

/* From the stage below softmax down to the lowest that has parameters, whose input gradient nobody
 * reads; then the gradients of all weights, which may step them: their readers are done. */
static void backward(struct bm_vulkan_recorder *recorder) {
    struct bm_session *session = recorder->session;
    for (uint32_t i = session->stage_count - 1; i-- > session->first_trainable;) {
        bm_vulkan_pass_barrier(recorder);
        backward_stage(recorder, &session->stages[i], i > session->first_trainable);
    }
    bm_vulkan_weight_gradients(recorder);
}

void bm_vulkan_record_pass(struct bm_vulkan_recorder *recorder) {
    uint32_t kind = recorder->mode.kind;
    if (kind == BM_VULKAN_APPLY) {
        bm_vulkan_step(recorder, 1);
        return;
    }
    forward(recorder);
    if (kind != BM_VULKAN_EVALUATE) {
        backward(recorder);
    }
    if (kind == BM_VULKAN_UPDATE && !bm_kit_rule_is_local(recorder->session->core.optimizer)) {
        bm_vulkan_pass_barrier(recorder);
        bm_vulkan_step(recorder, 0);
    }
}
