/* Dense and convolutional layers: products of rows and weights (shaders/matrix.glsl). */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORWARD BM_VULKAN_FORWARD
#define INPUT_GRADIENT BM_VULKAN_INPUT_GRADIENT
#define WEIGHT_GRADIENT BM_VULKAN_WEIGHT_GRADIENT

/* ---- Tiles ---- */

/* A software device's workgroup, and its invocations' tile in rows and vectors. */
#define SOFTWARE_INVOCATIONS 8u
#define SOFTWARE_ROWS 4u
#define SOFTWARE_COLUMNS 4u

/* A GPU's (shaders/matrix_tiled.comp), the smallest first. The first is for the software device
 * that is to show that these shaders are right: others take it seconds to compile. */
struct tile {
    uint32_t rows;
    uint32_t columns;
    uint32_t depth;
    uint32_t own_rows;
    uint32_t own_columns;
};

static const struct tile tiles[] = {
    {16, 16, 4, 4, 4},   {32, 32, 16, 4, 4},   {64, 64, 16, 8, 4},
    {128, 64, 16, 8, 8}, {128, 128, 16, 8, 8},
};

#define TILE_COUNT (sizeof tiles / sizeof tiles[0])

/* Workgroups that keep a large GPU busy. */
#define BUSY_GROUPS 256u

static uint64_t invocations_of(const struct tile *tile) {
    return (uint64_t)tile->rows / tile->own_rows * (tile->columns / tile->own_columns);
}

static uint64_t groups_of(const struct tile *tile, uint64_t rows, uint64_t columns) {
    return (rows + tile->rows - 1) / tile->rows * ((columns + tile->columns - 1) / tile->columns);
}

/* The largest that gives work to all, or the smallest: a guess where nothing was measured. */
static const struct tile *tile_by_shape(uint64_t rows, uint64_t columns) {
    const struct tile *chosen = &tiles[1];
    for (size_t i = 2; i < TILE_COUNT; i++) {
        if (groups_of(&tiles[i], rows, columns) >= BUSY_GROUPS) {
            chosen = &tiles[i];
        }
    }
    return chosen;
}

void bm_vulkan_tile_text(uint32_t tile, char *text, uint32_t capacity) {
    (void)snprintf(text, capacity, "%ux%ux%u", tiles[tile].rows, tiles[tile].columns,
                   tiles[tile].depth);
}

int32_t bm_vulkan_tile_suits(uint32_t tile, uint64_t rows) {
    return tile == 1 || (tile > 1 && tiles[tile].rows / 2 < rows);
}

/* ---- Kernels ---- */

struct push {
    VkDeviceAddress a;
    VkDeviceAddress b;
    VkDeviceAddress c;
    VkDeviceAddress mask;
    struct bm_vulkan_sink sink;
    VkDeviceAddress partial;
    uint32_t rows;
    uint32_t row_begin;
    uint32_t part_rows;
};

static struct bm_vulkan_kernel kernel_of(const struct bm_vulkan_recorder *recorder,
                                         const struct bm_vulkan_stage *stage,
                                         uint32_t mode) {
    int32_t is_convolution = stage->kind == BM_LAYER_CONV2D;
    return (struct bm_vulkan_kernel){
        .shader = recorder->session->is_tiled ? BM_VULKAN_MATRIX_TILED : BM_VULKAN_MATRIX_SOFTWARE,
        .constants = {
            [0] = SOFTWARE_INVOCATIONS,
            [1] = mode,
            [2] = is_convolution ? stage->in.vectors : (uint32_t)stage->depth,
            [3] = stage->out.vectors,
            [4] = (uint32_t)is_convolution,
            [5] = stage->in.height,
            [6] = stage->in.width,
            [7] = stage->out.height,
            [8] = stage->out.width,
            [9] = stage->facts.kernel_height,
            [10] = stage->facts.kernel_width,
            [11] = stage->facts.stride,
            [12] = stage->facts.padding,
        }};
}

