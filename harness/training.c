#include "training.h"

#include "error.h"
#include "field.h"
#include "interrupt.h"
#include "now.h"
#include "record.h"
#include "row_worker.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STRETCH_S 0.5     /* of training between two questions */
#define CHECKPOINT_S 10.0 /* between two checkpoints */
#define GRACE_S 10.0      /* that an interrupted stretch and its checkpoint may take */

/* A loss this many times the start's, with no more right answers than by chance, does not come
 * back. */
#define DIVERGED_TIMES 2.0
#define CHANCE_TIMES 1.5

/* The loss of a training that learns falls by more than this part of the start's. */
#define PROGRESS_PART 0.01

static uint64_t images_of(const struct bm_training *training) {
    return training->of->dataset->split[BM_SPLIT_TRAIN].count;
}

static uint64_t updates_per_epoch(const struct bm_training *training) {
    return (images_of(training) + training->batch - 1) / training->batch;
}

/* Of the epochs, else the budget of updates, 0: none; at most as many as a plan counts. */
static uint64_t planned_updates(const struct bm_training *training) {
    uint64_t each = updates_per_epoch(training);
    if (training->epochs == 0) {
        return training->updates;
    }
    return training->epochs < BM_RATE_COUNT_MAX / each ? training->epochs * each
                                                       : BM_RATE_COUNT_MAX;
}

/* ---- Asking ---- */

int32_t
bm_training_ask(struct bm_training *training, json_t *command, double expected_s, json_t **reply) {
    double limit_s = training->hang_time_s + 20 * expected_s;
    return bm_row_ask(training->row, 0, command, limit_s, reply, &training->verdict);
}

/* A question whose answer only says that it was done. */
static int32_t tell(struct bm_training *training, json_t *command) {
    json_t *reply = NULL;
    int32_t good = bm_training_ask(training, command, 1, &reply);
    json_decref(reply);
    return good;
}

static void report(const struct bm_training *training, const char *what) {
    if (training->progress != NULL) {
        training->progress(training->context, training, what);
    }
}

/* ---- What it is ---- */

