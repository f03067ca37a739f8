#include "stored_record.h"

#include "field.h"
#include "record.h"
#include "stats.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where something is wrong: the beginning of the error's text. */
struct place {
    const char *path;
    uint64_t line;
};

static int32_t fail_at(const struct place *place, struct bm_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int32_t fail_at(const struct place *place, struct bm_error *error, const char *format, ...) {
    char text[384];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return bm_fail(error, BM_STATUS_INVALID, "%s:%" PRIu64 ": %s", place->path, place->line, text);
}

/* ---- Fields ---- */

static int32_t check_text(const struct place *place,
                          const json_t *object,
                          const char *key,
                          struct bm_error *error) {
    return json_is_string(json_object_get(object, key))
               ? BM_STATUS_OK
               : fail_at(place, error, "cell: expected a text %s, found none", key);
}

/* Records did not always have every field: one that is not there is as good as `low`. */
static int32_t check_whole(const struct place *place,
                           const json_t *object,
                           const char *key,
                           json_int_t low,
                           json_int_t high,
                           struct bm_error *error) {
    const json_t *field = json_object_get(object, key);
    json_int_t number = json_integer_value(field);
    if (field == NULL || (json_is_integer(field) && number >= low && number <= high)) {
        return BM_STATUS_OK;
    }
    if (!json_is_integer(field)) {
        return fail_at(place, error, "cell: expected a whole number %s, found none", key);
    }
    return fail_at(place, error,
                   "cell: expected %s from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
                   ", found %" JSON_INTEGER_FORMAT,
                   key, low, high, number);
}

static int32_t
check_status(const struct place *place, const json_t *object, struct bm_error *error) {
    static const char *const statuses[] = {"ok",      "skipped", "unsupported", "wrong",
                                           "crashed", "timeout", "error"};
    const char *status = bm_field_text(object, "status");
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (strcmp(status, statuses[i]) == 0) {
            return BM_STATUS_OK;
        }
    }
    return fail_at(place, error, "cell: expected a status like ok or wrong, found \"%.40s\"",
                   status);
}

static int32_t
check_fields(const struct place *place, const json_t *object, struct bm_error *error) {
    static const char *const texts[] = {"backend", "model", "dataset", "optimizer", "precision"};
    int32_t status = check_status(place, object, error);
    for (size_t i = 0; status == BM_STATUS_OK && i < sizeof texts / sizeof texts[0]; i++) {
        status = check_text(place, object, texts[i], error);
    }
    status = status ? status : check_whole(place, object, "device", 0, UINT32_MAX, error);
    status = status ? status : check_whole(place, object, "batch", 1, UINT32_MAX, error);
    status = status ? status : check_whole(place, object, "threads", 1, UINT16_MAX, error);
    status = status ? status : check_whole(place, object, "micro_batch", 0, UINT32_MAX, error);
    status = status ? status : check_whole(place, object, "data_parallel", 1, UINT16_MAX, error);
    if (status == BM_STATUS_OK && json_object_get(object, "batch") == NULL) {
        status = fail_at(place, error, "cell: expected a batch, found none");
    }
    return status;
}

/* ---- Times ---- */

/* Numbers of an array, at most BM_STORED_SAMPLES_MAX, each at least `least`. */
static int32_t read_numbers(const struct place *place,
                            const json_t *figures,
                            const char *key,
                            double least,
                            double *numbers,
                            uint32_t *count,
                            struct bm_error *error) {
    const json_t *list = json_object_get(figures, key);
    size_t index;
    const json_t *item;
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > BM_STORED_SAMPLES_MAX) {
        return fail_at(place, error, "%s: expected a list of 1 to %u numbers, found %zu", key,
                       BM_STORED_SAMPLES_MAX, json_array_size(list));
    }
    json_array_foreach(list, index, item) {
        numbers[index] = json_number_value(item);
        if (!json_is_number(item) || !(numbers[index] >= least)) {
            return fail_at(place, error, "%s: expected numbers from %g on, found %g in place %zu",
                           key, least, numbers[index], index + 1);
        }
    }
    *count = (uint32_t)json_array_size(list);
    return BM_STATUS_OK;
}

/* A thousandth of a nanosecond is less than any clock has seen, and keeps logarithms finite. */
#define LEAST_NS 1e-3

