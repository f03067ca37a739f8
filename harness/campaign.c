#include "campaign.h"

#include "command.h"
#include "division.h"
#include "environment.h"
#include "error.h"
#include "interrupt.h"
#include "now.h"
#include "output.h"
#include "place.h"
#include "printable.h"
#include "resume.h"
#include "run_object.h"
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

double bm_campaign_left_s(const struct bm_campaign *campaign) {
    return campaign->deadline_s - bm_now_s();
}

void bm_campaign_write(struct bm_campaign *campaign, json_t *object) {
    struct bm_error error;
    (void)json_array_append_new(campaign->objects, object);
    if (bm_record_write(&campaign->record, object, &error) != BM_STATUS_OK &&
        !campaign->outcome.write_failed) {
        campaign->outcome.write_failed = 1;
        *campaign->error = error;
    }
}

/* ---- One case ---- */

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void bm_campaign_plan_batches(struct bm_campaign *campaign) {
    uint64_t sorted[BM_LIST_MAX];
    uint64_t images = campaign->dataset.split[BM_SPLIT_TRAIN].count;
    uint32_t count = campaign->options->batch.count;
    memcpy(sorted, campaign->options->batch.values, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], by_size);
    campaign->batch_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t batch = sorted[i] < images ? sorted[i] : images;
        if (campaign->batch_count == 0 || campaign->batches[campaign->batch_count - 1] != batch) {
            campaign->requested[campaign->batch_count] = sorted[i];
            campaign->batches[campaign->batch_count++] = batch;
        }
    }
}

static void show_reference(void *context, uint64_t batch) {
    struct bm_campaign *campaign = context;
    bm_progress_show(&campaign->progress, bm_campaign_left_s(campaign),
                     "float64 reference, batch %llu", (unsigned long long)batch);
}

static int needs_reference(const struct bm_campaign *campaign) {
    for (uint32_t i = 0; i < campaign->selection.row_count; i++) {
        if (campaign->selection.row[i].device != NULL &&
            !campaign->selection.row[i].computes_nothing) {
            return 1;
        }
    }
    return 0;
}

int32_t bm_campaign_make_reference(struct bm_campaign *campaign) {
    int32_t status =
        needs_reference(campaign)
            ? bm_case_reference_make(&campaign->reference, &campaign->of, campaign->batches,
                                     campaign->batch_count, campaign->error)
            : BM_STATUS_OK;
    campaign->of.reference_fd = campaign->reference.fd;
    return status;
}

void bm_campaign_stop_workers(struct bm_campaign *campaign) {
    for (uint32_t i = 0; i < campaign->selection.row_count; i++) {
        struct bm_row *row = &campaign->selection.row[i];
        bm_schedule_stop(row);
        row->known_count = 0;
        row->failures = 0;
    }
}

static int32_t build_model(struct bm_campaign *campaign, const char *name) {
    struct bm_dataset *dataset = &campaign->dataset;
    if (strcmp(name, "custom") != 0) {
        return bm_model_named(name, dataset->shape, dataset->class_count, &campaign->model,
                              campaign->error);
    }
    if (campaign->options->layers[0] == '\0') {
        return bm_fail(campaign->error, BM_STATUS_INVALID,
                       "--model custom: expected `layers = ...` in an ini file, found none");
    }
    return bm_model_parse(name, campaign->options->layers, dataset->shape, dataset->class_count,
                          &campaign->model, campaign->error);
}

int32_t bm_campaign_make_model(struct bm_campaign *campaign, const char *name) {
    int32_t status = build_model(campaign, name);
    if (status == BM_STATUS_OK) {
        bm_model_format(&campaign->model, campaign->of.layers, sizeof campaign->of.layers);
    }
    return status;
}

int32_t bm_campaign_open_dataset(struct bm_campaign *campaign, const char *name) {
    const struct bm_options *options = campaign->options;
    bm_dataset_close(&campaign->dataset);
    return bm_dataset_open(name, options->data_dir[0] == '\0' ? NULL : options->data_dir,
                           &options->synthetic, &campaign->dataset, campaign->error);
}

int32_t bm_campaign_divide(struct bm_campaign *campaign) {
    const struct bm_train_options *options = &campaign->options->train;
    campaign->of.is_divided = 1;
    campaign->of.image_count = options->images;
    int32_t status =
        bm_dataset_divide(&campaign->dataset, options->images, options->held_out, campaign->error);
    campaign->of.held_out = campaign->dataset.split[BM_SPLIT_VALIDATION].count;
    return status;
}

