/* Transposing, eight by eight in registers. */
#include "cpu.h"

#define SIDE 8u

/* to[c][r] = from[r][c] for 8 rows and columns: pairs of rows are interleaved, then pairs of pairs,
 * then halves exchanged. */
static void transpose_block(const float *from, uint64_t from_ld, float *to, uint64_t to_ld) {
    __m256 row[SIDE];
    __m256 two[SIDE];
    __m256 four[SIDE];
    for (uint64_t i = 0; i < SIDE; i++) {
        row[i] = _mm256_loadu_ps(from + i * from_ld);
    }
    for (uint64_t i = 0; i < SIDE; i += 2) {
        two[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
        two[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
    }
    for (uint64_t i = 0; i < SIDE; i += 4) {
        four[i] = _mm256_shuffle_ps(two[i], two[i + 2], 0x44);
        four[i + 1] = _mm256_shuffle_ps(two[i], two[i + 2], 0xee);
        four[i + 2] = _mm256_shuffle_ps(two[i + 1], two[i + 3], 0x44);
        four[i + 3] = _mm256_shuffle_ps(two[i + 1], two[i + 3], 0xee);
    }
    for (uint64_t i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * to_ld, _mm256_permute2f128_ps(four[i], four[i + 4], 0x20));
        _mm256_storeu_ps(to + (i + 4) * to_ld, _mm256_permute2f128_ps(four[i], four[i + 4], 0x31));
    }
}

static void transpose_rest(const float *from,
                           uint64_t from_ld,
                           uint64_t rows,
                           uint64_t columns,
                           float *to,
                           uint64_t to_ld) {
    for (uint64_t r = 0; r < rows; r++) {
        for (uint64_t c = 0; c < columns; c++) {
            to[c * to_ld + r] = from[r * from_ld + c];
        }
    }
}

void bm_cpu_transpose(const float *from,
                      uint64_t from_ld,
                      uint64_t rows,
                      uint64_t columns,
                      float *to,
                      uint64_t to_ld) {
    uint64_t whole_rows = rows / SIDE * SIDE;
    uint64_t whole_columns = columns / SIDE * SIDE;
    for (uint64_t r = 0; r < whole_rows; r += SIDE) {
        for (uint64_t c = 0; c < whole_columns; c += SIDE) {
            transpose_block(from + r * from_ld + c, from_ld, to + c * to_ld + r, to_ld);
        }
    }
    transpose_rest(from + whole_columns, from_ld, whole_rows, columns - whole_columns,
                   to + whole_columns * to_ld, to_ld);
    transpose_rest(from + whole_rows * from_ld, from_ld, rows - whole_rows, columns,
                   to + whole_rows, to_ld);
}
