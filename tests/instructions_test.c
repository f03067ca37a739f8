/* Instructions of one update: the same number from the same run, more for a larger batch, and a
 * reason where nothing can count. The program is its own worker. */
#include "instructions.h"

#include "callgrind.h"
#include "data.h"
#include "hardware_counter.h"
#include "serve.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_S 120.0

static struct bm_dataset dataset;
static char plugin_path[4096];
static char scratch[] = "/tmp/instructions_test_XXXXXX";

static int32_t count(const char *plugin,
                     enum bm_instructions_source source,
                     uint64_t batch,
                     uint64_t updates,
                     struct bm_instructions *result,
                     struct bm_error *error) {
    json_t *create =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:f}", "do", "create",
                  "device", 0, "model", "test", "layers", "dense 12, relu, dense 4", "precision",
                  "float32", "optimizer", (int)BM_OPTIMIZER_MOMENTUM, "threads", 2, "seed", 1,
                  "batch", (json_int_t)batch, "micro_batch", (json_int_t)batch, "lr", 1e-3);
    struct bm_opened_file file;
    TEST_CHECK(bm_opened_file_note(open(plugin, O_RDONLY | O_CLOEXEC), plugin, &file, error) ==
               BM_STATUS_OK);
    struct bm_instructions_request request = {.plugin = plugin,
                                              .file = &file,
                                              .create = create,
                                              .data_fd = dataset.fd,
                                              .source = source,
                                              .updates = updates,
                                              .limit_s = LIMIT_S};
    TEST_CHECK(create != NULL);
    int32_t status = bm_instructions_count(&request, result, error);
    TEST_CHECK(json_integer_value(json_object_get(create, "threads")) == 2); /* is not ours */
    json_decref(create);
    bm_opened_file_close(&file);
    return status;
}

static double
per_update(enum bm_instructions_source source, uint64_t batch, uint64_t updates, int *is_there) {
    struct bm_instructions result;
    struct bm_error error = {0};
    int32_t status = count(plugin_path, source, batch, updates, &result, &error);
    *is_there = status != BM_STATUS_UNSUPPORTED;
    if (!*is_there) {
        (void)printf("%s: %s\n", bm_instructions_source_name(source), error.text);
        TEST_CHECK(strncmp(error.text, "not counted: ", 13) == 0);
        return 0;
    }
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(result.source == source && strstr(result.describe, "threads=1\n") != NULL);
    return result.per_update;
}

/* Of 784 x 12 weights each is used twice and stepped in an update of one image: no fewer than that
 * many instructions, and not a hundred for each. */
static int test_source(enum bm_instructions_source source) {
    int is_there = 0;
    double first = per_update(source, 1, 1, &is_there);
    if (!is_there) {
        return 0;
    }
    double again = per_update(source, 1, 1, &is_there);
    double ten = per_update(source, 10, 1, &is_there);
    double of_three = per_update(source, 1, 3, &is_there);
    (void)printf("%s: %.0f, again %.0f, of three %.1f; batch 10: %.0f\n",
                 bm_instructions_source_name(source), first, again, of_three, ten);
    /* A processor's counter may count an interrupt's return. */
    double slack = source == BM_INSTRUCTIONS_VALGRIND ? 0 : 64;
    TEST_CHECK_MSG(first - again <= slack && again - first <= slack, "%.17g, again %.17g", first,
                   again);
    TEST_CHECK_MSG(first > 3 * 784 * 12 && first < 100 * 784 * 12, "%.17g", first);
    TEST_CHECK_MSG(ten > 2 * first && ten < 10 * first, "%.17g, of ten %.17g", first, ten);
    TEST_CHECK_MSG(of_three > 0.5 * first && of_three < 1.5 * first, "%.17g, of three %.17g", first,
                   of_three);
    return 1;
}

