/* What the plugin does with memory: the host's, and its own. */
#include "cases.h"
#include "measure.h"
#include "resident.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char rich[] = "conv 6 3x3 pad 1, batchnorm, relu, maxpool 2, dense 33, dropout 0.5, "
                           "dense 4";
static const char simple[] = "dense 33, relu, dense 4";

/* ---- Guards ---- */

void bm_conform_memory_guards(struct bm_conform *conform) {
    static const struct {
        const char *layers;
        struct bm_shape input;
        enum bm_conform_images images;
        uint64_t batch;
    } probes[] = {
        {"dense 4", {1, 1, 1}, BM_CONFORM_BYTES, 1},
        {"dense 13, relu, dense 4", {1, 5, 7}, BM_CONFORM_SPARSE_BYTES, 1},
        {"dense 67, batchnorm, relu, dense 35, relu, dense 4", {3, 7, 5}, BM_CONFORM_BYTES, 33},
        {"dense 129, relu, dense 4", {2, 9, 9}, BM_CONFORM_FLOATS, 61},
        {"conv 5 3x3 pad 1, batchnorm, relu, maxpool 2, dense 4", {1, 9, 7}, BM_CONFORM_BYTES, 3},
        {"conv 17 5x5 pad 2, relu, maxpool 3 stride 2, conv 9 3x3 stride 2, relu, dense 4",
         {3, 11, 11},
         BM_CONFORM_FLOATS,
         29},
    };

    static const uint32_t optimizers[] = {BM_OPTIMIZER_SGD, BM_OPTIMIZER_ADAM, BM_OPTIMIZER_LARS};
    for (size_t i = 0; i < COUNT(probes); i++) {
        const struct bm_conform_spec spec = {.layers = probes[i].layers,
                                             .input = probes[i].input,
                                             .optimizer = optimizers[i % COUNT(optimizers)],
                                             .thread_count = (uint32_t)i % 3 + 1,
                                             .batch_max = 64,
                                             .image_count = 64,
                                             .images = probes[i].images,
                                             .order_count = 193};
        bm_conform_every_call(conform, &spec, probes[i].batch);
    }
}

/* ---- Data that nobody names ---- */

#define NAMED_COUNT 37u
#define EVALUATED_FIRST 17u
#define LOSS_COUNT 6u

static struct bm_conform_session *
open_session(struct bm_conform *conform, const char *layers, uint32_t threads, int is_float) {
    const struct bm_conform_spec spec = {.layers = layers,
                                         .input = {2, 8, 8},
                                         .optimizer = BM_OPTIMIZER_MOMENTUM,
                                         .thread_count = threads,
                                         .batch_max = 64,
                                         .image_count = 128,
                                         .images = is_float ? BM_CONFORM_FLOATS : BM_CONFORM_BYTES};
    return bm_conform_open(conform, &spec);
}

static uint64_t image_bytes(const struct bm_conform_session *test) {
    struct bm_shape shape = test->model.input;
    return (uint64_t)shape.channels * shape.height * shape.width *
           (test->data.type == BM_DATA_FLOAT32 ? sizeof(float) : 1);
}

/* What the order names: odd ones. */
static int is_trained(uint64_t image) {
    return image % 2 == 1 && image < (uint64_t)2 * NAMED_COUNT;
}

static int is_evaluated(uint64_t image) {
    return image >= EVALUATED_FIRST && image < EVALUATED_FIRST + NAMED_COUNT;
}

/* The data with all bits of the other images set, which is NaN, or 255. */
static struct bm_conform_guard
spoil(struct bm_conform_session *test, struct bm_data *data, int (*keeps)(uint64_t image)) {
    uint64_t bytes = image_bytes(test);
    struct bm_conform_guard guard =
        bm_conform_guard_make(test->conform, (size_t)(bytes * data->count));
    for (uint64_t image = 0; image < data->count; image++) {
        if (keeps(image)) {
            memcpy((unsigned char *)guard.bytes + image * bytes,
                   (const unsigned char *)data->images + image * bytes, bytes);
        }
    }
    data->images = guard.bytes;
    bm_conform_guard_protect(test->conform, &guard);
    return guard;
}

