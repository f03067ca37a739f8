#include "reference.h"

#include "error.h"
#include "reference_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Activations of a pass without batch norm are kept below this by taking the images in parts. */
#define PASS_BYTES ((size_t)1 << 30)

/* An absolute error that flushing subnormal intermediate results may cause in any sum. */
#define FLUSHED 0x1p-110

/* Probability of a false alarm that the estimate of a bound is made for. */
#define RISK 1e-6

/* ---- Memory of a pass ---- */

#define MEMORY_MAX (8 * BM_MODEL_LAYER_MAX + 32)

struct memory {
    void *blocks[MEMORY_MAX];
    size_t count;
    uint32_t failed;
};

/* NULL after a failure, which `failed` remembers; zeroed. */
static void *take(struct memory *memory, size_t count, size_t size) {
    BM_ASSERT(memory->count < MEMORY_MAX);
    void *block = calloc(count > 0 ? count : 1, size);
    if (block == NULL) {
        memory->failed = 1;
        return NULL;
    }
    memory->blocks[memory->count++] = block;
    return block;
}

static void release(struct memory *memory) {
    while (memory->count > 0) {
        free(memory->blocks[--memory->count]);
    }
}

static struct bm_signal
take_signal(struct memory *memory, const struct bm_pass *pass, size_t count) {
    struct bm_signal signal = {0};
    signal.value = take(memory, count, sizeof(double));
    signal.sigma = pass->bounded ? take(memory, count, sizeof(float)) : NULL;
    return signal;
}

static void take_norm(struct memory *memory, struct bm_norm *norm, size_t channels) {
    double *all = take(memory, 6 * channels, sizeof(double));
    if (all != NULL) {
        *norm = (struct bm_norm){all,
                                 all + channels,
                                 all + 2 * channels,
                                 all + 3 * channels,
                                 all + 4 * channels,
                                 all + 5 * channels};
    }
}

/* Doubles behind the threads' scratch: a convolution's sums of each thread. */
static size_t convolution_sums(const struct bm_model *model, uint32_t thread_count) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    size_t most = 0;
    for (uint32_t t = 0; t < count; t++) {
        const struct bm_layer *layer = &model->layers[tensors[t].layer];
        if (layer->kind == BM_LAYER_CONV2D && tensors[t].kind == BM_TENSOR_WEIGHT) {
            size_t size = 3 * (size_t)tensors[t].count * thread_count + layer->outputs;
            most = size > most ? size : most;
        }
    }
    return most;
}

/* First layer with parameters. */
static uint32_t lowest_layer(const struct bm_model *model) {
    uint32_t lowest = 0;
    while (lowest < model->layer_count && model->layers[lowest].kind != BM_LAYER_DENSE &&
           model->layers[lowest].kind != BM_LAYER_CONV2D &&
           model->layers[lowest].kind != BM_LAYER_BATCHNORM) {
        lowest++;
    }
    return lowest;
}

static void set_offsets(struct bm_pass *pass) {
    const struct bm_model *model = pass->model;
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t t = count; t > 0; t--) { /* the first tensor of a layer is written last */
        pass->param_offset[tensors[t - 1].layer] = tensors[t - 1].offset;
    }
    uint64_t offset = 0;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        pass->statistics_offset[i] = offset;
        if (model->layers[i].kind == BM_LAYER_BATCHNORM) {
            offset += 2 * (uint64_t)model->output[i].channels;
        }
    }
}

/* What the way forward leaves for the way back, and the exact run for the perturbed ones. */
static void take_facts(struct memory *memory, struct bm_pass *pass, uint32_t layer, size_t images) {
    uint32_t kind = pass->model->layers[layer].kind;
    size_t inputs = images * bm_reference_units(bm_reference_input_shape(pass->model, layer));
    size_t outputs = images * bm_reference_units(pass->model->output[layer]);
    if (!pass->trains) {
        return;
    }
    if (kind == BM_LAYER_RELU) {
        pass->branch[layer] = take(memory, outputs, 1);
    } else if (kind == BM_LAYER_MAXPOOL) {
        pass->winner[layer] = take(memory, outputs, sizeof(uint32_t));
    } else if (pass->bounded && (kind == BM_LAYER_DENSE || kind == BM_LAYER_CONV2D)) {
        pass->forward_rounding[layer] = take(memory, outputs, sizeof(float));
        pass->backward_rounding[layer] =
            take(memory, layer > lowest_layer(pass->model) ? inputs : 0, sizeof(float));
    }
}