struct bm_rate_plan bm_training_plan(const struct bm_training *training) {
    const struct bm_train_options *options = training->options;
    uint64_t each = updates_per_epoch(training);
    struct bm_rate_plan plan =
        bm_rate_plan_defaults((uint32_t)bm_rate_schedule_find(training->schedule), training->rate,
                              training->batch, each, planned_updates(training));
    plan.momentum_form = (uint32_t)bm_rate_form_find(options->momentum_form);
    plan.base_batch = options->base_batch;
    plan.warmup_epochs = options->warmup_epochs;
    return plan;
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static json_t *override_json(double value) {
    return isnan(value) ? json_null() : json_real(value);
}

json_t *bm_training_key(const struct bm_training *training) {
    const struct bm_row *row = training->row;
    const struct bm_case *of = training->of;
    const struct bm_train_options *options = training->options;
    char label[BM_NAME_SIZE + 16];
    bm_row_label(row, label, sizeof label);
    json_t *object = json_pack(
        "{s:s, s:s, s:i, s:s?, s:b, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:s, s:I, s:I, s:s, "
        "s:f}",
        "backend", row->file->name, "label", label, "device", (int)row->device_index, "device_name",
        json_string_value(json_object_get(row->device, "name")), "software", (int)row->software,
        "model", of->model->name, "layers", of->layers, "dataset", of->dataset->name, "optimizer",
        bm_optimizer_names[of->optimizer], "schedule", training->schedule, "batch",
        (json_int_t)training->batch, "requested_batch", (json_int_t)training->requested, "threads",
        (int)of->threads, "precision", of->precision, "seed", (json_int_t)of->seed, "micro_batch",
        (json_int_t)of->micro_batch, "role", training->role, "rate", training->rate);
    (void)json_object_set_new(object, "momentum", override_json(options->momentum));
    (void)json_object_set_new(object, "weight_decay", override_json(options->weight_decay));
    (void)json_object_set_new(object, "momentum_form", json_string(options->momentum_form));
    (void)json_object_set_new(object, "images", json_integer((json_int_t)images_of(training)));
    (void)json_object_set_new(object, "budget_epochs", json_integer((json_int_t)training->epochs));
    (void)json_object_set_new(object, "budget_updates",
                              json_integer((json_int_t)training->updates));
    (void)json_object_set_new(object, "budget_seconds", json_real(training->seconds));
    (void)json_object_set_new(object, "from",
                              training->from == NULL ? json_null()
                                                     : json_string(file_name(training->from)));
    return object;
}

static json_t *make_object(const struct bm_training *training, const char *kind) {
    json_t *object = json_pack("{s:s, s:i}", "kind", kind, "schema", BM_RECORD_SCHEMA);
    json_t *key = bm_training_key(training);
    (void)json_object_update(object, key);
    json_decref(key);
    return object;
}

/* ---- Opening ---- */

int32_t bm_training_open(struct bm_training *training) {
    struct bm_row *row = training->row;
    const struct bm_rate_plan plan = bm_training_plan(training);
    json_t *reply = NULL;
    if (!bm_worker_running(&row->worker[0]) &&
        !bm_row_start(row, 0, training->of, training->hang_time_s, &training->verdict)) {
        return 0;
    }
    row->open_batch[0] = 0; /* not a session of the schedule's */
    report(training, "opening");
    json_t *create = bm_row_create_command(row, training->of, training->batch);
    int32_t good = bm_training_ask(training, create, 1, &reply);
    json_decref(reply);
    if (!good) {
        return 0;
    }
    json_t *open =
        json_pack("{s:s, s:o, s:o, s:o}", "do", "train_open", "plan", bm_rate_plan_json(&plan),
                  "momentum", override_json(training->options->momentum), "decay",
                  override_json(training->options->weight_decay));
    if (training->from != NULL) {
        (void)json_object_set_new(open, "from", json_string(training->from));
    }
    return tell(training, open);
}

/* ---- Points of the curve ---- */

/* {loss, accuracy} of one split; NULL and the verdict if it could not be had. */
static json_t *evaluate(struct bm_training *training, const char *name, uint32_t split) {
    uint64_t count = training->of->dataset->split[split].count;
    double expected_s =
        training->update_s * (double)count / (double)training->batch; /* of as many updates */
    json_t *reply = NULL;
    if (count == 0) {
        return json_null();
    }
    report(training, name);
    json_t *command = json_pack("{s:s, s:i}", "do", "train_evaluate", "split", (int)split);
    if (!bm_training_ask(training, command, expected_s, &reply)) {
        json_decref(reply);
        return NULL;
    }
    json_t *object = json_pack("{s:O, s:O}", "loss", json_object_get(reply, "loss"), "accuracy",
                               json_object_get(reply, "accuracy"));
    json_decref(reply);
    return object;
}

static json_t *place_json(const struct bm_training *training) {
    return json_pack("{s:I, s:f, s:I, s:f}", "epoch", (json_int_t)training->epoch, "fraction",
                     training->fraction, "updates", (json_int_t)training->done, "seconds",
                     training->trained_s);
}

/* The last point, measured but not told yet. 0: the verdict says why not. */
static int32_t measure_point(struct bm_training *training) {
    json_t *point = make_object(training, "epoch");
    json_t *place = place_json(training);
    (void)json_object_update(point, place);
    json_decref(place);
    json_t *train = evaluate(training, "training accuracy", BM_SPLIT_TRAIN);
    json_t *validation =
        train == NULL ? NULL : evaluate(training, "validation accuracy", BM_SPLIT_VALIDATION);
    if (train == NULL || validation == NULL) {
        json_decref(train);
        json_decref(point);
        return 0;
    }
    (void)json_object_set_new(point, "train", train);
    (void)json_object_set_new(point, "validation", validation);
    (void)json_object_set_new(point, "test", json_null());
    json_decref(training->last);
    training->last = point;
    return 1;
}

static int32_t tell_point(struct bm_training *training) {
    return training->point == NULL ||
           training->point(training->context, json_incref(training->last));
}

double bm_training_accuracy(const struct bm_training *training, const char *split) {
    const json_t *accuracy = json_object_get(json_object_get(training->last, split), "accuracy");
    return json_is_number(accuracy) ? json_number_value(accuracy) : (double)NAN;
}

static double last_loss(const struct bm_training *training) {
    const json_t *loss = json_object_get(json_object_get(training->last, "train"), "loss");
    return json_is_number(loss) ? json_number_value(loss) : (double)NAN;
}

/* ---- Budgets and targets ---- */

static json_t *budget_json(const char *name, double limit) {
    return json_pack("{s:s, s:f, s:b}", "budget", name, "limit", limit, "reached", 0);
}

static void plan_budgets(struct bm_training *training) {
    const struct bm_target_list *targets = &training->options->target;
    training->budgets = json_array();
    training->targets = json_array();
    if (training->epochs > 0) {
        (void)json_array_append_new(training->budgets,
                                    budget_json("epochs", (double)training->epochs));
    }
    if (training->updates > 0) {
        (void)json_array_append_new(training->budgets,
                                    budget_json("updates", (double)training->updates));
    }
    if (training->seconds > 0) {
        (void)json_array_append_new(training->budgets, budget_json("seconds", training->seconds));
    }
    for (uint32_t i = 0; i < targets->count; i++) {
        (void)json_array_append_new(training->targets, json_pack("{s:f, s:b}", "accuracy",
                                                                 targets->values[i], "reached", 0));
    }
}

/* How much of a budget is used. */
static double used_of(const struct bm_training *training, const json_t *budget) {
    const char *name = json_string_value(json_object_get(budget, "budget"));
    if (strcmp(name, "epochs") == 0) {
        return (double)training->epoch;
    }
    return strcmp(name, "updates") == 0 ? (double)training->done : training->trained_s;
}

static int is_open(const json_t *object) {
    return !json_is_true(json_object_get(object, "reached"));
}

static int is_used(const struct bm_training *training, const json_t *budget) {
    return used_of(training, budget) >= json_number_value(json_object_get(budget, "limit"));
}

/* Whether a budget that was open is now used up: then there is a point to measure. */
static int ends_budget(const struct bm_training *training) {
    size_t index;
    const json_t *budget;
    json_array_foreach(training->budgets, index, budget) {
        if (is_open(budget) && is_used(training, budget)) {
            return 1;
        }
    }
    return 0;
}

static void reach(struct bm_training *training, json_t *object) {
    json_t *place = place_json(training);
    (void)json_object_update(object, place);
    json_decref(place);
    (void)json_object_set_new(object, "reached", json_true());
}

/* With the point just measured. */
static void judge_budgets(struct bm_training *training) {
    size_t index;
    json_t *object;
    json_array_foreach(training->budgets, index, object) {
        if (is_open(object) && is_used(training, object)) {
            reach(training, object);
            (void)json_object_set(object, "train", json_object_get(training->last, "train"));
            (void)json_object_set(object, "validation",
                                  json_object_get(training->last, "validation"));
        }
    }
    double accuracy = bm_training_accuracy(training, "validation");
    json_array_foreach(training->targets, index, object) {
        if (is_open(object) && accuracy >= json_number_value(json_object_get(object, "accuracy"))) {
            reach(training, object);
        }
    }
}

static int is_done(const struct bm_training *training) {
    size_t index;
    const json_t *budget;
    json_array_foreach(training->budgets, index, budget) {
        if (is_open(budget)) {
            return 0;
        }
    }
    return 1;
}

/* Updates of the next stretch: about STRETCH_S, and to an open budget's end. */
static uint64_t next_updates(const struct bm_training *training) {
    double updates = training->update_s > 0 ? STRETCH_S / training->update_s : 1;
    size_t index;
    const json_t *budget;
    json_array_foreach(training->budgets, index, budget) {
        const char *name = json_string_value(json_object_get(budget, "budget"));
        double left =
            json_number_value(json_object_get(budget, "limit")) - used_of(training, budget);
        if (!is_open(budget) || strcmp(name, "epochs") == 0) {
            continue;
        }
        left = strcmp(name, "seconds") == 0 ? ceil(left / training->update_s) : left;
        updates = left < updates ? left : updates;
    }
    return updates > 1 ? (uint64_t)updates : 1;
}

/* ---- Watch ---- */

static void end_with(struct bm_training *training, const char *status, uint64_t update) {
    training->status = status;
    training->at_update = update;
}

/* The loss of a stretch's last batch is no number: which update was the first? */
static void end_with_nan(struct bm_training *training, uint64_t updates) {
    json_t *reply = NULL;
    struct bm_verdict before = training->verdict;
    report(training, "looking for the update");
    int32_t good = bm_training_ask(training, json_pack("{s:s}", "do", "train_locate"),
                                   2 * training->update_s * (double)updates, &reply);
    uint64_t update = good ? (uint64_t)json_integer_value(json_object_get(reply, "update")) : 0;
    uint64_t first = training->done - updates + 1;
    json_decref(reply);
    end_with(training, "nan", update > 0 ? update : training->done);
    if (update > 0) {
        (void)snprintf(training->mishap, sizeof training->mishap,
                       "the loss of update %llu is not a number", (unsigned long long)update);
    } else {
        (void)snprintf(training->mishap, sizeof training->mishap,
                       "the loss is not a number, since one of the updates %llu to %llu%s%.200s",
                       (unsigned long long)first, (unsigned long long)training->done,
                       good ? "" : ": ", good ? "" : training->verdict.reason);
    }
    training->verdict = before;
}

static void watch_loss(struct bm_training *training, double loss, uint64_t first) {
    if (loss <= DIVERGED_TIMES * training->start_loss) {
        training->above_since = 0;
    } else if (training->above_since == 0) {
        training->above_since = first;
    }
}

/* Of the point just measured. 1 if the training ends here. */
static int watch_point(struct bm_training *training) {
    double loss = last_loss(training);
    double chance = 1.0 / training->of->dataset->class_count;
    double accuracy = bm_training_accuracy(training, "train");
    if (loss < training->best_loss) {
        training->best_loss = loss;
        training->best_update = training->done;
    }
    if (isfinite(loss) &&
        (loss <= DIVERGED_TIMES * training->start_loss || accuracy > CHANCE_TIMES * chance)) {
        return 0;
    }
    end_with(training, "diverged",
             training->above_since > 0 ? training->above_since : training->done);
    (void)snprintf(training->mishap, sizeof training->mishap,
                   "training loss %.3g at the start, %.3g after update %llu (above since update "
                   "%llu)",
                   training->start_loss, loss, (unsigned long long)training->done,
                   (unsigned long long)training->at_update);
    return 1;
}

static void judge_progress(struct bm_training *training) {
    if (strcmp(training->status, "ok") != 0 ||
        training->best_loss < (1 - PROGRESS_PART) * training->start_loss) {
        return;
    }
    end_with(training, "stalled", training->best_update);
    (void)snprintf(training->mishap, sizeof training->mishap,
                   "no progress: training loss %.4g at the start, %.4g at best (update %llu)",
                   training->start_loss, training->best_loss,
                   (unsigned long long)training->best_update);
}

/* ---- Checkpoints ---- */

/* JSON has neither infinity nor NaN. */
static json_t *details_json(const struct bm_training *training) {
    if (training->last == NULL) {
        return json_object(); /* not one to go on with */
    }
    return json_pack(
        "{s:o, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:O, s:O, s:O, s:o}", "start_loss",
        bm_field_finite(training->start_loss), "best_loss", bm_field_finite(training->best_loss),
        "best_update", (json_int_t)training->best_update, "above_since",
        (json_int_t)training->above_since, "epoch", (json_int_t)training->epoch, "updates",
        (json_int_t)training->done, "seconds", training->trained_s, "update_s", training->update_s,
        "fraction", training->fraction, "budgets", training->budgets, "targets", training->targets,
        "last", training->last, "key", bm_training_key(training));
}

json_t *bm_training_save_command(const struct bm_training *training, const char *path) {
    const struct bm_case *of = training->of;
    json_t *texts =
        json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:s}", "backend",
                  json_sprintf("%s:%u", training->row->file->name, training->row->device_index),
                  "model", of->model->name, "layers", of->layers, "dataset", of->dataset->name,
                  "optimizer", bm_optimizer_names[of->optimizer], "precision", of->precision,
                  "schedule", training->schedule);
    return json_pack("{s:s, s:s, s:o, s:o}", "do", "train_save", "path", path, "of", texts,
                     "details", details_json(training));
}

