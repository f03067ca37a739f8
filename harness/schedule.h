/*
 * The measuring protocol for one batch size: all backends take turns in rounds, each round in
 * another process of three, one worker awake at a time.
 */
#ifndef BM_SCHEDULE_H
#define BM_SCHEDULE_H

#include "cell.h"

struct bm_schedule {
    struct bm_row *rows; /* every worker there is, for the check that all but one sleep */
    uint32_t row_count;
    double deadline_s; /* monotonic */
    double epoch_time_s;
    double hang_time_s;
    uint64_t seed;
    double (*now_s)(void); /* the clock; NULL: bm_now_s */
    /* Seconds that the batch sizes still to come need: no epoch, and no round beyond the fewest,
     * takes any of them. NULL: none. */
    double (*later_s)(void *context);
    /* Called before each turn; `what` says what is being done. May be NULL. */
    void (*progress)(void *context, const struct bm_cell *cell, const char *what);
    void *context;
};

/* Seconds that a cell needs at least, given the time of one update: check, minimal rounds, replay.
 */
double bm_schedule_need_s(double update_ns);

/* The verdict on a cell that does not fit into what is left of the time limit, with its estimate.
 */
void bm_schedule_explain(struct bm_cell *cell, double left_s);

/* Checks, times and replays `cells` (all of one batch size and case), whose verdict and active flag
 * say which are still to do. Afterwards each has its verdict. Sessions are closed. */
void bm_schedule_measure(const struct bm_schedule *schedule, struct bm_cell *cells, uint32_t count);

/* Stops a row's workers. */
void bm_schedule_stop(struct bm_row *row);

#endif
