/*
 * The nine rules of plugin.h, in float32 element by element. w: parameter, g: gradient, m and v:
 * the state's slots.
 */
#include "blas.h"
#include "loop.h"

#include <math.h>

#define LANES 8

/* ---- Rules that need nothing of other parameters ---- */

BM_BLAS_LOOP static void
step_sgd(struct bm_kit_rule r, float *restrict w, const float *restrict g, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        w[i] -= r.rate * (g[i] + r.decay * w[i]);
    }
}

BM_BLAS_LOOP static void step_momentum(struct bm_kit_rule r,
                                       float *restrict w,
                                       const float *restrict g,
                                       float *restrict m,
                                       uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        m[i] = r.momentum * m[i] - r.rate * (g[i] + r.decay * w[i]);
        w[i] += m[i];
    }
}

BM_BLAS_LOOP static void step_nesterov(struct bm_kit_rule r,
                                       float *restrict w,
                                       const float *restrict g,
                                       float *restrict m,
                                       uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        float step = r.rate * (g[i] + r.decay * w[i]);
        m[i] = r.momentum * m[i] - step;
        w[i] += r.momentum * m[i] - step;
    }
}

BM_BLAS_LOOP static void step_adagrad(struct bm_kit_rule r,
                                      float *restrict w,
                                      const float *restrict g,
                                      float *restrict s,
                                      uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        float coupled = g[i] + r.decay * w[i];
        s[i] += coupled * coupled;
        w[i] -= r.rate * coupled / (sqrtf(s[i]) + r.epsilon);
    }
}

BM_BLAS_LOOP static void step_rmsprop(struct bm_kit_rule r,
                                      float *restrict w,
                                      const float *restrict g,
                                      float *restrict s,
                                      uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        float coupled = g[i] + r.decay * w[i];
        s[i] = r.beta2 * s[i] + r.rest2 * (coupled * coupled);
        w[i] -= r.rate * coupled / (sqrtf(s[i]) + r.epsilon);
    }
}

/* m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2
 * w = keep w - r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e)
 * adam has the decay coupled; adamw has it in w -= r wd w. */
BM_BLAS_LOOP static void step_adam(struct bm_kit_rule r,
                                   float coupled,
                                   float rate_decay,
                                   float *restrict w,
                                   const float *restrict g,
                                   float *restrict m,
                                   float *restrict v,
                                   uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        float own = g[i] + coupled * w[i];
        float kept = w[i] - rate_decay * w[i];
        m[i] = r.beta1 * m[i] + r.rest1 * own;
        v[i] = r.beta2 * v[i] + r.rest2 * (own * own);
        w[i] = kept - r.rate * (m[i] * r.correction1 / (sqrtf(v[i] * r.correction2) + r.epsilon));
    }
}

static void step_local(
    const struct bm_kit_rule *rule, float *w, const float *g, float *m, float *v, uint64_t count) {
    switch (rule->optimizer) {
    case BM_OPTIMIZER_SGD:
        step_sgd(*rule, w, g, count);
        break;
    case BM_OPTIMIZER_MOMENTUM:
        step_momentum(*rule, w, g, m, count);
        break;
    case BM_OPTIMIZER_NESTEROV:
        step_nesterov(*rule, w, g, m, count);
        break;
    case BM_OPTIMIZER_ADAGRAD:
        step_adagrad(*rule, w, g, m, count);
        break;
    case BM_OPTIMIZER_RMSPROP:
        step_rmsprop(*rule, w, g, m, count);
        break;
    case BM_OPTIMIZER_ADAM:
        step_adam(*rule, rule->decay, 0, w, g, m, v, count);
        break;
    default:
        step_adam(*rule, 0, rule->rate_decay, w, g, m, v, count);
        break;
    }
}

/* ---- Rules with a ratio for each weight tensor ---- */

/* Several sums side by side: one chain of additions would wait for itself. */
BM_BLAS_LOOP static double sum_squares(const float *x, uint64_t count) {
    double sum[LANES] = {0};
    double all = 0;
    uint64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (uint64_t lane = 0; lane < LANES; lane++) {
            sum[lane] += (double)x[i + lane] * (double)x[i + lane];
        }
    }
    for (; i < count; i++) {
        sum[0] += (double)x[i] * (double)x[i];
    }
    for (uint64_t lane = 0; lane < LANES; lane++) {
        all += sum[lane];
    }
    return all;
}

