/* idx files and the file reader below them: good ones, and every kind of damage. */
#include "data_source.h"
#include "test.h"

#include <unistd.h>

#define PLAIN 0
#define GZIP 1

static char path[] = "/tmp/bm_idx_test_XXXXXX";

static void write_file(const void *bytes, size_t count, int form) {
    if (form == GZIP) {
        gzFile file = gzopen(path, "wb");
        TEST_CHECK(file != NULL && gzwrite(file, bytes, (unsigned)count) == (int)count);
        TEST_CHECK(gzclose(file) == Z_OK);
        return;
    }
    FILE *file = fopen(path, "wb");
    TEST_CHECK(file != NULL && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

/* Changes the stored file: cuts it to `count` bytes, or flips bits of the byte at `offset`. */
static void cut_file(off_t count) {
    TEST_CHECK(truncate(path, count) == 0);
}

static long file_size(void) {
    FILE *file = fopen(path, "rb");
    TEST_CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    TEST_CHECK(fclose(file) == 0);
    return size;
}

static void flip_byte(long offset) {
    FILE *file = fopen(path, "rb+");
    TEST_CHECK(file != NULL && fseek(file, offset, SEEK_SET) == 0);
    int c = fgetc(file);
    TEST_CHECK(c != EOF && fseek(file, offset, SEEK_SET) == 0);
    TEST_CHECK(fputc(c ^ 0x55, file) != EOF && fclose(file) == 0);
}

static void append_byte(void) {
    FILE *file = fopen(path, "ab");
    TEST_CHECK(file != NULL && fputc('x', file) != EOF && fclose(file) == 0);
}

/* ---- Whole reads ---- */

static uint8_t pixels[4096];
static int32_t labels[64];
static struct bm_data_source source;

static int32_t read_images(struct bm_error *error) {
    struct bm_data_file file;
    struct bm_shape shape;
    uint64_t count = 0;
    int32_t status = bm_data_file_open(path, &file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_idx_images(&file, &count, &shape, error);
    if (status == BM_STATUS_OK) {
        TEST_CHECK(count == 3 && shape.channels == 1 && shape.height == 2 && shape.width == 5);
        status = bm_data_file_read(&file, pixels, count * 10, "pixels", error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_data_file_finish(&file, &source, error);
    }
    bm_data_file_close(&file);
    return status;
}

static int32_t read_labels(struct bm_error *error) {
    struct bm_data_file file;
    uint64_t count = 0;
    int32_t status = bm_data_file_open(path, &file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_idx_labels(&file, &count, error);
    if (status == BM_STATUS_OK) {
        TEST_CHECK(count == 4);
        status = bm_idx_read_labels(&file, count, 10, labels, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_data_file_finish(&file, &source, error);
    }
    bm_data_file_close(&file);
    return status;
}

/* 3 images of 2x5: pixel i of the file is i + 1. */
static uint8_t image_file[46] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 5};
static const uint8_t label_file[12] = {0, 0, 8, 1, 0, 0, 0, 4, 7, 0, 9, 3};

static void refused(int32_t (*read)(struct bm_error *error), const char *expected) {
    struct bm_error error = {.text = ""};
    char whole[512];
    int32_t status = read(&error);
    TEST_CHECK_MSG(status == BM_STATUS_INVALID, "expected \"%s\"", expected);
    TEST_CHECK(error.code == status);
    (void)snprintf(whole, sizeof whole, "%s: %s", path, expected);
    TEST_CHECK_STR(error.text, whole);
}

static void test_good(int form) {
    struct bm_error error = {.text = ""};
    write_file(image_file, sizeof image_file, form);
    memset(pixels, 0, sizeof pixels);
    TEST_CHECK_MSG(read_images(&error) == BM_STATUS_OK, "%s", error.text);
    for (uint8_t i = 0; i < 30; i++) {
        TEST_CHECK(pixels[i] == i + 1);
    }
    TEST_CHECK(strstr(path, source.file) != NULL && strchr(source.file, '/') == NULL);
    write_file(label_file, sizeof label_file, form);
    TEST_CHECK_MSG(read_labels(&error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(labels[0] == 7 && labels[1] == 0 && labels[2] == 9 && labels[3] == 3);
}

/* SHA-256 of the stored bytes, from sha256sum. */
static void test_digest(void) {
    struct bm_error error = {.text = ""};
    char content[65];
    write_file(label_file, sizeof label_file, PLAIN);
    TEST_CHECK(read_labels(&error) == BM_STATUS_OK);
    TEST_CHECK_STR(source.sha256,
                   "ff5450348f1ead96ba68e6c480601a0a894402e3673c24854944d04d27cf1733");
    write_file(label_file, sizeof label_file, GZIP);
    TEST_CHECK(read_labels(&error) == BM_STATUS_OK);
    TEST_CHECK(strcmp(source.sha256,
                      "ff5450348f1ead96ba68e6c480601a0a894402e3673c24854944d04d27cf1733") != 0);
    TEST_CHECK(bm_data_content_digest(path, content, &error) == BM_STATUS_OK);
    TEST_CHECK_STR(content, "ff5450348f1ead96ba68e6c480601a0a894402e3673c24854944d04d27cf1733");
}

static void test_truncated(void) {
    write_file(image_file, 45, PLAIN);
    refused(read_images, "truncated: expected 46 bytes of content, found 45 bytes");
    write_file(image_file, 10, PLAIN);
    refused(read_images, "offset 8: truncated: expected 4 bytes of rows, found 2");
    write_file(image_file, 0, PLAIN);
    refused(read_images, "offset 0: truncated: expected 4 bytes of the magic number, found 0");
    write_file(image_file, 45, GZIP);
    refused(read_images, "offset 16: truncated: expected 30 bytes of pixels, found 29");
    write_file(label_file, 11, GZIP);
    refused(read_labels, "offset 8: truncated: expected 4 bytes of labels, found 3");
}

static void test_oversized(void) {
    uint8_t longer[47];
    memcpy(longer, image_file, 46);
    longer[46] = 1;
    write_file(longer, 47, PLAIN);
    refused(read_images, "oversized: expected 46 bytes of content, found 47 bytes");
    write_file(longer, 47, GZIP);
    refused(read_images, "offset 46: oversized: expected the end, found more bytes");
}

/* Every prefix of a gzip'd file is refused, also those that hold all pixels and lack only the
 * checksum; so is a byte behind it. */
static void test_damaged_gzip(void) {
    struct bm_error error;
    write_file(image_file, sizeof image_file, GZIP);
    long size = file_size();
    for (long kept = 0; kept < size; kept++) {
        write_file(image_file, sizeof image_file, GZIP);
        cut_file(kept);
        TEST_CHECK_MSG(read_images(&error) == BM_STATUS_INVALID, "%ld of %ld bytes", kept, size);
    }
    char expected[128];
    (void)snprintf(expected, sizeof expected,
                   "stored offset %ld: expected a whole gzip stream, found its end too early "
                   "(truncated)",
                   size - 1);
    refused(read_images, expected);
    write_file(image_file, sizeof image_file, GZIP);
    append_byte();
    (void)snprintf(expected, sizeof expected,
                   "stored offset %ld: oversized: expected the end after the gzip stream, found "
                   "more bytes",
                   size);
    refused(read_images, expected);
}

static void test_wrong_checksum(void) {
    struct bm_error error;
    write_file(image_file, sizeof image_file, GZIP);
    long size = file_size();
    flip_byte(size - 8); /* CRC-32, then the length */
    TEST_CHECK(read_images(&error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected a whole gzip stream, found incorrect data check");
    write_file(image_file, sizeof image_file, GZIP);
    flip_byte(size - 4);
    TEST_CHECK(read_images(&error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected a whole gzip stream, found incorrect length check");
}

static void patched(const uint8_t *file, size_t size, size_t offset, uint8_t value) {
    uint8_t bytes[64];
    memcpy(bytes, file, size);
    bytes[offset] = value;
    write_file(bytes, size, PLAIN);
}

static void test_headers(void) {
    patched(image_file, 46, 2, 9);
    refused(read_images, "offset 0: expected the magic number 0x00000803 (idx, unsigned bytes, 3 "
                         "dimensions), found 0x00000903");
    patched(label_file, 12, 3, 3);
    refused(read_labels, "offset 0: expected the magic number 0x00000801 (idx, unsigned bytes, 1 "
                         "dimension), found 0x00000803");
    patched(image_file, 46, 7, 0);
    refused(read_images, "offset 4: number of images: expected 1 to 2147483648, found 0");
    patched(image_file, 46, 4, 255);
    refused(read_images, "offset 4: number of images: expected 1 to 2147483648, found 4278190083");
    patched(image_file, 46, 10, 255);
    refused(read_images, "offset 8: rows: expected 1 to 1024, found 65282");
    patched(image_file, 46, 15, 0);
    refused(read_images, "offset 12: columns: expected 1 to 1024, found 0");
}

/* A small file that announces 2 GiB is refused before anybody takes memory for it. */
static void test_absurd_size(void) {
    uint8_t bytes[46];
    memcpy(bytes, image_file, 46);
    bytes[4] = 0x7f;
    write_file(bytes, 46, PLAIN);
    refused(read_images, "truncated: expected 21307064366 bytes of content, found 46 bytes");
    write_file(bytes, 46, GZIP);
    struct bm_error error;
    TEST_CHECK(read_images(&error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "truncated: expected 21307064366 bytes of content, found ");
    TEST_CONTAINS(error.text, " bytes of gzip");
}

static void test_label_range(void) {
    patched(label_file, 12, 10, 10);
    refused(read_labels, "offset 10: expected a label below 10, found 10");
}

static void test_no_file(void) {
    struct bm_data_file file;
    struct bm_error error;
    TEST_CHECK(bm_data_file_open("/nonexistent", &file, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "/nonexistent: expected a readable file: No such file or directory");
    TEST_CHECK(bm_data_file_open("/tmp", &file, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "/tmp: expected a regular file, found another kind");
}

int main(void) {
    int fd = mkstemp(path);
    TEST_CHECK(fd >= 0 && close(fd) == 0);
    for (uint8_t i = 0; i < 30; i++) {
        image_file[16 + i] = (uint8_t)(i + 1);
    }
    test_good(PLAIN);
    test_good(GZIP);
    test_digest();
    test_truncated();
    test_oversized();
    test_damaged_gzip();
    test_wrong_checksum();
    test_headers();
    test_absurd_size();
    test_label_range();
    test_no_file();
    TEST_CHECK(unlink(path) == 0);
    return 0;
}
