/* Softmax cross entropy, in double: a few exponentials an image cost little beside its layers. */
#include "blas.h"

#include <math.h>

static uint32_t label_at(const struct bm_blas_pass *pass, uint64_t b) {
    return (uint32_t)pass->data->labels[pass->images != NULL ? pass->images[b] : pass->first + b];
}

/* Lowest index of the largest logit. */
static uint32_t first_largest(const float *x, uint32_t class_count) {
    uint32_t best = 0;
    for (uint32_t j = 1; j < class_count; j++) {
        best = x[j] > x[best] ? j : best;
    }
    return best;
}

/* powers[j] = exp(x[j] - largest); returns their sum. */
static double raise(const float *x, uint32_t class_count, double largest, double *powers) {
    double sum = 0;
    for (uint32_t j = 0; j < class_count; j++) {
        powers[j] = exp((double)x[j] - largest);
        sum += powers[j];
    }
    return sum;
}

/* loss = log(sum_j exp(x[j])) - x[label]; dx[j] = (exp(x[j]) / sum - [j = label]) / divisor */
void bm_blas_softmax(const struct bm_blas_work *work) {
    struct bm_session *session = work->session;
    struct bm_blas_pass *pass = &session->pass;
    uint32_t class_count = session->core.network.class_count;
    double *powers = session->sums[0];
    for (uint64_t b = 0; b < pass->count; b++) {
        const float *x = work->x + b * class_count;
        uint32_t label = label_at(pass, b);
        uint32_t best = first_largest(x, class_count);
        double sum = raise(x, class_count, (double)x[best], powers);
        pass->loss += log(sum) + (double)x[best] - (double)x[label];
        pass->right += best == label;
        for (uint32_t j = 0; pass->training && j < class_count; j++) {
            work->dx[b * class_count + j] =
                (float)((powers[j] / sum - (j == label)) / pass->divisor);
        }
    }
}
