/*
 * Batch norm per channel. x, y: [count][size] with size = channels positions;
 * n = count positions; normal = (x - mean) inverse with inverse = 1 / sqrt(variance + epsilon).
 * Sums run over the images unit by unit, so that their loop is straight, and are then folded into
 * the channels; channel values are repeated for their units for the same reason.
 */
#include "blas.h"
#include "loop.h"

#include <math.h>
#include <string.h>

/* ---- Loops over one image ---- */

/* sums[u] += (x[u] - mean[u])^2 */
BM_BLAS_LOOP static void add_squares(const float *restrict x,
                                     const float *restrict mean,
                                     uint64_t size,
                                     double *restrict sums) {
    for (uint64_t u = 0; u < size; u++) {
        double distance = (double)x[u] - (double)mean[u];
        sums[u] += distance * distance;
    }
}

/* sums[u] += dy[u] normal[u] */
BM_BLAS_LOOP static void add_products(const float *restrict dy,
                                      const float *restrict x,
                                      const float *restrict mean,
                                      const float *restrict inverse,
                                      uint64_t size,
                                      double *restrict sums) {
    for (uint64_t u = 0; u < size; u++) {
        float normal = (x[u] - mean[u]) * inverse[u];
        sums[u] += (double)dy[u] * (double)normal;
    }
}

/* y = gain normal + shift */
BM_BLAS_LOOP static void normalize(const float *restrict x,
                                   const float *restrict mean,
                                   const float *restrict inverse,
                                   const float *restrict gain,
                                   const float *restrict shift,
                                   uint64_t size,
                                   float *restrict y) {
    for (uint64_t u = 0; u < size; u++) {
        y[u] = gain[u] * ((x[u] - mean[u]) * inverse[u]) + shift[u];
    }
}

/* d = factor (d - sum - normal product) */
BM_BLAS_LOOP static void pass_back(const float *restrict x,
                                   const float *restrict mean,
                                   const float *restrict inverse,
                                   const float *restrict factor,
                                   const float *restrict sum,
                                   const float *restrict product,
                                   uint64_t size,
                                   float *restrict d) {
    for (uint64_t u = 0; u < size; u++) {
        float normal = (x[u] - mean[u]) * inverse[u];
        d[u] = factor[u] * (d[u] - sum[u] - normal * product[u]);
    }
}

/* ---- Channels and their units ---- */

struct shape {
    uint64_t count;
    uint64_t channels;
    uint64_t positions;
    uint64_t size;
    double n; /* values of a channel */
};

static struct shape shape_of(const struct bm_blas_work *work) {
    const struct bm_kit_shape output = work->layer->facts.output;
    struct shape shape = {.count = work->session->pass.count,
                          .channels = output.channels,
                          .positions = (uint64_t)output.height * output.width,
                          .size = work->layer->facts.output_size};
    shape.n = (double)shape.count * (double)shape.positions;
    return shape;
}

/* sums[c] = sum of sums[u] over the units of c, which lie at or behind it */
static void fold(const struct shape *shape, double *sums) {
    for (uint64_t c = 0; c < shape->channels; c++) {
        double sum = 0;
        for (uint64_t p = 0; p < shape->positions; p++) {
            sum += sums[c * shape->positions + p];
        }
        sums[c] = sum;
    }
}

static void repeat(const struct shape *shape, uint64_t channel, float value, float *units) {
    for (uint64_t p = 0; p < shape->positions; p++) {
        units[channel * shape->positions + p] = value;
    }
}

/* ---- Forward ---- */

static int32_t uses_running(const struct bm_blas_pass *pass) {
    return !pass->training || (pass->flags & BM_SLICE_USE_RUNNING) != 0;
}

/* running = decay running + (1 - decay) batch, the variance unbiased; a single value has none. */
static void update_running(
    const struct bm_blas_work *work, double n, uint64_t c, double mean, double variance) {
    const struct bm_kit_layer *facts = &work->layer->facts;
    float *running_mean = work->session->statistics + facts->mean_offset + c;
    float *running_variance = work->session->statistics + facts->variance_offset + c;
    const double decay = BM_BATCHNORM_DECAY;
    *running_mean = (float)(decay * (double)*running_mean + (1 - decay) * mean);
    if (n > 1) {
        *running_variance =
            (float)(decay * (double)*running_variance + (1 - decay) * (variance * (n / (n - 1))));
    }
}

static float inverse_of(double variance) {
    return (float)(1 / sqrt(variance + BM_BATCHNORM_EPSILON));
}

