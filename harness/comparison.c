#include "comparison.h"

#include "command.h"
#include "field.h"
#include "record.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_names[BM_COMPARISON_VERDICT_COUNT] = {
    [BM_COMPARISON_PASS] = "PASS",
    [BM_COMPARISON_REGRESSION] = "REGRESSION",
    [BM_COMPARISON_IMPROVEMENT] = "IMPROVEMENT",
    [BM_COMPARISON_IDENTICAL] = "IDENTICAL",
    [BM_COMPARISON_NO_BASE] = "NO BASE",
    [BM_COMPARISON_INCONCLUSIVE] = "INCONCLUSIVE",
    [BM_COMPARISON_WRONG] = "WRONG",
    [BM_COMPARISON_LOST] = "LOST",
    [BM_COMPARISON_ADDED] = "ADDED",
    [BM_COMPARISON_SKIPPED] = "SKIPPED",
    [BM_COMPARISON_CRASHED] = "CRASHED",
    [BM_COMPARISON_TIMEOUT] = "TIMEOUT",
    [BM_COMPARISON_REFUSED] = "REFUSED",
    [BM_COMPARISON_ERROR] = "ERROR",
};

const char *bm_comparison_verdict_name(enum bm_comparison_verdict verdict) {
    BM_ASSERT(verdict < BM_COMPARISON_VERDICT_COUNT);
    return verdict_names[verdict];
}

/* ---- Growing ---- */

/* Room for one more; NULL without memory, and then `items` stays. */
static void *grow(void *items, uint32_t count, uint32_t *capacity, size_t size) {
    if (count < *capacity) {
        return items;
    }
    uint32_t wanted = *capacity == 0 ? 8 : 2 * *capacity;
    void *grown = realloc(items, wanted * size);
    *capacity = grown == NULL ? *capacity : wanted;
    return grown;
}

struct bm_comparison_cell *bm_comparison_add(struct bm_comparison *comparison) {
    struct bm_comparison_cell *cells = grow(comparison->cells, comparison->cell_count,
                                            &comparison->cell_capacity, sizeof *comparison->cells);
    if (cells == NULL) {
        return NULL;
    }
    comparison->cells = cells;
    struct bm_comparison_cell *cell = &cells[comparison->cell_count++];
    memset(cell, 0, sizeof *cell);
    cell->verdict = BM_COMPARISON_ERROR;
    cell->p = (double)NAN;
    cell->sensitivity = (double)NAN;
    cell->aa_ratio = (double)NAN;
    cell->aa_spread = (double)NAN;
    return cell;
}

int32_t bm_comparison_differ(struct bm_comparison *comparison,
                             const char *what,
                             const char *base,
                             const char *head,
                             struct bm_error *error) {
    struct bm_comparison_difference *differences =
        grow(comparison->differences, comparison->difference_count,
             &comparison->difference_capacity, sizeof *comparison->differences);
    if (differences == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "compare: no memory");
    }
    comparison->differences = differences;
    struct bm_comparison_difference *difference = &differences[comparison->difference_count++];
    (void)snprintf(difference->what, sizeof difference->what, "%s", what);
    (void)snprintf(difference->base, sizeof difference->base, "%s", base);
    (void)snprintf(difference->head, sizeof difference->head, "%s", head);
    return BM_STATUS_OK;
}

void bm_comparison_free(struct bm_comparison *comparison) {
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        json_decref(comparison->cells[i].details);
    }
    free(comparison->cells);
    free(comparison->differences);
    memset(comparison, 0, sizeof *comparison);
}

/* ---- The whole ---- */

int bm_comparison_is_wanted(const struct bm_comparison_cell *cell, const char *pattern) {
    char name[sizeof cell->backend + sizeof cell->name + 2];
    (void)snprintf(name, sizeof name, "%s, %s", cell->backend, cell->name);
    return pattern[0] == '\0' || fnmatch(pattern, name, FNM_EXTMATCH) == 0;
}

uint32_t bm_comparison_count(const struct bm_comparison *comparison,
                             enum bm_comparison_verdict verdict) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        count += comparison->cells[i].verdict == verdict;
    }
    return count;
}

