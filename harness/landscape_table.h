/*
 * The one renderer of `landscape` records, whose objects are described in landscape/README.md, into
 * text tables, markdown or CSV. What it prints can be made again from the file.
 */
#ifndef BM_LANDSCAPE_TABLE_H
#define BM_LANDSCAPE_TABLE_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Prints the objects of kind `landscape` of one record. `format` is BM_TABLE_TEXT,
 * BM_TABLE_MARKDOWN or BM_TABLE_CSV.
 *
 * For every analysis, and there for every network: its tables, how they are to be read, and a note
 * on each object that is not ok. With `verbose` also what the tables sum up: surfaces, runs one by
 * one, layers. CSV: one line an object with all of its single values, whatever `verbose` says.
 *
 * A field that is absent or no sensible number is "-"; a record without such objects is its heading
 * and a line that says so.
 */
void bm_landscape_table_print(const json_t *objects,
                              uint32_t format,
                              uint32_t verbose,
                              FILE *stream);

#endif
