/* Tables of a stored `landscape` record, which tests/support/landscape_records.py --small made,
 * against golden files in tests/golden/landscape_table/; then records with damaged fields. After a
 * change of what users see, BM_TEST_UPDATE=1 writes the files anew; read the difference before it
 * is committed. */
#include "landscape_table.h"
#include "output.h"
#include "table.h"
#include "test.h"
#include "test_golden.h"

static char folder[4096];
static struct bm_error error;

static char *print(const json_t *objects, uint32_t format, uint32_t verbose) {
    return bm_test_print(bm_landscape_table_print, objects, format, verbose);
}

static void
check_golden(const json_t *objects, uint32_t format, uint32_t verbose, const char *name) {
    bm_test_golden(bm_landscape_table_print, objects, format, verbose, folder, name);
}

/* ---- The shape of what is printed ---- */

static uint32_t count_bars(const char *line) {
    uint32_t count = 0;
    for (uint32_t i = 0; line[i] != '\0' && line[i] != '\n'; i++) {
        count += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    }
    return count;
}

/* All rows of a markdown table have as many columns as its first. */
static void check_columns(const char *text) {
    uint32_t expected = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        uint32_t bars = *line == '|' ? count_bars(line) : 0;
        TEST_CHECK_MSG(bars == 0 || expected == 0 || bars == expected, "%.*s",
                       (int)strcspn(line, "\n"), line);
        expected = bars;
    }
}

/* Fields of a line of CSV, of which texts are in quotes. */
static uint32_t count_fields(const char *line) {
    uint32_t count = 1;
    int is_quoted = 0;
    for (; *line != '\0' && *line != '\n'; line++) {
        is_quoted ^= *line == '"';
        count += *line == ',' && !is_quoted;
    }
    TEST_CHECK(!is_quoted);
    return count;
}

static void check_csv(const char *text) {
    uint32_t expected = count_fields(text);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        uint32_t found = count_fields(line);
        TEST_CHECK_MSG(found == expected, "expected %u fields, found %u in %.*s", expected, found,
                       (int)strcspn(line, "\n"), line);
    }
}

static void check_plain(const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        TEST_CHECK_MSG((unsigned char)*at >= 0x20 || *at == '\n', "control character %d in %s", *at,
                       text);
        TEST_CHECK(*at != 0x7f);
    }
    TEST_CHECK_MSG(strstr(text, "nan") == NULL && strstr(text, "inf ") == NULL, "%s", text);
}

/* No row is cut short, no control character gets out, no number is none. */
static void check_sound(const json_t *objects) {
    for (uint32_t format = BM_TABLE_TEXT; format <= BM_TABLE_CSV; format++) {
        char *text = print(objects, format, 1);
        TEST_CHECK(strlen(text) > 0 && text[strlen(text) - 1] == '\n');
        check_plain(text);
        if (format == BM_TABLE_MARKDOWN) {
            check_columns(text);
        } else if (format == BM_TABLE_CSV) {
            check_csv(text);
        }
        free(text);
    }
}

static void check_contains(const json_t *objects, uint32_t format, const char *part) {
    char *text = print(objects, format, 0);
    TEST_CONTAINS(text, part);
    free(text);
}

/* ---- Records made here ---- */

static json_t *object_of(const char *text) {
    json_error_t why;
    json_t *object = json_loads(text, 0, &why);
    TEST_CHECK_MSG(object != NULL, "%s: %s", why.text, text);
    return object;
}

static json_t *record_of(const char *text) {
    return json_pack("[o]", object_of(text));
}

/* Three draws at 1, 2 and 3: 2 +- 4.3027 / sqrt(3) = 2.48. */
static void test_draws(void) {
    json_t *objects = json_array();
    for (int draw = 1; draw <= 3; draw++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "{\"kind\":\"landscape\",\"analysis\":\"sharpness\",\"part\":\"sharpness\","
                       "\"status\":\"ok\",\"point\":\"p\",\"space\":\"subspace\",\"epsilon\":0.001,"
                       "\"draw\":%d,\"value\":%d,\"scaled\":1,\"beside\":[{\"value\":0.5},"
                       "{\"value\":null},{\"value\":%d}]}",
                       draw, draw, draw + 1);
        (void)json_array_append_new(objects, object_of(text));
    }
    check_contains(objects, BM_TABLE_MARKDOWN,
                   "| p | subspace | 0.001 | 1 | 2 ± 2.5 | 3 ± 2.5 | 3 | - | - | - | - | - | - |");
    check_contains(objects, BM_TABLE_MARKDOWN, "sharpness alone proves nothing");
    json_decref(objects);
}