static struct bm_vulkan_shape
shape_of(const struct bm_vulkan_kernel *kernel, uint64_t rows, uint64_t parts) {
    struct bm_vulkan_shape shape = {.rows = rows, .parts = (uint32_t)parts};
    memcpy(shape.constants, &kernel->constants[1], sizeof shape.constants);
    return shape;
}

/* `rows` and `columns` of the result, which `by_shape` divides into tiles. */
static const struct tile *choose_tile(const struct bm_session *session,
                                      const struct bm_vulkan_shape *shape,
                                      uint64_t rows,
                                      uint64_t columns) {
    if (session->tile >= 0) {
        return &tiles[session->tile];
    }
    int32_t tuned = bm_vulkan_tuned_tile(session, shape);
    return tuned >= 0 ? &tiles[tuned] : tile_by_shape(rows, columns);
}

static void set_tile(struct bm_vulkan_kernel *kernel, const struct tile *tile, uint32_t parts) {
    kernel->constants[0] = (uint32_t)invocations_of(tile);
    kernel->constants[18] = tile->rows;
    kernel->constants[19] = tile->columns;
    kernel->constants[20] = tile->depth;
    kernel->constants[21] = tile->own_rows;
    kernel->constants[22] = tile->own_columns;
    kernel->constants[23] = parts;
}

/* A dense layer's product with so few rows is reading its weights. */
#define FEW 8u

/* Lanes of a workgroup that divide a sum (shaders/matrix_few.comp). */
#define FEW_INVOCATIONS 256u
#define FORWARD_LANES 64u
#define INPUT_GRADIENT_LANES 32u

static int32_t is_few(const struct bm_vulkan_recorder *recorder,
                      const struct bm_vulkan_stage *stage) {
    return stage->kind == BM_LAYER_DENSE && recorder->mode.count <= FEW;
}

static void dispatch_few(struct bm_vulkan_recorder *recorder,
                         struct bm_vulkan_kernel *kernel,
                         const struct push *push,
                         uint64_t vectors) {
    uint32_t lanes = kernel->constants[1] == FORWARD ? FORWARD_LANES : INPUT_GRADIENT_LANES;
    kernel->shader = BM_VULKAN_MATRIX_FEW;
    kernel->constants[0] = FEW_INVOCATIONS;
    /* Few kinds, since each takes time to compile: what is read twice costs nothing. */
    kernel->constants[18] = push->rows <= 2 ? push->rows : push->rows <= 4 ? 4 : FEW;
    kernel->constants[19] = lanes;
    bm_vulkan_dispatch(recorder, kernel, push, sizeof *push, vectors * lanes);
}

/* A product of so many rows and vectors of columns. */
static void dispatch_product(struct bm_vulkan_recorder *recorder,
                             struct bm_vulkan_kernel *kernel,
                             const struct push *push,
                             uint64_t rows,
                             uint64_t vectors) {
    uint64_t items = (rows + SOFTWARE_ROWS - 1) / SOFTWARE_ROWS *
                     ((vectors + SOFTWARE_COLUMNS - 1) / SOFTWARE_COLUMNS);
    if (recorder->session->is_tiled) {
        const struct bm_vulkan_shape shape = shape_of(kernel, rows, 1);
        const struct tile *tile = choose_tile(recorder->session, &shape, rows, 4 * vectors);
        set_tile(kernel, tile, 1);
        items = groups_of(tile, rows, 4 * vectors) * invocations_of(tile);
    }
    bm_vulkan_dispatch(recorder, kernel, push, sizeof *push, items);
}

void bm_vulkan_product_forward(struct bm_vulkan_recorder *recorder,
                               const struct bm_vulkan_stage *stage) {
    struct bm_vulkan_kernel kernel = kernel_of(recorder, stage, FORWARD);
    uint64_t rows = recorder->mode.count * stage->out.positions;
    const struct push push = {.a = stage->input->address,
                              .b = bm_vulkan_sink_of(recorder->session, stage).weights,
                              .c = stage->output->address,
                              .rows = (uint32_t)rows};
    kernel.constants[13] = stage->relu;
    if (recorder->session->is_tiled && is_few(recorder, stage)) {
        dispatch_few(recorder, &kernel, &push, stage->out.vectors);
    } else {
        dispatch_product(recorder, &kernel, &push, rows, stage->out.vectors);
    }
}

