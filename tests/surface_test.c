/* Error surfaces: derivatives against differences, critical points, what optimizers do on them, the
 * momentum as a sum, and the intervals of counts. */
#include "descent.h"
#include "escape_counts.h"
#include "examples.h"
#include "normal.h"
#include "random.h"
#include "reference.h"
#include "surface_paths.h"
#include "test.h"

#include <math.h>

static void check_near(const char *what, double found, double expected, double tolerance) {
    TEST_CHECK_MSG(fabs(found - expected) <= tolerance, "%s: found %.17g, expected %.17g", what,
                   found, expected);
}

/* ---- Derivatives ---- */

#define STEP 1e-5

static struct bm_surface_values
moved(const struct bm_surface *surface, const double point[2], uint32_t i, double by) {
    double to[2] = {point[0], point[1]};
    struct bm_surface_values values;
    to[i] += by;
    surface->at(to, &values);
    return values;
}

/* Differences of the value give the gradient, and those of the gradient the Hessian. */
static void check_derivatives(const struct bm_surface *surface, const double point[2]) {
    struct bm_surface_values at;
    surface->at(point, &at);
    for (uint32_t i = 0; i < 2; i++) {
        struct bm_surface_values up = moved(surface, point, i, STEP);
        struct bm_surface_values down = moved(surface, point, i, -STEP);
        double scale = 1e-8 * (1 + fabs(at.value) + fabs(at.hessian[0]) + fabs(at.hessian[2]));
        check_near(surface->name, (up.value - down.value) / (2 * STEP), at.gradient[i], scale);
        for (uint32_t j = 0; j < 2; j++) {
            check_near(surface->name, (up.gradient[j] - down.gradient[j]) / (2 * STEP),
                       at.hessian[i + j], 100 * scale);
        }
    }
}

static void check_surface(const struct bm_surface *surface) {
    struct bm_random random;
    bm_random_init(&random, 1, BM_RANDOM_ESCAPE, 7);
    for (uint32_t n = 0; n < 50; n++) {
        double point[2];
        for (uint32_t i = 0; i < 2; i++) {
            point[i] =
                surface->low[i] + bm_random_double(&random) * (surface->high[i] - surface->low[i]);
        }
        check_derivatives(surface, point);
    }
}

static void test_derivatives(void) {
    for (size_t i = 0; bm_surfaces[i] != NULL; i++) {
        check_surface(bm_surfaces[i]);
    }
    check_surface(&bm_examples_surface);
}

/* ---- Critical points ---- */

static void check_critical(const struct bm_surface *surface, const char *kinds) {
    TEST_CHECK(strlen(kinds) == surface->critical_count);
    for (uint32_t i = 0; i < surface->critical_count; i++) {
        const char letters[] = {
            [BM_POINT_MINIMUM] = '_', [BM_POINT_SADDLE] = 's', [BM_POINT_MAXIMUM] = '^'};
        struct bm_surface_values values;
        double point[2];
        bm_surface_critical(surface, i, point);
        surface->at(point, &values);
        check_near(surface->name, bm_surface_gradient_norm(surface, &values), 0, 1e-10);
        check_near(surface->name, point[0], surface->critical[i][0], 0.1);
        uint32_t kind = bm_surface_kind(surface, &values);
        TEST_CHECK_MSG(kind < sizeof letters && letters[kind] == kinds[i],
                       "%s: point %u is of kind %s", surface->name, i, bm_point_kind_name(kind));
        TEST_CHECK(bm_surface_nearest(surface, point) == i);
    }
}

static void test_critical_points(void) {
    check_critical(bm_surface_find("hill"), "_^_");
    check_critical(bm_surface_find("saddle"), "s__");
    check_critical(bm_surface_find("valley"), "_");
    check_critical(bm_surface_find("rosenbrock"), "_");
    check_critical(bm_surface_find("himmelblau"), "____^ssss");
    check_critical(bm_surface_find("beale"), "_s");
    check_critical(&bm_examples_surface, "_");
    TEST_CHECK(bm_surface_find("plain") == NULL);
}

static void test_kinds(void) {
    const struct bm_surface *surface = bm_surface_find("saddle");

    const struct {
        struct bm_surface_values values;
        uint32_t kind;
    } expected[] = {
        {{.hessian = {2, 0, 1}}, BM_POINT_MINIMUM},
        {{.hessian = {-2, 0, -1}}, BM_POINT_MAXIMUM},
        {{.hessian = {2, 0, -1}}, BM_POINT_SADDLE},
        {{.hessian = {1, 2, 1}}, BM_POINT_SADDLE}, /* -1 and 3 */
        {{.hessian = {1, 1, 1}}, BM_POINT_FLAT},   /* 0 and 2 */
        {{.hessian = {0, 0, 0}}, BM_POINT_FLAT},
        {{.hessian = {2, 0, 1}, .gradient = {0, 1e-5}}, BM_POINT_MOVING},
        {{.hessian = {2, 0, 1}, .gradient = {NAN, 0}}, BM_POINT_MOVING},
    };

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        uint32_t kind = bm_surface_kind(surface, &expected[i].values);
        TEST_CHECK_MSG(kind == expected[i].kind, "case %zu: %s", i, bm_point_kind_name(kind));
    }
}

