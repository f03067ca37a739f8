#include "compare_run.h"

#include "command.h"
#include "compare_cell.h"
#include "compare_instructions.h"
#include "error.h"
#include "interrupt.h"
#include "now.h"
#include "output.h"
#include "run_object.h"
#include "stored_record.h"

#include <string.h>

/* Less is no time for a cell. */
#define CELL_LEAST_S 0.1

/* ---- One cell ---- */

/* Whose name and device a cell has: head's, or base's where head has none or is base in disguise.
 */
static const struct bm_row *naming_row(const struct bm_compare_run *run,
                                       const struct bm_compare_pair *pair) {
    const struct bm_row *base = pair->row[BM_SIDE_BASE];
    const struct bm_row *head = pair->row[BM_SIDE_HEAD];
    if (base == NULL) {
        return head;
    }
    return head == NULL || head->device == NULL || run->variant != NULL ? base : head;
}

static void name_cell(json_t *names, struct bm_comparison_cell *cell) {
    bm_stored_name(names, cell->name, sizeof cell->name);
    json_decref(names);
}

static void name_backend(const struct bm_compare_run *run,
                         const struct bm_compare_pair *pair,
                         struct bm_comparison_cell *cell) {
    bm_row_label(naming_row(run, pair), cell->backend, sizeof cell->backend);
    if (run->variant != NULL) {
        size_t used = strlen(cell->backend);
        (void)snprintf(cell->backend + used, sizeof cell->backend - used, " %s", run->variant);
    }
}

static void describe_cell(const struct bm_compare_run *run,
                          const struct bm_compare_pair *pair,
                          uint64_t batch,
                          struct bm_comparison_cell *cell) {
    const struct bm_case *of = &run->campaign.of;
    const struct bm_row *row = naming_row(run, pair);
    const char *device = json_string_value(json_object_get(row->device, "name"));
    name_cell(json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:s, s:I, s:I}", "model", of->model->name,
                        "layers", of->layers, "dataset", of->dataset->name, "optimizer",
                        bm_optimizer_names[of->optimizer], "batch", (json_int_t)batch, "threads",
                        (int)of->threads, "precision", of->precision, "micro_batch",
                        (json_int_t)of->micro_batch, "seed", (json_int_t)of->seed),
              cell);
    name_backend(run, pair, cell);
    (void)snprintf(cell->device, sizeof cell->device, "%s", device == NULL ? "" : device);
    cell->batch = batch;
    cell->threads = of->threads;
}

static void show_progress(void *context, const struct bm_gate *gate) {
    struct bm_compare_run *run = context;
    struct bm_campaign *campaign = &run->campaign;
    double cells_s = (double)run->cells_left * campaign->options->cell_time_s;
    double left_s = bm_campaign_left_s(campaign);
    bm_progress_show(&campaign->progress, cells_s < left_s ? cells_s : left_s,
                     "%s, batch %llu: %s, set %u", run->now->backend,
                     (unsigned long long)run->now->batch,
                     gate->is_confirming ? "second stage" : "first stage", gate->count + 1);
}

/* Each cell that is still to come gets the same, and what it does not need is for the others. */
static double cell_time_s(const struct bm_compare_run *run) {
    double part_s =
        bm_campaign_left_s(&run->campaign) / (double)(run->cells_left > 0 ? run->cells_left : 1);
    double most_s = run->campaign.options->cell_time_s;
    return part_s < most_s ? part_s : most_s;
}

static void
skip(struct bm_comparison_cell *cell, enum bm_comparison_verdict verdict, const char *reason) {
    cell->verdict = verdict;
    (void)snprintf(cell->reason, sizeof cell->reason, "%s", reason);
}

/* Of what has a time: a second gate, which noise cannot touch. */
static void count_instructions(struct bm_compare_run *run,
                               const struct bm_compare_pair *pair,
                               struct bm_comparison_cell *cell) {
    const struct bm_options *options = run->campaign.options;
    const char *pattern = options->compare.instructions;
    const struct bm_compare_count count = {
        .of = &run->campaign.of,
        .pair = pair,
        .batch = cell->batch,
        .is_asked = pattern[0] != '\0' && bm_comparison_is_wanted(cell, pattern),
        .threshold = options->compare.instructions_threshold,
        .limit_s = options->hang_time_s,
    };
    if (cell->ratio > 0 && bm_interrupt_signal() == 0) {
        bm_compare_instructions(&count, &cell->instructions);
    }
}

