/*
 * The three products, a tile at a time. The sums of a tile stay in registers: every loop over them
 * is unrolled (GCC spills the array otherwise), and a variant with constant bounds is compiled for
 * each number of rows and vectors.
 */
#include "cpu.h"

uint64_t bm_cpu_panel_count(uint64_t columns) {
    return (columns + BM_CPU_PANEL - 1) / BM_CPU_PANEL;
}

uint64_t bm_cpu_panel_width(uint64_t columns, uint64_t index) {
    uint64_t left = columns - index * BM_CPU_PANEL;
    return left <= BM_CPU_WIDTH ? BM_CPU_WIDTH : BM_CPU_PANEL;
}

uint64_t bm_cpu_panel_columns(uint64_t columns) {
    uint64_t last = bm_cpu_panel_count(columns) - 1;
    return last * BM_CPU_PANEL + bm_cpu_panel_width(columns, last);
}

/* ---- Rows times a panel ---- */

BM_INLINE void finish_row(const struct bm_cpu_finish *finish,
                          const uint64_t vectors,
                          const bm_vector *sum,
                          const float *mask,
                          float *c) {
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        bm_vector x = sum[v];
        if (finish->bias != NULL) {
            x = bm_add(x, bm_load(finish->bias + v * BM_CPU_WIDTH));
        }
        if (finish->relu) {
            x = bm_maximum(x, bm_nothing());
        }
        if (mask != NULL) {
            x = bm_where_positive(bm_load(mask + v * BM_CPU_WIDTH), x);
        }
        bm_store(c + v * BM_CPU_WIDTH, x);
    }
}

/* sum[i][v] += a[i][k] panel[k][v] for one k */
BM_INLINE void rows_step(const uint64_t rows,
                         const uint64_t vectors,
                         const float *values,
                         uint64_t step,
                         const float *panel,
                         bm_vector sum[BM_CPU_ROWS][2]) {
    bm_vector b[2];
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        b[v] = bm_load(panel + v * BM_CPU_WIDTH);
    }
    BM_UNROLL
    for (uint64_t i = 0; i < rows; i++) {
        bm_vector factor = bm_spread(values[i * step]);
        BM_UNROLL
        for (uint64_t v = 0; v < vectors; v++) {
            sum[i][v] = bm_multiply_add(factor, b[v], sum[i][v]);
        }
    }
}

#define TO_SECOND_CACHE 2

/* With one or two rows there are too few sums to keep the multipliers busy, so every `chains`-th k
 * has sums of its own, which are added at the end. */
BM_INLINE void rows_tile(const uint64_t rows,
                         const uint64_t vectors,
                         const uint64_t chains,
                         const struct bm_cpu_rows *a,
                         const float *panel,
                         const struct bm_cpu_finish *finish,
                         float *c,
                         uint64_t ldc) {
    bm_vector sum[4][BM_CPU_ROWS][2];
    const uint64_t step = a->step;
    const float *fetch = a->fetch == NULL ? panel : a->fetch;
    const uint64_t advance = a->fetch == NULL ? 0 : BM_CPU_FETCH;
    const uint32_t fetches = 2 * rows > BM_CPU_ROWS; /* shorter ones have no time for it */
    BM_UNROLL
    for (uint64_t n = 0; n < chains; n++) {
        BM_UNROLL
        for (uint64_t i = 0; i < rows; i++) {
            BM_UNROLL
            for (uint64_t v = 0; v < vectors; v++) {
                sum[n][i][v] = n == 0 && finish->continues ? bm_load(c + i * ldc + v * BM_CPU_WIDTH)
                                                           : bm_nothing();
            }
        }
    }
    for (uint64_t run = 0; run < a->runs; run++) {
        const float *values = a->values + run * a->run_step;
        const float *end = values + a->length;
        BM_UNROLL_STEPS(4)
        for (; values + chains <= end; values += chains) {
            if (fetches) {
                __builtin_prefetch(fetch, 0, TO_SECOND_CACHE);
                fetch += advance;
            }
            BM_UNROLL
            for (uint64_t n = 0; n < chains; n++) {
                rows_step(rows, vectors, values + n, step, panel, sum[n]);
                panel += vectors * BM_CPU_WIDTH;
            }
        }
        for (; chains > 1 && values < end; values++) {
            rows_step(rows, vectors, values, step, panel, sum[0]);
            panel += vectors * BM_CPU_WIDTH;
        }
        panel += a->skip * vectors * BM_CPU_WIDTH;
    }
    BM_UNROLL
    for (uint64_t i = 0; i < rows; i++) {
        const float *mask = finish->mask == NULL ? NULL : finish->mask + i * ldc;
        BM_UNROLL
        for (uint64_t n = 1; n < chains; n++) {
            BM_UNROLL
            for (uint64_t v = 0; v < vectors; v++) {
                sum[0][i][v] = bm_add(sum[0][i][v], sum[n][i][v]);
            }
        }
        finish_row(finish, vectors, sum[0][i], mask, c + i * ldc);
    }
}

#define CHAINS(rows) ((rows) == 1 ? 4 : (rows) == 2 ? 2 : 1)

