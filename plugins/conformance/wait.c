/* What holds when wait returns. */
#include "cases.h"
#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char rich[] = "conv 6 3x3 pad 1, batchnorm, relu, maxpool 2, dense 33, dropout 0.5, "
                           "dense 4";
static const char simple[] = "dense 33, relu, dense 4";

static struct bm_conform_session *
open_session(struct bm_conform *conform, const char *layers, uint32_t threads) {
    const struct bm_conform_spec spec = {.layers = layers,
                                         .input = {2, 8, 8},
                                         .optimizer = BM_OPTIMIZER_SGD,
                                         .thread_count = threads,
                                         .batch_max = 64,
                                         .image_count = 128};
    return bm_conform_open(conform, &spec);
}

/* ---- Nothing goes on ---- */

/* Threads of a library may spin for a while before they sleep, 30 ms of a processor each (OpenBLAS,
 * libgomp): how soon they do is a property. Work that goes on is more than that. */
#define WORK_NS UINT64_C(250000000)
#define PAUSE_NS 400000000
#define LEFT_MAX 0.5
#define LEFT_NS_MIN UINT64_C(50000000)
#define REST_NS 20000000
#define REST_CPU_NS_MAX UINT64_C(5000000)
#define REST_TRIES 2u

static const uint64_t rest_counts[] = {64, 256, 1024, 4096};

/* Updates of `count` images, one wait; the processor time until then. */
static uint64_t
work(struct bm_conform_session *test, uint64_t count, uint64_t repeats, uint64_t update) {
    const struct bm_slice slice = bm_conform_slice(0, count, 0, update);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 1e-4, update);
    uint64_t start_ns = bm_conform_cpu_ns();
    for (uint64_t i = 0; i < repeats; i++) {
        CALL(test, bm_conform_update(test, &slice, &hyper));
    }
    CALL(test, test->plugin->wait(test->session, NULL, &test->error));
    return bm_conform_cpu_ns() - start_ns;
}

static void sleep_for(long nanoseconds) {
    struct timespec left = {.tv_nsec = nanoseconds};
    while (nanosleep(&left, &left) != 0) {
    }
}

/* Processor time of this process in 20 ms in which it has nothing to do. */
static uint64_t rest(void) {
    uint64_t start_ns = bm_conform_cpu_ns();
    sleep_for(REST_NS);
    return bm_conform_cpu_ns() - start_ns;
}

struct found {
    double left; /* of the processor time of the work, what was taken in the pause after wait */
    uint64_t rest_ns;
};

/* The least of several tries: what a process does once, such as ending a thread, is no fault. */
static struct found
least_rest(struct bm_conform_session *test, uint64_t count, uint64_t repeats, long pause_ns) {
    struct found least = {1, UINT64_MAX};
    for (uint32_t i = 0; i < REST_TRIES; i++) {
        uint64_t work_ns = work(test, count, repeats, i + 2);
        uint64_t start_ns = bm_conform_cpu_ns();
        sleep_for(pause_ns);
        uint64_t after_ns = bm_conform_cpu_ns() - start_ns;
        uint64_t rest_ns = rest();
        double left = after_ns < LEFT_NS_MIN ? 0 : (double)after_ns / (double)(work_ns + after_ns);
        least.left = left < least.left ? left : least.left;
        least.rest_ns = rest_ns < least.rest_ns ? rest_ns : least.rest_ns;
    }
    return least;
}

/* The smallest batch that is work enough; several of the largest where even that is none. */
static void find_work(struct bm_conform_session *test, uint64_t *count, uint64_t *repeats) {
    uint64_t spent_ns = 0;
    *repeats = 1;
    for (size_t i = 0; i < COUNT(rest_counts) && spent_ns < WORK_NS; i++) {
        *count = rest_counts[i];
        (void)work(test, *count, 1, 1); /* the first of a count may prepare */
        spent_ns = work(test, *count, 1, 1);
    }
    while (spent_ns < WORK_NS && *repeats < 64) {
        *repeats *= 2;
        spent_ns = work(test, *count, *repeats, 1);
    }
}

