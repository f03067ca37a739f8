/* Buffers and the choice of their memory. */
#include "buffer.h"

#include <string.h>

#define LOCAL VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define SHARED (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
#define CACHED VK_MEMORY_PROPERTY_HOST_CACHED_BIT

/* For each place what is wanted first, and what will do. */
static const VkMemoryPropertyFlags wanted[][2] = {
    [BM_VULKAN_ON_DEVICE] = {LOCAL, 0},
    [BM_VULKAN_UPLOAD] = {SHARED | LOCAL, SHARED},
    [BM_VULKAN_READBACK] = {SHARED | CACHED, SHARED},
};

/* VK_MAX_MEMORY_TYPES if none has these properties. */
static uint32_t
find_type(const struct bm_vulkan_facts *facts, uint32_t allowed, VkMemoryPropertyFlags properties) {
    for (uint32_t i = 0; i < facts->memory.memoryTypeCount; i++) {
        VkMemoryPropertyFlags own = facts->memory.memoryTypes[i].propertyFlags;
        if ((allowed >> i & 1) != 0 && (own & properties) == properties) {
            return i;
        }
    }
    return VK_MAX_MEMORY_TYPES;
}

static int32_t create_handle(const struct bm_vulkan_device *device,
                             struct bm_vulkan_buffer *buffer,
                             struct bm_error *error) {
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = buffer->bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    VkResult result =
        device->instance.vk.CreateBuffer(device->handle, &info, NULL, &buffer->handle);
    return result == VK_SUCCESS ? BM_STATUS_OK : bm_vulkan_fail(error, result, "vkCreateBuffer");
}

/* The second choice too if the first heap is full, as the part of a GPU's memory that the host sees
 * may be small. */
static VkResult allocate(const struct bm_vulkan_device *device,
                         uint32_t place,
                         const VkMemoryRequirements *needs,
                         VkDeviceMemory *memory) {
    const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                             .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (uint32_t choice = 0; choice < 2 && result != VK_SUCCESS; choice++) {
        const VkMemoryAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
            .pNext = &flags,
            .allocationSize = needs->size,
            .memoryTypeIndex =
                find_type(&device->facts, needs->memoryTypeBits, wanted[place][choice])};
        if (info.memoryTypeIndex < VK_MAX_MEMORY_TYPES) {
            result = device->instance.vk.AllocateMemory(device->handle, &info, NULL, memory);
        }
    }
    return result;
}

static int32_t give_memory(const struct bm_vulkan_device *device,
                           uint32_t place,
                           const char *what,
                           struct bm_vulkan_buffer *buffer,
                           struct bm_error *error) {
    const struct bm_vulkan_calls *vk = &device->instance.vk;
    VkMemoryRequirements needs;
    vk->GetBufferMemoryRequirements(device->handle, buffer->handle, &needs);
    if (needs.size > device->facts.allocation_bytes_max) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY,
                           "%s: expected at most %llu bytes in one piece, found %llu", what,
                           (unsigned long long)device->facts.allocation_bytes_max,
                           (unsigned long long)needs.size);
    }
    VkResult result = allocate(device, place, &needs, &buffer->memory);
    if (result != VK_SUCCESS) {
        int32_t status = bm_vulkan_fail(error, result, "vkAllocateMemory");
        return status != BM_STATUS_NO_MEMORY
                   ? status
                   : bm_kit_fail(error, status, "%s: no memory on the device for %llu bytes", what,
                                 (unsigned long long)needs.size);
    }
    result = vk->BindBufferMemory(device->handle, buffer->handle, buffer->memory, 0);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkBindBufferMemory");
    }
    const VkBufferDeviceAddressInfo address = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = buffer->handle};
    buffer->address = vk->GetBufferDeviceAddress(device->handle, &address);
    if (place != BM_VULKAN_ON_DEVICE) {
        result =
            vk->MapMemory(device->handle, buffer->memory, 0, VK_WHOLE_SIZE, 0, &buffer->mapped);
    }
    return result == VK_SUCCESS ? BM_STATUS_OK : bm_vulkan_fail(error, result, "vkMapMemory");
}

int32_t bm_vulkan_create_buffer(const struct bm_vulkan_device *device,
                                uint32_t place,
                                uint64_t bytes,
                                const char *what,
                                struct bm_vulkan_buffer *buffer,
                                struct bm_error *error) {
    *buffer = (struct bm_vulkan_buffer){.bytes = bytes};
    int32_t status = create_handle(device, buffer, error);
    if (status == BM_STATUS_OK) {
        status = give_memory(device, place, what, buffer, error);
    }
    if (status != BM_STATUS_OK) {
        bm_vulkan_destroy_buffer(device, buffer);
    }
    return status;
}

void bm_vulkan_destroy_buffer(const struct bm_vulkan_device *device,
                              struct bm_vulkan_buffer *buffer) {
    if (buffer->handle != VK_NULL_HANDLE) {
        device->instance.vk.DestroyBuffer(device->handle, buffer->handle, NULL);
    }
    if (buffer->memory != VK_NULL_HANDLE) {
        device->instance.vk.FreeMemory(device->handle, buffer->memory, NULL);
    }
    memset(buffer, 0, sizeof *buffer);
}
