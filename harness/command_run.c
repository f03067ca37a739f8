/* `batchmark run`: plans the cells, has them checked and measured batch size by batch size, records
 * and prints them. */
#include "case_reference.h"
#include "command.h"
#include "environment.h"
#include "error.h"
#include "interrupt.h"
#include "outcome.h"
#include "output.h"
#include "paired.h"
#include "progress.h"
#include "record.h"
#include "resume.h"
#include "roofline_cache.h"
#include "run_object.h"
#include "schedule.h"
#include "selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a small cell takes: its rounds of 50 ms blocks. */
#define SMALL_CELL_S 1.5

struct run {
    struct bm_options *options;
    struct bm_selection selection;
    struct bm_record record;
    json_t *objects; /* what the file holds and the table prints */
    json_t *earlier; /* of the file that --resume names, or NULL */
    struct bm_progress progress;
    struct bm_dataset dataset;
    struct bm_model model;
    struct bm_roofline roofline;
    struct bm_case of;
    struct bm_case_reference reference;
    uint64_t
        batches[BM_LIST_MAX]; /* of this case: at most the number of images, ascending, each once */
    uint64_t requested[BM_LIST_MAX];
    uint32_t batch_count;
    double started_s;
    double deadline_s;
    struct bm_outcome outcome;
    struct bm_error *error;
};

/* ---- Writing ---- */

static void write_object(struct run *run, json_t *object) {
    struct bm_error error;
    (void)json_array_append_new(run->objects, object);
    if (bm_record_write(&run->record, object, &error) != BM_STATUS_OK &&
        !run->outcome.write_failed) {
        run->outcome.write_failed = 1;
        *run->error = error;
    }
}

static void finish_cell(struct run *run, const struct bm_cell *cell) {
    if (cell->verdict.kind == BM_VERDICT_INTERRUPTED) {
        return;
    }
    json_t *object = bm_cell_json(cell);
    /* Its first device alone stands before it. */
    json_t *efficiency = bm_paired_efficiency(run->objects, object);
    (void)json_object_set_new(object, "efficiency", efficiency == NULL ? json_null() : efficiency);
    bm_outcome_count(&run->outcome, object);
    write_object(run, object);
}

/* ---- One case ---- */

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Ascending, each once; what is above the number of images becomes that number. */
static void plan_batches(struct run *run) {
    uint64_t sorted[BM_LIST_MAX];
    uint64_t images = run->dataset.split[BM_SPLIT_TRAIN].count;
    uint32_t count = run->options->batch.count;
    memcpy(sorted, run->options->batch.values, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], by_size);
    run->batch_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t batch = sorted[i] < images ? sorted[i] : images;
        if (run->batch_count == 0 || run->batches[run->batch_count - 1] != batch) {
            run->requested[run->batch_count] = sorted[i];
            run->batches[run->batch_count++] = batch;
        }
    }
}

static void show_reference(void *context, uint64_t batch) {
    struct run *run = context;
    bm_progress_show(&run->progress, run->deadline_s - bm_schedule_now_s(),
                     "float64 reference, batch %llu", (unsigned long long)batch);
}

static void show_probe(void *context, uint32_t threads) {
    struct run *run = context;
    bm_progress_show(&run->progress, run->deadline_s - bm_schedule_now_s(),
                     "roofline of this machine, %u thread%s", threads, threads == 1 ? "" : "s");
}

/* Only when the record can be written: a refusal comes at once. */
static void get_roofline(struct run *run) {
    struct bm_roofline_wish wish = {
        .mode = run->options->roofline,
        .threads = &run->options->threads,
        .time_limit_s = run->options->time_limit_s,
        .earlier = bm_resume_roofline(run->earlier),
        .progress = show_probe,
        .context = run,
    };
    bm_roofline_get(&wish, &run->roofline);
    run->of.roofline = &run->roofline;
}

static int needs_reference(const struct run *run) {
    for (uint32_t i = 0; i < run->selection.row_count; i++) {
        if (run->selection.row[i].device != NULL && !run->selection.row[i].computes_nothing) {
            return 1;
        }
    }
    return 0;
}

/* ---- One batch size ---- */

static double need_s(const struct bm_row *row, uint64_t batch) {
    double estimate = bm_row_estimate_ns(row, batch);
    return estimate > 0 ? bm_schedule_need_s(estimate) : SMALL_CELL_S;
}