static void take_details(struct bm_training *training, const json_t *details) {
    training->start_loss = json_number_value(json_object_get(details, "start_loss"));
    training->best_loss = json_number_value(json_object_get(details, "best_loss"));
    training->best_update = (uint64_t)json_integer_value(json_object_get(details, "best_update"));
    training->above_since = (uint64_t)json_integer_value(json_object_get(details, "above_since"));
    training->epoch = (uint64_t)json_integer_value(json_object_get(details, "epoch"));
    training->done = (uint64_t)json_integer_value(json_object_get(details, "updates"));
    training->fraction = json_number_value(json_object_get(details, "fraction"));
    training->trained_s = json_number_value(json_object_get(details, "seconds"));
    training->update_s = json_number_value(json_object_get(details, "update_s"));
    training->budgets = json_deep_copy(json_object_get(details, "budgets"));
    training->targets = json_deep_copy(json_object_get(details, "targets"));
    training->last = json_deep_copy(json_object_get(details, "last"));
}

/* ---- The training ---- */

static int32_t begin(struct bm_training *training) {
    training->status = "ok";
    training->best_loss = INFINITY;
    if (!bm_training_open(training)) {
        return 0;
    }
    if (training->resume != NULL) {
        take_details(training, training->resume);
        return tell(training,
                    json_pack("{s:s, s:s}", "do", "train_restore", "path", training->checkpoint));
    }
    plan_budgets(training);
    if (!measure_point(training)) {
        return 0;
    }
    training->start_loss = last_loss(training);
    training->best_loss = training->start_loss;
    return tell_point(training);
}

