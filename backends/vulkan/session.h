/*
 * The vulkan backend. A session has a device of its own, all arrays on it, and for each slice size
 * and mode a program: commands recorded once and submitted again and again. What changes from one
 * update to the next lies in a ring that the device reads. This header holds the session and what
 * the files of the backend offer each other; below it lie loader, instance, device, buffer and
 * queue, which know nothing of networks.
 */
#ifndef BM_VULKAN_SESSION_H
#define BM_VULKAN_SESSION_H

#include "queue.h"

/* ---- What the device reads of an update (shaders/update.glsl) ---- */

#define BM_VULKAN_RING_SIZE 1024u

struct bm_vulkan_update {
    uint32_t first;
    uint32_t number;
    uint32_t loss_count;
    float divisor;
    float rate;
    float momentum;
    float decay;
    float beta1;
    float rest1;
    float beta2;
    float rest2;
    float epsilon;
    float trust;
    float correction1;
    float correction2;
    float rate_decay;
};

struct bm_vulkan_control {
    struct bm_vulkan_update current;
    uint32_t next;
    uint32_t done;
    uint32_t reserved[2];
};

/* A dense layer, for the kernel that has them all (shaders/weights_few.comp). */
struct bm_vulkan_dense {
    VkDeviceAddress x;
    VkDeviceAddress dy;
    uint32_t inputs;
    uint32_t outputs;
    uint32_t weight;
    uint32_t end;
};

/* ---- Kernels and programs ---- */

enum bm_vulkan_shader {
    BM_VULKAN_INPUT,
    BM_VULKAN_MATRIX_SOFTWARE,
    BM_VULKAN_MATRIX_TILED,
    BM_VULKAN_MATRIX_PARTS,
    BM_VULKAN_MATRIX_FEW,
    BM_VULKAN_WEIGHTS_FEW,
    BM_VULKAN_SOFTMAX,
    BM_VULKAN_STEP,
    BM_VULKAN_TRUST_SUMS,
    BM_VULKAN_TRUST_RATIO,
    BM_VULKAN_TRUST_STEP,
    BM_VULKAN_NORM_SUMS,
    BM_VULKAN_NORM_CHANNELS,
    BM_VULKAN_NORM_ROWS,
    BM_VULKAN_ELEMENTS,
    BM_VULKAN_MAXPOOL,
    BM_VULKAN_SHADER_COUNT,
};

#define BM_VULKAN_CONSTANT_MAX 24u

#define BM_VULKAN_TILE_MAX 4u           /* numbers of tiles */
#define BM_VULKAN_PART_MAX UINT64_C(16) /* parts of the rows of a weight gradient */

/* Blocks of rows whose sums batch norm adds up, and invocations among which lars and lamb divide a
 * layer; both at most. */
#define BM_VULKAN_NORM_BLOCK_MAX 4096u
#define BM_VULKAN_TRUST_PARTIAL_MAX 2048u

/* A shader with its specialization constants; number 0 is the size of a workgroup in x. */
struct bm_vulkan_kernel {
    uint32_t shader;
    uint32_t constants[BM_VULKAN_CONSTANT_MAX];
};

struct bm_vulkan_pipeline {
    struct bm_vulkan_kernel kernel;
    VkPipeline handle;
};

/* What a program does; of a slice, but for APPLY. */
#define BM_VULKAN_GRADIENT 0u
#define BM_VULKAN_APPLY 1u
#define BM_VULKAN_UPDATE 2u
#define BM_VULKAN_EVALUATE 3u

/* What a program is recorded for. */
struct bm_vulkan_mode {
    uint32_t kind;  /* BM_VULKAN_* */
    uint32_t flags; /* BM_SLICE_* */
    uint32_t split;
    uint32_t repeat; /* so many updates in a row */
    uint64_t count;  /* images */
};

struct bm_vulkan_program {
    struct bm_vulkan_mode mode;
    VkCommandBuffer commands;
    uint32_t dispatch_count;
};

/* ---- Session ---- */

/* Rows of a matrix are positions of images, its columns channels in whole vectors of four. */
struct bm_vulkan_side {
    uint32_t channels;
    uint32_t vectors;
    uint32_t height;
    uint32_t width;
    uint64_t positions;
};

