/*
 * Google Benchmark behind a C header: one call measures one block. The library drives the loop and
 * its bookkeeping; calibration, warm-up, clock and samples are ours (see bm_gbench_run). This
 * header compiles as C99.
 */
#ifndef BM_GBENCH_H
#define BM_GBENCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bm_error;

/* What is measured. All functions get `context`, run on the calling thread, and return 0 or a
 * negative BM_STATUS_* with `error` filled. */
struct bm_gbench_block {
    const char *name;   /* for the library's own report only */
    uint64_t values;    /* how many times the clock is read: at least 1 */
    uint64_t per_value; /* steps between two readings: at least 1 */
    void *context;
    int32_t (*prepare)(void *context, struct bm_error *error); /* once, outside the clock: reset,
                                                                  unrecorded updates; may be NULL */
    int32_t (*step)(void *context, struct bm_error *error);
    int32_t (*finish)(void *context, struct bm_error *error); /* inside the clock, after the steps
                                                                 of a value (a wait); may be NULL */
    uint64_t (*now_ns)(void);                                 /* the clock; NULL: CLOCK_MONOTONIC */
};

struct bm_gbench_result {
    uint64_t steps;        /* counted by us, not by the library */
    uint64_t iterations;   /* counted by the library: equal to `steps`, or the run is an error */
    double mean_ns;        /* the library's mean of one step, from the manual times we gave it */
    double process_cpu_ns; /* processor time of the whole process in the loop, all threads, for one
                              step */
};

/*
 * Runs one block through Google Benchmark (fixed iterations, one repetition, manual time, our own
 * reporter) and stores in samples_ns[0 .. values) the time of one step: each value's time over
 * per_value. A step that fails, or a value whose time is not positive, ends the block: its status
 * is returned with `error` filled, and no sample counts: samples and result are zero. Not
 * reentrant: one block at a time in a process. Never prints, never exits.
 */
int32_t bm_gbench_run(const struct bm_gbench_block *block,
                      double *samples_ns,
                      struct bm_gbench_result *result,
                      struct bm_error *error);

/* Version of the library that is linked, and "debug" or "release" as it was built (Debian's is
 * built without NDEBUG). Static strings. */
const char *bm_gbench_version(void);
const char *bm_gbench_build_type(void);

#ifdef __cplusplus
}
#endif

#endif
