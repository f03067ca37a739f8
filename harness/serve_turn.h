/* The worker's answers to the questions of a comparison. */
#ifndef BM_SERVE_TURN_H
#define BM_SERVE_TURN_H

#include "turn.h"

#include <jansson.h>

/* What the turns of the open session have made so far. */
struct bm_served_turns {
    uint32_t is_open;
    uint64_t updates; /* since turn_open, unrecorded ones included */
    double *times_ns; /* [BM_TURN_UPDATES_MAX] or NULL; kept when the session is closed */
};

/*
 * Commands, `do` and what each adds to the reply:
 *
 *   turn_open    the session goes back to the seed's start
 *   turn         unrecorded, updates -> ns (see bm_turn_value)
 *   turn_replay  status wrong if the same updates, untimed, lead to other parameters
 */
int32_t bm_serve_turn(struct bm_served_turns *turns,
                      struct bm_bench *bench,
                      const char *what,
                      const json_t *command,
                      json_t *reply,
                      struct bm_error *error);

/* The session is closed: the next one has made no turns. */
void bm_served_turns_close(struct bm_served_turns *turns);

void bm_served_turns_free(struct bm_served_turns *turns);

#endif
