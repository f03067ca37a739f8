/* What the doubled point is: loss as the narrow network's, a small gradient, negative curvature. */
#include "critical.h"
#include "escape_saddle.h"
#include "lanczos.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>

#define SMALL_GRADIENT 0.02 /* of the narrow network's at its start: critical, near enough */
#define TOLERANCE 1e-3      /* of an eigenvalue */
#define PRODUCTS 400u

struct plateau {
    float *gradient; /* [count] */
    double *vector;  /* [count] */
    double gradient_norm;
    struct bm_curvature products;
    struct bm_lanczos lanczos;
};

static int32_t take_gradient(struct bm_saddle *saddle,
                             struct bm_probe *probe,
                             struct plateau *plateau,
                             struct bm_error *error) {
    uint64_t count = probe->param_count;
    plateau->gradient = calloc(count, sizeof *plateau->gradient);
    plateau->vector = calloc(count, sizeof *plateau->vector);
    if (plateau->gradient == NULL || plateau->vector == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "escape: no memory for a gradient");
    }
    int32_t status = bm_objective_at(&probe->objective, saddle->wide_params, &saddle->plateau,
                                     plateau->gradient, error);
    for (uint64_t i = 0; i < count; i++) {
        plateau->vector[i] = (double)plateau->gradient[i];
    }
    plateau->gradient_norm = bm_curvature_norm(plateau->vector, count);
    return status;
}

/* The step is chosen along a random vector that the Hessian has turned to its large eigenvalues. */
static int32_t take_eigenvalues(struct bm_saddle *saddle,
                                struct bm_probe *probe,
                                struct plateau *plateau,
                                struct bm_error *error) {
    struct bm_curvature *products = &plateau->products;
    struct bm_curvature_choice choice = {.error = 0};
    struct bm_lanczos_setup setup = {
        .values = 1, .seed = probe->setup.seed, .tolerance = TOLERANCE, .products = PRODUCTS};
    double *v = plateau->vector;
    int32_t status = bm_curvature_open(&probe->objective, saddle->wide_params, plateau->gradient,
                                       products, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    bm_curvature_random(probe->setup.seed, 0, v, products->count);
    status = bm_curvature_choose(products, v, bm_curvature_largest(products), &choice, error);
    status = status ? status : bm_curvature_product(products, v, v, error);
    status = status
                 ? status
                 : bm_curvature_choose(products, v, bm_curvature_largest(products), &choice, error);
    setup.floor = choice.error;
    return status ? status : bm_lanczos_run(products, &setup, &plateau->lanczos, error);
}

static json_t *eigenvalue_json(const struct bm_eigenvalue *eigenvalue) {
    return json_pack("{s:o, s:o, s:o}", "value", bm_field_finite(eigenvalue->value), "residual",
                     bm_field_finite(eigenvalue->residual), "error",
                     bm_field_finite(eigenvalue->error));
}

/* NULL where the eigenvalues do not tell. */
static const char *kind_of(const struct bm_saddle *saddle, const struct plateau *plateau) {
    const int smallest = bm_critical_sign(&plateau->lanczos.smallest[0], -1);
    const int largest = bm_critical_sign(&plateau->lanczos.largest[0], 1);
    if (plateau->gradient_norm > SMALL_GRADIENT * saddle->start_norm) {
        return bm_point_kind_name(BM_POINT_MOVING);
    }
    if (smallest < 0 && largest > 0) {
        return bm_point_kind_name(BM_POINT_SADDLE);
    }
    return smallest > 0 ? bm_point_kind_name(BM_POINT_MINIMUM) : NULL;
}

static void set_networks(json_t *object, const struct bm_saddle *saddle) {
    char narrow[BM_LAYERS_SIZE];
    char wide[BM_LAYERS_SIZE];
    json_t *units = json_array();
    for (uint32_t i = 0; i < saddle->duplicate.unit_count; i++) {
        (void)json_array_append_new(units, json_integer(saddle->duplicate.units[i]));
    }
    bm_model_format(&saddle->narrow, narrow, sizeof narrow);
    bm_model_format(&saddle->wide, wide, sizeof wide);
    (void)json_object_set_new(object, "narrow", json_string(narrow));
    (void)json_object_set_new(object, "wide", json_string(wide));
    (void)json_object_set_new(object, "duplicated", units);
    (void)json_object_set_new(object, "share", bm_field_finite(saddle->duplicate.share));
    (void)json_object_set_new(object, "updates", json_integer((json_int_t)saddle->updates));
    (void)json_object_set_new(
        object, "method",
        json_string(
            "momentum .9 with the full batch, from the seed's start, the first and the last "
            "fifth at a tenth of the rate; then all units doubled, outgoing weights split in "
            "halves"));
}

static void
set_numbers(json_t *object, const struct bm_saddle *saddle, const struct plateau *plateau) {
    (void)json_object_set_new(object, "loss", bm_field_finite(saddle->plateau));
    (void)json_object_set_new(object, "gradient_norm", bm_field_finite(plateau->gradient_norm));
    (void)json_object_set_new(object, "relative_gradient_norm",
                              bm_field_finite(plateau->gradient_norm / saddle->start_norm));
    (void)json_object_set_new(object, "products",
                              json_integer((json_int_t)plateau->products.products));
    (void)json_object_set_new(
        object, "check",
        json_pack("{s:o}", "loss_difference",
                  bm_field_finite(fabs(saddle->plateau - saddle->narrow_loss))));
    if (plateau->lanczos.values > 0) {
        (void)json_object_set_new(object, "smallest",
                                  eigenvalue_json(&plateau->lanczos.smallest[0]));
        (void)json_object_set_new(object, "largest", eigenvalue_json(&plateau->lanczos.largest[0]));
        const char *kind = kind_of(saddle, plateau);
        (void)json_object_set_new(object, "point_kind",
                                  kind == NULL ? json_null() : json_string(kind));
    } else {
        (void)json_object_set_new(object, "smallest", json_null());
        (void)json_object_set_new(object, "largest", json_null());
        (void)json_object_set_new(object, "point_kind", json_null());
    }
}

/* Without eigenvalues, for the want of a library or of time, the rest is told all the same. */
static int32_t measure(struct bm_saddle *saddle,
                       struct bm_probe *probe,
                       struct plateau *plateau,
                       struct bm_error *error) {
    bm_landscape_show(saddle->landscape, "escape: the curvature of the doubled network");
    int32_t status = take_gradient(saddle, probe, plateau, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    struct bm_error missing = {0};
    status = take_eigenvalues(saddle, probe, plateau, &missing);
    json_t *object = bm_probe_object(probe, "escape", "saddle");
    set_networks(object, saddle);
    set_numbers(object, saddle, plateau);
    if (status != BM_STATUS_OK) {
        bm_probe_fail(probe, object, status, &missing);
    }
    bm_landscape_write(saddle->landscape, object);
    return BM_STATUS_OK;
}

int32_t bm_saddle_plateau(struct bm_saddle *saddle, struct bm_error *error) {
    const struct bm_saddle_rule rule = {BM_OPTIMIZER_SGD, 1, 0};
    uint64_t seed = saddle->landscape->campaign->options->seed.values[0];
    struct plateau plateau = {.gradient = NULL};
    struct bm_probe probe;
    int32_t status = bm_saddle_open(saddle, &saddle->wide, &rule, seed, &probe, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = measure(saddle, &probe, &plateau, error);
    bm_lanczos_free(&plateau.lanczos);
    bm_curvature_close(&plateau.products);
    free(plateau.gradient);
    free(plateau.vector);
    bm_probe_close(&probe);
    return status;
}
