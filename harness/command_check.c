/* `batchmark check`: the conformance suite on one plugin, each case in a worker of its own. */
#include "command.h"
#include "conform_queue.h"
#include "conform_report.h"
#include "environment.h"
#include "error.h"
#include "interrupt.h"
#include "loader.h"
#include "now.h"
#include "progress.h"
#include "properties.h"
#include "record.h"
#include "selection.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_USUAL_MAX 4u

/* How many cases ended in which way. */
struct tally {
    uint32_t passed;
    uint32_t failed;
    uint32_t unsupported;
    uint32_t broken; /* crashed or timed out */
    uint32_t properties;
    uint32_t held;
};

struct check {
    const struct bm_options *options;
    const char *word; /* the plugin as the user named it */
    struct bm_selection selection;
    struct bm_progress progress;
    struct tally tally;
    json_t *objects;
    uint32_t case_count; /* that the filter takes */
    double started_s;
};

static int usage(const char *text) {
    (void)fprintf(stderr, "batchmark check: %s\n", text);
    return BM_EXIT_USAGE;
}

static int takes(const struct check *check, const struct bm_conform_case *which) {
    return check->options->filter[0] == '\0' ||
           fnmatch(check->options->filter, which->name, FNM_EXTMATCH) == 0;
}

/* ---- One case ---- */

static void count(struct tally *tally, const struct bm_conform_case *which, const char *status) {
    if ((which->flags & BM_CONFORM_PROPERTY) != 0 && strcmp(status, "unsupported") != 0) {
        tally->properties++;
        tally->held += strcmp(status, "pass") == 0;
        return;
    }
    if (strcmp(status, "pass") == 0) {
        tally->passed++;
    } else if (strcmp(status, "unsupported") == 0) {
        tally->unsupported++;
    } else if (strcmp(status, "crashed") == 0 || strcmp(status, "timeout") == 0) {
        tally->broken++;
    } else {
        tally->failed++;
    }
}

static void show(const struct check *check, json_t *object) {
    (void)json_array_append_new(check->objects, object);
    if (strcmp(check->options->format, "table") == 0) {
        bm_conform_report_line(object, (int)check->options->verbose, stdout);
    }
}

static struct bm_conform_subject subject_of(const struct check *check, const struct bm_row *row) {
    return (struct bm_conform_subject){.options = check->options,
                                       .file = row->file,
                                       .device = row->device,
                                       .device_index = row->device_index,
                                       .word = check->word};
}

/* A row of the selection while its cases run. */
struct turn {
    struct check *check;
    const struct bm_row *row;
};

static void take(void *context, const struct bm_conform_case *which, json_t *object) {
    const struct turn *turn = context;
    struct check *check = turn->check;
    if (object == NULL) {
        bm_progress_show(&check->progress, check->options->hang_time_s, "%s:%u %s",
                         turn->row->file->name, turn->row->device_index, which->name);
        return;
    }
    bm_progress_clear(&check->progress);
    count(&check->tally, which, json_string_value(json_object_get(object, "status")));
    show(check, object);
}

/* One in this process; otherwise twice the processors, at most four: most of a case's time is one
 * thread's, and some cases only watch a process rest. */
static uint32_t jobs_of(const struct bm_options *options) {
    uint32_t usual =
        2 * bm_environment_cores() < JOBS_USUAL_MAX ? 2 * bm_environment_cores() : JOBS_USUAL_MAX;
    uint32_t jobs = options->jobs > 0 ? (uint32_t)options->jobs : usual;
    return options->in_process ? 1 : jobs;
}

/* ---- All of them ---- */

static int32_t run_cases(struct check *check, const struct bm_row *row) {
    const struct bm_conform_subject subject = subject_of(check, row);
    struct turn turn = {check, row};
    struct bm_conform_slot *slots = calloc((size_t)bm_conform_case_count + 1, sizeof *slots);
    uint32_t taken = 0;
    if (slots == NULL) {
        return BM_STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < bm_conform_case_count; i++) {
        if (takes(check, &bm_conform_cases[i])) {
            slots[taken++].which = &bm_conform_cases[i];
        }
    }
    bm_conform_ask_all(&subject, slots, taken, jobs_of(check->options), take, &turn);
    free(slots);
    bm_properties_keep(&subject, check->objects);
    return BM_STATUS_OK;
}

