/* The lecture's table of the small batch against the large one, filled with measured values. */
#include "field.h"
#include "stats.h"
#include "table.h"
#include "train_table_parts.h"

#include <math.h>
#include <string.h>

#define ROWS_MAX 9u

/* One value of the table. */
struct quantity {
    struct bm_train_values values; /* over the seeds, where it has some */
    int is_known;
    int has_interval;
    double value;
    double low;
    double high;
    const char *why; /* it is not known: borrowed from the record, or static */
};

/* The two settings of a table. */
struct sides {
    const struct bm_train_view *view;
    const struct bm_train_setting *setting[2]; /* small, large */
};

struct row {
    char label[64];
    void (*find)(const struct sides *sides,
                 uint32_t side,
                 const struct row *row,
                 struct quantity *);
    void (*format)(const struct quantity *quantity, char *text, uint32_t capacity);
    int sign;         /* 1: more is better, -1: less is, 0: neither */
    const char *what; /* split, or point of the training */
    double threads;
};

/* ---- Values ---- */

static void set_mean(struct quantity *quantity) {
    struct bm_seeds_mean mean = bm_train_mean(&quantity->values);
    quantity->is_known = mean.count > 0;
    quantity->has_interval = mean.has_interval != 0;
    quantity->value = mean.mean;
    quantity->low = mean.low;
    quantity->high = mean.high;
}

/* A cell's model is told with what normalizes alone: "f1 ghost-32" is f1. */
static int same_model(const json_t *cell, const json_t *setting) {
    const char *own = bm_field_text(cell, "model");
    const char *model = bm_field_text(setting, "model");
    size_t length = strlen(model);
    return strncmp(own, model, length) == 0 &&
           (own[length] == '\0' || strncmp(own + length, " ghost-", 7) == 0);
}

static int is_cell_of(const json_t *cell, const json_t *setting) {
    static const char *const keys[] = {"backend",   "device",    "dataset",
                                       "precision", "optimizer", "batch"};
    if (!bm_field_is_kind(cell, "cell") || !same_model(cell, setting)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!bm_train_same(cell, setting, keys[i])) {
            return 0;
        }
    }
    return 1;
}

static void find_update(const struct sides *sides,
                        uint32_t side,
                        const struct row *row,
                        struct quantity *quantity) {
    size_t index;
    const json_t *cell;
    quantity->why = "updates were not timed";
    json_array_foreach(sides->view->objects, index, cell) {
        const json_t *update = json_object_get(cell, "update");
        double rounds = 0;
        if (!is_cell_of(cell, sides->setting[side]->key) ||
            fabs(bm_field_number(cell, "threads") - row->threads) > 0.5) {
            continue;
        }
        if (!bm_field_has_status(cell, "ok") ||
            !bm_train_measure(update, "median_ns", &quantity->value)) {
            const char *reason = bm_field_text(cell, "reason");
            quantity->why = reason[0] == '\0' ? "the cell has no time" : reason;
            continue;
        }
        quantity->is_known = 1;
        quantity->has_interval = bm_train_measure(update, "low_ns", &quantity->low) &&
                                 bm_train_measure(update, "high_ns", &quantity->high) &&
                                 bm_train_measure(update, "rounds", &rounds) &&
                                 rounds >= BM_STATS_ROUNDS_MIN;
    }
}

static int same_training(const json_t *object, const json_t *training) {
    return bm_train_same_setting(object, training) && bm_train_same(object, training, "seed") &&
           (json_object_get(object, "role") == NULL || bm_train_same(object, training, "role"));
}

/* Seconds of an epoch: to the end of the last that was finished, over their number. */
static int get_epoch_time(const json_t *training, const void *context, double *value) {
    const struct bm_train_view *view = context;
    double last = 0;
    size_t index;
    const json_t *point;
    json_array_foreach(view->objects, index, point) {
        double epoch = 0;
        double seconds = 0;
        if (bm_field_is_kind(point, "epoch") && !(bm_field_number(point, "fraction") > 0) &&
            same_training(point, training) && bm_train_measure(point, "epoch", &epoch) &&
            epoch > last && bm_train_measure(point, "seconds", &seconds)) {
            last = epoch;
            *value = 1e9 * seconds / epoch;
        }
    }
    return last > 0 && bm_train_is_usable(training);
}

