/* Shaders, and pipelines made of them with their constants. */
#include "cache.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PUSH_BYTES 128u

static const uint32_t input_words[] = {
#include "shaders/input.inc"
};
static const uint32_t matrix_software_words[] = {
#include "shaders/matrix_software.inc"
};
static const uint32_t matrix_tiled_words[] = {
#include "shaders/matrix_tiled.inc"
};
static const uint32_t matrix_parts_words[] = {
#include "shaders/matrix_parts.inc"
};
static const uint32_t matrix_few_words[] = {
#include "shaders/matrix_few.inc"
};
static const uint32_t weights_few_words[] = {
#include "shaders/weights_few.inc"
};
static const uint32_t softmax_words[] = {
#include "shaders/softmax.inc"
};
static const uint32_t step_words[] = {
#include "shaders/step.inc"
};
static const uint32_t trust_sums_words[] = {
#include "shaders/trust_sums.inc"
};
static const uint32_t trust_ratio_words[] = {
#include "shaders/trust_ratio.inc"
};
static const uint32_t trust_step_words[] = {
#include "shaders/trust_step.inc"
};
static const uint32_t norm_sums_words[] = {
#include "shaders/norm_sums.inc"
};
static const uint32_t norm_channels_words[] = {
#include "shaders/norm_channels.inc"
};
static const uint32_t norm_rows_words[] = {
#include "shaders/norm_rows.inc"
};
static const uint32_t elements_words[] = {
#include "shaders/elements.inc"
};
static const uint32_t maxpool_words[] = {
#include "shaders/maxpool.inc"
};

static const struct {
    const uint32_t *words;
    size_t bytes;
} shaders[BM_VULKAN_SHADER_COUNT] = {
    [BM_VULKAN_INPUT] = {input_words, sizeof input_words},
    [BM_VULKAN_MATRIX_SOFTWARE] = {matrix_software_words, sizeof matrix_software_words},
    [BM_VULKAN_MATRIX_TILED] = {matrix_tiled_words, sizeof matrix_tiled_words},
    [BM_VULKAN_MATRIX_PARTS] = {matrix_parts_words, sizeof matrix_parts_words},
    [BM_VULKAN_MATRIX_FEW] = {matrix_few_words, sizeof matrix_few_words},
    [BM_VULKAN_WEIGHTS_FEW] = {weights_few_words, sizeof weights_few_words},
    [BM_VULKAN_SOFTMAX] = {softmax_words, sizeof softmax_words},
    [BM_VULKAN_STEP] = {step_words, sizeof step_words},
    [BM_VULKAN_TRUST_SUMS] = {trust_sums_words, sizeof trust_sums_words},
    [BM_VULKAN_TRUST_RATIO] = {trust_ratio_words, sizeof trust_ratio_words},
    [BM_VULKAN_TRUST_STEP] = {trust_step_words, sizeof trust_step_words},
    [BM_VULKAN_NORM_SUMS] = {norm_sums_words, sizeof norm_sums_words},
    [BM_VULKAN_NORM_CHANNELS] = {norm_channels_words, sizeof norm_channels_words},
    [BM_VULKAN_NORM_ROWS] = {norm_rows_words, sizeof norm_rows_words},
    [BM_VULKAN_ELEMENTS] = {elements_words, sizeof elements_words},
    [BM_VULKAN_MAXPOOL] = {maxpool_words, sizeof maxpool_words},
};

static int32_t open_cache(struct bm_session *session, struct bm_error *error) {
    void *data = bm_vulkan_load_cache(&session->device.facts, BM_VULKAN_CACHE_PIPELINES,
                                      &session->cache_bytes);
    const VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                            .initialDataSize = session->cache_bytes,
                                            .pInitialData = data};
    VkResult result = session->device.instance.vk.CreatePipelineCache(session->device.handle, &info,
                                                                      NULL, &session->cache);
    free(data);
    return result == VK_SUCCESS ? BM_STATUS_OK
                                : bm_vulkan_fail(error, result, "vkCreatePipelineCache");
}

int32_t bm_vulkan_open_pipelines(struct bm_session *session, struct bm_error *error) {
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    const VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                      .size = PUSH_BYTES};
    const VkPipelineLayoutCreateInfo layout = {.sType =
                                                   VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &push};
    VkResult result =
        vk->CreatePipelineLayout(session->device.handle, &layout, NULL, &session->layout);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkCreatePipelineLayout");
    }
    return open_cache(session, error);
}