static int32_t read_rounds(const struct place *place,
                           const json_t *figures,
                           double *samples,
                           uint64_t *round_counts,
                           uint32_t *rounds,
                           struct bm_error *error) {
    double counts[BM_STORED_SAMPLES_MAX];
    uint32_t sample_count = 0;
    double sum = 0;
    int is_whole = 1;
    int32_t status =
        read_numbers(place, figures, "samples_ns", LEAST_NS, samples, &sample_count, error);
    if (status == BM_STATUS_OK) {
        status = read_numbers(place, figures, "round_counts", 0, counts, rounds, error);
    }
    for (uint32_t i = 0; status == BM_STATUS_OK && i < *rounds; i++) {
        round_counts[i] = counts[i] <= sample_count ? (uint64_t)counts[i] : 0;
        sum += counts[i];
        is_whole &= counts[i] == floor(counts[i]);
    }
    if (status == BM_STATUS_OK && (sum != sample_count || !is_whole)) {
        return fail_at(place, error,
                       "round_counts: expected whole numbers with a sum of %u samples, found %.9g",
                       sample_count, sum);
    }
    return status;
}

static int32_t read_times(const struct place *place,
                          const char *series,
                          struct bm_stored_cell *cell,
                          struct bm_error *error) {
    double samples[BM_STORED_SAMPLES_MAX];
    double scratch[BM_STORED_SAMPLES_MAX];
    double medians[BM_STORED_SAMPLES_MAX];
    uint64_t counts[BM_STORED_SAMPLES_MAX];
    uint32_t rounds = 0;
    const json_t *figures = json_object_get(cell->object, series);
    if (!bm_field_has_status(cell->object, "ok") || figures == NULL || json_is_null(figures)) {
        return BM_STATUS_OK;
    }
    int32_t status = read_rounds(place, figures, samples, counts, &rounds, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    cell->round_count = bm_stats_round_medians(samples, counts, rounds, medians, scratch);
    cell->median_ns = bm_stats_quantile(medians, cell->round_count, .5, scratch);
    cell->log_ns = malloc(cell->round_count * sizeof *cell->log_ns);
    if (cell->log_ns == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory", place->path);
    }
    for (uint32_t i = 0; i < cell->round_count; i++) {
        cell->log_ns[i] = log(medians[i]);
    }
    return BM_STATUS_OK;
}

/* ---- Cells ---- */

/* Records did not always say. */
static json_int_t whole_or(const json_t *object, const char *key, json_int_t unsaid) {
    const json_t *field = json_object_get(object, key);
    return field == NULL ? unsaid : json_integer_value(field);
}

static char *make_key(const json_t *object) {
    static const char *const texts[] = {"backend", "model",     "layers",
                                        "dataset", "optimizer", "precision"};
    char *key = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&key, &size);
    if (stream == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        (void)fprintf(stream, "%s\n", bm_field_text(object, texts[i]));
    }
    (void)fprintf(stream, "%" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT,
                  whole_or(object, "device", 0), whole_or(object, "batch", 0),
                  whole_or(object, "threads", 1));
    (void)fprintf(stream, " %" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT,
                  whole_or(object, "micro_batch", 0), whole_or(object, "data_parallel", 1));
    return fclose(stream) == 0 ? key : NULL;
}

static int32_t check_new(const struct place *place,
                         const struct bm_stored_record *record,
                         const struct bm_stored_cell *cell,
                         struct bm_error *error) {
    for (uint32_t i = 0; i < record->cell_count; i++) {
        const struct bm_stored_cell *other = &record->cells[i];
        if (other->seed == cell->seed && strcmp(other->key, cell->key) == 0) {
            return fail_at(place, error,
                           "cell: expected another one than in line %" PRIu64
                           ", found the same: %.60s, batch %" JSON_INTEGER_FORMAT,
                           other->line, bm_field_text(cell->object, "backend"),
                           whole_or(cell->object, "batch", 0));
        }
    }
    return BM_STATUS_OK;
}

static int32_t add_cell(const struct place *place,
                        const json_t *object,
                        const char *series,
                        struct bm_stored_record *record,
                        struct bm_error *error) {
    int32_t status = check_fields(place, object, error);
    if (status != BM_STATUS_OK || json_is_true(json_object_get(object, "computes_nothing"))) {
        return status;
    }
    struct bm_stored_cell cell = {
        .object = object,
        .line = place->line,
        .key = make_key(object),
        .seed = whole_or(object, "seed", 1),
    };
    status = cell.key == NULL ? bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory", place->path)
                              : check_new(place, record, &cell, error);
    status = status ? status : read_times(place, series, &cell, error);
    record->cells[record->cell_count++] = cell; /* freed with the others */
    return status;
}

