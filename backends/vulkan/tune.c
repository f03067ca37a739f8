/* The tuner: products find their fastest tile by trying, and a file keeps what was found. */
#include "cache.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first tile is for software devices. */
#define TILE_FIRST 1u

/* Dispatches between two stamps; so often, unless that takes long. */
#define TRIAL_DISPATCHES 4u
#define TRIALS 3u
#define TRIAL_LONG_NS 20e6

#define KEPT_MAX 4096u

/* The file: this, then the choices. */
#define VERSION 1u

struct kept {
    uint32_t version;
    uint32_t count;
    struct bm_vulkan_tuned tuned[];
};

/* ---- What is known ---- */

static int32_t is_same(const struct bm_vulkan_shape *a, const struct bm_vulkan_shape *b) {
    return memcmp(a->constants, b->constants, sizeof a->constants) == 0 && a->parts == b->parts &&
           a->rows == b->rows;
}

static struct bm_vulkan_tuned *find(const struct bm_session *session,
                                    const struct bm_vulkan_shape *shape) {
    for (uint32_t i = 0; i < session->tuned_count; i++) {
        if (is_same(&session->tuned[i].shape, shape)) {
            return &session->tuned[i];
        }
    }
    return NULL;
}

int32_t bm_vulkan_tuned_tile(const struct bm_session *session,
                             const struct bm_vulkan_shape *shape) {
    const struct bm_vulkan_tuned *tuned = session->tunes ? find(session, shape) : NULL;
    return tuned != NULL ? (int32_t)tuned->tile : -1;
}

static int32_t add(struct bm_session *session,
                   const struct bm_vulkan_shape *shape,
                   uint32_t tile,
                   struct bm_error *error) {
    struct bm_vulkan_tuned *grown =
        realloc(session->tuned, (session->tuned_count + (size_t)1) * sizeof *grown);
    if (grown == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a list of tiles");
    }
    session->tuned = grown;
    memset(&grown[session->tuned_count], 0, sizeof *grown);
    grown[session->tuned_count].shape = *shape;
    grown[session->tuned_count].tile = tile;
    session->tuned_count++;
    return BM_STATUS_OK;
}

/* Adds those choices of the file that the session has not got. */
static void merge(struct bm_session *session) {
    size_t bytes = 0;
    struct kept *kept = bm_vulkan_load_cache(&session->device.facts, BM_VULKAN_CACHE_TILES, &bytes);
    if (kept != NULL && bytes >= sizeof *kept && kept->version == VERSION &&
        kept->count <= KEPT_MAX && bytes == sizeof *kept + kept->count * sizeof kept->tuned[0]) {
        struct bm_error ignored; /* without memory for it the choice is made again */
        for (uint32_t i = 0; i < kept->count; i++) {
            const struct bm_vulkan_tuned *one = &kept->tuned[i];
            if (one->tile >= TILE_FIRST && one->tile <= BM_VULKAN_TILE_MAX &&
                find(session, &one->shape) == NULL) {
                (void)add(session, &one->shape, one->tile, &ignored);
            }
        }
    }
    free(kept);
}

void bm_vulkan_open_tuner(struct bm_session *session) {
    if (session->tunes) {
        merge(session);
    }
}

/* The newest are kept: what is added comes last. */
static void save(struct bm_session *session) {
    merge(session);
    uint32_t count = session->tuned_count < KEPT_MAX ? session->tuned_count : KEPT_MAX;
    size_t bytes = sizeof(struct kept) + count * sizeof session->tuned[0];
    struct kept *kept = calloc(1, bytes);
    if (kept != NULL) {
        kept->version = VERSION;
        kept->count = count;
        memcpy(kept->tuned, session->tuned + (session->tuned_count - count),
               count * sizeof session->tuned[0]);
        bm_vulkan_save_cache(&session->device.facts, BM_VULKAN_CACHE_TILES, kept, bytes);
    }
    free(kept);
    session->tuned_here = 0;
}

