/* Sharpness: boxes and subspaces, what each method finds where the maximum is known, counts, cuts;
 * re-scaled networks, which compute the same; filter-normalized lines; pairs of batch sizes. */
#include "error.h"
#include "filter_line.h"
#include "library.h"
#include "normal.h"
#include "reference.h"
#include "rescale.h"
#include "sharpness.h"
#include "sharpness_pairs.h"
#include "test.h"

#include <math.h>

#define COUNT_MAX 3000u
#define IMAGES 12u

static float params[COUNT_MAX];
static struct bm_error error;

static void need_libraries(void) {
    static const char *const lbfgsb[] = {"setulb_", NULL};
    static const char *const nlopt[] = {"nlopt_create", NULL};
    void (*functions[1])(void);
    if (bm_library_open("liblbfgsb.so.0", "liblbfgsb0", lbfgsb, functions, &error) !=
            BM_STATUS_OK ||
        bm_library_open("libnlopt.so.0", "libnlopt0", nlopt, functions, &error) != BM_STATUS_OK) {
        TEST_SKIP(error.text);
    }
}

static void draw_params(uint32_t count, double size) {
    struct bm_normal normal;
    bm_normal_init(&normal, 3, BM_RANDOM_DATA, 0);
    for (uint32_t i = 0; i < count; i++) {
        params[i] = (float)(size * bm_normal_next(&normal));
    }
}

/* ---- A formula as objective ---- */

/* f = sum_i (slope[i] d[i] + bend d[i]^2 / 2), d the way from `params`. */
struct formula {
    uint32_t count;
    double slope[COUNT_MAX];
    double bend;
    double epsilon;     /* every point asked lies in the full box of this size; 0: not looked at */
    uint64_t calls;     /* so far */
    uint64_t last_call; /* after so many it fails with TIMEOUT; 0: never */
    double nothing_at;  /* where sum |d| is larger, the value is not finite; 0: nowhere */
    float last[COUNT_MAX];
};

static struct formula formula;

static int32_t
formula_at(void *context, const float *at, double *loss, float *gradient, struct bm_error *why) {
    struct formula *of = context;
    double far = 0;
    if (of->last_call > 0 && of->calls == of->last_call) {
        return bm_fail(why, BM_STATUS_TIMEOUT, "the time is over");
    }
    of->calls++;
    *loss = 0;
    for (uint32_t i = 0; i < of->count; i++) {
        const double way = (double)at[i] - (double)params[i];
        TEST_CHECK(of->epsilon == 0 || fabs(way) <= of->epsilon * (fabs((double)params[i]) + 1));
        *loss += of->slope[i] * way + of->bend * way * way / 2;
        far += fabs(way);
        if (gradient != NULL) {
            gradient[i] = (float)(of->slope[i] + of->bend * way);
        }
    }
    memcpy(of->last, at, of->count * sizeof *at);
    *loss = of->nothing_at > 0 && far > of->nothing_at ? (double)INFINITY : *loss;
    return BM_STATUS_OK;
}

static struct bm_objective make_formula(uint32_t count, double slope, double bend) {
    struct bm_normal normal;
    formula = (struct formula){.count = count, .bend = bend};
    bm_normal_init(&normal, 9, BM_RANDOM_DATA, 1);
    for (uint32_t i = 0; i < count; i++) {
        formula.slope[i] = slope * bm_normal_next(&normal);
    }
    return (struct bm_objective){.count = count, .at = formula_at, .context = &formula};
}

/* The largest value in the box of the full space: a corner, as the function is convex. */
static double highest_in_box(double epsilon) {
    double sum = 0;
    for (uint32_t i = 0; i < formula.count; i++) {
        const double bound = epsilon * (fabs((double)params[i]) + 1);
        sum += fabs(formula.slope[i]) * bound + formula.bend * bound * bound / 2;
    }
    return sum;
}

