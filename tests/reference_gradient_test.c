/* The reference's gradient against finite differences of its own loss, for every kind of layer;
 * repeated images; parts; flags; refusals. */
#include "error.h"
#include "random.h"
#include "reference.h"
#include "test.h"

#include <math.h>

#define IMAGES 7
#define PARAMS_MAX 4000
#define GRID 0x1p-17 /* parameters and steps are exact in float32 */

static float images[IMAGES * 2 * 7 * 6];
static int32_t labels[IMAGES];
static float params[PARAMS_MAX];
static double statistics[64];
static const uint32_t order[] = {0, 1, 2, 3, 4, 5, 6};

static struct bm_model make_model(const char *layers, struct bm_shape shape) {
    struct bm_model model;
    struct bm_error error;
    TEST_CHECK_MSG(bm_model_parse("test", layers, shape, 3, &model, &error) == BM_STATUS_OK, "%s",
                   error.text);
    TEST_CHECK(bm_model_param_count(&model) <= PARAMS_MAX);
    return model;
}

/* Values on a grid of GRID, so that steps of it are exact. */
static float on_grid(struct bm_random *random, double scale) {
    return (float)(floor((2 * bm_random_double(random) - 1) * scale / GRID) * GRID);
}

static struct bm_data make_data(const struct bm_model *model, struct bm_random *random) {
    size_t units = (size_t)model->input.channels * model->input.height * model->input.width;
    for (size_t i = 0; i < IMAGES * units; i++) {
        images[i] = on_grid(random, 1);
    }
    for (size_t n = 0; n < IMAGES; n++) {
        labels[n] = (int32_t)bm_random_below(random, model->class_count);
    }
    return (struct bm_data){.size = sizeof(struct bm_data),
                            .type = BM_DATA_FLOAT32,
                            .count = IMAGES,
                            .images = images,
                            .labels = labels};
}

static struct bm_reference_request make_request(const struct bm_model *model,
                                                const struct bm_data *data) {
    return (struct bm_reference_request){.model = model,
                                         .data = data,
                                         .order = order,
                                         .count = IMAGES,
                                         .divisor = IMAGES,
                                         .update = 3,
                                         .seed = 11,
                                         .thread_count = 2,
                                         .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                         .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                         .params = params};
}

