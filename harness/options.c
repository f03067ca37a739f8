#include "options.h"

#include "error.h"
#include "measure.h"
#include "option_table.h"
#include "parallel.h"
#include "rate.h"
#include "reference.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUN BM_COMMAND_RUN
#define CHECK BM_COMMAND_CHECK
#define TRAIN BM_COMMAND_TRAIN
#define COMPARE BM_COMMAND_COMPARE
#define HISTORY BM_COMMAND_HISTORY
#define REPORT BM_COMMAND_REPORT
#define LANDSCAPE BM_COMMAND_LANDSCAPE
#define MEASURING (RUN | TRAIN)
#define ALL                                                                                        \
    (MEASURING | BM_COMMAND_LIST | BM_COMMAND_DATA | CHECK | BM_COMMAND_NEW | COMPARE | HISTORY |  \
     REPORT | LANDSCAPE)
#define BATCH_MAX (UINT64_C(1) << 31)
#define COUNT_MAX (UINT64_C(1) << 40)
#define FIELD(field) offsetof(struct bm_options, field), sizeof(((struct bm_options *)0)->field)

static const char *const format_names[] = {"table", "markdown", "csv", "jsonl", NULL};
static const char *const run_format_names[] = {"table", "markdown", "csv", "jsonl", "gbench", NULL};
static const char *const run_export_names[] = {"table",  "markdown", "csv", "jsonl",
                                               "gbench", "html",     NULL};
static const char *const report_format_names[] = {"table", "markdown", "csv", "gbench", NULL};
static const char *const report_export_names[] = {"table",  "markdown", "csv",
                                                  "gbench", "html",     NULL};
static const char *const export_names[] = {"table", "markdown", "csv", "jsonl", "html", NULL};
static const char *const compare_export_names[] = {"table", "markdown", "csv",    "jsonl",
                                                   "html",  "junit",    "github", NULL};
static const char *const check_format_names[] = {"table", "jsonl", "junit", NULL};
static const char *const part_names[] = {"examples", "surfaces", "weights", "saddle", NULL};
static const char *const statistics_names[] = {"batch", "running", NULL};
static const char *const roofline_names[] = {"auto", "measure", "none", NULL};
static const char *const precision_names[] = {BM_PRECISION_FLOAT32, BM_PRECISION_TF32,
                                              BM_PRECISION_BF16_F32, BM_PRECISION_F16_F32, NULL};

