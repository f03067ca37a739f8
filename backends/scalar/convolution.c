/*
 * Convolutions, as products with the matrix of patches
 *
 *     patch[k][p] = x[i][r stride + a - pad][c stride + b - pad], k = (i, a, b), p = (r, c),
 *
 * of which only a block of rows k exists at a time. x: [count][in][height][width], y:
 * [count][out][positions], weight: [out][depth] with depth = in kernel_height kernel_width.
 */
#include "scalar.h"

#include <string.h>

#define FORWARD_BLOCK 128u /* rows k of patches at once */
#define WEIGHT_BLOCK 64u

static uint64_t positions_of(const struct bm_kit_layer *facts) {
    return (uint64_t)facts->output.height * facts->output.width;
}

static uint64_t taps_of(const struct bm_kit_layer *facts) {
    return (uint64_t)facts->kernel_height * facts->kernel_width;
}

static uint64_t depth_of(const struct bm_kit_layer *facts) {
    return facts->input.channels * taps_of(facts);
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t bm_scalar_convolution_scratch(const struct bm_kit_layer *facts) {
    uint64_t positions = positions_of(facts);
    uint64_t depth = depth_of(facts);
    uint64_t columns = smaller(depth, FORWARD_BLOCK) * positions;
    uint64_t rows = smaller(depth, WEIGHT_BLOCK);
    uint64_t weight = rows * positions + 2 * rows * facts->output.channels;
    uint64_t input = taps_of(facts) * positions;
    uint64_t most = columns > weight ? columns : weight;
    most = most > input ? most : input;
    return most > facts->output.channels ? most : facts->output.channels;
}

/* The output columns c in begin .. end whose input column c stride + b - pad lies in the image. */
static void
inner_columns(const struct bm_kit_layer *facts, int64_t b, int64_t *begin, int64_t *end) {
    int64_t stride = facts->stride;
    int64_t offset = b - (int64_t)facts->padding;
    int64_t columns = facts->output.width;
    int64_t last = (int64_t)facts->input.width - 1 - offset;
    *begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    *end = last < 0 ? 0 : last / stride + 1;
    *begin = *begin < columns ? *begin : columns;
    *end = *end < columns ? *end : columns;
    *end = *end > *begin ? *end : *begin;
}

/* patch[p] for one row k; image: [in][height][width] */
static void
patch_row(const struct bm_kit_layer *facts, const float *image, uint64_t k, float *patch) {
    uint64_t tap = k % taps_of(facts);
    int64_t a = (int64_t)(tap / facts->kernel_width);
    int64_t b = (int64_t)(tap % facts->kernel_width);
    int64_t height = facts->input.height;
    int64_t width = facts->input.width;
    int64_t columns = facts->output.width;
    int64_t stride = facts->stride;
    const float *channel = image + k / taps_of(facts) * (uint64_t)(height * width);
    int64_t begin = 0;
    int64_t end = 0;
    inner_columns(facts, b, &begin, &end);
    for (int64_t r = 0; r < (int64_t)facts->output.height; r++, patch += columns) {
        int64_t row = r * stride + a - (int64_t)facts->padding;
        memset(patch, 0, (size_t)columns * sizeof *patch);
        if (row < 0 || row >= height) {
            continue;
        }
        for (int64_t c = begin; c < end; c++) {
            patch[c] = channel[row * width + c * stride + b - (int64_t)facts->padding];
        }
    }
}

static void patch_rows(const struct bm_kit_layer *facts,
                       const float *image,
                       uint64_t first,
                       uint64_t rows,
                       float *patches) {
    for (uint64_t k = 0; k < rows; k++) {
        patch_row(facts, image, first + k, patches + k * positions_of(facts));
    }
}

/* Parts into which an image's channels are cut so that every thread has something to do. */
static uint64_t parts_of(uint64_t count, uint64_t channels, uint32_t thread_count) {
    uint64_t wanted = count >= thread_count ? 1 : (thread_count + count - 1) / count;
    return smaller(wanted, channels);
}

/* y[o][p] = bias[o] + sum_k weight[o][k] patch[k][p] for one image and outputs begin .. end */
static void forward_image(const struct bm_scalar_work *work,
                          uint64_t image,
                          uint64_t begin,
                          uint64_t end,
                          float *patches) {
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *weight = work->session->params + facts->weight_offset;
    const float *bias = work->session->params + facts->bias_offset;
    uint64_t positions = positions_of(facts);
    uint64_t depth = depth_of(facts);
    float *y = work->y + image * facts->output_size;
    for (uint64_t o = begin; o < end; o++) {
        for (uint64_t p = 0; p < positions; p++) {
            y[o * positions + p] = bias[o];
        }
    }
    for (uint64_t k = 0; k < depth; k += FORWARD_BLOCK) {
        uint64_t rows = smaller(depth - k, FORWARD_BLOCK);
        patch_rows(facts, work->x + image * facts->input_size, k, rows, patches);
        bm_scalar_axpy(weight + begin * depth + k, depth, 1, patches, positions,
                       y + begin * positions, positions, end - begin, positions, rows);
    }
}

static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    struct bm_session *session = work->session;
    uint64_t channels = work->layer->facts.output.channels;
    uint64_t parts = parts_of(session->pass.count, channels, thread_count);
    uint64_t first = 0;
    uint64_t last = 0;
    bm_kit_split(session->pass.count * parts, 1, thread, thread_count, &first, &last);
    for (uint64_t item = first; item < last; item++) {
        uint64_t begin = 0;
        uint64_t end = 0;
        bm_kit_split(channels, 1, (uint32_t)(item % parts), (uint32_t)parts, &begin, &end);
        forward_image(work, item / parts, begin, end,
                      session->scratch + thread * session->scratch_count);
    }
}

