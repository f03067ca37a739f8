/* Several sessions as one: they find the gradient of one session and of the reference, keep the
 * same parameters, and an error of one is that of all. */
#include "check.h"
#include "parallel.h"
#include "session.h"
#include "test.h"
#include "test_bench.h"

#include <math.h>
#include <pthread.h>
#include <unistd.h>

#define PLAIN "dense 9, relu, dense 7, relu, dense 4"
#define BATCHNORM "dense 9, batchnorm, relu, dense 4"
#define SESSIONS 3u

static const struct bm_plugin *base;
static const uint32_t devices[SESSIONS] = {0, 1, 2};

/* ---- A backend of three devices, all of them device 0 of the base, that keeps what it is asked
 * ----
 */

struct made {
    struct bm_session *session;
    uint32_t thread_count;
    uint64_t batch_max;
    pthread_t thread;
};

static struct made made[SESSIONS]; /* by device */
static int32_t faulty_device;
static uint32_t calls_until_fault;

static int32_t device_of(const struct bm_session *session) {
    for (int32_t i = 0; i < (int32_t)SESSIONS; i++) {
        if (made[i].session == session) {
            return i;
        }
    }
    TEST_CHECK_MSG(0, "a session that was not made");
    return -1;
}

static int32_t own_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    TEST_CHECK(device < SESSIONS);
    return base->device_info(0, info, error);
}

static int32_t own_supports(uint32_t device,
                            const struct bm_problem *problem,
                            uint64_t *bytes,
                            struct bm_error *error) {
    TEST_CHECK(device < SESSIONS);
    return base->supports(0, problem, bytes, error);
}

static int32_t own_create(uint32_t device,
                          const struct bm_problem *problem,
                          struct bm_session **session,
                          struct bm_error *error) {
    TEST_CHECK(device < SESSIONS);
    int32_t status = base->create(0, problem, session, error);
    made[device] =
        (struct made){*session, problem->thread_count, problem->batch_max, pthread_self()};
    return status;
}

static struct bm_plugin three_devices(void) {
    struct bm_plugin table = *base;
    table.device_info = own_info;
    table.supports = own_supports;
    table.create = own_create;
    return table;
}

/* ---- Faults of one session ---- */

static int32_t fails_on(int32_t device, struct bm_error *error) {
    if (device != faulty_device || calls_until_fault-- > 0) {
        return BM_STATUS_OK;
    }
    calls_until_fault = 0;
    error->code = BM_STATUS_DEVICE_LOST;
    error->native_code = 5;
    (void)snprintf(error->text, sizeof error->text, "it fell off the bus");
    return BM_STATUS_DEVICE_LOST;
}

static int32_t fails(const struct bm_session *session, struct bm_error *error) {
    return fails_on(device_of(session), error);
}

static int32_t create_fails(uint32_t device,
                            const struct bm_problem *problem,
                            struct bm_session **session,
                            struct bm_error *error) {
    int32_t status = own_create(device, problem, session, error);
    if (status == BM_STATUS_OK && fails_on((int32_t)device, error) != BM_STATUS_OK) {
        base->destroy(*session);
        *session = NULL;
        return BM_STATUS_NO_MEMORY;
    }
    return status;
}

static int32_t
gradient_fails(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    int32_t status = fails(session, error);
    return status == BM_STATUS_OK ? base->gradient(session, slice, error) : status;
}

static int32_t read_gradient_fails(struct bm_session *session,
                                   float *values,
                                   uint64_t count,
                                   struct bm_error *error) {
    int32_t status = fails(session, error);
    return status == BM_STATUS_OK ? base->read_gradient(session, values, count, error) : status;
}

static int32_t write_gradient_fails(struct bm_session *session,
                                    const float *values,
                                    uint64_t count,
                                    struct bm_error *error) {
    int32_t status = fails(session, error);
    return status == BM_STATUS_OK ? base->write_gradient(session, values, count, error) : status;
}

static int32_t
apply_fails(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    int32_t status = fails(session, error);
    return status == BM_STATUS_OK ? base->apply(session, hyper, error) : status;
}

