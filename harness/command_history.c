/* `batchmark history`: how the times of every cell went over stored runs. */
#include "change_points.h"
#include "command.h"
#include "error.h"
#include "field.h"
#include "history_trend.h"
#include "output.h"
#include "printable.h"
#include "record_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int complain(const char *text) {
    (void)fprintf(stderr, "batchmark history: %s\n", text);
    return BM_EXIT_USAGE;
}

/* What a record holds may be part of the text. */
static void print_complaint(const char *text) {
    struct bm_error shown;
    (void)snprintf(shown.text, sizeof shown.text, "%s", text);
    bm_printable(shown.text, "");
    (void)complain(shown.text);
}

static void print_help(void) {
    (void)printf(
        "usage: batchmark history DIR [OPTIONS]\n\n"
        "The trend of every cell over the records of `batchmark run` in and below DIR, ordered by "
        "when the runs\nwere started. Runs of another machine or build, or with other settings, "
        "are "
        "other trends. A change is\na new level of at least %u runs, told from noise with p at "
        "most "
        "%g for the whole trend; single odd\nruns are none. It is shown with the day of the first "
        "run at the new level, the change with its 95 %%\ninterval, and the revisions between "
        "which it came: the last run before it and the first one after it.\n\n",
        BM_CHANGE_SIDE_MIN, BM_CHANGE_P_MAX);
    bm_options_help(BM_COMMAND_HISTORY, stdout);
    (void)printf("\nexit codes: 0; 1 with --strict: a cell is slower since its last change; 2 no "
                 "such folder, or a record\nthat cannot be read; 5 no record has a time; 8 a write "
                 "failed\n");
}

static void tell_left_out(const struct bm_history *history) {
    if (history->in_process + history->repeated > 0) {
        (void)fprintf(stderr, "batchmark history: left out: %u run%s in process, %u read before\n",
                      history->in_process, history->in_process == 1 ? "" : "s", history->repeated);
    }
}

/* Whether the last change of some cell made it slower. */
static int has_slower(const json_t *objects) {
    size_t i;
    const json_t *object;
    json_array_foreach(objects, i, object) {
        const json_t *changes = json_object_get(object, "changes");
        const json_t *last = json_array_get(changes, json_array_size(changes) - 1);
        if (bm_field_number(last, "ratio") > 1) {
            return 1;
        }
    }
    return 0;
}

static int fail_empty(const struct bm_history *history, const char *folder) {
    char text[BM_PATH_SIZE + 128];
    (void)snprintf(text, sizeof text,
                   "%.1023s: expected records (*.jsonl) of `batchmark run` with a time of %s, "
                   "found none that fits",
                   folder, history->options->series);
    (void)complain(text);
    return history->complaints > 0 ? BM_EXIT_USAGE : BM_EXIT_NOTHING;
}

static int print(const struct bm_options *options, const json_t *objects, struct bm_error *error) {
    int code = BM_EXIT_OK;
    if (bm_output_print(objects, options->format, 0, stdout, "standard output", error) !=
        BM_STATUS_OK) {
        (void)complain(error->text);
        code = BM_EXIT_WRITE;
    }
    if (bm_output_export(objects, options, error) != BM_STATUS_OK) {
        (void)complain(error->text);
        code = BM_EXIT_WRITE;
    }
    return code;
}

static int show(const struct bm_history *history,
                const json_t *objects,
                const char *folder,
                struct bm_error *error) {
    tell_left_out(history);
    if (json_array_size(objects) == 0) {
        return fail_empty(history, folder);
    }
    int code = print(history->options, objects, error);
    if (code == BM_EXIT_OK && history->complaints > 0) {
        code = BM_EXIT_USAGE;
    }
    if (code == BM_EXIT_OK && history->options->strict && has_slower(objects)) {
        code = BM_EXIT_REGRESSION;
    }
    return code;
}

/* ---- Exports ---- */

static int32_t
check_record(void *context, const char *path, const char *folder, struct bm_error *error) {
    const struct bm_options *const *options = context;
    (void)folder;
    return bm_output_check(*options, path, error);
}

/* Who reads it tells. */
static int32_t pass_over(void *context, struct bm_error *error) {
    (void)context;
    (void)error;
    return BM_STATUS_OK;
}

/* None is written over a record that is read. */
static int32_t
check_exports(const struct bm_options *options, const char *folder, struct bm_error *error) {
    static const struct bm_record_visitor visitor = {
        .record = check_record,
        .unreadable = pass_over,
    };
    if (options->export_to.count == 0) {
        return BM_STATUS_OK;
    }
    return bm_record_folder_walk(folder, &visitor, &options, error);
}

static int read_and_show(const struct bm_options *options, const char *folder) {
    struct bm_history history = {.options = options, .complain = print_complaint};
    struct bm_error error = {.text = ""};
    json_t *objects = NULL;
    int code = BM_EXIT_USAGE;
    int32_t status = check_exports(options, folder, &error);
    status = status ? status : bm_history_read(&history, folder, &error);
    if (status == BM_STATUS_OK) {
        objects = bm_history_trends(&history, &error);
    }
    if (objects == NULL) {
        (void)complain(error.text);
    } else {
        code = show(&history, objects, folder, &error);
    }
    json_decref(objects);
    bm_history_deinit(&history);
    return code;
}

int bm_command_history(int argc, char **argv) {
    struct bm_options *options = malloc(sizeof *options);
    const char *words[1] = {NULL};
    uint32_t word_count = 0;
    struct bm_error error = {.text = ""};
    int code = BM_EXIT_OK;
    if (options == NULL) {
        return complain("no memory");
    }
    if (bm_options_parse(BM_COMMAND_HISTORY, argc, argv, options, words, 1, &word_count, &error) !=
        BM_STATUS_OK) {
        code = complain(error.text);
    } else if (options->help) {
        print_help();
    } else if (word_count == 0) {
        code = complain("expected a folder of records, found nothing (see --help)");
    } else {
        code = read_and_show(options, words[0]);
    }
    free(options);
    return code;
}
