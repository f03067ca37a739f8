/* Fetching a data set that was published as an archive, from the first mirror that has it, and what
 * a wrong, incomplete or too large one leaves behind. */
#include "data_source.h"
#include "digest.h"
#include "download.h"
#include "test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_SIZE 512

extern char **environ;

static char top[] = "/tmp/bm-archive-XXXXXX";
static pid_t server;
static char port[16];

static const char *below_top(const char *name) {
    static char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", top, name);
    return path;
}

static int is_there(const char *name) {
    return access(below_top(name), F_OK) == 0;
}

/* In the top folder. */
static void run(const char *command) {
    char line[2 * PATH_SIZE];
    (void)snprintf(line, sizeof line, "cd %s && %s", top, command);
    TEST_CHECK_MSG(system(line) == 0, "%s", line);
}

static uint32_t requests(void) {
    uint32_t count = 0;
    FILE *log = fopen(below_top("log"), "r");
    for (int c = 0; log != NULL && (c = fgetc(log)) != EOF;) {
        count += c == '\n';
    }
    if (log != NULL) {
        (void)fclose(log);
    }
    (void)unlink(below_top("log"));
    return count;
}

static void start_server(void) {
    char script[PATH_SIZE];
    char folder[PATH_SIZE];
    char log[PATH_SIZE];
    char program[] = "python3";
    int ends[2];
    posix_spawn_file_actions_t actions;
    (void)snprintf(script, sizeof script, "%s/tests/support/fetch_server.py",
                   bm_test_env("BM_TEST_SOURCE_DIR"));
    (void)snprintf(folder, sizeof folder, "%s/published", top);
    (void)snprintf(log, sizeof log, "%s/log", top);
    char *words[] = {program, script, folder, log, NULL};
    TEST_CHECK(pipe2(ends, O_CLOEXEC) == 0 && posix_spawn_file_actions_init(&actions) == 0);
    TEST_CHECK(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0);
    TEST_CHECK(posix_spawnp(&server, program, &actions, NULL, words, environ) == 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    TEST_CHECK(said != NULL && fgets(port, sizeof port, said) != NULL);
    (void)fclose(said);
    port[strcspn(port, "\n")] = '\0';
}

static void clean_up(void) {
    char line[PATH_SIZE];
    if (server > 0) {
        (void)kill(server, SIGTERM);
        (void)waitpid(server, NULL, 0);
    }
    (void)snprintf(line, sizeof line, "rm -rf %s", top);
    (void)system(line);
}

/* The set that the archive is of, at the mirrors that behave so. */
static char mirrors[2][PATH_SIZE];
static char digest[65];
static uint32_t is_checked; /* by the last fetch */

static struct bm_data_set set_at(const char *first, const char *second) {
    (void)snprintf(mirrors[0], PATH_SIZE, "http://127.0.0.1:%s/%s", port, first);
    (void)snprintf(mirrors[1], PATH_SIZE, "http://127.0.0.1:%s/%s", port, second);
    return (struct bm_data_set){.name = "small",
                                .folders = {"batches"},
                                .files = {"a.bin", "b.bin"},
                                .file_count = 2,
                                .mirrors = {mirrors[0], mirrors[1]},
                                .archive = "small.tar.gz",
                                .archive_sha256 = digest};
}

static int32_t
fetch(const char *first, const char *second, const char *folder, struct bm_error *error) {
    const struct bm_data_set set = set_at(first, second);
    char path[PATH_SIZE];
    memset(error, 0, sizeof *error);
    (void)snprintf(path, sizeof path, "%s", below_top(folder));
    return bm_data_fetch(&set, path, NULL, 30, &is_checked, error);
}

static void take_digest(void) {
    struct bm_error error;
    TEST_CHECK(bm_digest_file(below_top("published/small.tar.gz"), digest, &error) == BM_STATUS_OK);
}

static void publish(void) {
    run("mkdir -p published batches && head -c 50000 /dev/urandom >batches/a.bin && echo b "
        ">batches/b.bin && echo c >batches/c.txt && tar -czf published/small.tar.gz batches");
    take_digest();
}

static void test_unpacked(void) {
    struct bm_error error;
    TEST_CHECK_MSG(fetch("whole", "whole", "one", &error) == BM_STATUS_OK, "%s", error.text);
    run("cmp batches/a.bin one/a.bin && cmp batches/b.bin one/b.bin && test $(ls one | wc -l) = 2");
    TEST_CHECK(requests() == 1 && is_checked);
    TEST_CHECK(fetch("absent", "absent", "one", &error) == BM_STATUS_OK && requests() == 0 &&
               !is_checked);
    /* The last call ended between the archive and its files. */
    run("mkdir two && cp published/small.tar.gz two && cp batches/b.bin two");
    TEST_CHECK(fetch("whole", "whole", "two", &error) == BM_STATUS_OK && requests() == 0);
    run("cmp batches/a.bin two/a.bin && test $(ls two | wc -l) = 2");
}

static void test_next_mirror(void) {
    struct bm_error error;
    TEST_CHECK(fetch("wrong", "whole", "three", &error) == BM_STATUS_OK && requests() == 2);
    run("cmp batches/a.bin three/a.bin");
    TEST_CHECK(fetch("wrong", "short", "four", &error) == BM_STATUS_INVALID && requests() == 2);
    TEST_CONTAINS(error.text, "four/small.tar.gz.part: expected the published file with SHA-256 ");
    run("test $(ls four | wc -l) = 0");
}

static void test_incomplete(void) {
    struct bm_error error;
    run("tar -czf published/small.tar.gz batches/a.bin");
    take_digest();
    TEST_CHECK(fetch("whole", "whole", "five", &error) == BM_STATUS_INTERNAL);
    TEST_CONTAINS(error.text, "small.tar.gz: expected to unpack batches/b.bin, tar failed");
    TEST_CHECK(is_there("five/a.bin") && !is_there("five/b.bin") && !is_there("five/b.bin.part"));
}

static int32_t accept_any(const char *path, const void *own, struct bm_error *error) {
    (void)path;
    (void)own;
    (void)error;
    return BM_STATUS_OK;
}

static void test_too_large(void) {
    static const char *const behaviours[] = {"whole", "endless"};
    struct bm_error error;
    char path[PATH_SIZE];
    char url[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s", below_top("large"));
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%s/%s/small.tar.gz", port, behaviours[i]);
        const struct bm_download download = {.url = url,
                                             .path = path,
                                             .name = "large",
                                             .bytes_max = 1000,
                                             .silence_s = 30,
                                             .check = accept_any};
        TEST_CHECK(bm_download(&download, &error) == BM_STATUS_INVALID);
        TEST_CONTAINS(error.text, "small.tar.gz: expected at most 1000 bytes, found more");
        TEST_CHECK(!is_there("large") && !is_there("large.part"));
    }
}

int main(void) {
    if (dlopen("libcurl.so.4", RTLD_NOW) == NULL) {
        TEST_SKIP("no libcurl.so.4 here (package libcurl4)");
    }
    TEST_CHECK(unsetenv("http_proxy") == 0 && mkdtemp(top) != NULL && atexit(clean_up) == 0);
    publish();
    start_server();
    test_unpacked();
    test_next_mirror();
    test_incomplete();
    test_too_large();
    return 0;
}
