/* One set of a comparison, with real processes: its numbers, its orders, what a failing side leaves
 * of the other. The program is its own worker. No time is judged. */
#include "case_reference.h"
#include "compare_set.h"
#include "interrupt.h"
#include "selection.h"
#include "serve.h"
#include "test.h"

#include <errno.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 7u

/* ---- Numbers ---- */

static void test_values(void) {
    const double same[3][BM_ARM_COUNT] = {{5, 5, 5}, {7, 7, 7}, {1, 1, 1}};
    /* Head takes twice as long as the first arm of base, which takes half as long as the second;
     * one round in three is wild. */
    const double slow[3][BM_ARM_COUNT] = {{10, 20, 20}, {100, 200, 200}, {1, 900, 7}};
    const double two[2][BM_ARM_COUNT] = {{1, 1, 2}, {1, 1, 8}};
    double log_ratio = NAN;
    double aa = NAN;
    bm_set_values(same, 3, &log_ratio, &aa);
    TEST_CHECK(log_ratio == 0 && aa == 0);
    bm_set_values(slow, 3, &log_ratio, &aa);
    TEST_CHECK_MSG(fabs(log_ratio - log(2.0) / 2) < 1e-12, "%g", log_ratio);
    TEST_CHECK(fabs(aa - log(2.0)) < 1e-12);
    bm_set_values(two, 2, &log_ratio, &aa);
    TEST_CHECK(fabs(log_ratio - log(4.0)) < 1e-12);
}

/* Times have a long tail to one side; equal arms must be equal all the same. */
static void test_skewed_values(void) {
    const uint32_t rounds = 60;
    double times_ns[60][BM_ARM_COUNT];
    double log_ratio = NAN;
    double aa = NAN;
    /* Each arm meets the same times, and each pair of arms the same pairs. */
    for (uint32_t i = 0; i < rounds; i++) {
        times_ns[i][BM_ARM_BASE] = i % 3 == 0 ? 10 : 1;
        times_ns[i][BM_ARM_AGAIN] = i % 3 == 1 ? 10 : 1;
        times_ns[i][BM_ARM_HEAD] = i % 3 == 2 ? 10 : 1;
    }
    bm_set_values((const double(*)[BM_ARM_COUNT])times_ns, rounds, &log_ratio, &aa);
    TEST_CHECK_MSG(fabs(log_ratio) < 1e-12 && fabs(aa) < 1e-12, "%g, %g", log_ratio, aa);
}

static uint32_t code_of(const enum bm_arm order[BM_ARM_COUNT]) {
    return (uint32_t)order[0] * 9 + (uint32_t)order[1] * 3 + (uint32_t)order[2];
}

static void test_orders(void) {
    uint32_t first[2] = {0, 0}; /* of two sets, all orders one after the other */
    for (uint32_t number = 0; number < 2; number++) {
        for (uint32_t block = 0; block < 14; block++) {
            uint32_t seen = 0;
            for (uint32_t i = 0; i < 6; i++) {
                enum bm_arm order[BM_ARM_COUNT];
                bm_set_order(1, number, 6 * block + i, order);
                TEST_CHECK(order[0] != order[1] && order[1] != order[2] && order[0] != order[2]);
                seen |= UINT32_C(1) << code_of(order);
                first[number] = first[number] * 31 + code_of(order);
            }
            TEST_CHECK(__builtin_popcount(seen) == 6);
        }
    }
    TEST_CHECK(first[0] != first[1]);
}

/* ---- Sets ---- */

struct bench {
    struct bm_options options;
    struct bm_dataset dataset;
    struct bm_model model;
    struct bm_case of;
    struct bm_case_reference reference;
    struct bm_selection side[BM_SIDE_COUNT];
    struct bm_error error;
};

static struct bench bench;

