/* Submitting, waiting, and transfers through two buffers that the host sees. */
#include "queue.h"

#include <string.h>
#include <time.h>

/* A transfer goes in pieces of this size. */
#define PIECE_BYTES (UINT64_C(8) << 20)

static uint64_t now_ns(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- Opening and closing ---- */

static int32_t create_timeline(struct bm_vulkan_queue *queue, struct bm_error *error) {
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                        .pNext = &type};
    VkResult result = queue->device->instance.vk.CreateSemaphore(queue->device->handle, &info, NULL,
                                                                 &queue->timeline);
    return result == VK_SUCCESS ? BM_STATUS_OK : bm_vulkan_fail(error, result, "vkCreateSemaphore");
}

static int32_t create_pool(struct bm_vulkan_queue *queue, struct bm_error *error) {
    const struct bm_vulkan_calls *vk = &queue->device->instance.vk;
    const VkCommandPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = queue->device->facts.queue_family};
    VkResult result = vk->CreateCommandPool(queue->device->handle, &info, NULL, &queue->pool);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkCreateCommandPool");
    }
    const VkCommandBufferAllocateInfo copy = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = queue->pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = 1};
    result = vk->AllocateCommandBuffers(queue->device->handle, &copy, &queue->copy);
    return result == VK_SUCCESS ? BM_STATUS_OK
                                : bm_vulkan_fail(error, result, "vkAllocateCommandBuffers");
}

int32_t bm_vulkan_open_queue(struct bm_vulkan_queue *queue,
                             const struct bm_vulkan_device *device,
                             struct bm_error *error) {
    *queue = (struct bm_vulkan_queue){.device = device};
    int32_t status = create_timeline(queue, error);
    if (status == BM_STATUS_OK) {
        status = create_pool(queue, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_create_buffer(device, BM_VULKAN_UPLOAD, PIECE_BYTES, "upload",
                                         &queue->upload, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_create_buffer(device, BM_VULKAN_READBACK, PIECE_BYTES, "readback",
                                         &queue->readback, error);
    }
    return status;
}

void bm_vulkan_close_queue(struct bm_vulkan_queue *queue) {
    if (queue->device == NULL) {
        return;
    }
    const struct bm_vulkan_calls *vk = &queue->device->instance.vk;
    bm_vulkan_destroy_buffer(queue->device, &queue->upload);
    bm_vulkan_destroy_buffer(queue->device, &queue->readback);
    if (queue->pool != VK_NULL_HANDLE) {
        vk->DestroyCommandPool(queue->device->handle, queue->pool, NULL);
    }
    if (queue->timeline != VK_NULL_HANDLE) {
        vk->DestroySemaphore(queue->device->handle, queue->timeline, NULL);
    }
    memset(queue, 0, sizeof *queue);
}

/* ---- Submitting and waiting ---- */

static int32_t
keep_failure(struct bm_vulkan_queue *queue, int32_t status, const struct bm_error *error) {
    queue->status = status;
    queue->failure = *error;
    return status;
}

int32_t bm_vulkan_check_queue(const struct bm_vulkan_queue *queue, struct bm_error *error) {
    if (queue->status != BM_STATUS_OK) {
        *error = queue->failure;
    }
    return queue->status;
}

int32_t bm_vulkan_submit(struct bm_vulkan_queue *queue,
                         const VkCommandBuffer *buffers,
                         uint32_t count,
                         struct bm_error *error) {
    int32_t status = bm_vulkan_check_queue(queue, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    uint64_t value = queue->submitted + 1;
    const VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &value};
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .pNext = &timeline,
                               .commandBufferCount = count,
                               .pCommandBuffers = buffers,
                               .signalSemaphoreCount = 1,
                               .pSignalSemaphores = &queue->timeline};
    VkResult result =
        queue->device->instance.vk.QueueSubmit(queue->device->queue, 1, &info, VK_NULL_HANDLE);
    if (result != VK_SUCCESS) {
        return keep_failure(queue, bm_vulkan_fail(error, result, "vkQueueSubmit"), error);
    }
    queue->submitted = value;
    return BM_STATUS_OK;
}

/* VK_TIMEOUT if it was not reached while spinning. */
static VkResult spin_until(struct bm_vulkan_queue *queue, uint64_t value) {
    const struct bm_vulkan_calls *vk = &queue->device->instance.vk;
    uint64_t begin = now_ns();
    do {
        VkResult result =
            vk->GetSemaphoreCounterValue(queue->device->handle, queue->timeline, &queue->completed);
        if (result != VK_SUCCESS || queue->completed >= value) {
            return result;
        }
    } while (now_ns() - begin < queue->spin_ns);
    return VK_TIMEOUT;
}

/* Some of the work may take most of the limit, so the limit begins anew with each that is done.
 * VK_TIMEOUT if none was. */
static VkResult sleep_until(struct bm_vulkan_queue *queue, uint64_t value) {
    const struct bm_vulkan_calls *vk = &queue->device->instance.vk;
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &queue->timeline,
                                      .pValues = &value};
    for (;;) {
        VkResult result = vk->WaitSemaphores(queue->device->handle, &info, queue->limit_ns);
        uint64_t before = queue->completed;
        if (result == VK_SUCCESS) {
            queue->completed = value;
        } else if (result == VK_TIMEOUT) {
            result = vk->GetSemaphoreCounterValue(queue->device->handle, queue->timeline,
                                                  &queue->completed);
        }
        if (result != VK_SUCCESS || queue->completed >= value) {
            return result;
        }
        if (queue->completed <= before) {
            return VK_TIMEOUT;
        }
    }
}