/* 0 if a signal came. */
static int measure_pair(struct bm_compare_run *run,
                        const struct bm_compare_pair *pair,
                        uint32_t batch_index,
                        struct bm_comparison_cell *cell) {
    const struct bm_campaign *campaign = &run->campaign;
    struct bm_compare_request request = {
        .of = &campaign->of,
        .pair = pair,
        .batch = campaign->batches[batch_index],
        .first_set = run->repeat * BM_GATE_SETS_MAX,
        .threshold = campaign->options->compare.threshold,
        .time_s = cell_time_s(run),
        .hang_time_s = campaign->options->hang_time_s,
        .progress = show_progress,
        .context = run,
    };
    if (bm_interrupt_signal() != 0) {
        return 0;
    }
    if (request.time_s < CELL_LEAST_S) {
        skip(cell, BM_COMPARISON_SKIPPED, "the time limit came before its turn");
        return 1;
    }
    if (batch_index >= campaign->reference.size_count) {
        skip(cell, BM_COMPARISON_SKIPPED, campaign->reference.missing);
        return 1;
    }
    if (!bm_compare_measure_cell(&request, cell)) {
        return 0;
    }
    count_instructions(run, pair, cell);
    return 1;
}

static int is_measured(const struct bm_compare_run *run, const struct bm_compare_pair *pair) {
    struct bm_comparison_cell unused;
    return !bm_compare_judge_pair(pair, &unused) &&
           (!pair->is_identical || run->campaign.options->compare.no_identical);
}

static int32_t
run_cell(struct bm_compare_run *run, const struct bm_compare_pair *pair, uint32_t batch_index) {
    struct bm_campaign *campaign = &run->campaign;
    int is_judged = 1;
    struct bm_comparison_cell *cell = bm_comparison_add(&run->comparison);
    if (cell == NULL) {
        return bm_fail(campaign->error, BM_STATUS_NO_MEMORY, "compare: no memory for its cells");
    }
    run->now = cell;
    describe_cell(run, pair, campaign->batches[batch_index], cell);
    if (!bm_comparison_is_wanted(cell, campaign->options->filter)) {
        run->comparison.cell_count--;
        return BM_STATUS_OK;
    }
    if (is_measured(run, pair)) {
        is_judged = measure_pair(run, pair, batch_index, cell);
        run->cells_left -= run->cells_left > 0;
    } else if (!bm_compare_judge_pair(pair, cell)) {
        skip(cell, BM_COMPARISON_IDENTICAL, "");
    }
    if (!is_judged) {
        run->comparison.cell_count--;
        return BM_STATUS_OK;
    }
    bm_campaign_write(campaign, bm_comparison_cell_json(cell));
    return BM_STATUS_OK;
}

/* ---- All cells ---- */

static int any_measured(const struct bm_compare_run *run) {
    for (uint32_t i = 0; i < run->plan.pair_count; i++) {
        if (is_measured(run, &run->plan.pair[i])) {
            return 1;
        }
    }
    return 0;
}

static int is_over(const struct bm_compare_run *run) {
    return bm_interrupt_signal() != 0 || run->campaign.outcome.write_failed;
}

static int32_t run_case(struct bm_compare_run *run) {
    struct bm_campaign *campaign = &run->campaign;
    int32_t status = BM_STATUS_OK;
    bm_campaign_plan_batches(campaign);
    if (any_measured(run)) {
        status = bm_case_reference_make(&campaign->reference, &campaign->of, campaign->batches,
                                        campaign->batch_count, campaign->error);
        campaign->of.reference_fd = campaign->reference.fd;
    }
    for (uint32_t i = 0; i < campaign->batch_count; i++) {
        for (uint32_t k = 0; k < run->plan.pair_count; k++) {
            if (status == BM_STATUS_OK && !is_over(run)) {
                status = run_cell(run, &run->plan.pair[k], i);
            }
        }
    }
    return status;
}

