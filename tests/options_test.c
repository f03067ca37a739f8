/* The command line: lists, ranges, refusals, and which source wins. */
#include "options.h"
#include "test.h"

#include <unistd.h>

#define WORD_LIMIT 4
#define ARGUMENT_LIMIT 32

static const char *words[WORD_LIMIT];
static uint32_t word_count;

/* Parses a NULL-terminated argv; without a preset unless the arguments name one. */
static int32_t
parse(uint32_t command, struct bm_options *options, struct bm_error *error, const char **argv) {
    char *copy[ARGUMENT_LIMIT]; /* main's argv is not const, and no literal may go there */
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    TEST_CHECK(argc < ARGUMENT_LIMIT);
    memcpy(copy, argv, ((size_t)argc + 1) * sizeof *argv);
    return bm_options_parse(command, argc, copy, options, words, WORD_LIMIT, &word_count, error);
}

#define ARGS(...) ((const char *[]){"run", __VA_ARGS__, NULL})

static struct bm_options good(const char **argv) {
    static struct bm_options options;
    struct bm_error error = {.text = ""};
    int32_t status = parse(BM_COMMAND_RUN, &options, &error, argv);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    return options;
}

static void refused(const char *expected, const char **argv) {
    struct bm_options options;
    struct bm_error error = {.text = ""};
    int32_t status = parse(BM_COMMAND_RUN, &options, &error, argv);
    TEST_CHECK_MSG(status == BM_STATUS_INVALID, "expected \"%s\"", expected);
    TEST_CHECK(error.code == status);
    TEST_CHECK_STR(error.text, expected);
}

static void check_batch(const char *text, uint32_t count, const uint64_t *expected) {
    struct bm_options options = good(ARGS("--batch", text));
    TEST_CHECK_MSG(options.batch.count == count, "%s: %u values", text, options.batch.count);
    for (uint32_t i = 0; i < count; i++) {
        TEST_CHECK_MSG(options.batch.values[i] == expected[i], "%s: value %u is %llu", text, i,
                       (unsigned long long)options.batch.values[i]);
    }
}

static void test_lists(void) {
    check_batch("1,10,100", 3, (uint64_t[]){1, 10, 100});
    check_batch("1-5", 5, (uint64_t[]){1, 2, 3, 4, 5});
    check_batch("1-1024*2", 11, (uint64_t[]){1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024});
    check_batch("1-100*7", 3, (uint64_t[]){1, 7, 49});
    check_batch("2-9+3,60000", 4, (uint64_t[]){2, 5, 8, 60000});
    check_batch("7-7", 1, (uint64_t[]){7});
    check_batch("2147483647-2147483648", 2, (uint64_t[]){2147483647, 2147483648});
    struct bm_options options = good(ARGS("--seed", "18446744073709551614-18446744073709551615"));
    TEST_CHECK(options.seed.count == 2 && options.seed.values[1] == UINT64_MAX);
    options = good(ARGS("--batch=1-64"));
    TEST_CHECK(options.batch.count == BM_LIST_MAX && options.batch.values[63] == 64);
}

#define EXPECTED_BATCH "--batch: expected a number from 1 to 2147483648"

