/* A physical device: what it is, whether it can run the plugin, and a logical device made of it. */
#ifndef BM_VULKAN_DEVICE_H
#define BM_VULKAN_DEVICE_H

#include "instance.h"

/* Facts of a physical device that the plugin decides by. */
struct bm_vulkan_facts {
    uint32_t kind; /* BM_DEVICE_KIND_* */
    uint32_t vendor;
    uint32_t queue_family;   /* one that computes */
    uint32_t timestamp_bits; /* of that family; 0: no timestamps */
    float timestamp_ns;      /* of one tick */
    uint32_t subgroup_size;
    uint32_t groups_max; /* of a dispatch, in x */
    uint64_t allocation_bytes_max;
    uint64_t memory_bytes; /* of its largest device-local heap */
    VkPhysicalDeviceMemoryProperties memory;
    char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
    char driver[2 * VK_MAX_DRIVER_NAME_SIZE];
    uint8_t uuid[VK_UUID_SIZE];
    uint8_t cache_uuid[VK_UUID_SIZE]; /* of pipelines: changes with the driver */
};

/* device_count and device_info of plugin.h. */
int32_t bm_vulkan_device_count(uint32_t *count, struct bm_error *error);
int32_t bm_vulkan_device_info(uint32_t device, struct bm_device_info *info, struct bm_error *error);

/* A logical device with one queue, of an instance of its own. */
struct bm_vulkan_device {
    struct bm_vulkan_instance instance;
    struct bm_vulkan_facts facts;
    VkDevice handle;
    VkQueue queue;
};

/* INVALID if there is no such device, UNSUPPORTED, naming what is missing, if it cannot run the
 * plugin. Belongs to the caller and
 * may not move until it is closed. On failure nothing is left behind. */
int32_t bm_vulkan_open_device(struct bm_vulkan_device *device,
                              uint32_t number,
                              uint32_t validate,
                              struct bm_error *error);

/* Fine on zeros. Everything made of the device is gone before. */
void bm_vulkan_close_device(struct bm_vulkan_device *device);

/* The facts alone, of an instance opened and closed for the question. */
int32_t bm_vulkan_ask_facts(uint32_t number, struct bm_vulkan_facts *facts, struct bm_error *error);

#endif
