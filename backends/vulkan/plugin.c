/* The plugin's table, and what makes a session and takes it apart. */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALIDATE 0
#define SPIN 1
#define FAMILY 2
#define TILE 3
#define TIMEOUT 4
#define TUNE 5
#define OPTION_COUNT 6

#define FAMILY_AUTO 0
#define FAMILY_GPU 1

static const char *const families[] = {"auto", "gpu", "software", NULL};

static const struct bm_kit_option options[OPTION_COUNT] = {
    [VALIDATE] = {.key = "validate", .minimum = 0, .maximum = 1, .fallback = 0},
    /* Which shaders multiply; auto: by the device's kind. */
    [FAMILY] = {.key = "family", .choices = families, .fallback = FAMILY_AUTO},
    /* The tile of a GPU's products, the smallest first; -1: by the tuner, on a software device 0.
     */
    [TILE] = {.key = "tile", .minimum = -1, .maximum = BM_VULKAN_TILE_MAX, .fallback = -1},
    /* Microseconds that wait looks before it sleeps; -1: some on a GPU, none on a software device,
     * which needs the processor itself. */
    [SPIN] = {.key = "spin", .minimum = -1, .maximum = 1000000, .fallback = -1},
    /* Seconds in which a device has to finish some of its work; 0: GPU_TIMEOUT_S, and
     * SOFTWARE_TIMEOUT_S on a software device, which takes minutes for an update of a large batch.
     */
    [TIMEOUT] = {.key = "timeout", .minimum = 0, .maximum = 1000000, .fallback = 0},
    /* Whether products try all tiles when they are new; -1: on a GPU. */
    [TUNE] = {.key = "tune", .minimum = -1, .maximum = 1, .fallback = -1},
};

#define GPU_SPIN_US 2000
#define GPU_TIMEOUT_S 600
#define SOFTWARE_TIMEOUT_S 3600

/* ---- Making a session ---- */

static int32_t check_memory(const struct bm_session *session,
                            const struct bm_vulkan_facts *facts,
                            struct bm_error *error) {
    if (facts->memory_bytes > 0 && session->memory_bytes > facts->memory_bytes) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "%s: no memory for %llu bytes at batch_max %llu, found %llu",
                           facts->name, (unsigned long long)session->memory_bytes,
                           (unsigned long long)session->core.batch_max,
                           (unsigned long long)facts->memory_bytes);
    }
    return BM_STATUS_OK;
}

/* What follows from the problem, which `core` holds, and the device's facts. */
static int32_t plan(struct bm_session *session,
                    const struct bm_vulkan_facts *facts,
                    const int64_t values[OPTION_COUNT],
                    struct bm_error *error) {
    session->is_tiled = values[FAMILY] == FAMILY_GPU ||
                        (values[FAMILY] == FAMILY_AUTO && facts->kind == BM_DEVICE_KIND_GPU);
    session->tile = (int32_t)values[TILE];
    session->tunes = session->is_tiled && session->tile < 0 && facts->timestamp_bits > 0 &&
                     (values[TUNE] == 1 || (values[TUNE] < 0 && facts->kind == BM_DEVICE_KIND_GPU));
    if (session->tile < 0 && !session->tunes && facts->kind == BM_DEVICE_KIND_SOFTWARE) {
        session->tile = 0;
    }
    int32_t status = bm_vulkan_plan(session, error);
    return status == BM_STATUS_OK ? check_memory(session, facts, error) : status;
}

static int32_t create_arrays(struct bm_session *session, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < session->array_count && status == BM_STATUS_OK; i++) {
        struct bm_vulkan_array *array = &session->arrays[i];
        status = bm_vulkan_create_buffer(&session->device, array->place, array->bytes, array->what,
                                         &array->buffer, error);
        if (status == BM_STATUS_OK) {
            status = bm_vulkan_clear(&session->queue, &array->buffer, error);
        }
    }
    return status;
}

