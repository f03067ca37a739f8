// What really runs: the library, its choice of instructions, and the primitives of each layer with
// the layouts they have chosen.
#include "onednn.h"

#include <algorithm>
#include <cctype>

namespace {

const char *isa_name(dnnl::cpu_isa isa) {
    switch (isa) {
    case dnnl::cpu_isa::sse41:
        return "sse4.1";
    case dnnl::cpu_isa::avx:
        return "avx";
    case dnnl::cpu_isa::avx2:
        return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
        return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core:
        return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "other";
    }
}

const char *runtime_name(unsigned runtime) {
    switch (runtime) {
    case DNNL_RUNTIME_OMP:
        return "openmp";
    case DNNL_RUNTIME_TBB:
        return "tbb";
    case DNNL_RUNTIME_SEQ:
        return "none";
    default:
        return "other";
    }
}

std::string key_value(const char *key, const std::string &value) {
    return std::string(key) + "=" + value + "\n";
}

} // namespace

std::string bm_onednn_format(const dnnl::memory::desc &md) {
    const dnnl_memory_desc_t &data = md.data;
    if (data.format_kind != dnnl_blocked) {
        return "opaque";
    }
    const dnnl_blocking_desc_t &blocking = data.format_desc.blocking;
    std::vector<int> axes(static_cast<size_t>(data.ndims));
    for (size_t i = 0; i < axes.size(); i++) {
        axes[i] = static_cast<int>(i);
    }
    std::stable_sort(axes.begin(), axes.end(),
                     [&](int a, int b) { return blocking.strides[a] > blocking.strides[b]; });
    std::string text;
    for (const int axis : axes) {
        const bool blocked =
            std::count(blocking.inner_idxs, blocking.inner_idxs + blocking.inner_nblks, axis) > 0;
        text += static_cast<char>((blocked ? 'A' : 'a') + axis);
    }
    for (int i = 0; i < blocking.inner_nblks; i++) {
        text += std::to_string(blocking.inner_blks[i]);
        text += static_cast<char>('a' + blocking.inner_idxs[i]);
    }
    return text;
}

std::string bm_onednn_describe(const bm_session &session) {
    const dnnl_version_t *version = dnnl_version();
    std::string text = key_value("library", "oneDNN") +
                       key_value("library_version", std::to_string(version->major) + "." +
                                                        std::to_string(version->minor) + "." +
                                                        std::to_string(version->patch)) +
                       key_value("isa", isa_name(dnnl::get_effective_cpu_isa())) +
                       key_value("threads", std::to_string(session.core.thread_count)) +
                       key_value("threading", runtime_name(version->cpu_runtime)) +
                       key_value("precision", "float32") + key_value("update", "gradient, apply") +
                       key_value("weights", session.plain_weights ? "plain" : "preferred") +
                       key_value("batch_max", std::to_string(session.core.batch_max));
    for (size_t i = 0; i < session.layers.size(); i++) {
        const uint32_t weight = session.layers[i].weight;
        if (weight < session.params.size() && session.params[weight].is_weight) {
            const std::string key = "weight_" + std::to_string(i);
            text += key_value(key.c_str(), bm_onednn_format(session.params[weight].own));
        }
    }
    const auto found = session.plans.find({session.core.batch_max, bm_onednn_mode::TRAIN});
    if (found != session.plans.end()) {
        for (const std::string &note : found->second.notes) {
            text += note + "\n";
        }
    }
    return text;
}
