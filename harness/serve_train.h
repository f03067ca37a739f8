/* The worker's answers to the questions of a training. */
#ifndef BM_SERVE_TRAIN_H
#define BM_SERVE_TRAIN_H

#include "trainer.h"

#include <jansson.h>

/*
 * Commands, `do` and what each adds to the reply, a line each:
 *
 * - train_open: plan{}, momentum, decay (null: the rule's), from (a checkpoint's path to take the
 *   parameters of, or absent)
 * - train: updates -> updates, seconds, loss (null: not finite), ended_epoch, total_seconds
 * - train_evaluate: split -> loss (mean over its images, null: not finite), accuracy, count
 * - train_locate -> update (0: none)
 * - train_save: path, of{} (texts of the checkpoint), details{}
 * - train_restore: path -> total_seconds
 * - train_average: paths[]: parameters become the mean of those checkpoints', statistics are
 * renewed
 * - train_noise: slice, slices -> gradient_squared, trace, scale, low, high, reason
 */
int32_t bm_serve_train(struct bm_trainer *trainer,
                       struct bm_bench *bench,
                       const char *what,
                       const json_t *command,
                       json_t *reply,
                       struct bm_error *error);

#endif