static void test_bad_lists(void) {
    refused(EXPECTED_BATCH ", found \"x\"", ARGS("--batch", "x"));
    refused(EXPECTED_BATCH ", found \"0\"", ARGS("--batch", "0"));
    refused(EXPECTED_BATCH ", found \"2147483649\"", ARGS("--batch", "2147483649"));
    refused(EXPECTED_BATCH ", found \"99999999999999999999999\"",
            ARGS("--batch", "99999999999999999999999"));
    refused(EXPECTED_BATCH ", found \"\"", ARGS("--batch", ""));
    refused(EXPECTED_BATCH ", found \"\"", ARGS("--batch", "1,,2"));
    refused(EXPECTED_BATCH ", found \"\"", ARGS("--batch", "1,"));
    refused(EXPECTED_BATCH ", found \"1e3\"", ARGS("--batch", "1e3"));
    refused(EXPECTED_BATCH ", found \" 1\"", ARGS("--batch", " 1"));
#define RISING " or a rising range like 1-5 or 1-1024*2"
    refused(EXPECTED_BATCH RISING ", found \"5-1\"", ARGS("--batch", "5-1"));
    refused(EXPECTED_BATCH RISING ", found \"1-\"", ARGS("--batch", "1-"));
    refused(EXPECTED_BATCH RISING ", found \"-1\"", ARGS("--batch", "-1"));
    refused(EXPECTED_BATCH RISING ", found \"1-8*1\"", ARGS("--batch", "1-8*1"));
    refused(EXPECTED_BATCH RISING ", found \"1-8*0\"", ARGS("--batch", "1-8*0"));
    refused(EXPECTED_BATCH RISING ", found \"1-8+0\"", ARGS("--batch", "1-8+0"));
    refused("--batch: expected at most 64 values, found \"1-65\"", ARGS("--batch", "1-65"));
    refused("--threads: expected a number from 1 to 1024, found \"1025\"",
            ARGS("--threads", "1,1025"));
    /* A geometric range from 0 would never rise. */
    refused("--seed: expected a number from 0 to 18446744073709551615" RISING ", found \"0-8*2\"",
            ARGS("--seed", "0-8*2"));
}

static void test_names(void) {
    struct bm_options options =
        good(ARGS("--model", "mlp,c1", "--optimizer=adam", "--precision", "bf16/f32", "-b",
                  "avx2,vulkan:0", "--dataset", "cifar10,synthetic"));
    TEST_CHECK(options.model.count == 2 && options.optimizer.count == 1);
    TEST_CHECK_STR(options.model.names[1], "c1");
    TEST_CHECK_STR(options.optimizer.names[0], "adam");
    TEST_CHECK_STR(options.precision.names[0], "bf16/f32");
    TEST_CHECK_STR(options.backend.names[1], "vulkan:0");
    TEST_CHECK_STR(options.dataset.names[1], "synthetic");
}

static void test_bad_names(void) {
    refused("--model: expected one of mlp, f1, c1, c2, f2, custom, found \"vgg\"",
            ARGS("--model", "mlp,vgg"));
    refused("--optimizer: expected one of sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, "
            "lars, lamb, found \"adm\"",
            ARGS("--optimizer", "adm"));
    refused("--format: expected one of table, markdown, csv, jsonl, gbench, found \"xml\"",
            ARGS("--format", "xml"));
    refused("--export: expected one of table, markdown, csv, jsonl, gbench, html, found \"xml\"",
            ARGS("--export", "xml=a"));
    refused("--export: expected FORMAT=FILE, found \"csv\"", ARGS("--export", "csv"));
    refused("--backend: expected names like avx2 or vulkan:0, separated by commas, found \"a:\"",
            ARGS("--backend", "a:"));
    refused("--backend: expected names of 1 to 63 bytes, separated by commas, found \"a,\"",
            ARGS("--backend", "a,"));
    refused("--machine: expected a name without / that does not begin with a dot, found \"../x\"",
            ARGS("--machine", "../x"));
    refused("--model: expected --layers, or `layers = ...` in an ini file, for the model custom, "
            "found none",
            ARGS("--model", "custom"));
    char name[100];
    memset(name, 'a', sizeof name);
    name[99] = '\0';
    struct bm_options options;
    struct bm_error error;
    TEST_CHECK(parse(BM_COMMAND_RUN, &options, &error, ARGS("--backend", name)) < 0);
    TEST_CHECK(parse(BM_COMMAND_RUN, &options, &error, ARGS("--machine", name)) < 0);
    TEST_CONTAINS(error.text, "--machine: expected a text of 1 to 63 bytes");
}

