#include "session.h"

#include "loader.h"
#include "random.h"
#include "test.h"

const struct bm_plugin *bm_test_plugin(const char *name) {
    char path[4096];
    struct bm_error error;
    const struct bm_plugin *plugin = NULL;
    (void)snprintf(path, sizeof path, "%s/bm_%s.so", bm_test_env("BM_TEST_PLUGIN_DIR"), name);
    TEST_CHECK_MSG(bm_loader_load(path, NULL, &plugin, &error) == BM_STATUS_OK, "%s", error.text);
    return plugin;
}

void bm_test_need_device(const char *name) {
    struct bm_error error = {.text = "no reason given"};
    uint32_t count = 0;
    const struct bm_plugin *plugin = bm_test_plugin(name);
    TEST_CHECK_MSG(plugin->device_count(&count, &error) == BM_STATUS_OK, "%s", error.text);
    if (count == 0) {
        TEST_SKIP(error.text);
    }
}

static void *allocate(uint64_t count, size_t size) {
    void *memory = calloc(count + 1, size);
    TEST_CHECK(memory != NULL);
    return memory;
}

static void make_images(struct bm_test_session *test, enum bm_test_images images) {
    static const float scale[BM_TEST_CHANNELS] = {1 / 255.0f, 1 / 128.0f, 1 / 255.0f, 1 / 200.0f};
    static const float shift[BM_TEST_CHANNELS] = {-0.5f, -0.25f, 0, -0.1f};
    static const float sparse_shift[BM_TEST_CHANNELS] = {0, -0.25f, 0, -0.1f};
    struct bm_shape shape = test->model.input;
    uint64_t count = (uint64_t)shape.channels * shape.height * shape.width * test->data.count;
    uint8_t *bytes = allocate(count, 1);
    float *floats = allocate(count, sizeof *floats);
    struct bm_random random;
    TEST_CHECK(shape.channels <= BM_TEST_CHANNELS);
    bm_random_init(&random, 5, BM_RANDOM_DATA, 0);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t word = bm_random_u32(&random);
        bytes[i] = images != BM_TEST_SPARSE_BYTES || word >> 29 == 0 ? (uint8_t)word : 0;
        floats[i] = (float)bytes[i] / 255.0f - 0.5f;
    }
    test->data.type = images == BM_TEST_FLOATS ? BM_DATA_FLOAT32 : BM_DATA_UINT8;
    if (images == BM_TEST_FLOATS) {
        test->data.images = floats;
        free(bytes);
        return;
    }
    test->data.images = bytes;
    test->data.scale = scale;
    test->data.shift = images == BM_TEST_SPARSE_BYTES ? sparse_shift : shift;
    free(floats);
}

static void make_data(struct bm_test_session *test, const struct bm_test_session_spec *spec) {
    int32_t *labels = allocate(spec->image_count, sizeof *labels);
    struct bm_random random;
    test->data =
        (struct bm_data){.size = sizeof test->data, .count = spec->image_count, .labels = labels};
    make_images(test, spec->images);
    bm_random_init(&random, 5, BM_RANDOM_DATA, 1);
    for (uint32_t i = 0; i < spec->image_count; i++) {
        labels[i] = (int32_t)bm_random_below(&random, test->model.class_count);
    }
    test->order_count = spec->order_count > 0 ? spec->order_count : 2 * (uint64_t)spec->image_count;
    test->order = allocate(test->order_count, sizeof *test->order);
    for (uint64_t i = 0; i < test->order_count; i++) {
        test->order[i] = bm_random_below(&random, spec->image_count);
    }
}

/* The model's start, with biases, gains and shifts that are not 0 and 1. */
static void make_params(struct bm_test_session *test) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(&test->model, tensors, 2 * BM_MODEL_LAYER_MAX);
    struct bm_random random;
    bm_random_init(&random, 6, BM_RANDOM_START, 0);
    bm_model_start(&test->model, 7, test->params);
    for (uint32_t t = 0; t < count; t++) {
        for (uint64_t i = 0; tensors[t].kind != BM_TENSOR_WEIGHT && i < tensors[t].count; i++) {
            test->params[tensors[t].offset + i] += (float)(bm_random_double(&random) - 0.5) / 4;
        }
    }
}

static void create(struct bm_test_session *test) {
    struct bm_error *error = &test->error;
    uint64_t bytes = 0;
    int32_t status = test->plugin->supports(0, &test->problem, &bytes, error);
    if (status == BM_STATUS_OK) {
        status = test->plugin->create(0, &test->problem, &test->session, error);
    }
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error->text);
    TEST_CHECK(test->session != NULL);
}

