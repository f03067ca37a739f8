/*
 * A session of the landscape's backend in its worker, with arrays of parameters that both processes
 * see: losses, gradients, evaluation and training at parameters of the parent's choice.
 */
#ifndef BM_LANDSCAPE_PROBE_H
#define BM_LANDSCAPE_PROBE_H

#include "landscape.h"
#include "noise.h"
#include "objective.h"
#include "rate.h"
#include "trainer.h"

/* What a session is opened for. */
struct bm_probe_setup {
    const struct bm_model *model;
    const struct bm_dataset *dataset; /* the campaign's, or one of the analysis' own */
    uint32_t optimizer;
    uint64_t batch;  /* of an update */
    uint64_t seed;   /* of the start and of shuffles */
    uint64_t images; /* that the objective is over: the first ones of the seed's order; 0:
                        all */
    uint64_t slice;  /* images that a gradient takes at once, and batch norm normalizes
                        together; 0: all of them with batch norm, else what is quick */
    uint32_t running_statistics; /* batch norm by the running statistics (BM_SLICE_USE_RUNNING)
                                    instead of the slice's own */
};

/* Open: param_count and the like are set, `statistics` are those of the start. */
struct bm_probe {
    struct bm_landscape *landscape;
    struct bm_probe_setup setup; /* nothing in it is 0 */
    struct bm_objective
        objective; /* mean loss over its images, without dropout, and the gradient */
    uint64_t param_count;
    uint64_t statistics_count;
    float *statistics; /* [statistics_count]: the running statistics of whatever is asked at given
                          parameters; the caller sets them. Shared with the worker */
    struct bm_verdict verdict; /* of the worker, when something failed */
    struct bm_case of;
    int vectors_fd;
    float *vectors; /* the shared arrays: params, gradient, statistics */
    double at_s;    /* time of the last gradient; 0: none yet */
};

/* Starts the row's worker anew and opens the session in it. On failure nothing is left but the
 * verdict (refused, unsupported, crashed, ...); the text says the same. A row has one probe at a
 * time. */
int32_t bm_probe_open(struct bm_landscape *landscape,
                      const struct bm_probe_setup *setup,
                      struct bm_probe *probe,
                      struct bm_error *error);

/* With the campaign's model and data, the options' images and statistics, at a point: its batch,
 * rule, seed, and its running statistics. */
int32_t bm_probe_open_point(struct bm_landscape *landscape,
                            const struct bm_landscape_point *point,
                            struct bm_probe *probe,
                            struct bm_error *error);

void bm_probe_close(struct bm_probe *probe);

/* Mean loss and accuracy (a fraction) over a whole split, BM_SPLIT_*, at `params`, by the running
 * statistics in probe->statistics. */
int32_t bm_probe_evaluate(struct bm_probe *probe,
                          const float *params,
                          uint32_t split,
                          double *loss,
                          double *accuracy,
                          struct bm_error *error);

/* Sets probe->statistics to those of `params`, from a hundred training batches of setup.batch
 * (bm_trainer_renew_statistics). Nothing where there is no batch norm. */
int32_t bm_probe_renew(struct bm_probe *probe, const float *params, struct bm_error *error);

/* ---- Training: a gradient or an evaluation elsewhere moves the session's parameters there ---- */

/* A training begins at `params` with probe->statistics, optimizer state zero, update 1 of epoch 0.
 * NULL: the seed's start. `overrides` may be NULL. */
int32_t bm_probe_begin(struct bm_probe *probe,
                       const struct bm_rate_plan *plan,
                       const struct bm_rate_overrides *overrides,
                       const float *params,
                       struct bm_error *error);

/* At most `updates` more, and not beyond the epoch's end. */
int32_t bm_probe_train(struct bm_probe *probe,
                       uint64_t updates,
                       struct bm_stretch *stretch,
                       struct bm_error *error);

/* The training's present parameters, [param_count]; its statistics into probe->statistics. */
int32_t bm_probe_read(struct bm_probe *probe, float *params, struct bm_error *error);

/* Gradient noise at the training's present parameters: `slices` slices of `images` images each. */
int32_t bm_probe_noise(struct bm_probe *probe,
                       uint64_t images,
                       uint64_t slices,
                       struct bm_noise *noise,
                       struct bm_error *error);

/* ---- Objects ---- */

/* bm_landscape_object with the fields of what a backend made: backend, model, dataset, ... */
json_t *bm_probe_object(const struct bm_probe *probe, const char *analysis, const char *part);

/* Sets status and reason of an object after a call of a probe, or of its objective, has failed: cut
 * where the time was over (TIMEOUT), else the worker's verdict, or the error's text. */
void bm_probe_fail(struct bm_probe *probe,
                   json_t *object,
                   int32_t status,
                   const struct bm_error *error);

#endif
