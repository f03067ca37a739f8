/* One block through Google Benchmark: counted steps, known clocks, errors in every place. */
#include "error.h"
#include "gbench.h"
#include "test.h"

#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX 64

/* What the steps of a block did, and a clock that only they advance. */
struct work {
    uint64_t prepare_count;
    uint64_t step_count;
    uint64_t finish_count;
    uint64_t fail_in_prepare; /* 1: fail */
    uint64_t fail_in_step;    /* number of the step, from 1 */
    uint64_t fail_in_finish;  /* number of the wait, from 1 */
    uint64_t step_ns;         /* the k-th step takes k times that, the first being 1 */
    uint64_t finish_ns;
};

static uint64_t fake_ns;

static uint64_t read_fake_clock(void) {
    return fake_ns;
}

static uint64_t read_backwards_clock(void) {
    return fake_ns--;
}

static uint64_t read_stuck_clock(void) {
    return 77;
}

static int32_t prepare(void *context, struct bm_error *error) {
    struct work *work = context;
    work->prepare_count++;
    fake_ns += 1000000;
    return work->fail_in_prepare ? bm_fail(error, BM_STATUS_DEVICE_LOST, "prepare was told to fail")
                                 : BM_STATUS_OK;
}

static int32_t step(void *context, struct bm_error *error) {
    struct work *work = context;
    work->step_count++;
    fake_ns += work->step_ns * work->step_count;
    return work->step_count == work->fail_in_step
               ? bm_fail(error, BM_STATUS_TIMEOUT, "step %lu was told to fail",
                         (unsigned long)work->step_count)
               : BM_STATUS_OK;
}

static int32_t finish(void *context, struct bm_error *error) {
    struct work *work = context;
    work->finish_count++;
    fake_ns += work->finish_ns;
    return work->finish_count == work->fail_in_finish
               ? bm_fail(error, BM_STATUS_NO_MEMORY, "finish was told to fail")
               : BM_STATUS_OK;
}

static struct bm_gbench_block make_block(struct work *work, uint64_t values, uint64_t per_value) {
    fake_ns = 5000;
    const struct bm_gbench_block block = {
        .name = "test",
        .values = values,
        .per_value = per_value,
        .context = work,
        .prepare = prepare,
        .step = step,
        .finish = finish,
        .now_ns = read_fake_clock,
    };
    return block;
}

static void check_close(double found, double expected) {
    TEST_CHECK_MSG(fabs(found - expected) <= 1e-12 * fabs(expected), "found %.17g, expected %.17g",
                   found, expected);
}

/* No trial runs, no warm-up, no repetition: every step is one that was asked for. */
static void test_steps_are_counted_exactly(void) {
    const uint64_t shapes[][2] = {{1, 1}, {1, 1000}, {3, 1}, {7, 3}, {VALUE_MAX, 16}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct work work = {.step_ns = 1};
        struct bm_gbench_block block = make_block(&work, shapes[i][0], shapes[i][1]);
        struct bm_gbench_result result;
        struct bm_error error;
        double samples[VALUE_MAX];
        TEST_CHECK(bm_gbench_run(&block, samples, &result, &error) == BM_STATUS_OK);
        TEST_CHECK(work.prepare_count == 1);
        TEST_CHECK(work.step_count == shapes[i][0] * shapes[i][1]);
        TEST_CHECK(work.finish_count == shapes[i][0]);
        TEST_CHECK(result.steps == work.step_count && result.iterations == work.step_count);
    }
}

/* Steps take 10, 20, ... 60 ns, three a value, and a wait of 6 ns; preparing takes 1 ms and is not
 * seen. */
static void test_samples_of_a_fake_clock(void) {
    struct work work = {.step_ns = 10, .finish_ns = 6};
    struct bm_gbench_block block = make_block(&work, 2, 3);
    struct bm_gbench_result result;
    struct bm_error error;
    double samples[2];
    TEST_CHECK(bm_gbench_run(&block, samples, &result, &error) == BM_STATUS_OK);
    check_close(samples[0], (10 + 20 + 30 + 6) / 3.0);
    check_close(samples[1], (40 + 50 + 60 + 6) / 3.0);
    check_close(result.mean_ns, (samples[0] + samples[1]) / 2);
}

static void test_mean_of_long_steps(void) {
    struct work work = {.step_ns = 123456789, .finish_ns = 17};
    struct bm_gbench_block block = make_block(&work, VALUE_MAX, 5);
    struct bm_gbench_result result;
    struct bm_error error;
    double samples[VALUE_MAX];
    TEST_CHECK(bm_gbench_run(&block, samples, &result, &error) == BM_STATUS_OK);
    double sum = 0;
    for (int i = 0; i < VALUE_MAX; i++) {
        sum += samples[i];
    }
    check_close(result.mean_ns, sum / VALUE_MAX);
}

