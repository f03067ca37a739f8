/*
 * The two matrix loops. Both walk memory in unit stride and keep a tile of sums or coefficients in
 * registers, so that most operands of a multiplication are not loaded again. Each element is summed
 * in the order of k whatever the tile, so the split over threads does not change its bits.
 */
#include "scalar.h"

#define DOT_ROWS 4
#define DOT_COLUMNS 3
#define DOT_COLUMNS_OF_ONE 8
#define DOT_BLOCK 48 /* rows of b that stay in the cache while a is walked */

#define AXPY_ROWS 3
#define AXPY_DEPTH 4
#define AXPY_BLOCK 64 /* rows of b that stay in the cache while c is walked */

#define BM_SCALAR_INLINE static inline __attribute__((always_inline))

/* c[i][j] += sum_k a[i][k] b[j][k] for a tile whose sums fit the registers; inlined with constant
 * rows and columns, which the compiler unrolls. */
BM_SCALAR_INLINE void dot_tile(const size_t rows,
                               const size_t columns,
                               const float *a,
                               size_t lda,
                               const float *b,
                               size_t ldb,
                               float *c,
                               size_t ldc,
                               size_t depth) {
    float sum[DOT_ROWS][DOT_COLUMNS_OF_ONE] = {{0}};
    for (size_t k = 0; k < depth; k++) {
#pragma GCC unroll 8
        for (size_t i = 0; i < rows; i++) {
            float value = a[i * lda + k];
#pragma GCC unroll 8
            for (size_t j = 0; j < columns; j++) {
                sum[i][j] += value * b[j * ldb + k];
            }
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (size_t j = 0; j < columns; j++) {
            c[i * ldc + j] += sum[i][j];
        }
    }
}

/* All columns for DOT_ROWS rows. */
static void dot_rows(const float *a,
                     size_t lda,
                     const float *b,
                     size_t ldb,
                     float *c,
                     size_t ldc,
                     size_t columns,
                     size_t depth) {
    size_t j = 0;
    for (; j + DOT_COLUMNS <= columns; j += DOT_COLUMNS) {
        dot_tile(DOT_ROWS, DOT_COLUMNS, a, lda, b + j * ldb, ldb, c + j, ldc, depth);
    }
    for (; j < columns; j++) {
        dot_tile(DOT_ROWS, 1, a, lda, b + j * ldb, ldb, c + j, ldc, depth);
    }
}

/* All columns for one row. */
static void
dot_row(const float *a, const float *b, size_t ldb, float *c, size_t columns, size_t depth) {
    size_t j = 0;
    for (; j + DOT_COLUMNS_OF_ONE <= columns; j += DOT_COLUMNS_OF_ONE) {
        dot_tile(1, DOT_COLUMNS_OF_ONE, a, 0, b + j * ldb, ldb, c + j, 0, depth);
    }
    for (; j + DOT_COLUMNS <= columns; j += DOT_COLUMNS) {
        dot_tile(1, DOT_COLUMNS, a, 0, b + j * ldb, ldb, c + j, 0, depth);
    }
    for (; j < columns; j++) {
        dot_tile(1, 1, a, 0, b + j * ldb, ldb, c + j, 0, depth);
    }
}

void bm_scalar_dot(const float *a,
                   size_t lda,
                   const float *b,
                   size_t ldb,
                   float *c,
                   size_t ldc,
                   size_t rows,
                   size_t columns,
                   size_t depth) {
    for (size_t first = 0; first < columns; first += DOT_BLOCK) {
        size_t count = columns - first < DOT_BLOCK ? columns - first : DOT_BLOCK;
        const float *block = b + first * ldb;
        size_t i = 0;
        for (; i + DOT_ROWS <= rows; i += DOT_ROWS) {
            dot_rows(a + i * lda, lda, block, ldb, c + i * ldc + first, ldc, count, depth);
        }
        for (; i < rows; i++) {
            dot_row(a + i * lda, block, ldb, c + i * ldc + first, count, depth);
        }
    }
}

/* c[i][j] += sum_k a[i][k] b[k][j] for a few rows and a few k, whose coefficients fit the
 * registers; inlined with constant rows and depth. */
BM_SCALAR_INLINE void axpy_tile(const size_t rows,
                                const size_t depth,
                                const float *a,
                                size_t row_step,
                                size_t depth_step,
                                const float *restrict b,
                                size_t ldb,
                                float *restrict c,
                                size_t ldc,
                                size_t columns) {
    float factor[AXPY_ROWS][AXPY_DEPTH];
#pragma GCC unroll 4
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (size_t k = 0; k < depth; k++) {
            factor[i][k] = a[i * row_step + k * depth_step];
        }
    }
    for (size_t j = 0; j < columns; j++) {
        float sum[AXPY_ROWS];
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++) {
            sum[i] = c[i * ldc + j];
        }
#pragma GCC unroll 4
        for (size_t k = 0; k < depth; k++) {
            float value = b[k * ldb + j];
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++) {
                sum[i] += factor[i][k] * value;
            }
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++) {
            c[i * ldc + j] = sum[i];
        }
    }
}

/* All k for AXPY_ROWS rows. */
static void axpy_rows(const float *a,
                      size_t row_step,
                      size_t depth_step,
                      const float *b,
                      size_t ldb,
                      float *c,
                      size_t ldc,
                      size_t columns,
                      size_t depth) {
    size_t k = 0;
    for (; k + AXPY_DEPTH <= depth; k += AXPY_DEPTH) {
        axpy_tile(AXPY_ROWS, AXPY_DEPTH, a + k * depth_step, row_step, depth_step, b + k * ldb, ldb,
                  c, ldc, columns);
    }
    for (; k < depth; k++) {
        axpy_tile(AXPY_ROWS, 1, a + k * depth_step, row_step, depth_step, b + k * ldb, ldb, c, ldc,
                  columns);
    }
}

/* All k for one row. */
static void axpy_row(const float *a,
                     size_t depth_step,
                     const float *b,
                     size_t ldb,
                     float *c,
                     size_t columns,
                     size_t depth) {
    size_t k = 0;
    for (; k + AXPY_DEPTH <= depth; k += AXPY_DEPTH) {
        axpy_tile(1, AXPY_DEPTH, a + k * depth_step, 0, depth_step, b + k * ldb, ldb, c, 0,
                  columns);
    }
    for (; k < depth; k++) {
        axpy_tile(1, 1, a + k * depth_step, 0, depth_step, b + k * ldb, ldb, c, 0, columns);
    }
}

void bm_scalar_axpy(const float *a,
                    size_t row_step,
                    size_t depth_step,
                    const float *b,
                    size_t ldb,
                    float *c,
                    size_t ldc,
                    size_t rows,
                    size_t columns,
                    size_t depth) {
    for (size_t first = 0; first < depth; first += AXPY_BLOCK) {
        size_t count = depth - first < AXPY_BLOCK ? depth - first : AXPY_BLOCK;
        const float *factors = a + first * depth_step;
        const float *block = b + first * ldb;
        size_t i = 0;
        for (; i + AXPY_ROWS <= rows; i += AXPY_ROWS) {
            axpy_rows(factors + i * row_step, row_step, depth_step, block, ldb, c + i * ldc, ldc,
                      columns, count);
        }
        for (; i < rows; i++) {
            axpy_row(factors + i * row_step, depth_step, block, ldb, c + i * ldc, columns, count);
        }
    }
}
