/* The page's copy of trainings: settings, their values over the seeds, curves, budgets and
 * targets. */
#include "report_parts.h"

#include "field.h"
#include "train_table_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *mean_json(const struct bm_seeds_mean *mean) {
    return json_pack("{s:o, s:o, s:o, s:I}", "mean", bm_report_real(mean->mean), "low",
                     bm_report_real(mean->low), "high", bm_report_real(mean->high), "count",
                     (json_int_t)mean->count);
}

/* ---- Final values ---- */

/* Mean and interval, and the range that the seeds span. */
static json_t *values_json(const struct bm_train_values *values) {
    struct bm_seeds_mean mean = bm_train_mean(values);
    double low = (double)NAN;
    double high = (double)NAN;
    for (uint32_t i = 0; i < values->count; i++) {
        low = fmin(low, values->value[i]);
        high = fmax(high, values->value[i]);
    }
    json_t *object = mean_json(&mean);
    (void)json_object_set_new(object, "min", bm_report_real(low));
    (void)json_object_set_new(object, "max", bm_report_real(high));
    return object;
}

static json_t *final_json(const struct bm_train_setting *setting) {
    static const struct {
        const char *key;
        bm_train_getter get;
    } fields[] = {{"train", bm_train_last_accuracy},
                  {"validation", bm_train_last_accuracy},
                  {"test", bm_train_last_accuracy},
                  {"updates", bm_train_last_measure},
                  {"seconds", bm_train_last_measure}};

    json_t *object = json_object();
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct bm_train_values values;
        bm_train_collect(setting, fields[i].get, fields[i].key, &values);
        (void)json_object_set_new(object, fields[i].key, values_json(&values));
    }
    return object;
}

static json_t *verdicts_json(const struct bm_train_setting *setting) {
    static const struct bm_report_field fields[] = {{"status", bm_report_text},
                                                    {"seed", bm_report_number},
                                                    {"at_update", bm_report_number},
                                                    {"reason", bm_report_text},
                                                    {NULL, NULL}};
    json_t *list = json_array();
    for (uint32_t i = 0; i < setting->count; i++) {
        if (!bm_field_has_status(setting->trainings[i], "ok")) {
            json_t *verdict = json_object();
            bm_report_copy(fields, setting->trainings[i], verdict);
            (void)json_array_append_new(list, verdict);
        }
    }
    return list;
}

/* ---- Budgets and targets ---- */

static json_t *budget_json(const struct bm_train_setting *setting, const char *name) {
    struct bm_train_budget train = bm_train_budget_of(setting, name, "train");
    struct bm_train_budget validation = bm_train_budget_of(setting, name, "validation");
    if (!validation.has_limit) {
        return json_null();
    }
    struct bm_seeds_mean updates = bm_train_budget_cost(setting, name, "updates");
    struct bm_seeds_mean seconds = bm_train_budget_cost(setting, name, "seconds");
    return json_pack("{s:o, s:I, s:I, s:b, s:o, s:o, s:o, s:o}", "limit",
                     bm_report_real(validation.limit), "reached", (json_int_t)validation.reached,
                     "of", (json_int_t)validation.tried, "censored", validation.is_censored,
                     "train", mean_json(&train.accuracy), "validation",
                     mean_json(&validation.accuracy), "updates", mean_json(&updates), "seconds",
                     mean_json(&seconds));
}

static json_t *budgets_json(const struct bm_train_setting *setting) {
    json_t *object = json_object();
    for (uint32_t i = 0; i < BM_TRAIN_BUDGETS; i++) {
        (void)json_object_set_new(object, bm_train_budgets[i],
                                  budget_json(setting, bm_train_budgets[i]));
    }
    return object;
}

static json_t *targets_json(const struct bm_train_group *group,
                            const struct bm_train_setting *setting) {
    double targets[BM_TRAIN_TARGETS_MAX];
    uint32_t count = bm_train_targets(group, targets);
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        struct bm_train_target target = bm_train_target_of(setting, targets[i]);
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:I, s:I, s:o, s:o}", "target", bm_report_real(targets[i]), "reached",
                      (json_int_t)target.reached, "of", (json_int_t)target.tried, "updates",
                      bm_report_real(target.has_updates ? target.updates : (double)NAN), "seconds",
                      bm_report_real(target.has_seconds ? target.seconds : (double)NAN)));
    }
    return list;
}

