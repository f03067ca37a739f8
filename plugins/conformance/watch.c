/* The plugin's table with what plugin.h says of every call checked around each one. */
#include "case.h"

#include "page.h"

#include <fenv.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* No byte of an error that a call leaves alone differs from this. */
#define UNTOUCHED 0x5a

static const struct bm_plugin *inner;
static struct bm_plugin outer;
static struct bm_page *watch_page;
static pthread_mutex_t breach_lock = PTHREAD_MUTEX_INITIALIZER;
static char breach[512];

const char *bm_conform_breach(void) {
    return breach[0] == '\0' ? NULL : breach;
}

/* The first one is kept: the others may follow from it. */
__attribute__((format(printf, 1, 2))) static void note_breach(const char *format, ...) {
    (void)pthread_mutex_lock(&breach_lock);
    if (breach[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(breach, sizeof breach, format, arguments);
        va_end(arguments);
    }
    (void)pthread_mutex_unlock(&breach_lock);
}

uint32_t bm_conform_floating_point_mode(void) {
#if defined(__x86_64__)
    fenv_t environment;
    (void)fegetenv(&environment);
    /* A caller's masks and modes, without the six sticky flags. */
    return (environment.__mxcsr & 0xffc0u) | ((uint32_t)environment.__control_word << 16);
#else
    return (uint32_t)fegetround();
#endif
}

/* Of two threads at once it is that of the later one. */
static void note_phase(uint32_t phase) {
    __atomic_store_n(&watch_page->phase, phase, __ATOMIC_RELAXED);
}

/* Around one call. */
struct watch {
    uint32_t phase;
    uint32_t mode;
    struct bm_error *error;
};

static struct watch enter(uint32_t phase, struct bm_error *error) {
    const struct watch watch = {phase, bm_conform_floating_point_mode(), error};
    memset(error, UNTOUCHED, sizeof *error);
    note_phase(phase);
    return watch;
}

static void check_mode(const struct watch *watch) {
    uint32_t mode = bm_conform_floating_point_mode();
    if (mode != watch->mode) {
        note_breach("%s: expected rounding and floating-point mode 0x%x as before the call, found "
                    "0x%x",
                    bm_phase_name(watch->phase), watch->mode, mode);
    }
}

static void check_untouched(const struct watch *watch) {
    const unsigned char *bytes = (const unsigned char *)watch->error;
    for (size_t i = 0; i < sizeof *watch->error; i++) {
        if (bytes[i] != UNTOUCHED) {
            note_breach("%s: expected an untouched error after success, found byte %zu changed",
                        bm_phase_name(watch->phase), i);
            return;
        }
    }
}

static void check_failure(const struct watch *watch, int32_t status) {
    const struct bm_error *error = watch->error;
    const char *call = bm_phase_name(watch->phase);
    if (status > 0 || status < BM_STATUS_INTERNAL) {
        note_breach("%s: expected a status of plugin.h, found %d", call, status);
    } else if (error->code != status) {
        note_breach("%s: expected error.code %d, the status, found %d", call, status, error->code);
    } else if (memchr(error->text, '\0', sizeof error->text) == NULL) {
        note_breach("%s: expected a terminated error.text, found none after status %d", call,
                    status);
    } else if (error->text[0] == '\0' || error->text[0] == UNTOUCHED) {
        note_breach("%s: expected a reason in error.text, found none after status %d", call,
                    status);
    } else if (strpbrk(error->text, "\r\n") != NULL) {
        note_breach("%s: expected one line in error.text, found \"%.200s\"", call, error->text);
    }
}

/* A session's own thread may be another than that of the case: nothing here ends it. */
static int32_t leave(const struct watch *watch, int32_t status) {
    note_phase(BM_PHASE_HOST);
    check_mode(watch);
    if (status != BM_STATUS_OK) {
        check_failure(watch, status);
        watch->error->text[sizeof watch->error->text - 1] = '\0';
        return status;
    }
    check_untouched(watch);
    memset(watch->error, 0, sizeof *watch->error);
    return status;
}

/* ---- The calls ---- */

/* With no device the text says why, although the status is OK. */
static int32_t device_count(uint32_t *count, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_DEVICE_COUNT, error);
    int32_t status = inner->device_count(count, error);
    if (status != BM_STATUS_OK || *count > 0) {
        return leave(&watch, status);
    }
    note_phase(BM_PHASE_HOST);
    check_mode(&watch);
    if (memchr(error->text, '\0', sizeof error->text) == NULL || error->text[0] == '\0') {
        note_breach("device_count: expected the reason for 0 devices in error.text, found none");
        memset(error, 0, sizeof *error);
    }
    return status;
}

