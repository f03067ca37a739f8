/* What a record may decide when a run goes on with it: the options that say what is measured, and
 * nothing else. */
#include "option_table.h"
#include "resume.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *parse(const char *text) {
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    TEST_CHECK_MSG(json != NULL, "%s: %s", text, error.text);
    return json;
}

/* The words that the record adds, joined by spaces. */
static void words_of(const char *record, const char *given, char *joined, size_t capacity) {
    char program[] = "run";
    char option[64];
    char *argv[] = {program, option, NULL};
    int count = 0;
    (void)snprintf(option, sizeof option, "%s", given);
    json_t *objects = parse(record);
    char **words = bm_resume_arguments(objects, BM_COMMAND_RUN, 2, argv, &count);
    TEST_CHECK(words != NULL && count >= 2);
    TEST_CHECK_STR(words[0], "run");
    TEST_CHECK_STR(words[count - 1], given);
    joined[0] = '\0';
    for (int i = 1; i < count - 1; i++) {
        size_t used = strlen(joined);
        (void)snprintf(joined + used, capacity - used, "%s ", words[i]);
    }
    bm_resume_free(words, count);
    json_decref(objects);
}

static void check_words(const char *record, const char *given, const char *expected) {
    char joined[1024];
    words_of(record, given, joined, sizeof joined);
    TEST_CHECK_STR(joined, expected);
}

static void test_words(void) {
    check_words("[{\"kind\": \"run\", \"options\": {\"batch\": \"1,2\", \"lr\": \"0.5\"}}]",
                "--verbose", "--batch=1,2 --lr=0.5 ");
    check_words("[{\"kind\": \"run\", \"options\": {\"batch\": \"1,2\", \"lr\": \"0.5\"}}]",
                "--batch=7", "--lr=0.5 ");
    check_words("[{\"kind\": \"run\", \"options\": {\"batch\": \"1,2\", \"lr\": \"0.5\"}}]", "-B7",
                "--lr=0.5 ");
    check_words("[{\"kind\": \"run\", \"options\": {\"data-parallel\": \"2\"}}]", "-B7",
                "--data-parallel=2 ");
}

/* Whatever the command line takes for an option is given anew, and the value of another is not. */
static void test_forms(void) {
    static const char record[] =
        "[{\"kind\": \"run\", \"options\": {\"batch\": \"1,2\", \"data-parallel\": \"2\"}}]";
    check_words(record, "--batc=7", "--data-parallel=2 ");
    check_words(record, "--data-p=3", "--batch=1,2 ");
    check_words(record, "-vB7", "--data-parallel=2 ");
    check_words(record, "-vo-B7", "--batch=1,2 --data-parallel=2 ");
    check_words(record, "--output=--batch", "--batch=1,2 --data-parallel=2 ");
}

/* A value of each kind that is no default. */
static const char *example_of(const struct bm_option_spec *option, char *text, size_t capacity) {
    if (option->choices != NULL) {
        return option->choices[1];
    }
    if (option->set == bm_set_number || option->set == bm_set_numbers) {
        (void)snprintf(text, capacity, "%llu", (unsigned long long)option->low + 3);
        return text;
    }
    return option->set == bm_set_targets    ? "97%,98.5%"
           : option->set == bm_set_sizes    ? "0.25,0.125"
           : option->set == bm_set_duration ? "7.25s"
           : option->set == bm_set_backends ? "a:1,b"
           : option->set == bm_set_text     ? "dense 10"
                                            : "0.375";
}

