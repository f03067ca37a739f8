/* One small function for each loop and width. Vectors are the compiler's own, so that an
 * instruction set without a function here still runs the 16-byte ones. This file is compiled with
 * -O3 and contraction of a * b + c in every build type. */
#include "roofline_kernels.h"

/* Enough to keep two units of latency four busy, and no more than there are registers; other
 * processors than x86 have at least 24 and up to four units. */
#if defined(__x86_64__) || defined(__i386__)
#define X86 1
#define NARROW_REGISTERS 12
#else
#define X86 0
#define NARROW_REGISTERS 24
#endif
#define WIDE_REGISTERS 12
#define ROUNDS 2048
#define FLOPS(registers, lanes) (2.0 * ROUNDS * (registers) * (lanes))
#define READ_REGISTERS 8

_Static_assert(WIDE_REGISTERS * 16 <= BM_ROOFLINE_STATE &&
                   NARROW_REGISTERS * 4 <= BM_ROOFLINE_STATE,
               "the state holds every register");

typedef float narrow __attribute__((vector_size(16), may_alias));

static void multiply_add_narrow(float factor, float addend, float *state) {
    narrow a[NARROW_REGISTERS];
    narrow *s = (narrow *)state;
    narrow x = {factor, factor, factor, factor};
    narrow y = {addend, addend, addend, addend};
    for (int k = 0; k < NARROW_REGISTERS; k++) {
        a[k] = s[k];
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < NARROW_REGISTERS; k++) {
            a[k] = a[k] * x + y;
        }
    }
    for (int k = 0; k < NARROW_REGISTERS; k++) {
        s[k] = a[k];
    }
}

static void read_narrow(const float *values, size_t count, float *state) {
    const narrow *v = (const narrow *)values;
    narrow a[READ_REGISTERS];
    narrow *s = (narrow *)state;
    for (int k = 0; k < READ_REGISTERS; k++) {
        a[k] = s[k];
    }
    for (size_t i = 0; i < count / 4; i += READ_REGISTERS) {
        for (size_t k = 0; k < READ_REGISTERS; k++) {
            a[k] += v[i + k];
        }
    }
    for (int k = 0; k < READ_REGISTERS; k++) {
        s[k] = a[k];
    }
}

static void update_narrow(float *weights, float *moments, size_t count) {
    narrow *w = (narrow *)weights;
    narrow *m = (narrow *)moments;
    for (size_t i = 0; i < count / 4; i += 4) {
        for (size_t k = i; k < i + 4; k++) {
            narrow kept = w[k];
            w[k] = m[k];
            m[k] = kept;
        }
    }
}

static const struct bm_roofline_kernel narrow_kernel = {
    .isa = X86 ? "sse" : "vectors of 16 bytes",
    .multiply_add_flops = FLOPS(NARROW_REGISTERS, 4),
    .multiply_add = multiply_add_narrow,
    .read = read_narrow,
    .update = update_narrow,
};

#if X86

typedef float avx2 __attribute__((vector_size(32), may_alias));
typedef float avx512 __attribute__((vector_size(64), may_alias));

__attribute__((target("avx2,fma"))) static void
multiply_add_avx2(float factor, float addend, float *state) {
    avx2 a[WIDE_REGISTERS];
    avx2 *s = (avx2 *)state;
    avx2 x = factor - (avx2){0};
    avx2 y = addend - (avx2){0};
    for (int k = 0; k < WIDE_REGISTERS; k++) {
        a[k] = s[k];
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < WIDE_REGISTERS; k++) {
            a[k] = a[k] * x + y;
        }
    }
    for (int k = 0; k < WIDE_REGISTERS; k++) {
        s[k] = a[k];
    }
}

__attribute__((target("avx2,fma"))) static void
read_avx2(const float *values, size_t count, float *state) {
    const avx2 *v = (const avx2 *)values;
    avx2 a[READ_REGISTERS];
    avx2 *s = (avx2 *)state;
    for (int k = 0; k < READ_REGISTERS; k++) {
        a[k] = s[k];
    }
    for (size_t i = 0; i < count / 8; i += READ_REGISTERS) {
        for (size_t k = 0; k < READ_REGISTERS; k++) {
            a[k] += v[i + k];
        }
    }
    for (int k = 0; k < READ_REGISTERS; k++) {
        s[k] = a[k];
    }
}

__attribute__((target("avx2,fma"))) static void
update_avx2(float *weights, float *moments, size_t count) {
    avx2 *w = (avx2 *)weights;
    avx2 *m = (avx2 *)moments;
    for (size_t i = 0; i < count / 8; i += 4) {
        for (size_t k = i; k < i + 4; k++) {
            avx2 kept = w[k];
            w[k] = m[k];
            m[k] = kept;
        }
    }
}

__attribute__((target("avx512f"))) static void
multiply_add_avx512(float factor, float addend, float *state) {
    avx512 a[WIDE_REGISTERS];
    avx512 *s = (avx512 *)state;
    avx512 x = factor - (avx512){0};
    avx512 y = addend - (avx512){0};
    for (int k = 0; k < WIDE_REGISTERS; k++) {
        a[k] = s[k];
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < WIDE_REGISTERS; k++) {
            a[k] = a[k] * x + y;
        }
    }
    for (int k = 0; k < WIDE_REGISTERS; k++) {
        s[k] = a[k];
    }
}

__attribute__((target("avx512f"))) static void
read_avx512(const float *values, size_t count, float *state) {
    const avx512 *v = (const avx512 *)values;
    avx512 a[READ_REGISTERS];
    avx512 *s = (avx512 *)state;
    for (int k = 0; k < READ_REGISTERS; k++) {
        a[k] = s[k];
    }
    for (size_t i = 0; i < count / 16; i += READ_REGISTERS) {
        for (size_t k = 0; k < READ_REGISTERS; k++) {
            a[k] += v[i + k];
        }
    }
    for (int k = 0; k < READ_REGISTERS; k++) {
        s[k] = a[k];
    }
}

__attribute__((target("avx512f"))) static void
update_avx512(float *weights, float *moments, size_t count) {
    avx512 *w = (avx512 *)weights;
    avx512 *m = (avx512 *)moments;
    for (size_t i = 0; i < count / 16; i += 4) {
        for (size_t k = i; k < i + 4; k++) {
            avx512 kept = w[k];
            w[k] = m[k];
            m[k] = kept;
        }
    }
}

static const struct bm_roofline_kernel wide_kernels[] = {
    {
        .isa = "avx512",
        .multiply_add_flops = FLOPS(WIDE_REGISTERS, 16),
        .multiply_add = multiply_add_avx512,
        .read = read_avx512,
        .update = update_avx512,
    },
    {
        .isa = "avx2",
        .multiply_add_flops = FLOPS(WIDE_REGISTERS, 8),
        .multiply_add = multiply_add_avx2,
        .read = read_avx2,
        .update = update_avx2,
    },
};

const struct bm_roofline_kernel *bm_roofline_kernels(uint32_t *count) {
    __builtin_cpu_init();
    int has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (has_avx2 && __builtin_cpu_supports("avx512f")) {
        *count = 2;
        return &wide_kernels[0];
    }
    *count = 1;
    return has_avx2 ? &wide_kernels[1] : &narrow_kernel;
}

#else

const struct bm_roofline_kernel *bm_roofline_kernels(uint32_t *count) {
    *count = 1;
    return &narrow_kernel;
}

#endif