void bm_vulkan_product_input_gradient(struct bm_vulkan_recorder *recorder,
                                      const struct bm_vulkan_stage *stage) {
    struct bm_vulkan_kernel kernel = kernel_of(recorder, stage, INPUT_GRADIENT);
    int32_t is_dense = stage->kind == BM_LAYER_DENSE;
    uint64_t rows = recorder->mode.count * (is_dense ? 1 : stage->in.positions);
    const struct push push = {.a = stage->delta->address,
                              .b = bm_vulkan_sink_of(recorder->session, stage).weights,
                              .c = stage[-1].delta->address,
                              .mask = stage->input->address,
                              .rows = (uint32_t)rows};
    kernel.constants[14] = stage[-1].relu;
    if (recorder->session->is_tiled && is_few(recorder, stage)) {
        dispatch_few(recorder, &kernel, &push, stage->depth);
    } else {
        dispatch_product(recorder, &kernel, &push, rows,
                         is_dense ? stage->depth : stage->in.vectors);
    }
}

/* ---- Gradient of the weights ---- */

/* Rows that go into one sum: sums of parts have smaller errors; and Mesa's software device ends an
 * invocation's loops after 65535 rounds in all. */
#define SUM_ROWS UINT64_C(16384)

/* A part is worth its sum from so many rows on. */
#define PART_ROWS_MIN UINT64_C(256)

/* How the rows of a stage are divided: into slices, one after the other, and these into parts, side
 * by side. It follows from the shapes alone, not from the tile, since the bits depend on it. */
struct division {
    uint64_t rows;
    uint64_t slice_rows;
    uint64_t slices;
    uint64_t parts;
    uint64_t part_rows;
};

static struct division divide(const struct bm_vulkan_recorder *recorder,
                              const struct bm_vulkan_stage *stage) {
    struct division d = {.rows = recorder->mode.count * stage->out.positions, .parts = 1};
    d.slice_rows = d.rows < SUM_ROWS ? d.rows : SUM_ROWS;
    if (recorder->session->is_tiled) {
        uint64_t columns = 4 * (uint64_t)stage->out.vectors;
        uint64_t most =
            d.rows < BM_VULKAN_PART_MAX * SUM_ROWS ? d.rows : BM_VULKAN_PART_MAX * SUM_ROWS;
        d.slice_rows = most;
        uint64_t groups =
            groups_of(tile_by_shape(4 * stage->depth, columns), 4 * stage->depth, columns);
        d.parts = (BUSY_GROUPS + groups - 1) / groups;
        d.parts = d.parts < most / PART_ROWS_MIN ? d.parts : most / PART_ROWS_MIN;
        d.parts = d.parts > most / SUM_ROWS ? d.parts : (most + SUM_ROWS - 1) / SUM_ROWS;
        d.parts = d.parts < BM_VULKAN_PART_MAX ? d.parts : BM_VULKAN_PART_MAX;
        d.parts = d.parts > 0 ? d.parts : 1;
    }
    d.part_rows = (d.slice_rows + d.parts - 1) / d.parts;
    d.slices = (d.rows + d.slice_rows - 1) / d.slice_rows;
    return d;
}

/* The first slice replaces the gradient unless it is to be added to, and the last may step. */
static void set_slice(const struct bm_vulkan_recorder *recorder,
                      struct bm_vulkan_kernel *kernel,
                      uint32_t first_constant,
                      const struct division *d,
                      uint64_t slice) {
    bm_vulkan_set_sink(recorder, kernel, first_constant);
    kernel->constants[first_constant] = kernel->constants[first_constant] || slice > 0;
    kernel->constants[first_constant + 1] =
        kernel->constants[first_constant + 1] && slice == d->slices - 1;
}

