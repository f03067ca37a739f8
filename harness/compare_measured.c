#include "compare_measured.h"

#include "campaign.h"
#include "command.h"
#include "compare_cell.h"
#include "interrupt.h"
#include "output.h"
#include "run_object.h"
#include "schedule.h"
#include "stored_record.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* Less is no time for a cell. */
#define CELL_LEAST_S 0.1

struct compare {
    struct bm_campaign campaign; /* data, model, reference, record; its selection is empty */
    struct bm_compare_plan plan;
    struct bm_comparison comparison;
    char names[BM_SIDE_COUNT][BM_PATH_SIZE];
    uint64_t cells_left; /* to be measured, as far as is known before their data is there */
    struct bm_comparison_cell *now;
};

/* ---- One cell ---- */

static void describe_cell(const struct compare *compare,
                          const struct bm_compare_pair *pair,
                          uint64_t batch,
                          struct bm_comparison_cell *cell) {
    const struct bm_case *of = &compare->campaign.of;
    const struct bm_row *row = pair->row[BM_SIDE_HEAD];
    row = row == NULL || row->device == NULL ? pair->row[BM_SIDE_BASE] : row;
    row = row == NULL ? pair->row[BM_SIDE_HEAD] : row;
    const char *device = json_string_value(json_object_get(row->device, "name"));
    json_t *names = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:i, s:s, s:I, s:I}", "model", of->model->name, "layers",
        of->layers, "dataset", of->dataset->name, "optimizer", bm_optimizer_names[of->optimizer],
        "batch", (json_int_t)batch, "threads", (int)of->threads, "precision", of->precision,
        "micro_batch", (json_int_t)of->micro_batch, "seed", (json_int_t)of->seed);
    bm_stored_name(names, cell->name, sizeof cell->name);
    json_decref(names);
    bm_row_label(row, cell->backend, sizeof cell->backend);
    (void)snprintf(cell->device, sizeof cell->device, "%s", device == NULL ? "" : device);
    cell->batch = batch;
    cell->threads = of->threads;
}

/* The pattern is of the name with the backend in front. */
static int is_wanted(const struct compare *compare, const struct bm_comparison_cell *cell) {
    char name[sizeof cell->backend + sizeof cell->name + 2];
    const char *filter = compare->campaign.options->filter;
    (void)snprintf(name, sizeof name, "%s, %s", cell->backend, cell->name);
    return filter[0] == '\0' || fnmatch(filter, name, FNM_EXTMATCH) == 0;
}

static void show_progress(void *context, const struct bm_gate *gate) {
    struct compare *compare = context;
    struct bm_campaign *campaign = &compare->campaign;
    double cells_s = (double)compare->cells_left * campaign->options->cell_time_s;
    double left_s = bm_campaign_left_s(campaign);
    bm_progress_show(&campaign->progress, cells_s < left_s ? cells_s : left_s,
                     "%s, batch %llu: %s, set %u", compare->now->backend,
                     (unsigned long long)compare->now->batch,
                     gate->is_confirming ? "second stage" : "first stage", gate->count + 1);
}

/* Each cell that is still to come gets the same, and what it does not need is for the others. */
static double cell_time_s(const struct compare *compare) {
    double part_s = bm_campaign_left_s(&compare->campaign) /
                    (double)(compare->cells_left > 0 ? compare->cells_left : 1);
    double most_s = compare->campaign.options->cell_time_s;
    return part_s < most_s ? part_s : most_s;
}

static void
skip(struct bm_comparison_cell *cell, enum bm_comparison_verdict verdict, const char *reason) {
    cell->verdict = verdict;
    (void)snprintf(cell->reason, sizeof cell->reason, "%s", reason);
}

