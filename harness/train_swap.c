#include "train_swap.h"

#include "interrupt.h"
#include "train_resume.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the small-batch trainings of one final are made with. */
struct swap {
    struct bm_train *train;
    const struct bm_train_setting *setting;
    struct bm_train_setting small;
    uint64_t seed;                 /* of the final */
    char start[BM_PATH_SIZE + 32]; /* its last state */
    uint64_t made;
    const char *failed; /* status of the small-batch training that did not come to its end */
};

static void end_path(const struct swap *swap, uint64_t run, char *path, size_t capacity) {
    (void)snprintf(path, capacity, "%s.swap%llu", swap->train->checkpoint, (unsigned long long)run);
}

/* The fields that say which one it is: those of its final training. */
static json_t *make_key(struct bm_train *train, const struct bm_train_setting *setting) {
    struct bm_training training;
    bm_train_prepare(train, setting, &training);
    json_t *key = bm_training_key(&training);
    bm_training_free(&training);
    return key;
}

/* Whether the record that is resumed has its average, or how it failed, which then counts. */
static int32_t is_known(struct bm_train *train, const struct bm_train_setting *setting) {
    json_t *key = make_key(train, setting);
    (void)json_object_set_new(key, "kind", json_string("swap"));
    const json_t *known = bm_train_known(train->campaign->objects, key);
    json_decref(key);
    bm_outcome_count_failure(&train->campaign->outcome, known);
    return known != NULL;
}

static json_t *make_object(const struct swap *swap, const json_t *final) {
    const struct bm_train_options *options = &swap->train->campaign->options->train;
    json_t *object = make_key(swap->train, swap->setting);
    json_t *own = json_pack("{s:s, s:i, s:I, s:I, s:I, s:f, s:{s:O, s:O, s:O}, s:n, s:n, s:n}",
                            "kind", "swap", "schema", BM_RECORD_SCHEMA, "runs",
                            (json_int_t)options->swap, "swap_batch", (json_int_t)swap->small.batch,
                            "swap_epochs", (json_int_t)options->swap_epochs, "swap_rate",
                            swap->small.rate, "before", "train", json_object_get(final, "train"),
                            "validation", json_object_get(final, "validation"), "test",
                            json_object_get(final, "test"), "train", "validation", "test");
    (void)json_object_update(object, own);
    json_decref(own);
    return object;
}

static void
conclude(const struct swap *swap, json_t *object, const char *status, const char *reason) {
    struct bm_campaign *campaign = swap->train->campaign;
    json_t *text = json_string(reason);
    (void)json_object_set_new(object, "status", json_string(status));
    (void)json_object_set_new(object, "reason", text != NULL ? text : json_string("?"));
    bm_outcome_count_failure(&campaign->outcome, object);
    bm_campaign_write(campaign, object);
}

/* ---- Its parts ---- */

static int32_t save_start(struct swap *swap, struct bm_verdict *verdict) {
    struct bm_training training;
    json_t *reply = NULL;
    bm_train_prepare(swap->train, swap->setting, &training);
    int32_t good =
        bm_training_ask(&training, bm_training_save_command(&training, swap->start), 1, &reply);
    json_decref(reply);
    *verdict = training.verdict;
    bm_training_free(&training);
    return good;
}

/* One small-batch training; 0 if it did not come to its end. */
static int32_t train_small(struct swap *swap) {
    struct bm_campaign *campaign = swap->train->campaign;
    char path[BM_PATH_SIZE + 64];
    end_path(swap, swap->made, path, sizeof path);
    /* Another seed: the shuffles differ, the start is the file's. */
    campaign->of.seed = swap->seed * 1000 + swap->made + 1;
    const json_t *training =
        bm_train_one(swap->train, &swap->small, BM_ROLE_SWAP, swap->start, path);
    campaign->of.seed = swap->seed;
    const char *status = json_string_value(json_object_get(training, "status"));
    int good = status != NULL && strcmp(status, "ok") == 0;
    swap->failed = good || status == NULL ? swap->failed : status;
    return good;
}

