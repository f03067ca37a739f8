/* Which trainings a record already holds, for --resume. */
#ifndef BM_TRAIN_RESUME_H
#define BM_TRAIN_RESUME_H

#include "checkpoint.h"

#include <jansson.h>

/* Whether `object` has all fields of `key`, with the same values; reals as records round them. */
int bm_train_matches(const json_t *object, json_t *key);

/* A `training` whose verdict a second try would not change: all but those that a limit cut or
 * skipped. */
int bm_train_is_finished(const json_t *object);

/* The finished training of `objects` that has this key, borrowed, or NULL. */
json_t *bm_train_find(const json_t *objects, json_t *key);

/* The first of `objects`, of any kind, that matches this key, borrowed, or NULL. */
json_t *bm_train_known(const json_t *objects, json_t *key);

/* Whether a training can go on from there: its details are whole and of the state beside them, and
 * the record that is resumed has its points. */
int bm_train_can_go_on(const json_t *earlier, const struct bm_checkpoint *checkpoint);

/* Whether an object of the earlier record is kept: a finished training and its points, the points
 * up to the checkpoint (NULL: there is none) of the one that was interrupted, what was measured
 * apart from trainings, and an average of SWAP or how it failed, since it went on from a state that
 * is gone. What follows from these is made anew. */
int bm_train_keeps(const json_t *earlier,
                   const struct bm_checkpoint *checkpoint,
                   const json_t *object);

#endif
