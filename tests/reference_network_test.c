/* The bound of deep networks with batch norm, convolutions and overlapping pooling: plain float32
 * steps in several summation orders stay inside, faults of a convolution or a pooling do not. */
#include "random.h"
#include "reference.h"
#include "test.h"

#include <math.h>

#define LAYER_MAX 24
#define BATCH_MAX 64
#define UNITS_MAX (8 * 12 * 12)
#define TERMS_MAX (BATCH_MAX * UNITS_MAX)
#define PARAMS_MAX 40000

#define ORDER_FORWARD 0
#define ORDER_BACKWARD 1
#define ORDER_BLOCKS 2
#define ORDER_PAIRS 3
#define ORDER_FUSED 4
#define ORDER_COUNT 5

#define FAULT_NONE 0
#define FAULT_ROW 1    /* the last row of a convolution reads one column further */
#define FAULT_WINDOW 2 /* the gradient goes to the last element of a pooling window */
#define FAULT_STRIDE 3 /* overlapping windows overwrite each other's gradient */
#define FAULT_IMAGE 4  /* the last image is missing in a convolution's weight gradient */

/* ---- Sums in float32 ---- */

static float pairs(const float *a, const float *b, size_t count) {
    if (count <= 4) {
        float sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
    return pairs(a, b, count / 2) + pairs(a + count / 2, b + count / 2, count - count / 2);
}

static float inner(const float *a, const float *b, size_t count, int order) {
    float part[8] = {0};
    float sum = 0;
    if (order == ORDER_PAIRS) {
        return pairs(a, b, count);
    }
    for (size_t i = 0; i < count; i++) {
        size_t k = order == ORDER_BACKWARD ? count - 1 - i : i;
        if (order == ORDER_FUSED) {
            sum = fmaf(a[k], b[k], sum);
        } else if (order == ORDER_BLOCKS) {
            part[k % 8] += a[k] * b[k];
        } else {
            sum += a[k] * b[k];
        }
    }
    for (size_t i = 0; i < 8; i++) {
        sum += part[i];
    }
    return sum;
}

/* ---- The naive step ---- */

struct naive {
    const struct bm_model *model;
    size_t batch;
    int order;
    int fault;
    float value[LAYER_MAX][BATCH_MAX * UNITS_MAX]; /* input of each layer */
    float mean[LAYER_MAX][UNITS_MAX];
    float inverse[LAYER_MAX][UNITS_MAX];
    float dy[BATCH_MAX * UNITS_MAX];
    float dx[BATCH_MAX * UNITS_MAX];
    float left[TERMS_MAX];
    float right[TERMS_MAX];
    float gradient[PARAMS_MAX];
};

static struct naive naive;
static float params[PARAMS_MAX];
static float images[BATCH_MAX * UNITS_MAX];
static int32_t labels[BATCH_MAX];
static uint32_t numbers[BATCH_MAX];

static struct bm_shape input_shape(uint32_t l) {
    return l == 0 ? naive.model->input : naive.model->output[l - 1];
}

static size_t units_of(struct bm_shape shape) {
    return (size_t)shape.channels * shape.height * shape.width;
}

/* Index in the plane of the pixel under kernel element (a, b) at output (r, c); -1 outside. */
static long pixel(uint32_t l, size_t r, size_t c, size_t a, size_t b) {
    const struct bm_layer *layer = &naive.model->layers[l];
    struct bm_shape in = input_shape(l);
    size_t shift = naive.fault == FAULT_ROW && r + 1 == naive.model->output[l].height;
    size_t row = r * layer->stride + a - layer->padding;
    size_t column = c * layer->stride + b - layer->padding + shift;
    return row < in.height && column < in.width ? (long)(row * in.width + column) : -1;
}

/* y[n][o][p] = bias[o] + the products of the pixels inside the image. */
static void conv_forward(uint32_t l, const float *weight) {
    const struct bm_layer *layer = &naive.model->layers[l];
    struct bm_shape in = input_shape(l);
    struct bm_shape out = naive.model->output[l];
    size_t area = (size_t)layer->kernel_height * layer->kernel_width;
    size_t plane = (size_t)in.height * in.width;
    size_t fan_in = in.channels * area;
    for (size_t i = 0; i < naive.batch * units_of(out); i++) {
        size_t c = i % out.width;
        size_t r = i / out.width % out.height;
        size_t o = i / out.width / out.height % out.channels;
        size_t n = i / units_of(out);
        size_t count = 0;
        for (size_t j = 0; j < fan_in; j++) {
            long at = pixel(l, r, c, j % area / layer->kernel_width, j % layer->kernel_width);
            if (at >= 0) {
                naive.left[count] = weight[o * fan_in + j];
                naive.right[count++] =
                    naive.value[l][n * units_of(in) + j / area * plane + (size_t)at];
            }
        }
        naive.value[l + 1][i] =
            inner(naive.left, naive.right, count, naive.order) + weight[fan_in * out.channels + o];
    }
}

static void conv_weight(uint32_t l, float *to) {
    const struct bm_layer *layer = &naive.model->layers[l];
    struct bm_shape in = input_shape(l);
    struct bm_shape out = naive.model->output[l];
    size_t area = (size_t)layer->kernel_height * layer->kernel_width;
    size_t fan_in = in.channels * area;
    size_t positions = (size_t)out.height * out.width;
    size_t batch = naive.fault == FAULT_IMAGE ? naive.batch - 1 : naive.batch;
    for (size_t i = 0; i < fan_in * out.channels; i++) {
        size_t j = i % fan_in;
        size_t count = 0;
        for (size_t k = 0; k < batch * positions; k++) {
            size_t p = k % positions;
            long at = pixel(l, p / out.width, p % out.width, j % area / layer->kernel_width,
                            j % layer->kernel_width);
            if (at >= 0) {
                naive.left[count] =
                    naive.dy[(k / positions * out.channels + i / fan_in) * positions + p];
                naive.right[count++] =
                    naive.value[l][(k / positions * in.channels + j / area) * in.height * in.width +
                                   (size_t)at];
            }
        }
        to[i] = inner(naive.left, naive.right, count, naive.order);
    }
}

/* Sums of dy over images and positions: the gradient of a bias or shift. */
static void channel_sums(struct bm_shape shape, float *to) {
    size_t positions = (size_t)shape.height * shape.width;
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t k = 0; k < naive.batch * positions; k++) {
            naive.left[k] =
                naive.dy[(k / positions * shape.channels + c) * positions + k % positions];
            naive.right[k] = 1;
        }
        to[c] = inner(naive.left, naive.right, naive.batch * positions, naive.order);
    }
}

