/* What scalar promises of its memory beyond plugin.h: few allocations, all of them in create, and
 * as many bytes as `supports` says. */
#include "allocator/allocator.h"
#include "session.h"
#include "test.h"

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

/* Session, facts of the layers, scales, layers, the block of arrays, pool, workers. */
static void test_create_count(void) {
    struct bm_test_session *test = open_test(BM_OPTIMIZER_LAMB, 1);
    struct bm_session *session = NULL;
    int64_t before = bm_test_allocator.asked;
    TEST_CHECK(test->plugin->create(0, &test->problem, &session, &test->error) == BM_STATUS_OK);
    int64_t taken = bm_test_allocator.asked - before;
    TEST_CHECK_MSG(taken == 7, "%lld", (long long)taken);
    test->plugin->destroy(session);
    bm_test_session_destroy(test);
}

/* What `supports` says is what create asks for, give or take the small structs. */
static void test_bytes(void) {
    struct bm_test_session *test = open_test(BM_OPTIMIZER_ADAM, 1);
    struct bm_session *session = NULL;
    uint64_t said = 0;
    TEST_CHECK(test->plugin->supports(0, &test->problem, &said, &test->error) == BM_STATUS_OK);
    uint64_t before = bm_test_allocator.bytes;
    TEST_CHECK(test->plugin->create(0, &test->problem, &session, &test->error) == BM_STATUS_OK);
    uint64_t taken = bm_test_allocator.bytes - before;
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
    int64_t before = bm_test_allocator.asked;
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
    TEST_CHECK_MSG(bm_test_allocator.asked == before, "%lld allocations",
                   (long long)(bm_test_allocator.asked - before));
    bm_test_session_destroy(test);
}

int main(void) {
    if (!BM_TEST_COUNTS_ALLOCATIONS) {
        TEST_SKIP("sanitizers bring their own allocator");
    }
    test_create_count();
    test_bytes();
    for (uint32_t threads = 1; threads <= 3; threads++) {
        test_nothing_more(BM_OPTIMIZER_SGD, threads);
        test_nothing_more(BM_OPTIMIZER_LAMB, threads);
    }
    return 0;
}
