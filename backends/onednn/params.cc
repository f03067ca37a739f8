// Parameters: which tensors there are, how they lie in our arrays, and the way to and from the
// canonical layout.
#include "onednn.h"

#include <cstring>

namespace {

constexpr uint64_t line = 16; // floats of a cache line

void add_param(bm_session &session,
               const dnnl::memory::desc &canonical,
               const dnnl::memory::desc &own,
               uint64_t canonical_offset,
               uint64_t count,
               bool is_weight) {
    session.params.push_back(
        {canonical, own, canonical_offset, count, session.array_count, is_weight});
    session.array_count += (count + line - 1) / line * line;
}

// The forward primitive's choice, unless it has padding, which an optimizer would have to spare.
dnnl::memory::desc
weight_layout(const bm_session &session, uint32_t layer, const dnnl::memory::desc &canonical) {
    if (session.plain_weights) {
        return canonical;
    }
    const dnnl::memory::desc preferred = bm_onednn_preferred_weight(session, layer);
    return preferred.get_size() == canonical.get_size() ? preferred : canonical;
}

dnnl::memory::desc vector_of(uint64_t count) {
    return {{static_cast<dnnl::memory::dim>(count)},
            dnnl::memory::data_type::f32,
            dnnl::memory::format_tag::a};
}

void add_layer(bm_session &session, uint32_t index) {
    const bm_kit_layer &facts = session.core.network.layers[index];
    bm_onednn_layer own;
    if (facts.bias_count > 0) {
        const bool is_weight = facts.kind != BM_LAYER_BATCHNORM;
        const dnnl::memory::desc canonical =
            is_weight ? bm_onednn_canonical_weight(session, index) : vector_of(facts.weight_count);
        own.weight = static_cast<uint32_t>(session.params.size());
        add_param(session, canonical,
                  is_weight ? weight_layout(session, index, canonical) : canonical,
                  facts.weight_offset, facts.weight_count, is_weight);
        own.bias = static_cast<uint32_t>(session.params.size());
        add_param(session, vector_of(facts.bias_count), vector_of(facts.bias_count),
                  facts.bias_offset, facts.bias_count, false);
    }
    session.layers.push_back(own);
}

void reorder(bm_session &session,
             const dnnl::memory::desc &from,
             const float *source,
             const dnnl::memory::desc &to,
             float *target) {
    // oneDNN takes one type of pointer; it does not write to the source of a reorder.
    dnnl::memory source_memory(from, session.engine, const_cast<float *>(source));
    dnnl::memory target_memory(to, session.engine, target);
    dnnl::reorder(source_memory, target_memory)
        .execute(session.stream, source_memory, target_memory);
    session.stream.wait();
}

} // namespace

void bm_onednn_make_params(bm_session &session) {
    const bm_kit_network &network = session.core.network;
    session.first_trainable = network.layer_count;
    for (uint32_t i = 0; i < network.layer_count; i++) {
        add_layer(session, i);
        if (network.layers[i].bias_count > 0 && session.first_trainable == network.layer_count) {
            session.first_trainable = i;
        }
    }
}

void bm_onednn_read_array(bm_session &session, const bm_onednn_block &array, float *values) {
    for (const bm_onednn_param &param : session.params) {
        const auto *own = array.at<const float>(param.offset * sizeof(float));
        if (param.own == param.canonical) {
            std::memcpy(values + param.canonical_offset, own, param.count * sizeof *own);
        } else {
            reorder(session, param.own, own, param.canonical, values + param.canonical_offset);
        }
    }
}

void bm_onednn_write_array(bm_session &session, const bm_onednn_block &array, const float *values) {
    for (const bm_onednn_param &param : session.params) {
        auto *own = array.at<float>(param.offset * sizeof(float));
        if (param.own == param.canonical) {
            std::memcpy(own, values + param.canonical_offset, param.count * sizeof *own);
        } else {
            reorder(session, param.canonical, values + param.canonical_offset, param.own, own);
        }
    }
}
