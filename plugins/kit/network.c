/* From a layer list to shapes, offsets and counts, all checked. */
#include <batchmark/kit.h>

#include <stdlib.h>
#include <string.h>

/* No array of a session may need more bytes than this. */
#define BYTES_MAX ((uint64_t)INT64_MAX)

static const char *const kind_names[] = {"no layer",  "dense", "conv2d",  "maxpool",
                                         "batchnorm", "relu",  "dropout", "softmax_cross_entropy"};

static int32_t multiply(uint64_t a, uint64_t b, uint64_t *product) {
    return __builtin_mul_overflow(a, b, product) || *product > BYTES_MAX / sizeof(float);
}

static int32_t shape_size(struct bm_kit_shape shape, uint64_t *size) {
    return multiply((uint64_t)shape.height * shape.width, shape.channels, size);
}

static int32_t fail_size(uint32_t index, uint32_t kind, struct bm_error *error) {
    return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                       "layer %u (%s): expected sizes that can be addressed, found more than %llu "
                       "bytes",
                       index, kind_names[kind], (unsigned long long)BYTES_MAX);
}

/* Rows (or columns) of the output of a window: (extent + 2 padding - kernel) / stride + 1. */
static int32_t window_extent(const struct bm_kit_layer *layer,
                             uint32_t index,
                             const char *axis,
                             uint32_t extent,
                             uint32_t kernel,
                             uint32_t *result,
                             struct bm_error *error) {
    uint64_t padded = (uint64_t)extent + 2 * (uint64_t)layer->padding;
    if (kernel == 0 || kernel > padded) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "layer %u (%s): kernel %s: expected 1 .. %llu (input plus padding), "
                           "found %u",
                           index, kind_names[layer->kind], axis, (unsigned long long)padded,
                           kernel);
    }
    uint64_t count = (padded - kernel) / layer->stride + 1;
    if (count > UINT32_MAX) {
        return fail_size(index, layer->kind, error);
    }
    *result = (uint32_t)count;
    return BM_STATUS_OK;
}

static int32_t
walk_window(struct bm_kit_layer *layer, uint32_t index, uint32_t channels, struct bm_error *error) {
    if (layer->stride == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "layer %u (%s): stride: expected at least 1, found 0", index,
                           kind_names[layer->kind]);
    }
    if (channels == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "layer %u (%s): outputs: expected at least 1, found 0", index,
                           kind_names[layer->kind]);
    }
    layer->output.channels = channels;
    int32_t status = window_extent(layer, index, "height", layer->input.height,
                                   layer->kernel_height, &layer->output.height, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    return window_extent(layer, index, "width", layer->input.width, layer->kernel_width,
                         &layer->output.width, error);
}

static int32_t walk_dense(struct bm_kit_layer *layer,
                          uint32_t index,
                          const struct bm_layer *given,
                          struct bm_error *error) {
    if (given->outputs == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "layer %u (dense): outputs: expected at least 1, found 0", index);
    }
    layer->output = (struct bm_kit_shape){given->outputs, 1, 1};
    layer->bias_count = given->outputs;
    return multiply(layer->input_size, given->outputs, &layer->weight_count)
               ? fail_size(index, layer->kind, error)
               : BM_STATUS_OK;
}

static int32_t walk_conv2d(struct bm_kit_layer *layer,
                           uint32_t index,
                           const struct bm_layer *given,
                           struct bm_error *error) {
    struct bm_kit_shape patch = {layer->input.channels, given->kernel_height, given->kernel_width};
    uint64_t fan_in = 0;
    int32_t status = walk_window(layer, index, given->outputs, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    layer->bias_count = given->outputs;
    return shape_size(patch, &fan_in) || multiply(fan_in, given->outputs, &layer->weight_count)
               ? fail_size(index, layer->kind, error)
               : BM_STATUS_OK;
}

static int32_t walk_maxpool(struct bm_kit_layer *layer, uint32_t index, struct bm_error *error) {
    /* A window that lay in the padding alone would have no maximum. */
    if (layer->padding >= layer->kernel_height || layer->padding >= layer->kernel_width) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "layer %u (maxpool): padding: expected less than the kernel %ux%u, "
                           "found %u",
                           index, layer->kernel_height, layer->kernel_width, layer->padding);
    }
    return walk_window(layer, index, layer->input.channels, error);
}