static uint32_t more_instructions(const struct bm_comparison *comparison) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < comparison->cell_count; i++) {
        count += comparison->cells[i].instructions.is_regression;
    }
    return count;
}

uint32_t bm_comparison_compared(const struct bm_comparison *comparison) {
    return comparison->cell_count - bm_comparison_count(comparison, BM_COMPARISON_ADDED) -
           bm_comparison_count(comparison, BM_COMPARISON_SKIPPED);
}

int bm_comparison_exit_code(const struct bm_comparison *comparison) {
    static const struct {
        enum bm_comparison_verdict verdict;
        int code;
    } order[] = {
        {BM_COMPARISON_REFUSED, BM_EXIT_REFUSED}, {BM_COMPARISON_CRASHED, BM_EXIT_CRASHED},
        {BM_COMPARISON_TIMEOUT, BM_EXIT_CRASHED}, {BM_COMPARISON_WRONG, BM_EXIT_WRONG},
        {BM_COMPARISON_LOST, BM_EXIT_NOTHING},    {BM_COMPARISON_ERROR, BM_EXIT_NOTHING},
    };

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (bm_comparison_count(comparison, order[i].verdict) > 0) {
            return order[i].code;
        }
    }
    if (bm_comparison_compared(comparison) == 0) {
        return BM_EXIT_NOTHING;
    }
    if (bm_comparison_count(comparison, BM_COMPARISON_REGRESSION) > 0 ||
        more_instructions(comparison) > 0) {
        return BM_EXIT_REGRESSION;
    }
    int is_open = bm_comparison_count(comparison, BM_COMPARISON_INCONCLUSIVE) > 0 ||
                  bm_comparison_count(comparison, BM_COMPARISON_NO_BASE) > 0;
    return comparison->is_strict && is_open ? BM_EXIT_INCONCLUSIVE : BM_EXIT_OK;
}

/* ---- Writing ---- */

static json_t *text_json(const char *text) {
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(text is not UTF-8)");
}

/* Unknown is not a number, as it is for some fields, or 0, as for others. */
static json_t *positive_json(double number) {
    return number > 0 ? bm_field_finite(number) : json_null();
}

static json_t *instructions_json(const struct bm_comparison_instructions *counts) {
    if (!counts->is_known && counts->reason[0] == '\0') {
        return json_null();
    }
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "known", (int)counts->is_known,
                     "base", positive_json(counts->base), "head", positive_json(counts->head),
                     "ratio", positive_json(counts->ratio), "threshold",
                     bm_field_finite(counts->threshold), "regression", (int)counts->is_regression,
                     "source", text_json(counts->source), "reason", text_json(counts->reason));
}

static json_t *choices_json(const struct bm_comparison_cell *cell) {
    return json_pack("{s:o, s:o, s:b}", "base", text_json(cell->choices[0]), "head",
                     text_json(cell->choices[1]), "differ", (int)cell->choices_differ);
}

json_t *bm_comparison_cell_json(const struct bm_comparison_cell *cell) {
    json_t *object =
        json_pack("{s:s, s:i, s:o, s:o, s:o, s:I, s:I, s:s, s:o}", "kind", "compare", "schema",
                  BM_RECORD_SCHEMA, "cell", text_json(cell->name), "backend",
                  text_json(cell->backend), "device", text_json(cell->device), "batch",
                  (json_int_t)cell->batch, "threads", (json_int_t)cell->threads, "verdict",
                  bm_comparison_verdict_name(cell->verdict), "reason", text_json(cell->reason));
    json_t *figures =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O?}",
                  "ratio", positive_json(cell->ratio), "low", positive_json(cell->low), "high",
                  positive_json(cell->high), "p", bm_field_finite(cell->p), "sensitivity",
                  bm_field_finite(cell->sensitivity), "sets", (json_int_t)cell->sets, "aa_ratio",
                  bm_field_finite(cell->aa_ratio), "aa_spread", bm_field_finite(cell->aa_spread),
                  "base_ns", positive_json(cell->base_ns), "head_ns", positive_json(cell->head_ns),
                  "seconds", bm_field_finite(cell->seconds), "choices", choices_json(cell),
                  "instructions", instructions_json(&cell->instructions), "details", cell->details);
    if (object == NULL || json_object_update(object, figures) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(figures);
    return object;
}

