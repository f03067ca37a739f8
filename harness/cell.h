/*
 * One cell of a run while it is measured: (backend, device, model, data, optimizer, batch, threads,
 * precision), its workers, its samples, and the JSON object that it becomes.
 */
#ifndef BM_CELL_H
#define BM_CELL_H

#include "discover.h"
#include "measure.h"
#include "roofline.h"
#include "stats.h"

#define BM_CELL_WORKERS 3u /* processes a cell is measured in */
#define BM_CELL_ROUNDS_MAX 20u
#define BM_CELL_KEEP (BM_STATS_SAMPLES_MAX / BM_CELL_ROUNDS_MAX) /* samples stored of one round */

/* What all cells of one sweep over the batch sizes share. Texts are borrowed from the options and
 * the model. */
struct bm_case {
    const struct bm_model *model;
    const struct bm_dataset *dataset;
    const struct bm_roofline *roofline; /* its point_count may be 0 */
    const char *precision;
    uint32_t optimizer;
    uint32_t threads;
    uint64_t seed;
    uint64_t micro_batch;
    uint32_t data_parallel; /* of the rows that split a batch; 0 or 1: there are none */
    double lr;
    uint32_t is_divided;  /* of the data set's training images some are held out, by division.h */
    uint64_t image_count; /* training images, the held-out ones included; 0: all there are */
    uint64_t held_out;
    int reference_fd;
    int vectors_fd; /* arrays shared with the worker (serve_landscape.h); 0: none */
    char layers[BM_LAYERS_SIZE];
};

/* One device of one plugin, or several that share every batch: a row of the table, and the workers
 * that serve its cells. */
struct bm_row {
    const struct bm_options *options;
    const struct bm_plugin_file *file;
    const struct bm_plugin_answer *answer;
    const json_t *device;              /* of the answer; NULL if the plugin has none */
    json_t *properties;                /* as far as they are known, or NULL */
    uint32_t device_index;             /* the first of several */
    uint32_t data_parallel;            /* sessions that share a batch; 1: one has all of it */
    uint32_t devices[BM_PARALLEL_MAX]; /* [data_parallel], of each */
    uint32_t computes_nothing;
    uint32_t software;
    uint32_t failures;   /* crashes and hangs so far */
    const char *padding; /* of its workers' environment, which moves their stacks; NULL: none */
    struct bm_worker worker[BM_CELL_WORKERS];
    uint64_t open_batch[BM_CELL_WORKERS]; /* batch its session is open for, 0: none */
    uint32_t known_count; /* batch sizes whose update has been timed; the last two are kept */
    double known_ns[2];   /* the newer one first */
    uint64_t known_batch[2];
};

struct bm_cell_series {
    struct bm_block_shape shape; /* values 0: not measured */
    double step_ns;              /* of one gradient, apply or update: estimate before timing */
    double samples_ns[BM_STATS_SAMPLES_MAX];
    uint64_t round_counts[BM_CELL_ROUNDS_MAX];
    uint32_t rounds;
    double cpu_ns; /* processor time of one update in the last block */
    uint32_t params_crc;
    uint32_t worker;     /* process of the last block */
    uint32_t repeatable; /* every block of this shape left the same bits */
    const char *stopped; /* why no more rounds: "known to 1 %", "cell time", ... */
};

struct bm_cell {
    struct bm_row *row;
    const struct bm_case *of;
    uint64_t batch;     /* at most the number of images */
    uint64_t requested; /* as asked for */
    struct bm_verdict verdict;
    struct bm_verdict mishap; /* what ended the timing of a cell whose numbers so far are good; kind
                                 OK: nothing */
    uint32_t checked;
    uint32_t is_determined; /* 0: of the gradient float32 gives the order of magnitude only */
    double check_ratio;
    double check_error;
    double check_bound;
    double gradient_ratio; /* largest error over its bound, for each call */
    double apply_ratio;
    double update_ratio;
    double update_ns; /* estimate before timing */
    double clock_ns;
    double budget_s; /* for its check and its rounds; the fewest rounds are made all the same */
    double spare_s;  /* what series beside the update may take where an update is slow, and what
                      * epochs may that repeat the first */
    double check_s;  /* of spent_s what came before the first round */
    double spent_s;
    double asleep_cpu_share; /* most that other workers' processor time was of a block while they
                                should sleep */
    uint32_t updates_max;
    uint32_t tells_device_time;
    uint32_t active;
    struct bm_cell_series series[BM_SERIES_COUNT];
    double epoch_s[3]; /* measured epochs */
    uint32_t epoch_count;
    uint64_t epoch_updates;
    char describe[4096];
    uint64_t bytes;
    uint64_t resident_bytes; /* of a process before its first session; 0: unknown */
    uint64_t peak_bytes;     /* of one with this cell's; 0: unknown */
    double memory_share;     /* of a session in the memory that was free for it */
    uint32_t process_count;  /* processes that its rounds take turns in */
    double worker_ready_ns;  /* from the start of the last worker to its answer that the plugin is
                                loaded */
    double create_ns; /* of the last session: creating, binding data, sending order and start */
};

/* Notes the time of an update, for the plan of larger batches; of one size the last counts. */
void bm_row_learn(struct bm_row *row, uint64_t batch, double update_ns);

/* Time of an update at a batch larger than those known: on the line through the last two; from one
 * alone, at least that one's; 0 if none is known. */
double bm_row_estimate_ns(const struct bm_row *row, uint64_t batch);

/* "ok" etc., with everything that records hold of a cell. The caller's. */
json_t *bm_cell_json(const struct bm_cell *cell);

/* Figures of one series; 0 samples give stats->count 0. */
void bm_cell_stats(const struct bm_cell_series *series, struct bm_series_stats *stats);

/* "scalar", "vulkan:1" for one of several devices, "vulkan:1 x2" for two sessions from it on. */
void bm_row_label(const struct bm_row *row, char *label, uint32_t capacity);

#endif