/* clang-format off */
const struct bm_option_spec bm_option_table[] = {
    {.name = "preset", .value = "NAME", .commands = MEASURING | LANDSCAPE, .command_line_only = 1,
     .set = bm_set_text, FIELD(preset),
     .help = "settings that come with the program (default: lecture of run and landscape, accuracy of "
             "train)"},
    {.name = "config", .value = "FILE.ini", .letter = 'c', .commands = MEASURING | COMPARE | LANDSCAPE, .command_line_only = 1,
     .set = bm_set_text, FIELD(config),
     .help = "settings of yours, stronger than the preset; keys are the names of these options"},
    {.name = "backend", .value = "NAMES", .letter = 'b', .commands = RUN | CHECK | COMPARE,
     .set = bm_set_backends, FIELD(backend), .is_recorded = 1,
     .help = "backends, or backend:device, as `batchmark list` prints them; a device also by part of "
             "its name or UUID (default: all found, software devices left out)"},
    {.name = "backend", .value = "NAMES", .letter = 'b', .commands = TRAIN | LANDSCAPE,
     .set = bm_set_backends, FIELD(backend), .is_recorded = 1,
     .help = "backends, or backend:device, as `batchmark list` prints them; a device also by part of "
             "its name or UUID (default: the fastest that is found, software devices left out)"},
    {.name = "backend", .value = "NAMES", .letter = 'b', .commands = HISTORY,
     .set = bm_set_backends, FIELD(backend),
     .help = "only these backends, or backend:device, its number or part of its name (default: all "
             "that compute)"},
    {.name = "plugin", .value = "FILE", .commands = MEASURING | BM_COMMAND_LIST | LANDSCAPE,
     .set = bm_set_paths, FIELD(plugin),
     .help = "one more plugin, a shared object bm_NAME.so; may be repeated"},
    {.name = "model", .value = "NAMES", .letter = 'm', .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_names, FIELD(model), .choices = bm_model_names, .extra_choice = "custom", .is_recorded = 1,
     .help = "mlp, f1, c1, c2, f2, or custom: the network of --layers, or of `layers = ...` in an ini file"},
    {.name = "model", .value = "NAMES", .letter = 'm', .commands = HISTORY,
     .set = bm_set_names, FIELD(model),
     .help = "only these models (default: all)"},
    {.name = "layers", .value = "TEXT", .commands = MEASURING | COMPARE | LANDSCAPE, .command_line_only = 1,
     .set = bm_set_text, FIELD(layers), .is_recorded = 1,
     .help = "the network of --model custom: \"dense 512, batchnorm, relu, dense 10\""},
    {.name = "dataset", .value = "NAMES", .letter = 'd', .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_names, FIELD(dataset), .choices = bm_data_names, .is_recorded = 1,
     .help = "fashion-mnist, mnist, cifar10, cifar100, synthetic"},
    {.name = "data-dir", .value = "FOLDER", .commands = MEASURING | COMPARE | BM_COMMAND_LIST | BM_COMMAND_DATA | LANDSCAPE,
     .set = bm_set_text, FIELD(data_dir),
     .help = "where data sets are looked for first"},
    {.name = "mirror", .value = "URL", .commands = BM_COMMAND_DATA, .command_line_only = 1,
     .set = bm_set_text, FIELD(mirror),
     .help = "of fetch: a folder on the net that has the files, http or https (default: where they were "
             "published)"},
    {.name = "optimizer", .value = "NAMES", .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_names, FIELD(optimizer), .choices = bm_optimizer_names, .is_recorded = 1,
     .help = "sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, lars, lamb"},
    {.name = "batch", .value = "LIST", .letter = 'B', .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_numbers, FIELD(batch), .low = 1, .high = BATCH_MAX, .is_recorded = 1,
     .help = "batch sizes: 1,10,100 or 1-5 or 1-1024*2; one above the number of images means all "
             "of them"},
    {.name = "batch", .value = "LIST", .letter = 'B', .commands = HISTORY,
     .set = bm_set_numbers, FIELD(batch), .low = 1, .high = BATCH_MAX,
     .help = "only these batch sizes (default: all)"},
    {.name = "series", .value = "NAME", .commands = HISTORY,
     .set = bm_set_choice, FIELD(series), .choices = bm_series_names, .extra_choice = "epoch",
     .help = "what is looked at: update (default), gradient, apply, pipelined, updates, "
             "device_gradient, device_apply, device_update, or measured epochs"},
    {.name = "since", .value = "N", .commands = HISTORY,
     .set = bm_set_number, FIELD(since), .low = 1, .high = COUNT_MAX,
     .help = "only the last N runs of each cell (default: all)"},
    {.name = "threshold", .value = "PERCENT", .commands = HISTORY,
     .set = bm_set_share, FIELD(threshold),
     .help = "smallest change of the time that is told (default: 2%)"},
    {.name = "filter", .value = "GLOB", .commands = CHECK, .command_line_only = 1,
     .set = bm_set_text, FIELD(filter),
     .help = "only the cases whose names match: 'memory.*', '@(calls|refusals).*'"},
    {.name = "filter", .value = "GLOB", .commands = COMPARE, .command_line_only = 1,
     .set = bm_set_text, FIELD(filter),
     .help = "only the cells whose names match, the backend first: 'avx2, *, batch 100, *'"},
    {.name = "threshold", .value = "SHARE", .commands = COMPARE,
     .set = bm_set_share, FIELD(compare.threshold),
     .help = "slow-down that is accepted (default: 2%); what is surely found is larger, and printed: \"would "
             "find\""},
    {.name = "series", .value = "NAME", .commands = COMPARE,
     .set = bm_set_choice, FIELD(compare.series), .choices = bm_series_names,
     .help = "of records: what is compared: update (default), gradient, apply, pipelined, updates, "
             "device_gradient, device_apply, device_update"},
    {.name = "force", .commands = COMPARE, .command_line_only = 1,
     .set = bm_set_flag, FIELD(compare.force),
     .help = "judge records of different machines or settings all the same"},
    {.name = "no-identical", .commands = COMPARE,
     .set = bm_set_flag, FIELD(compare.no_identical),
     .help = "judge a backend also where its code is the same in both"},
    {.name = "instructions", .value = "GLOB", .commands = COMPARE,
     .set = bm_set_text, FIELD(compare.instructions),
     .help = "of builds: count the instructions of one update, on one thread, also where only valgrind can, "
             "which takes its time: of the cells whose names match, as of --filter. Where the processor's "
             "counter can be read, all are counted"},
    {.name = "instructions-threshold", .value = "SHARE", .commands = COMPARE,
     .set = bm_set_share, FIELD(compare.instructions_threshold),
     .help = "growth of that number that is accepted (default: 1%)"},
    {.name = "self-test", .commands = COMPARE, .command_line_only = 1,
     .set = bm_set_flag, FIELD(compare.self_test),
     .help = "compare a plugin with itself, made slower by --delay: does the gate find what it should? "
             "The plugin is BASE, or the first of --backend that is found"},
    {.name = "delay", .value = "LIST", .commands = COMPARE,
     .set = bm_set_delays, FIELD(compare.delay),
     .help = "of --self-test: slow-downs to be found (default: 0%,1%,2%,5%)"},
    {.name = "repeat", .value = "N", .commands = COMPARE,
     .set = bm_set_number, FIELD(compare.repeat), .low = 1, .high = 10000,
     .help = "of --self-test: gates for each cell and delay (default: 1)"},
    {.name = "jobs", .value = "N", .letter = 'j', .commands = CHECK, .command_line_only = 1,
     .set = bm_set_number, FIELD(jobs), .low = 1, .high = 64,
     .help = "cases that run at once, each in its process (default: twice the processors, "
             "at most 4)"},
    {.name = "list", .commands = CHECK, .command_line_only = 1,
     .set = bm_set_flag, FIELD(list),
     .help = "print the cases and what each one asks for"},
    {.name = "prefix", .value = "FOLDER", .commands = BM_COMMAND_NEW, .command_line_only = 1,
     .set = bm_set_text, FIELD(prefix),
     .help = "the installation that the backend is built against (default: that of this program)"},
    {.name = "threads", .value = "N", .letter = 't', .commands = CHECK,
     .set = bm_set_numbers, FIELD(threads), .low = 1, .high = 1024,
     .help = "most threads that a session is given (default: 3)"},
    {.name = "threads", .value = "LIST", .letter = 't', .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_numbers, FIELD(threads), .low = 1, .high = 1024, .is_recorded = 1,
     .help = "thread budgets (default: the processors this process may use)"},
    {.name = "precision", .value = "NAMES", .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_names, FIELD(precision), .choices = precision_names, .is_recorded = 1,
     .help = "float32 (default), tf32, bf16/f32, f16/f32: multiply/accumulate"},
    {.name = "seed", .value = "LIST", .letter = 's', .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_numbers, FIELD(seed), .low = 0, .high = UINT64_MAX, .is_recorded = 1,
     .help = "seeds of start, shuffles and dropout (default: 1)"},
    {.name = "lr", .value = "RATE", .commands = RUN | COMPARE,
     .set = bm_set_rate, FIELD(lr), .is_recorded = 1,
     .help = "learning rate (default: 1e-4)"},
    {.name = "lr", .value = "RATE", .commands = TRAIN,
     .set = bm_set_rate, FIELD(lr), .is_recorded = 1,
     .help = "learning rate, of the batch size --base-batch (default: one for each rule)"},
    {.name = "epochs", .value = "N", .letter = 'e', .commands = TRAIN,
     .set = bm_set_number, FIELD(train.epochs), .low = 1, .high = COUNT_MAX, .is_recorded = 1,
     .help = "budget: epochs. A training ends when it has used every budget that is given here; "
             "those of a preset or ini file then do not count"},
    {.name = "updates", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.updates), .low = 1, .high = COUNT_MAX, .is_recorded = 1,
     .help = "budget: updates"},
    {.name = "seconds", .value = "TIME", .commands = TRAIN,
     .set = bm_set_duration, FIELD(train.seconds), .is_recorded = 1,
     .help = "budget: time in training, evaluation left out"},
    {.name = "target", .value = "LIST", .commands = TRAIN,
     .set = bm_set_targets, FIELD(train.target), .is_recorded = 1,
     .help = "validation accuracies to be reached: 97%,98%"},
    {.name = "schedule", .value = "NAMES", .commands = TRAIN,
     .set = bm_set_names, FIELD(train.schedule), .choices = bm_rate_schedule_names, .is_recorded = 1,
     .help = "of the rate: constant (default), linear (batch / base batch, with gradual warm-up), "
             "sqrt, step, polynomial"},
    {.name = "base-batch", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.base_batch), .low = 1, .high = BATCH_MAX, .is_recorded = 1,
     .help = "batch size whose rate the schedules linear and sqrt scale (default: 100)"},
    {.name = "warmup-epochs", .value = "N", .commands = TRAIN,
     .set = bm_set_rate, FIELD(train.warmup_epochs), .is_recorded = 1,
     .help = "of the schedule linear (default: 5)"},
    {.name = "momentum", .value = "VALUE", .commands = TRAIN,
     .set = bm_set_fraction, FIELD(train.momentum), .is_recorded = 1,
     .help = "of momentum, nesterov, lars (default: 0.9)"},
    {.name = "weight-decay", .value = "VALUE", .commands = TRAIN,
     .set = bm_set_fraction, FIELD(train.weight_decay), .is_recorded = 1,
     .help = "default: 0; of adamw and lamb 0.01"},
    {.name = "momentum-form", .value = "NAME", .commands = TRAIN,
     .set = bm_set_choice, FIELD(train.momentum_form), .choices = bm_rate_form_names, .is_recorded = 1,
     .help = "lecture (default): the rate is inside the momentum; pytorch: outside. They differ "
             "where the rate changes"},
    {.name = "tune", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.tune), .low = 0, .high = 1024, .is_recorded = 1,
     .help = "trials of the rate for each optimizer, batch size and schedule, the best on the "
             "validation images is trained with (default: 0, no tuning)"},
    {.name = "tune-epochs", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.tune_epochs), .low = 0, .high = COUNT_MAX, .is_recorded = 1,
     .help = "epochs of a trial (default: half of those of a training)"},
    {.name = "images", .value = "N", .commands = TRAIN | LANDSCAPE,
     .set = bm_set_number, FIELD(train.images), .low = 0, .high = BATCH_MAX, .is_recorded = 1,
     .help = "take the first N training images (default: all)"},
    {.name = "held-out", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.held_out), .low = 0, .high = BATCH_MAX, .is_recorded = 1,
     .help = "the last N of them are for validation (default: 5000 or a tenth)"},
    {.name = "training-time", .value = "TIME", .commands = TRAIN,
     .set = bm_set_duration, FIELD(train.training_time_s), .is_recorded = 1,
     .help = "longest time for one training; it is then cut, and marked (default: 10m)"},
    {.name = "margin", .value = "VALUE", .commands = TRAIN,
     .set = bm_set_fraction, FIELD(train.margin), .is_recorded = 1,
     .help = "by how much final accuracies of equal backends may differ (default: .003 on mnist, "
             ".006 on fashion-mnist, .015 otherwise)"},
    {.name = "trajectory", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.trajectory), .low = 0, .high = 1000, .is_recorded = 1,
     .help = "first updates whose parameters must lie within the spread of float32 around the "
             "float64 reference (default: 0)"},
    {.name = "swap", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.swap), .low = 0, .high = 64, .is_recorded = 1,
     .help = "SWAP: after each final training N more from its end with small batches, averaged "
             "(default: 0, without)"},
    {.name = "swap-batch", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.swap_batch), .low = 1, .high = BATCH_MAX, .is_recorded = 1,
     .help = "their batch size (default: --base-batch); one above the number of images means all of "
             "them"},
    {.name = "swap-epochs", .value = "N", .commands = TRAIN,
     .set = bm_set_number, FIELD(train.swap_epochs), .low = 1, .high = COUNT_MAX, .is_recorded = 1,
     .help = "their epochs (default: 2)"},
    {.name = "keep", .value = "FOLDER", .commands = TRAIN | LANDSCAPE,
     .set = bm_set_text, FIELD(train.keep),
     .help = "keep the last state of every final training there, as checkpoints"},
    {.name = "from", .value = "FILE", .commands = TRAIN, .command_line_only = 1,
     .set = bm_set_text, FIELD(train.from),
     .help = "start every training from the parameters of a checkpoint, of any backend"},
    {.name = "part", .value = "NAMES", .commands = LANDSCAPE,
     .set = bm_set_names, FIELD(landscape.part), .choices = part_names, .is_recorded = 1,
     .help = "of escape: examples, surfaces, weights, saddle (default: all)"},
    {.name = "lr", .value = "RATE", .commands = LANDSCAPE,
     .set = bm_set_rate, FIELD(lr), .is_recorded = 1,
     .help = "learning rate of the networks that are trained here (default: one for each rule)"},
    {.name = "epochs", .value = "N", .letter = 'e', .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(train.epochs), .low = 1, .high = COUNT_MAX, .is_recorded = 1,
     .help = "epochs of the networks that are trained here (default: 10)"},
    {.name = "held-out", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(train.held_out), .low = 0, .high = BATCH_MAX, .is_recorded = 1,
     .help = "the last N training images are not trained on (default: 0)"},
    {.name = "loss-images", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(landscape.images), .low = 0, .high = BATCH_MAX, .is_recorded = 1,
     .help = "the loss that is looked at is that of N training images, drawn by the seed (default: 0, "
             "all that are trained on)"},
    {.name = "statistics", .value = "NAME", .commands = LANDSCAPE,
     .set = bm_set_choice, FIELD(landscape.statistics), .choices = statistics_names, .is_recorded = 1,
     .help = "what batch norm normalizes by in that loss: batch (default), the images themselves; or "
             "running, the running statistics"},
    {.name = "eigenvalues", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(landscape.eigenvalues), .low = 1, .high = 64, .is_recorded = 1,
     .help = "of hessian: eigenvalues at each end (default: 2)"},
    {.name = "trace", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(landscape.trace), .low = 0, .high = 10000, .is_recorded = 1,
     .help = "of hessian: random vectors that the trace is estimated from (default: 10; 0: no trace)"},
    {.name = "epsilon", .value = "LIST", .commands = LANDSCAPE,
     .set = bm_set_sizes, FIELD(landscape.epsilon), .is_recorded = 1,
     .help = "of sharpness: sizes of the box (default: 1e-3,5e-4)"},
    {.name = "subspace", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(landscape.subspace), .low = 0, .high = 4096, .is_recorded = 1,
     .help = "of sharpness: dimensions of the random subspace (default: 100; 0: full space only)"},
    {.name = "points", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(landscape.points), .low = 4, .high = 1000, .is_recorded = 1,
     .help = "of line: points from -1 to 2 (default: 25)"},
    {.name = "plane", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(landscape.plane), .low = 0, .high = 200, .is_recorded = 1,
     .help = "of line: N times N points of a plane (default: 15; 0: no plane)"},
    {.name = "slice", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(landscape.slice), .low = 1, .high = BATCH_MAX, .is_recorded = 1,
     .help = "of noise: images of one gradient of the estimate (default: 64)"},
    {.name = "noise-images", .value = "N", .commands = LANDSCAPE,
     .set = bm_set_number, FIELD(landscape.noise_images), .low = 0, .high = BATCH_MAX, .is_recorded = 1,
     .help = "of noise: images of all of them together (default: 0, all that are trained on)"},
    {.name = "time-limit", .value = "TIME", .letter = 'l', .commands = LANDSCAPE,
     .set = bm_set_duration, FIELD(time_limit_s), .is_recorded = 1,
     .help = "longest time for the whole command; what is known by then is kept (default: "
             "that of the preset)"},
    {.name = "cell-time", .value = "TIME", .commands = RUN,
     .set = bm_set_duration, FIELD(cell_time_s), .is_recorded = 1,
     .help = "longest time for one cell: 90s, 5m, 200ms (default: 30s)"},
    {.name = "cell-time", .value = "TIME", .commands = COMPARE,
     .set = bm_set_duration, FIELD(cell_time_s), .is_recorded = 1,
     .help = "of builds: longest time for one cell; less sees less (default: 55s)"},
    {.name = "epoch-time", .value = "TIME", .commands = RUN,
     .set = bm_set_duration, FIELD(epoch_time_s), .is_recorded = 1,
     .help = "an epoch that takes longer, or what larger batch sizes need, is extrapolated from its "
             "updates (default: 20s)"},
    {.name = "time-limit", .value = "TIME", .letter = 'l', .commands = TRAIN,
     .set = bm_set_duration, FIELD(time_limit_s), .is_recorded = 1,
     .help = "longest time for the whole command; a training that runs then is cut, those behind it "
             "are skipped (default: that of the preset)"},
    {.name = "time-limit", .value = "TIME", .letter = 'l', .commands = RUN,
     .set = bm_set_duration, FIELD(time_limit_s), .is_recorded = 1,
     .help = "longest time for the whole command; what does not fit is skipped (default: 5m)"},
    {.name = "time-limit", .value = "TIME", .letter = 'l', .commands = COMPARE,
     .set = bm_set_duration, FIELD(time_limit_s), .is_recorded = 1,
     .help = "of builds: longest time for the whole command; cells get equal parts of what is left "
             "of it (default: 1h)"},
    {.name = "hang-time", .value = "TIME", .commands = CHECK,
     .set = bm_set_duration, FIELD(hang_time_s),
     .help = "a case that takes longer has failed; ten times as long where a driver compiles "
             "(default: 60s)"},
    {.name = "hang-time", .value = "TIME", .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_duration, FIELD(hang_time_s), .is_recorded = 1,
     .help = "a worker silent for this long beyond its estimate is stopped (default: 60s)"},
    {.name = "hang-time", .value = "TIME", .commands = BM_COMMAND_DATA,
     .set = bm_set_duration, FIELD(hang_time_s),
     .help = "of fetch: a server silent for this long is given up (default: 60s)"},
    {.name = "roofline", .value = "MODE", .commands = RUN,
     .set = bm_set_choice, FIELD(roofline), .choices = roofline_names, .is_recorded = 1,
     .help = "bound of what this processor could reach: auto (default: measured once in about two "
             "seconds, then kept in the cache folder), measure (anew), none"},
    {.name = "micro-batch", .value = "N", .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_number, FIELD(micro_batch), .low = 0, .high = BATCH_MAX, .is_recorded = 1,
     .help = "accumulate every gradient from slices of N images (default: 0, one slice)"},
    {.name = "data-parallel", .value = "N", .commands = RUN,
     .set = bm_set_number, FIELD(data_parallel), .low = 1, .high = BM_PARALLEL_MAX, .is_recorded = 1,
     .help = "measure also with every batch split over N devices of a backend, the named one and "
             "those after it, and how efficient that is; a processor or software device without "
             "others takes N sessions (default: 1)"},
    {.name = "option", .value = "BACKEND.KEY=VALUE", .commands = MEASURING | CHECK | COMPARE | LANDSCAPE, .command_line_only = 1,
     .set = bm_set_backend_option, .offset = 0, .size = sizeof(struct bm_options),
     .help = "an option of one backend; may be repeated"},
    {.name = "resume", .value = "FILE", .commands = MEASURING, .command_line_only = 1,
     .set = bm_set_text, FIELD(resume),
     .help = "keep the cells that a broken run recorded, measure the others"},
    {.name = "output", .value = "FILE", .letter = 'o', .commands = COMPARE,
     .set = bm_set_text, FIELD(output),
     .help = "write the record of the comparison, JSON lines, there"},
    {.name = "output", .value = "FILE", .letter = 'o', .commands = MEASURING | LANDSCAPE,
     .set = bm_set_text, FIELD(output),
     .help = "the record, JSON lines (default: results/MACHINE/TIME-run.jsonl here if there is a "
             "folder results, otherwise in the state folder)"},
    {.name = "output", .value = "FILE", .letter = 'o', .commands = REPORT,
     .set = bm_set_text, FIELD(output),
     .help = "write the page there: one file of HTML with everything in it"},
    {.name = "machine", .value = "NAME", .commands = MEASURING | COMPARE | LANDSCAPE,
     .set = bm_set_folder, FIELD(machine),
     .help = "name of this machine in records (default: its CPU or GPU model)"},
    {.name = "format", .value = "FORMAT", .letter = 'f', .commands = RUN,
     .set = bm_set_choice, FIELD(format), .choices = run_format_names,
     .help = "what is printed: table (default), markdown, csv, jsonl, gbench (Google Benchmark's JSON)"},
    {.name = "format", .value = "FORMAT", .letter = 'f', .commands = TRAIN | COMPARE | HISTORY | LANDSCAPE,
     .set = bm_set_choice, FIELD(format), .choices = format_names,
     .help = "what is printed: table (default), markdown, csv, jsonl"},
    {.name = "format", .value = "FORMAT", .letter = 'f', .commands = REPORT,
     .set = bm_set_choice, FIELD(format), .choices = report_format_names,
     .help = "what is printed where no page is asked for: table (default), markdown, csv, "
             "gbench (times of updates as Google Benchmark's JSON)"},
    {.name = "format", .value = "FORMAT", .letter = 'f', .commands = CHECK,
     .set = bm_set_choice, FIELD(format), .choices = check_format_names,
     .help = "what is printed: table (default), jsonl, junit"},
    {.name = "strict", .commands = CHECK,
     .set = bm_set_flag, FIELD(strict),
     .help = "properties that do not hold are failures"},
    {.name = "strict", .commands = HISTORY,
     .set = bm_set_flag, FIELD(strict),
     .help = "exit code 1 if the last change of some cell made it slower; with --since, the last among "
             "those runs"},
    {.name = "strict", .commands = TRAIN,
     .set = bm_set_flag, FIELD(strict),
     .help = "exit code 4 where it stays undecided whether two backends train alike"},
    {.name = "strict", .commands = COMPARE,
     .set = bm_set_flag, FIELD(strict),
     .help = "exit code 4 where a verdict stays open: INCONCLUSIVE, NO BASE"},
    {.name = "export", .value = "FORMAT=FILE", .commands = COMPARE,
     .set = bm_set_exports, FIELD(export_to), .choices = compare_export_names,
     .help = "write that format, html (the page of `batchmark report`), junit or github (lines for a "
             "workflow) to a file as well; may be repeated"},
    {.name = "export", .value = "FORMAT=FILE", .commands = REPORT,
     .set = bm_set_exports, FIELD(export_to), .choices = report_export_names,
     .help = "write that format, or html, the page, to a file as well; may be repeated"},
    {.name = "export", .value = "FORMAT=FILE", .commands = RUN,
     .set = bm_set_exports, FIELD(export_to), .choices = run_export_names,
     .help = "write that format, or html (the page of `batchmark report`), to a file as well; may be "
             "repeated"},
    {.name = "export", .value = "FORMAT=FILE", .commands = TRAIN | HISTORY | LANDSCAPE,
     .set = bm_set_exports, FIELD(export_to), .choices = export_names,
     .help = "write that format, or html (the page of `batchmark report`), to a file as well; may be "
             "repeated"},
    {.name = "in-process", .commands = MEASURING | CHECK | LANDSCAPE,
     .set = bm_set_flag, FIELD(in_process),
     .help = "load plugins here, for a debugger; such results are marked and never compared"},
    {.name = "trust", .commands = MEASURING | BM_COMMAND_LIST | CHECK | COMPARE | LANDSCAPE,
     .set = bm_set_flag, FIELD(trust),
     .help = "load plugins also where others than you and root may change them; records say so"},
    {.name = "verbose", .letter = 'v', .commands = MEASURING | BM_COMMAND_LIST | CHECK | COMPARE | LANDSCAPE,
     .set = bm_set_flag, FIELD(verbose),
     .help = "print more"},
    {.name = "help", .letter = 'h', .commands = ALL, .command_line_only = 1,
     .set = bm_set_flag, FIELD(help),
     .help = "print this text"},
};
/* clang-format on */

