/* Which objects are printed now, and grids, titles and notes made of them. */
#include "field.h"
#include "landscape_table_parts.h"
#include "printable.h"
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Objects ---- */

static int is_of_network(const struct bm_landscape_view *view, const json_t *object) {
    char network[BM_LANDSCAPE_TEXT_SIZE];
    bm_landscape_put_network(object, "", network, sizeof network);
    return strcmp(network, view->network) == 0 || (network[0] == '\0' && view->is_first);
}

int bm_landscape_belongs(const struct bm_landscape_view *view, const json_t *object) {
    return bm_field_is_kind(object, "landscape") &&
           strcmp(bm_field_text(object, "analysis"), view->analysis) == 0 &&
           is_of_network(view, object);
}

int bm_landscape_has(const struct bm_landscape_view *view, const json_t *object, const char *part) {
    return (bm_field_has_status(object, "ok") || bm_field_has_status(object, "cut")) &&
           strcmp(bm_field_text(object, "part"), part) == 0 && bm_landscape_belongs(view, object);
}

uint32_t bm_landscape_count(const struct bm_landscape_view *view, const char *part) {
    uint32_t count = 0;
    size_t index;
    const json_t *object;
    json_array_foreach(view->objects, index, object) {
        count += bm_landscape_has(view, object, part) != 0;
    }
    return count;
}

/* ---- Grids ---- */

void bm_landscape_print_title(const struct bm_landscape_view *view, const char *title) {
    (void)fprintf(view->stream, view->format == BM_TABLE_MARKDOWN ? "%s:\n\n" : "%s\n", title);
}

void bm_landscape_set_heading(struct bm_grid *grid, const char *const *texts) {
    for (uint32_t i = 0; i < grid->columns; i++) {
        bm_grid_set(grid, 0, i, "%s", texts[i]);
    }
}

void bm_landscape_set(struct bm_grid *grid,
                      uint32_t row,
                      uint32_t column,
                      bm_landscape_put put,
                      const json_t *object,
                      const char *path) {
    char text[BM_LANDSCAPE_TEXT_SIZE];
    put(object, path, text, sizeof text);
    bm_grid_set(grid, row, column, "%s", text);
}

void bm_landscape_finish_grid(const struct bm_landscape_view *view, struct bm_grid *grid) {
    bm_table_print_grid(grid, view->format, view->stream);
    (void)fputc('\n', view->stream);
    bm_grid_deinit(grid);
}

void bm_landscape_print_part(const struct bm_landscape_view *view,
                             const char *title,
                             const char *part,
                             const struct bm_landscape_column *columns,
                             uint32_t count) {
    uint32_t rows = bm_landscape_count(view, part);
    uint32_t row = 0;
    struct bm_grid grid;
    size_t index;
    const json_t *object;
    if (rows == 0 || bm_grid_init(&grid, rows + 1, count) != 0) {
        return;
    }
    grid.ends_in_prose = columns[count - 1].put == bm_landscape_put_words;
    for (uint32_t i = 0; i < count; i++) {
        bm_grid_set(&grid, 0, i, "%s", columns[i].heading);
    }
    json_array_foreach(view->objects, index, object) {
        if (!bm_landscape_has(view, object, part)) {
            continue;
        }
        row++;
        for (uint32_t i = 0; i < count; i++) {
            bm_landscape_set(&grid, row, i, columns[i].put, object, columns[i].path);
        }
    }
    bm_landscape_print_title(view, title);
    bm_landscape_finish_grid(view, &grid);
}

/* ---- Notes ---- */

void bm_landscape_print_note(const struct bm_landscape_view *view, const char *format, ...) {
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    bm_printable(line, "");
    (void)fprintf(view->stream, "%s%s\n", view->format == BM_TABLE_MARKDOWN ? "- " : "", line);
    free(line);
}
