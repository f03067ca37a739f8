/* By how much: the option `percent`, otherwise $BATCHMARK_DELAY_PERCENT, otherwise 0. */
#ifndef BM_DELAY_PERCENT_H
#define BM_DELAY_PERCENT_H

#include <batchmark/plugin.h>

#define BM_DELAY_PERCENT "BATCHMARK_DELAY_PERCENT"

/* A problem as the wrapped plugin gets it. */
struct bm_delay_problem {
    struct bm_problem copy;
    struct bm_option *options; /* those of the wrapped plugin; NULL: `problem` is the host's own */
    const struct bm_problem *problem;
    double percent;
};

/* Takes the option `percent` out of the problem. INVALID if it is there twice or no number from 0
 * to 1000; whatever else is wrong with the problem is left for the wrapped plugin to say. */
int32_t bm_delay_problem_init(const struct bm_problem *given,
                              struct bm_delay_problem *problem,
                              struct bm_error *error);

void bm_delay_problem_deinit(struct bm_delay_problem *problem);

#endif
