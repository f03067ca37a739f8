/* `compare --self-test`: does the gate find slow-downs of known size, and nothing where there is
 * none? A plugin against itself in the delay plugin. */
#ifndef BM_SELF_TEST_H
#define BM_SELF_TEST_H

#include "options.h"

/* `plugin` is a path, or NULL: the first of --backend, or of all, that is found. Runs --repeat
 * gates for each cell and --delay, and prints how many had which verdict. BM_EXIT_WRONG if more
 * than one in a hundred gates without a delay is a REGRESSION, if a slow-down is ever an
 * IMPROVEMENT, if one beyond what all gates say that they find is found in less than half of them,
 * or if a gate had no verdict. */
int bm_self_test(struct bm_options *options, const char *plugin, int argc, char **argv);

#endif
