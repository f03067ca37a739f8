/* A session's work, written as a user of torch writes a training loop: gather, forward, loss,
 * backward, step. */
#include "guard.h"
#include "network.h"
#include "optimizer.h"

#include <ATen/Parallel.h>
#include <torch/nn/functional/loss.h>

#include <algorithm>

using torch::Tensor;

struct bm_torch_split {
    Tensor images; /* [count][channels][height][width], the host's memory */
    Tensor labels; /* [count] */
    Tensor scale;  /* [channels][1][1], of bytes */
    Tensor shift;
};

struct bm_torch_engine {
    explicit bm_torch_engine(const struct bm_kit_session &core)
        : network(core.network), params(network.parameters()),
          optimizer(bm_torch_optimizer_create(core.optimizer, params)) {
    }

    bm_torch_network network;
    std::vector<Tensor> params; /* in canonical order: the modules are made in that order */
    std::unique_ptr<bm_torch_optimizer> optimizer;
    struct bm_torch_split splits[BM_SPLIT_COUNT];
    Tensor order;
};

/* ---- Life ---- */

/* torch keeps one number of threads a calling thread; setting it is not cheap. */
static void use_threads(const struct bm_kit_session &core) {
    int count = static_cast<int>(core.thread_count);
    if (at::get_num_threads() != count) {
        at::set_num_threads(count);
    }
    bm_torch_blas_set_threads(core.thread_count);
}

/* Parallel graphs are for inference servers. torch takes the number once a process, before their
 * first use; a second session finds it set. */
static void use_one_interop_thread() {
    static const bool is_set = [] {
        at::set_num_interop_threads(1);
        return true;
    }();
    (void)is_set;
}

int32_t bm_torch_engine_create(struct bm_session *session, struct bm_error *error) {
    return bm_torch_guard("create", error, [&] {
        use_one_interop_thread();
        use_threads(session->core);
        auto engine = std::make_unique<bm_torch_engine>(session->core);
        torch::NoGradGuard no_grad;
        for (const Tensor &param : engine->params) {
            param.zero_();
        }
        session->engine = engine.release();
    });
}

void bm_torch_engine_destroy(struct bm_torch_engine *engine) {
    delete engine;
}

/* ---- Data ---- */

/* torch has no tensor over constant memory; these are only read. */
template <class Value>
static Tensor view_of(const Value *values, torch::IntArrayRef sizes, torch::ScalarType type) {
    return torch::from_blob(const_cast<Value *>(values), sizes, type);
}

int32_t bm_torch_bind(struct bm_session *session, uint32_t split, struct bm_error *error) {
    return bm_torch_guard("bind_data", error, [&] {
        const struct bm_data &data = session->core.data[split];
        const struct bm_kit_shape &shape = session->core.network.input;
        auto count = static_cast<int64_t>(data.count);
        bool is_bytes = data.type == BM_DATA_UINT8;
        struct bm_torch_split made;
        made.images = view_of(static_cast<const uint8_t *>(data.images),
                              {count, shape.channels, shape.height, shape.width},
                              is_bytes ? torch::kUInt8 : torch::kFloat32);
        made.labels = view_of(data.labels, {count}, torch::kInt32).to(torch::kInt64);
        if (is_bytes) {
            made.scale = view_of(data.scale, {shape.channels, 1, 1}, torch::kFloat32).clone();
            made.shift = view_of(data.shift, {shape.channels, 1, 1}, torch::kFloat32).clone();
        }
        session->engine->splits[split] = made;
    });
}

int32_t bm_torch_order(struct bm_session *session, struct bm_error *error) {
    return bm_torch_guard("set_order", error, [&] {
        const struct bm_kit_session &core = session->core;
        Tensor &order = session->engine->order;
        auto count = static_cast<int64_t>(core.order_count);
        if (!order.defined() || order.size(0) != count) {
            order = torch::empty({count}, torch::kInt64);
        }
        std::copy_n(core.order, core.order_count, order.data_ptr<int64_t>());
    });
}

/* Bytes become the network's input; floats are it. */
static Tensor to_input(const struct bm_torch_split &split, const Tensor &images) {
    if (!split.scale.defined()) {
        return images;
    }
    return images.to(torch::kFloat32).mul_(split.scale).add_(split.shift);
}

/* ---- Parameters, gradient, state ---- */

int32_t
bm_torch_put_params(struct bm_session *session, const float *values, struct bm_error *error) {
    return bm_torch_guard("write_params", error,
                          [&] { bm_torch_spread(session->engine->params, values); });
}

