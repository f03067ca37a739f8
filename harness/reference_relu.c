/* Relu, in place. */
#include "reference_call.h"

static size_t channel_at(const struct call *call, size_t index) {
    return index % call->outputs / positions_of(call->out);
}

static void relu_forward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    struct bm_pass *pass = call->pass;
    (void)thread;
    for (size_t i = first * call->outputs; i < last * call->outputs; i++) {
        double z = call->y.value[i];
        uint8_t branch = z > 0 ? BM_BRANCH_ON : BM_BRANCH_OFF;
        /* What is 0 is so in every run: a sum over nothing. */
        if (pass->request->branches != NULL && z != 0 &&
            fabs(z) <= bm_reference_branch_reach(pass, call->index, channel_at(call, i))) {
            branch ^= BM_BRANCH_ON;
        }
        if (pass->run > 0) {
            branch = pass->branch[call->index][i];
        } else if (pass->bounded) {
            double slack = BM_BRANCH_LAMBDA * (double)call->y.sigma[i];
            if (slack > 0 && fabs(z) <= slack) {
                /* k in steps of 1 / BM_BRANCH_STEPS, rounded down. */
                double k = fabs(z) / slack * BM_BRANCH_LAMBDA;
                branch |= (uint8_t)(BM_BRANCH_EITHER * (1 + (uint32_t)(k * BM_BRANCH_STEPS)));
            }
            if (branch == BM_BRANCH_OFF) {
                call->y.sigma[i] = 0;
            }
        }
        if (pass->trains) {
            pass->branch[call->index][i] = branch;
        }
        call->y.value[i] = branch & BM_BRANCH_ON ? z : 0;
    }
}

static void relu_backward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    const uint8_t *branches = pass->branch[call->index];
    struct signs signs = signs_of(pass, call->index, SIGNS_BRANCH);
    (void)thread;
    for (size_t i = first * call->outputs; i < last * call->outputs; i++) {
        double dy = call->dy.value[i];
        call->dy.value[i] = branches[i] & BM_BRANCH_ON ? dy : 0;
        uint32_t steps = branches[i] / BM_BRANCH_EITHER;
        if (pass->run > 0 && steps > 0) {
            double part = branch_part(pass, (steps - 1) / BM_BRANCH_STEPS);
            call->dy.value[i] += signed_at(&signs, i, part * dy);
        }
    }
}

void bm_reference_relu_forward(struct call *call) {
    bm_reference_parallel(call->pass->thread_count, call->pass->image_count, 16, relu_forward,
                          call);
}

void bm_reference_relu_backward(struct call *call) {
    bm_reference_parallel(call->pass->thread_count, call->pass->image_count, 16, relu_backward,
                          call);
}
