/* Every fifth update forgets the momentum, as where a buffer of the optimizer's state is taken from
 * a ring that is one too short. */
#include "hyper.h"

static void distort(struct bm_hyper *hyper) {
    if (hyper->update % 5 == 0) {
        hyper->momentum = 0;
    }
}
