/* A backend outside Batchmark's tree, built against an installation only. It has a device and
 * refuses every problem, so no session can exist and every call on one is a misuse. */
#include <batchmark/kit.h>

#include <stdio.h>
#include <string.h>

static int32_t device_count(uint32_t *count, struct bm_error *error) {
    (void)error;
    *count = 1;
    return BM_STATUS_OK;
}

static int32_t device_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    int32_t status = bm_kit_struct(info, sizeof *info, "device info", error);
    if (status) {
        return status;
    }
    if (device != 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "device: expected 0, found %u", device);
    }
    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    info->kind = BM_DEVICE_KIND_CPU;
    snprintf(info->name, sizeof info->name, "outside device");
    info->precision_count = 1;
    snprintf(info->precisions[0].name, BM_PRECISION_NAME_SIZE, BM_PRECISION_FLOAT32);
    info->precisions[0].multiply_roundoff = BM_ROUNDOFF_FLOAT32;
    info->precisions[0].accumulate_roundoff = BM_ROUNDOFF_FLOAT32;
    return BM_STATUS_OK;
}

static int32_t refuse(struct bm_error *error) {
    return bm_kit_fail(error, BM_STATUS_UNSUPPORTED, "problem: expected none, found one");
}

static int32_t misuse(struct bm_error *error) {
    return bm_kit_fail(error, BM_STATUS_INVALID, "session: expected none, found one");
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    (void)device, (void)problem, (void)bytes;
    return refuse(error);
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    (void)device, (void)problem;
    *session = NULL;
    return refuse(error);
}

static void destroy(struct bm_session *session) {
    (void)session;
}

static int32_t bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error) {
    (void)session, (void)split, (void)data;
    return misuse(error);
}

static int32_t set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    (void)session, (void)order, (void)count;
    return misuse(error);
}

static int32_t write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    (void)session, (void)values, (void)count;
    return misuse(error);
}

static int32_t
read_floats(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    (void)session, (void)values, (void)count;
    return misuse(error);
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    (void)session, (void)slice;
    return misuse(error);
}

static int32_t
apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    (void)session, (void)hyper;
    return misuse(error);
}

static int32_t evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error) {
    (void)session, (void)split, (void)first, (void)count, (void)flags, (void)loss, (void)correct;
    return misuse(error);
}

static int32_t wait(struct bm_session *session, double *loss, struct bm_error *error) {
    (void)session, (void)loss;
    return misuse(error);
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    (void)session, (void)text, (void)capacity;
    return misuse(error);
}

static const struct bm_plugin plugin = {
    .magic = BM_PLUGIN_MAGIC,
    .size = sizeof plugin,
    .abi_major = BM_ABI_MAJOR,
    .abi_minor = BM_ABI_MINOR,
    .flags = BM_PLUGIN_COMPUTES_NOTHING,
    .name = "outside",
    .version = "1",
    .summary = "built against an installation",
    .device_count = device_count,
    .device_info = device_info,
    .supports = supports,
    .create = create,
    .destroy = destroy,
    .bind_data = bind_data,
    .set_order = set_order,
    .write_params = write_params,
    .read_params = read_floats,
    .read_gradient = read_floats,
    .gradient = gradient,
    .apply = apply,
    .evaluate = evaluate,
    .wait = wait,
    .describe = describe,
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) ? NULL : &plugin;
}
