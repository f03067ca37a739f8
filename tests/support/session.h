/* A small session of a backend with data of its own, for tests that call a plugin directly. Every
 * failure that is not asked for ends the test. */
#ifndef BM_TEST_SESSION_H
#define BM_TEST_SESSION_H

#include "model.h"

#define BM_TEST_CLASSES 4u
#define BM_TEST_CHANNELS 4u

/* Bytes, scaled and shifted; the same, seven of eight being 0, which 0 stays in the first channel;
 * float32. */
enum bm_test_images { BM_TEST_BYTES, BM_TEST_SPARSE_BYTES, BM_TEST_FLOATS };

struct bm_test_session_spec {
    const char *plugin;    /* "scalar": bm_scalar.so of the build */
    const char *layers;    /* as bm_model_parse reads them */
    struct bm_shape input; /* at most BM_TEST_CHANNELS channels */
    uint32_t class_count;  /* 0: BM_TEST_CLASSES */
    uint32_t optimizer;
    uint32_t thread_count;
    uint64_t batch_max;
    uint32_t image_count;
    enum bm_test_images images;
    uint64_t order_count;           /* 0: 2 image_count */
    const struct bm_option *option; /* NULL: none */
};

struct bm_test_session {
    const struct bm_plugin *plugin;
    struct bm_model model;
    struct bm_problem problem;
    struct bm_data data;
    struct bm_session *session;
    uint64_t param_count;
    uint64_t statistics_count;
    uint32_t *order; /* [order_count], out of order and with repetitions */
    uint64_t order_count;
    float *params; /* the start */
    float *found;  /* [param_count], scratch for reading */
    struct bm_error error;
};

const struct bm_plugin *bm_test_plugin(const char *name);

/* Ends the test as skipped where that plugin finds no device. */
void bm_test_need_device(const char *name);

/* Creates the session, binds the data to all splits, sets the order and writes the start. */
struct bm_test_session *bm_test_session_create(const struct bm_test_session_spec *spec);

void bm_test_session_destroy(struct bm_test_session *test);

struct bm_slice bm_test_slice(uint64_t first, uint64_t count, uint32_t flags, uint64_t update);

/* The update as the host makes it: fused where the plugin offers that, otherwise two calls. */
int32_t bm_test_update(struct bm_test_session *test,
                       const struct bm_slice *slice,
                       const struct bm_hyper *hyper);

#endif
