/*
 * A Vulkan loader that passes each call on to the real one, but for the fault that it was told of,
 * and counts what was made and not given back. A program finds it by LD_LIBRARY_PATH, with the
 * fault in BM_TEST_VULKAN_FAULT; a test loads it before the plugin and sets faults while it runs.
 *
 *     vkNAME:N:WHAT      the Nth call of vkNAME, and all of it after that, fail
 *     any:N:WHAT         the Nth of all calls that can fail does, and if it is of vkAllocateMemory
 *                        those after it too, as there may be other memory to try
 *     missing:FEATURE    bufferDeviceAddress or timelineSemaphore is not there
 *     version:1.1        of every device
 *     groups:N           of every device: a dispatch has at most N workgroups in x
 *
 * WHAT is the VkResult: host-memory, device-memory, initialization, shader, lost; after lost
 * everything that asks for work says the same. Or
 *
 *     hang    the call does not return
 *     skip    of a vkDestroy or vkFree: nothing is done, which is a leak
 *     stuck   of vkWaitSemaphores: VK_TIMEOUT at once, as though the limit had passed, now and for
 *             ever; who then waits without a limit or takes away what the work may use is stopped
 *     late    of vkWaitSemaphores: VK_TIMEOUT, once, when the work before the last is done
 */
#ifndef BM_VULKAN_FAULTS_H
#define BM_VULKAN_FAULTS_H

#include <stdint.h>

/* The exported functions, for dlsym. */
struct bm_vulkan_faults {
    /* Replaces the fault and starts to count calls; NULL: none. */
    void (*set)(const char *fault);
    /* Calls that have failed since. */
    uint64_t (*failed)(void);
    /* Objects that live: instances, devices and what is made of them, command buffers apart. */
    int64_t (*live)(void);
    /* Limit of the last wait, in ns. */
    uint64_t (*limit)(void);
};

#define BM_VULKAN_FAULTS_SET "bm_vulkan_faults_set"
#define BM_VULKAN_FAULTS_FAILED "bm_vulkan_faults_failed"
#define BM_VULKAN_FAULTS_LIVE "bm_vulkan_faults_live"
#define BM_VULKAN_FAULTS_LIMIT "bm_vulkan_faults_limit"

void bm_vulkan_faults_set(const char *text);
uint64_t bm_vulkan_faults_failed(void);
int64_t bm_vulkan_faults_live(void);
uint64_t bm_vulkan_faults_limit(void);

#endif
