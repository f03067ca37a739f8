/* The gradient noise scale: cases by hand, made gradients whose scale is known, and a session's
 * gradients against the same taken one by one. */
#include "noise.h"
#include "random.h"
#include "session.h"
#include "test.h"
#include "test_bench.h"

#include <math.h>

#define PARAMS_MAX 64u
#define SLICES_MAX 64u

static void check_close(double found, double expected, double tolerance) {
    TEST_CHECK_MSG(fabs(found - expected) <= tolerance * fabs(expected),
                   "found %.17g, expected %.17g", found, expected);
}

/* ---- From gradients ---- */

/* gradients: [slices][params], of `left_out` (none: slices) all but that one. */
static void estimate(const double *gradients,
                     uint32_t params,
                     uint32_t slices,
                     uint32_t left_out,
                     uint64_t images,
                     struct bm_noise *noise) {
    double squares[SLICES_MAX] = {0};
    double products[SLICES_MAX] = {0};
    double sum[PARAMS_MAX] = {0};
    uint32_t count = slices - (left_out < slices);
    uint32_t next = 0;
    TEST_CHECK(params <= PARAMS_MAX && slices <= SLICES_MAX);
    for (uint32_t i = 0; i < slices; i++) {
        for (uint32_t p = 0; p < params && i != left_out; p++) {
            sum[p] += gradients[i * params + p];
        }
    }
    for (uint32_t i = 0; i < slices; i++) {
        for (uint32_t p = 0; p < params && i != left_out; p++) {
            const double value = gradients[i * params + p];
            squares[next] += value * value;
            products[next] += value * (sum[p] / count);
        }
        next += i != left_out;
    }
    bm_noise_estimate(squares, products, count, images, noise);
}

static void
estimate_numbers(const double *numbers, uint32_t slices, uint64_t images, struct bm_noise *noise) {
    estimate(numbers, 1, slices, slices, images, noise);
    TEST_CHECK(noise->slices == slices && noise->images == images);
}

/* ---- By hand ---- */

/* 3 and 1: mean 2, mean square 5. |G|^2 = (2 4 - 5) / 1, S = 4 2 / 1 (5 - 4). */
static void test_two_numbers(void) {
    const double numbers[] = {3, 1};
    struct bm_noise noise;
    estimate_numbers(numbers, 2, 4, &noise);
    TEST_CHECK(noise.gradient2 == 3 && noise.trace == 8);
    check_close(noise.scale, 8.0 / 3, 1e-15);
    TEST_CHECK(isnan(noise.low) && isnan(noise.high));
    TEST_CHECK_STR(noise.reason, "so few slices give no interval");
}

/* 1, 2 and 6: mean 3, mean square 41/3; S is 10 times their variance, 7. */
static void test_three_numbers(void) {
    const double numbers[] = {1, 2, 6};
    struct bm_noise noise;
    estimate_numbers(numbers, 3, 10, &noise);
    check_close(noise.gradient2, 20.0 / 3, 1e-15);
    check_close(noise.trace, 70, 1e-15);
    check_close(noise.scale, 10.5, 1e-15);
}

/* (1, 0) and (0, 1): mean square of the mean 1/2, mean of the squares 1. |G|^2 = 2/2 - 1 = 0. */
static void test_orthogonal(void) {
    const double vectors[] = {1, 0, 0, 1};
    struct bm_noise noise;
    estimate(vectors, 2, 2, 2, 3, &noise);
    TEST_CHECK(noise.gradient2 == 0 && noise.trace == 3);
    TEST_CHECK(isnan(noise.scale) && isnan(noise.low) && isnan(noise.high));
    TEST_CHECK_STR(noise.reason, "the gradient does not stand out from the noise");
}

/* In fractions, with t = 2.364624: 501/14, 24/7, and the jackknife of log B. */
static void test_closed_interval(void) {
    const double numbers[] = {5, 7, 6, 8, 4, 6, 7, 5};
    struct bm_noise noise;
    estimate_numbers(numbers, 8, 2, &noise);
    check_close(noise.gradient2, 501.0 / 14, 1e-14);
    check_close(noise.trace, 24.0 / 7, 1e-13);
    check_close(noise.scale, 16.0 / 167, 1e-13);
    check_close(noise.low, 0.02867762587502388, 5e-5);
    check_close(noise.high, 0.3200838987797093, 5e-5);
    TEST_CHECK(noise.reason == NULL);
}

static void test_too_few_for_an_interval(void) {
    const double numbers[] = {5, 7, 6, 8, 4, 6, 7};
    struct bm_noise noise;
    estimate_numbers(numbers, 7, 2, &noise);
    TEST_CHECK(noise.scale > 0 && isnan(noise.low) && isnan(noise.high));
    TEST_CHECK_STR(noise.reason, "so few slices give no interval");
}

