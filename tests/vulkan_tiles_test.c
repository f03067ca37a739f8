/* The tile of a product changes how long it takes, not a bit of what comes out: so the tuner may
 * choose. The short form has the two smallest. */
#include "reference.h"
#include "session.h"
#include "test.h"

#include <unistd.h>

#define TILES 5
#define IMAGES 520u /* from 512 on the rows of a dense layer are divided */

/* Images of each update: fewer than a tile has rows, some tiles, and all. */
static const uint32_t counts[] = {3, 64, IMAGES};

/* The weights of the first dense layer fill many small tiles and few large ones: a division of its
 * rows that followed the tile would show. */
static struct bm_test_session *train(int tile) {
    const struct bm_test_session_spec spec = {.plugin = "vulkan",
                                              .layers = "conv 6 3x3 pad 1, relu, dense 40, "
                                                        "batchnorm, relu, dense 10",
                                              .input = {1, 16, 16},
                                              .class_count = 10,
                                              .optimizer = BM_OPTIMIZER_MOMENTUM,
                                              .thread_count = 1,
                                              .batch_max = IMAGES,
                                              .image_count = IMAGES};
    char options[64];
    (void)snprintf(options, sizeof options, "family=gpu,tile=%d", tile);
    TEST_CHECK(setenv("BM_TEST_OPTIONS", options, 1) == 0);
    struct bm_test_session *test = bm_test_session_create(&spec);
    for (uint32_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const struct bm_slice slice = bm_test_slice(0, counts[i], 0, 1 + (uint64_t)i);
        const struct bm_hyper hyper = bm_optimizer_defaults(BM_OPTIMIZER_MOMENTUM, 0.1, 1 + i);
        TEST_CHECK_MSG(bm_test_update(test, &slice, &hyper) == BM_STATUS_OK, "%s",
                       test->error.text);
    }
    TEST_CHECK_MSG(test->plugin->read_params(test->session, test->found, test->param_count,
                                             &test->error) == BM_STATUS_OK,
                   "%s", test->error.text);
    return test;
}

int main(void) {
    char path[4096];
    /* A software device compiles them for long, the large ones longest. */
    int tiles = bm_test_whole() ? TILES : 2;
    (void)snprintf(path, sizeof path, "%s/bm_vulkan.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    if (access(path, R_OK) != 0) {
        TEST_SKIP("the vulkan backend was not built");
    }
    if (bm_test_sanitized()) {
        TEST_SKIP("a sanitizer looks into no shader");
    }
    bm_test_need_device("vulkan");
    struct bm_test_session *first = train(0);
    for (int tile = 1; tile < tiles; tile++) {
        struct bm_test_session *other = train(tile);
        for (uint64_t i = 0; i < first->param_count; i++) {
            TEST_CHECK_MSG(memcmp(&first->found[i], &other->found[i], sizeof(float)) == 0,
                           "tile %d: parameter %llu is %.9g, with tile 0 %.9g", tile,
                           (unsigned long long)i, (double)other->found[i], (double)first->found[i]);
        }
        bm_test_session_destroy(other);
    }
    TEST_CHECK(memcmp(first->found, first->params, first->param_count * sizeof(float)) != 0);
    bm_test_session_destroy(first);
    return 0;
}
