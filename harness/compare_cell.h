/* One cell of a comparison of two builds: sets until the gate has its verdict or the time is over,
 * and what is told of it. */
#ifndef BM_COMPARE_CELL_H
#define BM_COMPARE_CELL_H

#include "compare_plan.h"
#include "comparison.h"
#include "gate.h"

struct bm_compare_request {
    const struct bm_case *of;
    const struct bm_compare_pair *pair;
    uint64_t batch;
    uint32_t first_set; /* number of its first set, for orders and layouts */
    double threshold;
    double time_s; /* of the cell: no set is begun that would end after it */
    double hang_time_s;
    /* Called before each set. May be NULL. */
    void (*progress)(void *context, const struct bm_gate *gate);
    void *context;
};

/* The verdict on a pair that cannot be measured, since a side lacks it or did not load: 1, with the
 * cell's verdict and reason; 0 if it can be measured. */
int bm_compare_judge_pair(const struct bm_compare_pair *pair, struct bm_comparison_cell *cell);

/* Verdict, reason and figures of a cell whose names are filled in. 0 if a signal came before there
 * was a verdict. */
int bm_compare_measure_cell(const struct bm_compare_request *request,
                            struct bm_comparison_cell *cell);

#endif
