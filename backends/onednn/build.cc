// The walk through the layers that writes a plan, and what all layers share.
#include "builder.h"

#include <algorithm>

namespace {

// The gradient that a layer gets, two copies of it in other layouts for each of its two primitives,
// and its weight's gradient or its input's.
constexpr uint32_t gradient_regions = 6;

bool is_plain(const dnnl::memory::desc &md) {
    const dnnl::memory::dims dims = md.dims();
    if (md == bm_onednn_plain(dims)) {
        return true;
    }
    // Channels last of single pixels lie in memory as rows of channels do.
    return dims.size() == 4 && dims[2] * dims[3] == 1 &&
           md == dnnl::memory::desc(dims, dnnl::memory::data_type::f32,
                                    dnnl::memory::format_tag::nhwc);
}

void add_forward(bm_onednn_builder &builder, uint32_t layer) {
    switch (builder.facts(layer).kind) {
    case BM_LAYER_DENSE:
    case BM_LAYER_CONV2D:
        bm_onednn_linear_forward(builder, layer);
        break;
    case BM_LAYER_MAXPOOL:
        bm_onednn_pooling_forward(builder, layer);
        break;
    case BM_LAYER_BATCHNORM:
        bm_onednn_batchnorm_forward(builder, layer);
        break;
    case BM_LAYER_RELU:
        bm_onednn_relu_forward(builder, layer);
        break;
    case BM_LAYER_DROPOUT:
        bm_onednn_dropout_layer(builder, layer);
        break;
    default:
        bm_onednn_loss_layer(builder);
        break;
    }
}

void add_backward(bm_onednn_builder &builder, uint32_t layer) {
    switch (builder.facts(layer).kind) {
    case BM_LAYER_DENSE:
    case BM_LAYER_CONV2D:
        bm_onednn_linear_backward(builder, layer);
        break;
    case BM_LAYER_MAXPOOL:
        bm_onednn_pooling_backward(builder, layer);
        break;
    case BM_LAYER_BATCHNORM:
        bm_onednn_batchnorm_backward(builder, layer);
        break;
    case BM_LAYER_RELU:
        bm_onednn_relu_backward(builder, layer);
        break;
    default:
        bm_onednn_dropout_layer_backward(builder, layer);
        break;
    }
}

} // namespace

dnnl::primitive_attr bm_onednn_attributes() {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
}

dnnl::memory::desc bm_onednn_plain(const dnnl::memory::dims &dims) {
    using tag = dnnl::memory::format_tag;
    const tag tags[] = {tag::a, tag::ab, tag::abc, tag::abcd};
    return {dims, dnnl::memory::data_type::f32, tags[dims.size() - 1]};
}

dnnl::memory::dims bm_onednn_image_dims(uint64_t count, const bm_kit_shape &shape) {
    return {static_cast<dnnl::memory::dim>(count), shape.channels, shape.height, shape.width};
}

// ---- The builder ----

bm_onednn_builder::bm_onednn_builder(const bm_session &owner, bm_onednn_plan &made)
    : session(owner), plan(made), layers(owner.core.network.layer_count), scratchpad_(0),
      passing_(1), gradients_(2) {
    plan.region_bytes.assign(gradients_ + gradient_regions, 0);
}

bool bm_onednn_builder::is_fused_relu(uint32_t layer) const {
    if (layer == 0 || layer >= session.core.network.layer_count ||
        facts(layer).kind != BM_LAYER_RELU) {
        return false;
    }
    const uint32_t below = facts(layer - 1).kind;
    return below == BM_LAYER_DENSE || below == BM_LAYER_CONV2D || below == BM_LAYER_BATCHNORM;
}

void bm_onednn_builder::widen(uint32_t region, uint64_t bytes) {
    plan.region_bytes[region] = std::max(plan.region_bytes[region], bytes);
}

bm_onednn_place bm_onednn_builder::keep(const dnnl::memory::desc &md) {
    plan.region_bytes.push_back(md.get_size());
    return {md, static_cast<uint32_t>(plan.region_bytes.size() - 1)};
}

bm_onednn_place bm_onednn_builder::gradient(const dnnl::memory::desc &md) {
    const uint32_t region = gradients_ + next_gradient_;
    next_gradient_ = (next_gradient_ + 1) % gradient_regions;
    widen(region, md.get_size());
    return {md, region};
}

bm_onednn_place bm_onednn_builder::passing(const dnnl::memory::desc &md) {
    widen(passing_, md.get_size());
    return {md, passing_};
}

bm_onednn_place bm_onednn_builder::param(uint32_t index) const {
    const bm_onednn_param &found = session.params[index];
    return {found.own, bm_onednn_in_values, found.offset};
}

bm_onednn_place bm_onednn_builder::param_gradient(uint32_t index) const {
    const bm_onednn_param &found = session.params[index];
    return {found.own, bm_onednn_in_gradient, found.offset};
}

void bm_onednn_builder::add(const dnnl::primitive_desc_base &pd,
                            std::vector<std::pair<int, bm_onednn_place>> places) {
    const dnnl::memory::desc scratch = pd.query_md(dnnl::query::exec_arg_md, DNNL_ARG_SCRATCHPAD);
    if (scratch.get_size() > 0) {
        widen(scratchpad_, scratch.get_size());
        places.emplace_back(DNNL_ARG_SCRATCHPAD, bm_onednn_place{scratch, scratchpad_});
    }
    bm_onednn_node node;
    node.pd = pd;
    node.places = std::move(places);
    plan.nodes.push_back(std::move(node));
}

void bm_onednn_builder::add(bm_onednn_operation operation,
                            uint32_t layer,
                            std::vector<std::pair<int, bm_onednn_place>> places) {
    bm_onednn_node node;
    node.operation = operation;
    node.layer = layer;
    node.places = std::move(places);
    plan.nodes.push_back(std::move(node));
}

void bm_onednn_builder::reorder(const bm_onednn_place &from, const bm_onednn_place &to) {
    const dnnl::reorder::primitive_desc pd(session.engine, from.md, session.engine, to.md,
                                           bm_onednn_attributes());
    add(pd, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

bm_onednn_place
bm_onednn_builder::bring(const bm_onednn_place &from, const dnnl::memory::desc &wanted, room copy) {
    if (from.md == wanted) {
        return from;
    }
    bm_onednn_place found = from;
    if (is_plain(from.md) && is_plain(wanted)) {
        found.md = wanted;
        return found;
    }
    if (from.md.dims() != wanted.dims()) {
        // Only row-major memory can be looked at with other axes.
        found = bring(from, bm_onednn_plain(from.md.dims()), copy);
        found.md = bm_onednn_plain(wanted.dims());
        return bring(found, wanted, copy);
    }
    found = (this->*copy)(wanted);
    reorder(from, found);
    return found;
}

bm_onednn_plan bm_onednn_build(const bm_session &session, uint64_t count, bm_onednn_mode mode) {
    bm_onednn_plan plan;
    plan.count = count;
    plan.mode = mode;
    bm_onednn_builder builder(session, plan);
    const bm_kit_network &network = session.core.network;
    builder.now = builder.keep(bm_onednn_plain(bm_onednn_image_dims(count, network.input)));
    builder.add(bm_onednn_operation::GATHER, 0, {{0, builder.now}});
    for (uint32_t i = 0; i < network.layer_count; i++) {
        add_forward(builder, i);
    }
    for (uint32_t i = network.layer_count - 1; builder.training() && i > session.first_trainable;) {
        add_backward(builder, --i);
    }
    return plan;
}
