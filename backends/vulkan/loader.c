/* Opening the loader library and finding its functions. */
#include "loader.h"

#include <dlfcn.h>
#include <string.h>

#define LIBRARY "libvulkan.so.1"

/* POSIX says that an object pointer of dlsym may be a function's; C has no conversion for it. */
static PFN_vkGetInstanceProcAddr find_entry(void *library) {
    PFN_vkGetInstanceProcAddr entry = NULL;
    void *symbol = dlsym(library, "vkGetInstanceProcAddr");
    memcpy(&entry, &symbol, sizeof entry);
    return entry;
}

static int32_t fail_missing(const char *name, struct bm_error *error) {
    return bm_kit_fail(error, BM_STATUS_INTERNAL, "%s: expected %s, found none", LIBRARY, name);
}

int32_t bm_vulkan_open_loader(struct bm_vulkan_calls *calls, struct bm_error *error) {
    memset(calls, 0, sizeof *calls);
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "expected the Vulkan loader %s (Debian: libvulkan1), found none: %s",
                           LIBRARY, dlerror());
    }
    calls->GetInstanceProcAddr = find_entry(library);
    if (calls->GetInstanceProcAddr == NULL) {
        return fail_missing("vkGetInstanceProcAddr", error);
    }
#define GLOBAL(name)                                                                               \
    calls->name = (PFN_vk##name)calls->GetInstanceProcAddr(NULL, "vk" #name);                      \
    if (calls->name == NULL) {                                                                     \
        return fail_missing("vk" #name, error);                                                    \
    }
#define INSTANCE(name)
#define DEVICE(name)
#include "functions.inc"
    return BM_STATUS_OK;
}

int32_t bm_vulkan_set_instance_calls(struct bm_vulkan_calls *calls,
                                     VkInstance instance,
                                     struct bm_error *error) {
#define GLOBAL(name)
#define INSTANCE(name)                                                                             \
    calls->name = (PFN_vk##name)calls->GetInstanceProcAddr(instance, "vk" #name);                  \
    if (calls->name == NULL) {                                                                     \
        return fail_missing("vk" #name, error);                                                    \
    }
#define DEVICE(name)
#include "functions.inc"
    return BM_STATUS_OK;
}

int32_t
bm_vulkan_set_device_calls(struct bm_vulkan_calls *calls, VkDevice device, struct bm_error *error) {
#define GLOBAL(name)
#define INSTANCE(name)
#define DEVICE(name)                                                                               \
    calls->name = (PFN_vk##name)calls->GetDeviceProcAddr(device, "vk" #name);                      \
    if (calls->name == NULL) {                                                                     \
        return fail_missing("vk" #name, error);                                                    \
    }
#include "functions.inc"
    return BM_STATUS_OK;
}

/* ---- Errors ---- */

static const struct {
    VkResult result;
    int32_t status;
    const char *name;
} results[] = {
    {VK_TIMEOUT, BM_STATUS_TIMEOUT, "VK_TIMEOUT"},
    {VK_ERROR_OUT_OF_HOST_MEMORY, BM_STATUS_NO_MEMORY, "VK_ERROR_OUT_OF_HOST_MEMORY"},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, BM_STATUS_NO_MEMORY, "VK_ERROR_OUT_OF_DEVICE_MEMORY"},
    {VK_ERROR_INITIALIZATION_FAILED, BM_STATUS_INTERNAL, "VK_ERROR_INITIALIZATION_FAILED"},
    {VK_ERROR_DEVICE_LOST, BM_STATUS_DEVICE_LOST, "VK_ERROR_DEVICE_LOST"},
    {VK_ERROR_MEMORY_MAP_FAILED, BM_STATUS_NO_MEMORY, "VK_ERROR_MEMORY_MAP_FAILED"},
    {VK_ERROR_LAYER_NOT_PRESENT, BM_STATUS_UNSUPPORTED, "VK_ERROR_LAYER_NOT_PRESENT"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, BM_STATUS_UNSUPPORTED, "VK_ERROR_EXTENSION_NOT_PRESENT"},
    {VK_ERROR_FEATURE_NOT_PRESENT, BM_STATUS_UNSUPPORTED, "VK_ERROR_FEATURE_NOT_PRESENT"},
    {VK_ERROR_INCOMPATIBLE_DRIVER, BM_STATUS_UNSUPPORTED, "VK_ERROR_INCOMPATIBLE_DRIVER"},
    {VK_ERROR_TOO_MANY_OBJECTS, BM_STATUS_NO_MEMORY, "VK_ERROR_TOO_MANY_OBJECTS"},
    {VK_ERROR_UNKNOWN, BM_STATUS_INTERNAL, "VK_ERROR_UNKNOWN"},
    {VK_ERROR_INVALID_SHADER_NV, BM_STATUS_INTERNAL, "VK_ERROR_INVALID_SHADER_NV"},
};

int32_t bm_vulkan_fail(struct bm_error *error, VkResult result, const char *what) {
    int32_t status = BM_STATUS_INTERNAL;
    const char *name = "VkResult";
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        if (results[i].result == result) {
            status = results[i].status;
            name = results[i].name;
        }
    }
    (void)bm_kit_fail(error, status, "%s: expected VK_SUCCESS, found %s (%d)", what, name,
                      (int)result);
    error->native_code = result;
    return status;
}