/* Ends the case if the process is not at rest after a pause; the most that was found. */
static uint64_t expect_rest(struct bm_conform *conform, uint32_t threads, long pause_ns) {
    const struct bm_conform_spec spec = {.layers = "dense 128, relu, dense 64, relu, dense 4",
                                         .input = {1, 16, 16},
                                         .optimizer = BM_OPTIMIZER_SGD,
                                         .thread_count = threads,
                                         .batch_max = 4096,
                                         .image_count = 128,
                                         .order_count = 4096};
    struct bm_conform_session *test = bm_conform_open(conform, &spec);
    uint64_t count = 0;
    uint64_t repeats = 0;
    if (test == NULL) {
        return 0;
    }
    find_work(test, &count, &repeats);
    const struct found found = least_rest(test, count, repeats, pause_ns);
    EXPECT(
        conform, found.left <= LEFT_MAX,
        "wait after %llu updates of %llu images, %u threads: expected the work to be done, found "
        "%.0f %% of its processor time taken after wait, each of %u times",
        (unsigned long long)repeats, (unsigned long long)count, test->problem.thread_count,
        100 * found.left, REST_TRIES);
    EXPECT(conform, found.rest_ns <= REST_CPU_NS_MAX,
           "wait after %llu updates of %llu images, %u threads: expected at most %.0f ms of "
           "processor time from %ld to %ld ms after it, found %.1f ms or more each of %u times",
           (unsigned long long)repeats, (unsigned long long)count, test->problem.thread_count,
           (double)REST_CPU_NS_MAX / 1e6, pause_ns / 1000000, (pause_ns + REST_NS) / 1000000,
           (double)found.rest_ns / 1e6, REST_TRIES);
    bm_conform_close(test);
    return found.rest_ns;
}

static void watch_rest(struct bm_conform *conform, long pause_ns) {
    uint64_t most_ns = expect_rest(conform, 1, pause_ns);
    if (conform->thread_max > 1) {
        uint64_t found_ns = expect_rest(conform, conform->thread_max, pause_ns);
        most_ns = found_ns > most_ns ? found_ns : most_ns;
    }
    bm_conform_note(conform, "%.2f ms of processor time from %ld to %ld ms after wait",
                    (double)most_ns / 1e6, pause_ns / 1000000, (pause_ns + REST_NS) / 1000000);
}

void bm_conform_wait_sleeps(struct bm_conform *conform) {
    watch_rest(conform, PAUSE_NS);
}

/* plugin.h asks the plugin's own threads for 1 ms; most of the 20 must be at rest. */
void bm_conform_property_sleeps_at_once(struct bm_conform *conform) {
    watch_rest(conform, 0);
}

/* ---- All is there ---- */

static void train(struct bm_conform_session *test) {
    for (uint64_t update = 1; update <= 4; update++) {
        const struct bm_slice slice = bm_conform_slice(update, 33, 0, update);
        const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.05, update);
        CALL(test, bm_conform_update(test, &slice, &hyper));
    }
}

static void
expect_params(struct bm_conform_session *test, const float *expected, const char *when) {
    bm_conform_read_params(test);
    for (uint64_t i = 0; i < test->param_count; i++) {
        EXPECT(test->conform, memcmp(&expected[i], &test->found[i], sizeof(float)) == 0,
               "parameters %s, %u threads: [%llu]: expected %a, as right after wait, found %a",
               when, test->problem.thread_count, (unsigned long long)i, (double)expected[i],
               (double)test->found[i]);
    }
}

static void expect_loss(struct bm_conform_session *test, double expected, const char *when) {
    double found = NAN;
    CALL(test, test->plugin->wait(test->session, &found, &test->error));
    EXPECT(test->conform, memcmp(&expected, &found, sizeof found) == 0,
           "wait %s, %u threads: loss: expected %a, as at first, found %a", when,
           test->problem.thread_count, expected, found);
}

static void check_values(struct bm_conform_session *test) {
    const struct bm_plugin *plugin = test->plugin;
    float *first = bm_conform_allocate(test->conform, test->param_count, sizeof *first);
    double loss = NAN;
    train(test);
    CALL(test, plugin->wait(test->session, NULL, &test->error));
    CALL(test, plugin->read_params(test->session, first, test->param_count, &test->error));
    (void)rest();
    expect_params(test, first, "20 ms after wait");
    CALL(test, plugin->wait(test->session, &loss, &test->error));
    expect_params(test, first, "after a second wait");
    expect_loss(test, loss, "once more");
    CALL(test, plugin->wait(test->session, NULL, &test->error));
    expect_loss(test, loss, "after one that reads nothing back");
    free(first);
}

void bm_conform_wait_values(struct bm_conform *conform) {
    const char *const networks[] = {rich, simple};
    for (size_t i = 0; i < COUNT(networks); i++) {
        for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
            struct bm_conform_session *test = open_session(conform, networks[i], threads);
            if (test != NULL) {
                check_values(test);
                bm_conform_close(test);
            }
        }
    }
}

/* ---- The loss ---- */

/* The reference's loss of a slice at the session's parameters, and how far one may be from it. */
struct expected {
    double loss;
    double bound;
};