void bm_cpu_tile_finish(
    uint64_t rows, uint64_t width, const struct bm_cpu_finish *finish, float *c, uint64_t ldc) {
    for (uint64_t i = 0; i < rows; i++) {
        for (uint64_t v = 0; v < width; v += BM_CPU_WIDTH) {
            struct bm_cpu_finish own = *finish;
            own.bias = finish->bias == NULL ? NULL : finish->bias + v;
            bm_vector sum = bm_load(c + i * ldc + v);
            finish_row(&own, 1, &sum, finish->mask == NULL ? NULL : finish->mask + i * ldc + v,
                       c + i * ldc + v);
        }
    }
}

typedef void rows_variant(const struct bm_cpu_rows *a,
                          const float *panel,
                          const struct bm_cpu_finish *finish,
                          float *c,
                          uint64_t ldc);

#define ROWS_VARIANT(rows)                                                                         \
    static void rows_##rows##_1(const struct bm_cpu_rows *a, const float *panel,                   \
                                const struct bm_cpu_finish *finish, float *c, uint64_t ldc) {      \
        rows_tile(rows, 1, CHAINS(rows), a, panel, finish, c, ldc);                                \
    }                                                                                              \
    static void rows_##rows##_2(const struct bm_cpu_rows *a, const float *panel,                   \
                                const struct bm_cpu_finish *finish, float *c, uint64_t ldc) {      \
        rows_tile(rows, 2, CHAINS(rows), a, panel, finish, c, ldc);                                \
    }

/* ---- Outer products ---- */

#define STEPS_AHEAD 12u

BM_INLINE void fetch_line(const float *fetch, uint64_t line, uint64_t lines) {
    if (fetch != NULL && line < lines) {
        __builtin_prefetch(fetch + line * 16, 1);
    }
}

BM_INLINE void outer_tile(const uint64_t rows,
                          const uint64_t vectors,
                          const float *a,
                          const float *b,
                          const struct bm_cpu_steps *steps,
                          uint32_t continues,
                          const float *fetch,
                          const float *fetch_other,
                          float *tile) {
    const uint64_t lines = (rows * vectors * BM_CPU_WIDTH + 15) / 16;
    bm_vector sum[BM_CPU_ROWS][2];
    const uint64_t ahead = steps->length > STEPS_AHEAD ? STEPS_AHEAD : 0;
    const uint64_t a_ahead = ahead * steps->a_step;
    const uint64_t b_ahead = ahead * steps->b_step;
    uint64_t line = 0;
    BM_UNROLL
    for (uint64_t i = 0; i < rows; i++) {
        BM_UNROLL
        for (uint64_t v = 0; v < vectors; v++) {
            sum[i][v] = continues ? bm_load(tile + (i * vectors + v) * BM_CPU_WIDTH) : bm_nothing();
        }
    }
    for (uint64_t run = 0; run < steps->runs; run++) {
        const float *x = a + run * steps->a_run;
        const float *y = b + run * steps->b_run;
        BM_UNROLL_STEPS(2)
        for (uint64_t k = 0; k < steps->length; k++, line++) {
            bm_vector column[2];
            __builtin_prefetch(x + a_ahead);
            BM_UNROLL
            for (uint64_t v = 0; v < vectors; v++) {
                __builtin_prefetch(y + b_ahead + v * BM_CPU_WIDTH);
            }
            fetch_line(fetch, line, lines);
            fetch_line(fetch_other, line, lines);
            BM_UNROLL
            for (uint64_t v = 0; v < vectors; v++) {
                column[v] = bm_load(y + v * BM_CPU_WIDTH);
            }
            BM_UNROLL
            for (uint64_t i = 0; i < rows; i++) {
                bm_vector factor = bm_spread(x[i]);
                BM_UNROLL
                for (uint64_t v = 0; v < vectors; v++) {
                    sum[i][v] = bm_multiply_add(factor, column[v], sum[i][v]);
                }
            }
            x += steps->a_step;
            y += steps->b_step;
        }
    }
    BM_UNROLL
    for (uint64_t i = 0; i < rows; i++) {
        BM_UNROLL
        for (uint64_t v = 0; v < vectors; v++) {
            bm_store(tile + (i * vectors + v) * BM_CPU_WIDTH, sum[i][v]);
        }
    }
}

typedef void outer_variant(const float *a,
                           const float *b,
                           const struct bm_cpu_steps *steps,
                           uint32_t continues,
                           const float *fetch,
                           const float *fetch_other,
                           float *tile);

#define OUTER_VARIANT(rows)                                                                        \
    static void outer_##rows##_1(const float *a, const float *b, const struct bm_cpu_steps *steps, \
                                 uint32_t continues, const float *fetch, const float *fetch_other, \
                                 float *tile) {                                                    \
        outer_tile(rows, 1, a, b, steps, continues, fetch, fetch_other, tile);                     \
    }                                                                                              \
    static void outer_##rows##_2(const float *a, const float *b, const struct bm_cpu_steps *steps, \
                                 uint32_t continues, const float *fetch, const float *fetch_other, \
                                 float *tile) {                                                    \
        outer_tile(rows, 2, a, b, steps, continues, fetch, fetch_other, tile);                     \
    }

