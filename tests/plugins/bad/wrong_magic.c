/* The table does not begin with the magic number. */
#include "entry.h"

static void spoil(struct bm_plugin *table) {
    table->magic ^= 1u;
}
