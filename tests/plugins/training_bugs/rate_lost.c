/* From update 61 on the rate is 0, as where hyper-parameters lie in a table that has no more rows:
 * the training stops, and nothing says so. */
#include "hyper.h"

static void distort(struct bm_hyper *hyper) {
    if (hyper->update > 60) {
        hyper->rate = 0;
    }
}