/* ---- Beginning and end ---- */

static void set_defaults(struct bm_options *options) {
    if (options->threads.count == 0) {
        options->threads.count = 1;
        options->threads.values[0] = bm_environment_cores();
    }
}

/* The end object and the file's final name; what is not whole keeps its partial name, also for
 * --resume. */
static void close_record(struct bm_campaign *campaign, int is_whole) {
    struct bm_error error = {0};
    if (!is_whole || campaign->outcome.write_failed) {
        bm_record_abandon(&campaign->record);
        return;
    }
    json_t *end = json_pack(
        "{s:s, s:i, s:i, s:f, s:i, s:s}", "kind", "end", "schema", BM_RECORD_SCHEMA, "cells",
        (int)json_array_size(campaign->objects) - 1, "seconds", bm_now_s() - campaign->started_s,
        "exit", bm_outcome_exit_code(&campaign->outcome), "left_out", campaign->selection.left_out);
    bm_campaign_write(campaign, end);
    if (!campaign->outcome.write_failed &&
        bm_record_finish(&campaign->record, &error) != BM_STATUS_OK) {
        campaign->outcome.write_failed = 1;
        *campaign->error = error;
    }
    if (campaign->outcome.write_failed) {
        bm_record_abandon(&campaign->record);
    }
}

static void print_partial(const struct bm_campaign *campaign, FILE *stream) {
    (void)fprintf(stream, "%s; what is done is in %s",
                  bm_interrupt_signal() != 0 ? "interrupted" : "not finished",
                  campaign->record.partial);
    if (campaign->command->keeps != NULL) {
        (void)fprintf(stream, ", and --resume %s goes on", campaign->record.path);
    }
    (void)fputc('\n', stream);
}

static void print_end(struct bm_campaign *campaign, int is_whole) {
    const char *format = campaign->options->format;
    bm_progress_clear(&campaign->progress);
    if (bm_output_print(campaign->objects, format, campaign->options->verbose, stdout,
                        "standard output", campaign->error) != BM_STATUS_OK) {
        campaign->outcome.write_failed = 1;
    }
    FILE *stream = strcmp(format, "table") == 0 ? stdout : stderr;
    if (campaign->selection.left_out[0] != '\0') {
        (void)fprintf(stream, "left out: %s\n", campaign->selection.left_out);
    }
    if (!is_whole) {
        print_partial(campaign, stream);
    } else if (!campaign->outcome.write_failed) {
        bm_record_tell(&campaign->record, stream);
    }
}

int32_t bm_campaign_make_folder(const struct bm_campaign *campaign) {
    const char *folder = campaign->options->train.keep;
    struct stat info;
    if (folder[0] == '\0' || mkdir(folder, 0777) == 0 ||
        (stat(folder, &info) == 0 && S_ISDIR(info.st_mode))) {
        return BM_STATUS_OK;
    }
    return bm_fail_errno(campaign->error, BM_STATUS_INVALID, "--keep: no folder %s", folder);
}

/* What a record holds may be part of the text. */
static int fail(const struct bm_campaign *campaign, int code) {
    bm_printable(campaign->error->text, "");
    (void)fprintf(stderr, "batchmark %s: %s\n", campaign->command->name, campaign->error->text);
    return code;
}

/* Nothing could be measured: nothing is left of a record that holds its first object only. */
static int give_up(struct bm_campaign *campaign) {
    bm_progress_clear(&campaign->progress);
    if (campaign->earlier == NULL) {
        bm_record_discard(&campaign->record);
    } else {
        bm_record_abandon(&campaign->record);
    }
    return fail(campaign, BM_EXIT_USAGE);
}

/* With the plugins known and the record open. What was measured before something failed is shown
 * and kept, as after an interrupt. */
static int measure_and_print(struct bm_campaign *campaign) {
    int32_t status = campaign->command->measure(campaign);
    const struct bm_error why = *campaign->error;
    bm_campaign_stop_workers(campaign);
    int has_failed = status != BM_STATUS_OK && bm_interrupt_signal() == 0;
    int is_whole = !has_failed && bm_interrupt_signal() == 0;
    if (has_failed && json_array_size(campaign->objects) == 1) {
        return give_up(campaign);
    }
    close_record(campaign, is_whole);
    print_end(campaign, is_whole);
    if (bm_output_export(campaign->objects, campaign->options, campaign->error) != BM_STATUS_OK) {
        campaign->outcome.write_failed = 1;
    }
    if (campaign->outcome.write_failed && bm_interrupt_signal() == 0) {
        return fail(campaign, BM_EXIT_WRITE);
    }
    if (has_failed) {
        *campaign->error = why;
        return fail(campaign, BM_EXIT_USAGE);
    }
    return bm_outcome_exit_code(&campaign->outcome);
}

