/* Every update sleeps first: many times as slow, and right; and it says that it runs otherwise. */
#include "entry.h"

#include <stdio.h>
#include <time.h>

static struct bm_plugin base;

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    const struct timespec pause = {0, 3000000};
    (void)nanosleep(&pause, NULL);
    return base.update(session, slice, hyper, error);
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    (void)session;
    (void)error;
    (void)snprintf(text, capacity, "isa=asleep\nthreads=1\n");
    return BM_STATUS_OK;
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->describe = describe;
    table->update = update;
    table->updates = NULL;
}
