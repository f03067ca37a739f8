// Dense and convolution layers: inner product and convolution primitives, which choose the layouts
// of all their tensors but the bias.
#include "builder.h"

namespace {

using dims = dnnl::memory::dims;
using desc = dnnl::memory::desc;

struct shape {
    dims source;
    dims weight;
    dims target;
    dims stride; // convolution
    dims padding;
};

desc any(const dims &axes) {
    return {axes, dnnl::memory::data_type::f32, dnnl::memory::format_tag::any};
}

desc bias_of(const shape &shape) {
    return bm_onednn_plain({shape.target[1]});
}

struct dense {
    using forward = dnnl::inner_product_forward;
    using backward_data = dnnl::inner_product_backward_data;
    using backward_weights = dnnl::inner_product_backward_weights;

    static forward::desc forward_desc(const shape &shape, dnnl::prop_kind kind) {
        return {kind, any(shape.source), any(shape.weight), bias_of(shape), any(shape.target)};
    }

    static backward_data::desc backward_data_desc(const shape &shape) {
        return {any(shape.source), any(shape.weight), any(shape.target)};
    }

    static backward_weights::desc backward_weights_desc(const shape &shape) {
        return {any(shape.source), any(shape.weight), bias_of(shape), any(shape.target)};
    }

    static forward::primitive_desc &kept(bm_onednn_forward &layer) {
        return layer.inner_product;
    }
};

struct convolution {
    using forward = dnnl::convolution_forward;
    using backward_data = dnnl::convolution_backward_data;
    using backward_weights = dnnl::convolution_backward_weights;
    static constexpr dnnl::algorithm direct = dnnl::algorithm::convolution_direct;

    static forward::desc forward_desc(const shape &shape, dnnl::prop_kind kind) {
        return {kind,
                direct,
                any(shape.source),
                any(shape.weight),
                bias_of(shape),
                any(shape.target),
                shape.stride,
                shape.padding,
                shape.padding};
    }

    static backward_data::desc backward_data_desc(const shape &shape) {
        return {direct,       any(shape.source), any(shape.weight), any(shape.target),
                shape.stride, shape.padding,     shape.padding};
    }

    static backward_weights::desc backward_weights_desc(const shape &shape) {
        return {direct,         any(shape.source), any(shape.weight),
                bias_of(shape), any(shape.target), shape.stride,
                shape.padding,  shape.padding};
    }

