/* The scalar backend under another name, and of a later minor of the ABI: its table has something
 * more at its end. */
#include "base.h"

struct longer {
    struct bm_plugin table;
    uint64_t later;
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    /* The host hands back the same table each time; filling it twice with the same values is
     * harmless. */
    static struct longer longer;
    (void)host_major;
    (void)host_minor;
    if (copy_base(&longer.table, error) == NULL) {
        return NULL;
    }
    longer.table.size = sizeof longer;
    longer.table.abi_minor = BM_ABI_MINOR + 1;
    longer.later = UINT64_MAX;
    return &longer.table;
}