/* 0 if a signal came. */
static int measure_pair(struct compare *compare,
                        const struct bm_compare_pair *pair,
                        uint32_t batch_index,
                        struct bm_comparison_cell *cell) {
    const struct bm_campaign *campaign = &compare->campaign;
    struct bm_compare_request request = {
        .of = &campaign->of,
        .pair = pair,
        .batch = campaign->batches[batch_index],
        .threshold = campaign->options->compare.threshold,
        .time_s = cell_time_s(compare),
        .hang_time_s = campaign->options->hang_time_s,
        .progress = show_progress,
        .context = compare,
    };
    if (bm_interrupt_signal() != 0) {
        return 0;
    }
    if (request.time_s < CELL_LEAST_S) {
        skip(cell, BM_COMPARISON_SKIPPED, "the time limit came before its turn");
        return 1;
    }
    if (batch_index >= campaign->reference.size_count) {
        skip(cell, BM_COMPARISON_SKIPPED, "its float64 reference did not fit into the time limit");
        return 1;
    }
    return bm_compare_measure_cell(&request, cell);
}

static int is_measured(const struct compare *compare, const struct bm_compare_pair *pair) {
    struct bm_comparison_cell unused;
    return !bm_compare_judge_pair(pair, &unused) &&
           (!pair->is_identical || compare->campaign.options->compare.no_identical);
}

static int32_t
run_cell(struct compare *compare, const struct bm_compare_pair *pair, uint32_t batch_index) {
    struct bm_campaign *campaign = &compare->campaign;
    int is_judged = 1;
    struct bm_comparison_cell *cell = bm_comparison_add(&compare->comparison);
    if (cell == NULL) {
        return bm_fail(campaign->error, BM_STATUS_NO_MEMORY, "compare: no memory for its cells");
    }
    compare->now = cell;
    describe_cell(compare, pair, campaign->batches[batch_index], cell);
    if (!is_wanted(compare, cell)) {
        compare->comparison.cell_count--;
        return BM_STATUS_OK;
    }
    if (is_measured(compare, pair)) {
        is_judged = measure_pair(compare, pair, batch_index, cell);
        compare->cells_left -= compare->cells_left > 0;
    } else if (!bm_compare_judge_pair(pair, cell)) {
        skip(cell, BM_COMPARISON_IDENTICAL, "");
    }
    if (!is_judged) {
        compare->comparison.cell_count--;
        return BM_STATUS_OK;
    }
    bm_campaign_write(campaign, bm_comparison_cell_json(cell));
    return BM_STATUS_OK;
}

/* ---- All cells ---- */

static int any_measured(const struct compare *compare) {
    for (uint32_t i = 0; i < compare->plan.pair_count; i++) {
        if (is_measured(compare, &compare->plan.pair[i])) {
            return 1;
        }
    }
    return 0;
}

static int is_over(const struct compare *compare) {
    return bm_interrupt_signal() != 0 || compare->campaign.outcome.write_failed;
}

static int32_t run_case(struct compare *compare) {
    struct bm_campaign *campaign = &compare->campaign;
    int32_t status = BM_STATUS_OK;
    bm_campaign_plan_batches(campaign);
    if (any_measured(compare)) {
        status = bm_case_reference_make(&campaign->reference, &campaign->of, campaign->batches,
                                        campaign->batch_count, campaign->error);
        campaign->of.reference_fd = campaign->reference.fd;
    }
    for (uint32_t i = 0; i < campaign->batch_count; i++) {
        for (uint32_t k = 0; k < compare->plan.pair_count; k++) {
            if (status == BM_STATUS_OK && !is_over(compare)) {
                status = run_cell(compare, &compare->plan.pair[k], i);
            }
        }
    }
    return status;
}

static int32_t run_settings(struct compare *compare) {
    const struct bm_options *options = compare->campaign.options;
    struct bm_case *of = &compare->campaign.of;
    int32_t status = BM_STATUS_OK;
    for (uint32_t p = 0; p < options->precision.count; p++) {
        for (uint32_t o = 0; o < options->optimizer.count; o++) {
            for (uint32_t t = 0; t < options->threads.count && status == BM_STATUS_OK; t++) {
                of->precision = options->precision.names[p];
                of->optimizer = (uint32_t)bm_optimizer_find(options->optimizer.names[o]);
                of->threads = (uint32_t)options->threads.values[t];
                status = run_case(compare);
            }
        }
    }
    return status;
}

