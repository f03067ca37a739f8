/*
 * One vector of floats and what the kernels do with it; the only place that knows the instruction
 * set. A kernel works on whole vectors: arrays are padded with zeros to multiples of
 * BM_CPU_WIDTH, so nothing is masked.
 */
#ifndef BM_CPU_SIMD_H
#define BM_CPU_SIMD_H

#include <immintrin.h>
#include <stdint.h>

/* A kernel is a function whose bounds are constants where it is called: inlined there, its loops
 * over registers unrolled. */
#define BM_INLINE static inline __attribute__((always_inline))
#define BM_UNROLL _Pragma("GCC unroll 16")

/* Steps of a loop over the depth between two looks at its counters. */
#define BM_UNROLL_STEPS(steps) BM_UNROLL_TEXT(GCC unroll steps)
#define BM_UNROLL_TEXT(text) _Pragma(#text)

#if defined(__AVX512F__)

#define BM_CPU_ISA "avx512"
#define BM_CPU_WIDTH UINT64_C(16)
#define BM_CPU_ROWS                                                                                \
    14 /* of a tile of two vectors: 28 sums, 2 operands and a factor of 32 registers */
#define BM_CPU_DEPTH UINT64_C(1024) /* of a panel that stays in the cache from tile to tile */
#define BM_CPU_GROUP UINT64_C(4)    /* tiles whose operands stay in the first cache */
#define BM_CPU_GROUP_STEPS UINT64_C(128)
#define BM_CPU_GROUP_PANELS UINT64_C(8) /* that the images' inputs are used for in turn */
#define BM_CPU_DOT_IMAGES UINT64_C(3)
#define BM_CPU_DOT_INPUTS UINT64_C(8)

typedef __m512 bm_vector;
typedef __mmask16 bm_lanes;

static inline bm_lanes bm_all_lanes(void) {
    return UINT16_MAX;
}

static inline bm_vector bm_load(const float *values) {
    return _mm512_loadu_ps(values);
}

static inline void bm_store(float *values, bm_vector x) {
    _mm512_storeu_ps(values, x);
}

static inline bm_vector bm_spread(float value) {
    return _mm512_set1_ps(value);
}

/* a b + c, rounded once */
static inline bm_vector bm_multiply_add(bm_vector a, bm_vector b, bm_vector c) {
    return _mm512_fmadd_ps(a, b, c);
}

static inline bm_vector bm_maximum(bm_vector a, bm_vector b) {
    return _mm512_max_ps(a, b);
}

static inline bm_vector bm_root(bm_vector x) {
    return _mm512_sqrt_ps(x);
}

/* value where x > 0, otherwise 0 */
static inline bm_vector bm_where_positive(bm_vector x, bm_vector value) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), value);
}

/* value where x = y, otherwise 0; `open` says which lanes count, and loses those that were equal */
static inline bm_vector bm_take_equal(bm_vector x, bm_vector y, bm_vector value, bm_lanes *open) {
    bm_lanes equal = _mm512_mask_cmp_ps_mask(*open, x, y, _CMP_EQ_OQ);
    *open = (bm_lanes)(*open & ~equal);
    return _mm512_maskz_mov_ps(equal, value);
}

static inline bm_vector bm_from_bytes(const uint8_t *bytes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)bytes)));
}

/* values[k] = the sum of x[k], k < BM_CPU_DOT_INPUTS, by a fixed tree */
static inline void bm_store_sums(float *values, const bm_vector x[BM_CPU_DOT_INPUTS]) {
    __m256 half[8];
    for (int k = 0; k < 8; k++) {
        half[k] = _mm256_add_ps(_mm512_castps512_ps256(x[k]), _mm512_extractf32x8_ps(x[k], 1));
    }
    __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(half[0], half[1]), _mm256_hadd_ps(half[2], half[3]));
    __m256 high =
        _mm256_hadd_ps(_mm256_hadd_ps(half[4], half[5]), _mm256_hadd_ps(half[6], half[7]));
    _mm256_storeu_ps(values, _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20),
                                           _mm256_permute2f128_ps(low, high, 0x31)));
}

