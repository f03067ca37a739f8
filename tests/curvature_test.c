/* The Hessian from differences of gradients: products, steps, eigenvalues, trace, kind of a point
 * and the walk, against quadratics of known spectrum and against the exact Hessian of a small
 * network, derived here anew. */
#include "critical.h"
#include "error.h"
#include "hessian_walk.h"
#include "library.h"
#include "random.h"
#include "reference.h"
#include "test.h"
#include "trace.h"

#include <math.h>

#define SIZE_MAX_OF_QUADRATIC 400u

/* ---- Objectives that are formulas ---- */

/* f = x'Hx / 2 + c sum x^4 / 4 - b'x, H = Q diag(values) Q, Q = I - 2 w w' (Householder). */
struct formula {
    uint32_t count;
    double values[SIZE_MAX_OF_QUADRATIC];
    double w[SIZE_MAX_OF_QUADRATIC]; /* of length 1; 0: Q = I */
    double b[SIZE_MAX_OF_QUADRATIC];
    double quartic;     /* c */
    double bound;       /* no element of the gradient is larger, if not 0 */
    double noise;       /* of each element of the gradient, at most */
    uint64_t calls;     /* so far */
    uint64_t last_call; /* after so many calls it fails with `status`; 0: never */
    int32_t status;
    double kink_at; /* the gradient's first element jumps by `jump` where x[0] is above it */
    double jump;
    double spoiled_at; /* at this distance of x[0] from 0 and beyond, gradients are not finite; 0:
                          nowhere */
    double x[SIZE_MAX_OF_QUADRATIC];
    double hx[SIZE_MAX_OF_QUADRATIC];
};

static struct formula formula;
static float params[SIZE_MAX_OF_QUADRATIC];

/* y = H x. */
static void multiply(const struct formula *of, const double *x, double *y) {
    double along = bm_curvature_dot(of->w, x, of->count);
    for (uint32_t i = 0; i < of->count; i++) {
        y[i] = of->values[i] * (x[i] - 2 * along * of->w[i]);
    }
    along = bm_curvature_dot(of->w, y, of->count);
    for (uint32_t i = 0; i < of->count; i++) {
        y[i] -= 2 * along * of->w[i];
    }
}

/* The same for the same element and parameter, as a backend's rounding. */
static double noise_at(uint32_t element, float value) {
    uint32_t bits;
    uint32_t words[4];
    memcpy(&bits, &value, sizeof bits);
    bm_philox((const uint32_t[]){bits, element}, (const uint32_t[]){0, 0, 0, 0}, words);
    return 2 * words[0] * 0x1p-32 - 1;
}

static int32_t
formula_at(void *context, const float *at, double *loss, float *gradient, struct bm_error *error) {
    struct formula *of = context;
    *loss = 0;
    if (of->last_call > 0 && ++of->calls > of->last_call) {
        return bm_fail(error, of->status, "no more calls");
    }
    for (uint32_t i = 0; i < of->count; i++) {
        of->x[i] = (double)at[i];
    }
    multiply(of, of->x, of->hx);
    for (uint32_t i = 0; i < of->count; i++) {
        const double x = of->x[i];
        *loss += x * of->hx[i] / 2 + of->quartic * x * x * x * x / 4 - of->b[i] * x;
        if (gradient != NULL) {
            gradient[i] = (float)(of->hx[i] + of->quartic * x * x * x - of->b[i] +
                                  of->noise * noise_at(i, at[i]));
        }
    }
    for (uint32_t i = 0; i < of->count && gradient != NULL && of->bound > 0; i++) {
        gradient[i] = (float)(of->bound * tanh((double)gradient[i] / of->bound));
    }
    if (gradient != NULL && of->x[0] > of->kink_at) {
        gradient[0] += (float)of->jump;
    }
    if (gradient != NULL && of->spoiled_at > 0 && fabs(of->x[0]) >= of->spoiled_at) {
        gradient[0] = NAN;
    }
    return BM_STATUS_OK;
}

static struct bm_objective make_formula(uint32_t count, int is_turned) {
    struct bm_random random;
    formula = (struct formula){.count = count};
    memset(params, 0, sizeof params);
    bm_random_init(&random, 5, BM_RANDOM_DATA, 0);
    for (uint32_t i = 0; i < count && is_turned; i++) {
        formula.w[i] = bm_random_double(&random) - .5;
    }
    const double norm = bm_curvature_norm(formula.w, count);
    for (uint32_t i = 0; i < count && is_turned; i++) {
        formula.w[i] /= norm;
    }
    return (struct bm_objective){.count = count, .at = formula_at, .context = &formula};
}

/* Values from `low` to `high`, those at the ends apart from the rest. */
static void spread_values(double low, double high) {
    for (uint32_t i = 0; i < formula.count; i++) {
        formula.values[i] = .1 * sin(i);
    }
    formula.values[0] = low;
    formula.values[1] = low / 2;
    formula.values[formula.count - 2] = high / 2;
    formula.values[formula.count - 1] = high;
}

/* The gradient at the point is not counted. */
static struct bm_curvature open_curvature(struct bm_objective *objective, const float *at) {
    static float gradient[SIZE_MAX_OF_QUADRATIC];
    struct bm_curvature curvature;
    struct bm_error error;
    double loss;
    TEST_CHECK(objective->at(objective->context, at, &loss, gradient, &error) == BM_STATUS_OK);
    formula.calls = 0;
    TEST_CHECK(bm_curvature_open(objective, at, gradient, &curvature, &error) == BM_STATUS_OK);
    return curvature;
}

static double
choose(struct bm_curvature *curvature, double largest, struct bm_curvature_choice *choice) {
    double v[SIZE_MAX_OF_QUADRATIC] = {0};
    struct bm_error error = {0};
    bm_curvature_random(3, 0, v, curvature->count);
    TEST_CHECK_MSG(bm_curvature_choose(curvature, v, largest, choice, &error) == BM_STATUS_OK, "%s",
                   error.text);
    TEST_CHECK(choice->step == curvature->step && choice->count == BM_CURVATURE_TRIES);
    return choice->step;
}