/* |G|^2 is above 0, but not by its error: the lower limit is that of 1 / B. */
static void test_open_interval(void) {
    const double numbers[] = {1, 4, -1, 2, 0, 3, 1, 2};
    struct bm_noise noise;
    estimate_numbers(numbers, 8, 2, &noise);
    check_close(noise.gradient2, 27.0 / 14, 1e-13);
    check_close(noise.trace, 36.0 / 7, 1e-13);
    check_close(noise.scale, 8.0 / 3, 1e-13);
    check_close(noise.low, 0.6195677463247095, 5e-5);
    TEST_CHECK(isnan(noise.high));
    TEST_CHECK_STR(noise.reason, "so few images set no upper limit");
}

/* |G|^2 = -9/28 is no length: no scale, but the scale is not below this. */
static void test_hidden_gradient(void) {
    const double numbers[] = {1, -1, 2, -2, 1, -1, 3, -1};
    struct bm_noise noise;
    estimate_numbers(numbers, 8, 2, &noise);
    check_close(noise.gradient2, -9.0 / 28, 1e-13);
    check_close(noise.trace, 43.0 / 7, 1e-13);
    TEST_CHECK(isnan(noise.scale) && isnan(noise.high));
    check_close(noise.low, 13.753395605434902, 5e-5);
    TEST_CHECK_STR(noise.reason, "the gradient does not stand out from the noise");
}

/* ---- Degenerate ---- */

static void test_equal_gradients(void) {
    double vectors[SLICES_MAX * 3];
    for (uint32_t i = 0; i < SLICES_MAX * 3; i++) {
        vectors[i] = (double)(const float[]){0.1f, -0.7f, 1e-3f}[i % 3];
    }
    for (uint32_t slices = 2; slices <= SLICES_MAX; slices++) {
        struct bm_noise noise;
        estimate(vectors, 3, slices, slices, 5, &noise);
        TEST_CHECK(noise.trace == 0 && noise.scale == 0 && noise.gradient2 > 0.5);
        TEST_CHECK(slices < 8 || (noise.low == 0 && noise.high == 0 && noise.reason == NULL));
        TEST_CHECK(slices >= 8 || (isnan(noise.high) && noise.reason != NULL));
    }
}

/* Rounding may put the mean square of the mean above the mean of the squares: no negative trace. */
static void test_rounding(void) {
    const double squares[] = {1, 1, 1, 1, 1, 1, 1, 1};
    const double products[] = {1, 1 + 1e-12, 1, 1, 1, 1, 1, 1};
    struct bm_noise noise;
    bm_noise_estimate(squares, products, 8, 1, &noise);
    TEST_CHECK(noise.trace == 0 && noise.scale == 0 && noise.low == 0 && noise.high == 0);
}

static void test_zero_gradients(void) {
    const double numbers[10] = {0};
    struct bm_noise noise;
    estimate_numbers(numbers, 10, 5, &noise);
    TEST_CHECK(noise.gradient2 == 0 && noise.trace == 0);
    TEST_CHECK(isnan(noise.scale) && isnan(noise.low) && isnan(noise.high));
    TEST_CHECK_STR(noise.reason, "all gradients are zero");
}

/* Seven equal slices and another: without that one there is no noise to compare with. */
static void test_one_other(void) {
    const double numbers[] = {1, 1, 1, 1, 1, 1, 1, 2};
    struct bm_noise noise;
    estimate_numbers(numbers, 8, 1, &noise);
    TEST_CHECK(noise.trace == 0.125 && isfinite(noise.scale));
    TEST_CHECK(isnan(noise.low) && isnan(noise.high) && noise.reason != NULL);
}

static void test_not_finite(void) {
    const double bad[] = {(double)NAN, (double)INFINITY};
    for (size_t i = 0; i < 2; i++) {
        double numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
        struct bm_noise noise;
        numbers[i * 5] = bad[i];
        estimate_numbers(numbers, 8, 5, &noise);
        TEST_CHECK(isnan(noise.gradient2) && isnan(noise.trace) && isnan(noise.scale));
        TEST_CHECK(isnan(noise.low) && isnan(noise.high));
        TEST_CHECK_STR(noise.reason, "a gradient is not finite");
    }
}

/* ---- Made gradients ---- */

/* Box and Muller, without the second of the pair. */
static double gaussian(struct bm_random *random) {
    double radius = sqrt(-2 * log(1 - bm_random_double(random)));
    return radius * cos(2 * acos(-1.0) * bm_random_double(random));
}

