#include "optimizer.h"

#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <limits>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>

using torch::Tensor;

/* ---- Slots ---- */

void bm_torch_spread(const std::vector<Tensor> &tensors, const float *values) {
    torch::NoGradGuard no_grad;
    for (const Tensor &tensor : tensors) {
        /* torch has no tensor over constant memory; this one is only read. */
        tensor.copy_(torch::from_blob(const_cast<float *>(values), tensor.sizes()));
        values += tensor.numel();
    }
}

void bm_torch_collect(const std::vector<Tensor> &tensors, float *values) {
    torch::NoGradGuard no_grad;
    for (const Tensor &tensor : tensors) {
        torch::from_blob(values, tensor.sizes()).copy_(tensor);
        values += tensor.numel();
    }
}

void bm_torch_optimizer::read_slot(uint32_t slot, float *values) const {
    bm_torch_collect(slots[slot], values);
    for (const Tensor &tensor : slots[slot]) {
        if (is_negative) {
            torch::from_blob(values, tensor.sizes()).neg_();
        }
        values += tensor.numel();
    }
}

void bm_torch_optimizer::write_slot(uint32_t slot, const float *values) {
    bm_torch_spread(slots[slot], values);
    for (const Tensor &tensor : slots[slot]) {
        if (is_negative) {
            tensor.neg_();
        }
    }
}

/* ---- States of torch::optim ---- */

/* The key of a parameter's state: text of its address up to torch 2.0, then the address. */
template <class Key> static Key key_of(const Tensor &param) {
    if constexpr (std::is_same_v<Key, std::string>) {
        std::ostringstream text;
        text << param.unsafeGetTensorImpl();
        return text.str();
    } else {
        return param.unsafeGetTensorImpl();
    }
}

/* Makes a parameter's state before its first step: plugin.h's begins with zeros, while SGD's own
 * begins with the first gradient. It lives as long as the optimizer. */
template <class State>
static State &add_state(torch::optim::Optimizer &optimizer, const Tensor &param) {
    using Key = typename std::decay_t<decltype(optimizer.state())>::key_type;
    auto made = std::make_unique<State>();
    State &state = *made;
    optimizer.state()[key_of<Key>(param)] = std::move(made);
    return state;
}

template <class Options> static Options &options_of(torch::optim::Optimizer &optimizer) {
    return static_cast<Options &>(optimizer.param_groups().front().options());
}

/* ---- Rules ---- */

/* The constructors of torch check values that a step sets again, so they get harmless ones. */
#define FIRST_RATE 0.1

class sgd_rule : public bm_torch_optimizer {
  public:
    explicit sgd_rule(const std::vector<Tensor> &params) : optimizer(params, FIRST_RATE) {
    }

    void step(const struct bm_hyper &hyper) override {
        options_of<torch::optim::SGDOptions>(optimizer).lr(hyper.rate).weight_decay(hyper.decay);
        optimizer.step();
    }

  private:
    torch::optim::SGD optimizer;
};

/*
 * torch: buf = u buf + (1 - dampening) g; w -= lr buf. With lr = 1 and dampening = 1 - r this is
 * plugin.h's rule with m = -buf, for rates that change too.
 */
class momentum_rule : public bm_torch_optimizer {
  public:
    explicit momentum_rule(const std::vector<Tensor> &params) : optimizer(params, FIRST_RATE) {
        for (const Tensor &param : params) {
            auto &state = add_state<torch::optim::SGDParamState>(optimizer, param);
            state.momentum_buffer(torch::zeros_like(param.detach()));
            slots[0].push_back(state.momentum_buffer());
        }
        is_negative = true;
        options_of<torch::optim::SGDOptions>(optimizer).lr(1);
    }

    void step(const struct bm_hyper &hyper) override {
        auto &options = options_of<torch::optim::SGDOptions>(optimizer);
        set_momentum(hyper);
        options.dampening(1 - hyper.rate);
        options.weight_decay(hyper.decay);
        optimizer.step();
    }

  protected:
    /* For momentum 0 torch keeps no buffer; the least double is 0 in its float32 arithmetic. */
    void set_momentum(const struct bm_hyper &hyper) {
        options_of<torch::optim::SGDOptions>(optimizer).momentum(
            hyper.momentum != 0 ? hyper.momentum : std::numeric_limits<double>::denorm_min());
    }

    torch::optim::SGD optimizer;
};

/*
 * torch: buf = u buf + g; w -= lr (g + u buf), where dampening would scale only one g of the two.
 * With lr = 1 and the gradient r g this is plugin.h's rule with m = -buf. (With lr = r it would be
 * m = -r buf: read back, m would be rounded once more than the rule allows.)
 */
