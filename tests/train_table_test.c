/* Tables of a stored `train` record, against golden files in tests/golden/train_table/. After a
 * change of what users see, BM_TEST_UPDATE=1 writes them anew; read the difference before it is
 * committed. */
#include "table.h"
#include "test.h"
#include "test_golden.h"
#include "train_table.h"

static char folder[4096];

static char *print(const json_t *objects, uint32_t format, uint32_t verbose) {
    return bm_test_print(bm_train_table_print, objects, format, verbose);
}

static void
check_golden(const json_t *objects, uint32_t format, uint32_t verbose, const char *name) {
    bm_test_golden(bm_train_table_print, objects, format, verbose, folder, name);
}

/* ---- The shape of what is printed ---- */

static size_t width_of(const char *line, size_t bytes) {
    size_t width = 0;
    for (size_t i = 0; i < bytes; i++) {
        width += ((unsigned char)line[i] & 0xc0) != 0x80;
    }
    return width;
}

/* Rows of tables, which have gaps of three spaces, are at most 120 characters wide. */
static void check_widths(const json_t *objects) {
    char *text = print(objects, BM_TABLE_TEXT, 1);
    uint32_t rows = 0;
    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t bytes = strcspn(line, "\n");
        line[bytes] = '\0';
        int is_row = strstr(line, "   ") != NULL;
        TEST_CHECK_MSG(!is_row || width_of(line, bytes) <= 120, "%s", line);
        rows += is_row != 0;
        line[bytes] = '\n';
    }
    TEST_CHECK_MSG(rows > 50, "only %u rows seen", rows);
    free(text);
}

static uint32_t count_bars(const char *line) {
    uint32_t count = 0;
    for (uint32_t i = 0; line[i] != '\0' && line[i] != '\n'; i++) {
        count += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    }
    return count;
}

/* All rows of a markdown table have as many columns as its first. */
static void check_columns(const char *markdown) {
    uint32_t expected = 0;
    for (const char *line = markdown; *line != '\0'; line = strchr(line, '\n') + 1) {
        uint32_t bars = *line == '|' ? count_bars(line) : 0;
        TEST_CHECK_MSG(bars == 0 || expected == 0 || bars == expected, "%.*s",
                       (int)strcspn(line, "\n"), line);
        expected = bars;
    }
}

/* Each row of text and markdown is whole, and no number is none. */
static void check_sound(const json_t *objects) {
    static const char *const numbers[] = {"-nan", "± nan", "nan to", "to nan",
                                          "inf ", "inf)",  "nan s"};
    for (uint32_t format = BM_TABLE_TEXT; format <= BM_TABLE_CSV; format++) {
        char *text = print(objects, format, 1);
        TEST_CHECK(strlen(text) > 0);
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            TEST_CHECK_MSG(strstr(text, numbers[i]) == NULL, "\"%s\" in %s", numbers[i], text);
        }
        if (format == BM_TABLE_MARKDOWN) {
            check_columns(text);
        }
        free(text);
    }
}

/* ---- Records made here ---- */

static json_t *make_training(const char *optimizer, int batch, int seed, double accuracy) {
    json_t *training = json_pack(
        "{s:s, s:i, s:s, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:i, s:s, s:f, s:s, s:s}", "kind",
        "training", "schema", 1, "backend", "b", "device", 0, "model", "m", "dataset", "d",
        "optimizer", optimizer, "schedule", "constant", "batch", batch, "threads", 1, "precision",
        "float32", "seed", seed, "role", "final", "rate", 0.1, "status", "ok", "reason", "");
    static const char *const splits[] = {"train", "validation", "test"};
    TEST_CHECK(training != NULL);
    for (uint32_t i = 0; i < 3; i++) {
        (void)json_object_set_new(training, splits[i],
                                  json_pack("{s:f, s:f}", "loss", 1.0, "accuracy", accuracy));
    }
    return training;
}

static void set_status(json_t *training, const char *status, const char *reason) {
    (void)json_object_set_new(training, "status", json_string(status));
    (void)json_object_set_new(training, "reason", json_string(reason));
}

/* updates < 0: not reached. */
static void set_target(json_t *training, int updates) {
    json_t *target = updates < 0 ? json_pack("{s:f, s:b, s:n, s:n}", "accuracy", 0.9, "reached", 0,
                                             "updates", "seconds")
                                 : json_pack("{s:f, s:b, s:i, s:f}", "accuracy", 0.9, "reached", 1,
                                             "updates", updates, "seconds", 0.001 * updates);
    (void)json_object_set_new(training, "targets", json_pack("[o]", target));
}

