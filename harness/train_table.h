/*
 * The one renderer of `train` records: trainings, their curves and what was made of them, as JSON
 * objects, into text tables, markdown or CSV. What it prints can be made again from the file.
 */
#ifndef BM_TRAIN_TABLE_H
#define BM_TRAIN_TABLE_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Prints the objects of one record (`run`, `epoch`, `training`, `tuned`, `noise`, `cell`, `swap`,
 * `equivalence`, `trajectory`). `format` is one of BM_TABLE_*.
 *
 * For every backend, model and data set: final accuracies over the seeds, accuracies under each
 * budget, what a target took, paired differences against the first setting, the small batch against
 * the large one, and notes on every training that is not ok; then the verdicts on equal training
 * across backends. With `verbose` also the curves, the trials of tuning and the gradient noise.
 * CSV: one line an `epoch` object, whatever `verbose` says.
 *
 * A field that is absent or no sensible number is "-"; a record without trainings is its heading
 * and a line that says so.
 */
void bm_train_table_print(const json_t *objects, uint32_t format, uint32_t verbose, FILE *stream);

#endif
