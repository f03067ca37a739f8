/* The verdicts' names, the exit code, the objects in a record and the tables of a comparison. */
#include "command.h"
#include "comparison.h"
#include "comparison_table.h"
#include "comparison_words.h"
#include "table.h"
#include "test.h"

#include <math.h>

static struct bm_comparison_cell *add(struct bm_comparison *comparison,
                                      enum bm_comparison_verdict verdict) {
    struct bm_comparison_cell *cell = bm_comparison_add(comparison);
    TEST_CHECK(cell != NULL);
    cell->verdict = verdict;
    (void)snprintf(cell->name, sizeof cell->name, "mlp, mnist, sgd, batch 100, 2 threads, float32");
    (void)snprintf(cell->backend, sizeof cell->backend, "avx2");
    cell->batch = 100;
    cell->threads = 2;
    return cell;
}

static void test_names(void) {
    TEST_CHECK_STR(bm_comparison_verdict_name(BM_COMPARISON_PASS), "PASS");
    TEST_CHECK_STR(bm_comparison_verdict_name(BM_COMPARISON_NO_BASE), "NO BASE");
    for (uint32_t i = 0; i < BM_COMPARISON_VERDICT_COUNT; i++) {
        const char *name = bm_comparison_verdict_name((enum bm_comparison_verdict)i);
        TEST_CHECK(name != NULL);
        for (uint32_t k = 0; k < i; k++) {
            TEST_CHECK(strcmp(name, bm_comparison_verdict_name((enum bm_comparison_verdict)k)) !=
                       0);
        }
    }
}

/* ---- Exit codes ---- */

static const struct {
    enum bm_comparison_verdict verdict;
    int code;        /* of a comparison with this cell alone */
    int strict_code; /* likewise, with --strict */
} alone[BM_COMPARISON_VERDICT_COUNT] = {
    {BM_COMPARISON_PASS, 0, 0},        {BM_COMPARISON_REGRESSION, 1, 1},
    {BM_COMPARISON_IMPROVEMENT, 0, 0}, {BM_COMPARISON_IDENTICAL, 0, 0},
    {BM_COMPARISON_NO_BASE, 0, 4},     {BM_COMPARISON_INCONCLUSIVE, 0, 4},
    {BM_COMPARISON_WRONG, 3, 3},       {BM_COMPARISON_LOST, 5, 5},
    {BM_COMPARISON_ADDED, 5, 5},       {BM_COMPARISON_SKIPPED, 5, 5},
    {BM_COMPARISON_CRASHED, 7, 7},     {BM_COMPARISON_TIMEOUT, 7, 7},
    {BM_COMPARISON_REFUSED, 6, 6},     {BM_COMPARISON_ERROR, 5, 5},
};

static int code_of(const enum bm_comparison_verdict *verdicts, uint32_t count, uint32_t strict) {
    struct bm_comparison comparison = {.is_strict = strict};
    for (uint32_t i = 0; i < count; i++) {
        (void)add(&comparison, verdicts[i]);
    }
    int code = bm_comparison_exit_code(&comparison);
    bm_comparison_free(&comparison);
    return code;
}

/* DESIGN: priority 8, 2, 6, 7, 3, 5, 1, 4; the first two are not the comparison's. */
static int rank_of(int code) {
    static const int order[] = {6, 7, 3, 5, 1, 4, 0};
    int rank = 0;
    while (order[rank] != code) {
        rank++;
    }
    return rank;
}

static void test_exit_codes(void) {
    TEST_CHECK(code_of(NULL, 0, 0) == BM_EXIT_NOTHING);
    for (uint32_t i = 0; i < BM_COMPARISON_VERDICT_COUNT; i++) {
        TEST_CHECK_MSG(code_of(&alone[i].verdict, 1, 0) == alone[i].code, "%s",
                       bm_comparison_verdict_name(alone[i].verdict));
        TEST_CHECK_MSG(code_of(&alone[i].verdict, 1, 1) == alone[i].strict_code, "%s",
                       bm_comparison_verdict_name(alone[i].verdict));
    }
}

/* A new cell, and one that nobody measures, leave the code to the others. */
static int counts_alone_only(enum bm_comparison_verdict verdict) {
    return verdict == BM_COMPARISON_ADDED || verdict == BM_COMPARISON_SKIPPED;
}

