/* Parts of the report that no file reaches from outside: an interrupted write, and samples that are
 * dropped without a ratio being another. */
#include "interrupt.h"
#include "paired.h"
#include "report_parts.h"
#include "test.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/bm_report_parts_test_XXXXXX";
static struct bm_error error;

static void in_folder(const char *name, char *path, size_t capacity) {
    (void)snprintf(path, capacity, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text) {
    char path[256];
    in_folder(name, path, sizeof path);
    FILE *file = fopen(path, "w");
    TEST_CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void check_file(const char *name, const char *expected) {
    char path[256];
    char text[4096] = "";
    in_folder(name, path, sizeof path);
    FILE *file = fopen(path, "r");
    TEST_CHECK_MSG(file != NULL, "%s", path);
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    (void)fclose(file);
    TEST_CHECK_STR(text, expected);
}

static uint32_t count_files(void) {
    uint32_t count = 0;
    DIR *entries = opendir(folder);
    TEST_CHECK(entries != NULL);
    while (readdir(entries) != NULL) {
        count++;
    }
    (void)closedir(entries);
    return count;
}

static void remove_folder(void) {
    DIR *entries = opendir(folder);
    const struct dirent *entry;
    TEST_CHECK(entries != NULL);
    while ((entry = readdir(entries)) != NULL) {
        char path[512];
        in_folder(entry->d_name, path, sizeof path);
        (void)unlink(path);
    }
    (void)closedir(entries);
    (void)rmdir(folder);
}

static void make_template(void) {
    write_file("page.html", "@STYLE@\n  @CHART@\n@SCRIPT@\n\t@DATA@\n<p>\n");
    write_file("page.css", "style");
    write_file("chart.min.js", "chart");
    write_file("order.txt", "a.js\n\nb.js");
    write_file("a.js", "a");
    write_file("b.js", "b");
    TEST_CHECK(setenv("BATCHMARK_REPORT", folder, 1) == 0);
}

/* ---- Writing ---- */

static void test_page(void) {
    char path[256];
    uint64_t bytes = 0;
    json_t *data =
        json_pack("{s:s, s:f}", "text", "<&>\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "x", 0.1);
    in_folder("out.html", path, sizeof path);
    TEST_CHECK_MSG(bm_report_write_page(data, path, &bytes, &error) == BM_STATUS_OK, "%s",
                   error.text);
    check_file("out.html", "style\nchart\na\nb\n\n{\"text\":"
                           "\"\\u003c\\u0026\\u003e\\u2028\\u2029\xe2\x80\xaa\",\"x\":0.1}\n<p>\n");
    struct stat info;
    TEST_CHECK(stat(path, &info) == 0 && (uint64_t)info.st_size == bytes);
    json_decref(data);
}

/* After the signal nothing is replaced, and nothing is left beside it. The last test: the signal
 * stays. */
static void test_interrupt(void) {
    char path[256];
    json_t *data = json_object();
    in_folder("old.html", path, sizeof path);
    write_file("old.html", "old");
    uint32_t files = count_files();
    bm_interrupt_catch();
    TEST_CHECK(raise(SIGINT) == 0);
    TEST_CHECK(bm_report_write_page(data, path, NULL, &error) == BM_STATUS_INTERNAL);
    TEST_CONTAINS(error.text, "interrupted");
    check_file("old.html", "old");
    TEST_CHECK(count_files() == files);
    json_decref(data);
}

/* ---- Samples ---- */

static json_t *cell_of(const char *samples, const char *counts) {
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"cell\",\"status\":\"ok\",\"update\":{\"median_ns\":5,\"samples_"
                   "ns\":%s,\"round_counts\":%s},"
                   "\"gradient\":{\"median_ns\":4,\"samples_ns\":%s,\"round_counts\":%s},\"epoch\":"
                   "null,\"batch\":1}",
                   samples, counts, samples, counts);
    json_t *cell = json_loads(text, 0, NULL);
    TEST_CHECK(cell != NULL);
    return cell;
}

static void test_reduction(void) {
    json_t *base = cell_of("[1,2,9, 4,6, 7, 8,8, 3]", "[3,2,1,2,1]");
    json_t *cell = cell_of("[2,2,2, 5,5, 6, 7,9, 4]", "[3,2,1,2,1]");
    struct bm_paired_ratio before;
    struct bm_paired_ratio after;
    TEST_CHECK(bm_paired_ratio(base, cell, &before));
    bm_paired_reduce(base);
    bm_paired_reduce(cell);
    TEST_CHECK(bm_paired_ratio(base, cell, &after));
    TEST_CHECK(memcmp(&before, &after, sizeof before) == 0 && before.rounds == 5);
    TEST_CHECK(json_array_size(json_object_get(json_object_get(base, "update"), "samples_ns")) ==
               5);
    TEST_CHECK(json_object_get(json_object_get(base, "gradient"), "samples_ns") == NULL);
    TEST_CHECK(json_number_value(json_object_get(json_object_get(base, "gradient"), "median_ns")) ==
               4);
    json_decref(base);
    json_decref(cell);
}

/* Counts that do not fit the samples: no ratio before, none after. */
static void test_no_rounds(void) {
    json_t *base = cell_of("[1,2]", "[3]");
    json_t *cell = cell_of("[1,2]", "[2]");
    struct bm_paired_ratio ratio;
    bm_paired_reduce(base);
    TEST_CHECK(!bm_paired_ratio(base, cell, &ratio));
    json_decref(base);
    json_decref(cell);
}

/* ---- Values ---- */

static void check_text(json_t *(*make)(const json_t *object, const char *key),
                       const char *text,
                       const char *expected) {
    json_t *object = json_pack("{s:s}", "key", text);
    json_t *made = make(object, "key");
    TEST_CHECK_STR(json_string_value(made), expected);
    json_decref(made);
    json_decref(object);
}

static void test_texts(void) {
    check_text(bm_report_text, "", "");
    check_text(bm_report_text, "a/b 1 / 2 https://x.org/y /s", "a/b 1 / 2 https://x.org/y /s");
    check_text(bm_report_text, "/home/jane/a.so", "a.so");
    check_text(bm_report_text, "in '/home/jane/a.so': x=~/b,/c/d;(/e/f)", "in 'a.so': x=b,d;(f)");
    check_text(bm_report_text, "/home/jane/", "");
    check_text(bm_report_text, "/", "/");
    check_text(bm_report_command, "batchmark run  -p /a/b.so x/y --z=../q ",
               "batchmark run  -p b.so y --z=q ");
    check_text(bm_report_command, "--precision f16/f32,bf16/f32 --precision=f16/f32",
               "--precision f16/f32,bf16/f32 --precision=f16/f32");
    check_text(bm_report_command, "of16/f32", "f32");
}

/* A long text is cut between letters. */
static void test_cut(void) {
    char text[5001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text + 4095, "\xc3\xa9", 2);
    json_t *object = json_pack("{s:s}", "key", text);
    json_t *made = bm_report_text(object, "key");
    TEST_CHECK(json_string_length(made) == 4095);
    json_decref(made);
    json_decref(object);
}

static void check_real(double number, const char *expected) {
    json_t *made = bm_report_real(number);
    char *text = json_dumps(made, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    TEST_CHECK_STR(text, expected);
    free(text);
    json_decref(made);
}

static void test_numbers(void) {
    check_real(1234567.8, "1234570");
    check_real(0.123456789, "0.123457");
    check_real(-3, "-3");
    check_real(1e300, "1e300");
    check_real((double)NAN, "null");
    check_real(HUGE_VAL, "null");
}

/* ---- The landscape's objects ---- */

/* A grid of `columns` x `rows` values of which `count` are there. */
static json_t *grid_of(const char *part, int columns, int rows, size_t count) {
    json_t *values = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(values, json_real(0.5 + (double)i));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:i, s:i, s:i}, s:{s:i, s:i, s:i}, s:o}", "kind",
                     "landscape", "analysis", "escape", "part", part, "status", "ok", "surface",
                     "s", "x", "low", 0, "high", 1, "count", columns, "y", "low", 0, "high", 1,
                     "count", rows, "values", values);
}

