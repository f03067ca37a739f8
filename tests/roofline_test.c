/* The roofline: bounds from numbers that are given, counts against numbers worked out by hand, the
 * cache file with all that can be wrong with it, and one real probe, of which only sense is asked.
 */
#include "interrupt.h"
#include "model.h"
#include "roofline_cache.h"
#include "roofline_kernels.h"
#include "roofline_probe.h"
#include "test.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define MLP_PARAMS 669706.0 /* 784 512 + 512 + 512 512 + 512 + 512 10 + 10 */

static char folder[] = "/tmp/batchmark-roofline-XXXXXX";

static const char *path_of(const char *name) {
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "we");
    TEST_CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void check_near(double found, double expected) {
    TEST_CHECK_MSG(fabs(found - expected) <= 1e-9 * fabs(expected), "found %.12g, expected %.12g",
                   found, expected);
}

static struct bm_roofline_rate rate(double best) {
    return (struct bm_roofline_rate){
        .best = best, .median = best / 2, .cpu_share = 1, .isa = "none"};
}

/* 100 GFLOP/s; L2 of 1 MB at 200 GB/s when updating, L3 of 10 MB at 80 GB/s when reading, memory at
 * 20 GB/s. */
static struct bm_roofline_point given_point(uint32_t threads) {
    return (struct bm_roofline_point){
        .threads = threads,
        .multiply_add = rate(100e9),
        .level = {{.bytes = 1e6, .read = rate(150e9), .update = rate(200e9)},
                  {.bytes = 10e6, .read = rate(80e9), .update = rate(60e9)},
                  {.bytes = INFINITY, .read = rate(15e9), .update = rate(20e9)}},
    };
}

/* ---- Bounds ---- */

static void test_bounds(void) {
    static const struct {
        double flops;
        double bytes;
        double working_bytes;
        double ns;
        const char *level;
        const char *limit;
    } cases[] = {
        {0, 2e6, 1e6, 1e4, "L2", "memory"}, /* just fits */
        {0, 2e6, 1e6 + 1, 2.5e4, "L3", "memory"},
        {0, 2e6, 10e6, 2.5e4, "L3", "memory"},
        {0, 2e6, 11e6, 1e5, "memory", "memory"},
        {1e6, 2e6, 1e6, 1e4, "L2", "memory"}, /* a tie: no faster with more of either */
        {2e6, 2e6, 1e6, 2e4, "L2", "compute"},
        {1e9, 1, 1e12, 1e7, "memory", "compute"},
    };
    struct bm_roofline_point point = given_point(1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bm_bound bound = {.flops = cases[i].flops,
                                 .bytes = cases[i].bytes,
                                 .working_bytes = cases[i].working_bytes};
        bm_roofline_bound(&point, &bound);
        check_near(bound.ns, cases[i].ns);
        TEST_CHECK_STR(bound.level, cases[i].level);
        TEST_CHECK_STR(bound.limit, cases[i].limit);
    }
}

/* Processors without L3 or without caches that the system shows. */
static void test_absent_levels(void) {
    struct bm_roofline_point point = given_point(1);
    struct bm_bound bound = {.flops = 0, .bytes = 2e6, .working_bytes = 5e6};
    point.level[BM_ROOFLINE_L3] = (struct bm_roofline_level){.bytes = 0};
    bm_roofline_bound(&point, &bound);
    TEST_CHECK_STR(bound.level, "memory");
    check_near(bound.ns, 1e5);
    point.level[BM_ROOFLINE_L2] = (struct bm_roofline_level){.bytes = 0};
    bound.working_bytes = 1;
    bm_roofline_bound(&point, &bound);
    TEST_CHECK_STR(bound.level, "memory");
}

static void test_merge(void) {
    struct bm_roofline_point point = given_point(2);
    struct bm_roofline_point other = given_point(2);
    point.multiply_add = (struct bm_roofline_rate){50e9, 40e9, 0.5, "disturbed"};
    point.level[BM_ROOFLINE_L2].read.cpu_share = 0.7;
    TEST_CHECK(!bm_roofline_is_steady(&point));
    TEST_CHECK(bm_roofline_is_steady(&other));
    other.level[BM_ROOFLINE_MEMORY].update.best = 10e9;
    bm_roofline_merge(&point, &other);
    check_near(point.multiply_add.best, 100e9);
    check_near(point.multiply_add.median, 50e9);
    TEST_CHECK_STR(point.multiply_add.isa, "none");
    check_near(point.level[BM_ROOFLINE_MEMORY].update.best, 20e9);
    TEST_CHECK(bm_roofline_is_steady(&point));
}

/* ---- Counts ---- */

