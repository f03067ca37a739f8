/* For faults that happen in the gradient: the includer defines `bad_gradient`. update and updates,
 * which are optional, are not offered, so that every update passes through it. */
#ifndef BAD_GRADIENT_H
#define BAD_GRADIENT_H

#include "base.h"

static const struct bm_plugin *base;

static int32_t
bad_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error);

BM_PLUGIN_EXPORT const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    static struct bm_plugin table;
    (void)host_major;
    (void)host_minor;
    base = copy_base(&table, error);
    if (base == NULL) {
        return NULL;
    }
    table.gradient = bad_gradient;
    table.update = NULL;
    table.updates = NULL;
    return &table;
}

#endif
