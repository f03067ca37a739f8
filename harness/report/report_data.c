/* All data of a page, put together from its parts. */
#include "report_parts.h"

#include "environment.h"
#include "error.h"
#include "field.h"

#include <string.h>
#include <time.h>

#define DATA_SCHEMA 1

static json_t *run_json(const struct bm_report_run *run) {
    static const struct bm_report_field fields[] = {{"machine", bm_report_text},
                                                    {"started", bm_report_text},
                                                    {"command", bm_report_command},
                                                    {"seed", bm_report_any},
                                                    {"version", bm_report_text},
                                                    {"revision", bm_report_text},
                                                    {"in_process", bm_report_flag},
                                                    {"resumed", bm_report_flag},
                                                    {"host", bm_report_any},
                                                    {"build", bm_report_any},
                                                    {"data", bm_report_any},
                                                    {"options", bm_report_any},
                                                    {NULL, NULL}};
    static const struct bm_report_field end[] = {{"seconds", bm_report_number},
                                                 {"exit", bm_report_number},
                                                 {"left_out", bm_report_text},
                                                 {NULL, NULL}};
    json_t *object =
        json_pack("{s:o, s:b, s:b, s:s}", "file", bm_field_string(run->file), "finished",
                  run->end != NULL, "torn", (int)run->torn, "command_name", run->command);
    bm_report_copy(fields, run->run, object);
    bm_report_copy(end, run->end, object);
    return object;
}

static json_t *runs_json(const struct bm_report *report) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < report->run_count; i++) {
        (void)json_array_append_new(list, run_json(&report->runs[i]));
    }
    return list;
}

/* The page's halves of the pairs. */
static json_t *cells_json(const json_t *pairs) {
    size_t i;
    const json_t *pair;
    json_t *list = json_array();
    json_array_foreach(pairs, i, pair) {
        (void)json_array_append(list, json_array_get(pair, 0));
    }
    return list;
}

static json_t *made_json(void) {
    char text[32];
    time_t now = time(NULL);
    struct tm utc;
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_string(text);
}

static json_t *
parts_json(const struct bm_report *report, struct bm_report_cells *cells, struct bm_error *error) {
    json_t *trends = bm_report_trends(report, error);
    if (trends == NULL) {
        return NULL;
    }
    json_t *pairs = bm_report_all_cells(cells);
    json_t *trainings = bm_report_trainings(report, cells);
    json_t *data =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:O, s:O, s:o, s:o, s:o, s:o, s:o, s:o}",
                  "schema", DATA_SCHEMA, "version", BM_VERSION, "revision",
                  bm_environment_revision(), "made", made_json(), "runs", runs_json(report),
                  "cells", cells_json(pairs), "plugins", cells->plugins, "cases", cells->cases,
                  "knees", bm_report_knees(pairs), "ratios", bm_report_ratios(pairs), "trainings",
                  trainings, "comparisons", bm_report_comparisons(report), "trends", trends,
                  "landscapes", bm_report_landscapes(report));
    json_decref(pairs);
    if (data == NULL) {
        (void)bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
    }
    return data;
}

json_t *bm_report_data(const struct bm_report *report, struct bm_error *error) {
    struct bm_report_cells cells;
    json_t *data = NULL;
    if (bm_report_cells_init(&cells, report) == 0) {
        data = parts_json(report, &cells, error);
    } else {
        (void)bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
    }
    bm_report_cells_deinit(&cells);
    return data;
}

int bm_report_has_figures(const json_t *data) {
    static const char *const parts[] = {"cells", "trainings", "comparisons", "trends",
                                        "landscapes"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (json_array_size(json_object_get(data, parts[i])) > 0) {
            return 1;
        }
    }
    return 0;
}
