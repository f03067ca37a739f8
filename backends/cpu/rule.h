/*
 * One step of one vector of parameters, for the rules of plugin.h that look at each parameter
 * alone, in float32. w: parameter, g: gradient, m and v: the state's slots. Whoever steps does it
 * through this, so that update and apply have the same bits.
 */
#ifndef BM_CPU_RULE_H
#define BM_CPU_RULE_H

#include "cpu.h"

#define BM_CPU_FOR_LOCAL_RULES(do)                                                                 \
    do                                                                                             \
    (SGD) do(MOMENTUM) do(NESTEROV) do(ADAGRAD) do(RMSPROP) do(ADAM) do(ADAMW)

/* w - rate g / (sqrt(s) + epsilon) */
static inline bm_vector
bm_cpu_scaled_step(const struct bm_kit_rule *rule, bm_vector w, bm_vector g, bm_vector s) {
    bm_vector root = bm_add(bm_root(s), bm_spread(rule->epsilon));
    return bm_subtract(w, bm_divide(bm_multiply(bm_spread(rule->rate), g), root));
}

/* b2 s + (1 - b2) g^2 */
static inline bm_vector
bm_cpu_second_moment(const struct bm_kit_rule *rule, bm_vector s, bm_vector g) {
    return bm_add(bm_multiply(bm_spread(rule->beta2), s),
                  bm_multiply(bm_spread(rule->rest2), bm_multiply(g, g)));
}

/* m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2 */
static inline void bm_cpu_moments(const struct bm_kit_rule *rule, bm_vector g, float *m, float *v) {
    bm_store(m, bm_add(bm_multiply(bm_spread(rule->beta1), bm_load(m)),
                       bm_multiply(bm_spread(rule->rest1), g)));
    bm_store(v, bm_cpu_second_moment(rule, bm_load(v), g));
}

/* (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e) */
static inline bm_vector
bm_cpu_direction(const struct bm_kit_rule *rule, const float *m, const float *v) {
    bm_vector root = bm_root(bm_multiply(bm_load(v), bm_spread(rule->correction2)));
    return bm_divide(bm_multiply(bm_load(m), bm_spread(rule->correction1)),
                     bm_add(root, bm_spread(rule->epsilon)));
}

/* `optimizer` is a constant wherever this is used, and rule->optimizer. */
BM_INLINE void bm_cpu_step(const uint32_t optimizer,
                           const struct bm_kit_rule *rule,
                           bm_vector g,
                           float *w,
                           float *m,
                           float *v) {
    const bm_vector rate = bm_spread(rule->rate);
    const bm_vector momentum = bm_spread(rule->momentum);
    bm_vector old = bm_load(w);
    if (optimizer == BM_OPTIMIZER_ADAMW) {
        old = bm_subtract(old, bm_multiply(bm_spread(rule->rate_decay), old));
    } else {
        g = bm_multiply_add(bm_spread(rule->decay), old, g);
    }
    switch (optimizer) {
    case BM_OPTIMIZER_SGD:
        bm_store(w, bm_multiply_add(bm_spread(-rule->rate), g, old));
        break;
    case BM_OPTIMIZER_MOMENTUM:
    case BM_OPTIMIZER_NESTEROV: {
        bm_vector step = bm_multiply(rate, g);
        bm_vector next = bm_subtract(bm_multiply(momentum, bm_load(m)), step);
        bm_store(m, next);
        if (optimizer == BM_OPTIMIZER_NESTEROV) {
            next = bm_subtract(bm_multiply(momentum, next), step);
        }
        bm_store(w, bm_add(old, next));
        break;
    }
    case BM_OPTIMIZER_ADAGRAD: {
        bm_vector s = bm_add(bm_load(m), bm_multiply(g, g));
        bm_store(m, s);
        bm_store(w, bm_cpu_scaled_step(rule, old, g, s));
        break;
    }
    case BM_OPTIMIZER_RMSPROP: {
        bm_vector s = bm_cpu_second_moment(rule, bm_load(m), g);
        bm_store(m, s);
        bm_store(w, bm_cpu_scaled_step(rule, old, g, s));
        break;
    }
    default:
        bm_cpu_moments(rule, g, m, v);
        bm_store(w, bm_subtract(old, bm_multiply(rate, bm_cpu_direction(rule, m, v))));
        break;
    }
}

#endif
