/* Hessian of the loss at each point: eigenvalues, trace, kind of point, and the way out along the
 * most negative direction. */
#include "critical.h"
#include "hessian_walk.h"
#include "probe.h"
#include "trace.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A random vector times the Hessian this often leans to the large eigenvalues, whose eigenvectors
 * need a smaller step than a random vector does. */
#define POWER_STEPS 2u
#define ROUGH 128 /* the largest step over the one for that */

#define DROWNED .3
#define SMOOTH 16 /* the largest step over the one for that */

/* Where halves disagree by so much of a product, kinks are everywhere: then all products take the
 * same step, so that they are at least of one kind. */
#define ROUGHNESS .1

#define TOLERANCE .01
#define CYCLES 3u /* of Lanczos, about, at most */
#define FLOOR .25 /* halves of differences disagree by more than the whole is wrong */

/* What residuals are to come down to afterwards, and in how many steps. */
#define RESIDUAL .03
#define REFINEMENTS 6u

/* Products for the last figures of eigenvalues, and the reserve in the estimate of the time. */
#define CHECK_PRODUCTS UINT64_C(4) /* of one at each end */
#define RESERVE 1.2

struct hessian {
    struct bm_landscape *landscape;
    const struct bm_landscape_point *point;
    struct bm_probe probe;
    const float *params;
    double loss;
    float *gradient; /* [count] */
    double *wide;    /* the same */
    double gradient_norm;
    double curvature; /* along the gradient */
    struct bm_curvature products;
    struct bm_curvature_choice random_choice; /* for random vectors, that is, the trace */
    struct bm_curvature_choice choice;        /* for eigenvectors */
    struct bm_lanczos lanczos;
    int32_t lanczos_status;
    struct bm_error lanczos_error;
    int is_cut; /* there was no time for one more cycle */
    struct bm_trace trace;
    struct bm_critical critical;
};

/* ---- What is measured ---- */

static int32_t measure_gradient(struct hessian *hessian, struct bm_error *error) {
    const uint64_t count = hessian->probe.param_count;
    int32_t status;
    hessian->gradient = calloc(count, sizeof *hessian->gradient);
    hessian->wide = calloc(count, sizeof *hessian->wide);
    if (hessian->gradient == NULL || hessian->wide == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "hessian: no memory for a gradient");
    }
    status = bm_objective_at(&hessian->probe.objective, hessian->params, &hessian->loss,
                             hessian->gradient, error);
    for (uint64_t i = 0; i < count; i++) {
        hessian->wide[i] = (double)hessian->gradient[i];
    }
    if (status == BM_STATUS_OK) {
        hessian->gradient_norm = bm_curvature_norm(hessian->wide, count);
    }
    return status;
}

/* The step for eigenvectors, tried on a vector that leans to the ends of the spectrum. */
static int32_t choose_step(struct hessian *hessian, struct bm_error *error) {
    struct bm_curvature *products = &hessian->products;
    const double largest = bm_curvature_largest(products);
    double *v = malloc(products->count * sizeof *v);
    int32_t status = BM_STATUS_OK;
    if (v == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "hessian: no memory for a vector");
    }
    bm_landscape_show(hessian->landscape, "%s: steps of the differences", hessian->point->name);
    bm_curvature_random(hessian->probe.of.seed, 0, v, products->count);
    products->step = largest / ROUGH;
    for (uint32_t i = 0; i < POWER_STEPS && status == BM_STATUS_OK; i++) {
        status = bm_curvature_product(products, v, v, error);
    }
    if (status == BM_STATUS_OK && bm_curvature_norm(v, products->count) == 0) {
        bm_curvature_random(hessian->probe.of.seed, 0, v, products->count); /* flat */
    }
    status =
        status ? status : bm_curvature_choose(products, v, largest / 4, &hessian->choice, error);
    free(v);
    if (hessian->choice.error > ROUGHNESS * hessian->choice.norm) {
        products->limit = 0;
    }
    return status;
}

/* The step for the trace's own random vectors. Where kinks drown their products at all steps, a
 * large one, over which kinks are averaged; the trace is that of the loss made smooth so. */