static void test_optional_functions_may_be_missing(void) {
    struct work work = {.step_ns = 10};
    struct bm_gbench_block block = make_block(&work, 1, 1);
    block.name = NULL;
    block.prepare = NULL;
    block.finish = NULL;
    struct bm_gbench_result result;
    struct bm_error error;
    double sample = 0;
    TEST_CHECK(bm_gbench_run(&block, &sample, &result, &error) == BM_STATUS_OK);
    TEST_CHECK(work.prepare_count == 0 && work.step_count == 1 && work.finish_count == 0);
    check_close(sample, 10.0);
}

/* The block fails as told and leaves no sample; the next one is whole. */
static void check_failure(struct bm_gbench_block *block, int32_t status, const char *text) {
    struct bm_gbench_result result;
    struct bm_error error = {.code = 0};
    double samples[VALUE_MAX];
    memset(samples, 0xff, sizeof samples);
    int32_t found = bm_gbench_run(block, samples, &result, &error);
    TEST_CHECK_MSG(found == status, "found %d, expected %d", found, status);
    TEST_CHECK(error.code == status);
    TEST_CONTAINS(error.text, text);
    for (uint64_t i = 0; i < block->values; i++) {
        TEST_CHECK(samples[i] == 0.0);
    }
    TEST_CHECK(result.steps == 0 && result.iterations == 0 && result.mean_ns == 0.0);
    test_samples_of_a_fake_clock();
}

static void test_error_in_prepare(void) {
    struct work work = {.step_ns = 1, .fail_in_prepare = 1};
    struct bm_gbench_block block = make_block(&work, 4, 2);
    check_failure(&block, BM_STATUS_DEVICE_LOST, "prepare was told to fail");
    TEST_CHECK(work.step_count == 0 && work.finish_count == 0);
}

/* First, middle and last step, alone in a value and in company. */
static void test_error_in_step(void) {
    for (uint64_t per_value = 1; per_value <= 3; per_value++) {
        for (uint64_t bad = 1; bad <= 4 * per_value; bad++) {
            struct work work = {.step_ns = 1, .fail_in_step = bad};
            struct bm_gbench_block block = make_block(&work, 4, per_value);
            check_failure(&block, BM_STATUS_TIMEOUT, "was told to fail");
            TEST_CHECK(work.step_count == bad);
            TEST_CHECK(work.finish_count == (bad - 1) / per_value);
        }
    }
}

static void test_error_in_finish(void) {
    for (uint64_t bad = 1; bad <= 4; bad++) {
        struct work work = {.step_ns = 1, .fail_in_finish = bad};
        struct bm_gbench_block block = make_block(&work, 4, 2);
        check_failure(&block, BM_STATUS_NO_MEMORY, "finish was told to fail");
        TEST_CHECK(work.step_count == 2 * bad);
    }
}

static void test_clock_that_does_not_advance(void) {
    struct work work = {.step_ns = 1};
    struct bm_gbench_block block = make_block(&work, 3, 1);
    block.now_ns = read_stuck_clock;
    check_failure(&block, BM_STATUS_INTERNAL, "value 1 of 3: the clock read 77 ns before and 77");
    TEST_CHECK(work.step_count == 1);
}

static void test_clock_that_goes_back(void) {
    struct work work = {.step_ns = 0};
    struct bm_gbench_block block = make_block(&work, 3, 1);
    block.now_ns = read_backwards_clock;
    check_failure(&block, BM_STATUS_INTERNAL, "expected a later time");
    TEST_CHECK(work.step_count == 1);
}

static void test_impossible_blocks(void) {
    const uint64_t shapes[][2] = {{0, 1}, {1, 0}, {2, UINT64_MAX / 2}, {1, UINT64_MAX}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct work work = {.step_ns = 1};
        struct bm_gbench_block block = make_block(&work, shapes[i][0], shapes[i][1]);
        struct bm_gbench_result result;
        struct bm_error error;
        double samples[2];
        TEST_CHECK(bm_gbench_run(&block, samples, &result, &error) == BM_STATUS_INVALID);
        TEST_CONTAINS(error.text, "expected at least one step");
        TEST_CHECK(work.prepare_count == 0 && work.step_count == 0);
    }
}

static int32_t burn(void *context, struct bm_error *error) {
    (void)context;
    (void)error;
    clock_t end = clock() + CLOCKS_PER_SEC / 100;
    while (clock() < end) {
    }
    return BM_STATUS_OK;
}

static int32_t doze(void *context, struct bm_error *error) {
    (void)context;
    (void)error;
    const struct timespec pause = {.tv_nsec = 10000000};
    (void)nanosleep(&pause, NULL);
    return BM_STATUS_OK;
}

