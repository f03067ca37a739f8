/* Computes nothing and notes every call: which, with what, how often. One session at a time. */
#include "tally.h"

#include <batchmark/kit.h>

#include <stdio.h>
#include <string.h>

struct bm_session {
    uint64_t calls;
};

static struct bm_tally tally;
static struct bm_session only;

static int32_t
note(const char *name, const uint64_t arguments[BM_TALLY_ARGUMENTS], struct bm_error *error) {
    tally.name = name;
    tally.calls++;
    memcpy(tally.arguments, arguments, sizeof tally.arguments);
    if (tally.on_call != NULL) {
        tally.on_call(tally.context);
    }
    return tally.status == BM_STATUS_OK ? BM_STATUS_OK
                                        : bm_kit_fail(error, tally.status, "tally: %s", name);
}

static uint64_t is_only(struct bm_session *session) {
    session->calls++;
    return session == &only;
}

#define ADDRESS(pointer) ((uint64_t)(uintptr_t)(pointer))
#define NOTE(name, ...) note(name, (const uint64_t[BM_TALLY_ARGUMENTS]){__VA_ARGS__}, error)

static int32_t device_count(uint32_t *count, struct bm_error *error) {
    *count = 3;
    return NOTE("device_count", ADDRESS(count));
}

static int32_t device_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    return NOTE("device_info", device, ADDRESS(info));
}

static void note_options(const struct bm_problem *problem) {
    tally.options[0] = '\0';
    for (uint32_t i = 0; i < problem->option_count; i++) {
        struct bm_option option;
        size_t used = strlen(tally.options);
        memcpy(&option,
               (const unsigned char *)problem->options + (size_t)i * problem->option_stride,
               sizeof option);
        (void)snprintf(tally.options + used, sizeof tally.options - used, "%s=%s ", option.key,
                       option.value);
    }
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    note_options(problem);
    *bytes = 77;
    return NOTE("supports", device, ADDRESS(problem), ADDRESS(bytes));
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    note_options(problem);
    *session = tally.status == BM_STATUS_OK ? &only : NULL;
    return NOTE("create", device, ADDRESS(problem), problem->batch_max);
}

static void destroy(struct bm_session *session) {
    struct bm_error unused;
    (void)note("destroy", (const uint64_t[BM_TALLY_ARGUMENTS]){is_only(session)}, &unused);
}

static int32_t bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error) {
    return NOTE("bind_data", is_only(session), split, ADDRESS(data));
}

static int32_t set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    return NOTE("set_order", is_only(session), ADDRESS(order), count);
}

static int32_t write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    return NOTE("write_params", is_only(session), ADDRESS(values), count);
}

static int32_t
read_params(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    return NOTE("read_params", is_only(session), ADDRESS(values), count);
}

static int32_t
read_gradient(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    return NOTE("read_gradient", is_only(session), ADDRESS(values), count);
}

static int32_t write_gradient(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error) {
    return NOTE("write_gradient", is_only(session), ADDRESS(values), count);
}

static int32_t read_state(struct bm_session *session,
                          uint32_t slot,
                          float *values,
                          uint64_t count,
                          struct bm_error *error) {
    return NOTE("read_state", is_only(session), slot, ADDRESS(values), count);
}

static int32_t write_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           uint64_t count,
                           struct bm_error *error) {
    return NOTE("write_state", is_only(session), slot, ADDRESS(values), count);
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    return NOTE("gradient", is_only(session), ADDRESS(slice));
}

static int32_t
apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    return NOTE("apply", is_only(session), ADDRESS(hyper));
}

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    return NOTE("update", is_only(session), ADDRESS(slice), ADDRESS(hyper));
}

static int32_t updates(struct bm_session *session,
                       const struct bm_slice *slice,
                       uint32_t count,
                       const struct bm_hyper *hyper,
                       uint32_t hyper_stride,
                       struct bm_error *error) {
    return NOTE("updates", is_only(session), ADDRESS(slice), count, ADDRESS(hyper), hyper_stride);
}

static int32_t evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error) {
    return NOTE("evaluate", is_only(session), split, first, count, flags, ADDRESS(loss),
                ADDRESS(correct));
}

static int32_t wait(struct bm_session *session, double *loss, struct bm_error *error) {
    if (loss != NULL) {
        *loss = 3.5;
    }
    return NOTE("wait", is_only(session), ADDRESS(loss));
}

static int32_t
device_time(struct bm_session *session, struct bm_device_time *time, struct bm_error *error) {
    return NOTE("device_time", is_only(session), ADDRESS(time));
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    (void)snprintf(text, capacity, "tally=%u\n", capacity);
    return NOTE("describe", is_only(session));
}

static const struct bm_tally_table tally_table = {&tally};

static const void *extension(const char *id) {
    return strcmp(id, BM_TALLY_EXTENSION) == 0 ? &tally_table : NULL;
}

static const struct bm_plugin plugin = {
    .magic = BM_PLUGIN_MAGIC,
    .size = sizeof plugin,
    .abi_major = BM_ABI_MAJOR,
    .abi_minor = BM_ABI_MINOR,
    .flags = BM_PLUGIN_COMPUTES_NOTHING,
    .name = "tally",
    .version = "7.3",
    .summary = "notes every call",
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
    .write_gradient = write_gradient,
    .read_state = read_state,
    .write_state = write_state,
    .gradient = gradient,
    .apply = apply,
    .update = update,
    .updates = updates,
    .evaluate = evaluate,
    .wait = wait,
    .device_time = device_time,
    .describe = describe,
    .extension = extension,
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : NULL;
}
