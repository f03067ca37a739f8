// The nine rules of plugin.h in float32, over pieces of our arrays; oneDNN has no optimizers.
// w: parameter, g: gradient, m and v: the state's slots.
#include "loops.h"
#include "onednn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace {

constexpr uint64_t chunk_size = 4096;

struct rule : bm_kit_rule {
    rule(uint32_t which, const bm_hyper &hyper) : bm_kit_rule{} {
        bm_kit_rule_init(this, which, &hyper);
    }

    // m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2
    void moments(float g, float &m, float &v) const {
        m = beta1 * m + rest1 * g;
        v = beta2 * v + rest2 * (g * g);
    }

    // (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e)
    float direction(float m, float v) const {
        return m * correction1 / (std::sqrt(v * correction2) + epsilon);
    }
};

// Part of one parameter tensor and what belongs to it.
struct piece {
    float *__restrict w;
    float *__restrict g;
    float *__restrict m;
    float *__restrict v;
    uint64_t count;
    uint64_t param;
    bool is_weight;
};

void step_sgd(const rule &r, const piece &p) {
    for (uint64_t i = 0; i < p.count; i++) {
        p.w[i] -= r.rate * (p.g[i] + r.decay * p.w[i]);
    }
}

void step_momentum(const rule &r, const piece &p) {
    for (uint64_t i = 0; i < p.count; i++) {
        p.m[i] = r.momentum * p.m[i] - r.rate * (p.g[i] + r.decay * p.w[i]);
        p.w[i] += p.m[i];
    }
}

void step_nesterov(const rule &r, const piece &p) {
    for (uint64_t i = 0; i < p.count; i++) {
        const float change = r.rate * (p.g[i] + r.decay * p.w[i]);
        p.m[i] = r.momentum * p.m[i] - change;
        p.w[i] += r.momentum * p.m[i] - change;
    }
}

void step_adagrad(const rule &r, const piece &p) {
    for (uint64_t i = 0; i < p.count; i++) {
        const float g = p.g[i] + r.decay * p.w[i];
        p.m[i] += g * g;
        p.w[i] -= r.rate * g / (std::sqrt(p.m[i]) + r.epsilon);
    }
}

void step_rmsprop(const rule &r, const piece &p) {
    for (uint64_t i = 0; i < p.count; i++) {
        const float g = p.g[i] + r.decay * p.w[i];
        p.m[i] = r.beta2 * p.m[i] + r.rest2 * (g * g);
        p.w[i] -= r.rate * g / (std::sqrt(p.m[i]) + r.epsilon);
    }
}

void step_adam(const rule &r, const piece &p) {
    for (uint64_t i = 0; i < p.count; i++) {
        r.moments(p.g[i] + r.decay * p.w[i], p.m[i], p.v[i]);
        p.w[i] -= r.rate * r.direction(p.m[i], p.v[i]);
    }
}

void step_adamw(const rule &r, const piece &p) {
    for (uint64_t i = 0; i < p.count; i++) {
        const float w = p.w[i] - r.rate_decay * p.w[i];
        r.moments(p.g[i], p.m[i], p.v[i]);
        p.w[i] = w - r.rate * r.direction(p.m[i], p.v[i]);
    }
}

// v = u v + r q (g + wd w); w -= v, where the slot is m
void step_lars(const rule &r, const piece &p, float ratio) {
    const float decay = p.is_weight ? r.decay : 0;
    for (uint64_t i = 0; i < p.count; i++) {
        p.m[i] = r.momentum * p.m[i] + r.rate * ratio * (p.g[i] + decay * p.w[i]);
        p.w[i] -= p.m[i];
    }
}

// w -= r ratio (direction + wd w); the moments are up to date already
void step_lamb(const rule &r, const piece &p, float ratio) {
    const float decay = p.is_weight ? r.decay : 0;
    for (uint64_t i = 0; i < p.count; i++) {
        p.w[i] -= r.rate * ratio * (r.direction(p.m[i], p.v[i]) + decay * p.w[i]);
    }
}