static VkResult reach(struct bm_vulkan_queue *queue, uint64_t value) {
    VkResult result = VK_SUCCESS;
    if (queue->completed < value) {
        result = queue->spin_ns > 0 ? spin_until(queue, value) : VK_TIMEOUT;
        if (result == VK_TIMEOUT) {
            result = sleep_until(queue, value);
        }
    }
    return result;
}

static int32_t
fail_wait(const struct bm_vulkan_queue *queue, VkResult result, struct bm_error *error) {
    if (result != VK_TIMEOUT) {
        return bm_vulkan_fail(error, result, "vkWaitSemaphores");
    }
    (void)bm_kit_fail(error, BM_STATUS_TIMEOUT,
                      "%s: expected some work done within %llu s (option timeout), found none",
                      queue->device->facts.name, (unsigned long long)queue->limit_ns / 1000000000);
    error->native_code = result;
    return BM_STATUS_TIMEOUT;
}

int32_t
bm_vulkan_wait_until(struct bm_vulkan_queue *queue, uint64_t value, struct bm_error *error) {
    int32_t status = bm_vulkan_check_queue(queue, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    VkResult result = reach(queue, value);
    status = result == VK_SUCCESS ? bm_vulkan_check_messages(&queue->device->instance, error)
                                  : fail_wait(queue, result, error);
    return status == BM_STATUS_OK ? status : keep_failure(queue, status, error);
}

int32_t bm_vulkan_wait_all(struct bm_vulkan_queue *queue, struct bm_error *error) {
    return bm_vulkan_wait_until(queue, queue->submitted, error);
}

/* The wait for the whole device has no limit, but none is needed where there is no work left or the
 * device is lost. */
int32_t bm_vulkan_finish_queue(struct bm_vulkan_queue *queue) {
    if (queue->device == NULL) {
        return 1;
    }
    if (queue->status == BM_STATUS_TIMEOUT || reach(queue, queue->submitted) == VK_TIMEOUT) {
        return 0;
    }
    (void)queue->device->instance.vk.DeviceWaitIdle(queue->device->handle);
    return 1;
}

void bm_vulkan_barrier(const struct bm_vulkan_queue *queue, VkCommandBuffer buffer) {
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    queue->device->instance.vk.CmdPipelineBarrier(buffer, stages, stages, 0, 1, &barrier, 0, NULL,
                                                  0, NULL);
}

/* ---- Transfers ---- */

/* A copy of the host's memory is for the host's eyes at the end. */
static void host_barrier(const struct bm_vulkan_queue *queue) {
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    queue->device->instance.vk.CmdPipelineBarrier(queue->copy, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                                  VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0,
                                                  NULL, 0, NULL);
}

static int32_t begin_copy(struct bm_vulkan_queue *queue, struct bm_error *error) {
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkResult result = queue->device->instance.vk.BeginCommandBuffer(queue->copy, &info);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkBeginCommandBuffer");
    }
    bm_vulkan_barrier(queue, queue->copy);
    return BM_STATUS_OK;
}

