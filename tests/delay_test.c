/* The wrapper that makes a plugin slower: every call goes through with the same arguments, and the
 * share of the time that calls took passes in the wait, by a clock that only this test moves. */
#include "loader.h"
#include "stretch.h"
#include "tally.h"
#include "test.h"

#include <dlfcn.h>
#include <time.h>

static int64_t fake_ns = 1000000;
static int64_t reading_ns = 1; /* what a reading of the clock takes */
static uint32_t readings;

/* In place of the C library's, whose header names the parameters by reserved names; for the plugin
 * too. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *time) {
    (void)clock;
    readings++;
    fake_ns += reading_ns;
    time->tv_sec = fake_ns / 1000000000;
    time->tv_nsec = fake_ns % 1000000000;
    return 0;
}

/* ---- The debt ---- */

static int64_t call(struct bm_stretch *stretch, int64_t ns) {
    int64_t before_ns = fake_ns;
    bm_stretch_begin(stretch);
    fake_ns += ns;
    bm_stretch_end(stretch);
    bm_stretch_pay(stretch);
    return fake_ns - before_ns - ns;
}

static void test_stretch(void) {
    struct bm_stretch stretch = {.share = 0.05, .now_ns = bm_stretch_clock_ns};
    int64_t paid_ns = 0;
    /* 5 % of a call and of the reading after it, to a reading or two, and over many to the ns. */
    TEST_CHECK(call(&stretch, 1000000) >= 50000);
    for (int i = 0; i < 1000; i++) {
        paid_ns += call(&stretch, 1990);
    }
    int64_t owed_ns = 1000 * 1991 / 20;
    TEST_CHECK_MSG(paid_ns >= owed_ns - 100 && paid_ns <= owed_ns + 3100, "paid %lld, owed %lld",
                   (long long)paid_ns, (long long)owed_ns);
    /* Readings that take long are paid back by the next calls. */
    stretch.debt_ns = 0;
    reading_ns = 100;
    (void)call(&stretch, 900);
    TEST_CHECK_MSG(stretch.debt_ns <= -49.9 && stretch.debt_ns >= -50.1, "%g", stretch.debt_ns);
    reading_ns = 1000000; /* the thread was stopped */
    (void)call(&stretch, 1000);
    TEST_CHECK_MSG(stretch.debt_ns == -1000.0, "%g", stretch.debt_ns);
    reading_ns = 1;
}

static void test_no_share(void) {
    struct bm_stretch stretch = {.share = 0, .now_ns = bm_stretch_clock_ns};
    uint32_t before = readings;
    TEST_CHECK(call(&stretch, 1000000) == 0 && readings == before);
}

/* ---- The plugin ---- */

static const struct bm_plugin *plugin;
static const struct bm_plugin *inner;
static struct bm_tally *tally;
static struct bm_error error;

