/* gradient never returns. It sleeps, so that the machine stays free for the others. */
#include "gradient.h"

#include <unistd.h>

static volatile int32_t stays_asleep = 1;

static int32_t
bad_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    while (stays_asleep) {
        (void)pause();
    }
    return base->gradient(session, slice, error);
}
