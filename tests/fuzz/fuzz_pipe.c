/* What a worker's pipe may bring: bytes in pieces, and whole frames with whatever in them. */
#include "channel.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static void take_all(struct bm_frame_buffer *buffer) {
    struct bm_error error;
    json_t *message = NULL;
    while (bm_frame_next(buffer, &message, &error) == BM_STATUS_OK && message != NULL) {
        if (!json_is_object(message)) {
            abort();
        }
        json_decref(message);
        message = NULL;
    }
}

/* In pieces of the first byte's size. */
static void feed_raw(const uint8_t *data, size_t size) {
    struct bm_frame_buffer buffer = {0};
    struct bm_error error;
    size_t piece = (size_t)data[0] + 1;
    for (size_t at = 1; at < size; at += piece) {
        size_t count = size - at < piece ? size - at : piece;
        if (bm_frame_feed(&buffer, data + at, count, &error) != BM_STATUS_OK) {
            break;
        }
        take_all(&buffer);
    }
    bm_frame_buffer_deinit(&buffer);
}

/* As the payload of a frame that is right otherwise: a frame of the channel's own, with this in the
 * place of its payload. */
static void feed_framed(const uint8_t *data, size_t size) {
    struct bm_frame_buffer buffer = {0};
    struct bm_error error;
    uint8_t header[12];
    int ends[2];
    json_t *empty = json_object();
    if (pipe(ends) != 0 || bm_channel_send(ends[1], empty, &error) != BM_STATUS_OK ||
        read(ends[0], header, sizeof header) != (ssize_t)sizeof header) {
        abort();
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    json_decref(empty);
    uint32_t length = (uint32_t)size;
    uint32_t crc = (uint32_t)crc32(0, data, (uInt)size);
    memcpy(header + 4, &length, sizeof length);
    memcpy(header + 8, &crc, sizeof crc);
    if (bm_frame_feed(&buffer, header, sizeof header, &error) == BM_STATUS_OK &&
        bm_frame_feed(&buffer, data, size, &error) == BM_STATUS_OK) {
        take_all(&buffer);
    }
    bm_frame_buffer_deinit(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 0) {
        feed_raw(data, size);
        feed_framed(data, size);
    }
    return 0;
}
