/*
 * Another plugin, made slower by a chosen share: for trying out whether a comparison sees it. Every
 * call goes to the wrapped plugin with the same arguments. The calls that compute are measured,
 * with the waits for them, and the share of that time passes in the wait before the host goes on.
 */
#include "percent.h"
#include "stretch.h"
#include "wrapped.h"

#include <batchmark/kit.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bm_session {
    struct bm_session *inner; /* the wrapped plugin's own */
    struct bm_stretch stretch;
    double percent;
    uint32_t is_pending; /* something was asked for and not yet waited for */
};

/* Filled once, by the first bm_plugin_entry, and only read from then on. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct bm_plugin *wrapped;
static struct bm_plugin table;
static struct bm_error refusal;
static char summary[128];

/* ---- Loaded ---- */

static int32_t
supports(uint32_t device, const struct bm_problem *given, uint64_t *bytes, struct bm_error *error) {
    struct bm_delay_problem problem;
    int32_t status = bm_delay_problem_init(given, &problem, error);
    if (status == BM_STATUS_OK) {
        status = wrapped->supports(device, problem.problem, bytes, error);
        bm_delay_problem_deinit(&problem);
    }
    return status;
}

static int32_t open_session(uint32_t device,
                            const struct bm_problem *given,
                            struct bm_session *session,
                            struct bm_error *error) {
    struct bm_delay_problem problem;
    int32_t status = bm_delay_problem_init(given, &problem, error);
    if (status == BM_STATUS_OK) {
        status = wrapped->create(device, problem.problem, &session->inner, error);
        bm_delay_problem_deinit(&problem);
    }
    session->percent = problem.percent;
    session->stretch.share = problem.percent / 100;
    session->stretch.now_ns = bm_stretch_clock_ns;
    return status;
}

static int32_t create(uint32_t device,
                      const struct bm_problem *given,
                      struct bm_session **session,
                      struct bm_error *error) {
    struct bm_session *made = calloc(1, sizeof *made);
    *session = NULL;
    if (made == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a session");
    }
    int32_t status = open_session(device, given, made, error);
    if (status != BM_STATUS_OK) {
        free(made);
        return status;
    }
    *session = made;
    return BM_STATUS_OK;
}

static void destroy(struct bm_session *session) {
    if (session != NULL) {
        wrapped->destroy(session->inner);
        free(session);
    }
}

/* ---- Calls that compute ---- */

static void begin(struct bm_session *session) {
    session->is_pending = 1;
    bm_stretch_begin(&session->stretch);
}

static int32_t end(struct bm_session *session, int32_t status) {
    bm_stretch_end(&session->stretch);
    return status;
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    begin(session);
    return end(session, wrapped->gradient(session->inner, slice, error));
}

static int32_t
apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    begin(session);
    return end(session, wrapped->apply(session->inner, hyper, error));
}

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    begin(session);
    return end(session, wrapped->update(session->inner, slice, hyper, error));
}

static int32_t updates(struct bm_session *session,
                       const struct bm_slice *slice,
                       uint32_t count,
                       const struct bm_hyper *hyper,
                       uint32_t hyper_stride,
                       struct bm_error *error) {
    begin(session);
    return end(session, wrapped->updates(session->inner, slice, count, hyper, hyper_stride, error));
}

/* The share passes here and not in the calls above: a device would go on working meanwhile. */
static int32_t wait(struct bm_session *session, double *loss, struct bm_error *error) {
    if (!session->is_pending) {
        return wrapped->wait(session->inner, loss, error);
    }
    bm_stretch_begin(&session->stretch);
    int32_t status = end(session, wrapped->wait(session->inner, loss, error));
    bm_stretch_pay(&session->stretch);
    session->is_pending = 0;
    return status;
}

/* ---- Calls that imply a wait: what is owed passes first ---- */

static int32_t settle(struct bm_session *session, struct bm_error *error) {
    return session->is_pending && session->stretch.share > 0 ? wait(session, NULL, error)
                                                             : BM_STATUS_OK;
}

static int32_t set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status : wrapped->set_order(session->inner, order, count, error);
}

static int32_t write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status : wrapped->write_params(session->inner, values, count, error);
}

static int32_t
read_params(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status : wrapped->read_params(session->inner, values, count, error);
}

static int32_t
read_gradient(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status : wrapped->read_gradient(session->inner, values, count, error);
}

static int32_t write_gradient(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status : wrapped->write_gradient(session->inner, values, count, error);
}

static int32_t read_state(struct bm_session *session,
                          uint32_t slot,
                          float *values,
                          uint64_t count,
                          struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status : wrapped->read_state(session->inner, slot, values, count, error);
}

static int32_t write_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           uint64_t count,
                           struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status : wrapped->write_state(session->inner, slot, values, count, error);
}

static int32_t evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status
                  : wrapped->evaluate(session->inner, split, first, count, flags, loss, correct,
                                      error);
}

static int32_t
device_time(struct bm_session *session, struct bm_device_time *time, struct bm_error *error) {
    int32_t status = settle(session, error);
    return status ? status : wrapped->device_time(session->inner, time, error);
}

/* ---- The others ---- */

static int32_t bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error) {
    return wrapped->bind_data(session->inner, split, data, error);
}

/* Our lines first, then the wrapped plugin's, as far as there is room. */
static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    char own[256];
    int length = snprintf(own, sizeof own, "percent=%g\ndelayed=%s %.64s\n", session->percent,
                          wrapped->name, wrapped->version);
    uint32_t used = (uint32_t)length;
    if (used >= capacity) {
        (void)snprintf(text, capacity, "%s", own);
        return BM_STATUS_OK;
    }
    memcpy(text, own, used);
    return wrapped->describe(session->inner, text + used, capacity - used, error);
}

/* ---- The table ---- */

static void fill_optional(void) {
    table.write_gradient = wrapped->write_gradient != NULL ? write_gradient : NULL;
    table.read_state = wrapped->read_state != NULL ? read_state : NULL;
    table.write_state = wrapped->write_state != NULL ? write_state : NULL;
    table.update = wrapped->update != NULL ? update : NULL;
    table.updates = wrapped->updates != NULL ? updates : NULL;
    table.device_time = wrapped->device_time != NULL ? device_time : NULL;
}

/* An extension's functions would be handed sessions of ours: none is offered. */
static void fill(void) {
    wrapped = bm_delay_wrapped(&refusal);
    if (wrapped == NULL) {
        return;
    }
    (void)snprintf(summary, sizeof summary, "%s, made slower by a chosen share", wrapped->name);
    table = (struct bm_plugin){
        .magic = BM_PLUGIN_MAGIC,
        .size = sizeof table,
        .abi_major = BM_ABI_MAJOR,
        .abi_minor = BM_ABI_MINOR,
        .flags = wrapped->flags,
        .name = "delay",
        .version = wrapped->version,
        .summary = summary,
        .device_count = wrapped->device_count,
        .device_info = wrapped->device_info,
        .supports = supports,
        .create = create,
        .destroy = destroy,
        .bind_data = bind_data,
        .set_order = set_order,
        .write_params = write_params,
        .read_params = read_params,
        .read_gradient = read_gradient,
        .gradient = gradient,
        .apply = apply,
        .evaluate = evaluate,
        .wait = wait,
        .describe = describe,
    };
    fill_optional();
}

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    if (bm_kit_negotiate(host_major, host_minor, error) != BM_STATUS_OK) {
        return NULL;
    }
    (void)pthread_once(&once, fill);
    if (wrapped == NULL) {
        *error = refusal;
        return NULL;
    }
    return &table;
}