/* One stretch. 1 if the training goes on. */
static int32_t go_on(struct bm_training *training, uint32_t *has_point) {
    uint64_t updates = next_updates(training);
    json_t *reply = NULL;
    report(training, "training");
    json_t *command = json_pack("{s:s, s:I}", "do", "train", "updates", (json_int_t)updates);
    if (!bm_training_ask(training, command, training->update_s * (double)updates, &reply)) {
        json_decref(reply);
        return 0;
    }
    const json_t *loss = json_object_get(reply, "loss");
    uint64_t made = (uint64_t)json_integer_value(json_object_get(reply, "updates"));
    double seconds = json_number_value(json_object_get(reply, "seconds"));
    int ended = json_is_true(json_object_get(reply, "ended_epoch"));
    training->done += made;
    training->trained_s = json_number_value(json_object_get(reply, "total_seconds"));
    training->update_s = made > 0 ? seconds / (double)made : training->update_s;
    uint64_t each = updates_per_epoch(training);
    training->epoch += ended != 0;
    training->fraction = ended ? 0 : (double)(training->done % each) / (double)each;
    *has_point = ended || ends_budget(training);
    if (!json_is_number(loss)) {
        end_with_nan(training, made);
    } else {
        watch_loss(training, json_number_value(loss), training->done - made + 1);
    }
    json_decref(reply);
    return strcmp(training->status, "ok") == 0;
}

