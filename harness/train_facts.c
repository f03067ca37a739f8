#include "train_facts.h"

#include "error.h"
#include "fastest.h"
#include "field.h"
#include "interrupt.h"
#include "row_worker.h"
#include "schedule.h"
#include "train_resume.h"
#include "trajectory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMING_S 4.0 /* of a cell's rounds */

/* Slices of the noise's estimate, and images of one: 4096 in all are enough for a scale of some
 * thousands (McCandlish et al., arXiv 1812.06162, figure 4). */
#define NOISE_SLICES 64u
#define NOISE_SLICE 64u
#define NOISE_S 10.0 /* of the estimate besides the gradients, with room to spare */

static void
show(const struct bm_train *train, const struct bm_train_setting *setting, const char *what) {
    struct bm_campaign *campaign = train->campaign;
    bm_progress_show(&campaign->progress, bm_campaign_left_s(campaign), "%s batch %llu: %s",
                     setting->row->file->name, (unsigned long long)setting->batch, what);
}

int32_t bm_train_check(struct bm_train *train, struct bm_train_setting *setting) {
    struct bm_verdict verdict = {.kind = BM_VERDICT_OK};
    if (bm_train_has_failed(train, setting)) {
        return 0;
    }
    show(train, setting, "check against the float64 reference");
    if (bm_fastest_open(train->campaign, setting->row, setting->batch, &verdict)) {
        setting->update_s =
            1e-9 * bm_fastest_ask_ns(train->campaign, setting->row, "check", &verdict);
    }
    if (verdict.kind != BM_VERDICT_OK && verdict.kind != BM_VERDICT_INTERRUPTED) {
        bm_train_fail(train, setting, &verdict);
    }
    return verdict.kind == BM_VERDICT_OK;
}

/* ---- Noise ---- */

static uint64_t at_most(uint64_t value, uint64_t limit) {
    return value < limit ? value : limit;
}

/* The object, as far as it is known before. */
static json_t *begin_noise(const struct bm_training *training, const char *at) {
    json_t *object =
        json_pack("{s:s, s:i, s:s}", "kind", "noise", "schema", BM_RECORD_SCHEMA, "at", at);
    json_t *key = bm_training_key(training);
    (void)json_object_update(object, key);
    json_decref(key);
    return object;
}

/* Adds what the worker finds in its open session, where it makes the gradient of each slice twice.
 */
static void ask_noise(const struct bm_train_setting *setting,
                      uint64_t slice,
                      struct bm_training *training,
                      json_t *object) {
    json_t *reply = NULL;
    double updates = 2.0 * NOISE_SLICES * (double)slice / (double)setting->batch;
    json_t *command = json_pack("{s:s, s:I, s:I}", "do", "train_noise", "slice", (json_int_t)slice,
                                "slices", (json_int_t)NOISE_SLICES);
    (void)bm_training_ask(training, command, NOISE_S + updates * setting->update_s, &reply);
    (void)json_object_update(object, reply);
    json_decref(reply);
}

/* Takes the object over: into the record with what came of it, unless that was an interruption. */
static void
conclude_noise(struct bm_campaign *campaign, const struct bm_verdict *verdict, json_t *object) {
    if (verdict->kind == BM_VERDICT_INTERRUPTED) {
        json_decref(object);
        return;
    }
    if (verdict->kind != BM_VERDICT_OK) {
        (void)json_object_set_new(object, "status", json_string(bm_verdict_status(verdict->kind)));
        (void)json_object_set_new(object, "reason", bm_field_string(verdict->reason));
    }
    bm_outcome_count_failure(&campaign->outcome, object);
    bm_campaign_write(campaign, object);
}

void bm_train_noise(struct bm_train *train,
                    const struct bm_train_setting *setting,
                    const char *at) {
    struct bm_campaign *campaign = train->campaign;
    struct bm_training training;
    uint32_t at_end = strcmp(at, "end") == 0;
    uint64_t images = campaign->dataset.split[BM_SPLIT_TRAIN].count;
    uint64_t slice = at_most(at_most(NOISE_SLICE, setting->batch), images / NOISE_SLICES);
    if (bm_interrupt_signal() != 0 || slice == 0) {
        return;
    }
    bm_train_prepare(train, setting, &training);
    json_t *object = begin_noise(&training, at);
    const json_t *known = bm_train_known(campaign->objects, object);
    if (known != NULL || (at_end && !train->was_made)) {
        bm_outcome_count_failure(&campaign->outcome, known);
        json_decref(object);
        return;
    }
    show(train, setting, "noise of the gradient");
    (void)json_object_set_new(object, "slice", json_integer((json_int_t)slice));
    (void)json_object_set_new(object, "slices", json_integer(NOISE_SLICES));
    if (at_end || bm_training_open(&training)) {
        ask_noise(setting, slice, &training, object);
    }
    conclude_noise(campaign, &training.verdict, object);
    bm_training_free(&training);
}

