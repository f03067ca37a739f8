/* `batchmark run`: plans the cells, has them checked and measured batch size by batch size, records
 * and prints them. */
#include "campaign.h"
#include "command.h"
#include "error.h"
#include "interrupt.h"
#include "paired.h"
#include "resume.h"
#include "roofline_cache.h"
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a small cell takes: its rounds of 50 ms blocks. */
#define SMALL_CELL_S 1.5

static void finish_cell(struct bm_campaign *run, const struct bm_cell *cell) {
    if (cell->verdict.kind == BM_VERDICT_INTERRUPTED) {
        return;
    }
    json_t *object = bm_cell_json(cell);
    /* Its first device alone stands before it. */
    json_t *efficiency = bm_paired_efficiency(run->objects, object);
    (void)json_object_set_new(object, "efficiency", efficiency == NULL ? json_null() : efficiency);
    bm_outcome_count(&run->outcome, object);
    bm_campaign_write(run, object);
}

/* ---- One case ---- */

static void show_probe(void *context, uint32_t threads) {
    struct bm_campaign *run = context;
    bm_progress_show(&run->progress, bm_campaign_left_s(run),
                     "roofline of this machine, %u thread%s", threads, threads == 1 ? "" : "s");
}

/* Only when the record can be written: a refusal comes at once. */
static void get_roofline(struct bm_campaign *run) {
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

/* ---- One batch size ---- */

static double need_s(const struct bm_row *row, uint64_t batch) {
    double estimate = bm_row_estimate_ns(row, batch);
    return estimate > 0 ? bm_schedule_need_s(estimate) : SMALL_CELL_S;
}

/* What the sizes from `index` on need, upward, as far as it fits into what is left; `cells` counts
 * those that fit and compute something. */
static double needs_s(const struct bm_campaign *run, uint32_t index, uint32_t *cells) {
    double left_s = bm_campaign_left_s(run);
    double sum_s = 0;
    *cells = 0;
    for (uint32_t i = index; i < run->batch_count; i++) {
        for (uint32_t r = 0; r < run->selection.row_count; r++) {
            double need = need_s(&run->selection.row[r], run->batches[i]);
            if (run->selection.row[r].device != NULL && sum_s + need <= left_s) {
                sum_s += need;
                *cells += !run->selection.row[r].computes_nothing;
            }
        }
    }
    return sum_s;
}

/* What a cell may spend beyond its need: what the sizes that still fit leave over, in equal parts.
 */
static double spare_s(const struct bm_campaign *run, uint32_t index) {
    uint32_t cells = 0;
    double needs = needs_s(run, index, &cells);
    return cells == 0 ? 0 : (bm_campaign_left_s(run) - needs) / cells;
}

/* A row whose plugin could not be asked has the same verdict at every size. */
static void plan_cell(struct bm_campaign *run,
                      struct bm_row *row,
                      uint32_t index,
                      double spare,
                      struct bm_cell *cell) {
    memset(cell, 0, sizeof *cell);
    cell->row = row;
    cell->of = &run->of;
    cell->batch = run->batches[index];
    cell->requested = run->requested[index];
    double left_s = bm_campaign_left_s(run);
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
static int32_t take_earlier(struct bm_campaign *run, struct bm_cell *cell, uint32_t *taken) {
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

struct batch_turn {
    struct bm_campaign *run;
    uint32_t index; /* of the batch size that is measured */
};

static double later_s(void *context) {
    const struct batch_turn *turn = context;
    uint32_t cells = 0;
    return needs_s(turn->run, turn->index + 1, &cells);
}

static void show_progress(void *context, const struct bm_cell *cell, const char *what) {
    struct bm_campaign *run = ((struct batch_turn *)context)->run;
    char label[BM_NAME_SIZE + 16];
    bm_row_label(cell->row, label, sizeof label);
    bm_progress_show(&run->progress, bm_campaign_left_s(run), "batch %llu, %s: %s, round %u",
                     (unsigned long long)cell->batch, label, what,
                     cell->series[BM_SERIES_UPDATE].rounds + 1);
}

static int32_t measure_batch(struct bm_campaign *run, uint32_t index) {
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
            (void)snprintf(cell->verdict.reason, sizeof cell->verdict.reason, "%s",
                           run->reference.missing);
        }
        status = take_earlier(run, cell, &taken);
        count += !taken;
    }
    if (status == BM_STATUS_OK) {
        struct batch_turn turn = {run, index};
        struct bm_schedule schedule = {
            .rows = run->selection.row,
            .row_count = rows,
            .deadline_s = run->deadline_s,
            .epoch_time_s = run->options->epoch_time_s,
            .hang_time_s = run->options->hang_time_s,
            .seed = run->of.seed,
            .later_s = later_s,
            .progress = show_progress,
            .context = &turn,
        };
        bm_schedule_measure(&schedule, cells, count);
        for (uint32_t i = 0; i < count; i++) {
            finish_cell(run, &cells[i]);
        }
    }
    free(cells);
    return status;
}

static int32_t measure_case(struct bm_campaign *run) {
    bm_campaign_plan_batches(run);
    int32_t status = bm_campaign_make_reference(run);
    for (uint32_t i = 0; i < run->batch_count && status == BM_STATUS_OK; i++) {
        status = measure_batch(run, i);
        if (run->outcome.write_failed) {
            break;
        }
    }
    bm_campaign_stop_workers(run);
    return status;
}

/* ---- All cases ---- */

/* Innermost axes: those that share a reference. */
static int32_t measure_settings(struct bm_campaign *run) {
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

static int32_t measure_models(struct bm_campaign *run) {
    const struct bm_options *options = run->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t m = 0; m < options->model.count && status == BM_STATUS_OK; m++) {
        status = bm_campaign_make_model(run, options->model.names[m]);
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

static int32_t measure_all(struct bm_campaign *run) {
    const struct bm_options *options = run->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t d = 0; d < options->dataset.count && status == BM_STATUS_OK; d++) {
        /* The first was opened for the run object. */
        status = d == 0 ? BM_STATUS_OK : bm_campaign_open_dataset(run, options->dataset.names[d]);
        if (status == BM_STATUS_OK) {
            bm_case_reference_close(&run->reference);
            status = measure_models(run);
        }
    }
    return status;
}

/* ---- Beginning and end ---- */

static void print_plan(const struct bm_campaign *run) {
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

static int keeps(struct bm_campaign *run, const json_t *object) {
    (void)run;
    return bm_resume_is_finished(object);
}

int bm_command_run(int argc, char **argv) {
    static const struct bm_campaign_command command = {
        .bit = BM_COMMAND_RUN,
        .name = "run",
        .about = "Checks every backend against a float64 reference, then measures one update and "
                 "one epoch\nfor every batch size.",
        .begin = get_roofline,
        .plan = print_plan,
        .keeps = keeps,
        .measure = measure_all,
    };
    return bm_campaign_run(&command, NULL, argc, argv);
}
