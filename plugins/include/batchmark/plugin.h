/* SPDX-License-Identifier: MIT */
/*
 * The whole contract between Batchmark and a backend.
 *
 * A plugin is a shared object bm_<name>.so that exports one symbol, bm_plugin_entry. It answers
 * with a constant table of functions (struct bm_plugin). The host finds devices, creates sessions,
 * binds data, and then asks for gradients, optimizer steps (apply) and updates (gradient plus
 * apply), which it checks against a float64 reference and times. Start reading at struct bm_plugin,
 * near the end.
 *
 * Types. Fixed-width integers; float for tensors; double for losses, hyper-parameters and divisors.
 * Every struct that crosses the border begins with its `size` in bytes, except struct bm_error,
 * which is frozen, and the members bm_precision and bm_option. The callee accepts a size it knows
 * or a larger one; a non-zero byte in the part it does not know is BM_STATUS_UNSUPPORTED
 * (bm_kit_struct in the kit does this). Reserved fields are zero. Arrays of structs carry their
 * stride. The table and the structs only grow at their ends.
 *
 * Status. Every call returns BM_STATUS_OK (0) or a negative BM_STATUS_*; on failure it fills
 * `error`, which is the caller's, never NULL, and untouched on success. BM_STATUS_UNSUPPORTED is an
 * answer, not a failure: the host shows the cell as unsupported with the text as reason. A plugin
 * never falls back silently.
 *
 * States. [loaded] after bm_plugin_entry; [created] after create; [bound] after bind_data of the
 * split that the call reads and, for gradient, update and updates, set_order. Each function names
 * the state it needs; a call in an earlier state returns BM_STATUS_INVALID.
 *
 * Threads. One thread at a time calls into a session; different sessions, also of one device, may
 * be called at once, so a plugin has no mutable globals; a static that is initialised once, safely
 * from any thread, and only read from then on is none, be it a library's or its own. Calls [loaded]
 * may come from any thread at any time. Threads of a plugin stay inside the process's CPU mask and
 * sleep within 1 ms after wait.
 *
 * Order. Calls take effect in the order they are made. gradient, apply, update and updates may
 * return before the work is done; their arguments are copied before they return. read_*, write_*,
 * evaluate and set_order imply wait. An error of enqueued work is returned by the next wait and by
 * every call after it, until destroy.
 *
 * Bits. In one process the same calls from the same parameters, state and order give the same bits,
 * whether each update is waited for or not: the host replays what it has timed and compares.
 *
 * Memory. Pointers in arguments are borrowed for the call unless said otherwise; results go to
 * memory of the caller. gradient, apply, update, updates, evaluate and wait may allocate only the
 * first time they meet a count or a mode. What counts is what the code of the plugin's own file
 * asks for, by malloc, new and the like; what a library or a driver allocates below it does not.
 * Strings of the table are static.
 *
 * Stack. Calls come on threads with the default stack of the process, the limit of `ulimit -s`: 8
 * MiB unless the user has set another. Threads that a plugin starts with default attributes have as
 * much, those of the kit's pool included.
 *
 * Manners. A plugin hides its other symbols, never prints, exits, aborts, forks, throws across the
 * border, changes rounding mode, locale, signal handlers, working folder, environment or the
 * affinity of threads it did not start. It is loaded with RTLD_NOW | RTLD_LOCAL and never unloaded;
 * link it with -z nodelete -z defs and never with -ffast-math. The code that answers
 * bm_plugin_entry, device_count and device_info is compiled for the baseline processor.
 */
#ifndef BATCHMARK_PLUGIN_H
#define BATCHMARK_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ABI version. Majors must be equal, minors need not: a minor only adds, at the end of the table
 * and of structs, as flags and as ids of extensions. Nothing goes, and nothing changes its meaning.
 *
 * A later host takes an earlier plugin: what its shorter table lacks is optional. Reserved fields
 * stay 0 for a plugin whose abi_minor does not have them; flags and tails that a plugin does not
 * know are UNSUPPORTED.
 *
 * An earlier host is taken by a later plugin: a struct is as short as that of 1.0 at the least,
 * fields that are missing read as 0, and what the plugin fills ends with the struct's `size`.
 */