static void batch_statistics(const struct bm_blas_work *work, const struct shape *shape) {
    struct bm_session *session = work->session;
    const struct bm_blas_layer *layer = work->layer;
    double *sums = session->sums[0];
    double *squares = session->sums[1];
    bm_blas_sum_images(work->x, shape->count, shape->size, sums);
    fold(shape, sums);
    for (uint64_t c = 0; c < shape->channels; c++) {
        repeat(shape, c, (float)(sums[c] / shape->n), layer->mean);
    }
    memset(squares, 0, shape->size * sizeof *squares);
    for (uint64_t b = 0; b < shape->count; b++) {
        add_squares(work->x + b * shape->size, layer->mean, shape->size, squares);
    }
    fold(shape, squares);
    for (uint64_t c = 0; c < shape->channels; c++) {
        double variance = squares[c] / shape->n;
        if ((session->pass.flags & BM_SLICE_KEEP_STATISTICS) == 0) {
            update_running(work, shape->n, c, sums[c] / shape->n, variance);
        }
        repeat(shape, c, inverse_of(variance), layer->inverse);
    }
}

static void running_statistics(const struct bm_blas_work *work, const struct shape *shape) {
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *mean = work->session->statistics + facts->mean_offset;
    const float *variance = work->session->statistics + facts->variance_offset;
    for (uint64_t c = 0; c < shape->channels; c++) {
        repeat(shape, c, mean[c], work->layer->mean);
        repeat(shape, c, inverse_of((double)variance[c]), work->layer->inverse);
    }
}

void bm_blas_batchnorm_forward(const struct bm_blas_work *work) {
    const struct bm_session *session = work->session;
    const struct bm_kit_layer *facts = &work->layer->facts;
    struct shape shape = shape_of(work);
    if (uses_running(&session->pass)) {
        running_statistics(work, &shape);
    } else {
        batch_statistics(work, &shape);
    }
    for (uint64_t c = 0; c < shape.channels; c++) {
        repeat(&shape, c, session->params[facts->weight_offset + c], session->units[0]);
        repeat(&shape, c, session->params[facts->bias_offset + c], session->units[1]);
    }
    for (uint64_t b = 0; b < shape.count; b++) {
        normalize(work->x + b * shape.size, work->layer->mean, work->layer->inverse,
                  session->units[0], session->units[1], shape.size, work->y + b * shape.size);
    }
}

/* ---- Backward ---- */

/* With the batch's statistics dx = gain inverse (dy - sum dy / n - normal sum(dy normal) / n), with
 * constant ones dx = gain inverse dy; a single value is a constant too, and gets no gradient. */
static void input_gradient(const struct bm_blas_work *work,
                           const struct shape *shape,
                           const double *sums,
                           const double *products) {
    const struct bm_session *session = work->session;
    const float *gain = session->params + work->layer->facts.weight_offset;
    int32_t constant = uses_running(&session->pass);
    for (uint64_t c = 0; c < shape->channels; c++) {
        float inverse = work->layer->inverse[c * shape->positions];
        repeat(shape, c, gain[c] * inverse, session->units[0]);
        repeat(shape, c, constant ? 0 : (float)(sums[c] / shape->n), session->units[1]);
        repeat(shape, c, constant ? 0 : (float)(products[c] / shape->n), session->units[2]);
    }
    for (uint64_t b = 0; b < shape->count; b++) {
        uint64_t first = b * shape->size;
        pass_back(work->x + first, work->layer->mean, work->layer->inverse, session->units[0],
                  session->units[1], session->units[2], shape->size, work->dx + first);
    }
}

/* dshift = sum dy, dgain = sum dy normal */
void bm_blas_batchnorm_backward(const struct bm_blas_work *work) {
    struct bm_session *session = work->session;
    const struct bm_kit_layer *facts = &work->layer->facts;
    struct shape shape = shape_of(work);
    double *sums = session->sums[0];
    double *products = session->sums[1];
    bm_blas_sum_images(work->dy, shape.count, shape.size, sums);
    memset(products, 0, shape.size * sizeof *products);
    for (uint64_t b = 0; b < shape.count; b++) {
        uint64_t first = b * shape.size;
        add_products(work->dy + first, work->x + first, work->layer->mean, work->layer->inverse,
                     shape.size, products);
    }
    fold(&shape, sums);
    fold(&shape, products);
    bm_blas_store_gradient(session, facts->weight_offset, products, facts->weight_count);
    bm_blas_store_gradient(session, facts->bias_offset, sums, facts->bias_count);
    if (work->dx != NULL) {
        input_gradient(work, &shape, sums, products);
    }
}
