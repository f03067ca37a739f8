/* Dense layers. x: [count][inputs], y: [count][outputs], weight: [outputs][inputs], all as they lie
 * in memory: a transposed operand is the library's business. */
#include "blas.h"

#include <string.h>

/* y = x weight^T + bias; the product is added to rows that hold the bias. */
void bm_blas_dense_forward(const struct bm_blas_work *work) {
    const struct bm_session *session = work->session;
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *weight = session->params + facts->weight_offset;
    const float *bias = session->params + facts->bias_offset;
    int count = (int)session->pass.count;
    int inputs = (int)facts->input_size;
    int outputs = (int)facts->output_size;
    for (uint64_t b = 0; b < session->pass.count; b++) {
        memcpy(work->y + b * facts->output_size, bias, facts->output_size * sizeof *bias);
    }
    if (count == 1) {
        session->library.sgemv(BM_BLAS_ROW_MAJOR, BM_BLAS_NO_TRANS, outputs, inputs, 1, weight,
                               inputs, work->x, 1, 1, work->y, 1);
    } else {
        session->library.sgemm(BM_BLAS_ROW_MAJOR, BM_BLAS_NO_TRANS, BM_BLAS_TRANS, count, outputs,
                               inputs, 1, work->x, inputs, weight, inputs, 1, work->y, outputs);
    }
}

/* dx = dy weight */
static void backward_input(const struct bm_blas_work *work) {
    const struct bm_session *session = work->session;
    const struct bm_kit_layer *facts = &work->layer->facts;
    const float *weight = session->params + facts->weight_offset;
    int count = (int)session->pass.count;
    int inputs = (int)facts->input_size;
    int outputs = (int)facts->output_size;
    if (count == 1) {
        session->library.sgemv(BM_BLAS_ROW_MAJOR, BM_BLAS_TRANS, outputs, inputs, 1, weight, inputs,
                               work->dy, 1, 0, work->dx, 1);
    } else {
        session->library.sgemm(BM_BLAS_ROW_MAJOR, BM_BLAS_NO_TRANS, BM_BLAS_NO_TRANS, count, inputs,
                               outputs, 1, work->dy, outputs, weight, inputs, 0, work->dx, inputs);
    }
}

/* dweight = dy^T x; dbias = sum of the rows of dy */
static void backward_params(const struct bm_blas_work *work) {
    struct bm_session *session = work->session;
    const struct bm_kit_layer *facts = &work->layer->facts;
    float keep = (session->pass.flags & BM_SLICE_ACCUMULATE) != 0 ? 1.0f : 0.0f;
    int count = (int)session->pass.count;
    int inputs = (int)facts->input_size;
    int outputs = (int)facts->output_size;
    session->library.sgemm(BM_BLAS_ROW_MAJOR, BM_BLAS_TRANS, BM_BLAS_NO_TRANS, outputs, inputs,
                           count, 1, work->dy, outputs, work->x, inputs, keep,
                           session->gradient + facts->weight_offset, inputs);
    bm_blas_sum_images(work->dy, session->pass.count, facts->output_size, session->sums[0]);
    bm_blas_store_gradient(session, facts->bias_offset, session->sums[0], facts->bias_count);
}

void bm_blas_dense_backward(const struct bm_blas_work *work) {
    if (work->dx != NULL) {
        backward_input(work);
    }
    backward_params(work);
}
