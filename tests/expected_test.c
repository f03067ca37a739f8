/* The order of checks, and the memory file that carries the reference to the workers. */
#include "expected.h"
#include "random.h"
#include "session.h"
#include "test.h"
#include "test_bench.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGES 3000u

static const struct bm_test_bench_spec spec = {.layers = "dense 5, batchnorm, relu, dense 4",
                                               .input = {1, 3, 3},
                                               .image_count = 60,
                                               .batch = 7};

/* ---- Order ---- */

static void make_order(uint64_t seed, uint64_t batch, uint32_t *order) {
    struct bm_error error;
    TEST_CHECK(bm_expected_order(seed, IMAGES, batch, order, &error) == BM_STATUS_OK);
}

static uint32_t count_distinct(const uint32_t *order, uint64_t batch) {
    static unsigned char seen[IMAGES];
    uint32_t count = 0;
    memset(seen, 0, sizeof seen);
    for (uint64_t i = 0; i < batch; i++) {
        TEST_CHECK(order[i] < IMAGES);
        count += !seen[order[i]];
        seen[order[i]] = 1;
    }
    return count;
}

static void test_order(void) {
    static uint32_t order[IMAGES];
    static uint32_t again[IMAGES];
    static uint32_t permutation[IMAGES];
    bm_random_permutation(1, 0, permutation, IMAGES);
    make_order(1, 999, order);
    TEST_CHECK(memcmp(order, permutation, 999 * sizeof *order) == 0);
    for (uint64_t batch = 1000; batch <= IMAGES; batch += 1000) {
        make_order(1, batch, order);
        make_order(1, batch, again);
        TEST_CHECK(memcmp(order, again, batch * sizeof *order) == 0);
        uint32_t distinct = count_distinct(order, batch);
        TEST_CHECK_MSG(distinct > 500 && distinct <= BM_EXPECTED_IMAGES, "batch %d: %u distinct",
                       (int)batch, distinct);
    }
    make_order(2, IMAGES, again);
    TEST_CHECK(memcmp(order, again, sizeof order) != 0);
}

/* All of them come from the first thousand of the permutation, whose reference is computed. */
static void test_order_stays_in_thousand(void) {
    static uint32_t order[2 * IMAGES];
    static uint32_t permutation[IMAGES];
    bm_random_permutation(1, 0, permutation, IMAGES);
    make_order(1, 2000, order);
    memcpy(order + 2000, permutation, BM_EXPECTED_IMAGES * sizeof *order);
    TEST_CHECK(count_distinct(order, 2000 + BM_EXPECTED_IMAGES) == BM_EXPECTED_IMAGES);
}

/* ---- File ---- */

static struct bm_expected_request request_of(const struct bm_test_bench *test) {
    return (struct bm_expected_request){.model = &test->model,
                                        .dataset = &test->dataset,
                                        .seed = 1,
                                        .thread_count = 1,
                                        .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                        .accumulate_roundoff = BM_ROUNDOFF_FLOAT32};
}

static int32_t stop_at_third(void *context, uint32_t index) {
    (*(uint32_t *)context)++;
    return index == 2;
}

static int make_file(struct bm_test_bench *test) {
    static const uint64_t batches[] = {3, 7, 60};
    struct bm_expected_request request = request_of(test);
    uint32_t calls = 0;
    int fd = -1;
    TEST_CHECK(bm_expected_create(&request, batches, 3, stop_at_third, &calls, &fd, &test->error) ==
               BM_STATUS_OK);
    TEST_CHECK(fd >= 0 && calls == 3);
    return fd;
}

