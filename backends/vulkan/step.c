/* The optimizer's step with the stored gradient. */
#include "session.h"

#define INVOCATIONS 64u

/* Of lars and lamb: pairs of sums of a stage. */
#define PARTIAL_MAX BM_VULKAN_TRUST_PARTIAL_MAX

static VkDeviceAddress address_of(const struct bm_vulkan_buffer *buffer, uint64_t vectors) {
    return buffer != NULL ? buffer->address + vectors * 4 * sizeof(float) : 0;
}

static void step_local(struct bm_vulkan_recorder *recorder, uint32_t takes_update) {
    struct bm_session *session = recorder->session;
    const struct bm_vulkan_kernel kernel = {
        .shader = BM_VULKAN_STEP,
        .constants = {[0] = INVOCATIONS, [1] = session->core.optimizer, [2] = takes_update}};

    const struct {
        VkDeviceAddress weights;
        VkDeviceAddress gradient;
        VkDeviceAddress state[2];
        VkDeviceAddress ring;
        VkDeviceAddress control;
        uint32_t count;
    } push = {session->params->address,
              session->gradient->address,
              {address_of(session->state[0], 0), address_of(session->state[1], 0)},
              session->ring->address,
              session->control->address,
              (uint32_t)session->vector_count};

    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, session->vector_count);
}

/* ---- Lars and lamb ---- */

/* Vectors of a stage's parameters, and of those that have a ratio. */
static uint64_t vectors_of(const struct bm_vulkan_stage *stage) {
    return (stage->depth > 0 ? 4 * stage->depth + 1 : 2) * stage->out.vectors;
}

static uint64_t weight_vectors(const struct bm_vulkan_stage *stage) {
    return 4 * stage->depth * stage->out.vectors;
}

static uint32_t partial_count(const struct bm_vulkan_stage *stage) {
    uint64_t vectors = vectors_of(stage);
    return vectors < PARTIAL_MAX ? (uint32_t)vectors : PARTIAL_MAX;
}

static VkDeviceAddress partial_of(const struct bm_session *session,
                                  const struct bm_vulkan_stage *stage) {
    uint64_t number = (uint64_t)(stage - session->stages);
    return address_of(session->trust, number * (PARTIAL_MAX + 1));
}

/* Behind the stage's partial sums. */
static VkDeviceAddress ratio_of(const struct bm_session *session,
                                const struct bm_vulkan_stage *stage) {
    return partial_of(session, stage) + (uint64_t)PARTIAL_MAX * 4 * sizeof(float);
}

static void sum_squares(struct bm_vulkan_recorder *recorder,
                        const struct bm_vulkan_stage *stage,
                        uint32_t takes_update) {
    struct bm_session *session = recorder->session;
    const struct bm_vulkan_kernel kernel = {
        .shader = BM_VULKAN_TRUST_SUMS,
        .constants = {[0] = INVOCATIONS, [1] = session->core.optimizer, [2] = takes_update}};

    const struct {
        VkDeviceAddress weights;
        VkDeviceAddress gradient;
        VkDeviceAddress state[2];
        VkDeviceAddress partial;
        VkDeviceAddress ring;
        VkDeviceAddress control;
        uint32_t count;
        uint32_t weight_count;
        uint32_t partial_count;
    } push = {address_of(session->params, stage->weight),
              address_of(session->gradient, stage->weight),
              {address_of(session->state[0], stage->weight),
               address_of(session->state[1], stage->weight)},
              partial_of(session, stage),
              session->ring->address,
              session->control->address,
              (uint32_t)vectors_of(stage),
              (uint32_t)weight_vectors(stage),
              partial_count(stage)};

    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, partial_count(stage));
}

static void find_ratio(struct bm_vulkan_recorder *recorder, const struct bm_vulkan_stage *stage) {
    struct bm_session *session = recorder->session;
    const struct bm_vulkan_kernel kernel = {
        .shader = BM_VULKAN_TRUST_RATIO,
        .constants = {[0] = INVOCATIONS, [1] = session->core.optimizer}};

    const struct {
        VkDeviceAddress partial;
        VkDeviceAddress ratio;
        VkDeviceAddress control;
        uint32_t partial_count;
    } push = {partial_of(session, stage), ratio_of(session, stage), session->control->address,
              partial_count(stage)};

    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, INVOCATIONS);
}

static void step_stage(struct bm_vulkan_recorder *recorder, const struct bm_vulkan_stage *stage) {
    struct bm_session *session = recorder->session;
    const struct bm_vulkan_kernel kernel = {
        .shader = BM_VULKAN_TRUST_STEP,
        .constants = {[0] = INVOCATIONS, [1] = session->core.optimizer}};

    const struct {
        VkDeviceAddress weights;
        VkDeviceAddress gradient;
        VkDeviceAddress state[2];
        VkDeviceAddress ratio;
        VkDeviceAddress control;
        uint32_t count;
        uint32_t weight_count;
    } push = {address_of(session->params, stage->weight),
              address_of(session->gradient, stage->weight),
              {address_of(session->state[0], stage->weight),
               address_of(session->state[1], stage->weight)},
              ratio_of(session, stage),
              session->control->address,
              (uint32_t)vectors_of(stage),
              (uint32_t)weight_vectors(stage)};

    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, vectors_of(stage));
}

/* The first kernel alone takes the update, so the others wait for it. */
static void step_by_trust(struct bm_vulkan_recorder *recorder, uint32_t takes_update) {
    struct bm_session *session = recorder->session;
    for (uint32_t i = session->first_trainable; i < session->stage_count; i++) {
        if (session->stages[i].facts.bias_count > 0) {
            sum_squares(recorder, &session->stages[i],
                        takes_update && i == session->first_trainable);
            if (takes_update && i == session->first_trainable) {
                bm_vulkan_pass_barrier(recorder);
            }
        }
    }
    bm_vulkan_pass_barrier(recorder);
    for (uint32_t i = session->first_trainable; i < session->stage_count; i++) {
        if (session->stages[i].depth > 0) {
            find_ratio(recorder, &session->stages[i]);
        }
    }
    bm_vulkan_pass_barrier(recorder);
    for (uint32_t i = session->first_trainable; i < session->stage_count; i++) {
        if (session->stages[i].facts.bias_count > 0) {
            step_stage(recorder, &session->stages[i]);
        }
    }
}

void bm_vulkan_step(struct bm_vulkan_recorder *recorder, uint32_t takes_update) {
    if (bm_kit_rule_is_local(recorder->session->core.optimizer)) {
        step_local(recorder, takes_update);
    } else {
        step_by_trust(recorder, takes_update);
    }
}
