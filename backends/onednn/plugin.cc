// The plugin's table: checks of arguments and state (the kit's), then the work, with every
// exception caught here. Everything is finished when a call returns.
#include "guard.h"
#include "onednn.h"

#include <algorithm>
#include <cinttypes>
#include <climits>
#include <cstdio>
#include <cstring>

namespace {

int32_t device_count(uint32_t *count, bm_error * /*error*/) {
    *count = 1;
    return BM_STATUS_OK;
}

// ---- Problem and session ----

// Bytes of the activations of batch_max images, which every layout takes at least.
int32_t check_batch(const bm_session &session, uint64_t *least, bm_error *error) {
    const bm_kit_network &network = session.core.network;
    uint64_t floats = network.input_size;
    for (uint32_t i = 0; i < network.layer_count; i++) {
        floats += network.layers[i].output_size;
    }
    if (__builtin_mul_overflow(floats * sizeof(float), session.core.batch_max, least) ||
        *least > INT64_MAX) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "problem.batch_max: expected arrays that can be addressed, found "
                           "%" PRIu64 " images of %" PRIu64 " values",
                           session.core.batch_max, floats);
    }
    return BM_STATUS_OK;
}

int32_t check_memory(uint64_t least, bm_error *error) {
    bm_device_info info{};
    info.size = sizeof info;
    const int32_t status = bm_kit_cpu_info(0, &info, error);
    if (status == BM_STATUS_OK && info.memory_bytes > 0 && least > info.memory_bytes) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY,
                           "no memory for %" PRIu64 " bytes of activations, found %" PRIu64, least,
                           info.memory_bytes);
    }
    return status;
}

int32_t check_index(const bm_session &session, bm_error *error) {
    if (session.core.batch_max > INT_MAX) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "problem.batch_max: oneDNN counts to %d, found %" PRIu64, INT_MAX,
                           session.core.batch_max);
    }
    return BM_STATUS_OK;
}

int32_t check_problem(uint32_t device,
                      const bm_problem *problem,
                      bm_session &session,
                      uint64_t *least,
                      bm_error *error) {
    static const char *const layouts[] = {"preferred", "plain", nullptr};
    static const bm_kit_option options[] = {{"weights", layouts, 0, 0, 0}};
    int64_t layout = 0;
    int32_t status = bm_kit_cpu_check(device, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_session_init(&session.core, problem, options, 1, &layout, error);
    }
    session.plain_weights = layout == 1;
    return status == BM_STATUS_OK ? check_batch(session, least, error) : status;
}

int32_t supports(uint32_t device, const bm_problem *problem, uint64_t *bytes, bm_error *error) {
    return guard("supports", error, [&] {
        bm_session session;
        uint64_t least = 0;
        int32_t status = check_problem(device, problem, session, &least, error);
        if (status == BM_STATUS_OK) {
            status = check_index(session, error);
        }
        if (status == BM_STATUS_OK) {
            std::vector<bm_onednn_plan> plans;
            *bytes = bm_onednn_prepare(session, plans);
        }
        return status;
    });
}

int32_t create(uint32_t device, const bm_problem *problem, bm_session **session, bm_error *error) {
    *session = nullptr;
    return guard("create", error, [&] {
        auto made = std::make_unique<bm_session>();
        uint64_t least = 0;
        int32_t status = check_problem(device, problem, *made, &least, error);
        if (status == BM_STATUS_OK) {
            status = check_memory(least, error);
        }
        if (status == BM_STATUS_OK) {
            status = check_index(*made, error);
        }
        if (status == BM_STATUS_OK) {
            std::vector<bm_onednn_plan> plans;
            bm_onednn_prepare(*made, plans);
            bm_onednn_start(*made, std::move(plans));
            *session = made.release();
        }
        return status;
    });
}

void destroy(bm_session *session) {
    delete session;
}

// ---- Data, parameters, state ----

int32_t bind_data(bm_session *session, uint32_t split, const bm_data *data, bm_error *error) {
    return bm_kit_session_bind(&session->core, split, data, error);
}

