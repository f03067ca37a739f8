// Writes a plan: walks the layers forward and back, asks oneDNN for primitives, and notes where
// their tensors lie. Nothing is allocated for tensors yet.
//
// Tensors between layers have two axes after a dense layer and four otherwise. Each consumer brings
// what it gets into the layout that its primitive has chosen.
#ifndef BM_ONEDNN_BUILDER_H
#define BM_ONEDNN_BUILDER_H

#include "onednn.h"

// What the backward pass needs of a layer's forward pass.
struct bm_onednn_forward {
    bm_onednn_place x;
    bm_onednn_place y;
    bm_onednn_place workspace;
    dnnl::convolution_forward::primitive_desc convolution;
    dnnl::inner_product_forward::primitive_desc inner_product;
    dnnl::pooling_forward::primitive_desc pooling;
    dnnl::batch_normalization_forward::primitive_desc batchnorm;
    dnnl::eltwise_forward::primitive_desc eltwise;
};

class bm_onednn_builder {
  public:
    bm_onednn_builder(const bm_session &owner, bm_onednn_plan &made);

    const bm_session &session;
    bm_onednn_plan &plan;
    std::vector<bm_onednn_forward> layers;
    bm_onednn_place now; // forward: the activation, backward: its gradient

    const bm_kit_layer &facts(uint32_t layer) const {
        return session.core.network.layers[layer];
    }

    bool training() const {
        return plan.mode != bm_onednn_mode::EVALUATE;
    }

    dnnl::prop_kind forward_kind() const {
        return training() ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    }

    // Whether the relu at that index is computed by the layer below it.
    bool is_fused_relu(uint32_t layer) const;

    // A tensor in a region of its own, which lives as long as the pass.
    bm_onednn_place keep(const dnnl::memory::desc &md);
    // A gradient, which lives until its layer's last primitive and, as its result, the next one's.
    bm_onednn_place gradient(const dnnl::memory::desc &md);
    // A copy for the next primitive alone.
    bm_onednn_place passing(const dnnl::memory::desc &md);

    bm_onednn_place param(uint32_t index) const;
    bm_onednn_place param_gradient(uint32_t index) const;

    void add(const dnnl::primitive_desc_base &pd,
             std::vector<std::pair<int, bm_onednn_place>> places);
    void add(bm_onednn_operation operation,
             uint32_t layer,
             std::vector<std::pair<int, bm_onednn_place>> places);
    void reorder(const bm_onednn_place &from, const bm_onednn_place &to);

    // The tensor in that layout: itself, another view of it, or a copy that `copy` makes room for.
    using room = bm_onednn_place (bm_onednn_builder::*)(const dnnl::memory::desc &);
    bm_onednn_place bring(const bm_onednn_place &from, const dnnl::memory::desc &wanted, room copy);

  private:
    void widen(uint32_t region, uint64_t bytes);

    uint32_t scratchpad_;
    uint32_t passing_;
    uint32_t gradients_;
    uint32_t next_gradient_ = 0;
};

// Attributes of every primitive: scratch memory comes from the plan.
dnnl::primitive_attr bm_onednn_attributes();

// Row-major layout of these axes.
dnnl::memory::desc bm_onednn_plain(const dnnl::memory::dims &dims);

// Four axes of an activation of the kit's shape.
dnnl::memory::dims bm_onednn_image_dims(uint64_t count, const bm_kit_shape &shape);

// ---- linear.cc: dense and convolution ----

void bm_onednn_linear_forward(bm_onednn_builder &builder, uint32_t layer);
void bm_onednn_linear_backward(bm_onednn_builder &builder, uint32_t layer);

// ---- batchnorm.cc ----

void bm_onednn_batchnorm_forward(bm_onednn_builder &builder, uint32_t layer);
void bm_onednn_batchnorm_backward(bm_onednn_builder &builder, uint32_t layer);

// ---- elementwise.cc: pooling, relu, dropout, loss ----

void bm_onednn_pooling_forward(bm_onednn_builder &builder, uint32_t layer);
void bm_onednn_pooling_backward(bm_onednn_builder &builder, uint32_t layer);
void bm_onednn_relu_forward(bm_onednn_builder &builder, uint32_t layer);
void bm_onednn_relu_backward(bm_onednn_builder &builder, uint32_t layer);
void bm_onednn_dropout_layer(bm_onednn_builder &builder, uint32_t layer);
void bm_onednn_dropout_layer_backward(bm_onednn_builder &builder, uint32_t layer);
void bm_onednn_loss_layer(bm_onednn_builder &builder);

#endif
