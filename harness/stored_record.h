/*
 * A record of `run` for those who compare its times: every cell is checked when the file is read,
 * and one series of each is at hand as the logarithms of its round medians, made from the samples.
 */
#ifndef BM_STORED_RECORD_H
#define BM_STORED_RECORD_H

#include "error.h"

#include <jansson.h>
#include <stdint.h>

/* More rounds or samples than this no run has stored. */
#define BM_STORED_SAMPLES_MAX 400u

struct bm_stored_cell {
    const json_t *object; /* lives as long as the record */
    uint64_t line;        /* of the file, from 1 */
    char *key;            /* all that makes it this cell and no other, except the seed */
    json_int_t seed;
    uint32_t round_count; /* 0: it has no times of this series */
    double *log_ns;       /* [round_count], in the order they were measured */
    double median_ns;     /* of the round medians; 0 without times */
};

struct bm_stored_record {
    const char *path; /* not owned */
    const char *name; /* of the file, without folders; in `path` */
    json_t *objects;
    const json_t *run;
    uint32_t is_finished; /* has an `end`: nothing is missing */
    uint32_t cell_count;
    struct bm_stored_cell *cells; /* those that compute something, in the file's order */
};

/* Reads FILE, or FILE.partial as bm_record_read does. INVALID, naming file and line, if it is not a
 * record of `run`, or a cell is damaged, absurd or there twice; then nothing is left to close. */
int32_t bm_stored_open(const char *path,
                       const char *series,
                       struct bm_stored_record *record,
                       struct bm_error *error);

void bm_stored_close(struct bm_stored_record *record);

/* "mlp, fashion-mnist, momentum, batch 100, 2 threads, float32": what was measured, without the
 * backend; the seed is told where it is not 1. */
void bm_stored_name(const json_t *cell, char *name, uint32_t capacity);

#endif