/* "input_gradient.1000x512x784=64x64x16": rows, terms of a sum, columns. */
static int describe_one(const struct bm_vulkan_tuned *tuned, char *text, size_t capacity) {
    static const char *const names[] = {"forward", "input_gradient", "weight_gradient"};
    const uint32_t *constants = tuned->shape.constants;
    char tile[32];
    int32_t is_convolution = constants[3] != 0;
    bm_vulkan_tile_text(tuned->tile, tile, sizeof tile);
    return snprintf(text, capacity, "%s%s.%llux%ux%u=%s\n", is_convolution ? "conv_" : "",
                    names[constants[0]], (unsigned long long)tuned->shape.rows, 4 * constants[1],
                    4 * constants[2], tile);
}

void bm_vulkan_describe_tuner(const struct bm_session *session, char *text, uint32_t capacity) {
    for (uint32_t i = 0; i < session->tuned_count; i++) {
        int used = session->tuned[i].is_used ? describe_one(&session->tuned[i], text, capacity) : 0;
        if (used < 0 || (uint32_t)used >= capacity) {
            text[0] = '\0';
            return;
        }
        text += used;
        capacity -= (uint32_t)used;
    }
}

/* ---- Trying ---- */

/* One product of a stage, tried with all tiles. */
struct trial {
    struct bm_session *session;
    const struct bm_vulkan_stage *stage;
    const struct bm_vulkan_mode *mode;
    uint32_t product;
    VkCommandBuffer commands;
    VkQueryPool stamps;
};

static int32_t record(const struct trial *trial, struct bm_error *error) {
    const struct bm_vulkan_calls *vk = &trial->session->device.instance.vk;
    struct bm_vulkan_recorder recorder = {.session = trial->session,
                                          .mode = *trial->mode,
                                          .commands = trial->commands,
                                          .error = error};
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkResult result = vk->BeginCommandBuffer(trial->commands, &info);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkBeginCommandBuffer");
    }
    bm_vulkan_pass_barrier(&recorder);
    bm_vulkan_try_product(&recorder, trial->stage, trial->product);
    bm_vulkan_pass_barrier(&recorder);
    vk->CmdResetQueryPool(trial->commands, trial->stamps, 0, 2);
    vk->CmdWriteTimestamp(trial->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, trial->stamps, 0);
    for (uint32_t i = 0; i < TRIAL_DISPATCHES; i++) {
        bm_vulkan_try_product(&recorder, trial->stage, trial->product);
        bm_vulkan_pass_barrier(&recorder);
    }
    vk->CmdWriteTimestamp(trial->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, trial->stamps, 1);
    result = vk->EndCommandBuffer(trial->commands);
    if (recorder.status != BM_STATUS_OK) {
        return recorder.status;
    }
    return result == VK_SUCCESS ? BM_STATUS_OK
                                : bm_vulkan_fail(error, result, "vkEndCommandBuffer");
}

static int32_t run(const struct trial *trial, double *ns, struct bm_error *error) {
    struct bm_session *session = trial->session;
    int32_t status = bm_vulkan_submit(&session->queue, &trial->commands, 1, error);
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_wait_all(&session->queue, error);
    }
    return status == BM_STATUS_OK ? bm_vulkan_read_stamps(session, trial->stamps, 0, ns, error)
                                  : status;
}

/* The shortest of some runs. */
static int32_t
time_tile(const struct trial *trial, uint32_t tile, double *best_ns, struct bm_error *error) {
    int32_t before = trial->session->tile;
    *best_ns = 0;
    trial->session->tile = (int32_t)tile;
    int32_t status = record(trial, error);
    trial->session->tile = before;
    for (uint32_t i = 0; i < TRIALS && status == BM_STATUS_OK; i++) {
        double ns = 0;
        status = run(trial, &ns, error);
        *best_ns = i == 0 || ns < *best_ns ? ns : *best_ns;
        if (ns > TRIAL_LONG_NS) {
            break;
        }
    }
    return status;
}

