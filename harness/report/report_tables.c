/* What `report` prints: runs of all machines side by side, and after them the other records one
 * by one. */
#include "report_parts.h"

#include "error.h"
#include "field.h"
#include "gbench_format.h"
#include "history_table.h"
#include "output.h"
#include "printable.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

/* ---- Runs, side by side ---- */

static int is_run(const struct bm_report_run *run) {
    return strcmp(run->command, "run") == 0;
}

/* Whether runs of two machines stand in the tables. */
static int has_machines(const struct bm_report *report) {
    const char *first = NULL;
    for (uint32_t i = 0; i < report->run_count; i++) {
        if (is_run(&report->runs[i])) {
            const char *machine = bm_report_machine(&report->runs[i]);
            first = first == NULL ? machine : first;
            if (strcmp(machine, first) != 0) {
                return 1;
            }
        }
    }
    return 0;
}

/* What the name of a case does not say in a record of its own, where it is the same for all. */
static json_t *detail_of(const struct bm_report_run *run, const json_t *cell) {
    const json_t *data = json_object_get(run->run, "data");
    uint64_t slice = bm_field_whole(cell, "micro_batch");
    int is_custom = strncmp(bm_field_text(cell, "model"), "custom", strlen("custom")) == 0;
    char slices[48] = "";
    char images[48] = "";
    if (slice > 0) {
        (void)snprintf(slices, sizeof slices, ", slices of %llu", (unsigned long long)slice);
    }
    if (strcmp(bm_field_text(cell, "dataset"), "synthetic") == 0) {
        (void)snprintf(images, sizeof images, ", %llu images",
                       (unsigned long long)bm_field_whole(data, "train"));
    }
    return json_sprintf("%s%s%s%s%s", images, slices, is_custom ? " (" : "",
                        is_custom ? bm_field_text(cell, "layers") : "", is_custom ? ")" : "");
}

static void
set_row(const struct bm_report_run *run, const json_t *cell, int with_machine, json_t *copy) {
    const char *machine = bm_report_machine(run);
    const char *row = bm_field_text(cell, "row");
    json_t *text = with_machine ? json_sprintf("%s: %s", machine[0] == '\0' ? "?" : machine, row)
                                : json_string(row);
    (void)json_object_set_new(copy, "row", text);
    (void)json_object_set_new(copy, "detail", detail_of(run, copy));
    (void)json_object_set_new(copy, "machine", json_string(machine));
    (void)json_object_set(copy, "run", json_object_get(cell, "run"));
}

/* The records' cells, of each the newest, told their places in a table of all. The caller's. */
static json_t *cells_side_by_side(const struct bm_report *report, const json_t *pairs) {
    int with_machine = has_machines(report);
    size_t i;
    const json_t *pair;
    json_t *list = json_array();
    json_array_foreach(pairs, i, pair) {
        const json_t *cell = json_array_get(pair, 0);
        if (json_is_true(json_object_get(cell, "superseded"))) {
            continue;
        }
        uint32_t run = (uint32_t)json_integer_value(json_object_get(cell, "run"));
        json_t *copy = json_copy(json_array_get(pair, 1));
        set_row(&report->runs[run], cell, with_machine, copy);
        (void)json_array_append_new(list, copy);
    }
    return list;
}

/* "alpha: batchmark 0.1.0 on Example CPU, 8 cores, 2026-11-25 (alpha-run.jsonl, not finished)" */
static void print_run(const struct bm_report_run *run, FILE *stream) {
    const json_t *host = json_object_get(run->run, "host");
    const char *machine = bm_report_machine(run);
    const char *left_out = bm_field_text(run->end, "left_out");
    double cores = bm_field_number(host, "cores");
    (void)fprintf(stream, "%s%sbatchmark %s on %s, %.0f core%s%s, %.10s (%s%s%s)%s%s", machine,
                  machine[0] == '\0' ? "" : ": ", bm_field_text(run->run, "version"),
                  bm_field_text(host, "cpu"), cores, cores == 1 ? "" : "s",
                  json_is_true(json_object_get(run->run, "in_process"))
                      ? ", in process (not comparable)"
                      : "",
                  bm_field_text(run->run, "started"), run->file,
                  run->end == NULL ? ", not finished" : "", run->torn ? ", its last line torn" : "",
                  left_out[0] == '\0' ? "" : "; left out: ", left_out);
}

static char *heading_of(const struct bm_report_run *run) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream != NULL) {
        print_run(run, stream);
        (void)fclose(stream);
    }
    return text;
}

