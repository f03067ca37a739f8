#include "network.h"

#include <ATen/Parallel.h>
#include <torch/nn/options/batchnorm.h>
#include <torch/types.h>

#include <string>

using torch::Tensor;

bm_torch_network::bm_torch_network(const struct bm_kit_network &network) {
    bool is_flat = false; /* the tensor is [count][features] */
    for (uint32_t i = 0; i < network.layer_count; i++) {
        const struct bm_kit_layer &facts = network.layers[i];
        is_flat = facts.kind == BM_LAYER_DENSE ||
                  (is_flat && facts.kind != BM_LAYER_CONV2D && facts.kind != BM_LAYER_MAXPOOL);
        struct bm_torch_layer layer;
        layer.facts = facts;
        layer.index = i;
        add_layer(layer, is_flat);
    }
}

void bm_torch_network::add_layer(struct bm_torch_layer layer, bool is_flat) {
    const struct bm_kit_layer &facts = layer.facts;
    std::string name = std::to_string(layer.index);
    auto norm_options = torch::nn::BatchNormOptions(facts.output.channels)
                            .eps(BM_BATCHNORM_EPSILON)
                            .momentum(1 - BM_BATCHNORM_DECAY);
    switch (facts.kind) {
    case BM_LAYER_DENSE:
        layer.dense =
            register_module(name, torch::nn::Linear(facts.input_size, facts.output.channels));
        break;
    case BM_LAYER_CONV2D:
        layer.convolution = register_module(
            name,
            torch::nn::Conv2d(torch::nn::Conv2dOptions(facts.input.channels, facts.output.channels,
                                                       {facts.kernel_height, facts.kernel_width})
                                  .stride(facts.stride)
                                  .padding(facts.padding)));
        break;
    case BM_LAYER_MAXPOOL:
        layer.pool = register_module(
            name, torch::nn::MaxPool2d(
                      torch::nn::MaxPool2dOptions({facts.kernel_height, facts.kernel_width})
                          .stride(facts.stride)
                          .padding(facts.padding)));
        break;
    case BM_LAYER_BATCHNORM:
        if (is_flat) {
            layer.norm_features = register_module(name, torch::nn::BatchNorm1d(norm_options));
        } else {
            layer.norm_images = register_module(name, torch::nn::BatchNorm2d(norm_options));
        }
        break;
    default: /* relu, dropout and the loss hold nothing */
        break;
    }
    layers.push_back(layer);
}

/* The running statistics are left alone by momentum 0. */
template <class Norm>
static Tensor normalize(Norm &norm, const Tensor &x, const struct bm_torch_pass &pass) {
    norm->train((pass.flags & BM_SLICE_USE_RUNNING) == 0);
    norm->options.momentum((pass.flags & BM_SLICE_KEEP_STATISTICS) != 0 ? 0
                                                                        : 1 - BM_BATCHNORM_DECAY);
    return norm->forward(x);
}

/* torch::nn::Dropout draws its own numbers; plugin.h says which units are kept. */
static Tensor
drop(const struct bm_torch_layer &layer, const Tensor &x, const struct bm_torch_pass &pass) {
    const struct bm_kit_dropout dropout = {pass.seed, pass.update, layer.index, layer.facts.rate};
    const uint64_t size = layer.facts.output_size;
    Tensor kept = torch::empty(x.sizes(), torch::kUInt8);
    uint8_t *units = kept.data_ptr<uint8_t>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            bm_kit_dropout_mask(&dropout, pass.images[i], size,
                                units + static_cast<uint64_t>(i) * size);
        }
    });
    return x * kept.to(torch::kFloat32).div_(1 - layer.facts.rate);
}

/* A convolution may follow a dense layer, whose n outputs are then [n][1][1]. */
static Tensor as_images(const struct bm_kit_shape &shape, const Tensor &x) {
    return x.dim() == 4 ? x : x.view({x.size(0), shape.channels, shape.height, shape.width});
}

Tensor bm_torch_network::run_layer(struct bm_torch_layer &layer,
                                   const Tensor &x,
                                   const struct bm_torch_pass &pass) {
    switch (layer.facts.kind) {
    case BM_LAYER_DENSE:
        return layer.dense->forward(x.flatten(1));
    case BM_LAYER_CONV2D:
        return layer.convolution->forward(as_images(layer.facts.input, x));
    case BM_LAYER_MAXPOOL:
        return layer.pool->forward(as_images(layer.facts.input, x));
    case BM_LAYER_BATCHNORM:
        return layer.norm_features ? normalize(layer.norm_features, x, pass)
                                   : normalize(layer.norm_images, x, pass);
    case BM_LAYER_RELU:
        return torch::relu(x);
    case BM_LAYER_DROPOUT:
        return (pass.flags & BM_SLICE_NO_DROPOUT) != 0 ? x : drop(layer, x, pass);
    default: /* the loss is not the network's */
        return x;
    }
}

Tensor bm_torch_network::forward(Tensor x, const struct bm_torch_pass &pass) {
    for (struct bm_torch_layer &layer : layers) {
        x = run_layer(layer, x, pass);
    }
    return x.flatten(1);
}

std::vector<Tensor> bm_torch_network::statistics() const {
    std::vector<Tensor> all;
    for (const struct bm_torch_layer &layer : layers) {
        if (layer.norm_features) {
            all.push_back(layer.norm_features->running_mean);
            all.push_back(layer.norm_features->running_var);
        } else if (layer.norm_images) {
            all.push_back(layer.norm_images->running_mean);
            all.push_back(layer.norm_images->running_var);
        }
    }
    return all;
}