static int wants_test(const struct bm_training *training) {
    return strcmp(training->role, BM_ROLE_TRIAL) != 0;
}

/* The last point of a training that is done gets the test images' too. */
static int32_t add_test(struct bm_training *training) {
    json_t *test = evaluate(training, "test accuracy", BM_SPLIT_TEST);
    if (test == NULL) {
        return 0;
    }
    (void)json_object_set_new(training->last, "test", test);
    return 1;
}

int32_t bm_training_evaluate(struct bm_training *training) {
    return measure_point(training) && add_test(training);
}

static void end_with_cut(struct bm_training *training, const char *why) {
    end_with(training, "cut", training->done);
    (void)snprintf(training->mishap, sizeof training->mishap, "%s", why);
}

/* 1 if the training goes on behind this point; `why_cut` not NULL: it does not. */
static int32_t take_point(struct bm_training *training, const char *why_cut) {
    if (!measure_point(training)) {
        return 0;
    }
    judge_budgets(training);
    int ended = watch_point(training) || is_done(training);
    if (!ended && why_cut != NULL) {
        end_with_cut(training, why_cut);
        ended = 1;
    }
    if (ended && wants_test(training) && !add_test(training)) {
        return 0;
    }
    if (!tell_point(training) && !ended) {
        end_with_cut(training, "its record could not be written");
        ended = 1;
    }
    return !ended;
}

/* Cut by a limit between two points: it has a last one too. */
static void cut(struct bm_training *training, const char *why) {
    end_with_cut(training, why);
    if (!measure_point(training)) {
        return;
    }
    if (!wants_test(training) || add_test(training)) {
        (void)tell_point(training);
    }
}

