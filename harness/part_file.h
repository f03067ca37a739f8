/* A file that gets its real name only when it is whole, by rename, and whom it belongs to until
 * then. */
#ifndef BM_PART_FILE_H
#define BM_PART_FILE_H

#include <batchmark/plugin.h>

/* Opens `part` for reading and writing, made if need be and kept as it is, and locks it until it is
 * closed. INVALID if another process is at work on it or it is no plain file, INTERNAL if it cannot
 * be opened; *fd is then -1. */
int32_t bm_part_file_open(const char *part, int *fd, struct bm_error *error);

#endif
