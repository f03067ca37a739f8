#include "grid.h"

#include "field.h"
#include "printable.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int bm_grid_init(struct bm_grid *grid, uint32_t rows, uint32_t columns) {
    grid->rows = rows;
    grid->columns = columns;
    grid->ends_in_prose = 0;
    grid->text = calloc((size_t)rows * columns, sizeof *grid->text);
    return grid->text == NULL ? -1 : 0;
}

void bm_grid_deinit(struct bm_grid *grid) {
    for (size_t i = 0; grid->text != NULL && i < (size_t)grid->rows * grid->columns; i++) {
        free(grid->text[i]);
    }
    free(grid->text);
    memset(grid, 0, sizeof *grid);
}

void bm_grid_set(struct bm_grid *grid, uint32_t row, uint32_t column, const char *format, ...) {
    char **field = &grid->text[(size_t)row * grid->columns + column];
    va_list arguments;
    va_start(arguments, format);
    free(*field);
    if (vasprintf(field, format, arguments) < 0) {
        *field = NULL;
    } else {
        bm_printable(*field, ""); /* one line, whatever a record holds */
    }
    va_end(arguments);
}

static const char *field_of(const struct bm_grid *grid, uint32_t row, uint32_t column) {
    const char *text = grid->text[(size_t)row * grid->columns + column];
    return text == NULL ? "" : text;
}

static uint32_t width_of(const char *text) {
    uint32_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static uint32_t column_width(const struct bm_grid *grid, uint32_t column) {
    uint32_t widest = 0;
    for (uint32_t row = 0; row < grid->rows; row++) {
        uint32_t width = width_of(field_of(grid, row, column));
        widest = width > widest ? width : widest;
    }
    return widest;
}

static int is_prose(const struct bm_grid *grid, uint32_t column) {
    return grid->ends_in_prose && column > 0 && column + 1 == grid->columns;
}

static void pad(uint32_t count, FILE *stream) {
    for (uint32_t i = 0; i < count; i++) {
        (void)fputc(' ', stream);
    }
}

void bm_grid_print_text(const struct bm_grid *grid, FILE *stream) {
    for (uint32_t row = 0; row < grid->rows; row++) {
        for (uint32_t column = 0; column < grid->columns; column++) {
            const char *text = field_of(grid, row, column);
            uint32_t gap = column_width(grid, column) - width_of(text);
            if (column == 0) {
                (void)fputs(text, stream);
                pad(grid->columns > 1 ? gap : 0, stream);
            } else {
                pad(is_prose(grid, column) ? 3 : gap + 3, stream);
                (void)fputs(text, stream);
            }
        }
        (void)fputc('\n', stream);
    }
}

/* A bar would begin the next column. */
static void print_escaped(const char *text, FILE *stream) {
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            (void)fputc('\\', stream);
        }
        (void)fputc(*text, stream);
    }
}

void bm_grid_print_markdown(const struct bm_grid *grid, FILE *stream) {
    for (uint32_t row = 0; row < grid->rows; row++) {
        for (uint32_t column = 0; column < grid->columns; column++) {
            (void)fputs("| ", stream);
            print_escaped(field_of(grid, row, column), stream);
            (void)fputc(' ', stream);
        }
        (void)fputs("|\n", stream);
        for (uint32_t column = 0; row == 0 && column < grid->columns; column++) {
            (void)fputs(column == 0 || is_prose(grid, column) ? "|---" : "|--:", stream);
        }
        if (row == 0) {
            (void)fputs("|\n", stream);
        }
    }
}

void bm_grid_print_line(const struct bm_grid *grid, FILE *stream) {
    json_t *rows = json_array();
    for (uint32_t row = 0; row < grid->rows; row++) {
        json_t *fields = json_array();
        for (uint32_t column = 0; column < grid->columns; column++) {
            (void)json_array_append_new(fields, bm_field_string(field_of(grid, row, column)));
        }
        (void)json_array_append_new(rows, fields);
    }
    bm_field_print_line(json_pack("{s:o}", "grid", rows), stream);
}