class nesterov_rule : public momentum_rule {
  public:
    explicit nesterov_rule(const std::vector<Tensor> &params) : momentum_rule(params) {
        options_of<torch::optim::SGDOptions>(optimizer).nesterov(true);
    }

    void step(const struct bm_hyper &hyper) override {
        std::vector<Tensor> &params = optimizer.param_groups().front().params();
        std::vector<Tensor> gradients;
        for (const Tensor &param : params) {
            gradients.push_back(param.grad());
            param.mutable_grad() = param.grad().mul(hyper.rate);
        }
        set_momentum(hyper);
        options_of<torch::optim::SGDOptions>(optimizer).weight_decay(hyper.rate * hyper.decay);
        optimizer.step();
        for (std::size_t i = 0; i < gradients.size(); i++) {
            params[i].mutable_grad() = gradients[i];
        }
    }
};

class adagrad_rule : public bm_torch_optimizer {
  public:
    explicit adagrad_rule(const std::vector<Tensor> &params)
        : optimizer(params, torch::optim::AdagradOptions(FIRST_RATE)) {
        for (const Tensor &param : params) {
            auto &state = add_state<torch::optim::AdagradParamState>(optimizer, param);
            state.step(0).sum(torch::zeros_like(param.detach()));
            slots[0].push_back(state.sum());
        }
    }

    void step(const struct bm_hyper &hyper) override {
        options_of<torch::optim::AdagradOptions>(optimizer)
            .lr(hyper.rate)
            .weight_decay(hyper.decay)
            .eps(hyper.epsilon);
        optimizer.step();
    }

  private:
    torch::optim::Adagrad optimizer;
};

class rmsprop_rule : public bm_torch_optimizer {
  public:
    explicit rmsprop_rule(const std::vector<Tensor> &params)
        : optimizer(params, torch::optim::RMSpropOptions(FIRST_RATE)) {
        for (const Tensor &param : params) {
            auto &state = add_state<torch::optim::RMSpropParamState>(optimizer, param);
            state.step(0).square_avg(torch::zeros_like(param.detach()));
            slots[0].push_back(state.square_avg());
        }
    }

    void step(const struct bm_hyper &hyper) override {
        options_of<torch::optim::RMSpropOptions>(optimizer)
            .lr(hyper.rate)
            .weight_decay(hyper.decay)
            .alpha(hyper.beta2)
            .eps(hyper.epsilon);
        optimizer.step();
    }

  private:
    torch::optim::RMSprop optimizer;
};

/* Adam and AdamW: torch counts the steps for its bias correction, here the host does. */
template <class Optimizer, class Options, class State> class adam_rule : public bm_torch_optimizer {
  public:
    explicit adam_rule(const std::vector<Tensor> &params) : optimizer(params, Options(FIRST_RATE)) {
        for (const Tensor &param : params) {
            auto &state = add_state<State>(optimizer, param);
            state.exp_avg(torch::zeros_like(param.detach()));
            state.exp_avg_sq(torch::zeros_like(param.detach()));
            slots[0].push_back(state.exp_avg());
            slots[1].push_back(state.exp_avg_sq());
            states.push_back(&state);
        }
    }

    void step(const struct bm_hyper &hyper) override {
        for (State *state : states) {
            state->step(static_cast<int64_t>(hyper.update - 1));
        }
        options_of<Options>(optimizer)
            .lr(hyper.rate)
            .betas(std::make_tuple(hyper.beta1, hyper.beta2))
            .weight_decay(hyper.decay)
            .eps(hyper.epsilon);
        optimizer.step();
    }

  private:
    Optimizer optimizer;
    std::vector<State *> states;
};

std::unique_ptr<bm_torch_optimizer> bm_torch_optimizer_create(uint32_t rule,
                                                              const std::vector<Tensor> &params) {
    namespace optim = torch::optim;
    switch (rule) {
    case BM_OPTIMIZER_SGD:
        return std::make_unique<sgd_rule>(params);
    case BM_OPTIMIZER_MOMENTUM:
        return std::make_unique<momentum_rule>(params);
    case BM_OPTIMIZER_NESTEROV:
        return std::make_unique<nesterov_rule>(params);
    case BM_OPTIMIZER_ADAGRAD:
        return std::make_unique<adagrad_rule>(params);
    case BM_OPTIMIZER_RMSPROP:
        return std::make_unique<rmsprop_rule>(params);
    case BM_OPTIMIZER_ADAM:
        return std::make_unique<adam_rule<optim::Adam, optim::AdamOptions, optim::AdamParamState>>(
            params);
    case BM_OPTIMIZER_ADAMW:
        return std::make_unique<
            adam_rule<optim::AdamW, optim::AdamWOptions, optim::AdamWParamState>>(params);
    default:
        return nullptr;
    }
}
