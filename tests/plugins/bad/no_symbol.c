/* A shared object that is no plugin: the entry has another name. */
#include "base.h"

BM_PLUGIN_EXPORT const struct bm_plugin *
bm_plugin_start(uint32_t host_major, uint32_t host_minor, struct bm_error *error);

const struct bm_plugin *
bm_plugin_start(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_bad_base_entry(host_major, host_minor, error);
}
