/* SWAP (Gupta, Serrano and DeCoste, "Stochastic weight averaging in parallel", arXiv 2001.02312):
 * accuracies before, and of the average of the small-batch trainings that went on from there. */
#include "field.h"
#include "train_table_parts.h"

#include <string.h>

static int get_before(const json_t *swap, const void *context, double *value) {
    return bm_field_has_status(swap, "ok") &&
           bm_train_accuracy(json_object_get(swap, "before"), context, value);
}

static int get_after(const json_t *swap, const void *context, double *value) {
    return bm_field_has_status(swap, "ok") && bm_train_accuracy(swap, context, value);
}

/* The `swap` objects of a setting, one a seed. */
static void find_swaps(const struct bm_train_view *view,
                       const struct bm_train_setting *setting,
                       struct bm_train_setting *swaps) {
    size_t index;
    const json_t *object;
    *swaps = (struct bm_train_setting){.key = setting->key};
    json_array_foreach(view->objects, index, object) {
        if (bm_field_is_kind(object, "swap") && bm_train_same_setting(object, setting->key)) {
            bm_train_add(swaps, object);
        }
    }
}

static uint32_t count_swaps(const struct bm_train_view *view, const struct bm_train_group *group) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        struct bm_train_setting swaps;
        find_swaps(view, &group->settings[i], &swaps);
        count += swaps.count > 0;
    }
    return count;
}

/* "+0.21 (-0.10 to +0.52)" */
static void set_gain(struct bm_grid *grid, uint32_t row, const struct bm_seeds_paired *gain) {
    const struct bm_seeds_mean *mean = &gain->difference;
    if (mean->count == 0) {
        bm_grid_set(grid, row, 5, "-");
        bm_grid_set(grid, row, 6, "-");
        return;
    }
    if (mean->has_interval) {
        bm_grid_set(grid, row, 5, "%+.2f (%+.2f to %+.2f)", 100 * mean->mean, 100 * mean->low,
                    100 * mean->high);
    } else {
        bm_grid_set(grid, row, 5, "%+.2f", 100 * mean->mean);
    }
    bm_grid_set(grid, row, 6, "%s",
                mean->count < 2          ? "too few seeds"
                : !gain->distinguishable ? "not distinguishable"
                : mean->mean > 0         ? "better"
                                         : "worse");
}

static void set_swaps(const struct bm_train_group *group,
                      struct bm_grid *grid,
                      uint32_t row,
                      const struct bm_train_setting *swaps) {
    struct bm_train_values before;
    struct bm_train_values after;
    char text[BM_TRAIN_FIELD_SIZE];
    char batch[BM_TRAIN_FIELD_SIZE];
    bm_train_collect(swaps, get_before, "test", &before);
    bm_train_collect(swaps, get_after, "test", &after);
    struct bm_seeds_mean means[2] = {bm_train_mean(&before), bm_train_mean(&after)};
    struct bm_seeds_paired gain = bm_train_paired(&after, &before);
    bm_train_method(group, swaps->key, text, sizeof text);
    bm_grid_set(grid, row, 0, "%s", text);
    bm_train_count(swaps->key, "batch", text, sizeof text);
    bm_grid_set(grid, row, 1, "%s", text);
    bm_train_count(swaps->trainings[0], "runs", text, sizeof text);
    bm_train_count(swaps->trainings[0], "swap_batch", batch, sizeof batch);
    bm_grid_set(grid, row, 2, "%s x %s", text, batch);
    for (uint32_t i = 0; i < 2; i++) {
        bm_train_percent(&means[i], text, sizeof text);
        bm_grid_set(grid, row, 3 + i, "%s", text);
    }
    set_gain(grid, row, &gain);
}

void bm_train_print_swaps(const struct bm_train_view *view, const struct bm_train_group *group) {
    static const char *const heading[] = {"SWAP, test %", "batch",  "runs x batch", "before",
                                          "averaged",     "points", "verdict"};
    uint32_t count = count_swaps(view, group);
    struct bm_grid grid;
    uint32_t row = 0;
    if (count == 0 || bm_grid_init(&grid, count + 1, 7) != 0) {
        return;
    }
    bm_train_set_row(&grid, 0, heading, 7);
    for (uint32_t i = 0; i < group->count; i++) {
        struct bm_train_setting swaps;
        find_swaps(view, &group->settings[i], &swaps);
        if (swaps.count > 0) {
            set_swaps(group, &grid, ++row, &swaps);
        }
    }
    bm_train_finish_grid(view, &grid);
}
