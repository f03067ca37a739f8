#include "measure.h"

#include "error.h"
#include "gbench.h"
#include "now.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const char *const bm_series_names[BM_SERIES_COUNT + 1] = {
    "gradient",        "apply",        "update",        "pipelined", "updates",
    "device_gradient", "device_apply", "device_update", NULL,
};

uint32_t bm_series_steps(enum bm_series series) {
    return series != BM_SERIES_GRADIENT && series != BM_SERIES_DEVICE_GRADIENT;
}

uint32_t bm_series_is_device(enum bm_series series) {
    return series >= BM_SERIES_DEVICE_GRADIENT;
}

/* Applies alone, all with the same gradient. */
static int32_t is_apply(enum bm_series series) {
    return series == BM_SERIES_APPLY || series == BM_SERIES_DEVICE_APPLY;
}

/* ---- One step of each series ---- */

struct block {
    struct bm_bench *bench;
    const struct bm_block_shape *shape;
};

static int32_t wait_step(void *context, struct bm_error *error) {
    struct block *block = context;
    return bm_bench_wait(block->bench, NULL, error);
}

static int32_t gradient_step(void *context, struct bm_error *error) {
    struct block *block = context;
    int32_t status = bm_bench_gradient(block->bench, block->bench->batch, error);
    bm_bench_walk(block->bench);
    return status == BM_STATUS_OK ? bm_bench_wait(block->bench, NULL, error) : status;
}

static int32_t apply_step(void *context, struct bm_error *error) {
    struct block *block = context;
    int32_t status = bm_bench_apply(block->bench, error);
    block->bench->update++;
    return status == BM_STATUS_OK ? bm_bench_wait(block->bench, NULL, error) : status;
}

static int32_t update_step(void *context, struct bm_error *error) {
    struct block *block = context;
    int32_t status = bm_bench_update(block->bench, error);
    return status == BM_STATUS_OK ? bm_bench_wait(block->bench, NULL, error) : status;
}

static int32_t pipelined_step(void *context, struct bm_error *error) {
    struct block *block = context;
    return bm_bench_update(block->bench, error);
}

static int32_t updates_step(void *context, struct bm_error *error) {
    struct block *block = context;
    int32_t status = bm_bench_updates(block->bench, (uint32_t)block->shape->per_value, error);
    return status == BM_STATUS_OK ? bm_bench_wait(block->bench, NULL, error) : status;
}

/* A GPU that has nothing to do lowers its clock and takes its time to raise it again: an H100 was
 * seen at 345 of 1980 MHz for the first 100 ms of work, at a quarter of its speed. */
#define DROWSY_NS 50000000u
#define WAKE_NS 250000000u

/* Updates without a record until the device runs at the clock of work. */
static int32_t wake(struct block *block, struct bm_error *error) {
    struct bm_bench *bench = block->bench;
    uint64_t begun_ns = bm_now_ns();
    int32_t status = BM_STATUS_OK;
    if (!bench->on_gpu || begun_ns < bench->busy_until_ns + DROWSY_NS) {
        return BM_STATUS_OK;
    }
    while (status == BM_STATUS_OK && bm_now_ns() < begun_ns + WAKE_NS) {
        status = update_step(block, error);
    }
    return status;
}

static void note_busy(struct bm_bench *bench) {
    bench->busy_until_ns = bm_now_ns();
}

static int32_t start(struct block *block, struct bm_error *error) {
    int32_t status = bm_bench_reset(block->bench, error);
    for (uint32_t i = 0; i < BM_MEASURE_WARM_UP && status == BM_STATUS_OK; i++) {
        status = update_step(block, error);
    }
    if (status == BM_STATUS_OK && is_apply(block->shape->series)) {
        status = bm_bench_gradient(block->bench, block->bench->batch, error);
        if (status == BM_STATUS_OK) {
            status = bm_bench_wait(block->bench, NULL, error);
        }
    }
    return status;
}

static int32_t prepare(void *context, struct bm_error *error) {
    int32_t status = wake(context, error);
    return status == BM_STATUS_OK ? start(context, error) : status;
}

