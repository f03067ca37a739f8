/* The page's copy of trends over many runs, with no more points than a chart can show. */
#include "report_parts.h"

#include "error.h"
#include "field.h"
#include "history_trend.h"

#include <stdlib.h>
#include <string.h>

/* More than this no chart can show. */
#define POINTS_MAX 500u

/* ---- Points ---- */

/* Marks which of `count` points stay: the first and the last, those where a level begins and those
 * before them, and evenly chosen others. */
static void mark_points(const json_t *changes, size_t count, uint8_t *stays) {
    size_t i;
    const json_t *change;
    size_t kept = 0;
    memset(stays, count <= POINTS_MAX, count);
    stays[0] = 1;
    stays[count - 1] = 1;
    json_array_foreach(changes, i, change) {
        size_t at = bm_field_whole(change, "index");
        if (at > 0 && at < count) {
            stays[at - 1] = 1;
            stays[at] = 1;
        }
    }
    for (i = 0; i < count; i++) {
        kept += stays[i];
    }
    size_t room = kept < POINTS_MAX ? POINTS_MAX - kept : 0;
    for (i = 0; i < room; i++) {
        stays[(size_t)((double)i * (double)count / (double)room)] = 1;
    }
}

static json_t *point_of(const json_t *point) {
    json_t *time = json_pack("{s:O}", "time", json_array_get(point, 0));
    json_t *revision = json_pack("{s:O}", "revision", json_array_get(point, 1));
    json_t *made =
        json_pack("[o, o, o]", bm_report_text(time, "time"), bm_report_text(revision, "revision"),
                  bm_report_real(json_number_value(json_array_get(point, 2))));
    json_decref(time);
    json_decref(revision);
    return made;
}

/* `places`, [count]: where each point that stays has gone. */
static json_t *thinned(const json_t *points, const uint8_t *stays, size_t *places) {
    size_t i;
    const json_t *point;
    json_t *list = json_array();
    json_array_foreach(points, i, point) {
        places[i] = json_array_size(list);
        if (stays[i]) {
            (void)json_array_append_new(list, point_of(point));
        }
    }
    return list;
}

static json_t *changes_of(const json_t *changes, const size_t *places, size_t count) {
    static const struct bm_report_field fields[] = {
        {"started", bm_report_text}, {"after", bm_report_text},
        {"upto", bm_report_text},    {"ratio", bm_report_number},
        {"low", bm_report_number},   {"high", bm_report_number},
        {"p", bm_report_number},     {NULL, NULL}};
    size_t i;
    const json_t *change;
    json_t *list = json_array();
    json_array_foreach(changes, i, change) {
        size_t at = bm_field_whole(change, "index");
        json_t *copy = json_object();
        (void)json_object_set_new(copy, "index",
                                  at < count ? json_integer((json_int_t)places[at]) : json_null());
        bm_report_copy(fields, change, copy);
        (void)json_array_append_new(list, copy);
    }
    return list;
}

static void set_points(const json_t *trend, json_t *object) {
    const json_t *points = json_object_get(trend, "points");
    const json_t *changes = json_object_get(trend, "changes");
    size_t count = json_array_size(points);
    uint8_t *stays = calloc(count + 1, sizeof *stays);
    size_t *places = calloc(count + 1, sizeof *places);
    if (stays != NULL && places != NULL && count > 0) {
        mark_points(changes, count, stays);
    }
    if (stays != NULL && places != NULL) {
        (void)json_object_set_new(object, "points", thinned(points, stays, places));
        (void)json_object_set_new(object, "changes", changes_of(changes, places, count));
    }
    free(stays);
    free(places);
}

/* ---- Trends ---- */

/* `run`: of a `history` record; null where the trend was made of runs. */
static json_t *trend_json(json_t *run, const json_t *trend) {
    static const struct bm_report_field fields[] = {
        {"host", bm_report_any},         {"label", bm_report_text},   {"backend", bm_report_text},
        {"device_name", bm_report_text}, {"model", bm_report_text},   {"dataset", bm_report_text},
        {"optimizer", bm_report_text},   {"batch", bm_report_number}, {"threads", bm_report_number},
        {"precision", bm_report_text},   {"seed", bm_report_number},  {"settings", bm_report_any},
        {"series", bm_report_text},      {"lost", bm_report_any},     {NULL, NULL}};
    json_t *object = json_pack("{s:o}", "run", run);
    bm_report_copy(fields, trend, object);
    set_points(trend, object);
    return object;
}

static void add_trends(json_t *list, const json_t *objects, uint32_t run, int is_record) {
    size_t i;
    const json_t *object;
    json_array_foreach(objects, i, object) {
        if (bm_field_is_kind(object, "history")) {
            json_t *of = is_record ? json_integer((json_int_t)run) : json_null();
            (void)json_array_append_new(list, trend_json(of, object));
        }
    }
}

json_t *bm_report_history(const struct bm_report *report, struct bm_error *error) {
    struct bm_history history = {.options = report->options};
    int32_t status = BM_STATUS_OK;
    json_t *trends = NULL;
    for (uint32_t i = 0; status == BM_STATUS_OK && i < report->run_count; i++) {
        const struct bm_report_run *run = &report->runs[i];
        if (strcmp(run->command, "run") == 0) {
            status = bm_history_add(&history, run->path, run->line, run->objects, error);
        }
    }
    if (status == BM_STATUS_OK) {
        trends = bm_history_trends(&history, error);
    }
    bm_history_deinit(&history);
    for (size_t i = json_array_size(trends); i-- > 0;) {
        if (bm_field_whole(json_array_get(trends, i), "runs") < 2) {
            (void)json_array_remove(trends, i);
        }
    }
    return trends;
}

json_t *bm_report_trends(const struct bm_report *report, struct bm_error *error) {
    json_t *made = bm_report_history(report, error);
    json_t *list = json_array();
    if (made == NULL) {
        json_decref(list);
        return NULL;
    }
    for (uint32_t i = 0; i < report->run_count; i++) {
        if (strcmp(report->runs[i].command, "history") == 0) {
            add_trends(list, report->runs[i].objects, i, 1);
        }
    }
    add_trends(list, made, 0, 0);
    json_decref(made);
    return list;
}