/* sums[0 .. 16) += x */
static inline void bm_add_to_doubles(double *sums, bm_vector x) {
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    _mm512_storeu_pd(sums, _mm512_add_pd(_mm512_loadu_pd(sums), low));
    _mm512_storeu_pd(sums + 8, _mm512_add_pd(_mm512_loadu_pd(sums + 8), high));
}

#else

#define BM_CPU_ISA "avx2"
#define BM_CPU_WIDTH UINT64_C(8)
#define BM_CPU_ROWS                                                                                \
    6 /* of a tile of two vectors: 12 sums, 2 operands and a factor of 16 registers */
#define BM_CPU_DEPTH UINT64_C(256) /* of a panel that stays in the cache from tile to tile */
#define BM_CPU_GROUP UINT64_C(8)   /* tiles whose operands stay in the first cache */
#define BM_CPU_GROUP_STEPS UINT64_C(96)
#define BM_CPU_GROUP_PANELS UINT64_C(8)
#define BM_CPU_DOT_IMAGES UINT64_C(3)
#define BM_CPU_DOT_INPUTS UINT64_C(4)

typedef __m256 bm_vector;
typedef __m256 bm_lanes; /* each all ones or 0 */

static inline bm_lanes bm_all_lanes(void) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(-1));
}

static inline bm_vector bm_load(const float *values) {
    return _mm256_loadu_ps(values);
}

static inline void bm_store(float *values, bm_vector x) {
    _mm256_storeu_ps(values, x);
}

static inline bm_vector bm_spread(float value) {
    return _mm256_set1_ps(value);
}

/* a b + c, rounded once */
static inline bm_vector bm_multiply_add(bm_vector a, bm_vector b, bm_vector c) {
    return _mm256_fmadd_ps(a, b, c);
}

static inline bm_vector bm_maximum(bm_vector a, bm_vector b) {
    return _mm256_max_ps(a, b);
}

static inline bm_vector bm_root(bm_vector x) {
    return _mm256_sqrt_ps(x);
}

/* value where x > 0, otherwise 0 */
static inline bm_vector bm_where_positive(bm_vector x, bm_vector value) {
    return _mm256_and_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ), value);
}

/* value where x = y, otherwise 0; `open` says which lanes count, and loses those that were equal */
static inline bm_vector bm_take_equal(bm_vector x, bm_vector y, bm_vector value, bm_lanes *open) {
    bm_lanes equal = _mm256_and_ps(_mm256_cmp_ps(x, y, _CMP_EQ_OQ), *open);
    *open = _mm256_andnot_ps(equal, *open);
    return _mm256_and_ps(equal, value);
}

static inline bm_vector bm_from_bytes(const uint8_t *bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes)));
}

/* values[k] = the sum of x[k], k < BM_CPU_DOT_INPUTS, by a fixed tree */
static inline void bm_store_sums(float *values, const bm_vector x[BM_CPU_DOT_INPUTS]) {
    __m256 both = _mm256_hadd_ps(_mm256_hadd_ps(x[0], x[1]), _mm256_hadd_ps(x[2], x[3]));
    _mm_storeu_ps(values, _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1)));
}

/* sums[0 .. 8) += x */
static inline void bm_add_to_doubles(double *sums, bm_vector x) {
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
    __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
    _mm256_storeu_pd(sums, _mm256_add_pd(_mm256_loadu_pd(sums), low));
    _mm256_storeu_pd(sums + 4, _mm256_add_pd(_mm256_loadu_pd(sums + 4), high));
}

#endif

static inline bm_vector bm_nothing(void) {
    return bm_spread(0.0f);
}

static inline bm_vector bm_add(bm_vector a, bm_vector b) {
    return a + b;
}

static inline bm_vector bm_subtract(bm_vector a, bm_vector b) {
    return a - b;
}

static inline bm_vector bm_multiply(bm_vector a, bm_vector b) {
    return a * b;
}

static inline bm_vector bm_divide(bm_vector a, bm_vector b) {
    return a / b;
}

/* `count` rounded up to whole vectors. */
static inline uint64_t bm_padded(uint64_t count) {
    return (count + BM_CPU_WIDTH - 1) / BM_CPU_WIDTH * BM_CPU_WIDTH;
}

#endif
