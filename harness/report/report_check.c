/* Objects of every kind but `landscape` as hostile input: fields that readers rely on, and their
 * types. */
#include "report_parts.h"

#include "comparison.h"
#include "error.h"
#include "field.h"
#include "record.h"

#include <string.h>

/* Thirty years; the trends refuse more too. */
#define MOST_NS 1e18

enum type { TEXT, WHOLE, NUMBER, OBJECT, ARRAY };

static const char *const type_names[] = {[TEXT] = "a text",
                                         [WHOLE] = "a whole number from 0 on",
                                         [NUMBER] = "a number",
                                         [OBJECT] = "an object",
                                         [ARRAY] = "a list"};

/* Null and absence are good where a field is not needed. */
struct rule {
    const char *key;
    enum type type;
    int is_needed;
};

int32_t bm_report_refuse(const struct bm_report_place *place,
                         const char *key,
                         const char *expected,
                         const json_t *found,
                         struct bm_error *error) {
    char *text = found == NULL ? NULL : json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY);
    int32_t status =
        bm_fail(error, BM_STATUS_INVALID, "%s:%llu: %s: expected %s as %s, found %.60s",
                place->path, (unsigned long long)place->line, place->kind, expected, key,
                text == NULL ? "nothing" : text);
    free(text);
    return status;
}

static int fits(const json_t *value, enum type type) {
    switch (type) {
    case TEXT:
        return json_is_string(value);
    case WHOLE:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case NUMBER:
        return json_is_number(value);
    case OBJECT:
        return json_is_object(value);
    case ARRAY:
        return json_is_array(value);
    }
    return 0;
}

static int32_t check_fields(const struct bm_report_place *place,
                            const json_t *object,
                            const struct rule *rules,
                            struct bm_error *error) {
    for (; rules->key != NULL; rules++) {
        const json_t *value = json_object_get(object, rules->key);
        int is_absent = value == NULL || json_is_null(value);
        if (is_absent ? rules->is_needed : !fits(value, rules->type)) {
            return bm_report_refuse(place, rules->key, type_names[rules->type], value, error);
        }
    }
    return BM_STATUS_OK;
}

/* ---- run ---- */

static int32_t
check_command(const struct bm_report_place *place, const json_t *run, struct bm_error *error) {
    static const char *const names[] = {"run", "train", "compare", "history", "landscape"};
    const json_t *value = json_object_get(run, "command_name");
    const char *name = json_string_value(value);
    if (name == NULL) { /* left out, or null */
        return BM_STATUS_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return BM_STATUS_OK;
        }
    }
    return bm_report_refuse(place, "command_name", "run, train, compare, history or landscape",
                            value, error);
}

static int32_t
check_run(const struct bm_report_place *place, const json_t *run, struct bm_error *error) {
    static const struct rule rules[] = {
        {"version", TEXT, 1},   {"started", TEXT, 1}, {"command_name", TEXT, 0},
        {"command", TEXT, 0},   {"machine", TEXT, 0}, {"revision", TEXT, 0},
        {"host", OBJECT, 0},    {"build", OBJECT, 0}, {"data", OBJECT, 0},
        {"options", OBJECT, 0}, {NULL, TEXT, 0}};
    const json_t *schema = json_object_get(run, "schema");
    if (json_integer_value(schema) != BM_RECORD_SCHEMA) {
        return bm_report_refuse(place, "schema", "1", schema, error);
    }
    int32_t status = check_fields(place, run, rules, error);
    return status ? status : check_command(place, run, error);
}

/* ---- cell ---- */

/* Times, if there are any, are times: 0 or less is what no clock has seen. */
static int32_t check_series(const struct bm_report_place *place,
                            const json_t *cell,
                            const char *name,
                            struct bm_error *error) {
    static const struct rule rules[] = {
        {"q1_ns", NUMBER, 0},     {"q3_ns", NUMBER, 0},       {"low_ns", NUMBER, 0},
        {"high_ns", NUMBER, 0},   {"min_ns", NUMBER, 0},      {"spread", NUMBER, 0},
        {"count", NUMBER, 0},     {"rounds", NUMBER, 0},      {"stopped", TEXT, 0},
        {"samples_ns", ARRAY, 0}, {"round_counts", ARRAY, 0}, {NULL, TEXT, 0}};
    const json_t *series = json_object_get(cell, name);
    const json_t *median = json_object_get(series, "median_ns");
    if (series == NULL || json_is_null(series)) {
        return BM_STATUS_OK;
    }
    if (!json_is_object(series)) {
        return bm_report_refuse(place, name, "an object", series, error);
    }
    double ns = json_number_value(median);
    if (!json_is_number(median) || !(ns > 0 && ns <= MOST_NS)) {
        return bm_report_refuse(place, name, "a time above 0", median, error);
    }
    return check_fields(place, series, rules, error);
}