/* What a cell may spend beyond its need: what the sizes that still fit leave over, in equal parts.
 */
static double spare_s(const struct run *run, uint32_t index) {
    double left_s = run->deadline_s - bm_schedule_now_s();
    uint32_t cells = 0;
    for (uint32_t i = index; i < run->batch_count; i++) {
        for (uint32_t r = 0; r < run->selection.row_count; r++) {
            double need = need_s(&run->selection.row[r], run->batches[i]);
            if (run->selection.row[r].device != NULL && need <= left_s) {
                left_s -= need;
                cells += !run->selection.row[r].computes_nothing;
            }
        }
    }
    return cells == 0 ? 0 : left_s / cells;
}

/* A row whose plugin could not be asked has the same verdict at every size. */
static void
plan_cell(struct run *run, struct bm_row *row, uint32_t index, double spare, struct bm_cell *cell) {
    memset(cell, 0, sizeof *cell);
    cell->row = row;
    cell->of = &run->of;
    cell->batch = run->batches[index];
    cell->requested = run->requested[index];
    double left_s = run->deadline_s - bm_schedule_now_s();
    double need = need_s(row, cell->batch);
    cell->update_ns = bm_row_estimate_ns(row, cell->batch);
    cell->spare_s = spare;
    cell->budget_s =
        need + spare < run->options->cell_time_s ? need + spare : run->options->cell_time_s;
    if (row->device == NULL) {
        cell->verdict = row->answer->verdict;
    } else if (bm_interrupt_signal() != 0) {
        cell->verdict.kind = BM_VERDICT_INTERRUPTED;
    } else if (need > left_s) {
        bm_schedule_explain(cell, left_s);
    } else {
        cell->active = 1;
    }
}

/* Takes a finished cell of an earlier run, if its plugin is still the same file. */
static int32_t take_earlier(struct run *run, struct bm_cell *cell, uint32_t *taken) {
    *taken = 0;
    if (run->earlier == NULL) {
        return BM_STATUS_OK;
    }
    json_t *identity = bm_cell_json(cell);
    json_t *found = bm_resume_find(run->earlier, identity);
    json_decref(identity);
    if (found == NULL) {
        return BM_STATUS_OK;
    }
    const char *sha256 =
        json_string_value(json_object_get(json_object_get(found, "plugin"), "sha256"));
    if (sha256 == NULL || strcmp(sha256, cell->row->file->sha256) != 0) {
        return bm_fail(run->error, BM_STATUS_INVALID,
                       "--resume: %s is not the plugin that the file was measured with "
                       "(SHA-256 expected %.12s..., found %.12s...)",
                       cell->row->file->name, sha256 == NULL ? "?" : sha256,
                       cell->row->file->sha256);
    }
    const json_t *update = json_object_get(found, "estimate_ns");
    if (json_is_number(update)) {
        bm_row_learn(cell->row, cell->batch, json_number_value(update));
    }
    bm_outcome_count(&run->outcome, found);
    /* keep_earlier has written it. */
    (void)json_array_append(run->objects, found);
    *taken = 1;
    return BM_STATUS_OK;
}

static void show_progress(void *context, const struct bm_cell *cell, const char *what) {
    struct run *run = context;
    char label[BM_NAME_SIZE + 16];
    bm_row_label(cell->row, label, sizeof label);
    bm_progress_show(&run->progress, run->deadline_s - bm_schedule_now_s(),
                     "batch %llu, %s: %s, round %u", (unsigned long long)cell->batch, label, what,
                     cell->series[BM_SERIES_UPDATE].rounds + 1);
}

