/* SHA-256 of files, by libmd. */
#ifndef BM_DIGEST_H
#define BM_DIGEST_H

#include <batchmark/plugin.h>

/* Hexadecimal digest of the file's content as stored. INVALID with errno if it cannot be read. */
int32_t bm_digest_file(const char *path, char hex[65], struct bm_error *error);

#endif
