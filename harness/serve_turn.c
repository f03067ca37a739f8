#include "serve_turn.h"

#include "error.h"
#include "measure.h"

#include <stdlib.h>
#include <string.h>

static int32_t get_count(const json_t *command,
                         const char *key,
                         uint32_t least,
                         uint32_t *value,
                         struct bm_error *error) {
    const json_t *member = json_object_get(command, key);
    json_int_t found = json_integer_value(member);
    if (!json_is_integer(member) || found < (json_int_t)least || found > BM_TURN_UPDATES_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected %u to %u \"%s\", found %lld",
                       least, BM_TURN_UPDATES_MAX, key, (long long)found);
    }
    *value = (uint32_t)found;
    return BM_STATUS_OK;
}

static int32_t
do_open(struct bm_served_turns *turns, struct bm_bench *bench, struct bm_error *error) {
    if (turns->times_ns == NULL) {
        turns->times_ns = malloc(BM_TURN_UPDATES_MAX * sizeof *turns->times_ns);
    }
    if (turns->times_ns == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "worker: no memory for turns");
    }
    int32_t status = bm_bench_reset(bench, error);
    turns->is_open = status == BM_STATUS_OK;
    turns->updates = 0;
    return status;
}

static int32_t do_turn(struct bm_served_turns *turns,
                       struct bm_bench *bench,
                       const json_t *command,
                       json_t *reply,
                       struct bm_error *error) {
    struct bm_turn_shape shape;
    double value_ns = 0;
    int32_t status = get_count(command, "unrecorded", 0, &shape.unrecorded, error);
    status = status ? status : get_count(command, "updates", 1, &shape.updates, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_turn_run(bench, &shape, turns->times_ns, &value_ns, error);
    turns->updates += shape.unrecorded + shape.updates;
    (void)json_object_set_new(reply, "ns", json_real(value_ns));
    return status;
}

/* The block of updates that a replay knows begins with unrecorded ones of its own. */
static int32_t replay(const struct bm_served_turns *turns,
                      struct bm_bench *bench,
                      const float *after,
                      json_t *reply,
                      struct bm_error *error) {
    struct bm_block_shape shape = {
        .series = BM_SERIES_UPDATE, .values = turns->updates - BM_MEASURE_WARM_UP, .per_value = 1};
    uint32_t equal = 1;
    char reason[256] = "";
    int32_t status = bm_measure_replay(bench, &shape, after, &equal, reason, sizeof reason, error);
    if (status == BM_STATUS_OK && !equal) {
        (void)json_object_set_new(reply, "status", json_string("wrong"));
        (void)json_object_set_new(reply, "reason", json_sprintf("update: %s", reason));
    }
    return status;
}

static int32_t do_replay(struct bm_served_turns *turns,
                         struct bm_bench *bench,
                         json_t *reply,
                         struct bm_error *error) {
    if (turns->updates < BM_MEASURE_WARM_UP) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "worker: expected turns of at least %u updates before turn_replay, found "
                       "%llu",
                       BM_MEASURE_WARM_UP, (unsigned long long)turns->updates);
    }
    float *after = malloc(bench->param_count * sizeof *after);
    if (after == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "worker: no memory for a replay");
    }
    int32_t status = bm_bench_read_params(bench, after, error);
    status = status ? status : replay(turns, bench, after, reply, error);
    free(after);
    /* It has gone on from the start: what was made is no longer what stands there. */
    turns->is_open = 0;
    return status;
}

int32_t bm_serve_turn(struct bm_served_turns *turns,
                      struct bm_bench *bench,
                      const char *what,
                      const json_t *command,
                      json_t *reply,
                      struct bm_error *error) {
    if (strcmp(what, "turn_open") == 0) {
        return do_open(turns, bench, error);
    }
    if (!turns->is_open) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: %s before turn_open", what);
    }
    if (strcmp(what, "turn") == 0) {
        return do_turn(turns, bench, command, reply, error);
    }
    if (strcmp(what, "turn_replay") == 0) {
        return do_replay(turns, bench, reply, error);
    }
    return bm_fail(error, BM_STATUS_INVALID, "worker: unknown command %.64s", what);
}

void bm_served_turns_close(struct bm_served_turns *turns) {
    turns->is_open = 0;
    turns->updates = 0;
}

void bm_served_turns_free(struct bm_served_turns *turns) {
    free(turns->times_ns);
    memset(turns, 0, sizeof *turns);
}
