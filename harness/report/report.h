/*
 * What `batchmark report` knows: the records that it was given, read and checked as hostile input,
 * and what is made of them: tables of all machines side by side, and one page that draws them.
 */
#ifndef BM_REPORT_H
#define BM_REPORT_H

#include "options.h"

#include <jansson.h>
#include <stdio.h>

/* One `run` object and what follows it in its file. Most files hold one. */
struct bm_report_run {
    char *path;          /* the file, for messages */
    const char *file;    /* its name without folders; in `path` */
    uint64_t line;       /* of the first object; the others stand in the lines behind it */
    uint32_t torn;       /* the file's last line was cut off */
    const char *command; /* "run", "train", "compare", "history", "landscape": static */
    json_t *objects;
    const json_t *run; /* NULL: what `compare` or `history` exported without it */
    const json_t *end; /* NULL: it was not finished */
};

/* Begin with a zeroed one. */
struct bm_report {
    const struct bm_options *options;
    uint32_t run_count;
    uint32_t run_capacity;
    struct bm_report_run *runs;
    uint32_t file_count;
    json_t *ids;      /* of runs and of files that were read */
    json_t *left_out; /* names of files in folders that are no records; NULL: none */
};

/* Reads a record, FILE or FILE.partial, or all records in and below a folder. What was read before,
 * a file or a run, is left out. INVALID with one line, naming file and line, for what is no record
 * or a damaged one; a torn last line is dropped. In a folder, what never was a record of this
 * program is left out. NO_MEMORY. */
int32_t bm_report_read(struct bm_report *report, const char *path, struct bm_error *error);

/* Adds a record that this process made, under the name of its file. Shares the objects. */
int32_t bm_report_add(struct bm_report *report,
                      const char *file,
                      const json_t *objects,
                      struct bm_error *error);

void bm_report_deinit(struct bm_report *report);

/* The page's data, see README.md. The caller's; NULL with INVALID or NO_MEMORY in `error`. */
json_t *bm_report_data(const struct bm_report *report, struct bm_error *error);

/* Whether the data has anything to show beside the machines. */
int bm_report_has_figures(const json_t *data);

/* Prints tables as `format`: table, markdown or csv. INTERNAL, naming `what`, if the stream does
 * not take it. */
int32_t bm_report_print(const struct bm_report *report,
                        const char *format,
                        FILE *stream,
                        const char *what,
                        struct bm_error *error);

/* Writes the page. INVALID if the template or Chart.js is not there or not as it should be, or the
 * place is no plain file; INTERNAL if it cannot be written, and what was there before is left as it
 * was. `bytes`, if not NULL, gets its size. */
int32_t
bm_report_write_page(const json_t *data, const char *path, uint64_t *bytes, struct bm_error *error);

/* All of it for the objects of a command that made them just now. */
int32_t bm_report_export(const json_t *objects,
                         const struct bm_options *options,
                         const char *path,
                         struct bm_error *error);

#endif
