/*
 * The avx2 and avx512 backends. This header holds the session and what the files offer each other.
 *
 * Activations are matrices [image][position][channel], channels last and padded with zeros to whole
 * vectors, so that batch norm, relu and biases are the same code after a dense layer and after a
 * convolution. Weights are kept as panels (see struct bm_cpu_stage), in which they are read by
 * every product; the canonical layout exists only at the border.
 *
 * Every element of a result is computed by one thread, in an order that follows from shapes alone,
 * but for one: with few images the gradient of a dense layer's input is a sum of what the threads
 * have made of their own weights, in the order of the threads.
 */
#ifndef BM_CPU_H
#define BM_CPU_H

#include "calls.h"
#include "simd.h"

/* Columns of a full panel. */
#define BM_CPU_PANEL (2 * BM_CPU_WIDTH)

/* Up to so many images are few: the gradient of a dense layer's input is made of dot products;
 * above, the weights are transposed first. */
#define BM_CPU_DOT_COUNT_MAX UINT64_C(32)

/* Rows of a batch norm's matrix that are summed in float32 before they go into a double; whole
 * tiles. */
#define BM_CPU_NORM_ROWS UINT64_C(42)

/* An activation's place: [positions][ld] floats an image, of each row the first `channels` used and
 * 0 up to whole vectors. A single position may have a gap after that, which holds anything. The
 * images themselves are not padded where a convolution is the first layer. */
struct bm_cpu_shape {
    uint32_t height;
    uint32_t width;
    uint64_t channels;
    uint64_t positions;
    uint64_t ld;
    uint64_t size; /* positions ld */
};

/*
 * A layer, with the relu that follows it. Weights of a dense or convolution layer are a matrix
 * [depth][outputs], kept as panels of BM_CPU_PANEL columns one after the other, each
 * [depth][width]; the last is one vector wide if that is enough. The depth of a dense layer is the
 * size of its input, padding included; of a convolution (tap row, tap column, channel).
 */
struct bm_cpu_stage {
    uint32_t kind;  /* BM_LAYER_* */
    uint32_t layer; /* its number in the problem */
    uint32_t relu;  /* followed by one, in place */
    struct bm_kit_layer facts;
    struct bm_cpu_shape in;
    struct bm_cpu_shape out;
    uint64_t depth;
    uint64_t weight; /* offsets into the packed parameters; batch norm: gain */
    uint64_t bias;   /* shift */
    float *output;   /* [image_max][out.size]; dropout and relu alone work in their input's place */
    uint8_t *kept;   /* dropout: [image_max][out.size] */
    float *transposed; /* panels over the inputs, [outputs of each tap] deep, for the input's
                          gradient */
    float *mean;       /* batch norm: [out.ld], of the last forward pass */
    float *inverse;    /* 1 / sqrt(variance + epsilon) */
    float *factors;    /* [3][out.ld], of the backward pass */
    double *sums;      /* [2][out.ld] */
};

/* A piece of one parameter tensor, whole vectors, small enough to share out. */
struct bm_cpu_chunk {
    uint64_t offset;
    uint64_t count;
    uint32_t tensor;
    uint32_t is_weight; /* of a dense or convolution layer: lars and lamb scale it */
    uint32_t stepped;   /* a fused update steps it as it is made */
};

/* The part of a slice that goes through the layers together. */
struct bm_cpu_pass {
    const struct bm_data *data;
    const uint32_t *images; /* [count] image numbers; NULL: first, first + 1, ... */
    uint64_t first;
    uint64_t count;
    uint32_t flags;
    uint32_t training; /* 0 in evaluate */
    uint32_t begins;   /* the first part: what is made of the parameters is not there yet */
    uint32_t adds;     /* the gradient is added to what is there */
    uint32_t steps;    /* this pass completes the gradient, and the rule is applied to it at once */
    uint64_t update;
    double divisor;
    struct bm_kit_rule rule;
};

