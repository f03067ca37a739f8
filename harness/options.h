/*
 * What the user asked for: one table of options serves the command line, the ini files and the help
 * texts, so that they cannot drift apart. Values come from, weakest first: defaults, the preset,
 * --config, the command line.
 */
#ifndef BM_OPTIONS_H
#define BM_OPTIONS_H

#include "data.h"

#include <stdio.h>

#define BM_LIST_MAX 64
#define BM_NAME_SIZE 64
#define BM_PATH_SIZE 1024
#define BM_LAYERS_SIZE 2048

struct bm_number_list {
    uint32_t count;
    uint64_t values[BM_LIST_MAX];
};

struct bm_name_list {
    uint32_t count;
    char names[BM_LIST_MAX][BM_NAME_SIZE];
};

struct bm_path_list {
    uint32_t count;
    char paths[16][BM_PATH_SIZE];
};

/* --option BACKEND.KEY=VALUE, or option.KEY / env.KEY in a section [backend NAME]. */
struct bm_backend_setting {
    char backend[BM_NAME_SIZE];
    char key[BM_NAME_SIZE];
    char value[256];
    uint32_t is_environment;
};

#define BM_TARGET_MAX 8u

/* Accuracies, as fractions. */
struct bm_target_list {
    uint32_t count;
    double values[BM_TARGET_MAX];
};

/* What only `train` takes. */
struct bm_train_options {
    uint64_t epochs; /* budgets; 0: not given */
    uint64_t updates;
    double seconds;
    struct bm_name_list schedule;
    struct bm_target_list target;
    uint64_t base_batch;    /* whose rate is scaled */
    double warmup_epochs;   /* of the schedule `linear` */
    double momentum;        /* NaN: the rule's own */
    double weight_decay;    /* NaN: the rule's own */
    char momentum_form[16]; /* lecture, pytorch */
    uint64_t tune;          /* trials of each setting; 0: none */
    uint64_t tune_epochs;   /* of a trial; 0: half of the epochs */
    uint64_t images;        /* training images used, held-out ones included; 0: all */
    uint64_t held_out;      /* of them for validation; UINT64_MAX: 5000 or a tenth */
    double training_time_s; /* longest training */
    double margin;          /* of equal training, a fraction; NaN: the data set's */
    uint64_t trajectory;    /* first updates that are compared with the reference's path; 0: none */
    uint64_t swap;          /* small-batch runs that are averaged; 0: no such recipe */
    uint64_t swap_batch;
    uint64_t swap_epochs;
    char keep[BM_PATH_SIZE]; /* folder for the last state of each final training; empty: none */
    char from[BM_PATH_SIZE]; /* state that every training starts from; empty: the seed's start */
};

/* What only `compare` takes. */
struct bm_compare_options {
    double threshold;              /* accepted slow-down as a share */
    char series[BM_NAME_SIZE];     /* of records */
    uint32_t force;                /* judge records of different machines or settings */
    uint32_t no_identical;         /* judge also what has the same code */
    char instructions[256];        /* a pattern of names of cells; empty: none */
    double instructions_threshold; /* accepted growth as a share */
    uint32_t self_test;
    struct bm_target_list delay; /* of the self-test, as shares */
    uint64_t repeat;             /* of the self-test: gates of each kind */
};

/* What only `landscape` takes; it shares images, held_out and epochs with `train`. */
struct bm_landscape_options {
    struct bm_name_list part;      /* of escape: examples, surfaces, weights, saddle; empty: all */
    char statistics[16];           /* of batch norm in a loss and its gradient: batch, running */
    uint64_t images;               /* that the loss is over; 0: all that are trained on */
    uint64_t eigenvalues;          /* at each end */
    uint64_t trace;                /* random vectors for the trace; 0: none */
    struct bm_target_list epsilon; /* sizes of the box of Keskar's sharpness */
    uint64_t subspace;             /* dimensions of the random subspace; 0: none */
    uint64_t points;               /* of a line */
    uint64_t plane;                /* points along each side of a plane; 0: none */
    uint64_t slice;                /* images of a slice of the noise estimate */
    uint64_t noise_images;         /* of all slices together; 0: all */
};