static int32_t (*const steps[BM_SERIES_COUNT])(void *context, struct bm_error *error) = {
    [BM_SERIES_GRADIENT] = gradient_step,  [BM_SERIES_APPLY] = apply_step,
    [BM_SERIES_UPDATE] = update_step,      [BM_SERIES_PIPELINED] = pipelined_step,
    [BM_SERIES_UPDATES] = updates_step,    [BM_SERIES_DEVICE_GRADIENT] = gradient_step,
    [BM_SERIES_DEVICE_APPLY] = apply_step, [BM_SERIES_DEVICE_UPDATE] = update_step,
};

/* ---- Blocks ---- */

static uint32_t params_crc(const float *values, uint64_t count) {
    uLong crc = crc32(0, NULL, 0);
    return (uint32_t)crc32_z(crc, (const unsigned char *)values, count * sizeof *values);
}

/* By the host's clock, through Google Benchmark. */
static int32_t
time_steps(struct block *block, double *samples_ns, double *cpu_ns, struct bm_error *error) {
    const struct bm_block_shape *shape = block->shape;
    struct bm_gbench_result timed = {0};
    /* `updates` is one step for per_value updates. */
    int32_t joined = shape->series == BM_SERIES_UPDATES;
    struct bm_gbench_block run = {
        .name = bm_series_names[shape->series],
        .values = shape->values,
        .per_value = joined ? 1 : shape->per_value,
        .context = block,
        .prepare = prepare,
        .step = steps[shape->series],
        .finish = shape->series == BM_SERIES_PIPELINED ? wait_step : NULL,
    };
    int32_t status = bm_gbench_run(&run, samples_ns, &timed, error);
    double divisor = joined ? (double)shape->per_value : 1.0;
    for (uint64_t i = 0; i < shape->values && joined && status == BM_STATUS_OK; i++) {
        samples_ns[i] /= divisor;
    }
    *cpu_ns = timed.process_cpu_ns / divisor;
    return status;
}

/* An update by two calls takes what both take. Not positive: not known. */
static double device_ns(const struct block *block, const struct bm_device_time *time) {
    enum bm_series series = block->shape->series;
    if (is_apply(series)) {
        return time->apply_ns;
    }
    if (series != BM_SERIES_DEVICE_UPDATE || block->bench->plugin->update != NULL) {
        return time->gradient_ns;
    }
    return time->gradient_ns > 0 && time->apply_ns > 0 ? time->gradient_ns + time->apply_ns : -1;
}

/* By the device's clock. */
static int32_t
read_steps(struct block *block, double *samples_ns, uint32_t *is_unknown, struct bm_error *error) {
    int32_t status = prepare(block, error);
    const struct bm_block_shape *shape = block->shape;
    memset(samples_ns, 0, shape->values * sizeof *samples_ns);
    for (uint64_t i = 0; i < shape->values * shape->per_value && status == BM_STATUS_OK; i++) {
        struct bm_device_time time;
        status = steps[shape->series](block, error);
        if (status == BM_STATUS_OK) {
            status = bm_bench_device_time(block->bench, &time, error);
        }
        if (status == BM_STATUS_OK) {
            double ns = device_ns(block, &time);
            samples_ns[i / shape->per_value] += ns / (double)shape->per_value;
            *is_unknown = *is_unknown || !(ns > 0);
        }
    }
    return status;
}

int32_t bm_measure_block(struct bm_bench *bench,
                         const struct bm_block_shape *shape,
                         float *after,
                         double *samples_ns,
                         struct bm_block_result *result,
                         struct bm_error *error) {
    struct block block = {bench, shape};
    memset(result, 0, sizeof *result);
    int32_t status = bm_series_is_device(shape->series)
                         ? read_steps(&block, samples_ns, &result->is_unknown, error)
                         : time_steps(&block, samples_ns, &result->cpu_ns, error);
    note_busy(bench);
    if (status != BM_STATUS_OK || !bm_series_steps(shape->series)) {
        return status;
    }
    status = bm_bench_read_params(bench, after, error);
    result->params_crc = params_crc(after, bench->param_count);
    return status;
}

/* Every series but the gradients changes parameters by single steps; PIPELINED and UPDATES are
 * replayed by waited updates. */
