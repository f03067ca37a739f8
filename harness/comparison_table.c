#include "comparison_table.h"

#include "comparison_words.h"
#include "field.h"
#include "table.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#define LABEL_SIZE 128

/* Where a table goes, and what is in it. */
struct printer {
    const struct bm_comparison *comparison;
    uint32_t format;
    FILE *stream;
};

/* ---- Cases: cells whose names differ in the batch size only ---- */

/* "mlp, mnist, momentum, 2 threads, float32" */
static void case_of(const struct bm_comparison_cell *cell, char *text, size_t capacity) {
    static const char mark[] = ", batch ";
    const char *begin = strstr(cell->name, mark);
    if (begin == NULL) {
        (void)snprintf(text, capacity, "%s", cell->name);
        return;
    }
    const char *end = begin + strlen(mark);
    end += strcspn(end, ",");
    (void)snprintf(text, capacity, "%.*s%s", (int)(begin - cell->name), cell->name, end);
}

static int is_in_case(const struct bm_comparison_cell *cell, const char *name) {
    char own[sizeof cell->name];
    case_of(cell, own, sizeof own);
    return strcmp(own, name) == 0;
}

static void label_of(const struct bm_comparison_cell *cell, char *text, size_t capacity) {
    (void)snprintf(text, capacity, "%s, batch %llu", cell->backend,
                   (unsigned long long)cell->batch);
}

/* ---- Blocks ---- */

static void fill_row(const struct bm_comparison_cell *cell, struct bm_grid *grid, uint32_t row) {
    char label[LABEL_SIZE];
    char text[96];
    label_of(cell, label, sizeof label);
    bm_grid_set(grid, row, 0, "%s", label);
    bm_grid_set(grid, row, 1, "%s", bm_comparison_verdict_name(cell->verdict));
    const double times[] = {cell->base_ns, cell->head_ns};
    for (uint32_t i = 0; i < 2; i++) {
        bm_table_time(times[i], text, sizeof text);
        bm_grid_set(grid, row, 2 + i, "%s", times[i] > 0 ? text : "-");
    }
    bm_comparison_change(cell, text, sizeof text);
    bm_grid_set(grid, row, 4, "%s", text);
    bm_comparison_percent(cell->sensitivity, 0, text, sizeof text);
    bm_grid_set(grid, row, 5, "%s", text);
    if (cell->sets > 0) {
        bm_grid_set(grid, row, 6, "%u", cell->sets);
    } else {
        bm_grid_set(grid, row, 6, "-");
    }
    bm_comparison_percent(cell->aa_spread, 0, text, sizeof text);
    bm_grid_set(grid, row, 7, "%s", text);
}

static void print_block(const struct printer *printer, const char *name) {
    const struct bm_comparison *comparison = printer->comparison;
    const char *const heading[] = {"one update",
                                   "verdict",
                                   "base",
                                   "head",
                                   "head against base (95 %)",
                                   "would find",
                                   comparison->is_stored ? "rounds" : "sets",
                                   "A/A spread"};
    struct bm_grid grid;
    uint32_t rows = 1;
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        rows += is_in_case(&comparison->cells[i], name) != 0;
    }
    if (bm_grid_init(&grid, rows, sizeof heading / sizeof heading[0]) != 0) {
        return;
    }
    for (uint32_t i = 0; i < grid.columns; i++) {
        bm_grid_set(&grid, 0, i, "%s", heading[i]);
    }
    if (comparison->series != NULL && strcmp(comparison->series, "update") != 0) {
        bm_grid_set(&grid, 0, 0, "%s", comparison->series);
    }
    uint32_t row = 1;
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        if (is_in_case(&comparison->cells[i], name)) {
            fill_row(&comparison->cells[i], &grid, row++);
        }
    }
    (void)fprintf(printer->stream, "%s\n\n", name);
    bm_table_print_grid(&grid, printer->format, printer->stream);
    (void)fputc('\n', printer->stream);
    bm_grid_deinit(&grid);
}

static void print_blocks(const struct printer *printer) {
    const struct bm_comparison *comparison = printer->comparison;
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        char name[sizeof comparison->cells[i].name];
        int is_first = 1;
        case_of(&comparison->cells[i], name, sizeof name);
        for (uint32_t k = 0; k < i; k++) {
            is_first &= !is_in_case(&comparison->cells[k], name);
        }
        if (is_first) {
            print_block(printer, name);
        }
    }
}

/* ---- Notes ---- */