static void check_contains(const json_t *objects, const char *part) {
    char *text = print(objects, BM_TABLE_MARKDOWN, 0);
    TEST_CONTAINS(text, part);
    free(text);
}

static void check_lacks(const json_t *objects, const char *part) {
    char *text = print(objects, BM_TABLE_MARKDOWN, 0);
    TEST_CHECK_MSG(strstr(text, part) == NULL, "\"%s\" in %s", part, text);
    free(text);
}

/* t(.975, 1) = 12.706, so two seeds at 50 % and 51 % are 50.5 +- 12.706 * .5; t(.975, 2) = 4.3027,
 * so three at 50, 51 and 52 are 51 +- 4.3027 / sqrt(3). */
static void test_intervals(void) {
    json_t *objects = json_array();
    (void)json_array_append_new(objects, make_training("sgd", 1, 1, 0.50));
    check_contains(objects, "| sgd | 1 | 0.1 | 50.00 | 50.00 | 50.00 | - | - | 1 |");
    check_contains(objects, "accuracies are of one seed only");
    check_lacks(objects, "some accuracies");
    (void)json_array_append_new(objects, make_training("sgd", 1, 2, 0.51));
    check_contains(objects, "| 50.50 ± 6.35 | 50.50 ± 6.35 | 50.50 ± 6.35 | - | - | 2 |");
    check_lacks(objects, "one seed");
    (void)json_array_append_new(objects, make_training("sgd", 1, 3, 0.52));
    check_contains(objects, "| 51.00 ± 2.48 | 51.00 ± 2.48 | 51.00 ± 2.48 | - | - | 3 |");
    /* the same seed again, as a resumed run would write it: the later one counts */
    (void)json_array_append_new(objects, make_training("sgd", 1, 3, 0.51));
    check_contains(objects, "| 50.67 ± 1.43 |");
    json_decref(objects);
}

/* A training that failed is in no mean, but in the number of seeds and in the notes. */
static void test_mishaps(void) {
    static const char *const statuses[] = {"nan",   "diverged", "wrong",
                                           "error", "crashed",  "timeout"};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        json_t *objects = json_array();
        char note[128];
        json_t *training = make_training("sgd", 1, 1, 0.1);
        set_status(training, statuses[i], "why\nnot|");
        (void)json_object_set_new(training, "at_update", json_integer(17));
        (void)json_array_append_new(objects, training);
        (void)snprintf(note, sizeof note, "- sgd, batch 1, seed 1: %s at update 17: why not|\n",
                       statuses[i]);
        check_contains(objects, note);
        check_contains(objects, strcmp(statuses[i], "wrong") == 0 ? "| ! WRONG |" : "| ! ");
        check_contains(objects, "| - | - | 0 of 1 |");
        (void)json_array_append_new(objects, make_training("sgd", 1, 2, 0.5));
        check_contains(objects, "| 50.00 | 50.00 | 50.00 | - | - | 1 of 2 |");
        check_contains(objects, note);
        json_decref(objects);
    }
}

/* skipped and unsupported were not tried: "-", and not among the seeds. */
static void test_not_tried(void) {
    json_t *objects = json_array();
    json_t *training = make_training("sgd", 1, 1, 0.1);
    set_status(training, "skipped", "too long");
    (void)json_array_append_new(objects, training);
    check_contains(objects, "| sgd | 1 | 0.1 | - | - | - | - | - | 0 |");
    check_contains(objects, "- sgd, batch 1, seed 1: skipped: too long\n");
    json_decref(objects);
}

/* Differences are of the same seeds, whatever their order; of three in common, four each. */
static void test_pairs(void) {
    json_t *objects = json_array();
    for (int seed = 1; seed <= 4; seed++) {
        (void)json_array_append_new(objects, make_training("a", 1, seed, 0.1 * seed));
    }
    for (int seed = 5; seed >= 2; seed--) {
        (void)json_array_append_new(objects,
                                    make_training("b", 1, seed, 0.1 * seed + 0.010 + 0.001 * seed));
        (void)json_array_append_new(objects, make_training("c", 1, seed, 0.1 * seed + 0.0001));
    }
    /* b - a: 1.2, 1.3, 1.4 points: 1.3 +- 4.3027 * .1 / sqrt(3) = .248 */
    check_contains(objects, "| b | 1 | +1.30 | +1.05 to +1.55 |");
    check_contains(objects, "| 3 | better |");
    /* c - a: always .01: no interval, and three signs are no proof; Holm keeps p = .25 */
    check_contains(objects, "| c | 1 | +0.01 | - | 0.25 | 3 | not distinguishable |");
    check_contains(objects, "p (Holm)");
    json_decref(objects);
}

