/* One training of the grid: made, or found in the record that is resumed. */
#include "error.h"
#include "interrupt.h"
#include "schedule.h"
#include "train_grid.h"
#include "train_resume.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int32_t write_point(void *context, json_t *object) {
    struct bm_train *train = context;
    bm_campaign_write(train->campaign, object);
    return !train->campaign->outcome.write_failed;
}

static void show_progress(void *context, const struct bm_training *training, const char *what) {
    struct bm_train *train = context;
    struct bm_campaign *campaign = train->campaign;
    double accuracy = 100 * bm_training_accuracy(training, "validation");
    char learned[32] = "";
    if (accuracy >= 0) {
        (void)snprintf(learned, sizeof learned, ", %.2f %%", accuracy);
    }
    bm_progress_show(&campaign->progress, bm_campaign_left_s(campaign),
                     "%llu of %llu, %s %s batch %llu seed %llu %s: epoch %.2f%s, %s",
                     (unsigned long long)train->finished + 1, (unsigned long long)train->planned,
                     training->row->file->name, bm_optimizer_names[training->of->optimizer],
                     (unsigned long long)training->batch, (unsigned long long)training->of->seed,
                     training->role, (double)training->epoch + training->fraction, learned, what);
}

static void set_budgets(const struct bm_train_options *options, struct bm_training *training) {
    training->epochs = options->epochs;
    training->updates = options->updates;
    training->seconds = options->seconds;
    if (strcmp(training->role, BM_ROLE_TRIAL) == 0) {
        uint64_t half = (options->epochs + 1) / 2;
        training->epochs = options->tune_epochs > 0 ? options->tune_epochs : half;
        training->updates = training->epochs > 0 ? 0 : (options->updates + 1) / 2;
        training->seconds = training->epochs + training->updates > 0 ? 0 : options->seconds / 2;
    } else if (strcmp(training->role, BM_ROLE_SWAP) == 0) {
        training->epochs = options->swap_epochs;
        training->updates = 0;
        training->seconds = 0;
    }
}

static void prepare(struct bm_train *train,
                    const struct bm_train_setting *setting,
                    const char *role,
                    struct bm_training *training) {
    struct bm_campaign *campaign = train->campaign;
    memset(training, 0, sizeof *training);
    training->row = setting->row;
    training->of = &campaign->of;
    training->options = &campaign->options->train;
    training->batch = setting->batch;
    training->requested = setting->requested;
    training->schedule = setting->schedule;
    training->rate = setting->rate;
    training->is_tuned = setting->is_tuned;
    training->role = role;
    training->checkpoint = train->checkpoint;
    training->deadline_s = campaign->deadline_s;
    training->hang_time_s = campaign->options->hang_time_s;
    training->point = write_point;
    training->progress = show_progress;
    training->context = train;
    set_budgets(training->options, training);
}

/* What SWAP averages goes on from a state that its key does not tell: that of another final has the
 * same one. */
static int tells_all(const struct bm_training *training) {
    return strcmp(training->role, BM_ROLE_SWAP) != 0;
}

/* A training that the record already has is not made again. */
static json_t *take_earlier(struct bm_train *train, const struct bm_training *training) {
    if (train->campaign->earlier == NULL || !tells_all(training)) {
        return NULL;
    }
    json_t *key = bm_training_key(training);
    json_t *found = bm_train_find(train->campaign->earlier, key);
    json_decref(key);
    return found;
}

static int is_interrupted_one(const struct bm_train *train, const struct bm_training *training) {
    if (train->resumed == NULL || !tells_all(training)) {
        return 0;
    }
    json_t *key = bm_training_key(training);
    int same = bm_train_matches(json_object_get(train->resumed->details, "key"), key);
    json_decref(key);
    return same;
}

/* Why it is not begun; NULL if it is. */
static const char *why_skipped(const struct bm_train *train, const struct bm_training *training) {
    if (bm_campaign_left_s(train->campaign) <= 0) {
        return "no time was left (--time-limit)";
    }
    return training->row->failures >= 3 ? "not tried again after 3 crashes or hangs" : NULL;
}

static void make(struct bm_train *train, struct bm_training *training) {
    const char *why = why_skipped(train, training);
    if (why != NULL) {
        training->verdict.kind = BM_VERDICT_SKIPPED;
        training->status = bm_verdict_status(BM_VERDICT_SKIPPED);
        (void)snprintf(training->verdict.reason, sizeof training->verdict.reason, "%s", why);
        return;
    }
    if (is_interrupted_one(train, training)) {
        training->resume = train->resumed->details;
    }
    bm_training_run(training);
    training->resume = NULL;
    if (training->verdict.kind != BM_VERDICT_INTERRUPTED) {
        (void)unlink(train->checkpoint);
    }
}

json_t *bm_train_one(struct bm_train *train,
                     const struct bm_train_setting *setting,
                     const char *role,
                     const char *from,
                     const char *keep) {
    struct bm_campaign *campaign = train->campaign;
    struct bm_training training;
    prepare(train, setting, role, &training);
    training.from = from;
    training.keep = keep;
    json_t *object = take_earlier(train, &training);
    train->finished++;
    train->was_made = object == NULL;
    if (object != NULL) {
        bm_outcome_count_training(&campaign->outcome, object);
        return object;
    }
    if (bm_interrupt_signal() != 0) {
        return NULL;
    }
    make(train, &training);
    if (training.verdict.kind != BM_VERDICT_INTERRUPTED) {
        object = bm_training_json(&training);
        bm_outcome_count_training(&campaign->outcome, object);
        bm_campaign_write(campaign, object);
    }
    bm_training_free(&training);
    return object;
}

void bm_train_fail(struct bm_train *train,
                   const struct bm_train_setting *setting,
                   const struct bm_verdict *verdict) {
    struct bm_training training;
    prepare(train, setting, BM_ROLE_FINAL, &training);
    training.verdict = *verdict;
    training.status = bm_verdict_status(verdict->kind);
    json_t *object = bm_training_json(&training);
    (void)json_object_set_new(object, "refused", json_boolean(verdict->kind == BM_VERDICT_REFUSED));
    bm_outcome_count_training(&train->campaign->outcome, object);
    bm_campaign_write(train->campaign, object);
}

int32_t bm_train_has_failed(struct bm_train *train, const struct bm_train_setting *setting) {
    struct bm_training training;
    prepare(train, setting, BM_ROLE_FINAL, &training);
    const json_t *object = take_earlier(train, &training);
    if (json_object_get(object, "refused") == NULL) { /* only bm_train_fail says it */
        return 0;
    }
    bm_outcome_count_training(&train->campaign->outcome, object);
    return 1;
}

void bm_train_prepare(struct bm_train *train,
                      const struct bm_train_setting *setting,
                      struct bm_training *training) {
    prepare(train, setting, BM_ROLE_FINAL, training);
    training->checkpoint = NULL;
}
