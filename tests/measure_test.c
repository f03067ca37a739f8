/* What the timed loops ask of a plugin, call by call, and what the replay finds. No clock. */
#include "measure.h"
#include "random.h"
#include "session.h"
#include "test.h"
#include "test_bench.h"

#include <math.h>

#define IMAGES 103u
#define BATCH 10u
#define CALLS_MAX 100u

static const struct bm_test_bench_spec spec = {.layers = "dense 6, batchnorm, relu, dense 4",
                                               .input = {1, 3, 3},
                                               .image_count = IMAGES,
                                               .optimizer = BM_OPTIMIZER_MOMENTUM,
                                               .batch = BATCH};

static const struct bm_plugin *base;
static struct bm_slice slices[CALLS_MAX]; /* of every gradient and update since the last reset */
static uint32_t slice_count;
static uint32_t wait_count;
static uint32_t read_losses;
static uint32_t unwaited;
static uint32_t drops; /* whether updates that are not waited for are dropped */
static uint32_t orders[4][IMAGES];
static uint32_t order_calls;

/* ---- A plugin that keeps notes ---- */

static void note(const struct bm_slice *slice) {
    TEST_CHECK(slice_count < CALLS_MAX);
    slices[slice_count++] = *slice;
}

static int32_t
note_gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    note(slice);
    return base->gradient(session, slice, error);
}

static int32_t note_update(struct bm_session *session,
                           const struct bm_slice *slice,
                           const struct bm_hyper *hyper,
                           struct bm_error *error) {
    note(slice);
    TEST_CHECK(hyper->update == slice->update);
    if (drops && unwaited++ > 0) {
        return BM_STATUS_OK;
    }
    return base->update(session, slice, hyper, error);
}

static int32_t note_updates(struct bm_session *session,
                            const struct bm_slice *slice,
                            uint32_t count,
                            const struct bm_hyper *hyper,
                            uint32_t stride,
                            struct bm_error *error) {
    return base->updates(session, slice, drops ? 1 : count, hyper, stride, error);
}

/* The second of two applies changes nothing. */
static int32_t
note_apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    return drops && hyper->update > 4 ? BM_STATUS_OK : base->apply(session, hyper, error);
}

static double device_gradient_ns = 1000;

/* Every gradient takes a nanosecond more than the one before. */
static int32_t
note_device_time(struct bm_session *session, struct bm_device_time *time, struct bm_error *error) {
    (void)session;
    (void)error;
    TEST_CHECK(unwaited == 0);
    time->gradient_ns = device_gradient_ns + (device_gradient_ns > 0 ? slice_count : 0);
    time->apply_ns = 10;
    return BM_STATUS_OK;
}

static int32_t note_wait(struct bm_session *session, double *loss, struct bm_error *error) {
    unwaited = 0;
    wait_count++;
    read_losses += loss != NULL;
    return base->wait(session, loss, error);
}

static int32_t note_order(struct bm_session *session,
                          const uint32_t *order,
                          uint64_t count,
                          struct bm_error *error) {
    if (count == IMAGES && order_calls < 4) {
        memcpy(orders[order_calls++], order, sizeof orders[0]);
    }
    return base->set_order(session, order, count, error);
}

static void forget_notes(void) {
    slice_count = wait_count = read_losses = unwaited = order_calls = 0;
}

static struct bm_test_bench *open_noting(void) {
    static struct bm_plugin table;
    table = *base;
    table.gradient = note_gradient;
    table.update = note_update;
    table.updates = note_updates;
    table.apply = note_apply;
    table.wait = note_wait;
    table.device_time = note_device_time;
    table.set_order = note_order;
    drops = 0;
    struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
    forget_notes();
    return test;
}

/* ---- Blocks ---- */

