/* The life of a session: from the problem to stages, memory and threads. */
#include "cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (UINT64_C(2) << 20)

#define MEASURED INT64_C(-1)

/* Everything up to the number of bytes, which is in session->memory_bytes. */
static int32_t
measure(const struct bm_problem *problem, struct bm_session *session, struct bm_error *error) {
    static const struct bm_kit_option known[] = {
        {.key = "skinny_max", .minimum = 0, .maximum = UINT32_MAX, .fallback = MEASURED}};
    int64_t value = MEASURED;
    int32_t status = bm_kit_session_init(&session->core, problem, known, 1, &value, error);
    session->is_measured = value == MEASURED;
    session->skinny_max = session->is_measured ? 0 : (uint64_t)value;
    if (status == BM_STATUS_OK) {
        status = bm_cpu_plan(session, error);
    }
    return status == BM_STATUS_OK ? bm_cpu_lay_out(session, NULL, error) : status;
}

static void release(struct bm_session *session) {
    bm_kit_pool_destroy(session->pool);
    free(session->memory);
    free(session->stages);
    bm_kit_session_deinit(&session->core);
}

int32_t bm_cpu_supports(const struct bm_problem *problem, uint64_t *bytes, struct bm_error *error) {
    struct bm_session session = {0};
    int32_t status = measure(problem, &session, error);
    if (status == BM_STATUS_OK) {
        *bytes = session.memory_bytes + session.core.network.layer_count *
                                            (sizeof *session.stages + sizeof(struct bm_kit_layer));
    }
    release(&session);
    return status;
}

/* Parameters, state and means start at 0, running variances at 1. */
static void start_variances(struct bm_session *session) {
    for (uint32_t i = 0; i < session->core.network.layer_count; i++) {
        const struct bm_kit_layer *facts = &session->core.network.layers[i];
        for (uint32_t c = 0; facts->kind == BM_LAYER_BATCHNORM && c < facts->output.channels; c++) {
            session->statistics[facts->variance_offset + c] = 1;
        }
    }
}

/* On huge pages where the system has them to give: a column of the images touches more pages of 4
 * KiB than the processor keeps translations of. */
static void *allocate(uint64_t bytes) {
    if (bytes < HUGE_PAGE) {
        return aligned_alloc(BM_KIT_ALIGNMENT, bytes);
    }
    void *memory = NULL;
    if (posix_memalign(&memory, HUGE_PAGE, bytes) != 0) {
        return NULL;
    }
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: without it only time is lost */
    return memory;
}

static int32_t
open_session(const struct bm_problem *problem, struct bm_session *session, struct bm_error *error) {
    int32_t status = measure(problem, session, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    session->memory = allocate(session->memory_bytes);
    if (session->memory == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for %llu bytes of arrays",
                           (unsigned long long)session->memory_bytes);
    }
    memset(session->memory, 0, session->memory_bytes); /* all padding is 0 from here on */
    status = bm_cpu_lay_out(session, session->memory, error);
    if (status == BM_STATUS_OK) {
        start_variances(session);
        status = bm_kit_pool_create(session->core.thread_count, &session->pool, error);
    }
    if (status == BM_STATUS_OK && session->is_measured) {
        bm_cpu_tune(session);
    }
    return status;
}

int32_t bm_cpu_create(const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    *session = NULL;
    struct bm_session *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a session");
    }
    int32_t status = open_session(problem, made, error);
    if (status != BM_STATUS_OK) {
        release(made);
        free(made);
        return status;
    }
    *session = made;
    return BM_STATUS_OK;
}

void bm_cpu_destroy(struct bm_session *session) {
    if (session != NULL) {
        release(session);
        free(session);
    }
}

int32_t
bm_cpu_describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    (void)error;
    (void)snprintf(text, capacity,
                   "isa=%s\n"
                   "threads=%u\n"
                   "precision=float32\n"
                   "tiles=%llux%llu\n"
                   "input_gradient=dot products up to %llu images, then transposed weights\n"
                   "update=%s\n"
                   "skinny_max=%llu images (%s)\n"
                   "images_at_once=%llu\n"
                   "batch_max=%llu\n"
                   "memory_bytes=%llu\n",
                   BM_CPU_ISA, session->core.thread_count, (unsigned long long)BM_CPU_ROWS,
                   (unsigned long long)BM_CPU_PANEL, (unsigned long long)BM_CPU_DOT_COUNT_MAX,
                   bm_kit_rule_is_local(session->core.optimizer) ? "fused" : "gradient, apply",
                   (unsigned long long)session->skinny_max,
                   session->is_measured ? "measured" : "as the option says",
                   (unsigned long long)session->image_max,
                   (unsigned long long)session->core.batch_max,
                   (unsigned long long)session->memory_bytes);
    return BM_STATUS_OK;
}
