/* Every call of the table, with arguments in guarded memory of exactly their size. */
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GUARD_MAX 48u
#define UPDATE_COUNT 3u
#define TEXT_SIZE 4096u

struct every {
    struct bm_conform *conform;
    const struct bm_plugin *plugin;
    struct bm_conform_session *test; /* lends its data, its order and its start */
    struct bm_session *session;
    struct bm_error *error;
    uint64_t batch;
    float *values; /* [param_count], written by the plugin */
    double *loss;
    struct bm_conform_guard guard[GUARD_MAX];
    uint32_t guard_count;
};

#define MUST(every, call)                                                                          \
    EXPECT((every)->conform, (call) == BM_STATUS_OK,                                               \
           "%s with guarded arguments: expected OK, found status %d: %s", #call,                   \
           (every)->error->code, (every)->error->text)

/* For the plugin to write: exactly `bytes`. */
static void *space(struct every *every, size_t bytes) {
    EXPECT(every->conform, every->guard_count < GUARD_MAX, "a case has too many guards");
    struct bm_conform_guard guard = bm_conform_guard_make(every->conform, bytes);
    every->guard[every->guard_count++] = guard;
    return guard.bytes;
}

/* For the plugin to read: a copy. */
static const void *copy(struct every *every, const void *from, size_t bytes) {
    void *to = space(every, bytes);
    memcpy(to, from, bytes);
    bm_conform_guard_protect(every->conform, &every->guard[every->guard_count - 1]);
    return to;
}

/* What lies before an argument is as it was; the page before that is too far to fault. */
static void expect_margins(const struct every *every) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (uint32_t g = 0; g < every->guard_count; g++) {
        const unsigned char *bytes = every->guard[g].bytes;
        for (const unsigned char *byte = every->guard[g].start + page; byte < bytes; byte++) {
            EXPECT(every->conform, *byte == 0xff,
                   "argument %u in guarded memory: expected nothing written before it, found byte "
                   "%td before it changed (batch %llu)",
                   g, bytes - byte, (unsigned long long)every->batch);
        }
    }
}

static void call_loaded(struct every *every) {
    const struct bm_plugin *plugin = every->plugin;
    uint32_t *count = space(every, sizeof *count);
    struct bm_device_info *info = space(every, sizeof *info);
    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    MUST(every, plugin->device_count(count, every->error));
    MUST(every, plugin->device_info(every->conform->device, info, every->error));
    if (plugin->extension != NULL) {
        static const char id[] = "batchmark.conformance/0";
        const void *table = plugin->extension(copy(every, id, sizeof id));
        EXPECT(every->conform, table == NULL, "extension(\"%s\"): expected NULL, found a table",
               id);
    }
}

static void call_create(struct every *every) {
    const struct bm_plugin *plugin = every->plugin;
    struct bm_problem problem = every->test->problem;
    uint64_t *bytes = space(every, sizeof *bytes);
    struct bm_session **session = space(every, sizeof(struct bm_session *));
    problem.layers =
        copy(every, problem.layers, (size_t)problem.layer_count * sizeof *problem.layers);
    problem.precision = copy(every, problem.precision, strlen(problem.precision) + 1);
    const struct bm_problem *given = copy(every, &problem, sizeof problem);
    MUST(every, plugin->supports(every->conform->device, given, bytes, every->error));
    MUST(every, plugin->create(every->conform->device, given, session, every->error));
    every->session = *session;
}

static void call_bind(struct every *every) {
    const struct bm_plugin *plugin = every->plugin;
    struct bm_data data = every->test->data;
    size_t channels = every->test->model.input.channels;
    if (data.scale != NULL) {
        data.scale = copy(every, data.scale, channels * sizeof(float));
        data.shift = copy(every, data.shift, channels * sizeof(float));
    }
    const struct bm_data *given = copy(every, &data, sizeof data);
    for (uint32_t split = 0; split < BM_SPLIT_COUNT; split++) {
        MUST(every, plugin->bind_data(every->session, split, given, every->error));
    }
    MUST(every, plugin->set_order(every->session, every->test->order, every->test->order_count,
                                  every->error));
}

static void call_params(struct every *every) {
    uint64_t count = every->test->param_count;
    const float *start = copy(every, every->test->params, count * sizeof *start);
    MUST(every, every->plugin->write_params(every->session, start, count, every->error));
    MUST(every, every->plugin->read_params(every->session, every->values, count, every->error));
}

static void call_state(struct every *every, uint32_t slot, uint64_t count) {
    float *values = space(every, count * sizeof *values);
    MUST(every, every->plugin->read_state(every->session, slot, values, count, every->error));
    const float *given = copy(every, values, count * sizeof *values);
    MUST(every, every->plugin->write_state(every->session, slot, given, count, every->error));
}

