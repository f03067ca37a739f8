/* Records, and folders of them, into the runs of a report. */
#include "report_parts.h"

#include "error.h"
#include "field.h"
#include "interrupt.h"
#include "paired.h"
#include "record_folder.h"
#include "record_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a file is, by the first of its objects. */
static const struct {
    const char *kind;
    const char *command; /* NULL: the object says */
} beginnings[] = {
    {"run", NULL},
    {"comparison", "compare"},
    {"compare", "compare"},
    {"history", "history"},
};

static const char *const commands[] = {"run", "train", "compare", "history", "landscape"};

/* ---- Runs ---- */

/* Whether a text is met for the first time; a run, or a file, counts once. */
static int is_new(struct bm_report *report, const char *what, const char *text) {
    char key[BM_PATH_SIZE + 16];
    (void)snprintf(key, sizeof key, "%s %s", what, text);
    if (report->ids == NULL) {
        report->ids = json_object();
    }
    if (json_object_get(report->ids, key) != NULL) {
        return 0;
    }
    (void)json_object_set_new_nocheck(report->ids, key, json_true());
    return 1;
}

static int is_new_run(struct bm_report *report, const json_t *object) {
    const char *id = bm_field_text(object, "id");
    return !bm_field_is_kind(object, "run") || id[0] == '\0' || is_new(report, "run", id);
}

static const char *command_of(const json_t *object) {
    const char *name = bm_field_text(object, "command_name");
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (bm_field_is_kind(object, beginnings[i].kind) && beginnings[i].command != NULL) {
            return beginnings[i].command;
        }
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i]) == 0) {
            return commands[i];
        }
    }
    return commands[0];
}

static struct bm_report_run *add_run(struct bm_report *report,
                                     const char *path,
                                     uint64_t line,
                                     const json_t *first,
                                     struct bm_error *error) {
    if (report->run_count == report->run_capacity) {
        uint32_t capacity = report->run_capacity == 0 ? 16 : 2 * report->run_capacity;
        struct bm_report_run *grown = realloc(report->runs, capacity * sizeof *grown);
        if (grown == NULL) {
            (void)bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
            return NULL;
        }
        report->runs = grown;
        report->run_capacity = capacity;
    }
    struct bm_report_run run = {.path = strdup(path), .line = line, .command = command_of(first)};
    if (run.path == NULL) {
        (void)bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
        return NULL;
    }
    const char *slash = strrchr(run.path, '/');
    run.file = slash == NULL ? run.path : slash + 1;
    report->runs[report->run_count] = run;
    return &report->runs[report->run_count++];
}

/* ---- Objects ---- */

/* Other programs write `run` objects too, without the version of this one. */
static int begins(const json_t *object) {
    if (bm_field_is_kind(object, "run") && json_object_get(object, "version") == NULL) {
        return 0;
    }
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (bm_field_is_kind(object, beginnings[i].kind)) {
            return 1;
        }
    }
    return 0;
}

/* What is read of a file: the run that objects go to, NULL where they are left out. */
struct reader {
    struct bm_report *report;
    const char *path;
    uint64_t line;
    uint32_t first_run; /* of this file */
    uint32_t has_begun;
    struct bm_report_run *run;
};

static int32_t begin(struct reader *reader, const json_t *object, struct bm_error *error) {
    if (!reader->has_begun && !begins(object)) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "%s:%llu: expected a record of batchmark, which begins with a run and its "
                       "version, found an object of kind \"%.40s\"",
                       reader->path, (unsigned long long)reader->line,
                       bm_field_text(object, "kind"));
    }
    reader->has_begun = 1;
    reader->run = NULL;
    if (!is_new_run(reader->report, object)) {
        return BM_STATUS_OK;
    }
    reader->run = add_run(reader->report, reader->path, reader->line, object, error);
    if (reader->run == NULL) {
        return BM_STATUS_NO_MEMORY;
    }
    reader->run->objects = json_array();
    reader->run->run = bm_field_is_kind(object, "run") ? object : NULL;
    return BM_STATUS_OK;
}

static int32_t take(struct reader *reader, json_t *object, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    if (!reader->has_begun || bm_field_is_kind(object, "run")) {
        status = begin(reader, object, error);
    }
    status = status ? status : bm_report_check(reader->path, reader->line, object, error);
    if (status != BM_STATUS_OK || reader->run == NULL) {
        return status;
    }
    if (bm_field_is_kind(object, "end")) {
        reader->run->end = object;
    }
    return json_array_append(reader->run->objects, object) == 0
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
}

/* ---- Files ---- */