static void open_bench(void) {
    const struct bm_data_synthetic synthetic = {
        .shape = {1, 6, 6}, .class_count = 10, .train_count = 500, .test_count = 100, .seed = 3};
    const uint64_t batches[] = {BATCH};
    bench.options.hang_time_s = 60;
    TEST_CHECK_MSG(bm_dataset_open("synthetic", NULL, &synthetic, &bench.dataset, &bench.error) ==
                       BM_STATUS_OK,
                   "%s", bench.error.text);
    TEST_CHECK(bm_model_parse("custom", "dense 8, relu, dense 10", bench.dataset.shape, 10,
                              &bench.model, &bench.error) == BM_STATUS_OK);
    bench.of = (struct bm_case){.model = &bench.model,
                                .dataset = &bench.dataset,
                                .precision = BM_PRECISION_FLOAT32,
                                .optimizer = BM_OPTIMIZER_MOMENTUM,
                                .threads = 1,
                                .seed = 1,
                                .lr = 1e-3};
    bm_model_format(&bench.model, bench.of.layers, sizeof bench.of.layers);
    bm_case_reference_init(&bench.reference, 0, 1e12);
    TEST_CHECK_MSG(bm_case_reference_make(&bench.reference, &bench.of, batches, 1, &bench.error) ==
                       BM_STATUS_OK,
                   "%s", bench.error.text);
    bench.of.reference_fd = bench.reference.fd;
}

static void close_bench(void) {
    bm_case_reference_close(&bench.reference);
    bm_dataset_close(&bench.dataset);
}

static void select_side(enum bm_side side, const char *file) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", bm_test_env("BM_TEST_BINARY_DIR"), file);
    TEST_CHECK_MSG(bm_selection_of(&bench.options, path, &bench.side[side], &bench.error) ==
                       BM_STATUS_OK,
                   "%s", bench.error.text);
    TEST_CHECK(bench.side[side].row_count == 1);
}