struct bm_session {
    struct bm_kit_session core;
    struct bm_kit_pool *pool;
    struct bm_cpu_stage *stages;
    uint32_t stage_count;
    uint32_t first_trainable; /* the lowest stage that has parameters */
    void *memory;             /* holds every array below */
    uint64_t memory_bytes;
    uint64_t image_max;   /* images that go through the layers together */
    uint64_t skinny_max;  /* up to so many the weights of dense layers are stepped in registers */
    uint32_t is_measured; /* skinny_max is, and not an option's */

    struct bm_cpu_shape in;
    float *input;          /* [image_max][in.size] */
    uint64_t packed_count; /* of params, gradient and state: panels and padding included */
    float *params;
    float *gradient;
    float *state[2];
    float *statistics; /* canonical */
    float *delta[2];   /* gradient of a stage's output, and of its input */
    double *losses;    /* [image_max] */
    uint8_t *right;
    float *partial; /* [thread_count - 1][images, at most BM_CPU_DOT_COUNT_MAX][partial_size] */
    uint64_t partial_size;
    float *norm_partial; /* batch norm: [blocks of BM_CPU_NORM_ROWS rows][2][ld] of the largest */
    float *scratch;      /* [thread_count][scratch_count] */
    uint64_t scratch_count;
    struct bm_cpu_chunk *chunks;
    double *norms; /* [chunk_count][2] partial sums of squares */
    float *ratios; /* [tensor_count] of lars and lamb */
    uint64_t chunk_count;
    uint64_t rest_count; /* of chunks that a fused update does not step */
    uint32_t tensor_count;
    struct bm_cpu_pass pass;
};

/* One stage's work, shared out over the threads. Which pointers are set depends on the stage. */
struct bm_cpu_work {
    struct bm_session *session;
    const struct bm_cpu_stage *stage;
    const float *x; /* input of the stage */
    float *y;
    const float *dy;   /* gradient of the output, 0 where its relu was not passed */
    float *dx;         /* gradient of the input; NULL: not wanted */
    const float *mask; /* dx is 0 where this, the input, is not positive; NULL: everywhere wanted */

    /* Of a batch norm woven into the dense layers around it: */
    uint32_t has_sums;    /* the one that made its rows has summed them */
    uint32_t leaves_rows; /* the one that reads its rows will have them made */
    /* Of a dense layer: the batch norms whose rows it has made before it reads them, and summed
     * after it has made them, a block at a time; NULL: none. */
    const struct bm_cpu_work *before;
    const struct bm_cpu_work *after;
};

/* Work of fewer multiplications than this is done by the calling thread: starting and ending the
 * others takes as long. */
#define BM_CPU_ALONE 32768u

static inline void
bm_cpu_run(struct bm_session *session, bm_kit_task *task, void *context, uint64_t multiplications) {
    if (multiplications < BM_CPU_ALONE) {
        task(context, 0, 1);
    } else {
        bm_kit_pool_run(session->pool, task, context);
    }
}

/* ---- tile.c: the products, a tile at a time ---- */

/* Rows of the left operand: runs of contiguous floats, so that a row may be an image or a patch. */
struct bm_cpu_rows {
    const float *values;
    uint64_t step;      /* from one row to the next */
    uint64_t runs;      /* of one row */
    uint64_t run_step;  /* from one run to the next */
    uint64_t length;    /* of a run */
    uint64_t skip;      /* rows of the panel to leave out after each run */
    const float *fetch; /* memory that will be needed next: BM_CPU_FETCH floats for each step; NULL:
                           none */
};

#define BM_CPU_FETCH UINT64_C(4)

/* What is done to a finished tile before it is stored. */
struct bm_cpu_finish {
    uint32_t continues; /* the sums go on from what c holds */
    const float *bias;  /* of its first column; NULL: none */
    uint32_t relu;
    const float *mask; /* of its first element, stepping like the result; NULL: none */
};

