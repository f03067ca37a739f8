/*
 * Making calls take longer by a share of the time that they took. The time of calls is measured
 * and a debt grows by its share; it is paid by reading the clock until it has passed, in the
 * calling thread. What one payment takes too much the next one takes less.
 */
#ifndef BM_DELAY_STRETCH_H
#define BM_DELAY_STRETCH_H

#include <stdint.h>

struct bm_stretch {
    double share; /* 0.05: 5 % longer; 0: the clock is never read */
    int64_t (*now_ns)(void *context);
    void *context;
    int64_t started_ns; /* of the call that is being measured */
    double debt_ns;     /* to be paid; below 0: was paid ahead */
};

/* Around a call; its share is owed. */
void bm_stretch_begin(struct bm_stretch *stretch);
void bm_stretch_end(struct bm_stretch *stretch);

/* Returns when what is owed has passed. */
void bm_stretch_pay(struct bm_stretch *stretch);

/* The system's clock, for now_ns. */
int64_t bm_stretch_clock_ns(void *context);

#endif
