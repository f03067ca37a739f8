/* Every plugin of tests/plugins/bad has its own fault and no other: each is loaded in a process of
 * its own and asked for one small gradient. */
#include "loader.h"
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUTS UINT64_C(4)
#define CLASSES UINT64_C(3)
#define IMAGES UINT64_C(5)
#define PARAMS ((INPUTS + 1) * CLASSES)

/* What became of a child. */
#define EXIT_REFUSED 10 /* by the loader: `text` says why */
#define EXIT_DONE 20    /* `gradient` is there */
#define EXIT_ERROR 30   /* a call failed: `text` says why */

struct report {
    char text[BM_ERROR_TEXT_SIZE];
    float gradient[PARAMS];
};

struct outcome {
    int status; /* of waitpid */
    int32_t hung;
    size_t printed; /* bytes on standard output */
    struct report report;
};

static _Noreturn void finish(int report_fd, const struct report *report, int code) {
    _exit(write(report_fd, report, sizeof *report) == (ssize_t)sizeof *report ? code : EXIT_ERROR);
}

static int32_t
bind_images(const struct bm_plugin *plugin, struct bm_session *session, struct bm_error *error) {
    static _Alignas(64) const uint8_t images[IMAGES * INPUTS] = {
        9, 7, 0, 1, 3, 3, 200, 8, 5, 0, 6, 0, 1, 255, 2, 4, 30, 20, 10, 0};
    static _Alignas(64) const int32_t labels[IMAGES] = {0, 2, 1, 1, 0};
    static const uint32_t order[IMAGES] = {4, 0, 3, 1, 2};
    static const float scale = 0.01f;
    static const float shift = -0.1f;
    const struct bm_data data = {
        .size = sizeof data,
        .type = BM_DATA_UINT8,
        .count = IMAGES,
        .images = images,
        .labels = labels,
        .scale = &scale,
        .shift = &shift,
    };
    int32_t status = plugin->bind_data(session, BM_SPLIT_TRAIN, &data, error);
    return status ? status : plugin->set_order(session, order, IMAGES, error);
}

static int32_t
create(const struct bm_plugin *plugin, struct bm_session **session, struct bm_error *error) {
    const struct bm_layer layers[] = {
        {.size = sizeof *layers, .kind = BM_LAYER_DENSE, .outputs = CLASSES},
        {.size = sizeof *layers, .kind = BM_LAYER_SOFTMAX_CROSS_ENTROPY},
    };
    const struct bm_problem problem = {
        .size = sizeof problem,
        .layer_count = 2,
        .layer_stride = sizeof *layers,
        .input_channels = 1,
        .input_height = 1,
        .input_width = INPUTS,
        .optimizer = BM_OPTIMIZER_SGD,
        .thread_count = 1,
        .batch_max = IMAGES,
        .layers = layers,
        .precision = BM_PRECISION_FLOAT32,
        .option_stride = sizeof(struct bm_option),
    };
    return plugin->create(0, &problem, session, error);
}

static int32_t compute(const struct bm_plugin *plugin, float *gradient, struct bm_error *error) {
    struct bm_session *session = NULL;
    float params[PARAMS];
    const struct bm_slice slice = {
        .size = sizeof slice, .count = IMAGES, .update = 1, .divisor = IMAGES};
    for (uint32_t i = 0; i < PARAMS; i++) {
        params[i] = 0.1f * (float)(i % 7) - 0.3f;
    }
    int32_t status = create(plugin, &session, error);
    status = status ? status : plugin->write_params(session, params, PARAMS, error);
    status = status ? status : bind_images(plugin, session, error);
    status = status ? status : plugin->gradient(session, &slice, error);
    status = status ? status : plugin->wait(session, NULL, error);
    return status ? status : plugin->read_gradient(session, gradient, PARAMS, error);
}

static _Noreturn void run_child(const char *path, int report_fd) {
    static struct report report;
    const struct rlimit no_core = {0, 0};
    const struct bm_plugin *plugin = NULL;
    struct bm_error error = {.code = 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    int32_t status = bm_loader_load(path, NULL, &plugin, &error);
    if (status == BM_STATUS_OK) {
        status = compute(plugin, report.gradient, &error);
        (void)fflush(stdout);
    }
    memcpy(report.text, error.text, sizeof report.text);
    finish(report_fd, &report,
           status == BM_STATUS_OK ? EXIT_DONE
           : plugin == NULL       ? EXIT_REFUSED
                                  : EXIT_ERROR);
}

/* Reads until the end or until nothing comes for `limit_ms`; 1 at the end. */
static int32_t read_all(int fd, void *bytes, size_t capacity, size_t *length, int limit_ms) {
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    *length = 0;
    while (poll(&wanted, 1, limit_ms) > 0) {
        char rest[512];
        int32_t fits = *length < capacity;
        ssize_t got = fits ? read(fd, (char *)bytes + *length, capacity - *length)
                           : read(fd, rest, sizeof rest);
        if (got <= 0) {
            return 1;
        }
        *length += (size_t)got;
    }
    return 0;
}

static struct outcome run(const char *folder, const char *name, int limit_ms) {
    struct outcome outcome = {.status = 0};
    char path[4096];
    char text[256];
    int report[2];
    int out[2];
    size_t length = 0;
    (void)snprintf(path, sizeof path, "%s/bm_%s.so", folder, name);
    TEST_CHECK_MSG(access(path, R_OK) == 0, "%s is not there", path);
    TEST_CHECK(fflush(stdout) == 0 && pipe(report) == 0 && pipe(out) == 0);
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        /* What a sanitizer has to say about a death that is wanted. */
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        run_child(path, report[1]);
    }
    TEST_CHECK(close(report[1]) == 0 && close(out[1]) == 0);
    outcome.hung = !read_all(report[0], &outcome.report, sizeof outcome.report, &length, limit_ms);
    TEST_CHECK(!outcome.hung || kill(child, SIGKILL) == 0);
    TEST_CHECK(waitpid(child, &outcome.status, 0) == child);
    TEST_CHECK(read_all(out[0], text, sizeof text, &outcome.printed, 0));
    TEST_CHECK(close(report[0]) == 0 && close(out[0]) == 0);
    return outcome;
}

