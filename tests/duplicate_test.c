/* A network with doubled units: it computes what the narrow one does, its gradient is the narrow
 * one's, split, and the curvature between copies is what the theory says. By the float64 reference.
 */
#include "data.h"
#include "duplicate.h"
#include "random.h"
#include "reference.h"
#include "test.h"

#include <math.h>

#define CLASSES 3u
#define IMAGES 40u
#define INPUTS 9u
#define PARAMS_MAX 256u

static struct bm_dataset dataset;

static void open_data(void) {
    const struct bm_data_synthetic small = {{1, 3, 3}, CLASSES, IMAGES, 4, 5};
    struct bm_error error;
    TEST_CHECK(bm_dataset_open("synthetic", NULL, &small, &dataset, &error) == BM_STATUS_OK);
}

static struct bm_model make_model(const char *layers) {
    struct bm_model model;
    struct bm_error error;
    TEST_CHECK(bm_model_parse("test", layers, dataset.shape, CLASSES, &model, &error) ==
               BM_STATUS_OK);
    TEST_CHECK(bm_model_param_count(&model) <= PARAMS_MAX);
    return model;
}

/* Loss over `count` images from `first`, and its gradient where it is not NULL. */
static double loss_of(const struct bm_model *model,
                      const double *params,
                      uint32_t first,
                      uint32_t count,
                      double *gradient) {
    uint32_t order[IMAGES];
    struct bm_reference result;
    struct bm_error error;
    for (uint32_t i = 0; i < count; i++) {
        order[i] = first + i;
    }
    const struct bm_reference_request request = {.model = model,
                                                 .data = &dataset.split[BM_SPLIT_TRAIN],
                                                 .order = order,
                                                 .count = count,
                                                 .divisor = count,
                                                 .update = 1,
                                                 .thread_count = 1,
                                                 .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                                 .wide_params = params,
                                                 .no_bound = 1};
    TEST_CHECK(bm_reference_gradient(&request, &result, &error) == BM_STATUS_OK);
    double loss = result.loss;
    if (gradient != NULL) {
        memcpy(gradient, result.gradient, result.param_count * sizeof *gradient);
    }
    bm_reference_free(&result);
    return loss;
}

static void widen_numbers(const float *from, uint64_t count, double *to) {
    for (uint64_t i = 0; i < count; i++) {
        to[i] = (double)from[i];
    }
}

/* Narrow and wide, at parameters of which none is 0. */
struct pair {
    struct bm_model narrow;
    struct bm_model wide;
    struct bm_duplicate duplicate;
    double narrow_params[PARAMS_MAX];
    double wide_params[PARAMS_MAX];
};

static struct pair
make_pair(const char *layers, uint32_t layer, double share, const uint32_t *units, uint32_t count) {
    struct pair pair = {.duplicate = {.layer = layer, .unit_count = count, .share = share}};
    struct bm_random random;
    struct bm_error error;
    float narrow[PARAMS_MAX];
    float wide[PARAMS_MAX];
    pair.narrow = make_model(layers);
    memcpy(pair.duplicate.units, units, count * sizeof *units);
    TEST_CHECK(bm_duplicate_model(&pair.narrow, &pair.duplicate, &pair.wide, &error) ==
               BM_STATUS_OK);
    TEST_CHECK(bm_model_param_count(&pair.wide) <= PARAMS_MAX);
    bm_random_init(&random, 2, BM_RANDOM_ESCAPE, 11);
    uint64_t params = bm_model_param_count(&pair.narrow);
    for (uint64_t i = 0; i < params; i++) {
        narrow[i] = (float)(2 * bm_random_double(&random) - 1);
    }
    bm_duplicate_params(&pair.narrow, &pair.duplicate, &pair.wide, narrow, wide);
    widen_numbers(narrow, params, pair.narrow_params);
    widen_numbers(wide, bm_model_param_count(&pair.wide), pair.wide_params);
    return pair;
}

/* ---- Function and gradient ---- */

static void check_near(const char *what, double found, double expected, double tolerance) {
    TEST_CHECK_MSG(fabs(found - expected) <= tolerance, "%s: found %.17g, expected %.17g", what,
                   found, expected);
}

