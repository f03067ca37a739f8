/* From what the user named to rows: one device of one plugin each and, with --data-parallel, one
 * for each plugin's kind of device in which several share every batch; with what was left out and
 * why. */
#ifndef BM_SELECTION_H
#define BM_SELECTION_H

#include "cell.h"

#define BM_ROW_MAX 128

struct bm_selection {
    struct bm_plugin_list plugins;
    uint32_t is_named; /* the plugins are: their software devices are meant too */
    uint32_t row_count;
    struct bm_row row[BM_ROW_MAX];
    char left_out[1024]; /* "vulkan:0 (software device, not named)", ... */
};

/* Finds the plugins, asks those that are selected and makes their rows. A named backend or device
 * that does not exist is INVALID, listing what there is, as are too few GPUs of a named backend for
 * --data-parallel. A plugin that cannot be loaded has a row
 * all the same, with its verdict in the answer. */
int32_t bm_selection_make(const struct bm_options *options,
                          struct bm_selection *selection,
                          struct bm_error *error);

/* Those of --backend, or all, of one plugin or of one folder of plugins. INVALID if there is none
 * at that path. */
int32_t bm_selection_of(const struct bm_options *options,
                        const char *path,
                        struct bm_selection *selection,
                        struct bm_error *error);

void bm_selection_free(struct bm_selection *selection);

#endif
