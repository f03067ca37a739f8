/* A Vulkan instance of a session or of one question about devices, and what its validation layer
 * has said. */
#ifndef BM_VULKAN_INSTANCE_H
#define BM_VULKAN_INSTANCE_H

#include "loader.h"

/* The validation layer's messages: how many, and the first. Drivers call back from any thread. */
struct bm_vulkan_messages {
    uint32_t count; /* atomic */
    char first[400];
};

struct bm_vulkan_instance {
    struct bm_vulkan_calls vk;
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger; /* VK_NULL_HANDLE: no validation */
    struct bm_vulkan_messages *messages;
};

/* With `validate` the layer VK_LAYER_KHRONOS_validation is on; UNSUPPORTED if it is not installed,
 * or if there is no loader or no driver. `instance` may not move until it is closed. On failure
 * nothing is left behind. */
int32_t bm_vulkan_open_instance(struct bm_vulkan_instance *instance,
                                uint32_t validate,
                                struct bm_error *error);

void bm_vulkan_close_instance(struct bm_vulkan_instance *instance);

/* INTERNAL, with the first message, if the validation layer has said anything. */
int32_t bm_vulkan_check_messages(const struct bm_vulkan_instance *instance, struct bm_error *error);

/* The devices of the instance, at most BM_VULKAN_DEVICE_MAX, in the loader's order. */
#define BM_VULKAN_DEVICE_MAX 32u

int32_t bm_vulkan_find_devices(const struct bm_vulkan_instance *instance,
                               VkPhysicalDevice devices[BM_VULKAN_DEVICE_MAX],
                               uint32_t *count,
                               struct bm_error *error);

#endif
