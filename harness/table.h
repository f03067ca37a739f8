/*
 * The one renderer of `run` records: cells, as JSON objects, into text tables, markdown or CSV.
 * What it prints can be made again from the file.
 */
#ifndef BM_TABLE_H
#define BM_TABLE_H

#include "grid.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#define BM_TABLE_TEXT 0u
#define BM_TABLE_MARKDOWN 1u
#define BM_TABLE_CSV 2u
#define BM_TABLE_BLOCKS 3u /* of grids and lines in the program, no option: an object a line */

/* -1 if the name is not table, markdown or csv. */
int32_t bm_table_format(const char *name);

/* Prints the objects of one record (`run`, `cell`, ...): heading, time of one update, time of one
 * epoch, share of the bound, images/s, and notes on every cell that is not ok. CSV: one line a
 * cell. With `verbose` also the roofline, the other series, checks and what each session says of
 * itself.
 *
 * Cells of several records stand side by side if they say so: `row`, what their row is called,
 * which then tells the threads; `machine`, of which the first row that computes is what the
 * others' speed is told against; `run`, of which the rounds took turns; `detail`, a text that ends
 * the name of their case. */
void bm_table_print(const json_t *objects, uint32_t format, uint32_t verbose, FILE *stream);

/* Whether rounds of a series differ so much that it is told: more than 10 % between them. */
int bm_table_is_unsteady(const json_t *series);

/* "12.3 ms", with three significant digits. */
void bm_table_time(double ns, char *text, uint32_t capacity);

/* A grid as text, markdown or blocks. */
void bm_table_print_grid(const struct bm_grid *grid, uint32_t format, FILE *stream);

/* The record's first line, "batchmark 1.0 on Example CPU, 2 cores", and an empty one; nothing if
 * there is no `run` object. */
void bm_table_print_heading(const json_t *objects, FILE *stream);

#endif