/* What markdown would take for its own, and what would break a line. */
static void print_words(const struct printer *printer, const char *text) {
    for (; *text != '\0'; text++) {
        if (printer->format == BM_TABLE_MARKDOWN && strchr("\\`*<[|", *text) != NULL) {
            (void)fputc('\\', printer->stream);
        }
        (void)fputc(*text == '\n' ? ' ' : *text, printer->stream);
    }
}

static void note(const struct printer *printer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(const struct printer *printer, const char *format, ...) {
    char text[2 * BM_COMPARISON_WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)fputs(printer->format == BM_TABLE_MARKDOWN ? "- " : "", printer->stream);
    print_words(printer, text);
    (void)fputc('\n', printer->stream);
}

static void
note_cell(const struct printer *printer, const struct bm_comparison_cell *cell, uint32_t verbose) {
    char label[LABEL_SIZE];
    char text[BM_COMPARISON_WORDS_SIZE];
    label_of(cell, label, sizeof label);
    if (cell->reason[0] != '\0') {
        note(printer, "%s: %s: %s", label, bm_comparison_verdict_name(cell->verdict), cell->reason);
    }
    bm_comparison_instructions_words(&cell->instructions, text, sizeof text);
    if (text[0] != '\0') {
        note(printer, "%s: %s%s", label, text,
             cell->instructions.is_regression ? ": REGRESSION" : "");
    }
    if (cell->choices_differ) {
        bm_comparison_choices(cell, text, sizeof text);
        note(printer, "%s: the two chose otherwise: %s", label, text);
    }
    if (verbose && cell->choices[1][0] != '\0') {
        note(printer, "%s: %s: %s", label, cell->device, cell->choices[1]);
    }
    if (verbose && cell->seconds > 0) {
        note(printer, "%s: measured in %.0f s", label, cell->seconds);
    }
}

static void print_notes(const struct printer *printer, uint32_t verbose) {
    const struct bm_comparison *comparison = printer->comparison;
    char summary[BM_COMPARISON_WORDS_SIZE];
    for (uint32_t i = 0; i < comparison->difference_count; i++) {
        const struct bm_comparison_difference *difference = &comparison->differences[i];
        note(printer, "%s: %s, now %s", difference->what, difference->base, difference->head);
    }
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        note_cell(printer, &comparison->cells[i], verbose);
    }
    bm_comparison_summary(comparison, summary, sizeof summary);
    note(printer, "%s", summary);
}

/* ---- CSV ---- */

static void print_csv_line(const json_t *cell, FILE *stream) {
    static const char *const texts[] = {"backend", "device", "cell", "verdict", "reason"};
    static const char *const numbers[] = {"threads", "base_ns",  "head_ns",   "ratio",
                                          "low",     "high",     "p",         "sensitivity",
                                          "sets",    "aa_ratio", "aa_spread", "seconds"};
    static const char *const counts[] = {"base", "head", "ratio"};
    for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bm_field_print_csv_text(bm_field_text(cell, texts[i]), stream);
        (void)fputc(',', stream);
    }
    (void)fprintf(stream, "%llu", (unsigned long long)bm_field_whole(cell, "batch"));
    for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        bm_field_print_csv_number(cell, numbers[i], stream);
    }
    for (uint32_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        bm_field_print_csv_number(json_object_get(cell, "instructions"), counts[i], stream);
    }
    (void)fprintf(stream, ",%s\n",
                  json_is_true(json_object_get(json_object_get(cell, "choices"), "differ")) ? "yes"
                                                                                            : "no");
}

static void print_csv(const struct bm_comparison *comparison, FILE *stream) {
    (void)fputs("backend,device,cell,verdict,reason,batch,threads,base_ns,head_ns,ratio,low,high,p,"
                "sensitivity,sets,aa_ratio,aa_spread,seconds,base_instructions,head_instructions,"
                "instructions_ratio,choices_differ\n",
                stream);
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        json_t *cell = bm_comparison_cell_json(&comparison->cells[i]);
        print_csv_line(cell, stream);
        json_decref(cell);
    }
}

void bm_comparison_table_print(const struct bm_comparison *comparison,
                               uint32_t format,
                               uint32_t verbose,
                               FILE *stream) {
    struct printer printer = {comparison, format, stream};
    char threshold[32];
    if (format == BM_TABLE_CSV) {
        print_csv(comparison, stream);
        return;
    }
    bm_comparison_percent(comparison->threshold, 0, threshold, sizeof threshold);
    (void)fprintf(stream, "%s", comparison->is_stored ? "records: " : "");
    print_words(&printer, comparison->base_name);
    (void)fputs(" (base) against ", stream);
    print_words(&printer, comparison->head_name);
    (void)fprintf(stream, " (head), %s accepted\n\n", threshold);
    print_blocks(&printer);
    print_notes(&printer, verbose);
}
