#include "parallel.h"

#include "error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bm_parallel;
struct part;

/* What all sessions do at once: `run` for each, with the arguments that it needs. */
struct task {
    int32_t (*run)(struct part *part, const struct task *task, struct bm_error *error);
    const struct bm_problem *problem;
    const struct bm_slice *slice;
    const struct bm_hyper *hyper;
    const struct bm_data *data;
    const uint32_t *order;
    const float *values; /* written to the sessions */
    float *found;        /* read from them */
    uint64_t count;
    uint32_t split;
    uint32_t slot;
    uint32_t wants_loss;
};

/* One of the sessions. */
struct part {
    struct bm_parallel *parallel;
    uint32_t index;
    struct bm_session *session;
    float *gradient;      /* [param_count], for the sum */
    uint32_t contributes; /* what it keeps is a part of the gradient */
    uint32_t has_loss;    /* what its wait tells is a part of the loss */
    double loss;
    int32_t status; /* of the task */
    struct bm_error error;
    pthread_t thread; /* of all but part 0 */
};

struct bm_parallel {
    struct bm_parallel_spec spec;
    uint32_t threads_each;
    uint32_t has_gradient;
    uint32_t is_summed;  /* every session keeps the whole gradient; part 0 alone counts */
    double carried_loss; /* of gradients that sessions other than 0 no longer keep */
    float *statistics;   /* [statistics_count] */
    int32_t status;      /* of the first call that failed, with its error */
    struct bm_error error;
    uint32_t thread_count; /* started */
    pthread_mutex_t mutex; /* for all below */
    pthread_cond_t begin;
    pthread_cond_t end;
    const struct task *task; /* NULL: the threads end */
    uint64_t turn;           /* number of tasks begun */
    uint32_t running;        /* threads that have not finished this one */
    struct part part[];      /* [spec.count] */
};

/* Opaque to the callers of the table, like the sessions of a plugin. */
static struct bm_parallel *of(struct bm_session *session) {
    return (struct bm_parallel *)session;
}

uint64_t bm_parallel_share(uint64_t images, uint32_t count) {
    return (images + count - 1) / count;
}

uint32_t bm_parallel_threads(uint32_t budget, uint32_t count) {
    return budget < count ? 1 : budget / count;
}

/* ---- All sessions at once ---- */

static void run_part(struct part *part, const struct task *task) {
    part->status = task->run(part, task, &part->error);
}

static void *serve_part(void *argument) {
    struct part *part = argument;
    struct bm_parallel *parallel = part->parallel;
    uint64_t turn = 0;
    (void)pthread_mutex_lock(&parallel->mutex);
    for (;;) {
        while (parallel->turn == turn) {
            (void)pthread_cond_wait(&parallel->begin, &parallel->mutex);
        }
        turn = parallel->turn;
        const struct task *task = parallel->task;
        if (task == NULL) {
            break;
        }
        (void)pthread_mutex_unlock(&parallel->mutex);
        run_part(part, task);
        (void)pthread_mutex_lock(&parallel->mutex);
        if (--parallel->running == 0) {
            (void)pthread_cond_signal(&parallel->end);
        }
    }
    (void)pthread_mutex_unlock(&parallel->mutex);
    return NULL;
}

static void begin(struct bm_parallel *parallel, const struct task *task) {
    (void)pthread_mutex_lock(&parallel->mutex);
    parallel->task = task;
    parallel->running = parallel->thread_count;
    parallel->turn++;
    (void)pthread_cond_broadcast(&parallel->begin);
    (void)pthread_mutex_unlock(&parallel->mutex);
}

static void await_end(struct bm_parallel *parallel) {
    (void)pthread_mutex_lock(&parallel->mutex);
    while (parallel->running > 0) {
        (void)pthread_cond_wait(&parallel->end, &parallel->mutex);
    }
    (void)pthread_mutex_unlock(&parallel->mutex);
}

/* The error of the first session that has one, by number. */
static void gather(struct bm_parallel *parallel) {
    for (uint32_t i = 0; i < parallel->spec.count && parallel->status == BM_STATUS_OK; i++) {
        struct part *part = &parallel->part[i];
        if (part->status != BM_STATUS_OK) {
            part->error.text[sizeof part->error.text - 1] = '\0';
            parallel->status =
                bm_fail(&parallel->error, part->status, "session %u: %.480s", i, part->error.text);
            parallel->error.native_code = part->error.native_code;
        }
    }
}

