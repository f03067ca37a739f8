/* The reference's float32 mode is an honest backend: inside the reference's own bound, as far from
 * float64 as float32 is, other bits for another seed, the same for any number of threads. */
#include "data.h"
#include "random.h"
#include "reference.h"
#include "test.h"

#include <math.h>

#define IMAGES 150u
#define SEEDS 8u

static struct bm_dataset dataset;
static struct bm_model model;
static float *params;
static uint32_t order[IMAGES];

static void prepare(const char *layers) {
    struct bm_error error;
    TEST_CHECK_MSG(bm_model_parse("test", layers, dataset.shape, dataset.class_count, &model,
                                  &error) == BM_STATUS_OK,
                   "%s", error.text);
    params = malloc(bm_model_param_count(&model) * sizeof *params);
    TEST_CHECK(params != NULL);
    bm_model_start(&model, 4, params);
}

static struct bm_reference_request make_request(void) {
    return (struct bm_reference_request){.model = &model,
                                         .data = &dataset.split[BM_SPLIT_TRAIN],
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
    TEST_CHECK_MSG(bm_reference_gradient(request, &reference, &error) == BM_STATUS_OK, "%s",
                   error.text);
    return reference;
}

static double distance(const double *a, const double *b, uint64_t count) {
    double difference = 0;
    double size = 0;
    for (uint64_t i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return sqrt(difference / size);
}

static void check_inside(const struct bm_reference *found, const struct bm_reference *exact) {
    for (uint64_t i = 0; i < exact->param_count; i++) {
        TEST_CHECK_MSG(fabs(found->gradient[i] - exact->gradient[i]) <= exact->bound[i],
                       "gradient %llu: %.9g, expected %.9g +- %.1e", (unsigned long long)i,
                       found->gradient[i], exact->gradient[i], exact->bound[i]);
        TEST_CHECK((double)(float)found->gradient[i] == found->gradient[i]);
    }
    for (uint64_t i = 0; i < exact->statistics_count; i++) {
        TEST_CHECK(fabs(found->statistics[i] - exact->statistics[i]) <= exact->statistics_bound[i]);
        TEST_CHECK((double)(float)found->statistics[i] == found->statistics[i]);
    }
    TEST_CHECK(fabs(found->loss - exact->loss) <= exact->loss_bound);
}

static int same_bits(const struct bm_reference *a, const struct bm_reference *b) {
    return memcmp(a->gradient, b->gradient, a->param_count * sizeof(double)) == 0 &&
           memcmp(a->statistics, b->statistics, a->statistics_count * sizeof(double)) == 0 &&
           memcmp(&a->loss, &b->loss, sizeof(double)) == 0;
}

/* Every seed, and its bits with one thread and with three. */
static void check_seeds(const struct bm_reference *exact, const char *layers) {
    struct bm_reference before = {0};
    double least = HUGE_VAL;
    double most = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct bm_reference_request request = make_request();
        request.rounding = seed;
        struct bm_reference found = compute(&request);
        check_inside(&found, exact);
        double error = distance(found.gradient, exact->gradient, exact->param_count);
        least = fmin(least, error);
        most = fmax(most, error);
        TEST_CHECK(seed == 1 || !same_bits(&found, &before));
        request.thread_count = seed % 2 == 0 ? 1 : 3;
        struct bm_reference again = compute(&request);
        TEST_CHECK(same_bits(&found, &again));
        bm_reference_free(&again);
        bm_reference_free(&before);
        before = found;
    }
    bm_reference_free(&before);
    printf("%.1e .. %.1e  %s\n", least, most, layers);
    TEST_CHECK(least > 2e-8 && most < 3e-6);
}

static void check_network(const char *layers, uint32_t flags) {
    prepare(layers);
    struct bm_reference_request request = make_request();
    request.thread_count = 1;
    request.flags = flags;
    struct bm_reference exact = compute(&request);
    if (flags == 0) {
        check_seeds(&exact, layers);
    }
    request.rounding = 5;
    struct bm_reference found = compute(&request);
    check_inside(&found, &exact);
    bm_reference_free(&found);
    request.rounding = 0;
    request.no_bound = 1;
    found = compute(&request);
    TEST_CHECK(same_bits(&found, &exact));
    TEST_CHECK(found.bound[0] == 0 && found.loss_bound == 0);
    bm_reference_free(&found);
    bm_reference_free(&exact);
    free(params);
}

/* Sums depend on the update as well, and parameters may be given as doubles. */
static void test_updates_and_doubles(void) {
    prepare("dense 30, relu, dense 10");
    uint64_t count = bm_model_param_count(&model);
    struct bm_reference_request request = make_request();
    request.rounding = 2;
    struct bm_reference third = compute(&request);
    request.update = 4;
    struct bm_reference fourth = compute(&request);
    TEST_CHECK(!same_bits(&third, &fourth));
    double *wide = malloc(count * sizeof *wide);
    TEST_CHECK(wide != NULL);
    for (uint64_t i = 0; i < count; i++) {
        wide[i] = (double)params[i];
    }
    request.params = NULL;
    request.wide_params = wide;
    struct bm_reference again = compute(&request);
    TEST_CHECK(same_bits(&again, &fourth));
    bm_reference_free(&again);
    bm_reference_free(&fourth);
    bm_reference_free(&third);
    free(wide);
    free(params);
}

/* The loss of one image is a float32. */
static void test_loss(void) {
    prepare("dense 30, relu, dense 10");
    struct bm_reference_request request = make_request();
    request.rounding = 2;
    request.count = 1;
    request.divisor = 1;
    struct bm_reference found = compute(&request);
    TEST_CHECK((double)(float)found.loss == found.loss);
    bm_reference_free(&found);
    free(params);
}

/* A contrary run differs from a plain one where a pre-activation is inside the reach, and only
 * there: here one unit's bias puts the first image's at half a reach. */
static void test_contrary(void) {
    struct bm_reference_branches branches;
    struct bm_error error;
    prepare("dense 6, relu, dense 10");
    TEST_CHECK(bm_reference_branches_open(&branches, &model, IMAGES, &error) == BM_STATUS_OK);
    struct bm_reference_request request = make_request();
    request.no_bound = 1;
    request.branches = &branches;
    struct bm_reference exact = compute(&request);
    uint64_t bias = (uint64_t)dataset.shape.height * dataset.shape.width * 6;
    params[bias] -= (float)branches.exact[1][0];
    bm_reference_free(&exact);
    exact = compute(&request);
    request.rounding = 1;
    struct bm_reference plain = compute(&request);
    double values = (double)branches.images * 3;
    for (uint32_t mode = BM_BRANCHES_MEASURE; mode <= BM_BRANCHES_CONTRARY; mode++) {
        branches.mode = mode;
        for (request.rounding = 1; mode == BM_BRANCHES_MEASURE && request.rounding <= 3;
             request.rounding++) {
            struct bm_reference measured = compute(&request);
            bm_reference_free(&measured);
        }
        request.rounding = 1;
    }
    TEST_CHECK((double)branches.measured[1] == values);
    double reach = BM_REFERENCE_BRANCH_LAMBDA * sqrt(branches.square[1][0] / values);
    TEST_CHECK(reach > 1e-8 && reach < 1e-5 && fabs(branches.exact[1][0]) < reach);
    struct bm_reference contrary = compute(&request);
    double error_of = distance(contrary.gradient, plain.gradient, plain.param_count);
    printf("contrary: %.1e\n", error_of);
    TEST_CHECK(error_of > 1e-4);
    bm_reference_free(&contrary);
    params[bias] += 1; /* far from 0 */
    contrary = compute(&request);
    request.branches = NULL;
    bm_reference_free(&plain);
    plain = compute(&request);
    TEST_CHECK(same_bits(&contrary, &plain));
    bm_reference_free(&contrary);
    bm_reference_free(&plain);
    bm_reference_free(&exact);
    bm_reference_branches_close(&branches);
    free(params);
}

int main(void) {
    struct bm_error error;
    const struct bm_data_synthetic synthetic = {
        .shape = {1, 14, 14}, .class_count = 10, .train_count = 200, .test_count = 1, .seed = 3};
    TEST_CHECK_MSG(bm_dataset_open("synthetic", NULL, &synthetic, &dataset, &error) == BM_STATUS_OK,
                   "%s", error.text);
    bm_random_permutation(1, 0, order, IMAGES);
    order[7] = order[3]; /* repeated images are repeated */
    check_network("dense 300, relu, dense 40, relu, dense 10", 0);
    check_network("dense 64, batchnorm, relu, dropout 0.4, dense 10", 0);
    check_network("conv 6 3x3 pad 1, batchnorm, relu, maxpool 3 stride 2, conv 20 3x3 stride 2, "
                  "relu, dropout 0.3, dense 10",
                  0);
    check_network("dense 20, batchnorm, relu, dropout 0.4, dense 10", BM_SLICE_USE_RUNNING);
    test_updates_and_doubles();
    test_loss();
    test_contrary();
    bm_dataset_close(&dataset);
    return 0;
}
