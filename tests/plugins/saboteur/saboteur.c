/*
 * A signal at a chosen moment of a training, once: $SABOTAGE is "WHERE NUMBER WHOM SIGNAL", as in
 * "update 37 parent 2" or "evaluate 5 worker 9". WHERE NUMBER: the update of that number, the
 * evaluation of that number in the life of a session, or "threads N", the creation of a session of
 * N threads. It happens where the file $SABOTAGE_TOKEN can be removed, so a test that puts it there
 * has it once. Without the variables it is the scalar backend.
 */
#include "entry.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct bm_plugin base;
static uint64_t evaluations; /* of the session created last */

static void sabotage(const char *where, uint64_t number) {
    const char *plan = getenv("SABOTAGE");
    const char *token = getenv("SABOTAGE_TOKEN");
    char found_where[16] = "";
    char whom[16] = "";
    unsigned long long found_number = 0;
    int signal_number = 0;
    if (plan == NULL || token == NULL ||
        sscanf(plan, "%15s %llu %15s %d", found_where, &found_number, whom, &signal_number) != 4 ||
        strcmp(found_where, where) != 0 || found_number != number || unlink(token) != 0) {
        return;
    }
    (void)kill(strcmp(whom, "parent") == 0 ? getppid() : getpid(), signal_number);
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    evaluations = 0;
    sabotage("threads", problem->thread_count);
    return base.create(device, problem, session, error);
}

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    sabotage("update", hyper->update);
    return base.update(session, slice, hyper, error);
}

static int32_t evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error) {
    sabotage("evaluate", ++evaluations);
    return base.evaluate(session, split, first, count, flags, loss, correct, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->create = create;
    table->update = update;
    table->evaluate = evaluate;
}
