/* The first object of every record: what was asked, on what data, machine and build. */
#ifndef BM_RUN_OBJECT_H
#define BM_RUN_OBJECT_H

#include "data.h"
#include "options.h"
#include "roofline.h"

#include <jansson.h>

/* What the `run` object of any command says: command line, machine, build. The caller's. */
json_t *
bm_run_head(const char *command_name, const struct bm_options *options, int argc, char **argv);

/* The `run` object, the caller's: of the command of that name. `argv` is the command's own; paths
 * in it become file names. `resumed`: goes on with an earlier record. */
json_t *bm_run_object(const char *command_name,
                      const struct bm_options *options,
                      const struct bm_dataset *dataset,
                      const struct bm_roofline *roofline,
                      uint32_t resumed,
                      int argc,
                      char **argv);

/* A word of a command line as records hold it, without folders: what it begins with, "--plugin=",
 * is its first *prefix characters, and the rest, "b.so" of /a/b.so, is returned; both are in
 * `word`. */
const char *bm_run_plain_word(const char *word, int *prefix);

/* The `data` of a run object: shape, counts, files with their SHA-256; of made data the seed. The
 * caller's. */
json_t *bm_run_data(const struct bm_options *options, const struct bm_dataset *dataset);

#endif
