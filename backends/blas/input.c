/* The images of a slice, gathered through the order and converted: input: [count][input_size]. */
#include "blas.h"
#include "loop.h"

#include <string.h>

/* x = scale value + shift */
BM_BLAS_LOOP static void convert_plane(
    const uint8_t *restrict values, uint64_t count, float scale, float shift, float *restrict x) {
    for (uint64_t i = 0; i < count; i++) {
        x[i] = scale * (float)values[i] + shift;
    }
}

static void convert(const struct bm_session *session, const uint8_t *values, float *x) {
    const struct bm_kit_shape shape = session->core.network.input;
    uint64_t plane = (uint64_t)shape.height * shape.width;
    for (uint32_t c = 0; c < shape.channels; c++) {
        convert_plane(values + c * plane, plane, session->pass.data->scale[c],
                      session->pass.data->shift[c], x + c * plane);
    }
}

void bm_blas_input(struct bm_session *session) {
    const struct bm_blas_pass *pass = &session->pass;
    uint64_t size = session->core.network.input_size;
    for (uint64_t b = 0; b < pass->count; b++) {
        uint64_t image = pass->images != NULL ? pass->images[b] : pass->first + b;
        float *x = session->input + b * size;
        if (pass->data->type == BM_DATA_UINT8) {
            convert(session, (const uint8_t *)pass->data->images + image * size, x);
        } else {
            memcpy(x, (const float *)pass->data->images + image * size, size * sizeof *x);
        }
    }
}