/* A layer, or two: a relu behind a layer that writes its output itself goes into that. */
struct bm_vulkan_stage {
    struct bm_kit_layer facts;
    uint32_t kind;  /* BM_LAYER_* */
    uint32_t index; /* of the layer in the problem */
    uint32_t relu;
    struct bm_vulkan_side in;
    struct bm_vulkan_side out;
    uint64_t depth;  /* DENSE, CONV2D: vectors of inputs of one output */
    uint64_t weight; /* of the stage's parameters in the arrays of parameters, in vectors */
    struct bm_vulkan_buffer *input;
    struct bm_vulkan_buffer *output; /* that of the stage below where the stage works in place */
    struct bm_vulkan_buffer *delta;  /* gradient of the output; likewise */
    struct bm_vulkan_buffer *channel_facts; /* BATCHNORM: shaders/norm.glsl */
    struct bm_vulkan_buffer *winners;       /* MAXPOOL: [row of output][vector] words */
};

/* An array of the session and what it needs. */
struct bm_vulkan_array {
    struct bm_vulkan_buffer buffer;
    uint32_t place;
    uint64_t bytes;
    const char *what;
};

/* A split's data on the device. */
struct bm_vulkan_split {
    struct bm_vulkan_buffer images;
    struct bm_vulkan_buffer labels;
    struct bm_vulkan_buffer scales;
};

struct bm_session {
    struct bm_kit_session core;
    struct bm_vulkan_device device;
    struct bm_vulkan_queue queue;
    int64_t validate;
    int32_t
        tile; /* number of the only tile to use (product.c); -1: as the tuner or the shapes ask */
    uint32_t is_tiled; /* products by shared memory, for GPUs; otherwise by registers alone */

    struct bm_vulkan_stage *stages;
    uint32_t stage_count;
    uint32_t first_trainable; /* the lowest stage that has parameters */
    uint64_t vector_count;    /* of an array of parameters */
    uint64_t memory_bytes;    /* of all arrays */

    struct bm_vulkan_array *arrays; /* all that has one size */
    uint32_t array_count;
    struct bm_vulkan_buffer *params; /* [vector_count] vectors, as are gradient and state */
    struct bm_vulkan_buffer *gradient;
    struct bm_vulkan_buffer *state[2];
    struct bm_vulkan_buffer *statistics; /* canonical */
    struct bm_vulkan_buffer *losses;     /* [batch_max] */
    struct bm_vulkan_buffer *right;
    struct bm_vulkan_buffer *input;
    struct bm_vulkan_buffer
        *partial; /* if is_tiled: [part] of a stage's weights, stage after stage */
    struct bm_vulkan_buffer *dense; /* [dense_count] struct bm_vulkan_dense */
    uint32_t dense_count;
    uint64_t dense_vectors;                /* of the weights of all dense layers */
    struct bm_vulkan_buffer *norm_partial; /* [block][2][vectors of the widest] */
    struct bm_vulkan_buffer *trust; /* of lars and lamb: for each stage partial sums, ratio */
    struct bm_vulkan_buffer *control;
    struct bm_vulkan_buffer *ring;
    struct bm_vulkan_split splits[BM_SPLIT_COUNT];
    struct bm_vulkan_buffer order;

    uint64_t ring_next;                       /* number of the next entry */
    uint64_t ring_until[BM_VULKAN_RING_SIZE]; /* value of the timeline when an entry is free */
    uint64_t loss_count; /* losses on the device that core.loss does not hold yet */
    void *answers;       /* [batch_max] words read back */

    VkPipelineLayout layout;
    VkPipelineCache cache;
    struct bm_vulkan_pipeline *pipelines;
    uint32_t pipeline_count;
    uint64_t compile_ns;    /* spent on making pipelines; some drivers compile later */
    size_t cache_bytes;     /* of compiled pipelines found from an earlier run; 0: a cold start */
    VkQueryPool timestamps; /* begin and end of the last gradient, and of the last apply */
    uint32_t timed;         /* bits: which of the two has been */
    struct bm_vulkan_program *programs;
    uint32_t program_count;

