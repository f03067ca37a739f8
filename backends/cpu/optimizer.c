/*
 * The nine rules of plugin.h, in float32, a vector at a time. w: parameter, g: gradient, m and v:
 * the state's slots. The same loops serve apply, over stored gradients, and update, over a tile of
 * gradient that has just been made, so the two have the same bits.
 */
#include "cpu.h"

#include <math.h>

void bm_cpu_rule_init(struct bm_cpu_rule *rule, uint32_t optimizer, const struct bm_hyper *hyper) {
    double t = (double)hyper->update;
    *rule = (struct bm_cpu_rule){
        .optimizer = optimizer,
        .rate = (float)hyper->rate,
        .momentum = (float)hyper->momentum,
        .decay = (float)hyper->decay,
        .rate_decay = (float)(hyper->rate * hyper->decay),
        .beta1 = (float)hyper->beta1,
        .beta2 = (float)hyper->beta2,
        .rest1 = (float)(1 - hyper->beta1),
        .rest2 = (float)(1 - hyper->beta2),
        .correction1 = (float)(1 / (1 - pow(hyper->beta1, t))),
        .correction2 = (float)(1 / (1 - pow(hyper->beta2, t))),
        .epsilon = (float)hyper->epsilon,
        .trust = hyper->trust,
    };
}

int32_t bm_cpu_rule_is_local(uint32_t optimizer) {
    return optimizer != BM_OPTIMIZER_LARS && optimizer != BM_OPTIMIZER_LAMB;
}

/* One piece of the parameters and what belongs to it. */
struct piece {
    float *w;
    const float *g;
    float *m;
    float *v;
    uint64_t count;
};

/* g + decay w */
static inline bm_vector decayed(const struct bm_cpu_rule *rule, bm_vector g, bm_vector w) {
    return bm_multiply_add(bm_spread(rule->decay), w, g);
}

static void step_sgd(const struct bm_cpu_rule *rule, struct piece p) {
    const bm_vector rate = bm_spread(-rule->rate);
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        bm_store(p.w + i, bm_multiply_add(rate, decayed(rule, bm_load(p.g + i), w), w));
    }
}

static void step_momentum(const struct bm_cpu_rule *rule, struct piece p) {
    const bm_vector rate = bm_spread(rule->rate);
    const bm_vector momentum = bm_spread(rule->momentum);
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        bm_vector step = bm_multiply(rate, decayed(rule, bm_load(p.g + i), w));
        bm_vector m = bm_subtract(bm_multiply(momentum, bm_load(p.m + i)), step);
        bm_store(p.m + i, m);
        bm_store(p.w + i, bm_add(w, m));
    }
}

static void step_nesterov(const struct bm_cpu_rule *rule, struct piece p) {
    const bm_vector rate = bm_spread(rule->rate);
    const bm_vector momentum = bm_spread(rule->momentum);
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        bm_vector step = bm_multiply(rate, decayed(rule, bm_load(p.g + i), w));
        bm_vector m = bm_subtract(bm_multiply(momentum, bm_load(p.m + i)), step);
        bm_store(p.m + i, m);
        bm_store(p.w + i, bm_add(w, bm_subtract(bm_multiply(momentum, m), step)));
    }
}

/* w - rate g / (sqrt(s) + epsilon) */
static inline bm_vector
scaled_step(const struct bm_cpu_rule *rule, bm_vector w, bm_vector g, bm_vector s) {
    bm_vector root = bm_add(bm_root(s), bm_spread(rule->epsilon));
    return bm_subtract(w, bm_divide(bm_multiply(bm_spread(rule->rate), g), root));
}

static void step_adagrad(const struct bm_cpu_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        bm_vector g = decayed(rule, bm_load(p.g + i), w);
        bm_vector s = bm_add(bm_load(p.m + i), bm_multiply(g, g));
        bm_store(p.m + i, s);
        bm_store(p.w + i, scaled_step(rule, w, g, s));
    }
}

/* b2 s + (1 - b2) g^2 */
static inline bm_vector second_moment(const struct bm_cpu_rule *rule, bm_vector s, bm_vector g) {
    return bm_add(bm_multiply(bm_spread(rule->beta2), s),
                  bm_multiply(bm_spread(rule->rest2), bm_multiply(g, g)));
}

static void step_rmsprop(const struct bm_cpu_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        bm_vector g = decayed(rule, bm_load(p.g + i), w);
        bm_vector s = second_moment(rule, bm_load(p.m + i), g);
        bm_store(p.m + i, s);
        bm_store(p.w + i, scaled_step(rule, w, g, s));
    }
}