/* What a command is given and its record keeps is what --resume gives it. */
static void test_round_trip(uint32_t command) {
    char *argv[BM_OPTION_COUNT_MAX];
    int argc = 0;
    uint32_t word_count = 0;
    struct bm_error error;
    struct bm_options *options = malloc(sizeof *options);
    json_t *expected = json_object();
    TEST_CHECK(options != NULL);
    argv[argc++] = strdup("run");
    for (uint32_t i = 0; i < bm_option_count; i++) {
        const struct bm_option_spec *option = &bm_option_table[i];
        char number[24];
        if (!option->is_recorded || (option->commands & command) == 0) {
            continue;
        }
        const char *text = example_of(option, number, sizeof number);
        TEST_CHECK(asprintf(&argv[argc++], "--%s=%s", option->name, text) > 0);
        (void)json_object_set_new(expected, option->name, json_string(text));
    }
    (void)json_object_set_new(expected, "settings", json_array());
    TEST_CHECK(argc > 10);
    int32_t status = bm_options_parse(command, argc, argv, options, NULL, 0, &word_count, &error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    json_t *found = bm_resume_options(options);
    char *text = json_dumps(found, JSON_SORT_KEYS);
    TEST_CHECK_MSG(json_equal(found, expected), "found %s", text);
    free(text);

    json_t *objects = json_pack("[{s:s, s:o}]", "kind", "run", "options", found);
    int count = 0;
    char **words = bm_resume_arguments(objects, command, 1, argv, &count);
    TEST_CHECK(words != NULL);
    if (command == BM_COMMAND_RUN || command == BM_COMMAND_TRAIN) { /* the two that go on */
        status = bm_options_parse(command, count, words, options, NULL, 0, &word_count, &error);
        TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
        json_t *again = bm_resume_options(options);
        TEST_CHECK(json_equal(again, expected));
        json_decref(again);
    }
    bm_resume_free(words, count);
    json_decref(objects);
    json_decref(expected);
    while (argc > 0) {
        free(argv[--argc]);
    }
    free(options);
}

/* Whoever adds an option decides whether it says what is measured; these do not. */
static void test_all_recorded(void) {
    static const char *const others[] = {"preset",  "config", "plugin", "data-dir",   "keep",
                                         "from",    "option", "resume", "output",     "machine",
                                         "format",  "strict", "export", "in-process", "trust",
                                         "verbose", "help"};
    for (uint32_t i = 0; i < bm_option_count; i++) {
        const struct bm_option_spec *option = &bm_option_table[i];
        int is_other = 0;
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            is_other |= strcmp(option->name, others[k]) == 0;
        }
        if ((option->commands & (BM_COMMAND_RUN | BM_COMMAND_TRAIN | BM_COMMAND_LANDSCAPE)) != 0) {
            TEST_CHECK_MSG(option->is_recorded != is_other, "--%s", option->name);
        }
    }
}

static void check_settings(const char *record, const char *given, const char *refusal) {
    char program[] = "run";
    char option[64];
    char *argv[] = {program, option, NULL};
    uint32_t word_count = 0;
    struct bm_error error = {.text = ""};
    struct bm_options *options = malloc(sizeof *options);
    TEST_CHECK(options != NULL);
    (void)snprintf(option, sizeof option, "%s", given);
    TEST_CHECK(bm_options_parse(BM_COMMAND_RUN, 2, argv, options, NULL, 0, &word_count, &error) ==
               BM_STATUS_OK);
    json_t *objects = parse(record);
    int32_t status = bm_resume_check_settings(objects, options, &error);
    TEST_CHECK_MSG((status == BM_STATUS_OK) == (refusal == NULL), "%s", error.text);
    TEST_CHECK_STR(error.text, refusal == NULL ? "" : refusal);
    json_decref(objects);
    free(options);
}

#define SETTINGS(...) "[{\"kind\": \"run\", \"options\": {\"settings\": [" __VA_ARGS__ "]}}]"
#define SETTING(backend, key, value, environment)                                                  \
    "{\"backend\": \"" backend "\", \"key\": \"" key "\", \"value\": \"" value                     \
    "\", \"environment\": " environment "}"
#define REFUSAL "--resume: expected the record's settings of backends, "

/* How something was measured comes from the user, and is the same. */
static void test_settings(void) {
    check_settings("[{\"kind\": \"run\", \"options\": {}}]", "--option=a.x=1", NULL);
    check_settings(SETTINGS(""), "--verbose", NULL);
    check_settings(SETTINGS(SETTING("a", "x", "1", "false")), "--option=a.x=1", NULL);
    check_settings(SETTINGS(SETTING("a", "x", "1", "false")), "--verbose",
                   REFUSAL "--option a.x=1, found none");
    check_settings(SETTINGS(SETTING("a", "x", "1", "false")), "--option=a.x=2",
                   REFUSAL "--option a.x=1, found --option a.x=2");
    check_settings(SETTINGS(""), "--option=a.x=1", REFUSAL "none, found --option a.x=1");
    check_settings(SETTINGS(SETTING("a", "x", "1", "false") ", " SETTING("b", "Y", "2", "true")),
                   "--option=a.x=1",
                   REFUSAL "--option a.x=1 [backend b] env.Y = 2, found --option a.x=1");
    check_settings(SETTINGS("7"), "--verbose", REFUSAL "--option .=, found none");
}

