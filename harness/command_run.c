/* `batchmark run`: plans the cells, has them checked and measured batch size by batch size, records
 * and prints them. */
#include "command.h"
#include "environment.h"
#include "error.h"
#include "expected.h"
#include "interrupt.h"
#include "progress.h"
#include "record.h"
#include "resume.h"
#include "schedule.h"
#include "selection.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Share of the time limit that the float64 reference may take. */
#define REFERENCE_SHARE 0.4

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
    struct bm_case of;
    char reference_key[512]; /* what of.reference_fd was computed for */
    uint64_t
        batches[BM_LIST_MAX]; /* of this case: at most the number of images, ascending, each once */
    uint64_t requested[BM_LIST_MAX];
    uint32_t batch_count;
    double started_s;
    double deadline_s;
    double reference_took_s; /* what the last size took, and its distinct images */
    double reference_images;
    double reference_s; /* when the reference of the last size began */
    uint32_t measured;
    uint32_t refused;
    uint32_t crashed;
    uint32_t wrong;
    uint32_t lost;
    int write_failed;
    struct bm_error *error;
};

/* ---- The run object ---- */

static json_t *make_id(const char *stamp) {
    unsigned char bytes[4] = {0};
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return json_string(stamp);
    }
    return json_sprintf("%s-%02x%02x%02x%02x", stamp, bytes[0], bytes[1], bytes[2], bytes[3]);
}

/* The command line with paths as file names only. */
static json_t *command_line(int argc, char **argv) {
    char text[4096] = "batchmark";
    size_t used = strlen(text);
    for (int i = 0; i < argc && used < sizeof text; i++) {
        const char *slash = strrchr(argv[i], '/');
        const char *equals = strchr(argv[i], '=');
        int prefix =
            slash != NULL && equals != NULL && equals < slash ? (int)(equals - argv[i]) + 1 : 0;
        int written = snprintf(text + used, sizeof text - used, " %.*s%s", prefix, argv[i],
                               slash == NULL ? argv[i] : slash + 1);
        used += written > 0 ? (size_t)written : 0;
    }
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(not UTF-8)");
}

static json_t *data_json(const struct bm_dataset *dataset) {
    json_t *sources = json_array();
    for (uint32_t i = 0; i < dataset->source_count; i++) {
        (void)json_array_append_new(sources,
                                    json_pack("{s:s, s:s}", "file", dataset->source[i].file,
                                              "sha256", dataset->source[i].sha256));
    }
    return json_pack("{s:s, s:[i, i, i], s:i, s:I, s:I, s:o}", "name", dataset->name, "shape",
                     (int)dataset->shape.channels, (int)dataset->shape.height,
                     (int)dataset->shape.width, "classes", (int)dataset->class_count, "train",
                     (json_int_t)dataset->split[BM_SPLIT_TRAIN].count, "test",
                     (json_int_t)dataset->split[BM_SPLIT_TEST].count, "files", sources);
}

static json_t *run_json(const struct run *run, int argc, char **argv) {
    char stamp[32];
    char started[32];
    char machine[BM_NAME_SIZE];
    time_t now = time(NULL);
    struct tm utc;
    (void)gmtime_r(&now, &utc);
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    (void)strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &utc);
    bm_environment_machine(machine, sizeof machine);
    return json_pack("{s:s, s:i, s:o, s:s, s:o, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:b, s:o}",
                     "kind", "run", "schema", BM_RECORD_SCHEMA, "id", make_id(stamp), "started",
                     started, "command", command_line(argc, argv), "seed",
                     (json_int_t)run->options->seed.values[0], "version", BM_VERSION, "revision",
                     bm_environment_revision(), "machine",
                     run->options->machine[0] != '\0' ? run->options->machine : machine, "host",
                     bm_environment_host(), "build", bm_environment_build(), "options",
                     bm_resume_options(run->options), "in_process", (int)run->options->in_process,
                     "resumed", run->earlier != NULL, "data", data_json(&run->dataset));
}

/* ---- Writing ---- */

static void write_object(struct run *run, json_t *object) {
    struct bm_error error;
    (void)json_array_append_new(run->objects, object);
    if (bm_record_write(&run->record, object, &error) != BM_STATUS_OK && !run->write_failed) {
        run->write_failed = 1;
        *run->error = error;
    }
}

static void count_cell(struct run *run, const json_t *cell) {
    const char *status = json_string_value(json_object_get(cell, "status"));
    run->measured += strcmp(status, "ok") == 0;
    run->wrong += strcmp(status, "wrong") == 0;
    run->crashed += strcmp(status, "crashed") == 0 || strcmp(status, "timeout") == 0;
    if (strcmp(status, "error") == 0) {
        int refused = json_is_true(json_object_get(cell, "refused"));
        run->refused += refused ? 1 : 0;
        run->lost += refused ? 0 : 1;
    }
}

