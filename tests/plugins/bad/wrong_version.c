/* Made for the next major version of the ABI, and says so to a host of this one. */
#include "entry.h"

static void spoil(struct bm_plugin *table) {
    table->abi_major = BM_ABI_MAJOR + 1u;
}
