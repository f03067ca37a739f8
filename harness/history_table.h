/* The renderer of `history` objects, as bm_history_trends makes them: tables as text or markdown
 * with a line for each cell, or CSV with a line for each change. */
#ifndef BM_HISTORY_TABLE_H
#define BM_HISTORY_TABLE_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* `format` is BM_TABLE_TEXT, BM_TABLE_MARKDOWN or BM_TABLE_CSV. */
void bm_history_table_print(const json_t *objects, uint32_t format, FILE *stream);

#endif