static int32_t run_models(struct compare *compare) {
    struct bm_campaign *campaign = &compare->campaign;
    const struct bm_options *options = campaign->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t m = 0; m < options->model.count && status == BM_STATUS_OK; m++) {
        status = bm_campaign_make_model(campaign, options->model.names[m]);
        for (uint32_t s = 0; s < options->seed.count && status == BM_STATUS_OK; s++) {
            campaign->of.seed = options->seed.values[s];
            status = run_settings(compare);
        }
    }
    return status;
}

static int32_t run_all(struct compare *compare) {
    struct bm_campaign *campaign = &compare->campaign;
    const struct bm_options *options = campaign->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t d = 0; d < options->dataset.count && status == BM_STATUS_OK; d++) {
        /* The first was opened for the run object. */
        status =
            d == 0 ? BM_STATUS_OK : bm_campaign_open_dataset(campaign, options->dataset.names[d]);
        if (status == BM_STATUS_OK) {
            bm_case_reference_close(&campaign->reference);
            status = run_models(compare);
        }
    }
    return status;
}

static uint64_t count_cells(const struct compare *compare) {
    const struct bm_options *options = compare->campaign.options;
    uint64_t pairs = 0;
    for (uint32_t i = 0; i < compare->plan.pair_count; i++) {
        pairs += is_measured(compare, &compare->plan.pair[i]) != 0;
    }
    return pairs * options->dataset.count * options->model.count * options->seed.count *
           options->precision.count * options->optimizer.count * options->threads.count *
           options->batch.count;
}

/* ---- Record and output ---- */