static int32_t wait_fails(struct bm_session *session, double *loss, struct bm_error *error) {
    int32_t status = fails(session, error);
    return status == BM_STATUS_OK ? base->wait(session, loss, error) : status;
}

/* Steps a little farther on one device: no error, but what data-parallel training must not do. */
static int32_t
apply_drifts(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    struct bm_hyper own = *hyper;
    own.rate *= device_of(session) == faulty_device ? 1.001 : 1;
    return base->apply(session, &own, error);
}

/* ---- Helpers ---- */

static struct bm_test_bench_spec
make_spec(const char *layers, uint64_t batch, uint32_t optimizer, uint32_t sessions) {
    return (struct bm_test_bench_spec){.layers = layers,
                                       .input = {1, 5, 5},
                                       .image_count = 200,
                                       .optimizer = optimizer,
                                       .batch = batch,
                                       .data_parallel = sessions};
}

static void check_ok(int32_t status, const struct bm_test_bench *test) {
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", test->error.text);
}

static void
must_gradient(struct bm_test_bench *test, uint64_t first, uint64_t count, uint32_t flags) {
    struct bm_slice slice = {.size = sizeof slice,
                             .flags = flags,
                             .first = first,
                             .count = count,
                             .update = 1,
                             .divisor = 10};
    check_ok(test->bench.plugin->gradient(test->bench.session, &slice, &test->error), test);
}

static void must_apply(struct bm_test_bench *test) {
    check_ok(bm_bench_apply(&test->bench, &test->error), test);
}

static float *allocate(uint64_t count) {
    float *values = calloc(count + 1, sizeof *values);
    TEST_CHECK(values != NULL);
    return values;
}

/* Parameters, gradient and loss, within some float32 roundings of numbers near 1. */
static void check_alike(struct bm_test_bench *found, struct bm_test_bench *expected) {
    uint64_t count = found->bench.param_count;
    float *values = allocate(2 * count);
    float *wanted = allocate(2 * count);
    struct bm_test_bench *tests[] = {found, expected};
    double losses[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct bm_test_bench *test = tests[i];
        float *into = i == 0 ? values : wanted;
        check_ok(bm_bench_wait(&test->bench, &losses[i], &test->error), test);
        check_ok(bm_bench_read_gradient(&test->bench, into, &test->error), test);
        check_ok(bm_bench_read_params(&test->bench, into + count, &test->error), test);
    }
    for (uint64_t i = 0; i < 2 * count; i++) {
        float scale = 1 + fabsf(wanted[i]);
        TEST_CHECK_MSG(fabsf(values[i] - wanted[i]) <= 4e-6f * scale,
                       "value %llu: found %.9g, expected %.9g", (unsigned long long)i,
                       (double)values[i], (double)wanted[i]);
    }
    TEST_CHECK_MSG(fabs(losses[0] - losses[1]) <= 4e-6 * (1 + losses[1]),
                   "loss: found %.9g, expected %.9g", losses[0], losses[1]);
    free(values);
    free(wanted);
}

/* ---- Against the reference ---- */

static void check_case(const struct bm_test_bench_spec *spec) {
    struct bm_check_result result;
    struct bm_test_bench *test = bm_test_bench_create(base, spec);
    check_ok(bm_check_run(&test->bench, test->entry, &result, &test->error), test);
    TEST_CHECK_MSG(!result.wrong, "%s, %s, %u sessions, batch %llu in slices of %llu: %s",
                   base->name, spec->layers, spec->data_parallel, (unsigned long long)spec->batch,
                   (unsigned long long)spec->micro_batch, result.reason);
    TEST_CHECK(result.ratio > 0 && result.ratio <= 1);
    bm_test_bench_destroy(test);
}

