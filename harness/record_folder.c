#include "record_folder.h"

#include "error.h"
#include "options.h"

#include <fts.h>
#include <string.h>

static int has_ending(const char *name, size_t length, const char *ending) {
    size_t own = strlen(ending);
    return length > own && strcmp(name + length - own, ending) == 0;
}

static int is_record(const FTSENT *entry) {
    return has_ending(entry->fts_name, entry->fts_namelen, ".jsonl") ||
           has_ending(entry->fts_name, entry->fts_namelen, ".jsonl.partial");
}

static int compare_names(const FTSENT **left, const FTSENT **right) {
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

static int32_t visit(const struct bm_record_visitor *visitor,
                     void *context,
                     FTS *tree,
                     FTSENT *entry,
                     struct bm_error *error) {
    switch (entry->fts_info) {
    case FTS_D:
        if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
            (void)fts_set(tree, entry, FTS_SKIP);
        }
        return BM_STATUS_OK;
    case FTS_F:
    case FTS_NSOK:
    case FTS_DEFAULT:
    case FTS_SLNONE:
        return is_record(entry)
                   ? visitor->record(context, entry->fts_path, entry->fts_parent->fts_name, error)
                   : BM_STATUS_OK;
    case FTS_DNR:
    case FTS_NS:
    case FTS_ERR:
        (void)bm_fail(error, BM_STATUS_INVALID, "%s: cannot read it: %s", entry->fts_path,
                      strerror(entry->fts_errno));
        return visitor->unreadable(context, error);
    default: /* the second visit of a folder; a link back to one above */
        return BM_STATUS_OK;
    }
}

int32_t bm_record_folder_walk(const char *folder,
                              const struct bm_record_visitor *visitor,
                              void *context,
                              struct bm_error *error) {
    char path[BM_PATH_SIZE];
    char *const paths[] = {path, NULL};
    int32_t status = BM_STATUS_OK;
    FTSENT *entry;
    (void)snprintf(path, sizeof path, "%s", folder);
    FTS *tree = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, compare_names);
    if (tree == NULL) {
        return bm_fail_errno(error, BM_STATUS_NO_MEMORY, "%s: cannot read it", folder);
    }
    while (status == BM_STATUS_OK && (entry = fts_read(tree)) != NULL) {
        status = visit(visitor, context, tree, entry, error);
    }
    (void)fts_close(tree);
    return status;
}
