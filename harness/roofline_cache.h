/*
 * The roofline that a run uses: measured when there is none of this machine yet, and kept in
 * $XDG_CACHE_HOME/batchmark/roofline-MACHINE.json, else ~/.cache/batchmark. A file that is damaged,
 * or of another machine or build, is measured anew and replaced; one that cannot be written costs
 * the next run its time. Numbers that other programs disturbed are measured again by the next run,
 * and the larger ones kept.
 */
#ifndef BM_ROOFLINE_CACHE_H
#define BM_ROOFLINE_CACHE_H

#include "roofline.h"

#define BM_ROOFLINE_TIME_LIMIT_MIN_S 10.0 /* a shorter run is not held up by the probe */

struct bm_roofline_wish {
    const char *mode; /* --roofline: auto, measure, none */
    const struct bm_number_list *threads;
    double time_limit_s;
    const json_t *earlier; /* `roofline` of the record that --resume goes on with, or NULL: kept,
                              so that all cells of a record have the same */
    void (*progress)(void *context, uint32_t threads); /* or NULL */
    void *context;
};

/* Points for one thread and for each wanted number, or none and the reason. Never fails. */
void bm_roofline_get(const struct bm_roofline_wish *wish, struct bm_roofline *roofline);

/* What a roofline belongs to: processor, its count, this program and how it was compiled. The
 * caller's. */
json_t *bm_roofline_key(void);

/* 0 if there is no place for it or it does not fit. */
int32_t bm_roofline_cache_path(char *path, size_t capacity);

/* Adds the file's points; 0, and none, if it is not there, damaged, or of another key. */
int32_t bm_roofline_cache_read(const char *path, const json_t *key, struct bm_roofline *roofline);

/* Replaces the file as a whole, and makes its folders. INVALID if that fails; the old file stays.
 */
int32_t bm_roofline_cache_write(const char *path,
                                const json_t *key,
                                const struct bm_roofline *roofline,
                                struct bm_error *error);

#endif
