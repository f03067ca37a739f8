/* The images of a slice, gathered through the order and converted into the first activation. */
#include "cpu.h"

#include <string.h>

static uint64_t image_at(const struct bm_cpu_pass *pass, uint64_t b) {
    return pass->images != NULL ? pass->images[b] : pass->first + b;
}

#define FETCH_AHEAD 2u

/* Lines of an image that is read soon: images lie all over the data. */
static void fetch_image(const struct bm_cpu_pass *pass, uint64_t b, uint64_t bytes) {
    if (b < pass->count) {
        const char *image = (const char *)pass->data->images + image_at(pass, b) * bytes;
        for (uint64_t i = 0; i < bytes; i += 64) {
            __builtin_prefetch(image + i);
        }
    }
}

/* x = scale value + shift, one plane as it lies */
static void convert(const uint8_t *values, uint64_t count, float scale, float shift, float *x) {
    const bm_vector factor = bm_spread(scale);
    const bm_vector offset = bm_spread(shift);
    uint64_t i = 0;
    for (; i + BM_CPU_WIDTH <= count; i += BM_CPU_WIDTH) {
        bm_store(x + i, bm_add(bm_multiply(factor, bm_from_bytes(values + i)), offset));
    }
    for (; i < count; i++) {
        x[i] = scale * (float)values[i] + shift;
    }
}

/* Canonical order, [channel][position], as a dense layer reads it. */
static void read_flat(const struct bm_session *session, uint64_t image, float *x) {
    const struct bm_data *data = session->pass.data;
    const struct bm_kit_shape shape = session->core.network.input;
    uint64_t size = session->core.network.input_size;
    uint64_t plane = (uint64_t)shape.height * shape.width;
    if (data->type == BM_DATA_FLOAT32) {
        memcpy(x, (const float *)data->images + image * size, size * sizeof *x);
        return;
    }
    for (uint64_t c = 0; c < shape.channels; c++) {
        convert((const uint8_t *)data->images + image * size + c * plane, plane, data->scale[c],
                data->shift[c], x + c * plane);
    }
}

/* Channels last. */
static void read_positions(const struct bm_session *session, uint64_t image, float *x) {
    const struct bm_data *data = session->pass.data;
    const struct bm_cpu_shape *shape = &session->in;
    uint64_t offset = image * session->core.network.input_size;
    for (uint64_t c = 0; c < shape->channels; c++) {
        for (uint64_t p = 0; p < shape->positions; p++) {
            uint64_t at = offset + c * shape->positions + p;
            x[p * shape->ld + c] =
                data->type == BM_DATA_FLOAT32
                    ? ((const float *)data->images)[at]
                    : data->scale[c] * (float)((const uint8_t *)data->images)[at] + data->shift[c];
        }
    }
}

static void gather(void *context, uint32_t thread, uint32_t thread_count) {
    struct bm_session *session = context;
    const struct bm_cpu_pass *pass = &session->pass;
    uint64_t bytes = session->core.network.input_size *
                     (pass->data->type == BM_DATA_FLOAT32 ? sizeof(float) : 1);
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(pass->count, 1, thread, thread_count, &begin, &end);
    for (uint64_t b = begin; b < end && b < begin + FETCH_AHEAD; b++) {
        fetch_image(pass, b, bytes);
    }
    for (uint64_t b = begin; b < end; b++) {
        float *x = session->input + b * session->in.size;
        fetch_image(pass, b + FETCH_AHEAD, bytes);
        if (session->in.positions == 1) {
            read_flat(session, image_at(pass, b), x);
        } else {
            read_positions(session, image_at(pass, b), x);
        }
    }
}

void bm_cpu_input(struct bm_session *session) {
    bm_cpu_run(session, gather, session, session->pass.count * session->core.network.input_size);
}
