/*
 * Cells in the format of Google Benchmark's --benchmark_out (release 1.7.1), for tools that read
 * it, its own compare.py first of all.
 */
#ifndef BM_GBENCH_FORMAT_H
#define BM_GBENCH_FORMAT_H

#include <jansson.h>
#include <stdio.h>

/* Prints the `run` object as the context and each series of each `cell` as a benchmark of that
 * name, avx2:0/mlp/fashion-mnist/momentum/batch:100/threads:2/float32/update, with one repetition a
 * round: its median, for one step (gradient, update, ...; a report keeps updates only). Cells that
 * are not ok stand in a list of their own, `errors`. */
void bm_gbench_format_print(const json_t *objects, FILE *stream);

#endif
