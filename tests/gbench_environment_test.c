/* The library reads its options from the environment as well. A user who has them set still gets
 * the block that was asked for: the program starts itself again with hostile ones. */
#include "gbench.h"
#include "test.h"

#include <batchmark/plugin.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT_FILE "gbench_environment_test.out"

static uint64_t fake_ns;

static uint64_t read_fake_clock(void) {
    return fake_ns;
}

static int32_t count_step(void *context, struct bm_error *error) {
    (void)error;
    *(uint64_t *)context += 1;
    fake_ns += 10;
    return BM_STATUS_OK;
}

static int run_block(void) {
    uint64_t steps = 0;
    const struct bm_gbench_block block = {
        .name = "environment",
        .values = 5,
        .per_value = 2,
        .context = &steps,
        .step = count_step,
        .now_ns = read_fake_clock,
    };
    struct bm_gbench_result result;
    struct bm_error error;
    double samples[5];
    int32_t status = bm_gbench_run(&block, samples, &result, &error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK_MSG(steps == 10, "%lu steps, expected 10", (unsigned long)steps);
    TEST_CHECK(result.iterations == 10 && samples[4] == 10.0);
    return 0;
}

static void set(const char *name, const char *value) {
    TEST_CHECK(setenv(name, value, 1) == 0);
}

static void set_hostile_environment(void) {
    set("BENCHMARK_LIST_TESTS", "true");
    set("BENCHMARK_FILTER", "something else");
    set("BENCHMARK_MIN_TIME", "0.1");
    set("BENCHMARK_MIN_WARMUP_TIME", "0.1");
    set("BENCHMARK_REPETITIONS", "3");
    set("BENCHMARK_ENABLE_RANDOM_INTERLEAVING", "true");
    set("BENCHMARK_REPORT_AGGREGATES_ONLY", "true");
    set("BENCHMARK_DISPLAY_AGGREGATES_ONLY", "true");
    set("BENCHMARK_FORMAT", "no such format");
    set("BENCHMARK_OUT_FORMAT", "no such format");
    set("BENCHMARK_OUT", OUT_FILE);
    set("BENCHMARK_COLOR", "true");
    set("BENCHMARK_COUNTERS_TABULAR", "true");
    set("BENCHMARK_PERF_COUNTERS", "CYCLES");
    set("V", "3");
}

/* Runs this program as a child with stdout and stderr in a pipe, and returns how much it printed;
 * what it printed is in `text`. */
static size_t run_child(char *text, size_t capacity, int *status) {
    int ends[2];
    TEST_CHECK(pipe(ends) == 0);
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execl("/proc/self/exe", "gbench_environment_test", "block", (char *)NULL);
        _exit(127);
    }
    TEST_CHECK(close(ends[1]) == 0);
    size_t length = 0;
    ssize_t got = 0;
    while ((got = read(ends[0], text + length, capacity - 1 - length)) > 0) {
        length += (size_t)got;
    }
    text[length] = '\0';
    TEST_CHECK(waitpid(child, status, 0) == child);
    return length;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        return run_block();
    }
    set_hostile_environment();
    (void)unlink(OUT_FILE);
    static char text[65536];
    int status = 0;
    size_t length = run_child(text, sizeof text, &status);
    TEST_CHECK_MSG(length == 0, "the child printed: %s", text);
    TEST_CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status %d", status);
    TEST_CHECK_MSG(access(OUT_FILE, F_OK) != 0, "%s was written", OUT_FILE);
    return 0;
}
