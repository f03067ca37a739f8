/* Programs: found by their mode, recorded at their first use. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beyond so many all are forgotten; training meets a handful. */
#define PROGRAM_MAX 256u

static int32_t is_same(const struct bm_vulkan_mode *a, const struct bm_vulkan_mode *b) {
    return a->kind == b->kind && a->flags == b->flags && a->split == b->split &&
           a->repeat == b->repeat && a->count == b->count;
}

static int32_t
allocate(struct bm_session *session, struct bm_vulkan_program *program, struct bm_error *error) {
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = session->queue.pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = 1};
    VkResult result = session->device.instance.vk.AllocateCommandBuffers(session->device.handle,
                                                                         &info, &program->commands);
    return result == VK_SUCCESS ? BM_STATUS_OK
                                : bm_vulkan_fail(error, result, "vkAllocateCommandBuffers");
}

static int32_t
record(struct bm_session *session, struct bm_vulkan_program *program, struct bm_error *error) {
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    struct bm_vulkan_recorder recorder = {
        .session = session, .mode = program->mode, .commands = program->commands, .error = error};
    /* The same commands may be waiting several times, one after the other. */
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT};
    VkResult result = vk->BeginCommandBuffer(program->commands, &info);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkBeginCommandBuffer");
    }
    for (uint32_t i = 0; i < program->mode.repeat; i++) {
        int32_t is_timed = i == program->mode.repeat - 1;
        bm_vulkan_pass_barrier(&recorder);
        if (is_timed) {
            bm_vulkan_begin_time(session, program->commands, program->mode.kind);
        }
        bm_vulkan_record_pass(&recorder);
        if (is_timed) {
            bm_vulkan_end_time(session, program->commands, program->mode.kind);
        }
    }
    program->dispatch_count = recorder.dispatch_count;
    result = vk->EndCommandBuffer(program->commands);
    if (recorder.status != BM_STATUS_OK) {
        return recorder.status;
    }
    return result == VK_SUCCESS ? BM_STATUS_OK
                                : bm_vulkan_fail(error, result, "vkEndCommandBuffer");
}

static int32_t
add_program(struct bm_session *session, const struct bm_vulkan_mode *mode, struct bm_error *error) {
    struct bm_vulkan_program *grown =
        realloc(session->programs, (session->program_count + (size_t)1) * sizeof *grown);
    if (grown == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a list of programs");
    }
    session->programs = grown;
    struct bm_vulkan_program *program = &grown[session->program_count];
    *program = (struct bm_vulkan_program){.mode = *mode};
    int32_t status = allocate(session, program, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->program_count++;
    status = record(session, program, error);
    if (status != BM_STATUS_OK) {
        session->program_count--;
        session->device.instance.vk.FreeCommandBuffers(session->device.handle, session->queue.pool,
                                                       1, &program->commands);
    }
    return status;
}

int32_t bm_vulkan_get_program(struct bm_session *session,
                              const struct bm_vulkan_mode *mode,
                              const struct bm_vulkan_program **program,
                              struct bm_error *error) {
    for (uint32_t i = 0; i < session->program_count; i++) {
        if (is_same(&session->programs[i].mode, mode)) {
            *program = &session->programs[i];
            return BM_STATUS_OK;
        }
    }
    int32_t status = BM_STATUS_OK;
    if (session->program_count >= PROGRAM_MAX) {
        status = bm_vulkan_wait_all(&session->queue, error);
        if (status == BM_STATUS_OK) {
            bm_vulkan_forget_programs(session);
        }
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_tune(session, mode, error);
    }
    if (status == BM_STATUS_OK) {
        status = add_program(session, mode, error);
    }
    if (status == BM_STATUS_OK) {
        *program = &session->programs[session->program_count - 1];
    }
    return status;
}

void bm_vulkan_describe_programs(const struct bm_session *session, char *text, uint32_t capacity) {
    static const char *const names[] = {[BM_VULKAN_GRADIENT] = "gradient",
                                        [BM_VULKAN_APPLY] = "apply",
                                        [BM_VULKAN_UPDATE] = "update",
                                        [BM_VULKAN_EVALUATE] = "evaluate"};
    for (uint32_t i = 0; i < session->program_count; i++) {
        const struct bm_vulkan_program *program = &session->programs[i];
        if (program->mode.repeat != 1) {
            continue;
        }
        int used = snprintf(text, capacity, "dispatches.%s.%llu=%u\n", names[program->mode.kind],
                            (unsigned long long)program->mode.count, program->dispatch_count);
        if (used < 0 || (uint32_t)used >= capacity) {
            text[0] = '\0';
            return;
        }
        text += used;
        capacity -= (uint32_t)used;
    }
}

void bm_vulkan_forget_programs(struct bm_session *session) {
    for (uint32_t i = 0; i < session->program_count; i++) {
        session->device.instance.vk.FreeCommandBuffers(session->device.handle, session->queue.pool,
                                                       1, &session->programs[i].commands);
    }
    free(session->programs);
    session->programs = NULL;
    session->program_count = 0;
}