#define BM_ABI_MAJOR 1u
#define BM_ABI_MINOR 0u

/* "BATCHMRK" read as a little-endian 64-bit number: the first field of struct bm_plugin. */
#define BM_PLUGIN_MAGIC UINT64_C(0x4b524d4843544142)

#if defined(__GNUC__)
#define BM_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define BM_PLUGIN_EXPORT
#endif

/* ---- Status and error ---- */

#define BM_STATUS_OK 0
#define BM_STATUS_UNSUPPORTED (-1) /* cannot do this problem, size or mode; the text says why */
#define BM_STATUS_INVALID (-2)     /* the caller broke the contract: argument, range or state */
#define BM_STATUS_NO_MEMORY (-3)   /* host or device memory ran out */
#define BM_STATUS_DEVICE_LOST (-4) /* the device is gone; only destroy is useful now */
#define BM_STATUS_TIMEOUT (-5)     /* the device did not finish in the plugin's own limit */
#define BM_STATUS_INTERNAL (-6)    /* a fault of the plugin or of a library below it */

#define BM_ERROR_TEXT_SIZE 512

/* Frozen: never grows. `text` is one line that names thing, expected and found, always terminated.
 */
struct bm_error {
    int32_t code;        /* BM_STATUS_* */
    int32_t native_code; /* errno, VkResult, ... of the layer below; 0 if there is none */
    char text[BM_ERROR_TEXT_SIZE];
};

/* ---- Precision ---- */

/*
 * A precision is a name in struct bm_problem. It fixes the unit roundoff of the operands of a
 * multiplication and of the accumulation; the correctness bounds use both. Parameters, gradients
 * and state are float32 at the border.
 */
#define BM_PRECISION_FLOAT32 "float32"   /* multiply 2^-24, accumulate 2^-24 */
#define BM_PRECISION_TF32 "tf32"         /* multiply 2^-11, accumulate 2^-24 */
#define BM_PRECISION_BF16_F32 "bf16/f32" /* multiply 2^-8,  accumulate 2^-24 */
#define BM_PRECISION_F16_F32 "f16/f32"   /* multiply 2^-11, accumulate 2^-24 */

#define BM_ROUNDOFF_FLOAT32 0x1p-24
#define BM_ROUNDOFF_TF32 0x1p-11
#define BM_ROUNDOFF_BF16 0x1p-8
#define BM_ROUNDOFF_F16 0x1p-11

#define BM_PRECISION_NAME_SIZE 16
#define BM_PRECISION_COUNT_MAX 8

struct bm_precision {
    char name[BM_PRECISION_NAME_SIZE]; /* one of BM_PRECISION_*, terminated */
    double multiply_roundoff;
    double accumulate_roundoff;
};

/* ---- Devices ---- */

#define BM_DEVICE_KIND_CPU 0u
#define BM_DEVICE_KIND_GPU 1u
#define BM_DEVICE_KIND_SOFTWARE 2u /* a GPU interface emulated on the CPU: runs only when named */

/* Declared mode: subnormal operands or results become zero. */
#define BM_DEVICE_FLUSHES_SUBNORMALS 1u

/* Filled by device_info in the host's memory. Strings are terminated and empty when not known. */
struct bm_device_info {
    uint32_t size;
    uint32_t kind;  /* BM_DEVICE_KIND_* */
    uint32_t flags; /* BM_DEVICE_* */
    uint32_t precision_count;
    uint64_t memory_bytes; /* memory that sessions of this device may use; 0 if not known */
    char name[128];
    char vendor[64];
    char driver[128];
    char uuid[64]; /* as the vendor's tools print it */
    char pci[32];  /* domain:bus:device.function */
    struct bm_precision precisions[BM_PRECISION_COUNT_MAX];
};