/* The wide network's gradient folded back: incoming weights of copies are added up, which gives a g
 * + (1 - a) g; `split` checks the parts. */
static void check_gradient(const struct pair *pair, double tolerance) {
    double narrow[PARAMS_MAX];
    double wide[PARAMS_MAX];
    struct bm_model shape = pair->narrow;
    const struct bm_duplicate *duplicate = &pair->duplicate;
    uint32_t units = pair->narrow.layers[duplicate->layer].outputs;
    struct bm_tensor from[16];
    struct bm_tensor to[16];
    uint32_t next = duplicate->layer + 2; /* behind the relu */
    uint32_t count = bm_model_tensors(&shape, from, 16);
    (void)bm_model_tensors(&pair->wide, to, 16);
    (void)loss_of(&pair->narrow, pair->narrow_params, 0, IMAGES, narrow);
    (void)loss_of(&pair->wide, pair->wide_params, 0, IMAGES, wide);
    for (uint32_t t = 0; t < count; t++) {
        const double *g = narrow + from[t].offset;
        const double *w = wide + to[t].offset;
        uint64_t columns = from[t].kind == BM_TENSOR_WEIGHT ? from[t].fan_in : 1;
        uint64_t wide_columns = to[t].kind == BM_TENSOR_WEIGHT ? to[t].fan_in : 1;
        for (uint64_t i = 0; i < from[t].count; i++) {
            uint64_t row = i / columns;
            double share = 1;
            for (uint32_t k = 0; k < duplicate->unit_count; k++) {
                if (from[t].layer == duplicate->layer && duplicate->units[k] == row) {
                    share = duplicate->share;
                    check_near("copy", w[(units + k) * columns + i % columns], (1 - share) * g[i],
                               tolerance);
                }
                if (from[t].layer == next && from[t].kind == BM_TENSOR_WEIGHT &&
                    duplicate->units[k] == i % columns) {
                    check_near("copy's outgoing", w[row * wide_columns + units + k], g[i],
                               tolerance);
                }
            }
            check_near("gradient", w[row * wide_columns + i % columns], share * g[i], tolerance);
        }
    }
}

static void check_pair(const struct pair *pair, double tolerance) {
    for (uint32_t i = 0; i < IMAGES; i++) {
        check_near("loss of an image", loss_of(&pair->wide, pair->wide_params, i, 1, NULL),
                   loss_of(&pair->narrow, pair->narrow_params, i, 1, NULL), tolerance);
    }
    check_gradient(pair, tolerance);
}

static void test_pairs(void) {
    const uint32_t units[] = {0, 2, 3};
    static const char *const layers = "dense 5, relu, dense 4, relu, dense 3";
    struct pair pair = make_pair(layers, 0, 0.5, units, 3);
    TEST_CHECK(pair.wide.layers[0].outputs == 8 && pair.wide.layers[2].outputs == 4);
    check_pair(&pair, 1e-13);
    pair = make_pair(layers, 2, 0.5, units + 1, 2);
    TEST_CHECK(pair.wide.layers[0].outputs == 5 && pair.wide.layers[2].outputs == 6);
    check_pair(&pair, 1e-13);
    pair = make_pair(layers, 2, 0.3, units, 1); /* the split weights are rounded to float */
    check_pair(&pair, 1e-6);
    pair = make_pair(layers, 0, -0.25, units, 3);
    check_pair(&pair, 1e-6);
}

/* ---- Curvature ---- */

/* u^T M d, M = sum_n e_n (dh_n/dv)^T over images, of unit `unit` of the last hidden layer; by a
 * forward pass written out. */