static void
run_block(struct bm_test_bench *test, const struct bm_block_shape *shape, float *after) {
    double samples_ns[8];
    struct bm_block_result result;
    TEST_CHECK(shape->values <= 8);
    TEST_CHECK_MSG(bm_measure_block(&test->bench, shape, after, samples_ns, &result,
                                    &test->error) == BM_STATUS_OK,
                   "%s", test->error.text);
    for (uint64_t i = 0; i < shape->values; i++) {
        TEST_CHECK(samples_ns[i] > 0);
    }
}

/* Two updates that are not recorded, then the block; the walk begins again where less than a batch
 * is left: at 100 of 103 images. */
static void check_walk(enum bm_series series, uint64_t expected_waits) {
    struct bm_test_bench *test = open_noting();
    struct bm_block_shape shape = {series, 3, 4};
    float *after = calloc(test->bench.param_count, sizeof *after);
    TEST_CHECK(after != NULL);
    run_block(test, &shape, after);
    TEST_CHECK_MSG(slice_count == 14, "%s: %u slices", bm_series_names[series], slice_count);
    for (uint32_t i = 0; i < slice_count; i++) {
        TEST_CHECK_MSG(slices[i].first == i % 10 * BATCH, "%s: call %u at %d",
                       bm_series_names[series], i, (int)slices[i].first);
        TEST_CHECK(slices[i].count == BATCH && slices[i].divisor == BATCH);
        TEST_CHECK(slices[i].update == i + 1);
    }
    TEST_CHECK_MSG(wait_count == expected_waits && read_losses == 0, "%s: %u waits, %u losses",
                   bm_series_names[series], wait_count, read_losses);
    free(after);
    bm_test_bench_destroy(test);
}

static void test_walk(void) {
    check_walk(BM_SERIES_UPDATE, 14);
    check_walk(BM_SERIES_GRADIENT, 14);
    check_walk(BM_SERIES_DEVICE_UPDATE, 14);
    check_walk(BM_SERIES_PIPELINED, 5); /* one for each of three values */
}

/* ---- Replay ---- */

static uint32_t replays_equal(enum bm_series series, uint32_t dropping, char *reason) {
    struct bm_test_bench *test = open_noting();
    struct bm_block_shape shape = {series, 2, 4};
    float *after = calloc(test->bench.param_count, sizeof *after);
    uint32_t equal = 2;
    TEST_CHECK(after != NULL);
    drops = dropping;
    run_block(test, &shape, after);
    drops = 0;
    forget_notes();
    TEST_CHECK(bm_measure_replay(&test->bench, &shape, after, &equal, reason, 256, &test->error) ==
               BM_STATUS_OK);
    free(after);
    bm_test_bench_destroy(test);
    return equal;
}

static void test_replay(void) {
    for (uint32_t series = 0; series < BM_SERIES_COUNT; series++) {
        char reason[256] = "";
        TEST_CHECK_MSG(replays_equal((enum bm_series)series, 0, reason) == 1, "%s: %s",
                       bm_series_names[series], reason);
    }

    static const enum bm_series dropped[] = {BM_SERIES_PIPELINED, BM_SERIES_UPDATES,
                                             BM_SERIES_APPLY};

    for (size_t i = 0; i < sizeof dropped / sizeof dropped[0]; i++) {
        char reason[256] = "";
        TEST_CHECK_MSG(replays_equal(dropped[i], 1, reason) == 0, "%s: dropped work is not seen",
                       bm_series_names[dropped[i]]);
        TEST_CONTAINS(reason, "after the timed block parameter");
    }
}

/* ---- The device's clock ---- */

static void read_device(enum bm_series series, uint32_t by_two_calls, double *samples_ns) {
    struct bm_test_bench *test = open_noting();
    struct bm_plugin table = *test->bench.plugin;
    struct bm_block_shape shape = {series, 2, 3};
    struct bm_block_result result;
    float *after = calloc(test->bench.param_count, sizeof *after);
    table.update = by_two_calls ? NULL : table.update;
    test->bench.plugin = &table;
    TEST_CHECK(after != NULL);
    TEST_CHECK_MSG(bm_measure_block(&test->bench, &shape, after, samples_ns, &result,
                                    &test->error) == BM_STATUS_OK,
                   "%s", test->error.text);
    TEST_CHECK(result.is_unknown == (device_gradient_ns < 0));
    free(after);
    bm_test_bench_destroy(test);
}

