/* Ends the process in gradient as if all had gone well. */
#include "gradient.h"

#include <stdlib.h>

static int32_t
bad_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    (void)session;
    (void)slice;
    (void)error;
    exit(0);
}