static struct expected expect_slice(struct bm_conform_session *test, const struct bm_slice *slice) {
    struct bm_reference reference;
    bm_conform_read_params(test);
    const struct bm_precision *precision = &test->conform->info.precisions[0];
    const struct bm_reference_request request = {.model = &test->model,
                                                 .data = &test->data,
                                                 .order = test->order + slice->first,
                                                 .count = slice->count,
                                                 .divisor = slice->divisor,
                                                 .update = slice->update,
                                                 .seed = test->problem.seed,
                                                 .flags = slice->flags & ~BM_SLICE_ACCUMULATE,
                                                 .thread_count = 1,
                                                 .multiply_roundoff = precision->multiply_roundoff,
                                                 .accumulate_roundoff =
                                                     precision->accumulate_roundoff,
                                                 .params = test->found};
    CALL(test, bm_reference_gradient(&request, &reference, &test->error));
    const struct expected expected = {reference.loss, reference.loss_bound};
    bm_reference_free(&reference);
    return expected;
}

static void
check_loss(struct bm_conform_session *test, const struct expected *expected, const char *after) {
    double found = NAN;
    CALL(test, test->plugin->wait(test->session, &found, &test->error));
    EXPECT(test->conform, fabs(found - expected->loss) <= expected->bound,
           "wait after %s, %u threads: loss: expected %.9g within %.2g, found %.9g", after,
           test->problem.thread_count, expected->loss, expected->bound, found);
}

static void check_accumulated(struct bm_conform_session *test) {
    const struct bm_plugin *plugin = test->plugin;
    struct bm_slice first = bm_conform_slice(3, 20, 0, 1);
    struct bm_slice second = bm_conform_slice(70, 13, BM_SLICE_ACCUMULATE, 1);
    first.divisor = second.divisor = 33;
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.05, 1);
    struct expected sum = expect_slice(test, &first);
    const struct expected more = expect_slice(test, &second);
    CALL(test, plugin->gradient(test->session, &first, &test->error));
    check_loss(test, &sum, "gradient");
    CALL(test, plugin->gradient(test->session, &second, &test->error));
    sum.loss += more.loss;
    sum.bound += more.bound;
    check_loss(test, &sum, "gradient with ACCUMULATE");
    CALL(test, plugin->apply(test->session, &hyper, &test->error));
    check_loss(test, &sum, "apply");
}

/* At the parameters before the step; a divisor other than the count. */
static void check_update(struct bm_conform_session *test) {
    struct bm_slice slice = bm_conform_slice(11, 37, 0, 2);
    const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.5, 2);
    slice.divisor = 5;
    const struct expected expected = expect_slice(test, &slice);
    CALL(test, bm_conform_update(test, &slice, &hyper));
    check_loss(test, &expected, "update");
}

/* Of the last one: at the parameters that the others leave, which the same calls leave again. */
static void check_updates(struct bm_conform_session *test) {
    enum { UPDATES = 3 };
    const struct bm_plugin *plugin = test->plugin;
    const struct bm_slice slice = bm_conform_slice(5, 19, 0, 3);
    const struct bm_slice last =
        bm_conform_slice(5 + (UPDATES - 1) * slice.count, slice.count, 0, 3 + UPDATES - 1);
    struct bm_hyper hyper[UPDATES];
    if (plugin->updates == NULL) {
        return;
    }
    for (uint64_t k = 0; k < UPDATES; k++) {
        hyper[k] = bm_optimizer_defaults(BM_OPTIMIZER_SGD, 0.2, 3 + k);
    }
    CALL(test, plugin->write_params(test->session, test->params, test->param_count, &test->error));
    CALL(test,
         plugin->updates(test->session, &slice, UPDATES - 1, hyper, sizeof *hyper, &test->error));
    const struct expected expected = expect_slice(test, &last);
    CALL(test, plugin->write_params(test->session, test->params, test->param_count, &test->error));
    CALL(test, plugin->updates(test->session, &slice, UPDATES, hyper, sizeof *hyper, &test->error));
    check_loss(test, &expected, "updates");
}

void bm_conform_wait_loss(struct bm_conform *conform) {
    static const char *const networks[] = {"conv 6 3x3 pad 1, relu, maxpool 2, dense 4",
                                           "dense 33, relu, dense 4",
                                           "dense 33, relu, dropout 0.5, dense 4"};
    for (size_t i = 0; i < COUNT(networks); i++) {
        for (uint32_t threads = 1; threads <= conform->thread_max; threads++) {
            struct bm_conform_session *test = open_session(conform, networks[i], threads);
            if (test != NULL) {
                check_accumulated(test);
                check_update(test);
                check_updates(test);
                bm_conform_close(test);
            }
        }
    }
}
