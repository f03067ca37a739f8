/* What the tables of `train` show of a setting, as numbers: its rate, what it reached under each
 * budget, what a target took. */
#include "field.h"
#include "stats.h"
#include "train_table_parts.h"

#include <math.h>
#include <string.h>

const char *const bm_train_budgets[BM_TRAIN_BUDGETS] = {"epochs", "updates", "seconds"};

/* ---- Final values and rates ---- */

static int get_rate(const json_t *training, const void *context, double *value) {
    (void)context;
    return bm_train_measure(training, "rate", value);
}

int bm_train_last_measure(const json_t *training, const void *context, double *value) {
    return bm_train_is_usable(training) && bm_train_measure(training, context, value);
}

/* Records hold nine digits. */
static int is_near(double a, double b) {
    return fabs(a - b) <= 1e-8 * fmax(fabs(a), fabs(b));
}

/* Whether tuning chose the rate that a training has. */
static int is_tuned(const struct bm_train_view *view, const json_t *training, double rate) {
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        double chosen = 0;
        if (bm_field_is_kind(object, "tuned") && bm_train_same_setting(object, training) &&
            bm_train_measure(object, "rate", &chosen) && is_near(chosen, rate)) {
            return 1;
        }
    }
    return 0;
}

struct bm_train_rate bm_train_rate_of(const struct bm_train_view *view,
                                      const struct bm_train_setting *setting) {
    struct bm_train_rate rate = {0};
    struct bm_train_values rates;
    bm_train_collect(setting, get_rate, NULL, &rates);
    for (uint32_t i = 1; i < rates.count; i++) {
        if (!is_near(rates.value[i], rates.value[0])) {
            rate.is_several = 1;
            return rate;
        }
    }
    if (rates.count > 0) {
        rate.is_known = 1;
        rate.value = rates.value[0];
        rate.is_tuned = is_tuned(view, setting->key, rates.value[0]);
    }
    return rate;
}

/* ---- Budgets ---- */

static const json_t *find_budget(const json_t *training, const char *name) {
    size_t index;
    const json_t *budget;
    json_array_foreach(json_object_get(training, "budgets"), index, budget) {
        if (strcmp(bm_field_text(budget, "budget"), name) == 0) {
            return budget;
        }
    }
    return NULL;
}

/* What a training had reached before a mishap counts, unless it computed something wrong. */
static int is_counted(const json_t *training) {
    return bm_train_is_tried(training) && !bm_field_has_status(training, "wrong");
}

/* What of a budget a value is wanted of. */
struct budget_query {
    const char *name;
    const char *split; /* NULL: its limit */
    int reached;       /* of trainings that reached it, or of those that did not */
};

static int get_budget(const json_t *training, const void *context, double *value) {
    const struct budget_query *query = context;
    const json_t *budget = find_budget(training, query->name);
    int is_reached = json_is_true(json_object_get(budget, "reached"));
    if (query->split == NULL) {
        return bm_train_measure(budget, "limit", value);
    }
    if (budget == NULL || !is_counted(training) || is_reached != query->reached) {
        return 0;
    }
    return bm_train_accuracy(budget, query->split, value) ||
           (!is_reached && bm_train_last_accuracy(training, query->split, value));
}

int bm_train_limits(const struct bm_train_group *group,
                    const char *budget,
                    double *low,
                    double *high) {
    struct budget_query query = {.name = budget};
    int count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        struct bm_train_values limits;
        bm_train_collect(&group->settings[i], get_budget, &query, &limits);
        for (uint32_t k = 0; k < limits.count; k++, count++) {
            *low = count == 0 ? limits.value[k] : fmin(*low, limits.value[k]);
            *high = count == 0 ? limits.value[k] : fmax(*high, limits.value[k]);
        }
    }
    return count;
}

