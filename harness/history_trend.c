#include "history_trend.h"

#include "change_points.h"
#include "error.h"
#include "field.h"

#include <stdlib.h>
#include <string.h>

/* While one history is worked on. */
struct trends {
    struct bm_history *history;
    uint32_t *ranks;   /* [run_count], of each run in the order of time */
    json_t *case_last; /* text of a case: the rank of the newest run that has a time of it */
    double *times;     /* room for the longest series */
    struct bm_change_point *changes;
};

/* The points of a series that have a time, the newest --since of them. */
struct view {
    const struct bm_history_point *points;
    uint32_t count;
};

/* ---- Order ---- */

static int compare_started(const void *left, const void *right, void *context) {
    const struct bm_history_run *runs = context;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    int order = strcmp(runs[a].started, runs[b].started);
    return order != 0 ? order : (a > b) - (a < b);
}

static int32_t rank_runs(struct trends *trends, struct bm_error *error) {
    struct bm_history *history = trends->history;
    uint32_t *order = malloc((history->run_count + 1) * sizeof *order);
    trends->ranks = malloc((history->run_count + 1) * sizeof *trends->ranks);
    if (order == NULL || trends->ranks == NULL) {
        free(order);
        return bm_fail(error, BM_STATUS_NO_MEMORY, "history: no memory");
    }
    for (uint32_t i = 0; i < history->run_count; i++) {
        order[i] = i;
    }
    qsort_r(order, history->run_count, sizeof *order, compare_started, history->runs);
    for (uint32_t i = 0; i < history->run_count; i++) {
        trends->ranks[order[i]] = i;
    }
    free(order);
    return BM_STATUS_OK;
}

static int compare_points(const void *left, const void *right, void *context) {
    const uint32_t *ranks = context;
    uint32_t a = ranks[((const struct bm_history_point *)left)->run];
    uint32_t b = ranks[((const struct bm_history_point *)right)->run];
    return (a > b) - (a < b);
}

static int compare_texts(const json_t *a, const json_t *b, const char *key) {
    return strcmp(bm_field_text(a, key), bm_field_text(b, key));
}

static int compare_numbers(const json_t *a, const json_t *b, const char *key) {
    uint64_t left = bm_field_whole(a, key);
    uint64_t right = bm_field_whole(b, key);
    return (left > right) - (left < right);
}

/* Machine, case, row, batch: as tables show them. */
static int compare_series(const void *left, const void *right) {
    static const struct {
        const char *key;
        int is_text;
    } keys[] = {{"model", 1},   {"layers", 1}, {"dataset", 1},       {"optimizer", 1},
                {"threads", 0}, {"seed", 0},   {"precision", 1},     {"micro_batch", 0},
                {"backend", 1}, {"device", 0}, {"data_parallel", 0}, {"device_name", 1},
                {"batch", 0}};
    const struct bm_history_series *a = left;
    const struct bm_history_series *b = right;
    int order = (a->host > b->host) - (a->host < b->host);
    for (size_t i = 0; order == 0 && i < sizeof keys / sizeof keys[0]; i++) {
        order = keys[i].is_text ? compare_texts(a->identity, b->identity, keys[i].key)
                                : compare_numbers(a->identity, b->identity, keys[i].key);
    }
    return order;
}

/* ---- Cases ---- */

/* Cells of one case differ in what computes them: runs that were asked for the same backends have
 * all of it, or something is lost. The caller's. */
static char *case_of(const struct bm_history_series *series, uint32_t asked) {
    static const char *const own[] = {"backend", "device", "device_name", NULL};
    json_t *rest = json_copy(series->identity);
    for (size_t i = 0; own[i] != NULL; i++) {
        (void)json_object_del(rest, own[i]);
    }
    json_t *key = json_pack("[i, i, o]", (int)series->host, (int)asked, rest);
    char *text = key == NULL ? NULL : json_dumps(key, JSON_COMPACT);
    json_decref(key);
    return text;
}

/* The newest run in which that case has a time. */
static uint32_t case_last(const struct trends *trends, const char *key) {
    return (uint32_t)json_integer_value(json_object_get(trends->case_last, key));
}

