#include "output.h"

#include "comparison_ci.h"
#include "comparison_table.h"
#include "error.h"
#include "field.h"
#include "gbench_format.h"
#include "history_table.h"
#include "landscape_table.h"
#include "place.h"
#include "printable.h"
#include "report.h"
#include "table.h"
#include "train_table.h"

#include <stdlib.h>
#include <string.h>

static int print_lines(const json_t *objects, FILE *stream) {
    size_t index;
    const json_t *object;
    json_array_foreach(objects, index, object) {
        if (json_dumpf(object, stream, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 ||
            fputc('\n', stream) == EOF) {
            return -1;
        }
    }
    return 0;
}

static int is_of(const json_t *objects, const char *command) {
    return strcmp(bm_field_text(json_array_get(objects, 0), "command_name"), command) == 0;
}

static int is_comparison(const json_t *objects) {
    size_t index;
    const json_t *object;
    json_array_foreach(objects, index, object) {
        if (bm_field_is_kind(object, "comparison")) {
            return 1;
        }
    }
    return 0;
}

static int32_t print_comparison(const json_t *objects,
                                const char *format,
                                uint32_t verbose,
                                FILE *stream,
                                struct bm_error *error) {
    struct bm_comparison comparison = {0};
    int32_t status = bm_comparison_read(objects, &comparison, error);
    if (status == BM_STATUS_OK && strcmp(format, "junit") == 0) {
        bm_comparison_ci_junit(&comparison, stream);
    } else if (status == BM_STATUS_OK && strcmp(format, "github") == 0) {
        bm_comparison_ci_github(&comparison, stream);
    } else if (status == BM_STATUS_OK) {
        bm_comparison_table_print(&comparison, (uint32_t)bm_table_format(format), verbose, stream);
    }
    bm_comparison_free(&comparison);
    return status;
}

static int is_history(const json_t *objects) {
    return bm_field_is_kind(json_array_get(objects, 0), "history");
}

static int32_t print_tables(const json_t *objects,
                            const char *format,
                            uint32_t verbose,
                            FILE *stream,
                            struct bm_error *error) {
    if (is_comparison(objects)) {
        return print_comparison(objects, format, verbose, stream, error);
    }
    if (is_history(objects)) {
        bm_history_table_print(objects, (uint32_t)bm_table_format(format), stream);
    } else if (is_of(objects, "train")) {
        bm_train_table_print(objects, (uint32_t)bm_table_format(format), verbose, stream);
    } else if (is_of(objects, "landscape")) {
        bm_landscape_table_print(objects, (uint32_t)bm_table_format(format), verbose, stream);
    } else {
        bm_table_print(objects, (uint32_t)bm_table_format(format), verbose, stream);
    }
    return BM_STATUS_OK;
}

/* What records and plugins say of themselves stands in tables: a terminal obeys none of it. */
static int32_t print_printable(const json_t *objects,
                               const char *format,
                               uint32_t verbose,
                               FILE *stream,
                               struct bm_error *error) {
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    int32_t status = memory == NULL ? bm_fail(error, BM_STATUS_NO_MEMORY, "output: no memory")
                                    : print_tables(objects, format, verbose, memory, error);
    if (memory != NULL && fclose(memory) != 0 && status == BM_STATUS_OK) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "output: no memory");
    }
    if (status == BM_STATUS_OK) {
        bm_printable(text, "\n");
        (void)fputs(text, stream); /* the caller looks for errors */
    }
    free(text);
    return status;
}

int32_t bm_output_print(const json_t *objects,
                        const char *format,
                        uint32_t verbose,
                        FILE *stream,
                        const char *what,
                        struct bm_error *error) {
    int failed = 0;
    if (strcmp(format, "jsonl") == 0) {
        failed = print_lines(objects, stream) != 0;
    } else if (strcmp(format, "gbench") == 0) {
        bm_gbench_format_print(objects, stream);
    } else {
        int32_t status = print_printable(objects, format, verbose, stream, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    failed |= fflush(stream) != 0 || ferror(stream);
    return failed ? bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", what)
                  : BM_STATUS_OK;
}

static int32_t write_file(const json_t *objects,
                          const char *format,
                          uint32_t verbose,
                          const char *path,
                          struct bm_error *error) {
    FILE *stream = fopen(path, "we");
    if (stream == NULL) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", path);
    }
    int32_t status = bm_output_print(objects, format, verbose, stream, path, error);
    if (fclose(stream) != 0 && status == BM_STATUS_OK) {
        status = bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", path);
    }
    return status;
}

int32_t
bm_output_check(const struct bm_options *options, const char *file, struct bm_error *error) {
    char partial[BM_PATH_SIZE + 16];
    (void)snprintf(partial, sizeof partial, "%s.partial", file);
    for (uint32_t i = 0; file[0] != '\0' && i < options->export_to.count; i++) {
        const char *text = options->export_to.paths[i];
        const char *path = strchr(text, '=') + 1;
        if (bm_place_same_file(path, file) || bm_place_same_file(path, partial)) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "--export %.300s: expected another file than the record and those that "
                           "are read",
                           text);
        }
    }
    return BM_STATUS_OK;
}

int32_t
bm_output_export(const json_t *objects, const struct bm_options *options, struct bm_error *error) {
    int32_t failed = BM_STATUS_OK;
    for (uint32_t i = 0; i < options->export_to.count; i++) {
        char format[BM_PATH_SIZE];
        (void)snprintf(format, sizeof format, "%s", options->export_to.paths[i]);
        char *path = strchr(format, '=');
        *path++ = '\0';
        int32_t status = strcmp(format, "html") == 0
                             ? bm_report_export(objects, options, path, error)
                             : write_file(objects, format, options->verbose, path, error);
        failed = status == BM_STATUS_OK ? failed : status;
    }
    return failed;
}
