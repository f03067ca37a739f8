/* `batchmark report`: records of any kind and of any number of machines as tables, or as one page.
 */
#include "command.h"
#include "error.h"
#include "interrupt.h"
#include "place.h"
#include "printable.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a record holds, or the name of a file, may be part of the text. */
static void put_printable(const char *text) {
    struct bm_error shown;
    (void)snprintf(shown.text, sizeof shown.text, "%s", text);
    bm_printable(shown.text, "");
    (void)fputs(shown.text, stderr);
}

static int complain(const char *text, int code) {
    (void)fputs("batchmark report: ", stderr);
    put_printable(text);
    (void)fputc('\n', stderr);
    return code;
}

/* A signal has its own code; what could not be written another than what could not be read. */
static int fail(const struct bm_error *error) {
    int signal = bm_interrupt_signal();
    if (signal != 0) {
        return complain("interrupted; nothing was written", 128 + signal);
    }
    return complain(error->text, error->code == BM_STATUS_INTERNAL ? BM_EXIT_WRITE : BM_EXIT_USAGE);
}

static void print_help(void) {
    (void)fputs(
        "usage: batchmark report FILES... [-o PAGE.html] [OPTIONS]\n\n"
        "Shows records of `run`, `train`, `compare` and `history` together, of any number of "
        "machines. A folder is all\n"
        "records (*.jsonl) in and below it. With -o they become one page that needs no network and "
        "no other file;\n"
        "without it their tables are printed, machines side by side. Of a cell that a machine has "
        "more than once the\n"
        "newest that was tried is shown, and the trend of all.\n\n",
        stdout);
    bm_options_help(BM_COMMAND_REPORT, stdout);
    (void)fputs(
        "\nexit codes: 0; 2 a file that is no record or a damaged one; 5 nothing to show in "
        "them; 8 a write failed,\nand an older page is left as it was\n",
        stdout);
}

/* ---- Output ---- */

static int32_t
check_place(const struct bm_report *report, const char *path, struct bm_error *error) {
    for (uint32_t i = 0; i < report->run_count; i++) {
        if (bm_place_same_file(report->runs[i].path, path)) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "%s: expected another file than the records that are read", path);
        }
    }
    return BM_STATUS_OK;
}

static int32_t write_page(const struct bm_report *report,
                          const json_t *data,
                          const char *path,
                          struct bm_error *error) {
    uint64_t bytes = 0;
    int32_t status = check_place(report, path, error);
    status = status ? status : bm_report_write_page(data, path, &bytes, error);
    if (status == BM_STATUS_OK) {
        (void)printf("page: %s (%.2f MB, %u record%s)\n", path, 1e-6 * (double)bytes,
                     report->run_count, report->run_count == 1 ? "" : "s");
    }
    return status;
}

static int32_t write_tables(const struct bm_report *report,
                            const char *format,
                            const char *path,
                            struct bm_error *error) {
    int32_t status = check_place(report, path, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    FILE *stream = fopen(path, "we");
    if (stream == NULL) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", path);
    }
    status = bm_report_print(report, format, stream, path, error);
    if (fclose(stream) != 0 && status == BM_STATUS_OK) {
        status = bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", path);
    }
    return status;
}

/* One that fails does not keep the others from being written. */
static int32_t
write_exports(const struct bm_report *report, const json_t *data, struct bm_error *error) {
    const struct bm_path_list *list = &report->options->export_to;
    int32_t failed = BM_STATUS_OK;
    for (uint32_t i = 0; i < list->count; i++) {
        char format[BM_PATH_SIZE];
        (void)snprintf(format, sizeof format, "%s", list->paths[i]);
        char *path = strchr(format, '=');
        *path++ = '\0';
        int32_t status = strcmp(format, "html") == 0 ? write_page(report, data, path, error)
                                                     : write_tables(report, format, path, error);
        failed = status == BM_STATUS_OK ? failed : status;
    }
    return failed;
}

static int write_all(const struct bm_report *report, const json_t *data, struct bm_error *error) {
    const struct bm_options *options = report->options;
    int32_t status = options->output[0] != '\0' ? write_page(report, data, options->output, error)
                                                : bm_report_print(report, options->format, stdout,
                                                                  "standard output", error);
    int code = status == BM_STATUS_OK ? BM_EXIT_OK : fail(error);
    status = write_exports(report, data, error);
    return status == BM_STATUS_OK ? code : fail(error);
}

/* ---- Input ---- */

static int show(const struct bm_report *report, struct bm_error *error) {
    json_t *data = bm_report_data(report, error);
    if (data == NULL) {
        return fail(error);
    }
    int code = bm_report_has_figures(data)
                   ? write_all(report, data, error)
                   : complain("expected cells, trainings, verdicts, trends or landscapes in these "
                              "records, found none",
                              BM_EXIT_NOTHING);
    json_decref(data);
    return code;
}

static void tell_left_out(const struct bm_report *report) {
    size_t i;
    const json_t *name;
    if (json_array_size(report->left_out) == 0) {
        return;
    }
    (void)fputs("batchmark report: left out, no records of this program:", stderr);
    json_array_foreach(report->left_out, i, name) {
        (void)fputs(i == 0 ? " " : ", ", stderr);
        put_printable(json_string_value(name));
    }
    (void)fputc('\n', stderr);
}

static int
read_and_show(const struct bm_options *options, const char *const *files, uint32_t count) {
    struct bm_report report = {.options = options};
    struct bm_error error = {.text = ""};
    int32_t status = BM_STATUS_OK;
    bm_interrupt_catch();
    for (uint32_t i = 0; status == BM_STATUS_OK && i < count; i++) {
        status = bm_report_read(&report, files[i], &error);
    }
    tell_left_out(&report);
    int code = status == BM_STATUS_OK ? show(&report, &error) : fail(&error);
    bm_report_deinit(&report);
    return code;
}

int bm_command_report(int argc, char **argv) {
    struct bm_options *options = malloc(sizeof *options);
    const char **files = calloc((size_t)argc, sizeof *files);
    uint32_t count = 0;
    struct bm_error error = {.text = ""};
    int code = BM_EXIT_OK;
    if (options == NULL || files == NULL) {
        code = complain("no memory", BM_EXIT_USAGE);
    } else if (bm_options_parse(BM_COMMAND_REPORT, argc, argv, options, files, (uint32_t)argc,
                                &count, &error) != BM_STATUS_OK) {
        code = complain(error.text, BM_EXIT_USAGE);
    } else if (options->help) {
        print_help();
    } else if (count == 0) {
        code = complain("expected records or folders of them, found nothing (see --help)",
                        BM_EXIT_USAGE);
    } else {
        code = read_and_show(options, files, count);
    }
    free(options);
    free(files);
    return code;
}
