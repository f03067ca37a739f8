/*
 * The one choice that is made by measuring: up to how many images the weights of a dense layer are
 * stepped in registers (skinny), and from where on in tiles. Both add in the same order, so the
 * choice does not show in the results.
 */
#include "cpu.h"

#include <time.h>

#define PAIRS_MAX 15u
#define LEAD 5

static const uint64_t counts[] = {8, 32, 64, 128, 256};

#define COUNTS (sizeof counts / sizeof counts[0])

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static const struct bm_cpu_stage *largest_dense(const struct bm_session *session) {
    const struct bm_cpu_stage *largest = NULL;
    for (uint32_t i = 0; i < session->stage_count; i++) {
        const struct bm_cpu_stage *stage = &session->stages[i];
        if (stage->kind == BM_LAYER_DENSE &&
            (largest == NULL ||
             stage->depth * stage->out.channels > largest->depth * largest->out.channels)) {
            largest = stage;
        }
    }
    return largest;
}

static int64_t time_ns(struct bm_cpu_work *work, uint64_t skinny_max) {
    work->session->skinny_max = skinny_max;
    int64_t begin = now_ns();
    bm_cpu_dense_param_gradients(work);
    return now_ns() - begin;
}

/* Visits of each, in turn, after one of each that counts for nothing, until one was faster LEAD
 * times more often. A pair sees the same of what else the processor does, where the least of few
 * visits is that of a lucky moment. In doubt skinny, so that where both are equal a session mostly
 * chooses what the last one chose. */
static int32_t skinny_is_faster(struct bm_cpu_work *work) {
    (void)time_ns(work, work->session->pass.count);
    (void)time_ns(work, 0);
    int32_t lead = 0;
    for (uint32_t pair = 0; pair < PAIRS_MAX && lead < LEAD && lead > -LEAD; pair++) {
        int64_t skinny = time_ns(work, work->session->pass.count);
        int64_t tiled = time_ns(work, 0);
        lead += skinny <= tiled ? 1 : -1;
    }
    return lead > -LEAD;
}

/* On arrays that hold nothing but zeros and with a rate of 0, which leaves them as they are. */
void bm_cpu_tune(struct bm_session *session) {
    const struct bm_hyper hyper = {.size = sizeof hyper, .update = 1, .epsilon = 1};
    const struct bm_cpu_stage *stage = largest_dense(session);
    session->skinny_max = counts[0];
    if (stage == NULL || !bm_kit_rule_is_local(session->core.optimizer)) {
        return;
    }
    struct bm_cpu_work work = {
        .session = session, .stage = stage, .x = session->input, .dy = session->delta[0]};
    session->pass = (struct bm_cpu_pass){.training = 1, .steps = 1, .divisor = 1};
    bm_kit_rule_init(&session->pass.rule, session->core.optimizer, &hyper);
    uint64_t best = counts[0];
    for (uint32_t i = 1; i < COUNTS && best < session->image_max; i++) {
        session->pass.count = counts[i] < session->image_max ? counts[i] : session->image_max;
        if (!skinny_is_faster(&work)) {
            break;
        }
        best = session->pass.count;
    }
    session->skinny_max = best;
    session->is_measured = 1;
}
