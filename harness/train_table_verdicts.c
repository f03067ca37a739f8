/* Verdicts on equal training across backends: equivalence of accuracies, and trajectories. */
#include "field.h"
#include "train_table_parts.h"

#include <math.h>
#include <string.h>

static uint32_t count_kind(const struct bm_train_view *view, const char *kind) {
    uint32_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        count += bm_field_is_kind(object, kind) != 0;
    }
    return count;
}

/* A signed difference of accuracies in percent points; "-" if it is none. */
static void format_points(const json_t *object, const char *key, char *text, uint32_t capacity) {
    double value = bm_field_number(object, key);
    int is_known = json_is_number(json_object_get(object, key)) && fabs(value) <= 1;
    (void)snprintf(text, capacity, is_known ? "%+.2f" : "-", 100 * value);
}

/* "mlp, fashion-mnist", once a setting's columns do not tell it. */
static void format_case(const json_t *object, char *text, uint32_t capacity) {
    char model[BM_TRAIN_FIELD_SIZE];
    char dataset[BM_TRAIN_FIELD_SIZE];
    bm_train_text(object, "model", 12, model, sizeof model);
    bm_train_text(object, "dataset", 16, dataset, sizeof dataset);
    (void)snprintf(text, capacity, "%.60s, %.60s", model, dataset);
}

static void set_equivalence(struct bm_grid *grid, uint32_t row, const json_t *object) {
    char text[BM_TRAIN_FIELD_SIZE];
    char low[BM_TRAIN_FIELD_SIZE];
    char high[BM_TRAIN_FIELD_SIZE];
    double margin = 0;
    bm_train_backend(object, text, sizeof text);
    bm_grid_set(grid, row, 0, "%s", text);
    bm_train_text(object, "baseline", 16, text, sizeof text);
    bm_grid_set(grid, row, 1, "%s", text);
    format_case(object, text, sizeof text);
    bm_grid_set(grid, row, 2, "%s", text);
    bm_train_text(object, "optimizer", 12, text, sizeof text);
    bm_train_text(object, "schedule", 10, low, sizeof low);
    bm_grid_set(grid, row, 3, "%s, %s", text, low);
    bm_train_count(object, "batch", text, sizeof text);
    bm_grid_set(grid, row, 4, "%s", text);
    format_points(object, "difference", text, sizeof text);
    format_points(object, "low", low, sizeof low);
    format_points(object, "high", high, sizeof high);
    bm_grid_set(grid, row, 5, strcmp(low, "-") == 0 ? "%s" : "%s (%s to %s)", text, low, high);
    int has_margin = bm_train_measure(object, "margin", &margin);
    bm_grid_set(grid, row, 6, has_margin ? "%.2f" : "-", 100 * margin);
    bm_train_text(object, "verdict", 12, text, sizeof text);
    bm_grid_set(grid, row, 7, "%s", text);
}

static void print_equivalence(const struct bm_train_view *view) {
    static const char *const heading[] = {"equal accuracy", "as",     "case",   "method",
                                          "batch",          "points", "margin", "verdict"};
    uint32_t count = count_kind(view, "equivalence");
    struct bm_grid grid;
    uint32_t row = 0;
    size_t index;
    const json_t *object;
    if (count == 0 || bm_grid_init(&grid, count + 1, 8) != 0) {
        return;
    }
    bm_train_set_row(&grid, 0, heading, 8);
    json_array_foreach(view->objects, index, object) {
        if (bm_field_is_kind(object, "equivalence")) {
            set_equivalence(&grid, ++row, object);
        }
    }
    bm_train_finish_grid(view, &grid);
}

/* How far a trajectory strays, in units of how far correct ones do: its `ratio`, or the largest of
 * distance over the largest spread so far. 0 if nothing can be divided. */
