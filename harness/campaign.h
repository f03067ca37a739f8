/*
 * What `run`, `train` and `landscape` have in common, and `compare` in part: options, rows, data,
 * reference, and a record that is opened first, written object by object, printed at the end, and
 * gone on with by --resume where that has a meaning.
 */
#ifndef BM_CAMPAIGN_H
#define BM_CAMPAIGN_H

#include "case_reference.h"
#include "outcome.h"
#include "progress.h"
#include "record.h"
#include "selection.h"

struct bm_campaign;

#define BM_CAMPAIGN_WORD_MAX 128u

/* What a command adds. */
struct bm_campaign_command {
    uint32_t bit; /* BM_COMMAND_* */
    const char *name;
    const char *about; /* of --help */
    const char *words; /* of its usage line, besides the options; NULL: it takes none */
    /* Before anything is opened: defaults that depend on others. May be NULL. */
    int32_t (*prepare)(struct bm_campaign *campaign);
    /* With the record open and its first object not yet written. May be NULL. */
    void (*begin)(struct bm_campaign *campaign);
    /* Says what is going to be done, on standard error. */
    void (*plan)(const struct bm_campaign *campaign);
    /* Whether --resume keeps an object of the earlier record. */
    int (*keeps)(struct bm_campaign *campaign, const json_t *object);
    uint32_t shows_kept; /* what is kept is printed whatever is asked for now */
    /* Everything; a status other than OK ends the command with its text. */
    int32_t (*measure)(struct bm_campaign *campaign);
};

struct bm_campaign {
    const struct bm_campaign_command *command;
    void *own; /* the command's */
    struct bm_options *options;
    const char *words[BM_CAMPAIGN_WORD_MAX]; /* of the command line that are no options */
    uint32_t word_count;
    struct bm_selection selection;
    struct bm_record record;
    json_t *objects; /* what the file holds and the table prints */
    json_t *earlier; /* of the file that --resume names, or NULL */
    struct bm_progress progress;
    struct bm_dataset dataset;
    struct bm_model model;
    struct bm_roofline roofline;
    struct bm_case of;
    struct bm_case_reference reference;
    uint64_t
        batches[BM_LIST_MAX]; /* of this case: at most the number of images, ascending, each once */
    uint64_t requested[BM_LIST_MAX];
    uint32_t batch_count;
    double started_s; /* monotonic */
    double deadline_s;
    struct bm_outcome outcome;
    struct bm_error *error;
};

/* The whole command, from argv to the exit code. */
int bm_campaign_run(const struct bm_campaign_command *command, void *own, int argc, char **argv);

/* Starts the clock and fills in what all cases have in common, from campaign->options. */
void bm_campaign_begin(struct bm_campaign *campaign);

/* Adds an object, which it takes over, to the record and to what is printed. A write that fails is
 * noted in the outcome. */
void bm_campaign_write(struct bm_campaign *campaign, json_t *object);

/* Fills batches from the options: ascending, each once; what is above the number of training images
 * becomes that number. */
void bm_campaign_plan_batches(struct bm_campaign *campaign);

/* Opens a data set of the options in place of the one before. */
int32_t bm_campaign_open_dataset(struct bm_campaign *campaign, const char *name);

/* Holds back the images that the options say (division.h), of the open data set and of the sessions
 * of the case. */
int32_t bm_campaign_divide(struct bm_campaign *campaign);

/* The network of that name for the open data set, with its text in `of`. */
int32_t bm_campaign_make_model(struct bm_campaign *campaign, const char *name);

/* Makes the reference of the present case and batches, where any row computes. */
int32_t bm_campaign_make_reference(struct bm_campaign *campaign);

/* The folder of --keep; it is made if it is not there. */
int32_t bm_campaign_make_folder(const struct bm_campaign *campaign);

/* Stops the workers of all rows and forgets what they took. */
void bm_campaign_stop_workers(struct bm_campaign *campaign);

/* Seconds until the time limit. */
double bm_campaign_left_s(const struct bm_campaign *campaign);

#endif
