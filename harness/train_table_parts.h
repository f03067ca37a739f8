/*
 * What the files of the train table share: the trainings of a record, sorted into groups and
 * settings, and the values of a setting over its seeds. train_table*.c include it, and
 * report_trainings.c, which gives the same values to a page.
 */
#ifndef BM_TRAIN_TABLE_PARTS_H
#define BM_TRAIN_TABLE_PARTS_H

#include "grid.h"
#include "options.h"
#include "seeds.h"
#include "train_table.h"

#define BM_TRAIN_SEEDS_MAX BM_LIST_MAX /* as many as the option --seed takes */
#define BM_TRAIN_FIELD_SIZE 128u

/* ---- The record, sorted ---- */

/* Trainings that differ in the seed only. Objects are borrowed from the record. */
struct bm_train_setting {
    const json_t *key; /* its first training */
    uint32_t count;
    uint32_t dropped; /* trainings beyond BM_TRAIN_SEEDS_MAX */
    const json_t *trainings[BM_TRAIN_SEEDS_MAX];
};

/* Settings that can be compared, a table: one backend, device, model, data set, number of threads
 * and precision. */
struct bm_train_group {
    const json_t *key;
    uint32_t count;
    struct bm_train_setting *settings; /* [count], in order of first appearance */
    uint32_t many_schedules;           /* labels tell the schedule */
};

struct bm_train_view {
    const json_t *objects;
    uint32_t format;
    uint32_t verbose;
    FILE *stream;
    uint32_t count;
    struct bm_train_group *groups; /* [count] */
};

/* Sorts the final trainings. 0, or -1 without memory; to be ended by deinit in both cases. */
int bm_train_view_init(const json_t *objects,
                       uint32_t format,
                       uint32_t verbose,
                       FILE *stream,
                       struct bm_train_view *view);
void bm_train_view_deinit(struct bm_train_view *view);

/* Adds a training, of which the setting has one a seed: the later counts. */
void bm_train_add(struct bm_train_setting *setting, const json_t *training);

/* Whether two objects, of any kind, are of one setting, or of one group. */
int bm_train_same_setting(const json_t *a, const json_t *b);
int bm_train_same_group(const json_t *a, const json_t *b);

/* Whether `key` has equal values, or is absent, in both. */
int bm_train_same(const json_t *a, const json_t *b, const char *key);

/* Whether an object of the record says that the same backend and device is a software device. */
int bm_train_is_software(const struct bm_train_view *view, const json_t *object);

/* ---- Numbers ---- */

/* A number from 0 to 1e15. 0 if it is absent or another. */
int bm_train_measure(const json_t *object, const char *key, double *value);

/* The accuracy, 0 to 1, of object[split]. 0 if it is absent or another. */
int bm_train_accuracy(const json_t *object, const char *split, double *value);

/* The interval of a `noise` object's scale, from 0 on; *high is infinite where the gradient is too
 * small for its noise to bound the scale. 0 if it has none. */
int bm_train_noise_interval(const json_t *noise, double *low, double *high);

/* Whether a training's last accuracies mean something: it ended by itself or by a limit. */
int bm_train_is_usable(const json_t *training);

/* Whether it was tried at all: neither unsupported nor skipped. */
int bm_train_is_tried(const json_t *training);
uint32_t bm_train_usable_count(const struct bm_train_setting *setting);
uint32_t bm_train_tried_count(const struct bm_train_setting *setting);

/* Values of one setting, at most one a seed. */
struct bm_train_values {
    uint32_t count;
    double value[BM_TRAIN_SEEDS_MAX];
    const json_t *seed[BM_TRAIN_SEEDS_MAX]; /* for pairs */
};

/* Looks up one value of a training; 0 if it has none. */
typedef int (*bm_train_getter)(const json_t *training, const void *context, double *value);

/* The values that `get` finds in a setting's trainings. */
void bm_train_collect(const struct bm_train_setting *setting,
                      bm_train_getter get,
                      const void *context,
                      struct bm_train_values *values);

struct bm_seeds_mean bm_train_mean(const struct bm_train_values *values);

/* a - b over the seeds that both have; difference.count is their number. */
struct bm_seeds_paired bm_train_paired(const struct bm_train_values *a,
                                       const struct bm_train_values *b);

/* A getter of the last accuracy of a usable training: `context` is the split's name. */
int bm_train_last_accuracy(const json_t *training, const void *context, double *value);

/* ---- Values of a setting ---- */

#define BM_TRAIN_BUDGETS 3u
#define BM_TRAIN_TARGETS_MAX 16u

/* "epochs", "updates", "seconds" */
extern const char *const bm_train_budgets[BM_TRAIN_BUDGETS];

/* A getter of the last value of a usable training: `context` is the field's name. */
int bm_train_last_measure(const json_t *training, const void *context, double *value);

struct bm_train_rate {
    int is_known;   /* all trainings have that one */
    int is_several; /* they have different ones */
    int is_tuned;   /* tuning chose it */
    double value;
};

struct bm_train_rate bm_train_rate_of(const struct bm_train_view *view,
                                      const struct bm_train_setting *setting);

