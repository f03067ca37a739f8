/* The time by CLOCK_MONOTONIC: it never goes back, and only differences mean anything. */
#ifndef BM_NOW_H
#define BM_NOW_H

#include <stdint.h>

/* In seconds, to about a nanosecond. */
double bm_now_s(void);

/* In nanoseconds. */
uint64_t bm_now_ns(void);

#endif
