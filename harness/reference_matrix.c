/* The reference's parallel loop and its blocked matrix products, in float64 and, where it plays
 * a backend, in float32. */
#include "error.h"
#include "reference_parts.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* ---- Parallel loop ---- */

struct loop {
    atomic_uint_fast64_t next;
    uint64_t count;
    uint64_t grain;
    bm_reference_task *task;
    void *context;
};

struct loop_thread {
    struct loop *loop;
    uint32_t thread;
    pthread_t handle;
};

static void *run_loop(void *argument) {
    struct loop_thread *self = argument;
    struct loop *loop = self->loop;
    for (;;) {
        uint64_t first = atomic_fetch_add(&loop->next, loop->grain);
        if (first >= loop->count) {
            return NULL;
        }
        uint64_t last = loop->count - first < loop->grain ? loop->count : first + loop->grain;
        loop->task(loop->context, self->thread, first, last);
    }
}

void bm_reference_parallel(
    uint32_t thread_count, uint64_t count, uint64_t grain, bm_reference_task *task, void *context) {
    struct loop loop = {.count = count, .grain = grain, .task = task, .context = context};
    struct loop_thread threads[BM_REFERENCE_THREAD_MAX];
    uint32_t started = 0;
    atomic_init(&loop.next, 0);
    while (started + 1 < thread_count && (started + 1) * grain < count) {
        threads[started].loop = &loop;
        threads[started].thread = started + 1;
        if (pthread_create(&threads[started].handle, NULL, run_loop, &threads[started]) != 0) {
            break;
        }
        started++;
    }
    struct loop_thread self = {.loop = &loop, .thread = 0};
    (void)run_loop(&self);
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i].handle, NULL);
    }
}

/* ---- Micro-kernels ---- */

/*
 * tile[i][j] = sum_k a[k][i] b[k][j] over packed panels. The body is compiled for three processors,
 * chosen when running: an ifunc (target_clones) would run before a sanitizer is ready. The sums are
 * in registers only where the loop over rows is unrolled.
 */
typedef double vector4 __attribute__((vector_size(32), aligned(8), may_alias));
typedef double vector8 __attribute__((vector_size(64), aligned(8), may_alias));

typedef void
micro_kernel(size_t depth, const double *restrict a, const double *restrict b, double *tile);

#define TILE_ROWS_MAX 8
#define TILE_COLUMNS_MAX 16

/* `vector` is a type, which no parentheses may surround where it declares. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define MICRO_KERNEL_BODY(vector, rows)                                                            \
    vector sum[rows][2];                                                                           \
    _Pragma("GCC unroll 8") for (size_t i = 0; i < (rows); i++) {                                  \
        sum[i][0] = (vector){0};                                                                   \
        sum[i][1] = (vector){0};                                                                   \
    }                                                                                              \
    for (size_t k = 0; k < depth; k++) {                                                           \
        const vector *line = (const vector *)(const void *)(b + k * 2 * sizeof(vector) / 8);       \
        vector low = line[0];                                                                      \
        vector high = line[1];                                                                     \
        _Pragma("GCC unroll 8") for (size_t i = 0; i < (rows); i++) {                              \
            sum[i][0] += a[k * (rows) + i] * low;                                                  \
            sum[i][1] += a[k * (rows) + i] * high;                                                 \
        }                                                                                          \
    }                                                                                              \
    _Pragma("GCC unroll 8") for (size_t i = 0; i < (rows); i++) {                                  \
        vector *line = (vector *)(void *)(tile + i * 2 * sizeof(vector) / 8);                      \
        line[0] = sum[i][0];                                                                       \
        line[1] = sum[i][1];                                                                       \
    }                                                                                              \
    (void)0

/* NOLINTEND(bugprone-macro-parentheses) */

static void
multiply_portable(size_t depth, const double *restrict a, const double *restrict b, double *tile) {
    MICRO_KERNEL_BODY(vector4, 4);
}

