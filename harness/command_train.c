/* `batchmark train`: optimizers and batch sizes by what they reach. */
#include "campaign.h"
#include "command.h"
#include "environment.h"
#include "error.h"
#include "schedule.h"
#include "train_grid.h"
#include "train_resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One plan, as far as it is known without the data. The rules' own rates are far from both ends. */
static int32_t
check_plan(const struct bm_campaign *campaign, const char *schedule, uint64_t batch) {
    const struct bm_train_options *options = &campaign->options->train;
    double rate = campaign->options->lr > 0 ? campaign->options->lr : 1;
    struct bm_rate_plan plan =
        bm_rate_plan_defaults((uint32_t)bm_rate_schedule_find(schedule), rate, batch, 1,
                              options->epochs > 0 ? options->epochs : options->updates);
    plan.base_batch = options->base_batch;
    plan.warmup_epochs = options->warmup_epochs;
    return bm_rate_plan_check(&plan, campaign->error);
}

/* Schedules that end somewhere must know where, and what is scaled must remain a rate: with every
 * batch size, and with 1, since few images make a batch smaller. */
static int32_t check_schedules(const struct bm_campaign *campaign) {
    const struct bm_name_list *schedules = &campaign->options->train.schedule;
    const struct bm_number_list *batches = &campaign->options->batch;
    int32_t status = BM_STATUS_OK;
    for (uint32_t s = 0; s < schedules->count && status == BM_STATUS_OK; s++) {
        status = check_plan(campaign, schedules->names[s], 1);
        for (uint32_t i = 0; i < batches->count && status == BM_STATUS_OK; i++) {
            status = check_plan(campaign, schedules->names[s], batches->values[i]);
        }
    }
    return status;
}

static int32_t check_from(const struct bm_campaign *campaign) {
    const char *from = campaign->options->train.from;
    struct bm_checkpoint checkpoint = {0};
    if (from[0] == '\0') {
        return BM_STATUS_OK;
    }
    int32_t status = bm_checkpoint_read(from, &checkpoint, campaign->error);
    bm_checkpoint_free(&checkpoint);
    return status;
}

/* Of the sessions that are checked and timed and do not train, as in `run`. */
#define CHECK_RATE 1e-4

static int32_t prepare(struct bm_campaign *campaign) {
    struct bm_train_options *options = &campaign->options->train;
    campaign->of.lr = CHECK_RATE;
    if (options->epochs == 0 && options->updates == 0 && !(options->seconds > 0)) {
        options->epochs = 10;
    }
    int32_t status = bm_campaign_make_folder(campaign);
    status = status ? status : check_schedules(campaign);
    return status ? status : check_from(campaign);
}

/* The state of the training that was interrupted lies beside the record. */
static void begin(struct bm_campaign *campaign) {
    struct bm_train *train = campaign->own;
    struct bm_error error = {0};
    campaign->of.roofline = &campaign->roofline;
    (void)snprintf(campaign->roofline.reason, sizeof campaign->roofline.reason,
                   "train does not measure it");
    (void)snprintf(train->checkpoint, sizeof train->checkpoint, "%s.checkpoint",
                   campaign->record.path);
    if (campaign->earlier == NULL) {
        return;
    }
    train->resumed = calloc(1, sizeof *train->resumed);
    if (train->resumed != NULL &&
        (bm_checkpoint_read(train->checkpoint, train->resumed, &error) != BM_STATUS_OK ||
         !bm_train_can_go_on(campaign->earlier, train->resumed))) {
        bm_checkpoint_free(train->resumed);
        free(train->resumed);
        train->resumed = NULL;
    }
}

static int keeps(struct bm_campaign *campaign, const json_t *object) {
    const struct bm_train *train = campaign->own;
    return bm_train_keeps(campaign->earlier, train->resumed, object);
}

static void print_plan(const struct bm_campaign *campaign) {
    const struct bm_options *options = campaign->options;
    struct bm_train *train = campaign->own;
    uint32_t rows = options->backend.count > 0 ? campaign->selection.row_count : 1;
    train->planned = bm_train_grid_size(options, rows);
    (void)fprintf(stderr,
                  "plan: %llu training%s (%u backend%s, %u optimizer%s, %u batch size%s, %u "
                  "seed%s); at most %.1f minutes\n",
                  (unsigned long long)train->planned, train->planned == 1 ? "" : "s", rows,
                  rows == 1 ? "" : "s", options->optimizer.count,
                  options->optimizer.count == 1 ? "" : "s", options->batch.count,
                  options->batch.count == 1 ? "" : "s", options->seed.count,
                  options->seed.count == 1 ? "" : "s", options->time_limit_s / 60);
}

int bm_command_train(int argc, char **argv) {
    static const struct bm_campaign_command command = {
        .bit = BM_COMMAND_TRAIN,
        .name = "train",
        .about = "Trains with every optimizer, batch size, schedule and seed, from the same start "
                 "and through the\nsame shuffles on every backend, and shows what each reaches: by "
                 "epochs, updates and seconds.",
        .prepare = prepare,
        .begin = begin,
        .plan = print_plan,
        .keeps = keeps,
        .shows_kept = 1,
        .measure = bm_train_all,
    };
    struct bm_train *train = calloc(1, sizeof *train);
    if (train == NULL) {
        (void)fprintf(stderr, "batchmark train: no memory\n");
        return BM_EXIT_USAGE;
    }
    int code = bm_campaign_run(&command, train, argc, argv);
    bm_checkpoint_free(train->resumed);
    free(train->resumed);
    free(train);
    return code;
}