/* What the driver has compiled beyond what it was given is kept. */
static void keep_cache(struct bm_session *session) {
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    size_t bytes = 0;
    VkResult result =
        vk->GetPipelineCacheData(session->device.handle, session->cache, &bytes, NULL);
    if (result != VK_SUCCESS || bytes <= session->cache_bytes) {
        return;
    }
    void *data = malloc(bytes);
    if (data != NULL && vk->GetPipelineCacheData(session->device.handle, session->cache, &bytes,
                                                 data) == VK_SUCCESS) {
        bm_vulkan_save_cache(&session->device.facts, BM_VULKAN_CACHE_PIPELINES, data, bytes);
    }
    free(data);
}

void bm_vulkan_close_pipelines(struct bm_session *session) {
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    for (uint32_t i = 0; i < session->pipeline_count; i++) {
        vk->DestroyPipeline(session->device.handle, session->pipelines[i].handle, NULL);
    }
    free(session->pipelines);
    if (session->cache != VK_NULL_HANDLE) {
        keep_cache(session);
        vk->DestroyPipelineCache(session->device.handle, session->cache, NULL);
    }
    if (session->layout != VK_NULL_HANDLE) {
        vk->DestroyPipelineLayout(session->device.handle, session->layout, NULL);
    }
}

static int32_t create_pipeline(struct bm_session *session,
                               const struct bm_vulkan_kernel *kernel,
                               VkShaderModule module,
                               VkPipeline *pipeline,
                               struct bm_error *error) {
    VkSpecializationMapEntry entries[BM_VULKAN_CONSTANT_MAX];
    for (uint32_t i = 0; i < BM_VULKAN_CONSTANT_MAX; i++) {
        entries[i] = (VkSpecializationMapEntry){
            .constantID = i, .offset = i * (uint32_t)sizeof(uint32_t), .size = sizeof(uint32_t)};
    }
    const VkSpecializationInfo constants = {.mapEntryCount = BM_VULKAN_CONSTANT_MAX,
                                            .pMapEntries = entries,
                                            .dataSize = sizeof kernel->constants,
                                            .pData = kernel->constants};
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = session->layout};
    VkResult result = session->device.instance.vk.CreateComputePipelines(
        session->device.handle, session->cache, 1, &info, NULL, pipeline);
    return result == VK_SUCCESS ? BM_STATUS_OK
                                : bm_vulkan_fail(error, result, "vkCreateComputePipelines");
}

static int32_t make_pipeline(struct bm_session *session,
                             const struct bm_vulkan_kernel *kernel,
                             VkPipeline *pipeline,
                             struct bm_error *error) {
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    const VkShaderModuleCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                           .codeSize = shaders[kernel->shader].bytes,
                                           .pCode = shaders[kernel->shader].words};
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = vk->CreateShaderModule(session->device.handle, &info, NULL, &module);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkCreateShaderModule");
    }
    int32_t status = create_pipeline(session, kernel, module, pipeline, error);
    vk->DestroyShaderModule(session->device.handle, module, NULL);
    return status;
}

static uint64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int32_t bm_vulkan_get_pipeline(struct bm_session *session,
                               const struct bm_vulkan_kernel *kernel,
                               VkPipeline *pipeline,
                               struct bm_error *error) {
    for (uint32_t i = 0; i < session->pipeline_count; i++) {
        if (memcmp(&session->pipelines[i].kernel, kernel, sizeof *kernel) == 0) {
            *pipeline = session->pipelines[i].handle;
            return BM_STATUS_OK;
        }
    }
    struct bm_vulkan_pipeline *grown =
        realloc(session->pipelines, (session->pipeline_count + (size_t)1) * sizeof *grown);
    if (grown == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a list of pipelines");
    }
    session->pipelines = grown;
    uint64_t before_ns = now_ns();
    int32_t status = make_pipeline(session, kernel, pipeline, error);
    session->compile_ns += now_ns() - before_ns;
    if (status == BM_STATUS_OK) {
        grown[session->pipeline_count++] =
            (struct bm_vulkan_pipeline){.kernel = *kernel, .handle = *pipeline};
    }
    return status;
}