static void take_layers(struct memory *memory, struct bm_pass *pass, size_t images) {
    const struct bm_model *model = pass->model;
    size_t most = 0;
    pass->input = take_signal(memory, pass, images * bm_reference_units(model->input));
    for (uint32_t i = 0; i < model->layer_count; i++) {
        const struct bm_layer *layer = &model->layers[i];
        size_t units = bm_reference_units(model->output[i]);
        most = units > most ? units : most;
        if (layer->kind == BM_LAYER_SOFTMAX_CROSS_ENTROPY) {
            continue;
        }
        if (bm_reference_in_place(layer) && i > 0) {
            pass->output[i] = pass->output[i - 1];
        } else if (bm_reference_in_place(layer)) {
            pass->output[i] = pass->input;
        } else {
            pass->output[i] = take_signal(memory, pass, images * units);
        }
        take_facts(memory, pass, i, images);
        if (layer->kind == BM_LAYER_BATCHNORM) {
            take_norm(memory, &pass->norm[i], model->output[i].channels);
        }
    }
    if (pass->trains) {
        pass->gradient.value = take(memory, images * most, sizeof(double));
        pass->gradient_below.value = take(memory, images * most, sizeof(double));
    }
}

/* Everything for up to `images` images at once. */
static void take_pass(struct memory *memory, struct bm_pass *pass, uint64_t images) {
    set_offsets(pass);
    take_layers(memory, pass, images);
    pass->loss = take(memory, images, sizeof(double));
    pass->correct = take(memory, images, 1);
    pass->block = bm_reference_block(pass->model, images);
    size_t blocks = BM_REFERENCE_BLOCKS + (pass->rounding != 0);
    pass->scratch_step = BM_MULTIPLY_SCRATCH + blocks * pass->block;
    pass->scratch = take(memory,
                         pass->thread_count * pass->scratch_step +
                             convolution_sums(pass->model, pass->thread_count),
                         sizeof(double));
}

/* Bytes of activations and gradients of one image. */
static size_t image_bytes(const struct bm_model *model) {
    size_t units = bm_reference_units(model->input);
    size_t most = units;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        size_t outputs = bm_reference_units(model->output[i]);
        units += outputs;
        most = outputs > most ? outputs : most;
    }
    return (units + most) * (sizeof(double) + 2 * sizeof(float));
}

/* Images of a pass; batch norm needs all of them at once. */
static uint64_t part_of(const struct bm_model *model, uint64_t images, uint32_t apart) {
    uint64_t part = PASS_BYTES / image_bytes(model);
    part = part > 0 ? part : 1;
    return apart && part < images ? part : images;
}

static uint32_t usable_threads(uint32_t thread_count) {
    uint32_t most = thread_count < BM_REFERENCE_THREAD_MAX ? thread_count : BM_REFERENCE_THREAD_MAX;
    return most > 0 ? most : 1;
}

static double *widen_params(struct memory *memory, const float *params, uint64_t count) {
    double *wide = take(memory, count, sizeof(double));
    for (uint64_t i = 0; i < count && wide != NULL; i++) {
        wide[i] = (double)params[i];
    }
    return wide;
}

/* Means 0 and variances 1 where the caller has none. */
static void start_statistics(const struct bm_model *model, const double *before, double *after) {
    uint64_t at = 0;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        if (model->layers[i].kind != BM_LAYER_BATCHNORM) {
            continue;
        }
        uint64_t channels = model->output[i].channels;
        for (uint64_t c = 0; c < 2 * channels; c++) {
            double start = c < channels ? 0 : 1;
            after[at + c] = before == NULL ? start : before[at + c];
        }
        at += 2 * channels;
    }
}

