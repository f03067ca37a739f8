/* Cells of `run` as the page has them, with the plugins and cases that they refer to. */
#include "report_parts.h"

#include "field.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Parts of a cell ---- */

/* One of the series, null where there are no times. */
static json_t *make_series(const json_t *cell, const char *name) {
    static const struct bm_report_field fields[] = {{"median_ns", bm_report_number},
                                                    {"q1_ns", bm_report_number},
                                                    {"q3_ns", bm_report_number},
                                                    {"low_ns", bm_report_number},
                                                    {"high_ns", bm_report_number},
                                                    {"min_ns", bm_report_number},
                                                    {"spread", bm_report_number},
                                                    {"count", bm_report_number},
                                                    {"rounds", bm_report_number},
                                                    {"stopped", bm_report_text},
                                                    {NULL, NULL}};
    const json_t *figures = json_object_get(cell, name);
    if (!json_is_object(figures)) {
        return json_null();
    }
    json_t *series = json_object();
    bm_report_copy(fields, figures, series);
    (void)json_object_set_new(series, "unsteady", json_boolean(bm_table_is_unsteady(figures)));
    return series;
}

/* Not timed but made of two series: it has no quartiles. */
static json_t *make_submission(const json_t *cell, const char *key) {
    static const struct bm_report_field fields[] = {
        {"median_ns", bm_report_number}, {"q1_ns", bm_report_number},
        {"q3_ns", bm_report_number},     {"low_ns", bm_report_number},
        {"high_ns", bm_report_number},   {"min_ns", bm_report_number},
        {"spread", bm_report_number},    {"count", bm_report_number},
        {"rounds", bm_report_number},    {"stopped", bm_report_text},
        {"unsteady", bm_report_flag},    {NULL, NULL}};
    const json_t *figures = json_object_get(cell, key);
    if (!json_is_object(figures)) {
        return json_null();
    }
    json_t *series = json_object();
    bm_report_copy(fields, figures, series);
    return series;
}

/* The interval of the truly run ones, of which there are a few; null of one that was extrapolated.
 */
static json_t *make_epoch(const json_t *cell, const char *key) {
    static const struct bm_report_field fields[] = {{"seconds", bm_report_number},
                                                    {"updates", bm_report_number},
                                                    {"measured", bm_report_flag},
                                                    {"gap", bm_report_number},
                                                    {NULL, NULL}};
    const json_t *figures = json_object_get(cell, key);
    const json_t *samples = json_object_get(figures, "samples_s");
    double low = (double)NAN;
    double high = (double)NAN;
    if (!json_is_object(figures)) {
        return json_null();
    }
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *seconds = json_array_get(samples, i);
        double value = json_is_number(seconds) ? json_number_value(seconds) : (double)NAN;
        low = fmin(low, value);
        high = fmax(high, value);
    }
    json_t *epoch = json_object();
    bm_report_copy(fields, figures, epoch);
    (void)json_object_set_new(epoch, "low_seconds", bm_report_real(low));
    (void)json_object_set_new(epoch, "high_seconds", bm_report_real(high));
    return epoch;
}

static json_t *make_bound(const json_t *cell, const char *key) {
    static const struct bm_report_field fields[] = {
        {"flops", bm_report_number}, {"bytes", bm_report_number},
        {"ns", bm_report_number},    {"share", bm_report_number},
        {"level", bm_report_text},   {"limit", bm_report_text},
        {"reason", bm_report_text},  {NULL, NULL}};
    const json_t *bound = json_object_get(cell, key);
    json_t *copy = json_is_object(bound) ? json_object() : json_null();
    if (json_is_object(copy)) {
        bm_report_copy(fields, bound, copy);
    }
    return copy;
}

static json_t *make_check(const json_t *cell, const char *key) {
    static const struct bm_report_field fields[] = {{"status", bm_report_text},
                                                    {"ratio", bm_report_number},
                                                    {"max_error", bm_report_number},
                                                    {"bound", bm_report_number},
                                                    {NULL, NULL}};
    json_t *copy = json_object();
    bm_report_copy(fields, json_object_get(cell, key), copy);
    return copy;
}

/* ---- Tables that cells refer to ---- */

int bm_report_cells_init(struct bm_report_cells *cells, const struct bm_report *report) {
    *cells = (struct bm_report_cells){
        .report = report,
        .plugins = json_array(),
        .plugin_index = json_object(),
        .cases = json_array(),
        .case_index = json_object(),
    };
    return cells->plugins != NULL && cells->plugin_index != NULL && cells->cases != NULL &&
                   cells->case_index != NULL
               ? 0
               : -1;
}

void bm_report_cells_deinit(struct bm_report_cells *cells) {
    json_decref(cells->plugins);
    json_decref(cells->plugin_index);
    json_decref(cells->cases);
    json_decref(cells->case_index);
}

