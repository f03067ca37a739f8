/* The file that keeps the vulkan backend's compiled pipelines: it appears whole or not at all,
 * whatever becomes of the folder, the disk or the process, and no session fails for it. */
#include "session.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char work[PATH_MAX / 4];
static char folder[PATH_MAX / 2]; /* below what XDG_CACHE_HOME says */

static void set_home(const char *name) {
    char home[PATH_MAX / 2];
    (void)snprintf(home, sizeof home, "%s/%s", work, name);
    (void)snprintf(folder, sizeof folder, "%s/%s/batchmark", work, name);
    TEST_CHECK(setenv("XDG_CACHE_HOME", home, 1) == 0);
}

/* How a session ends for which there is less room for a file than it needs. */
enum end { WELL, WITHOUT_ROOM, KILLED };

static void limit_files(enum end end) {
    const struct rlimit limit = {16, 16};
    if (end != WELL) {
        (void)signal(SIGXFSZ, end == KILLED ? SIG_DFL : SIG_IGN);
        TEST_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
}

static int run_session(enum end end) {
    const struct bm_test_session_spec spec = {.plugin = "vulkan",
                                              .layers = "dense 4",
                                              .input = {1, 3, 3},
                                              .optimizer = BM_OPTIMIZER_SGD,
                                              .thread_count = 1,
                                              .batch_max = 8,
                                              .image_count = 8};
    struct bm_test_session *test = bm_test_session_create(&spec);
    const struct bm_slice slice = bm_test_slice(0, 8, 0, 1);
    TEST_CHECK_MSG(test->plugin->gradient(test->session, &slice, &test->error) == BM_STATUS_OK,
                   "%s", test->error.text);
    TEST_CHECK_MSG(test->plugin->wait(test->session, NULL, &test->error) == BM_STATUS_OK, "%s",
                   test->error.text);
    limit_files(end);
    bm_test_session_destroy(test);
    return 0;
}

/* In a process of its own, with the driver in it. */
static void check_session(enum end end) {
    int state = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        _exit(run_session(end));
    }
    TEST_CHECK(waitpid(child, &state, 0) == child);
    if (end == KILLED) {
        TEST_CHECK_MSG(WIFSIGNALED(state) && WTERMSIG(state) == SIGXFSZ, "state %x", state);
    } else {
        TEST_CHECK_MSG(WIFEXITED(state) && WEXITSTATUS(state) == 0, "state %x", state);
    }
}

/* Number of files in the folder; the last one's path and size. */
static uint32_t find_files(char path[PATH_MAX], off_t *bytes) {
    uint32_t count = 0;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        struct stat found;
        (void)snprintf(path, PATH_MAX, "%s/%s", folder, entry->d_name);
        if (stat(path, &found) == 0 && S_ISREG(found.st_mode)) {
            *bytes = found.st_size;
            count++;
        }
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
    return count;
}

static void check_files(uint32_t expected) {
    char path[PATH_MAX];
    off_t bytes = 0;
    uint32_t count = find_files(path, &bytes);
    TEST_CHECK_MSG(count == expected, "%u files in %s, expected %u", count, folder, expected);
}

/* ---- Tests ---- */

static void test_missing_folders(void) {
    char path[PATH_MAX];
    off_t bytes = 0;
    set_home("not/yet/there");
    check_session(WELL);
    TEST_CHECK(find_files(path, &bytes) == 1 && bytes > 0);
    TEST_CHECK_MSG(strcmp(path + strlen(path) - 6, ".cache") == 0, "%s", path);
}

/* Where a folder should be there is a file. */
static void test_no_folder(void) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/file", work);
    FILE *file = fopen(path, "w");
    TEST_CHECK(file != NULL && fclose(file) == 0);
    set_home("file/below");
    check_session(WELL);
    set_home("file");
    check_session(WELL);
}

/* Nothing appears, and what was there stays: here a damaged file, which a session replaces. */
static void test_unwritten(enum end end, const char *name) {
    char path[PATH_MAX];
    off_t bytes = 0;
    set_home(name);
    (void)snprintf(path, sizeof path, "%s/%s", work, name);
    TEST_CHECK(mkdir(path, 0700) == 0 && mkdir(folder, 0700) == 0);
    check_session(end);
    check_files(0);
    check_session(WELL);
    TEST_CHECK(find_files(path, &bytes) == 1 && bytes > 7 && truncate(path, 7) == 0);
    check_session(end);
    TEST_CHECK(find_files(path, &bytes) == 1 && bytes == 7);
    check_session(WELL);
    TEST_CHECK(find_files(path, &bytes) == 1 && bytes > 7);
}

/* Without such files a process that is killed leaves one under a temporary name. */
static int has_unnamed_files(void) {
    int fd = open(work, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    return fd >= 0 && close(fd) == 0;
}

/* In a process of its own too: a driver that has been used does not survive a fork. */
static int has_device(void) {
    int state = 0;
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        struct bm_error error;
        uint32_t count = 0;
        const struct bm_plugin *plugin = bm_test_plugin("vulkan");
        _exit(plugin->device_count(&count, &error) == BM_STATUS_OK && count > 0 ? 0 : 1);
    }
    TEST_CHECK(waitpid(child, &state, 0) == child && WIFEXITED(state));
    return WEXITSTATUS(state) == 0;
}

static void remove_work(void) {
    char command[PATH_MAX];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", work);
    (void)system(command);
}

int main(void) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/bm_vulkan.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    if (access(path, F_OK) != 0) {
        TEST_SKIP("the vulkan backend was not built");
    }
    if (!has_device()) {
        TEST_SKIP("no Vulkan device");
    }
    /* No other file is written when room ends. */
    TEST_CHECK(setenv("MESA_SHADER_CACHE_DISABLE", "true", 1) == 0);
    TEST_CHECK(setenv("__GL_SHADER_DISK_CACHE", "0", 1) == 0);
    (void)snprintf(work, sizeof work, "/tmp/batchmark_cache_test.XXXXXX");
    TEST_CHECK(mkdtemp(work) != NULL && atexit(remove_work) == 0);
    test_missing_folders();
    test_no_folder();
    test_unwritten(WITHOUT_ROOM, "full");
    if (has_unnamed_files()) {
        test_unwritten(KILLED, "killed");
    }
    return 0;
}
