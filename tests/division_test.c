/* Dividing the training images: which are held out, where they lie, and what is refused. */
#include "division.h"
#include "test.h"

#include <stdint.h>

static struct bm_dataset dataset;

static void open_set(uint64_t train_count) {
    const struct bm_data_synthetic synthetic = {
        .shape = {1, 3, 5}, .class_count = 4, .train_count = train_count, .test_count = 8};
    struct bm_error error = {.text = ""};
    TEST_CHECK_MSG(bm_dataset_open("synthetic", NULL, &synthetic, &dataset, &error) == BM_STATUS_OK,
                   "%s", error.text);
}

static int is_aligned(const void *pointer) {
    return (uintptr_t)pointer % 64 == 0;
}

/* The held-out images are those behind the training images, as the file has them. */
static void expect(uint64_t train_count, uint64_t held_out) {
    const struct bm_data *train = &dataset.split[BM_SPLIT_TRAIN];
    const struct bm_data *validation = &dataset.split[BM_SPLIT_VALIDATION];
    size_t bytes = 15 * (train->type == BM_DATA_UINT8 ? 1 : sizeof(float));
    TEST_CHECK_MSG(train->count == train_count && validation->count == held_out,
                   "found %llu and %llu", (unsigned long long)train->count,
                   (unsigned long long)validation->count);
    if (held_out == 0) {
        return;
    }
    TEST_CHECK(is_aligned(validation->images) && is_aligned(validation->labels));
    TEST_CHECK(validation->type == train->type && validation->scale == train->scale &&
               validation->shift == train->shift && validation->size == train->size);
    TEST_CHECK(memcmp(validation->images, (const uint8_t *)train->images + train_count * bytes,
                      held_out * bytes) == 0);
    TEST_CHECK(memcmp(validation->labels, train->labels + train_count, held_out * 4) == 0);
}

static void divide(uint64_t images, uint64_t held_out) {
    struct bm_error error = {.text = ""};
    TEST_CHECK_MSG(bm_dataset_divide(&dataset, images, held_out, &error) == BM_STATUS_OK, "%s",
                   error.text);
}

static void test_division(void) {
    open_set(1234);
    divide(0, BM_DIVISION_DEFAULT);
    expect(1111, 123);
    divide(500, 7);
    expect(493, 7);
    divide(0, 1);
    expect(1233, 1);
    divide(0, 0);
    expect(1234, 0);
    divide(1, BM_DIVISION_DEFAULT);
    expect(1, 0);
    TEST_CHECK(dataset.split[BM_SPLIT_TEST].count == 8);
    bm_dataset_close(&dataset);
    open_set(60000);
    divide(0, BM_DIVISION_DEFAULT);
    expect(55000, 5000);
    bm_dataset_close(&dataset);
}

static void test_refusals(void) {
    struct bm_error error = {.text = ""};
    open_set(100);
    divide(50, 10);
    TEST_CHECK(bm_dataset_divide(&dataset, 101, 0, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected at most its 100 training images, found 101");
    TEST_CHECK(bm_dataset_divide(&dataset, 0, 100, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected fewer validation images than its 100");
    TEST_CHECK(bm_dataset_divide(&dataset, 30, 30, &error) == BM_STATUS_INVALID);
    expect(40, 10);
    bm_dataset_close(&dataset);
}

int main(void) {
    test_division();
    test_refusals();
    return 0;
}