static int32_t choose_trace_step(struct hessian *hessian, struct bm_error *error) {
    struct bm_curvature *products = &hessian->products;
    double *v = malloc(products->count * sizeof *v);
    int32_t status;
    if (v == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "hessian: no memory for a vector");
    }
    bm_curvature_random(hessian->probe.of.seed, 0, v, products->count);
    status = bm_curvature_choose(products, v, bm_curvature_largest(products),
                                 &hessian->random_choice, error);
    free(v);
    if (status == BM_STATUS_OK &&
        hessian->random_choice.error > DROWNED * hessian->random_choice.norm) {
        products->step = hessian->random_choice.step = bm_curvature_largest(products) / SMOOTH;
        products->limit = 0;
    }
    products->repeated = products->improved = 0;
    return status;
}

static int32_t goes_on(void *context, const struct bm_lanczos *lanczos, uint64_t next) {
    struct hessian *hessian = context;
    const double left_s = bm_campaign_left_s(hessian->landscape->campaign);
    const uint64_t products = next + CHECK_PRODUCTS * lanczos->values;
    const double needed_s = 2 * (double)products * hessian->probe.at_s * RESERVE;
    bm_landscape_show(hessian->landscape, "%s: eigenvalues from %.3g to %.3g after %llu products",
                      hessian->point->name, lanczos->smallest[0].value, lanczos->largest[0].value,
                      (unsigned long long)hessian->products.products);
    hessian->is_cut = needed_s > left_s;
    return !hessian->is_cut;
}

static int32_t refines_on(void *context, double residual, uint64_t next) {
    struct hessian *hessian = context;
    const uint64_t values = hessian->lanczos.values;
    const uint64_t products = next + CHECK_PRODUCTS * values;
    const double needed_s = 2 * (double)products * hessian->probe.at_s * RESERVE;
    bm_landscape_show(hessian->landscape, "%s: residuals up to %.2g after %llu products",
                      hessian->point->name, residual,
                      (unsigned long long)hessian->products.products);
    return needed_s < bm_campaign_left_s(hessian->landscape->campaign);
}

/* Without ARPACK the rest is done all the same. */
static int32_t measure_eigenvalues(struct hessian *hessian, struct bm_error *error) {
    const uint64_t values = hessian->landscape->campaign->options->landscape.eigenvalues;
    const struct bm_lanczos_setup setup = {
        .values = (uint32_t)values,
        .seed = hessian->probe.of.seed,
        .tolerance = TOLERANCE,
        .floor = hessian->choice.error * FLOOR,
        .products = CYCLES * (4 * values + 10),
        .goes_on = goes_on,
        .context = hessian,
        .refine = {.tolerance = RESIDUAL,
                   .steps = REFINEMENTS,
                   .goes_on = refines_on,
                   .context = hessian},
    };
    hessian->lanczos_status =
        bm_lanczos_run(&hessian->products, &setup, &hessian->lanczos, &hessian->lanczos_error);
    if (hessian->lanczos_status == BM_STATUS_OK ||
        hessian->lanczos_status == BM_STATUS_UNSUPPORTED) {
        return BM_STATUS_OK;
    }
    *error = hessian->lanczos_error;
    return hessian->lanczos_status;
}

/* k = g'Hg / |g|^2. */
static int32_t measure_along_gradient(struct hessian *hessian, struct bm_error *error) {
    const uint64_t count = hessian->products.count;
    double *product = malloc(count * sizeof *product);
    int32_t status;
    if (product == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "hessian: no memory for a vector");
    }
    status = bm_curvature_product(&hessian->products, hessian->wide, product, error);
    if (status == BM_STATUS_OK && hessian->gradient_norm > 0) {
        hessian->curvature = bm_curvature_dot(hessian->wide, product, count) /
                             (hessian->gradient_norm * hessian->gradient_norm);
    }
    free(product);
    return status;
}

/* In parts, so that progress is seen. */
static int32_t measure_trace(struct hessian *hessian, struct bm_error *error) {
    const uint64_t vectors = hessian->landscape->campaign->options->landscape.trace;
    int32_t status = vectors > 0 ? choose_trace_step(hessian, error) : BM_STATUS_OK;
    for (uint64_t i = 0; i < vectors && status == BM_STATUS_OK; i++) {
        bm_landscape_show(hessian->landscape, "%s: trace, vector %llu of %llu",
                          hessian->point->name, (unsigned long long)i + 1,
                          (unsigned long long)vectors);
        status =
            bm_trace_add(&hessian->products, hessian->probe.of.seed, 1, &hessian->trace, error);
    }
    return status;
}

