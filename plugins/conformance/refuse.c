/* What a call must answer: OK, or that it was asked for too much. */
#include "case.h"

#include <stdio.h>
#include <string.h>

static const char *status_name(int32_t status) {
    static const char *const names[] = {"OK",          "UNSUPPORTED", "INVALID", "NO_MEMORY",
                                        "DEVICE_LOST", "TIMEOUT",     "INTERNAL"};
    return status <= 0 && status >= BM_STATUS_INTERNAL ? names[-status] : "no status of plugin.h";
}

/* The name of the function in "test->plugin->update(...)" and in "bm_conform_update(...)". */
static void name_call(const char *source, char *name, size_t capacity) {
    static const char own[] = "bm_conform_";
    size_t end = strcspn(source, "(");
    size_t start = end;
    while (start > 0 && strchr("> .", source[start - 1]) == NULL) {
        start--;
    }
    if (strncmp(source + start, own, sizeof own - 1) == 0) {
        start += sizeof own - 1;
    }
    (void)snprintf(name, capacity, "%.*s", (int)(end - start), source + start);
}

void bm_conform_fail_call(const struct bm_conform_session *test, const char *source) {
    const struct bm_problem *problem = &test->problem;
    char name[64];
    char layers[256];
    name_call(source, name, sizeof name);
    bm_model_format(&test->model, layers, sizeof layers);
    bm_conform_fail(test->conform,
                    "%s of \"%s\" on %ux%ux%u, %s, batch_max %llu, threads %u: expected OK, found "
                    "%s (%d): %s",
                    name, layers, problem->input_channels, problem->input_height,
                    problem->input_width, bm_optimizer_names[problem->optimizer],
                    (unsigned long long)problem->batch_max, problem->thread_count,
                    status_name(test->error.code), test->error.code, test->error.text);
}

void bm_conform_invalid(struct bm_conform *conform,
                        int32_t status,
                        const char *call,
                        const char *given) {
    EXPECT(conform, status == BM_STATUS_INVALID, "%s with %s: expected INVALID, found %s (%d)",
           call, given, status_name(status), status);
}

void bm_conform_unsupported(struct bm_conform *conform,
                            int32_t status,
                            const char *call,
                            const char *given) {
    EXPECT(conform, status == BM_STATUS_UNSUPPORTED,
           "%s with %s: expected UNSUPPORTED, found %s (%d)", call, given, status_name(status),
           status);
}

void bm_conform_refused(struct bm_conform *conform,
                        int32_t status,
                        const char *call,
                        const char *given) {
    EXPECT(conform, status == BM_STATUS_INVALID || status == BM_STATUS_UNSUPPORTED,
           "%s with %s: expected INVALID or UNSUPPORTED, found %s (%d)", call, given,
           status_name(status), status);
}