/* The error of an earlier call. */
static int32_t check_earlier(const struct bm_parallel *parallel, struct bm_error *error) {
    if (parallel->status != BM_STATUS_OK) {
        *error = parallel->error;
    }
    return parallel->status;
}

/* Whatever one session answers, all have done the task, or failed at it, when this returns. */
static int32_t
run_all(struct bm_parallel *parallel, const struct task *task, struct bm_error *error) {
    if (parallel->status == BM_STATUS_OK) {
        begin(parallel, task);
        run_part(&parallel->part[0], task);
        await_end(parallel);
        gather(parallel);
    }
    return check_earlier(parallel, error);
}

/* ---- Life ---- */

static uint32_t device_of(const struct part *part) {
    return part->parallel->spec.devices[part->index];
}

static const struct bm_plugin *plugin_of(const struct part *part) {
    return part->parallel->spec.plugin;
}

/* The problem of one session. */
static struct bm_problem divide(const struct bm_problem *problem, uint32_t count) {
    struct bm_problem own = *problem;
    own.batch_max = bm_parallel_share(problem->batch_max, count);
    own.thread_count = bm_parallel_threads(problem->thread_count, count);
    return own;
}

int32_t bm_parallel_supports(const struct bm_parallel_spec *spec,
                             const struct bm_problem *problem,
                             uint64_t *bytes,
                             struct bm_error *error) {
    struct bm_problem own = divide(problem, spec->count);
    BM_ASSERT(spec->count >= 2 && spec->count <= BM_PARALLEL_MAX);
    *bytes = 0;
    if (spec->plugin->write_gradient == NULL) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "--data-parallel: expected a plugin with write_gradient, found none in %s",
                       spec->plugin->name);
    }
    for (uint32_t i = 0; i < spec->count; i++) {
        uint64_t each = 0;
        int32_t status = spec->plugin->supports(spec->devices[i], &own, &each, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        *bytes += each;
    }
    return BM_STATUS_OK;
}

static int32_t create_part(struct part *part, const struct task *task, struct bm_error *error) {
    uint64_t count = part->parallel->spec.param_count;
    part->gradient = calloc(count, sizeof *part->gradient);
    return part->gradient == NULL
               ? bm_fail(error, BM_STATUS_NO_MEMORY, "no memory for a gradient of %llu numbers",
                         (unsigned long long)count)
               : plugin_of(part)->create(device_of(part), task->problem, &part->session, error);
}

static int32_t destroy_part(struct part *part, const struct task *task, struct bm_error *error) {
    (void)task;
    (void)error;
    plugin_of(part)->destroy(part->session);
    free(part->gradient);
    return BM_STATUS_OK;
}

static void destroy(struct bm_session *session) {
    struct bm_parallel *parallel = of(session);
    struct task task = {.run = destroy_part};
    if (parallel == NULL) {
        return;
    }
    begin(parallel, &task);
    run_part(&parallel->part[0], &task);
    await_end(parallel);
    begin(parallel, NULL);
    for (uint32_t i = 1; i <= parallel->thread_count; i++) {
        (void)pthread_join(parallel->part[i].thread, NULL);
    }
    (void)pthread_cond_destroy(&parallel->end);
    (void)pthread_cond_destroy(&parallel->begin);
    (void)pthread_mutex_destroy(&parallel->mutex);
    free(parallel->statistics);
    free(parallel);
}

static int32_t start_threads(struct bm_parallel *parallel, struct bm_error *error) {
    for (uint32_t i = 1; i < parallel->spec.count; i++) {
        struct part *part = &parallel->part[i];
        if (pthread_create(&part->thread, NULL, serve_part, part) != 0) {
            return bm_fail(error, BM_STATUS_NO_MEMORY, "session %u: no thread to call it", i);
        }
        parallel->thread_count++;
    }
    return BM_STATUS_OK;
}

