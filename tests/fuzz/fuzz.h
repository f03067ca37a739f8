/* What the fuzz targets share. Each has LLVMFuzzerTestOneInput and a corpus of small files. */
#ifndef BM_FUZZ_H
#define BM_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The path of a file with that content, the same one at every call. Aborts without memory. */
const char *bm_fuzz_file(const uint8_t *data, size_t size);

#endif
