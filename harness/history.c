#include "history.h"

#include "error.h"
#include "field.h"
#include "measure.h"
#include "record.h"
#include "record_folder.h"
#include "record_scan.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NO_RUN UINT32_MAX
#define TEXT_MAX BM_LAYERS_SIZE
#define NS_MAX 1e18

const char *const bm_history_statuses[] = {"ok",      "skipped", "unsupported", "wrong",
                                           "crashed", "timeout", "error",       NULL};

/* What makes a cell this cell, besides the machine. `label` and the numbers of the batch as it was
 * asked for tell the same again. */
static const char *const text_fields[] = {"backend", "device_name", "model",     "layers",
                                          "dataset", "optimizer",   "precision", NULL};
static const char *const number_fields[] = {"device",      "batch",         "threads", "seed",
                                            "micro_batch", "data_parallel", NULL};
static const char *const inner_fields[] = {"median_ns", "seconds", "measured", NULL};

/* What the records of one file share while it is read. */
struct reader {
    struct bm_history *history;
    struct bm_record_scan scan;
    const char *members[32];
    struct bm_record_wanted wanted;
    const char *folder; /* name of the file's folder */
    uint32_t run;       /* that the cells belong to; NO_RUN: they do not count */
    uint32_t host;
    json_t *data;     /* of the run: images that the cells of `data_name` were measured on */
    json_t *settings; /* of the run: options of single backends */
};

/* ---- Growing ---- */

static void *
grow(void *array, uint32_t count, uint32_t *capacity, size_t size, struct bm_error *error) {
    if (count < *capacity) {
        return array;
    }
    uint32_t larger = *capacity == 0 ? 16 : 2 * *capacity;
    void *grown = realloc(array, larger * size);
    if (grown == NULL) {
        (void)bm_fail(error, BM_STATUS_NO_MEMORY, "history: no memory");
        return NULL;
    }
    *capacity = larger;
    return grown;
}

/* The number of a text, the next free one if it is new. */
static uint32_t index_of(json_t *table, const json_t *key, int *is_new) {
    char *text = json_dumps(key, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) {
        *is_new = 0;
        return UINT32_MAX;
    }
    const json_t *known = json_object_get(table, text);
    uint32_t index =
        known == NULL ? (uint32_t)json_object_size(table) : (uint32_t)json_integer_value(known);
    *is_new = known == NULL;
    if (known == NULL && json_object_set_new(table, text, json_integer(index)) != 0) {
        index = UINT32_MAX;
    }
    free(text);
    return index;
}

/* Cuts between letters of UTF-8, so that it stays a text of JSON. */
static void copy_text(const char *text, char *copy, size_t capacity) {
    size_t length = strlen(text);
    if (length >= capacity) {
        length = capacity - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) {
            length--;
        }
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
}

static int32_t fail_memory(struct bm_error *error) {
    return bm_fail(error, BM_STATUS_NO_MEMORY, "history: no memory");
}

/* ---- Runs ---- */

static int32_t fail_field(const struct reader *reader,
                          const char *name,
                          const char *expected,
                          const json_t *found,
                          struct bm_error *error) {
    char *text = found == NULL ? NULL : json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY);
    int32_t status = bm_fail(error, BM_STATUS_INVALID, "%s:%llu: %s: expected %s, found %.80s",
                             reader->scan.path, (unsigned long long)reader->scan.line, name,
                             expected, text == NULL ? "nothing" : text);
    free(text);
    return status;
}