static int32_t
check_rate(const struct bm_kit_layer *layer, uint32_t index, struct bm_error *error) {
    if (!(layer->rate >= 0 && layer->rate < 1)) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "layer %u (dropout): rate: expected 0 <= rate < 1, found %g", index,
                           layer->rate);
    }
    return BM_STATUS_OK;
}

static int32_t check_softmax(const struct bm_kit_layer *layer,
                             uint32_t index,
                             uint32_t layer_count,
                             struct bm_error *error) {
    if (index + 1 != layer_count) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "layer %u (softmax_cross_entropy): expected only as the last of %u",
                           index, layer_count);
    }
    if (layer->input_size > INT32_MAX) {
        return fail_size(index, layer->kind, error);
    }
    return BM_STATUS_OK;
}

/* Fills what is particular to the kind: output shape and parameter counts. */
static int32_t walk_kind(struct bm_kit_layer *layer,
                         uint32_t index,
                         const struct bm_layer *given,
                         uint32_t layer_count,
                         struct bm_error *error) {
    layer->output = layer->input;
    switch (given->kind) {
    case BM_LAYER_DENSE:
        return walk_dense(layer, index, given, error);
    case BM_LAYER_CONV2D:
        return walk_conv2d(layer, index, given, error);
    case BM_LAYER_MAXPOOL:
        return walk_maxpool(layer, index, error);
    case BM_LAYER_BATCHNORM:
        layer->weight_count = layer->input.channels;
        layer->bias_count = layer->input.channels;
        return BM_STATUS_OK;
    case BM_LAYER_RELU:
        return BM_STATUS_OK;
    case BM_LAYER_DROPOUT:
        return check_rate(layer, index, error);
    case BM_LAYER_SOFTMAX_CROSS_ENTROPY:
        return check_softmax(layer, index, layer_count, error);
    default:
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "layer %u: kind: expected 1 .. 7, found %u", index, given->kind);
    }
}

/* Adds the layer's tensors to the canonical layout and its statistics to theirs. */
static int32_t place(struct bm_kit_network *network,
                     struct bm_kit_layer *layer,
                     uint32_t index,
                     struct bm_error *error) {
    layer->weight_offset = network->param_count;
    layer->bias_offset = layer->weight_offset + layer->weight_count;
    network->param_count = layer->bias_offset + layer->bias_count;
    if (network->param_count > BYTES_MAX / sizeof(float)) {
        return fail_size(index, layer->kind, error);
    }
    if (layer->kind == BM_LAYER_BATCHNORM) {
        layer->mean_offset = network->statistics_count;
        layer->variance_offset = layer->mean_offset + layer->output.channels;
        network->statistics_count = layer->variance_offset + layer->output.channels;
    }
    if (layer->output_size > network->widest) {
        network->widest = layer->output_size;
    }
    return BM_STATUS_OK;
}

static int32_t walk_layer(struct bm_kit_network *network,
                          uint32_t index,
                          const struct bm_layer *given,
                          struct bm_error *error) {
    struct bm_kit_layer *layer = &network->layers[index];
    const struct bm_kit_layer *before = index > 0 ? layer - 1 : NULL;
    layer->kind = given->kind;
    layer->kernel_height = given->kernel_height;
    layer->kernel_width = given->kernel_width;
    layer->stride = given->stride;
    layer->padding = given->padding;
    layer->rate = given->rate;
    layer->input = before != NULL ? before->output : network->input;
    layer->input_size = before != NULL ? before->output_size : network->input_size;
    int32_t status = walk_kind(layer, index, given, network->layer_count, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (shape_size(layer->output, &layer->output_size)) {
        return fail_size(index, layer->kind, error);
    }
    return place(network, layer, index, error);
}

static int32_t check_numbers(const struct bm_problem *problem, struct bm_error *error) {
    if (problem->optimizer > BM_OPTIMIZER_LAMB) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "problem.optimizer: expected 0 .. %u, found %u", BM_OPTIMIZER_LAMB,
                           problem->optimizer);
    }
    if (problem->thread_count == 0 || problem->batch_max == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "problem.%s: expected at least 1, found 0",
                           problem->thread_count == 0 ? "thread_count" : "batch_max");
    }
    if (problem->input_channels == 0 || problem->input_height == 0 || problem->input_width == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "problem.input: expected at least 1x1x1, found %ux%ux%u",
                           problem->input_channels, problem->input_height, problem->input_width);
    }
    if (problem->layer_count == 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "problem.layer_count: expected at least 1, found 0");
    }
    return BM_STATUS_OK;
}

