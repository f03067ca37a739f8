#include "counted.h"

#include "error.h"
#include "hardware_counter.h"
#include "measure.h"

#include <sched.h>

/* Neither inlined nor cloned: it has a name and an end. */
__attribute__((noinline, visibility("default"))) int32_t
bm_counted_updates(struct bm_bench *bench, uint64_t count, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint64_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        status = bm_bench_update(bench, error);
        status = status ? status : bm_bench_wait(bench, NULL, error);
    }
    return status;
}

static int32_t count_by_hardware(struct bm_bench *bench,
                                 uint64_t count,
                                 uint64_t *instructions,
                                 struct bm_error *error) {
    struct bm_hardware_counter counter;
    int32_t status = bm_hardware_counter_open(&counter, error);
    status = status ? status : bm_hardware_counter_start(&counter, error);
    status = status ? status : bm_counted_updates(bench, count, error);
    status = status ? status : bm_hardware_counter_stop(&counter, instructions, error);
    bm_hardware_counter_close(&counter);
    return status;
}

/* Processors of one machine may count differently. `before` is for setting it back. */
static int32_t bind_thread(cpu_set_t *before, struct bm_error *error) {
    cpu_set_t one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof *before, before) != 0) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "worker: cannot tell its processors");
    }
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, before)) {
            CPU_SET(cpu, &one);
        }
    }
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "worker: cannot bind to one processor");
    }
    return BM_STATUS_OK;
}

int32_t bm_counted_run(struct bm_bench *bench,
                       uint64_t count,
                       uint32_t by_hardware,
                       uint64_t *instructions,
                       struct bm_error *error) {
    cpu_set_t before;
    *instructions = 0;
    int32_t status = bind_thread(&before, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_bench_reset(bench, error);
    for (uint32_t i = 0; i < BM_MEASURE_WARM_UP && status == BM_STATUS_OK; i++) {
        status = bm_bench_update(bench, error);
        status = status ? status : bm_bench_wait(bench, NULL, error);
    }
    if (status == BM_STATUS_OK) {
        status = by_hardware ? count_by_hardware(bench, count, instructions, error)
                             : bm_counted_updates(bench, count, error);
    }
    (void)sched_setaffinity(0, sizeof before, &before);
    return status;
}
