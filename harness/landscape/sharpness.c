#include "sharpness.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>

/* The objective as a function of z. */
struct box {
    struct bm_objective *objective;
    const struct bm_subspace *subspace;
    const float *params;
    double *bound;   /* [dimensions] */
    float *moved;    /* [count] */
    float *gradient; /* [count] */
};

double bm_sharpness_phi(const struct bm_ascent *ascent, double value) {
    return 100 * (value - ascent->start) / (1 + ascent->start);
}

/* x + z, rounded to the inside of the box. */
static float move_inside(float x, double z, double bound) {
    const float moved = (float)((double)x + z);
    return fabs((double)moved - (double)x) > bound ? nextafterf(moved, x) : moved;
}

static int32_t
at(void *context, const double *z, double *value, double *gradient, struct bm_error *error) {
    struct box *box = context;
    const uint64_t count = box->objective->count;
    if (box->subspace != NULL) {
        bm_subspace_move(box->subspace, box->params, z, box->moved);
    } else {
        for (uint64_t i = 0; i < count; i++) {
            box->moved[i] = move_inside(box->params[i], z[i], box->bound[i]);
        }
    }
    int32_t status = bm_objective_at(box->objective, box->moved, value, box->gradient, error);
    if (status == BM_STATUS_OK && box->subspace != NULL) {
        bm_subspace_gradient(box->subspace, box->gradient, gradient);
    }
    for (uint64_t i = 0; status == BM_STATUS_OK && box->subspace == NULL && i < count; i++) {
        gradient[i] = (double)box->gradient[i];
    }
    return status;
}

static void close_box(struct box *box) {
    free(box->bound);
    free(box->moved);
    free(box->gradient);
}

static int32_t open_box(struct box *box, double epsilon, struct bm_error *error) {
    const uint64_t count = box->objective->count;
    const uint64_t dimensions = box->subspace == NULL ? count : box->subspace->dimensions;
    box->bound = calloc(dimensions, sizeof *box->bound);
    box->moved = calloc(count, sizeof *box->moved);
    box->gradient = calloc(count, sizeof *box->gradient);
    if (box->bound == NULL || box->moved == NULL || box->gradient == NULL) {
        close_box(box);
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "sharpness: expected memory for %llu parameters, found less",
                       (unsigned long long)count);
    }
    if (box->subspace != NULL) {
        bm_subspace_coordinates(box->subspace, box->params, box->bound);
    }
    for (uint64_t i = 0; i < dimensions; i++) {
        const double coordinate = box->subspace == NULL ? (double)box->params[i] : box->bound[i];
        box->bound[i] = epsilon * (fabs(coordinate) + 1);
    }
    return BM_STATUS_OK;
}

struct bm_sharpness bm_sharpness_init(double epsilon, const struct bm_subspace *subspace) {
    struct bm_sharpness sharpness = {.epsilon = epsilon, .subspace = subspace};
    for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
        sharpness.ascent[method] = (struct bm_ascent){.start = NAN, .highest = NAN, .end = ""};
    }
    return sharpness;
}

/* All methods; a missing library is noted. */
static int32_t run_methods(const struct bm_ascent_function *function,
                           struct bm_sharpness *sharpness,
                           struct bm_error *error) {
    for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
        const uint32_t evaluations =
            method == BM_ASCENT_CORNERS ? BM_SHARPNESS_CORNERS : BM_SHARPNESS_EVALUATIONS;
        int32_t status = bm_ascent_run(method, function, BM_SHARPNESS_STEPS, evaluations,
                                       &sharpness->ascent[method], error);
        if (status == BM_STATUS_UNSUPPORTED && sharpness->ascent[method].evaluations == 0) {
            sharpness->missing[method] = *error;
        } else if (status != BM_STATUS_OK) {
            return status;
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_sharpness_measure(struct bm_objective *objective,
                             const float *params,
                             struct bm_sharpness *sharpness,
                             struct bm_error *error) {
    struct box box = {.objective = objective, .subspace = sharpness->subspace, .params = params};
    int32_t status = open_box(&box, sharpness->epsilon, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    const struct bm_ascent_function function = {
        .count = sharpness->subspace == NULL ? objective->count : sharpness->subspace->dimensions,
        .bound = box.bound,
        .at = at,
        .context = &box};
    status = run_methods(&function, sharpness, error);
    close_box(&box);
    const int has_first = sharpness->missing[BM_ASCENT_LBFGSB].code == BM_STATUS_OK;
    sharpness->method = has_first ? BM_ASCENT_LBFGSB : BM_ASCENT_NLOPT;
    if (status == BM_STATUS_OK && sharpness->missing[sharpness->method].code != BM_STATUS_OK) {
        *error = sharpness->missing[BM_ASCENT_LBFGSB];
        return BM_STATUS_UNSUPPORTED;
    }
    return status;
}