static void test_reference(void) {
    static const char *const layers[] = {PLAIN, BATCHNORM,
                                         "conv 3 3x3 pad 1, batchnorm, relu, maxpool 2, dense 4",
                                         "dense 9, relu, dropout 0.5, dense 4"};
    static const uint64_t batches[] = {1, 2, 3, 5, 7, 64};
    static const uint32_t optimizers[] = {BM_OPTIMIZER_SGD, BM_OPTIMIZER_MOMENTUM,
                                          BM_OPTIMIZER_ADAM};
    for (size_t l = 0; l < sizeof layers / sizeof layers[0]; l++) {
        for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
            for (uint32_t n = 1; n <= SESSIONS; n++) {
                struct bm_test_bench_spec spec =
                    make_spec(layers[l], batches[b], optimizers[n - 1], n);
                check_case(&spec);
                spec.micro_batch = 5;
                check_case(&spec);
            }
        }
    }
}

static int32_t
gradient_of_one(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    if (slice->count == 1) {
        error->code = BM_STATUS_UNSUPPORTED;
        (void)snprintf(error->text, sizeof error->text, "a batch norm of one value");
        return BM_STATUS_UNSUPPORTED;
    }
    return base->gradient(session, slice, error);
}

/* A library may refuse to normalize a single value: the check asks no session for that unless the
 * batch does. */
static void test_single_values(void) {
    struct bm_plugin table = *base;
    struct bm_check_result result;
    struct bm_test_bench_spec spec = make_spec(BATCHNORM, 6, 0, SESSIONS);
    table.gradient = gradient_of_one;
    struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
    check_ok(bm_check_run(&test->bench, test->entry, &result, &test->error), test);
    TEST_CHECK_MSG(!result.wrong, "%s", result.reason);
    bm_test_bench_destroy(test);
}

/* ---- Against one session ---- */

/* One that takes the same parts one after the other. */
static void test_one_session(void) {
    static const char *const layers[] = {PLAIN, BATCHNORM};
    static const uint64_t batches[] = {1, 2, 3, 5, 7, 64};
    for (size_t l = 0; l < 2; l++) {
        for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
            for (uint32_t n = 2; n <= SESSIONS; n++) {
                struct bm_test_bench_spec spec = make_spec(layers[l], batches[b], 0, n);
                struct bm_test_bench *found = bm_test_bench_create(base, &spec);
                spec.micro_batch = bm_parallel_share(batches[b], n);
                spec.data_parallel = 1;
                struct bm_test_bench *expected = bm_test_bench_create(base, &spec);
                struct bm_test_bench *tests[] = {found, expected};
                for (uint32_t i = 0; i < 2; i++) {
                    check_ok(bm_bench_gradient(&tests[i]->bench, batches[b], &tests[i]->error),
                             tests[i]);
                }
                check_alike(found, expected);
                bm_test_bench_destroy(found);
                bm_test_bench_destroy(expected);
            }
        }
    }
}

/* What is accumulated before and after the sum, by slices of which some sessions have nothing. */
static void test_accumulate(void) {
    for (uint32_t summed = 0; summed < 4; summed++) {
        struct bm_test_bench_spec spec = make_spec(PLAIN, 64, BM_OPTIMIZER_MOMENTUM, SESSIONS);
        struct bm_test_bench *found = bm_test_bench_create(base, &spec);
        spec.data_parallel = 1;
        struct bm_test_bench *expected = bm_test_bench_create(base, &spec);
        struct bm_test_bench *tests[] = {found, expected};
        float *values = allocate(found->bench.param_count);
        for (uint32_t i = 0; i < 2; i++) {
            must_gradient(tests[i], 40, 9, 0); /* replaced */
            must_gradient(tests[i], 0, 7, 0);
            if ((summed & 1) != 0) {
                check_ok(bm_bench_read_gradient(&tests[i]->bench, values, &tests[i]->error),
                         tests[i]);
            }
            must_gradient(tests[i], 7, 1, BM_SLICE_ACCUMULATE);
            if ((summed & 2) != 0) {
                must_apply(tests[i]);
                must_apply(tests[i]);
            }
            must_gradient(tests[i], 8, 5, BM_SLICE_ACCUMULATE);
        }
        check_alike(found, expected);
        for (uint32_t i = 0; i < 2; i++) {
            must_apply(tests[i]);
            check_ok(tests[i]->bench.plugin->write_gradient(tests[i]->bench.session, values,
                                                            found->bench.param_count,
                                                            &tests[i]->error),
                     tests[i]);
            must_gradient(tests[i], 13, 2, BM_SLICE_ACCUMULATE);
        }
        check_alike(found, expected);
        for (uint32_t i = 0; i < 2; i++) {
            must_gradient(tests[i], 20, 4, 0); /* nothing of all that is left */
        }
        check_alike(found, expected);
        bm_test_bench_destroy(found);
        bm_test_bench_destroy(expected);
        free(values);
    }
}