static const char *limit_reached(const struct bm_training *training, double begun_s) {
    double now_s = bm_now_s();
    if (now_s > training->deadline_s) {
        return "the time limit of the command (--time-limit)";
    }
    return now_s - begun_s > training->options->training_time_s
               ? "the time limit of a training (--training-time)"
               : NULL;
}

/* 1: saved, or there is nowhere to. */
static int32_t save(struct bm_training *training, const char *path) {
    return path == NULL || tell(training, bm_training_save_command(training, path));
}

/* One stretch and what follows from it. 1 if the training goes on. */
static int32_t step(struct bm_training *training, double begun_s) {
    uint32_t has_point = 0;
    if (!go_on(training, &has_point)) {
        return 0;
    }
    /* An interrupted one goes on later; it is not cut. */
    const char *why = bm_interrupt_signal() != 0 ? NULL : limit_reached(training, begun_s);
    if (has_point) {
        return take_point(training, why);
    }
    if (why != NULL) {
        cut(training, why);
    }
    return why == NULL;
}

static void walk(struct bm_training *training) {
    double begun_s = bm_now_s();
    double saved_s = begun_s;
    int32_t goes_on = !is_done(training);
    while (goes_on && step(training, begun_s)) {
        double now_s = bm_now_s();
        int interrupted = bm_interrupt_signal() != 0;
        if (interrupted || now_s - saved_s > CHECKPOINT_S) {
            goes_on = save(training, training->checkpoint);
            saved_s = now_s;
        }
        if (interrupted && goes_on) {
            training->verdict.kind = BM_VERDICT_INTERRUPTED;
            return;
        }
    }
}

void bm_training_run(struct bm_training *training) {
    struct bm_worker *worker = &training->row->worker[0];
    worker->grace_s = GRACE_S;
    if (begin(training)) {
        walk(training);
    }
    if (training->verdict.kind == BM_VERDICT_OK) {
        judge_progress(training);
        if (bm_worker_running(worker)) { /* not lost in looking for an update */
            (void)save(training, training->keep);
        }
    }
    worker->grace_s = 0;
    if (training->verdict.kind != BM_VERDICT_OK) {
        training->status = bm_verdict_status(training->verdict.kind);
    }
}

json_t *bm_training_json(const struct bm_training *training) {
    static const char *const splits[] = {"train", "validation", "test"};
    json_t *object = make_object(training, "training");
    json_t *place = place_json(training);
    json_t *reason = json_string(
        training->verdict.kind == BM_VERDICT_OK ? training->mishap : training->verdict.reason);
    (void)json_object_update(object, place);
    json_decref(place);
    (void)json_object_set_new(object, "status", json_string(training->status));
    (void)json_object_set_new(object, "reason", reason != NULL ? reason : json_string("?"));
    (void)json_object_set_new(
        object, "at_update",
        training->at_update > 0 ? json_integer((json_int_t)training->at_update) : json_null());
    (void)json_object_set_new(object, "tuned", json_boolean(training->is_tuned));
    (void)json_object_set_new(object, "epochs",
                              json_real((double)training->epoch + training->fraction));
    (void)json_object_set_new(object, "update_ns",
                              training->done > 0
                                  ? json_real(1e9 * training->trained_s / (double)training->done)
                                  : json_null());
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        json_t *split = json_object_get(training->last, splits[i]);
        (void)json_object_set_new(object, splits[i],
                                  split == NULL ? json_null() : json_incref(split));
    }
    (void)json_object_set_new(object, "budgets",
                              training->budgets == NULL ? json_array()
                                                        : json_incref(training->budgets));
    (void)json_object_set_new(object, "targets",
                              training->targets == NULL ? json_array()
                                                        : json_incref(training->targets));
    (void)json_object_set_new(object, "plugin",
                              json_pack("{s:s, s:s, s:b}", "name", training->row->file->name,
                                        "sha256", training->row->file->sha256, "by_trust",
                                        (int)training->row->file->trusted));
    return object;
}

void bm_training_free(struct bm_training *training) {
    json_decref(training->last);
    json_decref(training->budgets);
    json_decref(training->targets);
    training->last = NULL;
    training->budgets = NULL;
    training->targets = NULL;
}