/* Points begin .. end are of runs that were asked for the same. */
static int32_t note_stretch(struct trends *trends,
                            const struct bm_history_series *series,
                            uint32_t begin,
                            uint32_t end,
                            struct bm_error *error) {
    char *key = case_of(series, trends->history->runs[series->points[begin].run].asked);
    uint32_t last = key == NULL ? 0 : case_last(trends, key);
    for (uint32_t i = begin; i < end; i++) {
        uint32_t rank = trends->ranks[series->points[i].run];
        last = series->points[i].ns > 0 && rank > last ? rank : last;
    }
    int failed =
        key == NULL || json_object_set_new(trends->case_last, key, json_integer(last)) != 0;
    free(key);
    return failed ? bm_fail(error, BM_STATUS_NO_MEMORY, "history: no memory") : BM_STATUS_OK;
}

static int32_t
note_cases(struct trends *trends, const struct bm_history_series *series, struct bm_error *error) {
    const struct bm_history_run *runs = trends->history->runs;
    int32_t status = BM_STATUS_OK;
    uint32_t end = 0;
    for (uint32_t begin = 0; status == BM_STATUS_OK && begin < series->point_count; begin = end) {
        uint32_t asked = runs[series->points[begin].run].asked;
        for (end = begin + 1;
             end < series->point_count && runs[series->points[end].run].asked == asked;) {
            end++;
        }
        status = note_stretch(trends, series, begin, end, error);
    }
    return status;
}

/* Whether a newer run has cells of the case and not this one, whose newest time is `timed`. */
static int is_missed(const struct trends *trends,
                     const struct bm_history_series *series,
                     const struct bm_history_point *timed) {
    char *key = case_of(series, trends->history->runs[timed->run].asked);
    int missed = key != NULL && case_last(trends, key) > trends->ranks[timed->run];
    free(key);
    return missed;
}

/* ---- Objects ---- */

static json_t *moment(const struct trends *trends, const struct bm_history_point *point) {
    const struct bm_history_run *run = &trends->history->runs[point->run];
    json_t *object = json_pack("{s:s, s:s}", "started", run->started, "revision", run->revision);
    if (object != NULL && point->ns > 0) {
        (void)json_object_set_new(object, "median_ns", json_real(point->ns));
    }
    return object;
}

/* The commits are those behind the last run before the change and up to the first run after it, as
 * far as the place of the change is known. */
static json_t *change_object(const struct trends *trends,
                             const struct view *view,
                             const struct bm_change_point *change) {
    const struct bm_history_run *runs = trends->history->runs;
    const struct bm_history_run *at = &runs[view->points[change->index].run];
    const struct bm_history_run *before = &runs[view->points[change->first - 1].run];
    const struct bm_history_run *after = &runs[view->points[change->last].run];
    return json_pack("{s:i, s:s, s:s, s:s, s:f, s:f, s:f, s:f}", "index", (int)change->index,
                     "started", at->started, "after", before->revision, "upto", after->revision,
                     "ratio", change->ratio, "low", change->low, "high", change->high, "p",
                     change->p);
}

static json_t *changes_of(struct trends *trends, const struct view *view, struct bm_error *error) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        trends->times[i] = view->points[i].ns;
    }
    if (bm_change_points_find(trends->times, view->count, trends->history->options->threshold,
                              trends->changes, &count, error) != BM_STATUS_OK) {
        return NULL;
    }
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, change_object(trends, view, &trends->changes[i]));
    }
    return list;
}

/* What became of a cell that the newest run of its case has no time of; null if it has one. */
static json_t *lost_object(const struct trends *trends,
                           const struct bm_history_series *series,
                           const struct bm_history_point *timed) {
    const struct bm_history_point *newest = &series->points[series->point_count - 1];
    if (newest == timed && !is_missed(trends, series, timed)) {
        return json_null();
    }
    json_t *object = moment(trends, newest);
    const char *status = newest == timed ? "absent" : bm_history_statuses[newest->status];
    (void)json_object_set_new(object, "status", json_string(status));
    return object;
}

/* [[started, revision, median_ns], ...] */
static json_t *points_of(const struct trends *trends, const struct view *view) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < view->count; i++) {
        const struct bm_history_run *run = &trends->history->runs[view->points[i].run];
        (void)json_array_append_new(
            list, json_pack("[s, s, f]", run->started, run->revision, view->points[i].ns));
    }
    return list;
}

