/* What became of a command's cells, and the exit code that follows from it. */
#ifndef BM_OUTCOME_H
#define BM_OUTCOME_H

#include <jansson.h>
#include <stdint.h>

struct bm_outcome {
    uint32_t measured;
    uint32_t refused; /* the plugin could not be loaded or does not fit this host */
    uint32_t crashed; /* or stopped for silence */
    uint32_t wrong;
    uint32_t lost;         /* any other error */
    uint32_t inconclusive; /* that --strict does not accept */
    uint32_t write_failed;
};

/* Counts a cell by its status and, for an error, whether its plugin was refused. */
void bm_outcome_count(struct bm_outcome *outcome, const json_t *cell);

/* Counts a training: one that a limit cut, that diverged or made no progress, was measured too. */
void bm_outcome_count_training(struct bm_outcome *outcome, const json_t *training);

/* Counts what is measured around trainings, where it failed: what was found is no training. NULL
 * and an object without a status, as old records have them, count nothing. */
void bm_outcome_count_failure(struct bm_outcome *outcome, const json_t *object);

/* 128 + the signal that came; otherwise, of what happened, the first of: a write failed, plugin
 * refused, worker crashed, wrong result, nothing measured or a cell lost,
 * inconclusive; or OK. */
int bm_outcome_exit_code(const struct bm_outcome *outcome);

#endif