/* c[i][j] = finish(sum_k a[i][k] panel[k][j]) for `rows` <= BM_CPU_ROWS rows and `width` columns (a
 * panel's). */
void bm_cpu_tile_rows(const struct bm_cpu_rows *a,
                      uint64_t rows,
                      const float *panel,
                      uint64_t width,
                      const struct bm_cpu_finish *finish,
                      float *c,
                      uint64_t ldc);

/* Finishes sums that were stored without: c[i][j] = finish(c[i][j]). */
void bm_cpu_tile_finish(
    uint64_t rows, uint64_t width, const struct bm_cpu_finish *finish, float *c, uint64_t ldc);

/* Steps through which an outer product is summed: [runs][length], each with an a and a b. */
struct bm_cpu_steps {
    uint64_t runs;
    uint64_t length;
    uint64_t a_run; /* from one run to the next */
    uint64_t b_run;
    uint64_t a_step; /* within a run */
    uint64_t b_step;
};

/* tile[i][j] = sum over steps a[i] b[j], `rows` <= BM_CPU_ROWS rows, `width` columns; `continues`:
 * the sums go on from what the tile holds. `fetch` and
 * `fetch_other` (may be NULL) are memory of the tile's size that will be needed next. */
void bm_cpu_tile_outer(const float *a,
                       const float *b,
                       const struct bm_cpu_steps *steps,
                       uint64_t rows,
                       uint64_t width,
                       uint32_t continues,
                       const float *fetch,
                       const float *fetch_other,
                       float *tile);

/* Dot products along the rows of neighbouring panels. */
struct bm_cpu_dot {
    const float *panels; /* the first of them */
    uint64_t depth;
    uint64_t columns; /* of all of them */
    uint64_t dy_step; /* from one image to the next */
    uint64_t dx_step;
};

/* dx[i][input + k] = sum_j dy[i][j] panels[input + k][j] for `images` <= BM_CPU_DOT_IMAGES images,
 * k < BM_CPU_DOT_INPUTS and the columns j of the panels. */
void bm_cpu_tile_dot(
    const struct bm_cpu_dot *dot, uint64_t input, const float *dy, uint64_t images, float *dx);

/* What one thread has of a dense layer's weights. */
struct bm_cpu_share {
    uint64_t input_begin;
    uint64_t input_end;
    uint64_t panel_begin;
    uint64_t panel_end;
};

/* ---- skinny.c ---- */

/* Steps a share of a dense layer's weights as session->pass says, which adds to nothing. */
void bm_cpu_skinny_step(const struct bm_cpu_work *work, const struct bm_cpu_share *share);

/* Panels over `columns`: their number, the width of number `index`, and the sum of their widths. */
uint64_t bm_cpu_panel_count(uint64_t columns);
uint64_t bm_cpu_panel_width(uint64_t columns, uint64_t index);
uint64_t bm_cpu_panel_columns(uint64_t columns);

/* Begin of tile `index` of the `tiles` equal ones that `rows` rows are divided into. */
static inline uint64_t bm_cpu_tile_begin(uint64_t rows, uint64_t tiles, uint64_t index) {
    return rows * index / tiles;
}

/* to[c][r] = from[r][c] for `rows` rows and `columns` columns, rows of `from` and of `to` being
 * from_ld and to_ld floats apart. */
void bm_cpu_transpose(const float *from,
                      uint64_t from_ld,
                      uint64_t rows,
                      uint64_t columns,
                      float *to,
                      uint64_t to_ld);

/* ---- stages ---- */

void bm_cpu_input(struct bm_session *session);

void bm_cpu_dense_forward(struct bm_cpu_work *work);
void bm_cpu_dense_backward(struct bm_cpu_work *work);

/* The second half of it with many images: the gradient of the parameters, stored or stepped with.
 */
void bm_cpu_dense_param_gradients(struct bm_cpu_work *work);