static json_t *path_of(size_t updates, size_t losses) {
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:[], s:[]}", "kind", "landscape", "analysis",
                  "escape", "part", "path", "status", "ok", "surface", "s", "updates", "losses");
    for (size_t i = 0; i < updates; i++) {
        (void)json_array_append_new(json_object_get(object, "updates"), json_integer(1));
    }
    for (size_t i = 0; i < losses; i++) {
        (void)json_array_append_new(json_object_get(object, "losses"), json_real(1e300));
    }
    return object;
}

/* Takes the object. */
static void check_landscape(json_t *object, const char *refusal) {
    int32_t status = bm_report_check("r.jsonl", 7, object, &error);
    if (refusal == NULL) {
        TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", error.text);
    } else {
        TEST_CHECK(status == BM_STATUS_INVALID);
        TEST_CONTAINS(error.text, "r.jsonl:7: landscape: expected ");
        TEST_CONTAINS(error.text, refusal);
    }
    json_decref(object);
}

static json_t *with(json_t *object, const char *key, json_t *value) {
    TEST_CHECK(json_object_set_new(object, key, value) == 0);
    return object;
}

static void test_landscape_sizes(void) {
    check_landscape(grid_of("contour", 201, 201, (size_t)201 * 201), NULL);
    check_landscape(grid_of("contour", 202, 2, 404), "a count from 2 to 201 as x, found 202");
    check_landscape(grid_of("contour", 2, 202, 404), "a count from 2 to 201 as y, found 202");
    check_landscape(grid_of("contour", -1, 2, 0), "a count from 2 to 201 as x, found -1");
    check_landscape(grid_of("contour", 3, 2, 5), "6 numbers as values, found 5");
    check_landscape(grid_of("plane", 3, 2, 7), "6 numbers as values, found 7");
    check_landscape(with(grid_of("plane", 3, 2, 5), "status", json_string("cut")), NULL);
    check_landscape(with(grid_of("plane", 3, 2, 7), "status", json_string("cut")), "6 numbers");
    check_landscape(with(grid_of("contour", 2000, 2, 2000), "y", json_null()), NULL);
    check_landscape(with(grid_of("contour", 2001, 2, 2001), "y", json_null()),
                    "a count from 2 to 2000 as x");
    check_landscape(with(grid_of("contour", 2, 2, 4), "x",
                         json_pack("{s:i, s:i, s:i}", "low", 1, "high", 1, "count", 2)),
                    "an axis whose low is below its high as x");
    check_landscape(grid_of("contour", 2, 2, (size_t)201 * 201 + 1),
                    "a grid of at most 201 x 201 numbers as values");
    check_landscape(path_of(2000, 2000), NULL);
    check_landscape(path_of(2001, 2001), "a list of at most 2000 numbers as updates");
    check_landscape(path_of(3, 4), "3 values as in the lists beside it as losses");
    check_landscape(path_of(3, 0), NULL);
}

