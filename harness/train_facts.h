/* What `train` measures around its trainings: whether the backend is right at this batch size, the
 * time of an update with one thread and with all, and the noise of the gradient. */
#ifndef BM_TRAIN_FACTS_H
#define BM_TRAIN_FACTS_H

#include "train_grid.h"

/* The check of `run` on this row and batch size, through the calls that training makes. A wrong one
 * leaves a `training` object that says so, and 0; 1: train with it. */
int32_t bm_train_check(struct bm_train *train, const struct bm_train_setting *setting);

/* Gradient noise scale at the parameters of the open session, or, before the first training, at its
 * start: a `noise` object. `at` is "start" or "end". */
void bm_train_noise(struct bm_train *train, const struct bm_train_setting *setting, const char *at);

/* `cell` objects as of `run`: this batch size with one thread and with all. */
void bm_train_measure_time(struct bm_train *train, const struct bm_train_setting *setting);

/* Compares the first updates with the reference's path: a `trajectory` object; a backend that
 * leaves it is wrong. */
void bm_train_trajectory(struct bm_train *train, const struct bm_train_setting *setting);

#endif
