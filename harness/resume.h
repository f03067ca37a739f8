/* Going on with a run that was interrupted: its options, and the cells that need not be measured
 * again. */
#ifndef BM_RESUME_H
#define BM_RESUME_H

#include "options.h"

#include <jansson.h>

/* The options of a run as texts by name, for its record: all that say what is measured, without
 * paths. The caller's. */
json_t *bm_resume_options(const struct bm_options *options);

/* The command that made the record: "run" or "train"; "run" where it does not say. */
const char *bm_resume_command(const json_t *objects);

/* argv of a command with the options of the record `objects` in front of the user's own, those that
 * the user gives anew left out. *count words; free with bm_resume_free. NULL without memory. */
char **
bm_resume_arguments(const json_t *objects, uint32_t command, int argc, char **argv, int *count);

/* The `roofline` of the record's run, borrowed, or NULL. */
const json_t *bm_resume_roofline(const json_t *objects);

/* INVALID if the data of the record's run is not `data`, in a field that both have: what was
 * measured on other images does not go on. */
int32_t bm_resume_check_data(const json_t *objects, json_t *data, struct bm_error *error);

/* INVALID, with the words that give them, if the settings of backends are not those of the record's
 * run: a record chooses what is measured, and the user how. */
int32_t bm_resume_check_settings(const json_t *objects,
                                 const struct bm_options *options,
                                 struct bm_error *error);

void bm_resume_free(char **arguments, int count);

/* A cell with a verdict that a second try would not change: anything but skipped for want of time.
 */
int bm_resume_is_finished(const json_t *object);

/* The finished cell of `objects` that is the same cell as `cell`, or NULL: same backend, device,
 * model, data, optimizer, batch, threads, precision, seed, slices. */
json_t *bm_resume_find(const json_t *objects, const json_t *cell);

#endif