static struct bm_parallel *allocate(const struct bm_parallel_spec *spec) {
    struct bm_parallel *parallel =
        calloc(1, sizeof *parallel + spec->count * sizeof parallel->part[0]);
    if (parallel == NULL) {
        return NULL;
    }
    parallel->spec = *spec;
    parallel->statistics = calloc(spec->statistics_count + 1, sizeof *parallel->statistics);
    if (parallel->statistics == NULL) {
        free(parallel);
        return NULL;
    }
    for (uint32_t i = 0; i < spec->count; i++) {
        parallel->part[i].parallel = parallel;
        parallel->part[i].index = i;
    }
    (void)pthread_mutex_init(&parallel->mutex, NULL);
    (void)pthread_cond_init(&parallel->begin, NULL);
    (void)pthread_cond_init(&parallel->end, NULL);
    return parallel;
}

int32_t bm_parallel_create(const struct bm_parallel_spec *spec,
                           const struct bm_problem *problem,
                           struct bm_session **session,
                           struct bm_error *error) {
    struct bm_problem own = divide(problem, spec->count);
    struct task task = {.run = create_part, .problem = &own};
    BM_ASSERT(spec->count >= 2 && spec->count <= BM_PARALLEL_MAX);
    struct bm_parallel *parallel = allocate(spec);
    *session = NULL;
    if (parallel == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "no memory for %u sessions", spec->count);
    }
    parallel->threads_each = own.thread_count;
    int32_t status = start_threads(parallel, error);
    if (status == BM_STATUS_OK) {
        status = run_all(parallel, &task, error);
    }
    if (status != BM_STATUS_OK) {
        destroy((struct bm_session *)parallel);
        return status;
    }
    *session = (struct bm_session *)parallel;
    return BM_STATUS_OK;
}

/* ---- Writing: the same to all ---- */

static int32_t bind_part(struct part *part, const struct task *task, struct bm_error *error) {
    return plugin_of(part)->bind_data(part->session, task->split, task->data, error);
}

static int32_t bind_data(struct bm_session *session,
                         uint32_t split,
                         const struct bm_data *data,
                         struct bm_error *error) {
    struct task task = {.run = bind_part, .split = split, .data = data};
    return run_all(of(session), &task, error);
}

static int32_t order_part(struct part *part, const struct task *task, struct bm_error *error) {
    return plugin_of(part)->set_order(part->session, task->order, task->count, error);
}

static int32_t set_order(struct bm_session *session,
                         const uint32_t *order,
                         uint64_t count,
                         struct bm_error *error) {
    struct task task = {.run = order_part, .order = order, .count = count};
    return run_all(of(session), &task, error);
}

static int32_t params_part(struct part *part, const struct task *task, struct bm_error *error) {
    return plugin_of(part)->write_params(part->session, task->values, task->count, error);
}

static int32_t write_params(struct bm_session *session,
                            const float *values,
                            uint64_t count,
                            struct bm_error *error) {
    struct task task = {.run = params_part, .values = values, .count = count};
    return run_all(of(session), &task, error);
}

static int32_t gradient_part(struct part *part, const struct task *task, struct bm_error *error) {
    return plugin_of(part)->write_gradient(part->session, task->values, task->count, error);
}

/* Every session keeps the whole gradient: it counts once. */
static void note_whole(struct bm_parallel *parallel) {
    for (uint32_t i = 0; i < parallel->spec.count; i++) {
        parallel->part[i].contributes = i == 0;
    }
    parallel->has_gradient = 1;
    parallel->is_summed = 1;
}

static int32_t write_gradient(struct bm_session *session,
                              const float *values,
                              uint64_t count,
                              struct bm_error *error) {
    struct task task = {.run = gradient_part, .values = values, .count = count};
    int32_t status = run_all(of(session), &task, error);
    if (status == BM_STATUS_OK) {
        note_whole(of(session));
    }
    return status;
}

static int32_t state_part(struct part *part, const struct task *task, struct bm_error *error) {
    return plugin_of(part)->write_state(part->session, task->slot, task->values, task->count,
                                        error);
}

static int32_t write_state(struct bm_session *session,
                           uint32_t slot,
                           const float *values,
                           uint64_t count,
                           struct bm_error *error) {
    struct task task = {.run = state_part, .slot = slot, .values = values, .count = count};
    return run_all(of(session), &task, error);
}

/* ---- Gradient ---- */

/* The part of a slice that one session takes; *count 0: none. */
static void
share_of(const struct part *part, const struct bm_slice *slice, uint64_t *first, uint64_t *count) {
    uint64_t share = bm_parallel_share(slice->count, part->parallel->spec.count);
    uint64_t before = part->index * share;
    uint64_t left = before < slice->count ? slice->count - before : 0;
    *first = slice->first + before;
    *count = left < share ? left : share;
}