static void call_states(struct every *every) {
    const struct bm_conform_session *test = every->test;
    if (every->plugin->read_state == NULL) {
        return;
    }
    for (uint32_t slot = 0; slot < bm_optimizer_slot_count(test->problem.optimizer); slot++) {
        call_state(every, slot, test->param_count);
    }
    if (test->statistics_count > 0) {
        call_state(every, BM_STATE_STATISTICS, test->statistics_count);
    }
}

/* gradient and apply, with the arrays of both. */
static void call_gradient(struct every *every, const struct bm_slice *slice) {
    const struct bm_plugin *plugin = every->plugin;
    uint64_t count = every->test->param_count;
    const struct bm_hyper hyper = bm_optimizer_defaults(every->test->problem.optimizer, 0.01, 1);
    MUST(every, plugin->gradient(every->session, slice, every->error));
    MUST(every, plugin->wait(every->session, every->loss, every->error));
    MUST(every, plugin->read_gradient(every->session, every->values, count, every->error));
    if (plugin->write_gradient != NULL) {
        const float *given = copy(every, every->values, count * sizeof *given);
        MUST(every, plugin->write_gradient(every->session, given, count, every->error));
    }
    MUST(every, plugin->apply(every->session, copy(every, &hyper, sizeof hyper), every->error));
}

/* The last element ends the array, also where the stride is longer than it. */
static void call_updates(struct every *every, const struct bm_slice *slice) {
    enum { STRIDE = sizeof(struct bm_hyper) + 24 };

    unsigned char array[(size_t)(UPDATE_COUNT - 1) * STRIDE + sizeof(struct bm_hyper)];
    const struct bm_plugin *plugin = every->plugin;
    memset(array, 0xff, sizeof array);
    for (uint32_t k = 0; k < UPDATE_COUNT; k++) {
        const struct bm_hyper hyper =
            bm_optimizer_defaults(every->test->problem.optimizer, 0.01, k + 2);
        memcpy(array + (size_t)k * STRIDE, &hyper, sizeof hyper);
    }
    const struct bm_hyper *hypers = copy(every, array, sizeof array);
    if (plugin->update != NULL) {
        MUST(every, plugin->update(every->session, slice, hypers, every->error));
    }
    if (plugin->updates != NULL) {
        MUST(every,
             plugin->updates(every->session, slice, UPDATE_COUNT, hypers, STRIDE, every->error));
    }
    MUST(every, plugin->wait(every->session, NULL, every->error));
}

static void call_training(struct every *every) {
    const uint64_t first = every->test->order_count - UPDATE_COUNT * every->batch;
    const struct bm_slice slice = bm_conform_slice(first, every->batch, 0, 1);
    if (bm_conform_refuses_single_value(every->test, &slice)) {
        return;
    }
    const struct bm_slice *given = copy(every, &slice, sizeof slice);
    call_gradient(every, given);
    call_updates(every, given);
    if (every->plugin->device_time != NULL) {
        struct bm_device_time *time = space(every, sizeof *time);
        memset(time, 0, sizeof *time);
        time->size = sizeof *time;
        MUST(every, every->plugin->device_time(every->session, time, every->error));
    }
}

/* Up to the last image. */
static void call_evaluate(struct every *every) {
    uint64_t *correct = space(every, sizeof *correct);
    const uint64_t counts[] = {1, every->batch, every->test->data.count - 1};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (uint32_t split = 0; split < BM_SPLIT_COUNT; split++) {
            MUST(every,
                 every->plugin->evaluate(every->session, split, every->test->data.count - counts[i],
                                         counts[i], 0, every->loss, correct, every->error));
        }
    }
}

static void call_describe(struct every *every) {
    static const uint32_t capacities[] = {1, 2, 17, TEXT_SIZE};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        char *text = space(every, capacities[i]);
        MUST(every, every->plugin->describe(every->session, text, capacities[i], every->error));
        EXPECT(every->conform, memchr(text, '\0', capacities[i]) != NULL,
               "describe with a capacity of %u bytes: expected a terminated text, found none",
               capacities[i]);
    }
}

static void close_every(struct every *every) {
    every->plugin->destroy(every->session);
    expect_margins(every);
    for (uint32_t g = 0; g < every->guard_count; g++) {
        bm_conform_guard_free(&every->guard[g]);
    }
    bm_conform_close(every->test);
    free(every);
}

void bm_conform_every_call(struct bm_conform *conform,
                           const struct bm_conform_spec *spec,
                           uint64_t batch) {
    struct bm_conform_session *test = bm_conform_open(conform, spec);
    if (test == NULL) {
        return;
    }
    struct every *every = bm_conform_allocate(conform, 1, sizeof *every);
    every->conform = conform;
    every->plugin = conform->plugin;
    every->test = test;
    every->batch = batch;
    every->error = space(every, sizeof *every->error);
    every->loss = space(every, sizeof *every->loss);
    every->values = space(every, test->param_count * sizeof *every->values);
    call_loaded(every);
    call_create(every);
    call_bind(every);
    call_params(every);
    call_training(every);
    call_states(every);
    call_evaluate(every);
    call_describe(every);
    close_every(every);
}