/* One image's dx, by adding up what each output gives; the order is that of the loops. */
static void conv_below(uint32_t l, const float *weight) {
    const struct bm_layer *layer = &naive.model->layers[l];
    struct bm_shape in = input_shape(l);
    struct bm_shape out = naive.model->output[l];
    size_t area = (size_t)layer->kernel_height * layer->kernel_width;
    size_t fan_in = in.channels * area;
    size_t plane = (size_t)in.height * in.width;
    size_t positions = (size_t)out.height * out.width;
    memset(naive.dx, 0, naive.batch * units_of(in) * sizeof(float));
    for (size_t i = 0; i < naive.batch * fan_in * positions; i++) {
        size_t p = i % positions;
        size_t j = i / positions % fan_in;
        size_t n = i / positions / fan_in;
        long at = pixel(l, p / out.width, p % out.width, j % area / layer->kernel_width,
                        j % layer->kernel_width);
        if (at >= 0) {
            for (size_t o = 0; o < out.channels; o++) {
                naive.left[o] = weight[o * fan_in + j];
                naive.right[o] = naive.dy[(n * out.channels + o) * positions + p];
            }
            naive.dx[n * units_of(in) + j / area * plane + (size_t)at] +=
                inner(naive.left, naive.right, out.channels, naive.order);
        }
    }
}

/* y[n][o] = b[o] + sum_i w[o][i] x[n][i] */
static void dense_forward(uint32_t l, const float *weight) {
    size_t in = units_of(input_shape(l));
    size_t out = naive.model->output[l].channels;
    for (size_t i = 0; i < naive.batch * out; i++) {
        naive.value[l + 1][i] =
            inner(naive.value[l] + i / out * in, weight + i % out * in, in, naive.order) +
            weight[in * out + i % out];
    }
}

static void dense_backward(uint32_t l, const float *weight, float *to) {
    size_t in = units_of(input_shape(l));
    size_t out = naive.model->output[l].channels;
    for (size_t i = 0; i < in * out; i++) {
        for (size_t n = 0; n < naive.batch; n++) {
            naive.left[n] = naive.dy[n * out + i / in];
            naive.right[n] = naive.value[l][n * in + i % in];
        }
        to[i] = inner(naive.left, naive.right, naive.batch, naive.order);
    }
    for (size_t i = 0; i < naive.batch * in; i++) {
        for (size_t o = 0; o < out; o++) {
            naive.left[o] = naive.dy[i / in * out + o];
            naive.right[o] = weight[o * in + i % in];
        }
        naive.dx[i] = inner(naive.left, naive.right, out, naive.order);
    }
}

