// SPDX-License-Identifier: MIT
// The backend eigen as the host sees it. Read from the end: bm_plugin_entry hands out the table,
// the table lists the calls, and the calls follow the life of a session. No exception can be thrown
// here: nothing of the C++ library is used, and what compute.cc offers is noexcept. This file is
// compiled for any processor, so that one without the instructions of compute.cc is told so.
#include "session.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum { OPTION_PIECE, OPTION_COUNT };

// What a user may set with `--option eigen.piece=64`: key, choices, minimum, maximum, fallback.
constexpr bm_kit_option options[OPTION_COUNT] = {{"piece", nullptr, 1, 4096, 256}};

// The level that compute.cc is compiled for, from CMakeLists.txt.
#ifdef BM_EIGEN_ARCH
#define LEVEL BM_EIGEN_ARCH
#define LEVEL_IS_MISSING (!__builtin_cpu_supports(LEVEL))
#else
#define LEVEL "the compiler's default"
#define LEVEL_IS_MISSING false
#endif

// ---- The device ----

// Why this processor cannot run compute.cc; NULL if it can.
const char *missing() {
    return LEVEL_IS_MISSING ? "processor: expected the instructions of " LEVEL ", found fewer"
                            : nullptr;
}

int32_t device_count(uint32_t *count, bm_error *error) {
    const char *reason = missing();
    *count = reason == nullptr ? 1 : 0;
    if (reason != nullptr) { // plugin.h: none found is no failure, and the text says why
        bm_kit_fail(error, BM_STATUS_UNSUPPORTED, "%s", reason);
    }
    return BM_STATUS_OK;
}

int32_t device_info(uint32_t device, bm_device_info *info, bm_error *error) {
    return bm_kit_cpu_info(device, info, error);
}

// ---- What is supported ----

int32_t check_layer(const bm_kit_layer *layer, uint32_t l, bm_error *error) {
    if (layer->kind == BM_LAYER_BATCHNORM && layer->output_size != layer->output.channels) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "layer %u: expected a batch norm of 1 position, found %ux%u", l,
                           layer->output.height, layer->output.width);
    }
    if (layer->kind != BM_LAYER_DENSE && layer->kind != BM_LAYER_RELU &&
        layer->kind != BM_LAYER_BATCHNORM) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "layer %u: expected dense (%u), batchnorm (%u) or relu (%u), "
                           "found kind %u",
                           l, BM_LAYER_DENSE, BM_LAYER_BATCHNORM, BM_LAYER_RELU, layer->kind);
    }
    return BM_STATUS_OK;
}

int32_t check_supported(const bm_kit_network *network, bm_error *error) {
    const char *reason = missing();
    if (reason != nullptr) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED, "%s", reason);
    }
    int32_t status = BM_STATUS_OK; // the last layer is the softmax: the kit has checked that
    for (uint32_t l = 0; l + 1 < network->layer_count && status == BM_STATUS_OK; l++) {
        status = check_layer(&network->layers[l], l, error);
    }
    return status;
}

bool has_batchnorm(const bm_kit_network *network) {
    return network->statistics_count > 0;
}

// ---- Memory ----

// The place of `rows` rows of `size` values; while there is no memory it only counts. Each array
// begins a cache line. What cannot be counted stays UINT64_MAX.
template <class Value> Value *take(bm_session *session, uint64_t rows, uint64_t size) {
    uint64_t begin = session->byte_count;
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(rows, size, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof(Value), &bytes) ||
        __builtin_add_overflow(bytes, 63, &bytes) ||
        __builtin_add_overflow(begin, bytes / 64 * 64, &session->byte_count)) {
        session->byte_count = UINT64_MAX;
    }
    void *place = session->memory != nullptr ? session->memory + begin : nullptr;
    return static_cast<Value *>(place);
}

// One function for both, so that the bytes that `supports` names are those that `create` takes.
void lay_out(bm_session *session) {
    const bm_kit_network *network = &session->core.network;
    session->byte_count = 0;
    session->params = take<float>(session, 1, network->param_count);
    for (uint32_t slot = 0; slot < session->core.slot_count; slot++) {
        session->state[slot] = take<float>(session, 1, network->param_count);
    }
    session->statistics = take<float>(session, 1, network->statistics_count);
    session->gradient = take<float>(session, 1, network->param_count);
    session->zero_count = session->byte_count;
    session->moments = take<double>(session, 1, network->statistics_count);
    session->sums = take<double>(session, 2, network->widest);
    session->squares = take<double>(session, session->core.thread_count, 2);
    session->values = take<float>(session, session->piece, network->input_size);
    for (uint32_t l = 0; l + 1 < network->layer_count; l++) {
        const bm_kit_layer *layer = &network->layers[l];
        if (bm_eigen_place(layer, session->piece) != 0) {
            (void)take<float>(session, session->piece, layer->output_size);
        }
    }
    session->delta[0] = take<float>(session, session->piece, network->widest);
    session->delta[1] = take<float>(session, session->piece, network->widest);
}