/* What a few calls leave: parameters in `found`, and losses. */
static void train_named(struct bm_conform_session *test, double loss[LOSS_COUNT]) {
    static const uint64_t counts[LOSS_COUNT - 1] = {NAMED_COUNT, 1, 7, 64, 33};
    const struct bm_plugin *plugin = test->plugin;
    uint32_t order[128];
    uint64_t correct = 0;
    for (uint32_t i = 0; i < COUNT(order); i++) {
        order[i] = 2 * (i * 5 % NAMED_COUNT) + 1;
    }
    CALL(test, plugin->set_order(test->session, order, COUNT(order), &test->error));
    for (size_t i = 0; i < COUNT(counts); i++) {
        const struct bm_slice slice = bm_conform_slice(i, counts[i], 0, i + 1);
        const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.05, i + 1);
        if (bm_conform_refuses_single_value(test, &slice)) {
            continue;
        }
        CALL(test, bm_conform_update(test, &slice, &hyper));
        CALL(test, plugin->gradient(test->session, &slice, &test->error));
        CALL(test, plugin->wait(test->session, &loss[i], &test->error));
    }
    CALL(test, plugin->evaluate(test->session, BM_SPLIT_TEST, EVALUATED_FIRST, NAMED_COUNT, 0,
                                &loss[LOSS_COUNT - 1], &correct, &test->error));
    bm_conform_read_params(test);
}

static void expect_same(struct bm_conform_session *test,
                        const struct bm_conform_session *other,
                        const char *what) {
    for (uint64_t i = 0; i < test->param_count; i++) {
        EXPECT(test->conform, memcmp(&test->found[i], &other->found[i], sizeof(float)) == 0,
               "%s, %u threads: parameters after updates: [%llu]: expected %a, found %a", what,
               test->problem.thread_count, (unsigned long long)i, (double)other->found[i],
               (double)test->found[i]);
    }
}

static void compare_spoilt(struct bm_conform *conform,
                           struct bm_conform_session *test,
                           struct bm_conform_session *spoilt) {
    struct bm_data train = spoilt->data;
    struct bm_data other = spoilt->data;
    double expected[LOSS_COUNT] = {0};
    double found[LOSS_COUNT] = {0};
    struct bm_conform_guard guards[2] = {spoil(spoilt, &train, is_trained),
                                         spoil(spoilt, &other, is_evaluated)};
    CALL(spoilt,
         spoilt->plugin->bind_data(spoilt->session, BM_SPLIT_TRAIN, &train, &spoilt->error));
    CALL(spoilt, spoilt->plugin->bind_data(spoilt->session, BM_SPLIT_TEST, &other, &spoilt->error));
    train_named(test, expected);
    train_named(spoilt, found);
    for (uint32_t i = 0; i < LOSS_COUNT; i++) {
        EXPECT(conform, memcmp(&expected[i], &found[i], sizeof found[i]) == 0,
               "images that no call names are %s, %u threads: loss %u: expected %a, as with other "
               "images there, found %a",
               test->data.type == BM_DATA_FLOAT32 ? "NaN" : "255", test->problem.thread_count, i,
               expected[i], found[i]);
    }
    expect_same(spoilt, test, "images that no call names are others");
    /* The plugin may hold on to the data until destroy. */
    bm_conform_close(test);
    bm_conform_close(spoilt);
    bm_conform_guard_free(&guards[0]);
    bm_conform_guard_free(&guards[1]);
}

void bm_conform_memory_untouched_data(struct bm_conform *conform) {
    const char *const networks[] = {rich, simple};
    for (size_t i = 0; i < COUNT(networks); i++) {
        for (int is_float = 0; is_float < 2; is_float++) {
            for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
                struct bm_conform_session *test =
                    open_session(conform, networks[i], threads, is_float);
                struct bm_conform_session *spoilt =
                    test == NULL ? NULL : open_session(conform, networks[i], threads, is_float);
                if (spoilt != NULL) {
                    compare_spoilt(conform, test, spoilt);
                }
            }
        }
    }
}

/* ---- Arguments are copied ---- */

struct borrowed {
    struct bm_conform_session *test; /* lends; the session is this one's own */
    struct bm_session *session;
    int wrecks; /* arguments, as soon as a call has returned */
};

static void wreck(const struct borrowed *borrowed, void *bytes, size_t count) {
    if (borrowed->wrecks) {
        memset(bytes, 0xff, count);
    }
}

