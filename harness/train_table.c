#include "train_table.h"

#include "field.h"
#include "table.h"
#include "train_table_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Final accuracies ---- */

static void rate_field(const struct bm_train_view *view,
                       const struct bm_train_setting *setting,
                       char *text,
                       uint32_t capacity) {
    struct bm_train_rate rate = bm_train_rate_of(view, setting);
    if (rate.is_known) {
        (void)snprintf(text, capacity, "%.3g%s", rate.value, rate.is_tuned ? " tuned" : "");
    } else {
        (void)snprintf(text, capacity, rate.is_several ? "several" : "-");
    }
}

/* What stands in place of an accuracy where no training has one: what ended the first. */
static void mark_field(const struct bm_train_setting *setting, char *text, uint32_t capacity) {
    (void)snprintf(text, capacity, "-");
    for (uint32_t i = 0; i < setting->count; i++) {
        if (bm_train_is_tried(setting->trainings[i])) {
            char status[64];
            bm_train_text(setting->trainings[i], "status", 12, status, sizeof status);
            (void)snprintf(text, capacity, "! %s", strcmp(status, "wrong") == 0 ? "WRONG" : status);
            return;
        }
    }
}

/* The mean over the usable trainings; how many have such a value, where not all do. */
static void accuracy_field(const struct bm_train_setting *setting,
                           const char *split,
                           char *text,
                           uint32_t capacity) {
    struct bm_train_values values;
    uint32_t usable = bm_train_usable_count(setting);
    if (usable == 0) {
        mark_field(setting, text, capacity);
        return;
    }
    bm_train_collect(setting, bm_train_last_accuracy, split, &values);
    struct bm_seeds_mean mean = bm_train_mean(&values);
    bm_train_percent(&mean, text, capacity);
    if (values.count > 0 && values.count < usable) {
        size_t used = strlen(text);
        (void)snprintf(text + used, capacity - used, " (%u)", values.count);
    }
}

static void mean_field(const struct bm_train_setting *setting,
                       const char *key,
                       int is_time,
                       char *text,
                       uint32_t capacity) {
    struct bm_train_values values;
    bm_train_collect(setting, bm_train_last_measure, key, &values);
    struct bm_seeds_mean mean = bm_train_mean(&values);
    if (mean.count == 0) {
        (void)snprintf(text, capacity, "-");
    } else if (is_time) {
        bm_train_time(mean.mean, text, capacity);
    } else {
        (void)snprintf(text, capacity, "%.0f", mean.mean);
    }
}

static void seeds_field(const struct bm_train_setting *setting, char *text, uint32_t capacity) {
    uint32_t usable = bm_train_usable_count(setting);
    uint32_t tried = bm_train_tried_count(setting);
    if (usable == tried) {
        (void)snprintf(text, capacity, "%u", usable);
    } else {
        (void)snprintf(text, capacity, "%u of %u", usable, tried);
    }
}

static void print_final(const struct bm_train_view *view, const struct bm_train_group *group) {
    static const char *const heading[] = {
        "final accuracy, %", "batch", "rate", "train", "validation", "test",
        "updates",           "time",  "seeds"};
    static const char *const splits[] = {"train", "validation", "test"};
    struct bm_grid grid;
    if (bm_grid_init(&grid, group->count + 1, 9) != 0) {
        return;
    }
    bm_train_set_row(&grid, 0, heading, 9);
    for (uint32_t i = 0; i < group->count; i++) {
        const struct bm_train_setting *setting = &group->settings[i];
        char text[9][BM_TRAIN_FIELD_SIZE];
        bm_train_method(group, setting->key, text[0], sizeof text[0]);
        bm_train_count(setting->key, "batch", text[1], sizeof text[1]);
        rate_field(view, setting, text[2], sizeof text[2]);
        for (uint32_t k = 0; k < 3; k++) {
            accuracy_field(setting, splits[k], text[3 + k], sizeof text[3 + k]);
        }
        mean_field(setting, "updates", 0, text[6], sizeof text[6]);
        mean_field(setting, "seconds", 1, text[7], sizeof text[7]);
        seeds_field(setting, text[8], sizeof text[8]);
        for (uint32_t k = 0; k < 9; k++) {
            bm_grid_set(&grid, i + 1, k, "%s", text[k]);
        }
    }
    bm_train_finish_grid(view, &grid);
}

/* ---- Budgets ---- */

