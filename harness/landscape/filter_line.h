/*
 * The loss along a random direction that is normalized by filters (Li et al., "Visualizing the loss
 * landscape of neural nets", arXiv 1712.09913, section 4): re-scaling of a network re-scales the
 * direction with it, so that widths of different networks may be compared.
 */
#ifndef BM_LANDSCAPE_FILTER_LINE_H
#define BM_LANDSCAPE_FILTER_LINE_H

#include "model.h"
#include "objective.h"

#define BM_FILTER_LINE_POINTS 25u /* from t = -1 to 1; odd, so that 0 is among them */

struct bm_filter_line {
    uint32_t count; /* known so far */
    double t[BM_FILTER_LINE_POINTS];
    double losses[BM_FILTER_LINE_POINTS];
    double width;      /* of the range around 0 whose losses are below twice that at 0 plus .1; NaN:
                          not known */
    uint32_t at_least; /* the range goes on beyond the ends of the line */
};

/* Standard normal numbers, [parameters], each row of a weight (the inputs of one output) scaled to
 * the norm of that row in `params`; biases and batch norm 0. */
void bm_filter_direction(const struct bm_model *model,
                         const float *params,
                         uint64_t seed,
                         float *direction);

/* f(x + t d), with the width by linear interpolation. On failure `line` holds what is known. */
int32_t bm_filter_line_measure(struct bm_objective *objective,
                               const float *params,
                               const float *direction,
                               struct bm_filter_line *line,
                               struct bm_error *error);

#endif
