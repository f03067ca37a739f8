/*
 * SWAP (Gupta, Serrano, DeCoste, "Stochastic weight averaging in parallel", arXiv 2001.02312): a
 * training with a large batch, then several with small ones from its end, each with shuffles of its
 * own, whose parameters are averaged and whose running statistics are computed anew.
 */
#ifndef BM_TRAIN_SWAP_H
#define BM_TRAIN_SWAP_H

#include "train_grid.h"

/* Goes on from the last state of `final`, the setting's final training, whose session is still
 * open: the small-batch trainings, and a `swap` object with the accuracies of their average. One
 * that failed has the status of what failed, and counts. Where `final` comes from an earlier record
 * there is no state to go on from: what the record has of its average stays, and without it the
 * object says why. */
void bm_train_swap(struct bm_train *train,
                   const struct bm_train_setting *setting,
                   const json_t *final);

#endif