static void test_judge(void) {
    static const struct {
        struct bm_hardware_reading reading;
        const char *text; /* NULL: it is a count */
    } cases[] = {
        {{1000, 5, 5}, NULL},
        {{1000, 5, 4}, "expected it to run for all of 5 ns, found 4 ns"},
        {{0, 5, 0}, "expected it to run for all of 5 ns, found 0 ns"},
        {{1000, 0, 0}, "expected it to run for all of 0 ns, found 0 ns"},
        {{0, 5, 5}, "expected instructions, found 0"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bm_error error = {0};
        uint64_t instructions = 7;
        int32_t status = bm_hardware_counter_judge(&cases[i].reading, &instructions, &error);
        if (cases[i].text == NULL) {
            TEST_CHECK(status == BM_STATUS_OK && instructions == 1000);
        } else {
            TEST_CHECK(status == BM_STATUS_UNSUPPORTED && instructions == 7);
            TEST_CONTAINS(error.text, cases[i].text);
        }
    }
}

/* ---- What valgrind says ---- */

static void write_text(const char *folder, const char *name, const char *text) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    TEST_CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void make_callgrind(struct bm_callgrind *callgrind) {
    memset(callgrind, 0, sizeof *callgrind);
    (void)snprintf(callgrind->folder, sizeof callgrind->folder, "%s/callgrind", scratch);
    TEST_CHECK(mkdir(callgrind->folder, 0700) == 0);
}

static void test_reading(void) {
    struct bm_callgrind callgrind;
    struct bm_error error = {0};
    uint64_t instructions = 0;
    make_callgrind(&callgrind);
    TEST_CHECK(bm_callgrind_read(&callgrind, &instructions, &error) == BM_STATUS_INTERNAL);
    TEST_CONTAINS(error.text, "found none");
    write_text(callgrind.folder, "out.1", "# callgrind format\nevents: Ir\n\ntotals: 0\n");
    TEST_CHECK(bm_callgrind_read(&callgrind, &instructions, &error) == BM_STATUS_INTERNAL);
    TEST_CONTAINS(error.text, "found no total in it");
    write_text(callgrind.folder, "out.1",
               "# callgrind format\nevents: Ir\n\ntotals: 123456789012\n");
    TEST_CHECK(bm_callgrind_read(&callgrind, &instructions, &error) == BM_STATUS_OK);
    TEST_CHECK(instructions == 123456789012u);
    bm_callgrind_close(&callgrind);
    TEST_CHECK(access(scratch, F_OK) == 0 && rmdir(scratch) == 0 && mkdir(scratch, 0700) == 0);
    bm_callgrind_close(&callgrind);
}

static void test_unknown_instructions(void) {
    struct bm_callgrind callgrind;
    const char *what = NULL;
    make_callgrind(&callgrind);
    TEST_CHECK(!bm_callgrind_met_unknown(&callgrind, &what) && what == NULL);
    write_text(callgrind.folder, "log", "==1== Callgrind\n==1== \n");
    TEST_CHECK(!bm_callgrind_met_unknown(&callgrind, &what) && what == NULL);
    write_text(
        callgrind.folder, "log",
        "==1== Callgrind\nvex amd64->IR: unhandled instruction bytes: 0x62 0xF1 0x7D 0x48\n");
    TEST_CHECK(bm_callgrind_met_unknown(&callgrind, &what));
    TEST_CHECK_STR(what, "valgrind runs no AVX-512");
    write_text(callgrind.folder, "log",
               "vex amd64->IR: unhandled instruction bytes: 0xC4 0x62 0x7D 0x48\n");
    TEST_CHECK(bm_callgrind_met_unknown(&callgrind, &what));
    TEST_CHECK_STR(what, "valgrind does not know one of its instructions");
    bm_callgrind_close(&callgrind);
}

/* ---- Where it cannot count ---- */

static void test_no_valgrind(void) {
    struct bm_instructions result;
    struct bm_error error = {0};
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", getenv("PATH") == NULL ? "" : getenv("PATH"));
    TEST_CHECK(setenv("PATH", "/nowhere::/proc", 1) == 0);
    TEST_CHECK(count(plugin_path, BM_INSTRUCTIONS_VALGRIND, 1, 1, &result, &error) ==
               BM_STATUS_UNSUPPORTED);
    TEST_CHECK_STR(error.text, "not counted: valgrind: not found in $PATH");
    TEST_CHECK(setenv("PATH", path, 1) == 0);
}

static uint32_t entries(const char *path) {
    uint32_t found = 0;
    DIR *folder = opendir(path);
    TEST_CHECK(folder != NULL);
    while (readdir(folder) != NULL) {
        found++;
    }
    (void)closedir(folder);
    return found;
}

/* A plugin that crashes is no plugin without a count, by whichever source. */
static void test_crash(enum bm_instructions_source source) {
    struct bm_instructions result;
    struct bm_error error = {0};
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/tests/plugins/bad/bm_bad_segfault_gradient.so",
                   bm_test_env("BM_TEST_BINARY_DIR"));
    int32_t status = count(path, source, 1, 1, &result, &error);
    TEST_CHECK_MSG(status == BM_STATUS_INTERNAL, "%s", error.text);
    TEST_CONTAINS(error.text, "killed by SIGSEGV in gradient");
}