static void test_exit_code_priority(void) {
    for (uint32_t i = 0; i < BM_COMPARISON_VERDICT_COUNT; i++) {
        for (uint32_t k = 0; k < BM_COMPARISON_VERDICT_COUNT; k++) {
            const enum bm_comparison_verdict both[] = {alone[i].verdict, alone[k].verdict};

            int a = counts_alone_only(both[0]) ? alone[k].strict_code : alone[i].strict_code;
            int b = counts_alone_only(both[1]) ? a : alone[k].strict_code;
            int expected = rank_of(a) < rank_of(b) ? a : b;
            int found = code_of(both, 2, 1);
            TEST_CHECK_MSG(found == expected, "%s and %s: found %d, expected %d",
                           bm_comparison_verdict_name(both[0]), bm_comparison_verdict_name(both[1]),
                           found, expected);
        }
    }
}

static void test_instructions_count(void) {
    struct bm_comparison comparison = {0};
    add(&comparison, BM_COMPARISON_PASS)->instructions.is_regression = 1;
    TEST_CHECK(bm_comparison_exit_code(&comparison) == BM_EXIT_REGRESSION);
    bm_comparison_free(&comparison);
}

static void test_filter(void) {
    struct bm_comparison comparison = {0};
    const struct bm_comparison_cell *cell = add(&comparison, BM_COMPARISON_PASS);
    TEST_CHECK(bm_comparison_is_wanted(cell, ""));
    TEST_CHECK(bm_comparison_is_wanted(cell, "avx2, mlp, mnist, *"));
    TEST_CHECK(bm_comparison_is_wanted(cell, "@(avx2|scalar), *, batch 100, *"));
    TEST_CHECK(!bm_comparison_is_wanted(cell, "avx2, *, batch 10, *"));
    TEST_CHECK(!bm_comparison_is_wanted(cell, "avx2"));
    bm_comparison_free(&comparison);
}

/* ---- Records ---- */

static void fill(struct bm_comparison *comparison) {
    struct bm_error error;
    comparison->base_name = "old.so";
    comparison->head_name = "bm_new.so";
    comparison->threshold = .02;
    comparison->is_strict = 1;
    TEST_CHECK(bm_comparison_differ(comparison, "kernel", "Linux 6.1", "Linux 6.2", &error) ==
               BM_STATUS_OK);
    struct bm_comparison_cell *cell = add(comparison, BM_COMPARISON_REGRESSION);
    cell->ratio = 1.052;
    cell->low = 1.04;
    cell->high = 1.064;
    cell->p = 1e-5;
    cell->sensitivity = .0304;
    cell->sets = 16;
    cell->aa_ratio = 1.001;
    cell->aa_spread = .0061;
    cell->base_ns = 3.5e6;
    cell->head_ns = 3.682e6;
    cell->seconds = 28;
    cell->choices_differ = 1;
    (void)snprintf(cell->device, sizeof cell->device, "Example CPU");
    (void)snprintf(cell->reason, sizeof cell->reason, "confirmed on 16 fresh sets");
    (void)snprintf(cell->choices[0], sizeof cell->choices[0],
                   "isa=avx2\ntiles=6x16\nrows=1\nold=1\n");
    (void)snprintf(cell->choices[1], sizeof cell->choices[1],
                   "isa=avx2\ntiles=4x24\nrows=12\nnew=2");
    cell->instructions = (struct bm_comparison_instructions){
        .is_known = 1,
        .base = 5000000,
        .head = 5095000,
        .ratio = 1.019,
        .threshold = .01,
        .is_regression = 1,
        .source = "valgrind",
    };
    cell->details = json_pack("{s:[f, f]}", "log_ratios", .05, .051);
    cell = add(comparison, BM_COMPARISON_LOST);
    cell->batch = 1;
    (void)snprintf(cell->name, sizeof cell->name, "mlp, mnist, sgd, batch 1, 2 threads, float32");
    (void)snprintf(cell->reason, sizeof cell->reason, "head: unsupported | *no* <memory>");
}