static int32_t
check_parts(const struct bm_report_place *place, const json_t *cell, struct bm_error *error) {
    static const struct rule epoch[] = {
        {"seconds", NUMBER, 1}, {"updates", NUMBER, 0}, {"gap", NUMBER, 0}, {NULL, TEXT, 0}};
    static const struct rule bound[] = {
        {"flops", NUMBER, 0}, {"bytes", NUMBER, 0}, {"ns", NUMBER, 0},   {"share", NUMBER, 0},
        {"level", TEXT, 0},   {"limit", TEXT, 0},   {"reason", TEXT, 0}, {NULL, TEXT, 0}};
    static const struct rule check[] = {{"status", TEXT, 0},
                                        {"ratio", NUMBER, 0},
                                        {"max_error", NUMBER, 0},
                                        {"bound", NUMBER, 0},
                                        {NULL, TEXT, 0}};
    static const struct rule plugin[] = {{"name", TEXT, 0},
                                         {"sha256", TEXT, 0},
                                         {"version", TEXT, 0},
                                         {"describe", TEXT, 0},
                                         {NULL, TEXT, 0}};

    static const struct {
        const char *key;
        const struct rule *rules;
    } parts[] = {{"epoch", epoch}, {"bound", bound}, {"check", check}, {"plugin", plugin}};

    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; status == BM_STATUS_OK && i < sizeof parts / sizeof parts[0]; i++) {
        const json_t *part = json_object_get(cell, parts[i].key);
        if (json_is_object(part)) {
            status = check_fields(place, part, parts[i].rules, error);
        } else if (part != NULL && !json_is_null(part)) {
            status = bm_report_refuse(place, parts[i].key, "an object", part, error);
        }
    }
    return status;
}

static int32_t
check_status(const struct bm_report_place *place, const json_t *cell, struct bm_error *error) {
    static const char *const names[] = {"ok",      "skipped", "unsupported", "wrong",
                                        "crashed", "timeout", "error"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (bm_field_has_status(cell, names[i])) {
            return BM_STATUS_OK;
        }
    }
    return bm_report_refuse(place, "status", "ok, skipped, wrong, ...",
                            json_object_get(cell, "status"), error);
}

static int32_t
check_cell(const struct bm_report_place *place, const json_t *cell, struct bm_error *error) {
    static const struct rule rules[] = {{"backend", TEXT, 1},      {"model", TEXT, 1},
                                        {"dataset", TEXT, 1},      {"optimizer", TEXT, 1},
                                        {"precision", TEXT, 1},    {"batch", WHOLE, 1},
                                        {"threads", WHOLE, 1},     {"label", TEXT, 0},
                                        {"device", WHOLE, 0},      {"device_name", TEXT, 0},
                                        {"layers", TEXT, 0},       {"seed", WHOLE, 0},
                                        {"micro_batch", WHOLE, 0}, {"data_parallel", WHOLE, 0},
                                        {"reason", TEXT, 0},       {"repro", TEXT, 0},
                                        {"memory", OBJECT, 0},     {"efficiency", OBJECT, 0},
                                        {"submission", OBJECT, 0}, {NULL, TEXT, 0}};
    static const char *const series[] = {"gradient",     "apply",        "update",
                                         "pipelined",    "updates",      "device_gradient",
                                         "device_apply", "device_update"};
    int32_t status = check_fields(place, cell, rules, error);
    status = status ? status : check_status(place, cell, error);
    if (status == BM_STATUS_OK && json_integer_value(json_object_get(cell, "batch")) == 0) {
        status = bm_report_refuse(place, "batch", "a whole number from 1 on",
                                  json_object_get(cell, "batch"), error);
    }
    for (size_t i = 0; status == BM_STATUS_OK && i < sizeof series / sizeof series[0]; i++) {
        status = check_series(place, cell, series[i], error);
    }
    return status ? status : check_parts(place, cell, error);
}

/* ---- train ---- */

static int32_t
check_training(const struct bm_report_place *place, const json_t *object, struct bm_error *error) {
    static const struct rule rules[] = {
        {"backend", TEXT, 1},   {"model", TEXT, 1},        {"dataset", TEXT, 1},
        {"optimizer", TEXT, 1}, {"schedule", TEXT, 1},     {"batch", WHOLE, 1},
        {"threads", WHOLE, 1},  {"status", TEXT, 1},       {"seed", WHOLE, 0},
        {"rate", NUMBER, 0},    {"updates", NUMBER, 0},    {"seconds", NUMBER, 0},
        {"train", OBJECT, 0},   {"validation", OBJECT, 0}, {"test", OBJECT, 0},
        {"budgets", ARRAY, 0},  {"targets", ARRAY, 0},     {NULL, TEXT, 0}};
    return check_fields(place, object, rules, error);
}