/* The run, and what is compared with what; its cells follow one by one. */
static int32_t open_record(struct compare *compare, int argc, char **argv) {
    char path[BM_PATH_SIZE];
    struct bm_campaign *campaign = &compare->campaign;
    int32_t status =
        bm_record_path(campaign->options, "compare", path, sizeof path, campaign->error);
    status = status ? status : bm_record_create(path, 0, &campaign->record, campaign->error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    bm_campaign_write(campaign, bm_run_object("compare", campaign->options, &campaign->dataset,
                                              &campaign->roofline, 0, argc, argv));
    json_t *head = bm_comparison_json(&compare->comparison);
    bm_campaign_write(campaign, json_incref(json_array_get(head, 0)));
    json_decref(head);
    return campaign->outcome.write_failed ? BM_STATUS_INTERNAL : BM_STATUS_OK;
}

static int exit_code(const struct compare *compare) {
    int signal = bm_interrupt_signal();
    if (signal != 0) {
        return 128 + signal;
    }
    return compare->campaign.outcome.write_failed ? BM_EXIT_WRITE
                                                  : bm_comparison_exit_code(&compare->comparison);
}

/* An interrupted comparison keeps its partial name. */
static void close_record(struct compare *compare) {
    struct bm_campaign *campaign = &compare->campaign;
    struct bm_error error = {0};
    if (bm_interrupt_signal() != 0 || campaign->outcome.write_failed) {
        bm_record_abandon(&campaign->record);
        return;
    }
    if (compare->comparison.cell_count == 0) {
        bm_record_discard(&campaign->record);
        return;
    }
    bm_campaign_write(
        campaign, json_pack("{s:s, s:i, s:i, s:f, s:i}", "kind", "end", "schema", BM_RECORD_SCHEMA,
                            "cells", (int)compare->comparison.cell_count, "seconds",
                            bm_schedule_now_s() - campaign->started_s, "exit", exit_code(compare)));
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

static void print_end(struct compare *compare) {
    struct bm_campaign *campaign = &compare->campaign;
    const struct bm_options *options = campaign->options;
    bm_progress_clear(&campaign->progress);
    note_failure(campaign, bm_output_print(campaign->objects, options->format, options->verbose,
                                           stdout, "standard output", campaign->error));
    FILE *stream = strcmp(options->format, "table") == 0 ? stdout : stderr;
    for (uint32_t side = 0; side < BM_SIDE_COUNT; side++) {
        if (compare->plan.side[side].left_out[0] != '\0') {
            (void)fprintf(stream, "left out of %s: %s\n", side == BM_SIDE_BASE ? "base" : "head",
                          compare->plan.side[side].left_out);
        }
    }
    if (bm_interrupt_signal() != 0) {
        (void)fprintf(stream, "interrupted; what is done is in %s\n", campaign->record.partial);
    } else if (!campaign->outcome.write_failed && compare->comparison.cell_count > 0) {
        (void)fprintf(stream, "record: %s\n", campaign->record.path);
    }
    note_failure(campaign, bm_output_export(campaign->objects, options, campaign->error));
}

/* ---- The whole ---- */

static int fail(const struct compare *compare, int code) {
    (void)fprintf(stderr, "batchmark compare: %s\n", compare->campaign.error->text);
    return code;
}

static void explain_nothing(const struct compare *compare) {
    const struct bm_options *options = compare->campaign.options;
    if (compare->comparison.cell_count == 0 && bm_interrupt_signal() == 0) {
        (void)fprintf(stderr, "batchmark compare: no cell to compare%s%s%s\n",
                      options->filter[0] == '\0' ? "" : " whose name matches \"", options->filter,
                      options->filter[0] == '\0' ? "" : "\"");
    }
}

static int measure(struct compare *compare, int argc, char **argv) {
    struct bm_campaign *campaign = &compare->campaign;
    if (bm_campaign_open_dataset(campaign, campaign->options->dataset.names[0]) != BM_STATUS_OK) {
        return fail(compare, BM_EXIT_USAGE);
    }
    if (open_record(compare, argc, argv) != BM_STATUS_OK) {
        return fail(compare, campaign->outcome.write_failed ? BM_EXIT_WRITE : BM_EXIT_USAGE);
    }
    compare->cells_left = count_cells(compare);
    (void)fprintf(stderr, "plan: %llu cell%s to measure, at most %.1f minutes\n",
                  (unsigned long long)compare->cells_left, compare->cells_left == 1 ? "" : "s",
                  (double)compare->cells_left * cell_time_s(compare) / 60);
    int32_t status = run_all(compare);
    if (status != BM_STATUS_OK && bm_interrupt_signal() == 0) {
        bm_progress_clear(&campaign->progress);
        bm_record_abandon(&campaign->record);
        return fail(compare, BM_EXIT_USAGE);
    }
    close_record(compare);
    print_end(compare);
    explain_nothing(compare);
    return campaign->outcome.write_failed && bm_interrupt_signal() == 0
               ? fail(compare, BM_EXIT_WRITE)
               : exit_code(compare);
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

int bm_compare_measured(
    struct bm_options *options, const char *base, const char *head, int argc, char **argv) {
    const char *const paths[BM_SIDE_COUNT] = {base, head};
    struct bm_error error = {0};
    struct compare *compare = calloc(1, sizeof *compare);
    if (compare == NULL) {
        (void)fprintf(stderr, "batchmark compare: no memory\n");
        return BM_EXIT_USAGE;
    }
    struct bm_campaign *campaign = &compare->campaign;
    campaign->options = options;
    campaign->error = &error;
    campaign->dataset.fd = -1;
    campaign->objects = json_array();
    compare->comparison.base_name = take_name(base, compare->names[BM_SIDE_BASE]);
    compare->comparison.head_name = take_name(head, compare->names[BM_SIDE_HEAD]);
    compare->comparison.threshold = options->compare.threshold;
    compare->comparison.is_strict = options->strict;
    (void)snprintf(campaign->roofline.reason, sizeof campaign->roofline.reason,
                   "a comparison needs none");
    bm_interrupt_catch();
    bm_campaign_begin(campaign);
    int code = bm_compare_plan_make(options, paths, &compare->plan, campaign->error) == BM_STATUS_OK
                   ? measure(compare, argc, argv)
                   : fail(compare, BM_EXIT_USAGE);
    bm_case_reference_close(&campaign->reference);
    bm_compare_plan_free(&compare->plan);
    bm_comparison_free(&compare->comparison);
    bm_dataset_close(&campaign->dataset);
    json_decref(campaign->objects);
    free(compare);
    return code;
}
