#include "objective.h"

#include <stddef.h>

int32_t bm_objective_at(struct bm_objective *objective,
                        const float *params,
                        double *loss,
                        float *gradient,
                        struct bm_error *error) {
    objective->gradients += gradient != NULL;
    objective->losses += gradient == NULL;
    return objective->at(objective->context, params, loss, gradient, error);
}
