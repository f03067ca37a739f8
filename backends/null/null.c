/*
 * The backend that computes nothing: every call is accepted and returns at once, so that what the
 * harness measures of it is the harness. It keeps only the parameters it is given.
 */
#include <batchmark/kit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bm_session {
    uint64_t param_count;
    uint64_t statistics_count;
    uint32_t slot_count;
    float *params;
};

static int32_t device_count(uint32_t *count, struct bm_error *error) {
    (void)error;
    *count = 1;
    return BM_STATUS_OK;
}

static int32_t device_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    int32_t status = bm_kit_cpu_check(device, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_struct(info, sizeof *info, "info", error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    uint32_t size = info->size;
    memset(info, 0, sizeof *info);
    info->size = size;
    info->kind = BM_DEVICE_KIND_CPU;
    info->precision_count = 1;
    (void)snprintf(info->name, sizeof info->name, "nothing");
    (void)snprintf(info->precisions[0].name, BM_PRECISION_NAME_SIZE, "%s", BM_PRECISION_FLOAT32);
    info->precisions[0].multiply_roundoff = BM_ROUNDOFF_FLOAT32;
    info->precisions[0].accumulate_roundoff = BM_ROUNDOFF_FLOAT32;
    return BM_STATUS_OK;
}

static int32_t check_problem(uint32_t device,
                             const struct bm_problem *problem,
                             struct bm_kit_network *network,
                             struct bm_error *error) {
    static const char *const precisions[] = {BM_PRECISION_FLOAT32, NULL};
    int32_t status = bm_kit_cpu_check(device, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_network_init(network, problem, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_kit_precision(problem, precisions, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_options(problem, NULL, 0, NULL, error);
    }
    if (status != BM_STATUS_OK) {
        bm_kit_network_deinit(network);
    }
    return status;
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    struct bm_kit_network network;
    int32_t status = check_problem(device, problem, &network, error);
    if (status == BM_STATUS_OK) {
        *bytes = sizeof(struct bm_session) + network.param_count * sizeof(float);
        bm_kit_network_deinit(&network);
    }
    return status;
}

static void destroy(struct bm_session *session) {
    if (session != NULL) {
        free(session->params);
        free(session);
    }
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    struct bm_kit_network network;
    *session = NULL;
    int32_t status = check_problem(device, problem, &network, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    struct bm_session *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->param_count = network.param_count;
        made->statistics_count = network.statistics_count;
        made->slot_count = bm_kit_slot_count(problem->optimizer);
        made->params = calloc(network.param_count + 1, sizeof *made->params);
    }
    bm_kit_network_deinit(&network);
    if (made == NULL || made->params == NULL) {
        destroy(made);
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for the parameters");
    }
    *session = made;
    return BM_STATUS_OK;
}

static int32_t bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error) {
    (void)session;
    (void)split;
    (void)data;
    (void)error;
    return BM_STATUS_OK;
}

static int32_t set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    (void)session;
    (void)order;
    (void)count;
    (void)error;
    return BM_STATUS_OK;
}

static int32_t check_count(uint64_t count, uint64_t expected, struct bm_error *error) {
    return count == expected
               ? BM_STATUS_OK
               : bm_kit_fail(error, BM_STATUS_INVALID, "count: expected %llu values, found %llu",
                             (unsigned long long)expected, (unsigned long long)count);
}

static int32_t write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = check_count(count, session->param_count, error);
    if (status == BM_STATUS_OK && count > 0) {
        memcpy(session->params, values, count * sizeof *values);
    }
    return status;
}

static int32_t
read_params(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    int32_t status = check_count(count, session->param_count, error);
    if (status == BM_STATUS_OK && count > 0) {
        memcpy(values, session->params, count * sizeof *values);
    }
    return status;
}

static int32_t
read_gradient(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    int32_t status = check_count(count, session->param_count, error);
    if (status == BM_STATUS_OK && count > 0) {
        memset(values, 0, count * sizeof *values);
    }
    return status;
}

static int32_t check_slot(const struct bm_session *session,
                          uint32_t slot,
                          uint64_t count,
                          struct bm_error *error) {
    if (slot == BM_STATE_STATISTICS) {
        return check_count(count, session->statistics_count, error);
    }
    if (slot >= session->slot_count) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "slot: the rule has %u, found slot %u",
                           session->slot_count, slot);
    }
    return check_count(count, session->param_count, error);
}

static int32_t read_state(struct bm_session *session,
                          uint32_t slot,
                          float *values,
                          uint64_t count,
                          struct bm_error *error) {
    int32_t status = check_slot(session, slot, count, error);
    if (status == BM_STATUS_OK && count > 0) {
        memset(values, 0, count * sizeof *values);
    }
    return status;
}

static int32_t write_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           uint64_t count,
                           struct bm_error *error) {
    (void)values;
    return check_slot(session, slot, count, error);
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    (void)session;
    (void)slice;
    (void)error;
    return BM_STATUS_OK;
}

static int32_t
apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    (void)session;
    (void)hyper;
    (void)error;
    return BM_STATUS_OK;
}

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    (void)session;
    (void)slice;
    (void)hyper;
    (void)error;
    return BM_STATUS_OK;
}

static int32_t updates(struct bm_session *session,
                       const struct bm_slice *slice,
                       uint32_t count,
                       const struct bm_hyper *hyper,
                       uint32_t hyper_stride,
                       struct bm_error *error) {
    (void)session;
    (void)slice;
    (void)count;
    (void)hyper;
    (void)hyper_stride;
    (void)error;
    return BM_STATUS_OK;
}

static int32_t evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error) {
    (void)session;
    (void)split;
    (void)first;
    (void)count;
    (void)flags;
    (void)error;
    *loss = 0;
    *correct = 0;
    return BM_STATUS_OK;
}

static int32_t wait(struct bm_session *session, double *loss, struct bm_error *error) {
    (void)session;
    (void)error;
    if (loss != NULL) {
        *loss = 0;
    }
    return BM_STATUS_OK;
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    (void)session;
    (void)error;
    (void)snprintf(text, capacity, "computes=nothing\nthreads=1\nprecision=float32\n");
    return BM_STATUS_OK;
}

static const struct bm_plugin plugin = {
    .magic = BM_PLUGIN_MAGIC,
    .size = sizeof(struct bm_plugin),
    .abi_major = BM_ABI_MAJOR,
    .abi_minor = BM_ABI_MINOR,
    .flags = BM_PLUGIN_COMPUTES_NOTHING,
    .name = "null",
    .version = "0.1.0",
    .summary = "computes nothing: what it costs is the harness",
    .device_count = device_count,
    .device_info = device_info,
    .supports = supports,
    .create = create,
    .destroy = destroy,
    .bind_data = bind_data,
    .set_order = set_order,
    .write_params = write_params,
    .read_params = read_params,
    .read_gradient = read_gradient,
    .read_state = read_state,
    .write_state = write_state,
    .gradient = gradient,
    .apply = apply,
    .update = update,
    .updates = updates,
    .evaluate = evaluate,
    .wait = wait,
    .describe = describe,
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : NULL;
}