/* The finished cells of the earlier run go into the new file before it takes the old one's place.
 */
static int32_t keep_earlier(struct bm_campaign *campaign) {
    size_t index;
    json_t *object;
    int32_t status = campaign->outcome.write_failed ? BM_STATUS_INTERNAL : BM_STATUS_OK;
    json_array_foreach(campaign->earlier, index, object) {
        if (status == BM_STATUS_OK && campaign->command->keeps(campaign, object)) {
            status = bm_record_write(&campaign->record, object, campaign->error);
            if (campaign->command->shows_kept) {
                (void)json_array_append(campaign->objects, object);
            }
        }
    }
    if (status == BM_STATUS_OK) {
        status = bm_record_commit(&campaign->record, campaign->error);
    }
    campaign->outcome.write_failed = status != BM_STATUS_OK;
    return status;
}

/* A record of other images is not gone on with. */
static int32_t check_data(const struct bm_campaign *campaign) {
    if (campaign->earlier == NULL) {
        return BM_STATUS_OK;
    }
    json_t *data = bm_run_data(campaign->options, &campaign->dataset);
    int32_t status = bm_resume_check_data(campaign->earlier, data, campaign->error);
    json_decref(data);
    return status;
}

/* The record that --resume names, by that name or by its partial file's. */
static void name_resumed(const struct bm_options *options, char *path, size_t capacity) {
    (void)snprintf(path, capacity, "%s", options->resume);
    size_t length = strlen(path);
    if (length > 8 && strcmp(path + length - 8, ".partial") == 0) {
        path[length - 8] = '\0';
    }
}

/* The partial file of the record that is gone on with, and of no other one: that is another run's.
 */
static uint32_t may_replace(const struct bm_campaign *campaign, const char *path) {
    char resumed[BM_PATH_SIZE];
    name_resumed(campaign->options, resumed, sizeof resumed);
    return campaign->earlier != NULL && bm_place_same_file(resumed, path);
}

/* No export is written over the record, or over what is read. */
static int32_t check_exports(const struct bm_campaign *campaign, const char *path) {
    const struct bm_options *options = campaign->options;
    const char *const files[] = {path, options->resume, options->config, options->train.from};
    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        status = status ? status : bm_output_check(options, files[i], campaign->error);
    }
    for (uint32_t i = 0; i < campaign->word_count; i++) {
        const char *word = campaign->words[i];
        if (strpbrk(word, "./") != NULL) { /* others are no files but names of analyses */
            status = status ? status : bm_output_check(options, word, campaign->error);
        }
    }
    return status;
}