static int32_t check_row(struct check *check, const struct bm_row *row) {
    const json_t *name = json_object_get(row->device, "name");
    const json_t *version = json_object_get(row->answer->reply, "version");
    show(check, json_pack("{s:s, s:i, s:o, s:s, s:i, s:s, s:{s:s, s:s, s:b, s:s}}", "kind",
                          "conformance", "schema", BM_RECORD_SCHEMA, "version",
                          json_sprintf("%u.%u", BM_CONFORM_MAJOR, BM_CONFORM_MINOR), "backend",
                          row->file->name, "device", (int)row->device_index, "device_name",
                          json_string_value(name), "plugin", "name", row->file->name, "sha256",
                          row->file->sha256, "by_trust", (int)row->file->trusted, "version",
                          json_string_value(version)));
    return run_cases(check, row);
}

static int exit_code(const struct check *check) {
    const struct tally *tally = &check->tally;
    if (bm_interrupt_signal() != 0) {
        return 128 + bm_interrupt_signal();
    }
    if (tally->broken > 0) {
        return BM_EXIT_CRASHED;
    }
    if (tally->failed > 0 || (check->options->strict && tally->held < tally->properties)) {
        return BM_EXIT_WRONG;
    }
    return tally->passed + tally->held > 0 || tally->properties > 0 ? BM_EXIT_OK : BM_EXIT_NOTHING;
}

static json_t *end_json(const struct check *check, int code) {
    const struct tally *tally = &check->tally;
    const char *passes = code == BM_EXIT_OK        ? "passes"
                         : code == BM_EXIT_NOTHING ? "nothing was asked of"
                                                   : "does not pass";
    int whole = check->options->filter[0] == '\0' && bm_interrupt_signal() == 0;
    json_t *verdict = json_sprintf(
        "%s%s conformance %u.%u%s: %u of %u required cases passed, %u unsupported, %u failed; %u "
        "of %u properties hold (%.1f s)",
        whole ? "" : "of the cases that ran, ", passes, BM_CONFORM_MAJOR, BM_CONFORM_MINOR,
        whole ? "" : " in part", tally->passed,
        tally->passed + tally->failed + tally->broken + tally->unsupported, tally->unsupported,
        tally->failed + tally->broken, tally->held, tally->properties,
        bm_now_s() - check->started_s);
    return json_pack("{s:s, s:i, s:o, s:i, s:i, s:i, s:i, s:i, s:i}", "kind", "end", "schema",
                     BM_RECORD_SCHEMA, "verdict", verdict, "passed", (int)tally->passed, "failed",
                     (int)(tally->failed + tally->broken), "unsupported", (int)tally->unsupported,
                     "properties", (int)tally->properties, "held", (int)tally->held, "exit", code);
}

/* The plugin that could not be loaded has a row with its verdict. */
static int refuse(const struct bm_verdict *verdict) {
    (void)fprintf(stderr, "batchmark check: %s\n", verdict->reason);
    switch (verdict->kind) {
    case BM_VERDICT_CRASHED:
    case BM_VERDICT_TIMEOUT:
        return BM_EXIT_CRASHED;
    case BM_VERDICT_INTERRUPTED:
        return 128 + bm_interrupt_signal();
    default:
        return BM_EXIT_REFUSED;
    }
}

static int check_rows(struct check *check) {
    for (uint32_t i = 0; i < check->selection.row_count; i++) {
        if (check->selection.row[i].answer->verdict.kind != BM_VERDICT_OK) {
            return refuse(&check->selection.row[i].answer->verdict);
        }
    }
    if (check->selection.row_count == 0) {
        (void)fprintf(stderr, "batchmark check: nothing to check: %s\n", check->selection.left_out);
        return BM_EXIT_NOTHING;
    }
    for (uint32_t i = 0; i < check->selection.row_count; i++) {
        if (check_row(check, &check->selection.row[i]) != BM_STATUS_OK) {
            return usage("no memory");
        }
    }
    int code = exit_code(check);
    show(check, end_json(check, code));
    if (strcmp(check->options->format, "table") != 0) {
        bm_conform_report(check->objects, check->options->format, stdout);
    }
    return code;
}

/* ---- The command ---- */

