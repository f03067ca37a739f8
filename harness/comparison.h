/*
 * What a comparison found, of two builds measured in pairs or of two records: a verdict a cell, the
 * figures behind it, and the exit code of the whole. Made by the two modes of `compare`, shown by
 * comparison_table and comparison_ci, kept in records as `comparison` and `compare` objects.
 */
#ifndef BM_COMPARISON_H
#define BM_COMPARISON_H

#include "error.h"

#include <jansson.h>
#include <stdint.h>

enum bm_comparison_verdict {
    BM_COMPARISON_PASS, /* no slow-down above the threshold */
    BM_COMPARISON_REGRESSION,
    BM_COMPARISON_IMPROVEMENT,
    BM_COMPARISON_IDENTICAL, /* builds: the same code bytes, not measured; records: the same file
                                and choices, measured all the same */
    BM_COMPARISON_NO_BASE,   /* base cannot be loaded, and only for its ABI version */
    BM_COMPARISON_INCONCLUSIVE,
    BM_COMPARISON_WRONG,   /* head computes something else than the float64 reference allows */
    BM_COMPARISON_LOST,    /* base has the cell, head has not */
    BM_COMPARISON_ADDED,   /* head has the cell, base has not */
    BM_COMPARISON_SKIPPED, /* neither has a time: unsupported, skipped, time limit */
    BM_COMPARISON_CRASHED, /* a worker of head, or of base as the reason then says, ended */
    BM_COMPARISON_TIMEOUT,
    BM_COMPARISON_REFUSED, /* a plugin was refused */
    BM_COMPARISON_ERROR,
    BM_COMPARISON_VERDICT_COUNT,
};

/* A second gate on retired instructions of one thread, which noise cannot touch. */
struct bm_comparison_instructions {
    uint32_t is_known; /* else the reason says why not, or is empty where nobody asked */
    double base;       /* instructions of one update */
    double head;
    double ratio;     /* head / base */
    double threshold; /* accepted growth as a share, .01 = 1 % */
    uint32_t is_regression;
    char source[32]; /* "hardware counter" or "valgrind" */
    char reason[256];
};

struct bm_comparison_cell {
    char name[256]; /* "mlp, fashion-mnist, momentum, batch 100, 2 threads, float32": without the
                       backend, the same in every run */
    char backend[64];
    char device[128];
    uint64_t batch;
    uint32_t threads;
    enum bm_comparison_verdict verdict;
    char reason[512];   /* why it is not PASS, or what to know of it; may be empty */
    double ratio;       /* time of head / time of base, estimate; 0 where unknown */
    double low, high;   /* two-sided 95 % interval of ratio; 0 where unknown */
    double p;           /* one-sided, of "no slower than the threshold"; NaN where unknown */
    double sensitivity; /* smallest slow-down (share over 1) found in 9 of 10 such runs; NaN where
                           unknown */
    uint32_t sets;      /* sets of fresh processes, or rounds of the record that has fewer */
    double aa_ratio;    /* second base arm / first; NaN where not measured */
    double aa_spread;   /* standard deviation over sets of log(second base arm / first); NaN where
                           not measured */
    double base_ns, head_ns; /* median of one update; 0 where unknown */
    double seconds;          /* it took */
    char choices[2][512];    /* what base's and head's tuners chose (describe) */
    uint32_t choices_differ;
    struct bm_comparison_instructions instructions;
    json_t *details; /* owned, may be NULL: goes into the record as it is */
};

struct bm_comparison_difference {
    char what[64];
    char base[256];
    char head[256];
};

struct bm_comparison {
    const char *base_name, *head_name; /* file names, no folders; not owned */
    const char *series;                /* what was timed; not owned, NULL: "update" */
    uint32_t is_stored;                /* records, not measured now */
    uint32_t is_strict;                /* what stays open counts as a failure */
    double threshold;                  /* accepted slow-down as a share */
    uint32_t cell_count;
    uint32_t cell_capacity;
    struct bm_comparison_cell *cells; /* owned */
    uint32_t difference_count;
    uint32_t difference_capacity;
    struct bm_comparison_difference *differences; /* owned: settings and environment that differ */
};

/* "PASS", "REGRESSION", "NO BASE", ... */
const char *bm_comparison_verdict_name(enum bm_comparison_verdict verdict);

/* A new last cell, with everything unknown and the verdict ERROR, valid until the next one is
 * added; NULL without memory. Begin with a zeroed bm_comparison. */
struct bm_comparison_cell *bm_comparison_add(struct bm_comparison *comparison);

/* One more setting or property of the environment that differs. NO_MEMORY. */
int32_t bm_comparison_differ(struct bm_comparison *comparison,
                             const char *what,
                             const char *base,
                             const char *head,
                             struct bm_error *error);

void bm_comparison_free(struct bm_comparison *comparison);

/* Whether the name of a cell, "avx2, mlp, fashion-mnist, momentum, batch 100, 2 threads, float32",
 * matches a pattern of --filter; an empty one takes all. */
int bm_comparison_is_wanted(const struct bm_comparison_cell *cell, const char *pattern);

/* How many cells have this verdict. */
uint32_t bm_comparison_count(const struct bm_comparison *comparison,
                             enum bm_comparison_verdict verdict);

/* How many cells were compared: not those that are new or that neither has times of. */
uint32_t bm_comparison_compared(const struct bm_comparison *comparison);

/* BM_EXIT_*: of what happened to the cells the first of refused, crashed or timed out, wrong, lost
 * or nothing compared, regression; if strict also inconclusive or without a base; else OK. */
int bm_comparison_exit_code(const struct bm_comparison *comparison);

/* The `compare` object of a cell; what is unknown is null. The caller's; NULL without memory. */
json_t *bm_comparison_cell_json(const struct bm_comparison_cell *cell);

/* A `comparison` object, which says what was compared: names, threshold, differences; and the
 * `compare` objects of all cells; in an array. The caller's; NULL without memory. */
json_t *bm_comparison_json(const struct bm_comparison *comparison);

/* Reads what these wrote, wherever it stands among `objects`, into a zeroed
 * comparison, which borrows its names from them. INVALID, naming the cell and the field, if a
 * verdict is unknown or a field has another type; free it in any case. */
int32_t
bm_comparison_read(const json_t *objects, struct bm_comparison *comparison, struct bm_error *error);

#endif