/* m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2 */
static inline void moments(const struct bm_cpu_rule *rule, bm_vector g, float *m, float *v) {
    bm_store(m, bm_add(bm_multiply(bm_spread(rule->beta1), bm_load(m)),
                       bm_multiply(bm_spread(rule->rest1), g)));
    bm_store(v, second_moment(rule, bm_load(v), g));
}

/* (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e) */
static inline bm_vector direction(const struct bm_cpu_rule *rule, const float *m, const float *v) {
    bm_vector root = bm_root(bm_multiply(bm_load(v), bm_spread(rule->correction2)));
    return bm_divide(bm_multiply(bm_load(m), bm_spread(rule->correction1)),
                     bm_add(root, bm_spread(rule->epsilon)));
}

static void step_adam(const struct bm_cpu_rule *rule, struct piece p) {
    const bm_vector rate = bm_spread(rule->rate);
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        moments(rule, decayed(rule, bm_load(p.g + i), w), p.m + i, p.v + i);
        bm_store(p.w + i, bm_subtract(w, bm_multiply(rate, direction(rule, p.m + i, p.v + i))));
    }
}

static void step_adamw(const struct bm_cpu_rule *rule, struct piece p) {
    const bm_vector rate = bm_spread(rule->rate);
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        w = bm_subtract(w, bm_multiply(bm_spread(rule->rate_decay), w));
        moments(rule, bm_load(p.g + i), p.m + i, p.v + i);
        bm_store(p.w + i, bm_subtract(w, bm_multiply(rate, direction(rule, p.m + i, p.v + i))));
    }
}

/* v = u v + r q (g + wd w); w -= v, where the slot is m */
static void step_lars(const struct bm_cpu_rule *rule, struct piece p, float ratio, float decay) {
    const bm_vector rate = bm_spread(rule->rate * ratio);
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        bm_vector g = bm_add(bm_load(p.g + i), bm_multiply(bm_spread(decay), w));
        bm_vector m =
            bm_add(bm_multiply(bm_spread(rule->momentum), bm_load(p.m + i)), bm_multiply(rate, g));
        bm_store(p.m + i, m);
        bm_store(p.w + i, bm_subtract(w, m));
    }
}

/* w -= r ratio p, p = direction + wd w; the moments are up to date already */
static void step_lamb(const struct bm_cpu_rule *rule, struct piece p, float ratio, float decay) {
    const bm_vector rate = bm_spread(rule->rate * ratio);
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        bm_vector way = bm_add(direction(rule, p.m + i, p.v + i), bm_multiply(bm_spread(decay), w));
        bm_store(p.w + i, bm_subtract(w, bm_multiply(rate, way)));
    }
}

static struct piece
piece_at(struct bm_session *session, uint64_t offset, const float *g, uint64_t count) {
    return (struct piece){.w = session->params + offset,
                          .g = g,
                          .m = session->state[0] + offset,
                          .v = session->state[1] + offset,
                          .count = count};
}

static void step_local(const struct bm_cpu_rule *rule, struct piece piece) {
    switch (rule->optimizer) {
    case BM_OPTIMIZER_SGD:
        step_sgd(rule, piece);
        break;
    case BM_OPTIMIZER_MOMENTUM:
        step_momentum(rule, piece);
        break;
    case BM_OPTIMIZER_NESTEROV:
        step_nesterov(rule, piece);
        break;
    case BM_OPTIMIZER_ADAGRAD:
        step_adagrad(rule, piece);
        break;
    case BM_OPTIMIZER_RMSPROP:
        step_rmsprop(rule, piece);
        break;
    case BM_OPTIMIZER_ADAM:
        step_adam(rule, piece);
        break;
    default:
        step_adamw(rule, piece);
        break;
    }
}

/* ---- Norms of lars and lamb ---- */

