/* What --verbose adds: the curves by epoch, the trials of tuning, the gradient noise. */
#include "field.h"
#include "train_table_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- Curves ---- */

static int is_point_of(const json_t *point, const struct bm_train_setting *setting) {
    double epoch = 0;
    return bm_field_is_kind(point, "epoch") && bm_train_same_setting(point, setting->key) &&
           bm_train_same(point, setting->key, "role") &&
           !(bm_field_number(point, "fraction") > 0) && bm_train_measure(point, "epoch", &epoch);
}

static int compare_points(const void *a, const void *b) {
    double left = bm_field_number(*(const json_t *const *)a, "epoch");
    double right = bm_field_number(*(const json_t *const *)b, "epoch");
    return (left > right) - (left < right);
}

int bm_train_curve_of(const struct bm_train_view *view,
                      const struct bm_train_setting *setting,
                      struct bm_train_curve *curve) {
    size_t index;
    const json_t *object;
    curve->count = 0;
    curve->points = calloc(json_array_size(view->objects), sizeof(json_t *));
    if (curve->points == NULL) {
        return -1;
    }
    json_array_foreach(view->objects, index, object) {
        if (is_point_of(object, setting)) {
            curve->points[curve->count++] = object;
        }
    }
    qsort(curve->points, curve->count, sizeof(json_t *), compare_points);
    return 0;
}

size_t bm_train_curve_seeds(const struct bm_train_curve *curve, size_t first) {
    size_t end = first + 1;
    while (end < curve->count && compare_points(&curve->points[first], &curve->points[end]) == 0) {
        end++;
    }
    return end - first;
}

/* Mean of a field of some points, or of a split's field; 0 if none of them has it. */
static int mean_of(
    const json_t *const *points, size_t count, const char *split, const char *key, double *mean) {
    size_t found = 0;
    *mean = 0;
    for (size_t i = 0; i < count; i++) {
        double value = 0;
        const json_t *object = split == NULL ? points[i] : json_object_get(points[i], split);
        if (bm_train_measure(object, key, &value)) {
            *mean += value;
            found++;
        }
    }
    *mean /= found > 0 ? (double)found : 1;
    return found > 0;
}

static void
set_point(struct bm_grid *grid, uint32_t row, const json_t *const *points, size_t count) {
    static const char *const splits[] = {"train", "validation"};
    double mean = 0;
    bm_grid_set(grid, row, 0, "%.0f", bm_field_number(points[0], "epoch"));
    int has_updates = mean_of(points, count, NULL, "updates", &mean);
    bm_grid_set(grid, row, 1, has_updates ? "%.0f" : "-", mean);
    if (mean_of(points, count, NULL, "seconds", &mean)) {
        char time[40];
        bm_train_time(mean, time, sizeof time);
        bm_grid_set(grid, row, 2, "%s", time);
    }
    for (uint32_t i = 0; i < 2; i++) {
        int has_loss = mean_of(points, count, splits[i], "loss", &mean);
        bm_grid_set(grid, row, 3 + 2 * i, has_loss ? "%.4g" : "-", mean);
        int has_accuracy = mean_of(points, count, splits[i], "accuracy", &mean);
        bm_grid_set(grid, row, 4 + 2 * i, has_accuracy ? "%.2f" : "-", 100 * mean);
    }
    bm_grid_set(grid, row, 7, "%zu", count);
}

static uint32_t count_epochs(const struct bm_train_curve *curve) {
    uint32_t count = 0;
    for (size_t i = 0; i < curve->count; i += bm_train_curve_seeds(curve, i)) {
        count++;
    }
    return count;
}

static void print_curve(const struct bm_train_view *view,
                        const struct bm_train_group *group,
                        const struct bm_train_setting *setting,
                        const struct bm_train_curve *curve) {
    static const char *const heading[] = {
        "", "updates", "time", "train loss", "train %", "validation loss", "validation %", "seeds"};
    struct bm_grid grid;
    char name[BM_TRAIN_FIELD_SIZE];
    uint32_t row = 0;
    if (bm_grid_init(&grid, count_epochs(curve) + 1, 8) != 0) {
        return;
    }
    bm_train_set_row(&grid, 0, heading, 8);
    bm_train_name(group, setting->key, name, sizeof name);
    bm_grid_set(&grid, 0, 0, "%s, epoch", name);
    for (size_t i = 0; i < curve->count; i += bm_train_curve_seeds(curve, i)) {
        set_point(&grid, ++row, &curve->points[i], bm_train_curve_seeds(curve, i));
    }
    bm_train_finish_grid(view, &grid);
}

void bm_train_print_curves(const struct bm_train_view *view, const struct bm_train_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        struct bm_train_curve curve;
        if (bm_train_curve_of(view, &group->settings[i], &curve) == 0 && curve.count > 0) {
            print_curve(view, group, &group->settings[i], &curve);
        }
        free(curve.points);
    }
}

/* ---- Tuning ---- */

