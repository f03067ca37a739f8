#include "hessian_walk.h"

#include "curvature.h"
#include "error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GROWTH 1.5 /* of a further step */

double bm_walk_foretold(const struct bm_walk *walk, double t) {
    return walk->loss + walk->slope * t + walk->eigenvalue * t * t / 2;
}

struct place {
    struct bm_objective *objective;
    const float *params;
    const double *v;
    double sign; /* of v */
    float *moved;
};

static int32_t loss_at(struct place *place, double t, double *loss, struct bm_error *error) {
    for (uint64_t i = 0; i < place->objective->count; i++) {
        place->moved[i] = (float)((double)place->params[i] + place->sign * t * place->v[i]);
    }
    return bm_objective_at(place->objective, place->moved, loss, NULL, error);
}

/* Keeps t ascending. */
static void insert(struct bm_walk *walk, double t, double loss) {
    uint32_t i = walk->count++;
    for (; i > 0 && walk->t[i - 1] > t; i--) {
        walk->t[i] = walk->t[i - 1];
        walk->losses[i] = walk->losses[i - 1];
    }
    walk->t[i] = t;
    walk->losses[i] = loss;
}

/* So far that the eigenvalue alone would change the loss by all of it, but not beyond half the
 * length of the parameters. */
static double reach(const struct bm_walk *walk, const float *params, uint64_t count) {
    const double norm = bm_curvature_norm_float(params, count);
    const double most = norm > 1 ? norm / 2 : 1.0 / 2;
    return fmin(most, sqrt(2 * fabs(walk->loss / walk->eigenvalue)));
}

/* t = far (i / side)^2, then further while it goes down. `side` is 1 or -1. */
static int32_t walk_side(
    struct place *place, double far, double side, struct bm_walk *walk, struct bm_error *error) {
    double before = walk->loss;
    double loss = walk->loss;
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 1; i <= BM_WALK_SIDE + BM_WALK_MORE && status == BM_STATUS_OK; i++) {
        const double part = (double)i / BM_WALK_SIDE;
        const double t =
            i <= BM_WALK_SIDE ? far * part * part : far * pow(GROWTH, (double)i - BM_WALK_SIDE);
        if (i > BM_WALK_SIDE && !(loss < before && loss < walk->loss)) {
            break;
        }
        before = loss;
        status = loss_at(place, side * t, &loss, error);
        if (status == BM_STATUS_OK) {
            insert(walk, side * t, loss);
        }
    }
    return status;
}

int32_t bm_walk_along(struct bm_objective *objective,
                      const float *params,
                      const double *gradient,
                      const double *v,
                      struct bm_walk *walk,
                      struct bm_error *error) {
    const double slope = bm_curvature_dot(gradient, v, objective->count);
    const double far = reach(walk, params, objective->count);
    struct place place = {.objective = objective,
                          .params = params,
                          .v = v,
                          .sign = slope > 0 ? -1 : 1,
                          .moved = malloc(objective->count * sizeof *place.moved)};
    int32_t status;
    walk->slope = -fabs(slope);
    walk->count = 0;
    if (place.moved == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "walk: no memory for parameters");
    }
    insert(walk, 0, walk->loss);
    status = walk_side(&place, far, 1, walk, error);
    status = status ? status : walk_side(&place, far, -1, walk, error);
    free(place.moved);
    return status;
}
