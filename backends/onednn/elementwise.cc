// Layers without parameters: pooling and relu by oneDNN, dropout and the loss by our own loops.
#include "builder.h"

// ---- Pooling ----

void bm_onednn_pooling_forward(bm_onednn_builder &builder, uint32_t layer) {
    bm_onednn_forward &kept = builder.layers[layer];
    const bm_kit_layer &facts = builder.facts(layer);
    const dnnl::memory::dims source = bm_onednn_image_dims(builder.plan.count, facts.input);
    const dnnl::memory::dims target = bm_onednn_image_dims(builder.plan.count, facts.output);
    kept.x = builder.now.md.dims() == source
                 ? builder.now
                 : builder.bring(builder.now, bm_onednn_plain(source), &bm_onednn_builder::keep);
    const dnnl::memory::desc any(target, dnnl::memory::data_type::f32,
                                 dnnl::memory::format_tag::any);
    const dnnl::memory::dims padding = {facts.padding, facts.padding};
    const dnnl::pooling_forward::desc desc(
        builder.forward_kind(), dnnl::algorithm::pooling_max, kept.x.md, any,
        {facts.stride, facts.stride}, {facts.kernel_height, facts.kernel_width}, padding, padding);
    kept.pooling = {desc, bm_onednn_attributes(), builder.session.engine};
    kept.y = builder.keep(kept.pooling.dst_desc());
    std::vector<std::pair<int, bm_onednn_place>> places = {{DNNL_ARG_SRC, kept.x},
                                                           {DNNL_ARG_DST, kept.y}};
    if (builder.training()) {
        kept.workspace = builder.keep(kept.pooling.workspace_desc());
        places.emplace_back(DNNL_ARG_WORKSPACE, kept.workspace);
    }
    builder.add(kept.pooling, std::move(places));
    builder.now = kept.y;
    builder.plan.notes.push_back("forward_" + std::to_string(layer) + "=" +
                                 kept.pooling.impl_info_str() + " x " +
                                 bm_onednn_format(kept.x.md) + " y " + bm_onednn_format(kept.y.md));
}

void bm_onednn_pooling_backward(bm_onednn_builder &builder, uint32_t layer) {
    const bm_onednn_forward &kept = builder.layers[layer];
    const bm_kit_layer &facts = builder.facts(layer);
    const dnnl::memory::dims padding = {facts.padding, facts.padding};
    const dnnl::pooling_backward::desc desc(
        dnnl::algorithm::pooling_max, kept.x.md, kept.y.md, {facts.stride, facts.stride},
        {facts.kernel_height, facts.kernel_width}, padding, padding);
    const dnnl::pooling_backward::primitive_desc pd(desc, bm_onednn_attributes(),
                                                    builder.session.engine, kept.pooling);
    const bm_onednn_place dy = builder.bring(builder.now, kept.y.md, &bm_onednn_builder::gradient);
    const bm_onednn_place dx = builder.gradient(kept.x.md);
    builder.add(
        pd,
        {{DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_DIFF_SRC, dx}, {DNNL_ARG_WORKSPACE, kept.workspace}});
    builder.now = dx;
    builder.plan.notes.push_back("backward_" + std::to_string(layer) + "=" + pd.impl_info_str());
}

// ---- Relu: in place, its derivative follows from its result ----

void bm_onednn_relu_forward(bm_onednn_builder &builder, uint32_t layer) {
    bm_onednn_forward &kept = builder.layers[layer];
    kept.y = builder.now;
    if (builder.is_fused_relu(layer) && builder.facts(layer - 1).kind == BM_LAYER_BATCHNORM) {
        return;
    }
    const dnnl::eltwise_forward::desc desc(builder.forward_kind(),
                                           builder.training()
                                               ? dnnl::algorithm::eltwise_relu_use_dst_for_bwd
                                               : dnnl::algorithm::eltwise_relu,
                                           kept.y.md, 0);
    kept.eltwise = {desc, bm_onednn_attributes(), builder.session.engine};
    if (!builder.is_fused_relu(layer)) {
        builder.add(kept.eltwise, {{DNNL_ARG_SRC, kept.y}, {DNNL_ARG_DST, kept.y}});
    }
}

void bm_onednn_relu_backward(bm_onednn_builder &builder, uint32_t layer) {
    const bm_onednn_forward &kept = builder.layers[layer];
    if (!kept.eltwise) {
        return; // Batch normalization does it.
    }
    const bm_onednn_place dy = builder.bring(builder.now, kept.y.md, &bm_onednn_builder::gradient);
    const dnnl::eltwise_backward::desc desc(dnnl::algorithm::eltwise_relu_use_dst_for_bwd,
                                            kept.y.md, kept.y.md, 0);
    const dnnl::eltwise_backward::primitive_desc pd(desc, bm_onednn_attributes(),
                                                    builder.session.engine, kept.eltwise);
    builder.add(pd, {{DNNL_ARG_DST, kept.y}, {DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_DIFF_SRC, dy}});
    builder.now = dy;
}

// ---- Dropout: in place, on rows of units in their order ----

void bm_onednn_dropout_layer(bm_onednn_builder &builder, uint32_t layer) {
    if (!builder.training()) {
        return;
    }
    bm_onednn_forward &kept = builder.layers[layer];
    const auto bytes =
        static_cast<dnnl::memory::dim>(builder.plan.count * builder.facts(layer).output_size);
    kept.y = builder.bring(builder.now, bm_onednn_plain(builder.now.md.dims()),
                           &bm_onednn_builder::keep);
    kept.workspace =
        builder.keep({{bytes}, dnnl::memory::data_type::u8, dnnl::memory::format_tag::a});
    builder.add(bm_onednn_operation::DROPOUT, layer, {{0, kept.y}, {1, kept.workspace}});
    builder.now = kept.y;
}

void bm_onednn_dropout_layer_backward(bm_onednn_builder &builder, uint32_t layer) {
    const bm_onednn_forward &kept = builder.layers[layer];
    const bm_onednn_place dy = builder.bring(builder.now, kept.y.md, &bm_onednn_builder::gradient);
    builder.add(bm_onednn_operation::DROPOUT_BACKWARD, layer, {{0, dy}, {1, kept.workspace}});
    builder.now = dy;
}

// ---- Loss ----

void bm_onednn_loss_layer(bm_onednn_builder &builder) {
    const bm_onednn_place x = builder.bring(builder.now, bm_onednn_plain(builder.now.md.dims()),
                                            &bm_onednn_builder::keep);
    std::vector<std::pair<int, bm_onednn_place>> places = {{0, x}};
    if (builder.training()) {
        builder.now = builder.gradient(x.md);
        places.emplace_back(1, builder.now);
    }
    builder.add(bm_onednn_operation::LOSS, 0, std::move(places));
}
