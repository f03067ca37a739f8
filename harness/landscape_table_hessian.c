/* Eigenvalues with what is known of their errors, and the walk down from a saddle. */
#include "field.h"
#include "landscape_table_parts.h"

#include <string.h>

#define COLUMNS(list) list, (uint32_t)(sizeof(list) / sizeof(list)[0])
#define SHOWN_MAX 32u

/* ---- Spectra ---- */

/* "1446 ± 12": the trace and its standard error. */
static void put_trace(const json_t *object, const char *path, char *text, uint32_t capacity) {
    char error[32];
    (void)path;
    bm_landscape_put_number(object, "trace.value", text, capacity);
    bm_landscape_put_number(object, "trace.standard_error", error, sizeof error);
    size_t used = strlen(text);
    if (strcmp(text, "-") != 0 && strcmp(error, "-") != 0) {
        (void)snprintf(text + used, capacity - used, " ± %s", error);
    }
}

static void print_points(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"point", bm_landscape_put_text, "point"},
        {"loss", bm_landscape_put_loss, "loss"},
        {"|gradient|", bm_landscape_put_number, "gradient_norm"},
        {"trace ± s.e.", put_trace, ""},
        {"vectors", bm_landscape_put_whole, "trace.vectors"},
        {"step", bm_landscape_put_number, "step.value"},
        {"its error", bm_landscape_put_number, "step.error"},
        {"products", bm_landscape_put_whole, "products"},
        {"gradients", bm_landscape_put_whole, "gradients"},
        {"kind", bm_landscape_put_text, "point_kind"}};
    bm_landscape_print_part(view, "critical points", "spectrum", COLUMNS(columns));
}

static size_t rows_of(const json_t *object) {
    size_t largest = json_array_size(json_object_get(object, "largest"));
    size_t smallest = json_array_size(json_object_get(object, "smallest"));
    size_t most = largest > smallest ? largest : smallest;
    return most < SHOWN_MAX ? most : SHOWN_MAX;
}

static void set_values(struct bm_grid *grid, uint32_t row, const json_t *object, size_t rank) {
    static const char *const ends[] = {"largest", "smallest"};
    static const char *const fields[] = {"value", "error", "residual"};
    bm_landscape_set(grid, row, 0, bm_landscape_put_text, object, "point");
    bm_grid_set(grid, row, 1, "%zu", rank + 1);
    for (uint32_t end = 0; end < 2; end++) {
        const json_t *value = json_array_get(json_object_get(object, ends[end]), rank);
        for (uint32_t i = 0; i < 3; i++) {
            bm_landscape_set(grid, row, 2 + 3 * end + i, bm_landscape_put_number, value, fields[i]);
        }
    }
}

static uint32_t count_values(const struct bm_landscape_view *view) {
    size_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        count += bm_landscape_has(view, object, "spectrum") ? rows_of(object) : 0;
    }
    return (uint32_t)count;
}

static void print_values(const struct bm_landscape_view *view) {
    static const char *const heading[] = {"point",    "rank",     "largest", "error",
                                          "residual", "smallest", "error",   "residual"};
    uint32_t count = count_values(view);
    uint32_t row = 0;
    struct bm_grid grid;
    size_t index;
    const json_t *object;
    if (count == 0 || bm_grid_init(&grid, count + 1, 8) != 0) {
        return;
    }
    bm_landscape_set_heading(&grid, heading);
    json_array_foreach(view->objects, index, object) {
        size_t rows = bm_landscape_has(view, object, "spectrum") ? rows_of(object) : 0;
        for (size_t rank = 0; rank < rows; rank++) {
            set_values(&grid, ++row, object, rank);
        }
    }
    bm_landscape_print_title(view, "eigenvalues, their absolute errors by the differences, and "
                                   "residuals |Hv - value v| / |value|");
    bm_landscape_finish_grid(view, &grid);
}

static void note_evidence(const struct bm_landscape_view *view) {
    uint32_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        char point[BM_LANDSCAPE_TEXT_SIZE];
        char kind[BM_LANDSCAPE_TEXT_SIZE];
        char evidence[BM_LANDSCAPE_TEXT_SIZE];
        if (!bm_landscape_has(view, object, "spectrum")) {
            continue;
        }
        bm_landscape_put_text(object, "point", point, sizeof point);
        bm_landscape_put_text(object, "point_kind", kind, sizeof kind);
        bm_landscape_put_words(object, "evidence", evidence, sizeof evidence);
        bm_landscape_print_note(view, "%s: %s: %s", point, kind, evidence);
        count++;
    }
    if (count > 0) {
        (void)fputc('\n', view->stream);
    }
}

/* ---- Walks ---- */

/* The loss where t is nearest to 0. */
static void put_begin(const json_t *object, const char *path, char *text, uint32_t capacity) {
    const json_t *losses = json_object_get(object, path);
    const json_t *steps = json_object_get(object, "t");
    const json_t *found = NULL;
    double nearest = 0;
    for (size_t i = 0; i < json_array_size(steps); i++) {
        double t = json_number_value(json_array_get(steps, i));
        if (found == NULL || t * t < nearest) {
            nearest = t * t;
            found = json_array_get(losses, i);
        }
    }
    bm_landscape_put_loss(found, "", text, capacity);
}

static void print_walks(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"point", bm_landscape_put_text, "point"},
        {"eigenvalue", bm_landscape_put_number, "eigenvalue"},
        {"loss there", put_begin, "losses"},
        {"lowest loss", bm_landscape_put_loss, "lowest.loss"},
        {"at t", bm_landscape_put_number, "lowest.t"}};
    bm_landscape_print_part(view, "walk along the eigenvector of the most negative eigenvalue",
                            "walk", COLUMNS(columns));
}

void bm_landscape_print_hessian(const struct bm_landscape_view *view) {
    print_points(view);
    print_values(view);
    note_evidence(view);
    print_walks(view);
}
