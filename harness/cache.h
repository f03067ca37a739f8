/* Small JSON files that save the next run some time, in $XDG_CACHE_HOME/batchmark, else
 * ~/.cache/batchmark. One that is damaged or missing is no error: what it held is found out anew.
 */
#ifndef BM_CACHE_H
#define BM_CACHE_H

#include <batchmark/plugin.h>

#include <jansson.h>
#include <stddef.h>

/* The path of the file of that name; 0 if there is no place for it. */
int32_t bm_cache_path(const char *name, char *path, size_t capacity);

/* What the file holds (the caller's), or NULL: not there, no regular file, too large, no JSON. */
json_t *bm_cache_read(const char *path);

/* Replaces the file as a whole, and makes its folders. INVALID if that fails; the old file stays.
 */
int32_t bm_cache_write(const char *path, const json_t *object, struct bm_error *error);

#endif
