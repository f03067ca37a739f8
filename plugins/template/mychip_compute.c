/*
 * The work: loops in plain C, one image after another. This is the file to replace, in this order:
 *
 *   1. the three matrix products of a dense layer (dense_forward, dense_backward), where nearly all
 *      of the time goes;
 *   2. the optimizer's step (bm_mychip_step), which is what remains at small batches;
 *   3. then the rest, until nothing goes back and forth between the chip and the host.
 *
 * After each replacement `batchmark check` says whether the results are still right, and
 * `batchmark run` what was gained.
 */
#include "mychip.h"

#include <math.h>
#include <string.h>

/* ---- The images: x[b][i] ---- */

static uint64_t image_number(const struct bm_mychip_work *work, uint64_t b) {
    return work->order != NULL ? work->order[b] : work->first + b;
}

/* x[i] = scale[channel] byte[i] + shift[channel] */
static void convert(const struct bm_session *session,
                    const struct bm_data *data,
                    const uint8_t *bytes,
                    float *x) {
    struct bm_kit_shape shape = session->core.network.input;
    uint64_t plane = (uint64_t)shape.height * shape.width;
    for (uint32_t c = 0; c < shape.channels; c++) {
        for (uint64_t i = c * plane; i < (c + 1) * plane; i++) {
            x[i] = data->scale[c] * (float)bytes[i] + data->shift[c];
        }
    }
}

static void
read_images(const struct bm_session *session, const struct bm_mychip_work *work, float *x) {
    uint64_t size = session->core.network.input_size;
    for (uint64_t b = 0; b < work->count; b++) {
        uint64_t offset = image_number(work, b) * size;
        if (work->data->type == BM_DATA_UINT8) {
            const uint8_t *bytes = work->data->images;
            convert(session, work->data, bytes + offset, x + b * size);
        } else {
            const float *floats = work->data->images;
            memcpy(x + b * size, floats + offset, size * sizeof *x);
        }
    }
}

/* ---- Layers: x is the input, y the output, dx and dy their gradients; [count][size] ---- */

/* y[b][o] = bias[o] + sum_i weight[o][i] x[b][i] */
static void dense_forward(const struct bm_kit_layer *layer,
                          const float *params,
                          const float *x,
                          float *y,
                          uint64_t count) {
    uint64_t inputs = layer->input_size;
    uint64_t outputs = layer->output_size;
    for (uint64_t b = 0; b < count; b++) {
        for (uint64_t o = 0; o < outputs; o++) {
            const float *weight = params + layer->weight_offset + o * inputs;
            float sum = 0;
            for (uint64_t i = 0; i < inputs; i++) {
                sum += weight[i] * x[b * inputs + i];
            }
            y[b * outputs + o] = params[layer->bias_offset + o] + sum;
        }
    }
}

/* dweight[o][i] += sum_b dy[b][o] x[b][i]; dbias[o] += sum_b dy[b][o] */
static void dense_backward_params(const struct bm_kit_layer *layer,
                                  float *gradient,
                                  const float *x,
                                  const float *dy,
                                  uint64_t count) {
    uint64_t inputs = layer->input_size;
    uint64_t outputs = layer->output_size;
    for (uint64_t o = 0; o < outputs; o++) {
        float *dweight = gradient + layer->weight_offset + o * inputs;
        for (uint64_t b = 0; b < count; b++) {
            float factor = dy[b * outputs + o];
            for (uint64_t i = 0; i < inputs; i++) {
                dweight[i] += factor * x[b * inputs + i];
            }
            gradient[layer->bias_offset + o] += factor;
        }
    }
}

/* dx[b][i] = sum_o dy[b][o] weight[o][i] */
static void dense_backward_input(const struct bm_kit_layer *layer,
                                 const float *params,
                                 const float *dy,
                                 float *dx,
                                 uint64_t count) {
    uint64_t inputs = layer->input_size;
    uint64_t outputs = layer->output_size;
    memset(dx, 0, count * inputs * sizeof *dx);
    for (uint64_t b = 0; b < count; b++) {
        for (uint64_t o = 0; o < outputs; o++) {
            const float *weight = params + layer->weight_offset + o * inputs;
            for (uint64_t i = 0; i < inputs; i++) {
                dx[b * inputs + i] += dy[b * outputs + o] * weight[i];
            }
        }
    }
}

static void relu_forward(const float *x, float *y, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) {
        y[i] = x[i] > 0 ? x[i] : 0;
    }
}