const uint32_t bm_option_count = sizeof bm_option_table / sizeof bm_option_table[0];
_Static_assert(sizeof bm_option_table / sizeof bm_option_table[0] <= BM_OPTION_COUNT_MAX,
               "struct bm_option_source has an entry for every option");

/* ---- Looking up ---- */

const struct bm_option_spec *bm_option_find(uint32_t command, const char *name) {
    for (uint32_t i = 0; i < bm_option_count; i++) {
        if ((bm_option_table[i].commands & command) != 0 &&
            strcmp(bm_option_table[i].name, name) == 0) {
            return &bm_option_table[i];
        }
    }
    return NULL;
}

static size_t least(size_t a, size_t b, size_t c) {
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

#define DISTANCE_LENGTH_MAX 31

/* Levenshtein distance: letters to insert, delete or replace. */
static size_t distance(const char *a, const char *b) {
    size_t row[DISTANCE_LENGTH_MAX + 1];
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    if (a_length > DISTANCE_LENGTH_MAX || b_length > DISTANCE_LENGTH_MAX) {
        return DISTANCE_LENGTH_MAX;
    }
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

const char *bm_option_nearest(uint32_t command, const char *name, int32_t ini_only) {
    const char *nearest = NULL;
    size_t shortest = strlen(name) / 3 + 2; /* farther away is another word, not a slip */
    for (uint32_t i = 0; i < bm_option_count; i++) {
        const struct bm_option_spec *option = &bm_option_table[i];
        if ((option->commands & command) == 0) {
            continue;
        }
        size_t found = distance(name, option->name);
        if (ini_only && option->command_line_only) {
            if (found == 0) {
                return NULL; /* no slip: an option that no ini file may have */
            }
            continue;
        }
        if (found < shortest) {
            shortest = found;
            nearest = option->name;
        }
    }
    return nearest;
}

static int32_t is_budget(const struct bm_option_spec *option) {
    return option->offset == offsetof(struct bm_options, train.epochs) ||
           option->offset == offsetof(struct bm_options, train.updates) ||
           option->offset == offsetof(struct bm_options, train.seconds);
}

/* Budgets go together: who asks for --updates alone does not mean the preset's epochs too. The
 * first of a source takes away those of weaker ones. */
static void drop_weaker_budgets(const struct bm_option_source *source, struct bm_options *options) {
    for (uint32_t i = 0; i < bm_option_count; i++) {
        if (is_budget(&bm_option_table[i]) && source->given[i]) {
            return;
        }
    }
    options->train.epochs = 0;
    options->train.updates = 0;
    options->train.seconds = 0;
}

int32_t bm_option_set(const struct bm_option_spec *option,
                      const char *label,
                      const char *value,
                      struct bm_option_source *source,
                      struct bm_options *options,
                      struct bm_error *error) {
    size_t index = (size_t)(option - bm_option_table);
    BM_ASSERT(index < bm_option_count);
    struct bm_assignment assignment = {
        .option = option,
        .label = label,
        .value = value,
        .appends = source->given[index],
        .target = (char *)options + option->offset,
    };
    if (is_budget(option)) {
        drop_weaker_budgets(source, options);
    }
    source->given[index] = 1;
    return option->set(&assignment, error);
}

/* ---- Help ---- */

#define HELP_INDENT 30
#define HELP_WIDTH 100

/* Breaks lines between words; the first line begins at the current column. */
static void print_wrapped(const char *text, FILE *stream) {
    int column = HELP_INDENT;
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > HELP_INDENT && column + 1 + length > HELP_WIDTH) {
            (void)fprintf(stream, "\n%*s", HELP_INDENT, "");
            column = HELP_INDENT;
        }
        if (column > HELP_INDENT) {
            (void)fputc(' ', stream);
            column++;
        }
        (void)fprintf(stream, "%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    (void)fputc('\n', stream);
}

void bm_options_help(uint32_t command, FILE *stream) {
    for (uint32_t i = 0; i < bm_option_count; i++) {
        const struct bm_option_spec *option = &bm_option_table[i];
        if ((option->commands & command) == 0) {
            continue;
        }
        char left[64];
        char letter[8] = "    ";
        if (option->letter != 0) {
            (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
        }
        int width =
            snprintf(left, sizeof left, "  %s--%s%s%s", letter, option->name,
                     option->value != NULL ? " " : "", option->value != NULL ? option->value : "");
        (void)fputs(left, stream);
        if (width + 1 < HELP_INDENT) {
            (void)fprintf(stream, "%*s", HELP_INDENT - width, "");
        } else {
            (void)fprintf(stream, "\n%*s", HELP_INDENT, "");
        }
        print_wrapped(option->help, stream);
    }
}

/* ---- Command line ---- */

#define LONG_BASE 256 /* getopt's answer for the option of index 0; below are letters */
#define PAIR_MAX 256

/* What stood on the command line, before anything is set: presets come first. */
struct command_line {
    const struct bm_option_spec *options[PAIR_MAX];
    const char *values[PAIR_MAX];
    uint32_t count;
};

struct getopt_table {
    struct option names[BM_OPTION_COUNT_MAX + 1];
    char letters[2 * BM_OPTION_COUNT_MAX + 3];
};

/* "-:" gives words in their place and tells a missing value from an unknown option. */
static void build_getopt(uint32_t command, struct getopt_table *table) {
    uint32_t count = 0;
    size_t used = 2;
    memset(table, 0, sizeof *table);
    memcpy(table->letters, "-:", 2);
    for (uint32_t i = 0; i < bm_option_count; i++) {
        const struct bm_option_spec *option = &bm_option_table[i];
        if ((option->commands & command) == 0) {
            continue;
        }
        table->names[count++] =
            (struct option){option->name, option->value != NULL ? required_argument : no_argument,
                            NULL, LONG_BASE + (int)i};
        if (option->letter != 0) {
            table->letters[used++] = option->letter;
            if (option->value != NULL) {
                table->letters[used++] = ':';
            }
        }
    }
}

static const struct bm_option_spec *option_of(uint32_t command, int answer) {
    if (answer >= LONG_BASE) {
        return &bm_option_table[answer - LONG_BASE];
    }
    for (uint32_t i = 0; i < bm_option_count; i++) {
        if ((bm_option_table[i].commands & command) != 0 && bm_option_table[i].letter == answer) {
            return &bm_option_table[i];
        }
    }
    return NULL;
}

static int32_t fail_unknown(uint32_t command, const char *word, struct bm_error *error) {
    char name[64];
    const char *bare = word + strspn(word, "-");
    size_t length = strcspn(bare, "=");
    (void)snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), bare);
    const char *nearest = bm_option_nearest(command, name, 0);
    return bm_fail(error, BM_STATUS_INVALID,
                   "%.*s: expected an option, found an unknown name%s%s%s",
                   (int)(bare - word) + (int)(length < 63 ? length : 63), word,
                   nearest != NULL ? "; did you mean --" : " (see --help)",
                   nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

/* getopt answered '?' or ':'. */
static int32_t fail_getopt(uint32_t command, int answer, const char *word, struct bm_error *error) {
    const struct bm_option_spec *option = optopt == 0 ? NULL : option_of(command, optopt);
    if (option == NULL && optopt != 0) {
        char letter[8];
        (void)snprintf(letter, sizeof letter, "-%c", optopt);
        return fail_unknown(command, letter, error);
    }
    if (option == NULL) {
        return fail_unknown(command, word, error);
    }
    if (answer == ':') {
        return bm_fail(error, BM_STATUS_INVALID, "--%s: expected %s, found nothing", option->name,
                       option->value);
    }
    return bm_fail(error, BM_STATUS_INVALID, "--%s: expected no value, found \"%s\"", option->name,
                   strchr(word, '=') != NULL ? strchr(word, '=') + 1 : word);
}

struct words {
    const char **words;
    uint32_t max;
    uint32_t count;
};

static int32_t add_word(struct words *words, const char *word, struct bm_error *error) {
    if (words->count == words->max) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "expected at most %u words besides options, found "
                       "\"%s\"",
                       words->max, word);
    }
    words->words[words->count++] = word;
    return BM_STATUS_OK;
}

static int32_t add_pair(struct command_line *line,
                        const struct bm_option_spec *option,
                        const char *value,
                        struct bm_error *error) {
    if (line->count == PAIR_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "expected at most %d options, found more",
                       PAIR_MAX);
    }
    line->options[line->count] = option;
    line->values[line->count++] = option->value != NULL ? value : "yes";
    return BM_STATUS_OK;
}

