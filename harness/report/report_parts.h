/* What the files of the report share. Only report_*.c include it. */
#ifndef BM_REPORT_PARTS_H
#define BM_REPORT_PARTS_H

#include "report.h"

/* ---- Checks: report_check.c ---- */

/* Checks an object of a record, of any kind: that what readers rely on is there and of its type.
 * INVALID with file and line. */
int32_t
bm_report_check(const char *path, uint64_t line, const json_t *object, struct bm_error *error);

/* Where an object stands, and of which kind it is. */
struct bm_report_place {
    const char *path;
    uint64_t line;
    const char *kind;
};

/* INVALID: "FILE:LINE: KIND: expected EXPECTED as KEY, found ...". */
int32_t bm_report_refuse(const struct bm_report_place *place,
                         const char *key,
                         const char *expected,
                         const json_t *found,
                         struct bm_error *error);

/* The same for the objects of `landscape`: report_landscape_check.c. */
int32_t bm_report_check_landscape(const struct bm_report_place *place,
                                  const json_t *object,
                                  struct bm_error *error);

/* Whether such an object has values: it is ok, or was cut. */
int bm_report_landscape_has_values(const json_t *object);

/* ---- Values: report_value.c ---- */

/* A text of a record for the page: at most some thousand characters, and of paths only the names of
 * the files. */
json_t *bm_report_text(const json_t *object, const char *key);

/* A command line, of which every word that is a path becomes the name of its file. */
json_t *bm_report_command(const json_t *object, const char *key);

/* A number with six digits; null for what is none. */
json_t *bm_report_real(double number);
json_t *bm_report_number(const json_t *object, const char *key);

/* true or false; null for what is neither. */
json_t *bm_report_flag(const json_t *object, const char *key);

/* Any value with its texts as above, and at most a few hundred members and some levels deep. */
json_t *bm_report_plain(json_t *value);

/* One field of a copy: how `key` of a record is given to the page, under the same name. */
struct bm_report_field {
    const char *key;
    json_t *(*make)(const json_t *object, const char *key);
};

/* Sets the fields, up to one without a key, of `to` from those of `from`. */
void bm_report_copy(const struct bm_report_field *fields, const json_t *from, json_t *to);

/* As a field: any value, null if it is absent. */
json_t *bm_report_any(const json_t *object, const char *key);

/* The text of a run's machine, "" if it is not told. */
const char *bm_report_machine(const struct bm_report_run *run);

/* ---- Cells: report_cells.c ---- */

/* Plugins and cases that the cells of a page refer to, by their texts. */
struct bm_report_cells {
    const struct bm_report *report;
    json_t *plugins;
    json_t *plugin_index;
    json_t *cases;
    json_t *case_index;
};

/* 0, or -1 without memory; to be ended by deinit in both cases. */
int bm_report_cells_init(struct bm_report_cells *cells, const struct bm_report *report);
void bm_report_cells_deinit(struct bm_report_cells *cells);

/* A cell of a run for the page, without a case. The caller's. */
json_t *bm_report_cell(struct bm_report_cells *cells, uint32_t run, const json_t *cell);

/* The cells of all `run` records, in pairs [page's, record's], with their cases; `superseded` is
 * set in those of which a machine has newer ones. The caller's. */
json_t *bm_report_all_cells(struct bm_report_cells *cells);

#define BM_REPORT_KEY_SIZE 8192

/* The text "3|0|avx2, 2 threads|" of some fields of a page's cell, whole numbers and texts, by
 * which cells are grouped. `fields` ends with NULL. */
void bm_report_key(const json_t *cell, const char *const *fields, char *key, size_t capacity);

/* ---- Groups of cells: report_groups.c ---- */

/* knees[] and ratios[] of those. The caller's. */
json_t *bm_report_knees(const json_t *pairs);
json_t *bm_report_ratios(const json_t *pairs);

/* ---- Other parts of the data ---- */

/* Each: an array, the caller's; NULL without memory. */
json_t *bm_report_trainings(const struct bm_report *report, struct bm_report_cells *cells);
json_t *bm_report_comparisons(const struct bm_report *report);
json_t *bm_report_landscapes(const struct bm_report *report);
json_t *bm_report_trends(const struct bm_report *report, struct bm_error *error);

/* The `history` objects of cells that several runs have. The caller's; NULL with INVALID or
 * NO_MEMORY. */
json_t *bm_report_history(const struct bm_report *report, struct bm_error *error);

/* ---- The page: report_page.c ---- */

/* The template filled with the data. *text is the caller's to free. INVALID if a part is missing or
 * not as it should be; then there is nothing to free. */
int32_t bm_report_page(const json_t *data, char **text, size_t *size, struct bm_error *error);

#endif
