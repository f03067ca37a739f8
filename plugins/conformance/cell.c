/* The checks that `run` makes of a cell before it is timed, by the same code: a backend that passes
 * here is not called wrong there. */
#include "cases.h"

#include "bench.h"
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define TRAIN_COUNT 256u
#define BATCH_COUNT_MAX 2u

struct cell {
    const char *layers; /* as bm_model_parse reads them */
    struct bm_shape input;
    uint32_t optimizer;
    uint64_t batches[BATCH_COUNT_MAX];
    uint32_t batch_count;
};

static const struct cell dense = {
    "dense 512, relu, dense 512, relu, dense 10", {1, 28, 28}, BM_OPTIMIZER_MOMENTUM, {1, 100}, 2};

/* With batch norm from 3 images on: two do not determine the gradient. */
static const struct cell mixed = {
    "conv 8 5x5 pad 2, batchnorm, relu, maxpool 3 stride 2, dense 40, "
    "batchnorm, relu, dense 10",
    {3, 16, 16},
    BM_OPTIMIZER_ADAM,
    {3, 65},
    2};

/* What a cell is checked with. */
struct set_up {
    struct bm_dataset dataset;
    struct bm_model model;
    struct bm_expected expected;
};

static const struct bm_precision *precision_of(struct bm_conform *conform) {
    for (uint32_t i = 0; i < conform->info.precision_count; i++) {
        if (strcmp(conform->info.precisions[i].name, BM_PRECISION_FLOAT32) == 0) {
            return &conform->info.precisions[i];
        }
    }
    bm_conform_leave(conform, "the device does not offer float32");
}

static void prepare(struct bm_conform *conform, const struct cell *cell, struct set_up *set_up) {
    const struct bm_precision *precision = precision_of(conform);
    const struct bm_data_synthetic synthetic = {
        .shape = cell->input, .class_count = 10, .train_count = TRAIN_COUNT, .test_count = 10};
    struct bm_expected_request request = {.model = &set_up->model,
                                          .dataset = &set_up->dataset,
                                          .seed = 1,
                                          .thread_count = 2,
                                          .multiply_roundoff = precision->multiply_roundoff,
                                          .accumulate_roundoff = precision->accumulate_roundoff};
    struct bm_error error = {0};
    int fd = -1;
    int32_t status = bm_dataset_open("synthetic", NULL, &synthetic, &set_up->dataset, &error);
    status = status ? status
                    : bm_model_parse("cell", cell->layers, cell->input, 10, &set_up->model, &error);
    status = status ? status
                    : bm_expected_create(&request, cell->batches, cell->batch_count, NULL, NULL,
                                         &fd, &error);
    status = status ? status : bm_expected_map(fd, &set_up->expected, &error);
    EXPECT(conform, status == BM_STATUS_OK, "%s", error.text);
}

/* 0: the backend does not support it. */
static int check_batch(struct bm_conform *conform,
                       const struct cell *cell,
                       const struct set_up *set_up,
                       uint64_t batch) {
    const struct bm_bench_request request = {.device = conform->device,
                                             .model = &set_up->model,
                                             .dataset = &set_up->dataset,
                                             .optimizer = cell->optimizer,
                                             .thread_count = conform->thread_max < 2 ? 1 : 2,
                                             .precision = BM_PRECISION_FLOAT32,
                                             .seed = 1,
                                             .batch = batch,
                                             .rate = 1e-4,
                                             .options = conform->request->options,
                                             .option_count = conform->request->option_count};
    struct bm_bench *bench = bm_conform_allocate(conform, 1, sizeof *bench);
    struct bm_check_result result;
    struct bm_error error = {0};
    int32_t status =
        bm_bench_open(conform->plugin, conform->request->page, &request, bench, &error);
    if (status == BM_STATUS_UNSUPPORTED) {
        bm_conform_note(conform, "\"%s\" is not supported: %s", cell->layers, error.text);
        free(bench);
        return 0;
    }
    EXPECT(conform, status == BM_STATUS_OK, "\"%s\", batch %llu: %s", cell->layers,
           (unsigned long long)batch, error.text);
    status = bm_check_run(bench, bm_expected_find(&set_up->expected, batch, 1), &result, &error);
    EXPECT(conform, status == BM_STATUS_OK, "\"%s\", batch %llu: %s", cell->layers,
           (unsigned long long)batch, error.text);
    EXPECT(conform, !result.wrong, "\"%s\", batch %llu: %s", cell->layers,
           (unsigned long long)batch, result.reason);
    bm_bench_close(bench);
    free(bench);
    return 1;
}

static void check_cell(struct bm_conform *conform, const struct cell *cell) {
    struct set_up *set_up = bm_conform_allocate(conform, 1, sizeof *set_up);
    prepare(conform, cell, set_up);
    conform->asked++;
    for (uint32_t i = 0; i < cell->batch_count; i++) {
        conform->made += check_batch(conform, cell, set_up, cell->batches[i]) != 0;
    }
    bm_expected_unmap(&set_up->expected);
    bm_dataset_close(&set_up->dataset);
    free(set_up);
}

/* Of all networks this is the one that every backend supports. */
void bm_conform_cells_dense(struct bm_conform *conform) {
    check_cell(conform, &dense);
    EXPECT(conform, conform->made == dense.batch_count,
           "expected a backend that supports \"%s\": %s", dense.layers, conform->result->text);
}

void bm_conform_cells_mixed(struct bm_conform *conform) {
    check_cell(conform, &mixed);
}
