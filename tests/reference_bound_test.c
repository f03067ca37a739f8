/* The bound against an honest backend: a plain float32 step in several summation orders stays
 * inside, faults do not. */
#include "random.h"
#include "reference.h"
#include "test.h"

#include <math.h>

#define WIDE_MAX 784
#define LAYER_MAX 8
#define BATCH_MAX 64

/* ---- The naive step: dense, batch norm, relu; plain loops ---- */

#define ORDER_FORWARD 0
#define ORDER_BACKWARD 1
#define ORDER_BLOCKS 2
#define ORDER_FUSED 3
#define ORDER_COUNT 4

/* sum_k a[k * a_step] b[k * b_step] in float32. */
static float
inner(const float *a, size_t a_step, const float *b, size_t b_step, size_t count, int order) {
    float part[8] = {0};
    float sum = 0;
    for (size_t i = 0; i < count; i++) {
        size_t k = order == ORDER_BACKWARD ? count - 1 - i : i;
        if (order == ORDER_FUSED) {
            sum = fmaf(a[k * a_step], b[k * b_step], sum);
        } else if (order == ORDER_BLOCKS) {
            part[k % 8] += a[k * a_step] * b[k * b_step];
        } else {
            sum += a[k * a_step] * b[k * b_step];
        }
    }
    for (size_t i = 0; i < 8; i++) {
        sum += part[i];
    }
    return sum;
}

struct naive {
    const struct bm_model *model;
    const float *params;
    size_t batch;
    int order;
    float value[LAYER_MAX][BATCH_MAX * WIDE_MAX]; /* input of each layer */
    float mean[LAYER_MAX][WIDE_MAX];
    float inverse[LAYER_MAX][WIDE_MAX];
    float dy[BATCH_MAX * WIDE_MAX];
    float dx[BATCH_MAX * WIDE_MAX];
    float gradient[WIDE_MAX * 512 * 2];
    float statistics[4 * WIDE_MAX];
    float loss;
};

static struct naive naive;
static const float one = 1;

static size_t width_of(uint32_t layer) {
    return layer == 0 ? naive.model->input.channels : naive.model->output[layer - 1].channels;
}

static void norm_forward(uint32_t l, const float *gain, float *running) {
    size_t width = width_of(l);
    float count = (float)naive.batch;
    for (size_t c = 0; c < width; c++) {
        float variance = 0;
        float mean = inner(naive.value[l] + c, width, &one, 0, naive.batch, naive.order) / count;
        for (size_t n = 0; n < naive.batch; n++) {
            float d = naive.value[l][n * width + c] - mean;
            variance += d * d;
        }
        variance /= count;
        naive.mean[l][c] = mean;
        naive.inverse[l][c] = 1 / sqrtf(variance + 1e-5F);
        running[c] = 0.1F * mean;
        running[width + c] = 0.9F + 0.1F * (variance * count / (count - 1));
        for (size_t n = 0; n < naive.batch; n++) {
            float x = naive.value[l][n * width + c];
            naive.value[l + 1][n * width + c] =
                gain[c] * (x - mean) * naive.inverse[l][c] + gain[width + c];
        }
    }
}

static void forward(uint32_t l, const float *weight, float *running) {
    size_t in = width_of(l);
    size_t out = naive.model->output[l].channels;
    if (naive.model->layers[l].kind == BM_LAYER_BATCHNORM) {
        norm_forward(l, weight, running);
        return;
    }
    for (size_t i = 0; i < naive.batch * out; i++) {
        if (naive.model->layers[l].kind == BM_LAYER_DENSE) {
            naive.value[l + 1][i] =
                weight[in * out + i % out] +
                inner(naive.value[l] + i / out * in, 1, weight + i % out * in, 1, in, naive.order);
        } else {
            naive.value[l + 1][i] = naive.value[l][i] > 0 ? naive.value[l][i] : 0;
        }
    }
}

