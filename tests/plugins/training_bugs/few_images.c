/* After the first epoch only an eighth of the images is used, again and again, as where the later
 * orders are read by a counter that is too narrow. */
#include "entry.h"

#include <batchmark/kit.h>
#include <stdlib.h>
#include <string.h>

#define PART 8u

static struct bm_plugin base;
static uint32_t *first_order; /* [first_count]: of epoch 0, of the session created last */
static uint64_t first_count;

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    free(first_order);
    first_order = NULL;
    first_count = 0;
    return base.create(device, problem, session, error);
}

static int32_t note_first(const uint32_t *order, uint64_t count, struct bm_error *error) {
    first_order = malloc(count * sizeof *first_order);
    if (first_order == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "order: no memory");
    }
    memcpy(first_order, order, count * sizeof *first_order);
    first_count = count;
    return BM_STATUS_OK;
}

/* An order of as many images as the first, in another sequence, is a later epoch's. */
static int is_later(const uint32_t *order, uint64_t count) {
    return count == first_count && memcmp(order, first_order, count * sizeof *order) != 0;
}

static int32_t set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    int32_t status = first_order == NULL ? note_first(order, count, error) : BM_STATUS_OK;
    if (status != BM_STATUS_OK || !is_later(order, count) || count < PART) {
        return status ? status : base.set_order(session, order, count, error);
    }
    uint32_t *own = malloc(count * sizeof *own);
    if (own == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "order: no memory");
    }
    for (uint64_t i = 0; i < count; i++) {
        own[i] = order[i % (count / PART)];
    }
    status = base.set_order(session, own, count, error);
    free(own);
    return status;
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->create = create;
    table->set_order = set_order;
}
