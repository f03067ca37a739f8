/*
 * The re-scaling control of Dinh et al. ("Sharp minima can generalize for deep nets", arXiv
 * 1703.04933, section 4): relu is positively homogeneous, relu(a x) = a relu(x) for a > 0, and so
 * are maxpool and dropout. What feeds a relu may be multiplied by a if what reads it is divided by
 * a: another point with the same function, and another sharpness.
 */
#ifndef BM_LANDSCAPE_RESCALE_H
#define BM_LANDSCAPE_RESCALE_H

#include "model.h"

/*
 * rescaled = params with relus scaled by `factor`, from the first one on, but for those that would
 * take a layer that is already multiplied or divided. Multiplied are weight and bias of the dense
 * or convolution layer before it, or, where batch norm is between, its gain and shift; divided is
 * the weight of the dense or convolution layer after it. Running statistics stay what they are. A
 * power of 2 is exact.
 *
 * The number of relus that were scaled: 0 where a batch norm after the relu would undo it, or there
 * is none; `rescaled` is then a copy.
 */
uint32_t
bm_rescale(const struct bm_model *model, const float *params, double factor, float *rescaled);

#endif