static int list_cases(void) {
    (void)printf("conformance %u.%u: %u cases\n", BM_CONFORM_MAJOR, BM_CONFORM_MINOR,
                 bm_conform_case_count);
    for (uint32_t i = 0; i < bm_conform_case_count; i++) {
        (void)printf("  %3u %-28s %s%s\n", bm_conform_cases[i].number, bm_conform_cases[i].name,
                     (bm_conform_cases[i].flags & BM_CONFORM_PROPERTY) != 0 ? "property: " : "",
                     bm_conform_cases[i].holds);
    }
    return BM_EXIT_OK;
}

/* --backend NAME[:DEVICE] chooses among the file's devices, not another backend. */
static int32_t
check_backends(const struct bm_options *options, const char *name, struct bm_error *error) {
    for (uint32_t i = 0; i < options->backend.count; i++) {
        const char *wanted = options->backend.names[i];
        size_t length = strcspn(wanted, ":");
        if (length != strlen(name) || strncmp(wanted, name, length) != 0) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "--backend: expected %s or %s:DEVICE, as the plugin's file has it, "
                           "found \"%s\"",
                           name, name, wanted);
        }
    }
    return BM_STATUS_OK;
}

/* The one file, and of its devices those that --backend names. */
static int32_t
select_rows(struct check *check, struct bm_options *options, struct bm_error *error) {
    char name[BM_NAME_SIZE];
    char path[PATH_MAX];
    (void)snprintf(options->plugin.paths[0], sizeof options->plugin.paths[0], "%s", check->word);
    options->plugin.count = 1;
    if (realpath(check->word, path) == NULL) {
        (void)snprintf(path, sizeof path, "%s", check->word);
    }
    int32_t status = bm_loader_name(path, name, sizeof name, error);
    status = status ? status : check_backends(options, name, error);
    if (status == BM_STATUS_OK && options->backend.count == 0) {
        options->backend.count = 1;
        memcpy(options->backend.names[0], name, sizeof name);
    }
    return status == BM_STATUS_OK ? bm_selection_make(options, &check->selection, error) : status;
}

static int check_plugin(struct bm_options *options, const char *word) {
    struct check *check = calloc(1, sizeof *check);
    struct bm_error error = {0};
    int code = BM_EXIT_USAGE;
    if (check == NULL) {
        return usage("no memory");
    }
    check->options = options;
    check->word = word;
    check->objects = json_array();
    check->started_s = bm_now_s();
    bm_progress_init(&check->progress);
    for (uint32_t i = 0; i < bm_conform_case_count; i++) {
        check->case_count += takes(check, &bm_conform_cases[i]) != 0;
    }
    if (check->case_count == 0) {
        (void)snprintf(error.text, sizeof error.text,
                       "--filter: expected a pattern of case names (see --list), found \"%s\"",
                       options->filter);
        code = usage(error.text);
    } else if (select_rows(check, options, &error) != BM_STATUS_OK) {
        code = usage(error.text);
    } else {
        code = check_rows(check);
    }
    bm_selection_free(&check->selection);
    json_decref(check->objects);
    free(check);
    return code;
}

static void print_help(void) {
    (void)printf(
        "usage: batchmark check PLUGIN.so [OPTIONS]\n"
        "       batchmark check --list\n\n"
        "Does this backend keep the contract (plugin.h)? Runs the numbered cases of the "
        "conformance suite on it,\n"
        "each in a process of its own. Required cases pass or fail; a property holds or does not, "
        "and counts\n"
        "only with --strict. A failed case shows what was expected, what was found, and the "
        "command that runs it\n"
        "alone, for a debugger.\n\n");
    bm_options_help(BM_COMMAND_CHECK, stdout);
}

int bm_command_check(int argc, char **argv) {
    struct bm_options *options = malloc(sizeof *options);
    struct bm_error error = {0};
    const char *words[1];
    uint32_t word_count = 0;
    int code = BM_EXIT_OK;
    bm_interrupt_catch();
    if (options == NULL) {
        return usage("no memory");
    }
    if (bm_options_parse(BM_COMMAND_CHECK, argc, argv, options, words, 1, &word_count, &error) !=
        BM_STATUS_OK) {
        code = usage(error.text);
    } else if (options->help) {
        print_help();
    } else if (options->list) {
        code = list_cases();
    } else if (word_count == 0) {
        code = usage("expected a plugin, a file bm_NAME.so, found none (see --help)");
    } else {
        code = check_plugin(options, words[0]);
    }
    free(options);
    return code;
}