#define FOR_ROWS_TO_6(do)                                                                          \
    do                                                                                             \
    (1) do(2) do(3) do(4) do(5) do(6)
#if BM_CPU_ROWS == 14
#define FOR_ROWS(do) FOR_ROWS_TO_6(do) do(7) do(8) do(9) do(10) do(11) do(12) do(13) do(14)
#else
#define FOR_ROWS(do) FOR_ROWS_TO_6(do)
#endif

FOR_ROWS(ROWS_VARIANT)
FOR_ROWS(OUTER_VARIANT)

#define ROWS_ENTRY(rows) [rows] = {rows_##rows##_1, rows_##rows##_2},
#define OUTER_ENTRY(rows) [rows] = {outer_##rows##_1, outer_##rows##_2},

void bm_cpu_tile_rows(const struct bm_cpu_rows *a,
                      uint64_t rows,
                      const float *panel,
                      uint64_t width,
                      const struct bm_cpu_finish *finish,
                      float *c,
                      uint64_t ldc) {
    static rows_variant *const variants[BM_CPU_ROWS + 1][2] = {FOR_ROWS(ROWS_ENTRY)};
    variants[rows][width / BM_CPU_WIDTH - 1](a, panel, finish, c, ldc);
}

void bm_cpu_tile_outer(const float *a,
                       const float *b,
                       const struct bm_cpu_steps *steps,
                       uint64_t rows,
                       uint64_t width,
                       uint32_t continues,
                       const float *fetch,
                       const float *fetch_other,
                       float *tile) {
    static outer_variant *const variants[BM_CPU_ROWS + 1][2] = {FOR_ROWS(OUTER_ENTRY)};
    variants[rows][width / BM_CPU_WIDTH - 1](a, b, steps, continues, fetch, fetch_other, tile);
}

/* ---- Dot products along the rows of the weights ---- */

/* sum[i][k] += y[i] row[k] for one vector of outputs; rows are `width` floats apart. */
BM_INLINE void dot_step(const uint64_t images,
                        const float *rows,
                        uint64_t width,
                        const float *dy,
                        uint64_t dy_step,
                        bm_vector sum[BM_CPU_DOT_IMAGES][BM_CPU_DOT_INPUTS]) {
    bm_vector y[BM_CPU_DOT_IMAGES];
    BM_UNROLL
    for (uint64_t i = 0; i < images; i++) {
        y[i] = bm_load(dy + i * dy_step);
    }
    BM_UNROLL
    for (uint64_t k = 0; k < BM_CPU_DOT_INPUTS; k++) {
        bm_vector row = bm_load(rows + k * width);
        BM_UNROLL
        for (uint64_t i = 0; i < images; i++) {
            sum[i][k] = bm_multiply_add(y[i], row, sum[i][k]);
        }
    }
}

BM_INLINE void dot_tile(const uint64_t images,
                        const struct bm_cpu_dot *dot,
                        uint64_t input,
                        const float *dy,
                        float *dx) {
    const uint64_t full = dot->columns / BM_CPU_PANEL;
    const uint64_t half = (full + 1) / 2;
    bm_vector sum[BM_CPU_DOT_IMAGES][BM_CPU_DOT_INPUTS];
    BM_UNROLL
    for (uint64_t i = 0; i < images; i++) {
        BM_UNROLL
        for (uint64_t k = 0; k < BM_CPU_DOT_INPUTS; k++) {
            sum[i][k] = bm_nothing();
        }
    }
    /* From the two halves in turn: with a constant step from panel to panel the processor would
     * fetch panels beyond the last, which are another thread's. */
    for (uint64_t n = 0; n < full; n++) {
        const uint64_t j = BM_CPU_PANEL * (n % 2 == 0 ? n / 2 : half + n / 2);
        const float *rows = dot->panels + j * dot->depth + input * BM_CPU_PANEL;
        dot_step(images, rows, BM_CPU_PANEL, dy + j, dot->dy_step, sum);
        dot_step(images, rows + BM_CPU_WIDTH, BM_CPU_PANEL, dy + j + BM_CPU_WIDTH, dot->dy_step,
                 sum);
    }
    if (full * BM_CPU_PANEL < dot->columns) {
        const uint64_t j = full * BM_CPU_PANEL;
        const float *rows = dot->panels + j * dot->depth + input * BM_CPU_WIDTH;
        dot_step(images, rows, BM_CPU_WIDTH, dy + j, dot->dy_step, sum);
    }
    BM_UNROLL
    for (uint64_t i = 0; i < images; i++) {
        bm_store_sums(dx + i * dot->dx_step + input, sum[i]);
    }
}

void bm_cpu_tile_dot(
    const struct bm_cpu_dot *dot, uint64_t input, const float *dy, uint64_t images, float *dx) {
    switch (images) {
    case 1:
        dot_tile(1, dot, input, dy, dx);
        break;
    case 2:
        dot_tile(2, dot, input, dy, dx);
        break;
    default:
        dot_tile(3, dot, input, dy, dx);
        break;
    }
}