/* ---- Outcomes ---- */

/* The case of that question, its middle start, without spread. */
static struct bm_descent_setup
setup_of(const char *question, uint32_t optimizer, double factor, uint64_t batch, uint64_t seed) {
    for (uint32_t i = 0; i < bm_surface_case_count; i++) {
        if (strcmp(bm_surface_cases[i].question, question) == 0) {
            const struct bm_surface_rule rule = {optimizer, factor,
                                                 optimizer == BM_OPTIMIZER_SGD ? 0 : 0.9};
            return bm_surface_setup(&bm_surface_cases[i], &rule, batch, seed);
        }
    }
    TEST_CHECK_MSG(0, "no case asks \"%s\"", question);
    return (struct bm_descent_setup){.surface = NULL};
}

static uint32_t nearest_kind(const struct bm_descent_setup *setup, const struct bm_descent *d) {
    struct bm_surface_values values;
    double point[2];
    bm_surface_critical(setup->surface, bm_surface_nearest(setup->surface, d->end), point);
    setup->surface->at(point, &values);
    return bm_surface_kind(setup->surface, &values);
}

static void test_hill(void) {
    double local[2];
    bm_surface_critical(bm_surface_find("hill"), 0, local);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bm_descent_setup setup = setup_of("crosses the hill", BM_OPTIMIZER_SGD, 1, 0, seed);
        struct bm_descent descent;
        bm_descent_run(&setup, &descent, NULL, NULL);
        TEST_CHECK(!descent.reached && descent.ended == BM_DESCENT_STOPPED);
        check_near("end", descent.end[0], local[0], 1e-5);
        TEST_CHECK(bm_surface_kind(setup.surface, &descent.at_end) == BM_POINT_MINIMUM);

        setup = setup_of("crosses the hill", BM_OPTIMIZER_MOMENTUM, 1, 0, seed);
        bm_descent_run(&setup, &descent, NULL, NULL);
        TEST_CHECK(descent.reached && descent.ended == BM_DESCENT_STOPPED);
        check_near("end", descent.end[0], 6, 1e-4);
        TEST_CHECK(descent.reached_at > 0 && descent.reached_at < descent.updates);
    }
}

static void test_ridge(void) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        static const uint32_t optimizers[] = {BM_OPTIMIZER_SGD, BM_OPTIMIZER_MOMENTUM,
                                              BM_OPTIMIZER_NESTEROV, BM_OPTIMIZER_ADAM};
        for (uint32_t i = 0; i < 4; i++) {
            struct bm_descent_setup setup =
                setup_of("leaves the ridge of the saddle", optimizers[i], 1, 0, seed);
            struct bm_descent descent;
            bm_descent_run(&setup, &descent, NULL, NULL);
            TEST_CHECK(!descent.reached && descent.end[1] == 0);
            TEST_CHECK(nearest_kind(&setup, &descent) == BM_POINT_SADDLE);

            setup = setup_of("leaves the saddle", optimizers[i], 1, 0, seed);
            bm_descent_run(&setup, &descent, NULL, NULL);
            TEST_CHECK(descent.reached && nearest_kind(&setup, &descent) == BM_POINT_MINIMUM);

            setup = setup_of("leaves the ridge of the saddle", optimizers[i], 1, 1, seed);
            bm_descent_run(&setup, &descent, NULL, NULL);
            TEST_CHECK(descent.reached);
        }
    }
}

/* A step that is ten times as long is too long across the valley. */
static void test_divergence(void) {
    struct bm_descent_setup setup =
        setup_of("reaches the bottom of the valley", BM_OPTIMIZER_SGD, 10, 0, 1);
    struct bm_descent descent;
    bm_descent_run(&setup, &descent, NULL, NULL);
    TEST_CHECK(descent.ended == BM_DESCENT_DIVERGED && !descent.reached);
    setup.rate /= 10;
    bm_descent_run(&setup, &descent, NULL, NULL);
    TEST_CHECK(descent.ended == BM_DESCENT_STOPPED && descent.reached);
}

/* x moves by 1 an update, from -3, forwards and back: a goal that must stay has been left. */
static void slope_at(const double point[2], struct bm_surface_values *values) {
    *values = (struct bm_surface_values){.value = -point[0], .gradient = {-1}};
}

