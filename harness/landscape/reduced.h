/* Part of a data set with its images made smaller: what a small network can come to rest on. */
#ifndef BM_REDUCED_H
#define BM_REDUCED_H

#include "data.h"

/* Images as a side of which at most this many pixels are left. */
#define BM_REDUCED_SIDE 8u

/* The first `images` training images of `source` (or all, where it has fewer), each block of pixels
 * replaced by its mean, rounded, with as many test images at most. Blocks are squares of the
 * smallest side that divides both sides of the image and leaves at most BM_REDUCED_SIDE; where none
 * does, single pixels. Normalized to mean 0 and deviation 1 by channel. The caller's
 * (bm_dataset_close). INVALID for images that are not bytes. */
int32_t bm_reduced_open(const struct bm_dataset *source,
                        uint64_t images,
                        struct bm_dataset *dataset,
                        struct bm_error *error);

#endif