/* Slices of `images` images, G = (1, ..., 1) / sqrt(params), independent noise in each parameter
 * with variances falling as 1 / (1 + p) that add up to `trace` an image. */
static void make_gradients(uint32_t seed,
                           uint32_t params,
                           uint32_t slices,
                           uint64_t images,
                           double trace,
                           double *gradients) {
    struct bm_random random;
    double sum = 0;
    bm_random_init(&random, 11, BM_RANDOM_DATA, seed);
    for (uint32_t p = 0; p < params; p++) {
        sum += 1.0 / (1 + p);
    }
    for (uint32_t i = 0; i < slices; i++) {
        for (uint32_t p = 0; p < params; p++) {
            double variance = trace / (sum * (1 + p) * (double)images);
            gradients[i * params + p] =
                1 / sqrt((double)params) + sqrt(variance) * gaussian(&random);
        }
    }
}

/* The interval from first principles: slices are left out of the gradients themselves. */
static void test_jackknife(void) {
    const double t = 2.131449545559323; /* 15 degrees of freedom */
    static double gradients[16 * 20];
    double mean = 0;
    double sum = 0;
    double logs[16];
    struct bm_noise noise;
    make_gradients(0, 20, 16, 4, 20, gradients);
    for (uint32_t i = 0; i < 16; i++) {
        estimate(gradients, 20, 16, i, 4, &noise);
        logs[i] = log(noise.scale);
        mean += logs[i] / 16;
    }
    for (uint32_t i = 0; i < 16; i++) {
        sum += (logs[i] - mean) * (logs[i] - mean);
    }
    estimate(gradients, 20, 16, 16, 4, &noise);
    TEST_CHECK(noise.reason == NULL && noise.slices == 16);
    check_close(log(noise.high / noise.scale), t * sqrt(sum * 15 / 16), 2e-6);
    check_close(noise.scale / noise.low, noise.high / noise.scale, 1e-12);
}

#define SEEDS 500

struct tally {
    int closed;
    int held;         /* the true scale, by what was given */
    double gradient2; /* mean, and mean of the squares */
    double gradient2_2;
    double trace;
    double trace_2;
};

/* `share` is K b / B: how far so many images are above the noise. */
static struct tally run_seeds(uint32_t params, uint32_t slices, double share) {
    static double gradients[SLICES_MAX * PARAMS_MAX];
    const uint64_t images = 32;
    const double scale = (double)(slices * images) / share;
    struct tally tally = {0};
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct bm_noise noise;
        make_gradients(seed, params, slices, images, scale, gradients);
        estimate(gradients, params, slices, slices, images, &noise);
        TEST_CHECK(isnan(noise.high) == (noise.reason != NULL));
        TEST_CHECK(isnan(noise.scale) == (noise.gradient2 <= 0));
        TEST_CHECK(isnan(noise.high) || (noise.low < noise.scale && noise.scale < noise.high));
        tally.closed += !isnan(noise.high);
        tally.held += !(noise.low > scale) && !(noise.high < scale);
        tally.gradient2 += noise.gradient2 / SEEDS;
        tally.gradient2_2 += noise.gradient2 * noise.gradient2 / SEEDS;
        tally.trace += noise.trace / SEEDS;
        tally.trace_2 += noise.trace * noise.trace / SEEDS;
    }
    return tally;
}

/* The mean over seeds is the true value but for 4 of its standard errors: neither number has a
 * bias. */
static void check_unbiased(double mean, double mean_of_squares, double expected) {
    double error = sqrt((mean_of_squares - mean * mean) / SEEDS);
    TEST_CHECK_MSG(fabs(mean - expected) < 4 * error, "mean %g +- %g, expected %g", mean, error,
                   expected);
}

static void check_coverage(const struct tally *tally, double least, double most) {
    double held = (double)tally->held / SEEDS;
    TEST_CHECK_MSG(held >= least && held <= most, "%g of the seeds, expected %g to %g", held, least,
                   most);
}

/* 95 % nominal: 0.92 and 0.985 are 3 standard deviations of 500 seeds away, and a little. */
static void test_known_scale(void) {
    static const struct {
        uint32_t params;
        uint32_t slices;
        double share;
    } cases[] = {{5, 16, 40}, {64, 8, 20}, {64, 16, 10}, {64, 32, 40}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tally tally = run_seeds(cases[i].params, cases[i].slices, cases[i].share);
        TEST_CHECK_MSG(tally.closed >= 0.98 * SEEDS, "%d closed", tally.closed);
        check_coverage(&tally, 0.92, 0.985);
        check_unbiased(tally.gradient2, tally.gradient2_2, 1);
        check_unbiased(tally.trace, tally.trace_2, cases[i].slices * 32.0 / cases[i].share);
    }
}