/* "10 epochs", "500-2000 updates", "20 s" */
static void format_limits(uint32_t budget, double low, double high, char *text, uint32_t capacity) {
    const char *unit =
        strcmp(bm_train_budgets[budget], "seconds") == 0 ? "s" : bm_train_budgets[budget];
    if (high > low) {
        (void)snprintf(text, capacity, "%.9g-%.9g %s", low, high, unit);
    } else {
        (void)snprintf(text, capacity, "%.9g %s", low, unit);
    }
}

/* " at 500" where the settings of a group have budgets of different size. */
static void add_limit(const struct bm_train_budget *budget, char *text, uint32_t capacity) {
    size_t used = strlen(text);
    if (budget->has_limit && strcmp(text, "-") != 0) {
        (void)snprintf(text + used, capacity - used, " at %.9g", budget->limit);
    }
}

static void budget_field(const struct bm_train_budget *budget, char *text, uint32_t capacity) {
    bm_train_percent(&budget->accuracy, text, capacity);
    size_t used = strlen(text);
    if (budget->is_censored) {
        (void)snprintf(text + used, capacity - used, " (censored)");
    } else if (budget->reached > 0 && budget->reached < budget->tried) {
        (void)snprintf(text + used, capacity - used, " (%u of %u)", budget->reached, budget->tried);
    }
}

static void fill_budget(const struct bm_train_group *group,
                        struct bm_grid *grid,
                        uint32_t column,
                        uint32_t budget,
                        const char *split) {
    double low = 0;
    double high = 0;
    char text[BM_TRAIN_FIELD_SIZE];
    (void)bm_train_limits(group, bm_train_budgets[budget], &low, &high);
    format_limits(budget, low, high, text, sizeof text);
    bm_grid_set(grid, 0, column, "%s", text);
    for (uint32_t i = 0; i < group->count; i++) {
        struct bm_train_budget found =
            bm_train_budget_of(&group->settings[i], bm_train_budgets[budget], split);
        budget_field(&found, text, sizeof text);
        if (high > low) {
            add_limit(&found, text, sizeof text);
        }
        bm_grid_set(grid, i + 1, column, "%s", text);
    }
}

static void fill_methods(const struct bm_train_group *group, struct bm_grid *grid) {
    bm_grid_set(grid, 0, 1, "batch");
    for (uint32_t i = 0; i < group->count; i++) {
        char text[BM_TRAIN_FIELD_SIZE];
        bm_train_method(group, group->settings[i].key, text, sizeof text);
        bm_grid_set(grid, i + 1, 0, "%s", text);
        bm_train_count(group->settings[i].key, "batch", text, sizeof text);
        bm_grid_set(grid, i + 1, 1, "%s", text);
    }
}

static void print_budgets(const struct bm_train_view *view,
                          const struct bm_train_group *group,
                          const char *split) {
    uint32_t budgets[BM_TRAIN_BUDGETS];
    uint32_t count = 0;
    struct bm_grid grid;
    for (uint32_t i = 0; i < BM_TRAIN_BUDGETS; i++) {
        double low = 0;
        double high = 0;
        if (bm_train_limits(group, bm_train_budgets[i], &low, &high)) {
            budgets[count++] = i;
        }
    }
    if (count == 0 || bm_grid_init(&grid, group->count + 1, count + 2) != 0) {
        return;
    }
    bm_grid_set(&grid, 0, 0, "%s accuracy, %%, after", split);
    fill_methods(group, &grid);
    for (uint32_t i = 0; i < count; i++) {
        fill_budget(group, &grid, i + 2, budgets[i], split);
    }
    bm_train_finish_grid(view, &grid);
}

/* ---- Targets ---- */

/* One block a target: median updates and time, and how many trainings got there. */
static void print_target(const struct bm_train_view *view,
                         const struct bm_train_group *group,
                         double accuracy) {
    struct bm_grid grid;
    if (bm_grid_init(&grid, group->count + 1, 5) != 0) {
        return;
    }
    bm_grid_set(&grid, 0, 0, "to %.4g %% validation accuracy, median", 100 * accuracy);
    fill_methods(group, &grid);
    bm_grid_set(&grid, 0, 2, "updates");
    bm_grid_set(&grid, 0, 3, "time");
    bm_grid_set(&grid, 0, 4, "reached");
    for (uint32_t i = 0; i < group->count; i++) {
        const struct bm_train_setting *setting = &group->settings[i];
        struct bm_train_target target = bm_train_target_of(setting, accuracy);
        char time[BM_TRAIN_FIELD_SIZE] = "-";
        if (target.has_seconds) {
            bm_train_time(target.seconds, time, sizeof time);
        }
        bm_grid_set(&grid, i + 1, 2, target.has_updates ? "%.9g" : "-", target.updates);
        bm_grid_set(&grid, i + 1, 3, "%s", time);
        bm_grid_set(&grid, i + 1, 4, "%u of %u", target.reached, target.tried);
    }
    bm_train_finish_grid(view, &grid);
}