/* 2026-11-25T04:44:53Z, so that the order of texts is that of times. */
static int is_time(const char *text) {
    static const char pattern[] = "0000-00-00T00:00:00Z";
    for (size_t i = 0; i < sizeof pattern; i++) {
        if (pattern[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != pattern[i]) {
            return 0;
        }
    }
    return 1;
}

static void copy_members(const json_t *from, const char *const *names, json_t *to) {
    for (; *names != NULL; names++) {
        json_t *value = json_object_get(from, *names);
        if (value != NULL) {
            (void)json_object_set(to, *names, value);
        }
    }
}

/* Machine, processor and build: where one differs, times do not compare. */
static json_t *host_of(const json_t *run, const char *folder) {
    static const char *const names[] = {"cpu",    "isa",          "cores",    "processors",
                                        "caches", "architecture", "governor", NULL};
    static const char *const build_names[] = {"flags", NULL};
    const char *machine = bm_field_text(run, "machine");
    json_t *host = json_object();
    (void)json_object_set_new(host, "machine", json_string(machine[0] != '\0' ? machine : folder));
    copy_members(json_object_get(run, "host"), names, host);
    copy_members(json_object_get(run, "build"), build_names, host);
    return host;
}

static int32_t find_host(struct reader *reader, const json_t *run, struct bm_error *error) {
    struct bm_history *history = reader->history;
    int is_new = 0;
    json_t *host = host_of(run, reader->folder);
    reader->host = index_of(history->host_index, host, &is_new);
    if (is_new && json_array_append(history->hosts, host) != 0) {
        reader->host = UINT32_MAX;
    }
    json_decref(host);
    return reader->host == UINT32_MAX ? fail_memory(error) : BM_STATUS_OK;
}

static int32_t add_run(struct reader *reader, const json_t *object, struct bm_error *error) {
    struct bm_history *history = reader->history;
    int is_new = 0;
    json_t *backends = json_string(bm_field_text(json_object_get(object, "options"), "backend"));
    uint32_t asked = index_of(history->asked_index, backends, &is_new);
    json_decref(backends);
    struct bm_history_run *runs =
        grow(history->runs, history->run_count, &history->run_capacity, sizeof *runs, error);
    if (runs == NULL) {
        return BM_STATUS_NO_MEMORY;
    }
    history->runs = runs;
    struct bm_history_run *run = &runs[history->run_count];
    copy_text(bm_field_text(object, "started"), run->started, sizeof run->started);
    copy_text(bm_field_text(object, "revision"), run->revision, sizeof run->revision);
    run->asked = asked;
    run->resumed = json_is_true(json_object_get(object, "resumed"));
    reader->run = history->run_count++;
    return find_host(reader, object, error);
}

static void forget_run(struct reader *reader) {
    json_decref(reader->data);
    json_decref(reader->settings);
    reader->data = NULL;
    reader->settings = NULL;
    reader->run = NO_RUN;
}

/* Of which the cells count: of `batchmark run`, in processes of their own, not met before. */
static int counts(struct bm_history *history, const json_t *run) {
    int is_new = 1;
    const json_t *id = json_object_get(run, "id");
    const char *command = bm_field_text(run, "command_name");
    if (command[0] != '\0' && strcmp(command, "run") != 0) {
        return 0;
    }
    if (json_is_true(json_object_get(run, "in_process"))) {
        history->in_process++;
        return 0;
    }
    if (json_is_string(id)) {
        (void)index_of(history->run_ids, id, &is_new);
    }
    history->repeated += !is_new;
    return is_new;
}

static int32_t take_run(struct reader *reader, const json_t *run, struct bm_error *error) {
    static const char *const data_names[] = {"name", "shape", "classes", "train", NULL};
    const json_t *schema = json_object_get(run, "schema");
    forget_run(reader);
    if (json_integer_value(schema) != BM_RECORD_SCHEMA) {
        return fail_field(reader, "schema", "1", schema, error);
    }
    if (!counts(reader->history, run)) {
        return BM_STATUS_OK;
    }
    if (!is_time(bm_field_text(run, "started"))) {
        return fail_field(reader, "started", "a time like 2026-11-25T04:44:53Z",
                          json_object_get(run, "started"), error);
    }
    reader->data = json_object();
    copy_members(json_object_get(run, "data"), data_names, reader->data);
    reader->settings = json_incref(json_object_get(json_object_get(run, "options"), "settings"));
    return add_run(reader, run, error);
}

/* ---- Which cells ---- */

/* --backend NAME, NAME:NUMBER or NAME:PART of the device's name. */
static int fits_backend(const json_t *cell, const char *wanted) {
    const char *backend = bm_field_text(cell, "backend");
    size_t length = strcspn(wanted, ":");
    char number[24];
    if (strncmp(backend, wanted, length) != 0 || backend[length] != '\0') {
        return 0;
    }
    if (wanted[length] == '\0') {
        return 1;
    }
    (void)snprintf(number, sizeof number, "%llu",
                   (unsigned long long)bm_field_whole(cell, "device"));
    return strcmp(number, wanted + length + 1) == 0 ||
           strcasestr(bm_field_text(cell, "device_name"), wanted + length + 1) != NULL;
}

/* "mlp" is also "mlp ghost-100". */
static int fits_model(const json_t *cell, const char *wanted) {
    const char *model = bm_field_text(cell, "model");
    size_t length = strlen(wanted);
    return strncmp(model, wanted, length) == 0 && (model[length] == '\0' || model[length] == ' ');
}

static int fits_names(const json_t *cell,
                      const struct bm_name_list *list,
                      int (*fits)(const json_t *cell, const char *wanted)) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (fits(cell, list->names[i])) {
            return 1;
        }
    }
    return list->count == 0;
}

