/* `compare BASE.jsonl HEAD.jsonl`: the cells of two records of `run`, one against the other. */
#ifndef BM_COMPARE_STORED_H
#define BM_COMPARE_STORED_H

#include "comparison.h"
#include "options.h"

/* Fills a zeroed comparison, which borrows the file names from the paths. INVALID with one line if
 * a file is not a record of `run`, or one was made --in-process; then `comparison` says nothing.
 * UNSUPPORTED if machines or settings differ and --force is not given: the differences are there,
 * and no cells. Free it in any case. */
int32_t bm_compare_stored(const char *base_path,
                          const char *head_path,
                          const struct bm_options *options,
                          struct bm_comparison *comparison,
                          struct bm_error *error);

#endif