static void test_counts(void) {
    struct bm_model model;
    struct bm_error error = {0};
    struct bm_shape input = {1, 28, 28};
    TEST_CHECK(bm_model_named("mlp", input, 10, &model, &error) == BM_STATUS_OK);
    check_near((double)bm_model_param_count(&model), MLP_PARAMS);
    /* Read forward; read, written; each slot read and written. */
    check_near(bm_model_update_bytes(&model, 0), 12 * MLP_PARAMS);
    check_near(bm_model_update_bytes(&model, 1), 20 * MLP_PARAMS);
    check_near(bm_model_update_bytes(&model, 2), 28 * MLP_PARAMS);
    check_near(bm_model_working_bytes(&model, 0), 4 * MLP_PARAMS);
    check_near(bm_model_working_bytes(&model, 1), 8 * MLP_PARAMS);
    /* 2 operations a weight forward, 2 for its gradient, 2 for that of the layer's input, except
     * for the lowest layer's. */
    check_near(bm_model_gradient_flops(&model),
               6.0 * (784 * 512 + 512 * 512 + 512 * 10) - 2.0 * (784 * 512));
}

/* The mlp with momentum at batch 1 on the given machine: 13.4 MB through L3. */
static void test_mlp(void) {
    struct bm_roofline_point point = given_point(1);
    struct bm_bound bound = {
        .flops = 3209216, .bytes = 20 * MLP_PARAMS, .working_bytes = 8 * MLP_PARAMS};
    bm_roofline_bound(&point, &bound);
    check_near(bound.ns, 1e9 * 13394120 / 80e9);
    TEST_CHECK_STR(bound.level, "L3");
    bound.flops *= 100;
    bm_roofline_bound(&point, &bound);
    check_near(bound.ns, 3209216);
    TEST_CHECK_STR(bound.limit, "compute");
}

/* ---- The cache file ---- */

static struct bm_roofline given_roofline(void) {
    struct bm_roofline roofline = {.point_count = 2, .source = "measured"};
    roofline.point[0] = given_point(1);
    roofline.point[1] = given_point(2);
    roofline.point[1].level[BM_ROOFLINE_L3] = (struct bm_roofline_level){.bytes = 0};
    return roofline;
}

static void test_round_trip(void) {
    struct bm_roofline roofline = given_roofline();
    struct bm_roofline found = {.point_count = 0};
    struct bm_error error = {0};
    json_t *key = json_pack("{s:s}", "cpu", "one");
    json_t *other = json_pack("{s:s}", "cpu", "another");
    char path[256];
    (void)snprintf(path, sizeof path, "%s", path_of("a/b/c.json"));
    TEST_CHECK(!bm_roofline_cache_read(path, key, &found));
    /* Twice: what is there is replaced. */
    TEST_CHECK(bm_roofline_cache_write(path, key, &roofline, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_roofline_cache_write(path, key, &roofline, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_roofline_cache_read(path, key, &found));
    TEST_CHECK(found.point_count == 2 && bm_roofline_find(&found, 3) == NULL);
    for (uint32_t i = 0; i < 2; i++) {
        const struct bm_roofline_point *point = bm_roofline_find(&found, i + 1);
        TEST_CHECK(point != NULL);
        check_near(point->multiply_add.best, 100e9);
        check_near(point->level[BM_ROOFLINE_L2].bytes, 1e6);
        check_near(point->level[BM_ROOFLINE_L3].bytes, i == 0 ? 10e6 : 0);
        check_near(point->level[BM_ROOFLINE_L2].update.median, 100e9);
        TEST_CHECK(isinf(point->level[BM_ROOFLINE_MEMORY].bytes));
        TEST_CHECK_STR(point->level[BM_ROOFLINE_MEMORY].read.isa, "none");
    }
    TEST_CHECK(!bm_roofline_cache_read(path, other, &found) && found.point_count == 0);
    json_decref(key);
    json_decref(other);
}

/* Nothing of a failed write stays. */
static void test_unwritable(void) {
    struct bm_roofline roofline = given_roofline();
    struct bm_error error = {0};
    json_t *key = json_object();
    put("file", "");
    TEST_CHECK(bm_roofline_cache_write(path_of("file/x.json"), key, &roofline, &error) ==
               BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "cannot make this file");
    TEST_CHECK(mkdir(path_of("taken"), 0777) == 0 && mkdir(path_of("taken/x.json"), 0777) == 0);
    TEST_CHECK(bm_roofline_cache_write(path_of("taken/x.json"), key, &roofline, &error) ==
               BM_STATUS_INVALID);
    uint32_t entries = 0;
    DIR *listing = opendir(path_of("taken"));
    TEST_CHECK(listing != NULL);
    while (readdir(listing) != NULL) {
        entries++;
    }
    (void)closedir(listing);
    TEST_CHECK_MSG(entries == 3, "%u entries, expected ., .. and x.json", entries);
    json_decref(key);
}

#define RATE "{\"best\": 1, \"median\": 1, \"cpu_share\": 1, \"isa\": \"x\"}"
#define LEVEL(name, bytes, read)                                                                   \
    "{\"name\": \"" name "\", \"bytes\": " bytes ", \"read_bytes_per_s\": " read                   \
    ", \"update_bytes_per_s\": " RATE "}"
#define POINT(threads, peak, levels)                                                               \
    "{\"threads\": " threads ", \"flop_per_s\": " peak ", \"levels\": [" levels "]}"
#define CACHE(points) "{\"key\": {}, \"points\": [" points "]}"

static void test_damaged(void) {
    static const char *const good = CACHE(POINT("1", RATE, LEVEL("memory", "null", RATE)));
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"key\": {}}",
        "{\"key\": {}, \"points\": 5}",
        CACHE(""),
        CACHE("5"),
        "{\"key\": {\"cpu\": 1}, \"points\": [" POINT("1", RATE,
                                                      LEVEL("memory", "null", RATE)) "]}",
        CACHE(POINT("0", RATE, LEVEL("memory", "null", RATE))),
        CACHE(POINT("1e300", RATE, LEVEL("memory", "null", RATE))),
        CACHE(POINT("-1", RATE, LEVEL("memory", "null", RATE))),
        CACHE(POINT("1", "{}", LEVEL("memory", "null", RATE))),
        CACHE(POINT("1", RATE, "")),
        CACHE(POINT("1", RATE, LEVEL("L2", "1000", RATE))),
        CACHE(POINT("1", RATE, LEVEL("L2", "-1", RATE) ", " LEVEL("memory", "null", RATE))),
        CACHE(POINT("1", RATE, LEVEL("L9", "1", RATE) ", " LEVEL("memory", "null", RATE))),
        CACHE(POINT("1", RATE, LEVEL("memory", "null", "{\"best\": 0, \"median\": 1}"))),
        CACHE(POINT("1", RATE, LEVEL("memory", "null", "{\"best\": \"fast\", \"median\": 1}"))),
    };
    struct bm_roofline found;
    json_t *key = json_object();
    put("damaged.json", good);
    TEST_CHECK(bm_roofline_cache_read(path_of("damaged.json"), key, &found));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put("damaged.json", bad[i]);
        TEST_CHECK_MSG(!bm_roofline_cache_read(path_of("damaged.json"), key, &found) &&
                           found.point_count == 0,
                       "accepted: %s", bad[i]);
    }
    TEST_CHECK(!bm_roofline_cache_read(folder, key, &found));
    json_decref(key);
}