/* 1.3 +- .1 of two pairs: p = .0245, but not below .05 once it is one of three tests. */
static void test_many_tests(void) {
    json_t *objects = json_array();
    for (int seed = 1; seed <= 2; seed++) {
        (void)json_array_append_new(objects, make_training("a", 1, seed, 0.5));
        (void)json_array_append_new(objects,
                                    make_training("b", 1, seed, seed == 1 ? 0.5125 : 0.5135));
    }
    check_contains(objects, "| b | 1 | +1.30 | +0.66 to +1.94 | 0.024 | 2 | better |");
    for (int seed = 1; seed <= 2; seed++) {
        (void)json_array_append_new(objects, make_training("c", 1, seed, 0.5 + 0.02 * seed));
        (void)json_array_append_new(objects, make_training("d", 1, seed, 0.5 - 0.01 * seed));
    }
    check_contains(objects, "| b | 1 | +1.30 | +0.66 to +1.94 | 0.073 | 2 | not distinguishable |");
    json_decref(objects);
}

/* The median of five of which three got there is the slowest of those; of two of five there is
 * none. An even number has the mean of the middle two, where both are known. */
static void test_targets(void) {
    static const struct {
        int updates[5];
        int count;
        const char *row;
    } cases[] = {{{300, -1, 100, -1, 200}, 5, "| s | 1 | 300 | 300 ms | 3 of 5 |"},
                 {{300, -1, 100, -1, -1}, 5, "| s | 1 | - | - | 2 of 5 |"},
                 {{300, 100, -1, 200}, 4, "| s | 1 | 250 | 250 ms | 3 of 4 |"},
                 {{300, 100, -1, -1}, 4, "| s | 1 | - | - | 2 of 4 |"},
                 {{0}, 1, "| s | 1 | 0 | 0 s | 1 of 1 |"},
                 {{-1}, 1, "| s | 1 | - | - | 0 of 1 |"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *objects = json_array();
        for (int k = 0; k < cases[i].count; k++) {
            json_t *training = make_training("s", 1, k, 0.5);
            set_target(training, cases[i].updates[k]);
            (void)json_array_append_new(objects, training);
        }
        check_contains(objects, "| to 90 % validation accuracy, median |");
        check_contains(objects, cases[i].row);
        json_decref(objects);
    }
}

/* The mark is for the rate that was chosen, which a file may have rounded to nine digits. */
static void test_tuned(void) {
    json_t *objects = json_array();
    json_t *tuned = make_training("sgd", 1, 1, 0.5);
    (void)json_object_set_new(tuned, "kind", json_string("tuned"));
    (void)json_object_set_new(tuned, "rate", json_real(0.1 + 1e-11));
    (void)json_array_append_new(objects, make_training("sgd", 1, 1, 0.5));
    (void)json_array_append_new(objects, tuned);
    check_contains(objects, "| sgd | 1 | 0.1 tuned |");
    (void)json_object_set_new(tuned, "rate", json_real(0.2));
    check_contains(objects, "| sgd | 1 | 0.1 |");
    json_decref(objects);
}

static void add_noise(json_t *objects, int batch, double scale, double low, double high) {
    json_t *noise = make_training("sgd", batch, 1, 0.5);
    (void)json_object_set_new(noise, "kind", json_string("noise"));
    (void)json_object_set_new(noise, "at", json_string("end"));
    (void)json_object_set_new(noise, "scale", json_real(scale));
    (void)json_object_set_new(noise, "low", json_real(low));
    (void)json_object_set_new(noise, "high", high < 0 ? json_null() : json_real(high));
    (void)json_array_append_new(objects, noise);
    (void)json_array_append_new(objects, make_training("sgd", batch, 1, 0.5));
}

/* One seed has the interval of its estimate, which may have no upper end: apart where the two do
 * not overlap. The root of 1600 / 4 is 20, that of 100 / 100 is 1. */
static void test_noise(void) {
    json_t *objects = json_array();
    add_noise(objects, 4, 1600, 400, -1);
    add_noise(objects, 100, 100, 81, 121);
    check_contains(objects, "B_simple, end | 1600 (from 400) | 100 (81 to 121) | - |");
    check_contains(objects, "of the batch, end | 20 (from 10) | 1 (0.9 to 1.1) | large |");
    json_decref(objects);
    objects = json_array();
    add_noise(objects, 4, 1600, 2, -1);
    add_noise(objects, 100, 100, 81, 121);
    check_contains(objects, "20 (from 0.707) | 1 (0.9 to 1.1) | not distinguishable |");
    json_decref(objects);
    /* Measured for the first of two seeds alone. */
    objects = json_array();
    add_noise(objects, 4, 1600, 400, -1);
    add_noise(objects, 100, 100, 81, 121);
    (void)json_array_append_new(objects, make_training("sgd", 4, 2, 0.5));
    (void)json_array_append_new(objects, make_training("sgd", 100, 2, 0.5));
    check_contains(objects, "B_simple, end | 1600 (from 400) | 100 (81 to 121) | - |");
    json_decref(objects);
}

/* One whose worker was lost has no number, and says why, also where nothing is compared. */
static void test_lost_noise(void) {
    json_t *objects = json_array();
    json_t *noise = make_training("sgd", 4, 1, 0.5);
    (void)json_object_set_new(noise, "kind", json_string("noise"));
    (void)json_object_set_new(noise, "at", json_string("end"));
    set_status(noise, "crashed", "killed by SIGSEGV in gradient");
    (void)json_array_append_new(objects, noise);
    (void)json_array_append_new(objects, make_training("sgd", 4, 1, 0.5));
    check_contains(objects, "- gradient noise at the end, sgd, batch 4, seed 1: crashed: killed by "
                            "SIGSEGV in gradient\n");
    add_noise(objects, 100, 100, 81, 121);
    check_contains(objects, "B_simple, end | - | 100 (81 to 121) | - |");
    check_contains(objects, "B_simple, end, small: killed by SIGSEGV in gradient\n");
    check_lacks(objects, "gradient noise at the end, sgd, batch 100");
    check_sound(objects);
    json_decref(objects);
}

/* ---- Strange records ---- */

static void test_empty(void) {
    json_t *objects = json_array();
    check_sound(objects);
    check_contains(objects, "no final training in this record");
    json_t *trial = make_training("sgd", 1, 1, 0.5);
    (void)json_object_set_new(trial, "role", json_string("trial"));
    (void)json_array_append_new(objects, trial);
    check_contains(objects, "no final training in this record");
    check_sound(objects);
    json_decref(objects);
}

/* 64 settings of each 70 seeds, more than the option takes. */
static void test_many(void) {
    json_t *objects = json_array();
    for (int batch = 1; batch <= 64; batch++) {
        for (int seed = 1; seed <= 70; seed++) {
            (void)json_array_append_new(
                objects, make_training("sgd", batch, seed, 0.5 + 1e-4 * batch * (seed % 7)));
        }
    }
    check_sound(objects);
    check_widths(objects);
    check_contains(objects, "| sgd | 64 | 0.1 | ");
    check_contains(objects, "6 trainings beyond 64 seeds are left out");
    check_contains(objects, "small (1) | large (64)");
    json_decref(objects);
}

static void test_odd_names(void) {
    static const char *const names[] = {
        "",
        "|",
        "a|b\\",
        "line\nbreak",
        "tab\tand \x1b[31mred",
        "%s%n%d",
        "\"quoted\", comma",
        "µµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµµ",
        "𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞"};
    static const char *const keys[] = {"backend",  "label",     "model",  "dataset", "optimizer",
                                       "schedule", "precision", "status", "reason"};

    json_t *objects = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            json_t *training = make_training("sgd", 1, 1, 0.5);
            (void)json_object_set_new(training, keys[k], json_string(names[i]));
            (void)json_array_append_new(objects, training);
        }
    }
    check_sound(objects);
    char *text = print(objects, BM_TABLE_TEXT, 1);
    TEST_CHECK(strchr(text, '\x1b') == NULL && strchr(text, '\t') == NULL);
    TEST_CONTAINS(text, "%s%n%d");
    json_t *decoded = json_string(text); /* NULL if a character of UTF-8 was cut */
    TEST_CHECK(decoded != NULL);
    json_decref(decoded);
    free(text);
    json_decref(objects);
}