static int32_t split_command_line(uint32_t command,
                                  int argc,
                                  char **argv,
                                  struct command_line *line,
                                  struct words *words,
                                  struct bm_error *error) {
    struct getopt_table table;
    int32_t status = BM_STATUS_OK;
    build_getopt(command, &table);
    opterr = 0;
    optind = 0; /* glibc: start anew */
    while (status == BM_STATUS_OK) {
        int word_index = optind == 0 ? 1 : optind;
        int answer = getopt_long(argc, argv, table.letters, table.names, NULL);
        if (answer == -1) {
            break;
        }
        if (answer == '?' || answer == ':') {
            status = fail_getopt(command, answer, argv[word_index], error);
        } else if (answer == 1) {
            status = add_word(words, optarg, error);
        } else {
            status = add_pair(line, option_of(command, answer), optarg, error);
        }
    }
    for (int i = optind; status == BM_STATUS_OK && i < argc; i++) {
        status = add_word(words, argv[i], error);
    }
    return status;
}

void bm_option_given(uint32_t command, int argc, char **argv, struct bm_option_source *source) {
    struct command_line line = {.count = 0};
    struct words none = {.max = 0};
    struct bm_error error;
    memset(source, 0, sizeof *source);
    (void)split_command_line(command, argc, argv, &line, &none, &error);
    for (uint32_t i = 0; i < line.count; i++) {
        source->given[line.options[i] - bm_option_table] = 1;
    }
}

