/*
 * The update of a dense layer's weights from few images: the gradient of some rows of weights is
 * made in registers and stepped there, while weights and state stream by once. The sums have the
 * order of bm_cpu_tile_outer, and so the same bits.
 */
#include "rule.h"

/* Rows at a time; divides the width of a vector, and so every depth. */
#define ROWS (BM_CPU_WIDTH / 2)

/* Some rows of one panel. */
struct rows {
    const struct bm_kit_rule *rule;
    uint64_t images;
    const float *x; /* of the first row, [image][x_step] */
    uint64_t x_step;
    const float *dy; /* of the panel, [image][dy_step] */
    uint64_t dy_step;
    uint64_t rows;
    float *w; /* [rows][width], and the same of m and v */
    float *m;
    float *v;
};

BM_INLINE void step_rows(const uint32_t optimizer, const uint64_t vectors, const struct rows *of) {
    const struct bm_kit_rule rule = *of->rule;
    const uint64_t images = of->images;
    const uint64_t x_step = of->x_step;
    const uint64_t dy_step = of->dy_step;
    float *w = of->w;
    float *m = of->m;
    float *v = of->v;
    for (uint64_t row = 0; row < of->rows; row += ROWS) {
        const float *x = of->x + row;
        const float *dy = of->dy;
        bm_vector g[ROWS][2];
        BM_UNROLL
        for (uint64_t r = 0; r < ROWS; r++) {
            g[r][0] = g[r][1] = bm_nothing();
        }
        for (uint64_t b = 0; b < images; b++, x += x_step, dy += dy_step) {
            const bm_vector dy0 = bm_load(dy);
            const bm_vector dy1 = vectors > 1 ? bm_load(dy + BM_CPU_WIDTH) : dy0;
            BM_UNROLL
            for (uint64_t r = 0; r < ROWS; r++) {
                bm_vector factor = bm_spread(x[r]);
                g[r][0] = bm_multiply_add(factor, dy0, g[r][0]);
                g[r][1] = vectors > 1 ? bm_multiply_add(factor, dy1, g[r][1]) : dy0;
            }
        }
        BM_UNROLL
        for (uint64_t r = 0; r < ROWS; r++) {
            BM_UNROLL
            for (uint64_t j = 0; j < vectors; j++) {
                bm_cpu_step(optimizer, &rule, g[r][j], w, m, v);
                w += BM_CPU_WIDTH;
                m += BM_CPU_WIDTH;
                v += BM_CPU_WIDTH;
            }
        }
    }
}

typedef void rows_variant(const struct rows *of);

#define VARIANTS(rule)                                                                             \
    static void step_##rule##_1(const struct rows *of) {                                           \
        step_rows(BM_OPTIMIZER_##rule, 1, of);                                                     \
    }                                                                                              \
    static void step_##rule##_2(const struct rows *of) {                                           \
        step_rows(BM_OPTIMIZER_##rule, 2, of);                                                     \
    }

BM_CPU_FOR_LOCAL_RULES(VARIANTS)

#define ENTRY(rule) [BM_OPTIMIZER_##rule] = {step_##rule##_1, step_##rule##_2},

void bm_cpu_skinny_step(const struct bm_cpu_work *work, const struct bm_cpu_share *share) {
    static rows_variant *const variants[][2] = {BM_CPU_FOR_LOCAL_RULES(ENTRY)};
    const struct bm_cpu_stage *stage = work->stage;
    struct bm_session *session = work->session;
    const struct bm_cpu_pass *pass = &session->pass;
    for (uint64_t panel = share->panel_begin; panel < share->panel_end; panel++) {
        uint64_t width = bm_cpu_panel_width(stage->out.channels, panel);
        uint64_t at =
            stage->weight + panel * BM_CPU_PANEL * stage->depth + share->input_begin * width;
        const struct rows rows = {
            .rule = &pass->rule,
            .images = pass->count,
            .x = work->x + share->input_begin,
            .x_step = stage->in.size,
            .dy = work->dy + panel * BM_CPU_PANEL,
            .dy_step = stage->out.ld,
            .rows = share->input_end - share->input_begin,
            .w = session->params + at,
            .m = session->state[0] + at,
            .v = session->state[1] + at,
        };
        variants[pass->rule.optimizer][width / BM_CPU_WIDTH - 1](&rows);
    }
}
