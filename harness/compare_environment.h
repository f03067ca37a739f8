/* What two records of `run` have been measured on and with, and where that differs. */
#ifndef BM_COMPARE_ENVIRONMENT_H
#define BM_COMPARE_ENVIRONMENT_H

#include "comparison.h"

/* Adds to `comparison` what differs between two `run` objects: machine, host, build, options, data.
 * *weighty counts those that change times: another machine, other settings. The rest, like another
 * kernel, is only told. NO_MEMORY. */
int32_t bm_compare_environment(const json_t *base,
                               const json_t *head,
                               struct bm_comparison *comparison,
                               uint32_t *weighty,
                               struct bm_error *error);

#endif