    uint32_t tunes;                /* whether products try the tiles */
    struct bm_vulkan_tuned *tuned; /* what is known, of earlier runs too */
    uint32_t tuned_count;
    uint32_t tuned_here; /* so many of them are not in the cache */
};

/* ---- tune.c ---- */

/* What a product's speed depends on: its kernel's constants from MODE to PADDING, its rows, and the
 * parts that a weight gradient's are divided into. */
#define BM_VULKAN_SHAPE_CONSTANTS 12u

struct bm_vulkan_shape {
    uint32_t constants[BM_VULKAN_SHAPE_CONSTANTS];
    uint32_t parts;
    uint64_t rows;
};

struct bm_vulkan_tuned {
    struct bm_vulkan_shape shape;
    uint32_t tile;    /* the fastest */
    uint32_t is_used; /* in this session */
};

/* Finds what earlier runs have learned of this device. */
void bm_vulkan_open_tuner(struct bm_session *session);

/* Times the tiles for those products of a program that are new, in arrays that hold nothing between
 * two calls, and keeps the choices. No bit of a result depends on them. */
int32_t bm_vulkan_tune(struct bm_session *session,
                       const struct bm_vulkan_mode *mode,
                       struct bm_error *error);

/* The number of the fastest tile; -1 if it is not known. */
int32_t bm_vulkan_tuned_tile(const struct bm_session *session, const struct bm_vulkan_shape *shape);

/* A line for each choice that this session uses, as much as fits. */
void bm_vulkan_describe_tuner(const struct bm_session *session, char *text, uint32_t capacity);

/* ---- timestamps.c ---- */

int32_t bm_vulkan_open_timestamps(struct bm_session *session, struct bm_error *error);
void bm_vulkan_close_timestamps(struct bm_session *session);

/* Around a gradient, an apply, or an update, which is timed as a gradient. */
void bm_vulkan_begin_time(const struct bm_session *session,
                          VkCommandBuffer commands,
                          uint32_t kind);
void bm_vulkan_end_time(const struct bm_session *session, VkCommandBuffer commands, uint32_t kind);

/* Time from stamp `first` of a pool to the next one, after a wait. */
int32_t bm_vulkan_read_stamps(struct bm_session *session,
                              VkQueryPool pool,
                              uint32_t first,
                              double *ns,
                              struct bm_error *error);

/* ---- stages.c ---- */

/* Makes the stages of core.network and says which arrays they need, without a device. */
int32_t bm_vulkan_plan(struct bm_session *session, struct bm_error *error);

/* ---- params.c ---- */

/* Between the canonical layout and that of the device, [depth + 1][outputs] per layer. */
void bm_vulkan_pack(const struct bm_session *session, const float *canonical, float *packed);
void bm_vulkan_unpack(const struct bm_session *session, const float *packed, float *canonical);

/* ---- pipeline.c ---- */

int32_t bm_vulkan_open_pipelines(struct bm_session *session, struct bm_error *error);
void bm_vulkan_close_pipelines(struct bm_session *session);

/* Makes it at its first use. */
int32_t bm_vulkan_get_pipeline(struct bm_session *session,
                               const struct bm_vulkan_kernel *kernel,
                               VkPipeline *pipeline,
                               struct bm_error *error);

/* ---- program.c ---- */

/* Records it at its first use. The program belongs to the session and stays where it is until the
 * next call. */
int32_t bm_vulkan_get_program(struct bm_session *session,
                              const struct bm_vulkan_mode *mode,
                              const struct bm_vulkan_program **program,
                              struct bm_error *error);

/* A line for each program of one update: "dispatches.update.100=11". As much as fits. */
void bm_vulkan_describe_programs(const struct bm_session *session, char *text, uint32_t capacity);

/* After everything is done: addresses have changed. */
void bm_vulkan_forget_programs(struct bm_session *session);

/* ---- record.c ---- */

/* A program being recorded. The first failure stays; what follows it does nothing. */
struct bm_vulkan_recorder {
    struct bm_session *session;
    struct bm_vulkan_mode mode;
    VkCommandBuffer commands;
    uint32_t dispatch_count;
    int32_t status;
    struct bm_error *error;
};