static void softmax(uint32_t l, const int32_t *labels) {
    size_t width = width_of(l);
    naive.loss = 0;
    for (size_t n = 0; n < naive.batch; n++) {
        const float *z = naive.value[l] + n * width;
        float most = z[0];
        float sum = 0;
        for (size_t j = 1; j < width; j++) {
            most = fmaxf(most, z[j]);
        }
        for (size_t j = 0; j < width; j++) {
            naive.dy[n * width + j] = expf(z[j] - most);
            sum += naive.dy[n * width + j];
        }
        for (size_t j = 0; j < width; j++) {
            float p = naive.dy[n * width + j] / sum;
            float target = j == (size_t)labels[n] ? 1.0f : 0.0f;
            naive.dy[n * width + j] = (p - target) / (float)naive.batch;
        }
        /* cppcheck-suppress invalidFunctionArg ; the largest logit alone adds exp(0) */
        naive.loss += logf(sum) - (z[labels[n]] - most);
    }
    naive.loss /= (float)naive.batch;
}

static void dense_backward(uint32_t l, const float *weight, float *to) {
    size_t in = width_of(l);
    size_t out = naive.model->output[l].channels;
    for (size_t i = 0; i < in * out; i++) {
        to[i] =
            inner(naive.dy + i / in, out, naive.value[l] + i % in, in, naive.batch, naive.order);
    }
    for (size_t o = 0; o < out; o++) {
        to[in * out + o] = inner(naive.dy + o, out, &one, 0, naive.batch, naive.order);
    }
    for (size_t i = 0; i < naive.batch * in; i++) {
        naive.dx[i] = inner(naive.dy + i / in * out, 1, weight + i % in, in, out, naive.order);
    }
    memcpy(naive.dy, naive.dx, naive.batch * in * sizeof(float));
}

static void norm_backward(uint32_t l, const float *gain, float *to) {
    size_t width = width_of(l);
    float normal[BATCH_MAX] = {0};
    for (size_t c = 0; c < width; c++) {
        for (size_t n = 0; n < naive.batch; n++) {
            normal[n] = (naive.value[l][n * width + c] - naive.mean[l][c]) * naive.inverse[l][c];
        }
        to[c] = inner(naive.dy + c, width, normal, 1, naive.batch, naive.order);
        to[width + c] = inner(naive.dy + c, width, &one, 0, naive.batch, naive.order);
        for (size_t n = 0; n < naive.batch; n++) {
            float *dy = &naive.dy[n * width + c];
            *dy = gain[c] * naive.inverse[l][c] *
                  (*dy - (to[width + c] + normal[n] * to[c]) / (float)naive.batch);
        }
    }
}

static void backward(uint32_t l, const float *weight, float *to) {
    if (naive.model->layers[l].kind == BM_LAYER_DENSE) {
        dense_backward(l, weight, to);
    } else if (naive.model->layers[l].kind == BM_LAYER_BATCHNORM) {
        norm_backward(l, weight, to);
    } else {
        for (size_t i = 0; i < naive.batch * width_of(l); i++) {
            naive.dy[i] = naive.value[l][i] > 0 ? naive.dy[i] : 0;
        }
    }
}

static size_t param_count_of(uint32_t l) {
    uint32_t kind = naive.model->layers[l].kind;
    size_t out = naive.model->output[l].channels;
    return kind == BM_LAYER_DENSE       ? (width_of(l) + 1) * out
           : kind == BM_LAYER_BATCHNORM ? 2 * out
                                        : 0;
}

static void run_naive(const float *images, const int32_t *labels, int order) {
    uint32_t last = naive.model->layer_count - 1;
    size_t at = 0;
    size_t statistics = 0;
    naive.order = order;
    memcpy(naive.value[0], images, naive.batch * width_of(0) * sizeof(float));
    for (uint32_t l = 0; l < last; l++) {
        forward(l, naive.params + at, naive.statistics + statistics);
        at += param_count_of(l);
        statistics += naive.model->layers[l].kind == BM_LAYER_BATCHNORM ? 2 * width_of(l) : 0;
    }
    softmax(last, labels);
    for (uint32_t l = last; l > 0; l--) {
        at -= param_count_of(l - 1);
        backward(l - 1, naive.params + at, naive.gradient + at);
    }
}