/* ---- Curves ---- */

/* Mean over the seeds of a field of the points, or of a split's field. */
static json_t *
point_mean(const json_t *const *points, size_t count, const char *split, const char *key) {
    double values[BM_TRAIN_SEEDS_MAX];
    uint64_t found = 0;
    for (size_t i = 0; i < count && found < BM_TRAIN_SEEDS_MAX; i++) {
        const json_t *object = split == NULL ? points[i] : json_object_get(points[i], split);
        found += bm_train_measure(object, key, &values[found]) != 0;
    }
    struct bm_seeds_mean mean = bm_seeds_mean(values, found, BM_SEEDS_COVERAGE);
    return mean_json(&mean);
}

static json_t *point_json(const json_t *const *points, size_t count) {
    static const struct {
        const char *name;
        const char *split;
        const char *key;
    } fields[] = {{"updates", NULL, "updates"},    {"seconds", NULL, "seconds"},
                  {"train", "train", "accuracy"},  {"validation", "validation", "accuracy"},
                  {"train_loss", "train", "loss"}, {"validation_loss", "validation", "loss"}};

    json_t *object = json_pack("{s:o}", "epoch", bm_report_number(points[0], "epoch"));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        (void)json_object_set_new(object, fields[i].name,
                                  point_mean(points, count, fields[i].split, fields[i].key));
    }
    return object;
}

static json_t *curve_json(const struct bm_train_view *view,
                          const struct bm_train_setting *setting) {
    struct bm_train_curve curve;
    json_t *list = json_array();
    if (bm_train_curve_of(view, setting, &curve) == 0) {
        for (size_t i = 0; i < curve.count; i += bm_train_curve_seeds(&curve, i)) {
            (void)json_array_append_new(
                list, point_json(&curve.points[i], bm_train_curve_seeds(&curve, i)));
        }
    }
    free(curve.points);
    return list;
}

/* ---- Settings ---- */

static json_t *trials_json(const struct bm_train_view *view, const json_t *key) {
    static const struct bm_report_field fields[] = {{"rate", bm_report_number},
                                                    {"accuracy", bm_report_number},
                                                    {"status", bm_report_text},
                                                    {NULL, NULL}};
    size_t i;
    size_t k;
    const json_t *object;
    const json_t *trial;
    json_t *list = json_array();
    json_array_foreach(view->objects, i, object) {
        if (!bm_field_is_kind(object, "tuned") || !bm_train_same_setting(object, key)) {
            continue;
        }
        json_array_foreach(json_object_get(object, "trials"), k, trial) {
            json_t *copy = json_object();
            bm_report_copy(fields, trial, copy);
            (void)json_object_set(copy, "validation", json_object_get(copy, "accuracy"));
            (void)json_object_del(copy, "accuracy");
            (void)json_array_append_new(list, copy);
        }
    }
    return list;
}

static json_t *name_json(const struct bm_train_group *group, const json_t *key) {
    char name[BM_TRAIN_FIELD_SIZE];
    bm_train_name(group, key, name, sizeof name);
    return bm_field_string(name);
}

/* A batch that is all images. */
static int is_full(const json_t *key) {
    return bm_field_whole(key, "batch") > 0 &&
           bm_field_whole(key, "batch") == bm_field_whole(key, "images");
}

static json_t *setting_json(const struct bm_train_view *view,
                            const struct bm_train_group *group,
                            const struct bm_train_setting *setting) {
    static const struct bm_report_field fields[] = {{"optimizer", bm_report_text},
                                                    {"schedule", bm_report_text},
                                                    {"batch", bm_report_number},
                                                    {"momentum", bm_report_number},
                                                    {"weight_decay", bm_report_number},
                                                    {"momentum_form", bm_report_text},
                                                    {NULL, NULL}};
    struct bm_train_rate rate = bm_train_rate_of(view, setting);
    json_t *object =
        json_pack("{s:o, s:b, s:o, s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                  name_json(group, setting->key), "full", is_full(setting->key), "rate",
                  bm_report_real(rate.is_known ? rate.value : (double)NAN), "tuned", rate.is_tuned,
                  "seeds", (json_int_t)bm_train_usable_count(setting), "tried",
                  (json_int_t)bm_train_tried_count(setting), "verdicts", verdicts_json(setting),
                  "final", final_json(setting), "budgets", budgets_json(setting), "targets",
                  targets_json(group, setting), "curve", curve_json(view, setting), "trials",
                  trials_json(view, setting->key));
    bm_report_copy(fields, setting->key, object);
    return object;
}