static void test_round_trip(void) {
    struct bm_comparison first = {0};
    struct bm_comparison second = {0};
    struct bm_error error = {0};
    fill(&first);
    json_t *objects = bm_comparison_json(&first);
    TEST_CHECK(json_array_size(objects) == 3);
    /* A record holds other objects as well. */
    TEST_CHECK(json_array_insert_new(objects, 1, json_pack("{s:s}", "kind", "run")) == 0);
    TEST_CHECK_MSG(bm_comparison_read(objects, &second, &error) == BM_STATUS_OK, "%s", error.text);
    json_t *again = bm_comparison_json(&second);
    TEST_CHECK(json_array_remove(objects, 1) == 0);
    TEST_CHECK(json_equal(objects, again));
    TEST_CHECK(second.is_strict && !second.is_stored && second.difference_count == 1);
    TEST_CHECK(second.cells[0].ratio == 1.052 && second.cells[0].sets == 16);
    TEST_CHECK_STR(second.cells[0].choices[1], "isa=avx2\ntiles=4x24\nrows=12\nnew=2");
    TEST_CHECK(second.cells[0].instructions.is_regression);
    TEST_CHECK(json_equal(second.cells[0].details, first.cells[0].details));
    TEST_CHECK(second.cells[1].ratio == 0 && isnan(second.cells[1].sensitivity));

    /* The fields that DESIGN fixes, and what is unknown. */
    const json_t *lost = json_array_get(objects, 2);
    static const char *const unknown[] = {"ratio", "low", "high", "p", "sensitivity", "aa_spread"};
    for (uint32_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        TEST_CHECK_MSG(json_is_null(json_object_get(lost, unknown[i])), "%s", unknown[i]);
    }
    TEST_CHECK_STR(json_string_value(json_object_get(lost, "kind")), "compare");
    TEST_CHECK_STR(json_string_value(json_object_get(lost, "verdict")), "LOST");
    json_decref(again);
    bm_comparison_free(&second);
    json_decref(objects);
    bm_comparison_free(&first);
}

static void check_damaged(const char *key, json_t *value, const char *expected) {
    struct bm_comparison comparison = {0};
    struct bm_comparison read = {0};
    struct bm_error error = {0};
    fill(&comparison);
    json_t *objects = bm_comparison_json(&comparison);
    TEST_CHECK(json_object_set_new(json_array_get(objects, 1), key, value) == 0);
    TEST_CHECK_MSG(bm_comparison_read(objects, &read, &error) == BM_STATUS_INVALID, "%s", key);
    TEST_CONTAINS(error.text, expected);
    bm_comparison_free(&read);
    bm_comparison_free(&comparison);
    json_decref(objects);
}

static void test_damaged_objects(void) {
    check_damaged("verdict", json_string("MAYBE"), "damaged field verdict");
    check_damaged("ratio", json_string("1"),
                  "batch 100, 2 threads, float32\": damaged field ratio");
    check_damaged("batch", json_integer(-1), "damaged field batch");
    check_damaged("threads", json_integer(INT64_C(1) << 40), "damaged field threads");
    check_damaged("choices", json_null(), "damaged field choices");
    check_damaged("instructions", json_pack("{s:s}", "base", "x"), "damaged field instructions");
    check_damaged("reason", json_null(), "damaged field reason");
}

/* A text that is not UTF-8, as a plugin may say it, does not cost the object. */
static void test_foreign_text(void) {
    struct bm_comparison comparison = {.base_name = "a", .head_name = "b"};
    struct bm_comparison_cell *cell = add(&comparison, BM_COMPARISON_PASS);
    (void)snprintf(cell->reason, sizeof cell->reason, "\xff");
    json_t *object = bm_comparison_cell_json(cell);
    TEST_CHECK_STR(json_string_value(json_object_get(object, "reason")), "(text is not UTF-8)");
    json_decref(object);
    bm_comparison_free(&comparison);
}

/* ---- Words and tables ---- */

static void check_percent(double share, int sign, const char *expected) {
    char text[32];
    bm_comparison_percent(share, sign, text, sizeof text);
    TEST_CHECK_STR(text, expected);
}

static void test_percent(void) {
    check_percent(.02, 1, "+2.0 %");
    check_percent(-.02, 1, "-2.0 %");
    check_percent(.0051, 0, "0.51 %");
    check_percent(.00996, 0, "1.0 %");
    check_percent(.0996, 0, "10 %");
    check_percent(2.2, 1, "+220 %");
    check_percent(-.00001, 1, "0.00 %");
    check_percent(9.99, 1, "+999 %");
    check_percent(12, 1, "> 1000 %");
    check_percent((double)NAN, 1, "-");
}

