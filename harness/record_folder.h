/* The records of a folder and of those below it, in the order of their names. */
#ifndef BM_RECORD_FOLDER_H
#define BM_RECORD_FOLDER_H

#include <batchmark/plugin.h>

/* What is done with what is found. A status other than OK ends the walk and is its own. */
struct bm_record_visitor {
    /* A file that is called like a record, finished or partial; `folder` is the name of its folder.
     * Both are borrowed until it returns. */
    int32_t (*record)(void *context, const char *path, const char *folder, struct bm_error *error);

    /* A folder or file that cannot be read, as `error` tells. */
    int32_t (*unreadable)(void *context, struct bm_error *error);
};

/* Visits all *.jsonl and *.jsonl.partial in and below `folder`, a path that may end in a slash;
 * links are followed, hidden folders left out. NO_MEMORY, or what a visit returns. */
int32_t bm_record_folder_walk(const char *folder,
                              const struct bm_record_visitor *visitor,
                              void *context,
                              struct bm_error *error);

#endif
