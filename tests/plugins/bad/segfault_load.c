/* Writes to address 0 while it is loaded, before anybody has called it. */
#include "entry.h"

static int32_t *volatile nowhere;

__attribute__((constructor)) static void write_to_nowhere(void) {
    *nowhere = 1;
}

static void spoil(struct bm_plugin *table) {
    table->version = "never reached";
}
