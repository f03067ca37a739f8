/* The threads that a session has, and the threads that may use it. */
#include "cases.h"
#include "measure.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UPDATE_COUNT 12u
#define TASK_MAX 1024u

static const char *const networks[] = {
    "conv 6 3x3 pad 1, batchnorm, relu, maxpool 2, dense 33, dropout 0.5, dense 4",
    "dense 65, relu, dense 33, relu, dense 4",
};

#define NETWORK_COUNT (sizeof networks / sizeof networks[0])

static struct bm_conform_session *
open_session(struct bm_conform *conform, size_t network, uint32_t threads) {
    const struct bm_conform_spec spec = {.layers = networks[network],
                                         .input = {2, 8, 8},
                                         .optimizer = BM_OPTIMIZER_MOMENTUM,
                                         .thread_count = threads,
                                         .batch_max = 64,
                                         .image_count = 128};
    return bm_conform_open(conform, &spec);
}

static void train(struct bm_conform_session *test) {
    uint64_t correct = 0;
    double loss = 0;
    for (uint64_t update = 1; update <= UPDATE_COUNT; update++) {
        const struct bm_slice slice = bm_conform_slice(update, 64 - update, 0, update);
        const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.01, update);
        CALL(test, bm_conform_update(test, &slice, &hyper));
        CALL(test, test->plugin->wait(test->session, &loss, &test->error));
    }
    CALL(test, test->plugin->evaluate(test->session, BM_SPLIT_TEST, 0, test->data.count, 0, &loss,
                                      &correct, &test->error));
}

/* ---- How many ---- */

/* The threads of a driver are not the plugin's. */
static void leave_to_driver(struct bm_conform *conform) {
    if (conform->info.kind != BM_DEVICE_KIND_CPU) {
        bm_conform_leave(conform, "the device is not the processor: its driver has threads of its "
                                  "own");
    }
}

struct tasks {
    uint32_t count;
    pid_t ids[TASK_MAX];
};

static void list_tasks(struct tasks *tasks) {
    DIR *entries = opendir("/proc/self/task");
    tasks->count = 0;
    if (entries == NULL) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] != '.' && tasks->count < TASK_MAX) {
            tasks->ids[tasks->count++] = (pid_t)strtol(entry->d_name, NULL, 10);
        }
    }
    (void)closedir(entries);
}

/* Looks at the number of threads all the time, on a thread of its own. A thread that has ended may
 * be listed a moment longer: what counts is what several looks in a row have seen. */
#define LOOKS_IN_ROW 5u

struct sampler {
    pthread_t thread;
    _Atomic int stops;
    _Atomic int64_t most;
};

static void *sample(void *argument) {
    struct sampler *sampler = argument;
    const struct timespec pause = {.tv_nsec = 100000};
    while (!sampler->stops) {
        int64_t least = INT64_MAX;
        for (uint32_t look = 0; look < LOOKS_IN_ROW; look++) {
            int64_t now = bm_conform_thread_count();
            least = now < least ? now : least;
            (void)nanosleep(&pause, NULL);
        }
        sampler->most = least > sampler->most ? least : sampler->most;
    }
    return NULL;
}

/* The most threads at any time while a session lives, more than before; 0 without a session. */
static int64_t count_threads(struct bm_conform *conform, size_t network, uint32_t threads) {
    struct sampler sampler = {.stops = 0};
    int64_t before = bm_conform_thread_count();
    struct bm_conform_session *test = open_session(conform, network, threads);
    if (test == NULL) {
        return 0;
    }
    EXPECT(conform, pthread_create(&sampler.thread, NULL, sample, &sampler) == 0,
           "a thread of the case cannot be started");
    train(test);
    sampler.stops = 1;
    (void)pthread_join(sampler.thread, NULL);
    int64_t now = bm_conform_settled_threads(before);
    bm_conform_close(test);
    int64_t sampled = sampler.most - before - 1; /* without the one that looks */
    return now - before > sampled ? now - before : sampled;
}