static int32_t replay_steps(struct block *block, struct bm_error *error) {
    uint64_t count = block->shape->values * block->shape->per_value;
    int32_t status = start(block, error);
    for (uint64_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        if (block->shape->series == BM_SERIES_UPDATES && i % block->shape->per_value == 0) {
            bm_bench_make_room(block->bench, block->shape->per_value);
        }
        status =
            is_apply(block->shape->series) ? apply_step(block, error) : update_step(block, error);
    }
    return status;
}

static uint32_t
equal_bits(const float *found, const float *expected, uint64_t count, char *reason, uint32_t size) {
    for (uint64_t i = 0; i < count; i++) {
        if (memcmp(&found[i], &expected[i], sizeof *found) != 0) {
            (void)snprintf(reason, size,
                           "after the timed block parameter %llu is %.9g, after an untimed replay "
                           "%.9g",
                           (unsigned long long)i, (double)expected[i], (double)found[i]);
            return 0;
        }
    }
    return 1;
}

int32_t bm_measure_replay(struct bm_bench *bench,
                          const struct bm_block_shape *shape,
                          const float *after,
                          uint32_t *equal,
                          char *reason,
                          uint32_t reason_size,
                          struct bm_error *error) {
    struct block block = {bench, shape};
    *equal = 1;
    if (!bm_series_steps(shape->series)) {
        return BM_STATUS_OK;
    }
    float *found = malloc(bench->param_count * sizeof *found);
    if (found == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "replay: no memory");
    }
    int32_t status = replay_steps(&block, error);
    if (status == BM_STATUS_OK) {
        status = bm_bench_read_params(bench, found, error);
    }
    if (status == BM_STATUS_OK) {
        *equal = equal_bits(found, after, bench->param_count, reason, reason_size);
    }
    free(found);
    return status;
}

int32_t bm_measure_calibrate(struct bm_bench *bench,
                             double enough_ns,
                             double *update_ns,
                             struct bm_error *error) {
    struct bm_block_shape shape = {BM_SERIES_UPDATE, 1, 1};
    struct block block = {bench, &shape};
    int32_t status = prepare(&block, error);
    for (uint64_t count = 1; status == BM_STATUS_OK; count *= 2) {
        uint64_t before = bm_now_ns();
        for (uint64_t i = 0; i < count && status == BM_STATUS_OK; i++) {
            status = update_step(&block, error);
        }
        double passed_ns = (double)(bm_now_ns() - before);
        *update_ns = passed_ns / (double)count;
        if (passed_ns >= enough_ns) {
            break;
        }
    }
    note_busy(bench);
    return status;
}

/* ---- Epoch ---- */

int32_t bm_measure_epoch(struct bm_bench *bench,
                         uint32_t epoch,
                         double *seconds,
                         uint64_t *updates,
                         struct bm_error *error) {
    uint64_t count = bench->dataset->split[BM_SPLIT_TRAIN].count;
    uint32_t *order = malloc(count * sizeof *order);
    if (order == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "epoch: no memory for its order");
    }
    struct bm_block_shape shape = {BM_SERIES_UPDATE, 1, 1};
    struct block block = {bench, &shape};
    int32_t status = wake(&block, error);
    status = status == BM_STATUS_OK ? bm_bench_reset(bench, error) : status;
    uint64_t before = bm_now_ns();
    bm_random_permutation(bench->problem.seed, epoch, order, (uint32_t)count);
    if (status == BM_STATUS_OK) {
        status = bm_bench_set_order(bench, order, count, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_bench_epoch(bench, updates, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_bench_wait(bench, NULL, error);
    }
    *seconds = 1e-9 * (double)(bm_now_ns() - before);
    note_busy(bench);
    if (status == BM_STATUS_OK) {
        bm_random_permutation(bench->problem.seed, 0, order, (uint32_t)count);
        status = bm_bench_set_order(bench, order, count, error);
    }
    free(order);
    return status;
}

double bm_measure_clock_ns(void) {
    uint64_t smallest = UINT64_MAX;
    for (int i = 0; i < 200; i++) {
        uint64_t before = bm_now_ns();
        uint64_t passed = bm_now_ns() - before;
        smallest = passed > 0 && passed < smallest ? passed : smallest;
    }
    return (double)smallest;
}
