/* Sums over rows of a matrix, column by column, in double. */
#include "cpu.h"

#define ROWS 128u         /* added in float32 before they go into a double */
#define GROUP UINT64_C(8) /* vectors of columns side by side */

BM_INLINE void sum_block(const uint64_t vectors,
                         const float *x,
                         uint64_t ld,
                         uint64_t first,
                         uint64_t last,
                         uint64_t column,
                         double *sums) {
    bm_vector sum[GROUP];
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        sum[v] = bm_nothing();
    }
    for (uint64_t row = first; row < last; row++) {
        BM_UNROLL
        for (uint64_t v = 0; v < vectors; v++) {
            sum[v] = bm_add(sum[v], bm_load(x + row * ld + column + v * BM_CPU_WIDTH));
        }
    }
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        bm_add_to_doubles(sums + column + v * BM_CPU_WIDTH, sum[v]);
    }
}

void bm_cpu_add_rows(
    const float *x, uint64_t ld, uint64_t rows, uint64_t begin, uint64_t end, double *sums) {
    for (uint64_t first = 0; first < rows; first += ROWS) {
        uint64_t last = rows - first < ROWS ? rows : first + ROWS;
        uint64_t c = begin;
        for (; c + GROUP * BM_CPU_WIDTH <= end; c += GROUP * BM_CPU_WIDTH) {
            sum_block(GROUP, x, ld, first, last, c, sums);
        }
        for (; c + 2 * BM_CPU_WIDTH <= end; c += 2 * BM_CPU_WIDTH) {
            sum_block(2, x, ld, first, last, c, sums);
        }
        for (; c < end; c += BM_CPU_WIDTH) {
            sum_block(1, x, ld, first, last, c, sums);
        }
    }
}