static void load(void) {
    char path[4096];
    const struct bm_plugin *(*entry)(uint32_t, uint32_t, struct bm_error *);
    (void)snprintf(path, sizeof path, "%s/tests/plugins/tally/bm_tally.so",
                   bm_test_env("BM_TEST_BINARY_DIR"));
    TEST_CHECK(setenv("BATCHMARK_DELAY_PLUGIN", path, 1) == 0);
    /* The same file, the same memory as the wrapper's. */
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    TEST_CHECK_MSG(handle != NULL, "%s", dlerror());
    void *symbol = dlsym(handle, "bm_plugin_entry");
    TEST_CHECK(symbol != NULL);
    memcpy(&entry, &symbol, sizeof entry);
    inner = entry(BM_ABI_MAJOR, BM_ABI_MINOR, &error);
    const struct bm_tally_table *table = inner->extension(BM_TALLY_EXTENSION);
    tally = table->tally;
    (void)snprintf(path, sizeof path, "%s/delay/bm_delay.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    TEST_CHECK_MSG(bm_loader_load(path, NULL, &plugin, &error) == BM_STATUS_OK, "%s", error.text);
}

static struct bm_session *open_session(const char *percent) {
    struct bm_option options[] = {{"tile", "8"}, {"percent", percent}, {"mode", "fast"}};
    struct bm_problem problem = {.size = sizeof problem,
                                 .batch_max = 41,
                                 .options = options,
                                 .option_count = 3,
                                 .option_stride = sizeof options[0]};
    struct bm_session *session = NULL;
    TEST_CHECK_MSG(plugin->create(2, &problem, &session, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(session != NULL);
    TEST_CHECK_STR(tally->name, "create");
    TEST_CHECK(tally->arguments[0] == 2 && tally->arguments[2] == 41);
    TEST_CHECK_STR(tally->options, "tile=8 mode=fast ");
    return session;
}

static void test_table(void) {
    TEST_CHECK_STR(plugin->name, "delay");
    TEST_CHECK_STR(plugin->version, "7.3");
    TEST_CHECK_STR(plugin->summary, "tally, made slower by a chosen share");
    TEST_CHECK(plugin->flags == BM_PLUGIN_COMPUTES_NOTHING && plugin->extension == NULL);
    TEST_CHECK(plugin->device_count == inner->device_count);
    TEST_CHECK(plugin->device_info == inner->device_info);
}

/* Neither supports nor create takes a problem with these options. */
static void refuse(struct bm_option *options, uint32_t count, int32_t status, const char *text) {
    struct bm_problem problem = {.size = sizeof problem,
                                 .options = options,
                                 .option_count = count,
                                 .option_stride = sizeof options[0]};
    struct bm_session *session = NULL;
    uint64_t bytes = 0;
    TEST_CHECK(plugin->supports(0, &problem, &bytes, &error) == status);
    TEST_CONTAINS(error.text, text);
    TEST_CHECK(plugin->create(0, &problem, &session, &error) == status && session == NULL);
}

static void test_problem(void) {
    static const char *const wrong[] = {"", "-1", "5%", "1001", "1.", ".5", "nan", " 5", "1e2"};
    struct bm_problem problem = {.size = sizeof problem};
    uint64_t bytes = 0;
    /* Without options it is the host's own. */
    TEST_CHECK(plugin->supports(1, &problem, &bytes, &error) == BM_STATUS_OK && bytes == 77);
    TEST_CHECK(tally->arguments[0] == 1 && tally->arguments[1] == (uintptr_t)&problem);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bm_option option = {"percent", wrong[i]};
        refuse(&option, 1, BM_STATUS_INVALID,
               "option percent: expected a number of percent, 0 .. 1000, found");
    }
    struct bm_option twice[] = {{"percent", "5"}, {"percent", "5"}};
    refuse(twice, 2, BM_STATUS_INVALID, "option percent: expected once, found twice");
    tally->status = BM_STATUS_NO_MEMORY;
    refuse(twice, 1, BM_STATUS_NO_MEMORY, "tally: supports");
    TEST_CHECK_STR(error.text, "tally: create");
    tally->status = BM_STATUS_OK;
}

/* What describe tells, whole and cut, of a session; closes it. */
static void expect_description(struct bm_session *session, const char *expected) {
    char text[256];
    TEST_CHECK(plugin->describe(session, text, sizeof text, &error) == BM_STATUS_OK);
    TEST_CHECK_STR(text, expected);
    size_t own = (size_t)(strstr(expected, "\ntally=") + 1 - expected);
    for (uint32_t capacity = 1; capacity <= own; capacity++) {
        TEST_CHECK(plugin->describe(session, text, capacity, &error) == BM_STATUS_OK);
        TEST_CHECK(strlen(text) == capacity - 1 && strncmp(text, expected, capacity - 1) == 0);
    }
    plugin->destroy(session);
}

static void test_variable(void) {
    struct bm_problem problem = {.size = sizeof problem};
    struct bm_session *session = NULL;
    TEST_CHECK(setenv("BATCHMARK_DELAY_PERCENT", "1.25", 1) == 0);
    TEST_CHECK(plugin->create(0, &problem, &session, &error) == BM_STATUS_OK);
    expect_description(session, "percent=1.25\ndelayed=tally 7.3\ntally=225\n");
    /* The option wins. */
    expect_description(open_session("5"), "percent=5\ndelayed=tally 7.3\ntally=228\n");
    TEST_CHECK(setenv("BATCHMARK_DELAY_PERCENT", "much", 1) == 0);
    TEST_CHECK(plugin->create(0, &problem, &session, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "$BATCHMARK_DELAY_PERCENT: expected a number of percent");
    TEST_CHECK(unsetenv("BATCHMARK_DELAY_PERCENT") == 0);
}

/* The last call was this one, of the wrapped session, with these arguments, and was made once. */
static void expect_call(const char *name, uint32_t before, const uint64_t arguments[6]) {
    TEST_CHECK_STR(tally->name, name);
    TEST_CHECK_MSG(tally->calls == before + 1, "%s: %u calls", name, tally->calls - before);
    TEST_CHECK_MSG(tally->arguments[0] == 1, "%s: another session", name);
    TEST_CHECK_MSG(memcmp(tally->arguments + 1, arguments, 6 * sizeof *arguments) == 0,
                   "%s: other arguments", name);
}

#define AT(object) ((uint64_t)(uintptr_t)(object))
#define PASSES(call, ...)                                                                          \
    do {                                                                                           \
        uint32_t calls_before = tally->calls;                                                      \
        TEST_CHECK(plugin->call == tally->status);                                                 \
        const char *text = #call;                                                                  \
        char name[32] = "";                                                                        \
        memcpy(name, text, strcspn(text, "("));                                                    \
        expect_call(name, calls_before, (const uint64_t[6]){__VA_ARGS__});                         \
        TEST_CHECK(tally->status == BM_STATUS_OK || strcmp(error.text + 7, name) == 0);            \
    } while (0)

static void pass_all(struct bm_session *session) {
    struct bm_data data = {0};
    struct bm_slice slice = {0};
    struct bm_hyper hyper[2] = {{0}};
    struct bm_device_time time = {0};
    uint32_t order[2] = {0};
    float values[2] = {0};
    double loss = 0;
    uint64_t right = 0;
    PASSES(bind_data(session, 2, &data, &error), 2, AT(&data));
    PASSES(set_order(session, order, 5, &error), AT(order), 5);
    PASSES(write_params(session, values, 6, &error), AT(values), 6);
    PASSES(read_params(session, values, 7, &error), AT(values), 7);
    PASSES(read_gradient(session, values, 8, &error), AT(values), 8);
    PASSES(write_gradient(session, values, 9, &error), AT(values), 9);
    PASSES(read_state(session, 1, values, 10, &error), 1, AT(values), 10);
    PASSES(write_state(session, 3, values, 11, &error), 3, AT(values), 11);
    PASSES(evaluate(session, 1, 12, 13, 4, &loss, &right, &error), 1, 12, 13, 4, AT(&loss),
           AT(&right));
    PASSES(device_time(session, &time, &error), AT(&time));
    PASSES(gradient(session, &slice, &error), AT(&slice));
    PASSES(apply(session, hyper, &error), AT(hyper));
    PASSES(update(session, &slice, hyper, &error), AT(&slice), AT(hyper));
    PASSES(updates(session, &slice, 2, hyper, 96, &error), AT(&slice), 2, AT(hyper), 96);
    PASSES(wait(session, &loss, &error), AT(&loss));
    TEST_CHECK(loss == 3.5);
    PASSES(wait(session, NULL, &error), 0);
}

static void test_calls(const char *percent) {
    struct bm_session *session = open_session(percent);
    pass_all(session);
    tally->status = BM_STATUS_DEVICE_LOST;
    pass_all(session);
    tally->status = BM_STATUS_OK;
    uint32_t before = tally->calls;
    plugin->destroy(session);
    expect_call("destroy", before, (const uint64_t[6]){0});
    plugin->destroy(NULL);
    TEST_CHECK(tally->calls == before + 1);
}

/* ---- Time ---- */

static void spend(void *context) {
    fake_ns += *(const int64_t *)context;
}

/* How much longer it all took than the wrapped calls. */
static int64_t extra_ns(int64_t before_ns, uint32_t calls_before, int64_t call_ns) {
    return fake_ns - before_ns - call_ns * (int64_t)(tally->calls - calls_before);
}

static void expect_extra(const char *what, int64_t extra, int64_t expected) {
    TEST_CHECK_MSG(extra >= expected && extra <= expected + 12,
                   "%s: %lld ns more than the wrapped plugin, expected %lld", what,
                   (long long)extra, (long long)expected);
}

static void test_time(void) {
    struct bm_session *session = open_session("10");
    struct bm_slice slice = {0};
    struct bm_hyper hyper = {0};
    float value = 0;
    int64_t call_ns = 10000;
    tally->on_call = spend;
    tally->context = &call_ns;

    int64_t before_ns = fake_ns;
    uint32_t calls = tally->calls;
    TEST_CHECK(plugin->update(session, &slice, &hyper, &error) == BM_STATUS_OK);
    expect_extra("update", extra_ns(before_ns, calls, call_ns), 0); /* the device goes on */
    TEST_CHECK(plugin->wait(session, NULL, &error) == BM_STATUS_OK);
    expect_extra("update and wait", extra_ns(before_ns, calls, call_ns), 2000);

    before_ns = fake_ns;
    calls = tally->calls;
    TEST_CHECK(plugin->wait(session, NULL, &error) == BM_STATUS_OK);
    TEST_CHECK(plugin->read_params(session, &value, 1, &error) == BM_STATUS_OK);
    expect_extra("nothing to wait for", extra_ns(before_ns, calls, call_ns), 0);

    before_ns = fake_ns;
    calls = tally->calls;
    TEST_CHECK(plugin->gradient(session, &slice, &error) == BM_STATUS_OK);
    fake_ns += 5000; /* the host's own time is nobody's */
    TEST_CHECK(plugin->apply(session, &hyper, &error) == BM_STATUS_OK);
    TEST_CHECK(plugin->updates(session, &slice, 1, &hyper, sizeof hyper, &error) == BM_STATUS_OK);
    expect_extra("three calls", extra_ns(before_ns, calls, call_ns), 5000);
    TEST_CHECK(plugin->read_params(session, &value, 1, &error) == BM_STATUS_OK);
    TEST_CHECK(tally->calls == calls + 5); /* a wait of ours among them */
    expect_extra("three calls and a read", extra_ns(before_ns, calls, call_ns), 5000 + 4000);

    tally->on_call = NULL;
    plugin->destroy(session);
}

static void test_no_time(void) {
    struct bm_session *session = open_session("0");
    struct bm_slice slice = {0};
    uint32_t before = readings;
    uint32_t calls = tally->calls;
    float value = 0;
    TEST_CHECK(plugin->gradient(session, &slice, &error) == BM_STATUS_OK);
    TEST_CHECK(plugin->read_params(session, &value, 1, &error) == BM_STATUS_OK);
    TEST_CHECK(plugin->wait(session, NULL, &error) == BM_STATUS_OK);
    TEST_CHECK_MSG(readings == before, "%u readings of the clock", readings - before);
    TEST_CHECK(tally->calls == calls + 3);
    plugin->destroy(session);
}

int main(void) {
    test_stretch();
    test_no_share();
    load();
    test_table();
    test_problem();
    test_variable();
    test_calls("0");
    test_calls("5");
    test_time();
    test_no_time();
    return 0;
}
