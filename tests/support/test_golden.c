#include "test_golden.h"

#include "record.h"
#include "test.h"

#define FILE_BYTES_MAX 262144u

json_t *bm_test_read_record(const char *folder, const char *name) {
    char path[4200];
    json_t *objects = NULL;
    uint32_t torn = 0;
    struct bm_error error;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    TEST_CHECK_MSG(bm_record_read(path, &objects, &torn, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(!torn);
    return objects;
}

char *
bm_test_print(bm_test_printer *printer, const json_t *objects, uint32_t format, uint32_t verbose) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    TEST_CHECK(stream != NULL);
    printer(objects, format, verbose, stream);
    TEST_CHECK(fclose(stream) == 0);
    return text;
}

static char *read_text(const char *path) {
    char *text = malloc(FILE_BYTES_MAX);
    FILE *file = fopen(path, "re");
    TEST_CHECK_MSG(file != NULL && text != NULL, "%s", path);
    size_t size = fread(text, 1, FILE_BYTES_MAX - 1, file);
    TEST_CHECK_MSG(size < FILE_BYTES_MAX - 1, "%s: expected less text", path);
    text[size] = '\0';
    (void)fclose(file);
    return text;
}

void bm_test_golden(bm_test_printer *printer,
                    const json_t *objects,
                    uint32_t format,
                    uint32_t verbose,
                    const char *folder,
                    const char *name) {
    char path[4200];
    char *found = bm_test_print(printer, objects, format, verbose);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (getenv("BM_TEST_UPDATE") != NULL) {
        FILE *file = fopen(path, "we");
        TEST_CHECK(file != NULL && fputs(found, file) >= 0 && fclose(file) == 0);
    }
    char *expected = read_text(path);
    size_t line = 1;
    size_t at = 0;
    for (; found[at] != '\0' && found[at] == expected[at]; at++) {
        line += found[at] == '\n';
    }
    TEST_CHECK_MSG(found[at] == expected[at], "%s: line %zu differs; found:\n%s", name, line,
                   found);
    free(expected);
    free(found);
}
