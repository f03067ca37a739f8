/* A plugin's file that was opened once: whatever becomes of its name or its content is noticed
 * before it is loaded, and after. */
#include "opened_file.h"

#include "digest.h"
#include "loader.h"
#include "test.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/opened_file_test_XXXXXX";
static char path[256];

/* The content of a plugin of the build, in a new file. */
static void copy_plugin(const char *name, const char *to) {
    char from[4096];
    char bytes[4096];
    size_t count = 0;
    (void)snprintf(from, sizeof from, "%s/%s", bm_test_env("BM_TEST_BINARY_DIR"), name);
    FILE *source = fopen(from, "rbe");
    FILE *target = fopen(to, "wbe");
    TEST_CHECK_MSG(source != NULL && target != NULL, "%s", from);
    while ((count = fread(bytes, 1, sizeof bytes, source)) > 0) {
        TEST_CHECK(fwrite(bytes, 1, count, target) == count);
    }
    TEST_CHECK(fclose(source) == 0 && fclose(target) == 0);
}

/* A fresh copy of the null plugin, open. */
static void open_fresh(struct bm_opened_file *file) {
    struct bm_error error = {0};
    (void)unlink(path);
    copy_plugin("plugins/bm_null.so", path);
    TEST_CHECK_MSG(bm_opened_file_note(open(path, O_RDONLY | O_CLOEXEC), path, file, &error) ==
                       BM_STATUS_OK,
                   "%s", error.text);
    TEST_CHECK_MSG(bm_opened_file_check(file, path, &error) == BM_STATUS_OK, "%s", error.text);
}

static void refuses(const struct bm_opened_file *file, const char *found) {
    const struct bm_plugin *plugin = NULL;
    struct bm_error error = {0};
    TEST_CHECK(bm_opened_file_check(file, path, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, found);
    error.text[0] = '\0';
    TEST_CHECK(bm_loader_load(path, file, &plugin, &error) == BM_STATUS_INVALID && plugin == NULL);
    TEST_CONTAINS(error.text, found);
}

static void test_digest(void) {
    struct bm_opened_file file;
    struct bm_error error = {0};
    char found[65];
    char expected[65];
    open_fresh(&file);
    TEST_CHECK(bm_digest_file(path, expected, &error) == BM_STATUS_OK);
    for (int i = 0; i < 2; i++) { /* it starts at the beginning each time */
        TEST_CHECK(bm_opened_file_digest(&file, path, found, &error) == BM_STATUS_OK);
        TEST_CHECK_STR(found, expected);
    }
    TEST_CHECK(truncate(path, 100) == 0);
    TEST_CHECK(bm_opened_file_digest(&file, path, found, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "found it changed");
    bm_opened_file_close(&file);
    bm_opened_file_close(&file);
    TEST_CHECK(bm_opened_file_note(-1, path, &file, &error) == BM_STATUS_INVALID && file.fd == -1);
}

static void test_changes(void) {
    struct bm_opened_file file;
    struct timespec times[2];
    struct stat before;
    /* Another file under its name, and none. */
    open_fresh(&file);
    TEST_CHECK(unlink(path) == 0);
    refuses(&file, "no such plugin");
    copy_plugin("plugins/bm_null.so", path);
    refuses(&file, "found another one");
    bm_opened_file_close(&file);
    /* Other content in it, with the size and the time of before. The clock of files may stand still
     * for some milliseconds. */
    open_fresh(&file);
    TEST_CHECK(fstat(file.fd, &before) == 0);
    (void)usleep(50000);
    copy_plugin("plugins/bm_null.so", path);
    times[0] = before.st_atim;
    times[1] = before.st_mtim;
    TEST_CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
    refuses(&file, "found it changed");
    bm_opened_file_close(&file);
}

/* The name tells nothing: what is loaded was another file while it was loaded. */
static void test_loaded(void) {
    struct bm_opened_file file;
    struct bm_opened_file twin;
    struct bm_error error = {0};
    char other[300];
    const struct bm_plugin *plugin = NULL;
    (void)snprintf(other, sizeof other, "%s/other", folder);
    open_fresh(&file);
    copy_plugin("plugins/bm_null.so", other);
    TEST_CHECK(renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE) == 0);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    TEST_CHECK(renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE) == 0);
    TEST_CHECK(handle != NULL);
    /* Their change of name is a change too, which is not what is looked for here. */
    TEST_CHECK(bm_opened_file_note(dup(file.fd), path, &twin, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_opened_file_check(&twin, path, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_opened_file_check_loaded(&twin, path, handle, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "found another one was loaded");
    TEST_CHECK(bm_loader_load(path, &twin, &plugin, &error) == BM_STATUS_INVALID);
    bm_opened_file_close(&twin);
    TEST_CHECK(bm_opened_file_note(open(other, O_RDONLY | O_CLOEXEC), path, &twin, &error) ==
               BM_STATUS_OK);
    TEST_CHECK_MSG(bm_opened_file_check_loaded(&twin, path, handle, &error) == BM_STATUS_OK, "%s",
                   error.text);
    bm_opened_file_close(&twin);
    bm_opened_file_close(&file);
    TEST_CHECK(unlink(other) == 0);
}

static void test_json(void) {
    struct bm_opened_file file;
    struct bm_opened_file back;
    struct bm_error error = {0};
    open_fresh(&file);
    json_t *object = bm_opened_file_json(&file);
    TEST_CHECK(bm_opened_file_parse(object, file.fd, &back, &error) == BM_STATUS_OK);
    TEST_CHECK(back.fd == file.fd && back.bytes == file.bytes && back.bytes > 0);
    TEST_CHECK(back.modified_ns == file.modified_ns && back.changed_ns == file.changed_ns);
    TEST_CHECK(bm_opened_file_parse(object, -1, &back, &error) == BM_STATUS_INVALID);
    TEST_CHECK(json_object_del(object, "changed_ns") == 0);
    TEST_CHECK(bm_opened_file_parse(object, file.fd, &back, &error) == BM_STATUS_INVALID);
    TEST_CHECK(bm_opened_file_parse(NULL, file.fd, &back, &error) == BM_STATUS_INVALID);
    json_decref(object);
    bm_opened_file_close(&file);
}

int main(void) {
    TEST_CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/bm_null.so", folder);
    test_digest();
    test_changes();
    test_loaded();
    test_json();
    TEST_CHECK(unlink(path) == 0 && rmdir(folder) == 0);
    return 0;
}
