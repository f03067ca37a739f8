/*
 * The times of every cell over the stored records of `batchmark run`: a series for each cell on
 * each machine, in the order in which the runs were started. Records of another machine, or made
 * with other settings, are other series and never mixed.
 */
#ifndef BM_HISTORY_H
#define BM_HISTORY_H

#include "options.h"

#include <jansson.h>

struct bm_history_run {
    char started[24]; /* 2026-11-25T04:44:53Z */
    char revision[BM_NAME_SIZE];
    uint32_t resumed;
    uint32_t asked; /* number of what --backend was: the rows that it may be expected to have */
};

struct bm_history_point {
    uint32_t run;    /* index in struct bm_history */
    uint32_t status; /* of the cell, an index of bm_history_statuses */
    double ns;       /* 0: it has no time */
};

struct bm_history_series {
    json_t *identity; /* the cell's fields that make it this cell, as in records */
    char label[BM_NAME_SIZE];
    uint32_t host; /* index of `hosts` */
    uint32_t point_count;
    uint32_t point_capacity;
    struct bm_history_point *points;
};

struct bm_history {
    const struct bm_options *options;
    void (*complain)(const char *text); /* is told what cannot be read */
    uint32_t complaints;
    uint32_t in_process; /* runs left out: such results are never compared */
    uint32_t repeated;   /* runs met before: copies of a record */
    uint32_t run_count;
    uint32_t run_capacity;
    struct bm_history_run *runs;
    uint32_t series_count;
    uint32_t series_capacity;
    struct bm_history_series *series;
    json_t *hosts;      /* machine, processor and build of each, an array of objects */
    json_t *host_index; /* of their texts; likewise of identities and run ids */
    json_t *series_index;
    json_t *run_ids;
    json_t *asked_index;
};

#define BM_HISTORY_OK 0u

/* "ok", "skipped", ..., NULL-terminated. */
extern const char *const bm_history_statuses[];

/* Reads all records (*.jsonl and *.jsonl.partial) in and below `folder`, those of hidden folders
 * left out, of the cells that --backend, --model and --batch name the series --series. A record
 * that cannot be read is told with file and line, and what stands behind that line is left out.
 * INVALID if there is no such folder; NO_MEMORY. */
int32_t bm_history_read(struct bm_history *history, const char *folder, struct bm_error *error);

/* Adds a record that has been read: `objects`, borrowed for the call, of which the first stands in
 * that line of the file `path`. INVALID with file and line where a cell is damaged; NO_MEMORY. */
int32_t bm_history_add(struct bm_history *history,
                       const char *path,
                       uint64_t line,
                       const json_t *objects,
                       struct bm_error *error);

void bm_history_deinit(struct bm_history *history);

#endif