/* Every field of every object of the golden record, replaced by each of these: a strange table, not
 * undefined behaviour. */
static void test_hostile(const json_t *record) {
    static const char *const values[] = {"null",  "-1", "1e308", "-1e308", "1e-320", "0",     "1.5",
                                         "\"x\"", "[]", "[{}]",  "{}",     "true",   "[null]"};

    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        json_t *value = json_loads(values[v], JSON_DECODE_ANY, NULL);
        static const char *const keys[] = {"device",  "batch",     "threads",
                                           "seed",    "rate",      "epoch",
                                           "epochs",  "fraction",  "updates",
                                           "seconds", "train",     "validation",
                                           "test",    "budgets",   "targets",
                                           "trials",  "at_update", "update",
                                           "scale",   "low",       "high",
                                           "trace",   "margin",    "difference",
                                           "factor",  "distance",  "spread",
                                           "slice",   "status",    "role",
                                           "backend", "optimizer", "gradient_squared",
                                           "at",      "reason",    "data",
                                           "before",  "runs",      "ratio",
                                           "images"};
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            json_t *objects = json_deep_copy(record);
            size_t index;
            json_t *object;
            json_array_foreach(objects, index, object) {
                if (json_object_get(object, keys[k]) != NULL) {
                    (void)json_object_set(object, keys[k], value);
                }
            }
            check_sound(objects);
            json_decref(objects);
        }
        json_decref(value);
    }
}