static int32_t measure_batch(struct run *run, uint32_t index) {
    uint32_t rows = run->selection.row_count;
    struct bm_cell *cells = calloc(rows, sizeof *cells);
    uint32_t count = 0;
    int32_t status = BM_STATUS_OK;
    double spare = spare_s(run, index);
    if (cells == NULL) {
        return bm_fail(run->error, BM_STATUS_NO_MEMORY, "run: no memory for its cells");
    }
    for (uint32_t r = 0; r < rows && status == BM_STATUS_OK; r++) {
        uint32_t taken = 0;
        struct bm_cell *cell = &cells[count];
        plan_cell(run, &run->selection.row[r], index, spare, cell);
        if (cell->active && index >= run->reference.size_count && !cell->row->computes_nothing) {
            cell->active = 0;
            cell->verdict.kind = BM_VERDICT_SKIPPED;
            (void)snprintf(cell->verdict.reason, sizeof cell->verdict.reason,
                           "its float64 reference did not fit into the time limit");
        }
        status = take_earlier(run, cell, &taken);
        count += !taken;
    }
    if (status == BM_STATUS_OK) {
        struct bm_schedule schedule = {
            .rows = run->selection.row,
            .row_count = rows,
            .deadline_s = run->deadline_s,
            .epoch_time_s = run->options->epoch_time_s,
            .hang_time_s = run->options->hang_time_s,
            .seed = run->of.seed,
            .progress = show_progress,
            .context = run,
        };
        bm_schedule_measure(&schedule, cells, count);
        for (uint32_t i = 0; i < count; i++) {
            finish_cell(run, &cells[i]);
        }
    }
    free(cells);
    return status;
}

static void stop_workers(struct run *run) {
    for (uint32_t i = 0; i < run->selection.row_count; i++) {
        struct bm_row *row = &run->selection.row[i];
        bm_schedule_stop(row);
        row->known_count = 0;
        row->failures = 0;
    }
}

static int32_t measure_case(struct run *run) {
    plan_batches(run);
    bm_model_format(&run->model, run->of.layers, sizeof run->of.layers);
    int32_t status = needs_reference(run)
                         ? bm_case_reference_make(&run->reference, &run->of, run->batches,
                                                  run->batch_count, run->error)
                         : BM_STATUS_OK;
    run->of.reference_fd = run->reference.fd;
    for (uint32_t i = 0; i < run->batch_count && status == BM_STATUS_OK; i++) {
        status = measure_batch(run, i);
        if (run->outcome.write_failed) {
            break;
        }
    }
    stop_workers(run);
    return status;
}

/* ---- All cases ---- */

static int32_t make_model(struct run *run, const char *name) {
    struct bm_dataset *dataset = &run->dataset;
    if (strcmp(name, "custom") != 0) {
        return bm_model_named(name, dataset->shape, dataset->class_count, &run->model, run->error);
    }
    if (run->options->layers[0] == '\0') {
        return bm_fail(run->error, BM_STATUS_INVALID,
                       "--model custom: expected `layers = ...` in an ini file, found none");
    }
    return bm_model_parse(name, run->options->layers, dataset->shape, dataset->class_count,
                          &run->model, run->error);
}

/* Innermost axes: those that share a reference. */
static int32_t measure_settings(struct run *run) {
    const struct bm_options *options = run->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t o = 0; o < options->optimizer.count && status == BM_STATUS_OK; o++) {
        for (uint32_t t = 0; t < options->threads.count && status == BM_STATUS_OK; t++) {
            run->of.optimizer = (uint32_t)bm_optimizer_find(options->optimizer.names[o]);
            run->of.threads = (uint32_t)options->threads.values[t];
            status = measure_case(run);
        }
    }
    return status;
}

static int32_t measure_models(struct run *run) {
    const struct bm_options *options = run->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t m = 0; m < options->model.count && status == BM_STATUS_OK; m++) {
        status = make_model(run, options->model.names[m]);
        for (uint32_t s = 0; s < options->seed.count && status == BM_STATUS_OK; s++) {
            for (uint32_t p = 0; p < options->precision.count && status == BM_STATUS_OK; p++) {
                run->of.seed = options->seed.values[s];
                run->of.precision = options->precision.names[p];
                status = measure_settings(run);
            }
        }
    }
    return status;
}

static int32_t open_dataset(struct run *run, const char *name) {
    const struct bm_options *options = run->options;
    bm_dataset_close(&run->dataset);
    return bm_dataset_open(name, options->data_dir[0] == '\0' ? NULL : options->data_dir,
                           &options->synthetic, &run->dataset, run->error);
}

static int32_t measure_all(struct run *run) {
    const struct bm_options *options = run->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t d = 0; d < options->dataset.count && status == BM_STATUS_OK; d++) {
        /* The first was opened for the run object. */
        status = d == 0 ? BM_STATUS_OK : open_dataset(run, options->dataset.names[d]);
        if (status == BM_STATUS_OK) {
            bm_case_reference_close(&run->reference);
            status = measure_models(run);
        }
    }
    return status;
}

/* ---- Beginning and end ---- */