static void find_epoch(const struct sides *sides,
                       uint32_t side,
                       const struct row *row,
                       struct quantity *quantity) {
    (void)row;
    quantity->why = "no training finished an epoch";
    bm_train_collect(sides->setting[side], get_epoch_time, sides->view, &quantity->values);
    set_mean(quantity);
}

static void find_accuracy(const struct sides *sides,
                          uint32_t side,
                          const struct row *row,
                          struct quantity *quantity) {
    quantity->why = "no training came to its end";
    bm_train_collect(sides->setting[side], bm_train_last_accuracy, row->what, &quantity->values);
    set_mean(quantity);
}

struct noise_query {
    const struct bm_train_view *view;
    const char *at;
};

static const json_t *find_noise(const json_t *training, const struct noise_query *query) {
    size_t index;
    const json_t *noise;
    json_array_foreach(query->view->objects, index, noise) {
        if (bm_field_is_kind(noise, "noise") &&
            strcmp(bm_field_text(noise, "at"), query->at) == 0 && same_training(noise, training)) {
            return noise;
        }
    }
    return NULL;
}

static int get_scale(const json_t *training, const void *context, double *value) {
    return bm_train_measure(find_noise(training, context), "scale", value);
}

static const char *why_no_scale(const struct bm_train_setting *setting,
                                const struct noise_query *query) {
    for (uint32_t i = 0; i < setting->count; i++) {
        const char *reason = bm_field_text(find_noise(setting->trainings[i], query), "reason");
        if (reason[0] != '\0') {
            return reason;
        }
    }
    return "it was not measured";
}

/* B_simple = tr(covariance of a gradient of one image) / |mean gradient|^2: McCandlish et al., "An
 * Empirical Model of Large-Batch Training", arXiv:1812.06162, equation 2.9. Of one seed with the
 * interval that the record gives, of several with that of their mean. */
static void find_scale(const struct sides *sides,
                       uint32_t side,
                       const struct row *row,
                       struct quantity *quantity) {
    const struct bm_train_setting *setting = sides->setting[side];
    struct noise_query query = {.view = sides->view, .at = row->what};
    quantity->why = why_no_scale(setting, &query);
    bm_train_collect(setting, get_scale, &query, &quantity->values);
    set_mean(quantity);
    for (uint32_t i = 0; i < setting->count && quantity->values.count == 1; i++) {
        const json_t *noise = find_noise(setting->trainings[i], &query);
        double scale = 0;
        if (get_scale(setting->trainings[i], &query, &scale)) {
            quantity->value = scale;
            quantity->has_interval =
                bm_train_noise_interval(noise, &quantity->low, &quantity->high);
        }
    }
}

/* Noise over signal of a batch of B: the root of tr(covariance) / B over |mean gradient|. */
static void find_noise_ratio(const struct sides *sides,
                             uint32_t side,
                             const struct row *row,
                             struct quantity *quantity) {
    double batch = 0;
    int has_batch = bm_train_measure(sides->setting[side]->key, "batch", &batch) && batch >= 1;
    find_scale(sides, side, row, quantity);
    if (!quantity->is_known || !has_batch) {
        quantity->is_known = 0;
        return;
    }
    for (uint32_t i = 0; i < quantity->values.count; i++) {
        quantity->values.value[i] = sqrt(quantity->values.value[i] / batch);
    }
    if (quantity->values.count > 1) {
        set_mean(quantity);
        return;
    }
    quantity->value = quantity->values.value[0];
    quantity->low = sqrt(quantity->low / batch);
    quantity->high = sqrt(quantity->high / batch);
}

/* ---- Texts ---- */

static void format_percent(const struct quantity *quantity, char *text, uint32_t capacity) {
    struct bm_seeds_mean mean = bm_train_mean(&quantity->values);
    bm_train_percent(&mean, text, capacity);
}

static void format_time(const struct quantity *quantity, char *text, uint32_t capacity) {
    char times[3][40];
    bm_table_time(quantity->value, times[0], sizeof times[0]);
    if (!quantity->has_interval) {
        (void)snprintf(text, capacity, "%s", times[0]);
        return;
    }
    bm_table_time(fmax(quantity->low, 0), times[1], sizeof times[1]);
    bm_table_time(quantity->high, times[2], sizeof times[2]);
    (void)snprintf(text, capacity, "%s (%s to %s)", times[0], times[1], times[2]);
}

static void format_number(const struct quantity *quantity, char *text, uint32_t capacity) {
    if (quantity->has_interval) {
        bm_train_interval(quantity->value, fmax(quantity->low, 0), quantity->high, text, capacity);
    } else {
        bm_train_number(quantity->value, text, capacity);
    }
}

