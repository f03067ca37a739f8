/*
 * Several sessions of one plugin as one: a slice is split over them, their gradients are added up
 * in the host's memory, and each makes the same step, so that all hold the same parameters. It has
 * the shape of a plugin's table, so that checks and timing work on it as on a single session.
 *
 * Split. Session k of n takes images [k share, (k + 1) share) of a slice, share = ceil(count / n);
 * the last may take fewer, or none. With batch norm each normalizes what it takes, as with slices
 * of `share` images. All divide by the slice's divisor.
 *
 * Sum. Gradients stay in the sessions until apply or read_gradient asks for them: ACCUMULATE adds
 * to them there. Then every session's is read, each thread adds up a range of the parameters over
 * all sessions, in the order of the sessions, so that the bits are always the same, and the sum is
 * written to every session.
 *
 * Running statistics are those of session 0, which has seen every n-th part only, as in PyTorch's
 * DistributedDataParallel; the others take them over for slices with USE_RUNNING. It also
 * evaluates. Parameters are read from all, and sessions that differ in a bit are an error.
 *
 * Threads. Session 0 is called by the caller, each other one by a thread of its own, from create
 * to destroy. A call returns when all sessions have; what they do later, they do at once. An error
 * of one is that of the call and of all calls after it, until destroy.
 */
#ifndef BM_PARALLEL_H
#define BM_PARALLEL_H

#include <batchmark/plugin.h>

#define BM_PARALLEL_MAX 64u

/* What a joint session is made of. `plugin` and `devices` are borrowed until destroy. */
struct bm_parallel_spec {
    const struct bm_plugin *plugin;
    const uint32_t *devices; /* [count], of each session; may repeat */
    uint32_t count;          /* 2 .. BM_PARALLEL_MAX */
    uint64_t param_count;
    uint64_t statistics_count;
};

/* Images of a slice that one of `count` sessions takes: ceil(images / count). */
uint64_t bm_parallel_share(uint64_t images, uint32_t count);

/* Threads that one of them may use: the budget divided by their number, at least 1. */
uint32_t bm_parallel_threads(uint32_t budget, uint32_t count);

/* The calls for a session of bm_parallel_create. Optional ones that need more than the plugin has
 * are NULL, as are `updates`, device_time, and create and supports, which the two below replace. */
void bm_parallel_table(const struct bm_plugin *plugin, struct bm_plugin *table);

/* OK and the bytes of all sessions together; or UNSUPPORTED and why. `problem` is the whole: its
 * batch_max and thread_count are divided. */
int32_t bm_parallel_supports(const struct bm_parallel_spec *spec,
                             const struct bm_problem *problem,
                             uint64_t *bytes,
                             struct bm_error *error);

/* Makes the sessions. On failure *session is NULL and nothing is left behind. */
int32_t bm_parallel_create(const struct bm_parallel_spec *spec,
                           const struct bm_problem *problem,
                           struct bm_session **session,
                           struct bm_error *error);

#endif