/* Every session has seen other images; for USE_RUNNING they take those of session 0. */
static void test_running_statistics(void) {
    struct bm_test_bench_spec spec = make_spec(BATCHNORM, 64, 0, SESSIONS);
    struct bm_test_bench *found = bm_test_bench_create(base, &spec);
    spec.data_parallel = 1;
    struct bm_test_bench *expected = bm_test_bench_create(base, &spec);
    uint64_t count = found->bench.statistics_count;
    float *statistics = allocate(count);
    must_gradient(found, 0, 64, 0);
    check_ok(
        bm_bench_read_state(&found->bench, BM_STATE_STATISTICS, statistics, count, &found->error),
        found);
    /* As those of one session that has seen a third of the slice. */
    float *third = allocate(count);
    must_gradient(expected, 0, 22, 0);
    check_ok(
        bm_bench_read_state(&expected->bench, BM_STATE_STATISTICS, third, count, &expected->error),
        expected);
    TEST_CHECK(memcmp(statistics, third, count * sizeof *third) == 0);
    must_gradient(found, 3, 20, BM_SLICE_USE_RUNNING);
    must_gradient(expected, 3, 20, BM_SLICE_USE_RUNNING);
    check_alike(found, expected);
    free(statistics);
    free(third);
    bm_test_bench_destroy(found);
    bm_test_bench_destroy(expected);
}

/* ---- The same everywhere ---- */

static void check_equal_sessions(struct bm_test_bench *test) {
    uint64_t count = test->bench.param_count;
    float *first = allocate(count);
    float *other = allocate(count);
    check_ok(bm_bench_read_params(&test->bench, first, &test->error), test);
    TEST_CHECK(memcmp(first, test->bench.start, count * sizeof *first) != 0);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        check_ok(base->read_params(made[i].session, other, count, &test->error), test);
        TEST_CHECK_MSG(memcmp(first, other, count * sizeof *first) == 0,
                       "the parameters of session %u differ", i);
    }
    free(first);
    free(other);
}

static void test_same_parameters(void) {
    static const uint32_t optimizers[] = {BM_OPTIMIZER_MOMENTUM, BM_OPTIMIZER_ADAM};
    struct bm_plugin table = three_devices();
    for (uint32_t o = 0; o < 2; o++) {
        struct bm_test_bench_spec spec = make_spec(BATCHNORM, 7, optimizers[o], SESSIONS);
        spec.devices = devices;
        struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
        for (uint32_t i = 0; i < 20; i++) {
            check_ok(bm_bench_update(&test->bench, &test->error), test);
        }
        check_ok(bm_bench_wait(&test->bench, NULL, &test->error), test);
        check_equal_sessions(test);
        bm_test_bench_destroy(test);
    }
}

/* The batch, the thread budget and the threads are divided. */
static void test_division(void) {
    static const uint32_t budgets[][2] = {{1, 1}, {2, 1}, {3, 1}, {5, 1}, {6, 2}, {64, 21}};
    struct bm_plugin table = three_devices();
    struct bm_test_bench_spec spec = make_spec(PLAIN, 7, 0, SESSIONS);
    spec.devices = devices;
    struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
    char text[4096];
    check_ok(test->bench.plugin->describe(test->bench.session, text, sizeof text, &test->error),
             test);
    TEST_CONTAINS(text, "data_parallel=3\nthreads_each=1\ndevices=0,1,2\n");
    /* Cut, and still terminated. */
    check_ok(test->bench.plugin->describe(test->bench.session, text, 12, &test->error), test);
    TEST_CHECK_STR(text, "data_parall");
    for (uint32_t i = 0; i < SESSIONS; i++) {
        TEST_CHECK(made[i].batch_max == 3);
        for (uint32_t k = 0; k < i; k++) {
            TEST_CHECK(!pthread_equal(made[i].thread, made[k].thread));
        }
    }
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        struct bm_session *session = NULL;
        struct bm_problem problem = test->bench.problem;
        problem.thread_count = budgets[i][0];
        check_ok(bm_parallel_create(&test->bench.parallel, &problem, &session, &test->error), test);
        TEST_CHECK(bm_parallel_threads(budgets[i][0], SESSIONS) == budgets[i][1]);
        for (uint32_t k = 0; k < SESSIONS; k++) {
            TEST_CHECK(made[k].thread_count == budgets[i][1]);
        }
        test->bench.plugin->destroy(session);
    }
    bm_test_bench_destroy(test);
}