/* ---- Time of an update ---- */

static void time_with(struct bm_train *train,
                      const struct bm_train_setting *setting,
                      const struct bm_case *of) {
    struct bm_campaign *campaign = train->campaign;
    json_t *identity = json_pack(
        "{s:s, s:s, s:i, s:s, s:I, s:s, s:s, s:I, s:i, s:s}", "kind", "cell", "backend",
        setting->row->file->name, "device", (int)setting->row->device_index, "layers", of->layers,
        "micro_batch", (json_int_t)of->micro_batch, "dataset", of->dataset->name, "optimizer",
        bm_optimizer_names[of->optimizer], "batch", (json_int_t)setting->batch, "threads",
        (int)of->threads, "precision", of->precision);
    const json_t *known = bm_train_known(campaign->objects, identity);
    json_decref(identity);
    if (known != NULL) {
        bm_outcome_count_failure(&campaign->outcome, known);
        return;
    }
    struct bm_cell *cell = calloc(1, sizeof *cell);
    if (cell == NULL) {
        campaign->outcome.lost++;
        return;
    }
    cell->row = setting->row;
    cell->of = of;
    cell->batch = setting->batch;
    cell->requested = setting->requested;
    cell->active = 1;
    cell->spare_s = 0;
    cell->budget_s = TIMING_S;
    const struct bm_schedule schedule = {
        .rows = campaign->selection.row,
        .row_count = campaign->selection.row_count,
        .deadline_s = campaign->deadline_s,
        .epoch_time_s = 0,
        .hang_time_s = campaign->options->hang_time_s,
        .seed = of->seed,
    };
    bm_schedule_measure(&schedule, cell, 1);
    if (cell->verdict.kind != BM_VERDICT_INTERRUPTED) {
        json_t *object = bm_cell_json(cell);
        bm_outcome_count_failure(&campaign->outcome, object);
        bm_campaign_write(campaign, object);
    }
    free(cell);
}

void bm_train_measure_time(struct bm_train *train, const struct bm_train_setting *setting) {
    struct bm_case of = train->campaign->of;
    uint32_t threads = of.threads;
    bm_schedule_stop(setting->row);
    for (uint32_t i = 0; i < 2 && bm_interrupt_signal() == 0; i++) {
        of.threads = i == 0 ? 1 : threads;
        if (i == 1 && threads == 1) {
            break;
        }
        show(train, setting, of.threads == 1 ? "time with one thread" : "time with all threads");
        time_with(train, setting, &of);
    }
}

/* ---- Trajectory ---- */

struct path {
    struct bm_train *train;
    struct bm_training training;
    struct bm_rate_plan plan;
    struct bm_rate_overrides overrides;
    struct bm_trajectory *trajectory;
    struct bm_trajectory_verdict verdict;
    json_t *distance;
    json_t *spread;
    char file[BM_PATH_SIZE + 32]; /* beside the record */
};

static struct bm_hyper hyper_of(void *context, uint64_t update) {
    const struct path *path = context;
    return bm_rate_hyper(&path->plan, path->train->campaign->of.optimizer, update,
                         &path->overrides);
}

static int32_t open_path(struct path *path, uint64_t batch, struct bm_error *error) {
    const struct bm_campaign *campaign = path->train->campaign;
    const struct bm_train_options *options = &campaign->options->train;
    const struct bm_trajectory_request request = {
        .model = &campaign->model,
        .dataset = &campaign->dataset,
        .optimizer = campaign->of.optimizer,
        .seed = campaign->of.seed,
        .batch = batch,
        .thread_count = campaign->of.threads,
        .hyper = hyper_of,
        .context = path,
    };
    path->plan = bm_training_plan(&path->training);
    path->overrides = (struct bm_rate_overrides){options->momentum, options->weight_decay};
    return bm_trajectory_open(&request, &path->trajectory, error);
}

/* The backend's parameters after one more update, through a file. */
static int32_t
step_backend(struct path *path, struct bm_checkpoint *state, struct bm_error *error) {
    json_t *reply = NULL;
    json_t *train = json_pack("{s:s, s:i}", "do", "train", "updates", 1);
    int32_t good = bm_training_ask(&path->training, train, 1, &reply);
    json_decref(reply);
    reply = NULL;
    if (good) {
        json_t *save = bm_training_save_command(&path->training, path->file);
        good = bm_training_ask(&path->training, save, 1, &reply);
        json_decref(reply);
    }
    if (!good) {
        return bm_fail(error, BM_STATUS_INTERNAL, "%s", path->training.verdict.reason);
    }
    return bm_checkpoint_read(path->file, state, error);
}

