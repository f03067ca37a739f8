/*
 * Lasting changes of the level of a series of times, one value a run: where, by how much, and how
 * sure that is. Pure functions; the same values give the same answer.
 *
 * The logarithms of the values are searched by seeded binary segmentation (Kovács, Bühlmann, Li and
 * Munk, "Seeded binary segmentation", Biometrika 110, 2023): in each of O(n) overlapping intervals
 * the split that tells the two sides best apart is a candidate. As in Apache Otava, candidates are
 * taken generously, judged by a t test, and merged away again until every one that is left stands
 * between its neighbours. p is multiplied by the number of splits that were looked at (Bonferroni),
 * so it holds for the whole series, and runs near in time may be alike. Values far from the median
 * of their five neighbours count as that median (Hampel's filter): one or two odd runs are no
 * change.
 */
#ifndef BM_CHANGE_POINTS_H
#define BM_CHANGE_POINTS_H

#include <batchmark/plugin.h>

/* Values that a level needs: fewer may be one bad night. */
#define BM_CHANGE_SIDE_MIN 4u

/* A change has at most this p. */
#define BM_CHANGE_P_MAX 0.001

struct bm_change_point {
    uint32_t index; /* of the first value of the new level, the likeliest */
    uint32_t first; /* in first .. last with 95 % */
    uint32_t last;
    double ratio; /* new level over old one */
    double low;   /* 95 % interval of the ratio */
    double high;
    double p;
};

/* Finds the changes of values[0 .. count), each finite and above 0, that are at least `threshold`:
 * 0.02 for 2 %, in either direction; smaller ones separate levels and are not told. `points` is
 * [count / BM_CHANGE_SIDE_MIN] and filled in order, *point_count of them. NO_MEMORY is the only
 * failure. */
int32_t bm_change_points_find(const double *values,
                              uint32_t count,
                              double threshold,
                              struct bm_change_point *points,
                              uint32_t *point_count,
                              struct bm_error *error);

#endif
