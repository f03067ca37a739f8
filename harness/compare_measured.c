#include "compare_measured.h"

#include "command.h"
#include "compare_run.h"

#include <stdlib.h>

static int measure(struct bm_compare_run *run,
                   struct bm_options *options,
                   const char *const paths[BM_SIDE_COUNT],
                   int argc,
                   char **argv) {
    int code = bm_compare_run_open(run, options, paths, 1, argc, argv);
    if (code != BM_EXIT_OK) {
        return code;
    }
    (void)bm_compare_run_cells(run);
    code = bm_comparison_exit_code(&run->comparison);
    bm_compare_run_end(run, code);
    bm_compare_run_print(run);
    return bm_compare_run_exit_code(run, code);
}

int bm_compare_measured(
    struct bm_options *options, const char *base, const char *head, int argc, char **argv) {
    const char *const paths[BM_SIDE_COUNT] = {base, head};
    struct bm_compare_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        (void)fprintf(stderr, "batchmark compare: no memory\n");
        return BM_EXIT_USAGE;
    }
    int code = measure(run, options, paths, argc, argv);
    bm_compare_run_close(run);
    free(run);
    return code;
}