/* Values stand where t is 0, .5 and 1, wherever those are in the list. */
static void test_line(void) {
    json_t *objects = record_of(
        "{\"kind\":\"landscape\",\"analysis\":\"line\",\"part\":\"line\",\"status\":\"cut\","
        "\"reason\":\"time\",\"from\":\"a\",\"to\":\"b\",\"shape\":\"curved\",\"t\":[-1,0,0.5,1],"
        "\"train\":{\"loss\":[9,1,2,3],\"accuracy\":[0,0.5,0.25,1]},\"test\":{\"loss\":[9,4]},"
        "\"barrier\":1.5}");
    check_contains(objects, BM_TABLE_MARKDOWN,
                   "| a to b | curved | train | 1 | 2 | 3 | 50.00 | 25.00 | 100.00 | 1.5 | - |");
    check_contains(objects, BM_TABLE_MARKDOWN,
                   "| a to b | curved | test | 4 | - | - | - | - | - |");
    check_contains(objects, BM_TABLE_MARKDOWN, "- line: cut: time\n");
    json_decref(objects);
}

/* Each network of an analysis has its own tables; what names none goes with the first. */
static void test_networks(void) {
    json_t *objects = json_array();
    static const char *const backends[] = {"\"backend\":\"b1\",", "\"backend\":\"b2\",", ""};
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "{\"kind\":\"landscape\",\"analysis\":\"line\",\"part\":\"distance\","
                       "\"status\":\"ok\",%s\"model\":\"m\",\"dataset\":\"d\",\"threads\":1,"
                       "\"precision\":\"float32\",\"images\":10,\"point\":\"p%zu\",\"norm\":%zu}",
                       backends[i], i, i + 1);
        (void)json_array_append_new(objects, object_of(text));
    }
    char *text = print(objects, BM_TABLE_MARKDOWN, 0);
    const char *first = strstr(text, "## Lines and planes between points: m on d, 10 images; b1, 1 "
                                     "thread, float32\n");
    const char *second = strstr(text, "m on d, 10 images; b2, 1 thread, float32\n");
    const char *nameless = strstr(text, "| p2 | - | 3 | - |");
    TEST_CHECK_MSG(first != NULL && second != NULL && nameless != NULL, "%s", text);
    TEST_CHECK_MSG(first < nameless && nameless < second, "%s", text);
    free(text);
    json_decref(objects);
}

static void test_csv(void) {
    json_t *objects = record_of(
        "{\"kind\":\"landscape\",\"schema\":1,\"analysis\":\"noise\",\"part\":\"average\","
        "\"status\":\"ok\",\"reason\":\"a \\\"b\\\"\\nc\",\"scale\":640.5,\"high\":null,"
        "\"published\":{\"average\":900,\"deep\":{}},\"from\":[1,2],\"is\":true}");
    check_contains(objects, BM_TABLE_CSV,
                   "analysis,part,status,reason,scale,high,published.average,is\n"
                   "\"noise\",\"average\",\"ok\",\"a \"\"b\"\" c\",640.5,,900,true\n");
    json_decref(objects);
}

/* Names of columns are a record's too: one that is none of ours is quoted. */
static void test_strange_column(void) {
    json_t *objects = record_of("{\"kind\":\"landscape\",\"a,\\\"b\\n\":1,\"c\":\"=1+1\"}");
    char *text = print(objects, BM_TABLE_CSV, 0);
    TEST_CHECK_STR(text, "\"a,\"\"b \",c\n1,\"=1+1\"\n");
    free(text);
    json_decref(objects);
}