/* What nobody gave stays unsaid, where there is no number for it. */
static void test_unsaid(void) {
    static const char *const names[] = {"epochs",   "updates",      "seconds", "target",
                                        "momentum", "weight-decay", "margin",  "held-out",
                                        "lr",       "swap-batch",   "layers",  "batch"};
    struct bm_options *options = calloc(1, sizeof *options);
    TEST_CHECK(options != NULL);
    options->command = BM_COMMAND_TRAIN;
    options->train.momentum = NAN;
    options->train.weight_decay = NAN;
    options->train.margin = NAN;
    options->train.held_out = UINT64_MAX;
    json_t *found = bm_resume_options(options);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        TEST_CHECK_MSG(json_object_get(found, names[i]) == NULL, "%s", names[i]);
    }
    TEST_CHECK_STR(json_string_value(json_object_get(found, "tune")), "0");
    json_decref(found);
    free(options);
}

/* Loading a library, writing or reading a file are the user's decisions. */
static void test_dangerous(void) {
    check_words(
        "[{\"kind\": \"run\", \"options\": {\"plugin\": \"bm_evil.so\", \"output\": \"notes.txt\","
        "\"export\": \"csv=notes.txt\", \"config\": \"evil.ini\", \"option\": \"cpu.x=y\","
        "\"data-dir\": \"evil\", \"resume\": \"other\", \"in-process\": \"\", \"no such\": \"x\","
        "\"seed\": \"3\"}}]",
        "--verbose", "--seed=3 ");
}

static void test_absurd(void) {
    static const char *const records[] = {
        "[]",
        "[{\"kind\": \"cell\"}]",
        "[{\"kind\": \"run\"}]",
        "[{\"kind\": \"run\", \"options\": []}]",
        "[{\"kind\": \"run\", \"options\": \"batch\"}]",
        ("[{\"kind\": \"run\", \"options\": {\"batch\": 5, \"seed\": null, \"lr\": [\"1\"], "
         "\"model\": {}}}]"),
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        check_words(records[i], "--verbose", "");
    }
}

static void test_finished(void) {
    static const struct {
        const char *object;
        int finished;
    } cases[] = {
        {"{\"kind\": \"cell\", \"status\": \"ok\"}", 1},
        {"{\"kind\": \"cell\", \"status\": \"wrong\"}", 1},
        {"{\"kind\": \"cell\", \"status\": \"skipped\"}", 0},
        {"{\"kind\": \"cell\", \"status\": 1}", 0},
        {"{\"kind\": \"cell\"}", 0},
        {"{\"kind\": \"run\", \"status\": \"ok\"}", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *object = parse(cases[i].object);
        TEST_CHECK_MSG(bm_resume_is_finished(object) == cases[i].finished, "%s", cases[i].object);
        json_decref(object);
    }
}

/* A cell with all that tells one from another. */
static json_t *make_cell(const char *status, int batch, int seed) {
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:i, s:i}", "kind",
                     "cell", "status", status, "backend", "a", "device", 0, "model", "mlp",
                     "layers", "dense 10", "dataset", "mnist", "optimizer", "sgd", "batch", batch,
                     "threads", 1, "precision", "float32", "seed", seed, "micro_batch", 0);
}

static void test_find(void) {
    json_t *objects =
        json_pack("[o, o, o, o, {s:s}]", make_cell("skipped", 1, 1), make_cell("ok", 2, 1),
                  make_cell("ok", 1, 2), make_cell("wrong", 1, 1), "kind", "end");
    json_t *cell = make_cell("skipped", 1, 1);
    TEST_CHECK(bm_resume_find(objects, cell) == json_array_get(objects, 3));
    /* Records did not always say how many sessions share a batch: one. */
    (void)json_object_set_new(cell, "data_parallel", json_integer(1));
    TEST_CHECK(bm_resume_find(objects, cell) == json_array_get(objects, 3));
    (void)json_object_set_new(cell, "data_parallel", json_integer(2));
    TEST_CHECK(bm_resume_find(objects, cell) == NULL);
    (void)json_object_set_new(json_array_get(objects, 3), "data_parallel", json_integer(2));
    TEST_CHECK(bm_resume_find(objects, cell) == json_array_get(objects, 3));
    (void)json_object_set_new(cell, "batch", json_string("1"));
    TEST_CHECK(bm_resume_find(objects, cell) == NULL);
    (void)json_object_del(cell, "batch");
    TEST_CHECK(bm_resume_find(objects, cell) == NULL);
    json_decref(objects);
    json_decref(cell);
}

int main(void) {
    test_words();
    test_forms();
    test_settings();
    test_absurd();
    test_finished();
    test_find();
    test_dangerous();
    test_round_trip(BM_COMMAND_RUN);
    test_round_trip(BM_COMMAND_TRAIN);
    test_round_trip(BM_COMMAND_COMPARE);
    test_round_trip(BM_COMMAND_LANDSCAPE);
    test_all_recorded();
    test_unsaid();
    return 0;
}