/* A third of the images that the scale asks for: it stays open, and the lower limit is one. */
static void test_unresolved_scale(void) {
    struct tally tally = run_seeds(64, 16, 0.3);
    TEST_CHECK_MSG(tally.closed < 0.1 * SEEDS, "%d closed", tally.closed);
    check_coverage(&tally, 0.92, 1);
    check_unbiased(tally.gradient2, tally.gradient2_2, 1);
}

/* ---- A session ---- */

static const char plain[] = "dense 9, relu, dense 4";
static const char rich[] = "dense 9, batchnorm, relu, dropout 0.5, dense 4";

static struct bm_test_bench *open_bench(const char *layers) {
    const struct bm_test_bench_spec spec = {.layers = layers,
                                            .input = {1, 5, 5},
                                            .image_count = 120,
                                            .optimizer = BM_OPTIMIZER_MOMENTUM,
                                            .batch = 20,
                                            .micro_batch = 12};
    struct bm_test_bench *test = bm_test_bench_create(bm_test_plugin("scalar"), &spec);
    test->bench.flags = 0;
    return test;
}

static void update(struct bm_test_bench *test, int count) {
    for (int i = 0; i < count; i++) {
        TEST_CHECK_MSG(bm_bench_update(&test->bench, &test->error) == BM_STATUS_OK, "%s",
                       test->error.text);
    }
}

/* One gradient of order[first .. first + count) by the plugin's own calls, in parts of 12. */
static void take_one(struct bm_test_bench *test, uint64_t first, uint64_t count, float *gradient) {
    struct bm_bench *bench = &test->bench;
    for (uint64_t done = 0; done < count; done += 12) {
        struct bm_slice slice = bm_test_slice(first + done, count - done < 12 ? count - done : 12,
                                              BM_SLICE_KEEP_STATISTICS | BM_SLICE_NO_DROPOUT |
                                                  (done > 0 ? BM_SLICE_ACCUMULATE : 0),
                                              1);
        slice.divisor = (double)count;
        TEST_CHECK(bench->plugin->gradient(bench->session, &slice, &test->error) == BM_STATUS_OK);
    }
    TEST_CHECK(bench->plugin->read_gradient(bench->session, gradient, bench->param_count,
                                            &test->error) == BM_STATUS_OK);
}

static void expect_estimate(struct bm_test_bench *test,
                            uint64_t first,
                            uint64_t images,
                            uint32_t slices,
                            struct bm_noise *expected) {
    const uint64_t params = test->bench.param_count;
    float *gradients = calloc(params * slices, sizeof *gradients);
    double squares[SLICES_MAX] = {0};
    double products[SLICES_MAX] = {0};
    TEST_CHECK(gradients != NULL && slices <= SLICES_MAX);
    for (uint32_t i = 0; i < slices; i++) {
        take_one(test, first + i * images, images, gradients + i * params);
    }
    for (uint64_t p = 0; p < params; p++) {
        double mean = 0;
        for (uint32_t i = 0; i < slices; i++) {
            mean += (double)gradients[i * params + p] / slices;
        }
        for (uint32_t i = 0; i < slices; i++) {
            double value = (double)gradients[i * params + p];
            squares[i] += value * value;
            products[i] += value * mean;
        }
    }
    bm_noise_estimate(squares, products, slices, images, expected);
    free(gradients);
}

static void
check_noise(struct bm_test_bench *test, uint64_t first, uint64_t images, uint32_t slices) {
    struct bm_noise expected;
    struct bm_noise found;
    expect_estimate(test, first, images, slices, &expected);
    TEST_CHECK_MSG(bm_noise_measure(&test->bench, first, images, slices, &found, &test->error) ==
                       BM_STATUS_OK,
                   "%s", test->error.text);
    TEST_CHECK(found.slices == slices && found.images == images);
    TEST_CHECK(found.trace > 0);
    check_close(found.gradient2, expected.gradient2, 1e-9);
    check_close(found.trace, expected.trace, 1e-9);
    TEST_CHECK(found.reason == expected.reason);
    TEST_CHECK(isnan(found.scale) == isnan(expected.scale) &&
               isnan(found.low) == isnan(expected.low));
    if (!isnan(found.low)) {
        check_close(found.low, expected.low, 1e-9);
    }
}

/* Slices of one image, of less and of more than the session takes at once, and of the whole order.
 */
