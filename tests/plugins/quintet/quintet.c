/* Three GPUs with a processor and a software device between them; all of them are the processor.
 * `describe` counts the sessions that were created on each in this process. With QUINTET_MUTE in
 * the environment gradients cannot be written. */
#include "entry.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES 5u

static const struct bm_plugin *base;
static const uint32_t kinds[DEVICES] = {BM_DEVICE_KIND_GPU, BM_DEVICE_KIND_CPU, BM_DEVICE_KIND_GPU,
                                        BM_DEVICE_KIND_SOFTWARE, BM_DEVICE_KIND_GPU};
static atomic_uint created[DEVICES];

static int32_t device_count(uint32_t *count, struct bm_error *error) {
    (void)error;
    *count = DEVICES;
    return BM_STATUS_OK;
}

static int32_t device_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    int32_t status = base->device_info(0, info, error);
    if (status == BM_STATUS_OK && device < DEVICES) {
        info->kind = kinds[device];
    }
    return status;
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    (void)device;
    return base->supports(0, problem, bytes, error);
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    if (device < DEVICES) {
        atomic_fetch_add(&created[device], 1);
    }
    return base->create(0, problem, session, error);
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    int32_t status = base->describe(session, text, capacity, error);
    size_t used = strlen(text);
    (void)snprintf(text + used, capacity - used, "created=%u,%u,%u,%u,%u\n",
                   atomic_load(&created[0]), atomic_load(&created[1]), atomic_load(&created[2]),
                   atomic_load(&created[3]), atomic_load(&created[4]));
    return status;
}

static void spoil(struct bm_plugin *table) {
    base = bm_bad_base_entry(BM_ABI_MAJOR, BM_ABI_MINOR, NULL);
    table->device_count = device_count;
    table->device_info = device_info;
    table->supports = supports;
    table->create = create;
    table->describe = describe;
    if (getenv("QUINTET_MUTE") != NULL) {
        table->write_gradient = NULL;
    }
}