#if defined(__x86_64__)
/* Fused multiply-adds, which gcc leaves out in strict C. */
#if defined(__clang__)
#define CONTRACT
#else
#define CONTRACT __attribute__((optimize("fp-contract=fast")))
#endif

__attribute__((target("avx2,fma"))) CONTRACT static void
multiply_avx2(size_t depth, const double *restrict a, const double *restrict b, double *tile) {
    MICRO_KERNEL_BODY(vector4, 4);
}

__attribute__((target("avx512f"))) CONTRACT static void
multiply_avx512(size_t depth, const double *restrict a, const double *restrict b, double *tile) {
    MICRO_KERNEL_BODY(vector8, 8);
}
#endif

struct kernel {
    size_t rows;
    size_t columns;
    micro_kernel *multiply;
};

static struct kernel choose_kernel(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return (struct kernel){8, 16, multiply_avx512};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return (struct kernel){4, 8, multiply_avx2};
    }
#endif
    return (struct kernel){4, 8, multiply_portable};
}

/* ---- Packing and blocking ---- */

#define BLOCK_ROWS ((size_t)64)
#define BLOCK_DEPTH ((size_t)256)
#define BLOCK_COLUMNS ((size_t)512)

_Static_assert(BM_MULTIPLY_SCRATCH == 64 * 256 + 256 * 512, "scratch holds one block of a and b");

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* packed[k][i] = value(i, k) for `count` lines i, zero from there to `width`. */
static void pack_panel(const struct bm_operand *from,
                       size_t line_step,
                       size_t depth_step,
                       size_t offset,
                       size_t count,
                       size_t width,
                       size_t depth,
                       double *packed) {
    for (size_t k = 0; k < depth; k++) {
        double *to = packed + k * width;
        size_t at = offset + k * depth_step;
        for (size_t i = 0; i < count; i++) {
            to[i] = from->values[at + i * line_step];
        }
        for (size_t i = count; i < width; i++) {
            to[i] = 0;
        }
    }
    size_t total = depth * width;
    if (from->form == BM_OPERAND_SQUARE) {
        for (size_t i = 0; i < total; i++) {
            packed[i] *= packed[i];
        }
    }
}

static void add_tile(
    const double *tile, size_t tile_step, size_t rows, size_t columns, double *c, size_t step) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            c[i * step + j] += tile[i * tile_step + j];
        }
    }
}

/* Products of one packed block of a [rows][depth] with one of b [depth][columns]. */
static void multiply_block(const struct kernel *kernel,
                           size_t rows,
                           size_t columns,
                           size_t depth,
                           const double *a,
                           const double *b,
                           double *c,
                           size_t c_step) {
    double tile[TILE_ROWS_MAX * TILE_COLUMNS_MAX];
    for (size_t j = 0; j < columns; j += kernel->columns) {
        for (size_t i = 0; i < rows; i += kernel->rows) {
            kernel->multiply(depth, a + i * depth, b + j * depth, tile);
            add_tile(tile, kernel->columns, smaller(kernel->rows, rows - i),
                     smaller(kernel->columns, columns - j), c + i * c_step + j, c_step);
        }
    }
}

void bm_reference_multiply(size_t rows,
                           size_t columns,
                           size_t depth,
                           struct bm_operand a,
                           struct bm_operand b,
                           double *c,
                           size_t c_step,
                           double *scratch) {
    struct kernel kernel = choose_kernel();
    double *packed_a = scratch;
    double *packed_b = scratch + BLOCK_ROWS * BLOCK_DEPTH;
    for (size_t j = 0; j < columns; j += BLOCK_COLUMNS) {
        size_t width = smaller(BLOCK_COLUMNS, columns - j);
        for (size_t k = 0; k < depth; k += BLOCK_DEPTH) {
            size_t deep = smaller(BLOCK_DEPTH, depth - k);
            for (size_t p = 0; p < width; p += kernel.columns) {
                pack_panel(&b, b.column_step, b.row_step, k * b.row_step + (j + p) * b.column_step,
                           smaller(kernel.columns, width - p), kernel.columns, deep,
                           packed_b + p * deep);
            }
            for (size_t i = 0; i < rows; i += BLOCK_ROWS) {
                size_t high = smaller(BLOCK_ROWS, rows - i);
                for (size_t p = 0; p < high; p += kernel.rows) {
                    pack_panel(
                        &a, a.row_step, a.column_step, (i + p) * a.row_step + k * a.column_step,
                        smaller(kernel.rows, high - p), kernel.rows, deep, packed_a + p * deep);
                }
                multiply_block(&kernel, high, width, deep, packed_a, packed_b, c + i * c_step + j,
                               c_step);
            }
        }
    }
}