/* ---- Networks ---- */

/*
 * Layer kinds. Shapes are [channels][height][width]; a vector of n values is [n][1][1], and a dense
 * layer reads its input flattened in that order. x is a layer's input, y its output.
 */

/* y[o] = bias[o] + sum_i weight[o][i] x[i] */
#define BM_LAYER_DENSE 1u

/* y[o][r][c] = bias[o] + sum_{i,a,b} weight[o][i][a][b] x[i][r stride + a - pad][c stride + b -
 * pad] with x = 0 outside the image (cross-correlation); rows = (height + 2 pad - kernel_height) /
 * stride + 1, rounded down; columns likewise. */
#define BM_LAYER_CONV2D 2u

/* The maximum of each window of each channel; rows and columns as for CONV2D. Padding never wins.
 * The gradient goes to the first maximum of the window in row-major order. */
#define BM_LAYER_MAXPOOL 3u

/* Per channel (after a dense layer: per feature), over the n values of the slice and all positions:
 * y = gain (x - mean) / sqrt(variance + 1e-5) + shift, with the biased variance.
 * `gradient` then sets running = 0.9 running + 0.1 batch, here with the unbiased variance (n /
 * (n-1)). With n = 1 the variance is 0 and y = shift; neither input nor gain gets a gradient, and
 * the running variance stays, while the running mean moves as ever. The running mean starts at 0,
 * the running variance at 1. */
#define BM_LAYER_BATCHNORM 4u

/* y = x where x > 0, otherwise 0; its derivative is 1 where x > 0, otherwise 0. */
#define BM_LAYER_RELU 5u

/* y = x / (1 - rate) where the unit is kept, otherwise 0; see "Dropout" below. */
#define BM_LAYER_DROPOUT 6u

/* The last layer and only there: loss = log(sum_j exp(x[j])) - x[label]. No parameters. */
#define BM_LAYER_SOFTMAX_CROSS_ENTROPY 7u

#define BM_BATCHNORM_EPSILON 1e-5
#define BM_BATCHNORM_DECAY 0.9 /* running = decay running + (1 - decay) batch */

/*
 * Dropout. The unit of flat index `unit` in the layer's output is dropped when
 * word[unit % 4] < floor(rate * 2^32), where word[0..3] is Philox4x32-10 (Salmon et al., SC11) of
 *
 *     key     = { seed low 32 bits, seed high 32 bits }
 *     counter = { unit / 4, image number in its split, update low 32 bits, layer index in the
 * problem }
 *
 * with `seed` from the problem and `update` from the slice.
 */

/* Fields that a kind does not use are 0. */
struct bm_layer {
    uint32_t size;
    uint32_t kind;    /* BM_LAYER_* */
    uint32_t outputs; /* DENSE: units; CONV2D: output channels */
    uint32_t kernel_height;
    uint32_t kernel_width; /* CONV2D, MAXPOOL */
    uint32_t stride;       /* CONV2D, MAXPOOL: at least 1 */
    uint32_t padding;      /* CONV2D; MAXPOOL: less than the kernel */
    uint32_t reserved;
    double rate; /* DROPOUT: probability of dropping, 0 <= rate < 1 */
};

/*
 * Canonical parameter layout: one float array; for each layer in order, weight, then bias:
 *
 *     DENSE      [outputs][inputs]                        [outputs]
 *     CONV2D     [out][in][kernel_height][kernel_width]   [out]
 *     BATCHNORM  gain [channels]                          shift [channels]
 *
 * Gradients and the slots of the optimizer's state have the same layout. The slot
 * BM_STATE_STATISTICS holds the running statistics: for each BATCHNORM layer in order the means
 * [channels], then the variances [channels].
 */

/* ---- Optimizers ---- */

