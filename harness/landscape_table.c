#include "landscape_table.h"

#include "field.h"
#include "landscape_table_parts.h"
#include "table.h"

#include <string.h>

#define NETWORKS_MAX 16u

static const struct {
    const char *name;
    const char *title;
    void (*print)(const struct bm_landscape_view *view);
    int has_own; /* what names no network is of none: surfaces */
} analyses[] = {
    {"points", "Networks that were trained here", bm_landscape_print_points, 0},
    {"escape", "Escape: hills, saddles, noise and momentum", bm_landscape_print_escape, 1},
    {"hessian", "Hessian: curvature and critical points", bm_landscape_print_hessian, 0},
    {"sharpness", "Sharpness", bm_landscape_print_sharpness, 0},
    {"line", "Lines and planes between points", bm_landscape_print_lines, 0},
    {"noise", "Gradient noise scale", bm_landscape_print_noise, 0}};

/* ---- Networks ---- */

static int
is_known(char networks[NETWORKS_MAX][BM_LANDSCAPE_TEXT_SIZE], uint32_t count, const char *network) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(networks[i], network) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Those of an analysis, in order of first appearance, before them "" if objects name none. */
static uint32_t find_networks(const json_t *objects,
                              const char *analysis,
                              char networks[NETWORKS_MAX][BM_LANDSCAPE_TEXT_SIZE]) {
    uint32_t count = 0;
    size_t index;
    const json_t *object;
    for (int is_named = 0; is_named < 2; is_named++) {
        json_array_foreach(objects, index, object) {
            char network[BM_LANDSCAPE_TEXT_SIZE];
            if (!bm_field_is_kind(object, "landscape") ||
                strcmp(bm_field_text(object, "analysis"), analysis) != 0) {
                continue;
            }
            bm_landscape_put_network(object, "", network, sizeof network);
            if ((network[0] != '\0') == is_named && count < NETWORKS_MAX &&
                !is_known(networks, count, network)) {
                memcpy(networks[count++], network, sizeof network);
            }
        }
    }
    return count;
}

/* ---- What is not ok ---- */

/* "hessian, spectrum of batch 256: unsupported: ..." */
static void note_object(const struct bm_landscape_view *view, const json_t *object) {
    char part[BM_LANDSCAPE_TEXT_SIZE];
    char point[BM_LANDSCAPE_TEXT_SIZE];
    char status[BM_LANDSCAPE_TEXT_SIZE];
    char reason[BM_LANDSCAPE_TEXT_SIZE];
    const char *of = json_object_get(object, "point") != NULL ? "point" : "surface";
    bm_landscape_put_text(object, "part", part, sizeof part);
    bm_landscape_put_text(object, of, point, sizeof point);
    bm_landscape_put_text(object, "status", status, sizeof status);
    bm_landscape_put_words(object, "reason", reason, sizeof reason);
    int has_point = strcmp(point, "-") != 0;
    bm_landscape_print_note(view, "%s%s%s: %s: %s", part, has_point ? " of " : "",
                            has_point ? point : "", strcmp(status, "-") == 0 ? "no status" : status,
                            reason);
}

static void note_mishaps(const struct bm_landscape_view *view) {
    uint32_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        if (bm_landscape_belongs(view, object) && !bm_field_has_status(object, "ok")) {
            note_object(view, object);
            count++;
        }
    }
    if (count > 0) {
        (void)fputc('\n', view->stream);
    }
}

/* ---- All of it ---- */

static void print_analysis(const struct bm_landscape_view *of, uint32_t which) {
    char networks[NETWORKS_MAX][BM_LANDSCAPE_TEXT_SIZE];
    struct bm_landscape_view view = *of;
    view.analysis = analyses[which].name;
    uint32_t count = find_networks(view.objects, view.analysis, networks);
    /* What says nothing of a network stands with the first of them. */
    uint32_t first = !analyses[which].has_own && count > 1 && networks[0][0] == '\0';
    for (uint32_t i = first; i < count; i++) {
        view.network = networks[i];
        view.is_first = i == first && !analyses[which].has_own;
        (void)fprintf(view.stream, "%s%s%s%s\n\n", view.format == BM_TABLE_MARKDOWN ? "## " : "",
                      analyses[which].title, networks[i][0] == '\0' ? "" : ": ", networks[i]);
        analyses[which].print(&view);
        note_mishaps(&view);
    }
}

static uint32_t count_objects(const json_t *objects) {
    uint32_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(objects, index, object) {
        count += bm_field_is_kind(object, "landscape") != 0;
    }
    return count;
}

void bm_landscape_table_print(const json_t *objects,
                              uint32_t format,
                              uint32_t verbose,
                              FILE *stream) {
    struct bm_landscape_view view = {
        .objects = objects, .format = format, .verbose = verbose, .stream = stream};
    if (format == BM_TABLE_CSV) {
        bm_landscape_print_csv(objects, stream);
        return;
    }
    bm_table_print_heading(objects, stream);
    if (count_objects(objects) == 0) {
        (void)fputs("nothing was computed\n", stream);
    }
    for (uint32_t i = 0; i < sizeof analyses / sizeof analyses[0]; i++) {
        print_analysis(&view, i);
    }
}