void bm_cpu_convolution_forward(struct bm_cpu_work *work);
void bm_cpu_convolution_backward(struct bm_cpu_work *work);

/* The second half of it. */
void bm_cpu_convolution_param_gradients(struct bm_cpu_work *work);

/* Floats that a thread paints into. */
uint64_t bm_cpu_convolution_scratch(const struct bm_cpu_stage *stage);

void bm_cpu_maxpool_forward(struct bm_cpu_work *work);
void bm_cpu_maxpool_backward(struct bm_cpu_work *work);

void bm_cpu_batchnorm_forward(struct bm_cpu_work *work);
void bm_cpu_batchnorm_backward(struct bm_cpu_work *work); /* dx may be dy */

/* Whether, in this pass, the rows of a batch norm, one for each image, come from so far away that
 * the dense layers around it should sum and make them, block by block, while they have them near.
 */
int32_t bm_cpu_batchnorm_is_woven(struct bm_session *session, const struct bm_cpu_stage *stage);

/* Sums of the rows `block` BM_CPU_NORM_ROWS ..: of x or, backward, of dy. */
void bm_cpu_batchnorm_sum_block(const struct bm_cpu_work *work, uint64_t block);

/* These rows of y or, backward, of dx. */
void bm_cpu_batchnorm_make_block(const struct bm_cpu_work *work, uint64_t block);

/* In place: y is x, dx is dy. */
void bm_cpu_relu_forward(struct bm_cpu_work *work);
void bm_cpu_relu_backward(struct bm_cpu_work *work);
void bm_cpu_dropout_forward(struct bm_cpu_work *work);
void bm_cpu_dropout_backward(struct bm_cpu_work *work);

/* Losses, right answers and, in training, the gradient of the logits into dx. */
void bm_cpu_softmax(struct bm_cpu_work *work);

/* ---- sum.c ---- */

/* sums[c] += sum over rows of x[row][c], for columns begin .. end, multiples of the width. */
void bm_cpu_add_rows(
    const float *x, uint64_t ld, uint64_t rows, uint64_t begin, uint64_t end, double *sums);

/* ---- optimizer.c ---- */

/* One step of all parameters with the stored gradient, but those that a fused update has stepped if
 * `rest` is set. */
void bm_cpu_apply(struct bm_session *session, const struct bm_kit_rule *rule, uint32_t rest);

/* Takes a piece of gradient, whole vectors: adds what is stored, and steps the parameters with it
 * or stores it. */
void bm_cpu_sink(struct bm_session *session,
                 uint32_t adds,
                 uint32_t steps,
                 uint64_t offset,
                 float *values,
                 uint64_t count);

/* ---- params.c ---- */

/* Between the canonical and the packed layout. Padding is set to 0. */
void bm_cpu_pack(const struct bm_session *session, const float *canonical, float *packed);
void bm_cpu_unpack(const struct bm_session *session, const float *packed, float *canonical);

/* ---- pass.c ---- */

/* A slice of any size up to batch_max through all layers and, in training, back. pass->count images
 * of it; rule NULL: the gradient is stored. Returns the summed loss and adds the right answers. */
double bm_cpu_pass_run(struct bm_session *session,
                       const struct bm_cpu_pass *whole,
                       const struct bm_kit_rule *rule,
                       uint64_t *right);

/* ---- plan.c ---- */

/* Stages and shapes from the session's network; all that memory.c needs. */
int32_t bm_cpu_plan(struct bm_session *session, struct bm_error *error);

/* ---- tune.c ---- */

/* Sets skinny_max of a session that has its memory and threads and has not been used. */
void bm_cpu_tune(struct bm_session *session);

/* ---- memory.c ---- */

/* Gives every array its place in one block of memory and counts its bytes; without memory (NULL)
 * only counts. UNSUPPORTED if the sum cannot be addressed. */
int32_t bm_cpu_lay_out(struct bm_session *session, void *memory, struct bm_error *error);

#endif