/* ---- Comparison ---- */

static float images[BATCH_MAX * WIDE_MAX];
static int32_t labels[BATCH_MAX];
static uint32_t numbers[BATCH_MAX];
static float params[WIDE_MAX * 512 * 2];

static double
ratio_of(const float *found, const double *expected, const double *bound, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)found[i] - expected[i]) / bound[i]);
    }
    return most;
}

static double gradient_ratio(const struct bm_reference *reference) {
    return ratio_of(naive.gradient, reference->gradient, reference->bound, reference->param_count);
}

static struct bm_reference prepare(
    struct bm_model *model, const char *layers, uint32_t inputs, size_t batch, double roundoff) {
    struct bm_error error;
    struct bm_random random;
    struct bm_shape shape = {inputs, 1, 1};
    TEST_CHECK(bm_model_parse("test", layers, shape, 10, model, &error) == BM_STATUS_OK);
    bm_random_init(&random, batch, BM_RANDOM_CHECK, 0);
    bm_model_start(model, 7, params);
    for (size_t i = 0; i < batch * inputs; i++) {
        images[i] = (float)(3 * bm_random_double(&random) - 1);
    }
    for (uint32_t n = 0; n < batch; n++) {
        labels[n] = (int32_t)bm_random_below(&random, 10);
        numbers[n] = n;
    }
    struct bm_data data = {sizeof data, BM_DATA_FLOAT32, batch, images, labels, NULL, NULL};
    struct bm_reference_request request = {.model = model,
                                           .data = &data,
                                           .order = numbers,
                                           .count = batch,
                                           .divisor = (double)batch,
                                           .update = 1,
                                           .thread_count = 2,
                                           .multiply_roundoff = roundoff,
                                           .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                           .params = params};
    struct bm_reference reference;
    TEST_CHECK(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_OK);
    naive.model = model;
    naive.params = params;
    naive.batch = batch;
    return reference;
}

static void check_honest(const char *layers, uint32_t inputs, size_t batch) {
    struct bm_model model;
    struct bm_reference reference = prepare(&model, layers, inputs, batch, BM_ROUNDOFF_FLOAT32);
    double most = 0;
    double loss = 0;
    double statistics = 0;
    for (int order = 0; order < ORDER_COUNT; order++) {
        run_naive(images, labels, order);
        most = fmax(most, gradient_ratio(&reference));
        loss = fmax(loss, fabs((double)naive.loss - reference.loss) / reference.loss_bound);
        statistics =
            fmax(statistics, ratio_of(naive.statistics, reference.statistics,
                                      reference.statistics_bound, reference.statistics_count));
    }
    printf("%s, batch %zu: largest error / bound: gradient %.3f, loss %.3f, statistics %.3f\n",
           layers, batch, most, loss, statistics);
    TEST_CHECK(most <= 1 && loss <= 1 && statistics <= 1);
    bm_reference_free(&reference);
}

#define MLP "dense 256, relu, dense 256, relu, dense 10"
#define NORMED "dense 64, batchnorm, relu, dense 64, batchnorm, relu, dense 10"

static void test_honest(void) {
    static const size_t batches[] = {1, 2, 7, 33, 64};
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        check_honest("dense 10", 784, batches[i]);
        check_honest("dense 30, relu, dense 10", 50, batches[i]);
        check_honest(MLP, 784, batches[i]);
        if (batches[i] > 2) {
            check_honest(NORMED, 100, batches[i]);
        }
    }
}

static void expect_wrong(const struct bm_reference *reference, const char *what) {
    double ratio = gradient_ratio(reference);
    printf("%s: error / bound %.3g\n", what, ratio);
    TEST_CHECK_MSG(ratio > 1, "%s is inside the bound: %.3g", what, ratio);
}

