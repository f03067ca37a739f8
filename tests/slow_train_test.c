/*
 * Training the mlp with the scalar backend on Fashion-MNIST reaches at least 88 % of the 10 000
 * test images: batch 100, 10 epochs, momentum 0.9, rate 0.05, one seed. The whole path of a user:
 * data, start, shuffles, updates, evaluation.
 */
#include "bench.h"
#include "loader.h"
#include "random.h"
#include "test.h"

#include <unistd.h>

#define EPOCHS 10u
#define BATCH 100u
#define RATE 0.05
#define TEST_ACCURACY_MIN 0.88

static double accuracy(struct bm_bench *bench, uint32_t split, double *loss) {
    struct bm_error error = {0};
    uint64_t correct = 0;
    TEST_CHECK_MSG(bm_bench_evaluate(bench, split, loss, &correct, &error) == BM_STATUS_OK, "%s",
                   error.text);
    *loss /= (double)bench->dataset->split[split].count;
    return (double)correct / (double)bench->dataset->split[split].count;
}

static void train_epoch(struct bm_bench *bench, uint32_t epoch, uint32_t *order) {
    struct bm_error error = {0};
    uint64_t updates = 0;
    uint64_t count = bench->dataset->split[BM_SPLIT_TRAIN].count;
    bm_random_permutation(1, epoch, order, (uint32_t)count);
    TEST_CHECK_MSG(bm_bench_set_order(bench, order, count, &error) == BM_STATUS_OK &&
                       bm_bench_epoch(bench, &updates, &error) == BM_STATUS_OK &&
                       bm_bench_wait(bench, NULL, &error) == BM_STATUS_OK,
                   "%s", error.text);
    TEST_CHECK(updates == count / BATCH);
}

int main(void) {
    static struct bm_model model;
    static struct bm_dataset dataset;
    static struct bm_bench bench;
    struct bm_page page = {0};
    struct bm_error error = {0};
    const struct bm_plugin *plugin = NULL;
    char path[1024];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (bm_dataset_open("fashion-mnist", NULL, NULL, &dataset, &error) != BM_STATUS_OK) {
        TEST_SKIP(error.text);
    }
    (void)snprintf(path, sizeof path, "%s/bm_scalar.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    TEST_CHECK_MSG(bm_loader_load(path, NULL, &plugin, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(bm_model_named("mlp", dataset.shape, dataset.class_count, &model, &error) ==
               BM_STATUS_OK);
    struct bm_bench_request request = {
        .model = &model,
        .dataset = &dataset,
        .optimizer = BM_OPTIMIZER_MOMENTUM,
        .thread_count = (uint32_t)cores,
        .precision = BM_PRECISION_FLOAT32,
        .seed = 1,
        .batch = BATCH,
        .rate = RATE,
    };
    TEST_CHECK_MSG(bm_bench_open(plugin, &page, &request, &bench, &error) == BM_STATUS_OK, "%s",
                   error.text);
    uint32_t *order = malloc(dataset.split[BM_SPLIT_TRAIN].count * sizeof *order);
    TEST_CHECK(order != NULL);
    double test_accuracy = 0;
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        double loss = 0;
        train_epoch(&bench, epoch, order);
        double train_accuracy = accuracy(&bench, BM_SPLIT_TRAIN, &loss);
        (void)printf("epoch %u: train loss %.4f, accuracy %.4f", epoch + 1, loss, train_accuracy);
        test_accuracy = accuracy(&bench, BM_SPLIT_TEST, &loss);
        (void)printf("; test loss %.4f, accuracy %.4f\n", loss, test_accuracy);
        (void)fflush(stdout);
    }
    TEST_CHECK_MSG(test_accuracy >= TEST_ACCURACY_MIN, "expected at least %.2f, found %.4f",
                   TEST_ACCURACY_MIN, test_accuracy);
    free(order);
    bm_bench_close(&bench);
    bm_dataset_close(&dataset);
    return 0;
}
