/* Thin reading of records: what is kept, what is passed over, and lines that are no objects. */
#include "record_scan.h"
#include "test.h"

#include <unistd.h>

static const char *const members[] = {"kind", "name", "update", "list", NULL};
static const char *const inner[] = {"median_ns", NULL};
static const struct bm_record_wanted wanted = {
    .thin = "cell", .members = members, .inner = inner, .whole = "run"};

static char path[] = "/tmp/bm_record_scan_test_XXXXXX";
static struct bm_record_scan scan;
static struct bm_error error;

static void write_file(const char *text, size_t length) {
    FILE *file = fopen(path, "w");
    TEST_CHECK(file != NULL);
    TEST_CHECK(fwrite(text, 1, length, file) == length);
    TEST_CHECK(fclose(file) == 0);
}

static void open_file(void) {
    TEST_CHECK_MSG(bm_record_scan_open(&scan, path, &wanted, &error) == BM_STATUS_OK, "%s",
                   error.text);
}

/* The next object is that one, its text compact and in the order of the file; NULL: the end. */
static void check_next(const char *expected) {
    json_t *object = NULL;
    TEST_CHECK_MSG(bm_record_scan_next(&scan, &object, &error) == BM_STATUS_OK, "%s", error.text);
    if (expected == NULL) {
        TEST_CHECK(object == NULL);
        return;
    }
    char *text = json_dumps(object, JSON_COMPACT);
    TEST_CHECK(text != NULL);
    TEST_CHECK_STR(text, expected);
    free(text);
    json_decref(object);
}

static void check_only(const char *text, const char *expected) {
    write_file(text, strlen(text));
    open_file();
    check_next(expected);
    check_next(NULL);
    bm_record_scan_close(&scan);
}

static void check_refused(const char *text, size_t length, const char *expected) {
    json_t *object = NULL;
    write_file(text, length);
    open_file();
    TEST_CHECK_MSG(bm_record_scan_next(&scan, &object, &error) == BM_STATUS_INVALID, "%s", text);
    TEST_CHECK(object == NULL);
    TEST_CONTAINS(error.text, path);
    TEST_CONTAINS(error.text, expected);
    bm_record_scan_close(&scan);
}

static void test_what_is_kept(void) {
    check_only("{\"kind\":\"cell\",\"name\":\"a\",\"more\":[1,{\"name\":2}],\"list\":[1,[2]]}\n",
               "{\"kind\":\"cell\",\"name\":\"a\",\"list\":[1,[2]]}");
    check_only("{\"more\":\"},{\\\"\\\\\",\"name\":\"]\\\\\\\"}\",\"kind\":\"cell\"}\n",
               "{\"name\":\"]\\\\\\\"}\",\"kind\":\"cell\"}");
    check_only("{\"kind\":\"cell\",\"update\":{\"samples_ns\":[1,2,3],\"median_ns\":2,\"q\":{}}}\n",
               "{\"kind\":\"cell\",\"update\":{\"median_ns\":2}}");
    check_only(" { \"kind\" : \"cell\" ,\t\"more\" : -1e3 , \"update\" : null } \n",
               "{\"kind\":\"cell\",\"update\":null}");
    check_only("{\"kind\":\"run\",\"host\":{\"cpu\":\"x\"},\"name\":1}\n",
               "{\"kind\":\"run\",\"host\":{\"cpu\":\"x\"},\"name\":1}");
    check_only("{\"kind\":\"epoch\",\"name\":1}\n{\"kind\":\"end\"}\n", NULL);
}

/* What cannot be cut down is read whole. */
static void test_unusual_objects(void) {
    check_only("{\"k\\u0069nd\":\"cell\",\"more\":1}\n", "{\"kind\":\"cell\",\"more\":1}");
    check_only("{\"kind\":\"cell\",\"update\":{},\"more\":1}\n",
               "{\"kind\":\"cell\",\"update\":{},\"more\":1}");
}

static void test_ends(void) {
    check_only("", NULL);
    check_only("{\"kind\":\"cell\"}", NULL); /* torn */
    check_only("{\"kind\":\"cell\",\"name\":1}\n{\"kind\":\"ce", "{\"kind\":\"cell\",\"name\":1}");
    check_only("nonsense", NULL);
}

/* Without a choice every object comes, and whole. */
static void test_all_objects(void) {
    static const char *const lines[] = {"{\"kind\":\"cell\",\"more\":{\"a\":[1]}}",
                                        "{\"kind\":\"epoch\",\"name\":1}", "{\"kind\":\"en"};
    char text[256];
    (void)snprintf(text, sizeof text, "%s\n%s\n%s", lines[0], lines[1], lines[2]);
    for (int is_torn = 0; is_torn < 2; is_torn++) {
        write_file(text, is_torn ? strlen(text) : strlen(lines[0]) + strlen(lines[1]) + 2);
        TEST_CHECK(bm_record_scan_open(&scan, path, NULL, &error) == BM_STATUS_OK);
        check_next(lines[0]);
        TEST_CHECK(!bm_record_scan_is_torn(&scan));
        check_next(lines[1]);
        check_next(NULL);
        TEST_CHECK(bm_record_scan_is_torn(&scan) == is_torn);
        bm_record_scan_close(&scan);
    }
}