static json_t *differences_json(const struct bm_comparison *comparison) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < comparison->difference_count; i++) {
        const struct bm_comparison_difference *difference = &comparison->differences[i];
        (void)json_array_append_new(
            list, json_pack("{s:o, s:o, s:o}", "what", text_json(difference->what), "base",
                            text_json(difference->base), "head", text_json(difference->head)));
    }
    return list;
}

static json_t *head_json(const struct bm_comparison *comparison) {
    const char *series = comparison->series == NULL ? "update" : comparison->series;
    return json_pack("{s:s, s:i, s:s, s:o, s:o, s:b, s:b, s:f, s:o}", "kind", "comparison",
                     "schema", BM_RECORD_SCHEMA, "series", series, "base",
                     text_json(comparison->base_name), "head", text_json(comparison->head_name),
                     "stored", (int)comparison->is_stored, "strict", (int)comparison->is_strict,
                     "threshold", comparison->threshold, "differences",
                     differences_json(comparison));
}

json_t *bm_comparison_json(const struct bm_comparison *comparison) {
    json_t *objects = json_array();
    json_t *head = head_json(comparison);
    int failed = json_array_append_new(objects, head) != 0;
    for (uint32_t i = 0; !failed && i < comparison->cell_count; i++) {
        failed =
            json_array_append_new(objects, bm_comparison_cell_json(&comparison->cells[i])) != 0;
    }
    if (failed) {
        json_decref(objects);
        return NULL;
    }
    return objects;
}

/* ---- Reading ---- */

/* One object on its way back; the first field that is not what it should be stays in `wrong`. */
struct reader {
    const json_t *object;
    const char *wrong;
};

static void fault(struct reader *reader, const char *key) {
    reader->wrong = reader->wrong == NULL ? key : reader->wrong;
}

static void read_text(struct reader *reader, const char *key, char *text, size_t capacity) {
    const json_t *field = json_object_get(reader->object, key);
    if (!json_is_string(field)) {
        fault(reader, key);
        return;
    }
    (void)snprintf(text, capacity, "%s", json_string_value(field));
}

static double read_number(struct reader *reader, const char *key, double unknown) {
    const json_t *field = json_object_get(reader->object, key);
    if (field != NULL && !json_is_number(field) && !json_is_null(field)) {
        fault(reader, key);
    }
    return json_is_number(field) ? json_number_value(field) : unknown;
}

static uint64_t read_whole(struct reader *reader, const char *key, uint64_t most) {
    const json_t *field = json_object_get(reader->object, key);
    json_int_t number = json_integer_value(field);
    if (!json_is_integer(field) || number < 0 || (uint64_t)number > most) {
        fault(reader, key);
        return 0;
    }
    return (uint64_t)number;
}

static void read_verdict(struct reader *reader, struct bm_comparison_cell *cell) {
    const char *name = bm_field_text(reader->object, "verdict");
    for (uint32_t i = 0; i < BM_COMPARISON_VERDICT_COUNT; i++) {
        if (strcmp(name, verdict_names[i]) == 0) {
            cell->verdict = (enum bm_comparison_verdict)i;
            return;
        }
    }
    fault(reader, "verdict");
}

static void read_choices(struct reader *outer, struct bm_comparison_cell *cell) {
    struct reader reader = {json_object_get(outer->object, "choices"), NULL};
    read_text(&reader, "base", cell->choices[0], sizeof cell->choices[0]);
    read_text(&reader, "head", cell->choices[1], sizeof cell->choices[1]);
    cell->choices_differ = json_is_true(json_object_get(reader.object, "differ"));
    if (reader.wrong != NULL) {
        fault(outer, "choices");
    }
}