static void relu_backward(const float *x, const float *dy, float *dx, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) {
        dx[i] = x[i] > 0 ? dy[i] : 0;
    }
}

/* Loss of one image, in double; dx[j] = (exp(x[j]) / sum - [j = label]) / divisor */
static double softmax(const float *x, uint64_t classes, uint64_t label, double divisor, float *dx) {
    double largest = (double)x[0];
    double sum = 0;
    for (uint64_t j = 1; j < classes; j++) {
        largest = (double)x[j] > largest ? (double)x[j] : largest;
    }
    for (uint64_t j = 0; j < classes; j++) {
        sum += exp((double)x[j] - largest); /* without `largest` it would overflow */
    }
    for (uint64_t j = 0; divisor != 0 && j < classes; j++) {
        double probability = exp((double)x[j] - largest) / sum;
        dx[j] = (float)((probability - (j == label)) / divisor);
    }
    return log(sum) + largest - (double)x[label];
}

/* The lowest index of the largest logit. */
static uint64_t answer(const float *x, uint64_t classes) {
    uint64_t best = 0;
    for (uint64_t j = 1; j < classes; j++) {
        best = x[j] > x[best] ? j : best;
    }
    return best;
}

/* ---- The walk through the network ---- */

static void forward(struct bm_session *session, uint64_t count) {
    const struct bm_kit_network *network = &session->core.network;
    const struct bm_kit_layer *layer = network->layers;
    float *x = session->values;
    for (uint32_t l = 0; l + 1 < network->layer_count; l++, layer++) {
        float *y = x + session->piece * layer->input_size;
        if (layer->kind == BM_LAYER_DENSE) {
            dense_forward(layer, session->params, x, y, count);
        } else {
            relu_forward(x, y, count * layer->output_size);
        }
        x = y;
    }
}

/* The last layer: losses and answers, and the gradient of its input to begin with. */
static double
finish(struct bm_session *session, const struct bm_mychip_work *work, uint64_t *correct) {
    uint64_t classes = session->core.network.class_count;
    double loss = 0;
    for (uint64_t b = 0; b < work->count; b++) {
        const float *x = session->logits + b * classes;
        float *dx = session->delta[0] + b * classes;
        uint64_t label = (uint64_t)work->data->labels[image_number(work, b)];
        loss += softmax(x, classes, label, work->divisor, dx);
        *correct += answer(x, classes) == label;
    }
    return loss;
}

static void backward(struct bm_session *session, uint64_t count) {
    const struct bm_kit_network *network = &session->core.network;
    const float *x = session->logits;
    float *dy = session->delta[0];
    float *dx = session->delta[1];
    for (uint32_t l = network->layer_count - 1; l-- > 0;) {
        const struct bm_kit_layer *layer = &network->layers[l];
        x -= session->piece * layer->input_size;
        if (layer->kind == BM_LAYER_RELU) {
            relu_backward(x, dy, dx, count * layer->input_size);
        } else {
            dense_backward_params(layer, session->gradient, x, dy, count);
            if (l > 0) { /* nobody wants the gradient of the images */
                dense_backward_input(layer, session->params, dy, dx, count);
            }
        }
        float *done = dy;
        dy = dx;
        dx = done;
    }
}

/* Piece by piece, which is right as long as no layer mixes images: a batch norm does. */
double
bm_mychip_run(struct bm_session *session, const struct bm_mychip_work *work, uint64_t *correct) {
    double loss = 0;
    for (uint64_t done = 0; done < work->count; done += session->piece) {
        struct bm_mychip_work piece = *work;
        piece.first += done;
        piece.order = work->order != NULL ? work->order + done : NULL;
        piece.count = work->count - done < session->piece ? work->count - done : session->piece;
        read_images(session, &piece, session->values);
        forward(session, piece.count);
        loss += finish(session, &piece, correct);
        if (work->divisor != 0) {
            backward(session, piece.count);
        }
    }
    return loss;
}

/* ---- The optimizer: the rules stand in plugin.h ---- */

void bm_mychip_step(struct bm_session *session, const struct bm_hyper *hyper) {
    float rate = (float)hyper->rate;
    float momentum = (float)hyper->momentum;
    float decay = (float)hyper->decay;
    float *w = session->params;
    float *m = session->momentum;
    for (uint64_t i = 0; i < session->core.network.param_count; i++) {
        float g = session->gradient[i] + decay * w[i];
        if (m == NULL) {
            w[i] -= rate * g;
        } else {
            m[i] = momentum * m[i] - rate * g;
            w[i] += m[i];
        }
    }
}
