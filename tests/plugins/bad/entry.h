/* For faults of the table itself: the includer defines `spoil`, which changes it. */
#ifndef BAD_ENTRY_H
#define BAD_ENTRY_H

#include "base.h"

static void spoil(struct bm_plugin *table);

BM_PLUGIN_EXPORT const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    static struct bm_plugin table;
    (void)host_major;
    (void)host_minor;
    if (copy_base(&table, error) == NULL) {
        return NULL;
    }
    spoil(&table);
    return &table;
}

#endif
