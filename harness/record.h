/*
 * Result files: JSON lines, written and flushed an object at a time to FILE.partial and renamed to
 * FILE after the `end` object, so that nothing measured is lost whatever happens.
 */
#ifndef BM_RECORD_H
#define BM_RECORD_H

#include "options.h"

#include <jansson.h>

#define BM_RECORD_SCHEMA 1

/* A file being written. */
struct bm_record {
    FILE *stream;
    char path[BM_PATH_SIZE];
    char partial[BM_PATH_SIZE];
    uint32_t is_fresh; /* not yet in the place of an old partial file */
};

/* Where a command writes: --output, else results/<machine>/<UTC>-<command>.jsonl if the current
 * folder has results/, else below $XDG_STATE_HOME/batchmark. Makes the folders. */
int32_t bm_record_path(const struct bm_options *options,
                       const char *command,
                       char *path,
                       uint32_t capacity,
                       struct bm_error *error);

/* Opens FILE.partial for this process alone. INVALID if an interrupted run left one there and
 * `replace` is 0, or another process writes it. With `replace` the old partial stays until the
 * first bm_record_commit. */
int32_t bm_record_create(const char *path,
                         uint32_t replace,
                         struct bm_record *record,
                         struct bm_error *error);

/* Appends one object as a line and flushes it to the file. */
int32_t bm_record_write(struct bm_record *record, const json_t *object, struct bm_error *error);

/* Makes what was written so far the partial file, where `replace` kept an old one. Syncs it. */
int32_t bm_record_commit(struct bm_record *record, struct bm_error *error);

/* Syncs, closes and renames the partial file to its final name. */
int32_t bm_record_finish(struct bm_record *record, struct bm_error *error);

/* Says where a finished record is, and the command that makes a page of it. */
void bm_record_tell(const struct bm_record *record, FILE *stream);

/* Closes; the partial file stays. */
void bm_record_abandon(struct bm_record *record);

/* Closes and removes the partial file, where there is nothing in it to go on with. */
void bm_record_discard(struct bm_record *record);

/* Reads FILE or, if it is not there, FILE.partial, into an array of objects, the caller's. A torn
 * last line is dropped (*torn = 1); any other damage is INVALID with file and line, as
 * bm_record_scan_next has it. */
int32_t bm_record_read(const char *path, json_t **objects, uint32_t *torn, struct bm_error *error);

/* The same for those who go on with it: FILE.partial first, if anything is in it. */
int32_t bm_record_read_unfinished(const char *path,
                                  json_t **objects,
                                  uint32_t *torn,
                                  struct bm_error *error);

#endif