/* ---- Float32 ---- */

/* tile[i][j] += sum_k a[k][i] b[k][j], one accumulator an element, over packed panels. */
typedef float vector8f __attribute__((vector_size(32), aligned(4), may_alias));
typedef float vector16f __attribute__((vector_size(64), aligned(4), may_alias));

typedef void
micro_kernel_float32(size_t depth, const float *restrict a, const float *restrict b, float *tile);

#define TILE_COLUMNS_MAX_FLOAT32 32

/* As above. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define MICRO_KERNEL_FLOAT32_BODY(vector, rows)                                                    \
    vector sum[rows][2];                                                                           \
    vector *tiles = (vector *)(void *)tile;                                                        \
    _Pragma("GCC unroll 8") for (size_t i = 0; i < (rows); i++) {                                  \
        sum[i][0] = tiles[2 * i];                                                                  \
        sum[i][1] = tiles[2 * i + 1];                                                              \
    }                                                                                              \
    for (size_t k = 0; k < depth; k++) {                                                           \
        const vector *line = (const vector *)(const void *)(b + k * 2 * sizeof(vector) / 4);       \
        vector low = line[0];                                                                      \
        vector high = line[1];                                                                     \
        _Pragma("GCC unroll 8") for (size_t i = 0; i < (rows); i++) {                              \
            sum[i][0] += a[k * (rows) + i] * low;                                                  \
            sum[i][1] += a[k * (rows) + i] * high;                                                 \
        }                                                                                          \
    }                                                                                              \
    _Pragma("GCC unroll 8") for (size_t i = 0; i < (rows); i++) {                                  \
        tiles[2 * i] = sum[i][0];                                                                  \
        tiles[2 * i + 1] = sum[i][1];                                                              \
    }                                                                                              \
    (void)0

/* NOLINTEND(bugprone-macro-parentheses) */

static void multiply_float32_portable(size_t depth,
                                      const float *restrict a,
                                      const float *restrict b,
                                      float *tile) {
    MICRO_KERNEL_FLOAT32_BODY(vector8f, 4);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) CONTRACT static void
multiply_float32_avx2(size_t depth, const float *restrict a, const float *restrict b, float *tile) {
    MICRO_KERNEL_FLOAT32_BODY(vector8f, 4);
}

__attribute__((target("avx512f"))) CONTRACT static void multiply_float32_avx512(
    size_t depth, const float *restrict a, const float *restrict b, float *tile) {
    MICRO_KERNEL_FLOAT32_BODY(vector16f, 8);
}
#endif

struct kernel_float32 {
    size_t rows;
    size_t columns;
    micro_kernel_float32 *multiply;
};

static struct kernel_float32 choose_kernel_float32(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return (struct kernel_float32){8, 32, multiply_float32_avx512};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return (struct kernel_float32){4, 16, multiply_float32_avx2};
    }
#endif
    return (struct kernel_float32){4, 16, multiply_float32_portable};
}

/* packed[k][i] = value(i, order[k]) for `count` lines i, zero from there to `width`. */
static void pack_panel_float32(const struct bm_operand *from,
                               size_t line_step,
                               size_t depth_step,
                               size_t offset,
                               size_t count,
                               size_t width,
                               const uint32_t *order,
                               size_t depth,
                               float *packed) {
    for (size_t k = 0; k < depth; k++) {
        const double *line = from->values + offset + order[k] * depth_step;
        float *to = packed + k * width;
        for (size_t i = 0; i < count; i++) {
            to[i] = (float)line[i * line_step];
        }
        for (size_t i = count; i < width; i++) {
            to[i] = 0;
        }
    }
}

