/*
 * Vulkan's functions, found at run time: the loader library is opened by the plugin, so that it
 * can be loaded, and say what is missing, where there is none.
 */
#ifndef BM_VULKAN_LOADER_H
#define BM_VULKAN_LOADER_H

#include <batchmark/kit.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

/* Each of vkNAME is the member NAME; those of instance and device are set when one is opened. */
struct bm_vulkan_calls {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
#define GLOBAL(name) PFN_vk##name name;
#define INSTANCE(name) PFN_vk##name name;
#define DEVICE(name) PFN_vk##name name;
#include "functions.inc"
};

/* Opens the loader library, which is never closed, and sets the global calls. UNSUPPORTED if there
 * is no such library, INTERNAL if it is not a loader. */
int32_t bm_vulkan_open_loader(struct bm_vulkan_calls *calls, struct bm_error *error);

/* INTERNAL if one is missing. */
int32_t bm_vulkan_set_instance_calls(struct bm_vulkan_calls *calls,
                                     VkInstance instance,
                                     struct bm_error *error);
int32_t
bm_vulkan_set_device_calls(struct bm_vulkan_calls *calls, VkDevice device, struct bm_error *error);

/* Fills `error` with what failed and the result's name, and returns the status that fits it:
 * NO_MEMORY, DEVICE_LOST, TIMEOUT, UNSUPPORTED for a missing driver, feature, extension or layer,
 * otherwise INTERNAL. */
int32_t bm_vulkan_fail(struct bm_error *error, VkResult result, const char *what);

#endif
