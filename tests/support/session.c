#include "session.h"

#include "loader.h"
#include "random.h"
#include "test.h"

const struct bm_plugin *bm_test_plugin(const char *name) {
    char path[4096];
    struct bm_error error;
    const struct bm_plugin *plugin = NULL;
    (void)snprintf(path, sizeof path, "%s/bm_%s.so", bm_test_env("BM_TEST_PLUGIN_DIR"), name);
    TEST_CHECK_MSG(bm_loader_load(path, &plugin, &error) == BM_STATUS_OK, "%s", error.text);
    return plugin;
}

static void *allocate(uint64_t count, size_t size) {
    void *memory = calloc(count + 1, size);
    TEST_CHECK(memory != NULL);
    return memory;
}

static void make_data(struct bm_test_session *test, const struct bm_test_session_spec *spec) {
    static const float scale[BM_TEST_CLASSES] = {1 / 255.0f, 1 / 128.0f, 1 / 255.0f, 1 / 200.0f};
    static const float shift[BM_TEST_CLASSES] = {-0.5f, -0.25f, 0, -0.1f};
    uint64_t size = (uint64_t)spec->input.channels * spec->input.height * spec->input.width;
    uint8_t *bytes = allocate(spec->image_count * size, 1);
    float *floats = allocate(spec->image_count * size, sizeof *floats);
    int32_t *labels = allocate(spec->image_count, sizeof *labels);
    struct bm_random random;
    bm_random_init(&random, 5, BM_RANDOM_DATA, 0);
    for (uint64_t i = 0; i < spec->image_count * size; i++) {
        bytes[i] = (uint8_t)bm_random_u32(&random);
        floats[i] = (float)bytes[i] / 255.0f - 0.5f;
    }
    for (uint32_t i = 0; i < spec->image_count; i++) {
        labels[i] = (int32_t)bm_random_below(&random, BM_TEST_CLASSES);
    }
    test->data = (struct bm_data){.size = sizeof test->data,
                                  .type = BM_DATA_UINT8,
                                  .count = spec->image_count,
                                  .images = bytes,
                                  .labels = labels,
                                  .scale = scale,
                                  .shift = shift};
    if (spec->float_images) {
        test->data.type = BM_DATA_FLOAT32;
        test->data.images = floats;
        test->data.scale = NULL;
        test->data.shift = NULL;
        free(bytes);
    } else {
        free(floats);
    }
    test->order_count = 2 * (uint64_t)spec->image_count;
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

static void make_session(struct bm_test_session *test) {
    const struct bm_plugin *plugin = test->plugin;
    struct bm_error *error = &test->error;
    TEST_CHECK_MSG(plugin->create(0, &test->problem, &test->session, error) == 0, "%s",
                   error->text);
    for (uint32_t split = 0; split < BM_SPLIT_COUNT; split++) {
        TEST_CHECK_MSG(plugin->bind_data(test->session, split, &test->data, error) == 0, "%s",
                       error->text);
    }
    TEST_CHECK_MSG(plugin->set_order(test->session, test->order, test->order_count, error) == 0,
                   "%s", error->text);
    TEST_CHECK_MSG(plugin->write_params(test->session, test->params, test->param_count, error) == 0,
                   "%s", error->text);
}

struct bm_test_session *bm_test_session_create(const struct bm_test_session_spec *spec) {
    struct bm_test_session *test = allocate(1, sizeof *test);
    test->plugin = bm_test_plugin(spec->plugin);
    TEST_CHECK_MSG(bm_model_parse("test", spec->layers, spec->input, BM_TEST_CLASSES, &test->model,
                                  &test->error) == BM_STATUS_OK,
                   "%s", test->error.text);
    test->param_count = bm_model_param_count(&test->model);
    test->statistics_count = bm_model_statistics_count(&test->model);
    test->params = allocate(test->param_count, sizeof(float));
    test->found = allocate(test->param_count, sizeof(float));
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
                                        .precision = BM_PRECISION_FLOAT32};
    make_data(test, spec);
    make_params(test);
    make_session(test);
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
