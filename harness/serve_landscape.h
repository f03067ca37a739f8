/* The worker's answers to the questions of a landscape: losses, gradients and evaluations at
 * parameters of the parent's choice, in arrays that both see. */
#ifndef BM_SERVE_LANDSCAPE_H
#define BM_SERVE_LANDSCAPE_H

#include "trainer.h"

#include <jansson.h>

/* The file of BM_SERVE_VECTORS_FD: float32 params [P], gradient [P], statistics [S] (running means
 * and variances, as of BM_STATE_STATISTICS), nothing else. */
struct bm_served_landscape {
    float *mapped; /* NULL: not yet */
    uint64_t mapped_bytes;
    float *params;
    float *gradient;
    float *statistics;
    uint32_t *order; /* [images] of the objective */
    uint64_t images;
    uint64_t slice; /* images of one call */
    uint32_t flags; /* of its slices */
};

/*
 * Commands, `do` and what each adds to the reply, a line each; all need an open
 * training (train_open):
 *
 * - landscape_open: batch (of updates), images (the first of the seed's order), slice (of one
 * call), running: what `landscape_at` looks at
 * - landscape_at: gradient (bool): at params -> loss (mean, null: not finite), gradient; dropout
 *   off, by each slice's own statistics, or by `statistics` where running
 * - landscape_evaluate: split: at params and statistics -> loss (mean), accuracy
 * - landscape_renew: at params: statistics are renewed (bm_trainer_renew_statistics)
 * - landscape_write: params and statistics become the session's
 * - landscape_read: the session's become params and statistics
 *
 * All but the last leave the session at params.
 */
int32_t bm_serve_landscape(struct bm_served_landscape *landscape,
                           int vectors_fd,
                           struct bm_trainer *trainer,
                           const char *what,
                           const json_t *command,
                           json_t *reply,
                           struct bm_error *error);

/* Forgets arrays and order, with the session that they were for. */
void bm_served_landscape_close(struct bm_served_landscape *landscape);

#endif
