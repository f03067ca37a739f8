/* Softmax cross entropy; logarithm and loss in double. */
#include "cpu.h"

#include <math.h>

static int32_t label_at(const struct bm_cpu_pass *pass, uint64_t b) {
    return pass->data->labels[pass->images != NULL ? pass->images[b] : pass->first + b];
}

/* Lowest index of the largest logit. */
static uint64_t first_largest(const float *x, uint64_t classes) {
    uint64_t best = 0;
    for (uint64_t j = 1; j < classes; j++) {
        best = x[j] > x[best] ? j : best;
    }
    return best;
}

static double exponential_sum(const float *x, uint64_t classes, double largest) {
    double sum = 0;
    for (uint64_t j = 0; j < classes; j++) {
        sum += exp((double)x[j] - largest);
    }
    return sum;
}

/* loss = log(sum_j exp(x[j])) - x[label]; dx[j] = (exp(x[j]) / sum - [j = label]) / divisor */
static void softmax_image(const struct bm_cpu_work *work, uint64_t b) {
    struct bm_session *session = work->session;
    const struct bm_cpu_shape *shape = &work->stage->in;
    const float *x = work->x + b * shape->size;
    uint64_t label = (uint64_t)label_at(&session->pass, b);
    uint64_t best = first_largest(x, shape->channels);
    double largest = (double)x[best];
    double sum = exponential_sum(x, shape->channels, largest);
    float *dx = work->dx + b * shape->size;
    session->losses[b] = log(sum) + largest - (double)x[label];
    session->right[b] = best == label;
    if (!session->pass.training) {
        return;
    }
    for (uint64_t j = 0; j < shape->channels; j++) {
        double probability = exp((double)x[j] - largest) / sum;
        dx[j] = (float)((probability - (j == label)) / session->pass.divisor);
    }
    for (uint64_t j = shape->channels; j < shape->size; j++) {
        dx[j] = 0;
    }
}

static void softmax_images(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(work->session->pass.count, 1, thread, thread_count, &begin, &end);
    for (uint64_t b = begin; b < end; b++) {
        softmax_image(work, b);
    }
}

void bm_cpu_softmax(struct bm_cpu_work *work) {
    /* An exponential is worth some 30 multiplications. */
    bm_cpu_run(work->session, softmax_images, work,
               60 * work->session->pass.count * work->stage->in.channels);
}
