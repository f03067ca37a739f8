/* A small grid of texts and the three ways of printing it: aligned columns, a markdown table, and a
 * line of JSON. */
#ifndef BM_GRID_H
#define BM_GRID_H

#include <stdint.h>
#include <stdio.h>

struct bm_grid {
    uint32_t rows;
    uint32_t columns;
    char **text;            /* [rows][columns], NULL is empty */
    uint32_t ends_in_prose; /* the last column holds sentences: to the left too */
};

/* 0, or -1 without memory. */
int bm_grid_init(struct bm_grid *grid, uint32_t rows, uint32_t columns);
void bm_grid_deinit(struct bm_grid *grid);

/* printf into a field; a text that does not fit in memory stays empty, a control character becomes
 * a space. */
void bm_grid_set(struct bm_grid *grid, uint32_t row, uint32_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The first column to the left, the others to the right (see ends_in_prose); widths are counted in
 * characters of UTF-8.
 */
void bm_grid_print_text(const struct bm_grid *grid, FILE *stream);
void bm_grid_print_markdown(const struct bm_grid *grid, FILE *stream);

/* A line, the object {grid: [[texts]]}. */
void bm_grid_print_line(const struct bm_grid *grid, FILE *stream);

#endif
