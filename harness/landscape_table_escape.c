/* Who crosses the hill and leaves the saddle. */
#include "field.h"
#include "landscape_table_parts.h"

#include <string.h>

#define COLUMNS(list) list, (uint32_t)(sizeof(list) / sizeof(list)[0])

/* "17 of 20" */
static void put_tally(const json_t *object, const char *path, char *text, uint32_t capacity) {
    char yes[32];
    char runs[32];
    (void)path;
    bm_landscape_put_whole(object, "yes", yes, sizeof yes);
    bm_landscape_put_whole(object, "runs", runs, sizeof runs);
    (void)snprintf(text, capacity, "%s of %s", yes, runs);
}

/* A fraction in whole percent; 0 if it is none. */
static int
put_whole_percent(const json_t *object, const char *path, char *text, uint32_t capacity) {
    double value = 0;
    int is_known = bm_landscape_measure(object, path, &value) && value >= 0 && value <= 1;
    (void)snprintf(text, capacity, is_known ? "%.0f" : "-", 100 * value);
    return is_known;
}

/* "85 (64 to 95)", in percent. */
static void put_share(const json_t *object, const char *path, char *text, uint32_t capacity) {
    char low[32];
    char high[32];
    (void)path;
    int is_known = put_whole_percent(object, "share.value", text, capacity);
    is_known &= put_whole_percent(object, "share.low", low, sizeof low);
    is_known &= put_whole_percent(object, "share.high", high, sizeof high);
    size_t used = strlen(text);
    if (is_known) {
        (void)snprintf(text + used, capacity - used, " (%s to %s)", low, high);
    }
}

/* "minimum 17, saddle 3": how many runs ended where. */
static void put_ends(const json_t *object, const char *path, char *text, uint32_t capacity) {
    static const char *const names[] = {"minimum", "saddle", "maximum",
                                        "flat",    "moving", "diverged"};
    text[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char number[32];
        size_t used = strlen(text);
        bm_landscape_put_whole(json_object_get(object, path), names[i], number, sizeof number);
        if (strcmp(number, "-") != 0 && strcmp(number, "0") != 0) {
            (void)snprintf(text + used, capacity - used, "%s%s %s", used == 0 ? "" : ", ", names[i],
                           number);
        }
    }
    if (text[0] == '\0') {
        (void)snprintf(text, capacity, "-");
    }
}

static void print_counts(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"surface", bm_landscape_put_text, "surface"},
        {"question", bm_landscape_put_text, "question"},
        {"method", bm_landscape_put_method, ""},
        {"gradient", bm_landscape_put_gradient, ""},
        {"rate", bm_landscape_put_number, "rate"},
        {"runs", put_tally, ""},
        {"share, %", put_share, ""},
        {"updates it took", bm_landscape_put_interval, "updates"},
        {"limit", bm_landscape_put_whole, "limit"},
        {"ended at", put_ends, "ends"}};
    bm_landscape_print_part(view, "who crosses the hill and leaves the saddle (95 % intervals)",
                            "count", COLUMNS(columns));
}

/* The number of the last update of a path. */
static void put_last(const json_t *object, const char *path, char *text, uint32_t capacity) {
    const json_t *list = json_object_get(object, path);
    size_t count = json_array_size(list);
    const json_t *last = count == 0 ? NULL : json_array_get(list, count - 1);
    bm_landscape_put_whole(last, "", text, capacity);
}

/* "saddle, exactly on the ridge": where a path begins, if that is told. */
static void put_surface(const json_t *object, const char *path, char *text, uint32_t capacity) {
    char from[BM_LANDSCAPE_TEXT_SIZE];
    bm_landscape_put_text(object, path, text, capacity);
    bm_landscape_put_text(object, "from", from, sizeof from);
    size_t used = strlen(text);
    if (strcmp(from, "-") != 0) {
        (void)snprintf(text + used, capacity - used, ", %s", from);
    }
}

