/* Runs out of stack in gradient. */
#include "gradient.h"

#define FRAME_BYTES 4096u

static volatile uint64_t deepest = UINT64_MAX;

/* The frame is read after the call returns, so that the call cannot become a jump. */
static uint64_t descend(uint64_t depth) {
    volatile unsigned char frame[FRAME_BYTES];
    frame[depth % FRAME_BYTES] = (unsigned char)depth;
    if (depth == deepest) {
        return depth;
    }
    return descend(depth + 1) + frame[depth % FRAME_BYTES];
}

static int32_t
bad_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    uint64_t depth = descend(0);
    return depth > 0 ? base->gradient(session, slice, error) : BM_STATUS_INTERNAL;
}
