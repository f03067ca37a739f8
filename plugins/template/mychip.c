/*
 * The backend mychip as the host sees it. Read from the end: bm_plugin_entry hands out the table,
 * the table lists the calls, and the calls follow the life of a session:
 *
 *     create, bind_data, set_order, write_params,
 *     gradient, apply, gradient, apply, ... wait, read_params, ... destroy
 *
 * As it stands this backend computes, right and slowly, on the processor. What it should compute on
 * your chip is in mychip_compute.c. Here you will change the device (device_count, device_info),
 * where the arrays live (lay_out, create, destroy), and the copies to and from them (write_params,
 * read_params, read_gradient). The rest can stay.
 *
 * The checks of arguments, states and struct sizes are the author's kit's: bm_kit_* in
 * <batchmark/kit.h>. The contract is <batchmark/plugin.h>.
 */
#include "mychip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a user may set with `--option mychip.piece=16`. An unknown key is refused by the kit. */
static const struct bm_kit_option options[] = {
    {.key = "piece", .minimum = 1, .maximum = 1024, .fallback = 64},
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

/* ---- The device ---- */

/* How many chips are there now? If none: *count = 0, the reason in error->text, and still OK. */
static int32_t device_count(uint32_t *count, struct bm_error *error) {
    (void)error; /* not touched where nothing failed */
    *count = 1;
    return BM_STATUS_OK;
}

/* The processor's facts. For a chip fill name, kind (BM_DEVICE_KIND_GPU if its work runs beside the
 * processor), memory, driver, and the precisions that it has. */
static int32_t device_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    return bm_kit_cpu_info(device, info, error);
}

/* ---- What is supported ---- */

/* UNSUPPORTED is an honest answer: the host shows the cell as unsupported, with this text. Take a
 * kind out of here when it is computed, never before. */
static int32_t check_supported(const struct bm_kit_session *core, struct bm_error *error) {
    const struct bm_kit_network *network = &core->network;
    for (uint32_t l = 0; l + 1 < network->layer_count; l++) {
        uint32_t kind = network->layers[l].kind;
        if (kind != BM_LAYER_DENSE && kind != BM_LAYER_RELU) {
            return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                               "layer %u: expected dense (%u) or relu (%u), found kind %u", l,
                               BM_LAYER_DENSE, BM_LAYER_RELU, kind);
        }
    }
    if (core->optimizer != BM_OPTIMIZER_SGD && core->optimizer != BM_OPTIMIZER_MOMENTUM) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "optimizer: expected sgd (%u) or momentum (%u), found %u",
                           BM_OPTIMIZER_SGD, BM_OPTIMIZER_MOMENTUM, core->optimizer);
    }
    return BM_STATUS_OK;
}

/* ---- Memory ---- */

/* The place of `rows` rows of `size` floats; while there is no memory it only counts. What cannot
 * be counted stays UINT64_MAX. */
static float *take(struct bm_session *session, uint64_t rows, uint64_t size) {
    uint64_t begin = session->float_count;
    uint64_t count = 0;
    if (__builtin_mul_overflow(rows, size, &count) ||
        __builtin_add_overflow(begin, count, &session->float_count)) {
        session->float_count = UINT64_MAX;
    }
    return session->memory != NULL ? session->memory + begin : NULL;
}

/* One function for both, so that the bytes that `supports` names are those that `create` takes. */
static void lay_out(struct bm_session *session) {
    const struct bm_kit_network *network = &session->core.network;
    session->float_count = 0;
    session->params = take(session, 1, network->param_count);
    session->gradient = take(session, 1, network->param_count);
    if (session->core.slot_count > 0) {
        session->momentum = take(session, 1, network->param_count);
    }
    session->values = take(session, session->piece, network->layers[0].input_size);
    session->logits = session->values;
    for (uint32_t l = 1; l < network->layer_count; l++) {
        session->logits = take(session, session->piece, network->layers[l].input_size);
    }
    session->delta[0] = take(session, session->piece, network->widest);
    session->delta[1] = take(session, session->piece, network->widest);
}

/* All of a session but its memory. What it holds is given back by bm_kit_session_deinit, also after
 * a failure. */