/* An element whose size is typical, away from those that a branch makes uncertain. */
static size_t typical(const struct bm_reference *reference, size_t first, size_t count) {
    double mean = 0;
    for (size_t i = first; i < first + count; i++) {
        mean += fabs(reference->gradient[i]) / (double)count;
    }
    for (size_t i = first + count / 3; i < first + count; i++) {
        if (fabs(reference->gradient[i]) > mean) {
            return i;
        }
    }
    return first;
}

static void test_mutants(const char *layers, uint32_t inputs, uint32_t units, size_t batch) {
    struct bm_model model;
    struct bm_reference reference = prepare(&model, layers, inputs, batch, BM_ROUNDOFF_FLOAT32);
    size_t count = reference.param_count;
    size_t bias = (size_t)inputs * units;
    run_naive(images, labels, ORDER_FORWARD);
    TEST_CHECK(gradient_ratio(&reference) <= 1);
    for (size_t i = 0; i < count; i++) { /* the divisor is off by one */
        naive.gradient[i] *= (float)batch / (float)(batch + 1);
    }
    expect_wrong(&reference, "divisor off by one");
    run_naive(images, labels, ORDER_FORWARD);
    size_t one_weight = typical(&reference, 0, bias);
    naive.gradient[one_weight] *= 1.01F;
    expect_wrong(&reference, "one weight off by 1 %");
    run_naive(images, labels, ORDER_FORWARD);
    memset(naive.gradient + count - 10, 0, 10 * sizeof(float));
    expect_wrong(&reference, "no bias gradient");
    run_naive(images, labels, ORDER_FORWARD);
    float kept = naive.gradient[1];
    naive.gradient[1] = naive.gradient[inputs];
    naive.gradient[inputs] = kept;
    expect_wrong(&reference, "two elements transposed");
    bm_reference_free(&reference);
}

/* relu'(x) = 1 at one unit of one image where x < 0: the images differ in one thing. */
static void test_relu_mutant(void) {
    struct bm_model model;
    struct bm_reference reference = prepare(&model, MLP, 784, 33, BM_ROUNDOFF_FLOAT32);
    run_naive(images, labels, ORDER_FORWARD);
    size_t at = 0;
    while (naive.value[1][at] > -0.1F) {
        at++;
    }
    /* The unit's row of the first weight gets dy x of that image, of the size of 1 / batch. */
    size_t unit = at % 256;
    for (size_t i = 0; i < 784; i++) {
        naive.gradient[unit * 784 + i] += 0.05F / 33 * images[at / 256 * 784 + i];
    }
    expect_wrong(&reference, "relu derivative at one unit of one image");
    bm_reference_free(&reference);
}

static void test_statistics_mutant(void) {
    struct bm_model model;
    struct bm_reference reference = prepare(&model, NORMED, 100, 33, BM_ROUNDOFF_FLOAT32);
    run_naive(images, labels, ORDER_FORWARD);
    naive.statistics[64 + 3] = 1;
    TEST_CHECK(ratio_of(naive.statistics, reference.statistics, reference.statistics_bound,
                        reference.statistics_count) > 1);
    bm_reference_free(&reference);
}

/* Rounded operands widen the bound about as much as their roundoff. */
static void test_precision(void) {
    struct bm_model model;
    struct bm_reference exact = prepare(&model, MLP, 784, 7, BM_ROUNDOFF_FLOAT32);
    struct bm_reference rounded = prepare(&model, MLP, 784, 7, BM_ROUNDOFF_BF16);
    double most = 0;
    for (uint64_t i = 0; i < exact.param_count; i++) {
        TEST_CHECK(rounded.bound[i] >= exact.bound[i]);
        most = fmax(most, rounded.bound[i] / fmax(exact.bound[i], 1e-12));
    }
    TEST_CHECK(most > 100);
    bm_reference_free(&exact);
    bm_reference_free(&rounded);
}

int main(void) {
    test_honest();
    test_mutants(MLP, 784, 256, 33);
    test_mutants("dense 30, relu, dense 10", 50, 30, 7);
    test_relu_mutant();
    test_statistics_mutant();
    test_precision();
    return 0;
}