static int fits_batch(const json_t *cell, const struct bm_number_list *list) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (bm_field_whole(cell, "batch") == list->values[i] ||
            bm_field_whole(cell, "requested_batch") == list->values[i]) {
            return 1;
        }
    }
    return list->count == 0;
}

/* What computes nothing measures the harness, and shows when it is named. */
static int is_asked_for(const json_t *cell, const struct bm_options *options) {
    return fits_names(cell, &options->backend, fits_backend) &&
           fits_names(cell, &options->model, fits_model) && fits_batch(cell, &options->batch) &&
           (options->backend.count > 0 || !json_is_true(json_object_get(cell, "computes_nothing")));
}

/* ---- Cells ---- */

static int32_t check_cell(const struct reader *reader, const json_t *cell, struct bm_error *error) {
    for (size_t i = 0; text_fields[i] != NULL; i++) {
        const json_t *value = json_object_get(cell, text_fields[i]);
        int is_needed =
            strcmp(text_fields[i], "device_name") != 0 && strcmp(text_fields[i], "layers") != 0;
        if (json_is_string(value) ? json_string_length(value) > TEXT_MAX
                                  : is_needed || (value != NULL && !json_is_null(value))) {
            return fail_field(reader, text_fields[i], "a text", value, error);
        }
    }
    for (size_t i = 0; number_fields[i] != NULL; i++) {
        const json_t *value = json_object_get(cell, number_fields[i]);
        int is_needed =
            strcmp(number_fields[i], "batch") == 0 || strcmp(number_fields[i], "threads") == 0;
        if (value == NULL ? is_needed : !json_is_integer(value) || json_integer_value(value) < 0) {
            return fail_field(reader, number_fields[i], "a whole number", value, error);
        }
    }
    return BM_STATUS_OK;
}

static int32_t take_status(const struct reader *reader,
                           const json_t *cell,
                           uint32_t *status,
                           struct bm_error *error) {
    const char *name = bm_field_text(cell, "status");
    for (*status = 0; bm_history_statuses[*status] != NULL; (*status)++) {
        if (strcmp(bm_history_statuses[*status], name) == 0) {
            return BM_STATUS_OK;
        }
    }
    return fail_field(reader, "status", "ok, skipped, wrong, ...", json_object_get(cell, "status"),
                      error);
}

/* Nanoseconds of the series asked for; 0 where the cell has none: a figure that is null, and an
 * epoch that was not run. */
static int32_t
take_time(const struct reader *reader, const json_t *cell, double *ns, struct bm_error *error) {
    const char *series = reader->history->options->series;
    const json_t *figures = json_object_get(cell, series);
    int is_epoch = strcmp(series, "epoch") == 0;
    const char *name = is_epoch ? "seconds" : "median_ns";
    const json_t *value = json_object_get(figures, name);
    *ns = 0;
    if (json_is_null(figures) || figures == NULL || json_is_null(value) ||
        (is_epoch && !json_is_true(json_object_get(figures, "measured")))) {
        return BM_STATUS_OK;
    }
    *ns = json_number_value(value) * (is_epoch ? 1e9 : 1);
    if (!json_is_number(value) || !isfinite(*ns) || *ns <= 0 || *ns > NS_MAX) {
        return fail_field(reader, series, "a time above 0", value == NULL ? figures : value, error);
    }
    return BM_STATUS_OK;
}

