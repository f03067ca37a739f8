/*
 * Small against large batch, as in Keskar et al. (arXiv 1609.04836, tables 3 and 4): the ratio of
 * sharpnesses over pairs that were trained from the same seed.
 */
#ifndef BM_LANDSCAPE_SHARPNESS_PAIRS_H
#define BM_LANDSCAPE_SHARPNESS_PAIRS_H

#include <stdint.h>

/* What the paper has, in percent. */
struct bm_sharpness_paper {
    const char *model; /* f1, c1, ... */
    const char *dataset;
    uint32_t subspace; /* 0: full space */
    double epsilon;
    double small;
    double large;
};

/* NULL where the paper has no such value. */
const struct bm_sharpness_paper *
bm_sharpness_paper(const char *model, const char *dataset, uint32_t subspace, double epsilon);

/* What is compared where it is no method's value: the highest that any method found. */
#define BM_SHARPNESS_HIGHEST "highest of all"

#define BM_SHARPNESS_AGREES "as in the paper"
#define BM_SHARPNESS_CONTRADICTS "contradiction"
#define BM_SHARPNESS_UNDECIDED "undecided"

struct bm_sharpness_ratio {
    uint32_t pairs; /* whose two sharpnesses are above 0 */
    double value;   /* geometric mean of large / small; NaN without a pair */
    double low;     /* 95 % interval of Student's t of the logarithms; NaN below two pairs */
    double high;
    const char *agrees; /* with the paper, where the large batch is sharper: AGREES where the
                           interval is above 1, CONTRADICTS where it is below, else UNDECIDED */
};

struct bm_sharpness_ratio
bm_sharpness_compare(const double *small, const double *large, uint32_t count);

#endif