static void create_borrowed(struct borrowed *borrowed) {
    struct bm_conform_session *test = borrowed->test;
    struct bm_problem problem = test->problem;
    size_t bytes = problem.layer_count * sizeof *problem.layers;
    struct bm_layer *layers = bm_conform_allocate(test->conform, 1, bytes);
    char precision[BM_PRECISION_NAME_SIZE];
    memcpy(layers, problem.layers, bytes);
    memcpy(precision, problem.precision, sizeof precision);
    problem.layers = layers;
    problem.precision = precision;
    CALL(test,
         test->plugin->create(test->conform->device, &problem, &borrowed->session, &test->error));
    wreck(borrowed, layers, bytes);
    wreck(borrowed, precision, sizeof precision);
    wreck(borrowed, &problem, sizeof problem);
    free(layers);
}

static void bind_borrowed(struct borrowed *borrowed) {
    struct bm_conform_session *test = borrowed->test;
    struct bm_data data = test->data;
    float scale[BM_CONFORM_CHANNELS] = {0};
    float shift[BM_CONFORM_CHANNELS] = {0};
    size_t bytes = test->order_count * sizeof *test->order;
    uint32_t *order = bm_conform_allocate(test->conform, 1, bytes);
    memcpy(order, test->order, bytes);
    if (data.scale != NULL) {
        memcpy(scale, data.scale, test->model.input.channels * sizeof(float));
        memcpy(shift, data.shift, test->model.input.channels * sizeof(float));
        data.scale = scale;
        data.shift = shift;
    }
    CALL(test, test->plugin->bind_data(borrowed->session, BM_SPLIT_TRAIN, &data, &test->error));
    wreck(borrowed, scale, sizeof scale);
    wreck(borrowed, shift, sizeof shift);
    wreck(borrowed, &data, sizeof data);
    CALL(test, test->plugin->set_order(borrowed->session, order, test->order_count, &test->error));
    wreck(borrowed, order, bytes);
    free(order);
}

static void write_borrowed(struct borrowed *borrowed) {
    struct bm_conform_session *test = borrowed->test;
    size_t bytes = test->param_count * sizeof(float);
    memcpy(test->found, test->params, bytes);
    CALL(test, test->plugin->write_params(borrowed->session, test->found, test->param_count,
                                          &test->error));
    wreck(borrowed, test->found, bytes);
}

/* One update, or two, in one of the three ways. */
static void update_borrowed(struct borrowed *borrowed, uint64_t k) {
    struct bm_conform_session *test = borrowed->test;
    const struct bm_plugin *plugin = test->plugin;
    struct bm_slice slice = bm_conform_slice(3 * k, 16, 0, k);
    struct bm_hyper hyper[2] = {bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.05, k),
                                bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.03, k + 1)};
    if (k % 3 == 0 && plugin->updates != NULL) {
        CALL(test,
             plugin->updates(borrowed->session, &slice, 2, hyper, sizeof *hyper, &test->error));
    } else if (k % 3 == 1 && plugin->update != NULL) {
        CALL(test, plugin->update(borrowed->session, &slice, hyper, &test->error));
    } else {
        CALL(test, plugin->gradient(borrowed->session, &slice, &test->error));
        wreck(borrowed, &slice, sizeof slice);
        CALL(test, plugin->apply(borrowed->session, hyper, &test->error));
    }
    wreck(borrowed, &slice, sizeof slice);
    wreck(borrowed, hyper, sizeof hyper);
}

/* Nothing is waited for in between. */
static void train_borrowed(struct borrowed *borrowed) {
    struct bm_conform_session *test = borrowed->test;
    for (uint64_t k = 1; k <= 12; k++) {
        update_borrowed(borrowed, k);
    }
    CALL(test, test->plugin->read_params(borrowed->session, test->found, test->param_count,
                                         &test->error));
}

static void use_borrowed(struct bm_conform_session *test, int wrecks) {
    struct borrowed borrowed = {.test = test, .wrecks = wrecks};
    create_borrowed(&borrowed);
    bind_borrowed(&borrowed);
    write_borrowed(&borrowed);
    train_borrowed(&borrowed);
    test->plugin->destroy(borrowed.session);
}

void bm_conform_memory_copied(struct bm_conform *conform) {
    const char *const networks[] = {rich, simple};
    for (size_t i = 0; i < COUNT(networks); i++) {
        for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
            struct bm_conform_session *left = open_session(conform, networks[i], threads, 0);
            struct bm_conform_session *test =
                left == NULL ? NULL : open_session(conform, networks[i], threads, 0);
            if (test != NULL) {
                use_borrowed(left, 0);
                use_borrowed(test, 1);
                expect_same(test, left, "arguments overwritten as soon as a call has returned");
                bm_conform_close(test);
                bm_conform_close(left);
            }
        }
    }
}

