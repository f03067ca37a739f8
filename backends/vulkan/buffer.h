/* Memory of a device: one buffer with memory and address of its own for each array, so that no
 * limit of a binding matters. */
#ifndef BM_VULKAN_BUFFER_H
#define BM_VULKAN_BUFFER_H

#include "device.h"

/* Where a buffer lies. */
#define BM_VULKAN_ON_DEVICE 0u /* not mapped */
#define BM_VULKAN_UPLOAD 1u    /* mapped, written by the host and read by the device */
#define BM_VULKAN_READBACK 2u  /* mapped, written by the device and read by the host */

struct bm_vulkan_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    VkDeviceAddress address;
    uint64_t bytes;
    void *mapped;
};

/* `bytes` is at least 1; the contents are not set. Belongs to the caller: give it back with
 * bm_vulkan_destroy_buffer. NO_MEMORY, naming what it is for and its size; on failure the buffer is
 * all zeros. */
int32_t bm_vulkan_create_buffer(const struct bm_vulkan_device *device,
                                uint32_t place,
                                uint64_t bytes,
                                const char *what,
                                struct bm_vulkan_buffer *buffer,
                                struct bm_error *error);

/* Fine on zeros. */
void bm_vulkan_destroy_buffer(const struct bm_vulkan_device *device,
                              struct bm_vulkan_buffer *buffer);

#endif