    static forward::primitive_desc &kept(bm_onednn_forward &layer) {
        return layer.convolution;
    }
};

// Whether a dense layer's input comes as rows: there are no blocked images below it.
bool reads_rows(const bm_kit_network &network, uint32_t layer) {
    const bm_kit_shape &input = network.layers[layer].input;
    bool images = false;
    for (uint32_t i = 0; i < layer; i++) {
        const uint32_t kind = network.layers[i].kind;
        images = images || kind == BM_LAYER_CONV2D || kind == BM_LAYER_MAXPOOL ||
                 kind == BM_LAYER_BATCHNORM;
    }
    return !images || input.height * input.width == 1;
}

shape shape_of(const bm_session &session, uint32_t layer, uint64_t count) {
    const bm_kit_layer &facts = session.core.network.layers[layer];
    const auto images = static_cast<dnnl::memory::dim>(count);
    const dnnl::memory::dim outputs = facts.output.channels;
    shape made;
    made.source = bm_onednn_image_dims(count, facts.input);
    made.target = {images, outputs};
    if (facts.kind == BM_LAYER_CONV2D) {
        made.weight = {outputs, facts.input.channels, facts.kernel_height, facts.kernel_width};
        made.target = bm_onednn_image_dims(count, facts.output);
        made.stride = {facts.stride, facts.stride};
        made.padding = {facts.padding, facts.padding};
        return made;
    }
    if (reads_rows(session.core.network, layer)) {
        made.source = {images, static_cast<dnnl::memory::dim>(facts.input_size)};
    }
    made.weight = made.source;
    made.weight[0] = outputs;
    return made;
}

template <class kind>
typename kind::forward::primitive_desc
forward_primitive(const bm_session &session, const shape &shape, dnnl::prop_kind prop, bool relu) {
    dnnl::primitive_attr attributes = bm_onednn_attributes();
    if (relu) {
        dnnl::post_ops after;
        after.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
        attributes.set_post_ops(after);
    }
    return {kind::forward_desc(shape, prop), attributes, session.engine};
}

template <class kind> void forward(bm_onednn_builder &builder, uint32_t layer) {
    const bm_onednn_layer &own = builder.session.layers[layer];
    bm_onednn_forward &kept = builder.layers[layer];
    const shape shape = shape_of(builder.session, layer, builder.plan.count);
    const auto pd = forward_primitive<kind>(builder.session, shape, builder.forward_kind(),
                                            builder.is_fused_relu(layer + 1));
    kind::kept(kept) = pd;
    kept.x = builder.bring(builder.now, pd.src_desc(), &bm_onednn_builder::keep);
    const bm_onednn_place weight =
        builder.bring(builder.param(own.weight), pd.weights_desc(), &bm_onednn_builder::passing);
    kept.y = builder.keep(pd.dst_desc());
    builder.add(pd, {{DNNL_ARG_SRC, kept.x},
                     {DNNL_ARG_WEIGHTS, weight},
                     {DNNL_ARG_BIAS, builder.param(own.bias)},
                     {DNNL_ARG_DST, kept.y}});
    builder.now = kept.y;
    builder.plan.notes.push_back("forward_" + std::to_string(layer) + "=" + pd.impl_info_str() +
                                 " x " + bm_onednn_format(pd.src_desc()) + " w " +
                                 bm_onednn_format(pd.weights_desc()) + " y " +
                                 bm_onednn_format(pd.dst_desc()));
}

// dweight and dbias; a weight's gradient that comes in another layout than ours is brought into it.
template <class kind>
void backward_weights(bm_onednn_builder &builder, uint32_t layer, const shape &shape) {
    const bm_onednn_layer &own = builder.session.layers[layer];
    bm_onednn_forward &kept = builder.layers[layer];
    const typename kind::backward_weights::primitive_desc pd(
        kind::backward_weights_desc(shape), bm_onednn_attributes(), builder.session.engine,
        kind::kept(kept));
    const bm_onednn_place dy =
        builder.bring(builder.now, pd.diff_dst_desc(), &bm_onednn_builder::gradient);
    const bm_onednn_place x = builder.bring(kept.x, pd.src_desc(), &bm_onednn_builder::passing);
    const bm_onednn_place weight = builder.param_gradient(own.weight);
    const bool same = weight.md == pd.diff_weights_desc();
    const bm_onednn_place made = same ? weight : builder.gradient(pd.diff_weights_desc());
    builder.add(pd, {{DNNL_ARG_SRC, x},
                     {DNNL_ARG_DIFF_DST, dy},
                     {DNNL_ARG_DIFF_WEIGHTS, made},
                     {DNNL_ARG_DIFF_BIAS, builder.param_gradient(own.bias)}});
    if (!same) {
        builder.reorder(made, weight);
    }
    builder.plan.notes.back() +=
        std::string(pd.impl_info_str()) + " x " + bm_onednn_format(pd.src_desc()) + " dw " +
        bm_onednn_format(pd.diff_weights_desc()) + " dy " + bm_onednn_format(pd.diff_dst_desc());
}

template <class kind>
void backward_data(bm_onednn_builder &builder, uint32_t layer, const shape &shape) {
    const bm_onednn_layer &own = builder.session.layers[layer];
    bm_onednn_forward &kept = builder.layers[layer];
    const typename kind::backward_data::primitive_desc pd(kind::backward_data_desc(shape),
                                                          bm_onednn_attributes(),
                                                          builder.session.engine, kind::kept(kept));
    const bm_onednn_place dy =
        builder.bring(builder.now, pd.diff_dst_desc(), &bm_onednn_builder::gradient);
    const bm_onednn_place weight =
        builder.bring(builder.param(own.weight), pd.weights_desc(), &bm_onednn_builder::passing);
    const bm_onednn_place dx = builder.gradient(pd.diff_src_desc());
    builder.add(pd, {{DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_WEIGHTS, weight}, {DNNL_ARG_DIFF_SRC, dx}});
    builder.now = dx;
    builder.plan.notes.back() += std::string(", dx ") + pd.impl_info_str() + " w " +
                                 bm_onednn_format(pd.weights_desc()) + " dx " +
                                 bm_onednn_format(pd.diff_src_desc()) + " dy " +
                                 bm_onednn_format(pd.diff_dst_desc());
}

template <class kind> void backward(bm_onednn_builder &builder, uint32_t layer) {
    const shape shape = shape_of(builder.session, layer, builder.plan.count);
    builder.plan.notes.push_back("backward_" + std::to_string(layer) + "=dw ");
    backward_weights<kind>(builder, layer, shape);
    if (layer > builder.session.first_trainable) {
        backward_data<kind>(builder, layer, shape);
    }
}

bool is_dense(const bm_session &session, uint32_t layer) {
    return session.core.network.layers[layer].kind == BM_LAYER_DENSE;
}

} // namespace

dnnl::memory::desc bm_onednn_canonical_weight(const bm_session &session, uint32_t layer) {
    return bm_onednn_plain(shape_of(session, layer, 1).weight);
}

dnnl::memory::desc bm_onednn_preferred_weight(const bm_session &session, uint32_t layer) {
    const dnnl::prop_kind kind = dnnl::prop_kind::forward_training;
    const shape shape = shape_of(session, layer, session.core.batch_max);
    return is_dense(session, layer)
               ? forward_primitive<dense>(session, shape, kind, false).weights_desc()
               : forward_primitive<convolution>(session, shape, kind, false).weights_desc();
}

void bm_onednn_linear_forward(bm_onednn_builder &builder, uint32_t layer) {
    if (is_dense(builder.session, layer)) {
        forward<dense>(builder, layer);
    } else {
        forward<convolution>(builder, layer);
    }
}

void bm_onednn_linear_backward(bm_onednn_builder &builder, uint32_t layer) {
    if (is_dense(builder.session, layer)) {
        backward<dense>(builder, layer);
    } else {
        backward<convolution>(builder, layer);
    }
}