void bm_conform_property_threads_in_budget(struct bm_conform *conform) {
    leave_to_driver(conform);
    for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
        for (size_t network = 0; network < NETWORK_COUNT; network++) {
            int64_t found = count_threads(conform, network, threads);
            EXPECT(conform, found < (int64_t)threads,
                   "threads while \"%s\" trains with a budget of %u: expected at most %u more than "
                   "before create, found %lld more",
                   networks[network], threads, threads - 1, (long long)found);
        }
    }
    bm_conform_note(conform, "1 to %u threads", conform->thread_max);
}

/* ---- How many work ---- */

/* A library may start its threads before it knows the budget; those that sleep do no harm. What a
 * thread takes to find that there is nothing to do is less than this. */
#define WORKED_NS_MIN UINT64_C(2000000)
#define WORKED_SHARE_MIN 0.05
#define WORK_NS UINT64_C(50000000)
#define WORK_ROUNDS_MAX 50u
#define SETTLE_NS 300000000

/* Libraries below a plugin may keep a set of threads each, of which one works while the other
 * waits: the matrix library's, and that of the loops around it. */
#define SETS_MAX 2u

/* Processor time of one thread; 0 if the system does not say. */
static uint64_t thread_ns(pid_t id) {
    char path[64];
    unsigned long long taken_ns = 0;
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", (int)id);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%llu", &taken_ns) != 1) {
            taken_ns = 0;
        }
        (void)fclose(file);
    }
    return taken_ns;
}

/* To the nanosecond, where the other is that of the last tick. */
static uint64_t caller_cpu_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct worked {
    uint32_t others;    /* threads besides the caller that worked */
    uint64_t caller_ns; /* and what the caller and all others took */
    uint64_t others_ns;
};

/* After a first training and a pause, so that what is done once is past. */
static struct worked watch_work(struct bm_conform_session *test) {
    static const struct timespec pause = {.tv_nsec = SETTLE_NS};
    struct tasks tasks;
    struct worked worked = {0};
    uint64_t before[TASK_MAX] = {0};
    pid_t caller = gettid();
    train(test);
    (void)nanosleep(&pause, NULL);
    list_tasks(&tasks);
    for (uint32_t i = 0; i < tasks.count; i++) {
        before[i] = thread_ns(tasks.ids[i]);
    }
    uint64_t start_ns = bm_conform_cpu_ns();
    uint64_t caller_start_ns = caller_cpu_ns();
    uint64_t all_ns = 0;
    for (uint32_t round = 0; round < WORK_ROUNDS_MAX && all_ns < WORK_NS; round++) {
        train(test);
        worked.caller_ns = caller_cpu_ns() - caller_start_ns;
        all_ns = bm_conform_cpu_ns() - start_ns;
    }
    worked.others_ns = all_ns > worked.caller_ns ? all_ns - worked.caller_ns : 0;
    for (uint32_t i = 0; i < tasks.count; i++) {
        uint64_t taken_ns = thread_ns(tasks.ids[i]) - before[i];
        worked.others += tasks.ids[i] != caller && taken_ns > WORKED_NS_MIN &&
                         (double)taken_ns > WORKED_SHARE_MIN * (double)all_ns;
    }
    return worked;
}

static void expect_budget(struct bm_conform_session *test, const char *layers, uint32_t threads) {
    const struct worked worked = watch_work(test);
    uint32_t most = SETS_MAX * (threads - 1);
    EXPECT(test->conform, worked.others <= most,
           "threads while \"%s\" trains with a budget of %u: expected at most %u that work besides "
           "the caller, found %u",
           layers, threads, most, worked.others);
    EXPECT(test->conform,
           threads > 1 || worked.others_ns <= WORKED_NS_MIN ||
               (double)worked.others_ns <= WORKED_SHARE_MIN * (double)worked.caller_ns,
           "threads while \"%s\" trains with a budget of 1: expected that the caller alone works "
           "(%.1f ms), found %.1f ms of processor time of other threads",
           layers, (double)worked.caller_ns / 1e6, (double)worked.others_ns / 1e6);
}