/* What overflowed is no number. */
static void test_overflow(void) {
    json_t *objects = record_of(
        "{\"kind\":\"landscape\",\"analysis\":\"line\",\"part\":\"distance\",\"status\":\"ok\","
        "\"point\":\"p\",\"from\":\"start\",\"norm\":1e300,\"relative\":-0.00005}");
    check_contains(objects, BM_TABLE_MARKDOWN, "| p | start | - | -5e-05 |");
    json_decref(objects);
}

/* ---- Strange records ---- */

static void test_empty(void) {
    json_t *objects = json_array();
    char *text = print(objects, BM_TABLE_TEXT, 1);
    TEST_CHECK_STR(text, "nothing was computed\n");
    free(text);
    check_sound(objects);
    (void)json_array_append_new(objects, object_of("{\"kind\":\"landscape\"}"));
    (void)json_array_append_new(objects, json_integer(7));
    (void)json_array_append_new(objects, object_of("{\"kind\":\"landscape\",\"analysis\":\"noise\","
                                                   "\"part\":\"noise\",\"status\":\"fine\"}"));
    check_sound(objects);
    check_contains(objects, BM_TABLE_TEXT, "noise: fine: -\n");
    json_decref(objects);
}

static json_t *strange_value(uint32_t which) {
    switch (which) {
    case 0:
        return json_string("\x1b[31mred\x7f\n| a, \"b\" é");
    case 1:
        return json_real(-1e300);
    case 2:
        return json_pack("[n, f, s, {s:i}, [i]]", 1e308, "x", "value", 1, 2);
    case 3:
        return json_pack("{s:s, s:f, s:[i], s:n}", "value", "x", "low", 1e200, "loss", 3, "high");
    default:
        return json_integer(-7);
    }
}

/* Damages one field after the other of the first object of each part. */
static void damage_object(const json_t *run, json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        (void)value;
        for (uint32_t which = 0; which < 6; which++) {
            json_t *copy = json_copy(object);
            if (which == 5) {
                (void)json_object_del(copy, key);
            } else {
                (void)json_object_set_new(copy, key, strange_value(which));
            }
            json_t *objects = json_pack("[O, o]", run, copy);
            check_sound(objects);
            json_decref(objects);
        }
    }
}

static uint32_t damage_parts(const json_t *record) {
    json_t *seen = json_object();
    size_t index;
    json_t *object;
    json_array_foreach(record, index, object) {
        const char *part = json_string_value(json_object_get(object, "part"));
        if (part != NULL && json_object_get(seen, part) == NULL) {
            damage_object(json_array_get(record, 0), object);
            (void)json_object_set_new(seen, part, json_true());
        }
    }
    uint32_t count = (uint32_t)json_object_size(seen);
    json_decref(seen);
    return count;
}

/* The whole way: `--format` of the command, and of the report. */
static void test_dispatch(const json_t *record) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    TEST_CHECK(stream != NULL);
    TEST_CHECK(bm_output_print(record, "table", 0, stream, "it", &error) == BM_STATUS_OK);
    TEST_CHECK(fclose(stream) == 0);
    char *direct = print(record, BM_TABLE_TEXT, 0);
    TEST_CHECK_STR(text, direct);
    free(direct);
    free(text);
}

int main(void) {
    (void)snprintf(folder, sizeof folder, "%s/tests/golden/landscape_table",
                   bm_test_env("BM_TEST_SOURCE_DIR"));
    json_t *record = bm_test_read_record(folder, "landscape.jsonl");
    check_golden(record, BM_TABLE_TEXT, 0, "table.txt");
    check_golden(record, BM_TABLE_TEXT, 1, "verbose.txt");
    check_golden(record, BM_TABLE_MARKDOWN, 0, "table.md");
    check_golden(record, BM_TABLE_CSV, 0, "table.csv");
    check_sound(record);
    check_contains(record, BM_TABLE_MARKDOWN, "## Networks that were trained here: f1 on mnist");
    test_dispatch(record);
    test_draws();
    test_line();
    test_networks();
    test_csv();
    test_strange_column();
    test_overflow();
    test_empty();
    TEST_CHECK(damage_parts(record) == 18);
    json_decref(record);
    return 0;
}