static int32_t
try_tiles(const struct trial *trial, const struct bm_vulkan_shape *shape, struct bm_error *error) {
    uint32_t fastest = TILE_FIRST;
    double fastest_ns = 0;
    int32_t status = BM_STATUS_OK;
    for (uint32_t tile = TILE_FIRST; tile <= BM_VULKAN_TILE_MAX && status == BM_STATUS_OK; tile++) {
        double ns = 0;
        if (!bm_vulkan_tile_suits(tile, trial->product == BM_VULKAN_WEIGHT_GRADIENT
                                            ? 4 * trial->stage->depth
                                            : shape->rows)) {
            continue;
        }
        status = time_tile(trial, tile, &ns, error);
        if (tile == TILE_FIRST || ns < fastest_ns) {
            fastest = tile;
            fastest_ns = ns;
        }
    }
    if (status == BM_STATUS_OK) {
        status = add(trial->session, shape, fastest, error);
    }
    if (status == BM_STATUS_OK) {
        trial->session->tuned_here++;
    }
    return status;
}

static int32_t tune_product(struct trial *trial, uint32_t product, struct bm_error *error) {
    const struct bm_vulkan_recorder recorder = {.session = trial->session, .mode = *trial->mode};
    struct bm_vulkan_shape shape = {0};
    trial->product = product;
    if (!bm_vulkan_product_shape(&recorder, trial->stage, product, &shape)) {
        return BM_STATUS_OK;
    }
    int32_t status = BM_STATUS_OK;
    if (find(trial->session, &shape) == NULL) {
        status = try_tiles(trial, &shape, error);
    }
    if (status == BM_STATUS_OK) {
        find(trial->session, &shape)->is_used = 1;
    }
    return status;
}

static int32_t tune_stages(struct trial *trial, struct bm_error *error) {
    struct bm_session *session = trial->session;
    int32_t is_evaluation = trial->mode->kind == BM_VULKAN_EVALUATE;
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < session->stage_count && status == BM_STATUS_OK; i++) {
        trial->stage = &session->stages[i];
        status = tune_product(trial, BM_VULKAN_FORWARD, error);
        if (status == BM_STATUS_OK && !is_evaluation && i > session->first_trainable) {
            status = tune_product(trial, BM_VULKAN_INPUT_GRADIENT, error);
        }
        if (status == BM_STATUS_OK && !is_evaluation) {
            status = tune_product(trial, BM_VULKAN_WEIGHT_GRADIENT, error);
        }
    }
    return status;
}

static int32_t allocate(struct trial *trial, struct bm_error *error) {
    struct bm_session *session = trial->session;
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = session->queue.pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = 1};
    const VkQueryPoolCreateInfo stamps = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                          .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                          .queryCount = 2};
    VkResult result = vk->CreateQueryPool(session->device.handle, &stamps, NULL, &trial->stamps);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkCreateQueryPool");
    }
    result = vk->AllocateCommandBuffers(session->device.handle, &info, &trial->commands);
    if (result != VK_SUCCESS) {
        vk->DestroyQueryPool(session->device.handle, trial->stamps, NULL);
        return bm_vulkan_fail(error, result, "vkAllocateCommandBuffers");
    }
    return BM_STATUS_OK;
}

int32_t bm_vulkan_tune(struct bm_session *session,
                       const struct bm_vulkan_mode *mode,
                       struct bm_error *error) {
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    struct trial trial = {.session = session, .mode = mode};
    if (!session->tunes || mode->kind == BM_VULKAN_APPLY) {
        return BM_STATUS_OK;
    }
    int32_t status = allocate(&trial, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = tune_stages(&trial, error);
    /* At once: the next process shall choose the same. */
    if (session->tuned_here > 0) {
        save(session);
    }
    /* After a timeout the device may still use them. */
    if (session->queue.status != BM_STATUS_TIMEOUT) {
        vk->FreeCommandBuffers(session->device.handle, session->queue.pool, 1, &trial.commands);
        vk->DestroyQueryPool(session->device.handle, trial.stamps, NULL);
    }
    return status;
}
