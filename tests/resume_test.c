/* What a record may decide when a run goes on with it: the options that say what is measured, and
 * nothing else. */
#include "resume.h"
#include "test.h"

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
    char **words = bm_resume_arguments(objects, 2, argv, &count);
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
    test_absurd();
    test_finished();
    test_find();
    test_dangerous();
    return 0;
}
