/* For bugs in the hyper-parameters: the includer defines `distort`, through which those of every
 * update pass. */
#ifndef BUG_HYPER_H
#define BUG_HYPER_H

#include "entry.h"

static struct bm_plugin base;

static void distort(struct bm_hyper *hyper);

static int32_t
apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    struct bm_hyper own = *hyper;
    distort(&own);
    return base.apply(session, &own, error);
}

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    struct bm_hyper own = *hyper;
    distort(&own);
    return base.update(session, slice, &own, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->apply = apply;
    table->update = update;
    table->updates = NULL;
}

#endif
