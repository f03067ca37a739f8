/* The walk through the stages, forward and back, a part of the slice at a time. */
#include "cpu.h"

static void forward_stage(struct bm_cpu_work *work) {
    switch (work->stage->kind) {
    case BM_LAYER_DENSE:
        bm_cpu_dense_forward(work);
        break;
    case BM_LAYER_CONV2D:
        bm_cpu_convolution_forward(work);
        break;
    case BM_LAYER_MAXPOOL:
        bm_cpu_maxpool_forward(work);
        break;
    case BM_LAYER_BATCHNORM:
        bm_cpu_batchnorm_forward(work);
        break;
    case BM_LAYER_RELU:
        bm_cpu_relu_forward(work);
        break;
    case BM_LAYER_DROPOUT:
        bm_cpu_dropout_forward(work);
        break;
    default:
        bm_cpu_softmax(work);
        break;
    }
}

static void backward_stage(struct bm_cpu_work *work) {
    switch (work->stage->kind) {
    case BM_LAYER_DENSE:
        bm_cpu_dense_backward(work);
        break;
    case BM_LAYER_CONV2D:
        bm_cpu_convolution_backward(work);
        break;
    case BM_LAYER_MAXPOOL:
        bm_cpu_maxpool_backward(work);
        break;
    case BM_LAYER_BATCHNORM:
        bm_cpu_batchnorm_backward(work);
        break;
    case BM_LAYER_RELU:
        bm_cpu_relu_backward(work);
        break;
    default:
        bm_cpu_dropout_backward(work);
        break;
    }
}

/* What a stage reads: the output of the one below, or the images. */
static float *input_of(struct bm_session *session, uint32_t index) {
    return index > 0 ? session->stages[index - 1].output : session->input;
}

/* Whether batch norm number `norm` is woven into dense layer number `dense`, beside it. */
static int32_t is_woven(struct bm_session *session, uint32_t norm, uint32_t dense) {
    return norm < session->stage_count && dense < session->stage_count &&
           session->stages[norm].kind == BM_LAYER_BATCHNORM &&
           session->stages[dense].kind == BM_LAYER_DENSE &&
           bm_cpu_batchnorm_is_woven(session, &session->stages[norm]);
}

static struct bm_cpu_work forward_work(struct bm_session *session, uint32_t i) {
    return (struct bm_cpu_work){
        .session = session,
        .stage = &session->stages[i],
        .x = input_of(session, i),
        .y = session->stages[i].output,
        .dx = session->delta[0], /* of softmax, which is the end and the turning point */
        .has_sums = (uint32_t)is_woven(session, i, i - 1),
        .leaves_rows = (uint32_t)is_woven(session, i, i + 1),
    };
}

static void forward(struct bm_session *session) {
    for (uint32_t i = 0; i < session->stage_count; i++) {
        struct bm_cpu_work work = forward_work(session, i);
        struct bm_cpu_work before;
        struct bm_cpu_work after;
        if (is_woven(session, i - 1, i)) {
            before = forward_work(session, i - 1);
            work.before = &before;
        }
        if (is_woven(session, i + 1, i)) {
            after = forward_work(session, i + 1);
            work.after = &after;
        }
        forward_stage(&work);
    }
}

/* These leave the gradient of their input where that of their output was. */
static int32_t is_in_place(uint32_t kind) {
    return kind == BM_LAYER_BATCHNORM || kind == BM_LAYER_RELU || kind == BM_LAYER_DROPOUT;
}

/* Whoever makes the gradient of a stage's output leaves 0 where its relu was not passed. Relu and
 * dropout have no place for that in their loops. */
static void pass_relu_below(struct bm_cpu_work *work) {
    uint32_t kind = work->stage->kind;
    if (work->mask != NULL && (kind == BM_LAYER_RELU || kind == BM_LAYER_DROPOUT)) {
        work->x = work->mask;
        bm_cpu_relu_backward(work);
    }
}

/* Of a stage whose gradient of the output is `now`; `next` is the other place for gradients. */
static struct bm_cpu_work
backward_work(struct bm_session *session, uint32_t i, float *now, float *next) {
    struct bm_cpu_work work = {.session = session, .stage = &session->stages[i]};
    work.x = input_of(session, i);
    work.dy = now;
    if (i > session->first_trainable) {
        work.dx = is_in_place(session->stages[i].kind) ? now : next;
        work.mask = session->stages[i - 1].relu ? session->stages[i - 1].output : NULL;
    }
    work.has_sums = (uint32_t)is_woven(session, i, i + 1);
    work.leaves_rows = i > session->first_trainable + 1 && is_woven(session, i, i - 1);
    return work;
}

/* From the stage below softmax down to the lowest that has parameters, whose input gradient nobody
 * reads. */
static void backward(struct bm_session *session) {
    float *now = session->delta[0];
    float *next = session->delta[1];
    for (uint32_t i = session->stage_count - 1; i-- > session->first_trainable;) {
        struct bm_cpu_work work = backward_work(session, i, now, next);
        struct bm_cpu_work before;
        struct bm_cpu_work after;
        if (work.dx != NULL && is_woven(session, i + 1, i)) {
            before = backward_work(session, i + 1, now, next);
            work.before = &before;
        }
        if (work.dx != NULL && is_woven(session, i - 1, i)) {
            after = backward_work(session, i - 1, next, now);
            work.after = &after;
        }
        backward_stage(&work);
        pass_relu_below(&work);
        if (!is_in_place(work.stage->kind)) {
            next = now;
            now = work.dx;
        }
    }
}

/* The gradient of the logits comes from softmax, which does not look at a relu below it. */
static void pass_last_relu(struct bm_session *session) {
    const struct bm_cpu_stage *last = &session->stages[session->stage_count - 1];
    if (session->stage_count > 1 && last[-1].relu) {
        struct bm_cpu_work work = {
            .session = session, .stage = &last[-1], .x = last[-1].output, .dx = session->delta[0]};
        bm_cpu_relu_backward(&work);
    }
}

static double run_part(struct bm_session *session, uint64_t *right) {
    double loss = 0;
    bm_cpu_input(session);
    forward(session);
    if (session->pass.training) {
        pass_last_relu(session);
        backward(session);
    }
    for (uint64_t b = 0; b < session->pass.count; b++) {
        loss += session->losses[b];
        *right += session->right[b];
    }
    return loss;
}

double bm_cpu_pass_run(struct bm_session *session,
                       const struct bm_cpu_pass *whole,
                       const struct bm_kit_rule *rule,
                       uint64_t *right) {
    uint64_t parts = (whole->count + session->image_max - 1) / session->image_max;
    uint32_t fused = rule != NULL && bm_kit_rule_is_local(rule->optimizer);
    double loss = 0;
    for (uint64_t i = 0; i < parts; i++) {
        uint64_t done = bm_cpu_tile_begin(whole->count, parts, i);
        session->pass = *whole;
        session->pass.images = whole->images == NULL ? NULL : whole->images + done;
        session->pass.first = whole->first + done;
        session->pass.count = bm_cpu_tile_begin(whole->count, parts, i + 1) - done;
        session->pass.begins = i == 0;
        session->pass.adds = (whole->flags & BM_SLICE_ACCUMULATE) != 0 || i > 0;
        session->pass.steps = fused && i == parts - 1;
        if (fused) {
            session->pass.rule = *rule;
        }
        loss += run_part(session, right);
    }
    if (rule != NULL) {
        bm_cpu_apply(session, rule, fused);
    }
    return loss;
}