static void test_numbers(void) {
    struct bm_options options = good(ARGS("--lr", "1e-3", "--micro-batch", "128"));
    TEST_CHECK(options.lr == 1e-3 && options.micro_batch == 128);
    const char *bad[] = {"0", "0.0", "-1", "nan", "inf", "1e999", "0x10", "", "1e-3x", " 1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char expected[128];
        (void)snprintf(expected, sizeof expected, "--lr: expected a number above 0, found \"%s\"",
                       bad[i]);
        refused(expected, ARGS("--lr", bad[i]));
    }
}

static void check_momentum(const char *text, double expected) {
    struct bm_options options;
    struct bm_error error = {.text = ""};
    int32_t status = parse(BM_COMMAND_TRAIN, &options, &error, ARGS("--momentum", text));
    TEST_CHECK_MSG((status == BM_STATUS_OK) == (expected >= 0), "%s: %s", text, error.text);
    TEST_CHECK_MSG(status != BM_STATUS_OK || options.train.momentum == expected, "%s: %g", text,
                   options.train.momentum);
}

/* Zero is one number in all its forms; -1: refused. */
static void test_fractions(void) {
    check_momentum("0", 0);
    check_momentum("0.0", 0);
    check_momentum(".0", 0);
    check_momentum("0e5", 0);
    check_momentum("0.5", 0.5);
    check_momentum("1", -1);
    check_momentum("-0.0", -1);
    check_momentum("0.0x", -1);
    check_momentum(".", -1);
    check_momentum("", -1);
}