int32_t set_order(bm_session *session, const uint32_t *order, uint64_t count, bm_error *error) {
    return bm_kit_session_order(&session->core, order, count, error);
}

int32_t read_array(bm_session *session,
                   const std::unique_ptr<bm_onednn_block> &array,
                   const char *call,
                   float *values,
                   bm_error *error) {
    return guard(call, error, [&] {
        bm_onednn_use_threads(*session);
        bm_onednn_read_array(*session, *array, values);
        return BM_STATUS_OK;
    });
}

int32_t write_array(bm_session *session,
                    const std::unique_ptr<bm_onednn_block> &array,
                    const char *call,
                    const float *values,
                    bm_error *error) {
    return guard(call, error, [&] {
        bm_onednn_use_threads(*session);
        bm_onednn_write_array(*session, *array, values);
        return BM_STATUS_OK;
    });
}

int32_t write_params(bm_session *session, const float *values, uint64_t count, bm_error *error) {
    const int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    return status == BM_STATUS_OK
               ? write_array(session, session->values, "write_params", values, error)
               : status;
}

int32_t read_params(bm_session *session, float *values, uint64_t count, bm_error *error) {
    const int32_t status = bm_kit_check_values(&session->core, "params", values, count, error);
    return status == BM_STATUS_OK
               ? read_array(session, session->values, "read_params", values, error)
               : status;
}

int32_t read_gradient(bm_session *session, float *values, uint64_t count, bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "read_gradient", error);
    }
    return status == BM_STATUS_OK
               ? read_array(session, session->gradient, "read_gradient", values, error)
               : status;
}

int32_t write_gradient(bm_session *session, const float *values, uint64_t count, bm_error *error) {
    int32_t status = bm_kit_check_values(&session->core, "gradient", values, count, error);
    if (status == BM_STATUS_OK) {
        status = write_array(session, session->gradient, "write_gradient", values, error);
    }
    if (status == BM_STATUS_OK) {
        session->core.has_gradient = 1;
    }
    return status;
}

int32_t
read_state(bm_session *session, uint32_t slot, float *values, uint64_t count, bm_error *error) {
    const int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status != BM_STATUS_OK || count == 0) {
        return status;
    }
    if (slot == BM_STATE_STATISTICS) {
        std::memcpy(values, session->statistics->at<float>(0), count * sizeof *values);
        return BM_STATUS_OK;
    }
    return read_array(session, session->state[slot], "read_state", values, error);
}

int32_t write_state(
    bm_session *session, uint32_t slot, const float *values, uint64_t count, bm_error *error) {
    const int32_t status = bm_kit_check_slot(&session->core, slot, values, count, error);
    if (status != BM_STATUS_OK || count == 0) {
        return status;
    }
    if (slot == BM_STATE_STATISTICS) {
        std::memcpy(session->statistics->at<float>(0), values, count * sizeof *values);
        return BM_STATUS_OK;
    }
    return write_array(session, session->state[slot], "write_state", values, error);
}

// ---- Gradient and apply ----

// The primitives write gradients and do not add to them, so an earlier one is put aside.
void keep_earlier(bm_session &session) {
    if (!session.earlier) {
        session.earlier = std::make_unique<bm_onednn_block>(session.array_count * sizeof(float));
    }
    std::memcpy(session.earlier->at<float>(0), session.gradient->at<float>(0),
                session.array_count * sizeof(float));
}

void add_earlier(bm_session &session) {
    auto *sum = session.gradient->at<float>(0);
    const auto *earlier = session.earlier->at<const float>(0);
    for (uint64_t i = 0; i < session.array_count; i++) {
        sum[i] = earlier[i] + sum[i];
    }
}