/* ---- Sources, weakest first ---- */

static void set_train_defaults(struct bm_options *options) {
    struct bm_train_options *train = &options->train;
    options->lr = 0; /* the rule's */
    options->time_limit_s = 3600;
    train->base_batch = 100;
    train->warmup_epochs = 5;
    train->momentum = NAN;
    train->weight_decay = NAN;
    train->margin = NAN;
    train->held_out = UINT64_MAX;
    train->training_time_s = 600;
    train->swap_epochs = 2;
    train->schedule = (struct bm_name_list){.count = 1, .names = {"constant"}};
    (void)snprintf(train->momentum_form, sizeof train->momentum_form, "lecture");
    (void)snprintf(options->preset, sizeof options->preset, "accuracy");
}

static void set_compare_defaults(struct bm_options *options) {
    options->compare.threshold = .02;
    options->compare.instructions_threshold = .01;
    options->compare.delay = (struct bm_target_list){.count = 4, .values = {0, .01, .02, .05}};
    options->compare.repeat = 1;
    options->cell_time_s = 55;
    options->time_limit_s = 3600;
    options->model = (struct bm_name_list){.count = 1, .names = {"mlp"}};
    options->dataset = (struct bm_name_list){.count = 1, .names = {"fashion-mnist"}};
    options->optimizer = (struct bm_name_list){.count = 1, .names = {"momentum"}};
    options->batch = (struct bm_number_list){.count = 3, .values = {1, 100, 1000}};
    (void)snprintf(options->compare.series, sizeof options->compare.series, "update");
}

