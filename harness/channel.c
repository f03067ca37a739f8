#include "channel.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define FRAME_MAGIC 0x31464d42u /* "BMF1" */

struct frame_header {
    uint32_t magic;
    uint32_t length;
    uint32_t crc;
};

static uint32_t payload_crc(const void *bytes, size_t length) {
    return (uint32_t)crc32(crc32(0, NULL, 0), bytes, (uInt)length);
}

void bm_frame_buffer_deinit(struct bm_frame_buffer *buffer) {
    free(buffer->bytes);
    memset(buffer, 0, sizeof *buffer);
}

int32_t bm_frame_feed(struct bm_frame_buffer *buffer,
                      const void *bytes,
                      size_t count,
                      struct bm_error *error) {
    if (count > buffer->capacity - buffer->used) {
        size_t capacity = buffer->capacity == 0 ? 4096 : buffer->capacity;
        while (capacity - buffer->used < count) {
            capacity *= 2;
        }
        unsigned char *grown = realloc(buffer->bytes, capacity);
        if (grown == NULL) {
            return bm_fail(error, BM_STATUS_NO_MEMORY, "message: %zu bytes", capacity);
        }
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->bytes + buffer->used, bytes, count);
    buffer->used += count;
    return BM_STATUS_OK;
}

int32_t bm_frame_next(struct bm_frame_buffer *buffer, json_t **message, struct bm_error *error) {
    struct frame_header header;
    *message = NULL;
    if (buffer->used < sizeof header) {
        return BM_STATUS_OK;
    }
    memcpy(&header, buffer->bytes, sizeof header);
    if (header.magic != FRAME_MAGIC) {
        return bm_fail(error, BM_STATUS_INVALID, "message: expected magic %08x, found %08x",
                       FRAME_MAGIC, header.magic);
    }
    if (header.length > BM_FRAME_PAYLOAD_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "message: expected at most %u bytes, found %u",
                       BM_FRAME_PAYLOAD_MAX, header.length);
    }
    if (buffer->used - sizeof header < header.length) {
        return BM_STATUS_OK;
    }
    const unsigned char *payload = buffer->bytes + sizeof header;
    uint32_t crc = payload_crc(payload, header.length);
    if (crc != header.crc) {
        return bm_fail(error, BM_STATUS_INVALID, "message: expected CRC %08x, found %08x",
                       header.crc, crc);
    }
    json_error_t json_error;
    json_t *parsed = json_loadb((const char *)payload, header.length, 0, &json_error);
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return bm_fail(error, BM_STATUS_INVALID, "message: expected a JSON object, found %s",
                       json_error.text);
    }
    size_t taken = sizeof header + header.length;
    memmove(buffer->bytes, buffer->bytes + taken, buffer->used - taken);
    buffer->used -= taken;
    *message = parsed;
    return BM_STATUS_OK;
}

static int32_t write_all(int fd, const void *bytes, size_t count, struct bm_error *error) {
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = write(fd, next, count);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return bm_fail_errno(error, BM_STATUS_INTERNAL, "pipe: cannot write");
        }
        next += written;
        count -= (size_t)written;
    }
    return BM_STATUS_OK;
}

int32_t bm_channel_send(int fd, const json_t *message, struct bm_error *error) {
    size_t length = json_dumpb(message, NULL, 0, JSON_COMPACT);
    if (length == 0 || length > BM_FRAME_PAYLOAD_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "message: expected 1 to %u bytes, found %zu",
                       BM_FRAME_PAYLOAD_MAX, length);
    }
    unsigned char *frame = malloc(sizeof(struct frame_header) + length);
    if (frame == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "message: %zu bytes", length);
    }
    char *payload = (char *)frame + sizeof(struct frame_header);
    (void)json_dumpb(message, payload, length, JSON_COMPACT);
    struct frame_header header = {FRAME_MAGIC, (uint32_t)length, payload_crc(payload, length)};
    memcpy(frame, &header, sizeof header);
    int32_t status = write_all(fd, frame, sizeof header + length, error);
    free(frame);
    return status;
}

int32_t bm_channel_receive(int fd,
                           struct bm_frame_buffer *buffer,
                           json_t **message,
                           struct bm_error *error) {
    for (;;) {
        int32_t status = bm_frame_next(buffer, message, error);
        if (status != BM_STATUS_OK || *message != NULL) {
            return status;
        }
        char bytes[4096];
        ssize_t count = read(fd, bytes, sizeof bytes);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return bm_fail_errno(error, BM_STATUS_INTERNAL, "pipe: cannot read");
        }
        if (count == 0) {
            return BM_STATUS_OK;
        }
        status = bm_frame_feed(buffer, bytes, (size_t)count, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
}