static VkDeviceAddress partial_of(const struct bm_session *session,
                                  const struct bm_vulkan_stage *stage) {
    return session->partial == NULL
               ? 0
               : session->partial->address + BM_VULKAN_PART_MAX * stage->weight * 4 * sizeof(float);
}

static void multiply_slice(struct bm_vulkan_recorder *recorder,
                           const struct bm_vulkan_stage *stage,
                           const struct division *d,
                           uint64_t slice) {
    struct bm_session *session = recorder->session;
    struct bm_vulkan_kernel kernel = kernel_of(recorder, stage, WEIGHT_GRADIENT);
    uint64_t begin = slice * d->slice_rows;
    uint64_t end = slice == d->slices - 1 ? d->rows : begin + d->slice_rows;
    const struct push push = {.a = stage->input->address,
                              .b = stage->delta->address,
                              .sink = bm_vulkan_sink_of(session, stage),
                              .partial = partial_of(session, stage),
                              .rows = (uint32_t)end,
                              .row_begin = (uint32_t)begin,
                              .part_rows = (uint32_t)d->part_rows};
    uint64_t items =
        (stage->depth + 1) * ((stage->out.vectors + SOFTWARE_COLUMNS - 1) / SOFTWARE_COLUMNS);
    if (d->parts == 1) {
        set_slice(recorder, &kernel, 15, d, slice);
    }
    if (session->is_tiled) {
        uint64_t columns = 4 * (uint64_t)stage->out.vectors;
        const struct bm_vulkan_shape shape = shape_of(&kernel, d->rows, d->parts);
        const struct tile *tile = choose_tile(session, &shape, 4 * stage->depth, columns);
        set_tile(&kernel, tile, (uint32_t)d->parts);
        items = groups_of(tile, 4 * stage->depth, columns) * d->parts * invocations_of(tile);
    }
    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, items);
}

static void add_parts(struct bm_vulkan_recorder *recorder,
                      const struct bm_vulkan_stage *stage,
                      const struct division *d,
                      uint64_t slice) {
    struct bm_session *session = recorder->session;
    uint64_t count = (4 * stage->depth + 1) * stage->out.vectors;
    struct bm_vulkan_kernel kernel = {.shader = BM_VULKAN_MATRIX_PARTS,
                                      .constants = {[0] = 64, [4] = (uint32_t)d->parts}};

    const struct {
        VkDeviceAddress partial;
        struct bm_vulkan_sink sink;
        uint32_t count;
    } push = {partial_of(session, stage), bm_vulkan_sink_of(session, stage), (uint32_t)count};

    set_slice(recorder, &kernel, 1, d, slice);
    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, count);
}

static int32_t has_slice(const struct bm_vulkan_recorder *recorder,
                         const struct bm_vulkan_stage *stage,
                         uint64_t slice) {
    return stage->depth > 0 && !is_few(recorder, stage) && slice < divide(recorder, stage).slices;
}

/* Number `slice` of the slices of all stages that have so many; returns 0 when none has. */
static int32_t record_slice(struct bm_vulkan_recorder *recorder, uint64_t slice) {
    struct bm_session *session = recorder->session;
    int32_t found = 0;
    int32_t has_parts = 0;
    for (uint32_t i = session->first_trainable; i < session->stage_count; i++) {
        const struct bm_vulkan_stage *stage = &session->stages[i];
        if (has_slice(recorder, stage, slice)) {
            const struct division d = divide(recorder, stage);
            if (!found && slice > 0) {
                bm_vulkan_pass_barrier(recorder);
            }
            multiply_slice(recorder, stage, &d, slice);
            has_parts = has_parts || d.parts > 1;
            found = 1;
        }
    }
    if (has_parts) {
        bm_vulkan_pass_barrier(recorder);
    }
    for (uint32_t i = session->first_trainable; has_parts && i < session->stage_count; i++) {
        const struct bm_vulkan_stage *stage = &session->stages[i];
        if (has_slice(recorder, stage, slice)) {
            const struct division d = divide(recorder, stage);
            if (d.parts > 1) {
                add_parts(recorder, stage, &d, slice);
            }
        }
    }
    return found;
}