/* ---- What a run gets ---- */

static uint32_t probes;
static uint32_t last_threads;

static void count_probe(void *context, uint32_t threads) {
    uint32_t *last = context;
    probes += *last != threads; /* it is called for every round */
    *last = threads;
}

static void get(struct bm_roofline_wish *wish, struct bm_roofline *roofline) {
    last_threads = 0;
    probes = 0;
    wish->progress = count_probe;
    wish->context = &last_threads;
    bm_roofline_get(wish, roofline);
}

static void check_rate(const struct bm_roofline_rate *found) {
    TEST_CHECK_MSG(found->best > 0 && isfinite(found->best) && found->median > 0 &&
                       found->median <= found->best && found->cpu_share > 0,
                   "best %g, median %g, share %g", found->best, found->median, found->cpu_share);
    TEST_CHECK(found->isa[0] != '\0');
}

static void check_point(const struct bm_roofline_point *point) {
    TEST_CHECK(point != NULL);
    check_rate(&point->multiply_add);
    for (uint32_t i = 0; i < BM_ROOFLINE_LEVELS; i++) {
        if (point->level[i].bytes > 0) {
            check_rate(&point->level[i].read);
            check_rate(&point->level[i].update);
        }
    }
    TEST_CHECK(isinf(point->level[BM_ROOFLINE_MEMORY].bytes));
}

/* The one real probe, of one thread and three; then its cache. */
static void test_get(void) {
    static struct bm_roofline roofline;
    struct bm_number_list threads = {.count = 2, .values = {3, 3}};
    struct bm_roofline_wish wish = {.mode = "none", .threads = &threads, .time_limit_s = 60};
    char path[BM_PATH_SIZE];
    get(&wish, &roofline);
    TEST_CHECK(roofline.point_count == 0 && probes == 0);
    TEST_CHECK_STR(roofline.reason, "--roofline none");
    wish.mode = "auto";
    wish.time_limit_s = 9;
    get(&wish, &roofline);
    TEST_CHECK(roofline.point_count == 0 && probes == 0);
    TEST_CONTAINS(roofline.reason, "time limit");
    wish.time_limit_s = 60;
    get(&wish, &roofline);
    TEST_CHECK(roofline.point_count == 2 && probes == 2);
    TEST_CHECK_STR(roofline.source, "measured");
    check_point(bm_roofline_find(&roofline, 1));
    check_point(bm_roofline_find(&roofline, 3));
    TEST_CHECK(bm_roofline_cache_path(path, sizeof path));
    TEST_CHECK(strncmp(path, folder, strlen(folder)) == 0 && access(path, R_OK) == 0);
    wish.time_limit_s = 9; /* the cache costs no time */
    get(&wish, &roofline);
    TEST_CHECK(roofline.point_count == 2 && probes == 0);
    TEST_CHECK_STR(roofline.source, "cache");
}

