/*
 * What the analyses of `batchmark landscape` share: the command with its record, the row of the
 * backend that computes, and the points, that is, parameters that were read from checkpoints or
 * trained here.
 */
#ifndef BM_LANDSCAPE_H
#define BM_LANDSCAPE_H

#include "campaign.h"
#include "checkpoint.h"
#include "field.h"

#define BM_LANDSCAPE_POINT_MAX 64u
#define BM_LANDSCAPE_PATH_MAX 31u /* the start, and at most 30 more */

/* One stop on the way of a training. */
struct bm_landscape_stop {
    double epoch;
    uint64_t update;
    float *params;     /* owned */
    float *statistics; /* owned; NULL without batch norm */
};

/* Parameters to look at. */
struct bm_landscape_point {
    char name[BM_NAME_SIZE];    /* of the checkpoint without folder and ending, or "batch 256" */
    struct bm_checkpoint state; /* params, statistics, optimizer, batch and seed of its training */
    double train_loss;          /* over whole splits, by running statistics; NAN: not known yet */
    double train_accuracy;
    double test_loss;
    double test_accuracy;
    uint32_t path_count; /* of a point that was trained here: from the start to the end */
    struct bm_landscape_stop path[BM_LANDSCAPE_PATH_MAX];
};

struct bm_landscape {
    struct bm_campaign *campaign;
    struct bm_row *row; /* the backend */
    struct bm_landscape_point *points;
    uint32_t point_count;
    uint32_t analyses; /* BM_LANDSCAPE_*, those that were asked for */
    json_t *knees;     /* objects from the records of `train`; owned, NULL: none */
};

#define BM_LANDSCAPE_ESCAPE 1u
#define BM_LANDSCAPE_NOISE 2u
#define BM_LANDSCAPE_LINE 4u
#define BM_LANDSCAPE_HESSIAN 8u
#define BM_LANDSCAPE_SHARPNESS 16u

/* The analyses, each in its files. They write objects of kind "landscape" (README.md) as soon as
 * they are known, and return OK also where one part could not be done: its object then says so in
 * `status` and `reason`. A status other than OK ends the command with its text. */
int32_t bm_landscape_escape(struct bm_landscape *landscape);
int32_t bm_landscape_hessian(struct bm_landscape *landscape);
int32_t bm_landscape_sharpness(struct bm_landscape *landscape);
int32_t bm_landscape_line(struct bm_landscape *landscape);
int32_t bm_landscape_noise(struct bm_landscape *landscape);

/* A new object {"kind": "landscape", "schema": ..., "analysis": .., "part": ..., "status": "ok",
 * "reason": ""}. The caller's, to be filled in and given to bm_landscape_write. */
json_t *bm_landscape_object(const char *analysis, const char *part);

/* Adds the fields of a point: `point`, `optimizer`, `batch`, `epochs`, `train`, `test`. */
void bm_landscape_describe(const struct bm_landscape_point *point, json_t *object);

/* Adds an object, which it takes over, to the record and to what is printed, and counts it for the
 * exit code by its status. */
void bm_landscape_write(struct bm_landscape *landscape, json_t *object);

/* Sets `status` (error, timeout, crashed, unsupported, skipped, cut, ...) and `reason` of an
 * object. */
void bm_landscape_fail(json_t *object, const char *status, const char *reason);

/* Progress on standard error, with the time left. */
void bm_landscape_show(struct bm_landscape *landscape, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether to stop: a signal, the time limit, a record that cannot be written. */
int bm_landscape_stopped(const struct bm_landscape *landscape);

/* Why, as the reason of an object. */
const char *bm_landscape_stop_text(void);

/* A JSON array of numbers, null where one is not finite. */
json_t *bm_landscape_numbers(const double *values, uint64_t count);

/* Compares a gradient and an update of the row with the float64 reference. Where they differ or
 * cannot be had, an object of part "check" says why. */
int32_t
bm_landscape_check(struct bm_landscape *landscape, uint32_t *is_right, struct bm_error *error);

/* ---- Points ---- */

/* Reads checkpoints, all of one network, data set and division, into landscape->points, and sets
 * the options' model, data set and division by them. INVALID names the file. */
int32_t bm_landscape_points_read(struct bm_landscape *landscape,
                                 const char *const *paths,
                                 uint32_t count,
                                 struct bm_error *error);

/* Trains a point for each seed and batch size of the options, with an object of part "training"
 * each; one that fails is no point. The row is chosen, the data are open. */
int32_t bm_landscape_points_train(struct bm_landscape *landscape, struct bm_error *error);

void bm_landscape_points_free(struct bm_landscape *landscape);

/* Adds to landscape->knees what a record of `train` tells of updates to its targets. INVALID, with
 * its name, if that is nothing. */
int32_t
bm_landscape_record_read(struct bm_landscape *landscape, const char *path, struct bm_error *error);

#endif
