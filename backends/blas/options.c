/* The options: `library` is a choice, `path` any text, which the kit's table does not have. */
#include "blas.h"

#include <stdlib.h>
#include <string.h>

#define LIBRARY 0
#define KNOWN_COUNT 2

const char *const bm_blas_kinds[BM_BLAS_KIND_COUNT + 1] = {
    [BM_BLAS_OPENBLAS] = "openblas", [BM_BLAS_BLIS] = "blis", NULL};

/* Takes a `path` out of copied options; returns how many are left. */
static uint32_t take_path(struct bm_option *options, uint32_t count, const char **path) {
    for (uint32_t i = 0; i < count; i++) {
        if (options[i].key != NULL && options[i].value != NULL &&
            strcmp(options[i].key, "path") == 0) {
            *path = options[i].value;
            memmove(options + i, options + i + 1, (count - i - 1) * sizeof *options);
            return count - 1;
        }
    }
    return count;
}

/* The kit's view of the problem: all options but the path. */
static int32_t read_options(struct bm_kit_session *core,
                            const struct bm_problem *problem,
                            struct bm_option *options,
                            struct bm_blas_choice *choice,
                            struct bm_error *error) {
    /* `path` is here so that the refusal of an unknown key names it; the kit never sees its value.
     */
    static const struct bm_kit_option known[KNOWN_COUNT] = {
        [LIBRARY] = {.key = "library", .choices = bm_blas_kinds, .fallback = -1}, {.key = "path"}};
    int64_t values[KNOWN_COUNT];
    struct bm_problem own = *problem;
    own.size = sizeof own;
    if (options != NULL) {
        for (uint32_t i = 0; i < problem->option_count; i++) {
            memcpy(&options[i],
                   (const unsigned char *)problem->options + (size_t)i * problem->option_stride,
                   sizeof options[i]);
        }
        own.options = options;
        own.option_stride = sizeof *options;
        own.option_count = take_path(options, problem->option_count, &choice->path);
        if (take_path(options, own.option_count, &choice->path) != own.option_count) {
            return bm_kit_fail(error, BM_STATUS_INVALID, "option path: expected once, found twice");
        }
    }
    int32_t status = bm_kit_session_init(core, &own, known, KNOWN_COUNT, values, error);
    choice->kind = status == BM_STATUS_OK ? values[LIBRARY] : -1;
    return status;
}

int32_t bm_blas_options(struct bm_kit_session *core,
                        const struct bm_problem *problem,
                        struct bm_blas_choice *choice,
                        struct bm_error *error) {
    struct bm_option *options = NULL;
    *choice = (struct bm_blas_choice){.kind = -1};
    int32_t status = bm_kit_struct(problem, sizeof *problem, "problem", error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    /* What is malformed is left for the kit to refuse. */
    if (problem->option_count > 0 && problem->options != NULL &&
        problem->option_stride >= sizeof *options) {
        options = calloc(problem->option_count, sizeof *options);
        if (options == NULL) {
            return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %u options",
                               problem->option_count);
        }
    }
    status = read_options(core, problem, options, choice, error);
    free(options);
    return status;
}
