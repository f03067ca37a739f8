/* The kit's checks at the border: sizes, versions, options, layer lists; and Philox. */
#include "test.h"

#include <batchmark/kit.h>

/* A struct of a host that knows one field more. */
struct longer {
    uint32_t size;
    uint32_t known;
    uint32_t tail;
};

static void test_struct(void) {
    struct bm_error error;
    struct longer given = {sizeof given, 7, 0};
    TEST_CHECK(bm_kit_struct(&given, 12, "thing", &error) == BM_STATUS_OK);
    TEST_CHECK(bm_kit_struct(&given, 8, "thing", &error) == BM_STATUS_OK);
    given.tail = 0x100;
    TEST_CHECK(bm_kit_struct(&given, 8, "thing", &error) == BM_STATUS_UNSUPPORTED);
    TEST_CHECK(error.code == BM_STATUS_UNSUPPORTED && error.native_code == 0);
    TEST_CHECK_STR(error.text,
                   "thing: expected zeros after the 8 bytes known here, found 1 at byte 9");
    TEST_CHECK(bm_kit_struct(&given, 16, "thing", &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "thing.size: expected at least 16 bytes, found 12");
    TEST_CHECK(bm_kit_struct(NULL, 8, "thing", &error) == BM_STATUS_INVALID);
}

static void test_struct_array(void) {
    struct bm_error error;
    struct longer given[2] = {{sizeof given[0], 1, 0}, {sizeof given[0], 2, 0}};
    TEST_CHECK(bm_kit_struct_array(given, 2, 12, 8, "thing", &error) == BM_STATUS_OK);
    TEST_CHECK(bm_kit_struct_array(NULL, 0, 0, 8, "thing", &error) == BM_STATUS_OK);
    TEST_CHECK(bm_kit_struct_array(NULL, 1, 12, 8, "thing", &error) == BM_STATUS_INVALID);
    TEST_CHECK(bm_kit_struct_array(given, 2, 4, 8, "thing", &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "stride");
    given[1].size = 16;
    TEST_CHECK(bm_kit_struct_array(given, 2, 12, 8, "thing", &error) == BM_STATUS_INVALID);
    given[1].size = 12;
    given[1].tail = 1;
    TEST_CHECK(bm_kit_struct_array(given, 2, 12, 8, "thing", &error) == BM_STATUS_UNSUPPORTED);
}

static void test_negotiate(void) {
    struct bm_error error;
    TEST_CHECK(bm_kit_negotiate(BM_ABI_MAJOR, BM_ABI_MINOR, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_kit_negotiate(1, BM_ABI_MINOR + 1, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_kit_negotiate(1, 4000, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_kit_negotiate(7, 3, &error) == BM_STATUS_UNSUPPORTED);
    TEST_CHECK_STR(error.text, "ABI: the plugin has 1.0, the host 7.3");
    TEST_CHECK(bm_kit_negotiate(0, 1, &error) == BM_STATUS_UNSUPPORTED);
    TEST_CHECK(bm_kit_negotiate(2, 0, &error) == BM_STATUS_UNSUPPORTED);
}

static int32_t
parse(const char *key, const char *value, uint32_t count, int64_t *values, struct bm_error *error) {
    static const char *const modes[] = {"slow", "fast", NULL};
    static const struct bm_kit_option known[] = {
        {.key = "mode", .choices = modes, .fallback = 1},
        {.key = "tile", .minimum = -2, .maximum = 64, .fallback = 16}};
    const struct bm_option options[2] = {{key, value}, {key, value}};
    const struct bm_problem problem = {
        .options = options, .option_count = count, .option_stride = sizeof options[0]};
    return bm_kit_options(&problem, known, 2, values, error);
}

static void test_options(void) {
    static const char *const wrong[] = {"65", "-3", "",    " 7",
                                        "+7", "7x", "0x7", "99999999999999999999"};
    struct bm_error error;
    int64_t values[2];
    TEST_CHECK(parse(NULL, NULL, 0, values, &error) == BM_STATUS_OK);
    TEST_CHECK(values[0] == 1 && values[1] == 16);
    TEST_CHECK(parse("mode", "slow", 1, values, &error) == BM_STATUS_OK);
    TEST_CHECK(values[0] == 0 && values[1] == 16);
    TEST_CHECK(parse("tile", "-2", 1, values, &error) == BM_STATUS_OK && values[1] == -2);
    TEST_CHECK(parse("tile", "64", 1, values, &error) == BM_STATUS_OK && values[1] == 64);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        TEST_CHECK_MSG(parse("tile", wrong[i], 1, values, &error) == BM_STATUS_INVALID, "\"%s\"",
                       wrong[i]);
        TEST_CONTAINS(error.text, "-2 .. 64");
    }
    TEST_CHECK(parse("mode", "medium", 1, values, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "option mode: expected one of slow, fast, found \"medium\"");
    TEST_CHECK(parse("depth", "1", 1, values, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "option \"depth\": unknown, expected mode, tile");
    TEST_CHECK(parse("tile", "3", 2, values, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "twice");
    TEST_CHECK(parse("tile", NULL, 1, values, &error) == BM_STATUS_INVALID);
}

#define LAYER(...)                                                                                 \
    { .size = sizeof(struct bm_layer), __VA_ARGS__ }
#define SOFTMAX LAYER(.kind = BM_LAYER_SOFTMAX_CROSS_ENTROPY)

static struct bm_problem problem_of(const struct bm_layer *layers, uint32_t count) {
    return (struct bm_problem){.size = sizeof(struct bm_problem),
                               .layer_count = count,
                               .layer_stride = sizeof layers[0],
                               .input_channels = 3,
                               .input_height = 9,
                               .input_width = 7,
                               .thread_count = 1,
                               .batch_max = 8,
                               .layers = layers,
                               .precision = BM_PRECISION_FLOAT32};
}

static void test_network(void) {
    const struct bm_layer layers[] = {
        LAYER(.kind = BM_LAYER_CONV2D, .outputs = 5, .kernel_height = 3, .kernel_width = 2,
              .stride = 2, .padding = 1),
        LAYER(.kind = BM_LAYER_BATCHNORM),
        LAYER(.kind = BM_LAYER_MAXPOOL, .kernel_height = 2, .kernel_width = 2, .stride = 1),
        LAYER(.kind = BM_LAYER_DENSE, .outputs = 4),
        SOFTMAX,
    };
    struct bm_problem problem = problem_of(layers, 5);
    struct bm_kit_network network;
    struct bm_error error;
    TEST_CHECK_MSG(bm_kit_network_init(&network, &problem, &error) == BM_STATUS_OK, "%s",
                   error.text);
    const struct bm_kit_layer *layer = network.layers;
    /* (9 + 2 - 3) / 2 + 1 = 5 rows, (7 + 2 - 2) / 2 + 1 = 4 columns */
    TEST_CHECK(layer[0].output.channels == 5 && layer[0].output.height == 5);
    TEST_CHECK(layer[0].output.width == 4 && layer[0].output_size == 100);
    TEST_CHECK(layer[0].weight_count == 5 * 3 * 3 * 2 && layer[0].bias_offset == 90);
    TEST_CHECK(layer[1].weight_offset == 95 && layer[1].bias_offset == 100);
    TEST_CHECK(layer[1].mean_offset == 0 && layer[1].variance_offset == 5);
    TEST_CHECK(layer[2].output.height == 4 && layer[2].output.width == 3);
    TEST_CHECK(layer[3].input_size == 60 && layer[3].weight_offset == 105);
    TEST_CHECK(network.param_count == 105 + 240 + 4 && network.statistics_count == 10);
    TEST_CHECK(network.class_count == 4 && network.widest == 189 && network.input_size == 189);
    bm_kit_network_deinit(&network);
}

static void refuse(struct bm_problem problem, int32_t status, const char *text) {
    struct bm_kit_network network;
    struct bm_error error = {0};
    TEST_CHECK_MSG(bm_kit_network_init(&network, &problem, &error) == status, "%s: \"%s\"", text,
                   error.text);
    TEST_CONTAINS(error.text, text);
    TEST_CHECK(network.layers == NULL);
}

/* One layer before dense and softmax. */
static void refuse_layer(struct bm_layer layer, int32_t status, const char *text) {
    const struct bm_layer layers[] = {layer, LAYER(.kind = BM_LAYER_DENSE, .outputs = 4), SOFTMAX};
    refuse(problem_of(layers, 3), status, text);
}

static void test_refused_layers(void) {
    const struct bm_layer window = LAYER(.kind = BM_LAYER_CONV2D, .outputs = 2, .kernel_height = 3,
                                         .kernel_width = 3, .stride = 1);
    struct bm_layer layer = window;
    layer.kernel_height = 10;
    refuse_layer(layer, BM_STATUS_INVALID, "layer 0 (conv2d): kernel height: expected 1 .. 9");
    layer = window;
    layer.kernel_width = 0;
    refuse_layer(layer, BM_STATUS_INVALID, "kernel width");
    layer = window;
    layer.stride = 0;
    refuse_layer(layer, BM_STATUS_INVALID, "stride: expected at least 1, found 0");
    layer = window;
    layer.outputs = 0;
    refuse_layer(layer, BM_STATUS_INVALID, "outputs");
    layer = window;
    layer.kind = BM_LAYER_MAXPOOL;
    layer.padding = 3;
    refuse_layer(layer, BM_STATUS_INVALID, "padding: expected less than the kernel 3x3, found 3");
    layer = (struct bm_layer)LAYER(.kind = BM_LAYER_DENSE);
    refuse_layer(layer, BM_STATUS_INVALID, "outputs");
    layer = (struct bm_layer)LAYER(.kind = BM_LAYER_DROPOUT, .rate = 1);
    refuse_layer(layer, BM_STATUS_INVALID, "rate: expected 0 <= rate < 1, found 1");
    layer = (struct bm_layer)LAYER(.kind = 99);
    refuse_layer(layer, BM_STATUS_UNSUPPORTED, "kind: expected 1 .. 7, found 99");
    layer = (struct bm_layer)SOFTMAX;
    refuse_layer(layer, BM_STATUS_INVALID, "only as the last");
    layer = window;
    layer.padding = 2000000000;
    refuse_layer(layer, BM_STATUS_UNSUPPORTED, "addressed");
}

static void test_refused_problems(void) {
    const struct bm_layer layers[] = {LAYER(.kind = BM_LAYER_DENSE, .outputs = 4), SOFTMAX};
    struct bm_problem problem = problem_of(layers, 0);
    refuse(problem, BM_STATUS_INVALID, "layer_count");
    refuse(problem_of(layers, 1), BM_STATUS_INVALID,
           "expected softmax_cross_entropy as the last, found dense");
    problem = problem_of(layers, 2);
    problem.layer_stride = 8;
    refuse(problem, BM_STATUS_INVALID, "stride of layer");
    problem = problem_of(NULL, 2);
    refuse(problem, BM_STATUS_INVALID, "found NULL");
    problem = problem_of(layers, 2);
    problem.batch_max = 0;
    refuse(problem, BM_STATUS_INVALID, "batch_max");
    problem.batch_max = UINT64_MAX / 64;
    refuse(problem, BM_STATUS_UNSUPPORTED, "batch_max");
    problem = problem_of(layers, 2);
    problem.thread_count = 0;
    refuse(problem, BM_STATUS_INVALID, "thread_count");
    problem = problem_of(layers, 2);
    problem.input_width = 0;
    refuse(problem, BM_STATUS_INVALID, "found 3x9x0");
    problem.input_channels = problem.input_height = problem.input_width = UINT32_MAX;
    refuse(problem, BM_STATUS_UNSUPPORTED, "addressed");
    problem = problem_of(layers, 2);
    problem.optimizer = 9;
    refuse(problem, BM_STATUS_UNSUPPORTED, "optimizer: expected 0 .. 8, found 9");
    problem = problem_of(layers, 2);
    problem.size = 8;
    refuse(problem, BM_STATUS_INVALID, "problem.size");
}

static void test_precision(void) {
    static const char *const names[] = {BM_PRECISION_FLOAT32, BM_PRECISION_TF32, NULL};
    struct bm_problem problem = {.precision = BM_PRECISION_TF32};
    struct bm_error error;
    TEST_CHECK(bm_kit_precision(&problem, names, &error) == BM_STATUS_OK);
    problem.precision = "f16/f32";
    TEST_CHECK(bm_kit_precision(&problem, names, &error) == BM_STATUS_UNSUPPORTED);
    TEST_CHECK_STR(error.text, "precision: expected float32 tf32, found f16/f32");
    problem.precision = NULL;
    TEST_CHECK(bm_kit_precision(&problem, names, &error) == BM_STATUS_UNSUPPORTED);
}

/* Known answers of Random123, kat_vectors: philox4x32 10. */
static void test_philox(void) {
    static const uint32_t zero[4] = {0};
    static const uint32_t ones[4] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    static const uint32_t pi[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
    static const uint32_t pi_key[2] = {0xa4093822, 0x299f31d0};
    static const uint32_t expected[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                            {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                            {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    uint32_t words[4];
    bm_kit_philox(zero, zero, words);
    TEST_CHECK(memcmp(words, expected[0], sizeof words) == 0);
    bm_kit_philox(ones, ones, words);
    TEST_CHECK(memcmp(words, expected[1], sizeof words) == 0);
    bm_kit_philox(pi_key, pi, words);
    TEST_CHECK(memcmp(words, expected[2], sizeof words) == 0);
}

/* The mask is that of plugin.h's words, also where the count is no multiple of four. */
static void test_dropout(void) {
    const struct bm_kit_dropout dropout = {UINT64_C(0x299f31d0a4093822), UINT64_C(0x100000005), 3,
                                           0.25};
    const uint32_t key[2] = {0xa4093822, 0x299f31d0};
    uint8_t kept[11];
    uint32_t kept_count = 0;
    memset(kept, 7, sizeof kept);
    bm_kit_dropout_mask(&dropout, 42, 10, kept);
    for (uint32_t unit = 0; unit < 10; unit++) {
        const uint32_t counter[4] = {unit / 4, 42, 5, 3};
        uint32_t words[4];
        bm_kit_philox(key, counter, words);
        TEST_CHECK(kept[unit] == (words[unit % 4] >= 0x40000000u));
        kept_count += kept[unit];
    }
    TEST_CHECK(kept[10] == 7 && kept_count > 0);
}

static void test_slots(void) {
    static const uint32_t expected[] = {0, 1, 1, 1, 1, 2, 2, 1, 2};
    for (uint32_t optimizer = 0; optimizer <= BM_OPTIMIZER_LAMB; optimizer++) {
        TEST_CHECK(bm_kit_slot_count(optimizer) == expected[optimizer]);
    }
}

int main(void) {
    test_struct();
    test_struct_array();
    test_negotiate();
    test_options();
    test_network();
    test_refused_layers();
    test_refused_problems();
    test_precision();
    test_philox();
    test_dropout();
    test_slots();
    return 0;
}