static void test_share(void) {
    static const uint64_t cases[][3] = {{1, 2, 1}, {2, 2, 1}, {5, 4, 2}, {7, 3, 3}, {64, 3, 22}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TEST_CHECK(bm_parallel_share(cases[i][0], (uint32_t)cases[i][1]) == cases[i][2]);
    }
}

/* ---- Errors ---- */

static void check_lost(const struct bm_test_bench *test, int32_t status) {
    char expected[64];
    (void)snprintf(expected, sizeof expected, "session %d: it fell off the bus", faulty_device);
    TEST_CHECK_MSG(status == BM_STATUS_DEVICE_LOST, "expected a lost device, found status %d",
                   status);
    TEST_CHECK(test->error.native_code == 5);
    TEST_CHECK_STR(test->error.text, expected);
}

/* Whatever call fails, in whatever session: it is that call's error and that of all after it. */
static void test_lost_device(void) {
    static const struct bm_plugin faults[] = {
        {.gradient = gradient_fails},
        {.read_gradient = read_gradient_fails},
        {.write_gradient = write_gradient_fails},
        {.apply = apply_fails},
        {.wait = wait_fails},
    };
    float value = 0;
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
        for (faulty_device = 0; faulty_device < (int32_t)SESSIONS; faulty_device++) {
            struct bm_plugin table = three_devices();
            const struct bm_plugin *fault = &faults[f];
            table.gradient = fault->gradient ? fault->gradient : table.gradient;
            table.read_gradient = fault->read_gradient ? fault->read_gradient : table.read_gradient;
            table.write_gradient =
                fault->write_gradient ? fault->write_gradient : table.write_gradient;
            table.apply = fault->apply ? fault->apply : table.apply;
            table.wait = fault->wait ? fault->wait : table.wait;
            struct bm_test_bench_spec spec = make_spec(PLAIN, 7, 0, SESSIONS);
            spec.devices = devices;
            struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
            struct bm_bench *bench = &test->bench;
            calls_until_fault = 2;
            int32_t status = BM_STATUS_OK;
            uint32_t updates = 0;
            for (; updates < 9 && status == BM_STATUS_OK; updates++) {
                status = bm_bench_update(bench, &test->error);
                status = status ? status : bm_bench_wait(bench, NULL, &test->error);
            }
            check_lost(test, status);
            TEST_CHECK(updates == 3);
            check_lost(test, bm_bench_gradient(bench, 7, &test->error));
            check_lost(test, bm_bench_wait(bench, NULL, &test->error));
            check_lost(test, bm_bench_read_params(bench, &value, &test->error));
            check_lost(test, bm_bench_set_order(bench, bench->order, 9, &test->error));
            bm_test_bench_destroy(test);
        }
    }
}

static void test_create_fails(void) {
    struct bm_plugin table = three_devices();
    struct bm_test_bench_spec spec = make_spec(PLAIN, 7, 0, SESSIONS);
    spec.devices = devices;
    struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
    table.create = create_fails;
    for (faulty_device = 0; faulty_device < (int32_t)SESSIONS; faulty_device++) {
        struct bm_session *session = NULL;
        calls_until_fault = 0;
        memset(made, 0, sizeof made);
        TEST_CHECK(bm_parallel_create(&test->bench.parallel, &test->bench.problem, &session,
                                      &test->error) == BM_STATUS_NO_MEMORY);
        TEST_CHECK(session == NULL);
        TEST_CONTAINS(test->error.text, "it fell off the bus");
    }
    faulty_device = -1;
    test->bench.plugin->destroy(NULL);
    bm_test_bench_destroy(test);
}

