/*
 * What the cases are written with: expectations that end the case, the plugin's table under watch,
 * memory that faults one byte beyond its end, and small sessions with data of their own.
 */
#ifndef BM_CONFORM_CASE_H
#define BM_CONFORM_CASE_H

#include "conform.h"
#include "model.h"
#include "reference.h"

#include <setjmp.h>
#include <stddef.h>

/* A case that is being run. */
struct bm_conform {
    const struct bm_conform_case *which;
    const struct bm_conform_request *request;
    struct bm_conform_result *result;
    const struct bm_plugin *plugin; /* its calls go through the watch */
    const struct bm_plugin *table;  /* as the plugin gave it */
    uint32_t device;
    struct bm_device_info info;
    uint64_t entry_cpu_ns; /* processor time of the first device_count and device_info, and the */
    int64_t entry_threads; /* threads that they left */
    uint32_t thread_max;   /* thread budgets worth trying: 1 to this */
    uint32_t asked;        /* sessions asked for, and made */
    uint32_t made;
    jmp_buf end;
};

struct bm_conform_session;

/* ---- Expectations: the first that does not hold ends the case ---- */

/* Ends the case as failed. The printf-style text says expected, found and where. Only on the thread
 * that runs the case, and never below a plugin's call. */
void bm_conform_fail(struct bm_conform *conform, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Ends the case as unsupported, with the reason. */
void bm_conform_leave(struct bm_conform *conform, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Adds to the text that a case shows when it passes: what was left out, or what was measured.
 * The same again is not added. */
void bm_conform_note(struct bm_conform *conform, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define EXPECT(conform, condition, ...)                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            bm_conform_fail((conform), __VA_ARGS__);                                               \
        }                                                                                          \
    } while (0)

/* A call of a session must succeed; otherwise its name, the network and what it says are shown. */
#define CALL(test, call)                                                                           \
    do {                                                                                           \
        if ((call) != BM_STATUS_OK) {                                                              \
            bm_conform_fail_call((test), #call);                                                   \
        }                                                                                          \
    } while (0)

/* For CALL: `source` is the call as it is written, the error that of the session. */
void bm_conform_fail_call(const struct bm_conform_session *test, const char *source)
    __attribute__((noreturn));

/* What came of `call`, which was given what `given` says, is INVALID; UNSUPPORTED; or, where the
 * contract leaves the choice, one of the two. */
void bm_conform_invalid(struct bm_conform *conform,
                        int32_t status,
                        const char *call,
                        const char *given);
void bm_conform_unsupported(struct bm_conform *conform,
                            int32_t status,
                            const char *call,
                            const char *given);
void bm_conform_refused(struct bm_conform *conform,
                        int32_t status,
                        const char *call,
                        const char *given);

/* Zeroed memory of the case, never NULL; to be freed with free(). A case that fails or is left
 * leaves it to the end of the process. */
void *bm_conform_allocate(struct bm_conform *conform, uint64_t count, size_t size);

/* ---- Watch: true of every call ---- */

/*
 * The calls of `table` with what holds of each one checked around it: the status is one of
 * plugin.h's, a failure fills code and one terminated line, success leaves the error as it was,
 * rounding mode and floating-point environment stay. A breach is noted and ends the case when it
 * returns to the runner or at the next expectation. Notes each call in the page. One table a
 * process: any thread may call it, for the same plugin.
 */
const struct bm_plugin *bm_conform_watch(const struct bm_plugin *table, struct bm_page *page);

/* The first breach seen so far, or NULL. */
const char *bm_conform_breach(void);

/* Rounding mode, precision and masks of the calling thread; not the flags that arithmetic raises.
 */
uint32_t bm_conform_floating_point_mode(void);

/* ---- The plugin's file ---- */

/* The loaded plugin, for dlsym and dlinfo; NULL if it is not loaded yet. */
void *bm_conform_handle(const struct bm_conform *conform);

/* Its exported function, whatever the runner has asked of it before. */
__typeof__(bm_plugin_entry) *bm_conform_entry(struct bm_conform *conform);

/* ---- Guarded memory ---- */

/* `bytes` that end at a page which nobody may touch, after a page which nobody may touch; filled
 * with 0xff, which is NaN. Aligned to 4 bytes if `bytes` is a multiple of 4, and so on. Belongs to
 * the case: bm_conform_guard_free. */
struct bm_conform_guard {
    unsigned char *start; /* of the mapping */
    size_t length;
    void *bytes;
};

struct bm_conform_guard bm_conform_guard_make(struct bm_conform *conform, size_t bytes);
void bm_conform_guard_protect(struct bm_conform *conform, const struct bm_conform_guard *guard);
void bm_conform_guard_free(struct bm_conform_guard *guard);

/* ---- Sessions ---- */

#define BM_CONFORM_CLASSES 4u
#define BM_CONFORM_CHANNELS 4u

/* Bytes, scaled and shifted; the same, seven of eight being 0, which 0 stays in the first channel;
 * float32. */
enum bm_conform_images { BM_CONFORM_BYTES, BM_CONFORM_SPARSE_BYTES, BM_CONFORM_FLOATS };

struct bm_conform_spec {
    const char *layers;    /* as bm_model_parse reads them */
    struct bm_shape input; /* at most BM_CONFORM_CHANNELS channels */
    uint32_t class_count;  /* 0: BM_CONFORM_CLASSES */
    uint32_t optimizer;
    uint32_t thread_count; /* 0: 1; more than the request allows: what it allows */
    uint64_t batch_max;
    uint32_t image_count; /* a multiple of 64, so that images end where the guard begins */
    enum bm_conform_images images;
    uint64_t order_count; /* 0: 2 image_count */
};

struct bm_conform_session {
    struct bm_conform *conform;
    const struct bm_plugin *plugin; /* the watched calls */
    struct bm_model model;
    struct bm_problem problem;
    struct bm_data data; /* images and labels are read-only */
    struct bm_session *session;
    uint64_t param_count;
    uint64_t statistics_count;
    uint32_t *order; /* [order_count], out of order and with repetitions; read-only */
    uint64_t order_count;
    float *params; /* the start */
    float *found;  /* [param_count], scratch for reading */
    struct bm_error error;
    struct bm_conform_guard guard[5];
};

/* Creates the session, binds the data to all splits, sets the order and writes the start. NULL if
 * the backend says that it does not support the problem; the case then goes on without it, and is
 * unsupported if that is so of all. Give it back with bm_conform_close. */
struct bm_conform_session *bm_conform_open(struct bm_conform *conform,
                                           const struct bm_conform_spec *spec);

void bm_conform_close(struct bm_conform_session *session);

/* A slice of `count` images whose divisor is their number. */
struct bm_slice bm_conform_slice(uint64_t first, uint64_t count, uint32_t flags, uint64_t update);

/* Whether this slice asks for a batch norm of single values and the backend, as it may, says that
 * it does not support that. */
int bm_conform_refuses_single_value(struct bm_conform_session *session,
                                    const struct bm_slice *slice);

/* The update as the host makes it: fused where the plugin offers that, otherwise two calls. */
int32_t bm_conform_update(struct bm_conform_session *session,
                          const struct bm_slice *slice,
                          const struct bm_hyper *hyper);

void bm_conform_read_params(struct bm_conform_session *session); /* into `found` */

#endif
