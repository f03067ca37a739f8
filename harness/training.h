/*
 * One training on one backend, asked of its worker stretch by stretch: the points of its curve, its
 * budgets and targets, the watch over its convergence, and checkpoints to go on from.
 */
#ifndef BM_TRAINING_H
#define BM_TRAINING_H

#include "cell.h"
#include "rate.h"

/* What a training is for; the test images are touched for FINAL and SWAP only, at the end. */
#define BM_ROLE_FINAL "final"
#define BM_ROLE_TRIAL "trial"
#define BM_ROLE_SWAP "swap"

struct bm_training {
    /* Asked; texts are borrowed. */
    struct bm_row *row;
    const struct bm_case *of; /* its seed, optimizer, threads, ... */
    const struct bm_train_options *options;
    uint64_t batch;
    uint64_t requested; /* the batch size as asked for */
    const char *schedule;
    double rate;
    uint32_t is_tuned;
    const char *role;
    uint64_t epochs; /* budgets; 0: none */
    uint64_t updates;
    double seconds;
    const char *from;       /* checkpoint to start from, or NULL */
    const char *checkpoint; /* where its state is kept meanwhile, or NULL */
    const char *keep;       /* where its last state is kept, or NULL */
    const json_t *resume;   /* `details` of `checkpoint`, to go on from there, or NULL */
    double deadline_s;      /* of the whole command, monotonic */
    double hang_time_s;
    /* Called with each point of the curve, an `epoch` object, which the callee owns. 0: it could
     * not be kept, and the training ends there. */
    int32_t (*point)(void *context, json_t *object);
    /* Called before each stretch, `what` says what is being done. */
    void (*progress)(void *context, const struct bm_training *training, const char *what);
    void *context;

    /* Found. */
    struct bm_verdict verdict;
    const char *status; /* of records: ok, cut, nan, diverged, stalled, or the verdict's */
    uint64_t at_update; /* of a mishap; 0: not known */
    char mishap[512];   /* why it ended otherwise than ok, where the worker went on */
    uint64_t epoch;     /* epochs finished */
    double fraction;    /* of the next one */
    uint64_t done;      /* updates */
    double trained_s;
    double update_s;   /* of late, for planning */
    double start_loss; /* mean over the training images, before the first update */
    double best_loss;  /* lowest at a point of the curve, and its update */
    uint64_t best_update;
    uint64_t above_since; /* update since which the loss has been far above the start's; 0: not */
    json_t *last;         /* the last point */
    json_t *budgets;
    json_t *targets;
};

/* Runs it to its end, or to a mishap, a limit or a signal; an interrupted one is at its checkpoint.
 * Its worker is started if need be; the session stays open at the last state. The caller gives the
 * training back with bm_training_free. */
void bm_training_run(struct bm_training *training);

/* The `training` object. The caller's. */
json_t *bm_training_json(const struct bm_training *training);

/* The fields that say which training it is, as in all its objects. The caller's. */
json_t *bm_training_key(const struct bm_training *training);

void bm_training_free(struct bm_training *training);

/* Accuracy of a split at the last point, a fraction; NaN if there is none. */
double bm_training_accuracy(const struct bm_training *training, const char *split);

/* The schedule and its numbers, of `batch` and the training images of the case. */
struct bm_rate_plan bm_training_plan(const struct bm_training *training);

/* One question to the row's worker, at most `expected_s` long and the hang time more; the verdict
 * is the training's. */
int32_t
bm_training_ask(struct bm_training *training, json_t *command, double expected_s, json_t **reply);

/* Starts the worker if need be, opens a session and a trainer in it. */
int32_t bm_training_open(struct bm_training *training);

/* Measures the accuracies of all splits at the session's parameters, as its last point. */
int32_t bm_training_evaluate(struct bm_training *training);

/* The command that saves its state there. The caller's. */
json_t *bm_training_save_command(const struct bm_training *training, const char *path);

#endif