static int32_t run_settings(struct bm_compare_run *run) {
    const struct bm_options *options = run->campaign.options;
    struct bm_case *of = &run->campaign.of;
    int32_t status = BM_STATUS_OK;
    for (uint32_t p = 0; p < options->precision.count; p++) {
        for (uint32_t o = 0; o < options->optimizer.count; o++) {
            for (uint32_t t = 0; t < options->threads.count && status == BM_STATUS_OK; t++) {
                of->precision = options->precision.names[p];
                of->optimizer = (uint32_t)bm_optimizer_find(options->optimizer.names[o]);
                of->threads = (uint32_t)options->threads.values[t];
                status = run_case(run);
            }
        }
    }
    return status;
}

static int32_t run_models(struct bm_compare_run *run) {
    struct bm_campaign *campaign = &run->campaign;
    const struct bm_options *options = campaign->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t m = 0; m < options->model.count && status == BM_STATUS_OK; m++) {
        status = bm_campaign_make_model(campaign, options->model.names[m]);
        for (uint32_t s = 0; s < options->seed.count && status == BM_STATUS_OK; s++) {
            campaign->of.seed = options->seed.values[s];
            status = run_settings(run);
        }
    }
    return status;
}

/* The first was opened for the run object; of one that is open its references hold. */
static int32_t open_dataset(struct bm_compare_run *run, const char *name) {
    struct bm_campaign *campaign = &run->campaign;
    if (strcmp(campaign->dataset.name, name) == 0) {
        return BM_STATUS_OK;
    }
    bm_case_reference_close(&campaign->reference);
    return bm_campaign_open_dataset(campaign, name);
}

/* Takes a place in a list of `count` out of the number of a combination. */
static uint32_t take(uint64_t *number, uint32_t count) {
    uint32_t place = (uint32_t)(*number % count);
    *number /= count;
    return place;
}

static uint64_t combination_count(const struct bm_options *options) {
    return (uint64_t)options->dataset.count * options->model.count * options->seed.count *
           options->precision.count * options->optimizer.count * options->threads.count *
           options->batch.count;
}

/* A cell of the options by the number of its combination, as it is called where no batch is above
 * its data, which is not there yet. */
static void
name_planned(const struct bm_options *options, uint64_t number, struct bm_comparison_cell *cell) {
    uint32_t dataset = take(&number, options->dataset.count);
    uint32_t model = take(&number, options->model.count);
    uint32_t seed = take(&number, options->seed.count);
    uint32_t precision = take(&number, options->precision.count);
    uint32_t optimizer = take(&number, options->optimizer.count);
    uint32_t threads = take(&number, options->threads.count);
    uint32_t batch = take(&number, options->batch.count);
    name_cell(
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I}", "model",
                  options->model.names[model], "layers", options->layers, "dataset",
                  options->dataset.names[dataset], "optimizer", options->optimizer.names[optimizer],
                  "batch", (json_int_t)options->batch.values[batch], "threads",
                  (json_int_t)options->threads.values[threads], "precision",
                  options->precision.names[precision], "micro_batch",
                  (json_int_t)options->micro_batch, "seed", (json_int_t)options->seed.values[seed]),
        cell);
}

static uint64_t count_of_pair(const struct bm_compare_run *run,
                              const struct bm_compare_pair *pair) {
    const struct bm_options *options = run->campaign.options;
    uint64_t count = 0;
    for (uint64_t i = 0; i < combination_count(options); i++) {
        struct bm_comparison_cell cell;
        name_planned(options, i, &cell);
        name_backend(run, pair, &cell);
        count += bm_comparison_is_wanted(&cell, options->filter) != 0;
    }
    return count;
}

static uint64_t count_cells(const struct bm_compare_run *run) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < run->plan.pair_count; i++) {
        if (is_measured(run, &run->plan.pair[i])) {
            count += count_of_pair(run, &run->plan.pair[i]);
        }
    }
    return count;
}

int bm_compare_run_cells(struct bm_compare_run *run) {
    const struct bm_options *options = run->campaign.options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t d = 0; d < options->dataset.count && status == BM_STATUS_OK; d++) {
        status = open_dataset(run, options->dataset.names[d]);
        status = status ? status : run_models(run);
    }
    run->failed = status != BM_STATUS_OK;
    return !run->failed && !is_over(run);
}

/* ---- Record and output ---- */

