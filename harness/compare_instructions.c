#include "compare_instructions.h"

#include "choices.h"
#include "error.h"
#include "instructions.h"
#include "row_worker.h"

#include <stdio.h>
#include <string.h>

#define VALGRIND_SLOWNESS 50.0
#define NOT_COUNTED "not counted: " /* how the reason of a source that cannot count begins */

static int32_t count_side(const struct bm_compare_count *count,
                          enum bm_side side,
                          enum bm_instructions_source source,
                          struct bm_instructions *result,
                          struct bm_error *error) {
    const struct bm_row *row = count->pair->row[side];
    struct bm_worker_variable variables[BM_LIST_MAX];
    json_t *create = bm_row_create_command(row, count->of, count->batch);
    struct bm_instructions_request request = {
        .plugin = row->file->path,
        .file = &row->file->opened,
        .create = create,
        .data_fd = count->of->dataset->fd,
        .variables = variables,
        .variable_count =
            bm_discover_variables(row->options, row->file->name, variables, BM_LIST_MAX),
        .source = source,
        .updates = 1,
        .limit_s = count->limit_s * (count->is_asked ? VALGRIND_SLOWNESS : 1),
    };
    int32_t status = create == NULL ? bm_fail(error, BM_STATUS_INVALID, "expected names in UTF-8")
                                    : bm_instructions_count(&request, result, error);
    json_decref(create);
    return status;
}

static void explain(const char *side, const char *text, struct bm_comparison_instructions *found) {
    int is_plain = strncmp(text, NOT_COUNTED, strlen(NOT_COUNTED)) == 0;
    (void)snprintf(found->reason, sizeof found->reason, "%s: %.240s", side,
                   text + (is_plain ? strlen(NOT_COUNTED) : 0));
}

static void judge(const struct bm_instructions result[BM_SIDE_COUNT],
                  struct bm_comparison_instructions *found) {
    found->base = result[BM_SIDE_BASE].per_update;
    found->head = result[BM_SIDE_HEAD].per_update;
    (void)snprintf(found->source, sizeof found->source, "%s",
                   bm_instructions_source_name(result[BM_SIDE_BASE].source));
    if (!(found->base > 0)) {
        explain("base", "no instruction was seen", found);
    } else if (bm_choices_differ(result[BM_SIDE_BASE].describe, result[BM_SIDE_HEAD].describe)) {
        explain("both", "their tuners chose other code for the count; --option can fix a choice",
                found);
    } else {
        found->is_known = 1;
        found->ratio = found->head / found->base;
        found->is_regression = found->ratio > 1 + found->threshold;
    }
}

static int is_processor(const struct bm_row *row) {
    return json_integer_value(json_object_get(row->device, "kind")) ==
           (json_int_t)BM_DEVICE_KIND_CPU;
}

void bm_compare_instructions(const struct bm_compare_count *count,
                             struct bm_comparison_instructions *found) {
    struct bm_instructions result[BM_SIDE_COUNT];
    struct bm_error error = {0};
    memset(found, 0, sizeof *found);
    found->threshold = count->threshold;
    if (!is_processor(count->pair->row[BM_SIDE_BASE]) ||
        !is_processor(count->pair->row[BM_SIDE_HEAD])) {
        if (count->is_asked) {
            explain("both", "the device is no processor", found);
        }
        return;
    }
    enum bm_instructions_source source =
        count->is_asked ? BM_INSTRUCTIONS_ANY : BM_INSTRUCTIONS_HARDWARE;
    if (count_side(count, BM_SIDE_BASE, source, &result[BM_SIDE_BASE], &error) != BM_STATUS_OK) {
        if (count->is_asked || error.code != BM_STATUS_UNSUPPORTED) {
            explain("base", error.text, found);
        }
        return;
    }
    source = result[BM_SIDE_BASE].source;
    if (count_side(count, BM_SIDE_HEAD, source, &result[BM_SIDE_HEAD], &error) != BM_STATUS_OK) {
        explain("head", error.text, found);
        return;
    }
    judge(result, found);
}
