/* Physical devices, and a logical one for a session. */
#include "device.h"

#include <stdio.h>
#include <string.h>

/* ---- Facts ---- */

static uint32_t kind_of(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return BM_DEVICE_KIND_GPU;
    default:
        return BM_DEVICE_KIND_SOFTWARE;
    }
}

static uint64_t local_bytes(const VkPhysicalDeviceMemoryProperties *memory) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &memory->memoryHeaps[i];
        if ((heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0 && heap->size > most) {
            most = heap->size;
        }
    }
    return most;
}

/* 0 if no family of queues computes. */
static int32_t find_queue(const struct bm_vulkan_instance *instance,
                          VkPhysicalDevice physical,
                          struct bm_vulkan_facts *facts) {
    VkQueueFamilyProperties families[32];
    uint32_t count = sizeof families / sizeof families[0];
    instance->vk.GetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) != 0) {
            facts->queue_family = i;
            facts->timestamp_bits = families[i].timestampValidBits;
            return 1;
        }
    }
    return 0;
}

static void take_properties(const struct bm_vulkan_instance *instance,
                            VkPhysicalDevice physical,
                            struct bm_vulkan_facts *facts,
                            uint32_t *version) {
    VkPhysicalDeviceMaintenance3Properties limits = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, .pNext = &limits};
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, .pNext = &subgroup};
    VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES,
                                       .pNext = &driver};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &id};
    instance->vk.GetPhysicalDeviceProperties2(physical, &all);
    const VkPhysicalDeviceProperties *own = &all.properties;
    *version = own->apiVersion;
    facts->kind = kind_of(own->deviceType);
    facts->vendor = own->vendorID;
    facts->timestamp_ns = own->limits.timestampPeriod;
    facts->subgroup_size = subgroup.subgroupSize;
    facts->groups_max = own->limits.maxComputeWorkGroupCount[0];
    facts->allocation_bytes_max = limits.maxMemoryAllocationSize;
    (void)snprintf(facts->name, sizeof facts->name, "%s", own->deviceName);
    (void)snprintf(facts->driver, sizeof facts->driver, "%s %s", driver.driverName,
                   driver.driverInfo);
    memcpy(facts->uuid, id.deviceUUID, sizeof facts->uuid);
    memcpy(facts->cache_uuid, own->pipelineCacheUUID, sizeof facts->cache_uuid);
}

static int32_t check_features(const struct bm_vulkan_instance *instance,
                              VkPhysicalDevice physical,
                              struct bm_vulkan_facts *facts,
                              struct bm_error *error) {
    VkPhysicalDeviceVulkan12Features core12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                     .pNext = &core12};
    instance->vk.GetPhysicalDeviceFeatures2(physical, &all);
    if (!core12.bufferDeviceAddress || !core12.timelineSemaphore) {
        return bm_kit_fail(
            error, BM_STATUS_UNSUPPORTED, "%s: expected the feature %s, found none", facts->name,
            core12.bufferDeviceAddress ? "timelineSemaphore" : "bufferDeviceAddress");
    }
    return BM_STATUS_OK;
}

/* UNSUPPORTED, naming what is missing, if the device cannot run the plugin. */
static int32_t get_facts(const struct bm_vulkan_instance *instance,
                         VkPhysicalDevice physical,
                         struct bm_vulkan_facts *facts,
                         struct bm_error *error) {
    uint32_t version = 0;
    memset(facts, 0, sizeof *facts);
    take_properties(instance, physical, facts, &version);
    instance->vk.GetPhysicalDeviceMemoryProperties(physical, &facts->memory);
    facts->memory_bytes = local_bytes(&facts->memory);
    if (version < VK_API_VERSION_1_2) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "%s: expected Vulkan 1.2 or later, found %u.%u", facts->name,
                           VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    }
    if (!find_queue(instance, physical, facts)) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "%s: expected a queue that computes, found none", facts->name);
    }
    return check_features(instance, physical, facts, error);
}

/* ---- Questions of the host ---- */

static int32_t get_device(const struct bm_vulkan_instance *instance,
                          uint32_t number,
                          VkPhysicalDevice *physical,
                          struct bm_error *error) {
    VkPhysicalDevice devices[BM_VULKAN_DEVICE_MAX];
    uint32_t count = 0;
    int32_t status = bm_vulkan_find_devices(instance, devices, &count, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (number >= count) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "device: expected a number below %u, found %u",
                           count, number);
    }
    *physical = devices[number];
    return BM_STATUS_OK;
}

/* What is missing is the reason for no devices, not a failure. */
int32_t bm_vulkan_device_count(uint32_t *count, struct bm_error *error) {
    struct bm_vulkan_instance instance;
    VkPhysicalDevice devices[BM_VULKAN_DEVICE_MAX];
    *count = 0;
    int32_t status = bm_vulkan_open_instance(&instance, 0, error);
    if (status != BM_STATUS_OK) {
        return status == BM_STATUS_UNSUPPORTED ? BM_STATUS_OK : status;
    }
    status = bm_vulkan_find_devices(&instance, devices, count, error);
    if (status == BM_STATUS_OK && *count == 0) {
        (void)bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                          "expected a Vulkan device, found drivers without one");
    }
    bm_vulkan_close_instance(&instance);
    return status;
}

static const char *vendor_name(uint32_t vendor) {
    switch (vendor) {
    case 0x10de:
        return "NVIDIA";
    case 0x1002:
        return "AMD";
    case 0x8086:
        return "Intel";
    case 0x106b:
        return "Apple";
    case 0x13b5:
        return "ARM";
    case 0x5143:
        return "Qualcomm";
    case VK_VENDOR_ID_MESA:
        return "Mesa";
    default:
        return "";
    }
}

