/*
 * Two cells of one record whose rounds took turns: how much faster the update of one is, round by
 * round.
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
    int32_t apart; /* the interval does not hold 1 */
};

/* Time of an update of `base` over that of `cell`: above 1 where `cell` is the faster one. 0 if one
 * of them has no rounds. */
int32_t bm_paired_ratio(const json_t *base, const json_t *cell, struct bm_paired_ratio *ratio);

#endif
