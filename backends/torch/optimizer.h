/* A rule of plugin.h, computed by torch::optim. */
#ifndef BM_TORCH_OPTIMIZER_H
#define BM_TORCH_OPTIMIZER_H

#include "torch.h"

#include <torch/optim/optimizer.h>
#include <torch/types.h>

#include <memory>
#include <vector>

class bm_torch_optimizer {
  public:
    virtual ~bm_torch_optimizer() = default;

    /* One step with the gradients of the parameters. */
    virtual void step(const struct bm_hyper &hyper) = 0;

    void read_slot(uint32_t slot, float *values) const;
    void write_slot(uint32_t slot, const float *values);

  protected:
    /* The optimizer's state tensors by slot, one a parameter: the values of plugin.h's slot, or
     * their negatives. */
    std::vector<torch::Tensor> slots[2];
    bool is_negative = false;
};

/* NULL if torch::optim has no such rule. */
std::unique_ptr<bm_torch_optimizer>
bm_torch_optimizer_create(uint32_t rule, const std::vector<torch::Tensor> &params);

/* Copies between tensors and one array that holds their values one after the other. */
void bm_torch_spread(const std::vector<torch::Tensor> &tensors, const float *values);
void bm_torch_collect(const std::vector<torch::Tensor> &tensors, float *values);

#endif
