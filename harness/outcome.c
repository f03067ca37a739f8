#include "outcome.h"

#include "command.h"
#include "interrupt.h"

#include <string.h>

void bm_outcome_count(struct bm_outcome *outcome, const json_t *cell) {
    const char *status = json_string_value(json_object_get(cell, "status"));
    outcome->measured += strcmp(status, "ok") == 0;
    outcome->wrong += strcmp(status, "wrong") == 0;
    outcome->crashed += strcmp(status, "crashed") == 0 || strcmp(status, "timeout") == 0;
    if (strcmp(status, "error") == 0) {
        uint32_t refused = json_is_true(json_object_get(cell, "refused"));
        outcome->refused += refused;
        outcome->lost += !refused;
    }
}

void bm_outcome_count_training(struct bm_outcome *outcome, const json_t *training) {
    static const char *const ends[] = {"cut", "nan", "diverged", "stalled"};
    const char *status = json_string_value(json_object_get(training, "status"));
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        outcome->measured += strcmp(status, ends[i]) == 0;
    }
    bm_outcome_count(outcome, training);
}

void bm_outcome_count_failure(struct bm_outcome *outcome, const json_t *object) {
    const char *status = json_string_value(json_object_get(object, "status"));
    if (status != NULL && strcmp(status, "ok") != 0) {
        bm_outcome_count(outcome, object);
    }
}

int bm_outcome_exit_code(const struct bm_outcome *outcome) {
    int signal = bm_interrupt_signal();
    if (signal != 0) {
        return 128 + signal;
    }
    if (outcome->write_failed) {
        return BM_EXIT_WRITE;
    }
    if (outcome->refused > 0) {
        return BM_EXIT_REFUSED;
    }
    if (outcome->crashed > 0) {
        return BM_EXIT_CRASHED;
    }
    if (outcome->wrong > 0) {
        return BM_EXIT_WRONG;
    }
    if (outcome->measured == 0 || outcome->lost > 0) {
        return BM_EXIT_NOTHING;
    }
    return outcome->inconclusive > 0 ? BM_EXIT_INCONCLUSIVE : BM_EXIT_OK;
}