static struct bm_reference compute(const struct bm_reference_request *request) {
    struct bm_reference reference;
    struct bm_error error;
    int32_t status = bm_reference_gradient(request, &reference, &error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    return reference;
}

static double loss_at(const struct bm_reference_request *request, uint64_t i, double step) {
    float kept = params[i];
    params[i] = (float)((double)kept + step);
    TEST_CHECK((double)params[i] == (double)kept + step);
    struct bm_reference reference = compute(request);
    double loss = reference.loss;
    bm_reference_free(&reference);
    params[i] = kept;
    return loss;
}

/* Central differences with two steps, h^2 removed. */
static double difference(const struct bm_reference_request *request, uint64_t i) {
    double h = GRID;
    double near = (loss_at(request, i, h) - loss_at(request, i, -h)) / (2 * h);
    double far = (loss_at(request, i, 2 * h) - loss_at(request, i, -2 * h)) / (4 * h);
    return (4 * near - far) / 3;
}

static void check_differences(const char *layers, struct bm_shape shape, uint32_t flags) {
    struct bm_random random;
    bm_random_init(&random, 5, BM_RANDOM_CHECK, 0);
    struct bm_model model = make_model(layers, shape);
    struct bm_data data = make_data(&model, &random);
    uint64_t count = bm_model_param_count(&model);
    for (uint64_t i = 0; i < count; i++) {
        params[i] = on_grid(&random, 0.6);
    }
    struct bm_reference_request request = make_request(&model, &data);
    request.flags = flags;
    request.thread_count = 1; /* that of so little work takes longer to start than to do */
    struct bm_reference reference = compute(&request);
    double largest = 0;
    double size = 0;
    for (uint64_t i = 0; i<count; i += count> 150 ? 5 : 1) {
        double error = fabs(difference(&request, i) - reference.gradient[i]);
        TEST_CHECK_MSG(error < 2e-8, "%s: parameter %llu: difference %.12g, gradient %.12g", layers,
                       (unsigned long long)i, difference(&request, i), reference.gradient[i]);
        largest = fmax(largest, error);
        size = fmax(size, fabs(reference.gradient[i]));
    }
    TEST_CHECK(size > 1e-2);
    printf("%-60s %.1e of %.1e\n", layers, largest, size);
    bm_reference_free(&reference);
}

static const struct bm_shape vector_shape = {9, 1, 1};
static const struct bm_shape image_shape = {2, 7, 6};

static void test_differences(void) {
    check_differences("dense 3", vector_shape, 0);
    check_differences("dense 5, relu, dense 4, relu, dense 3", vector_shape, 0);
    check_differences("dense 5, batchnorm, relu, dense 3", vector_shape, 0);
    check_differences("dense 5, batchnorm, relu, dense 3", vector_shape, BM_SLICE_USE_RUNNING);
    check_differences("dense 8, dropout 0.5, dense 3", vector_shape, 0);
    check_differences("dense 8, dropout 0.5, dense 3", vector_shape, BM_SLICE_NO_DROPOUT);
    check_differences("conv 3 3x2 stride 2 pad 1, relu, dense 3", image_shape, 0);
    check_differences("conv 3 3x3 pad 1, maxpool 3 stride 2 pad 1, conv 2 2x2, relu, dense 3",
                      image_shape, 0);
    check_differences(
        "conv 3 3x3 pad 2, batchnorm, relu, maxpool 2, conv 2 2x2, batchnorm, dense 3", image_shape,
        0);
}

static void check_near(double found, double expected, const char *what) {
    TEST_CHECK_MSG(fabs(found - expected) <= 1e-13 * (1 + fabs(expected)),
                   "%s: expected %.17g, found %.17g", what, expected, found);
}

/* The same images once with repeated numbers and once with repeated copies of the data. */
static void check_repetition(const char *layers, uint32_t thread_count) {
    static const uint32_t repeated[] = {2, 0, 2, 2, 4, 0, 6};
    static float copied[IMAGES * 84];
    static int32_t copied_labels[IMAGES];
    struct bm_random random;
    bm_random_init(&random, 6, BM_RANDOM_CHECK, 0);
    struct bm_model model = make_model(layers, image_shape);
    struct bm_data data = make_data(&model, &random);
    bm_model_start(&model, 3, params);
    for (size_t n = 0; n < IMAGES; n++) {
        memcpy(copied + n * 84, images + repeated[n] * 84, 84 * sizeof(float));
        copied_labels[n] = labels[repeated[n]];
    }
    struct bm_data copies = data;
    copies.images = copied;
    copies.labels = copied_labels;
    struct bm_reference_request request = make_request(&model, &data);
    request.order = repeated;
    request.thread_count = thread_count;
    struct bm_reference once = compute(&request);
    request = make_request(&model, &copies);
    struct bm_reference all = compute(&request);
    double once_bound = 0;
    double all_bound = 0;
    check_near(once.loss, all.loss, "loss");
    for (uint64_t i = 0; i < once.param_count; i++) {
        check_near(once.gradient[i], all.gradient[i], "gradient");
        once_bound += once.bound[i];
        all_bound += all.bound[i];
    }
    /* Errors of copies are one error; the bounds are estimates. */
    TEST_CHECK_MSG(once_bound >= 0.7 * all_bound, "bounds %g and %g", once_bound, all_bound);
    for (uint64_t i = 0; i < once.statistics_count; i++) {
        check_near(once.statistics[i], all.statistics[i], "statistics");
    }
    bm_reference_free(&once);
    bm_reference_free(&all);
}

static void test_repetition(void) {
    check_repetition("dense 5, relu, dense 3", 1);
    check_repetition("conv 3 3x3 pad 1, batchnorm, relu, maxpool 3 stride 2, dense 3", 3);
}

/* One value per channel: only the shift has a gradient, and the running variance stays. */
static void test_single_value(void) {
    struct bm_random random;
    bm_random_init(&random, 7, BM_RANDOM_CHECK, 0);
    struct bm_model model = make_model("dense 5, batchnorm, dense 3", vector_shape);
    struct bm_data data = make_data(&model, &random);
    bm_model_start(&model, 3, params);
    struct bm_reference_request request = make_request(&model, &data);
    request.count = 1;
    struct bm_reference reference = compute(&request);
    for (uint64_t i = 0; i < 9 * 5 + 5 + 5; i++) { /* weight, bias, gain */
        TEST_CHECK(reference.gradient[i] == 0);
    }
    TEST_CHECK(reference.gradient[9 * 5 + 5 + 5] != 0);
    for (uint64_t c = 0; c < 5; c++) {
        TEST_CHECK(reference.statistics[c] != 0);
        TEST_CHECK(reference.statistics[5 + c] == 1);
    }
    bm_reference_free(&reference);
    for (uint32_t i = 0; i < 10; i++) {
        statistics[i] = 0.25 + i;
    }
    request.statistics = statistics;
    request.flags = BM_SLICE_KEEP_STATISTICS;
    reference = compute(&request);
    for (uint64_t i = 0; i < 10; i++) {
        TEST_CHECK(reference.statistics[i] == statistics[i]);
    }
    bm_reference_free(&reference);
}

/* Without batch norm in batch mode, evaluate and gradient see the same network. */
static void test_evaluate(void) {
    struct bm_random random;
    struct bm_error error;
    bm_random_init(&random, 8, BM_RANDOM_CHECK, 0);
    struct bm_model model =
        make_model("conv 3 3x3, batchnorm, relu, dropout 0.5, dense 3", image_shape);
    struct bm_data data = make_data(&model, &random);
    bm_model_start(&model, 3, params);
    for (uint32_t i = 0; i < 6; i++) {
        statistics[i] = 0.5 + 0.1 * i;
    }
    struct bm_reference_request request = make_request(&model, &data);
    request.statistics = statistics;
    request.flags = BM_SLICE_USE_RUNNING | BM_SLICE_NO_DROPOUT;
    request.order = order + 2;
    request.count = 4;
    request.divisor = 1;
    struct bm_reference reference = compute(&request);
    double loss = 0;
    uint64_t correct = 99;
    TEST_CHECK(bm_reference_evaluate(&model, &data, 2, 4, params, statistics, 2, &loss, &correct,
                                     &error) == BM_STATUS_OK);
    check_near(loss, reference.loss, "loss");
    TEST_CHECK(correct <= 4);
    bm_reference_free(&reference);
    /* Labels chosen as the answers make every answer right. */
    uint64_t right = 0;
    for (uint32_t n = 0; n < IMAGES; n++) {
        for (int32_t label = 0; label < 3 && right <= n; label++) {
            labels[n] = label;
            TEST_CHECK(bm_reference_evaluate(&model, &data, 0, n + 1, params, statistics, 1, &loss,
                                             &right, &error) == BM_STATUS_OK);
        }
    }
    TEST_CHECK(right == IMAGES);
}

static void test_refusals(void) {
    static const uint32_t outside[] = {IMAGES};
    struct bm_random random;
    struct bm_error error;
    struct bm_reference reference;
    bm_random_init(&random, 9, BM_RANDOM_CHECK, 0);
    struct bm_model model = make_model("dense 3", vector_shape);
    struct bm_data data = make_data(&model, &random);
    struct bm_reference_request request = make_request(&model, &data);
    labels[3] = 3;
    TEST_CHECK(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "label of image 3: expected 0 to 2, found 3");
    labels[3] = 0;
    request.order = outside;
    request.count = 1;
    TEST_CHECK(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected image numbers below 7, found 7");
    request.count = 0;
    TEST_CHECK(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_INVALID);
    TEST_CHECK(reference.gradient == NULL);
}

int main(void) {
    test_differences();
    test_repetition();
    test_single_value();
    test_evaluate();
    test_refusals();
    return 0;
}
