/* A record's trainings sorted into groups and settings, and the values, texts and lines that all
 * its tables are made of. */
#include "field.h"
#include "printable.h"
#include "table.h"
#include "train_table_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define METHOD_CHARACTERS 24u

/* ---- Sorting ---- */

int bm_train_same(const json_t *a, const json_t *b, const char *key) {
    const json_t *left = json_object_get(a, key);
    const json_t *right = json_object_get(b, key);
    return left == NULL || right == NULL ? left == right : json_equal(left, right);
}

static int same_all(const json_t *a, const json_t *b, const char *const *keys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!bm_train_same(a, b, keys[i])) {
            return 0;
        }
    }
    return 1;
}

int bm_train_same_group(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"backend", "device",    "model",
                                       "dataset", "precision", "threads"};
    return same_all(a, b, keys, sizeof keys / sizeof keys[0]);
}

int bm_train_same_setting(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"optimizer", "schedule", "batch"};
    return bm_train_same_group(a, b) && same_all(a, b, keys, sizeof keys / sizeof keys[0]);
}

static struct bm_train_group *find_group(struct bm_train_view *view, const json_t *training) {
    for (uint32_t i = 0; i < view->count; i++) {
        if (bm_train_same_group(view->groups[i].key, training)) {
            return &view->groups[i];
        }
    }
    struct bm_train_group *grown = realloc(view->groups, (view->count + 1) * sizeof *view->groups);
    if (grown == NULL) {
        return NULL;
    }
    view->groups = grown;
    grown[view->count] = (struct bm_train_group){.key = training};
    return &grown[view->count++];
}

static struct bm_train_setting *find_setting(struct bm_train_group *group, const json_t *training) {
    for (uint32_t i = 0; i < group->count; i++) {
        if (bm_train_same_setting(group->settings[i].key, training)) {
            return &group->settings[i];
        }
    }
    struct bm_train_setting *grown =
        realloc(group->settings, (group->count + 1) * sizeof *group->settings);
    if (grown == NULL) {
        return NULL;
    }
    group->settings = grown;
    grown[group->count] = (struct bm_train_setting){.key = training};
    group->many_schedules |= !bm_train_same(grown[0].key, training, "schedule");
    return &grown[group->count++];
}

void bm_train_add(struct bm_train_setting *setting, const json_t *training) {
    for (uint32_t i = 0; i < setting->count; i++) {
        if (bm_train_same(setting->trainings[i], training, "seed")) {
            setting->trainings[i] = training;
            return;
        }
    }
    if (setting->count < BM_TRAIN_SEEDS_MAX) {
        setting->trainings[setting->count++] = training;
    } else {
        setting->dropped++;
    }
}

/* A trial of tuning, or one of the trainings that SWAP averages. */
static int is_part(const json_t *training) {
    const char *role = bm_field_text(training, "role");
    return strcmp(role, "trial") == 0 || strcmp(role, "swap") == 0;
}

int bm_train_view_init(const json_t *objects,
                       uint32_t format,
                       uint32_t verbose,
                       FILE *stream,
                       struct bm_train_view *view) {
    size_t index;
    const json_t *object;
    *view = (struct bm_train_view){
        .objects = objects, .format = format, .verbose = verbose, .stream = stream};
    json_array_foreach(objects, index, object) {
        if (!bm_field_is_kind(object, "training") || is_part(object)) {
            continue;
        }
        struct bm_train_group *group = find_group(view, object);
        struct bm_train_setting *setting = group == NULL ? NULL : find_setting(group, object);
        if (setting == NULL) {
            return -1;
        }
        bm_train_add(setting, object);
    }
    return 0;
}

void bm_train_view_deinit(struct bm_train_view *view) {
    for (uint32_t i = 0; i < view->count; i++) {
        free(view->groups[i].settings);
    }
    free(view->groups);
    view->groups = NULL;
    view->count = 0;
}

int bm_train_is_software(const struct bm_train_view *view, const json_t *object) {
    size_t index;
    const json_t *other;
    json_array_foreach(view->objects, index, other) {
        if (json_is_true(json_object_get(other, "software")) &&
            bm_train_same(other, object, "backend") && bm_train_same(other, object, "device")) {
            return 1;
        }
    }
    return 0;
}

/* ---- Numbers ---- */