static void test_refused(void) {
    static const char *const lines[] = {
        "\n",
        "7\n",
        "[]\n",
        "{}\n",
        "{\"name\":1}\n",
        "{\"kind\":7}\n",
        "{\"kind\":\"cell\"\n",
        "{\"kind\":\"cell\"}}\n",
        "{\"kind\":\"cell\",}\n",
        "{\"kind\":\"cell\" \"name\":1}\n",
        "{\"kind\":\"cell\",\"name\":}\n",
        "{\"kind\":\"cell\",\"name\":1\n",
        "{\"kind\":\"cell\",\"name\":[1}\n",
        "{\"kind\":\"cell\",\"more\":[1}\n",
        "{\"kind\":\"cell\",\"more\":\"\\\n",
        "{\"kind\":\"cell\",\"update\":{\"median_ns\":x}}\n",
        "{\"kind\":\"cell\",\"name\":\"\xff\"}\n",
        "{\"kind\":\"cell\",\"name\":123456789012345678901234567890}\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        check_refused(lines[i], strlen(lines[i]), ":1: expected a JSON object with a kind, found");
    }
    static const char with_zero[] = "{\"kind\":\"cell\",\"name\":1}\0\n";
    check_refused(with_zero, sizeof with_zero - 1, ":1: expected");
}

static void test_no_plain_file(void) {
    TEST_CHECK(bm_record_scan_open(&scan, "/tmp", &wanted, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "/tmp: expected a plain file");
    TEST_CHECK(bm_record_scan_open(&scan, "/tmp/absent/file", &wanted, &error) ==
               BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "/tmp/absent/file: cannot read it: ");
}

/* Lines of every length around that of the buffer arrive whole, and the lines behind them. */
static void test_long_lines(void) {
    static const char head[] = "{\"kind\":\"cell\",\"name\":\"";
    static const char tail[] = "\"}\n{\"kind\":\"cell\",\"name\":2}\n";
    static char text[1 << 20];
    for (size_t letters = (1u << 18) - 64; letters < (1u << 18) + 64; letters += 3) {
        size_t length = sizeof head - 1;
        memcpy(text, head, length);
        memset(text + length, 'x', letters);
        memcpy(text + length + letters, tail, sizeof tail - 1);
        write_file(text, length + letters + sizeof tail - 1);
        open_file();
        json_t *object = NULL;
        TEST_CHECK(bm_record_scan_next(&scan, &object, &error) == BM_STATUS_OK);
        TEST_CHECK(json_string_length(json_object_get(object, "name")) == letters);
        json_decref(object);
        check_next("{\"kind\":\"cell\",\"name\":2}");
        TEST_CHECK(scan.line == 2);
        check_next(NULL);
        bm_record_scan_close(&scan);
    }
}

/* A text, or a name, of as many letters. */
static void check_text(const char *head, size_t letters, const char *tail, int is_good) {
    static char text[2u << 20];
    json_t *object = NULL;
    char *end = stpcpy(text, head);
    memset(end, 'x', letters);
    end = stpcpy(end + letters, tail);
    size_t length = (size_t)(end - text);
    if (!is_good) {
        check_refused(text, length, ":1: expected texts of at most 1048576 bytes, found a longer");
        return;
    }
    write_file(text, length);
    open_file();
    TEST_CHECK_MSG(bm_record_scan_next(&scan, &object, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(object != NULL);
    json_decref(object);
    bm_record_scan_close(&scan);
}

static void test_long_texts(void) {
    for (int excess = 0; excess < 2; excess++) {
        size_t letters = BM_RECORD_TEXT_MAX + (size_t)excess;
        check_text("{\"kind\":\"cell\",\"name\":\"", letters, "\"}\n", !excess);
        check_text("{\"kind\":\"run\",\"list\":[{\"a\":[\"", letters, "\"]}]}\n", !excess);
        check_text("{\"kind\":\"run\",\"list\":[{\"", letters, "\":1}]}\n", !excess);
    }
}

static void write_nested(size_t depth) {
    static char text[8192];
    size_t length = (size_t)sprintf(text, "{\"kind\":\"run\",\"name\":");
    memset(text + length, '[', depth);
    memset(text + length + depth, ']', depth);
    (void)strcpy(text + length + 2 * depth, "}\n");
    write_file(text, strlen(text));
}

/* So deep that whoever follows it might run out of stack. */
static void test_depth(void) {
    for (int is_good = 0; is_good < 2; is_good++) {
        json_t *object = NULL;
        write_nested(is_good ? 2000 : 2100);
        open_file();
        int32_t status = bm_record_scan_next(&scan, &object, &error);
        TEST_CHECK((status == BM_STATUS_OK) == is_good && (object != NULL) == is_good);
        json_decref(object);
        bm_record_scan_close(&scan);
    }
    TEST_CONTAINS(error.text, "maximum parsing depth reached");
}

int main(void) {
    int fd = mkstemp(path);
    TEST_CHECK(fd >= 0);
    TEST_CHECK(close(fd) == 0);
    scan.fd = -1;
    test_what_is_kept();
    test_unusual_objects();
    test_ends();
    test_all_objects();
    test_refused();
    test_no_plain_file();
    test_long_lines();
    test_long_texts();
    test_depth();
    bm_record_scan_free(&scan);
    (void)unlink(path);
    return 0;
}