static void norm_forward(uint32_t l, const float *gain) {
    struct bm_shape shape = input_shape(l);
    size_t positions = (size_t)shape.height * shape.width;
    size_t count = naive.batch * positions;
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t k = 0; k < count; k++) {
            naive.left[k] =
                naive.value[l][(k / positions * shape.channels + c) * positions + k % positions];
            naive.right[k] = 1;
        }
        float mean = inner(naive.left, naive.right, count, naive.order) / (float)count;
        for (size_t k = 0; k < count; k++) {
            naive.left[k] -= mean;
        }
        float variance = inner(naive.left, naive.left, count, naive.order) / (float)count;
        float inverse = 1 / sqrtf(variance + 1e-5F);
        naive.mean[l][c] = mean;
        naive.inverse[l][c] = inverse;
        for (size_t k = 0; k < count; k++) {
            naive.value[l + 1][(k / positions * shape.channels + c) * positions + k % positions] =
                gain[c] * naive.left[k] * inverse + gain[shape.channels + c];
        }
    }
}

static void norm_backward(uint32_t l, const float *gain, float *to) {
    struct bm_shape shape = input_shape(l);
    size_t positions = (size_t)shape.height * shape.width;
    size_t count = naive.batch * positions;
    channel_sums(shape, to + shape.channels);
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t k = 0; k < count; k++) {
            size_t at = (k / positions * shape.channels + c) * positions + k % positions;
            naive.left[k] = naive.dy[at];
            naive.right[k] = (naive.value[l][at] - naive.mean[l][c]) * naive.inverse[l][c];
        }
        to[c] = inner(naive.left, naive.right, count, naive.order);
        for (size_t k = 0; k < count; k++) {
            size_t at = (k / positions * shape.channels + c) * positions + k % positions;
            float both = (to[shape.channels + c] + naive.right[k] * to[c]) / (float)count;
            naive.dx[at] = gain[c] * naive.inverse[l][c] * (naive.left[k] - both);
        }
    }
}

/* Forward, or with dy the way back. Windows have no padding here. */
static void pool(uint32_t l, int back) {
    const struct bm_layer *layer = &naive.model->layers[l];
    struct bm_shape in = input_shape(l);
    struct bm_shape out = naive.model->output[l];
    memset(naive.dx, 0, naive.batch * units_of(in) * sizeof(float));
    for (size_t i = 0; i < naive.batch * units_of(out); i++) {
        size_t plane = i / out.width / out.height * in.height * in.width;
        size_t first =
            i / out.width % out.height * layer->stride * in.width + i % out.width * layer->stride;
        size_t best = plane + first;
        size_t last = best;
        for (size_t a = 0; a < layer->kernel_height; a++) {
            for (size_t b = 0; b < layer->kernel_width; b++) {
                last = plane + first + a * in.width + b;
                best = naive.value[l][last] > naive.value[l][best] ? last : best;
            }
        }
        best = naive.fault == FAULT_WINDOW && back ? last : best;
        if (back && naive.fault == FAULT_STRIDE) {
            naive.dx[best] = naive.dy[i];
        } else if (back) {
            naive.dx[best] += naive.dy[i];
        } else {
            naive.value[l + 1][i] = naive.value[l][best];
        }
    }
}

static void relu(uint32_t l, int back) {
    for (size_t i = 0; i < naive.batch * units_of(input_shape(l)); i++) {
        float x = naive.value[l][i];
        if (back) {
            naive.dx[i] = x > 0 ? naive.dy[i] : 0;
        } else {
            naive.value[l + 1][i] = x > 0 ? x : 0;
        }
    }
}

static void softmax(uint32_t l) {
    size_t width = units_of(input_shape(l));
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
    }
}

static void forward(uint32_t l, const float *at) {
    switch (naive.model->layers[l].kind) {
    case BM_LAYER_DENSE:
        dense_forward(l, at);
        break;
    case BM_LAYER_CONV2D:
        conv_forward(l, at);
        break;
    case BM_LAYER_BATCHNORM:
        norm_forward(l, at);
        break;
    case BM_LAYER_MAXPOOL:
        pool(l, 0);
        break;
    default:
        relu(l, 0);
    }
}

