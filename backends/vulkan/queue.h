/* Work on a device: submitted in order, counted by a timeline semaphore, waited for. */
#ifndef BM_VULKAN_QUEUE_H
#define BM_VULKAN_QUEUE_H

#include "buffer.h"

struct bm_vulkan_queue {
    const struct bm_vulkan_device *device;
    VkCommandPool pool;
    VkSemaphore timeline;
    uint64_t submitted; /* the timeline's value when all is done */
    uint64_t completed; /* as last seen */
    uint64_t spin_ns;   /* a wait looks again and again for so long before it sleeps */
    uint64_t limit_ns;  /* a device that finishes nothing for so long is not waited for any more */
    int32_t status;     /* of the first failure of submitted work, which stays; its text: */
    struct bm_error failure;
    VkCommandBuffer copy; /* of transfers */
    struct bm_vulkan_buffer upload;
    struct bm_vulkan_buffer readback;
};

/* `device` outlives the queue; the caller sets spin_ns and limit_ns before the first wait. On
 * failure what was made is given back with bm_vulkan_close_queue, as after success. */
int32_t bm_vulkan_open_queue(struct bm_vulkan_queue *queue,
                             const struct bm_vulkan_device *device,
                             struct bm_error *error);

/* Waits for all work, whatever has failed before; then everything that it used may go. 0 if it does
 * not end within the limit: then nothing may, for the device may still use it. 1 on zeros. */
int32_t bm_vulkan_finish_queue(struct bm_vulkan_queue *queue);

/* After bm_vulkan_finish_queue. Fine on zeros. */
void bm_vulkan_close_queue(struct bm_vulkan_queue *queue);

/* The failure of submitted work, which is the answer to everything that is asked after it. */
int32_t bm_vulkan_check_queue(const struct bm_vulkan_queue *queue, struct bm_error *error);

/* Submits `count` command buffers at once, which advances the timeline by 1. */
int32_t bm_vulkan_submit(struct bm_vulkan_queue *queue,
                         const VkCommandBuffer *buffers,
                         uint32_t count,
                         struct bm_error *error);

/* Returns when the timeline has reached `value`, with TIMEOUT if nothing was finished within the
 * limit. Errors of submitted work, the validation layer's messages among them, are returned here
 * and from then on. */
int32_t bm_vulkan_wait_until(struct bm_vulkan_queue *queue, uint64_t value, struct bm_error *error);

/* All that was submitted. */
int32_t bm_vulkan_wait_all(struct bm_vulkan_queue *queue, struct bm_error *error);

/* Both wait for everything before, and are done when they return. */
int32_t bm_vulkan_write(struct bm_vulkan_queue *queue,
                        const struct bm_vulkan_buffer *to,
                        const void *values,
                        uint64_t bytes,
                        struct bm_error *error);
int32_t bm_vulkan_read(struct bm_vulkan_queue *queue,
                       const struct bm_vulkan_buffer *from,
                       void *values,
                       uint64_t bytes,
                       struct bm_error *error);

/* Sets the whole buffer to zeros. */
int32_t bm_vulkan_clear(struct bm_vulkan_queue *queue,
                        const struct bm_vulkan_buffer *buffer,
                        struct bm_error *error);

/* What a shader or a transfer wrote is there for all that follow in the same queue. */
void bm_vulkan_barrier(const struct bm_vulkan_queue *queue, VkCommandBuffer buffer);

#endif
