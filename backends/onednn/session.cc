// The life of a session: what it needs, and where it starts.
#include "loops.h"
#include "onednn.h"

#include <omp.h>

#include <algorithm>
#include <cstring>

namespace {

constexpr uint64_t evaluate_most = 1000;

std::unique_ptr<bm_onednn_block> zeros(uint64_t count) {
    auto block = std::make_unique<bm_onednn_block>(count * sizeof(float));
    std::memset(block->data.get(), 0, block->bytes);
    return block;
}

// Running means start at 0, variances at 1.
std::unique_ptr<bm_onednn_block> first_statistics(const bm_kit_network &network) {
    auto block = zeros(network.statistics_count);
    for (uint32_t i = 0; i < network.layer_count; i++) {
        const bm_kit_layer &facts = network.layers[i];
        if (facts.kind == BM_LAYER_BATCHNORM) {
            std::fill_n(block->at<float>(facts.variance_offset * sizeof(float)),
                        facts.output.channels, 1.0F);
        }
    }
    return block;
}

uint64_t largest_arena(const std::vector<bm_onednn_plan> &plans) {
    uint64_t bytes = 0;
    for (const bm_onednn_plan &plan : plans) {
        bytes = std::max(bytes, plan.arena_bytes());
    }
    return bytes;
}

} // namespace

// OpenMP's threads belong to the thread that calls; they end here, and come back if another session
// of that thread asks for them.
bm_session::~bm_session() {
    (void)omp_pause_resource(omp_pause_soft, omp_get_initial_device());
    plans.clear();
    bm_kit_session_deinit(&core);
}

void bm_onednn_use_threads(const bm_session &session) {
    omp_set_num_threads(static_cast<int>(session.core.thread_count));
}

uint64_t bm_onednn_evaluate_count(const bm_session &session) {
    return std::min(session.core.batch_max, evaluate_most);
}

uint64_t bm_onednn_prepare(bm_session &session, std::vector<bm_onednn_plan> &plans) {
    bm_onednn_use_threads(session);
    session.engine = dnnl::engine(dnnl::engine::kind::cpu, 0);
    session.stream = dnnl::stream(session.engine);
    bm_onednn_make_params(session);
    plans.push_back(bm_onednn_build(session, session.core.batch_max, bm_onednn_mode::TRAIN));
    plans.push_back(
        bm_onednn_build(session, bm_onednn_evaluate_count(session), bm_onednn_mode::EVALUATE));
    const uint64_t arrays = 2 + session.core.slot_count;
    return largest_arena(plans) + arrays * session.array_count * sizeof(float) +
           2 * session.core.network.statistics_count * sizeof(float) +
           session.core.batch_max * (sizeof(double) + 1);
}

void bm_onednn_start(bm_session &session, std::vector<bm_onednn_plan> plans) {
    session.values = zeros(session.array_count);
    session.gradient = zeros(session.array_count);
    for (uint32_t i = 0; i < session.core.slot_count; i++) {
        session.state[i] = zeros(session.array_count);
    }
    session.statistics = first_statistics(session.core.network);
    session.batch_statistics = zeros(session.core.network.statistics_count);
    session.losses.resize(session.core.batch_max);
    session.right.resize(session.core.batch_max);
    session.norms.resize(2 * bm_onednn_chunk_count(session));
    session.ratios.resize(session.params.size(), 1);
    session.arena = std::make_shared<bm_onednn_block>(largest_arena(plans));
    for (bm_onednn_plan &plan : plans) {
        bm_onednn_realize(session, plan, session.arena);
        const auto key = std::make_pair(plan.count, plan.mode);
        session.plans.emplace(key, std::move(plan));
    }
}