void step(uint32_t optimizer, const rule &r, const piece &p, float ratio) {
    switch (optimizer) {
    case BM_OPTIMIZER_SGD:
        return step_sgd(r, p);
    case BM_OPTIMIZER_MOMENTUM:
        return step_momentum(r, p);
    case BM_OPTIMIZER_NESTEROV:
        return step_nesterov(r, p);
    case BM_OPTIMIZER_ADAGRAD:
        return step_adagrad(r, p);
    case BM_OPTIMIZER_RMSPROP:
        return step_rmsprop(r, p);
    case BM_OPTIMIZER_ADAM:
        return step_adam(r, p);
    case BM_OPTIMIZER_ADAMW:
        return step_adamw(r, p);
    case BM_OPTIMIZER_LARS:
        return step_lars(r, p, ratio);
    default:
        return step_lamb(r, p, ratio);
    }
}

// ---- Pieces ----

uint64_t chunks_of(const bm_onednn_param &param) {
    return (param.count + chunk_size - 1) / chunk_size;
}

float *at(const std::unique_ptr<bm_onednn_block> &array, uint64_t offset) {
    return array ? array->at<float>(offset * sizeof(float)) : nullptr;
}

// Chunk number `index` of all of them.
piece piece_of(const bm_session &session, uint64_t index) {
    uint64_t i = 0;
    while (index >= chunks_of(session.params[i])) {
        index -= chunks_of(session.params[i++]);
    }
    const bm_onednn_param &param = session.params[i];
    const uint64_t done = index * chunk_size;
    const uint64_t offset = param.offset + done;
    return {at(session.values, offset),
            at(session.gradient, offset),
            at(session.state[0], offset),
            at(session.state[1], offset),
            std::min(chunk_size, param.count - done),
            i,
            param.is_weight};
}

// ---- Norms of lars and lamb ----

// { sum w^2, sum g^2 (lars) or sum p^2 (lamb, whose moments are made here) }
void piece_norms(uint32_t optimizer, const rule &r, const piece &p, double norms[2]) {
    const float decay = p.is_weight ? r.decay : 0;
    norms[0] = 0;
    norms[1] = 0;
    for (uint64_t i = 0; i < p.count; i++) {
        float value = p.g[i];
        if (optimizer == BM_OPTIMIZER_LAMB) {
            r.moments(p.g[i], p.m[i], p.v[i]);
            value = r.direction(p.m[i], p.v[i]) + decay * p.w[i];
        }
        norms[0] += static_cast<double>(p.w[i]) * static_cast<double>(p.w[i]);
        norms[1] += static_cast<double>(value) * static_cast<double>(value);
    }
}

float ratio_of(uint32_t optimizer, const rule &r, double w, double other) {
    if (w == 0 || other == 0) {
        return 1;
    }
    return static_cast<float>(optimizer == BM_OPTIMIZER_LAMB
                                  ? w / other
                                  : r.trust * w / (other + static_cast<double>(r.decay) * w));
}

// The ratio of each tensor from its chunks' norms, added up in order: the same bits each time.
void find_ratios(bm_session &session, const rule &r) {
    uint64_t chunk = 0;
    for (size_t i = 0; i < session.params.size(); i++) {
        double w = 0;
        double other = 0;
        for (const uint64_t end = chunk + chunks_of(session.params[i]); chunk < end; chunk++) {
            w += session.norms[2 * chunk];
            other += session.norms[2 * chunk + 1];
        }
        session.ratios[i] = session.params[i].is_weight ? ratio_of(session.core.optimizer, r,
                                                                   std::sqrt(w), std::sqrt(other))
                                                        : 1;
    }
}

} // namespace

uint64_t bm_onednn_chunk_count(const bm_session &session) {
    return std::accumulate(
        session.params.begin(), session.params.end(), uint64_t{0},
        [](uint64_t sum, const bm_onednn_param &param) { return sum + chunks_of(param); });
}

void bm_onednn_apply(bm_session &session, const bm_hyper &hyper) {
    const uint32_t optimizer = session.core.optimizer;
    const rule r(optimizer, hyper);
    const uint64_t chunks = bm_onednn_chunk_count(session);
    const uint64_t work = session.core.network.param_count;
    if (bm_kit_rule_is_local(optimizer) == 0) {
        bm_onednn_share(chunks, work, [&](uint64_t i) {
            piece_norms(optimizer, r, piece_of(session, i), &session.norms[2 * i]);
        });
        find_ratios(session, r);
    }
    bm_onednn_share(chunks, work, [&](uint64_t i) {
        const piece p = piece_of(session, i);
        step(optimizer, r, p, session.ratios[p.param]);
    });
}
