/* Softmax cross entropy, in double: a few exponentials an image cost nothing beside its layers. */
#include "scalar.h"

#include <math.h>

static int32_t label_at(const struct bm_scalar_pass *pass, uint64_t b) {
    return pass->data->labels[pass->images != NULL ? pass->images[b] : pass->first + b];
}

/* Lowest index of the largest logit. */
static uint32_t first_largest(const float *x, uint32_t class_count) {
    uint32_t best = 0;
    for (uint32_t j = 1; j < class_count; j++) {
        best = x[j] > x[best] ? j : best;
    }
    return best;
}

static double exponential_sum(const float *x, uint32_t class_count, float largest) {
    double sum = 0;
    for (uint32_t j = 0; j < class_count; j++) {
        sum += exp((double)x[j] - (double)largest);
    }
    return sum;
}

/* loss = log(sum_j exp(x[j])) - x[label]; dx[j] = (exp(x[j]) / sum - [j = label]) / divisor */
static void softmax_image(const struct bm_scalar_work *work, uint64_t b) {
    struct bm_session *session = work->session;
    uint32_t class_count = session->core.network.class_count;
    const float *x = work->x + b * class_count;
    uint32_t label = (uint32_t)label_at(&session->pass, b);
    uint32_t best = first_largest(x, class_count);
    double largest = (double)x[best];
    double sum = exponential_sum(x, class_count, x[best]);
    session->losses[b] = log(sum) + largest - (double)x[label];
    session->right[b] = best == label;
    if (!session->pass.training) {
        return;
    }
    float *dx = work->dx + b * class_count;
    for (uint32_t j = 0; j < class_count; j++) {
        double probability = exp((double)x[j] - largest) / sum;
        dx[j] = (float)((probability - (j == label)) / session->pass.divisor);
    }
}

static void softmax_images(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_scalar_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(work->session->pass.count, 1, thread, thread_count, &begin, &end);
    for (uint64_t b = begin; b < end; b++) {
        softmax_image(work, b);
    }
}

void bm_scalar_softmax(struct bm_scalar_work *work) {
    bm_kit_pool_run(work->session->pool, softmax_images, work);
}