static json_t *trend_of(struct trends *trends,
                        const struct bm_history_series *series,
                        const struct view *view,
                        json_t *lost,
                        struct bm_error *error) {
    const struct bm_history *history = trends->history;
    const struct bm_history_point *first = &view->points[0];
    const struct bm_history_point *last = &view->points[view->count - 1];
    json_t *changes = changes_of(trends, view, error);
    json_t *object = json_pack(
        "{s:s, s:i, s:s, s:O, s:s, s:i, s:o, s:o, s:f, s:o, s:o, s:o}", "kind", "history", "schema",
        1, "series", history->options->series, "host", json_array_get(history->hosts, series->host),
        "label", series->label, "runs", (int)view->count, "first", moment(trends, first), "last",
        moment(trends, last), "ratio", last->ns / first->ns, "changes", changes, "lost", lost,
        "points", points_of(trends, view));
    (void)json_object_update_missing(object, series->identity);
    return object;
}

/* ---- Series ---- */

/* Moves the points that have a time to the front, in order. A run that went on with another holds
 * its cells once more, to the last digit: they count once. */
static struct view timed_points(struct trends *trends, struct bm_history_series *series) {
    const struct bm_history *history = trends->history;
    struct bm_history_point *points = series->points;
    uint64_t since = history->options->since;
    uint32_t count = 0;
    for (uint32_t i = 0; i < series->point_count; i++) {
        int is_copy = count > 0 && history->runs[points[i].run].resumed &&
                      points[i].ns == points[count - 1].ns;
        if (points[i].ns > 0 && !is_copy) {
            points[count++] = points[i];
        }
    }
    uint32_t skipped = since > 0 && since < count ? count - (uint32_t)since : 0;
    return (struct view){points + skipped, count - skipped};
}

static int32_t add_trend(struct trends *trends,
                         struct bm_history_series *series,
                         json_t *objects,
                         struct bm_error *error) {
    uint32_t newest = series->point_count;
    while (newest > 0 && !(series->points[newest - 1].ns > 0)) {
        newest--;
    }
    if (newest == 0) {
        return BM_STATUS_OK;
    }
    json_t *lost = lost_object(trends, series, &series->points[newest - 1]);
    struct view view = timed_points(trends, series);
    json_t *object = trend_of(trends, series, &view, lost, error);
    return object != NULL && json_array_append_new(objects, object) == 0
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_NO_MEMORY, "history: no memory");
}

static int32_t prepare(struct trends *trends, struct bm_error *error) {
    struct bm_history *history = trends->history;
    uint32_t longest = 1;
    int32_t status = rank_runs(trends, error);
    for (uint32_t i = 0; status == BM_STATUS_OK && i < history->series_count; i++) {
        struct bm_history_series *series = &history->series[i];
        longest = series->point_count > longest ? series->point_count : longest;
        qsort_r(series->points, series->point_count, sizeof *series->points, compare_points,
                trends->ranks);
        status = note_cases(trends, series, error);
    }
    trends->times = malloc(longest * sizeof *trends->times);
    trends->changes = malloc((longest / BM_CHANGE_SIDE_MIN + 1) * sizeof *trends->changes);
    if (status == BM_STATUS_OK && (trends->times == NULL || trends->changes == NULL)) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "history: no memory");
    }
    return status;
}

json_t *bm_history_trends(struct bm_history *history, struct bm_error *error) {
    struct trends trends = {.history = history, .case_last = json_object()};
    json_t *objects = json_array();
    int32_t status = prepare(&trends, error);
    if (status == BM_STATUS_OK && history->series_count > 0) {
        qsort(history->series, history->series_count, sizeof *history->series, compare_series);
    }
    for (uint32_t i = 0; status == BM_STATUS_OK && i < history->series_count; i++) {
        status = add_trend(&trends, &history->series[i], objects, error);
    }
    free(trends.ranks);
    free(trends.times);
    free(trends.changes);
    json_decref(trends.case_last);
    if (status != BM_STATUS_OK) {
        json_decref(objects);
        return NULL;
    }
    return objects;
}
