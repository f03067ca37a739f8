/* How training divides its images: those that are trained on, and those held out to choose by. */
#ifndef BM_DIVISION_H
#define BM_DIVISION_H

#include "data.h"

#define BM_DIVISION_HELD_OUT UINT64_C(5000) /* most that are held out unless more are asked for */

/* Of the first `image_count` training images (0: of all) the last `held_out_count` become the
 * validation split and the ones before them the training split; BM_DIVISION_DEFAULT: 5000 or a
 * tenth, whichever is fewer. Starts from the whole set whatever the division before. INVALID if
 * there are fewer images or none is left to train on; the set is then as it was. */
#define BM_DIVISION_DEFAULT UINT64_MAX
int32_t bm_dataset_divide(struct bm_dataset *dataset,
                          uint64_t image_count,
                          uint64_t held_out_count,
                          struct bm_error *error);

#endif
