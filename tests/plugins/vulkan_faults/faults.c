/* The loader with faults: what fails, when, and the calls in between (calls.inc). */
#include "faults.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))

#define NAME_SIZE 64u

/* ---- The fault ---- */

enum effect { FAILS, HANGS, IS_STUCK, IS_LATE, IS_SKIPPED };

static const struct {
    const char *name;
    enum effect effect;
    VkResult result;
} effects[] = {
    {"host-memory", FAILS, VK_ERROR_OUT_OF_HOST_MEMORY},
    {"device-memory", FAILS, VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"initialization", FAILS, VK_ERROR_INITIALIZATION_FAILED},
    {"shader", FAILS, VK_ERROR_INVALID_SHADER_NV},
    {"lost", FAILS, VK_ERROR_DEVICE_LOST},
    {"hang", HANGS, VK_SUCCESS},
    {"stuck", IS_STUCK, VK_TIMEOUT},
    {"late", IS_LATE, VK_TIMEOUT},
    {"skip", IS_SKIPPED, VK_SUCCESS},
};

static struct {
    char function[NAME_SIZE]; /* empty: no fault */
    uint64_t first;
    enum effect effect;
    VkResult result;
    char missing[NAME_SIZE];
    uint32_t is_old;
    uint32_t groups; /* 0: as many as there are */
    /* What has come of it. */
    uint64_t calls; /* of the function */
    uint64_t failed;
    uint32_t is_lost;
    uint32_t is_stuck;
} fault;

/* Counted over all faults. */
static int64_t live;
static uint64_t seen; /* value that the plugin knows of the timeline made last */
static uint64_t limit_ns;

static void stop(const char *what) {
    (void)fprintf(stderr, "vulkan_faults: %s\n", what);
    abort();
}

static void set_effect(const char *name) {
    for (size_t i = 0; i < sizeof effects / sizeof effects[0]; i++) {
        if (strcmp(effects[i].name, name) == 0) {
            fault.effect = effects[i].effect;
            fault.result = effects[i].result;
            return;
        }
    }
    stop("unknown effect");
}

EXPORT void bm_vulkan_faults_set(const char *text) {
    char effect[NAME_SIZE];
    unsigned long first = 0;
    memset(&fault, 0, sizeof fault);
    if (text == NULL || text[0] == '\0') {
        return;
    }
    if (sscanf(text, "missing:%63s", fault.missing) == 1 ||
        sscanf(text, "groups:%u", &fault.groups) == 1) {
        return;
    }
    if (strcmp(text, "version:1.1") == 0) {
        fault.is_old = 1;
        return;
    }
    if (sscanf(text, "%63[^:]:%lu:%63s", fault.function, &first, effect) != 3) {
        stop("expected a fault as faults.h has it");
    }
    fault.first = first;
    set_effect(effect);
}

EXPORT uint64_t bm_vulkan_faults_failed(void) {
    return fault.failed;
}

EXPORT int64_t bm_vulkan_faults_live(void) {
    return live;
}

EXPORT uint64_t bm_vulkan_faults_limit(void) {
    return limit_ns;
}

__attribute__((constructor)) static void take_environment(void) {
    bm_vulkan_faults_set(getenv("BM_TEST_VULKAN_FAULT"));
}

static int is_hit(const char *function) {
    int is_any = strcmp(fault.function, "any") == 0;
    if ((!is_any && strcmp(fault.function, function) != 0) || ++fault.calls < fault.first) {
        return 0;
    }
    if (is_any) {
        (void)snprintf(fault.function, sizeof fault.function, "%s",
                       strcmp(function, "vkAllocateMemory") == 0 ? function : "");
    }
    fault.failed++;
    fault.is_lost |= fault.result == VK_ERROR_DEVICE_LOST;
    return 1;
}

static void hang(void) {
    for (;;) {
        (void)pause();
    }
}

static VkResult result_of(const char *function) {
    if (!is_hit(function)) {
        return VK_SUCCESS;
    }
    if (fault.effect == HANGS) {
        hang();
    }
    return fault.result;
}

/* For what asks for work. */
static VkResult work_result_of(const char *function) {
    return fault.is_lost ? VK_ERROR_DEVICE_LOST : result_of(function);
}

static int is_skipped(const char *function) {
    if (fault.is_stuck) {
        stop("taken away under work that has not ended");
    }
    return fault.effect == IS_SKIPPED && is_hit(function);
}

/* ---- The real calls ---- */

static PFN_vkGetInstanceProcAddr real_entry;

static struct {
#define CALL(name, made, parameters, arguments) PFN_vk##name name;
#define GONE(name, gone, parameters, arguments) PFN_vk##name name;
#define OTHER(name) PFN_vk##name name;
#include "calls.inc"
} real;