/* v = u v + r q (g + wd w); w -= v */
BM_BLAS_LOOP static void step_lars(struct bm_kit_rule r,
                                   float ratio,
                                   float decay,
                                   float *restrict w,
                                   const float *restrict g,
                                   float *restrict v,
                                   uint64_t count) {
    float rate = r.rate * ratio;
    for (uint64_t i = 0; i < count; i++) {
        v[i] = r.momentum * v[i] + rate * (g[i] + decay * w[i]);
        w[i] -= v[i];
    }
}

/* The moments, and p = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e) + wd w */
BM_BLAS_LOOP static void find_direction(struct bm_kit_rule r,
                                        float decay,
                                        const float *restrict w,
                                        const float *restrict g,
                                        float *restrict m,
                                        float *restrict v,
                                        uint64_t count,
                                        float *restrict p) {
    for (uint64_t i = 0; i < count; i++) {
        m[i] = r.beta1 * m[i] + r.rest1 * g[i];
        v[i] = r.beta2 * v[i] + r.rest2 * (g[i] * g[i]);
        p[i] = m[i] * r.correction1 / (sqrtf(v[i] * r.correction2) + r.epsilon) + decay * w[i];
    }
}

BM_BLAS_LOOP static void
step_along(float rate, float *restrict w, const float *restrict p, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        w[i] -= rate * p[i];
    }
}

/* w and other are norms; `other` includes what the rule adds to it. */
static float ratio_of(double factor, double w, double norm, double other) {
    return w == 0 || norm == 0 ? 1 : (float)(factor * w / other);
}

static void lars_tensor(struct bm_session *session,
                        const struct bm_kit_rule *rule,
                        uint64_t offset,
                        uint64_t count,
                        int32_t is_weight) {
    float *w = session->params + offset;
    const float *g = session->gradient + offset;
    float ratio = 1;
    if (is_weight) {
        double w_norm = sqrt(sum_squares(w, count));
        double g_norm = sqrt(sum_squares(g, count));
        ratio = ratio_of(rule->trust, w_norm, g_norm, g_norm + (double)rule->decay * w_norm);
    }
    step_lars(*rule, ratio, is_weight ? rule->decay : 0, w, g, session->state[0] + offset, count);
}

static void lamb_tensor(struct bm_session *session,
                        const struct bm_kit_rule *rule,
                        uint64_t offset,
                        uint64_t count,
                        int32_t is_weight) {
    float *w = session->params + offset;
    float *p = session->direction;
    float ratio = 1;
    find_direction(*rule, is_weight ? rule->decay : 0, w, session->gradient + offset,
                   session->state[0] + offset, session->state[1] + offset, count, p);
    if (is_weight) {
        double p_norm = sqrt(sum_squares(p, count));
        ratio = ratio_of(1, sqrt(sum_squares(w, count)), p_norm, p_norm);
    }
    step_along(rule->rate * ratio, w, p, count);
}

static void step_tensor(struct bm_session *session,
                        const struct bm_kit_rule *rule,
                        uint64_t offset,
                        uint64_t count,
                        int32_t is_weight) {
    if (rule->optimizer == BM_OPTIMIZER_LARS) {
        lars_tensor(session, rule, offset, count, is_weight);
    } else {
        lamb_tensor(session, rule, offset, count, is_weight);
    }
}

void bm_blas_step(struct bm_session *session, const struct bm_hyper *hyper) {
    struct bm_kit_rule rule;
    bm_kit_rule_init(&rule, session->core.optimizer, hyper);
    if (bm_kit_rule_is_local(rule.optimizer)) {
        step_local(&rule, session->params, session->gradient, session->state[0], session->state[1],
                   session->core.network.param_count);
        return;
    }
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        const struct bm_kit_layer *facts = &session->core.network.layers[i];
        step_tensor(session, &rule, facts->weight_offset, facts->weight_count,
                    facts->kind == BM_LAYER_DENSE);
        step_tensor(session, &rule, facts->bias_offset, facts->bias_count, 0);
    }
}