static void print_targets(const struct bm_train_view *view, const struct bm_train_group *group) {
    double targets[BM_TRAIN_TARGETS_MAX];
    uint32_t count = bm_train_targets(group, targets);
    for (uint32_t i = 0; i < count; i++) {
        print_target(view, group, targets[i]);
    }
}

/* ---- Differences ---- */

/* The split whose accuracies settings are compared by: nothing was chosen on the test images, but
 * where no training came that far there are none. */
static const char *split_to_compare(const struct bm_train_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        struct bm_train_values values;
        bm_train_collect(&group->settings[i], bm_train_last_accuracy, "test", &values);
        if (values.count > 0) {
            return "test";
        }
    }
    return "validation";
}

struct difference {
    struct bm_seeds_paired paired;
    double p; /* Holm's */
};

/* Of each setting but the first, [count - 1], to that one. The number of those that have enough
 * seeds in common with it. */
static uint32_t find_differences(const struct bm_train_group *group,
                                 const char *split,
                                 struct difference *differences,
                                 double *p,
                                 double *adjusted) {
    struct bm_train_values first;
    uint32_t tested = 0;
    bm_train_collect(&group->settings[0], bm_train_last_accuracy, split, &first);
    for (uint32_t i = 1; i < group->count; i++) {
        struct bm_train_values values;
        bm_train_collect(&group->settings[i], bm_train_last_accuracy, split, &values);
        differences[i - 1].paired = bm_train_paired(&values, &first);
        if (differences[i - 1].paired.difference.count >= 2) {
            p[tested++] = differences[i - 1].paired.p;
        }
    }
    bm_seeds_holm(p, tested, adjusted);
    for (uint32_t i = 1, k = 0; i < group->count; i++) {
        int is_tested = differences[i - 1].paired.difference.count >= 2;
        differences[i - 1].p = is_tested ? adjusted[k++] : 1;
    }
    return tested;
}

static const char *verdict_of(const struct difference *difference) {
    const struct bm_seeds_mean *mean = &difference->paired.difference;
    if (mean->count < 2) {
        return "too few seeds";
    }
    if (!difference->paired.distinguishable || difference->p > 1 - BM_SEEDS_COVERAGE) {
        return "not distinguishable";
    }
    return mean->mean > 0 ? "better" : "worse";
}

static void
set_difference(struct bm_grid *grid, uint32_t row, const struct difference *difference) {
    const struct bm_seeds_mean *mean = &difference->paired.difference;
    bm_grid_set(grid, row, 2, mean->count > 0 ? "%+.2f" : "-", 100 * mean->mean);
    bm_grid_set(grid, row, 3, mean->has_interval ? "%+.2f to %+.2f" : "-", 100 * mean->low,
                100 * mean->high);
    bm_grid_set(grid, row, 4, mean->count >= 2 ? "%.2g" : "-", difference->p);
    bm_grid_set(grid, row, 5, "%llu", (unsigned long long)mean->count);
    bm_grid_set(grid, row, 6, "%s", verdict_of(difference));
}

static void print_difference_grid(const struct bm_train_view *view,
                                  const struct bm_train_group *group,
                                  const char *split,
                                  const struct difference *differences,
                                  uint32_t tested) {
    static const char *const heading[] = {"",  "batch", "points", "95 % interval",
                                          "p", "pairs", "verdict"};
    struct bm_grid grid;
    char first[BM_TRAIN_FIELD_SIZE];
    if (bm_grid_init(&grid, group->count, 7) != 0) {
        return;
    }
    bm_train_set_row(&grid, 0, heading, 7);
    bm_train_name(group, group->settings[0].key, first, sizeof first);
    bm_grid_set(&grid, 0, 0, "%s accuracy against %s", split, first);
    bm_grid_set(&grid, 0, 4, "%s", tested > 1 ? "p (Holm)" : "p");
    for (uint32_t i = 1; i < group->count; i++) {
        char text[BM_TRAIN_FIELD_SIZE];
        bm_train_method(group, group->settings[i].key, text, sizeof text);
        bm_grid_set(&grid, i, 0, "%s", text);
        bm_train_count(group->settings[i].key, "batch", text, sizeof text);
        bm_grid_set(&grid, i, 1, "%s", text);
        set_difference(&grid, i, &differences[i - 1]);
    }
    bm_train_finish_grid(view, &grid);
}

/* Paired by seed, against the first setting; nothing if no setting has two seeds in common with
 * it. */