/* Largest element of product - exact over the product's length. */
static double product_error(struct bm_curvature *curvature, const double *v, const double *exact) {
    double product[SIZE_MAX_OF_QUADRATIC] = {0};
    double worst = 0;
    struct bm_error error = {0};
    TEST_CHECK_MSG(bm_curvature_product(curvature, v, product, &error) == BM_STATUS_OK, "%s",
                   error.text);
    for (uint64_t i = 0; i < curvature->count; i++) {
        worst = fmax(worst, fabs(product[i] - exact[i]));
    }
    return worst / bm_curvature_norm(exact, curvature->count);
}

/* ---- Products ---- */

/* Any length of the vector; parameters large enough that much of the step is rounded away. */
static void test_product(void) {
    static const double lengths[] = {1e-3, 1, 1e3};
    struct bm_objective objective = make_formula(40, 1);
    double v[40] = {0};
    double exact[40] = {0};
    double same[40];
    struct bm_error error;
    spread_values(-3, 50);
    for (uint32_t i = 0; i < 40; i++) {
        params[i] = (float)(3 + sin(i));
    }
    struct bm_curvature curvature = open_curvature(&objective, params);
    for (uint32_t k = 0; k < 3; k++) {
        bm_curvature_random(1, 2, v, 40);
        for (uint32_t i = 0; i < 40; i++) {
            v[i] *= lengths[k] * (1 + .5 * cos(i));
        }
        multiply(&formula, v, exact);
        curvature.step = 1;
        TEST_CHECK(product_error(&curvature, v, exact) < 1e-5);
        curvature.step = 1e-3;
        TEST_CHECK(product_error(&curvature, v, exact) < 2e-3);
    }
    memcpy(same, v, sizeof v);
    curvature.step = 1;
    TEST_CHECK(bm_curvature_product(&curvature, same, same, &error) == BM_STATUS_OK);
    TEST_CHECK(fabs(same[7] - exact[7]) < 1e-5 * bm_curvature_norm(exact, 40));
    bm_curvature_close(&curvature);
}

/* One parameter, and a step that is rounded to 3/4 of it: what was really taken counts. */
static void test_rounded_step(void) {
    struct bm_objective objective = make_formula(1, 0);
    double product;
    struct bm_error error;
    formula.values[0] = 1;
    params[0] = 1;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = 1.6 * 0x1p-23; /* up by 2 units, down by 1.5 */
    TEST_CHECK(bm_curvature_product(&curvature, (double[]){2}, &product, &error) == BM_STATUS_OK);
    TEST_CHECK_MSG(product == 2, "found %.17g", product);
    curvature.step = 0x1p-30; /* nothing is left of it */
    TEST_CHECK(bm_curvature_product(&curvature, (double[]){2}, &product, &error) ==
               BM_STATUS_INVALID);
    bm_curvature_close(&curvature);
}

static void test_counts(void) {
    struct bm_objective objective = make_formula(10, 0);
    double v[10] = {0};
    double product[10] = {1};
    struct bm_error error;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .1;
    TEST_CHECK(bm_curvature_product(&curvature, v, product, &error) == BM_STATUS_OK);
    TEST_CHECK(product[0] == 0 && curvature.products == 0 && objective.gradients == 0);
    v[3] = 1;
    TEST_CHECK(bm_curvature_product(&curvature, v, product, &error) == BM_STATUS_OK);
    TEST_CHECK(curvature.products == 1 && objective.gradients == 2 && objective.losses == 0);
    bm_curvature_close(&curvature);
}

/* ---- The step ---- */

/* A quartic makes large steps wrong, noise small ones; the estimate holds the true error. */
static void test_step(void) {
    static const double noises[] = {1e-5, 3e-4, 1e-2};
    struct bm_objective objective = make_formula(60, 1);
    struct bm_curvature_choice choice;
    double v[60] = {0};
    double exact[60] = {0};
    spread_values(-3, 50);
    formula.quartic = 30;
    for (uint32_t i = 0; i < 60; i++) {
        params[i] = (float)sin(i);
    }
    bm_curvature_random(3, 0, v, 60);
    multiply(&formula, v, exact);
    for (uint32_t i = 0; i < 60; i++) {
        exact[i] += 3 * formula.quartic * (double)params[i] * (double)params[i] * v[i];
    }
    struct bm_curvature curvature = open_curvature(&objective, params);
    double before = 0;
    for (uint32_t k = 0; k < 3; k++) {
        formula.noise = noises[k];
        TEST_CHECK(choose(&curvature, bm_curvature_largest(&curvature), &choice) >= before);
        const double found = product_error(&curvature, v, exact) * bm_curvature_norm(exact, 60);
        TEST_CHECK_MSG(found < choice.error && choice.error < .2 * choice.norm,
                       "noise %g: error %g, estimate %g", noises[k], found, choice.error);

        before = choice.step;
    }
    TEST_CHECK(before > 1e-2);
    bm_curvature_close(&curvature);
}

/* At a symmetric point both halves are wrong alike; far out, where gradients no longer grow, all
 * differences are small. */
static void test_step_is_not_too_large(void) {
    struct bm_objective objective = make_formula(20, 0);
    struct bm_curvature_choice choice;
    double v[20] = {0};
    double exact[20] = {0};
    spread_values(-1, 10);
    formula.quartic = 1e3;
    formula.noise = 1e-6;
    bm_curvature_random(3, 0, v, 20);
    multiply(&formula, v, exact);
    struct bm_curvature curvature = open_curvature(&objective, params);
    TEST_CHECK(choose(&curvature, .25, &choice) < .03);
    TEST_CHECK(product_error(&curvature, v, exact) < .01);
    formula.quartic = 0;
    formula.bound = 1;
    TEST_CHECK(choose(&curvature, 1e5, &choice) < .1);
    TEST_CHECK(product_error(&curvature, v, exact) < .01);
    bm_curvature_close(&curvature);
}

/* A kink ahead of x, nearer than any step: the halves behind it agree. Where no halves do, further
 * ones are not looked at for ever. */
