/* The scalar backend under another name. */
#include "base.h"

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    /* The host hands back the same table each time; filling it twice with the same values is
     * harmless. */
    static struct bm_plugin table;
    (void)host_major;
    (void)host_minor;
    return copy_base(&table, error) == NULL ? NULL : &table;
}
