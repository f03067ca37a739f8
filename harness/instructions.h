/*
 * How many instructions one update executes on one thread: a measure of a plugin that noise does
 * not touch. By the hardware's counter where there is one, otherwise by valgrind, whose emulated
 * processor may make a plugin choose other code: the two sources are never compared.
 *
 * What a plugin chooses by measuring (`describe` tells) can differ from one worker to the next, and
 * the count with it. Fix such choices by options where a plugin has them, and compare two counts
 * only where the descriptions agree.
 */
#ifndef BM_INSTRUCTIONS_H
#define BM_INSTRUCTIONS_H

#include "worker.h"

enum bm_instructions_source {
    BM_INSTRUCTIONS_ANY, /* the hardware's counter, otherwise valgrind */
    BM_INSTRUCTIONS_HARDWARE,
    BM_INSTRUCTIONS_VALGRIND,
};

struct bm_instructions_request {
    const char *plugin;                /* absolute path */
    const struct bm_opened_file *file; /* that must be found there */
    const json_t
        *create; /* what opens the session, as of bm_row_create_command; threads become 1 */
    int data_fd; /* memory file of the data set */
    const struct bm_worker_variable *variables;
    uint32_t variable_count;
    enum bm_instructions_source source; /* for a second plugin: that of the first */
    uint64_t updates; /* counted, at least 1; under valgrind each takes 50 to 500 times as long */
    double limit_s;   /* of each answer of the worker */
};

struct bm_instructions {
    enum bm_instructions_source source; /* that counted: not ANY */
    double per_update;
    char describe[4096]; /* what ran, by the plugin's describe */
};

/* Counts in a worker of its own. UNSUPPORTED and why ("not counted: ...") where neither source can
 * count this plugin; TIMEOUT or INTERNAL if the plugin hangs, crashes or fails. */
int32_t bm_instructions_count(const struct bm_instructions_request *request,
                              struct bm_instructions *result,
                              struct bm_error *error);

/* "hardware counter", "valgrind". */
const char *bm_instructions_source_name(enum bm_instructions_source source);

#endif