static void test_kink(void) {
    struct bm_objective objective = make_formula(20, 1);
    double v[20] = {0};
    double exact[20] = {0};
    spread_values(-1, 10);
    formula.kink_at = 1e-6;
    formula.jump = .1;
    bm_curvature_random(9, 0, v, 20);
    multiply(&formula, v, exact);
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .01;
    TEST_CHECK(product_error(&curvature, v, exact) > .1);
    curvature.limit = 1e-3;
    TEST_CHECK(product_error(&curvature, v, exact) < 1e-4);
    TEST_CHECK(curvature.repeated == 1 && curvature.improved == 1 && objective.gradients == 2 + 4);
    formula.noise = .1;
    for (uint32_t i = 0; i < 100; i++) {
        (void)product_error(&curvature, v, exact);
    }
    TEST_CHECK(curvature.improved == 1 && curvature.repeated < 20);
    bm_curvature_close(&curvature);
}

/* Steps into a region without gradients are passed over. */
static void test_step_beside_the_undefined(void) {
    struct bm_objective objective = make_formula(20, 0);
    struct bm_curvature_choice choice;
    struct bm_error error = {0};
    double v[20] = {0};
    spread_values(-1, 10);
    formula.noise = 1e-6;
    formula.spoiled_at = .003; /* of 1 / sqrt(20) of the step */
    struct bm_curvature curvature = open_curvature(&objective, params);
    TEST_CHECK(choose(&curvature, bm_curvature_largest(&curvature), &choice) < .003 * sqrt(20));
    TEST_CHECK(isnan(choice.errors[0]));
    bm_curvature_random(3, 0, v, 20);
    curvature.step = .25;
    TEST_CHECK(bm_curvature_product(&curvature, v, v, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "at a distance of 0.25: expected finite");
    formula.spoiled_at = 1e-30;
    TEST_CHECK(bm_curvature_choose(&curvature, v, .25, &choice, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected finite gradients, found none");
    bm_curvature_close(&curvature);
}

/* ---- Eigenvalues ---- */

static struct bm_lanczos_setup make_setup(uint32_t values, uint64_t products) {
    return (struct bm_lanczos_setup){
        .values = values, .seed = 1, .tolerance = 1e-3, .products = products};
}

static int32_t run(struct bm_curvature *curvature,
                   uint32_t values,
                   uint64_t products,
                   struct bm_lanczos *lanczos,
                   struct bm_error *error) {
    const struct bm_lanczos_setup setup = make_setup(values, products);
    return bm_lanczos_run(curvature, &setup, lanczos, error);
}

static void check_value(const struct bm_eigenvalue *found, double expected, double tolerance) {
    TEST_CHECK_MSG(fabs(found->value - expected) <= tolerance * fabs(expected),
                   "found %.9g, expected %.9g", found->value, expected);
    TEST_CHECK_MSG(found->residual < 5e-2 && found->error <= tolerance * fabs(expected),
                   "%.9g: residual %g, error %g", expected, found->residual, found->error);
}

static void check_vectors(const struct bm_lanczos *lanczos) {
    for (uint32_t i = 0; i < 2 * lanczos->values; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            const double product =
                bm_curvature_dot(&lanczos->vectors[i * lanczos->count],
                                 &lanczos->vectors[j * lanczos->count], lanczos->count);
            TEST_CHECK_MSG(fabs(product - (i == j)) < 1e-8, "%u, %u: %g", i, j, product);
        }
    }
}

static void test_spectrum(void) {
    struct bm_objective objective = make_formula(300, 1);
    struct bm_lanczos lanczos;
    struct bm_error error = {0};
    spread_values(-3, 50);
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .1;
    TEST_CHECK_MSG(run(&curvature, 2, 200, &lanczos, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(lanczos.values == 2 && lanczos.converged && lanczos.vectors != NULL);
    check_value(&lanczos.largest[0], 50, 1e-5);
    check_value(&lanczos.largest[1], 25, 1e-5);
    check_value(&lanczos.smallest[0], -3, 1e-5);
    check_value(&lanczos.smallest[1], -1.5, 1e-5);
    check_vectors(&lanczos);
    TEST_CHECK(curvature.products < 200 && objective.gradients == 2 * curvature.products);
    bm_lanczos_free(&lanczos);
    bm_curvature_close(&curvature);
}

/* A quartic makes the values too large by c h^2, half the step by a quarter of that. */
static void test_error_of_value(void) {
    struct bm_objective objective = make_formula(100, 0);
    struct bm_lanczos lanczos;
    struct bm_error error = {0};
    spread_values(-30, 50);
    formula.quartic = .5;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .2;
    TEST_CHECK(run(&curvature, 1, 200, &lanczos, &error) == BM_STATUS_OK);
    TEST_CHECK(curvature.step == .2);
    TEST_CHECK_MSG(fabs(lanczos.largest[0].value - 50.02) < 1e-3 &&
                       fabs(lanczos.largest[0].error - .015) < 1e-3 &&
                       fabs(lanczos.smallest[0].error - .015) < 1e-3,
                   "%g +- %g", lanczos.largest[0].value, lanczos.largest[0].error);
    bm_lanczos_free(&lanczos);
    bm_curvature_close(&curvature);
}

/* Fewer parameters than the method would like, down to none left over. */
static void test_few_parameters(void) {
    for (uint32_t count = 2; count <= 8; count++) {
        struct bm_objective objective = make_formula(count, 1);
        struct bm_lanczos lanczos;
        struct bm_error error = {0};
        for (uint32_t i = 0; i < count; i++) {
            formula.values[i] = (double)i - 1.5;
        }
        struct bm_curvature curvature = open_curvature(&objective, params);
        curvature.step = .1;
        const int32_t status = run(&curvature, 3, 200, &lanczos, &error);
        if (count < 3) {
            TEST_CHECK(status == BM_STATUS_UNSUPPORTED && lanczos.values == 0);
            TEST_CONTAINS(error.text, "found 2");
        } else {
            TEST_CHECK_MSG(status == BM_STATUS_OK, "%u: %s", count, error.text);
            TEST_CHECK(lanczos.values == (count < 7 ? (count - 1) / 2 : 3));
            check_value(&lanczos.smallest[0], -1.5, 1e-5);
            check_value(&lanczos.largest[0], count - 2.5, 1e-5);
            check_vectors(&lanczos);
        }
        bm_lanczos_free(&lanczos);
        bm_curvature_close(&curvature);
    }
}

/* A budget ends the method between two cycles: its values are quotients of its vectors, and its
 * estimates of the residuals are those that separate products find. */
static double crowded_at_end(uint64_t products, struct bm_lanczos *lanczos) {
    struct bm_objective objective = make_formula(SIZE_MAX_OF_QUADRATIC, 1);
    struct bm_error error = {0};
    for (uint32_t i = 0; i < formula.count; i++) {
        formula.values[i] = i == 0 ? 20 : 1e-2 * (double)i / formula.count - 1e-3;
    }
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .1;
    TEST_CHECK_MSG(run(&curvature, 2, products, lanczos, &error) == BM_STATUS_OK, "%s", error.text);
    check_vectors(lanczos);
    check_value(&lanczos->largest[0], 20, 1e-5);
    bm_curvature_close(&curvature);
    return lanczos->smallest[0].value;
}

static void test_budget(void) {
    struct bm_lanczos lanczos;
    const double first = crowded_at_end(1, &lanczos);
    TEST_CHECK(lanczos.cycles == 1 && !lanczos.converged);
    TEST_CHECK_MSG(first > -1e-3 && first < -5e-4, "found %g", first);
    TEST_CHECK(lanczos.smallest[0].residual > .01);
    bm_lanczos_free(&lanczos);
    const double later = crowded_at_end(100, &lanczos);
    TEST_CHECK(lanczos.cycles > 2 && later < first && later > -1e-3 - 1e-6);
    bm_lanczos_free(&lanczos);
}

struct watched {
    uint32_t calls;
    uint32_t stop_at;
    struct bm_lanczos seen;
};

static int32_t goes_on(void *context, const struct bm_lanczos *lanczos, uint64_t next) {
    struct watched *watched = context;
    TEST_CHECK(next > 0 && lanczos->vectors == NULL && lanczos->values == 2);
    watched->seen = *lanczos;
    return ++watched->calls < watched->stop_at;
}

/* The caller ends it; what it was shown is what it gets. */
static void test_caller_ends(void) {
    struct bm_objective objective = make_formula(200, 1);
    struct bm_lanczos lanczos;
    struct bm_error error = {0};
    struct watched watched = {.stop_at = 2};
    struct bm_lanczos_setup setup = make_setup(2, 1000);
    for (uint32_t i = 0; i < 200; i++) {
        formula.values[i] = (double)i / 200 - .3;
    }
    setup.goes_on = goes_on;
    setup.context = &watched;
    setup.tolerance = 1e-9;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .1;
    TEST_CHECK(bm_lanczos_run(&curvature, &setup, &lanczos, &error) == BM_STATUS_OK);
    TEST_CHECK(watched.calls == 2 && lanczos.cycles == 2 && !lanczos.converged);
    for (uint32_t i = 0; i < 2; i++) {
        const struct bm_eigenvalue *seen = &watched.seen.largest[i];
        TEST_CHECK(fabs(seen->value - lanczos.largest[i].value) < 1e-5);
        TEST_CHECK_MSG(fabs(seen->residual / lanczos.largest[i].residual - 1) < .01,
                       "estimated %g, found %g", seen->residual, lanczos.largest[i].residual);
    }
    bm_lanczos_free(&lanczos);
    bm_curvature_close(&curvature);
}

/* Vectors that Lanczos had no time for become better. */
static double residual_after(uint32_t steps, struct bm_lanczos *lanczos) {
    struct bm_objective objective = make_formula(400, 1);
    struct bm_error error = {0};
    struct bm_lanczos_setup setup = make_setup(2, 1);
    for (uint32_t i = 0; i < 400; i++) {
        formula.values[i] = i < 2 ? 1.3 - .1 * i : 1.3 * (double)i / 400 - .3;
    }
    setup.refine.steps = steps;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .1;
    TEST_CHECK_MSG(bm_lanczos_run(&curvature, &setup, lanczos, &error) == BM_STATUS_OK, "%s",
                   error.text);
    TEST_CHECK(lanczos->cycles == 1);
    for (uint32_t i = 0; i < 2; i++) {
        TEST_CHECK(fabs(bm_curvature_norm(&lanczos->vectors[i * 400], 400) - 1) < 1e-9);
    }
    bm_curvature_close(&curvature);
    return lanczos->largest[0].residual;
}

static void test_refine(void) {
    struct bm_lanczos lanczos;
    const double before = residual_after(0, &lanczos);
    bm_lanczos_free(&lanczos);
    const double after = residual_after(9, &lanczos);
    TEST_CHECK_MSG(after < .3 * before, "before %g, after %g", before, after);
    check_value(&lanczos.largest[0], 1.3, 1e-3);
    check_value(&lanczos.largest[1], 1.2, 2e-2);
    bm_lanczos_free(&lanczos);
}

/* What the products cannot tell from 0 is not chased. */
static void test_floor(void) {
    struct bm_objective objective = make_formula(200, 1);
    struct bm_lanczos lanczos;
    struct bm_error error = {0};
    struct bm_lanczos_setup setup = make_setup(1, 1000);
    for (uint32_t i = 0; i < 200; i++) {
        formula.values[i] = 1e-6 * sin(i);
    }
    formula.values[0] = 10;
    setup.floor = 1e-3;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .1;
    TEST_CHECK(bm_lanczos_run(&curvature, &setup, &lanczos, &error) == BM_STATUS_OK);
    TEST_CHECK(lanczos.cycles == 1 && lanczos.converged);
    bm_lanczos_free(&lanczos);
    bm_curvature_close(&curvature);
}

/* ---- Failures ---- */

static int32_t
run_failing(uint64_t last_call, int32_t with, struct bm_lanczos *lanczos, struct bm_error *error) {
    struct bm_objective objective = make_formula(200, 1);
    for (uint32_t i = 0; i < 200; i++) {
        formula.values[i] = (double)i / 200 - .3;
    }
    formula.last_call = last_call;
    formula.status = with;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = .1;
    const int32_t status = run(&curvature, 2, 60, lanczos, error);
    bm_curvature_close(&curvature);
    return status;
}

static void test_failures(void) {
    struct bm_lanczos lanczos;
    struct bm_error error;
    /* Before the first cycle is complete nothing is known. */
    TEST_CHECK(run_failing(11, BM_STATUS_INTERNAL, &lanczos, &error) == BM_STATUS_INTERNAL);
    TEST_CHECK(lanczos.values == 0 && lanczos.vectors == NULL);
    TEST_CHECK_STR(error.text, "no more calls");
    bm_lanczos_free(&lanczos);
    /* In the third: values, but no vectors. */
    TEST_CHECK(run_failing(2 * 40, BM_STATUS_TIMEOUT, &lanczos, &error) == BM_STATUS_TIMEOUT);
    TEST_CHECK(lanczos.values == 2 && lanczos.vectors == NULL && lanczos.cycles == 2);
    TEST_CHECK(fabs(lanczos.largest[0].value - .695) < .02 && isnan(lanczos.largest[0].error));
    TEST_CHECK(lanczos.largest[0].residual > 0 && lanczos.largest[0].residual < .1);
    bm_lanczos_free(&lanczos);
    /* While values are checked: vectors, and the errors of those that were. */
    TEST_CHECK(run_failing(2 * 1000, BM_STATUS_TIMEOUT, &lanczos, &error) == BM_STATUS_OK);
    bm_lanczos_free(&lanczos);
    TEST_CHECK(run_failing(formula.calls - 9, BM_STATUS_TIMEOUT, &lanczos, &error) ==
               BM_STATUS_TIMEOUT);
    TEST_CHECK(lanczos.vectors != NULL && !isnan(lanczos.largest[0].error));
    TEST_CHECK(isnan(lanczos.largest[1].error) && isnan(lanczos.smallest[1].error));
    bm_lanczos_free(&lanczos);
}

/* ---- Trace ---- */

static void test_trace(void) {
    struct bm_objective objective = make_formula(200, 1);
    struct bm_trace trace = {0};
    struct bm_error error = {0};
    double exact = 0;
    spread_values(-3, 50);
    for (uint32_t i = 0; i < 200; i++) {
        exact += formula.values[i];
    }
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = 1;
    TEST_CHECK(bm_trace_add(&curvature, 1, 1, &trace, &error) == BM_STATUS_OK);
    TEST_CHECK(trace.vectors == 1 && isnan(trace.standard_error));
    const double first = trace.value;
    TEST_CHECK(bm_trace_add(&curvature, 1, 1, &trace, &error) == BM_STATUS_OK);
    TEST_CHECK(fabs(trace.standard_error / fabs(trace.value - first) - 1) < 1e-9);
    TEST_CHECK(bm_trace_add(&curvature, 1, 198, &trace, &error) == BM_STATUS_OK);
    TEST_CHECK(trace.vectors == 200 && trace.value != first);
    TEST_CHECK_MSG(fabs(trace.value - exact) < 3 * trace.standard_error,
                   "found %g +- %g, expected %g", trace.value, trace.standard_error, exact);
    /* Variance of z'Hz: 2 sum over i != j of H_ij^2. */
    double variance = 0;
    for (uint32_t i = 0; i < 200; i++) {
        double unit[200] = {0};
        double row[200] = {0};
        unit[i] = 1;
        multiply(&formula, unit, row);
        variance += 2 * (bm_curvature_dot(row, row, 200) - row[i] * row[i]);
    }
    const double expected = sqrt(variance / 200);
    TEST_CHECK_MSG(fabs(trace.standard_error / expected - 1) < .2, "found %g, expected about %g",
                   trace.standard_error, expected);
    bm_curvature_close(&curvature);
}

/* A quartic adds 3 c x^2 everywhere, at 0 only by the step: c h^2 sum z^4 / count. */
static void test_trace_by_step(void) {
    struct bm_objective objective = make_formula(50, 0);
    struct bm_trace trace = {0};
    struct bm_error error = {0};
    formula.quartic = 1;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = 2;
    TEST_CHECK(bm_trace_add(&curvature, 1, 3, &trace, &error) == BM_STATUS_OK);
    TEST_CHECK_MSG(fabs(trace.value - 4) < 1e-4 && fabs(trace.error - 3) < 1e-4, "%g, error %g",
                   trace.value, trace.error);
    TEST_CHECK(curvature.step == 2);
    bm_curvature_close(&curvature);
}

/* Diagonal: every vector gives the trace itself. And what is known stays. */
static void test_trace_is_cut(void) {
    struct bm_objective objective = make_formula(50, 0);
    struct bm_trace trace = {0};
    struct bm_error error = {0};
    for (uint32_t i = 0; i < 50; i++) {
        formula.values[i] = (double)i - 10;
    }
    formula.last_call = 15;
    formula.status = BM_STATUS_TIMEOUT;
    struct bm_curvature curvature = open_curvature(&objective, params);
    curvature.step = 1;
    TEST_CHECK(bm_trace_add(&curvature, 1, 20, &trace, &error) == BM_STATUS_TIMEOUT);
    TEST_CHECK(trace.vectors == 3);
    TEST_CHECK_MSG(fabs(trace.value - 725) < 1e-3 && trace.standard_error < 1e-3 &&
                       trace.error < 1e-3,
                   "%g +- %g", trace.value, trace.standard_error);
    bm_curvature_close(&curvature);
}

/* ---- Kind of a point ---- */

static uint32_t kind_of(double smallest, double largest, double error, double gradient) {
    struct bm_critical critical = {
        .loss = 1,
        .gradient_norm = gradient,
        .gradient_noise = 1e-6,
        .curvature = largest,
        .params_norm = 10,
        .smallest = {smallest, .1, error},
        .largest = {largest, .001, error},
    };
    bm_critical_judge(&critical);
    return critical.kind;
}

static void test_kinds(void) {
    TEST_CHECK(kind_of(.1, 5, .01, 1e-7) == BM_CRITICAL_MINIMUM);
    TEST_CHECK(kind_of(-.1, 5, .01, 1e-7) == BM_CRITICAL_SADDLE);
    TEST_CHECK(kind_of(-5, -.1, .01, 1e-7) == BM_CRITICAL_MAXIMUM);
    TEST_CHECK(kind_of(-.005, .005, .01, 1e-7) == BM_CRITICAL_FLAT);
    /* What cannot be told from 0 is no direction out of a minimum. */
    TEST_CHECK(kind_of(-.1, 5, .2, 1e-7) == BM_CRITICAL_MINIMUM);
    TEST_CHECK(kind_of(-5, .1, .2, 1e-7) == BM_CRITICAL_MAXIMUM);
    /* |g|^2 / (2 5) against 1 % of the loss: |g| = .316. */
    TEST_CHECK(kind_of(-.1, 5, .01, .31) == BM_CRITICAL_SADDLE);
    TEST_CHECK(kind_of(-.1, 5, .01, .32) == BM_CRITICAL_MOVING);
}

static int sign_of(double value, double residual, double error, int outward) {
    const struct bm_eigenvalue found = {value, residual, error};
    return bm_critical_sign(&found, outward);
}

static void test_signs(void) {
    TEST_CHECK(sign_of(.1, .5, .001, -1) == 1);
    TEST_CHECK(sign_of(.1, 1.5, .001, -1) == 0); /* the smallest may lie below 0 all the same */
    TEST_CHECK(sign_of(-.1, 1.5, .001, -1) == -1);
    TEST_CHECK(sign_of(-.1, .5, .2, -1) == 0);
    TEST_CHECK(sign_of(5, 1.5, .001, 1) == 1);
    TEST_CHECK(sign_of(-5, .5, .001, 1) == -1);
    TEST_CHECK(sign_of(-5, 1.5, .001, 1) == 0);
    TEST_CHECK(sign_of(.1, .5, (double)NAN, -1) == 1);
}

/* The residual: a smallest value that is positive proves less than a negative one. */
static void test_evidence(void) {
    struct bm_critical critical = {
        .loss = 2,
        .gradient_norm = 1e-3,
        .curvature = 4,
        .params_norm = 16,
        .smallest = {.1, 1.5, .001},
        .largest = {8, .01, .01},
    };
    bm_critical_judge(&critical);
    TEST_CHECK(critical.kind == BM_CRITICAL_MINIMUM);
    TEST_CONTAINS(critical.evidence, "the smallest cannot be told from 0");
    TEST_CONTAINS(critical.evidence, "from 0.1 +- 0.001 to 8 +- 0.01");
    TEST_CHECK(critical.allowed == 8 * 16 * 0x1p-24 && critical.change == 1e-6 / 8);
    critical.smallest.residual = .5;
    bm_critical_judge(&critical);
    TEST_CHECK(strstr(critical.evidence, "flat") == NULL);
    critical.smallest.value = -.1;
    critical.smallest.residual = 1.5;
    bm_critical_judge(&critical);
    TEST_CHECK(critical.kind == BM_CRITICAL_SADDLE);
    critical.loss = 0; /* of a network that has learnt all */
    critical.gradient_norm = 1e-6;
    bm_critical_judge(&critical);
    TEST_CHECK(critical.kind == BM_CRITICAL_SADDLE);
}

/* ---- The walk ---- */

/* f = x0 / 4 - x0^2 / 2 + x0^4 / 4 + ...: nearly a saddle at 0, minima of about -1/2 and 0 beside
 * it. */
static void test_walk(void) {
    struct bm_objective objective = make_formula(4, 0);
    const double v[4] = {1, 0, 0, 0};
    const double gradient[4] = {.25, 0, 0, 0};
    struct bm_walk walk = {.loss = 0, .eigenvalue = -1};
    struct bm_error error = {0};
    double lowest = 0;
    formula.values[0] = -1;
    formula.values[1] = formula.values[2] = formula.values[3] = 1;
    formula.quartic = 1;
    formula.b[0] = -.25; /* down is where x0 is negative */
    walk.loss = .5;      /* reaches to 1 / 2, and from there on as it goes down */
    TEST_CHECK(bm_walk_along(&objective, params, gradient, v, &walk, &error) == BM_STATUS_OK);
    TEST_CHECK(walk.slope == -.25 && walk.count > 2 * BM_WALK_SIDE);
    TEST_CHECK(objective.losses == walk.count - 1 && objective.gradients == 0);
    for (uint32_t i = 0; i < walk.count; i++) {
        const double t = walk.t[i];
        TEST_CHECK(i == 0 || t > walk.t[i - 1]);
        TEST_CHECK(t == 0 || fabs(walk.losses[i] - (t * t * t * t / 4 - t * t / 2 - t / 4)) < 1e-6);
        TEST_CHECK(fabs(bm_walk_foretold(&walk, t) - (.5 - .25 * t - t * t / 2)) < 1e-12);
        lowest = fmin(lowest, walk.losses[i]);
    }
    TEST_CHECK_MSG(walk.losses[0] > lowest && walk.losses[walk.count - 1] > lowest && lowest < -.45,
                   "lowest %g", lowest);
    formula.last_call = 5;
    formula.status = BM_STATUS_TIMEOUT;
    TEST_CHECK(bm_walk_along(&objective, params, gradient, v, &walk, &error) == BM_STATUS_TIMEOUT);
    TEST_CHECK(walk.count == 6);
}

/* ---- A network ---- */

#define IN 6
#define HIDDEN 5
#define OUT 3
#define WEIGHTS (HIDDEN * IN + HIDDEN + OUT * HIDDEN + OUT)
#define IMAGES 40

static float images[IMAGES * IN];
static int32_t labels[IMAGES];
static uint32_t order[IMAGES];
static double hessian[WEIGHTS][WEIGHTS];

struct network {
    struct bm_model model;
    struct bm_data data;
};

static int32_t
network_at(void *context, const float *at, double *loss, float *gradient, struct bm_error *error) {
    const struct network *network = context;
    const struct bm_reference_request request = {
        .model = &network->model,
        .data = &network->data,
        .order = order,
        .count = IMAGES,
        .divisor = IMAGES,
        .update = 1,
        .thread_count = 1,
        .params = at,
        .no_bound = 1,
    };
    struct bm_reference reference;
    const int32_t status = bm_reference_gradient(&request, &reference, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    *loss = reference.loss;
    for (uint32_t i = 0; i < WEIGHTS && gradient != NULL; i++) {
        gradient[i] = (float)reference.gradient[i];
    }
    bm_reference_free(&reference);
    return BM_STATUS_OK;
}

static struct bm_objective make_network(struct network *network) {
    const struct bm_shape shape = {IN, 1, 1};
    struct bm_error error;
    struct bm_random random;
    TEST_CHECK(bm_model_parse("small", "dense 5, relu, dense 3", shape, OUT, &network->model,
                              &error) == BM_STATUS_OK);
    TEST_CHECK(bm_model_param_count(&network->model) == WEIGHTS);
    bm_random_init(&random, 4, BM_RANDOM_DATA, 1);
    for (uint32_t i = 0; i < IMAGES; i++) {
        order[i] = i;
        labels[i] = (int32_t)bm_random_below(&random, OUT);
        for (uint32_t j = 0; j < IN; j++) {
            images[i * IN + j] = (float)(2 * bm_random_double(&random) - 1);
        }
    }
    network->data = (struct bm_data){.size = sizeof network->data,
                                     .type = BM_DATA_FLOAT32,
                                     .count = IMAGES,
                                     .images = images,
                                     .labels = labels};
    return (struct bm_objective){.count = WEIGHTS, .at = network_at, .context = network};
}

/* The layout of parameters, of a gradient, of a vector. */
struct weights {
    double w1[HIDDEN][IN];
    double b1[HIDDEN];
    double w2[OUT][HIDDEN];
    double b2[OUT];
};

/* What one image does at the weights, and the derivatives of it along v (r_ of the same name). */
struct pass {
    double z1[HIDDEN];
    double r_z1[HIDDEN];
    double h[HIDDEN];
    double r_h[HIDDEN];
    double p[OUT];
    double r_p[OUT];
};

static void
forward(const struct weights *w, const struct weights *v, const float *x, struct pass *pass) {
    double sum = 0;
    double mean = 0;
    double r_z2[OUT];
    for (uint32_t i = 0; i < HIDDEN; i++) {
        pass->z1[i] = w->b1[i];
        pass->r_z1[i] = v->b1[i];
        for (uint32_t j = 0; j < IN; j++) {
            pass->z1[i] += w->w1[i][j] * (double)x[j];
            pass->r_z1[i] += v->w1[i][j] * (double)x[j];
        }
        pass->h[i] = pass->z1[i] > 0 ? pass->z1[i] : 0;
        pass->r_h[i] = pass->z1[i] > 0 ? pass->r_z1[i] : 0;
    }
    for (uint32_t k = 0; k < OUT; k++) {
        double z2 = w->b2[k];
        r_z2[k] = v->b2[k];
        for (uint32_t i = 0; i < HIDDEN; i++) {
            z2 += w->w2[k][i] * pass->h[i];
            r_z2[k] += v->w2[k][i] * pass->h[i] + w->w2[k][i] * pass->r_h[i];
        }
        pass->p[k] = exp(z2);
        sum += pass->p[k];
    }
    for (uint32_t k = 0; k < OUT; k++) {
        pass->p[k] /= sum;
        mean += pass->p[k] * r_z2[k];
    }
    for (uint32_t k = 0; k < OUT; k++) {
        pass->r_p[k] = pass->p[k] * (r_z2[k] - mean);
    }
}

/* Adds one image's part of H v: the R-operator on the backward pass (Pearlmutter, "Fast exact
 * multiplication by the Hessian", Neural Computation 6, 1994). */
static void backward(const struct weights *w,
                     const struct weights *v,
                     const float *x,
                     int32_t label,
                     const struct pass *pass,
                     struct weights *product) {
    double r_d1[HIDDEN] = {0};
    for (int32_t k = 0; k < OUT; k++) {
        const double d2 = (pass->p[k] - (k == label)) / IMAGES;
        const double r_d2 = pass->r_p[k] / IMAGES;
        product->b2[k] += r_d2;
        for (uint32_t i = 0; i < HIDDEN; i++) {
            product->w2[k][i] += r_d2 * pass->h[i] + d2 * pass->r_h[i];
            r_d1[i] += v->w2[k][i] * d2 + w->w2[k][i] * r_d2;
        }
    }
    for (uint32_t i = 0; i < HIDDEN; i++) {
        const double r_d = pass->z1[i] > 0 ? r_d1[i] : 0;
        product->b1[i] += r_d;
        for (uint32_t j = 0; j < IN; j++) {
            product->w1[i][j] += r_d * (double)x[j];
        }
    }
}

static void fill_hessian(const float *at) {
    struct weights w;
    double wide[WEIGHTS];
    TEST_CHECK(sizeof w == sizeof wide);
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        wide[i] = (double)at[i];
    }
    memcpy(&w, wide, sizeof w);
    for (uint32_t column = 0; column < WEIGHTS; column++) {
        struct weights v = {0};
        struct weights product = {0};
        struct pass pass;
        double unit[WEIGHTS] = {0};
        unit[column] = 1;
        memcpy(&v, unit, sizeof v);
        for (uint32_t i = 0; i < IMAGES; i++) {
            forward(&w, &v, &images[i * IN], &pass);
            backward(&w, &v, &images[i * IN], labels[i], &pass, &product);
        }
        memcpy(hessian[column], &product, sizeof product);
    }
}

static int compare_doubles(const void *a, const void *b) {
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* One rotation of rows and columns p and q that makes m[p][q] zero. */
static void rotate(double m[WEIGHTS][WEIGHTS], uint32_t p, uint32_t q) {
    if (m[p][q] == 0) {
        return;
    }
    const double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
    const double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1));
    const double c = 1 / sqrt(t * t + 1);
    const double s = t * c;
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        const double left = m[i][p];
        const double right = m[i][q];
        m[i][p] = c * left - s * right;
        m[i][q] = s * left + c * right;
    }
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        const double left = m[p][i];
        const double right = m[q][i];
        m[p][i] = c * left - s * right;
        m[q][i] = s * left + c * right;
    }
}

/* Cyclic Jacobi; ascending. */
static void exact_values(double values[WEIGHTS]) {
    static double m[WEIGHTS][WEIGHTS];
    memcpy(m, hessian, sizeof m);
    for (uint32_t sweep = 0; sweep < 12; sweep++) {
        for (uint32_t p = 0; p < WEIGHTS; p++) {
            for (uint32_t q = p + 1; q < WEIGHTS; q++) {
                rotate(m, p, q);
            }
        }
    }
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        values[i] = m[i][i];
    }
    qsort(values, WEIGHTS, sizeof *values, compare_doubles);
}