static void set_landscape_defaults(struct bm_options *options) {
    struct bm_landscape_options *landscape = &options->landscape;
    options->lr = 0; /* the rule's */
    options->time_limit_s = 3600;
    options->train.epochs = 10;
    options->train.momentum = NAN;
    options->train.weight_decay = NAN;
    landscape->eigenvalues = 2;
    landscape->trace = 10;
    landscape->epsilon = (struct bm_target_list){.count = 2, .values = {1e-3, 5e-4}};
    landscape->subspace = 100;
    landscape->points = 25;
    landscape->plane = 15;
    landscape->slice = 64;
    (void)snprintf(landscape->statistics, sizeof landscape->statistics, "batch");
    (void)snprintf(options->preset, sizeof options->preset, "lecture");
}

static void set_defaults(uint32_t command, struct bm_options *options) {
    memset(options, 0, sizeof *options);
    options->command = command;
    options->lr = 1e-4;
    options->cell_time_s = 30;
    options->epoch_time_s = 20;
    options->time_limit_s = 300;
    options->hang_time_s = 60;
    options->data_parallel = 1;
    options->seed = (struct bm_number_list){.count = 1, .values = {1}};
    options->precision = (struct bm_name_list){.count = 1, .names = {BM_PRECISION_FLOAT32}};
    (void)snprintf(options->roofline, sizeof options->roofline, "auto");
    options->threshold = 0.02;
    (void)snprintf(options->series, sizeof options->series, "update");
    (void)snprintf(options->format, sizeof options->format, "table");
    if (command == BM_COMMAND_COMPARE) {
        set_compare_defaults(options);
    }
    if (command == BM_COMMAND_RUN) {
        (void)snprintf(options->preset, sizeof options->preset, "lecture");
    }
    if (command == BM_COMMAND_TRAIN) {
        set_train_defaults(options);
    }
    if (command == BM_COMMAND_LANDSCAPE) {
        set_landscape_defaults(options);
    }
}

