/* A device that calls itself a GPU and is slow at first, as one that must raise its clock: until
 * WAKING_NS after the first session of a process was created each call takes SLOW_NS more, later
 * FAST_NS. Both it and what waits for it go by the same clock, so a machine that stalls cannot tell
 * them apart. What is computed is right. */
#include "entry.h"

#include <time.h>

#define WAKING_NS 150000000u
#define SLOW_NS 5000000
#define FAST_NS 1000000

static const struct bm_plugin *base;
static uint64_t created_ns;

static uint64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void rest(void) {
    int is_awake = now_ns() >= created_ns + WAKING_NS;
    struct timespec pause = {.tv_nsec = is_awake ? FAST_NS : SLOW_NS};
    (void)nanosleep(&pause, NULL);
}

static int32_t device_info(uint32_t index, struct bm_device_info *info, struct bm_error *error) {
    int32_t status = base->device_info(index, info, error);
    info->kind = BM_DEVICE_KIND_GPU;
    return status;
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    created_ns = created_ns == 0 ? now_ns() : created_ns;
    return base->create(device, problem, session, error);
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    rest();
    return base->gradient(session, slice, error);
}

static void spoil(struct bm_plugin *table) {
    base = bm_bad_base_entry(BM_ABI_MAJOR, BM_ABI_MINOR, NULL);
    table->device_info = device_info;
    table->create = create;
    table->gradient = gradient;
    table->update = NULL;
    table->updates = NULL;
}
