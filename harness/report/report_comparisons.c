/* The page's copy of what `compare` found. */
#include "report_parts.h"

#include "comparison.h"
#include "field.h"

#include <string.h>

static json_t *make_file(const json_t *object, const char *key) {
    return bm_report_command(object, key);
}

static json_t *differences_of(const json_t *head) {
    static const struct bm_report_field fields[] = {
        {"what", bm_report_text}, {"base", bm_report_text}, {"head", bm_report_text}, {NULL, NULL}};
    size_t i;
    const json_t *difference;
    json_t *list = json_array();
    json_array_foreach(json_object_get(head, "differences"), i, difference) {
        json_t *copy = json_object();
        bm_report_copy(fields, difference, copy);
        (void)json_array_append_new(list, copy);
    }
    return list;
}

/* As in the record, without what only tells that it is one. */
static json_t *cell_of(json_t *object) {
    json_t *copy = bm_report_plain(object);
    (void)json_object_del(copy, "kind");
    (void)json_object_del(copy, "schema");
    (void)json_object_del(copy, "details");
    return copy;
}

static json_t *cells_of(const json_t *objects) {
    size_t i;
    json_t *object;
    json_t *list = json_array();
    json_array_foreach(objects, i, object) {
        if (bm_field_is_kind(object, "compare")) {
            (void)json_array_append_new(list, cell_of(object));
        }
    }
    return list;
}

static const json_t *head_of(const json_t *objects) {
    size_t i;
    const json_t *object;
    json_array_foreach(objects, i, object) {
        if (bm_field_is_kind(object, "comparison")) {
            return object;
        }
    }
    return NULL;
}

/* Of the verdicts, by the rule of the command itself. */
static json_t *exit_of(const json_t *objects) {
    struct bm_comparison comparison = {0};
    struct bm_error error;
    json_t *code = bm_comparison_read(objects, &comparison, &error) == BM_STATUS_OK
                       ? json_integer(bm_comparison_exit_code(&comparison))
                       : json_null();
    bm_comparison_free(&comparison);
    return code;
}

static json_t *comparison_json(uint32_t run, const json_t *objects) {
    static const struct bm_report_field fields[] = {{"base", make_file},
                                                    {"head", make_file},
                                                    {"series", bm_report_text},
                                                    {"stored", bm_report_flag},
                                                    {"strict", bm_report_flag},
                                                    {"threshold", bm_report_number},
                                                    {NULL, NULL}};
    const json_t *head = head_of(objects);
    json_t *object =
        json_pack("{s:I, s:o, s:o, s:o}", "run", (json_int_t)run, "exit", exit_of(objects),
                  "differences", differences_of(head), "cells", cells_of(objects));
    bm_report_copy(fields, head, object);
    return object;
}

json_t *bm_report_comparisons(const struct bm_report *report) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < report->run_count; i++) {
        if (strcmp(report->runs[i].command, "compare") == 0 &&
            json_array_append_new(list, comparison_json(i, report->runs[i].objects)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
