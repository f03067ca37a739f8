/* The reference against PyTorch in float64: three updates of two small networks with each of the
 * nine optimizers (tests/golden/make.py). */
#include "reference.h"
#include "test.h"

#include <jansson.h>
#include <math.h>

#define COUNT_MAX 512
#define TOLERANCE 1e-11 /* the files have 13 digits; updates pass differences on */

static struct bm_model model;
static float images[COUNT_MAX];
static int32_t labels[16];
static float params[COUNT_MAX];
static double exact[COUNT_MAX];
static double gradient[COUNT_MAX];
static double slots[BM_STATE_SLOT_MAX][COUNT_MAX];
static double statistics[COUNT_MAX];

static const json_t *member(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    TEST_CHECK_MSG(value != NULL, "no \"%s\"", name);
    return value;
}

static double number(const json_t *object, const char *name) {
    return json_number_value(member(object, name));
}

static size_t read_floats(const json_t *array, float *to) {
    size_t count = json_array_size(array);
    TEST_CHECK(count > 0 && count <= COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        to[i] = (float)json_number_value(json_array_get(array, i));
    }
    return count;
}

static void compare(const char *rule,
                    const char *what,
                    size_t update,
                    const double *found,
                    const json_t *array,
                    size_t count) {
    TEST_CHECK_MSG(json_array_size(array) == count, "%s: %zu values, expected %zu", what, count,
                   json_array_size(array));
    for (size_t i = 0; i < count; i++) {
        double expected = json_number_value(json_array_get(array, i));
        TEST_CHECK_MSG(fabs(found[i] - expected) <= TOLERANCE * (1 + fabs(expected)),
                       "%s, update %zu: %s %zu: expected %.13g, found %.13g", rule, update, what, i,
                       expected, found[i]);
    }
}

/* Gradient, then the step, compared; then the parameters become float32. */
static void check_update(const json_t *file, uint32_t rule, size_t update, const json_t *expected) {
    static const uint32_t order[] = {0, 1, 2, 3, 4};
    const char *name = bm_optimizer_names[rule];
    struct bm_error error;
    struct bm_reference reference;
    struct bm_data data = {sizeof data, BM_DATA_FLOAT32, 5, images, labels, NULL, NULL};
    struct bm_reference_request request = {.model = &model,
                                           .data = &data,
                                           .order = order,
                                           .count = 5,
                                           .divisor = 5,
                                           .update = update + 1,
                                           .thread_count = 2,
                                           .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                           .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                           .params = params,
                                           .statistics = update == 0 ? NULL : statistics};
    TEST_CHECK(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_OK);
    TEST_CHECK(fabs(reference.loss - number(expected, "loss")) < TOLERANCE);
    compare(name, "gradient", update, reference.gradient, member(expected, "gradient"),
            reference.param_count);
    compare(name, "statistics", update, reference.statistics, member(expected, "statistics"),
            reference.statistics_count);
    memcpy(statistics, reference.statistics, reference.statistics_count * sizeof(double));

    struct bm_hyper hyper = bm_optimizer_defaults(rule, number(file, "rate"), update + 1);
    double *const state[BM_STATE_SLOT_MAX] = {slots[0], slots[1]};
    hyper.decay = number(file, "decay");
    hyper.momentum = number(file, "momentum");
    hyper.trust = number(file, "trust");
    /* From the file's gradient: that of a bias before batch norm is 0 but for rounding, which
     * adamw's division by |g| + epsilon makes visible. */
    for (size_t i = 0; i < reference.param_count; i++) {
        gradient[i] = json_number_value(json_array_get(member(expected, "gradient"), i));
    }
    bm_reference_apply(&model, rule, &hyper, gradient, exact, state);
    compare(name, "parameter", update, exact, member(expected, "params"), reference.param_count);
    const json_t *states = json_object_get(expected, "state");
    TEST_CHECK(states == NULL || json_array_size(states) == bm_optimizer_slot_count(rule));
    for (size_t s = 0; s < json_array_size(states); s++) {
        compare(name, "state", update, slots[s], json_array_get(states, s), reference.param_count);
    }
    for (size_t i = 0; i < reference.param_count; i++) {
        params[i] = (float)exact[i];
        exact[i] = (double)params[i];
    }
    bm_reference_free(&reference);
}

static void check_rule(const json_t *file, uint32_t rule) {
    const json_t *updates = member(member(file, "optimizers"), bm_optimizer_names[rule]);
    size_t count = read_floats(member(file, "params"), params);
    TEST_CHECK(count == bm_model_param_count(&model));
    TEST_CHECK(json_array_size(updates) == 3);
    for (size_t i = 0; i < count; i++) {
        exact[i] = (double)params[i];
        slots[0][i] = 0;
        slots[1][i] = 0;
    }
    for (size_t update = 0; update < 3; update++) {
        check_update(file, rule, update, json_array_get(updates, update));
    }
}

static void check_file(const char *name) {
    char path[4096];
    json_error_t json_error;
    struct bm_error error;
    (void)snprintf(path, sizeof path, "%s/tests/golden/%s", bm_test_env("BM_TEST_SOURCE_DIR"),
                   name);
    json_t *file = json_load_file(path, 0, &json_error);
    TEST_CHECK_MSG(file != NULL, "%s: %s", path, json_error.text);
    const json_t *shape = member(file, "shape");
    struct bm_shape input = {(uint32_t)json_integer_value(json_array_get(shape, 0)),
                             (uint32_t)json_integer_value(json_array_get(shape, 1)),
                             (uint32_t)json_integer_value(json_array_get(shape, 2))};
    TEST_CHECK_MSG(bm_model_parse("golden", json_string_value(member(file, "layers")), input, 3,
                                  &model, &error) == BM_STATUS_OK,
                   "%s", error.text);
    (void)read_floats(member(file, "images"), images);
    TEST_CHECK(json_array_size(member(file, "labels")) == 5);
    for (size_t n = 0; n < 5; n++) {
        labels[n] = (int32_t)json_integer_value(json_array_get(member(file, "labels"), n));
    }
    for (uint32_t rule = 0; rule < BM_OPTIMIZER_COUNT; rule++) {
        check_rule(file, rule);
    }
    json_decref(file);
}

int main(void) {
    check_file("reference_f1.json");
    check_file("reference_c1.json");
    return 0;
}
