/*
 * One session of a plugin and what is needed to drive it: the walk over the order, the update's
 * number, hyper-parameters, the way back to the start. Used by the worker to check and to time.
 * Every call notes its phase, so that a crash has a name.
 */
#ifndef BM_BENCH_H
#define BM_BENCH_H

#include "data.h"
#include "page.h"
#include "parallel.h"
#include "reference.h"

#define BM_BENCH_UPDATES_MAX 4096u /* most updates in one call of `updates` */

struct bm_bench {
    const struct bm_plugin *plugin; /* whose calls the session takes: `table` if it is joint */
    struct bm_page *page;
    uint32_t device;        /* the first of several */
    uint32_t data_parallel; /* sessions that the batch is split over; 1: an ordinary one */
    uint32_t devices[BM_PARALLEL_MAX];
    struct bm_plugin table;
    struct bm_parallel_spec parallel;
    struct bm_problem problem;
    struct bm_model model;
    const struct bm_dataset *dataset;
    struct bm_session *session;
    uint64_t param_count;
    uint64_t statistics_count;
    uint32_t slot_count;
    float *start; /* [param_count] */
    float *zeros; /* [param_count], also the statistics' start */
    uint32_t *order;
    uint64_t order_count;
    uint64_t batch;       /* of one update */
    uint64_t micro_batch; /* images a slice; batch unless the update is split */
    uint32_t flags;       /* of every slice */
    double rate;
    /* Hyper-parameters of an update; NULL: the rule's usual ones with `rate`. */
    struct bm_hyper (*hyper)(const void *context, uint64_t update);
    const void *hyper_context;
    uint64_t first;          /* where the next update's slice begins */
    uint64_t update;         /* number of the next update, from 1 */
    struct bm_hyper *hypers; /* [BM_BENCH_UPDATES_MAX], for `updates` */
    uint64_t bytes;          /* the plugin's own estimate */
    uint64_t available;      /* memory there was when it was asked */
    uint32_t on_gpu;         /* one of its devices is a GPU */
    uint64_t busy_until_ns;  /* when its device was last seen at work, monotonic; 0: never */
};

/* What a session is opened for. */
struct bm_bench_request {
    uint32_t device;
    uint32_t data_parallel;  /* sessions that the batch is split over; 0 or 1: one, on `device` */
    const uint32_t *devices; /* [data_parallel] if there are several */
    const struct bm_model *model;
    const struct bm_dataset *dataset;
    uint32_t optimizer;
    uint32_t thread_count;
    const char *precision;
    uint64_t seed;
    uint64_t batch;
    uint64_t micro_batch; /* 0: batch */
    uint32_t
        evaluates; /* evaluation is more than a check: its slices are not those of a small batch */
    double rate;
    const struct bm_option *options;
    uint32_t option_count;
};

/* Creates the session, binds the data of every split that there is, and sets the order of epoch 0.
 * UNSUPPORTED with the plugin's reason. On failure nothing is left. */
int32_t bm_bench_open(const struct bm_plugin *plugin,
                      struct bm_page *page,
                      const struct bm_bench_request *request,
                      struct bm_bench *bench,
                      struct bm_error *error);

void bm_bench_close(struct bm_bench *bench);

/* Copies `order` to the session and starts the walk at its beginning. */
int32_t bm_bench_set_order(struct bm_bench *bench,
                           const uint32_t *order,
                           uint64_t count,
                           struct bm_error *error);

/* Parameters, optimizer state and statistics go back to the seed's start, the walk to the order's
 * beginning, the number of the update to 1. A plugin that cannot write its state gets a new
 * session. */
int32_t bm_bench_reset(struct bm_bench *bench, struct bm_error *error);

/* Asks for the gradient of the next `count` images (the walk does not move), in slices of
 * micro_batch. */
int32_t bm_bench_gradient(struct bm_bench *bench, uint64_t count, struct bm_error *error);

/* Moves the walk on by one batch without an update, for series of gradients. */
void bm_bench_walk(struct bm_bench *bench);

int32_t bm_bench_apply(struct bm_bench *bench, struct bm_error *error);

/* One update by the plugin's own call, or by gradient and apply where it has none; the walk moves
 * on by `batch`, from the beginning where less than a batch is left. */
int32_t bm_bench_update(struct bm_bench *bench, struct bm_error *error);

/* Goes back to the order's beginning if fewer than `count` batches are left before its end, as
 * bm_bench_updates does. */
void bm_bench_make_room(struct bm_bench *bench, uint64_t count);

/* `count` updates by one call of `updates`; they must fit into the order from its beginning. Walks
 * on as `count` times bm_bench_update. */
int32_t bm_bench_updates(struct bm_bench *bench, uint32_t count, struct bm_error *error);

/* Most updates that one call of `updates` can make; 0 if the plugin has no such call or updates are
 * split into slices. */
uint32_t bm_bench_updates_max(const struct bm_bench *bench);

/* One update of the next `count` images, at most a batch; the walk moves on by them. */
int32_t bm_bench_step(struct bm_bench *bench, uint64_t count, struct bm_error *error);

/* The whole order as training walks it, the short last batch included. */
int32_t bm_bench_epoch(struct bm_bench *bench, uint64_t *updates, struct bm_error *error);

int32_t bm_bench_wait(struct bm_bench *bench, double *loss, struct bm_error *error);

/* Whether the plugin tells the device's own time, of whole batches: not of one slice of several. */
uint32_t bm_bench_has_device_time(const struct bm_bench *bench);

/* After a wait; see struct bm_device_time. */
int32_t
bm_bench_device_time(struct bm_bench *bench, struct bm_device_time *time, struct bm_error *error);
int32_t bm_bench_read_params(struct bm_bench *bench, float *values, struct bm_error *error);
int32_t bm_bench_read_gradient(struct bm_bench *bench, float *values, struct bm_error *error);
int32_t bm_bench_evaluate(struct bm_bench *bench,
                          uint32_t split,
                          double *loss,
                          uint64_t *correct,
                          struct bm_error *error);

/* A slot of the rule, or BM_STATE_STATISTICS; UNSUPPORTED if the plugin cannot read it. */
int32_t bm_bench_read_state(
    struct bm_bench *bench, uint32_t slot, float *values, uint64_t count, struct bm_error *error);

/* Replaces the parameters, [param_count]; the walk stays where it is. */
int32_t bm_bench_write_params(struct bm_bench *bench, const float *values, struct bm_error *error);

/* Replaces a slot of the rule, or BM_STATE_STATISTICS; UNSUPPORTED if the plugin cannot write it.
 */
int32_t bm_bench_write_state(struct bm_bench *bench,
                             uint32_t slot,
                             const float *values,
                             uint64_t count,
                             struct bm_error *error);

/* Hyper-parameters of the update of that number. */
struct bm_hyper bm_bench_hyper(const struct bm_bench *bench, uint64_t update);

#endif