/* norms = { sum w^2, sum g^2 (lars) or sum p^2 (lamb, whose moments are made here) } */
static void
chunk_norms(const struct bm_cpu_rule *rule, struct piece p, uint32_t is_weight, double norms[2]) {
    const bm_vector decay = bm_spread(is_weight ? rule->decay : 0);
    double sums[2][BM_CPU_WIDTH] = {{0}};
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        float values[BM_CPU_WIDTH];
        bm_vector value = bm_load(p.g + i);
        if (rule->optimizer == BM_OPTIMIZER_LAMB) {
            moments(rule, value, p.m + i, p.v + i);
            value = bm_add(direction(rule, p.m + i, p.v + i), bm_multiply(decay, bm_load(p.w + i)));
        }
        bm_store(values, value);
        for (uint64_t k = 0; k < BM_CPU_WIDTH; k++) {
            sums[0][k] += (double)p.w[i + k] * (double)p.w[i + k];
            sums[1][k] += (double)values[k] * (double)values[k];
        }
    }
    norms[0] = norms[1] = 0;
    for (uint64_t k = 0; k < BM_CPU_WIDTH; k++) {
        norms[0] += sums[0][k];
        norms[1] += sums[1][k];
    }
}

static double tensor_ratio(const struct bm_cpu_rule *rule, double w, double other) {
    if (w == 0 || other == 0) {
        return 1;
    }
    if (rule->optimizer == BM_OPTIMIZER_LAMB) {
        return w / other;
    }
    return rule->trust * w / (other + (double)rule->decay * w);
}

/* The ratio of each tensor from its chunks' norms, added up in order: one thread, the same bits. */
static void find_ratios(struct bm_session *session, const struct bm_cpu_rule *rule) {
    uint64_t i = 0;
    for (uint32_t tensor = 0; tensor < session->tensor_count; tensor++) {
        double w = 0;
        double other = 0;
        uint32_t is_weight = 0;
        for (; i < session->chunk_count && session->chunks[i].tensor == tensor; i++) {
            w += session->norms[2 * i];
            other += session->norms[2 * i + 1];
            is_weight = session->chunks[i].is_weight;
        }
        session->ratios[tensor] = is_weight ? (float)tensor_ratio(rule, sqrt(w), sqrt(other)) : 1;
    }
}

/* ---- Sharing out ---- */

struct apply_work {
    struct bm_session *session;
    const struct bm_cpu_rule *rule;
    uint32_t rest;
};

static struct piece chunk_piece(struct bm_session *session, const struct bm_cpu_chunk *chunk) {
    return piece_at(session, chunk->offset, session->gradient + chunk->offset, chunk->count);
}

static void share_norms(void *context, uint32_t thread, uint32_t thread_count) {
    const struct apply_work *work = context;
    struct bm_session *session = work->session;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(session->chunk_count, 1, thread, thread_count, &begin, &end);
    for (uint64_t i = begin; i < end; i++) {
        chunk_norms(work->rule, chunk_piece(session, &session->chunks[i]),
                    session->chunks[i].is_weight, session->norms + 2 * i);
    }
}

static void share_steps(void *context, uint32_t thread, uint32_t thread_count) {
    const struct apply_work *work = context;
    struct bm_session *session = work->session;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(session->chunk_count, 1, thread, thread_count, &begin, &end);
    for (uint64_t i = begin; i < end; i++) {
        const struct bm_cpu_chunk *chunk = &session->chunks[i];
        struct piece piece = chunk_piece(session, chunk);
        float decay = chunk->is_weight ? work->rule->decay : 0;
        if (work->rest && chunk->stepped) {
            continue;
        }
        if (work->rule->optimizer == BM_OPTIMIZER_LARS) {
            step_lars(work->rule, piece, session->ratios[chunk->tensor], decay);
        } else if (work->rule->optimizer == BM_OPTIMIZER_LAMB) {
            step_lamb(work->rule, piece, session->ratios[chunk->tensor], decay);
        } else {
            step_local(work->rule, piece);
        }
    }
}

void bm_cpu_apply(struct bm_session *session, const struct bm_cpu_rule *rule, uint32_t rest) {
    struct apply_work work = {session, rule, rest};
    if (!bm_cpu_rule_is_local(rule->optimizer)) {
        bm_kit_pool_run(session->pool, share_norms, &work);
        find_ratios(session, rule);
    }
    bm_kit_pool_run(session->pool, share_steps, &work);
}

void bm_cpu_sink(struct bm_session *session, uint64_t offset, float *values, uint64_t count) {
    const struct bm_cpu_pass *pass = &session->pass;
    float *gradient = session->gradient + offset;
    for (uint64_t i = 0; pass->adds && i < count; i += BM_CPU_WIDTH) {
        bm_store(values + i, bm_add(bm_load(gradient + i), bm_load(values + i)));
    }
    if (pass->steps) {
        step_local(&pass->rule, piece_at(session, offset, values, count));
        return;
    }
    for (uint64_t i = 0; i < count; i += BM_CPU_WIDTH) {
        bm_store(gradient + i, bm_load(values + i));
    }
}