/* The place of an object in a list of such, added if it is new. Takes it. */
static json_int_t place_in(json_t *list, json_t *index, json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    const json_t *known = text == NULL ? NULL : json_object_get(index, text);
    json_int_t place =
        known != NULL ? json_integer_value(known) : (json_int_t)json_array_size(list);
    if (known == NULL && text != NULL) {
        (void)json_object_set_new(index, text, json_integer(place));
        (void)json_array_append(list, object);
    }
    free(text);
    json_decref(object);
    return place;
}

static json_int_t plugin_of(struct bm_report_cells *cells, const json_t *cell) {
    static const struct bm_report_field fields[] = {
        {"name", bm_report_text},     {"sha256", bm_report_text},   {"version", bm_report_text},
        {"describe", bm_report_text}, {"by_trust", bm_report_flag}, {NULL, NULL}};
    json_t *plugin = json_object();
    bm_report_copy(fields, json_object_get(cell, "plugin"), plugin);
    return place_in(cells->plugins, cells->plugin_index, plugin);
}

/* Made data may have any size under one name. */
static json_t *images_of(const struct bm_report_run *run, const json_t *cell) {
    const json_t *data = json_object_get(run->run, "data");
    return strcmp(bm_field_text(data, "name"), bm_field_text(cell, "dataset")) == 0
               ? bm_report_number(data, "train")
               : json_null();
}

static json_t *whole_or(const json_t *cell, const char *key, json_int_t unsaid) {
    json_t *value = json_object_get(cell, key);
    return json_is_integer(value) ? json_incref(value) : json_integer(unsaid);
}

static json_t *make_micro_batch(const json_t *cell, const char *key) {
    return whole_or(cell, key, 0);
}

static json_t *make_data_parallel(const json_t *cell, const char *key) {
    return whole_or(cell, key, 1);
}

static json_int_t
case_of(struct bm_report_cells *cells, const struct bm_report_run *run, const json_t *cell) {
    static const struct bm_report_field fields[] = {{"model", bm_report_text},
                                                    {"layers", bm_report_text},
                                                    {"dataset", bm_report_text},
                                                    {"optimizer", bm_report_text},
                                                    {"precision", bm_report_text},
                                                    {"micro_batch", make_micro_batch},
                                                    {"data_parallel", make_data_parallel},
                                                    {NULL, NULL}};
    json_t *object = json_object();
    bm_report_copy(fields, cell, object);
    (void)json_object_set_new(object, "images", images_of(run, cell));
    json_int_t place = place_in(cells->cases, cells->case_index, object);
    (void)json_object_set_new(json_array_get(cells->cases, (size_t)place), "index",
                              json_integer(place));
    return place;
}

/* ---- Rows ---- */

/* " tile=8": the run's options of that backend. */
static void print_settings(const struct bm_report_run *run, const json_t *cell, FILE *stream) {
    const json_t *settings = json_object_get(json_object_get(run->run, "options"), "settings");
    size_t i;
    const json_t *setting;
    json_array_foreach(settings, i, setting) {
        if (strcmp(bm_field_text(setting, "backend"), bm_field_text(cell, "backend")) == 0) {
            (void)fprintf(stream, " %s=%s", bm_field_text(setting, "key"),
                          bm_field_text(setting, "value"));
        }
    }
}

/* "avx2, 2 threads": what the row of a cell is called. The caller's. */
static json_t *row_json(const struct bm_report_run *run, const json_t *cell) {
    const char *label = bm_field_text(cell, "label");
    uint64_t threads = bm_field_whole(cell, "threads");
    const json_t *seed = json_object_get(cell, "seed");
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return NULL;
    }
    (void)fputs(label[0] != '\0' ? label : bm_field_text(cell, "backend"), stream);
    print_settings(run, cell, stream);
    (void)fprintf(stream, ", %llu thread%s", (unsigned long long)threads, threads == 1 ? "" : "s");
    if (json_is_integer(seed) && json_integer_value(seed) != 1) {
        (void)fprintf(stream, ", seed %lld", (long long)json_integer_value(seed));
    }
    (void)fclose(stream);
    json_t *whole = json_pack("{s:o}", "row", bm_field_string(text));
    json_t *row = bm_report_text(whole, "row");
    json_decref(whole);
    free(text);
    return row;
}

/* ---- Cells ---- */

static json_t *make_label(const json_t *cell, const char *key) {
    return bm_report_text(cell, bm_field_text(cell, key)[0] != '\0' ? key : "backend");
}

static json_t *make_peak(const json_t *cell, const char *key) {
    (void)key;
    return bm_report_number(json_object_get(cell, "memory"), "peak_bytes");
}

