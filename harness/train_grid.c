#include "train_grid.h"

#include "error.h"
#include "fastest.h"
#include "interrupt.h"
#include "schedule.h"
#include "train_equal.h"
#include "train_facts.h"
#include "train_swap.h"
#include "tuning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Batch size at which backends are compared with each other and with the reference's path. */
#define USUAL_BATCH 100.0

uint64_t bm_train_grid_size(const struct bm_options *options, uint32_t row_count) {
    uint64_t settings = (uint64_t)row_count * options->batch.count * options->model.count *
                        options->dataset.count * options->optimizer.count * options->threads.count *
                        options->precision.count * options->train.schedule.count;
    return settings * (options->train.tune + options->seed.count * (1 + options->train.swap));
}

static int32_t stopped(const struct bm_train *train) {
    return bm_interrupt_signal() != 0 || train->campaign->outcome.write_failed;
}

/* ---- Tuning ---- */

static void add_trial(json_t *trials, double rate, const json_t *training, double accuracy) {
    (void)json_array_append_new(trials,
                                json_pack("{s:f, s:O, s:o}", "rate", rate, "status",
                                          json_object_get(training, "status"), "accuracy",
                                          accuracy >= 0 ? json_real(accuracy) : json_null()));
}

/* Validation accuracy of a trial; NaN if it did not come to one. */
static double accuracy_of(const json_t *training) {
    const char *status = json_string_value(json_object_get(training, "status"));
    const json_t *accuracy = json_object_get(json_object_get(training, "validation"), "accuracy");
    return status != NULL && strcmp(status, "ok") == 0 && json_is_number(accuracy)
               ? json_number_value(accuracy)
               : (double)NAN;
}

static void write_tuned(struct bm_train *train,
                        const struct bm_train_setting *setting,
                        json_t *trials,
                        int32_t at_edge) {
    struct bm_training training;
    bm_train_prepare(train, setting, &training);
    json_t *object = json_pack("{s:s, s:i}", "kind", "tuned", "schema", BM_RECORD_SCHEMA);
    json_t *key = bm_training_key(&training);
    (void)json_object_update(object, key);
    json_decref(key);
    (void)json_object_del(object, "seed");
    (void)json_object_set(object, "trials", trials);
    (void)json_object_set_new(object, "at_edge", json_boolean(at_edge));
    if (!setting->is_tuned) {
        (void)json_object_set_new(object, "rate", json_null());
    }
    bm_campaign_write(train->campaign, object);
    bm_training_free(&training);
}

struct trials {
    double *rates;
    double *scores;
    uint32_t *failed;
    json_t *list;
    uint32_t made;
};

static void
run_trials(struct bm_train *train, struct bm_train_setting *setting, struct trials *trials) {
    uint32_t count = (uint32_t)train->campaign->options->train.tune;
    for (; trials->made < count && !stopped(train); trials->made++) {
        uint32_t i = trials->made;
        setting->rate = bm_tuning_rate(train->campaign->of.optimizer, i, count);
        const json_t *training = bm_train_one(train, setting, BM_ROLE_TRIAL, NULL, NULL);
        if (training == NULL) {
            return;
        }
        trials->rates[i] = setting->rate;
        trials->scores[i] = accuracy_of(training);
        trials->failed[i] = !(trials->scores[i] >= 0);
        add_trial(trials->list, setting->rate, training, trials->scores[i]);
    }
}

/* Runs the trials and sets the rate of the best; without one the usual rate stays. 0 if it was
 * interrupted. */
static int32_t tune(struct bm_train *train, struct bm_train_setting *setting) {
    uint32_t count = (uint32_t)train->campaign->options->train.tune;
    struct trials trials = {.rates = calloc(count, sizeof(double)),
                            .scores = calloc(count, sizeof(double)),
                            .failed = calloc(count, sizeof(uint32_t)),
                            .list = json_array()};
    double usual = setting->rate;
    if (trials.rates != NULL && trials.scores != NULL && trials.failed != NULL) {
        run_trials(train, setting, &trials);
    }
    setting->rate = usual;
    if (trials.made == count) {
        int32_t best = bm_tuning_best(trials.scores, trials.rates, trials.failed, count);
        setting->is_tuned = best >= 0;
        setting->rate = best < 0 ? usual : trials.rates[best];
        write_tuned(train, setting, trials.list,
                    best >= 0 && bm_tuning_at_edge(trials.rates, count, (uint32_t)best) != 0);
    }
    json_decref(trials.list);
    free(trials.rates);
    free(trials.scores);
    free(trials.failed);
    return trials.made == count;
}

