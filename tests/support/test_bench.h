/* An open session of the harness's own kind (struct bm_bench) on made data, with its reference: for
 * tests of the checks and of the timing. Every failure ends the test. */
#ifndef BM_TEST_BENCH_H
#define BM_TEST_BENCH_H

#include "bench.h"
#include "expected.h"

struct bm_test_bench_spec {
    const char *layers; /* as bm_model_parse reads them, 4 classes */
    struct bm_shape input;
    uint64_t image_count;
    uint32_t optimizer;
    uint64_t batch;
    uint64_t micro_batch;    /* 0: batch */
    uint32_t evaluates;      /* as a training does */
    uint32_t data_parallel;  /* sessions that share the batch; 0: an ordinary one */
    const uint32_t *devices; /* of each; NULL: device 0 */
};

struct bm_test_bench {
    struct bm_dataset dataset;
    struct bm_model model;
    struct bm_page page;
    struct bm_expected expected;
    const struct bm_expected_entry *entry;
    struct bm_bench bench;
    struct bm_error error;
};

struct bm_test_bench *bm_test_bench_create(const struct bm_plugin *plugin,
                                           const struct bm_test_bench_spec *spec);
void bm_test_bench_destroy(struct bm_test_bench *test);

#endif
