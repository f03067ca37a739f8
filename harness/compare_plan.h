/* What two builds have in common: their plugins' devices, paired. */
#ifndef BM_COMPARE_PLAN_H
#define BM_COMPARE_PLAN_H

#include "compare_set.h"
#include "selection.h"

/* One device of one backend, of both builds or of one. */
struct bm_compare_pair {
    struct bm_row *row[BM_SIDE_COUNT]; /* NULL: this side has no such device */
    uint32_t is_identical;             /* both files hold the same code */
    char code[BM_SIDE_COUNT][65];      /* hash of the code; empty where it could not be taken */
};

struct bm_compare_plan {
    struct bm_selection side[BM_SIDE_COUNT];
    uint32_t pair_count;
    struct bm_compare_pair pair[2 * BM_ROW_MAX];
};

/* Two plugins, whatever their names, or two folders, whose plugins of one name are pairs; plugins
 * that compute nothing are left out. INVALID if one is a folder and the other is not, or if there
 * is no plugin at a path. bm_compare_plan_free in any case. */
int32_t bm_compare_plan_make(const struct bm_options *options,
                             const char *const paths[BM_SIDE_COUNT],
                             struct bm_compare_plan *plan,
                             struct bm_error *error);

void bm_compare_plan_free(struct bm_compare_plan *plan);

#endif
