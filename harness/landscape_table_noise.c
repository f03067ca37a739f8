/* The gradient noise scale along a training, next to the knee of updates to target. */
#include "field.h"
#include "landscape_table_parts.h"

#include <string.h>

#define COLUMNS(list) list, (uint32_t)(sizeof(list) / sizeof(list)[0])
#define BATCHES_MAX 64u

static void print_scales(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"point", bm_landscape_put_text, "point"},
        {"at", bm_landscape_put_text, "at"},
        {"update", bm_landscape_put_whole, "update"},
        {"epoch", bm_landscape_put_number, "epoch"},
        {"slices", bm_landscape_put_whole, "slices"},
        {"of images", bm_landscape_put_whole, "slice"},
        {"|G|²", bm_landscape_put_number, "gradient_squared"},
        {"tr(Σ)", bm_landscape_put_number, "trace"},
        {"scale (95 %)", bm_landscape_put_interval, ""}};
    bm_landscape_print_part(view, "gradient noise scale tr(Σ)/|G|² along the training", "noise",
                            COLUMNS(columns));
}

static void print_averages(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"point", bm_landscape_put_text, "point"},
        {"average (95 %)", bm_landscape_put_interval, ""},
        {"published start", bm_landscape_put_number, "published.start"},
        {"published average", bm_landscape_put_number, "published.average"},
        {"factor to it", bm_landscape_put_number, "within"}};
    bm_landscape_print_part(view, "over the training, next to the published", "average",
                            COLUMNS(columns));
}

/* ---- Knees ---- */

static void print_knees(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"record", bm_landscape_put_text, "record"},
        {"optimizer", bm_landscape_put_text, "optimizer"},
        {"target, %", bm_landscape_put_percent, "target"},
        {"critical batch (95 %)", bm_landscape_put_interval, ""},
        {"smallest updates", bm_landscape_put_number, "smallest_updates"},
        {"smallest examples", bm_landscape_put_number, "smallest_examples"},
        {"points", bm_landscape_put_whole, "points"}};
    bm_landscape_print_part(view, "knee of updates to target: (S/S_min - 1)(E/E_min - 1) = 1",
                            "knee", COLUMNS(columns));
}

static void set_batch(struct bm_grid *grid, uint32_t row, const json_t *object, size_t index) {
    static const char *const lists[] = {"batches", "updates", "examples"};
    for (uint32_t i = 0; i < 3; i++) {
        const json_t *value = json_array_get(json_object_get(object, lists[i]), index);
        bm_landscape_set(grid, row, i, bm_landscape_put_whole, value, "");
    }
}

/* What the hyperbola was laid through. */
static void print_batches_of(const struct bm_landscape_view *view, const json_t *object) {
    static const char *const heading[] = {"batch", "updates to target", "examples"};
    size_t count = json_array_size(json_object_get(object, "batches"));
    struct bm_grid grid;
    count = count < BATCHES_MAX ? count : BATCHES_MAX;
    if (count == 0 || bm_grid_init(&grid, (uint32_t)count + 1, 3) != 0) {
        return;
    }
    bm_landscape_set_heading(&grid, heading);
    for (size_t i = 0; i < count; i++) {
        set_batch(&grid, (uint32_t)i + 1, object, i);
    }
    bm_landscape_finish_grid(view, &grid);
}

void bm_landscape_print_noise(const struct bm_landscape_view *view) {
    size_t index;
    const json_t *object;
    print_scales(view);
    print_averages(view);
    print_knees(view);
    json_array_foreach(view->objects, index, object) {
        if (bm_landscape_has(view, object, "knee")) {
            print_batches_of(view, object);
        }
    }
}
