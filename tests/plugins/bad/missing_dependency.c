/* Needs a library that is not installed. */
#include "entry.h"

#include "not_installed/library.h"

static void spoil(struct bm_plugin *table) {
    table->version = bm_bad_library_version();
}
