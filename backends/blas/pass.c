/* The walk through the layers, forward and back. */
#include "blas.h"

static void forward_layer(const struct bm_blas_work *work) {
    switch (work->layer->facts.kind) {
    case BM_LAYER_DENSE:
        bm_blas_dense_forward(work);
        break;
    case BM_LAYER_BATCHNORM:
        bm_blas_batchnorm_forward(work);
        break;
    case BM_LAYER_RELU:
        bm_blas_relu_forward(work);
        break;
    case BM_LAYER_DROPOUT:
        bm_blas_dropout_forward(work);
        break;
    default:
        bm_blas_softmax(work);
        break;
    }
}

static void backward_layer(const struct bm_blas_work *work) {
    switch (work->layer->facts.kind) {
    case BM_LAYER_DENSE:
        bm_blas_dense_backward(work);
        break;
    case BM_LAYER_BATCHNORM:
        bm_blas_batchnorm_backward(work);
        break;
    case BM_LAYER_RELU:
        bm_blas_relu_backward(work);
        break;
    default:
        bm_blas_dropout_backward(work);
        break;
    }
}

/* What a layer reads: the output of the one below, or the images. */
static float *input_of(struct bm_session *session, uint32_t index) {
    return index > 0 ? session->layers[index - 1].output : session->input;
}

static void forward(struct bm_session *session) {
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        struct bm_blas_work work = {.session = session, .layer = &session->layers[i]};
        work.x = input_of(session, i);
        work.y = session->layers[i].output;
        work.dx = session->delta[0]; /* of softmax, which is the end and the turning point */
        forward_layer(&work);
    }
}

/* These leave the gradient of their input where that of their output was. */
static int32_t is_in_place(uint32_t kind) {
    return kind == BM_LAYER_BATCHNORM || kind == BM_LAYER_RELU || kind == BM_LAYER_DROPOUT;
}

/* From the layer below softmax down to the lowest that has parameters, whose input gradient nobody
 * reads. */
static void backward(struct bm_session *session) {
    float *now = session->delta[0];
    float *next = session->delta[1];
    for (uint32_t i = session->core.network.layer_count - 1; i-- > session->first_trainable;) {
        struct bm_blas_work work = {.session = session, .layer = &session->layers[i]};
        uint32_t kind = session->layers[i].facts.kind;
        work.x = input_of(session, i);
        work.dy = now;
        work.dx = is_in_place(kind) ? now : next;
        if (i == session->first_trainable) {
            work.dx = NULL;
        }
        backward_layer(&work);
        if (!is_in_place(kind)) {
            next = now;
            now = work.dx;
        }
    }
}

void bm_blas_pass_run(struct bm_session *session) {
    bm_blas_enter(&session->library, session->core.thread_count);
    bm_blas_input(session);
    forward(session);
    if (session->pass.training) {
        backward(session);
    }
    bm_blas_leave();
}
