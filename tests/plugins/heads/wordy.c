/* Every update executes some thousands of instructions more, in hardly more time. */
#include "entry.h"

#define TURNS 4000u

static struct bm_plugin base;

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    volatile uint32_t turns = 0;
    while (turns < TURNS) {
        turns++;
    }
    return base.update(session, slice, hyper, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->update = update;
    table->updates = NULL;
}