static int32_t
check_epoch(const struct bm_report_place *place, const json_t *object, struct bm_error *error) {
    static const struct rule rules[] = {
        {"backend", TEXT, 1},      {"model", TEXT, 1},     {"dataset", TEXT, 1},
        {"optimizer", TEXT, 1},    {"batch", WHOLE, 1},    {"epoch", NUMBER, 1},
        {"updates", NUMBER, 0},    {"seconds", NUMBER, 0}, {"train", OBJECT, 0},
        {"validation", OBJECT, 0}, {NULL, TEXT, 0}};
    return check_fields(place, object, rules, error);
}

static int32_t
check_tuned(const struct bm_report_place *place, const json_t *object, struct bm_error *error) {
    static const struct rule rules[] = {{"rate", NUMBER, 0}, {"trials", ARRAY, 1}, {NULL, TEXT, 0}};
    return check_fields(place, object, rules, error);
}

static int32_t
check_noise(const struct bm_report_place *place, const json_t *object, struct bm_error *error) {
    static const struct rule rules[] = {
        {"batch", WHOLE, 1}, {"at", TEXT, 1},     {"seed", WHOLE, 0}, {"scale", NUMBER, 0},
        {"low", NUMBER, 0},  {"high", NUMBER, 0}, {NULL, TEXT, 0}};
    return check_fields(place, object, rules, error);
}

/* ---- compare, history ---- */

/* As its own reader checks it, an object at a time so that the line is known. */
static int32_t
check_compare(const struct bm_report_place *place, const json_t *object, struct bm_error *error) {
    struct bm_comparison comparison = {0};
    struct bm_error found = {.text = ""};
    json_t *objects = json_pack("[O]", object);
    int32_t status =
        objects == NULL ? BM_STATUS_NO_MEMORY : bm_comparison_read(objects, &comparison, &found);
    bm_comparison_free(&comparison);
    json_decref(objects);
    return status == BM_STATUS_OK
               ? BM_STATUS_OK
               : bm_fail(error, status, "%s:%llu: %s", place->path, (unsigned long long)place->line,
                         found.text[0] == '\0' ? "no memory" : found.text);
}

static int is_point(const json_t *point) {
    return json_is_array(point) && json_array_size(point) == 3 &&
           json_is_string(json_array_get(point, 0)) && json_is_string(json_array_get(point, 1)) &&
           json_is_number(json_array_get(point, 2));
}

static int32_t
check_changes(const struct bm_report_place *place, const json_t *trend, struct bm_error *error) {
    static const struct rule rules[] = {
        {"index", WHOLE, 1}, {"started", TEXT, 0}, {"after", TEXT, 0},
        {"upto", TEXT, 0},   {"ratio", NUMBER, 1}, {"low", NUMBER, 0},
        {"high", NUMBER, 0}, {"p", NUMBER, 0},     {NULL, TEXT, 0}};
    size_t i;
    const json_t *change;
    int32_t status = BM_STATUS_OK;
    json_array_foreach(json_object_get(trend, "changes"), i, change) {
        status = status ? status : check_fields(place, change, rules, error);
    }
    return status;
}

static int32_t
check_history(const struct bm_report_place *place, const json_t *trend, struct bm_error *error) {
    static const struct rule rules[] = {
        {"series", TEXT, 1},   {"host", OBJECT, 1},    {"label", TEXT, 1},     {"backend", TEXT, 1},
        {"model", TEXT, 1},    {"dataset", TEXT, 1},   {"optimizer", TEXT, 1}, {"batch", WHOLE, 1},
        {"threads", WHOLE, 1}, {"precision", TEXT, 1}, {"changes", ARRAY, 1},  {"points", ARRAY, 1},
        {"lost", OBJECT, 0},   {NULL, TEXT, 0}};
    size_t i;
    const json_t *point;
    int32_t status = check_fields(place, trend, rules, error);
    json_array_foreach(json_object_get(trend, "points"), i, point) {
        if (status == BM_STATUS_OK && !is_point(point)) {
            status = bm_report_refuse(place, "points", "lists of a time, a revision and a number",
                                      point, error);
        }
    }
    return status ? status : check_changes(place, trend, error);
}

/* ---- Any ---- */

int32_t
bm_report_check(const char *path, uint64_t line, const json_t *object, struct bm_error *error) {
    static const struct {
        const char *kind;
        int32_t (*check)(const struct bm_report_place *place,
                         const json_t *object,
                         struct bm_error *error);
    } kinds[] = {{"run", check_run},
                 {"cell", check_cell},
                 {"training", check_training},
                 {"epoch", check_epoch},
                 {"tuned", check_tuned},
                 {"noise", check_noise},
                 {"comparison", check_compare},
                 {"compare", check_compare},
                 {"history", check_history},
                 {"landscape", bm_report_check_landscape}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (bm_field_is_kind(object, kinds[i].kind)) {
            struct bm_report_place place = {path, line, kinds[i].kind};
            return kinds[i].check(&place, object, error);
        }
    }
    return BM_STATUS_OK;
}
