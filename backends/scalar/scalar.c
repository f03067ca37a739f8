/* The plugin's table: the device, what it supports, and the life of a session. */
#include "scalar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t device_count(uint32_t *count, struct bm_error *error) {
    (void)error;
    *count = 1;
    return BM_STATUS_OK;
}

/* Checks the problem and fills what needs no memory for arrays. */
static int32_t check_problem(uint32_t device,
                             const struct bm_problem *problem,
                             struct bm_session *session,
                             struct bm_error *error) {
    int32_t status = bm_kit_cpu_check(device, error);
    return status == BM_STATUS_OK
               ? bm_kit_session_init(&session->core, problem, NULL, 0, NULL, error)
               : status;
}

static int32_t make_layers(struct bm_session *session, struct bm_error *error) {
    uint32_t count = session->core.network.layer_count;
    session->layers = calloc(count, sizeof *session->layers);
    if (session->layers == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %u layers", count);
    }
    session->first_trainable = count;
    for (uint32_t i = count; i-- > 0;) {
        session->layers[i].facts = session->core.network.layers[i];
        session->layers[i].index = i;
        if (session->core.network.layers[i].bias_count > 0) {
            session->first_trainable = i;
        }
    }
    return BM_STATUS_OK;
}

/* Everything up to the number of bytes, which is in session->memory_bytes. */
static int32_t measure(uint32_t device,
                       const struct bm_problem *problem,
                       struct bm_session *session,
                       struct bm_error *error) {
    int32_t status = check_problem(device, problem, session, error);
    if (status == BM_STATUS_OK) {
        status = make_layers(session, error);
    }
    return status == BM_STATUS_OK ? bm_scalar_lay_out(session, NULL, error) : status;
}

static void release(struct bm_session *session) {
    bm_kit_pool_destroy(session->pool);
    free(session->memory);
    free(session->layers);
    bm_kit_session_deinit(&session->core);
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    struct bm_session session = {0};
    int32_t status = measure(device, problem, &session, error);
    if (status == BM_STATUS_OK) {
        *bytes = session.memory_bytes + session.core.network.layer_count *
                                            (sizeof *session.layers + sizeof(struct bm_kit_layer));
    }
    release(&session);
    return status;
}

/* Parameters, state and means start at 0, running variances at 1. */
static void start(struct bm_session *session) {
    memset(session->params, 0, session->core.network.param_count * sizeof(float));
    for (uint32_t i = 0; i < session->core.slot_count; i++) {
        memset(session->state[i], 0, session->core.network.param_count * sizeof(float));
    }
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        const struct bm_kit_layer *facts = &session->layers[i].facts;
        for (uint32_t c = 0; facts->kind == BM_LAYER_BATCHNORM && c < facts->output.channels; c++) {
            session->statistics[facts->mean_offset + c] = 0;
            session->statistics[facts->variance_offset + c] = 1;
        }
    }
}

static int32_t open_session(uint32_t device,
                            const struct bm_problem *problem,
                            struct bm_session *session,
                            struct bm_error *error) {
    int32_t status = measure(device, problem, session, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->memory = aligned_alloc(BM_KIT_ALIGNMENT, session->memory_bytes);
    if (session->memory == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %llu bytes of arrays",
                           (unsigned long long)session->memory_bytes);
    }
    status = bm_scalar_lay_out(session, session->memory, error);
    if (status == BM_STATUS_OK) {
        start(session);
        status = bm_kit_pool_create(session->core.thread_count, &session->pool, error);
    }
    return status;
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    *session = NULL;
    struct bm_session *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a session");
    }
    int32_t status = open_session(device, problem, made, error);
    if (status != BM_STATUS_OK) {
        release(made);
        free(made);
        return status;
    }
    *session = made;
    return BM_STATUS_OK;
}

static void destroy(struct bm_session *session) {
    if (session != NULL) {
        release(session);
        free(session);
    }
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    (void)error;
    (void)snprintf(text, capacity,
                   "isa=none (no vector arithmetic)\n"
                   "threads=%u\n"
                   "precision=float32\n"
                   "tiles=dot 4x3, axpy 3x4\n"
                   "update=%s\n"
                   "batch_max=%llu\n"
                   "memory_bytes=%llu\n",
                   session->core.thread_count,
                   bm_kit_rule_is_local(session->core.optimizer) ? "fused" : "gradient, apply",
                   (unsigned long long)session->core.batch_max,
                   (unsigned long long)session->memory_bytes);
    return BM_STATUS_OK;
}

static const struct bm_plugin plugin = {
    .magic = BM_PLUGIN_MAGIC,
    .size = sizeof(struct bm_plugin),
    .abi_major = BM_ABI_MAJOR,
    .abi_minor = BM_ABI_MINOR,
    .name = "scalar",
    .version = "0.1.0",
    .summary = "readable C in float32, threads, no vector arithmetic",
    .device_count = device_count,
    .device_info = bm_kit_cpu_info,
    .supports = supports,
    .create = create,
    .destroy = destroy,
    .bind_data = bm_scalar_bind_data,
    .set_order = bm_scalar_set_order,
    .write_params = bm_scalar_write_params,
    .read_params = bm_scalar_read_params,
    .read_gradient = bm_scalar_read_gradient,
    .write_gradient = bm_scalar_write_gradient,
    .read_state = bm_scalar_read_state,
    .write_state = bm_scalar_write_state,
    .gradient = bm_scalar_gradient,
    .apply = bm_scalar_apply_call,
    .update = bm_scalar_update,
    .updates = bm_scalar_updates,
    .evaluate = bm_scalar_evaluate,
    .wait = bm_scalar_wait,
    .describe = describe,
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : NULL;
}
