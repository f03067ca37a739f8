/*
 * The grid of `train`: which setting comes when, what is made of it (trials, finals, the facts
 * around them), and the objects that it leaves in the record.
 */
#ifndef BM_TRAIN_GRID_H
#define BM_TRAIN_GRID_H

#include "campaign.h"
#include "checkpoint.h"
#include "training.h"

/* What a `train` keeps beside the campaign. */
struct bm_train {
    struct bm_campaign *campaign;
    struct bm_row *rows[BM_ROW_MAX]; /* that are trained on */
    uint32_t row_count;
    struct bm_checkpoint *resumed;      /* state of the training that was interrupted, or NULL */
    char checkpoint[BM_PATH_SIZE + 16]; /* where that of the present one is kept */
    uint64_t planned;                   /* trainings in all */
    uint64_t finished;
    uint32_t was_made; /* the last training: not taken from the record that is resumed */
};

/* A setting: what finals of all seeds have in common. */
struct bm_train_setting {
    struct bm_row *row;
    const char *schedule;
    uint64_t batch;
    uint64_t requested;
    double rate;
    uint32_t is_tuned;
    double update_s; /* as the check found it, for planning; 0: not known */
};

/* Runs one training of a setting, or takes it, but for one of SWAP, from the record that is
 * resumed. Returns the `training` object, borrowed from the campaign's objects, or NULL if it was
 * interrupted. `role` is one of BM_ROLE_*; budgets are those of the options, a trial's
 * --tune-epochs. */
json_t *bm_train_one(struct bm_train *train,
                     const struct bm_train_setting *setting,
                     const char *role,
                     const char *from,
                     const char *keep);

/* Leaves a `training` object with that verdict in place of the setting's trainings. */
void bm_train_fail(struct bm_train *train,
                   const struct bm_train_setting *setting,
                   const struct bm_verdict *verdict);

/* Whether the record that is resumed has such an object, which is then counted: the setting was not
 * trained, and is not now. */
int32_t bm_train_has_failed(struct bm_train *train, const struct bm_train_setting *setting);

/* A final training of the setting, not begun, for questions around it; without a checkpoint. */
void bm_train_prepare(struct bm_train *train,
                      const struct bm_train_setting *setting,
                      struct bm_training *training);

/* The whole grid of the campaign's options; its own is a struct bm_train. */
int32_t bm_train_all(struct bm_campaign *campaign);

/* Trainings that the options ask for. */
uint64_t bm_train_grid_size(const struct bm_options *options, uint32_t row_count);

#endif
