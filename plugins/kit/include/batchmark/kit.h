/* SPDX-License-Identifier: MIT */
/*
 * The author's kit: what most backends need besides their kernels. Linking it is optional; it knows
 * nothing of the harness, keeps no global state, never prints and never exits.
 */
#ifndef BATCHMARK_KIT_H
#define BATCHMARK_KIT_H

#include <batchmark/plugin.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors and structs ---- */

/* Sets code and a printf-style text (one line: thing, expected, found) and returns `code`, so that
 * a caller can `return bm_kit_fail(...)`. native_code becomes 0. Never allocates. */
int32_t bm_kit_fail(struct bm_error *error, int32_t code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Checks a struct of the host that begins with its uint32_t size. `known` is the size this plugin
 * was compiled with, `name` is for the text. INVALID if it is NULL or smaller; UNSUPPORTED if it is
 * larger and a byte of the part not known is not zero. */
int32_t bm_kit_struct(const void *given, uint32_t known, const char *name, struct bm_error *error);

/* The same for each of `count` structs that lie `stride` bytes apart; the stride must be a multiple
 * of 4 and hold each struct. */
int32_t bm_kit_struct_array(const void *first,
                            uint32_t count,
                            uint32_t stride,
                            uint32_t known,
                            const char *name,
                            struct bm_error *error);

/* For bm_plugin_entry: OK if this plugin (compiled with BM_ABI_MAJOR, BM_ABI_MINOR) can work with
 * that host, whose major is then the same, otherwise UNSUPPORTED with both sides' numbers. */
int32_t bm_kit_negotiate(uint32_t host_major, uint32_t host_minor, struct bm_error *error);

/* ---- Options ---- */

/* One key that a backend knows. With `choices` (NULL-terminated names) the value is one of the
 * names and the result its index; without, the value is a decimal integer in minimum .. maximum. */
struct bm_kit_option {
    const char *key;
    const char *const *choices;
    int64_t minimum;
    int64_t maximum;
    int64_t fallback; /* the result when the key is not given */
};

/* Option `index` of a problem whose option_stride is at least that of the plugin: options lie so
 * many bytes apart. */
struct bm_option bm_kit_option_at(const struct bm_problem *problem, uint32_t index);

/* Reads the options of `problem` into values[0 .. known_count). INVALID, naming what is known, for
 * an unknown or repeated key and for a value out of its range. */
int32_t bm_kit_options(const struct bm_problem *problem,
                       const struct bm_kit_option *known,
                       uint32_t known_count,
                       int64_t *values,
                       struct bm_error *error);

/* ---- Networks ---- */

struct bm_kit_shape {
    uint32_t channels;
    uint32_t height;
    uint32_t width;
};

/* What follows from a layer list for one layer. Counts are of floats; a tensor that a kind does not
 * have has count 0. Offsets are into the canonical parameter array and into the statistics. */
struct bm_kit_layer {
    uint32_t kind; /* BM_LAYER_* */
    uint32_t kernel_height;
    uint32_t kernel_width;
    uint32_t stride;
    uint32_t padding;
    double rate;
    struct bm_kit_shape input;
    struct bm_kit_shape output;
    uint64_t input_size; /* of one image */
    uint64_t output_size;
    uint64_t weight_offset; /* batch norm: gain */
    uint64_t weight_count;
    uint64_t bias_offset; /* batch norm: shift */
    uint64_t bias_count;
    uint64_t mean_offset; /* batch norm: `output.channels` running means, ... */
    uint64_t variance_offset;
};

struct bm_kit_network {
    uint32_t layer_count;
    uint32_t class_count;
    struct bm_kit_layer *layers; /* [layer_count] */
    struct bm_kit_shape input;
    uint64_t input_size;
    uint64_t param_count;
    uint64_t statistics_count;
    uint64_t widest; /* largest of input_size and all output_size */
};

/* Checks the whole problem but its precision and options, and fills `network`, whose array belongs
 * to the caller: give it back with bm_kit_network_deinit. INVALID for a layer list that makes no
 * network, UNSUPPORTED for an unknown layer kind or optimizer and for sizes that cannot be
 * addressed, NO_MEMORY. On failure nothing is left behind. */
int32_t bm_kit_network_init(struct bm_kit_network *network,
                            const struct bm_problem *problem,
                            struct bm_error *error);

void bm_kit_network_deinit(struct bm_kit_network *network);

/* OK if the problem's precision is one of the NULL-terminated `names`; otherwise UNSUPPORTED,
 * naming both. */
int32_t bm_kit_precision(const struct bm_problem *problem,
                         const char *const *names,
                         struct bm_error *error);

/* Number of state arrays of a rule: 0, 1 or 2. */
uint32_t bm_kit_slot_count(uint32_t optimizer);

/* ---- Sessions ---- */

/*
 * What a session knows of its host, for backends whose calls look at arguments on the CPU: the
 * problem's facts, the bound data, the order. The functions below check everything that plugin.h
 * asks of a call, so that what is left to a backend is its work.
 */
struct bm_kit_session {
    struct bm_kit_network network;
    uint32_t optimizer;
    uint32_t slot_count;
    uint32_t thread_count;
    uint32_t has_gradient; /* kept by the backend: 1 after gradient, 0 after update and updates */
    uint64_t batch_max;
    uint64_t seed;
    struct bm_data data[BM_SPLIT_COUNT]; /* size 0: not bound; scale and shift are our copies */
    float *scales;                       /* [BM_SPLIT_COUNT][2][channels]: the copies */
    uint32_t *order;
    uint64_t order_count; /* 0: none set */
    uint64_t order_capacity;
    double loss; /* kept by the backend: what wait answers */
};

/* Checks the whole problem, whose precision must be float32 and whose options must be `known`, and
 * reads them into values[0 .. known_count). Belongs to the caller: give it back with
 * bm_kit_session_deinit, also after a failure. */
int32_t bm_kit_session_init(struct bm_kit_session *session,
                            const struct bm_problem *problem,
                            const struct bm_kit_option *known,
                            uint32_t known_count,
                            int64_t *values,
                            struct bm_error *error);

void bm_kit_session_deinit(struct bm_kit_session *session);

/* bind_data and set_order of plugin.h, checks and copies. */
int32_t bm_kit_session_bind(struct bm_kit_session *session,
                            uint32_t split,
                            const struct bm_data *data,
                            struct bm_error *error);
int32_t bm_kit_session_order(struct bm_kit_session *session,
                             const uint32_t *order,
                             uint64_t count,
                             struct bm_error *error);

/* The arguments of read_params, write_params and write_gradient. */
int32_t bm_kit_check_values(const struct bm_kit_session *session,
                            const char *name,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error);

/* INVALID if `call` needs a gradient and there is none. */
int32_t bm_kit_check_gradient(const struct bm_kit_session *session,
                              const char *call,
                              struct bm_error *error);

/* The arguments of read_state and write_state; `count` is to be the number of values of the slot.
 */
int32_t bm_kit_check_slot(const struct bm_kit_session *session,
                          uint32_t slot,
                          const float *values,
                          uint64_t count,
                          struct bm_error *error);

/* `slice` and slice_count - 1 more that follow it in the order. INVALID, among others, for a
 * divisor that is 0 or not finite, and for ACCUMULATE while there is no gradient. */
int32_t bm_kit_check_slice(const struct bm_kit_session *session,
                           const struct bm_slice *slice,
                           uint64_t slice_count,
                           struct bm_error *error);

int32_t bm_kit_check_hyper(const struct bm_hyper *hyper, struct bm_error *error);

/* The arguments of updates, each of the hyper-parameters included. */
int32_t bm_kit_check_updates(const struct bm_kit_session *session,
                             const struct bm_slice *slice,
                             uint32_t count,
                             const struct bm_hyper *hyper,
                             uint32_t hyper_stride,
                             struct bm_error *error);

/* Number k of the updates of one call: its slice and its hyper-parameters. */
void bm_kit_nth_update(const struct bm_slice *slice,
                       const struct bm_hyper *hyper,
                       uint32_t hyper_stride,
                       uint32_t k,
                       struct bm_slice *own,
                       struct bm_hyper *step);

int32_t bm_kit_check_evaluate(const struct bm_kit_session *session,
                              uint32_t split,
                              uint64_t first,
                              uint64_t count,
                              uint32_t flags,
                              struct bm_error *error);

/* ---- The processor as a device ---- */

/* device_info of a backend whose one device, number 0, is the processor, in float32: name, vendor,
 * memory. */
int32_t bm_kit_cpu_info(uint32_t device, struct bm_device_info *info, struct bm_error *error);

/* INVALID for any device but 0. */
int32_t bm_kit_cpu_check(uint32_t device, struct bm_error *error);

/* ---- A session's memory ---- */

/* The arrays of a session lie side by side in one block, each at a multiple of this many bytes. */
#define BM_KIT_ALIGNMENT 64u

/* Walked twice by the same code: with `memory` NULL it counts the bytes (`used`) that `supports` is
 * asked for and that the block is allocated with, then it hands the arrays out. `overflow` is set
 * where they cannot be addressed. */
struct bm_kit_cursor {
    unsigned char *memory;
    uint64_t used;
    int32_t overflow;
};

/* The place of `count` x `rows` elements of `size` bytes, in the caller's block; NULL while nothing
 * but bytes are counted. */
void *bm_kit_take(struct bm_kit_cursor *cursor, uint64_t count, uint64_t rows, uint64_t size);

float *bm_kit_take_floats(struct bm_kit_cursor *cursor, uint64_t count, uint64_t rows);

/* ---- Optimizers ---- */

/* One step, its constants worked out in double and rounded once. The rules are plugin.h's. */
struct bm_kit_rule {
    uint32_t optimizer; /* BM_OPTIMIZER_* */
    float rate;
    float momentum;
    float decay;
    float rate_decay; /* rate decay */
    float beta1;
    float beta2;
    float rest1; /* 1 - beta1 */
    float rest2;
    float correction1; /* 1 / (1 - beta1^update) */
    float correction2;
    float epsilon;
    double trust;
};

void bm_kit_rule_init(struct bm_kit_rule *rule, uint32_t optimizer, const struct bm_hyper *hyper);

/* 1 if a step of one parameter needs nothing of the others, so that who makes a gradient can step;
 * lars and lamb need the norms of whole tensors. */
int32_t bm_kit_rule_is_local(uint32_t optimizer);

/* ---- Dropout ---- */

/* Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11.
 */
void bm_kit_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t words[4]);