static void test_drift(void) {
    struct bm_plugin table = three_devices();
    struct bm_test_bench_spec spec = make_spec(PLAIN, 7, BM_OPTIMIZER_MOMENTUM, SESSIONS);
    table.apply = apply_drifts;
    spec.devices = devices;
    faulty_device = 2;
    struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
    float *values = allocate(test->bench.param_count);
    check_ok(bm_bench_read_params(&test->bench, values, &test->error), test);
    check_ok(bm_bench_update(&test->bench, &test->error), test);
    TEST_CHECK(bm_bench_read_params(&test->bench, values, &test->error) == BM_STATUS_INTERNAL);
    TEST_CONTAINS(test->error.text, "sessions drifted apart: parameter ");
    faulty_device = -1;
    free(values);
    bm_test_bench_destroy(test);
}

static void test_refusals(void) {
    struct bm_plugin table = three_devices();
    struct bm_test_bench_spec spec = make_spec(PLAIN, 7, 0, SESSIONS);
    spec.devices = devices;
    struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
    struct bm_bench *bench = &test->bench;
    float *values = allocate(bench->param_count);
    uint64_t bytes = 0;
    TEST_CHECK(bm_bench_apply(bench, &test->error) == BM_STATUS_INVALID);
    TEST_CHECK(bm_bench_read_gradient(bench, values, &test->error) == BM_STATUS_INVALID);
    struct bm_slice slice = {
        .size = sizeof slice, .flags = BM_SLICE_ACCUMULATE, .count = 1, .update = 1, .divisor = 1};
    TEST_CHECK(bench->plugin->gradient(bench->session, &slice, &test->error) == BM_STATUS_INVALID);
    /* A refusal of ours is not an error of a session. */
    check_ok(bm_bench_update(bench, &test->error), test);
    TEST_CHECK(bm_bench_read_gradient(bench, values, &test->error) == BM_STATUS_INVALID);
    check_ok(bm_bench_update(bench, &test->error), test);
    TEST_CHECK(bench->plugin->updates == NULL && bench->plugin->device_time == NULL);
    check_ok(bm_parallel_supports(&bench->parallel, &bench->problem, &bytes, &test->error), test);
    struct bm_problem own = bench->problem;
    uint64_t each = 0;
    own.batch_max = 3;
    check_ok(base->supports(0, &own, &each, &test->error), test);
    TEST_CHECK(bytes == SESSIONS * each && bench->bytes == bytes);
    table.write_gradient = NULL;
    TEST_CHECK(bm_parallel_supports(&bench->parallel, &bench->problem, &bytes, &test->error) ==
               BM_STATUS_UNSUPPORTED);
    TEST_CONTAINS(test->error.text, "expected a plugin with write_gradient");
    free(values);
    bm_test_bench_destroy(test);
}

/* ---- All plugins of the processor ---- */

static void test_plugin(const char *name) {
    char path[4096];
    struct bm_error error;
    uint32_t count = 0;
    (void)snprintf(path, sizeof path, "%s/bm_%s.so", bm_test_env("BM_TEST_PLUGIN_DIR"), name);
    if (access(path, R_OK) != 0) {
        return;
    }
    base = bm_test_plugin(name);
    if (base->device_count(&count, &error) != BM_STATUS_OK || count == 0) {
        return;
    }
    test_reference();
    test_one_session();
    test_accumulate();
    test_running_statistics();
    test_same_parameters();
}

int main(void) {
    test_share();
    test_plugin("avx2");
    test_plugin("avx512");
    test_plugin("scalar");
    TEST_CHECK(base != NULL);
    test_single_values();
    test_division();
    test_lost_device();
    test_create_fails();
    test_drift();
    test_refusals();
    return 0;
}