/* ---- The slice's images ---- */

struct images {
    uint32_t *number; /* [count], distinct, in the order of their first appearance */
    double *weight;   /* how often each appears */
    uint64_t count;
};

static int32_t check_image(const struct bm_model *model,
                           const struct bm_data *data,
                           uint64_t image,
                           struct bm_error *error) {
    if (image >= data->count) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "reference: expected image numbers below %llu, found %llu",
                       (unsigned long long)data->count, (unsigned long long)image);
    }
    int32_t label = data->labels[image];
    if (label < 0 || (uint32_t)label >= model->class_count) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "reference: label of image %llu: expected 0 to %u, found %d",
                       (unsigned long long)image, model->class_count - 1, label);
    }
    return BM_STATUS_OK;
}

static int32_t count_images(struct memory *memory,
                            const struct bm_reference_request *request,
                            struct images *images,
                            struct bm_error *error) {
    /* From 1; what is computed in float32 counts every image anew. */
    uint64_t *place = take(memory, request->data->count, sizeof *place);
    images->number = take(memory, request->count, sizeof *images->number);
    images->weight = take(memory, request->count, sizeof *images->weight);
    if (memory->failed) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "reference: no memory for %llu image numbers",
                       (unsigned long long)request->count);
    }
    for (uint64_t i = 0; i < request->count; i++) {
        uint32_t number = request->order[i];
        int32_t status = check_image(request->model, request->data, number, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        if (place[number] == 0 || request->rounding != 0) {
            images->number[images->count++] = number;
            place[number] = images->count;
        }
        images->weight[place[number] - 1] += 1;
    }
    return BM_STATUS_OK;
}

/* ---- Gradient ---- */

/* Both ways; returns the summed loss. */
static double run_pass(struct bm_pass *pass) {
    const struct bm_model *model = pass->model;
    uint32_t lowest = lowest_layer(model);
    double loss = 0;
    bm_reference_load(pass);
    for (uint32_t i = 0; i < model->layer_count; i++) {
        bm_reference_forward(pass, i);
    }
    for (uint64_t n = 0; n < pass->image_count; n++) {
        loss += pass->weight[n] * pass->loss[n];
    }
    for (uint32_t i = model->layer_count; i > lowest; i--) {
        const struct bm_layer *layer = &model->layers[i - 1];
        bm_reference_backward(pass, i - 1, i - 1 > lowest);
        if (i - 1 > lowest && !bm_reference_in_place(layer) &&
            layer->kind != BM_LAYER_SOFTMAX_CROSS_ENTROPY) {
            struct bm_signal swap = pass->gradient;
            pass->gradient = pass->gradient_below;
            pass->gradient_below = swap;
        }
    }
    return loss;
}

/* Share of the t distribution with BM_REFERENCE_RUNS (even) degrees of freedom beyond +-t;
 * Abramowitz and Stegun 26.7.4, the sum from its other end: 1 - sin(a) (1 + cos(a)^2 / 2 + 1 3 / (2
 * 4) cos(a)^4 + ...), whose full series is 1. */
static double t_tail(double t) {
    double nu = BM_REFERENCE_RUNS;
    double cosine = nu / (nu + t * t); /* its square */
    double term = 1;
    double sum = 0;
    for (uint32_t k = 1; k < 400; k++) {
        term *= cosine * (2.0 * k - 1) / (2.0 * k);
        sum += k >= BM_REFERENCE_RUNS / 2 ? term : 0;
    }
    return t / sqrt(nu + t * t) * sum;
}

/* The multiplier that misses one of `groups` with the probability RISK. */
static double multiplier_of(double groups) {
    double low = 1;
    double high = 1e6;
    while (high - low > 1e-6 * low) {
        double middle = sqrt(low * high);
        *(t_tail(middle) > RISK / groups ? &low : &high) = middle;
    }
    return high;
}