static void check_against_reference(struct bm_test_bench *test,
                                    const struct bm_expected_entry *entry) {
    struct bm_reference reference = {0};
    struct bm_reference_request of = {.model = &test->model,
                                      .data = &test->dataset.split[BM_SPLIT_TRAIN],
                                      .order = test->bench.order,
                                      .count = entry->batch,
                                      .divisor = (double)entry->batch,
                                      .update = 1,
                                      .seed = 1,
                                      .flags = BM_SLICE_NO_DROPOUT,
                                      .thread_count = 1,
                                      .multiply_roundoff = BM_ROUNDOFF_FLOAT32,
                                      .accumulate_roundoff = BM_ROUNDOFF_FLOAT32,
                                      .params = test->bench.start};
    TEST_CHECK(bm_reference_gradient(&of, &reference, &test->error) == BM_STATUS_OK);
    size_t params = reference.param_count * sizeof(double);
    size_t statistics = reference.statistics_count * sizeof(double);
    TEST_CHECK(reference.statistics_count == 10);
    TEST_CHECK(entry->loss == reference.loss && entry->loss_bound == reference.loss_bound);
    TEST_CHECK(memcmp(entry->gradient, reference.gradient, params) == 0);
    TEST_CHECK(memcmp(entry->gradient_bound, reference.bound, params) == 0);
    TEST_CHECK(memcmp(entry->statistics, reference.statistics, statistics) == 0);
    TEST_CHECK(memcmp(entry->statistics_bound, reference.statistics_bound, statistics) == 0);
    bm_reference_free(&reference);
}

static void test_round_trip(struct bm_test_bench *test) {
    struct bm_expected expected;
    int fd = make_file(test);
    TEST_CHECK(ftruncate(fd, 10) != 0 && pwrite(fd, "x", 1, 0) < 0);
    TEST_CHECK(bm_expected_map(fd, &expected, &test->error) == BM_STATUS_OK);
    TEST_CHECK(expected.entry_count == 2 && expected.param_count == test->bench.param_count);
    TEST_CHECK(bm_expected_find(&expected, 60, 1) == NULL);
    check_against_reference(test, bm_expected_find(&expected, 3, 1));
    check_against_reference(test, bm_expected_find(&expected, 7, 1));
    bm_expected_unmap(&expected);
    TEST_CHECK(expected.mapped == NULL);
}

/* A copy of the first `bytes`, with zeros after them where that is longer. */
static int cut_copy(int fd, off_t bytes) {
    char buffer[4096];
    ssize_t count;
    int copy = memfd_create("cut", MFD_CLOEXEC);
    TEST_CHECK(copy >= 0);
    for (off_t at = 0; (count = pread(fd, buffer, sizeof buffer, at)) > 0; at += count) {
        TEST_CHECK(pwrite(copy, buffer, (size_t)count, at) == count);
    }
    TEST_CHECK(ftruncate(copy, bytes) == 0);
    return copy;
}

static void refuse(int fd, const char *what, const char *reason) {
    struct bm_expected expected;
    struct bm_error error = {0};
    int32_t status = bm_expected_map(fd, &expected, &error);
    TEST_CHECK_MSG(status == BM_STATUS_INVALID, "%s: status %d", what, status);
    TEST_CONTAINS(error.text, reason);
    TEST_CHECK(expected.mapped == NULL);
}

static void test_refused(struct bm_test_bench *test) {
    struct stat file;
    int fd = make_file(test);
    TEST_CHECK(fstat(fd, &file) == 0);
    refuse(cut_copy(fd, file.st_size - 8), "one value short", "reference file: expected");
    refuse(cut_copy(fd, file.st_size + 8), "one value long", "reference file: expected");
    refuse(cut_copy(fd, 20), "half a header", "reference file:");
    refuse(cut_copy(fd, 0), "empty", "reference file:");
    int other = cut_copy(fd, file.st_size);
    TEST_CHECK(pwrite(other, "other", 5, 0) == 5);
    refuse(other, "other magic", "not one of ours");
    static const uint64_t absurd[] = {UINT64_MAX, UINT64_MAX / 16, UINT64_C(1) << 60};
    for (off_t field = 1; field <= 3; field++) {
        for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
            int copy = cut_copy(fd, file.st_size);
            TEST_CHECK(pwrite(copy, &absurd[i], sizeof absurd[i], 8 * field) == 8);
            refuse(copy, "absurd count", "reference file:");
        }
    }
    (void)close(fd);
}

int main(void) {
    struct bm_test_bench *test = bm_test_bench_create(bm_test_plugin("scalar"), &spec);
    test_order();
    test_order_stays_in_thousand();
    test_round_trip(test);
    test_refused(test);
    bm_test_bench_destroy(test);
    return 0;
}