/* One invocation for each of `items`, in lines of workgroups (y) where a line (x) cannot have all
 * of them. `push` is `push_bytes` long, at most 128. */
void bm_vulkan_dispatch(struct bm_vulkan_recorder *recorder,
                        const struct bm_vulkan_kernel *kernel,
                        const void *push,
                        uint32_t push_bytes,
                        uint64_t items);

void bm_vulkan_pass_barrier(struct bm_vulkan_recorder *recorder);

/* Walks the stages as the mode says. */
void bm_vulkan_record_pass(struct bm_vulkan_recorder *recorder);

/* ---- sink.c ---- */

/* Where the gradient of a stage's parameters goes (shaders/sink.glsl); NULL: of all parameters. */
struct bm_vulkan_sink {
    VkDeviceAddress gradient;
    VkDeviceAddress weights;
    VkDeviceAddress state[2];
    VkDeviceAddress control;
};

struct bm_vulkan_sink bm_vulkan_sink_of(const struct bm_session *session,
                                        const struct bm_vulkan_stage *stage);

/* Its constants ADDS, STEPS and RULE, from number `first` on. */
void bm_vulkan_set_sink(const struct bm_vulkan_recorder *recorder,
                        struct bm_vulkan_kernel *kernel,
                        uint32_t first);

/* ---- layers ---- */

void bm_vulkan_input(struct bm_vulkan_recorder *recorder);
void bm_vulkan_product_forward(struct bm_vulkan_recorder *recorder,
                               const struct bm_vulkan_stage *stage);
void bm_vulkan_product_input_gradient(struct bm_vulkan_recorder *recorder,
                                      const struct bm_vulkan_stage *stage);

/* Of all stages, in dispatches that do not wait for each other where they need not. */
void bm_vulkan_weight_gradients(struct bm_vulkan_recorder *recorder);

/* A product of a stage, with the tile `session->tile`, for its time alone: a weight gradient goes
 * into partial sums that nobody reads. Its mode is that of shaders/matrix.glsl. */
#define BM_VULKAN_FORWARD 0u
#define BM_VULKAN_INPUT_GRADIENT 1u
#define BM_VULKAN_WEIGHT_GRADIENT 2u

void bm_vulkan_try_product(struct bm_vulkan_recorder *recorder,
                           const struct bm_vulkan_stage *stage,
                           uint32_t mode);

/* What the tuner knows it by; 0 if it has no tiles. */
int32_t bm_vulkan_product_shape(const struct bm_vulkan_recorder *recorder,
                                const struct bm_vulkan_stage *stage,
                                uint32_t mode,
                                struct bm_vulkan_shape *shape);

/* "64x64x16"; tiles of fewer rows than `rows` or at most twice as many are worth a trial. */
void bm_vulkan_tile_text(uint32_t tile, char *text, uint32_t capacity);
int32_t bm_vulkan_tile_suits(uint32_t tile, uint64_t rows);

/* Fills session->dense, when all arrays are there. */
int32_t bm_vulkan_write_dense(struct bm_session *session, struct bm_error *error);

void bm_vulkan_softmax(struct bm_vulkan_recorder *recorder, const struct bm_vulkan_stage *stage);
void bm_vulkan_norm_forward(struct bm_vulkan_recorder *recorder,
                            const struct bm_vulkan_stage *stage);
void bm_vulkan_norm_backward(struct bm_vulkan_recorder *recorder,
                             const struct bm_vulkan_stage *stage,
                             uint32_t wants_input_gradient);
void bm_vulkan_elements_forward(struct bm_vulkan_recorder *recorder,
                                const struct bm_vulkan_stage *stage);
void bm_vulkan_elements_backward(struct bm_vulkan_recorder *recorder,
                                 const struct bm_vulkan_stage *stage);
void bm_vulkan_maxpool_forward(struct bm_vulkan_recorder *recorder,
                               const struct bm_vulkan_stage *stage);
void bm_vulkan_maxpool_backward(struct bm_vulkan_recorder *recorder,
                                const struct bm_vulkan_stage *stage);

/* The step of all parameters; `takes_update`: it is the first kernel of its program. */
void bm_vulkan_step(struct bm_vulkan_recorder *recorder, uint32_t takes_update);

#endif