static void open_real(void) {
    void *library = dlopen(VULKAN_LOADER, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library != NULL ? dlsym(library, "vkGetInstanceProcAddr") : NULL;
    if (symbol == NULL) {
        stop("expected the loader " VULKAN_LOADER ", found none");
    }
    memcpy(&real_entry, &symbol, sizeof real_entry);
}

/* Those of an instance work for every instance and device. */
static void find_real(VkInstance instance) {
#define FIND(name)                                                                                 \
    if (real.name == NULL) {                                                                       \
        real.name = (PFN_vk##name)real_entry(instance, "vk" #name);                                \
    }
#define CALL(name, made, parameters, arguments) FIND(name)
#define GONE(name, gone, parameters, arguments) FIND(name)
#define OTHER(name) FIND(name)
#include "calls.inc"
}

/* ---- Calls in between ---- */

static VkResult result_before(const char *function) {
    if (strcmp(function, "vkCreateSemaphore") == 0) {
        seen = 0;
    }
    return strcmp(function, "vkQueueSubmit") == 0 ? work_result_of(function) : result_of(function);
}

#define CALL(name, made_count, parameters, arguments)                                              \
    static VKAPI_ATTR VkResult VKAPI_CALL do_##name parameters {                                   \
        VkResult result = result_before("vk" #name);                                               \
        if (result == VK_SUCCESS) {                                                                \
            result = real.name arguments;                                                          \
            live += result == VK_SUCCESS ? (int64_t)(made_count) : 0;                              \
        }                                                                                          \
        return result;                                                                             \
    }
#define GONE(name, gone_count, parameters, arguments)                                              \
    static VKAPI_ATTR void VKAPI_CALL do_##name parameters {                                       \
        if (!is_skipped("vk" #name)) {                                                             \
            live -= (gone_count);                                                                  \
            real.name arguments;                                                                   \
        }                                                                                          \
    }
#define OTHER(name)
#include "calls.inc"

/* A device that is late has done all but the last. */
static VkResult wait_late(VkDevice device, const VkSemaphoreWaitInfo *info) {
    const uint64_t before = info->pValues[0] - 1;
    VkSemaphoreWaitInfo shorter = *info;
    shorter.pValues = &before;
    VkResult result = real.WaitSemaphores(device, &shorter, UINT64_MAX);
    fault.function[0] = '\0';
    return result == VK_SUCCESS ? VK_TIMEOUT : result;
}

static VKAPI_ATTR VkResult VKAPI_CALL do_WaitSemaphores(VkDevice device,
                                                        const VkSemaphoreWaitInfo *info,
                                                        uint64_t limit) {
    limit_ns = limit;
    VkResult result = work_result_of("vkWaitSemaphores");
    if (result == VK_TIMEOUT && fault.effect == IS_LATE) {
        return wait_late(device, info);
    }
    fault.is_stuck |= result == VK_TIMEOUT;
    if (result == VK_SUCCESS) {
        result = real.WaitSemaphores(device, info, limit);
        seen = result == VK_SUCCESS ? info->pValues[0] : seen;
    }
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL do_GetSemaphoreCounterValue(VkDevice device,
                                                                  VkSemaphore semaphore,
                                                                  uint64_t *value) {
    VkResult result = work_result_of("vkGetSemaphoreCounterValue");
    if (result == VK_SUCCESS && !fault.is_stuck) {
        result = real.GetSemaphoreCounterValue(device, semaphore, &seen);
    }
    *value = seen;
    return result;
}

/* On a lost device too the work that the real one has must end before what it uses is gone. */
static VKAPI_ATTR VkResult VKAPI_CALL do_DeviceWaitIdle(VkDevice device) {
    if (fault.is_stuck) {
        stop("a wait without end");
    }
    VkResult result = real.DeviceWaitIdle(device);
    VkResult own = work_result_of("vkDeviceWaitIdle");
    return own != VK_SUCCESS ? own : result;
}

static VKAPI_ATTR void VKAPI_CALL
do_GetPhysicalDeviceFeatures2(VkPhysicalDevice device, VkPhysicalDeviceFeatures2 *features) {
    real.GetPhysicalDeviceFeatures2(device, features);
    for (VkBaseOutStructure *next = features->pNext; next != NULL; next = next->pNext) {
        if (next->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES) {
            VkPhysicalDeviceVulkan12Features *core12 = (VkPhysicalDeviceVulkan12Features *)next;
            core12->bufferDeviceAddress &= strcmp(fault.missing, "bufferDeviceAddress") != 0;
            core12->timelineSemaphore &= strcmp(fault.missing, "timelineSemaphore") != 0;
        }
    }
}

static VKAPI_ATTR void VKAPI_CALL
do_GetPhysicalDeviceProperties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *properties) {
    real.GetPhysicalDeviceProperties2(device, properties);
    if (fault.is_old) {
        properties->properties.apiVersion = VK_API_VERSION_1_1;
    }
    if (fault.groups > 0) {
        properties->properties.limits.maxComputeWorkGroupCount[0] = fault.groups;
    }
}

/* ---- Finding them ---- */

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL do_GetDeviceProcAddr(VkDevice device,
                                                                     const char *name);

static PFN_vkVoidFunction find_own(const char *name) {
#define TAKE(own)                                                                                  \
    if (strcmp(name, "vk" #own) == 0) {                                                            \
        return (PFN_vkVoidFunction)do_##own;                                                       \
    }
#define CALL(own, made, parameters, arguments) TAKE(own)
#define GONE(own, gone, parameters, arguments) TAKE(own)
#define OTHER(own) TAKE(own)
#include "calls.inc"
    return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL do_GetDeviceProcAddr(VkDevice device,
                                                                     const char *name) {
    PFN_vkVoidFunction own = find_own(name);
    return own != NULL ? own : real.GetDeviceProcAddr(device, name);
}

/* The one function that the plugin looks for in the library. */
// NOLINTBEGIN(readability-identifier-naming)
EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance,
                                                                      const char *name);

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance,
                                                                      const char *name) {
    if (real_entry == NULL) {
        open_real();
    }
    find_real(instance);
    PFN_vkVoidFunction own = find_own(name);
    return own != NULL ? own : real_entry(instance, name);
}

// NOLINTEND(readability-identifier-naming)
