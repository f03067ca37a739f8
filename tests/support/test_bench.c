#include "test_bench.h"

#include "test.h"

static void make_reference(struct bm_test_bench *test, const struct bm_test_bench_spec *spec) {
    struct bm_expected_request request = {.model = &test->model,
                                          .dataset = &test->dataset,
                                          .seed = 1,
                                          .micro_batch = spec->micro_batch,
                                          .data_parallel = spec->data_parallel,
                                          .thread_count = 1,
                                          .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                          .accumulate_roundoff = BM_ROUNDOFF_FLOAT32};
    int fd = -1;
    TEST_CHECK_MSG(bm_expected_create(&request, &spec->batch, 1, NULL, NULL, &fd, &test->error) ==
                       BM_STATUS_OK,
                   "%s", test->error.text);
    TEST_CHECK_MSG(bm_expected_map(fd, &test->expected, &test->error) == BM_STATUS_OK, "%s",
                   test->error.text);
    test->entry = bm_expected_find(&test->expected, spec->batch,
                                   spec->data_parallel > 1 ? spec->data_parallel : 1);
    TEST_CHECK(test->entry != NULL);
}

struct bm_test_bench *bm_test_bench_create(const struct bm_plugin *plugin,
                                           const struct bm_test_bench_spec *spec) {
    static const uint32_t devices[BM_PARALLEL_MAX];
    struct bm_test_bench *test = calloc(1, sizeof *test);
    TEST_CHECK(test != NULL);
    struct bm_data_synthetic synthetic = {.shape = spec->input,
                                          .class_count = 4,
                                          .train_count = spec->image_count,
                                          .test_count = 50,
                                          .seed = 3};
    TEST_CHECK_MSG(bm_dataset_open("synthetic", NULL, &synthetic, &test->dataset, &test->error) ==
                       BM_STATUS_OK,
                   "%s", test->error.text);
    TEST_CHECK_MSG(bm_model_parse("test", spec->layers, spec->input, 4, &test->model,
                                  &test->error) == BM_STATUS_OK,
                   "%s", test->error.text);
    make_reference(test, spec);
    struct bm_bench_request request = {.model = &test->model,
                                       .dataset = &test->dataset,
                                       .data_parallel = spec->data_parallel,
                                       .devices = spec->devices == NULL ? devices : spec->devices,
                                       .optimizer = spec->optimizer,
                                       .thread_count = 1,
                                       .precision = BM_PRECISION_FLOAT32,
                                       .seed = 1,
                                       .batch = spec->batch,
                                       .micro_batch = spec->micro_batch,
                                       .evaluates = spec->evaluates,
                                       .rate = 1e-3};
    TEST_CHECK_MSG(bm_bench_open(plugin, &test->page, &request, &test->bench, &test->error) ==
                       BM_STATUS_OK,
                   "%s", test->error.text);
    return test;
}

void bm_test_bench_destroy(struct bm_test_bench *test) {
    bm_bench_close(&test->bench);
    bm_expected_unmap(&test->expected);
    bm_dataset_close(&test->dataset);
    free(test);
}
