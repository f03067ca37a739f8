/* What every bad plugin is made of: the scalar backend's table, copied, renamed, and with the
 * functions replaced that hold the fault. BAD_NAME comes from CMake. */
#ifndef BAD_BASE_H
#define BAD_BASE_H

#include <batchmark/plugin.h>
#include <stddef.h>

/* The scalar backend's bm_plugin_entry, compiled under this name. */
const struct bm_plugin *
bm_bad_base_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error);

/* Fills *table with the healthy one under the bad plugin's name; returns the healthy one, or NULL
 * with `error` filled. */
static inline const struct bm_plugin *copy_base(struct bm_plugin *table, struct bm_error *error) {
    const struct bm_plugin *healthy = bm_bad_base_entry(BM_ABI_MAJOR, BM_ABI_MINOR, error);
    if (healthy != NULL) {
        *table = *healthy;
        table->name = BAD_NAME;
    }
    return healthy;
}

#endif