/* The derivation itself: symmetric, and a product of the float64 reference's gradients. */
static void check_derivation(struct bm_objective *objective, const float *at) {
    struct bm_curvature curvature = open_curvature(objective, at);
    double v[WEIGHTS];
    double exact[WEIGHTS];
    bm_curvature_random(8, 0, v, WEIGHTS);
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        exact[i] = bm_curvature_dot(hessian[i], v, WEIGHTS);
        for (uint32_t j = 0; j < i; j++) {
            TEST_CHECK(fabs(hessian[i][j] - hessian[j][i]) < 1e-14);
        }
    }
    curvature.step = 1e-3;
    const double worst = product_error(&curvature, v, exact);
    TEST_CHECK_MSG(worst < 2e-4, "product: off by %g of its length", worst);
    bm_curvature_close(&curvature);
}

static double worst_of_ends(const struct bm_lanczos *lanczos, const double *values) {
    double worst = 0;
    for (uint32_t i = 0; i < lanczos->values; i++) {
        const double high = values[WEIGHTS - 1 - i];
        const double low = values[i];
        check_value(&lanczos->largest[i], high, .01);
        check_value(&lanczos->smallest[i], low, .01);
        worst = fmax(worst, fabs(lanczos->largest[i].value / high - 1));
        worst = fmax(worst, fabs(lanczos->smallest[i].value / low - 1));
    }
    return worst;
}

