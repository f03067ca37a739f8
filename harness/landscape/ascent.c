#include "ascent_parts.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const bm_ascent_names[] = {"L-BFGS-B", "NLopt LD_LBFGS", "corners"};

int32_t bm_ascent_evaluate(const struct bm_ascent_function *function,
                           const double *z,
                           struct bm_ascent *ascent,
                           double *value,
                           double *gradient,
                           struct bm_error *error) {
    int32_t status = function->at(function->context, z, value, gradient, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    ascent->start = ascent->evaluations == 0 ? *value : ascent->start;
    ascent->values[ascent->evaluations++] = *value;
    if (isfinite(*value) && !(*value <= ascent->highest)) {
        ascent->highest = *value;
    }
    return BM_STATUS_OK;
}

/* ---- Corners ---- */

static void
to_corner(const struct bm_ascent_function *function, const double *gradient, double *z) {
    for (uint64_t i = 0; i < function->count; i++) {
        z[i] = gradient[i] > 0 ? function->bound[i] : gradient[i] < 0 ? -function->bound[i] : z[i];
    }
}

static int32_t walk_corners(const struct bm_ascent_function *function,
                            uint32_t evaluations,
                            double *z,
                            double *gradient,
                            struct bm_ascent *ascent,
                            struct bm_error *error) {
    double before = -INFINITY;
    ascent->end = "no evaluations were left";
    while (ascent->evaluations < evaluations) {
        double value = NAN;
        int32_t status = bm_ascent_evaluate(function, z, ascent, &value, gradient, error);
        if (status != BM_STATUS_OK) {
            ascent->end = "an evaluation failed";
            return status;
        }
        if (!(value > before) || !isfinite(value)) {
            ascent->end = "the corner was the highest";
            return BM_STATUS_OK;
        }
        ascent->steps = ascent->evaluations - 1;
        before = value;
        to_corner(function, gradient, z);
    }
    return BM_STATUS_OK;
}

static int32_t run_corners(const struct bm_ascent_function *function,
                           uint32_t evaluations,
                           struct bm_ascent *ascent,
                           struct bm_error *error) {
    double *z = calloc(function->count, sizeof *z);
    double *gradient = calloc(function->count, sizeof *gradient);
    int32_t status;
    if (z == NULL || gradient == NULL) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY,
                         "expected memory for corners in %llu dimensions, found less",
                         (unsigned long long)function->count);
    } else {
        status = walk_corners(function, evaluations, z, gradient, ascent, error);
    }
    free(z);
    free(gradient);
    return status;
}

/* ---- Any of them ---- */

int32_t bm_ascent_run(uint32_t method,
                      const struct bm_ascent_function *function,
                      uint32_t steps,
                      uint32_t evaluations,
                      struct bm_ascent *ascent,
                      struct bm_error *error) {
    BM_ASSERT(evaluations <= BM_ASCENT_EVALUATIONS_MAX);
    *ascent = (struct bm_ascent){.start = NAN, .highest = NAN, .end = ""};
    if (method == BM_ASCENT_CORNERS) {
        return run_corners(function, evaluations, ascent, error);
    }
    if (function->count > BM_ASCENT_COUNT_MAX) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "%s: expected at most %u dimensions, found %llu", bm_ascent_names[method],
                       BM_ASCENT_COUNT_MAX, (unsigned long long)function->count);
    }
    return method == BM_ASCENT_LBFGSB
               ? bm_ascent_lbfgsb(function, steps, evaluations, ascent, error)
               : bm_ascent_nlopt(function, steps, evaluations, ascent, error);
}
