/* Frames between parent and worker: whole, torn, damaged and absurd ones. */
#include "channel.h"
#include "test.h"

#include <unistd.h>

/* Bytes of one message as it stands in the pipe. */
static size_t frame_of(const char *json, unsigned char *bytes, size_t capacity) {
    int ends[2];
    struct bm_error error;
    json_t *message = json_loads(json, 0, NULL);
    TEST_CHECK(message != NULL && pipe(ends) == 0);
    TEST_CHECK(bm_channel_send(ends[1], message, &error) == BM_STATUS_OK);
    ssize_t count = read(ends[0], bytes, capacity);
    TEST_CHECK(count > 0);
    json_decref(message);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return (size_t)count;
}

static void test_byte_by_byte(void) {
    unsigned char bytes[256];
    size_t count = frame_of("{\"a\": 1}", bytes, sizeof bytes);
    struct bm_frame_buffer buffer = {0};
    struct bm_error error;
    json_t *message = NULL;
    for (size_t i = 0; i < count; i++) {
        TEST_CHECK(bm_frame_next(&buffer, &message, &error) == BM_STATUS_OK && message == NULL);
        TEST_CHECK(bm_frame_feed(&buffer, bytes + i, 1, &error) == BM_STATUS_OK);
    }
    TEST_CHECK(bm_frame_next(&buffer, &message, &error) == BM_STATUS_OK && message != NULL);
    TEST_CHECK(json_integer_value(json_object_get(message, "a")) == 1);
    TEST_CHECK(buffer.used == 0);
    json_decref(message);
    bm_frame_buffer_deinit(&buffer);
}

static void test_two_in_one_read(void) {
    unsigned char bytes[512];
    size_t first = frame_of("{\"n\": 1}", bytes, sizeof bytes);
    size_t second = frame_of("{\"n\": 2}", bytes + first, sizeof bytes - first);
    struct bm_frame_buffer buffer = {0};
    struct bm_error error;
    TEST_CHECK(bm_frame_feed(&buffer, bytes, first + second, &error) == BM_STATUS_OK);
    for (int n = 1; n <= 2; n++) {
        json_t *message = NULL;
        TEST_CHECK(bm_frame_next(&buffer, &message, &error) == BM_STATUS_OK && message != NULL);
        TEST_CHECK(json_integer_value(json_object_get(message, "n")) == n);
        json_decref(message);
    }
    bm_frame_buffer_deinit(&buffer);
}

/* Every single flipped byte is noticed, or asks for more bytes (a longer length), but is never
 * believed. */
static void test_flipped_bytes(void) {
    unsigned char bytes[256];
    size_t count = frame_of("{\"key\": \"value\"}", bytes, sizeof bytes);
    for (size_t i = 0; i < count; i++) {
        struct bm_frame_buffer buffer = {0};
        struct bm_error error;
        json_t *message = NULL;
        bytes[i] ^= 0x41;
        TEST_CHECK(bm_frame_feed(&buffer, bytes, count, &error) == BM_STATUS_OK);
        (void)bm_frame_next(&buffer, &message, &error);
        TEST_CHECK_MSG(message == NULL, "byte %zu flipped and still believed", i);
        bytes[i] ^= 0x41;
        bm_frame_buffer_deinit(&buffer);
    }
}

static void test_absurd_length(void) {
    unsigned char bytes[256];
    size_t count = frame_of("{}", bytes, sizeof bytes);
    struct bm_frame_buffer buffer = {0};
    struct bm_error error = {0};
    json_t *message = NULL;
    memset(bytes + 4, 0xff, 4);
    TEST_CHECK(bm_frame_feed(&buffer, bytes, count, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_frame_next(&buffer, &message, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected at most");
    bm_frame_buffer_deinit(&buffer);
}

static void test_no_object(void) {
    int ends[2];
    struct bm_error error = {0};
    struct bm_frame_buffer buffer = {0};
    json_t *list = json_array();
    json_t *message = NULL;
    TEST_CHECK(pipe(ends) == 0);
    TEST_CHECK(bm_channel_send(ends[1], list, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_channel_receive(ends[0], &buffer, &message, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "JSON object");
    json_decref(list);
    bm_frame_buffer_deinit(&buffer);
}

static void test_end_of_file(void) {
    int ends[2];
    struct bm_error error = {0};
    struct bm_frame_buffer buffer = {0};
    json_t *message = NULL;
    TEST_CHECK(pipe(ends) == 0);
    TEST_CHECK(write(ends[1], "BMF1", 4) == 4);
    (void)close(ends[1]);
    TEST_CHECK(bm_channel_receive(ends[0], &buffer, &message, &error) == BM_STATUS_OK);
    TEST_CHECK(message == NULL);
    bm_frame_buffer_deinit(&buffer);
}

int main(void) {
    test_byte_by_byte();
    test_two_in_one_read();
    test_flipped_bytes();
    test_absurd_length();
    test_no_object();
    test_end_of_file();
    return 0;
}
