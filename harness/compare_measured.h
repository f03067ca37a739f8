/* `compare` of two builds: measured now, in pairs. */
#ifndef BM_COMPARE_MEASURED_H
#define BM_COMPARE_MEASURED_H

#include "comparison.h"
#include "options.h"

/* Everything from the paths of two plugins, or of two folders of plugins, to the record, what is
 * printed, and the exit code. `argv` is the command's own, for the record. */
int bm_compare_measured(
    struct bm_options *options, const char *base, const char *head, int argc, char **argv);

#endif
