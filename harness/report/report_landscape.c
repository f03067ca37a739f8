#include "report_landscape.h"

#include "field.h"

#include <math.h>
#include <string.h>

/* More is what overflowed: a chart cannot subtract such numbers. */
#define LARGEST 1e100

static json_t *
copy_members(const json_t *object, const struct bm_report_member *members, json_t *copy);

static json_t *number_of(const json_t *value) {
    if (json_is_integer(value)) {
        return json_integer(json_integer_value(value));
    }
    double number = json_number_value(value);
    return json_is_number(value) && fabs(number) <= LARGEST ? bm_report_real(number) : json_null();
}

static json_t *numbers_of(const json_t *list) {
    json_t *copy = json_array();
    size_t i;
    const json_t *value;
    json_array_foreach(list, i, value) {
        (void)json_array_append_new(copy, number_of(value));
    }
    return copy;
}

static json_t *points_of(const json_t *list) {
    json_t *copy = json_array();
    size_t i;
    const json_t *point;
    json_array_foreach(list, i, point) {
        (void)json_array_append_new(copy, numbers_of(point));
    }
    return copy;
}

static json_t *objects_of(const json_t *list, const struct bm_report_member *members) {
    json_t *copy = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) {
        (void)json_array_append_new(copy, copy_members(one, members, json_object()));
    }
    return copy;
}

static json_t *copy_of(const json_t *object, const struct bm_report_member *member) {
    json_t *value = json_object_get(object, member->key);
    switch (member->shape) {
    case BM_REPORT_TEXT:
        return bm_report_text(object, member->key);
    case BM_REPORT_NUMBER:
        return number_of(value);
    case BM_REPORT_FLAG:
        return bm_report_flag(object, member->key);
    case BM_REPORT_NUMBERS:
    case BM_REPORT_GRID:
        return numbers_of(value);
    case BM_REPORT_POINTS:
        return points_of(value);
    case BM_REPORT_OBJECT:
        return json_is_object(value) ? copy_members(value, member->of, json_object()) : json_null();
    case BM_REPORT_OBJECTS:
        return objects_of(value, member->of);
    case BM_REPORT_TEXTS:
    case BM_REPORT_ANY:
        break;
    }
    return bm_report_plain(value);
}

/* Lists that are absent are empty, all else null. */
static json_t *
copy_members(const json_t *object, const struct bm_report_member *members, json_t *copy) {
    for (; members->key != NULL; members++) {
        if (json_object_get(copy, members->key) == NULL) {
            (void)json_object_set_new(copy, members->key, copy_of(object, members));
        }
    }
    return copy;
}

/* The members that a part shares with all, where they are told: most objects have few of them. */
static void copy_common(const json_t *object, json_t *copy) {
    const struct bm_report_member *member = bm_report_landscape_common;
    for (; member->key != NULL; member++) {
        const json_t *value = json_object_get(object, member->key);
        int is_told = value != NULL && !json_is_null(value);
        if (is_told && json_object_get(copy, member->key) == NULL) {
            (void)json_object_set_new(copy, member->key, copy_of(object, member));
        }
    }
    (void)json_object_del(copy, "analysis");
    (void)json_object_del(copy, "part");
}

static void add_object(json_t *parts, const json_t *object) {
    const char *part = bm_field_text(object, "part");
    const struct bm_report_member *members = bm_report_landscape_part(part);
    if (members == NULL || !bm_report_landscape_has_values(object)) {
        return;
    }
    json_t *copy = copy_members(object, members, json_object());
    copy_common(object, copy);
    if (json_object_get(parts, part) == NULL) {
        (void)json_object_set_new(parts, part, json_array());
    }
    (void)json_array_append_new(json_object_get(parts, part), copy);
}

static void add_verdict(json_t *verdicts, const json_t *object) {
    static const struct bm_report_field fields[] = {
        {"analysis", bm_report_text}, {"part", bm_report_text},
        {"surface", bm_report_text},  {"point", bm_report_text},
        {"backend", bm_report_text},  {"status", bm_report_text},
        {"reason", bm_report_text},   {NULL, NULL}};
    if (!bm_field_has_status(object, "ok")) {
        json_t *verdict = json_object();
        bm_report_copy(fields, object, verdict);
        (void)json_array_append_new(verdicts, verdict);
    }
}

static json_t *landscape_json(uint32_t run, const json_t *objects) {
    json_t *parts = json_object();
    json_t *verdicts = json_array();
    size_t i;
    const json_t *object;
    json_array_foreach(objects, i, object) {
        if (bm_field_is_kind(object, "landscape")) {
            add_object(parts, object);
            add_verdict(verdicts, object);
        }
    }
    return json_pack("{s:I, s:o, s:o}", "run", (json_int_t)run, "parts", parts, "verdicts",
                     verdicts);
}

static int has_something(const json_t *landscape) {
    return json_object_size(json_object_get(landscape, "parts")) > 0 ||
           json_array_size(json_object_get(landscape, "verdicts")) > 0;
}

json_t *bm_report_landscapes(const struct bm_report *report) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < report->run_count; i++) {
        json_t *landscape = strcmp(report->runs[i].command, "landscape") == 0
                                ? landscape_json(i, report->runs[i].objects)
                                : NULL;
        if (landscape != NULL && has_something(landscape)) {
            (void)json_array_append(list, landscape);
        }
        json_decref(landscape);
    }
    return list;
}