#ifdef __x86_64__
/* What a processor with AVX-512 runs, the emulated one has not got, whether the plugin looks first
 * or not. */
static void test_avx512(void) {
    struct bm_instructions result;
    struct bm_error error = {0};
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/tests/plugins/unlooked/bm_unlooked.so",
                   bm_test_env("BM_TEST_BINARY_DIR"));
    TEST_CHECK(count(path, BM_INSTRUCTIONS_VALGRIND, 1, 1, &result, &error) ==
               BM_STATUS_UNSUPPORTED);
    TEST_CHECK_STR(error.text, "not counted: valgrind runs no AVX-512");
    (void)snprintf(path, sizeof path, "%s/bm_avx512.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    if (access(path, R_OK) == 0) {
        int32_t status = count(path, BM_INSTRUCTIONS_VALGRIND, 1, 1, &result, &error);
        TEST_CHECK_MSG(status == BM_STATUS_UNSUPPORTED, "%s", error.text);
        TEST_CONTAINS(error.text, "not counted: under valgrind, which runs no AVX-512: ");
    }
}
#endif

int main(int argc, char **argv) {
    struct bm_data_synthetic synthetic = {.class_count = 4, .train_count = 64, .test_count = 8};
    struct bm_error error = {0};
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        bm_serve_main(argc - 1, argv + 1);
    }
    if (bm_test_sanitized()) {
        TEST_SKIP("a sanitizer's own instructions would be counted, and valgrind runs none");
    }
    (void)snprintf(plugin_path, sizeof plugin_path, "%s/bm_scalar.so",
                   bm_test_env("BM_TEST_PLUGIN_DIR"));
    TEST_CHECK(mkdtemp(scratch) != NULL && setenv("TMPDIR", scratch, 1) == 0);
    TEST_CHECK_MSG(bm_dataset_open("synthetic", NULL, &synthetic, &dataset, &error) == BM_STATUS_OK,
                   "%s", error.text);
    test_judge();
    test_reading();
    test_unknown_instructions();
    test_no_valgrind();
    int hardware = test_source(BM_INSTRUCTIONS_HARDWARE);
    int valgrind = test_source(BM_INSTRUCTIONS_VALGRIND);
    if (hardware) {
        test_crash(BM_INSTRUCTIONS_HARDWARE);
    }
    if (valgrind) {
        test_crash(BM_INSTRUCTIONS_VALGRIND);
#ifdef __x86_64__
        test_avx512();
#endif
    }
    TEST_CHECK_MSG(entries(scratch) == 2, "files are left in %s", scratch);
    TEST_CHECK(rmdir(scratch) == 0);
    bm_dataset_close(&dataset);
    if (!hardware && !valgrind) {
        TEST_SKIP("neither a hardware counter nor valgrind");
    }
    return 0;
}
