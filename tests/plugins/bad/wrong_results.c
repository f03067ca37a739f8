/* One element of the gradient, in the middle, is wrong; everything else is right. */
#include "entry.h"

#include <batchmark/kit.h>
#include <stdlib.h>

static struct bm_plugin base;
static float *values; /* [value_count]: the gradient of the session that was created last */
static uint64_t value_count;

static int32_t make_room(const struct bm_problem *problem, struct bm_error *error) {
    struct bm_kit_network network;
    int32_t status = bm_kit_network_init(&network, problem, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    free(values);
    value_count = network.param_count;
    values = calloc(value_count, sizeof *values);
    bm_kit_network_deinit(&network);
    return values != NULL ? BM_STATUS_OK
                          : bm_kit_fail(error, BM_STATUS_NO_MEMORY, "gradient: no memory");
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    *session = NULL;
    int32_t status = make_room(problem, error);
    return status ? status : base.create(device, problem, session, error);
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    int32_t status = base.gradient(session, slice, error);
    status = status ? status : base.read_gradient(session, values, value_count, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    values[value_count / 2] += 0.125f;
    return base.write_gradient(session, values, value_count, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->create = create;
    table->gradient = gradient;
    table->update = NULL;
    table->updates = NULL;
}
