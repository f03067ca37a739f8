#include "comparison_ci.h"

#include "comparison_words.h"
#include "xml_text.h"

#include <string.h>

/* What a verdict is to those who look only for red and green. */
enum weight { WEIGHT_GOOD, WEIGHT_SKIPPED, WEIGHT_OPEN, WEIGHT_FAILURE, WEIGHT_ERROR };

static enum weight weight_of(const struct bm_comparison *comparison,
                             const struct bm_comparison_cell *cell) {
    static const enum weight weights[BM_COMPARISON_VERDICT_COUNT] = {
        [BM_COMPARISON_PASS] = WEIGHT_GOOD,        [BM_COMPARISON_REGRESSION] = WEIGHT_FAILURE,
        [BM_COMPARISON_IMPROVEMENT] = WEIGHT_GOOD, [BM_COMPARISON_IDENTICAL] = WEIGHT_GOOD,
        [BM_COMPARISON_NO_BASE] = WEIGHT_OPEN,     [BM_COMPARISON_INCONCLUSIVE] = WEIGHT_OPEN,
        [BM_COMPARISON_WRONG] = WEIGHT_FAILURE,    [BM_COMPARISON_LOST] = WEIGHT_FAILURE,
        [BM_COMPARISON_ADDED] = WEIGHT_SKIPPED,    [BM_COMPARISON_SKIPPED] = WEIGHT_SKIPPED,
        [BM_COMPARISON_CRASHED] = WEIGHT_ERROR,    [BM_COMPARISON_TIMEOUT] = WEIGHT_ERROR,
        [BM_COMPARISON_REFUSED] = WEIGHT_ERROR,    [BM_COMPARISON_ERROR] = WEIGHT_ERROR,
    };

    enum weight weight = weights[cell->verdict];
    if (cell->instructions.is_regression && weight < WEIGHT_FAILURE) {
        return WEIGHT_FAILURE;
    }
    return weight == WEIGHT_OPEN && comparison->is_strict ? WEIGHT_FAILURE : weight;
}

/* ---- JUnit ---- */

/* NULL: nothing to say. */
static const char *tag_of(enum weight weight) {
    static const char *const tags[] = {
        [WEIGHT_GOOD] = NULL,         [WEIGHT_SKIPPED] = "skipped", [WEIGHT_OPEN] = "skipped",
        [WEIGHT_FAILURE] = "failure", [WEIGHT_ERROR] = "error",
    };

    return tags[weight];
}

static uint32_t
count_tag(const struct bm_comparison *comparison, const char *backend, const char *tag) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        const struct bm_comparison_cell *cell = &comparison->cells[i];
        const char *own = tag_of(weight_of(comparison, cell));
        count += strcmp(cell->backend, backend) == 0 && own != NULL && strcmp(own, tag) == 0;
    }
    return count;
}

static uint32_t count_cells(const struct bm_comparison *comparison, const char *backend) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        count += strcmp(comparison->cells[i].backend, backend) == 0;
    }
    return count;
}

static void print_attribute(const char *name, const char *value, FILE *stream) {
    (void)fprintf(stream, " %s=\"", name);
    bm_xml_text_print(value, stream);
    (void)fputc('"', stream);
}

static void print_case(const struct bm_comparison *comparison,
                       const struct bm_comparison_cell *cell,
                       FILE *stream) {
    char sentence[2 * BM_COMPARISON_WORDS_SIZE];
    const char *tag = tag_of(weight_of(comparison, cell));
    bm_comparison_sentence(cell, sentence, sizeof sentence);
    (void)fputs("    <testcase", stream);
    print_attribute("classname", cell->backend, stream);
    print_attribute("name", cell->name, stream);
    (void)fprintf(stream, " time=\"%.3f\">\n", cell->seconds);
    if (tag != NULL) {
        (void)fprintf(stream, "      <%s", tag);
        if (strcmp(tag, "skipped") != 0) {
            print_attribute("type", bm_comparison_verdict_name(cell->verdict), stream);
        }
        print_attribute("message", sentence, stream);
        (void)fputc('>', stream); /* GitLab shows what is inside, others the attribute */
        bm_xml_text_print(sentence, stream);
        (void)fprintf(stream, "</%s>\n", tag);
    } else {
        (void)fputs("      <system-out>", stream);
        bm_xml_text_print(sentence, stream);
        (void)fputs("</system-out>\n", stream);
    }
    (void)fputs("    </testcase>\n", stream);
}

static void print_suite(const struct bm_comparison *comparison, const char *backend, FILE *stream) {
    (void)fputs("  <testsuite", stream);
    print_attribute("name", backend, stream);
    (void)fprintf(stream, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\">\n",
                  count_cells(comparison, backend), count_tag(comparison, backend, "failure"),
                  count_tag(comparison, backend, "error"),
                  count_tag(comparison, backend, "skipped"));
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        if (strcmp(comparison->cells[i].backend, backend) == 0) {
            print_case(comparison, &comparison->cells[i], stream);
        }
    }
    (void)fputs("  </testsuite>\n", stream);
}

void bm_comparison_ci_junit(const struct bm_comparison *comparison, FILE *stream) {
    (void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"batchmark "
                "compare\">\n",
                stream);
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        const char *backend = comparison->cells[i].backend;
        int is_first = 1;
        for (uint32_t k = 0; k < i; k++) {
            is_first &= strcmp(comparison->cells[k].backend, backend) != 0;
        }
        if (is_first) {
            print_suite(comparison, backend, stream);
        }
    }
    (void)fputs("</testsuites>\n", stream);
}

/* ---- GitHub ---- */

/* A line ends a command, and in a property a colon or comma would end the value. */
static void print_escaped(const char *text, int is_property, FILE *stream) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '%' || c == '\r' || c == '\n' || (is_property && (c == ':' || c == ','))) {
            (void)fprintf(stream, "%%%02X", c);
        } else {
            (void)fputc(c, stream);
        }
    }
}

static void print_command(const char *command, const char *title, const char *text, FILE *stream) {
    (void)fprintf(stream, "::%s title=", command);
    print_escaped(title, 1, stream);
    (void)fputs("::", stream);
    print_escaped(text, 0, stream);
    (void)fputc('\n', stream);
}

static void print_cell(const struct bm_comparison *comparison,
                       const struct bm_comparison_cell *cell,
                       FILE *stream) {
    char title[512];
    char text[3 * BM_COMPARISON_WORDS_SIZE];
    char sentence[2 * BM_COMPARISON_WORDS_SIZE];
    enum weight weight = weight_of(comparison, cell);
    if (weight == WEIGHT_SKIPPED ||
        (weight == WEIGHT_GOOD && cell->verdict != BM_COMPARISON_IMPROVEMENT)) {
        return;
    }
    bm_comparison_sentence(cell, sentence, sizeof sentence);
    (void)snprintf(title, sizeof title, "%s: %s", cell->backend,
                   bm_comparison_verdict_name(cell->verdict));
    (void)snprintf(text, sizeof text, "%s, %s: %s", cell->backend, cell->name, sentence);
    print_command(weight == WEIGHT_GOOD   ? "notice"
                  : weight == WEIGHT_OPEN ? "warning"
                                          : "error",
                  title, text, stream);
}

void bm_comparison_ci_github(const struct bm_comparison *comparison, FILE *stream) {
    char summary[BM_COMPARISON_WORDS_SIZE];
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        print_cell(comparison, &comparison->cells[i], stream);
    }
    bm_comparison_summary(comparison, summary, sizeof summary);
    print_command("notice", "batchmark compare", summary, stream);
}
