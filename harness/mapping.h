/* A memory file, mapped to be read at random. */
#ifndef BM_MAPPING_H
#define BM_MAPPING_H

#include <stddef.h>

/* Maps `bytes` of a memory file, read-only and shared, in huge pages where the system gives them:
 * who gathers images from all over a data set would look up a page for each. NULL and errno if it
 * cannot be mapped; the caller unmaps it with munmap. */
void *bm_mapping_read(int fd, size_t bytes);

#endif