static int32_t slice_part(struct part *part, const struct task *task, struct bm_error *error) {
    struct bm_slice own = *task->slice;
    share_of(part, task->slice, &own.first, &own.count);
    if (own.count == 0) {
        return BM_STATUS_OK;
    }
    if (!part->contributes) {
        own.flags &= ~BM_SLICE_ACCUMULATE;
    }
    part->contributes = 1;
    part->has_loss = 1;
    return plugin_of(part)->gradient(part->session, &own, error);
}

static int32_t wait_part(struct part *part, const struct task *task, struct bm_error *error) {
    double *loss = task->wants_loss && part->has_loss ? &part->loss : NULL;
    return plugin_of(part)->wait(part->session, loss, error);
}

/* The sessions other than 0 begin anew, as their gradients are in the sum that session 0 adds to:
 * so are their losses. */
static int32_t carry_losses(struct bm_parallel *parallel, struct bm_error *error) {
    struct task task = {.run = wait_part, .wants_loss = 1};
    int32_t status = run_all(parallel, &task, error);
    for (uint32_t i = 1; i < parallel->spec.count && status == BM_STATUS_OK; i++) {
        struct part *part = &parallel->part[i];
        parallel->carried_loss += part->has_loss ? part->loss : 0;
        part->has_loss = 0;
    }
    return status;
}

static void forget_gradient(struct bm_parallel *parallel) {
    for (uint32_t i = 0; i < parallel->spec.count; i++) {
        parallel->part[i].contributes = 0;
        parallel->part[i].has_loss = 0;
    }
    parallel->carried_loss = 0;
}

/* Session 0's go to the others. */
static int32_t share_statistics(struct bm_parallel *parallel, struct bm_error *error) {
    const struct bm_plugin *plugin = parallel->spec.plugin;
    uint64_t count = parallel->spec.statistics_count;
    struct task task = {.run = state_part,
                        .slot = BM_STATE_STATISTICS,
                        .values = parallel->statistics,
                        .count = count};
    if (count == 0) {
        return BM_STATUS_OK;
    }
    if (plugin->read_state == NULL || plugin->write_state == NULL) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "USE_RUNNING of several sessions: expected a plugin with read_state and "
                       "write_state, found none in %s",
                       plugin->name);
    }
    int32_t status = plugin->read_state(parallel->part[0].session, BM_STATE_STATISTICS,
                                        parallel->statistics, count, error);
    return status == BM_STATUS_OK ? run_all(parallel, &task, error) : status;
}

