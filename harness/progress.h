/* One line on the terminal that says what is being done and how much time is left at most. Nothing
 * where standard error is no terminal. */
#ifndef BM_PROGRESS_H
#define BM_PROGRESS_H

#include <stdint.h>

struct bm_progress {
    uint32_t shown; /* a terminal is there */
};

void bm_progress_init(struct bm_progress *progress);
void bm_progress_show(struct bm_progress *progress, double left_s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void bm_progress_clear(struct bm_progress *progress);

#endif