/*
 * In the rules below w is a parameter and g its gradient; r = hyper.rate, wd = hyper.decay,
 * u = hyper.momentum, b1 = hyper.beta1, b2 = hyper.beta2, e = hyper.epsilon, and t = hyper.update,
 * which is 1 for the first. State starts at 0; its slots are numbered in the order in which they
 * are named. "Coupled" means that g is replaced by g + wd w first.
 *
 * |x| is the Euclidean norm of one layer's weight tensor, summed in double. For biases and for both
 * BATCHNORM tensors LARS and LAMB use ratio 1 and no decay; where a norm is 0 the ratio is 1. So no
 * rule looks beyond one tensor, and a step may be made layer by layer.
 */

/* Coupled. w -= r g */
#define BM_OPTIMIZER_SGD 0u

/* Coupled. m = u m - r g; w += m. (PyTorch's rule is this one with u r_t / r_{t-1} for u.) */
#define BM_OPTIMIZER_MOMENTUM 1u

/* Coupled. m = u m - r g; w += u m - r g */
#define BM_OPTIMIZER_NESTEROV 2u

/* Coupled. s = s + g^2; w -= r g / (sqrt(s) + e) */
#define BM_OPTIMIZER_ADAGRAD 3u

/* Coupled. s = b2 s + (1 - b2) g^2; w -= r g / (sqrt(s) + e) */
#define BM_OPTIMIZER_RMSPROP 4u

/* Coupled. m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
 * w -= r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e). Kingma and Ba 2015, Algorithm 1. */
#define BM_OPTIMIZER_ADAM 5u

/* w -= r wd w, then ADAM without decay. Loshchilov and Hutter 2019, Algorithm 2. */
#define BM_OPTIMIZER_ADAMW 6u

/* v = u v + r q (g + wd w); w -= v, with the ratio q = hyper.trust |w| / (|g| + wd |w|).
 * You, Gitman and Ginsburg 2017, Algorithm 1. */
#define BM_OPTIMIZER_LARS 7u

/* m and v as for ADAM, g not decayed; p = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e) + wd w;
 * w -= r (|w| / |p|) p, with the ratio |w| / |p|. You et al. 2020, Algorithm 2, phi the identity.
 */
#define BM_OPTIMIZER_LAMB 8u

#define BM_STATE_STATISTICS 0xffffffffu

/* ---- Problem, data, slice, hyper-parameters ---- */

struct bm_option {
    const char *key;
    const char *value;
};

/* What a session computes. Copied by create. */
struct bm_problem {
    uint32_t size;
    uint32_t layer_count;
    uint32_t layer_stride; /* bytes from one layer to the next */
    uint32_t input_channels;
    uint32_t input_height;
    uint32_t input_width;
    uint32_t optimizer;    /* BM_OPTIMIZER_* */
    uint32_t thread_count; /* threads the session may use, the calling one included; at least 1 */
    uint64_t batch_max;    /* largest count of a slice */
    uint64_t seed;         /* keys dropout; nothing else is random in a plugin */
    const struct bm_layer *layers;
    const char *precision; /* BM_PRECISION_* */
    const struct bm_option *options;
    uint32_t option_count; /* an unknown key or value, or a key twice, is BM_STATUS_INVALID */
    uint32_t option_stride;
};

#define BM_SPLIT_TRAIN 0u
#define BM_SPLIT_VALIDATION 1u
#define BM_SPLIT_TEST 2u
#define BM_SPLIT_COUNT 3u

/* The network's input is scale[channel] * value + shift[channel], in float32. */
#define BM_DATA_UINT8 0u

/* The network's input is the value; scale and shift are NULL. */
#define BM_DATA_FLOAT32 1u

/* Images [count][channels][height][width], labels [count] in 0 .. classes-1. The host's memory,
 * 64-byte aligned, may be mapped read-only, valid and unchanged until destroy or the next bind_data
 * of that split. */