static char bad_folder[3000];
static struct outcome healthy;

static struct outcome run_bad(const char *name) {
    return run(bad_folder, name, 100000);
}

static void check_refused(const char *name, const char *text) {
    struct outcome outcome = run_bad(name);
    TEST_CHECK_MSG(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == EXIT_REFUSED,
                   "%s: wait status %d, %s", name, outcome.status, outcome.report.text);
    TEST_CONTAINS(outcome.report.text, text);
}

/* A sanitizer may catch the signal and exit or abort instead; death it stays. */
static void check_killed(const char *name, int number) {
    struct outcome outcome = run_bad(name);
    int32_t sanitized = bm_test_sanitized();
    if (sanitized && WIFEXITED(outcome.status)) {
        int code = WEXITSTATUS(outcome.status);
        TEST_CHECK_MSG(code != EXIT_REFUSED && code != EXIT_DONE && code != EXIT_ERROR,
                       "%s: exit code %d", name, code);
        return;
    }
    int last = WIFSIGNALED(outcome.status) ? WTERMSIG(outcome.status) : 0;
    TEST_CHECK_MSG(last == number || (sanitized && last == SIGABRT),
                   "%s: wait status %d, expected signal %d; %s", name, outcome.status, number,
                   outcome.report.text);
}

static void check_done(const char *name, const struct outcome *outcome) {
    TEST_CHECK_MSG(WIFEXITED(outcome->status) && WEXITSTATUS(outcome->status) == EXIT_DONE,
                   "%s: wait status %d, %s", name, outcome->status, outcome->report.text);
}

static uint32_t count_differences(const struct report *report) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < PARAMS; i++) {
        count += report->gradient[i] != healthy.report.gradient[i];
    }
    return count;
}

static void check_exit0(void) {
    struct outcome outcome = run_bad("bad_exit0");
    TEST_CHECK_MSG(WIFEXITED(outcome.status), "wait status %d", outcome.status);
    if (!bm_test_sanitized()) {
        TEST_CHECK(WEXITSTATUS(outcome.status) == 0);
    }
}

static void check_stdout_print(void) {
    struct outcome outcome = run_bad("bad_stdout_print");
    check_done("bad_stdout_print", &outcome);
    TEST_CHECK(outcome.printed == strlen("bad_stdout_print was here\n"));
    TEST_CHECK(count_differences(&outcome.report) == 0);
}

static void check_wrong_results(void) {
    struct outcome outcome = run_bad("bad_wrong_results");
    check_done("bad_wrong_results", &outcome);
    TEST_CHECK(outcome.printed == 0);
    TEST_CHECK_MSG(count_differences(&outcome.report) == 1, "%u elements are wrong, expected 1",
                   count_differences(&outcome.report));
}

int main(void) {
    (void)snprintf(bad_folder, sizeof bad_folder, "%s/tests/plugins/bad",
                   bm_test_env("BM_TEST_BINARY_DIR"));
    healthy = run(bm_test_env("BM_TEST_PLUGIN_DIR"), "scalar", 100000);
    check_done("scalar", &healthy);
    TEST_CHECK(healthy.printed == 0 && healthy.report.gradient[0] != 0.0f);

    check_refused("bad_wrong_magic", "magic");
    check_refused("bad_wrong_version", "ABI: host has 1.");
    check_refused("bad_no_symbol", "bm_plugin_entry");
    check_refused("bad_missing_dependency", "libbm_bad_not_installed.so");
    check_killed("bad_segfault_load", SIGSEGV);
    check_killed("bad_segfault_gradient", SIGSEGV);
    check_killed("bad_stack_overflow", SIGSEGV);
    check_killed("bad_abort", SIGABRT);
    check_exit0();
    TEST_CHECK(run(bad_folder, "bad_hang", 1000).hung);
    check_stdout_print();
    check_wrong_results();
    return 0;
}