static void print_paths(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"surface", put_surface, "surface"},
        {"method", bm_landscape_put_method, ""},
        {"gradient", bm_landscape_put_gradient, ""},
        {"rate", bm_landscape_put_number, "rate"},
        {"updates", put_last, "updates"},
        {"loss", bm_landscape_put_loss, "end.loss"},
        {"|gradient|", bm_landscape_put_number, "end.gradient_norm"},
        {"eigenvalues", bm_landscape_put_list, "end.eigenvalues"},
        {"end", bm_landscape_put_text, "end.kind"},
        {"crossed", bm_landscape_put_flag, "crossed"},
        {"why", bm_landscape_put_words, "why"}};
    bm_landscape_print_part(view, "what ended where, and why", "path", COLUMNS(columns));
}

static void print_surfaces(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column about[] = {
        {"surface", bm_landscape_put_text, "surface"},
        {"dimensions", bm_landscape_put_whole, "dimensions"},
        {"about", bm_landscape_put_words, "about"}};
    static const struct bm_landscape_column formulas[] = {
        {"surface", bm_landscape_put_text, "surface"},
        {"formula", bm_landscape_put_words, "formula"}};
    bm_landscape_print_part(view, "surfaces", "contour", COLUMNS(about));
    bm_landscape_print_part(view, "their formulas", "contour", COLUMNS(formulas));
}

static void print_saddle(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"narrow", bm_landscape_put_text, "narrow"},
        {"wide", bm_landscape_put_text, "wide"},
        {"loss", bm_landscape_put_loss, "loss"},
        {"change of loss", bm_landscape_put_number, "check.loss_difference"},
        {"|gradient|", bm_landscape_put_number, "gradient_norm"},
        {"of the start's", bm_landscape_put_number, "relative_gradient_norm"},
        {"updates", bm_landscape_put_whole, "updates"},
        {"kind", bm_landscape_put_text, "point_kind"},
        {"made by", bm_landscape_put_words, "method"}};
    static const struct bm_landscape_column values[] = {
        {"wide", bm_landscape_put_text, "wide"},
        {"smallest", bm_landscape_put_number, "smallest.value"},
        {"error", bm_landscape_put_number, "smallest.error"},
        {"residual", bm_landscape_put_number, "smallest.residual"},
        {"largest", bm_landscape_put_number, "largest.value"},
        {"error", bm_landscape_put_number, "largest.error"},
        {"residual", bm_landscape_put_number, "largest.residual"}};
    bm_landscape_print_part(view, "a network at a saddle: narrow trained, then units duplicated",
                            "saddle", COLUMNS(columns));
    bm_landscape_print_part(view, "Hessian eigenvalues there", "saddle", COLUMNS(values));
}

/* All runs, one by one; the counts have them summed up. */
static void print_leaves(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"method", bm_landscape_put_method, ""},
        {"gradient", bm_landscape_put_gradient, ""},
        {"rate", bm_landscape_put_number, "rate"},
        {"seed", bm_landscape_put_whole, "seed"},
        {"perturbation", bm_landscape_put_number, "perturbation"},
        {"updates to leave", bm_landscape_put_whole, "updates"},
        {"limit", bm_landscape_put_whole, "limit"}};
    bm_landscape_print_part(view, "runs from the network's saddle (-: never left)", "leave",
                            COLUMNS(columns));
}

static void print_weights(const struct bm_landscape_view *view) {
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        char momentum[32];
        char updates[32];
        char difference[32];
        if (!bm_landscape_has(view, object, "weights")) {
            continue;
        }
        bm_landscape_put_number(object, "momentum", momentum, sizeof momentum);
        bm_landscape_put_whole(object, "updates", updates, sizeof updates);
        bm_landscape_put_number(object, "difference", difference, sizeof difference);
        bm_landscape_print_note(view,
                                "m is the weighted sum of all past gradients: momentum %s, after "
                                "%s updates sum and recursion differ by %s",
                                momentum, updates, difference);
    }
}

void bm_landscape_print_escape(const struct bm_landscape_view *view) {
    print_counts(view);
    print_paths(view);
    print_saddle(view);
    if (view->verbose) {
        print_surfaces(view);
        print_leaves(view);
    }
    print_weights(view);
    if (bm_landscape_count(view, "weights") > 0) {
        (void)fputc('\n', view->stream);
    }
}
