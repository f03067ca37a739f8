/*
 * The nine rules of plugin.h, in float32 element by element. w: parameter, g: gradient, m and v:
 * the state's slots. The same loops serve apply, over stored gradients, and update, over a piece of
 * gradient that has just been made, so the two have the same bits.
 */
#include "scalar.h"

#include <math.h>

/* One piece of the parameters and what belongs to it. */
struct piece {
    float *w;
    const float *g;
    float *m;
    float *v;
    uint64_t count;
};

/*
 * The analyzer pairs every rule with every number of slots. The number follows from the rule, and
 * with it whether m and v are there: scalar.c takes both from the same optimizer.
 */
/* NOLINTBEGIN(clang-analyzer-core.NullDereference) */

static void step_sgd(const struct bm_kit_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i++) {
        float g = p.g[i] + rule->decay * p.w[i];
        p.w[i] -= rule->rate * g;
    }
}

static void step_momentum(const struct bm_kit_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i++) {
        float g = p.g[i] + rule->decay * p.w[i];
        p.m[i] = rule->momentum * p.m[i] - rule->rate * g;
        p.w[i] += p.m[i];
    }
}

static void step_nesterov(const struct bm_kit_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i++) {
        float step = rule->rate * (p.g[i] + rule->decay * p.w[i]);
        p.m[i] = rule->momentum * p.m[i] - step;
        p.w[i] += rule->momentum * p.m[i] - step;
    }
}

static void step_adagrad(const struct bm_kit_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i++) {
        float g = p.g[i] + rule->decay * p.w[i];
        p.m[i] += g * g;
        p.w[i] -= rule->rate * g / (sqrtf(p.m[i]) + rule->epsilon);
    }
}

static void step_rmsprop(const struct bm_kit_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i++) {
        float g = p.g[i] + rule->decay * p.w[i];
        p.m[i] = rule->beta2 * p.m[i] + rule->rest2 * (g * g);
        p.w[i] -= rule->rate * g / (sqrtf(p.m[i]) + rule->epsilon);
    }
}

/* m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2 */
static inline void moments(const struct bm_kit_rule *rule, float g, float *m, float *v) {
    *m = rule->beta1 * *m + rule->rest1 * g;
    *v = rule->beta2 * *v + rule->rest2 * (g * g);
}

/* (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e) */
static inline float direction(const struct bm_kit_rule *rule, float m, float v) {
    return m * rule->correction1 / (sqrtf(v * rule->correction2) + rule->epsilon);
}

static void step_adam(const struct bm_kit_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i++) {
        float g = p.g[i] + rule->decay * p.w[i];
        moments(rule, g, &p.m[i], &p.v[i]);
        p.w[i] -= rule->rate * direction(rule, p.m[i], p.v[i]);
    }
}

static void step_adamw(const struct bm_kit_rule *rule, struct piece p) {
    for (uint64_t i = 0; i < p.count; i++) {
        float w = p.w[i] - rule->rate_decay * p.w[i];
        moments(rule, p.g[i], &p.m[i], &p.v[i]);
        p.w[i] = w - rule->rate * direction(rule, p.m[i], p.v[i]);
    }
}

/* v = u v + r q (g + wd w); w -= v, where the slot is m */
static void step_lars(const struct bm_kit_rule *rule, struct piece p, float ratio, float decay) {
    float rate = rule->rate * ratio;
    for (uint64_t i = 0; i < p.count; i++) {
        p.m[i] = rule->momentum * p.m[i] + rate * (p.g[i] + decay * p.w[i]);
        p.w[i] -= p.m[i];
    }
}

/* w -= r ratio p, p = direction + wd w; the moments are up to date already */
static void step_lamb(const struct bm_kit_rule *rule, struct piece p, float ratio, float decay) {
    float rate = rule->rate * ratio;
    for (uint64_t i = 0; i < p.count; i++) {
        p.w[i] -= rate * (direction(rule, p.m[i], p.v[i]) + decay * p.w[i]);
    }
}

/* NOLINTEND(clang-analyzer-core.NullDereference) */

static struct piece
piece_at(struct bm_session *session, uint64_t offset, const float *g, uint64_t count) {
    struct piece piece = {.w = session->params + offset, .g = g, .count = count};
    piece.m = session->core.slot_count > 0 ? session->state[0] + offset : NULL;
    piece.v = session->core.slot_count > 1 ? session->state[1] + offset : NULL;
    return piece;
}

