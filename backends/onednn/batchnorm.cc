// Batch normalization, with the relu above it if there is one.
#include "builder.h"

namespace {

using flags = dnnl::normalization_flags;

flags flags_of(const bm_onednn_builder &builder, uint32_t layer) {
    flags found = flags::use_scale | flags::use_shift;
    if (builder.plan.mode != bm_onednn_mode::TRAIN) {
        found |= flags::use_global_stats;
    }
    if (builder.is_fused_relu(layer + 1)) {
        found |= flags::fuse_norm_relu;
    }
    return found;
}

// Rows of features are images of one pixel, channels last: the fast primitives know only images.
dnnl::memory::desc layout_of(const bm_onednn_builder &builder, uint32_t layer) {
    const dnnl::memory::desc &given = builder.now.md;
    const bm_kit_shape &shape = builder.facts(layer).output;
    if (shape.height * shape.width == 1 && given == bm_onednn_plain(given.dims())) {
        return {bm_onednn_image_dims(builder.plan.count, shape), dnnl::memory::data_type::f32,
                dnnl::memory::format_tag::nhwc};
    }
    return given;
}

// Mean and variance, made by the forward pass or the running ones.
void add_statistics(const bm_onednn_builder &builder,
                    uint32_t layer,
                    std::vector<std::pair<int, bm_onednn_place>> &places) {
    const bm_kit_layer &facts = builder.facts(layer);
    const uint32_t array = builder.plan.mode == bm_onednn_mode::TRAIN
                               ? bm_onednn_in_batch_statistics
                               : bm_onednn_in_statistics;
    const dnnl::memory::desc md = bm_onednn_plain({facts.output.channels});
    places.emplace_back(DNNL_ARG_MEAN, bm_onednn_place{md, array, facts.mean_offset});
    places.emplace_back(DNNL_ARG_VARIANCE, bm_onednn_place{md, array, facts.variance_offset});
}

} // namespace

void bm_onednn_batchnorm_forward(bm_onednn_builder &builder, uint32_t layer) {
    const bm_onednn_layer &own = builder.session.layers[layer];
    bm_onednn_forward &kept = builder.layers[layer];
    const dnnl::memory::desc layout = layout_of(builder, layer);
    const dnnl::batch_normalization_forward::desc desc(builder.forward_kind(), layout,
                                                       static_cast<float>(BM_BATCHNORM_EPSILON),
                                                       flags_of(builder, layer));
    kept.batchnorm = {desc, bm_onednn_attributes(), builder.session.engine};
    kept.x = builder.bring(builder.now, layout, &bm_onednn_builder::keep);
    kept.y = builder.keep(layout);
    std::vector<std::pair<int, bm_onednn_place>> places = {
        {DNNL_ARG_SRC, kept.x},
        {DNNL_ARG_SCALE, builder.param(own.weight)},
        {DNNL_ARG_SHIFT, builder.param(own.bias)},
        {DNNL_ARG_DST, kept.y}};
    add_statistics(builder, layer, places);
    if (kept.batchnorm.workspace_desc().get_size() > 0) {
        kept.workspace = builder.keep(kept.batchnorm.workspace_desc());
        places.emplace_back(DNNL_ARG_WORKSPACE, kept.workspace);
    }
    builder.add(kept.batchnorm, std::move(places));
    if (builder.plan.mode == bm_onednn_mode::TRAIN) {
        builder.add(bm_onednn_operation::STATISTICS, layer, {});
    }
    builder.now = kept.y;
    builder.plan.notes.push_back("forward_" + std::to_string(layer) + "=" +
                                 kept.batchnorm.impl_info_str() + " " + bm_onednn_format(layout));
}

void bm_onednn_batchnorm_backward(bm_onednn_builder &builder, uint32_t layer) {
    const bm_onednn_layer &own = builder.session.layers[layer];
    const bm_onednn_forward &kept = builder.layers[layer];
    const dnnl::memory::desc &layout = kept.x.md;
    const dnnl::batch_normalization_backward::desc desc(dnnl::prop_kind::backward, layout, layout,
                                                        static_cast<float>(BM_BATCHNORM_EPSILON),
                                                        flags_of(builder, layer));
    const dnnl::batch_normalization_backward::primitive_desc pd(
        desc, bm_onednn_attributes(), builder.session.engine, kept.batchnorm);
    const bm_onednn_place dy = builder.bring(builder.now, layout, &bm_onednn_builder::gradient);
    const bm_onednn_place dx = builder.gradient(layout);
    std::vector<std::pair<int, bm_onednn_place>> places = {
        {DNNL_ARG_SRC, kept.x},
        {DNNL_ARG_SCALE, builder.param(own.weight)},
        {DNNL_ARG_SHIFT, builder.param(own.bias)},
        {DNNL_ARG_DIFF_DST, dy},
        {DNNL_ARG_DIFF_SRC, dx},
        {DNNL_ARG_DIFF_SCALE, builder.param_gradient(own.weight)},
        {DNNL_ARG_DIFF_SHIFT, builder.param_gradient(own.bias)}};
    add_statistics(builder, layer, places);
    if (kept.workspace.md) {
        places.emplace_back(DNNL_ARG_WORKSPACE, kept.workspace);
    }
    builder.add(pd, std::move(places));
    builder.now = dx;
    builder.plan.notes.push_back("backward_" + std::to_string(layer) + "=" + pd.impl_info_str());
}
