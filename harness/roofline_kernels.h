/*
 * The loops of the roofline probe, for each instruction set that this processor runs: multiply-add
 * in registers, reading, and reading and writing what an update reads and writes.
 */
#ifndef BM_ROOFLINE_KERNELS_H
#define BM_ROOFLINE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define BM_ROOFLINE_ALIGNMENT 64u /* bytes, of every array */
#define BM_ROOFLINE_STEP 128u     /* every count is a multiple of it */
#define BM_ROOFLINE_STATE 192u    /* values that the registers of a loop hold at most */

/* All calls are pure work on the caller's memory and may run on any number of threads at once. */
struct bm_roofline_kernel {
    const char *isa;
    double multiply_add_flops; /* operations of one call of multiply_add, some microseconds */

    /* a = a * factor + addend in as many independent registers as hide its latency. They begin and
     * end in state[BM_ROOFLINE_STATE], so that no compiler can tell one from another or drop any.
     */
    void (*multiply_add)(float factor, float addend, float *state);

    /* Adds values[0 .. count) to the state: reads 4 bytes a value. */
    void (*read)(const float *values, size_t count, float *state);

    /* Exchanges weights[0 .. count) and moments[0 .. count): reads and writes both, 16 bytes a
     * pair, and leaves nothing that drifts towards subnormals however often it is done. */
    void (*update)(float *weights, float *moments, size_t count);
};

/* Those that this processor and operating system run, at most two, widest first; *count is at
 * least 1. */
const struct bm_roofline_kernel *bm_roofline_kernels(uint32_t *count);

#endif