static int32_t open_record(struct bm_campaign *campaign, int argc, char **argv) {
    char path[BM_PATH_SIZE];
    uint32_t resumed = campaign->earlier != NULL;
    int32_t status = check_data(campaign);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (resumed && campaign->options->output[0] == '\0') {
        name_resumed(campaign->options, path, sizeof path);
    } else {
        status = bm_record_path(campaign->options, campaign->command->name, path, sizeof path,
                                campaign->error);
    }
    status = status ? status : check_exports(campaign, path);
    if (status == BM_STATUS_OK) {
        status =
            bm_record_create(path, may_replace(campaign, path), &campaign->record, campaign->error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (campaign->command->begin != NULL) {
        campaign->command->begin(campaign);
    }
    bm_campaign_write(campaign,
                      bm_run_object(campaign->command->name, campaign->options, &campaign->dataset,
                                    &campaign->roofline, resumed, argc, argv));
    if (campaign->outcome.write_failed) {
        return BM_STATUS_INTERNAL;
    }
    return resumed ? keep_earlier(campaign) : BM_STATUS_OK;
}

void bm_campaign_begin(struct bm_campaign *campaign) {
    struct bm_options *options = campaign->options;
    set_defaults(options);
    campaign->started_s = bm_now_s();
    campaign->deadline_s = campaign->started_s + options->time_limit_s;
    bm_case_reference_init(&campaign->reference, campaign->started_s, options->time_limit_s);
    campaign->reference.progress = show_reference;
    campaign->reference.context = campaign;
    campaign->of.dataset = &campaign->dataset;
    campaign->of.model = &campaign->model;
    campaign->of.micro_batch = options->micro_batch;
    campaign->of.data_parallel = (uint32_t)options->data_parallel;
    campaign->of.lr = options->lr;
    bm_progress_init(&campaign->progress);
}

static int measure_all(struct bm_campaign *campaign, int argc, char **argv) {
    struct bm_options *options = campaign->options;
    bm_campaign_begin(campaign);
    if (campaign->command->prepare != NULL &&
        campaign->command->prepare(campaign) != BM_STATUS_OK) {
        return fail(campaign, BM_EXIT_USAGE);
    }
    if (bm_selection_make(options, &campaign->selection, campaign->error) != BM_STATUS_OK ||
        bm_campaign_open_dataset(campaign, options->dataset.names[0]) != BM_STATUS_OK) {
        return fail(campaign, BM_EXIT_USAGE);
    }
    if (open_record(campaign, argc, argv) != BM_STATUS_OK) {
        return fail(campaign, campaign->outcome.write_failed ? BM_EXIT_WRITE : BM_EXIT_USAGE);
    }
    campaign->command->plan(campaign);
    int code = measure_and_print(campaign);
    bm_case_reference_close(&campaign->reference);
    return code;
}

/* Parses again with the options of the record that --resume names in front. Of one that was
 * measured again and interrupted the partial file is what goes on, not the finished one. */
static int32_t apply_resume(struct bm_campaign *campaign, int argc, char **argv) {
    const char *words[1];
    uint32_t word_count = 0;
    uint32_t torn = 0;
    int count = 0;
    int32_t status = bm_record_read_unfinished(campaign->options->resume, &campaign->earlier, &torn,
                                               campaign->error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    const char *made_by = bm_resume_command(campaign->earlier);
    if (strcmp(made_by, campaign->command->name) != 0) {
        return bm_fail(campaign->error, BM_STATUS_INVALID,
                       "--resume %s: expected a record of `%s`, found one of `%s`",
                       campaign->options->resume, campaign->command->name, made_by);
    }
    char **arguments =
        bm_resume_arguments(campaign->earlier, campaign->command->bit, argc, argv, &count);
    if (arguments == NULL) {
        return bm_fail(campaign->error, BM_STATUS_NO_MEMORY, "--resume: no memory");
    }
    status = bm_options_parse(campaign->command->bit, count, arguments, campaign->options, words, 0,
                              &word_count, campaign->error);
    bm_resume_free(arguments, count);
    return status ? status
                  : bm_resume_check_settings(campaign->earlier, campaign->options, campaign->error);
}

int bm_campaign_run(const struct bm_campaign_command *command, void *own, int argc, char **argv) {
    struct bm_campaign *campaign = calloc(1, sizeof *campaign);
    struct bm_options *options = calloc(1, sizeof *options);
    struct bm_error error = {0};
    const uint32_t word_max = command->words == NULL ? 0 : BM_CAMPAIGN_WORD_MAX;
    int code = BM_EXIT_USAGE;
    if (campaign == NULL || options == NULL) {
        free(campaign);
        free(options);
        (void)fprintf(stderr, "batchmark %s: no memory\n", command->name);
        return BM_EXIT_USAGE;
    }
    campaign->command = command;
    campaign->own = own;
    campaign->options = options;
    campaign->error = &error;
    campaign->dataset.fd = -1;
    campaign->objects = json_array();
    bm_interrupt_catch();
    int32_t status = bm_options_parse(command->bit, argc, argv, options, campaign->words, word_max,
                                      &campaign->word_count, &error);
    if (status == BM_STATUS_OK && options->resume[0] != '\0' && !options->help) {
        status = apply_resume(campaign, argc, argv);
    }
    if (status != BM_STATUS_OK) {
        code = fail(campaign, BM_EXIT_USAGE);
    } else if (options->help) {
        (void)printf("usage: batchmark %s%s%s [OPTIONS]\n\n%s\n\n", command->name,
                     command->words == NULL ? "" : " ",
                     command->words == NULL ? "" : command->words, command->about);
        bm_options_help(command->bit, stdout);
        code = BM_EXIT_OK;
    } else {
        code = measure_all(campaign, argc, argv);
    }
    bm_selection_free(&campaign->selection);
    bm_dataset_close(&campaign->dataset);
    json_decref(campaign->objects);
    json_decref(campaign->earlier);
    free(campaign);
    free(options);
    return code;
}