static void set_defaults(struct bm_options *options) {
    if (options->threads.count == 0) {
        options->threads.count = 1;
        options->threads.values[0] = bm_environment_cores();
    }
}

static void print_plan(const struct run *run) {
    const struct bm_options *options = run->options;
    uint64_t cells = (uint64_t)run->selection.row_count * options->batch.count *
                     options->model.count * options->dataset.count * options->optimizer.count *
                     options->threads.count * options->precision.count * options->seed.count;
    double small_min = SMALL_CELL_S * (double)cells / 60;
    double limit_min = options->time_limit_s / 60;
    (void)fprintf(stderr,
                  "plan: %llu cells (%u backend%s, %u batch sizes); at least %.1f minutes, at most "
                  "%.1f\n",
                  (unsigned long long)cells, run->selection.row_count,
                  run->selection.row_count == 1 ? "" : "s", options->batch.count,
                  small_min < limit_min ? small_min : limit_min, limit_min);
}

/* The end object and the file's final name; an interrupted run keeps its partial name, for
 * --resume. */
static void close_record(struct run *run) {
    struct bm_error error = {0};
    if (bm_interrupt_signal() != 0 || run->outcome.write_failed) {
        bm_record_abandon(&run->record);
        return;
    }
    json_t *end = json_pack(
        "{s:s, s:i, s:i, s:f, s:i, s:s}", "kind", "end", "schema", BM_RECORD_SCHEMA, "cells",
        (int)json_array_size(run->objects) - 1, "seconds", bm_schedule_now_s() - run->started_s,
        "exit", bm_outcome_exit_code(&run->outcome), "left_out", run->selection.left_out);
    write_object(run, end);
    if (!run->outcome.write_failed && bm_record_finish(&run->record, &error) != BM_STATUS_OK) {
        run->outcome.write_failed = 1;
        *run->error = error;
    }
    if (run->outcome.write_failed) {
        bm_record_abandon(&run->record);
    }
}

static void print_end(struct run *run) {
    const char *format = run->options->format;
    bm_progress_clear(&run->progress);
    if (bm_output_print(run->objects, format, run->options->verbose, stdout, "standard output",
                        run->error) != BM_STATUS_OK) {
        run->outcome.write_failed = 1;
    }
    FILE *stream = strcmp(format, "table") == 0 ? stdout : stderr;
    if (run->selection.left_out[0] != '\0') {
        (void)fprintf(stream, "left out: %s\n", run->selection.left_out);
    }
    if (bm_interrupt_signal() != 0) {
        (void)fprintf(stream, "interrupted; what is done is in %s, and --resume %s goes on\n",
                      run->record.partial, run->record.path);
    } else if (!run->outcome.write_failed) {
        (void)fprintf(stream, "record: %s\n", run->record.path);
    }
}

static int fail(const struct run *run, int code) {
    (void)fprintf(stderr, "batchmark run: %s\n", run->error->text);
    return code;
}

/* With the plugins known and the record open. */
static int measure_and_print(struct run *run) {
    int32_t status = measure_all(run);
    stop_workers(run);
    if (status != BM_STATUS_OK && bm_interrupt_signal() == 0) {
        bm_progress_clear(&run->progress);
        bm_record_abandon(&run->record);
        return fail(run, BM_EXIT_USAGE);
    }
    close_record(run);
    print_end(run);
    if (bm_output_export(run->objects, run->options, run->error) != BM_STATUS_OK) {
        run->outcome.write_failed = 1;
    }
    return run->outcome.write_failed && bm_interrupt_signal() == 0
               ? fail(run, BM_EXIT_WRITE)
               : bm_outcome_exit_code(&run->outcome);
}

/* The finished cells of the earlier run go into the new file before it takes the old one's place.
 */
static int32_t keep_earlier(struct run *run) {
    size_t index;
    json_t *object;
    int32_t status = run->outcome.write_failed ? BM_STATUS_INTERNAL : BM_STATUS_OK;
    json_array_foreach(run->earlier, index, object) {
        if (status == BM_STATUS_OK && bm_resume_is_finished(object)) {
            status = bm_record_write(&run->record, object, run->error);
        }
    }
    if (status == BM_STATUS_OK) {
        status = bm_record_commit(&run->record, run->error);
    }
    run->outcome.write_failed = status != BM_STATUS_OK;
    return status;
}