static void fill_session(struct bm_test_session *test) {
    const struct bm_plugin *plugin = test->plugin;
    struct bm_error *error = &test->error;
    for (uint32_t split = 0; split < BM_SPLIT_COUNT; split++) {
        TEST_CHECK_MSG(plugin->bind_data(test->session, split, &test->data, error) == 0, "%s",
                       error->text);
    }
    TEST_CHECK_MSG(plugin->set_order(test->session, test->order, test->order_count, error) == 0,
                   "%s", error->text);
    TEST_CHECK_MSG(plugin->write_params(test->session, test->params, test->param_count, error) == 0,
                   "%s", error->text);
}

/* Those of the spec, or of $BM_TEST_OPTIONS: KEY=VALUE, separated by commas. */
static uint32_t find_options(const struct bm_test_session_spec *spec,
                             const struct bm_option **found) {
    static struct bm_option options[8];
    static char text[256];
    const char *given = getenv("BM_TEST_OPTIONS");
    uint32_t count = 0;
    *found = spec->option;
    if (spec->option != NULL || given == NULL || given[0] == '\0') {
        return spec->option != NULL;
    }
    TEST_CHECK(strlen(given) < sizeof text);
    strcpy(text, given);
    for (char *next = text; next != NULL; count++) {
        char *key = strsep(&next, ",");
        char *value = strchr(key, '=');
        TEST_CHECK(value != NULL && count < sizeof options / sizeof options[0]);
        *value = '\0';
        options[count] = (struct bm_option){.key = key, .value = value + 1};
    }
    *found = options;
    return count;
}

static void make_problem(struct bm_test_session *test, const struct bm_test_session_spec *spec) {
    const struct bm_option *options = NULL;
    uint32_t option_count = find_options(spec, &options);
    test->problem = (struct bm_problem){.size = sizeof test->problem,
                                        .layer_count = test->model.layer_count,
                                        .layer_stride = sizeof(struct bm_layer),
                                        .input_channels = spec->input.channels,
                                        .input_height = spec->input.height,
                                        .input_width = spec->input.width,
                                        .optimizer = spec->optimizer,
                                        .thread_count = spec->thread_count,
                                        .batch_max = spec->batch_max,
                                        .seed = UINT64_C(0x123456789abcdef),
                                        .layers = test->model.layers,
                                        .options = options,
                                        .option_count = option_count,
                                        .option_stride = sizeof *options,
                                        .precision = BM_PRECISION_FLOAT32};
}

struct bm_test_session *bm_test_session_create(const struct bm_test_session_spec *spec) {
    struct bm_test_session *test = allocate(1, sizeof *test);
    uint32_t class_count = spec->class_count > 0 ? spec->class_count : BM_TEST_CLASSES;
    test->plugin = bm_test_plugin(spec->plugin);
    TEST_CHECK_MSG(bm_model_parse("test", spec->layers, spec->input, class_count, &test->model,
                                  &test->error) == BM_STATUS_OK,
                   "%s", test->error.text);
    test->param_count = bm_model_param_count(&test->model);
    test->statistics_count = bm_model_statistics_count(&test->model);
    test->params = allocate(test->param_count, sizeof(float));
    test->found = allocate(test->param_count, sizeof(float));
    make_problem(test, spec);
    make_data(test, spec);
    make_params(test);
    create(test);
    fill_session(test);
    return test;
}

void bm_test_session_destroy(struct bm_test_session *test) {
    union {
        const void *given;
        void *owned;
    } images = {test->data.images}, labels = {test->data.labels};

    test->plugin->destroy(test->session);
    free(images.owned);
    free(labels.owned);
    free(test->order);
    free(test->params);
    free(test->found);
    free(test);
}

struct bm_slice bm_test_slice(uint64_t first, uint64_t count, uint32_t flags, uint64_t update) {
    return (struct bm_slice){.size = sizeof(struct bm_slice),
                             .flags = flags,
                             .first = first,
                             .count = count,
                             .update = update,
                             .divisor = (double)count};
}

int32_t bm_test_update(struct bm_test_session *test,
                       const struct bm_slice *slice,
                       const struct bm_hyper *hyper) {
    const struct bm_plugin *plugin = test->plugin;
    if (plugin->update != NULL) {
        return plugin->update(test->session, slice, hyper, &test->error);
    }
    int32_t status = plugin->gradient(test->session, slice, &test->error);
    return status == BM_STATUS_OK ? plugin->apply(test->session, hyper, &test->error) : status;
}