// All of a session but its memory and threads. What it holds is given back by
// bm_kit_session_deinit, also after a failure.
int32_t prepare(uint32_t device, const bm_problem *problem, bm_session *session, bm_error *error) {
    int64_t values[OPTION_COUNT];
    int32_t status = bm_kit_cpu_check(device, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_session_init(&session->core, problem, options, OPTION_COUNT, values, error);
    }
    if (status == BM_STATUS_OK) {
        status = check_supported(&session->core.network, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->piece = static_cast<uint64_t>(values[OPTION_PIECE]);
    if (session->piece > session->core.batch_max || has_batchnorm(&session->core.network)) {
        session->piece = session->core.batch_max; // a batch norm needs all images at once
    }
    lay_out(session);
    return session->byte_count <= INT64_MAX
               ? BM_STATUS_OK
               : bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                             "layers: expected arrays that can be addressed, found larger ones");
}

int32_t supports(uint32_t device, const bm_problem *problem, uint64_t *bytes, bm_error *error) {
    bm_session session = {};
    int32_t status = prepare(device, problem, &session, error);
    if (status == BM_STATUS_OK) {
        *bytes = sizeof session + session.byte_count;
    }
    bm_kit_session_deinit(&session.core);
    return status;
}

// ---- The life of a session ----

void destroy(bm_session *session) {
    if (session != nullptr) {
        bm_kit_pool_destroy(session->pool);
        bm_kit_session_deinit(&session->core);
        free(session->memory);
        free(session);
    }
}

// Parameters, state and means start at 0, variances at 1.
void reset(bm_session *session) {
    const bm_kit_network *network = &session->core.network;
    memset(session->memory, 0, session->zero_count);
    for (uint32_t l = 0; l < network->layer_count; l++) {
        const bm_kit_layer *layer = &network->layers[l];
        for (uint64_t c = 0; layer->kind == BM_LAYER_BATCHNORM && c < layer->output_size; c++) {
            session->statistics[layer->variance_offset + c] = 1;
        }
    }
}

int32_t fill(uint32_t device, const bm_problem *problem, bm_session *session, bm_error *error) {
    int32_t status = prepare(device, problem, session, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->memory = static_cast<char *>(aligned_alloc(64, session->byte_count));
    if (session->memory == nullptr) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %llu bytes of arrays",
                           static_cast<unsigned long long>(session->byte_count));
    }
    lay_out(session);
    reset(session);
    return bm_kit_pool_create(session->core.thread_count, &session->pool, error);
}

int32_t create(uint32_t device, const bm_problem *problem, bm_session **session, bm_error *error) {
    *session = nullptr;
    bm_session *made = static_cast<bm_session *>(calloc(1, sizeof *made));
    if (made == nullptr) {
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

int32_t bind_data(bm_session *session, uint32_t split, const bm_data *data, bm_error *error) {
    return bm_kit_session_bind(&session->core, split, data, error);
}

int32_t set_order(bm_session *session, const uint32_t *order, uint64_t count, bm_error *error) {
    return bm_kit_session_order(&session->core, order, count, error);
}

// ---- Copies ----

// A network without parameters has no array to copy.
void copy(float *to, const float *from, uint64_t count) {
    if (count > 0) {
        memcpy(to, from, count * sizeof *to);
    }
}

int32_t write_params(bm_session *session, const float *values, uint64_t count, bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(session->params, values, count);
    }
    return status;
}

int32_t read_params(bm_session *session, float *values, uint64_t count, bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(values, session->params, count);
    }
    return status;
}

int32_t read_gradient(bm_session *session, float *values, uint64_t count, bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "read_gradient", error);
    }
    if (status == BM_STATUS_OK) {
        copy(values, session->gradient, count);
    }
    return status;
}

int32_t write_gradient(bm_session *session, const float *values, uint64_t count, bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        copy(session->gradient, values, count);
        session->core.has_gradient = 1;
    }
    return status;
}

float *slot_values(bm_session *session, uint32_t slot) {
    return slot == BM_STATE_STATISTICS ? session->statistics : session->state[slot];
}

int32_t
read_state(bm_session *session, uint32_t slot, float *values, uint64_t count, bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status == BM_STATUS_OK) {
        copy(values, slot_values(session, slot), count);
    }
    return status;
}