struct bm_data {
    uint32_t size;
    uint32_t type;  /* BM_DATA_* */
    uint64_t count; /* number of images */
    const void *images;
    const int32_t *labels;
    const float *scale; /* [channels] */
    const float *shift; /* [channels] */
};

/* Add to the gradient that is kept (and to the loss) instead of replacing it. INVALID if none is
 * kept, where read_gradient would be. */
#define BM_SLICE_ACCUMULATE 1u

/* Do not change the running statistics. */
#define BM_SLICE_KEEP_STATISTICS 2u

/* BATCHNORM normalizes with the running statistics, which are constants to the gradient and stay.
 */
#define BM_SLICE_USE_RUNNING 4u

/* DROPOUT is the identity. */
#define BM_SLICE_NO_DROPOUT 8u

/* Which images a gradient is taken over: order[first .. first + count) of the training split. */
struct bm_slice {
    uint32_t size;
    uint32_t flags; /* BM_SLICE_* */
    uint64_t first;
    uint64_t count;  /* 1 .. batch_max, first + count <= length of the order */
    uint64_t update; /* the host's number of the update, from 1; keys dropout */
    double divisor;  /* the summed loss and its gradient are divided by this; normally count; 0
                        and what is not finite are INVALID */
};

/* Hyper-parameters of one optimizer step. Fields that a rule does not name are ignored. */
struct bm_hyper {
    uint32_t size;
    uint32_t reserved;
    uint64_t update; /* t of the rules, from 1 */
    double rate;
    double momentum;
    double decay;
    double beta1;
    double beta2; /* also the decay rate of RMSPROP */
    double epsilon;
    double trust; /* LARS */
};

/* Time on the device's own clock; negative where it is not known. */
struct bm_device_time {
    uint32_t size;
    uint32_t reserved;
    double gradient_ns; /* of the last gradient; of the whole last update where the two are fused */
    double apply_ns;    /* of the last apply */
};

/* One set of parameters, state and gradient on one device; opaque to the host. */
struct bm_session;

/* ---- The table ---- */

#define BM_PLUGIN_COMPUTES_NOTHING 1u /* measures the host alone: not checked, not ranked */

/* Constant, of static storage. Every function is mandatory unless marked optional; an optional one
 * may be NULL. */
struct bm_plugin {
    uint64_t magic; /* BM_PLUGIN_MAGIC */
    uint32_t size;  /* sizeof(struct bm_plugin) as the plugin was compiled */
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t flags; /* BM_PLUGIN_* */
    const char
        *name; /* the backend's name: that of the file bm_<name>.so; [a-z0-9_-], at most 31 bytes */
    const char *version; /* of the backend */
    const char *summary; /* one line for `batchmark list` */

    /* [loaded] Number of devices found now. With 0 the text of `error` says why, and the status is
     * OK. Cheap, and starts nothing. */
    int32_t (*device_count)(uint32_t *count, struct bm_error *error);

    /* [loaded] Fills `info`, whose size the host has set. Devices keep their numbers while the
     * process lives. */
    int32_t (*device_info)(uint32_t device, struct bm_device_info *info, struct bm_error *error);

    /* [loaded] OK and the bytes of device memory a session needs, data excluded; or UNSUPPORTED and
     * why. Allocates nothing lasting. */
    int32_t (*supports)(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error);

    /* [loaded] Makes a session, which belongs to the caller: give it back with destroy. All
     * parameters, state and means are 0, running variances 1. On failure *session is NULL and
     * nothing is left behind. */
    int32_t (*create)(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error);

    /* [created] Waits for, then frees everything of the session, its threads included. NULL is
     * fine. */
    void (*destroy)(struct bm_session *session);

    /* [created] Binds a split's data (see struct bm_data for its life), replacing what was bound.
     * Resets the order if TRAIN. */
    int32_t (*bind_data)(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error);

