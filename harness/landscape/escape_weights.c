/* The part `weights`: m of the rule `momentum` is the weighted sum of all past gradients. Shown on
 * the way down to the hill, where they change their sign. */
#include "descent.h"
#include "escape.h"

#include "reference.h"

#include <math.h>

#define UPDATES 40u
#define RATE 0.1
#define MOMENTUM 0.9

int32_t bm_escape_weights(struct bm_landscape *landscape) {
    const struct bm_descent_setup setup = {.surface = bm_surface_find("hill"),
                                           .optimizer = BM_OPTIMIZER_MOMENTUM,
                                           .rate = RATE,
                                           .momentum = MOMENTUM,
                                           .start = {-3, 0},
                                           .batch = 1,
                                           .updates = UPDATES};
    struct bm_descent descent;
    double coefficients[UPDATES];
    double gradients[UPDATES][2];
    double slope[UPDATES];
    double points[UPDATES + 1][2];
    double sum = 0;
    bm_descent_run(&setup, &descent, points[0], gradients[0]);
    uint64_t updates = descent.updates;
    bm_momentum_coefficients(RATE, MOMENTUM, updates, coefficients);
    for (uint64_t i = 0; i < updates; i++) {
        slope[i] = gradients[i][0];
        sum += coefficients[i] * slope[i];
    }
    /* x_t = x_(t-1) + m_t: the rule's own momentum after the last update. */
    double recursion = points[updates][0] - points[updates - 1][0];
    json_t *object = bm_landscape_object("escape", "weights");
    (void)json_object_set_new(object, "surface", json_string(setup.surface->name));
    (void)json_object_set_new(object, "momentum", bm_field_finite(MOMENTUM));
    (void)json_object_set_new(object, "rate", bm_field_finite(RATE));
    (void)json_object_set_new(object, "updates", json_integer((json_int_t)updates));
    (void)json_object_set_new(object, "coefficients", bm_landscape_numbers(coefficients, updates));
    (void)json_object_set_new(object, "gradients", bm_landscape_numbers(slope, updates));
    (void)json_object_set_new(object, "recursion", bm_field_finite(recursion));
    (void)json_object_set_new(object, "sum", bm_field_finite(sum));
    (void)json_object_set_new(object, "difference", bm_field_finite(fabs(recursion - sum)));
    bm_landscape_write(landscape, object);
    return BM_STATUS_OK;
}