/* All dense layers at once: what a dispatch costs would be more than the work. */
static void record_few(struct bm_vulkan_recorder *recorder) {
    struct bm_session *session = recorder->session;
    struct bm_vulkan_kernel kernel = {.shader = BM_VULKAN_WEIGHTS_FEW,
                                      .constants = {[0] = 64, [4] = session->dense_count}};

    const struct {
        VkDeviceAddress layers;
        struct bm_vulkan_sink sink;
        uint32_t count;
    } push = {session->dense->address, bm_vulkan_sink_of(session, NULL),
              (uint32_t)recorder->mode.count};

    bm_vulkan_set_sink(recorder, &kernel, 1);
    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, session->dense_vectors);
}

void bm_vulkan_weight_gradients(struct bm_vulkan_recorder *recorder) {
    uint64_t slice = 0;
    bm_vulkan_pass_barrier(recorder);
    if (recorder->session->dense_count > 0 && recorder->mode.count <= FEW) {
        record_few(recorder);
    }
    while (record_slice(recorder, slice)) {
        slice++;
    }
}

/* ---- For the tuner ---- */

int32_t bm_vulkan_product_shape(const struct bm_vulkan_recorder *recorder,
                                const struct bm_vulkan_stage *stage,
                                uint32_t mode,
                                struct bm_vulkan_shape *shape) {
    const struct bm_vulkan_kernel kernel = kernel_of(recorder, stage, mode);
    uint64_t positions = mode == INPUT_GRADIENT ? stage->in.positions : stage->out.positions;
    if (!recorder->session->is_tiled || stage->depth == 0 || is_few(recorder, stage)) {
        return 0;
    }
    *shape =
        shape_of(&kernel, recorder->mode.count * (stage->kind == BM_LAYER_DENSE ? 1 : positions),
                 mode == WEIGHT_GRADIENT ? divide(recorder, stage).parts : 1);
    return 1;
}

void bm_vulkan_try_product(struct bm_vulkan_recorder *recorder,
                           const struct bm_vulkan_stage *stage,
                           uint32_t mode) {
    if (mode == FORWARD) {
        bm_vulkan_product_forward(recorder, stage);
    } else if (mode == INPUT_GRADIENT) {
        bm_vulkan_product_input_gradient(recorder, stage);
    } else {
        struct division d = divide(recorder, stage);
        d.parts = d.parts > 1 ? d.parts : 2;
        d.part_rows = (d.slice_rows + d.parts - 1) / d.parts;
        multiply_slice(recorder, stage, &d, 0);
    }
}

/* ---- The list of dense layers ---- */

int32_t bm_vulkan_write_dense(struct bm_session *session, struct bm_error *error) {
    struct bm_vulkan_dense *layers = calloc(session->dense_count + (size_t)1, sizeof *layers);
    uint32_t found = 0;
    uint64_t end = 0;
    if (layers == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a list of dense layers");
    }
    for (uint32_t i = 0; i < session->stage_count; i++) {
        const struct bm_vulkan_stage *stage = &session->stages[i];
        if (stage->kind == BM_LAYER_DENSE) {
            end += (4 * stage->depth + 1) * stage->out.vectors;
            layers[found++] = (struct bm_vulkan_dense){.x = stage->input->address,
                                                       .dy = stage->delta->address,
                                                       .inputs = (uint32_t)stage->depth,
                                                       .outputs = stage->out.vectors,
                                                       .weight = (uint32_t)stage->weight,
                                                       .end = (uint32_t)end};
        }
    }
    session->dense_vectors = end;
    int32_t status =
        bm_vulkan_write(&session->queue, session->dense, layers, found * sizeof *layers, error);
    free(layers);
    return status;
}
