/* Tables of a stored run, against golden files in tests/golden/table/. After a change of what users
 * see, BM_TEST_UPDATE=1 writes them anew; read the difference before it is committed. */
#include "grid.h"
#include "table.h"
#include "test.h"
#include "test_golden.h"

static char folder[4096];

static char *print(const json_t *objects, uint32_t format, uint32_t verbose) {
    return bm_test_print(bm_table_print, objects, format, verbose);
}

static void
check_golden(const json_t *objects, uint32_t format, uint32_t verbose, const char *name) {
    bm_test_golden(bm_table_print, objects, format, verbose, folder, name);
}

static size_t width_of(const char *line, size_t bytes) {
    size_t width = 0;
    for (size_t i = 0; i < bytes; i++) {
        width += ((unsigned char)line[i] & 0xc0) != 0x80;
    }
    return width;
}

/* The rows of a block are equally wide, in characters. */
static void check_alignment(const json_t *objects) {
    char *text = print(objects, BM_TABLE_TEXT, 1);
    size_t expected = 0;
    uint32_t rows = 0;
    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t bytes = strcspn(line, "\n");
        if (strncmp(line, "one ", 4) == 0) {
            expected = width_of(line, bytes);
        } else if (bytes == 0) {
            expected = 0;
        } else if (expected > 0) {
            rows++;
            TEST_CHECK_MSG(width_of(line, bytes) == expected, "%zu characters, expected %zu: %.*s",
                           width_of(line, bytes), expected, (int)bytes, line);
        }
    }
    TEST_CHECK_MSG(rows >= 16, "only %u rows seen", rows);
    free(text);
}

/* Cells that all differ make a table of their square: up to a size it is printed. */
static void check_large(int count, const char *expected) {
    json_t *objects = json_array();
    for (int i = 0; i < count; i++) {
        char label[32];
        (void)snprintf(label, sizeof label, "backend%d", i);
        (void)json_array_append_new(
            objects,
            json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:i, s:s}", "kind", "cell", "label",
                      label, "batch", i + 1, "status", "skipped", "model", "mlp", "dataset",
                      "mnist", "optimizer", "sgd", "threads", 1, "precision", "float32"));
    }
    char *text = print(objects, BM_TABLE_TEXT, 0);
    TEST_CONTAINS(text, expected);
    TEST_CHECK(strlen(text) < 200 || count < 317);
    free(text);
    json_decref(objects);
}

static void test_large(void) {
    check_large(316, "one update, batch");
    check_large(317, "317 rows and 317 batch sizes: too many for a table; csv has them");
}

/* A grid of its own: columns with characters of two and three bytes, an empty field, and one that
 * would break a line or a column. */
static void test_grid(void) {
    struct bm_grid grid;
    char *text = NULL;
    size_t size = 0;
    TEST_CHECK(bm_grid_init(&grid, 3, 2) == 0);
    bm_grid_set(&grid, 0, 0, "%s", "a");
    bm_grid_set(&grid, 0, 1, "%s", "1.0 µs");
    bm_grid_set(&grid, 1, 0, "%s", "b…");
    bm_grid_set(&grid, 1, 1, "%d", 1);
    bm_grid_set(&grid, 1, 1, "%d", 12); /* replaces */
    bm_grid_set(&grid, 2, 0, "%s", "x\n|");
    FILE *stream = open_memstream(&text, &size);
    TEST_CHECK(stream != NULL);
    bm_grid_print_text(&grid, stream);
    bm_grid_print_markdown(&grid, stream);
    TEST_CHECK(fclose(stream) == 0);
    TEST_CHECK_STR(text, "a     1.0 µs\n"
                         "b…        12\n"
                         "x |         \n"
                         "| a | 1.0 µs |\n|---|--:|\n| b… | 12 |\n| x \\| |  |\n");
    free(text);
    bm_grid_deinit(&grid);
}

static void test_times(void) {
    static const struct {
        double ns;
        const char *text;
    } times[] = {{0.5, "0.50 ns"},  {21, "21.0 ns"},   {999.4, "999 ns"},   {999.6, "1.00 µs"},
                 {9994, "9.99 µs"}, {9996, "10.0 µs"}, {123.4e6, "123 ms"}, {5e12, "5000 s"}};

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[32];
        bm_table_time(times[i].ns, text, sizeof text);
        TEST_CHECK_STR(text, times[i].text);
    }
}

/* The caller's. */
static json_t *read_objects(const char *const *texts, size_t count) {
    json_t *objects = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *object = json_loads(texts[i], 0, NULL);
        TEST_CHECK_MSG(object != NULL, "%s", texts[i]);
        (void)json_array_append_new(objects, object);
    }
    return objects;
}