static void finish_cell(struct run *run, const struct bm_cell *cell) {
    if (cell->verdict.kind == BM_VERDICT_INTERRUPTED) {
        return;
    }
    json_t *object = bm_cell_json(cell);
    count_cell(run, object);
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

static void roundoffs(const char *precision, double *multiply, double *accumulate) {
    *accumulate = BM_ROUNDOFF_FLOAT32;
    *multiply = strcmp(precision, BM_PRECISION_TF32) == 0       ? BM_ROUNDOFF_TF32
                : strcmp(precision, BM_PRECISION_BF16_F32) == 0 ? BM_ROUNDOFF_BF16
                : strcmp(precision, BM_PRECISION_F16_F32) == 0  ? BM_ROUNDOFF_F16
                                                                : BM_ROUNDOFF_FLOAT32;
}

static double distinct_images(uint64_t batch) {
    return (double)(batch < BM_EXPECTED_IMAGES ? batch : BM_EXPECTED_IMAGES);
}

/* Before each size: whether it and those after it are left out, because it would take more than
 * the reference's share of the time: by the line through the last two sizes, since a part of the
 * cost does not grow with the images. */
static int32_t stop_reference(void *context, uint32_t index) {
    struct run *run = context;
    bm_progress_show(&run->progress, run->deadline_s - bm_schedule_now_s(),
                     "float64 reference, batch %llu", (unsigned long long)run->batches[index]);
    double now_s = bm_schedule_now_s();
    double limit_s = run->started_s + REFERENCE_SHARE * run->options->time_limit_s;
    double next_s = 0;
    if (index > 0) {
        double images = distinct_images(run->batches[index - 1]);
        double more_images = images - run->reference_images;
        next_s = now_s - run->reference_s;
        double more_s = next_s - run->reference_took_s;
        run->reference_took_s = next_s;
        run->reference_images = images;
        if (index > 1 && more_images > 0 && more_s > 0) {
            next_s += more_s / more_images * (distinct_images(run->batches[index]) - images);
        }
    }
    run->reference_s = now_s;
    return bm_interrupt_signal() != 0 || (index > 0 && now_s + next_s > limit_s);
}

static void close_reference(struct run *run) {
    if (run->of.reference_fd >= 0) {
        (void)close(run->of.reference_fd);
    }
    run->of.reference_fd = -1;
    run->reference_key[0] = '\0';
}

/* The reference of this case, if it is not that of the case before. */
static int32_t make_reference(struct run *run) {
    char key[sizeof run->reference_key];
    struct bm_expected_request request = {
        .model = &run->model,
        .dataset = &run->dataset,
        .seed = run->of.seed,
        .micro_batch = run->of.micro_batch,
        .thread_count = bm_environment_cores(),
    };
    (void)snprintf(key, sizeof key, "%s %s %llu %s %llu", run->dataset.name, run->model.name,
                   (unsigned long long)run->of.seed, run->of.precision,
                   (unsigned long long)run->of.micro_batch);
    if (run->of.reference_fd >= 0 && strcmp(key, run->reference_key) == 0) {
        return BM_STATUS_OK;
    }
    close_reference(run);
    roundoffs(run->of.precision, &request.multiply_roundoff, &request.accumulate_roundoff);
    int32_t status = bm_expected_create(&request, run->batches, run->batch_count, stop_reference,
                                        run, &run->of.reference_fd, run->error);
    (void)snprintf(run->reference_key, sizeof run->reference_key, "%s", key);
    return status;
}

static int needs_reference(const struct run *run) {
    for (uint32_t i = 0; i < run->selection.row_count; i++) {
        if (run->selection.row[i].device != NULL && !run->selection.row[i].computes_nothing) {
            return 1;
        }
    }
    return 0;
}

static uint32_t reference_count(const struct run *run) {
    struct bm_expected expected;
    struct bm_error error;
    int fd = run->of.reference_fd < 0 ? -1 : dup(run->of.reference_fd);
    if (fd < 0 || bm_expected_map(fd, &expected, &error) != BM_STATUS_OK) {
        return 0;
    }
    uint32_t count = expected.entry_count;
    bm_expected_unmap(&expected);
    return count;
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
    count_cell(run, found);
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

static int32_t measure_batch(struct run *run, uint32_t index, uint32_t reference_sizes) {
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
        if (cell->active && index >= reference_sizes && !cell->row->computes_nothing) {
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
    int32_t status = needs_reference(run) ? make_reference(run) : BM_STATUS_OK;
    uint32_t sizes = reference_count(run);
    for (uint32_t i = 0; i < run->batch_count && status == BM_STATUS_OK; i++) {
        status = measure_batch(run, i, sizes);
        if (run->write_failed) {
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
            run->reference_key[0] = '\0';
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

static int print_records(const struct run *run, const char *format, FILE *stream) {
    size_t index;
    const json_t *object;
    if (strcmp(format, "jsonl") != 0) {
        bm_table_print(run->objects, (uint32_t)bm_table_format(format), run->options->verbose,
                       stream);
        return ferror(stream) ? -1 : 0;
    }
    json_array_foreach(run->objects, index, object) {
        if (json_dumpf(object, stream, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 ||
            fputc('\n', stream) == EOF) {
            return -1;
        }
    }
    return 0;
}

static void write_exports(struct run *run) {
    for (uint32_t i = 0; i < run->options->export_to.count; i++) {
        char format[BM_PATH_SIZE];
        (void)snprintf(format, sizeof format, "%s", run->options->export_to.paths[i]);
        char *path = strchr(format, '=');
        *path++ = '\0';
        FILE *stream = fopen(path, "we");
        int failed = stream == NULL || print_records(run, format, stream) != 0;
        failed |= stream != NULL && fclose(stream) != 0;
        if (failed) {
            run->write_failed = 1;
            (void)bm_fail_errno(run->error, BM_STATUS_INTERNAL, "%s: cannot write it", path);
        }
    }
}

static int exit_code(const struct run *run) {
    int signal = bm_interrupt_signal();
    if (signal != 0) {
        return 128 + signal;
    }
    if (run->write_failed) {
        return BM_EXIT_WRITE;
    }
    if (run->refused > 0) {
        return BM_EXIT_REFUSED;
    }
    if (run->crashed > 0) {
        return BM_EXIT_CRASHED;
    }
    if (run->wrong > 0) {
        return BM_EXIT_WRONG;
    }
    return run->measured == 0 || run->lost > 0 ? BM_EXIT_NOTHING : BM_EXIT_OK;
}

/* The end object and the file's final name; an interrupted run keeps its partial name, for
 * --resume. */
static void close_record(struct run *run) {
    struct bm_error error = {0};
    if (bm_interrupt_signal() != 0 || run->write_failed) {
        bm_record_abandon(&run->record);
        return;
    }
    json_t *end = json_pack("{s:s, s:i, s:i, s:f, s:i, s:s}", "kind", "end", "schema",
                            BM_RECORD_SCHEMA, "cells", (int)json_array_size(run->objects) - 1,
                            "seconds", bm_schedule_now_s() - run->started_s, "exit", exit_code(run),
                            "left_out", run->selection.left_out);
    write_object(run, end);
    if (!run->write_failed && bm_record_finish(&run->record, &error) != BM_STATUS_OK) {
        run->write_failed = 1;
        *run->error = error;
    }
    if (run->write_failed) {
        bm_record_abandon(&run->record);
    }
}

static void print_end(struct run *run) {
    const char *format = run->options->format;
    bm_progress_clear(&run->progress);
    if (print_records(run, format, stdout) != 0) {
        run->write_failed = 1;
        (void)bm_fail_errno(run->error, BM_STATUS_INTERNAL, "standard output: cannot write it");
    }
    FILE *stream = strcmp(format, "table") == 0 ? stdout : stderr;
    if (run->selection.left_out[0] != '\0') {
        (void)fprintf(stream, "left out: %s\n", run->selection.left_out);
    }
    if (bm_interrupt_signal() != 0) {
        (void)fprintf(stream, "interrupted; what is done is in %s, and --resume %s goes on\n",
                      run->record.partial, run->record.path);
    } else if (!run->write_failed) {
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
    write_exports(run);
    return run->write_failed && bm_interrupt_signal() == 0 ? fail(run, BM_EXIT_WRITE)
                                                           : exit_code(run);
}

/* The finished cells of the earlier run go into the new file before it takes the old one's place.
 */
static int32_t keep_earlier(struct run *run) {
    size_t index;
    json_t *object;
    int32_t status = run->write_failed ? BM_STATUS_INTERNAL : BM_STATUS_OK;
    json_array_foreach(run->earlier, index, object) {
        if (status == BM_STATUS_OK && bm_resume_is_finished(object)) {
            status = bm_record_write(&run->record, object, run->error);
        }
    }
    if (status == BM_STATUS_OK) {
        status = bm_record_commit(&run->record, run->error);
    }
    run->write_failed = status != BM_STATUS_OK;
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
    write_object(run, run_json(run, argc, argv));
    if (run->write_failed) {
        return BM_STATUS_INTERNAL;
    }
    return replace ? keep_earlier(run) : BM_STATUS_OK;
}

static int run_all(struct run *run, int argc, char **argv) {
    struct bm_options *options = run->options;
    set_defaults(options);
    run->started_s = bm_schedule_now_s();
    run->deadline_s = run->started_s + options->time_limit_s;
    run->of.reference_fd = -1;
    run->of.dataset = &run->dataset;
    run->of.model = &run->model;
    run->of.micro_batch = options->micro_batch;
    run->of.lr = options->lr;
    bm_progress_init(&run->progress);
    if (bm_selection_make(options, &run->selection, run->error) != BM_STATUS_OK ||
        open_dataset(run, options->dataset.names[0]) != BM_STATUS_OK) {
        return fail(run, BM_EXIT_USAGE);
    }
    if (open_record(run, argc, argv) != BM_STATUS_OK) {
        return fail(run, run->write_failed ? BM_EXIT_WRITE : BM_EXIT_USAGE);
    }
    print_plan(run);
    int code = measure_and_print(run);
    close_reference(run);
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