/* Files may hold many runs of one machine and day: they are one line. */
static void print_headings(const struct bm_report *report, FILE *stream) {
    json_t *counts = json_object();
    const char *line;
    json_t *count;
    for (uint32_t i = 0; i < report->run_count; i++) {
        char *text = is_run(&report->runs[i]) ? heading_of(&report->runs[i]) : NULL;
        if (text != NULL) {
            json_int_t before = json_integer_value(json_object_get(counts, text));
            (void)json_object_set_new_nocheck(counts, text, json_integer(before + 1));
        }
        free(text);
    }
    json_object_foreach(counts, line, count) {
        (void)fputs(line, stream);
        if (json_integer_value(count) > 1) {
            (void)fprintf(stream, ", %lld runs", (long long)json_integer_value(count));
        }
        (void)fputc('\n', stream);
    }
    json_decref(counts);
    (void)fputc('\n', stream);
}

/* The caller's; NULL without memory. */
static json_t *newest_cells(const struct bm_report *report, struct bm_error *error) {
    struct bm_report_cells cells;
    json_t *list = NULL;
    if (bm_report_cells_init(&cells, report) != 0) {
        (void)bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
    } else {
        json_t *pairs = bm_report_all_cells(&cells);
        list = cells_side_by_side(report, pairs);
        json_decref(pairs);
    }
    bm_report_cells_deinit(&cells);
    return list;
}

static int32_t
print_runs(const struct bm_report *report, uint32_t format, FILE *stream, struct bm_error *error) {
    json_t *list = newest_cells(report, error);
    if (list == NULL) {
        return error->code;
    }
    if (json_array_size(list) > 0) {
        if (format != BM_TABLE_CSV) {
            print_headings(report, stream);
        }
        bm_table_print(list, format, 0, stream);
    }
    json_decref(list);
    return BM_STATUS_OK;
}

/* What the runs say together, where cells were measured again. */
static int32_t print_trends(const struct bm_report *report,
                            uint32_t format,
                            FILE *stream,
                            struct bm_error *error) {
    json_t *trends = bm_report_history(report, error);
    if (trends == NULL) {
        return error->code;
    }
    if (json_array_size(trends) > 0) {
        bm_history_table_print(trends, format, stream);
        (void)fputc('\n', stream);
    }
    json_decref(trends);
    return BM_STATUS_OK;
}

/* ---- Other records, one after the other ---- */

static int32_t print_others(const struct bm_report *report,
                            const char *command,
                            const char *format,
                            FILE *stream,
                            struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; status == BM_STATUS_OK && i < report->run_count; i++) {
        const struct bm_report_run *run = &report->runs[i];
        if (strcmp(run->command, command) != 0) {
            continue;
        }
        if (bm_table_format(format) != BM_TABLE_CSV) {
            (void)fprintf(stream, "%s of %s%s:\n\n", command, run->file,
                          run->end == NULL && run->run != NULL ? ", not finished" : "");
        }
        status = bm_output_print(run->objects, format, 0, stream, "the tables", error);
        (void)fputc('\n', stream);
    }
    return status;
}

/* The newest cells of all records; the context is the first one's. Names tell the machine where
 * there are two. */
static int32_t print_gbench(const struct bm_report *report, FILE *stream, struct bm_error *error) {
    json_t *list = newest_cells(report, error);
    if (list == NULL) {
        return error->code;
    }
    uint32_t first = 0;
    while (first + 1 < report->run_count && !is_run(&report->runs[first])) {
        first++;
    }
    (void)json_array_insert_new(list, 0, json_deep_copy(report->runs[first].run));
    size_t i;
    json_t *cell;
    json_array_foreach(list, i, cell) {
        if (!has_machines(report)) {
            (void)json_object_del(cell, "machine");
        }
    }
    bm_gbench_format_print(list, stream);
    json_decref(list);
    return BM_STATUS_OK;
}

static int32_t print_all(const struct bm_report *report,
                         const char *format,
                         FILE *stream,
                         struct bm_error *error) {
    if (strcmp(format, "gbench") == 0) {
        return print_gbench(report, stream, error);
    }
    uint32_t number = (uint32_t)bm_table_format(format);
    int32_t status = print_runs(report, number, stream, error);
    status = status ? status : print_others(report, "train", format, stream, error);
    status = status ? status : print_others(report, "landscape", format, stream, error);
    status = status ? status : print_others(report, "compare", format, stream, error);
    status = status ? status : print_others(report, "history", format, stream, error);
    return status ? status : print_trends(report, number, stream, error);
}

int32_t bm_report_print(const struct bm_report *report,
                        const char *format,
                        FILE *stream,
                        const char *what,
                        struct bm_error *error) {
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
    }
    int32_t status = print_all(report, format, memory, error);
    if (fclose(memory) != 0 && status == BM_STATUS_OK) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
    }
    if (status == BM_STATUS_OK) {
        bm_printable(text, "\n"); /* whatever the records hold */
        (void)fputs(text, stream);
        if (fflush(stream) != 0 || ferror(stream)) {
            status = bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", what);
        }
    }
    free(text);
    return status;
}