/* ---- Groups ---- */

static json_t *noise_json(const struct bm_train_view *view, const json_t *key) {
    static const struct bm_report_field fields[] = {
        {"optimizer", bm_report_text}, {"schedule", bm_report_text}, {"batch", bm_report_number},
        {"at", bm_report_text},        {"seed", bm_report_number},   {"scale", bm_report_number},
        {"low", bm_report_number},     {"high", bm_report_number},   {NULL, NULL}};
    size_t i;
    const json_t *object;
    json_t *list = json_array();
    json_array_foreach(view->objects, i, object) {
        if (bm_field_is_kind(object, "noise") && bm_train_same_group(object, key)) {
            json_t *noise = json_object();
            bm_report_copy(fields, object, noise);
            (void)json_array_append_new(list, noise);
        }
    }
    return list;
}

/* Cells of the group's backend, model and data: with its own threads and with one. */
static json_t *times_json(struct bm_report_cells *cells,
                          uint32_t run,
                          const struct bm_train_view *view,
                          const json_t *key) {
    size_t i;
    const json_t *object;
    json_t *list = json_array();
    json_array_foreach(view->objects, i, object) {
        if (bm_field_is_kind(object, "cell") && bm_train_same(object, key, "backend") &&
            bm_train_same(object, key, "device") && bm_train_same(object, key, "dataset") &&
            bm_train_same(object, key, "layers") && bm_train_same(object, key, "precision")) {
            (void)json_array_append_new(list, bm_report_cell(cells, run, object));
        }
    }
    return list;
}

static json_t *label_json(const json_t *key) {
    char label[BM_TRAIN_FIELD_SIZE];
    bm_train_backend(key, label, sizeof label);
    return bm_field_string(label);
}

static json_t *group_json(struct bm_report_cells *cells,
                          uint32_t run,
                          const struct bm_train_view *view,
                          const struct bm_train_group *group) {
    static const struct bm_report_field fields[] = {{"backend", bm_report_text},
                                                    {"device_name", bm_report_text},
                                                    {"model", bm_report_text},
                                                    {"layers", bm_report_text},
                                                    {"dataset", bm_report_text},
                                                    {"threads", bm_report_number},
                                                    {"precision", bm_report_text},
                                                    {"images", bm_report_number},
                                                    {NULL, NULL}};
    json_t *settings = json_array();
    for (uint32_t i = 0; i < group->count; i++) {
        (void)json_array_append_new(settings, setting_json(view, group, &group->settings[i]));
    }
    json_t *blocks = bm_train_blocks(view, group);
    json_t *object =
        json_pack("{s:I, s:o, s:b, s:o, s:o, s:o, s:o}", "run", (json_int_t)run, "label",
                  label_json(group->key), "software", bm_train_is_software(view, group->key),
                  "settings", settings, "noise", noise_json(view, group->key), "times",
                  times_json(cells, run, view, group->key), "blocks",
                  blocks == NULL ? NULL : bm_report_plain(blocks));
    bm_report_copy(fields, group->key, object);
    json_decref(blocks);
    return object;
}

static int add_run(struct bm_report_cells *cells, uint32_t run, json_t *list) {
    struct bm_train_view view;
    int failed = bm_train_view_init(cells->report->runs[run].objects, 0, 0, NULL, &view);
    for (uint32_t i = 0; !failed && i < view.count; i++) {
        failed = json_array_append_new(list, group_json(cells, run, &view, &view.groups[i]));
    }
    bm_train_view_deinit(&view);
    return failed;
}

json_t *bm_report_trainings(const struct bm_report *report, struct bm_report_cells *cells) {
    json_t *list = json_array();
    int failed = list == NULL;
    for (uint32_t i = 0; !failed && i < report->run_count; i++) {
        if (strcmp(report->runs[i].command, "train") == 0) {
            failed = add_run(cells, i, list);
        }
    }
    if (failed) {
        json_decref(list);
        return NULL;
    }
    return list;
}