    /* [TRAIN bound] The order in which slices walk the training split: image numbers, which may
     * repeat. Copied. */
    int32_t (*set_order)(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error);

    /* [created] Parameters in canonical layout; `count` is their number, anything else is INVALID.
     */
    int32_t (*write_params)(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error);
    int32_t (*read_params)(struct bm_session *session,
                           float *values,
                           uint64_t count,
                           struct bm_error *error);

    /* [created] The gradient of the last gradient call, the same before and after apply; INVALID if
     * none was made since create or the last update or updates. */
    int32_t (*read_gradient)(struct bm_session *session,
                             float *values,
                             uint64_t count,
                             struct bm_error *error);

    /* [created] Optional. Replaces the gradient that apply uses. */
    int32_t (*write_gradient)(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error);

    /* [created] Optional, both or neither. A slot of the optimizer's state, or BM_STATE_STATISTICS.
     * A slot that the rule does not have is INVALID. */
    int32_t (*read_state)(struct bm_session *session,
                          uint32_t slot,
                          float *values,
                          uint64_t count,
                          struct bm_error *error);
    int32_t (*write_state)(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           uint64_t count,
                           struct bm_error *error);

    /* [bound] Gradient of the slice's cross entropy, summed over its images and divided by its
     * divisor, at the current parameters; kept on the device. Parameters and optimizer state are
     * unchanged. */
    int32_t (*gradient)(struct bm_session *session,
                        const struct bm_slice *slice,
                        struct bm_error *error);

    /* [bound] One optimizer step with the gradient kept. INVALID where read_gradient would be. */
    int32_t (*apply)(struct bm_session *session,
                     const struct bm_hyper *hyper,
                     struct bm_error *error);

    /* [bound] Optional. gradient, then apply, fused: the same result to rounding; need not leave a
     * readable gradient. With BM_SLICE_ACCUMULATE, which adds to an earlier gradient, the result is
     * that of the two calls as well. */
    int32_t (*update)(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error);

    /* [bound] Optional. `count` consecutive updates in one call: number k has slice.first + k
     * slice.count, slice.update + k and hyper[k], all inside the order. Same bits as `count` calls
     * of update. */
    int32_t (*updates)(struct bm_session *session,
                       const struct bm_slice *slice,
                       uint32_t count,
                       const struct bm_hyper *hyper,
                       uint32_t hyper_stride,
                       struct bm_error *error);

    /* [that split bound] Summed loss and number of right answers (lowest index of the largest
     * logit) over images first .. first + count of the split, in their own order, any count;
     * running statistics, no dropout. `flags` is 0. */
    int32_t (*evaluate)(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error);

    /* [created] All that was asked is finished when this returns. *loss: the summed loss since the
     * last gradient (or update) without ACCUMULATE, over its divisor; of the last update after
     * updates. NULL reads nothing back. */
    int32_t (*wait)(struct bm_session *session, double *loss, struct bm_error *error);

    /* [bound] Optional. Implies wait. */
    int32_t (*device_time)(struct bm_session *session,
                           struct bm_device_time *time,
                           struct bm_error *error);

    /* [created] What really runs, as `key=value` lines ending in '\n': instruction set, tiles,
     * threads, precision, library versions, every option with its value. Cut and terminated at
     * `capacity` bytes. */
    int32_t (*describe)(struct bm_session *session,
                        char *text,
                        uint32_t capacity,
                        struct bm_error *error);

    /* [loaded] Optional. A constant table for an id of the form "domain.name/1", or NULL. An id
     * never changes its meaning. */
    const void *(*extension)(const char *id);
};

/*
 * The one exported symbol. Answers NULL, with `error` filled, when it cannot work with this host;
 * both sides' numbers are in the text. Pure, quick, touches no device, starts no thread; may be
 * called more than once.
 */
BM_PLUGIN_EXPORT const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error);

#ifdef __cplusplus
}
#endif

#endif
