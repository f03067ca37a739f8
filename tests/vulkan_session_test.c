/* A session of the vulkan backend on a device with faults (plugins/vulkan_faults): every failure
 * has a status and a reason, one of the device's work stays until destroy, and destroy gives all
 * back and returns, whatever the device does. The short form has one failure of five. */
#include "plugins/vulkan_faults/faults.h"
#include "session.h"
#include "test.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bm_vulkan_faults faults;

#define FIND(member, name)                                                                         \
    do {                                                                                           \
        void *symbol = dlsym(library, name);                                                       \
        TEST_CHECK_MSG(symbol != NULL, "%s", dlerror());                                           \
        memcpy(&faults.member, &symbol, sizeof symbol);                                            \
    } while (0)

/* Before the plugin looks for its loader, which has the same name. */
static void open_faults(void) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/tests/plugins/vulkan_faults/libvulkan.so.1",
                   bm_test_env("BM_TEST_BINARY_DIR"));
    if (access(path, F_OK) != 0) {
        TEST_SKIP("the vulkan backend or its loader with faults was not built");
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    TEST_CHECK_MSG(library != NULL, "%s", dlerror());
    FIND(set, BM_VULKAN_FAULTS_SET);
    FIND(failed, BM_VULKAN_FAULTS_FAILED);
    FIND(live, BM_VULKAN_FAULTS_LIVE);
    FIND(limit, BM_VULKAN_FAULTS_LIMIT);
}

/* ---- Every call of a session ---- */

struct call {
    const char *name;
    int32_t (*make)(struct bm_test_session *test);
};

static const struct bm_hyper hyper = {
    .size = sizeof hyper, .update = 1, .rate = 1e-3, .momentum = 0.9};
static const struct bm_slice slice = {.size = sizeof slice, .count = 9, .update = 1, .divisor = 9};

static int32_t call_bind_data(struct bm_test_session *test) {
    return test->plugin->bind_data(test->session, BM_SPLIT_TRAIN, &test->data, &test->error);
}

static int32_t call_set_order(struct bm_test_session *test) {
    return test->plugin->set_order(test->session, test->order, test->order_count, &test->error);
}

static int32_t call_write_params(struct bm_test_session *test) {
    return test->plugin->write_params(test->session, test->params, test->param_count, &test->error);
}

static int32_t call_gradient(struct bm_test_session *test) {
    return test->plugin->gradient(test->session, &slice, &test->error);
}

static int32_t call_wait(struct bm_test_session *test) {
    return test->plugin->wait(test->session, NULL, &test->error);
}

static int32_t call_wait_loss(struct bm_test_session *test) {
    double loss = 0;
    return test->plugin->wait(test->session, &loss, &test->error);
}

static int32_t call_read_gradient(struct bm_test_session *test) {
    return test->plugin->read_gradient(test->session, test->found, test->param_count, &test->error);
}

static int32_t call_write_gradient(struct bm_test_session *test) {
    return test->plugin->write_gradient(test->session, test->params, test->param_count,
                                        &test->error);
}

static int32_t call_apply(struct bm_test_session *test) {
    return test->plugin->apply(test->session, &hyper, &test->error);
}

static int32_t call_device_time(struct bm_test_session *test) {
    struct bm_device_time time = {.size = sizeof time};
    return test->plugin->device_time(test->session, &time, &test->error);
}

static int32_t call_update(struct bm_test_session *test) {
    return test->plugin->update(test->session, &slice, &hyper, &test->error);
}

static int32_t call_updates(struct bm_test_session *test) {
    const struct bm_hyper steps[] = {hyper, hyper};
    return test->plugin->updates(test->session, &slice, 2, steps, sizeof hyper, &test->error);
}

static int32_t call_evaluate(struct bm_test_session *test) {
    double loss = 0;
    uint64_t correct = 0;
    return test->plugin->evaluate(test->session, BM_SPLIT_TRAIN, 0, 20, 0, &loss, &correct,
                                  &test->error);
}

static int32_t call_read_params(struct bm_test_session *test) {
    return test->plugin->read_params(test->session, test->found, test->param_count, &test->error);
}

static int32_t call_read_state(struct bm_test_session *test) {
    return test->plugin->read_state(test->session, 0, test->found, test->param_count, &test->error);
}

static int32_t call_write_state(struct bm_test_session *test) {
    return test->plugin->write_state(test->session, 0, test->params, test->param_count,
                                     &test->error);
}

static int32_t call_read_statistics(struct bm_test_session *test) {
    return test->plugin->read_state(test->session, BM_STATE_STATISTICS, test->found,
                                    test->statistics_count, &test->error);
}

/* In an order in which each is allowed. */
static const struct call calls[] = {
    {"bind_data", call_bind_data},
    {"set_order", call_set_order},
    {"write_params", call_write_params},
    {"gradient", call_gradient},
    {"wait", call_wait},
    {"wait for the loss", call_wait_loss},
    {"read_gradient", call_read_gradient},
    {"write_gradient", call_write_gradient},
    {"apply", call_apply},
    {"device_time", call_device_time},
    {"update", call_update},
    {"updates", call_updates},
    {"evaluate", call_evaluate},
    {"read_params", call_read_params},
    {"read_state", call_read_state},
    {"write_state", call_write_state},
    {"read_statistics", call_read_statistics},
};