/* One concern a field, named after its option. A list with count 0 was not given. */
struct bm_options {
    uint32_t command; /* BM_COMMAND_*: whose they are */
    char preset[BM_NAME_SIZE];
    char config[BM_PATH_SIZE];
    struct bm_name_list backend; /* NAME or NAME:DEVICE */
    struct bm_path_list plugin;
    struct bm_name_list model;
    struct bm_name_list dataset;
    char data_dir[BM_PATH_SIZE];
    char mirror[BM_PATH_SIZE]; /* of data fetch: where files are got; "": where published */
    struct bm_name_list optimizer;
    struct bm_number_list batch;
    struct bm_number_list threads;
    struct bm_name_list precision;
    struct bm_number_list seed;
    double lr;
    double cell_time_s;
    double epoch_time_s;
    double time_limit_s;
    double hang_time_s;     /* a worker silent for this long beyond its estimate is stopped */
    uint64_t micro_batch;   /* 0: the whole batch in one slice */
    uint64_t data_parallel; /* sessions that share every batch, in a row beside; 1: no such row */
    uint32_t setting_count;
    struct bm_backend_setting setting[BM_LIST_MAX];
    char resume[BM_PATH_SIZE];
    char output[BM_PATH_SIZE];
    char machine[BM_NAME_SIZE];
    char roofline[BM_NAME_SIZE];   /* auto, measure, none */
    char format[BM_NAME_SIZE];     /* table, markdown, csv, jsonl, gbench, junit */
    struct bm_path_list export_to; /* FORMAT=FILE */
    char filter[256];              /* a pattern of names of cases or cells; empty: all */
    uint64_t jobs;                 /* cases at once; 0: the command's choice */
    uint32_t strict;
    char series[32];  /* of a cell: gradient, ..., epoch */
    uint64_t since;   /* newest runs of a cell; 0: all */
    double threshold; /* smallest change that counts, a fraction */
    uint32_t list;
    char prefix[BM_PATH_SIZE];
    uint32_t trust; /* plugins that others may change are loaded all the same */
    uint32_t in_process;
    uint32_t verbose;
    uint32_t help;
    char layers[BM_LAYERS_SIZE]; /* ini only: the model named `custom` */
    struct bm_train_options train;
    struct bm_compare_options compare;
    struct bm_landscape_options landscape;
    struct bm_data_synthetic
        synthetic; /* ini only: section [synthetic]: shape, classes, train, test, seed */
};

/* Commands as bits, for the options that belong to several. */
#define BM_COMMAND_RUN 1u
#define BM_COMMAND_LIST 2u
#define BM_COMMAND_DATA 4u
#define BM_COMMAND_CHECK 8u
#define BM_COMMAND_NEW 16u
#define BM_COMMAND_TRAIN 32u
#define BM_COMMAND_COMPARE 64u
#define BM_COMMAND_HISTORY 128u
#define BM_COMMAND_REPORT 256u
#define BM_COMMAND_LANDSCAPE 512u

/* Parses argv[1..] of a command (argv[0] is the command's name): defaults, then the preset's ini
 * file, then --config, then the options. Words that are not options go to `words` (at most
 * `word_max`, count in *word_count). INVALID with one line: option or file:line, expected, found.
 */
int32_t bm_options_parse(uint32_t command,
                         int argc,
                         char **argv,
                         struct bm_options *options,
                         const char **words,
                         uint32_t word_max,
                         uint32_t *word_count,
                         struct bm_error *error);

/* Reads one ini file into `options`, for `command`. */
int32_t bm_config_load(const char *path,
                       uint32_t command,
                       struct bm_options *options,
                       struct bm_error *error);

/* The help text of a command's options, from the table. */
void bm_options_help(uint32_t command, FILE *stream);

/* Duration with unit: "90s", "5m", "1h", "200ms"; a bare number is seconds. Returns 0 and *seconds,
 * or INVALID. */
int32_t bm_parse_duration(const char *text, double *seconds, struct bm_error *error);

/* Finds <command>/<name>.ini: in $BATCHMARK_PRESETS, in harness/presets of the sources that the
 * build tree was made from, in the install folder. */
int32_t
bm_preset_find(const char *command_and_name, char *path, size_t capacity, struct bm_error *error);

#endif