/* Paired by seed where both have two in common; else by whether the intervals overlap, which finds
 * fewer differences than a test would. */
static const char *better_of(const struct quantity *small, const struct quantity *large, int sign) {
    struct bm_seeds_paired paired = bm_train_paired(&small->values, &large->values);
    if (!small->is_known || !large->is_known || sign == 0) {
        return "-";
    }
    int apart = small->has_interval && large->has_interval &&
                (small->high < large->low || large->high < small->low);
    if (paired.difference.count >= 2) {
        apart = paired.distinguishable != 0;
    } else if (!small->has_interval || !large->has_interval) {
        return "-";
    }
    if (!apart) {
        return "not distinguishable";
    }
    return (small->value > large->value) == (sign > 0) ? "small" : "large";
}

/* ---- The table ---- */

static void add_row(struct row *rows, uint32_t *count, struct row row) {
    rows[(*count)++] = row;
}

/* The largest number of threads that updates of the two were timed with; 0: none were. */
static double largest_threads(const struct sides *sides) {
    double largest = 0;
    size_t index;
    const json_t *cell;
    json_array_foreach(sides->view->objects, index, cell) {
        double threads = 0;
        if ((is_cell_of(cell, sides->setting[0]->key) ||
             is_cell_of(cell, sides->setting[1]->key)) &&
            bm_train_measure(cell, "threads", &threads)) {
            largest = fmax(largest, threads);
        }
    }
    return largest;
}

static void add_update_rows(const struct sides *sides, struct row *rows, uint32_t *count) {
    double threads = largest_threads(sides);
    add_row(rows, count, (struct row){"update, 1 thread", find_update, format_time, -1, NULL, 1});
    if (threads > 1) {
        struct row row = {"", find_update, format_time, -1, NULL, threads};
        (void)snprintf(row.label, sizeof row.label, "update, %.0f threads", threads);
        add_row(rows, count, row);
    }
}

static int is_noise_at(const struct sides *sides, const char *at) {
    size_t index;
    const json_t *noise;
    json_array_foreach(sides->view->objects, index, noise) {
        if (bm_field_is_kind(noise, "noise") && strcmp(bm_field_text(noise, "at"), at) == 0 &&
            (bm_train_same_setting(noise, sides->setting[0]->key) ||
             bm_train_same_setting(noise, sides->setting[1]->key))) {
            return 1;
        }
    }
    return 0;
}

/* The noise where it was measured: at the start, where both have the same parameters, or at the
 * end. Where it was not, one row of "-" stands for it. */
static void add_noise_rows(const struct sides *sides, struct row *rows, uint32_t *count) {
    static const char *const points[] = {"start", "end"};
    for (uint32_t i = 0; i < 2; i++) {
        struct row scale = {"", find_scale, format_number, 0, points[i], 0};
        struct row ratio = {"", find_noise_ratio, format_number, -1, points[i], 0};
        (void)snprintf(scale.label, sizeof scale.label, "gradient noise: B_simple, %s", points[i]);
        (void)snprintf(ratio.label, sizeof ratio.label, "noise / signal of the batch, %s",
                       points[i]);
        if (is_noise_at(sides, points[i])) {
            add_row(rows, count, scale);
            add_row(rows, count, ratio);
        }
    }
    if (rows[*count - 1].find != find_noise_ratio) {
        add_row(rows, count,
                (struct row){"gradient noise: B_simple", find_scale, format_number, 0, "start", 0});
    }
}

static uint32_t make_rows(const struct sides *sides, struct row *rows) {
    uint32_t count = 0;
    add_update_rows(sides, rows, &count);
    struct row epoch = {"", find_epoch, format_time, -1, NULL, 0};
    char threads[BM_TRAIN_FIELD_SIZE];
    bm_train_count(sides->setting[0]->key, "threads", threads, sizeof threads);
    (void)snprintf(epoch.label, sizeof epoch.label, "epoch, %.20s thread%s", threads,
                   strcmp(threads, "1") == 0 ? "" : "s");
    add_row(rows, &count, epoch);
    add_noise_rows(sides, rows, &count);
    add_row(rows, &count,
            (struct row){"optimization: train accuracy, %", find_accuracy, format_percent, 1,
                         "train", 0});
    add_row(rows, &count,
            (struct row){"generalization: test accuracy, %", find_accuracy, format_percent, 1,
                         "test", 0});
    return count;
}

