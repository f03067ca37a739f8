/* A plugin that is made slower leaves the bits that it leaves by itself. */
#include "bench.h"
#include "loader.h"
#include "place.h"
#include "session.h"
#include "test.h"

#define UPDATES 5u

struct bits {
    float *params; /* then the slots, then the statistics */
    double loss;   /* of the last update */
    double test_loss;
    uint64_t right;
};

static struct bm_dataset dataset;
static struct bm_model model;
static struct bm_error error;

#define MUST(call) TEST_CHECK_MSG((call) == BM_STATUS_OK, "%s", error.text)

static void read_bits(struct bm_bench *bench, struct bits *bits) {
    uint64_t count = bench->param_count;
    bits->params = calloc((1 + bench->slot_count) * count + bench->statistics_count, sizeof(float));
    TEST_CHECK(bits->params != NULL && bench->slot_count == 2 && bench->statistics_count > 0);
    MUST(bm_bench_read_params(bench, bits->params, &error));
    for (uint32_t slot = 0; slot < bench->slot_count; slot++) {
        MUST(bm_bench_read_state(bench, slot, bits->params + (1 + slot) * count, count, &error));
    }
    MUST(bm_bench_read_state(bench, BM_STATE_STATISTICS,
                             bits->params + (1 + bench->slot_count) * count,
                             bench->statistics_count, &error));
    MUST(bm_bench_evaluate(bench, BM_SPLIT_TEST, &bits->test_loss, &bits->right, &error));
}

static uint64_t train(const struct bm_plugin *plugin, const char *percent, struct bits *bits) {
    struct bm_page page = {0};
    struct bm_bench bench = {0};
    const struct bm_option option = {"percent", percent};
    struct bm_bench_request request = {.model = &model,
                                       .dataset = &dataset,
                                       .optimizer = BM_OPTIMIZER_ADAM,
                                       .thread_count = 2,
                                       .precision = BM_PRECISION_FLOAT32,
                                       .seed = 1,
                                       .batch = 10,
                                       .micro_batch = 5,
                                       .rate = 1e-3,
                                       .options = &option,
                                       .option_count = percent != NULL};
    MUST(bm_bench_open(plugin, &page, &request, &bench, &error));
    for (uint32_t i = 0; i < UPDATES; i++) {
        MUST(bm_bench_update(&bench, &error));
        MUST(bm_bench_wait(&bench, i % 2 == 0 ? &bits->loss : NULL, &error));
    }
    read_bits(&bench, bits);
    uint64_t count = (1 + bench.slot_count) * bench.param_count + bench.statistics_count;
    bm_bench_close(&bench);
    return count;
}

static void
compare(const struct bm_plugin *delay, const char *percent, const struct bits *expected) {
    struct bits found = {0};
    uint64_t count = train(delay, percent, &found);
    TEST_CHECK(memcmp(found.params, expected->params, count * sizeof *found.params) == 0);
    TEST_CHECK(found.loss == expected->loss && found.test_loss == expected->test_loss);
    TEST_CHECK(found.right == expected->right && expected->loss > 0);
    free(found.params);
}

int main(void) {
    const struct bm_shape input = {1, 7, 7};
    struct bm_data_synthetic synthetic = {
        .shape = input, .class_count = 4, .train_count = 60, .test_count = 20, .seed = 3};
    struct bits expected = {0};
    const struct bm_plugin *delay = NULL;
    char path[4096];
    MUST(bm_dataset_open("synthetic", NULL, &synthetic, &dataset, &error));
    MUST(bm_model_parse("test", "dense 12, batchnorm, relu, dropout .5, dense 4", input, 4, &model,
                        &error));
    (void)snprintf(path, sizeof path, "%s/bm_scalar.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    TEST_CHECK(setenv("BATCHMARK_DELAY_PLUGIN", path, 1) == 0);
    TEST_CHECK(bm_place_delay(path, sizeof path));
    MUST(bm_loader_load(path, NULL, &delay, &error));
    (void)train(bm_test_plugin("scalar"), NULL, &expected);
    compare(delay, NULL, &expected);
    compare(delay, "0", &expected);
    compare(delay, "7.5", &expected);
    free(expected.params);
    bm_dataset_close(&dataset);
    return 0;
}
