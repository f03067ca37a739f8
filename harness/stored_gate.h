/*
 * The verdict on one cell of two stored records: is head slower than base by more than the
 * threshold? A pure function of the logarithms of their round medians.
 *
 * Records were not measured in pairs, so their intervals are made wider twice: rounds that follow
 * each other are alike, which the correlation of neighbours tells, and one run differs from the
 * next. How much, cells of unchanged plugins tell, which changed by nothing else; without them, how
 * unlike the changes of all cells are, most of which are taken to have none of their own. What both
 * miss is why nothing is a regression before a one-sided bound of 99.5 % says so.
 */
#ifndef BM_STORED_GATE_H
#define BM_STORED_GATE_H

#include "comparison.h"

/* Fewer cells tell nothing of how runs differ; more are not needed. */
#define BM_STORED_CONTROLS_MIN 3u
#define BM_STORED_CONTROLS_MAX 256u

struct bm_stored_rule {
    double threshold;       /* accepted slow-down as a share */
    const double *controls; /* [control_count] logarithms of head / base of other cells */
    uint32_t control_count;
    uint32_t are_unchanged; /* those are of unchanged plugins, otherwise of all */
};

/* Sets verdict, reason, ratio, interval, p, sensitivity, sets, aa_ratio and aa_spread of `cell`.
 * `base` and `head` are [base_count] and [head_count], in the order they were measured. */
void bm_stored_gate(const double *base,
                    uint32_t base_count,
                    const double *head,
                    uint32_t head_count,
                    const struct bm_stored_rule *rule,
                    struct bm_comparison_cell *cell);

/* Logarithm of head / base alone, as a control for other cells. */
double bm_stored_log_ratio(const double *base,
                           uint32_t base_count,
                           const double *head,
                           uint32_t head_count);

#endif
