/* Memory of a scalar session: the n-th allocation of create fails, for n = 1, 2, ... until success,
 * and nothing is left behind; after create, training and evaluation allocate nothing. */
#include "session.h"
#include "test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int main(void) {
    TEST_SKIP("sanitizers bring their own allocator");
}

#else

/* glibc's allocator below the names that we take over. */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

#define EXPORTED __attribute__((visibility("default")))

static int64_t allocations;         /* asked for */
static int64_t live;                /* and not given back */
static int64_t failing = INT64_MAX; /* number of the first one that fails */
static uint64_t bytes;              /* asked for */

static int refused(size_t size) {
    bytes += size;
    return ++allocations >= failing;
}

static void *count(void *memory) {
    live += memory != NULL;
    return memory;
}

/* Their parameters have names of our own; the system's begin with an underscore. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

EXPORTED void *malloc(size_t size) {
    return refused(size) ? NULL : count(__libc_malloc(size));
}

EXPORTED void *calloc(size_t number, size_t size) {
    return refused(number * size) ? NULL : count(__libc_calloc(number, size));
}

EXPORTED void *realloc(void *memory, size_t size) {
    if (refused(size)) {
        return NULL;
    }
    live -= memory != NULL;
    return count(__libc_realloc(memory, size));
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size) {
    return refused(size) ? NULL : count(__libc_memalign(alignment, size));
}

EXPORTED int posix_memalign(void **memory, size_t alignment, size_t size) {
    *memory = aligned_alloc(alignment, size);
    return *memory == NULL;
}

EXPORTED void free(void *memory) {
    live -= memory != NULL;
    __libc_free(memory);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static struct bm_test_session *open_test(uint32_t optimizer, uint32_t thread_count) {
    const struct bm_test_session_spec spec = {
        .plugin = "scalar",
        .layers = "conv 6 3x3 pad 1, batchnorm, relu, maxpool 2, dense 65, dropout 0.5, dense 4",
        .input = {2, 8, 8},
        .optimizer = optimizer,
        .thread_count = thread_count,
        .batch_max = 64,
        .image_count = 200};
    return bm_test_session_create(&spec);
}

/* With one thread: glibc keeps the memory of a thread that has ended for the next. */
static void test_failing_create(void) {
    struct bm_test_session *test = open_test(BM_OPTIMIZER_LAMB, 1);
    struct bm_session *session = NULL;
    int32_t status = BM_STATUS_NO_MEMORY;
    int64_t failures = 0;
    int64_t before = live;
    while (status != BM_STATUS_OK) {
        TEST_CHECK(live == before);
        failing = allocations + failures + 1;
        status = test->plugin->create(0, &test->problem, &session, &test->error);
        failing = INT64_MAX;
        TEST_CHECK_MSG(status == BM_STATUS_OK || status == BM_STATUS_NO_MEMORY, "%s",
                       test->error.text);
        TEST_CHECK((status == BM_STATUS_OK) == (session != NULL));
        failures += status != BM_STATUS_OK;
    }
    /* Session, facts of the layers, scales, layers, the block of arrays, pool, workers. */
    TEST_CHECK_MSG(failures == 7, "%lld", (long long)failures);
    test->plugin->destroy(session);
    test->plugin->destroy(NULL);
    TEST_CHECK(live == before);
    bm_test_session_destroy(test);
}

/* What `supports` says is what create asks for, give or take the small structs. */
static void test_bytes(void) {
    struct bm_test_session *test = open_test(BM_OPTIMIZER_ADAM, 1);
    struct bm_session *session = NULL;
    uint64_t said = 0;
    TEST_CHECK(test->plugin->supports(0, &test->problem, &said, &test->error) == BM_STATUS_OK);
    uint64_t before = bytes;
    TEST_CHECK(test->plugin->create(0, &test->problem, &session, &test->error) == BM_STATUS_OK);
    uint64_t taken = bytes - before;
    TEST_CHECK_MSG(said <= taken && taken - said < 4096, "said %llu, taken %llu",
                   (unsigned long long)said, (unsigned long long)taken);
    test->plugin->destroy(session);
    bm_test_session_destroy(test);
}

static void test_nothing_more(uint32_t optimizer, uint32_t thread_count) {
    static const uint64_t counts[] = {64, 1, 33, 2, 7};
    struct bm_test_session *test = open_test(optimizer, thread_count);
    const struct bm_plugin *plugin = test->plugin;
    struct bm_hyper hyper[2] = {{.size = sizeof hyper[0], .update = 1, .rate = 0.01}};
    uint64_t correct = 0;
    double loss = 0;
    hyper[1] = hyper[0];
    int64_t before = allocations;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct bm_slice slice = bm_test_slice(i, counts[i], 0, i + 1);
        TEST_CHECK(plugin->gradient(test->session, &slice, &test->error) == BM_STATUS_OK);
        TEST_CHECK(plugin->apply(test->session, hyper, &test->error) == BM_STATUS_OK);
        TEST_CHECK(plugin->update(test->session, &slice, hyper, &test->error) == BM_STATUS_OK);
        TEST_CHECK(plugin->updates(test->session, &slice, 2, hyper, sizeof hyper[0],
                                   &test->error) == BM_STATUS_OK);
        TEST_CHECK(plugin->wait(test->session, &loss, &test->error) == BM_STATUS_OK);
        TEST_CHECK(plugin->evaluate(test->session, BM_SPLIT_TEST, 0, 150, 0, &loss, &correct,
                                    &test->error) == BM_STATUS_OK);
    }
    /* An order that is no longer than the one before needs no memory either. */
    TEST_CHECK(plugin->set_order(test->session, test->order, 100, &test->error) == BM_STATUS_OK);
    TEST_CHECK_MSG(allocations == before, "%lld allocations", (long long)(allocations - before));
    bm_test_session_destroy(test);
}

int main(void) {
    test_failing_create();
    test_bytes();
    for (uint32_t threads = 1; threads <= 3; threads++) {
        test_nothing_more(BM_OPTIMIZER_SGD, threads);
        test_nothing_more(BM_OPTIMIZER_LAMB, threads);
    }
    return 0;
}

#endif