/* Running variances start at 1. */
static int32_t start_statistics(struct bm_session *session, struct bm_error *error) {
    uint64_t count = session->core.network.statistics_count;
    float *values = calloc(count + 1, sizeof *values);
    if (values == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %llu statistics",
                           (unsigned long long)count);
    }
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        const struct bm_kit_layer *layer = &session->core.network.layers[i];
        for (uint32_t c = 0; layer->kind == BM_LAYER_BATCHNORM && c < layer->output.channels; c++) {
            values[layer->variance_offset + c] = 1;
        }
    }
    int32_t status = bm_vulkan_write(&session->queue, session->statistics, values,
                                     count * sizeof *values, error);
    free(values);
    return status;
}

static int32_t create_answers(struct bm_session *session, struct bm_error *error) {
    session->answers = calloc(session->core.batch_max, sizeof(uint32_t));
    return session->answers != NULL
               ? BM_STATUS_OK
               : bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %llu answers",
                             (unsigned long long)session->core.batch_max);
}

static int32_t
open_queue(struct bm_session *session, const int64_t values[OPTION_COUNT], struct bm_error *error) {
    int32_t is_gpu = session->device.facts.kind == BM_DEVICE_KIND_GPU;
    int64_t spin_us = values[SPIN];
    int64_t timeout_s = values[TIMEOUT];
    if (spin_us < 0) {
        spin_us = is_gpu ? GPU_SPIN_US : 0;
    }
    if (timeout_s == 0) {
        timeout_s = is_gpu ? GPU_TIMEOUT_S : SOFTWARE_TIMEOUT_S;
    }
    int32_t status = bm_vulkan_open_queue(&session->queue, &session->device, error);
    session->queue.spin_ns = (uint64_t)spin_us * 1000;
    session->queue.limit_ns = (uint64_t)timeout_s * 1000000000;
    return status;
}