struct bm_train_budget {
    int has_limit;
    double limit;
    uint32_t reached; /* trainings that used it up, of which `accuracy` is the mean */
    uint32_t tried;
    int is_censored; /* none did: the accuracy is of where they stopped */
    struct bm_seeds_mean accuracy;
};

struct bm_train_budget
bm_train_budget_of(const struct bm_train_setting *setting, const char *name, const char *split);

/* What trainings had used, "updates" or "seconds", when they reached a budget. */
struct bm_seeds_mean
bm_train_budget_cost(const struct bm_train_setting *setting, const char *name, const char *key);

/* Smallest and largest limit of a budget in a group; 0 if it has none. */
int bm_train_limits(const struct bm_train_group *group,
                    const char *budget,
                    double *low,
                    double *high);

/* The distinct targets of a group, in order of first appearance: their number, and `targets`,
 * [BM_TRAIN_TARGETS_MAX]. */
uint32_t bm_train_targets(const struct bm_train_group *group, double *targets);

struct bm_train_target {
    uint32_t reached;
    uint32_t tried;
    int has_updates; /* more than half got there: there is a median */
    int has_seconds;
    double updates;
    double seconds;
};

struct bm_train_target bm_train_target_of(const struct bm_train_setting *setting, double accuracy);

/* ---- Texts ---- */

/* "avx2", "vulkan:1" */
void bm_train_backend(const json_t *object, char *text, uint32_t capacity);

/* "adam", "adam, linear": at most 24 characters. */
void bm_train_method(const struct bm_train_group *group,
                     const json_t *object,
                     char *text,
                     uint32_t capacity);

/* "adam, linear, batch 64" */
void bm_train_name(const struct bm_train_group *group,
                   const json_t *object,
                   char *text,
                   uint32_t capacity);

/* A text of a record in at most `characters`, the rest an ellipsis; "-" where there is none. */
void bm_train_text(
    const json_t *object, const char *key, uint32_t characters, char *text, uint32_t capacity);

/* A count, or "-". */
void bm_train_count(const json_t *object, const char *key, char *text, uint32_t capacity);

/* "12.3 ms", also of no time. */
void bm_train_time(double seconds, char *text, uint32_t capacity);

/* Three digits, "38.5", or all of a whole number's, "1446". */
void bm_train_number(double value, char *text, uint32_t capacity);

/* A value with its interval, "38.5 (33.7 to 43.9)"; "1446 (from 421)" where `high` is infinite. */
void bm_train_interval(double value, double low, double high, char *text, uint32_t capacity);

/* Percent with half the width of the interval, "98.12 ± 0.08"; "98.12" where there is none; "-" of
 * no values. */
void bm_train_percent(const struct bm_seeds_mean *mean, char *text, uint32_t capacity);

/* Prints a line, after which an empty one if `format` ends with a newline; another control
 * character becomes a space. A note is an item of a list in markdown. */
void bm_train_line(const struct bm_train_view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void bm_train_note(const struct bm_train_view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints a grid and an empty line, and frees it. */
void bm_train_finish_grid(const struct bm_train_view *view, struct bm_grid *grid);

/* Sets a whole row. */
void bm_train_set_row(struct bm_grid *grid, uint32_t row, const char *const *texts, uint32_t count);

/* ---- Curves ---- */

/* The points of one setting: `epoch` objects at the end of an epoch, sorted by epoch. */
struct bm_train_curve {
    size_t count;
    const json_t **points;
};

/* 0, or -1 without memory. The points are the caller's to free, in both cases. */
int bm_train_curve_of(const struct bm_train_view *view,
                      const struct bm_train_setting *setting,
                      struct bm_train_curve *curve);

/* How many points from `first` on have its epoch: those of the seeds. */
size_t bm_train_curve_seeds(const struct bm_train_curve *curve, size_t first);

/* ---- Parts of the output ---- */

/* What is printed of a group, and with the last one of the whole record, as an array of objects:
 * {grid: [[texts]]}, {text} or {note}. The caller's; NULL without memory. */
json_t *bm_train_blocks(const struct bm_train_view *view, const struct bm_train_group *group);

/* The lecture's table for each method of a group that was trained with two batch sizes or more. */
void bm_train_print_small_large(const struct bm_train_view *view,
                                const struct bm_train_group *group);

/* What averaging several small-batch trainings made of each setting's (SWAP); nothing if there are
 * none. */
void bm_train_print_swaps(const struct bm_train_view *view, const struct bm_train_group *group);

/* `equivalence` and `trajectory` of the whole record. */
void bm_train_print_verdicts(const struct bm_train_view *view);

/* What is wrong or doubtful with the trainings of a group. */
void bm_train_print_notes(const struct bm_train_view *view, const struct bm_train_group *group);

/* Curves and gradient noise of a group; trials of the whole record. */
void bm_train_print_curves(const struct bm_train_view *view, const struct bm_train_group *group);
void bm_train_print_noise(const struct bm_train_view *view, const struct bm_train_group *group);
void bm_train_print_trials(const struct bm_train_view *view);

#endif