/* The run's options for this backend, as a list of objects. */
static json_t *settings_of(const struct reader *reader, const char *backend) {
    size_t i;
    json_t *setting;
    json_t *list = json_array();
    json_array_foreach(reader->settings, i, setting) {
        if (strcmp(bm_field_text(setting, "backend"), backend) == 0) {
            (void)json_array_append(list, setting);
        }
    }
    return list;
}

static json_t *identity_of(const struct reader *reader, const json_t *cell) {
    json_t *identity = json_object();
    const char *dataset = bm_field_text(cell, "dataset");
    copy_members(cell, text_fields, identity);
    copy_members(cell, number_fields, identity);
    if (json_object_get(identity, "data_parallel") == NULL) { /* records did not always say */
        (void)json_object_set_new(identity, "data_parallel", json_integer(1));
    }
    if (strcmp(bm_field_text(reader->data, "name"), dataset) == 0) {
        (void)json_object_set(identity, "data", reader->data);
    }
    (void)json_object_set_new(identity, "settings",
                              settings_of(reader, bm_field_text(cell, "backend")));
    return identity;
}

static struct bm_history_series *
find_series(struct reader *reader, const json_t *cell, struct bm_error *error) {
    struct bm_history *history = reader->history;
    struct bm_history_series *all =
        grow(history->series, history->series_count, &history->series_capacity, sizeof *all, error);
    if (all == NULL) {
        return NULL;
    }
    history->series = all;
    int is_new = 0;
    json_t *identity = identity_of(reader, cell);
    json_t *key = json_pack("[i, O]", (int)reader->host, identity);
    uint32_t index = key == NULL ? UINT32_MAX : index_of(history->series_index, key, &is_new);
    json_decref(key);
    if (index == UINT32_MAX) {
        json_decref(identity);
        (void)fail_memory(error);
        return NULL;
    }
    if (is_new) {
        all[index] =
            (struct bm_history_series){.identity = json_incref(identity), .host = reader->host};
        history->series_count++;
    }
    json_decref(identity);
    return &all[index];
}

/* A cell that a run has twice, because it went on with an earlier one, counts as it is last. */
static int32_t add_point(struct bm_history_series *series,
                         const struct bm_history_point *point,
                         struct bm_error *error) {
    uint32_t last = series->point_count - 1;
    if (series->point_count > 0 && series->points[last].run == point->run) {
        series->points[last] = *point;
        return BM_STATUS_OK;
    }
    struct bm_history_point *points =
        grow(series->points, series->point_count, &series->point_capacity, sizeof *points, error);
    if (points == NULL) {
        return BM_STATUS_NO_MEMORY;
    }
    series->points = points;
    series->points[series->point_count++] = *point;
    return BM_STATUS_OK;
}

static int32_t take_cell(struct reader *reader, const json_t *cell, struct bm_error *error) {
    struct bm_history_point point = {.run = reader->run};
    if (reader->run == NO_RUN) {
        return BM_STATUS_OK;
    }
    int32_t status = check_cell(reader, cell, error);
    status = status != BM_STATUS_OK ? status : take_status(reader, cell, &point.status, error);
    if (status == BM_STATUS_OK && point.status == BM_HISTORY_OK) {
        status = take_time(reader, cell, &point.ns, error);
    }
    if (status != BM_STATUS_OK || !is_asked_for(cell, reader->history->options)) {
        return status;
    }
    struct bm_history_series *series = find_series(reader, cell, error);
    if (series == NULL) {
        return BM_STATUS_NO_MEMORY;
    }
    copy_text(bm_field_text(cell, "label"), series->label, sizeof series->label);
    return add_point(series, &point, error);
}

/* ---- Files ---- */