static int32_t open_parts(struct bm_session *session,
                          uint32_t device,
                          const int64_t values[OPTION_COUNT],
                          struct bm_error *error) {
    session->validate = values[VALIDATE];
    int32_t status =
        bm_vulkan_open_device(&session->device, device, (uint32_t)values[VALIDATE], error);
    if (status == BM_STATUS_OK) {
        status = plan(session, &session->device.facts, values, error);
    }
    if (status == BM_STATUS_OK) {
        status = create_answers(session, error);
    }
    if (status == BM_STATUS_OK) {
        status = open_queue(session, values, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_open_pipelines(session, error);
    }
    if (status == BM_STATUS_OK) {
        bm_vulkan_open_tuner(session);
        status = bm_vulkan_open_timestamps(session, error);
    }
    if (status == BM_STATUS_OK) {
        status = create_arrays(session, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_write_dense(session, error);
    }
    return status == BM_STATUS_OK ? start_statistics(session, error) : status;
}

static void destroy_parts(struct bm_session *session) {
    bm_vulkan_forget_programs(session);
    bm_vulkan_close_pipelines(session);
    bm_vulkan_close_timestamps(session);
    for (uint32_t i = 0; i < session->array_count; i++) {
        bm_vulkan_destroy_buffer(&session->device, &session->arrays[i].buffer);
    }
    for (uint32_t i = 0; i < BM_SPLIT_COUNT; i++) {
        bm_vulkan_destroy_buffer(&session->device, &session->splits[i].images);
        bm_vulkan_destroy_buffer(&session->device, &session->splits[i].labels);
        bm_vulkan_destroy_buffer(&session->device, &session->splits[i].scales);
    }
    bm_vulkan_destroy_buffer(&session->device, &session->order);
    bm_vulkan_close_queue(&session->queue);
    bm_vulkan_close_device(&session->device);
}

/* What a device that does not finish may use is leaked: it may still write to its buffers, and a
 * driver may wait for ever for the work that is to be taken away. */
static void leak_parts(struct bm_session *session) {
    free(session->programs);
    free(session->pipelines);
}

static void destroy(struct bm_session *session) {
    if (session == NULL) {
        return;
    }
    if (session->device.handle != NULL) {
        if (bm_vulkan_finish_queue(&session->queue)) {
            destroy_parts(session);
        } else {
            leak_parts(session);
        }
    }
    free(session->tuned);
    free(session->answers);
    free(session->arrays);
    free(session->stages);
    bm_kit_session_deinit(&session->core);
    free(session);
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    int64_t values[OPTION_COUNT];
    struct bm_session *made = calloc(1, sizeof *made);
    *session = NULL;
    if (made == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a session");
    }
    int32_t status =
        bm_kit_session_init(&made->core, problem, options, OPTION_COUNT, values, error);
    if (status == BM_STATUS_OK) {
        status = open_parts(made, device, values, error);
    }
    if (status != BM_STATUS_OK) {
        destroy(made);
        return status;
    }
    *session = made;
    return BM_STATUS_OK;
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    int64_t values[OPTION_COUNT];
    struct bm_vulkan_facts facts;
    struct bm_session session = {0};
    int32_t status =
        bm_kit_session_init(&session.core, problem, options, OPTION_COUNT, values, error);
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_ask_facts(device, &facts, error);
    }
    if (status == BM_STATUS_OK) {
        status = plan(&session, &facts, values, error);
    }
    if (status == BM_STATUS_OK) {
        *bytes = session.memory_bytes;
    }
    free(session.arrays);
    free(session.stages);
    bm_kit_session_deinit(&session.core);
    return status;
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    const struct bm_vulkan_facts *facts = &session->device.facts;
    (void)error;
    (void)snprintf(text, capacity,
                   "device=%s\ndriver=%s\nprecision=%s\nfamily=%s\ntile=%d\nsubgroup=%u\nvalidate=%"
                   "d\nspin=%llu us\n"
                   "timeout=%llu s\nstart=%s\npipelines=%u in %.1f ms\ntuner=%s\n",
                   facts->name, facts->driver, BM_PRECISION_FLOAT32,
                   session->is_tiled ? "gpu" : "software", session->tile, facts->subgroup_size,
                   (int)session->validate, (unsigned long long)session->queue.spin_ns / 1000,
                   (unsigned long long)session->queue.limit_ns / 1000000000,
                   session->cache_bytes > 0 ? "warm" : "cold", session->pipeline_count,
                   1e-6 * (double)session->compile_ns, session->tunes ? "on" : "off");
    size_t used = strlen(text);
    bm_vulkan_describe_programs(session, text + used, capacity - (uint32_t)used);
    used = strlen(text);
    bm_vulkan_describe_tuner(session, text + used, capacity - (uint32_t)used);
    return BM_STATUS_OK;
}

/* ---- Entry ---- */

static const struct bm_plugin plugin = {
    .magic = BM_PLUGIN_MAGIC,
    .size = sizeof plugin,
    .abi_major = BM_ABI_MAJOR,
    .abi_minor = BM_ABI_MINOR,
    .name = "vulkan",
    .version = "0.1.0",
    .summary = "Vulkan compute on every device of the machine",
    .device_count = bm_vulkan_device_count,
    .device_info = bm_vulkan_device_info,
    .supports = supports,
    .create = create,
    .destroy = destroy,
    .bind_data = bm_vulkan_bind_data,
    .set_order = bm_vulkan_set_order,
    .write_params = bm_vulkan_write_params,
    .read_params = bm_vulkan_read_params,
    .read_gradient = bm_vulkan_read_gradient,
    .write_gradient = bm_vulkan_write_gradient,
    .read_state = bm_vulkan_read_state,
    .write_state = bm_vulkan_write_state,
    .gradient = bm_vulkan_gradient,
    .apply = bm_vulkan_apply,
    .update = bm_vulkan_update,
    .updates = bm_vulkan_updates,
    .evaluate = bm_vulkan_evaluate,
    .wait = bm_vulkan_wait,
    .device_time = bm_vulkan_device_time,
    .describe = describe,
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : NULL;
}