static void check_duration(const char *text, double expected) {
    double seconds = 0;
    struct bm_error error = {.text = ""};
    TEST_CHECK_MSG(bm_parse_duration(text, &seconds, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK_MSG(seconds == expected, "%s: found %g", text, seconds);
}

static void test_durations(void) {
    check_duration("90s", 90);
    check_duration("5m", 300);
    check_duration("1h", 3600);
    check_duration("200ms", 0.2);
    check_duration("1.5", 1.5);
    const char *bad[] = {"", "0", "0s", "0.0s", "-5s", "5 s", "5x", "s", "inf", "nan", "1e400h"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double seconds = 0;
        struct bm_error error;
        TEST_CHECK_MSG(bm_parse_duration(bad[i], &seconds, &error) == BM_STATUS_INVALID, "%s",
                       bad[i]);
    }
    refused("--time-limit: expected a duration above 0 like 90s, 5m, 1h or 200ms, found \"5x\"",
            ARGS("--time-limit", "5x"));
}

static void test_syntax(void) {
    struct bm_options options =
        good(ARGS("-o", "a.jsonl", "first", "--verbose", "--export", "csv=a.csv", "--export",
                  "jsonl=b", "--plugin", "x.so", "--in-process", "--", "--batch"));
    TEST_CHECK_STR(options.output, "a.jsonl");
    TEST_CHECK(options.verbose == 1 && options.in_process == 1 && options.help == 0);
    TEST_CHECK(options.export_to.count == 2 && options.plugin.count == 1);
    TEST_CHECK_STR(options.export_to.paths[1], "jsonl=b");
    TEST_CHECK(word_count == 2);
    TEST_CHECK_STR(words[0], "first");
    TEST_CHECK_STR(words[1], "--batch");
    TEST_CHECK(good(ARGS("-h", "--config", "absent.ini")).help == 1);
}

static void test_bad_syntax(void) {
    refused("--bacth: expected an option, found an unknown name; did you mean --batch?",
            ARGS("--bacth", "1"));
    refused("--bacth: expected an option, found an unknown name; did you mean --batch?",
            ARGS("--bacth=1"));
    refused("--zzzzzzzz: expected an option, found an unknown name (see --help)",
            ARGS("--zzzzzzzz"));
    refused("-Z: expected an option, found an unknown name (see --help)", ARGS("-vZ"));
    refused("--batch: expected LIST, found nothing", ARGS("--batch"));
    refused("--output: expected FILE, found nothing", ARGS("-o"));
    refused("--verbose: expected no value, found \"3\"", ARGS("--verbose=3"));
    refused("expected at most 4 words besides options, found \"e\"", ARGS("a", "b", "c", "d", "e"));
}

static void test_commands_have_their_options(void) {
    struct bm_options options;
    struct bm_error error;
    TEST_CHECK(parse(BM_COMMAND_DATA, &options, &error, ARGS("list", "--data-dir", "x")) == 0);
    TEST_CHECK_STR(options.data_dir, "x");
    TEST_CHECK_STR(options.preset, "");
    TEST_CHECK(parse(BM_COMMAND_DATA, &options, &error, ARGS("--batch", "1")) == BM_STATUS_INVALID);
    TEST_CHECK(parse(BM_COMMAND_LIST, &options, &error, ARGS("--plugin", "x", "-v")) == 0);
    TEST_CHECK(options.plugin.count == 1 && options.verbose == 1);
}

static void test_report(void) {
    struct bm_options options;
    struct bm_error error;
    TEST_CHECK(parse(BM_COMMAND_REPORT, &options, &error,
                     ARGS("x", "-o", "page.html", "--export", "html=y", "-f", "csv")) ==
               BM_STATUS_OK);
    TEST_CHECK(word_count == 1 && options.threshold == 0.02 && options.export_to.count == 1);
    TEST_CHECK_STR(options.series, "update");
    TEST_CHECK_STR(options.output, "page.html");
    TEST_CHECK_STR(options.format, "csv");
    TEST_CHECK(parse(BM_COMMAND_REPORT, &options, &error, ARGS("--format", "html")) ==
               BM_STATUS_INVALID);
    TEST_CHECK(parse(BM_COMMAND_REPORT, &options, &error, ARGS("--export", "jsonl=x")) ==
               BM_STATUS_INVALID);
}

static void test_history(void) {
    struct bm_options options;
    struct bm_error error;
    TEST_CHECK(parse(BM_COMMAND_HISTORY, &options, &error, ARGS("x")) == BM_STATUS_OK);
    TEST_CHECK(word_count == 1 && options.since == 0 && options.threshold == 0.02);
    TEST_CHECK_STR(options.series, "update");
    TEST_CHECK_STR(options.preset, "");
    TEST_CHECK(parse(BM_COMMAND_HISTORY, &options, &error,
                     ARGS("x", "--threshold", "0.5%", "--since=9", "--series", "epoch", "--model",
                          "mine")) == BM_STATUS_OK);
    TEST_CHECK(options.threshold == 0.005 && options.since == 9);
    TEST_CHECK_STR(options.series, "epoch");
    TEST_CHECK(parse(BM_COMMAND_HISTORY, &options, &error, ARGS("x", "--threshold", "0%")) == 0);
    TEST_CHECK(options.threshold == 0);
    const char *bad[] = {"2", "101%", "-1%", "%", "", "2%x", "2 %", "nan%", "1e999%"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        TEST_CHECK_MSG(parse(BM_COMMAND_HISTORY, &options, &error,
                             ARGS("x", "--threshold", bad[i])) == BM_STATUS_INVALID,
                       "%s", bad[i]);
        TEST_CONTAINS(error.text, "--threshold: expected a share like 2% or 0.02");
    }
}

static void test_backend_options(void) {
    struct bm_options options = good(ARGS("--option", "avx2.tile=6x16", "--option",
                                          "vulkan.queue=a.b=c", "--option", "avx2.tile=4"));
    TEST_CHECK(options.setting_count == 2);
    TEST_CHECK_STR(options.setting[0].backend, "avx2");
    TEST_CHECK_STR(options.setting[0].key, "tile");
    TEST_CHECK_STR(options.setting[0].value, "4");
    TEST_CHECK_STR(options.setting[1].value, "a.b=c");
    const char *bad[] = {"tile=4", "avx2.tile", "avx2.=4", ".tile=4", "avx2.tile=", "avx2=a.b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char expected[128];
        (void)snprintf(expected, sizeof expected,
                       "--option: expected BACKEND.KEY=VALUE, found \"%s\"", bad[i]);
        refused(expected, ARGS("--option", bad[i]));
    }
}

/* Repeated lists grow on one line, and replace what the preset gave. */
static void test_lecture_and_its_replacement(void) {
    struct bm_options options = good(ARGS("--verbose"));
    TEST_CHECK_STR(options.preset, "lecture");
    TEST_CHECK(options.backend.count == 0 && options.batch.count == 6);
    TEST_CHECK(options.batch.values[0] == 1 && options.batch.values[5] == 60000);
    TEST_CHECK_STR(options.model.names[0], "mlp");
    TEST_CHECK_STR(options.dataset.names[0], "fashion-mnist");
    TEST_CHECK_STR(options.optimizer.names[0], "momentum");
    TEST_CHECK_STR(options.precision.names[0], "float32");
    TEST_CHECK_STR(options.format, "table");
    TEST_CHECK(options.seed.count == 1 && options.seed.values[0] == 1);
    TEST_CHECK(options.lr == 1e-4 && options.time_limit_s == 300 && options.epoch_time_s == 20);
    TEST_CHECK(options.cell_time_s == 30 && options.hang_time_s == 60);
    options = good(ARGS("--batch", "7", "--batch", "8,9", "--lr", "1", "--lr", "2"));
    TEST_CHECK(options.batch.count == 3 && options.batch.values[0] == 7);
    TEST_CHECK(options.lr == 2);
}

static void test_quick(void) {
    struct bm_options options = good(ARGS("--preset", "quick"));
    TEST_CHECK(options.batch.count == 3 && options.batch.values[2] == 1000);
    TEST_CHECK(options.time_limit_s == 18);
    options = good(ARGS("--preset", "run/quick"));
    TEST_CHECK(options.time_limit_s == 18);
}

static void test_preset_search(void) {
    struct bm_options options;
    struct bm_error error;
    char folder[] = "/tmp/bm_options_test_XXXXXX";
    char path[128];
    TEST_CHECK(parse(BM_COMMAND_RUN, &options, &error, ARGS("--preset", "absent")) ==
               BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "found no run/absent.ini");
    TEST_CHECK(parse(BM_COMMAND_RUN, &options, &error, ARGS("--preset", "../x")) ==
               BM_STATUS_INVALID);
    TEST_CHECK(mkdtemp(folder) != NULL);
    TEST_CHECK(setenv("BATCHMARK_PRESETS", folder, 1) == 0);
    TEST_CHECK(good(ARGS("-v")).batch.count == 6); /* not in that folder: the next one */
    (void)snprintf(path, sizeof path, "%s/mine.ini", folder);
    FILE *file = fopen(path, "w");
    TEST_CHECK(file != NULL && fputs("batch = 33\n", file) >= 0 && fclose(file) == 0);
    char found[BM_PATH_SIZE];
    TEST_CHECK(bm_preset_find("mine", found, sizeof found, &error) == BM_STATUS_OK);
    TEST_CHECK_STR(found, path);
    TEST_CHECK(unlink(path) == 0 && rmdir(folder) == 0 && unsetenv("BATCHMARK_PRESETS") == 0);
}

static void check_share(const char *text, double expected) {
    struct bm_options options;
    struct bm_error error;
    TEST_CHECK(parse(BM_COMMAND_COMPARE, &options, &error, ARGS("--threshold", text)) ==
               BM_STATUS_OK);
    TEST_CHECK_MSG(options.compare.threshold == expected, "%s: %g", text,
                   options.compare.threshold);
}

static void test_compare(void) {
    static const char *const bad[] = {"2", "-1%", "2%%", "%", "2 %", "nan", "101%", ""};
    struct bm_options options;
    struct bm_error error;
    TEST_CHECK(parse(BM_COMMAND_COMPARE, &options, &error, ARGS("a", "b")) == BM_STATUS_OK);
    TEST_CHECK(options.compare.threshold == .02 && options.compare.force == 0);
    TEST_CHECK_STR(options.compare.series, "update");
    check_share("2%", .02);
    check_share("0.5%", .005);
    check_share("0.01", .01);
    check_share("0", 0);
    check_share("0%", 0);
    check_share("0.0", 0);
    check_share("0.0%", 0);
    check_share("100%", 1);
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        TEST_CHECK_MSG(parse(BM_COMMAND_COMPARE, &options, &error, ARGS("--threshold", bad[i])) ==
                           BM_STATUS_INVALID,
                       "%s", bad[i]);
        TEST_CONTAINS(error.text, "--threshold: expected a share like 2% or 0.02, found");
    }
    TEST_CHECK(parse(BM_COMMAND_COMPARE, &options, &error,
                     ARGS("--force", "--no-identical", "--export", "junit=a.xml", "--export",
                          "github=b", "--series", "device_apply")) == BM_STATUS_OK);
    TEST_CHECK(options.compare.force && options.compare.no_identical);
    TEST_CHECK(options.export_to.count == 2);
    TEST_CHECK(parse(BM_COMMAND_COMPARE, &options, &error, ARGS("--delay", "0%,2.5%,1000%,0.0%")) ==
               BM_STATUS_OK);
    TEST_CHECK(options.compare.delay.count == 4 && options.compare.delay.values[0] == 0 &&
               options.compare.delay.values[1] == .025 && options.compare.delay.values[2] == 10 &&
               options.compare.delay.values[3] == 0);
    TEST_CHECK(parse(BM_COMMAND_COMPARE, &options, &error, ARGS("--delay", "1001%")) ==
               BM_STATUS_INVALID);
    TEST_CHECK(parse(BM_COMMAND_COMPARE, &options, &error, ARGS("--delay", "1%,")) ==
               BM_STATUS_INVALID);
    TEST_CHECK(parse(BM_COMMAND_TRAIN, &options, &error, ARGS("--target", "0%")) ==
               BM_STATUS_INVALID);
    TEST_CHECK(parse(BM_COMMAND_TRAIN, &options, &error, ARGS("--target", "0.0%")) ==
               BM_STATUS_INVALID);
    TEST_CHECK(parse(BM_COMMAND_LANDSCAPE, &options, &error, ARGS("--epsilon", "0.0")) ==
               BM_STATUS_INVALID);
    /* `run` has no such formats. */
    TEST_CHECK(parse(BM_COMMAND_RUN, &options, &error, ARGS("--export", "junit=a.xml")) ==
               BM_STATUS_INVALID);
}

static void test_help(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    bm_options_help(BM_COMMAND_DATA, stream);
    TEST_CHECK(fclose(stream) == 0);
    TEST_CHECK_STR(text, "      --data-dir FOLDER       where data sets are looked for first\n"
                         "      --mirror URL            of fetch: a folder on the net that has the "
                         "files, http or https\n"
                         "                              (default: where they were published)\n"
                         "      --hang-time TIME        of fetch: a server silent for this long is "
                         "given up (default: 60s)\n"
                         "  -h, --help                  print this text\n");
    free(text);
    stream = open_memstream(&text, &size);
    bm_options_help(BM_COMMAND_RUN, stream);
    TEST_CHECK(fclose(stream) == 0);
    TEST_CONTAINS(text, "  -o, --output FILE           the record, JSON lines");
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        TEST_CHECK_MSG(strlen(line) <= 100, "%s", line);
    }
    free(text);
}

int main(void) {
    test_lists();
    test_bad_lists();
    test_names();
    test_bad_names();
    test_numbers();
    test_fractions();
    test_durations();
    test_syntax();
    test_bad_syntax();
    test_commands_have_their_options();
    test_report();
    test_history();
    test_backend_options();
    test_lecture_and_its_replacement();
    test_quick();
    test_preset_search();
    test_compare();
    test_help();
    return 0;
}
