/* A comparison as a table for the terminal, markdown or CSV. What it prints can be made again from
 * the record. */
#ifndef BM_COMPARISON_TABLE_H
#define BM_COMPARISON_TABLE_H

#include "comparison.h"

#include <stdio.h>

/* `format` is BM_TABLE_*. One block a case, with a row for each backend and batch size, then notes
 * on what differs and on every cell that has something to say; CSV has a line a cell. With
 * `verbose` also what the tuners of each cell chose, and where the time went. */
void bm_comparison_table_print(const struct bm_comparison *comparison,
                               uint32_t format,
                               uint32_t verbose,
                               FILE *stream);

#endif