#define CALL_COUNT (sizeof calls / sizeof calls[0])

/* ---- Sessions ---- */

/* No session yet, but all that one needs. */
static struct bm_test_session *open_test(void) {
    const struct bm_test_session_spec spec = {.plugin = "vulkan",
                                              .layers = "dense 9, batchnorm, relu, dense 4",
                                              .input = {1, 3, 3},
                                              .optimizer = BM_OPTIMIZER_MOMENTUM,
                                              .thread_count = 1,
                                              .batch_max = 16,
                                              .image_count = 20};
    struct bm_test_session *test = bm_test_session_create(&spec);
    test->plugin->destroy(test->session);
    test->session = NULL;
    return test;
}

static int32_t create(struct bm_test_session *test) {
    return test->plugin->create(0, &test->problem, &test->session, &test->error);
}

static void destroy(struct bm_test_session *test) {
    test->plugin->destroy(test->session);
    test->session = NULL;
}

/* Until the first failure. */
static int32_t make_calls(struct bm_test_session *test, const char **name) {
    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; i < CALL_COUNT && status == BM_STATUS_OK; i++) {
        *name = calls[i].name;
        status = calls[i].make(test);
    }
    return status;
}

/* A session that is ready, whose device has a gradient to make. */
static void open_session(struct bm_test_session *test) {
    TEST_CHECK_MSG(create(test) == BM_STATUS_OK, "%s", test->error.text);
    for (size_t i = 0; calls[i].make != call_wait; i++) {
        TEST_CHECK_MSG(calls[i].make(test) == BM_STATUS_OK, "%s", test->error.text);
    }
}

static void check_reason(const struct bm_error *error, const char *name) {
    TEST_CHECK_MSG(error->text[0] != '\0' && strchr(error->text, '\n') == NULL, "%s: \"%s\"", name,
                   error->text);
}

/* Where all is slow (the validation layer, sanitizers), one case of so many is enough. */
static int is_slow(void) {
    const char *options = getenv("BM_TEST_OPTIONS");
    int has_options = options != NULL && options[0] != '\0';
    return has_options || bm_test_sanitized();
}

/* ---- Every call of Vulkan fails once ---- */

/* What failed on its way to the device succeeds when it is tried again; what failed there stays. */
static void try_again(struct bm_test_session *test, const char *fault) {
    const struct bm_error first = test->error;
    const char *name = "";
    faults.set(NULL);
    int32_t status = make_calls(test, &name);
    TEST_CHECK_MSG(status == BM_STATUS_OK || strcmp(test->error.text, first.text) == 0,
                   "%s: \"%s\", then %s: \"%s\"", fault, first.text, name, test->error.text);
}

/* Each `step`-th; 1 leaves none out. */
static void test_all_fail(struct bm_test_session *test, const char *effect, uint32_t step) {
    uint32_t failures = 0;
    for (uint32_t n = 1;; n += step) {
        char fault[64];
        const char *name = "create";
        int64_t live = faults.live();
        (void)snprintf(fault, sizeof fault, "any:%u:%s", n, effect);
        faults.set(fault);
        test->error.text[0] = '\0';
        int32_t status = create(test);
        uint64_t failed = 0;
        TEST_CHECK((status == BM_STATUS_OK) == (test->session != NULL));
        if (status == BM_STATUS_OK) {
            status = make_calls(test, &name);
        }
        failed = faults.failed();
        TEST_CHECK_MSG((status == BM_STATUS_OK) == (failed == 0), "%s: %s: status %d", fault, name,
                       status);
        if (status != BM_STATUS_OK) {
            check_reason(&test->error, name);
            failures++;
        }
        if (status != BM_STATUS_OK && test->session != NULL) {
            try_again(test, fault);
        }
        destroy(test);
        TEST_CHECK_MSG(faults.live() == live, "%s: %s: \"%s\": %lld objects live", fault, name,
                       test->error.text, (long long)(faults.live() - live));
        if (failed == 0 && faults.failed() == 0) {
            break; /* not even in destroy */
        }
    }
    faults.set(NULL);
    (void)printf("%u failures by %s\n", failures, effect);
    TEST_CHECK(failures > 0);
}

/* ---- A failure of the device's work ---- */

/* Whatever is asked, the answer stays the first. */
static void check_stays(struct bm_test_session *test) {
    const struct bm_error first = test->error;
    for (size_t i = 0; i < CALL_COUNT; i++) {
        memset(&test->error, 0, sizeof test->error);
        TEST_CHECK_MSG(calls[i].make(test) == first.code, "%s: \"%s\"", calls[i].name,
                       test->error.text);
        TEST_CHECK_STR(test->error.text, first.text);
        TEST_CHECK(test->error.native_code == first.native_code);
    }
}

