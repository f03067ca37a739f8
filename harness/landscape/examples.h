/*
 * Twenty examples of one number and two classes: a data set small enough to draw its whole loss.
 * The network is `dense 2` and softmax. Its four parameters, once antisymmetric (those of class 0
 * the negatives of those of class 1), stay so, because the gradients of the two logits are each
 * other's negatives; two numbers are left, and it is logistic regression:
 *
 *     p(class 1) = 1 / (1 + exp(-(slope x + offset))),  slope = w1 - w0,  offset = b1 - b0
 *
 * A step of rate r in the parameters is one of 2 r in slope and offset, as both halves move.
 */
#ifndef BM_EXAMPLES_H
#define BM_EXAMPLES_H

#include "data.h"
#include "surface.h"

#define BM_EXAMPLES_COUNT 20u
#define BM_EXAMPLES_LAYERS "dense 2"
#define BM_EXAMPLES_PARAMS 4u /* w0, w1, b0, b1 */

/* Mean loss over the examples at (slope, offset), by the formula, in double. */
extern const struct bm_surface bm_examples_surface;

/* The examples as a data set, training and test split alike; the caller's (bm_dataset_close). */
int32_t bm_examples_open(struct bm_dataset *dataset, struct bm_error *error);

void bm_examples_to_params(const double point[2], float params[BM_EXAMPLES_PARAMS]);
void bm_examples_to_point(const float params[BM_EXAMPLES_PARAMS], double point[2]);

/* The larger of |w0 + w1| and |b0 + b1|: how far from antisymmetric. */
double bm_examples_asymmetry(const float params[BM_EXAMPLES_PARAMS]);

#endif
