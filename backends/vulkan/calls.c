/* Gradient, apply, update, evaluation: an entry of the ring and a program for each. */
#include "calls.h"

#include <math.h>
#include <string.h>

/* Images that evaluate sends through the network at once, if batch_max allows. */
#define EVALUATE_COUNT 4096u

/* Updates of one recording, and of one submission. */
#define REPEAT 16u
#define SUBMIT_MAX 256u

/* ---- The ring ---- */

static void set_slice(struct bm_vulkan_update *update, const struct bm_slice *slice) {
    update->first = (uint32_t)slice->first;
    update->number = (uint32_t)slice->update;
    update->divisor = (float)slice->divisor;
}

/* Adam's corrections in double, as plugin.h has them. */
static void set_hyper(struct bm_vulkan_update *update, const struct bm_hyper *hyper) {
    update->rate = (float)hyper->rate;
    update->momentum = (float)hyper->momentum;
    update->decay = (float)hyper->decay;
    update->beta1 = (float)hyper->beta1;
    update->rest1 = (float)(1 - hyper->beta1);
    update->beta2 = (float)hyper->beta2;
    update->rest2 = (float)(1 - hyper->beta2);
    update->epsilon = (float)hyper->epsilon;
    update->trust = (float)hyper->trust;
    update->correction1 = (float)(1 / (1 - pow(hyper->beta1, (double)hyper->update)));
    update->correction2 = (float)(1 / (1 - pow(hyper->beta2, (double)hyper->update)));
    update->rate_decay = (float)(hyper->rate * hyper->decay);
}

/* Puts an update into entry number `index` once the device has done what was there. */
static int32_t put(struct bm_session *session,
                   uint64_t index,
                   const struct bm_vulkan_update *update,
                   struct bm_error *error) {
    struct bm_vulkan_update *entries = session->ring->mapped;
    uint32_t slot = (uint32_t)(index % BM_VULKAN_RING_SIZE);
    int32_t status = BM_STATUS_OK;
    if (session->ring_until[slot] > session->queue.completed) {
        status = bm_vulkan_wait_until(&session->queue, session->ring_until[slot], error);
    }
    if (status == BM_STATUS_OK) {
        entries[slot] = *update;
    }
    return status;
}

/* Submits programs that take the next `entries` of the ring. */
static int32_t submit(struct bm_session *session,
                      const VkCommandBuffer *commands,
                      uint32_t count,
                      uint32_t entries,
                      struct bm_error *error) {
    int32_t status = bm_vulkan_submit(&session->queue, commands, count, error);
    if (status == BM_STATUS_OK) {
        for (uint32_t i = 0; i < entries; i++) {
            session->ring_until[session->ring_next++ % BM_VULKAN_RING_SIZE] =
                session->queue.submitted;
        }
    }
    return status;
}

static int32_t run(struct bm_session *session,
                   const struct bm_vulkan_mode *mode,
                   const struct bm_vulkan_update *update,
                   struct bm_error *error) {
    const struct bm_vulkan_program *program = NULL;
    int32_t status = bm_vulkan_get_program(session, mode, &program, error);
    if (status == BM_STATUS_OK) {
        status = put(session, session->ring_next, update, error);
    }
    if (status == BM_STATUS_OK) {
        status = submit(session, &program->commands, 1, 1, error);
    }
    if (status == BM_STATUS_OK && mode->kind != BM_VULKAN_EVALUATE) {
        session->timed |= mode->kind == BM_VULKAN_APPLY ? 2 : 1;
    }
    return status;
}

/* ---- Gradient, apply, update ---- */

static struct bm_vulkan_mode mode_of(uint32_t kind, const struct bm_slice *slice, uint32_t repeat) {
    return (struct bm_vulkan_mode){.kind = kind,
                                   .flags = slice->flags,
                                   .split = BM_SPLIT_TRAIN,
                                   .repeat = repeat,
                                   .count = slice->count};
}

