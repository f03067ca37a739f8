/*
 * The processor's own count of instructions retired by the calling thread in user mode, by
 * perf_event_open. A count that is not there, or that was taken for a part of the time only, is an
 * error with its reason, never 0.
 */
#ifndef BM_HARDWARE_COUNTER_H
#define BM_HARDWARE_COUNTER_H

#include <batchmark/plugin.h>

/* As the kernel gives it: the count, how long it was asked for, how long it was really taken. */
struct bm_hardware_reading {
    uint64_t value;
    uint64_t enabled_ns;
    uint64_t running_ns;
};

struct bm_hardware_counter {
    int fd;
};

/* For the calling thread; stands still. UNSUPPORTED and why where there is none. */
int32_t bm_hardware_counter_open(struct bm_hardware_counter *counter, struct bm_error *error);

/* Counts from 0 on. */
int32_t bm_hardware_counter_start(struct bm_hardware_counter *counter, struct bm_error *error);

/* The instructions since the start. UNSUPPORTED and why if the count is not of the whole time. */
int32_t bm_hardware_counter_stop(struct bm_hardware_counter *counter,
                                 uint64_t *instructions,
                                 struct bm_error *error);

void bm_hardware_counter_close(struct bm_hardware_counter *counter);

/* What a reading is worth: the judgement of bm_hardware_counter_stop. */
int32_t bm_hardware_counter_judge(const struct bm_hardware_reading *reading,
                                  uint64_t *instructions,
                                  struct bm_error *error);

#endif