static double phi_of(const struct bm_sharpness *sharpness, uint32_t method) {
    return bm_sharpness_phi(&sharpness->ascent[method], sharpness->ascent[method].highest);
}

static int is_near(double found, double expected, double share) {
    return fabs(found - expected) <= share * fabs(expected);
}

/* ---- The full space ---- */

/* Few dimensions: all three come to the corner, but for the rounding of the parameters. */
static void test_corner(void) {
    static const double epsilons[] = {1e-3, 5e-4};
    draw_params(5, 2);
    for (size_t e = 0; e < 2; e++) {
        struct bm_objective objective = make_formula(5, 10, 30);
        struct bm_sharpness sharpness = bm_sharpness_init(epsilons[e], NULL);
        formula.epsilon = epsilons[e];
        TEST_CHECK_MSG(bm_sharpness_measure(&objective, params, &sharpness, &error) == BM_STATUS_OK,
                       "%s", error.text);
        TEST_CHECK(sharpness.method == BM_ASCENT_LBFGSB);
        uint64_t evaluations = 0;
        for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
            const struct bm_ascent *ascent = &sharpness.ascent[method];
            TEST_CHECK(ascent->start == 0 && ascent->values[0] == 0);
            TEST_CHECK_MSG(
                is_near(phi_of(&sharpness, method), 100 * highest_in_box(epsilons[e]), 1e-3),
                "%s: %g of %g after %u steps: %s", bm_ascent_names[method],
                phi_of(&sharpness, method), 100 * highest_in_box(epsilons[e]), ascent->steps,
                ascent->end);
            evaluations += ascent->evaluations;
        }
        TEST_CHECK(evaluations == objective.gradients && evaluations == formula.calls);
    }
}

/* phi has 1 + f(x) below. */
static void test_phi(void) {
    const struct bm_ascent ascent = {.start = 3};
    TEST_CHECK(bm_sharpness_phi(&ascent, 5) == 50 && bm_sharpness_phi(&ascent, 3) == 0);
}

/* Many dimensions: no point outside, ten steps and no more; NLopt's stay far from the corner, where
 * L-BFGS-B and the corners come. */
static void test_many_dimensions(void) {
    const uint32_t count = COUNT_MAX;
    draw_params(count, 1);
    struct bm_objective objective = make_formula(count, 1, 1);
    struct bm_sharpness sharpness = bm_sharpness_init(1e-3, NULL);
    formula.epsilon = 1e-3;
    TEST_CHECK(bm_sharpness_measure(&objective, params, &sharpness, &error) == BM_STATUS_OK);
    for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
        const struct bm_ascent *ascent = &sharpness.ascent[method];
        TEST_CHECK_MSG(ascent->steps <= BM_SHARPNESS_STEPS && ascent->evaluations > 1 &&
                           ascent->evaluations <= BM_SHARPNESS_EVALUATIONS,
                       "%s: %u steps, %u evaluations", bm_ascent_names[method], ascent->steps,
                       ascent->evaluations);
    }
    const double highest = 100 * highest_in_box(1e-3);
    TEST_CHECK(is_near(phi_of(&sharpness, BM_ASCENT_CORNERS), highest, 1e-3));
    TEST_CHECK(is_near(phi_of(&sharpness, BM_ASCENT_LBFGSB), highest, 1e-3));
    TEST_CHECK(sharpness.ascent[BM_ASCENT_NLOPT].steps == BM_SHARPNESS_STEPS);
    TEST_CHECK(phi_of(&sharpness, BM_ASCENT_NLOPT) < highest / 2);
}

/* Fewer steps or evaluations than a method wants. */
static int32_t
bowl_at(void *context, const double *z, double *value, double *gradient, struct bm_error *why) {
    (void)context;
    (void)why;
    *value = 0;
    for (uint32_t i = 0; i < 40; i++) {
        *value += (1 + i) * z[i] + z[i] * z[i];
        gradient[i] = 1 + i + 2 * z[i];
    }
    return BM_STATUS_OK;
}