static void read_instructions(struct reader *outer, struct bm_comparison_instructions *counts) {
    struct reader reader = {json_object_get(outer->object, "instructions"), NULL};
    if (json_is_null(reader.object)) {
        return;
    }
    counts->is_known = json_is_true(json_object_get(reader.object, "known"));
    counts->base = read_number(&reader, "base", 0);
    counts->head = read_number(&reader, "head", 0);
    counts->ratio = read_number(&reader, "ratio", 0);
    counts->threshold = read_number(&reader, "threshold", 0);
    counts->is_regression = json_is_true(json_object_get(reader.object, "regression"));
    read_text(&reader, "source", counts->source, sizeof counts->source);
    read_text(&reader, "reason", counts->reason, sizeof counts->reason);
    if (reader.wrong != NULL) {
        fault(outer, "instructions");
    }
}

static void read_cell(struct reader *reader, struct bm_comparison_cell *cell) {
    read_text(reader, "cell", cell->name, sizeof cell->name);
    read_text(reader, "backend", cell->backend, sizeof cell->backend);
    read_text(reader, "device", cell->device, sizeof cell->device);
    cell->batch = read_whole(reader, "batch", INT64_MAX);
    cell->threads = (uint32_t)read_whole(reader, "threads", UINT32_MAX);
    read_verdict(reader, cell);
    read_text(reader, "reason", cell->reason, sizeof cell->reason);
    cell->ratio = read_number(reader, "ratio", 0);
    cell->low = read_number(reader, "low", 0);
    cell->high = read_number(reader, "high", 0);
    cell->p = read_number(reader, "p", (double)NAN);
    cell->sensitivity = read_number(reader, "sensitivity", (double)NAN);
    cell->sets = (uint32_t)read_whole(reader, "sets", UINT32_MAX);
    cell->aa_ratio = read_number(reader, "aa_ratio", (double)NAN);
    cell->aa_spread = read_number(reader, "aa_spread", (double)NAN);
    cell->base_ns = read_number(reader, "base_ns", 0);
    cell->head_ns = read_number(reader, "head_ns", 0);
    cell->seconds = read_number(reader, "seconds", 0);
    read_choices(reader, cell);
    read_instructions(reader, &cell->instructions);
    json_t *details = json_object_get(reader->object, "details");
    cell->details = json_is_null(details) ? NULL : json_incref(details);
}

static int32_t
read_compare(const json_t *object, struct bm_comparison *comparison, struct bm_error *error) {
    struct reader reader = {object, NULL};
    struct bm_comparison_cell *cell = bm_comparison_add(comparison);
    if (cell == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "compare: no memory");
    }
    read_cell(&reader, cell);
    if (reader.wrong != NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "compare object of \"%s\": damaged field %s",
                       cell->name, reader.wrong);
    }
    return BM_STATUS_OK;
}

static int32_t
read_head(const json_t *object, struct bm_comparison *comparison, struct bm_error *error) {
    struct reader reader = {object, NULL};
    size_t index;
    const json_t *difference;
    int32_t status = BM_STATUS_OK;
    comparison->base_name = bm_field_text(object, "base");
    comparison->head_name = bm_field_text(object, "head");
    comparison->series = json_string_value(json_object_get(object, "series"));
    comparison->is_stored = json_is_true(json_object_get(object, "stored"));
    comparison->is_strict = json_is_true(json_object_get(object, "strict"));
    comparison->threshold = read_number(&reader, "threshold", (double)NAN);
    if (!isfinite(comparison->threshold)) {
        return bm_fail(error, BM_STATUS_INVALID, "comparison object: damaged field threshold");
    }
    json_array_foreach(json_object_get(object, "differences"), index, difference) {
        status = status ? status
                        : bm_comparison_differ(comparison, bm_field_text(difference, "what"),
                                               bm_field_text(difference, "base"),
                                               bm_field_text(difference, "head"), error);
    }
    return status;
}

int32_t bm_comparison_read(const json_t *objects,
                           struct bm_comparison *comparison,
                           struct bm_error *error) {
    size_t index;
    const json_t *object;
    int32_t status = BM_STATUS_OK;
    json_array_foreach(objects, index, object) {
        if (status == BM_STATUS_OK && bm_field_is_kind(object, "comparison")) {
            status = read_head(object, comparison, error);
        } else if (status == BM_STATUS_OK && bm_field_is_kind(object, "compare")) {
            status = read_compare(object, comparison, error);
        }
    }
    return status;
}