/* Rows of a tensor: output units. */
static uint64_t rows_of(const struct bm_model *model, const struct bm_tensor *tensor) {
    const struct bm_layer *layer = &model->layers[tensor->layer];
    uint32_t matrix = tensor->kind == BM_TENSOR_WEIGHT && layer->kind != BM_LAYER_BATCHNORM;
    return matrix ? layer->outputs : tensor->count;
}

static double groups_of(const struct bm_model *model) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    double groups = 0;
    for (uint32_t t = 0; t < count; t++) {
        groups += (double)rows_of(model, &tensors[t]);
    }
    return groups;
}

/* variance[i] becomes the larger one of itself and what its row and its column make of it (of a
 * vector: the mean). `sums`: [rows + columns]. */
static void pool_variance(double *variance, size_t rows, size_t columns, double *sums) {
    double *column = sums + rows;
    double total = 0;
    memset(sums, 0, (rows + columns) * sizeof(double));
    for (size_t i = 0; i < rows * columns; i++) {
        sums[i / columns] += variance[i];
        column[i % columns] += variance[i];
        total += variance[i];
    }
    for (size_t i = 0; i < rows * columns && total > 0; i++) {
        double pooled =
            columns > 1 ? sums[i / columns] * (column[i % columns] / total) : total / (double)rows;
        variance[i] = fmax(variance[i], pooled);
    }
}

/* Where float32 does not determine a gradient (see reference_layers.c), its elements need only be
 * of their tensor's order of magnitude: what one batch norm more makes of its largest, 1 /
 * sqrt(epsilon). */
#define UNDETERMINED_SIZES (1 / sqrt(BM_BATCHNORM_EPSILON))

/* The largest value of a tensor, in the exact run or a perturbed one. */
static double tensor_size(const double *exact,
                          const double *perturbed,
                          uint64_t param_count,
                          const struct bm_tensor *tensor) {
    double size = 0;
    for (uint64_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
        size = fmax(size, fabs(exact[i]));
        for (uint32_t r = 0; r < BM_REFERENCE_RUNS; r++) {
            size = fmax(size, fabs(perturbed[r * param_count + i]));
        }
    }
    return size;
}

/* The last step of the bound: the estimated variance, what the sum over the slice's images and
 * positions adds (see reference_layers.c), the division by the divisor, also as a product, and the
 * store. */
static void finish_tensor(const struct bm_pass *pass,
                          const struct bm_tensor *tensor,
                          const double *perturbed,
                          double *sums,
                          struct bm_reference *reference) {
    struct bm_shape shape = pass->model->output[tensor->layer];
    double u = pass->request->accumulate_roundoff;
    double terms = (double)pass->request->count * shape.height * shape.width;
    double last = 3 * u + BM_REFERENCE_LAMBDA * sqrt(terms) * u;
    size_t rows = rows_of(pass->model, tensor);
    double least = FLUSHED;
    if (pass->undetermined) {
        least = UNDETERMINED_SIZES *
                tensor_size(reference->gradient, perturbed, reference->param_count, tensor);
    }
    pool_variance(reference->bound + tensor->offset, rows, tensor->count / rows, sums);
    for (uint64_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
        reference->bound[i] = pass->multiplier * sqrt(reference->bound[i]) +
                              last * fabs(reference->gradient[i]) + least;
    }
}

/* Arrays of a computation beside those of its pass. */
struct runs {
    const double *params;               /* exact */
    double *rounded;                    /* those of a run */
    double *gradient;                   /* [BM_REFERENCE_RUNS][param_count] */
    double *statistics;                 /* [BM_REFERENCE_RUNS][statistics_count] */
    double *sums;                       /* of pool_variance */
    double loss[1 + BM_REFERENCE_RUNS]; /* the exact one first */
};

static void
take_runs(struct memory *memory, const struct bm_reference *reference, struct runs *runs) {
    uint64_t count = reference->param_count;
    runs->rounded = take(memory, count, sizeof(double));
    runs->gradient = take(memory, BM_REFERENCE_RUNS * count, sizeof(double));
    runs->statistics =
        take(memory, BM_REFERENCE_RUNS * reference->statistics_count, sizeof(double));
    runs->sums = take(memory, 2 * count, sizeof(double));
}