/* ---- Growth ---- */

/* Of a leak of one KiB a call or a session, a quarter at most goes unseen. */
#define WINDOW_MAX 4u
#define CALL_COUNT 1000u
#define CALL_COUNT_SLOW 250u /* where threads meet, or a network is large */
#define CALL_BYTES_MAX 256u
#define RESIDENT_BYTES_MAX (512u << 10)

struct level {
    uint64_t allocated;
    uint64_t resident;
};

static struct level read_level(void) {
    return (struct level){bm_conform_allocated_bytes(), bm_resident_bytes()};
}

static int has_grown(const struct level *before, const struct level *after, uint64_t count) {
    return after->allocated > before->allocated + CALL_BYTES_MAX * count ||
           after->resident > before->resident + RESIDENT_BYTES_MAX;
}

/* In this program or before it (LD_PRELOAD), for a plugin that was built with it. */
static void leave_if_sanitized(struct bm_conform *conform) {
    if (dlsym(RTLD_DEFAULT, "__asan_init") != NULL || dlsym(RTLD_DEFAULT, "__tsan_init") != NULL) {
        bm_conform_leave(conform, "a sanitizer's allocator keeps what is given back");
    }
}

static void grow_by_update(struct bm_conform_session *test, uint64_t k) {
    const struct bm_slice slice = bm_conform_slice(k % 100, k % 2 == 0 ? 5 : 8, 0, k + 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 1e-4, k + 1);
    CALL(test, bm_conform_update(test, &slice, &hyper));
    CALL(test, test->plugin->wait(test->session, NULL, &test->error));
}

static void grow_by_pair(struct bm_conform_session *test, uint64_t k) {
    const struct bm_slice slice = bm_conform_slice(k % 100, 6, 0, k + 1);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 1e-4, k + 1);
    double loss = 0;
    CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
    CALL(test, test->plugin->apply(test->session, &hyper, &test->error));
    CALL(test, test->plugin->wait(test->session, &loss, &test->error));
}

static void grow_by_updates(struct bm_conform_session *test, uint64_t k) {
    const struct bm_slice slice = bm_conform_slice(k % 100, 4, 0, k + 1);
    const struct bm_hyper hyper[2] = {bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 1e-4, k + 1),
                                      bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 1e-4, k + 2)};
    if (test->plugin->updates != NULL) {
        CALL(test,
             test->plugin->updates(test->session, &slice, 2, hyper, sizeof *hyper, &test->error));
        CALL(test, test->plugin->wait(test->session, NULL, &test->error));
    }
}

static void grow_by_evaluate(struct bm_conform_session *test, uint64_t k) {
    uint64_t correct = 0;
    double loss = 0;
    CALL(test, test->plugin->evaluate(test->session, BM_SPLIT_TEST, k % 100, 7, 0, &loss, &correct,
                                      &test->error));
}

static void grow_by_binding(struct bm_conform_session *test, uint64_t k) {
    uint64_t count = test->order_count - k % 7;
    if (k % 8 == 0) {
        CALL(test,
             test->plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error));
    }
    CALL(test, test->plugin->set_order(test->session, test->order, count, &test->error));
}

static void grow_by_arrays(struct bm_conform_session *test, uint64_t k) {
    const struct bm_plugin *plugin = test->plugin;
    uint64_t count = test->param_count;
    (void)k;
    CALL(test, plugin->write_params(test->session, test->params, count, &test->error));
    CALL(test, plugin->read_params(test->session, test->found, count, &test->error));
    if (plugin->read_state != NULL) {
        CALL(test, plugin->read_state(test->session, 0, test->found, count, &test->error));
        CALL(test, plugin->write_state(test->session, 0, test->found, count, &test->error));
    }
    CALL(test, plugin->describe(test->session, (char *)test->found, 64, &test->error));
}

struct growth {
    const char *what;
    void (*run)(struct bm_conform_session *test, uint64_t k);
};