/* ---- One setting ---- */

/* Where the last state of a final training is kept; NULL if it is not. */
static const char *keep_path(const struct bm_train *train,
                             const struct bm_train_setting *setting,
                             char *path,
                             size_t capacity) {
    const struct bm_campaign *campaign = train->campaign;
    const char *folder = campaign->options->train.keep;
    if (folder[0] == '\0') {
        return NULL;
    }
    (void)snprintf(path, capacity, "%s/%s-%u-%s-%s-%s-%s-%llu-seed%llu.checkpoint", folder,
                   setting->row->file->name, setting->row->device_index, campaign->model.name,
                   campaign->dataset.name, bm_optimizer_names[campaign->of.optimizer],
                   setting->schedule, (unsigned long long)setting->batch,
                   (unsigned long long)campaign->of.seed);
    return path;
}

static int is_extreme(const struct bm_campaign *campaign, uint64_t batch) {
    return batch == campaign->batches[0] || batch == campaign->batches[campaign->batch_count - 1];
}

/* Whether a training ended in a state to ask about: not one that was skipped, that lost its worker,
 * or that came to no numbers. */
static int has_last_state(const json_t *training) {
    static const char *const with[] = {"ok", "cut", "stalled"};
    const char *status = json_string_value(json_object_get(training, "status"));
    for (size_t i = 0; i < sizeof with / sizeof with[0] && status != NULL; i++) {
        if (strcmp(status, with[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static void train_seeds(struct bm_train *train, const struct bm_train_setting *setting) {
    struct bm_campaign *campaign = train->campaign;
    const struct bm_options *options = campaign->options;
    const char *from = options->train.from[0] == '\0' ? NULL : options->train.from;
    for (uint32_t i = 0; i < options->seed.count && !stopped(train); i++) {
        char path[2 * BM_PATH_SIZE];
        int measures_noise = i == 0 && is_extreme(campaign, setting->batch);
        campaign->of.seed = options->seed.values[i];
        if (measures_noise) {
            bm_train_noise(train, setting, "start");
        }
        const json_t *training = bm_train_one(train, setting, BM_ROLE_FINAL, from,
                                              keep_path(train, setting, path, sizeof path));
        if (measures_noise && has_last_state(training)) {
            bm_train_noise(train, setting, "end");
        }
        if (options->train.swap > 0 && training != NULL && !stopped(train)) {
            bm_train_swap(train, setting, training);
        }
    }
    campaign->of.seed = options->seed.values[0];
}

static double nearness(uint64_t batch) {
    return fabs(log((double)batch / USUAL_BATCH));
}

/* The index of the batch size nearest to the usual one. */
static uint32_t usual_index(const struct bm_campaign *campaign) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < campaign->batch_count; i++) {
        if (nearness(campaign->batches[i]) < nearness(campaign->batches[best])) {
            best = i;
        }
    }
    return best;
}

static void
train_setting(struct bm_train *train, struct bm_train_setting *setting, uint32_t index) {
    const struct bm_campaign *campaign = train->campaign;
    if (!bm_train_check(train, setting)) {
        return;
    }
    if (campaign->options->train.tune > 0 && !tune(train, setting)) {
        return;
    }
    if (campaign->options->train.trajectory > 0 && index == usual_index(campaign)) {
        bm_train_trajectory(train, setting);
    }
    train_seeds(train, setting);
    if (is_extreme(campaign, setting->batch) && campaign->batch_count > 1 && !stopped(train)) {
        bm_train_measure_time(train, setting);
    }
}

/* ---- Backends beside each other ---- */

static void write_equivalence(struct bm_train *train,
                              const struct bm_train_setting *setting,
                              const struct bm_train_setting *baseline) {
    struct bm_campaign *campaign = train->campaign;
    struct bm_training training;
    double margin = campaign->options->train.margin;
    bm_train_prepare(train, setting, &training);
    json_t *key = bm_training_key(&training);
    static const char *const own[] = {"backend",  "label", "device", "device_name",
                                      "software", "seed",  "rate"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        (void)json_object_del(key, own[i]);
    }
    json_t *mine = json_pack("{s:s, s:i}", "backend", setting->row->file->name, "device",
                             (int)setting->row->device_index);
    json_t *base = json_pack("{s:s, s:i}", "backend", baseline->row->file->name, "device",
                             (int)baseline->row->device_index);
    json_t *object =
        bm_train_equivalence(campaign->objects, key, mine, base,
                             isnan(margin) ? bm_train_margin(campaign->dataset.name) : margin);
    const char *verdict = json_string_value(json_object_get(object, "verdict"));
    campaign->outcome.wrong += strcmp(verdict, "different") == 0;
    campaign->outcome.inconclusive +=
        strcmp(verdict, "undecided") == 0 && campaign->options->strict;
    bm_campaign_write(campaign, object);
    json_decref(key);
    json_decref(mine);
    json_decref(base);
    bm_training_free(&training);
}

/* All backends at one batch size take turns, each with the rate that suits it by its own trials. */
static void train_batch(struct bm_train *train, const char *schedule, uint32_t index) {
    const struct bm_campaign *campaign = train->campaign;
    const struct bm_options *options = campaign->options;
    struct bm_train_setting settings[BM_ROW_MAX];
    for (uint32_t r = 0; r < train->row_count && !stopped(train); r++) {
        settings[r] = (struct bm_train_setting){
            .row = train->rows[r],
            .schedule = schedule,
            .batch = campaign->batches[index],
            .requested = campaign->requested[index],
            .rate = options->lr > 0 ? options->lr : bm_tuning_default_rate(campaign->of.optimizer),
        };
        train_setting(train, &settings[r], index);
    }
    for (uint32_t r = 1; r < train->row_count && !stopped(train); r++) {
        write_equivalence(train, &settings[r], &settings[0]);
    }
}

/* ---- Which backends ---- */

/* Those that were named; without names the fastest at the usual batch size, since a training is
 * long. */
static int32_t choose_rows(struct bm_train *train) {
    struct bm_campaign *campaign = train->campaign;
    struct bm_selection *selection = &campaign->selection;
    train->row_count = 0;
    for (uint32_t r = 0; r < selection->row_count && campaign->options->backend.count > 0; r++) {
        if (!selection->row[r].computes_nothing) {
            train->rows[train->row_count++] = &selection->row[r];
        }
    }
    if (train->row_count > 0) {
        return BM_STATUS_OK;
    }
    train->row_count = 1;
    return bm_fastest_row(campaign, campaign->batches[usual_index(campaign)], &train->rows[0]);
}

/* ---- The grid ---- */

static void train_case(struct bm_train *train) {
    struct bm_campaign *campaign = train->campaign;
    const struct bm_options *options = campaign->options;
    for (uint32_t o = 0; o < options->optimizer.count; o++) {
        for (uint32_t s = 0; s < options->train.schedule.count; s++) {
            for (uint32_t i = 0; i < campaign->batch_count && !stopped(train); i++) {
                campaign->of.optimizer = (uint32_t)bm_optimizer_find(options->optimizer.names[o]);
                train_batch(train, options->train.schedule.names[s], i);
            }
        }
    }
}

/* Workers keep their reference: they are started anew for another. */
static int32_t train_precisions(struct bm_train *train) {
    struct bm_campaign *campaign = train->campaign;
    const struct bm_options *options = campaign->options;
    int32_t status = BM_STATUS_OK;
    for (uint32_t p = 0; p < options->precision.count && status == BM_STATUS_OK; p++) {
        campaign->of.precision = options->precision.names[p];
        campaign->of.seed = options->seed.values[0];
        status = bm_campaign_make_reference(campaign);
        status = status ? status : bm_case_reference_expect(&campaign->reference, campaign->error);
        for (uint32_t t = 0; t < options->threads.count && status == BM_STATUS_OK; t++) {
            campaign->of.threads = (uint32_t)options->threads.values[t];
            if (train->row_count == 0) {
                status = choose_rows(train);
            }
            if (status == BM_STATUS_OK) {
                train_case(train);
            }
        }
        bm_campaign_stop_workers(campaign);
    }
    return status;
}

int32_t bm_train_all(struct bm_campaign *campaign) {
    struct bm_train *train = campaign->own;
    const struct bm_options *options = campaign->options;
    int32_t status = BM_STATUS_OK;
    train->campaign = campaign;
    for (uint32_t d = 0; d < options->dataset.count && status == BM_STATUS_OK; d++) {
        status =
            d == 0 ? BM_STATUS_OK : bm_campaign_open_dataset(campaign, options->dataset.names[d]);
        status = status ? status : bm_campaign_divide(campaign);
        bm_campaign_plan_batches(campaign);
        for (uint32_t m = 0; m < options->model.count && status == BM_STATUS_OK; m++) {
            status = bm_campaign_make_model(campaign, options->model.names[m]);
            status = status ? status : train_precisions(train);
        }
        bm_case_reference_close(&campaign->reference);
    }
    return status;
}