/* The first call is one that fails; what fails is the driver's `function`. */
static void test_lost(struct bm_test_session *test, const struct call *call, const char *function) {
    char fault[64];
    int64_t live = faults.live();
    (void)snprintf(fault, sizeof fault, "%s:1:lost", function);
    open_session(test);
    faults.set(fault);
    int32_t status = call->make(test);
    status = status == BM_STATUS_OK ? call_wait(test) : status;
    TEST_CHECK_MSG(status == BM_STATUS_DEVICE_LOST, "%s, %s: status %d, \"%s\"", call->name,
                   function, status, test->error.text);
    TEST_CONTAINS(test->error.text, function);
    TEST_CONTAINS(test->error.text, "VK_ERROR_DEVICE_LOST");
    check_stays(test);
    destroy(test);
    TEST_CHECK(faults.live() == live);
    faults.set(NULL);
}

static void test_all_lost(struct bm_test_session *test) {
    for (size_t i = 0; i < CALL_COUNT; i += is_slow() ? 5 : 1) {
        if (calls[i].make != call_wait && calls[i].make != call_device_time) {
            test_lost(test, &calls[i], "vkQueueSubmit");
        }
        test_lost(test, &calls[i], "vkWaitSemaphores");
    }
}

/* ---- A device that does not finish ---- */

/* What its work may use stays, so this leaks; the faults stop who waits without a limit. */
static void test_stuck(struct bm_test_session *test) {
    const struct bm_option option = {"timeout", "7"};
    test->problem.options = &option;
    test->problem.option_count = 1;
    test->problem.option_stride = sizeof option;
    open_session(test);
    faults.set("vkWaitSemaphores:1:stuck");
    TEST_CHECK(call_gradient(test) == BM_STATUS_OK);
    TEST_CHECK(call_wait(test) == BM_STATUS_TIMEOUT);
    TEST_CHECK(faults.limit() == UINT64_C(7000000000));
    TEST_CONTAINS(test->error.text, "within 7 s (option timeout)");
    check_stays(test);
    destroy(test);
    faults.set(NULL);

    /* Where it is destroy that waits first, and where it is create. */
    open_session(test);
    TEST_CHECK(call_gradient(test) == BM_STATUS_OK);
    faults.set("vkWaitSemaphores:1:stuck");
    destroy(test);
    TEST_CHECK(faults.failed() > 0);
    faults.set("vkWaitSemaphores:1:stuck");
    TEST_CHECK(create(test) == BM_STATUS_TIMEOUT && test->session == NULL);
    faults.set(NULL);
    test->problem.option_count = 0;
}

/* The limit is for a device that finishes nothing. */
static void test_late(struct bm_test_session *test) {
    int64_t live = faults.live();
    open_session(test);
    TEST_CHECK(call_gradient(test) == BM_STATUS_OK && call_update(test) == BM_STATUS_OK);
    faults.set("vkWaitSemaphores:1:late");
    TEST_CHECK_MSG(call_wait(test) == BM_STATUS_OK, "%s", test->error.text);
    TEST_CHECK(faults.failed() == 1);
    destroy(test);
    faults.set(NULL);
    TEST_CHECK(faults.live() == live);
}

/* Its leaks are meant, so it has a process, which nobody searches for leaks, with a driver of its
 * own. */
static void test_stuck_apart(void) {
    int state = 0;
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        test_stuck(open_test());
        _exit(0);
    }
    TEST_CHECK(waitpid(child, &state, 0) == child);
    TEST_CHECK_MSG(WIFEXITED(state) && WEXITSTATUS(state) == 0, "state %x", (unsigned)state);
}

/* Likewise: a driver that has been used does not survive a fork. */
static int has_device(void) {
    int state = 0;
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        struct bm_error error;
        uint32_t count = 0;
        const struct bm_plugin *plugin = bm_test_plugin("vulkan");
        _exit(plugin->device_count(&count, &error) != BM_STATUS_OK || count == 0);
    }
    TEST_CHECK(waitpid(child, &state, 0) == child && WIFEXITED(state));
    return WEXITSTATUS(state) == 0;
}

static int count_object(struct dl_phdr_info *info, size_t size, void *context) {
    uint32_t *count = context;
    (void)info;
    (void)size;
    (*count)++;
    return 0;
}

/* Some drivers cannot be loaded often: what a session has loaded stays. */
static void test_driver_stays(struct bm_test_session *test) {
    uint32_t during = 0;
    uint32_t after = 0;
    open_session(test);
    (void)dl_iterate_phdr(count_object, &during);
    destroy(test);
    (void)dl_iterate_phdr(count_object, &after);
    TEST_CHECK_MSG(after == during, "%u objects loaded while a session lives, %u after", during,
                   after);
}

int main(void) {
    open_faults();
    if (!has_device()) {
        TEST_SKIP("no Vulkan device");
    }
    test_stuck_apart();
    struct bm_test_session *test = open_test();
    TEST_CHECK_MSG(faults.live() == 0, "%lld objects are left", (long long)faults.live());
    test_driver_stays(test);
    test_all_lost(test);
    uint32_t step = is_slow() ? 13 : bm_test_whole() ? 1 : 5;
    test_all_fail(test, "device-memory", step);
    test_all_fail(test, "lost", 7 * step);
    test_late(test);
    bm_test_session_destroy(test);
    return 0;
}
