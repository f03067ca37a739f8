/*
 * The nine rules of plugin.h over pieces of the parameters: those that the calls of apply share
 * out, and those whose gradient a product has just made.
 */
#include "rule.h"

#include <math.h>

/* One piece of the parameters and what belongs to it. */
struct piece {
    float *w;
    const float *g;
    float *m;
    float *v;
    uint64_t count;
};

/* v = u v + r q (g + wd w); w -= v, where the slot is m */
static void step_lars(const struct bm_kit_rule *rule, struct piece p, float ratio, float decay) {
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
static void step_lamb(const struct bm_kit_rule *rule, struct piece p, float ratio, float decay) {
    const bm_vector rate = bm_spread(rule->rate * ratio);
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        bm_vector w = bm_load(p.w + i);
        bm_vector way =
            bm_add(bm_cpu_direction(rule, p.m + i, p.v + i), bm_multiply(bm_spread(decay), w));
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

/* A loop for each rule, its constants in registers. */
static void step_local(const struct bm_kit_rule *rule, struct piece p) {
    const struct bm_kit_rule own = *rule;
#define STEP_PIECE(name)                                                                           \
    case BM_OPTIMIZER_##name:                                                                      \
        for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {                                     \
            bm_cpu_step(BM_OPTIMIZER_##name, &own, bm_load(p.g + i), p.w + i, p.m + i, p.v + i);   \
        }                                                                                          \
        break;
    switch (own.optimizer) { BM_CPU_FOR_LOCAL_RULES(STEP_PIECE) }
}

/* ---- Norms of lars and lamb ---- */

/* norms = { sum w^2, sum g^2 (lars) or sum p^2 (lamb, whose moments are made here) } */
static void
chunk_norms(const struct bm_kit_rule *rule, struct piece p, uint32_t is_weight, double norms[2]) {
    const bm_vector decay = bm_spread(is_weight ? rule->decay : 0);
    double sums[2][BM_CPU_WIDTH] = {{0}};
    for (uint64_t i = 0; i < p.count; i += BM_CPU_WIDTH) {
        float values[BM_CPU_WIDTH];
        bm_vector value = bm_load(p.g + i);
        if (rule->optimizer == BM_OPTIMIZER_LAMB) {
            bm_cpu_moments(rule, value, p.m + i, p.v + i);
            value = bm_add(bm_cpu_direction(rule, p.m + i, p.v + i),
                           bm_multiply(decay, bm_load(p.w + i)));
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
    const struct bm_kit_rule *rule;
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

void bm_cpu_apply(struct bm_session *session, const struct bm_kit_rule *rule, uint32_t rest) {
    struct apply_work work = {session, rule, rest};
    if (rest && session->rest_count == 0) {
        return;
    }
    if (!bm_kit_rule_is_local(rule->optimizer)) {
        bm_kit_pool_run(session->pool, share_norms, &work);
        find_ratios(session, rule);
    }
    bm_kit_pool_run(session->pool, share_steps, &work);
}

void bm_cpu_sink(struct bm_session *session,
                 uint32_t adds,
                 uint32_t steps,
                 uint64_t offset,
                 float *values,
                 uint64_t count) {
    float *gradient = session->gradient + offset;
    for (uint64_t i = 0; adds && i < count; i += BM_CPU_WIDTH) {
        bm_store(values + i, bm_add(bm_load(gradient + i), bm_load(values + i)));
    }
    if (steps) {
        step_local(&session->pass.rule, piece_at(session, offset, values, count));
        return;
    }
    for (uint64_t i = 0; i < count; i += BM_CPU_WIDTH) {
        bm_store(gradient + i, bm_load(values + i));
    }
}
