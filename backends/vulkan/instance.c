/* Opening an instance, with or without the validation layer. */
#include "instance.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYER "VK_LAYER_KHRONOS_validation"

/* What we use of the core: timeline semaphores and buffer addresses. */
#define API_VERSION VK_API_VERSION_1_2

/* ---- Validation ---- */

static VKAPI_ATTR VkBool32 VKAPI_CALL take_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                   VkDebugUtilsMessageTypeFlagsEXT types,
                                                   const VkDebugUtilsMessengerCallbackDataEXT *data,
                                                   void *context) {
    struct bm_vulkan_messages *messages = context;
    (void)severity;
    (void)types;
    if (__atomic_fetch_add(&messages->count, 1, __ATOMIC_SEQ_CST) == 0) {
        (void)snprintf(messages->first, sizeof messages->first, "%s", data->pMessage);
        for (char *c = messages->first; *c != '\0'; c++) {
            if (*c == '\n') {
                *c = ' ';
            }
        }
    }
    return VK_FALSE;
}

static const VkDebugUtilsMessengerCreateInfoEXT messenger_info = {
    .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
    .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
    .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                   VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
    .pfnUserCallback = take_message,
};

static int32_t check_layer(const struct bm_vulkan_instance *instance, struct bm_error *error) {
    VkLayerProperties layers[64];
    uint32_t count = sizeof layers / sizeof layers[0];
    VkResult result = instance->vk.EnumerateInstanceLayerProperties(&count, layers);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        return bm_vulkan_fail(error, result, "vkEnumerateInstanceLayerProperties");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(layers[i].layerName, LAYER) == 0) {
            return BM_STATUS_OK;
        }
    }
    return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                       "option validate: expected the layer %s (Debian: "
                       "vulkan-validationlayers), found %u others",
                       LAYER, count);
}

static int32_t open_messenger(struct bm_vulkan_instance *instance, struct bm_error *error) {
    VkDebugUtilsMessengerCreateInfoEXT info = messenger_info;
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)instance->vk.GetInstanceProcAddr(
            instance->handle, "vkCreateDebugUtilsMessengerEXT");
    if (create == NULL) {
        return bm_kit_fail(error, BM_STATUS_INTERNAL,
                           "expected vkCreateDebugUtilsMessengerEXT, found none");
    }
    info.pUserData = instance->messages;
    VkResult result = create(instance->handle, &info, NULL, &instance->messenger);
    return result == VK_SUCCESS ? BM_STATUS_OK
                                : bm_vulkan_fail(error, result, "vkCreateDebugUtilsMessengerEXT");
}

int32_t bm_vulkan_check_messages(const struct bm_vulkan_instance *instance,
                                 struct bm_error *error) {
    if (instance->messages == NULL) {
        return BM_STATUS_OK;
    }
    uint32_t count = __atomic_load_n(&instance->messages->count, __ATOMIC_SEQ_CST);
    if (count == 0) {
        return BM_STATUS_OK;
    }
    return bm_kit_fail(error, BM_STATUS_INTERNAL, "validation: expected no message, found %u: %s",
                       count, instance->messages->first);
}

/* ---- Drivers ---- */

/* With its last instance the loader unloads the drivers. NVIDIA's cannot be loaded again often: its
 * thread-local data take room of which a process has little and never gets back, and the tenth
 * session of a process found no driver. So what an instance has loaded stays. */

#define OBJECTS_MAX 1024u

struct objects {
    uint32_t count;
    const char *name[OBJECTS_MAX]; /* the linker's own */
};

static int note_object(struct dl_phdr_info *info, size_t size, void *context) {
    struct objects *objects = context;
    (void)size;
    if (objects->count < OBJECTS_MAX) {
        objects->name[objects->count++] = info->dlpi_name;
    }
    return 0;
}

static int32_t has(const struct objects *objects, const char *name) {
    for (uint32_t i = 0; i < objects->count; i++) {
        if (objects->name[i] == name) {
            return 1;
        }
    }
    return 0;
}

