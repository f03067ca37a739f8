/* Measures a point of the roofline. */
#ifndef BM_ROOFLINE_PROBE_H
#define BM_ROOFLINE_PROBE_H

#include "roofline.h"

struct bm_roofline_request {
    uint32_t threads;
    double seconds; /* to spend, about; a loop runs no shorter than a millisecond for it */
    void (*progress)(void *context, uint32_t threads); /* or NULL */
    void *context;
};

/* Runs every loop on `threads` threads started together, in rounds, so that a slow moment of the
 * machine does not hit all repetitions of one. Takes at most a quarter of the free memory while it
 * runs. INTERNAL if a thread cannot be started or a signal came, NO_MEMORY. */
int32_t bm_roofline_probe(const struct bm_roofline_request *request,
                          struct bm_roofline_point *point,
                          struct bm_error *error);

#endif
