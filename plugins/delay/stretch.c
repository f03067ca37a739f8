#include "stretch.h"

#include <time.h>

/* A reading of the clock takes less; if a payment took longer the thread was stopped, and the next
 * ones shall not be shorter for that. */
#define AHEAD_NS_MAX 1000.0

int64_t bm_stretch_clock_ns(void *context) {
    struct timespec time;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void bm_stretch_begin(struct bm_stretch *stretch) {
    if (stretch->share > 0) {
        stretch->started_ns = stretch->now_ns(stretch->context);
    }
}

void bm_stretch_end(struct bm_stretch *stretch) {
    if (stretch->share > 0) {
        int64_t taken_ns = stretch->now_ns(stretch->context) - stretch->started_ns;
        stretch->debt_ns += stretch->share * (double)taken_ns;
    }
}

void bm_stretch_pay(struct bm_stretch *stretch) {
    if (!(stretch->debt_ns > 0)) {
        return;
    }
    int64_t started_ns = stretch->now_ns(stretch->context);
    double paid_ns = 0;
    while (paid_ns < stretch->debt_ns) {
        paid_ns = (double)(stretch->now_ns(stretch->context) - started_ns);
    }
    stretch->debt_ns -= paid_ns;
    if (stretch->debt_ns < -AHEAD_NS_MAX) {
        stretch->debt_ns = -AHEAD_NS_MAX;
    }
}