int32_t write_state(
    bm_session *session, uint32_t slot, const float *values, uint64_t count, bm_error *error) {
    int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status == BM_STATUS_OK) {
        copy(slot_values(session, slot), values, count);
    }
    return status;
}

// ---- The work: everything is done when a call returns ----

// A gradient, with a step in it where there are hyper-parameters; the arguments are checked.
int32_t
run_slice(bm_session *session, const bm_slice *slice, const bm_hyper *hyper, bm_error *error) {
    bm_eigen_work work = {};
    work.data = &session->core.data[BM_SPLIT_TRAIN];
    work.order = session->core.order + slice->first;
    work.count = slice->count;
    work.flags = slice->flags;
    work.divisor = slice->divisor;
    work.hyper = hyper;
    bm_eigen_result result = {};
    int32_t status = bm_eigen_run(session, &work, &result, error);
    if (status == BM_STATUS_OK) {
        double before = (slice->flags & BM_SLICE_ACCUMULATE) != 0 ? session->core.loss : 0;
        session->core.loss = before + result.loss / slice->divisor;
    }
    session->core.has_gradient = status == BM_STATUS_OK && hyper == nullptr;
    return status;
}

int32_t gradient(bm_session *session, const bm_slice *slice, bm_error *error) {
    int32_t status = bm_kit_check_slice(&session->core, slice, 1, error);
    return status == BM_STATUS_OK ? run_slice(session, slice, nullptr, error) : status;
}

int32_t apply(bm_session *session, const bm_hyper *hyper, bm_error *error) {
    int32_t status = bm_kit_check_hyper(hyper, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "apply", error);
    }
    return status == BM_STATUS_OK ? bm_eigen_step(session, hyper, error) : status;
}

int32_t update(bm_session *session, const bm_slice *slice, const bm_hyper *hyper, bm_error *error) {
    int32_t status = bm_kit_check_hyper(hyper, error); // all checks before any work
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_slice(&session->core, slice, 1, error);
    }
    return status == BM_STATUS_OK ? run_slice(session, slice, hyper, error) : status;
}

int32_t evaluate(bm_session *session,
                 uint32_t split,
                 uint64_t first,
                 uint64_t count,
                 uint32_t flags,
                 double *loss,
                 uint64_t *correct,
                 bm_error *error) {
    int32_t status = bm_kit_check_evaluate(&session->core, split, first, count, flags, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    bm_eigen_work work = {};
    work.data = &session->core.data[split];
    work.first = first;
    work.count = count;
    work.flags = BM_SLICE_USE_RUNNING;
    bm_eigen_result result = {};
    status = bm_eigen_run(session, &work, &result, error);
    if (status == BM_STATUS_OK) {
        *loss = result.loss;
        *correct = result.correct;
    }
    return status;
}

int32_t wait(bm_session *session, double *loss, bm_error *) {
    if (loss != nullptr) {
        *loss = session->core.loss;
    }
    return BM_STATUS_OK;
}

int32_t describe(bm_session *session, char *text, uint32_t capacity, bm_error *) {
    (void)snprintf(text, capacity,
                   "library=%s\ninstructions=%s\nthreads=%u\nprecision=float32\npiece=%llu\n",
                   bm_eigen_version(), LEVEL, session->core.thread_count,
                   static_cast<unsigned long long>(session->piece));
    return BM_STATUS_OK;
}

// ---- The table ----

// Member by member, as C++17 has no designated initializers; constexpr, so that it is constant and
// made by the compiler.
constexpr bm_plugin make_table() {
    bm_plugin table = {};
    table.magic = BM_PLUGIN_MAGIC;
    table.size = sizeof(bm_plugin);
    table.abi_major = BM_ABI_MAJOR;
    table.abi_minor = BM_ABI_MINOR;
    table.name = "eigen";
    table.version = "0.1.0";
    table.summary = "dense networks with the matrix products of Eigen";
    table.device_count = device_count;
    table.device_info = device_info;
    table.supports = supports;
    table.create = create;
    table.destroy = destroy;
    table.bind_data = bind_data;
    table.set_order = set_order;
    table.write_params = write_params;
    table.read_params = read_params;
    table.read_gradient = read_gradient;
    table.write_gradient = write_gradient;
    table.read_state = read_state;
    table.write_state = write_state;
    table.gradient = gradient;
    table.apply = apply;
    table.update = update;
    table.evaluate = evaluate;
    table.wait = wait;
    table.describe = describe;
    return table;
}

constexpr bm_plugin plugin = make_table();

} // namespace

const bm_plugin *bm_plugin_entry(uint32_t host_major, uint32_t host_minor, bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : nullptr;
}