static int32_t end_copy(struct bm_vulkan_queue *queue, struct bm_error *error) {
    bm_vulkan_barrier(queue, queue->copy);
    VkResult result = queue->device->instance.vk.EndCommandBuffer(queue->copy);
    int32_t status =
        result == VK_SUCCESS ? BM_STATUS_OK : bm_vulkan_fail(error, result, "vkEndCommandBuffer");
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_submit(queue, &queue->copy, 1, error);
    }
    return status == BM_STATUS_OK ? bm_vulkan_wait_all(queue, error) : status;
}

static int32_t copy_piece(struct bm_vulkan_queue *queue,
                          VkBuffer from,
                          VkBuffer to,
                          const VkBufferCopy *region,
                          struct bm_error *error) {
    int32_t status = begin_copy(queue, error);
    if (status == BM_STATUS_OK) {
        queue->device->instance.vk.CmdCopyBuffer(queue->copy, from, to, 1, region);
        host_barrier(queue);
        status = end_copy(queue, error);
    }
    return status;
}

int32_t bm_vulkan_write(struct bm_vulkan_queue *queue,
                        const struct bm_vulkan_buffer *to,
                        const void *values,
                        uint64_t bytes,
                        struct bm_error *error) {
    int32_t status = bm_vulkan_wait_all(queue, error);
    for (uint64_t done = 0; done < bytes && status == BM_STATUS_OK;) {
        uint64_t piece = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
        const VkBufferCopy region = {.dstOffset = done, .size = piece};
        memcpy(queue->upload.mapped, (const unsigned char *)values + done, piece);
        status = copy_piece(queue, queue->upload.handle, to->handle, &region, error);
        done += piece;
    }
    return status;
}

int32_t bm_vulkan_read(struct bm_vulkan_queue *queue,
                       const struct bm_vulkan_buffer *from,
                       void *values,
                       uint64_t bytes,
                       struct bm_error *error) {
    int32_t status = bm_vulkan_wait_all(queue, error);
    for (uint64_t done = 0; done < bytes && status == BM_STATUS_OK;) {
        uint64_t piece = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
        const VkBufferCopy region = {.srcOffset = done, .size = piece};
        status = copy_piece(queue, from->handle, queue->readback.handle, &region, error);
        if (status == BM_STATUS_OK) {
            memcpy((unsigned char *)values + done, queue->readback.mapped, piece);
        }
        done += piece;
    }
    return status;
}

int32_t bm_vulkan_clear(struct bm_vulkan_queue *queue,
                        const struct bm_vulkan_buffer *buffer,
                        struct bm_error *error) {
    int32_t status = bm_vulkan_wait_all(queue, error);
    if (status == BM_STATUS_OK) {
        status = begin_copy(queue, error);
    }
    if (status == BM_STATUS_OK) {
        queue->device->instance.vk.CmdFillBuffer(queue->copy, buffer->handle, 0, VK_WHOLE_SIZE, 0);
        status = end_copy(queue, error);
    }
    return status;
}
