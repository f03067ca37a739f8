#include "comparison_words.h"

#include "table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What is above is not known at all. */
#define PERCENT_MAX 1000.0

/* Appends as far as there is room. */
static void append(char *text, uint32_t capacity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void append(char *text, uint32_t capacity, const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, capacity - used, format, arguments);
    va_end(arguments);
}

void bm_comparison_percent(double share, int sign, char *text, uint32_t capacity) {
    double size = fabs(100 * share);
    int digits = size < 0.995 ? 2 : size < 9.95 ? 1 : 0;
    if (!isfinite(share)) {
        (void)snprintf(text, capacity, "-");
        return;
    }
    if (size >= PERCENT_MAX) {
        (void)snprintf(text, capacity, "> %.0f %%", PERCENT_MAX);
        return;
    }
    const char *before = size < 0.005 ? "" : share < 0 ? "-" : sign ? "+" : "";
    (void)snprintf(text, capacity, "%s%.*f %%", before, digits, size);
}

void bm_comparison_change(const struct bm_comparison_cell *cell, char *text, uint32_t capacity) {
    char parts[3][32];
    if (!(cell->ratio > 0)) {
        (void)snprintf(text, capacity, "-");
        return;
    }
    bm_comparison_percent(cell->ratio - 1, 1, parts[0], sizeof parts[0]);
    bm_comparison_percent(cell->low - 1, 1, parts[1], sizeof parts[1]);
    bm_comparison_percent(cell->high - 1, 1, parts[2], sizeof parts[2]);
    if (cell->low > 0 && cell->high > 0) {
        (void)snprintf(text, capacity, "%s (%s to %s)", parts[0], parts[1], parts[2]);
    } else {
        (void)snprintf(text, capacity, "%s", parts[0]);
    }
}

/* ---- What the tuners chose: lines key=value ---- */

struct span {
    const char *text; /* NULL: not there */
    size_t length;
};

static const char *next_line(const char *line) {
    line += strcspn(line, "\n");
    return *line == '\0' ? line : line + 1;
}

static struct span value_of(const char *lines, struct span key) {
    for (const char *line = lines; *line != '\0'; line = next_line(line)) {
        if (strncmp(line, key.text, key.length) == 0 && line[key.length] == '=') {
            const char *value = line + key.length + 1;
            return (struct span){value, strcspn(value, "\n")};
        }
    }
    return (struct span){NULL, 0};
}

static int is_same(struct span a, struct span b) {
    return a.text != NULL && b.text != NULL && a.length == b.length &&
           memcmp(a.text, b.text, a.length) == 0;
}

static void
append_choice(struct span key, struct span base, struct span head, char *text, uint32_t capacity) {
    append(text, capacity, "%s%.*s: %.*s, now %.*s", text[0] == '\0' ? "" : "; ", (int)key.length,
           key.text, base.text == NULL ? 4 : (int)base.length,
           base.text == NULL ? "none" : base.text, head.text == NULL ? 4 : (int)head.length,
           head.text == NULL ? "none" : head.text);
}

void bm_comparison_choices(const struct bm_comparison_cell *cell, char *text, uint32_t capacity) {
    text[0] = '\0';
    for (uint32_t i = 0; i < 2; i++) {
        for (const char *line = cell->choices[i]; *line != '\0'; line = next_line(line)) {
            struct span key = {line, strcspn(line, "=\n")};
            struct span base = value_of(cell->choices[0], key);
            struct span head = value_of(cell->choices[1], key);
            int is_told = i == 1 && base.text != NULL;
            if (key.text[key.length] == '=' && !is_told && !is_same(base, head)) {
                append_choice(key, base, head, text, capacity);
            }
        }
    }
}

/* ---- One cell ---- */

void bm_comparison_instructions_words(const struct bm_comparison_instructions *instructions,
                                      char *text,
                                      uint32_t capacity) {
    text[0] = '\0';
    if (instructions->is_known) {
        char change[32];
        char accepted[32];
        bm_comparison_percent(instructions->ratio - 1, 1, change, sizeof change);
        bm_comparison_percent(instructions->threshold, 0, accepted, sizeof accepted);
        append(text, capacity, "instructions of one update %.0f, now %.0f: %s, %s accepted (%s)",
               instructions->base, instructions->head, change, accepted, instructions->source);
    } else if (instructions->reason[0] != '\0') {
        append(text, capacity, "instructions not counted: %s", instructions->reason);
    }
}

static void append_figures(const struct bm_comparison_cell *cell, char *text, uint32_t capacity) {
    if (cell->ratio > 0) {
        char change[96];
        bm_comparison_change(cell, change, sizeof change);
        append(text, capacity, " %s", change);
    }
    if (cell->base_ns > 0 && cell->head_ns > 0) {
        char times[2][32];
        bm_table_time(cell->base_ns, times[0], sizeof times[0]);
        bm_table_time(cell->head_ns, times[1], sizeof times[1]);
        append(text, capacity, ", %s then, %s now", times[0], times[1]);
    }
    if (isfinite(cell->sensitivity)) {
        char share[32];
        bm_comparison_percent(cell->sensitivity, 0, share, sizeof share);
        append(text, capacity, "; would find a slow-down of %s", share);
    }
}

void bm_comparison_sentence(const struct bm_comparison_cell *cell, char *text, uint32_t capacity) {
    char part[BM_COMPARISON_WORDS_SIZE];
    (void)snprintf(text, capacity, "%s", bm_comparison_verdict_name(cell->verdict));
    append_figures(cell, text, capacity);
    if (cell->reason[0] != '\0') {
        append(text, capacity, "; %s", cell->reason);
    }
    bm_comparison_instructions_words(&cell->instructions, part, sizeof part);
    append(text, capacity, "%s%s", part[0] == '\0' ? "" : "; ", part);
    if (cell->choices_differ) {
        bm_comparison_choices(cell, part, sizeof part);
        append(text, capacity, "; other choices: %s", part);
    }
}

/* ---- The whole ---- */

void bm_comparison_summary(const struct bm_comparison *comparison, char *text, uint32_t capacity) {
    text[0] = '\0';
    for (uint32_t i = 0; i < BM_COMPARISON_VERDICT_COUNT; i++) {
        uint32_t count = bm_comparison_count(comparison, (enum bm_comparison_verdict)i);
        if (count > 0) {
            append(text, capacity, "%s%u %s", text[0] == '\0' ? "" : ", ", count,
                   bm_comparison_verdict_name((enum bm_comparison_verdict)i));
        }
    }
    if (text[0] == '\0') {
        append(text, capacity, "nothing compared");
    }
}
