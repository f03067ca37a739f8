/*
 * Networks: the named models of the design, networks written as `layers = dense 512, relu, ...`,
 * and the facts that follow from a layer list: shapes, parameter tensors, operation counts.
 */
#ifndef BM_MODEL_H
#define BM_MODEL_H

#include <batchmark/plugin.h>

#include <stddef.h>

#define BM_MODEL_LAYER_MAX 128
#define BM_MODEL_NAME_SIZE 32

struct bm_shape {
    uint32_t channels;
    uint32_t height;
    uint32_t width;
};

/* A network bound to an input shape and a number of classes; the last two layers are `dense
 * classes` and SOFTMAX_CROSS_ENTROPY. Plain memory: copy it by assignment. */
struct bm_model {
    char name[BM_MODEL_NAME_SIZE];
    struct bm_shape input;
    uint32_t class_count;
    uint32_t layer_count;
    struct bm_layer layers[BM_MODEL_LAYER_MAX];
    struct bm_shape output[BM_MODEL_LAYER_MAX]; /* shape after each layer */
};

#define BM_TENSOR_WEIGHT 0u
#define BM_TENSOR_BIAS 1u
#define BM_TENSOR_GAIN 2u
#define BM_TENSOR_SHIFT 3u

/* One parameter tensor in the canonical layout. */
struct bm_tensor {
    uint32_t layer;
    uint32_t kind;   /* BM_TENSOR_* */
    uint64_t offset; /* first element in the parameter array */
    uint64_t count;
    uint64_t fan_in; /* inputs of one output; 0 for batch norm */
};

/* The named model (mlp, f1, c1, c2, f2) for this input and number of classes. UNSUPPORTED with a
 * text if the input is too small for the model's convolutions; INVALID, listing the known names,
 * for an unknown name. */
int32_t bm_model_named(const char *name,
                       struct bm_shape input,
                       uint32_t class_count,
                       struct bm_model *model,
                       struct bm_error *error);

/* Parses "conv 64 5x5 pad 2, batchnorm, relu, maxpool 3 stride 2, dense 384, dropout 0.5, dense
 * 10": items separated by commas, `conv OUT KxK [stride S] [pad P]`, `maxpool K [stride S] [pad P]`
 * (stride K by default), `dense N`, `batchnorm`, `relu`, `dropout P`. The last item must be `dense
 * class_count`; softmax cross entropy is added. The error names the item, what was expected and
 * found. */
int32_t bm_model_parse(const char *name,
                       const char *layers,
                       struct bm_shape input,
                       uint32_t class_count,
                       struct bm_model *model,
                       struct bm_error *error);

/* The inverse of bm_model_parse, for records and labels; cut at `capacity`. */
void bm_model_format(const struct bm_model *model, char *text, size_t capacity);

uint64_t bm_model_param_count(const struct bm_model *model);

/* Length of the running statistics: sum over batch-norm layers of 2 channels. */
uint64_t bm_model_statistics_count(const struct bm_model *model);

/* Number of tensors; fills at most `capacity` of `tensors`. */
uint32_t
bm_model_tensors(const struct bm_model *model, struct bm_tensor *tensors, uint32_t capacity);

/* Multiplications and additions of one image's gradient (forward pass included; no gradient with
 * respect to the images): dense and convolution layers only, 2 per multiply-add (mlp on 28x28:
 * 3 209 216). */
double bm_model_gradient_flops(const struct bm_model *model);

/* Bytes that any update must move at least, of parameters and of `slot_count` arrays of optimizer
 * state, all float32: the forward pass reads each parameter once; backward pass and optimizer step
 * together, fused as well as can be, read it once more and write it, and read and write each slot:
 * 4 (3 + 2 slots) bytes a parameter (mlp on 28x28 with momentum: 13.4 MB). The gradient need never
 * be stored. Activations and images are left out, so the number holds for any batch size. */
double bm_model_update_bytes(const struct bm_model *model, uint32_t slot_count);

/* Bytes of parameters and state: what an update walks through, and a cache may hold. */
double bm_model_working_bytes(const struct bm_model *model, uint32_t slot_count);

/* Bytes that a plain update of `images` images at once holds, all float32: images and the outputs
 * of all layers but relu and dropout, which work in place, twice the widest output for what
 * travels back, a byte for each output of a dropout; parameters, their gradient and `slot_count`
 * arrays of state; running statistics. */
double bm_model_memory_bytes(const struct bm_model *model, uint32_t slot_count, uint64_t images);

int32_t bm_model_has_batchnorm(const struct bm_model *model);

/* The start: weights uniform in +-sqrt(6 / fan_in), biases and shifts 0, gains 1 (design section
 * 5), from Philox(seed); the same bits on every machine. `values` is [param_count]. */
void bm_model_start(const struct bm_model *model, uint64_t seed, float *values);

/* Names of the named models, NULL-terminated. */
extern const char *const bm_model_names[];

#endif
