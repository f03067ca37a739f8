/* Dense layers. x: [count][inputs], y: [count][outputs], weight: [outputs][inputs]. */
#include "scalar.h"

#include <string.h>

/* Rows of the weight gradient that are made at once: few for a small batch, where they pass through
 * the first cache once; more for a large one, so that the images are read less often. */
#define TILE_ROWS_FEW 6u
#define TILE_ROWS_MANY 24u
#define TILE_BATCH 64u

uint64_t bm_scalar_dense_scratch(const struct bm_kit_layer *facts) {
    uint64_t rows = facts->output_size < TILE_ROWS_MANY ? facts->output_size : TILE_ROWS_MANY;
    uint64_t tiles = 2 * rows * facts->input_size;
    return tiles > facts->output_size ? tiles : facts->output_size;
}

/* A part of a matrix: a thread's share of rows if there are enough of them, otherwise of columns.
 */
struct share {
    uint64_t row_begin;
    uint64_t row_end;
    uint64_t column_begin;
    uint64_t column_end;
};

static struct share
share_out(uint64_t rows, uint64_t columns, uint32_t thread, uint32_t thread_count) {
    struct share share = {0, rows, 0, columns};
    if (rows >= 16 * (uint64_t)thread_count) {
        bm_kit_split(rows, 4, thread, thread_count, &share.row_begin, &share.row_end);
    } else {
        bm_kit_split(columns, columns >= 96 * (uint64_t)thread_count ? 48 : 1, thread, thread_count,
                     &share.column_begin, &share.column_end);
    }
    return share;
}

/* y[b][o] = bias[o] + sum_i weight[o][i] x[b][i] */
static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *weight = work->session->params + facts->weight_offset;
    const float *bias = work->session->params + facts->bias_offset;
    uint64_t inputs = facts->input_size;
    uint64_t outputs = facts->output_size;
    struct share share = share_out(work->session->pass.count, outputs, thread, thread_count);
    uint64_t columns = share.column_end - share.column_begin;
    for (uint64_t b = share.row_begin; b < share.row_end; b++) {
        memcpy(work->y + b * outputs + share.column_begin, bias + share.column_begin,
               columns * sizeof(float));
    }
    bm_scalar_dot(work->x + share.row_begin * inputs, inputs, weight + share.column_begin * inputs,
                  inputs, work->y + share.row_begin * outputs + share.column_begin, outputs,
                  share.row_end - share.row_begin, columns, inputs);
}

void bm_scalar_dense_forward(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, forward, work);
}

/* dx[b][i] = sum_o dy[b][o] weight[o][i] */
static void backward_input(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *weight = work->session->params + facts->weight_offset;
    uint64_t inputs = facts->input_size;
    uint64_t outputs = facts->output_size;
    struct share share = share_out(work->session->pass.count, inputs, thread, thread_count);
    uint64_t columns = share.column_end - share.column_begin;
    for (uint64_t b = share.row_begin; b < share.row_end; b++) {
        memset(work->dx + b * inputs + share.column_begin, 0, columns * sizeof(float));
    }
    bm_scalar_axpy(work->dy + share.row_begin * outputs, outputs, 1, weight + share.column_begin,
                   inputs, work->dx + share.row_begin * inputs + share.column_begin, inputs,
                   share.row_end - share.row_begin, columns, outputs);
}

/* tile[r][i] = sum_b dy[b][first + r] x[b][i], by blocks of images */
static void
weight_tile(const struct bm_scalar_work *work, uint64_t first, uint64_t rows, float *tile) {
    uint64_t inputs = work->layer->facts.input_size;
    uint64_t outputs = work->layer->facts.output_size;
    uint64_t count = work->session->pass.count;
    uint64_t size = rows * inputs;
    float *partial = tile + size;
    memset(tile, 0, size * sizeof *tile);
    for (uint64_t b = 0; b < count; b += BM_SCALAR_SUM_BLOCK) {
        uint64_t images = count - b < BM_SCALAR_SUM_BLOCK ? count - b : BM_SCALAR_SUM_BLOCK;
        float *target = b == 0 ? tile : partial;
        if (b > 0) {
            memset(partial, 0, size * sizeof *partial);
        }
        bm_scalar_axpy(work->dy + b * outputs + first, 1, outputs, work->x + b * inputs, inputs,
                       target, inputs, rows, inputs, images);
        for (uint64_t i = 0; b > 0 && i < size; i++) {
            tile[i] += partial[i];
        }
    }
}

/* dweight[o][i] = sum_b dy[b][o] x[b][i]; dbias[o] = sum_b dy[b][o]. A thread owns outputs. */
static void backward_params(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    struct bm_session *session = work->session;
    const struct bm_kit_layer *facts = &work->layer->facts;
    float *scratch = session->scratch + thread * session->scratch_count;
    uint64_t tile_rows = session->pass.count < TILE_BATCH ? TILE_ROWS_FEW : TILE_ROWS_MANY;
    struct bm_scalar_channels shape = {
        .count = session->pass.count, .channels = facts->output_size, .positions = 1};
    bm_kit_split(facts->output_size, 3, thread, thread_count, &shape.begin, &shape.end);
    for (uint64_t o = shape.begin; o < shape.end; o += tile_rows) {
        uint64_t rows = shape.end - o < tile_rows ? shape.end - o : tile_rows;
        weight_tile(work, o, rows, scratch);
        bm_scalar_sink(session, facts->weight_offset + o * facts->input_size, scratch,
                       rows * facts->input_size);
    }
    bm_scalar_sum(&shape, work->dy, scratch);
    bm_scalar_sink(session, facts->bias_offset + shape.begin, scratch + shape.begin,
                   shape.end - shape.begin);
}

void bm_scalar_dense_backward(struct bm_scalar_work *work) {
    /* The sink may change the weights, so their last reader goes first. */
    if (work->dx != NULL) {
        bm_kit_pool_run(work->session->pool, backward_input, work);
    }
    bm_kit_pool_run(work->session->pool, backward_params, work);
}