/* The losses of a slice join those on the device, or replace all. */
static void add_losses(struct bm_session *session,
                       const struct bm_slice *slice,
                       struct bm_vulkan_update *update) {
    if ((slice->flags & BM_SLICE_ACCUMULATE) == 0) {
        session->core.loss = 0;
        session->loss_count = 0;
    }
    update->loss_count = (uint32_t)session->loss_count;
    if (slice->count > session->loss_count) {
        session->loss_count = slice->count;
    }
}

int32_t bm_vulkan_gradient(struct bm_session *session,
                           const struct bm_slice *slice,
                           struct bm_error *error) {
    struct bm_vulkan_update update = {0};
    int32_t status = bm_vulkan_check_queue(&session->queue, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_slice(&session->core, slice, 1, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    const struct bm_vulkan_mode mode = mode_of(BM_VULKAN_GRADIENT, slice, 1);
    set_slice(&update, slice);
    add_losses(session, slice, &update);
    status = run(session, &mode, &update, error);
    session->core.has_gradient = status == BM_STATUS_OK;
    return status;
}

int32_t
bm_vulkan_apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    const struct bm_vulkan_mode mode = {.kind = BM_VULKAN_APPLY, .repeat = 1};
    struct bm_vulkan_update update = {0};
    int32_t status = bm_vulkan_check_queue(&session->queue, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_hyper(hyper, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_gradient(&session->core, "apply", error);
    }
    /* Without parameters there is no work, and no shader that takes the update from the ring. */
    if (status != BM_STATUS_OK || session->vector_count == 0) {
        return status;
    }
    set_hyper(&update, hyper);
    return run(session, &mode, &update, error);
}

int32_t bm_vulkan_update(struct bm_session *session,
                         const struct bm_slice *slice,
                         const struct bm_hyper *hyper,
                         struct bm_error *error) {
    int32_t status = bm_vulkan_check_queue(&session->queue, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_hyper(hyper, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    struct bm_hyper known = *hyper; /* a later host's is longer than a stride of ours */
    known.size = sizeof known;
    return bm_vulkan_updates(session, slice, 1, &known, sizeof known, error);
}

/* The commands of `count` updates, REPEAT at a time as far as that goes; *commands_count of them.
 */
static int32_t gather_commands(struct bm_session *session,
                               const struct bm_slice *slice,
                               uint32_t count,
                               VkCommandBuffer *commands,
                               uint32_t *commands_count,
                               struct bm_error *error) {
    const uint32_t repeats[] = {REPEAT, 1};
    VkCommandBuffer found[2] = {NULL, NULL};
    uint32_t left = count;
    *commands_count = 0;
    /* Twice, since recording the second may forget the first. */
    for (uint32_t i = 0; i < 4; i++) {
        const struct bm_vulkan_mode mode = mode_of(BM_VULKAN_UPDATE, slice, repeats[i % 2]);
        const struct bm_vulkan_program *program = NULL;
        if (i % 2 == 0 ? count < REPEAT : count % REPEAT == 0) {
            continue;
        }
        int32_t status = bm_vulkan_get_program(session, &mode, &program, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        found[i % 2] = program->commands;
    }
    while (left > 0) {
        uint32_t i = left < REPEAT;
        commands[(*commands_count)++] = found[i];
        left -= repeats[i];
    }
    return BM_STATUS_OK;
}

/* At most SUBMIT_MAX updates in one submission. */
static int32_t run_updates(struct bm_session *session,
                           const struct bm_slice *slice,
                           uint32_t count,
                           const struct bm_hyper *hyper,
                           uint32_t hyper_stride,
                           struct bm_error *error) {
    VkCommandBuffer commands[SUBMIT_MAX];
    uint32_t commands_count = 0;
    int32_t status = gather_commands(session, slice, count, commands, &commands_count, error);
    for (uint32_t k = 0; k < count && status == BM_STATUS_OK; k++) {
        struct bm_vulkan_update update = {0};
        struct bm_slice own;
        struct bm_hyper step;
        bm_kit_nth_update(slice, hyper, hyper_stride, k, &own, &step);
        set_slice(&update, &own);
        set_hyper(&update, &step);
        add_losses(session, &own, &update);
        status = put(session, session->ring_next + k, &update, error);
    }
    if (status == BM_STATUS_OK) {
        status = submit(session, commands, commands_count, count, error);
    }
    session->timed |= status == BM_STATUS_OK;
    return status;
}

int32_t bm_vulkan_updates(struct bm_session *session,
                          const struct bm_slice *slice,
                          uint32_t count,
                          const struct bm_hyper *hyper,
                          uint32_t hyper_stride,
                          struct bm_error *error) {
    int32_t status = bm_vulkan_check_queue(&session->queue, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_updates(&session->core, slice, count, hyper, hyper_stride, error);
    }
    if (status == BM_STATUS_OK) {
        session->core.has_gradient = 0;
    }
    for (uint32_t done = 0; done < count && status == BM_STATUS_OK;) {
        uint32_t some = count - done < SUBMIT_MAX ? count - done : SUBMIT_MAX;
        struct bm_slice own;
        struct bm_hyper step;
        bm_kit_nth_update(slice, hyper, hyper_stride, done, &own, &step);
        const unsigned char *first = (const unsigned char *)hyper + (size_t)done * hyper_stride;
        status = run_updates(session, &own, some, (const struct bm_hyper *)(const void *)first,
                             hyper_stride, error);
        done += some;
    }
    return status;
}

/* ---- Losses, evaluation, wait ---- */

/* Adds the losses on the device to core.loss. */
static int32_t settle_losses(struct bm_session *session, struct bm_error *error) {
    int32_t status = bm_vulkan_wait_all(&session->queue, error);
    if (status == BM_STATUS_OK && session->loss_count > 0) {
        status = bm_vulkan_read(&session->queue, session->losses, session->answers,
                                session->loss_count * sizeof(float), error);
    }
    for (uint64_t i = 0; i < session->loss_count && status == BM_STATUS_OK; i++) {
        session->core.loss += (double)((const float *)session->answers)[i];
    }
    if (status == BM_STATUS_OK) {
        session->loss_count = 0;
    }
    return status;
}

int32_t bm_vulkan_wait(struct bm_session *session, double *loss, struct bm_error *error) {
    if (loss == NULL) {
        return bm_vulkan_wait_all(&session->queue, error);
    }
    int32_t status = settle_losses(session, error);
    if (status == BM_STATUS_OK) {
        *loss = session->core.loss;
    }
    return status;
}

static int32_t evaluate_some(struct bm_session *session,
                             uint32_t split,
                             uint64_t first,
                             uint64_t count,
                             double *loss,
                             uint64_t *correct,
                             struct bm_error *error) {
    const struct bm_vulkan_mode mode = {
        .kind = BM_VULKAN_EVALUATE, .split = split, .repeat = 1, .count = count};
    const struct bm_vulkan_update update = {.first = (uint32_t)first, .divisor = 1};
    int32_t status = run(session, &mode, &update, error);
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_read(&session->queue, session->losses, session->answers,
                                count * sizeof(float), error);
    }
    for (uint64_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        *loss += (double)((const float *)session->answers)[i];
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_read(&session->queue, session->right, session->answers,
                                count * sizeof(uint32_t), error);
    }
    for (uint64_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        *correct += ((const uint32_t *)session->answers)[i];
    }
    return status;
}

int32_t bm_vulkan_evaluate(struct bm_session *session,
                           uint32_t split,
                           uint64_t first,
                           uint64_t count,
                           uint32_t flags,
                           double *loss,
                           uint64_t *correct,
                           struct bm_error *error) {
    uint64_t most =
        session->core.batch_max < EVALUATE_COUNT ? session->core.batch_max : EVALUATE_COUNT;
    double sum = 0;
    uint64_t right = 0;
    int32_t status = bm_vulkan_check_queue(&session->queue, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_check_evaluate(&session->core, split, first, count, flags, error);
    }
    if (status == BM_STATUS_OK) {
        status = settle_losses(session, error);
    }
    for (uint64_t done = 0; done < count && status == BM_STATUS_OK;) {
        uint64_t some = count - done < most ? count - done : most;
        status = evaluate_some(session, split, first + done, some, &sum, &right, error);
        done += some;
    }
    if (status == BM_STATUS_OK) {
        *loss = sum;
        *correct = right;
    }
    return status;
}