int32_t bm_torch_get_params(struct bm_session *session, float *values, struct bm_error *error) {
    return bm_torch_guard("read_params", error,
                          [&] { bm_torch_collect(session->engine->params, values); });
}

static std::vector<Tensor> gradients_of(const std::vector<Tensor> &params) {
    std::vector<Tensor> gradients;
    for (const Tensor &param : params) {
        if (!param.grad().defined()) {
            param.mutable_grad() = torch::zeros_like(param.detach());
        }
        gradients.push_back(param.grad());
    }
    return gradients;
}

int32_t
bm_torch_put_gradient(struct bm_session *session, const float *values, struct bm_error *error) {
    return bm_torch_guard("write_gradient", error,
                          [&] { bm_torch_spread(gradients_of(session->engine->params), values); });
}

int32_t bm_torch_get_gradient(struct bm_session *session, float *values, struct bm_error *error) {
    return bm_torch_guard("read_gradient", error,
                          [&] { bm_torch_collect(gradients_of(session->engine->params), values); });
}

int32_t bm_torch_put_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           struct bm_error *error) {
    return bm_torch_guard("write_state", error, [&] {
        if (slot == BM_STATE_STATISTICS) {
            bm_torch_spread(session->engine->network.statistics(), values);
        } else {
            session->engine->optimizer->write_slot(slot, values);
        }
    });
}

int32_t bm_torch_get_state(struct bm_session *session,
                           uint32_t slot,
                           float *values,
                           struct bm_error *error) {
    return bm_torch_guard("read_state", error, [&] {
        if (slot == BM_STATE_STATISTICS) {
            bm_torch_collect(session->engine->network.statistics(), values);
        } else {
            session->engine->optimizer->read_slot(slot, values);
        }
    });
}

/* ---- Gradient, step, evaluation ---- */

/* The summed loss. */
static Tensor loss_of(const Tensor &logits, const Tensor &labels) {
    return torch::nn::functional::cross_entropy(
        logits, labels, torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kSum));
}

int32_t bm_torch_gradient(struct bm_session *session,
                          const struct bm_slice *slice,
                          struct bm_error *error) {
    return bm_torch_guard("gradient", error, [&] {
        struct bm_torch_engine &engine = *session->engine;
        const struct bm_torch_split &data = engine.splits[BM_SPLIT_TRAIN];
        const bool adds = (slice->flags & BM_SLICE_ACCUMULATE) != 0;
        const struct bm_torch_pass pass = {slice->flags, session->core.order + slice->first,
                                           slice->update, session->core.seed};
        use_threads(session->core);
        for (const Tensor &param : engine.params) {
            if (!adds) {
                param.mutable_grad().reset(); /* zero_grad(set_to_none) */
            }
        }
        Tensor images = engine.order.narrow(0, static_cast<int64_t>(slice->first),
                                            static_cast<int64_t>(slice->count));
        Tensor x = to_input(data, data.images.index_select(0, images));
        Tensor loss = loss_of(engine.network.forward(x, pass), data.labels.index_select(0, images))
                          .div(slice->divisor);
        loss.backward();
        session->core.loss = (adds ? session->core.loss : 0) + loss.item<double>();
    });
}

int32_t
bm_torch_step(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    return bm_torch_guard("apply", error, [&] {
        use_threads(session->core);
        session->engine->optimizer->step(*hyper);
    });
}

int32_t bm_torch_evaluate(struct bm_session *session,
                          uint32_t split,
                          uint64_t first,
                          uint64_t count,
                          double *loss,
                          uint64_t *correct,
                          struct bm_error *error) {
    return bm_torch_guard("evaluate", error, [&] {
        struct bm_torch_engine &engine = *session->engine;
        const struct bm_torch_split &data = engine.splits[split];
        const struct bm_torch_pass pass = {BM_SLICE_USE_RUNNING | BM_SLICE_NO_DROPOUT, nullptr, 0,
                                           0};
        auto begin = static_cast<int64_t>(first);
        auto length = static_cast<int64_t>(count);
        torch::NoGradGuard no_grad;
        use_threads(session->core);
        Tensor labels = data.labels.narrow(0, begin, length);
        Tensor x = to_input(data, data.images.narrow(0, begin, length));
        Tensor logits = engine.network.forward(x, pass);
        *loss += loss_of(logits, labels).item<double>();
        *correct += static_cast<uint64_t>(logits.argmax(1).eq(labels).sum().item<int64_t>());
    });
}