/* "avx2, mlp, fashion-mnist, adam, constant, batch 64" */
static void format_setting(const json_t *object, char *text, uint32_t capacity) {
    static const char *const keys[] = {"model", "dataset", "optimizer", "schedule"};
    char part[BM_TRAIN_FIELD_SIZE];
    bm_train_backend(object, text, capacity);
    for (uint32_t i = 0; i < 4; i++) {
        size_t used = strlen(text);
        bm_train_text(object, keys[i], 16, part, sizeof part);
        (void)snprintf(text + used, capacity - used, ", %s", part);
    }
    size_t used = strlen(text);
    bm_train_count(object, "batch", part, sizeof part);
    (void)snprintf(text + used, capacity - used, ", batch %s", part);
}

static void
set_trial(struct bm_grid *grid, uint32_t row, const json_t *tuned, const json_t *trial) {
    char text[BM_TRAIN_FIELD_SIZE];
    double value = 0;
    int is_chosen = bm_train_same(tuned, trial, "rate");
    int has_rate = bm_train_measure(trial, "rate", &value);
    bm_grid_set(grid, row, 0, has_rate ? "%.3g%s" : "-", value, is_chosen ? " (chosen)" : "");
    int has_accuracy = bm_train_measure(trial, "accuracy", &value) && value <= 1;
    bm_grid_set(grid, row, 1, has_accuracy ? "%.2f" : "-", 100 * value);
    bm_train_text(trial, "status", 12, text, sizeof text);
    bm_grid_set(grid, row, 2, "%s", text);
}

static void print_tuned(const struct bm_train_view *view, const json_t *tuned) {
    const json_t *trials = json_object_get(tuned, "trials");
    char name[4 * BM_TRAIN_FIELD_SIZE];
    size_t index;
    const json_t *trial;
    struct bm_grid grid;
    if (bm_grid_init(&grid, (uint32_t)json_array_size(trials) + 1, 3) != 0) {
        return;
    }
    format_setting(tuned, name, sizeof name);
    bm_grid_set(&grid, 0, 0, "%s, rate", name);
    bm_grid_set(&grid, 0, 1, "validation %%");
    bm_grid_set(&grid, 0, 2, "status");
    json_array_foreach(trials, index, trial) {
        set_trial(&grid, (uint32_t)index + 1, tuned, trial);
    }
    bm_train_finish_grid(view, &grid);
}

void bm_train_print_trials(const struct bm_train_view *view) {
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        if (bm_field_is_kind(object, "tuned")) {
            print_tuned(view, object);
        }
    }
}

/* ---- Noise ---- */

static int is_noise_of(const json_t *object, const struct bm_train_group *group) {
    return bm_field_is_kind(object, "noise") && bm_train_same_group(object, group->key);
}

static void set_noise(struct bm_grid *grid,
                      uint32_t row,
                      const struct bm_train_group *group,
                      const json_t *noise) {
    static const char *const counts[] = {"seed", "slice", "slices"};
    static const char *const numbers[] = {"gradient_squared", "trace"};
    char text[BM_TRAIN_FIELD_SIZE];
    double scale = 0;
    double low = 0;
    double high = 0;
    bm_train_name(group, noise, text, sizeof text);
    bm_grid_set(grid, row, 0, "%s", text);
    bm_train_text(noise, "at", 8, text, sizeof text);
    bm_grid_set(grid, row, 1, "%s", text);
    for (uint32_t i = 0; i < 3; i++) {
        bm_train_count(noise, counts[i], text, sizeof text);
        bm_grid_set(grid, row, 2 + i, "%s", text);
    }
    for (uint32_t i = 0; i < 2; i++) {
        int is_known = json_is_number(json_object_get(noise, numbers[i]));
        bm_grid_set(grid, row, 5 + i, is_known ? "%.3g" : "-", bm_field_number(noise, numbers[i]));
    }
    if (!bm_train_measure(noise, "scale", &scale)) {
        (void)snprintf(text, sizeof text, "-");
    } else if (bm_train_noise_interval(noise, &low, &high)) {
        bm_train_interval(scale, low, high, text, sizeof text);
    } else {
        bm_train_number(scale, text, sizeof text);
    }
    bm_grid_set(grid, row, 7, "%s", text);
}

void bm_train_print_noise(const struct bm_train_view *view, const struct bm_train_group *group) {
    static const char *const heading[] = {"gradient noise", "at",           "seed",  "slice",
                                          "slices",         "squared mean", "trace", "B_simple"};
    uint32_t row = 0;
    size_t index;
    const json_t *object;
    struct bm_grid grid;
    if (bm_grid_init(&grid, (uint32_t)json_array_size(view->objects) + 1, 8) != 0) {
        return;
    }
    bm_train_set_row(&grid, 0, heading, 8);
    json_array_foreach(view->objects, index, object) {
        if (is_noise_of(object, group)) {
            set_noise(&grid, ++row, group, object);
        }
    }
    grid.rows = row + 1; /* there was room for all objects of the record */
    if (row > 0) {
        bm_train_finish_grid(view, &grid);
    } else {
        bm_grid_deinit(&grid);
    }
}
