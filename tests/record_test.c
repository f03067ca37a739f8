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
    TEST_CONTAINS(error.text, "expected a JSON object with a kind, found something else");
    TEST_CHECK(bm_record_read(path_of("none.jsonl"), &objects, &torn, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "none.jsonl: cannot read it: No such file");
}

/* None of these is read to its end, which a pipe has not. */
static void test_no_record(void) {
    struct bm_error error = {0};
    json_t *objects = NULL;
    uint32_t torn = 0;
    TEST_CHECK(mkfifo(path_of("pipe.jsonl"), 0600) == 0);
    TEST_CHECK(bm_record_read(path_of("pipe.jsonl"), &objects, &torn, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "pipe.jsonl: expected a plain file");
    TEST_CHECK(mkdir(path_of("folder.jsonl"), 0700) == 0);
    TEST_CHECK(bm_record_read(path_of("folder.jsonl"), &objects, &torn, &error) ==
               BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "folder.jsonl: expected a plain file");
    put("long.jsonl", "{\"kind\":\"run\"}\n");
    TEST_CHECK(truncate(path_of("long.jsonl"), 17 << 20) == 0);
    TEST_CHECK(bm_record_read(path_of("long.jsonl"), &objects, &torn, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "long.jsonl:2: expected at most 16777216 bytes in a line");
    TEST_CHECK(objects == NULL && !torn);
}

/* The number in the only cell of what is read for those who go on, or for others. */
static void check_number(int is_resumed, int expected) {
    struct bm_error error = {0};
    json_t *objects = NULL;
    uint32_t torn = 0;
    const char *path = path_of("twice.jsonl");
    int32_t status = is_resumed ? bm_record_read_unfinished(path, &objects, &torn, &error)
                                : bm_record_read(path, &objects, &torn, &error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(json_array_size(objects) == (expected == 0 ? 0 : 1));
    const json_t *number = json_object_get(json_array_get(objects, 0), "number");
    TEST_CHECK(json_integer_value(number) == expected);
    json_decref(objects);
}

/* A finished record, measured once more and interrupted: its readers see the finished one, and who
 * goes on with it the other. */
static void test_measured_again(void) {
    put("twice.jsonl.partial", "");
    check_number(1, 0);
    put("twice.jsonl", "{\"kind\":\"cell\",\"number\":1}\n");
    check_number(1, 1);
    put("twice.jsonl.partial", "{\"kind\":\"cell\",\"number\":2}\n");
    check_number(0, 1);
    check_number(1, 2);
    TEST_CHECK(unlink(path_of("twice.jsonl")) == 0);
    check_number(0, 2);
    check_number(1, 2);
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

/* A record that took no other's place is committed too. */
static void test_commit_of_a_new_one(void) {
    struct bm_record record;
    struct bm_error error = {0};
    TEST_CHECK(bm_record_create(path_of("new.jsonl"), 0, &record, &error) == BM_STATUS_OK);
    write_number(&record, 1);
    TEST_CHECK_MSG(bm_record_commit(&record, &error) == BM_STATUS_OK, "%s", error.text);
    write_number(&record, 2);
    TEST_CHECK(bm_record_finish(&record, &error) == BM_STATUS_OK);
    TEST_CHECK(exists("new.jsonl") && !exists("new.jsonl.partial"));
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
    test_no_record();
    test_measured_again();
    test_interrupted_is_kept();
    test_commit_of_a_new_one();
    test_two_writers();
    test_full_disk();
    test_default_path();
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
