/* What CI reads of a comparison: the JUnit file as an XML parser that is not ours sees it, GitHub's
 * lines byte by byte, and texts that no XML can hold. */
#include "comparison_ci.h"
#include "test.h"
#include "xml_text.h"

#include <unistd.h>

static struct bm_comparison_cell *
add(struct bm_comparison *comparison, const char *backend, enum bm_comparison_verdict verdict) {
    struct bm_comparison_cell *cell = bm_comparison_add(comparison);
    TEST_CHECK(cell != NULL);
    cell->verdict = verdict;
    (void)snprintf(cell->backend, sizeof cell->backend, "%s", backend);
    (void)snprintf(cell->name, sizeof cell->name, "mlp, batch %u", comparison->cell_count);
    return cell;
}

/* ---- Escaping ---- */

static void check_xml(const char *text, const char *expected) {
    char *found = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&found, &size);
    TEST_CHECK(stream != NULL);
    bm_xml_text_print(text, stream);
    TEST_CHECK(fclose(stream) == 0);
    TEST_CHECK_STR(found, expected);
    free(found);
}

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static void test_xml_text(void) {
    check_xml("a<b> & \"c\" 'd'", "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;");
    check_xml("1\t2\n3\r4", "1&#9;2&#10;3&#13;4");
    check_xml("\x01\x1b[31m\x7f", BAD BAD "[31m" BAD);
    /* One, two, three and four bytes, to the ends of each range. */
    check_xml("\x7e\xc2\x80\xdf\xbf", "\x7e\xc2\x80\xdf\xbf");
    check_xml("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80");
    check_xml("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    /* Latin 1; cut short, also by the end; a stray continuation. */
    check_xml("caf\xe9!", "caf" BAD "!");
    check_xml("\xe2\x82", BAD BAD);
    check_xml("\xe2\x82z", BAD BAD "z");
    check_xml("\xf0\x90\x80", BAD BAD BAD);
    check_xml("\x80", BAD);
    /* Longer than needed, a surrogate, above U+10FFFF, and what XML leaves out. */
    check_xml("\xc0\xaf", BAD BAD);
    check_xml("\xe0\x9f\xbf", BAD BAD BAD);
    check_xml("\xed\xa0\x80", BAD BAD BAD);
    check_xml("\xf4\x90\x80\x80", BAD BAD BAD BAD);
    check_xml("\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd", BAD BAD BAD);
}

/* ---- JUnit ---- */

/* The file as Python's parser reads it: a line a suite, a line a case. */
static char *parse_junit(const struct bm_comparison *comparison) {
    static char found[8192];
    static const char script[] =
        "python3 -c '\n"
        "import sys, xml.etree.ElementTree as tree\n"
        "for suite in tree.parse(sys.argv[1]).getroot():\n"
        "    print(suite.tag, *[suite.get(k) for k in (\"name\", \"tests\", \"failures\", "
        "\"errors\", \"skipped\")])\n"
        "    for case in suite:\n"
        "        inner = list(case)\n"
        "        assert len(inner) == 1, inner\n"
        "        print(case.tag, case.get(\"classname\"), case.get(\"name\"), case.get(\"time\"), "
        "inner[0].tag, inner[0].get(\"type\"), repr(inner[0].get(\"message\") or inner[0].text))\n"
        "' %s";
    char path[] = "/tmp/comparison_ci_test.XXXXXX";
    char command[2048];
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    TEST_CHECK(file != NULL);
    bm_comparison_ci_junit(comparison, file);
    TEST_CHECK(fclose(file) == 0);
    (void)snprintf(command, sizeof command, script, path);
    FILE *parser = popen(command, "r");
    TEST_CHECK(parser != NULL);
    size_t size = fread(found, 1, sizeof found - 1, parser);
    found[size] = '\0';
    TEST_CHECK_MSG(pclose(parser) == 0, "the parser refuses the file");
    TEST_CHECK(unlink(path) == 0);
    return found;
}

static void test_junit_of_every_verdict(void) {
    static const char *const tags[2][BM_COMPARISON_VERDICT_COUNT] = {
        {"system-out None", "failure REGRESSION", "system-out None", "system-out None",
         "skipped None", "skipped None", "failure WRONG", "failure LOST", "skipped None",
         "skipped None", "error CRASHED", "error TIMEOUT", "error REFUSED", "error ERROR"},
        {"system-out None", "failure REGRESSION", "system-out None", "system-out None",
         "failure NO BASE", "failure INCONCLUSIVE", "failure WRONG", "failure LOST", "skipped None",
         "skipped None", "error CRASHED", "error TIMEOUT", "error REFUSED", "error ERROR"},
    };

    for (uint32_t strict = 0; strict < 2; strict++) {
        struct bm_comparison comparison = {.is_strict = strict};
        for (uint32_t i = 0; i < BM_COMPARISON_VERDICT_COUNT; i++) {
            (void)add(&comparison, "avx2", (enum bm_comparison_verdict)i);
        }
        const char *found = parse_junit(&comparison);
        TEST_CONTAINS(found, strict ? "testsuite avx2 14 5 4 2\n" : "testsuite avx2 14 3 4 4\n");
        for (uint32_t i = 0; i < BM_COMPARISON_VERDICT_COUNT; i++) {
            char expected[256];
            (void)snprintf(expected, sizeof expected, "testcase avx2 mlp, batch %u 0.000 %s '%s'\n",
                           i + 1, tags[strict][i],
                           bm_comparison_verdict_name((enum bm_comparison_verdict)i));
            TEST_CONTAINS(found, expected);
        }
        bm_comparison_free(&comparison);
    }
}

static void test_junit_suites(void) {
    struct bm_comparison comparison = {0};
    add(&comparison, "avx2", BM_COMPARISON_PASS)->seconds = 12.5;
    struct bm_comparison_cell *cell = add(&comparison, "vulkan:0", BM_COMPARISON_CRASHED);
    (void)snprintf(cell->reason, sizeof cell->reason, "signal 11 <\"&'>\n\x1b[1m\xff ]]> \xc2\xb5");
    add(&comparison, "avx2", BM_COMPARISON_PASS)->instructions.is_regression = 1;
    TEST_CHECK_STR(parse_junit(&comparison),
                   "testsuite avx2 2 1 0 0\n"
                   "testcase avx2 mlp, batch 1 12.500 system-out None 'PASS'\n"
                   "testcase avx2 mlp, batch 3 0.000 failure PASS 'PASS'\n"
                   "testsuite vulkan:0 1 0 1 0\n"
                   "testcase vulkan:0 mlp, batch 2 0.000 error CRASHED 'CRASHED; signal 11 "
                   "<\"&\\'>\\n\xef\xbf\xbd[1m\xef\xbf\xbd ]]> \xc2\xb5'\n");
    bm_comparison_free(&comparison);
}

/* ---- GitHub ---- */

static char *github(const struct bm_comparison *comparison) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    TEST_CHECK(stream != NULL);
    bm_comparison_ci_github(comparison, stream);
    TEST_CHECK(fclose(stream) == 0);
    return text;
}