static int32_t read_objects(struct reader *reader, struct bm_error *error) {
    for (;;) {
        json_t *object = NULL;
        int32_t status = bm_record_scan_next(&reader->scan, &object, error);
        if (status != BM_STATUS_OK || object == NULL) {
            return status;
        }
        status = bm_field_is_kind(object, "run") ? take_run(reader, object, error)
                                                 : take_cell(reader, object, error);
        json_decref(object);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
}

static int32_t complain(struct bm_history *history, const struct bm_error *error) {
    history->complaints++;
    history->complain(error->text);
    return BM_STATUS_OK;
}

static int32_t read_file(struct reader *reader, const char *path, struct bm_error *error) {
    int32_t status = bm_record_scan_open(&reader->scan, path, &reader->wanted, error);
    if (status == BM_STATUS_OK) {
        status = read_objects(reader, error);
        bm_record_scan_close(&reader->scan);
    }
    forget_run(reader);
    return status == BM_STATUS_INVALID ? complain(reader->history, error) : status;
}

static int32_t visit(void *context, const char *path, const char *folder, struct bm_error *error) {
    struct reader *reader = context;
    reader->folder = folder;
    return read_file(reader, path, error);
}

static int32_t pass_over(void *context, struct bm_error *error) {
    const struct reader *reader = context;
    return complain(reader->history, error);
}

static int32_t check_folder(const char *folder, struct bm_error *error) {
    struct stat info;
    if (strlen(folder) >= BM_PATH_SIZE) {
        return bm_fail(error, BM_STATUS_INVALID, "%.80s...: expected a shorter path", folder);
    }
    if (stat(folder, &info) != 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%.400s: expected a folder", folder);
    }
    return S_ISDIR(info.st_mode) ? BM_STATUS_OK
                                 : bm_fail(error, BM_STATUS_INVALID,
                                           "%.400s: expected a folder, found a file", folder);
}

/* ---- The whole ---- */

static void list_members(struct reader *reader) {
    static const char *const more[] = {"kind", "label", "status", "requested_batch",
                                       "computes_nothing"};
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        reader->members[count++] = more[i];
    }
    for (size_t i = 0; text_fields[i] != NULL; i++) {
        reader->members[count++] = text_fields[i];
    }
    for (size_t i = 0; number_fields[i] != NULL; i++) {
        reader->members[count++] = number_fields[i];
    }
    reader->members[count] = reader->history->options->series;
    BM_ASSERT(count + 1 < sizeof reader->members / sizeof reader->members[0]);
}

static int32_t make_tables(struct bm_history *history, struct bm_error *error) {
    json_t **const tables[] = {&history->host_index, &history->series_index, &history->run_ids,
                               &history->asked_index};
    int failed = history->hosts == NULL && (history->hosts = json_array()) == NULL;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        failed |= *tables[i] == NULL && (*tables[i] = json_object()) == NULL;
    }
    return failed ? fail_memory(error) : BM_STATUS_OK;
}

int32_t bm_history_read(struct bm_history *history, const char *folder, struct bm_error *error) {
    static const struct bm_record_visitor visitor = {.record = visit, .unreadable = pass_over};
    struct reader reader = {.history = history, .run = NO_RUN, .scan = {.fd = -1}};
    int32_t status = make_tables(history, error);
    list_members(&reader);
    reader.wanted = (struct bm_record_wanted){
        .thin = "cell", .members = reader.members, .inner = inner_fields, .whole = "run"};
    status = status != BM_STATUS_OK ? status : check_folder(folder, error);
    status =
        status != BM_STATUS_OK ? status : bm_record_folder_walk(folder, &visitor, &reader, error);
    forget_run(&reader);
    bm_record_scan_free(&reader.scan);
    return status;
}

int32_t bm_history_add(struct bm_history *history,
                       const char *path,
                       uint64_t line,
                       const json_t *objects,
                       struct bm_error *error) {
    struct reader reader = {
        .history = history, .run = NO_RUN, .folder = "", .scan = {.fd = -1, .path = path}};
    size_t index;
    const json_t *object;
    int32_t status = make_tables(history, error);
    json_array_foreach(objects, index, object) {
        reader.scan.line = line + index;
        if (status == BM_STATUS_OK && bm_field_is_kind(object, "run")) {
            status = take_run(&reader, object, error);
        } else if (status == BM_STATUS_OK && bm_field_is_kind(object, "cell")) {
            status = take_cell(&reader, object, error);
        }
    }
    forget_run(&reader);
    return status;
}

void bm_history_deinit(struct bm_history *history) {
    for (uint32_t i = 0; i < history->series_count; i++) {
        json_decref(history->series[i].identity);
        free(history->series[i].points);
    }
    free(history->series);
    free(history->runs);
    json_decref(history->hosts);
    json_decref(history->host_index);
    json_decref(history->series_index);
    json_decref(history->run_ids);
    json_decref(history->asked_index);
    memset(history, 0, sizeof *history);
}