/* As the vendor's tools print it: NVIDIA's begin with GPU-. */
static void format_uuid(const struct bm_vulkan_facts *facts, char *text, size_t capacity) {
    const uint8_t *u = facts->uuid;
    (void)snprintf(text, capacity,
                   "%s%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   facts->vendor == 0x10de ? "GPU-" : "", u[0], u[1], u[2], u[3], u[4], u[5], u[6],
                   u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

/* Empty where the driver does not tell. */
static void find_pci(const struct bm_vulkan_instance *instance,
                     VkPhysicalDevice physical,
                     char *text,
                     size_t capacity) {
    VkExtensionProperties extensions[512];
    uint32_t count = sizeof extensions / sizeof extensions[0];
    VkResult result =
        instance->vk.EnumerateDeviceExtensionProperties(physical, NULL, &count, extensions);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(extensions[i].extensionName, VK_EXT_PCI_BUS_INFO_EXTENSION_NAME) == 0) {
            VkPhysicalDevicePCIBusInfoPropertiesEXT bus = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT};
            VkPhysicalDeviceProperties2 all = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &bus};
            instance->vk.GetPhysicalDeviceProperties2(physical, &all);
            (void)snprintf(text, capacity, "%04x:%02x:%02x.%x", bus.pciDomain, bus.pciBus,
                           bus.pciDevice, bus.pciFunction);
        }
    }
}

static void fill_info(const struct bm_vulkan_facts *facts, struct bm_device_info *info) {
    info->kind = facts->kind;
    /* Vulkan leaves it to the driver whether subnormals survive. */
    info->flags = BM_DEVICE_FLUSHES_SUBNORMALS;
    info->memory_bytes = facts->memory_bytes;
    info->precision_count = 1;
    info->precisions[0] = (struct bm_precision){.name = BM_PRECISION_FLOAT32,
                                                .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                                .accumulate_roundoff = BM_ROUNDOFF_FLOAT32};
    (void)snprintf(info->name, sizeof info->name, "%.127s", facts->name);
    (void)snprintf(info->vendor, sizeof info->vendor, "%s", vendor_name(facts->vendor));
    (void)snprintf(info->driver, sizeof info->driver, "%.127s", facts->driver);
    format_uuid(facts, info->uuid, sizeof info->uuid);
}

int32_t
bm_vulkan_device_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    struct bm_vulkan_instance instance;
    VkPhysicalDevice physical = VK_NULL_HANDLE;
    int32_t status = bm_kit_struct(info, sizeof *info, "info", error);
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_open_instance(&instance, 0, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = get_device(&instance, device, &physical, error);
    if (status == BM_STATUS_OK) {
        struct bm_vulkan_facts facts;
        uint32_t size = info->size;
        memset(info, 0, size);
        info->size = size;
        /* A device that cannot run the plugin is one that `supports` refuses; it has a name. */
        struct bm_error reason;
        (void)get_facts(&instance, physical, &facts, &reason);
        fill_info(&facts, info);
        find_pci(&instance, physical, info->pci, sizeof info->pci);
    }
    bm_vulkan_close_instance(&instance);
    return status;
}

int32_t
bm_vulkan_ask_facts(uint32_t number, struct bm_vulkan_facts *facts, struct bm_error *error) {
    struct bm_vulkan_instance instance;
    VkPhysicalDevice physical = VK_NULL_HANDLE;
    int32_t status = bm_vulkan_open_instance(&instance, 0, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = get_device(&instance, number, &physical, error);
    if (status == BM_STATUS_OK) {
        status = get_facts(&instance, physical, facts, error);
    }
    bm_vulkan_close_instance(&instance);
    return status;
}

/* ---- Logical device ---- */

static int32_t
create_handle(struct bm_vulkan_device *device, VkPhysicalDevice physical, struct bm_error *error) {
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueFamilyIndex = device->facts.queue_family,
                                           .queueCount = 1,
                                           .pQueuePriorities = &priority};
    const VkPhysicalDeviceVulkan12Features core12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .bufferDeviceAddress = VK_TRUE,
        .timelineSemaphore = VK_TRUE};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &core12,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue};
    VkResult result = device->instance.vk.CreateDevice(physical, &info, NULL, &device->handle);
    return result == VK_SUCCESS ? BM_STATUS_OK : bm_vulkan_fail(error, result, "vkCreateDevice");
}

int32_t bm_vulkan_open_device(struct bm_vulkan_device *device,
                              uint32_t number,
                              uint32_t validate,
                              struct bm_error *error) {
    VkPhysicalDevice physical = VK_NULL_HANDLE;
    memset(device, 0, sizeof *device);
    int32_t status = bm_vulkan_open_instance(&device->instance, validate, error);
    if (status == BM_STATUS_OK) {
        status = get_device(&device->instance, number, &physical, error);
    }
    if (status == BM_STATUS_OK) {
        status = get_facts(&device->instance, physical, &device->facts, error);
    }
    if (status == BM_STATUS_OK) {
        status = create_handle(device, physical, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_set_device_calls(&device->instance.vk, device->handle, error);
    }
    if (status == BM_STATUS_OK) {
        device->instance.vk.GetDeviceQueue(device->handle, device->facts.queue_family, 0,
                                           &device->queue);
    } else {
        bm_vulkan_close_device(device);
    }
    return status;
}

void bm_vulkan_close_device(struct bm_vulkan_device *device) {
    if (device->handle != NULL && device->instance.vk.DestroyDevice != NULL) {
        device->instance.vk.DestroyDevice(device->handle, NULL);
    }
    bm_vulkan_close_instance(&device->instance);
    memset(device, 0, sizeof *device);
}
