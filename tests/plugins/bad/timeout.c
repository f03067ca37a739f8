/* gradient gives up on its device, as a plugin with a limit of its own does. */
#include "gradient.h"

#include <stdio.h>

static int32_t
bad_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    (void)session;
    (void)slice;
    *error = (struct bm_error){.code = BM_STATUS_TIMEOUT};
    (void)snprintf(error->text, sizeof error->text,
                   "device: expected some work done within 7 s, found none");
    return BM_STATUS_TIMEOUT;
}