void bm_conform_behaviour_thread_budget(struct bm_conform *conform) {
    leave_to_driver(conform);
    for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
        for (size_t network = 0; network < NETWORK_COUNT; network++) {
            struct bm_conform_session *test = open_session(conform, network, threads);
            if (test != NULL) {
                expect_budget(test, networks[network], threads);
                bm_conform_close(test);
            }
        }
    }
}

/* ---- Where ---- */

static int is_among(const struct tasks *tasks, pid_t id) {
    for (uint32_t i = 0; i < tasks->count; i++) {
        if (tasks->ids[i] == id) {
            return 1;
        }
    }
    return 0;
}

/* Of the threads that have come since. */
static void
expect_inside(struct bm_conform *conform, const struct tasks *before, size_t processor) {
    struct tasks after;
    list_tasks(&after);
    for (uint32_t i = 0; i < after.count; i++) {
        cpu_set_t mask;
        if (is_among(before, after.ids[i]) ||
            sched_getaffinity(after.ids[i], sizeof mask, &mask) != 0) {
            continue;
        }
        EXPECT(conform, CPU_COUNT(&mask) == 1 && CPU_ISSET(processor, &mask),
               "a thread that a session started: expected it to stay inside the mask of the "
               "process, which is processor %zu alone, found a mask of %d processors%s",
               processor, CPU_COUNT(&mask), CPU_ISSET(processor, &mask) ? "" : " without that one");
    }
}

static size_t first_processor(const cpu_set_t *mask) {
    size_t processor = 0;
    while (processor < CPU_SETSIZE - 1 && !CPU_ISSET(processor, mask)) {
        processor++;
    }
    return processor;
}

/* The mask is made as small as it can be, before any session is created. */
void bm_conform_behaviour_thread_mask(struct bm_conform *conform) {
    struct tasks before;
    cpu_set_t whole;
    cpu_set_t one;
    leave_to_driver(conform);
    (void)sched_getaffinity(0, sizeof whole, &whole);
    size_t processor = first_processor(&whole);
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    EXPECT(conform, sched_setaffinity(0, sizeof one, &one) == 0, "the mask cannot be made smaller");
    list_tasks(&before);
    for (size_t network = 0; network < NETWORK_COUNT; network++) {
        struct bm_conform_session *test = open_session(conform, network, conform->thread_max);
        if (test != NULL) {
            train(test);
            expect_inside(conform, &before, processor);
            bm_conform_close(test);
        }
    }
    (void)sched_setaffinity(0, sizeof whole, &whole);
}

/* ---- Who uses it ---- */

/* A thread that uses a session of its own. It ends no case: the first call that fails is noted. */
struct user {
    const struct bm_conform_session *test; /* lends what the calls take */
    struct bm_session *session;            /* NULL: it makes one, and destroys it */
    float *params;                         /* after training */
    const char *failed;
    struct bm_error error;
};

static int is_ok(struct user *user, const char *call, int32_t status) {
    if (status != BM_STATUS_OK && user->failed == NULL) {
        user->failed = call;
    }
    return user->failed == NULL;
}

static void fill_session(struct user *user) {
    const struct bm_conform_session *test = user->test;
    const struct bm_plugin *plugin = test->plugin;
    struct bm_error *error = &user->error;
    (void)(is_ok(user, "create",
                 plugin->create(test->conform->device, &test->problem, &user->session, error)) &&
           is_ok(user, "bind_data",
                 plugin->bind_data(user->session, BM_SPLIT_TRAIN, &test->data, error)) &&
           is_ok(user, "set_order",
                 plugin->set_order(user->session, test->order, test->order_count, error)) &&
           is_ok(user, "write_params",
                 plugin->write_params(user->session, test->params, test->param_count, error)));
}

