/* The backend that computes nothing says so, keeps the parameters it is given, and answers every
 * other question with zeros. */
#include "session.h"
#include "test.h"

int main(void) {
    const struct bm_test_session_spec spec = {.plugin = "null",
                                              .layers = "dense 7, batchnorm, relu, dense 4",
                                              .input = {1, 3, 3},
                                              .optimizer = BM_OPTIMIZER_ADAM,
                                              .thread_count = 2,
                                              .batch_max = 16,
                                              .image_count = 20};
    struct bm_test_session *test = bm_test_session_create(&spec);
    const struct bm_plugin *plugin = test->plugin;
    struct bm_slice slice = bm_test_slice(0, 16, 0, 1);
    struct bm_hyper hyper = {.size = sizeof hyper, .update = 1, .rate = 1};
    size_t bytes = test->param_count * sizeof(float);
    double loss = -1;
    uint64_t correct = 9;
    TEST_CHECK((plugin->flags & BM_PLUGIN_COMPUTES_NOTHING) != 0);
    TEST_CHECK(plugin->update(test->session, &slice, &hyper, &test->error) == BM_STATUS_OK);
    TEST_CHECK(plugin->updates(test->session, &slice, 1, &hyper, sizeof hyper, &test->error) == 0);
    TEST_CHECK(plugin->gradient(test->session, &slice, &test->error) == BM_STATUS_OK);
    TEST_CHECK(plugin->apply(test->session, &hyper, &test->error) == BM_STATUS_OK);
    TEST_CHECK(plugin->wait(test->session, &loss, &test->error) == BM_STATUS_OK && loss == 0);
    TEST_CHECK(plugin->evaluate(test->session, 0, 0, 20, 0, &loss, &correct, &test->error) == 0);
    TEST_CHECK(loss == 0 && correct == 0);
    TEST_CHECK(plugin->read_params(test->session, test->found, test->param_count, &test->error) ==
               0);
    TEST_CHECK(memcmp(test->found, test->params, bytes) == 0);
    TEST_CHECK(plugin->read_gradient(test->session, test->found, test->param_count, &test->error) ==
               BM_STATUS_OK);
    for (uint64_t i = 0; i < test->param_count; i++) {
        TEST_CHECK(test->found[i] == 0);
    }
    TEST_CHECK(plugin->read_state(test->session, 1, test->found, test->param_count, &test->error) ==
               0);
    TEST_CHECK(plugin->read_state(test->session, 2, test->found, test->param_count, &test->error) ==
               BM_STATUS_INVALID);
    TEST_CHECK(plugin->write_params(test->session, test->found, 3, &test->error) ==
               BM_STATUS_INVALID);
    bm_test_session_destroy(test);
    return 0;
}
