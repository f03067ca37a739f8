/*
 * Timing an open session: blocks of one series through Google Benchmark, the epoch, and the untimed
 * replay that proves that the timed calls did their work.
 */
#ifndef BM_MEASURE_H
#define BM_MEASURE_H

#include "bench.h"

/* What is timed. Each ends in a wait that reads no loss; PIPELINED waits once after several
 * updates; UPDATES is one call for several. The last three are read from the device's own clock,
 * for plugins that tell it: what an update takes beyond DEVICE_UPDATE is the host's submitting and
 * waiting. */
enum bm_series {
    BM_SERIES_GRADIENT,
    BM_SERIES_APPLY,
    BM_SERIES_UPDATE,
    BM_SERIES_PIPELINED,
    BM_SERIES_UPDATES,
    BM_SERIES_DEVICE_GRADIENT,
    BM_SERIES_DEVICE_APPLY,
    BM_SERIES_DEVICE_UPDATE,
    BM_SERIES_COUNT
};

/* "gradient", ..., NULL-terminated: the names of records. */
extern const char *const bm_series_names[BM_SERIES_COUNT + 1];

/* Whether a block of it leaves other parameters, which a replay can compare. */
uint32_t bm_series_steps(enum bm_series series);

/* Whether its values are the device's. */
uint32_t bm_series_is_device(enum bm_series series);

/* How a block is divided: `values` readings of the clock, each over `per_value` updates (gradients,
 * applies). */
struct bm_block_shape {
    enum bm_series series;
    uint64_t values;
    uint64_t per_value;
};

struct bm_block_result {
    double cpu_ns;       /* processor time of the process for one update, all threads */
    uint32_t params_crc; /* CRC-32 of the parameters the block left; 0 for gradients */
    uint32_t is_unknown; /* the device did not tell its time: there are no samples */
};

/* Unrecorded updates before each block. */
#define BM_MEASURE_WARM_UP 2u

/* Goes back to the start, makes the unrecorded updates, then times the block: samples_ns[values]
 * get the time of one update each. Keeps what a replay needs. */
int32_t bm_measure_block(struct bm_bench *bench,
                         const struct bm_block_shape *shape,
                         float *after,
                         double *samples_ns,
                         struct bm_block_result *result,
                         struct bm_error *error);

/* Makes the same block again from the start, untimed and with a wait after every call, and compares
 * the parameters with `after` [param_count], which bm_measure_block left: bit for bit. *equal is 0
 * if they differ, and `reason` says where. */
int32_t bm_measure_replay(struct bm_bench *bench,
                          const struct bm_block_shape *shape,
                          const float *after,
                          uint32_t *equal,
                          char *reason,
                          uint32_t reason_size,
                          struct bm_error *error);

/* Time of one update with its wait after a warm-up, from doubling counts until `enough_ns` have
 * passed. */
int32_t bm_measure_calibrate(struct bm_bench *bench,
                             double enough_ns,
                             double *update_ns,
                             struct bm_error *error);

/* One epoch from the start: the clock runs from before the permutation of `epoch` and set_order to
 * after the last wait. The order of epoch 0 is restored. */
int32_t bm_measure_epoch(struct bm_bench *bench,
                         uint32_t epoch,
                         double *seconds,
                         uint64_t *updates,
                         struct bm_error *error);

/* Smallest time between two readings of the clock, in ns: what one value costs on top. */
double bm_measure_clock_ns(void);

#endif