/* The folder of a command's presets. */
static const char *preset_folder(uint32_t command) {
    return command == BM_COMMAND_TRAIN       ? "train/"
           : command == BM_COMMAND_LANDSCAPE ? "landscape/"
                                             : "run/";
}

static int32_t load_preset(uint32_t command, struct bm_options *options, struct bm_error *error) {
    char name[BM_NAME_SIZE + 16];
    char path[BM_PATH_SIZE];
    if (options->preset[0] == '\0') {
        return BM_STATUS_OK;
    }
    int is_whole = strchr(options->preset, '/') != NULL;
    (void)snprintf(name, sizeof name, "%s%s", is_whole ? "" : preset_folder(command),
                   options->preset);
    int32_t status = bm_preset_find(name, path, sizeof path, error);
    return status == BM_STATUS_OK ? bm_config_load(path, command, options, error) : status;
}

/* Sets the options of the line, or only the two that name other sources. */
static int32_t apply_line(const struct command_line *line,
                          int only_sources,
                          struct bm_options *options,
                          struct bm_error *error) {
    struct bm_option_source source = {.given = {0}};
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; status == BM_STATUS_OK && i < line->count; i++) {
        const struct bm_option_spec *option = line->options[i];
        char label[64];
        if (only_sources && strcmp(option->name, "preset") != 0 &&
            strcmp(option->name, "config") != 0 && strcmp(option->name, "help") != 0) {
            continue;
        }
        (void)snprintf(label, sizeof label, "--%s", option->name);
        status = bm_option_set(option, label, line->values[i], &source, options, error);
    }
    return status;
}