static int32_t
read_objects(struct bm_record_scan *scan, struct reader *reader, struct bm_error *error) {
    for (;;) {
        json_t *object = NULL;
        int32_t status = bm_record_scan_next(scan, &object, error);
        if (status != BM_STATUS_OK || object == NULL) {
            return status;
        }
        reader->line = scan->line;
        status = take(reader, object, error);
        bm_paired_reduce(object); /* samples are most of a record */
        json_decref(object);
        if (status == BM_STATUS_OK && bm_interrupt_signal() != 0) {
            status = bm_fail(error, BM_STATUS_INTERNAL, "interrupted");
        }
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
}

static int32_t
finish(const struct bm_record_scan *scan, struct reader *reader, struct bm_error *error) {
    struct bm_report *report = reader->report;
    int is_torn = bm_record_scan_is_torn(scan);
    if (!reader->has_begun) {
        return bm_fail(error, BM_STATUS_INVALID, "%s:1: expected a record of batchmark, found %s",
                       reader->path, is_torn ? "a line without an end" : "nothing");
    }
    if (report->run_count > reader->first_run) {
        report->runs[report->run_count - 1].torn = is_torn != 0;
    }
    report->file_count++;
    return BM_STATUS_OK;
}

/* The file itself, or the partial one where a run is not finished. */
static int32_t find_file(const char *path, char *name, size_t capacity, struct stat *info) {
    (void)snprintf(name, capacity, "%s", path);
    if (stat(name, info) == 0) {
        return 1;
    }
    int length = snprintf(name, capacity, "%s.partial", path);
    if (length > 0 && (size_t)length < capacity && stat(name, info) == 0) {
        return 1;
    }
    (void)snprintf(name, capacity, "%s", path);
    return 0;
}

/* UNSUPPORTED, besides what bm_report_read returns: it never was a record of this program. */
static int32_t read_file(struct bm_report *report,
                         const char *path,
                         const struct stat *info,
                         struct bm_error *error) {
    char identity[64];
    struct reader reader = {.report = report, .path = path, .first_run = report->run_count};
    struct bm_record_scan scan = {.fd = -1};
    (void)snprintf(identity, sizeof identity, "%llu:%llu", (unsigned long long)info->st_dev,
                   (unsigned long long)info->st_ino);
    if (S_ISREG(info->st_mode) && !is_new(report, "file", identity)) {
        return BM_STATUS_OK;
    }
    int32_t status = bm_record_scan_open(&scan, path, NULL, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = read_objects(&scan, &reader, error);
    status = status ? status : finish(&scan, &reader, error);
    bm_record_scan_close(&scan);
    bm_record_scan_free(&scan);
    return status;
}

/* ---- Folders ---- */

static void leave_out(struct bm_report *report, const char *path) {
    const char *slash = strrchr(path, '/');
    if (report->left_out == NULL) {
        report->left_out = json_array();
    }
    (void)json_array_append_new(report->left_out,
                                bm_field_string(slash == NULL ? path : slash + 1));
}

static int32_t visit(void *context, const char *path, const char *folder, struct bm_error *error) {
    struct bm_report *report = context;
    struct stat info;
    (void)folder;
    if (stat(path, &info) != 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read it", path);
    }
    int32_t status = read_file(report, path, &info, error);
    if (status == BM_STATUS_UNSUPPORTED) {
        leave_out(report, path);
        status = BM_STATUS_OK;
    }
    return status;
}

static int32_t refuse(void *context, struct bm_error *error) {
    (void)context;
    return error->code;
}

static int32_t read_folder(struct bm_report *report, const char *path, struct bm_error *error) {
    static const struct bm_record_visitor visitor = {.record = visit, .unreadable = refuse};
    uint32_t before = report->file_count;
    int32_t status = bm_record_folder_walk(path, &visitor, report, error);
    if (status == BM_STATUS_OK && report->file_count == before) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%.400s: expected records (*.jsonl) in this folder, found none", path);
    }
    return status;
}

int32_t bm_report_read(struct bm_report *report, const char *path, struct bm_error *error) {
    char name[BM_PATH_SIZE];
    struct stat info;
    if (strlen(path) + strlen(".partial") >= sizeof name) {
        return bm_fail(error, BM_STATUS_INVALID, "%.80s...: expected a shorter path", path);
    }
    if (!find_file(path, name, sizeof name, &info)) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%.400s: cannot read it", path);
    }
    if (S_ISDIR(info.st_mode)) {
        return read_folder(report, name, error);
    }
    int32_t status = read_file(report, name, &info, error);
    return status == BM_STATUS_UNSUPPORTED ? (error->code = BM_STATUS_INVALID) : status;
}

/* ---- Objects of this process ---- */

int32_t bm_report_add(struct bm_report *report,
                      const char *file,
                      const json_t *objects,
                      struct bm_error *error) {
    struct reader reader = {.report = report, .path = file, .first_run = report->run_count};
    size_t index;
    json_t *object;
    json_array_foreach(objects, index, object) {
        reader.line = index + 1;
        int32_t status = take(&reader, object, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    return BM_STATUS_OK;
}

void bm_report_deinit(struct bm_report *report) {
    for (uint32_t i = 0; i < report->run_count; i++) {
        free(report->runs[i].path);
        json_decref(report->runs[i].objects);
    }
    free(report->runs);
    json_decref(report->ids);
    json_decref(report->left_out);
    memset(report, 0, sizeof *report);
}
