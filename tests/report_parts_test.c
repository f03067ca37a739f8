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

int main(void) {
    TEST_CHECK(mkdtemp(folder) != NULL);
    make_template();
    test_texts();
    test_cut();
    test_numbers();
    test_reduction();
    test_no_rounds();
    test_page();
    test_interrupt();
    remove_folder();
    return 0;
}