static int largest_ratio(const json_t *object, double *ratio) {
    const json_t *distances = json_object_get(object, "distance");
    const json_t *spreads = json_object_get(object, "spread");
    double spread = 0;
    int found = 0;
    if (bm_train_measure(object, "ratio", ratio)) {
        return 1;
    }
    *ratio = 0;
    for (size_t i = 0; i < json_array_size(distances) && i < json_array_size(spreads); i++) {
        double distance = json_number_value(json_array_get(distances, i));
        spread = fmax(spread, json_number_value(json_array_get(spreads, i)));
        if (distance >= 0 && spread > 0 && distance / spread <= 1e15) {
            *ratio = fmax(*ratio, distance / spread);
            found = 1;
        }
    }
    return found;
}

static void set_trajectory(struct bm_grid *grid, uint32_t row, const json_t *object) {
    char text[BM_TRAIN_FIELD_SIZE];
    double ratio = 0;
    double factor = 0;
    bm_train_backend(object, text, sizeof text);
    bm_grid_set(grid, row, 0, "%s", text);
    format_case(object, text, sizeof text);
    bm_grid_set(grid, row, 1, "%s", text);
    bm_train_text(object, "optimizer", 12, text, sizeof text);
    bm_grid_set(grid, row, 2, "%s", text);
    bm_train_count(object, "batch", text, sizeof text);
    bm_grid_set(grid, row, 3, "%s", text);
    bm_train_count(object, "seed", text, sizeof text);
    bm_grid_set(grid, row, 4, "%s", text);
    bm_train_count(object, "updates", text, sizeof text);
    bm_grid_set(grid, row, 5, "%s", text);
    int has_ratio = largest_ratio(object, &ratio);
    bm_grid_set(grid, row, 6, has_ratio ? "%.3g" : "-", ratio);
    int has_factor = bm_train_measure(object, "factor", &factor);
    bm_grid_set(grid, row, 7, has_factor ? "%.3g" : "-", factor);
    bm_train_text(object, "status", 12, text, sizeof text);
    bm_grid_set(grid, row, 8, "%s", strcmp(text, "wrong") == 0 ? "! WRONG" : text);
}

static void print_trajectories(const struct bm_train_view *view) {
    static const char *const heading[] = {
        "equal trajectory", "case",    "optimizer", "batch", "seed", "updates",
        "distance/spread",  "allowed", "status"};
    uint32_t count = count_kind(view, "trajectory");
    struct bm_grid grid;
    uint32_t row = 0;
    size_t index;
    const json_t *object;
    if (count == 0 || bm_grid_init(&grid, count + 1, 9) != 0) {
        return;
    }
    bm_train_set_row(&grid, 0, heading, 9);
    json_array_foreach(view->objects, index, object) {
        if (bm_field_is_kind(object, "trajectory")) {
            set_trajectory(&grid, ++row, object);
        }
    }
    bm_train_finish_grid(view, &grid);
}

/* Whether a verdict needs words: all but the good ones. */
static int is_explained(const json_t *object) {
    return (bm_field_is_kind(object, "equivalence") &&
            strcmp(bm_field_text(object, "verdict"), "equivalent") != 0) ||
           (bm_field_is_kind(object, "trajectory") && !bm_field_has_status(object, "ok"));
}

static void print_reasons(const struct bm_train_view *view) {
    uint32_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        char backend[BM_TRAIN_FIELD_SIZE];
        char batch[BM_TRAIN_FIELD_SIZE];
        if (!is_explained(object) || bm_field_text(object, "reason")[0] == '\0') {
            continue;
        }
        bm_train_backend(object, backend, sizeof backend);
        bm_train_count(object, "batch", batch, sizeof batch);
        bm_train_note(view, "%s, %s, batch %s: %s: %s", backend, bm_field_text(object, "optimizer"),
                      batch,
                      bm_field_is_kind(object, "trajectory") ? bm_field_text(object, "status")
                                                             : bm_field_text(object, "verdict"),
                      bm_field_text(object, "reason"));
        count++;
    }
    if (count > 0) {
        (void)fputc('\n', view->stream);
    }
}

void bm_train_print_verdicts(const struct bm_train_view *view) {
    print_equivalence(view);
    print_trajectories(view);
    print_reasons(view);
}