static int32_t step_path(struct path *path, struct bm_error *error) {
    struct bm_checkpoint state = {0};
    double spread = 0;
    int32_t status = bm_trajectory_step(path->trajectory, &spread, error);
    status = status ? status : step_backend(path, &state, error);
    if (status == BM_STATUS_OK) {
        double distance = bm_trajectory_distance(path->trajectory, state.params);
        bm_trajectory_judge(path->trajectory, state.params, &path->verdict);
        (void)json_array_append_new(path->distance,
                                    distance < 1e300 ? json_real(distance) : json_null());
        (void)json_array_append_new(path->spread, json_real(spread));
    }
    bm_checkpoint_free(&state);
    return status;
}

static json_t *path_json(const struct path *path) {
    const struct bm_trajectory_verdict *verdict = &path->verdict;
    json_t *object = json_pack("{s:s, s:i}", "kind", "trajectory", "schema", BM_RECORD_SCHEMA);
    json_t *key = bm_training_key(&path->training);
    int wrong = verdict->left_at > 0;
    (void)json_object_update(object, key);
    json_decref(key);
    (void)json_object_set_new(object, "updates", json_integer((json_int_t)verdict->compared));
    (void)json_object_set(object, "distance", path->distance);
    (void)json_object_set(object, "spread", path->spread);
    (void)json_object_set_new(object, "factor", json_real(verdict->ratio_limit));
    (void)json_object_set_new(object, "ratio",
                              json_real(verdict->ratio_max < 1e300 ? verdict->ratio_max : 1e300));
    (void)json_object_set_new(object, "at_update",
                              wrong ? json_integer((json_int_t)verdict->left_at) : json_null());
    (void)json_object_set_new(object, "status", json_string(wrong ? "wrong" : "ok"));
    (void)json_object_set_new(
        object, "reason",
        wrong ? json_sprintf("update %llu is %.3g times as far from the float64 reference as any "
                             "float32 run with its sums in another order; expected at most %.3g",
                             (unsigned long long)verdict->left_at, verdict->ratio_max,
                             verdict->ratio_limit)
              : json_string(""));
    return object;
}

static int32_t walk_path(struct path *path, uint64_t updates, struct bm_error *error) {
    struct bm_campaign *campaign = path->train->campaign;
    uint64_t most = at_most(updates, bm_trajectory_update_max(path->trajectory));
    int32_t status = BM_STATUS_OK;
    for (uint64_t i = 0; i < most && status == BM_STATUS_OK && path->verdict.left_at == 0 &&
                         path->verdict.ended_at == 0 && bm_interrupt_signal() == 0;
         i++) {
        bm_progress_show(&campaign->progress, bm_campaign_left_s(campaign),
                         "path of the first updates, %llu of %llu", (unsigned long long)i + 1,
                         (unsigned long long)most);
        status = step_path(path, error);
    }
    return status;
}

static void conclude_path(struct path *path, int32_t status, const struct bm_error *error) {
    struct bm_campaign *campaign = path->train->campaign;
    json_t *object = path_json(path);
    if (status != BM_STATUS_OK) {
        enum bm_verdict_kind kind = path->training.verdict.kind; /* the worker's, if it failed */
        json_t *reason = json_string(error->text);
        (void)json_object_set_new(
            object, "status",
            json_string(kind == BM_VERDICT_OK ? "error" : bm_verdict_status(kind)));
        (void)json_object_set_new(object, "reason", reason != NULL ? reason : json_string("?"));
    }
    bm_outcome_count_failure(&campaign->outcome, object);
    bm_campaign_write(campaign, object);
}

static int32_t compare_path(struct path *path, uint64_t batch, struct bm_error *error) {
    int32_t status = open_path(path, batch, error);
    if (status == BM_STATUS_OK && !bm_training_open(&path->training)) {
        status = bm_fail(error, BM_STATUS_INTERNAL, "%s", path->training.verdict.reason);
    }
    return status == BM_STATUS_OK
               ? walk_path(path, path->train->campaign->options->train.trajectory, error)
               : status;
}

void bm_train_trajectory(struct bm_train *train, const struct bm_train_setting *setting) {
    struct path *path = calloc(1, sizeof *path);
    struct bm_error error = {0};
    if (path == NULL) {
        train->campaign->outcome.lost++;
        return;
    }
    path->train = train;
    path->distance = json_array();
    path->spread = json_array();
    bm_train_prepare(train, setting, &path->training);
    (void)snprintf(path->file, sizeof path->file, "%s.path", train->checkpoint);
    int32_t status = compare_path(path, setting->batch, &error);
    (void)unlink(path->file);
    if (bm_interrupt_signal() == 0) {
        conclude_path(path, status, &error);
    }
    bm_trajectory_close(path->trajectory);
    json_decref(path->distance);
    json_decref(path->spread);
    bm_training_free(&path->training);
    free(path);
}
