/*
 * How fast this machine could be: its peak of float32 multiply-adds and the bandwidths of its
 * caches and memory, for each number of threads, and the time that no update can be faster than.
 *
 * The bound of an update is max(operations / peak, bytes / bandwidth of the level that parameters
 * and optimizer state fit in): both are taken to overlap fully. Operations are those of
 * bm_model_gradient_flops for each image; bytes are those of bm_model_update_bytes, which leaves
 * activations and images out. Two things can make a share exceed 1: a probe that other programs
 * disturbed, and data of which a nearer level than the one they fit in keeps a part from one use to
 * the next.
 */
#ifndef BM_ROOFLINE_H
#define BM_ROOFLINE_H

#include "options.h"

#include <jansson.h>

#define BM_ROOFLINE_L2 0u
#define BM_ROOFLINE_L3 1u
#define BM_ROOFLINE_MEMORY 2u
#define BM_ROOFLINE_LEVELS 3u
#define BM_ROOFLINE_POINTS_MAX (BM_LIST_MAX + 1u) /* one thread and every --threads */

/* In units a second. The best of the repetitions is what a peak is; the median beside it tells how
 * quiet the machine was. */
struct bm_roofline_rate {
    double best;
    double median;
    double cpu_share; /* of the processors that the threads could use in the best repetition, what
                         they got */
    char isa[24];     /* instruction set of the fastest loop */
};

struct bm_roofline_level {
    double bytes; /* what it holds for that many threads together; 0: no such level. Memory:
                     INFINITY */
    struct bm_roofline_rate read;   /* bytes a second that are read */
    struct bm_roofline_rate update; /* the same where two arrays are read and written, as an update
                                       does with parameters and state; counts both ways */
};

/* What `threads` threads reach together. */
struct bm_roofline_point {
    uint32_t threads;
    struct bm_roofline_rate multiply_add; /* float32 operations, a multiply-add being two */
    struct bm_roofline_level level[BM_ROOFLINE_LEVELS];
};

struct bm_roofline {
    uint32_t point_count; /* 0: not known, and `reason` says why */
    struct bm_roofline_point point[BM_ROOFLINE_POINTS_MAX];
    char source[16]; /* "measured", "cache", or "earlier run" for --resume */
    char reason[sizeof(((struct bm_error *)0)->text)];
};

/* What an update needs at least, and the time that takes. */
struct bm_bound {
    double flops;
    double bytes;         /* moved by an update */
    double working_bytes; /* parameters and state: decides the level */
    double ns;
    const char *level; /* "L2", "L3", "memory" */
    const char *limit; /* "compute" or "memory" */
};

extern const char *const bm_roofline_level_names[BM_ROOFLINE_LEVELS];

/* NULL if it was not measured for that many threads. */
const struct bm_roofline_point *bm_roofline_find(const struct bm_roofline *roofline,
                                                 uint32_t threads);

/* 0 if other programs disturbed the measurement: the threads did not get their processors even in
 * the best repetition of something, which may then lie below the peak. */
int32_t bm_roofline_is_steady(const struct bm_roofline_point *point);

/* Takes the larger numbers of two measurements of one number of threads: a peak is a maximum. */
void bm_roofline_merge(struct bm_roofline_point *point, const struct bm_roofline_point *other);

/* Sets ns, level and limit of a bound whose other fields are given. The level is the nearest one
 * that holds the working set. */
void bm_roofline_bound(const struct bm_roofline_point *point, struct bm_bound *bound);

/* {source, key{}, points[]}: the `roofline` of a run object and the content of the cache file. The
 * caller's. `key` (borrowed) says which machine and program measured it. */
json_t *bm_roofline_json(const struct bm_roofline *roofline, const json_t *key);

/* The points of such an object. 0, and no points, if it is damaged or its key is another. */
int32_t
bm_roofline_from_json(const json_t *object, const json_t *key, struct bm_roofline *roofline);

#endif