static void backward(uint32_t l, const float *at, float *to) {
    struct bm_shape in = input_shape(l);
    struct bm_shape out = naive.model->output[l];
    const struct bm_layer *layer = &naive.model->layers[l];
    size_t area = (size_t)layer->kernel_height * layer->kernel_width;
    switch (layer->kind) {
    case BM_LAYER_DENSE:
        channel_sums(out, to + units_of(in) * out.channels);
        dense_backward(l, at, to);
        break;
    case BM_LAYER_CONV2D:
        channel_sums(out, to + in.channels * area * out.channels);
        conv_weight(l, to);
        conv_below(l, at);
        break;
    case BM_LAYER_BATCHNORM:
        norm_backward(l, at, to);
        break;
    case BM_LAYER_MAXPOOL:
        pool(l, 1);
        break;
    default:
        relu(l, 1);
    }
    memcpy(naive.dy, naive.dx, naive.batch * units_of(in) * sizeof(float));
}

static size_t param_offset(uint32_t layer) {
    struct bm_tensor tensors[2 * LAYER_MAX];
    uint32_t count = bm_model_tensors(naive.model, tensors, 2 * LAYER_MAX);
    for (uint32_t t = 0; t < count; t++) {
        if (tensors[t].layer == layer) {
            return (size_t)tensors[t].offset;
        }
    }
    return 0;
}

static void run_naive(int order, int fault) {
    uint32_t last = naive.model->layer_count - 1;
    naive.order = order;
    naive.fault = fault;
    memcpy(naive.value[0], images, naive.batch * units_of(naive.model->input) * sizeof(float));
    for (uint32_t l = 0; l < last; l++) {
        forward(l, params + param_offset(l));
    }
    softmax(last);
    for (uint32_t l = last; l > 0; l--) {
        backward(l - 1, params + param_offset(l - 1), naive.gradient + param_offset(l - 1));
    }
}

/* ---- Comparison ---- */

static struct bm_reference prepare(struct bm_model *model,
                                   const char *layers,
                                   struct bm_shape shape,
                                   size_t batch,
                                   uint64_t seed) {
    struct bm_error error;
    struct bm_random random;
    TEST_CHECK(bm_model_parse("test", layers, shape, 10, model, &error) == BM_STATUS_OK);
    TEST_CHECK(model->layer_count <= LAYER_MAX && bm_model_param_count(model) <= PARAMS_MAX);
    bm_random_init(&random, seed, BM_RANDOM_CHECK, 0);
    bm_model_start(model, seed, params);
    for (uint64_t i = 0; i < bm_model_param_count(model); i++) { /* no bias and no shift is 0 */
        params[i] += (float)(0.1 * bm_random_double(&random) - 0.05);
    }
    for (size_t i = 0; i < batch * units_of(shape); i++) {
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
                                           .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                           .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                           .params = params};
    struct bm_reference reference;
    TEST_CHECK(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_OK);
    naive.model = model;
    naive.batch = batch;
    return reference;
}

static double largest_ratio(const struct bm_reference *reference) {
    double most = 0;
    for (uint64_t i = 0; i < reference->param_count; i++) {
        double error = fabs((double)naive.gradient[i] - reference->gradient[i]);
        most = fmax(most, error / reference->bound[i]);
    }
    return most;
}

/* Mean bound over the root mean square of the gradient, of the worst weight tensor. */
static double looseness(const struct bm_model *model, const struct bm_reference *reference) {
    struct bm_tensor tensors[2 * LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * LAYER_MAX);
    double most = 0;
    for (uint32_t t = 0; t < count; t++) {
        double bound = 0;
        double squares = 0;
        for (uint64_t i = tensors[t].offset; i < tensors[t].offset + tensors[t].count; i++) {
            bound += reference->bound[i];
            squares += reference->gradient[i] * reference->gradient[i];
        }
        if (tensors[t].kind == BM_TENSOR_WEIGHT) {
            most = fmax(most, bound / sqrt(squares * (double)tensors[t].count));
        }
    }
    return most;
}

#define BLOCK ", batchnorm, relu, "
#define DEEP                                                                                       \
    "dense 64" BLOCK "dense 64" BLOCK "dense 64" BLOCK "dense 64" BLOCK "dense 64" BLOCK "dense "  \
    "10"
#define CONVOLUTIONS                                                                               \
    "conv 8 5x5 pad 2" BLOCK "maxpool 3 stride 2, conv 8 5x5 pad 2" BLOCK                          \
    "maxpool 3 stride 2, dense 48" BLOCK "dense 24" BLOCK "dense 10"

static const struct bm_shape vector = {100, 1, 1};
static const struct bm_shape image = {3, 12, 12};

