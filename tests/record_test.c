/* Result files: what is written is found again, a torn last line is dropped, damage is named,
 * nothing is overwritten by accident. */
#include "record.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/batchmark-record-XXXXXX";

static const char *path_of(const char *name) {
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    TEST_CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int exists(const char *name) {
    return access(path_of(name), F_OK) == 0;
}

static void write_number(struct bm_record *record, int number) {
    struct bm_error error = {0};
    json_t *object = json_pack("{s:s, s:i}", "kind", "cell", "number", number);
    TEST_CHECK_MSG(bm_record_write(record, object, &error) == BM_STATUS_OK, "%s", error.text);
    json_decref(object);
}

static void test_write_and_read(void) {
    struct bm_record record;
    struct bm_error error = {0};
    json_t *objects = NULL;
    uint32_t torn = 0;
    TEST_CHECK(bm_record_create(path_of("a.jsonl"), 0, &record, &error) == BM_STATUS_OK);
    write_number(&record, 1);
    /* Each object is in the file before the next is written. */
    TEST_CHECK(bm_record_read(path_of("a.jsonl"), &objects, &torn, &error) == BM_STATUS_OK);
    TEST_CHECK(json_array_size(objects) == 1 && !torn);
    json_decref(objects);
    TEST_CHECK(exists("a.jsonl.partial") && !exists("a.jsonl"));
    write_number(&record, 2);
    TEST_CHECK(bm_record_finish(&record, &error) == BM_STATUS_OK);
    TEST_CHECK(!exists("a.jsonl.partial") && exists("a.jsonl"));
    TEST_CHECK(bm_record_read(path_of("a.jsonl"), &objects, &torn, &error) == BM_STATUS_OK);
    TEST_CHECK(json_array_size(objects) == 2);
    json_decref(objects);
}

static void test_torn_line(void) {
    struct bm_error error = {0};
    json_t *objects = NULL;
    uint32_t torn = 0;
    put("torn.jsonl", "{\"kind\":\"run\"}\n{\"kind\":\"cell\",\"batch\":1");
    TEST_CHECK(bm_record_read(path_of("torn.jsonl"), &objects, &torn, &error) == BM_STATUS_OK);
    TEST_CHECK(json_array_size(objects) == 1 && torn);
    json_decref(objects);
}

static void test_damage(void) {
    struct bm_error error = {0};
    json_t *objects = NULL;
    uint32_t torn = 0;
    put("bad.jsonl", "{\"kind\":\"run\"}\n{\"kind\":\n{\"kind\":\"end\"}\n");
    TEST_CHECK(bm_record_read(path_of("bad.jsonl"), &objects, &torn, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "bad.jsonl:2: expected a JSON object");
    put("list.jsonl", "[1]\n");
    TEST_CHECK(bm_record_read(path_of("list.jsonl"), &objects, &torn, &error) == BM_STATUS_INVALID);
    put("kindless.jsonl", "{\"a\":1}\n");
    TEST_CHECK(bm_record_read(path_of("kindless.jsonl"), &objects, &torn, &error) ==
               BM_STATUS_INVALID);
    TEST_CHECK(bm_record_read(path_of("none.jsonl"), &objects, &torn, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "none.jsonl");
}

static void test_interrupted_is_kept(void) {
    struct bm_record record;
    struct bm_error error = {0};
    json_t *objects = NULL;
    uint32_t torn = 0;
    put("old.jsonl.partial", "{\"kind\":\"run\"}\n{\"kind\":\"cell\",\"number\":7}\n");
    TEST_CHECK(bm_record_create(path_of("old.jsonl"), 0, &record, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "--resume");
    TEST_CHECK(bm_record_create(path_of("old.jsonl"), 1, &record, &error) == BM_STATUS_OK);
    write_number(&record, 8);
    /* Until the new one takes its place, the old partial file is as it was. */
    TEST_CHECK(bm_record_read(path_of("old.jsonl"), &objects, &torn, &error) == BM_STATUS_OK);
    TEST_CHECK(json_array_size(objects) == 2);
    json_decref(objects);
    TEST_CHECK(bm_record_commit(&record, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_record_read(path_of("old.jsonl"), &objects, &torn, &error) == BM_STATUS_OK);
    TEST_CHECK(json_array_size(objects) == 1);
    json_decref(objects);
    TEST_CHECK(bm_record_finish(&record, &error) == BM_STATUS_OK);
}

static void test_two_writers(void) {
    struct bm_record first;
    struct bm_record second;
    struct bm_error error = {0};
    TEST_CHECK(bm_record_create(path_of("two.jsonl"), 0, &first, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_record_create(path_of("two.jsonl"), 0, &second, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "another process");
    bm_record_abandon(&first);
}

static void test_full_disk(void) {
    struct bm_record record = {0};
    struct bm_error error = {0};
    json_t *object = json_pack("{s:s}", "kind", "run");
    record.stream = fopen("/dev/full", "w");
    TEST_CHECK(record.stream != NULL);
    (void)snprintf(record.partial, sizeof record.partial, "x.partial");
    TEST_CHECK(bm_record_write(&record, object, &error) == BM_STATUS_INTERNAL);
    TEST_CONTAINS(error.text, "No space left");
    bm_record_abandon(&record);
    json_decref(object);
}

static void test_default_path(void) {
    struct bm_options *options = calloc(1, sizeof *options);
    struct bm_error error = {0};
    char path[BM_PATH_SIZE];
    char expected[300];
    TEST_CHECK(options != NULL);
    (void)snprintf(options->machine, sizeof options->machine, "m1");
    TEST_CHECK(chdir(folder) == 0 && setenv("XDG_STATE_HOME", folder, 1) == 0);
    TEST_CHECK(bm_record_path(options, "run", path, sizeof path, &error) == BM_STATUS_OK);
    (void)snprintf(expected, sizeof expected, "%s/batchmark/m1/", folder);
    TEST_CONTAINS(path, expected);
    TEST_CONTAINS(path, "-run.jsonl");
    TEST_CHECK(exists("batchmark/m1"));
    TEST_CHECK(mkdir("results", 0777) == 0);
    TEST_CHECK(bm_record_path(options, "run", path, sizeof path, &error) == BM_STATUS_OK);
    TEST_CHECK_MSG(strncmp(path, "results/m1/", 11) == 0, "%s", path);
    TEST_CHECK(exists("results/m1"));
    free(options);
}

int main(void) {
    TEST_CHECK(mkdtemp(folder) != NULL);
    test_write_and_read();
    test_torn_line();
    test_damage();
    test_interrupted_is_kept();
    test_two_writers();
    test_full_disk();
    test_default_path();
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
