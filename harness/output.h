/* Where the objects of a command go besides its record: standard output and the files of --export,
 * each in the format asked for. */
#ifndef BM_OUTPUT_H
#define BM_OUTPUT_H

#include "options.h"

#include <jansson.h>

/* Prints all objects as `format`, one of those that --format or --export of their command take.
 * INTERNAL, naming `what`, if the stream does not take it; INVALID if they are a comparison's and
 * damaged. */
int32_t bm_output_print(const json_t *objects,
                        const char *format,
                        uint32_t verbose,
                        FILE *stream,
                        const char *what,
                        struct bm_error *error);

/* INVALID if --export names `file`, or FILE.partial, that is read or is the record: it would be
 * written over. For before anything is measured; "" is no file. */
int32_t bm_output_check(const struct bm_options *options, const char *file, struct bm_error *error);

/* Writes every file of --export. One that fails does not keep the others from being written; the
 * status and text are those of the last that failed. */
int32_t
bm_output_export(const json_t *objects, const struct bm_options *options, struct bm_error *error);

#endif