/* Highest at z = .1, not finite in the corner. */
static int32_t
hill_at(void *context, const double *z, double *value, double *gradient, struct bm_error *why) {
    (void)why;
    *value = 0;
    for (uint32_t i = 0; i < 40; i++) {
        *value -= (1 + i) * (z[i] - .1) * (z[i] - .1);
        gradient[i] = -2. * (1 + i) * (z[i] - .1);
    }
    if (*(const int *)context && z[0] == 1) {
        *value = INFINITY;
    }
    return BM_STATUS_OK;
}

/* What was evaluated last need not be the highest. */
static void test_hill(void) {
    double bound[40];
    struct bm_ascent ascent;
    int has_end = 0;
    for (uint32_t i = 0; i < 40; i++) {
        bound[i] = 1;
    }
    const struct bm_ascent_function function = {
        .count = 40, .bound = bound, .at = hill_at, .context = &has_end};
    for (has_end = 0; has_end < 2; has_end++) {
        TEST_CHECK(bm_ascent_run(BM_ASCENT_CORNERS, &function, 0, 5, &ascent, &error) ==
                   BM_STATUS_OK);
        TEST_CHECK(ascent.evaluations == 2 && ascent.highest == ascent.start && !ascent.steps);
        TEST_CHECK_STR(ascent.end, "the corner was the highest");
    }
    for (uint32_t method = 0; method < BM_ASCENT_CORNERS; method++) {
        double highest = -INFINITY;
        has_end = 0;
        TEST_CHECK(bm_ascent_run(method, &function, 10, 40, &ascent, &error) == BM_STATUS_OK);
        for (uint32_t i = 0; i < ascent.evaluations; i++) {
            highest = fmax(highest, ascent.values[i]);
        }
        TEST_CHECK(ascent.highest == highest && highest > ascent.start && highest <= 0);
        TEST_CHECK(highest > .01 * ascent.start);
    }
}

static void test_limits(void) {
    double bound[40];
    struct bm_ascent ascent;
    for (uint32_t i = 0; i < 40; i++) {
        bound[i] = 1 + .1 * i;
    }
    const struct bm_ascent_function function = {.count = 40, .bound = bound, .at = bowl_at};
    for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
        TEST_CHECK(bm_ascent_run(method, &function, 10, 1, &ascent, &error) == BM_STATUS_OK);
        TEST_CHECK(ascent.evaluations == 1 && ascent.steps == 0 && ascent.highest == 0);
        TEST_CHECK_STR(ascent.end, "no evaluations were left");
    }
    for (uint32_t steps = 1; steps < 4; steps++) {
        TEST_CHECK(bm_ascent_run(BM_ASCENT_NLOPT, &function, steps, 40, &ascent, &error) ==
                   BM_STATUS_OK);
        TEST_CHECK(ascent.steps == steps);
        TEST_CHECK_STR(ascent.end, "all steps were made");
    }
    TEST_CHECK(bm_ascent_run(BM_ASCENT_LBFGSB, &function, 1, 40, &ascent, &error) == BM_STATUS_OK);
    TEST_CHECK(ascent.steps == 1);
    TEST_CHECK_STR(ascent.end, "all steps were made");
}

/* At a point where the gradient is 0 no method sees a way up. */
static void test_flat(void) {
    draw_params(20, 1);
    struct bm_objective objective = make_formula(20, 0, 5);
    struct bm_sharpness sharpness = bm_sharpness_init(1e-3, NULL);
    TEST_CHECK(bm_sharpness_measure(&objective, params, &sharpness, &error) == BM_STATUS_OK);
    for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
        TEST_CHECK(phi_of(&sharpness, method) == 0 && sharpness.ascent[method].steps == 0);
    }
}

