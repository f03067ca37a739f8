/* Loss and accuracy between points, distances, and planes through three of them. */
#include "field.h"
#include "landscape_table_parts.h"

#include <math.h>
#include <string.h>

#define COLUMNS(list) list, (uint32_t)(sizeof(list) / sizeof(list)[0])

/* ---- Lines ---- */

/* Where t is `at`; NULL if the line has no such point. */
static const json_t *value_at(const json_t *line, const char *path, double at) {
    const json_t *steps = json_object_get(line, "t");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        if (fabs(json_number_value(json_array_get(steps, i)) - at) < 1e-6) {
            return json_array_get(bm_landscape_at(line, path), i);
        }
    }
    return NULL;
}

static void set_line(struct bm_grid *grid, uint32_t row, const json_t *line, const char *split) {
    static const double places[] = {0, .5, 1};
    char path[32];
    char from[BM_LANDSCAPE_TEXT_SIZE];
    char to[BM_LANDSCAPE_TEXT_SIZE];
    bm_landscape_put_text(line, "from", from, sizeof from);
    bm_landscape_put_text(line, "to", to, sizeof to);
    bm_grid_set(grid, row, 0, "%s to %s", from, to);
    bm_landscape_set(grid, row, 1, bm_landscape_put_text, line, "shape");
    bm_grid_set(grid, row, 2, "%s", split);
    for (uint32_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s.loss", split);
        const json_t *loss = value_at(line, path, places[i]);
        bm_landscape_set(grid, row, 3 + i, bm_landscape_put_loss, loss, "");
        (void)snprintf(path, sizeof path, "%s.accuracy", split);
        const json_t *accuracy = value_at(line, path, places[i]);
        bm_landscape_set(grid, row, 6 + i, bm_landscape_put_percent, accuracy, "");
    }
    if (strcmp(split, "train") == 0) {
        bm_landscape_set(grid, row, 9, bm_landscape_put_loss, line, "barrier");
        bm_landscape_set(grid, row, 10, bm_landscape_put_text, line, "statistics");
    }
}

static void print_values(const struct bm_landscape_view *view) {
    static const char *const heading[] = {"line",   "shape",   "of",           "loss at 0",
                                          "at 1/2", "at 1",    "% right at 0", "at 1/2",
                                          "at 1",   "barrier", "statistics"};
    uint32_t count = bm_landscape_count(view, "line");
    uint32_t row = 0;
    struct bm_grid grid;
    size_t index;
    const json_t *object;
    if (count == 0 || bm_grid_init(&grid, 2 * count + 1, 11) != 0) {
        return;
    }
    bm_landscape_set_heading(&grid, heading);
    json_array_foreach(view->objects, index, object) {
        if (bm_landscape_has(view, object, "line")) {
            set_line(&grid, ++row, object, "train");
            set_line(&grid, ++row, object, "test");
        }
    }
    bm_landscape_print_title(view, "between two points; barrier: highest training loss over the "
                                   "straight course of the ends'");
    bm_landscape_finish_grid(view, &grid);
}

/* ---- Distances ---- */

static void print_distances(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"point", bm_landscape_put_text, "point"},
        {"from", bm_landscape_put_text, "from"},
        {"distance", bm_landscape_put_number, "norm"},
        {"of the start's norm", bm_landscape_put_number, "relative"}};
    bm_landscape_print_part(view, "distances", "distance", COLUMNS(columns));
}

/* A layer is told by its name or its number. */
static void put_layer(const json_t *object, const char *path, char *text, uint32_t capacity) {
    int is_text = json_is_string(json_object_get(object, path));
    (is_text ? bm_landscape_put_text : bm_landscape_put_whole)(object, path, text, capacity);
}

static void print_layers_of(const struct bm_landscape_view *view, const json_t *object) {
    static const char *const heading[] = {"layer", "distance"};
    const json_t *layers = json_object_get(object, "by_layer");
    char point[BM_LANDSCAPE_TEXT_SIZE];
    char from[BM_LANDSCAPE_TEXT_SIZE];
    char title[3 * BM_LANDSCAPE_TEXT_SIZE];
    struct bm_grid grid;
    size_t index;
    const json_t *layer;
    if (json_array_size(layers) == 0 || json_array_size(layers) > 4096 ||
        bm_grid_init(&grid, (uint32_t)json_array_size(layers) + 1, 2) != 0) {
        return;
    }
    bm_landscape_set_heading(&grid, heading);
    json_array_foreach(layers, index, layer) {
        bm_landscape_set(&grid, (uint32_t)index + 1, 0, put_layer, layer, "layer");
        bm_landscape_set(&grid, (uint32_t)index + 1, 1, bm_landscape_put_number, layer, "norm");
    }
    bm_landscape_put_text(object, "point", point, sizeof point);
    bm_landscape_put_text(object, "from", from, sizeof from);
    (void)snprintf(title, sizeof title, "distance by layer: %s from %s", point, from);
    bm_landscape_print_title(view, title);
    bm_landscape_finish_grid(view, &grid);
}

static void print_layers(const struct bm_landscape_view *view) {
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        if (bm_landscape_has(view, object, "distance")) {
            print_layers_of(view, object);
        }
    }
}

/* ---- Planes ---- */

/* "a, b, c" */
static void put_names(const json_t *object, const char *path, char *text, uint32_t capacity) {
    size_t index;
    const json_t *name;
    text[0] = '\0';
    json_array_foreach(json_object_get(object, path), index, name) {
        char one[BM_LANDSCAPE_TEXT_SIZE];
        size_t used = strlen(text);
        bm_landscape_put_text(name, "", one, sizeof one);
        if (index < 3) {
            (void)snprintf(text + used, capacity - used, "%s%s", index == 0 ? "" : ", ", one);
        }
    }
}

static void put_count(const json_t *object, const char *path, char *text, uint32_t capacity) {
    (void)snprintf(text, capacity, "%zu", json_array_size(json_object_get(object, path)));
}

/* The largest distance of a path from the plane. */
static void put_off(const json_t *object, const char *path, char *text, uint32_t capacity) {
    double most = -1;
    size_t i;
    const json_t *one;
    (void)snprintf(text, capacity, "-");
    json_array_foreach(json_object_get(object, path), i, one) {
        size_t k;
        const json_t *off;
        json_array_foreach(json_object_get(one, "off"), k, off) {
            most = fmax(most, json_number_value(off));
        }
    }
    if (most >= 0 && isfinite(most)) {
        bm_landscape_put_value(most, 3, text, capacity);
    }
}

static void print_planes(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"plane through", put_names, "names"},
        {"columns", bm_landscape_put_whole, "x.count"},
        {"rows", bm_landscape_put_whole, "y.count"},
        {"paths", put_count, "paths"},
        {"farthest off it", put_off, "paths"}};
    bm_landscape_print_part(view, "planes, and how far paths lie off them", "plane",
                            COLUMNS(columns));
}

void bm_landscape_print_lines(const struct bm_landscape_view *view) {
    print_values(view);
    print_distances(view);
    if (view->verbose) {
        print_layers(view);
    }
    print_planes(view);
}
