/* The plugin that is made slower: the file that $BATCHMARK_DELAY_PLUGIN names. */
#ifndef BM_DELAY_WRAPPED_H
#define BM_DELAY_WRAPPED_H

#include <batchmark/plugin.h>

#define BM_DELAY_PLUGIN "BATCHMARK_DELAY_PLUGIN"

/* Loads it, and checks of its table what a host would, because whoever loads this plugin does not
 * see it. NULL and why if there is none that can be used. */
const struct bm_plugin *bm_delay_wrapped(struct bm_error *error);

#endif