/* Eigenvalues and trace of the network at `at` as the analysis finds them. */
static void check_network(struct bm_objective *objective,
                          const float *at,
                          struct bm_lanczos *lanczos,
                          struct bm_curvature_choice *choice) {
    double values[WEIGHTS];
    double trace_exact = 0;
    struct bm_trace trace = {0};
    struct bm_error error = {0};
    fill_hessian(at);
    exact_values(values);
    check_derivation(objective, at);
    struct bm_curvature curvature = open_curvature(objective, at);
    (void)choose(&curvature, bm_curvature_largest(&curvature), choice);
    TEST_CHECK(bm_trace_add(&curvature, 1, 400, &trace, &error) == BM_STATUS_OK);
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        trace_exact += hessian[i][i];
    }
    TEST_CHECK_MSG(fabs(trace.value - trace_exact) < 3 * trace.standard_error &&
                       trace.standard_error < .1 * trace_exact,
                   "trace: found %g +- %g, expected %g", trace.value, trace.standard_error,
                   trace_exact);
    TEST_CHECK_MSG(run(&curvature, 3, 200, lanczos, &error) == BM_STATUS_OK, "%s", error.text);
    (void)printf("network: step %.2g, error %.2g; values %.6f to %.6f, off by %.2g; trace %.4f +- "
                 "%.4f, exact %.4f\n",
                 choice->step, choice->error, values[0], values[WEIGHTS - 1],
                 worst_of_ends(lanczos, values), trace.value, trace.standard_error, trace_exact);
    bm_curvature_close(&curvature);
}