/* The exact run over one part of the slice, then, for the bound, the perturbed ones. */
static void
run_part(struct bm_pass *pass, struct runs *runs, const struct bm_reference *reference) {
    uint32_t last = pass->bounded ? BM_REFERENCE_RUNS : 0;
    for (pass->run = 0; pass->run <= last; pass->run++) {
        pass->params = runs->params;
        pass->sums.gradient = reference->gradient;
        pass->statistics_after = reference->statistics;
        if (pass->run > 0) {
            pass->sums.gradient = runs->gradient + (pass->run - 1) * reference->param_count;
            pass->statistics_after =
                runs->statistics + (pass->run - 1) * reference->statistics_count;
            bm_reference_round_weights(pass, runs->params, runs->rounded);
            pass->params = runs->rounded;
        }
        runs->loss[pass->run] += run_pass(pass);
    }
    pass->run = 0;
}

/* The mean square of the runs' errors, in reference->bound. */
static void
estimate_gradient(struct bm_pass *pass, const struct runs *runs, struct bm_reference *reference) {
    uint64_t count = reference->param_count;
    BM_ASSERT(runs->gradient != NULL);
    for (pass->run = 1; pass->run <= BM_REFERENCE_RUNS; pass->run++) {
        pass->sums.gradient = runs->gradient + (pass->run - 1) * count;
        bm_reference_round_sums(pass, count);
        for (uint64_t i = 0; i < count; i++) {
            double error = pass->sums.gradient[i] - reference->gradient[i];
            reference->bound[i] += error * error / BM_REFERENCE_RUNS;
        }
    }
    pass->run = 0;
}

static void finish_gradient(const struct bm_pass *pass,
                            const struct runs *runs,
                            struct bm_reference *reference) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(pass->model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t t = 0; t < count; t++) {
        finish_tensor(pass, &tensors[t], runs->gradient, runs->sums, reference);
    }
}

/* The means of a layer are pooled like a vector of parameters, and so are its variances. */
static void finish_statistics(const struct bm_pass *pass,
                              const struct runs *runs,
                              struct bm_reference *reference) {
    uint64_t count = reference->statistics_count;
    double *variance = runs->sums;
    memset(variance, 0, count * sizeof(double));
    for (uint64_t i = 0; i < BM_REFERENCE_RUNS * count; i++) {
        double error = runs->statistics[i] - reference->statistics[i % count];
        variance[i % count] += error * error / BM_REFERENCE_RUNS;
    }
    for (uint32_t l = 0; l < pass->model->layer_count; l++) {
        uint64_t channels = pass->model->output[l].channels;
        if (pass->model->layers[l].kind == BM_LAYER_BATCHNORM) {
            double *means = variance + pass->statistics_offset[l];
            pool_variance(means, channels, 1, runs->rounded);
            pool_variance(means + channels, channels, 1, runs->rounded);
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        reference->statistics_bound[i] += pass->multiplier * sqrt(variance[i]) + FLUSHED;
    }
}

static void
finish_loss(const struct bm_pass *pass, const struct runs *runs, struct bm_reference *reference) {
    const struct bm_reference_request *request = pass->request;
    double u = request->accumulate_roundoff;
    double loss = runs->loss[0];
    double variance = 0;
    for (uint32_t r = 1; r <= BM_REFERENCE_RUNS; r++) {
        double error = runs->loss[r] - loss;
        variance += error * error / BM_REFERENCE_RUNS;
    }
    reference->loss_bound =
        pass->multiplier * sqrt(variance) / request->divisor +
        (3 + BM_REFERENCE_LAMBDA * sqrt((double)request->count)) * u * reference->loss + FLUSHED;
}

/* Images of a part: all of the slice where a batch norm normalizes them together. */
static uint64_t choose_part(const struct bm_reference_request *request, uint64_t images) {
    uint32_t has_norm = bm_model_has_batchnorm(request->model) != 0;
    return part_of(request->model, images,
                   !has_norm || (request->flags & BM_SLICE_USE_RUNNING) != 0);
}

/* The memory of a computation, and what it starts from. */
static int32_t start_computation(struct memory *memory,
                                 struct bm_pass *pass,
                                 struct runs *runs,
                                 uint64_t part,
                                 const struct bm_reference *reference,
                                 struct bm_error *error) {
    const struct bm_reference_request *request = pass->request;
    double *before = take(memory, reference->statistics_count, sizeof *before);
    runs->params = request->wide_params == NULL
                       ? widen_params(memory, request->params, reference->param_count)
                       : request->wide_params;
    if (pass->bounded) {
        pass->sums.variance = take(memory, reference->param_count, sizeof(double));
        take_runs(memory, reference, runs);
    }
    take_pass(memory, pass, part);
    if (memory->failed) {
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "reference: no memory for %llu images of %s, %zu MiB",
                       (unsigned long long)part, request->model->name,
                       part * image_bytes(request->model) >> 20);
    }
    start_statistics(request->model, request->statistics, before);
    start_statistics(request->model, request->statistics, reference->statistics);
    pass->statistics = before;
    return BM_STATUS_OK;
}

