/* Keskar's sharpness beside what keeps it from being read too much into. */
#include "field.h"
#include "landscape_table_parts.h"
#include "options.h"
#include "seeds.h"

#include <math.h>
#include <string.h>

#define COLUMNS(list) list, (uint32_t)(sizeof(list) / sizeof(list)[0])
#define DRAWS_MAX 256u
#define BESIDE_MAX 8u

/* ---- Over the draws of a subspace ---- */

static int is_same(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"point", "space", "dimensions", "epsilon", "scaled"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *left = json_object_get(a, keys[i]);
        const json_t *right = json_object_get(b, keys[i]);
        if (left != right && (left == NULL || right == NULL || !json_equal(left, right))) {
            return 0;
        }
    }
    return 1;
}

static int is_first(const struct bm_landscape_view *view, const json_t *object) {
    size_t index;
    const json_t *other;
    json_array_foreach(view->objects, index, other) {
        if (bm_landscape_has(view, other, "sharpness") && is_same(object, other)) {
            return other == object;
        }
    }
    return 0;
}

static uint32_t count_first(const struct bm_landscape_view *view) {
    uint32_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        count += bm_landscape_has(view, object, "sharpness") && is_first(view, object);
    }
    return count;
}

/* Of all methods: each found a lower limit of the maximum. */
static int measure_highest(const json_t *object, const char *key, double *value) {
    int is_known = bm_landscape_measure(object, key, value);
    size_t index;
    const json_t *other;
    json_array_foreach(json_object_get(object, "beside"), index, other) {
        double found = 0;
        if (is_known && bm_landscape_measure(other, key, &found) && found > *value) {
            *value = found;
        }
    }
    return is_known;
}

static uint64_t collect(const struct bm_landscape_view *view,
                        const json_t *like,
                        int (*measure)(const json_t *object, const char *key, double *value),
                        const char *key,
                        double values[DRAWS_MAX]) {
    uint64_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        if (count < DRAWS_MAX && bm_landscape_has(view, object, "sharpness") &&
            is_same(object, like) && measure(object, key, &values[count])) {
            count++;
        }
    }
    return count;
}

/* "9.22 ± 0.56" over the draws, "205" of one. */
static void format_mean(const double *values, uint64_t count, char *text, uint32_t capacity) {
    struct bm_seeds_mean mean = bm_seeds_mean(values, count, BM_SEEDS_COVERAGE);
    if (count == 0 || !isfinite(mean.mean)) {
        (void)snprintf(text, capacity, "-");
        return;
    }
    bm_landscape_put_value(mean.mean, 3, text, capacity);
    size_t used = strlen(text);
    if (mean.has_interval) {
        char half[32];
        bm_landscape_put_value((mean.high - mean.low) / 2, 2, half, sizeof half);
        (void)snprintf(text + used, capacity - used, " ± %s", half);
    }
}

static void set_sharpness(const struct bm_landscape_view *view,
                          struct bm_grid *grid,
                          uint32_t row,
                          const json_t *object) {
    double values[DRAWS_MAX];
    char text[BM_LANDSCAPE_TEXT_SIZE];
    uint64_t count = collect(view, object, bm_landscape_measure, "value", values);
    bm_landscape_set(grid, row, 0, bm_landscape_put_text, object, "point");
    bm_landscape_set(grid, row, 1, bm_landscape_put_text, object, "space");
    bm_landscape_set(grid, row, 2, bm_landscape_put_number, object, "epsilon");
    bm_landscape_set(grid, row, 3, bm_landscape_put_number, object, "scaled");
    format_mean(values, count, text, sizeof text);
    bm_grid_set(grid, row, 4, "%s", text);
    format_mean(values, collect(view, object, measure_highest, "value", values), text, sizeof text);
    bm_grid_set(grid, row, 5, "%s", text);
    bm_grid_set(grid, row, 6, "%llu", (unsigned long long)count);
    bm_landscape_set(grid, row, 7, bm_landscape_put_loss, object, "loss");
    bm_landscape_set(grid, row, 8, bm_landscape_put_loss, object, "highest");
    format_mean(values, collect(view, object, bm_landscape_measure, "steps", values), text,
                sizeof text);
    bm_grid_set(grid, row, 9, "%s", text);
    format_mean(values, collect(view, object, bm_landscape_measure, "evaluations", values), text,
                sizeof text);
    bm_grid_set(grid, row, 10, "%s", text);
    bm_landscape_set(grid, row, 11, bm_landscape_put_number, object, "function_change");
    bm_landscape_set(grid, row, 12, bm_landscape_put_text, object, "method");
}

static void print_values(const struct bm_landscape_view *view) {
    static const char *const heading[] = {
        "point", "space",   "epsilon", "scaled",      "phi, %",       "highest phi, %", "draws",
        "loss",  "highest", "steps",   "evaluations", "loss changed", "method"};
    uint32_t count = count_first(view);
    uint32_t row = 0;
    struct bm_grid grid;
    size_t index;
    const json_t *object;
    if (count == 0 || bm_grid_init(&grid, count + 1, 13) != 0) {
        return;
    }
    bm_landscape_set_heading(&grid, heading);
    json_array_foreach(view->objects, index, object) {
        if (bm_landscape_has(view, object, "sharpness") && is_first(view, object)) {
            set_sharpness(view, &grid, ++row, object);
        }
    }
    bm_landscape_print_title(view, "Keskar's sharpness phi, and the highest that any of three "
                                   "methods found, all of them lower limits of the maximum; ±: "
                                   "half the 95 % t interval over the draws of a subspace");
    bm_landscape_finish_grid(view, &grid);
}