static double
form_of(const struct pair *pair, uint32_t unit, const double *u, const double *d, uint32_t hidden) {
    const struct bm_data *data = &dataset.split[BM_SPLIT_TRAIN];
    const double *v = pair->narrow_params;
    const double *bias = v + hidden * INPUTS;
    const double *w = bias + hidden;
    const double *out = w + CLASSES * hidden;
    double sum = 0;
    for (uint32_t n = 0; n < IMAGES; n++) {
        const uint8_t *bytes = (const uint8_t *)data->images + n * INPUTS;
        double h[16] = {0};
        double z[CLASSES];
        double dx = d[INPUTS];
        double total = 0;
        double top = 0;
        for (uint32_t j = 0; j < hidden; j++) {
            h[j] = bias[j];
            for (uint32_t i = 0; i < INPUTS; i++) {
                float x = data->scale[0] * (float)bytes[i] + data->shift[0];
                h[j] += v[j * INPUTS + i] * (double)x;
                dx += j == 0 ? d[i] * (double)x : 0;
            }
            h[j] = fmax(h[j], 0);
        }
        for (uint32_t k = 0; k < CLASSES; k++) {
            z[k] = out[k];
            for (uint32_t j = 0; j < hidden; j++) {
                z[k] += w[k * hidden + j] * h[j];
            }
            top = fmax(top, z[k]);
        }
        for (uint32_t k = 0; k < CLASSES; k++) {
            total += exp(z[k] - top);
        }
        for (uint32_t k = 0; k < CLASSES && h[unit] > 0; k++) {
            double e = exp(z[k] - top) / total - (data->labels[n] == (int32_t)k);
            sum += u[k] * e * dx / IMAGES;
        }
    }
    return sum;
}

/* Along the direction that parts the copies the second derivative is 2 u^T M d, of either sign. */
static void test_curvature(void) {
    const uint32_t hidden = 4;
    const uint32_t unit = 1;
    const double a = 0.5;
    const double step = 1e-4;
    struct pair pair = make_pair("dense 4, relu, dense 3", 0, a, &unit, 1);
    const double u[CLASSES] = {0.7, -0.4, 0.2};
    const double d[INPUTS + 1] = {0.3, -0.2, 0.5, 0.1, -0.6, 0.2, 0.4, -0.1, 0.3, 0.2};
    double form = form_of(&pair, unit, u, d, hidden);
    TEST_CHECK(fabs(form) > 1e-3);
    for (int sign = -1; sign <= 1; sign += 2) {
        double losses[3];
        for (int k = -1; k <= 1; k++) {
            double moved[PARAMS_MAX];
            double by = k * step;
            uint64_t biases = (hidden + 1) * INPUTS;
            uint64_t outgoing = biases + hidden + 1;
            memcpy(moved, pair.wide_params, sizeof moved);
            for (uint32_t i = 0; i < INPUTS; i++) {
                moved[unit * INPUTS + i] += (1 - a) * by * d[i];
                moved[hidden * INPUTS + i] -= a * by * d[i];
            }
            moved[biases + unit] += (1 - a) * by * d[INPUTS];
            moved[biases + hidden] -= a * by * d[INPUTS];
            for (uint32_t c = 0; c < CLASSES; c++) {
                moved[outgoing + c * (hidden + 1) + unit] += sign * by * u[c];
                moved[outgoing + c * (hidden + 1) + hidden] -= sign * by * u[c];
            }
            losses[k + 1] = loss_of(&pair.wide, moved, 0, IMAGES, NULL);
        }
        check_near("second derivative", (losses[0] - 2 * losses[1] + losses[2]) / (step * step),
                   sign * 2 * form, 1e-5);
    }
}

/* ---- Refusals ---- */

static void refuse(const char *layers, uint32_t layer, uint32_t unit, uint32_t more) {
    struct bm_model narrow = make_model(layers);
    struct bm_duplicate duplicate = {.layer = layer, .unit_count = 2, .units = {unit, more}};
    struct bm_model wide = {.layer_count = 99};
    struct bm_error error;
    TEST_CHECK(bm_duplicate_model(&narrow, &duplicate, &wide, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "duplicate: expected");
    TEST_CHECK(wide.layer_count == 99);
}

static void test_refusals(void) {
    refuse("dense 4, relu, dense 3", 1, 0, 1);            /* not dense */
    refuse("dense 4, relu, dense 3", 2, 0, 1);            /* the last */
    refuse("dense 4, relu, dense 3", 4, 0, 1);            /* none */
    refuse("dense 4, batchnorm, relu, dense 3", 0, 0, 1); /* no relu */
    refuse("dense 4, relu, dense 3", 0, 3, 4);            /* no such unit */
    refuse("dense 4, relu, dense 3", 0, 1, 1);            /* twice */
}

int main(void) {
    open_data();
    test_pairs();
    test_curvature();
    test_refusals();
    bm_dataset_close(&dataset);
    return 0;
}