static void start_bounds(const struct bm_pass *pass,
                         const struct runs *runs,
                         const struct bm_reference *reference) {
    const struct bm_reference_request *request = pass->request;
    for (uint32_t r = 0; r < BM_REFERENCE_RUNS; r++) {
        start_statistics(request->model, request->statistics,
                         runs->statistics + r * reference->statistics_count);
    }
    for (uint64_t i = 0; i < reference->statistics_count; i++) {
        reference->statistics_bound[i] =
            request->accumulate_roundoff * fabs(reference->statistics[i]) + FLUSHED;
    }
}

static void
finish_bounds(struct bm_pass *pass, const struct runs *runs, struct bm_reference *reference) {
    estimate_gradient(pass, runs, reference);
    finish_gradient(pass, runs, reference);
    reference->is_undetermined = pass->undetermined;
    finish_statistics(pass, runs, reference);
    finish_loss(pass, runs, reference);
}

static struct bm_pass make_pass(const struct bm_reference_request *request,
                                const struct bm_reference *reference) {
    return (struct bm_pass){.request = request,
                            .model = request->model,
                            .trains = 1,
                            .bounded = !request->no_bound && request->rounding == 0,
                            .rounding = request->rounding,
                            .thread_count = usable_threads(request->thread_count),
                            .slice_count = request->count,
                            .statistics_bound = reference->statistics_bound,
                            .multiplier = multiplier_of(groups_of(request->model))};
}

static int32_t compute(struct memory *memory,
                       const struct bm_reference_request *request,
                       struct bm_reference *reference,
                       struct bm_error *error) {
    struct images images = {0};
    struct runs runs = {0};
    struct bm_pass pass = make_pass(request, reference);
    int32_t status = count_images(memory, request, &images, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    uint64_t part = choose_part(request, images.count);
    pass.complete = part == images.count;
    status = start_computation(memory, &pass, &runs, part, reference, error);
    if (status != BM_STATUS_OK) {
        /* No leak: `memory` has the blocks, in an array that the analyzer does not follow. */
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        return status;
    }
    if (pass.bounded) {
        start_bounds(&pass, &runs, reference);
    }
    for (uint64_t first = 0; first < images.count; first += part) {
        pass.image_count = images.count - first < part ? images.count - first : part;
        pass.images = images.number + first;
        pass.weight = images.weight + first;
        run_part(&pass, &runs, reference);
        pass.part++;
    }
    reference->loss = runs.loss[0] / request->divisor;
    if (pass.bounded) {
        finish_bounds(&pass, &runs, reference);
    }
    return BM_STATUS_OK;
}

int32_t bm_reference_gradient(const struct bm_reference_request *request,
                              struct bm_reference *reference,
                              struct bm_error *error) {
    struct memory memory = {.count = 0};
    memset(reference, 0, sizeof *reference);
    if (request->count == 0 || !(request->divisor > 0)) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "reference: expected images and a divisor above 0, found %llu and %g",
                       (unsigned long long)request->count, request->divisor);
    }
    uint64_t params = bm_model_param_count(request->model);
    uint64_t statistics = bm_model_statistics_count(request->model);
    reference->param_count = params;
    reference->statistics_count = statistics;
    reference->gradient = calloc(params, sizeof(double));
    reference->bound = calloc(params, sizeof(double));
    reference->statistics = calloc(statistics + 1, sizeof(double));
    reference->statistics_bound = calloc(statistics + 1, sizeof(double));
    int32_t status = BM_STATUS_OK;
    if (reference->gradient == NULL || reference->bound == NULL || reference->statistics == NULL ||
        reference->statistics_bound == NULL) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "reference: no memory for %llu parameters",
                         (unsigned long long)params);
    } else {
        status = compute(&memory, request, reference, error);
    }
    release(&memory);
    if (status != BM_STATUS_OK) {
        bm_reference_free(reference);
    }
    return status;
}

