/* `batchmark compare`: BASE against HEAD, a verdict a cell and an exit code. What BASE and HEAD are
 * chooses how: two records are compared as stored, two builds are measured. */
#include "command.h"
#include "compare_measured.h"
#include "compare_stored.h"
#include "error.h"
#include "output.h"
#include "place.h"
#include "record.h"
#include "run_object.h"
#include "self_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One comparison, from the command line to the exit code. */
struct compare {
    struct bm_options *options;
    const char *base;
    const char *head;
    int argc;
    char **argv;
    struct bm_error *error;
    struct bm_comparison comparison;
    json_t *objects;
};

static int usage(const char *text) {
    (void)fprintf(stderr, "batchmark compare: %s\n", text);
    return BM_EXIT_USAGE;
}

/* ---- What BASE and HEAD are ---- */

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* By its name, or because it begins like a line of JSON. A record that cannot be read is one all
 * the same: its reader says why. */
static int is_record(const char *path) {
    char first = '\0';
    if (ends_with(path, ".jsonl") || ends_with(path, ".jsonl.partial")) {
        return 1;
    }
    /* Without O_NONBLOCK a pipe of that name would wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int found = fd >= 0 && read(fd, &first, 1) == 1 && first == '{';
    if (fd >= 0) {
        (void)close(fd);
    }
    return found;
}

/* ---- Outputs ---- */

/* The comparison as a record's objects; NULL without memory. */
static json_t *make_objects(const struct compare *compare, int code) {
    const struct bm_comparison *comparison = &compare->comparison;
    json_t *objects = json_array();
    json_t *found = bm_comparison_json(comparison);
    json_t *end = json_pack("{s:s, s:i, s:i, s:i}", "kind", "end", "schema", BM_RECORD_SCHEMA,
                            "cells", (int)comparison->cell_count, "exit", code);
    int failed = json_array_append_new(objects, bm_run_head("compare", compare->options,
                                                            compare->argc, compare->argv)) != 0;
    failed |= json_array_extend(objects, found) != 0;
    failed |= json_array_append_new(objects, end) != 0;
    json_decref(found);
    if (failed) {
        json_decref(objects);
        return NULL;
    }
    return objects;
}

static int32_t write_record(const struct compare *compare) {
    struct bm_record record;
    size_t index;
    const json_t *object;
    int32_t status = bm_record_create(compare->options->output, 0, &record, compare->error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    json_array_foreach(compare->objects, index, object) {
        status = status ? status : bm_record_write(&record, object, compare->error);
    }
    if (status != BM_STATUS_OK) {
        bm_record_discard(&record);
        return status;
    }
    return bm_record_finish(&record, compare->error);
}

/* Standard output, the record and the exports; what fails does not keep the others from being
 * written. */
static int write_all(const struct compare *compare, int code) {
    const struct bm_options *options = compare->options;
    int32_t failed = bm_output_print(compare->objects, options->format, options->verbose, stdout,
                                     "standard output", compare->error);
    if (options->output[0] != '\0') {
        int32_t status = write_record(compare);
        failed = status == BM_STATUS_OK ? failed : status;
    }
    int32_t status = bm_output_export(compare->objects, options, compare->error);
    failed = status == BM_STATUS_OK ? failed : status;
    if (failed != BM_STATUS_OK) {
        (void)usage(compare->error->text);
        return BM_EXIT_WRITE;
    }
    return code;
}

/* ---- Records ---- */

static void say_nothing_compared(const struct compare *compare) {
    if (compare->comparison.cell_count > 0) {
        (void)usage("nothing compared: no cell has times in both records");
    } else if (compare->options->filter[0] != '\0') {
        (void)fprintf(stderr,
                      "batchmark compare: nothing compared: --filter \"%s\" matches no "
                      "cell, like \"avx2, mlp, mnist, momentum, batch 1, 2 threads, "
                      "float32\"\n",
                      compare->options->filter);
    } else {
        (void)usage("nothing compared: the records have no cells");
    }
}

/* With the verdicts known, or without any where the records are too different to be judged: the
 * differences are shown. */
static int show(struct compare *compare, int code) {
    compare->objects = make_objects(compare, code);
    if (compare->objects == NULL) {
        return usage("no memory");
    }
    return write_all(compare, code);
}

static int compare_stored(struct compare *compare) {
    int32_t status = bm_compare_stored(compare->base, compare->head, compare->options,
                                       &compare->comparison, compare->error);
    if (status == BM_STATUS_UNSUPPORTED) {
        char text[sizeof compare->error->text];
        (void)snprintf(text, sizeof text, "%s", compare->error->text);
        int code = show(compare, BM_EXIT_USAGE);
        (void)usage(text);
        return code;
    }
    if (status != BM_STATUS_OK) {
        return usage(compare->error->text);
    }
    int code = bm_comparison_exit_code(&compare->comparison);
    int shown = show(compare, code);
    if (bm_comparison_compared(&compare->comparison) == 0) {
        say_nothing_compared(compare);
    }
    return shown;
}

/* ---- The command ---- */

/* Nothing is written over what is compared, and no export over the record. */
static int32_t check_places(const struct bm_options *options,
                            const char *const *words,
                            uint32_t word_count,
                            struct bm_error *error) {
    int32_t status = bm_output_check(options, options->output, error);
    for (uint32_t i = 0; i < word_count && status == BM_STATUS_OK; i++) {
        status = bm_place_same_file(options->output, words[i])
                     ? bm_fail(error, BM_STATUS_INVALID,
                               "--output: expected another file than those that are compared")
                     : bm_output_check(options, words[i], error);
    }
    return status;
}

static int dispatch(struct compare *compare) {
    int base_is_record = is_record(compare->base);
    int head_is_record = is_record(compare->head);
    if (base_is_record != head_is_record) {
        return usage("expected two records or two plugins, found one of each");
    }
    if (!base_is_record) {
        return bm_compare_measured(compare->options, compare->base, compare->head, compare->argc,
                                   compare->argv);
    }
    return compare_stored(compare);
}

static void print_help(void) {
    (void)fputs(
        "usage: batchmark compare BASE.so HEAD.so [OPTIONS]        two builds of a plugin, "
        "measured\n"
        "       batchmark compare BASE HEAD [OPTIONS]              two folders of plugins\n"
        "       batchmark compare BASE.jsonl HEAD.jsonl [OPTIONS]  two records of `batchmark "
        "run`\n\n"
        "Is HEAD slower than BASE? Each cell gets a verdict: PASS, REGRESSION, IMPROVEMENT, or "
        "INCONCLUSIVE; with it\n"
        "stands the smallest slow-down that would have been found.\n\n"
        "Builds are measured in pairs: base, the same file again, and head take turns of "
        "milliseconds in fresh processes,\n"
        "and what looks slower is measured once more before it is called so. Head is checked "
        "first: "
        "a fast wrong one is\n"
        "WRONG. The same code is IDENTICAL, and not measured.\n\n"
        "Records are compared from the samples in them. Those of different machines or settings "
        "are "
        "not judged. A\n"
        "backend whose file is the same in both is IDENTICAL: what it changed by is the machine's, "
        "and makes the\n"
        "intervals of the others wider.\n\n",
        stdout);
    bm_options_help(BM_COMMAND_COMPARE, stdout);
}

#define WORD_MAX 2u

int bm_command_compare(int argc, char **argv) {
    struct bm_options *options = malloc(sizeof *options);
    const char *words[WORD_MAX];
    uint32_t word_count = 0;
    struct bm_error error = {0};
    int code = BM_EXIT_OK;
    if (options == NULL) {
        return usage("no memory");
    }
    int32_t status = bm_options_parse(BM_COMMAND_COMPARE, argc, argv, options, words, WORD_MAX,
                                      &word_count, &error);
    if (status == BM_STATUS_OK && !options->help) {
        status = check_places(options, words, word_count, &error);
    }
    if (status != BM_STATUS_OK) {
        code = usage(error.text);
    } else if (options->help) {
        print_help();
    } else if (options->compare.self_test) {
        code = word_count < WORD_MAX
                   ? bm_self_test(options, word_count > 0 ? words[0] : NULL, argc, argv)
                   : usage("--self-test: expected one plugin, found two");
    } else if (word_count < WORD_MAX) {
        code = usage("expected BASE and HEAD (see --help)");
    } else {
        struct compare compare = {
            .options = options,
            .base = words[0],
            .head = words[1],
            .argc = argc,
            .argv = argv,
            .error = &error,
        };
        code = dispatch(&compare);
        bm_comparison_free(&compare.comparison);
        json_decref(compare.objects);
    }
    free(options);
    return code;
}