static void step_local(const struct bm_kit_rule *rule, struct piece piece) {
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
chunk_norms(const struct bm_kit_rule *rule, struct piece p, int32_t is_weight, double norms[2]) {
    float decay = is_weight ? rule->decay : 0;
    double w = 0;
    double other = 0;
    for (uint64_t i = 0; i < p.count; i++) {
        float value = p.g[i];
        if (rule->optimizer == BM_OPTIMIZER_LAMB) {
            moments(rule, p.g[i], &p.m[i], &p.v[i]);
            value = direction(rule, p.m[i], p.v[i]) + decay * p.w[i];
        }
        w += (double)p.w[i] * (double)p.w[i];
        other += (double)value * (double)value;
    }
    norms[0] = w;
    norms[1] = other;
}

static double tensor_ratio(const struct bm_kit_rule *rule, double w, double other) {
    if (w == 0 || other == 0) {
        return 1;
    }
    if (rule->optimizer == BM_OPTIMIZER_LAMB) {
        return w / other;
    }
    return rule->trust * w / (other + (double)rule->decay * w);
}

/* The ratio of each tensor from its chunks' norms, added up in order: one thread, the same bits. */
static void find_ratios(struct bm_session *session, const struct bm_kit_rule *rule) {
    uint64_t i = 0;
    for (uint32_t tensor = 0; tensor < session->tensor_count; tensor++) {
        double w = 0;
        double other = 0;
        int32_t is_weight = 0;
        for (; i < session->chunk_count && session->chunks[i].tensor == tensor; i++) {
            w += session->norms[2 * i];
            other += session->norms[2 * i + 1];
            is_weight = session->chunks[i].is_weight != 0;
        }
        session->ratios[tensor] = is_weight ? (float)tensor_ratio(rule, sqrt(w), sqrt(other)) : 1;
    }
}

/* ---- Sharing out ---- */

struct apply_work {
    struct bm_session *session;
    const struct bm_kit_rule *rule;
};

static struct piece chunk_piece(struct bm_session *session, const struct bm_scalar_chunk *chunk) {
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
                    session->chunks[i].is_weight != 0, session->norms + 2 * i);
    }
}

static void share_steps(void *context, uint32_t thread, uint32_t thread_count) {
    const struct apply_work *work = context;
    struct bm_session *session = work->session;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(session->chunk_count, 1, thread, thread_count, &begin, &end);
    for (uint64_t i = begin; i < end; i++) {
        const struct bm_scalar_chunk *chunk = &session->chunks[i];
        struct piece piece = chunk_piece(session, chunk);
        float decay = chunk->is_weight ? work->rule->decay : 0;
        if (work->rule->optimizer == BM_OPTIMIZER_LARS) {
            step_lars(work->rule, piece, session->ratios[chunk->tensor], decay);
        } else if (work->rule->optimizer == BM_OPTIMIZER_LAMB) {
            step_lamb(work->rule, piece, session->ratios[chunk->tensor], decay);
        } else {
            step_local(work->rule, piece);
        }
    }
}

void bm_scalar_apply(struct bm_session *session, const struct bm_kit_rule *rule) {
    struct apply_work work = {session, rule};
    if (!bm_kit_rule_is_local(rule->optimizer)) {
        bm_kit_pool_run(session->pool, share_norms, &work);
        find_ratios(session, rule);
    }
    bm_kit_pool_run(session->pool, share_steps, &work);
}

void bm_scalar_sink(struct bm_session *session, uint64_t offset, float *values, uint64_t count) {
    int32_t accumulate = (session->pass.flags & BM_SLICE_ACCUMULATE) != 0;
    float *gradient = session->gradient + offset;
    if (session->pass.sink == BM_SCALAR_SINK_STORE) {
        for (uint64_t i = 0; i < count; i++) {
            gradient[i] = accumulate ? gradient[i] + values[i] : values[i];
        }
        return;
    }
    for (uint64_t i = 0; accumulate && i < count; i++) {
        values[i] = gradient[i] + values[i];
    }
    step_local(&session->pass.rule, piece_at(session, offset, values, count));
}
