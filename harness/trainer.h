/*
 * The worker's side of a training: an open session walked through epochs in stretches of updates,
 * each epoch in a fresh order, with a learning rate for each update; the clock runs in training
 * only. Keeps the state before the last stretch, so that a loss that is no number can be traced to
 * its update by going there again.
 */
#ifndef BM_TRAINER_H
#define BM_TRAINER_H

#include "checkpoint.h"
#include "noise.h"
#include "rate.h"

struct bm_trainer {
    struct bm_bench *bench;
    struct bm_rate_plan plan;
    struct bm_rate_overrides overrides;
    uint64_t epoch;              /* whose order is walked, from 0 */
    uint32_t *order;             /* [images of an epoch] */
    uint32_t is_ordered;         /* the session has the order of `epoch` */
    double seconds;              /* in training, since the start */
    struct bm_checkpoint before; /* the last stretch; its details are not used */
    uint32_t has_before;         /* 0: the plugin cannot read or write its state */
};

/* What came of a stretch. */
struct bm_stretch {
    uint64_t updates;
    double seconds;
    double loss; /* of the last update's batch: mean over its images, as the plugin gave it */
    uint32_t ended_epoch;
};

/* Starts at the seed's parameters, update 1 of epoch 0, dropout on. The trainer borrows the session
 * until bm_trainer_close. */
int32_t bm_trainer_open(struct bm_trainer *trainer,
                        struct bm_bench *bench,
                        const struct bm_rate_plan *plan,
                        const struct bm_rate_overrides *overrides,
                        struct bm_error *error);

void bm_trainer_close(struct bm_trainer *trainer);

/* At most `updates` > 0 more, and not beyond the epoch's end. The clock runs from before the
 * permutation, where an epoch begins, to after the wait. */
int32_t bm_trainer_run(struct bm_trainer *trainer,
                       uint64_t updates,
                       struct bm_stretch *stretch,
                       struct bm_error *error);

/* Goes through the last stretch again and reads every loss: *update is the number of the first that
 * is not finite, or 0 if none is. UNSUPPORTED if the state before it could not be kept. Afterwards
 * the session is where it was, unless a call failed. */
int32_t bm_trainer_locate(struct bm_trainer *trainer, uint64_t *update, struct bm_error *error);

/* The state as a checkpoint: arrays, position, seconds; the caller fills in what it is of. */
int32_t bm_trainer_save(struct bm_trainer *trainer,
                        struct bm_checkpoint *checkpoint,
                        struct bm_error *error);

/* Goes on from a checkpoint, of this backend or another. */
int32_t bm_trainer_restore(struct bm_trainer *trainer,
                           const struct bm_checkpoint *checkpoint,
                           struct bm_error *error);

/* Takes only its parameters and statistics: another training begins there, at update 1 of epoch
 * 0. */
int32_t bm_trainer_begin_from(struct bm_trainer *trainer,
                              const struct bm_checkpoint *checkpoint,
                              struct bm_error *error);

/* A running mean forgets its start by .9 a slice; a hundred slices leave 3e-5 of it. */
#define BM_TRAINER_RENEWING_SLICES_MIN UINT64_C(100)

/* Running statistics anew at the present parameters, from `slices` slices of a batch, from the
 * beginning of the present epoch's order; 0: one walk through all of it, which is what averaged
 * parameters need (SWAP, arXiv 2001.02312, phase 3). At least BM_TRAINER_RENEWING_SLICES_MIN.
 * Nothing where there is no batch norm. */
int32_t
bm_trainer_renew_statistics(struct bm_trainer *trainer, uint64_t slices, struct bm_error *error);

/* Gradient noise at the present parameters, from the beginning of the present epoch's order; see
 * noise.h. Where the training is going on is not touched. */
int32_t bm_trainer_noise(struct bm_trainer *trainer,
                         uint64_t images,
                         uint64_t slices,
                         struct bm_noise *noise,
                         struct bm_error *error);

#endif