static void fill_row(const struct row *row,
                     const struct quantity *quantities,
                     struct bm_grid *grid,
                     uint32_t index) {
    bm_grid_set(grid, index, 0, "%s", row->label);
    for (uint32_t side = 0; side < 2; side++) {
        char text[BM_TRAIN_FIELD_SIZE] = "-";
        if (quantities[side].is_known) {
            row->format(&quantities[side], text, sizeof text);
        }
        bm_grid_set(grid, index, side + 1, "%s", text);
    }
    bm_grid_set(grid, index, 3, "%s", better_of(&quantities[0], &quantities[1], row->sign));
}

/* Why the table has a "-"; of noise once, not again for its ratio. */
static void note_missing(const struct bm_train_view *view,
                         const struct row *row,
                         const struct quantity *quantities) {
    static const char *const names[] = {"small", "large"};
    int both = !quantities[0].is_known && !quantities[1].is_known &&
               strcmp(quantities[0].why, quantities[1].why) == 0;
    for (uint32_t side = 0; side < 2 && row->find != find_noise_ratio; side++) {
        if (!quantities[side].is_known && !(both && side == 1)) {
            bm_train_note(view, "%s, %s: %s", row->label, both ? "small and large" : names[side],
                          quantities[side].why);
        }
    }
}

static void print_rows(const struct sides *sides,
                       const struct row *rows,
                       uint32_t count,
                       struct bm_grid *grid) {
    struct quantity quantities[ROWS_MAX][2];
    const struct bm_train_view *view = sides->view;
    int missing = 0;
    memset(quantities, 0, sizeof quantities);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t side = 0; side < 2; side++) {
            rows[i].find(sides, side, &rows[i], &quantities[i][side]);
            missing |= !quantities[i][side].is_known;
        }
        fill_row(&rows[i], quantities[i], grid, i + 1);
    }
    bm_train_finish_grid(view, grid);
    for (uint32_t i = 0; i < count; i++) {
        note_missing(view, &rows[i], quantities[i]);
    }
    if (missing) {
        (void)fputc('\n', view->stream);
    }
}

static void print_table(const struct sides *sides, const struct bm_train_group *group) {
    static const char *const names[] = {"small", "large"};
    struct row rows[ROWS_MAX];
    struct bm_grid grid;
    char text[BM_TRAIN_FIELD_SIZE];
    uint32_t count = make_rows(sides, rows);
    if (bm_grid_init(&grid, count + 1, 4) != 0) {
        return;
    }
    bm_train_method(group, sides->setting[0]->key, text, sizeof text);
    bm_grid_set(&grid, 0, 0, "%s, batch", text);
    for (uint32_t side = 0; side < 2; side++) {
        bm_train_count(sides->setting[side]->key, "batch", text, sizeof text);
        bm_grid_set(&grid, 0, side + 1, "%s (%s)", names[side], text);
    }
    bm_grid_set(&grid, 0, 3, "better");
    print_rows(sides, rows, count, &grid);
}

static int same_method(const struct bm_train_setting *a, const struct bm_train_setting *b) {
    return bm_train_same(a->key, b->key, "optimizer") && bm_train_same(a->key, b->key, "schedule");
}

/* The smallest and the largest batch of the method that setting `first` is the first of. */
static void find_sides(const struct bm_train_group *group, uint32_t first, struct sides *sides) {
    double low = 0;
    double high = 0;
    for (uint32_t i = first; i < group->count; i++) {
        const struct bm_train_setting *setting = &group->settings[i];
        double batch = 0;
        if (!same_method(setting, &group->settings[first]) ||
            !bm_train_measure(setting->key, "batch", &batch)) {
            continue;
        }
        if (sides->setting[0] == NULL || batch < low) {
            sides->setting[0] = setting;
            low = batch;
        }
        if (sides->setting[1] == NULL || batch > high) {
            sides->setting[1] = setting;
            high = batch;
        }
    }
}

void bm_train_print_small_large(const struct bm_train_view *view,
                                const struct bm_train_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        struct sides sides = {.view = view};
        int is_first = 1;
        for (uint32_t k = 0; k < i; k++) {
            is_first = is_first && !same_method(&group->settings[k], &group->settings[i]);
        }
        if (is_first) {
            find_sides(group, i, &sides);
        }
        if (sides.setting[0] != sides.setting[1]) {
            print_table(&sides, group);
        }
    }
}
