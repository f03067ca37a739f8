/* A device that calls itself a GPU and is slow at first, as one that must raise its clock: the
 * first SLOW_CALLS of a process take SLOW_NS more, later ones FAST_NS. What is computed is right.
 */
#include "entry.h"

#include <time.h>

#define SLOW_CALLS 35u
#define SLOW_NS 5000000
#define FAST_NS 1000000

static const struct bm_plugin *base;
static uint32_t calls;

static void rest(void) {
    struct timespec pause = {.tv_nsec = calls < SLOW_CALLS ? SLOW_NS : FAST_NS};
    calls++;
    (void)nanosleep(&pause, NULL);
}

static int32_t device_info(uint32_t index, struct bm_device_info *info, struct bm_error *error) {
    int32_t status = base->device_info(index, info, error);
    info->kind = BM_DEVICE_KIND_GPU;
    return status;
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    rest();
    return base->gradient(session, slice, error);
}

static void spoil(struct bm_plugin *table) {
    base = bm_bad_base_entry(BM_ABI_MAJOR, BM_ABI_MINOR, NULL);
    table->device_info = device_info;
    table->gradient = gradient;
    table->update = NULL;
    table->updates = NULL;
}
