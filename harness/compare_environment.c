#include "compare_environment.h"

#include "field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_SIZE 256

/* What a difference in one field means. What is not in the table is taken for a setting. */
enum weight { WEIGHT_NONE, WEIGHT_TOLD, WEIGHT_SETTING };

static const struct {
    const char *section;
    const char *key;
    enum weight weight;
} known[] = {
    /* Of the minute before the run, and never the same. */
    {"host", "load", WEIGHT_NONE},
    {"host", "kernel", WEIGHT_TOLD},
    {"host", "memory_bytes", WEIGHT_TOLD},
    {"host", "governor_reason", WEIGHT_NONE},
    {"host", "clock_source_reason", WEIGHT_NONE},
    {"host", "transparent_hugepage_reason", WEIGHT_NONE},
    /* Another version of Batchmark is often what is compared. */
    {"build", "version", WEIGHT_TOLD},
    {"build", "jansson", WEIGHT_TOLD},
    {"build", "zlib", WEIGHT_TOLD},
    /* Which cells there are: those that one record lacks are lost or added. */
    {"options", "backend", WEIGHT_NONE},
    {"options", "model", WEIGHT_NONE},
    {"options", "layers", WEIGHT_NONE},
    {"options", "dataset", WEIGHT_NONE},
    {"options", "optimizer", WEIGHT_NONE},
    {"options", "precision", WEIGHT_NONE},
    {"options", "batch", WEIGHT_NONE},
    {"options", "data-parallel", WEIGHT_NONE},
    {"options", "roofline", WEIGHT_NONE},
    /* Another shuffle of the same work. */
    {"options", "seed", WEIGHT_TOLD},
    /* How many rounds there are, which the intervals know. */
    {"options", "cell-time", WEIGHT_TOLD},
    {"options", "epoch-time", WEIGHT_TOLD},
    {"options", "time-limit", WEIGHT_TOLD},
    {"options", "hang-time", WEIGHT_NONE},
};

static enum weight weight_of(const char *section, const char *key) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].section, section) == 0 && strcmp(known[i].key, key) == 0) {
            return known[i].weight;
        }
    }
    return WEIGHT_SETTING;
}

/* ---- Values as texts ---- */

static int is_text_list(const json_t *value) {
    size_t index;
    const json_t *item;
    json_array_foreach(value, index, item) {
        if (!json_is_string(item)) {
            return 0;
        }
    }
    return json_is_array(value);
}

static int holds(const json_t *list, const json_t *wanted) {
    size_t index;
    const json_t *item;
    json_array_foreach(list, index, item) {
        if (json_equal(item, wanted)) {
            return 1;
        }
    }
    return 0;
}

/* Of a list of texts, like instruction sets, only those that `other` lacks. */
static void describe_list(const json_t *list, const json_t *other, char *text, size_t capacity) {
    size_t index;
    const json_t *item;
    size_t used = 0;
    (void)snprintf(text, capacity, "nothing more");
    json_array_foreach(list, index, item) {
        if (!holds(other, item) && used < capacity) {
            used += (size_t)snprintf(text + used, capacity - used, "%s%s", used > 0 ? " " : "",
                                     json_string_value(item));
        }
    }
}

static void describe(const json_t *value, const json_t *other, char *text, size_t capacity) {
    if (value == NULL || json_is_null(value)) {
        (void)snprintf(text, capacity, "not known");
    } else if (json_is_string(value)) {
        (void)snprintf(text, capacity, "%s", json_string_value(value));
    } else if (json_array_size(value) > 0 && is_text_list(value) && is_text_list(other)) {
        describe_list(value, other, text, capacity);
    } else {
        char *dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        (void)snprintf(text, capacity, "%s", dump == NULL ? "?" : dump);
        free(dump);
    }
}

/* ---- Sections ---- */

struct walk {
    struct bm_comparison *comparison;
    uint32_t weighty;
    int32_t status;
    struct bm_error *error;
};

static void tell(struct walk *walk, const char *what, const json_t *base, const json_t *head) {
    char texts[2][VALUE_SIZE];
    describe(base, head, texts[0], sizeof texts[0]);
    describe(head, base, texts[1], sizeof texts[1]);
    if (walk->status == BM_STATUS_OK) {
        walk->status =
            bm_comparison_differ(walk->comparison, what, texts[0], texts[1], walk->error);
    }
}

static int is_same(const json_t *a, const json_t *b) {
    return json_equal(a, b) || ((a == NULL || json_is_null(a)) && (b == NULL || json_is_null(b)));
}

static void compare_field(struct walk *walk,
                          const char *section,
                          const char *key,
                          const json_t *base,
                          const json_t *head) {
    char what[64];
    enum weight weight = weight_of(section, key);
    if (weight == WEIGHT_NONE || is_same(base, head)) {
        return;
    }
    walk->weighty += weight == WEIGHT_SETTING;
    (void)snprintf(what, sizeof what, "%s %s", section, key);
    tell(walk, what, base, head);
}

static void
compare_section(struct walk *walk, const char *section, const json_t *base, const json_t *head) {
    const char *key;
    json_t *value;
    json_t *ours = json_object_get(base, section);
    json_t *theirs = json_object_get(head, section);
    json_object_foreach(ours, key, value) {
        compare_field(walk, section, key, value, json_object_get(theirs, key));
    }
    json_object_foreach(theirs, key, value) {
        if (json_object_get(ours, key) == NULL) {
            compare_field(walk, section, key, NULL, value);
        }
    }
}

/* The data of another name belong to cells of another name. */
static void compare_data(struct walk *walk, const json_t *base, const json_t *head) {
    const char *ours = bm_field_text(json_object_get(base, "data"), "name");
    const char *theirs = bm_field_text(json_object_get(head, "data"), "name");
    if (strcmp(ours, theirs) == 0) {
        compare_section(walk, "data", base, head);
    }
}

int32_t bm_compare_environment(const json_t *base,
                               const json_t *head,
                               struct bm_comparison *comparison,
                               uint32_t *weighty,
                               struct bm_error *error) {
    struct walk walk = {comparison, 0, BM_STATUS_OK, error};
    const json_t *ours = json_object_get(base, "machine");
    const json_t *theirs = json_object_get(head, "machine");
    if (!is_same(ours, theirs)) {
        walk.weighty++;
        tell(&walk, "machine", ours, theirs);
    }
    compare_section(&walk, "host", base, head);
    compare_section(&walk, "build", base, head);
    compare_section(&walk, "options", base, head);
    compare_data(&walk, base, head);
    ours = json_object_get(base, "revision");
    theirs = json_object_get(head, "revision");
    if (!is_same(ours, theirs)) {
        tell(&walk, "revision", ours, theirs);
    }
    *weighty = walk.weighty;
    return walk.status;
}