/* ---- What follows from it ---- */

/* Of one gradient's norm: with a tiny step, noise is what two gradients differ by. */
static double noise_of(const struct bm_curvature_choice *choice) {
    double noise = (double)NAN;
    for (uint32_t i = 0; i < choice->count; i++) {
        noise = fmin(noise, choice->errors[i] * choice->tried[i] / sqrt(2.));
    }
    return noise;
}

static void judge(struct hessian *hessian) {
    hessian->critical = (struct bm_critical){
        .loss = hessian->loss,
        .gradient_norm = hessian->gradient_norm,
        .gradient_noise = noise_of(&hessian->choice),
        .curvature = hessian->curvature,
        .params_norm = bm_curvature_norm_float(hessian->params, hessian->probe.param_count),
        .largest = hessian->lanczos.largest[0],
        .smallest = hessian->lanczos.smallest[0],
    };
    bm_critical_judge(&hessian->critical);
}

/* ---- The object ---- */

static json_t *step_json(const struct bm_curvature_choice *choice) {
    json_t *tried = json_array();
    for (uint32_t i = 0; i < choice->count; i++) {
        (void)json_array_append_new(tried, json_pack("{s:o, s:o}", "step",
                                                     bm_field_finite(choice->tried[i]), "error",
                                                     bm_field_finite(choice->errors[i])));
    }
    return json_pack("{s:o, s:o, s:o}", "value", bm_field_finite(choice->step), "error",
                     bm_field_finite(choice->error), "tried", tried);
}

static json_t *values_json(const struct bm_eigenvalue *values, uint32_t count) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "value",
                                                    bm_field_finite(values[i].value), "residual",
                                                    bm_field_finite(values[i].residual), "error",
                                                    bm_field_finite(values[i].error)));
    }
    return list;
}

static json_t *trace_json(const struct hessian *hessian) {
    const struct bm_trace *trace = &hessian->trace;
    if (trace->vectors == 0) {
        return json_null();
    }
    return json_pack("{s:o, s:o, s:o, s:I, s:o}", "value", bm_field_finite(trace->value),
                     "standard_error", bm_field_finite(trace->standard_error), "error",
                     bm_field_finite(trace->error), "vectors", (json_int_t)trace->vectors, "step",
                     step_json(&hessian->random_choice));
}

static json_t *spectrum_json(const struct hessian *hessian) {
    const struct bm_lanczos *lanczos = &hessian->lanczos;
    const char *evidence = hessian->critical.evidence;
    json_t *object = bm_probe_object(&hessian->probe, "hessian", "spectrum");
    json_t *fields = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:I, s:s?, s:s?}", "loss",
        bm_field_finite(hessian->loss), "gradient_norm", bm_field_finite(hessian->gradient_norm),
        "gradient_noise", bm_field_finite(noise_of(&hessian->choice)), "gradient_curvature",
        bm_field_finite(hessian->curvature), "step",
        hessian->choice.count > 0 ? step_json(&hessian->choice) : json_null(), "largest",
        values_json(lanczos->largest, lanczos->values), "smallest",
        values_json(lanczos->smallest, lanczos->values), "converged", (int)lanczos->converged,
        "trace", trace_json(hessian), "products", (json_int_t)hessian->products.products,
        "gradients", (json_int_t)hessian->probe.objective.gradients, "point_kind",
        evidence[0] != '\0' ? bm_critical_names[hessian->critical.kind] : NULL, "evidence",
        evidence[0] != '\0' ? evidence : NULL);
    (void)json_object_update(object, fields);
    json_decref(fields);
    bm_landscape_describe(hessian->point, object);
    return object;
}

static void write_spectrum(struct hessian *hessian, int32_t status, const struct bm_error *error) {
    json_t *object = spectrum_json(hessian);
    if (status != BM_STATUS_OK) {
        bm_probe_fail(&hessian->probe, object, status, error);
    } else if (hessian->lanczos_status != BM_STATUS_OK) {
        bm_probe_fail(&hessian->probe, object, hessian->lanczos_status, &hessian->lanczos_error);
    } else if (hessian->is_cut) {
        bm_landscape_fail(object, "cut",
                          "the time limit (--time-limit) leaves no room for another cycle");
    }
    bm_landscape_write(hessian->landscape, object);
}

/* ---- The walk ---- */