static void print_differences(const struct bm_train_view *view,
                              const struct bm_train_group *group) {
    struct difference *differences = calloc(group->count, sizeof *differences);
    double *p = calloc(2 * (size_t)group->count, sizeof *p);
    if (differences != NULL && p != NULL) {
        const char *split = split_to_compare(group);
        uint32_t tested = find_differences(group, split, differences, p, p + group->count);
        if (tested > 0) {
            print_difference_grid(view, group, split, differences, tested);
        }
    }
    free(differences);
    free(p);
}

/* ---- Heading of a group ---- */

static void add_text(char *text, size_t capacity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_text(char *text, size_t capacity, const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, capacity - used, format, arguments);
    va_end(arguments);
}

/* The distinct seeds of a group in ascending order. */
static uint32_t find_seeds(const struct bm_train_group *group, uint64_t *seeds) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        for (uint32_t k = 0; k < group->settings[i].count; k++) {
            uint64_t seed = bm_field_whole(group->settings[i].trainings[k], "seed");
            uint32_t at = 0;
            while (at < count && seeds[at] < seed) {
                at++;
            }
            if ((at < count && seeds[at] == seed) || count == BM_TRAIN_SEEDS_MAX) {
                continue;
            }
            memmove(&seeds[at + 1], &seeds[at], (count - at) * sizeof seeds[0]);
            seeds[at] = seed;
            count++;
        }
    }
    return count;
}

/* "seed 1", "seeds 1-5, 7" */
static void format_seeds(const struct bm_train_group *group, char *text, size_t capacity) {
    uint64_t seeds[BM_TRAIN_SEEDS_MAX];
    uint32_t count = find_seeds(group, seeds);
    (void)snprintf(text, capacity, "seed%s", count == 1 ? "" : "s");
    for (uint32_t i = 0, end = 0; i < count; i = end + 1) {
        for (end = i; end + 1 < count && seeds[end + 1] == seeds[end] + 1;) {
            end++;
        }
        add_text(text, capacity, "%s %llu", i == 0 ? "" : ",", (unsigned long long)seeds[i]);
        if (end > i) {
            add_text(text, capacity, "%s%llu", end == i + 1 ? ", " : "-",
                     (unsigned long long)seeds[end]);
        }
    }
}

static void format_budgets(const struct bm_train_group *group, char *text, size_t capacity) {
    uint32_t count = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < BM_TRAIN_BUDGETS; i++) {
        double low = 0;
        double high = 0;
        if (bm_train_limits(group, bm_train_budgets[i], &low, &high)) {
            char limits[BM_TRAIN_FIELD_SIZE];
            format_limits(i, low, high, limits, sizeof limits);
            add_text(text, capacity, "%s%s", count++ == 0 ? "; budgets: " : ", ", limits);
        }
    }
}

/* "avx2: mlp, fashion-mnist, constant, 2 threads, float32" */
static void print_group_heading(const struct bm_train_view *view,
                                const struct bm_train_group *group) {
    char backend[BM_TRAIN_FIELD_SIZE];
    char texts[4][BM_TRAIN_FIELD_SIZE];
    char seeds[1024];
    char budgets[3 * BM_TRAIN_FIELD_SIZE];
    char threads[BM_TRAIN_FIELD_SIZE];
    char images[BM_TRAIN_FIELD_SIZE];
    static const char *const keys[] = {"model", "dataset", "schedule", "precision"};
    for (uint32_t i = 0; i < 4; i++) {
        bm_train_text(group->key, keys[i], 24, texts[i], sizeof texts[i]);
    }
    bm_train_backend(group->key, backend, sizeof backend);
    bm_train_count(group->key, "threads", threads, sizeof threads);
    bm_train_count(group->key, "images", images, sizeof images);
    format_seeds(group, seeds, sizeof seeds);
    format_budgets(group, budgets, sizeof budgets);
    bm_train_line(view, "%s%s: %s, %s%s%s, %s thread%s, %s", backend,
                  bm_train_is_software(view, group->key) ? " (software device)" : "", texts[0],
                  texts[1], group->many_schedules ? "" : ", ",
                  group->many_schedules ? "" : texts[2], threads,
                  strcmp(threads, "1") == 0 ? "" : "s", texts[3]);
    if (view->format == BM_TABLE_MARKDOWN) {
        (void)fputc('\n', view->stream);
    }
    bm_train_line(view, "%s%s%s%s\n", seeds,
                  strcmp(images, "-") == 0 ? "" : "; images trained on: ",
                  strcmp(images, "-") == 0 ? "" : images, budgets);
}

/* ---- Everything ---- */

