/* From the first session on a thread spins, waits or not; what is computed is right. */
#include "entry.h"

#include <pthread.h>

static const struct bm_plugin *base;
static volatile uint64_t turns;

static void *spin(void *argument) {
    for (;;) {
        turns++;
    }
    return argument;
}

static void start(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, spin, NULL) == 0) {
        (void)pthread_detach(thread);
    }
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start);
    return base->create(device, problem, session, error);
}

static void spoil(struct bm_plugin *table) {
    base = bm_bad_base_entry(BM_ABI_MAJOR, BM_ABI_MINOR, NULL);
    table->create = create;
}