struct honest {
    uint32_t tight;        /* seeds whose bound is a small part of the gradient */
    uint32_t undetermined; /* seeds of whose gradient float32 says nothing */
};

static void check_honest(
    const char *layers, struct bm_shape shape, size_t batch, uint64_t seed, struct honest *sum) {
    struct bm_model model;
    struct bm_reference reference = prepare(&model, layers, shape, batch, seed);
    double most = 0;
    for (int order = 0; order < ORDER_COUNT; order++) {
        run_naive(order, FAULT_NONE);
        most = fmax(most, largest_ratio(&reference));
    }
    double loose = looseness(&model, &reference);
    printf("%.12s..., batch %zu, seed %llu: error / bound %.3f, bound / gradient %.1e%s\n", layers,
           batch, (unsigned long long)seed, most, loose,
           reference.is_undetermined ? ", undetermined" : "");
    TEST_CHECK_MSG(most <= 1, "an honest step is outside the bound: %.3g", most);
    sum->tight += loose < 0.05;
    sum->undetermined += reference.is_undetermined;
    bm_reference_free(&reference);
}

/* Of four seeds, so that one where a branch lies inside its error, which may take a few per cent of
 * the gradient in a network of this size, does not decide. */
static void check_seeds(const char *layers, struct bm_shape shape, size_t batch) {
    struct honest seeds = {0};
    for (uint64_t seed = 1; seed <= 4; seed++) {
        check_honest(layers, shape, batch, seed, &seeds);
    }
    /* Of two images a batch norm leaves the sign alone: the gradient below it is rounding. Below
     * several of them nothing else is left, and a large bound alone would judge it; a convolution's
     * channels have more values than two. */
    if (batch > 2) {
        TEST_CHECK_MSG(seeds.tight >= 2, "only %u of 4 bounds are tight", seeds.tight);
        TEST_CHECK_MSG(seeds.undetermined == 0, "%u of 4 undetermined", seeds.undetermined);
    } else if (shape.height == 1) {
        TEST_CHECK_MSG(seeds.undetermined >= 2, "only %u of 4 undetermined", seeds.undetermined);
    } else {
        TEST_CHECK_MSG(seeds.undetermined == 0, "%u of 4 undetermined", seeds.undetermined);
    }
}

/* With sanitizers the largest batch takes long, and touches no other memory. */
static void test_honest(void) {
    static const size_t batches[] = {2, 7, 64};
    for (size_t i = 0; i < (bm_test_sanitized() ? 2 : 3); i++) {
        check_seeds(DEEP, vector, batches[i]);
        check_seeds(CONVOLUTIONS, image, batches[i]);
    }
}

static void expect_wrong(const struct bm_reference *reference, const char *what) {
    double ratio = largest_ratio(reference);
    printf("%s: error / bound %.3g\n", what, ratio);
    TEST_CHECK_MSG(ratio > 1, "%s is inside the bound: %.3g", what, ratio);
}

/* A seed without an uncertain branch. */
static void test_faults(size_t batch) {
    struct bm_model model;
    struct bm_reference reference = prepare(&model, CONVOLUTIONS, image, batch, 4);
    static const char *const names[] = {
        NULL, "the last row reads one column further", "the gradient goes to the last of a window",
        "overlapping windows overwrite", "one image is missing in a convolution's weight"};
    for (int fault = FAULT_ROW; fault <= FAULT_IMAGE; fault++) {
        run_naive(ORDER_FORWARD, fault);
        expect_wrong(&reference, names[fault]);
    }
    for (uint32_t l = 0; l <= 4; l += 4) { /* both convolutions */
        size_t count = (l == 0 ? 3 : 8) * 25 * 8;
        float *weight = naive.gradient + param_offset(l);
        run_naive(ORDER_FORWARD, FAULT_NONE);
        TEST_CHECK(largest_ratio(&reference) <= 1);
        for (size_t i = 0; i < count; i++) {
            weight[i] *= 1.05F;
        }
        expect_wrong(&reference, "a convolution's weight gradient off by 5 %");
        run_naive(ORDER_FORWARD, FAULT_NONE);
        float kept = weight[1]; /* (0, 1) and (1, 0) of the first kernel */
        weight[1] = weight[5];
        weight[5] = kept;
        expect_wrong(&reference, "two kernel elements transposed");
    }
    bm_reference_free(&reference);
}

int main(void) {
    test_honest();
    test_faults(7);
    if (!bm_test_sanitized()) {
        test_faults(64);
    }
    return 0;
}