/* The processor's time of a step, and not that of preparing: 10 ms when it works, next to nothing
 * when it sleeps. The real clock sees 10 ms of both. */
static void test_processor_time(void) {
    struct bm_gbench_block block = {.values = 3, .per_value = 1, .step = burn};
    struct bm_gbench_result result;
    struct bm_error error;
    double samples[3];
    TEST_CHECK(bm_gbench_run(&block, samples, &result, &error) == BM_STATUS_OK);
    TEST_CHECK(result.process_cpu_ns >= 9.9e6);
    TEST_CHECK(samples[0] >= 9.9e6 && samples[2] >= 9.9e6);
    block.step = doze;
    block.prepare = burn;
    TEST_CHECK(bm_gbench_run(&block, samples, &result, &error) == BM_STATUS_OK);
    TEST_CHECK(samples[0] >= 1e7 && samples[2] >= 1e7);
    TEST_CHECK(result.process_cpu_ns < 3e6);
}

/* What stands in the file behind a redirected descriptor. */
static off_t redirect(int fd, const char *path, int *saved) {
    *saved = dup(fd);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    TEST_CHECK(*saved >= 0 && file >= 0 && dup2(file, fd) == fd);
    return close(file);
}

static off_t restore(int fd, int saved) {
    off_t size = lseek(fd, 0, SEEK_END);
    TEST_CHECK(dup2(saved, fd) == fd && close(saved) == 0);
    return size;
}

/* Good and failing blocks in turn, as a run makes them by the hundred. Returns how many ended as
 * they should. */
static int run_many_blocks(int count) {
    int right = 0;
    for (int i = 0; i < count; i++) {
        struct work work = {.step_ns = 1, .fail_in_step = (i % 3 == 0) ? 4 : 0};
        struct bm_gbench_block block = make_block(&work, 8, 1);
        struct bm_gbench_result result;
        struct bm_error error;
        double samples[8];
        int32_t status = bm_gbench_run(&block, samples, &result, &error);
        right += status == (i % 3 == 0 ? BM_STATUS_TIMEOUT : BM_STATUS_OK);
    }
    return right;
}

static void test_many_blocks_keep_no_memory_and_print_nothing(void) {
    char out[] = "gbench_test.XXXXXX";
    char err[] = "gbench_test.XXXXXX";
    TEST_CHECK(close(mkstemp(out)) == 0 && close(mkstemp(err)) == 0);
    TEST_CHECK(fflush(stdout) == 0);
    int saved_out = -1;
    int saved_err = -1;
    TEST_CHECK(redirect(STDOUT_FILENO, out, &saved_out) == 0);
    TEST_CHECK(redirect(STDERR_FILENO, err, &saved_err) == 0);
    int right = run_many_blocks(100);
    size_t before = mallinfo2().uordblks;
    right += run_many_blocks(300);
    size_t after = mallinfo2().uordblks;
    TEST_CHECK(fflush(stdout) == 0);
    off_t err_size = restore(STDERR_FILENO, saved_err);
    off_t out_size = restore(STDOUT_FILENO, saved_out);
    TEST_CHECK(unlink(out) == 0 && unlink(err) == 0);
    TEST_CHECK_MSG(right == 400, "%d of 400 blocks ended as they should", right);
    TEST_CHECK_MSG(out_size == 0 && err_size == 0, "%ld bytes on stdout, %ld on stderr",
                   (long)out_size, (long)err_size);
    TEST_CHECK_MSG(after == before, "%lu bytes before, %lu after 300 more blocks",
                   (unsigned long)before, (unsigned long)after);
}

static void test_library_is_named(void) {
    unsigned major = 0;
    unsigned minor = 0;
    TEST_CHECK_MSG(sscanf(bm_gbench_version(), "%u.%u", &major, &minor) == 2, "found \"%s\"",
                   bm_gbench_version());
    TEST_CHECK(major >= 1);
    const char *type = bm_gbench_build_type();
    TEST_CHECK_MSG(strcmp(type, "debug") == 0 || strcmp(type, "release") == 0, "found \"%s\"",
                   type);
    TEST_CHECK(bm_gbench_build_type() == type);
}

int main(void) {
    test_many_blocks_keep_no_memory_and_print_nothing();
    test_steps_are_counted_exactly();
    test_samples_of_a_fake_clock();
    test_mean_of_long_steps();
    test_optional_functions_may_be_missing();
    test_error_in_prepare();
    test_error_in_step();
    test_error_in_finish();
    test_clock_that_does_not_advance();
    test_clock_that_goes_back();
    test_impossible_blocks();
    test_processor_time();
    test_library_is_named();
    test_samples_of_a_fake_clock();
    return 0;
}