json_t *bm_report_cell(struct bm_report_cells *cells, uint32_t run, const json_t *cell) {
    static const struct bm_report_field fields[] = {{"backend", bm_report_text},
                                                    {"label", make_label},
                                                    {"device", bm_report_number},
                                                    {"device_name", bm_report_text},
                                                    {"software", bm_report_flag},
                                                    {"computes_nothing", bm_report_flag},
                                                    {"model", bm_report_text},
                                                    {"dataset", bm_report_text},
                                                    {"optimizer", bm_report_text},
                                                    {"batch", bm_report_number},
                                                    {"full", bm_report_flag},
                                                    {"threads", bm_report_number},
                                                    {"precision", bm_report_text},
                                                    {"seed", bm_report_number},
                                                    {"micro_batch", make_micro_batch},
                                                    {"data_parallel", make_data_parallel},
                                                    {"status", bm_report_text},
                                                    {"reason", bm_report_text},
                                                    {"repro", bm_report_command},
                                                    {"gradient", make_series},
                                                    {"apply", make_series},
                                                    {"update", make_series},
                                                    {"pipelined", make_series},
                                                    {"updates", make_series},
                                                    {"device_gradient", make_series},
                                                    {"device_apply", make_series},
                                                    {"device_update", make_series},
                                                    {"submission", make_submission},
                                                    {"epoch", make_epoch},
                                                    {"bound", make_bound},
                                                    {"check", make_check},
                                                    {"memory_bytes", make_peak},
                                                    {NULL, NULL}};
    json_t *object = json_object();
    (void)json_object_set_new(object, "run", json_integer(run));
    (void)json_object_set_new(object, "case", json_null());
    (void)json_object_set_new(object, "row", row_json(&cells->report->runs[run], cell));
    bm_report_copy(fields, cell, object);
    (void)json_object_set_new(object, "plugin", json_integer(plugin_of(cells, cell)));
    return object;
}

/* ---- All cells ---- */

void bm_report_key(const json_t *cell, const char *const *fields, char *key, size_t capacity) {
    key[0] = '\0';
    for (; *fields != NULL; fields++) {
        const json_t *value = json_object_get(cell, *fields);
        size_t used = strlen(key);
        if (json_is_string(value)) {
            (void)snprintf(key + used, capacity - used, "%s|", json_string_value(value));
        } else {
            (void)snprintf(key + used, capacity - used, "%lld|",
                           (long long)json_integer_value(value));
        }
    }
}

static uint32_t run_of(const json_t *cell) {
    return (uint32_t)json_integer_value(json_object_get(cell, "run"));
}

/* Whether it was tried: neither skipped nor unsupported. */
static int is_tried(const json_t *cell) {
    return !bm_field_has_status(cell, "skipped") && !bm_field_has_status(cell, "unsupported");
}

/* Whether a cell tells more than another of the same name: one that was tried than one that was
 * not, else the newer. */
static int supersedes(const struct bm_report *report, const json_t *cell, const json_t *other) {
    if (is_tried(cell) != is_tried(other)) {
        return is_tried(cell);
    }
    return strcmp(bm_field_text(report->runs[run_of(cell)].run, "started"),
                  bm_field_text(report->runs[run_of(other)].run, "started")) >= 0;
}

/* Of a cell that a machine has twice one counts. */
static void
mark_superseded(const struct bm_report *report, const char *machine, json_t *best, json_t *cell) {
    static const char *const fields[] = {"case", "batch", "row", NULL};
    char key[BM_REPORT_KEY_SIZE];
    char whole[BM_REPORT_KEY_SIZE + 512];
    bm_report_key(cell, fields, key, sizeof key);
    (void)snprintf(whole, sizeof whole, "%s%.500s", key, machine);
    json_t *known = json_object_get(best, whole);
    int is_best = known == NULL || supersedes(report, cell, known);
    (void)json_object_set_new(cell, "superseded", json_boolean(!is_best));
    if (is_best) {
        (void)json_object_set_new(known, "superseded", json_true());
        (void)json_object_set_nocheck(best, whole, cell);
    }
}

static void add_cells(struct bm_report_cells *cells, uint32_t run, json_t *best, json_t *pairs) {
    const struct bm_report_run *of = &cells->report->runs[run];
    size_t i;
    json_t *cell;
    json_array_foreach(of->objects, i, cell) {
        if (!bm_field_is_kind(cell, "cell")) {
            continue;
        }
        json_t *object = bm_report_cell(cells, run, cell);
        (void)json_object_set_new(object, "case", json_integer(case_of(cells, of, cell)));
        mark_superseded(cells->report, bm_report_machine(of), best, object);
        (void)json_array_append_new(pairs, json_pack("[o, O]", object, cell));
    }
}

json_t *bm_report_all_cells(struct bm_report_cells *cells) {
    json_t *pairs = json_array();
    json_t *best = json_object();
    for (uint32_t run = 0; run < cells->report->run_count; run++) {
        if (strcmp(cells->report->runs[run].command, "run") == 0) {
            add_cells(cells, run, best, pairs);
        }
    }
    json_decref(best);
    return pairs;
}