static void train_session(struct user *user) {
    const struct bm_plugin *plugin = user->test->plugin;
    struct bm_error *error = &user->error;
    for (uint64_t update = 1; update <= UPDATE_COUNT && user->failed == NULL; update++) {
        const struct bm_slice slice = bm_conform_slice(7 * update, 31, 0, update);
        const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.05, update);
        (void)(is_ok(user, "gradient", plugin->gradient(user->session, &slice, error)) &&
               is_ok(user, "apply", plugin->apply(user->session, &hyper, error)));
    }
    if (user->failed == NULL) {
        (void)is_ok(
            user, "read_params",
            plugin->read_params(user->session, user->params, user->test->param_count, error));
    }
}

static void *use(void *argument) {
    struct user *user = argument;
    int owns = user->session == NULL;
    if (owns) {
        fill_session(user);
    }
    train_session(user);
    if (owns) {
        user->test->plugin->destroy(user->session);
    }
    return NULL;
}

static void expect_same(const struct user *user, const struct user *alone, const char *how) {
    struct bm_conform *conform = user->test->conform;
    EXPECT(conform, user->failed == NULL, "%s in a session %s: expected OK, found status %d: %s",
           user->failed, how, user->error.code, user->error.text);
    for (uint64_t i = 0; i < user->test->param_count; i++) {
        EXPECT(conform, memcmp(&user->params[i], &alone->params[i], sizeof(float)) == 0,
               "parameters after %u updates in a session %s, %u threads: [%llu]: expected %a, as "
               "of a session alone, found %a",
               UPDATE_COUNT, how, user->test->problem.thread_count, (unsigned long long)i,
               (double)alone->params[i], (double)user->params[i]);
    }
}

static struct user *make_user(struct bm_conform_session *test) {
    struct user *user = bm_conform_allocate(test->conform, 1, sizeof *user);
    user->test = test;
    user->params = bm_conform_allocate(test->conform, test->param_count, sizeof *user->params);
    return user;
}

static void free_user(struct user *user) {
    free(user->params);
    free(user);
}

static void run_two(struct bm_conform_session *test) {
    struct user *alone = make_user(test);
    struct user *users[2] = {make_user(test), make_user(test)};
    pthread_t threads[2];
    (void)use(alone);
    expect_same(alone, alone, "alone");
    for (int i = 0; i < 2; i++) {
        EXPECT(test->conform, pthread_create(&threads[i], NULL, use, users[i]) == 0,
               "a thread of the case cannot be started");
    }
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 2; i++) {
        expect_same(users[i], alone, "beside another");
        free_user(users[i]);
    }
    free_user(alone);
}

/* On `test`'s own session, which this thread created and will destroy. */
static void run_other(struct bm_conform_session *test) {
    struct user *alone = make_user(test);
    struct user *user = make_user(test);
    pthread_t thread;
    (void)use(alone);
    expect_same(alone, alone, "alone");
    user->session = test->session;
    EXPECT(test->conform, pthread_create(&thread, NULL, use, user) == 0,
           "a thread of the case cannot be started");
    (void)pthread_join(thread, NULL);
    expect_same(user, alone, "that another thread created");
    free_user(user);
    free_user(alone);
}

static void run_all(struct bm_conform *conform, void (*run)(struct bm_conform_session *test)) {
    for (size_t network = 0; network < NETWORK_COUNT; network++) {
        for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
            struct bm_conform_session *test = open_session(conform, network, threads);
            if (test != NULL) {
                run(test);
                bm_conform_close(test);
            }
        }
    }
}

void bm_conform_behaviour_two_sessions(struct bm_conform *conform) {
    run_all(conform, run_two);
}

void bm_conform_behaviour_other_thread(struct bm_conform *conform) {
    run_all(conform, run_other);
}