/* Values that are not finite are no maximum. */
static void test_not_finite(void) {
    draw_params(50, 1);
    struct bm_objective objective = make_formula(50, 1, 1);
    struct bm_sharpness sharpness = bm_sharpness_init(1e-2, NULL);
    formula.nothing_at = .3;
    TEST_CHECK(bm_sharpness_measure(&objective, params, &sharpness, &error) == BM_STATUS_OK);
    uint32_t seen = 0;
    for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
        const struct bm_ascent *ascent = &sharpness.ascent[method];
        TEST_CHECK(isfinite(ascent->highest));
        for (uint32_t i = 0; i < ascent->evaluations; i++) {
            seen += isinf(ascent->values[i]) ? 1 : 0;
            TEST_CHECK(isinf(ascent->values[i]) || ascent->values[i] <= ascent->highest);
        }
    }
    TEST_CHECK(seen > 0);
}

/* The time is over after so many evaluations: all of them are kept, and none is made any more. */
static void test_cut(void) {
    draw_params(COUNT_MAX, 1);
    struct bm_objective objective = make_formula(COUNT_MAX, 1, 1);
    struct bm_sharpness whole = bm_sharpness_init(1e-3, NULL);
    TEST_CHECK(bm_sharpness_measure(&objective, params, &whole, &error) == BM_STATUS_OK);
    const uint64_t all = objective.gradients;
    for (uint64_t last = 1; last < all; last++) {
        struct bm_sharpness sharpness = bm_sharpness_init(1e-3, NULL);
        uint64_t known = 0;
        objective = make_formula(COUNT_MAX, 1, 1);
        formula.last_call = last;
        error = (struct bm_error){0};
        TEST_CHECK(bm_sharpness_measure(&objective, params, &sharpness, &error) ==
                   BM_STATUS_TIMEOUT);
        TEST_CHECK_STR(error.text, "the time is over");
        for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
            const struct bm_ascent *ascent = &sharpness.ascent[method];
            known += ascent->evaluations;
            TEST_CHECK(memcmp(ascent->values, whole.ascent[method].values,
                              ascent->evaluations * sizeof *ascent->values) == 0);
        }
        TEST_CHECK_MSG(known == last && objective.gradients == last + 1, "%llu of %llu",
                       (unsigned long long)known, (unsigned long long)last);
    }
}

/* ---- The subspace ---- */