static char *print(const struct bm_comparison *comparison, uint32_t format, uint32_t verbose) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    TEST_CHECK(stream != NULL);
    bm_comparison_table_print(comparison, format, verbose, stream);
    TEST_CHECK(fclose(stream) == 0);
    return text;
}

static void test_table(void) {
    struct bm_comparison comparison = {0};
    fill(&comparison);
    char *text = print(&comparison, BM_TABLE_TEXT, 0);
    TEST_CHECK_STR(
        text,
        "old.so (base) against bm_new.so (head), 2.0 % accepted\n\n"
        "mlp, mnist, sgd, 2 threads, float32\n\n"
        "one update           verdict      base      head    head against base (95 %)   would find "
        " "
        " "
        "sets   A/A spread\n"
        "avx2, batch 100   REGRESSION   3.50 ms   3.68 ms   +5.2 % (+4.0 % to +6.4 %)        3.0 % "
        "  "
        "  16       0.61 %\n"
        "avx2, batch 1           LOST         -         -                           -            - "
        "  "
        "   -            -\n\n"
        "kernel: Linux 6.1, now Linux 6.2\n"
        "avx2, batch 100: REGRESSION: confirmed on 16 fresh sets\n"
        "avx2, batch 100: instructions of one update 5000000, now 5095000: +1.9 %, 1.0 % accepted "
        "(valgrind): REGRESSION\n"
        "avx2, batch 100: the two chose otherwise: tiles: 6x16, now 4x24; rows: 1, now 12; old: 1, "
        "now none; new: none, now 2\n"
        "avx2, batch 1: LOST: head: unsupported | *no* <memory>\n"
        "1 REGRESSION, 1 LOST\n");
    free(text);
    text = print(&comparison, BM_TABLE_TEXT, 1);
    TEST_CONTAINS(text, "avx2, batch 100: Example CPU: isa=avx2 tiles=4x24 rows=12 new=2\n");
    TEST_CONTAINS(text, "avx2, batch 100: measured in 28 s\n");
    free(text);
    bm_comparison_free(&comparison);
}

static void test_markdown(void) {
    struct bm_comparison comparison = {0};
    fill(&comparison);
    char *text = print(&comparison, BM_TABLE_MARKDOWN, 0);
    TEST_CONTAINS(text, "\n| avx2, batch 100 | REGRESSION | 3.50 ms | 3.68 ms | +5.2 % (+4.0 % to "
                        "+6.4 %) | 3.0 % | 16 | 0.61 % |\n");
    TEST_CONTAINS(text, "\n- avx2, batch 1: LOST: head: unsupported \\| \\*no\\* \\<memory>\n");
    free(text);
    bm_comparison_free(&comparison);
}

static void test_csv(void) {
    struct bm_comparison comparison = {0};
    fill(&comparison);
    char *text = print(&comparison, BM_TABLE_CSV, 0);
    const char *second = strchr(text, '\n') + 1;
    const char *third = strchr(second, '\n') + 1;
    TEST_CHECK(strncmp(text, "backend,device,cell,verdict,reason,batch,threads,base_ns,", 57) == 0);
    TEST_CHECK_MSG(
        strncmp(second,
                "\"avx2\",\"Example CPU\",\"mlp, mnist, sgd, batch 100, 2 threads, "
                "float32\",\"REGRESSION\",\"confirmed on 16 fresh sets\",100,2,3500000,3682000,"
                "1.052,1.04,1.064,1e-05,0.0304,16,1.001,0.0061,28,5000000,5095000,1.019,yes\n",
                (size_t)(third - second)) == 0,
        "%s", second);
    TEST_CONTAINS(third, "<memory>\",1,2,,,,,,,,0,,,0,,,,no\n");
    free(text);
    bm_comparison_free(&comparison);
}

int main(void) {
    test_names();
    test_exit_codes();
    test_exit_code_priority();
    test_instructions_count();
    test_filter();
    test_round_trip();
    test_damaged_objects();
    test_foreign_text();
    test_percent();
    test_table();
    test_markdown();
    test_csv();
    return 0;
}
