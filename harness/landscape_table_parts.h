/*
 * What the files of the landscape table share: which objects are printed now, and how a field
 * becomes a text. Only landscape_table*.c include it.
 */
#ifndef BM_LANDSCAPE_TABLE_PARTS_H
#define BM_LANDSCAPE_TABLE_PARTS_H

#include "grid.h"
#include "landscape_table.h"

#define BM_LANDSCAPE_TEXT_SIZE 512u

/* The tables of one analysis of one network. */
struct bm_landscape_view {
    const json_t *objects; /* of the whole record */
    uint32_t format;
    uint32_t verbose;
    FILE *stream;
    const char *analysis;
    const char *network; /* see bm_landscape_put_network; "": of none */
    int is_first;        /* takes also what names no network */
};

/* ---- Objects ---- */

/* Whether an object of the record belongs to the view and to a part of it, and has values. */
int bm_landscape_has(const struct bm_landscape_view *view, const json_t *object, const char *part);

/* Whether it belongs to the view at all. */
int bm_landscape_belongs(const struct bm_landscape_view *view, const json_t *object);

/* Those of a part. */
uint32_t bm_landscape_count(const struct bm_landscape_view *view, const char *part);

/* The value at "share.low"; NULL if it is absent. */
const json_t *bm_landscape_at(const json_t *object, const char *path);

/* A number of a size that means something. 0 if it is absent or another. */
int bm_landscape_measure(const json_t *object, const char *path, double *value);

/* ---- Fields as texts of at most `capacity` bytes; "-" of what is absent ---- */

typedef void (*bm_landscape_put)(const json_t *object,
                                 const char *path,
                                 char *text,
                                 uint32_t capacity);

/* A name, 48 characters of it, and a sentence, 400. */
void bm_landscape_put_text(const json_t *object, const char *path, char *text, uint32_t capacity);
void bm_landscape_put_words(const json_t *object, const char *path, char *text, uint32_t capacity);

/* Three digits, five, all of a whole number's, and a fraction as percent. */
void bm_landscape_put_number(const json_t *object, const char *path, char *text, uint32_t capacity);
void bm_landscape_put_loss(const json_t *object, const char *path, char *text, uint32_t capacity);
void bm_landscape_put_whole(const json_t *object, const char *path, char *text, uint32_t capacity);
void bm_landscape_put_percent(const json_t *object,
                              const char *path,
                              char *text,
                              uint32_t capacity);
void bm_landscape_put_flag(const json_t *object, const char *path, char *text, uint32_t capacity);

/* Of an object {value or median or scale, low, high}: "34 (21 to 50)"; "34 (from 21)" without an
 * upper end; "" as path is the object itself. */
void bm_landscape_put_interval(const json_t *object,
                               const char *path,
                               char *text,
                               uint32_t capacity);

/* Of a list of numbers the first four, "12, 3.4, ...". */
void bm_landscape_put_list(const json_t *object, const char *path, char *text, uint32_t capacity);

/* "momentum 0.9": the optimizer, and its momentum where that is told. */
void bm_landscape_put_method(const json_t *object, const char *path, char *text, uint32_t capacity);

/* "full", "batch 4", "full, noise 0.3": what a gradient is made of. */
void bm_landscape_put_gradient(const json_t *object,
                               const char *path,
                               char *text,
                               uint32_t capacity);

/* "f1 on mnist, 60000 images, batch norm of ghost-256; avx2, 2 threads, float32"; "" of none. */
void bm_landscape_put_network(const json_t *object,
                              const char *path,
                              char *text,
                              uint32_t capacity);

/* One number, as bm_landscape_put_number has it. */
void bm_landscape_put_value(double value, int digits, char *text, uint32_t capacity);

/* ---- Tables ---- */

struct bm_landscape_column {
    const char *heading;
    bm_landscape_put put;
    const char *path;
};

/* A table with a row for each object of a part; nothing if there is none. `title` stands above it.
 * The last column holds sentences if its `put` is bm_landscape_put_words. */
void bm_landscape_print_part(const struct bm_landscape_view *view,
                             const char *title,
                             const char *part,
                             const struct bm_landscape_column *columns,
                             uint32_t count);

void bm_landscape_print_title(const struct bm_landscape_view *view, const char *title);

/* Sets row 0. */
void bm_landscape_set_heading(struct bm_grid *grid, const char *const *texts);

/* Sets a field from one of an object. */
void bm_landscape_set(struct bm_grid *grid,
                      uint32_t row,
                      uint32_t column,
                      bm_landscape_put put,
                      const json_t *object,
                      const char *path);

/* Prints a grid and an empty line, and frees it. */
void bm_landscape_finish_grid(const struct bm_landscape_view *view, struct bm_grid *grid);

/* A sentence below tables; control characters become spaces, in markdown it is an item of a list.
 */
void bm_landscape_print_note(const struct bm_landscape_view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- The analyses ---- */

void bm_landscape_print_points(const struct bm_landscape_view *view);
void bm_landscape_print_escape(const struct bm_landscape_view *view);
void bm_landscape_print_hessian(const struct bm_landscape_view *view);
void bm_landscape_print_sharpness(const struct bm_landscape_view *view);
void bm_landscape_print_lines(const struct bm_landscape_view *view);
void bm_landscape_print_noise(const struct bm_landscape_view *view);

/* A line for each object of the record. */
void bm_landscape_print_csv(const json_t *objects, FILE *stream);

#endif
