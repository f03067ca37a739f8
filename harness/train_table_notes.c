/* Notes below the tables of a group: what failed, what is doubtful, and how to read intervals. */
#include "field.h"
#include "train_table_parts.h"

#include <string.h>

static void note_training(const struct bm_train_view *view,
                          const struct bm_train_group *group,
                          const json_t *training,
                          const char *before) {
    char name[BM_TRAIN_FIELD_SIZE];
    char seed[BM_TRAIN_FIELD_SIZE];
    char update[BM_TRAIN_FIELD_SIZE + 16] = "";
    double at = 0;
    const char *status = bm_field_text(training, "status");
    const char *reason = bm_field_text(training, "reason");
    bm_train_name(group, training, name, sizeof name);
    bm_train_count(training, "seed", seed, sizeof seed);
    if (bm_train_measure(training, "at_update", &at)) {
        (void)snprintf(update, sizeof update, " at update %.0f", at);
    }
    bm_train_note(view, "%s%s, seed %s: %s%s%s%s", before, name, seed,
                  status[0] == '\0' ? "no status" : status, update, reason[0] == '\0' ? "" : ": ",
                  reason);
}

/* Every training that is not ok, but for what SWAP averages. */
static void note_mishaps(const struct bm_train_view *view, const struct bm_train_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        const struct bm_train_setting *setting = &group->settings[i];
        for (uint32_t k = 0; k < setting->count; k++) {
            if (!bm_field_has_status(setting->trainings[k], "ok")) {
                note_training(view, group, setting->trainings[k], "");
            }
        }
        if (setting->dropped > 0) {
            char name[BM_TRAIN_FIELD_SIZE];
            bm_train_name(group, setting->key, name, sizeof name);
            bm_train_note(view, "%s: %u trainings beyond %u seeds are left out", name,
                          setting->dropped, BM_TRAIN_SEEDS_MAX);
        }
    }
}

static void note_swaps(const struct bm_train_view *view, const struct bm_train_group *group) {
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        int is_run = bm_field_is_kind(object, "training") &&
                     strcmp(bm_field_text(object, "role"), "swap") == 0;
        if ((is_run || bm_field_is_kind(object, "swap")) &&
            bm_train_same_group(object, group->key) && !bm_field_has_status(object, "ok")) {
            note_training(view, group, object, "SWAP, ");
        }
    }
}

/* A gradient noise that could not be measured; that of old records has no status. */
static void note_noise(const struct bm_train_view *view, const struct bm_train_group *group) {
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        char before[BM_TRAIN_FIELD_SIZE];
        char at[BM_TRAIN_FIELD_SIZE];
        if (!bm_field_is_kind(object, "noise") || !bm_train_same_group(object, group->key) ||
            bm_field_has_status(object, "") || bm_field_has_status(object, "ok")) {
            continue;
        }
        bm_train_text(object, "at", 8, at, sizeof at);
        (void)snprintf(before, sizeof before, "gradient noise at the %.40s, ", at);
        note_training(view, group, object, before);
    }
}

static int is_tuned_of(const json_t *object, const struct bm_train_group *group) {
    return bm_field_is_kind(object, "tuned") && bm_train_same_group(object, group->key);
}

/* A best rate at the edge may not be the best there is. */
static void note_edges(const struct bm_train_view *view, const struct bm_train_group *group) {
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        char name[BM_TRAIN_FIELD_SIZE];
        double rate = 0;
        if (!is_tuned_of(object, group)) {
            continue;
        }
        bm_train_name(group, object, name, sizeof name);
        if (!bm_train_measure(object, "rate", &rate)) {
            bm_train_note(view, "%s: no rate of its range could be chosen", name);
        } else if (json_is_true(json_object_get(object, "at_edge"))) {
            bm_train_note(view,
                          "%s: the tuned rate %.3g is at the edge of its range; a better one may "
                          "lie outside",
                          name, rate);
        }
    }
}

/* How many settings have but one usable training, and whether some has an interval. */
static void count_seeds(const struct bm_train_group *group, uint32_t *single, uint32_t *several) {
    *single = 0;
    *several = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t usable = bm_train_usable_count(&group->settings[i]);
        *single += usable == 1;
        *several += usable > 1;
    }
}

static void note_seeds(const struct bm_train_view *view, const struct bm_train_group *group) {
    uint32_t single = 0;
    uint32_t several = 0;
    count_seeds(group, &single, &several);
    if (single > 0) {
        bm_train_note(view,
                      "%s of one seed only: no interval; differences may be those of the seeds",
                      several > 0 ? "some accuracies are" : "accuracies are");
    }
    if (several > 0) {
        bm_train_note(view, "±: half the 95 %% t interval of the mean over the seeds; differences "
                            "are paired by seed");
    }
}

/* The word stands in the heading too; here is what it means. */
static void note_software(const struct bm_train_view *view, const struct bm_train_group *group) {
    if (bm_train_is_software(view, group->key)) {
        char backend[BM_TRAIN_FIELD_SIZE];
        bm_train_backend(group->key, backend, sizeof backend);
        bm_train_note(view, "%s is a software device: its times say nothing of a GPU", backend);
    }
}

static int is_censored(const json_t *training) {
    size_t index;
    const json_t *budget;
    json_array_foreach(json_object_get(training, "budgets"), index, budget) {
        if (json_is_false(json_object_get(budget, "reached"))) {
            return bm_train_is_tried(training);
        }
    }
    return 0;
}

static void note_censored(const struct bm_train_view *view, const struct bm_train_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        for (uint32_t k = 0; k < group->settings[i].count; k++) {
            if (is_censored(group->settings[i].trainings[k])) {
                bm_train_note(view, "some trainings stopped before a budget: means are of those "
                                    "that reached it; (censored): none did, accuracy where they "
                                    "stopped");
                return;
            }
        }
    }
}

void bm_train_print_notes(const struct bm_train_view *view, const struct bm_train_group *group) {
    note_mishaps(view, group);
    note_swaps(view, group);
    note_noise(view, group);
    note_censored(view, group);
    note_edges(view, group);
    note_seeds(view, group);
    note_software(view, group);
    (void)fputc('\n', view->stream);
}