/* Which units of one image a dropout layer keeps, keyed as plugin.h says. */
struct bm_kit_dropout {
    uint64_t seed;
    uint64_t update;
    uint32_t layer; /* its index in the problem */
    double rate;
};

/* kept[unit] = 1 or 0 for the units 0 .. count of the image of that number. */
void bm_kit_dropout_mask(const struct bm_kit_dropout *dropout,
                         uint32_t image,
                         uint64_t count,
                         uint8_t *kept);

/* ---- Threads ---- */

/* A fixed team of threads, the calling one included. Waiting threads spin for about 50 us and then
 * sleep on a futex, so that the pool is asleep within 1 ms after the last run. */
struct bm_kit_pool;

typedef void bm_kit_task(void *context, uint32_t thread, uint32_t thread_count);

/* Starts thread_count - 1 threads, which stay inside the caller's CPU mask and block all signals.
 * Where the mask has as many processors as there are threads, each is bound to one of its own, away
 * from the calling thread, which is left as it is. The
 * pool belongs to the caller: give it back with bm_kit_pool_destroy. On failure *pool is NULL and
 * nothing is left behind. */
int32_t
bm_kit_pool_create(uint32_t thread_count, struct bm_kit_pool **pool, struct bm_error *error);

/* Ends and joins the threads. NULL is fine. */
void bm_kit_pool_destroy(struct bm_kit_pool *pool);

/* Calls task(context, thread, thread_count) once for each thread, number 0 on the calling thread,
 * and returns when all have returned. Allocates nothing. Not reentrant: one run at a time, and no
 * run from inside a task. A task must not throw: it catches what may come, notes it in the context,
 * and whoever called this looks there. */
void bm_kit_pool_run(struct bm_kit_pool *pool, bm_kit_task *task, void *context);

uint32_t bm_kit_pool_thread_count(const struct bm_kit_pool *pool);

/* The part of 0 .. count that falls to a thread: whole multiples of `grain` (at least 1), as even
 * as that allows, in order; the last part takes what is left. */
void bm_kit_split(uint64_t count,
                  uint64_t grain,
                  uint32_t thread,
                  uint32_t thread_count,
                  uint64_t *begin,
                  uint64_t *end);

#ifdef __cplusplus
}
#endif

#endif
