/* Calls abort in destroy, when everything has been computed. */
#include "entry.h"

#include <stdlib.h>

/* cppcheck-suppress constParameter ; the table gives the type */
static void bad_destroy(struct bm_session *session) {
    if (session != NULL) {
        abort();
    }
}

static void spoil(struct bm_plugin *table) {
    table->destroy = bad_destroy;
}
