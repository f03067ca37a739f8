/* It forgets the learning rate as it goes: from the 97th update of a process on, each one goes
 * further than the one before. The checks make fewer; a replay goes further than the turns did. */
#include "entry.h"

static struct bm_plugin base;
static uint64_t updates;

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    struct bm_hyper further = *hyper;
    updates++;
    further.rate *= updates < 97 ? 1 : 1 + (double)updates / (double)(updates + 1000);
    return base.update(session, slice, &further, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->update = update;
    table->updates = NULL;
}