int bm_train_measure(const json_t *object, const char *key, double *value) {
    const json_t *number = json_object_get(object, key);
    *value = json_number_value(number);
    return json_is_number(number) && *value >= 0 && *value <= 1e15;
}

int bm_train_accuracy(const json_t *object, const char *split, double *value) {
    return bm_train_measure(json_object_get(object, split), "accuracy", value) && *value <= 1;
}

int bm_train_noise_interval(const json_t *noise, double *low, double *high) {
    double scale = 0;
    *low = fmax(bm_field_number(noise, "low"), 0);
    if (!bm_train_measure(noise, "high", high)) {
        *high = INFINITY;
    }
    return bm_train_measure(noise, "scale", &scale) &&
           json_is_number(json_object_get(noise, "low")) && *low <= scale && scale <= *high;
}

int bm_train_is_usable(const json_t *training) {
    return bm_field_has_status(training, "ok") || bm_field_has_status(training, "cut") ||
           bm_field_has_status(training, "stalled");
}

int bm_train_is_tried(const json_t *training) {
    return !bm_field_has_status(training, "unsupported") &&
           !bm_field_has_status(training, "skipped");
}

static uint32_t count_of(const struct bm_train_setting *setting, int (*is)(const json_t *)) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < setting->count; i++) {
        count += is(setting->trainings[i]) != 0;
    }
    return count;
}

uint32_t bm_train_usable_count(const struct bm_train_setting *setting) {
    return count_of(setting, bm_train_is_usable);
}

uint32_t bm_train_tried_count(const struct bm_train_setting *setting) {
    return count_of(setting, bm_train_is_tried);
}

void bm_train_collect(const struct bm_train_setting *setting,
                      bm_train_getter get,
                      const void *context,
                      struct bm_train_values *values) {
    values->count = 0;
    for (uint32_t i = 0; i < setting->count; i++) {
        double value = 0;
        if (get(setting->trainings[i], context, &value)) {
            values->seed[values->count] = json_object_get(setting->trainings[i], "seed");
            values->value[values->count++] = value;
        }
    }
}

struct bm_seeds_mean bm_train_mean(const struct bm_train_values *values) {
    return bm_seeds_mean(values->value, values->count, BM_SEEDS_COVERAGE);
}

struct bm_seeds_paired bm_train_paired(const struct bm_train_values *a,
                                       const struct bm_train_values *b) {
    double left[BM_TRAIN_SEEDS_MAX];
    double right[BM_TRAIN_SEEDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < b->count; k++) {
            if (a->seed[i] != NULL && json_equal(a->seed[i], b->seed[k])) {
                left[count] = a->value[i];
                right[count++] = b->value[k];
                break;
            }
        }
    }
    return bm_seeds_paired(left, right, count, BM_SEEDS_COVERAGE);
}

int bm_train_last_accuracy(const json_t *training, const void *context, double *value) {
    return bm_train_is_usable(training) && bm_train_accuracy(training, context, value);
}

/* ---- Texts ---- */

/* Cuts a text behind `characters`, not inside one of UTF-8. */
static void shorten(char *text, uint32_t capacity, uint32_t characters) {
    uint32_t seen = 0;
    for (char *at = text; *at != '\0'; at++) {
        seen += ((unsigned char)*at & 0xc0) != 0x80;
        if (seen > characters) {
            (void)snprintf(at, capacity - (size_t)(at - text), "…");
            return;
        }
    }
}

void bm_train_text(
    const json_t *object, const char *key, uint32_t characters, char *text, uint32_t capacity) {
    const char *found = bm_field_text(object, key);
    (void)snprintf(text, capacity, "%s", found[0] == '\0' ? "-" : found);
    shorten(text, capacity, characters);
}

void bm_train_backend(const json_t *object, char *text, uint32_t capacity) {
    uint64_t device = bm_field_whole(object, "device");
    if (bm_field_text(object, "label")[0] != '\0') {
        bm_train_text(object, "label", METHOD_CHARACTERS, text, capacity);
        return;
    }
    bm_train_text(object, "backend", METHOD_CHARACTERS, text, capacity);
    if (device > 0) {
        size_t used = strlen(text);
        (void)snprintf(text + used, capacity - used, ":%llu", (unsigned long long)device);
    }
}