static int32_t check_custom(const struct bm_options *options, struct bm_error *error) {
    for (uint32_t i = 0; i < options->model.count; i++) {
        if (strcmp(options->model.names[i], "custom") == 0 && options->layers[0] == '\0') {
            return bm_fail(error, BM_STATUS_INVALID,
                           "--model: expected --layers, or `layers = ...` in an ini file, for the "
                           "model custom, found none");
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_options_parse(uint32_t command,
                         int argc,
                         char **argv,
                         struct bm_options *options,
                         const char **words,
                         uint32_t word_max,
                         uint32_t *word_count,
                         struct bm_error *error) {
    struct command_line line = {.count = 0};
    struct words found = {words, word_max, 0};
    set_defaults(command, options);
    int32_t status = split_command_line(command, argc, argv, &line, &found, error);
    *word_count = found.count;
    if (status == BM_STATUS_OK) {
        status = apply_line(&line, 1, options, error);
    }
    if (status != BM_STATUS_OK || options->help) {
        return status; /* help is given whatever the files hold */
    }
    status = load_preset(command, options, error);
    if (status == BM_STATUS_OK && options->config[0] != '\0') {
        status = bm_config_load(options->config, command, options, error);
    }
    if (status == BM_STATUS_OK) {
        status = apply_line(&line, 0, options, error);
    }
    return status == BM_STATUS_OK ? check_custom(options, error) : status;
}