static int has_no_child(void) {
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* A set without time has the fewest rounds there are. */
static void measure_retrying(const char *base,
                             const char *head,
                             uint32_t checks,
                             uint32_t retries,
                             struct bm_set_result *result) {
    struct bm_set_request request = {.of = &bench.of,
                                     .batch = BATCH,
                                     .number = 1,
                                     .checks = checks,
                                     .retries = retries,
                                     .length_s = 0,
                                     .longest_s = 1e9,
                                     .hang_time_s = 60};
    select_side(BM_SIDE_BASE, base);
    select_side(BM_SIDE_HEAD, head);
    request.row[BM_SIDE_BASE] = &bench.side[BM_SIDE_BASE].row[0];
    request.row[BM_SIDE_HEAD] = &bench.side[BM_SIDE_HEAD].row[0];
    bm_set_measure(&request, result);
    TEST_CHECK(has_no_child());
    TEST_CHECK(request.row[BM_SIDE_BASE]->padding == NULL);
    bm_selection_free(&bench.side[BM_SIDE_BASE]);
    bm_selection_free(&bench.side[BM_SIDE_HEAD]);
}

static void
measure(const char *base, const char *head, uint32_t checks, struct bm_set_result *result) {
    measure_retrying(base, head, checks, 0, result);
}

#define SCALAR "plugins/bm_scalar.so"
#define TWIN "tests/plugins/twin/bm_twin.so"
#define CRASH "tests/plugins/bad/bm_bad_segfault_gradient.so"
#define WRONG "tests/plugins/bad/bm_bad_wrong_results.so"
#define FORGETFUL "tests/plugins/heads/bm_head_forgetful.so"
#define LAZY "tests/plugins/heads/bm_head_lazy.so"
#define MOODY "tests/plugins/heads/bm_head_moody.so"
#define PICKY "tests/plugins/heads/bm_head_picky.so"
#define SLOW "tests/plugins/heads/bm_head_slow.so"

static void test_good(void) {
    for (uint32_t checks = 0; checks < 2; checks++) {
        struct bm_set_result result;
        measure(SCALAR, TWIN, checks, &result);
        TEST_CHECK_MSG(result.verdict[0].kind == BM_VERDICT_OK, "%s", result.verdict[0].reason);
        TEST_CHECK_MSG(result.verdict[1].kind == BM_VERDICT_OK, "%s", result.verdict[1].reason);
        TEST_CHECK_MSG(result.rounds == 10, "%u rounds", result.rounds);
        TEST_CHECK(isfinite(result.log_ratio) && isfinite(result.aa));
        TEST_CHECK(result.update_ns[0] > 0 && result.update_ns[1] > 0 && result.estimate_ns > 0);
        TEST_CHECK((result.checks_s > 0) == (checks != 0));
        TEST_CONTAINS(result.describe[0], "threads=1");
        TEST_CONTAINS(result.describe[1], "threads=1");
    }
}

/* Head sleeps 300 us in an update that takes a few. */
static void test_slow(void) {
    struct bm_set_result result;
    measure(SCALAR, SLOW, 0, &result);
    TEST_CHECK_MSG(result.log_ratio > log(2.0), "log ratio %g", result.log_ratio);
    TEST_CHECK(result.update_ns[BM_SIDE_HEAD] > 300000);
}

/* The moods of the arms are 0, 1, 0; asked again, the second is 1, then 0. */
static void test_lottery(void) {
    char path[] = "/tmp/compare_set_test_XXXXXX";
    struct bm_set_result result;
    int fd = mkstemp(path);
    TEST_CHECK(fd >= 0 && close(fd) == 0 && setenv("MOODY", path, 1) == 0);
    measure_retrying(MOODY, MOODY, 0, 4, &result);
    TEST_CHECK(result.verdict[0].kind == BM_VERDICT_OK && result.rounds == 10);
    TEST_CHECK_MSG(result.retries == 2 && !result.is_unlike && !result.is_stubborn, "%u retries",
                   result.retries);
    TEST_CHECK(strstr(result.describe[BM_SIDE_BASE], "mood=0") != NULL);
    TEST_CHECK(strstr(result.describe[BM_SIDE_HEAD], "mood=0") != NULL);
    TEST_CHECK(truncate(path, 0) == 0);
    measure_retrying(MOODY, MOODY, 0, 0, &result);
    TEST_CHECK(result.verdict[0].kind == BM_VERDICT_OK && result.rounds == 10);
    TEST_CHECK(result.retries == 0 && result.is_unlike);
    TEST_CHECK(unlink(path) == 0 && unsetenv("MOODY") == 0);
    /* Head says always the same, and base something else: no lottery. */
    measure_retrying(SCALAR, SLOW, 0, 2, &result);
    TEST_CHECK(result.retries >= 2 && result.is_unlike && result.is_stubborn);
}

static void check_failure(const char *base,
                          const char *head,
                          uint32_t checks,
                          enum bm_verdict_kind of_base,
                          enum bm_verdict_kind of_head) {
    struct bm_set_result result;
    measure(base, head, checks, &result);
    TEST_CHECK_MSG(result.verdict[0].kind == of_base, "%s, base: %s", base,
                   result.verdict[0].reason);
    TEST_CHECK_MSG(result.verdict[1].kind == of_head, "%s, head: %s", head,
                   result.verdict[1].reason);
    TEST_CHECK(of_head == BM_VERDICT_OK || result.verdict[1].reason[0] != '\0');
}

static void test_failures(void) {
    check_failure(SCALAR, CRASH, 1, BM_VERDICT_OK, BM_VERDICT_CRASHED);
    check_failure(CRASH, SCALAR, 1, BM_VERDICT_CRASHED, BM_VERDICT_OK);
    check_failure(SCALAR, WRONG, 1, BM_VERDICT_OK, BM_VERDICT_WRONG);
    check_failure(WRONG, WRONG, 1, BM_VERDICT_WRONG, BM_VERDICT_WRONG);
    check_failure(SCALAR, LAZY, 1, BM_VERDICT_OK, BM_VERDICT_WRONG);
    /* What only the replay sees. */
    check_failure(SCALAR, FORGETFUL, 1, BM_VERDICT_OK, BM_VERDICT_WRONG);
    check_failure(FORGETFUL, SCALAR, 1, BM_VERDICT_WRONG, BM_VERDICT_OK);
    check_failure(SCALAR, FORGETFUL, 0, BM_VERDICT_OK, BM_VERDICT_OK);
    check_failure(SCALAR, PICKY, 0, BM_VERDICT_OK, BM_VERDICT_UNSUPPORTED);
    check_failure(PICKY, TWIN, 0, BM_VERDICT_UNSUPPORTED, BM_VERDICT_OK);
    check_failure(PICKY, PICKY, 0, BM_VERDICT_UNSUPPORTED, BM_VERDICT_UNSUPPORTED);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        bm_serve_main(argc - 1, argv + 1);
    }
    (void)alarm(880);
    bm_interrupt_catch();
    test_values();
    test_skewed_values();
    test_orders();
    open_bench();
    test_good();
    test_slow();
    test_lottery();
    test_failures();
    close_bench();
    return 0;
}
