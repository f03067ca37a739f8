/* What is known of a device and its driver from earlier runs, kept in the user's cache folder. */
#ifndef BM_VULKAN_CACHE_H
#define BM_VULKAN_CACHE_H

#include "device.h"

/* What is kept: the driver's compiled pipelines; the tuner's choices. Endings of file names. */
#define BM_VULKAN_CACHE_PIPELINES "cache"
#define BM_VULKAN_CACHE_TILES "tiles"

/* The data kept for this device and driver, in memory that belongs to the caller (free); NULL and
 * *bytes 0 if there is none or it is damaged. */
void *bm_vulkan_load_cache(const struct bm_vulkan_facts *facts, const char *what, size_t *bytes);

/* Replaces it, in one step. What cannot be kept is made again next time: no error. */
void bm_vulkan_save_cache(const struct bm_vulkan_facts *facts,
                          const char *what,
                          const void *data,
                          size_t bytes);

#endif
