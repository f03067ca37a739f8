/* A driver's compiled pipelines, kept in the user's cache folder from one run to the next. */
#ifndef BM_VULKAN_CACHE_H
#define BM_VULKAN_CACHE_H

#include "device.h"

/* The data kept for this device and driver, in memory that belongs to the caller (free); NULL and
 * *bytes 0 if there is none or it is damaged. */
void *bm_vulkan_load_cache(const struct bm_vulkan_facts *facts, size_t *bytes);

/* Replaces it, in one step. What cannot be kept is made again next time: no error. */
void bm_vulkan_save_cache(const struct bm_vulkan_facts *facts, const void *data, size_t bytes);

#endif