static void test_goals(void) {
    const struct bm_surface slope = {.name = "slope", .dimensions = 1, .at = slope_at};
    struct bm_descent_setup setup = {.surface = &slope,
                                     .optimizer = BM_OPTIMIZER_SGD,
                                     .rate = 1,
                                     .start = {-3},
                                     .batch = 1,
                                     .updates = 10,
                                     .goal = {BM_DESCENT_BEYOND, 0.5, 1}};
    struct bm_descent descent;
    bm_descent_run(&setup, &descent, NULL, NULL);
    TEST_CHECK(descent.reached && descent.reached_at == 4 && descent.updates == 10);
    TEST_CHECK(descent.ended == BM_DESCENT_LIMIT);
    setup.goal = (struct bm_descent_goal){BM_DESCENT_BELOW, 2.5, 0}; /* from update 1 on */
    bm_descent_run(&setup, &descent, NULL, NULL);
    TEST_CHECK(descent.reached && descent.reached_at == 1);
    setup.rate = -1; /* uphill: out of it at once */
    setup.goal.limit = 3.5;
    bm_descent_run(&setup, &descent, NULL, NULL);
    TEST_CHECK(descent.reached && descent.reached_at == 0);
    setup.goal.stays = 1;
    bm_descent_run(&setup, &descent, NULL, NULL);
    TEST_CHECK(!descent.reached);
}

/* Flat from 0 on. */
static void shelf_at(const double point[2], struct bm_surface_values *values) {
    *values = (struct bm_surface_values){.value = fmax(0, -point[0]),
                                         .gradient = {point[0] < 0 ? -1 : 0}};
}

/* Where there is no gradient momentum goes on, 1 + u + u^2 ...: that is no end. */
static void test_coasting(void) {
    const struct bm_surface shelf = {.name = "shelf", .dimensions = 1, .at = shelf_at};
    const struct bm_descent_setup setup = {.surface = &shelf,
                                           .optimizer = BM_OPTIMIZER_MOMENTUM,
                                           .rate = 1,
                                           .momentum = 0.5,
                                           .start = {-0.5},
                                           .batch = 1,
                                           .updates = 100};
    struct bm_descent descent;
    bm_descent_run(&setup, &descent, NULL, NULL);
    check_near("end", descent.end[0], 1.5, 1e-5);
    TEST_CHECK(descent.ended == BM_DESCENT_STOPPED && descent.updates > 10);
}

/* Noise of that deviation over the root of the batch, of the seed's own numbers. */
static void test_noise(void) {
    double squares[2] = {0, 0};
    double first[2] = {0, 0};
    for (uint64_t seed = 1; seed <= 400; seed++) {
        for (uint32_t k = 0; k < 2; k++) {
            struct bm_descent_setup setup =
                setup_of("reaches the bottom of the valley", BM_OPTIMIZER_SGD, 1, k ? 100 : 1, 1);
            struct bm_surface_values values;
            struct bm_descent descent;
            double gradient[2];
            setup.seed = seed;
            setup.updates = 1;
            setup.surface->at(setup.start, &values);
            bm_descent_run(&setup, &descent, NULL, gradient);
            double noise = (gradient[1] - values.gradient[1]) / setup.noise;
            squares[k] += noise * noise / 400;
            first[k] = seed == 1 ? noise : first[k];
            TEST_CHECK(seed == 1 || noise != first[k]);
        }
    }
    check_near("batch 1", sqrt(squares[0]), 1, 0.1);
    check_near("batch 100", sqrt(squares[1]), 0.1, 0.01);
}

/* ---- Gaussian numbers ---- */

static void test_normal(void) {
    struct bm_normal normal;
    double sums[4] = {0, 0, 0, 0};
    const uint32_t count = 100000;
    bm_normal_init(&normal, 3, BM_RANDOM_ESCAPE, 5);
    for (uint32_t i = 0; i < count; i++) {
        double z = bm_normal_next(&normal);
        double power = 1;
        for (uint32_t k = 0; k < 4; k++) {
            power *= z;
            sums[k] += power / count;
        }
    }
    check_near("mean", sums[0], 0, 0.015);
    check_near("variance", sums[1], 1, 0.02);
    check_near("third moment", sums[2], 0, 0.05);
    check_near("fourth moment", sums[3], 3, 0.15);
}

/* ---- Momentum as a sum ---- */