/* The run, and what is compared with what; its cells follow one by one. */
static int32_t open_record(struct bm_compare_run *run, int argc, char **argv) {
    char path[BM_PATH_SIZE];
    struct bm_campaign *campaign = &run->campaign;
    int32_t status =
        bm_record_path(campaign->options, "compare", path, sizeof path, campaign->error);
    status = status ? status : bm_record_create(path, 0, &campaign->record, campaign->error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    bm_campaign_write(campaign, bm_run_object("compare", campaign->options, &campaign->dataset,
                                              &campaign->roofline, 0, argc, argv));
    json_t *head = bm_comparison_json(&run->comparison);
    bm_campaign_write(campaign, json_incref(json_array_get(head, 0)));
    json_decref(head);
    return campaign->outcome.write_failed ? BM_STATUS_INTERNAL : BM_STATUS_OK;
}

void bm_compare_run_end(struct bm_compare_run *run, int code) {
    struct bm_campaign *campaign = &run->campaign;
    struct bm_error error = {0};
    int is_cut = bm_interrupt_signal() != 0 || campaign->outcome.write_failed;
    if (!is_cut && run->comparison.cell_count == 0) {
        bm_record_discard(&campaign->record);
        return;
    }
    if (is_cut || run->failed) {
        bm_record_abandon(&campaign->record);
        return;
    }
    bm_campaign_write(campaign,
                      json_pack("{s:s, s:i, s:i, s:f, s:i}", "kind", "end", "schema",
                                BM_RECORD_SCHEMA, "cells", (int)run->comparison.cell_count,
                                "seconds", bm_now_s() - campaign->started_s, "exit", code));
    if (!campaign->outcome.write_failed &&
        bm_record_finish(&campaign->record, &error) != BM_STATUS_OK) {
        campaign->outcome.write_failed = 1;
        *campaign->error = error;
    }
    if (campaign->outcome.write_failed) {
        bm_record_abandon(&campaign->record);
    }
}

static void note_failure(struct bm_campaign *campaign, int32_t status) {
    campaign->outcome.write_failed |= status != BM_STATUS_OK;
}

static void print_place(const struct bm_compare_run *run, FILE *stream) {
    const struct bm_campaign *campaign = &run->campaign;
    if (bm_interrupt_signal() != 0) {
        (void)fprintf(stream, "interrupted; what is done is in %s\n", campaign->record.partial);
    } else if (run->failed) {
        (void)fprintf(stream, "not finished; what is done is in %s\n", campaign->record.partial);
    } else if (!campaign->outcome.write_failed && run->comparison.cell_count > 0) {
        bm_record_tell(&campaign->record, stream);
    }
}

static void explain_nothing(const struct bm_compare_run *run) {
    const char *filter = run->campaign.options->filter;
    if (run->comparison.cell_count == 0 && bm_interrupt_signal() == 0) {
        (void)fprintf(stderr, "batchmark compare: no cell to compare%s%s%s\n",
                      filter[0] == '\0' ? "" : " whose name matches \"", filter,
                      filter[0] == '\0' ? "" : "\"");
    }
}

void bm_compare_run_print(struct bm_compare_run *run) {
    struct bm_campaign *campaign = &run->campaign;
    const struct bm_options *options = campaign->options;
    bm_progress_clear(&campaign->progress);
    if (run->failed && run->comparison.cell_count == 0) {
        return;
    }
    int is_table = strcmp(options->format, "table") == 0;
    /* Of many gates of the same cells a table says little. */
    if (!is_table || run->variant == NULL || options->verbose) {
        note_failure(campaign, bm_output_print(campaign->objects, options->format, options->verbose,
                                               stdout, "standard output", campaign->error));
    }
    FILE *stream = is_table ? stdout : stderr;
    for (uint32_t side = 0; side < BM_SIDE_COUNT; side++) {
        if (run->plan.side[side].left_out[0] != '\0') {
            (void)fprintf(stream, "left out of %s: %s\n", side == BM_SIDE_BASE ? "base" : "head",
                          run->plan.side[side].left_out);
        }
    }
    print_place(run, stream);
    explain_nothing(run);
    note_failure(campaign, bm_output_export(campaign->objects, options, campaign->error));
}

/* ---- The whole ---- */

static int fail(const struct bm_compare_run *run, int code) {
    (void)fprintf(stderr, "batchmark compare: %s\n", run->campaign.error->text);
    return code;
}

int bm_compare_run_exit_code(const struct bm_compare_run *run, int code) {
    int signal = bm_interrupt_signal();
    if (signal != 0) {
        return 128 + signal;
    }
    if (run->campaign.outcome.write_failed) {
        return fail(run, BM_EXIT_WRITE);
    }
    return run->failed ? fail(run, BM_EXIT_USAGE) : code;
}

/* The last part of a path, which may be a folder's. */
static const char *take_name(const char *path, char name[BM_PATH_SIZE]) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    (void)snprintf(name, BM_PATH_SIZE, "%.*s", (int)length, path);
    const char *slash = strrchr(name, '/');
    return slash == NULL || slash[1] == '\0' ? name : slash + 1;
}