static void judge_network(struct bm_objective *objective,
                          const float *at,
                          const struct bm_lanczos *lanczos,
                          const struct bm_curvature_choice *choice,
                          struct bm_critical *critical) {
    float gradient[WEIGHTS];
    double sum = 0;
    struct bm_error error;
    *critical = (struct bm_critical){.params_norm = 1,
                                     .gradient_noise = choice->error * choice->step,
                                     .curvature = lanczos->largest[0].value,
                                     .largest = lanczos->largest[0],
                                     .smallest = lanczos->smallest[0]};
    TEST_CHECK(bm_objective_at(objective, at, &critical->loss, gradient, &error) == BM_STATUS_OK);
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        sum += (double)gradient[i] * (double)gradient[i];
    }
    critical->gradient_norm = sqrt(sum);
    bm_critical_judge(critical);
}

/* Somewhere on a slope. */
static void test_network(void) {
    struct network network;
    struct bm_objective objective = make_network(&network);
    struct bm_lanczos lanczos;
    struct bm_curvature_choice choice;
    struct bm_critical critical;
    float at[WEIGHTS];
    bm_model_start(&network.model, 2, at);
    check_network(&objective, at, &lanczos, &choice);
    judge_network(&objective, at, &lanczos, &choice, &critical);
    TEST_CHECK_MSG(critical.kind == BM_CRITICAL_MOVING, "%s", critical.evidence);
    bm_lanczos_free(&lanczos);
}