static int32_t open_record(struct run *run, int argc, char **argv) {
    char path[BM_PATH_SIZE];
    uint32_t replace = run->earlier != NULL;
    int32_t status = BM_STATUS_OK;
    if (replace && run->options->output[0] == '\0') {
        (void)snprintf(path, sizeof path, "%s", run->options->resume);
        size_t length = strlen(path);
        if (length > 8 && strcmp(path + length - 8, ".partial") == 0) {
            path[length - 8] = '\0';
        }
    } else {
        status = bm_record_path(run->options, "run", path, sizeof path, run->error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_record_create(path, replace, &run->record, run->error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    get_roofline(run);
    write_object(run,
                 bm_run_object(run->options, &run->dataset, &run->roofline, replace, argc, argv));
    if (run->outcome.write_failed) {
        return BM_STATUS_INTERNAL;
    }
    return replace ? keep_earlier(run) : BM_STATUS_OK;
}

static int run_all(struct run *run, int argc, char **argv) {
    struct bm_options *options = run->options;
    set_defaults(options);
    run->started_s = bm_schedule_now_s();
    run->deadline_s = run->started_s + options->time_limit_s;
    bm_case_reference_init(&run->reference, run->started_s, options->time_limit_s);
    run->reference.progress = show_reference;
    run->reference.context = run;
    run->of.dataset = &run->dataset;
    run->of.model = &run->model;
    run->of.micro_batch = options->micro_batch;
    run->of.data_parallel = (uint32_t)options->data_parallel;
    run->of.lr = options->lr;
    bm_progress_init(&run->progress);
    if (bm_selection_make(options, &run->selection, run->error) != BM_STATUS_OK ||
        open_dataset(run, options->dataset.names[0]) != BM_STATUS_OK) {
        return fail(run, BM_EXIT_USAGE);
    }
    if (open_record(run, argc, argv) != BM_STATUS_OK) {
        return fail(run, run->outcome.write_failed ? BM_EXIT_WRITE : BM_EXIT_USAGE);
    }
    print_plan(run);
    int code = measure_and_print(run);
    bm_case_reference_close(&run->reference);
    return code;
}

/* Parses again with the options of the record that --resume names in front. */
static int32_t apply_resume(struct run *run, int argc, char **argv) {
    const char *words[1];
    uint32_t word_count = 0;
    uint32_t torn = 0;
    int count = 0;
    int32_t status = bm_record_read(run->options->resume, &run->earlier, &torn, run->error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    char **arguments = bm_resume_arguments(run->earlier, argc, argv, &count);
    if (arguments == NULL) {
        return bm_fail(run->error, BM_STATUS_NO_MEMORY, "--resume: no memory");
    }
    status = bm_options_parse(BM_COMMAND_RUN, count, arguments, run->options, words, 0, &word_count,
                              run->error);
    bm_resume_free(arguments, count);
    return status;
}

int bm_command_run(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    struct bm_options *options = calloc(1, sizeof *options);
    struct bm_error error = {0};
    const char *words[1];
    uint32_t word_count = 0;
    int code = BM_EXIT_USAGE;
    if (run == NULL || options == NULL) {
        free(run);
        free(options);
        (void)fprintf(stderr, "batchmark run: no memory\n");
        return BM_EXIT_USAGE;
    }
    run->options = options;
    run->error = &error;
    run->dataset.fd = -1;
    run->objects = json_array();
    bm_interrupt_catch();
    int32_t status =
        bm_options_parse(BM_COMMAND_RUN, argc, argv, options, words, 0, &word_count, &error);
    if (status == BM_STATUS_OK && options->resume[0] != '\0' && !options->help) {
        status = apply_resume(run, argc, argv);
    }
    if (status != BM_STATUS_OK) {
        code = fail(run, BM_EXIT_USAGE);
    } else if (options->help) {
        (void)printf("usage: batchmark run [OPTIONS]\n\n"
                     "Checks every backend against a float64 reference, then measures one update "
                     "and one epoch\nfor every batch size.\n\n");
        bm_options_help(BM_COMMAND_RUN, stdout);
        code = BM_EXIT_OK;
    } else {
        code = run_all(run, argc, argv);
    }
    bm_selection_free(&run->selection);
    bm_dataset_close(&run->dataset);
    json_decref(run->objects);
    json_decref(run->earlier);
    free(run);
    free(options);
    return code;
}