/* A leak grows in every window; what the allocator keeps for later, only in the first. */
static void
watch_growth(struct bm_conform_session *test, const struct growth *growth, uint64_t count) {
    struct level before = {0};
    struct level after = {0};
    for (uint64_t k = 0; k < count / 4; k++) {
        growth->run(test, k);
    }
    for (uint32_t window = 0; window < WINDOW_MAX; window++) {
        before = read_level();
        for (uint64_t k = 0; k < count; k++) {
            growth->run(test, k);
        }
        after = read_level();
        if (!has_grown(&before, &after, count)) {
            return;
        }
    }
    bm_conform_fail(
        test->conform,
        "%llu times %s, %u threads: expected a level, found %lld more bytes from malloc "
        "and %lld more in memory, and as much each of %u times before",
        (unsigned long long)count, growth->what, test->problem.thread_count,
        (long long)(after.allocated - before.allocated),
        (long long)(after.resident - before.resident), WINDOW_MAX - 1);
}

static void watch_network(struct bm_conform *conform,
                          const char *layers,
                          uint32_t threads,
                          const struct growth *growths,
                          size_t growth_count) {
    struct bm_conform_session *test = open_session(conform, layers, threads, 0);
    if (test != NULL) {
        for (size_t g = 0; g < growth_count; g++) {
            watch_growth(test, &growths[g], growth_count > 1 ? CALL_COUNT : CALL_COUNT_SLOW);
        }
        bm_conform_close(test);
    }
}

void bm_conform_memory_growth(struct bm_conform *conform) {
    static const struct growth growths[] = {
        {"update", grow_by_update},     {"gradient and apply", grow_by_pair},
        {"updates", grow_by_updates},   {"evaluate", grow_by_evaluate},
        {"set_order", grow_by_binding}, {"read and write", grow_by_arrays},
    };
    leave_if_sanitized(conform);
    watch_network(conform, simple, 1, growths, COUNT(growths));
    watch_network(conform, simple, 2, growths, 1);
    watch_network(conform, rich, 1, growths, 1);
}

/* ---- Sessions ---- */

#define SESSION_COUNT 200u
#define SESSION_WINDOW 50u
#define SESSION_BYTES_MAX (32u << 10)
#define SESSION_RESIDENT_MAX (256u << 10)

/* Where creating takes long, there are fewer sessions. */
#define SESSION_CPU_NS_MAX UINT64_C(6000000000)

struct holdings {
    struct level level;
    int64_t threads;
    int64_t descriptors;
};

static struct holdings read_holdings(int64_t threads) {
    return (struct holdings){read_level(), bm_conform_settled_threads(threads),
                             bm_conform_descriptor_count()};
}

static void make_session(struct bm_conform_session *test, uint64_t k) {
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_conform_slice(0, 9, 0, 1);
    struct bm_session *session = NULL;
    CALL(test, plugin->create(test->conform->device, &test->problem, &session, &test->error));
    if (k % 3 > 0) {
        CALL(test, plugin->bind_data(session, BM_SPLIT_TRAIN, &test->data, &test->error));
        CALL(test, plugin->set_order(session, test->order, test->order_count, &test->error));
    }
    if (k % 3 > 1) { /* not waited for: destroy does */
        CALL(test, plugin->gradient(session, &slice, &test->error));
    }
    plugin->destroy(session);
}

static int holds_more(const struct holdings *before, const struct holdings *after) {
    return after->level.allocated > before->level.allocated + SESSION_BYTES_MAX ||
           after->level.resident > before->level.resident + SESSION_RESIDENT_MAX ||
           after->threads > before->threads || after->descriptors > before->descriptors;
}

static void fail_holdings(struct bm_conform_session *test,
                          uint32_t count,
                          const struct holdings *before,
                          const struct holdings *after) {
    bm_conform_fail(
        test->conform,
        "%u sessions created and destroyed, %u threads each: expected nothing left, found %lld "
        "bytes from malloc, %lld bytes in memory, %lld threads and %lld descriptors more, each "
        "time "
        "again",
        count, test->problem.thread_count,
        (long long)(after->level.allocated - before->level.allocated),
        (long long)(after->level.resident - before->level.resident),
        (long long)(after->threads - before->threads),
        (long long)(after->descriptors - before->descriptors));
}