static int32_t prepare(uint32_t device,
                       const struct bm_problem *problem,
                       struct bm_session *session,
                       struct bm_error *error) {
    int64_t values[OPTION_COUNT];
    int32_t status = bm_kit_cpu_check(device, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_session_init(&session->core, problem, options, OPTION_COUNT, values, error);
    }
    if (status == BM_STATUS_OK) {
        status = check_supported(&session->core, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->piece = (uint64_t)values[0];
    if (session->piece > session->core.batch_max) {
        session->piece = session->core.batch_max;
    }
    lay_out(session);
    return session->float_count <= SIZE_MAX / sizeof(float) / 2
               ? BM_STATUS_OK
               : bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                             "layers: expected arrays that can be addressed, found larger ones");
}

static uint64_t byte_count(const struct bm_session *session) {
    return sizeof *session + session->float_count * sizeof(float) +
           session->core.network.layer_count * sizeof(struct bm_kit_layer);
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    struct bm_session session = {0};
    int32_t status = prepare(device, problem, &session, error);
    if (status == BM_STATUS_OK) {
        *bytes = byte_count(&session);
    }
    bm_kit_session_deinit(&session.core);
    return status;
}

/* ---- The life of a session ---- */

static void destroy(struct bm_session *session) {
    if (session != NULL) {
        bm_kit_session_deinit(&session->core);
        free(session->memory);
        free(session);
    }
}

/* Parameters and state start at 0, so memory does. */
static int32_t fill(uint32_t device,
                    const struct bm_problem *problem,
                    struct bm_session *session,
                    struct bm_error *error) {
    int32_t status = prepare(device, problem, session, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->memory = calloc(session->float_count, sizeof(float));
    if (session->memory == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %llu bytes of arrays",
                           (unsigned long long)byte_count(session));
    }
    lay_out(session);
    return BM_STATUS_OK;
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
    int32_t status = fill(device, problem, made, error);
    if (status != BM_STATUS_OK) {
        destroy(made);
        return status;
    }
    *session = made;
    return BM_STATUS_OK;
}

/* The host's images stay valid until destroy: a chip with memory of its own copies them here, once.
 */
static int32_t bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error) {
    return bm_kit_session_bind(&session->core, split, data, error);
}

static int32_t set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    return bm_kit_session_order(&session->core, order, count, error);
}

/* ---- Copies between the host and the device ---- */

/* A network without parameters has no array to copy. */
static void copy(float *to, const float *from, uint64_t count) {
    if (count > 0) {
        memcpy(to, from, count * sizeof *to);
    }
}

static int32_t write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(session->params, values, count);
    }
    return status;
}

static int32_t
read_params(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(values, session->params, count);
    }
    return status;
}

static int32_t
read_gradient(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "read_gradient", error);
    }
    if (status == BM_STATUS_OK) {
        copy(values, session->gradient, count);
    }
    return status;
}

/* ---- The work ---- */

/* May return before the chip is done: then wait, read_*, write_*, evaluate and set_order must wait
 * for it. Here everything is done when a call returns. */
static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    int32_t status = bm_kit_check_slice(&session->core, slice, 1, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    const struct bm_mychip_work work = {.data = &session->core.data[BM_SPLIT_TRAIN],
                                        .order = session->core.order + slice->first,
                                        .count = slice->count,
                                        .divisor = slice->divisor};
    uint64_t correct = 0;
    if ((slice->flags & BM_SLICE_ACCUMULATE) == 0) {
        memset(session->gradient, 0, session->core.network.param_count * sizeof(float));
        session->core.loss = 0;
    }
    session->core.loss += bm_mychip_run(session, &work, &correct) / slice->divisor;
    session->core.has_gradient = 1;
    return BM_STATUS_OK;
}

static int32_t
apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    int32_t status = bm_kit_check_hyper(hyper, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "apply", error);
    }
    if (status == BM_STATUS_OK) {
        bm_mychip_step(session, hyper);
    }
    return status;
}

static int32_t evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error) {
    int32_t status = bm_kit_check_evaluate(&session->core, split, first, count, flags, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    const struct bm_mychip_work work = {
        .data = &session->core.data[split], .first = first, .count = count};
    uint64_t right = 0;
    *loss = bm_mychip_run(session, &work, &right);
    *correct = right;
    return BM_STATUS_OK;
}

static int32_t wait(struct bm_session *session, double *loss, struct bm_error *error) {
    (void)error;
    if (loss != NULL) { /* NULL: nobody asks, so nothing need be read back */
        *loss = session->core.loss;
    }
    return BM_STATUS_OK;
}

/* What really runs: it stands beside every result. Each option with its value. */
static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    (void)error;
    (void)snprintf(text, capacity, "threads=1\nprecision=float32\npiece=%llu\n",
                   (unsigned long long)session->piece);
    return BM_STATUS_OK;
}

/* ---- The table ---- */

/* Third, when the work is fast: the optional calls, which are NULL here. `update` fuses gradient
 * and apply, `updates` makes many in one call, read_state and write_state let the host check and
 * reset the optimizer. The guide tells what each one buys. */
static const struct bm_plugin plugin = {
    .magic = BM_PLUGIN_MAGIC,
    .size = sizeof(struct bm_plugin),
    .abi_major = BM_ABI_MAJOR,
    .abi_minor = BM_ABI_MINOR,
    .name = "mychip", /* that of the file bm_mychip.so */
    .version = "0.1.0",
    .summary = "plain loops, to be replaced by mychip",
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
    .gradient = gradient,
    .apply = apply,
    .evaluate = evaluate,
    .wait = wait,
    .describe = describe,
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : NULL;
}