static json_t *walk_json(const struct hessian *hessian, const struct bm_walk *walk) {
    json_t *object = bm_probe_object(&hessian->probe, "hessian", "walk");
    double quadratic[BM_WALK_MAX];
    uint32_t lowest = 0;
    for (uint32_t i = 0; i < walk->count; i++) {
        quadratic[i] = bm_walk_foretold(walk, walk->t[i]);
        lowest = walk->losses[i] < walk->losses[lowest] ? i : lowest;
    }
    json_t *fields = json_pack(
        "{s:o, s:o, s:o, s:o, s:o}", "eigenvalue", bm_field_finite(walk->eigenvalue), "slope",
        bm_field_finite(walk->slope), "t", bm_landscape_numbers(walk->t, walk->count), "losses",
        bm_landscape_numbers(walk->losses, walk->count), "quadratic",
        bm_landscape_numbers(quadratic, walk->count));
    if (walk->count > 0) {
        (void)json_object_set_new(fields, "lowest",
                                  json_pack("{s:o, s:o}", "t", bm_field_finite(walk->t[lowest]),
                                            "loss", bm_field_finite(walk->losses[lowest])));
    }
    (void)json_object_update(object, fields);
    json_decref(fields);
    bm_landscape_describe(hessian->point, object);
    return object;
}

/* Along the last but not least: the first of the smallest. */
static void walk(struct hessian *hessian) {
    const struct bm_lanczos *lanczos = &hessian->lanczos;
    const uint64_t count = lanczos->count;
    struct bm_error error = {0};
    struct bm_walk walk = {.loss = hessian->loss, .eigenvalue = lanczos->smallest[0].value};
    json_t *object;
    int32_t status;
    bm_landscape_show(hessian->landscape, "%s: walk along the smallest eigenvalue's vector",
                      hessian->point->name);
    status = bm_walk_along(&hessian->probe.objective, hessian->params, hessian->wide,
                           &lanczos->vectors[lanczos->values * count], &walk, &error);
    object = walk_json(hessian, &walk);
    if (status != BM_STATUS_OK) {
        bm_probe_fail(&hessian->probe, object, status, &error);
    }
    bm_landscape_write(hessian->landscape, object);
}

/* ---- The analysis ---- */

static int32_t measure(struct hessian *hessian, struct bm_error *error) {
    int32_t status = measure_gradient(hessian, error);
    status = status ? status
                    : bm_curvature_open(&hessian->probe.objective, hessian->params,
                                        hessian->gradient, &hessian->products, error);
    status = status ? status : choose_step(hessian, error);
    status = status ? status : measure_eigenvalues(hessian, error);
    if (status == BM_STATUS_OK) {
        status = measure_along_gradient(hessian, error);
    }
    if (hessian->lanczos.values > 0) {
        judge(hessian);
    }
    return status ? status : measure_trace(hessian, error);
}

static void free_hessian(struct hessian *hessian) {
    free(hessian->gradient);
    free(hessian->wide);
    bm_lanczos_free(&hessian->lanczos);
    bm_curvature_close(&hessian->products);
    bm_probe_close(&hessian->probe);
}

static void measure_point(struct bm_landscape *landscape, const struct bm_landscape_point *point) {
    struct hessian hessian = {.landscape = landscape,
                              .point = point,
                              .params = point->state.params,
                              .loss = (double)NAN,
                              .gradient_norm = (double)NAN,
                              .curvature = (double)NAN};
    struct bm_error error = {0};
    int32_t status = bm_probe_open_point(landscape, point, &hessian.probe, &error);
    if (status != BM_STATUS_OK) {
        json_t *object = bm_landscape_object("hessian", "spectrum");
        bm_landscape_describe(point, object);
        bm_probe_fail(&hessian.probe, object, status, &error);
        bm_landscape_write(landscape, object);
        return;
    }
    status = measure(&hessian, &error);
    write_spectrum(&hessian, status, &error);
    if (hessian.lanczos.vectors != NULL && !bm_landscape_stopped(landscape)) {
        walk(&hessian);
    }
    free_hessian(&hessian);
}

int32_t bm_landscape_hessian(struct bm_landscape *landscape) {
    for (uint32_t i = 0; i < landscape->point_count && !bm_landscape_stopped(landscape); i++) {
        measure_point(landscape, &landscape->points[i]);
    }
    return BM_STATUS_OK;
}