/* Windows of so many sessions as the time allows. */
static void watch_sessions(struct bm_conform_session *test) {
    uint64_t start_ns = bm_conform_cpu_ns();
    int64_t threads = bm_conform_thread_count();
    struct holdings before;
    struct holdings after;
    for (uint64_t k = 0; k < 3; k++) {
        make_session(test, k);
    }
    uint64_t one_ns = (bm_conform_cpu_ns() - start_ns) / 3 + 1;
    uint64_t most = SESSION_CPU_NS_MAX / WINDOW_MAX / one_ns;
    uint32_t window = most > SESSION_WINDOW ? SESSION_WINDOW : most < 3 ? 3 : (uint32_t)most;
    uint32_t levels = 0;
    for (uint32_t w = 0; w < SESSION_COUNT / SESSION_WINDOW; w++) {
        before = read_holdings(threads);
        for (uint64_t k = 0; k < window; k++) {
            make_session(test, k);
        }
        after = read_holdings(before.threads);
        levels += !holds_more(&before, &after);
    }
    if (levels == 0) {
        fail_holdings(test, window, &before, &after);
    }
    if (window < SESSION_WINDOW) {
        bm_conform_note(test->conform, "%u sessions instead of %u: creating one takes %llu ms",
                        window * (SESSION_COUNT / SESSION_WINDOW), SESSION_COUNT,
                        (unsigned long long)(one_ns / 1000000));
    }
}

void bm_conform_memory_sessions(struct bm_conform *conform) {
    const char *const networks[] = {rich, simple};
    leave_if_sanitized(conform);
    for (size_t i = 0; i < COUNT(networks); i++) {
        for (uint32_t threads = 1; threads <= conform->thread_max; threads += 2) {
            struct bm_conform_session *test = open_session(conform, networks[i], threads, 0);
            if (test != NULL) {
                watch_sessions(test);
                bm_conform_close(test);
            }
        }
    }
}

/* ---- A create that fails ---- */

/* So that a plugin that allocates without end comes to one. */
#define FAILING_MAX 5000

/* With the n-th of the plugin's own allocations and all after it failing. 0 if that many were not
 * made. */
static int fail_create(struct bm_conform_session *test, struct bm_allocations *counted, int64_t n) {
    struct bm_conform *conform = test->conform;
    struct bm_session *session = NULL;
    int64_t live = counted->live;
    int64_t threads = bm_conform_thread_count();
    int64_t descriptors = bm_conform_descriptor_count();
    counted->failing = counted->asked + n;
    int32_t status = test->plugin->create(conform->device, &test->problem, &session, &test->error);
    int met = counted->asked >= counted->failing;
    counted->failing = INT64_MAX;
    EXPECT(conform, status == BM_STATUS_OK || status == BM_STATUS_NO_MEMORY,
           "create, allocation %lld fails: expected NO_MEMORY, found status %d: %s", (long long)n,
           status, test->error.text);
    EXPECT(conform, (status == BM_STATUS_OK) == (session != NULL),
           "create, allocation %lld fails: expected no session with status %d, found one",
           (long long)n, status);
    test->plugin->destroy(session);
    EXPECT(conform, counted->live == live,
           "create, allocation %lld fails (status %d): expected nothing left, found %lld "
           "allocations not given back",
           (long long)n, status, (long long)(counted->live - live));
    EXPECT(conform,
           bm_conform_settled_threads(threads) <= threads &&
               bm_conform_descriptor_count() <= descriptors,
           "create, allocation %lld fails (status %d): expected no thread or descriptor left, "
           "found %lld and %lld",
           (long long)n, status, (long long)(bm_conform_thread_count() - threads),
           (long long)(bm_conform_descriptor_count() - descriptors));
    return met;
}

/* With one thread: glibc keeps the memory of a thread that has ended for the next. */
void bm_conform_memory_failed_create(struct bm_conform *conform) {
    static const uint32_t optimizers[] = {BM_OPTIMIZER_SGD, BM_OPTIMIZER_LAMB};
    struct bm_allocations *counted = bm_conform_allocations(conform);
    const char *const networks[] = {rich, simple};
    for (size_t i = 0; i < COUNT(networks); i++) {
        const struct bm_conform_spec spec = {.layers = networks[i],
                                             .input = {2, 8, 8},
                                             .optimizer = optimizers[i],
                                             .batch_max = 64,
                                             .image_count = 64};
        struct bm_conform_session *test = bm_conform_open(conform, &spec);
        int64_t n = 1;
        while (test != NULL && n < FAILING_MAX && fail_create(test, counted, n)) {
            n++;
        }
        if (test != NULL) {
            bm_conform_note(conform, "\"%s\": %lld allocations of the plugin's own", networks[i],
                            (long long)n - 1);
            bm_conform_close(test);
        }
    }
    EXPECT(conform, counted->lost == 0, "too many live allocations to remember: %lld",
           (long long)counted->lost);
}