static void test_landscape_types(void) {
    check_landscape(with(path_of(1, 1), "status", json_string("fine")),
                    "ok, cut, skipped, ... as status, found \"fine\"");
    check_landscape(with(path_of(1, 1), "status", json_integer(1)), "a text as status, found 1");
    check_landscape(with(path_of(1, 1), "analysis", json_null()), "a text as analysis, found null");
    check_landscape(with(path_of(1, 1), "surface", json_null()), "a text as surface, found null");
    check_landscape(with(path_of(1, 1), "rate", json_string("x")), "a number as rate, found \"x\"");
    check_landscape(with(path_of(1, 1), "rate", json_null()), NULL);
    check_landscape(with(path_of(1, 1), "model", json_integer(1)), "a text as model, found 1");
    check_landscape(with(path_of(1, 1), "crossed", json_integer(1)),
                    "true or false as crossed, found 1");
    check_landscape(with(path_of(1, 1), "losses", json_pack("[s]", "x")),
                    "a list of at most 2000 numbers as losses, found [\"x\"]");
    check_landscape(with(path_of(1, 1), "points", json_pack("[i]", 1)), "points of at most 8");
    check_landscape(with(path_of(1, 1), "end", json_pack("{s:[s]}", "eigenvalues", "x")),
                    "as eigenvalues");
    check_landscape(with(grid_of("contour", 2, 2, 4), "critical", json_pack("[i]", 1)),
                    "objects as critical, found 1");
    check_landscape(with(grid_of("contour", 2, 2, 4), "critical", json_pack("[{s:s}]", "x", "1")),
                    "a number as x, found \"1\"");
    /* What has no values is not looked at further, nor what the page does not know. */
    check_landscape(with(path_of(3, 4), "status", json_string("error")), NULL);
    check_landscape(with(path_of(3, 4), "part", json_string("new")), NULL);
}

/* What is taken over: no folders, no numbers that overflow, nothing that nobody asked for. */
static void test_landscape_data(void) {
    json_t *path = path_of(2, 2);
    (void)with(path, "why", json_string("see /home/jane/x.so"));
    (void)with(path, "secret", json_string("/home/jane"));
    json_t *objects =
        json_pack("[{s:s, s:i, s:s, s:s, s:s}, o, o, o]", "kind", "run", "schema", 1, "version",
                  "1", "started", "2026-01-01T00:00:00Z", "command_name", "landscape", path,
                  with(path_of(1, 1), "status", json_string("error")),
                  with(path_of(1, 1), "part", json_string("new")));
    struct bm_report report = {0};
    TEST_CHECK_MSG(bm_report_add(&report, "x.jsonl", objects, &error) == BM_STATUS_OK, "%s",
                   error.text);
    json_t *list = bm_report_landscapes(&report);
    char *text = json_dumps(list, JSON_COMPACT);
    TEST_CHECK_STR(
        text, "[{\"run\":0,\"parts\":{\"path\":[{\"surface\":\"s\",\"from\":null,\"rate\":null,"
              "\"momentum\":null,"
              "\"noise\":null,\"examples_per_update\":null,\"points\":[],\"updates\":[1,1],"
              "\"examples\":[],\"seconds\":[],\"losses\":[null,null],\"end\":null,\"crossed\":null,"
              "\"why\":\"see x.so\",\"status\":\"ok\"}]},\"verdicts\":[{\"analysis\":\"escape\","
              "\"part\":\"path\",\"surface\":\"s\",\"point\":null,\"backend\":null,\"status\":"
              "\"error\",\"reason\":null}]}]");
    free(text);
    json_decref(list);
    bm_report_deinit(&report);
    json_decref(objects);
}

int main(void) {
    TEST_CHECK(mkdtemp(folder) != NULL);
    make_template();
    test_texts();
    test_cut();
    test_numbers();
    test_reduction();
    test_no_rounds();
    test_landscape_sizes();
    test_landscape_types();
    test_landscape_data();
    test_page();
    test_interrupt();
    remove_folder();
    return 0;
}