/* The same inside accuracies, budgets, targets, trials and cells. */
static void replace_inside(json_t *node, const char *key, json_t *value) {
    size_t index;
    json_t *child;
    const char *name;
    void *next;
    json_object_foreach_safe(node, next, name, child) {
        if (strcmp(name, key) == 0 && !json_is_object(child)) {
            (void)json_object_set(node, name, value);
        } else {
            replace_inside(child, key, value);
        }
    }
    json_array_foreach(node, index, child) {
        replace_inside(child, key, value);
    }
}

static void test_hostile_inside(const json_t *record) {
    static const char *const keys[] = {"accuracy",  "loss",    "limit",    "reached",
                                       "updates",   "seconds", "budget",   "rate",
                                       "median_ns", "low_ns",  "high_ns",  "rounds",
                                       "at_edge",   "status",  "distance", "samples_ns"};
    static const char *const values[] = {"null", "-1", "1e308", "1e-320", "0", "\"x\"", "true"};

    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        json_t *value = json_loads(values[v], JSON_DECODE_ANY, NULL);
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            json_t *objects = json_deep_copy(record);
            replace_inside(objects, keys[k], value);
            check_sound(objects);
            json_decref(objects);
        }
        json_decref(value);
    }
}

/* Any object may be missing: one kind after the other, and every second one. */
static void test_missing(const json_t *record) {
    static const char *const kinds[] = {"run",  "epoch", "training",    "tuned",      "noise",
                                        "swap", "cell",  "equivalence", "trajectory", "end"};

    for (size_t k = 0; k <= sizeof kinds / sizeof kinds[0]; k++) {
        json_t *objects = json_array();
        size_t index;
        json_t *object;
        json_array_foreach(record, index, object) {
            const char *kind = json_string_value(json_object_get(object, "kind"));
            int is_left_out =
                k == sizeof kinds / sizeof kinds[0] ? index % 2 == 0 : strcmp(kind, kinds[k]) == 0;
            if (!is_left_out) {
                (void)json_array_append(objects, object);
            }
        }
        TEST_CHECK(json_array_size(objects) < json_array_size(record));
        check_sound(objects);
        json_decref(objects);
    }
}

int main(void) {
    (void)snprintf(folder, sizeof folder, "%s/tests/golden/train_table",
                   bm_test_env("BM_TEST_SOURCE_DIR"));
    json_t *objects = bm_test_read_record(folder, "train.jsonl");
    check_golden(objects, BM_TABLE_TEXT, 0, "table.txt");
    check_golden(objects, BM_TABLE_TEXT, 1, "verbose.txt");
    check_golden(objects, BM_TABLE_MARKDOWN, 0, "table.md");
    check_golden(objects, BM_TABLE_CSV, 0, "table.csv");
    check_widths(objects);
    check_sound(objects);
    test_intervals();
    test_mishaps();
    test_not_tried();
    test_pairs();
    test_many_tests();
    test_targets();
    test_tuned();
    test_noise();
    test_lost_noise();
    test_empty();
    test_many();
    test_odd_names();
    test_missing(objects);
    test_hostile(objects);
    test_hostile_inside(objects);
    json_decref(objects);
    return 0;
}
