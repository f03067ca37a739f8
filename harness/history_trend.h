/* What the series of a history say: first and last time, changes of level and the revisions between
 * which they came, cells that were lost. */
#ifndef BM_HISTORY_TREND_H
#define BM_HISTORY_TREND_H

#include "history.h"

/* One object a cell that has a time, of kind `history`, sorted: `series`, `host`, the cell's
 * fields, `runs` (the last --since of them), `points` ([started, revision, median_ns] of each, in
 * the order of time), `first` and `last` of them, `ratio` of last to first, `changes` of at least
 * --threshold, and `lost`, null or the cell's last sign of life where newer runs have other cells
 * of its case and not this one. Sorts the points by time. The caller's; NULL without memory. */
json_t *bm_history_trends(struct bm_history *history, struct bm_error *error);

#endif
