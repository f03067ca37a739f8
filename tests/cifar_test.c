/* CIFAR records: both label forms, plain and gzip'd, and damage. */
#include "data_source.h"
#include "test.h"

#include <unistd.h>

enum { RECORDS = 3, RECORD_10 = 1 + 3072, RECORD_100 = 2 + 3072 };

static char path[] = "/tmp/bm_cifar_test_XXXXXX";
static uint8_t bytes[RECORDS * RECORD_100 + 1];
static uint8_t images[RECORDS * 3072];
static int32_t labels[RECORDS];

/* Record r of CIFAR-10: label 3 r, pixel i is r + i. CIFAR-100: coarse label 19, fine 33 r. */
static size_t fill(uint32_t class_count) {
    size_t used = 0;
    for (uint32_t r = 0; r < RECORDS; r++) {
        if (class_count == 100) {
            bytes[used++] = 19;
        }
        bytes[used++] = (uint8_t)(class_count == 100 ? 33 * r : 3 * r);
        for (uint32_t i = 0; i < 3072; i++) {
            bytes[used++] = (uint8_t)(r + i);
        }
    }
    return used;
}

static void write_file(size_t count, int is_gzip) {
    gzFile file = gzopen(path, is_gzip ? "wb" : "wbT");
    TEST_CHECK(file != NULL && gzwrite(file, bytes, (unsigned)count) == (int)count);
    TEST_CHECK(gzclose(file) == Z_OK);
}

static int32_t read_records(uint32_t class_count, struct bm_error *error) {
    struct bm_data_file file;
    struct bm_data_source source;
    int32_t status = bm_data_file_open(path, &file, error);
    TEST_CHECK(status == BM_STATUS_OK);
    status = bm_cifar_read(&file, RECORDS, class_count, images, labels, error);
    if (status == BM_STATUS_OK) {
        status = bm_data_file_finish(&file, &source, error);
    }
    bm_data_file_close(&file);
    return status;
}

static void test_good(uint32_t class_count, int is_gzip) {
    struct bm_error error = {.text = ""};
    write_file(fill(class_count), is_gzip);
    memset(images, 0, sizeof images);
    TEST_CHECK_MSG(read_records(class_count, &error) == BM_STATUS_OK, "%s", error.text);
    for (uint32_t r = 0; r < RECORDS; r++) {
        TEST_CHECK(labels[r] == (int32_t)(class_count == 100 ? 33 * r : 3 * r));
        for (uint32_t i = 0; i < 3072; i++) {
            TEST_CHECK(images[r * 3072 + i] == (uint8_t)(r + i));
        }
    }
}

static void refused(uint32_t class_count, const char *expected) {
    struct bm_error error = {.text = ""};
    char whole[512];
    TEST_CHECK_MSG(read_records(class_count, &error) == BM_STATUS_INVALID, "%s", expected);
    (void)snprintf(whole, sizeof whole, "%s: %s", path, expected);
    TEST_CHECK_STR(error.text, whole);
}

static void test_sizes(void) {
    size_t size = fill(10);
    write_file(size - 1, 0);
    refused(10, "truncated: expected 9219 bytes of content, found 9218 bytes");
    write_file(size - RECORD_10, 0); /* a whole record is missing */
    refused(10, "truncated: expected 9219 bytes of content, found 6146 bytes");
    write_file(size - 1, 1);
    refused(10, "offset 6147: truncated: expected 3072 bytes of an image, found 3071");
    write_file(size - RECORD_10, 1);
    refused(10, "offset 6146: truncated: expected 1 bytes of a label, found 0");
    write_file(size + 1, 0);
    refused(10, "oversized: expected 9219 bytes of content, found 9220 bytes");
    write_file(size + 1, 1);
    refused(10, "offset 9219: oversized: expected the end, found more bytes");
}

static void test_labels(void) {
    size_t size = fill(10);
    bytes[RECORD_10] = 10;
    write_file(size, 0);
    refused(10, "offset 3073: expected a label below 10, found 10");
    size = fill(100);
    bytes[RECORD_100] = 20;
    write_file(size, 1);
    refused(100, "offset 3074: expected a label below 20, found 20");
    size = fill(100);
    bytes[RECORD_100 + 1] = 100;
    write_file(size, 1);
    refused(100, "offset 3075: expected a label below 100, found 100");
}

int main(void) {
    int fd = mkstemp(path);
    TEST_CHECK(fd >= 0 && close(fd) == 0);
    test_good(10, 0);
    test_good(10, 1);
    test_good(100, 0);
    test_good(100, 1);
    test_sizes();
    test_labels();
    TEST_CHECK(unlink(path) == 0);
    return 0;
}
