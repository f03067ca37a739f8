/*
 * JSON messages between the parent and a worker: each in a frame of magic, length and CRC-32, so
 * that a plugin that scribbles over the pipe, or a worker that dies in the middle of a message, is
 * noticed and not believed.
 */
#ifndef BM_CHANNEL_H
#define BM_CHANNEL_H

#include <batchmark/plugin.h>

#include <jansson.h>
#include <stddef.h>

#define BM_FRAME_PAYLOAD_MAX (8u << 20)

/* Received bytes that do not make a whole frame yet. Zero it before use. */
struct bm_frame_buffer {
    unsigned char *bytes;
    size_t used;
    size_t capacity;
};

void bm_frame_buffer_deinit(struct bm_frame_buffer *buffer);

/* Appends what was read from the pipe. */
int32_t bm_frame_feed(struct bm_frame_buffer *buffer,
                      const void *bytes,
                      size_t count,
                      struct bm_error *error);

/* Takes the first whole message out of the buffer: *message (the caller's, json_decref) or NULL if
 * more bytes are needed. INVALID if the bytes are no frame: wrong magic, length over
 * BM_FRAME_PAYLOAD_MAX, wrong CRC, not a JSON object. */
int32_t bm_frame_next(struct bm_frame_buffer *buffer, json_t **message, struct bm_error *error);

/* Writes one message, all of it, to a blocking descriptor. INTERNAL with errno if the other side is
 * gone. */
int32_t bm_channel_send(int fd, const json_t *message, struct bm_error *error);

/* Reads one message from a blocking descriptor; *message NULL at end of file. */
int32_t bm_channel_receive(int fd,
                           struct bm_frame_buffer *buffer,
                           json_t **message,
                           struct bm_error *error);

#endif