/* A saddle: all hidden units are 1 whatever the image, and the answer is the frequency of the
 * classes. The gradient is zero, as neither layer alone can do better; both together can. */
static void test_network_at_saddle(void) {
    struct network network;
    struct bm_objective objective = make_network(&network);
    struct bm_lanczos lanczos;
    struct bm_curvature_choice choice;
    struct bm_critical critical;
    float at[WEIGHTS] = {0};
    float count[OUT] = {0};
    for (uint32_t i = 0; i < IMAGES; i++) {
        count[labels[i]]++;
    }
    for (uint32_t i = 0; i < HIDDEN; i++) {
        at[HIDDEN * IN + i] = 1;
    }
    for (uint32_t k = 0; k < OUT; k++) {
        at[WEIGHTS - OUT + k] = logf(count[k] / IMAGES);
    }
    check_network(&objective, at, &lanczos, &choice);
    judge_network(&objective, at, &lanczos, &choice, &critical);
    TEST_CHECK_MSG(critical.kind == BM_CRITICAL_SADDLE && critical.gradient_norm < 1e-6, "%s",
                   critical.evidence);
    bm_lanczos_free(&lanczos);
}

/* ---- */

static int has_arpack(void) {
    static const char *const names[] = {"dsaupd_c", NULL};
    void (*function)(void);
    struct bm_error error;
    if (bm_library_open("libarpack.so.2", "libarpack2", names, &function, &error) == 0) {
        return 1;
    }
    TEST_CONTAINS(error.text, "libarpack2");
    (void)printf("without eigenvalues: %s\n", error.text);
    return 0;
}

int main(void) {
    test_product();
    test_rounded_step();
    test_counts();
    test_step();
    test_step_is_not_too_large();
    test_kink();
    test_step_beside_the_undefined();
    test_trace();
    test_trace_by_step();
    test_trace_is_cut();
    test_kinds();
    test_signs();
    test_evidence();
    test_walk();
    if (has_arpack()) {
        test_spectrum();
        test_error_of_value();
        test_few_parameters();
        test_budget();
        test_caller_ends();
        test_floor();
        test_refine();
        test_failures();
        test_network();
        test_network_at_saddle();
    }
    return 0;
}