struct bm_train_budget
bm_train_budget_of(const struct bm_train_setting *setting, const char *name, const char *split) {
    struct budget_query query = {.name = name};
    struct bm_train_budget budget = {.tried = bm_train_tried_count(setting)};
    struct bm_train_values values;
    bm_train_collect(setting, get_budget, &query, &values);
    budget.has_limit = values.count > 0;
    budget.limit = values.count > 0 ? values.value[0] : 0;
    query.split = split;
    query.reached = 1;
    bm_train_collect(setting, get_budget, &query, &values);
    budget.reached = values.count;
    if (values.count == 0) {
        query.reached = 0;
        bm_train_collect(setting, get_budget, &query, &values);
        budget.is_censored = values.count > 0;
    }
    budget.accuracy = bm_train_mean(&values);
    return budget;
}

struct budget_cost {
    const char *name;
    const char *key;
};

static int get_budget_cost(const json_t *training, const void *context, double *value) {
    const struct budget_cost *cost = context;
    const json_t *budget = find_budget(training, cost->name);
    return is_counted(training) && json_is_true(json_object_get(budget, "reached")) &&
           bm_train_measure(budget, cost->key, value);
}

struct bm_seeds_mean
bm_train_budget_cost(const struct bm_train_setting *setting, const char *name, const char *key) {
    struct budget_cost cost = {name, key};
    struct bm_train_values values;
    bm_train_collect(setting, get_budget_cost, &cost, &values);
    return bm_train_mean(&values);
}

/* ---- Targets ---- */

static const json_t *find_target(const json_t *training, double accuracy) {
    size_t index;
    const json_t *target;
    json_array_foreach(json_object_get(training, "targets"), index, target) {
        if (fabs(bm_field_number(target, "accuracy") - accuracy) < 1e-9) {
            return target;
        }
    }
    return NULL;
}

uint32_t bm_train_targets(const struct bm_train_group *group, double *targets) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        for (uint32_t k = 0; k < group->settings[i].count; k++) {
            size_t index;
            const json_t *target;
            json_array_foreach(json_object_get(group->settings[i].trainings[k], "targets"), index,
                               target) {
                double accuracy = 0;
                int is_new = bm_train_measure(target, "accuracy", &accuracy) && accuracy <= 1;
                for (uint32_t t = 0; t < count; t++) {
                    is_new = is_new && fabs(targets[t] - accuracy) >= 1e-9;
                }
                if (is_new && count < BM_TRAIN_TARGETS_MAX) {
                    targets[count++] = accuracy;
                }
            }
        }
    }
    return count;
}

struct target_query {
    double accuracy;
    const char *key; /* "updates", "seconds" */
};

static int get_target(const json_t *training, const void *context, double *value) {
    const struct target_query *query = context;
    const json_t *target = find_target(training, query->accuracy);
    return is_counted(training) && json_is_true(json_object_get(target, "reached")) &&
           bm_train_measure(target, query->key, value);
}

/* Median over all trainings that were tried, of which those that did not get there took longer
 * than any that did; 0 if it lies among those. */
static int median_of(const struct bm_train_values *values, uint32_t tried, double *median) {
    double sorted[BM_TRAIN_SEEDS_MAX];
    uint32_t middle = tried / 2;
    if (values->count < middle + 1) {
        return 0;
    }
    memcpy(sorted, values->value, values->count * sizeof sorted[0]);
    bm_stats_sort(sorted, values->count);
    *median = tried % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    return 1;
}

struct bm_train_target bm_train_target_of(const struct bm_train_setting *setting, double accuracy) {
    struct target_query query = {.accuracy = accuracy, .key = "updates"};
    struct bm_train_target target = {.tried = bm_train_tried_count(setting)};
    struct bm_train_values values;
    bm_train_collect(setting, get_target, &query, &values);
    target.reached = values.count;
    target.has_updates = median_of(&values, target.tried, &target.updates);
    query.key = "seconds";
    bm_train_collect(setting, get_target, &query, &values);
    target.has_seconds = median_of(&values, target.tried, &target.seconds);
    return target;
}