void bm_scalar_convolution_forward(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, forward, work);
}

/* dx[r stride + a - pad][c stride + b - pad] += patch[(a, b)][(r, c)] for one channel */
static void add_patches(const struct bm_kit_layer *facts, const float *patch, float *dx) {
    int64_t width = facts->input.width;
    int64_t columns = facts->output.width;
    int64_t stride = facts->stride;
    int64_t padding = facts->padding;
    for (int64_t a = 0; a < (int64_t)facts->kernel_height; a++) {
        for (int64_t b = 0; b < (int64_t)facts->kernel_width; b++) {
            int64_t begin = 0;
            int64_t end = 0;
            inner_columns(facts, b, &begin, &end);
            for (int64_t r = 0; r < (int64_t)facts->output.height; r++, patch += columns) {
                int64_t row = r * stride + a - padding;
                if (row < 0 || row >= (int64_t)facts->input.height) {
                    continue;
                }
                for (int64_t c = begin; c < end; c++) {
                    dx[row * width + c * stride + b - padding] += patch[c];
                }
            }
        }
    }
}

/* dpatch[k][p] = sum_o weight[o][k] dy[o][p], added up into dx, for one image and channel */
static void
backward_channel(const struct bm_scalar_work *work, uint64_t image, uint64_t i, float *patches) {
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *weight = work->session->params + facts->weight_offset;
    uint64_t positions = positions_of(facts);
    uint64_t taps = taps_of(facts);
    uint64_t plane = (uint64_t)facts->input.height * facts->input.width;
    float *dx = work->dx + image * facts->input_size + i * plane;
    memset(dx, 0, plane * sizeof *dx);
    memset(patches, 0, taps * positions * sizeof *patches);
    bm_scalar_axpy(weight + i * taps, 1, depth_of(facts), work->dy + image * facts->output_size,
                   positions, patches, positions, taps, positions, facts->output.channels);
    add_patches(facts, patches, dx);
}

static void backward_input(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    struct bm_session *session = work->session;
    uint64_t channels = work->layer->facts.input.channels;
    uint64_t first = 0;
    uint64_t last = 0;
    bm_kit_split(session->pass.count * channels, 1, thread, thread_count, &first, &last);
    for (uint64_t item = first; item < last; item++) {
        backward_channel(work, item / channels, item % channels,
                         session->scratch + thread * session->scratch_count);
    }
}

/* sums[o][k] += sum_p dy[o][p] patch[k][p] over images first .. last, for rows k of the patches */
static void weight_images(const struct bm_scalar_work *work,
                          uint64_t first,
                          uint64_t last,
                          uint64_t k,
                          uint64_t rows,
                          float *patches,
                          float *sums) {
    const struct bm_kit_layer *facts = &work->layer->facts;
    uint64_t positions = positions_of(facts);
    for (uint64_t image = first; image < last; image++) {
        patch_rows(facts, work->x + image * facts->input_size, k, rows, patches);
        bm_scalar_dot(work->dy + image * facts->output_size, positions, patches, positions, sums,
                      rows, facts->output.channels, rows, positions);
    }
}

/* The same over all images, by blocks of them; tile: [out][rows]. */
static void weight_tile(
    const struct bm_scalar_work *work, uint64_t k, uint64_t rows, float *patches, float *tile) {
    uint64_t count = work->session->pass.count;
    uint64_t size = work->layer->facts.output.channels * rows;
    float *partial = tile + size;
    memset(tile, 0, size * sizeof *tile);
    for (uint64_t first = 0; first < count; first += BM_SCALAR_SUM_BLOCK) {
        uint64_t last = first + smaller(count - first, BM_SCALAR_SUM_BLOCK);
        if (first == 0) {
            weight_images(work, first, last, k, rows, patches, tile);
            continue;
        }
        memset(partial, 0, size * sizeof *partial);
        weight_images(work, first, last, k, rows, patches, partial);
        for (uint64_t i = 0; i < size; i++) {
            tile[i] += partial[i];
        }
    }
}

/* dweight[o][k] and dbias[o] = sum over images and positions of dy. For the weights a thread owns
 * rows k of the patches, which only it makes; for the biases outputs. */
static void backward_params(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    struct bm_session *session = work->session;
    const struct bm_kit_layer *facts = &work->layer->facts;
    float *patches = session->scratch + thread * session->scratch_count;
    float *tile = patches + smaller(depth_of(facts), WEIGHT_BLOCK) * positions_of(facts);
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(depth_of(facts), 1, thread, thread_count, &begin, &end);
    for (uint64_t k = begin; k < end; k += WEIGHT_BLOCK) {
        uint64_t rows = smaller(end - k, WEIGHT_BLOCK);
        weight_tile(work, k, rows, patches, tile);
        for (uint64_t o = 0; o < facts->output.channels; o++) {
            bm_scalar_sink(session, facts->weight_offset + o * depth_of(facts) + k, tile + o * rows,
                           rows);
        }
    }
    struct bm_scalar_channels shape = {.count = session->pass.count,
                                       .channels = facts->output.channels,
                                       .positions = positions_of(facts)};
    bm_kit_split(shape.channels, 1, thread, thread_count, &shape.begin, &shape.end);
    bm_scalar_sum(&shape, work->dy, patches);
    bm_scalar_sink(session, facts->bias_offset + shape.begin, patches + shape.begin,
                   shape.end - shape.begin);
}

void bm_scalar_convolution_backward(struct bm_scalar_work *work) {
    /* The sink may change the weights, so their last reader goes first. */
    if (work->dx != NULL) {
        bm_kit_pool_run(work->session->pool, backward_input, work);
    }
    bm_kit_pool_run(work->session->pool, backward_params, work);
}