/* Standard normal columns; z from A z; the same for the same seed, another for another. */
static void test_subspace(void) {
    struct bm_subspace subspace;
    struct bm_subspace other;
    const double z[4] = {1, -2, .5, 3};
    double back[4];
    double sum = 0;
    double square = 0;
    TEST_CHECK(bm_subspace_open(COUNT_MAX, 4, 7, &subspace, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_subspace_open(COUNT_MAX, 4, 7, &other, &error) == BM_STATUS_OK);
    TEST_CHECK(memcmp(subspace.columns, other.columns, 4 * COUNT_MAX * sizeof(float)) == 0);
    bm_subspace_close(&other);
    TEST_CHECK(bm_subspace_open(COUNT_MAX, 4, 8, &other, &error) == BM_STATUS_OK);
    TEST_CHECK(memcmp(subspace.columns, other.columns, 4 * COUNT_MAX * sizeof(float)) != 0);
    bm_subspace_close(&other);
    for (uint32_t i = 0; i < 4 * COUNT_MAX; i++) {
        sum += (double)subspace.columns[i];
        square += (double)subspace.columns[i] * (double)subspace.columns[i];
    }
    TEST_CHECK(fabs(sum / (4 * COUNT_MAX)) < .04 && fabs(square / (4 * COUNT_MAX) - 1) < .06);
    memset(params, 0, sizeof params);
    bm_subspace_move(&subspace, params, z, formula.last);
    bm_subspace_coordinates(&subspace, formula.last, back);
    for (uint32_t i = 0; i < 4; i++) {
        TEST_CHECK(is_near(back[i], z[i], 1e-6));
    }
    bm_subspace_close(&subspace);
    TEST_CHECK(subspace.columns == NULL);
    bm_subspace_close(NULL);
    TEST_CHECK(bm_subspace_open(3, 4, 7, &subspace, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected 4 independent columns, found 3");
}

/* A linear function's maximum in the subspace's box: sum of bound[i] |(A'g)[i]|. */
static void test_box_of_subspace(void) {
    struct bm_subspace subspace;
    const uint32_t p = 6;
    const double epsilon = 1e-3;
    double bound[6];
    double pulled[6];
    double highest = 0;
    float slope[COUNT_MAX];
    draw_params(COUNT_MAX, 1);
    struct bm_objective objective = make_formula(COUNT_MAX, 1, 0);
    TEST_CHECK(bm_subspace_open(COUNT_MAX, p, 7, &subspace, &error) == BM_STATUS_OK);
    struct bm_sharpness sharpness = bm_sharpness_init(epsilon, &subspace);
    bm_subspace_coordinates(&subspace, params, bound);
    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        slope[i] = (float)formula.slope[i];
    }
    bm_subspace_gradient(&subspace, slope, pulled);
    for (uint32_t i = 0; i < p; i++) {
        bound[i] = epsilon * (fabs(bound[i]) + 1);
        highest += bound[i] * fabs(pulled[i]);
    }
    TEST_CHECK(bm_sharpness_measure(&objective, params, &sharpness, &error) == BM_STATUS_OK);
    for (uint32_t method = 0; method < BM_SHARPNESS_METHODS; method++) {
        TEST_CHECK_MSG(is_near(phi_of(&sharpness, method), 100 * highest, 1e-3), "%s: %g of %g",
                       bm_ascent_names[method], phi_of(&sharpness, method), 100 * highest);
    }
    /* The last point asked was a corner. */
    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        slope[i] = (float)((double)formula.last[i] - (double)params[i]);
    }
    bm_subspace_coordinates(&subspace, slope, pulled);
    for (uint32_t i = 0; i < p; i++) {
        TEST_CHECK(is_near(fabs(pulled[i]), bound[i], 1e-3));
    }
    bm_subspace_close(&subspace);
}

/* ---- Networks ---- */

static float images[IMAGES * 2 * 6 * 6];
static int32_t labels[IMAGES];

struct network {
    struct bm_model model;
    struct bm_data data;
    uint64_t count;
    uint32_t flags;
};

/* Parameters off their start in biases and batch norm too. */
static struct network make_network(const char *layers, struct bm_shape input) {
    struct network network = {.flags = BM_SLICE_KEEP_STATISTICS | BM_SLICE_NO_DROPOUT};
    struct bm_normal normal;
    const uint32_t size = input.channels * input.height * input.width;
    TEST_CHECK_MSG(bm_model_parse("test", layers, input, 3, &network.model, &error) == BM_STATUS_OK,
                   "%s", error.text);
    network.count = bm_model_param_count(&network.model);
    TEST_CHECK(network.count <= COUNT_MAX && IMAGES * size <= sizeof images / sizeof images[0]);
    bm_model_start(&network.model, 5, params);
    bm_normal_init(&normal, 4, BM_RANDOM_DATA, 0);
    for (uint64_t i = 0; i < network.count; i++) {
        params[i] += (float)(.2 * bm_normal_next(&normal));
    }
    for (uint32_t i = 0; i < IMAGES * size; i++) {
        images[i] = (float)bm_normal_next(&normal);
    }
    for (uint32_t i = 0; i < IMAGES; i++) {
        labels[i] = (int32_t)(i % 3);
    }
    network.data = (struct bm_data){.size = sizeof(struct bm_data),
                                    .type = BM_DATA_FLOAT32,
                                    .count = IMAGES,
                                    .images = images,
                                    .labels = labels};
    return network;
}

static int32_t
network_at(void *context, const float *at, double *loss, float *gradient, struct bm_error *why) {
    const struct network *network = context;
    uint32_t order[IMAGES];
    struct bm_reference reference;
    for (uint32_t i = 0; i < IMAGES; i++) {
        order[i] = i;
    }
    const struct bm_reference_request request = {.model = &network->model,
                                                 .data = &network->data,
                                                 .order = order,
                                                 .count = IMAGES,
                                                 .divisor = IMAGES,
                                                 .update = 1,
                                                 .flags = network->flags,
                                                 .thread_count = 1,
                                                 .params = at,
                                                 .no_bound = 1};
    int32_t status = bm_reference_gradient(&request, &reference, why);
    if (status != BM_STATUS_OK) {
        return status;
    }
    *loss = reference.loss;
    for (uint64_t i = 0; gradient != NULL && i < network->count; i++) {
        gradient[i] = (float)reference.gradient[i];
    }
    bm_reference_free(&reference);
    return BM_STATUS_OK;
}

static struct bm_objective objective_of(struct network *network) {
    return (struct bm_objective){.count = network->count, .at = network_at, .context = network};
}

static double loss_at(struct network *network, const float *at, float *gradient) {
    double loss;
    TEST_CHECK_MSG(network_at(network, at, &loss, gradient, &error) == BM_STATUS_OK, "%s",
                   error.text);
    return loss;
}

static double evaluate_at(const struct network *network, const float *at) {
    double loss;
    uint64_t correct;
    TEST_CHECK(bm_reference_evaluate(&network->model, &network->data, 0, IMAGES, at, NULL, 1, &loss,
                                     &correct, &error) == BM_STATUS_OK);
    return loss;
}

/* The function stays to the last bit for a power of 2 and to rounding for any other factor, by
 * batch statistics and by running ones; the gradient changes by the factor and its inverse. */
static void check_rescaled(const char *layers, struct bm_shape input, uint32_t relus) {
    struct network network = make_network(layers, input);
    float rescaled[COUNT_MAX];
    float before[COUNT_MAX];
    float after[COUNT_MAX];
    static const double factors[] = {4, .25, 3};
    const double loss = loss_at(&network, params, before);
    for (size_t f = 0; f < 3; f++) {
        const double allowed = f < 2 ? 1e-13 : 1e-6;
        TEST_CHECK(bm_rescale(&network.model, params, factors[f], rescaled) == relus);
        TEST_CHECK_MSG(is_near(loss_at(&network, rescaled, after), loss, allowed), "%s: %g", layers,
                       factors[f]);
        TEST_CHECK(
            is_near(evaluate_at(&network, rescaled), evaluate_at(&network, params), allowed));
        uint32_t changed = 0;
        for (uint64_t i = 0; i < network.count; i++) {
            const double ratio = (double)rescaled[i] / (double)params[i];
            changed += fabs(ratio - 1) > .1 ? 1 : 0;
            TEST_CHECK(fabs((double)after[i] * ratio - (double)before[i]) <=
                       1e-5 * (1e-3 + fabs((double)before[i])));
        }
        TEST_CHECK((changed > 0) == (relus > 0));
    }
}

static void test_rescale(void) {
    const struct bm_shape flat = {7, 1, 1};
    const struct bm_shape image = {2, 6, 6};
    check_rescaled("dense 8, relu, dense 3", flat, 1);
    check_rescaled("dense 8, relu, dense 6, relu, dense 5, relu, dense 3", flat, 2);
    check_rescaled("dense 8, batchnorm, relu, dropout 0.5, dense 6, batchnorm, relu, dense 3", flat,
                   2);
    check_rescaled("conv 4 3x3 pad 1, batchnorm, relu, maxpool 2, conv 3 3x3, relu, dense 3", image,
                   1);
    check_rescaled("conv 4 3x3 pad 1, maxpool 2, relu, dropout 0.5, dense 6, relu, dense 3", image,
                   1);
    /* Batch norm behind the relu takes the factor out again; without a relu there is none. */
    check_rescaled("dense 8, relu, batchnorm, dense 3", flat, 0);
    check_rescaled("dense 8, batchnorm, dense 3", flat, 0);
    check_rescaled("relu, dense 3", flat, 0);
}

/* Another sharpness of the same function; the filter-normalized line is the same. */
static void test_control(void) {
    struct network network = make_network("dense 8, batchnorm, relu, dense 6, relu, dense 3",
                                          (struct bm_shape){7, 1, 1});
    struct bm_objective objective = objective_of(&network);
    struct bm_sharpness plain = bm_sharpness_init(1e-3, NULL);
    struct bm_sharpness scaled = bm_sharpness_init(1e-3, NULL);
    struct bm_filter_line lines[2];
    float rescaled[COUNT_MAX];
    float direction[COUNT_MAX];
    TEST_CHECK(bm_rescale(&network.model, params, 16, rescaled) == 1);
    TEST_CHECK(bm_sharpness_measure(&objective, params, &plain, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_sharpness_measure(&objective, rescaled, &scaled, &error) == BM_STATUS_OK);
    TEST_CHECK_MSG(phi_of(&scaled, 0) > 2 * phi_of(&plain, 0), "%g, %g", phi_of(&plain, 0),
                   phi_of(&scaled, 0));
    for (int i = 0; i < 2; i++) {
        const float *at = i == 0 ? params : rescaled;
        bm_filter_direction(&network.model, at, 6, direction);
        TEST_CHECK(bm_filter_line_measure(&objective, at, direction, &lines[i], &error) ==
                   BM_STATUS_OK);
        TEST_CHECK(lines[i].count == BM_FILTER_LINE_POINTS);
    }
    for (uint32_t i = 0; i < BM_FILTER_LINE_POINTS; i++) {
        TEST_CHECK(is_near(lines[1].losses[i], lines[0].losses[i], 1e-12));
    }
    TEST_CHECK(lines[0].losses[0] != lines[0].losses[BM_FILTER_LINE_POINTS - 1]);
}

static double norm_of(const float *values, uint64_t count) {
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sqrt(sum);
}

/* Rows and filters have the norm of those of the parameters, all else is 0. */
static void test_direction(void) {
    struct network network =
        make_network("conv 4 3x3 pad 1, batchnorm, relu, maxpool 2, dense 5, relu, dense 3",
                     (struct bm_shape){2, 6, 6});
    struct bm_tensor tensors[32] = {0};
    float direction[COUNT_MAX];
    const uint32_t count = bm_model_tensors(&network.model, tensors, 32);
    const uint64_t rows[] = {2 * 3 * 3, 4 * 3 * 3, 5};
    uint32_t weights = 0;
    memset(params, 0, rows[0] * sizeof *params); /* a filter of norm 0 */
    bm_filter_direction(&network.model, params, 6, direction);
    for (uint32_t t = 0; t < count; t++) {
        const uint64_t end = tensors[t].offset + tensors[t].count;
        if (tensors[t].kind != BM_TENSOR_WEIGHT) {
            TEST_CHECK(norm_of(&direction[tensors[t].offset], tensors[t].count) == 0);
            continue;
        }
        TEST_CHECK(weights < 3);
        for (uint64_t i = tensors[t].offset; i < end; i += rows[weights]) {
            TEST_CHECK(is_near(norm_of(&direction[i], rows[weights]),
                               norm_of(&params[i], rows[weights]), 1e-6));
        }
        weights++;
    }
    TEST_CHECK(weights == 3);
}

/* f = t^2 k along the line: below 2 f(0) + .1 = .1 for |t| < sqrt(.1 / k). */
static void test_width(void) {
    float direction[COUNT_MAX] = {0};
    struct bm_filter_line line;
    draw_params(10, 1);
    struct bm_objective objective = make_formula(10, 0, 1);
    direction[0] = 1;
    TEST_CHECK(bm_filter_line_measure(&objective, params, direction, &line, &error) ==
               BM_STATUS_OK);
    TEST_CHECK_MSG(is_near(line.width, 2 * sqrt(.2), .01) && !line.at_least, "%g", line.width);
    TEST_CHECK(line.t[BM_FILTER_LINE_POINTS / 2] == 0 && objective.gradients == 0);
    formula.bend = .1; /* never */
    TEST_CHECK(bm_filter_line_measure(&objective, params, direction, &line, &error) ==
               BM_STATUS_OK);
    TEST_CHECK(line.width == 2 && line.at_least);
    formula.calls = 0;
    formula.last_call = 4;
    TEST_CHECK(bm_filter_line_measure(&objective, params, direction, &line, &error) ==
               BM_STATUS_TIMEOUT);
    TEST_CHECK(line.count == 4 && isnan(line.width));
}

/* ---- Pairs ---- */

static void test_pairs(void) {
    const double small[] = {1, 2, 0, 1, NAN};
    const double large[] = {4, 10, 3, 6, 7};
    const double same[] = {1, 1, 1, 1, 1};
    struct bm_sharpness_ratio ratio = bm_sharpness_compare(small, large, 5);
    /* Logs of 4, 5, 6: mean ln 120 / 3, t(.975, 2) = 4.302653. */
    const double logs[] = {log(4), log(5), log(6)};
    const double mean = log(120) / 3;
    double square = 0;
    for (int i = 0; i < 3; i++) {
        square += (logs[i] - mean) * (logs[i] - mean);
    }
    const double half = 4.302653 * sqrt(square / 2 / 3);
    TEST_CHECK(ratio.pairs == 3 && is_near(ratio.value, cbrt(120), 1e-12));
    TEST_CHECK(is_near(ratio.low, exp(mean - half), 1e-6));
    TEST_CHECK(is_near(ratio.high, exp(mean + half), 1e-6));
    TEST_CHECK_STR(ratio.agrees, BM_SHARPNESS_AGREES);
    ratio = bm_sharpness_compare(large, small, 5);
    TEST_CHECK_STR(ratio.agrees, BM_SHARPNESS_CONTRADICTS);
    ratio = bm_sharpness_compare(same, (const double[]){7, .2}, 2);
    TEST_CHECK_STR(ratio.agrees, BM_SHARPNESS_UNDECIDED);
    TEST_CHECK(ratio.low < 1 && ratio.high > 1);
    ratio = bm_sharpness_compare(same, large, 1);
    TEST_CHECK(ratio.pairs == 1 && ratio.value == 4 && isnan(ratio.low));
    TEST_CHECK_STR(ratio.agrees, BM_SHARPNESS_UNDECIDED);
    ratio = bm_sharpness_compare(same, large, 0);
    TEST_CHECK(ratio.pairs == 0 && isnan(ratio.value));
    const struct bm_sharpness_paper *paper = bm_sharpness_paper("f1", "mnist", 0, 1e-3);
    TEST_CHECK(paper != NULL && paper->small == 1.23 && paper->large == 205.14);
    paper = bm_sharpness_paper("c1", "cifar10", 1, 5e-4);
    TEST_CHECK(paper != NULL && paper->small == 0.71 && paper->large == 29.50);
    TEST_CHECK(bm_sharpness_paper("f1", "fashion-mnist", 0, 1e-3) == NULL);
    TEST_CHECK(bm_sharpness_paper("f1", "mnist", 0, 2e-3) == NULL);
    paper = bm_sharpness_paper("c2", "cifar10", 0, 5e-4);
    TEST_CHECK(paper != NULL && paper->large == 175.31);
}

int main(void) {
    test_phi();
    test_subspace();
    test_rescale();
    test_direction();
    test_width();
    test_pairs();
    need_libraries();
    test_corner();
    test_many_dimensions();
    test_limits();
    test_hill();
    test_flat();
    test_not_finite();
    test_cut();
    test_box_of_subspace();
    test_control();
    return 0;
}