static int32_t check_run(const struct bm_stored_record *record, struct bm_error *error) {
    const struct place place = {record->path, 1};
    const json_t *run = json_array_get(record->objects, 0);
    const char *command = bm_field_text(run, "command_name");
    if (run == NULL) {
        return fail_at(&place, error, "expected a record of `batchmark run`, found nothing");
    }
    if (!bm_field_is_kind(run, "run")) {
        return fail_at(&place, error,
                       "expected the `run` object of a record, found one of kind \"%.40s\"",
                       bm_field_text(run, "kind"));
    }
    if (json_integer_value(json_object_get(run, "schema")) != BM_RECORD_SCHEMA) {
        return fail_at(&place, error, "expected schema %d, found %" JSON_INTEGER_FORMAT,
                       BM_RECORD_SCHEMA, json_integer_value(json_object_get(run, "schema")));
    }
    if (command[0] != '\0' && strcmp(command, "run") != 0) {
        return fail_at(&place, error,
                       "expected a record of `batchmark run`, found one of `batchmark %.40s`",
                       command);
    }
    return BM_STATUS_OK;
}

/* The objects of a record are its lines, whole and none empty: their places are line numbers. */
static int32_t
read_cells(const char *series, struct bm_stored_record *record, struct bm_error *error) {
    size_t index;
    const json_t *object;
    int32_t status = BM_STATUS_OK;
    record->cells = calloc(json_array_size(record->objects), sizeof *record->cells);
    if (record->cells == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory", record->path);
    }
    json_array_foreach(record->objects, index, object) {
        const struct place place = {record->path, index + 1};
        if (status == BM_STATUS_OK && bm_field_is_kind(object, "cell")) {
            status = add_cell(&place, object, series, record, error);
        }
        record->is_finished |= bm_field_is_kind(object, "end") != 0;
    }
    return status;
}

int32_t bm_stored_open(const char *path,
                       const char *series,
                       struct bm_stored_record *record,
                       struct bm_error *error) {
    uint32_t torn = 0;
    const char *slash = strrchr(path, '/');
    memset(record, 0, sizeof *record);
    record->path = path;
    record->name = slash == NULL ? path : slash + 1;
    int32_t status = bm_record_read(path, &record->objects, &torn, error);
    status = status ? status : check_run(record, error);
    if (status == BM_STATUS_OK) {
        record->run = json_array_get(record->objects, 0);
        status = read_cells(series, record, error);
    }
    if (status != BM_STATUS_OK) {
        bm_stored_close(record);
    }
    return status;
}

void bm_stored_close(struct bm_stored_record *record) {
    for (uint32_t i = 0; i < record->cell_count; i++) {
        free(record->cells[i].key);
        free(record->cells[i].log_ns);
    }
    free(record->cells);
    json_decref(record->objects);
    memset(record, 0, sizeof *record);
}

void bm_stored_name(const json_t *cell, char *name, uint32_t capacity) {
    json_int_t threads = whole_or(cell, "threads", 1);
    json_int_t micro_batch = whole_or(cell, "micro_batch", 0);
    json_int_t seed = whole_or(cell, "seed", 1);
    const char *model = bm_field_text(cell, "model");
    int is_custom = strncmp(model, "custom", 6) == 0;
    int used =
        snprintf(name, capacity,
                 "%s%s%.100s%s, %s, %s, batch %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
                 " thread%s, %s",
                 model, is_custom ? " (" : "", is_custom ? bm_field_text(cell, "layers") : "",
                 is_custom ? ")" : "", bm_field_text(cell, "dataset"),
                 bm_field_text(cell, "optimizer"), whole_or(cell, "batch", 0), threads,
                 threads == 1 ? "" : "s", bm_field_text(cell, "precision"));
    if (micro_batch > 0 && used >= 0 && (uint32_t)used < capacity) {
        used += snprintf(name + used, capacity - (uint32_t)used,
                         ", slices of %" JSON_INTEGER_FORMAT, micro_batch);
    }
    if (seed != 1 && used >= 0 && (uint32_t)used < capacity) {
        (void)snprintf(name + used, capacity - (uint32_t)used, ", seed %" JSON_INTEGER_FORMAT,
                       seed);
    }
}
