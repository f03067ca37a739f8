/* What a convolution slides over: images as they lie, or painted into scratch. */
#ifndef BM_CPU_CANVAS_H
#define BM_CPU_CANVAS_H

#include "cpu.h"

/* What a kernel slides over. `padding` rows and columns of zeros around it are not there. */
struct bm_cpu_canvas {
    const float *values;
    int64_t height;
    int64_t width;
    int64_t channels; /* floats of a pixel */
    int64_t row_padding;
    int64_t column_padding;
};

/* Of one image of the input and of the output's gradient; a painted one lies in `scratch`, of
 * bm_cpu_convolution_scratch floats. */
struct bm_cpu_canvas
bm_cpu_input_canvas(const struct bm_cpu_work *work, uint64_t image, float *scratch);
struct bm_cpu_canvas
bm_cpu_gradient_canvas(const struct bm_cpu_work *work, uint64_t image, float *scratch);

/* Whether the input is painted, with its padding. */
int32_t bm_cpu_paints_input(const struct bm_cpu_stage *stage);

/* Positions begin .. end, of 0 .. count, from which a tap meets the canvas: 0 <= position step +
 * offset < extent. */
static inline void bm_cpu_inside(
    int64_t step, int64_t offset, int64_t extent, int64_t count, int64_t *begin, int64_t *end) {
    int64_t first = offset >= 0 ? 0 : (-offset + step - 1) / step;
    int64_t last = offset >= extent ? 0 : (extent - 1 - offset) / step + 1;
    *begin = first < count ? first : count;
    *end = last < count ? last : count;
    *end = *end > *begin ? *end : *begin;
}

#endif
