/* The workers of a row: started, asked, and what a session is created with. */
#ifndef BM_ROW_WORKER_H
#define BM_ROW_WORKER_H

#include "cell.h"

/* One question to worker `index`, answered within `limit_s` seconds; takes over `command`. 1 if the
 * verdict is OK. *reply is the caller's (json_decref), or NULL. A worker that ended is noted: its
 * session is gone, and a crash or a hang counts as a failure of the row. One that is not running
 * gives 0 and leaves the verdict, which must already say why. */
int32_t bm_row_ask(struct bm_row *row,
                   uint32_t index,
                   json_t *command,
                   double limit_s,
                   json_t **reply,
                   struct bm_verdict *verdict);

/* Starts worker `index` with the data and the reference of the case, and has it load the plugin. 1
 * if the verdict is OK. */
int32_t bm_row_start(struct bm_row *row,
                     uint32_t index,
                     const struct bm_case *of,
                     double limit_s,
                     struct bm_verdict *verdict);

/* The command that opens a session for this batch size. The caller's. */
json_t *bm_row_create_command(const struct bm_row *row, const struct bm_case *of, uint64_t batch);

#endif
