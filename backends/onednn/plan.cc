// A plan gets its memory and its primitives, is kept, and runs.
#include "onednn.h"

#include <algorithm>
#include <numeric>

namespace {

constexpr uint64_t alignment = 64;

uint64_t rounded(uint64_t bytes) {
    return (bytes + alignment - 1) / alignment * alignment;
}

std::vector<uint64_t> region_offsets(const bm_onednn_plan &plan) {
    std::vector<uint64_t> offsets;
    uint64_t used = 0;
    for (const uint64_t bytes : plan.region_bytes) {
        offsets.push_back(used);
        used += rounded(bytes);
    }
    return offsets;
}

void *address(const bm_session &session,
              const bm_onednn_plan &plan,
              const std::vector<uint64_t> &offsets,
              const bm_onednn_place &place) {
    switch (place.region) {
    case bm_onednn_in_values:
        return session.values->at<float>(place.offset * sizeof(float));
    case bm_onednn_in_gradient:
        return session.gradient->at<float>(place.offset * sizeof(float));
    case bm_onednn_in_statistics:
        return session.statistics->at<float>(place.offset * sizeof(float));
    case bm_onednn_in_batch_statistics:
        return session.batch_statistics->at<float>(place.offset * sizeof(float));
    default:
        return plan.arena->at<void *>(offsets[place.region]);
    }
}

void execute(const bm_session &session, const bm_onednn_node &node) {
    dnnl::error::wrap_c_api(dnnl_primitive_execute(node.primitive.get(), session.stream.get(),
                                                   static_cast<int>(node.arguments.size()),
                                                   node.arguments.data()),
                            "could not execute a primitive");
}

void run_node(bm_session &session, const bm_onednn_node &node) {
    const auto floats = [&node](size_t i) {
        return i < node.pointers.size() ? static_cast<float *>(node.pointers[i]) : nullptr;
    };
    switch (node.operation) {
    case bm_onednn_operation::PRIMITIVE:
        execute(session, node);
        break;
    case bm_onednn_operation::GATHER:
        bm_onednn_gather(session, floats(0));
        break;
    case bm_onednn_operation::DROPOUT:
        bm_onednn_dropout(session, node.layer, floats(0), static_cast<uint8_t *>(node.pointers[1]));
        break;
    case bm_onednn_operation::DROPOUT_BACKWARD:
        bm_onednn_dropout_backward(session, node.layer, floats(0),
                                   static_cast<const uint8_t *>(node.pointers[1]));
        break;
    case bm_onednn_operation::STATISTICS:
        bm_onednn_statistics(session, node.layer);
        break;
    case bm_onednn_operation::LOSS:
        bm_onednn_loss(session, floats(0), floats(1));
        break;
    }
}

} // namespace

bm_onednn_block::bm_onednn_block(uint64_t size) : bytes(rounded(std::max<uint64_t>(size, 1))) {
    data.reset(static_cast<unsigned char *>(std::aligned_alloc(alignment, bytes)));
    if (!data) {
        throw std::bad_alloc();
    }
}

uint64_t bm_onednn_plan::arena_bytes() const {
    return std::accumulate(region_bytes.begin(), region_bytes.end(), uint64_t{0},
                           [](uint64_t sum, uint64_t bytes) { return sum + rounded(bytes); });
}

void bm_onednn_realize(const bm_session &session,
                       bm_onednn_plan &plan,
                       std::shared_ptr<bm_onednn_block> arena) {
    plan.arena = std::move(arena);
    const std::vector<uint64_t> offsets = region_offsets(plan);
    for (bm_onednn_node &node : plan.nodes) {
        const bool primitive = node.operation == bm_onednn_operation::PRIMITIVE;
        for (const auto &[argument, place] : node.places) {
            void *data = address(session, plan, offsets, place);
            node.pointers.push_back(data);
            if (primitive) {
                plan.memories.emplace_back(place.md, session.engine, data);
                node.arguments.push_back({argument, plan.memories.back().get()});
            }
        }
        if (primitive) {
            node.primitive = dnnl::primitive(node.pd.get());
        }
    }
}

const bm_onednn_plan &bm_onednn_plan_for(bm_session &session, uint64_t count, bm_onednn_mode mode) {
    const auto key = std::make_pair(count, mode);
    const auto found = session.plans.find(key);
    if (found != session.plans.end()) {
        return found->second;
    }
    bm_onednn_plan plan = bm_onednn_build(session, count, mode);
    // A smaller count may need more, where its primitives have chosen other layouts; what earlier
    // plans have stays theirs.
    if (plan.arena_bytes() > session.arena->bytes) {
        session.arena = std::make_shared<bm_onednn_block>(plan.arena_bytes());
    }
    bm_onednn_realize(session, plan, session.arena);
    return session.plans.emplace(key, std::move(plan)).first->second;
}

double bm_onednn_run(bm_session &session, const bm_onednn_plan &plan) {
    for (const bm_onednn_node &node : plan.nodes) {
        run_node(session, node);
    }
    double loss = 0;
    for (uint64_t b = 0; b < session.pass.count; b++) {
        loss += session.losses[b];
    }
    return loss;
}