static void test_weighted_sum(void) {
    static const double momenta[] = {0, 0.5, 0.9, 0.99};
    for (size_t k = 0; k < sizeof momenta / sizeof momenta[0]; k++) {
        struct bm_descent_setup setup = setup_of("reaches a minimum of Himmelblau's function",
                                                 BM_OPTIMIZER_MOMENTUM, 0.1, 1, 4);
        struct bm_descent descent;
        double points[201][2];
        double gradients[200][2];
        double coefficients[200];
        setup.momentum = momenta[k];
        setup.updates = 200;
        bm_descent_run(&setup, &descent, points[0], gradients[0]);
        TEST_CHECK(descent.updates == 200);
        for (uint64_t t = 1; t <= 200; t++) {
            bm_momentum_coefficients(setup.rate, setup.momentum, t, coefficients);
            for (uint32_t i = 0; i < 2; i++) {
                double sum = 0;
                for (uint64_t g = 0; g < t; g++) {
                    sum += coefficients[g] * gradients[g][i];
                }
                /* The recursion's m is the step that was made. */
                check_near("momentum", points[t][i] - points[t - 1][i], sum, 1e-12);
            }
        }
    }
}

static void test_coefficients(void) {
    double coefficients[3];
    bm_momentum_coefficients(0.5, 0.25, 3, coefficients);
    TEST_CHECK(coefficients[0] == -0.03125 && coefficients[1] == -0.125 && coefficients[2] == -0.5);
}

/* ---- Counts ---- */

/* Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17
 * (1998), table I, method 3. */
static void test_wilson(void) {
    const struct {
        uint64_t yes;
        uint64_t runs;
        double low;
        double high;
    } expected[] = {{81, 263, 0.2553, 0.3662},
                    {15, 148, 0.0624, 0.1605},
                    {0, 20, 0.0000, 0.1611},
                    {1, 29, 0.0061, 0.1718}};

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct bm_counted_value share = bm_counts_share(expected[i].yes, expected[i].runs);
        check_near("low", share.low, expected[i].low, 5e-5);
        check_near("high", share.high, expected[i].high, 5e-5);
        struct bm_counted_value rest =
            bm_counts_share(expected[i].runs - expected[i].yes, expected[i].runs);
        check_near("low", rest.low, 1 - share.high, 1e-15);
        check_near("high", rest.high, 1 - share.low, 1e-15);
        check_near("value", share.value + rest.value, 1, 1e-15);
    }
}

/* Ranks for 95 %: of 6 values the ends, of 9 the 2nd, of 20 the 6th. */
static void test_median(void) {
    uint64_t values[20];
    for (uint64_t i = 0; i < 20; i++) {
        values[i] = 10 * ((7 * i) % 20 + 1); /* 10 .. 200, shuffled */
    }
    struct bm_counted_value median = bm_counts_median(values, 20);
    TEST_CHECK(median.value == 105 && median.low == 60 && median.high == 150);
    const uint64_t nine[] = {9, 1, 8, 2, 7, 3, 6, 4, 5};
    median = bm_counts_median(nine, 9);
    TEST_CHECK(median.value == 5 && median.low == 2 && median.high == 8);
    median = bm_counts_median(nine, 6);
    TEST_CHECK(median.value == 5 && median.low == 1 && median.high == 9);
    median = bm_counts_median(nine, 5);
    TEST_CHECK(median.value == 7 && isnan(median.low) && isnan(median.high));
    TEST_CHECK(isnan(bm_counts_median(nine, 0).value));
}

/* ---- The examples ---- */

static void test_examples(void) {
    struct bm_dataset dataset;
    struct bm_error error;
    const double point[2] = {1.25, -0.5};
    double back[2];
    float params[BM_EXAMPLES_PARAMS];
    TEST_CHECK(bm_examples_open(&dataset, &error) == BM_STATUS_OK);
    TEST_CHECK(dataset.split[BM_SPLIT_TRAIN].count == 20 && dataset.class_count == 2);
    bm_examples_to_params(point, params);
    TEST_CHECK(bm_examples_asymmetry(params) == 0);
    bm_examples_to_point(params, back);
    TEST_CHECK(back[0] == point[0] && back[1] == point[1]);

    /* The network's loss is the formula's. */
    struct bm_model model;
    struct bm_surface_values values;
    double loss = 0;
    uint64_t correct = 0;
    TEST_CHECK(bm_model_parse("examples", BM_EXAMPLES_LAYERS, dataset.shape, dataset.class_count,
                              &model, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_model_param_count(&model) == BM_EXAMPLES_PARAMS);
    TEST_CHECK(bm_reference_evaluate(&model, &dataset.split[BM_SPLIT_TRAIN], 0, 20, params, NULL, 1,
                                     &loss, &correct, &error) == BM_STATUS_OK);
    bm_examples_surface.at(point, &values);
    check_near("loss", loss / 20, values.value, 1e-7);
    params[0] += 0.5F;
    check_near("asymmetry", bm_examples_asymmetry(params), 0.5, 0);
    bm_dataset_close(&dataset);
}

int main(void) {
    test_derivatives();
    test_critical_points();
    test_kinds();
    test_hill();
    test_ridge();
    test_divergence();
    test_goals();
    test_coasting();
    test_noise();
    test_normal();
    test_weighted_sum();
    test_coefficients();
    test_wilson();
    test_median();
    test_examples();
    return 0;
}
