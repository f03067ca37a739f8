/*
 * Two series of one record whose rounds took turns: how much faster the update of one cell is than
 * that of another, round by round, how well several devices share a batch, and what an update
 * takes that the device does not see.
 */
#ifndef BM_PAIRED_H
#define BM_PAIRED_H

#include <jansson.h>
#include <stdint.h>

struct bm_paired_ratio {
    double ratio; /* median over the rounds, and its interval */
    double low;
    double high;
    uint32_t rounds;
    int32_t has_interval; /* else `low` and `high` are the least and the most of too few rounds */
    int32_t apart;        /* the interval does not hold 1 */
};

/* Time of an update of `base` over that of `cell`: above 1 where `cell` is the faster one. 0 if one
 * of them has no rounds. */
int32_t bm_paired_ratio(const json_t *base, const json_t *cell, struct bm_paired_ratio *ratio);

/* Drops the samples of a cell, as far as bm_paired_ratio can do without them: of the update's, the
 * median of each round stays. Its figures stay as they are. */
void bm_paired_reduce(json_t *cell);

/* For a cell of N sessions that share every batch: {value, low, high, rounds}, the time of an
 * update of its first device alone over N times its own, in which case 1 is a perfect division of
 * the work. `objects` holds the cell of that device. NULL if it does not, or one of the two has no
 * times or computes nothing. The caller's. */
json_t *bm_paired_efficiency(const json_t *objects, const json_t *cell);

/* {median_ns, low_ns, high_ns, rounds} of what an update with its wait takes beyond the device's
 * own time for it: submitting, waking up, and the host's part of the work. NULL if the cell has no
 * such times. The caller's. */
json_t *bm_paired_submission(const json_t *cell);

#endif
