/* What `train` measures around its trainings: whether the backend is right at this batch size, the
 * time of an update with one thread and with all, and the noise of the gradient. */
#ifndef BM_TRAIN_FACTS_H
#define BM_TRAIN_FACTS_H

#include "train_grid.h"

/* The check of `run` on this row and batch size, through the calls that training makes, and about
 * how long an update takes. A wrong one leaves a `training` object that says so, unless the record
 * that is resumed has it, and 0; 1: train with it. */
int32_t bm_train_check(struct bm_train *train, struct bm_train_setting *setting);

/* Gradient noise scale: a `noise` object, which may say why there is none and then counts. `at` is
 * "start", before the first training, or "end", at the parameters of the open session: those of the
 * training made last, and nothing if that was taken from the record that is resumed. What the
 * record has of it is not measured again. */
void bm_train_noise(struct bm_train *train, const struct bm_train_setting *setting, const char *at);

/* `cell` objects as of `run`: this batch size with one thread and with all. One that failed
 * counts; what the record has of them is not measured again. */
void bm_train_measure_time(struct bm_train *train, const struct bm_train_setting *setting);

/* Compares the first updates with the reference's path: a `trajectory` object; a backend that
 * leaves it is wrong, and one whose worker fails on the way counts as elsewhere. */
void bm_train_trajectory(struct bm_train *train, const struct bm_train_setting *setting);

#endif