static int32_t device_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_DEVICE_INFO, error);
    return leave(&watch, inner->device_info(device, info, error));
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_SUPPORTS, error);
    return leave(&watch, inner->supports(device, problem, bytes, error));
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_CREATE, error);
    int32_t status = inner->create(device, problem, session, error);
    if ((status == BM_STATUS_OK) != (*session != NULL)) {
        note_breach("create: expected a session if and only if it succeeds, found %s after status "
                    "%d",
                    *session == NULL ? "none" : "one", status);
    }
    return leave(&watch, status);
}

static void destroy(struct bm_session *session) {
    struct bm_error none = {0}; /* destroy has no error to fill */
    const struct watch watch = enter(BM_PHASE_DESTROY, &none);
    inner->destroy(session);
    note_phase(BM_PHASE_HOST);
    check_mode(&watch);
}

static int32_t bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_BIND_DATA, error);
    return leave(&watch, inner->bind_data(session, split, data, error));
}

static int32_t set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_SET_ORDER, error);
    return leave(&watch, inner->set_order(session, order, count, error));
}

static int32_t write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_WRITE_PARAMS, error);
    return leave(&watch, inner->write_params(session, values, count, error));
}

static int32_t
read_params(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_READ_PARAMS, error);
    return leave(&watch, inner->read_params(session, values, count, error));
}

static int32_t
read_gradient(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_READ_GRADIENT, error);
    return leave(&watch, inner->read_gradient(session, values, count, error));
}

static int32_t write_gradient(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_WRITE_GRADIENT, error);
    return leave(&watch, inner->write_gradient(session, values, count, error));
}

static int32_t read_state(struct bm_session *session,
                          uint32_t slot,
                          float *values,
                          uint64_t count,
                          struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_READ_STATE, error);
    return leave(&watch, inner->read_state(session, slot, values, count, error));
}

static int32_t write_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           uint64_t count,
                           struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_WRITE_STATE, error);
    return leave(&watch, inner->write_state(session, slot, values, count, error));
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_GRADIENT, error);
    return leave(&watch, inner->gradient(session, slice, error));
}

static int32_t
apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_APPLY, error);
    return leave(&watch, inner->apply(session, hyper, error));
}

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_UPDATE, error);
    return leave(&watch, inner->update(session, slice, hyper, error));
}

static int32_t updates(struct bm_session *session,
                       const struct bm_slice *slice,
                       uint32_t count,
                       const struct bm_hyper *hyper,
                       uint32_t hyper_stride,
                       struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_UPDATES, error);
    return leave(&watch, inner->updates(session, slice, count, hyper, hyper_stride, error));
}

static int32_t evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_EVALUATE, error);
    return leave(&watch,
                 inner->evaluate(session, split, first, count, flags, loss, correct, error));
}

static int32_t wait_for(struct bm_session *session, double *loss, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_WAIT, error);
    return leave(&watch, inner->wait(session, loss, error));
}

static int32_t
device_time(struct bm_session *session, struct bm_device_time *time, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_DEVICE_TIME, error);
    return leave(&watch, inner->device_time(session, time, error));
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    const struct watch watch = enter(BM_PHASE_DESCRIBE, error);
    return leave(&watch, inner->describe(session, text, capacity, error));
}

const struct bm_plugin *bm_conform_watch(const struct bm_plugin *table, struct bm_page *page) {
    inner = table;
    watch_page = page;
    breach[0] = '\0';
    outer = (struct bm_plugin){
        .magic = table->magic,
        .size = sizeof outer,
        .abi_major = table->abi_major,
        .abi_minor = table->abi_minor,
        .flags = table->flags,
        .name = table->name,
        .version = table->version,
        .summary = table->summary,
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
        .write_gradient = table->write_gradient != NULL ? write_gradient : NULL,
        .read_state = table->read_state != NULL ? read_state : NULL,
        .write_state = table->write_state != NULL ? write_state : NULL,
        .gradient = gradient,
        .apply = apply,
        .update = table->update != NULL ? update : NULL,
        .updates = table->updates != NULL ? updates : NULL,
        .evaluate = evaluate,
        .wait = wait_for,
        .device_time = table->device_time != NULL ? device_time : NULL,
        .describe = describe,
        .extension = table->extension,
    };
    return &outer;
}