static int32_t prepare_gradient(struct bm_parallel *parallel,
                                const struct bm_slice *slice,
                                struct bm_error *error) {
    if ((slice->flags & BM_SLICE_ACCUMULATE) == 0) {
        forget_gradient(parallel);
    } else if (!parallel->has_gradient) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "ACCUMULATE: expected a gradient made before, found none");
    } else if (parallel->is_summed) {
        int32_t status = carry_losses(parallel, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    return (slice->flags & BM_SLICE_USE_RUNNING) != 0 ? share_statistics(parallel, error)
                                                      : BM_STATUS_OK;
}

static int32_t
run_gradient(struct bm_parallel *parallel, const struct task *task, struct bm_error *error) {
    int32_t status = prepare_gradient(parallel, task->slice, error);
    if (status == BM_STATUS_OK) {
        parallel->has_gradient = 1;
        parallel->is_summed = 0;
        status = run_all(parallel, task, error);
    }
    return status;
}

static int32_t
gradient(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    struct task task = {.run = slice_part, .slice = slice};
    return run_gradient(of(session), &task, error);
}

/* ---- Sum and step ---- */

static int32_t read_part(struct part *part, const struct task *task, struct bm_error *error) {
    (void)task;
    return part->contributes
               ? plugin_of(part)->read_gradient(part->session, part->gradient,
                                                part->parallel->spec.param_count, error)
               : BM_STATUS_OK;
}

/* The range of the parameters that is this thread's. */
static void range_of(const struct part *part, uint64_t *first, uint64_t *end) {
    uint64_t count = part->parallel->spec.param_count;
    uint64_t share = bm_parallel_share(count, part->parallel->spec.count);
    *first = part->index * share < count ? part->index * share : count;
    *end = *first + share < count ? *first + share : count;
}

/* sum[i] = gradient of 0 [i] + gradient of 1 [i] + ..., in place of that of session 0, which
 * contributes whenever one does. */
static int32_t sum_part(struct part *part, const struct task *task, struct bm_error *error) {
    const struct bm_parallel *parallel = part->parallel;
    float *restrict sum = parallel->part[0].gradient;
    uint64_t first;
    uint64_t end;
    (void)task;
    (void)error;
    range_of(part, &first, &end);
    for (uint32_t k = 1; k < parallel->spec.count; k++) {
        const float *restrict other = parallel->part[k].gradient;
        if (!parallel->part[k].contributes) {
            continue;
        }
        for (uint64_t i = first; i < end; i++) {
            sum[i] += other[i];
        }
    }
    return BM_STATUS_OK;
}

/* What was read becomes the sum, in the memory of part 0, and `task` takes it to all sessions. */
static int32_t
sum_and_run(struct bm_parallel *parallel, struct task *task, struct bm_error *error) {
    struct task sum = {.run = sum_part};
    int32_t status = run_all(parallel, &sum, error);
    task->values = parallel->part[0].gradient;
    task->count = parallel->spec.param_count;
    if (status == BM_STATUS_OK) {
        status = run_all(parallel, task, error);
    }
    if (status == BM_STATUS_OK) {
        note_whole(parallel);
    }
    return status;
}

static int32_t
read_and_run(struct bm_parallel *parallel, struct task *task, struct bm_error *error) {
    struct task read = {.run = read_part};
    int32_t status = run_all(parallel, &read, error);
    return status == BM_STATUS_OK ? sum_and_run(parallel, task, error) : status;
}

static int32_t check_gradient(const struct bm_parallel *parallel, struct bm_error *error) {
    int32_t status = check_earlier(parallel, error);
    return status != BM_STATUS_OK || parallel->has_gradient
               ? status
               : bm_fail(error, BM_STATUS_INVALID, "expected a gradient made before, found none");
}

static int32_t
read_gradient(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    struct bm_parallel *parallel = of(session);
    struct task task = {.run = gradient_part};
    int32_t status = check_gradient(parallel, error);
    if (status == BM_STATUS_OK && !parallel->is_summed) {
        status = read_and_run(parallel, &task, error);
    }
    return status == BM_STATUS_OK ? parallel->spec.plugin->read_gradient(parallel->part[0].session,
                                                                         values, count, error)
                                  : status;
}

static int32_t step_part(struct part *part, const struct task *task, struct bm_error *error) {
    return plugin_of(part)->apply(part->session, task->hyper, error);
}

static int32_t
write_and_step_part(struct part *part, const struct task *task, struct bm_error *error) {
    int32_t status = gradient_part(part, task, error);
    return status == BM_STATUS_OK ? step_part(part, task, error) : status;
}

static int32_t
apply(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    struct bm_parallel *parallel = of(session);
    struct task step = {.run = step_part, .hyper = hyper};
    struct task write_and_step = {.run = write_and_step_part, .hyper = hyper};
    int32_t status = check_gradient(parallel, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    return parallel->is_summed ? run_all(parallel, &step, error)
                               : read_and_run(parallel, &write_and_step, error);
}

static int32_t
slice_and_read_part(struct part *part, const struct task *task, struct bm_error *error) {
    int32_t status = slice_part(part, task, error);
    return status == BM_STATUS_OK ? read_part(part, task, error) : status;
}

/* As gradient and apply, with one meeting of the threads less; leaves no gradient. */
static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    struct bm_parallel *parallel = of(session);
    struct task slice_and_read = {.run = slice_and_read_part, .slice = slice};
    struct task write_and_step = {.run = write_and_step_part, .hyper = hyper};
    int32_t status = run_gradient(parallel, &slice_and_read, error);
    if (status == BM_STATUS_OK) {
        status = sum_and_run(parallel, &write_and_step, error);
    }
    parallel->has_gradient = 0;
    return status;
}

static int32_t wait_all(struct bm_session *session, double *loss, struct bm_error *error) {
    struct bm_parallel *parallel = of(session);
    struct task task = {.run = wait_part, .wants_loss = loss != NULL};
    int32_t status = run_all(parallel, &task, error);
    if (status == BM_STATUS_OK && loss != NULL) {
        *loss = parallel->carried_loss;
        for (uint32_t i = 0; i < parallel->spec.count; i++) {
            *loss += parallel->part[i].has_loss ? parallel->part[i].loss : 0;
        }
    }
    return status;
}

/* ---- Reading ---- */

static int32_t
read_params_part(struct part *part, const struct task *task, struct bm_error *error) {
    float *found = part->index == 0 ? task->found : part->gradient;
    return plugin_of(part)->read_params(part->session, found, task->count, error);
}

/* Each reads its own, the others in place of the gradient's copy. */
static int32_t
read_params(struct bm_session *session, float *values, uint64_t count, struct bm_error *error) {
    struct bm_parallel *parallel = of(session);
    struct task task = {.run = read_params_part, .found = values, .count = count};
    int32_t status = run_all(parallel, &task, error);
    for (uint32_t k = 1; k < parallel->spec.count && status == BM_STATUS_OK; k++) {
        const float *other = parallel->part[k].gradient;
        for (uint64_t i = 0; i < count && status == BM_STATUS_OK; i++) {
            if (memcmp(&other[i], &values[i], sizeof *values) != 0) {
                status = bm_fail(error, BM_STATUS_INTERNAL,
                                 "sessions drifted apart: parameter %llu of session 0 is %.9g, of "
                                 "session %u %.9g",
                                 (unsigned long long)i, (double)values[i], k, (double)other[i]);
            }
        }
    }
    return status;
}

static int32_t read_state(struct bm_session *session,
                          uint32_t slot,
                          float *values,
                          uint64_t count,
                          struct bm_error *error) {
    struct bm_parallel *parallel = of(session);
    int32_t status = check_earlier(parallel, error);
    return status == BM_STATUS_OK ? parallel->spec.plugin->read_state(parallel->part[0].session,
                                                                      slot, values, count, error)
                                  : status;
}

static int32_t evaluate(struct bm_session *session,
                        uint32_t split,
                        uint64_t first,
                        uint64_t count,
                        uint32_t flags,
                        double *loss,
                        uint64_t *correct,
                        struct bm_error *error) {
    struct bm_parallel *parallel = of(session);
    int32_t status = check_earlier(parallel, error);
    return status == BM_STATUS_OK
               ? parallel->spec.plugin->evaluate(parallel->part[0].session, split, first, count,
                                                 flags, loss, correct, error)
               : status;
}

/* What session 0 says, behind what is said of all. */
static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    struct bm_parallel *parallel = of(session);
    const struct bm_parallel_spec *spec = &parallel->spec;
    char head[1024];
    int used =
        snprintf(head, sizeof head, "data_parallel=%u\nthreads_each=%u\ndevices=", spec->count,
                 parallel->threads_each);
    for (uint32_t i = 0; i < spec->count; i++) {
        used += snprintf(head + used, sizeof head - (size_t)used, "%u%c", spec->devices[i],
                         i + 1 < spec->count ? ',' : '\n');
    }
    int written = snprintf(text, capacity, "%s", head);
    if (written < 0 || (uint32_t)written >= capacity) {
        return BM_STATUS_OK;
    }
    return spec->plugin->describe(parallel->part[0].session, text + written,
                                  capacity - (uint32_t)written, error);
}

void bm_parallel_table(const struct bm_plugin *plugin, struct bm_plugin *table) {
    *table = (struct bm_plugin){
        .magic = plugin->magic,
        .size = sizeof *table,
        .abi_major = plugin->abi_major,
        .abi_minor = plugin->abi_minor,
        .flags = plugin->flags,
        .name = plugin->name,
        .version = plugin->version,
        .summary = plugin->summary,
        .device_count = plugin->device_count,
        .device_info = plugin->device_info,
        .destroy = destroy,
        .bind_data = bind_data,
        .set_order = set_order,
        .write_params = write_params,
        .read_params = read_params,
        .read_gradient = read_gradient,
        .write_gradient = write_gradient,
        .read_state = plugin->read_state == NULL ? NULL : read_state,
        .write_state = plugin->write_state == NULL ? NULL : write_state,
        .gradient = gradient,
        .apply = apply,
        .update = update,
        .evaluate = evaluate,
        .wait = wait_all,
        .describe = describe,
    };
}