/* A chain goes on with the sums so far. */
static void load_tile(
    const double *c, size_t step, size_t rows, size_t columns, float *tile, size_t tile_step) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            tile[i * tile_step + j] = (float)c[i * step + j];
        }
    }
}

static void store_tile(
    const float *tile, size_t tile_step, size_t rows, size_t columns, double *c, size_t step) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            c[i * step + j] = (double)tile[i * tile_step + j];
        }
    }
}

static void add_tile_float32(
    const float *tile, size_t tile_step, size_t rows, size_t columns, double *c, size_t step) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            float sum = (float)c[i * step + j] + tile[i * tile_step + j];
            c[i * step + j] = (double)sum;
        }
    }
}

static void multiply_block_float32(const struct kernel_float32 *kernel,
                                   size_t rows,
                                   size_t columns,
                                   size_t depth,
                                   size_t length,
                                   const float *a,
                                   const float *b,
                                   double *c,
                                   size_t c_step) {
    float tile[TILE_ROWS_MAX * TILE_COLUMNS_MAX_FLOAT32] = {0};
    for (size_t j = 0; j < columns; j += kernel->columns) {
        for (size_t i = 0; i < rows; i += kernel->rows) {
            size_t high = smaller(kernel->rows, rows - i);
            size_t wide = smaller(kernel->columns, columns - j);
            double *at = c + i * c_step + j;
            if (length == 0) {
                load_tile(at, c_step, high, wide, tile, kernel->columns);
                kernel->multiply(depth, a + i * depth, b + j * depth, tile);
                store_tile(tile, kernel->columns, high, wide, at, c_step);
            }
            for (size_t k = 0; length > 0 && k < depth; k += length) {
                memset(tile, 0, sizeof tile);
                kernel->multiply(smaller(length, depth - k), a + i * depth + k * kernel->rows,
                                 b + j * depth + k * kernel->columns, tile);
                add_tile_float32(tile, kernel->columns, high, wide, at, c_step);
            }
        }
    }
}

void bm_reference_multiply_float32(size_t rows,
                                   size_t columns,
                                   size_t depth,
                                   struct bm_operand a,
                                   struct bm_operand b,
                                   struct bm_chains chains,
                                   double *c,
                                   size_t c_step,
                                   double *scratch) {
    BM_ASSERT(BLOCK_DEPTH % (chains.length > 0 ? chains.length : 1) == 0);
    struct kernel_float32 kernel = choose_kernel_float32();
    float *packed_a = (float *)(void *)scratch;
    float *packed_b = packed_a + BLOCK_ROWS * BLOCK_DEPTH;
    for (size_t j = 0; j < columns; j += BLOCK_COLUMNS) {
        size_t width = smaller(BLOCK_COLUMNS, columns - j);
        for (size_t k = 0; k < depth; k += BLOCK_DEPTH) {
            size_t deep = smaller(BLOCK_DEPTH, depth - k);
            for (size_t p = 0; p < width; p += kernel.columns) {
                pack_panel_float32(&b, b.column_step, b.row_step, (j + p) * b.column_step,
                                   smaller(kernel.columns, width - p), kernel.columns,
                                   chains.order + k, deep, packed_b + p * deep);
            }
            for (size_t i = 0; i < rows; i += BLOCK_ROWS) {
                size_t high = smaller(BLOCK_ROWS, rows - i);
                for (size_t p = 0; p < high; p += kernel.rows) {
                    pack_panel_float32(&a, a.row_step, a.column_step, (i + p) * a.row_step,
                                       smaller(kernel.rows, high - p), kernel.rows,
                                       chains.order + k, deep, packed_a + p * deep);
                }
                multiply_block_float32(&kernel, high, width, deep, chains.length, packed_a,
                                       packed_b, c + i * c_step + j, c_step);
            }
        }
    }
}
