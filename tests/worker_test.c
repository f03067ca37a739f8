/* Workers with a plugin that misbehaves: each way has its verdict in time, and nothing is left
 * behind. The program is its own worker. */
#include "worker.h"

#include "interrupt.h"
#include "serve.h"
#include "test.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Far more than an answer takes, and the patience with those that give none. */
#define LIMIT_S 60.0
#define HANG_LIMIT_S 2.0

static char plugin_path[4096];
static struct bm_opened_file plugin_file;

static void start(struct bm_worker *worker, const char *how, uint32_t in_process) {
    struct bm_worker_variable variable = {"HOSTILE", how};
    struct bm_worker_spec spec = {.data_fd = -1,
                                  .reference_fd = -1,
                                  .plugin = &plugin_file,
                                  .variables = &variable,
                                  .variable_count = how == NULL ? 0 : 1,
                                  .in_process = in_process};
    struct bm_error error;
    TEST_CHECK_MSG(bm_worker_start(&spec, worker, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(bm_worker_running(worker));
}

static json_t *load(struct bm_worker *worker, double limit_s, struct bm_verdict *verdict) {
    json_t *reply = NULL;
    json_t *command = bm_worker_load_command("load", plugin_path, &plugin_file);
    bm_worker_ask(worker, command, limit_s, &reply, verdict);
    json_decref(command);
    return reply;
}

static int has_no_child(void) {
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* ---- Verdicts ---- */

struct fault {
    const char *how;
    enum bm_verdict_kind kind;
    const char *reason;
};

static void test_fault(const struct fault *fault) {
    struct bm_worker worker;
    struct bm_verdict verdict;
    start(&worker, fault->how, 0);
    json_t *reply =
        load(&worker, fault->kind == BM_VERDICT_TIMEOUT ? HANG_LIMIT_S : LIMIT_S, &verdict);
    TEST_CHECK_MSG(verdict.kind == fault->kind && strstr(verdict.reason, fault->reason) != NULL,
                   "%s: expected %s, \"%s\", found %s, \"%s\"", fault->how,
                   bm_verdict_status(fault->kind), fault->reason, bm_verdict_status(verdict.kind),
                   verdict.reason);
    TEST_CHECK(reply == NULL && !bm_worker_running(&worker));
    for (const char *c = verdict.reason; *c != '\0'; c++) {
        TEST_CHECK_MSG(!iscntrl((unsigned char)*c), "%s: \"%s\"", fault->how, verdict.reason);
    }
    json_t *text = json_string(verdict.reason);
    TEST_CHECK_MSG(text != NULL, "%s: not UTF-8", fault->how);
    json_decref(text);
    bm_worker_stop(&worker);
    TEST_CHECK_MSG(has_no_child(), "%s: a process is left", fault->how);
}

static void test_faults(void) {
    static const struct fault faults[] = {
        {"abort", BM_VERDICT_CRASHED, "killed by SIGABRT in device_count; last words: two "},
        {"exit", BM_VERDICT_CRASHED, "exited with status 3 in device_count"},
        {"leave child", BM_VERDICT_CRASHED, "exited with status 3 in device_count"},
        {"close", BM_VERDICT_ERROR, "closed its pipe in device_count"},
        {"change group", BM_VERDICT_ERROR, "closed its pipe in device_count"},
        {"garbage", BM_VERDICT_ERROR, "garbage on its pipe"},
        {"flood reply", BM_VERDICT_ERROR, "garbage on its pipe"},
        {"flood stderr", BM_VERDICT_TIMEOUT, "no answer from device_count within 2 s"},
        {"stop", BM_VERDICT_TIMEOUT, "no answer from device_count within 2 s"},
        {"hang", BM_VERDICT_TIMEOUT, "no answer from device_count within 2 s"},
        {"print", BM_VERDICT_ERROR, "wrote 6 bytes to standard output"},
        {"megabytes", BM_VERDICT_CRASHED, "last words: the last line of many"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        test_fault(&faults[i]);
    }
}

/* The last thread ends the process; a leak checker then finds what nobody freed, and may abort. */
static void test_end_of_thread(void) {
    int sanitized = bm_test_sanitized();
    struct fault fault = {"end thread", BM_VERDICT_CRASHED, "exited with status 0 in device_count"};
    fault.reason = sanitized ? "in device_count" : fault.reason;
    test_fault(&fault);
}

/* It is killed while nobody asks (by who is short of memory, say); the next question finds out. */
static void test_death_between(void) {
    struct bm_worker worker;
    struct bm_verdict verdict;
    start(&worker, "", 0);
    json_t *reply = load(&worker, LIMIT_S, &verdict);
    TEST_CHECK(verdict.kind == BM_VERDICT_OK && reply != NULL);
    json_decref(reply);
    TEST_CHECK(kill(worker.pid, SIGKILL) == 0);
    TEST_CHECK(load(&worker, LIMIT_S, &verdict) == NULL);
    TEST_CHECK(verdict.kind == BM_VERDICT_CRASHED);
    TEST_CONTAINS(verdict.reason, "killed by SIGKILL");
    TEST_CHECK(!bm_worker_running(&worker) && has_no_child());
    bm_worker_stop(&worker);
}

/* ---- Good answers ---- */

static void check_answer(const char *how, uint32_t in_process, const char *expected) {
    struct bm_worker worker;
    struct bm_verdict verdict;
    start(&worker, how, in_process);
    for (int i = 0; i < 3; i++) {
        json_t *reply = load(&worker, 20, &verdict);
        TEST_CHECK_MSG(verdict.kind == BM_VERDICT_OK, "%s", verdict.reason);
        TEST_CHECK_STR(verdict.reason, "");
        TEST_CHECK_STR(json_string_value(json_object_get(reply, "name")), "hostile");
        TEST_CHECK_STR(json_string_value(json_object_get(reply, "why_none")), expected);
        json_decref(reply);
    }
    bm_worker_stop(&worker);
    TEST_CHECK(!bm_worker_running(&worker) && has_no_child());
    bm_worker_stop(&worker);
}

static void test_good(void) {
    check_answer("good", 0, "HOSTILE is good");
    check_answer(NULL, 0, "HOSTILE is not set");
    check_answer(NULL, 1, "HOSTILE is not set");
    TEST_CHECK(getenv("HOSTILE") == NULL);
    /* A variable of our own gives way to the worker's. */
    TEST_CHECK(setenv("HOSTILE", "inherited", 1) == 0);
    check_answer("good", 0, "HOSTILE is good");
    check_answer(NULL, 0, "HOSTILE is inherited");
    TEST_CHECK(unsetenv("HOSTILE") == 0);
}

/* Another program that runs the worker, in the same process in the end; it sets the variable. */
static void test_wrapper(void) {
    char program[] = "/usr/bin/env";
    char variable[] = "HOSTILE=good";
    char *wrapper[] = {program, variable, NULL};
    struct bm_worker_spec spec = {
        .data_fd = -1, .reference_fd = -1, .plugin = &plugin_file, .wrapper = wrapper};
    struct bm_worker worker;
    struct bm_verdict verdict;
    struct bm_error error = {0};
    TEST_CHECK_MSG(bm_worker_start(&spec, &worker, &error) == BM_STATUS_OK, "%s", error.text);
    json_t *reply = load(&worker, 20, &verdict);
    TEST_CHECK_MSG(verdict.kind == BM_VERDICT_OK, "%s", verdict.reason);
    TEST_CHECK_STR(json_string_value(json_object_get(reply, "why_none")), "HOSTILE is good");
    json_decref(reply);
    bm_worker_stop(&worker);
    char nothing[] = "/nowhere/at/all";
    wrapper[0] = nothing;
    TEST_CHECK(bm_worker_start(&spec, &worker, &error) == BM_STATUS_INTERNAL);
    TEST_CONTAINS(error.text, "cannot start it: No such file or directory");
    TEST_CHECK(!bm_worker_running(&worker) && has_no_child());
}

static void test_unknown_question(void) {
    struct bm_worker worker;
    struct bm_verdict verdict;
    json_t *reply = NULL;
    start(&worker, NULL, 0);
    json_t *command = json_pack("{s:s}", "do", "block");
    bm_worker_ask(&worker, command, LIMIT_S, &reply, &verdict);
    TEST_CHECK(verdict.kind == BM_VERDICT_ERROR && reply == NULL);
    TEST_CONTAINS(verdict.reason, "block before create");
    TEST_CHECK(bm_worker_running(&worker));
    json_decref(command);
    bm_worker_stop(&worker);
}

/* A worker loads nothing but the file that it was started with. */
static void test_no_file(void) {
    struct bm_worker_spec spec = {.data_fd = -1, .reference_fd = -1};
    struct bm_worker worker;
    struct bm_verdict verdict;
    struct bm_error error = {0};
    TEST_CHECK_MSG(bm_worker_start(&spec, &worker, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(load(&worker, LIMIT_S, &verdict) == NULL && verdict.kind == BM_VERDICT_ERROR);
    TEST_CONTAINS(verdict.reason, "expected the plugin's open file and its facts, found none");
    bm_worker_stop(&worker);
}

/* ---- What is left ---- */

static uint32_t count_fds(void) {
    DIR *folder = opendir("/proc/self/fd");
    uint32_t count = 0;
    TEST_CHECK(folder != NULL);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

static void test_fds(void) {
    uint32_t before = count_fds();
    for (int i = 0; i < 50; i++) {
        struct bm_worker worker;
        struct bm_verdict verdict;
        start(&worker, i % 2 == 0 ? NULL : "exit", i % 10 == 4);
        json_decref(load(&worker, 20, &verdict));
        bm_worker_stop(&worker);
    }
    TEST_CHECK_MSG(count_fds() == before, "%u before, %u after", before, count_fds());
    TEST_CHECK(has_no_child());
}

static int is_gone(pid_t pid) {
    char path[64];
    char state = 'Z';
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) {
            state = 'Z';
        }
        (void)fclose(file);
    }
    return state == 'Z' || state == 'X';
}

static void test_death_of_parent(void) {
    int ends[2];
    pid_t worker_pid = 0;
    TEST_CHECK(pipe(ends) == 0);
    pid_t parent = fork();
    TEST_CHECK(parent >= 0);
    if (parent == 0) {
        struct bm_worker worker;
        struct bm_verdict verdict;
        start(&worker, NULL, 0);
        json_decref(load(&worker, 20, &verdict));
        _exit(verdict.kind == BM_VERDICT_OK &&
                      write(ends[1], &worker.pid, sizeof worker.pid) == sizeof worker.pid
                  ? 0
                  : 1);
    }
    int state = 0;
    TEST_CHECK(waitpid(parent, &state, 0) == parent && WIFEXITED(state) && WEXITSTATUS(state) == 0);
    TEST_CHECK(read(ends[0], &worker_pid, sizeof worker_pid) == sizeof worker_pid);
    for (int i = 0; i < 200 && !is_gone(worker_pid); i++) {
        (void)usleep(50000);
    }
    TEST_CHECK_MSG(is_gone(worker_pid), "worker %d outlives its parent", (int)worker_pid);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Whoever starts us may ignore the deaths of children, which would take their exit statuses away.
 */
static void test_ignored_children(void) {
    static const struct fault exits = {"exit", BM_VERDICT_CRASHED, "exited with status 3"};
    TEST_CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    bm_interrupt_catch();
    test_fault(&exits);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        bm_serve_main(argc - 1, argv + 1);
    }
    (void)snprintf(plugin_path, sizeof plugin_path, "%s/tests/plugins/hostile/bm_hostile.so",
                   bm_test_env("BM_TEST_BINARY_DIR"));
    struct bm_error error = {0};
    TEST_CHECK_MSG(bm_opened_file_note(open(plugin_path, O_RDONLY | O_CLOEXEC), plugin_path,
                                       &plugin_file, &error) == BM_STATUS_OK,
                   "%s", error.text);
    (void)alarm(120);
    bm_interrupt_catch();
    test_good();
    test_wrapper();
    test_unknown_question();
    test_no_file();
    test_faults();
    test_end_of_thread();
    test_death_between();
    test_fds();
    test_death_of_parent();
    test_ignored_children();
    bm_opened_file_close(&plugin_file);
    return 0;
}
