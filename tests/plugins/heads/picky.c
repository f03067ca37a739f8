/* Supports no batch above 4. */
#include "entry.h"

#include <batchmark/kit.h>

static struct bm_plugin base;

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    if (problem->batch_max > 4) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED, "no batch above 4");
    }
    return base.supports(device, problem, bytes, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->supports = supports;
}