/* Warm-up makes gradients 1 and 2, for applies a third. */
static void test_device_clock(void) {
    double samples_ns[2];
    for (uint32_t by_two_calls = 0; by_two_calls < 2; by_two_calls++) {
        read_device(BM_SERIES_DEVICE_GRADIENT, by_two_calls, samples_ns);
        TEST_CHECK(samples_ns[0] == 1004 && samples_ns[1] == 1007);
        read_device(BM_SERIES_DEVICE_APPLY, by_two_calls, samples_ns);
        TEST_CHECK(fabs(samples_ns[0] - 10) < 1e-9 && fabs(samples_ns[1] - 10) < 1e-9);
        read_device(BM_SERIES_DEVICE_UPDATE, by_two_calls, samples_ns);
        TEST_CHECK(samples_ns[0] == 1004 + 10 * by_two_calls);
    }
    device_gradient_ns = -1;
    read_device(BM_SERIES_DEVICE_UPDATE, 0, samples_ns);
    read_device(BM_SERIES_DEVICE_UPDATE, 1, samples_ns);
    device_gradient_ns = 1000;
}

/* ---- Epoch ---- */

static void test_epoch(void) {
    struct bm_test_bench *test = open_noting();
    static uint32_t permutation[IMAGES];
    double seconds = 0;
    uint64_t updates = 0;
    TEST_CHECK(bm_measure_epoch(&test->bench, 5, &seconds, &updates, &test->error) == BM_STATUS_OK);
    TEST_CHECK(updates == 11 && slice_count == 11 && seconds > 0);
    for (uint32_t i = 0; i < slice_count; i++) {
        TEST_CHECK(slices[i].first == (uint64_t)i * BATCH && slices[i].update == i + 1);
        TEST_CHECK(slices[i].count == (i < 10 ? BATCH : 3));
        TEST_CHECK(slices[i].divisor == (double)slices[i].count);
    }
    TEST_CHECK(wait_count == 1 && read_losses == 0 && order_calls == 2);
    bm_random_permutation(1, 5, permutation, IMAGES);
    TEST_CHECK(memcmp(orders[0], permutation, sizeof permutation) == 0);
    bm_random_permutation(1, 0, permutation, IMAGES);
    TEST_CHECK(memcmp(orders[1], permutation, sizeof permutation) == 0);
    TEST_CHECK(test->bench.first == 0);
    bm_test_bench_destroy(test);
}

/* A training of single images evaluates in larger slices; what is timed has no room to spare. */
static void test_evaluates(void) {
    struct bm_test_bench_spec single = {.layers = "dense 4",
                                        .input = {1, 3, 3},
                                        .image_count = IMAGES,
                                        .optimizer = BM_OPTIMIZER_SGD,
                                        .batch = 1};
    for (single.evaluates = 0; single.evaluates < 2; single.evaluates++) {
        struct bm_test_bench *test = bm_test_bench_create(base, &single);
        double loss = 0;
        uint64_t correct = 0;
        TEST_CHECK(test->bench.problem.batch_max == (single.evaluates ? 256 : 1));
        TEST_CHECK(bm_bench_update(&test->bench, &test->error) == BM_STATUS_OK);
        TEST_CHECK(bm_bench_evaluate(&test->bench, BM_SPLIT_TEST, &loss, &correct, &test->error) ==
                   BM_STATUS_OK);
        bm_test_bench_destroy(test);
    }
}

int main(void) {
    base = bm_test_plugin("scalar");
    test_walk();
    test_replay();
    test_device_clock();
    test_epoch();
    test_evaluates();
    return 0;
}