/* A damaged or foreign record makes a strange table, not undefined behaviour. */
static void test_absurd(void) {
    static const char *const cells[] = {
        "{\"kind\": \"cell\"}",
        "{\"kind\": \"cell\", \"batch\": -1, \"threads\": -1e300, \"seed\": 1e300, \"status\": "
        "\"ok\"}",
        "{\"kind\": \"cell\", \"batch\": 1e300, \"threads\": 1e300, \"status\": \"ok\", \"full\": "
        "true,"
        " \"update\": {\"median_ns\": 0, \"spread\": 1e300, \"rounds\": -1}, \"epoch\": "
        "{\"seconds\": 1e300}}",
        "{\"kind\": \"cell\", \"batch\": [1], \"status\": [], \"update\": 5, \"epoch\": \"x\", "
        "\"check\": 1}",
        "{\"kind\": \"cell\", \"status\": \"ok\", \"batch\": 1, \"update\": {}, \"epoch\": {}}",
        "{\"kind\": \"cell\", \"status\": \"ok\", \"batch\": 1, \"label\": \"b\", \"update\":"
        " {\"samples_ns\": [1, 1, 1], \"round_counts\": [-1, 4]}}",
        "{\"kind\": \"cell\", \"status\": \"ok\", \"batch\": 1, \"label\": \"c\", \"update\":"
        " {\"samples_ns\": [1, 1, 1], \"round_counts\": [3]}}",
    };
    json_t *objects = read_objects(cells, sizeof cells / sizeof cells[0]);
    for (uint32_t format = BM_TABLE_TEXT; format <= BM_TABLE_CSV; format++) {
        char *text = print(objects, format, 1);
        TEST_CHECK(strlen(text) > 0);
        free(text);
    }
    json_decref(objects);
}

/* Side by side a row may have no cell in the first column: what is the same in all of its cells is
 * told all the same, and so is a plugin that was taken by trust in one run and not in another. */
static void test_side_by_side(void) {
    static const char *const texts[] = {
        "{\"kind\": \"run\", \"roofline\": {\"points\": [{\"threads\": 2, "
        "\"flop_per_s\": {\"best\": 5e9}}]}}",
        "{\"kind\": \"cell\", \"row\": \"idle\", \"batch\": 100, \"threads\": 2, "
        "\"status\": \"ok\", \"computes_nothing\": true, \"update\": {\"median_ns\": 40}}",
        "{\"kind\": \"cell\", \"row\": \"pair\", \"batch\": 100, \"threads\": 2, "
        "\"status\": \"ok\", \"data_parallel\": 2, \"devices\": [0, 0], "
        "\"properties\": [{\"status\": \"pass\"}]}",
        "{\"kind\": \"cell\", \"row\": \"mixed\", \"batch\": 1, \"threads\": 2, "
        "\"status\": \"ok\"}",
        "{\"kind\": \"cell\", \"row\": \"mixed\", \"batch\": 100, \"threads\": 2, "
        "\"status\": \"ok\", \"plugin\": {\"by_trust\": true}}",
    };
    json_t *objects = read_objects(texts, sizeof texts / sizeof texts[0]);
    char *text = print(objects, BM_TABLE_TEXT, 1);
    TEST_CONTAINS(text, "idle computes nothing: 40.0 ns is what the harness itself costs");
    TEST_CONTAINS(text, "pair: 2 sessions share one device");
    TEST_CONTAINS(text, "pair: properties: 1 of 1 hold");
    TEST_CONTAINS(text, "mixed: loaded by --trust");
    TEST_CONTAINS(text, "roofline, 2 threads: 5 GFLOP/s");
    free(text);
    json_decref(objects);
}

int main(void) {
    (void)snprintf(folder, sizeof folder, "%s/tests/golden/table",
                   bm_test_env("BM_TEST_SOURCE_DIR"));
    json_t *objects = bm_test_read_record(folder, "run.jsonl");
    test_times();
    test_grid();
    test_large();
    check_golden(objects, BM_TABLE_TEXT, 0, "table.txt");
    check_golden(objects, BM_TABLE_TEXT, 1, "verbose.txt");
    check_golden(objects, BM_TABLE_MARKDOWN, 0, "table.md");
    check_golden(objects, BM_TABLE_CSV, 0, "table.csv");
    check_alignment(objects);
    test_absurd();
    test_side_by_side();
    json_decref(objects);
    return 0;
}
