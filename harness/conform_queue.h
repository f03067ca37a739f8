/* Cases of the conformance suite, several at once, each in its worker; what came of them is handed
 * over in the order of the list. */
#ifndef BM_CONFORM_QUEUE_H
#define BM_CONFORM_QUEUE_H

#include "conform_worker.h"

/* Called on the caller's thread for each case in turn: first with object NULL, when it is the next
 * to be handed over, then with what bm_conform_ask gave, which is the callee's. After a signal the
 * cases that were not run are left out. */
typedef void bm_conform_show(void *context, const struct bm_conform_case *which, json_t *object);

/* A case to be run; the rest is the queue's. */
struct bm_conform_slot {
    const struct bm_conform_case *which;
    json_t *object;
    uint32_t is_done;
};

/* Runs the cases, at most `jobs` at once, and returns when all are done. Where threads cannot be
 * made, fewer run at once. */
void bm_conform_ask_all(const struct bm_conform_subject *subject,
                        struct bm_conform_slot *slots,
                        uint32_t count,
                        uint32_t jobs,
                        bm_conform_show *show,
                        void *context);

#endif