static void begin(struct bm_compare_run *run,
                  struct bm_options *options,
                  const char *const paths[BM_SIDE_COUNT]) {
    struct bm_campaign *campaign = &run->campaign;
    struct bm_comparison *comparison = &run->comparison;
    campaign->options = options;
    campaign->error = &run->error;
    campaign->dataset.fd = -1;
    campaign->objects = json_array();
    (void)snprintf(campaign->roofline.reason, sizeof campaign->roofline.reason,
                   "a comparison needs none");
    comparison->base_name = take_name(paths[BM_SIDE_BASE], run->names[BM_SIDE_BASE]);
    comparison->head_name = take_name(paths[BM_SIDE_HEAD], run->names[BM_SIDE_HEAD]);
    comparison->threshold = options->compare.threshold;
    comparison->is_strict = options->strict;
    bm_interrupt_catch();
    bm_campaign_begin(campaign);
}

/* A plugin that others could change is told of, as of records; what it did nobody knows. */
static int32_t tell_trusted(struct bm_compare_run *run) {
    static const char *const texts[] = {"loaded without --trust", "loaded with --trust"};
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < run->plan.pair_count && status == BM_STATUS_OK; i++) {
        const struct bm_compare_pair *pair = &run->plan.pair[i];
        uint32_t trusted[BM_SIDE_COUNT] = {0};
        char what[BM_NAME_SIZE + 16];
        char label[BM_NAME_SIZE];
        for (uint32_t side = 0; side < BM_SIDE_COUNT; side++) {
            trusted[side] = pair->row[side] != NULL && pair->row[side]->file->trusted;
        }
        bm_row_label(naming_row(run, pair), label, sizeof label);
        (void)snprintf(what, sizeof what, "plugin of %s", label);
        if (trusted[BM_SIDE_BASE] || trusted[BM_SIDE_HEAD]) {
            status = bm_comparison_differ(&run->comparison, what, texts[trusted[BM_SIDE_BASE]],
                                          texts[trusted[BM_SIDE_HEAD]], &run->error);
        }
    }
    return status;
}

int bm_compare_run_open(struct bm_compare_run *run,
                        struct bm_options *options,
                        const char *const paths[BM_SIDE_COUNT],
                        uint64_t repeats,
                        int argc,
                        char **argv) {
    struct bm_campaign *campaign = &run->campaign;
    begin(run, options, paths);
    if (bm_compare_plan_make(options, paths, &run->plan, campaign->error) != BM_STATUS_OK ||
        tell_trusted(run) != BM_STATUS_OK ||
        bm_campaign_open_dataset(campaign, options->dataset.names[0]) != BM_STATUS_OK) {
        return fail(run, BM_EXIT_USAGE);
    }
    if (open_record(run, argc, argv) != BM_STATUS_OK) {
        return fail(run, campaign->outcome.write_failed ? BM_EXIT_WRITE : BM_EXIT_USAGE);
    }
    run->cells_left = repeats * count_cells(run);
    (void)fprintf(stderr, "plan: %llu cell%s to measure, at most %.1f minutes\n",
                  (unsigned long long)run->cells_left, run->cells_left == 1 ? "" : "s",
                  (double)run->cells_left * cell_time_s(run) / 60);
    return BM_EXIT_OK;
}

void bm_compare_run_close(struct bm_compare_run *run) {
    bm_case_reference_close(&run->campaign.reference);
    bm_compare_plan_free(&run->plan);
    bm_comparison_free(&run->comparison);
    bm_dataset_close(&run->campaign.dataset);
    json_decref(run->campaign.objects);
}
