/* The two regimes of the avx2 and avx512 backends: a choice by measuring or by option, which does
 * not show in the results. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BATCH_MAX 300u

static const char *const networks[] = {
    "dense 65, relu, dense 33, batchnorm, relu, dense 4",
    "dense 130, dropout 0.5, dense 17, relu, dense 4",
};

static const struct bm_option tiled = {"skinny_max", "0"};
static const struct bm_option skinny = {"skinny_max", "300"};

static struct bm_test_session *open_test(const char *plugin,
                                         const char *layers,
                                         uint32_t optimizer,
                                         uint32_t thread_count,
                                         const struct bm_option *option) {
    const struct bm_test_session_spec spec = {.plugin = plugin,
                                              .layers = layers,
                                              .input = {3, 9, 5},
                                              .optimizer = optimizer,
                                              .thread_count = thread_count,
                                              .batch_max = BATCH_MAX,
                                              .image_count = BATCH_MAX,
                                              .option = option};
    return bm_test_session_create(&spec);
}

static void update(struct bm_test_session *test, uint64_t number, uint64_t count) {
    const struct bm_slice slice = bm_test_slice(number, count, 0, number);
    const struct bm_hyper hyper = bm_optimizer_defaults(test->problem.optimizer, 0.01, number);
    TEST_CHECK_MSG(bm_test_update(test, &slice, &hyper) == BM_STATUS_OK, "%s", test->error.text);
    TEST_CHECK(test->plugin->read_params(test->session, test->found, test->param_count,
                                         &test->error) == BM_STATUS_OK);
}

static void
test_same_bits(const char *plugin, const char *layers, uint32_t optimizer, uint32_t thread_count) {
    static const uint64_t counts[] = {1, 2, 7, 32, 33, 100, 129, BATCH_MAX};
    struct bm_test_session *one = open_test(plugin, layers, optimizer, thread_count, &tiled);
    struct bm_test_session *other = open_test(plugin, layers, optimizer, thread_count, &skinny);
    for (uint64_t i = 0; i < COUNT(counts); i++) {
        update(one, i + 1, counts[i]);
        update(other, i + 1, counts[i]);
        TEST_CHECK_MSG(memcmp(one->found, other->found, one->param_count * sizeof(float)) == 0,
                       "%s, \"%s\", optimizer %u, %u threads, %llu images", plugin, layers,
                       optimizer, thread_count, (unsigned long long)counts[i]);
    }
    bm_test_session_destroy(one);
    bm_test_session_destroy(other);
}

static void
expect_description(const char *plugin, const struct bm_option *option, const char *part) {
    char text[4096];
    struct bm_test_session *test = open_test(plugin, networks[0], BM_OPTIMIZER_MOMENTUM, 1, option);
    TEST_CHECK(test->plugin->describe(test->session, text, sizeof text, &test->error) == 0);
    TEST_CHECK_MSG(strstr(text, part) != NULL, "%s: expected \"%s\", found \"%s\"", plugin, part,
                   text);
    bm_test_session_destroy(test);
}

/* Measuring leaves nothing behind: what was never written is 0. */
static void test_untouched(const char *plugin, uint32_t optimizer) {
    struct bm_session *session = NULL;
    struct bm_test_session *test = open_test(plugin, networks[0], optimizer, 2, NULL);
    TEST_CHECK(test->plugin->create(0, &test->problem, &session, &test->error) == BM_STATUS_OK);
    TEST_CHECK(test->plugin->read_params(session, test->found, test->param_count, &test->error) ==
               BM_STATUS_OK);
    for (uint64_t i = 0; i < test->param_count; i++) {
        TEST_CHECK_MSG(test->found[i] == 0, "%s: parameter %llu is %g", plugin,
                       (unsigned long long)i, (double)test->found[i]);
    }
    test->plugin->destroy(session);
    bm_test_session_destroy(test);
}

static void expect_refusal(const char *plugin, const char *value) {
    const struct bm_option option = {"skinny_max", value};
    struct bm_session *session = NULL;
    struct bm_test_session *test = open_test(plugin, networks[0], BM_OPTIMIZER_SGD, 1, NULL);
    test->problem.options = &option;
    test->problem.option_count = 1;
    test->problem.option_stride = sizeof option;
    TEST_CHECK(test->plugin->create(0, &test->problem, &session, &test->error) ==
               BM_STATUS_INVALID);
    TEST_CHECK_MSG(strstr(test->error.text, "option skinny_max: expected an integer") != NULL, "%s",
                   test->error.text);
    bm_test_session_destroy(test);
}

static int is_here(const char *plugin) {
    char path[4096];
    struct bm_error error;
    uint32_t devices = 0;
    (void)snprintf(path, sizeof path, "%s/bm_%s.so", bm_test_env("BM_TEST_PLUGIN_DIR"), plugin);
    return access(path, F_OK) == 0 &&
           bm_test_plugin(plugin)->device_count(&devices, &error) == BM_STATUS_OK && devices > 0;
}

int main(void) {
    static const char *const plugins[] = {"avx2", "avx512"};
    int found = 0;
    for (size_t i = 0; i < COUNT(plugins); i++) {
        if (!is_here(plugins[i])) {
            continue;
        }
        found = 1;
        for (uint32_t optimizer = BM_OPTIMIZER_SGD; optimizer <= BM_OPTIMIZER_LAMB; optimizer++) {
            for (size_t k = 0; k < COUNT(networks); k++) {
                test_same_bits(plugins[i], networks[k], optimizer, 1);
                test_same_bits(plugins[i], networks[k], optimizer, 3);
            }
            test_untouched(plugins[i], optimizer);
        }
        expect_description(plugins[i], NULL, "(measured)");
        expect_description(plugins[i], &skinny, "skinny_max=300 images (as the option says)");
        expect_refusal(plugins[i], "many");
        expect_refusal(plugins[i], "-1");
    }
    if (!found) {
        TEST_SKIP("none of these backends runs here");
    }
    return 0;
}