void bm_train_method(const struct bm_train_group *group,
                     const json_t *object,
                     char *text,
                     uint32_t capacity) {
    (void)snprintf(text, capacity, "%s%s%s", bm_field_text(object, "optimizer"),
                   group->many_schedules ? ", " : "",
                   group->many_schedules ? bm_field_text(object, "schedule") : "");
    shorten(text, capacity, METHOD_CHARACTERS);
}

void bm_train_count(const json_t *object, const char *key, char *text, uint32_t capacity) {
    double value = 0;
    int is_known = bm_train_measure(object, key, &value);
    (void)snprintf(text, capacity, is_known ? "%.0f" : "-", value);
}

void bm_train_name(const struct bm_train_group *group,
                   const json_t *object,
                   char *text,
                   uint32_t capacity) {
    char batch[BM_TRAIN_FIELD_SIZE];
    bm_train_method(group, object, text, capacity);
    bm_train_count(object, "batch", batch, sizeof batch);
    size_t used = strlen(text);
    (void)snprintf(text + used, capacity - used, ", batch %s", batch);
}

void bm_train_time(double seconds, char *text, uint32_t capacity) {
    if (seconds > 0) {
        bm_table_time(1e9 * seconds, text, capacity);
    } else {
        (void)snprintf(text, capacity, "0 s");
    }
}

void bm_train_number(double value, char *text, uint32_t capacity) {
    (void)snprintf(text, capacity, value >= 999.5 && value < 1e6 ? "%.0f" : "%.3g", value);
}

void bm_train_interval(double value, double low, double high, char *text, uint32_t capacity) {
    char numbers[3][24];
    bm_train_number(value, numbers[0], sizeof numbers[0]);
    bm_train_number(low, numbers[1], sizeof numbers[1]);
    bm_train_number(high, numbers[2], sizeof numbers[2]);
    if (isinf(high)) {
        (void)snprintf(text, capacity, "%s (from %s)", numbers[0], numbers[1]);
    } else {
        (void)snprintf(text, capacity, "%s (%s to %s)", numbers[0], numbers[1], numbers[2]);
    }
}

void bm_train_percent(const struct bm_seeds_mean *mean, char *text, uint32_t capacity) {
    if (mean->count == 0) {
        (void)snprintf(text, capacity, "-");
    } else if (!mean->has_interval) {
        (void)snprintf(text, capacity, "%.2f", 100 * mean->mean);
    } else {
        (void)snprintf(text, capacity, "%.2f ± %.2f", 100 * mean->mean,
                       50 * (mean->high - mean->low));
    }
}

/* `key`: of the line's object in a stream of blocks. `ends`: a newline at the end is meant. */
__attribute__((format(printf, 4, 0))) static void print_line(const struct bm_train_view *view,
                                                             const char *key,
                                                             int ends,
                                                             const char *format,
                                                             va_list arguments) {
    int is_item = view->format == BM_TABLE_MARKDOWN && strcmp(key, "note") == 0;
    char *line = NULL;
    if (vasprintf(&line, format, arguments) < 0) {
        return;
    }
    size_t length = strlen(line);
    int is_ended = ends && length > 0 && line[length - 1] == '\n';
    bm_printable(line, "");
    if (is_ended) {
        line[length - 1] = '\n';
    }
    if (view->format == BM_TABLE_BLOCKS) {
        line[length > 0 && line[length - 1] == '\n' ? length - 1 : length] = '\0';
        bm_field_print_line(json_pack("{s:o}", key, bm_field_string(line)), view->stream);
    } else {
        (void)fprintf(view->stream, "%s%s\n", is_item ? "- " : "", line);
    }
    free(line);
}

void bm_train_line(const struct bm_train_view *view, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_line(view, "text", 1, format, arguments);
    va_end(arguments);
}

void bm_train_note(const struct bm_train_view *view, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_line(view, "note", 0, format, arguments);
    va_end(arguments);
}

/* ---- Grids ---- */

void bm_train_set_row(struct bm_grid *grid,
                      uint32_t row,
                      const char *const *texts,
                      uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bm_grid_set(grid, row, i, "%s", texts[i]);
    }
}

void bm_train_finish_grid(const struct bm_train_view *view, struct bm_grid *grid) {
    bm_table_print_grid(grid, view->format, view->stream);
    (void)fputc('\n', view->stream);
    bm_grid_deinit(grid);
}