static int32_t check_problem(const struct bm_problem *problem, struct bm_error *error) {
    int32_t status = bm_kit_struct(problem, sizeof *problem, "problem", error);
    if (status == BM_STATUS_OK) {
        status = check_numbers(problem, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_kit_struct_array(problem->layers, problem->layer_count, problem->layer_stride,
                                     sizeof(struct bm_layer), "layer", error);
    }
    return status;
}

/* The arrays of a session are at most this: every image's widest layer, batch_max times. */
static int32_t check_batch(const struct bm_kit_network *network,
                           const struct bm_problem *problem,
                           struct bm_error *error) {
    uint64_t floats = 0;
    if (multiply(network->widest, problem->batch_max, &floats)) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "problem.batch_max: expected a batch that can be addressed, found %llu "
                           "images of %llu values",
                           (unsigned long long)problem->batch_max,
                           (unsigned long long)network->widest);
    }
    return BM_STATUS_OK;
}

static int32_t
walk(struct bm_kit_network *network, const struct bm_problem *problem, struct bm_error *error) {
    const unsigned char *bytes = (const unsigned char *)problem->layers;
    if (shape_size(network->input, &network->input_size)) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "problem.input: expected a size that can be addressed, found %ux%ux%u",
                           problem->input_channels, problem->input_height, problem->input_width);
    }
    network->widest = network->input_size;
    for (uint32_t i = 0; i < network->layer_count; i++) {
        struct bm_layer given;
        memcpy(&given, bytes + (size_t)i * problem->layer_stride, sizeof given);
        int32_t status = walk_layer(network, i, &given, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    const struct bm_kit_layer *last = &network->layers[network->layer_count - 1];
    if (last->kind != BM_LAYER_SOFTMAX_CROSS_ENTROPY) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "layer %u: expected softmax_cross_entropy as the last, found %s",
                           network->layer_count - 1, kind_names[last->kind]);
    }
    network->class_count = (uint32_t)last->input_size;
    return check_batch(network, problem, error);
}

int32_t bm_kit_network_init(struct bm_kit_network *network,
                            const struct bm_problem *problem,
                            struct bm_error *error) {
    int32_t status = check_problem(problem, error);
    memset(network, 0, sizeof *network);
    if (status != BM_STATUS_OK) {
        return status;
    }
    network->layers = calloc(problem->layer_count, sizeof *network->layers);
    if (network->layers == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for the facts of %u layers",
                           problem->layer_count);
    }
    network->layer_count = problem->layer_count;
    network->input =
        (struct bm_kit_shape){problem->input_channels, problem->input_height, problem->input_width};
    status = walk(network, problem, error);
    if (status != BM_STATUS_OK) {
        bm_kit_network_deinit(network);
    }
    return status;
}

void bm_kit_network_deinit(struct bm_kit_network *network) {
    free(network->layers);
    memset(network, 0, sizeof *network);
}

int32_t bm_kit_precision(const struct bm_problem *problem,
                         const char *const *names,
                         struct bm_error *error) {
    const char *found = problem->precision != NULL ? problem->precision : "NULL";
    char known[128] = "";
    size_t used = 0;
    for (uint32_t i = 0; names[i] != NULL; i++) {
        if (strcmp(found, names[i]) == 0) {
            return BM_STATUS_OK;
        }
        size_t length = strlen(names[i]);
        if (used + length + 3 < sizeof known) {
            known[used++] = ' ';
            memcpy(known + used, names[i], length);
            used += length;
        }
    }
    return bm_kit_fail(error, BM_STATUS_UNSUPPORTED, "precision: expected%s, found %.32s", known,
                       found);
}

uint32_t bm_kit_slot_count(uint32_t optimizer) {
    switch (optimizer) {
    case BM_OPTIMIZER_MOMENTUM:
    case BM_OPTIMIZER_NESTEROV:
    case BM_OPTIMIZER_ADAGRAD:
    case BM_OPTIMIZER_RMSPROP:
    case BM_OPTIMIZER_LARS:
        return 1;
    case BM_OPTIMIZER_ADAM:
    case BM_OPTIMIZER_ADAMW:
    case BM_OPTIMIZER_LAMB:
        return 2;
    default:
        return 0;
    }
}