static void test_gradients(const char *layers) {
    struct bm_test_bench *test = open_bench(layers);
    check_noise(test, 0, 12, 10);
    check_noise(test, 7, 14, 8);
    update(test, 4);
    check_noise(test, 3, 5, 3);
    check_noise(test, 60, 1, 60);
    check_noise(test, 0, 60, 2);
    bm_test_bench_destroy(test);
}

struct state {
    float params[512];
    float momentum[512];
    float statistics[64];
};

static void read_all(struct bm_test_bench *test, struct state *state) {
    struct bm_bench *bench = &test->bench;
    memset(state, 0, sizeof *state);
    TEST_CHECK(bench->param_count <= 512 && bench->statistics_count <= 64);
    TEST_CHECK(bm_bench_read_params(bench, state->params, &test->error) == BM_STATUS_OK);
    TEST_CHECK(bm_bench_read_state(bench, 0, state->momentum, bench->param_count, &test->error) ==
               BM_STATUS_OK);
    TEST_CHECK(bm_bench_read_state(bench, BM_STATE_STATISTICS, state->statistics,
                                   bench->statistics_count, &test->error) == BM_STATUS_OK);
}

/* A training that is measured in between goes the way of one that is not. */
static void test_leaves_no_trace(void) {
    static struct state before;
    static struct state after;
    struct bm_test_bench *one = open_bench(rich);
    struct bm_test_bench *other = open_bench(rich);
    struct bm_noise noise;
    update(one, 3);
    update(other, 3);
    read_all(one, &before);
    TEST_CHECK(bm_noise_measure(&one->bench, 10, 13, 8, &noise, &one->error) == BM_STATUS_OK);
    read_all(one, &after);
    TEST_CHECK(memcmp(&before, &after, sizeof before) == 0);
    TEST_CHECK(one->bench.first == 60 && one->bench.update == 4 && one->bench.flags == 0);
    update(one, 4);
    update(other, 4);
    read_all(one, &after);
    read_all(other, &before);
    TEST_CHECK(memcmp(&before, &after, sizeof before) == 0);
    bm_test_bench_destroy(one);
    bm_test_bench_destroy(other);
}

static void expect_refused(struct bm_test_bench *test,
                           uint64_t first,
                           uint64_t images,
                           uint32_t slices,
                           const char *part) {
    struct bm_noise noise;
    TEST_CHECK(bm_noise_measure(&test->bench, first, images, slices, &noise, &test->error) ==
               BM_STATUS_INVALID);
    TEST_CONTAINS(test->error.text, part);
}

static int32_t
failing_read(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    static int calls = 0;
    (void)session;
    memset(values, 0, count * sizeof *values);
    error->code = BM_STATUS_DEVICE_LOST;
    (void)snprintf(error->text, sizeof error->text, "gone");
    return ++calls == 3 ? BM_STATUS_DEVICE_LOST : BM_STATUS_OK;
}

static void test_refusals(void) {
    struct bm_test_bench *test = open_bench(plain);
    struct bm_plugin failing = *test->bench.plugin;
    struct bm_noise noise;
    update(test, 1);
    expect_refused(test, 0, 10, 1, "expected at least 2 slices, found 1");
    expect_refused(test, 0, 0, 4, "expected 1 to 30 images in each of 4 slices");
    expect_refused(test, 0, 31, 4, "found 31");
    expect_refused(test, 1, 30, 4, "the order's last 119, found 30");
    expect_refused(test, 120, 1, 4, "last 0");
    expect_refused(test, UINT64_MAX, 1, 4, "last 0");
    expect_refused(test, 0, UINT64_MAX / 2 + 1, 2, "expected 1 to 60");
    failing.read_gradient = failing_read;
    test->bench.plugin = &failing;
    TEST_CHECK(bm_noise_measure(&test->bench, 40, 10, 4, &noise, &test->error) ==
               BM_STATUS_DEVICE_LOST);
    TEST_CHECK_STR(test->error.text, "gone");
    TEST_CHECK(test->bench.first == 20 && test->bench.update == 2 && test->bench.flags == 0);
    bm_test_bench_destroy(test);
}

int main(void) {
    test_two_numbers();
    test_three_numbers();
    test_orthogonal();
    test_closed_interval();
    test_too_few_for_an_interval();
    test_open_interval();
    test_hidden_gradient();
    test_equal_gradients();
    test_rounding();
    test_zero_gradients();
    test_one_other();
    test_not_finite();
    test_jackknife();
    test_known_scale();
    test_unresolved_scale();
    test_gradients(plain);
    test_gradients(rich);
    test_leaves_no_trace();
    test_refusals();
    return 0;
}