void bm_reference_free(struct bm_reference *reference) {
    if (reference == NULL) {
        return;
    }
    free(reference->gradient);
    free(reference->bound);
    free(reference->statistics);
    free(reference->statistics_bound);
    memset(reference, 0, sizeof *reference);
}

/* ---- Evaluate ---- */

struct evaluation {
    const struct bm_reference_request *request;
    uint64_t first;
    double loss;
    uint64_t correct;
};

static int32_t evaluate_parts(struct memory *memory,
                              struct bm_pass *pass,
                              struct evaluation *of,
                              struct bm_error *error) {
    uint64_t count = of->request->count;
    uint64_t part = part_of(pass->model, count, 1);
    uint32_t *numbers = take(memory, part, sizeof *numbers);
    take_pass(memory, pass, part);
    if (memory->failed) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "reference: no memory to evaluate %llu images",
                       (unsigned long long)part);
    }
    for (uint64_t done = 0; done < count; done += pass->image_count) {
        pass->image_count = count - done < part ? count - done : part;
        pass->images = numbers;
        for (uint64_t n = 0; n < pass->image_count; n++) {
            numbers[n] = (uint32_t)(of->first + done + n);
            int32_t status = check_image(pass->model, of->request->data, numbers[n], error);
            if (status != BM_STATUS_OK) {
                return status;
            }
        }
        bm_reference_load(pass);
        for (uint32_t i = 0; i < pass->model->layer_count; i++) {
            bm_reference_forward(pass, i);
        }
        for (uint64_t n = 0; n < pass->image_count; n++) {
            of->loss += pass->loss[n];
            of->correct += pass->correct[n];
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_reference_evaluate(const struct bm_model *model,
                              const struct bm_data *data,
                              uint64_t first,
                              uint64_t count,
                              const float *params,
                              const double *statistics,
                              uint32_t thread_count,
                              double *loss,
                              uint64_t *correct,
                              struct bm_error *error) {
    struct memory memory = {.count = 0};
    struct bm_reference_request request = {.model = model,
                                           .data = data,
                                           .count = count,
                                           .divisor = 1,
                                           .flags = BM_SLICE_USE_RUNNING | BM_SLICE_NO_DROPOUT};
    struct evaluation of = {.request = &request, .first = first};
    struct bm_pass pass = {.request = &request, .model = model, .slice_count = count};
    double *running = take(&memory, bm_model_statistics_count(model), sizeof *running);
    pass.thread_count = usable_threads(thread_count);
    pass.params = widen_params(&memory, params, bm_model_param_count(model));
    pass.statistics = running;
    int32_t status = BM_STATUS_OK;
    if (memory.failed) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "reference: no memory to evaluate");
    } else {
        start_statistics(model, statistics, running);
        status = evaluate_parts(&memory, &pass, &of, error);
    }
    release(&memory);
    if (status == BM_STATUS_OK) {
        *loss = of.loss;
        *correct = of.correct;
    }
    return status;
}
