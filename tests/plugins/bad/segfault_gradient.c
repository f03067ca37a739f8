/* Writes to address 0 in gradient. */
#include "gradient.h"

static int32_t *volatile nowhere;

static int32_t
bad_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    *nowhere = 1;
    return base->gradient(session, slice, error);
}