static void print_group(const struct bm_train_view *view, const struct bm_train_group *group) {
    print_group_heading(view, group);
    print_final(view, group);
    print_budgets(view, group, "validation");
    print_budgets(view, group, "train");
    print_targets(view, group);
    print_differences(view, group);
    bm_train_print_swaps(view, group);
    bm_train_print_small_large(view, group);
    if (view->verbose) {
        bm_train_print_curves(view, group);
        bm_train_print_noise(view, group);
    }
    bm_train_print_notes(view, group);
}

/* What the images of the trainings are. */
static void print_data(const struct bm_train_view *view) {
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        const json_t *data = json_object_get(object, "data");
        double train = 0;
        double test = 0;
        if (bm_field_is_kind(object, "run") && bm_train_measure(data, "train", &train) &&
            bm_train_measure(data, "test", &test)) {
            char name[BM_TRAIN_FIELD_SIZE];
            bm_train_text(data, "name", 24, name, sizeof name);
            bm_train_line(view, "data: %s, %.0f training and %.0f test images\n", name, train,
                          test);
        }
    }
}

static void print_tables(const struct bm_train_view *view) {
    bm_table_print_heading(view->objects, view->stream);
    print_data(view);
    for (uint32_t i = 0; i < view->count; i++) {
        print_group(view, &view->groups[i]);
    }
    if (view->count == 0) {
        bm_train_line(view, "no final training in this record\n");
    }
    bm_train_print_verdicts(view);
    if (view->verbose) {
        bm_train_print_trials(view);
    }
}

static void print_csv_point(const json_t *point, FILE *stream) {
    static const char *const texts[] = {"backend",   "device_name", "model",     "dataset",
                                        "optimizer", "schedule",    "precision", "role"};
    static const char *const numbers[] = {"batch", "threads",  "seed",    "rate",
                                          "epoch", "fraction", "updates", "seconds"};
    static const char *const splits[] = {"train", "validation", "test"};
    for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bm_field_print_csv_text(bm_field_text(point, texts[i]), stream);
        (void)fputc(',', stream);
    }
    (void)fprintf(stream, "%.0f", bm_field_number(point, "device"));
    for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        bm_field_print_csv_number(point, numbers[i], stream);
    }
    for (uint32_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        const json_t *split = json_object_get(point, splits[i]);
        bm_field_print_csv_number(split, "loss", stream);
        bm_field_print_csv_number(split, "accuracy", stream);
    }
    (void)fputc('\n', stream);
}

static void print_csv(const json_t *objects, FILE *stream) {
    size_t index;
    const json_t *object;
    (void)fputs("backend,device_name,model,dataset,optimizer,schedule,precision,role,device,batch,"
                "threads,seed,rate,epoch,fraction,updates,seconds,train_loss,train_accuracy,"
                "validation_loss,validation_accuracy,test_loss,test_accuracy\n",
                stream);
    json_array_foreach(objects, index, object) {
        if (bm_field_is_kind(object, "epoch")) {
            print_csv_point(object, stream);
        }
    }
}

/* The objects of a stream of lines, of which some are empty; the caller's. NULL without memory. */
static json_t *parse_blocks(const char *lines) {
    json_t *list = json_array();
    while (list != NULL && *lines != '\0') {
        size_t length = strcspn(lines, "\n");
        if (length > 0 && json_array_append_new(list, json_loadb(lines, length, 0, NULL)) != 0) {
            json_decref(list);
            return NULL;
        }
        lines += length + (lines[length] == '\n');
    }
    return list;
}

json_t *bm_train_blocks(const struct bm_train_view *view, const struct bm_train_group *group) {
    struct bm_train_view lines = *view;
    char *text = NULL;
    size_t size = 0;
    lines.format = BM_TABLE_BLOCKS;
    lines.stream = open_memstream(&text, &size);
    if (lines.stream == NULL) {
        return NULL;
    }
    print_group(&lines, group);
    if (group == &view->groups[view->count - 1]) {
        bm_train_print_verdicts(&lines);
    }
    json_t *blocks = fclose(lines.stream) == 0 ? parse_blocks(text) : NULL;
    free(text);
    return blocks;
}

void bm_train_table_print(const json_t *objects, uint32_t format, uint32_t verbose, FILE *stream) {
    struct bm_train_view view;
    if (format == BM_TABLE_CSV) {
        print_csv(objects, stream);
        return;
    }
    if (bm_train_view_init(objects, format, verbose, stream, &view) == 0) {
        print_tables(&view);
    } else {
        (void)fputs("no memory for the tables\n", stream);
    }
    bm_train_view_deinit(&view);
}
