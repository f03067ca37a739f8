/* The network as modules of torch::nn. */
#ifndef BM_TORCH_NETWORK_H
#define BM_TORCH_NETWORK_H

#include "torch.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <vector>

/* What a forward pass needs besides its input. */
struct bm_torch_pass {
    uint32_t flags;         /* BM_SLICE_* */
    const uint32_t *images; /* their numbers, for dropout */
    uint64_t update;
    uint64_t seed;
};

/* A layer of the problem; its module is the one of its kind. */
struct bm_torch_layer {
    struct bm_kit_layer facts;
    uint32_t index;
    torch::nn::Linear dense{nullptr};
    torch::nn::Conv2d convolution{nullptr};
    torch::nn::MaxPool2d pool{nullptr};
    torch::nn::BatchNorm1d norm_features{nullptr}; /* after a dense layer */
    torch::nn::BatchNorm2d norm_images{nullptr};
};

class bm_torch_network : public torch::nn::Module {
  public:
    explicit bm_torch_network(const struct bm_kit_network &network);

    /* x: [count][channels][height][width]; returns the logits. */
    torch::Tensor forward(torch::Tensor x, const struct bm_torch_pass &pass);

    /* Running means and variances, in canonical order. */
    std::vector<torch::Tensor> statistics() const;

  private:
    void add_layer(struct bm_torch_layer layer, bool is_flat);
    torch::Tensor run_layer(struct bm_torch_layer &layer,
                            const torch::Tensor &x,
                            const struct bm_torch_pass &pass);

    std::vector<struct bm_torch_layer> layers;
};

#endif