/* ---- Small against large batch, next to the paper's ---- */

/* What the paper's two numbers make of the ratio. */
static void put_paper_ratio(const json_t *object, const char *path, char *text, uint32_t capacity) {
    double small = 0;
    double large = 0;
    (void)path;
    if (bm_landscape_measure(object, "paper.small", &small) && small > 0 &&
        bm_landscape_measure(object, "paper.large", &large)) {
        bm_landscape_put_value(large / small, 3, text, capacity);
    } else {
        (void)snprintf(text, capacity, "-");
    }
}

/* "256, 6000" */
static void put_batches(const json_t *object, const char *path, char *text, uint32_t capacity) {
    char small[32];
    char large[32];
    (void)path;
    bm_landscape_put_whole(object, "small_batch", small, sizeof small);
    bm_landscape_put_whole(object, "large_batch", large, sizeof large);
    (void)snprintf(text, capacity, "%s, %s", small, large);
}

static void print_comparisons(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"space", bm_landscape_put_text, "space"},
        {"epsilon", bm_landscape_put_number, "epsilon"},
        {"batches", put_batches, ""},
        {"phi by", bm_landscape_put_words, "method"},
        {"pairs", bm_landscape_put_whole, "pairs"},
        {"large/small (95 %)", bm_landscape_put_interval, "ratio"},
        {"paper's small, %", bm_landscape_put_number, "paper.small"},
        {"paper's large, %", bm_landscape_put_number, "paper.large"},
        {"paper's large/small", put_paper_ratio, ""},
        {"agrees", bm_landscape_put_flag, "agrees"},
        {"verdict", bm_landscape_put_words, "verdict"}};
    bm_landscape_print_part(view, "large batch against small batch, next to the paper's",
                            "comparison", COLUMNS(columns));
}

/* "1.76", "1.76 or more" where the line was too short to see its end. */
static void put_width(const json_t *object, const char *path, char *text, uint32_t capacity) {
    bm_landscape_put_number(object, path, text, capacity);
    size_t used = strlen(text);
    if (json_is_true(json_object_get(object, "at_least"))) {
        (void)snprintf(text + used, capacity - used, " or more");
    }
}

static void print_filter_lines(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {{"point", bm_landscape_put_text, "point"},
                                                         {"seed", bm_landscape_put_whole, "seed"},
                                                         {"width", put_width, "width"}};
    bm_landscape_print_part(view,
                            "width along filter-normalized lines: loss below twice that at "
                            "the point plus .1",
                            "filter_line", COLUMNS(columns));
}

/* ---- Other methods of finding the highest loss ---- */

static uint32_t count_beside(const struct bm_landscape_view *view) {
    size_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        const json_t *beside = json_object_get(object, "beside");
        size_t size = bm_landscape_has(view, object, "sharpness") ? json_array_size(beside) : 0;
        count += size < BESIDE_MAX ? size : BESIDE_MAX;
    }
    return (uint32_t)count;
}

static void
set_beside(struct bm_grid *grid, uint32_t row, const json_t *object, const json_t *one) {
    const char *why = json_is_string(json_object_get(one, "reason")) ? "reason" : "ended";
    bm_landscape_set(grid, row, 0, bm_landscape_put_text, object, "point");
    bm_landscape_set(grid, row, 1, bm_landscape_put_text, object, "space");
    bm_landscape_set(grid, row, 2, bm_landscape_put_number, object, "epsilon");
    bm_landscape_set(grid, row, 3, bm_landscape_put_number, object, "scaled");
    bm_landscape_set(grid, row, 4, bm_landscape_put_whole, object, "draw");
    bm_landscape_set(grid, row, 5, bm_landscape_put_text, one, "method");
    bm_landscape_set(grid, row, 6, bm_landscape_put_number, one, "value");
    bm_landscape_set(grid, row, 7, bm_landscape_put_whole, one, "steps");
    bm_landscape_set(grid, row, 8, bm_landscape_put_whole, one, "evaluations");
    bm_landscape_set(grid, row, 9, bm_landscape_put_words, one, why);
}

/* All of them: a maximum that another method passes was none. */
static void print_beside(const struct bm_landscape_view *view) {
    static const char *const heading[] = {"point",  "space",  "epsilon", "scaled",      "draw",
                                          "method", "phi, %", "steps",   "evaluations", "ended"};
    uint32_t count = count_beside(view);
    uint32_t row = 0;
    struct bm_grid grid;
    size_t index;
    const json_t *object;
    if (count == 0 || bm_grid_init(&grid, count + 1, 10) != 0) {
        return;
    }
    grid.ends_in_prose = 1;
    bm_landscape_set_heading(&grid, heading);
    json_array_foreach(view->objects, index, object) {
        const json_t *beside = json_object_get(object, "beside");
        int has = bm_landscape_has(view, object, "sharpness");
        for (size_t i = 0; has && i < json_array_size(beside) && i < BESIDE_MAX; i++) {
            set_beside(&grid, ++row, object, json_array_get(beside, i));
        }
    }
    bm_landscape_print_title(view, "the same by other methods");
    bm_landscape_finish_grid(view, &grid);
}

void bm_landscape_print_sharpness(const struct bm_landscape_view *view) {
    print_values(view);
    if (view->verbose) {
        print_beside(view);
    }
    print_comparisons(view);
    print_filter_lines(view);
    if (bm_landscape_count(view, "sharpness") > 0) {
        bm_landscape_print_note(view, "a re-scaled network computes the same function: sharpness "
                                      "alone proves nothing (scaled: the factor; loss changed: "
                                      "what re-scaling made of the loss)");
        (void)fputc('\n', view->stream);
    }
}
