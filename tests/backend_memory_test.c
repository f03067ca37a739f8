/* Memory of a backend's session: the n-th allocation of create fails, for n = 1, 2, ... until
 * success, and nothing is left behind; after every count has been met, training and evaluation
 * allocate nothing.
 *
 * A plugin answers for its own allocations only. One that works through a library or a driver,
 * which allocate when and how they like and may end the process when they cannot, is not held to
 * this: it names its library in `describe` (library=...), or its device is not the processor. */
#include "allocator/allocator.h"
#include "session.h"
#include "test.h"

static const char *const networks[] = {
    "conv 6 3x3 pad 1, batchnorm, relu, maxpool 2, dense 65, dropout 0.5, dense 4",
    "dense 13, relu, dense 4",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct bm_test_session *
open_test(const char *plugin, const char *layers, uint32_t optimizer, uint32_t thread_count) {
    const struct bm_test_session_spec spec = {.plugin = plugin,
                                              .layers = layers,
                                              .input = {2, 8, 8},
                                              .optimizer = optimizer,
                                              .thread_count = thread_count,
                                              .batch_max = 64,
                                              .image_count = 200};
    return bm_test_session_try(&spec);
}

static int names_library(struct bm_test_session *test) {
    char text[4096];
    TEST_CHECK(test->plugin->describe(test->session, text, sizeof text, &test->error) == 0);
    return strncmp(text, "library=", 8) == 0 || strstr(text, "\nlibrary=") != NULL;
}

static void skip_exempt(const char *plugin) {
    struct bm_device_info info = {.size = sizeof info};
    for (size_t i = 0; i < COUNT(networks); i++) {
        struct bm_test_session *test = open_test(plugin, networks[i], BM_OPTIMIZER_SGD, 1);
        if (test == NULL) {
            continue;
        }
        TEST_CHECK(test->plugin->device_info(0, &info, &test->error) == BM_STATUS_OK);
        if (names_library(test)) {
            TEST_SKIP("a library below the plugin allocates");
        }
        bm_test_session_destroy(test);
    }
    if (info.kind != BM_DEVICE_KIND_CPU) {
        TEST_SKIP("a driver below the plugin allocates");
    }
}

/* With one thread: glibc keeps the memory of a thread that has ended for the next. */
static void test_failing_create(const char *plugin, const char *layers, uint32_t optimizer) {
    struct bm_test_session *test = open_test(plugin, layers, optimizer, 1);
    if (test == NULL) {
        return;
    }
    struct bm_test_allocator *allocator = &bm_test_allocator;
    struct bm_session *session = NULL;
    int32_t status = BM_STATUS_NO_MEMORY;
    int64_t failures = 0;
    int64_t before = allocator->live;
    while (status != BM_STATUS_OK) {
        TEST_CHECK_MSG(allocator->live == before, "%lld left after failure %lld",
                       (long long)(allocator->live - before), (long long)failures);
        allocator->failing = allocator->asked + failures + 1;
        status = test->plugin->create(0, &test->problem, &session, &test->error);
        allocator->failing = INT64_MAX;
        TEST_CHECK_MSG(status == BM_STATUS_OK || status == BM_STATUS_NO_MEMORY, "%s",
                       test->error.text);
        TEST_CHECK((status == BM_STATUS_OK) == (session != NULL));
        TEST_CHECK(status == BM_STATUS_OK || test->error.code == status);
        failures += status != BM_STATUS_OK;
    }
    test->plugin->destroy(session);
    test->plugin->destroy(NULL);
    TEST_CHECK_MSG(allocator->live == before, "%lld left after destroy",
                   (long long)(allocator->live - before));
    bm_test_session_destroy(test);
}

/* Every call with every count. */
static void run_calls(struct bm_test_session *test) {
    static const uint64_t counts[] = {64, 1, 33, 2, 7};
    const struct bm_plugin *plugin = test->plugin;
    struct bm_hyper hyper[2] = {{.size = sizeof hyper[0], .update = 1, .rate = 0.01}};
    uint64_t correct = 0;
    double loss = 0;
    hyper[1] = hyper[0];
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct bm_slice slice = bm_test_slice(i, counts[i], 0, i + 1);
        TEST_CHECK(plugin->gradient(test->session, &slice, &test->error) == BM_STATUS_OK);
        TEST_CHECK(plugin->apply(test->session, hyper, &test->error) == BM_STATUS_OK);
        TEST_CHECK(bm_test_update(test, &slice, hyper) == BM_STATUS_OK);
        TEST_CHECK(plugin->updates == NULL ||
                   plugin->updates(test->session, &slice, 2, hyper, sizeof hyper[0],
                                   &test->error) == BM_STATUS_OK);
        TEST_CHECK(plugin->wait(test->session, &loss, &test->error) == BM_STATUS_OK);
        TEST_CHECK(plugin->evaluate(test->session, BM_SPLIT_TEST, 0, 150, 0, &loss, &correct,
                                    &test->error) == BM_STATUS_OK);
    }
}

static void
test_nothing_more(const char *plugin, const char *layers, uint32_t optimizer, uint32_t threads) {
    struct bm_test_session *test = open_test(plugin, layers, optimizer, threads);
    if (test == NULL) {
        return;
    }
    run_calls(test);
    int64_t before = bm_test_allocator.asked;
    run_calls(test);
    TEST_CHECK_MSG(bm_test_allocator.asked == before, "%lld allocations",
                   (long long)(bm_test_allocator.asked - before));
    bm_test_session_destroy(test);
}

int main(int argc, char **argv) {
    const char *plugin = bm_test_backend(argc, argv)->name;
    if (!BM_TEST_COUNTS_ALLOCATIONS) {
        TEST_SKIP("sanitizers bring their own allocator");
    }
    skip_exempt(plugin);
    for (size_t i = 0; i < COUNT(networks); i++) {
        test_failing_create(plugin, networks[i], BM_OPTIMIZER_SGD);
        test_failing_create(plugin, networks[i], BM_OPTIMIZER_LAMB);
        for (uint32_t threads = 1; threads <= 3; threads++) {
            test_nothing_more(plugin, networks[i], BM_OPTIMIZER_SGD, threads);
            test_nothing_more(plugin, networks[i], BM_OPTIMIZER_LAMB, threads);
        }
    }
    return bm_test_backend_end();
}
