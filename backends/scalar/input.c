/* The images of a slice, gathered through the order and converted: input: [count][input_size]. */
#include "scalar.h"

#include <string.h>

static uint64_t image_at(const struct bm_scalar_pass *pass, uint64_t b) {
    return pass->images != NULL ? pass->images[b] : pass->first + b;
}

/* x = scale[channel] value + shift[channel] */
static void convert(const struct bm_session *session, const uint8_t *values, float *x) {
    const struct bm_kit_shape shape = session->core.network.input;
    uint64_t plane = (uint64_t)shape.height * shape.width;
    for (uint32_t c = 0; c < shape.channels; c++) {
        float scale = session->pass.data->scale[c];
        float shift = session->pass.data->shift[c];
        for (uint64_t i = c * plane; i < (c + 1) * plane; i++) {
            x[i] = scale * (float)values[i] + shift;
        }
    }
}

static void gather(void *context, uint32_t thread, uint32_t thread_count) {
    struct bm_session *session = context;
    uint64_t size = session->core.network.input_size;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(session->pass.count, 1, thread, thread_count, &begin, &end);
    for (uint64_t b = begin; b < end; b++) {
        uint64_t offset = image_at(&session->pass, b) * size;
        float *x = session->input + b * size;
        if (session->pass.data->type == BM_DATA_UINT8) {
            convert(session, (const uint8_t *)session->pass.data->images + offset, x);
        } else {
            memcpy(x, (const float *)session->pass.data->images + offset, size * sizeof *x);
        }
    }
}

void bm_scalar_input(struct bm_session *session) {
    bm_kit_pool_run(session->pool, gather, session);
}
