/* Named models, the text form of networks, and the facts that follow from a layer list. */
#include "model.h"
#include "test.h"

#include <math.h>

static const struct bm_shape grey28 = {1, 28, 28};
static const struct bm_shape color32 = {3, 32, 32};

static struct bm_model named(const char *name, struct bm_shape input, uint32_t classes) {
    struct bm_model model;
    struct bm_error error = {.text = ""};
    int32_t status = bm_model_named(name, input, classes, &model, &error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s: %s", name, error.text);
    return model;
}

static struct bm_model parsed(const char *layers, struct bm_shape input, uint32_t classes) {
    struct bm_model model;
    struct bm_error error = {.text = ""};
    int32_t status = bm_model_parse("custom", layers, input, classes, &model, &error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s: %s", layers, error.text);
    return model;
}

static void check_fact(const char *what, double found, double expected) {
    TEST_CHECK_MSG(found == expected, "%s: found %.17g, expected %.17g", what, found, expected);
}

/* ---- Named models ---- */

static void test_param_counts(void) {
    struct bm_model model = named("mlp", grey28, 10);
    check_fact("mlp", (double)bm_model_param_count(&model), 669706);
    model = named("f1", grey28, 10);
    check_fact("f1", (double)bm_model_param_count(&model), 1462794);
    check_fact("f1 statistics", (double)bm_model_statistics_count(&model), 5 * 2 * 512);
    model = named("c1", color32, 10);
    check_fact("c1", (double)bm_model_param_count(&model), 1389194);
    check_fact("c1 statistics", (double)bm_model_statistics_count(&model),
               2 * (64 + 64 + 384 + 192));
    model = named("c2", color32, 10);
    check_fact("c2", (double)bm_model_param_count(&model), 14991946);
    model = named("f2", (struct bm_shape){360, 1, 1}, 1973);
    check_fact("f2", (double)bm_model_param_count(&model), 2780085);
}

static void test_flops(void) {
    struct bm_model model = named("mlp", grey28, 10);
    check_fact("mlp gradient", bm_model_gradient_flops(&model), 3209216);
    model = named("c1", color32, 10);
    /* conv 1: 2 * 75 * 64 * 32 * 32; conv 2: 2 * 1600 * 64 * 15 * 15; dense 3136 - 384 - 192 - 10
     */
    double first = 2.0 * 75 * 64 * 32 * 32;
    double rest = 2.0 * 1600 * 64 * 15 * 15 + 2.0 * (3136 * 384 + 384 * 192 + 192 * 10);
    check_fact("c1 gradient", bm_model_gradient_flops(&model), 2 * first + 3 * rest);
    TEST_CHECK(fabs(bm_model_gradient_flops(&model) - 165.6e6) < 0.05e6);
}

/* With parameters below it, the first dense layer owes an input gradient too. */
static void test_flops_below_batchnorm(void) {
    struct bm_model model = parsed("batchnorm, dense 10", grey28, 10);
    check_fact("gradient", bm_model_gradient_flops(&model), 3 * 2 * 784 * 10.0);
    model = parsed("relu, dense 10", grey28, 10);
    check_fact("gradient", bm_model_gradient_flops(&model), 2 * 2 * 784 * 10.0);
}

static void test_c1_shapes(void) {
    struct bm_model model = named("c1", color32, 10);
    const uint32_t sides[] = {32, 32, 32, 15, 15, 15, 15, 7};
    for (uint32_t i = 0; i < 8; i++) {
        TEST_CHECK(model.output[i].channels == 64);
        TEST_CHECK(model.output[i].height == sides[i] && model.output[i].width == sides[i]);
    }
    TEST_CHECK(model.layers[model.layer_count - 1].kind == BM_LAYER_SOFTMAX_CROSS_ENTROPY);
    TEST_CHECK(bm_model_has_batchnorm(&model));
    model = named("mlp", color32, 10);
    TEST_CHECK(!bm_model_has_batchnorm(&model));
}

static void test_every_name_binds(void) {
    for (int i = 0; bm_model_names[i] != NULL; i++) {
        struct bm_model model = named(bm_model_names[i], color32, 100);
        TEST_CHECK_STR(model.name, bm_model_names[i]);
        TEST_CHECK(model.class_count == 100);
        TEST_CHECK(model.output[model.layer_count - 1].channels == 100);
    }
}

static void test_named_refusals(void) {
    struct bm_model model;
    struct bm_error error;
    int32_t status = bm_model_named("c2", grey28, 10, &model, &error);
    TEST_CHECK(status == BM_STATUS_UNSUPPORTED && error.code == status);
    TEST_CONTAINS(error.text, "c2: layer ");
    TEST_CONTAINS(error.text, "\"maxpool 2\": expected an input of at least 2x2 with its padding, "
                              "found 512x1x1");
    TEST_CHECK(bm_model_named("vgg", grey28, 10, &model, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "model: expected mlp, f1, c1, c2 or f2, found \"vgg\"");
}

/* ---- Tensors and start ---- */

static void test_tensors(void) {
    struct bm_model model =
        parsed("conv 4 3x2 pad 1, batchnorm, relu, dense 5", (struct bm_shape){2, 6, 7}, 5);
    struct bm_tensor tensors[6];
    TEST_CHECK(bm_model_tensors(&model, NULL, 0) == 6);
    TEST_CHECK(bm_model_tensors(&model, tensors, 6) == 6);
    /* conv output: rows 6 + 2 - 3 + 1 = 6, columns 7 + 2 - 2 + 1 = 8 */
    const struct bm_tensor expected[6] = {
        {0, BM_TENSOR_WEIGHT, 0, 4 * 2 * 3 * 2, 12},
        {0, BM_TENSOR_BIAS, 48, 4, 12},
        {1, BM_TENSOR_GAIN, 52, 4, 0},
        {1, BM_TENSOR_SHIFT, 56, 4, 0},
        {3, BM_TENSOR_WEIGHT, 60, 5 * 192, 192},
        {3, BM_TENSOR_BIAS, 1020, 5, 192},
    };
    for (int i = 0; i < 6; i++) {
        TEST_CHECK(tensors[i].layer == expected[i].layer && tensors[i].kind == expected[i].kind);
        TEST_CHECK(tensors[i].offset == expected[i].offset);
        TEST_CHECK(tensors[i].count == expected[i].count);
        TEST_CHECK(tensors[i].fan_in == expected[i].fan_in);
    }
    TEST_CHECK(bm_model_param_count(&model) == 1025);
}

static void test_start(void) {
    struct bm_model model =
        parsed("dense 50, batchnorm, relu, dense 3", (struct bm_shape){24, 1, 1}, 3);
    static float values[1200 + 50 + 100 + 150 + 3];
    TEST_CHECK(bm_model_param_count(&model) == sizeof values / sizeof values[0]);
    bm_model_start(&model, 1, values);
    float highest = 0;
    float lowest = 0;
    double sum = 0;
    for (int i = 0; i < 1200; i++) {
        highest = values[i] > highest ? values[i] : highest;
        lowest = values[i] < lowest ? values[i] : lowest;
        sum += (double)values[i];
    }
    /* limit sqrt(6 / 24) = 0.5; the mean's standard deviation is 0.0083 */
    TEST_CHECK(highest <= 0.5F && highest > 0.49F && lowest >= -0.5F && lowest < -0.49F);
    TEST_CHECK(fabs(sum / 1200) < 0.042);
    for (int i = 1200; i < 1350; i++) {
        float expected = i >= 1250 && i < 1300 ? 1.0F : 0.0F;
        TEST_CHECK_MSG(values[i] == expected, "value %d", i);
    }
    /* limit sqrt(6 / 50) = 0.346 */
    for (int i = 1350; i < 1500; i++) {
        TEST_CHECK(fabsf(values[i]) <= 0.3465F && values[i] != 0);
    }
    TEST_CHECK(values[1500] == 0 && values[1502] == 0);
}

/* Frozen: these bits are the same on every machine, and stored runs depend on them. */
static void test_start_is_frozen(void) {
    struct bm_model model = parsed("dense 2", (struct bm_shape){6, 1, 1}, 2);
    float values[14];
    bm_model_start(&model, 1, values);
    TEST_CHECK_MSG(values[0] == -0x1.5b8a4ep-1F && values[11] == -0x1.eda046p-1F, "found %a %a",
                   (double)values[0], (double)values[11]);
    float other[14];
    bm_model_start(&model, 2, other);
    TEST_CHECK(values[0] != other[0]);
}

/* ---- Text ---- */

static void check_round_trip(const char *layers) {
    char text[512];
    struct bm_model model = parsed(layers, (struct bm_shape){3, 24, 20}, 10);
    bm_model_format(&model, text, sizeof text);
    TEST_CHECK_STR(text, layers);
}

static void test_round_trip(void) {
    check_round_trip("dense 10");
    check_round_trip(
        "conv 8 5x3 stride 2 pad 1, batchnorm, relu, maxpool 3 stride 2 pad 1, maxpool 2, "
        "dropout 0.3, dense 10");
    check_round_trip("dropout 0.1234567890123, dense 10");
    char text[12];
    struct bm_model model = parsed("dense 512, relu, dense 10", grey28, 10);
    bm_model_format(&model, text, sizeof text);
    TEST_CHECK_STR(text, "dense 512, ");
}

static void test_spacing_and_classes(void) {
    char text[128];
    struct bm_model model = parsed(" dense  512,relu ,\tdense classes ", grey28, 47);
    bm_model_format(&model, text, sizeof text);
    TEST_CHECK_STR(text, "dense 512, relu, dense 47");
}

static void check_refused(const char *layers, int32_t expected_status, const char *expected) {
    struct bm_model model;
    struct bm_error error = {.text = ""};
    int32_t status =
        bm_model_parse("custom", layers, (struct bm_shape){1, 8, 8}, 10, &model, &error);
    TEST_CHECK_MSG(status == expected_status, "%s: status %d", layers, status);
    TEST_CHECK(error.code == status);
    TEST_CHECK_STR(error.text, expected);
}

static void test_refusals(void) {
    const int32_t invalid = BM_STATUS_INVALID;
    check_refused("dense 5, sigmoid, dense 10", invalid,
                  "layers: item 2 \"sigmoid\": expected conv, dense, maxpool, batchnorm, relu or "
                  "dropout, found \"sigmoid\"");
    check_refused("", invalid,
                  "layers: item 1 \"\": expected conv, dense, maxpool, batchnorm, relu or dropout, "
                  "found \"nothing\"");
    check_refused("dense 5,, dense 10", invalid,
                  "layers: item 2 \"\": expected conv, dense, maxpool, batchnorm, relu or dropout, "
                  "found \"nothing\"");
    check_refused("dense, dense 10", invalid,
                  "layers: item 1 \"dense\": expected a number of outputs from 1 to 1048576, found "
                  "\"nothing\"");
    check_refused(
        "dense 0, dense 10", invalid,
        "layers: item 1 \"dense 0\": expected a number of outputs from 1 to 1048576, found "
        "\"0\"");
    check_refused(
        "dense 1048577, dense 10", invalid,
        "layers: item 1 \"dense 1048577\": expected a number of outputs from 1 to 1048576, "
        "found \"1048577\"");
    check_refused("dense -1, dense 10", invalid,
                  "layers: item 1 \"dense -1\": expected a number of outputs from 1 to 1048576, "
                  "found \"-1\"");
    check_refused("dense 5 6, dense 10", invalid,
                  "layers: item 1 \"dense 5 6\": expected the end of the item, found \"6\"");
    check_refused("relu 2, dense 10", invalid,
                  "layers: item 1 \"relu 2\": expected the end of the item, found \"2\"");
    check_refused("conv 8 3, dense 10", invalid,
                  "layers: item 1 \"conv 8 3\": expected a kernel like 3x3, sides from 1 to 1024, "
                  "found \"3\"");
    check_refused("conv 8 3x3 stride 0, dense 10", invalid,
                  "layers: item 1 \"conv 8 3x3 stride 0\": expected a stride from 1 to 1024, found "
                  "\"0\"");
    check_refused("conv 8 3x3 pad 1 pad 1, dense 10", invalid,
                  "layers: item 1 \"conv 8 3x3 pad 1 pad 1\": expected `stride S` or `pad P`, each "
                  "once, found \"pad\"");
    check_refused("conv 8 3x3 pad, dense 10", invalid,
                  "layers: item 1 \"conv 8 3x3 pad\": expected a padding from 0 to 1024, found "
                  "\"nothing\"");
    check_refused("maxpool 2 pad 2, dense 10", invalid,
                  "layers: item 1 \"maxpool 2 pad 2\": expected a padding smaller than the window, "
                  "found \"2\"");
    check_refused("dropout 1, dense 10", invalid,
                  "layers: item 1 \"dropout 1\": expected a rate from 0 to below 1, found \"1\"");
    check_refused(
        "dropout nan, dense 10", invalid,
        "layers: item 1 \"dropout nan\": expected a rate from 0 to below 1, found \"nan\"");
    check_refused(
        "dense 12", invalid,
        "layers: item 1 \"dense 12\": expected `dense 10` (the classes) as the last item, "
        "found \"dense 12\"");
    check_refused("dense 10, relu", invalid,
                  "layers: item 2 \"relu\": expected `dense 10` (the classes) as the last item, "
                  "found \"relu\"");
    check_refused("conv 4 9x9, dense 10", BM_STATUS_UNSUPPORTED,
                  "custom: layer 1 \"conv 4 9x9\": expected an input of at least 9x9 with its "
                  "padding, found 1x8x8");
}

static void test_limits(void) {
    char layers[4096] = "";
    for (int i = 0; i < BM_MODEL_LAYER_MAX - 2; i++) {
        strcat(layers, "relu, ");
    }
    strcat(layers, "dense 10");
    struct bm_model model = parsed(layers, grey28, 10);
    TEST_CHECK(model.layer_count == BM_MODEL_LAYER_MAX);
    strcat(layers, ", dense 10");
    check_refused(layers, BM_STATUS_INVALID, "layers: expected at most 127 items, found more");
    check_refused("dense 1048576, dense 1048576, dense 1048576, dense 10", BM_STATUS_INVALID,
                  "layers: item 2 \"dense 1048576\": expected at most 2^32 outputs and 2^40 "
                  "parameters, found more");
    check_refused("conv 1048576 1x1 pad 100, dense 10", BM_STATUS_INVALID,
                  "layers: item 1 \"conv 1048576 1x1 pad 100\": expected at most 2^32 outputs and "
                  "2^40 parameters, found more");
}

static void test_bad_input_shape(void) {
    struct bm_model model;
    struct bm_error error;
    const struct bm_shape empty = {1, 0, 28};
    TEST_CHECK(bm_model_named("mlp", empty, 10, &model, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "mlp: input shape: expected 1 to 2^32 values, found 1x0x28");
    const struct bm_shape huge = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    TEST_CHECK(bm_model_named("mlp", huge, 10, &model, &error) == BM_STATUS_INVALID);
    TEST_CHECK(bm_model_named("mlp", grey28, 0, &model, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "mlp: classes: expected 1 to 1048576, found 0");
}

int main(void) {
    test_param_counts();
    test_flops();
    test_flops_below_batchnorm();
    test_c1_shapes();
    test_every_name_binds();
    test_named_refusals();
    test_tensors();
    test_start();
    test_start_is_frozen();
    test_round_trip();
    test_spacing_and_classes();
    test_refusals();
    test_limits();
    test_bad_input_shape();
    return 0;
}