static int32_t average(struct swap *swap, json_t *object, struct bm_verdict *verdict) {
    static const char *const splits[] = {"train", "validation", "test"};
    struct bm_training training;
    json_t *reply = NULL;
    json_t *paths = json_array();
    for (uint64_t i = 0; i < swap->made; i++) {
        char path[BM_PATH_SIZE + 64];
        end_path(swap, i, path, sizeof path);
        (void)json_array_append_new(paths, json_string(path));
    }
    bm_train_prepare(swap->train, &swap->small, &training);
    json_t *command = json_pack("{s:s, s:o}", "do", "train_average", "paths", paths);
    int32_t good = bm_training_open(&training);
    if (good) {
        good = bm_training_ask(&training, command, 30, &reply) && bm_training_evaluate(&training);
    } else {
        json_decref(command);
    }
    for (size_t i = 0; i < sizeof splits / sizeof splits[0] && good; i++) {
        (void)json_object_set(object, splits[i], json_object_get(training.last, splits[i]));
    }
    json_decref(reply);
    *verdict = training.verdict;
    bm_training_free(&training);
    return good;
}

static void remove_files(const struct swap *swap) {
    (void)unlink(swap->start);
    for (uint64_t i = 0; i <= swap->made; i++) {
        char path[BM_PATH_SIZE + 64];
        end_path(swap, i, path, sizeof path);
        (void)unlink(path);
    }
}

/* As many images as asked for, and no more than there are, as in the grid. */
static void set_batch(struct swap *swap) {
    const struct bm_campaign *campaign = swap->train->campaign;
    const struct bm_train_options *options = &campaign->options->train;
    uint64_t images = campaign->dataset.split[BM_SPLIT_TRAIN].count;
    swap->small.requested = options->swap_batch > 0 ? options->swap_batch : options->base_batch;
    swap->small.batch = swap->small.requested < images ? swap->small.requested : images;
}

/* Everything from the final's last state on; 1 if the average is in `object`. */
static int32_t make(struct swap *swap, json_t *object, struct bm_verdict *verdict) {
    uint64_t count = swap->train->campaign->options->train.swap;
    if (!save_start(swap, verdict)) {
        return 0;
    }
    while (swap->made < count && bm_interrupt_signal() == 0 && train_small(swap)) {
        swap->made++;
    }
    return swap->made == count && average(swap, object, verdict);
}

void bm_train_swap(struct bm_train *train,
                   const struct bm_train_setting *setting,
                   const json_t *final) {
    const char *ended = json_string_value(json_object_get(final, "status"));
    struct bm_verdict verdict = {.kind = BM_VERDICT_OK};
    struct swap swap = {.train = train, .setting = setting, .small = *setting, .failed = "error"};
    if (is_known(train, setting)) {
        return;
    }
    swap.seed = train->campaign->of.seed;
    swap.small.schedule = "constant";
    set_batch(&swap);
    (void)snprintf(swap.start, sizeof swap.start, "%s.swap", train->checkpoint);
    json_t *object = make_object(&swap, final);
    if (!train->was_made) {
        conclude(&swap, object, "skipped", "the training's last state was not kept");
        return;
    }
    /* The worker may have ended with the noise of the gradient, which says why. */
    if (ended == NULL || strcmp(ended, "ok") != 0 || !bm_worker_running(&setting->row->worker[0])) {
        conclude(&swap, object, "skipped", "there is no last state to go on from");
        return;
    }
    int32_t good = make(&swap, object, &verdict);
    remove_files(&swap);
    if (bm_interrupt_signal() != 0) {
        json_decref(object);
        return;
    }
    conclude(&swap, object,
             good                            ? "ok"
             : verdict.kind != BM_VERDICT_OK ? bm_verdict_status(verdict.kind)
                                             : swap.failed,
             good                        ? ""
             : verdict.reason[0] != '\0' ? verdict.reason
                                         : "a small-batch training failed");
}
