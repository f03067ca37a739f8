/* Of the updates that a process makes, every 97th does nothing. The checks make fewer; a replay
 * leaves out others than the turns did. */
#include "entry.h"

static struct bm_plugin base;
static uint64_t updates;

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    return ++updates % 97 == 0 ? BM_STATUS_OK : base.update(session, slice, hyper, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->update = update;
    table->updates = NULL;
}
