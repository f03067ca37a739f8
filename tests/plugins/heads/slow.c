/* Every update sleeps first: many times as slow, and right. */
#include "entry.h"

#include <time.h>

static struct bm_plugin base;

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    const struct timespec pause = {0, 300000};
    (void)nanosleep(&pause, NULL);
    return base.update(session, slice, hyper, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->update = update;
    table->updates = NULL;
}