/* A quiet point of the cache is taken, a disturbed one measured again and kept where it was higher;
 * an earlier run's is taken as it is. */
static void test_disturbed(void) {
    static struct bm_roofline roofline;
    static struct bm_roofline stored;
    struct bm_number_list threads = {.count = 1, .values = {1}};
    struct bm_roofline_wish wish = {.mode = "auto", .threads = &threads, .time_limit_s = 60};
    struct bm_error error = {0};
    json_t *key = bm_roofline_key();
    char path[BM_PATH_SIZE];
    TEST_CHECK(bm_roofline_cache_path(path, sizeof path));
    stored = given_roofline();
    stored.point[0].multiply_add.best = 1e30;
    TEST_CHECK(bm_roofline_cache_write(path, key, &stored, &error) == BM_STATUS_OK);
    get(&wish, &roofline);
    TEST_CHECK(probes == 0);
    stored.point[0].level[BM_ROOFLINE_L2].read.cpu_share = 0.5;
    TEST_CHECK(bm_roofline_cache_write(path, key, &stored, &error) == BM_STATUS_OK);
    get(&wish, &roofline);
    TEST_CHECK(probes == 1 && roofline.point_count == 2);
    check_near(bm_roofline_find(&roofline, 1)->multiply_add.best, 1e30);
    wish.mode = "measure";
    json_t *earlier = bm_roofline_json(&stored, key);
    wish.earlier = earlier;
    get(&wish, &roofline);
    TEST_CHECK(probes == 0);
    TEST_CHECK_STR(roofline.source, "earlier run");
    json_decref(earlier);
    json_decref(key);
}

/* Every loop that this processor runs does what its name says. */
static void test_kernels(void) {
    enum { COUNT = 4 * BM_ROOFLINE_STEP };

    _Alignas(BM_ROOFLINE_ALIGNMENT) static float values[2 * COUNT];
    _Alignas(BM_ROOFLINE_ALIGNMENT) static float state[BM_ROOFLINE_STATE];
    uint32_t count = 0;
    const struct bm_roofline_kernel *kernels = bm_roofline_kernels(&count);
    TEST_CHECK(count >= 1);
    for (uint32_t k = 0; k < count; k++) {
        double sum = 0;
        memset(state, 0, sizeof state);
        for (uint32_t i = 0; i < 2 * COUNT; i++) {
            values[i] = (float)i;
        }
        kernels[k].read(values, COUNT, state);
        for (uint32_t i = 0; i < BM_ROOFLINE_STATE; i++) {
            sum += (double)state[i];
        }
        check_near(sum, COUNT * (COUNT - 1) / 2.0);
        kernels[k].update(values, values + COUNT, COUNT);
        for (uint32_t i = 0; i < 2 * COUNT; i++) {
            TEST_CHECK(values[i] == (float)((i + COUNT) % (2 * COUNT)));
        }
        kernels[k].multiply_add(0.5F, 1.0F, state);
        TEST_CHECK(state[0] == 2.0F); /* where a = a / 2 + 1 ends */
    }
}

/* An interrupt leaves no bound and no file, and all threads end. */
static void test_interrupt(void) {
    static struct bm_roofline roofline;
    struct bm_number_list threads = {.count = 1, .values = {2}};
    struct bm_roofline_wish wish = {.mode = "measure", .threads = &threads, .time_limit_s = 60};
    char path[BM_PATH_SIZE];
    TEST_CHECK(bm_roofline_cache_path(path, sizeof path) && unlink(path) == 0);
    bm_interrupt_catch();
    TEST_CHECK(raise(SIGTERM) == 0);
    get(&wish, &roofline);
    TEST_CHECK(roofline.point_count == 0);
    TEST_CHECK_STR(roofline.reason, "the probe was interrupted");
    TEST_CHECK(access(path, F_OK) != 0);
}

int main(void) {
    TEST_CHECK(mkdtemp(folder) != NULL && setenv("XDG_CACHE_HOME", folder, 1) == 0);
    test_bounds();
    test_absent_levels();
    test_merge();
    test_counts();
    test_mlp();
    test_round_trip();
    test_unwritable();
    test_damaged();
    test_kernels();
    test_get();
    test_disturbed();
    test_interrupt();
    return 0;
}