void run_slice(bm_session &session, const bm_slice &slice) {
    const bool accumulate = (slice.flags & BM_SLICE_ACCUMULATE) != 0;
    const bool running =
        (slice.flags & BM_SLICE_USE_RUNNING) != 0 && session.core.network.statistics_count > 0;
    bm_onednn_use_threads(session);
    const bm_onednn_plan &plan = bm_onednn_plan_for(
        session, slice.count, running ? bm_onednn_mode::TRAIN_RUNNING : bm_onednn_mode::TRAIN);
    session.pass = {&session.core.data[BM_SPLIT_TRAIN],
                    session.core.order + slice.first,
                    0,
                    slice.count,
                    slice.flags,
                    slice.update,
                    slice.divisor};
    if (accumulate) {
        keep_earlier(session);
    }
    session.core.has_gradient = 0; // if the library gives up half way
    const double loss = bm_onednn_run(session, plan) / slice.divisor;
    if (accumulate) {
        add_earlier(session);
    }
    session.core.loss = accumulate ? session.core.loss + loss : loss;
    session.core.has_gradient = 1;
}

int32_t gradient(bm_session *session, const bm_slice *slice, bm_error *error) {
    const int32_t status = bm_kit_check_slice(&session->core, slice, 1, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    return guard("gradient", error, [&] {
        run_slice(*session, *slice);
        return BM_STATUS_OK;
    });
}

int32_t apply(bm_session *session, const bm_hyper *hyper, bm_error *error) {
    int32_t status = bm_kit_check_hyper(hyper, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "apply", error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    return guard("apply", error, [&] {
        bm_onednn_use_threads(*session);
        bm_onednn_apply(*session, *hyper);
        return BM_STATUS_OK;
    });
}

// ---- Evaluation, wait, describe ----

void run_images(bm_session &session, uint32_t split, uint64_t first, uint64_t count) {
    session.pass = {&session.core.data[split], nullptr, first, count, 0, 0, 1};
}

int32_t evaluate(bm_session *session,
                 uint32_t split,
                 uint64_t first,
                 uint64_t count,
                 uint32_t flags,
                 double *loss,
                 uint64_t *correct,
                 bm_error *error) {
    const int32_t status = bm_kit_check_evaluate(&session->core, split, first, count, flags, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    return guard("evaluate", error, [&] {
        const uint64_t most = bm_onednn_evaluate_count(*session);
        double sum = 0;
        uint64_t right = 0;
        bm_onednn_use_threads(*session);
        for (uint64_t done = 0; done < count; done += session->pass.count) {
            run_images(*session, split, first + done, std::min(most, count - done));
            sum += bm_onednn_run(*session, bm_onednn_plan_for(*session, session->pass.count,
                                                              bm_onednn_mode::EVALUATE));
            for (uint64_t b = 0; b < session->pass.count; b++) {
                right += session->right[b];
            }
        }
        *loss = sum;
        *correct = right;
        return BM_STATUS_OK;
    });
}

int32_t wait(bm_session *session, double *loss, bm_error * /*error*/) {
    if (loss != nullptr) {
        *loss = session->core.loss;
    }
    return BM_STATUS_OK;
}

// Length of the lines that fit, or where not one does, of what fits of the first.
size_t whole_lines(const std::string &text, uint32_t capacity) {
    const size_t end = capacity > 1 ? text.rfind('\n', capacity - 2) : std::string::npos;
    return end != std::string::npos ? end + 1 : text.size();
}

int32_t describe(bm_session *session, char *text, uint32_t capacity, bm_error *error) {
    return guard("describe", error, [&] {
        std::string whole = bm_onednn_describe(*session);
        if (whole.size() >= capacity) {
            whole.resize(whole_lines(whole, capacity));
        }
        (void)snprintf(text, capacity, "%s", whole.c_str());
        return BM_STATUS_OK;
    });
}

// ---- The table ----

constexpr bm_plugin make_table() {
    bm_plugin table{};
    table.magic = BM_PLUGIN_MAGIC;
    table.size = sizeof table;
    table.abi_major = BM_ABI_MAJOR;
    table.abi_minor = BM_ABI_MINOR;
    table.name = "onednn";
    table.version = "0.1.0";
    table.summary = "oneDNN's training primitives in float32, formats of its choice";
    table.device_count = device_count;
    table.device_info = bm_kit_cpu_info;
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
    table.evaluate = evaluate;
    table.wait = wait;
    table.describe = describe;
    return table;
}

constexpr bm_plugin plugin = make_table();

} // namespace

extern "C" const bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : nullptr;
}