static void test_github_escaping(void) {
    struct bm_comparison comparison = {0};
    struct bm_comparison_cell *cell = add(&comparison, "vulkan:0,1", BM_COMPARISON_REGRESSION);
    cell->ratio = 1.052;
    cell->low = 1.04;
    cell->high = 1.064;
    (void)snprintf(cell->reason, sizeof cell->reason, "first\r\n::error::second, 100%%0A: a");
    char *text = github(&comparison);
    TEST_CHECK_STR(text, "::error title=vulkan%3A0%2C1%3A REGRESSION::vulkan:0,1, mlp, batch 1: "
                         "REGRESSION +5.2 %25 (+4.0 %25 to +6.4 %25); first%0D%0A::error::second, "
                         "100%250A: a\n"
                         "::notice title=batchmark compare::1 REGRESSION\n");
    free(text);
    bm_comparison_free(&comparison);
}

static void test_github_levels(void) {
    static const char *const levels[BM_COMPARISON_VERDICT_COUNT] = {
        NULL,    "error", "notice", NULL,    "warning", "warning", "error",
        "error", NULL,    NULL,     "error", "error",   "error",   "error"};

    for (uint32_t i = 0; i < BM_COMPARISON_VERDICT_COUNT; i++) {
        for (uint32_t strict = 0; strict < 2; strict++) {
            struct bm_comparison comparison = {.is_strict = strict};
            enum bm_comparison_verdict verdict = (enum bm_comparison_verdict)i;
            char expected[512] = "";
            int is_open = levels[i] != NULL && strcmp(levels[i], "warning") == 0;
            (void)add(&comparison, "avx2", verdict);
            char *text = github(&comparison);
            if (levels[i] != NULL) {
                (void)snprintf(
                    expected, sizeof expected, "::%s title=avx2%%3A %s::avx2, mlp, batch 1: %s\n",
                    is_open && strict ? "error" : levels[i], bm_comparison_verdict_name(verdict),
                    bm_comparison_verdict_name(verdict));
            }
            size_t used = strlen(expected);
            (void)snprintf(expected + used, sizeof expected - used,
                           "::notice title=batchmark compare::1 %s\n",
                           bm_comparison_verdict_name(verdict));
            TEST_CHECK_STR(text, expected);
            free(text);
            bm_comparison_free(&comparison);
        }
    }
}

int main(void) {
    test_xml_text();
    test_junit_of_every_verdict();
    test_junit_suites();
    test_github_escaping();
    test_github_levels();
    return 0;
}
