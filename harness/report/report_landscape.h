/*
 * What a page takes of the objects of `batchmark landscape` (../landscape/README.md): one
 * description of every part serves the check and the copy. Only report_landscape*.c include it.
 */
#ifndef BM_REPORT_LANDSCAPE_H
#define BM_REPORT_LANDSCAPE_H

#include "report_parts.h"

/* More no chart can show, and no analysis writes. */
#define BM_REPORT_LIST_MAX 2000u
#define BM_REPORT_SIDE_MAX 201u
#define BM_REPORT_GRID_MAX ((size_t)BM_REPORT_SIDE_MAX * BM_REPORT_SIDE_MAX)
#define BM_REPORT_OBJECTS_MAX 512u
#define BM_REPORT_DIMENSIONS_MAX 8u

enum bm_report_shape {
    BM_REPORT_TEXT,
    BM_REPORT_NUMBER,
    BM_REPORT_FLAG,
    BM_REPORT_NUMBERS, /* a list; null where a number is not finite */
    BM_REPORT_TEXTS,
    BM_REPORT_GRID,   /* a list as long as the axes `x` and `y` beside it say */
    BM_REPORT_POINTS, /* a list of lists of coordinates */
    BM_REPORT_OBJECT,
    BM_REPORT_OBJECTS,
    BM_REPORT_ANY /* not drawn: a bounded copy */
};

struct bm_report_member {
    const char *key; /* NULL ends a list of members */
    enum bm_report_shape shape;
    int is_needed; /* otherwise it may be absent or null */
    const struct bm_report_member *of;
};

/* The members of a part of an analysis, without those that all have; NULL if the page does not know
 * it. */
const struct bm_report_member *bm_report_landscape_part(const char *part);

/* Those that all have. A part's own of the same name goes before. */
extern const struct bm_report_member bm_report_landscape_common[];

/* Lists of a part that tell of the same points: names with dots, NULL at the end; NULL if there are
 * none. */
const char *const *bm_report_landscape_parallel(const char *part);

#endif