static VkResult create_and_keep(struct bm_vulkan_instance *instance,
                                const VkInstanceCreateInfo *info) {
    struct objects before = {.count = 0};
    struct objects after = {.count = 0};
    (void)dl_iterate_phdr(note_object, &before);
    VkResult result = instance->vk.CreateInstance(info, NULL, &instance->handle);
    (void)dl_iterate_phdr(note_object, &after);
    for (uint32_t i = 0; i < after.count && result == VK_SUCCESS; i++) {
        void *object = has(&before, after.name[i])
                           ? NULL
                           : dlopen(after.name[i], RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
        if (object != NULL) {
            (void)dlclose(object); /* which leaves it where it is */
        }
    }
    return result;
}

/* ---- Instance ---- */

/* The loader that Debian had before 2016 knows no versions: then the call is missing. */
static int32_t check_version(const struct bm_vulkan_instance *instance, struct bm_error *error) {
    uint32_t version = 0;
    VkResult result = instance->vk.EnumerateInstanceVersion(&version);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkEnumerateInstanceVersion");
    }
    if (version < API_VERSION) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "expected a Vulkan loader of at least 1.2, found %u.%u",
                           VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    }
    return BM_STATUS_OK;
}

static int32_t create_handle(struct bm_vulkan_instance *instance, struct bm_error *error) {
    static const char *const layers[] = {LAYER};
    static const char *const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info;
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .pApplicationName = "batchmark",
                                           .apiVersion = API_VERSION};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &application};
    if (instance->messages != NULL) {
        messenger.pUserData = instance->messages;
        info.pNext = &messenger;
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = layers;
        info.enabledExtensionCount = 1;
        info.ppEnabledExtensionNames = extensions;
    }
    VkResult result = create_and_keep(instance, &info);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
        return bm_kit_fail(
            error, BM_STATUS_UNSUPPORTED,
            "expected a Vulkan driver (Debian: mesa-vulkan-drivers, nvidia-vulkan-icd), "
            "found none");
    }
    return result == VK_SUCCESS ? BM_STATUS_OK : bm_vulkan_fail(error, result, "vkCreateInstance");
}

static int32_t
open_parts(struct bm_vulkan_instance *instance, uint32_t validate, struct bm_error *error) {
    int32_t status = bm_vulkan_open_loader(&instance->vk, error);
    if (status == BM_STATUS_OK) {
        status = check_version(instance, error);
    }
    if (status == BM_STATUS_OK && validate) {
        status = check_layer(instance, error);
        instance->messages = calloc(1, sizeof *instance->messages);
        if (status == BM_STATUS_OK && instance->messages == NULL) {
            status = bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for messages");
        }
    }
    if (status == BM_STATUS_OK) {
        status = create_handle(instance, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_set_instance_calls(&instance->vk, instance->handle, error);
    }
    if (status == BM_STATUS_OK && validate) {
        status = open_messenger(instance, error);
    }
    return status;
}

int32_t bm_vulkan_open_instance(struct bm_vulkan_instance *instance,
                                uint32_t validate,
                                struct bm_error *error) {
    memset(instance, 0, sizeof *instance);
    int32_t status = open_parts(instance, validate, error);
    if (status != BM_STATUS_OK) {
        bm_vulkan_close_instance(instance);
    }
    return status;
}

void bm_vulkan_close_instance(struct bm_vulkan_instance *instance) {
    if (instance->messenger != VK_NULL_HANDLE) {
        PFN_vkDestroyDebugUtilsMessengerEXT destroy =
            (PFN_vkDestroyDebugUtilsMessengerEXT)instance->vk.GetInstanceProcAddr(
                instance->handle, "vkDestroyDebugUtilsMessengerEXT");
        destroy(instance->handle, instance->messenger, NULL);
    }
    if (instance->handle != NULL && instance->vk.DestroyInstance != NULL) {
        instance->vk.DestroyInstance(instance->handle, NULL);
    }
    free(instance->messages);
    memset(instance, 0, sizeof *instance);
}

int32_t bm_vulkan_find_devices(const struct bm_vulkan_instance *instance,
                               VkPhysicalDevice devices[BM_VULKAN_DEVICE_MAX],
                               uint32_t *count,
                               struct bm_error *error) {
    *count = BM_VULKAN_DEVICE_MAX;
    VkResult result = instance->vk.EnumeratePhysicalDevices(instance->handle, count, devices);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        *count = 0;
        return bm_vulkan_fail(error, result, "vkEnumeratePhysicalDevices");
    }
    return BM_STATUS_OK;
}
