#include "fastest.h"

#include "error.h"
#include "row_worker.h"
#include "schedule.h"

#include <math.h>
#include <stdio.h>

int32_t bm_fastest_open(struct bm_campaign *campaign,
                        struct bm_row *row,
                        uint64_t batch,
                        struct bm_verdict *verdict) {
    double hang_s = campaign->options->hang_time_s;
    json_t *reply = NULL;
    if (!bm_worker_running(&row->worker[0]) &&
        !bm_row_start(row, 0, &campaign->of, hang_s, verdict)) {
        return 0;
    }
    row->open_batch[0] = 0;
    json_t *create = bm_row_create_command(row, &campaign->of, batch);
    int32_t good = bm_row_ask(row, 0, create, hang_s, &reply, verdict);
    json_decref(reply);
    return good;
}

double bm_fastest_ask_ns(struct bm_campaign *campaign,
                         struct bm_row *row,
                         const char *what,
                         struct bm_verdict *verdict) {
    json_t *reply = NULL;
    json_t *command = json_pack("{s:s}", "do", what);
    double hang_s = 20 * campaign->options->hang_time_s;
    (void)bm_row_ask(row, 0, command, hang_s, &reply, verdict);
    double update_ns = json_number_value(json_object_get(reply, "update_ns"));
    json_decref(reply);
    return update_ns;
}

/* Whoever expected that backend to win must read why it did not. */
static void say_left_out(struct bm_campaign *campaign,
                         const struct bm_row *row,
                         const struct bm_verdict *verdict) {
    if (verdict->kind != BM_VERDICT_OK && verdict->kind != BM_VERDICT_UNSUPPORTED &&
        verdict->kind != BM_VERDICT_INTERRUPTED) {
        bm_progress_clear(&campaign->progress);
        (void)fprintf(stderr, "backend: %s left out: %s: %s\n", row->file->name,
                      bm_verdict_status(verdict->kind), verdict->reason);
    }
}

static double estimate_ns(struct bm_campaign *campaign, struct bm_row *row, uint64_t batch) {
    struct bm_verdict verdict = {.kind = BM_VERDICT_OK};
    bm_progress_show(&campaign->progress, bm_campaign_left_s(campaign), "%s batch %llu: how fast?",
                     row->file->name, (unsigned long long)batch);
    double update_ns = bm_fastest_open(campaign, row, batch, &verdict)
                           ? bm_fastest_ask_ns(campaign, row, "calibrate", &verdict)
                           : 0;
    say_left_out(campaign, row, &verdict);
    bm_schedule_stop(row);
    return update_ns;
}

static void say_choice(struct bm_campaign *campaign, const struct bm_row *fastest, uint64_t batch) {
    if (campaign->selection.row_count > 1) {
        bm_progress_clear(&campaign->progress);
        (void)fprintf(stderr, "backend: %s, the fastest of %u here at batch %llu (--backend)\n",
                      fastest->file->name, campaign->selection.row_count,
                      (unsigned long long)batch);
    }
}

int32_t bm_fastest_row(struct bm_campaign *campaign, uint64_t batch, struct bm_row **fastest) {
    struct bm_selection *selection = &campaign->selection;
    double best_ns = INFINITY;
    *fastest = NULL;
    for (uint32_t r = 0; r < selection->row_count; r++) {
        struct bm_row *row = &selection->row[r];
        double update_ns =
            row->computes_nothing || row->device == NULL ? 0 : estimate_ns(campaign, row, batch);
        if (update_ns > 0 && update_ns < best_ns) {
            best_ns = update_ns;
            *fastest = row;
        }
    }
    if (*fastest == NULL) {
        return bm_fail(
            campaign->error, BM_STATUS_INVALID,
            "expected a backend that can train \"%s\" in %s, found none (batchmark list)",
            campaign->model.name, campaign->of.precision);
    }
    say_choice(campaign, *fastest, batch);
    return BM_STATUS_OK;
}
