/* Ini files: keys, sections, sources that win, and refusals with file and line. */
#include "options.h"
#include "test.h"

#include <unistd.h>

static char path[] = "/tmp/bm_config_test_XXXXXX";

static void write_file(const char *text, size_t length) {
    FILE *file = fopen(path, "wb");
    TEST_CHECK(file != NULL);
    TEST_CHECK(fwrite(text, 1, length, file) == length);
    TEST_CHECK(fclose(file) == 0);
}

static struct bm_options loaded(const char *text) {
    static struct bm_options options;
    struct bm_error error = {.text = ""};
    write_file(text, strlen(text));
    memset(&options, 0, sizeof options);
    int32_t status = bm_config_load(path, BM_COMMAND_RUN, &options, &error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    return options;
}

/* `expected` follows "FILE:" in the text. */
static void refused_bytes(const char *expected, const char *text, size_t length) {
    static struct bm_options options;
    struct bm_error error = {.text = ""};
    char whole[1024];
    write_file(text, length);
    memset(&options, 0, sizeof options);
    TEST_CHECK_MSG(bm_config_load(path, BM_COMMAND_RUN, &options, &error) == BM_STATUS_INVALID,
                   "expected \"%s\"", expected);
    TEST_CHECK(error.code == BM_STATUS_INVALID);
    (void)snprintf(whole, sizeof whole, "%s:%s", path, expected);
    TEST_CHECK_STR(error.text, whole);
}

static void refused(const char *expected, const char *text) {
    refused_bytes(expected, text, strlen(text));
}

static void test_keys(void) {
    struct bm_options options =
        loaded("; a comment\n# another\n\nbatch = 1,10-12 ; and one here\nmodel=mlp,custom\n"
               "lr = 1e-2\ntime-limit = 2m\nverbose = yes\nin-process = no\nexport = csv=a.csv\n"
               "export = jsonl=b\nlayers = dense 10\nformat = csv\nbackend = avx2,vulkan:1\n");
    TEST_CHECK(options.batch.count == 4 && options.batch.values[3] == 12);
    TEST_CHECK(options.model.count == 2);
    TEST_CHECK(options.lr == 1e-2 && options.time_limit_s == 120);
    TEST_CHECK(options.verbose == 1 && options.in_process == 0);
    TEST_CHECK(options.export_to.count == 2);
    TEST_CHECK_STR(options.export_to.paths[0], "csv=a.csv");
    TEST_CHECK_STR(options.layers, "dense 10");
    TEST_CHECK_STR(options.backend.names[1], "vulkan:1");
}

static void test_sections(void) {
    struct bm_options options =
        loaded("batch = 2\n[backend avx2]\noption.tile = 6x16\nenv.OMP_NUM_THREADS = 4\n"
               "option.tile = 14x32\n[synthetic]\nshape = 3x32x16\nclasses = 7\ntrain = 100\n"
               "test = 20\nseed = 18446744073709551615\n[backend vulkan]\noption.a.b = c=d\n");
    TEST_CHECK(options.setting_count == 3);
    TEST_CHECK_STR(options.setting[0].backend, "avx2");
    TEST_CHECK_STR(options.setting[0].key, "tile");
    TEST_CHECK_STR(options.setting[0].value, "14x32");
    TEST_CHECK(options.setting[0].is_environment == 0);
    TEST_CHECK_STR(options.setting[1].key, "OMP_NUM_THREADS");
    TEST_CHECK(options.setting[1].is_environment == 1);
    TEST_CHECK_STR(options.setting[2].key, "a.b");
    TEST_CHECK_STR(options.setting[2].value, "c=d");
    TEST_CHECK(options.synthetic.shape.channels == 3 && options.synthetic.shape.height == 32);
    TEST_CHECK(options.synthetic.shape.width == 16 && options.synthetic.class_count == 7);
    TEST_CHECK(options.synthetic.train_count == 100 && options.synthetic.test_count == 20);
    TEST_CHECK(options.synthetic.seed == UINT64_MAX);
}

static void test_layers_go_on(void) {
    struct bm_options options =
        loaded("layers = conv 8 3x3, relu,\n    maxpool 2,\n\tdense classes\n"
               "batch = 5\n");
    TEST_CHECK_STR(options.layers, "conv 8 3x3, relu, maxpool 2, dense classes");
    TEST_CHECK(options.batch.values[0] == 5);
    refused("2: expected a key at the beginning of the line, found \"threads = 4\"",
            "batch = 5\n  threads = 4\n");
    refused("3: expected a key at the beginning of the line, found \"more\"",
            "[backend avx2]\noption.tile = 4\n  more\n");
    options = loaded("layers = dense 5\n[synthetic]\n  seed = 3\n"); /* nothing to go on with */
    TEST_CHECK(options.synthetic.seed == 3);
}

static void test_refusals(void) {
    refused("2: batch: expected a number from 1 to 2147483648, found \"x\"", "lr = 1\nbatch = x\n");
    refused("1: expected the name of an option such as batch, found \"bacth\"", "bacth = 1\n");
    refused("1: expected the name of an option, found \"zzzzzzzzzz\"", "zzzzzzzzzz = 1\n");
    refused("1: expected the name of an option such as data-dir, found \"data_dir\"",
            "data_dir = x\n");
    refused("1: expected the name of an option, found \"preset\"", "preset = quick\n");
    refused("1: verbose: expected yes or no, found \"maybe\"", "verbose = maybe\n");
    refused("2: expected the section [synthetic] or [backend NAME], found \"other\"",
            "[other]\nx = 1\n");
    refused("2: expected the section [synthetic] or [backend NAME], found \"backend \"",
            "[backend ]\noption.x = 1\n");
    refused("2: expected option.KEY or env.NAME, found \"tile\"", "[backend a]\ntile = 1\n");
    refused("2: expected a name of 1 to 63 letters after the dot, found \"env.A-B\"",
            "[backend a]\nenv.A-B = 1\n");
    refused("2: expected a name of 1 to 63 letters after the dot, found \"option.\"",
            "[backend a]\noption. = 1\n");
    refused("2: expected shape, classes, train, test or seed, found \"width\"",
            "[synthetic]\nwidth = 1\n");
    refused("2: shape: expected CHANNELSxHEIGHTxWIDTH of at most 4x1024x1024, found \"5x1x1\"",
            "[synthetic]\nshape = 5x1x1\n");
    refused("2: shape: expected CHANNELSxHEIGHTxWIDTH of at most 4x1024x1024, found \"1x28\"",
            "[synthetic]\nshape = 1x28\n");
    refused("2: classes: expected a number from 2 to 65536, found \"1\"",
            "[synthetic]\nclasses = 1\n");
    refused("2: train: expected a number from 1 to 2147483648, found \"0\"",
            "[synthetic]\ntrain = 0\n");
    refused("2: expected `key = value` or `[section]`, found something else", "lr = 1\nbatch\n");
    refused("1: expected `key = value` or `[section]`, found something else", "[synthetic\n");
}

/* The first bad line is named, whichever of the two finds it. */
static void test_first_error_wins(void) {
    refused("1: lr: expected a number above 0, found \"x\"", "lr = x\nbatch\nbatch = y\n");
    refused("1: expected `key = value` or `[section]`, found something else", "batch\nlr = x\n");
}

/* inih would cut these lines and take the rest for a new one. */
static void test_long_lines(void) {
    char text[512] = "batch = 1\nlayers = ";
    size_t start = strlen("batch = 1\n");
    memset(text + strlen(text), 'a', 300);
    text[start + 198] = '\n';
    text[start + 199] = '\0';
    TEST_CHECK(strlen(loaded(text).layers) == 189);
    text[start + 198] = 'a';
    text[start + 199] = '\n';
    text[start + 200] = '\0';
    refused("2: expected a line of at most 198 bytes, found \"a longer one\"", text);
    text[start + 199] = '\0';
    refused("2: expected a line of at most 198 bytes, found \"a longer one\"", text);
    text[start] = ';'; /* even in a comment, whose rest would be read as a key */
    refused("2: expected a line of at most 198 bytes, found \"a longer one\"", text);
    char section[128] =
        "[backend aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nenv.A = 1\n";
    refused("1: expected a section name of at most 48 bytes, found \"[backend "
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
            section);
}

static void test_odd_bytes(void) {
    refused_bytes("2: expected text, found \"a zero byte\"", "lr = 1\nba\0tch = 2\n", 18);
    struct bm_options options = loaded("batch = 1\r\nlr = 2\r\nthreads = 3"); /* no last newline */
    TEST_CHECK(options.batch.values[0] == 1 && options.lr == 2 && options.threads.values[0] == 3);
    options = loaded("");
    TEST_CHECK(options.batch.count == 0);
}

static void test_missing_file(void) {
    static struct bm_options options;
    struct bm_error error;
    TEST_CHECK(bm_config_load("/nonexistent.ini", BM_COMMAND_RUN, &options, &error) ==
               BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text,
                   "/nonexistent.ini: expected a readable ini file: No such file or directory");
    TEST_CHECK(bm_config_load("/tmp", BM_COMMAND_RUN, &options, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "/tmp: expected a readable ini file");
}

/* Weakest first: defaults, preset, --config, command line; a list replaces a list. */
static void test_sources(void) {
    static struct bm_options options;
    struct bm_error error = {.text = ""};
    const char *word = NULL;
    uint32_t word_count = 0;
    char run[] = "run";
    char config[] = "--config";
    char batch[] = "--batch=4";
    char model[] = "--model=f1";
    char plugin[] = "--plugin=b.so";
    char *argv[] = {run, config, path, batch, model, plugin, NULL};
    const char *text =
        "batch = 2,3\nthreads = 1,2\nepoch-time = 7s\nmodel = c1,c2\nplugin = a.so\n";
    write_file(text, strlen(text));
    int32_t status =
        bm_options_parse(BM_COMMAND_RUN, 6, argv, &options, &word, 0, &word_count, &error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(options.batch.count == 1 && options.batch.values[0] == 4);
    TEST_CHECK(options.threads.count == 2 && options.epoch_time_s == 7);
    TEST_CHECK(options.model.count == 1 && options.plugin.count == 1);
    TEST_CHECK_STR(options.model.names[0], "f1");
    TEST_CHECK_STR(options.plugin.paths[0], "b.so");
    TEST_CHECK(options.time_limit_s == 300 && options.hang_time_s == 60);
    status = bm_options_parse(BM_COMMAND_RUN, 3, argv, &options, &word, 0, &word_count, &error);
    TEST_CHECK(status == BM_STATUS_OK && options.batch.count == 2);
}

int main(void) {
    int fd = mkstemp(path);
    TEST_CHECK(fd >= 0 && close(fd) == 0);
    test_keys();
    test_sections();
    test_layers_go_on();
    test_refusals();
    test_first_error_wins();
    test_long_lines();
    test_odd_bytes();
    test_missing_file();
    test_sources();
    TEST_CHECK(unlink(path) == 0);
    return 0;
}
