/*
 * A comparison of two builds from its plugins to its record: what `compare` of builds and the
 * gate's test of itself have in common.
 */
#ifndef BM_COMPARE_RUN_H
#define BM_COMPARE_RUN_H

#include "campaign.h"
#include "compare_plan.h"
#include "comparison.h"

struct bm_compare_run {
    struct bm_campaign campaign; /* data, model, reference, record; its selection is empty */
    struct bm_compare_plan plan;
    struct bm_comparison comparison;
    char names[BM_SIDE_COUNT][BM_PATH_SIZE];
    const char *variant; /* how head is base in disguise: stands behind its name; NULL: it is not */
    uint32_t repeat;     /* of the same cells: another one draws other orders and layouts */
    uint64_t cells_left; /* to be measured, as far as is known before their data is there */
    struct bm_comparison_cell *now;
    uint32_t failed; /* `error` says why */
    struct bm_error error;
};

/* Finds the plugins, opens the first data set and the record, for `repeats` times all cells of the
 * options. On failure the one line is printed; the exit code, BM_EXIT_OK where it can go on.
 * bm_compare_run_close in any case. The run is zeroed, and `argv` the command's own. */
int bm_compare_run_open(struct bm_compare_run *run,
                        struct bm_options *options,
                        const char *const paths[BM_SIDE_COUNT],
                        uint64_t repeats,
                        int argc,
                        char **argv);

/* Every cell of the options once, each written when it is judged. 0 where no more can be: a signal
 * came, a write failed, or `error` says why. */
int bm_compare_run_cells(struct bm_compare_run *run);

/* Ends the record with `code` in it. After a signal it keeps its partial name, and one without
 * cells is removed. */
void bm_compare_run_end(struct bm_compare_run *run, int code);

/* What is printed and exported, and where the record is. */
void bm_compare_run_print(struct bm_compare_run *run);

/* That of a signal or of a failure, which is printed; otherwise `code`. */
int bm_compare_run_exit_code(const struct bm_compare_run *run, int code);

void bm_compare_run_close(struct bm_compare_run *run);

#endif
