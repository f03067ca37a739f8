/*
 * Batch norm per channel. x, y: [count][channels][positions]; n = count positions;
 * normal = (x - mean) inverse with inverse = 1 / sqrt(variance + epsilon).
 * A thread owns channels, in the statistics as in the elements.
 */
#include "scalar.h"

#include <math.h>

static struct bm_scalar_channels channels_of(const struct bm_scalar_work *work) {
    const struct bm_kit_shape shape = work->layer->facts.output;
    return (struct bm_scalar_channels){.count = work->session->pass.count,
                                       .channels = shape.channels,
                                       .positions = (uint64_t)shape.height * shape.width};
}

static int32_t uses_running(const struct bm_scalar_pass *pass) {
    return !pass->training || (pass->flags & BM_SLICE_USE_RUNNING) != 0;
}

/* running = decay running + (1 - decay) batch, the variance unbiased; a single value has none. */
static void
update_running(const struct bm_scalar_work *work, uint64_t c, float mean, float variance) {
    const struct bm_kit_layer *facts = &work->layer->facts;
    const struct bm_scalar_channels shape = channels_of(work);
    float *running_mean = work->session->statistics + facts->mean_offset + c;
    float *running_variance = work->session->statistics + facts->variance_offset + c;
    const float decay = (float)BM_BATCHNORM_DECAY;
    const float rest = (float)(1 - BM_BATCHNORM_DECAY);
    double n = (double)shape.count * (double)shape.positions;
    *running_mean = decay * *running_mean + rest * mean;
    if (n > 1) {
        float unbiased = variance * (float)(n / (n - 1));
        *running_variance = decay * *running_variance + rest * unbiased;
    }
}

static void batch_statistics(const struct bm_scalar_work *work,
                             const struct bm_scalar_channels *own) {
    float *mean = work->layer->mean;
    float *inverse = work->layer->inverse;
    float n = (float)(own->count * own->positions);
    bm_scalar_sum(own, work->x, mean);
    for (uint64_t c = own->begin; c < own->end; c++) {
        mean[c] /= n;
    }
    bm_scalar_sum_square(own, work->x, mean, inverse);
    for (uint64_t c = own->begin; c < own->end; c++) {
        float variance = inverse[c] / n;
        if ((work->session->pass.flags & BM_SLICE_KEEP_STATISTICS) == 0) {
            update_running(work, c, mean[c], variance);
        }
        inverse[c] = 1 / sqrtf(variance + (float)BM_BATCHNORM_EPSILON);
    }
}

static void running_statistics(const struct bm_scalar_work *work,
                               const struct bm_scalar_channels *own) {
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *mean = work->session->statistics + facts->mean_offset;
    const float *variance = work->session->statistics + facts->variance_offset;
    for (uint64_t c = own->begin; c < own->end; c++) {
        work->layer->mean[c] = mean[c];
        work->layer->inverse[c] = 1 / sqrtf(variance[c] + (float)BM_BATCHNORM_EPSILON);
    }
}

/* y = gain normal + shift */
static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *gain = work->session->params + facts->weight_offset;
    const float *shift = work->session->params + facts->bias_offset;
    const float *mean = work->layer->mean;
    const float *inverse = work->layer->inverse;
    struct bm_scalar_channels own = channels_of(work);
    bm_kit_split(own.channels, BM_SCALAR_LINE, thread, thread_count, &own.begin, &own.end);
    if (uses_running(&work->session->pass)) {
        running_statistics(work, &own);
    } else {
        batch_statistics(work, &own);
    }
    for (uint64_t image = 0; image < own.count; image++) {
        for (uint64_t c = own.begin; c < own.end; c++) {
            uint64_t first = (image * own.channels + c) * own.positions;
            for (uint64_t i = first; i < first + own.positions; i++) {
                work->y[i] = gain[c] * ((work->x[i] - mean[c]) * inverse[c]) + shift[c];
            }
        }
    }
}

/* With the batch's statistics dx = gain inverse (dy - sum dy / n - normal sum(dy normal) / n), with
 * constant ones dx = gain inverse dy; a single value is a constant too, and gets no gradient. */
static void input_gradient(const struct bm_scalar_work *work,
                           const struct bm_scalar_channels *own,
                           const float *sums,
                           const float *products) {
    const float *gain = work->session->params + work->layer->facts.weight_offset;
    float n = (float)(own->count * own->positions);
    int32_t constant = uses_running(&work->session->pass);
    for (uint64_t image = 0; image < own->count; image++) {
        for (uint64_t c = own->begin; c < own->end; c++) {
            uint64_t first = (image * own->channels + c) * own->positions;
            float mean = work->layer->mean[c];
            float inverse = work->layer->inverse[c];
            float factor = gain[c] * inverse;
            float sum = constant ? 0 : sums[c] / n;
            float product = constant ? 0 : products[c] / n;
            for (uint64_t i = first; i < first + own->positions; i++) {
                float normal = (work->x[i] - mean) * inverse;
                work->dx[i] = factor * (work->dy[i] - sum - normal * product);
            }
        }
    }
}

/* dshift = sum dy, dgain = sum dy normal */
static void backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    struct bm_session *session = work->session;
    const struct bm_kit_layer *facts = &work->layer->facts;
    struct bm_scalar_channels own = channels_of(work);
    float *sums = session->scratch + thread * session->scratch_count;
    float *products = sums + own.channels;
    bm_kit_split(own.channels, BM_SCALAR_LINE, thread, thread_count, &own.begin, &own.end);
    bm_scalar_sum(&own, work->dy, sums);
    bm_scalar_sum_product(&own, work->dy, work->x, work->layer->mean, work->layer->inverse,
                          products);
    /* The sink may change the gain, so its last reader goes first. */
    if (work->dx != NULL) {
        input_gradient(work, &own, sums, products);
    }
    bm_scalar_sink(session, facts->weight_offset + own.begin, products + own.begin,
                   own.end - own.begin);
    bm_scalar_sink(session, facts->bias_offset + own.begin, sums + own.begin, own.end - own.begin);
}

void bm_scalar_batchnorm_forward(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, forward, work);
}

void bm_scalar_batchnorm_backward(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, backward, work);
}
